/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the tables of acceptance cases. It knows nothing of what the columns
 * mean, and it never goes on after a mistake: a missing column or a short row
 * ends the test program instead of giving an empty cell.
 */
#include "tests/lib/tsv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsv {
	char *path;
	char *text;
	char **cells; /* the header line first */
	size_t columns;
	size_t lines;
};

static void die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

static void
die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(99);
}

static void *
allocate(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
		die("tsv: out of memory");
	return p;
}

static char *
slurp(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text;
	long size;

	if (f == NULL)
		die("%s: cannot be opened (is srcdir set?)", path);
	if (fseek(f, 0, SEEK_END) != 0)
		die("%s: cannot be read", path);
	size = ftell(f);
	if (size < 0 || fseek(f, 0, SEEK_SET) != 0)
		die("%s: cannot be read", path);
	text = allocate((size_t)size + 1, 1);
	if (fread(text, 1, (size_t)size, f) != (size_t)size)
		die("%s: cannot be read", path);
	(void)fclose(f);
	if (strlen(text) != (size_t)size)
		die("%s: holds a NUL", path);
	return text;
}

static size_t
count_char(const char *text, size_t len, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == c ? 1 : 0;
	return n;
}

/* Splits one line (at its newline) into its cells and returns the next one. */
static char *
split_line(struct tsv *table, char *line)
{
	char **cell = &table->cells[table->lines * table->columns];
	size_t len = strcspn(line, "\n");
	size_t columns = count_char(line, len, '\t') + 1;

	if (columns != table->columns)
		die("%s: line %zu has %zu columns, the header has %zu",
		    table->path, table->lines + 1, columns, table->columns);
	line[len] = '\0';
	for (size_t i = 0; i < columns; i++) {
		size_t width = strcspn(line, "\t");

		cell[i] = line;
		line[width] = '\0';
		line += width + 1;
	}
	table->lines++;
	return line;
}

struct tsv *
tsv_load(const char *path)
{
	struct tsv *table = allocate(1, sizeof(*table));
	char *line;
	char *end;

	table->path = allocate(strlen(path) + 1, 1);
	memcpy(table->path, path, strlen(path) + 1);
	table->text = slurp(path);
	end = table->text + strlen(table->text);
	if (end == table->text || end[-1] != '\n')
		die("%s: does not end in a newline", path);
	table->columns =
	    count_char(table->text, strcspn(table->text, "\n"), '\t') + 1;
	table->cells = allocate(
	    count_char(table->text, strlen(table->text), '\n') * table->columns,
	    sizeof(*table->cells));
	for (line = table->text; line < end;)
		line = split_line(table, line);
	if (table->lines < 2)
		die("%s: holds no case", path);
	return table;
}

void
tsv_free(struct tsv **table)
{
	if (table == NULL || *table == NULL)
		return;
	free((*table)->cells);
	free((*table)->text);
	free((*table)->path);
	free(*table);
	*table = NULL;
}

size_t
tsv_rows(const struct tsv *table)
{
	return table->lines - 1;
}

const char *
tsv_cell(const struct tsv *table, size_t row, const char *column)
{
	if (row >= tsv_rows(table))
		die("%s: no row %zu", table->path, row);
	for (size_t i = 0; i < table->columns; i++)
		if (strcmp(table->cells[i], column) == 0)
			return table->cells[(row + 1) * table->columns + i];
	die("%s: no column \"%s\"", table->path, column);
}

static unsigned int
hex(const char *cell, const char *digits, size_t count)
{
	unsigned int value = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)digits[i];
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = c - (unsigned int)'0';
		else if (c >= 'a' && c <= 'f')
			digit = c - (unsigned int)'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - (unsigned int)'A' + 10;
		else
			die("tsv: bad hexadecimal escape in \"%s\"", cell);
		value = value * 16 + digit;
	}
	return value;
}

/* UTF-8 of a code point below U+10000 (RFC 3629, 3). */
static size_t
encode(unsigned int point, char bytes_r[4])
{
	if (point < 0x80) {
		bytes_r[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		bytes_r[0] = (char)(0xc0 | (point >> 6));
		bytes_r[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	bytes_r[0] = (char)(0xe0 | (point >> 12));
	bytes_r[1] = (char)(0x80 | ((point >> 6) & 0x3f));
	bytes_r[2] = (char)(0x80 | (point & 0x3f));
	return 3;
}

/* Decodes what begins with the backslash at p; returns what it took. */
static size_t
unescape_one(const char *cell, const char *p, bool slashes, char bytes_r[4],
    size_t *len_r)
{
	char c = p[1];

	*len_r = 1;
	switch (c) {
	case 'x':
		bytes_r[0] = (char)hex(cell, p + 2, 2);
		return 4;
	case 'u':
		*len_r = encode(hex(cell, p + 2, 4), bytes_r);
		return 6;
	case 'r':
		bytes_r[0] = '\r';
		return 2;
	case 'n':
		bytes_r[0] = '\n';
		return 2;
	default:
		break;
	}
	bytes_r[0] = '\\';
	if (!slashes && c == '\\') {
		bytes_r[1] = '\\';
		*len_r = 2;
		return 2;
	}
	if (!slashes)
		return 1;
	if (c == 't')
		bytes_r[0] = '\t';
	else if (c != '\\')
		die("tsv: unknown escape in \"%s\"", cell);
	return 2;
}

size_t
tsv_unescape(const char *cell, bool slashes, char *out, size_t size)
{
	const char *p = strcmp(cell, "(empty)") == 0 ? "" : cell;
	size_t used = 0;

	while (*p != '\0') {
		char bytes[4] = { *p };
		size_t len = 1;
		size_t taken = 1;

		if (*p == '\\')
			taken = unescape_one(cell, p, slashes, bytes, &len);
		if (used + len >= size)
			die("tsv: \"%s\" is too long for the test", cell);
		memcpy(out + used, bytes, len);
		used += len;
		p += taken;
	}
	if (size == 0)
		die("tsv: no room for \"%s\"", cell);
	out[used] = '\0';
	return used;
}
