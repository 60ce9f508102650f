/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_CHALLENGE_H
#define POSTERN_IDENTITY_CHALLENGE_H

#include <stdbool.h>

#include "policy/sasl.h"

/* A challenge in base64; no mechanism here needs a quarter of that. */
#define CHALLENGE_MAX 4096

/* What a server says in mid-exchange. */
enum challenge {
	CHALLENGE_NONSENSE = 0,
	CHALLENGE_PUT,   /* the client has to prove itself */
	CHALLENGE_FINAL, /* the server does, to a client that did (SCRAM) */
	CHALLENGE_ERROR, /* it says no, and waits before it says so plainly */
};

/* text: base64; nth: 1 for the first one. Pure. */
enum challenge challenge_judge(enum sasl_mechanism mechanism, unsigned int nth,
    const char *text);

/* Can the exchange be over, and well? messages: of the client, its first one
 * included; final: CHALLENGE_FINAL was there. Pure. */
bool challenge_is_complete(enum sasl_mechanism mechanism,
    unsigned int challenges, unsigned int messages, bool final);

#endif
