/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session described by KEY=VALUE, told to the gate as a door would tell it.
 * What the description leaves out is left out here, too.
 */
#include "ctl/question.h"

#include <stdlib.h>
#include <string.h>

bool
question_set_key(struct question *q, const char *key, struct text value)
{
/* clang-format off */
#define QUESTION_SET(name) \
	if (strcmp(key, #name) == 0) { \
		q->name = value; \
		return true; \
	}
	/* clang-format on */
	EXPLAIN_KEYS(QUESTION_SET)
#undef QUESTION_SET
	if (strcmp(key, "rcpt") == 0 && q->rcpt_count < RCPT_MAX) {
		q->rcpts[q->rcpt_count++] = value;
		return true;
	}
	return false;
}

/* As a macro would bring it: NULL when it is empty, and something that matches
 * nothing when it holds a NUL, which no macro can. */
static const char *
given(struct text text)
{
	if (text.data == NULL || text.len == 0)
		return NULL;
	return strlen(text.data) == text.len ? text.data : "\x01";
}

struct session *
question_connect(struct gate *gate, const struct question *q)
{
	struct netaddr peer = { 0 };

	if (q->addr.data != NULL && strlen(q->addr.data) == q->addr.len)
		(void)netaddr_parse(q->addr.data, &peer);
	return session_new(gate, &peer, given(q->listener));
}

/* Splits "SMTPUTF8 BODY=8BITMIME" in place. */
static void
split_args(char *text, const char *args[], size_t max)
{
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(text, " ", &save);
	     word != NULL && n + 1 < max; word = strtok_r(NULL, " ", &save))
		args[n++] = word;
	args[n] = NULL;
}

/* There is no key for the cipher: a sound one is assumed, and with it its
 * strength unless `bits` says otherwise. */
int
question_mail(struct session *session, const struct question *q,
    struct answer *answer_r)
{
	struct text from =
	    q->from.data != NULL ? q->from : (struct text){ "<>", 2 };
	const char *words = given(q->args);
	char *copy = strdup(words != NULL ? words : "");
	const char *args[32];
	struct mail_event event = {
		.path = from.data,
		.path_len = from.len,
		.args = args,
		.tls_version = given(q->tls),
		.cipher = "assumed",
		.cipher_bits = q->bits.data != NULL ? given(q->bits) : "256",
		.mechanism = given(q->mech),
		.login = q->login.data,
		.login_len = q->login.len,
	};

	if (copy == NULL)
		return -1;
	split_args(copy, args, sizeof(args) / sizeof(args[0]));
	session_mail(session, &event, answer_r);
	free(copy);
	return 0;
}

void
question_rcpt(struct session *session, struct text path,
    struct answer *answer_r)
{
	struct rcpt_event event = { .path = path.data, .path_len = path.len };

	session_rcpt(session, &event, answer_r);
}

const char *
question_zone(const struct session *session)
{
	return session_facts(session)->zone == ZONE_INTERNAL ? "internal"
							     : "external";
}
