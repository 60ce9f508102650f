/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_RECORD_H
#define POSTERN_STORE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "policy/login.h"
#include "policy/netaddr.h"

/*
 * What stands in the file, octet by octet.
 *   key    kind, login, NUL, then nothing or the family (4 or 6) and address
 *   value  time in ms (8 octets, big-endian), check sum of key and time (4);
 *          the time of a forgetting is in ns;
 *          what a later version appends is not looked at
 * A login has no NUL, so that no login's records begin like another's.
 */
#define RECORD_KEY_MAX (1 + LOGIN_MAX + 1 + 1 + 16) /* LMDB takes 511 */

enum record_kind {
	RECORD_PROOF = 'P',
	RECORD_FORGOTTEN = 'F', /* proofs put before this time are void */
	RECORD_VERSION = 'V',   /* a single one, with the text of the format */
};

struct record_key {
	size_t len;
	uint8_t octets[RECORD_KEY_MAX + 1]; /* room for a step beyond it */
};

struct record_value {
	uint8_t octets[12];
};

/* addr NULL or NETADDR_NONE: the record for the login alone, whose key all
 * others of the login begin with. */
void record_key_make(enum record_kind kind, const struct login *login,
    const struct netaddr *addr, struct record_key *key_r);

/* -1: no key of a proof or of a forgotten one. */
int record_key_parse(const void *octets, size_t len, struct login *login_r,
    struct netaddr *addr_r);

void record_value_make(const void *key, size_t key_len, uint64_t time_ms,
    struct record_value *value_r);

/* -1: damaged. */
int record_value_parse(const void *key, size_t key_len, const void *octets,
    size_t len, uint64_t *time_ms_r);

#endif
