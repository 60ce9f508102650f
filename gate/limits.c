/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reserves, gives back and settles. It answers "within" or "over" and leaves
 * the reply to policy; a store that cannot tell never stops anybody. A limit
 * that only warns takes what there is room for and says when there is none.
 */
#include "gate/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/sentinel.h"
#include "policy/domain.h"

#define AGAIN_MS   UINT64_C(3600000) /* a message is known again so long ... */
#define AGAIN_MOST 5                 /* ... and so often */
#define SAY_MS     UINT64_C(60000)   /* one line about one thing in it */
#define PREFIX     "near/"

struct limits {
	struct recent *recent;
	struct contain *contain;
	struct log *log;
};

struct limits *
limits_new(struct log *log)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits == NULL)
		return NULL;
	limits->log = log;
	limits->recent = recent_new();
	if (limits->recent != NULL)
		limits->contain = contain_new(limits->recent, log);
	if (limits->contain == NULL)
		limits_free(&limits);
	return limits;
}

void
limits_free(struct limits **limits)
{
	if (*limits == NULL)
		return;
	contain_free(&(*limits)->contain);
	recent_free(&(*limits)->recent);
	free(*limits);
	*limits = NULL;
}

struct contain *
limits_contain(struct limits *limits)
{
	return limits->contain;
}

/* --- whose counter --- */

