/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_OVERLAY_H
#define POSTERN_STORE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/record.h"

/*
 * Records on their way to LMDB's file: what was put and is not there yet. One
 * that keeps holds on to what has been written, too, and lets go of what was
 * not used for longest. Not locked: its user does that.
 */
struct overlay;

/* What one takes from the memory. */
#define OVERLAY_ENTRY_SIZE 200

/* Some of them as the writer takes them: one after the other. */
struct overlay_item {
	struct overlay *from;
	size_t at; /* of key and value, in octets of the batch */
	size_t key_len;
	size_t len;
	uint64_t stamp;
	uint64_t put_ns; /* this host's clock when it was put */
	uint64_t serial; /* 0: it could not be written */
};
#define OVERLAY_BATCH        4096
#define OVERLAY_BATCH_OCTETS ((size_t)1 << 20)
struct overlay_batch {
	size_t count;
	size_t used;
	struct overlay_item items[OVERLAY_BATCH];
	uint8_t octets[OVERLAY_BATCH_OCTETS];
};

/* Holds at most limit octets, OVERLAY_ENTRY_SIZE for each record and a longer
 * value besides. NULL: no memory. */
struct overlay *overlay_new(size_t limit, bool keeps);
/* Frees and nulls; NULL is allowed. */
void overlay_free(struct overlay **overlay);

/* How many wait to be written; how many there are. */
size_t overlay_waiting(const struct overlay *overlay);
size_t overlay_count(const struct overlay *overlay);
/* The last that was put; is one waiting that is not younger? */
uint64_t overlay_serial(const struct overlay *overlay);
bool overlay_is_waiting(const struct overlay *overlay, uint64_t serial);

/* Keeps one more, or other contents of one; waits: for the writer. When there
 * are too many the oldest makes room for it, and lost_r says so if that waited.
 * -1: no memory. */
int overlay_put(struct overlay *overlay, const struct record_key *key,
    uint64_t stamp, const void *value, size_t len, uint64_t put_ns, bool waits,
    bool *lost_r);

bool overlay_find(struct overlay *overlay, const struct record_key *key,
    struct record_view *view_r);
/* Every one of the group. */
void overlay_group(struct overlay *overlay, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg);

/* Adds as many as there is room for, the oldest first. */
void overlay_copy(struct overlay *overlay, struct overlay_batch *batch);
/* Those of the batch that came from here are in the file; forgets about them,
 * but for those that were put again. */
void overlay_settle(struct overlay *overlay, const struct overlay_batch *batch);

/* Drops the record with this key, or all of the group with it. The number. */
size_t overlay_forget(struct overlay *overlay, const struct record_key *key,
    bool group);

#endif
