/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door for challenge-response: reads whose login the client's message asks
 * for, looks at the limits, and lets identity/ carry the rest. What this host
 * refuses in mid-exchange ends the exchange first, so that there is one end.
 */
#include "gate/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "gate/attempt.h"

struct auth_relay {
	/* Guards over and relay: the end may come while the other side speaks,
	 * or even before identity/ has said what the relay is. */
	pthread_mutex_t lock;
	bool over;
	struct identity_relay *relay;
	struct attempt attempt;
	bool refused; /* by this host, whatever IMAP says */
	enum reason reason;
	auth_relay_event *event;
	void *arg;
};

/* Stands for every exchange that ended before it had begun. */
static struct auth_relay ended = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.over = true };

/* In base64, to be freed by release(). NULL: no memory. */
static char *
encode(const char *message, size_t len)
{
	char *text = malloc(len / 3 * 4 + 5);

	if (text != NULL)
		(void)EVP_EncodeBlock((unsigned char *)text,
		    (const unsigned char *)message, (int)len);
	return text;
}

static void
release(char *text)
{
	if (text != NULL)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static void
relay_free(struct auth_relay *relay)
{
	(void)pthread_mutex_destroy(&relay->lock);
	free(relay);
}

static void
end(struct auth_relay *relay, const struct identity_verdict *verdict)
{
	struct auth_answer answer;

	if (relay->refused)
		attempt_refuse(&relay->attempt, relay->reason, &answer);
	else
		attempt_conclude(&relay->attempt, verdict, &answer);
	relay->event(relay->arg, NULL, &answer);
	relay_free(relay);
}

/* On the engine's thread. */
static void
heard(void *arg, const char *challenge, const struct identity_verdict *verdict)
{
	struct auth_relay *relay = arg;

	(void)pthread_mutex_lock(&relay->lock);
	if (challenge == NULL)
		relay->over = true;
	(void)pthread_mutex_unlock(&relay->lock);
	if (challenge != NULL)
		relay->event(relay->arg, challenge, NULL);
	else
		end(relay, verdict);
}

/* Whose login does the message ask for, and may it be asked about? */
static bool
take_message(struct attempt *attempt, const char *message, size_t len,
    enum reason *reason_r)
{
	char identity[LOGIN_MAX + 1];

	if (sasl_stated_identity(attempt->mechanism, message, len, identity) !=
	    0) {
		*reason_r = REASON_IDENTITY_REFUSED;
		return false;
	}
	if (!attempt_take_login(attempt, identity, strlen(identity), NULL, 0,
		reason_r))
		return false;
	/* a token can be compared, a proof cannot */
	if (attempt->mechanism == SASL_OAUTHBEARER ||
	    attempt->mechanism == SASL_XOAUTH2) {
		identity_tag(&attempt->login, message, len, attempt->tag);
		attempt->tagged = true;
	}
	return true;
}

static bool
may_begin(struct attempt *attempt, const char *message, size_t len,
    enum reason *reason_r)
{
	bool offered = sasl_is_relayed(attempt->mechanism) &&
	    attempt->sasl != NULL &&
	    (attempt->sasl->pass_through & SASL_BIT(attempt->mechanism)) != 0;

	if (!attempt_may_begin(attempt, offered, reason_r))
		return false;
	*reason_r = REASON_IDENTITY_REFUSED;
	if (len > SASL_MESSAGE_MAX)
		return false;
	if (!sasl_client_is_first(attempt->mechanism))
		return message == NULL; /* RFC 4954, 4: a protocol error */
	return message != NULL && take_message(attempt, message, len, reason_r);
}

/* False: nobody carries it. */
static bool
carry(struct auth_relay *relay, const char *message, size_t len)
{
	struct attempt *attempt = &relay->attempt;
	struct identity_engine *engine = rules_engine(attempt->rules);
	bool known = *attempt->login.text != '\0';
	char *initial = NULL;
	bool begun = false;

	if (engine == NULL && gate_auth_engine(attempt->gate) == NULL)
		return false;
	if (message != NULL)
		initial = encode(message, len);
	if (message == NULL || initial != NULL) {
		(void)pthread_mutex_lock(&relay->lock);
		relay->relay = attempt_engine(attempt->gate)
				   ->begin(engine, attempt->mechanism,
				       known ? &attempt->login : NULL, initial,
				       &attempt->addr, heard, relay);
		begun = relay->relay != NULL;
		(void)pthread_mutex_unlock(&relay->lock);
	}
	release(initial);
	return begun;
}

struct auth_relay *
auth_relay_begin(struct gate *gate, const struct auth_client *client,
    const char *message, size_t len, auth_relay_event *event, void *arg)
{
	static const struct identity_verdict unasked = { 0 };
	struct auth_relay *relay = calloc(1, sizeof(*relay));
	enum reason reason = REASON_INTERNAL_ERROR;

	if (relay == NULL)
		return NULL;
	(void)pthread_mutex_init(&relay->lock, NULL);
	relay->event = event;
	relay->arg = arg;
	attempt_begin(&relay->attempt, gate, client);
	if (may_begin(&relay->attempt, message, len, &reason)) {
		if (carry(relay, message, len))
			return relay; /* it may even be gone by now */
		reason = REASON_IDENTITY_UNDECIDED;
	}
	relay->refused = true;
	relay->reason = reason;
	end(relay, &unasked);
	return &ended;
}

/* With the lock held. */
static void
refuse(struct auth_relay *relay, enum reason reason)
{
	relay->refused = true;
	relay->reason = reason;
	attempt_engine(relay->attempt.gate)->cancel(relay->relay);
}

static void
respond(struct auth_relay *relay, const char *message, size_t len)
{
	struct attempt *attempt = &relay->attempt;
	enum reason reason = REASON_IDENTITY_REFUSED;
	char *text;

	if (relay->over || relay->refused)
		return;
	if (len > SASL_MESSAGE_MAX) {
		refuse(relay, reason);
		return;
	}
	if (!sasl_client_is_first(attempt->mechanism) &&
	    (*attempt->login.text != '\0' ||
		!take_message(attempt, message, len, &reason))) {
		refuse(relay, reason);
		return;
	}
	/* the server's next word may tell whether the proof was right */
	if (attempt_is_over_limit(attempt)) {
		refuse(relay, REASON_GUESSING);
		return;
	}
	text = encode(message, len);
	if (text == NULL) {
		refuse(relay, REASON_INTERNAL_ERROR);
		return;
	}
	attempt_engine(attempt->gate)
	    ->respond(relay->relay, &attempt->login, text);
	release(text);
}

void
auth_relay_respond(struct auth_relay *relay, const char *message, size_t len)
{
	(void)pthread_mutex_lock(&relay->lock);
	respond(relay, message, len);
	(void)pthread_mutex_unlock(&relay->lock);
}

void
auth_relay_cancel(struct auth_relay *relay)
{
	(void)pthread_mutex_lock(&relay->lock);
	if (!relay->over && !relay->refused) {
		relay->attempt.unheard = true;
		refuse(relay, REASON_IDENTITY_UNDECIDED);
	}
	(void)pthread_mutex_unlock(&relay->lock);
}
