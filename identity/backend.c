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

#include <event2/event.h>
#include <openssl/crypto.h>

#include "identity/route.h"

#define ALARM_EVERY_MS 60000
#define ALARM_LINES    5 /* within that time, if the cause changes */
/* A password that has waited so long that less is left is not asked about: that
 * would tell nothing, but of the server. */
#define PASSWORD_LEAST_MS 500

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
	if (!o->proxy)
		return 0;
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
	TAILQ_INIT(&b->passwords);
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
	b->proxy = o->proxy;
	b->tested = !o->proxy;
	b->forward_client = o->forward_client;
	b->timeout_ms = o->timeout_ms;
	b->max_connections = o->max_connections;
	b->refusals_trusted = b->canary[0] == '\0';
	return 0;
}

void
backend_clear(struct backend *b)
{
	size_t i;

	selftest_clear(b);
	offers_clear(b);
	if (b->expiry != NULL)
		event_free(b->expiry);
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

		if (check->kind == CHECK_ACCOUNT && !check->probe) {
			TAILQ_REMOVE(&b->queue, check, link);
			b->queued--;
			breaker_neither(&b->breaker);
			check_answer(check, IDENTITY_UNKNOWN);
		}
		check = next;
	}
}

static void
give_up_passwords(struct backend *b)
{
	struct check *check;

	while ((check = TAILQ_FIRST(&b->passwords)) != NULL) {
		TAILQ_REMOVE(&b->passwords, check, link);
		breaker_neither(&b->password_breaker);
		check_answer(check, IDENTITY_UNKNOWN);
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

static void
report_opened(struct backend *b, enum alarm_kind kind, const char *of_what,
    uint64_t open_ms, const struct result *r)
{
	backend_alarm(b, kind, IDENTITY_ALARM,
	    "no decision%s %d times in a row, not asked for %llu ms: %s",
	    of_what, BREAKER_FAILURES, (unsigned long long)open_ms, r->why);
}

/* The next four: the end of a check that is in no list and has no exchange any
 * more. */
static void
finish_account(struct check *check, const struct result *r)
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
		report_opened(b, ALARM_BREAKER, "", open_ms, r);
	if (change == CHANGE_CLOSED)
		backend_report(b, IDENTITY_INFO, "decides again");
	if (probe)
		selftest_answer(b, r);
	else if (change == CHANGE_CLOSED)
		selftest_kick(b);
}

/*
 * What strangers can bring about at will must not stop the passwords of others:
 * an answer that decides nothing, a server that hangs up on a login or delays
 * it (Dovecot does, for whoever guessed before). Only a server that does not
 * even take a login opens this breaker. Locked.
 */
static enum change
move_password_breaker(struct backend *b, enum identity answer,
    const struct result *r)
{
	if (answer != IDENTITY_UNKNOWN)
		return breaker_success(&b->password_breaker) ? CHANGE_CLOSED
							     : CHANGE_NONE;
	if (!r->asked || r->answered || r->sent)
		breaker_neither(&b->password_breaker);
	else if (breaker_failure(&b->password_breaker, engine_now_ms()))
		return CHANGE_OPENED;
	return CHANGE_NONE;
}

static void
finish_password(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;
	struct identity_engine *engine = b->engine;
	enum identity answer = identity_of(r->outcome);
	uint64_t ttl = answer == IDENTITY_VERIFIED ? engine->ttl_ms
						   : engine->refused_ttl_ms;
	enum change change;
	uint64_t open_ms;

	if (answer == IDENTITY_UNKNOWN)
		backend_alarm(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "a password is undecided: %s", r->why);
	pthread_mutex_lock(&engine->lock);
	change = move_password_breaker(b, answer, r);
	open_ms = b->password_breaker.open_ms;
	if (change == CHANGE_OPENED)
		give_up_passwords(b);
	if (answer != IDENTITY_VERIFIED && b->canary_refused)
		answer = IDENTITY_UNKNOWN;
	remember_put(engine->remember, check->tag, answer, ttl,
	    engine->grace_ms, engine_now_ms());
	check_answer(check, answer);
	pthread_mutex_unlock(&engine->lock);
	if (change == CHANGE_OPENED)
		report_opened(b, ALARM_PASSWORD_BREAKER, " about passwords",
		    open_ms, r);
	if (change == CHANGE_CLOSED)
		backend_report(b, IDENTITY_INFO,
		    "decides about passwords again");
	check_deliver(engine);
}

static void
finish_offers(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;

	if (!r->answered)
		backend_alarm(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "it is not known which mechanisms are offered: %s", r->why);
	pthread_mutex_lock(&b->engine->lock);
	check_answer(check, IDENTITY_UNKNOWN);
	pthread_mutex_unlock(&b->engine->lock);
	offers_answer(b, r);
}

static void
finish(struct check *check, const struct result *r)
{
	engine_trace(check->backend->engine, "result: %s (%s)",
	    identity_name(identity_of(r->outcome)), r->why);
	switch (check->kind) {
	case CHECK_ACCOUNT:
		finish_account(check, r);
		break;
	case CHECK_PASSWORD:
		finish_password(check, r);
		break;
	case CHECK_OFFERS:
		finish_offers(check, r);
		break;
	}
}

static void
leave(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;

	exchange_free(&check->exchange);
	TAILQ_REMOVE(&b->active, check, link);
	b->active_count--;
	if (check->kind == CHECK_PASSWORD)
		b->active_passwords--;
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
	struct result r = {
		.answered = d->answered,
		.hung_up = d->hung_up,
		.asked = true,
		.sent = d->hung_up || d->state == DIALOGUE_AUTH,
	};

	if (d->listed)
		offers_learn(b, d->offers);
	(void)snprintf(r.why, sizeof(r.why), "%.90s: %.200s",
	    b->endpoints[at].name, why != NULL ? why : d->why);
	if (why == NULL && d->answered) {
		r.outcome = d->outcome;
		b->first = at;
		leave(check, &r);
	} else if (++check->tries < b->endpoint_count &&
	    engine_now_ms() < check->deadline_ms) {
		backend_alarm(b, ALARM_FAILOVER, IDENTITY_WARNING,
		    "the next url is asked: %s", r.why);
		exchange_free(&check->exchange);
		attempt(check);
	} else {
		leave(check, &r);
	}
	backend_run(b);
}

static struct dialogue_question
question_of(const struct check *check, const char *account)
{
	const struct backend *b = check->backend;
	struct dialogue_question q = {
		.account = account,
		.user = b->proxy_user,
		.password = b->proxy_password,
		.mailbox = check->mailbox,
		.trace = b->engine->trace,
		.trace_arg = b->engine->trace_arg,
	};

	if (check->kind == CHECK_OFFERS)
		q.aim = DIALOGUE_OFFERS;
	if (check->kind == CHECK_PASSWORD) {
		q.aim = DIALOGUE_PASSWORD;
		q.password = check->password;
		if (b->forward_client)
			q.client = check->client;
	}
	return q;
}

/* What the server calls it. */
static void
account_of(const struct check *check, char account_r[LOGIN_MAX + 1])
{
	struct login login;

	memcpy(login.text, check->login, sizeof(login.text));
	if (check->backend->login_as_address)
		memcpy(account_r, login.text, sizeof(login.text));
	else
		login_local(&login, account_r);
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
	char account[LOGIN_MAX + 1];
	struct dialogue_question question;

	account_of(check, account);
	question = question_of(check, account);
	if (now < check->deadline_ms) {
		engine_trace(b->engine, "asking %.200s as %.255s",
		    b->endpoints[at].name,
		    check->kind == CHECK_OFFERS ? "nobody" : account);
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

/* May it run, or does it wait for the self-test? Locked. */
static bool
is_due(const struct backend *b, const struct check *check)
{
	return check->kind == CHECK_OFFERS || check->probe ||
	    b->mailbox == MAILBOX_ON || b->mailbox == MAILBOX_OFF;
}

/* The next password that may be asked about. One connection is left to
 * questions about accounts: threads wait for those. Locked. */
static struct check *
take_password(struct backend *b)
{
	size_t ceiling = b->max_connections;
	struct check *check = TAILQ_FIRST(&b->passwords);
	uint64_t deadline_ms = engine_now_ms() + b->timeout_ms;

	if (b->proxy && ceiling > 1)
		ceiling--;
	if (check == NULL || b->active_passwords >= ceiling)
		return NULL;
	TAILQ_REMOVE(&b->passwords, check, link);
	b->active_passwords++;
	if (check->deadline_ms > deadline_ms)
		check->deadline_ms = deadline_ms;
	return check;
}

/* The next check that may run; those about accounts first. */
static struct check *
take(struct backend *b)
{
	struct check *check;

	pthread_mutex_lock(&b->engine->lock);
	check = TAILQ_FIRST(&b->queue);
	if (check != NULL && !is_due(b, check))
		check = NULL;
	if (check != NULL) {
		TAILQ_REMOVE(&b->queue, check, link);
		b->queued--;
		if (check->kind == CHECK_ACCOUNT && !check->probe)
			check->mailbox = b->mailbox == MAILBOX_ON;
	} else {
		check = take_password(b);
	}
	if (check != NULL && !check->probe)
		check->first = b->first;
	pthread_mutex_unlock(&b->engine->lock);
	return check;
}

/* Grace is given on any thread, and reported here. */
static void
report_graced(struct backend *b)
{
	unsigned int n;

	pthread_mutex_lock(&b->engine->lock);
	n = b->graced;
	b->graced = 0;
	pthread_mutex_unlock(&b->engine->lock);
	if (n == 0)
		return;
	b->alarms[ALARM_GRACE].held_back += n - 1;
	backend_alarm(b, ALARM_GRACE, IDENTITY_WARNING,
	    "a password that verified before still does, for the server does "
	    "not decide");
}

/* Answers those in the queue who have waited for too long. */
static void
drop_late(struct backend *b)
{
	uint64_t limit_ms = engine_now_ms() + PASSWORD_LEAST_MS;
	struct check *check;
	bool late = false;

	pthread_mutex_lock(&b->engine->lock);
	while ((check = TAILQ_FIRST(&b->passwords)) != NULL &&
	    check->deadline_ms <= limit_ms) {
		TAILQ_REMOVE(&b->passwords, check, link);
		breaker_neither(&b->password_breaker);
		check_answer(check, IDENTITY_UNKNOWN);
		late = true;
	}
	pthread_mutex_unlock(&b->engine->lock);
	if (!late)
		return;
	backend_alarm(b, ALARM_UNDECIDED, IDENTITY_WARNING,
	    "a password is undecided: no connection was free in time");
	check_deliver(b->engine);
}

/* The first password in the queue is the first to be late. */
static void
watch_expiry(struct backend *b)
{
	uint64_t limit_ms = engine_now_ms() + PASSWORD_LEAST_MS;
	const struct check *check;
	struct timeval tv = { 0 };

	if (event_pending(b->expiry, EV_TIMEOUT, NULL))
		return;
	pthread_mutex_lock(&b->engine->lock);
	check = TAILQ_FIRST(&b->passwords);
	if (check != NULL && check->deadline_ms > limit_ms) {
		uint64_t ms = check->deadline_ms - limit_ms;

		tv.tv_sec = (time_t)(ms / 1000);
		tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	}
	pthread_mutex_unlock(&b->engine->lock);
	if (check != NULL)
		(void)event_add(b->expiry, &tv);
}

static void
expire(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	backend_run(arg);
}

int
backend_start(struct backend *b)
{
	b->expiry = evtimer_new(b->engine->base, expire, b);
	if (b->expiry == NULL || offers_init(b) != 0)
		return -1;
	return b->proxy ? selftest_init(b) : 0;
}

void
backend_run(struct backend *b)
{
	drop_late(b);
	while (b->active_count < b->max_connections) {
		struct check *check = take(b);

		if (check == NULL)
			break;
		TAILQ_INSERT_TAIL(&b->active, check, link);
		b->active_count++;
		attempt(check);
	}
	report_graced(b);
	watch_expiry(b);
}

void
backend_stop(struct backend *b)
{
	struct check *check;

	pthread_mutex_lock(&b->engine->lock);
	backend_give_up(b);
	give_up_passwords(b);
	while ((check = TAILQ_FIRST(&b->queue)) != NULL) { /* our own */
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
