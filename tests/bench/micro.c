/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one decision, one look-up of a network, one parsed path and one cached
 * identity cost, on one thread. Prints "NAME NANOSECONDS" lines, the median of
 * several rounds each; it must not judge them. Inputs vary from call to call,
 * so that no branch predictor learns them by heart, and every result is used.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "identity/identity.h"
#include "policy/decide.h"
#include "policy/netset.h"
#include "policy/path.h"

#define ROUNDS   9
#define NETWORKS 100000
#define VARIANTS 4096 /* a power of two */

static uint64_t sink; /* printed at the end: nothing is optimised away */

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A small generator of our own: the same inputs in every run. */
static uint32_t
next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

__attribute__((noreturn)) static void
give_up(const char *what)
{
	fprintf(stderr, "micro: %s\n", what);
	exit(1);
}

static int
compare_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Runs fn(i) `calls` times a round and prints the median round's ns a call. */
static void
measure(const char *name, uint64_t (*fn)(uint32_t i), uint32_t calls)
{
	double rounds[ROUNDS];

	for (uint32_t i = 0; i < calls / 4; i++)
		sink += fn(i);
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t begin = now();

		for (uint32_t i = 0; i < calls; i++)
			sink += fn(i);
		rounds[r] = (double)(now() - begin) / calls;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare_double);
	printf("%s %.1f\n", name, rounds[ROUNDS / 2]);
}

/* ---- decisions ---- */

static struct facts some_facts[VARIANTS];
static const struct switches switches = {
	.sender_check = SENDER_CHECK_ENVELOPE,
};

/* Mostly ordinary clients: what a busy relay sees. */
static void
prepare_facts(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		struct facts *f = &some_facts[i];
		uint32_t r = next_random();

		f->zone = (r & 1) != 0 ? ZONE_INTERNAL : ZONE_EXTERNAL;
		f->role = (r & 6) == 0 ? ROLE_MX : ROLE_SUBMISSION;
		f->guessing = GUESSING_WITHIN;
		f->tls = (r & 24) == 0 ? TLS_ABSENT : TLS_STRONG;
		f->login = (r & 96) == 0 ? LOGIN_ABSENT : LOGIN_PRESENT;
		f->identity =
		    (r & 896) == 0 ? IDENTITY_REFUSED : IDENTITY_VERIFIED;
		f->identity_asked = true;
		f->sender = ADDRESS_QUALIFIED;
		f->sender_owned = (r & 7168) == 0 ? TRI_NO : TRI_YES;
		f->recipient = ADDRESS_QUALIFIED;
		f->recipient_routed = TRI_NO;
		f->recipient_local = (r & 8192) == 0 ? TRI_NO : TRI_YES;
	}
}

static uint64_t
ask_mail(uint32_t i)
{
	struct decision d =
	    decide_mail(&switches, &some_facts[i & (VARIANTS - 1)]);

	return (uint64_t)d.verdict + (uint64_t)d.reason;
}

static uint64_t
ask_rcpt(uint32_t i)
{
	struct decision d =
	    decide_rcpt(&switches, &some_facts[i & (VARIANTS - 1)]);

	return (uint64_t)d.verdict + (uint64_t)d.reason;
}

/* ---- networks ---- */

static struct netset *networks;
static struct netaddr some_peers[VARIANTS];

static void
random_network(char *text, size_t size, size_t i)
{
	uint32_t r = next_random();

	/* nested lengths, so that the longest match has something to do */
	if (i % 4 == 0)
		snprintf(text, size, "%s2001:db8:%x:%x::/64",
		    i % 16 == 0 ? "!" : "", r & 0xffff, r >> 16);
	else if (i % 4 == 1)
		snprintf(text, size, "%u.%u.%u.0/24", 1 + r % 200,
		    (r >> 8) & 255, (r >> 16) & 255);
	else if (i % 4 == 2)
		snprintf(text, size, "%u.%u.%u.%u/28", 1 + r % 200,
		    (r >> 8) & 255, (r >> 16) & 255, (r >> 24) & 240);
	else
		snprintf(text, size, "%u.%u.%u.%u", 1 + r % 200, (r >> 8) & 255,
		    (r >> 16) & 255, r >> 24);
}

