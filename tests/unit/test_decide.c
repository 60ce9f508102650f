/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single decisions: which refusal it is, for the rules whose order people see,
 * and what becomes of facts that nobody filled in. That no combination breaks
 * the promise is for test_promise.c to show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/decide.h"

/* Memory that nobody filled in refuses, and so does a value that no enum has:
 * whatever one day writes over a fact. */
static void
zeroed_and_impossible_facts_refuse(void **state)
{
	struct switches sw = { 0 };
	struct facts f = { 0 };

	(void)state;
	assert_int_equal(decide_mail(&sw, &f).verdict, VERDICT_TEMPFAIL);
	assert_int_equal(decide_rcpt(&sw, &f).verdict, VERDICT_TEMPFAIL);

#define BROKEN(member)                                                \
 do {                                                                 \
  struct facts g = good;                                              \
                                                                      \
  memset(&g.member, 0x4d, sizeof(g.member));                          \
  assert_int_not_equal(decide_rcpt(&sw, &g).verdict, VERDICT_PERMIT); \
 } while (0)
	struct facts good = {
		.zone = ZONE_EXTERNAL,
		.guessing = GUESSING_WITHIN,
		.tls = TLS_STRONG,
		.login = LOGIN_PRESENT,
		.identity = IDENTITY_VERIFIED,
		.identity_asked = true,
		.sender = ADDRESS_QUALIFIED,
		.sender_owned = TRI_YES,
		.recipient = ADDRESS_QUALIFIED,
		.recipient_routed = TRI_NO,
		.recipient_local = TRI_NO,
		.limit = LIMIT_WITHIN,
		.containment = CONTAINMENT_SLOWED,
		.recipient_limit = LIMIT_WITHIN,
	};
	assert_int_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	sw.sender_check = SENDER_CHECK_ENVELOPE;
	assert_int_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	sw.leases = LEASES_ON;
	BROKEN(guessing);
	BROKEN(tls);
	BROKEN(login);
	BROKEN(identity);
	BROKEN(sender);
	BROKEN(sender_owned);
	BROKEN(recipient);
	BROKEN(recipient_routed);
	BROKEN(limit);
	BROKEN(containment);
	BROKEN(recipient_limit);
	good.login = LOGIN_ABSENT;
	good.lease = LEASE_HELD;
	assert_int_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	BROKEN(guessing);
	BROKEN(tls);
	BROKEN(login);
	BROKEN(lease);
	BROKEN(sender);
	BROKEN(sender_owned);
	memset(&sw.leases, 0x4d, sizeof(sw.leases));
	assert_int_not_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	sw.leases = LEASES_ON;
	good.tls = TLS_ABSENT;
	memset(&sw.lease_tls, 0x4d, sizeof(sw.lease_tls));
	assert_int_not_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
}

static const struct facts outsider = {
	.zone = ZONE_EXTERNAL,
	.guessing = GUESSING_WITHIN,
	.tls = TLS_STRONG,
	.login = LOGIN_PRESENT,
	.identity = IDENTITY_VERIFIED,
	.identity_asked = true,
	.sender = ADDRESS_QUALIFIED,
	.sender_owned = TRI_YES,
	.limit = LIMIT_WITHIN,
	.containment = CONTAINMENT_NONE,
};

static void
expect(const char *what, const struct switches *sw, const struct facts *f,
    enum reason reason)
{
	struct decision d = decide_mail(sw, f);

	if (d.reason != reason || d.verdict != reason_row(reason)->verdict)
		fail_msg("%s: got %s, want %s", what,
		    reason_row(d.reason)->name, reason_row(reason)->name);
}

static void
clear_text_tells_nothing_of_the_login(void **state)
{
	struct switches sw = { 0 };
	struct facts f = outsider;

	(void)state;
	for (int login = 0; login <= (int)LOGIN_PRESENT; login++) {
		for (int id = 0; id <= (int)IDENTITY_UNPROVEN; id++) {
			f.login = (enum login_state)login;
			f.identity = (enum identity)id;
			f.tls = TLS_ABSENT;
			expect("clear", &sw, &f, REASON_EXTERNAL_WITHOUT_TLS);
			f.tls = TLS_WEAK;
			expect("weak", &sw, &f, REASON_TLS_TOO_WEAK);
		}
	}
}

