/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_SESSION_H
#define POSTERN_GATE_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "gate/gate.h"
#include "gate/reply.h"
#include "policy/facts.h"
#include "policy/netaddr.h"
#include "policy/path.h"
#include "policy/verdict.h"

/*
 * One SMTP session as plain values, free of every protocol: each door (milter,
 * posternctl explain) tells it what happened and passes on its answers. A
 * session is used by one thread at a time, not always the same one. All texts
 * are borrowed for the call and copied where they must last; NULL is a value
 * that the MTA did not give.
 */
struct session;

/* What to tell the MTA. Zeroed: refused for now. */
struct answer {
	enum verdict verdict;     /* never VERDICT_NEED */
	struct decision decision; /* the policy's; mode = observe passes it */
	struct reply reply;       /* of anything but a permit */
};

/* A client has connected. listener is {daemon_name}. The rules in force now
 * stay the session's own. NULL: no memory; the caller refuses for now. */
struct session *session_new(struct gate *gate, const struct netaddr *peer,
    const char *listener);
/* Disconnected. Frees and nulls; NULL is allowed. */
void session_free(struct session **session);

/* HELO or EHLO: the name, NULL for none. */
void session_helo(struct session *session, const char *name);

struct mail_event {
	const char *path; /* the argument of MAIL FROM: as typed */
	size_t path_len;
	const char *const
	    *args;            /* ESMTP parameters, NULL-terminated, or NULL */
	const char *resolved; /* {mail_addr} */
	const char *tls_version; /* {tls_version} */
	const char *cipher;      /* {cipher} */
	const char *cipher_bits; /* {cipher_bits} */
	const char *mechanism;   /* {auth_type} */
	const char *login;       /* {auth_authen}, xtext decoded */
	size_t login_len;
	const char *queue_id;
	bool counts;       /* this door counts what is sent, for limits */
	bool rcpt_follows; /* at once, from a door without memory: of a permit
			      the log has the recipient's line alone */
};

/* MAIL FROM. Begins a transaction, forgetting the one before; may wait for
 * IMAP within identity.wait. */
void session_mail(struct session *session, const struct mail_event *event,
    struct answer *answer_r);

struct rcpt_event {
	const char *path; /* the argument of RCPT TO: as typed */
	size_t path_len;
	const char *resolved;      /* {rcpt_addr} */
	const char *resolved_host; /* {rcpt_host} */
	bool refused; /* by the MTA: whatever is answered, nothing goes there */
	const char *queue_id;
};

/* RCPT TO. Without a MAIL before it: refused for now. */
void session_rcpt(struct session *session, const struct rcpt_event *event,
    struct answer *answer_r);

/* So many octets of the body have come. */
void session_body(struct session *session, size_t octets);

/* A door without memory, which will not hear of the message's end: what has
 * been reserved for limits since MAIL is used. */
void session_commit(struct session *session);

/* The message is complete; the last word before the MTA takes it. Ends the
 * transaction. */
void session_message(struct session *session, const char *queue_id,
    struct answer *answer_r);

/* RSET, another MAIL, or the end: forgets the transaction, and nothing of the
 * connection. The only place where one ends. */
void session_reset(struct session *session);

/* For explaining, until the next event: the facts (of the connection alone
 * outside a transaction), the parsed paths (NULL: none yet), the policy. */
const struct facts *session_facts(const struct session *session);
const struct path *session_sender(const struct session *session);
const struct path *session_recipient(const struct session *session);
const struct login *session_login(const struct session *session);
const struct policy *session_policy(const struct session *session);

/* A reply for the caller that has no session to ask: refused for now. */
void session_lost(struct answer *answer_r);

#endif
