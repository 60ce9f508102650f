/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole files: those of tests/data/conf, the annotated sample, and the
 * acceptance cases of configured networks. In tests/data/conf, a comment at the
 * end of a line says what must be reported for it and for no other line:
 * "#! error OPTION, warning OPTION".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "tests/lib/tsv.h"
#include "tests/unit/conf_text.h"

#define TEXT_MAX 65536

static const char *
source(const char *name)
{
	static char path[1024];
	const char *srcdir = getenv("srcdir");

	(void)snprintf(path, sizeof(path), "%s/%s",
	    srcdir != NULL ? srcdir : ".", name);
	return path;
}

static void
read_source(const char *name, char text_r[TEXT_MAX])
{
	FILE *f = fopen(source(name), "re");
	size_t len;

	assert_non_null(f);
	len = fread(text_r, 1, TEXT_MAX - 1, f);
	assert_true(len < TEXT_MAX - 1);
	text_r[len] = '\0';
	(void)fclose(f);
}

/* Takes a reported line "t:LINE: LEVEL: OPTION: " out of the report. */
static bool
take_line(struct conf_report *report, unsigned int line, const char *what)
{
	char level[16], option[64], start[128];

	if (sscanf(what, "%15s %63[^, \n]", level, option) != 2)
		return false;
	(void)snprintf(start, sizeof(start), "t:%u: %s: %s: ", line, level,
	    option);
	for (size_t i = 0; i < report->count; i++) {
		if (strncmp(report->lines[i], start, strlen(start)) == 0) {
			report->lines[i][0] = '\0';
			return true;
		}
	}
	print_error("missing: %s\n", start);
	return false;
}

/* Compares what a file says with what was reported for it. */
static bool
agree(char *text, struct conf_report *report)
{
	unsigned int number = 0;
	bool ok = true;
	char *save;

	for (char *line = text; line != NULL; line = save) {
		const char *what;

		save = strchr(line, '\n');
		if (save != NULL)
			*save++ = '\0';
		number++;
		what = strstr(line, "#! ");
		for (; what != NULL; what = strchr(what + 1, ','))
			ok = take_line(report, number,
				 what + strspn(what, "#!, ")) &&
			    ok;
	}
	for (size_t i = 0; i < report->count; i++) {
		if (report->lines[i][0] == '\0')
			continue;
		print_error("not expected: %s\n", report->lines[i]);
		ok = false;
	}
	return ok;
}

static void
files_are_as_good_or_bad_as_they_say(void **state)
{
	DIR *dir = opendir(source("tests/data/conf"));
	unsigned int files = 0, failures = 0;
	const struct dirent *entry;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		static char text[TEXT_MAX];
		bool good = strncmp(entry->d_name, "good-", 5) == 0;
		char name[512];
		struct conf_report report;
		struct conf *conf;

		if (!good && strncmp(entry->d_name, "bad-", 4) != 0)
			continue;
		files++;
		(void)snprintf(name, sizeof(name), "tests/data/conf/%s",
		    entry->d_name);
		read_source(name, text);
		conf = conf_text_load(text, &report);
		if (!agree(text, &report) || (conf != NULL) != good) {
			print_error("in %s\n", name);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	(void)closedir(dir);
	assert_int_equal(failures, 0);
	assert_true(files >= 10);
}

/* The rows of the acceptance cases that are about configured networks. DESIGN
 * knows two halves of the Internet to be all of it: an error is as good. */
static void
acceptance_cases_of_networks(void **state)
{
	struct tsv *table;
	size_t rows = 0;
	unsigned int failures = 0;

	(void)state;
	table = tsv_load(source("tests/data/netclass.tsv"));
	for (size_t i = 0; i < tsv_rows(table); i++) {
		const char *expected = tsv_cell(table, i, "expected");
		char text[512];
		struct conf_report report;
		struct conf *conf;

		if (strcmp(tsv_cell(table, i, "family"), "-") != 0)
			continue;
		rows++;
		(void)snprintf(text, sizeof(text), "internal = {'%s'}",
		    tsv_cell(table, i, "networks"));
		for (char *p = text; *p != '\0'; p++) {
			if (p[0] == ',' && p[1] == ' ')
				p[1] = '\'';
		}
		for (char *comma = strchr(text, ','); comma != NULL;
		     comma = strchr(comma + 2, ',')) {
			memmove(comma + 1, comma, strlen(comma) + 1);
			*comma++ = '\'';
		}
		conf = conf_text_load(text, &report);
		if (report.count == 0 ||
		    (conf != NULL) !=
			(strcmp(expected, "config-warn") == 0 &&
			    report.errors == 0) ||
		    strstr(report.lines[0], "internal") == NULL) {
			print_error("%s: %s\n      want: %s\n",
			    tsv_cell(table, i, "id"), text, expected);
			conf_text_print(&report);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	tsv_free(&table);
	assert_int_equal(failures, 0);
	assert_true(rows >= 11);
}

/* Is what follows a "#" an option, or part of a section? */
static bool
is_commented_out(const char *text)
{
	return (*text >= 'a' && *text <= 'z') || *text == '\t' || *text == '}';
}

/* The annotated sample, with what is commented out switched on, as it would be
 * by somebody who tries every default. */
static void
the_sample_file_is_good(void **state)
{
	static char text[TEXT_MAX];
	struct conf_report report;
	struct conf *conf;

	(void)state;
	read_source("contrib/postern.conf.sample", text);
	for (char *p = text; *p != '\0'; p++) {
		bool first = p == text || p[-1] == '\n' || p[-1] == '\t';

		if (first && p[0] == '#' && is_commented_out(p + 1))
			*p = ' ';
	}
	conf = conf_text_load(text, &report);
	if (conf == NULL || report.count != 0)
		conf_text_print(&report);
	assert_non_null(conf);
	assert_int_equal(report.count, 0);
	assert_int_equal(conf->sasl_count, 1);
	conf_free(&conf);
	conf_report_clear(&report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_as_good_or_bad_as_they_say),
		cmocka_unit_test(acceptance_cases_of_networks),
		cmocka_unit_test(the_sample_file_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
