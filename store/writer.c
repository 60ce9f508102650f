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

#include "store/lmdb.h"

#define GATHER_MS 500
#define RETRY_MS  1000
/* Longer than any disk: the lock of another process, which was stopped. */
#define HANG_MS 5000
#define STOP_MS 5000

static void
wait_until(struct lmdb *db, pthread_cond_t *cond, uint64_t mono_ms)
{
	const struct timespec until = {
		.tv_sec = (time_t)(mono_ms / 1000),
		.tv_nsec = (long)(mono_ms % 1000) * 1000000,
	};

	(void)pthread_cond_timedwait(cond, &db->lock, &until);
}

void
writer_wake(struct lmdb *db)
{
	if (db->due_ms != 0)
		return;
	db->due_ms = clock_mono_ms() + GATHER_MS;
	(void)pthread_cond_signal(&db->work);
}

size_t
writer_waiting(struct lmdb *db)
{
	size_t count;

	(void)pthread_mutex_lock(&db->counters_lock);
	count = overlay_waiting(db->counters);
	(void)pthread_mutex_unlock(&db->counters_lock);
	return count + overlay_waiting(db->overlay);
}

static void
tell(struct lmdb *db, int rc)
{
	size_t waiting;

	if (mend_is_needed(rc))
		atomic_store(&db->ailing, true);
	if (rc == STORE_SHUT) /* told by who shut it */
		return;
	if (rc == MDB_SUCCESS) {
		trouble_over(&db->base, &db->writing, "can be written again");
		return;
	}
	(void)pthread_mutex_lock(&db->lock);
	waiting = writer_waiting(db);
	(void)pthread_mutex_unlock(&db->lock);
	trouble_report(&db->base, &db->writing,
	    "%s: cannot be written: %s (%zu record%s in memory only)",
	    db->base.path, lmdb_text(rc), waiting, waiting == 1 ? "" : "s");
}

/* One batch; with the lock held, but not while it writes. */
static int
write_batch(struct lmdb *db)
{
	size_t lost = 0;
	int rc;

	db->batch->count = db->batch->used = 0;
	overlay_copy(db->overlay, db->batch);
	(void)pthread_mutex_lock(&db->counters_lock);
	overlay_copy(db->counters, db->batch);
	(void)pthread_mutex_unlock(&db->counters_lock);
	if (db->batch->count == 0)
		return MDB_SUCCESS;
	(void)pthread_mutex_unlock(&db->lock);
	rc = change_put(db, db->batch, &lost);
	if (lost > 0)
		trouble_report(&db->base, &db->losing,
		    "%s: is full: %zu counters begin anew when postern does",
		    db->base.path, lost);
	(void)pthread_mutex_lock(&db->lock);
	overlay_settle(db->overlay, db->batch);
	atomic_store(&db->pending, overlay_count(db->overlay));
	(void)pthread_mutex_lock(&db->counters_lock);
	overlay_settle(db->counters, db->batch);
	(void)pthread_mutex_unlock(&db->counters_lock);
	return rc;
}

/* What waits when this begins; what comes meanwhile waits for the next. */
static int
write_pending(struct lmdb *db)
{
	uint64_t serial, counters_serial;
	int rc = MDB_SUCCESS;
	bool more = true;

	atomic_store(&db->counted, false);
	(void)pthread_mutex_lock(&db->counters_lock);
	counters_serial = overlay_serial(db->counters);
	(void)pthread_mutex_unlock(&db->counters_lock);
	serial = overlay_serial(db->overlay);
	while (more && rc == MDB_SUCCESS) {
		rc = write_batch(db);
		(void)pthread_mutex_lock(&db->counters_lock);
		more = overlay_is_waiting(db->counters, counters_serial) ||
		    overlay_is_waiting(db->overlay, serial);
		(void)pthread_mutex_unlock(&db->counters_lock);
	}
	db->due_ms = 0;
	if (writer_waiting(db) > 0)
		db->due_ms = clock_mono_ms() +
		    (rc == MDB_SUCCESS ? GATHER_MS : RETRY_MS);
	db->hurry = false;
	db->written = rc == MDB_SUCCESS;
	db->rounds++;
	return rc;
}

