/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of networks from hostile hands: lines are added, the list is sealed,
 * and every line and every network's edge is asked for. Aborts when the answer
 * is not that of the naive matcher, or when a refusal does not say why.
 */
#include "policy/netset.h"

#include "tests/fuzz/fuzz.h"
#include "tests/lib/naive.h"

#define LINES_MAX 200
#define TEXT_MAX  200

/* Splits at newlines; NULs end a line early, as they do in any C text. */
static size_t
split(const uint8_t *data, size_t size, char lines[LINES_MAX][TEXT_MAX])
{
	size_t count = 0;

	while (size > 0 && count < LINES_MAX) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end != NULL ? (size_t)(end - data) : size;

		if (len < TEXT_MAX) {
			memcpy(lines[count], data, len);
			lines[count++][len] = '\0';
		}
		data += end != NULL ? len + 1 : len;
		size -= end != NULL ? len + 1 : len;
	}
	return count;
}

static void
check_net(const struct net *net)
{
	struct netset *again = netset_new();
	struct err e = { "" };
	char text[NET_TEXT_MAX];
	struct net same;

	REQUIRE(again != NULL);
	REQUIRE(net->prefix >= 1 && net->prefix <= naive_width(&net->addr));
	for (unsigned int i = net->prefix; i < naive_width(&net->addr); i++)
		REQUIRE(!naive_bit(&net->addr, i));
	net_format(net, text);
	REQUIRE(netset_add(again, text, &e) == 0);
	REQUIRE(netset_seal(again, &e) == 0);
	same = netset_get(again, 0);
	REQUIRE(same.prefix == net->prefix && same.excluded == net->excluded &&
	    memcmp(&same.addr, &net->addr, sizeof(same.addr)) == 0);
	netset_free(&again);
}

static void
check_address(const struct netset *set, const struct net *nets, size_t count,
    const struct netaddr *addr)
{
	size_t want = naive_best(nets, count, addr);
	struct net best;
	int got = netset_contains(set, addr, &best);

	if (want == count) {
		REQUIRE(!got && best.addr.family == NETADDR_NONE);
		return;
	}
	REQUIRE(got == !nets[want].excluded);
	REQUIRE(best.prefix == nets[want].prefix &&
	    memcmp(&best.addr, &nets[want].addr, sizeof(best.addr)) == 0);
}

static void
check_answers(const struct netset *set, char lines[LINES_MAX][TEXT_MAX],
    size_t count)
{
	static struct net nets[LINES_MAX];
	size_t known = netset_count(set);
	struct netaddr addr;

	for (size_t i = 0; i < known; i++)
		nets[i] = netset_get(set, i);
	for (size_t i = 0; i < known; i++) {
		check_net(&nets[i]);
		addr = nets[i].addr;
		check_address(set, nets, known, &addr);
		naive_flip(&addr, nets[i].prefix - 1);
		check_address(set, nets, known, &addr);
		naive_flip(&addr, nets[i].prefix - 1);
		for (unsigned int bit = nets[i].prefix;
		     bit < naive_width(&addr); bit++)
			naive_flip(&addr, bit);
		check_address(set, nets, known, &addr);
	}
	for (size_t i = 0; i < count; i++) {
		char *text = lines[i] + (lines[i][0] == '!' ? 1 : 0);

		text[strcspn(text, "/")] = '\0';
		if (netaddr_parse(text, &addr) == 0)
			check_address(set, nets, known, &addr);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char lines[LINES_MAX][TEXT_MAX];
	size_t count = split(data, size, lines);
	struct netset *set = netset_new();
	struct netaddr loopback;
	struct err e;

	REQUIRE(set != NULL);
	for (size_t i = 0; i < count; i++) {
		e.text[0] = '\0';
		if (netset_add(set, lines[i], &e) != 0)
			REQUIRE(e.text[0] != '\0');
	}
	e.text[0] = '\0';
	if (netset_seal(set, &e) == 0) {
		check_answers(set, lines, count);
	} else {
		REQUIRE(e.text[0] != '\0');
		REQUIRE(netaddr_parse("127.0.0.1", &loopback) == 0);
		REQUIRE(!netset_contains(set, &loopback, NULL));
	}
	netset_free(&set);
	return 0;
}
