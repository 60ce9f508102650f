/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remembers which wrong passwords came from where and for whom, and where a
 * login succeeded. Names, addresses and passwords are kept as keyed hashes
 * only, under a key of this process: nothing can be read from it, and nobody
 * can choose what collides. What follows from a count is decided elsewhere.
 */
#include "gate/guess.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "policy/text.h"

#define BUCKETS 65536 /* a power of two */

/* What a hash stands for; part of what is hashed. */
enum kind {
	KIND_ADDRESS = 1,
	KIND_NETWORK,
	KIND_LOGIN,
	KIND_SPARE,
};

struct tag {
	uint64_t value;
	uint64_t at_ms; /* when it was tried last */
};

struct entry {
	uint64_t id;
	struct entry *chain; /* the next one in the bucket */
	struct entry *newer;
	struct entry *older;
	uint64_t until_ms; /* of a spare */
	struct tag *tags;  /* of a count */
	size_t used;
	size_t room;
};

struct table {
	struct entry *buckets[BUCKETS];
	struct entry *newest;
	struct entry *oldest;
	size_t entries;
	size_t tags; /* in all entries, room included */
};

struct guess {
	pthread_mutex_t lock;
	uint64_t key[2];
	struct table counts;
	struct table spares;
};

/* --- SipHash-2-4 (Aumasson and Bernstein, 2012) --- */

static uint64_t
rotate(uint64_t x, unsigned int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void
sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

static uint64_t
sip_hash(const uint64_t key[2], const unsigned char *data, size_t len)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u };
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++) {
		word |= (uint64_t)data[i] << (i % 8 * 8);
		if (i % 8 == 7) {
			sip_word(v, word);
			word = 0;
		}
	}
	sip_word(v, word | (uint64_t)(len & 0xff) << 56);
	v[2] ^= 0xff;
	for (size_t i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- keys --- */

/* How many octets of an address make one client, or one network. */
static size_t
prefix_octets(enum kind kind, const struct netaddr *addr)
{
	bool network = kind == KIND_NETWORK;

	switch (addr->family) {
	case NETADDR_INET:
		return network ? 3 : 4;
	case NETADDR_INET6:
		return network ? 6 : 8;
	case NETADDR_NONE:
		break;
	}
	return 0;
}

/* Upper and lower case are one account to most servers, and whoever guesses
 * would have as many counts as there are spellings. To be spared is a favour:
 * that stays with the spelling that succeeded. */
static size_t
put_login(enum kind kind, const struct login *login, unsigned char *text)
{
	size_t len = strnlen(login->text, LOGIN_MAX);

	for (size_t i = 0; i < len; i++)
		text[i] = (unsigned char)(kind == KIND_LOGIN
			? text_lower(login->text[i])
			: login->text[i]);
	return len;
}

/* addr and login: NULL when they are no part of this kind. */
static uint64_t
key_id(const struct guess *guess, enum kind kind, const struct netaddr *addr,
    const struct login *login)
{
	unsigned char text[2 + sizeof(struct netaddr) + LOGIN_MAX];
	size_t len = 0;

	text[len++] = (unsigned char)kind;
	if (addr != NULL) {
		size_t octets = prefix_octets(kind, addr);

		text[len++] = (unsigned char)octets;
		memcpy(text + len, addr->octets, octets);
		len += octets;
	}
	if (login != NULL)
		len += put_login(kind, login, text + len);
	return sip_hash(guess->key, text, len);
}

/* --- a table, the entries in the order of their last use --- */

static struct entry **
bucket_of(struct table *table, uint64_t id)
{
	return &table->buckets[id & (BUCKETS - 1)];
}

static struct entry *
find(struct table *table, uint64_t id)
{
	struct entry *entry = *bucket_of(table, id);

	while (entry != NULL && entry->id != id)
		entry = entry->chain;
	return entry;
}

static void
unlink_age(struct table *table, struct entry *entry)
{
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		table->newest = entry->older;
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		table->oldest = entry->newer;
	entry->newer = entry->older = NULL;
}

static void
link_newest(struct table *table, struct entry *entry)
{
	entry->older = table->newest;
	if (table->newest != NULL)
		table->newest->newer = entry;
	else
		table->oldest = entry;
	table->newest = entry;
}

static void
drop(struct table *table, struct entry *entry)
{
	struct entry **link = bucket_of(table, entry->id);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	unlink_age(table, entry);
	table->entries--;
	table->tags -= entry->room;
	free(entry->tags);
	free(entry);
}

/* Finds or makes, and makes it the newest. NULL: no memory. */
static struct entry *
touch(struct table *table, uint64_t id)
{
	struct entry *entry = find(table, id), **bucket = bucket_of(table, id);

	if (entry != NULL) {
		unlink_age(table, entry);
		link_newest(table, entry);
		return entry;
	}
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	if (table->entries >= GUESS_KEYS_MAX)
		drop(table, table->oldest);
	entry->id = id;
	entry->chain = *bucket;
	*bucket = entry;
	table->entries++;
	link_newest(table, entry);
	return entry;
}

static void
clear(struct table *table)
{
	while (table->oldest != NULL)
		drop(table, table->oldest);
}

/* --- counts --- */

/* Another thread may have read the clock a little later. */
static bool
is_fresh(const struct tag *tag, uint64_t window_ms, uint64_t now_ms)
{
	return tag->at_ms >= now_ms || now_ms - tag->at_ms < window_ms;
}

static size_t
count_within(const struct entry *entry, uint64_t window_ms, uint64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; entry != NULL && i < entry->used; i++) {
		if (is_fresh(&entry->tags[i], window_ms, now_ms))
			n++;
	}
	return n;
}

