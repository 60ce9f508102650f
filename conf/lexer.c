/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words, strings and signs of a configuration file. Strict, so that there is
 * one way to write every value. It knows no options and no grammar.
 */
#include "conf/lexer.h"

#include <string.h>

void
lexer_refuse(struct lexer *x, unsigned int line, const char *reason)
{
	report_error(x->r, line, "syntax", "%s", reason);
	x->token = TOKEN_BAD;
}

static bool
at(const struct lexer *x, const char *text)
{
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (x->pos + i >= x->len || x->text[x->pos + i] != text[i])
			return false;
	}
	return true;
}

/* C's and the shell's comments. */
static int
skip_block_comment(struct lexer *x)
{
	unsigned int line = x->line;

	for (x->pos += 2; x->pos < x->len; x->pos++) {
		if (at(x, "*/")) {
			x->pos += 2;
			return 0;
		}
		if (x->text[x->pos] == '\n')
			x->line++;
	}
	lexer_refuse(x, line, "the comment that begins here is never closed");
	return -1;
}

static void
skip_line_comment(struct lexer *x)
{
	while (x->pos < x->len && x->text[x->pos] != '\n')
		x->pos++;
}

static int
skip_blanks(struct lexer *x)
{
	while (x->pos < x->len) {
		switch (x->text[x->pos]) {
		case '\n':
			x->line++;
			x->pos++;
			break;
		case ' ':
		case '\t':
		case '\r': /* stands before \n only */
			x->pos++;
			break;
		case '#':
			skip_line_comment(x);
			break;
		case '/':
			if (at(x, "//"))
				skip_line_comment(x);
			else if (!at(x, "/*"))
				return 0;
			else if (skip_block_comment(x) < 0)
				return -1;
			break;
		default:
			return 0;
		}
	}
	return 0;
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || (c != '\0' && strchr("_-.:/@!%*[]", c));
}

/* Takes the next n octets as part of the value. */
static int
take(struct lexer *x, size_t n)
{
	if (n > LEXER_VALUE_MAX - x->value_len) {
		lexer_refuse(x, x->line, "a value is too long");
		return -1;
	}
	memcpy(x->value + x->value_len, x->text + x->pos, n);
	x->value_len += n;
	x->value[x->value_len] = '\0';
	x->pos += n;
	return 0;
}

static void
read_word(struct lexer *x)
{
	size_t n = 0;

	while (x->pos + n < x->len && is_word_char(x->text[x->pos + n]))
		n++;
	if (take(x, n) == 0)
		x->token = TOKEN_WORD;
}

/* How many of the next octets mean themselves, in a string in these quotes? */
static size_t
count_plain(const struct lexer *x, char quote)
{
	const char *begin = x->text + x->pos, *end = x->text + x->len;
	const char *p = begin;

	while (p < end && *p != quote && *p != '\\' && *p != '\n')
		p++;
	return (size_t)(p - begin);
}

/* A string ends on its line; a backslash goes before a quote or a backslash
 * and nothing else. */
static void
read_string(struct lexer *x)
{
	char quote = x->text[x->pos++];

	for (;;) {
		if (take(x, count_plain(x, quote)) < 0)
			return;
		if (x->pos >= x->len || x->text[x->pos] == '\n') {
			lexer_refuse(x, x->line,
			    "a string is not closed on its line");
			return;
		}
		if (x->text[x->pos++] == quote)
			break;
		if (x->pos >= x->len ||
		    memchr("\\\"'", x->text[x->pos], 3) == NULL) {
			lexer_refuse(x, x->line,
			    "a backslash in a string; only \\\\, \\\" and \\' "
			    "are known");
			return;
		}
		if (take(x, 1) < 0)
			return;
	}
	x->token = TOKEN_STRING;
}

/* A sign of n octets. */
static void
take_sign(struct lexer *x, enum token token, size_t n)
{
	x->token = token;
	x->pos += n;
}

static void
read_sign(struct lexer *x)
{
	char c = x->text[x->pos];

	switch (c) {
	case '{':
		take_sign(x, TOKEN_OPEN, 1);
		return;
	case '}':
		take_sign(x, TOKEN_CLOSE, 1);
		return;
	case ',':
		take_sign(x, TOKEN_COMMA, 1);
		return;
	case '=':
		take_sign(x, TOKEN_EQUAL, 1);
		return;
	case '+':
		if (at(x, "+=")) {
			take_sign(x, TOKEN_APPEND, 2);
			return;
		}
		break;
	default:
		break;
	}
	report_error(x->r, x->line, "syntax",
	    "the character '%c' (0x%02x) outside quotes", c & 0x80 ? '?' : c,
	    (unsigned int)(unsigned char)c);
	x->token = TOKEN_BAD;
}

void
lexer_next(struct lexer *x)
{
	x->value[0] = '\0';
	x->value_len = 0;
	if (skip_blanks(x) < 0)
		return;
	if (x->pos >= x->len)
		x->token = TOKEN_END;
	else if (x->text[x->pos] == '"' || x->text[x->pos] == '\'')
		read_string(x);
	else if (is_word_char(x->text[x->pos]))
		read_word(x);
	else
		read_sign(x);
}

bool
lexer_at_value(const struct lexer *x)
{
	return x->token == TOKEN_WORD || x->token == TOKEN_STRING;
}

const char *
lexer_token_text(const struct lexer *x)
{
	switch (x->token) {
	case TOKEN_END:
		return "the end of the file";
	case TOKEN_WORD:
	case TOKEN_STRING:
		return x->value;
	case TOKEN_OPEN:
		return "{";
	case TOKEN_CLOSE:
		return "}";
	case TOKEN_COMMA:
		return ",";
	case TOKEN_EQUAL:
		return "=";
	case TOKEN_APPEND:
		return "+=";
	case TOKEN_BAD:
		break;
	}
	return "";
}

static unsigned int
line_at(const char *text, size_t pos)
{
	unsigned int line = 1;

	for (size_t i = 0; i < pos; i++) {
		if (text[i] == '\n')
			line++;
	}
	return line;
}

int
lexer_check_characters(const char *text, size_t len, struct reporter *r)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t' ||
		    (c == '\r' && i + 1 < len && text[i + 1] == '\n'))
			continue;
		report_error(r, line_at(text, i), "syntax",
		    "the byte 0x%02x; the file must be plain text", c);
		return -1;
	}
	return 0;
}
