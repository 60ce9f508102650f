/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The judgement of posternctl explain in words, fact by fact, for somebody who
 * wants to know why.
 */
#include "ctl/explain.h"

#include <stdio.h>

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
		return "below tls.min_version or tls.min_bits";
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
say_client(const struct session *session, const struct question *q)
{
	const struct facts *f = session_facts(session);
	const struct policy *policy = session_policy(session);
	struct netaddr peer = { 0 };
	char text[NETADDR_TEXT_MAX],
	    why[NET_TEXT_MAX + 32] = "in no network of internal";
	struct net best;

	if (q->addr.data != NULL)
		(void)netaddr_parse(q->addr.data, &peer);
	netaddr_format(&peer, text);
	(void)netset_contains(policy->internal, &peer, &best);
	if (best.addr.family != NETADDR_NONE) {
		char net[NET_TEXT_MAX];

		net_format(&best, net);
		(void)snprintf(why, sizeof(why), "by %s", net);
	}
	(void)printf("client     %s: %s (%s)\n", text, question_zone(session),
	    why);
	(void)printf("listener   %s: role %s\n",
	    q->listener.data != NULL ? q->listener.data : "-",
	    f->role == ROLE_MX ? "mx" : "submission");
	(void)printf("tls        %s\n", tls_words(f));
	(void)printf("login      %s%s%s\n", login_words(f),
	    *session_login(session)->text != '\0' ? ": " : "",
	    session_login(session)->text);
	(void)printf("identity   %s\n",
	    f->identity_asked ? identity_name(f->identity) : "not asked");
}

static void
say_path(const char *what, const char *raw, const struct path *path)
{
	if (path == NULL || !path_is_valid(path)) {
		(void)printf("%s %s: not a valid path\n", what, raw);
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
explain_in_words(struct gate *gate, const struct question *q)
{
	struct session *session = question_connect(gate, q);
	struct answer answer;
	int rc = CTL_GOOD;

	if (session == NULL || question_mail(session, q, &answer) != 0) {
		session_free(&session);
		(void)fprintf(stderr, "posternctl: out of memory\n");
		return CTL_FINDING;
	}
	say_client(session, q);
	if (session_policy(session)->switches.sender_check != SENDER_CHECK_OFF)
		(void)printf("owned      %s\n",
		    tri_words(session_facts(session)->sender_owned));
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
