/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_DOCUMENT_H
#define POSTERN_CONF_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/options.h"
#include "conf/report.h"
#include "conf/scan.h"

/* A configuration file as it is written: sections, options, values and the
 * lines they are on. Nothing in it has been judged. */
struct document;

/* A section of it. Borrowed from the document. */
struct block {
	void *section;
	const struct scan *scan;
	const char *title; /* "" for none */
	unsigned int line;
};

/* All values of one option, in order. */
struct items {
	size_t count;
	const struct item *first;
};

/* NULL: no document (reported). Errors that leave a document behind are only
 * reported. Any thread; libconfuse is used by one at a time. */
struct document *document_parse(const char *text, size_t len,
    struct reporter *r);
/* Frees and nulls; NULL is allowed. */
void document_free(struct document **document);

/* The top level is there once, sections without title at most once. */
size_t document_block_count(const struct document *document,
    enum section section);
struct block document_block(const struct document *document,
    enum section section, size_t i);

/* Was the option given in this section? Also true of an empty list. */
bool block_has(const struct block *block, enum option option);
/* Its values; none when it was not given. Borrowed from the document. */
struct items block_items(const struct block *block, enum option option);
/* The line to blame for it: of its first value, else where it was given, else
 * where its section begins. */
unsigned int block_line(const struct block *block, enum option option);

#endif
