/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_RECORD_H
#define POSTERN_GATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "policy/verdict.h"

/* What the log says about one decision. Strings are borrowed; NULL or "" is
 * logged as "-". Values are raw: the writer escapes them. */
struct record {
	const char *id;
	const char *queue;
	const char *client;
	const char *zone;
	const char *listener;
	const char *tls;
	const char *mechanism;
	const char *login;
	const char *identity;
	const char *from;
	const char *rcpt;
	const char *stage;
	const char *verdict;
	const char *reason;
	const char *reply;
	double ms;
	size_t recipients;     /* 0 is not logged */
	bool sender_foreign;   /* warning=sender-not-owned */
	bool graced;           /* warning=graced-password */
	bool over_limit;       /* warning=over-limit */
	bool observed;         /* mode=observe: the MTA was not told */
	unsigned int repeated; /* so many lines like this were left out */
};

#define RECORD_MAX 16384

/* One line: fixed key order, no line feed. In text, a value that is not plain
 * printable ASCII is quoted, with \" \\ and \xHH; what would not fit is cut and
 * marked with "...". */
void record_format(enum log_format format, const struct record *record,
    char line_r[RECORD_MAX]);

#endif
