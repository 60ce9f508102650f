/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is near a limit, for a person who looks. The daemon leaves a note when
 * somebody passes a half; how much it is by now is asked of the counter.
 */
#include <string.h>

#include "gate/tally.h"

struct listing {
	struct store *store;
	const struct conf *conf;
	uint64_t now_ms;
	int (*each)(void *arg, const struct limits_near *near);
	void *arg;
};

static unsigned int
percent_now(const struct listing *l, const struct conf_quota *quota,
    enum limit_counter which, const char *key)
{
	struct store_rate rate = { quota->count, quota->window_ms };
	uint64_t used = 0, left = quota->count;
	int64_t seen;

	if (which >= COUNTER_ADDRESSES) {
		seen = store_distinct_count(l->store, key, quota->window_ms,
		    l->now_ms);
		used = seen > 0 ? (uint64_t)seen : 0;
	} else if (store_rate_take(l->store, key, &rate, 0, l->now_ms, &left,
		       NULL) == STORE_TAKEN) {
		used = quota->count - left;
	}
	if (used > quota->count)
		used = quota->count;
	return (unsigned int)(used * 100 / quota->count);
}

/* Behind "NAME/", or NULL when something else is there. */
static const char *
behind(const char *text, const char *name)
{
	size_t len = strlen(name);

	return strncmp(text, name, len) == 0 && text[len] == '/'
	    ? text + len + 1
	    : NULL;
}

/* Splits LIMIT/COUNTER/WHO. -1: the configuration has no such counter. */
static int
find(const struct conf *conf, const char *key, struct limits_near *near_r,
    enum limit_counter *which_r, const struct conf_quota **quota_r)
{
	for (size_t i = 0; i < conf->limit_count; i++) {
		const struct conf_limit *limit = &conf->limits[i];
		const char *rest = behind(key, limit->name);

		for (size_t k = 0; rest != NULL && k < LIMIT_COUNTERS; k++) {
			const char *name =
			    conf_counter_name((enum limit_counter)k);
			const char *who = behind(rest, name);

			if (who == NULL || limit->quotas[k].count == 0)
				continue;
			*near_r =
			    (struct limits_near){ limit->name, name, who, 0 };
			*which_r = (enum limit_counter)k;
			*quota_r = &limit->quotas[k];
			return 0;
		}
	}
	return -1;
}

static int
list_one(void *arg, const char *state, const void *value, size_t len,
    uint64_t until_ms)
{
	const struct listing *l = arg;
	const char *key = state + strlen(TALLY_NEAR);
	const struct conf_quota *quota;
	enum limit_counter which;
	struct limits_near near;

	(void)value;
	(void)len;
	(void)until_ms;
	if (find(l->conf, key, &near, &which, &quota) != 0)
		return 0;
	near.percent = percent_now(l, quota, which, key);
	return near.percent >= 50 ? l->each(l->arg, &near) : 0;
}

int
limits_list(struct store *store, const struct conf *conf, uint64_t now_ms,
    int (*each)(void *arg, const struct limits_near *near), void *arg,
    struct err *e)
{
	struct listing listing = { store, conf, now_ms, each, arg };

	return store_state_list(store, TALLY_NEAR, now_ms, list_one, &listing,
	    e);
}
