/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_REDISD_H
#define POSTERN_TESTS_LIB_REDISD_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/lib/stores.h"

/* A redis-server of a test's own: a UNIX socket, nothing on disk. */
struct redisd {
	char dir[TREE_SIZE];
	char socket[96];
	char url[112];
	pid_t pid; /* 0: it does not run */
};

bool redisd_is_installed(void);
/* Makes the directory. -1: it cannot. */
int redisd_prepare(struct redisd *d);
/* Starts it, and returns when it answers; more: words of its configuration,
 * ended by NULL, or NULL. -1: it does not. */
int redisd_start(struct redisd *d, const char *const *more);
void redisd_stop(struct redisd *d); /* kill -9 */
void redisd_pause(const struct redisd *d);
void redisd_continue(const struct redisd *d);
/* Ends it, and removes the directory with all that is in it. */
void redisd_clear(struct redisd *d);

/* Asks by a connection of its own; an integer, or 0 for another answer, or -1:
 * an error. */
long long redisd_ask(const struct redisd *d, const char *format, ...);

#endif
