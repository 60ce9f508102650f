/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains and address literals: the grammar, IDNA2008 without mapping, the
 * canonical form, and sets of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/domain.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"

struct row {
	const char *text;
	enum domain_kind kind; /* DOMAIN_NONE: malformed */
	const char *name;
};

static const struct row names[] = {
	{ "example.org", DOMAIN_FQDN, "example.org" },
	{ "EXAMPLE.Org", DOMAIN_FQDN, "example.org" },
	{ "a", DOMAIN_SINGLE, "a" },
	{ "1a.2", DOMAIN_NUMERIC, "1a.2" },
	{ "123", DOMAIN_NUMERIC, "123" },
	{ "3com.example", DOMAIN_FQDN, "3com.example" },
	{ "a-.b", DOMAIN_NONE, "" },
	{ "a.-b", DOMAIN_NONE, "" },
	{ "-", DOMAIN_NONE, "" },
	{ ".", DOMAIN_NONE, "" },
	{ "", DOMAIN_NONE, "" },
	{ ".a", DOMAIN_NONE, "" },
	{ "a.", DOMAIN_NONE, "" },
	{ "a..b", DOMAIN_NONE, "" },
	{ "a_b.example", DOMAIN_NONE, "" },
	{ "a b.example", DOMAIN_NONE, "" },
	{ "a@b.example", DOMAIN_NONE, "" },
	{ "*.example", DOMAIN_NONE, "" },
	{ A63 ".a", DOMAIN_FQDN, A63 ".a" },
	{ A63 "a.a", DOMAIN_NONE, "" },
	{ A63 "." A63 "." A63 "." A63, DOMAIN_FQDN,
	    A63 "." A63 "." A63 "." A63 },
	{ A63 "." A63 "." A63 "." A60 "aa.", DOMAIN_NONE, "" },
	{ A63 "." A63 "." A63 "." A60 "a.aa", DOMAIN_NONE, "" },
};

