/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the lines of Dovecot's authentication protocol as Postfix and Exim send
 * them. It must not let the message, which a stranger wrote, be read as
 * anything else: everything behind "resp=" is the message. Parameters that it
 * does not know say nothing.
 */
#include "service/authline.h"

#include <string.h>

#include "policy/text.h"

#define MECHANISM_MAX 40 /* longer than any name (RFC 4422, 3.1) */

/* What has not been read yet. */
struct fields {
	const char *at; /* NULL: nothing more */
	const char *end;
};

/* The next field up to a TAB; false when there is none. */
static bool
next(struct fields *f, const char **field_r, size_t *len_r)
{
	const char *tab;

	if (f->at == NULL)
		return false;
	tab = memchr(f->at, '\t', (size_t)(f->end - f->at));
	*field_r = f->at;
	*len_r = (size_t)((tab != NULL ? tab : f->end) - f->at);
	f->at = tab != NULL ? tab + 1 : NULL;
	return true;
}

static bool
is(const char *field, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(field, word, len) == 0;
}

static bool
begins(const char *field, size_t len, const char *word)
{
	return len >= strlen(word) && memcmp(field, word, strlen(word)) == 0;
}

static bool
next_number(struct fields *f, uint32_t *number_r)
{
	const char *field;
	size_t len;
	uint64_t n = 0;

	if (!next(f, &field, &len) || len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!text_is_digit((unsigned char)field[i]))
			return false;
		n = n * 10 + (uint64_t)(field[i] - '0');
	}
	*number_r = (uint32_t)n;
	return n <= UINT32_MAX;
}

static enum authline_command
bad(struct authline *l, const char *why)
{
	l->command = AUTHLINE_BAD;
	l->why = why;
	return AUTHLINE_BAD;
}

static void
take_rest(struct fields *f, struct authline *l)
{
	if (f->at == NULL)
		return;
	l->message = f->at;
	l->message_len = (size_t)(f->end - f->at);
}

static enum sasl_mechanism
find_mechanism(const char *field, size_t len)
{
	char name[MECHANISM_MAX] = "";

	if (len >= sizeof(name))
		return SASL_NONE;
	memcpy(name, field, len);
	return sasl_find(name);
}

/* A value that is escaped cannot be an address, so nothing is unescaped. */
static void
take_address(const char *value, size_t len, bool *stated, struct authline *l)
{
	char text[NETADDR_TEXT_MAX] = "";

	if (!*stated && len < sizeof(text)) {
		memcpy(text, value, len);
		(void)netaddr_parse(text, &l->client);
	} else {
		l->client = (struct netaddr){ 0 };
	}
	*stated = true;
}

static enum authline_command
parse_auth(struct fields *f, struct authline *l)
{
	const char *field;
	size_t len;
	bool stated = false;

	if (!next_number(f, &l->id))
		return bad(l, "AUTH without an id");
	if (!next(f, &field, &len) || len == 0)
		return bad(l, "AUTH without a mechanism");
	l->mechanism = find_mechanism(field, len);
	while (next(f, &field, &len)) {
		if (begins(field, len, "resp=")) {
			f->at = field + 5;
			take_rest(f, l);
			break;
		}
		if (begins(field, len, "rip="))
			take_address(field + 4, len - 4, &stated, l);
		else if (is(field, len, "secured") ||
		    is(field, len, "secured=tls"))
			l->secured = true;
	}
	return AUTHLINE_AUTH;
}

static enum authline_command
parse_cont(struct fields *f, struct authline *l)
{
	if (!next_number(f, &l->id))
		return bad(l, "CONT without an id");
	take_rest(f, l);
	return AUTHLINE_CONT;
}

static enum authline_command
parse_version(struct fields *f, struct authline *l)
{
	uint32_t major, minor;

	if (!next_number(f, &major) || !next_number(f, &minor))
		return bad(l, "VERSION without numbers");
	l->major = major;
	return AUTHLINE_VERSION;
}

static enum authline_command
parse(struct fields *f, struct authline *l)
{
	const char *field = "";
	size_t len = 0;
	uint32_t number;

	(void)next(f, &field, &len);
	if (is(field, len, "AUTH"))
		return parse_auth(f, l);
	if (is(field, len, "CONT"))
		return parse_cont(f, l);
	if (is(field, len, "VERSION"))
		return parse_version(f, l);
	if (is(field, len, "CPID"))
		return next_number(f, &number)
		    ? AUTHLINE_CPID
		    : bad(l, "CPID without a number");
	if (is(field, len, "CANCEL"))
		return next_number(f, &l->id) ? AUTHLINE_CANCEL
					      : bad(l, "CANCEL without an id");
	return bad(l, "an unknown command");
}

enum authline_command
authline_parse(const char *line, size_t len, struct authline *line_r)
{
	struct fields f = { line, line + len };

	*line_r = (struct authline){ .message = line + len };
	if (memchr(line, '\0', len) != NULL)
		return bad(line_r, "a NUL in a line");
	line_r->command = parse(&f, line_r);
	return line_r->command;
}
