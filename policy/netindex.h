/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_NETINDEX_H
#define POSTERN_POLICY_NETINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/netaddr.h"
#include "policy/netset.h"

/*
 * Longest-prefix search in the networks of one family; the inside of a netset.
 * Read-only once built: any number of threads may ask.
 */
struct netindex;

#define NETINDEX_MAX ((size_t)INT32_MAX / 4)

/* nets: of one family, host bits clear, prefix 1 or longer, each place once, in
 * the order of a sealed netset. Borrowed for the call; there may be none. NULL:
 * no memory. */
struct netindex *netindex_new(const struct net *nets, size_t count);
/* Frees and nulls; NULL is allowed. */
void netindex_free(struct netindex **index);

/* How long is the prefix of the network that decides about an address of this
 * family? 0: none covers it. listed_r: one does, and it is not excluded. */
unsigned int netindex_find(const struct netindex *index,
    const struct netaddr *addr, bool *listed_r);

/*
 * Do the listed networks leave no address out? Exclusions do not help: whoever
 * lists everybody meant something else. No IPv6 client is in ::ffff:0:0/96, for
 * it is judged as IPv4; a list that leaves out just this leaves out nobody.
 */
bool netindex_lists_everybody(const struct net *nets, size_t count);

#endif
