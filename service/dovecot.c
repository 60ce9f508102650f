/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dovecot's authentication protocol, the server's side. The server speaks
 * first; trials have numbers and may be under way side by side. A refusal
 * must tell nobody what was wrong, and what cannot be decided is no refusal:
 * the MTAs turn any FAIL into 535, so the connection is closed instead.
 */
#include "service/dovecot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "gate/attempt.h"
#include "service/authline.h"

#define TRIALS_MAX 100 /* of one connection; Postfix and Exim have one */
#define USER_NAME  "VXNlcm5hbWU6" /* "Username:" */
#define PASSWORD   "UGFzc3dvcmQ6" /* "Password:" */

/* What MECH says of each: Postfix filters by it
 * (smtpd_sasl_security_options). A bearer token is as good as a password. */
static const char *const traits[SASL_MECHANISM_COUNT] = {
	[SASL_PLAIN] = "\tplaintext",
	[SASL_LOGIN] = "\tplaintext",
	[SASL_CRAM_MD5] = "\tdictionary\tactive",
	[SASL_SCRAM_SHA_1] = "\tmutual-auth",
	[SASL_SCRAM_SHA_256] = "\tmutual-auth",
	[SASL_OAUTHBEARER] = "\tplaintext",
	[SASL_XOAUTH2] = "\tplaintext",
};

static void
say(struct peer *p, const char *line)
{
	peer_write(p, line, strlen(line));
}

static void
say_number(struct peer *p, const char *word, uint32_t id)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%s\t%" PRIu32, word, id);
	say(p, text);
}

