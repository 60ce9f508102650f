/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A first pass over the file, which makes libconfuse (3.3) safe to use. On its
 * own it expands ${VARIABLES}, cuts values at "\0", takes a file that ends
 * inside a section, replaces what is given twice, stops at or ignores what is
 * unknown, and miscounts lines after comments. So this pass reports all that,
 * and spells the rest without comments and with every value in single quotes,
 * line for line. The elements of lists stay here: a list of networks may be
 * long, and libconfuse would be slow with it. It does not judge values.
 */
#include "conf/scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lexer.h"

struct scanner {
	struct lexer lexer;
	size_t out_len;
	size_t values_len;
	size_t item_room;
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
emit_value(struct scanner *s, const char *value)
{
	char *out = s->scan->text + s->out_len;

	*out++ = '\'';
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			*out++ = '\\';
		*out++ = *p;
	}
	*out++ = '\'';
	*out++ = ' ';
	s->out_len = (size_t)(out - s->scan->text);
}

/* To the next token; what is emitted has the same lines. */
static enum token
next(struct scanner *s)
{
	unsigned int line = s->lexer.line;

	lexer_next(&s->lexer);
	for (; line < s->lexer.line; line++)
		emit(s, "\n");
	return s->lexer.token;
}

/* Ends the pass: after this nothing can be said about the rest. */
static int
unexpected(struct scanner *s, const char *label, const char *wanted)
{
	if (s->lexer.token != TOKEN_BAD)
		report_error(s->r, s->lexer.line, label,
		    "%.80s where %s should be", lexer_token_text(&s->lexer),
		    wanted);
	return -1;
}

/* From behind an opening brace to behind its closing one. */
static int
skip_braces(struct scanner *s)
{
	unsigned int line = s->lexer.line;
	size_t depth = 1;

	while (depth > 0) {
		enum token token = next(s);

		if (token == TOKEN_BAD)
			return -1;
		if (token == TOKEN_END) {
			lexer_refuse(&s->lexer, line,
			    "the { on this line is never closed; is the end of "
			    "the file missing?");
			return -1;
		}
		if (token == TOKEN_OPEN)
			depth++;
		if (token == TOKEN_CLOSE)
			depth--;
	}
	return 0;
}

/* A value or a list, from its first token. */
static int
skip_value(struct scanner *s, const char *label)
{
	if (next(s) == TOKEN_OPEN)
		return skip_braces(s);
	return lexer_at_value(&s->lexer) ? 0 : unexpected(s, label, "a value");
}

/* What follows a name that is not known: " = VALUE" or " [TITLE] { ... }". */
static int
skip_statement(struct scanner *s, const char *label)
{
	enum token token = next(s);

	if (token == TOKEN_EQUAL || token == TOKEN_APPEND)
		return skip_value(s, label);
	if (lexer_at_value(&s->lexer))
		token = next(s);
	if (token == TOKEN_OPEN)
		return skip_braces(s);
	return unexpected(s, label, "= or {");
}

static int
unknown_name(struct scanner *s)
{
	const char *section = section_row(s->section)->name;
	const char *name = s->lexer.value;
	const char *near = option_suggest(s->section, name);
	const char *home = option_section(name);
	unsigned int line = s->lexer.line;
	char label[OPTION_LABEL_MAX + 32];

	s->scan->statements++;
	(void)snprintf(label, sizeof(label), "%s%s%.60s", section,
	    *section == '\0' ? "" : ".", name);
	if (home != NULL)
		report_error(s->r, line, label,
		    "there is no such option here; it belongs %s%s",
		    *home == '\0' ? "to the top level" : "into the section ",
		    home);
	else if (near != NULL)
		report_error(s->r, line, label,
		    "there is no such option; did you mean %s?", near);
	else
		report_error(s->r, line, label,
		    "there is no such option; postern.conf(5) has them all");
	return skip_statement(s, label);
}

/* Keeps the token as an element of the list that is being read. */
static int
keep_item(struct scanner *s, struct scan_list *list)
{
	struct scan *scan = s->scan;
	char *text = scan->values + s->values_len;

	if (scan->item_count == s->item_room) {
		size_t room = s->item_room > 0 ? 2 * s->item_room : 64;
		struct item *items =
		    reallocarray(scan->items, room, sizeof(*items));

		if (items == NULL) {
			report_no_memory(s->r);
			return -1;
		}
		scan->items = items;
		s->item_room = room;
	}
	memcpy(text, s->lexer.value, s->lexer.value_len + 1);
	s->values_len += s->lexer.value_len + 1;
	scan->items[scan->item_count].line = s->lexer.line;
	scan->items[scan->item_count].text = text;
	scan->item_count++;
	list->count++;
	return 0;
}

/* The rest of a list, from behind its opening brace. */
static int
read_elements(struct scanner *s, const char *label, struct scan_list *list)
{
	for (;;) {
		if (next(s) == TOKEN_CLOSE)
			return 0;
		if (!lexer_at_value(&s->lexer))
			return unexpected(s, label, "a value or }");
		if (keep_item(s, list) < 0)
			return -1;
		if (next(s) == TOKEN_CLOSE)
			return 0;
		if (s->lexer.token != TOKEN_COMMA)
			return unexpected(s, label, "a comma or }");
	}
}

/* A list, or the one element of a list, from its first token. libconfuse sees
 * its number. */
