/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose turn it is, and that a crowd of one client is not everybody. */
#include "identity/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "identity/engine.h"

#define CHECKS 12

static struct check checks[CHECKS];

/* The n-th check, of this client ("": its address is not known), waits. */
static void
join(struct turns *turns, size_t n, const char *client)
{
	memset(&checks[n], 0, sizeof(checks[n]));
	(void)netaddr_parse(client, &checks[n].client);
	assert_int_equal(turns_join(turns, &checks[n]), 0);
}

static void
take(struct turns *turns, size_t left, size_t all, int want)
{
	const struct check *check = turns_take(turns, left, all);
	int got = check == NULL ? -1 : (int)(check - checks);

	if (got != want)
		fail_msg("%zu of %zu: got %d, want %d", left, all, got, want);
}

static void
clients_take_turns(void **state)
{
	struct turns turns;

	(void)state;
	turns_init(&turns);
	join(&turns, 0, "192.0.2.1");
	join(&turns, 1, "192.0.2.1");
	join(&turns, 2, "192.0.2.1");
	join(&turns, 3, "192.0.2.2");
	join(&turns, 4, "2001:db8::1");
	join(&turns, 5, "2001:db8::2"); /* the same /64 */
	join(&turns, 6, "2001:db8:0:1::1");
	join(&turns, 7, "");
	join(&turns, 8, "");
	assert_ptr_equal(TAILQ_FIRST(&turns.waiting), &checks[0]);
	take(&turns, 100, 100, 0);
	take(&turns, 100, 100, 3);
	take(&turns, 100, 100, 4);
	take(&turns, 100, 100, 6);
	take(&turns, 100, 100, 7);
	take(&turns, 100, 100, 1);
	assert_ptr_equal(TAILQ_FIRST(&turns.waiting), &checks[2]);
	turns_leave(&turns, &checks[2]);
	take(&turns, 100, 100, 5);
	take(&turns, 100, 100, 8);
	take(&turns, 100, 100, -1);
	assert_true(TAILQ_EMPTY(&turns.waiting));
	turns_clear(&turns);
}

static void
one_client_leaves_a_quarter(void **state)
{
	struct turns turns;

	(void)state;
	turns_init(&turns);
	for (size_t i = 0; i < 8; i++)
		join(&turns, i, "192.0.2.1");
	for (size_t i = 0; i < 6; i++)
		take(&turns, 8 - i, 8, (int)i);
	take(&turns, 2, 8, -1);
	join(&turns, 8, "192.0.2.2");
	join(&turns, 9, "192.0.2.3");
	take(&turns, 2, 8, 8);
	take(&turns, 1, 8, 9);
	take(&turns, 0, 8, -1);
	/* one ends: that is not enough for more than a quarter */
	turns_end(&turns, &checks[0]);
	take(&turns, 1, 8, -1);
	for (size_t i = 1; i < 5; i++)
		turns_end(&turns, &checks[i]);
	take(&turns, 2, 8, 6);
	turns_clear(&turns);
}

static void
a_single_connection_is_for_everybody(void **state)
{
	struct turns turns;

	(void)state;
	turns_init(&turns);
	join(&turns, 0, "192.0.2.1");
	join(&turns, 1, "192.0.2.1");
	take(&turns, 1, 1, 0);
	take(&turns, 0, 1, -1);
	turns_end(&turns, &checks[0]);
	take(&turns, 1, 1, 1);
	turns_end(&turns, &checks[1]);
	assert_null(turns.lines);
}

static void
who_is_not_known_is_not_bound(void **state)
{
	struct turns turns;

	(void)state;
	turns_init(&turns);
	for (size_t i = 0; i < 8; i++)
		join(&turns, i, "");
	for (size_t i = 0; i < 8; i++)
		take(&turns, 8 - i, 8, (int)i);
	for (size_t i = 0; i < 8; i++)
		turns_end(&turns, &checks[i]);
	assert_null(turns.lines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_take_turns),
		cmocka_unit_test(one_client_leaves_a_quarter),
		cmocka_unit_test(a_single_connection_is_for_everybody),
		cmocka_unit_test(who_is_not_known_is_not_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
