/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_NETADDR_H
#define POSTERN_POLICY_NETADDR_H

#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

enum netaddr_family {
	NETADDR_NONE = 0, /* no address, or none that can be judged: external */
	NETADDR_INET,
	NETADDR_INET6,
};

/*
 * An IP address. An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is always
 * held as the IPv4 address it stands for; no other embedding is unwrapped.
 * IPv4 uses octets[0..3].
 */
struct netaddr {
	enum netaddr_family family;
	uint8_t octets[16];
};

#define NETADDR_TEXT_MAX INET6_ADDRSTRLEN

/* From text, by inet_pton(3) alone: no tags, zones, brackets, blanks, short or
 * octal forms. On failure returns -1 and the address is NETADDR_NONE. */
int netaddr_parse(const char *text, struct netaddr *addr_r);

/* From what an MTA handed over. NULL, AF_UNIX and unknown families give
 * NETADDR_NONE. sa is borrowed for the call. */
void netaddr_from_sockaddr(const struct sockaddr *sa, struct netaddr *addr_r);

/* Writes the canonical text ("-" for NETADDR_NONE). */
void netaddr_format(const struct netaddr *addr, char text_r[NETADDR_TEXT_MAX]);

#endif
