/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of reasons, as data. It judges nothing.
 */
#include "policy/reason.h"

#include <stddef.h>

static const struct reason_row rows[] = {
#define REASON_ROW(id, name, verdict, code, xcode, text) \
 [REASON_##id] = { name, VERDICT_##verdict, code, xcode, text },
	REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

const struct reason_row *
reason_row(enum reason reason)
{
	size_t i = (size_t)reason;

	if (i >= sizeof(rows) / sizeof(rows[0]))
		i = REASON_INTERNAL_ERROR;
	return &rows[i];
}

const char *
verdict_name(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_PERMIT:
		return "permit";
	case VERDICT_REJECT:
		return "reject";
	case VERDICT_TEMPFAIL:
	case VERDICT_NEED:
		break;
	}
	return "tempfail";
}
