/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_MILTER_FILTER_H
#define POSTERN_MILTER_FILTER_H

#include "gate/gate.h"
#include "policy/err.h"

/*
 * The libmilter door. There is one per process, because libmilter keeps its
 * listener in static memory.
 */

/* Registers the callbacks and opens the listening socket (conf's listen syntax
 * is libmilter's). Before privileges are dropped and threads are started. A
 * stale UNIX socket is replaced: the caller makes sure that it is stale. */
int filter_open(const char *listen, struct err *e);

/* Serves until filter_stop(). gate is borrowed for as long. Returns libmilter's
 * verdict: 0, or -1. Call it on a thread of its own. */
int filter_run(struct gate *gate);

/* Tells filter_run() to return; may block for seconds, see main.c. */
void filter_stop(void);

/* libmilter's version, for -V. */
void filter_version(unsigned int *major_r, unsigned int *minor_r,
    unsigned int *patch_r);

#endif
