/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The judgement of posternctl explain in words, fact by fact, for somebody who
 * wants to know why.
 */
#include "ctl/explain.h"

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const char *
login_words(const struct facts *f)
{
	switch (f->login) {
	case LOGIN_ABSENT:
		return "no login";
	case LOGIN_MECHANISM_UNLISTED:
		return "a login by a mechanism that auth.mechanisms does not "
		       "list";
	case LOGIN_MALFORMED:
		return "a malformed login";
	case LOGIN_PRESENT:
		return "a login";
	}
	return "no login";
}

static const char *
tls_words(const struct facts *f)
{
	switch (f->tls) {
	case TLS_ABSENT:
		return "none";
	case TLS_WEAK:
		return "below tls.min_version or tls.min_bits, or unknown";
	case TLS_STRONG:
		return "strong enough";
	}
	return "none";
}

static const char *
tri_words(enum tri tri)
{
	switch (tri) {
	case TRI_YES:
		return "yes";
	case TRI_NO:
		return "no";
	case TRI_UNKNOWN:
		break;
	}
	return "unknown";
}

static void
say_address(const struct session *session, const struct question *q)
{
	struct netaddr peer = { 0 };
	struct net best;
	char text[NETADDR_TEXT_MAX], net[NET_TEXT_MAX];

	if (q->addr.data != NULL && netaddr_parse(q->addr.data, &peer) != 0)
		(void)printf("client     \"%s\" is no IP address, so: ",
		    q->addr.data);
	else
		(void)printf("client     ");
	netaddr_format(&peer, text);
	(void)netset_contains(session_policy(session)->internal, &peer, &best);
	(void)printf("%s: %s (", text, question_zone(session));
	if (best.addr.family == NETADDR_NONE) {
		(void)printf("in no network of internal)\n");
		return;
	}
	net_format(&best, net);
	(void)printf("by %s)\n", net);
}

static void
say_listener(const struct session *session, const struct question *q)
{
	const struct policy *policy = session_policy(session);
	const char *name = q->listener.data;
	bool described = false;

	for (size_t i = 0; name != NULL && i < policy->listener_count; i++)
		described =
		    described || strcmp(policy->listeners[i].name, name) == 0;
	(void)printf("listener   %s: role %s%s\n",
	    name != NULL ? name : "(none given)",
	    session_facts(session)->role == ROLE_MX ? "mx" : "submission",
	    name == NULL || described
		? ""
		: " (no listener section has this very name)");
}

static const char *
session_words(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
		return "proven: it logged in here within identity.session_ttl";
	case IDENTITY_UNPROVEN:
		return "no proof: it did not log in here from this address "
		       "within identity.session_ttl";
	case IDENTITY_REFUSED:
	case IDENTITY_DISABLED:
	case IDENTITY_UNKNOWN:
		break;
	}
	return "the store of session proofs cannot be read";
}

static const char *
proxy_words(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
		return "IMAP knows the account";
	case IDENTITY_REFUSED:
		return "IMAP does not know the account";
	case IDENTITY_DISABLED:
		return "IMAP says that the account is disabled";
	case IDENTITY_UNPROVEN:
	case IDENTITY_UNKNOWN:
		break;
	}
	return "IMAP did not answer, or decided nothing";
}

/* Whom imap.verify names, in its order, as far as they had to be asked. */
static void
say_sources(const struct oracle *oracle)
{
	const struct rules_trail *trail = &oracle->trail;
	const char *text = "";

	if (trail->imap == NULL)
		(void)printf("  no imap section is for its domain\n");
	else if (trail->count == 0)
		(void)printf("  imap \"%s\" would not be asked: it contains "
			     "master_separator\n",
		    trail->imap);
	for (size_t i = 0; i < trail->count; i++) {
		switch (trail->steps[i].source) {
		case VERIFY_SESSION:
			text = oracle->online->conf->sasl_count == 0
			    ? "no proof: without a sasl section nobody logs in "
			      "here"
			    : session_words(trail->steps[i].identity);
			(void)printf("  session  %s\n", text);
			continue;
		case VERIFY_PROXY:
			text = proxy_words(trail->steps[i].identity);
			(void)printf("  proxy    %s (imap \"%s\")\n", text,
			    trail->imap);
			continue;
		case VERIFY_NONE:
			break;
		}
	}
}

