/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Envelope paths: the acceptance table, the limits, the spellings that must be
 * equal, and properties over random mailboxes and every mutation of one octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/path.h"
#include "tests/lib/tsv.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"

static unsigned int failures;

#define FAIL(...) (failures++, print_error(__VA_ARGS__))

static const char *
form_name(enum path_form form)
{
	switch (form) {
	case PATH_UNKNOWN:
		return "unknown";
	case PATH_MALFORMED:
		return "malformed";
	case PATH_NOT_ASCII:
		return "not-ascii";
	case PATH_NULL:
		return "null";
	case PATH_POSTMASTER:
		return "postmaster";
	case PATH_MAILBOX:
		return "mailbox";
	}
	return "?";
}

/* The table's word for what was found. */
static const char *
kind_name(const struct path *path)
{
	if (path->form == PATH_NULL)
		return "null";
	if (path->form == PATH_POSTMASTER)
		return "postmaster";
	switch (path->kind) {
	case DOMAIN_NONE:
		return "none";
	case DOMAIN_FQDN:
		return "fqdn";
	case DOMAIN_SINGLE:
		return "single";
	case DOMAIN_NUMERIC:
		return "numeric";
	case DOMAIN_LITERAL4:
		return "literal4";
	case DOMAIN_LITERAL6:
		return "literal6";
	}
	return "?";
}

/* At exact length on the heap, so that an over-read is seen. */
static void
parse(enum path_command command, const char *raw, size_t len, bool smtputf8,
    struct path *path_r)
{
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, raw, len);
	memset(path_r, 0xa5, sizeof(*path_r));
	path_parse(command, copy, len, smtputf8, path_r);
	free(copy);
}

static bool
same_text(const struct tsv *table, size_t row, const char *column,
    const char *got)
{
	char want[1024];
	size_t len = tsv_unescape(tsv_cell(table, row, column), true, want,
	    sizeof(want));

	return strlen(got) == len && memcmp(got, want, len) == 0;
}

static void
check_row(const struct tsv *table, size_t row)
{
	const char *id = tsv_cell(table, row, "id");
	bool smtputf8 = strcmp(tsv_cell(table, row, "smtputf8"), "y") == 0;
	bool valid = strcmp(tsv_cell(table, row, "expected"), "valid") == 0;
	enum path_command command =
	    strcmp(tsv_cell(table, row, "command"), "MAIL") == 0 ? PATH_OF_MAIL
								 : PATH_OF_RCPT;
	struct path path;
	char raw[1024];
	size_t len;

	len = tsv_unescape(tsv_cell(table, row, "raw_path"), true, raw,
	    sizeof(raw));
	parse(command, raw, len, smtputf8, &path);
	if (!valid) {
		bool utf8 = strcmp(id, "A181") == 0 || strcmp(id, "A184") == 0;
		enum path_form want = utf8 ? PATH_NOT_ASCII : PATH_MALFORMED;

		if (path.form != want || path.local[0] != '\0' ||
		    path.domain[0] != '\0')
			FAIL("%s: got %s local=%s domain=%s, want %s\n", id,
			    form_name(path.form), path.local, path.domain,
			    form_name(want));
		return;
	}
	if (!path_is_valid(&path) ||
	    !same_text(table, row, "local_part", path.local) ||
	    !same_text(table, row, "domain", path.domain) ||
	    strcmp(tsv_cell(table, row, "routed"), path.routed ? "y" : "n") !=
		0 ||
	    strcmp(tsv_cell(table, row, "domain_kind"), kind_name(&path)) != 0)
		FAIL("%s: got %s local=%s domain=%s routed=%s kind=%s, want "
		     "local=%s domain=%s routed=%s kind=%s\n",
		    id, form_name(path.form), path.local, path.domain,
		    path.routed ? "y" : "n", kind_name(&path),
		    tsv_cell(table, row, "local_part"),
		    tsv_cell(table, row, "domain"),
		    tsv_cell(table, row, "routed"),
		    tsv_cell(table, row, "domain_kind"));
}

static void
test_acceptance_table(void **state)
{
	const char *srcdir = getenv("srcdir");
	char name[4096];
	struct tsv *table;

	(void)state;
	failures = 0;
	(void)snprintf(name, sizeof(name), "%s/tests/data/address.tsv",
	    srcdir != NULL ? srcdir : ".");
	table = tsv_load(name);
	assert_true(tsv_rows(table) > 90);
	for (size_t row = 0; row < tsv_rows(table); row++)
		check_row(table, row);
	tsv_free(&table);
	assert_int_equal(failures, 0);
}

