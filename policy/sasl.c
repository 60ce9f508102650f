/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads SASL messages just far enough to know who is meant. It must not guess:
 * a message that two readers could understand in two ways (a name twice, a
 * stray escape, something behind the end) is malformed, since the IMAP server
 * that it is carried to would judge one account and we would trust another. It
 * checks no password, and keeps nothing.
 */
#include "policy/sasl.h"

#include <stdint.h>
#include <string.h>

#include "policy/text.h"

/* clang-format off */
static const struct {
	const char *name;
	bool relayed;
	bool client_first;
} mechanisms[SASL_MECHANISM_COUNT] = {
	[SASL_NONE] =          { "",              false, false },
	[SASL_PLAIN] =         { "PLAIN",         false, true },
	[SASL_LOGIN] =         { "LOGIN",         false, false },
	[SASL_CRAM_MD5] =      { "CRAM-MD5",      true,  false },
	[SASL_SCRAM_SHA_1] =   { "SCRAM-SHA-1",   true,  true },
	[SASL_SCRAM_SHA_256] = { "SCRAM-SHA-256", true,  true },
	[SASL_OAUTHBEARER] =   { "OAUTHBEARER",   true,  true },
	[SASL_XOAUTH2] =       { "XOAUTH2",       true,  true },
};
/* clang-format on */

/* What has not been read yet; never beyond end. */
struct reader {
	const char *at;
	const char *end;
};

const char *
sasl_name(enum sasl_mechanism mechanism)
{
	return mechanisms[mechanism].name;
}

enum sasl_mechanism
sasl_find(const char *name)
{
	size_t len = strlen(name);

	for (unsigned int i = SASL_NONE + 1; i < SASL_MECHANISM_COUNT; i++) {
		if (strlen(mechanisms[i].name) == len &&
		    text_equal_fold(mechanisms[i].name, name, len))
			return (enum sasl_mechanism)i;
	}
	return SASL_NONE;
}

bool
sasl_is_relayed(enum sasl_mechanism mechanism)
{
	return mechanisms[mechanism].relayed;
}

bool
sasl_client_is_first(enum sasl_mechanism mechanism)
{
	return mechanisms[mechanism].client_first;
}

/* The six bits that a character of base64 stands for, or -1. */
static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters, of which the last `padding` ones are '='. */
static int
decode_quantum(const char *text, size_t padding, unsigned char octets_r[3])
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? sextet(text[i]) : 0;

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	octets_r[0] = (unsigned char)(bits >> 16);
	octets_r[1] = (unsigned char)(bits >> 8 & 0xff);
	octets_r[2] = (unsigned char)(bits & 0xff);
	/* bits that stand for nothing would give one message two spellings */
	if ((padding >= 1 && octets_r[2] != 0) ||
	    (padding == 2 && octets_r[1] != 0))
		return -1;
	return 0;
}

int
sasl_base64_decode(const char *text, size_t len, char *out_r, size_t size,
    size_t *len_r)
{
	size_t got = 0;

	*len_r = 0;
	if (len == 1 && *text == '=')
		return 0;
	if (len % 4 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		unsigned char octets[3];
		size_t padding = 0;

		if (i + 4 == len && text[i + 3] == '=')
			padding = text[i + 2] == '=' ? 2 : 1;
		if (decode_quantum(text + i, padding, octets) != 0 ||
		    3 - padding > size - got)
			return -1;
		memcpy(out_r + got, octets, 3 - padding);
		got += 3 - padding;
	}
	*len_r = got;
	return 0;
}

int
sasl_plain_parse(const char *message, size_t len,
    struct sasl_credentials *credentials_r)
{
	const char *authcid, *password, *end;

	memset(credentials_r, 0, sizeof(*credentials_r));
	authcid = len > 0 ? memchr(message, '\0', len) : NULL;
	if (authcid == NULL)
		return -1;
	authcid++;
	end = message + len;
	password = memchr(authcid, '\0', (size_t)(end - authcid));
	if (password == NULL)
		return -1;
	password++;
	if (memchr(password, '\0', (size_t)(end - password)) != NULL)
		return -1;
	*credentials_r = (struct sasl_credentials){
		.authzid = message,
		.authzid_len = (size_t)(authcid - message) - 1,
		.authcid = authcid,
		.authcid_len = (size_t)(password - authcid) - 1,
		.password = password,
		.password_len = (size_t)(end - password),
	};
	return 0;
}

