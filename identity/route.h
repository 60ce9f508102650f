/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_ROUTE_H
#define POSTERN_IDENTITY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/login.h"

/* Which server is asked about a login, and whether it is asked at all. Pure. */

/* Is the login's domain among these (canonical names, or "*" for all)? */
bool route_matches(const char *const *domains, size_t count,
    const struct login *login);

/* Is there more than one '@'? Where such a login splits is everybody's guess,
 * and behind a domain that is served would be asked about an account of one
 * that is not. It is refused before IMAP sees it, too. */
bool route_is_ambiguous(const struct login *login);

/* Would a server that separates master users by this text ("" for none) take
 * the login for one? Such a login is refused before IMAP sees it. */
bool route_is_master(const char *separator, const struct login *login);

#endif
