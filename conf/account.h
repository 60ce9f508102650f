/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_ACCOUNT_H
#define POSTERN_CONF_ACCOUNT_H

#include "conf/load.h"

/*
 * Warnings about what a configuration names and this host does not have. None
 * of them is an error, for a configuration may be checked elsewhere than where
 * it serves. They need `user`, and a load that looks at this host (env->host).
 */

/* user, socket_group, the socket's directory, and the file itself. */
void account_warn(struct loader *l, const struct block *root);

/* The socket's directory and its group. */
void account_warn_socket(struct loader *l, const struct block *b,
    const struct socket_options *options, const char *listen,
    const char *group);

/* A file that `user` will not be able to read at the start, or that anybody
 * can write. */
void account_warn_file(struct loader *l, unsigned int line, const char *option,
    const char *path);

/* A program that `user` cannot run. */
void account_warn_program(struct loader *l, unsigned int line,
    const char *option, const char *path);

/* The directory of the store, if `user` cannot write in it; or if it is not
 * there, unless it is made at the start. */
void account_warn_store(struct loader *l, unsigned int line, const char *option,
    const char *dir, bool made);

#endif
