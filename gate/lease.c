/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases between the store and everybody who gives or uses them. What is told
 * of a login comes from outside: a lease is for a well-formed login of this
 * site, at an address that speaks for one client only. It must not decide about
 * mail, and it does not know how a report was written.
 */
#include "gate/lease.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/classify.h"

static bool
is_loopback(const struct netaddr *addr)
{
	struct in6_addr v6;

	if (addr->family == NETADDR_INET)
		return addr->octets[0] == IN_LOOPBACKNET;
	memcpy(&v6, addr->octets, sizeof(v6));
	return addr->family == NETADDR_INET6 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool
same_address(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family &&
	    memcmp(a->octets, b->octets, a->family == NETADDR_INET ? 4 : 16) ==
	    0;
}

/* Webmail, a proxy, postern's own questions: what runs here logs in for
 * everybody. Interfaces come and go, so they are looked at each time. */
static bool
is_this_host(const struct netaddr *addr)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (is_loopback(addr))
		return true;
	if (getifaddrs(&list) != 0)
		return true;
	for (const struct ifaddrs *i = list; i != NULL && !found;
	     i = i->ifa_next) {
		struct netaddr own;

		netaddr_from_sockaddr(i->ifa_addr, &own);
		found = own.family != NETADDR_NONE && same_address(&own, addr);
	}
	freeifaddrs(list);
	return found;
}

bool
lease_is_barred(const struct policy *policy, const struct netaddr *addr)
{
	return classify_lease_barred(policy, addr) || is_this_host(addr);
}

/* The store is asked before the interfaces: few clients hold a lease. */
int
lease_holders(struct store *store, const struct policy *policy,
    const struct netaddr *peer, uint64_t now_ms,
    struct login logins_r[LEASE_HOLDERS_MAX])
{
	int count;

	if (classify_lease_barred(policy, peer))
		return 0;
	if (store == NULL)
		return -1;
	count =
	    store_lease_get(store, peer, now_ms, logins_r, LEASE_HOLDERS_MAX);
	return count > 0 && is_this_host(peer) ? 0 : count;
}

/* postern asks IMAP about others as proxy_user; that is nobody's login. */
static bool
is_proxy_user(const struct conf *conf, const struct login *login)
{
	for (size_t i = 0; i < conf->imap_count; i++) {
		const char *name = conf->imaps[i].proxy_user;
		struct login proxy;

		if (name != NULL &&
		    login_normalise(name, strlen(name), conf->policy.realm,
			&proxy) == 0 &&
		    strcmp(proxy.text, login->text) == 0)
			return true;
	}
	return false;
}

static int
parse_address(const char *text, size_t len, struct netaddr *addr_r)
{
	char copy[NETADDR_TEXT_MAX];

	if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return netaddr_parse(copy, addr_r);
}

/* postern tells IMAP whose password it checks (imap.forward_client), and is a
 * proxy for that: a login at SMTP is none at IMAP. */
static bool
is_our_own(const char *via)
{
	struct netaddr addr;

	if (via == NULL || *via == '\0')
		return false;
	return netaddr_parse(via, &addr) != 0 || is_this_host(&addr);
}

/* NULL, or why this login gives none. */
static const char *
find_objection(const struct rules *rules, const struct lease_login *login,
    struct store_lease *lease)
{
	const struct policy *policy = &rules->conf->policy;

	if (policy->switches.leases != LEASES_ON)
		return "leases are off (leases.enabled)";
	if (login->user == NULL ||
	    login_normalise(login->user, login->user_len, policy->realm,
		&lease->login) != 0)
		return "no well-formed login";
	if (!rules_would_ask(rules, &lease->login))
		return "no imap section is for this login";
	if (is_proxy_user(rules->conf, &lease->login))
		return "the login is imap.proxy_user";
	if (is_our_own(login->via))
		return "the login came by way of this host";
	if (login->addr == NULL ||
	    parse_address(login->addr, login->addr_len, &lease->addr) != 0)
		return "no IP address";
	if (netset_contains(policy->internal, &lease->addr, NULL))
		return "the address is internal and needs no lease";
	if (lease_is_barred(policy, &lease->addr))
		return "the address speaks for others (an exclusion of "
		       "internal, leases.except, or this host's own)";
	return NULL;
}

enum lease_given
lease_give(struct store *store, const struct rules *rules,
    const struct lease_login *login, uint64_t now_ms,
    struct store_lease *lease_r, const char **why_r)
{
	memset(lease_r, 0, sizeof(*lease_r));
	*why_r = find_objection(rules, login, lease_r);
	if (*why_r != NULL)
		return LEASE_IGNORED;
	lease_r->until_ms = now_ms + rules->conf->lease_ttl_ms;
	(void)snprintf(lease_r->source, sizeof(lease_r->source), "%s",
	    login->source);
	if (store != NULL && store_lease_put(store, lease_r) == 0)
		return LEASE_GIVEN;
	*why_r = "the store did not take it";
	return LEASE_FAILED;
}