static bool
is_over(struct guess *guess, uint64_t id, const struct conf_rate *rate,
    uint64_t now_ms)
{
	return rate->count > 0 &&
	    count_within(find(&guess->counts, id), rate->window_ms, now_ms) >=
	    rate->count;
}

/* Room for one more; -1: no memory. */
static int
make_room(struct table *table, struct entry *entry, size_t most)
{
	size_t room = entry->room == 0 ? 1 : entry->room * 2;
	struct tag *tags;

	if (entry->used < entry->room)
		return 0;
	if (room > most)
		room = most;
	tags = reallocarray(entry->tags, room, sizeof(*tags));
	if (tags == NULL)
		return -1;
	table->tags += room - entry->room;
	entry->tags = tags;
	entry->room = room;
	/* the entry is the newest: it goes last */
	while (table->tags > GUESS_TAGS_MAX && table->oldest != entry)
		drop(table, table->oldest);
	return 0;
}

/* The place of this tag: where it is, where an old one is forgotten, or a new
 * one. NULL: no memory. */
static struct tag *
place_of(struct table *table, struct entry *entry, uint64_t value,
    const struct conf_rate *rate, uint64_t now_ms)
{
	struct tag *oldest = NULL;

	for (size_t i = 0; i < entry->used; i++) {
		struct tag *tag = &entry->tags[i];

		if (tag->value == value)
			return tag;
		if (oldest == NULL || tag->at_ms < oldest->at_ms)
			oldest = tag;
	}
	if (oldest != NULL &&
	    (entry->used >= rate->count || entry->used >= GUESS_TAGS_MAX ||
		!is_fresh(oldest, rate->window_ms, now_ms)))
		return oldest;
	if (make_room(table, entry, rate->count) != 0)
		return NULL;
	return &entry->tags[entry->used++];
}

/* True: the count has reached the limit by this. */
static bool
count(struct guess *guess, uint64_t id, uint64_t value,
    const struct conf_rate *rate, uint64_t now_ms)
{
	struct entry *entry;
	struct tag *tag;
	size_t before;

	if (rate->count == 0)
		return false;
	entry = touch(&guess->counts, id);
	if (entry == NULL)
		return false;
	before = count_within(entry, rate->window_ms, now_ms);
	tag = place_of(&guess->counts, entry, value, rate, now_ms);
	if (tag == NULL)
		return false;
	tag->value = value;
	tag->at_ms = now_ms;
	return before < rate->count &&
	    count_within(entry, rate->window_ms, now_ms) >= rate->count;
}

static bool
is_spared(struct guess *guess, const struct netaddr *addr,
    const struct login *login, uint64_t now_ms)
{
	const struct entry *entry;

	if (addr->family == NETADDR_NONE || login == NULL)
		return false;
	entry = find(&guess->spares, key_id(guess, KIND_SPARE, addr, login));
	return entry != NULL && now_ms < entry->until_ms;
}

/* --- the contract --- */

struct guess *
guess_new(void)
{
	struct guess *guess = calloc(1, sizeof(*guess));

	if (guess == NULL)
		return NULL;
	if (getrandom(guess->key, sizeof(guess->key), 0) !=
	    (ssize_t)sizeof(guess->key)) {
		free(guess);
		return NULL;
	}
	(void)pthread_mutex_init(&guess->lock, NULL);
	return guess;
}

