/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_FEED_H
#define POSTERN_GATE_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "gate/lease.h"

/*
 * What IMAP servers say of logins, read. Pure. What they quote of a client's is
 * a stranger's text, so anything that is not just as it should be is no login.
 */

enum feed {
	FEED_MALFORMED = 0, /* no report at all */
	FEED_IGNORED,       /* one of something else */
	FEED_LOGIN,         /* a success at IMAP or POP3 */
};

#define FEED_USER_MAX 255
#define FEED_ADDR_MAX 63

struct feed_login {
	char user[FEED_USER_MAX + 1];
	char addr[FEED_ADDR_MAX + 1]; /* as it was given; not judged */
	char via[FEED_ADDR_MAX + 1];  /* who has named addr; "" for itself */
	const char *source;           /* "dovecot", "cyrus" */
};

/*
 * Dovecot's JSON: an auth_policy report, or the event auth_request_finished of
 * the event exporter. report: the request was said to be the former; else it
 * shows in what there is, "event" or a boolean "success". why_r: a fixed text,
 * the reason unless it is a login.
 */
enum feed feed_json(const char *text, size_t len, bool report,
    struct feed_login *login_r, const char **why_r);

/*
 * A line of a log, without its line feed: Dovecot's "Login: user=<...>" (2.3)
 * and "Logged in: user=<...>" (2.4) with the default log format, or Cyrus's
 * "login: HOST [ADDRESS] USER MECHANISM User logged in", from syslog or from a
 * file of Dovecot's own.
 */
bool feed_line(const char *line, size_t len, struct feed_login *login_r);

/* For lease_give(); borrows from login. */
struct lease_login feed_as_lease(const struct feed_login *login);

#endif