static int
read_list(struct scanner *s, const char *label)
{
	struct scan *scan = s->scan;
	struct scan_list list = { .line = s->lexer.line,
		.first = scan->item_count };
	struct scan_list *lists;
	char number[16];

	if (s->lexer.token == TOKEN_OPEN) {
		if (read_elements(s, label, &list) < 0)
			return -1;
	} else if (keep_item(s, &list) < 0) {
		return -1;
	}
	lists = reallocarray(scan->lists, scan->list_count + 1, sizeof(*lists));
	if (lists == NULL) {
		report_no_memory(s->r);
		return -1;
	}
	scan->lists = lists;
	lists[scan->list_count] = list;
	(void)snprintf(number, sizeof(number), "%u", scan->list_count++);
	emit_value(s, number);
	return 0;
}

/* NAME = VALUE or NAME = { VALUE, ... } */
static int
read_assignment(struct scanner *s, enum option option)
{
	const struct option_row *row = option_row(option);
	unsigned int line = s->lexer.line, first = s->seen[option];
	char label[OPTION_LABEL_MAX];
	enum token token = next(s);

	option_label(option, label);
	if (token == TOKEN_OPEN) {
		report_error(s->r, s->lexer.line, label,
		    "an option and no section; allowed: %s = VALUE", row->name);
		s->scan->statements++;
		s->scan->spoilt[option] = true;
		return skip_braces(s);
	}
	if (token == TOKEN_APPEND)
		report_error(s->r, s->lexer.line, label,
		    "+= is not known; write the whole list in one place");
	else if (token != TOKEN_EQUAL)
		return unexpected(s, label, "=");
	if (first != 0) {
		report_error(s->r, line, label,
		    "given twice, first on line %u; once is allowed", first);
		return skip_value(s, label);
	}
	s->seen[option] = line;
	s->scan->statements++;
	token = next(s);
	if (token == TOKEN_OPEN && row->type != OPTION_TYPE_LIST) {
		report_error(s->r, s->lexer.line, label,
		    "a list; one value is allowed");
		s->scan->spoilt[option] = true;
		return skip_braces(s);
	}
	if (!lexer_at_value(&s->lexer) && token != TOKEN_OPEN)
		return unexpected(s, label, "a value");
	emit(s, row->name);
	emit(s, "=");
	if (row->type == OPTION_TYPE_LIST)
		return read_list(s, label);
	emit_value(s, s->lexer.value);
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

/* Unsays what was emitted since, but not the line feeds in it. */
static void
unsay(struct scanner *s, size_t start)
{
	for (size_t i = start; i < s->out_len; i++) {
		if (s->scan->text[i] != '\n')
			s->scan->text[i] = ' ';
	}
}

static void
enter_section(struct scanner *s, enum section section, unsigned int line)
{
	emit(s, "{");
	s->scan->statements++;
	s->section = section;
	s->section_line = line;
	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		if (option_row((enum option)i)->section == section)
			s->seen[i] = 0;
	}
}

/* NAME { or NAME "TITLE" { */
static int
open_section(struct scanner *s, enum section section)
{
	const struct section_row *row = section_row(section);
	unsigned int line = s->lexer.line;
	size_t start = s->out_len;
	int rc;

	if (next(s) == TOKEN_EQUAL) {
		report_error(s->r, line, row->name,
		    "a section and no option; allowed: %s%s { ... }", row->name,
		    row->titled ? " \"NAME\"" : "");
		s->scan->statements++;
		return skip_value(s, row->name);
	}
	emit(s, row->name);
	emit(s, " ");
	if (row->titled) {
		if (!lexer_at_value(&s->lexer))
			return unexpected(s, row->name, "a title in quotes");
		if (s->lexer.value[0] == '\0')
			report_error(s->r, line, row->name,
			    "an empty title; it is a name");
		emit_value(s, s->lexer.value);
	} else if (lexer_at_value(&s->lexer)) {
		return unexpected(s, row->name, "{ (it has no title)");
	}
	rc = add_block(s, section, line, s->lexer.value);
	if (rc < 0)
		return -1;
	if (row->titled)
		(void)next(s);
	if (s->lexer.token != TOKEN_OPEN)
		return unexpected(s, row->name, "{");
	if (rc > 0) {
		unsay(s, start);
		return skip_braces(s);
	}
	enter_section(s, section, line);
	return 0;
}

static int
read_statement(struct scanner *s)
{
	enum option option = option_find(s->section, s->lexer.value);
	enum section section = section_find(s->lexer.value);

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
		enum token token = next(s);

		if (token == TOKEN_WORD) {
			if (read_statement(s) < 0)
				return -1;
		} else if (token == TOKEN_CLOSE && s->section != SECTION_ROOT) {
			emit(s, "}");
			s->section = SECTION_ROOT;
		} else if (token == TOKEN_END) {
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

int
scan_text(const char *text, size_t len, struct reporter *r, struct scan *scan_r)
{
	struct scanner *s;
	int rc = -1;

	memset(scan_r, 0, sizeof(*scan_r));
	if (lexer_check_characters(text, len, r) < 0)
		return -1;
	s = calloc(1, sizeof(*s));
	/* an octet becomes three at most ('a' in quotes), and a blank */
	scan_r->text = malloc(4 * len + 1);
	/* behind each value but the last in the file there is another octet */
	scan_r->values = malloc(len + 1);
	if (s == NULL || scan_r->text == NULL || scan_r->values == NULL) {
		report_no_memory(r);
		goto out;
	}
	s->lexer.text = text;
	s->lexer.len = len;
	s->lexer.line = 1;
	s->lexer.r = r;
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
	free(scan->lists);
	free(scan->items);
	free(scan->values);
	free(scan->text);
	memset(scan, 0, sizeof(*scan));
}
