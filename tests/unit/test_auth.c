/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Login attempts at the gate, with a stand-in for IMAP and a real store: who is
 * asked about, what the answer is worth afterwards, and what the log says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gate/auth.h"
#include "gate/rules.h"
#include "tests/lib/try.h"

static void
a_verified_login_is_proven_from_its_address(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	try_expect_mail("203.0.113.9", "alice", REASON_SESSION_UNPROVEN);
	answer = try_password(&(struct try){ .login = "alice@EXAMPLE.org" });
	try_expect("alice", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	assert_string_equal(answer.login.text, "alice@example.org");
	assert_string_equal(try_imap.login, "alice@example.org");
	assert_string_equal(try_imap.password, "open sesame");
	assert_string_equal(try_imap.client, "203.0.113.9");
	try_expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.10", "alice", REASON_SESSION_UNPROVEN);
	try_expect_mail("203.0.113.9", "bob", REASON_SESSION_UNPROVEN);
	try_expect_logged(
	    "listener=mta tls=yes mech=PLAIN login=alice@example.org "
	    "identity=verified from=- rcpt=- stage=auth "
	    "verdict=permit reason=authenticated reply=-",
	    1);
	/* the answer may come on another thread */
	try_imap.on_thread = true;
	answer =
	    try_password(&(struct try){ .login = "bob", .authzid = "bob" });
	try_expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	try_close();
}

static void
only_a_clear_yes_is_a_yes(void **state)
{
	static const struct {
		enum identity identity;
		enum verdict verdict;
		enum reason reason;
	} rows[] = {
		{ IDENTITY_REFUSED, VERDICT_REJECT, REASON_IDENTITY_REFUSED },
		{ IDENTITY_DISABLED, VERDICT_REJECT, REASON_IDENTITY_DISABLED },
		{ IDENTITY_UNKNOWN, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
		{ IDENTITY_UNPROVEN, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
		{ (enum identity)77, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
	};

	(void)state;
	try_open(try_site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer;

		try_imap.verdict.identity = rows[i].identity;
		answer = try_password(&(struct try){ .login = "alice" });
		try_expect(identity_name(rows[i].identity), &answer,
		    rows[i].verdict, rows[i].reason);
		try_expect_mail("203.0.113.9", "alice",
		    REASON_SESSION_UNPROVEN);
	}
	assert_int_equal(try_imap.asked, 5);
	try_close();
}

/* Whoever tries must not learn what was wrong, and IMAP is not bothered. */
static void
what_is_refused_here_looks_like_any_refusal(void **state)
{
	static const struct {
		const char *what;
		struct try try;
		enum reason reason;
	} rows[] = {
		{ "no login", { .login = "" }, REASON_IDENTITY_REFUSED },
		{ "a control byte", { .login = "al\x01ice" },
		    REASON_IDENTITY_REFUSED },
		{ "another's name", { .authzid = "bob" },
		    REASON_IDENTITY_REFUSED },
		{ "no password", { .password = "" }, REASON_IDENTITY_REFUSED },
		{ "a line feed", { .password = "a\nb" },
		    REASON_IDENTITY_REFUSED },
		{ "in clear", { .in_clear = true }, REASON_LOGIN_WITHOUT_TLS },
		{ "no such mechanism", { .unknown = true },
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "a relayed mechanism", { .mechanism = SASL_CRAM_MD5 },
		    REASON_MECHANISM_NOT_ACCEPTED },
	};
	struct try try = { .from = NULL };
	struct try_outcome outcome = { 0 };
	struct auth_client client;
	struct netaddr addr;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer = try_password(&rows[i].try);

		try_expect(rows[i].what, &answer, VERDICT_REJECT,
		    rows[i].reason);
	}
	client = try_client(&try, &addr);
	auth_malformed(try_gate, &client, try_take_answer, &outcome);
	try_expect("bad base64", &outcome.answer, VERDICT_REJECT,
	    REASON_IDENTITY_REFUSED);
	assert_int_equal(try_imap.asked, 0);
	try_expect_logged("identity=- ", sizeof(rows) / sizeof(rows[0]) + 1);
	try_close();
}

static void
a_section_that_is_gone_cannot_tell(void **state)
{
	struct try try = { .service = "gone" };
	struct try_outcome outcome = { 0 };
	struct auth_answer answer;
	struct auth_client client;
	struct netaddr addr;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	answer = try_password(&try);
	try_expect("password", &answer, VERDICT_TEMPFAIL,
	    REASON_INTERNAL_ERROR);
	client = try_client(&try, &addr);
	auth_malformed(try_gate, &client, try_take_answer, &outcome);
	try_expect("malformed", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_INTERNAL_ERROR);
	assert_int_equal(auth_offers(try_gate, "gone"), 0);
	assert_int_equal(try_imap.asked, 0);
	/* without an engine, too */
	auth_set_engine(try_gate, NULL);
	answer = try_password(&(struct try){ .login = "alice" });
	try_expect("no engine", &answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	assert_int_equal(auth_offers(try_gate, "mta"),
	    SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN));
	try_close();
}

static void
clear_text_is_for_the_house_alone(void **state)
{
	static const struct {
		const char *service;
		const char *from;
		bool in_clear;
		bool passes;
	} rows[] = {
		{ "mta", "203.0.113.9", false, true },
		{ "mta", "203.0.113.9", true, false },
		{ "mta", "10.1.2.3", false, true },
		{ "mta", "10.1.2.3", true, false },
		{ "mta", "-", true, false },
		{ "lan", "10.1.2.3", true, true },
		{ "lan", "203.0.113.9", true, false },
		{ "lan", "-", true, false },
		/* this protocol cannot say whether there is TLS */
		{ "mux", "-", true, true },
	};

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer =
		    try_password(&(struct try){ .service = rows[i].service,
			.from = rows[i].from,
			.in_clear = rows[i].in_clear,
			.mechanism = i % 2 == 0 ? SASL_PLAIN : SASL_LOGIN });
		char what[64];

		(void)snprintf(what, sizeof(what), "row %zu: %s from %s", i,
		    rows[i].service, rows[i].from);
		try_expect(what, &answer,
		    rows[i].passes ? VERDICT_PERMIT : VERDICT_REJECT,
		    rows[i].passes ? REASON_AUTHENTICATED
				   : REASON_LOGIN_WITHOUT_TLS);
	}
	try_close();
}

static void
a_proof_for_the_login_alone_holds_everywhere(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	answer = try_password(&(struct try){ .service = "mux", .from = "-" });
	try_expect("mux", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	try_expect_mail("192.0.2.77", "alice", REASON_AUTHENTICATED);
	/* a protocol with addresses, but this client has none */
	answer = try_password(&(struct try){ .from = "-", .login = "bob" });
	try_expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.9", "bob", REASON_SESSION_UNPROVEN);
	try_close();
}

static void
guesses_are_refused_unasked_and_at_mail(void **state)
{
	struct auth_answer answer;
	char password[32];

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	answer = try_password(&(struct try){ .login = "bob" });
	try_imap.verdict.identity = IDENTITY_REFUSED;
	try_imap.asked = 0;
	for (unsigned int i = 0; i < 50; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		answer = try_password(&(struct try){ .password = password });
		try_expect(password, &answer, VERDICT_REJECT,
		    i < 20 ? REASON_IDENTITY_REFUSED : REASON_GUESSING);
	}
	assert_int_equal(try_imap.asked, 20);
	try_expect_logged("guessing: 203.0.113.9 reached per_address 20/10m",
	    1);
	try_expect_logged("secret", 0);
	try_expect_mail("203.0.113.9", NULL, REASON_GUESSING);
	try_expect_mail("203.0.113.9", "alice", REASON_GUESSING);
	/* bob logged in from here lately */
	try_expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	try_expect_mail("203.0.113.10", NULL, REASON_EXTERNAL_WITHOUT_AUTH);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	answer = try_password(&(struct try){ .login = "bob" });
	try_expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	answer = try_password(&(struct try){ .login = "carol" });
	try_expect("carol", &answer, VERDICT_REJECT, REASON_GUESSING);
	try_close();
}

/* saslauthd's clients have no address, and fill one place together. */
static void
no_flood_drowns_the_alarm(void **state)
{
	char password[32];

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)try_password(&(struct try){ .service = "mux",
		    .from = "-",
		    .password = password });
	}
	try_expect_logged("guessing: alice@main reached per_login 30/1h", 0);
	try_expect_logged("guessing: alice@example.org reached per_login 30/1h",
	    1);
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)try_password(
		    &(struct try){ .login = "bob", .password = password });
	}
	try_expect_logged("guessing: 203.0.113.9 reached per_address 20/10m",
	    1);
	try_close();
}

