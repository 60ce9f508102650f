/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks, and whether an address is in them: their text, the checks of a
 * list, and the question. A list that is doubtful in any way is refused, never
 * repaired; no name is looked up, and no IPv6 network speaks for IPv4 clients.
 */
#include "policy/netset.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/netindex.h"

/* The networks of one family. */
struct family {
	struct net *nets;
	size_t count;
	size_t room;
	struct netindex *index;
};

struct netset {
	struct family inet;
	struct family inet6;
	bool sealed;
};

static const struct net no_net = { .addr = { .family = NETADDR_NONE } };

#define QUOTE_MAX 64

/* What was given, for a message: short, without control characters. */
static void
quote(const char *text, char quoted_r[QUOTE_MAX + 4])
{
	size_t len = strlen(text);
	size_t end = len < QUOTE_MAX ? len : QUOTE_MAX;

	/* not in the middle of a UTF-8 sequence */
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	for (size_t i = 0; i < end; i++) {
		unsigned char c = (unsigned char)text[i];

		quoted_r[i] = text[i];
		if (c < 0x20 || c == 0x7f)
			quoted_r[i] = '?';
	}
	memcpy(quoted_r + end, end < len ? "..." : "", end < len ? 4 : 1);
}

/* Returns the prefix length, or -1 unless it is a plain number up to max. */
static int
parse_prefix(const char *text, unsigned int max)
{
	size_t len = strlen(text);
	unsigned int prefix = 0;

	if (len == 0 || len > 3 || strspn(text, "0123456789") != len)
		return -1;
	if (text[0] == '0' && len > 1)
		return -1;
	for (size_t i = 0; i < len; i++)
		prefix = prefix * 10 + (unsigned int)(text[i] - '0');
	return prefix <= max ? (int)prefix : -1;
}

static void
clear_host_bits(struct net *net)
{
	uint8_t *octets = net->addr.octets;
	unsigned int whole = net->prefix / 8;

	if (whole == sizeof(net->addr.octets))
		return;
	octets[whole] &= (uint8_t)(0xff00 >> net->prefix % 8);
	memset(octets + whole + 1, 0, sizeof(net->addr.octets) - whole - 1);
}

/* The part before the slash, by the rules of netaddr_parse(). */
static int
parse_address(const char *text, size_t len, struct netaddr *addr_r)
{
	char copy[NETADDR_TEXT_MAX];

	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return netaddr_parse(copy, addr_r);
}

/* Sets the prefix length from what follows the slash (NULL: one host). The
 * text counts from the left of an IPv4-mapped address, front = 96 bits more. */
static int
set_prefix(struct net *net, const char *text, unsigned int front,
    const char *given, struct err *e)
{
	unsigned int width = net->addr.family == NETADDR_INET ? 32 : 128;
	char quoted[QUOTE_MAX + 4];
	int prefix = (int)(front + width);

	if (text != NULL)
		prefix = parse_prefix(text, front + width);
	if (prefix > (int)front) {
		net->prefix = (unsigned int)prefix - front;
		return 0;
	}
	quote(given, quoted);
	if (prefix == 0 || prefix == (int)front)
		err_set(e,
		    "\"%s\": that is every address; the prefix length must be "
		    "from %u to %u",
		    quoted, front + 1, front + width);
	else
		err_set(e,
		    "\"%s\": the prefix length must be a number from %u to %u "
		    "without leading zeros",
		    quoted, front + 1, front + width);
	return -1;
}

static int
check_host_bits(const struct net *net, const char *given, struct err *e)
{
	struct net right = *net;
	char text[NET_TEXT_MAX], quoted[QUOTE_MAX + 4];

	clear_host_bits(&right);
	if (memcmp(&right.addr.octets, &net->addr.octets, 16) == 0)
		return 0;
	net_format(&right, text);
	quote(given, quoted);
	err_set(e, "\"%s\": host bits are set; the network is %s", quoted,
	    text);
	return -1;
}

int
net_parse(const char *text, struct net *net_r, struct err *e)
{
	const char *address = text[0] == '!' ? text + 1 : text;
	size_t len = strcspn(address, "/");
	const char *prefix = address[len] == '/' ? address + len + 1 : NULL;
	char quoted[QUOTE_MAX + 4];
	bool mapped;

	*net_r = no_net;
	net_r->excluded = text[0] == '!';
	if (parse_address(address, len, &net_r->addr) != 0) {
		quote(text, quoted);
		err_set(e,
		    "\"%s\": not an IP network; allowed is ADDRESS or "
		    "ADDRESS/PREFIX, after a \"!\" to exclude it, such as "
		    "10.0.0.0/8, fd00::/8 or !10.0.0.1",
		    quoted);
		return -1;
	}
	mapped = net_r->addr.family == NETADDR_INET &&
	    memchr(address, ':', len) != NULL;
	if (set_prefix(net_r, prefix, mapped ? 96 : 0, text, e) != 0)
		return -1;
	return check_host_bits(net_r, text, e);
}

void
net_format(const struct net *n, char text_r[NET_TEXT_MAX])
{
	char address[NETADDR_TEXT_MAX];

	netaddr_format(&n->addr, address);
	if (n->addr.family == NETADDR_NONE)
		(void)snprintf(text_r, NET_TEXT_MAX, "-");
	else
		(void)snprintf(text_r, NET_TEXT_MAX, "%s%s/%u",
		    n->excluded ? "!" : "", address, n->prefix);
}

