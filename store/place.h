/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_PLACE_H
#define POSTERN_STORE_PLACE_H

#include <stdbool.h>

#include "policy/err.h"
#include "store/store.h"

/* Is it kept in a file on this host? */
bool place_is_file(const struct store_options *options);

/* The directory in which the options put the store; the caller frees it. NULL
 * with the reason in e. */
char *place_dir(const struct store_options *options, struct err *e);
/* The store's file in this directory; the caller frees it. NULL: no memory. */
char *place_file(const char *dir);

/*
 * For a tool that root runs: takes on the user and group to whom the store
 * belongs (its file, or its directory while there is none), for good, so that
 * nothing made there is closed to the daemon. Does nothing for other users. -1
 * with the reason in e.
 */
int place_take_owner(const struct store_options *options, struct err *e);

#endif
