/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_SCAN_H
#define POSTERN_CONF_SCAN_H

#include <stddef.h>

#include "conf/options.h"
#include "conf/report.h"

/* A section that is in the file; title is "" where the kind has none. */
struct scan_block {
	enum section section;
	unsigned int line;
	char *title;
};

struct scan {
	char *text; /* the file in libconfuse's plainest spelling */
	struct scan_block *blocks; /* in the order of the file */
	size_t block_count;
	unsigned int lines[OPTION_COUNT]; /* where it was last given, or 0 */
	size_t statements;                /* unknown ones included */
};

#define SCAN_BLOCKS_MAX 256
#define SCAN_VALUE_MAX  4000 /* octets of one value */

/*
 * Goes over the text before libconfuse does. Reports and leaves out what is
 * unknown, given twice or a list where there is one value; -1 when the text
 * makes no sense any more, or there is no memory (both reported). In either
 * case *scan_r wants scan_clear().
 */
int scan_text(const char *text, size_t len, struct reporter *r,
    struct scan *scan_r);
void scan_clear(struct scan *scan);

#endif
