/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases: what counts as a login in what IMAP servers write, whose login gives
 * one, and what a session makes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/feed.h"
#include "gate/lease.h"
#include "tests/lib/house.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* --- lines --- */

#define SYSLOG  "Nov 21 14:00:00 mail dovecot: "
#define DOVECOT SYSLOG "imap-login: Login: "
#define REST    ", method=PLAIN, rip=192.0.2.7, lip=192.0.2.1"
#define CYRUS   "Nov 21 14:00:00 mail cyrus/imaps[77]: login: "
#define IN      " PLAIN+TLS User logged in SESSIONID=<mail-77-1-2>"

static const struct {
	const char *line;
	const char *want; /* "USER ADDRESS SOURCE"; NULL: no login */
} lines[] = {
	{ DOVECOT "user=<alice>" REST ", mpid=12, TLS, session=<dPQ/AAAB>",
	    "alice 192.0.2.7 dovecot" },
	{ SYSLOG "imap-login: Info: Login: user=<alice>" REST
		 ", mpid=12, TLS, session=<a>",
	    "alice 192.0.2.7 dovecot" },
	{ SYSLOG "imap-login: Logged in: user=<alice@example.org>" REST
		 ", session=<a>",
	    "alice@example.org 192.0.2.7 dovecot" },
	{ SYSLOG "pop3-login: Login: user=<alice>" REST ", secured",
	    "alice 192.0.2.7 dovecot" },
	{ "2026-11-21T14:00:00.123456+00:00 mail dovecot[9]: imap-login: "
	  "Login: user=<alice>" REST,
	    "alice 192.0.2.7 dovecot" },
	{ "2026-11-21 14:00:00 imap-login: Info: Login: user=<alice>" REST,
	    "alice 192.0.2.7 dovecot" },
	{ "Nov  1 14:00:00 imap-login: Info: Login: user=<alice>, "
	  "method=SCRAM-SHA-256, rip=2001:db8::7, lip=::1, TLS",
	    "alice 2001:db8::7 dovecot" },
	{ "imap-login: Login: user=<alice>" REST, "alice 192.0.2.7 dovecot" },
	{ CYRUS "client.example.org [192.0.2.7] alice" IN,
	    "alice 192.0.2.7 cyrus" },
	{ CYRUS "[2001:db8::7] alice" IN, "alice 2001:db8::7 cyrus" },
	{ "Nov 21 14:00:00 mail imap[77]: login: localhost [192.0.2.7] "
	  "alice@example.org plaintext+TLS User logged in",
	    "alice@example.org 192.0.2.7 cyrus" },
	{ "Nov 21 14:00:00 mail pop3s[77]: login: h [192.0.2.7] alice PLAIN "
	  "User logged in SESSIONID=<a>",
	    "alice 192.0.2.7 cyrus" },

	/* other lines of theirs */
	{ SYSLOG "imap-login: Disconnected (auth failed, 1 attempts in 2 "
		 "secs): user=<alice>" REST ", TLS, session=<a>",
	    NULL },
	{ SYSLOG "imap-login: Aborted login: user=<alice>" REST, NULL },
	{ SYSLOG "submission-login: Login: user=<alice>" REST, NULL },
	{ SYSLOG "managesieve-login: Login: user=<alice>" REST, NULL },
	{ SYSLOG "imap(alice)<1><a>: Logged out in=1 out=2", NULL },
	{ "Nov 21 14:00:00 mail postfix/smtpd[1]: imap-login: Login: "
	  "user=<alice>" REST,
	    NULL },
	{ "Nov 21 14:00:00 mail cyrus/lmtp[7]: login: h [192.0.2.7] alice" IN,
	    NULL },
	{ "Nov 21 14:00:00 mail sieve[7]: login: h [192.0.2.7] alice" IN,
	    NULL },
	{ "Nov 21 14:00:00 mail cyrus/imaps[77]: badlogin: h [192.0.2.7] "
	  "alice" IN,
	    NULL },
	{ "", NULL },

	/* a failed login by the name of a good line */
	{ SYSLOG "imap-login: Disconnected (auth failed, 1 attempts in 2 "
		 "secs): user=<x>, method=PLAIN, rip=192.0.2.66, lip=1.1.1.1 "
		 "imap-login: Login: user=<alice>" REST,
	    NULL },
	{ SYSLOG "auth: Info: client " DOVECOT "user=<alice>" REST, NULL },
	{ CYRUS "h [192.0.2.66] x badlogin: h [192.0.2.7] alice" IN, NULL },
	/* a name that brings its own address */
	{ DOVECOT "user=<alice>, method=PLAIN, rip=192.0.2.7, "
		  "lip=192.0.2.1>, method=PLAIN, rip=192.0.2.66, lip=1.1.1.1",
	    NULL },
	{ DOVECOT "user=<alice, rip=192.0.2.7>, method=PLAIN, "
		  "rip=192.0.2.66, lip=1.1.1.1",
	    NULL },
	{ DOVECOT "user=<a b>" REST, NULL },
	{ DOVECOT "user=<a<b>" REST, NULL },
	{ DOVECOT "user=<a\x01"
		  "b>" REST,
	    NULL },
	{ DOVECOT "user=<>" REST, NULL },
	{ CYRUS "h [192.0.2.66] alice PLAIN User logged in [192.0.2.7] x" IN,
	    NULL },
	{ CYRUS "h [192.0.2.7] bob [192.0.2.66] alice" IN, NULL },
	/* reverse DNS by the name of a good line */
	{ CYRUS "[192.0.2.7] alice PLAIN User logged in [192.0.2.66] b" IN,
	    NULL },
	{ CYRUS "a(b [192.0.2.7] alice" IN, NULL },
	/* something before, between or behind */
	{ " " DOVECOT "user=<alice>" REST, NULL },
	{ DOVECOT "user=<alice>" REST ", TLS, rip=192.0.2.66", NULL },
	{ DOVECOT "user=<alice>" REST ", TLS x", NULL },
	{ DOVECOT "user=<alice>" REST ", ", NULL },
	{ DOVECOT "user=<alice>, method=PLAIN, lip=192.0.2.1", NULL },
	{ DOVECOT "user=<alice>, rip=192.0.2.7, lip=192.0.2.1", NULL },
	{ CYRUS "h [192.0.2.7] alice" IN " x", NULL },
	{ CYRUS "h [192.0.2.7] alice PLAIN+TLS User logged inside", NULL },
};

