/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One IMAP service: its queue, its connections, its URLs, its breaker. A check
 * has one deadline over everything; each URL that is left gets its share of
 * the time that is left. It must never make an answer out of a connection that
 * failed: only a dialogue that ended decides.
 */
#include "identity/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "identity/route.h"

#define ALARM_EVERY_MS 60000
#define ALARM_LINES    5 /* within that time, if the cause changes */

static char *
copy(const char *text, bool *ok)
{
	char *p = strdup(text != NULL ? text : "");

	*ok = *ok && p != NULL;
	return p;
}

static int
copy_lists(struct backend *b, const struct identity_backend *o, struct err *e)
{
	bool ok = true;
	size_t i;

	b->endpoints = calloc(o->url_count, sizeof(*b->endpoints));
	b->domains = calloc(o->domain_count, sizeof(*b->domains));
	if (b->endpoints == NULL || b->domains == NULL) {
		err_set(e, "no memory, or no url or domain");
		return -1;
	}
	for (i = 0; i < o->url_count; i++) {
		if (endpoint_parse(o->urls[i], &b->endpoints[i], e) != 0)
			return -1;
		b->endpoint_count++;
	}
	for (i = 0; i < o->domain_count; i++) {
		b->domains[i] = copy(o->domains[i], &ok);
		b->domain_count++;
	}
	if (!ok)
		err_set(e, "no memory");
	return ok ? 0 : -1;
}

static int
check_options(const struct identity_backend *o, struct err *e)
{
	if (o->url_count == 0 || o->domain_count == 0 ||
	    o->max_connections == 0 || o->timeout_ms == 0) {
		err_set(e,
		    "an url, a domain, a timeout and max_connections "
		    "are needed");
		return -1;
	}
	if (o->proxy_user == NULL || o->proxy_user[0] == '\0' ||
	    strlen(o->proxy_user) > DIALOGUE_USER_MAX ||
	    o->proxy_password == NULL || o->proxy_password[0] == '\0' ||
	    strlen(o->proxy_password) > DIALOGUE_PASSWORD_MAX) {
		err_set(e,
		    "proxy_user (1 to %d bytes) and its password (1 to "
		    "%d bytes) are needed",
		    DIALOGUE_USER_MAX, DIALOGUE_PASSWORD_MAX);
		return -1;
	}
	if (o->canary != NULL && strlen(o->canary) > LOGIN_MAX) {
		err_set(e, "canary is longer than %d bytes", LOGIN_MAX);
		return -1;
	}
	return 0;
}

int
backend_init(struct backend *b, struct identity_engine *engine,
    const struct identity_backend *o, struct err *e)
{
	bool ok = true;

	TAILQ_INIT(&b->queue);
	TAILQ_INIT(&b->active);
	b->engine = engine;
	if (check_options(o, e) != 0 || copy_lists(b, o, e) != 0)
		return -1;
	b->name = copy(o->name, &ok);
	b->ca_file = copy(o->ca_file, &ok);
	b->master_separator = copy(o->master_separator, &ok);
	b->proxy_user = copy(o->proxy_user, &ok);
	b->proxy_password = copy(o->proxy_password, &ok);
	b->canary = copy(o->canary, &ok);
	if (!ok) {
		err_set(e, "no memory");
		return -1;
	}
	b->login_as_address = o->login_as_address;
	b->mailbox_check = o->mailbox_check;
	if (o->mailbox_check == IDENTITY_MAILBOX_YES)
		b->mailbox = MAILBOX_ON;
	if (o->mailbox_check == IDENTITY_MAILBOX_NO)
		b->mailbox = MAILBOX_OFF;
	b->timeout_ms = o->timeout_ms;
	b->max_connections = o->max_connections;
	b->refusals_trusted = b->canary[0] == '\0';
	return 0;
}

void
backend_clear(struct backend *b)
{
	size_t i;

	for (i = 0; i < b->endpoint_count; i++)
		endpoint_clear(&b->endpoints[i]);
	for (i = 0; i < b->domain_count; i++)
		free(b->domains[i]);
	if (b->proxy_password != NULL)
		OPENSSL_cleanse(b->proxy_password, strlen(b->proxy_password));
	free(b->endpoints);
	free(b->domains);
	free(b->name);
	free(b->ca_file);
	free(b->master_separator);
	free(b->proxy_user);
	free(b->proxy_password);
	free(b->canary);
}

bool
backend_serves(const struct backend *b, const struct login *login)
{
	return route_matches((const char *const *)b->domains, b->domain_count,
	    login);
}

