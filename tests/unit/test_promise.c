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

/*
 * (c) leases are on, and somebody who owns this very sender address has lately
 * logged in at IMAP from here. Nobody's address and one that is not even an
 * address are owned by nobody, whatever the facts may claim.
 */
static bool
warrant_lease(const struct switches *sw, const struct facts *f)
{
	bool safe = f->tls == TLS_STRONG || sw->lease_tls == LEASE_TLS_OPTIONAL;

	return sw->leases == LEASES_ON && safe && f->role == ROLE_SUBMISSION &&
	    f->login == LOGIN_ABSENT && f->lease == LEASE_HELD &&
	    f->sender == ADDRESS_QUALIFIED && f->sender_owned == TRI_YES;
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

/* Whom nothing but the open door of a public MX lets in. */
static bool
is_guest(const struct switches *sw, const struct facts *f)
{
	return !warrant_address(f) && !warrant_login(f) &&
	    !warrant_lease(sw, f);
}

/* Who is known has a measure: unknown, it is not kept. */
static bool
sends_too_much(const struct switches *sw, const struct facts *f)
{
	bool in_step = f->containment == CONTAINMENT_NONE ||
	    f->containment == CONTAINMENT_SLOWED ||
	    f->containment == CONTAINMENT_LOCAL;

	return !is_guest(sw, f) && !(in_step && f->limit == LIMIT_WITHIN);
}

static bool
recipient_is_too_much(const struct switches *sw, const struct facts *f)
{
	if (is_guest(sw, f))
		return false;
	if (f->containment == CONTAINMENT_LOCAL &&
	    f->recipient_local != TRI_YES)
		return true;
	return f->recipient_limit != LIMIT_WITHIN;
}

static bool
mail_may_pass(const struct switches *sw, const struct facts *f)
{
	if (guesses_passwords(f) || sends_too_much(sw, f))
		return false;
	if (!warrant_address(f) && !warrant_login(f) && !warrant_lease(sw, f) &&
	    !warrant_mx(f))
		return false;
	return !mail_is_narrowed(sw, f);
}

static bool
rcpt_may_pass(const struct switches *sw, const struct facts *f)
{
	bool guest =
	    !warrant_address(f) && !warrant_login(f) && !warrant_lease(sw, f);

	if (!mail_may_pass(sw, f) || recipient_is_too_much(sw, f))
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

/*
 * What cannot be decided is refused for now: this is the best that the open
 * facts may turn out to be, and what waiting mends. Who may pass then is never
 * sent away for good.
 */
static struct facts
hope(const struct facts *f)
{
	struct facts best = *f;

	if (f->identity == IDENTITY_UNKNOWN || f->identity == IDENTITY_UNPROVEN)
		best.identity = IDENTITY_VERIFIED;
	if (f->lease == LEASE_NOT_ASKED || f->lease == LEASE_UNKNOWN) {
		best.lease = LEASE_HELD;
		if (f->login == LOGIN_ABSENT)
			best.sender_owned = TRI_YES;
	}
	if (f->sender == ADDRESS_UNKNOWN)
		best.sender = ADDRESS_QUALIFIED;
	if (f->sender_owned == TRI_UNKNOWN)
		best.sender_owned = TRI_YES;
	if (f->containment == CONTAINMENT_NOT_ASKED)
		best.containment = CONTAINMENT_NONE;
	if (f->recipient == ADDRESS_UNKNOWN)
		best.recipient = ADDRESS_QUALIFIED;
	if (f->recipient_routed == TRI_UNKNOWN)
		best.recipient_routed = TRI_NO;
	if (f->recipient_local == TRI_UNKNOWN)
		best.recipient_local = TRI_YES;
	best.guessing = GUESSING_WITHIN;
	best.limit = LIMIT_WITHIN;
	best.recipient_limit = LIMIT_WITHIN;
	return best;
}

/* --- the walk --- */

struct stage {
	const char *name;
	bool (*may_pass)(const struct switches *sw, const struct facts *f);
};

static const struct stage at_mail = { "MAIL", mail_may_pass };
static const struct stage at_rcpt = { "RCPT", rcpt_may_pass };

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
	    "tls=%d login=%d identity=%d asked=%d guessing=%d lease=%d sender=%d "
	    "owned=%d recipient=%d routed=%d local=%d; internal=%d check=%d "
	    "action=%d routed=%d leases=%d lease_tls=%d; limit=%d "
	    "containment=%d recipient_limit=%d\n",
	    stage, verdict_name(d->verdict), reason_row(d->reason)->name,
	    may_pass ? "permit" : "no permit", (int)f->zone, (int)f->role,
	    (int)f->tls, (int)f->login, (int)f->identity, f->identity_asked,
	    (int)f->guessing, (int)f->lease, (int)f->sender,
	    (int)f->sender_owned, (int)f->recipient, (int)f->recipient_routed,
	    (int)f->recipient_local, (int)sw->auth_internal,
	    (int)sw->sender_check, (int)sw->sender_action, (int)sw->routed,
	    (int)sw->leases, (int)sw->lease_tls, (int)f->limit,
	    (int)f->containment, (int)f->recipient_limit);
}

