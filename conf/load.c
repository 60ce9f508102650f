/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values out of a document, judged by the option table. A value that is not
 * allowed is always an error and never replaced by its default.
 */
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/files.h"
#include "conf/value.h"

void
load_refuse(struct loader *l, unsigned int line, enum option option,
    const char *given, const char *reason)
{
	char label[OPTION_LABEL_MAX], allowed[OPTION_ALLOWED_MAX];

	option_label(option, label);
	option_allowed(option, allowed);
	report_error(&l->r, line, label, REPORT_QUOTE " %s; allowed: %s", given,
	    reason, allowed);
}

void
load_refuse_absence(struct loader *l, const struct block *b, enum option option)
{
	char label[OPTION_LABEL_MAX], allowed[OPTION_ALLOWED_MAX];

	/* it was, and not as it is allowed */
	if (b->scan != NULL && b->scan->spoilt[option])
		return;
	option_label(option, label);
	option_allowed(option, allowed);
	report_error(&l->r, block_line(b, option), label, "%s; allowed: %s",
	    block_has(b, option) ? "an empty list" : "it is not given",
	    allowed);
}

const char *
load_text(const struct block *b, enum option option, unsigned int *line_r)
{
	struct items items = block_items(b, option);

	if (line_r != NULL)
		*line_r = block_line(b, option);
	if (items.count > 0)
		return items.first[0].text;
	if (option_row(option)->def == OPTION_INHERITED)
		return "";
	return option_row(option)->def;
}

/* Is the length of a string within the table's bounds? */
static bool
length_is_allowed(struct loader *l, unsigned int line, enum option option,
    const char *text)
{
	const struct option_row *row = option_row(option);
	size_t len = strlen(text);
	char reason[64];

	if (len >= row->min && len <= row->max)
		return true;
	if (len == 0)
		(void)snprintf(reason, sizeof(reason), "is empty");
	else
		(void)snprintf(reason, sizeof(reason),
		    "is longer than %u octets", (unsigned int)row->max);
	load_refuse(l, line, option, text, reason);
	return false;
}

void
load_string(struct loader *l, const struct block *b, enum option option,
    int (*check)(const char *text, struct err *e), char **string_r)
{
	unsigned int line;
	const char *text = load_text(b, option, &line);
	struct err e;

	if (!length_is_allowed(l, line, option, text))
		return;
	if (check != NULL && *text != '\0' && check(text, &e) < 0) {
		load_refuse(l, line, option, text, e.text);
		return;
	}
	*string_r = strdup(text);
	if (*string_r == NULL)
		report_no_memory(&l->r);
}

void
load_note_file(struct loader *l, const char *path)
{
	load_append(l, &l->conf->named_files, &l->conf->named_file_count, path);
}

unsigned int
load_word(struct loader *l, const struct block *b, enum option option)
{
	unsigned int line, index = 0;
	const char *text = load_text(b, option, &line);

	if (value_word(option_row(option)->allowed, text, &index) < 0)
		load_refuse(l, line, option, text, "is not known");
	return index;
}

/* The words are "false | true". */
bool
load_bool(struct loader *l, const struct block *b, enum option option)
{
	return load_word(l, b, option) != 0;
}

static bool
number_is_allowed(struct loader *l, unsigned int line, enum option option,
    const char *text, uint64_t number)
{
	const struct option_row *row = option_row(option);

	if (number >= row->min && number <= row->max)
		return true;
	load_refuse(l, line, option, text, "is out of range");
	return false;
}

unsigned int
load_number(struct loader *l, const struct block *b, enum option option)
{
	unsigned int line;
	const char *text = load_text(b, option, &line);
	uint64_t number;

	if (value_number(text, &number) < 0) {
		load_refuse(l, line, option, text, "is no whole number");
		return 0;
	}
	if (!number_is_allowed(l, line, option, text, number))
		return 0;
	return (unsigned int)number;
}

