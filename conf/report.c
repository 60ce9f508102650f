/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a configuration, as lines for an administrator. Nothing
 * here may turn an error into silence: the count goes up before anything that
 * can fail.
 */
#include "conf/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value may hold anything; a line of a report is one line of text. */
static void
make_printable(char *text)
{
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
}

static void
keep_line(struct conf_report *report, const char *text)
{
	char **lines;
	char *copy;

	if (report->count >= REPORT_LINES_MAX)
		return;
	lines = reallocarray(report->lines, report->count + 1, sizeof(*lines));
	if (lines == NULL)
		return;
	report->lines = lines;
	copy = strdup(text);
	if (copy == NULL)
		return;
	lines[report->count] = copy;
	report->count++;
}

static void add_line(struct reporter *r, unsigned int line, const char *level,
    const char *option, const char *format, va_list ap)
    __attribute__((format(printf, 5, 0)));

static void
add_line(struct reporter *r, unsigned int line, const char *level,
    const char *option, const char *format, va_list ap)
{
	char text[1024], whole[2048];

	(void)vsnprintf(text, sizeof(text), format, ap);
	(void)snprintf(whole, sizeof(whole), "%.512s:%u: %s: %s: %s", r->file,
	    line, level, option, text);
	make_printable(whole);
	keep_line(r->report, whole);
}

void
report_error(struct reporter *r, unsigned int line, const char *option,
    const char *format, ...)
{
	va_list ap;

	r->report->errors++;
	va_start(ap, format);
	add_line(r, line, "error", option, format, ap);
	va_end(ap);
}

void
report_warning(struct reporter *r, unsigned int line, const char *option,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add_line(r, line, "warning", option, format, ap);
	va_end(ap);
}

void
report_no_memory(struct reporter *r)
{
	report_error(r, 1, "memory", "there is not enough of it");
}

void
conf_report_clear(struct conf_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->lines[i]);
	free(report->lines);
	memset(report, 0, sizeof(*report));
}
