/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_BENCH_MTA_H
#define POSTERN_TESTS_BENCH_MTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an MTA does in one session, in this order. */
enum step {
	STEP_NEGOTIATE = 0,
	STEP_CONNECT,
	STEP_HELO,
	STEP_HELO_TLS, /* the second EHLO, after STARTTLS */
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_HEADERS,
	STEP_EOH,
	STEP_BODY,
	STEP_EOM,
	STEP_QUIT,
	STEP_COUNT,
};

/* The SMTP client whose session it is, and what the MTA offers. */
struct mta_client {
	bool login; /* STARTTLS, then AUTH */
	const char *login_name;
	unsigned int recipients;
	bool plain_offer; /* an old MTA: default macros, answers to HELO */
};

#define MTA_OUT 4096

/* The MTA's side of one milter session: where it is, what the filter asked
 * for, and the octets to send next. */
struct mta {
	const struct mta_client *client;
	enum step step;
	unsigned int repeats; /* of this step: recipients, headers */
	bool secured;         /* STARTTLS was taken */
	uint32_t protocol;    /* what the filter does not want */
	uint32_t address;     /* the client's, host order */
	char *macros[STEP_COUNT];
	size_t length;
	unsigned char out[MTA_OUT];
};

/* A new session; out holds the negotiation. client is borrowed. */
void mta_begin(struct mta *mta, const struct mta_client *client,
    uint32_t address);
/* Frees what the session held. */
void mta_end(struct mta *mta);

/* The filter's answer to the negotiation, without its command. -1: it makes no
 * sense. */
int mta_negotiated(struct mta *mta, const unsigned char *data, size_t len);

/* Appends to out what the MTA sends at this step. True: an answer will come. */
bool mta_take_step(struct mta *mta);
/* Goes to the step after this one, which may be the same again. */
void mta_advance(struct mta *mta);
/* Is there a round trip of the SMTP client before this step? */
bool mta_waits_for_client(const struct mta *mta);

#endif
