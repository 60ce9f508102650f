/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the store does in a second, and what it remembers in how much memory.
 *     store lmdb DIR        takes and reads on one thread; octets of a login
 *     store redis URL       takes: one after the other, and many in flight
 *     store script          the words of a take, for redis-benchmark
 * Prints "NAME VALUE" lines; it must not judge them. Nothing here waits for a
 * disk: the file is written behind, by the store's own thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/redis.h"

#define LOGINS    10000
#define TRACKED   40000
#define ROUNDS    5
#define ROUND_MS  400
#define IN_FLIGHT 256

/* A day's allowance that no bench uses up. */
static const struct store_rate rate = { 1000000, 86400000 };
static uint64_t sink;

__attribute__((noreturn)) static void
give_up(const char *what, const char *why)
{
	(void)fprintf(stderr, "store: %s: %s\n", what, why);
	exit(1);
}

static void
complain(void *arg, enum store_level level, const char *text)
{
	(void)arg;
	if (level != STORE_INFO)
		(void)fprintf(stderr, "%s\n", text);
}

static struct store *
open_store(const char *url, const char *dir)
{
	const struct store_options options = { .url = url,
		.state_dir = dir,
		.report = complain };
	struct err e = { "" };
	struct store *store = store_open(&options, &e);

	if (store == NULL)
		give_up(url, e.text);
	return store;
}

static uint64_t
now_ms(void)
{
	return clock_real_ns() / 1000000;
}

static void
make_key(char *key, size_t size, const char *what, unsigned int n)
{
	(void)snprintf(key, size, "%s/user%05u@example.org", what, n);
}

static void
take(struct store *store, unsigned int n)
{
	char key[64];

	make_key(key, sizeof(key), "messages", n % LOGINS);
	sink += store_rate_take(store, key, &rate, 1, now_ms(), NULL, NULL) ==
	    STORE_TAKEN;
}

static struct netaddr
address(unsigned int n)
{
	struct netaddr addr = { NETADDR_INET, { 198, 51 } };

	addr.octets[2] = (uint8_t)(n >> 8);
	addr.octets[3] = (uint8_t)n;
	return addr;
}

/* Every second one holds a lease. */
static void
read_lease(struct store *store, unsigned int n)
{
	struct netaddr addr = address(n * 7919 % (2 * LOGINS));
	struct login login;

	sink += (uint64_t)store_lease_get(store, &addr, now_ms(), &login, 1);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of the rounds' calls in a second. */
static double
measure(struct store *store, void (*call)(struct store *store, unsigned int n))
{
	double rates[ROUNDS];
	unsigned int n = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		uint64_t began = clock_mono_ms(), took;
		unsigned int before = n;

		do {
			for (unsigned int i = 0; i < 500; i++)
				call(store, n++);
			took = clock_mono_ms() - began;
		} while (took < ROUND_MS);
		rates[round] = (n - before) * 1000.0 / (double)took;
	}
	qsort(rates, ROUNDS, sizeof(rates[0]), compare);
	return rates[ROUNDS / 2];
}

static uint64_t
resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f != NULL)
		(void)fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Messages, recipients and octets, and three networks. */
static double
track(struct store *store)
{
	static const char *const rates[] = { "m", "r", "b" };
	uint64_t before = resident(), t = now_ms();
	char key[64];

	for (unsigned int n = 0; n < TRACKED; n++) {
		for (size_t i = 0; i < 3; i++) {
			make_key(key, sizeof(key), rates[i], n);
			(void)store_rate_take(store, key, &rate, 1, t, NULL,
			    NULL);
		}
		make_key(key, sizeof(key), "a", n);
		for (uint64_t i = 0; i < 3; i++)
			(void)store_distinct_add(store, key, i, 86400000, t);
	}
	return (double)(resident() - before) / TRACKED;
}

static void
bench_lmdb(const char *dir)
{
	struct store *store = open_store("lmdb:", dir);

	for (unsigned int n = 0; n < LOGINS; n++) {
		struct store_lease lease = { .addr = address(2 * n),
			.until_ms = now_ms() + 3600000,
			.source = "dovecot" };

		make_key(lease.login.text, sizeof(lease.login.text), "l", n);
		if (store_lease_put(store, &lease) != 0)
			give_up(dir, "no lease");
	}
	if (store_flush(store, 60000) != 0)
		give_up(dir, "not written");
	(void)printf("take %.0f\n", measure(store, take));
	if (store_flush(store, 60000) != 0)
		give_up(dir, "not written");
	(void)printf("lease %.0f\n", measure(store, read_lease));
	store_close(&store);
	store = open_store("lmdb:", dir);
	(void)printf("login %.0f\n", track(store));
	store_close(&store);
}

static const char *const words[] = { "EVALSHA", "", "1",
	"postern:r:messages/000000000000", "", "86400000000", "86400" };

/* As redis_take() does, but for the wait. */
static struct redis_request *
send_take(struct redis *r, unsigned int n)
{
	char key[64], now[24];
	const char *argv[7];
	size_t lens[7];
	struct redis_request *request;

	(void)snprintf(key, sizeof(key), "postern:r:messages/%012u",
	    n % LOGINS);
	(void)snprintf(now, sizeof(now), "%" PRIu64, now_ms() * 1000);
	memcpy(argv, words, sizeof(argv));
	argv[1] = r->sha[SCRIPT_TAKE];
	argv[3] = key;
	argv[4] = now;
	for (size_t i = 0; i < 7; i++)
		lens[i] = strlen(argv[i]);
	request = redis_request(r, 7, argv, lens);
	if (redis_send(r, request, false) != 0)
		give_up(r->base.path, "away");
	return request;
}

/* Many at a time, each waited for. */
static double
measure_flight(struct redis *r)
{
	struct redis_request *flight[2 * IN_FLIGHT] = { NULL };
	uint64_t began = clock_mono_ms();
	unsigned int n = 0, good = 0, half = 0;

	/* one half goes out while the other is waited for */
	for (bool last = false; !last; half = IN_FLIGHT - half) {
		last = clock_mono_ms() - began >= (uint64_t)ROUND_MS * ROUNDS;
		for (unsigned int i = 0; i < IN_FLIGHT && !last; i++)
			flight[half + i] = send_take(r, n++);
		for (unsigned int i = IN_FLIGHT - half;
		     i < 2 * IN_FLIGHT - half; i++) {
			redisReply *reply = NULL;

			if (flight[i] != NULL)
				reply = redis_receive(r, flight[i], 1000);
			flight[i] = NULL;
			good +=
			    reply != NULL && reply->type == REDIS_REPLY_ARRAY;
			if (reply != NULL)
				freeReplyObject(reply);
		}
	}
	if (good != n)
		give_up(r->base.path, "not every take was answered");
	return n * 1000.0 / (double)(clock_mono_ms() - began);
}

static void
bench_redis(const char *url)
{
	struct store *store = open_store(url, NULL);

	(void)printf("flight %.0f\n", measure_flight((struct redis *)store));
	(void)printf("take %.0f\n", measure(store, take));
	store_close(&store);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "lmdb") == 0)
		bench_lmdb(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "redis") == 0)
		bench_redis(argv[2]);
	else if (argc == 2 && strcmp(argv[1], "script") == 0)
		(void)printf("%s", redis_scripts[SCRIPT_TAKE]);
	else
		give_up("usage", "store lmdb DIR | redis URL | script");
	return sink == UINT64_MAX;
}
