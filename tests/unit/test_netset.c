/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is in the networks. Three witnesses: the acceptance table, what lists
 * are refused and why, and a slow twin that has to agree about random lists.
 */
#include "policy/netset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/naive.h"
#include "tests/lib/tsv.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t seed;

static struct netset *
new_set(void)
{
	struct netset *set = netset_new();

	if (set == NULL)
		fail_msg("no memory");
	return set;
}

/* Adds "A, B, C" and seals; returns what failed first. */
static int
fill(struct netset *set, const char *list, struct err *e)
{
	err_set(e, "%s", "");
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		char text[128];

		assert_true(len < sizeof(text));
		memcpy(text, list, len);
		text[len] = '\0';
		if (netset_add(set, text, e) != 0)
			return -1;
		list += len;
		list += strspn(list, ", ");
	}
	return netset_seal(set, e);
}

static struct netset *
set_of(const char *list)
{
	struct netset *set = new_set();
	struct err e;

	if (fill(set, list, &e) != 0)
		fail_msg("%s: %s", list, e.text);
	return set;
}

static void
expect(const char *row, const struct netset *set, const char *text, bool want,
    const char *want_best)
{
	struct netaddr addr;
	struct net best;
	char got_best[NET_TEXT_MAX];
	bool got;

	(void)netaddr_parse(text, &addr);
	got = netset_contains(set, &addr, &best);
	net_format(&best, got_best);
	if (got != want || strcmp(got_best, want_best) != 0)
		fail_msg("%s: %s: got %s by %s, want %s by %s", row, text,
		    got ? "internal" : "external", got_best,
		    want ? "internal" : "external", want_best);
	assert_true(netset_contains(set, &addr, NULL) == got);
}

/* ---- the acceptance table ---- */

/* What MTAs and libmilter take off before a filter sees the address. */
static void
strip(char *text)
{
	if (strncmp(text, "IPv6:", 5) == 0 && strchr(text + 5, ':') != NULL)
		memmove(text, text + 5, strlen(text + 5) + 1);
	text[strcspn(text, "%")] = '\0';
}

static void
check_client(const struct tsv *table, size_t i)
{
	const char *id = tsv_cell(table, i, "id");
	const char *best = tsv_cell(table, i, "best_match");
	bool internal = strcmp(tsv_cell(table, i, "expected"), "internal") == 0;
	struct netset *set = set_of(tsv_cell(table, i, "networks"));
	char full[128], text[128];

	(void)tsv_unescape(tsv_cell(table, i, "address"), true, full,
	    sizeof(full));
	memcpy(text, full, sizeof(text));
	strip(text);
	/* the table writes an excluded host with its prefix, too */
	expect(id, set, text, internal, best);
	if (strcmp(text, full) != 0)
		expect(id, set, full, false, "-");
	netset_free(&set);
}

static void
check_config(const struct tsv *table, size_t i)
{
	const char *id = tsv_cell(table, i, "id");
	/* two halves of the Internet are an error here, not a warning */
	bool error =
	    strcmp(tsv_cell(table, i, "expected"), "config-error") == 0 ||
	    strcmp(id, "N148") == 0;
	struct netset *set = new_set();
	struct err e;
	int got = fill(set, tsv_cell(table, i, "networks"), &e);

	if (got != (error ? -1 : 0))
		fail_msg("%s: got %d (%s), want %s", id, got, e.text,
		    error ? "an error" : "none");
	if (error)
		assert_true(e.text[0] != '\0');
	netset_free(&set);
}

static void
acceptance_table_holds(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	struct tsv *table;
	size_t clients = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/tests/data/netclass.tsv",
	    srcdir != NULL ? srcdir : ".");
	table = tsv_load(path);
	for (size_t i = 0; i < tsv_rows(table); i++) {
		if (strcmp(tsv_cell(table, i, "family"), "-") == 0) {
			check_config(table, i);
		} else {
			check_client(table, i);
			clients++;
		}
	}
	assert_true(clients > 60);
	tsv_free(&table);
}

/* ---- texts and lists ---- */

