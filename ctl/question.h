/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_QUESTION_H
#define POSTERN_CTL_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

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

/* Puts the question through the gate, event by event. The session is the
 * caller's to free; NULL: no memory. */
struct session *question_connect(struct gate *gate, const struct question *q);
/* -1: no memory. */
int question_mail(struct session *session, const struct question *q,
    struct answer *answer_r);
void question_rcpt(struct session *session, struct text path,
    struct answer *answer_r);
/* False: there is no such key, or there are too many of it. */
bool question_set_key(struct question *q, const char *key, struct text value);
const char *question_zone(const struct session *session);

#endif
