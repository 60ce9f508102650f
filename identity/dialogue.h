/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_DIALOGUE_H
#define POSTERN_IDENTITY_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "identity/challenge.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/sasl.h"

#define DIALOGUE_LINE_MAX     8192  /* longer: the server makes no sense */
#define DIALOGUE_TOTAL_MAX    65536 /* all that a server may say */
#define DIALOGUE_UNTAGGED_MAX 100
#define DIALOGUE_USER_MAX     LOGIN_MAX
#define DIALOGUE_PASSWORD_MAX SASL_PASSWORD_MAX
/* A client's message in base64, with its NUL; ours are shorter. */
#define DIALOGUE_SECRET_MAX (SASL_TEXT_MAX + 1)
/* A first message that goes along with AUTHENTICATE: servers have limits to the
 * length of a command, and other ones to what follows it. */
#define DIALOGUE_INITIAL_MAX 4096

/* What is to be found out? */
enum dialogue_aim {
	DIALOGUE_ACCOUNT = 0, /* is it a live account? By our own credential */
	DIALOGUE_PASSWORD,    /* is this its password? */
	DIALOGUE_OFFERS,      /* which mechanisms are offered? No login */
	DIALOGUE_RELAY,       /* what does it say to this client? */
};

enum dialogue_outcome {
	DIALOGUE_UNDECIDED = 0, /* also: not over yet, or only OFFERS */
	DIALOGUE_VERIFIED,
	DIALOGUE_REFUSED,
	DIALOGUE_DISABLED,
	DIALOGUE_CREDENTIAL, /* undecided: our own credential is refused */
	DIALOGUE_BUSY,       /* undecided, but for this account only */
};

enum dialogue_state {
	DIALOGUE_OVER = 0,
	DIALOGUE_GREETING,   /* nothing read yet */
	DIALOGUE_CAPABILITY, /* asked for */
	DIALOGUE_PLUS,       /* AUTHENTICATE sent, waiting for the go-ahead */
	DIALOGUE_AUTH,       /* credentials sent, or the client's message */
	DIALOGUE_CLIENT,     /* RELAY: the client is to answer .challenge */
	DIALOGUE_STATUS,     /* logged in, the mailbox asked for */
};

/* One thing that was said, in words for people; printable, without secrets. */
typedef void dialogue_trace(void *arg, const char *text);

/* What to ask. All strings are borrowed for dialogue_start() only. */
struct dialogue_question {
	enum dialogue_aim aim;
	const char *account;  /* what the server calls it */
	const char *user;     /* proxy_user, by whose login it is asked */
	const char *password; /* proxy_user's, or the account's own */
	/* RELAY wants nothing of the above, but these: */
	enum sasl_mechanism mechanism;
	const char *message; /* the client's first, base64; NULL: none yet */
	/* Whose password it is, told by ID (RFC 2971); NETADDR_NONE: not */
	struct netaddr client;
	bool mailbox;          /* an OK counts only if INBOX exists, too */
	bool greeted;          /* the greeting was read before (STARTTLS) */
	dialogue_trace *trace; /* borrowed until it is over; NULL: nobody */
	void *trace_arg;
};

/*
 * One IMAP session (RFC 3501) that asks about one account. An exchange of a
 * client (RELAY) is verified only by an OK at the one moment at which its
 * mechanism can be complete: CRAM-MD5 when the challenge is answered, SCRAM
 * when the server's "v=" is, too, OAUTHBEARER and XOAUTH2 at once. Pure: bytes
 * of the server in, bytes for the server and an outcome out. Callers read
 * .outcome, .answered, .why and .offers once dialogue_is_over().
 */
struct dialogue {
	enum dialogue_state state;
	enum dialogue_outcome outcome;
	bool answered; /* AUTHENTICATE got a tagged answer, or OFFERS a list */
	bool hung_up;  /* closed when the credentials had been sent */
	char why[200]; /* in words, printable ASCII: how it ended */
	bool listed;   /* it said what it offers before a login: */
	unsigned int offers; /* SASL_BIT()s */
	bool begun;          /* RELAY: a word of the exchange itself was said */
	enum dialogue_aim aim;
	enum sasl_mechanism mechanism;
	unsigned int challenges; /* RELAY: heard */
	unsigned int responses;  /* ... answered by the client, or its first */
	bool final;              /* ... the server has proved itself, too */
	bool denied;             /* ... its error was answered by ourselves */
	bool initial_response;
	bool mailbox;
	bool id_asked; /* and not answered */
	bool bye;
	bool cr;
	dialogue_trace *trace;
	void *trace_arg;
	unsigned int untagged;
	size_t total;
	size_t line_len;
	size_t out_len;
	size_t out_sent;
	char id[48 + NETADDR_TEXT_MAX]; /* the command, or "" */
	/* from here on, what is beyond the text that each holds is undefined */
	char line[DIALOGUE_LINE_MAX];
	char challenge[CHALLENGE_MAX + 1]; /* base64 */
	char out[160 + DIALOGUE_SECRET_MAX];
	char secret[DIALOGUE_SECRET_MAX]; /* base64 of the SASL message */
};

/* -1 when a string is empty, too long, or has a byte that must not reach the
 * wire; the dialogue is then over and undecided. */
int dialogue_start(struct dialogue *d,
    const struct dialogue_question *question);

/* What is to be sent next; NULL for nothing. Borrowed until the next call. */
const char *dialogue_pending(const struct dialogue *d, size_t *len_r);
/* Takes note that the first len pending bytes are on their way. */
void dialogue_sent(struct dialogue *d, size_t len);

/* The client's answer to .challenge, in base64; in DIALOGUE_CLIENT only. */
void dialogue_respond(struct dialogue *d, const char *response);
/* The client gives up: "*" is pending if the server waits for an answer. */
void dialogue_cancel(struct dialogue *d);

/* Reads what the server said; no matter how it was cut into pieces. */
void dialogue_feed(struct dialogue *d, const char *bytes, size_t len);
/* The connection ended: what is not decided by now is undecided. */
void dialogue_eof(struct dialogue *d);

bool dialogue_is_over(const struct dialogue *d);
/* Forgets the secrets. The outcome stays. */
void dialogue_wipe(struct dialogue *d);

#endif
