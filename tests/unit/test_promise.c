/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every combination of facts and switches, judged by the rules and by an
 * oracle that was written from the promise and not from the rules. The oracle
 * states what a permit needs; it knows no order and no reply codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/decide.h"

/* --- the oracle --- */

static bool
login_given(const struct facts *f)
{
	return f->login == LOGIN_PRESENT || f->login == LOGIN_MALFORMED;
}

/* (a) the client's own address is in the internal networks */
static bool
warrant_address(const struct facts *f)
{
	return f->zone == ZONE_INTERNAL;
}

/* (b) on TLS, authenticated, and IMAP says that it is a live account */
static bool
warrant_login(const struct facts *f)
{
	return f->tls == TLS_STRONG && f->login == LOGIN_PRESENT &&
	    f->identity == IDENTITY_VERIFIED;
}

/* (d) the listener is a public MX, and nobody claims to be anybody */
static bool
warrant_mx(const struct facts *f)
{
	return f->role == ROLE_MX && f->login == LOGIN_ABSENT;
}

/* What narrows a MAIL that has a warrant. */
static bool
mail_is_narrowed(const struct switches *sw, const struct facts *f)
{
	bool guest = !warrant_address(f) && !warrant_login(f);
	bool says_no = f->login == LOGIN_MALFORMED ||
	    (f->login == LOGIN_PRESENT &&
		(f->identity == IDENTITY_REFUSED ||
		    f->identity == IDENTITY_DISABLED));

	if (warrant_address(f) && says_no &&
	    sw->auth_internal == AUTH_INTERNAL_CHECK)
		return true;
	if (f->sender != ADDRESS_NULL && f->sender != ADDRESS_QUALIFIED &&
	    !(guest && f->sender == ADDRESS_UNQUALIFIED))
		return true;
	return login_given(f) && f->sender != ADDRESS_NULL &&
	    sw->sender_check == SENDER_CHECK_ENVELOPE &&
	    sw->sender_action == SENDER_ACTION_REJECT &&
	    f->sender_owned != TRI_YES;
}

/* Nobody but the house may try passwords without end, and who was not looked up
 * is not known to be innocent. */
static bool
guesses_passwords(const struct facts *f)
{
	return !warrant_address(f) && f->guessing != GUESSING_WITHIN;
}

static bool
mail_may_pass(const struct switches *sw, const struct facts *f)
{
	if (guesses_passwords(f))
		return false;
	if (!warrant_address(f) && !warrant_login(f) && !warrant_mx(f))
		return false;
	return !mail_is_narrowed(sw, f);
}

static bool
rcpt_may_pass(const struct switches *sw, const struct facts *f)
{
	bool guest = !warrant_address(f) && !warrant_login(f);

	if (!mail_may_pass(sw, f))
		return false;
	if (guest && f->recipient_local != TRI_YES)
		return false;
	if (f->recipient_routed != TRI_NO &&
	    !(f->recipient_routed == TRI_YES && warrant_address(f) &&
		sw->routed == ROUTED_ALLOW_INTERNAL))
		return false;
	return f->recipient == ADDRESS_QUALIFIED ||
	    (guest && f->recipient == ADDRESS_UNQUALIFIED);
}

/* --- the walk --- */

struct counts {
	uint64_t judged;
	uint64_t permits;
	uint64_t wrong;
};

static void
complain(const char *stage, const struct switches *sw, const struct facts *f,
    const struct decision *d, bool may_pass)
{
	print_error(
	    "%s: got %s (%s), the promise says %s: zone=%d role=%d "
	    "tls=%d login=%d identity=%d asked=%d guessing=%d sender=%d owned=%d "
	    "recipient=%d routed=%d local=%d; internal=%d check=%d "
	    "action=%d routed=%d\n",
	    stage, verdict_name(d->verdict), reason_row(d->reason)->name,
	    may_pass ? "permit" : "no permit", (int)f->zone, (int)f->role,
	    (int)f->tls, (int)f->login, (int)f->identity, f->identity_asked,
	    (int)f->guessing, (int)f->sender, (int)f->sender_owned,
	    (int)f->recipient, (int)f->recipient_routed,
	    (int)f->recipient_local, (int)sw->auth_internal,
	    (int)sw->sender_check, (int)sw->sender_action, (int)sw->routed);
}

/* The verdict is the oracle's, and the decision is sound in itself. A NEED may
 * stand only where the answer is still out. */
static void
judge(const char *stage, const struct switches *sw, const struct facts *f,
    struct decision d, bool may_pass, struct counts *counts)
{
	const struct reason_row *row = reason_row(d.reason);
	bool right;

