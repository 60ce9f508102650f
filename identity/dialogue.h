/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_DIALOGUE_H
#define POSTERN_IDENTITY_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#define DIALOGUE_LINE_MAX     8192  /* longer: the server makes no sense */
#define DIALOGUE_TOTAL_MAX    65536 /* all that a server may say */
#define DIALOGUE_UNTAGGED_MAX 100
#define DIALOGUE_USER_MAX     255
#define DIALOGUE_PASSWORD_MAX 1024

enum dialogue_outcome {
	DIALOGUE_UNDECIDED = 0, /* also: not over yet */
	DIALOGUE_VERIFIED,
	DIALOGUE_REFUSED,
	DIALOGUE_DISABLED,
	DIALOGUE_CREDENTIAL, /* undecided: our own credential is refused */
	DIALOGUE_BUSY,       /* undecided, but for this account only */
};

enum dialogue_state {
	DIALOGUE_OVER = 0,
	DIALOGUE_GREETING, /* nothing read yet */
	DIALOGUE_PLUS,     /* AUTHENTICATE sent, waiting for the go-ahead */
	DIALOGUE_AUTH,     /* credentials sent */
	DIALOGUE_STATUS,   /* logged in, the mailbox asked for */
};

/* What to ask. All strings are borrowed for dialogue_start() only. */
struct dialogue_question {
	const char *account; /* what the server calls it: the authzid */
	const char *user;    /* proxy_user: the authcid */
	const char *password;
	bool mailbox; /* an OK counts only if INBOX exists, too */
	bool greeted; /* the greeting was read before (STARTTLS) */
};

/*
 * One IMAP session (RFC 3501) that asks about one account. Pure: bytes of the
 * server in, bytes for the server and an outcome out. Callers read .outcome,
 * .answered and .why once dialogue_is_over().
 */
struct dialogue {
	enum dialogue_state state;
	enum dialogue_outcome outcome;
	bool answered; /* AUTHENTICATE got a tagged answer */
	bool hung_up;  /* closed when the credentials had been sent */
	char why[200]; /* in words, printable ASCII: how it ended */
	bool mailbox;
	bool bye;
	bool cr;
	unsigned int untagged;
	size_t total;
	size_t line_len;
	size_t out_len;
	size_t out_sent;
	char line[DIALOGUE_LINE_MAX];
	char out[64 + 4096];
	char secret[4096]; /* base64 of the SASL message */
};

/* -1 when a string is empty, too long, or has a byte that must not reach the
 * wire; the dialogue is then over and undecided. */
int dialogue_start(struct dialogue *d,
    const struct dialogue_question *question);

/* What is to be sent next; NULL for nothing. Borrowed until the next call. */
const char *dialogue_pending(const struct dialogue *d, size_t *len_r);
/* Takes note that the first len pending bytes are on their way. */
void dialogue_sent(struct dialogue *d, size_t len);

/* Reads what the server said; no matter how it was cut into pieces. */
void dialogue_feed(struct dialogue *d, const char *bytes, size_t len);
/* The connection ended: what is not decided by now is undecided. */
void dialogue_eof(struct dialogue *d);

bool dialogue_is_over(const struct dialogue *d);
/* Forgets the secrets. The outcome stays. */
void dialogue_wipe(struct dialogue *d);

#endif