static const struct row literals[] = {
	{ "[192.0.2.1]", DOMAIN_LITERAL4, "[192.0.2.1]" },
	{ "[010.01.0.001]", DOMAIN_LITERAL4, "[10.1.0.1]" },
	{ "[0.0.0.0]", DOMAIN_LITERAL4, "[0.0.0.0]" },
	{ "[192.0.2.256]", DOMAIN_NONE, "" },
	{ "[192.0.2.0001]", DOMAIN_NONE, "" },
	{ "[192.0.2]", DOMAIN_NONE, "" },
	{ "[192.0.2.]", DOMAIN_NONE, "" },
	{ "[.192.0.2.1]", DOMAIN_NONE, "" },
	{ "[192.0.2.1.1]", DOMAIN_NONE, "" },
	{ "[192.0.2.1 ]", DOMAIN_NONE, "" },
	{ "[ 192.0.2.1]", DOMAIN_NONE, "" },
	{ "[+1.0.2.1]", DOMAIN_NONE, "" },
	{ "[192.0.2.1", DOMAIN_NONE, "" },
	{ "[192.0.2.1]]", DOMAIN_NONE, "" },
	{ "[[192.0.2.1]]", DOMAIN_NONE, "" },
	{ "[192.0.2.1].", DOMAIN_NONE, "" },
	{ "[]", DOMAIN_NONE, "" },
	{ "[", DOMAIN_NONE, "" },
	{ "]", DOMAIN_NONE, "" },
	{ "[IPv6:]", DOMAIN_NONE, "" },
	{ "[IPv6:::]", DOMAIN_LITERAL6, "[IPv6:::]" },
	{ "[IPv6:::1]", DOMAIN_LITERAL6, "[IPv6:::1]" },
	{ "[iPV6:1::]", DOMAIN_LITERAL6, "[IPv6:1::]" },
	{ "[IPv6:2001:0DB8:0:0:0:0:0:1]", DOMAIN_LITERAL6,
	    "[IPv6:2001:db8::1]" },
	{ "[IPv6:1:2:3:4:5:6:7:8]", DOMAIN_LITERAL6, "[IPv6:1:2:3:4:5:6:7:8]" },
	{ "[IPv6:1:0:3:4:5:6:7:8]", DOMAIN_LITERAL6, "[IPv6:1:0:3:4:5:6:7:8]" },
	{ "[IPv6:1::4:5:6:7:8]", DOMAIN_LITERAL6, "[IPv6:1::4:5:6:7:8]" },
	{ "[IPv6:1::3:4:5:6:7:8]", DOMAIN_NONE, "" }, /* one group only */
	{ "[IPv6:::2:3:4:5:6:7:8]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:6:7::]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:6::]", DOMAIN_LITERAL6, "[IPv6:1:2:3:4:5:6::]" },
	{ "[IPv6:1:2:3:4:5:6:7]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:6:7:8:9]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:6:7:8::]", DOMAIN_NONE, "" },
	{ "[IPv6:12345::]", DOMAIN_NONE, "" },
	{ "[IPv6:g::]", DOMAIN_NONE, "" },
	{ "[IPv6:1::2::3]", DOMAIN_NONE, "" },
	{ "[IPv6::::]", DOMAIN_NONE, "" },
	{ "[IPv6::1::2]", DOMAIN_NONE, "" },
	{ "[IPv6:1::2:]", DOMAIN_NONE, "" },
	{ "[IPv6:1:]", DOMAIN_NONE, "" },
	{ "[IPv6:fe80::1%eth0]", DOMAIN_NONE, "" },
	{ "[IPv6:::ffff:192.0.2.1]", DOMAIN_LITERAL6,
	    "[IPv6:::ffff:192.0.2.1]" },
	{ "[IPv6:1:2:3:4:5:6:192.0.2.01]", DOMAIN_LITERAL6,
	    "[IPv6:1:2:3:4:5:6:c000:201]" },
	{ "[IPv6:1:2:3:4::192.0.2.1]", DOMAIN_LITERAL6,
	    "[IPv6:1:2:3:4::c000:201]" },
	{ "[IPv6:1:2:3:4:5::192.0.2.1]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:192.0.2.1]", DOMAIN_NONE, "" },
	{ "[IPv6:1:2:3:4:5:6:7:192.0.2.1]", DOMAIN_NONE, "" },
	{ "[IPv6:192.0.2.1]", DOMAIN_NONE, "" },
	{ "[IPv6:192.0.2.1::]", DOMAIN_NONE, "" },
	{ "[IPv6:::192.0.2.1:1]", DOMAIN_NONE, "" },
	{ "[2001:db8::1]", DOMAIN_NONE, "" },
	{ "[IPv4:192.0.2.1]", DOMAIN_NONE, "" },
	{ "[x400:abc]", DOMAIN_NONE, "" },
};

