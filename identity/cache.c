/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verdict cache: a hash table whose entries also stand in the order in
 * which they were made, so that the oldest can go. It must never hold "unknown"
 * and never return an entry past its time.
 */
#include "identity/cache.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	uint64_t expires_ms;
	enum identity answer;
	char login[];
};

struct cache {
	struct entry *entries; /* in the order of their making */
	size_t max;
};

struct cache *
cache_new(size_t max)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (cache != NULL)
		cache->max = max;
	return cache;
}

static void
drop(struct cache *cache, struct entry *entry)
{
	HASH_DELETE(hh, cache->entries, entry);
	free(entry);
}

void
cache_clear(struct cache *cache)
{
	while (cache->entries != NULL)
		drop(cache, cache->entries);
}

void
cache_free(struct cache **cache)
{
	if (*cache == NULL)
		return;
	cache_clear(*cache);
	free(*cache);
	*cache = NULL;
}

size_t
cache_count(const struct cache *cache)
{
	/* clang-tidy does not follow uthash's list: its head is never freed.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return HASH_COUNT(cache->entries);
}

enum identity
cache_get(struct cache *cache, const char *login, uint64_t now_ms)
{
	struct entry *entry;

	HASH_FIND(hh, cache->entries, login, strlen(login), entry);
	if (entry == NULL)
		return IDENTITY_UNKNOWN;
	if (now_ms >= entry->expires_ms) {
		drop(cache, entry);
		return IDENTITY_UNKNOWN;
	}
	return entry->answer;
}

/* Makes room; takes expired ones along, so that the dead do not pile up. */
static void
drop_oldest(struct cache *cache, uint64_t now_ms)
{
	for (int i = 0; i < 2 && cache->entries != NULL; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
		if (now_ms < cache->entries->expires_ms)
			break;
		drop(cache, cache->entries);
	}
	while (cache->entries != NULL && cache_count(cache) >= cache->max)
		drop(cache, cache->entries);
}

void
cache_put(struct cache *cache, const char *login, enum identity answer,
    uint64_t expires_ms, uint64_t now_ms)
{
	size_t len = strlen(login);
	struct entry *entry;

	HASH_FIND(hh, cache->entries, login, len, entry);
	if (entry != NULL)
		drop(cache, entry);
	if (answer == IDENTITY_UNKNOWN || now_ms >= expires_ms)
		return;
	drop_oldest(cache, now_ms);
	entry = calloc(1, sizeof(*entry) + len + 1);
	if (entry == NULL)
		return;
	memcpy(entry->login, login, len + 1);
	entry->answer = answer;
	entry->expires_ms = expires_ms;
	HASH_ADD_KEYPTR(hh, cache->entries, entry->login, len, entry);
	if (entry->hh.tbl == NULL)
		free(entry);
}
