/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that talks to Redis: it connects, carries requests there and
 * answers back in their order, and knows when there is nobody to talk to. While
 * that is so requests are turned away at once. No caller's thread ever touches
 * the connection.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "store/redisqueue.h"

#define MARGIN_MS   10
#define CONNECT_MS  1000 /* and as long to sign in */
#define PAUSE_LEAST 100
#define PAUSE_MOST  2000
#define ALIVE_MS    1000 /* a sign of life is asked for that often */
#define GIVE_UP_MS  1500 /* without an answer, after the callers did */
#define STOP_MS     3000
#define READ_SIZE   65536

#define AWAY                                                              \
 "%s: away: %s (limits do not bind, leases and proofs are unknown until " \
 "it is back)"

static const char slow_text[] = "it does not answer";

/* Once, but perhaps later, when it comes and goes. */
static void
tell_away(struct redis *r, const char *why)
{
	if (!r->away.told)
		trouble_report(&r->base, &r->away, AWAY, r->base.path, why);
}

/* Turns all requests away. */
static void
go_down(struct redis *r, const char *why)
{
	struct redis_request *request;

	redislink_close(&r->link);
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	r->reader = NULL;
	r->out_len = 0;
	(void)pthread_mutex_lock(&r->lock);
	r->up = false;
	err_set(&r->why, "%s", why);
	(void)pthread_mutex_unlock(&r->lock);
	tell_away(r, why);
	(void)pthread_mutex_lock(&r->lock);
	r->tried = true;
	while ((request = redisqueue_take(&r->sent)) != NULL)
		redisqueue_settle(r, request, NULL);
	while ((request = redisqueue_take(&r->waiting)) != NULL)
		redisqueue_settle(r, request, NULL);
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
}

static int
add_out(struct redis *r, const char *octets, size_t len)
{
	if (r->out_len + len > r->out_room) {
		size_t room = 2 * (r->out_len + len);
		char *out = realloc(r->out, room);

		if (out == NULL)
			return -1;
		r->out = out;
		r->out_room = room;
	}
	memcpy(r->out + r->out_len, octets, len);
	r->out_len += len;
	return 0;
}

static int
write_out(struct redis *r, struct err *e)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < r->out_len) {
		n = redislink_write(&r->link, r->out + done, r->out_len - done,
		    e);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done > 0)
		memmove(r->out, r->out + done, r->out_len - done);
	r->out_len -= done;
	return n < 0 ? -1 : 0;
}

static int
read_in(struct redis *r, struct err *e)
{
	char octets[READ_SIZE];
	ssize_t n;

	do {
		n = redislink_read(&r->link, octets, sizeof(octets), e);
		if (n > 0)
			r->heard_ms = clock_mono_ms();
		if (n > 0 &&
		    redisReaderFeed(r->reader, octets, (size_t)n) != REDIS_OK) {
			err_set(e, "no memory");
			return -1;
		}
	} while (
	    n == (ssize_t)sizeof(octets) || (n > 0 && r->link.ssl != NULL));
	return n < 0 ? -1 : 0;
}

/* The next answer, or NULL. -1: what came is none. */
static int
next_reply(struct redis *r, redisReply **reply_r, struct err *e)
{
	void *reply = NULL;

	*reply_r = NULL;
	if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
		err_set(e, "it does not speak Redis' protocol");
		return -1;
	}
	*reply_r = reply;
	return 0;
}

/*
 * Asks and waits, before anybody else may; for signing in. NULL with the reason
 * in e; errors are answers, too.
 */
static redisReply *
ask(struct redis *r, uint64_t until_ms, struct err *e, int argc,
    const char **argv)
{
	char *command = NULL;
	redisReply *reply = NULL;
	int len = redisFormatCommandArgv(&command, argc, argv, NULL);
	int rc = len < 0 ? -1 : add_out(r, command, (size_t)len);

	if (rc != 0)
		err_set(e, "no memory");
	if (command != NULL)
		OPENSSL_cleanse(command, len < 0 ? 0 : (size_t)len);
	free(command);
	while (rc == 0) {
		struct pollfd p = { .fd = r->link.fd, .events = POLLIN };
		uint64_t now = clock_mono_ms();

		if (write_out(r, e) != 0 || read_in(r, e) != 0 ||
		    next_reply(r, &reply, e) != 0 || reply != NULL)
			break;
		if (now >= until_ms) {
			err_set(e, "no answer");
			break;
		}
		if (r->out_len > 0)
			p.events |= POLLOUT;
		(void)poll(&p, 1, (int)(until_ms - now));
	}
	return reply;
}

/* ... and an error is a failure. */
static int
expect(struct redis *r, uint64_t until_ms, struct err *e, int argc,
    const char **argv)
{
	redisReply *reply = ask(r, until_ms, e, argc, argv);
	int rc = -1;

	if (reply == NULL)
		return -1;
	if (reply->type == REDIS_REPLY_ERROR)
		err_set(e, "%s: it answers \"%.200s\"", argv[0], reply->str);
	else
		rc = 0;
	freeReplyObject(reply);
	return rc;
}

