/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_LOGIN_H
#define POSTERN_POLICY_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#define LOGIN_MAX 255

/* A SASL identity (authcid) in its one canonical form: local part as given,
 * '@', domain as lower-cased A-labels; no '@' when the site has no realm. */
struct login {
	char text[LOGIN_MAX + 1];
};

/*
 * Normalises what the MTA reported. realm (NULL or "" for none) is appended to
 * a login without '@'. Returns -1 when it is empty, longer than LOGIN_MAX
 * before or after, not UTF-8, has a byte below 0x20 or 0x7f, a NUL, leading or
 * trailing space, or an empty local part or domain. raw need not end in NUL.
 */
int login_normalise(const char *raw, size_t len, const char *realm,
    struct login *login_r);

/* The part after the last '@', or "". */
const char *login_domain(const struct login *login);
/* Copies the part before the last '@'. */
void login_local(const struct login *login, char local_r[LOGIN_MAX + 1]);

/*
 * Decodes xtext (RFC 3461, 4) once: sendmail reports logins in it. -1 when it
 * is not xtext or does not fit into size with its NUL, or decodes to a NUL.
 */
int login_xtext_decode(const char *text, char *out_r, size_t size,
    size_t *len_r);

#endif
