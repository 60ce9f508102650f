/* SPDX-License-Identifier: BSD-2-Clause */
/* What is remembered about logins, for how long, and when nobody is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "identity/breaker.h"
#include "identity/cache.h"

static void
answers_live_until_their_time(void **state)
{
	struct cache *cache = cache_new(10);

	(void)state;
	assert_non_null(cache);
	assert_int_equal(cache_get(cache, "a", 0), IDENTITY_UNKNOWN);
	cache_put(cache, "a", IDENTITY_VERIFIED, 100, 0);
	cache_put(cache, "b", IDENTITY_REFUSED, 50, 0);
	cache_put(cache, "c", IDENTITY_DISABLED, 50, 0);
	assert_int_equal(cache_get(cache, "a", 99), IDENTITY_VERIFIED);
	assert_int_equal(cache_get(cache, "b", 49), IDENTITY_REFUSED);
	assert_int_equal(cache_get(cache, "c", 49), IDENTITY_DISABLED);
	assert_int_equal(cache_get(cache, "A", 0), IDENTITY_UNKNOWN);
	assert_int_equal(cache_get(cache, "aa", 0), IDENTITY_UNKNOWN);
	assert_int_equal(cache_get(cache, "b", 50), IDENTITY_UNKNOWN);
	/* having been asked for did not make it last longer */
	assert_int_equal(cache_get(cache, "a", 100), IDENTITY_UNKNOWN);
	assert_int_equal(cache_count(cache), 1);
	cache_free(&cache);
	assert_null(cache);
	cache_free(&cache);
}

static void
unknown_is_never_kept(void **state)
{
	struct cache *cache = cache_new(10);

	(void)state;
	cache_put(cache, "a", IDENTITY_UNKNOWN, 100, 0);
	assert_int_equal(cache_count(cache), 0);
	cache_put(cache, "a", IDENTITY_VERIFIED, 100, 0);
	cache_put(cache, "a", IDENTITY_UNKNOWN, 100, 0);
	assert_int_equal(cache_count(cache), 0);
	cache_put(cache, "a", IDENTITY_VERIFIED, 100, 100);
	assert_int_equal(cache_count(cache), 0);
	cache_free(&cache);
}

static void
the_newest_answer_counts(void **state)
{
	struct cache *cache = cache_new(10);

	(void)state;
	cache_put(cache, "a", IDENTITY_VERIFIED, 100, 0);
	cache_put(cache, "a", IDENTITY_REFUSED, 50, 0);
	assert_int_equal(cache_get(cache, "a", 0), IDENTITY_REFUSED);
	assert_int_equal(cache_count(cache), 1);
	cache_clear(cache);
	assert_int_equal(cache_get(cache, "a", 0), IDENTITY_UNKNOWN);
	cache_free(&cache);
}

static void
the_number_of_answers_is_bounded(void **state)
{
	struct cache *cache = cache_new(100);
	char login[16];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		(void)snprintf(login, sizeof(login), "u%u", i);
		cache_put(cache, login, IDENTITY_VERIFIED, 100, 0);
		assert_in_range(cache_count(cache), 1, 100);
		assert_int_equal(cache_get(cache, login, 0), IDENTITY_VERIFIED);
	}
	assert_int_equal(cache_get(cache, "u899", 0), IDENTITY_UNKNOWN);
	assert_int_equal(cache_get(cache, "u900", 0), IDENTITY_VERIFIED);
	/* the dead go first */
	for (unsigned int i = 0; i < 60; i++) {
		(void)snprintf(login, sizeof(login), "v%u", i);
		cache_put(cache, login, IDENTITY_VERIFIED, 200, 100);
	}
	assert_int_equal(cache_count(cache), 60);
	cache_free(&cache);
}

static void
the_breaker_opens_after_failures_in_a_row(void **state)
{
	struct breaker b = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_true(breaker_admits(&b, 0));
		assert_false(breaker_failure(&b, 0));
		assert_false(breaker_failure(&b, 0));
		assert_false(breaker_success(&b));
	}
	assert_false(breaker_failure(&b, 0));
	assert_false(breaker_failure(&b, 0));
	assert_true(breaker_failure(&b, 0));
	assert_true(breaker_is_open(&b));
	assert_false(breaker_admits(&b, BREAKER_MIN_MS - 1));
	/* stragglers from before */
	assert_false(breaker_failure(&b, 500));
	assert_false(breaker_admits(&b, BREAKER_MIN_MS - 1));
}

static void
the_open_breaker_lets_one_through_at_a_time(void **state)
{
	struct breaker b = { 0 };
	uint64_t now = 0, wait = BREAKER_MIN_MS;

	(void)state;
	for (int i = 0; i < BREAKER_FAILURES; i++)
		(void)breaker_failure(&b, now);
	for (int i = 0; i < 10; i++) {
		assert_false(breaker_admits(&b, now + wait - 1));
		now += wait;
		assert_true(breaker_admits(&b, now));
		assert_false(breaker_admits(&b, now));
		assert_false(breaker_admits(&b, now + 1000000));
		assert_true(breaker_failure(&b, now));
		wait = wait * 2 < BREAKER_MAX_MS ? wait * 2 : BREAKER_MAX_MS;
	}
	assert_true(breaker_admits(&b, now + wait));
	breaker_neither(&b); /* it was never asked: the next one may */
	assert_true(breaker_admits(&b, now + wait));
	assert_true(breaker_success(&b));
	assert_true(breaker_admits(&b, now + wait));
	assert_true(breaker_admits(&b, now + wait));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_live_until_their_time),
		cmocka_unit_test(unknown_is_never_kept),
		cmocka_unit_test(the_newest_answer_counts),
		cmocka_unit_test(the_number_of_answers_is_bounded),
		cmocka_unit_test(the_breaker_opens_after_failures_in_a_row),
		cmocka_unit_test(the_open_breaker_lets_one_through_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