static void
say_identity(const struct session *session, const struct oracle *oracle)
{
	const struct facts *f = session_facts(session);

	if (!f->identity_asked) {
		(void)printf("identity   not asked\n");
		return;
	}
	(void)printf("identity   %s%s\n", identity_name(f->identity),
	    oracle->assumed ? " (assumed, or refused unasked)" : "");
	if (!oracle->assumed && oracle->online != NULL)
		say_sources(oracle);
}

static const char *
lease_words(const struct session *session)
{
	const struct facts *f = session_facts(session);

	switch (f->lease) {
	case LEASE_NOT_ASKED:
		return "not asked";
	case LEASE_UNKNOWN:
		return "the store cannot be read";
	case LEASE_NONE:
		return "nobody has one at this address, or it speaks for "
		       "others";
	case LEASE_HELD:
		break;
	}
	return f->sender_owned == TRI_YES
	    ? session_login(session)->text
	    : "held at this address, but by none to whom the sender belongs";
}

static void
say_login(const struct session *session, const struct oracle *oracle,
    const struct question *q)
{
	const struct facts *f = session_facts(session);

	if (f->zone != ZONE_INTERNAL)
		(void)printf("guessing   taken to be within its limits: only "
			     "the daemon counts\n");
	(void)printf("limits     taken to be within, and nobody contained "
		     "(posternctl status)\n");
	(void)printf("tls        %s\n", tls_words(f));
	(void)printf("login      %s%s%s%s\n", login_words(f),
	    f->login == LOGIN_PRESENT ? ": " : "",
	    f->login == LOGIN_PRESENT ? session_login(session)->text : "",
	    q->login.data != NULL && q->mech.data == NULL
		? " (a login counts only with its mech)"
		: "");
	say_identity(session, oracle);
	if (session_policy(session)->switches.leases == LEASES_ON &&
	    f->zone != ZONE_INTERNAL)
		(void)printf("lease      %s\n", lease_words(session));
	if (session_policy(session)->switches.sender_check !=
		SENDER_CHECK_OFF &&
	    f->login == LOGIN_PRESENT)
		(void)printf("owned      %s\n", tri_words(f->sender_owned));
}

static void
say_path(const char *what, const char *raw, const struct path *path)
{
	if (path == NULL || !path_is_valid(path)) {
		(void)printf("%s %s: not a valid path%s\n", what, raw,
		    *raw == '<' ? "" : " (it begins with <)");
		return;
	}
	(void)printf("%s %s: local part \"%s\", domain \"%s\"%s\n", what, raw,
	    path->local, path->domain, path->routed ? ", routed" : "");
}

static void
say_answer(const struct answer *answer)
{
	(void)printf("  -> %s: %s (%s %s %s)\n",
	    verdict_name(answer->decision.verdict),
	    reason_row(answer->decision.reason)->name, answer->reply.code,
	    answer->reply.xcode, reason_row(answer->decision.reason)->text);
	if (answer->decision.sender_foreign)
		(void)printf("  -> warning: sender-not-owned\n");
}

int
explain_in_words(struct gate *gate, const struct oracle *oracle,
    const struct question *q)
{
	struct session *session = question_connect(gate, q);
	struct answer answer;
	int rc = CTL_GOOD;

	if (session == NULL || question_mail(session, q, &answer) != 0) {
		session_free(&session);
		(void)fprintf(stderr, "posternctl: out of memory\n");
		return CTL_FINDING;
	}
	say_address(session, q);
	say_listener(session, q);
	say_login(session, oracle, q);
	say_path("MAIL", q->from.data != NULL ? q->from.data : "<>",
	    session_sender(session));
	say_answer(&answer);
	if (answer.decision.verdict != VERDICT_PERMIT)
		rc = CTL_FINDING;
	for (size_t i = 0; i < q->rcpt_count; i++) {
		question_rcpt(session, q->rcpts[i], &answer);
		say_path("RCPT", q->rcpts[i].data, session_recipient(session));
		(void)printf("  local: %s, routed: %s\n",
		    tri_words(session_facts(session)->recipient_local),
		    tri_words(session_facts(session)->recipient_routed));
		say_answer(&answer);
		if (answer.decision.verdict != VERDICT_PERMIT)
			rc = CTL_FINDING;
	}
	if (session_policy(session)->mode == MODE_OBSERVE)
		(void)printf("mode = observe: the daemon lets all of this "
			     "pass\n");
	session_free(&session);
	return rc;
}
