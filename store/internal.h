/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_INTERNAL_H
#define POSTERN_STORE_INTERNAL_H

#include <stdarg.h>
#include <stdatomic.h>

#include <lmdb.h>
#include <pthread.h>

#include "store/overlay.h"
#include "store/record.h"
#include "store/store.h"

/*
 * The store's inside, for the files in store/ and the tests of their limits.
 */

/* Gets at one time; each has a slot in LMDB's table of (by default) 126. */
#define STORE_READERS 32

struct store_limits {
	size_t map_bytes; /* the file never gets larger */
	size_t proofs;    /* in the file */
	size_t pending;   /* in memory, on their way there */
};

/* Something that goes wrong again and again, and is told once a minute. */
struct trouble {
	atomic_bool on;
	uint64_t again_ms;
};

struct forget_request {
	enum {
		FORGET_NONE = 0,
		FORGET_WANTED,
		FORGET_TAKEN,
		FORGET_DONE
	} state;
	struct login login;
	bool exact; /* this address only, else all of the login */
	struct netaddr addr;
	bool abandoned; /* nobody waits for it any more */
	int count;      /* -1: e says why */
	struct err e;
};

struct store {
	char *path;
	struct store_limits limits;
	void (*report)(void *arg, enum store_level level, const char *text);
	void *report_arg;

	MDB_env *env;
	MDB_dbi dbi;

	/* transactions at rest, ready to be renewed */
	pthread_mutex_t readers_lock;
	pthread_cond_t reader_back;
	MDB_txn *readers[STORE_READERS];
	size_t readers_idle;
	size_t readers_made;

	pthread_mutex_t trouble_lock;
	struct trouble writing;
	struct trouble reading;
	struct trouble losing;

	/* Between callers and the writer, which never writes under the lock.
	 * Conditions tell monotonic time. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t done;
	struct overlay *overlay;
	atomic_size_t pending;     /* overlay_count(), read without the lock */
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
	pthread_t writer;

	/* the writer's own */
	struct overlay_item *batch;
	struct record_key expire_at; /* where the next look begins */
};

/* store_open() with other limits, for tests. */
struct store *store_open_limited(const struct store_options *options,
    const struct store_limits *limits, struct err *e);

/* file.c: opens the environment in this directory. -1 with the reason in e. */
int file_open(struct store *store, const char *dir, struct err *e);

/* reader.c: looks keys up in the file; found_r has a bit for each that is
 * there. -1: cannot be read (reported). */
int reader_get(struct store *store, struct record_key *keys, size_t count,
    uint64_t *times_r, unsigned int *found_r);
/* Copies up to max proofs, from the key at on, which it moves behind the last.
 * -1 with the reason in e. */
ssize_t reader_list(struct store *store, struct record_key *at,
    struct store_proof *proofs_r, size_t max, struct err *e);
void reader_free(struct store *store);

/* writer.c */
int writer_start(struct store *store, struct err *e);
/* False: it hangs and has been left behind; nothing of it may be freed. */
bool writer_stop(struct store *store);
/* With the lock held: the writer has something to do by then. */
void writer_wake(struct store *store, uint64_t due_ms);
/* Tells about a writer that another process keeps waiting. Without the lock. */
void writer_watch(struct store *store);

/* change.c: what the writer does, each a transaction. LMDB's codes. */
int change_put(struct store *store, struct overlay_item *items, size_t count);
int change_forget(struct store *store, struct forget_request *request);
int change_expire(struct store *store, uint64_t ttl_ms, uint64_t now_ms);

/* trouble.c */
void report(struct store *store, enum store_level level, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
void trouble_report(struct store *store, struct trouble *trouble,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void trouble_over(struct store *store, struct trouble *trouble,
    const char *text);

uint64_t clock_mono_ms(void);
uint64_t clock_real_ns(void);

#endif