struct row {
	const char *raw;
	enum path_command command;
	bool smtputf8;
	enum path_form form;
	bool routed;
	const char *local;
	const char *domain;
};

#define MAIL PATH_OF_MAIL
#define RCPT PATH_OF_RCPT
#define BAD  PATH_MALFORMED, false, "", ""
#define UTF8 PATH_NOT_ASCII, false, "", ""

static const struct row rows[] = {
	/* forms that belong to one command only */
	{ "<>", MAIL, false, PATH_NULL, false, "", "" },
	{ "<>", RCPT, false, BAD },
	{ "<Postmaster>", RCPT, true, PATH_POSTMASTER, false, "postmaster",
	    "" },
	{ "<Postmaster>", MAIL, false, BAD },
	{ "<\"postmaster\">", RCPT, false, BAD },
	{ "<@a.example:postmaster>", RCPT, false, BAD },
	{ "<postmaster1>", RCPT, false, BAD },
	{ "", MAIL, false, BAD },
	{ "<", MAIL, false, BAD },
	{ ">", MAIL, false, BAD },
	{ " <>", MAIL, false, BAD },
	{ "<> ", MAIL, false, BAD },
	{ "< >", MAIL, false, BAD },
	{ "<\"\">", MAIL, false, BAD },
	/* case */
	{ "<Alice@EXAMPLE.Org>", MAIL, false, PATH_MAILBOX, false, "Alice",
	    "example.org" },
	/* dots and blanks of the local part */
	{ "<a.b.c@d>", RCPT, false, PATH_MAILBOX, false, "a.b.c", "d" },
	{ "<a.@d>", RCPT, false, BAD },
	{ "<a..b@d>", RCPT, false, BAD },
	{ "<alice @d>", RCPT, false, BAD },
	{ "<alice@ d>", RCPT, false, BAD },
	{ "<alice@d >", RCPT, false, BAD },
	{ "<alice(x)@d>", RCPT, false, BAD },
	{ "<alice,bob@d>", RCPT, false, BAD },
	{ "<alice@a,bob@b>", RCPT, false, BAD },
	/* quoted strings */
	{ "<\"alice\"@d>", RCPT, false, PATH_MAILBOX, false, "alice", "d" },
	{ "<\"\\a\\l\\ i\"@d>", RCPT, false, PATH_MAILBOX, false, "al i", "d" },
	{ "<\"a>b\"@d>", RCPT, false, PATH_MAILBOX, false, "a>b", "d" },
	{ "<\"a,b:c;<d\"@d>", RCPT, false, PATH_MAILBOX, false, "a,b:c;<d",
	    "d" },
	{ "<\"a\\\"@d>", RCPT, false, BAD },
	{ "<\"a\\", RCPT, false, BAD },
	{ "<\"a\\>", RCPT, false, BAD },
	{ "<\"a\tb\"@d>", RCPT, false, BAD },
	{ "<\"a\\\tb\"@d>", RCPT, false, BAD },
	{ "<\"a\"b\"@d>", RCPT, false, BAD },
	{ "<a\"b\"@d>", RCPT, false, BAD },
	{ "<\"a\" @d>", RCPT, false, BAD },
	{ "<\"a\"\"b\"@d>", RCPT, false, BAD },
	/* operators, as typed and behind quoting */
	{ "<\"a%b\"@d>", RCPT, false, PATH_MAILBOX, true, "a%b", "d" },
	{ "<\"a\\%b\"@d>", RCPT, false, PATH_MAILBOX, true, "a%b", "d" },
	{ "<\"a\\!b\"@d>", RCPT, false, PATH_MAILBOX, true, "a!b", "d" },
	{ "<\"a@b\"@d>", RCPT, false, PATH_MAILBOX, true, "a@b", "d" },
	{ "<\"a:\\:b\"@d>", RCPT, false, PATH_MAILBOX, true, "a::b", "d" },
	{ "<\"a:b:c\"@d>", RCPT, false, PATH_MAILBOX, false, "a:b:c", "d" },
	{ "<\"@\"@d>", RCPT, false, PATH_MAILBOX, true, "@", "d" },
	{ "<\"@a.example:b\"@d>", RCPT, false, PATH_MAILBOX, true,
	    "@a.example:b", "d" },
	/* source routes: Domains only */
	{ "<@a:b@c>", MAIL, false, PATH_MAILBOX, true, "b", "c" },
	{ "<@A,@b,@c:\"u:,\"@D>", RCPT, false, PATH_MAILBOX, true, "u:,", "d" },
	{ "<@a:>", RCPT, false, BAD },
	{ "<@:b@c>", RCPT, false, BAD },
	{ "<@a,b@c>", RCPT, false, BAD },
	{ "<@a, @b:u@c>", RCPT, false, BAD },
	{ "<@a,@b>", RCPT, false, BAD },
	{ "<@a b@c>", RCPT, false, BAD },
	{ "<,@a:b@c>", RCPT, false, BAD },
	{ "<@a.:b@c>", RCPT, false, BAD },
	{ "<@a_b:b@c>", RCPT, false, BAD },
	{ "<@[192.0.2.1]:b@c>", RCPT, false, BAD },
	{ "<@[IPv6:::1]:b@c>", RCPT, false, BAD },
	{ "<@a:<>>", RCPT, false, BAD },
	{ "<@a:>", MAIL, false, BAD },
	/* UTF-8: as it is, well-formed, and only with SMTPUTF8 */
	{ "<j\xc3\xb6s@d>", RCPT, true, PATH_MAILBOX, false, "j\xc3\xb6s",
	    "d" },
	{ "<j\xc3\xb6s@d>", RCPT, false, UTF8 },
	{ "<\"j\xc3\xb6 s\"@d>", MAIL, false, UTF8 },
	{ "<\"\\\xc3\xb6\"@d>", MAIL, true, BAD },
	{ "<@b\xc3\xbc.example:a@d>", RCPT, false, UTF8 },
	{ "<@b\xc3\xbc.example:a@d>", RCPT, true, PATH_MAILBOX, true, "a",
	    "d" },
	{ "<a@b\xc3\xbc.example>", RCPT, true, PATH_MAILBOX, false, "a",
	    "xn--b-eha.example" },
	{ "<\xd9\x85\xe2\x80\x8c\xd8\xa7@d>", RCPT, true, PATH_MAILBOX, false,
	    "\xd9\x85\xe2\x80\x8c\xd8\xa7", "d" }, /* ZWNJ */
	{ "<o\xcc\x88@d>", RCPT, true, PATH_MAILBOX, false, "o\xcc\x88", "d" },
	{ "<\xf0\x9f\x93\xa7@d>", RCPT, true, PATH_MAILBOX, false,
	    "\xf0\x9f\x93\xa7", "d" },
	{ "<a\xff@d>", RCPT, true, BAD },
	{ "<a\xff@d>", RCPT, false, BAD },
	{ "<a\xc3@d>", RCPT, true, BAD },
	{ "<\"a\xc3\"@d>", RCPT, true, BAD },
	{ "<a\xc0\xaf@d>", RCPT, true, BAD },         /* overlong */
	{ "<a\xe0\x80\xaf@d>", RCPT, true, BAD },     /* overlong */
	{ "<a\xc1\x80@d>", RCPT, true, BAD },         /* overlong '@' */
	{ "<a\xed\xa0\x80@d>", RCPT, true, BAD },     /* surrogate */
	{ "<a\xf4\x90\x80\x80@d>", RCPT, true, BAD }, /* > U+10FFFF */
	{ "<a\xf8\x88\x80\x80\x80@d>", RCPT, true, BAD },
	{ "<a\xc2\x85@d>", RCPT, true, BAD },     /* C1: next line */
	{ "<a\xe2\x80\xae@d>", RCPT, true, BAD }, /* right-to-left override */
	{ "<a\xe2\x80\xa8@d>", RCPT, true, BAD }, /* line separator */
	{ "<a\xef\xbb\xbf@d>", RCPT, true, BAD }, /* byte order mark */
	{ "<a\xef\xbf\xbf@d>", RCPT, true, BAD }, /* noncharacter */
	{ "<\"a\xc2\x85\"@d>", RCPT, true, BAD },
	{ "<a@d\xc2\xad>", RCPT, false, BAD }, /* SMTPUTF8 would not help */
	/* lengths */
	{ "<" A63 "aa@d>", RCPT, false, BAD },
	{ "<\"" A63 "\"@d>", RCPT, false, BAD },
	{ "<\"" A60 "\\a\"@d>", RCPT, false, PATH_MAILBOX, false, A60 "a",
	    "d" },
	{ "<\"" A60 "\\a\\a\"@d>", RCPT, false, BAD },
	{ "<" A60 "aa\xc3\xb6@d>", RCPT, true, PATH_MAILBOX, false,
	    A60 "aa\xc3\xb6", "d" },
	{ "<" A63 "\xc3\xb6@d>", RCPT, true, BAD },
	{ "<a@" A63 "." A63 "." A63 "." A60 ">", RCPT, false, PATH_MAILBOX,
	    false, "a", A63 "." A63 "." A63 "." A60 }, /* 256 */
	{ "<a@" A63 "." A63 "." A63 "." A60 "a>", RCPT, false, BAD },
	{ "<@" A63 "." A63 "." A60 ":" A60 "aa@d>", RCPT, false, PATH_MAILBOX,
	    true, A60 "aa", "d" }, /* 256 with the route */
	{ "<@" A63 "." A63 "." A60 ":" A60 "aaa@d>", RCPT, false, BAD },
};

