/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option table as data. It knows the names, types, defaults and ranges and
 * nothing of what the options do.
 */
#include "conf/options.h"

#include <stdio.h>
#include <string.h>

#include "conf/value.h"

#define NAME_MAX_LEN 32

static const struct section_row sections[] = {
#define SECTION_ROW(id, name, titled) { name, titled },
	SECTION_TABLE(SECTION_ROW)
#undef SECTION_ROW
};

static const struct option_row options[] = {
#define OPTION_ROW(section, id, name, type, def, min, max, allowed) \
 { SECTION_##section, name, OPTION_TYPE_##type, def, min, max, allowed },
	OPTION_TABLE(OPTION_ROW)
#undef OPTION_ROW
};

const struct section_row *
section_row(enum section section)
{
	return &sections[section < SECTION_COUNT ? section : SECTION_ROOT];
}

const struct option_row *
option_row(enum option option)
{
	return &options[option < OPTION_COUNT ? option : 0];
}

enum section
section_find(const char *name)
{
	for (unsigned int i = SECTION_ROOT + 1; i < SECTION_COUNT; i++) {
		if (strcmp(sections[i].name, name) == 0)
			return (enum section)i;
	}
	return SECTION_COUNT;
}

enum option
option_find(enum section section, const char *name)
{
	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		if (options[i].section == section &&
		    strcmp(options[i].name, name) == 0)
			return (enum option)i;
	}
	return OPTION_COUNT;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool
are_swapped(const char *a, const char *b)
{
	return a[-1] == b[0] && a[0] == b[-1];
}

/* Levenshtein's distance of two short names, where two neighbours that have
 * changed places are one mistake. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t before[NAME_MAX_LEN + 1] = { 0 }, row[NAME_MAX_LEN + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t above[NAME_MAX_LEN + 1];

		memcpy(above, row, sizeof(above));
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t other = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = least(other, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && are_swapped(&a[i - 1], &b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		memcpy(before, above, sizeof(before));
	}
	return row[lb];
}

static void
consider(const char *name, const char *candidate, size_t *best, const char **r)
{
	size_t distance = edit_distance(name, candidate);

	if (distance < *best && distance < strlen(name)) {
		*best = distance;
		*r = candidate;
	}
}

const char *
option_suggest(enum section section, const char *name)
{
	const char *found = NULL;
	size_t best = 3;

	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		if (options[i].section == section)
			consider(name, options[i].name, &best, &found);
	}
	for (unsigned int i = 1; section == SECTION_ROOT && i < SECTION_COUNT;
	     i++)
		consider(name, sections[i].name, &best, &found);
	return found;
}

const char *
option_section(const char *name)
{
	enum section found = SECTION_COUNT;

	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		if (strcmp(options[i].name, name) != 0 ||
		    options[i].section == found)
			continue;
		if (found != SECTION_COUNT)
			return NULL;
		found = options[i].section;
	}
	return found == SECTION_COUNT ? NULL : sections[found].name;
}

void
option_label(enum option option, char label_r[OPTION_LABEL_MAX])
{
	const struct option_row *row = option_row(option);
	const char *section = section_row(row->section)->name;

	(void)snprintf(label_r, OPTION_LABEL_MAX, "%s%s%s", section,
	    *section == '\0' ? "" : ".", row->name);
}

void
option_allowed(enum option option, char allowed_r[OPTION_ALLOWED_MAX])
{
	const struct option_row *row = option_row(option);
	char min[VALUE_DURATION_MAX], max[VALUE_DURATION_MAX];

	switch (row->type) {
	case OPTION_TYPE_STRING:
	case OPTION_TYPE_LIST:
	case OPTION_TYPE_WORD:
		(void)snprintf(allowed_r, OPTION_ALLOWED_MAX, "%s",
		    row->allowed);
		return;
	case OPTION_TYPE_NUMBER:
		(void)snprintf(allowed_r, OPTION_ALLOWED_MAX, "%llu to %llu %s",
		    (unsigned long long)row->min, (unsigned long long)row->max,
		    row->allowed);
		return;
	case OPTION_TYPE_DURATION:
		value_duration_format(row->min, min);
		value_duration_format(row->max, max);
		(void)snprintf(allowed_r, OPTION_ALLOWED_MAX, "%s to %s", min,
		    max);
		return;
	case OPTION_TYPE_RATE:
		value_duration_format(VALUE_WINDOW_MIN, min);
		value_duration_format(VALUE_WINDOW_MAX, max);
		(void)snprintf(allowed_r, OPTION_ALLOWED_MAX,
		    "N/DURATION with N from %llu to %llu and a duration from "
		    "%s to %s%s",
		    (unsigned long long)row->min, (unsigned long long)row->max,
		    min, max, *row->def == '\0' ? ", or empty" : "");
		return;
	}
}
