/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_CLASSIFY_H
#define POSTERN_POLICY_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/facts.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/path.h"
#include "policy/policy.h"

/*
 * What the MTA says, made into facts. Pure; every text is borrowed for the
 * call, and NULL is a macro that was not there.
 */

/* Zone and role: the peer's address, and the listener's name ({daemon_name}; a
 * name that is not configured is a submission listener). */
void classify_client(const struct policy *policy, const struct netaddr *peer,
    const char *listener, struct facts *facts);

/* {tls_version}, {cipher}, {cipher_bits}. */
void classify_tls(const struct policy *policy, const char *version,
    const char *cipher, const char *bits, struct facts *facts);

/* {auth_type} and {auth_authen} (len octets, xtext already decoded). login_r is
 * set where facts->login is LOGIN_PRESENT, else emptied. */
void classify_login(const struct policy *policy, const char *mechanism,
    const char *login, size_t len, struct login *login_r, struct facts *facts);

/* The reverse-path, and {mail_addr} parsed by path_parse_mailbox() (NULL: not
 * told). login is the one that classify_login() gave. */
void classify_sender(const struct policy *policy, const struct path *sender,
    const struct path *resolved, const struct login *login,
    struct facts *facts);

/* Must nobody ever be let in because of a login from there? An address that
 * `internal` excludes or leases.except lists speaks for others. (So do this
 * host's own addresses, which policy/ cannot know.) */
bool classify_lease_barred(const struct policy *policy,
    const struct netaddr *peer);

/*
 * The logins that hold a lease at the peer's address, after classify_sender().
 * The first to whom the reverse-path (and resolved, as there) belongs is
 * copied to holder_r, and facts->sender_owned says so; without one, it is
 * emptied. Only for a client without a login.
 */
void classify_lease(const struct policy *policy, const struct path *sender,
    const struct path *resolved, const struct login *holders, size_t count,
    struct login *holder_r, struct facts *facts);

/* The forward-path, and {rcpt_addr} likewise; resolved_host is {rcpt_host}. */
void classify_recipient(const struct policy *policy,
    const struct path *recipient, const struct path *resolved,
    const char *resolved_host, struct facts *facts);

#endif