/* login_as = user: to IMAP they are all alice. */
static void
one_account_has_one_count_however_it_is_spelled(void **state)
{
	char login[32], password[32], from[32];

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 60; i++) {
		(void)snprintf(login, sizeof(login), "%s@d%u.example",
		    i % 2 == 0 ? "alice" : "Alice", i);
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)snprintf(from, sizeof(from), "20.0.%u.1", i);
		(void)try_password(&(struct try){ .login = login,
		    .password = password,
		    .from = from });
	}
	if (try_imap.asked != 30)
		fail_msg("IMAP was asked %u times, want 30", try_imap.asked);
	try_close();
}

static void
a_wrong_password_is_one_however_often(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 200; i++) {
		answer =
		    try_password(&(struct try){ .password = "last year's" });
		try_expect("the phone", &answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	/* what decides nothing counts nothing */
	try_imap.verdict.identity = IDENTITY_UNKNOWN;
	for (unsigned int i = 0; i < 50; i++) {
		char password[32];

		(void)snprintf(password, sizeof(password), "pw%u", i);
		answer = try_password(&(struct try){ .password = password });
		try_expect("undecided", &answer, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED);
	}
	try_expect_mail("203.0.113.9", NULL, REASON_EXTERNAL_WITHOUT_AUTH);
	/* and the log does not fill up */
	gate_tend(try_gate, true);
	try_expect_logged("reason=identity-refused reply=-", 100);
	try_expect_logged("reason=identity-refused repeated=100", 1);
	try_close();
}

/* The house itself may be wrong as often as it likes at MAIL, not at AUTH. */
static void
internal_clients_are_limited_at_auth_only(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		char password[32];

		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_password(
		    &(struct try){ .from = "10.1.2.3", .password = password });
	}
	answer = try_password(&(struct try){ .from = "10.1.2.3" });
	try_expect("at AUTH", &answer, VERDICT_REJECT, REASON_GUESSING);
	try_expect_mail("10.1.2.3", NULL, REASON_INTERNAL_NETWORK);
	try_expect_mail("10.1.2.3", "alice", REASON_INTERNAL_NETWORK);
	try_close();
}

