/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits through the gate, on a clock of the test's own: who sends how much is
 * told by sessions alone, and the counters are in a real store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/house.h"

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct house house;

#define open_house(more) house_open_stored(&house, HOUSE_SITE more)

static enum reason
mail_sized(struct session *session, const char *path, const char *login,
    const char *size)
{
	const char *const args[] = { size, NULL };
	struct mail_event event = house_event(path, login);

	event.args = args;
	return house_mail_event(session, &event);
}

/* --- what people do --- */

static void
a_newsletter_to_colleagues_passes(void **state)
{
	(void)state;
	open_house("");
	assert_int_equal(
	    house_send(&house, "203.0.113.9", 0, 800, "example.org"), 800);
	house.now_ms += 5 * MINUTE;
	/* and one that a client has cut into pieces */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(house_send(&house, "203.0.113.9",
				     1000 + i * 100, 100, "example.org"),
		    100);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	house_close(&house);
}

static void
a_mail_merge_passes(void **state)
{
	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 300; i++) {
		assert_int_equal(
		    house_send(&house, "203.0.113.9", i, 1, "a.example"), 1);
		house.now_ms += 40 * MINUTE / 300;
	}
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	house_close(&house);
}

static void
the_backlog_of_a_laptop_passes(void **state)
{
	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 80; i++)
		assert_int_equal(house_send(&house,
				     i % 2 == 0 ? "203.0.113.9" : "2001:db8::9",
				     i * 3, 3, "a.example"),
		    3);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	house_close(&house);
}

/* --- who is counted --- */

