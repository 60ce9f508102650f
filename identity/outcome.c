/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What follows from the end of a question: what is remembered of it, what the
 * breakers and the administrator learn from it, who is told. It must not decide
 * anything that the server did not, and must not let what strangers can bring
 * about at will look like a server that is down.
 */
#include "identity/engine.h"

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
		alarm_raise(b, ALARM_CREDENTIAL, IDENTITY_ALARM,
		    "proxy_user or its password is not accepted, every "
		    "identity is undecided: %s",
		    r->why);
	else
		alarm_raise(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "an identity is undecided: %s", r->why);
}

static void
report_opened(struct backend *b, enum alarm_kind kind, const char *of_what,
    uint64_t open_ms, const struct result *r)
{
	alarm_raise(b, kind, IDENTITY_ALARM,
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
		queue_give_up(b);
	if (probe)
		check_answer(check, IDENTITY_UNKNOWN);
	else
		settle(check, answer);
	pthread_mutex_unlock(&b->engine->lock);
	if (change == CHANGE_OPENED)
		report_opened(b, ALARM_BREAKER, "", open_ms, r);
	if (change == CHANGE_CLOSED)
		alarm_note(b, IDENTITY_INFO, "decides again");
	if (probe)
		selftest_answer(b, r);
	else if (change == CHANGE_CLOSED)
		selftest_kick(b);
}

/*
 * What strangers can bring about at will must not stop the logins of others: an
 * answer that decides nothing, a server that hangs up on a login or delays it
 * (Dovecot does, for whoever guessed before), a client that goes away. Only a
 * server that does not even take a login opens this breaker. Locked.
 */
static enum change
move_login_breaker(struct backend *b, enum identity answer,
    const struct result *r)
{
	if (r->asked && answer != IDENTITY_UNKNOWN)
		return breaker_success(&b->password_breaker) ? CHANGE_CLOSED
							     : CHANGE_NONE;
	if (!r->asked || r->answered || r->sent)
		breaker_neither(&b->password_breaker);
	else if (breaker_failure(&b->password_breaker, engine_now_ms()))
		return CHANGE_OPENED;
	return CHANGE_NONE;
}

/* The server's answer to a login; of a relayed one nothing is remembered.
 * Locked. */
static void
settle_login(struct check *check, enum identity answer)
{
	struct identity_engine *engine = check->backend->engine;
	uint64_t ttl = answer == IDENTITY_VERIFIED ? engine->ttl_ms
						   : engine->refused_ttl_ms;

	if (check->kind == CHECK_PASSWORD)
		remember_put(engine->remember, check->tag, answer, ttl,
		    engine->grace_ms, engine_now_ms());
	check_answer(check, answer);
}

static void
finish_login(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;
	struct identity_engine *engine = b->engine;
	enum identity answer = identity_of(r->outcome);
	enum change change;
	uint64_t open_ms;

	if (answer == IDENTITY_UNKNOWN && !r->given_up)
		alarm_raise(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "a %s is undecided: %s",
		    check->kind == CHECK_PASSWORD ? "password"
						  : "relayed login",
		    r->why);
	pthread_mutex_lock(&engine->lock);
	change = move_login_breaker(b, answer, r);
	open_ms = b->password_breaker.open_ms;
	if (change == CHANGE_OPENED)
		queue_give_up_logins(b);
	if (answer != IDENTITY_VERIFIED && b->canary_refused)
		answer = IDENTITY_UNKNOWN;
	settle_login(check, answer);
	pthread_mutex_unlock(&engine->lock);
	if (change == CHANGE_OPENED)
		report_opened(b, ALARM_PASSWORD_BREAKER, " about passwords",
		    open_ms, r);
	if (change == CHANGE_CLOSED)
		alarm_note(b, IDENTITY_INFO, "decides about passwords again");
	check_deliver(engine);
}

static void
finish_offers(struct check *check, const struct result *r)
{
	struct backend *b = check->backend;

	if (!r->answered)
		alarm_raise(b, ALARM_UNDECIDED, IDENTITY_WARNING,
		    "it is not known which mechanisms are offered: %s", r->why);
	pthread_mutex_lock(&b->engine->lock);
	check_answer(check, IDENTITY_UNKNOWN);
	pthread_mutex_unlock(&b->engine->lock);
	offers_answer(b, r);
}

void
outcome_take(struct check *check, const struct result *r)
{
	engine_trace(check->backend->engine, "result: %s (%s)",
	    identity_name(identity_of(r->outcome)), r->why);
	switch (check->kind) {
	case CHECK_ACCOUNT:
		finish_account(check, r);
		break;
	case CHECK_PASSWORD:
	case CHECK_RELAY:
		finish_login(check, r);
		break;
	case CHECK_OFFERS:
		finish_offers(check, r);
		break;
	}
}
