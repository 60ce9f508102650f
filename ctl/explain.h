/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_EXPLAIN_H
#define POSTERN_CTL_EXPLAIN_H

#include <jansson.h>

#include "ctl/question.h"

/* explain_json.c: the whole judgement as one object (a new reference; NULL: no
 * memory), and a question read from one (NULL, or what is wrong with it). The
 * question borrows from the object. */
json_t *explain_as_json(struct gate *gate, const struct question *q);
const char *explain_read_json(json_t *object, struct question *q);

/* Who vouches for logins: an assumption, or the daemon's own sources. */
struct oracle {
	const char *file;
	bool assumed;
	enum identity identity; /* what is assumed */
	struct log *log;
	struct rules *online; /* made when the first question needs them */
	struct store *store;
	bool no_store;            /* there is none yet */
	bool store_sought;        /* it was tried to open it */
	struct rules_trail trail; /* whom the latest question went to */
};

/* explain_words.c: prints the judgement rule by rule. Returns an exit code. */
int explain_in_words(struct gate *gate, const struct oracle *oracle,
    const struct question *q);

#endif
