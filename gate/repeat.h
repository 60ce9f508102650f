/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_REPEAT_H
#define POSTERN_GATE_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/netaddr.h"
#include "policy/reason.h"

/* Keeps one client from filling the log with one refusal: REPEAT_BURST lines
 * in REPEAT_WINDOW_MS, then a count. */
#define REPEAT_BURST     100
#define REPEAT_WINDOW_MS 10000

struct repeats;

/* NULL: no memory. */
struct repeats *repeats_new(void);
void repeats_free(struct repeats **repeats);

/* May this refusal be logged? Then left_out_r says how many lines like it were
 * left out before. Any thread. */
bool repeats_allow(struct repeats *repeats, const struct netaddr *peer,
    enum reason reason, uint64_t now_ms, unsigned int *left_out_r);

/* Calls report for every count whose window is over (all: for every count) and
 * forgets it, so that no count is lost when the client goes away. */
void repeats_flush(struct repeats *repeats, uint64_t now_ms, bool all,
    void (*report)(void *arg, const struct netaddr *peer, enum reason reason,
	unsigned int left_out),
    void *arg);

#endif
