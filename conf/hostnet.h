/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_HOSTNET_H
#define POSTERN_CONF_HOSTNET_H

#include <stddef.h>

#include <ifaddrs.h>
#include <net/if.h>

#include "policy/netaddr.h"

/*
 * Addresses of this host that may speak for others: its default gateways, and
 * its own addresses on bridges (what containers and virtual machines are
 * translated to). Only for warnings.
 */
enum hostnet_kind {
	HOSTNET_GATEWAY = 0,
	HOSTNET_BRIDGE,
};

struct hostnet {
	enum hostnet_kind kind;
	struct netaddr addr;
	char interface[IF_NAMESIZE];
};

/* Where to look. */
struct hostnet_source {
	const char *proc_net; /* has route and ipv6_route */
	const char *sys_net;  /* has IFACE/bridge */
	int (*get_addresses)(struct ifaddrs **list_r);
	void (*free_addresses)(struct ifaddrs *list);
};

/* This host. */
extern const struct hostnet_source hostnet_live;

/* The caller frees list_r. What cannot be read adds nothing. -1: no memory. */
int hostnet_read(const struct hostnet_source *source, struct hostnet **list_r,
    size_t *count_r);

#endif
