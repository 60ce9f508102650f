/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_SECRET_H
#define POSTERN_IDENTITY_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_TAG_LEN   32
#define SECRET_PARTS_MAX 4
#define SECRET_TEXT_MAX  2048 /* of all parts together */

struct secret_part {
	const char *text; /* need not end in NUL */
	size_t len;
};

/* Makes this process's key, once; it lives as long as the process. -1: there
 * is no randomness or no memory, and no tag will be made. Any thread. */
int secret_init(void);
/* Is the key kept from being swapped out? */
bool secret_is_locked(void);

/*
 * A MAC of the parts, each with its length, so that no two different lists of
 * parts have the same one. -1: no key, or too much text. Any thread.
 */
int secret_tag(const struct secret_part *parts, size_t count,
    unsigned char tag_r[SECRET_TAG_LEN]);

#endif
