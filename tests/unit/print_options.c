/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints the option table, one option a line with tabs between: name, type,
 * default as a configuration file has it, default and what is allowed as the
 * manual page has them. For options.sh.
 */
#include <stdio.h>
#include <string.h>

#include "conf/options.h"

static void
print_list(const char *elements)
{
	const char *before = "";

	(void)printf("{");
	while (*elements != '\0') {
		int n = (int)strcspn(elements, " ");

		(void)printf("%s\"%.*s\"", before, n, elements);
		before = ", ";
		elements += n;
		elements += strspn(elements, " ");
	}
	(void)printf("}");
}

/* Has the top level's default. */
static const struct option_row *
inherited_row(const struct option_row *row)
{
	if (row->def != OPTION_INHERITED)
		return row;
	return option_row(option_find(SECTION_ROOT, row->name));
}

static void
print_value(const struct option_row *row)
{
	switch (row->type) {
	case OPTION_TYPE_LIST:
		print_list(row->def);
		return;
	case OPTION_TYPE_NUMBER:
		(void)printf("%s", row->def);
		return;
	case OPTION_TYPE_STRING:
	case OPTION_TYPE_WORD:
	case OPTION_TYPE_DURATION:
	case OPTION_TYPE_RATE:
		(void)printf("\"%s\"", row->def);
		return;
	}
}

static const char *
type_name(enum option_type type)
{
	switch (type) {
	case OPTION_TYPE_STRING:
		return "string";
	case OPTION_TYPE_LIST:
		return "list";
	case OPTION_TYPE_WORD:
		return "word";
	case OPTION_TYPE_NUMBER:
		return "number";
	case OPTION_TYPE_DURATION:
		return "duration";
	case OPTION_TYPE_RATE:
		return "rate";
	}
	return "?";
}

/* In words. */
static const char *
default_text(const struct option_row *row)
{
	if (row->def == OPTION_INHERITED)
		return "as at the top level";
	return *row->def == '\0' ? "empty" : row->def;
}

int
main(void)
{
	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row((enum option)i);
		char label[OPTION_LABEL_MAX], allowed[OPTION_ALLOWED_MAX];

		option_label((enum option)i, label);
		option_allowed((enum option)i, allowed);
		(void)printf("%s\t%s\t", label, type_name(row->type));
		print_value(inherited_row(row));
		(void)printf("\t%s\t%s\n", default_text(row), allowed);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
