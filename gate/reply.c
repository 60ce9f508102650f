/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the reply of a decision. It knows no door: what a protocol wants
 * escaped (libmilter: every '%') is the door's business.
 */
#include "gate/reply.h"

#include <stdio.h>

void
reply_format(enum reason reason, const char *id, struct reply *reply_r)
{
	const struct reason_row *row = reason_row(reason);

	(void)snprintf(reply_r->code, sizeof(reply_r->code), "%u",
	    row->code % 1000);
	(void)snprintf(reply_r->xcode, sizeof(reply_r->xcode), "%s",
	    row->xcode);
	(void)snprintf(reply_r->text, sizeof(reply_r->text), "%s (id %s)",
	    row->text, id);
}
