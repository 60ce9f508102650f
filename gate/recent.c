/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of hashes with an end, and a ring of what was seen last. Both forget
 * whenever it suits them: nothing may depend on their memory but a count that
 * is a little higher, or a line that is said once more.
 */
#include "gate/recent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS      65536 /* a power of two */
#define RING       4096
#define DOMAIN_LEN 64
#define SHOWN      8

struct slot {
	uint64_t hash;
	uint64_t until_ms;
	unsigned int uses;
};

struct seen {
	uint64_t login; /* hash; 0: nothing yet */
	struct netaddr addr;
	char domain[DOMAIN_LEN];
};

struct recent {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
	struct seen ring[RING];
	size_t next;
};

struct recent *
recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (recent != NULL)
		(void)pthread_mutex_init(&recent->lock, NULL);
	return recent;
}

void
recent_free(struct recent **recent)
{
	if (*recent == NULL)
		return;
	(void)pthread_mutex_destroy(&(*recent)->lock);
	free(*recent);
	*recent = NULL;
}

/* FNV-1a, and a last stir so that all bits serve. */
uint64_t
recent_hash(uint64_t hash, const void *text, size_t len)
{
	const unsigned char *octets = text;

	hash ^= UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ octets[i]) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	return hash ^ (hash >> 32);
}

static struct slot *
slot_of(struct recent *recent, uint64_t hash)
{
	return &recent->slots[hash & (SLOTS - 1)];
}

static bool
holds(const struct slot *slot, uint64_t hash, uint64_t now_ms)
{
	return slot->hash == hash && now_ms < slot->until_ms;
}

static void
set(struct slot *slot, uint64_t hash, uint64_t until_ms)
{
	slot->hash = hash;
	slot->until_ms = until_ms;
	slot->uses = 0;
}

void
recent_mark(struct recent *recent, uint64_t hash, uint64_t ttl_ms,
    uint64_t now_ms)
{
	struct slot *slot = slot_of(recent, hash);

	(void)pthread_mutex_lock(&recent->lock);
	if (!holds(slot, hash, now_ms))
		set(slot, hash, now_ms + ttl_ms);
	(void)pthread_mutex_unlock(&recent->lock);
}

bool
recent_use(struct recent *recent, uint64_t hash, unsigned int most,
    uint64_t now_ms)
{
	struct slot *slot = slot_of(recent, hash);
	bool used;

	(void)pthread_mutex_lock(&recent->lock);
	used = holds(slot, hash, now_ms) && slot->uses < most;
	if (used)
		slot->uses++;
	else if (holds(slot, hash, now_ms))
		slot->until_ms = 0; /* counted anew, and marked anew */
	(void)pthread_mutex_unlock(&recent->lock);
	return used;
}

bool
recent_first(struct recent *recent, uint64_t hash, uint64_t ttl_ms,
    uint64_t now_ms)
{
	struct slot *slot = slot_of(recent, hash);
	bool first;

	(void)pthread_mutex_lock(&recent->lock);
	first = !holds(slot, hash, now_ms);
	if (first)
		set(slot, hash, now_ms + ttl_ms);
	(void)pthread_mutex_unlock(&recent->lock);
	return first;
}

static uint64_t
login_hash(const struct login *login)
{
	return recent_hash(1, login->text, strlen(login->text)) | 1;
}

void
recent_note(struct recent *recent, const struct login *login,
    const struct netaddr *addr, const char *domain)
{
	struct seen *seen;

	(void)pthread_mutex_lock(&recent->lock);
	seen = &recent->ring[recent->next];
	recent->next = (recent->next + 1) % RING;
	seen->login = login_hash(login);
	seen->addr = *addr;
	(void)snprintf(seen->domain, sizeof(seen->domain), "%s", domain);
	(void)pthread_mutex_unlock(&recent->lock);
}

/* Texts that are there once. */
struct list {
	char texts[SHOWN][DOMAIN_LEN];
	size_t count;
};

static void
add_once(struct list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->texts[i], text) == 0)
			return;
	}
	if (list->count < SHOWN && *text != '\0')
		(void)snprintf(list->texts[list->count++], DOMAIN_LEN, "%s",
		    text);
}

static size_t
append(char *text, size_t n, const char *before, const struct list *list)
{
	n += (size_t)snprintf(text + n, RECENT_EVIDENCE_MAX - n, "%s", before);
	for (size_t i = 0; i < list->count && n < RECENT_EVIDENCE_MAX; i++)
		n += (size_t)snprintf(text + n, RECENT_EVIDENCE_MAX - n, "%s%s",
		    i == 0 ? "" : ",", list->texts[i]);
	if (n >= RECENT_EVIDENCE_MAX)
		n = RECENT_EVIDENCE_MAX - 1;
	return n;
}

void
recent_evidence(struct recent *recent, const struct login *login,
    char text_r[RECENT_EVIDENCE_MAX])
{
	struct list addresses = { .count = 0 }, domains = { .count = 0 };
	uint64_t hash = login_hash(login);
	size_t n;

	(void)pthread_mutex_lock(&recent->lock);
	for (size_t i = 1; i <= RING; i++) {
		const struct seen *seen =
		    &recent->ring[(recent->next + RING - i) % RING];
		char addr[NETADDR_TEXT_MAX];

		if (seen->login != hash)
			continue;
		netaddr_format(&seen->addr, addr);
		add_once(&addresses, addr);
		add_once(&domains, seen->domain);
	}
	(void)pthread_mutex_unlock(&recent->lock);
	n = append(text_r, 0, "addresses=", &addresses);
	(void)append(text_r, n, " domains=", &domains);
}
