/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in a file of LMDB, for the processes of one host. Whoever puts or
 * gets takes a short lock and reads mapped memory; whoever changes the file on
 * behalf of a person waits for the writer thread, with a deadline.
 */
#include "store/lmdb.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/place.h"

/* Address space only; the file is as large as what it holds. It is large enough
 * for proofs with the longest logins, with every page half full. */
#define MAP_BYTES ((size_t)640 << 20)
#define RECORDS   1000000
/* While the file cannot be written: 65536 records. */
#define PENDING ((size_t)65536 * OVERLAY_ENTRY_SIZE)
/* Some 300,000 rates. */
#define COUNTERS ((size_t)64 << 20)

#define WAIT_MS       10000
#define LIST_PART     256
#define LIST_FLUSH_MS 1000

const char *
lmdb_text(int rc)
{
	if (rc == STORE_BAD_RECORD)
		return "a record with a wrong check sum";
	return rc == STORE_SHUT ? "it is closed" : mdb_strerror(rc);
}

static int
init_locks(struct lmdb *db)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&db->work, &attr) != 0 ||
	    pthread_cond_init(&db->done, &attr) != 0 ||
	    pthread_cond_init(&db->reader_back, NULL) != 0 ||
	    pthread_mutex_init(&db->lock, NULL) != 0 ||
	    pthread_mutex_init(&db->counters_lock, NULL) != 0 ||
	    pthread_mutex_init(&db->readers_lock, NULL) != 0)
		return -1;
	(void)pthread_condattr_destroy(&attr);
	return 0;
}

static void
destroy(struct lmdb *db)
{
	reader_free(db);
	if (db->env != NULL)
		mdb_env_close(db->env);
	overlay_free(&db->overlay);
	overlay_free(&db->counters);
	(void)pthread_cond_destroy(&db->work);
	(void)pthread_cond_destroy(&db->done);
	(void)pthread_cond_destroy(&db->reader_back);
	(void)pthread_mutex_destroy(&db->lock);
	(void)pthread_mutex_destroy(&db->counters_lock);
	(void)pthread_mutex_destroy(&db->readers_lock);
	free(db->batch);
	free(db->dir);
	store_end(&db->base);
	free(db);
}

static void
db_close(struct store *store)
{
	struct lmdb *db = (struct lmdb *)store;
	size_t lost;

	if (!writer_stop(db)) {
		/* its memory is still in use: it goes with the process */
		report(store, STORE_ALARM,
		    "%s: cannot be written: given up, %zu records are lost",
		    store->path, atomic_load(&db->pending));
		return;
	}
	lost = writer_waiting(db);
	if (lost > 0)
		report(store, STORE_ALARM,
		    "%s: could not be written: %zu record%s lost", store->path,
		    lost, lost == 1 ? " is" : "s are");
	destroy(db);
}

/* Is this the one to go by? A time to come is none for a proof. */
static bool
is_better(const struct record_view *one, const struct record *other)
{
	uint64_t now = clock_real_ns() / 1000000;

	if (!record_later_counts(&other->key))
		return false;
	if (other->key.octets[0] == RECORD_PROOF && one->stamp > now)
		return false;
	return one->stamp > other->stamp ||
	    (other->key.octets[0] == RECORD_PROOF && other->stamp > now);
}

static void
copy(struct record *record, const struct record_view *view)
{
	record->stamp = view->stamp;
	record->len = view->len;
	memcpy(record->value, view->value, view->len);
}

static int
db_put(struct store *store, const struct record *record)
{
	struct lmdb *db = (struct lmdb *)store;
	struct record_view view;
	bool lost = false;
	int rc = 0;

	(void)pthread_mutex_lock(&db->lock);
	/* a lease is not shortened */
	if (record->key.octets[0] != RECORD_LEASE ||
	    !overlay_find(db->overlay, &record->key, &view) ||
	    view.stamp < record->stamp)
		rc = overlay_put(db->overlay, &record->key, record->stamp,
		    record->value, record->len, clock_real_ns(), true, &lost);
	atomic_store(&db->pending, overlay_count(db->overlay));
	writer_wake(db);
	(void)pthread_mutex_unlock(&db->lock);
	if (rc != 0)
		trouble_report(store, &db->losing, "%s: no memory",
		    store->path);
	else if (lost)
		trouble_report(store, &db->losing,
		    "%s: too many records wait to be written: the oldest are "
		    "lost",
		    store->path);
	return rc;
}

