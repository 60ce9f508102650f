/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_MUX_H
#define POSTERN_SERVICE_MUX_H

#include <stddef.h>

#include "policy/login.h"

/* What Cyrus SASL asks of saslauthd(8): four counted strings. Pure. */
enum mux_state {
	MUX_BAD = 0, /* more than one request */
	MUX_PART,
	MUX_WHOLE,
};

/* Borrowed from the request; none ends in NUL. */
struct mux_request {
	const char *login;
	size_t login_len;
	const char *password;
	size_t password_len;
	const char *service;
	size_t service_len;
	const char *realm;
	size_t realm_len;
};

enum mux_state mux_parse(const char *data, size_t len,
    struct mux_request *request_r);

/* Room for two names that are too long each. */
#define MUX_LOGIN_MAX (2 * LOGIN_MAX + 3)

/*
 * Puts together what libsasl took apart at the last '@' ("alice" and
 * "example.org"). A realm that repeats the login's own is no second one. The
 * length; MUX_LOGIN_MAX: too long to be a login.
 */
size_t mux_login(const struct mux_request *request,
    char login_r[MUX_LOGIN_MAX]);

#endif
