/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is over which limit: attackers of every kind, and the people beside them
 * who must not notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "gate/guess.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* the defaults of the configuration */
static const struct conf_guessing limits = {
	.per_address = { 20, 10 * MINUTE },
	.per_network = { 60, 10 * MINUTE },
	.per_login = { 30, HOUR },
	.spare_ms = 24 * HOUR,
};

static struct login
login_of(const char *text)
{
	struct login login = { "" };

	(void)snprintf(login.text, sizeof(login.text), "%s@example.org", text);
	return login;
}

static struct netaddr
address_of(const char *text)
{
	struct netaddr addr = { .family = NETADDR_NONE };

	(void)netaddr_parse(text, &addr);
	return addr;
}

/* What identity_tag() gives: another one for every login and password. */
static void
tag_of(const char *login, const char *password,
    unsigned char tag_r[IDENTITY_TAG_LEN])
{
	uint64_t h = 14695981039346656037u;

	for (const char *p = login; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	h = (h ^ '@') * 1099511628211u;
	for (const char *p = password; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	memset(tag_r, 0, IDENTITY_TAG_LEN);
	memcpy(tag_r, &h, sizeof(h));
}

struct world {
	struct guess *guess;
	uint64_t now_ms;
	unsigned int asked; /* times that IMAP was asked */
};

static void
begin(struct world *w)
{
	w->guess = guess_new();
	assert_non_null(w->guess);
	w->now_ms = 1000 * HOUR;
	w->asked = 0;
}

/* One wrong password, as gate/ goes about it. Returns what was over before. */
static enum guess_limit
try_wrong(struct world *w, const char *from, const char *whose,
    const char *password)
{
	struct netaddr addr = address_of(from);
	struct login login = login_of(whose);
	unsigned char tag[IDENTITY_TAG_LEN];
	enum guess_limit over =
	    guess_over(w->guess, &limits, &addr, &login, &login, w->now_ms);

	if (over != GUESS_WITHIN)
		return over;
	w->asked++;
	tag_of(login.text, password, tag);
	(void)guess_failed(w->guess, &limits, &addr, &login, &login, tag,
	    w->now_ms);
	return GUESS_WITHIN;
}

static enum guess_limit
try_right(struct world *w, const char *from, const char *whose)
{
	struct netaddr addr = address_of(from);
	struct login login = login_of(whose);
	enum guess_limit over =
	    guess_over(w->guess, &limits, &addr, &login, &login, w->now_ms);

	if (over == GUESS_WITHIN)
		guess_succeeded(w->guess, &limits, &addr, &login, w->now_ms);
	return over;
}

static enum guess_limit
at_mail(struct world *w, const char *from, const char *whose)
{
	struct netaddr addr = address_of(from);
	struct login login = login_of(whose != NULL ? whose : "");

	return guess_client_over(w->guess, &limits, &addr,
	    whose != NULL ? &login : NULL, w->now_ms);
}

static void
expect(const char *what, enum guess_limit got, enum guess_limit want)
{
	if (got != want)
		fail_msg("%s: got %s, want %s", what, guess_limit_name(got),
		    guess_limit_name(want));
}

/* A thousand hosts, each of which tries once in two minutes: no address and no
 * network is ever conspicuous. */
static void
a_slow_distributed_guess_is_held_by_the_login(void **state)
{
	struct world w;
	char from[32], password[16];

	(void)state;
	begin(&w);
	expect("the owner", try_right(&w, "198.51.100.7", "alice"),
	    GUESS_WITHIN);
	for (unsigned int i = 0; i < 1000; i++) {
		(void)snprintf(from, sizeof(from), "20.%u.%u.9", i / 200,
		    i % 200);
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_wrong(&w, from, "alice", password);
		w.now_ms += MINUTE;
	}
	/* 30 an hour, over less than 17 hours */
	if (w.asked < 30 || w.asked > 17 * 30)
		fail_msg("IMAP was asked %u times, want at most %u", w.asked,
		    17 * 30);
	for (unsigned int i = 0; i < 40; i++) {
		(void)snprintf(from, sizeof(from), "22.0.%u.1", i);
		(void)snprintf(password, sizeof(password), "burst%u", i);
		(void)try_wrong(&w, from, "alice", password);
	}
	expect("another new host", try_wrong(&w, "23.0.0.1", "alice", "x"),
	    GUESS_PER_LOGIN);
	/* the owner: from where she is known; her neighbours anyway */
	expect("the owner", try_right(&w, "198.51.100.7", "alice"),
	    GUESS_WITHIN);
	expect("bob", try_right(&w, "198.51.100.8", "bob"), GUESS_WITHIN);
	expect("at MAIL", at_mail(&w, "22.0.1.1", NULL), GUESS_WITHIN);
	guess_free(&w.guess);
}

static void
a_login_is_one_in_any_case(void **state)
{
	struct world w;
	char name[] = "victimuser", from[32], password[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 200; i++) {
		for (unsigned int k = 0; k < 8; k++)
			name[k] = (char)((i >> k & 1) != 0 ? name[k] & ~0x20
							   : name[k] | 0x20);
		(void)snprintf(from, sizeof(from), "20.0.%u.9", i);
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_wrong(&w, from, name, password);
	}
	if (w.asked != 30)
		fail_msg("IMAP was asked %u times, want 30", w.asked);
	guess_free(&w.guess);
	/* whoever is spared under one spelling is not under another: it may be
	 * somebody else's */
	begin(&w);
	expect("one", try_right(&w, "198.51.100.7", "Alice"), GUESS_WITHIN);
	for (unsigned int i = 0; i < 30; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_wrong(&w, "198.51.100.7", "alice", password);
	}
	expect("the other", try_wrong(&w, "198.51.100.7", "alice", "x"),
	    GUESS_PER_ADDRESS);
	expect("one", try_right(&w, "198.51.100.7", "Alice"), GUESS_WITHIN);
	guess_free(&w.guess);
}

static void
a_spray_is_held_by_the_address(void **state)
{
	struct world w;
	char whose[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 500; i++) {
		(void)snprintf(whose, sizeof(whose), "user%u", i);
		expect(whose, try_wrong(&w, "203.0.113.9", whose, "Winter26"),
		    i < 20 ? GUESS_WITHIN : GUESS_PER_ADDRESS);
	}
	assert_int_equal(w.asked, 20);
	expect("at MAIL", at_mail(&w, "203.0.113.9", NULL), GUESS_PER_ADDRESS);
	expect("at MAIL, any login", at_mail(&w, "203.0.113.9", "user3"),
	    GUESS_PER_ADDRESS);
	expect("its neighbour", at_mail(&w, "203.0.113.10", NULL),
	    GUESS_WITHIN);
	guess_free(&w.guess);
}

static void
a_spread_over_a_network_is_held_by_the_network(void **state)
{
	static const struct {
		bool ipv6;
		const char *inside;
		const char *outside;
	} rows[] = {
		{ false, "203.0.113.250", "203.0.112.1" },
		{ true, "2001:db8:7:ffff::1", "2001:db8:8::1" },
	};

	(void)state;
	for (size_t row = 0; row < 2; row++) {
		struct world w;
		char from[64], whose[16];

		begin(&w);
		for (unsigned int i = 1; i <= 200; i++) {
			if (rows[row].ipv6)
				(void)snprintf(from, sizeof(from),
				    "2001:db8:7:%x::1", i);
			else
				(void)snprintf(from, sizeof(from),
				    "203.0.113.%u", i);
			(void)snprintf(whose, sizeof(whose), "user%u", i);
			expect(from, try_wrong(&w, from, whose, "Winter26"),
			    i <= 60 ? GUESS_WITHIN : GUESS_PER_NETWORK);
		}
		expect("inside", at_mail(&w, rows[row].inside, NULL),
		    GUESS_PER_NETWORK);
		expect("outside", at_mail(&w, rows[row].outside, NULL),
		    GUESS_WITHIN);
		guess_free(&w.guess);
	}
}

/* A host owns a whole /64 and hops about in it. */
static void
one_ipv6_client_is_its_64(void **state)
{
	struct world w;
	char from[64], password[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(from, sizeof(from), "2001:db8:7:1::%x", i + 1);
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_wrong(&w, from, "alice", password);
	}
	expect("the same /64", try_wrong(&w, "2001:db8:7:1:aa::1", "bob", "x"),
	    GUESS_PER_ADDRESS);
	expect("the next /64", try_wrong(&w, "2001:db8:7:2::1", "bob", "x"),
	    GUESS_WITHIN);
	guess_free(&w.guess);
}

/* Ninety people behind one address, and a phone that has been wrong for days
 * and nights. */
static void
an_office_behind_one_address_works(void **state)
{
	struct world w;
	char whose[16];

	(void)state;
	begin(&w);
	for (unsigned int minute = 0; minute < 2 * 24 * 60; minute++) {
		expect("the phone",
		    try_wrong(&w, "198.51.100.7", "phone", "last year's"),
		    GUESS_WITHIN);
		(void)snprintf(whose, sizeof(whose), "user%u", minute % 90);
		expect(whose, try_right(&w, "198.51.100.7", whose),
		    GUESS_WITHIN);
		if (minute % 7 == 0)
			expect("a slip",
			    try_wrong(&w, "198.51.100.7", whose, "slip"),
			    GUESS_WITHIN);
		w.now_ms += MINUTE;
	}
	expect("at MAIL", at_mail(&w, "198.51.100.7", NULL), GUESS_WITHIN);
	guess_free(&w.guess);
}

/* Somebody in the office goes wild: those who logged in there lately do not
 * notice, and a stranger's login is not tried from there. */
static void
the_owner_is_spared_where_she_is_known(void **state)
{
	struct world w;
	char password[16];

	(void)state;
	begin(&w);
	expect("alice", try_right(&w, "198.51.100.7", "alice"), GUESS_WITHIN);
	for (unsigned int i = 0; i < 100; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)try_wrong(&w, "198.51.100.7", "mallory", password);
		/* an owner who has forgotten which one it was */
		expect("alice mistypes",
		    try_wrong(&w, "198.51.100.7", "alice", password),
		    GUESS_WITHIN);
	}
	expect("alice", try_right(&w, "198.51.100.7", "alice"), GUESS_WITHIN);
	expect("alice at MAIL", at_mail(&w, "198.51.100.7", "alice"),
	    GUESS_WITHIN);
	expect("bob", try_right(&w, "198.51.100.7", "bob"), GUESS_PER_ADDRESS);
	expect("bob at MAIL", at_mail(&w, "198.51.100.7", "bob"),
	    GUESS_PER_ADDRESS);
	/* what alice mistyped was not counted */
	expect("alice elsewhere", try_right(&w, "192.0.2.1", "alice"),
	    GUESS_WITHIN);
	w.now_ms += 24 * HOUR - 1;
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "again%u", i);
		(void)try_wrong(&w, "198.51.100.7", "mallory", password);
	}
	expect("alice, a day later but one moment",
	    at_mail(&w, "198.51.100.7", "alice"), GUESS_WITHIN);
	w.now_ms += 1;
	expect("alice, a day later", at_mail(&w, "198.51.100.7", "alice"),
	    GUESS_PER_ADDRESS);
	guess_free(&w.guess);
}

