/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys, rates and what is said of them. A store that cannot tell never stops
 * anybody; a limit that only warns takes what there is room for and says when
 * there is none. What was not taken is never given back.
 */
#include "gate/tally.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SAY_MS UINT64_C(60000) /* one line about one thing in it */

/* --- whose counter --- */

void
tally_name_address(const struct netaddr *addr, char who_r[TALLY_WHO_MAX])
{
	struct netaddr host = *addr;
	char text[NETADDR_TEXT_MAX];

	if (host.family == NETADDR_INET6)
		memset(host.octets + 8, 0, 8);
	netaddr_format(&host, text);
	(void)snprintf(who_r, TALLY_WHO_MAX, "%s%s", text,
	    host.family == NETADDR_INET6 ? "/64" : "");
}

/* False: the limit is not about this client. */
static bool
name_client(const struct conf_limit *limit, const struct limits_client *client,
    char who_r[TALLY_WHO_MAX])
{
	switch (limit->key) {
	case LIMIT_KEY_LOGIN:
		if (client->login == NULL)
			return false;
		memcpy(who_r, client->login->text,
		    strlen(client->login->text) + 1);
		return true;
	case LIMIT_KEY_ADDR:
		if (client->login != NULL)
			return false;
		tally_name_address(client->addr, who_r);
		return true;
	case LIMIT_KEY_ZONE:
		(void)snprintf(who_r, TALLY_WHO_MAX, "%s",
		    client->zone == ZONE_INTERNAL ? "internal" : "external");
		return true;
	}
	return false;
}

/* One counter of one limit of this client. */
struct counter {
	const struct conf_limit *limit;
	enum limit_counter which;
	struct store_rate rate;
	char who[TALLY_WHO_MAX];
	char key[STORE_KEY_MAX + 1];
};

/* Behind what is at n; n when it does not fit, so that nothing more does. */
static size_t
append(char key[STORE_KEY_MAX + 1], size_t n, const char *text, char end)
{
	size_t len = strlen(text);

	if (len > STORE_KEY_MAX - n - 1) /* names are short: never so */
		return n;
	memcpy(key + n, text, len);
	key[n + len] = end;
	return n + len + 1;
}

/* False: nothing is to be counted there. */
static bool
find_counter(const struct limits_client *client, size_t i,
    enum limit_counter which, struct counter *counter_r)
{
	const struct conf_limit *limit = &client->conf->limits[i];
	const struct conf_quota *quota = &limit->quotas[which];
	size_t n;

	if (quota->count == 0 || !name_client(limit, client, counter_r->who))
		return false;
	counter_r->limit = limit;
	counter_r->which = which;
	counter_r->rate.count = quota->count;
	counter_r->rate.window_ms = quota->window_ms;
	counter_r->key[0] = '\0';
	n = append(counter_r->key, 0, limit->name, '/');
	n = append(counter_r->key, n, conf_counter_name(which), '/');
	(void)append(counter_r->key, n, counter_r->who, '\0');
	return true;
}

/* --- what is said and noted of it --- */

static bool
say_now(struct limits *limits, const char *what, uint64_t now_ms)
{
	return limits->log != NULL &&
	    recent_first(limits->recent, recent_hash(3, what, strlen(what)),
		SAY_MS, now_ms);
}

static void
say_over(struct limits *limits, const struct limits_client *client,
    const struct counter *c)
{
	static const char *const actions[] = {
		[LIMIT_TEMPFAIL] = "tempfail",
		[LIMIT_CONTAIN] = "contain",
		[LIMIT_WARN] = "warn",
	};
	char addr[NETADDR_TEXT_MAX];

	if (!say_now(limits, c->key, client->now_ms))
		return;
	netaddr_format(client->addr, addr);
	log_event(limits->log, LOG_LEVEL_WARNING,
	    "over-limit: limit=%s counter=%s allowed=%" PRIu64 "/%" PRIu64
	    "s action=%s client=%s who=%s",
	    c->limit->name, conf_counter_name(c->which), c->rate.count,
	    c->rate.window_ms / 1000, actions[c->limit->action], addr, c->who);
}

static void
say_unknown(struct limits *limits, const struct limits_client *client)
{
	if (say_now(limits, "store", client->now_ms))
		log_event(limits->log, LOG_LEVEL_WARNING,
		    "the store cannot count: limits do not bind");
}

/* Once for each tenth from the half on. */
static void
note_near(const struct limits_client *client, const struct counter *c,
    uint64_t before, uint64_t after)
{
	uint64_t tenth = after * 10 / c->rate.count;
	char key[STORE_KEY_MAX + 1], percent[8];

	if (tenth < 5 || tenth == before * 10 / c->rate.count)
		return;
	(void)snprintf(key, sizeof(key), TALLY_NEAR "%.*s",
	    (int)(sizeof(key) - sizeof(TALLY_NEAR)), c->key);
	(void)snprintf(percent, sizeof(percent), "%u",
	    (unsigned int)(tenth * 10));
	(void)store_state_put(client->store, key, percent, strlen(percent),
	    client->now_ms + c->rate.window_ms);
}

/* --- counting --- */

