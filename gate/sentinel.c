/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts what one host would not show. Each new value is noted once; a host of
 * its own has one name, and a relay for others at least does not lie about
 * every sender at once. What is caught stays caught until a person looks.
 */
#include "gate/sentinel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX   "sentinel/"
#define KINDS    3
#define CAUGHT   UINT64_C(315360000000) /* ten years */
#define TOLD_FOR UINT64_C(3600000)

static const char *const kinds[KINDS] = { "helo", "senders", "recipients" };

static void
make_key(char key_r[STORE_KEY_MAX + 1], const char *kind,
    const struct netaddr *addr)
{
	char text[NETADDR_TEXT_MAX];

	netaddr_format(addr, text);
	(void)snprintf(key_r, STORE_KEY_MAX + 1, PREFIX "%s%s", kind, text);
}

static bool
is_many(struct store *store, size_t kind, const struct netaddr *addr,
    uint64_t now_ms)
{
	char key[STORE_KEY_MAX + 1];

	make_key(key, kinds[kind], addr);
	return store_distinct_count(store, key, SENTINEL_WINDOW_MS, now_ms) >=
	    SENTINEL_MANY;
}

static void
catch_it(struct recent *recent, struct log *log, const struct conf *conf,
    struct store *store, const struct sentinel_sight *sight, uint64_t now_ms)
{
	bool external = conf->sentinel == SENTINEL_EXTERNAL;
	char key[STORE_KEY_MAX + 1], addr[NETADDR_TEXT_MAX];

	make_key(key, "", sight->addr);
	if (!recent_first(recent, recent_hash(5, key, strlen(key)), TOLD_FOR,
		now_ms))
		return;
	(void)store_state_put(store, key, "caught", 6, now_ms + CAUGHT);
	netaddr_format(sight->addr, addr);
	if (log != NULL)
		log_event(log, LOG_LEVEL_ALARM,
		    "sentinel: the internal address %s has shown %d or more "
		    "names of hosts, sender domains and recipient domains that "
		    "are not ours in ten minutes: it seems to hide outsiders%s "
		    "(exclude it from internal, or posternctl release %s)",
		    addr, SENTINEL_MANY,
		    external ? ", and is external until released" : "", addr);
}

/* Has the address shown it before? Half a window: what is shown all the time
 * stays counted. */
static bool
is_news(struct recent *recent, const struct sentinel_sight *sight, size_t kind,
    uint64_t value, uint64_t now_ms)
{
	const struct netaddr *addr = sight->addr;
	uint64_t seed = value + kind * 4 + (uint64_t)addr->family;

	return recent_first(recent,
	    recent_hash(seed, addr->octets,
		addr->family == NETADDR_INET6 ? 16 : 4),
	    SENTINEL_WINDOW_MS / 2, now_ms);
}

void
sentinel_see(struct recent *recent, struct log *log, const struct conf *conf,
    struct store *store, const struct sentinel_sight *sight, uint64_t now_ms)
{
	const char *const values[KINDS] = { sight->helo, sight->sender,
		sight->recipient };
	bool news = false, many = true;

	if (conf->sentinel == SENTINEL_OFF || store == NULL)
		return;
	for (size_t i = 0; i < KINDS; i++) {
		char key[STORE_KEY_MAX + 1];
		uint64_t value;

		if (*values[i] == '\0')
			continue;
		value = recent_hash(6, values[i], strlen(values[i]));
		if (!is_news(recent, sight, i, value, now_ms))
			continue;
		news = true;
		make_key(key, kinds[i], sight->addr);
		(void)store_distinct_add(store, key, value, SENTINEL_WINDOW_MS,
		    now_ms);
	}
	for (size_t i = 0; news && many && i < KINDS; i++)
		many = is_many(store, i, sight->addr, now_ms);
	if (news && many)
		catch_it(recent, log, conf, store, sight, now_ms);
}

bool
sentinel_bars(struct kept *kept, const struct conf *conf, struct store *store,
    const struct netaddr *addr, uint64_t now_ms)
{
	unsigned char value[STORE_STATE_MAX];
	char key[STORE_KEY_MAX + 1];
	uint64_t hash;
	size_t len;
	int rc;

	if (conf->sentinel != SENTINEL_EXTERNAL || store == NULL)
		return false;
	make_key(key, "", addr);
	hash = recent_hash(8, key, strlen(key));
	rc = store_state_get(store, key, now_ms, value, &len);
	if (rc < 0)
		return kept_recall(kept, hash, now_ms) != 0;
	kept_note(kept, hash, rc == 1, now_ms + CAUGHT);
	return rc == 1;
}

int
sentinel_release(struct store *store, const struct netaddr *addr, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	int rc;

	make_key(key, "", addr);
	rc = store_state_del(store, key, e);
	return rc > 0 ? 1 : rc;
}

struct listing {
	int (*each)(void *arg, const char *addr);
	void *arg;
};

static int
list_one(void *arg, const char *key, const void *value, size_t len,
    uint64_t until_ms)
{
	const struct listing *listing = arg;

	(void)value;
	(void)len;
	(void)until_ms;
	return listing->each(listing->arg, key + strlen(PREFIX));
}

int
sentinel_list(struct store *store, uint64_t now_ms,
    int (*each)(void *arg, const char *addr), void *arg, struct err *e)
{
	struct listing listing = { each, arg };

	return store_state_list(store, PREFIX, now_ms, list_one, &listing, e);
}
