/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow, obvious twin of netset, for tests to compare with. It must not
 * share a line of code or an idea with what it checks.
 */
#include "tests/lib/naive.h"

unsigned int
naive_width(const struct netaddr *addr)
{
	return addr->family == NETADDR_INET ? 32 : 128;
}

bool
naive_bit(const struct netaddr *addr, unsigned int bit)
{
	return (addr->octets[bit / 8] & (0x80 >> bit % 8)) != 0;
}

void
naive_flip(struct netaddr *addr, unsigned int bit)
{
	addr->octets[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

bool
naive_covers(const struct net *net, const struct netaddr *addr)
{
	if (net->addr.family != addr->family)
		return false;
	for (unsigned int i = 0; i < net->prefix; i++)
		if (naive_bit(&net->addr, i) != naive_bit(addr, i))
			return false;
	return true;
}

size_t
naive_best(const struct net *nets, size_t count, const struct netaddr *addr)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++)
		if (naive_covers(&nets[i], addr) &&
		    (best == count || nets[i].prefix > nets[best].prefix))
			best = i;
	return best;
}

uint64_t
naive_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
