/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that writes. What is put waits half a second for company, so that
 * a busy host pays for two transactions a second and not for one a login. The
 * file system and other processes may make this thread wait as long as they
 * like; nobody waits for it longer than he said.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/internal.h"

#define BATCH     1024
#define GATHER_MS 500
#define RETRY_MS  1000
/* Longer than any disk: the lock of another process, which was stopped. */
#define HANG_MS 5000
#define STOP_MS 5000

static void
wait_until(struct store *store, pthread_cond_t *cond, uint64_t mono_ms)
{
	const struct timespec until = {
		.tv_sec = (time_t)(mono_ms / 1000),
		.tv_nsec = (long)(mono_ms % 1000) * 1000000,
	};

	(void)pthread_cond_timedwait(cond, &store->lock, &until);
}

void
writer_wake(struct store *store, uint64_t due_ms)
{
	if (store->due_ms != 0 && store->due_ms <= due_ms)
		return;
	store->due_ms = due_ms;
	(void)pthread_cond_signal(&store->work);
}

static void
tell(struct store *store, int rc)
{
	size_t waiting = atomic_load(&store->pending);

	if (rc == MDB_SUCCESS) {
		trouble_over(store, &store->writing, "can be written again");
		return;
	}
	trouble_report(store, &store->writing,
	    "%s: cannot be written: %s (%zu session proof%s in memory only)",
	    store->path, mdb_strerror(rc), waiting, waiting == 1 ? "" : "s");
}

/* One batch; with the lock held, but not while it writes. */
static int
write_batch(struct store *store)
{
	size_t count = overlay_copy(store->overlay, store->batch, BATCH);
	int rc;

	if (count == 0)
		return MDB_SUCCESS;
	(void)pthread_mutex_unlock(&store->lock);
	rc = change_put(store, store->batch, count);
	(void)pthread_mutex_lock(&store->lock);
	overlay_settle(store->overlay, store->batch, count);
	atomic_store(&store->pending, overlay_count(store->overlay));
	return rc;
}

/* What waits when this begins; what comes meanwhile waits for the next. */
static int
write_pending(struct store *store)
{
	size_t batches = overlay_count(store->overlay) / BATCH + 1;
	int rc = MDB_SUCCESS;

	while (batches-- > 0 && rc == MDB_SUCCESS)
		rc = write_batch(store);
	store->due_ms = 0;
	if (overlay_count(store->overlay) > 0)
		store->due_ms = clock_mono_ms() +
		    (rc == MDB_SUCCESS ? GATHER_MS : RETRY_MS);
	store->hurry = false;
	store->written = rc == MDB_SUCCESS;
	store->rounds++;
	return rc;
}

static int
forget(struct store *store)
{
	struct forget_request request = store->forget;
	struct record_key key;
	size_t waiting;
	int rc;

	record_key_make(RECORD_PROOF, &request.login,
	    request.exact ? &request.addr : NULL, &key);
	store->forget.state = FORGET_TAKEN;
	waiting = overlay_forget(store->overlay, &key, !request.exact);
	atomic_store(&store->pending, overlay_count(store->overlay));
	(void)pthread_mutex_unlock(&store->lock);
	rc = change_forget(store, &request);
	(void)pthread_mutex_lock(&store->lock);
	if (rc != MDB_SUCCESS)
		err_set(&request.e, "%.300s: %s", store->path,
		    mdb_strerror(rc));
	else if (request.count == 0)
		request.count = (int)waiting;
	request.state = store->forget.abandoned ? FORGET_NONE : FORGET_DONE;
	store->forget = request;
	return rc;
}

static int
tend(struct store *store)
{
	uint64_t ttl = store->tend_ttl_ms, now = store->tend_now_ms;
	int rc;

	store->tend = false;
	(void)pthread_mutex_unlock(&store->lock);
	rc = change_expire(store, ttl, now);
	(void)pthread_mutex_lock(&store->lock);
	return rc;
}

static bool
has_work(const struct store *store)
{
	return store->stop || store->hurry || store->tend ||
	    store->forget.state == FORGET_WANTED ||
	    (store->due_ms != 0 && clock_mono_ms() >= store->due_ms);
}

/* With the lock held, but not while it writes. */
static void
work(struct store *store)
{
	int rc = MDB_SUCCESS, rc2;

	store->writing_since_ms = clock_mono_ms();
	/* first what makes room */
	if (store->tend)
		rc = tend(store);
	if (store->stop || store->hurry ||
	    store->forget.state == FORGET_WANTED || store->due_ms != 0) {
		rc2 = write_pending(store);
		rc = rc == MDB_SUCCESS ? rc2 : rc;
	}
	if (store->forget.state == FORGET_WANTED) {
		rc2 = forget(store);
		rc = rc == MDB_SUCCESS ? rc2 : rc;
	}
	/* told before anybody goes on who waited for it */
	(void)pthread_mutex_unlock(&store->lock);
	tell(store, rc);
	(void)pthread_mutex_lock(&store->lock);
	store->writing_since_ms = 0;
	(void)pthread_cond_broadcast(&store->done);
}

static void *
run(void *arg)
{
	struct store *store = arg;
	bool stop = false;

	(void)pthread_mutex_lock(&store->lock);
	while (!stop) {
		while (!has_work(store)) {
			if (store->due_ms != 0)
				wait_until(store, &store->work, store->due_ms);
			else
				(void)pthread_cond_wait(&store->work,
				    &store->lock);
		}
		stop = store->stop;
		work(store);
	}
	store->stopped = true;
	(void)pthread_cond_broadcast(&store->done);
	(void)pthread_mutex_unlock(&store->lock);
	return NULL;
}

void
writer_watch(struct store *store)
{
	uint64_t since;

	(void)pthread_mutex_lock(&store->lock);
	since = store->writing_since_ms;
	(void)pthread_mutex_unlock(&store->lock);
	if (since == 0 || clock_mono_ms() - since < HANG_MS)
		return;
	trouble_report(store, &store->writing,
	    "%s: cannot be written: for more than %d s the disk, or another "
	    "process that holds the lock, has not come back (%zu session "
	    "proofs in memory only)",
	    store->path, HANG_MS / 1000, atomic_load(&store->pending));
}

int
writer_start(struct store *store, struct err *e)
{
	sigset_t all, before;
	int rc;

	store->batch = calloc(BATCH, sizeof(*store->batch));
	if (store->batch == NULL) {
		err_set(e, "no memory");
		return -1;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&store->writer, NULL, run, store);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return 0;
	err_set(e, "no thread for the store: %s", strerror(rc));
	return -1;
}

bool
writer_stop(struct store *store)
{
	uint64_t until = clock_mono_ms() + STOP_MS;
	bool stopped;

	(void)pthread_mutex_lock(&store->lock);
	store->stop = true;
	(void)pthread_cond_signal(&store->work);
	while (!store->stopped && clock_mono_ms() < until)
		wait_until(store, &store->done, until);
	stopped = store->stopped;
	(void)pthread_mutex_unlock(&store->lock);
	if (stopped)
		(void)pthread_join(store->writer, NULL);
	else
		(void)pthread_detach(store->writer);
	return stopped;
}
