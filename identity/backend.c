/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One IMAP service: what is configured of it, and its connections. A check has
 * one deadline over everything; each URL that is left gets its share of the
 * time that is left. It must never make an answer out of a connection that
 * failed: only a dialogue that ended decides.
 */
#include "identity/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "identity/route.h"

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
	turns_init(&b->passwords);
	turns_init(&b->relays);
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
	turns_clear(&b->passwords);
	turns_clear(&b->relays);
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

/* The next check that may run, if there is one: it is active now. */
static struct check *
enter(struct backend *b)
{
	struct check *check;

	for (;;) {
		pthread_mutex_lock(&b->engine->lock);
		check = queue_take(b);
		pthread_mutex_unlock(&b->engine->lock);
		if (check == NULL)
			return NULL;
		if (check->kind != CHECK_PASSWORD || verify_is_wanted(check))
			break;
		check_deliver(b->engine);
	}
	TAILQ_INSERT_TAIL(&b->active, check, link);
	b->active_count++;
	if (check->kind == CHECK_PASSWORD)
		b->active_passwords++;
	if (check->kind == CHECK_RELAY)
		b->active_relays++;
	return check;
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
	if (check->kind == CHECK_RELAY)
		b->active_relays--;
	pthread_mutex_lock(&b->engine->lock);
	queue_end(check);
	pthread_mutex_unlock(&b->engine->lock);
	outcome_take(check, r);
}

void
backend_abandon(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;

	if (check->exchange != NULL) {
		leave(check, r);
		backend_run(b);
		return;
	}
	pthread_mutex_lock(&b->engine->lock);
	queue_leave(check);
	pthread_mutex_unlock(&b->engine->lock);
	outcome_take(check, r);
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
		.sent = d->hung_up || d->state == DIALOGUE_AUTH ||
		    (d->aim == DIALOGUE_RELAY && d->listed),
	};

	if (d->listed)
		offers_learn(b, d->offers);
	(void)snprintf(r.why, sizeof(r.why), "%.90s: %.200s",
	    b->endpoints[at].name, why != NULL ? why : d->why);
	if (why == NULL && d->answered) {
		r.outcome = d->outcome;
		b->first = at;
		leave(check, &r);
	} else if (!d->begun && ++check->tries < b->endpoint_count &&
	    engine_now_ms() < check->deadline_ms) {
		alarm_raise(b, ALARM_FAILOVER, IDENTITY_WARNING,
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
	}
	if (check->kind == CHECK_RELAY)
		relay_ask(check->relay, &q);
	if (b->forward_client)
		q.client = check->client;
	return q;
}

void
backend_account(const struct backend *b, const struct login *login,
    char account_r[LOGIN_MAX + 1])
{
	if (b->login_as_address)
		memcpy(account_r, login->text, sizeof(login->text));
	else
		login_local(login, account_r);
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
	struct login login;
	struct dialogue_question question;

	memcpy(login.text, check->login, sizeof(login.text));
	backend_account(b, &login, account);
	question = question_of(check, account);
	if (now < check->deadline_ms) {
		engine_trace(b->engine, "asking %.200s as %.255s",
		    b->endpoints[at].name,
		    account[0] == '\0' ? "nobody" : account);
		check->exchange = exchange_new(b->engine->transport,
		    &b->endpoints[at], b->ca_file, &question,
		    (check->deadline_ms - now) / left + 1, attempt_done, check);
		if (check->kind == CHECK_RELAY && check->exchange != NULL)
			relay_begun(check->relay);
		if (check->exchange != NULL)
			return;
		(void)snprintf(r.why, sizeof(r.why),
		    "no memory, or no login that can be asked");
	}
	leave(check, &r);
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
	alarm_raise(b, ALARM_GRACE, IDENTITY_WARNING,
	    "a password that verified before still does, for the server does "
	    "not decide");
}

/* Answers those in the queues who have waited for too long. */
static void
drop_late(struct backend *b)
{
	bool late;

	pthread_mutex_lock(&b->engine->lock);
	late = queue_drop_late(b);
	pthread_mutex_unlock(&b->engine->lock);
	if (!late)
		return;
	alarm_raise(b, ALARM_UNDECIDED, IDENTITY_WARNING,
	    "a login is undecided: no connection was free in time");
	check_deliver(b->engine);
}

static void
watch_expiry(struct backend *b)
{
	struct timeval tv;
	uint64_t ms;

	if (event_pending(b->expiry, EV_TIMEOUT, NULL))
		return;
	pthread_mutex_lock(&b->engine->lock);
	ms = queue_late_in_ms(b);
	pthread_mutex_unlock(&b->engine->lock);
	if (ms == UINT64_MAX)
		return;
	tv = engine_timeval(ms);
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
	struct check *check;

	drop_late(b);
	while ((check = enter(b)) != NULL)
		attempt(check);
	relay_make_room(b);
	report_graced(b);
	watch_expiry(b);
}

void
backend_stop(struct backend *b)
{
	struct check *check;

	pthread_mutex_lock(&b->engine->lock);
	queue_clear(b);
	while (!TAILQ_EMPTY(&b->active)) {
		check = TAILQ_FIRST(&b->active);
		TAILQ_REMOVE(&b->active, check, link);
		exchange_free(&check->exchange);
		check_answer(check, IDENTITY_UNKNOWN);
	}
	pthread_mutex_unlock(&b->engine->lock);
}
