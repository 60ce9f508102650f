/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of passwords: two hash tables, one of what verified and one of
 * what did not, each in the order of making. It must never hold a password or
 * an undecided answer, and a flood of wrong passwords must never drive a right
 * one out.
 */
#include "identity/remember.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	unsigned char tag[SECRET_TAG_LEN];
	enum identity answer;
	uint64_t expires_ms;
	uint64_t grace_ms; /* until then; verified ones */
};

struct table {
	struct entry *entries; /* in the order of their making */
	size_t max;
};

struct remember {
	struct table good;
	struct table bad;
};

struct remember *
remember_new(size_t max_good, size_t max_bad)
{
	struct remember *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->good.max = max_good;
		r->bad.max = max_bad;
	}
	return r;
}

static void
drop(struct table *table, struct entry *entry)
{
	HASH_DELETE(hh, table->entries, entry);
	free(entry);
}

static void
clear(struct table *table)
{
	while (table->entries != NULL)
		drop(table, table->entries);
}

void
remember_free(struct remember **remember)
{
	struct remember *r = *remember;

	if (r == NULL)
		return;
	clear(&r->good);
	clear(&r->bad);
	free(r);
	*remember = NULL;
}

static size_t
count(const struct table *table)
{
	/* clang-tidy does not follow uthash's list: its head is never freed.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return HASH_COUNT(table->entries);
}

size_t
remember_count(const struct remember *r, bool good)
{
	return count(good ? &r->good : &r->bad);
}

static bool
is_dead(const struct entry *entry, uint64_t now_ms)
{
	return now_ms >= entry->expires_ms && now_ms >= entry->grace_ms;
}

static struct entry *
find(struct table *table, const unsigned char *tag, uint64_t now_ms)
{
	struct entry *entry;

	HASH_FIND(hh, table->entries, tag, SECRET_TAG_LEN, entry);
	if (entry != NULL && is_dead(entry, now_ms)) {
		drop(table, entry);
		entry = NULL;
	}
	return entry;
}

enum identity
remember_get(struct remember *r, const unsigned char tag[SECRET_TAG_LEN],
    uint64_t now_ms)
{
	const struct entry *entry = find(&r->good, tag, now_ms);

	if (entry == NULL)
		entry = find(&r->bad, tag, now_ms);
	return entry != NULL && now_ms < entry->expires_ms ? entry->answer
							   : IDENTITY_UNKNOWN;
}

bool
remember_graces(struct remember *r, const unsigned char tag[SECRET_TAG_LEN],
    uint64_t now_ms)
{
	const struct entry *entry = find(&r->good, tag, now_ms);

	return entry != NULL && now_ms < entry->grace_ms;
}

/* Makes room; takes the dead along, so that they do not pile up. */
static void
drop_oldest(struct table *table, uint64_t now_ms)
{
	for (int i = 0; i < 2 && table->entries != NULL; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
		if (!is_dead(table->entries, now_ms))
			break;
		drop(table, table->entries);
	}
	while (table->entries != NULL && count(table) >= table->max)
		drop(table, table->entries);
}

static void
forget(struct table *table, const unsigned char *tag)
{
	struct entry *entry;

	HASH_FIND(hh, table->entries, tag, SECRET_TAG_LEN, entry);
	if (entry != NULL)
		drop(table, entry);
}

void
remember_put(struct remember *r, const unsigned char tag[SECRET_TAG_LEN],
    enum identity answer, uint64_t ttl_ms, uint64_t grace_ms, uint64_t now_ms)
{
	struct table *table = answer == IDENTITY_VERIFIED ? &r->good : &r->bad;
	struct entry *entry;

	if (answer == IDENTITY_UNKNOWN)
		return;
	forget(&r->good, tag);
	forget(&r->bad, tag);
	drop_oldest(table, now_ms);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return;
	memcpy(entry->tag, tag, SECRET_TAG_LEN);
	entry->answer = answer;
	entry->expires_ms = now_ms + ttl_ms;
	if (answer == IDENTITY_VERIFIED)
		entry->grace_ms = now_ms + grace_ms;
	HASH_ADD(hh, table->entries, tag, SECRET_TAG_LEN, entry);
	if (entry->hh.tbl == NULL)
		free(entry);
}
