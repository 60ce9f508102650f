/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proofs that are not in the file yet, in a hash whose own list keeps the
 * order in which they were put. It grows to its limit and no further: a disk
 * that stays full must not become a full memory.
 */
#include "store/overlay.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	uint64_t time_ms;
	uint64_t put_ns;
	uint64_t serial;
	size_t len;
	uint8_t key[];
};

struct overlay {
	struct entry *entries;
	size_t limit;
	uint64_t serial;
};

struct overlay *
overlay_new(size_t limit)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));

	if (overlay != NULL)
		overlay->limit = limit;
	return overlay;
}

static void
drop(struct overlay *overlay, struct entry *entry)
{
	HASH_DELETE(hh, overlay->entries, entry);
	free(entry);
}

void
overlay_free(struct overlay **overlay)
{
	struct entry *entry, *next;

	if (*overlay == NULL)
		return;
	HASH_ITER(hh, (*overlay)->entries, entry, next)
	drop(*overlay, entry);
	free(*overlay);
	*overlay = NULL;
}

size_t
overlay_count(const struct overlay *overlay)
{
	return HASH_COUNT(overlay->entries);
}

static struct entry *
find(const struct overlay *overlay, const struct record_key *key)
{
	struct entry *entry;

	HASH_FIND(hh, overlay->entries, key->octets, key->len, entry);
	return entry;
}

int
overlay_put(struct overlay *overlay, const struct record_key *key,
    uint64_t time_ms, uint64_t put_ns, bool *lost_r)
{
	struct entry *entry = find(overlay, key);

	*lost_r = false;
	if (entry != NULL) {
		/* it is the youngest again */
		HASH_DELETE(hh, overlay->entries, entry);
	} else {
		entry = malloc(sizeof(*entry) + key->len);
		if (entry == NULL)
			return -1;
		memcpy(entry->key, key->octets, key->len);
		entry->len = key->len;
	}
	memset(&entry->hh, 0, sizeof(entry->hh));
	entry->time_ms = time_ms;
	entry->put_ns = put_ns;
	entry->serial = ++overlay->serial;
	HASH_ADD_KEYPTR(hh, overlay->entries, entry->key, key->len, entry);
	if (entry->hh.tbl == NULL) {
		free(entry);
		return -1;
	}
	if (HASH_COUNT(overlay->entries) > overlay->limit) {
		drop(overlay, overlay->entries);
		*lost_r = true;
	}
	return 0;
}

bool
overlay_find(const struct overlay *overlay, const struct record_key *key,
    uint64_t *time_ms_r)
{
	const struct entry *entry = find(overlay, key);

	if (entry == NULL)
		return false;
	*time_ms_r = entry->time_ms;
	return true;
}

size_t
overlay_copy(const struct overlay *overlay, struct overlay_item *items,
    size_t max)
{
	size_t count = 0;

	for (const struct entry *entry = overlay->entries;
	     entry != NULL && count < max; entry = entry->hh.next) {
		struct overlay_item *item = &items[count++];

		memcpy(item->key.octets, entry->key, entry->len);
		item->key.len = entry->len;
		item->time_ms = entry->time_ms;
		item->put_ns = entry->put_ns;
		item->serial = entry->serial;
	}
	return count;
}

void
overlay_settle(struct overlay *overlay, const struct overlay_item *items,
    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = find(overlay, &items[i].key);

		if (entry != NULL && entry->serial == items[i].serial)
			drop(overlay, entry);
	}
}

size_t
overlay_forget(struct overlay *overlay, const struct record_key *key,
    bool prefix)
{
	struct entry *entry, *next;
	size_t count = 0;

	HASH_ITER(hh, overlay->entries, entry, next)
	{
		if (entry->len < key->len ||
		    (!prefix && entry->len != key->len) ||
		    memcmp(entry->key, key->octets, key->len) != 0)
			continue;
		drop(overlay, entry);
		count++;
	}
	return count;
}