static void
lines_are_logins_or_not(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char *copy = strdup(lines[i].line), got[400] = "nothing";
		const char *want =
		    lines[i].want != NULL ? lines[i].want : "nothing";
		struct feed_login login;

		assert_non_null(copy);
		if (feed_line(copy, strlen(copy), &login))
			(void)snprintf(got, sizeof(got), "%s %s %s", login.user,
			    login.addr, login.source);
		if (strcmp(got, want) != 0) {
			print_error("%s\n  got:  %s\n  want: %s\n",
			    lines[i].line, got, want);
			failures++;
		}
		free(copy);
	}
	assert_int_equal(failures, 0);
}

/* What is not one cannot become one by losing its end, and what is one only by
 * losing a part that says nothing. */
static void
a_cut_line_names_nobody_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		for (size_t len = 0; len < strlen(lines[i].line); len++) {
			char got[400];
			struct feed_login login;

			if (!feed_line(lines[i].line, len, &login))
				continue;
			(void)snprintf(got, sizeof(got), "%s %s ", login.user,
			    login.addr);
			if (strstr(got, "alice") == NULL)
				fail_msg("%.*s: %s", (int)len, lines[i].line,
				    got);
		}
	}
}

/* --- JSON --- */

#define EVENT(fields)                                                      \
 "{\"event\":\"auth_request_finished\",\"hostname\":\"vm\",\"categories\"" \
 ":[\"auth\",\"service:auth\"],\"fields\":{\"duration\":83,"               \
 "\"mechanism\":\"PLAIN\",\"local_ip\":\"127.0.0.1\"," fields "}}"
#define GOOD                                                             \
 "\"success\":\"yes\",\"service\":\"imap\",\"remote_ip\":\"192.0.2.7\"," \
 "\"user\":\"alice\""
#define REPORT(fields)                                          \
 "{\"device_id\":\"\",\"login\":\"alice\",\"pwhash\":\"0b64\"," \
 "\"session_id\":\"UJK1\",\"tls\":true," fields "}"
#define YES "\"protocol\":\"imap\",\"remote\":\"192.0.2.7\",\"success\":true"

