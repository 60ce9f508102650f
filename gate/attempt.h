/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_ATTEMPT_H
#define POSTERN_GATE_ATTEMPT_H

#include "gate/auth.h"

/* One login attempt, from its first word to its log line: what gate/auth.c and
 * gate/relay.c have in common. A plain value; attempt_conclude() ends it. */
struct attempt {
	struct gate *gate;
	struct rules *rules;          /* with a reference */
	const struct conf_sasl *sasl; /* NULL: the section is gone */
	enum sasl_mechanism mechanism;
	struct netaddr addr;
	struct facts facts; /* the zone */
	bool secured;
	char service[64];     /* for the log */
	struct login login;   /* empty until it is known */
	struct login account; /* what is one to IMAP is one here */
	/* of this login and what was tried; it says nothing until tagged */
	unsigned char tag[IDENTITY_TAG_LEN];
	bool tagged;
	bool unheard; /* the client gave up: nothing to be logged */
	uint64_t begun_us;
};

void attempt_begin(struct attempt *attempt, struct gate *gate,
    const struct auth_client *client);

/* Is a login with this mechanism one at MAIL? */
bool attempt_would_count(const struct rules *rules,
    enum sasl_mechanism mechanism);

/* May this mechanism be tried at all, and over this connection? False, and why
 * not (an error of ours is REASON_INTERNAL_ERROR). */
bool attempt_may_begin(const struct attempt *attempt, bool offered,
    enum reason *reason_r);

/* Takes the login as the client spelled it and looks at the limits. False, and
 * why it is not to be asked about. */
bool attempt_take_login(struct attempt *attempt, const char *authcid,
    size_t authcid_len, const char *authzid, size_t authzid_len,
    enum reason *reason_r);

/* Has its login, or where it comes from, reached a limit by now? */
bool attempt_is_over_limit(const struct attempt *attempt);

/* Nobody was asked: it ends for this reason. */
void attempt_refuse(struct attempt *attempt, enum reason reason,
    struct auth_answer *answer_r);
/* IMAP has spoken, or a limit was reached before it was asked: counts, proves,
 * logs, and gives back what is held. */
void attempt_conclude(struct attempt *attempt,
    const struct identity_verdict *verdict, struct auth_answer *answer_r);

/* identity/, or what a test put in its place. */
const struct auth_engine *attempt_engine(const struct gate *gate);

#endif