struct netset *
netset_new(void)
{
	return calloc(1, sizeof(struct netset));
}

static void
clear_family(struct family *family)
{
	netindex_free(&family->index);
	free(family->nets);
}

void
netset_free(struct netset **set)
{
	if (set == NULL || *set == NULL)
		return;
	clear_family(&(*set)->inet);
	clear_family(&(*set)->inet6);
	free(*set);
	*set = NULL;
}

static int
make_room(struct family *family)
{
	size_t room = family->room > 0 ? family->room * 2 : 16;
	struct net *nets;

	if (family->count < family->room)
		return 0;
	if (family->count >= NETINDEX_MAX)
		return -1;
	nets = reallocarray(family->nets, room, sizeof(*nets));
	if (nets == NULL)
		return -1;
	family->nets = nets;
	family->room = room;
	return 0;
}

int
netset_add_net(struct netset *set, const struct net *net, struct err *e)
{
	struct family *family =
	    net->addr.family == NETADDR_INET ? &set->inet : &set->inet6;

	if (set->sealed) {
		err_set(e, "the set of networks is complete already");
		return -1;
	}
	if (make_room(family) != 0) {
		err_set(e, "no memory for another network");
		return -1;
	}
	family->nets[family->count++] = *net;
	return 0;
}

int
netset_add(struct netset *set, const char *text, struct err *e)
{
	struct net net;

	if (net_parse(text != NULL ? text : "", &net, e) != 0)
		return -1;
	return netset_add_net(set, &net, e);
}

/* By address; a network before those inside it. */
static int
compare_places(const struct net *a, const struct net *b)
{
	int order =
	    memcmp(a->addr.octets, b->addr.octets, sizeof(a->addr.octets));

	if (order != 0)
		return order;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return 0;
}

static int
compare_nets(const void *a, const void *b)
{
	return compare_places(a, b);
}

/* A long list was written by a program, and most likely in order. */
static void
sort_nets(struct net *nets, size_t count)
{
	size_t i = 1;

	while (i < count && compare_places(&nets[i - 1], &nets[i]) <= 0)
		i++;
	if (i < count)
		qsort(nets, count, sizeof(*nets), compare_nets);
}

/* nets is sorted, so that the same prefix stands side by side. */
static int
check_conflicts(const struct net *nets, size_t count, struct err *e)
{
	for (size_t i = 1; i < count; i++) {
		struct net net = nets[i];
		char text[NET_TEXT_MAX];

		if (nets[i - 1].excluded == net.excluded ||
		    compare_places(&nets[i - 1], &net) != 0)
			continue;
		net.excluded = false;
		net_format(&net, text);
		err_set(e, "%s is both listed and excluded", text);
		return -1;
	}
	return 0;
}

static size_t
remove_duplicates(struct net *nets, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (kept == 0 || compare_places(&nets[kept - 1], &nets[i]) != 0)
			nets[kept++] = nets[i];
	return kept;
}

static int
seal_family(struct family *family, const char *name, struct err *e)
{
	sort_nets(family->nets, family->count);
	if (check_conflicts(family->nets, family->count, e) != 0)
		return -1;
	family->count = remove_duplicates(family->nets, family->count);
	if (netindex_lists_everybody(family->nets, family->count)) {
		err_set(e, "the listed networks add up to every %s address",
		    name);
		return -1;
	}
	family->index = netindex_new(family->nets, family->count);
	if (family->index == NULL) {
		err_set(e, "no memory for %zu networks", family->count);
		return -1;
	}
	return 0;
}

int
netset_seal(struct netset *set, struct err *e)
{
	if (set->sealed)
		return 0;
	netindex_free(&set->inet.index);
	if (seal_family(&set->inet, "IPv4", e) != 0 ||
	    seal_family(&set->inet6, "IPv6", e) != 0)
		return -1;
	set->sealed = true;
	return 0;
}

bool
netset_contains(const struct netset *set, const struct netaddr *addr,
    struct net *best_r)
{
	unsigned int prefix = 0;
	bool listed = false;

	if (set->sealed) {
		switch (addr->family) {
		case NETADDR_INET:
			prefix = netindex_find(set->inet.index, addr, &listed);
			break;
		case NETADDR_INET6:
			prefix = netindex_find(set->inet6.index, addr, &listed);
			break;
		case NETADDR_NONE:
			break;
		}
	}
	if (best_r == NULL)
		return listed;
	*best_r = no_net;
	if (prefix > 0) {
		best_r->addr = *addr;
		best_r->prefix = prefix;
		best_r->excluded = !listed;
		clear_host_bits(best_r);
	}
	return listed;
}

bool
netset_find(const struct netset *set, struct net *net)
{
	const struct family *family =
	    net->addr.family == NETADDR_INET ? &set->inet : &set->inet6;
	const struct net *found = NULL;

	if (set->sealed && family->count > 0)
		found = bsearch(net, family->nets, family->count, sizeof(*net),
		    compare_nets);
	if (found != NULL)
		*net = *found;
	return found != NULL;
}

size_t
netset_count(const struct netset *set)
{
	return set->sealed ? set->inet.count + set->inet6.count : 0;
}

struct net
netset_get(const struct netset *set, size_t i)
{
	if (i >= netset_count(set))
		return no_net;
	if (i < set->inet.count)
		return set->inet.nets[i];
	return set->inet6.nets[i - set->inet.count];
}