static int
sign_in(struct redis *r, uint64_t until_ms, struct err *e)
{
	char db[16];
	const char *auth[3] = { "AUTH", r->url.user, r->password };
	const char *select[2] = { "SELECT", db };
	const char *ping[1] = { "PING" };
	bool named = r->url.user[0] != '\0';
	int rc = 0;

	if (!named)
		auth[1] = r->password;
	if (r->password != NULL)
		rc = expect(r, until_ms, e, named ? 3 : 2, auth);
	if (r->out != NULL)
		OPENSSL_cleanse(r->out, r->out_room);
	(void)snprintf(db, sizeof(db), "%u", r->url.db);
	if (rc == 0 && r->url.db != 0)
		rc = expect(r, until_ms, e, 2, select);
	for (size_t i = 0; i < REDIS_SCRIPTS && rc == 0; i++) {
		const char *load[3] = { "SCRIPT", "LOAD", redis_scripts[i] };

		rc = expect(r, until_ms, e, 3, load);
	}
	return rc == 0 ? expect(r, until_ms, e, 1, ping) : rc;
}

static void
go_up(struct redis *r)
{
	(void)pthread_mutex_lock(&r->lock);
	r->up = true;
	r->why.text[0] = '\0';
	r->tried = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	r->pause_ms = PAUSE_LEAST;
	r->again_ms = clock_mono_ms() + ALIVE_MS;
	trouble_over(&r->base, &r->away, "is back");
}

static unsigned int
connect_ms(const struct redis *r)
{
	return r->wait_ms > CONNECT_MS ? r->wait_ms : CONNECT_MS;
}

static void
try_connect(struct redis *r)
{
	struct err e = { "no memory" };

	if (redislink_open(&r->link, &r->url, r->trust, connect_ms(r), &e) ==
	    0) {
		r->reader = redisReaderCreate();
		if (r->reader != NULL &&
		    sign_in(r, clock_mono_ms() + connect_ms(r), &e) == 0) {
			go_up(r);
			return;
		}
	}
	go_down(r, e.text);
	r->again_ms = clock_mono_ms() + r->pause_ms;
	r->pause_ms *= 2;
	if (r->pause_ms > PAUSE_MOST)
		r->pause_ms = PAUSE_MOST;
}

static int
take_replies(struct redis *r, struct err *e)
{
	struct redis_request *request;
	struct err refusal = { "" };
	redisReply *reply;
	int rc;
	bool back = false, accepted;

	(void)pthread_mutex_lock(&r->lock);
	while ((rc = next_reply(r, &reply, e)) == 0 && reply != NULL) {
		request = redisqueue_take(&r->sent);
		if (request == NULL) {
			freeReplyObject(reply);
			err_set(e, "an answer to no question");
			rc = -1;
			break;
		}
		redisqueue_settle(r, request, reply);
		back = r->sent.count == 0;
	}
	back = back && !r->up;
	if (back) {
		r->up = true;
		r->why.text[0] = '\0';
	}
	accepted = r->accepted;
	r->accepted = false;
	if (r->refusal.text[0] != '\0')
		refusal = r->refusal;
	r->refusal.text[0] = '\0';
	(void)pthread_mutex_unlock(&r->lock);
	if (back)
		trouble_over(&r->base, &r->away, "answers again");
	if (refusal.text[0] != '\0')
		trouble_report(&r->base, &r->refusing, "%s: refuses: %s",
		    r->base.path, refusal.text);
	else if (accepted && r->refusing.on)
		trouble_over(&r->base, &r->refusing, "refuses no more");
	return rc;
}

