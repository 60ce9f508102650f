/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_SITE_H
#define POSTERN_TESTS_LIB_SITE_H

#include "conf/conf.h"

/* The configuration of a test's site, from text alone: this host and its files
 * are not looked at. A text that is refused fails the test that cmocka runs.
 */
struct conf *site_conf(const char *text);

#endif
