/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_POOL_H
#define POSTERN_SERVICE_POOL_H

#include <sys/queue.h>

/* A few threads for what may wait, beside the loop that may not. */
struct pool;

struct job {
	STAILQ_ENTRY(job) link;
	/* On a thread of the pool, once. The job may be gone when it returns.
	 */
	void (*work)(struct job *job);
};

/* So many jobs wait for a thread at most. */
#define POOL_QUEUE_MAX 1024

/* NULL: no memory. */
struct pool *pool_new(void);
/* Has a job done by one of at most so many threads; they are started when they
 * are needed, and stay. -1: too many jobs wait, or no thread. One thread
 * submits. */
int pool_submit(struct pool *pool, unsigned int threads, struct job *job);
/*
 * Has what is left done, and waits for it, at most so long; nulls. Threads that
 * are not done by then go on, and whatever they use must stay for ever. NULL is
 * allowed.
 */
void pool_close(struct pool **pool, unsigned int ms);

#endif