/* Somebody is over: what follows from it. Is it refused? */
static bool
offend(struct limits *limits, const struct limits_client *client,
    const struct counter *c, struct limits_account *account)
{
	char why[CONTAIN_WHY_MAX];

	say_over(limits, client, c);
	switch (c->limit->action) {
	case LIMIT_TEMPFAIL:
		return true;
	case LIMIT_WARN:
		account->warned = true;
		return false;
	case LIMIT_CONTAIN:
		break;
	}
	(void)snprintf(why, sizeof(why), "%s/%s", c->limit->name,
	    conf_counter_name(c->which));
	account->step = contain_advance(limits->contain, client->conf,
	    client->store, client->login, account->step, why, client->now_ms);
	return true;
}

/* The step of the ladder has taken the place of these limits. */
static bool
is_suspended(const struct conf_limit *limit,
    const struct limits_account *account)
{
	return limit->action == LIMIT_CONTAIN &&
	    account->step > CONTAINMENT_NONE;
}

enum taken { NOT_TAKEN, TAKEN, TOO_MUCH };

static enum taken
take(struct limits *limits, const struct limits_client *client,
    const struct counter *c, uint64_t cost, struct limits_account *account)
{
	uint64_t left = 0;

	switch (store_rate_take(client->store, c->key, &c->rate, cost,
	    client->now_ms, &left, NULL)) {
	case STORE_TAKEN:
		note_near(client, c, c->rate.count - left - cost,
		    c->rate.count - left);
		return TAKEN;
	case STORE_OVER:
		return offend(limits, client, c, account) ? TOO_MUCH
							  : NOT_TAKEN;
	case STORE_TAKEN_UNKNOWN:
		break;
	}
	say_unknown(limits, client);
	return NOT_TAKEN;
}

static void
give(const struct limits_client *client, size_t i, enum limit_counter which,
    uint64_t cost, struct limits_account *account)
{
	struct counter c;

	account->taken[i].of[which] -= cost;
	if (find_counter(client, i, which, &c))
		store_rate_give(client->store, c.key, &c.rate, cost,
		    client->now_ms);
}

bool
tally_take(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t cost, bool local,
    struct limits_account *account)
{
	struct counter c;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		struct limits_taken *taken = &account->taken[i];
		enum taken got = NOT_TAKEN;

		if ((!local || client->conf->limits[i].count_local) &&
		    !is_suspended(&client->conf->limits[i], account) &&
		    find_counter(client, i, which, &c))
			got = take(limits, client, &c, cost, account);
		taken->just_now = got == TAKEN;
		if (taken->just_now)
			taken->of[which] += cost;
		if (got != TOO_MUCH)
			continue;
		while (i-- > 0) {
			if (account->taken[i].just_now)
				give(client, i, which, cost, account);
		}
		return false;
	}
	return true;
}

void
tally_give_back(const struct limits_client *client, enum limit_counter which,
    struct limits_account *account)
{
	for (size_t i = 0; i < client->conf->limit_count; i++) {
		uint64_t cost = account->taken[i].of[which];

		if (cost > 0)
			give(client, i, which, cost, account);
	}
}

void
tally_count(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, struct limits_account *account)
{
	struct counter c;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		if (!is_suspended(&client->conf->limits[i], account) &&
		    find_counter(client, i, which, &c))
			(void)take(limits, client, &c, 1, account);
	}
}

bool
tally_has_room(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, struct limits_account *account)
{
	struct counter c;
	uint64_t left = 1;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		if (client->conf->limits[i].action == LIMIT_TEMPFAIL &&
		    find_counter(client, i, which, &c) &&
		    store_rate_take(client->store, c.key, &c.rate, 0,
			client->now_ms, &left, NULL) == STORE_TAKEN &&
		    left == 0)
			return !offend(limits, client, &c, account);
	}
	return true;
}

/* This process has noted it so lately that the store still knows it. Too many
 * that are not new matter to a limit that refuses, and to no other. */
static bool
is_no_news(struct limits *limits, const struct limits_client *client,
    const struct counter *c, uint64_t hash)
{
	return c->limit->action != LIMIT_TEMPFAIL &&
	    recent_use(limits->recent, hash, UINT_MAX, client->now_ms);
}

/* A value that was there before offends against nothing that contains, and
 * against a tempfail as long as there are too many. */
bool
tally_note(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t value, struct limits_account *account)
{
	struct counter c;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		int64_t before, after;
		uint64_t hash;

		if (is_suspended(&client->conf->limits[i], account) ||
		    !find_counter(client, i, which, &c))
			continue;
		hash = recent_hash(value + 7, c.key, strlen(c.key));
		if (is_no_news(limits, client, &c, hash))
			continue;
		before = store_distinct_count(client->store, c.key,
		    c.rate.window_ms, client->now_ms);
		after = store_distinct_add(client->store, c.key, value,
		    c.rate.window_ms, client->now_ms);
		if (before < 0 || after < 0) {
			say_unknown(limits, client);
			continue;
		}
		recent_mark(limits->recent, hash, c.rate.window_ms / 8,
		    client->now_ms);
		if (after > before)
			note_near(client, &c, (uint64_t)before,
			    (uint64_t)after);
		if ((uint64_t)after > c.rate.count &&
		    (after > before || c.limit->action == LIMIT_TEMPFAIL) &&
		    offend(limits, client, &c, account))
			return false;
	}
	return true;
}
