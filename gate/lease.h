/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_LEASE_H
#define POSTERN_GATE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/rules.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/policy.h"
#include "store/store.h"

/*
 * IMAP-before-SMTP: who has logged in at IMAP from an address may submit from
 * there for leases.ttl, with a sender address of their own.
 */

/* Of more holders at one address only the latest are known. */
#define LEASE_HOLDERS_MAX 64

/* Does the address stand for others, so that nobody holds a lease there:
 * excluded from `internal`, listed in leases.except, or this host's own? True
 * when that cannot be found out. */
bool lease_is_barred(const struct policy *policy, const struct netaddr *addr);

/* Who holds a lease at this address, the latest first. How many; -1: the store
 * (NULL: there is none) cannot tell. Any thread. */
int lease_holders(struct store *store, const struct policy *policy,
    const struct netaddr *peer, uint64_t now_ms,
    struct login logins_r[LEASE_HOLDERS_MAX]);

/* A login at IMAP that somebody reports. Texts are borrowed, need not end in
 * NUL, and may be anything. */
struct lease_login {
	const char *user;
	size_t user_len;
	const char *addr;
	size_t addr_len;
	const char *source; /* who reports it, at most STORE_SOURCE_MAX */
	const char *via;    /* the proxy that named addr; NULL or "": none */
};

enum lease_given {
	LEASE_FAILED = 0, /* the store did not take it, or there is none */
	LEASE_IGNORED,    /* rightly: it gives no lease */
	LEASE_GIVEN,
};

/*
 * Gives the lease that the login is good for, if the rules allow one. why_r: a
 * fixed text, the reason when it was not given. lease_r: what was given. Any
 * thread; never waits for a disk.
 */
enum lease_given lease_give(struct store *store, const struct rules *rules,
    const struct lease_login *login, uint64_t now_ms,
    struct store_lease *lease_r, const char **why_r);

#endif
