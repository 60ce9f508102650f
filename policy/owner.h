/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_OWNER_H
#define POSTERN_POLICY_OWNER_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/err.h"
#include "policy/login.h"
#include "policy/path.h"

/*
 * Who may use which sender address: patterns over the login, and a map in the
 * source format of Postfix's smtpd_sender_login_maps. Both say yes or nothing;
 * the union counts. Read-only once filled.
 */
struct owners;

/* fold_case: local parts of addresses compare case-insensitively. NULL: no
 * memory. */
struct owners *owners_new(bool fold_case);
void owners_free(struct owners **owners);

/* A pattern of the addresses that are a login's own, e.g. "%u@%d": %u is its
 * local part, %d its domain, %% a percent sign. -1 with the reason in e. */
int owners_add_pattern(struct owners *owners, const char *pattern,
    struct err *e);

/*
 * Adds a map: lines "address-or-@domain  login[, login...]", '#' comments,
 * continuation lines that begin with white space. Logins are normalised with
 * realm. Calls report(arg, line, text) for every bad line (line counts from 1)
 * and returns -1 if there was one; a map without any entry is an error on line
 * 1, for it is more likely lost than meant.
 */
int owners_add_map(struct owners *owners, const char *text, size_t len,
    const char *realm,
    void (*report)(void *arg, unsigned int line, const char *text), void *arg);

/*
 * May the login use this address? A subaddress (local+tag) of an owned address
 * is owned. False for anything that is not a PATH_MAILBOX with a domain; the
 * null reverse-path is the caller's business.
 */
bool owners_own(const struct owners *owners, const struct login *login,
    const struct path *address);

#endif
