/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the administrator is told. It must not repeat itself: a server that is
 * down is asked again and again, and says little that is new.
 */
#include "identity/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ALARM_EVERY_MS 60000
#define ALARM_LINES    5 /* within that time, if the cause changes */

static void
send_report(struct backend *b, enum identity_level level,
    unsigned int held_back, const char *text)
{
	char line[REPORT_MAX + 160];
	char more[48] = "";
	char *p;

	if (held_back > 0)
		(void)snprintf(more, sizeof(more), " (and %u times more)",
		    held_back);
	(void)snprintf(line, sizeof(line), "imap \"%.64s\": %s%s", b->name,
	    text, more);
	for (p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	if (b->engine->report != NULL)
		b->engine->report(b->engine->report_arg, level, line);
}

void
alarm_note(struct backend *b, enum identity_level level, const char *format,
    ...)
{
	char text[REPORT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	send_report(b, level, 0, text);
}

void
alarm_raise(struct backend *b, enum alarm_kind kind, enum identity_level level,
    const char *format, ...)
{
	struct alarm *alarm = &b->alarms[kind];
	uint64_t now = engine_now_ms();
	char text[REPORT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (alarm->lines == 0 || now - alarm->since_ms >= ALARM_EVERY_MS) {
		alarm->since_ms = now;
		alarm->lines = 0;
	} else if (alarm->lines >= ALARM_LINES ||
	    strcmp(alarm->text, text) == 0) {
		alarm->held_back++;
		return;
	}
	send_report(b, level, alarm->held_back, text);
	memcpy(alarm->text, text, sizeof(alarm->text));
	alarm->lines++;
	alarm->held_back = 0;
}
