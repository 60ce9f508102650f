/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search behind a set of networks. Nesting and exclusion are settled when
 * it is built: the address space is cut into ranges that know which network
 * decides there, and asking is one search of their starts, which changes
 * nothing. It knows no text and checks nothing that netset.c has checked.
 */
#include "policy/netindex.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <endian.h>

/*
 * An address as a number, hi before lo. IPv4 stands in the first 32 bits, so
 * that prefixes mean the same in both families and one code serves them.
 */
struct key {
	uint64_t hi;
	uint64_t lo;
};

/* So deep can networks be nested: prefixes 1 to 128. */
#define NEST_MAX 128

/* Eight halves of a key fill a cache line of 64 octets, that of most machines;
 * a wrong guess only costs time. */
#define FANOUT     8
#define CACHE_LINE 64

struct node {
	uint64_t hi[FANOUT];
	uint64_t lo[FANOUT];
};

/* FANOUT^11 keys are more than the ranges of NETINDEX_MAX networks. */
#define LEVELS_MAX 11

/* Who decides in a range: the length of its prefix and whether it is excluded.
 * With the address that was asked for, this says which network it is. */
#define DECIDER(net) ((uint16_t)((net)->prefix << 1 | (net)->excluded))
#define NOBODY       0

/*
 * Range i goes from starts[i] to the next start; the first starts at zero.
 * Level 0 is starts itself; each further level holds the first key of every
 * node of the one below, so that a search looks at one node per level.
 */
struct netindex {
	struct node *starts; /* all levels, one after the other */
	uint16_t *decider;
	size_t count;
	struct {
		const struct node *nodes;
		size_t count; /* of keys */
	} level[LEVELS_MAX];
	size_t levels;
};

static uint64_t
load64(const uint8_t octets[8])
{
	uint64_t value;

	memcpy(&value, octets, sizeof(value));
	return be64toh(value);
}

static struct key
key_of(const struct netaddr *addr)
{
	struct key key = { .hi = load64(addr->octets) };

	if (addr->family == NETADDR_INET)
		key.hi &= 0xffffffff00000000;
	else
		key.lo = load64(addr->octets + 8);
	return key;
}

static bool
key_le(struct key a, struct key b)
{
	return (a.hi < b.hi) | ((a.hi == b.hi) & (a.lo <= b.lo));
}

static bool
key_eq(struct key a, struct key b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

/* The address after the last one of a network; zero when there is none. */
static struct key
key_after(struct key first, unsigned int prefix)
{
	struct key next = first;

	if (prefix <= 64) {
		next.hi += UINT64_C(1) << (64 - prefix);
		return next;
	}
	next.lo += UINT64_C(1) << (128 - prefix);
	if (next.lo == 0)
		next.hi++;
	return next;
}

static bool
key_is_zero(struct key key)
{
	return key.hi == 0 && key.lo == 0;
}

bool
netindex_lists_everybody(const struct net *nets, size_t count)
{
	const struct key mapped = { .lo = UINT64_C(0xffff) << 32 };
	struct key next = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct key first = key_of(&nets[i].addr);
		struct key after = key_after(first, nets[i].prefix);

		if (nets[i].excluded)
			continue;
		if (nets[i].addr.family == NETADDR_INET6 &&
		    key_eq(next, mapped))
			next = key_after(mapped, 96);
		if (!key_le(first, next))
			return false;
		if (key_is_zero(after))
			return true;
		if (key_le(next, after))
			next = after;
	}
	return false;
}

static struct key
get_key(const struct node *nodes, size_t i)
{
	const struct node *node = &nodes[i / FANOUT];

	return (struct key){ node->hi[i % FANOUT], node->lo[i % FANOUT] };
}

static void
set_key(struct node *nodes, size_t i, struct key key)
{
	nodes[i / FANOUT].hi[i % FANOUT] = key.hi;
	nodes[i / FANOUT].lo[i % FANOUT] = key.lo;
}

/* Lets decider decide from start on. */
static void
give(struct netindex *index, struct key start, uint16_t decider)
{
	size_t i = index->count;

	if (i > 0 && key_eq(get_key(index->starts, i - 1), start))
		i--;
	set_key(index->starts, i, start);
	index->decider[i] = decider;
	index->count = i + 1;
}

/* The networks that are open at the point which the sweep has reached, each
 * inside the one before. */
struct nest {
	struct {
		struct key after;
		uint16_t decider;
	} open[NEST_MAX];
	size_t depth;
};

