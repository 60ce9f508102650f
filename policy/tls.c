/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How good is the TLS that the MTA reports? A list of what is good enough in
 * versions, and of what is known to be broken in ciphers. It does not know
 * what a weak connection is denied; and what it cannot read is weak, never
 * strong.
 */
#include "policy/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* OpenSSL's spelling (Postfix, sendmail) first: it is the one we print. */
static const struct {
	enum tls_version version;
	const char *text;
} versions[] = {
	{ TLS_1_0, "TLSv1" },
	{ TLS_1_1, "TLSv1.1" },
	{ TLS_1_2, "TLSv1.2" },
	{ TLS_1_3, "TLSv1.3" },
	{ TLS_1_0, "TLSv1.0" },
	{ TLS_1_0, "TLS1.0" },
	{ TLS_1_1, "TLS1.1" },
	{ TLS_1_2, "TLS1.2" },
	{ TLS_1_3, "TLS1.3" },
};

#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

/* A word of a cipher's name that condemns it, in the spellings of OpenSSL,
 * GnuTLS and IANA. */
static const char *const broken_words[] = {
	"NULL", "NONE",                   /* no encryption */
	"RC2", "RC4", "ARCFOUR",          /* RC2 was for export only */
	"DES", "DES40", "3DES",           /* 3DES: 168 bits that act as 112 */
	"ADH", "AECDH", "ANON", "DHANON", /* nobody knows who is there */
};

/* Suites without encryption whose names do not say so (RFC 9150). */
static const char *const broken_names[] = {
	"TLS_SHA256_SHA256",
	"TLS_SHA384_SHA384",
};

enum tls_version
tls_version_parse(const char *text)
{
	if (text == NULL)
		return TLS_UNKNOWN;
	for (size_t i = 0; i < VERSIONS; i++)
		if (strcmp(text, versions[i].text) == 0)
			return versions[i].version;
	return TLS_UNKNOWN;
}

const char *
tls_version_text(enum tls_version version)
{
	for (size_t i = 0; i < VERSIONS; i++)
		if (versions[i].version == version)
			return versions[i].text;
	return "unknown";
}

static bool
word_is_broken(const char *word, size_t len)
{
	/* EXP, EXPORT, EXP1024, EXPORT1024 */
	if (len >= 3 && strncasecmp(word, "EXP", 3) == 0)
		return true;
	for (size_t i = 0; i < sizeof(broken_words) / sizeof(broken_words[0]);
	     i++)
		if (strlen(broken_words[i]) == len &&
		    strncasecmp(word, broken_words[i], len) == 0)
			return true;
	return false;
}

/* A name without a single word is as bad as none. */
static bool
cipher_is_sound(const char *cipher)
{
	static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789";
	bool named = false;

	for (size_t i = 0; i < sizeof(broken_names) / sizeof(broken_names[0]);
	     i++)
		if (strcasecmp(cipher, broken_names[i]) == 0)
			return false;
	while (*cipher != '\0') {
		size_t len = strspn(cipher, alnum);

		if (len == 0) {
			cipher++;
			continue;
		}
		if (word_is_broken(cipher, len))
			return false;
		named = true;
		cipher += len;
	}
	return named;
}

/* Plain decimal of at most five digits; 0 for everything else. */
static unsigned int
parse_bits(const char *text)
{
	size_t len = strlen(text);
	unsigned int bits = 0;

	if (len > 5 || strspn(text, "0123456789") != len || text[0] == '0')
		return 0;
	for (size_t i = 0; i < len; i++)
		bits = bits * 10 + (unsigned int)(text[i] - '0');
	return bits;
}

enum tls_strength
tls_judge(enum tls_version floor, unsigned int floor_bits, const char *version,
    const char *cipher, const char *bits)
{
	enum tls_version spoken = tls_version_parse(version);
	unsigned int strength;

	if (version == NULL || version[0] == '\0')
		return TLS_ABSENT;
	if (spoken == TLS_UNKNOWN || spoken < floor)
		return TLS_WEAK;
	if (cipher == NULL || !cipher_is_sound(cipher) || bits == NULL)
		return TLS_WEAK;
	strength = parse_bits(bits);
	if (strength == 0 || strength < floor_bits)
		return TLS_WEAK;
	return TLS_STRONG;
}
