/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_FILES_H
#define POSTERN_CONF_FILES_H

#include <stddef.h>

#include "policy/err.h"

#define FILES_TEXT_MAX (16u << 20) /* octets of a configuration or a map */
#define FILES_SECRET_MAX                     \
 1024 /* octets of a secret, its newline not \
       * counted */

/* A whole file; the caller frees text_r, which ends in a NUL that len_r does
 * not count. -1 with the reason in e. */
int files_read(const char *path, char **text_r, size_t *len_r, struct err *e);

/*
 * A secret: a regular file that only its owner can read or write, of 1 to
 * FILES_SECRET_MAX octets and one final newline, which is not part of it. No
 * NUL, CR or LF inside. The caller wipes and frees it: files_wipe().
 */
int files_read_secret(const char *path, char **secret_r, struct err *e);
/* Wipes, frees and nulls; NULL is allowed. */
void files_wipe(char **secret);

/* Is it a regular file, not empty, that this process can read? */
int files_check_readable(const char *path, struct err *e);

#endif
