/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of a command, asking, and what there is to say when the answer will not
 * do. What is asked for, and what an answer means, is for others to know.
 */
#include "store/redisask.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>

void
redisask_say(struct redisask *w, const void *octets, size_t len)
{
	w->at[w->count] = octets;
	w->len[w->count++] = len;
}

void
redisask_say_text(struct redisask *w, const char *text)
{
	redisask_say(w, text, strlen(text));
}

void
redisask_say_number(struct redisask *w, uint64_t n)
{
	char *text = w->numbers[w->numbers_count++];

	(void)snprintf(text, REDISASK_NUMBER_SIZE, "%" PRIu64, n);
	redisask_say_text(w, text);
}

void
redisask_call(struct redisask *w, enum redis_script script, const char *sha,
    const char *name, size_t len)
{
	redisask_say_text(w, sha != NULL ? "EVALSHA" : "EVAL");
	redisask_say_text(w, sha != NULL ? sha : redis_scripts[script]);
	redisask_say_text(w, "1");
	redisask_say(w, name, len);
}

static struct redis_request *
hand_over(struct redis *r, const struct redisask *w, bool writes, bool left)
{
	struct redis_request *request =
	    redis_request(r, w->count, w->at, w->len);

	if (request == NULL)
		return NULL;
	request->writes = writes;
	return redis_send(r, request, left) == 0 ? request : NULL;
}

struct redis_request *
redisask_send(struct redis *r, const struct redisask *w)
{
	return hand_over(r, w, false, false);
}

int
redisask_leave(struct redis *r, const struct redisask *w)
{
	return hand_over(r, w, true, true) != NULL ? 0 : -1;
}

redisReply *
redisask_wait(struct redis *r, const struct redisask *w, bool writes,
    uint64_t wait_ms)
{
	struct redis_request *request = hand_over(r, w, writes, false);

	return request == NULL ? NULL : redis_receive(r, request, wait_ms);
}

/* What this thread's callback has left of its time. A callback stays on its
 * thread; other threads' questions have their time each. */
static _Thread_local uint64_t left_ms = UINT64_MAX;

void
redisask_callback(const struct redis *r)
{
	left_ms = r->wait_ms;
}

redisReply *
redisask_quick(struct redis *r, const struct redisask *w, bool writes,
    uint64_t wait_ms)
{
	uint64_t began = clock_mono_ms(), took;
	redisReply *reply;

	if (left_ms == 0) {
		trouble_report(&r->base, &r->slow,
		    "%s: too slow: what one step of a session asks is not "
		    "answered in %u ms (the rest of it is unknown)",
		    r->base.path, r->wait_ms);
		return NULL;
	}
	reply = redisask_wait(r, w, writes, MIN(wait_ms, left_ms));
	took = clock_mono_ms() - began;
	if (left_ms != UINT64_MAX)
		left_ms -= MIN(took, left_ms);
	return reply;
}

redisReply *
redisask_wait_script(struct redis *r, struct redisask *w,
    enum redis_script script)
{
	uint64_t until = clock_mono_ms() + r->wait_ms, now;
	redisReply *reply = redisask_quick(r, w, true, r->wait_ms);

	if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
	    strncmp(reply->str, "NOSCRIPT", 8) != 0)
		return reply;
	freeReplyObject(reply);
	w->at[0] = "EVAL";
	w->len[0] = 4;
	w->at[1] = redis_scripts[script];
	w->len[1] = strlen(redis_scripts[script]);
	now = clock_mono_ms();
	return redisask_quick(r, w, true, now < until ? until - now : 0);
}

void
redisask_explain(struct redis *r, const redisReply *reply, struct err *e)
{
	struct err why;

	if (reply != NULL) {
		err_set(e, "%.200s: refuses: %.200s", r->base.path,
		    reply->type == REDIS_REPLY_ERROR ? reply->str
						     : "it makes no sense");
		return;
	}
	(void)pthread_mutex_lock(&r->lock);
	why = r->why;
	(void)pthread_mutex_unlock(&r->lock);
	err_set(e, "%.200s: away: %.200s", r->base.path,
	    why.text[0] != '\0' ? why.text : "no answer");
}
