/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ownership: patterns, the map and its mistakes, subaddresses, letter case, and
 * that nothing but an owner is ever told yes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/owner.h"

static unsigned int failures;

/* What owners_add_map() reported, as "LINE:TEXT\n". */
struct reports {
	char text[2048];
	unsigned int count;
};

static void
report(void *arg, unsigned int line, const char *text)
{
	struct reports *r = arg;
	size_t len = strlen(r->text);

	r->count++;
	(void)snprintf(r->text + len, sizeof(r->text) - len, "%u:%s\n", line,
	    text);
}

static bool
own(const struct owners *owners, const char *login_text, const char *address)
{
	struct login login;
	struct path path;

	assert_int_equal(
	    login_normalise(login_text, strlen(login_text), "", &login), 0);
	path_parse_mailbox(address, strlen(address), &path);
	assert_int_equal(path.form, PATH_MAILBOX);
	return owners_own(owners, &login, &path);
}

static void
check(const struct owners *owners, const char *login, const char *address,
    bool want)
{
	bool got = own(owners, login, address);

	if (got != want) {
		print_error("%s as %s: got %s, want %s\n", login, address,
		    got ? "yes" : "no", want ? "yes" : "no");
		failures++;
	}
}

/* At exact length on the heap, without a NUL. */
static int
add_map(struct owners *owners, const char *text, size_t len,
    struct reports *reports)
{
	char *copy = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(reports, 0, sizeof(*reports));
	rc = owners_add_map(owners, copy, len, "example.org", report, reports);
	free(copy);
	return rc;
}

static struct owners *
owners_with(bool fold, const char *pattern, const char *map)
{
	struct owners *owners = owners_new(fold);
	struct reports reports;
	struct err e;

	assert_non_null(owners);
	failures = 0;
	if (pattern != NULL && owners_add_pattern(owners, pattern, &e) != 0)
		fail_msg("%s: %s", pattern, e.text);
	if (map != NULL && add_map(owners, map, strlen(map), &reports) != 0)
		fail_msg("%s", reports.text);
	return owners;
}

static void
done(struct owners *owners)
{
	owners_free(&owners);
	assert_null(owners);
	assert_int_equal(failures, 0);
}

static void
test_nobody_owns_anything_by_default(void **state)
{
	struct owners *owners = owners_with(true, NULL, NULL);

	(void)state;
	check(owners, "alice@example.org", "alice@example.org", false);
	done(owners);
	owners = NULL;
	owners_free(&owners);
}

static void
test_own_address(void **state)
{
	struct owners *o = owners_with(true, "%u@%d", NULL);

	(void)state;
	check(o, "alice@example.org", "alice@example.org", true);
	check(o, "alice@example.org", "ALICE@Example.ORG", true);
	check(o, "Alice@Example.ORG", "alice@example.org", true);
	check(o, "alice@example.org", "\"alice\"@example.org", true);
	check(o, "alice@example.org", "\"al\\ice\"@example.org", true);
	check(o, "alice@example.org", "alice+tag@example.org", true);
	check(o, "alice@example.org", "alice+a+b@example.org", true);
	check(o, "alice@example.org", "alice+@example.org", true);
	check(o, "alice@example.org", "\"alice+x y\"@example.org", true);
	check(o, "alice@example.org", "bob@example.org", false);
	check(o, "alice@example.org", "alicex@example.org", false);
	check(o, "alice@example.org", "alic@example.org", false);
	check(o, "alice@example.org", "xalice@example.org", false);
	check(o, "alice@example.org", "+alice@example.org", false);
	check(o, "alice@example.org", "alice-x@example.org", false);
	check(o, "alice@example.org", "bob+alice@example.org", false);
	check(o, "alice@example.org", "alice@sub.example.org", false);
	check(o, "alice@example.org", "alice@example.org.evil.example", false);
	check(o, "alice@example.org", "\"alice@example.org\"@evil.example",
	    false);
	check(o, "alice@example.org", "\"\"@example.org", false);
	check(o, "alice@example.org", "alice@ex\xd0\xb0mple.org", false);
	check(o, "alice+x@example.org", "alice+x@example.org", true);
	check(o, "alice+x@example.org", "alice@example.org", false);
	check(o, "alice+x@example.org", "alice+y@example.org", false);
	check(o, "+x@example.org", "+x@example.org", true);
	check(o,
	    "alice@b\xc3\xbc"
	    "cher.example",
	    "alice@xn--bcher-kva.example", true);
	check(o, "j\xc3\xb6s@example.org", "j\xc3\xb6s@example.org", true);
	check(o, "j\xc3\xb6s@example.org", "jo\xcc\x88s@example.org", false);
	check(o, "two words@example.org", "\"two words\"@example.org", true);
	check(o, "a@b@example.org", "\"a@b\"@example.org", true);
	check(o, "a@b@example.org", "a@b", false);
	/* no domain, no match: neither "alice" alone nor any domain */
	check(o, "alice", "alice@example.org", false);
	check(o, "alice", "alice", false);
	done(o);
}

