/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_REPORT_H
#define POSTERN_CONF_REPORT_H

#include "conf/conf.h"

/* No more lines than this are kept; the errors after it are still counted. */
#define REPORT_LINES_MAX 500

/* How much of a value, and of a path, a message repeats. */
#define REPORT_QUOTE "\"%.80s\""
#define REPORT_PATH  "\"%.400s\""

/*
 * Writes lines into a conf_report. A line that cannot be kept (no memory) is
 * still counted as an error, so that no failure can look like success.
 */
struct reporter {
	struct conf_report *report;
	const char *file; /* borrowed */
};

void report_error(struct reporter *r, unsigned int line, const char *option,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
void report_warning(struct reporter *r, unsigned int line, const char *option,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Out of memory: an error like any other. */
void report_no_memory(struct reporter *r);

#endif
