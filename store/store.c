/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store as its users see it. Whoever puts or gets takes a short lock and
 * reads mapped memory; whoever changes the file on behalf of a person waits for
 * the writer thread, with a deadline.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/internal.h"
#include "store/place.h"

/* Address space only; the file is as large as what it holds. It is large enough
 * for its proofs with the longest logins, with every page half full. */
#define MAP_BYTES ((size_t)640 << 20)
#define PROOFS    1000000
/* While the file cannot be written: 10 MiB with logins of a usual length. */
#define PENDING 65536

#define GATHER_MS     500
#define WAIT_MS       10000
#define LIST_PART     256
#define LIST_FLUSH_MS 1000

static int
init_locks(struct store *store)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&store->work, &attr) != 0 ||
	    pthread_cond_init(&store->done, &attr) != 0 ||
	    pthread_cond_init(&store->reader_back, NULL) != 0 ||
	    pthread_mutex_init(&store->lock, NULL) != 0 ||
	    pthread_mutex_init(&store->readers_lock, NULL) != 0 ||
	    pthread_mutex_init(&store->trouble_lock, NULL) != 0)
		return -1;
	(void)pthread_condattr_destroy(&attr);
	return 0;
}

static void
destroy(struct store *store)
{
	reader_free(store);
	if (store->env != NULL)
		mdb_env_close(store->env);
	overlay_free(&store->overlay);
	(void)pthread_cond_destroy(&store->work);
	(void)pthread_cond_destroy(&store->done);
	(void)pthread_cond_destroy(&store->reader_back);
	(void)pthread_mutex_destroy(&store->lock);
	(void)pthread_mutex_destroy(&store->readers_lock);
	(void)pthread_mutex_destroy(&store->trouble_lock);
	free(store->batch);
	free(store->path);
	free(store);
}

struct store *
store_open_limited(const struct store_options *options,
    const struct store_limits *limits, struct err *e)
{
	struct store *store = calloc(1, sizeof(*store));
	char *dir = NULL;

	if (store == NULL || init_locks(store) != 0) {
		err_set(e, "no memory");
		free(store);
		return NULL;
	}
	store->limits = *limits;
	store->report = options->report;
	store->report_arg = options->report_arg;
	store->overlay = overlay_new(limits->pending);
	dir = place_dir(options, e);
	if (dir != NULL)
		store->path = place_file(dir);
	if (dir != NULL && (store->path == NULL || store->overlay == NULL))
		err_set(e, "no memory");
	if (store->path == NULL || store->overlay == NULL ||
	    file_open(store, dir, e) != 0 || writer_start(store, e) != 0) {
		destroy(store);
		store = NULL;
	}
	free(dir);
	return store;
}

struct store *
store_open(const struct store_options *options, struct err *e)
{
	const struct store_limits limits = { MAP_BYTES, PROOFS, PENDING };

	return store_open_limited(options, &limits, e);
}

void
store_close(struct store **store)
{
	struct store *s = *store;
	size_t lost;

	if (s == NULL)
		return;
	*store = NULL;
	if (!writer_stop(s)) {
		/* its memory is still in use: it goes with the process */
		report(s, STORE_ALARM,
		    "%s: cannot be written: given up, %zu session proofs are "
		    "lost",
		    s->path, atomic_load(&s->pending));
		return;
	}
	lost = atomic_load(&s->pending);
	if (lost > 0)
		report(s, STORE_ALARM,
		    "%s: could not be written: %zu session proof%s lost",
		    s->path, lost, lost == 1 ? " is" : "s are");
	destroy(s);
}

int
store_proof_put(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t now_ms)
{
	struct record_key key;
	bool lost;
	int rc;

	if (addr != NULL && addr->family == NETADDR_NONE) {
		report(store, STORE_WARNING,
		    "no session proof for %s: the client's address is not "
		    "known",
		    login->text);
		return -1;
	}
	record_key_make(RECORD_PROOF, login, addr, &key);
	(void)pthread_mutex_lock(&store->lock);
	rc = overlay_put(store->overlay, &key, now_ms, clock_real_ns(), &lost);
	atomic_store(&store->pending, overlay_count(store->overlay));
	if (store->due_ms == 0)
		writer_wake(store, clock_mono_ms() + GATHER_MS);
	(void)pthread_mutex_unlock(&store->lock);
	if (rc != 0)
		trouble_report(store, &store->losing,
		    "no memory for session proofs");
	else if (lost)
		trouble_report(store, &store->losing,
		    "%s: %zu session proofs wait to be written, no more are "
		    "kept: the oldest are lost",
		    store->path, store->limits.pending);
	return rc;
}

static bool
is_fresh(uint64_t time_ms, uint64_t ttl_ms, uint64_t now_ms)
{
	return time_ms <= now_ms && now_ms - time_ms <= ttl_ms;
}

/* What is not in the file yet. Asked before the file: proofs go from here to
 * there, and never back. */
