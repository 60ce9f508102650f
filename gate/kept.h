/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_KEPT_H
#define POSTERN_GATE_KEPT_H

#include <stdint.h>

/*
 * What the store has said of those few whom it has something against, for when
 * it does not answer. Bounded; when there is no room the one whose time is over
 * first makes it. Locked; any thread.
 */
struct kept;

/* NULL: no memory. */
struct kept *kept_new(void);
void kept_free(struct kept **kept);

/* The store says so, until then; 0: it has nothing against this one. */
void kept_note(struct kept *kept, uint64_t hash, unsigned int what,
    uint64_t until_ms);
/* What it said last; 0: nothing, or it is over. */
unsigned int kept_recall(struct kept *kept, uint64_t hash, uint64_t now_ms);

#endif