static void
test_table(void **state)
{
	(void)state;
	failures = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct path path;

		parse(r->command, r->raw, strlen(r->raw), r->smtputf8, &path);
		if (path.form != r->form || path.routed != r->routed ||
		    strcmp(path.local, r->local) != 0 ||
		    strcmp(path.domain, r->domain) != 0)
			FAIL("row %zu %s: got %s routed=%d %s @ %s, want %s "
			     "routed=%d %s @ %s\n",
			    i, r->raw, form_name(path.form), path.routed,
			    path.local, path.domain, form_name(r->form),
			    r->routed, r->local, r->domain);
	}
	assert_int_equal(failures, 0);
}

static void
test_mailbox_without_brackets(void **state)
{
	static const struct {
		const char *text;
		enum path_form form;
		bool routed;
		const char *local;
		const char *domain;
	} boxes[] = {
		{ "alice@Example.ORG", PATH_MAILBOX, false, "alice",
		    "example.org" },
		{ "root", PATH_MAILBOX, false, "root", "" },
		{ "\"two words\"", PATH_MAILBOX, false, "two words", "" },
		{ "a.uucp!alice", PATH_MAILBOX, true, "a.uucp!alice", "" },
		{ "\"bob@d\"@e", PATH_MAILBOX, true, "bob@d", "e" },
		{ "\"\"@e", PATH_MAILBOX, false, "", "e" },
		{ "\xc3\xb6@b\xc3\xbc.example", PATH_MAILBOX, false, "\xc3\xb6",
		    "xn--b-eha.example" },
		{ "alice@[192.0.2.1]", PATH_MAILBOX, false, "alice",
		    "[192.0.2.1]" },
		{ "", BAD },
		{ "@", BAD },
		{ "alice@", BAD },
		{ "@e", BAD },
		{ "@e:a@f", BAD },
		{ "<alice@e>", BAD },
		{ "alice@e ", BAD },
		{ "alice@e.", BAD },
		{ "alice@e@f", BAD },
		{ "alice bob", BAD },
		{ "\"alice\"x@e", BAD },
		{ "a@" A63 "." A63 "." A63 "." A60 "a", BAD },
	};

	(void)state;
	failures = 0;
	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++) {
		struct path path;

		path_parse_mailbox(boxes[i].text, strlen(boxes[i].text), &path);
		if (path.form != boxes[i].form ||
		    path.routed != boxes[i].routed ||
		    strcmp(path.local, boxes[i].local) != 0 ||
		    strcmp(path.domain, boxes[i].domain) != 0)
			FAIL("row %zu %s: got %s routed=%d %s @ %s, want %s "
			     "routed=%d %s @ %s\n",
			    i, boxes[i].text, form_name(path.form), path.routed,
			    path.local, path.domain, form_name(boxes[i].form),
			    boxes[i].routed, boxes[i].local, boxes[i].domain);
	}
	assert_int_equal(failures, 0);
}

