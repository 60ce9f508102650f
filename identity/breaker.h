/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_BREAKER_H
#define POSTERN_IDENTITY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES 3 /* in a row, until it opens */
#define BREAKER_MIN_MS   1000
#define BREAKER_MAX_MS   30000

/* Keeps callers from waiting for a server that does not answer. Pure; zeroed is
 * closed. Times are milliseconds of any clock that never goes back. */
struct breaker {
	unsigned int failures;
	uint64_t open_ms; /* 0: closed */
	uint64_t until_ms;
	bool probing; /* half-open: one question is out */
};

/* May a question be asked now? True for one caller only once the time is over:
 * its outcome decides, and it must be reported. */
bool breaker_admits(struct breaker *b, uint64_t now_ms);
/* The server decided something. True when this closed an open breaker. */
bool breaker_success(struct breaker *b);
/* It did not. True when this opened the breaker, for b->open_ms. */
bool breaker_failure(struct breaker *b, uint64_t now_ms);
/* The admitted question was never asked, or says nothing about the server. */
void breaker_neither(struct breaker *b);

bool breaker_is_open(const struct breaker *b);

#endif
