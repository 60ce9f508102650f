/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which addresses of this host may speak for others, from Linux's /proc, /sys
 * and getifaddrs(3). It feeds warnings only: where a kernel tells nothing there
 * is nothing to warn about, and nothing here may decide about mail.
 */
#include "conf/hostnet.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_GATEWAY 0x2u /* RTF_GATEWAY */

const struct hostnet_source hostnet_live = {
	.proc_net = "/proc/net",
	.sys_net = "/sys/class/net",
	.get_addresses = getifaddrs,
	.free_addresses = freeifaddrs,
};

struct hostnet_list {
	struct hostnet *entries;
	size_t count;
};

static int
add(struct hostnet_list *list, enum hostnet_kind kind,
    const struct netaddr *addr, const char *interface)
{
	struct hostnet *entries = reallocarray(list->entries, list->count + 1,
	    sizeof(*list->entries));

	if (entries == NULL)
		return -1;
	list->entries = entries;
	entries += list->count++;
	memset(entries, 0, sizeof(*entries));
	entries->kind = kind;
	entries->addr = *addr;
	(void)snprintf(entries->interface, sizeof(entries->interface), "%s",
	    interface);
	return 0;
}

/* "IFACE DESTINATION GATEWAY FLAGS REFS USE METRIC MASK ...": addresses as the
 * kernel has them in memory, in hexadecimal. 1: a default gateway. */
static int
parse_route4(const char *line, struct netaddr *addr_r, char *interface_r)
{
	unsigned int destination, gateway, flags, mask;

	if (sscanf(line, "%15s %x %x %x %*s %*s %*s %x", interface_r,
		&destination, &gateway, &flags, &mask) != 5)
		return 0;
	if (destination != 0 || mask != 0 || (flags & ROUTE_GATEWAY) == 0)
		return 0;
	memset(addr_r, 0, sizeof(*addr_r));
	addr_r->family = NETADDR_INET;
	memcpy(addr_r->octets, &gateway, 4);
	return 1;
}

/* "DESTINATION LEN SOURCE LEN NEXTHOP METRIC REFS USE FLAGS IFACE", addresses
 * as 32 hexadecimal digits. */
static int
parse_route6(const char *line, struct netaddr *addr_r, char *interface_r)
{
	char destination[33], hop[33];
	unsigned int length, flags;

	if (sscanf(line, "%32s %x %*s %*s %32s %*s %*s %*s %x %15s",
		destination, &length, hop, &flags, interface_r) != 5)
		return 0;
	if (length != 0 || (flags & ROUTE_GATEWAY) == 0 || strlen(hop) != 32)
		return 0;
	memset(addr_r, 0, sizeof(*addr_r));
	addr_r->family = NETADDR_INET6;
	for (size_t i = 0; i < 16; i++) {
		unsigned int octet;

		if (sscanf(hop + 2 * i, "%2x", &octet) != 1)
			return 0;
		addr_r->octets[i] = (uint8_t)octet;
	}
	return 1;
}

static int
read_routes(const struct hostnet_source *source, const char *name,
    int (*parse)(const char *, struct netaddr *, char *),
    struct hostnet_list *list)
{
	char path[512], line[512], interface[IF_NAMESIZE];
	struct netaddr addr;
	FILE *file;
	int rc = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", source->proc_net, name);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
		if (parse(line, &addr, interface) == 1)
			rc = add(list, HOSTNET_GATEWAY, &addr, interface);
	}
	(void)fclose(file);
	return rc;
}

static bool
is_bridge(const struct hostnet_source *source, const char *interface)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s/bridge", source->sys_net,
	    interface);
	return access(path, F_OK) == 0;
}

static int
read_bridges(const struct hostnet_source *source, struct hostnet_list *list)
{
	struct ifaddrs *addresses = NULL;
	int rc = 0;

	if (source->get_addresses(&addresses) < 0)
		return 0;
	for (const struct ifaddrs *a = addresses; rc == 0 && a != NULL;
	     a = a->ifa_next) {
		struct netaddr addr;

		netaddr_from_sockaddr(a->ifa_addr, &addr);
		if (addr.family != NETADDR_NONE &&
		    is_bridge(source, a->ifa_name))
			rc = add(list, HOSTNET_BRIDGE, &addr, a->ifa_name);
	}
	source->free_addresses(addresses);
	return rc;
}

int
hostnet_read(const struct hostnet_source *source, struct hostnet **list_r,
    size_t *count_r)
{
	struct hostnet_list list = { NULL, 0 };

	if (read_routes(source, "route", parse_route4, &list) < 0 ||
	    read_routes(source, "ipv6_route", parse_route6, &list) < 0 ||
	    read_bridges(source, &list) < 0) {
		free(list.entries);
		return -1;
	}
	*list_r = list.entries;
	*count_r = list.count;
	return 0;
}
