/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDISPLACE_H
#define POSTERN_STORE_REDISPLACE_H

#include <hiredis/hiredis.h>

#include "store/record.h"

/*
 * Where records stand in Redis: a group is a hash, postern:KIND:GROUP, and a
 * record is a field of it, whose text is the stamp, a space and the value.
 */
#define REDISPLACE_NAME_SIZE (16 + RECORD_KEY_MAX + NETADDR_TEXT_MAX)
struct redisplace {
	char name[REDISPLACE_NAME_SIZE];
	size_t name_len;
	char field[LOGIN_MAX + 1];
	size_t field_len;
};

/* The place of a record, or of a group, which has no field. */
void redisplace_find(const struct record_key *key, struct redisplace *place_r);

/* What SCAN matches for keys that begin with prefix; its length. */
#define REDISPLACE_PATTERN_SIZE (16 + 2 * RECORD_KEY_MAX)
size_t redisplace_pattern(const struct record_key *prefix,
    char pattern_r[REDISPLACE_PATTERN_SIZE]);

/* Takes a field's text apart; value_r is borrowed from it. -1: it is none. */
int redisplace_value(const char *text, size_t len, uint64_t *stamp_r,
    const char **value_r, size_t *len_r);
/* Calls each for those fields of a hash (the answer to HGETALL) that are
 * records. -1: there is no such answer. */
int redisplace_each(const redisReply *reply, const char *name, size_t name_len,
    void (*each)(void *arg, const struct record_view *view), void *arg);

#endif
