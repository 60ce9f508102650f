/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_AUTH_H
#define POSTERN_GATE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/gate.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/reason.h"
#include "policy/sasl.h"

/*
 * One SASL authentication as plain values, free of every protocol. Guessing
 * limits before IMAP, IMAP, then the session proof and the log line; every
 * answer that is not a clear yes or no is VERDICT_TEMPFAIL. Nothing here waits.
 */

/* Who asks, and how. All borrowed for the call. */
struct auth_client {
	const char *service; /* title of the sasl section */
	enum sasl_mechanism mechanism;
	const struct netaddr *addr; /* NETADDR_NONE: the protocol has none */
	bool secured;               /* TLS between the client and the MTA */
};

struct auth_answer {
	enum verdict verdict; /* PERMIT, REJECT, else "cannot tell" */
	enum reason reason;
	struct login login; /* canonical; of a permit */
	uint64_t delay_ms;  /* to be held back so long from now */
};
typedef void auth_done(void *arg, const struct auth_answer *answer);

/* Asks whether the password is right. done is called exactly once, from within
 * the call or on another thread, within IDENTITY_ATTEMPT_MS. What the
 * credentials point to may be wiped when the call returns. */
void auth_password(struct gate *gate, const struct auth_client *client,
    const struct sasl_credentials *credentials, auth_done *done, void *arg);

/* A refusal that needs nobody's opinion (bad base64, a broken message): logged
 * and delayed like any other, so that it looks like one. */
void auth_malformed(struct gate *gate, const struct auth_client *client,
    auth_done *done, void *arg);

/* A challenge-response exchange that is carried to IMAP. */
struct auth_relay;

/* challenge (base64, borrowed) to be put to the client; or the end (challenge
 * NULL), called so exactly once, and the relay is then gone. From within a call
 * below or on another thread. */
typedef void auth_relay_event(void *arg, const char *challenge,
    const struct auth_answer *answer);

/* Begins. message: the client's first one, or NULL when it sent none; for
 * mechanisms in which the client speaks first it must be there. NULL: no
 * memory, and event is never called. */
struct auth_relay *auth_relay_begin(struct gate *gate,
    const struct auth_client *client, const char *message, size_t len,
    auth_relay_event *event, void *arg);
/* The client's answer, decoded. */
void auth_relay_respond(struct auth_relay *relay, const char *message,
    size_t len);
/* The client is gone; the end comes soon. */
void auth_relay_cancel(struct auth_relay *relay);

/* What this sasl section offers to the MTA's clients now: SASL_BIT()s. */
unsigned int auth_offers(struct gate *gate, const char *service);

#endif