static void
test_only_a_mailbox_can_be_owned(void **state)
{
	struct owners *o = owners_with(true, "@%d", "@example.org alice");
	static const char *const paths[] = { "<>", "<Postmaster>", "<alice>",
		"alice@example.org", "<alice@example.org.>",
		"<j\xc3\xb6s@example.org>" };
	struct login login, nobody = { .text = "" };
	struct path path;

	(void)state;
	assert_int_equal(login_normalise("alice@example.org", 17, "", &login),
	    0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		path_parse(PATH_OF_MAIL, paths[i], strlen(paths[i]), false,
		    &path);
		if (owners_own(o, &login, &path))
			fail_msg("MAIL %s is owned", paths[i]);
		path_parse(PATH_OF_RCPT, paths[i], strlen(paths[i]), false,
		    &path);
		if (owners_own(o, &login, &path))
			fail_msg("RCPT %s is owned", paths[i]);
	}
	path_parse(PATH_OF_MAIL, "<x@example.org>", 15, false, &path);
	assert_true(owners_own(o, &login, &path));
	assert_false(owners_own(o, &nobody, &path));
	done(o);
}

static void
test_letter_case_can_matter(void **state)
{
	struct owners *o =
	    owners_with(false, "%u@%d", "Sales@Example.ORG alice");

	(void)state;
	check(o, "alice@example.org", "alice@EXAMPLE.org", true);
	check(o, "alice@example.org", "Alice@example.org", false);
	check(o, "alice@example.org", "Sales@example.org", true);
	check(o, "alice@example.org", "Sales+x@example.org", true);
	check(o, "alice@example.org", "sales@example.org", false);
	done(o);
}

static void
test_pattern_shapes(void **state)
{
	static const struct {
		const char *pattern, *login, *address;
		bool want;
	} rows[] = {
		{ "@%d", "alice@a.example", "bob@a.example", true },
		{ "@%d", "alice@a.example", "\"\"@a.example", true },
		{ "@%d", "alice@a.example", "bob@b.example", false },
		{ "@%d", "alice", "bob@a.example", false },
		{ "%u@mail.%d", "alice@a.example", "alice@mail.a.example",
		    true },
		{ "%u@MAIL.%d", "alice@a.example", "alice@mail.a.example",
		    true },
		{ "%u@mail.%d", "alice@a.example", "alice@a.example", false },
		{ "%u@b\xc3\xbc"
		  "cher.example",
		    "alice", "alice@xn--bcher-kva.example", true },
		{ "%u@[192.0.2.1]", "alice", "alice@[192.0.2.1]", true },
		{ "%u.x@%d", "alice@a.example", "alice.x@a.example", true },
		{ "%d-%u@b.example", "alice@a.example",
		    "a.example-alice@b.example", true },
		{ "%d-%u@b.example", "alice", "-alice@b.example", false },
		{ "a%%%u@%d", "alice@a.example", "a%alice@a.example", true },
		{ "@%u.b.example", "Alice@a.example", "x@alice.b.example",
		    true },
		{ "news@a.example", "alice", "News@A.example", true },
		{ "news@a.example", "alice", "alice@a.example", false },
		{ "@a.example", "alice", "x@a.example", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct owners *o = owners_with(true, rows[i].pattern, NULL);

		check(o, rows[i].login, rows[i].address, rows[i].want);
		if (failures > 0)
			print_error("row %zu: %s\n", i, rows[i].pattern);
		done(o);
	}
}

static void
test_patterns_that_are_none(void **state)
{
	static const char *const patterns[] = { "", "@", "%u", "%u@", "%d",
		"%x@%d", "%u@%", "%u@%d%", "%U@%D", "%u@%d.", "%u @%d",
		"\"%u\"@%d", "%u@@%d", "a@b@%d", ".%u@%d", "%u..x@%d", "%u@a_b",
		"%u@%%", "%u@\xc3\xbc.%d", "<%u@%d>", "@a:%u@%d", "%u@[%d]",
		"%u@%d " };
	struct owners *o = owners_new(true);

	(void)state;
	assert_non_null(o);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct err e = { .text = "" };

		if (owners_add_pattern(o, patterns[i], &e) != -1)
			fail_msg("row %zu '%s' was taken", i, patterns[i]);
		if (strstr(e.text, patterns[i]) == NULL)
			fail_msg("row %zu '%s': got '%s'", i, patterns[i],
			    e.text);
		assert_int_equal(owners_add_pattern(o, patterns[i], NULL), -1);
	}
	failures = 0;
	check(o, "u@d.example", "u@d.example", false);
	done(o);
}