static void
what_is_older_than_the_window_is_forgiven(void **state)
{
	struct netaddr addr = address_of("203.0.113.9");
	struct login login = login_of("alice");
	unsigned char tag[IDENTITY_TAG_LEN];
	struct world w;
	char password[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		tag_of(login.text, password, tag);
		expect(password,
		    guess_failed(w.guess, &limits, &addr, &login, &login, tag,
			w.now_ms),
		    i < 19 ? GUESS_WITHIN : GUESS_PER_ADDRESS);
		/* the same again is no news */
		expect(password,
		    guess_failed(w.guess, &limits, &addr, &login, &login, tag,
			w.now_ms),
		    GUESS_WITHIN);
	}
	expect("at once", at_mail(&w, "203.0.113.9", NULL), GUESS_PER_ADDRESS);
	w.now_ms += 10 * MINUTE - 1;
	expect("9:59.999", at_mail(&w, "203.0.113.9", NULL), GUESS_PER_ADDRESS);
	w.now_ms += 1;
	expect("10:00", at_mail(&w, "203.0.113.9", NULL), GUESS_WITHIN);
	/* the login's window is an hour: twenty are on it, ten more may be */
	for (unsigned int i = 0; i < 10; i++) {
		(void)snprintf(password, sizeof(password), "more%u", i);
		expect(password, try_wrong(&w, "192.0.2.1", "alice", password),
		    GUESS_WITHIN);
	}
	expect("the login", try_wrong(&w, "192.0.2.2", "alice", "x"),
	    GUESS_PER_LOGIN);
	w.now_ms += HOUR;
	expect("an hour later", try_wrong(&w, "192.0.2.2", "alice", "x"),
	    GUESS_WITHIN);
	guess_free(&w.guess);
}

