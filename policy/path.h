/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_PATH_H
#define POSTERN_POLICY_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/domain.h"

#define PATH_LOCAL_MAX 64  /* octets, quotes included (RFC 5321, 4.5.3.1.1) */
#define PATH_RAW_MAX   256 /* octets, punctuation included (4.5.3.1.3) */

enum path_command {
	PATH_OF_MAIL, /* reverse-path: <> is valid */
	PATH_OF_RCPT, /* forward-path: <Postmaster> is valid */
};

enum path_form {
	PATH_UNKNOWN = 0, /* not parsed yet */
	PATH_MALFORMED,
	PATH_NOT_ASCII,  /* needs SMTPUTF8, which MAIL did not give */
	PATH_NULL,       /* <>, only of MAIL */
	PATH_POSTMASTER, /* <Postmaster> without a domain, only of RCPT */
	PATH_MAILBOX,    /* local part and domain */
};

/* What an envelope path says. local and domain are empty unless the form is
 * PATH_MAILBOX (or PATH_POSTMASTER: "postmaster" and no domain). */
struct path {
	enum path_form form;
	bool routed; /* source route, or @ % ! :: in the decoded local part;
		      * for malformed paths a hint at most */
	enum domain_kind kind;
	char local[PATH_LOCAL_MAX + 1]; /* decoded: quoted = unquoted; UTF-8 */
	char domain[DOMAIN_MAX + 1];    /* canonical */
};

/*
 * Parses the argument of MAIL FROM: or RCPT TO: exactly as the client typed it,
 * angle brackets included: Reverse-path and Forward-path of RFC 5321, 4.1.2
 * with RFC 6531, 3.3. Strict: anything else, an embedded NUL or a control
 * character included, is PATH_MALFORMED. raw need not end in NUL. Cannot fail
 * otherwise, allocates nothing (IDNA of a non-ASCII domain apart).
 */
void path_parse(enum path_command command, const char *raw, size_t len,
    bool smtputf8, struct path *path_r);

/*
 * Parses a Mailbox without brackets, as MTAs report the address they resolved
 * ({mail_addr}, {rcpt_addr}) and as ownership maps write it. UTF-8 is allowed.
 * A local part alone gives PATH_MAILBOX with DOMAIN_NONE and an empty domain.
 */
void path_parse_mailbox(const char *text, size_t len, struct path *path_r);

bool path_is_valid(const struct path *path);

#endif