static void
login_and_identity_have_their_own_replies(void **state)
{
	static const struct {
		const char *what;
		enum login_state login;
		enum identity identity;
		enum reason reason;
	} rows[] = {
		{ "no login", LOGIN_ABSENT, IDENTITY_VERIFIED,
		    REASON_EXTERNAL_WITHOUT_AUTH },
		{ "CRAM-MD5", LOGIN_MECHANISM_UNLISTED, IDENTITY_VERIFIED,
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "empty", LOGIN_MALFORMED, IDENTITY_VERIFIED,
		    REASON_IDENTITY_REFUSED },
		{ "verified", LOGIN_PRESENT, IDENTITY_VERIFIED,
		    REASON_AUTHENTICATED },
		{ "refused", LOGIN_PRESENT, IDENTITY_REFUSED,
		    REASON_IDENTITY_REFUSED },
		{ "disabled", LOGIN_PRESENT, IDENTITY_DISABLED,
		    REASON_IDENTITY_DISABLED },
		{ "undecided", LOGIN_PRESENT, IDENTITY_UNKNOWN,
		    REASON_IDENTITY_UNDECIDED },
		{ "unproven", LOGIN_PRESENT, IDENTITY_UNPROVEN,
		    REASON_SESSION_UNPROVEN },
	};
	struct switches sw = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct facts f = outsider;

		f.login = rows[i].login;
		f.identity = rows[i].identity;
		expect(rows[i].what, &sw, &f, rows[i].reason);
	}
}

static void
the_address_outweighs_an_undecided_login(void **state)
{
	struct switches sw = { 0 };
	struct facts f = outsider;

	(void)state;
	f.zone = ZONE_INTERNAL;
	f.tls = TLS_ABSENT;
	f.identity = IDENTITY_UNKNOWN;
	expect("undecided", &sw, &f, REASON_INTERNAL_NETWORK);
	f.identity = IDENTITY_UNPROVEN;
	expect("unproven", &sw, &f, REASON_INTERNAL_NETWORK);
	f.identity = IDENTITY_REFUSED;
	expect("refused", &sw, &f, REASON_IDENTITY_REFUSED);
	sw.auth_internal = AUTH_INTERNAL_IGNORE;
	expect("ignored", &sw, &f, REASON_INTERNAL_NETWORK);
	sw.sender_check = SENDER_CHECK_ENVELOPE;
	f.sender_owned = TRI_NO;
	expect("still not the owner", &sw, &f, REASON_SENDER_NOT_OWNED);
	f.sender = ADDRESS_NULL;
	expect("nobody's", &sw, &f, REASON_INTERNAL_NETWORK);
}

/* Whatever else there is to say to it: 421 and the connection is gone. */
static void
a_guesser_hears_nothing_else(void **state)
{
	static const enum guessing all[] = { GUESSING_UNKNOWN, GUESSING_OVER };
	static const enum reason reasons[] = { REASON_INTERNAL_ERROR,
		REASON_GUESSING };
	struct switches sw = { 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct facts f = outsider;

		f.guessing = all[i];
		expect("good login", &sw, &f, reasons[i]);
		f.tls = TLS_ABSENT;
		expect("clear text", &sw, &f, reasons[i]);
		f.login = LOGIN_ABSENT;
		f.role = ROLE_MX;
		expect("guest of the mx", &sw, &f, reasons[i]);
		f.sender = ADDRESS_MALFORMED;
		expect("bad sender", &sw, &f, reasons[i]);
		f.sender = ADDRESS_QUALIFIED;
		f.zone = ZONE_INTERNAL;
		expect("internal", &sw, &f, REASON_INTERNAL_NETWORK);
		f.zone = ZONE_UNKNOWN;
		expect("unknown zone", &sw, &f, reasons[i]);
	}
	assert_int_equal(reason_row(REASON_GUESSING)->code, 421);
	assert_int_equal(reason_row(REASON_SESSION_UNPROVEN)->code, 421);
}

