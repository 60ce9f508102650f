/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The callers' side: requests, how they wait for the thread that carries them,
 * and how their callers wait for the answers. Nobody here touches the
 * connection.
 */
#include "store/redisqueue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS_MOST 20000

void
redisqueue_add(struct redis_queue *queue, struct redis_request *request)
{
	if (queue->first == NULL)
		queue->last = &queue->first;
	request->next = NULL;
	*queue->last = request;
	queue->last = &request->next;
	queue->count++;
}

struct redis_request *
redisqueue_take(struct redis_queue *queue)
{
	struct redis_request *request = queue->first;

	if (request != NULL) {
		queue->first = request->next;
		queue->count--;
	}
	return request;
}

void
redisqueue_free(struct redis_request *request)
{
	if (request->reply != NULL)
		freeReplyObject(request->reply);
	(void)pthread_cond_destroy(&request->answered);
	free(request->command);
	free(request);
}

struct redis_request *
redis_request(struct redis *r, int argc, const char *const *argv,
    const size_t *lens)
{
	struct redis_request *request = calloc(1, sizeof(*request));
	const char *words[16];
	int len;

	if (request == NULL)
		return NULL;
	for (int i = 0; i < argc; i++)
		words[i] = argv[i];
	len = redisFormatCommandArgv(&request->command, argc, words, lens);
	if (len < 0 || pthread_cond_init(&request->answered, &r->monotonic)) {
		free(request->command);
		free(request);
		return NULL;
	}
	request->len = (size_t)len;
	return request;
}

void
redisqueue_wake(struct redis *r)
{
	const uint64_t one = 1;

	r->asleep = false;
	if (write(r->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is full of wakings already */
}

int
redis_send(struct redis *r, struct redis_request *request, bool left)
{
	bool up;

	if (request == NULL)
		return -1;
	request->left = left;
	(void)pthread_mutex_lock(&r->lock);
	up = r->up && r->waiting.count < REQUESTS_MOST;
	if (up) {
		redisqueue_add(&r->waiting, request);
		if (r->asleep)
			redisqueue_wake(r);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (!up)
		redisqueue_free(request);
	return up ? 0 : -1;
}

struct timespec
redisqueue_time(uint64_t mono_ms)
{
	return (struct timespec){ .tv_sec = (time_t)(mono_ms / 1000),
		.tv_nsec = (long)(mono_ms % 1000) * 1000000 };
}

redisReply *
redis_receive(struct redis *r, struct redis_request *request, uint64_t wait_ms)
{
	const struct timespec until =
	    redisqueue_time(clock_mono_ms() + wait_ms);
	redisReply *reply = NULL;
	int rc = 0;
	bool done;

	(void)pthread_mutex_lock(&r->lock);
	while (!request->done && !request->hopeless && rc == 0)
		rc = pthread_cond_timedwait(&request->answered, &r->lock,
		    &until);
	done = request->done;
	if (done) {
		reply = request->reply;
		request->reply = NULL;
	} else {
		request->left = true;
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (done)
		redisqueue_free(request);
	return reply;
}

static bool
is_refusal(const redisReply *reply)
{
	/* a script that it does not know is asked for in full */
	return reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, "NOSCRIPT", 8) != 0;
}

void
redisqueue_settle(struct redis *r, struct redis_request *request,
    redisReply *reply)
{
	if (reply != NULL && is_refusal(reply))
		err_set(&r->refusal, "%.200s", reply->str);
	else if (reply != NULL && request->writes)
		r->accepted = true;
	request->reply = reply;
	request->done = true;
	if (!request->left) {
		(void)pthread_cond_signal(&request->answered);
		return;
	}
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		r->lost++;
	redisqueue_free(request);
}