uint64_t
load_duration(struct loader *l, const struct block *b, enum option option)
{
	unsigned int line;
	const char *text = load_text(b, option, &line);
	uint64_t ms;

	if (value_duration(text, &ms) < 0) {
		load_refuse(l, line, option, text,
		    "is no duration such as 10s, 5m, 2h or 1d");
		return 0;
	}
	return number_is_allowed(l, line, option, text, ms) ? ms : 0;
}

void
load_rate(struct loader *l, const struct block *b, enum option option,
    struct conf_quota *rate_r)
{
	const struct option_row *row = option_row(option);
	uint64_t count = 0, window = 0;
	unsigned int line;
	const char *text = load_text(b, option, &line);

	if (*text == '\0' && *row->def == '\0')
		return;
	if (value_rate(text, &count, &window) < 0)
		load_refuse(l, line, option, text, "is no rate such as 20/10m");
	else if (count < row->min || count > row->max ||
	    window < VALUE_WINDOW_MIN || window > VALUE_WINDOW_MAX)
		load_refuse(l, line, option, text, "is out of range");
	else
		*rate_r = (struct conf_quota){ count, window };
}

void
load_secret(struct loader *l, const struct block *b, enum option option,
    const char *what, char **secret_r)
{
	unsigned int line = block_line(b, option);
	char label[OPTION_LABEL_MAX], *path = NULL;
	struct err e = { "" };

	load_string(l, b, option, value_absolute_path, &path);
	if (path == NULL)
		return;
	if (*path == '\0' || l->env->no_files) {
		*secret_r = path;
		return;
	}
	option_label(option, label);
	if (files_read_secret(path, secret_r, &e) < 0)
		report_error(&l->r, line, label,
		    REPORT_PATH ": %s; allowed: a file with %s in one line of "
				"1 to %d octets, readable to postern's user "
				"alone (mode 0600 or 0400)",
		    path, e.text, what, FILES_SECRET_MAX);
	else
		account_warn_file(l, line, label, path);
	load_note_file(l, path);
	free(path);
}

void
load_authorities(struct loader *l, const struct block *b, enum option option,
    bool wanted, char **path_r)
{
	unsigned int line = block_line(b, option);
	char label[OPTION_LABEL_MAX];
	struct err e = { "" };

	load_string(l, b, option, value_absolute_path, path_r);
	if (*path_r == NULL || !wanted || l->env->no_files)
		return;
	option_label(option, label);
	if (files_check_readable(*path_r, &e) < 0)
		report_error(&l->r, line, label,
		    REPORT_PATH ": %s; allowed: a file of CA certificates in "
				"PEM that postern can read",
		    *path_r, e.text);
	else
		account_warn_file(l, line, label, *path_r);
	load_note_file(l, *path_r);
}

/* The elements of a default, which stand in the table between blanks. */
static void
load_default_list(struct loader *l, const struct block *b, enum option option,
    load_take *take, void *arg)
{
	const char *p = option_row(option)->def;
	char element[64];

	while (*p != '\0') {
		size_t n = strcspn(p, " ");

		(void)snprintf(element, sizeof(element), "%.*s", (int)n, p);
		take(l, arg, b->line, element);
		p += n;
		p += strspn(p, " ");
	}
}

void
load_list(struct loader *l, const struct block *b, enum option option,
    load_take *take, void *arg)
{
	struct items items = block_items(b, option);

	if (!block_has(b, option)) {
		load_default_list(l, b, option, take, arg);
		return;
	}
	for (size_t i = 0; i < items.count; i++) {
		const struct item *item = &items.first[i];

		if (length_is_allowed(l, item->line, option, item->text))
			take(l, arg, item->line, item->text);
	}
}

void
load_append(struct loader *l, char ***list, size_t *count, const char *text)
{
	char **grown = reallocarray(*list, *count + 1, sizeof(*grown));

	if (grown == NULL) {
		report_no_memory(&l->r);
		return;
	}
	*list = grown;
	grown[*count] = strdup(text);
	if (grown[*count] == NULL) {
		report_no_memory(&l->r);
		return;
	}
	(*count)++;
}