static void
a_null_sender_does_not_escape(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { messages = \"2/1h\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	for (int i = 0; i < 2; i++) {
		EXPECT(house_mail(s, i == 0 ? "<>" : "<alice@example.org>",
			   "alice"),
		    REASON_AUTHENTICATED);
		EXPECT(
		    house_rcpt(s, i == 0 ? "<x@a.example>" : "<y@a.example>"),
		    REASON_AUTHENTICATED);
		EXPECT(house_message(s), REASON_AUTHENTICATED);
	}
	EXPECT(house_mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	EXPECT(house_rcpt(s, "<z@a.example>"), REASON_OVER_LIMIT);
	EXPECT(house_mail(s, "<>", "alice@EXAMPLE.org"), REASON_OVER_LIMIT);
	EXPECT(house_mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	house.now_ms += 30 * MINUTE;
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	house_close(&house);
}

/* IMAP is asked about "alice", whatever the domain, and most servers fold. */
static void
another_spelling_does_not_escape(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { messages = \"2/1h\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<>", "aLiCe@other.example"),
	    REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<y@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<>", "alice@third.example"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

static void
guests_and_doors_that_do_not_count_are_not_counted(void **state)
{
	struct mail_event event = { .path = "<>", .path_len = 2 };
	struct answer answer;
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"zone\" messages = \"1/1h\" }");
	s = house_client(&house, "203.0.113.9", "smtp");
	for (int i = 0; i < 3; i++) {
		EXPECT(house_mail(s, "<x@b.example>", NULL),
		    REASON_LOCAL_RECIPIENT);
		EXPECT(house_rcpt(s, "<bob@example.org>"),
		    REASON_LOCAL_RECIPIENT);
		EXPECT(house_message(s), REASON_LOCAL_RECIPIENT);
	}
	session_free(&s);
	s = house_client(&house, "10.1.2.3", "submission");
	for (int i = 0; i < 3; i++) {
		session_mail(s, &event, &answer);
		EXPECT(answer.decision.reason, REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	}
	/* one counter for the zone */
	EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	session_free(&s);
	s = house_client(&house, "10.1.2.4", "submission");
	EXPECT(house_mail(s, "<>", NULL), REASON_OVER_LIMIT);
	session_free(&s);
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	house_close(&house);
}

static void
internal_addresses_are_counted_each_or_as_their_logins(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"addr\" messages = \"1/1h\" }"
		   "limits \"b\" { messages = \"1/1h\" }");
	s = house_client(&house, "10.1.2.3", "submission");
	EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	EXPECT(house_mail(s, "<>", NULL), REASON_OVER_LIMIT);
	/* webmail there has its users' counters */
	EXPECT(house_mail(s, "<>", "alice"), REASON_INTERNAL_NETWORK);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	EXPECT(house_mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	EXPECT(house_mail(s, "<>", "bob"), REASON_INTERNAL_NETWORK);
	session_free(&s);
	s = house_client(&house, "10.1.2.4", "submission");
	EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	session_free(&s);
	house_close(&house);
}

static int
lease_of_carol(void *arg, const struct rules *rules, const struct netaddr *peer,
    struct login logins_r[LEASE_HOLDERS_MAX])
{
	(void)arg;
	(void)rules;
	(void)peer;
	(void)snprintf(logins_r[0].text, sizeof(logins_r[0].text),
	    "carol@example.org");
	return 1;
}

static void
a_lease_holder_counts_as_the_login(void **state)
{
	struct session *s;

	(void)state;
	open_house("leases { enabled = true }"
		   "limits \"a\" { messages = \"2/1h\" }");
	gate_set_leases(house.gate, lease_of_carol, NULL);
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<carol@example.org>", NULL), REASON_LEASE);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_LEASE);
	EXPECT(house_message(s), REASON_LEASE);
	EXPECT(house_mail(s, "<>", "carol"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<y@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<carol@example.org>", NULL), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

static void
warn_lets_pass(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"addr\" messages = \"1/1h\" "
		   "recipients = \"1/1h\" local = \"count\" "
		   "action = \"warn\" }");
	s = house_client(&house, "10.1.2.3", "submission");
	for (int i = 0; i < 5; i++) {
		EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<bob@example.org>"),
		    REASON_INTERNAL_NETWORK);
		EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	house_close(&house);
}

/* --- what is counted --- */

static void
recipients_are_reserved_and_given_back(void **state)
{
	struct session *a, *b;

	(void)state;
	open_house("limits \"a\" { recipients = \"3/1h\" }");
	a = house_client(&house, "203.0.113.9", "submission");
	b = house_client(&house, "203.0.113.10", "submission");
	EXPECT(house_mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_mail(b, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(a, "<1@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(a, "<2@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(b, "<3@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(b, "<4@a.example>"), REASON_OVER_LIMIT);
	EXPECT(house_rcpt(b, "<bob@example.org>"), REASON_AUTHENTICATED);
	session_reset(a);
	EXPECT(house_rcpt(b, "<4@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(b, "<5@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(b, "<6@a.example>"), REASON_OVER_LIMIT);
	/* a second MAIL and the end of the connection give back, too */
	EXPECT(house_mail(b, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(b, "<6@a.example>"), REASON_AUTHENTICATED);
	session_free(&b);
	EXPECT(house_mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 3; i++) {
		char to[32];

		(void)snprintf(to, sizeof(to), "<%d@b.example>", i);
		EXPECT(house_rcpt(a, to), REASON_AUTHENTICATED);
	}
	EXPECT(house_message(a), REASON_AUTHENTICATED);
	session_reset(a);
	EXPECT(house_mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(a, "<9@a.example>"), REASON_OVER_LIMIT);
	session_free(&a);
	house_close(&house);
}

static void
a_message_sent_again_counts_once(void **state)
{
	struct session *s;

	(void)state;
	open_house(
	    "limits \"a\" { recipients = \"3/1d\" messages = \"2/1d\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	for (int i = 0; i < 6; i++) {
		EXPECT(mail_sized(s, "<a@example.org>", "alice", "SIZE=1000"),
		    REASON_AUTHENTICATED);
		EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
		EXPECT(house_rcpt(s, "<2@a.example>"), REASON_AUTHENTICATED);
		EXPECT(house_message(s), REASON_AUTHENTICATED);
		house.now_ms += MINUTE;
	}
	/* not for ever */
	EXPECT(mail_sized(s, "<a@example.org>", "alice", "SIZE=1000"),
	    REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<2@a.example>"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

static void
another_message_to_the_same_people_counts(void **state)
{
	static const char *const sizes[] = { "SIZE=1", "SIZE=2" };
	struct session *s;

	(void)state;
	open_house("limits \"a\" { recipients = \"2/1d\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	for (size_t i = 0; i < 2; i++) {
		EXPECT(mail_sized(s, "<>", "alice", sizes[i]),
		    REASON_AUTHENTICATED);
		EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
		EXPECT(house_message(s), REASON_AUTHENTICATED);
	}
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=3"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_OVER_LIMIT);
	EXPECT(mail_sized(s, "<b@example.org>", "alice", "SIZE=1"),
	    REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

static void
a_message_has_so_many_recipients(void **state)
{
	struct session *s;

	(void)state;
	open_house("recipients { max = 2 } limits \"none\" {}");
	s = house_client(&house, "10.1.2.3", "submission");
	for (int i = 0; i < 2; i++) {
		EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<1@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<a%b@a.example>"),
		    REASON_RECIPIENT_ROUTED);
		EXPECT(house_rcpt(s, "<2@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(house_rcpt(s, "<3@a.example>"),
		    REASON_TOO_MANY_RECIPIENTS);
		EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	house_close(&house);
}

static void
octets_are_announced_or_seen(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { bytes = \"10000/1d\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=20000"), REASON_OVER_LIMIT);
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=6000"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 5000);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	/* an empty promise */
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=0"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 3000);
	session_body(s, 3000);
	EXPECT(house_message(s), REASON_OVER_LIMIT);
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 3900);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=200"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

static void
recipients_that_the_mta_refuses_count(void **state)
{
	struct session *s;
	char to[32];

	(void)state;
	open_house("limits \"a\" { bad_recipients = \"5/1h\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i);
		house_bad_rcpt(s, to);
	}
	/* nothing goes there */
	EXPECT(house_message(s), REASON_INTERNAL_ERROR);
	EXPECT(house_mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	house.now_ms += 15 * MINUTE;
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	house_close(&house);
	/* and contain */
	open_house("");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 51; i++) {
		assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i);
		house_bad_rcpt(s, to);
	}
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	session_free(&s);
	house_close(&house);
}

/* What was never taken cannot be given back: neither of a limit that only
 * warned nor of one that a step of the ladder has suspended. */
static void
what_was_not_taken_is_not_given_back(void **state)
{
	static const char *const near = "<x@a.example>";
	struct session *s;

	(void)state;
	open_house("limits \"w\" { messages = \"4/1d\" action = \"warn\" }"
		   "limits \"c\" { messages = \"4/1d\" recipients = \"2/1d\" "
		   "action = \"contain\" }"
		   "contain { slowed = \"1m\" rate = \"1000/1s\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	for (int i = 0; i < 3; i++) {
		EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
		EXPECT(house_rcpt(s, i == 0 ? near : "<bob@example.org>"),
		    REASON_AUTHENTICATED);
		EXPECT(house_message(s), REASON_AUTHENTICATED);
	}
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<2@a.example>"), REASON_OVER_LIMIT);
	session_reset(s);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	for (int i = 0; i < 20; i++) {
		EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
		EXPECT(house_rcpt(s, "<3@a.example>"), REASON_AUTHENTICATED);
		session_reset(s);
	}
	house.now_ms += 2 * MINUTE;
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<4@a.example>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<5@a.example>"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

/* Nobody hides behind a limit that is used up, and nobody who comes again with
 * what the MTA has put off counts twice. */
static void
refused_recipients_count_once_and_everywhere(void **state)
{
	struct session *s;
	char to[32];

	(void)state;
	open_house("limits \"c\" { bad_recipients = \"9/1d\" "
		   "action = \"contain\" }"
		   "limits \"t\" { bad_recipients = \"3/1d\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i % 2);
		(void)house_bad_rcpt(s, to);
	}
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i);
		(void)house_bad_rcpt(s, to);
	}
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	session_free(&s);
	house_close(&house);
}

static void
different_senders_and_networks_count(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { senders = \"2/1d\" }"
		   "limits \"b\" { addresses = \"2/1d\" }");
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<a@example.org>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<a@example.org>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_mail(s, "<b@example.org>", "alice"), REASON_OVER_LIMIT);
	EXPECT(house_mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = house_client(&house, "203.0.113.77",
	    "submission"); /* the same network */
	EXPECT(house_mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = house_client(&house, "2001:db8:1::1", "submission");
	EXPECT(house_mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = house_client(&house, "2001:db8:1:ffff::1", "submission");
	EXPECT(house_mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = house_client(&house, "2001:db8:2::1", "submission");
	EXPECT(house_mail(s, "<>", "bob"), REASON_OVER_LIMIT);
	session_free(&s);
	house_close(&house);
}

/* --- for people --- */

static char seen[400];

static int
see(void *arg, const struct limits_near *near)
{
	size_t n = strlen(seen);

	(void)arg;
	(void)snprintf(seen + n, sizeof(seen) - n, "%s %s %s %u;", near->limit,
	    near->counter, near->who, near->percent);
	return 0;
}

#define TEN "limits \"a\" { recipients = \"10/1h\" messages = \"10/1h\" }"

static void
who_is_near_a_limit_is_listed(void **state)
{
	struct conf *conf;
	struct err e;

	(void)state;
	open_house(TEN);
	conf = house_conf_of(&house, HOUSE_SITE TEN);
	assert_int_equal(house_send(&house, "203.0.113.9", 0, 7, "a.example"),
	    7);
	assert_int_equal(store_flush(gate_store(house.gate), 10000), 0);
	seen[0] = '\0';
	assert_int_equal(limits_list(gate_store(house.gate), conf, house.now_ms,
			     see, NULL, &e),
	    0);
	assert_string_equal(seen, "a recipients main@alice 70;");
	assert_int_equal(house_send(&house, "203.0.113.9", 20, 7, "a.example"),
	    3);
	assert_int_equal(store_flush(gate_store(house.gate), 10000), 0);
	seen[0] = '\0';
	assert_int_equal(limits_list(gate_store(house.gate), conf, house.now_ms,
			     see, NULL, &e),
	    0);
	assert_string_equal(seen, "a recipients main@alice 100;");
	house.now_ms += 40 * MINUTE;
	seen[0] = '\0';
	assert_int_equal(limits_list(gate_store(house.gate), conf, house.now_ms,
			     see, NULL, &e),
	    0);
	assert_string_equal(seen, "");
	conf_free(&conf);
	house_close(&house);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newsletter_to_colleagues_passes),
		cmocka_unit_test(a_mail_merge_passes),
		cmocka_unit_test(the_backlog_of_a_laptop_passes),
		cmocka_unit_test(a_null_sender_does_not_escape),
		cmocka_unit_test(another_spelling_does_not_escape),
		cmocka_unit_test(
		    guests_and_doors_that_do_not_count_are_not_counted),
		cmocka_unit_test(
		    internal_addresses_are_counted_each_or_as_their_logins),
		cmocka_unit_test(a_lease_holder_counts_as_the_login),
		cmocka_unit_test(warn_lets_pass),
		cmocka_unit_test(recipients_are_reserved_and_given_back),
		cmocka_unit_test(a_message_sent_again_counts_once),
		cmocka_unit_test(another_message_to_the_same_people_counts),
		cmocka_unit_test(a_message_has_so_many_recipients),
		cmocka_unit_test(octets_are_announced_or_seen),
		cmocka_unit_test(recipients_that_the_mta_refuses_count),
		cmocka_unit_test(what_was_not_taken_is_not_given_back),
		cmocka_unit_test(refused_recipients_count_once_and_everywhere),
		cmocka_unit_test(different_senders_and_networks_count),
		cmocka_unit_test(who_is_near_a_limit_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
