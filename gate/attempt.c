/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every login attempt goes through, whether it brings a password or a
 * challenge is carried: may it begin, may its login be asked about, what
 * follows from the answer. Refusals look alike from outside, the answer's
 * moment included; only the log says what was wrong. No secret is kept here.
 */
#include "gate/attempt.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "gate/record.h"
#include "policy/classify.h"

void
attempt_begin(struct attempt *attempt, struct gate *gate,
    const struct auth_client *client)
{
	memset(attempt, 0, sizeof(*attempt));
	attempt->begun_us = gate_clock_us();
	attempt->gate = gate;
	attempt->rules = gate_rules_ref(gate);
	attempt->sasl = rules_sasl(attempt->rules, client->service);
	attempt->mechanism = client->mechanism;
	attempt->addr = *client->addr;
	attempt->secured = client->secured;
	(void)snprintf(attempt->service, sizeof(attempt->service), "%s",
	    client->service);
	classify_client(&attempt->rules->conf->policy, client->addr, NULL,
	    &attempt->facts);
}

/*
 * Clear text is for the house alone: a challenge tells an eavesdropper little,
 * a password or a token everything, and then the section must allow it.
 */
static bool
may_be_in_clear(const struct attempt *attempt)
{
	if (attempt->facts.zone != ZONE_INTERNAL)
		return false;
	switch (attempt->mechanism) {
	case SASL_CRAM_MD5:
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_256:
		return true;
	case SASL_PLAIN:
	case SASL_LOGIN:
	case SASL_OAUTHBEARER:
	case SASL_XOAUTH2:
		return attempt->sasl->plaintext_internal;
	case SASL_NONE:
	case SASL_MECHANISM_COUNT:
		break;
	}
	return false;
}

bool
attempt_would_count(const struct rules *rules, enum sasl_mechanism mechanism)
{
	struct facts facts = { .login = LOGIN_ABSENT };
	struct login nobody;

	classify_login(&rules->conf->policy, sasl_name(mechanism), NULL, 0,
	    &nobody, &facts);
	return facts.login == LOGIN_MALFORMED; /* for want of a name alone */
}

/* saslauthd is not told which mechanism it is: there MAIL is the first to know.
 */
static bool
may_count(const struct attempt *attempt)
{
	return attempt->sasl->protocol == SASL_PROTOCOL_SASLAUTHD ||
	    attempt_would_count(attempt->rules, attempt->mechanism);
}

bool
attempt_may_begin(const struct attempt *attempt, bool offered,
    enum reason *reason_r)
{
	if (attempt->sasl == NULL) {
		*reason_r = REASON_INTERNAL_ERROR;
		return false;
	}
	if (!offered || !may_count(attempt)) {
		*reason_r = REASON_MECHANISM_NOT_ACCEPTED;
		return false;
	}
	/* saslauthd is told nothing of TLS: there the MTA has to see to it */
	if (attempt->sasl->protocol == SASL_PROTOCOL_DOVECOT &&
	    !attempt->secured && !may_be_in_clear(attempt)) {
		*reason_r = REASON_LOGIN_WITHOUT_TLS;
		return false;
	}
	return true;
}

bool
attempt_is_over_limit(const struct attempt *attempt)
{
	return guess_over(gate_guess(attempt->gate),
		   &attempt->rules->conf->guessing, &attempt->addr,
		   &attempt->login, &attempt->account,
		   gate_clock_us() / 1000) != GUESS_WITHIN;
}

bool
attempt_take_login(struct attempt *attempt, const char *authcid,
    size_t authcid_len, const char *authzid, size_t authzid_len,
    enum reason *reason_r)
{
	const struct conf *conf = attempt->rules->conf;

	if (sasl_login(authcid, authcid_len, authzid, authzid_len,
		conf->policy.realm, &attempt->login) != 0) {
		memset(&attempt->login, 0, sizeof(attempt->login));
		*reason_r = REASON_IDENTITY_REFUSED;
		return false;
	}
	rules_account(attempt->rules, &attempt->login, &attempt->account);
	if (attempt_is_over_limit(attempt)) {
		*reason_r = REASON_GUESSING;
		return false;
	}
	return true;
}

/* "10m" for 600000. */
static void
format_duration(uint64_t ms, char text_r[32])
{
	static const struct {
		uint64_t ms;
		char unit;
	} units[] = {
		{ 86400000, 'd' },
		{ 3600000, 'h' },
		{ 60000, 'm' },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms >= units[i].ms && ms % units[i].ms == 0) {
			(void)snprintf(text_r, 32, "%ju%c",
			    (uintmax_t)(ms / units[i].ms), units[i].unit);
			return;
		}
	}
	(void)snprintf(text_r, 32, "%jus", (uintmax_t)(ms / 1000));
}

