/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configurations in one text and what is reported about them, for the tests of
 * conf/.
 */
#include "tests/unit/conf_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/load.h"

struct conf *
conf_text_load(const char *text, struct conf_report *report_r)
{
	static const struct conf_env env = { .host = NULL, .no_files = true };

	memset(report_r, 0, sizeof(*report_r));
	return conf_load_text("t", text, strlen(text), &env, report_r);
}

bool
conf_text_reported(const struct conf_report *report, const char *line)
{
	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(report->lines[i], line) == 0)
			return true;
	}
	return false;
}

void
conf_text_print(const struct conf_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		print_error("      got:  %s\n", report->lines[i]);
}

void
conf_text_check(const struct conf_text_row *rows, size_t count, bool good)
{
	unsigned int failures = 0;

	for (size_t i = 0; i < count; i++) {
		const char *want = rows[i].want;
		struct conf_report report;
		struct conf *conf = conf_text_load(rows[i].text, &report);
		bool ok = (conf != NULL) == good &&
		    report.count == (want != NULL ? 1 : 0);

		if (ok && want != NULL)
			ok = strcmp(report.lines[0] + 2, want) == 0;
		if (!ok) {
			print_error("row %zu: %s\n      want: t:%s\n", i,
			    rows[i].text, want != NULL ? want : " nothing");
			conf_text_print(&report);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}
