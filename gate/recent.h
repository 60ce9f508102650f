/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_RECENT_H
#define POSTERN_GATE_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/login.h"
#include "policy/netaddr.h"

/*
 * What this process has lately seen of senders: which recipients were counted
 * already, what was said already, and a few addresses and domains to show as
 * evidence. Bounded, some 2 MiB; the latest takes the place of another one.
 * Nothing here is needed after a restart. Locked; any thread.
 */
struct recent;

/* NULL: no memory. */
struct recent *recent_new(void);
void recent_free(struct recent **recent);

/* 64 bits of text, the same in every process; begin with a hash of 0. */
uint64_t recent_hash(uint64_t hash, const void *text, size_t len);

/* Notes it for ttl_ms. */
void recent_mark(struct recent *recent, uint64_t hash, uint64_t ttl_ms,
    uint64_t now_ms);
/* Is it noted, and was this asked less than `most` times since? */
bool recent_use(struct recent *recent, uint64_t hash, unsigned int most,
    uint64_t now_ms);
/* Is it not noted? Then it is now: "the first time for ttl_ms". */
bool recent_first(struct recent *recent, uint64_t hash, uint64_t ttl_ms,
    uint64_t now_ms);

/* The login has named a recipient in this domain, from this address. */
void recent_note(struct recent *recent, const struct login *login,
    const struct netaddr *addr, const char *domain);
/* "addresses=A,B domains=C,D": the latest different ones of the login. */
#define RECENT_EVIDENCE_MAX 700
void recent_evidence(struct recent *recent, const struct login *login,
    char text_r[RECENT_EVIDENCE_MAX]);

#endif
