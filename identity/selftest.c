/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the answers of a service are worth. A made-up name tells whether a login
 * proves that the account exists (Cyrus lets a proxy in as anybody), the canary
 * whether a refusal means anything (a server that lost its user database
 * refuses everybody). It runs at the start, then now and then; it must never
 * loosen what it does not know.
 */
#include "identity/engine.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/rand.h>

/* Dovecot makes the next login wait (up to 15 s) after it refused one, until
 * one succeeds: made-up names are not for every minute. */
#define NAME_AGAIN_MS 900000
#define AGAIN_MS      60000 /* the canary */
#define RETRY_MIN_MS  1000  /* after a failure, then doubling */
#define RETRY_MAX_MS  60000 /* ... if the server did answer */
#define RETRY_DOWN_MS 5000  /* ... if it did not */

static void
schedule(struct backend *b, uint64_t ms)
{
	struct timeval tv = engine_timeval(ms);

	if (event_add(b->retest, &tv) != 0)
		alarm_note(b, IDENTITY_ALARM, "no memory for a self-test");
}

static void
settle_mailbox(struct backend *b, enum mailbox_state mailbox)
{
	struct identity_engine *engine = b->engine;
	bool changed;

	pthread_mutex_lock(&engine->lock);
	changed = b->mailbox != mailbox;
	b->mailbox = mailbox;
	if (changed && mailbox != MAILBOX_OFF)
		cache_clear(engine->cache); /* got by the looser rule */
	if (mailbox == MAILBOX_UNDECIDED)
		queue_give_up(b);
	pthread_mutex_unlock(&engine->lock);
	if (changed && mailbox == MAILBOX_ON)
		alarm_note(b, IDENTITY_INFO,
		    "accepts a login as an account that does not exist: "
		    "mailbox_check is on");
	else if (changed && mailbox == MAILBOX_OFF)
		alarm_note(b, IDENTITY_INFO,
		    "refuses an account that does not exist: mailbox_check is "
		    "off");
}

static void
retry(struct backend *b, bool answered)
{
	uint64_t ceiling = answered ? RETRY_MAX_MS : RETRY_DOWN_MS;

	b->step = SELFTEST_IDLE;
	b->retest_ms = b->retest_ms == 0 ? RETRY_MIN_MS : b->retest_ms * 2;
	if (b->retest_ms > ceiling)
		b->retest_ms = ceiling;
	schedule(b, b->retest_ms);
}

/* There is an answer, and it is good or not. */
static void
end(struct backend *b, bool good)
{
	struct identity_engine *engine = b->engine;

	if (good) {
		b->step = SELFTEST_IDLE;
		b->retest_ms = 0;
		schedule(b, b->canary[0] == '\0' ? NAME_AGAIN_MS : AGAIN_MS);
	} else {
		retry(b, true);
	}
	pthread_mutex_lock(&engine->lock);
	b->tested = true;
	pthread_cond_broadcast(&engine->tested);
	pthread_mutex_unlock(&engine->lock);
}

/* No answer that means anything. What was known before stays known. */
static void
fail(struct backend *b, const struct result *r)
{
	alarm_raise(b, ALARM_SELFTEST, IDENTITY_ALARM,
	    "the self-test is undecided%s: %s%s",
	    b->mailbox == MAILBOX_ON || b->mailbox == MAILBOX_OFF
		? ""
		: ", and so is every identity (mailbox_check = auto)",
	    r->why,
	    !r->hung_up ? ""
			: " (a Dovecot master passdb without result_success = "
			  "continue does that to an account that it does not "
			  "know)");
	if (b->mailbox == MAILBOX_PENDING)
		settle_mailbox(b, MAILBOX_UNDECIDED);
	if (b->step != SELFTEST_CANARY)
		b->name_due_ms = 0;
	retry(b, r->answered);
}