static bool
pending_proves(struct store *store, const struct record_key *keys, size_t count,
    uint64_t ttl_ms, uint64_t now_ms)
{
	bool proven = false;

	if (atomic_load(&store->pending) == 0)
		return false;
	(void)pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < count && !proven; i++) {
		uint64_t time;

		proven = overlay_find(store->overlay, &keys[i], &time) &&
		    is_fresh(time, ttl_ms, now_ms);
	}
	(void)pthread_mutex_unlock(&store->lock);
	return proven;
}

enum tri
store_proof_get(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t ttl_ms, uint64_t now_ms)
{
	struct record_key keys[2];
	uint64_t times[2] = { 0 };
	unsigned int found;
	size_t count = 0;

	if (addr != NULL && addr->family != NETADDR_NONE)
		record_key_make(RECORD_PROOF, login, addr, &keys[count++]);
	record_key_make(RECORD_PROOF, login, NULL, &keys[count++]);
	if (pending_proves(store, keys, count, ttl_ms, now_ms))
		return TRI_YES;
	if (reader_get(store, keys, count, times, &found) != 0)
		return TRI_UNKNOWN;
	for (size_t i = 0; i < count; i++) {
		if ((found & 1u << i) != 0 &&
		    is_fresh(times[i], ttl_ms, now_ms))
			return TRI_YES;
	}
	return TRI_NO;
}

static void
wait_done(struct store *store, uint64_t until_ms)
{
	const struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000,
	};

	(void)pthread_cond_timedwait(&store->done, &store->lock, &until);
}

int
store_flush(struct store *store, uint64_t wait_ms)
{
	uint64_t until = clock_mono_ms() + wait_ms, rounds;
	int rc;

	(void)pthread_mutex_lock(&store->lock);
	/* one that has begun may have missed the latest */
	rounds = store->rounds + (store->writing_since_ms != 0 ? 2 : 1);
	while ((store->rounds < rounds || store->tend) &&
	    clock_mono_ms() < until) {
		store->hurry = true;
		(void)pthread_cond_signal(&store->work);
		wait_done(store, until);
	}
	rc = store->rounds >= rounds && !store->tend && store->written ? 0 : -1;
	(void)pthread_mutex_unlock(&store->lock);
	return rc;
}

int
store_proof_forget(struct store *store, const struct login *login,
    const struct netaddr *addr, struct err *e)
{
	uint64_t until = clock_mono_ms() + WAIT_MS;
	struct forget_request *request = &store->forget;
	int count = -1;

	(void)pthread_mutex_lock(&store->lock);
	/* one at a time */
	while (request->state != FORGET_NONE && clock_mono_ms() < until)
		wait_done(store, until);
	if (request->state != FORGET_NONE)
		goto out;
	memset(request, 0, sizeof(*request));
	request->login = *login;
	request->exact = addr != NULL;
	if (addr != NULL)
		request->addr = *addr;
	request->state = FORGET_WANTED;
	(void)pthread_cond_signal(&store->work);
	while (request->state != FORGET_DONE && clock_mono_ms() < until)
		wait_done(store, until);
	if (request->state == FORGET_DONE) {
		count = request->count;
		if (e != NULL)
			*e = request->e;
		request->state = FORGET_NONE;
		(void)pthread_cond_broadcast(&store->done);
		(void)pthread_mutex_unlock(&store->lock);
		return count;
	}
	/* not begun: it shall not happen behind the caller's back */
	if (request->state == FORGET_WANTED)
		request->state = FORGET_NONE;
	request->abandoned = true;
out:
	err_set(e,
	    "%.300s: not done within %d s: the disk, or another process that "
	    "holds the lock, has not come back",
	    store->path, WAIT_MS / 1000);
	(void)pthread_mutex_unlock(&store->lock);
	return -1;
}

void
store_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms)
{
	writer_watch(store);
	(void)pthread_mutex_lock(&store->lock);
	store->tend = true;
	store->tend_ttl_ms = ttl_ms;
	store->tend_now_ms = now_ms;
	(void)pthread_cond_signal(&store->work);
	(void)pthread_mutex_unlock(&store->lock);
}

/* A part at a time: each() may take as long as it likes. */
int
store_proof_list(struct store *store,
    int (*each)(void *arg, const struct store_proof *proof), void *arg,
    struct err *e)
{
	struct store_proof *part = calloc(LIST_PART, sizeof(*part));
	struct record_key at = { .len = 1, .octets = { RECORD_PROOF } };
	ssize_t count;
	int rc = 0;

	if (part == NULL) {
		err_set(e, "no memory");
		return -1;
	}
	(void)store_flush(store, LIST_FLUSH_MS);
	do {
		count = reader_list(store, &at, part, LIST_PART, e);
		for (ssize_t i = 0; i < count && rc == 0; i++)
			rc = each(arg, &part[i]);
	} while (count == LIST_PART && rc == 0);
	free(part);
	return count < 0 ? -1 : 0;
}