/* Is this the question, still open, on whose answer it depends? Nobody who
 * guesses passwords makes postern ask anything. */
static bool
need_is_right(const struct switches *sw, const struct facts *f, enum fact need)
{
	struct facts held = *f;

	if (guesses_passwords(f))
		return false;
	switch (need) {
	case FACT_IDENTITY:
		return !f->identity_asked && f->identity == IDENTITY_UNKNOWN &&
		    f->login == LOGIN_PRESENT;
	case FACT_LEASE:
		held.lease = LEASE_HELD;
		held.sender_owned = TRI_YES;
		return f->lease == LEASE_NOT_ASKED && !warrant_address(f) &&
		    warrant_lease(sw, &held);
	case FACT_LIMIT:
		held.limit = LIMIT_WITHIN;
		held.containment = CONTAINMENT_NONE;
		return (f->limit == LIMIT_NOT_ASKED ||
			   f->containment == CONTAINMENT_NOT_ASKED) &&
		    mail_may_pass(sw, &held);
	case FACT_RECIPIENT_LIMIT:
		held.recipient_limit = LIMIT_WITHIN;
		return f->recipient_limit == LIMIT_NOT_ASKED &&
		    rcpt_may_pass(sw, &held);
	case FACT_NONE:
		break;
	}
	return false;
}

/* The verdict is the oracle's, and the decision is sound in itself. A NEED may
 * stand only where the answer is still out. */
static void
judge(const struct stage *stage, const struct switches *sw,
    const struct facts *f, struct decision d, struct counts *counts)
{
	const struct reason_row *row = reason_row(d.reason);
	bool may_pass = stage->may_pass(sw, f);
	struct facts best;
	bool right;

	counts->judged++;
	switch (d.verdict) {
	case VERDICT_PERMIT:
		counts->permits++;
		right = may_pass && row->verdict == VERDICT_PERMIT;
		break;
	case VERDICT_NEED:
		right = need_is_right(sw, f, d.need);
		break;
	case VERDICT_REJECT:
		best = hope(f);
		right = !may_pass && !stage->may_pass(sw, &best) &&
		    row->verdict == VERDICT_REJECT && row->code / 100 == 5 &&
		    row->xcode[0] == '5';
		break;
	case VERDICT_TEMPFAIL:
		right = !may_pass && row->verdict == VERDICT_TEMPFAIL &&
		    row->code / 100 == 4 && row->xcode[0] == '4';
		break;
	default:
		right = false;
	}
	if (!right && counts->wrong++ < 10)
		complain(stage->name, sw, f, &d, may_pass);
}

/* clang-format off */
#define MAIL_DIALS(X) \
	X(sw->auth_internal, enum auth_internal, 2) \
	X(sw->sender_check, enum sender_check, 2) \
	X(sw->sender_action, enum sender_action, 2) \
	X(sw->routed, enum routed_action, 2) \
	X(sw->leases, enum leases, 2) \
	X(sw->lease_tls, enum lease_tls, 2) \
	X(f->zone, enum zone, 3) \
	X(f->guessing, enum guessing, 3) \
	X(f->role, enum role, 2) \
	X(f->tls, enum tls_strength, 3) \
	X(f->login, enum login_state, 4) \
	X(f->identity, enum identity, 5) \
	X(f->identity_asked, bool, 2) \
	X(f->lease, enum lease, 4) \
	X(f->sender, enum address_form, 6) \
	X(f->sender_owned, enum tri, 3)

