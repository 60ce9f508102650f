/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits and containment through the gate, on a clock of its own: who sends how
 * much is told by sessions alone, and the counters are in a real store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/load.h"
#include "gate/auth.h"
#include "gate/sentinel.h"
#include "gate/session.h"

static const char site[] =
    "internal = {\"10.0.0.0/8\"}\n"
    "local_domains = {\"example.org\"}\n"
    "listener \"smtp\" { role = \"mx\" }\n"
    "auth { realm = \"example.org\" mechanisms = {\"PLAIN\"} }\n"
    "imap \"main\" { url = \"imaps://imap.example.org\" }\n";

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct house {
	struct gate *gate;
	uint64_t now_ms;
	char dir[64];
} house;

static uint64_t
tell_time(void *arg)
{
	(void)arg;
	return house.now_ms;
}

static enum identity
verify(void *arg, const struct rules *rules, const struct login *login,
    const struct netaddr *peer)
{
	(void)arg;
	(void)rules;
	(void)login;
	(void)peer;
	return IDENTITY_VERIFIED;
}

static struct conf *
conf_of(const char *more)
{
	static const struct conf_env env = { .host = NULL, .no_files = true };
	struct conf_report report = { 0 };
	char text[4096];
	struct conf *conf;

	(void)snprintf(text, sizeof(text), "state_dir = \"%s\"\n%s%s",
	    house.dir, site, more);
	conf = conf_load_text("t", text, strlen(text), &env, &report);
	for (size_t i = 0; conf == NULL && i < report.count; i++)
		print_error("%s\n", report.lines[i]);
	conf_report_clear(&report);
	assert_non_null(conf);
	return conf;
}

static void
open_house(const char *more)
{
	struct err e = { "" };

	memset(&house, 0, sizeof(house));
	(void)snprintf(house.dir, sizeof(house.dir), "/tmp/limits.XXXXXX");
	assert_non_null(mkdtemp(house.dir));
	house.now_ms = UINT64_C(1800000000000);
	house.gate = gate_new(rules_new_offline(conf_of(more)), NULL);
	assert_non_null(house.gate);
	if (gate_open_store(house.gate, &e) != 0)
		fail_msg("%s", e.text);
	gate_set_ask(house.gate, verify, NULL);
	gate_set_clock(house.gate, tell_time, NULL);
}

static void
close_house(void)
{
	static const char *const names[] = { "store.mdb", "store.mdb-lock" };
	char path[128];

	gate_free(&house.gate);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", house.dir,
		    names[i]);
		(void)unlink(path);
	}
	(void)rmdir(house.dir);
}

static struct session *
client_at(const char *address, const char *listener)
{
	struct netaddr peer;
	struct session *session;

	assert_int_equal(netaddr_parse(address, &peer), 0);
	session = session_new(house.gate, &peer, listener);
	assert_non_null(session);
	return session;
}

static struct session *
client(const char *address)
{
	return client_at(address, "submission");
}

static enum reason
mail_sized(struct session *session, const char *path, const char *login,
    const char *size)
{
	const char *const args[] = { size, NULL };
	struct mail_event event = {
		.path = path,
		.path_len = strlen(path),
		.args = size == NULL ? NULL : args,
		.tls_version = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.cipher_bits = "256",
		.mechanism = login == NULL ? NULL : "PLAIN",
		.login = login,
		.login_len = login == NULL ? 0 : strlen(login),
		.counts = true,
	};
	struct answer answer;

	session_mail(session, &event, &answer);
	return answer.decision.reason;
}

static enum reason
mail(struct session *session, const char *path, const char *login)
{
	return mail_sized(session, path, login, NULL);
}

static enum reason
rcpt(struct session *session, const char *path)
{
	struct rcpt_event event = { .path = path, .path_len = strlen(path) };
	struct answer answer;

	session_rcpt(session, &event, &answer);
	return answer.decision.reason;
}

static void
bad_rcpt(struct session *session, const char *path)
{
	struct rcpt_event event = {
		.path = path,
		.path_len = strlen(path),
		.refused = true,
	};
	struct answer answer;

	session_rcpt(session, &event, &answer);
}

static enum reason
message(struct session *session)
{
	struct answer answer;

	session_message(session, "Q", &answer);
	return answer.decision.reason;
}

