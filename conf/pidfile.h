/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_PIDFILE_H
#define POSTERN_CONF_PIDFILE_H

#include <sys/types.h>

#include "conf/conf.h"
#include "policy/err.h"

/*
 * The file that a running daemon keeps locked, so that a second one on the same
 * socket is refused and posternctl finds the first: SOCKET.pid beside a UNIX
 * socket, postern.pid in state_dir otherwise.
 */

/* The caller frees it. NULL: no memory. */
char *pidfile_path(const struct conf *conf);

/* Creates and locks it for this process, until it ends. Returns the descriptor
 * (closing any descriptor of the file ends the lock), or -1 with the reason. */
int pidfile_lock(const char *path, struct err *e);

/* The process that holds the lock; 0: nobody; -1 with the reason in e. */
pid_t pidfile_owner(const char *path, struct err *e);

#endif
