/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_EXPLAIN_H
#define POSTERN_CTL_EXPLAIN_H

/* What the files of posternctl explain share. Nobody else includes it. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "gate/session.h"

#define RCPT_MAX 1000

/* A text that may hold NULs. */
struct text {
	const char *data; /* NULL: not given */
	size_t len;
};

/* clang-format off */
#define EXPLAIN_KEYS(X) \
	X(addr) X(listener) X(helo) X(tls) X(bits) X(mech) X(login) \
	X(identity) X(from) X(args)
/* clang-format on */

/* One described session; everything is borrowed. */
struct question {
#define QUESTION_MEMBER(key) struct text key;
	EXPLAIN_KEYS(QUESTION_MEMBER)
#undef QUESTION_MEMBER
	struct text rcpts[RCPT_MAX];
	size_t rcpt_count;
};

/* explain.c: puts the question through the gate, event by event. The session
 * is the caller's to free; NULL: no memory. */
struct session *explain_connect(struct gate *gate, const struct question *q);
/* -1: no memory. */
int explain_mail(struct session *session, const struct question *q,
    struct answer *answer_r);
void explain_rcpt(struct session *session, struct text path,
    struct answer *answer_r);
/* False: there is no such key, or there are too many of it. */
bool explain_set_key(struct question *q, const char *key, struct text value);
const char *explain_zone(const struct session *session);

/* explain_json.c: the whole judgement as one object (a new reference; NULL: no
 * memory), and a question read from one (NULL, or what is wrong with it). The
 * question borrows from the object. */
json_t *explain_as_json(struct gate *gate, const struct question *q);
const char *explain_read_json(json_t *object, struct question *q);

/* explain_words.c: prints the judgement rule by rule. Returns an exit code. */
int explain_in_words(struct gate *gate, const struct question *q);

#endif