#define EXPECT(got, want)                                                      \
 do {                                                                          \
  enum reason got_ = (got);                                                    \
                                                                               \
  if (got_ != (want))                                                          \
   fail_msg("line %d: got %s (%u), want %s (%u)", __LINE__,                    \
       reason_row(got_)->name, reason_row(got_)->code, reason_row(want)->name, \
       reason_row(want)->code);                                                \
 } while (0)

/* A whole message of alice from an address; how many recipients it reached. */
static unsigned int
send_from(const char *address, unsigned int first, unsigned int count,
    const char *domain)
{
	struct session *s = client(address);
	unsigned int passed = 0;
	char to[80];

	if (mail(s, "<alice@example.org>", "alice") == REASON_AUTHENTICATED) {
		for (unsigned int i = 0; i < count; i++) {
			(void)snprintf(to, sizeof(to), "<r%u@%s>", first + i,
			    domain);
			if (rcpt(s, to) == REASON_AUTHENTICATED)
				passed++;
		}
		if (passed > 0)
			EXPECT(message(s), REASON_AUTHENTICATED);
	}
	session_free(&s);
	return passed;
}

static void
payer_of(const char *text, struct login *payer_r)
{
	struct rules *rules = gate_rules_ref(house.gate);
	struct login login;

	assert_int_equal(
	    login_normalise(text, strlen(text), "example.org", &login), 0);
	limits_payer(rules, &login, payer_r);
	gate_rules_unref(house.gate, rules);
}

static enum containment
step_of(const char *text)
{
	struct rules *rules = gate_rules_ref(house.gate);
	enum containment step;
	struct login payer;

	payer_of(text, &payer);
	step = contain_look(rules->conf, gate_store(house.gate), &payer,
	    house.now_ms);
	gate_rules_unref(house.gate, rules);
	return step;
}

/* --- what people do --- */

static void
a_newsletter_to_colleagues_passes(void **state)
{
	(void)state;
	open_house("");
	assert_int_equal(send_from("203.0.113.9", 0, 800, "example.org"), 800);
	house.now_ms += 5 * MINUTE;
	/* and one that a client has cut into pieces */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(send_from("203.0.113.9", 1000 + i * 100, 100,
				     "example.org"),
		    100);
	assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
	close_house();
}

static void
a_mail_merge_passes(void **state)
{
	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 300; i++) {
		assert_int_equal(send_from("203.0.113.9", i, 1, "a.example"),
		    1);
		house.now_ms += 40 * MINUTE / 300;
	}
	assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
	close_house();
}

static void
the_backlog_of_a_laptop_passes(void **state)
{
	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 80; i++)
		assert_int_equal(
		    send_from(i % 2 == 0 ? "203.0.113.9" : "2001:db8::9", i * 3,
			3, "a.example"),
		    3);
	assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
	close_house();
}

/* --- what thieves do --- */

/* So many recipients a message, a message every so often, until 50,000 have
 * been tried; how many were reached. */
static unsigned int
steal(unsigned int at_once, uint64_t pause_ms)
{
	unsigned int reached = 0;
	uint64_t begun;

	open_house("");
	begun = house.now_ms;
	for (unsigned int i = 0; i < 50000; i += at_once) {
		char address[32];

		(void)snprintf(address, sizeof(address), "198.51.%u.7",
		    i / at_once % 200);
		reached += send_from(address, i, at_once, "victim.example");
		house.now_ms += pause_ms;
	}
	print_message("50,000 recipients from 200 addresses, %u a message, in "
		      "%ju minutes: stopped after %u; at the end %s\n",
	    at_once, (uintmax_t)((house.now_ms - begun) / MINUTE), reached,
	    contain_step_name(step_of("alice")));
	close_house();
	return reached;
}

static void
a_stolen_account_is_stopped(void **state)
{
	(void)state;
	assert_in_range(steal(50, 1000), 1, 600);
	assert_in_range(steal(100, 60 * 1000), 1, 600);
	assert_in_range(steal(1, 1000), 1, 100);
	assert_in_range(steal(10, 100), 1, 300);
}