static void
send_report(struct backend *b, enum identity_level level,
    unsigned int held_back, const char *text)
{
	char line[REPORT_MAX + 160];
	char more[48] = "";
	char *p;

	if (held_back > 0)
		(void)snprintf(more, sizeof(more), " (and %u times more)",
		    held_back);
	(void)snprintf(line, sizeof(line), "imap \"%.64s\": %s%s", b->name,
	    text, more);
	for (p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	if (b->engine->report != NULL)
		b->engine->report(b->engine->report_arg, level, line);
}

void
backend_report(struct backend *b, enum identity_level level, const char *format,
    ...)
{
	char text[REPORT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	send_report(b, level, 0, text);
}

void
backend_alarm(struct backend *b, enum alarm_kind kind,
    enum identity_level level, const char *format, ...)
{
	struct alarm *alarm = &b->alarms[kind];
	uint64_t now = engine_now_ms();
	char text[REPORT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (alarm->lines == 0 || now - alarm->since_ms >= ALARM_EVERY_MS) {
		alarm->since_ms = now;
		alarm->lines = 0;
	} else if (alarm->lines >= ALARM_LINES ||
	    strcmp(alarm->text, text) == 0) {
		alarm->held_back++;
		return;
	}
	send_report(b, level, alarm->held_back, text);
	memcpy(alarm->text, text, sizeof(alarm->text));
	alarm->lines++;
	alarm->held_back = 0;
}

void
backend_give_up(struct backend *b)
{
	struct check *check = TAILQ_FIRST(&b->queue);

	while (check != NULL) {
		struct check *next = TAILQ_NEXT(check, link);

		if (!check->probe) {
			TAILQ_REMOVE(&b->queue, check, link);
			b->queued--;
			breaker_neither(&b->breaker);
			check_answer(check, IDENTITY_UNKNOWN);
		}
		check = next;
	}
}

static enum identity
identity_of(enum dialogue_outcome outcome)
{
	switch (outcome) {
	case DIALOGUE_VERIFIED:
		return IDENTITY_VERIFIED;
	case DIALOGUE_REFUSED:
		return IDENTITY_REFUSED;
	case DIALOGUE_DISABLED:
		return IDENTITY_DISABLED;
	case DIALOGUE_UNDECIDED:
	case DIALOGUE_CREDENTIAL:
	case DIALOGUE_BUSY:
		break;
	}
	return IDENTITY_UNKNOWN;
}

/* Remembers and hands out what the server said. Locked. */
static void
settle(struct check *check, enum identity answer)
{
	struct backend *b = check->backend;
	struct identity_engine *engine = b->engine;
	uint64_t now = engine_now_ms();
	uint64_t ttl = engine->refused_ttl_ms;

	if (answer == IDENTITY_VERIFIED)
		ttl = engine->ttl_ms;
	else if (!b->refusals_trusted)
		answer = IDENTITY_UNKNOWN;
	/* An answer got without the mailbox check proves nothing once that
	 * turned out to be needed. */
	if (b->mailbox == MAILBOX_UNDECIDED ||
	    (b->mailbox == MAILBOX_ON && !check->mailbox))
		answer = IDENTITY_UNKNOWN;
	if (answer != IDENTITY_UNKNOWN)
		cache_put(engine->cache, check->login, answer, now + ttl, now);
	check_answer(check, answer);
}

enum change { CHANGE_NONE, CHANGE_OPENED, CHANGE_CLOSED };

/* What an outcome says about the service, not the account. Locked. */
static enum change
move_breaker(struct backend *b, enum dialogue_outcome outcome, bool probe)
{
	bool decided = identity_of(outcome) != IDENTITY_UNKNOWN;

	if (decided)
		return breaker_success(&b->breaker) ? CHANGE_CLOSED
						    : CHANGE_NONE;
	/* A server may rightly have no answer to a made-up name. */
	if (probe)
		return CHANGE_NONE;
	if (outcome == DIALOGUE_BUSY)
		breaker_neither(&b->breaker);
	else if (breaker_failure(&b->breaker, engine_now_ms()))
		return CHANGE_OPENED;
	return CHANGE_NONE;
}

static void
report_undecided(struct backend *b, const struct result *r)
{
	if (r->outcome == DIALOGUE_CREDENTIAL)
		backend_alarm(b, ALARM_CREDENTIAL, IDENTITY_ALARM,
		    "proxy_user or its password is not accepted, every "
		    "identity is undecided: %s",
		    r->why);
	else
		backend_alarm(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "an identity is undecided: %s", r->why);
}

/* The end of a check that is in no list and has no exchange any more. */
static void
finish(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;
	enum identity answer = identity_of(r->outcome);
	bool probe = check->probe;
	enum change change;
	uint64_t open_ms;

	if (answer == IDENTITY_UNKNOWN &&
	    (!probe || r->outcome == DIALOGUE_CREDENTIAL))
		report_undecided(b, r);
	pthread_mutex_lock(&b->engine->lock);
	change = move_breaker(b, r->outcome, probe);
	open_ms = b->breaker.open_ms;
	if (change == CHANGE_OPENED)
		backend_give_up(b);
	if (probe)
		check_answer(check, IDENTITY_UNKNOWN);
	else
		settle(check, answer);
	pthread_mutex_unlock(&b->engine->lock);
	if (change == CHANGE_OPENED)
		backend_alarm(b, ALARM_BREAKER, IDENTITY_ALARM,
		    "no decision %d times in a row, not asked for %llu ms: %s",
		    BREAKER_FAILURES, (unsigned long long)open_ms, r->why);
	if (change == CHANGE_CLOSED)
		backend_report(b, IDENTITY_INFO, "decides again");
	if (probe)
		selftest_answer(b, r);
	else if (change == CHANGE_CLOSED)
		selftest_kick(b);
}

static void
leave(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;

	exchange_free(&check->exchange);
	TAILQ_REMOVE(&b->active, check, link);
	b->active_count--;
	finish(check, r);
}

static void attempt(struct check *check);

/* An exchange is over: take its answer, or go on to the next URL. */
static void
attempt_done(void *arg, const char *why)
{
	struct check *check = arg;
	struct backend *b = check->backend;
	const struct dialogue *d = exchange_dialogue(check->exchange);
	size_t at = (check->first + check->tries) % b->endpoint_count;
	struct result r = { .answered = d->answered, .hung_up = d->hung_up };

	(void)snprintf(r.why, sizeof(r.why), "%.90s: %.200s",
	    b->endpoints[at].name, why != NULL ? why : d->why);
	if (why == NULL && d->answered) {
		r.outcome = d->outcome;
		b->first = at;
	} else if (++check->tries < b->endpoint_count &&
	    engine_now_ms() < check->deadline_ms) {
		backend_alarm(b, ALARM_FAILOVER, IDENTITY_WARNING,
		    "the next url is asked: %s", r.why);
		exchange_free(&check->exchange);
		attempt(check);
		return;
	}
	leave(check, &r);
	backend_run(b);
}

/* Asks at the next URL. The check is among the active. */
static void
attempt(struct check *check)
{
	struct backend *b = check->backend;
	size_t left = b->endpoint_count - check->tries;
	size_t at = (check->first + check->tries) % b->endpoint_count;
	uint64_t now = engine_now_ms();
	struct result r = { .why = "no connection was free in time" };
	const struct dialogue_question question = {
		.account = check->account,
		.user = b->proxy_user,
		.password = b->proxy_password,
		.mailbox = check->mailbox,
	};

	if (now < check->deadline_ms) {
		check->exchange = exchange_new(b->engine->transport,
		    &b->endpoints[at], b->ca_file, &question,
		    (check->deadline_ms - now) / left + 1, attempt_done, check);
		if (check->exchange != NULL)
			return;
		(void)snprintf(r.why, sizeof(r.why),
		    "no memory, or no login that can be asked");
	}
	leave(check, &r);
}

/* The next check that may run. */
static struct check *
take(struct backend *b)
{
	struct check *check;

	pthread_mutex_lock(&b->engine->lock);
	check = TAILQ_FIRST(&b->queue);
	if (check != NULL && !check->probe && b->mailbox != MAILBOX_ON &&
	    b->mailbox != MAILBOX_OFF)
		check = NULL;
	if (check != NULL) {
		TAILQ_REMOVE(&b->queue, check, link);
		b->queued--;
		if (!check->probe) {
			check->mailbox = b->mailbox == MAILBOX_ON;
			check->first = b->first;
		}
	}
	pthread_mutex_unlock(&b->engine->lock);
	return check;
}

void
backend_run(struct backend *b)
{
	while (b->active_count < b->max_connections) {
		struct check *check = take(b);

		if (check == NULL)
			return;
		TAILQ_INSERT_TAIL(&b->active, check, link);
		b->active_count++;
		attempt(check);
	}
}

void
backend_stop(struct backend *b)
{
	struct check *check;

	pthread_mutex_lock(&b->engine->lock);
	backend_give_up(b);
	check = TAILQ_FIRST(&b->queue);
	if (check != NULL) { /* the self-test's one question */
		TAILQ_REMOVE(&b->queue, check, link);
		check_answer(check, IDENTITY_UNKNOWN);
	}
	while (!TAILQ_EMPTY(&b->active)) {
		check = TAILQ_FIRST(&b->active);
		TAILQ_REMOVE(&b->active, check, link);
		exchange_free(&check->exchange);
		check_answer(check, IDENTITY_UNKNOWN);
	}
	pthread_mutex_unlock(&b->engine->lock);
}
