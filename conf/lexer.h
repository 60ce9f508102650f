/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_LEXER_H
#define POSTERN_CONF_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/report.h"

enum token {
	TOKEN_END = 0,
	TOKEN_WORD,   /* without quotes */
	TOKEN_STRING, /* in quotes */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_EQUAL,
	TOKEN_APPEND,
	TOKEN_BAD, /* reported */
};

#define LEXER_VALUE_MAX 4000 /* octets of one value */

/* The caller sets text (borrowed; lexer_check_characters() has passed it), len,
 * line and r, and zeroes the rest. */
struct lexer {
	const char *text;
	size_t len;
	size_t pos;
	unsigned int line; /* of the token: none goes over several */
	enum token token;
	char value[LEXER_VALUE_MAX + 1]; /* of a word or string */
	size_t value_len;
	struct reporter *r;
};

/* Goes to the next token, over blanks and comments. */
void lexer_next(struct lexer *x);
/* Reports an error in the text and makes the token TOKEN_BAD. */
void lexer_refuse(struct lexer *x, unsigned int line, const char *reason);
/* Is the token a word or a string? */
bool lexer_at_value(const struct lexer *x);
/* The token in words, for a message; borrowed until the next one. */
const char *lexer_token_text(const struct lexer *x);

/* Text files have no control characters but tabs and line ends. -1 when this
 * one has (reported). */
int lexer_check_characters(const char *text, size_t len, struct reporter *r);

#endif
