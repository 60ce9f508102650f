/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds policy/sasl.h. The first octet of the input chooses what the rest is:
 * '1' to '7' a message of that mechanism (enum sasl_mechanism), '0' base64.
 * What was understood is spelled out again and has to be the input; anything
 * else that breaks a promise of policy/sasl.h aborts.
 */
#include <strings.h>

#include "policy/sasl.h"
#include "tests/fuzz/fuzz.h"

/* Bit by bit, unlike what it checks. text_r has room for 4 octets per 3. */
static size_t
encode(const char *octets, size_t len, char *text_r)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t bits = len * 8, out = 0;

	for (size_t bit = 0; bit < bits; bit += 6) {
		unsigned int value = 0;

		for (size_t i = bit; i < bit + 6; i++) {
			value <<= 1;
			if (i < bits &&
			    ((unsigned char)octets[i / 8] >> (7 - i % 8) & 1))
				value |= 1;
		}
		text_r[out++] = alphabet[value];
	}
	while (out % 4 != 0)
		text_r[out++] = '=';
	return out;
}

/* What decodes is the one spelling of what it decodes to. */
static void
check_base64(const char *text, size_t len)
{
	size_t got_len, text_len;
	char *got = fuzz_room(len), *spelled;

	if (sasl_base64_decode(text, len, got, len, &got_len) == 0) {
		spelled = fuzz_room((got_len + 2) / 3 * 4);
		text_len = encode(got, got_len, spelled);
		if (len == 1)
			REQUIRE(*text == '=' && got_len == 0);
		else
			REQUIRE(
			    text_len == len && memcmp(spelled, text, len) == 0);
		free(spelled);
		if (got_len > 0)
			REQUIRE(sasl_base64_decode(text, len, got, got_len - 1,
				    &got_len) == -1);
	}
	free(got);
}

/* Everything can be spelled. */
static void
check_spelling(const char *octets, size_t len)
{
	size_t got_len, text_len;
	char *text = fuzz_room((len + 2) / 3 * 4), *got = fuzz_room(len);

	text_len = encode(octets, len, text);
	REQUIRE(sasl_base64_decode(text, text_len, got, len, &got_len) == 0);
	REQUIRE(got_len == len && memcmp(got, octets, len) == 0);
	free(text);
	free(got);
}

static void
check_plain(const char *message, size_t len)
{
	struct sasl_credentials c;
	struct login login, again;
	size_t nuls = 0;

	for (size_t i = 0; i < len; i++)
		nuls += message[i] == '\0';
	REQUIRE((sasl_plain_parse(message, len, &c) == 0) == (nuls == 2));
	if (nuls != 2)
		return;
	REQUIRE(c.authzid == message);
	REQUIRE(c.authcid == c.authzid + c.authzid_len + 1);
	REQUIRE(c.password == c.authcid + c.authcid_len + 1);
	REQUIRE(c.password + c.password_len == message + len);
	if (sasl_password_fits(c.password, c.password_len))
		REQUIRE(c.password_len > 0 && c.password_len <= 1024);
	if (sasl_login(c.authcid, c.authcid_len, c.authzid, c.authzid_len,
		"a.example", &login) != 0) {
		REQUIRE(login.text[0] == '\0');
		return;
	}
	REQUIRE(login_normalise(login.text, strlen(login.text), "b.example",
		    &again) == 0);
	REQUIRE(strcmp(login.text, again.text) == 0);
	/* nobody else's name gets in through the authzid */
	REQUIRE(sasl_login(c.authcid, c.authcid_len, NULL, 0, "a.example",
		    &again) == 0);
	REQUIRE(strcmp(login.text, again.text) == 0);
}

/* Does the message begin with before, the identity escaped (RFC 5802, 7), and
 * after? Its first octet may be 'n' or 'y'. Says how long that is, or 0. */
static size_t
begins(const char *message, size_t len, const char *before,
    const char *identity, const char *after)
{
	char escaped[3 * LOGIN_MAX + 1], whole[8 * LOGIN_MAX];
	size_t n = 0;
	int size;

	for (const char *p = identity; *p != '\0'; p++) {
		const char *is = *p == ',' ? "=2C" : *p == '=' ? "=3D" : NULL;

		if (is != NULL) {
			memcpy(escaped + n, is, 3);
			n += 3;
		} else {
			escaped[n++] = *p;
		}
	}
	escaped[n] = '\0';
	size = snprintf(whole, sizeof(whole), "%s%s%s", before, escaped, after);
	if (size < 0 || (size_t)size > len ||
	    memcmp(message + 1, whole + 1, (size_t)size - 1) != 0 ||
	    (*message != 'n' && *message != 'y'))
		return 0;
	return (size_t)size;
}