static void
a_lease_takes_the_place_of_a_login(void **state)
{
	struct switches sw = { .leases = LEASES_ON };
	struct facts f = outsider;

	(void)state;
	f.login = LOGIN_ABSENT;
	f.lease = LEASE_HELD;
	expect("held", &sw, &f, REASON_LEASE);
	f.sender_owned = TRI_NO;
	expect("another's sender", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
	f.sender_owned = TRI_YES;
	f.sender = ADDRESS_NULL;
	expect("nobody's sender", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
	f.sender = ADDRESS_UNQUALIFIED;
	expect("half a sender", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
	f.sender = ADDRESS_QUALIFIED;
	f.lease = LEASE_NONE;
	expect("none", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
	f.lease = LEASE_UNKNOWN;
	expect("store away", &sw, &f, REASON_LEASE_UNDECIDED);
	assert_int_equal(reason_row(REASON_LEASE_UNDECIDED)->code, 451);
	sw.leases = LEASES_OFF;
	expect("off", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
	f.lease = LEASE_HELD;
	expect("off and held", &sw, &f, REASON_EXTERNAL_WITHOUT_AUTH);
}

static void
a_login_outweighs_a_lease(void **state)
{
	struct switches sw = { .leases = LEASES_ON };
	struct facts f = outsider;

	(void)state;
	f.lease = LEASE_HELD;
	expect("good login", &sw, &f, REASON_AUTHENTICATED);
	f.identity = IDENTITY_REFUSED;
	expect("bad login", &sw, &f, REASON_IDENTITY_REFUSED);
	f.login = LOGIN_MALFORMED;
	expect("malformed", &sw, &f, REASON_IDENTITY_REFUSED);
	f.login = LOGIN_MECHANISM_UNLISTED;
	expect("unlisted", &sw, &f, REASON_MECHANISM_NOT_ACCEPTED);
	f.login = LOGIN_ABSENT;
	f.role = ROLE_MX;
	expect("guest of the mx", &sw, &f, REASON_LOCAL_RECIPIENT);
}

/* Without require_tls a lease opens clear text to its holder, and tells nobody
 * else more than before. */
static void
a_lease_needs_tls_unless_told_otherwise(void **state)
{
	struct switches sw = { .leases = LEASES_ON };
	struct facts f = outsider;

	(void)state;
	f.login = LOGIN_ABSENT;
	f.lease = LEASE_HELD;
	f.tls = TLS_ABSENT;
	expect("clear", &sw, &f, REASON_EXTERNAL_WITHOUT_TLS);
	f.tls = TLS_WEAK;
	expect("weak", &sw, &f, REASON_TLS_TOO_WEAK);
	f.lease = LEASE_UNKNOWN;
	expect("weak, store away", &sw, &f, REASON_TLS_TOO_WEAK);
	sw.lease_tls = LEASE_TLS_OPTIONAL;
	expect("weak will do, store away", &sw, &f, REASON_LEASE_UNDECIDED);
	f.lease = LEASE_HELD;
	expect("weak will do", &sw, &f, REASON_LEASE);
	f.tls = TLS_ABSENT;
	expect("clear will do", &sw, &f, REASON_LEASE);
	f.sender_owned = TRI_NO;
	expect("another's sender", &sw, &f, REASON_EXTERNAL_WITHOUT_TLS);
	f.lease = LEASE_NONE;
	expect("none", &sw, &f, REASON_EXTERNAL_WITHOUT_TLS);
	f.login = LOGIN_PRESENT;
	f.lease = LEASE_HELD;
	f.sender_owned = TRI_YES;
	expect("a login in clear", &sw, &f, REASON_EXTERNAL_WITHOUT_TLS);
}

static void
limits_come_last_and_containment_first_of_them(void **state)
{
	struct switches sw = { .sender_check = SENDER_CHECK_ENVELOPE };
	struct facts f = outsider;

	(void)state;
	f.limit = LIMIT_OVER;
	expect("over", &sw, &f, REASON_OVER_LIMIT);
	f.sender = ADDRESS_NULL;
	expect("over with a null sender", &sw, &f, REASON_OVER_LIMIT);
	f.containment = CONTAINMENT_SHUT;
	expect("shut and over", &sw, &f, REASON_CONTAINED);
	f.sender = ADDRESS_QUALIFIED;
	f.sender_owned = TRI_NO;
	expect("shut, another's sender", &sw, &f, REASON_SENDER_NOT_OWNED);
	f.sender_owned = TRI_YES;
	f.zone = ZONE_INTERNAL;
	expect("shut and internal", &sw, &f, REASON_CONTAINED);
	f.zone = ZONE_EXTERNAL;
	f.login = LOGIN_ABSENT;
	f.role = ROLE_MX;
	expect("guest of the mx", &sw, &f, REASON_LOCAL_RECIPIENT);
}

static void
recipients_have_limits_of_their_own(void **state)
{
	static const struct {
		const char *what;
		enum containment containment;
		enum limit limit;
		enum tri local;
		enum reason reason;
	} rows[] = {
		{ "within", CONTAINMENT_NONE, LIMIT_WITHIN, TRI_NO,
		    REASON_AUTHENTICATED },
		{ "over", CONTAINMENT_SLOWED, LIMIT_OVER, TRI_YES,
		    REASON_OVER_LIMIT },
		{ "too many at once", CONTAINMENT_NONE, LIMIT_RECIPIENTS,
		    TRI_YES, REASON_TOO_MANY_RECIPIENTS },
		{ "slowed", CONTAINMENT_SLOWED, LIMIT_WITHIN, TRI_NO,
		    REASON_AUTHENTICATED },
		{ "to a colleague", CONTAINMENT_LOCAL, LIMIT_WITHIN, TRI_YES,
		    REASON_AUTHENTICATED },
		{ "to an outsider", CONTAINMENT_LOCAL, LIMIT_WITHIN, TRI_NO,
		    REASON_CONTAINED },
		{ "to who knows whom", CONTAINMENT_LOCAL, LIMIT_WITHIN,
		    TRI_UNKNOWN, REASON_INTERNAL_ERROR },
	};
	struct switches sw = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct facts f = outsider;
		struct decision d;

		f.recipient = ADDRESS_QUALIFIED;
		f.recipient_routed = TRI_NO;
		f.recipient_local = rows[i].local;
		f.recipient_limit = rows[i].limit;
		f.containment = rows[i].containment;
		d = decide_rcpt(&sw, &f);
		if (d.reason != rows[i].reason)
			fail_msg("%s: got %s, want %s", rows[i].what,
			    reason_row(d.reason)->name,
			    reason_row(rows[i].reason)->name);
	}
	assert_int_equal(reason_row(REASON_OVER_LIMIT)->code, 450);
	assert_int_equal(reason_row(REASON_TOO_MANY_RECIPIENTS)->code, 452);
	assert_int_equal(reason_row(REASON_CONTAINED)->code, 550);
}

static void
warn_passes_and_says_so(void **state)
{
	struct switches sw = { .sender_check = SENDER_CHECK_ENVELOPE,
		.sender_action = SENDER_ACTION_WARN };
	struct facts f = outsider;

	(void)state;
	f.sender_owned = TRI_NO;
	expect("warn", &sw, &f, REASON_AUTHENTICATED);
	assert_true(decide_mail(&sw, &f).sender_foreign);
	f.sender_owned = TRI_YES;
	assert_false(decide_mail(&sw, &f).sender_foreign);
}

static void
only_permits_permit(void **state)
{
	(void)state;
	for (int r = 0; r <= (int)REASON_COUNT; r++) {
		bool permits =
		    reason_row((enum reason)r)->verdict == VERDICT_PERMIT;

		assert_int_equal(decision_permit((enum reason)r).verdict ==
			VERDICT_PERMIT,
		    permits);
		assert_int_not_equal(decision_refuse((enum reason)r).verdict,
		    VERDICT_PERMIT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_and_impossible_facts_refuse),
		cmocka_unit_test(clear_text_tells_nothing_of_the_login),
		cmocka_unit_test(login_and_identity_have_their_own_replies),
		cmocka_unit_test(the_address_outweighs_an_undecided_login),
		cmocka_unit_test(a_guesser_hears_nothing_else),
		cmocka_unit_test(a_lease_takes_the_place_of_a_login),
		cmocka_unit_test(a_login_outweighs_a_lease),
		cmocka_unit_test(a_lease_needs_tls_unless_told_otherwise),
		cmocka_unit_test(
		    limits_come_last_and_containment_first_of_them),
		cmocka_unit_test(recipients_have_limits_of_their_own),
		cmocka_unit_test(warn_passes_and_says_so),
		cmocka_unit_test(only_permits_permit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