#define CROWD 90

/* So many logins at once, IMAP's answers to which come when all of them wait;
 * the last one is bob's. How many of them IMAP was asked about. */
static unsigned int
crowd(struct try_outcome outcomes[CROWD])
{
	char password[32];

	try_imap.asked = 0;
	try_imap.busy = true;
	for (unsigned int i = 0; i < CROWD; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		try_begin(&(struct try){ .login = i == CROWD - 1 ? "bob" : NULL,
			      .password = password },
		    &outcomes[i]);
	}
	assert_int_equal(try_imap.queued, CROWD);
	try_imap_serves();
	return try_imap.asked;
}

/* No limit had been reached when they began. */
static void
a_burst_meets_the_limit_while_it_waits(void **state)
{
	static const char line[] = "mech=PLAIN login=alice@example.org "
				   "identity=- from=- rcpt=- stage=auth "
				   "verdict=reject reason=guessing reply=-";
	static struct try_outcome outcomes[CROWD];
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	(void)try_password(&(struct try){ .login = "bob" });
	try_imap.verdict.identity = IDENTITY_REFUSED;
	/* bob logged in from here lately */
	assert_int_equal(crowd(outcomes), 20 + 1);
	for (unsigned int i = 0; i < CROWD; i++) {
		char what[32];

		(void)snprintf(what, sizeof(what), "attempt %u", i);
		assert_int_equal(outcomes[i].ends, 1);
		try_expect(what, &outcomes[i].answer, VERDICT_REJECT,
		    i < 20 || i == CROWD - 1 ? REASON_IDENTITY_REFUSED
					     : REASON_GUESSING);
	}
	try_expect_logged(line, CROWD - 21);
	try_expect_logged("guessing: 203.0.113.9 reached per_address 20/10m",
	    1);
	try_close();

	/* which is what one hears who comes when it has been reached */
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 21; i++) {
		char password[32];

		(void)snprintf(password, sizeof(password), "pw%u", i);
		answer = try_password(&(struct try){ .password = password });
	}
	try_expect("later", &answer, VERDICT_REJECT, REASON_GUESSING);
	try_expect_logged(line, 1);
	try_close();
}

