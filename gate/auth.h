/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_AUTH_H
#define POSTERN_GATE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/gate.h"
#include "identity/identity.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/reason.h"
#include "policy/sasl.h"

/*
 * One SASL authentication as plain values, free of every protocol. Guessing
 * limits before IMAP, IMAP, then the session proof and the log line; every
 * answer that is not a clear yes or no is VERDICT_TEMPFAIL. Nothing here waits.
 * The gate must outlive every attempt.
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
	/* To be held back so long from now, whatever the client does meanwhile;
	 * of a refusal, and it ends within IDENTITY_ATTEMPT_MS. */
	uint64_t delay_ms;
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
 * NULL), called so exactly once, and the relay is gone when that call returns.
 * From within auth_relay_begin() or on another thread. */
typedef void auth_relay_event(void *arg, const char *challenge,
    const struct auth_answer *answer);

/* Begins. message: the client's first one, or NULL when it sent none; for
 * mechanisms in which the client speaks first it must be there. NULL: no
 * memory, and event is never called. When the end comes from within this call,
 * what is returned takes the calls below and does nothing. */
struct auth_relay *auth_relay_begin(struct gate *gate,
    const struct auth_client *client, const char *message, size_t len,
    auth_relay_event *event, void *arg);
/* The client's answer to the latest challenge, decoded. Any thread, while the
 * event of the end has not returned: hold a lock here that the event takes. */
void auth_relay_respond(struct auth_relay *relay, const char *message,
    size_t len);
/* The client is gone, or sent what is no answer: the end comes soon. When as
 * above. */
void auth_relay_cancel(struct auth_relay *relay);

/* What this sasl section offers to the MTA's clients now: SASL_BIT()s, of what
 * MAIL takes for a login. Any thread. */
unsigned int auth_offers(struct gate *gate, const char *service);

/* identity/'s part, which tests replace as a whole; before the first attempt.
 * Borrowed. */
struct auth_engine {
	void (*verify)(struct identity_engine *engine,
	    const struct identity_password *question, identity_done *done,
	    void *arg);
	bool (*offers)(struct identity_engine *engine,
	    enum sasl_mechanism mechanism);
	struct identity_relay *(*begin)(struct identity_engine *engine,
	    enum sasl_mechanism mechanism, const struct login *login,
	    const char *initial, const struct netaddr *client,
	    identity_relay_event *event, void *arg);
	void (*respond)(struct identity_relay *relay, const struct login *login,
	    const char *response);
	void (*cancel)(struct identity_relay *relay);
};
void auth_set_engine(struct gate *gate, const struct auth_engine *engine);

/* Have all IMAP servers said what there is to be passed through, if anything
 * is? */
bool auth_offers_are_known(struct gate *gate);

#endif
