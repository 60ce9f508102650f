/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate remembers of who was seen where: internal addresses that hide
 * outsiders, and the evidence against a login.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gate/kept.h"
#include "gate/recent.h"
#include "gate/sentinel.h"
#include "store/internal.h"
#include "tests/lib/house.h"

static struct house house;

#define open_house(more) house_open_stored(&house, HOUSE_SITE more)

static char seen[400];

static void
evidence_names_the_latest_places_and_domains(void **state)
{
	struct recent *recent = recent_new();
	struct login alice = { "alice@example.org" }, bob = { "bob" };
	char text[RECENT_EVIDENCE_MAX];
	struct netaddr addr;

	(void)state;
	assert_non_null(recent);
	for (int i = 0; i < 9000; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "192.0.2.%d", i % 200);
		(void)netaddr_parse(name, &addr);
		(void)snprintf(name, sizeof(name), "d%d.example", i);
		recent_note(recent, i % 2 == 0 ? &alice : &bob, &addr, name);
	}
	recent_evidence(recent, &alice, text);
	assert_string_equal(text,
	    "addresses=192.0.2.198,192.0.2.196,192.0.2.194,192.0.2.192,"
	    "192.0.2.190,192.0.2.188,192.0.2.186,192.0.2.184 "
	    "domains=d8998.example,d8996.example,d8994.example,d8992.example,"
	    "d8990.example,d8988.example,d8986.example,d8984.example");
	recent_free(&recent);
}

/* A message from inside; is the client still an insider? */
static bool
relay(const char *address, const char *helo, const char *from, const char *to)
{
	struct session *s = house_client(&house, address, "submission");
	bool inside;

	session_helo(s, helo);
	inside = house_mail(s, from, NULL) == REASON_INTERNAL_NETWORK;
	if (inside) {
		EXPECT(house_rcpt(s, to), REASON_INTERNAL_NETWORK);
		EXPECT(house_message(s), REASON_INTERNAL_NETWORK);
	}
	session_free(&s);
	return inside;
}

/* So many messages from an address; names, senders, recipients that are new
 * every time, or not. How many went out. */
static int
relay_many(const char *address, bool names, bool senders, bool recipients)
{
	char helo[32], from[64], to[64];
	int out = 0;

	for (int i = 0; i < 30; i++) {
		(void)snprintf(helo, sizeof(helo), "h%d.example",
		    names ? i : 0);
		(void)snprintf(from, sizeof(from), "<a@%s%d.%s>", "d",
		    senders ? i : 0, senders ? "example" : "example.org");
		(void)snprintf(to, sizeof(to), "<b@e%d.example>",
		    recipients ? i : 0);
		if (relay(address, helo, from, to))
			out++;
		house.now_ms += 5000;
	}
	return out;
}

static int
see_caught(void *arg, const char *addr)
{
	(void)arg;
	(void)snprintf(seen, sizeof(seen), "%s", addr);
	return 0;
}

static void
a_gateway_that_hides_outsiders_is_noticed(void **state)
{
	struct netaddr gateway;
	struct err e;

	(void)state;
	open_house("sentinel { action = \"external\" }");
	(void)netaddr_parse("10.0.0.9", &gateway);
	/* a host that is busy, but one; a list server; a relay of ours */
	assert_int_equal(relay_many("10.0.0.5", false, true, true), 30);
	assert_int_equal(relay_many("10.0.0.6", true, false, true), 30);
	assert_int_equal(relay_many("10.0.0.7", true, true, false), 30);
	assert_int_equal(relay_many("10.0.0.9", true, true, true),
	    SENTINEL_MANY);
	assert_int_equal(relay_many("10.0.0.5", false, false, false), 30);
	assert_int_equal(store_flush(gate_store(house.gate), 10000), 0);
	seen[0] = '\0';
	assert_int_equal(sentinel_list(gate_store(house.gate), house.now_ms,
			     see_caught, NULL, &e),
	    0);
	assert_string_equal(seen, "10.0.0.9");
	assert_int_equal(sentinel_release(gate_store(house.gate), &gateway, &e),
	    1);
	assert_int_equal(sentinel_release(gate_store(house.gate), &gateway, &e),
	    0);
	assert_true(relay("10.0.0.9", "x", "<a@b.example>", "<c@d.example>"));
	house_close(&house);
	open_house("");
	assert_int_equal(relay_many("10.0.0.9", true, true, true), 30);
	house_close(&house);
}

static int
get_nothing(struct store *store, struct record *records, size_t count,
    unsigned int *found_r)
{
	(void)store;
	(void)records;
	(void)count;
	*found_r = 0;
	return -1;
}

/* It did not become one host because the store is away. */
static void
what_was_caught_stays_so_without_the_store(void **state)
{
	const struct store_ops *there;
	struct netaddr gateway;
	struct store_ops away;
	struct store *store;
	struct err e;

	(void)state;
	open_house("sentinel { action = \"external\" }");
	(void)netaddr_parse("10.0.0.9", &gateway);
	store = gate_store(house.gate);
	there = store->ops;
	away = *there;
	away.get = get_nothing;
	(void)relay_many("10.0.0.9", true, true, true);
	store->ops = &away;
	assert_false(relay("10.0.0.9", "x", "<a@b.example>", "<c@d.example>"));
	assert_true(relay("10.0.0.8", "x", "<a@b.example>", "<c@d.example>"));
	store->ops = there;
	assert_int_equal(sentinel_release(store, &gateway, &e), 1);
	assert_true(relay("10.0.0.9", "x", "<a@b.example>", "<c@d.example>"));
	store->ops = &away;
	assert_true(relay("10.0.0.9", "x", "<a@b.example>", "<c@d.example>"));
	store->ops = there;
	house_close(&house);
}

/* Few can be kept; those who are over first go first. */
static void
what_is_kept_is_bounded(void **state)
{
	struct kept *kept = kept_new();
	unsigned int found = 0;

	(void)state;
	assert_non_null(kept);
	for (uint64_t i = 0; i < 100000; i++)
		kept_note(kept, i * 1024, 1, 1000 + i);
	kept_note(kept, 7, 2, 500);
	assert_int_equal(kept_recall(kept, 7, 499), 2);
	assert_int_equal(kept_recall(kept, 7, 500), 0);
	for (uint64_t i = 0; i < 100000; i++)
		found += kept_recall(kept, i * 1024, 1);
	assert_in_range(found, 1, 8);
	kept_note(kept, 7, 0, 0);
	assert_int_equal(kept_recall(kept, 7, 1), 0);
	kept_free(&kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_names_the_latest_places_and_domains),
		cmocka_unit_test(a_gateway_that_hides_outsiders_is_noticed),
		cmocka_unit_test(what_was_caught_stays_so_without_the_store),
		cmocka_unit_test(what_is_kept_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