static const struct row idna[] = {
	{ "b\xc3\xbc"
	  "cher.example",
	    DOMAIN_FQDN, "xn--bcher-kva.example" },
	{ "B\xc3\xbc"
	  "Cher.EXAMPLE",
	    DOMAIN_FQDN, "xn--bcher-kva.example" },
	{ "XN--Bcher-KVA.example", DOMAIN_FQDN, "xn--bcher-kva.example" },
	{ "stra\xc3\x9f"
	  "e.example",
	    DOMAIN_FQDN, "xn--strae-oqa.example" },
	{ "\xd0\xb0pple.example", DOMAIN_FQDN, "xn--pple-43d.example" },
	/* bogus A-labels are letters and digits: they equal themselves */
	{ "xn--example-.org", DOMAIN_NONE, "" },
	{ "xn--zzzzzzzz99.org", DOMAIN_FQDN, "xn--zzzzzzzz99.org" },
	/* what would have to be mapped, composed or removed */
	{ "b\xc3\x9c"
	  "cher.example",
	    DOMAIN_NONE, "" }, /* upper case */
	{ "bu\xcc\x88"
	  "cher.example",
	    DOMAIN_NONE, "" },                         /* not NFC */
	{ "\xef\xbd\x85xample.org", DOMAIN_NONE, "" }, /* full width */
	{ "exam\xc2\xadple.org", DOMAIN_NONE, "" },    /* soft hyphen */
	{ "example\xe3\x80\x82org", DOMAIN_NONE, "" }, /* full stops */
	{ "example\xef\xbc\x8eorg", DOMAIN_NONE, "" },
	{ "example\xef\xbd\xa1org", DOMAIN_NONE, "" },
	{ "example\xe2\x80\xa4org", DOMAIN_NONE, "" },
	{ "a\xe2\x80\x8d"
	  "b.example",
	    DOMAIN_NONE, "" }, /* joiner */
	{ "a\xe2\x80\x8b"
	  "b.example",
	    DOMAIN_NONE, "" },                           /* zero width */
	{ "\xe2\x91\xa0.example", DOMAIN_NONE, "" },     /* circled one */
	{ "\xf0\x9f\x93\xa7.example", DOMAIN_NONE, "" }, /* emoji */
	{ "\xcc\x88"
	  "a.example",
	    DOMAIN_NONE, "" }, /* mark first */
	{ "-\xc3\xbc.example", DOMAIN_NONE, "" },
	{ "\xc3\xbc-.example", DOMAIN_NONE, "" },
	{ "xn--\xc3\xbc.example", DOMAIN_NONE, "" },
	{ "ab--\xc3\xbc.example", DOMAIN_NONE, "" },
	{ "\xc3\xbc_a.example", DOMAIN_NONE, "" },
	{ "\xc3.example", DOMAIN_NONE, "" },
	{ "a\xed\xa0\x80.example", DOMAIN_NONE, "" },
	{ "\xc3\xbc" A60 ".example", DOMAIN_NONE, "" }, /* A-label > 63 */
};

static enum domain_status
parse(const char *text, size_t len, bool smtputf8, char *name_r,
    enum domain_kind *kind_r)
{
	char *copy = malloc(len > 0 ? len : 1);
	enum domain_status status;

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(name_r, 'x', DOMAIN_MAX + 1);
	status = domain_parse(copy, len, smtputf8, name_r, kind_r);
	free(copy);
	return status;
}

/* Each row, and that the canonical form is the canonical form of itself. */
static void
check_rows(const struct row *rows, size_t count, bool smtputf8)
{
	unsigned int failures = 0;

	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];
		enum domain_status want =
		    r->kind == DOMAIN_NONE ? DOMAIN_MALFORMED : DOMAIN_VALID;
		char name[DOMAIN_MAX + 1], again[DOMAIN_MAX + 1];
		enum domain_kind kind;
		enum domain_status status =
		    parse(r->text, strlen(r->text), smtputf8, name, &kind);

		if (status != want || kind != r->kind ||
		    strcmp(name, r->name) != 0) {
			print_error("row %zu %s: got status %d kind %d '%s', "
				    "want status %d kind %d '%s'\n",
			    i, r->text, (int)status, (int)kind, name, (int)want,
			    (int)r->kind, r->name);
			failures++;
		}
		if (status == DOMAIN_VALID &&
		    (parse(name, strlen(name), false, again, &kind) !=
			    DOMAIN_VALID ||
			strcmp(name, again) != 0 || kind != r->kind)) {
			print_error("row %zu %s: '%s' became '%s'\n", i,
			    r->text, name, again);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

#define CHECK_ROWS(rows, smtputf8) \
 check_rows(rows, sizeof(rows) / sizeof((rows)[0]), smtputf8)

static void
test_names(void **state)
{
	(void)state;
	CHECK_ROWS(names, false);
	CHECK_ROWS(names, true);
}

static void
test_literals(void **state)
{
	(void)state;
	CHECK_ROWS(literals, false);
}

static void
test_idna_maps_nothing(void **state)
{
	(void)state;
	CHECK_ROWS(idna, true);
}

static void
test_non_ascii_needs_smtputf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(idna) / sizeof(idna[0]); i++) {
		const char *text = idna[i].text;
		char name[DOMAIN_MAX + 1];
		enum domain_kind kind;
		enum domain_status got =
		    parse(text, strlen(text), false, name, &kind);
		bool ascii = true;

		for (const char *p = text; *p != '\0'; p++)
			ascii = ascii && (unsigned char)*p < 0x80;
		if (ascii)
			continue;
		if (got !=
			(idna[i].kind == DOMAIN_NONE ? DOMAIN_MALFORMED
						     : DOMAIN_NOT_ASCII) ||
		    name[0] != '\0' || kind != DOMAIN_NONE)
			fail_msg("row %zu %s: got %d '%s'", i, text, (int)got,
			    name);
	}
}

