/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads policy requests. What can be read in two ways is no request: an
 * attribute that is there twice may come from a client that found a way to put
 * a line feed into another one. It judges nothing.
 */
#include "service/request.h"

#include <stdint.h>
#include <string.h>

static const char *const names[] = {
#define REQUEST_NAME(id, name) name,
	REQUEST_TABLE(REQUEST_NAME)
#undef REQUEST_NAME
};

static const struct {
	const char *name;
	enum request_stage stage;
} stages[] = {
	{ "CONNECT", REQUEST_AT_GREETING },
	{ "HELO", REQUEST_AT_GREETING },
	{ "EHLO", REQUEST_AT_GREETING },
	{ "VRFY", REQUEST_AT_GREETING },
	{ "ETRN", REQUEST_AT_GREETING },
	{ "MAIL", REQUEST_AT_MAIL },
	{ "RCPT", REQUEST_AT_RCPT },
	{ "DATA", REQUEST_AT_MAIL },
	{ "BDAT", REQUEST_AT_MAIL },
	{ "END-OF-MESSAGE", REQUEST_AT_MAIL },
};

size_t
request_length(const char *data, size_t len)
{
	const char *end;

	if (len > 0 && data[0] == '\n')
		return 1;
	end = memmem(data, len, "\n\n", 2);
	return end == NULL ? 0 : (size_t)(end - data) + 2;
}

static enum request_attribute
find_attribute(const char *name)
{
	unsigned int i = 0;

	while (i < REQUEST_ATTRIBUTES && strcmp(names[i], name) != 0)
		i++;
	return (enum request_attribute)i;
}

/* One line, which ends in NUL. */
static const char *
take_line(char *line, struct request *r, uint32_t *seen)
{
	char *equals = strchr(line, '=');
	enum request_attribute attribute;

	if (equals == NULL || equals == line)
		return "a line without NAME=";
	*equals = '\0';
	attribute = find_attribute(line);
	if (attribute == REQUEST_ATTRIBUTES)
		return NULL;
	if ((*seen >> attribute & 1) != 0)
		return "an attribute twice";
	*seen |= UINT32_C(1) << attribute;
	if (equals[1] != '\0' || attribute == REQUEST_SENDER)
		r->values[attribute] = equals + 1;
	return NULL;
}

static enum request_stage
find_stage(const char *name)
{
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		if (strcmp(stages[i].name, name) == 0)
			return stages[i].stage;
	}
	return REQUEST_AT_UNKNOWN;
}

static const char *
take_stage(struct request *r)
{
	const char *request = r->values[REQUEST_REQUEST];
	const char *state = r->values[REQUEST_PROTOCOL_STATE];

	if (request == NULL || strcmp(request, "smtpd_access_policy") != 0)
		return "it is not smtpd_access_policy";
	if (state != NULL)
		r->stage = find_stage(state);
	switch (r->stage) {
	case REQUEST_AT_GREETING:
		return NULL;
	case REQUEST_AT_RCPT:
		if (r->values[REQUEST_RECIPIENT] == NULL)
			return "RCPT without a recipient";
		/* fall through */
	case REQUEST_AT_MAIL:
		return r->values[REQUEST_SENDER] == NULL ? "no sender" : NULL;
	case REQUEST_AT_UNKNOWN:
		break;
	}
	return "an unknown protocol_state";
}

const char *
request_parse(char *text, size_t len, struct request *r)
{
	char *at = text, *end = text + len - 1; /* without its empty line */
	uint32_t seen = 0;

	memset(r, 0, sizeof(*r));
	if (memchr(text, '\0', len) != NULL || memchr(text, '\r', len) != NULL)
		return "a NUL or a CR";
	while (at < end) {
		char *feed = memchr(at, '\n', (size_t)(end - at));
		const char *wrong;

		if (feed == NULL || feed - at > REQUEST_LINE_MAX)
			return "too long a line";
		*feed = '\0';
		wrong = take_line(at, r, &seen);
		if (wrong != NULL)
			return wrong;
		at = feed + 1;
	}
	return take_stage(r);
}

/* Octets that a Dot-string has; UTF-8 is left to the one who reads the path. */
static bool
is_plain(unsigned char c)
{
	return c > ' ' && c != 0x7f && strchr("\"(),:;<>@[\\]", c) == NULL;
}

static bool
is_dot_string(const char *local, size_t len)
{
	bool dot = true;

	for (size_t i = 0; i < len; i++) {
		if (!is_plain((unsigned char)local[i]) ||
		    (local[i] == '.' && dot))
			return false;
		dot = local[i] == '.';
	}
	return !dot;
}

/*
 * Seen of Postfix 3.7: addresses come without brackets, local parts decoded
 * ("a b"@x is `a b@x`, "a@b"@x is `a@b@x`, "a\"b"@x is `a"b@x`), source routes
 * and comments gone, `c` for a mailbox without a domain, nothing for <>, UTF-8
 * as it is. So the domain is what follows the last @. An empty local part is
 * written like a domain alone and is not believed. Exim writes the recipient
 * alike; for its sender, the ACL in contrib does.
 */
size_t
request_path(const char *address, char path_r[REQUEST_PATH_MAX])
{
	const char *at = strrchr(address, '@');
	size_t local = at != NULL ? (size_t)(at - address) : 0, n = 0;
	bool quoted = local > 0 && !is_dot_string(address, local);

	path_r[n++] = '<';
	if (quoted)
		path_r[n++] = '"';
	for (size_t i = 0; i < local; i++) {
		if (address[i] == '"' || address[i] == '\\')
			path_r[n++] = '\\';
		path_r[n++] = address[i];
	}
	if (quoted)
		path_r[n++] = '"';
	memcpy(path_r + n, address + local, strlen(address + local));
	n += strlen(address + local);
	path_r[n++] = '>';
	path_r[n] = '\0';
	return n;
}
