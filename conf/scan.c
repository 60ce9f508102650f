/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A first pass over the file, which makes libconfuse (3.3) safe to use. On its
 * own it expands ${VARIABLES}, cuts values at "\0", takes a file that ends
 * inside a section, replaces what is given twice, stops at or ignores what is
 * unknown, and miscounts lines after comments. So this pass reports all that,
 * and spells the rest without comments and with every value in single quotes,
 * line for line. It does not judge values.
 */
#include "conf/scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct scanner {
	const char *text;
	size_t len;
	size_t pos;
	unsigned int line;
	enum token token;
	char value[SCAN_VALUE_MAX + 1]; /* of a word or string */
	size_t out_len;
	enum section section; /* that we are in */
	unsigned int section_line;
	unsigned int seen[OPTION_COUNT]; /* in this section: line, or 0 */
	struct reporter *r;
	struct scan *scan;
};

static void
emit(struct scanner *s, const char *text)
{
	size_t n = strlen(text);

	memcpy(s->scan->text + s->out_len, text, n);
	s->out_len += n;
}

/* A value in single quotes, in which only \\ and \' mean something else. */
static void
emit_value(struct scanner *s)
{
	char *out = s->scan->text + s->out_len;

	*out++ = '\'';
	for (const char *p = s->value; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			*out++ = '\\';
		*out++ = *p;
	}
	*out++ = '\'';
	*out++ = ' ';
	s->out_len = (size_t)(out - s->scan->text);
}

static void
newline(struct scanner *s)
{
	s->line++;
	emit(s, "\n");
}

static void
bad(struct scanner *s, unsigned int line, const char *text)
{
	report_error(s->r, line, "syntax", "%s", text);
	s->token = TOKEN_BAD;
}

static bool
at(const struct scanner *s, const char *text)
{
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (s->pos + i >= s->len || s->text[s->pos + i] != text[i])
			return false;
	}
	return true;
}

/* C's and the shell's comments. */
static int
skip_block_comment(struct scanner *s)
{
	unsigned int line = s->line;

	for (s->pos += 2; s->pos < s->len; s->pos++) {
		if (at(s, "*/")) {
			s->pos += 2;
			return 0;
		}
		if (s->text[s->pos] == '\n')
			newline(s);
	}
	bad(s, line, "the comment that begins here is never closed");
	return -1;
}

