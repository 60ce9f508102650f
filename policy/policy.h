/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/domain.h"
#include "policy/facts.h"
#include "policy/netset.h"
#include "policy/owner.h"
#include "policy/tls.h"

enum mode {
	MODE_ENFORCE = 0,
	MODE_OBSERVE, /* the verdict is logged and the mail passes */
};

/* auth.internal: a login that an internal client presents */
enum auth_internal {
	AUTH_INTERNAL_CHECK = 0,
	AUTH_INTERNAL_IGNORE,
};

/* senders.check */
enum sender_check {
	SENDER_CHECK_OFF = 0,
	SENDER_CHECK_ENVELOPE,
};

/* senders.action */
enum sender_action {
	SENDER_ACTION_REJECT = 0,
	SENDER_ACTION_WARN,
};

/* recipients.routed */
enum routed_action {
	ROUTED_REJECT = 0,
	ROUTED_ALLOW_INTERNAL,
};

/* leases.enabled */
enum leases {
	LEASES_OFF = 0,
	LEASES_ON,
};

/* leases.require_tls */
enum lease_tls {
	LEASE_TLS_REQUIRED = 0,
	LEASE_TLS_OPTIONAL,
};

/* The switches that decide_*() may look at. Zeroed, they are the defaults, and
 * no value widens the promise. */
struct switches {
	enum auth_internal auth_internal;
	enum sender_check sender_check;
	enum sender_action sender_action;
	enum routed_action routed;
	enum leases leases;
	enum lease_tls lease_tls;
};

struct listener {
	char *name; /* {daemon_name} */
	enum role role;
};

/* The site's policy, read-only once built. Every pointer is owned. */
struct policy {
	struct switches switches;
	enum mode mode;
	struct netset *internal;
	struct domainset *local_domains;
	struct listener *listeners;
	size_t listener_count;
	enum tls_version tls_min_version;
	unsigned int tls_min_bits;
	char **mechanisms; /* upper case */
	size_t mechanism_count;
	char *realm; /* "" for none */
	struct owners *owners;
	struct netset *lease_except; /* leases.except; NULL: nobody */
};

/* Frees what the policy owns and zeroes it; the struct itself is the
 * caller's. */
void policy_clear(struct policy *policy);

#endif
