/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_REMEMBER_H
#define POSTERN_IDENTITY_REMEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity/secret.h"
#include "policy/facts.h"

/*
 * What became of passwords, by secret_tag(). Being read does not make an answer
 * last longer. Nobody without the key can make up a tag, so the time that a
 * look-up takes tells nothing about the passwords that are in here. Not locked:
 * one thread at a time.
 */
struct remember;

/* Holds at most max_good verified and max_bad other answers; of each kind the
 * oldest go first, and never one kind for the other. NULL: no memory. */
struct remember *remember_new(size_t max_good, size_t max_bad);
/* Frees and nulls; NULL is allowed. */
void remember_free(struct remember **remember);

/* IDENTITY_UNKNOWN: ask. */
enum identity remember_get(struct remember *remember,
    const unsigned char tag[SECRET_TAG_LEN], uint64_t now_ms);
/* Did it verify not too long ago, and was not refused since? */
bool remember_graces(struct remember *remember,
    const unsigned char tag[SECRET_TAG_LEN], uint64_t now_ms);
/* Replaces what was known of this password, and of no other: an answer for
 * ttl_ms, and IDENTITY_VERIFIED with a grace of grace_ms (both from now).
 * IDENTITY_UNKNOWN changes nothing; a lack of memory forgets. */
void remember_put(struct remember *remember,
    const unsigned char tag[SECRET_TAG_LEN], enum identity answer,
    uint64_t ttl_ms, uint64_t grace_ms, uint64_t now_ms);
size_t remember_count(const struct remember *remember, bool good);

#endif
