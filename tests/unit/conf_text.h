/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_UNIT_CONF_TEXT_H
#define POSTERN_TESTS_UNIT_CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* Loads a text as the file "t"; opens no file and does not look at this host.
 * The caller frees both. */
struct conf *conf_text_load(const char *text, struct conf_report *report_r);
/* Is this line in the report? */
bool conf_text_reported(const struct conf_report *report, const char *line);
void conf_text_print(const struct conf_report *report);

/* A text, and the only line that there is to say about it, after "t:" (NULL:
 * none). */
struct conf_text_row {
	const char *text;
	const char *want;
};

/* Are these texts good, or are they not, and is this all that is said? Fails
 * the test otherwise. */
void conf_text_check(const struct conf_text_row *rows, size_t count, bool good);

#endif