static void
network_text_is_canonical_or_refused(void **state)
{
	static const struct {
		const char *text;
		const char
		    *want; /* the network, or part of the error after ~ */
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.0.0.1", "10.0.0.1/32" },
		{ "!10.0.0.1", "!10.0.0.1/32" },
		{ "!fd00::/8", "!fd00::/8" },
		{ "FD00::1", "fd00::1/128" },
		{ "0.0.0.0", "0.0.0.0/32" },
		{ "0.0.0.0/1", "0.0.0.0/1" },
		{ "128.0.0.0/1", "128.0.0.0/1" },
		{ "255.255.255.255/32", "255.255.255.255/32" },
		{ "::", "::/128" },
		{ "8000::/1", "8000::/1" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
		{ "::ffff:a00:0/104", "10.0.0.0/8" },
		{ "!::ffff:10.0.0.1", "!10.0.0.1/32" },
		{ "::ffff:10.0.0.1/128", "10.0.0.1/32" },
		{ "::ffff:128.0.0.0/97", "128.0.0.0/1" },
		{ "::/80", "::/80" },
		{ "::fffe:0:0/95", "::fffe:0:0/95" },
		{ "::ffff:0:0:0/96", "::ffff:0:0:0/96" },

		{ "0.0.0.0/0",
		    "~every address; the prefix length must be from "
		    "1 to 32" },
		{ "!0.0.0.0/0", "~every address" },
		{ "10.0.0.0/0", "~every address" },
		{ "::/0", "~from 1 to 128" },
		{ "::ffff:0:0/96",
		    "~every address; the prefix length must be "
		    "from 97 to 128" },
		{ "::ffff:0.0.0.0/96", "~every address" },
		{ "::ffff:10.0.0.0/96", "~every address" },
		{ "::ffff:0:0/0", "~every address" },
		{ "::ffff:10.0.0.0/8", "~a number from 97 to 128" },
		{ "::ffff:0:0/95", "~a number from 97 to 128" },
		{ "::ffff:0:0/129", "~a number from 97 to 128" },
		{ "10.0.0.1/8",
		    "~\"10.0.0.1/8\": host bits are set; the network is "
		    "10.0.0.0/8" },
		{ "!10.0.0.1/8", "~the network is !10.0.0.0/8" },
		{ "10.0.0.3/31", "~the network is 10.0.0.2/31" },
		{ "2001:db8:1::1/48", "~the network is 2001:db8:1::/48" },
		{ "fd00::1/127", "~the network is fd00::/127" },
		{ "::ffff:10.0.1.0/104", "~the network is 10.0.0.0/8" },
		{ "10.0.0.0/33", "~a number from 1 to 32" },
		{ "10.0.0.0/128", "~a number from 1 to 32" },
		{ "fd00::/129", "~a number from 1 to 128" },
		{ "10.0.0.0/08", "~without leading zeros" },
		{ "0.0.0.0/00", "~without leading zeros" },
		{ "10.0.0.0/", "~a number" },
		{ "10.0.0.0/+8", "~a number" },
		{ "10.0.0.0/-8", "~a number" },
		{ "10.0.0.0/ 8", "~a number" },
		{ "10.0.0.0/8 ", "~a number" },
		{ "10.0.0.0/8/8", "~a number" },
		{ "10.0.0.0/0x8", "~a number" },
		{ "10.0.0.0/4294967304", "~a number" },
		{ "10.0.0.0/255.0.0.0", "~a number" },
		{ "", "~not an IP network" },
		{ "!", "~not an IP network" },
		{ "/8", "~not an IP network" },
		{ "!!10.0.0.1", "~not an IP network" },
		{ "! 10.0.0.1", "~not an IP network" },
		{ " 10.0.0.1", "~not an IP network" },
		{ "10.0.0.1 ", "~not an IP network" },
		{ "10.0.0.1\t", "~not an IP network" },
		{ "10.0.0.1\n", "~\"10.0.0.1?\": not an IP network" },
		{ "10/8", "~not an IP network" },
		{ "10.0/16", "~not an IP network" },
		{ "10.*", "~not an IP network" },
		{ "10.0.0.0-10.0.0.9", "~not an IP network" },
		{ "[::1]", "~not an IP network" },
		{ "[::1]/128", "~not an IP network" },
		{ "IPv6:fd00::/8", "~not an IP network" },
		{ "fe80::%eth0/64", "~not an IP network" },
		{ "example.org", "~not an IP network" },
		{ "all", "~not an IP network" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"
		  ":dddd:eeee",
		    "~:cccc:dddd...\": not" },
		/* 64 octets are quoted, but not a part of a character */
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxx\xe2\x82\xac",
		    "~x\xe2\x82\xac\": not" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxx\xe2\x82\xac",
		    "~xx...\": not" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *want = rows[i].want;
		struct netset *set = new_set();
		struct err e = { "" };
		char got[NET_TEXT_MAX] = "";
		struct net net;

		if (netset_add(set, rows[i].text, &e) == 0) {
			assert_int_equal(netset_seal(set, &e), 0);
			assert_int_equal(netset_count(set), 1);
			net = netset_get(set, 0);
			net_format(&net, got);
		}
		if (want[0] == '~' ? strstr(e.text, want + 1) == NULL
				   : strcmp(got, want) != 0)
			fail_msg("\"%s\": got \"%s\" (%s), want \"%s\"",
			    rows[i].text, got, e.text, want);
		if (want[0] == '~')
			assert_string_equal(got, "");
		netset_free(&set);
	}
}

static void
doubtful_lists_are_refused(void **state)
{
	static const struct {
		const char *list;
		const char *error;
	} rows[] = {
		{ "10.0.0.0/8, !10.0.0.0/8",
		    "10.0.0.0/8 is both listed and excluded" },
		{ "!10.0.0.1, fd00::/8, 10.0.0.1/32",
		    "10.0.0.1/32 is both listed and excluded" },
		{ "10.0.0.0/8, !::ffff:10.0.0.0/104",
		    "10.0.0.0/8 is both listed and excluded" },
		{ "fd00::1, ::1, !FD00::1, ::1",
		    "fd00::1/128 is both listed and excluded" },
		{ "0.0.0.0/1, 128.0.0.0/1", "every IPv4 address" },
		{ "128.0.0.0/1, 10.0.0.0/8, 0.0.0.0/1, 192.0.0.0/4",
		    "every IPv4 address" },
		{ "::ffff:0.0.0.0/97, 128.0.0.0/1", "every IPv4 address" },
		{ "0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/2, 192.0.0.0/2, fd00::/8",
		    "every IPv4 address" },
		{ "0.0.0.0/1, 128.0.0.0/1, !10.0.0.0/8, !0.0.0.0/2",
		    "every IPv4 address" },
		{ "::/1, 8000::/1", "every IPv6 address" },
		{ "8000::/1, 4000::/2, ::/2, !2000::/3", "every IPv6 address" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct netset *set = new_set();
		struct netaddr addr;
		struct err e;

		if (fill(set, rows[i].list, &e) == 0)
			fail_msg("%s: accepted", rows[i].list);
		if (strstr(e.text, rows[i].error) == NULL)
			fail_msg("%s: got \"%s\", want \"%s\"", rows[i].list,
			    e.text, rows[i].error);
		/* a refused list is nobody's warrant, also at second try */
		assert_int_equal(netset_seal(set, &e), -1);
		(void)netaddr_parse("10.0.0.1", &addr);
		assert_false(netset_contains(set, &addr, NULL));
		assert_int_equal(netset_count(set), 0);
		netset_free(&set);
	}
}

static void
nearly_everybody_is_still_a_list(void **state)
{
	static const char *const lists[] = {
		"0.0.0.0/1, 128.0.0.0/2",
		"0.0.0.0/1, 192.0.0.0/2",
		"128.0.0.0/1, 64.0.0.0/2",
		"0.0.0.0/1, !128.0.0.0/1",
		"0.0.0.0/1, ::/1",
		"8000::/1, ::/2, 4000::/3",
		"0.0.0.0/1, 8000::/1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct netset *set = set_of(lists[i]);

		netset_free(&set);
	}
}

/* Adds the sibling of every prefix of an address that is not shorter than
 * from: together all addresses but the ones in the last prefix. */
static void
add_siblings(struct netset *set, const char *text, bool six, unsigned int to,
    unsigned int skip)
{
	struct netaddr addr = { .family = NETADDR_INET6 };
	struct err e;

	if (!six)
		assert_int_equal(netaddr_parse(text, &addr), 0);
	else
		addr.octets[10] = addr.octets[11] = 0xff;
	for (unsigned int i = 0; i < to; i++) {
		struct net net = { .addr = addr, .prefix = i + 1 };
		char line[NET_TEXT_MAX];

		if (i == skip)
			continue;
		naive_flip(&net.addr, i);
		for (unsigned int bit = i + 1; bit < naive_width(&addr); bit++)
			if (naive_bit(&net.addr, bit))
				naive_flip(&net.addr, bit);
		net_format(&net, line);
		if (netset_add(set, line, &e) != 0)
			fail_msg("%s", e.text);
	}
}

static void
many_pieces_of_everybody_are_everybody(void **state)
{
	struct netset *set = new_set();
	struct err e = { "" };

	(void)state;
	add_siblings(set, "203.0.113.9", false, 32, 99);
	assert_int_equal(netset_seal(set, &e), 0); /* all but one host */
	netset_free(&set);

	for (unsigned int skip = 0; skip < 32; skip++) {
		set = new_set();
		add_siblings(set, "203.0.113.9", false, 32, skip);
		assert_int_equal(netset_add(set, "203.0.113.9", &e), 0);
		assert_int_equal(netset_seal(set, &e), 0);
		netset_free(&set);
	}

	set = new_set();
	add_siblings(set, "203.0.113.9", false, 32, 99);
	assert_int_equal(netset_add(set, "203.0.113.9", &e), 0);
	assert_int_equal(netset_seal(set, &e), -1);
	assert_non_null(strstr(e.text, "every IPv4 address"));
	netset_free(&set);

	/* No IPv6 client is in ::ffff:0:0/96, so leaving it out is nothing. */
	set = new_set();
	add_siblings(set, NULL, true, 96, 99);
	assert_int_equal(netset_seal(set, &e), -1);
	assert_non_null(strstr(e.text, "every IPv6 address"));
	netset_free(&set);
	for (unsigned int skip = 0; skip < 96; skip++) {
		set = new_set();
		add_siblings(set, NULL, true, 96, skip);
		assert_int_equal(netset_seal(set, &e), 0);
		netset_free(&set);
	}
}

static void
ipv6_network_never_covers_ipv4(void **state)
{
	struct netset *set = set_of("::/1, 192.0.2.0/24, !10.0.0.0/8");
	struct netset *wide = set_of("::/80, !::fffe:0:0/95");

	(void)state;
	expect("::/1", set, "::1", true, "::/1");
	expect("::/1", set, "::fffe:1:2", true, "::/1");
	expect("::/1", set, "::ffff:203.0.113.1", false, "-");
	expect("::/1", set, "203.0.113.1", false, "-");
	expect("::/1", set, "::ffff:10.0.0.1", false, "!10.0.0.0/8");
	expect("::/1", set, "::ffff:192.0.2.1", true, "192.0.2.0/24");
	expect("::/80", wide, "::ffff:192.0.2.1", false, "-");
	expect("::/80", wide, "::c000:201", true, "::/80");
	netset_free(&set);
	netset_free(&wide);
}

static void
set_without_seal_or_network_contains_nobody(void **state)
{
	struct netset *set = new_set();
	struct netaddr none = { .family = NETADDR_NONE };
	struct err e = { "" };
	struct net net;

	(void)state;
	assert_int_equal(netset_add(set, "10.0.0.0/8", &e), 0);
	expect("unsealed", set, "10.1.2.3", false, "-");
	assert_int_equal(netset_count(set), 0);
	net = netset_get(set, 0);
	assert_int_equal(net.addr.family, NETADDR_NONE);
	assert_int_equal(netset_seal(set, &e), 0);
	assert_int_equal(netset_seal(set, &e), 0);
	expect("sealed", set, "10.1.2.3", true, "10.0.0.0/8");
	assert_int_equal(netset_add(set, "192.0.2.0/24", &e), -1);
	expect("after seal", set, "192.0.2.1", false, "-");
	assert_false(netset_contains(set, &none, &net));
	assert_int_equal(net.addr.family, NETADDR_NONE);
	netset_free(&set);
	assert_null(set);
	netset_free(&set);
	netset_free(NULL);

	set = set_of("");
	expect("empty", set, "10.1.2.3", false, "-");
	expect("empty", set, "::1", false, "-");
	expect("empty", set, "0.0.0.0", false, "-");
	expect("empty", set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false,
	    "-");
	assert_int_equal(netset_count(set), 0);
	netset_free(&set);
}

static void
sealed_networks_are_in_order_and_once(void **state)
{
	static const char *const want[] = {
		"10.0.0.0/8",
		"!10.0.0.0/9",
		"10.0.0.1/32",
		"192.0.2.0/24",
		"::1/128",
		"!fd00::/8",
	};
	struct netset *set = set_of(
	    "::1, 192.0.2.0/24, !fd00::/8, 10.0.0.1, ::ffff:10.0.0.0/104, "
	    "!10.0.0.0/9, 10.0.0.0/8, ::1/128, 0:0::1, !fd00::/8");

	(void)state;
	assert_int_equal(netset_count(set), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct net net = netset_get(set, i);
		char got[NET_TEXT_MAX];

		net_format(&net, got);
		assert_string_equal(got, want[i]);
	}
	netset_free(&set);
}

/* ---- properties ---- */

#define NETS 60

static struct netaddr
random_address(bool six)
{
	struct netaddr addr = { .family = six ? NETADDR_INET6 : NETADDR_INET };

	for (size_t i = 0; i < (six ? 16 : 4); i++)
		addr.octets[i] = (uint8_t)(naive_random(&seed) >> 32);
	if (six && addr.octets[0] == 0)
		addr.octets[0] = 0x20; /* keep clear of ::ffff:0:0/96 */
	return addr;
}

static unsigned int
random_below(unsigned int limit)
{
	return (unsigned int)((naive_random(&seed) >> 32) % limit);
}

static struct net
random_net(const struct netaddr *near, unsigned int shortest)
{
	unsigned int width = naive_width(near);
	struct net net = { .addr = *near };

	net.prefix = shortest + random_below(width - shortest + 1);
	net.excluded = random_below(3) == 0;
	for (unsigned int bit = net.prefix; bit < width; bit++)
		if (naive_bit(&net.addr, bit))
			naive_flip(&net.addr, bit);
	return net;
}

/* Random networks around a few addresses, so that they nest deeply. A place
 * that is taken stays as it is. */
static size_t
random_nets(struct net *nets, struct netaddr *near, size_t nears)
{
	size_t count = 0;
	size_t wanted = 1 + random_below(NETS);

	for (size_t i = 0; i < nears; i++)
		near[i] = random_address(random_below(2) == 0);
	for (size_t i = 0; i < wanted; i++) {
		struct netaddr addr = near[random_below((unsigned int)nears)];
		struct net net;
		bool taken = false;

		if (random_below(3) == 0)
			naive_flip(&addr, random_below(naive_width(&addr)));
		net = random_net(&addr, 4);
		for (size_t j = 0; j < count; j++)
			taken = taken ||
			    (nets[j].prefix == net.prefix &&
				memcmp(&nets[j].addr, &net.addr,
				    sizeof(net.addr)) == 0);
		if (!taken)
			nets[count++] = net;
	}
	return count;
}

static struct netset *
build(const struct net *nets, size_t count)
{
	struct netset *set = new_set();
	struct err e;

	for (size_t i = 0; i < count; i++) {
		char text[NET_TEXT_MAX];

		net_format(&nets[i], text);
		if (netset_add(set, text, &e) != 0)
			fail_msg("%s", e.text);
	}
	if (netset_seal(set, &e) != 0)
		fail_msg("%s", e.text);
	return set;
}

static void
agree(const struct netset *set, const struct net *nets, size_t count,
    const struct netaddr *addr)
{
	size_t naive = naive_best(nets, count, addr);
	struct net want =
	    naive < count ? nets[naive] : (struct net){ .prefix = 0 };
	bool want_in = naive < count && !want.excluded;
	struct net best;
	bool got_in = netset_contains(set, addr, &best);
	char text[NETADDR_TEXT_MAX], got[NET_TEXT_MAX], wanted[NET_TEXT_MAX];

	net_format(&best, got);
	net_format(&want, wanted);
	netaddr_format(addr, text);
	if (got_in != want_in || strcmp(got, wanted) != 0)
		fail_msg("%s: got %d by %s, want %d by %s", text, got_in, got,
		    want_in, wanted);
}

/* The first and the last address of a network and those just outside, and one
 * somewhere inside. */
static void
agree_around(const struct netset *set, const struct net *nets, size_t count,
    const struct net *net)
{
	unsigned int width = naive_width(&net->addr);
	struct netaddr addr = net->addr;

	agree(set, nets, count, &addr);
	for (unsigned int bit = net->prefix; bit < width; bit++)
		naive_flip(&addr, bit);
	agree(set, nets, count, &addr);
	for (unsigned int bit = width; bit-- > 0;) { /* plus one */
		naive_flip(&addr, bit);
		if (naive_bit(&addr, bit))
			break;
	}
	agree(set, nets, count, &addr);
	addr = net->addr;
	for (unsigned int bit = width; bit-- > 0;) { /* minus one */
		naive_flip(&addr, bit);
		if (!naive_bit(&addr, bit))
			break;
	}
	agree(set, nets, count, &addr);
	addr = net->addr;
	for (unsigned int bit = net->prefix; bit < width; bit++)
		if (random_below(2) == 0)
			naive_flip(&addr, bit);
	agree(set, nets, count, &addr);
}

static void
random_sets_agree_with_the_naive_matcher(void **state)
{
	static const char *const ends[] = {
		"0.0.0.0",
		"255.255.255.255",
		"::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	(void)state;
	for (unsigned int round = 0; round < 2000; round++) {
		struct net nets[NETS];
		struct netaddr near[4];
		size_t count = random_nets(nets, near, ARRAY_LEN(near));
		struct netset *set = build(nets, count);

		assert_int_equal(netset_count(set), count);
		for (size_t i = 0; i < count; i++)
			agree_around(set, nets, count, &nets[i]);
		for (size_t i = 0; i < ARRAY_LEN(near); i++) {
			struct netaddr addr = near[i];

			agree(set, nets, count, &addr);
			naive_flip(&addr, random_below(naive_width(&addr)));
			agree(set, nets, count, &addr);
		}
		for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
			struct netaddr addr;

			assert_int_equal(netaddr_parse(ends[i], &addr), 0);
			agree(set, nets, count, &addr);
		}
		netset_free(&set);
	}
}

static void
prefix_bits_count_and_host_bits_do_not(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 4000; round++) {
		struct netaddr near = random_address(round % 2 == 0);
		struct net net = random_net(&near, 1);
		unsigned int width = naive_width(&near);
		struct netaddr addr = net.addr;
		struct netset *set;

		net.excluded = false;
		set = build(&net, 1);
		assert_true(netset_contains(set, &net.addr, NULL));
		assert_true(netset_contains(set, &near, NULL));
		naive_flip(&addr, net.prefix - 1);
		assert_false(netset_contains(set, &addr, NULL));
		addr = net.addr;
		naive_flip(&addr, random_below(net.prefix));
		assert_false(netset_contains(set, &addr, NULL));
		if (net.prefix < width) {
			addr = net.addr;
			naive_flip(&addr, net.prefix);
			assert_true(netset_contains(set, &addr, NULL));
			addr = net.addr;
			naive_flip(&addr, width - 1);
			assert_true(netset_contains(set, &addr, NULL));
		}
		netset_free(&set);
	}
}

/* Every prefix length there is, one inside the other, by turns excluded. */
static void
nesting_is_as_deep_as_prefixes_are(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 4; round++) {
		struct netaddr near = random_address(round % 2 == 0);
		unsigned int width = naive_width(&near);
		struct net nets[128];
		struct netset *set;

		if (round >= 2) /* ends with the address space */
			memset(near.octets, 0xff, width / 8);
		for (unsigned int i = 0; i < width; i++) {
			nets[i] = (struct net){ .addr = near, .prefix = i + 1 };
			nets[i].excluded = i % 2 == 1;
			for (unsigned int bit = i + 1; bit < width; bit++)
				if (naive_bit(&near, bit))
					naive_flip(&nets[i].addr, bit);
		}
		set = build(nets, width);
		for (unsigned int i = 0; i < width; i++)
			agree_around(set, nets, width, &nets[i]);
		netset_free(&set);
	}
}

