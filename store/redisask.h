/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDISASK_H
#define POSTERN_STORE_REDISASK_H

#include "store/redis.h"

/* The words of a command, all but numbers borrowed until it is sent; zeroed at
 * first. */
#define REDISASK_WORDS       16
#define REDISASK_NUMBERS     8
#define REDISASK_NUMBER_SIZE 24
struct redisask {
	const char *at[REDISASK_WORDS];
	size_t len[REDISASK_WORDS];
	int count;
	char numbers[REDISASK_NUMBERS][REDISASK_NUMBER_SIZE];
	size_t numbers_count;
};

void redisask_say(struct redisask *w, const void *octets, size_t len);
void redisask_say_text(struct redisask *w, const char *text);
void redisask_say_number(struct redisask *w, uint64_t n);
/* The call of a script; its words follow the key's name. sha NULL: in full. */
void redisask_call(struct redisask *w, enum redis_script script,
    const char *sha, const char *name, size_t len);

/* Asks; the answer is waited for elsewhere. NULL: nobody can be asked. */
struct redis_request *redisask_send(struct redis *r, const struct redisask *w);
/* Asks for a change, and does not wait. -1: nobody can be asked. */
int redisask_leave(struct redis *r, const struct redisask *w);
/* Asks, and waits for the answer, which the caller frees. NULL: none (known to
 * be told). */
redisReply *redisask_wait(struct redis *r, const struct redisask *w,
    bool writes, uint64_t wait_ms);
/* ... in a callback, which has so long in all (store_callback()). */
redisReply *redisask_quick(struct redis *r, const struct redisask *w,
    bool writes, uint64_t wait_ms);
void redisask_callback(const struct redis *r);
/* ... a script: by its hash first, as long as a callback may wait. */
redisReply *redisask_wait_script(struct redis *r, struct redisask *w,
    enum redis_script script);

/* Why there was no answer (NULL), or one that will not do. */
void redisask_explain(struct redis *r, const redisReply *reply, struct err *e);

#endif
