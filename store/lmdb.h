/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_LMDB_H
#define POSTERN_STORE_LMDB_H

#include <errno.h>

#include <lmdb.h>

#include "store/internal.h"
#include "store/overlay.h"

/*
 * The inside of the implementation with LMDB, for its files and the tests of
 * its limits.
 */

/* Gets at one time; each has a slot in LMDB's table of (by default) 126. */
#define STORE_READERS 32

struct store_limits {
	size_t map_bytes; /* the file never gets larger */
	size_t records;   /* in the file; counters get three quarters */
	size_t pending;   /* octets in memory, on their way there */
	size_t counters;  /* octets of counters in memory */
};

struct forget_request {
	enum {
		FORGET_NONE = 0,
		FORGET_WANTED,
		FORGET_TAKEN,
		FORGET_DONE
	} state;
	struct record_key key;
	bool group;     /* all of the group that this is the key of */
	bool abandoned; /* nobody waits for it any more */
	int count;      /* -1: e says why */
	struct err e;
};

struct lmdb {
	struct store base;
	struct store_limits limits;
	char *dir;

	/* changed by the writer alone, while it is shut; NULL: no file can be
	 * opened */
	MDB_env *env;
	MDB_dbi dbi;

	/* transactions at rest, ready to be renewed */
	pthread_mutex_t readers_lock;
	pthread_cond_t reader_back;
	MDB_txn *readers[STORE_READERS];
	size_t readers_idle;
	size_t readers_made;
	bool shut; /* to readers */

	struct trouble writing;
	struct trouble reading;
	struct trouble losing;
	struct trouble mending;
	atomic_bool ailing; /* the writer shall mend it */

	/* Rates and distinct values live in memory: this process counts them,
	 * the file has them for the next one. */
	pthread_mutex_t counters_lock;
	struct overlay *counters;
	atomic_bool counted; /* the writer has been told */

	/* Between callers and the writer, which never writes under the lock.
	 * Conditions tell monotonic time. Taken before counters_lock. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t done;
	struct overlay *overlay;
	atomic_size_t pending;     /* in the overlay, read without the lock */
	uint64_t due_ms;           /* when what is pending shall be written */
	uint64_t writing_since_ms; /* 0: it is not writing */
	bool hurry;                /* somebody waits */
	bool stop;
	bool stopped;
	bool written;    /* the last try went well */
	uint64_t rounds; /* tries to write what is pending, come to an end */
	struct forget_request forget;
	bool tend;
	uint64_t tend_ttl_ms;
	uint64_t tend_now_ms;
	uint64_t end_ms; /* of all waiting; 0: there is none */
	pthread_t writer;

	/* the writer's own */
	struct overlay_batch *batch;
	struct record_key expire_at; /* where the next look begins */
	uint64_t mend_ms;            /* not before that */
};

/* Beside LMDB's codes: a record's check sum is wrong; there is no file at
 * present. */
#define STORE_BAD_RECORD EBADMSG
#define STORE_SHUT       EAGAIN
/* What a code means. */
const char *lmdb_text(int rc);

/* store_open() with other limits, for tests. */
struct store *lmdb_open_limited(const struct store_options *options,
    const struct store_limits *limits, struct err *e);

/* file.c: opens the environment in this directory. -1 with the reason in e. */
int file_open(struct lmdb *db, const char *dir, struct err *e);

/* reader.c: what is in the file. found_r has a bit for each that is there. -1:
 * cannot be read (reported). */
int reader_get(struct lmdb *db, struct record *records, size_t count,
    unsigned int *found_r);
/* ... a counter: its state of at most size octets. 1: found, 0, -1. */
int reader_counter(struct lmdb *db, const struct record_key *key,
    uint64_t *stamp_r, void *value_r, size_t size, size_t *len_r);
int reader_group(struct lmdb *db, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg);
/* Copies up to max records that begin with prefix, from the key at on, which it
 * moves behind the last. -1 with the reason in e. */
ssize_t reader_list(struct lmdb *db, const struct record_key *prefix,
    struct record_key *at, struct record *records_r, size_t max, struct err *e);
/* Ends the transactions at rest. */
void reader_free(struct lmdb *db);

/* counter.c */
enum store_taken counter_take(struct store *store, const struct record_key *key,
    const struct gcra *gcra, uint64_t *us_r);
void counter_give(struct store *store, const struct record_key *key,
    const struct gcra *gcra);
int64_t counter_distinct(struct store *store, const struct record_key *key,
    const uint64_t *value, uint64_t window_ms, uint64_t now_ms);

/* writer.c */
int writer_start(struct lmdb *db, struct err *e);
/* False: it hangs and has been left behind; nothing of it may be freed. */
bool writer_stop(struct lmdb *db);
/* With the lock held: the writer has something to do, as soon as something else
 * may have come along. */
void writer_wake(struct lmdb *db);
/* Tells about a writer that another process keeps waiting. Without the lock. */
void writer_watch(struct lmdb *db);
/* With the lock held: what is not in the file yet, counters too. */
size_t writer_waiting(struct lmdb *db);

/* mend.c: is it LMDB's code for a file that cannot be worked with? */
bool mend_is_needed(int rc);
/* Finds out whether the file is still at its place. */
void mend_look(struct lmdb *db);
/* If it is ailing: opens it again, or a new one. Tells what comes of it. */
void mend(struct lmdb *db);

/* change.c: what the writer does, each a transaction. LMDB's codes. */
int change_put(struct lmdb *db, struct overlay_batch *batch, size_t *lost_r);
int change_forget(struct lmdb *db, struct forget_request *request);
int change_expire(struct lmdb *db, uint64_t ttl_ms, uint64_t now_ms);

#endif
