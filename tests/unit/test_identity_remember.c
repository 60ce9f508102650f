/* SPDX-License-Identifier: BSD-2-Clause */
/* What is remembered of passwords, and what tells them apart. */
#include "identity/remember.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "identity/secret.h"

struct tag {
	unsigned char octets[SECRET_TAG_LEN];
};

static struct tag
tag_of(const char *login, const char *password)
{
	const struct secret_part parts[] = {
		{ login, strlen(login) },
		{ password, strlen(password) },
	};
	struct tag tag;

	assert_int_equal(secret_tag(parts, 2, tag.octets), 0);
	return tag;
}

static void
get(struct remember *r, struct tag tag, uint64_t now, enum identity want)
{
	assert_int_equal(remember_get(r, tag.octets, now), want);
}

static void
put(struct remember *r, struct tag tag, enum identity answer, uint64_t ttl,
    uint64_t grace, uint64_t now)
{
	remember_put(r, tag.octets, answer, ttl, grace, now);
}

static void
equal_attempts_have_equal_tags(void **state)
{
	struct tag tags[] = {
		tag_of("alice", "secret"),
		tag_of("alice", "secreT"),
		tag_of("alices", "ecret"),
		tag_of("alic", "esecret"),
		tag_of("", "alicesecret"),
		tag_of("secret", "alice"),
		tag_of("alicesecret", ""),
	};
	struct tag again = tag_of("alice", "secret");
	const struct secret_part one = { "alicesecret", 11 };
	struct tag single;

	(void)state;
	assert_memory_equal(tags[0].octets, again.octets, SECRET_TAG_LEN);
	assert_int_equal(secret_tag(&one, 1, single.octets), 0);
	for (size_t i = 0; i < 7; i++) {
		assert_memory_not_equal(tags[i].octets, single.octets,
		    SECRET_TAG_LEN);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(tags[i].octets, tags[j].octets,
			    SECRET_TAG_LEN);
	}
}

static void
too_much_text_has_no_tag(void **state)
{
	static char text[SECRET_TEXT_MAX + 1];
	struct secret_part parts[] = { { text, SECRET_TEXT_MAX }, { text, 0 } };
	struct tag tag;

	(void)state;
	assert_int_equal(secret_tag(parts, 2, tag.octets), 0);
	parts[1].len = 1;
	assert_int_equal(secret_tag(parts, 2, tag.octets), -1);
	assert_int_equal(secret_tag(parts, SECRET_PARTS_MAX + 1, tag.octets),
	    -1);
}

static void
answers_live_until_their_time(void **state)
{
	struct remember *r = remember_new(10, 10);
	struct tag good = tag_of("a", "1"), bad = tag_of("a", "2"),
		   disabled = tag_of("b", "1");

	(void)state;
	assert_non_null(r);
	get(r, good, 0, IDENTITY_UNKNOWN);
	put(r, good, IDENTITY_VERIFIED, 100, 0, 1000);
	put(r, bad, IDENTITY_REFUSED, 50, 500, 1000);
	put(r, disabled, IDENTITY_DISABLED, 50, 0, 1000);
	get(r, good, 1099, IDENTITY_VERIFIED);
	get(r, bad, 1049, IDENTITY_REFUSED);
	get(r, disabled, 1049, IDENTITY_DISABLED);
	get(r, bad, 1050, IDENTITY_UNKNOWN);
	get(r, good, 1100, IDENTITY_UNKNOWN);
	assert_false(remember_graces(r, good.octets, 1000));
	assert_false(remember_graces(r, bad.octets, 1000));
	remember_free(&r);
	assert_null(r);
	remember_free(&r);
}

static void
unknown_changes_nothing(void **state)
{
	struct remember *r = remember_new(10, 10);
	struct tag tag = tag_of("a", "1");

	(void)state;
	put(r, tag, IDENTITY_UNKNOWN, 100, 100, 0);
	assert_int_equal(remember_count(r, false), 0);
	put(r, tag, IDENTITY_VERIFIED, 100, 0, 0);
	put(r, tag, IDENTITY_UNKNOWN, 100, 0, 0);
	get(r, tag, 99, IDENTITY_VERIFIED);
	remember_free(&r);
}

static void
a_refusal_purges_its_own_password_only(void **state)
{
	struct remember *r = remember_new(10, 10);
	struct tag old = tag_of("a", "old"), new = tag_of("a", "new");

	(void)state;
	put(r, old, IDENTITY_VERIFIED, 100, 1000, 0);
	put(r, new, IDENTITY_VERIFIED, 100, 1000, 10);
	put(r, old, IDENTITY_REFUSED, 50, 0, 20);
	get(r, old, 20, IDENTITY_REFUSED);
	get(r, old, 70, IDENTITY_UNKNOWN);
	assert_false(remember_graces(r, old.octets, 70));
	get(r, new, 70, IDENTITY_VERIFIED);
	put(r, old, IDENTITY_VERIFIED, 100, 0, 80);
	get(r, old, 80, IDENTITY_VERIFIED);
	assert_int_equal(remember_count(r, false), 0);
	assert_int_equal(remember_count(r, true), 2);
	remember_free(&r);
}

static void
grace_outlives_the_answer(void **state)
{
	struct remember *r = remember_new(10, 10);
	struct tag tag = tag_of("a", "1");

	(void)state;
	put(r, tag, IDENTITY_VERIFIED, 100, 1000, 0);
	get(r, tag, 100, IDENTITY_UNKNOWN);
	assert_true(remember_graces(r, tag.octets, 999));
	get(r, tag, 999, IDENTITY_UNKNOWN);
	assert_false(remember_graces(r, tag.octets, 1000));
	assert_int_equal(remember_count(r, true), 0);
	/* a short grace does not shorten the answer */
	put(r, tag, IDENTITY_VERIFIED, 100, 10, 2000);
	assert_false(remember_graces(r, tag.octets, 2010));
	get(r, tag, 2099, IDENTITY_VERIFIED);
	remember_free(&r);
}

static void
a_flood_of_guesses_drives_nothing_good_out(void **state)
{
	struct remember *r = remember_new(5, 100);
	struct tag good = tag_of("a", "good");
	char password[16];

	(void)state;
	put(r, good, IDENTITY_VERIFIED, 100, 0, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		struct tag tag;

		(void)snprintf(password, sizeof(password), "g%u", i);
		tag = tag_of("a", password);
		put(r, tag, IDENTITY_REFUSED, 100, 0, 0);
		get(r, tag, 0, IDENTITY_REFUSED);
		assert_in_range(remember_count(r, false), 1, 100);
	}
	get(r, good, 0, IDENTITY_VERIFIED);
	get(r, tag_of("a", "g899"), 0, IDENTITY_UNKNOWN);
	get(r, tag_of("a", "g900"), 0, IDENTITY_REFUSED);
	for (unsigned int i = 0; i < 5; i++) {
		(void)snprintf(password, sizeof(password), "v%u", i);
		put(r, tag_of("a", password), IDENTITY_VERIFIED, 100, 0, 0);
	}
	get(r, good, 0, IDENTITY_UNKNOWN);
	assert_int_equal(remember_count(r, true), 5);
	remember_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_attempts_have_equal_tags),
		cmocka_unit_test(too_much_text_has_no_tag),
		cmocka_unit_test(answers_live_until_their_time),
		cmocka_unit_test(unknown_changes_nothing),
		cmocka_unit_test(a_refusal_purges_its_own_password_only),
		cmocka_unit_test(grace_outlives_the_answer),
		cmocka_unit_test(a_flood_of_guesses_drives_nothing_good_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