static void
say_cookie(struct peer *p)
{
	unsigned char cookie[16];
	char text[2 * sizeof(cookie) + 1];

	if (RAND_bytes(cookie, sizeof(cookie)) != 1) {
		peer_cut(p);
		return;
	}
	for (size_t i = 0; i < sizeof(cookie); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", cookie[i]);
	say(p, "\nCOOKIE\t");
	say(p, text);
}

/* Exim reads up to DONE before it says anything. Both MTAs take an offer of
 * nothing for the wrong socket, so they get no handshake then. */
static void
greet(struct peer *p)
{
	static uint32_t connection; /* the loop's thread only */
	unsigned int offers = auth_offers(peer_gate(p), peer_title(p));

	if (offers == 0) {
		peer_protocol_error(p, "there is no mechanism to offer");
		return;
	}
	say(p, "VERSION\t1\t2\n");
	for (unsigned int i = SASL_NONE + 1; i < SASL_MECHANISM_COUNT; i++) {
		if ((offers & SASL_BIT(i)) == 0)
			continue;
		say(p, "MECH\t");
		say(p, sasl_name((enum sasl_mechanism)i));
		say(p, traits[i]);
		say(p, "\n");
	}
	say_number(p, "SPID", (uint32_t)getpid());
	say_number(p, "\nCUID", ++connection);
	say_cookie(p);
	say(p, "\nDONE\n");
}

static void
ask_client(struct trial *a, enum trial_step step, const char *challenge)
{
	trial_await(a, step);
	say_number(a->peer, "CONT", a->id);
	say(a->peer, "\t");
	say(a->peer, challenge);
	say(a->peer, "\n");
}

static void
challenge(struct trial *a, const char *text)
{
	say_number(a->peer, "CONT", a->id);
	say(a->peer, "\t");
	say(a->peer, text);
	say(a->peer, "\n");
}

/* No "user=" with a FAIL: nobody needs it. A login holds no octet that would
 * have to be escaped (policy/login.h). */
static void
answer(struct trial *a, const struct auth_answer *result)
{
	if (result->verdict == VERDICT_PERMIT) {
		say_number(a->peer, "OK", a->id);
		say(a->peer, "\tuser=");
		say(a->peer, result->login.text);
	} else {
		say_number(a->peer, "FAIL", a->id);
	}
	say(a->peer, "\n");
}

static void
take_plain(struct trial *a, const char *message, size_t len)
{
	struct sasl_credentials credentials;

	if (sasl_plain_parse(message, len, &credentials) == 0)
		trial_password(a, &credentials);
	else
		trial_malformed(a);
}

/* One octet too many is kept, so that a name that is too long is no login. */
static void
take_name(struct trial *a, const char *message, size_t len)
{
	a->name_len = len < sizeof(a->name) ? len : sizeof(a->name);
	memcpy(a->name, message, a->name_len);
	ask_client(a, TRIAL_SECRET, PASSWORD);
}

static void
take_login(struct trial *a, const char *message, size_t len)
{
	const struct sasl_credentials credentials = { .authzid = "",
		.authcid = a->name,
		.authcid_len = a->name_len,
		.password = message,
		.password_len = len };

	if (a->step == TRIAL_SECRET)
		trial_password(a, &credentials);
	else
		take_name(a, message, len);
}

/* The client's message, decoded. */
static void
take_message(struct trial *a, const char *message, size_t len)
{
	if (a->step == TRIAL_RESPONSE)
		trial_respond(a, message, len);
	else if (a->mechanism == SASL_PLAIN)
		take_plain(a, message, len);
	else if (a->mechanism == SASL_LOGIN)
		take_login(a, message, len);
	else if (sasl_client_is_first(a->mechanism))
		trial_relay(a, message, len);
	else
		trial_malformed(a); /* it is not its turn */
}

/* A relay is told of a broken answer by its end: as the gate judges an empty
 * one. */
static void
take_broken(struct trial *a)
{
	if (a->step == TRIAL_RESPONSE)
		trial_respond(a, "", 0);
	else
		trial_malformed(a);
}

static void
take_base64(struct trial *a, const struct authline *line)
{
	char message[SASL_MESSAGE_MAX];
	size_t len;

	if (sasl_base64_decode(line->message, line->message_len, message,
		sizeof(message), &len) != 0) {
		/* up to where it broke */
		OPENSSL_cleanse(message, sizeof(message));
		take_broken(a);
		return;
	}
	take_message(a, message, len);
	OPENSSL_cleanse(message, len);
}

static struct trial *
find(const struct peer *p, uint32_t id)
{
	struct trial *a;

	TAILQ_FOREACH(a, &p->trials, link) {
		if (a->id == id)
			return a;
	}
	return NULL;
}

/* A client that breaks off ("*") is not reported by the MTA: the oldest that
 * waits for its client goes. False: there is none. */
static bool
make_room(struct peer *p)
{
	struct trial *a;

	if (p->trial_count < TRIALS_MAX)
		return true;
	TAILQ_FOREACH(a, &p->trials, link) {
		if (a->step != TRIAL_OURS) {
			trial_drop(a);
			return true;
		}
	}
	return false;
}

/* Nothing came with AUTH. */
static void
begin_silent(struct trial *a)
{
	if (a->mechanism == SASL_LOGIN)
		ask_client(a, TRIAL_NAME, USER_NAME);
	else if (sasl_client_is_first(a->mechanism))
		ask_client(a, TRIAL_SECRET, "");
	else
		trial_relay(a, NULL, 0);
}

/* Is it passed through, but by no IMAP server for now? An MTA that has been
 * here for a while still offers it. */
static bool
is_withdrawn(const struct peer *p, enum sasl_mechanism m)
{
	struct rules *rules = gate_rules_ref(peer_gate(p));
	const struct conf_sasl *sasl = rules_sasl(rules, peer_title(p));
	bool listed = sasl != NULL && (sasl->pass_through & SASL_BIT(m)) != 0 &&
	    attempt_would_count(rules, m);

	gate_rules_unref(peer_gate(p), rules);
	return listed;
}

static void
take_auth(struct peer *p, const struct authline *line)
{
	enum sasl_mechanism m = line->mechanism;
	struct trial *a;

	if (find(p, line->id) != NULL || !make_room(p)) {
		peer_protocol_error(p, "an id that is in use, or too many");
		return;
	}
	if ((auth_offers(peer_gate(p), peer_title(p)) & SASL_BIT(m)) == 0) {
		if (is_withdrawn(p, m)) {
			peer_protocol_error(p,
			    "a mechanism that IMAP does not offer for now");
			return;
		}
		m = SASL_NONE;
	}
	a = trial_new(p, line->id, m);
	if (a == NULL)
		return;
	a->addr = line->client;
	a->secured = line->secured;
	if (m == SASL_NONE)
		trial_malformed(a);
	else if (line->message_len == 0)
		begin_silent(a);
	else
		take_base64(a, line);
}

static void
take_cont(struct peer *p, const struct authline *line)
{
	struct trial *a = find(p, line->id);

	if (a == NULL) {
		/* it waited for too long */
		say_number(p, "FAIL", line->id);
		say(p, "\n");
	} else if (a->step == TRIAL_OURS) {
		peer_protocol_error(p, "CONT out of turn");
	} else {
		take_base64(a, line);
	}
}

static void
take_cancel(struct peer *p, uint32_t id)
{
	struct trial *a = find(p, id);

	if (a != NULL)
		trial_drop(a);
}

static void
take_version(struct peer *p, const struct authline *line)
{
	if (line->major != 1 || p->version_seen)
		peer_protocol_error(p, "VERSION is not 1, or is repeated");
	p->version_seen = true;
}

static void
take_cpid(struct peer *p)
{
	if (!p->version_seen || p->introduced)
		peer_protocol_error(p, "CPID before VERSION, or repeated");
	p->introduced = true;
}

static void
take_line(struct peer *p, const char *text, size_t len)
{
	struct authline line;

	switch (authline_parse(text, len, &line)) {
	case AUTHLINE_BAD:
		peer_protocol_error(p, line.why);
		return;
	case AUTHLINE_VERSION:
		take_version(p, &line);
		return;
	case AUTHLINE_CPID:
		take_cpid(p);
		return;
	case AUTHLINE_AUTH:
		if (p->introduced)
			take_auth(p, &line);
		else
			peer_protocol_error(p, "AUTH before CPID");
		return;
	case AUTHLINE_CONT:
		take_cont(p, &line);
		return;
	case AUTHLINE_CANCEL:
		take_cancel(p, line.id);
		return;
	}
	peer_cut(p);
}

static size_t
take(struct peer *p, const char *data, size_t len)
{
	const char *at = data, *end = data + len, *feed;

	while (
	    !p->cut && (feed = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		take_line(p, at, (size_t)(feed - at));
		at = feed + 1;
	}
	return (size_t)(at - data);
}

const struct protocol dovecot_protocol = {
	.greet = greet,
	.take = take,
	.challenge = challenge,
	.answer = answer,
};
