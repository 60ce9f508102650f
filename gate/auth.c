/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door for passwords: judges what can be judged without asking, asks IMAP
 * about the rest, and hands the answer back. It never waits, and it keeps no
 * password.
 */
#include "gate/auth.h"

#include <stdlib.h>

#include "gate/attempt.h"

/* A question that IMAP has. */
struct inquiry {
	struct attempt attempt;
	auth_done *done;
	void *arg;
};

/* It has waited for its turn: others may have guessed wrong meanwhile. On the
 * engine's thread. */
static bool
is_to_be_asked(void *arg)
{
	const struct inquiry *inquiry = arg;

	return !attempt_is_over_limit(&inquiry->attempt);
}

/* On the engine's thread, or from within auth_password(). */
static void
answered(void *arg, const struct identity_verdict *verdict)
{
	struct inquiry *inquiry = arg;
	struct auth_answer answer;
	auth_done *done = inquiry->done;
	void *done_arg = inquiry->arg;

	attempt_conclude(&inquiry->attempt, verdict, &answer);
	free(inquiry);
	done(done_arg, &answer);
}

/* The attempt is the inquiry's from here on. -1: it was not asked about. */
static int
ask(const struct attempt *attempt, const struct sasl_credentials *credentials,
    auth_done *done, void *arg)
{
	struct identity_engine *engine = rules_engine(attempt->rules);
	struct inquiry *inquiry;
	struct identity_password question = {
		.password = credentials->password,
		.len = credentials->password_len,
		.admit = is_to_be_asked,
	};

	if (engine == NULL && gate_auth_engine(attempt->gate) == NULL)
		return -1;
	inquiry = calloc(1, sizeof(*inquiry));
	if (inquiry == NULL)
		return -1;
	inquiry->attempt = *attempt;
	inquiry->done = done;
	inquiry->arg = arg;
	identity_tag(&attempt->login, credentials->password,
	    credentials->password_len, inquiry->attempt.tag);
	inquiry->attempt.tagged = true;
	question.tag = inquiry->attempt.tag;
	question.login = &attempt->login;
	question.client = &attempt->addr;
	attempt_engine(attempt->gate)
	    ->verify(engine, &question, answered, inquiry);
	return 0;
}

void
auth_password(struct gate *gate, const struct auth_client *client,
    const struct sasl_credentials *credentials, auth_done *done, void *arg)
{
	bool offered =
	    client->mechanism == SASL_PLAIN || client->mechanism == SASL_LOGIN;
	enum reason reason = REASON_IDENTITY_REFUSED;
	struct auth_answer answer;
	struct attempt attempt;

	attempt_begin(&attempt, gate, client);
	if (attempt_may_begin(&attempt, offered, &reason) &&
	    attempt_take_login(&attempt, credentials->authcid,
		credentials->authcid_len, credentials->authzid,
		credentials->authzid_len, &reason)) {
		reason = REASON_IDENTITY_REFUSED;
		if (sasl_password_fits(credentials->password,
			credentials->password_len)) {
			if (ask(&attempt, credentials, done, arg) == 0)
				return;
			reason = REASON_IDENTITY_UNDECIDED;
		}
	}
	attempt_refuse(&attempt, reason, &answer);
	done(arg, &answer);
}

void
auth_malformed(struct gate *gate, const struct auth_client *client,
    auth_done *done, void *arg)
{
	enum reason reason = REASON_IDENTITY_REFUSED;
	struct auth_answer answer;
	struct attempt attempt;

	attempt_begin(&attempt, gate, client);
	if (attempt.sasl == NULL)
		reason = REASON_INTERNAL_ERROR;
	attempt_refuse(&attempt, reason, &answer);
	done(arg, &answer);
}

/* Passwords always are; the rest as long as IMAP has it, too. */
static bool
is_served(const struct gate *gate, struct rules *rules,
    const struct conf_sasl *sasl, enum sasl_mechanism mechanism)
{
	struct identity_engine *engine = rules_engine(rules);

	if (!sasl_is_relayed(mechanism))
		return mechanism != SASL_NONE;
	return (sasl->pass_through & SASL_BIT(mechanism)) != 0 &&
	    (engine != NULL || gate_auth_engine(gate) != NULL) &&
	    attempt_engine(gate)->offers(engine, mechanism);
}

unsigned int
auth_offers(struct gate *gate, const char *service)
{
	struct rules *rules = gate_rules_ref(gate);
	const struct conf_sasl *sasl = rules_sasl(rules, service);
	unsigned int offers = 0;

	for (int i = 0; sasl != NULL && i < (int)SASL_MECHANISM_COUNT; i++) {
		enum sasl_mechanism mechanism = (enum sasl_mechanism)i;

		if (attempt_would_count(rules, mechanism) &&
		    is_served(gate, rules, sasl, mechanism))
			offers |= SASL_BIT(mechanism);
	}
	gate_rules_unref(gate, rules);
	return offers;
}

bool
auth_offers_are_known(struct gate *gate)
{
	struct rules *rules = gate_rules_ref(gate);
	unsigned int wanted = 0;
	bool known;

	for (size_t i = 0; i < rules->conf->sasl_count; i++)
		wanted |= rules->conf->sasls[i].pass_through;
	known = wanted == 0 || rules_engine(rules) == NULL ||
	    rules_wait_ready(rules, 0);
	gate_rules_unref(gate, rules);
	return known;
}

void
auth_set_engine(struct gate *gate, const struct auth_engine *engine)
{
	gate_set_auth_engine(gate, engine);
}