void
limits_payer(const struct rules *rules, const struct login *login,
    struct login *payer_r)
{
	rules_account(rules, login, payer_r);
	for (char *p = payer_r->text; *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
}

#define WHO_MAX (LOGIN_MAX + 1)

/* An IPv6 host has its /64 to choose addresses from. */
static void
name_address(const struct netaddr *addr, char who_r[WHO_MAX])
{
	struct netaddr host = *addr;
	char text[NETADDR_TEXT_MAX];

	if (host.family == NETADDR_INET6)
		memset(host.octets + 8, 0, 8);
	netaddr_format(&host, text);
	(void)snprintf(who_r, WHO_MAX, "%s%s", text,
	    host.family == NETADDR_INET6 ? "/64" : "");
}

/* False: the limit is not about this client. */
static bool
name_client(const struct conf_limit *limit, const struct limits_client *client,
    char who_r[WHO_MAX])
{
	switch (limit->key) {
	case LIMIT_KEY_LOGIN:
		if (client->login == NULL)
			return false;
		(void)snprintf(who_r, WHO_MAX, "%s", client->login->text);
		return true;
	case LIMIT_KEY_ADDR:
		if (client->login != NULL)
			return false;
		name_address(client->addr, who_r);
		return true;
	case LIMIT_KEY_ZONE:
		(void)snprintf(who_r, WHO_MAX, "%s",
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
	char who[WHO_MAX];
	char key[STORE_KEY_MAX + 1];
};

/* False: nothing is to be counted there. */
static bool
find_counter(const struct limits_client *client, size_t i,
    enum limit_counter which, struct counter *counter_r)
{
	const struct conf_limit *limit = &client->conf->limits[i];
	const struct conf_quota *quota = &limit->quotas[which];

	if (quota->count == 0 || !name_client(limit, client, counter_r->who))
		return false;
	counter_r->limit = limit;
	counter_r->which = which;
	counter_r->rate.count = quota->count;
	counter_r->rate.window_ms = quota->window_ms;
	(void)snprintf(counter_r->key, sizeof(counter_r->key), "%s/%s/%s",
	    limit->name, conf_counter_name(which), counter_r->who);
	return true;
}

/* --- what is said and noted of it --- */

static bool
say_now(struct limits *limits, const char *what, const char *whom,
    uint64_t now_ms)
{
	uint64_t hash = recent_hash(3, what, strlen(what));

	return limits->log != NULL &&
	    recent_first(limits->recent, recent_hash(hash, whom, strlen(whom)),
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

	if (!say_now(limits, c->key, "", client->now_ms))
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
	if (say_now(limits, "store", "", client->now_ms))
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
	(void)snprintf(key, sizeof(key), PREFIX "%.*s",
	    (int)(sizeof(key) - sizeof(PREFIX)), c->key);
	(void)snprintf(percent, sizeof(percent), "%u",
	    (unsigned int)(tenth * 10));
	(void)store_state_put(client->store, key, percent, strlen(percent),
	    client->now_ms + c->rate.window_ms);
}

/* --- counting --- */

enum outcome { WITHIN, OVER };

/* Somebody is over: what follows from it. */
static enum outcome
offend(struct limits *limits, const struct limits_client *client,
    const struct counter *c, struct limits_account *account)
{
	char why[CONTAIN_WHY_MAX];

	say_over(limits, client, c);
	switch (c->limit->action) {
	case LIMIT_TEMPFAIL:
		return OVER;
	case LIMIT_WARN:
		account->warned = true;
		return WITHIN;
	case LIMIT_CONTAIN:
		break;
	}
	(void)snprintf(why, sizeof(why), "%s/%s", c->limit->name,
	    conf_counter_name(c->which));
	account->step = contain_advance(limits->contain, client->conf,
	    client->store, client->login, account->step, why, client->now_ms);
	return OVER;
}

/* The step of the ladder has taken the place of these limits. */
static bool
is_suspended(const struct conf_limit *limit,
    const struct limits_account *account)
{
	return limit->action == LIMIT_CONTAIN &&
	    account->step > CONTAINMENT_NONE;
}

static enum outcome
take(struct limits *limits, const struct limits_client *client,
    const struct counter *c, uint64_t cost, struct limits_account *account)
{
	uint64_t left = 0;

	switch (store_rate_take(client->store, c->key, &c->rate, cost,
	    client->now_ms, &left, NULL)) {
	case STORE_TAKEN:
		note_near(client, c, c->rate.count - left - cost,
		    c->rate.count - left);
		return WITHIN;
	case STORE_OVER:
		return offend(limits, client, c, account);
	case STORE_TAKEN_UNKNOWN:
		break;
	}
	say_unknown(limits, client);
	return WITHIN;
}

static void
give(const struct limits_client *client, enum limit_counter which, size_t upto,
    uint64_t cost, uint64_t local)
{
	struct counter c;

	for (size_t i = 0; i < upto; i++) {
		uint64_t back = cost;

		if (!find_counter(client, i, which, &c))
			continue;
		if (c.limit->count_local)
			back += local;
		if (back > 0)
			store_rate_give(client->store, c.key, &c.rate, back,
			    client->now_ms);
	}
}

/* Of every limit, or of none. */
static enum outcome
take_all(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t cost, bool local,
    struct limits_account *account)
{
	struct counter c;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		if (!find_counter(client, i, which, &c) ||
		    is_suspended(c.limit, account) ||
		    (local && !c.limit->count_local))
			continue;
		if (take(limits, client, &c, cost, account) == OVER) {
			give(client, which, i, local ? 0 : cost,
			    local ? cost : 0);
			return OVER;
		}
	}
	return WITHIN;
}

/* A value that was there before is no news: it offends against nothing that
 * contains, and against a tempfail as long as there are too many. */
static enum outcome
add(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t value, struct limits_account *account)
{
	struct counter c;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		int64_t before, after;

		if (!find_counter(client, i, which, &c) ||
		    is_suspended(c.limit, account))
			continue;
		before = store_distinct_count(client->store, c.key,
		    c.rate.window_ms, client->now_ms);
		after = store_distinct_add(client->store, c.key, value,
		    c.rate.window_ms, client->now_ms);
		if (before < 0 || after < 0) {
			say_unknown(limits, client);
			continue;
		}
		if (after > before)
			note_near(client, &c, (uint64_t)before,
			    (uint64_t)after);
		if ((uint64_t)after > c.rate.count &&
		    (after > before || c.limit->action == LIMIT_TEMPFAIL) &&
		    offend(limits, client, &c, account) == OVER)
			return OVER;
	}
	return WITHIN;
}

/* A client has many addresses in its network, and one network is one place. */
static uint64_t
network_hash(const struct netaddr *addr)
{
	return recent_hash((uint64_t)addr->family, addr->octets,
	    addr->family == NETADDR_INET6 ? 6 : 3);
}

static uint64_t
path_hash(uint64_t hash, const struct path *path)
{
	hash = recent_hash(hash, path->local, strlen(path->local));
	return recent_hash(hash, path->domain, strlen(path->domain));
}

/* Has the MTA refused too many lately? Who is to be contained has been. */
static enum outcome
look_at_bad(struct limits *limits, const struct limits_client *client,
    struct limits_account *account)
{
	struct counter c;
	uint64_t left = 1;

	for (size_t i = 0; i < client->conf->limit_count; i++) {
		if (find_counter(client, i, COUNTER_BAD_RECIPIENTS, &c) &&
		    c.limit->action == LIMIT_TEMPFAIL &&
		    store_rate_take(client->store, c.key, &c.rate, 0,
			client->now_ms, &left, NULL) == STORE_TAKEN &&
		    left == 0)
			return offend(limits, client, &c, account);
	}
	return WITHIN;
}

/* --- the life of a message --- */

static bool
counts_nothing(const struct limits_client *client)
{
	return client->store == NULL || !client->counts;
}

static enum outcome
reserve_message(struct limits *limits, const struct limits_client *client,
    uint64_t sender, uint64_t size, struct limits_account *account)
{
	if (add(limits, client, COUNTER_ADDRESSES, network_hash(client->addr),
		account) == OVER ||
	    add(limits, client, COUNTER_SENDERS, sender, account) == OVER ||
	    look_at_bad(limits, client, account) == OVER)
		return OVER;
	if (client->rcpt_alone)
		return WITHIN;
	if (size > 0) {
		if (take_all(limits, client, COUNTER_BYTES, size, false,
			account) == OVER)
			return OVER;
		account->bytes = size;
	}
	if (take_all(limits, client, COUNTER_MESSAGES, 1, false, account) ==
	    OVER)
		return OVER;
	account->messages = 1;
	return WITHIN;
}

void
limits_mail(struct limits *limits, const struct limits_client *client,
    const struct path *sender, uint64_t size, struct limits_account *account,
    struct facts *facts)
{
	uint64_t hash = path_hash(4, sender);
	char who[WHO_MAX];

	facts->limit = LIMIT_WITHIN;
	facts->containment = account->step = CONTAINMENT_NONE;
	if (client->store == NULL)
		return;
	if (client->login != NULL) {
		account->step = contain_look(client->conf, client->store,
		    client->login, client->now_ms);
		(void)snprintf(who, sizeof(who), "%s", client->login->text);
	} else {
		name_address(client->addr, who);
	}
	account->message = recent_hash(hash + size, who, strlen(who));
	facts->containment = account->step;
	if (account->step == CONTAINMENT_SHUT || counts_nothing(client))
		return;
	if (reserve_message(limits, client, hash, size, account) == OVER) {
		facts->limit = LIMIT_OVER;
		limits_give_back(client, account);
	}
}

static int
remember(struct limits_account *account, uint64_t hash)
{
	if (account->count == account->room) {
		size_t room = account->room == 0 ? 8 : account->room * 2;
		uint64_t *grown =
		    reallocarray(account->counted, room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		account->counted = grown;
		account->room = room;
	}
	account->counted[account->count++] = hash;
	return 0;
}

/* A slowed login has a limit of its own. */
static enum outcome
take_slowed(const struct limits_client *client)
{
	struct store_rate rate = { client->conf->contain.rate.count,
		client->conf->contain.rate.window_ms };
	char key[STORE_KEY_MAX + 1];

	(void)snprintf(key, sizeof(key), "slowed/%s", client->login->text);
	return store_rate_take(client->store, key, &rate, 1, client->now_ms,
		   NULL, NULL) == STORE_OVER
	    ? OVER
	    : WITHIN;
}

static enum outcome
reserve_recipient(struct limits *limits, const struct limits_client *client,
    uint64_t hash, bool local, struct limits_account *account)
{
	bool again = account->step == CONTAINMENT_NONE &&
	    recent_use(limits->recent, hash, AGAIN_MOST, client->now_ms);

	if (account->step == CONTAINMENT_SLOWED &&
	    take_slowed(client) == OVER) {
		contain_press(limits->contain, client->conf, client->store,
		    client->login, account->step, hash, client->now_ms);
		return OVER;
	}
	if (!again) {
		if (take_all(limits, client, COUNTER_RECIPIENTS, 1, local,
			account) == OVER)
			return OVER;
		if (local)
			account->local_recipients++;
		else
			account->recipients++;
	}
	if (remember(account, hash) == 0 && again)
		account->again++;
	return WITHIN;
}

void
limits_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account,
    struct facts *facts)
{
	unsigned int most = client->conf->recipients_max;

	facts->recipient_limit = LIMIT_WITHIN;
	if (most > 0 && account->count >= most) {
		facts->recipient_limit = LIMIT_RECIPIENTS;
		return;
	}
	if (counts_nothing(client)) {
		(void)remember(account, 0);
		return;
	}
	if (client->login != NULL)
		recent_note(limits->recent, client->login, client->addr,
		    recipient->domain);
	if (reserve_recipient(limits, client,
		path_hash(account->message, recipient),
		facts->recipient_local == TRI_YES, account) == OVER)
		facts->recipient_limit = LIMIT_OVER;
}

void
limits_contained(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, const struct limits_account *account)
{
	if (counts_nothing(client) || client->login == NULL)
		return;
	recent_note(limits->recent, client->login, client->addr,
	    recipient->domain);
	contain_press(limits->contain, client->conf, client->store,
	    client->login, account->step,
	    path_hash(account->message, recipient), client->now_ms);
}

void
limits_bad_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account)
{
	if (counts_nothing(client))
		return;
	if (client->login != NULL)
		recent_note(limits->recent, client->login, client->addr,
		    recipient->domain);
	(void)take_all(limits, client, COUNTER_BAD_RECIPIENTS, 1, false,
	    account);
}

bool
limits_body(struct limits *limits, const struct limits_client *client,
    uint64_t octets, struct limits_account *account)
{
	uint64_t more;

	if (counts_nothing(client) || octets <= account->bytes)
		return true;
	more = octets - account->bytes;
	if (take_all(limits, client, COUNTER_BYTES, more, false, account) ==
	    OVER)
		return false;
	account->bytes = octets;
	return true;
}

static void
end_account(struct limits_account *account)
{
	free(account->counted);
	memset(account, 0, sizeof(*account));
}

void
limits_give_back(const struct limits_client *client,
    struct limits_account *account)
{
	size_t all = client->conf->limit_count;
	enum containment step = account->step;