static void
a_thief_at_one_place_is_stopped(void **state)
{
	unsigned int reached = 0;

	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 50000; i += 20) {
		reached += send_from("198.51.100.7", i, 20, "victim.example");
		house.now_ms += 10000;
	}
	print_message("50,000 recipients from one address in 7 hours: "
		      "stopped after %u\n",
	    reached);
	assert_in_range(reached, 1, 1100);
	assert_int_equal(step_of("alice"), CONTAINMENT_SHUT);
	close_house();
}

/* --- who is counted --- */

static void
a_null_sender_does_not_escape(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { messages = \"2/1h\" }");
	s = client("203.0.113.9");
	for (int i = 0; i < 2; i++) {
		EXPECT(mail(s, i == 0 ? "<>" : "<alice@example.org>", "alice"),
		    REASON_AUTHENTICATED);
		EXPECT(rcpt(s, i == 0 ? "<x@a.example>" : "<y@a.example>"),
		    REASON_AUTHENTICATED);
		EXPECT(message(s), REASON_AUTHENTICATED);
	}
	EXPECT(mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	EXPECT(rcpt(s, "<z@a.example>"), REASON_OVER_LIMIT);
	EXPECT(mail(s, "<>", "alice@EXAMPLE.org"), REASON_OVER_LIMIT);
	EXPECT(mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	house.now_ms += 30 * MINUTE;
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	close_house();
}

/* IMAP is asked about "alice", whatever the domain, and most servers fold. */
static void
another_spelling_does_not_escape(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { messages = \"2/1h\" }");
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_AUTHENTICATED);
	EXPECT(message(s), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<>", "aLiCe@other.example"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<y@a.example>"), REASON_AUTHENTICATED);
	EXPECT(message(s), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<>", "alice@third.example"), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

static void
guests_and_doors_that_do_not_count_are_not_counted(void **state)
{
	struct mail_event event = { .path = "<>", .path_len = 2 };
	struct answer answer;
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"zone\" messages = \"1/1h\" }");
	s = client_at("203.0.113.9", "smtp");
	for (int i = 0; i < 3; i++) {
		EXPECT(mail(s, "<x@b.example>", NULL), REASON_LOCAL_RECIPIENT);
		EXPECT(rcpt(s, "<bob@example.org>"), REASON_LOCAL_RECIPIENT);
		EXPECT(message(s), REASON_LOCAL_RECIPIENT);
	}
	session_free(&s);
	s = client("10.1.2.3");
	for (int i = 0; i < 3; i++) {
		session_mail(s, &event, &answer);
		EXPECT(answer.decision.reason, REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(message(s), REASON_INTERNAL_NETWORK);
	}
	/* one counter for the zone */
	EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(message(s), REASON_INTERNAL_NETWORK);
	session_free(&s);
	s = client("10.1.2.4");
	EXPECT(mail(s, "<>", NULL), REASON_OVER_LIMIT);
	session_free(&s);
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	close_house();
}

static void
internal_addresses_are_counted_each_or_as_their_logins(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"addr\" messages = \"1/1h\" }"
		   "limits \"b\" { messages = \"1/1h\" }");
	s = client("10.1.2.3");
	EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(message(s), REASON_INTERNAL_NETWORK);
	EXPECT(mail(s, "<>", NULL), REASON_OVER_LIMIT);
	/* webmail there has its users' counters */
	EXPECT(mail(s, "<>", "alice"), REASON_INTERNAL_NETWORK);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
	EXPECT(message(s), REASON_INTERNAL_NETWORK);
	EXPECT(mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	EXPECT(mail(s, "<>", "bob"), REASON_INTERNAL_NETWORK);
	session_free(&s);
	s = client("10.1.2.4");
	EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	session_free(&s);
	close_house();
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
	s = client("203.0.113.9");
	EXPECT(mail(s, "<carol@example.org>", NULL), REASON_LEASE);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_LEASE);
	EXPECT(message(s), REASON_LEASE);
	EXPECT(mail(s, "<>", "carol"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<y@a.example>"), REASON_AUTHENTICATED);
	EXPECT(message(s), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<carol@example.org>", NULL), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

static void
warn_lets_pass(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { key = \"addr\" messages = \"1/1h\" "
		   "recipients = \"1/1h\" local = \"count\" "
		   "action = \"warn\" }");
	s = client("10.1.2.3");
	for (int i = 0; i < 5; i++) {
		EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<x@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<bob@example.org>"), REASON_INTERNAL_NETWORK);
		EXPECT(message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	close_house();
}

/* --- what is counted --- */

static void
recipients_are_reserved_and_given_back(void **state)
{
	struct session *a, *b;

	(void)state;
	open_house("limits \"a\" { recipients = \"3/1h\" }");
	a = client("203.0.113.9");
	b = client("203.0.113.10");
	EXPECT(mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(mail(b, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(a, "<1@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(a, "<2@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(b, "<3@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(b, "<4@a.example>"), REASON_OVER_LIMIT);
	EXPECT(rcpt(b, "<bob@example.org>"), REASON_AUTHENTICATED);
	session_reset(a);
	EXPECT(rcpt(b, "<4@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(b, "<5@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(b, "<6@a.example>"), REASON_OVER_LIMIT);
	/* a second MAIL and the end of the connection give back, too */
	EXPECT(mail(b, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(b, "<6@a.example>"), REASON_AUTHENTICATED);
	session_free(&b);
	EXPECT(mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 3; i++) {
		char to[32];

		(void)snprintf(to, sizeof(to), "<%d@b.example>", i);
		EXPECT(rcpt(a, to), REASON_AUTHENTICATED);
	}
	EXPECT(message(a), REASON_AUTHENTICATED);
	session_reset(a);
	EXPECT(mail(a, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(a, "<9@a.example>"), REASON_OVER_LIMIT);
	session_free(&a);
	close_house();
}

static void
a_message_sent_again_counts_once(void **state)
{
	struct session *s;

	(void)state;
	open_house(
	    "limits \"a\" { recipients = \"3/1d\" messages = \"2/1d\" }");
	s = client("203.0.113.9");
	for (int i = 0; i < 6; i++) {
		EXPECT(mail_sized(s, "<a@example.org>", "alice", "SIZE=1000"),
		    REASON_AUTHENTICATED);
		EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
		EXPECT(rcpt(s, "<2@a.example>"), REASON_AUTHENTICATED);
		EXPECT(message(s), REASON_AUTHENTICATED);
		house.now_ms += MINUTE;
	}
	/* not for ever */
	EXPECT(mail_sized(s, "<a@example.org>", "alice", "SIZE=1000"),
	    REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<2@a.example>"), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

static void
another_message_to_the_same_people_counts(void **state)
{
	static const char *const sizes[] = { "SIZE=1", "SIZE=2" };
	struct session *s;

	(void)state;
	open_house("limits \"a\" { recipients = \"2/1d\" }");
	s = client("203.0.113.9");
	for (size_t i = 0; i < 2; i++) {
		EXPECT(mail_sized(s, "<>", "alice", sizes[i]),
		    REASON_AUTHENTICATED);
		EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
		EXPECT(message(s), REASON_AUTHENTICATED);
	}
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=3"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_OVER_LIMIT);
	EXPECT(mail_sized(s, "<b@example.org>", "alice", "SIZE=1"),
	    REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

static void
a_message_has_so_many_recipients(void **state)
{
	struct session *s;

	(void)state;
	open_house("recipients { max = 2 } limits \"none\" {}");
	s = client("10.1.2.3");
	for (int i = 0; i < 2; i++) {
		EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<1@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<a%b@a.example>"), REASON_RECIPIENT_ROUTED);
		EXPECT(rcpt(s, "<2@a.example>"), REASON_INTERNAL_NETWORK);
		EXPECT(rcpt(s, "<3@a.example>"), REASON_TOO_MANY_RECIPIENTS);
		EXPECT(message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	close_house();
}

static void
octets_are_announced_or_seen(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { bytes = \"10000/1d\" }");
	s = client("203.0.113.9");
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=20000"), REASON_OVER_LIMIT);
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=6000"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 5000);
	EXPECT(message(s), REASON_AUTHENTICATED);
	/* an empty promise */
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=0"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 3000);
	session_body(s, 3000);
	EXPECT(message(s), REASON_OVER_LIMIT);
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<1@a.example>"), REASON_AUTHENTICATED);
	session_body(s, 3900);
	EXPECT(message(s), REASON_AUTHENTICATED);
	EXPECT(mail_sized(s, "<>", "alice", "SIZE=200"), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

static void
recipients_that_the_mta_refuses_count(void **state)
{
	struct session *s;
	char to[32];

	(void)state;
	open_house("limits \"a\" { bad_recipients = \"5/1h\" }");
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i);
		bad_rcpt(s, to);
	}
	/* nothing goes there */
	EXPECT(message(s), REASON_INTERNAL_ERROR);
	EXPECT(mail(s, "<>", "alice"), REASON_OVER_LIMIT);
	house.now_ms += 15 * MINUTE;
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	session_free(&s);
	close_house();
	/* and contain */
	open_house("");
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	for (int i = 0; i < 51; i++) {
		assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
		(void)snprintf(to, sizeof(to), "<%d@a.example>", i);
		bad_rcpt(s, to);
	}
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	session_free(&s);
	close_house();
}

static void
different_senders_and_networks_count(void **state)
{
	struct session *s;

	(void)state;
	open_house("limits \"a\" { senders = \"2/1d\" }"
		   "limits \"b\" { addresses = \"2/1d\" }");
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<a@example.org>", "alice"), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<a@example.org>", "alice"), REASON_AUTHENTICATED);
	EXPECT(mail(s, "<b@example.org>", "alice"), REASON_OVER_LIMIT);
	EXPECT(mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = client("203.0.113.77"); /* the same network */
	EXPECT(mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = client("2001:db8:1::1");
	EXPECT(mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = client("2001:db8:1:ffff::1");
	EXPECT(mail(s, "<>", "bob"), REASON_AUTHENTICATED);
	session_free(&s);
	s = client("2001:db8:2::1");
	EXPECT(mail(s, "<>", "bob"), REASON_OVER_LIMIT);
	session_free(&s);
	close_house();
}

/* --- the ladder --- */

#define LADDER                                                             \
 "limits \"a\" { recipients = \"10/1h\" action = \"contain\" }"            \
 "contain { rate = \"2/1h\" slowed = \"1h\" local = \"4h\" shut = \"1d\" " \
 "memory = \"2d\" }"

static void
offend(void)
{
	assert_int_equal(send_from("203.0.113.9", 0, 11, "a.example"), 10);
}

static void
each_step_is_narrower_and_ends(void **state)
{
	struct session *s;

	(void)state;
	open_house(LADDER);
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	assert_int_equal(step_of("bob"), CONTAINMENT_NONE);
	assert_int_equal(send_from("203.0.113.9", 100, 9, "a.example"), 2);
	house.now_ms += HOUR;
	assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
	house.now_ms += 10 * HOUR;
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_LOCAL);
	s = client("203.0.113.9");
	EXPECT(mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(rcpt(s, "<x@a.example>"), REASON_CONTAINED);
	EXPECT(rcpt(s, "<bob@example.org>"), REASON_AUTHENTICATED);
	EXPECT(message(s), REASON_AUTHENTICATED);
	house.now_ms += 10 * HOUR;
	session_free(&s);
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_SHUT);
	s = client("10.1.2.3");
	EXPECT(mail(s, "<>", "alice"), REASON_CONTAINED);
	EXPECT(mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(mail(s, "<>", "bob"), REASON_INTERNAL_NETWORK);
	session_free(&s);
	/* forgiven and forgotten */
	house.now_ms += 4 * DAY;
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	close_house();
}

static void
who_hammers_goes_on_and_who_tries_again_does_not(void **state)
{
	(void)state;
	open_house(LADDER);
	offend();
	for (int i = 0; i < 50; i++)
		(void)send_from("203.0.113.9", 100, 12, "a.example");
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	(void)send_from("203.0.113.9", 1000, 25, "a.example");
	assert_int_equal(step_of("alice"), CONTAINMENT_LOCAL);
	(void)send_from("203.0.113.9", 2000, 25, "a.example");
	assert_int_equal(step_of("alice"), CONTAINMENT_SHUT);
	close_house();
}

static void
the_operator_releases(void **state)
{
	struct login alice;
	struct err e;

	(void)state;
	open_house(LADDER);
	payer_of("ALICE", &alice);
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	assert_int_equal(
	    contain_release(gate_store(house.gate), &alice, house.now_ms, &e),
	    1);
	assert_int_equal(
	    contain_release(gate_store(house.gate), &alice, house.now_ms, &e),
	    0);
	/* what was counted is forgotten, and so is the offence */
	assert_int_equal(send_from("203.0.113.9", 500, 11, "a.example"), 10);
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	close_house();
}

static void
a_new_password_releases(void **state)
{
	static const unsigned char stolen[IDENTITY_TAG_LEN] = { 1 };
	static const unsigned char fresh[IDENTITY_TAG_LEN] = { 2 };
	struct login alice, spelled = { "alice@example.org" };
	struct login other = { "Alice@example.org" };
	struct contain *contain;
	struct conf *conf;

	(void)state;
	open_house(LADDER);
	payer_of("alice", &alice);
	conf = conf_of(LADDER);
	contain = limits_contain(gate_limits(house.gate));
#define PASSWORD(login, tag)                                                 \
 contain_password(contain, conf, gate_store(house.gate), &alice, login, tag, \
     house.now_ms)
	offend();
	/* nobody knows yet whether it is new */
	PASSWORD(&spelled, stolen);
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	PASSWORD(&spelled, stolen);
	/* the same one has another tag there */
	PASSWORD(&other, fresh);
	assert_int_equal(step_of("alice"), CONTAINMENT_SLOWED);
	PASSWORD(&spelled, fresh);
	assert_int_equal(step_of("alice"), CONTAINMENT_NONE);
	/* it was a second password of hers: the thief goes on, and so does the
	 * ladder */
	house.now_ms += 2 * HOUR;
	offend();
	assert_int_equal(step_of("alice"), CONTAINMENT_LOCAL);
	PASSWORD(&spelled, fresh);
	PASSWORD(&spelled, stolen);
	assert_int_equal(step_of("alice"), CONTAINMENT_LOCAL);
#undef PASSWORD
	conf_free(&conf);
	close_house();
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

static void
who_is_near_a_limit_is_listed(void **state)
{
	static const char text[] =
	    "limits \"a\" { recipients = \"10/1h\" messages = \"10/1h\" }";
	struct conf *conf;
	struct err e;

	(void)state;
	open_house(text);
	conf = conf_of(text);
	assert_int_equal(send_from("203.0.113.9", 0, 7, "a.example"), 7);
	assert_int_equal(store_flush(gate_store(house.gate), 10000), 0);
	seen[0] = '\0';
	assert_int_equal(limits_list(gate_store(house.gate), conf, house.now_ms,
			     see, NULL, &e),
	    0);
	assert_string_equal(seen, "a recipients main@alice 70;");
	assert_int_equal(send_from("203.0.113.9", 20, 7, "a.example"), 3);
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
	close_house();
}

static void
evidence_names_the_latest_places_and_domains(void **state)
{
	struct recent *recent = recent_new();
	struct login alice = { "alice@example.org" }, bob = { "bob" };
	char text[RECENT_EVIDENCE_MAX];
	struct netaddr addr;

	(void)state;
	assert_non_null(recent);
	for (int i = 0; i < 9000; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "192.0.2.%d", i % 200);
		(void)netaddr_parse(name, &addr);
		(void)snprintf(name, sizeof(name), "d%d.example", i);
		recent_note(recent, i % 2 == 0 ? &alice : &bob, &addr, name);
	}
	recent_evidence(recent, &alice, text);
	assert_string_equal(text,
	    "addresses=192.0.2.198,192.0.2.196,192.0.2.194,192.0.2.192,"
	    "192.0.2.190,192.0.2.188,192.0.2.186,192.0.2.184 "
	    "domains=d8998.example,d8996.example,d8994.example,d8992.example,"
	    "d8990.example,d8988.example,d8986.example,d8984.example");
	recent_free(&recent);
}

/* A message from inside; is the client still an insider? */
static bool
relay(const char *address, const char *helo, const char *from, const char *to)
{
	struct session *s = client(address);
	bool inside;

	session_helo(s, helo);
	inside = mail(s, from, NULL) == REASON_INTERNAL_NETWORK;
	if (inside) {
		EXPECT(rcpt(s, to), REASON_INTERNAL_NETWORK);
		EXPECT(message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	return inside;
}

/* So many messages from an address; names, senders, recipients that are new
 * every time, or not. How many went out. */
static int
relay_many(const char *address, bool names, bool senders, bool recipients)
{
	char helo[32], from[64], to[64];
	int out = 0;

	for (int i = 0; i < 30; i++) {
		(void)snprintf(helo, sizeof(helo), "h%d.example",
		    names ? i : 0);
		(void)snprintf(from, sizeof(from), "<a@%s%d.%s>", "d",
		    senders ? i : 0, senders ? "example" : "example.org");
		(void)snprintf(to, sizeof(to), "<b@e%d.example>",
		    recipients ? i : 0);
		if (relay(address, helo, from, to))
			out++;
		house.now_ms += 5000;
	}
	return out;
}

static int
see_caught(void *arg, const char *addr)
{
	(void)arg;
	(void)snprintf(seen, sizeof(seen), "%s", addr);
	return 0;
}

static void
a_gateway_that_hides_outsiders_is_noticed(void **state)
{
	struct netaddr gateway;
	struct err e;

	(void)state;
	open_house("sentinel { action = \"external\" }");
	(void)netaddr_parse("10.0.0.9", &gateway);
	/* a host that is busy, but one; a list server; a relay of ours */
	assert_int_equal(relay_many("10.0.0.5", false, true, true), 30);
	assert_int_equal(relay_many("10.0.0.6", true, false, true), 30);
	assert_int_equal(relay_many("10.0.0.7", true, true, false), 30);
	assert_int_equal(relay_many("10.0.0.9", true, true, true),
	    SENTINEL_MANY);
	assert_int_equal(relay_many("10.0.0.5", false, false, false), 30);
	assert_int_equal(store_flush(gate_store(house.gate), 10000), 0);
	seen[0] = '\0';
	assert_int_equal(sentinel_list(gate_store(house.gate), house.now_ms,
			     see_caught, NULL, &e),
	    0);
	assert_string_equal(seen, "10.0.0.9");
	assert_int_equal(sentinel_release(gate_store(house.gate), &gateway, &e),
	    1);
	assert_int_equal(sentinel_release(gate_store(house.gate), &gateway, &e),
	    0);
	assert_true(relay("10.0.0.9", "x", "<a@b.example>", "<c@d.example>"));
	close_house();
	open_house("");
	assert_int_equal(relay_many("10.0.0.9", true, true, true), 30);
	close_house();
}

/* The program gets its arguments one by one, whatever is in them. */
static void
the_command_is_told(void **state)
{
	static const char want[] = "6\nmain@alice\nslowed\na/recipients\n3600\n"
				   "addresses=203.0.113.9 domains=a.example\n";
	char more[600], script[80], told[90], got[300] = "";
	struct contain *contain;
	FILE *f;

	(void)state;
	open_house(LADDER);
	contain = limits_contain(gate_limits(house.gate));
	(void)snprintf(script, sizeof(script), "%s/hook", house.dir);
	(void)snprintf(told, sizeof(told), "%s/told", house.dir);
	(void)snprintf(more, sizeof(more),
	    "#!/bin/sh\n{ echo $(($# + 1)); printf '%%s\\n' \"$@\"; } >%s.tmp\n"
	    "mv %s.tmp %s\n",
	    told, told, told);
	f = fopen(script, "w");
	assert_non_null(f);
	assert_true(fputs(more, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(script, 0700), 0);
	offend();
	contain_tend(contain, script, 1);
	for (int i = 0; i < 2000 && access(told, R_OK) != 0; i++)
		(void)usleep(10000);
	f = fopen(told, "r");
	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	(void)fclose(f);
	assert_string_equal(got, want);
	(void)unlink(script);
	(void)unlink(told);
	close_house();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newsletter_to_colleagues_passes),
		cmocka_unit_test(a_mail_merge_passes),
		cmocka_unit_test(the_backlog_of_a_laptop_passes),
		cmocka_unit_test(a_stolen_account_is_stopped),
		cmocka_unit_test(a_thief_at_one_place_is_stopped),
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
		cmocka_unit_test(different_senders_and_networks_count),
		cmocka_unit_test(each_step_is_narrower_and_ends),
		cmocka_unit_test(
		    who_hammers_goes_on_and_who_tries_again_does_not),
		cmocka_unit_test(the_operator_releases),
		cmocka_unit_test(a_new_password_releases),
		cmocka_unit_test(who_is_near_a_limit_is_listed),
		cmocka_unit_test(evidence_names_the_latest_places_and_domains),
		cmocka_unit_test(a_gateway_that_hides_outsiders_is_noticed),
		cmocka_unit_test(the_command_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