static void
without_an_address_only_the_login_counts(void **state)
{
	struct world w;
	char text[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(text, sizeof(text), "user%u", i);
		expect(text, try_wrong(&w, "-", text, "Winter26"),
		    GUESS_WITHIN);
	}
	expect("nobody at MAIL", at_mail(&w, "-", NULL), GUESS_WITHIN);
	/* a success spares nobody: it would spare everybody */
	expect("alice", try_right(&w, "-", "alice"), GUESS_WITHIN);
	for (unsigned int i = 0; i < 40; i++) {
		(void)snprintf(text, sizeof(text), "pw%u", i);
		expect(text, try_wrong(&w, "-", "alice", text),
		    i < 30 ? GUESS_WITHIN : GUESS_PER_LOGIN);
	}
	guess_free(&w.guess);
}

/* Whoever has a botnet and time must not fill the host's memory, nor wash away
 * what counts just now. */
static void
memory_has_an_end(void **state)
{
	struct guess_size size;
	struct world w;
	char from[32], whose[16];

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < 300000; i++) {
		struct netaddr addr;
		struct login login;
		unsigned char tag[IDENTITY_TAG_LEN];

		(void)snprintf(from, sizeof(from), "%u.%u.%u.1", 20 + i / 65536,
		    i / 256 % 256, i % 256);
		(void)snprintf(whose, sizeof(whose), "user%u", i);
		addr = address_of(from);
		login = login_of(whose);
		tag_of(whose, "Winter26", tag);
		(void)guess_failed(w.guess, &limits, &addr, &login, &login, tag,
		    w.now_ms);
		guess_succeeded(w.guess, &limits, &addr, &login, w.now_ms);
		if (i % 1000 == 0 && i / 1000 < 30) {
			addr = address_of("-");
			login = login_of("alice");
			tag_of(whose, "alice's", tag);
			(void)guess_failed(w.guess, &limits, &addr, &login,
			    &login, tag, w.now_ms);
		}
		if (i == 40000)
			expect("alice", try_wrong(&w, "192.0.2.1", "alice", ""),
			    GUESS_PER_LOGIN);
	}
	guess_measure(w.guess, &size);
	assert_int_equal(size.keys, GUESS_KEYS_MAX);
	assert_int_equal(size.spares, GUESS_KEYS_MAX);
	assert_true(size.tags <= GUESS_TAGS_MAX);
	guess_free(&w.guess);
}