/* A name that nobody has, at a domain that the service knows if any. */
static int
make_up_name(const struct backend *b, struct login *login_r)
{
	const char *domain = "postern.invalid";
	unsigned char random[10];
	char hex[2 * sizeof(random) + 1];
	int n;
	size_t i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return -1;
	for (i = 0; i < sizeof(random); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", random[i]);
	if (strchr(b->canary, '@') != NULL)
		domain = strrchr(b->canary, '@') + 1;
	for (i = b->domain_count; i-- > 0;) {
		if (strcmp(b->domains[i], "*") != 0)
			domain = b->domains[i];
	}
	n = snprintf(login_r->text, sizeof(login_r->text), "postern-%s@%s", hex,
	    domain);
	return n > 0 && (size_t)n < sizeof(login_r->text) ? 0 : -1;
}

static void
ask(struct backend *b, enum selftest_step step, bool mailbox)
{
	struct login login = { "" };
	struct check *check = NULL;
	const struct result no_memory = { .why = "no memory" };

	b->step = step;
	if (step == SELFTEST_CANARY)
		memcpy(login.text, b->canary, strlen(b->canary) + 1);
	else if (make_up_name(b, &login) != 0)
		login.text[0] = '\0';
	if (login.text[0] != '\0')
		check = check_new(b, CHECK_ACCOUNT, login.text);
	if (check == NULL) {
		fail(b, &no_memory);
		return;
	}
	check->probe = true;
	check->mailbox = mailbox;
	pthread_mutex_lock(&b->engine->lock);
	(void)queue_put(check);
	pthread_mutex_unlock(&b->engine->lock);
	backend_run(b);
}

static void
ask_canary(struct backend *b)
{
	if (b->canary[0] == '\0')
		end(b, true);
	else
		ask(b, SELFTEST_CANARY, b->mailbox == MAILBOX_ON);
}

static void
name_accepted(struct backend *b, const struct result *r)
{
	bool automatic = b->mailbox_check == IDENTITY_MAILBOX_AUTO;

	if (automatic && b->step == SELFTEST_NAME) {
		if (b->mailbox == MAILBOX_OFF)
			settle_mailbox(b, MAILBOX_ON);
		ask(b, SELFTEST_MAILBOX, true);
		return;
	}
	alarm_raise(b, ALARM_SELFTEST, IDENTITY_ALARM,
	    "verifies an account that does not exist%s: %s",
	    automatic ? ", every identity is undecided" : "", r->why);
	if (automatic) {
		settle_mailbox(b, MAILBOX_UNDECIDED);
		b->name_due_ms = 0;
		end(b, false);
	} else {
		ask_canary(b);
	}
}

static void
name_refused(struct backend *b)
{
	if (b->mailbox_check == IDENTITY_MAILBOX_AUTO)
		settle_mailbox(b,
		    b->step == SELFTEST_NAME ? MAILBOX_OFF : MAILBOX_ON);
	ask_canary(b);
	backend_run(b); /* what has waited for this */
}

static void
trust_refusals(struct backend *b, bool trusted)
{
	bool changed;

	pthread_mutex_lock(&b->engine->lock);
	changed = b->refusals_trusted != trusted;
	b->refusals_trusted = trusted;
	b->canary_refused = !trusted;
	pthread_mutex_unlock(&b->engine->lock);
	if (changed && trusted)
		alarm_note(b, IDENTITY_INFO, "the canary is verified");
}

static void
canary_answer(struct backend *b, const struct result *r)
{
	trust_refusals(b, r->outcome == DIALOGUE_VERIFIED);
	if (r->outcome == DIALOGUE_VERIFIED) {
		end(b, true);
		return;
	}
	alarm_raise(b, ALARM_CANARY, IDENTITY_ALARM,
	    "the canary is refused, so no refusal is believed: %s", r->why);
	end(b, false);
}

void
selftest_answer(struct backend *b, const struct result *r)
{
	switch (r->outcome) {
	case DIALOGUE_VERIFIED:
		if (b->step == SELFTEST_CANARY)
			canary_answer(b, r);
		else
			name_accepted(b, r);
		return;
	case DIALOGUE_REFUSED:
	case DIALOGUE_DISABLED:
		if (b->step == SELFTEST_CANARY)
			canary_answer(b, r);
		else
			name_refused(b);
		return;
	case DIALOGUE_UNDECIDED:
	case DIALOGUE_CREDENTIAL:
	case DIALOGUE_BUSY:
		break;
	}
	fail(b, r);
}

void
selftest_kick(struct backend *b)
{
	if (b->step != SELFTEST_IDLE)
		return;
	(void)event_del(b->retest);
	b->name_due_ms = engine_now_ms() + NAME_AGAIN_MS;
	ask(b, SELFTEST_NAME, b->mailbox_check == IDENTITY_MAILBOX_YES);
}

static void
time_has_come(evutil_socket_t fd, short what, void *arg)
{
	struct backend *b = arg;

	(void)fd;
	(void)what;
	if (b->canary[0] != '\0' && engine_now_ms() < b->name_due_ms)
		ask_canary(b);
	else
		selftest_kick(b);
}

int
selftest_init(struct backend *b)
{
	b->retest = evtimer_new(b->engine->base, time_has_come, b);
	if (b->retest == NULL)
		return -1;
	schedule(b, 0);
	return 0;
}

void
selftest_clear(struct backend *b)
{
	if (b->retest != NULL)
		event_free(b->retest);
	b->retest = NULL;
}
