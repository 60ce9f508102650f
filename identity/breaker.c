/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A circuit breaker: closed, open for a time that doubles, half-open for one
 * question. It must not know what is asked or of whom.
 */
#include "identity/breaker.h"

bool
breaker_is_open(const struct breaker *b)
{
	return b->open_ms != 0;
}

bool
breaker_admits(struct breaker *b, uint64_t now_ms)
{
	if (b->open_ms == 0)
		return true;
	if (b->probing || now_ms < b->until_ms)
		return false;
	b->probing = true;
	return true;
}

bool
breaker_success(struct breaker *b)
{
	bool closed = b->open_ms != 0;

	*b = (struct breaker){ 0 };
	return closed;
}

bool
breaker_failure(struct breaker *b, uint64_t now_ms)
{
	/* Late answers to questions from before it opened change nothing. */
	if (b->open_ms != 0 && !b->probing)
		return false;
	if (b->open_ms == 0 && ++b->failures < BREAKER_FAILURES)
		return false;
	b->open_ms = b->open_ms == 0 ? BREAKER_MIN_MS : b->open_ms * 2;
	if (b->open_ms > BREAKER_MAX_MS)
		b->open_ms = BREAKER_MAX_MS;
	b->until_ms = now_ms + b->open_ms;
	b->probing = false;
	return true;
}

void
breaker_neither(struct breaker *b)
{
	b->probing = false;
}
