/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_NETSET_H
#define POSTERN_POLICY_NETSET_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/err.h"
#include "policy/netaddr.h"

/* A network: address with the host bits clear, and its prefix length (of 32
 * for IPv4, also where the text was IPv4-mapped; of 128 for IPv6). */
struct net {
	struct netaddr addr;
	unsigned int prefix;
	bool excluded; /* written with a leading '!' */
	/* of whoever adds it, to know it again; of two that are one network,
	 * that of one of them */
	unsigned int mark;
};

#define NET_TEXT_MAX (NETADDR_TEXT_MAX + 6)

/*
 * Of "[!]ADDRESS[/PREFIX]" (no prefix: one host). Returns -1 with the reason
 * in e: not an address (see netaddr_parse), prefix out of range or with a
 * leading zero or sign, host bits set, /0 in any spelling (also ::ffff:0:0/96).
 */
int net_parse(const char *text, struct net *net_r, struct err *e);
/* "10.0.0.0/8", "!fd00::1/128". */
void net_format(const struct net *n, char text_r[NET_TEXT_MAX]);

/*
 * A set of networks in which the longest matching prefix decides. Built by
 * netset_add() and sealed by netset_seal(); after that it is read-only and any
 * number of threads may ask. An empty or unsealed set contains nobody.
 */
struct netset;

/* NULL: no memory. */
struct netset *netset_new(void);
/* Frees and nulls; NULL is allowed. */
void netset_free(struct netset **set);

/* Adds a network that net_parse() made. Returns -1 with the reason in e: no
 * memory, or the set is sealed. */
int netset_add_net(struct netset *set, const struct net *net, struct err *e);
/* The same from text; -1 also for what net_parse() refuses. */
int netset_add(struct netset *set, const char *text, struct err *e);

/*
 * Sorts and checks the whole. Returns -1 with the reason in e when a network is
 * both listed and excluded, or when the listed prefixes of one family add up to
 * all of it, whatever is excluded from them. The same network listed twice is
 * one network. After a failure the set contains nobody.
 */
int netset_seal(struct netset *set, struct err *e);

/*
 * Is the address in the set? The longest prefix that covers it decides; best_r
 * (NULL allowed) gets it, with addr.family NETADDR_NONE when none does.
 * NETADDR_NONE is in no set, and IPv4 in no IPv6 network, not even in one that
 * covers ::ffff:0:0/96.
 */
bool netset_contains(const struct netset *set, const struct netaddr *addr,
    struct net *best_r);

/* Completes a network that is in a sealed set, by its address and prefix:
 * excluded and mark. False, and nothing is changed, when it is not. */
bool netset_find(const struct netset *set, struct net *net);

/* The networks of a sealed set in ascending order (IPv4 first), for warnings
 * and proofs. */
size_t netset_count(const struct netset *set);
struct net netset_get(const struct netset *set, size_t i);

#endif