/* What is waiting goes out; a sign of life if nothing else does. */
static int
take_requests(struct redis *r, struct err *e)
{
	uint64_t now = clock_mono_ms();
	struct redis_request *request;
	const char *const ping[] = { "PING" };
	int rc = 0;

	if (r->sent.count == 0 && now >= r->again_ms) {
		request = redis_request(r, 1, ping, NULL);
		if (request != NULL)
			request->left = true;
		if (request != NULL && redis_send(r, request, true) != 0)
			request = NULL;
		r->again_ms = now + ALIVE_MS;
	}
	(void)pthread_mutex_lock(&r->lock);
	r->asleep = false;
	while (rc == 0 && (request = redisqueue_take(&r->waiting)) != NULL) {
		rc = add_out(r, request->command, request->len);
		request->sent_ms = now;
		redisqueue_add(&r->sent, request);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (rc != 0)
		err_set(e, "no memory");
	return rc;
}

/* How long it has been silent while it should speak. */
static uint64_t
silence_ms(const struct redis *r)
{
	uint64_t since = r->heard_ms;

	if (r->sent.first == NULL)
		return 0;
	if (since < r->sent.first->sent_ms)
		since = r->sent.first->sent_ms;
	return clock_mono_ms() - since;
}

/* A little less than a caller has: so that it is known to be silent before
 * anybody asks again. */
static uint64_t
patience_ms(const struct redis *r)
{
	return r->wait_ms - MARGIN_MS;
}

/* Nobody waits any more, nor anew; what was sent may still be answered. */
static void
lose_patience(struct redis *r)
{
	struct redis_request *request;

	(void)pthread_mutex_lock(&r->lock);
	r->up = false;
	err_set(&r->why, "%s", slow_text);
	for (request = r->sent.first; request != NULL;
	     request = request->next) {
		request->hopeless = true;
		if (!request->left)
			(void)pthread_cond_signal(&request->answered);
	}
	while ((request = redisqueue_take(&r->waiting)) != NULL)
		redisqueue_settle(r, request, NULL);
	(void)pthread_mutex_unlock(&r->lock);
	tell_away(r, slow_text);
}

static int
watch(struct redis *r, struct err *e)
{
	uint64_t silence = silence_ms(r);

	if (silence >= patience_ms(r) + GIVE_UP_MS) {
		err_set(e, "no answer for %d ms", GIVE_UP_MS);
		return -1;
	}
	if (silence >= patience_ms(r) && r->up)
		lose_patience(r);
	return 0;
}

static int
timeout_ms(const struct redis *r)
{
	uint64_t now = clock_mono_ms(), until = r->again_ms;

	if (r->link.fd >= 0 && r->sent.first != NULL)
		until = now +
		    (r->up ? patience_ms(r) - MIN(silence_ms(r), patience_ms(r))
			   : patience_ms(r));
	return until <= now ? 0 : (int)(until - now);
}

/* Until something happens; the lock is not held. */
static void
sleep_on(struct redis *r)
{
	struct pollfd p[2] = { { .fd = r->wake_fd, .events = POLLIN },
		{ .fd = r->link.fd, .events = POLLIN } };
	uint64_t wakings;
	bool idle;

	(void)pthread_mutex_lock(&r->lock);
	idle = r->waiting.first == NULL;
	r->asleep = idle;
	(void)pthread_mutex_unlock(&r->lock);
	if (!idle)
		return;
	if (r->out_len > 0)
		p[1].events |= POLLOUT;
	(void)poll(p, r->link.fd >= 0 ? 2 : 1, timeout_ms(r));
	if (p[0].revents != 0 &&
	    read(r->wake_fd, &wakings, sizeof(wakings)) < 0)
		return;
}

static void
turn(struct redis *r)
{
	struct err e = { "" };

	if (r->link.fd < 0) {
		if (clock_mono_ms() >= r->again_ms)
			try_connect(r);
		return;
	}
	if (take_requests(r, &e) == 0 && write_out(r, &e) == 0 &&
	    read_in(r, &e) == 0 && take_replies(r, &e) == 0 &&
	    watch(r, &e) == 0)
		return;
	go_down(r, e.text);
	r->again_ms = clock_mono_ms();
}

/* Is everything out that was asked for before the end? */
static bool
may_stop(struct redis *r)
{
	bool stop;

	(void)pthread_mutex_lock(&r->lock);
	stop = r->stop &&
	    (!r->up || (r->waiting.first == NULL && r->sent.first == NULL));
	(void)pthread_mutex_unlock(&r->lock);
	return stop;
}

static void *
run(void *arg)
{
	struct redis *r = arg;

	while (!may_stop(r)) {
		sleep_on(r);
		turn(r);
	}
	(void)pthread_mutex_lock(&r->lock);
	r->stopped = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	return NULL;
}

int
redisloop_start(struct redis *r, struct err *e)
{
	const struct timespec until =
	    redisqueue_time(clock_mono_ms() + connect_ms(r));
	sigset_t all, before;
	int rc;

	r->link.fd = -1;
	r->pause_ms = PAUSE_LEAST;
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0) {
		err_set(e, "%s", strerror(errno));
		return -1;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&r->thread, NULL, run, r);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		err_set(e, "no thread for the store: %s", strerror(rc));
		(void)close(r->wake_fd);
		return -1;
	}
	/* so that the first question finds it there */
	(void)pthread_mutex_lock(&r->lock);
	while (!r->tried && rc == 0)
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &until);
	(void)pthread_mutex_unlock(&r->lock);
	return 0;
}

bool
redisloop_stop(struct redis *r)
{
	const struct timespec until =
	    redisqueue_time(clock_mono_ms() + STOP_MS);
	struct redis_request *request;
	bool stopped;
	int rc = 0;

	(void)pthread_mutex_lock(&r->lock);
	r->stop = true;
	redisqueue_wake(r);
	while (!r->stopped && rc == 0)
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &until);
	stopped = r->stopped;
	(void)pthread_mutex_unlock(&r->lock);
	if (!stopped) {
		(void)pthread_detach(r->thread);
		return false;
	}
	(void)pthread_join(r->thread, NULL);
	redislink_close(&r->link);
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	while ((request = redisqueue_take(&r->sent)) != NULL)
		redisqueue_free(request);
	while ((request = redisqueue_take(&r->waiting)) != NULL)
		redisqueue_free(request);
	free(r->out);
	(void)close(r->wake_fd);
	return true;
}