static int
forget(struct lmdb *db)
{
	struct forget_request request = db->forget;
	size_t waiting;
	int rc;

	db->forget.state = FORGET_TAKEN;
	waiting = overlay_forget(db->overlay, &request.key, request.group);
	atomic_store(&db->pending, overlay_count(db->overlay));
	(void)pthread_mutex_unlock(&db->lock);
	rc = change_forget(db, &request);
	(void)pthread_mutex_lock(&db->lock);
	if (rc != MDB_SUCCESS)
		err_set(&request.e, "%.300s: %s", db->base.path, lmdb_text(rc));
	else if (request.count == 0)
		request.count = (int)waiting;
	request.state = db->forget.abandoned ? FORGET_NONE : FORGET_DONE;
	db->forget = request;
	return rc;
}

static int
tend(struct lmdb *db)
{
	uint64_t ttl = db->tend_ttl_ms, now = db->tend_now_ms;
	int rc;

	db->tend = false;
	(void)pthread_mutex_unlock(&db->lock);
	rc = change_expire(db, ttl, now);
	(void)pthread_mutex_lock(&db->lock);
	return rc;
}

static bool
has_work(const struct lmdb *db)
{
	return db->stop || db->hurry || db->tend ||
	    db->forget.state == FORGET_WANTED ||
	    (db->due_ms != 0 && clock_mono_ms() >= db->due_ms);
}

/* With the lock held, but not while it writes. */
static void
work(struct lmdb *db)
{
	int rc = MDB_SUCCESS, rc2;
	bool look = db->tend;

	db->writing_since_ms = clock_mono_ms();
	(void)pthread_mutex_unlock(&db->lock);
	if (look)
		mend_look(db);
	mend(db);
	(void)pthread_mutex_lock(&db->lock);
	/* first what makes room */
	if (db->tend)
		rc = tend(db);
	if (db->stop || db->hurry || db->forget.state == FORGET_WANTED ||
	    db->due_ms != 0) {
		rc2 = write_pending(db);
		rc = rc == MDB_SUCCESS ? rc2 : rc;
	}
	if (db->forget.state == FORGET_WANTED) {
		rc2 = forget(db);
		rc = rc == MDB_SUCCESS ? rc2 : rc;
	}
	/* told before anybody goes on who waited for it */
	(void)pthread_mutex_unlock(&db->lock);
	tell(db, rc);
	(void)pthread_mutex_lock(&db->lock);
	db->writing_since_ms = 0;
	(void)pthread_cond_broadcast(&db->done);
}

static void *
run(void *arg)
{
	struct lmdb *db = arg;
	bool stop = false;

	(void)pthread_mutex_lock(&db->lock);
	while (!stop) {
		while (!has_work(db)) {
			if (db->due_ms != 0)
				wait_until(db, &db->work, db->due_ms);
			else
				(void)pthread_cond_wait(&db->work, &db->lock);
		}
		stop = db->stop;
		work(db);
	}
	db->stopped = true;
	(void)pthread_cond_broadcast(&db->done);
	(void)pthread_mutex_unlock(&db->lock);
	return NULL;
}

void
writer_watch(struct lmdb *db)
{
	uint64_t since;
	size_t waiting;

	(void)pthread_mutex_lock(&db->lock);
	since = db->writing_since_ms;
	waiting = writer_waiting(db);
	(void)pthread_mutex_unlock(&db->lock);
	if (since == 0 || clock_mono_ms() - since < HANG_MS)
		return;
	trouble_report(&db->base, &db->writing,
	    "%s: cannot be written: for more than %d s the disk, or another "
	    "process that holds the lock, has not come back (%zu records in "
	    "memory only)",
	    db->base.path, HANG_MS / 1000, waiting);
}

int
writer_start(struct lmdb *db, struct err *e)
{
	sigset_t all, before;
	int rc;

	db->batch = malloc(sizeof(*db->batch));
	if (db->batch == NULL) {
		err_set(e, "no memory");
		return -1;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&db->writer, NULL, run, db);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return 0;
	err_set(e, "no thread for the store: %s", strerror(rc));
	return -1;
}

bool
writer_stop(struct lmdb *db)
{
	uint64_t until = clock_mono_ms() + STOP_MS;
	bool stopped;

	(void)pthread_mutex_lock(&db->lock);
	db->stop = true;
	(void)pthread_cond_signal(&db->work);
	while (!db->stopped && clock_mono_ms() < until)
		wait_until(db, &db->done, until);
	stopped = db->stopped;
	(void)pthread_mutex_unlock(&db->lock);
	if (stopped)
		(void)pthread_join(db->writer, NULL);
	else
		(void)pthread_detach(db->writer);
	return stopped;
}
