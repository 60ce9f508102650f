/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_TRIAL_H
#define POSTERN_SERVICE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gate/auth.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/sasl.h"
#include "service/handover.h"

struct auth_relay;
struct event;
struct peer;

/* Whose turn is it? */
enum trial_step {
	TRIAL_OURS = 0, /* the gate's, or the answer is held back */
	TRIAL_NAME,     /* the client's: its user name */
	TRIAL_SECRET,   /* ... its password, or the message of PLAIN */
	TRIAL_RESPONSE, /* ... its answer to the IMAP server's challenge */
};

/* One authentication. It belongs to its peer; if that goes first, to the
 * handover until the gate has answered. */
struct trial {
	TAILQ_ENTRY(trial) link; /* the peer's */
	struct handover *handover;
	struct peer *peer; /* NULL: gone */
	uint32_t id;
	enum trial_step step;
	enum sasl_mechanism mechanism;
	struct netaddr addr;
	bool secured;
	bool asked; /* the gate owes the end */
	struct auth_relay *relay;
	struct event *timer;
	char name[LOGIN_MAX + 1]; /* LOGIN's first answer; ends in no NUL */
	size_t name_len;
	/* under the handover's lock */
	struct notice notice;
	char *challenge;
	struct auth_answer answer;
};
TAILQ_HEAD(trial_list, trial);

/* All on the loop's thread. What fails for want of memory cuts the peer. */

/* NULL: no memory, and the peer is cut. */
struct trial *trial_new(struct peer *peer, uint32_t id,
    enum sasl_mechanism mechanism);
/* Waits for the client; for a few minutes, then it is dropped. */
void trial_await(struct trial *trial, enum trial_step step);
/* Each hands it to the gate; the protocol's answer() follows, if the peer is
 * still there. The bytes may be wiped when they return. */
void trial_password(struct trial *trial,
    const struct sasl_credentials *credentials);
void trial_malformed(struct trial *trial);
/* message NULL: the client sent none. */
void trial_relay(struct trial *trial, const char *message, size_t len);
void trial_respond(struct trial *trial, const char *message, size_t len);
/* Takes it from its peer; nobody hears of it any more. */
void trial_drop(struct trial *trial);

#endif