static void
check_scram(const char *message, size_t len, const char *identity)
{
	size_t header;

	if (begins(message, len, "n,,n=", identity, ",r=") > 0)
		return;
	header = begins(message, len, "n,a=", identity, ",");
	REQUIRE(header > 0 && header < len);
	/* 'n' again, so that the same comparison does */
	REQUIRE(
	    begins(message + header, len - header, "n=", identity, ",r=") > 0);
}

static void
check_cram_md5(const char *message, size_t len, const char *identity)
{
	size_t name = strlen(identity);

	REQUIRE(len == name + 33 && message[name] == ' ');
	REQUIRE(memcmp(message, identity, name) == 0);
	REQUIRE(strspn(message + name + 1, "0123456789abcdef") == 32);
}

/* The message ends in NUL here. Looks at every piece between the separators,
 * and counts those that name a user and a token. */
static void
check_pairs(const char *message, size_t len, const char *identity,
    bool user_wanted)
{
	size_t users = 0, tokens = 0, n;

	REQUIRE(len > 2 && memcmp(message + len - 2, "\x01\x01", 2) == 0);
	for (const char *p = message; *p != '\0'; p += n + 1) {
		n = strcspn(p, "\x01");
		if (strncasecmp(p, "user=", 5) == 0) {
			users++;
			REQUIRE(n - 5 == strlen(identity));
			REQUIRE(memcmp(p + 5, identity, n - 5) == 0);
		}
		if (strncasecmp(p, "auth=", 5) == 0) {
			tokens++;
			REQUIRE(n > 12);
			REQUIRE(strncasecmp(p, "auth=Bearer ", 12) == 0);
		}
		REQUIRE(n > 0 || p == message + len - 1);
	}
	REQUIRE(tokens == 1 && users == (user_wanted ? 1 : 0));
}

static void
check_oauthbearer(const char *message, size_t len, const char *identity)
{
	REQUIRE(begins(message, len, "n,a=", identity, ",\x01") > 0);
	check_pairs(message, len, identity, false);
}

static void
check_identity(enum sasl_mechanism mechanism, const char *message, size_t len)
{
	char identity[LOGIN_MAX + 1];

	memset(identity, 'x', sizeof(identity));
	if (sasl_stated_identity(mechanism, message, len, identity) != 0) {
		REQUIRE(identity[0] == '\0');
		return;
	}
	REQUIRE(memchr(message, '\0', len) == NULL);
	REQUIRE(memchr(identity, '\0', sizeof(identity)) != NULL);
	REQUIRE(identity[0] != '\0');
	if (mechanism == SASL_CRAM_MD5)
		check_cram_md5(message, len, identity);
	else if (mechanism == SASL_XOAUTH2)
		check_pairs(message, len, identity, true);
	else if (mechanism == SASL_OAUTHBEARER)
		check_oauthbearer(message, len, identity);
	else
		check_scram(message, len, identity);
}

/* Ends in NUL, unlike what it is a copy of. */
static void
check_text(enum sasl_mechanism mechanism, const char *message, size_t len)
{
	char *text = fuzz_room(len + 1);

	memcpy(text, message, len);
	text[len] = '\0';
	if (sasl_is_relayed(mechanism))
		check_identity(mechanism, text, len);
	else
		REQUIRE(sasl_find(text) == SASL_NONE ||
		    strcasecmp(sasl_name(sasl_find(text)), text) == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *message, identity[LOGIN_MAX + 1];
	enum sasl_mechanism mechanism;

	if (size == 0)
		return 0;
	mechanism = (enum sasl_mechanism)(data[0] % SASL_MECHANISM_COUNT);
	size--;
	message = fuzz_copy(data + 1, size);
	if (mechanism == SASL_NONE) {
		check_base64(message, size);
		check_spelling(message, size);
	} else if (mechanism == SASL_PLAIN) {
		check_plain(message, size);
	} else {
		/* at exact length first */
		(void)sasl_stated_identity(mechanism, message, size, identity);
		(void)sasl_password_fits(message, size);
		check_text(mechanism, message, size);
	}
	free(message);
	return 0;
}
