/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_NAIVE_H
#define POSTERN_TESTS_LIB_NAIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/netset.h"

/*
 * Longest-prefix match as one would explain it to a child, bit by bit and
 * network by network: what a netset has to agree with.
 */
unsigned int naive_width(const struct netaddr *addr); /* 32 or 128 bits */
bool naive_bit(const struct netaddr *addr, unsigned int bit);
void naive_flip(struct netaddr *addr, unsigned int bit);
bool naive_covers(const struct net *net, const struct netaddr *addr);
/* The place of the longest prefix that covers addr, or count. */
size_t naive_best(const struct net *nets, size_t count,
    const struct netaddr *addr);

/* Numbers that look random, the same for the same seed (not 0). */
uint64_t naive_random(uint64_t *seed);

#endif
