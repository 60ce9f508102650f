/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_TSV_H
#define POSTERN_TESTS_LIB_TSV_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The tables of acceptance cases in tests/data: UTF-8, tab separated, a header
 * line, one case per line. Every mistake in a table or in its use ends the
 * test program with a message and status 99: a case that cannot be read must
 * not look like one that passed.
 */
struct tsv;

struct tsv *tsv_load(const char *path);
/* Frees and nulls; NULL is allowed. Cells are borrowed until then. */
void tsv_free(struct tsv **table);

/* Without the header line. */
size_t tsv_rows(const struct tsv *table);

/* The cell as it stands in the file, escapes included. */
const char *tsv_cell(const struct tsv *table, size_t row, const char *column);

/*
 * Decodes a cell into out (size octets, a NUL is appended) and returns the
 * length, which counts NULs of the text itself. \xHH is an octet, \uHHHH a code
 * point in UTF-8, \r and \n are themselves, "(empty)" is nothing. With slashes
 * \t and \\ are escapes too and any other backslash is a mistake; without,
 * every other backslash stands for itself, and a pair is never taken apart.
 */
size_t tsv_unescape(const char *cell, bool slashes, char *out, size_t size);

#endif
