/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is an address, and what is none. The acceptance table is read by
 * test_netset.c; here are the forms by themselves and the socket addresses.
 */
#include "policy/netaddr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/un.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static void
expect(const char *given, const struct netaddr *addr, const char *want)
{
	char got[NETADDR_TEXT_MAX];

	netaddr_format(addr, got);
	if (strcmp(got, want) != 0)
		fail_msg("\"%s\": got %s, want %s", given, got, want);
}

static void
text_is_an_address_or_nothing(void **state)
{
	static const struct {
		const char *text;
		enum netaddr_family family;
		const char *canonical;
	} rows[] = {
		{ "10.1.2.3", NETADDR_INET, "10.1.2.3" },
		{ "0.0.0.0", NETADDR_INET, "0.0.0.0" },
		{ "255.255.255.255", NETADDR_INET, "255.255.255.255" },
		{ "::", NETADDR_INET6, "::" },
		{ "::1", NETADDR_INET6, "::1" },
		{ "2001:DB8:0:0:0:0:0:1", NETADDR_INET6, "2001:db8::1" },
		{ "2001:db8:1:0:0:0:0.0.0.1", NETADDR_INET6, "2001:db8:1::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		    NETADDR_INET6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		/* mapped in every spelling */
		{ "::ffff:10.1.2.3", NETADDR_INET, "10.1.2.3" },
		{ "::FFFF:0a01:0203", NETADDR_INET, "10.1.2.3" },
		{ "0:0:0:0:0:ffff:10.1.2.3", NETADDR_INET, "10.1.2.3" },
		{ "::ffff:0:0", NETADDR_INET, "0.0.0.0" },
		/* what else embeds an IPv4 address stays what it is */
		{ "::10.1.2.3", NETADDR_INET6, "::10.1.2.3" },
		{ "::ffff:0:10.1.2.3", NETADDR_INET6, "::ffff:0:a01:203" },
		{ "::fffe:10.1.2.3", NETADDR_INET6, "::fffe:a01:203" },
		{ "1::ffff:10.1.2.3", NETADDR_INET6, "1::ffff:a01:203" },
		{ "2002:a01:203::1", NETADDR_INET6, "2002:a01:203::1" },
		{ "64:ff9b::10.1.2.3", NETADDR_INET6, "64:ff9b::a01:203" },
		{ "2001:0:a01:203::1", NETADDR_INET6, "2001:0:a01:203::1" },
		/* none */
		{ NULL, NETADDR_NONE, "-" },
		{ "", NETADDR_NONE, "-" },
		{ "localhost", NETADDR_NONE, "-" },
		{ "unknown", NETADDR_NONE, "-" },
		{ "10.1", NETADDR_NONE, "-" },
		{ "10.1.2", NETADDR_NONE, "-" },
		{ "10.1.2.3.", NETADDR_NONE, "-" },
		{ "10.1.2.256", NETADDR_NONE, "-" },
		{ "010.1.2.3", NETADDR_NONE, "-" },
		{ "10.1.2.03", NETADDR_NONE, "-" },
		{ "0x0a.1.2.3", NETADDR_NONE, "-" },
		{ "167838211", NETADDR_NONE, "-" },
		{ "+10.1.2.3", NETADDR_NONE, "-" },
		{ " 10.1.2.3", NETADDR_NONE, "-" },
		{ "10.1.2.3 ", NETADDR_NONE, "-" },
		{ "10.1.2.3\n", NETADDR_NONE, "-" },
		{ "10.1.2.3/32", NETADDR_NONE, "-" },
		{ "10.1.2.3:25", NETADDR_NONE, "-" },
		{ "[10.1.2.3]", NETADDR_NONE, "-" },
		{ "[::1]", NETADDR_NONE, "-" },
		{ "IPv6:::1", NETADDR_NONE, "-" },
		{ "fe80::1%1", NETADDR_NONE, "-" },
		{ "fe80::1%lo", NETADDR_NONE, "-" },
		{ "::ffff:010.1.2.3", NETADDR_NONE, "-" },
		{ "::ffff:10.1.2", NETADDR_NONE, "-" },
		{ "1::2::3", NETADDR_NONE, "-" },
		{ ":::", NETADDR_NONE, "-" },
		{ "12345::", NETADDR_NONE, "-" },
		{ "1:2:3:4:5:6:7", NETADDR_NONE, "-" },
		{ "1:2:3:4:5:6:7:8:9", NETADDR_NONE, "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *given = rows[i].text ? rows[i].text : "NULL";
		struct netaddr addr;
		int want = rows[i].family == NETADDR_NONE ? -1 : 0;
		int got;

		memset(&addr, 0xa5, sizeof(addr));
		got = netaddr_parse(rows[i].text, &addr);
		if (got != want || addr.family != rows[i].family)
			fail_msg("\"%s\": got %d family %d, want %d family %d",
			    given, got, (int)addr.family, want,
			    (int)rows[i].family);
		expect(given, &addr, rows[i].canonical);
	}
}

static void
canonical_text_parses_to_the_same_address(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0",
		"192.0.2.1",
		"::",
		"::7f00:1",
		"2001:db8::1",
		"64:ff9b::c633:6409",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct netaddr first, second;
		char text[NETADDR_TEXT_MAX];

		assert_int_equal(netaddr_parse(texts[i], &first), 0);
		netaddr_format(&first, text);
		assert_int_equal(netaddr_parse(text, &second), 0);
		assert_memory_equal(&first, &second, sizeof(first));
	}
}

static void
inet_sockaddr_is_its_address(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct netaddr addr;
	struct {
		uint16_t gap; /* aligned like a sockaddr and no better */
		char sa[sizeof(struct sockaddr_in6)];
	} odd;
	const void *unaligned = odd.sa;

	(void)state;
	sin.sin_port = htons(587);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &sin.sin_addr), 1);
	netaddr_from_sockaddr((const struct sockaddr *)&sin, &addr);
	assert_int_equal(addr.family, NETADDR_INET);
	expect("sockaddr_in", &addr, "192.0.2.7");

	sin6.sin6_scope_id = 3;
	assert_int_equal(inet_pton(AF_INET6, "fe80::7", &sin6.sin6_addr), 1);
	netaddr_from_sockaddr((const struct sockaddr *)&sin6, &addr);
	assert_int_equal(addr.family, NETADDR_INET6);
	expect("sockaddr_in6", &addr, "fe80::7");

	assert_int_equal(
	    inet_pton(AF_INET6, "::ffff:192.0.2.7", &sin6.sin6_addr), 1);
	memcpy(odd.sa, &sin6, sizeof(sin6));
	netaddr_from_sockaddr(unaligned, &addr);
	assert_int_equal(addr.family, NETADDR_INET);
	expect("mapped sockaddr_in6", &addr, "192.0.2.7");
	for (size_t i = 4; i < sizeof(addr.octets); i++)
		assert_int_equal(addr.octets[i], 0);
}

static void
other_sockaddrs_are_no_address(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	struct netaddr addr;

	(void)state;
	memcpy(sun.sun_path, "/run/x", 7);
	memset(&addr, 0xa5, sizeof(addr));
	netaddr_from_sockaddr(NULL, &addr);
	expect("NULL", &addr, "-");
	memset(&addr, 0xa5, sizeof(addr));
	netaddr_from_sockaddr((const struct sockaddr *)&sun, &addr);
	expect("AF_UNIX", &addr, "-");
	memset(&addr, 0xa5, sizeof(addr));
	netaddr_from_sockaddr(&sa, &addr);
	expect("AF_UNSPEC", &addr, "-");
	sa.sa_family = 250;
	netaddr_from_sockaddr(&sa, &addr);
	expect("250", &addr, "-");
	assert_int_equal(addr.family, NETADDR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_an_address_or_nothing),
		cmocka_unit_test(canonical_text_parses_to_the_same_address),
		cmocka_unit_test(inet_sockaddr_is_its_address),
		cmocka_unit_test(other_sockaddrs_are_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
