/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys and values as they stand in the file. The check sum is there for flipped
 * bits, which LMDB does not look for: a login that nobody proved must not come
 * out of a bad disk. It is no protection against somebody who may write there.
 */
#include "store/record.h"

#include <string.h>

#define TIME_SIZE 8

static size_t
address_size(enum netaddr_family family)
{
	switch (family) {
	case NETADDR_NONE:
		return 0;
	case NETADDR_INET:
		return 4;
	case NETADDR_INET6:
		return 16;
	}
	return 0;
}

void
record_key_make(enum record_kind kind, const struct login *login,
    const struct netaddr *addr, struct record_key *key_r)
{
	size_t len = strnlen(login->text, LOGIN_MAX);
	size_t size = addr == NULL ? 0 : address_size(addr->family);
	uint8_t *p = key_r->octets;

	*p++ = (uint8_t)kind;
	memcpy(p, login->text, len);
	p += len;
	*p++ = '\0';
	if (size > 0) {
		*p++ = size == 4 ? 4 : 6;
		memcpy(p, addr->octets, size);
		p += size;
	}
	key_r->len = (size_t)(p - key_r->octets);
}

int
record_key_parse(const void *octets, size_t len, struct login *login_r,
    struct netaddr *addr_r)
{
	const uint8_t *p = octets;
	const uint8_t *nul;
	size_t login_len, rest;

	memset(login_r, 0, sizeof(*login_r));
	memset(addr_r, 0, sizeof(*addr_r));
	if (len < 3 || (p[0] != RECORD_PROOF && p[0] != RECORD_FORGOTTEN))
		return -1;
	nul = memchr(p + 1, '\0', len - 1);
	if (nul == NULL)
		return -1;
	login_len = (size_t)(nul - (p + 1));
	if (login_len == 0 || login_len > LOGIN_MAX)
		return -1;
	memcpy(login_r->text, p + 1, login_len);
	rest = len - login_len - 2;
	if (rest == 0)
		return 0;
	if (rest == 5 && nul[1] == 4)
		addr_r->family = NETADDR_INET;
	else if (rest == 17 && nul[1] == 6)
		addr_r->family = NETADDR_INET6;
	else
		return -1;
	memcpy(addr_r->octets, nul + 2, rest - 1);
	return 0;
}

/* FNV-1a, 64 bits folded into 32. */
static uint32_t
checksum(const void *key, size_t key_len, const uint8_t *time)
{
	const uint8_t *p = key;
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < key_len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3u;
	for (size_t i = 0; i < TIME_SIZE; i++)
		sum = (sum ^ time[i]) * 0x100000001b3u;
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
record_value_make(const void *key, size_t key_len, uint64_t time_ms,
    struct record_value *value_r)
{
	uint8_t *p = value_r->octets;

	put_big_endian(p, TIME_SIZE, time_ms);
	put_big_endian(p + TIME_SIZE, 4, checksum(key, key_len, p));
}

int
record_value_parse(const void *key, size_t key_len, const void *octets,
    size_t len, uint64_t *time_ms_r)
{
	const uint8_t *p = octets;

	*time_ms_r = 0;
	if (len < TIME_SIZE + 4 ||
	    get_big_endian(p + TIME_SIZE, 4) != checksum(key, key_len, p))
		return -1;
	*time_ms_r = get_big_endian(p, TIME_SIZE);
	return 0;
}
