/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules, in the order in which they bind. First the warrant (address,
 * login, lease or local recipient), then whatever narrows it. Each predicate
 * looks at one attribute; only this file combines them. It must not fetch,
 * remember or log.
 */
#include "policy/decide.h"

/* Only the peer's address makes a client internal. */
static bool
client_is_internal(const struct facts *f)
{
	switch (f->zone) {
	case ZONE_INTERNAL:
		return true;
	case ZONE_EXTERNAL:
	case ZONE_UNKNOWN:
		break;
	}
	return false;
}

/* A public MX takes mail for the local domains from anybody (RFC 5321). */
static bool
client_is_mx_guest(const struct facts *f)
{
	return f->role == ROLE_MX && f->login == LOGIN_ABSENT &&
	    !client_is_internal(f);
}

/* Only IMAP can say that an account is alive; the MTA's word is not enough. */
static enum tri
login_is_live(const struct facts *f)
{
	switch (f->identity) {
	case IDENTITY_VERIFIED:
		return TRI_YES;
	case IDENTITY_REFUSED:
	case IDENTITY_DISABLED:
		return TRI_NO;
	case IDENTITY_UNPROVEN:
	case IDENTITY_UNKNOWN:
		break;
	}
	return TRI_UNKNOWN;
}

static bool
identity_is_due(const struct facts *f)
{
	return f->identity == IDENTITY_UNKNOWN && !f->identity_asked;
}

static struct decision
refuse_login(const struct facts *f)
{
	if (f->identity == IDENTITY_DISABLED)
		return decision_refuse(REASON_IDENTITY_DISABLED);
	return decision_refuse(REASON_IDENTITY_REFUSED);
}

/* The only door to a permit for an outsider with a login. */
static struct decision
judge_identity(const struct facts *f)
{
	switch (login_is_live(f)) {
	case TRI_YES:
		return decision_permit(REASON_AUTHENTICATED);
	case TRI_NO:
		return refuse_login(f);
	case TRI_UNKNOWN:
		break;
	}
	if (identity_is_due(f))
		return decision_need(FACT_IDENTITY);
	/* somebody let this login in, but not by postern's door */
	if (f->identity == IDENTITY_UNPROVEN)
		return decision_refuse(REASON_SESSION_UNPROVEN);
	return decision_refuse(REASON_IDENTITY_UNDECIDED);
}

/*
 * The address is warrant enough. A login that is presented all the same may
 * take it away, but only by a clear no: IMAP's troubles are not the printer's.
 */
static struct decision
judge_internal(const struct switches *sw, const struct facts *f)
{
	struct decision permit = decision_permit(REASON_INTERNAL_NETWORK);

	if (sw->auth_internal == AUTH_INTERNAL_IGNORE)
		return permit;
	switch (f->login) {
	case LOGIN_ABSENT:
	case LOGIN_MECHANISM_UNLISTED:
		return permit;
	case LOGIN_MALFORMED:
		return decision_refuse(REASON_IDENTITY_REFUSED);
	case LOGIN_PRESENT:
		break;
	}
	switch (login_is_live(f)) {
	case TRI_YES:
		return permit;
	case TRI_NO:
		return refuse_login(f);
	case TRI_UNKNOWN:
		break;
	}
	return identity_is_due(f) ? decision_need(FACT_IDENTITY) : permit;
}

