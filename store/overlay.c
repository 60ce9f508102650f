/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records in memory, in a hash by group whose own list keeps the order in which
 * they were used; those that wait to be written are in a list of their own. It
 * grows to its limit and no further: a disk that stays full must not become a
 * full memory.
 */
#include "store/overlay.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A rate's state, a lease's source: no memory of its own for that. */
#define SMALL 16

struct entry {
	UT_hash_handle hh;         /* by group */
	struct entry *prev, *next; /* of those that wait */
	uint64_t stamp;
	uint64_t put_ns;
	uint64_t serial; /* 0: it does not wait */
	uint8_t *large;  /* NULL: it is in small */
	uint16_t room;
	uint16_t len;
	uint16_t key_len;
	uint8_t small[SMALL];
	uint8_t key[];
};

struct overlay {
	struct entry *entries;
	struct entry *waiting; /* the one that has waited longest */
	struct entry *youngest;
	size_t waiting_count;
	size_t size;
	size_t limit;
	uint64_t serial;
	bool keeps;
};

struct overlay *
overlay_new(size_t limit, bool keeps)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));

	if (overlay != NULL) {
		overlay->limit = limit;
		overlay->keeps = keeps;
	}
	return overlay;
}

static void
wait_no_more(struct overlay *overlay, struct entry *entry)
{
	if (entry->serial == 0)
		return;
	if (entry->prev != NULL)
		entry->prev->next = entry->next;
	else
		overlay->waiting = entry->next;
	if (entry->next != NULL)
		entry->next->prev = entry->prev;
	else
		overlay->youngest = entry->prev;
	overlay->waiting_count--;
	entry->serial = 0;
}

static void
begin_to_wait(struct overlay *overlay, struct entry *entry)
{
	entry->prev = overlay->youngest;
	entry->next = NULL;
	if (entry->prev != NULL)
		entry->prev->next = entry;
	else
		overlay->waiting = entry;
	overlay->youngest = entry;
	overlay->waiting_count++;
	entry->serial = ++overlay->serial;
}