bool
sasl_password_fits(const char *password, size_t len)
{
	if (len == 0 || len > SASL_PASSWORD_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)password[i] < 0x20 || password[i] == 0x7f)
			return false;
	}
	return true;
}

static bool
skip(struct reader *r, const char *expected)
{
	size_t len = strlen(expected);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, expected, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* The text before the next `separator`, which must come and is skipped. */
static bool
take_until(struct reader *r, char separator, struct reader *taken_r)
{
	const char *found = NULL;

	if (r->at < r->end)
		found = memchr(r->at, separator, (size_t)(r->end - r->at));
	if (found == NULL)
		return false;
	*taken_r = (struct reader){ .at = r->at, .end = found };
	r->at = found + 1;
	return true;
}

static int
put_identity(const struct reader *text, char identity_r[LOGIN_MAX + 1])
{
	size_t len = (size_t)(text->end - text->at);

	if (len == 0 || len > LOGIN_MAX)
		return -1;
	memcpy(identity_r, text->at, len);
	identity_r[len] = '\0';
	return 0;
}

/* saslname (RFC 5802, 7): "=2C" is a comma, "=3D" an equals sign, and neither
 * stands for itself. A control would be no login anyway, and ends the name for
 * a server that looks for OAUTHBEARER's separators first. */
static int
put_saslname(struct reader name, char identity_r[LOGIN_MAX + 1])
{
	size_t len = 0;

	while (name.at < name.end) {
		char c = *name.at;

		if (skip(&name, "=2C"))
			c = ',';
		else if (skip(&name, "=3D"))
			c = '=';
		else if (c == '=' || c == ',' || (unsigned char)c < 0x20)
			return -1;
		else
			name.at++;
		if (len == LOGIN_MAX)
			return -1;
		identity_r[len++] = c;
	}
	identity_r[len] = '\0';
	return len > 0 ? 0 : -1;
}

/* gs2-header (RFC 5801, 4) without channel binding; "" for no authzid. */
static int
read_gs2_header(struct reader *r, char authzid_r[LOGIN_MAX + 1])
{
	struct reader name;

	authzid_r[0] = '\0';
	if (!skip(r, "n,") && !skip(r, "y,"))
		return -1;
	if (skip(r, ","))
		return 0;
	if (!skip(r, "a=") || !take_until(r, ',', &name))
		return -1;
	return put_saslname(name, authzid_r);
}

/* nonce ["," extensions] (RFC 5802, 7). An extension under a letter that SCRAM
 * itself uses would be a second name or nonce for a careless server. */
static int
read_scram_rest(struct reader r)
{
	if (!skip(&r, "r=") || r.at == r.end || *r.at == ',')
		return -1;
	for (; r.at < r.end && *r.at != ','; r.at++) {
		if (*r.at < '!' || *r.at > '~')
			return -1;
	}
	while (skip(&r, ",")) {
		if (r.end - r.at < 3 || !text_is_alnum((unsigned char)*r.at) ||
		    text_is_digit((unsigned char)*r.at) ||
		    strchr("anmrcsipve", *r.at) != NULL || r.at[1] != '=' ||
		    r.at[2] == ',')
			return -1;
		while (r.at < r.end && *r.at != ',')
			r.at++;
	}
	return 0;
}

/* client-first-message (RFC 5802, 7). reserved-mext, "m=", is not what follows
 * the header here, and so refused. */
static int
read_scram(struct reader r, char identity_r[LOGIN_MAX + 1])
{
	char authzid[LOGIN_MAX + 1];
	struct reader name;

	if (read_gs2_header(&r, authzid) != 0 || !skip(&r, "n=") ||
	    !take_until(&r, ',', &name) || put_saslname(name, identity_r) != 0)
		return -1;
	if (*authzid != '\0' && strcmp(authzid, identity_r) != 0)
		return -1;
	return read_scram_rest(r);
}

/* Blanks may be part of the name (RFC 2195, 2), not of the digest. */
static int
read_cram_md5(struct reader r, char identity_r[LOGIN_MAX + 1])
{
	const char *digest;

	if (r.end - r.at < 33)
		return -1;
	digest = r.end - 32;
	r.end = digest - 1;
	if (*r.end != ' ')
		return -1;
	for (size_t i = 0; i < 32; i++) {
		if (!text_is_digit((unsigned char)digest[i]) &&
		    (digest[i] < 'a' || digest[i] > 'f'))
			return -1;
	}
	return put_identity(&r, identity_r);
}

/* "Bearer" and a token (RFC 6750, 2.1); the scheme in any case. */
static bool
is_bearer(const struct reader *value)
{
	static const char scheme[] = "Bearer ";
	size_t len = sizeof(scheme) - 1;

	if ((size_t)(value->end - value->at) <= len ||
	    !text_equal_fold(value->at, scheme, len))
		return false;
	for (const char *p = value->at + len; p < value->end; p++) {
		if (*p < '!' || *p > '~')
			return false;
	}
	return true;
}

static bool
is_letters(const struct reader *text)
{
	for (const char *p = text->at; p < text->end; p++) {
		if (!text_is_alnum((unsigned char)*p) ||
		    text_is_digit((unsigned char)*p))
			return false;
	}
	return text->at < text->end;
}

/* Is it this key? One of the same letters in another case is neither it nor a
 * key to be passed over: *spoilt_r. */
static bool
is_key(const struct reader *key, const char *name, bool *spoilt_r)
{
	size_t len = strlen(name);

	if ((size_t)(key->end - key->at) != len ||
	    !text_equal_fold(key->at, name, len))
		return false;
	if (memcmp(key->at, name, len) != 0)
		*spoilt_r = true;
	return true;
}

/* kvpairs to the end of the message, and the separator that ends them (RFC
 * 7628, 3.1). auth must be there, once; user may be, once: else it is NULL. */
static int
read_pairs(struct reader r, struct reader *user_r)
{
	struct reader pair, key;
	bool spoilt = false, authorised = false;

	*user_r = (struct reader){ .at = NULL, .end = NULL };
	while (!skip(&r, "\x01")) {
		if (!take_until(&r, '\x01', &pair) ||
		    !take_until(&pair, '=', &key) || !is_letters(&key))
			return -1;
		if (is_key(&key, "auth", &spoilt)) {
			spoilt = spoilt || authorised || !is_bearer(&pair);
			authorised = true;
		} else if (is_key(&key, "user", &spoilt)) {
			spoilt = spoilt || user_r->at != NULL;
			*user_r = pair;
		}
	}
	return authorised && !spoilt && r.at == r.end ? 0 : -1;
}

/* client-resp (RFC 7628, 3.1). RFC 7628 knows no user=; a server that does
 * would read a second name in it. */
static int
read_oauthbearer(struct reader r, char identity_r[LOGIN_MAX + 1])
{
	struct reader user;

	if (read_gs2_header(&r, identity_r) != 0 || *identity_r == '\0' ||
	    !skip(&r, "\x01") || read_pairs(r, &user) != 0 || user.at != NULL)
		return -1;
	return 0;
}

static int
read_xoauth2(struct reader r, char identity_r[LOGIN_MAX + 1])
{
	struct reader user;

	if (read_pairs(r, &user) != 0 || user.at == NULL)
		return -1;
	return put_identity(&user, identity_r);
}

static int
read_identity(enum sasl_mechanism mechanism, struct reader r,
    char identity_r[LOGIN_MAX + 1])
{
	switch (mechanism) {
	case SASL_CRAM_MD5:
		return read_cram_md5(r, identity_r);
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_256:
		return read_scram(r, identity_r);
	case SASL_OAUTHBEARER:
		return read_oauthbearer(r, identity_r);
	case SASL_XOAUTH2:
		return read_xoauth2(r, identity_r);
	case SASL_NONE:
	case SASL_PLAIN:
	case SASL_LOGIN:
	case SASL_MECHANISM_COUNT:
		break;
	}
	return -1;
}

int
sasl_stated_identity(enum sasl_mechanism mechanism, const char *message,
    size_t len, char identity_r[LOGIN_MAX + 1])
{
	identity_r[0] = '\0';
	if (len > 0 && memchr(message, '\0', len) == NULL &&
	    read_identity(mechanism,
		(struct reader){ .at = message, .end = message + len },
		identity_r) == 0)
		return 0;
	identity_r[0] = '\0';
	return -1;
}

int
sasl_login(const char *authcid, size_t authcid_len, const char *authzid,
    size_t authzid_len, const char *realm, struct login *login_r)
{
	struct login other;

	if (login_normalise(authcid, authcid_len, realm, login_r) != 0)
		return -1;
	/* "alice@one@two": whose account that is, servers do not agree */
	if (strchr(login_r->text, '@') != strrchr(login_r->text, '@')) {
		login_r->text[0] = '\0';
		return -1;
	}
	if (authzid_len == 0 ||
	    (login_normalise(authzid, authzid_len, realm, &other) == 0 &&
		strcmp(other.text, login_r->text) == 0))
		return 0;
	login_r->text[0] = '\0';
	return -1;
}
