/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDISQUEUE_H
#define POSTERN_STORE_REDISQUEUE_H

#include <time.h>

#include "store/redis.h"

/* What the thread that carries requests has to do with them. */

void redisqueue_add(struct redis_queue *queue, struct redis_request *request);
/* The first; NULL: there is none. */
struct redis_request *redisqueue_take(struct redis_queue *queue);
void redisqueue_free(struct redis_request *request);

/* With the lock held: the answer (taken; NULL: there is none) is here. */
void redisqueue_settle(struct redis *r, struct redis_request *request,
    redisReply *reply);
/* With the lock held: the thread has something to do. */
void redisqueue_wake(struct redis *r);

struct timespec redisqueue_time(uint64_t mono_ms);

#endif
