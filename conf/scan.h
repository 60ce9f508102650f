/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_SCAN_H
#define POSTERN_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/options.h"
#include "conf/report.h"

/* A section that is in the file; title is "" where the kind has none. */
struct scan_block {
	enum section section;
	unsigned int line;
	char *title;
};

/* An element of a list, as it is in the file; or a single value. */
struct item {
	unsigned int line;
	const char *text;
};

/* The elements of one list: a part of all items. */
struct scan_list {
	unsigned int line;
	size_t first;
	size_t count;
};

struct scan {
	/* the file in libconfuse's plainest spelling; the value of an option
	 * that takes a list is the number of its list */
	char *text;
	struct scan_list *lists;
	unsigned int list_count;
	struct item *items;
	size_t item_count;
	char *values;              /* the texts of the items */
	bool spoilt[OPTION_COUNT]; /* a value of it was refused somewhere */
	struct scan_block *blocks; /* in the order of the file */
	size_t block_count;
	size_t statements; /* unknown ones included */
};

#define SCAN_BLOCKS_MAX 256

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
