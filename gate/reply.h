/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_REPLY_H
#define POSTERN_GATE_REPLY_H

#include "policy/reason.h"

#define DECISION_ID_LEN 6

/* An SMTP reply in its parts (RFC 5321, 4.2; RFC 2034). ASCII, one line. */
struct reply {
	char code[4];
	char xcode[8];
	char text[160]; /* ends with "(id XXXXXX)" */
};

/* The one place where replies are made; code, class and text come from one row
 * of the reason table. */
void reply_format(enum reason reason, const char *id, struct reply *reply_r);

#endif
