/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_TLS_H
#define POSTERN_POLICY_TLS_H

/* Versions in ascending order: they compare with <. */
enum tls_version {
	TLS_UNKNOWN = 0, /* also SSLv2, SSLv3 and whatever comes one day */
	TLS_1_0,
	TLS_1_1,
	TLS_1_2,
	TLS_1_3,
};

enum tls_strength {
	TLS_ABSENT = 0, /* clear text, as far as anybody can tell */
	TLS_WEAK,       /* below the site's floor, or not to be judged */
	TLS_STRONG,
};

/* "TLSv1.3" and Exim's "TLS1.3" are one. Compares versions, not text. */
enum tls_version tls_version_parse(const char *text);
const char *tls_version_text(enum tls_version version);

/*
 * Judges a connection by what the MTA reports. version NULL or "" is no TLS.
 * A missing cipher, bits that are no number, an unknown version, a cipher
 * without encryption or with a broken one (RFC 9325, 4.1: NULL, RC4, export,
 * single and triple DES, anonymous key exchange) are weak.
 */
enum tls_strength tls_judge(enum tls_version floor, unsigned int floor_bits,
    const char *version, const char *cipher, const char *bits);

#endif
