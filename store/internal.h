/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_INTERNAL_H
#define POSTERN_STORE_INTERNAL_H

#include <stdarg.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <pthread.h>

#include "store/gcra.h"
#include "store/record.h"
#include "store/store.h"

/*
 * The store's inside. store.c knows what is kept and under which keys, and asks
 * one of two implementations: lmdb.c, redis.c.
 */

/* Something that goes wrong again and again, and is told once a minute; when it
 * comes and goes, a few times. */
struct trouble {
	atomic_bool on;
	bool told; /* since it is on */
	uint64_t again_ms;
	unsigned int times; /* told, in the minute that ends then: */
	uint64_t minute_ms;
};

struct store_ops {
	/* Frees it. */
	void (*close)(struct store *store);
	int (*flush)(struct store *store, uint64_t wait_ms);
	/* NULL: nobody waits long in any case */
	void (*hurry)(struct store *store, uint64_t wait_ms);
	/* NULL: nobody waits for an answer */
	void (*callback)(struct store *store);
	void (*tend)(struct store *store, uint64_t ttl_ms, uint64_t now_ms);
	int (*put)(struct store *store, const struct record *record);
	/* Fills in those with these keys, all of one group; found_r has a bit
	 * for each that is there. -1: unknown (reported). */
	int (*get)(struct store *store, struct record *records, size_t count,
	    unsigned int *found_r);
	/* Every record of the group, perhaps twice: the better of two counts.
	 * each() must not ask the store. -1: unknown (reported). */
	int (*group)(struct store *store, const struct record_key *group,
	    void (*each)(void *arg, const struct record_view *view), void *arg);
	int (*forget)(struct store *store, const struct record_key *key,
	    bool group, struct err *e);
	/* Those whose keys begin so, by key. */
	int (*list)(struct store *store, const struct record_key *prefix,
	    int (*each)(void *arg, const struct record *record), void *arg,
	    struct err *e);
	/* us_r: the key's state after that. */
	enum store_taken (*take)(struct store *store,
	    const struct record_key *key, const struct gcra *gcra,
	    uint64_t *us_r);
	void (*give)(struct store *store, const struct record_key *key,
	    const struct gcra *gcra);
	/* value NULL: only counts. */
	int64_t (*distinct)(struct store *store, const struct record_key *key,
	    const uint64_t *value, uint64_t window_ms, uint64_t now_ms);
};

/* Implementations begin with it. */
struct store {
	const struct store_ops *ops;
	char *path; /* by which it is named to people */
	void (*report)(void *arg, enum store_level level, const char *text);
	void *report_arg;
	pthread_mutex_t trouble_lock;
};

/* Sets what they have in common. -1 with the reason in e. path is taken. */
int store_begin(struct store *store, const struct store_ops *ops,
    const struct store_options *options, char *path, struct err *e);
void store_end(struct store *store);

/* lmdb.c */
struct store *lmdb_open(const struct store_options *options, struct err *e);

/* redis.c */
struct store *redis_open(const struct store_options *options, struct err *e);

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
