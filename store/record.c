/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys and values. The check sum is there for flipped bits, which LMDB does not
 * look for: a login that nobody proved must not come out of a bad disk. It is
 * no protection against somebody who may write there.
 */
#include "store/record.h"

#include <string.h>

#define STAMP_SIZE 8

static size_t
address_size(uint8_t family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

static uint8_t
family_octet(enum netaddr_family family)
{
	switch (family) {
	case NETADDR_NONE:
		return 0;
	case NETADDR_INET:
		return 4;
	case NETADDR_INET6:
		return 6;
	}
	return 0;
}

static void
append(struct record_key *key, const void *octets, size_t len)
{
	memcpy(key->octets + key->len, octets, len);
	key->len += len;
}

static void
append_address(struct record_key *key, const struct netaddr *addr)
{
	uint8_t family = family_octet(addr->family);

	if (family == 0)
		return;
	append(key, &family, 1);
	append(key, addr->octets, address_size(family));
}

static void
begin(struct record_key *key, enum record_kind kind)
{
	key->octets[0] = (uint8_t)kind;
	key->len = 1;
}

void
record_key_proof(const struct login *login, const struct netaddr *addr,
    struct record_key *key_r)
{
	begin(key_r, RECORD_PROOF);
	append(key_r, login->text, strnlen(login->text, LOGIN_MAX));
	append(key_r, "", 1);
	if (addr != NULL)
		append_address(key_r, addr);
}

void
record_key_lease(const struct netaddr *addr, const struct login *login,
    struct record_key *key_r)
{
	begin(key_r, RECORD_LEASE);
	append_address(key_r, addr);
	if (login != NULL)
		append(key_r, login->text, strnlen(login->text, LOGIN_MAX));
}

int
record_key_text(enum record_kind kind, const char *text,
    struct record_key *key_r)
{
	size_t len = strnlen(text, STORE_KEY_MAX + 1);

	begin(key_r, kind);
	if (len == 0 || len > STORE_KEY_MAX)
		return -1;
	append(key_r, text, len);
	return 0;
}

void
record_key_mark(const struct record_key *key, struct record_key *mark_r)
{
	begin(mark_r, RECORD_FORGOTTEN);
	append(mark_r, key->octets, key->len);
}

size_t
record_group(const void *octets, size_t len)
{
	const uint8_t *p = octets, *nul;

	if (len >= 2 && p[0] == RECORD_LEASE)
		return 2 + address_size(p[1]);
	if (len >= 2 && p[0] == RECORD_PROOF) {
		nul = memchr(p, '\0', len);
		if (nul != NULL)
			return (size_t)(nul - p) + 1;
	}
	return len;
}

static int
parse_login(const uint8_t *p, size_t len, struct login *login_r)
{
	if (len == 0 || len > LOGIN_MAX || memchr(p, '\0', len) != NULL)
		return -1;
	memcpy(login_r->text, p, len);
	return 0;
}

/* family and address, these and no more */
static int
parse_address(const uint8_t *p, size_t len, struct netaddr *addr_r)
{
	if (len < 1 || address_size(p[0]) == 0 || len - 1 != address_size(p[0]))
		return -1;
	addr_r->family = p[0] == 4 ? NETADDR_INET : NETADDR_INET6;
	memcpy(addr_r->octets, p + 1, len - 1);
	return 0;
}

int
record_key_parse(const void *octets, size_t len, struct login *login_r,
    struct netaddr *addr_r)
{
	const uint8_t *p = octets;
	size_t group = record_group(octets, len);

	memset(login_r, 0, sizeof(*login_r));
	memset(addr_r, 0, sizeof(*addr_r));
	if (group < 2 || group > len)
		return -1;
	if (p[0] == RECORD_LEASE)
		return parse_address(p + 1, group - 1, addr_r) != 0
		    ? -1
		    : parse_login(p + group, len - group, login_r);
	if (p[0] != RECORD_PROOF || p[group - 1] != '\0' ||
	    parse_login(p + 1, group - 2, login_r) != 0)
		return -1;
	return len == group ? 0 : parse_address(p + group, len - group, addr_r);
}

bool
record_key_is_sound(const void *octets, size_t len)
{
	const uint8_t *p = octets;
	struct login login;
	struct netaddr addr;

	if (len < 2 || len > RECORD_KEY_MAX)
		return false;
	if (p[0] == RECORD_FORGOTTEN) {
		p++;
		len--;
		/* all at an address */
		if (len >= 2 && p[0] == RECORD_LEASE &&
		    len == record_group(p, len))
			return parse_address(p + 1, len - 1, &addr) == 0;
	}
	switch (p[0]) {
	case RECORD_PROOF:
	case RECORD_LEASE:
		return record_key_parse(p, len, &login, &addr) == 0;
	case RECORD_STATE:
	case RECORD_RATE:
	case RECORD_DISTINCT:
		return len >= 2 && len <= 1 + STORE_KEY_MAX &&
		    memchr(p, '\0', len) == NULL;
	default: /* an octet, which may be anything */
		return false;
	}
}

bool
record_later_counts(const struct record_key *key)
{
	return key->octets[0] == RECORD_PROOF || key->octets[0] == RECORD_LEASE;
}

/* FNV-1a, 64 bits folded into 32 at the end. */
static uint64_t
sum_up(uint64_t sum, const void *octets, size_t len)
{
	const uint8_t *p = octets;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3u;
	return sum;
}

static uint32_t
checksum(const void *key, size_t key_len, const uint8_t *stamp,
    const void *value, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u;

	sum = sum_up(sum, key, key_len);
	sum = sum_up(sum, stamp, STAMP_SIZE);
	sum = sum_up(sum, value, len);
	return (uint32_t)(sum ^ (sum >> 32));
}

static void
put_big_endian(uint8_t *to, size_t size, uint64_t number)
{
	for (size_t i = size; i > 0; i--) {
		to[i - 1] = (uint8_t)(number & 0xff);
		number >>= 8;
	}
}

static uint64_t
get_big_endian(const uint8_t *from, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | from[i];
	return number;
}

void
record_encode(const struct record_key *key, uint64_t stamp, const void *value,
    size_t len, uint8_t *to_r)
{
	put_big_endian(to_r, STAMP_SIZE, stamp);
	put_big_endian(to_r + STAMP_SIZE, 4,
	    checksum(key->octets, key->len, to_r, value, len));
	if (len > 0)
		memcpy(to_r + RECORD_HEAD, value, len);
}

int
record_decode(const void *key, size_t key_len, const void *octets, size_t len,
    uint64_t *stamp_r)
{
	const uint8_t *p = octets;

	*stamp_r = 0;
	if (len < RECORD_HEAD ||
	    get_big_endian(p + STAMP_SIZE, 4) !=
		checksum(key, key_len, p, p + RECORD_HEAD, len - RECORD_HEAD))
		return -1;
	*stamp_r = get_big_endian(p, STAMP_SIZE);
	return 0;
}
