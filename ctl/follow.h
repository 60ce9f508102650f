/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_FOLLOW_H
#define POSTERN_CTL_FOLLOW_H

#include <stddef.h>

/* A line that has been written to the end, without its line feed; borrowed. */
typedef void follow_take(void *arg, const char *line, size_t len);

/*
 * Calls take for every line that is added to the file from now on, until
 * SIGTERM or SIGINT: a file that is replaced (rotated) is read to its end and
 * the new one from its beginning, and so is one that was cut short. It may
 * still have to appear. "-": standard input, all of it, until it ends. Returns
 * 0 at the end, or -1 with errno.
 */
int follow(const char *path, follow_take *take, void *arg);

#endif
