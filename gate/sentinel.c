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
		uint64_t value = recent_hash(6, values[i], strlen(values[i]));

		if (*values[i] == '\0')
			continue;
		make_key(key, kinds[i], sight->addr);
		/* half a window: what is shown all the time stays counted */
		if (!recent_first(recent, recent_hash(value, key, strlen(key)),
			SENTINEL_WINDOW_MS / 2, now_ms))
			continue;
		news = true;
		(void)store_distinct_add(store, key, value, SENTINEL_WINDOW_MS,
		    now_ms);
	}
	for (size_t i = 0; news && many && i < KINDS; i++)
		many = is_many(store, i, sight->addr, now_ms);
	if (news && many)
		catch_it(recent, log, conf, store, sight, now_ms);
}

bool
sentinel_bars(const struct conf *conf, struct store *store,
    const struct netaddr *addr, uint64_t now_ms)
{
	unsigned char value[STORE_STATE_MAX];
	char key[STORE_KEY_MAX + 1];
	size_t len;

	if (conf->sentinel != SENTINEL_EXTERNAL || store == NULL)
		return false;
	make_key(key, "", addr);
	return store_state_get(store, key, now_ms, value, &len) == 1;
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
