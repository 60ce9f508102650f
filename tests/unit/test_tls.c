/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which TLS is good enough. A permit for an outsider begins here, so most rows
 * are about what must not look strong.
 */
#include "policy/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char *
show(const char *text)
{
	return text != NULL ? text : "NULL";
}

static void
versions_are_compared_not_their_text(void **state)
{
	static const struct {
		const char *text;
		enum tls_version version;
	} rows[] = {
		{ "TLSv1", TLS_1_0 },
		{ "TLSv1.0", TLS_1_0 },
		{ "TLS1.0", TLS_1_0 },
		{ "TLSv1.1", TLS_1_1 },
		{ "TLS1.1", TLS_1_1 },
		{ "TLSv1.2", TLS_1_2 },
		{ "TLS1.2", TLS_1_2 },
		{ "TLSv1.3", TLS_1_3 },
		{ "TLS1.3", TLS_1_3 },
		{ NULL, TLS_UNKNOWN },
		{ "", TLS_UNKNOWN },
		{ "SSLv2", TLS_UNKNOWN },
		{ "SSLv3", TLS_UNKNOWN },
		{ "TLS", TLS_UNKNOWN },
		{ "TLSv", TLS_UNKNOWN },
		{ "TLSv1.4", TLS_UNKNOWN },
		{ "TLSv2", TLS_UNKNOWN },
		{ "TLSv1.30", TLS_UNKNOWN },
		{ "TLSv1.3 ", TLS_UNKNOWN },
		{ " TLSv1.3", TLS_UNKNOWN },
		{ "tlsv1.2", TLS_UNKNOWN },
		{ "1.3", TLS_UNKNOWN },
		{ "DTLSv1.2", TLS_UNKNOWN },
		{ "unknown", TLS_UNKNOWN },
		{ "NONE", TLS_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum tls_version got = tls_version_parse(rows[i].text);

		if (got != rows[i].version)
			fail_msg("%s: got %s, want %s", show(rows[i].text),
			    tls_version_text(got),
			    tls_version_text(rows[i].version));
	}
	assert_true(TLS_UNKNOWN < TLS_1_0 && TLS_1_0 < TLS_1_1 &&
	    TLS_1_1 < TLS_1_2 && TLS_1_2 < TLS_1_3);
	assert_string_equal(tls_version_text(TLS_1_0), "TLSv1");
	assert_string_equal(tls_version_text(TLS_1_3), "TLSv1.3");
	assert_string_equal(tls_version_text(TLS_UNKNOWN), "unknown");
}

#define GCM "ECDHE-RSA-AES128-GCM-SHA256"
#define T13 "TLS_AES_256_GCM_SHA384"

/* Against the default floor: TLS 1.2 and 128 bits. */
static const struct {
	const char *version;
	const char *cipher;
	const char *bits;
	enum tls_strength strength;
} judged[] = {
	/* no TLS, whatever else there is */
	{ NULL, NULL, NULL, TLS_ABSENT },
	{ "", "", "", TLS_ABSENT },
	{ NULL, T13, "256", TLS_ABSENT },
	{ "", T13, "256", TLS_ABSENT },

	{ "TLSv1.2", GCM, "128", TLS_STRONG },
	{ "TLSv1.3", T13, "256", TLS_STRONG },
	{ "TLS1.3", T13, "256", TLS_STRONG },
	{ "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", "256", TLS_STRONG },
	{ "TLSv1.3", "TLS_AES_128_GCM_SHA256", "128", TLS_STRONG },
	{ "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "256", TLS_STRONG },
	{ "TLSv1.2", "AES256-SHA", "256", TLS_STRONG },
	{ "TLS1.2", "ECDHE_SECP256R1__RSA_SHA256__AES_128_GCM", "128",
	    TLS_STRONG },
	{ "TLSv1.2", "CAMELLIA256-SHA", "256", TLS_STRONG },

	/* versions */
	{ "SSLv3", GCM, "128", TLS_WEAK },
	{ "TLSv1", "ECDHE-RSA-AES256-SHA", "256", TLS_WEAK },
	{ "TLSv1.1", "ECDHE-RSA-AES256-SHA", "256", TLS_WEAK },
	{ "TLS1.1", "ECDHE-RSA-AES256-SHA", "256", TLS_WEAK },
	{ "TLSv1.4", T13, "256", TLS_WEAK },
	{ "yes", T13, "256", TLS_WEAK },

	/* bits */
	{ "TLSv1.3", T13, NULL, TLS_WEAK },
	{ "TLSv1.3", T13, "", TLS_WEAK },
	{ "TLSv1.3", T13, "0", TLS_WEAK },
	{ "TLSv1.3", T13, "56", TLS_WEAK },
	{ "TLSv1.3", T13, "112", TLS_WEAK },
	{ "TLSv1.3", T13, "127", TLS_WEAK },
	{ "TLSv1.3", T13, "128", TLS_STRONG },
	{ "TLSv1.3", T13, "0128", TLS_WEAK },
	{ "TLSv1.3", T13, "+256", TLS_WEAK },
	{ "TLSv1.3", T13, "-256", TLS_WEAK },
	{ "TLSv1.3", T13, " 256", TLS_WEAK },
	{ "TLSv1.3", T13, "256 ", TLS_WEAK },
	{ "TLSv1.3", T13, "256.0", TLS_WEAK },
	{ "TLSv1.3", T13, "0x100", TLS_WEAK },
	{ "TLSv1.3", T13, "256bits", TLS_WEAK },
	{ "TLSv1.3", T13, "4294967424", TLS_WEAK }, /* 2^32 + 128 */
	{ "TLSv1.3", T13, "99999999999999999999999", TLS_WEAK },

	/* ciphers that are missing or do not encrypt */
	{ "TLSv1.3", NULL, "256", TLS_WEAK },
	{ "TLSv1.3", "", "256", TLS_WEAK },
	{ "TLSv1.3", " ", "256", TLS_WEAK },
	{ "TLSv1.2", "(NONE)", "256", TLS_WEAK },
	{ "TLSv1.2", "NULL-SHA256", "256", TLS_WEAK },
	{ "TLSv1.2", "ECDHE-RSA-NULL-SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "TLS_RSA_WITH_NULL_SHA256", "128", TLS_WEAK },
	{ "TLSv1.3", "TLS_SHA256_SHA256", "256", TLS_WEAK },
	{ "TLSv1.3", "TLS_SHA384_SHA384", "256", TLS_WEAK },

	/* broken ones */
	{ "TLSv1.2", "DES-CBC3-SHA", "168", TLS_WEAK },
	{ "TLSv1.2", "ECDHE-RSA-DES-CBC3-SHA", "168", TLS_WEAK },
	{ "TLSv1.2", "EDH-RSA-DES-CBC-SHA", "168", TLS_WEAK },
	{ "TLSv1.2", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "168", TLS_WEAK },
	{ "TLS1.2", "RSA__3DES_EDE_CBC__SHA1", "168", TLS_WEAK },
	{ "TLSv1.2", "RC4-SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "rc4-sha", "128", TLS_WEAK },
	{ "TLSv1.2", "ECDHE-RSA-RC4-SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "TLS_RSA_WITH_RC4_128_MD5", "128", TLS_WEAK },
	{ "TLS1.2", "RSA_ARCFOUR_SHA1", "128", TLS_WEAK },
	{ "TLSv1.2", "EXP-RC2-CBC-MD5", "128", TLS_WEAK },
	{ "TLSv1.2", "EXP-DES-CBC-SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "EXP1024-AES-SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "TLS_RSA_EXPORT_WITH_AES", "128", TLS_WEAK },
	{ "TLSv1.2", "TLS_RSA_EXPORT1024_WITH_AES", "128", TLS_WEAK },
	{ "TLSv1.2", "RC2-CBC-MD5", "128", TLS_WEAK },

	/* nobody knows who is at the other end */
	{ "TLSv1.2", "ADH-AES256-GCM-SHA384", "256", TLS_WEAK },
	{ "TLSv1.2", "AECDH-AES256-SHA", "256", TLS_WEAK },
	{ "TLSv1.2", "TLS_DH_anon_WITH_AES_128_CBC_SHA", "128", TLS_WEAK },
	{ "TLSv1.2", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "128", TLS_WEAK },
};

static void
weak_is_what_is_not_known_to_be_strong(void **state)
{
	static const char *const names[] = { "absent", "weak", "strong" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(judged); i++) {
		enum tls_strength got = tls_judge(TLS_1_2, 128,
		    judged[i].version, judged[i].cipher, judged[i].bits);

		if (got != judged[i].strength)
			fail_msg("%s %s %s: got %s, want %s",
			    show(judged[i].version), show(judged[i].cipher),
			    show(judged[i].bits), names[got],
			    names[judged[i].strength]);
	}
}

static void
floor_is_what_the_site_says(void **state)
{
	(void)state;
	assert_int_equal(tls_judge(TLS_1_3, 128, "TLSv1.2", GCM, "128"),
	    TLS_WEAK);
	assert_int_equal(tls_judge(TLS_1_3, 128, "TLS1.3", T13, "256"),
	    TLS_STRONG);
	assert_int_equal(tls_judge(TLS_1_0, 128, "TLSv1", "AES128-SHA", "128"),
	    TLS_STRONG);
	assert_int_equal(tls_judge(TLS_1_2, 256, "TLSv1.2", GCM, "128"),
	    TLS_WEAK);
	assert_int_equal(tls_judge(TLS_1_2, 256, "TLSv1.3", T13, "256"),
	    TLS_STRONG);
	/* no floor is so low that it lets these in */
	assert_int_equal(tls_judge(TLS_UNKNOWN, 0, "SSLv3", GCM, "128"),
	    TLS_WEAK);
	assert_int_equal(tls_judge(TLS_UNKNOWN, 0, "TLSv1.2", GCM, "0"),
	    TLS_WEAK);
	assert_int_equal(tls_judge(TLS_UNKNOWN, 0, "TLSv1.2", "RC4-SHA", "128"),
	    TLS_WEAK);
	assert_int_equal(tls_judge(TLS_UNKNOWN, 0, "TLSv1.2", GCM, "bits"),
	    TLS_WEAK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_compared_not_their_text),
		cmocka_unit_test(weak_is_what_is_not_known_to_be_strong),
		cmocka_unit_test(floor_is_what_the_site_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