static void
prepare_networks(void)
{
	char text[80];
	struct err e = { "no memory" };
	struct net best;

	networks = netset_new();
	if (networks == NULL)
		give_up("no memory");
	for (size_t i = 0; i < NETWORKS; i++) {
		random_network(text, sizeof(text), i);
		if (netset_add(networks, text, &e) != 0)
			give_up(e.text);
	}
	if (netset_seal(networks, &e) != 0)
		give_up(e.text);
	for (size_t i = 0; i < VARIANTS; i++) {
		struct netaddr *a = &some_peers[i];
		uint32_t r = next_random();

		a->family = NETADDR_INET;
		for (int j = 0; j < 4; j++)
			a->octets[j] = (uint8_t)(r >> (8 * j));
		/* every other one is inside */
		if (i % 2 == 0)
			*a = netset_get(networks,
			    next_random() % netset_count(networks))
				 .addr;
		(void)netset_contains(networks, a, &best);
	}
}

static uint64_t
ask_network(uint32_t i)
{
	return netset_contains(networks, &some_peers[i & (VARIANTS - 1)], NULL);
}

static uint64_t
ask_network_best(uint32_t i)
{
	struct net best;

	return netset_contains(networks, &some_peers[i & (VARIANTS - 1)],
		   &best) +
	    best.prefix;
}

/* ---- paths ---- */

static uint64_t
parse_path(uint32_t i)
{
	static const char *const paths[] = {
		"<alice@example.org>",
		"<bounces+12345-alice=example.org@mail.remote.example>",
		"<\"Alice B. Carol\"@sub.example.org>",
		"<bob@remote.example>",
		"<dave.eve@[192.0.2.25]>",
		"<u%remote.example@example.org>",
		"<first.last@a-long-label.with.several.labels.example.net>",
		"<>",
	};
	const char *raw = paths[i & 7];
	struct path path;

	path_parse(PATH_OF_MAIL, raw, strlen(raw), false, &path);
	return (uint64_t)path.form + (uint64_t)path.local[0];
}

/* ---- identity ---- */

static struct identity_engine *engine;
static struct login alice = { "alice@example.org" };

static uint64_t
ask_identity(uint32_t i)
{
	(void)i;
	return identity_ask(engine, &alice) == IDENTITY_VERIFIED;
}

static void
report(void *arg, enum identity_level level, const char *text)
{
	(void)arg;
	if (level == IDENTITY_ALARM)
		fprintf(stderr, "micro: %s\n", text);
}

static void
measure_identity(const char *url, const char *ca_file, const char *password)
{
	static const char *const domains[] = { "*" };
	const struct identity_backend backend = {
		.name = "main",
		.urls = &url,
		.url_count = 1,
		.ca_file = ca_file,
		.domains = domains,
		.domain_count = 1,
		.login_as_address = true,
		.master_separator = "",
		.proxy = true,
		.proxy_user = "postern",
		.proxy_password = password,
		.mailbox_check = IDENTITY_MAILBOX_NO,
		.canary = "",
		.timeout_ms = 4000,
		.max_connections = 4,
	};
	const struct identity_options options = {
		.backends = &backend,
		.backend_count = 1,
		.ttl_ms = 600000,
		.refused_ttl_ms = 15000,
		.wait_ms = 4000,
		.waiters = 4,
		.report = report,
	};
	struct err e = { "" };

	engine = identity_new(&options, &e);
	if (engine == NULL)
		give_up(e.text);
	(void)identity_wait_ready(engine, 5000);
	if (identity_ask(engine, &alice) != IDENTITY_VERIFIED)
		give_up("the IMAP server does not verify alice@example.org");
	measure("identity_ask_cached", ask_identity, 1000000);
	identity_free(&engine);
}

int
main(int argc, char **argv)
{
	if (argc != 1 && argc != 4) {
		fprintf(stderr, "usage: micro [imaps-url ca-file password]\n");
		return 2;
	}
	prepare_facts();
	measure("decide_mail", ask_mail, 2000000);
	measure("decide_rcpt", ask_rcpt, 2000000);
	prepare_networks();
	measure("netset_contains", ask_network, 1000000);
	measure("netset_contains_best", ask_network_best, 1000000);
	netset_free(&networks);
	measure("path_parse", parse_path, 1000000);
	if (argc == 4)
		measure_identity(argv[1], argv[2], argv[3]);
	fprintf(stderr, "micro: checksum %" PRIu64 "\n", sink);
	return 0;
}