/* What is not in the file yet; asked before the file: records go from here to
 * there, and never back. */
static unsigned int
get_pending(struct lmdb *db, struct record *records, size_t count)
{
	struct record_view view;
	unsigned int found = 0;

	if (atomic_load(&db->pending) == 0)
		return 0;
	(void)pthread_mutex_lock(&db->lock);
	for (size_t i = 0; i < count; i++) {
		if (overlay_find(db->overlay, &records[i].key, &view)) {
			copy(&records[i], &view);
			found |= 1u << i;
		}
	}
	(void)pthread_mutex_unlock(&db->lock);
	return found;
}

#define GET_MAX 2

static int
db_get(struct store *store, struct record *records, size_t count,
    unsigned int *found_r)
{
	struct lmdb *db = (struct lmdb *)store;
	struct record pending[GET_MAX];
	unsigned int in_memory;

	for (size_t i = 0; i < count; i++)
		pending[i].key = records[i].key;
	in_memory = get_pending(db, pending, count);
	if (reader_get(db, records, count, found_r) != 0)
		*found_r = 0;
	else if (in_memory == 0)
		return 0;
	if (in_memory == 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct record *p = &pending[i];
		const struct record_view view = { .stamp = p->stamp,
			.value = p->value,
			.len = p->len };

		if ((in_memory & 1u << i) != 0 &&
		    ((*found_r & 1u << i) == 0 ||
			!record_later_counts(&p->key) ||
			is_better(&view, &records[i])))
			copy(&records[i], &view);
	}
	*found_r |= in_memory;
	return 0;
}

static int
db_group(struct store *store, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	struct lmdb *db = (struct lmdb *)store;

	if (atomic_load(&db->pending) > 0) {
		(void)pthread_mutex_lock(&db->lock);
		overlay_group(db->overlay, group, each, arg);
		(void)pthread_mutex_unlock(&db->lock);
	}
	return reader_group(db, group, each, arg);
}

/* With the lock held. */
static bool
may_wait(const struct lmdb *db, uint64_t until_ms)
{
	uint64_t now = clock_mono_ms();

	return now < until_ms && (db->end_ms == 0 || now < db->end_ms);
}

static void
wait_done(struct lmdb *db, uint64_t until_ms)
{
	uint64_t at =
	    db->end_ms != 0 && db->end_ms < until_ms ? db->end_ms : until_ms;
	const struct timespec until = {
		.tv_sec = (time_t)(at / 1000),
		.tv_nsec = (long)(at % 1000) * 1000000,
	};

	(void)pthread_cond_timedwait(&db->done, &db->lock, &until);
}

static int
db_flush(struct store *store, uint64_t wait_ms)
{
	struct lmdb *db = (struct lmdb *)store;
	uint64_t until = clock_mono_ms() + wait_ms, rounds;
	int rc;

	(void)pthread_mutex_lock(&db->lock);
	/* one that has begun may have missed the latest */
	rounds = db->rounds + (db->writing_since_ms != 0 ? 2 : 1);
	while ((db->rounds < rounds || db->tend) && clock_mono_ms() < until) {
		db->hurry = true;
		(void)pthread_cond_signal(&db->work);
		wait_done(db, until);
	}
	rc = db->rounds >= rounds && !db->tend && db->written ? 0 : -1;
	(void)pthread_mutex_unlock(&db->lock);
	return rc;
}

static int
db_forget(struct store *store, const struct record_key *key, bool group,
    struct err *e)
{
	struct lmdb *db = (struct lmdb *)store;
	uint64_t until = clock_mono_ms() + WAIT_MS;
	struct forget_request *request = &db->forget;
	int count = -1;