/* Closes the networks that end at or before the key (NULL: all). */
static void
close_nets(struct netindex *index, struct nest *nest, const struct key *key)
{
	while (nest->depth > 0) {
		struct key after = nest->open[nest->depth - 1].after;
		uint16_t outer = NOBODY;

		if (key != NULL && (key_is_zero(after) || !key_le(after, *key)))
			return;
		nest->depth--;
		if (nest->depth > 0)
			outer = nest->open[nest->depth - 1].decider;
		if (!key_is_zero(after))
			give(index, after, outer);
	}
}

static void
sweep(struct netindex *index, const struct net *nets, size_t count)
{
	struct nest nest = { .depth = 0 };

	give(index, (struct key){ 0 }, NOBODY);
	for (size_t i = 0; i < count; i++) {
		struct key first = key_of(&nets[i].addr);
		uint16_t decider = DECIDER(&nets[i]);

		close_nets(index, &nest, &first);
		assert(nest.depth < NEST_MAX);
		nest.open[nest.depth].after = key_after(first, nets[i].prefix);
		nest.open[nest.depth].decider = decider;
		nest.depth++;
		give(index, first, decider);
	}
	close_nets(index, &nest, NULL);
}

static size_t
nodes_of(size_t keys)
{
	return (keys + FANOUT - 1) / FANOUT;
}

/* Fills the last node of each level up with keys above all others. */
static void
build_levels(struct netindex *index)
{
	const struct key highest = { UINT64_MAX, UINT64_MAX };
	struct node *nodes = index->starts;
	size_t count = index->count;

	for (size_t i = 0;; i++) {
		struct node *above = nodes + nodes_of(count);

		assert(i < LEVELS_MAX);
		index->level[i].nodes = nodes;
		index->level[i].count = count;
		index->levels = i + 1;
		for (size_t j = count; j < nodes_of(count) * FANOUT; j++)
			set_key(nodes, j, highest);
		if (count <= FANOUT)
			return;
		count = nodes_of(count);
		for (size_t j = 0; j < count; j++)
			set_key(above, j, get_key(nodes, j * FANOUT));
		nodes = above;
	}
}

struct netindex *
netindex_new(const struct net *nets, size_t count)
{
	/* each network starts a range, and so does what follows it */
	size_t most = 2 * count + 1;
	size_t room = nodes_of(most);
	struct netindex *index = NULL;

	if (count > NETINDEX_MAX)
		return NULL;
	for (size_t n = most; n > FANOUT; n = nodes_of(n))
		room += nodes_of(nodes_of(n));
	index = calloc(1, sizeof(*index));
	if (index == NULL)
		return NULL;
	index->starts =
	    aligned_alloc(CACHE_LINE, room * sizeof(*index->starts));
	index->decider = calloc(most, sizeof(*index->decider));
	if (index->starts == NULL || index->decider == NULL) {
		netindex_free(&index);
		return NULL;
	}
	sweep(index, nets, count);
	build_levels(index);
	return index;
}

void
netindex_free(struct netindex **index)
{
	if (index == NULL || *index == NULL)
		return;
	free((*index)->starts);
	free((*index)->decider);
	free(*index);
	*index = NULL;
}

/* How many of a node's halves but the first are not above one. To count them
 * all is cheaper than to mispredict which is the last. */
static size_t
count_not_above(const uint64_t half[FANOUT], uint64_t key)
{
	_Static_assert(FANOUT == 8, "there are eight to be counted");

	return (size_t)(half[1] <= key) + (size_t)(half[2] <= key) +
	    (size_t)(half[3] <= key) + (size_t)(half[4] <= key) +
	    (size_t)(half[5] <= key) + (size_t)(half[6] <= key) +
	    (size_t)(half[7] <= key);
}

/* The last key of the node that is not above the given one; the first never
 * is. The upper halves decide, unless several keys share one: many hosts of
 * one IPv6 network. */
static size_t
search_node(const struct node *node, struct key key)
{
	size_t n;
	size_t above = 0;

	if (node->hi[0] == key.hi && node->hi[FANOUT - 1] == key.hi)
		return count_not_above(node->lo, key.lo);
	n = count_not_above(node->hi, key.hi);
	if (node->hi[n] != key.hi)
		return n;
	for (size_t i = 1; i < FANOUT; i++)
		above += (node->hi[i] == key.hi) & (node->lo[i] > key.lo);
	return n - above;
}

unsigned int
netindex_find(const struct netindex *index, const struct netaddr *addr,
    bool *listed_r)
{
	struct key key = key_of(addr);
	size_t at = 0;

	for (size_t i = index->levels; i-- > 0;) {
		at = at * FANOUT + search_node(&index->level[i].nodes[at], key);
		/* the highest address counts the padding too */
		if (at >= index->level[i].count)
			at = index->level[i].count - 1;
	}
	*listed_r =
	    index->decider[at] != NOBODY && (index->decider[at] & 1) == 0;
	return index->decider[at] >> 1;
}
