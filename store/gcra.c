/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic of rates, and nothing else. Costs are rounded down to a whole
 * microsecond, so that count takes of one fit into a window that the count does
 * not divide.
 */
#include "store/gcra.h"

/* 2^53 microseconds */
#define US_MAX ((UINT64_C(1) << 53) - 1)

static uint64_t
us_of_ms(uint64_t ms)
{
	return ms > US_MAX / 1000 ? US_MAX : ms * 1000;
}

void
gcra_make(const struct store_rate *rate, uint64_t cost, uint64_t now_ms,
    struct gcra *gcra_r)
{
	unsigned __int128 us;

	gcra_r->count = rate->count;
	gcra_r->window_us = us_of_ms(rate->window_ms) / 2;
	if (rate->window_ms <= US_MAX / 2000)
		gcra_r->window_us = rate->window_ms * 1000;
	gcra_r->now_us = us_of_ms(now_ms);
	if (gcra_r->now_us > US_MAX / 2)
		gcra_r->now_us = US_MAX / 2;
	gcra_r->possible = cost <= rate->count;
	gcra_r->cost_us = 0;
	if (cost == 0 || !gcra_r->possible)
		return;
	us = (unsigned __int128)cost * gcra_r->window_us / rate->count;
	gcra_r->cost_us = (uint64_t)us;
}

/* A clock that went back must not shut anybody out for longer than a window. */
static uint64_t
within(const struct gcra *gcra, uint64_t us)
{
	if (us < gcra->now_us)
		return gcra->now_us;
	if (us > gcra->now_us + gcra->window_us)
		return gcra->now_us + gcra->window_us;
	return us;
}

enum store_taken
gcra_take(const struct gcra *gcra, uint64_t *us)
{
	uint64_t then = within(gcra, *us) + gcra->cost_us;

	if (!gcra->possible || then > gcra->now_us + gcra->window_us)
		return STORE_OVER;
	*us = then;
	return STORE_TAKEN;
}

void
gcra_give(const struct gcra *gcra, uint64_t *us)
{
	uint64_t then = within(gcra, *us);

	*us = then - gcra->now_us > gcra->cost_us ? then - gcra->cost_us
						  : gcra->now_us;
}

uint64_t
gcra_left(const struct gcra *gcra, uint64_t us)
{
	uint64_t room = gcra->now_us + gcra->window_us - within(gcra, us);

	if (gcra->window_us == 0)
		return gcra->count;
	return (
	    uint64_t)((unsigned __int128)room * gcra->count / gcra->window_us);
}

uint64_t
gcra_wait(const struct gcra *gcra, uint64_t us)
{
	uint64_t then = within(gcra, us) + gcra->cost_us;
	uint64_t limit = gcra->now_us + gcra->window_us;

	if (!gcra->possible)
		return UINT64_MAX;
	return then <= limit ? 0 : (then - limit + 999) / 1000;
}