/* Expansions that outgrow every address must not be cut into one. */
static void
test_long_expansions(void **state)
{
	struct owners *o =
	    owners_with(true, "%u%u%u%u%u%u%u%u%u%u%u%u%u%u@%d", NULL);
	char login[128], address[128];

	(void)state;
	memset(login, 'a', 60);
	(void)snprintf(login + 60, sizeof(login) - 60, "@d.example");
	memset(address, 'a', 64);
	(void)snprintf(address + 64, sizeof(address) - 64, "@d.example");
	check(o, login, address, false);
	done(o);
}

static void
test_map(void **state)
{
	struct owners *o = owners_with(true, NULL,
	    "# comment\n"
	    "\n"
	    "sales@example.org  alice@example.org, bob\n"
	    "  \t\n"
	    "  # a comment is not a continuation\n"
	    "    carol@Other.Example\r\n"
	    "@Lists.Example\tdave\n"
	    "\"two words\"@example.org ,erin,, frank ,\n"
	    "\"q\\\" x\"@example.org gina\n"
	    "SALES@example.org heidi\n"
	    "sales+night@example.org ivan\n"
	    "\"\"@example.org judy\n"
	    "x@b\xc3\xbc"
	    "cher.example alice bob\n"
	    "y@example.org\n"
	    "\tkim\n"
	    "z@example.org leo");

	(void)state;
	check(o, "alice@example.org", "sales@example.org", true);
	check(o, "bob@example.org", "Sales@EXAMPLE.org", true);
	check(o, "bob@example.org", "sales+x@example.org", true);
	check(o, "bob", "sales@example.org", false);
	check(o, "carol@other.example", "sales@example.org", true);
	check(o, "heidi@example.org", "sales@example.org", true);
	check(o, "dave@example.org", "sales@example.org", false);
	check(o, "ivan@example.org", "sales@example.org", false);
	check(o, "ivan@example.org", "sales+night@example.org", true);
	check(o, "ivan@example.org", "sales+day@example.org", false);
	check(o, "alice@example.org", "sales+night@example.org", true);
	check(o, "dave@example.org", "anything@lists.example", true);
	check(o, "dave@example.org", "\"\"@lists.example", true);
	check(o, "dave@example.org", "x@sub.lists.example", false);
	check(o, "erin@example.org", "\"two words\"@example.org", true);
	check(o, "frank@example.org", "\"two words\"@example.org", true);
	check(o, "gina@example.org", "\"q\\\" x\"@example.org", true);
	/* the empty local part is an address, not the whole domain */
	check(o, "judy@example.org", "\"\"@example.org", true);
	check(o, "judy@example.org", "x@example.org", false);
	check(o, "judy@example.org", "+x@example.org", false);
	check(o, "bob@example.org", "x@xn--bcher-kva.example", true);
	check(o, "kim@example.org", "y@example.org", true);
	check(o, "leo@example.org", "z@example.org", true);
	check(o, "leo@example.org", "leo@example.org", false);
	done(o);
}

