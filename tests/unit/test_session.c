/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate without a door: what a session remembers, forgets, asks and answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gate/session.h"
#include "tests/lib/house.h"

static const char site[] =
    "internal = {\"10.0.0.0/8\", \"!10.0.0.1\"}\n"
    "local_domains = {\"example.org\"}\n"
    "listener \"smtp\" { role = \"mx\" }\n"
    "auth { realm = \"example.org\" mechanisms = {\"PLAIN\"} }\n"
    "senders { check = \"envelope\" own = {\"%u@%d\"} }\n"
    "imap \"main\" { url = \"imaps://imap.example.org\" }\n";

/* Who presents a login has TLS, and nobody else has. */
static enum reason
mail(struct session *session, const char *path, const char *login)
{
	struct mail_event event = house_event(path, login);

	if (login == NULL)
		event.tls_version = event.cipher = event.cipher_bits = NULL;
	return house_mail_event(session, &event);
}

static enum reason
rcpt_as(struct session *session, const char *path, const char *resolved,
    const char *host)
{
	struct rcpt_event event = {
		.path = path,
		.path_len = strlen(path),
		.resolved = resolved,
		.resolved_host = host,
	};
	struct answer answer;

	session_rcpt(session, &event, &answer);
	return answer.decision.reason;
}

static enum verdict
message(struct session *session)
{
	struct answer answer;

	session_message(session, "Q1", &answer);
	return answer.verdict;
}

static void
a_login_is_asked_about_once_per_mail(void **state)
{
	struct house house;
	struct session *s;

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "203.0.113.9", "submission");
	assert_int_equal(mail(s, "<alice@example.org>", "alice"),
	    REASON_AUTHENTICATED);
	assert_string_equal(house.login, "alice@example.org");
	assert_int_equal(house_rcpt(s, "<a@b.example>"), REASON_AUTHENTICATED);
	assert_int_equal(house_rcpt(s, "<c@d.example>"), REASON_AUTHENTICATED);
	assert_int_equal(house.asked, 1);
	assert_int_equal(message(s), VERDICT_PERMIT);
	session_free(&s);
	house_close(&house);
}

static void
nothing_of_a_mail_outlives_it(void **state)
{
	struct house house;
	struct session *s;

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "203.0.113.9", "submission");
	assert_int_equal(mail(s, "<alice@example.org>", "alice"),
	    REASON_AUTHENTICATED);
	session_reset(s);
	assert_int_equal(house_rcpt(s, "<a@b.example>"), REASON_INTERNAL_ERROR);
	assert_int_equal(message(s), VERDICT_TEMPFAIL);
	assert_int_equal(mail(s, "<alice@example.org>", NULL),
	    REASON_EXTERNAL_WITHOUT_TLS);
	assert_int_equal(house_rcpt(s, "<a@b.example>"),
	    REASON_EXTERNAL_WITHOUT_TLS);
	assert_int_equal(message(s), VERDICT_TEMPFAIL);
	/* the account was shut between two mails */
	house.answer = IDENTITY_DISABLED;
	assert_int_equal(mail(s, "<alice@example.org>", "alice"),
	    REASON_IDENTITY_DISABLED);
	session_free(&s);
	house_close(&house);
}

static void
a_message_without_recipients_does_not_pass(void **state)
{
	struct house house;
	struct session *s;

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "10.1.2.3", "submission");
	assert_int_equal(mail(s, "<alice@example.org>", NULL),
	    REASON_INTERNAL_NETWORK);
	assert_int_equal(house_rcpt(s, "<u%v@example.org>"),
	    REASON_RECIPIENT_ROUTED);
	assert_int_equal(message(s), VERDICT_TEMPFAIL);
	session_free(&s);
	house_close(&house);
}