/* A login is a stranger's text: in the log's text format nothing of it may look
 * like another value. */
static void
format_login(const struct login *login, char text_r[LOGIN_MAX + 1])
{
	size_t i;

	for (i = 0; login->text[i] != '\0'; i++) {
		char c = login->text[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\')
			c = '?';
		text_r[i] = c;
	}
	text_r[i] = '\0';
}

/* Who has reached which limit, for somebody who looks at the log. */
static void
report_limit(const struct attempt *attempt, enum guess_limit limit)
{
	const struct conf_guessing *limits = &attempt->rules->conf->guessing;
	/* not the place of those whose address is not known */
	static const struct netaddr everybody = { .family = NETADDR_NONE,
		.octets = { 1 } };
	const struct conf_rate *rate = &limits->per_login;
	char who[LOGIN_MAX + NETADDR_TEXT_MAX], window[32];
	struct log *log = gate_log(attempt->gate);
	unsigned int left_out;

	switch (limit) {
	case GUESS_WITHIN:
		return;
	case GUESS_PER_ADDRESS:
		netaddr_format(&attempt->addr, who);
		rate = &limits->per_address;
		break;
	case GUESS_PER_NETWORK:
		guess_network(&attempt->addr, who);
		rate = &limits->per_network;
		break;
	case GUESS_PER_LOGIN:
		format_login(&attempt->login, who);
		break;
	}
	if (log == NULL ||
	    !repeats_allow(gate_repeats(attempt->gate), &everybody,
		REASON_GUESSING, gate_clock_us() / 1000, &left_out))
		return;
	format_duration(rate->window_ms, window);
	log_event(log, LOG_LEVEL_ALARM,
	    "guessing: %s reached %s %u/%s, further logins are refused unasked",
	    who, guess_limit_name(limit), rate->count, window);
}

static void
write_record(const struct attempt *attempt, enum verdict verdict,
    enum reason reason, const struct identity_verdict *asked)
{
	char client[NETADDR_TEXT_MAX], id[DECISION_ID_LEN + 1];
	struct log *log = gate_log(attempt->gate);
	uint64_t now_us = gate_clock_us();
	struct record r = {
		.id = id,
		.client = client,
		.zone = attempt->facts.zone == ZONE_INTERNAL ? "internal"
							     : "external",
		.listener = attempt->service,
		.tls = attempt->secured ? "yes" : NULL,
		.mechanism = sasl_name(attempt->mechanism),
		.login = attempt->login.text,
		.stage = "auth",
		.verdict = verdict_name(verdict),
		.reason = reason_row(reason)->name,
		.ms = (double)(now_us - attempt->begun_us) / 1000,
	};
	char line[RECORD_MAX];

	if (log == NULL || attempt->unheard)
		return;
	if (verdict != VERDICT_PERMIT &&
	    !repeats_allow(gate_repeats(attempt->gate), &attempt->addr, reason,
		now_us / 1000, &r.repeated))
		return;
	netaddr_format(&attempt->addr, client);
	gate_decision_id(attempt->gate, id);
	if (asked != NULL) {
		r.identity = identity_name(asked->identity);
		r.graced = asked->graced;
	}
	record_format(log_format(log), &r, line);
	log_line(log, LOG_LEVEL_INFO, line);
}

/* When a refusal is answered must not say what was wrong: it counts from the
 * attempt's beginning. */
static uint64_t
delay_left(const struct attempt *attempt)
{
	uint64_t delay_ms = attempt->rules->conf->guessing.delay_ms;
	uint64_t spent_ms = (gate_clock_us() - attempt->begun_us) / 1000;

	if (delay_ms > IDENTITY_ATTEMPT_MS)
		delay_ms = IDENTITY_ATTEMPT_MS;
	return spent_ms < delay_ms ? delay_ms - spent_ms : 0;
}

static void
finish(struct attempt *attempt, enum verdict verdict, enum reason reason,
    const struct identity_verdict *asked, struct auth_answer *answer_r)
{
	memset(answer_r, 0, sizeof(*answer_r));
	write_record(attempt, verdict, reason, asked);
	answer_r->verdict = verdict;
	answer_r->reason = reason;
	if (verdict == VERDICT_PERMIT)
		answer_r->login = attempt->login;
	if (verdict == VERDICT_REJECT)
		answer_r->delay_ms = delay_left(attempt);
	gate_rules_unref(attempt->gate, attempt->rules);
	attempt->rules = NULL;
}

void
attempt_refuse(struct attempt *attempt, enum reason reason,
    struct auth_answer *answer_r)
{
	bool ours = reason == REASON_INTERNAL_ERROR ||
	    reason == REASON_IDENTITY_UNDECIDED;

	finish(attempt, ours ? VERDICT_TEMPFAIL : VERDICT_REJECT, reason, NULL,
	    answer_r);
}

/* What the login is worth at MAIL from now on. A login that no proof can be
 * kept of passes here all the same: MAIL asks for itself. */
static void
prove(const struct attempt *attempt)
{
	struct store *store = gate_store(attempt->gate);
	const struct netaddr *from = &attempt->addr;

	switch (attempt->sasl->proof) {
	case SASL_PROOF_ADDRESS:
		if (from->family == NETADDR_NONE)
			return; /* the protocol does not say where from */
		break;
	case SASL_PROOF_LOGIN:
		from = NULL;
		break;
	}
	if (store != NULL)
		(void)store_proof_put(store, &attempt->login, from,
		    gate_wall_ms());
}

static void
count_failure(struct attempt *attempt)
{
	const struct conf_guessing *limits = &attempt->rules->conf->guessing;

	/* what cannot be compared is another password every time */
	if (!attempt->tagged &&
	    getrandom(attempt->tag, sizeof(attempt->tag), 0) !=
		(ssize_t)sizeof(attempt->tag))
		return;
	report_limit(attempt,
	    guess_failed(gate_guess(attempt->gate), limits, &attempt->addr,
		&attempt->login, &attempt->account, attempt->tag,
		gate_clock_us() / 1000));
}

/* A new one ends the containment of an account whose password was stolen.
 * Tokens are new all the time: they say nothing. */
static void
note_password(const struct attempt *attempt)
{
	struct login payer;

	if (attempt->mechanism != SASL_PLAIN &&
	    attempt->mechanism != SASL_LOGIN)
		return;
	limits_payer(attempt->rules, &attempt->login, &payer);
	contain_password(limits_contain(gate_limits(attempt->gate)),
	    attempt->rules->conf, gate_store(attempt->gate), &payer,
	    &attempt->login, attempt->tag, gate_now_ms(attempt->gate));
}

void
attempt_conclude(struct attempt *attempt,
    const struct identity_verdict *verdict, struct auth_answer *answer_r)
{
	enum verdict result = VERDICT_TEMPFAIL;
	enum reason reason = REASON_IDENTITY_UNDECIDED;
	bool known = *attempt->login.text != '\0';

	if (verdict->declined) {
		attempt_refuse(attempt, REASON_GUESSING, answer_r);
		return;
	}
	switch (verdict->identity) {
	case IDENTITY_VERIFIED:
		if (!known)
			break; /* whoever that was */
		if (attempt_is_over_limit(attempt)) {
			/* it was among many at once, most of them wrong */
			result = VERDICT_REJECT;
			reason = REASON_GUESSING;
			break;
		}
		result = VERDICT_PERMIT;
		reason = REASON_AUTHENTICATED;
		prove(attempt);
		guess_succeeded(gate_guess(attempt->gate),
		    &attempt->rules->conf->guessing, &attempt->addr,
		    &attempt->login, gate_clock_us() / 1000);
		if (attempt->tagged && !verdict->graced)
			note_password(attempt);
		break;
	case IDENTITY_REFUSED:
		result = VERDICT_REJECT;
		reason = REASON_IDENTITY_REFUSED;
		break;
	case IDENTITY_DISABLED:
		result = VERDICT_REJECT;
		reason = REASON_IDENTITY_DISABLED;
		if (known)
			gate_forget(attempt->gate, &attempt->login);
		break;
	case IDENTITY_UNPROVEN:
	case IDENTITY_UNKNOWN:
		break;
	}
	if (result == VERDICT_REJECT && reason != REASON_GUESSING && known)
		count_failure(attempt);
	finish(attempt, result, reason, verdict, answer_r);
}

static const struct auth_engine imap = {
	.verify = identity_verify,
	.offers = identity_offers,
	.begin = identity_relay_begin,
	.respond = identity_relay_respond,
	.cancel = identity_relay_cancel,
};

const struct auth_engine *
attempt_engine(const struct gate *gate)
{
	const struct auth_engine *engine = gate_auth_engine(gate);

	return engine != NULL ? engine : &imap;
}