static int
skip_blanks(struct scanner *s)
{
	while (s->pos < s->len) {
		char c = s->text[s->pos];

		if (c == '\n') {
			newline(s);
			s->pos++;
		} else if (c == ' ' || c == '\t' || at(s, "\r\n")) {
			s->pos++;
		} else if (c == '#' || at(s, "//")) {
			while (s->pos < s->len && s->text[s->pos] != '\n')
				s->pos++;
		} else if (at(s, "/*")) {
			if (skip_block_comment(s) < 0)
				return -1;
		} else {
			break;
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

static void
read_word(struct scanner *s)
{
	size_t n = 0;

	while (s->pos < s->len && is_word_char(s->text[s->pos])) {
		if (n == SCAN_VALUE_MAX) {
			bad(s, s->line, "a value is too long");
			return;
		}
		s->value[n++] = s->text[s->pos++];
	}
	s->value[n] = '\0';
	s->token = TOKEN_WORD;
}

/* A string ends on its line; a backslash goes before a quote or a backslash
 * and nothing else, so that there is one way to write every value. */
static void
read_string(struct scanner *s)
{
	char quote = s->text[s->pos++];
	size_t n = 0;

	while (s->pos < s->len && s->text[s->pos] != quote) {
		char c = s->text[s->pos++];

		if (c == '\n')
			break;
		if (c == '\\') {
			c = '\0';
			if (s->pos < s->len)
				c = s->text[s->pos++];
			if (c != '\\' && c != '"' && c != '\'') {
				bad(s, s->line,
				    "a backslash in a string; only \\\\, \\\" "
				    "and \\' are known");
				return;
			}
		}
		if (n == SCAN_VALUE_MAX) {
			bad(s, s->line, "a value is too long");
			return;
		}
		s->value[n++] = c;
	}
	if (s->pos >= s->len || s->text[s->pos] != quote) {
		bad(s, s->line, "a string is not closed on its line");
		return;
	}
	s->pos++;
	s->value[n] = '\0';
	s->token = TOKEN_STRING;
}

static void
read_sign(struct scanner *s)
{
	static const struct {
		const char *text;
		enum token token;
	} signs[] = {
		{ "{", TOKEN_OPEN },
		{ "}", TOKEN_CLOSE },
		{ ",", TOKEN_COMMA },
		{ "=", TOKEN_EQUAL },
		{ "+=", TOKEN_APPEND },
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (at(s, signs[i].text)) {
			s->pos += strlen(signs[i].text);
			s->token = signs[i].token;
			return;
		}
	}
	report_error(s->r, s->line, "syntax",
	    "the character '%c' (0x%02x) outside quotes",
	    s->text[s->pos] & 0x80 ? '?' : s->text[s->pos],
	    (unsigned int)(unsigned char)s->text[s->pos]);
	s->token = TOKEN_BAD;
}

static void
next(struct scanner *s)
{
	s->value[0] = '\0';
	if (skip_blanks(s) < 0)
		return;
	if (s->pos >= s->len)
		s->token = TOKEN_END;
	else if (s->text[s->pos] == '"' || s->text[s->pos] == '\'')
		read_string(s);
	else if (is_word_char(s->text[s->pos]))
		read_word(s);
	else
		read_sign(s);
}

static bool
is_value(enum token token)
{
	return token == TOKEN_WORD || token == TOKEN_STRING;
}

static const char *
token_text(const struct scanner *s)
{
	switch (s->token) {
	case TOKEN_END:
		return "the end of the file";
	case TOKEN_WORD:
	case TOKEN_STRING:
		return s->value;
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

/* Ends the pass: after this nothing can be said about the rest. */
static int
unexpected(struct scanner *s, const char *label, const char *wanted)
{
	if (s->token != TOKEN_BAD)
		report_error(s->r, s->line, label, "%.80s where %s should be",
		    token_text(s), wanted);
	return -1;
}

/* From behind an opening brace to behind its closing one. */
static int
skip_braces(struct scanner *s)
{
	unsigned int line = s->line;
	size_t depth = 1;

	while (depth > 0) {
		next(s);
		if (s->token == TOKEN_BAD)
			return -1;
		if (s->token == TOKEN_END) {
			bad(s, line,
			    "the { on this line is never closed; is the end of "
			    "the file missing?");
			return -1;
		}
		if (s->token == TOKEN_OPEN)
			depth++;
		if (s->token == TOKEN_CLOSE)
			depth--;
	}
	return 0;
}

/* A value or a list, from its first token. */
static int
skip_value(struct scanner *s, const char *label)
{
	next(s);
	if (s->token == TOKEN_OPEN)
		return skip_braces(s);
	return is_value(s->token) ? 0 : unexpected(s, label, "a value");
}

/* What follows a name that is not known: " = VALUE" or " [TITLE] { ... }". */
static int
skip_statement(struct scanner *s, const char *label)
{
	next(s);
	if (s->token == TOKEN_EQUAL || s->token == TOKEN_APPEND)
		return skip_value(s, label);
	if (is_value(s->token))
		next(s);
	if (s->token == TOKEN_OPEN)
		return skip_braces(s);
	return unexpected(s, label, "= or {");
}

static int
unknown_name(struct scanner *s)
{
	const char *section = section_row(s->section)->name;
	const char *near = option_suggest(s->section, s->value);
	const char *home = option_section(s->value);
	char label[OPTION_LABEL_MAX + 32];

	s->scan->statements++;
	(void)snprintf(label, sizeof(label), "%s%s%.60s", section,
	    *section == '\0' ? "" : ".", s->value);
	if (home != NULL)
		report_error(s->r, s->line, label,
		    "there is no such option here; it belongs %s%s",
		    *home == '\0' ? "to the top level" : "into the section ",
		    home);
	else if (near != NULL)
		report_error(s->r, s->line, label,
		    "there is no such option; did you mean %s?", near);
	else
		report_error(s->r, s->line, label,
		    "there is no such option; postern.conf(5) has them all");
	return skip_statement(s, label);
}

/* The rest of a list, from behind its opening brace. */
static int
read_list(struct scanner *s, const char *label)
{
	emit(s, "{");
	for (;;) {
		next(s);
		if (s->token == TOKEN_CLOSE)
			break;
		if (!is_value(s->token))
			return unexpected(s, label, "a value or }");
		emit_value(s);
		next(s);
		if (s->token == TOKEN_CLOSE)
			break;
		if (s->token != TOKEN_COMMA)
			return unexpected(s, label, "a comma or }");
		emit(s, ",");
	}
	emit(s, "}");
	return 0;
}

/* NAME = VALUE or NAME = { VALUE, ... } */
static int
read_assignment(struct scanner *s, enum option option)
{
	const struct option_row *row = option_row(option);
	unsigned int line = s->line, first = s->seen[option];
	char label[OPTION_LABEL_MAX];

	option_label(option, label);
	next(s);
	if (s->token == TOKEN_APPEND)
		report_error(s->r, s->line, label,
		    "+= is not known; write the whole list in one place");
	else if (s->token != TOKEN_EQUAL)
		return unexpected(s, label, "=");
	if (first != 0) {
		report_error(s->r, line, label,
		    "given twice, first on line %u; once is allowed", first);
		return skip_value(s, label);
	}
	s->seen[option] = line;
	s->scan->lines[option] = line;
	s->scan->statements++;
	next(s);
	if (s->token == TOKEN_OPEN && row->type != OPTION_TYPE_LIST) {
		report_error(s->r, s->line, label,
		    "a list; one value is allowed");
		return skip_braces(s);
	}
	if (!is_value(s->token) && s->token != TOKEN_OPEN)
		return unexpected(s, label, "a value");
	emit(s, row->name);
	emit(s, "=");
	if (s->token == TOKEN_OPEN)
		return read_list(s, label);
	emit_value(s);
	return 0;
}

/* Remembers a section. 1: it was there before (reported). */
static int
add_block(struct scanner *s, enum section section, unsigned int line,
    const char *title)
{
	struct scan *scan = s->scan;
	const char *name = section_row(section)->name;
	struct scan_block *blocks;

	for (size_t i = 0; i < scan->block_count; i++) {
		const struct scan_block *b = &scan->blocks[i];

		if (b->section != section || strcmp(b->title, title) != 0)
			continue;
		report_error(s->r, line, name,
		    "the section%s%.80s is given twice, first on line %u; once "
		    "is allowed",
		    *title == '\0' ? "" : " ", title, b->line);
		return 1;
	}
	if (scan->block_count >= SCAN_BLOCKS_MAX) {
		report_error(s->r, line, name, "more than %d sections",
		    SCAN_BLOCKS_MAX);
		return -1;
	}
	blocks =
	    reallocarray(scan->blocks, scan->block_count + 1, sizeof(*blocks));
	if (blocks == NULL) {
		report_no_memory(s->r);
		return -1;
	}
	scan->blocks = blocks;
	blocks += scan->block_count;
	blocks->section = section;
	blocks->line = line;
	blocks->title = strdup(title);
	if (blocks->title == NULL) {
		report_no_memory(s->r);
		return -1;
	}
	scan->block_count++;
	return 0;
}

/* NAME { or NAME "TITLE" { */
static int
open_section(struct scanner *s, enum section section)
{
	const struct section_row *row = section_row(section);
	unsigned int line = s->line;
	size_t start = s->out_len;
	int rc;

	emit(s, row->name);
	emit(s, " ");
	next(s);
	if (row->titled) {
		if (!is_value(s->token))
			return unexpected(s, row->name, "a title in quotes");
		if (s->value[0] == '\0') {
			report_error(s->r, line, row->name,
			    "an empty title; it is a name");
		}
		emit_value(s);
	} else if (is_value(s->token)) {
		return unexpected(s, row->name, "{ (it has no title)");
	}
	rc = add_block(s, section, line, s->value);
	if (rc < 0)
		return -1;
	if (row->titled)
		next(s);
	if (s->token != TOKEN_OPEN)
		return unexpected(s, row->name, "{");
	if (rc > 0) {
		/* unsay the name, but not the line feeds behind it */
		for (size_t i = start; i < s->out_len; i++) {
			if (s->scan->text[i] != '\n')
				s->scan->text[i] = ' ';
		}
		return skip_braces(s);
	}
	emit(s, "{");
	s->scan->statements++;
	s->section = section;
	s->section_line = line;
	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		if (option_row((enum option)i)->section == section)
			s->seen[i] = 0;
	}
	return 0;
}

static int
read_statement(struct scanner *s)
{
	enum option option = option_find(s->section, s->value);
	enum section section = section_find(s->value);

	if (option != OPTION_COUNT)
		return read_assignment(s, option);
	if (s->section == SECTION_ROOT && section != SECTION_COUNT)
		return open_section(s, section);
	return unknown_name(s);
}

static int
read_file(struct scanner *s)
{
	for (;;) {
		next(s);
		if (s->token == TOKEN_WORD) {
			if (read_statement(s) < 0)
				return -1;
		} else if (s->token == TOKEN_CLOSE &&
		    s->section != SECTION_ROOT) {
			emit(s, "}");
			s->section = SECTION_ROOT;
		} else if (s->token == TOKEN_END) {
			break;
		} else {
			return unexpected(s, "syntax", "the name of an option");
		}
	}
	if (s->section == SECTION_ROOT)
		return 0;
	report_error(s->r, s->section_line, section_row(s->section)->name,
	    "the section that begins here is never closed; is the end of the "
	    "file missing?");
	return -1;
}

/* Text files have no control characters but these. */
static int
check_characters(const char *text, size_t len, struct reporter *r)
{
	unsigned int line = 1;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n')
			line++;
		if (c == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
			report_error(r, line, "syntax",
			    "the byte 0x%02x; the file must be plain text", c);
			return -1;
		}
	}
	return 0;
}

int
scan_text(const char *text, size_t len, struct reporter *r, struct scan *scan_r)
{
	struct scanner *s;
	int rc = -1;

	memset(scan_r, 0, sizeof(*scan_r));
	if (check_characters(text, len, r) < 0)
		return -1;
	s = calloc(1, sizeof(*s));
	/* an octet becomes three at most ('a' in quotes), and a blank */
	scan_r->text = malloc(4 * len + 1);
	if (s == NULL || scan_r->text == NULL) {
		report_no_memory(r);
		goto out;
	}
	s->text = text;
	s->len = len;
	s->line = 1;
	s->r = r;
	s->scan = scan_r;
	rc = read_file(s);
	scan_r->text[s->out_len] = '\0';
out:
	free(s);
	return rc;
}

void
scan_clear(struct scan *scan)
{
	for (size_t i = 0; i < scan->block_count; i++)
		free(scan->blocks[i].title);
	free(scan->blocks);
	free(scan->text);
	memset(scan, 0, sizeof(*scan));
}