static void
a_guest_of_the_mx_reaches_local_domains_as_typed_and_as_resolved(void **state)
{
	static const struct {
		const char *path;
		const char *resolved;
		const char *host;
		enum reason reason;
	} rows[] = {
		{ "<bob@example.org>", NULL, NULL, REASON_LOCAL_RECIPIENT },
		{ "<bob@EXAMPLE.org>", "bob@example.org", "example.org",
		    REASON_LOCAL_RECIPIENT },
		/* sendmail names local users without a domain */
		{ "<bob@example.org>", "bob", NULL, REASON_LOCAL_RECIPIENT },
		{ "<bob@example.org>", "bob", "a.uucp.", REASON_RELAY_DENIED },
		{ "<bob@example.org>", "bob@remote.example", "remote.example",
		    REASON_RELAY_DENIED },
		/* what nobody can read, nobody can judge */
		{ "<bob@example.org>", "not an address@", "",
		    REASON_INTERNAL_ERROR },
		{ "<bob@example.org>", "@a.example:b@example.org", "",
		    REASON_INTERNAL_ERROR },
		{ "<bob@remote.example>", "bob@example.org", "example.org",
		    REASON_RELAY_DENIED },
		{ "<bob@example.org>", "a%b@example.org", "example.org",
		    REASON_RECIPIENT_ROUTED },
		{ "<Postmaster>", "postmaster@mail.example", "mail.example",
		    REASON_LOCAL_RECIPIENT },
	};
	struct house house;
	struct session *s;

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "10.1.2.3", "submission");
	assert_int_equal(mail(s, "<x@example.org>", NULL),
	    REASON_INTERNAL_NETWORK);
	assert_int_equal(rcpt_as(s, "<c@d.example>", "u@evil.example@d.example",
			     "d.example"),
	    REASON_INTERNAL_ERROR);
	session_free(&s);
	s = house_client(&house, "203.0.113.9", "smtp");
	assert_int_equal(mail(s, "<x@remote.example>", NULL),
	    REASON_LOCAL_RECIPIENT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum reason got =
		    rcpt_as(s, rows[i].path, rows[i].resolved, rows[i].host);

		if (got != rows[i].reason)
			fail_msg("row %zu %s: got %s, want %s", i, rows[i].path,
			    reason_row(got)->name,
			    reason_row(rows[i].reason)->name);
	}
	session_free(&s);
	house_close(&house);
}

/* An MTA that rewrites "a%b@c" would send as a@b. */
static void
the_resolved_sender_must_be_owned_too(void **state)
{
	struct house house;
	struct session *s;
	struct mail_event event = house_event("<alice@example.org>", "alice");
	static const struct {
		const char *resolved;
		enum reason reason;
	} rows[] = {
		{ NULL, REASON_AUTHENTICATED },
		{ "alice@example.org", REASON_AUTHENTICATED },
		{ "alice", REASON_AUTHENTICATED },
		{ "boss@example.org", REASON_SENDER_NOT_OWNED },
		{ "x@@y", REASON_SENDER_NOT_OWNED },
	};

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "203.0.113.9", "submission");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		event.resolved = rows[i].resolved;
		EXPECT(house_mail_event(s, &event), rows[i].reason);
	}
	session_free(&s);
	house_close(&house);
}

static void
an_address_that_is_none_is_external(void **state)
{
	struct house house;
	struct session *s;

	(void)state;
	house_open(&house, site);
	s = house_client(&house, "/run/socket", "submission");
	assert_int_equal(mail(s, "<alice@example.org>", NULL),
	    REASON_EXTERNAL_WITHOUT_TLS);
	session_free(&s);
	s = house_client(&house, "10.0.0.1", "submission");
	assert_int_equal(mail(s, "<alice@example.org>", NULL),
	    REASON_EXTERNAL_WITHOUT_TLS);
	session_free(&s);
	house_close(&house);
}

static void
observe_passes_everything_and_keeps_the_verdict(void **state)
{
	struct mail_event event = { .path = "<a@b.example>", .path_len = 13 };
	struct rcpt_event rcpt_event = { .path = "<x", .path_len = 2 };
	struct answer answer;
	struct house house;
	struct session *s;
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text), "mode = \"observe\"\n%s", site);
	house_open(&house, text);
	s = house_client(&house, "203.0.113.9", "submission");
	session_mail(s, &event, &answer);
	assert_int_equal(answer.verdict, VERDICT_PERMIT);
	assert_int_equal(answer.decision.reason, REASON_EXTERNAL_WITHOUT_TLS);
	session_rcpt(s, &rcpt_event, &answer);
	assert_int_equal(answer.verdict, VERDICT_PERMIT);
	session_message(s, "Q", &answer);
	assert_int_equal(answer.verdict, VERDICT_PERMIT);
	assert_int_equal(answer.decision.reason, REASON_EXTERNAL_WITHOUT_TLS);
	session_free(&s);
	house_close(&house);
}

static void
decision_ids_do_not_repeat(void **state)
{
	char ids[2000][DECISION_ID_LEN + 1];
	struct house house;

	(void)state;
	house_open(&house, site);
	for (size_t i = 0; i < 2000; i++) {
		gate_decision_id(house.gate, ids[i]);
		assert_int_equal(strlen(ids[i]), DECISION_ID_LEN);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
	house_close(&house);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_login_is_asked_about_once_per_mail),
		cmocka_unit_test(nothing_of_a_mail_outlives_it),
		cmocka_unit_test(a_message_without_recipients_does_not_pass),
		cmocka_unit_test(
		    a_guest_of_the_mx_reaches_local_domains_as_typed_and_as_resolved),
		cmocka_unit_test(the_resolved_sender_must_be_owned_too),
		cmocka_unit_test(an_address_that_is_none_is_external),
		cmocka_unit_test(
		    observe_passes_everything_and_keeps_the_verdict),
		cmocka_unit_test(decision_ids_do_not_repeat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