/* A generator of its own: the same cases everywhere, and a seed to print. */
static uint32_t
next_random(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525U + 1013904223U;
	return (*seed >> 8) % below;
}

/* Writes the quoted spelling of a local part; some pairs are not needed. */
static size_t
quote(const char *local, uint32_t *seed, char *out)
{
	size_t len = 0;

	out[len++] = '"';
	for (; *local != '\0'; local++) {
		if (*local == '"' || *local == '\\' ||
		    next_random(seed, 4) == 0)
			out[len++] = '\\';
		out[len++] = *local;
	}
	out[len++] = '"';
	return len;
}

/* What the decoded text says; written apart from the parser. */
static bool
reads_as_routed(const char *local)
{
	for (const char *p = local; *p != '\0'; p++) {
		if (*p == '@' || *p == '%' || *p == '!' ||
		    (p[0] == ':' && p[1] == ':'))
			return true;
	}
	return false;
}

static void
test_random_mailboxes_round_trip(void **state)
{
	uint32_t seed = 0x706f7374;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		uint32_t first = seed;
		char local[32], raw[256] = "<";
		size_t len = 1 + next_random(&seed, 24);
		size_t used;
		struct path path;

		for (size_t i = 0; i < len; i++)
			local[i] = (char)(' ' + next_random(&seed, 95));
		local[len] = '\0';
		used = 1 + quote(local, &seed, raw + 1);
		used += (size_t)snprintf(raw + used, sizeof(raw) - used,
		    "@h%u.Example.ORG>", next_random(&seed, 1000));
		parse(RCPT, raw, used, false, &path);
		if (path.form != PATH_MAILBOX ||
		    strcmp(path.local, local) != 0 ||
		    path.routed != reads_as_routed(local) ||
		    strstr(path.domain, ".example.org") == NULL)
			fail_msg("seed %u: %s: got %s local=%s routed=%d",
			    first, raw, form_name(path.form), path.local,
			    path.routed);
	}
}