static struct decision
judge_login(const struct facts *f)
{
	switch (f->login) {
	case LOGIN_ABSENT:
		return decision_refuse(REASON_EXTERNAL_WITHOUT_AUTH);
	case LOGIN_MECHANISM_UNLISTED:
		return decision_refuse(REASON_MECHANISM_NOT_ACCEPTED);
	case LOGIN_MALFORMED:
		return decision_refuse(REASON_IDENTITY_REFUSED);
	case LOGIN_PRESENT:
		return judge_identity(f);
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

static struct decision
judge_lease_sender(const struct facts *f, struct decision otherwise)
{
	switch (f->sender_owned) {
	case TRI_YES:
		return decision_permit(REASON_LEASE);
	case TRI_NO:
		return otherwise;
	case TRI_UNKNOWN:
		break;
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/*
 * A lease is its holder's, at one address, for the holder's own senders: a
 * null or foreign sender has none. Without a lease the other rules go on:
 * otherwise.
 */
static struct decision
judge_lease(const struct facts *f, struct decision otherwise)
{
	if (f->sender == ADDRESS_UNKNOWN)
		return decision_refuse(REASON_INTERNAL_ERROR);
	if (f->sender != ADDRESS_QUALIFIED)
		return otherwise;
	switch (f->lease) {
	case LEASE_NOT_ASKED:
		return decision_need(FACT_LEASE);
	case LEASE_UNKNOWN:
		return decision_refuse(REASON_LEASE_UNDECIDED);
	case LEASE_NONE:
		return otherwise;
	case LEASE_HELD:
		return judge_lease_sender(f, otherwise);
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* TLS comes before the login, so that clear text never tells a good password
 * from a bad one (RFC 8314, 4.1). */
static struct decision
judge_session(const struct facts *f)
{
	switch (f->tls) {
	case TLS_ABSENT:
		return decision_refuse(REASON_EXTERNAL_WITHOUT_TLS);
	case TLS_WEAK:
		return decision_refuse(REASON_TLS_TOO_WEAK);
	case TLS_STRONG:
		return judge_login(f);
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* Who presents a login is judged by it, lease or not. */
static struct decision
judge_stranger(const struct switches *sw, const struct facts *f)
{
	struct decision d;

	if (client_is_mx_guest(f))
		return decision_permit(REASON_LOCAL_RECIPIENT);
	d = judge_session(f);
	if (sw->leases != LEASES_ON || f->login != LOGIN_ABSENT)
		return d;
	if (f->tls != TLS_STRONG && sw->lease_tls != LEASE_TLS_OPTIONAL)
		return d;
	return judge_lease(f, d);
}

/* Who guesses passwords is heard in nothing else. */
static struct decision
judge_external(const struct switches *sw, const struct facts *f)
{
	switch (f->guessing) {
	case GUESSING_WITHIN:
		return judge_stranger(sw, f);
	case GUESSING_OVER:
		return decision_refuse(REASON_GUESSING);
	case GUESSING_UNKNOWN:
		break;
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* Who presents a login sends as its owner, wherever the client is. */
static struct decision
judge_ownership(const struct switches *sw, const struct facts *f,
    struct decision warrant)
{
	if (sw->sender_check == SENDER_CHECK_OFF || f->login == LOGIN_ABSENT ||
	    f->login == LOGIN_MECHANISM_UNLISTED)
		return warrant;
	if (f->sender_owned == TRI_YES)
		return warrant;
	if (sw->sender_action == SENDER_ACTION_WARN) {
		warrant.sender_foreign = true;
		return warrant;
	}
	if (f->sender_owned == TRI_NO)
		return decision_refuse(REASON_SENDER_NOT_OWNED);
	return decision_refuse(REASON_INTERNAL_ERROR);
}

static struct decision
judge_sender(const struct switches *sw, const struct facts *f,
    struct decision warrant)
{
	switch (f->sender) {
	case ADDRESS_UNKNOWN:
		return decision_refuse(REASON_INTERNAL_ERROR);
	case ADDRESS_MALFORMED:
		return decision_refuse(REASON_SENDER_MALFORMED);
	case ADDRESS_NOT_ASCII:
		return decision_refuse(REASON_SENDER_NOT_ASCII);
	case ADDRESS_NULL:
		return warrant; /* nobody's (RFC 6409, 3.2) */
	case ADDRESS_UNQUALIFIED:
		if (!client_is_mx_guest(f))
			return decision_refuse(REASON_SENDER_NOT_FQDN);
		return warrant;
	case ADDRESS_QUALIFIED:
		return judge_ownership(sw, f, warrant);
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* Who is known by nothing cannot be counted; a guest is its MTA's to limit. */
static struct decision
judge_limit(const struct facts *f, struct decision warrant)
{
	if (warrant.reason == REASON_LOCAL_RECIPIENT)
		return warrant;
	switch (f->containment) {
	case CONTAINMENT_NOT_ASKED:
		return decision_need(FACT_LIMIT);
	case CONTAINMENT_SHUT:
		return decision_refuse(REASON_CONTAINED);
	case CONTAINMENT_NONE:
	case CONTAINMENT_SLOWED:
	case CONTAINMENT_LOCAL:
		switch (f->limit) {
		case LIMIT_NOT_ASKED:
			return decision_need(FACT_LIMIT);
		case LIMIT_WITHIN:
			return warrant;
		case LIMIT_OVER:
			return decision_refuse(REASON_OVER_LIMIT);
		case LIMIT_RECIPIENTS:
			break;
		}
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

struct decision
decide_mail(const struct switches *switches, const struct facts *facts)
{
	struct decision warrant;

	if (client_is_internal(facts))
		warrant = judge_internal(switches, facts);
	else
		warrant = judge_external(switches, facts);
	if (warrant.verdict != VERDICT_PERMIT)
		return warrant;
	warrant = judge_sender(switches, facts, warrant);
	if (warrant.verdict != VERDICT_PERMIT)
		return warrant;
	return judge_limit(facts, warrant);
}

static struct decision
judge_recipient_form(const struct facts *f, struct decision warrant)
{
	switch (f->recipient) {
	case ADDRESS_UNKNOWN:
		return decision_refuse(REASON_INTERNAL_ERROR);
	case ADDRESS_MALFORMED:
	case ADDRESS_NULL:
		return decision_refuse(REASON_RECIPIENT_MALFORMED);
	case ADDRESS_NOT_ASCII:
		return decision_refuse(REASON_RECIPIENT_NOT_ASCII);
	case ADDRESS_UNQUALIFIED:
		if (!client_is_mx_guest(f))
			return decision_refuse(REASON_RECIPIENT_NOT_FQDN);
		return warrant;
	case ADDRESS_QUALIFIED:
		return warrant;
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* A routed address asks the next host to relay: the classic hole. */
static struct decision
judge_route(const struct switches *sw, const struct facts *f,
    struct decision warrant)
{
	switch (f->recipient_routed) {
	case TRI_NO:
		return warrant;
	case TRI_YES:
		if (sw->routed == ROUTED_ALLOW_INTERNAL &&
		    client_is_internal(f))
			return warrant;
		return decision_refuse(REASON_RECIPIENT_ROUTED);
	case TRI_UNKNOWN:
		break;
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

/* What a guest's warrant is worth: the local domains and nothing else. */
static struct decision
judge_locality(const struct facts *f, struct decision warrant)
{
	if (warrant.reason != REASON_LOCAL_RECIPIENT)
		return warrant;
	switch (f->recipient_local) {
	case TRI_YES:
		return warrant;
	case TRI_NO:
		return decision_refuse(REASON_RELAY_DENIED);
	case TRI_UNKNOWN:
		break;
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

static struct decision
judge_recipient_limit(const struct facts *f, struct decision warrant)
{
	if (warrant.reason == REASON_LOCAL_RECIPIENT)
		return warrant;
	if (f->containment == CONTAINMENT_LOCAL && f->recipient_local == TRI_NO)
		return decision_refuse(REASON_CONTAINED);
	if (f->containment == CONTAINMENT_LOCAL &&
	    f->recipient_local != TRI_YES)
		return decision_refuse(REASON_INTERNAL_ERROR);
	switch (f->recipient_limit) {
	case LIMIT_NOT_ASKED:
		return decision_need(FACT_RECIPIENT_LIMIT);
	case LIMIT_WITHIN:
		return warrant;
	case LIMIT_OVER:
		return decision_refuse(REASON_OVER_LIMIT);
	case LIMIT_RECIPIENTS:
		return decision_refuse(REASON_TOO_MANY_RECIPIENTS);
	}
	return decision_refuse(REASON_INTERNAL_ERROR);
}

struct decision
decide_rcpt(const struct switches *switches, const struct facts *facts)
{
	struct decision d = decide_mail(switches, facts);

	if (d.verdict == VERDICT_PERMIT)
		d = judge_recipient_form(facts, d);
	if (d.verdict == VERDICT_PERMIT)
		d = judge_route(switches, facts, d);
	if (d.verdict == VERDICT_PERMIT)
		d = judge_locality(facts, d);
	if (d.verdict == VERDICT_PERMIT)
		d = judge_recipient_limit(facts, d);
	return d;
}
