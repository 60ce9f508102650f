/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_ERR_H
#define POSTERN_POLICY_ERR_H

/* Why a function failed, in words for an administrator. Never cut in mid-UTF-8
 * on purpose: callers keep what they quote short. */
struct err {
	char text[512];
};

/* Sets the text, printf style. A NULL err is allowed and means "not asked". */
void err_set(struct err *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