	counts->judged++;
	switch (d.verdict) {
	case VERDICT_PERMIT:
		counts->permits++;
		right = may_pass && row->verdict == VERDICT_PERMIT;
		break;
	case VERDICT_NEED:
		right = d.need == FACT_IDENTITY && !f->identity_asked &&
		    f->identity == IDENTITY_UNKNOWN &&
		    f->login == LOGIN_PRESENT && !guesses_passwords(f);
		break;
	case VERDICT_REJECT:
		right = !may_pass && row->verdict == VERDICT_REJECT &&
		    row->code / 100 == 5 && row->xcode[0] == '5';
		break;
	case VERDICT_TEMPFAIL:
		right = !may_pass && row->verdict == VERDICT_TEMPFAIL &&
		    row->code / 100 == 4 && row->xcode[0] == '4';
		break;
	default:
		right = false;
	}
	if (!right && counts->wrong++ < 10)
		complain(stage, sw, f, &d, may_pass);
}

/* clang-format off */
#define MAIL_DIALS(X) \
	X(sw->auth_internal, enum auth_internal, 2) \
	X(sw->sender_check, enum sender_check, 2) \
	X(sw->sender_action, enum sender_action, 2) \
	X(sw->routed, enum routed_action, 2) \
	X(f->zone, enum zone, 3) \
	X(f->guessing, enum guessing, 3) \
	X(f->role, enum role, 2) \
	X(f->tls, enum tls_strength, 3) \
	X(f->login, enum login_state, 4) \
	X(f->identity, enum identity, 5) \
	X(f->identity_asked, bool, 2) \
	X(f->sender, enum address_form, 6) \
	X(f->sender_owned, enum tri, 3)

#define RCPT_DIALS(X) \
	X(f->recipient, enum address_form, 6) \
	X(f->recipient_routed, enum tri, 3) \
	X(f->recipient_local, enum tri, 3)
/* clang-format on */

#define TIMES(field, type, values) *(values)
#define SET(field, type, values) \
 field = (type)(n % (values));   \
 n /= (values);

static const uint64_t mail_combinations = 1 MAIL_DIALS(TIMES);
static const uint64_t rcpt_combinations = 1 RCPT_DIALS(TIMES);

static void
set_mail(uint64_t n, struct switches *sw, struct facts *f)
{
	MAIL_DIALS(SET)
}

static void
set_rcpt(uint64_t n, struct facts *f)
{
	RCPT_DIALS(SET)
}

static void
every_combination_keeps_the_promise(void **state)
{
	struct counts mail = { 0 }, rcpt = { 0 };
	struct switches sw = { 0 };
	struct facts f = { 0 };

	(void)state;
	for (uint64_t m = 0; m < mail_combinations; m++) {
		set_mail(m, &sw, &f);
		judge("MAIL", &sw, &f, decide_mail(&sw, &f),
		    mail_may_pass(&sw, &f), &mail);
		for (uint64_t r = 0; r < rcpt_combinations; r++) {
			set_rcpt(r, &f);
			judge("RCPT", &sw, &f, decide_rcpt(&sw, &f),
			    rcpt_may_pass(&sw, &f), &rcpt);
		}
	}
	print_message(
	    "judged %ju combinations at MAIL (%ju permits) and %ju at "
	    "RCPT (%ju permits)\n",
	    (uintmax_t)mail.judged, (uintmax_t)mail.permits,
	    (uintmax_t)rcpt.judged, (uintmax_t)rcpt.permits);
	assert_int_equal(mail.wrong, 0);
	assert_int_equal(rcpt.wrong, 0);
	assert_true(mail.permits > 0 && rcpt.permits > 0);
}

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
	};
	assert_int_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	sw.sender_check = SENDER_CHECK_ENVELOPE;
	assert_int_equal(decide_rcpt(&sw, &good).verdict, VERDICT_PERMIT);
	BROKEN(guessing);
	BROKEN(tls);
	BROKEN(login);
	BROKEN(identity);
	BROKEN(sender);
	BROKEN(sender_owned);
	BROKEN(recipient);
	BROKEN(recipient_routed);
}

/* --- which refusal, for the rules whose order people see --- */

static const struct facts outsider = {
	.zone = ZONE_EXTERNAL,
	.guessing = GUESSING_WITHIN,
	.tls = TLS_STRONG,
	.login = LOGIN_PRESENT,
	.identity = IDENTITY_VERIFIED,
	.identity_asked = true,
	.sender = ADDRESS_QUALIFIED,
	.sender_owned = TRI_YES,
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
		cmocka_unit_test(every_combination_keeps_the_promise),
		cmocka_unit_test(zeroed_and_impossible_facts_refuse),
		cmocka_unit_test(clear_text_tells_nothing_of_the_login),
		cmocka_unit_test(login_and_identity_have_their_own_replies),
		cmocka_unit_test(the_address_outweighs_an_undecided_login),
		cmocka_unit_test(a_guesser_hears_nothing_else),
		cmocka_unit_test(warn_passes_and_says_so),
		cmocka_unit_test(only_permits_permit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