	(void)pthread_mutex_lock(&db->lock);
	/* one at a time */
	while (request->state != FORGET_NONE && may_wait(db, until))
		wait_done(db, until);
	if (request->state != FORGET_NONE)
		goto out;
	memset(request, 0, sizeof(*request));
	request->key = *key;
	request->group = group;
	request->state = FORGET_WANTED;
	(void)pthread_cond_signal(&db->work);
	while (request->state != FORGET_DONE && may_wait(db, until))
		wait_done(db, until);
	if (request->state == FORGET_DONE) {
		count = request->count;
		if (e != NULL)
			*e = request->e;
		request->state = FORGET_NONE;
		(void)pthread_cond_broadcast(&db->done);
		(void)pthread_mutex_unlock(&db->lock);
		return count;
	}
	/* not begun: it shall not happen behind the caller's back */
	if (request->state == FORGET_WANTED)
		request->state = FORGET_NONE;
	request->abandoned = true;
out:
	err_set(e,
	    "%.300s: not done in time: the disk, or another process that "
	    "holds the lock, has not come back",
	    store->path);
	(void)pthread_mutex_unlock(&db->lock);
	return -1;
}

static void
db_hurry(struct store *store, uint64_t wait_ms)
{
	struct lmdb *db = (struct lmdb *)store;

	(void)pthread_mutex_lock(&db->lock);
	db->end_ms = clock_mono_ms() + wait_ms;
	(void)pthread_cond_broadcast(&db->done);
	(void)pthread_mutex_unlock(&db->lock);
}

static void
db_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms)
{
	struct lmdb *db = (struct lmdb *)store;

	writer_watch(db);
	(void)pthread_mutex_lock(&db->lock);
	db->tend = true;
	db->tend_ttl_ms = ttl_ms;
	db->tend_now_ms = now_ms;
	(void)pthread_cond_signal(&db->work);
	(void)pthread_mutex_unlock(&db->lock);
}

/* A part at a time: each() may take as long as it likes. */
static int
db_list(struct store *store, const struct record_key *prefix,
    int (*each)(void *arg, const struct record *record), void *arg,
    struct err *e)
{
	struct lmdb *db = (struct lmdb *)store;
	struct record *part = calloc(LIST_PART, sizeof(*part));
	struct record_key at = *prefix;
	ssize_t count;
	int rc = 0;

	if (part == NULL) {
		err_set(e, "no memory");
		return -1;
	}
	(void)db_flush(store, LIST_FLUSH_MS);
	do {
		count = reader_list(db, prefix, &at, part, LIST_PART, e);
		for (ssize_t i = 0; i < count && rc == 0; i++)
			rc = each(arg, &part[i]);
	} while (count == LIST_PART && rc == 0);
	free(part);
	return count < 0 ? -1 : 0;
}

static const struct store_ops ops = {
	.close = db_close,
	.flush = db_flush,
	.hurry = db_hurry,
	.tend = db_tend,
	.put = db_put,
	.get = db_get,
	.group = db_group,
	.forget = db_forget,
	.list = db_list,
	.take = counter_take,
	.give = counter_give,
	.distinct = counter_distinct,
};

struct store *
lmdb_open_limited(const struct store_options *options,
    const struct store_limits *limits, struct err *e)
{
	char *dir = place_dir(options, e);
	struct lmdb *db = NULL;

	if (dir == NULL)
		return NULL;
	db = calloc(1, sizeof(*db));
	if (db == NULL ||
	    store_begin(&db->base, &ops, options, place_file(dir), e) != 0 ||
	    init_locks(db) != 0) {
		err_set(e, "no memory");
		free(db);
		free(dir);
		return NULL;
	}
	db->limits = *limits;
	db->dir = dir;
	db->overlay = overlay_new(limits->pending, false);
	db->counters = overlay_new(limits->counters, true);
	if (db->overlay == NULL || db->counters == NULL)
		err_set(e, "no memory");
	if (db->overlay == NULL || db->counters == NULL ||
	    file_open(db, dir, e) != 0 || writer_start(db, e) != 0) {
		destroy(db);
		db = NULL;
	}
	return db == NULL ? NULL : &db->base;
}

struct store *
lmdb_open(const struct store_options *options, struct err *e)
{
	const struct store_limits limits = { MAP_BYTES, RECORDS, PENDING,
		COUNTERS };

	return lmdb_open_limited(options, &limits, e);
}
