/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_MILTER_SOCKET_H
#define POSTERN_MILTER_SOCKET_H

#include <sys/types.h>

#include "conf/conf.h"
#include "milter/process.h"
#include "policy/err.h"

/* What the end needs, when the configuration may be another one. Owned, for as
 * long as the process lives. */
struct socket_names {
	char *listen;
	char *pid_file;
};

/*
 * Opens the milter's listening socket: refuses a second instance (by the pid
 * file's lock, and by asking whether somebody answers on a UNIX socket),
 * replaces a stale socket, and gives the new one socket_mode and the identity's
 * group. -1 with the reason in e.
 */
int socket_open(const struct conf *conf,
    const struct process_identity *identity, struct socket_names *names_r,
    struct err *e);

/* Connects once and hangs up, which wakes libmilter's listener. */
void socket_poke(const struct socket_names *names);

/* Removes the UNIX socket and the pid file; what is not allowed any more after
 * privileges were dropped stays, and does no harm. */
void socket_remove(const struct socket_names *names);

#endif
