/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the reply of a decision. It knows no door: what a protocol wants
 * escaped (libmilter: every '%') is the door's business.
 */
#include "gate/reply.h"

#include <string.h>

/* Behind what is at n; all of it or what there is room for. */
static size_t
append(char *to, size_t size, size_t n, const char *text)
{
	size_t len = strnlen(text, size - 1 - n);

	memcpy(to + n, text, len);
	to[n + len] = '\0';
	return n + len;
}

/* For every command of every session: no printf. */
void
reply_format(enum reason reason, const char *id, struct reply *reply_r)
{
	const struct reason_row *row = reason_row(reason);
	const size_t size = sizeof(reply_r->text);
	size_t n;

	reply_r->code[0] = (char)('0' + row->code / 100 % 10);
	reply_r->code[1] = (char)('0' + row->code / 10 % 10);
	reply_r->code[2] = (char)('0' + row->code % 10);
	reply_r->code[3] = '\0';
	(void)append(reply_r->xcode, sizeof(reply_r->xcode), 0, row->xcode);
	n = append(reply_r->text, size, 0, row->text);
	n = append(reply_r->text, size, n, " (id ");
	n = append(reply_r->text, size, n, id);
	(void)append(reply_r->text, size, n, ")");
}
