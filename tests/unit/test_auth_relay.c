/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exchanges that are carried from the gate to IMAP: how they go, who ends them,
 * and what an end is worth that comes when it likes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "gate/auth.h"
#include "tests/lib/try.h"

static const char token[] = "n,a=alice@example.org,\x01"
			    "auth=Bearer abc\x01\x01";

static void
a_relayed_exchange_goes_both_ways(void **state)
{
	struct try_outcome outcome;
	struct auth_relay *relay;

	(void)state;
	try_open(try_site);
	relay = try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	assert_int_equal(outcome.ends, 0);
	assert_string_equal(try_imap.relay.login, "alice@example.org");
	assert_string_equal(try_imap.relay.message, "biwsbj1hbGljZSxyPWFiYw==");
	try_imap.relay.event(try_imap.relay.arg, "cj1hYmM=", NULL);
	assert_string_equal(outcome.challenge, "cj1hYmM=");
	auth_relay_respond(relay, "c=biws", 6);
	assert_string_equal(try_imap.relay.message, "Yz1iaXdz");
	auth_relay_respond(relay, "", 0);
	assert_string_equal(try_imap.relay.message, "");
	try_imap_ends(IDENTITY_VERIFIED);
	assert_int_equal(outcome.ends, 1);
	try_expect("SCRAM", &outcome.answer, VERDICT_PERMIT,
	    REASON_AUTHENTICATED);
	assert_string_equal(outcome.answer.login.text, "alice@example.org");
	try_expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	try_expect_logged("mech=SCRAM-SHA-256 login=alice@example.org "
			  "identity=verified",
	    1);

	relay = try_relay(&try_cram, NULL, &outcome);
	assert_string_equal(try_imap.relay.login, "");
	assert_string_equal(try_imap.relay.message, "(none)");
	try_imap.relay.event(try_imap.relay.arg, "PDE+", NULL);
	auth_relay_respond(relay, "bob 0123456789abcdef0123456789abcdef", 36);
	assert_string_equal(try_imap.relay.login, "bob@example.org");
	try_imap_ends(IDENTITY_VERIFIED);
	try_expect("CRAM", &outcome.answer, VERDICT_PERMIT,
	    REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	assert_int_equal(try_imap.begun, 2);
	try_close();
}

static void
what_cannot_be_carried_ends_at_once(void **state)
{
	static const struct try in_clear = { .mechanism = SASL_SCRAM_SHA_256,
		.in_clear = true };
	static const struct try clear_token = { .mechanism = SASL_OAUTHBEARER,
		.in_clear = true,
		.from = "10.1.2.3" };
	static const struct try unlisted = { .mechanism = SASL_SCRAM_SHA_1 };
	static const struct try plain = { .mechanism = SASL_PLAIN };
	static const struct try elsewhere = { .mechanism = SASL_SCRAM_SHA_256,
		.service = "lan" };
	static const struct {
		const char *what;
		const struct try *try;
		const char *message;
		enum reason reason;
	} rows[] = {
		{ "in clear", &in_clear, "n,,n=alice,r=abc",
		    REASON_LOGIN_WITHOUT_TLS },
		{ "a token in clear", &clear_token, token,
		    REASON_LOGIN_WITHOUT_TLS },
		{ "not listed", &unlisted, "n,,n=alice,r=abc",
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "not listed there", &elsewhere, "n,,n=alice,r=abc",
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "PLAIN", &plain, "x", REASON_MECHANISM_NOT_ACCEPTED },
		{ "no message", &try_scram, NULL, REASON_IDENTITY_REFUSED },
		{ "nobody", &try_scram, "n,,n=,r=abc",
		    REASON_IDENTITY_REFUSED },
		{ "another's name", &try_scram, "n,a=bob,n=alice,r=abc",
		    REASON_IDENTITY_REFUSED },
		{ "channel binding", &try_scram, "p=tls-unique,,n=alice,r=abc",
		    REASON_IDENTITY_REFUSED },
		{ "a message too early", &try_cram, "alice 00",
		    REASON_IDENTITY_REFUSED },
		{ "no identity", &try_bearer,
		    "n,,\x01"
		    "auth=Bearer x\x01\x01",
		    REASON_IDENTITY_REFUSED },
	};
	struct try_outcome outcome;
	struct auth_relay *relay;

	(void)state;
	try_open(try_site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		relay = try_relay(rows[i].try, rows[i].message, &outcome);
		assert_int_equal(outcome.ends, 1);
		try_expect(rows[i].what, &outcome.answer, VERDICT_REJECT,
		    rows[i].reason);
		/* whoever has not heard yet does no harm */
		auth_relay_respond(relay, "x", 1);
		auth_relay_cancel(relay);
		assert_int_equal(outcome.ends, 1);
	}
	assert_int_equal(try_imap.begun, 0);
	try_imap.no_relay = true;
	(void)try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	try_expect("nobody to carry it", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	/* internal clients may be challenged in clear */
	try_imap.no_relay = false;
	(void)try_relay(&(struct try){ .mechanism = SASL_SCRAM_SHA_256,
			    .in_clear = true,
			    .from = "10.1.2.3" },
	    "n,,n=alice,r=abc", &outcome);
	try_imap_ends(IDENTITY_UNKNOWN);
	try_expect("unknown", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	try_close();
}

static void
what_this_host_refuses_in_mid_exchange_is_refused(void **state)
{
	static const char *const rows[] = { "alice", "", " 00",
		"a\x01lice 00112233445566778899aabbccddeeff" };
	struct try_outcome outcome;
	struct auth_relay *relay;

	(void)state;
	try_open(try_site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		relay = try_relay(&try_cram, NULL, &outcome);
		try_imap.relay.event(try_imap.relay.arg, "PDE+", NULL);
		auth_relay_respond(relay, rows[i], strlen(rows[i]));
		assert_int_equal(try_imap.cancelled, i + 1);
		assert_string_equal(try_imap.relay.message, "(none)");
		/* even when IMAP could not care less */
		try_imap_ends(
		    i % 2 == 0 ? IDENTITY_UNKNOWN : IDENTITY_VERIFIED);
		try_expect(rows[i], &outcome.answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	/* a second answer would be another login's */
	relay = try_relay(&try_cram, NULL, &outcome);
	auth_relay_respond(relay, "bob 0123456789abcdef0123456789abcdef", 36);
	auth_relay_respond(relay, "amy 0123456789abcdef0123456789abcdef", 36);
	try_imap_ends(IDENTITY_VERIFIED);
	try_expect("twice", &outcome.answer, VERDICT_REJECT,
	    REASON_IDENTITY_REFUSED);
	/* a yes to nobody is no yes */
	(void)try_relay(&try_cram, NULL, &outcome);
	try_imap_ends(IDENTITY_VERIFIED);
	try_expect("whose?", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	try_close();
}

static void
a_client_that_gives_up_is_not_a_decision(void **state)
{
	struct try_outcome outcome;
	struct auth_relay *relay;

	(void)state;
	try_open(try_site);
	relay = try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	auth_relay_cancel(relay);
	auth_relay_cancel(relay);
	auth_relay_respond(relay, "x", 1);
	assert_int_equal(try_imap.cancelled, 1);
	try_imap_ends(IDENTITY_UNKNOWN);
	assert_int_equal(outcome.ends, 1);
	assert_int_equal(outcome.answer.verdict, VERDICT_TEMPFAIL);
	try_expect_logged("stage=auth", 0);
	try_close();
}

/* What cannot be compared counts each time; a token can be. */
static void
failed_exchanges_are_guesses(void **state)
{
	struct try_outcome outcome;

	(void)state;
	try_open(try_site);
	for (unsigned int i = 0; i < 50; i++) {
		(void)try_relay(&try_bearer, token, &outcome);
		try_imap_ends(IDENTITY_REFUSED);
		try_expect("one token", &outcome.answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	for (unsigned int i = 0; i < 30; i++) {
		(void)try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
		if (outcome.ends == 0)
			try_imap_ends(IDENTITY_REFUSED);
		try_expect("SCRAM", &outcome.answer, VERDICT_REJECT,
		    i < 19 ? REASON_IDENTITY_REFUSED : REASON_GUESSING);
	}
	assert_int_equal(try_imap.begun, 50 + 19);
	try_expect_mail("203.0.113.9", NULL, REASON_GUESSING);
	/* CRAM-MD5 tells its login late; then it is refused all the same */
	{
		struct auth_relay *relay = try_relay(&try_cram, NULL, &outcome);

		assert_int_equal(outcome.ends, 0);
		auth_relay_respond(relay,
		    "bob 00112233445566778899aabbccddeeff", 36);
		assert_string_equal(try_imap.relay.message, "(none)");
		try_imap_ends(IDENTITY_UNKNOWN);
		try_expect("CRAM-MD5", &outcome.answer, VERDICT_REJECT,
		    REASON_GUESSING);
	}
	try_close();
}

/* The server's last word shows whether a proof was right: it is not asked for
 * once there were too many. */
static void
a_proof_that_comes_late_is_not_carried(void **state)
{
	struct try_outcome outcome;
	struct auth_relay *relay;
	char password[32];

	(void)state;
	try_open(try_site);
	relay = try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	try_imap.relay.event(try_imap.relay.arg, "cj1hYmM=", NULL);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_password(&(struct try){ .password = password });
	}
	try_imap.relay.message[0] = '\0';
	auth_relay_respond(relay, "c=biws", 6);
	assert_string_equal(try_imap.relay.message, "");
	try_imap_ends(IDENTITY_UNKNOWN);
	try_expect("too late", &outcome.answer, VERDICT_REJECT,
	    REASON_GUESSING);
	try_close();
}

/* Who tries them all at once must not win by it: what is right comes too late
 * when enough have been wrong meanwhile. */
static void
guessing_in_parallel_gains_nothing(void **state)
{
	struct try_outcome outcome;
	char password[32];

	(void)state;
	try_open(try_site);
	(void)try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_password(&(struct try){ .password = password });
	}
	assert_int_equal(outcome.ends, 0);
	try_imap_ends(IDENTITY_VERIFIED);
	try_expect("right, too late", &outcome.answer, VERDICT_REJECT,
	    REASON_GUESSING);
	try_expect_mail("192.0.2.1", "alice", REASON_SESSION_UNPROVEN);
	try_expect_mail("203.0.113.9", "alice", REASON_GUESSING);
	try_close();
}

/* --- an end that comes when it likes --- */

/* What a door has to hold: a lock that the end passes. */
static struct {
	pthread_mutex_t lock;
	pthread_t thread;
	identity_relay_event *event;
	void *arg;
	unsigned int heard;
	bool ended;
} hasty = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
end_at_once(void *arg)
{
	struct identity_verdict verdict = { .identity = IDENTITY_VERIFIED };

	(void)arg;
	hasty.event(hasty.arg, "cj1hYmM=", NULL);
	hasty.event(hasty.arg, NULL, &verdict);
	return NULL;
}

static struct identity_relay *
hasty_begin(struct identity_engine *unused, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)unused;
	(void)mechanism;
	(void)login;
	(void)initial;
	(void)client;
	hasty.event = event;
	hasty.arg = arg;
	assert_int_equal(pthread_create(&hasty.thread, NULL, end_at_once, NULL),
	    0);
	return (struct identity_relay *)&hasty;
}

static void
hasty_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	(void)login;
	(void)response;
	assert_ptr_equal(relay, &hasty);
}

static void
hasty_cancel(struct identity_relay *relay)
{
	assert_ptr_equal(relay, &hasty);
}

static void
hear_hastily(void *arg, const char *challenge, const struct auth_answer *answer)
{
	(void)arg;
	(void)challenge;
	(void)pthread_mutex_lock(&hasty.lock);
	hasty.heard++;
	hasty.ended = answer != NULL;
	(void)pthread_mutex_unlock(&hasty.lock);
}

static void
an_exchange_may_end_at_any_moment(void **state)
{
	static const struct auth_engine in_haste = {
		.begin = hasty_begin,
		.respond = hasty_respond,
		.cancel = hasty_cancel,
	};

	(void)state;
	try_open(try_site);
	auth_set_engine(try_gate, &in_haste);
	for (unsigned int i = 0; i < 300; i++) {
		struct netaddr addr;
		struct auth_client client = try_client(&try_scram, &addr);
		struct auth_relay *relay;

		hasty.heard = 0;
		hasty.ended = false;
		relay = auth_relay_begin(try_gate, &client, "n,,n=alice,r=abc",
		    16, hear_hastily, NULL);
		assert_non_null(relay);
		(void)pthread_mutex_lock(&hasty.lock);
		if (!hasty.ended && i % 3 == 0)
			auth_relay_cancel(relay);
		else if (!hasty.ended)
			auth_relay_respond(relay, "c=biws", 6);
		(void)pthread_mutex_unlock(&hasty.lock);
		(void)pthread_join(hasty.thread, NULL);
		assert_int_equal(hasty.heard, 2);
		assert_true(hasty.ended);
	}
	try_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_relayed_exchange_goes_both_ways),
		cmocka_unit_test(what_cannot_be_carried_ends_at_once),
		cmocka_unit_test(
		    what_this_host_refuses_in_mid_exchange_is_refused),
		cmocka_unit_test(a_client_that_gives_up_is_not_a_decision),
		cmocka_unit_test(failed_exchanges_are_guesses),
		cmocka_unit_test(a_proof_that_comes_late_is_not_carried),
		cmocka_unit_test(guessing_in_parallel_gains_nothing),
		cmocka_unit_test(an_exchange_may_end_at_any_moment),
	};
	int failed;

	try_divert();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	try_restore();
	return failed;
}
