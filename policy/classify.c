/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text and addresses in, small enums out. Each function fills the facts it is
 * named after and no others; none of them decides anything.
 */
#include "policy/classify.h"

#include <string.h>
#include <strings.h>

void
classify_client(const struct policy *policy, const struct netaddr *peer,
    const char *listener, struct facts *facts)
{
	facts->zone = netset_contains(policy->internal, peer, NULL)
	    ? ZONE_INTERNAL
	    : ZONE_EXTERNAL;
	facts->role = ROLE_SUBMISSION;
	if (listener == NULL)
		return;
	for (size_t i = 0; i < policy->listener_count; i++) {
		if (strcmp(policy->listeners[i].name, listener) == 0)
			facts->role = policy->listeners[i].role;
	}
}

void
classify_tls(const struct policy *policy, const char *version,
    const char *cipher, const char *bits, struct facts *facts)
{
	facts->tls = tls_judge(policy->tls_min_version, policy->tls_min_bits,
	    version, cipher, bits);
}

static bool
mechanism_is_listed(const struct policy *policy, const char *mechanism)
{
	for (size_t i = 0; i < policy->mechanism_count; i++) {
		if (strcasecmp(policy->mechanisms[i], mechanism) == 0)
			return true;
	}
	return false;
}

void
classify_login(const struct policy *policy, const char *mechanism,
    const char *login, size_t len, struct login *login_r, struct facts *facts)
{
	login_r->text[0] = '\0';
	if (mechanism == NULL || *mechanism == '\0' ||
	    strcasecmp(mechanism, "ANONYMOUS") == 0) {
		facts->login = LOGIN_ABSENT;
		return;
	}
	if (!mechanism_is_listed(policy, mechanism)) {
		facts->login = LOGIN_MECHANISM_UNLISTED;
		return;
	}
	facts->login = LOGIN_MALFORMED;
	if (login != NULL &&
	    login_normalise(login, len, policy->realm, login_r) == 0)
		facts->login = LOGIN_PRESENT;
	else
		login_r->text[0] = '\0';
}

static enum address_form
address_form(const struct path *path)
{
	switch (path->form) {
	case PATH_UNKNOWN:
		return ADDRESS_UNKNOWN;
	case PATH_MALFORMED:
		return ADDRESS_MALFORMED;
	case PATH_NOT_ASCII:
		return ADDRESS_NOT_ASCII;
	case PATH_NULL:
		return ADDRESS_NULL;
	case PATH_POSTMASTER:
		return ADDRESS_QUALIFIED;
	case PATH_MAILBOX:
		return domain_is_qualified(path->kind) ? ADDRESS_QUALIFIED
						       : ADDRESS_UNQUALIFIED;
	}
	return ADDRESS_UNKNOWN;
}

/* An MTA reports a local user without a domain. */
static bool
is_bare_local(const struct path *resolved)
{
	return resolved->form == PATH_MAILBOX && resolved->kind == DOMAIN_NONE;
}

/*
 * Both what the client typed and what the MTA made of it must be owned: an MTA
 * that rewrites "a%b@c" sends as a@b.
 */
static bool
owns_both(const struct policy *policy, const struct login *login,
    const struct path *sender, const struct path *resolved)
{
	if (!owners_own(policy->owners, login, sender))
		return false;
	return resolved == NULL || is_bare_local(resolved) ||
	    owners_own(policy->owners, login, resolved);
}

void
classify_sender(const struct policy *policy, const struct path *sender,
    const struct path *resolved, const struct login *login, struct facts *facts)
{
	facts->sender = address_form(sender);
	facts->sender_owned = TRI_NO;
	if (facts->login == LOGIN_PRESENT &&
	    owns_both(policy, login, sender, resolved))
		facts->sender_owned = TRI_YES;
}

bool
classify_lease_barred(const struct policy *policy, const struct netaddr *peer)
{
	struct net best;

	if (peer->family == NETADDR_NONE)
		return true;
	(void)netset_contains(policy->internal, peer, &best);
	if (best.addr.family != NETADDR_NONE && best.excluded)
		return true;
	return policy->lease_except != NULL &&
	    netset_contains(policy->lease_except, peer, NULL);
}

void
classify_lease(const struct policy *policy, const struct path *sender,
    const struct path *resolved, const struct login *holders, size_t count,
    struct login *holder_r, struct facts *facts)
{
	holder_r->text[0] = '\0';
	facts->lease = count > 0 ? LEASE_HELD : LEASE_NONE;
	facts->sender_owned = TRI_NO;
	if (facts->login != LOGIN_ABSENT)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!owns_both(policy, &holders[i], sender, resolved))
			continue;
		*holder_r = holders[i];
		facts->sender_owned = TRI_YES;
		return;
	}
}

static bool
resolved_is_local(const struct policy *policy, const struct path *resolved,
    const char *resolved_host)
{
	if (is_bare_local(resolved))
		return resolved_host == NULL || *resolved_host == '\0';
	return resolved->form == PATH_MAILBOX &&
	    domainset_contains(policy->local_domains, resolved->domain);
}

void
classify_recipient(const struct policy *policy, const struct path *recipient,
    const struct path *resolved, const char *resolved_host, struct facts *facts)
{
	enum tri routed = recipient->routed ? TRI_YES : TRI_NO;
	bool local;

	facts->recipient = address_form(recipient);
	if (recipient->form == PATH_POSTMASTER) {
		local = true; /* everywhere (RFC 5321, 4.5.1) */
	} else {
		local = recipient->form == PATH_MAILBOX &&
		    domainset_contains(policy->local_domains,
			recipient->domain);
		if (resolved != NULL) {
			local = local &&
			    resolved_is_local(policy, resolved, resolved_host);
			if (resolved->form != PATH_MAILBOX)
				routed = TRI_UNKNOWN; /* what will it do? */
			else if (resolved->routed)
				routed = TRI_YES;
		}
	}
	facts->recipient_routed = routed;
	facts->recipient_local = local ? TRI_YES : TRI_NO;
}