#define MANY 100000

static void
hundred_thousand_networks_agree_with_the_naive_matcher(void **state)
{
	struct net *nets = calloc(MANY, sizeof(*nets));
	struct netset *set = new_set();
	struct netaddr base[2];
	struct err e;
	size_t count;

	(void)state;
	assert_non_null(nets);
	base[0] = random_address(false);
	base[1] = random_address(true);
	for (size_t i = 0; i < MANY; i++) {
		struct netaddr addr = random_address(i % 2 == 0);
		char text[NET_TEXT_MAX];
		struct net net;

		/* half of them crowded into one corner; listed or excluded by
		 * length, so that no place is both */
		if (i % 4 < 2)
			memcpy(addr.octets, base[i % 2 == 0].octets,
			    i % 2 == 0 ? 8 : 1);
		net = random_net(&addr, 12);
		net.excluded = net.prefix % 3 == 0;
		net_format(&net, text);
		if (netset_add(set, text, &e) != 0)
			fail_msg("%s", e.text);
	}
	if (netset_seal(set, &e) != 0)
		fail_msg("%s", e.text);
	count = netset_count(set);
	assert_true(count > MANY / 2 && count <= MANY);
	for (size_t i = 0; i < count; i++)
		nets[i] = netset_get(set, i);
	for (unsigned int i = 0; i < 100; i++)
		agree_around(set, nets, count,
		    &nets[random_below((unsigned int)count)]);
	netset_free(&set);
	free(nets);
}

