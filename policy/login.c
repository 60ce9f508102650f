/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logins as MTAs report them, brought to the one form in which they are looked
 * up, counted and compared. It must not invent an identity: what cannot be a
 * login is refused, and the case of a local part is the backend's business.
 */
#include "policy/login.h"

#include <string.h>

#include "policy/domain.h"
#include "policy/text.h"

/* The last '@' of a text that need not end in NUL, or NULL. */
static const char *
last_at(const char *text, size_t len)
{
	while (len > 0) {
		if (text[--len] == '@')
			return text + len;
	}
	return NULL;
}

/* UTF-8 without controls, and no blank at either end: a backend that trims
 * would take it for another account. */
static bool
is_clean(const char *text, size_t len)
{
	uint32_t code = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = text_utf8_decode(text + i, len - i, &code);
		if (n == 0 || text_is_control(code) ||
		    (i == 0 && text_is_blank(code)))
			return false;
	}
	return len > 0 && !text_is_blank(code);
}

/* The canonical domain, or what is none (a Kerberos realm, say) in lower case.
 * Returns its length. */
static size_t
put_domain(const char *text, size_t len, char domain_r[DOMAIN_MAX + 1])
{
	enum domain_kind kind;

	if (domain_parse(text, len, true, domain_r, &kind) == DOMAIN_VALID)
		return strlen(domain_r);
	for (size_t i = 0; i < len; i++)
		domain_r[i] = text_lower(text[i]);
	domain_r[len] = '\0';
	return len;
}

int
login_normalise(const char *raw, size_t len, const char *realm,
    struct login *login_r)
{
	char domain[DOMAIN_MAX + 1];
	const char *text = raw, *at;
	size_t local_len = len, domain_len = 0;

	login_r->text[0] = '\0';
	if (len > LOGIN_MAX)
		return -1;
	at = last_at(raw, len);
	if (at != NULL) {
		local_len = (size_t)(at - raw);
		text = at + 1;
		domain_len = len - local_len - 1;
	} else if (realm != NULL) {
		text = realm;
		domain_len = strlen(realm);
	}
	if (!is_clean(raw, local_len))
		return -1;
	if (at != NULL || domain_len > 0) {
		if (domain_len > DOMAIN_MAX || !is_clean(text, domain_len))
			return -1;
		domain_len = put_domain(text, domain_len, domain);
		if (local_len + 1 + domain_len > LOGIN_MAX)
			return -1;
	}
	memcpy(login_r->text, raw, local_len);
	if (domain_len > 0) {
		login_r->text[local_len++] = '@';
		memcpy(login_r->text + local_len, domain, domain_len);
	}
	login_r->text[local_len + domain_len] = '\0';
	return 0;
}

const char *
login_domain(const struct login *login)
{
	const char *at = strrchr(login->text, '@');

	return at != NULL ? at + 1 : "";
}

void
login_local(const struct login *login, char local_r[LOGIN_MAX + 1])
{
	const char *at = strrchr(login->text, '@');
	size_t len =
	    at != NULL ? (size_t)(at - login->text) : strlen(login->text);

	memcpy(local_r, login->text, len);
	local_r[len] = '\0';
}

/* A hexadecimal digit of xtext, upper case only, or -1. */
static int
xtext_digit(char c)
{
	return c >= 'a' && c <= 'f' ? -1 : text_hex(c);
}

/* hexchar: what the two digits behind a '+' stand for. The text may end
 * anywhere. */
static int
xtext_octet(const char *digits)
{
	int high = xtext_digit(digits[0]);
	int low = high >= 0 ? xtext_digit(digits[1]) : -1;

	return low >= 0 ? high << 4 | low : -1;
}

int
login_xtext_decode(const char *text, char *out_r, size_t size, size_t *len_r)
{
	size_t len = 0;

	for (const char *p = text; *p != '\0'; p++) {
		int octet = (unsigned char)*p;

		if (octet < '!' || octet > '~' || octet == '=')
			return -1;
		if (octet == '+') {
			octet = xtext_octet(p + 1);
			if (octet <= 0)
				return -1;
			p += 2;
		}
		if (len + 1 >= size)
			return -1;
		out_r[len++] = (char)octet;
	}
	if (size == 0)
		return -1;
	out_r[len] = '\0';
	*len_r = len;
	return 0;
}