static const struct {
	const char *text;
	bool report;
	enum feed want;
} reports[] = {
	{ EVENT(GOOD), false, FEED_LOGIN },
	{ EVENT(GOOD ",\"master_user\":\"\",\"original_user\":\"Alice\""),
	    false, FEED_LOGIN },
	{ EVENT(GOOD ",\"master_user\":\"postern\""), false, FEED_IGNORED },
	{ EVENT(GOOD ",\"master_user\":null"), false, FEED_IGNORED },
	{ EVENT("\"service\":\"imap\",\"remote_ip\":\"192.0.2.7\","
		"\"user\":\"alice\""),
	    false, FEED_IGNORED },
	{ EVENT("\"success\":\"no\",\"service\":\"imap\",\"remote_ip\":"
		"\"192.0.2.7\",\"user\":\"alice\""),
	    false, FEED_IGNORED },
	{ EVENT("\"success\":true,\"service\":\"imap\",\"remote_ip\":"
		"\"192.0.2.7\",\"user\":\"alice\""),
	    false, FEED_IGNORED },
	{ EVENT("\"success\":\"yes\",\"service\":\"smtp\",\"remote_ip\":"
		"\"192.0.2.7\",\"user\":\"alice\""),
	    false, FEED_IGNORED },
	{ EVENT("\"success\":\"yes\",\"service\":\"submission\","
		"\"remote_ip\":\"192.0.2.7\",\"user\":\"alice\""),
	    false, FEED_IGNORED },
	{ EVENT("\"success\":\"yes\",\"service\":\"imap\","
		"\"user\":\"alice\""),
	    false, FEED_MALFORMED },
	{ EVENT("\"success\":\"yes\",\"service\":\"imap\",\"remote_ip\":"
		"\"192.0.2.7\""),
	    false, FEED_MALFORMED },
	{ "{\"event\":\"auth_request_finished\"}", false, FEED_MALFORMED },
	{ "{\"event\":\"imap_command_finished\",\"fields\":{" GOOD "}}", false,
	    FEED_IGNORED },
	{ "{}", false, FEED_MALFORMED },
	{ "[]", false, FEED_MALFORMED },
	{ "", false, FEED_MALFORMED },
	{ EVENT(GOOD) "x", false, FEED_MALFORMED },
	{ EVENT(GOOD ",\"user\":\"bob\""), false, FEED_MALFORMED },
	{ EVENT("\"success\":\"yes\",\"service\":\"imap\",\"remote_ip\":"
		"\"192.0.2.7\",\"user\":\"ali\\u0000ce\""),
	    false, FEED_MALFORMED },
	/* nobody said what it is */
	{ REPORT(YES), false, FEED_LOGIN },
	{ REPORT("\"protocol\":\"imap\",\"remote\":\"192.0.2.7\","
		 "\"success\":false"),
	    false, FEED_IGNORED },
	{ REPORT("\"protocol\":\"imap\",\"remote\":\"192.0.2.7\","
		 "\"success\":\"yes\""),
	    false, FEED_MALFORMED },
	{ REPORT("\"protocol\":\"imap\",\"remote\":\"192.0.2.7\""), false,
	    FEED_MALFORMED },
	{ REPORT(YES ",\"event\":\"imap_command_finished\""), false,
	    FEED_IGNORED },
	{ REPORT(YES), true, FEED_LOGIN },
	{ REPORT(YES ",\"policy_reject\":false"), true, FEED_LOGIN },
	{ REPORT(YES ",\"policy_reject\":true"), true, FEED_IGNORED },
	{ REPORT(YES ",\"policy_reject\":\"no\""), true, FEED_IGNORED },
	{ REPORT("\"protocol\":\"pop3\",\"remote\":\"192.0.2.7\","
		 "\"success\":true"),
	    true, FEED_LOGIN },
	{ REPORT("\"protocol\":\"smtp\",\"remote\":\"192.0.2.7\","
		 "\"success\":true"),
	    true, FEED_IGNORED },
	{ REPORT("\"protocol\":\"imap\",\"remote\":\"192.0.2.7\","
		 "\"success\":false"),
	    true, FEED_IGNORED },
	{ REPORT("\"protocol\":\"imap\",\"remote\":\"192.0.2.7\","
		 "\"success\":\"true\""),
	    true, FEED_MALFORMED },
	{ REPORT("\"protocol\":\"imap\",\"success\":true"), true,
	    FEED_MALFORMED },
	{ EVENT(GOOD), true, FEED_MALFORMED },
};