/* A network is known again by its address and prefix, and by both. */
static void
a_network_is_found_with_its_mark(void **state)
{
	static const struct {
		const char *text;
		unsigned int mark; /* 0: it is not there */
	} rows[] = {
		{ "10.0.0.0/8", 1 },
		{ "!10.0.0.0/16", 2 },
		{ "fd00::/8", 3 },
		{ "fd00::1", 4 },
		{ "10.0.0.0/9", 0 },
		{ "11.0.0.0/8", 0 },
		{ "fd00::2", 0 },
	};
	struct netset *set = netset_new();
	struct err e;

	(void)state;
	assert_non_null(set);
	for (size_t i = ARRAY_LEN(rows); i > 0; i--) {
		struct net net;

		assert_int_equal(net_parse(rows[i - 1].text, &net, &e), 0);
		net.mark = rows[i - 1].mark;
		if (net.mark > 0)
			assert_int_equal(netset_add_net(set, &net, &e), 0);
		assert_false(netset_find(set, &net));
	}
	assert_int_equal(netset_seal(set, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net net;
		bool found;

		assert_int_equal(net_parse(rows[i].text, &net, &e), 0);
		net.excluded = false;
		found = netset_find(set, &net);
		if (found != (rows[i].mark > 0) || net.mark != rows[i].mark ||
		    net.excluded != (found && rows[i].text[0] == '!'))
			fail_msg("%s: got mark %u, want %u", rows[i].text,
			    net.mark, rows[i].mark);
	}
	netset_free(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acceptance_table_holds),
		cmocka_unit_test(network_text_is_canonical_or_refused),
		cmocka_unit_test(doubtful_lists_are_refused),
		cmocka_unit_test(nearly_everybody_is_still_a_list),
		cmocka_unit_test(many_pieces_of_everybody_are_everybody),
		cmocka_unit_test(ipv6_network_never_covers_ipv4),
		cmocka_unit_test(set_without_seal_or_network_contains_nobody),
		cmocka_unit_test(sealed_networks_are_in_order_and_once),
		cmocka_unit_test(a_network_is_found_with_its_mark),
		cmocka_unit_test(random_sets_agree_with_the_naive_matcher),
		cmocka_unit_test(prefix_bits_count_and_host_bits_do_not),
		cmocka_unit_test(nesting_is_as_deep_as_prefixes_are),
		cmocka_unit_test(
		    hundred_thousand_networks_agree_with_the_naive_matcher),
	};
	const char *given = getenv("POSTERN_SEED");

	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	seed = seed != 0 ? seed : 1;
	print_message("POSTERN_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
