/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine: callers on any thread on one side, one thread with the event loop
 * on the other, one lock between them that is never held across anything slow.
 * It must not let a caller wait without a deadline, nor turn any trouble into
 * an answer other than IDENTITY_UNKNOWN.
 */
#include "identity/identity.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "identity/engine.h"
#include "identity/route.h"

#define CACHE_MAX 65536 /* answers; about 10 MB when full */
#define QUEUE_MAX 256   /* questions that wait for a connection */
/* Passwords; about 7 and 2 MB when full. */
#define REMEMBER_GOOD_MAX 65536
#define REMEMBER_BAD_MAX  16384

uint64_t
engine_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct timeval
engine_timeval(uint64_t ms)
{
	return (struct timeval){
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};
}

void
engine_trace(struct identity_engine *engine, const char *format, ...)
{
	char text[REPORT_MAX];
	va_list ap;

	if (engine->trace == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	engine->trace(engine->trace_arg, text);
}

void
engine_wake(struct identity_engine *engine)
{
	const uint64_t one = 1;

	/* Full means that it will wake up anyway. */
	(void)!write(engine->wake_fd, &one, sizeof(one));
}

static void
woken_up(evutil_socket_t fd, short what, void *arg)
{
	struct identity_engine *engine = arg;
	uint64_t count;
	bool stopping;
	size_t i;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&engine->lock);
	stopping = engine->stopping;
	pthread_mutex_unlock(&engine->lock);
	if (stopping) {
		(void)event_base_loopbreak(engine->base);
		return;
	}
	relay_run(engine);
	for (i = 0; i < engine->backend_count; i++)
		backend_run(&engine->backends[i]);
}

/* Everything of libcurl and OpenSSL happens on this thread, its end included:
 * SIGPIPE is blocked here. */
static void *
run(void *arg)
{
	struct identity_engine *engine = arg;
	size_t i;

	(void)event_base_loop(engine->base, EVLOOP_NO_EXIT_ON_EMPTY);
	for (i = 0; i < engine->backend_count; i++)
		backend_stop(&engine->backends[i]);
	relay_stop(engine);
	check_deliver(engine);
	transport_free(&engine->transport);
	return NULL;
}

static int
start_thread(struct identity_engine *engine)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&engine->thread, NULL, run, engine);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	engine->started = rc == 0;
	return rc == 0 ? 0 : -1;
}

static int
init_locks(struct identity_engine *engine)
{
	if (pthread_condattr_init(&engine->monotonic) != 0)
		return -1;
	(void)pthread_condattr_setclock(&engine->monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&engine->tested, &engine->monotonic);
	(void)pthread_mutex_init(&engine->lock, NULL);
	return 0;
}

static int
init_loop(struct identity_engine *engine, struct err *e)
{
	size_t i;

	err_set(e, "no memory or descriptors for the identity engine");
	engine->cache = cache_new(CACHE_MAX);
	engine->remember = remember_new(REMEMBER_GOOD_MAX, REMEMBER_BAD_MAX);
	engine->base = event_base_new();
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	engine->curl_is_up = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (engine->cache == NULL || engine->remember == NULL ||
	    engine->base == NULL || engine->wake_fd < 0 || !engine->curl_is_up)
		return -1;
	engine->transport = transport_new(engine->base);
	engine->wake = event_new(engine->base, engine->wake_fd,
	    EV_READ | EV_PERSIST, woken_up, engine);
	if (engine->transport == NULL || engine->wake == NULL ||
	    event_add(engine->wake, NULL) != 0)
		return -1;
	for (i = 0; i < engine->backend_count; i++) {
		if (backend_start(&engine->backends[i]) != 0)
			return -1;
	}
	return 0;
}

static int
make_key(struct identity_engine *engine, struct err *e)
{
	if (secret_init() != 0) {
		err_set(e, "no randomness or memory for a key");
		return -1;
	}
	if (!secret_is_locked() && engine->report != NULL)
		engine->report(engine->report_arg, IDENTITY_WARNING,
		    "the key of remembered passwords cannot be locked into "
		    "memory (RLIMIT_MEMLOCK), it may be swapped out");
	return 0;
}

struct identity_engine *
identity_new(const struct identity_options *options, struct err *e)
{
	struct identity_engine *engine = calloc(1, sizeof(*engine));
	size_t i;

	if (engine == NULL || init_locks(engine) != 0) {
		err_set(e, "no memory");
		free(engine);
		return NULL;
	}
	engine->wake_fd = -1;
	engine->ttl_ms = options->ttl_ms;
	engine->refused_ttl_ms = options->refused_ttl_ms;
	engine->wait_ms = options->wait_ms;
	engine->waiters = options->waiters;
	engine->report = options->report;
	engine->report_arg = options->report_arg;
	engine->trace = options->trace;
	engine->trace_arg = options->trace_arg;
	engine->grace_ms = options->grace_ms;
	engine->mechanisms = options->mechanisms;
	STAILQ_INIT(&engine->answered);
	STAILQ_INIT(&engine->relay_news);
	STAILQ_INIT(&engine->relay_ends);
	engine->backends =
	    calloc(options->backend_count + 1, sizeof(*engine->backends));
	if (engine->backends == NULL) {
		err_set(e, "no memory");
		identity_free(&engine);
		return NULL;
	}
	for (i = 0; i < options->backend_count; i++) {
		engine->backend_count++;
		if (backend_init(&engine->backends[i], engine,
			&options->backends[i], e) != 0) {
			identity_free(&engine);
			return NULL;
		}
	}
	if (make_key(engine, e) != 0 || init_loop(engine, e) != 0 ||
	    start_thread(engine) != 0)
		identity_free(&engine);
	return engine;
}