static void
test_quoted_and_unquoted_are_equal(void **state)
{
	static const char *const locals[] = { "alice", "a.b", "a+b", "x%y",
		"a!b", "!#$%&'*+-/=?^_`{|}~" };
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
		char plain[128], quoted[256] = "<";
		size_t len;
		struct path a, b;

		(void)snprintf(plain, sizeof(plain), "<%s@example.org>",
		    locals[i]);
		len = 1 + quote(locals[i], &seed, quoted + 1);
		len += (size_t)snprintf(quoted + len, sizeof(quoted) - len,
		    "@example.org>");
		parse(MAIL, plain, strlen(plain), false, &a);
		parse(MAIL, quoted, len, false, &b);
		if (a.form != PATH_MAILBOX || b.form != a.form ||
		    a.routed != b.routed || strcmp(a.local, b.local) != 0)
			fail_msg("%s %s: %s/%s, routed %d/%d, local %s/%s",
			    plain, quoted, form_name(a.form), form_name(b.form),
			    a.routed, b.routed, a.local, b.local);
	}
}

static void
check_mutant(const char *raw, size_t len, bool smtputf8)
{
	struct path path;

	parse(RCPT, raw, len, smtputf8, &path);
	if (path_is_valid(&path) && !path.routed && reads_as_routed(path.local))
		fail_msg("%.*s: local %s is not routed", (int)len, raw,
		    path.local);
	if (!path_is_valid(&path) &&
	    (path.local[0] != '\0' || path.domain[0] != '\0'))
		fail_msg("%.*s: not valid, but %s @ %s", (int)len, raw,
		    path.local, path.domain);
	if (memchr(raw, '\0', len) != NULL && path_is_valid(&path))
		fail_msg("%.*s: valid with a NUL in it", (int)len, raw);
}

static void
test_every_mutation_of_one_octet(void **state)
{
	static const char *const seeds[] = {
		"<alice@example.org>",
		"<\"al\\ice\"@example.org>",
		"<@a.example,@b.example:bob.c@d.example>",
		"<a@[IPv6:2001:db8::192.0.2.1]>",
		"<a@[192.0.2.1]>",
		"<j\xc3\xb6s@b\xc3\xbc.example>",
		"<Postmaster>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		size_t len = strlen(seeds[i]);
		char raw[64];

		for (size_t at = 0; at < len; at++) {
			for (int octet = 0; octet < 256; octet++) {
				memcpy(raw, seeds[i], len);
				raw[at] = (char)octet;
				check_mutant(raw, len, true);
				check_mutant(raw, len, false);
			}
			check_mutant(seeds[i], at, true);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acceptance_table),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_mailbox_without_brackets),
		cmocka_unit_test(test_random_mailboxes_round_trip),
		cmocka_unit_test(test_quoted_and_unquoted_are_equal),
		cmocka_unit_test(test_every_mutation_of_one_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
