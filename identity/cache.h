/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_CACHE_H
#define POSTERN_IDENTITY_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/facts.h"

/* Answers about logins, each until a fixed time: being read does not make them
 * last longer. Not locked: one thread at a time. */
struct cache;

/* Holds at most max answers; the oldest go first. NULL: no memory. */
struct cache *cache_new(size_t max);
/* Frees and nulls; NULL is allowed. */
void cache_free(struct cache **cache);

/* IDENTITY_UNKNOWN: nothing is known, or no longer. */
enum identity cache_get(struct cache *cache, const char *login,
    uint64_t now_ms);
/* Replaces what was known. IDENTITY_UNKNOWN only forgets; so does a lack of
 * memory. */
void cache_put(struct cache *cache, const char *login, enum identity answer,
    uint64_t expires_ms, uint64_t now_ms);
void cache_clear(struct cache *cache);
size_t cache_count(const struct cache *cache);

#endif
