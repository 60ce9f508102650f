/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SASL messages: base64, PLAIN, the identities that relayed mechanisms state,
 * and who is allowed to be whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/sasl.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))
/* a text with NULs in it */
#define TEXT(literal) literal, sizeof(literal) - 1

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A255 A50 A50 A50 A50 A50 "aaaaa"

/* At exact length, so that a sanitizer sees the octet behind being read. */
static char *
exact(const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return copy;
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		enum sasl_mechanism mechanism;
		bool relayed, client_first;
	} rows[] = {
		{ "PLAIN", SASL_PLAIN, false, true },
		{ "LOGIN", SASL_LOGIN, false, false },
		{ "CRAM-MD5", SASL_CRAM_MD5, true, false },
		{ "SCRAM-SHA-1", SASL_SCRAM_SHA_1, true, true },
		{ "SCRAM-SHA-256", SASL_SCRAM_SHA_256, true, true },
		{ "OAUTHBEARER", SASL_OAUTHBEARER, true, true },
		{ "XOAUTH2", SASL_XOAUTH2, true, true },
	};
	static const char *const strangers[] = { "", "PLAI", "PLAINX",
		"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512",
		"DIGEST-MD5", "EXTERNAL", "ANONYMOUS", "GSSAPI", " PLAIN" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		enum sasl_mechanism m = rows[i].mechanism;

		assert_string_equal(sasl_name(m), rows[i].name);
		assert_int_equal(sasl_find(rows[i].name), m);
		if (sasl_is_relayed(m) != rows[i].relayed ||
		    sasl_client_is_first(m) != rows[i].client_first)
			fail_msg("%s: relayed %d, client first %d",
			    rows[i].name, sasl_is_relayed(m),
			    sasl_client_is_first(m));
	}
	assert_int_equal(ROWS(rows), SASL_MECHANISM_COUNT - 1);
	assert_int_equal(sasl_find("scram-Sha-256"), SASL_SCRAM_SHA_256);
	for (size_t i = 0; i < ROWS(strangers); i++) {
		if (sasl_find(strangers[i]) != SASL_NONE)
			fail_msg("\"%s\" was found", strangers[i]);
	}
	assert_string_equal(sasl_name(SASL_NONE), "");
	assert_false(sasl_is_relayed(SASL_NONE));
	assert_false(sasl_client_is_first(SASL_NONE));
}

