/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IP addresses from text and from socket addresses. The one place where an
 * IPv4-mapped address becomes IPv4; nothing else is unwrapped, guessed or
 * repaired, and no name is ever resolved. What does not parse is no address.
 */
#include "policy/netaddr.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>

static const struct netaddr no_address = { .family = NETADDR_NONE };

static void
from_inet(const struct in_addr *in, struct netaddr *addr_r)
{
	*addr_r = no_address;
	addr_r->family = NETADDR_INET;
	memcpy(addr_r->octets, &in->s_addr, 4);
}

static void
from_inet6(const struct in6_addr *in6, struct netaddr *addr_r)
{
	*addr_r = no_address;
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		addr_r->family = NETADDR_INET;
		memcpy(addr_r->octets, in6->s6_addr + 12, 4);
		return;
	}
	addr_r->family = NETADDR_INET6;
	memcpy(addr_r->octets, in6->s6_addr, 16);
}

int
netaddr_parse(const char *text, struct netaddr *addr_r)
{
	struct in_addr in;
	struct in6_addr in6;

	*addr_r = no_address;
	if (text == NULL)
		return -1;
	if (inet_pton(AF_INET, text, &in) == 1) {
		from_inet(&in, addr_r);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &in6) == 1) {
		from_inet6(&in6, addr_r);
		return 0;
	}
	return -1;
}

void
netaddr_from_sockaddr(const struct sockaddr *sa, struct netaddr *addr_r)
{
	*addr_r = no_address;
	if (sa == NULL)
		return;
	/* copied, because nobody promises that sa is aligned for its type */
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in sin;

		memcpy(&sin, sa, sizeof(sin));
		from_inet(&sin.sin_addr, addr_r);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 sin6;

		memcpy(&sin6, sa, sizeof(sin6));
		from_inet6(&sin6.sin6_addr, addr_r);
	}
}

void
netaddr_format(const struct netaddr *addr, char text_r[NETADDR_TEXT_MAX])
{
	const char *done = NULL;

	switch (addr->family) {
	case NETADDR_INET:
		done =
		    inet_ntop(AF_INET, addr->octets, text_r, NETADDR_TEXT_MAX);
		break;
	case NETADDR_INET6:
		done =
		    inet_ntop(AF_INET6, addr->octets, text_r, NETADDR_TEXT_MAX);
		break;
	case NETADDR_NONE:
		break;
	}
	if (done == NULL)
		memcpy(text_r, "-", 2);
}
