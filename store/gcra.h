/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_GCRA_H
#define POSTERN_STORE_GCRA_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/*
 * The generic cell rate algorithm in its virtual scheduling form. A key's state
 * is one time, in microseconds: when its allowance will be whole again. A state
 * in the past is a whole allowance, and the same as none. 53 bits hold it for
 * two centuries to come, because Redis counts in doubles.
 */
struct gcra {
	uint64_t now_us;
	uint64_t window_us;
	uint64_t cost_us; /* by how much the cost puts the state off */
	uint64_t count;
	bool possible; /* the cost may be taken at some time */
};

void gcra_make(const struct store_rate *rate, uint64_t cost, uint64_t now_ms,
    struct gcra *gcra_r);
/* Changes the state, or does not when it is over. */
enum store_taken gcra_take(const struct gcra *gcra, uint64_t *us);
void gcra_give(const struct gcra *gcra, uint64_t *us);

/* How much may be taken in this state. */
uint64_t gcra_left(const struct gcra *gcra, uint64_t us);
/* When the cost may be taken, in ms. */
uint64_t gcra_wait(const struct gcra *gcra, uint64_t us);

#endif
