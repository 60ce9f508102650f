/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_RECORD_H
#define POSTERN_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/login.h"
#include "policy/netaddr.h"
#include "store/store.h"

/*
 * What is kept, whatever it is: a key, a stamp, and a few octets. The stamp is
 * the time of a proof and the end of everything else, in ms; that of a
 * forgetting is its time in ns. Keys, octet by octet:
 *   proof      'P' login NUL, then nothing or the family (4 or 6) and address
 *   lease      'L' family address login
 *   state, rate, distinct   'S', 'R', 'D' and the caller's text
 *   forgotten  'F' and the key, or the beginning of keys, of what is void
 * What is looked up together begins alike and is called a group: the proofs of
 * a login, the leases of an address. No group begins like another.
 */
#define RECORD_KEY_MAX (1 + 1 + STORE_KEY_MAX) /* LMDB takes 511 */

enum record_kind {
	RECORD_PROOF = 'P',
	RECORD_LEASE = 'L',
	RECORD_STATE = 'S',
	RECORD_RATE = 'R',
	RECORD_DISTINCT = 'D',
	RECORD_FORGOTTEN = 'F', /* what was put before this time is void */
	RECORD_VERSION = 'V',   /* a single one, with the text of the format */
};

struct record_key {
	size_t len;
	uint8_t octets[RECORD_KEY_MAX + 1]; /* room for a step beyond it */
};

/* One that is handed about; counters have longer values, and are not. */
struct record {
	struct record_key key;
	uint64_t stamp;
	size_t len;
	uint8_t value[STORE_STATE_MAX];
};

/* One where it lies, all of it borrowed. */
struct record_view {
	const uint8_t *key;
	size_t key_len;
	uint64_t stamp;
	const void *value;
	size_t len;
};

/* addr NULL or NETADDR_NONE: the record for the login alone, whose key is that
 * of the login's group. */
void record_key_proof(const struct login *login, const struct netaddr *addr,
    struct record_key *key_r);
/* login NULL: the key of the address's group. addr is not NETADDR_NONE. */
void record_key_lease(const struct netaddr *addr, const struct login *login,
    struct record_key *key_r);
/* -1: empty or longer than STORE_KEY_MAX. */
int record_key_text(enum record_kind kind, const char *text,
    struct record_key *key_r);
/* The key of what says that this one was forgotten. */
void record_key_mark(const struct record_key *key, struct record_key *mark_r);

/* How many octets of the key are the group's. */
size_t record_group(const void *octets, size_t len);
/* Takes the key apart: of a proof or a lease. -1: it is none. */
int record_key_parse(const void *octets, size_t len, struct login *login_r,
    struct netaddr *addr_r);
/* Is it the key of anything but the version? */
bool record_key_is_sound(const void *octets, size_t len);

/* Of two with one key: does the one with the later stamp count, or the one that
 * was put last? */
bool record_later_counts(const struct record_key *key);

/*
 * Values as they stand in LMDB's file: stamp (8 octets, big-endian), check sum
 * of key, stamp and what follows (4), and what follows.
 */
#define RECORD_HEAD 12
/* to_r has room for RECORD_HEAD + len. */
void record_encode(const struct record_key *key, uint64_t stamp,
    const void *value, size_t len, uint8_t *to_r);
/* -1: damaged. value_r is behind the head. */
int record_decode(const void *key, size_t key_len, const void *octets,
    size_t len, uint64_t *stamp_r);

#endif
