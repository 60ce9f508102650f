/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_H
#define POSTERN_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What fuzz targets have in common. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise. */
#define REQUIRE(condition) \
 ((condition) ? (void)0 : fuzz_broken(#condition, __LINE__))

static inline void
fuzz_broken(const char *condition, int line)
{
	(void)fprintf(stderr, "line %d: broken: %s\n", line, condition);
	abort();
}

/* At exact length, so that a sanitizer sees the octet after it being touched.
 * To be freed; it ends the run when there is no memory. */
static inline char *
fuzz_room(size_t size)
{
	char *room = calloc(1, size > 0 ? size : 1);

	if (room == NULL)
		exit(0);
	return room;
}

static inline char *
fuzz_copy(const void *data, size_t size)
{
	char *copy = fuzz_room(size);

	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

#endif
