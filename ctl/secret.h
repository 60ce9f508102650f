/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_SECRET_H
#define POSTERN_CTL_SECRET_H

#include <stddef.h>

/*
 * Reads one line from standard input without its line feed. A terminal is
 * prompted (on standard error) and does not echo; a signal that ends the
 * process, or stops it, finds the terminal as it was. secret_r does not end in
 * NUL and is the caller's to wipe. -1: nothing there, or longer than size
 * (told on standard error).
 */
int secret_read(const char *prompt, char *secret_r, size_t size, size_t *len_r);

#endif