static void
test_base64(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: refused */
		size_t len;
	} rows[] = {
		{ "", TEXT("") },
		{ "=", TEXT("") },
		/* RFC 4648, 10 */
		{ "Zg==", TEXT("f") },
		{ "Zm8=", TEXT("fo") },
		{ "Zm9v", TEXT("foo") },
		{ "Zm9vYg==", TEXT("foob") },
		{ "Zm9vYmE=", TEXT("fooba") },
		{ "Zm9vYmFy", TEXT("foobar") },
		{ "+/+/", TEXT("\xfb\xff\xbf") },
		{ "AAAA", TEXT("\0\0\0") },
		{ "AA==", TEXT("\0") },
		{ "AGFsaWNlAHB3", TEXT("\0alice\0pw") },
		{ "==", NULL, 0 },
		{ "===", NULL, 0 },
		{ "====", NULL, 0 },
		{ "Z===", NULL, 0 },
		{ "Zg=", NULL, 0 },
		{ "Zg", NULL, 0 },
		{ "Z", NULL, 0 },
		{ "Zm9", NULL, 0 },
		{ "Zg==Zg==", NULL, 0 },
		{ "Zg=v", NULL, 0 },
		{ "=m9v", NULL, 0 },
		{ "Z=9v", NULL, 0 },
		{ "Zm9v=", NULL, 0 },
		{ "Zm9v====", NULL, 0 },
		{ "Zm9v\n", NULL, 0 },
		{ "Zm9v\r\n", NULL, 0 },
		{ "Zm 9v", NULL, 0 },
		{ " Zm9", NULL, 0 },
		{ "Zm9 ", NULL, 0 },
		{ "-_-_", NULL, 0 }, /* the alphabet of URLs */
		{ "Zm9*", NULL, 0 },
		{ "Zm\xc3\xa9", NULL, 0 },
		/* bits that stand for nothing */
		{ "Zh==", NULL, 0 },
		{ "Zn==", NULL, 0 },
		{ "Zm9=", NULL, 0 },
		{ "Zm+=", NULL, 0 },
	};
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t len = strlen(rows[i].text), got_len = 99;
		char *text = exact(rows[i].text, len), got[16];
		int rc =
		    sasl_base64_decode(text, len, got, sizeof(got), &got_len);

		free(text);
		if (rows[i].want == NULL ? rc != -1 || got_len != 0
					 : rc != 0 || got_len != rows[i].len ||
			    memcmp(got, rows[i].want, got_len) != 0) {
			print_error("row %zu \"%s\": got %d, %zu octets; want "
				    "%s, %zu\n",
			    i, rows[i].text, rc, got_len,
			    rows[i].want != NULL ? "0" : "-1", rows[i].len);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

static void
test_base64_is_never_cut(void **state)
{
	char *out = exact("....", 4);
	size_t len = 0;

	(void)state;
	assert_int_equal(sasl_base64_decode("Zm9vYg==", 8, out, 4, &len), 0);
	assert_int_equal(len, 4);
	assert_int_equal(sasl_base64_decode("Zm9vYmE=", 8, out, 4, &len), -1);
	assert_int_equal(sasl_base64_decode("Zm9v", 4, out, 2, &len), -1);
	assert_int_equal(sasl_base64_decode("Zg==", 4, out, 0, &len), -1);
	assert_int_equal(sasl_base64_decode("", 0, NULL, 0, &len), 0);
	assert_int_equal(sasl_base64_decode("Zm9\0", 4, out, 4, &len), -1);
	free(out);
}

static void
test_plain(void **state)
{
	static const struct {
		const char *message;
		size_t len;
		const char *authzid, *authcid, *password; /* NULL: refused */
	} rows[] = {
		/* RFC 4616, 4 */
		{ TEXT("\0tim\0tanstaaftanstaaf"), "", "tim",
		    "tanstaaftanstaaf" },
		{ TEXT("Ursel\0Kurt\0xipj3plmq"), "Ursel", "Kurt",
		    "xipj3plmq" },
		{ TEXT("\0\0"), "", "", "" },
		{ TEXT("a\0b\0"), "a", "b", "" },
		{ TEXT("a\0\0c"), "a", "", "c" },
		{ TEXT(""), NULL, NULL, NULL },
		{ TEXT("\0"), NULL, NULL, NULL },
		{ TEXT("alice"), NULL, NULL, NULL },
		{ TEXT("\0alice"), NULL, NULL, NULL },
		{ TEXT("\0alice\0pw\0"), NULL, NULL, NULL },
		{ TEXT("\0alice\0p\0w"), NULL, NULL, NULL },
		{ TEXT("\0\0\0"), NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *message = exact(rows[i].message, rows[i].len);
		struct sasl_credentials c;
		int rc = sasl_plain_parse(message, rows[i].len, &c);

		if (rows[i].authcid == NULL) {
			if (rc != -1 || c.authcid != NULL)
				fail_msg("row %zu: got %d, want -1", i, rc);
		} else if (rc != 0 ||
		    c.authzid_len != strlen(rows[i].authzid) ||
		    memcmp(c.authzid, rows[i].authzid, c.authzid_len) != 0 ||
		    c.authcid_len != strlen(rows[i].authcid) ||
		    memcmp(c.authcid, rows[i].authcid, c.authcid_len) != 0 ||
		    c.password_len != strlen(rows[i].password) ||
		    memcmp(c.password, rows[i].password, c.password_len) != 0) {
			fail_msg("row %zu: got %d, lengths %zu %zu %zu", i, rc,
			    c.authzid_len, c.authcid_len, c.password_len);
		}
		free(message);
	}
}

static void
test_passwords(void **state)
{
	char *longest = malloc(SASL_PASSWORD_MAX + 1);

	(void)state;
	assert_non_null(longest);
	memset(longest, 'p', SASL_PASSWORD_MAX + 1);
	assert_true(sasl_password_fits(longest, SASL_PASSWORD_MAX));
	assert_false(sasl_password_fits(longest, SASL_PASSWORD_MAX + 1));
	assert_false(sasl_password_fits(longest, 0));
	free(longest);
	for (int c = 0; c < 256; c++) {
		const char password[3] = { 'a', (char)c, 'b' };
		bool want = c >= 0x20 && c != 0x7f;

		if (sasl_password_fits(password, 3) != want)
			fail_msg("octet 0x%02x: want %d", (unsigned int)c,
			    want);
	}
}

#define NO NULL

struct identity_row {
	enum sasl_mechanism mechanism;
	const char *message;
	size_t len;
	const char *identity; /* NO: refused */
};

#define SCRAM(message, identity)              \
 {                                            \
  SASL_SCRAM_SHA_256, TEXT(message), identity \
 }
#define CRAM(message, identity)          \
 {                                       \
  SASL_CRAM_MD5, TEXT(message), identity \
 }
#define BEARER(message, identity)           \
 {                                          \
  SASL_OAUTHBEARER, TEXT(message), identity \
 }
#define XOAUTH(message, identity)       \
 {                                      \
  SASL_XOAUTH2, TEXT(message), identity \
 }

#define DIGEST "b913a602c7eda7a495b4e6e7334d3890"
/* \001 in full: a digit may follow */
#define TOKEN "\001auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
#define DONE  "\001\001"

static const struct identity_row identities[] = {
	/* RFC 5802, 5 and RFC 7677, 3 */
	{ SASL_SCRAM_SHA_1, TEXT("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
	    "user" },
	SCRAM("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "user"),
	SCRAM("y,,n=user,r=x", "user"),
	SCRAM("n,a=user,n=user,r=x", "user"),
	SCRAM("y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x", "a,b=c"),
	SCRAM("n,,n==3D2C,r=x", "=2C"), /* once */
	SCRAM("n,,n=alice@example.org,r=x,z=more", "alice@example.org"),
	SCRAM("n,,n=alice,r=x,z=more,Q=a=b", "alice"),
	SCRAM("n,,n=two words,r=x", "two words"),
	SCRAM("n,,n=j\xc3\xb6s,r=x", "j\xc3\xb6s"),
	SCRAM("n,,n=" A255 ",r=x", A255),
	SCRAM("n,a=" A255 ",n=" A255 ",r=x", A255),
	SCRAM("n,,n=" A255 "a,r=x", NO),
	SCRAM("n,,n=" A255 "=2C,r=x", NO),
	SCRAM("n,a=" A255 "a,n=" A255 ",r=x", NO),
	/* channel binding */
	SCRAM("p=tls-unique,,n=user,r=x", NO),
	SCRAM("p=tls-exporter,a=user,n=user,r=x", NO),
	SCRAM("p,,n=user,r=x", NO),
	/* somebody else's authzid */
	SCRAM("n,a=bob,n=user,r=x", NO),
	SCRAM("n,a=User,n=user,r=x", NO),
	SCRAM("n,a=user@example.org,n=user,r=x", NO),
	SCRAM("n,a=,n=user,r=x", NO),
	/* escapes */
	SCRAM("n,,n=a=b,r=x", NO),
	SCRAM("n,,n=a=2c,r=x", NO),
	SCRAM("n,,n=a=3d,r=x", NO),
	SCRAM("n,,n=a=2,r=x", NO),
	SCRAM("n,,n=a=,r=x", NO),
	SCRAM("n,,n=a=41,r=x", NO),
	SCRAM("n,a=a=2c,n=a,r=x", NO),
	/* mandatory extension, repetition, order */
	SCRAM("n,,m=ext,n=user,r=x", NO),
	SCRAM("n,,n=user,m=ext,r=x", NO),
	SCRAM("n,,n=user,r=x,m=ext", NO),
	SCRAM("n,,n=user,r=x,n=bob", NO),
	SCRAM("n,,n=user,r=x,a=bob", NO),
	SCRAM("n,,n=user,r=x,r=y", NO),
	SCRAM("n,,r=x,n=user", NO),
	SCRAM("n,n=user,r=x", NO),
	SCRAM("n,,a=user,n=user,r=x", NO),
	SCRAM("n,a=user,a=user,n=user,r=x", NO),
	SCRAM("n,,n=user,n=bob,r=x", NO),
	/* cut off, or not that at all */
	SCRAM("", NO),
	SCRAM("n", NO),
	SCRAM("n,", NO),
	SCRAM("n,,", NO),
	SCRAM("n,,n=", NO),
	SCRAM("n,,n=user", NO),
	SCRAM("n,,n=user,", NO),
	SCRAM("n,,n=user,r", NO),
	SCRAM("n,,n=user,r=", NO),
	SCRAM("n,,n=user,r=,z=1", NO),
	SCRAM("n,,n=user,r=x,", NO),
	SCRAM("n,,n=user,r=x,z", NO),
	SCRAM("n,,n=user,r=x,z=", NO),
	SCRAM("n,,n=user,r=x,z=,y=1", NO),
	SCRAM("n,,n=user,r=x,1=2", NO),
	SCRAM("n,,n=user,r=x,zz=2", NO),
	SCRAM("n,,n=user,r=x y", NO),
	SCRAM("n,,n=user,r=x\x7f", NO),
	SCRAM("n,,n=,r=x", NO),
	SCRAM("n,a=user", NO),
	SCRAM("n,a=user,", NO),
	SCRAM("N,,n=user,r=x", NO),
	SCRAM("n,,N=user,r=x", NO),
	SCRAM("F,n,,n=user,r=x", NO),
	SCRAM(" n,,n=user,r=x", NO),
	SCRAM("n,,n=us\0er,r=x", NO),
	SCRAM("n,,n=us\ner,r=x", NO),
	SCRAM("n,,n=user\0,r=x", NO),
	SCRAM("n,,n=user,r=x\0", NO),
	SCRAM("\0", NO),

	/* RFC 2195, 2 */
	CRAM("tim " DIGEST, "tim"),
	CRAM("two words " DIGEST, "two words"),
	CRAM("tim  " DIGEST, "tim "), /* login_normalise() refuses it */
	CRAM(A255 " " DIGEST, A255),
	CRAM(A255 "a " DIGEST, NO),
	CRAM(DIGEST " " DIGEST, DIGEST),
	CRAM("", NO),
	CRAM("tim", NO),
	CRAM("tim ", NO),
	CRAM(DIGEST, NO),
	CRAM(" " DIGEST, NO),
	CRAM("tim\t" DIGEST, NO),
	CRAM("tim" DIGEST, NO),
	CRAM("tim " DIGEST " ", NO),
	CRAM("tim " DIGEST "\n", NO),
	CRAM("tim b913a602c7eda7a495b4e6e7334d389", NO),
	CRAM("tim b913a602c7eda7a495b4e6e7334d38900", NO),
	CRAM("tim B913A602C7EDA7A495B4E6E7334D3890", NO),
	CRAM("tim b913a602c7eda7a495b4e6e7334d389g", NO),
	CRAM("tim b913a602c7eda7a4 5b4e6e7334d3890", NO),
	CRAM("ti\0m " DIGEST, NO),
	CRAM("tim " DIGEST "\0", NO),

	/* RFC 7628, 4.1 */
	BEARER("n,a=user@example.com,\001host=server.example.com"
	       "\001port=143" TOKEN DONE,
	    "user@example.com"),
	BEARER("n,a=user@example.com," TOKEN DONE, "user@example.com"),
	BEARER("y,a=a=2Cb=3D," TOKEN DONE, "a,b="),
	BEARER("n,a=" A255 "," TOKEN DONE, A255),
	BEARER("n,a=u,\001auth=bearer x" DONE, "u"),
	BEARER("n,a=u,\001auth=Bearer x\001port=587" DONE, "u"),
	BEARER("n,a=u,\001host=" TOKEN DONE, "u"),
	/* no identity: the token's is unknown here */
	BEARER("n,," TOKEN DONE, NO),
	BEARER("n,a=," TOKEN DONE, NO),
	BEARER("n,n=user," TOKEN DONE, NO),
	BEARER("n,a=" A255 "a," TOKEN DONE, NO),
	BEARER("p=tls-unique,a=u," TOKEN DONE, NO),
	BEARER("F,n,a=u," TOKEN DONE, NO),
	BEARER("n,a=u=2c," TOKEN DONE, NO),
	BEARER("n,a=u=," TOKEN DONE, NO),
	BEARER("n,a=u" TOKEN DONE, NO),
	BEARER("n,a=u" DONE "x," TOKEN DONE, NO),
	/* a second identity or token */
	BEARER("n,a=u,\001user=bob" TOKEN DONE, NO),
	BEARER("n,a=u,\001USER=bob" TOKEN DONE, NO),
	BEARER("n,a=u,a=bob," TOKEN DONE, NO),
	BEARER("n,a=u," TOKEN TOKEN DONE, NO),
	BEARER("n,a=u,\001AUTH=Bearer y" TOKEN DONE, NO),
	BEARER("n,a=u,\001AUTH=Bearer y" DONE, NO),
	/* the token */
	BEARER("n,a=u,\001host=h" DONE, NO),
	BEARER("n,a=u," DONE, NO),
	BEARER("n,a=u,\001auth=" DONE, NO),
	BEARER("n,a=u,\001auth=Bearer" DONE, NO),
	BEARER("n,a=u,\001auth=Bearer " DONE, NO),
	BEARER("n,a=u,\001auth=Bearer a b" DONE, NO),
	BEARER("n,a=u,\001auth=Bearer \xc3\xa9" DONE, NO),
	BEARER("n,a=u,\001auth=Basic eDp5" DONE, NO),
	BEARER("n,a=u,\001auth=MAC x" DONE, NO),
	/* the pairs and their end */
	BEARER("n,a=u," TOKEN, NO),
	BEARER("n,a=u," TOKEN "\001", NO),
	BEARER("n,a=u," TOKEN DONE "\001", NO),
	BEARER("n,a=u," TOKEN DONE "x", NO),
	BEARER("n,a=u,\001" TOKEN DONE, NO),
	BEARER("n,a=u,\001host" TOKEN DONE, NO),
	BEARER("n,a=u,\001=x" TOKEN DONE, NO),
	BEARER("n,a=u,\001po1t=x" TOKEN DONE, NO),
	BEARER("n,a=u,x" TOKEN DONE, NO),
	BEARER("n,a=u\0," TOKEN DONE, NO),
	BEARER("n,a=u,\001host=\0" TOKEN DONE, NO),
	BEARER("n,a=u," TOKEN DONE "\0", NO),
	BEARER("\001", NO), /* the answer to an error, no first message */
	BEARER("", NO),

	XOAUTH("user=someuser@example.com" TOKEN DONE, "someuser@example.com"),
	XOAUTH("user=a=b" TOKEN DONE, "a=b"),
	XOAUTH("user=a=2Cb" TOKEN DONE, "a=2Cb"), /* no escapes here */
	XOAUTH("auth=Bearer x\001user=u" DONE, "u"),
	XOAUTH("user=" A255 TOKEN DONE, A255),
	XOAUTH("user=" A255 "a" TOKEN DONE, NO),
	XOAUTH("user=" TOKEN DONE, NO),
	XOAUTH("user=u" DONE, NO),
	XOAUTH("user=u" TOKEN "\001", NO),
	XOAUTH("user=u" TOKEN, NO),
	XOAUTH("user=u" TOKEN DONE "\001", NO),
	XOAUTH("user=u\001user=bob" TOKEN DONE, NO),
	XOAUTH("user=u\001User=bob" TOKEN DONE, NO),
	XOAUTH("User=u" TOKEN DONE, NO),
	XOAUTH("user=u" TOKEN TOKEN DONE, NO),
	XOAUTH("user=u\001auth=Basic x" DONE, NO),
	XOAUTH("auth=Bearer x" DONE, NO),
	XOAUTH("n,a=u," TOKEN DONE, NO),
	XOAUTH("user=u\0" TOKEN DONE, NO),
	XOAUTH("\001", NO),
	XOAUTH(DONE, NO),
	XOAUTH("", NO),

	/* these hand over a password, or are nothing */
	{ SASL_PLAIN, TEXT("n,,n=user,r=x"), NO },
	{ SASL_LOGIN, TEXT("user"), NO },
	{ SASL_NONE, TEXT("user"), NO },
};

static void
test_stated_identity(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ROWS(identities); i++) {
		const struct identity_row *r = &identities[i];
		char *message = exact(r->message, r->len);
		char identity[LOGIN_MAX + 1] = "left over";
		int rc = sasl_stated_identity(r->mechanism, message, r->len,
		    identity);

		free(message);
		if (r->identity == NULL
			? rc != -1 || *identity != '\0'
			: rc != 0 || strcmp(identity, r->identity) != 0) {
			print_error("row %zu %s '%s': got %d '%s', want %s\n",
			    i, sasl_name(r->mechanism), r->message, rc,
			    identity, r->identity ? r->identity : "-1");
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

/* Whatever SCRAM itself uses (RFC 5802, 5.1) is no extension. */
static void
test_scram_letters_are_no_extensions(void **state)
{
	static const char own[] = "anmrcsivpe";
	char message[] = "n,,n=user,r=x,?=y", identity[LOGIN_MAX + 1];
	char *letter = strchr(message, '?');

	(void)state;
	for (const char *p = own; *p != '\0'; p++) {
		*letter = *p;
		if (sasl_stated_identity(SASL_SCRAM_SHA_1, message,
			strlen(message), identity) != -1)
			fail_msg("%s is taken", message);
	}
	*letter = 'x';
	assert_int_equal(sasl_stated_identity(SASL_SCRAM_SHA_1, message,
			     strlen(message), identity),
	    0);
}

/* Nothing shorter is the same message: no field may end before its time. CRAM-
 * MD5 is left out (a shorter name is a name), as are the optional extensions
 * and the nonce, which may be any length. */
static void
test_cut_messages_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(identities); i++) {
		const struct identity_row *r = &identities[i];
		char identity[LOGIN_MAX + 1];
		size_t end = r->len;

		if (r->identity == NULL || r->mechanism == SASL_CRAM_MD5)
			continue;
		if (r->mechanism == SASL_SCRAM_SHA_1 ||
		    r->mechanism == SASL_SCRAM_SHA_256)
			end = (size_t)(strstr(r->message, ",r=") + 4 -
			    r->message);
		for (size_t len = 0; len < end; len++) {
			char *message = exact(r->message, len);
			int rc = sasl_stated_identity(r->mechanism, message,
			    len, identity);

			free(message);
			if (rc != -1)
				fail_msg("row %zu: %zu octets of '%s' are "
					 "'%s'",
				    i, len, r->message, identity);
		}
	}
}

static void
test_login(void **state)
{
	static const struct {
		const char *authcid;
		size_t authcid_len;
		const char *authzid;
		size_t authzid_len;
		const char *realm;
		const char *login; /* NO: refused */
	} rows[] = {
		{ TEXT("alice"), TEXT(""), "example.org", "alice@example.org" },
		{ TEXT("alice@EXAMPLE.org"), TEXT(""), NULL,
		    "alice@example.org" },
		{ TEXT("alice"), TEXT("alice"), NULL, "alice" },
		{ TEXT("alice"), TEXT("alice@Example.org"), "example.org",
		    "alice@example.org" },
		{ TEXT("alice@example.org"), TEXT("alice"), "example.org",
		    "alice@example.org" },
		{ TEXT("alice"), TEXT("bob"), "example.org", NO },
		{ TEXT("alice"), TEXT("Alice"), "example.org", NO },
		{ TEXT("alice"), TEXT("alice@other.example"), "example.org",
		    NO },
		{ TEXT("alice"), TEXT(" "), "example.org", NO },
		{ TEXT("alice"), TEXT("alice "), "example.org", NO },
		{ TEXT("alice"), TEXT("alice\0"), "example.org", NO },
		{ TEXT("alice"), TEXT("\xff"), "example.org", NO },
		{ TEXT(""), TEXT(""), "example.org", NO },
		{ TEXT(""), TEXT("alice"), "example.org", NO },
		{ TEXT("\xff"), TEXT("\xff"), "example.org", NO },
		{ TEXT("al\0ice"), TEXT(""), "example.org", NO },
		{ TEXT(A255 "a"), TEXT(""), NULL, NO },
		{ TEXT("alice@other.example@example.org"), TEXT(""), NULL, NO },
		{ TEXT("alice@@example.org"), TEXT(""), NULL, NO },
		{ TEXT("@alice@example.org"), TEXT(""), "example.org", NO },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *authcid = exact(rows[i].authcid, rows[i].authcid_len);
		char *authzid = exact(rows[i].authzid, rows[i].authzid_len);
		struct login login;
		int rc = sasl_login(authcid, rows[i].authcid_len, authzid,
		    rows[i].authzid_len, rows[i].realm, &login);

		free(authcid);
		free(authzid);
		if (rows[i].login == NULL
			? rc != -1 || login.text[0] != '\0'
			: rc != 0 || strcmp(login.text, rows[i].login) != 0)
			fail_msg("row %zu '%s' for '%s': got %d '%s', want %s",
			    i, rows[i].authcid, rows[i].authzid, rc, login.text,
			    rows[i].login ? rows[i].login : "-1");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_is_never_cut),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_stated_identity),
		cmocka_unit_test(test_scram_letters_are_no_extensions),
		cmocka_unit_test(test_cut_messages_are_refused),
		cmocka_unit_test(test_login),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