static void
reports_are_logins_or_not(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		const char *why = NULL, *text = reports[i].text;
		struct feed_login login;
		enum feed got = feed_json(text, strlen(text), reports[i].report,
		    &login, &why);

		assert_non_null(why);
		if (got != reports[i].want ||
		    (got == FEED_LOGIN &&
			(strcmp(login.user, "alice") != 0 ||
			    strcmp(login.addr, "192.0.2.7") != 0))) {
			print_error("%s\n  got %d (%s, %s at %s), want %d\n",
			    text, (int)got, why, login.user, login.addr,
			    (int)reports[i].want);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

/* --- who gets one --- */

#define HEAD                                                   \
 "internal = {\"10.0.0.0/8\", \"!10.0.0.1\"}\n"                \
 "local_domains = {\"example.org\"}\n"                         \
 "listener \"smtp\" { role = \"mx\" }\n"                       \
 "auth { realm = \"example.org\" mechanisms = {\"PLAIN\"} }\n" \
 "senders { own = {\"%u@%d\"} }\n"                             \
 "imap \"main\" { url = \"imaps://h\" domains = {\"example.org\"} }\n"
#define SITE                                                                \
 HEAD "leases { enabled = true ttl = \"90s\" except = {\"192.0.2.128/25\"," \
      " \"2001:db8:1::/48\"} }\n"

static struct lease_login
told(const char *user, const char *addr)
{
	return (struct lease_login){
		.user = user,
		.user_len = strlen(user),
		.addr = addr,
		.addr_len = strlen(addr),
		.source = "test",
	};
}

struct stored {
	char dir[64];
	struct store *store;
};

static void
open_stored(struct stored *s)
{
	struct store_options options = { .url = "lmdb:", .state_dir = s->dir };
	struct err e = { "" };

	house_make_dir(s->dir);
	s->store = store_open(&options, &e);
	if (s->store == NULL)
		fail_msg("%s", e.text);
}

static void
close_stored(struct stored *s)
{
	store_close(&s->store);
	house_remove_dir(s->dir);
}

static void
some_logins_give_none(void **state)
{
	static const struct {
		const char *user;
		const char *addr;
		enum lease_given want;
	} rows[] = {
		{ "alice", "192.0.2.7", LEASE_GIVEN },
		{ "alice@EXAMPLE.org", "::ffff:192.0.2.7", LEASE_GIVEN },
		{ "alice", "2001:db8::7", LEASE_GIVEN },
		{ "alice", "192.0.2.129", LEASE_IGNORED },
		{ "alice", "2001:db8:1::7", LEASE_IGNORED },
		{ "alice", "10.0.0.1", LEASE_IGNORED }, /* excluded */
		{ "alice", "10.0.0.2", LEASE_IGNORED }, /* internal */
		{ "alice", "127.0.0.1", LEASE_IGNORED },
		{ "alice", "127.9.9.9", LEASE_IGNORED },
		{ "alice", "::1", LEASE_IGNORED },
		{ "alice", "", LEASE_IGNORED },
		{ "alice", "192.0.2.7 ", LEASE_IGNORED },
		{ "alice", "192.0.2", LEASE_IGNORED },
		{ "alice", "fe80::1%eth0", LEASE_IGNORED },
		{ "", "192.0.2.7", LEASE_IGNORED },
		{ "alice\r", "192.0.2.7", LEASE_IGNORED },
		{ "alice*postern", "192.0.2.7", LEASE_IGNORED },
		{ "postern", "192.0.2.7", LEASE_IGNORED },
		{ "postern@example.org", "192.0.2.7", LEASE_IGNORED },
		{ "alice@example.net", "192.0.2.7", LEASE_IGNORED },
	};
	struct rules *rules = house_rules(SITE);
	struct store_lease lease;
	struct stored s;
	const char *why;

	(void)state;
	open_stored(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lease_login login = told(rows[i].user, rows[i].addr);
		enum lease_given got =
		    lease_give(s.store, rules, &login, 1000, &lease, &why);

		if (got != rows[i].want)
			fail_msg("%s at %s: got %d (%s), want %d", rows[i].user,
			    rows[i].addr, (int)got, why != NULL ? why : "-",
			    (int)rows[i].want);
		if (got == LEASE_GIVEN) {
			assert_string_equal(lease.login.text,
			    "alice@example.org");
			assert_int_equal(lease.until_ms, 91000);
		}
	}
	struct lease_login login = told("alice", "192.0.2.7");
	assert_int_equal(lease_give(NULL, rules, &login, 1000, &lease, &why),
	    LEASE_FAILED);
	rules_free(&rules);
	rules = house_rules(HEAD);
	assert_int_equal(lease_give(s.store, rules, &login, 1000, &lease, &why),
	    LEASE_IGNORED);
	rules_free(&rules);
	close_stored(&s);
}

/* postern's own checks of passwords, which name the client to IMAP, are logins
 * at SMTP; what another proxy says of its clients is another matter. */
static void
what_came_by_way_of_this_host_gives_none(void **state)
{
	static const struct {
		const char *fields;
		enum lease_given want;
	} rows[] = {
		{ GOOD, LEASE_GIVEN },
		{ GOOD ",\"real_remote_ip\":\"192.0.2.7\"", LEASE_GIVEN },
		{ GOOD ",\"real_remote_ip\":\"192.0.2.200\"", LEASE_GIVEN },
		{ GOOD ",\"real_remote_ip\":\"127.0.0.1\"", LEASE_IGNORED },
		{ GOOD ",\"real_remote_ip\":\"::1\"", LEASE_IGNORED },
		{ GOOD ",\"real_remote_ip\":\"\"", LEASE_GIVEN },
		{ GOOD ",\"real_remote_ip\":7", LEASE_IGNORED },
	};
	struct rules *rules = house_rules(SITE);
	struct stored s;

	(void)state;
	open_stored(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct feed_login told_login;
		struct lease_login login;
		struct store_lease lease;
		const char *why;
		char text[600];
		enum lease_given got;

		(void)snprintf(text, sizeof(text), EVENT("%s"), rows[i].fields);
		assert_int_equal(
		    feed_json(text, strlen(text), false, &told_login, &why),
		    FEED_LOGIN);
		login = feed_as_lease(&told_login);
		got = lease_give(s.store, rules, &login, 1000, &lease, &why);
		if (got != rows[i].want)
			fail_msg("%s: got %d (%s), want %d", rows[i].fields,
			    (int)got, why != NULL ? why : "-",
			    (int)rows[i].want);
	}
	rules_free(&rules);
	close_stored(&s);
}

/* What a wider configuration once gave, a narrower one does not honour. */
static void
barred_addresses_hold_none_that_are_there(void **state)
{
	static const char *const barred[] = { "192.0.2.129", "10.0.0.1",
		"127.0.0.1", "::1", "2001:db8:1::7" };
	struct login holders[LEASE_HOLDERS_MAX];
	struct rules *rules = house_rules(SITE);
	const struct policy *policy = &rules->conf->policy;
	struct store_lease lease = { .until_ms = 5000, .source = "test" };
	struct netaddr addr;
	struct stored s;

	(void)state;
	open_stored(&s);
	(void)snprintf(lease.login.text, sizeof(lease.login.text), "%s",
	    "alice@example.org");
	for (size_t i = 0; i < ARRAY_LEN(barred); i++) {
		assert_int_equal(netaddr_parse(barred[i], &lease.addr), 0);
		assert_int_equal(store_lease_put(s.store, &lease), 0);
		assert_int_equal(
		    lease_holders(s.store, policy, &lease.addr, 1000, holders),
		    0);
	}
	(void)netaddr_parse("192.0.2.7", &lease.addr);
	assert_int_equal(store_lease_put(s.store, &lease), 0);
	assert_int_equal(
	    lease_holders(s.store, policy, &lease.addr, 4999, holders), 1);
	assert_string_equal(holders[0].text, "alice@example.org");
	assert_int_equal(
	    lease_holders(s.store, policy, &lease.addr, 5000, holders), 0);
	(void)netaddr_parse("192.0.2.8", &addr);
	assert_int_equal(lease_holders(s.store, policy, &addr, 1000, holders),
	    0);
	(void)netaddr_parse("2001:db8::7", &lease.addr);
	assert_int_equal(store_lease_put(s.store, &lease), 0);
	(void)netaddr_parse("2001:db8::8", &addr);
	assert_int_equal(lease_holders(s.store, policy, &addr, 1000, holders),
	    0);
	assert_int_equal(lease_holders(NULL, policy, &addr, 1000, holders), -1);
	rules_free(&rules);
	close_stored(&s);
}

/* --- a session --- */

static struct {
	int count; /* -1: the store is away */
	const char *names[3];
	unsigned int asked;
} holders;

static int
tell_holders(void *arg, const struct rules *rules, const struct netaddr *peer,
    struct login logins_r[LEASE_HOLDERS_MAX])
{
	(void)arg;
	(void)rules;
	(void)peer;
	holders.asked++;
	for (int i = 0; i < holders.count; i++)
		(void)snprintf(logins_r[i].text, sizeof(logins_r[i].text), "%s",
		    holders.names[i]);
	return holders.count;
}

static enum reason
mail(struct session *session, const char *path, bool tls, const char *resolved)
{
	struct mail_event event = house_event(path, NULL);

	event.resolved = resolved;
	if (!tls)
		event.tls_version = event.cipher = event.cipher_bits = NULL;
	return house_mail_event(session, &event);
}

/* Where alice holds a lease, and bob if there are two. */
static struct session *
open_leased(struct house *house, const char *text, const char *address,
    const char *listener)
{
	house_open(house, text);
	gate_set_leases(house->gate, tell_holders, NULL);
	memset(&holders, 0, sizeof(holders));
	holders.count = 1;
	holders.names[0] = "alice@example.org";
	holders.names[1] = "bob@example.org";
	return house_client(house, address, listener);
}

static void
a_session_takes_the_holder_who_owns_the_sender(void **state)
{
	static const char *const to = "<x@elsewhere.example>";
	struct house house;
	struct session *s =
	    open_leased(&house, SITE, "192.0.2.7", "submission");

	(void)state;
	holders.count = 2;
	assert_int_equal(mail(s, "<alice@example.org>", true, NULL),
	    REASON_LEASE);
	assert_string_equal(session_login(s)->text, "alice@example.org");
	EXPECT(house_rcpt(s, to), REASON_LEASE);
	assert_int_equal(holders.asked, 1);
	assert_int_equal(mail(s, "<bob+list@example.org>", true, NULL),
	    REASON_LEASE);
	assert_string_equal(session_login(s)->text, "bob@example.org");
	assert_int_equal(mail(s, "<carol@example.org>", true, NULL),
	    REASON_EXTERNAL_WITHOUT_AUTH);
	assert_string_equal(session_login(s)->text, "");
	EXPECT(house_rcpt(s, to), REASON_EXTERNAL_WITHOUT_AUTH);
	/* what the MTA will send as counts, too */
	assert_int_equal(
	    mail(s, "<bob@example.org>", true, "carol@example.org"),
	    REASON_EXTERNAL_WITHOUT_AUTH);
	holders.asked = 0;
	assert_int_equal(mail(s, "<>", true, NULL),
	    REASON_EXTERNAL_WITHOUT_AUTH);
	assert_int_equal(mail(s, "<alice@example.org>", false, NULL),
	    REASON_EXTERNAL_WITHOUT_TLS);
	assert_int_equal(holders.asked, 0);
	holders.count = -1;
	assert_int_equal(mail(s, "<alice@example.org>", true, NULL),
	    REASON_LEASE_UNDECIDED);
	holders.count = 0;
	assert_int_equal(mail(s, "<alice@example.org>", true, NULL),
	    REASON_EXTERNAL_WITHOUT_AUTH);
	session_free(&s);
	house_close(&house);
}

static void
nobody_is_asked_about_who_needs_no_lease(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		const char *listener;
		enum reason want;
	} rows[] = {
		{ SITE, "10.0.0.2", "submission", REASON_INTERNAL_NETWORK },
		{ SITE, "192.0.2.7", "smtp", REASON_LOCAL_RECIPIENT },
		{ HEAD, "192.0.2.7", "submission",
		    REASON_EXTERNAL_WITHOUT_AUTH },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct house house;
		struct session *s = open_leased(&house, rows[i].text,
		    rows[i].address, rows[i].listener);

		assert_int_equal(mail(s, "<alice@example.org>", true, NULL),
		    rows[i].want);
		assert_int_equal(holders.asked, 0);
		session_free(&s);
		house_close(&house);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_logins_or_not),
		cmocka_unit_test(a_cut_line_names_nobody_else),
		cmocka_unit_test(reports_are_logins_or_not),
		cmocka_unit_test(some_logins_give_none),
		cmocka_unit_test(what_came_by_way_of_this_host_gives_none),
		cmocka_unit_test(barred_addresses_hold_none_that_are_there),
		cmocka_unit_test(
		    a_session_takes_the_holder_who_owns_the_sender),
		cmocka_unit_test(nobody_is_asked_about_who_needs_no_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