/* However many wrong passwords each of them may have. */
static void
wide_limits_do_not_lift_the_bound(void **state)
{
	static const struct conf_guessing wide = {
		.per_address = { 10000, 24 * HOUR },
		.per_network = { 10000, 24 * HOUR },
		.per_login = { 10000, 24 * HOUR },
	};
	struct netaddr addr = { .family = NETADDR_NONE };
	struct guess *guess = guess_new();
	struct guess_size size;

	(void)state;
	assert_non_null(guess);
	for (unsigned int i = 0; i < 6000; i++) {
		struct login login;
		char whose[16];

		(void)snprintf(whose, sizeof(whose), "user%u", i);
		login = login_of(whose);
		for (unsigned int n = 0; n < 200; n++) {
			unsigned char tag[IDENTITY_TAG_LEN] = { 0 };

			memcpy(tag, &n, sizeof(n));
			(void)guess_failed(guess, &wide, &addr, &login, &login,
			    tag, n);
		}
		guess_measure(guess, &size);
		if (size.tags > GUESS_TAGS_MAX)
			fail_msg("got room for %zu passwords, want at most %d",
			    size.tags, GUESS_TAGS_MAX);
	}
	assert_true(size.keys < 6000 && size.keys > 3500);
	guess_free(&guess);
}

static void *
hammer(void *arg)
{
	struct world *shared = arg;
	char from[32];

	for (unsigned int i = 0; i < 3000; i++) {
		struct world w = *shared;

		(void)snprintf(from, sizeof(from), "203.0.%u.%u", i % 7,
		    i % 50);
		(void)try_wrong(&w, from, "alice", from);
		(void)try_right(&w, from, "bob");
		(void)at_mail(&w, from, "bob");
	}
	return NULL;
}

static void
any_thread_may_ask(void **state)
{
	pthread_t threads[4];
	struct world w;

	(void)state;
	begin(&w);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &w),
		    0);
	for (size_t i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	expect("alice", try_wrong(&w, "192.0.2.1", "alice", "x"),
	    GUESS_PER_LOGIN);
	guess_free(&w.guess);
}

static void
networks_have_names(void **state)
{
	static const char *const rows[][2] = {
		{ "203.0.113.9", "203.0.113.0/24" },
		{ "2001:db8:7:8::1", "2001:db8:7::/48" },
		{ "-", "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct netaddr addr = address_of(rows[i][0]);
		char text[NET_TEXT_MAX];

		guess_network(&addr, text);
		assert_string_equal(text, rows[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_distributed_guess_is_held_by_the_login),
		cmocka_unit_test(a_login_is_one_in_any_case),
		cmocka_unit_test(a_spray_is_held_by_the_address),
		cmocka_unit_test(
		    a_spread_over_a_network_is_held_by_the_network),
		cmocka_unit_test(one_ipv6_client_is_its_64),
		cmocka_unit_test(an_office_behind_one_address_works),
		cmocka_unit_test(the_owner_is_spared_where_she_is_known),
		cmocka_unit_test(what_is_older_than_the_window_is_forgiven),
		cmocka_unit_test(without_an_address_only_the_login_counts),
		cmocka_unit_test(memory_has_an_end),
		cmocka_unit_test(wide_limits_do_not_lift_the_bound),
		cmocka_unit_test(any_thread_may_ask),
		cmocka_unit_test(networks_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
