/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_LISTEN_H
#define POSTERN_SERVICE_LISTEN_H

#include <sys/types.h>

#include "policy/err.h"

/* Listening sockets: unix:PATH, inet:PORT@HOST, inet6:PORT@HOST. */

/* The path (borrowed), or NULL: not a UNIX socket. */
const char *listen_unix_path(const char *address);

/* The number of a group; (gid_t)-1 for "". -1: there is no such group. */
int listen_find_group(const char *name, gid_t *group_r);

/* Begins to connect and does not wait. The descriptor, or -1. */
int listen_connect(const char *address);

/*
 * Makes a UNIX socket by calling make(arg, e): refused when somebody answers
 * at the path or it is no socket; a socket left behind by a crash is make's to
 * replace. The new one has this mode from its birth, and this group ((gid_t)-1:
 * leave it alone). umask(2) is changed meanwhile: for the start, without
 * threads. -1 with the reason in e.
 */
typedef int listen_make(void *arg, struct err *e);
int listen_make_unix(const char *path, unsigned int mode, gid_t group,
    listen_make *make, void *arg, struct err *e);

/* Opens a listening socket that does not block; mode and group are for a UNIX
 * socket, made as above. The descriptor, or -1 with the reason in e. */
int listen_open(const char *address, unsigned int mode, gid_t group,
    struct err *e);

#endif
