/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a failure. It carries words and nothing else: what to do about
 * an error is decided by the caller from the return value.
 */
#include "policy/err.h"

#include <stdarg.h>
#include <stdio.h>

void
err_set(struct err *e, const char *format, ...)
{
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
}
