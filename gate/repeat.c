/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small fixed table of who was refused why how often lately. It never
 * forgets a count silently: a slot is taken over only when it owes nothing,
 * and who finds no slot is logged in full.
 */
#include "gate/repeat.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1024
#define PROBE 8

struct slot {
	struct netaddr peer;
	enum reason reason;
	uint64_t since_ms;
	unsigned int seen; /* 0: the slot is free */
	unsigned int left_out;
};

struct repeats {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct repeats *
repeats_new(void)
{
	struct repeats *repeats = calloc(1, sizeof(*repeats));

	if (repeats != NULL)
		(void)pthread_mutex_init(&repeats->lock, NULL);
	return repeats;
}

void
repeats_free(struct repeats **repeats)
{
	if (*repeats != NULL)
		(void)pthread_mutex_destroy(&(*repeats)->lock);
	free(*repeats);
	*repeats = NULL;
}

/* FNV-1a: the table is bounded and a collision costs a log line at most. */
static size_t
hash(const struct netaddr *peer, enum reason reason)
{
	uint32_t h = 2166136261u ^ (uint32_t)reason;

	for (size_t i = 0; i < sizeof(peer->octets); i++)
		h = (h ^ peer->octets[i]) * 16777619u;
	return h % SLOTS;
}

static bool
same_peer(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family &&
	    memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

static bool
is_over(const struct slot *slot, uint64_t now_ms)
{
	return now_ms - slot->since_ms >= REPEAT_WINDOW_MS;
}

static struct slot *
find(struct repeats *repeats, const struct netaddr *peer, enum reason reason,
    uint64_t now_ms)
{
	size_t h = hash(peer, reason);
	struct slot *spare = NULL;

	for (size_t i = 0; i < PROBE; i++) {
		struct slot *slot = &repeats->slots[(h + i) % SLOTS];

		if (slot->seen > 0 && slot->reason == reason &&
		    same_peer(&slot->peer, peer))
			return slot;
		if (spare == NULL &&
		    (slot->seen == 0 ||
			(slot->left_out == 0 && is_over(slot, now_ms))))
			spare = slot;
	}
	if (spare != NULL) {
		memset(spare, 0, sizeof(*spare));
		spare->peer = *peer;
		spare->reason = reason;
		spare->since_ms = now_ms;
	}
	return spare;
}

bool
repeats_allow(struct repeats *repeats, const struct netaddr *peer,
    enum reason reason, uint64_t now_ms, unsigned int *left_out_r)
{
	struct slot *slot;
	bool allow = true;

	*left_out_r = 0;
	(void)pthread_mutex_lock(&repeats->lock);
	slot = find(repeats, peer, reason, now_ms);
	if (slot != NULL) {
		if (is_over(slot, now_ms)) {
			*left_out_r = slot->left_out;
			slot->left_out = 0;
			slot->seen = 0;
			slot->since_ms = now_ms;
		}
		allow = slot->seen < REPEAT_BURST;
		if (allow)
			slot->seen++;
		else
			slot->left_out++;
	}
	(void)pthread_mutex_unlock(&repeats->lock);
	return allow;
}

void
repeats_flush(struct repeats *repeats, uint64_t now_ms, bool all,
    void (*report)(void *arg, const struct netaddr *peer, enum reason reason,
	unsigned int left_out),
    void *arg)
{
	(void)pthread_mutex_lock(&repeats->lock);
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &repeats->slots[i];

		if (slot->left_out == 0 || (!all && !is_over(slot, now_ms)))
			continue;
		report(arg, &slot->peer, slot->reason, slot->left_out);
		slot->left_out = 0;
		slot->seen = 0;
	}
	(void)pthread_mutex_unlock(&repeats->lock);
}
