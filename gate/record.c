/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log line of a decision: what every key is called and how its value is
 * escaped. Addresses and logins come from strangers; nothing of theirs may end
 * a line, a value or a quotation.
 */
#include "gate/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define VALUE_MAX 340 /* octets of one value, escaped */

/* clang-format off */
#define RECORD_KEYS(X) \
	X(id) X(queue) X(client) X(zone) X(listener) X(tls) X(mechanism) \
	X(login) X(identity) X(from) X(rcpt) X(stage) X(verdict) X(reason) \
	X(reply)
/* clang-format on */

static const char *
key_name(const char *member)
{
	return strcmp(member, "mechanism") == 0 ? "mech" : member;
}

/* Escapes into value_r. True: it needs quotation marks. */
static bool
escape(const char *raw, char value_r[VALUE_MAX])
{
	bool quote = *raw == '\0';
	size_t n = 0;

	for (const char *p = raw; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (n + 8 > VALUE_MAX) {
			memcpy(value_r + n, "...", 3);
			n += 3;
			break;
		}
		if (c < 0x20 || c >= 0x7f) {
			n += (size_t)snprintf(value_r + n, 5, "\\x%02X", c);
			quote = true;
			continue;
		}
		if (c == '"' || c == '\\')
			value_r[n++] = '\\';
		if (c == '"' || c == '\\' || c == ' ')
			quote = true;
		value_r[n++] = (char)c;
	}
	value_r[n] = '\0';
	return quote;
}

struct line {
	char *text;
	size_t len;
};

/* What does not fit is cut. */
static void
append(struct line *line, const char *text)
{
	size_t room = RECORD_MAX - 1 - line->len, len = strlen(text);

	if (len > room)
		len = room;
	memcpy(line->text + line->len, text, len);
	line->len += len;
	line->text[line->len] = '\0';
}

static void __attribute__((format(printf, 2, 3)))
append_number(struct line *line, const char *format, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	append(line, text);
}

/* Most values need nothing. */
static bool
is_plain(const char *raw)
{
	const char *p = raw;

	while (*p > 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	return *p == '\0' && p - raw <= VALUE_MAX - 8;
}

static void
append_value(struct line *line, const char *member, const char *raw)
{
	char value[VALUE_MAX];
	bool quote;

	if (line->len > 0)
		append(line, " ");
	append(line, key_name(member));
	append(line, "=");
	if (raw == NULL || *raw == '\0') {
		append(line, "-");
		return;
	}
	if (is_plain(raw)) {
		append(line, raw);
		return;
	}
	quote = escape(raw, value);
	append(line, quote ? "\"" : "");
	append(line, value);
	append(line, quote ? "\"" : "");
}

static void
format_text(const struct record *r, char line_r[RECORD_MAX])
{
	struct line line = { line_r, 0 };

#define RECORD_APPEND(member) append_value(&line, #member, r->member);
	RECORD_KEYS(RECORD_APPEND)
#undef RECORD_APPEND
	append_number(&line, " ms=%.2f", r->ms);
	if (r->recipients > 0)
		append_number(&line, " recipients=%zu", r->recipients);
	if (r->sender_foreign)
		append(&line, " warning=sender-not-owned");
	if (r->graced)
		append(&line, " warning=graced-password");
	if (r->over_limit)
		append(&line, " warning=over-limit");
	if (r->observed)
		append(&line, " mode=observe");
	if (r->repeated > 0)
		append_number(&line, " repeated=%u", r->repeated);
}

static int
set_value(json_t *object, const char *member, const char *raw)
{
	char value[VALUE_MAX];
	json_t *text = NULL;

	if (raw == NULL || *raw == '\0')
		text = json_string("-");
	else if (strlen(raw) < VALUE_MAX)
		text = json_string(raw);
	if (text == NULL && raw != NULL) { /* not UTF-8, or long */
		(void)escape(raw, value);
		text = json_string(value);
	}
	return json_object_set_new(object, key_name(member), text);
}

static void
format_json(const struct record *r, char line_r[RECORD_MAX])
{
	json_t *object = json_object();
	int rc = object == NULL ? -1 : 0;
	size_t len;

#define RECORD_SET(member) rc |= set_value(object, #member, r->member);
	RECORD_KEYS(RECORD_SET)
#undef RECORD_SET
	rc |= json_object_set_new(object, "ms", json_real(r->ms));
	if (r->recipients > 0)
		rc |= json_object_set_new(object, "recipients",
		    json_integer((json_int_t)r->recipients));
	if (r->sender_foreign)
		rc |= json_object_set_new(object, "warning",
		    json_string("sender-not-owned"));
	if (r->graced)
		rc |= json_object_set_new(object, "warning",
		    json_string("graced-password"));
	if (r->over_limit)
		rc |= json_object_set_new(object, "warning",
		    json_string("over-limit"));
	if (r->observed)
		rc |=
		    json_object_set_new(object, "mode", json_string("observe"));
	if (r->repeated > 0)
		rc |= json_object_set_new(object, "repeated",
		    json_integer((json_int_t)r->repeated));
	len = rc != 0 ? 0
		      : json_dumpb(object, line_r, RECORD_MAX - 1,
			    JSON_COMPACT | JSON_REAL_PRECISION(6));
	if (len == 0 || len > RECORD_MAX - 1)
		/* no memory, or a value beyond all measure: say it in text */
		format_text(r, line_r);
	else
		line_r[len] = '\0';
	json_decref(object);
}

void
record_format(enum log_format format, const struct record *record,
    char line_r[RECORD_MAX])
{
	line_r[0] = '\0';
	switch (format) {
	case LOG_FORMAT_JSON:
		format_json(record, line_r);
		return;
	case LOG_FORMAT_TEXT:
		break;
	}
	format_text(record, line_r);
}
