/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads and a bounded queue. They are detached: an end of the daemon does not
 * wait for what waits for IMAP. It knows nothing of what its jobs do.
 */
#include "service/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define STACK_SIZE ((size_t)512 * 1024)

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t done;
	STAILQ_HEAD(, job) jobs;
	unsigned int queued;
	unsigned int idle;
	unsigned int threads;
	bool closing;
	bool abandoned; /* the last thread frees it */
};

struct pool *
pool_new(void)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (pool == NULL)
		return NULL;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&pool->work, &attr);
	(void)pthread_cond_init(&pool->done, &attr);
	(void)pthread_condattr_destroy(&attr);
	STAILQ_INIT(&pool->jobs);
	return pool;
}

static void
pool_free(struct pool *pool)
{
	(void)pthread_cond_destroy(&pool->work);
	(void)pthread_cond_destroy(&pool->done);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Locked. NULL: the pool closes. */
static struct job *
wait_for_job(struct pool *pool)
{
	struct job *job;

	pool->idle++;
	while (STAILQ_EMPTY(&pool->jobs) && !pool->closing)
		(void)pthread_cond_wait(&pool->work, &pool->lock);
	pool->idle--;
	job = STAILQ_FIRST(&pool->jobs);
	if (job != NULL) {
		STAILQ_REMOVE_HEAD(&pool->jobs, link);
		pool->queued--;
	}
	return job;
}

static void *
run(void *arg)
{
	struct pool *pool = arg;
	struct job *job;
	bool last;

	(void)pthread_mutex_lock(&pool->lock);
	while ((job = wait_for_job(pool)) != NULL) {
		(void)pthread_mutex_unlock(&pool->lock);
		job->work(job);
		(void)pthread_mutex_lock(&pool->lock);
	}
	pool->threads--;
	last = pool->abandoned && pool->threads == 0;
	(void)pthread_cond_signal(&pool->done);
	(void)pthread_mutex_unlock(&pool->lock);
	if (last)
		pool_free(pool);
	return NULL;
}

/* Locked. It inherits the caller's signal mask. */
static void
start_thread(struct pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0)
		return;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, run, pool) == 0)
		pool->threads++;
	(void)pthread_attr_destroy(&attr);
}

int
pool_submit(struct pool *pool, unsigned int threads, struct job *job)
{
	int rc = -1;

	(void)pthread_mutex_lock(&pool->lock);
	if (pool->queued >= pool->idle && pool->threads < threads)
		start_thread(pool);
	if (pool->queued < POOL_QUEUE_MAX && pool->threads > 0) {
		STAILQ_INSERT_TAIL(&pool->jobs, job, link);
		pool->queued++;
		(void)pthread_cond_signal(&pool->work);
		rc = 0;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return rc;
}

static struct timespec
after_ms(unsigned int ms)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

void
pool_close(struct pool **pool_p, unsigned int ms)
{
	struct timespec end = after_ms(ms);
	struct pool *pool = *pool_p;
	bool last;

	if (pool == NULL)
		return;
	*pool_p = NULL;
	(void)pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	(void)pthread_cond_broadcast(&pool->work);
	while (pool->threads > 0 &&
	    pthread_cond_timedwait(&pool->done, &pool->lock, &end) == 0)
		continue;
	pool->abandoned = true;
	last = pool->threads == 0;
	(void)pthread_mutex_unlock(&pool->lock);
	if (last)
		pool_free(pool);
}