void
guess_free(struct guess **guessp)
{
	struct guess *guess = *guessp;

	if (guess == NULL)
		return;
	*guessp = NULL;
	clear(&guess->counts);
	clear(&guess->spares);
	(void)pthread_mutex_destroy(&guess->lock);
	free(guess);
}

const char *
guess_limit_name(enum guess_limit limit)
{
	switch (limit) {
	case GUESS_PER_ADDRESS:
		return "per_address";
	case GUESS_PER_NETWORK:
		return "per_network";
	case GUESS_PER_LOGIN:
		return "per_login";
	case GUESS_WITHIN:
		break;
	}
	return "none";
}

void
guess_network(const struct netaddr *addr, char text_r[NET_TEXT_MAX])
{
	size_t octets = prefix_octets(KIND_NETWORK, addr);
	struct net net = { .addr = { .family = addr->family },
		.prefix = (unsigned int)octets * 8 };

	(void)snprintf(text_r, NET_TEXT_MAX, "-");
	if (octets == 0)
		return;
	memcpy(net.addr.octets, addr->octets, octets);
	net_format(&net, text_r);
}

static enum guess_limit
client_over(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, uint64_t now_ms)
{
	if (addr->family == NETADDR_NONE)
		return GUESS_WITHIN;
	if (is_over(guess, key_id(guess, KIND_ADDRESS, addr, NULL),
		&limits->per_address, now_ms))
		return GUESS_PER_ADDRESS;
	if (is_over(guess, key_id(guess, KIND_NETWORK, addr, NULL),
		&limits->per_network, now_ms))
		return GUESS_PER_NETWORK;
	return GUESS_WITHIN;
}

enum guess_limit
guess_over(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login,
    const struct login *account, uint64_t now_ms)
{
	enum guess_limit over = GUESS_WITHIN;

	(void)pthread_mutex_lock(&guess->lock);
	if (!is_spared(guess, addr, login, now_ms)) {
		over = client_over(guess, limits, addr, now_ms);
		if (over == GUESS_WITHIN &&
		    is_over(guess, key_id(guess, KIND_LOGIN, NULL, account),
			&limits->per_login, now_ms))
			over = GUESS_PER_LOGIN;
	}
	(void)pthread_mutex_unlock(&guess->lock);
	return over;
}

enum guess_limit
guess_client_over(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login, uint64_t now_ms)
{
	enum guess_limit over = GUESS_WITHIN;

	(void)pthread_mutex_lock(&guess->lock);
	if (!is_spared(guess, addr, login, now_ms))
		over = client_over(guess, limits, addr, now_ms);
	(void)pthread_mutex_unlock(&guess->lock);
	return over;
}

enum guess_limit
guess_failed(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login,
    const struct login *account, const unsigned char tag[IDENTITY_TAG_LEN],
    uint64_t now_ms)
{
	enum guess_limit reached = GUESS_WITHIN;
	uint64_t value;

	memcpy(&value, tag, sizeof(value));
	(void)pthread_mutex_lock(&guess->lock);
	if (is_spared(guess, addr, login, now_ms)) {
		(void)pthread_mutex_unlock(&guess->lock);
		return GUESS_WITHIN;
	}
	if (count(guess, key_id(guess, KIND_LOGIN, NULL, account), value,
		&limits->per_login, now_ms))
		reached = GUESS_PER_LOGIN;
	if (addr->family != NETADDR_NONE) {
		if (count(guess, key_id(guess, KIND_NETWORK, addr, NULL), value,
			&limits->per_network, now_ms))
			reached = GUESS_PER_NETWORK;
		if (count(guess, key_id(guess, KIND_ADDRESS, addr, NULL), value,
			&limits->per_address, now_ms))
			reached = GUESS_PER_ADDRESS;
	}
	(void)pthread_mutex_unlock(&guess->lock);
	return reached;
}

void
guess_succeeded(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login, uint64_t now_ms)
{
	struct entry *entry;

	if (addr->family == NETADDR_NONE || limits->spare_ms == 0)
		return;
	(void)pthread_mutex_lock(&guess->lock);
	entry = touch(&guess->spares, key_id(guess, KIND_SPARE, addr, login));
	if (entry != NULL)
		entry->until_ms = now_ms + limits->spare_ms;
	(void)pthread_mutex_unlock(&guess->lock);
}

void
guess_measure(struct guess *guess, struct guess_size *size_r)
{
	(void)pthread_mutex_lock(&guess->lock);
	size_r->keys = guess->counts.entries;
	size_r->tags = guess->counts.tags;
	size_r->spares = guess->spares.entries;
	(void)pthread_mutex_unlock(&guess->lock);
}
