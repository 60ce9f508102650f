/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_INSPECT_H
#define POSTERN_STORE_INSPECT_H

#include <stddef.h>

#include "policy/err.h"

/* The text under the version key. */
#define STORE_FORMAT "2"

enum inspection {
	INSPECTION_FAILED = 0, /* could not look */
	INSPECTION_DAMAGED,
	/* did not come to an end in time, or another process is in the middle
	 * of a change: nothing is known */
	INSPECTION_SLOW,
	INSPECTION_SOUND,
};

/*
 * Reads the whole store in a short-lived child, which may die of what it finds.
 * map_bytes is the largest a store may be. e says what is wrong. Not
 * while this process has the store open.
 */
enum inspection inspect_file(const char *path, size_t map_bytes, struct err *e);

#endif