void
identity_free(struct identity_engine **engine_p)
{
	struct identity_engine *engine = *engine_p;
	size_t i;

	if (engine == NULL)
		return;
	*engine_p = NULL;
	if (engine->started) {
		pthread_mutex_lock(&engine->lock);
		engine->stopping = true;
		pthread_mutex_unlock(&engine->lock);
		engine_wake(engine);
		(void)pthread_join(engine->thread, NULL);
	}
	for (i = 0; i < engine->backend_count; i++) {
		backend_clear(&engine->backends[i]);
	}
	transport_free(&engine->transport);
	if (engine->wake != NULL)
		event_free(engine->wake);
	if (engine->wake_fd >= 0)
		(void)close(engine->wake_fd);
	if (engine->base != NULL)
		event_base_free(engine->base);
	if (engine->curl_is_up)
		curl_global_cleanup();
	cache_free(&engine->cache);
	remember_free(&engine->remember);
	free(engine->backends);
	(void)pthread_cond_destroy(&engine->tested);
	(void)pthread_condattr_destroy(&engine->monotonic);
	(void)pthread_mutex_destroy(&engine->lock);
	free(engine);
}

static struct timespec
deadline_in(uint64_t ms)
{
	uint64_t then = engine_now_ms() + ms;

	return (struct timespec){
		.tv_sec = (time_t)(then / 1000),
		.tv_nsec = (long)(then % 1000 * 1000000),
	};
}

static bool
is_ready(const struct identity_engine *engine)
{
	size_t i;

	for (i = 0; i < engine->backend_count; i++) {
		const struct backend *b = &engine->backends[i];

		if (!b->tested || (engine->mechanisms != 0 && !b->offers_known))
			return false;
	}
	return true;
}

bool
identity_wait_ready(struct identity_engine *engine, uint64_t ms)
{
	struct timespec deadline = deadline_in(ms);
	bool ready;

	pthread_mutex_lock(&engine->lock);
	while (!is_ready(engine)) {
		if (pthread_cond_timedwait(&engine->tested, &engine->lock,
			&deadline) != 0)
			break;
	}
	ready = is_ready(engine);
	pthread_mutex_unlock(&engine->lock);
	return ready;
}

struct backend *
engine_backend(const struct identity_engine *engine, const struct login *login)
{
	size_t i;

	for (i = 0; i < engine->backend_count; i++) {
		if (backend_serves(&engine->backends[i], login))
			return &engine->backends[i];
	}
	return NULL;
}

/* Puts a new question into the queue. NULL: it will not be asked. Locked. */
static struct check *
enqueue(struct identity_engine *engine, struct backend *b, const char *login)
{
	struct check *check;

	if (engine->stopping || b->mailbox == MAILBOX_UNDECIDED ||
	    b->queued >= QUEUE_MAX)
		return NULL;
	check = check_new(b, CHECK_ACCOUNT, login);
	if (check == NULL)
		return NULL;
	HASH_ADD_KEYPTR(hh, engine->in_flight, check->login,
	    strlen(check->login), check);
	if (check->hh.tbl == NULL ||
	    !breaker_admits(&b->breaker, engine_now_ms())) {
		if (check->hh.tbl != NULL)
			HASH_DELETE(hh, engine->in_flight, check);
		check_release(check);
		return NULL;
	}
	(void)queue_put(check);
	engine_wake(engine);
	return check;
}

/* Waits for an answer that is not cached. Locked, but for the waiting. */
static enum identity
wait_for_answer(struct identity_engine *engine, struct backend *b,
    const char *login)
{
	struct timespec deadline = deadline_in(engine->wait_ms);
	enum identity answer = IDENTITY_UNKNOWN;
	struct check *check;

	if (engine->waiting >= engine->waiters)
		return IDENTITY_UNKNOWN;
	HASH_FIND(hh, engine->in_flight, login, strlen(login), check);
	if (check == NULL)
		check = enqueue(engine, b, login);
	if (check == NULL)
		return IDENTITY_UNKNOWN;
	check->refs++;
	engine->waiting++;
	while (!check->done) {
		if (pthread_cond_timedwait(&check->answered, &engine->lock,
			&deadline) != 0)
			break;
	}
	engine->waiting--;
	if (check->done)
		answer = check->answer;
	check_release(check);
	return answer;
}

enum identity
identity_ask(struct identity_engine *engine, const struct login *login)
{
	struct backend *b = engine_backend(engine, login);
	enum identity answer;

	if (b == NULL || route_is_ambiguous(login) ||
	    route_is_master(b->master_separator, login))
		return IDENTITY_REFUSED;
	if (!b->proxy)
		return IDENTITY_UNKNOWN;
	pthread_mutex_lock(&engine->lock);
	answer = cache_get(engine->cache, login->text, engine_now_ms());
	if (answer == IDENTITY_UNKNOWN)
		answer = wait_for_answer(engine, b, login->text);
	else if (answer != IDENTITY_VERIFIED && !b->refusals_trusted)
		answer = IDENTITY_UNKNOWN;
	pthread_mutex_unlock(&engine->lock);
	return answer;
}