	if (!counts_nothing(client)) {
		give(client, COUNTER_MESSAGES, all, account->messages, 0);
		give(client, COUNTER_BYTES, all, account->bytes, 0);
		give(client, COUNTER_RECIPIENTS, all, account->recipients,
		    account->local_recipients);
	}
	end_account(account);
	account->step = step;
}

void
limits_settle(struct limits *limits, const struct limits_client *client,
    struct limits_account *account)
{
	size_t all = client->conf->limit_count;

	if (!counts_nothing(client) && account->count > 0 &&
	    account->again == account->count) {
		give(client, COUNTER_MESSAGES, all, account->messages, 0);
		give(client, COUNTER_BYTES, all, account->bytes, 0);
	}
	for (size_t i = 0; !counts_nothing(client) && i < account->count; i++)
		recent_mark(limits->recent, account->counted[i], AGAIN_MS,
		    client->now_ms);
	end_account(account);
}

static const char *
foreign_domain(const struct conf *conf, const struct path *path)
{
	if (path->form != PATH_MAILBOX || path->domain[0] == '\0' ||
	    domainset_contains(conf->policy.local_domains, path->domain))
		return "";
	return path->domain;
}

void
limits_watch(struct limits *limits, const struct limits_client *client,
    const char *helo, const struct path *sender, const struct path *recipient)
{
	struct sentinel_sight sight = {
		.addr = client->addr,
		.helo = helo != NULL ? helo : "",
		.sender = foreign_domain(client->conf, sender),
		.recipient = foreign_domain(client->conf, recipient),
	};

	if (client->counts && client->login == NULL &&
	    client->zone == ZONE_INTERNAL)
		sentinel_see(limits->recent, limits->log, client->conf,
		    client->store, &sight, client->now_ms);
}

/* --- for a person who looks --- */

struct listing {
	struct store *store;
	const struct conf *conf;
	uint64_t now_ms;
	int (*each)(void *arg, const struct limits_near *near);
	void *arg;
};

/* How much of it is used now? */
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

static int
list_one(void *arg, const char *key, const void *value, size_t len,
    uint64_t until_ms)
{
	const struct listing *l = arg;
	const char *text = key + strlen(PREFIX);

	(void)value;
	(void)len;
	(void)until_ms;
	for (size_t i = 0; i < l->conf->limit_count; i++) {
		const struct conf_limit *limit = &l->conf->limits[i];
		size_t n = strlen(limit->name);

		if (strncmp(text, limit->name, n) != 0 || text[n] != '/')
			continue;
		for (size_t k = 0; k < LIMIT_COUNTERS; k++) {
			const char *name =
			    conf_counter_name((enum limit_counter)k);
			size_t m = strlen(name);
			struct limits_near near = { limit->name, name,
				text + n + m + 2, 0 };

			if (limit->quotas[k].count == 0 ||
			    strncmp(text + n + 1, name, m) != 0 ||
			    text[n + 1 + m] != '/')
				continue;
			near.percent = percent_now(l, &limit->quotas[k],
			    (enum limit_counter)k, text);
			if (near.percent >= 50)
				return l->each(l->arg, &near);
			return 0;
		}
	}
	return 0;
}

int
limits_list(struct store *store, const struct conf *conf, uint64_t now_ms,
    int (*each)(void *arg, const struct limits_near *near), void *arg,
    struct err *e)
{
	struct listing listing = { store, conf, now_ms, each, arg };

	return store_state_list(store, PREFIX, now_ms, list_one, &listing, e);
}
