/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small table of hashes, empty where nobody has done anything. Nothing is
 * kept here that the store has not said, nor longer than it said.
 */
#include "gate/kept.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1024 /* a power of two */
#define PROBE 8

struct slot {
	uint64_t hash;
	uint64_t until_ms;
	unsigned int what; /* 0: free */
};

struct kept {
	pthread_mutex_t lock;
	atomic_size_t count; /* most of the time there is nothing to look for */
	struct slot slots[SLOTS];
};

struct kept *
kept_new(void)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (kept != NULL)
		(void)pthread_mutex_init(&kept->lock, NULL);
	return kept;
}

void
kept_free(struct kept **kept)
{
	if (*kept == NULL)
		return;
	(void)pthread_mutex_destroy(&(*kept)->lock);
	free(*kept);
	*kept = NULL;
}

/* With the lock held. NULL: it is not there. */
static struct slot *
find(struct kept *kept, uint64_t hash)
{
	for (size_t i = 0; i < PROBE; i++) {
		struct slot *slot = &kept->slots[(hash + i) & (SLOTS - 1)];

		if (slot->what != 0 && slot->hash == hash)
			return slot;
	}
	return NULL;
}

/* With the lock held: a free one, or the one that is over first. */
static struct slot *
make_room(struct kept *kept, uint64_t hash)
{
	struct slot *first = &kept->slots[hash & (SLOTS - 1)];

	for (size_t i = 0; i < PROBE; i++) {
		struct slot *slot = &kept->slots[(hash + i) & (SLOTS - 1)];

		if (slot->what == 0) {
			(void)atomic_fetch_add(&kept->count, 1);
			return slot;
		}
		if (slot->until_ms < first->until_ms)
			first = slot;
	}
	return first;
}

void
kept_note(struct kept *kept, uint64_t hash, unsigned int what,
    uint64_t until_ms)
{
	struct slot *slot;

	if (what == 0 && atomic_load(&kept->count) == 0)
		return;
	(void)pthread_mutex_lock(&kept->lock);
	slot = find(kept, hash);
	if (what != 0) {
		if (slot == NULL)
			slot = make_room(kept, hash);
		*slot = (struct slot){ hash, until_ms, what };
	} else if (slot != NULL) {
		memset(slot, 0, sizeof(*slot));
		(void)atomic_fetch_sub(&kept->count, 1);
	}
	(void)pthread_mutex_unlock(&kept->lock);
}

unsigned int
kept_recall(struct kept *kept, uint64_t hash, uint64_t now_ms)
{
	const struct slot *slot;
	unsigned int what = 0;

	(void)pthread_mutex_lock(&kept->lock);
	slot = find(kept, hash);
	if (slot != NULL && now_ms < slot->until_ms)
		what = slot->what;
	(void)pthread_mutex_unlock(&kept->lock);
	return what;
}