/* Behind one NAT, say. */
static void
a_burst_of_right_passwords_passes(void **state)
{
	static struct try_outcome outcomes[CROWD];

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	assert_int_equal(crowd(outcomes), CROWD);
	for (unsigned int i = 0; i < CROWD; i++)
		try_expect("right", &outcomes[i].answer, VERDICT_PERMIT,
		    REASON_AUTHENTICATED);
	try_close();
}

static void
a_disabled_account_loses_its_proofs(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	answer = try_password(&(struct try){ .from = "192.0.2.1" });
	answer =
	    try_password(&(struct try){ .from = "192.0.2.1", .login = "bob" });
	try_expect_mail("192.0.2.1", "alice", REASON_AUTHENTICATED);
	try_imap.verdict.identity = IDENTITY_DISABLED;
	answer = try_password(&(struct try){ .from = "203.0.113.9" });
	try_expect("alice", &answer, VERDICT_REJECT, REASON_IDENTITY_DISABLED);
	gate_tend(try_gate, false);
	try_expect_mail("192.0.2.1", "alice", REASON_SESSION_UNPROVEN);
	try_expect_mail("192.0.2.1", "bob", REASON_AUTHENTICATED);
	try_close();
}

static void
a_graced_password_is_marked(void **state)
{
	struct auth_answer answer;

	(void)state;
	try_open(try_site);
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	try_imap.verdict.graced = true;
	answer = try_password(&(struct try){ .login = "alice" });
	try_expect("alice", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	try_expect_logged(" warning=graced-password", 1);
	try_close();
}

/* Undecided by one source and unheard of by the other is undecided. */
static void
sources_are_asked_in_order(void **state)
{
	static const struct {
		const char *verify;
		enum reason unproven;
		enum reason proven;
	} rows[] = {
		{ "{\"session\"}", REASON_SESSION_UNPROVEN,
		    REASON_AUTHENTICATED },
		{ "{\"session\", \"proxy\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_AUTHENTICATED },
		{ "{\"proxy\", \"session\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_AUTHENTICATED },
		{ "{\"proxy\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_IDENTITY_UNDECIDED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rules_trail trail;
		struct login login = { "x@other.example" };
		struct netaddr addr = { .family = NETADDR_NONE };
		struct rules_question question = { .login = &login,
			.addr = &addr,
			.no_store = true };
		struct rules *rules;
		char text[1024];

		(void)snprintf(text, sizeof(text),
		    "imap \"other\" { url = \"imaps://b.example\" "
		    "domains = {\"other.example\"} verify = %s "
		    "master_separator = \"#\" }\n"
		    "imap \"main\" { url = \"imaps://a.example\" "
		    "verify = {\"session\"} }\n"
		    "sasl \"mta\" { listen = \"unix:/run/p/sasl\" }\n",
		    rows[i].verify);
		try_open(text);
		try_imap.verdict.identity = IDENTITY_VERIFIED;
		try_expect_mail("203.0.113.9", "x@other.example",
		    rows[i].unproven);
		(void)try_password(&(struct try){ .login = "x@other.example" });
		try_expect_mail("203.0.113.9", "x@other.example",
		    rows[i].proven);
		try_expect_mail("203.0.113.9", "x#y@other.example",
		    REASON_IDENTITY_REFUSED);

		rules = gate_rules_ref(try_gate);
		(void)rules_ask(rules, &question, &trail);
		assert_string_equal(trail.imap, "other");
		assert_int_equal(trail.count, i == 1 || i == 2 ? 2 : 1);
		gate_rules_unref(try_gate, rules);
		try_close();
	}
}

static void
offers_are_what_both_sides_have(void **state)
{
	const unsigned int always = SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN);

	(void)state;
	try_open(try_site);
	assert_int_equal(auth_offers(try_gate, "mta"), always);
	try_imap.offers =
	    SASL_BIT(SASL_SCRAM_SHA_1) | SASL_BIT(SASL_SCRAM_SHA_256);
	assert_int_equal(auth_offers(try_gate, "mta"),
	    always | SASL_BIT(SASL_SCRAM_SHA_256));
	assert_int_equal(auth_offers(try_gate, "lan"), always);
	try_close();
}

/* Nor is it worth an attempt. */
static void
what_counts_for_nothing_is_not_offered(void **state)
{
	static const struct {
		const char *what;
		struct try try;
		enum verdict verdict;
		enum reason reason;
	} rows[] = {
		{ "listed", { .mechanism = SASL_LOGIN }, VERDICT_PERMIT,
		    REASON_AUTHENTICATED },
		{ "not listed", { .mechanism = SASL_PLAIN }, VERDICT_REJECT,
		    REASON_MECHANISM_NOT_ACCEPTED },
		/* the protocol does not say what the client used */
		{ "saslauthd", { .service = "mux" }, VERDICT_PERMIT,
		    REASON_AUTHENTICATED },
	};
	struct try_outcome outcome;

	(void)state;
	try_open(TRY_SITE("mechanisms = {\"login\", \"SCRAM-SHA-256\"} "));
	try_imap.verdict.identity = IDENTITY_VERIFIED;
	try_imap.offers = SASL_BIT(SASL_CRAM_MD5) |
	    SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_OAUTHBEARER);
	assert_int_equal(auth_offers(try_gate, "mta"),
	    SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_SCRAM_SHA_256));
	assert_int_equal(auth_offers(try_gate, "lan"), SASL_BIT(SASL_LOGIN));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer = try_password(&rows[i].try);

		try_expect(rows[i].what, &answer, rows[i].verdict,
		    rows[i].reason);
	}
	assert_int_equal(try_imap.asked, 2);
	(void)try_relay(&try_cram, NULL, &outcome);
	try_expect("a relay", &outcome.answer, VERDICT_REJECT,
	    REASON_MECHANISM_NOT_ACCEPTED);
	assert_int_equal(try_imap.begun, 0);
	(void)try_relay(&try_scram, "n,,n=alice,r=abc", &outcome);
	assert_int_equal(try_imap.begun, 1);
	try_imap_ends(IDENTITY_VERIFIED);
	try_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verified_login_is_proven_from_its_address),
		cmocka_unit_test(only_a_clear_yes_is_a_yes),
		cmocka_unit_test(what_is_refused_here_looks_like_any_refusal),
		cmocka_unit_test(a_section_that_is_gone_cannot_tell),
		cmocka_unit_test(clear_text_is_for_the_house_alone),
		cmocka_unit_test(a_proof_for_the_login_alone_holds_everywhere),
		cmocka_unit_test(guesses_are_refused_unasked_and_at_mail),
		cmocka_unit_test(no_flood_drowns_the_alarm),
		cmocka_unit_test(
		    one_account_has_one_count_however_it_is_spelled),
		cmocka_unit_test(a_wrong_password_is_one_however_often),
		cmocka_unit_test(internal_clients_are_limited_at_auth_only),
		cmocka_unit_test(a_burst_meets_the_limit_while_it_waits),
		cmocka_unit_test(a_burst_of_right_passwords_passes),
		cmocka_unit_test(a_disabled_account_loses_its_proofs),
		cmocka_unit_test(a_graced_password_is_marked),
		cmocka_unit_test(sources_are_asked_in_order),
		cmocka_unit_test(offers_are_what_both_sides_have),
		cmocka_unit_test(what_counts_for_nothing_is_not_offered),
	};
	int failed;

	try_divert();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	try_restore();
	return failed;
}