static void
test_nul_is_no_end(void **state)
{
	static const char *const texts[] = { "example.org\0.evil",
		"b\xc3\xbc\0her.evil.org", "[192.0.2.1\0.0.0]" };
	static const size_t lens[] = { 17, 15, 16 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char name[DOMAIN_MAX + 1];
		enum domain_kind kind;

		if (parse(texts[i], lens[i], true, name, &kind) !=
		    DOMAIN_MALFORMED)
			fail_msg("row %zu: got '%s'", i, name);
	}
}

static void
test_qualified(void **state)
{
	(void)state;
	assert_true(domain_is_qualified(DOMAIN_FQDN));
	assert_true(domain_is_qualified(DOMAIN_LITERAL4));
	assert_true(domain_is_qualified(DOMAIN_LITERAL6));
	assert_false(domain_is_qualified(DOMAIN_NONE));
	assert_false(domain_is_qualified(DOMAIN_SINGLE));
	assert_false(domain_is_qualified(DOMAIN_NUMERIC));
}

static void
test_set_holds_whole_names(void **state)
{
	struct domainset *set = domainset_new();

	(void)state;
	assert_non_null(set);
	assert_false(domainset_contains(NULL, "example.org"));
	assert_int_equal(domainset_count(NULL), 0);
	assert_false(domainset_contains(set, "example.org"));
	assert_int_equal(domainset_add(set, "Example.ORG"), 0);
	assert_int_equal(domainset_add(set, "example.org"), 0);
	assert_int_equal(domainset_add(set,
			     "b\xc3\xbc"
			     "cher.example"),
	    0);
	assert_int_equal(domainset_add(set, "[IPv6:2001:DB8:0::1]"), 0);
	assert_int_equal(domainset_add(set, "example.org."), -1);
	assert_int_equal(domainset_add(set, "*.example.org"), -1);
	assert_int_equal(domainset_add(set, ""), -1);
	assert_int_equal(domainset_count(set), 3);
	assert_true(domainset_contains(set, "example.org"));
	assert_true(domainset_contains(set, "xn--bcher-kva.example"));
	assert_true(domainset_contains(set, "[IPv6:2001:db8::1]"));
	assert_false(domainset_contains(set, ""));
	assert_false(domainset_contains(set, "org"));
	assert_false(domainset_contains(set, "sub.example.org"));
	assert_false(domainset_contains(set, "example.org.evil.example"));
	assert_false(domainset_contains(set, "xexample.org"));
	domainset_free(&set);
	assert_null(set);
	domainset_free(&set);
}

static void
test_set_of_many(void **state)
{
	struct domainset *set = domainset_new();
	char name[32];

	(void)state;
	assert_non_null(set);
	for (unsigned int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "h%u.example", i);
		assert_int_equal(domainset_add(set, name), 0);
	}
	assert_int_equal(domainset_count(set), 20000);
	assert_true(domainset_contains(set, "h0.example"));
	assert_true(domainset_contains(set, "h19999.example"));
	assert_false(domainset_contains(set, "h20000.example"));
	domainset_free(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_idna_maps_nothing),
		cmocka_unit_test(test_non_ascii_needs_smtputf8),
		cmocka_unit_test(test_nul_is_no_end),
		cmocka_unit_test(test_qualified),
		cmocka_unit_test(test_set_holds_whole_names),
		cmocka_unit_test(test_set_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
