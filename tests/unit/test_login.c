/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logins: the canonical form, what is no login, the way back into local part
 * and domain, and xtext.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/login.h"

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A200 A50 A50 A50 A50

struct row {
	const char *raw;
	const char *realm;
	const char *text; /* NULL: refused */
	const char *local;
	const char *domain;
};

#define NO NULL, NULL, NULL

static const struct row rows[] = {
	{ "alice", "example.org", "alice@example.org", "alice", "example.org" },
	{ "alice", "EXAMPLE.org", "alice@example.org", "alice", "example.org" },
	{ "alice", "", "alice", "alice", "" },
	{ "alice", NULL, "alice", "alice", "" },
	{ "Alice@Example.ORG", "other.example", "Alice@example.org", "Alice",
	    "example.org" },
	{ "alice@b\xc3\xbc"
	  "cher.example",
	    "", "alice@xn--bcher-kva.example", "alice",
	    "xn--bcher-kva.example" },
	{ "alice",
	    "b\xc3\xbc"
	    "cher.example",
	    "alice@xn--bcher-kva.example", "alice", "xn--bcher-kva.example" },
	{ "alice@KERBEROS_REALM", "", "alice@kerberos_realm", "alice",
	    "kerberos_realm" },
	{ "alice@B\xc3\x9c"
	  "CHER.example",
	    "",
	    "alice@b\xc3\x9c"
	    "cher.example",
	    "alice",
	    "b\xc3\x9c"
	    "cher.example" },
	{ "a@b@Example.org", "", "a@b@example.org", "a@b", "example.org" },
	{ "j\xc3\xb6s", "example.org", "j\xc3\xb6s@example.org", "j\xc3\xb6s",
	    "example.org" },
	{ "two words", "example.org", "two words@example.org", "two words",
	    "example.org" },
	{ "host/mail.example.org", "EXAMPLE.ORG",
	    "host/mail.example.org@example.org", "host/mail.example.org",
	    "example.org" },
	{ "al%ice+x", "example.org", "al%ice+x@example.org", "al%ice+x",
	    "example.org" },
	{ "", "example.org", NO },
	{ "@", "example.org", NO },
	{ "@example.org", "", NO },
	{ "alice@", "", NO },
	{ "alice@", "example.org", NO },
	{ " alice", "example.org", NO },
	{ "alice ", "example.org", NO },
	{ "\xc2\xa0"
	  "alice",
	    "example.org", NO },                    /* no-break space */
	{ "alice\xe2\x80\x8b", "example.org", NO }, /* zero-width space */
	{ "ali\xc2\x85"
	  "ce",
	    "example.org", NO }, /* C1 */
	{ "ali\xe2\x80\xae"
	  "ce",
	    "example.org", NO }, /* right-to-left override */
	{ "alice @example.org", "", NO },
	{ "alice@ example.org", "", NO },
	{ "alice@example.org ", "", NO },
	{ " ", "example.org", NO },
	{ "al\tice", "example.org", NO },
	{ "alice\n", "example.org", NO },
	{ "alice\r\n", "example.org", NO },
	{ "al\x01"
	  "ice",
	    "example.org", NO },
	{ "al\x7f"
	  "ice",
	    "example.org", NO },
	{ "alice@exa\x1fmple.org", "", NO },
	{ "al\xff"
	  "ice",
	    "example.org", NO },
	{ "al\xc0\xafice", "example.org", NO },
	{ "alice\xc3", "example.org", NO },
	{ "alice@\xc3", "", NO },
	{ A200 A50 "aaaaa", "", A200 A50 "aaaaa", A200 A50 "aaaaa", "" },
	{ A200 A50 "aaaaaa", "", NO },
	{ A200 A50 "aaa", "b", A200 A50 "aaa@b", A200 A50 "aaa", "b" },
	{ A200 A50 "aaaa", "b", NO },
	/* the A-label is longer than what was typed */
	{ A200 "@" A10 A10 A10 A10 A10 "\xc3\xbc", "", NO },
	{ "alice", A200 A200, NO },
};

