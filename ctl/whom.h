/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_WHOM_H
#define POSTERN_CTL_WHOM_H

#include "policy/err.h"
#include "policy/login.h"
#include "policy/netaddr.h"

/* Whom a command is about, as it is typed; NULL: not given. */
struct whom {
	const char *user;
	const char *addr;
};

/* [--user USER] [--addr ADDRESS], in any order and each once at most; borrowed.
 * -1: something else. */
int whom_parse(int argc, char **argv, struct whom *whom_r);

/* A login and an address as the daemon would write them. -1 with the reason in
 * e. */
int whom_login(const char *user, const char *realm, struct login *login_r,
    struct err *e);
int whom_addr(const char *addr, struct netaddr *addr_r, struct err *e);

#endif
