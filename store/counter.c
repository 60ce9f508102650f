/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of the implementation with LMDB. Memory has the truth: nothing here
 * waits for the writer, and the file is asked once for a key. What the file
 * cannot take any more is counted all the same.
 */
#include <string.h>

#include "store/lmdb.h"

struct seen {
	uint64_t value;
	uint64_t time_ms;
};

struct set {
	size_t count;
	struct seen seen[STORE_DISTINCT_MAX];
};

static void
keep(struct lmdb *db, const struct record_key *key, uint64_t until_ms,
    const void *value, size_t len, bool changed)
{
	bool lost;
	int rc = overlay_put(db->counters, key, until_ms, value, len,
	    changed ? clock_real_ns() : 0, changed, &lost);

	if (rc != 0 || lost)
		trouble_report(&db->base, &db->losing,
		    "%s: no memory for counters: some begin anew",
		    db->base.path);
}

/* Once for many changes. */
static void
tell_writer(struct lmdb *db)
{
	if (atomic_exchange(&db->counted, true))
		return;
	(void)pthread_mutex_lock(&db->lock);
	writer_wake(db);
	(void)pthread_mutex_unlock(&db->lock);
}

/*
 * With counters_lock held, but not while it reads the file. value_r has room
 * for size octets; *len_r 0 when there is nothing. -1: unknown.
 */
static int
fetch(struct lmdb *db, const struct record_key *key, void *value_r, size_t size,
    size_t *len_r)
{
	struct record_view view;
	uint64_t until;
	int found;

	*len_r = 0;
	if (!overlay_find(db->counters, key, &view)) {
		(void)pthread_mutex_unlock(&db->counters_lock);
		found = reader_counter(db, key, &until, value_r, size, len_r);
		(void)pthread_mutex_lock(&db->counters_lock);
		if (found < 0)
			return -1;
		/* another thread may have been here */
		if (!overlay_find(db->counters, key, &view)) {
			if (found == 1)
				keep(db, key, until, value_r, *len_r, false);
			return 0;
		}
	}
	*len_r = view.len <= size ? view.len : 0;
	memcpy(value_r, view.value, *len_r);
	return 0;
}

static int
fetch_rate(struct lmdb *db, const struct record_key *key, uint64_t *us_r)
{
	size_t len;

	*us_r = 0;
	if (fetch(db, key, us_r, sizeof(*us_r), &len) != 0)
		return -1;
	if (len != sizeof(*us_r))
		*us_r = 0;
	return 0;
}

static void
keep_rate(struct lmdb *db, const struct record_key *key, uint64_t us)
{
	keep(db, key, us / 1000 + 1, &us, sizeof(us), true);
}

enum store_taken
counter_take(struct store *store, const struct record_key *key,
    const struct gcra *gcra, uint64_t *us_r)
{
	struct lmdb *db = (struct lmdb *)store;
	enum store_taken taken = STORE_TAKEN_UNKNOWN;
	bool changed = false;

	(void)pthread_mutex_lock(&db->counters_lock);
	if (fetch_rate(db, key, us_r) == 0) {
		taken = gcra_take(gcra, us_r);
		changed = taken == STORE_TAKEN && gcra->cost_us > 0;
		if (changed)
			keep_rate(db, key, *us_r);
	}
	(void)pthread_mutex_unlock(&db->counters_lock);
	if (changed)
		tell_writer(db);
	return taken;
}

void
counter_give(struct store *store, const struct record_key *key,
    const struct gcra *gcra)
{
	struct lmdb *db = (struct lmdb *)store;
	uint64_t us;
	bool changed;

	(void)pthread_mutex_lock(&db->counters_lock);
	changed = fetch_rate(db, key, &us) == 0 && us > gcra->now_us;
	if (changed) {
		gcra_give(gcra, &us);
		keep_rate(db, key, us);
	}
	(void)pthread_mutex_unlock(&db->counters_lock);
	if (changed)
		tell_writer(db);
}

/* Does it count? Threads and hosts do not have quite the same time. */
static bool
is_within(uint64_t time_ms, uint64_t window_ms, uint64_t now_ms)
{
	return time_ms <= now_ms ? now_ms - time_ms < window_ms
				 : time_ms - now_ms < window_ms;
}

/* Drops what is too old or from nowhere, and one value. */
static void
prune(struct set *set, const uint64_t *value, uint64_t window_ms,
    uint64_t now_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct seen *seen = &set->seen[i];

		if (is_within(seen->time_ms, window_ms, now_ms) &&
		    (value == NULL || seen->value != *value))
			set->seen[count++] = *seen;
	}
	set->count = count;
}

/* They are in order of time, but for clocks that jump. */
static void
note(struct set *set, uint64_t value, uint64_t now_ms)
{
	if (set->count == STORE_DISTINCT_MAX)
		memmove(&set->seen[0], &set->seen[1],
		    --set->count * sizeof(set->seen[0]));
	set->seen[set->count++] = (struct seen){ value, now_ms };
}

int64_t
counter_distinct(struct store *store, const struct record_key *key,
    const uint64_t *value, uint64_t window_ms, uint64_t now_ms)
{
	struct lmdb *db = (struct lmdb *)store;
	struct set set;
	size_t len;
	int rc;

	(void)pthread_mutex_lock(&db->counters_lock);
	rc = fetch(db, key, set.seen, sizeof(set.seen), &len);
	if (rc == 0) {
		set.count = len / sizeof(set.seen[0]);
		prune(&set, value, window_ms, now_ms);
		if (value != NULL) {
			note(&set, *value, now_ms);
			keep(db, key, now_ms + window_ms, set.seen,
			    set.count * sizeof(set.seen[0]), true);
		}
	}
	(void)pthread_mutex_unlock(&db->counters_lock);
	if (rc != 0)
		return -1;
	if (value != NULL)
		tell_writer(db);
	return (int64_t)set.count;
}