static void
test_map_mistakes(void **state)
{
	static const struct {
		const char *map;
		unsigned int count;
		const char *want; /* begins one of the reports */
	} rows[] = {
		{ "  alice\n", 1, "1:'alice': a continuation line" },
		{ "sales alice\n", 1, "1:'sales': an address" },
		{ "# x\nsales@ alice\n", 1, "2:'sales@': an address" },
		{ "@ alice\n", 1, "1:'@': an address" },
		{ "@a_b alice\n", 1, "1:'@a_b': an address" },
		{ "<a@b> alice\n", 1, "1:'<a@b>': an address" },
		{ "a@b: alice\n", 1, "1:'a@b:': an address" },
		{ "\"a b@c alice\n", 1, "1:'\"a b@c alice': an address" },
		{ "a@b\n", 1, "1:no login" },
		{ "a@b", 1, "1:no login" },
		{ "a@b ,,\n\nc@d alice\n", 1, "1:no login" },
		{ "a@b alice@\n", 1, "1:'alice@': not a login" },
		{ "a@b alice\n  bob, @x\n", 1, "2:'@x': not a login" },
		{ "a@b alice # why\n", 1, "1:'#': a comment needs" },
		{ "a@b al\x01"
		  "ice\n",
		    1, "1:'al?ice': not a login" },
		{ "a b\nc d\n  e f\ng@h i\nj k\n", 3, "5:'j': an address" },
		{ "\xef\xbb\xbf"
		  "a@b alice\n",
		    1, "1:'???a@b': an address" },
	};

	(void)state;
	failures = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct owners *o = owners_new(true);
		struct reports reports;
		const char *found;
		int rc;

		assert_non_null(o);
		rc = add_map(o, rows[i].map, strlen(rows[i].map), &reports);
		found = strstr(reports.text, rows[i].want);
		if (rc != -1 || reports.count != rows[i].count ||
		    found == NULL ||
		    (found != reports.text && found[-1] != '\n')) {
			print_error("row %zu: got %d, %u reports: %s, want "
				    "-1, %u, %s\n",
			    i, rc, reports.count, reports.text, rows[i].count,
			    rows[i].want);
			failures++;
		}
		owners_free(&o);
	}
	assert_int_equal(failures, 0);
}

static void
test_nul_in_a_map(void **state)
{
	struct owners *o = owners_new(true);
	struct reports reports;

	(void)state;
	assert_non_null(o);
	assert_int_equal(add_map(o, "a@b al\0ice\n", 11, &reports), -1);
	assert_int_equal(add_map(o, "a\0@b alice\n", 11, &reports), -1);
	assert_int_equal(add_map(o, "@a.example\0 alice\n", 18, &reports), -1);
	owners_free(&o);
}

/* A map that used to have content and lost it must not empty the policy. */
static void
test_map_without_entries(void **state)
{
	static const char *const maps[] = { "", "\n\n", "# only\n", " \t\n" };
	struct reports reports;

	(void)state;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		struct owners *o = owners_new(true);

		assert_int_equal(add_map(o, maps[i], strlen(maps[i]), &reports),
		    -1);
		assert_int_equal(reports.count, 1);
		owners_free(&o);
	}
}

static void
test_map_of_many(void **state)
{
	const unsigned int count = 100000;
	struct owners *o = owners_new(true);
	struct reports reports = { .count = 0 };
	size_t size = (size_t)count * 64, len = 0;
	char *map = malloc(size);

	(void)state;
	assert_non_null(o);
	assert_non_null(map);
	for (unsigned int i = 0; i < count; i++)
		len += (size_t)snprintf(map + len, size - len,
		    "box%u@example.org user%u, boss\n", i, i);
	assert_int_equal(
	    owners_add_map(o, map, len, "example.org", report, &reports), 0);
	free(map);
	failures = 0;
	check(o, "user0@example.org", "box0@example.org", true);
	check(o, "user99999@example.org", "box99999@example.org", true);
	check(o, "user99999@example.org", "box9999@example.org", false);
	check(o, "boss@example.org", "box4711+x@example.org", true);
	check(o, "boss@example.org", "box100000@example.org", false);
	done(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_owns_anything_by_default),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_only_a_mailbox_can_be_owned),
		cmocka_unit_test(test_letter_case_can_matter),
		cmocka_unit_test(test_pattern_shapes),
		cmocka_unit_test(test_patterns_that_are_none),
		cmocka_unit_test(test_long_expansions),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_map_mistakes),
		cmocka_unit_test(test_nul_in_a_map),
		cmocka_unit_test(test_map_without_entries),
		cmocka_unit_test(test_map_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