static void
drop(struct overlay *overlay, struct entry *entry)
{
	wait_no_more(overlay, entry);
	/* it is in the hash, which has a table then
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DELETE(hh, overlay->entries, entry);
	overlay->size -= OVERLAY_ENTRY_SIZE + entry->room;
	free(entry->large);
	free(entry);
}

void
overlay_free(struct overlay **overlay)
{
	if (*overlay == NULL)
		return;
	while ((*overlay)->entries != NULL)
		drop(*overlay, (*overlay)->entries);
	free(*overlay);
	*overlay = NULL;
}

size_t
overlay_waiting(const struct overlay *overlay)
{
	return overlay->waiting_count;
}

size_t
overlay_count(const struct overlay *overlay)
{
	return HASH_COUNT(overlay->entries);
}

uint64_t
overlay_serial(const struct overlay *overlay)
{
	return overlay->serial;
}

bool
overlay_is_waiting(const struct overlay *overlay, uint64_t serial)
{
	return overlay->waiting != NULL && overlay->waiting->serial <= serial;
}

/* The next with the same group: in a bucket of the hash they follow. */
static struct entry *
next_of_group(const struct entry *entry)
{
	for (UT_hash_handle *hh = entry->hh.hh_next; hh != NULL;
	     hh = hh->hh_next) {
		if (hh->keylen == entry->hh.keylen &&
		    memcmp(hh->key, entry->key, hh->keylen) == 0)
			return ELMT_FROM_HH(entry->hh.tbl, hh);
	}
	return NULL;
}

static struct entry *
first_of_group(const struct overlay *overlay, const struct record_key *key)
{
	size_t group = record_group(key->octets, key->len);
	struct entry *entry;

	HASH_FIND(hh, overlay->entries, key->octets, group, entry);
	return entry;
}

static struct entry *
find(const struct overlay *overlay, const struct record_key *key)
{
	struct entry *entry = first_of_group(overlay, key);

	while (entry != NULL &&
	    (entry->key_len != key->len ||
		memcmp(entry->key, key->octets, key->len) != 0))
		entry = next_of_group(entry);
	return entry;
}

static const void *
value_of(const struct entry *entry)
{
	return entry->large != NULL ? entry->large : entry->small;
}

/* Room for twice what is needed: sets grow one by one. */
static int
set_value(struct overlay *overlay, struct entry *entry, const void *value,
    size_t len)
{
	if (len > SMALL && len > entry->room) {
		size_t room = len <= UINT16_MAX / 2 ? 2 * len : len;
		uint8_t *large = realloc(entry->large, room);

		if (large == NULL)
			return -1;
		overlay->size += room - entry->room;
		entry->large = large;
		entry->room = (uint16_t)room;
	}
	if (len > 0)
		memmove(entry->large != NULL ? entry->large : entry->small,
		    value, len);
	entry->len = (uint16_t)len;
	return 0;
}

static struct entry *
make(struct overlay *overlay, const struct record_key *key)
{
	struct entry *entry = calloc(1, sizeof(*entry) + key->len);

	if (entry == NULL)
		return NULL;
	memcpy(entry->key, key->octets, key->len);
	entry->key_len = (uint16_t)key->len;
	overlay->size += OVERLAY_ENTRY_SIZE;
	return entry;
}

/* It is the youngest. */
static int
add(struct overlay *overlay, struct entry *entry)
{
	size_t group = record_group(entry->key, entry->key_len);

	memset(&entry->hh, 0, sizeof(entry->hh));
	HASH_ADD_KEYPTR(hh, overlay->entries, entry->key, group, entry);
	return entry->hh.tbl == NULL ? -1 : 0;
}

int
overlay_put(struct overlay *overlay, const struct record_key *key,
    uint64_t stamp, const void *value, size_t len, uint64_t put_ns, bool waits,
    bool *lost_r)
{
	struct entry *entry = find(overlay, key);

	*lost_r = false;
	if (entry != NULL)
		HASH_DELETE(hh, overlay->entries, entry);
	else
		entry = make(overlay, key);
	if (entry == NULL)
		return -1;
	if (set_value(overlay, entry, value, len) != 0 ||
	    add(overlay, entry) != 0) {
		wait_no_more(overlay, entry);
		overlay->size -= OVERLAY_ENTRY_SIZE + entry->room;
		free(entry->large);
		free(entry);
		return -1;
	}
	entry->stamp = stamp;
	entry->put_ns = put_ns;
	if (waits) {
		wait_no_more(overlay, entry);
		begin_to_wait(overlay, entry);
	}
	while (overlay->size > overlay->limit && overlay->entries != entry) {
		*lost_r |= overlay->entries->serial != 0;
		drop(overlay, overlay->entries);
	}
	return 0;
}

static struct record_view
view(const struct entry *entry)
{
	return (struct record_view){ .key = entry->key,
		.key_len = entry->key_len,
		.stamp = entry->stamp,
		.value = value_of(entry),
		.len = entry->len };
}

bool
overlay_find(struct overlay *overlay, const struct record_key *key,
    struct record_view *view_r)
{
	const struct entry *entry = find(overlay, key);

	if (entry == NULL)
		return false;
	*view_r = view(entry);
	return true;
}

void
overlay_group(struct overlay *overlay, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	for (const struct entry *entry = first_of_group(overlay, group);
	     entry != NULL; entry = next_of_group(entry)) {
		const struct record_view v = view(entry);

		each(arg, &v);
	}
}

void
overlay_copy(struct overlay *overlay, struct overlay_batch *batch)
{
	for (const struct entry *entry = overlay->waiting; entry != NULL;
	     entry = entry->next) {
		struct overlay_item *item = &batch->items[batch->count];
		size_t size = (size_t)entry->key_len + entry->len;

		if (batch->count == OVERLAY_BATCH ||
		    size > OVERLAY_BATCH_OCTETS - batch->used)
			return;
		*item = (struct overlay_item){ .from = overlay,
			.at = batch->used,
			.key_len = entry->key_len,
			.len = entry->len,
			.stamp = entry->stamp,
			.put_ns = entry->put_ns,
			.serial = entry->serial };
		memcpy(batch->octets + batch->used, entry->key, entry->key_len);
		memcpy(batch->octets + batch->used + entry->key_len,
		    value_of(entry), entry->len);
		batch->used += size;
		batch->count++;
	}
}

void
overlay_settle(struct overlay *overlay, const struct overlay_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct overlay_item *item = &batch->items[i];
		struct record_key key = { .len = item->key_len };
		struct entry *entry;

		if (item->from != overlay || item->serial == 0)
			continue;
		memcpy(key.octets, batch->octets + item->at, key.len);
		entry = find(overlay, &key);
		if (entry == NULL || entry->serial != item->serial)
			continue;
		if (overlay->keeps)
			wait_no_more(overlay, entry);
		else
			drop(overlay, entry);
	}
}

size_t
overlay_forget(struct overlay *overlay, const struct record_key *key,
    bool group)
{
	struct entry *entry =
	    group ? first_of_group(overlay, key) : find(overlay, key);
	size_t count = 0;

	while (entry != NULL) {
		struct entry *next = group ? next_of_group(entry) : NULL;

		drop(overlay, entry);
		count++;
		entry = next;
	}
	return count;
}
