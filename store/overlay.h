/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_OVERLAY_H
#define POSTERN_STORE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/record.h"

/*
 * Proofs on their way to the file: what was put and is not there yet. Not
 * locked: its user does that.
 */
struct overlay;

/* A proof as the writer takes it. */
struct overlay_item {
	struct record_key key;
	uint64_t time_ms;
	uint64_t put_ns; /* this host's clock when it was put */
	uint64_t serial;
};

/* Holds at most limit proofs. NULL: no memory. */
struct overlay *overlay_new(size_t limit);
/* Frees and nulls; NULL is allowed. */
void overlay_free(struct overlay **overlay);

size_t overlay_count(const struct overlay *overlay);

/* Keeps one more; the oldest makes room for it, and lost_r says so. -1: no
 * memory. */
int overlay_put(struct overlay *overlay, const struct record_key *key,
    uint64_t time_ms, uint64_t put_ns, bool *lost_r);

bool overlay_find(const struct overlay *overlay, const struct record_key *key,
    uint64_t *time_ms_r);

/* Copies up to max proofs, the oldest first. */
size_t overlay_copy(const struct overlay *overlay, struct overlay_item *items,
    size_t max);
/* They are in the file; drops them, but for those that were put again. */
void overlay_settle(struct overlay *overlay, const struct overlay_item *items,
    size_t count);

/* Drops the proof with this key; with prefix all whose keys begin with it. The
 * number dropped. */
size_t overlay_forget(struct overlay *overlay, const struct record_key *key,
    bool prefix);

#endif