/* Of somebody whom everything else lets pass. */
#define LIMIT_DIALS(X) \
	X(f->limit, enum limit, 4) \
	X(f->containment, enum containment, 5)

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
static const uint64_t limit_combinations = 1 LIMIT_DIALS(TIMES);
static const uint64_t rcpt_combinations = 1 RCPT_DIALS(TIMES);

static void
set_mail(uint64_t n, struct switches *sw, struct facts *f)
{
	MAIL_DIALS(SET)
}

static void
set_limit(uint64_t n, struct facts *f)
{
	LIMIT_DIALS(SET)
}

static void
set_rcpt(uint64_t n, struct facts *f)
{
	RCPT_DIALS(SET)
}

/* A recipient, with every measure of its own if it passes with the best. */
static void
judge_rcpt(const struct switches *sw, struct facts *f, uint64_t n,
    struct counts *counts)
{
	struct decision d;

	set_rcpt(n, f);
	f->recipient_limit = LIMIT_WITHIN;
	d = decide_rcpt(sw, f);
	judge(&at_rcpt, sw, f, d, counts);
	for (int limit = 0; limit <= (int)LIMIT_RECIPIENTS &&
	     d.verdict == VERDICT_PERMIT && f->containment == CONTAINMENT_NONE;
	     limit++) {
		f->recipient_limit = (enum limit)limit;
		judge(&at_rcpt, sw, f, decide_rcpt(sw, f), counts);
	}
}

/* The recipient to whom the least can be objected. */
static uint64_t
find_best_rcpt(void)
{
	static uint64_t n = 0;
	struct facts f = { 0 };

	if (n > 0)
		return n - 1;
	do
		set_rcpt(n++, &f);
	while (f.recipient != ADDRESS_QUALIFIED ||
	    f.recipient_routed != TRI_NO || f.recipient_local != TRI_YES);
	return n - 1;
}

/*
 * Every RCPT after a MAIL that passes, by the rules or by the oracle. After one
 * that does not pass no RCPT can: the best one is tried, and the others in
 * turn. So they are when nothing but its own limit is asked of a recipient.
 */
static void
judge_all(const struct switches *sw, struct facts *f, uint64_t turn,
    struct counts *mail, struct counts *rcpt)
{
	struct decision d = decide_mail(sw, f);
	bool may_pass = mail_may_pass(sw, f);

	judge(&at_mail, sw, f, d, mail);
	if ((!may_pass && d.verdict != VERDICT_PERMIT) ||
	    f->containment == CONTAINMENT_SLOWED) {
		judge_rcpt(sw, f, find_best_rcpt(), rcpt);
		judge_rcpt(sw, f, turn % rcpt_combinations, rcpt);
		return;
	}
	for (uint64_t r = 0; r < rcpt_combinations; r++)
		judge_rcpt(sw, f, r, rcpt);
}

/*
 * Every MAIL there is, of somebody who sends little; and who passes then, with
 * every measure. Who does not pass then cannot pass with another: those are
 * tried in turn.
 */
static void
every_combination_keeps_the_promise(void **state)
{
	struct counts mail = { 0 }, rcpt = { 0 };
	struct switches sw = { 0 };
	struct facts f = { 0 };

	(void)state;
	for (uint64_t m = 0; m < mail_combinations; m++) {
		bool passes;

		set_mail(m, &sw, &f);
		f.limit = LIMIT_WITHIN;
		f.containment = CONTAINMENT_NONE;
		passes = mail_may_pass(&sw, &f) ||
		    decide_mail(&sw, &f).verdict == VERDICT_PERMIT;
		judge_all(&sw, &f, m, &mail, &rcpt);
		for (uint64_t l = 0; passes && l < limit_combinations; l++) {
			set_limit(l, &f);
			judge_all(&sw, &f, m, &mail, &rcpt);
		}
		set_limit(m % limit_combinations, &f);
		judge_all(&sw, &f, m, &mail, &rcpt);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_keeps_the_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
