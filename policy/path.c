/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of envelope paths, strictly as RFC 5321 has it. It must not be
 * kind to what MTAs let pass (missing brackets, blanks, comments, a trailing
 * dot): a path that two programs can read in two ways is malformed. It must not
 * normalise UTF-8 either, lest a look-alike turn into an operator.
 */
#include "policy/path.h"

#include <string.h>

#include "policy/text.h"

/* A path without its brackets, and how far it has been read. */
struct cursor {
	const char *at;
	const char *end;
	bool smtputf8;
	bool non_ascii; /* something needs SMTPUTF8 and does not have it */
};

static bool
cursor_is_at(const struct cursor *c, char wanted)
{
	return c->at < c->end && *c->at == wanted;
}

static bool
is_atext(unsigned char c)
{
	static const char specials[] = "!#$%&'*+-/=?^_`{|}~";

	return text_is_alnum(c) ||
	    memchr(specials, c, sizeof(specials) - 1) != NULL;
}

/* %d32-33 / %d35-91 / %d93-126 */
static bool
is_qtext(unsigned char c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* The length of the UTF8-non-ascii (RFC 6531, 3.3) that is next, or 0. Controls
 * are not taken: no mailbox needs them, and logs and displays obey them. */
static size_t
utf8_next(struct cursor *c)
{
	uint32_t code;
	size_t len = text_utf8_decode(c->at, (size_t)(c->end - c->at), &code);

	if (len < 2 || text_is_control(code))
		return 0;
	c->non_ascii = c->non_ascii || !c->smtputf8;
	return len;
}

/* Dot-string; up to its end. Returns the decoded length, 0 when it is none. */
static size_t
take_dot_string(struct cursor *c, char local_r[PATH_LOCAL_MAX + 1])
{
	bool dot = true; /* none may be first, last, or next to another */
	size_t len = 0;

	while (c->at < c->end && *c->at != '@') {
		unsigned char octet = (unsigned char)*c->at;
		size_t n = 1;

		if (octet == '.') {
			if (dot)
				return 0;
		} else if (octet >= 0x80) {
			n = utf8_next(c);
			if (n == 0)
				return 0;
		} else if (!is_atext(octet)) {
			return 0;
		}
		if (len + n > PATH_LOCAL_MAX)
			return 0;
		memcpy(local_r + len, c->at, n);
		dot = octet == '.';
		c->at += n;
		len += n;
	}
	local_r[len] = '\0';
	return dot ? 0 : len;
}

/* Quoted-string; behind its closing quote. It may be empty. */
static bool
take_quoted_string(struct cursor *c, char local_r[PATH_LOCAL_MAX + 1])
{
	const char *start = c->at++;
	size_t len = 0;

	while (c->at < c->end && *c->at != '"') {
		size_t n = 1;

		if (*c->at == '\\') {
			c->at++; /* quoted-pairSMTP: any graphic, or space */
			if (c->at == c->end || *c->at < ' ' || *c->at > '~')
				return false;
		} else if ((unsigned char)*c->at >= 0x80) {
			n = utf8_next(c);
			if (n == 0)
				return false;
		} else if (!is_qtext((unsigned char)*c->at)) {
			return false;
		}
		if (len + n > PATH_LOCAL_MAX)
			return false;
		memcpy(local_r + len, c->at, n);
		c->at += n;
		len += n;
	}
	if (c->at == c->end)
		return false;
	c->at++;
	local_r[len] = '\0';
	return c->at - start <= PATH_LOCAL_MAX;
}

static bool
take_local(struct cursor *c, char local_r[PATH_LOCAL_MAX + 1])
{
	if (cursor_is_at(c, '"'))
		return take_quoted_string(c, local_r);
	return take_dot_string(c, local_r) > 0;
}

/* A domain of len octets. */
static bool
take_domain(struct cursor *c, size_t len, char domain_r[DOMAIN_MAX + 1],
    enum domain_kind *kind_r)
{
	switch (domain_parse(c->at, len, c->smtputf8, domain_r, kind_r)) {
	case DOMAIN_MALFORMED:
		return false;
	case DOMAIN_NOT_ASCII:
		c->non_ascii = true;
		break;
	case DOMAIN_VALID:
		break;
	}
	c->at += len;
	return true;
}

/* A-d-l ":", e.g. "@one.example,@two.example:". It takes Domains, not address
 * literals, so the first comma or colon ends one. */
static bool
take_route(struct cursor *c)
{
	char domain[DOMAIN_MAX + 1];
	enum domain_kind kind;

	for (;;) {
		size_t len = 0;

		if (!cursor_is_at(c, '@'))
			return false;
		c->at++;
		while (c->at + len < c->end && c->at[len] != ',' &&
		    c->at[len] != ':')
			len++;
		if (cursor_is_at(c, '[') || !take_domain(c, len, domain, &kind))
			return false;
		if (c->at == c->end)
			return false;
		if (*c->at++ == ':')
			return true;
	}
}

/* What some MTA on the way may read as another destination. */
static bool
has_operator(const char *local)
{
	return strpbrk(local, "@%!") != NULL || strstr(local, "::") != NULL;
}

/* Mailbox, up to the end. */
static bool
take_mailbox(struct cursor *c, struct path *path_r)
{
	if (!take_local(c, path_r->local) || !cursor_is_at(c, '@'))
		return false;
	c->at++;
	return take_domain(c, (size_t)(c->end - c->at), path_r->domain,
	    &path_r->kind);
}

static void
path_reset(struct path *path, enum path_form form)
{
	path->form = form;
	path->routed = false;
	path->kind = DOMAIN_NONE;
	path->local[0] = '\0';
	path->domain[0] = '\0';
}

static bool
is_postmaster(const struct cursor *c)
{
	static const char name[] = "postmaster";

	return (size_t)(c->end - c->at) == sizeof(name) - 1 &&
	    text_equal_fold(c->at, name, sizeof(name) - 1);
}

void
path_parse(enum path_command command, const char *raw, size_t len,
    bool smtputf8, struct path *path_r)
{
	struct cursor c = { .smtputf8 = smtputf8 };
	bool route;

	path_reset(path_r, PATH_MALFORMED);
	if (len < 2 || len > PATH_RAW_MAX || raw[0] != '<' ||
	    raw[len - 1] != '>')
		return;
	c.at = raw + 1;
	c.end = raw + len - 1;
	if (c.at == c.end) {
		if (command == PATH_OF_MAIL)
			path_r->form = PATH_NULL;
		return;
	}
	if (command == PATH_OF_RCPT && is_postmaster(&c)) {
		path_r->form = PATH_POSTMASTER;
		memcpy(path_r->local, "postmaster", sizeof("postmaster"));
		return;
	}
	route = cursor_is_at(&c, '@');
	if ((route && !take_route(&c)) || !take_mailbox(&c, path_r)) {
		path_reset(path_r, PATH_MALFORMED);
		return;
	}
	if (c.non_ascii) {
		path_reset(path_r, PATH_NOT_ASCII);
		return;
	}
	path_r->form = PATH_MAILBOX;
	path_r->routed = route || has_operator(path_r->local);
}

void
path_parse_mailbox(const char *text, size_t len, struct path *path_r)
{
	struct cursor c = { .at = text, .end = text + len, .smtputf8 = true };

	path_reset(path_r, PATH_MALFORMED);
	if (len == 0 || len > PATH_RAW_MAX - 2) /* less the brackets */
		return;
	if (!take_local(&c, path_r->local))
		goto malformed;
	if (c.at < c.end) {
		if (*c.at++ != '@' ||
		    !take_domain(&c, (size_t)(c.end - c.at), path_r->domain,
			&path_r->kind))
			goto malformed;
	}
	path_r->form = PATH_MAILBOX;
	path_r->routed = has_operator(path_r->local);
	return;
malformed:
	path_reset(path_r, PATH_MALFORMED);
}

bool
path_is_valid(const struct path *path)
{
	switch (path->form) {
	case PATH_NULL:
	case PATH_POSTMASTER:
	case PATH_MAILBOX:
		return true;
	case PATH_UNKNOWN:
	case PATH_MALFORMED:
	case PATH_NOT_ASCII:
		return false;
	}
	return false;
}