static void
test_normalise(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		size_t len = strlen(r->raw);
		char *raw = malloc(len + 1); /* no NUL at the end */
		char local[LOGIN_MAX + 1];
		struct login login;
		int rc;

		assert_non_null(raw);
		memcpy(raw, r->raw, len);
		rc = login_normalise(raw, len, r->realm, &login);
		free(raw);
		if (r->text == NULL) {
			if (rc != -1 || login.text[0] != '\0') {
				print_error("row %zu '%s': got %d '%s', want "
					    "a refusal\n",
				    i, r->raw, rc, login.text);
				failures++;
			}
			continue;
		}
		login_local(&login, local);
		if (rc != 0 || strcmp(login.text, r->text) != 0 ||
		    strcmp(local, r->local) != 0 ||
		    strcmp(login_domain(&login), r->domain) != 0) {
			print_error("row %zu '%s': got %d '%s' (%s, %s), want "
				    "'%s' (%s, %s)\n",
			    i, r->raw, rc, login.text, local,
			    login_domain(&login), r->text, r->local, r->domain);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

static void
test_normalised_once_is_for_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct login again;

		if (rows[i].text == NULL)
			continue;
		if (login_normalise(rows[i].text, strlen(rows[i].text), "",
			&again) != 0 ||
		    strcmp(again.text, rows[i].text) != 0)
			fail_msg("row %zu '%s': became '%s'", i, rows[i].text,
			    again.text);
	}
}

static void
test_nul_is_refused(void **state)
{
	struct login login;

	(void)state;
	assert_int_equal(login_normalise("alice\0", 6, "a.example", &login),
	    -1);
	assert_int_equal(login_normalise("al\0ice", 6, "a.example", &login),
	    -1);
	assert_int_equal(login_normalise("a@b\0c", 5, "", &login), -1);
	assert_int_equal(login_normalise("\0", 1, "a.example", &login), -1);
	assert_int_equal(login_normalise(NULL, 0, "a.example", &login), -1);
}

static void
test_xtext(void **state)
{
	static const struct {
		const char *text;
		const char *decoded; /* NULL: no xtext */
	} texts[] = {
		{ "alice", "alice" },
		{ "", "" },
		{ "a+2Bb+3Dc@example.test", "a+b=c@example.test" },
		{ "al+28ice+29", "al(ice)" },
		{ "b+C3+A9nny", "b\xc3\xa9nny" },
		{ "al+20ice", "al ice" },
		{ "+2B2B", "+2B" },  /* once */
		{ "a+0Ab", "a\nb" }, /* login_normalise() refuses it */
		{ "a+", NULL },
		{ "a+2", NULL },
		{ "a+2b", NULL },
		{ "a+b2", NULL },
		{ "a+2G", NULL },
		{ "a+G2", NULL },
		{ "a++2B", NULL },
		{ "a=b", NULL },
		{ "a b", NULL },
		{ "a\tb", NULL },
		{ "a\x7f", NULL },
		{ "b\xc3\xa9nny", NULL },
		{ "a+00", NULL },
	};
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text = strdup(texts[i].text);
		char got[64] = "";
		size_t len = 0;
		int rc;

		assert_non_null(text);
		rc = login_xtext_decode(text, got, sizeof(got), &len);
		free(text);
		if (texts[i].decoded == NULL
			? rc != -1
			: rc != 0 || strcmp(got, texts[i].decoded) != 0 ||
			    len != strlen(texts[i].decoded)) {
			print_error("row %zu %s: got %d '%s' (%zu), want %s\n",
			    i, texts[i].text, rc, got, len,
			    texts[i].decoded ? texts[i].decoded : "-1");
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

static void
test_xtext_is_never_cut(void **state)
{
	char *out = malloc(6);
	size_t len = 0;

	(void)state;
	assert_non_null(out);
	assert_int_equal(login_xtext_decode("ali+63e", out, 6, &len), 0);
	assert_string_equal(out, "alice");
	assert_int_equal(len, 5);
	assert_int_equal(login_xtext_decode("ali+63e1", out, 6, &len), -1);
	assert_int_equal(login_xtext_decode("", out, 1, &len), 0);
	assert_int_equal(login_xtext_decode("", out, 0, &len), -1);
	assert_int_equal(login_xtext_decode("a", out, 1, &len), -1);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_normalised_once_is_for_good),
		cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_xtext_is_never_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
