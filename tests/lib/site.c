/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads what unit tests configure, and says what is wrong with it. A test that
 * expects errors has no use for it.
 */
#include "tests/lib/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/load.h"

struct conf *
site_conf(const char *text)
{
	static const struct conf_env env = { .host = NULL, .no_files = true };
	struct conf_report report = { 0 };
	struct conf *conf =
	    conf_load_text("t", text, strlen(text), &env, &report);

	for (size_t i = 0; conf == NULL && i < report.count; i++)
		print_error("%s\n", report.lines[i]);
	conf_report_clear(&report);
	assert_non_null(conf);
	return conf;
}
