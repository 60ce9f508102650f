/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in Redis when Redis is not well: it is away, comes back, hangs, is
 * full, has forgotten the scripts, wants a password or a certificate. Nobody
 * waits for long, what is unknown is said to be unknown, and it is told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/redis.h"
#include "tests/lib/redisd.h"
#include "tests/lib/stores.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DEADLINE_MS  10000
/* A machine that is busy may be late, but not by that. */
#define PROMPT_MS 20

static struct redisd redisd;
static int
begin(void **state)
{
	(void)state;
	said_clear();
	return redisd_prepare(&redisd);
}

static int
end(void **state)
{
	(void)state;
	redisd_clear(&redisd);
	return 0;
}

/* Callers that wait for longer than they would, on a machine that is busy. */
static struct store *
open_with(const char *url, const char *password, const char *ca_file)
{
	const struct store_options options = { .url = url,
		.report = said_note,
		.password = password,
		.ca_file = ca_file };
	struct err e = { "" };
	struct store *store = redis_open_patient(&options, DEADLINE_MS, &e);

	if (store == NULL)
		fail_msg("cannot open: %s", e.text);
	return store;
}

/* ... and those that wait for as long as they do. */
static struct store *
open_hasty(void)
{
	const struct store_options options = { .url = redisd.url,
		.report = said_note };
	struct err e = { "" };
	struct store *store = store_open(&options, &e);

	if (store == NULL)
		fail_msg("cannot open: %s", e.text);
	return store;
}

static void
wait_until_said(const char *text)
{
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t until = clock_mono_ms() + DEADLINE_MS;

	while (said_times(text) == 0 && clock_mono_ms() < until)
		(void)nanosleep(&step, NULL);
	if (said_times(text) == 0)
		fail_msg("not said: \"%s\", but: %s", text, said_text());
}

static bool
is_up(struct store *store)
{
	struct redis *r = (struct redis *)store;
	bool up;

	(void)pthread_mutex_lock(&r->lock);
	up = r->up;
	(void)pthread_mutex_unlock(&r->lock);
	return up;
}

static void
wait_until_up(struct store *store, bool up)
{
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t until = clock_mono_ms() + DEADLINE_MS;

	while (is_up(store) != up && clock_mono_ms() < until)
		(void)nanosleep(&step, NULL);
	if (is_up(store) != up)
		fail_msg("is not %s: %s", up ? "up" : "away", said_text());
}

/* The connection that hangs is closed, and another one hangs as well. */
static void
wait_until_given_up(struct store *store)
{
	struct redis *r = (struct redis *)store;
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t until = clock_mono_ms() + DEADLINE_MS;
	bool given_up = false;

	while (!given_up && clock_mono_ms() < until) {
		(void)nanosleep(&step, NULL);
		(void)pthread_mutex_lock(&r->lock);
		given_up = strcmp(r->why.text, "no answer") == 0;
		(void)pthread_mutex_unlock(&r->lock);
	}
	if (!given_up)
		fail_msg("not given up: %s", said_text());
}

static struct store *
begin_store(const char *const *more)
{
	assert_int_equal(redisd_start(&redisd, more), 0);
	return open_with(redisd.url, NULL, NULL);
}

static struct store *
begin_hasty(void)
{
	assert_int_equal(redisd_start(&redisd, NULL), 0);
	return open_hasty();
}

static const struct login alice = { "alice@example.org" };
static const struct store_rate rate = { 1000000, 3600000 };

static enum store_taken
take(struct store *store)
{
	return store_rate_take(store, "k", &rate, 1, now_ms(), NULL, NULL);
}

/* Everything is unknown, and known to be so at once: none but the first of
 * these waits. One that took long is asked again: it may have been the
 * scheduler, but then it is not so every time. */
static void
expect_unknown(struct store *store)
{
	const struct netaddr addr = { NETADDR_INET, { 192, 0, 2, 1 } };
	struct store_lease lease = { .addr = addr,
		.login = alice,
		.until_ms = now_ms() + 60000 };
	const uint64_t until = clock_mono_ms() + DEADLINE_MS;

	for (int i = 0; i < 9; i++) {
		uint64_t began = clock_mono_ms(), took;
		struct login login;
		char value[STORE_STATE_MAX];
		struct err e = { "" };
		size_t len;
		bool good = false;

		switch (i) {
		case 0:
			good = take(store) == STORE_TAKEN_UNKNOWN;
			break;
		case 1:
			good = store_proof_get(store, &alice, NULL, 1000,
				   now_ms()) == TRI_UNKNOWN;
			break;
		case 2:
			good = store_lease_get(store, &addr, now_ms(), &login,
				   1) == -1;
			break;
		case 3:
			good = store_state_get(store, "k", now_ms(), value,
				   &len) == -1;
			break;
		case 4:
			good = store_distinct_add(store, "k", 1, 1000,
				   now_ms()) == -1;
			break;
		case 5:
			good = store_proof_put(store, &alice, NULL, now_ms()) ==
			    -1;
			break;
		case 6:
			good = store_lease_put(store, &lease) == -1;
			break;
		case 7:
			good =
			    store_proof_forget(store, &alice, NULL, &e) == -1 &&
			    strstr(e.text, "away") != NULL;
			break;
		case 8:
			good = store_flush(store, DEADLINE_MS) == -1;
			break;
		default:
			break;
		}
		took = clock_mono_ms() - began;
		if (!good)
			fail_msg("question %d: not unknown (%s)", i, e.text);
		if (took <= (i == 0 ? REDIS_WAIT_MS + PROMPT_MS : PROMPT_MS))
			continue;
		if (clock_mono_ms() >= until)
			fail_msg("question %d took %llu ms", i,
			    (unsigned long long)took);
		i--;
	}
}

static bool
is_good(struct store *store)
{
	return take(store) == STORE_TAKEN &&
	    store_proof_put(store, &alice, NULL, now_ms()) == 0 &&
	    store_proof_get(store, &alice, NULL, 10000, now_ms()) == TRI_YES &&
	    store_flush(store, DEADLINE_MS) == 0;
}

/* On a loaded machine Redis may well miss its 50 ms now and then. */
static void
expect_good(struct store *store)
{
	uint64_t until = clock_mono_ms() + DEADLINE_MS;

	while (!is_good(store)) {
		if (clock_mono_ms() >= until)
			fail_msg("it does not serve; said: %s", said_text());
	}
}

static void
it_may_be_away_at_the_start(void **state)
{
	struct store *store = open_hasty();

	(void)state;
	assert_int_equal(said_times("2:"), 1);
	assert_int_equal(said_times("away"), 1);
	expect_unknown(store);
	assert_int_equal(redisd_start(&redisd, NULL), 0);
	wait_until_said("0:");
	expect_good(store);
	store_close(&store);
	assert_int_equal(said_times("2:"), 1);
}

/* A line when it goes, a line when it is back. */
static void
it_may_be_restarted(void **state)
{
	struct store *store = begin_hasty();

	(void)state;
	expect_good(store);
	for (int round = 0; round < 3; round++) {
		redisd_stop(&redisd);
		wait_until_up(store, false);
		for (int i = 0; i < 300; i++)
			expect_unknown(store);
		assert_int_equal(redisd_start(&redisd, NULL), 0);
		wait_until_up(store, true);
		expect_good(store);
	}
	store_close(&store);
	/* a loaded machine's was late once or twice besides */
	assert_in_range(said_times("2:"), 3, 5);
	assert_int_equal(said_times("0:"), said_times("2:"));
}

/* One that is late again and again is not told of again and again. */
static void
it_may_come_and_go(void **state)
{
	struct store *store = begin_hasty();

	(void)state;
	for (int round = 0; round < 10; round++) {
		expect_good(store);
		redisd_pause(&redisd);
		while (take(store) != STORE_TAKEN_UNKNOWN)
			;
		wait_until_up(store, false);
		redisd_continue(&redisd);
		wait_until_up(store, true);
	}
	store_close(&store);
	assert_in_range(said_times("2:"), 1, 5);
	assert_int_equal(said_times("0:"), said_times("2:"));
}

/* Between the store and Redis: lets every answer wait. */
struct detour {
	int listening;
	char url[64];
	long delay_ns;
};

static int
connect_redis(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
	    redisd.socket);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* One read's octets from one to the other. False: that was the end. */
static bool
pass_on(int from, int to, long delay_ns)
{
	const struct timespec delay = { .tv_nsec = delay_ns };
	char octets[4096];
	ssize_t len = read(from, octets, sizeof(octets));

	if (len <= 0)
		return false;
	(void)nanosleep(&delay, NULL);
	return write(to, octets, (size_t)len) == len;
}

/* Until the listening socket is shut down. */
static void *
carry(void *arg)
{
	const struct detour *d = arg;
	int fd;

	while ((fd = accept(d->listening, NULL, NULL)) >= 0) {
		struct pollfd ends[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = connect_redis(), .events = POLLIN } };
		bool going = ends[1].fd >= 0;

		while (going && poll(ends, 2, -1) > 0) {
			if (ends[0].revents != 0)
				going = pass_on(fd, ends[1].fd, 0);
			if (going && ends[1].revents != 0)
				going = pass_on(ends[1].fd, fd, d->delay_ns);
		}
		(void)close(fd);
		(void)close(ends[1].fd);
	}
	return NULL;
}

static void
begin_detour(struct detour *d, long delay_ns)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	d->delay_ns = delay_ns;
	d->listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(d->listening, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(d->listening, 5), 0);
	assert_int_equal(
	    getsockname(d->listening, (struct sockaddr *)&addr, &len), 0);
	(void)snprintf(d->url, sizeof(d->url), "redis://127.0.0.1:%u",
	    (unsigned int)ntohs(addr.sin_port));
}

struct steps {
	struct store *store;
	unsigned int most; /* answers that one step had */
	bool said;
	bool again; /* a later step had an answer */
};

/* On a thread of its own: it has no more time than its steps. */
static void *
take_steps(void *arg)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t until = clock_mono_ms() + DEADLINE_MS;
	struct steps *steps = arg;

	while (!steps->said && clock_mono_ms() < until) {
		unsigned int known = 0;

		store_callback(steps->store);
		for (int i = 0; i < 8; i++)
			known += take(steps->store) != STORE_TAKEN_UNKNOWN;
		steps->most = known > steps->most ? known : steps->most;
		steps->said = said_times("too slow") > 0;
		(void)nanosleep(&pause, NULL); /* it may be away */
	}
	while (!steps->again && clock_mono_ms() < until) {
		store_callback(steps->store);
		steps->again = take(steps->store) != STORE_TAKEN_UNKNOWN;
	}
	return NULL;
}

/* Each answer comes in time, and eight of them do not. */
static void
it_may_be_slow(void **state)
{
	struct store_options options = { .report = said_note };
	struct steps steps = { .store = NULL };
	struct err e = { "" };
	struct detour detour;
	pthread_t carrier, thread;

	(void)state;
	assert_int_equal(redisd_start(&redisd, NULL), 0);
	begin_detour(&detour, 20000000);
	assert_int_equal(pthread_create(&carrier, NULL, carry, &detour), 0);
	options.url = detour.url;
	steps.store = store_open(&options, &e);
	assert_non_null(steps.store);
	assert_int_equal(pthread_create(&thread, NULL, take_steps, &steps), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	store_close(&steps.store);
	(void)shutdown(detour.listening, SHUT_RDWR);
	assert_int_equal(pthread_join(carrier, NULL), 0);
	(void)close(detour.listening);
	assert_true(steps.said);
	assert_in_range(steps.most, 0, 3);
	assert_true(steps.again);
	assert_int_equal(said_times("too slow"), 1);
}

struct caller {
	struct store *store;
	uint64_t most_ms;
	atomic_uint known;
	atomic_bool stop;
};

/* As a session does, it has something else to do when it knows nothing. */
static void *
call(void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct caller *c = arg;

	while (!atomic_load(&c->stop)) {
		uint64_t began = clock_mono_ms(), took;
		bool known = take(c->store) != STORE_TAKEN_UNKNOWN;

		took = clock_mono_ms() - began;
		c->most_ms = took > c->most_ms ? took : c->most_ms;
		if (known)
			(void)atomic_fetch_add(&c->known, 1);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
wait_until_known(struct caller *caller)
{
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t until = clock_mono_ms() + DEADLINE_MS;

	while (atomic_load(&caller->known) == 0 && clock_mono_ms() < until)
		(void)nanosleep(&step, NULL);
	if (atomic_load(&caller->known) == 0)
		fail_msg("a caller knows nothing: %s", said_text());
}

/* SIGSTOP amid the questions of many threads. */
static void
it_may_hang(void **state)
{
	struct store *store = begin_hasty();
	static struct caller callers[6]; /* they outlive a test that fails */
	pthread_t threads[6];
	uint64_t least = UINT64_MAX;

	(void)state;
	expect_good(store);
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		callers[i] = (struct caller){ .store = store };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, call, &callers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(callers); i++)
		wait_until_known(&callers[i]);
	/* once for as long as a moment, once until the connection is given up
	 * and no other to be had */
	for (int round = 0; round < 2; round++) {
		redisd_pause(&redisd);
		wait_until_up(store, false);
		expect_unknown(store);
		if (round == 1)
			wait_until_given_up(store);
		expect_unknown(store);
		redisd_continue(&redisd);
		wait_until_up(store, true);
		expect_good(store);
	}
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		atomic_store(&callers[i].stop, true);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		least = callers[i].most_ms < least ? callers[i].most_ms : least;
	}
	/* Who waits for more than its 50 ms waits for more than a second; the
	 * scheduler may have kept some of them waiting, but not each. */
	print_message("the longest wait of the luckiest thread: %llu ms\n",
	    (unsigned long long)least);
	assert_in_range(least, 0, REDIS_WAIT_MS + 1000);
	store_close(&store);
}

static void
it_may_be_full(void **state)
{
	static const char *const more[] = { "--maxmemory", "3mb",
		"--maxmemory-policy", "noeviction", NULL };
	struct store *store = begin_store(more);
	char key[64];
	unsigned int n = 0;

	(void)state;
	expect_good(store);
	for (; n < 200000 && said_times("refuses") == 0; n++) {
		(void)snprintf(key, sizeof(key), "fill/%u", n);
		(void)store_rate_take(store, key, &rate, 1, now_ms(), NULL,
		    NULL);
	}
	print_message("full after %u\n", n);
	assert_in_range(n, 100, 199999);
	assert_int_equal(said_times("refuses:"), 1);
	assert_int_equal(said_times("OOM"), 1);
	/* what cannot be counted is unknown, what can be read is not */
	assert_int_equal(take(store), STORE_TAKEN_UNKNOWN);
	assert_int_equal(store_distinct_add(store, "k", 1, 1000, now_ms()), -1);
	assert_int_equal(store_proof_get(store, &alice, NULL, 60000, now_ms()),
	    TRI_YES);
	(void)store_proof_put(store, &alice, NULL, now_ms());
	assert_int_equal(store_flush(store, DEADLINE_MS), -1);
	assert_int_equal(said_times("refuses:"), 1);
	assert_int_equal(redisd_ask(&redisd, "CONFIG SET maxmemory 0"), 0);
	expect_good(store);
	wait_until_said("refuses no more");
	store_close(&store);
}

static void
it_may_forget_the_scripts(void **state)
{
	struct store *store = begin_store(NULL);
	uint64_t left = 0;

	(void)state;
	expect_good(store);
	assert_int_equal(redisd_ask(&redisd, "SCRIPT FLUSH"), 0);
	assert_int_equal(
	    store_rate_take(store, "new", &rate, 1, now_ms(), &left, NULL),
	    STORE_TAKEN);
	assert_int_equal(left, rate.count - 1);
	assert_int_equal(redisd_ask(&redisd, "SCRIPT FLUSH"), 0);
	assert_int_equal(store_distinct_add(store, "d", 1, 1000, now_ms()), 1);
	assert_int_equal(redisd_ask(&redisd, "SCRIPT FLUSH"), 0);
	store_rate_give(store, "new", &rate, 1, now_ms());
	expect_good(store);
	assert_int_equal(
	    store_rate_take(store, "new", &rate, 0, now_ms(), &left, NULL),
	    STORE_TAKEN);
	assert_int_equal(left, rate.count);
	assert_string_equal(said_text(), "");
	store_close(&store);
}

static void
two_hosts_share_it(void **state)
{
	const struct store_rate ten = { 10, 3600000 };
	struct store *one = begin_store(NULL);
	struct store *two = open_with(redisd.url, NULL, NULL);
	const uint64_t t = now_ms();
	unsigned int taken = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		taken += store_rate_take(i % 2 == 0 ? one : two, "shared", &ten,
			     1, t, NULL, NULL) == STORE_TAKEN;
	assert_int_equal(taken, 10);
	assert_int_equal(store_distinct_add(one, "d", 1, 1000, t + 3), 1);
	/* the other's clock is a little late */
	assert_int_equal(store_distinct_add(two, "d", 2, 1000, t), 2);
	assert_int_equal(store_proof_put(one, &alice, NULL, t), 0);
	assert_int_equal(store_flush(one, DEADLINE_MS), 0);
	assert_int_equal(store_proof_get(two, &alice, NULL, 1000, t), TRI_YES);
	assert_int_equal(store_proof_forget(two, &alice, NULL, NULL), 1);
	assert_int_equal(store_proof_get(one, &alice, NULL, 1000, t), TRI_NO);
	store_close(&one);
	store_close(&two);
}

/* Every key has an end, and no key tells more than it must. */
static void
everything_ends(void **state)
{
	const struct netaddr addr = { NETADDR_INET, { 192, 0, 2, 1 } };
	struct store *store = begin_store(NULL);
	struct store_lease lease = { .addr = addr,
		.login = alice,
		.until_ms = now_ms() + 60000 };
	static const char *const keys[] = { "postern:r:k", "postern:d:k",
		"postern:s:k", "postern:p:alice@example.org",
		"postern:l:192.0.2.1" };

	(void)state;
	expect_good(store);
	assert_int_equal(store_distinct_add(store, "k", 1, 1000, now_ms()), 1);
	assert_int_equal(store_state_put(store, "k", "v", 1, now_ms() + 60000),
	    0);
	assert_int_equal(store_lease_put(store, &lease), 0);
	/* far, and farther than can be said */
	assert_int_equal(store_state_put(store, "far", "v", 1, UINT64_MAX), 0);
	assert_int_equal(store_flush(store, DEADLINE_MS), 0);
	assert_int_equal(redisd_ask(&redisd, "DBSIZE"), ARRAY_LEN(keys) + 1);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		long long ttl = redisd_ask(&redisd, "PTTL %s", keys[i]);

		if (ttl <= 0 || ttl > 10LL * 24 * 3600 * 1000)
			fail_msg("%s lives for %lld ms", keys[i], ttl);
	}
	/* what is whole again is soon gone */
	assert_in_range(redisd_ask(&redisd, "PTTL postern:r:k"), 1, 70000);
	store_close(&store);
}

/* A million addresses come and go; here, those of a morning. */
static void
a_crowd_leaves_a_bounded_hash(void **state)
{
	struct store *store = begin_store(NULL);
	const uint64_t t = now_ms();
	struct netaddr from = { .family = NETADDR_INET };

	(void)state;
	store_tend(store, 1000, t);
	for (unsigned int i = 0; i < 5000; i++) {
		memcpy(from.octets, &i, sizeof(i));
		/* nearly all of them long ago */
		assert_int_equal(store_proof_put(store, &alice, &from,
				     t - 5000000 + 1000 * (uint64_t)i),
		    0);
		if (i % 100 == 99)
			assert_int_equal(store_flush(store, DEADLINE_MS), 0);
	}
	assert_in_range(redisd_ask(&redisd, "HLEN postern:p:%s", alice.text), 1,
	    64);
	store_close(&store);
}

static void
a_password_is_asked_for(void **state)
{
	static const char *const more[] = { "--requirepass", "Sesame-17",
		"--user", "postern", "on", ">Open-42", "~postern:*", "+@all",
		"-flushall", NULL };
	char url[128];
	struct store *store;

	(void)state;
	assert_int_equal(redisd_start(&redisd, more), 0);
	store = open_with(redisd.url, NULL, NULL);
	expect_unknown(store);
	store_close(&store);
	assert_int_equal(said_times("NOAUTH"), 1);
	said_clear();
	store = open_with(redisd.url, "Sesame-18", NULL);
	expect_unknown(store);
	store_close(&store);
	assert_int_equal(said_times("WRONGPASS"), 1);
	assert_int_equal(said_times("Sesame"), 0);
	said_clear();
	store = open_with(redisd.url, "Sesame-17", NULL);
	expect_good(store);
	store_close(&store);
	(void)snprintf(url, sizeof(url), "redis://postern@%s?db=3",
	    redisd.socket);
	store = open_with(url, "Open-42", NULL);
	expect_good(store);
	store_close(&store);
	assert_string_equal(said_text(), "");
}

/* Certificates in redisd.dir/tls. */
static void
make_certificates(void)
{
	const char *top = getenv("srcdir");
	char script[4096], tls[96];
	int status = -1;
	pid_t child;

	(void)snprintf(script, sizeof(script), "%s/tests/lib/certs.sh",
	    top != NULL ? top : ".");
	(void)snprintf(tls, sizeof(tls), "%s/tls", redisd.dir);
	child = fork();
	if (child == 0) {
		(void)execlp("sh", "sh", script, tls, (char *)NULL);
		_exit(127);
	}
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
}

/* A port that was free a moment ago. */
static int
free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(close(fd), 0);
	return ntohs(sa.sin_port);
}

static void
certificates_are_looked_at(void **state)
{
	static const struct {
		const char *certificate, *scheme, *host, *authority;
		const char *why; /* NULL: it is good */
	} rows[] = {
		{ "server", "rediss", "localhost", "ca", NULL },
		{ "server", "rediss", "127.0.0.1", "ca", NULL },
		{ "server", "rediss", "localhost", "rogue-ca", "TLS" },
		{ "server", "redis", "localhost", "ca", "away" },
		{ "other", "rediss", "localhost", "ca", "mismatch" },
		{ "other", "rediss", "127.0.0.1", "ca", "mismatch" },
		{ "expired", "rediss", "localhost", "ca", "expired" },
		{ "rogue", "rediss", "localhost", "ca", "TLS" },
	};

	(void)state;
	make_certificates();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char port[8], certificate[128], key[128], authority[128];
		char url[128];
		const char *more[] = { "--tls-port", port, "--bind",
			"127.0.0.1", "--tls-cert-file", certificate,
			"--tls-key-file", key, "--tls-ca-cert-file", authority,
			"--tls-auth-clients", "no", NULL };
		struct store *store;

		(void)snprintf(port, sizeof(port), "%d", free_port());
		(void)snprintf(certificate, sizeof(certificate),
		    "%s/tls/%s.crt", redisd.dir, rows[i].certificate);
		(void)snprintf(key, sizeof(key), "%s/tls/%s.key", redisd.dir,
		    rows[i].certificate);
		(void)snprintf(authority, sizeof(authority), "%s/tls/%s.crt",
		    redisd.dir, rows[i].authority);
		(void)snprintf(url, sizeof(url), "%s://%s:%s", rows[i].scheme,
		    rows[i].host, port);
		assert_int_equal(redisd_start(&redisd, more), 0);
		said_clear();
		store = open_with(url, NULL, authority);
		if (rows[i].why == NULL)
			expect_good(store);
		else
			expect_unknown(store);
		store_close(&store);
		redisd_stop(&redisd);
		if (said_times(rows[i].why == NULL ? "away" : rows[i].why) !=
		    (rows[i].why == NULL ? 0 : 1))
			fail_msg("row %zu: said: %s", i, said_text());
	}
}

/* The resolver, in front of the system's: one name takes its time, and has
 * first an address where nobody answers. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **res)
{
	typedef int function(const char *, const char *,
	    const struct addrinfo *, struct addrinfo **);
	/* longer than the store takes to connect */
	const struct timespec slow = { .tv_sec = 1, .tv_nsec = 100000000 };
	function *real = (function *)dlsym(RTLD_NEXT, "getaddrinfo");
	int rc;

	assert_non_null(real);
	if (strcmp(node, "two.example") != 0)
		return real(node, service, hints, res);
	(void)nanosleep(&slow, NULL);
	rc = real("127.0.0.2", service, hints, res);
	return rc != 0 ? rc
		       : real("127.0.0.1", service, hints, &(*res)->ai_next);
}

/* Listens there, and is full. */
static void
hold_out(int port, int fds_r[12])
{
	const struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK + 1) } };

	for (int i = 0; i < 12; i++) {
		fds_r[i] = socket(AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fds_r[i] >= 0);
		if (i > 0) {
			(void)connect(fds_r[i], (const struct sockaddr *)&sa,
			    sizeof(sa));
			continue;
		}
		assert_int_equal(
		    bind(fds_r[0], (const struct sockaddr *)&sa, sizeof(sa)),
		    0);
		assert_int_equal(listen(fds_r[0], 0), 0);
	}
}

static void
its_name_may_have_many_addresses(void **state)
{
	char port[8], url[64];
	const char *more[] = { "--port", port, "--bind", "127.0.0.1", NULL };
	struct store *store;
	int fds[12], number = free_port();

	(void)state;
	hold_out(number, fds);
	(void)snprintf(port, sizeof(port), "%d", number);
	(void)snprintf(url, sizeof(url), "redis://two.example:%d", number);
	assert_int_equal(redisd_start(&redisd, more), 0);
	store = open_with(url, NULL, NULL);
	wait_until_up(store, true);
	expect_good(store);
	store_close(&store);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		assert_int_equal(close(fds[i]), 0);
}

static void
urls_are_taken_apart(void **state)
{
	static const struct {
		const char *url;
		const char *want; /* "tls user host port socket db", or why */
	} rows[] = {
		{ "redis://localhost", "0 - localhost 6379 - 0" },
		{ "redis://localhost/", "0 - localhost 6379 - 0" },
		{ "rediss://r1.example.org:7000/15",
		    "1 - r1.example.org 7000 - 15" },
		{ "redis://me@[2001:db8::1]:1/2", "0 me 2001:db8::1 1 - 2" },
		{ "redis:///run/redis.sock", "0 - - - /run/redis.sock 0" },
		{ "redis://u@/run/r?db=4", "0 u - - /run/r 4" },
		{ "redis://me:secret@host", "password_file" },
		{ "redis://:secret@host", "password_file" },
		{ "redis://:sec@ret@host", "password_file" },
		{ "redis://@host", "user" },
		{ "redis://", "host" },
		{ "redis:///", "socket" },
		{ "redis://host:0", "port" },
		{ "redis://host:65536", "port" },
		{ "redis://host:", "port" },
		{ "redis://host:1x", "port" },
		{ "redis://host/x", "database" },
		{ "redis://host/01", "database" },
		{ "redis://ho st", "host" },
		{ "redis://[::1", "host" },
		{ "redis://[::1]x", "host" },
		{ "redis://host?db=1", "host" },
		{ "rediss:///run/x", "TLS" },
		{ "redis:///run/x?d=1", "db=" },
		{ "redis:host", "begin" },
		{ "REDIS://host", "begin" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct redisurl u;
		struct err e = { "" };
		char got[700];

		if (redisurl_parse(rows[i].url, &u, &e) == 0)
			(void)snprintf(got, sizeof(got), "%d %s %s %s %s %u",
			    u.tls, u.user[0] != '\0' ? u.user : "-",
			    u.host[0] != '\0' ? u.host : "-",
			    u.port[0] != '\0' ? u.port : "-",
			    u.socket[0] != '\0' ? u.socket : "-", u.db);
		else
			(void)snprintf(got, sizeof(got), "%s", e.text);
		if (e.text[0] == '\0' ? strcmp(got, rows[i].want) != 0
				      : strstr(got, rows[i].want) == NULL ||
			    strstr(got, "sec") != NULL)
			fail_msg("%s: got \"%s\", want \"%s\"", rows[i].url,
			    got, rows[i].want);
	}
}

/* What is asked for in the last moment is done, and then nothing is waited for:
 * not for the next sign of life, a second later. */
static void
the_last_answer_ends_it(void **state)
{
	enum { ROUNDS = 40, MEAN_MS = 500 };
	struct store *store = begin_store(NULL);
	uint64_t began = clock_mono_ms(), took;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(store_proof_put(store, &alice, NULL, now_ms()),
		    0);
		store_close(&store);
		store = open_with(redisd.url, NULL, NULL);
	}
	took = clock_mono_ms() - began;
	assert_int_equal(store_proof_get(store, &alice, NULL, 60000, now_ms()),
	    TRI_YES);
	store_close(&store);
	if (took > ROUNDS * MEAN_MS)
		fail_msg("%d ends took %llu ms", ROUNDS,
		    (unsigned long long)took);
}

#define REDIS_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		REDIS_TEST(it_may_be_away_at_the_start),
		REDIS_TEST(it_may_be_restarted),
		REDIS_TEST(it_may_come_and_go),
		REDIS_TEST(it_may_be_slow),
		REDIS_TEST(it_may_hang),
		REDIS_TEST(its_name_may_have_many_addresses),
		REDIS_TEST(it_may_be_full),
		REDIS_TEST(it_may_forget_the_scripts),
		REDIS_TEST(two_hosts_share_it),
		REDIS_TEST(everything_ends),
		REDIS_TEST(the_last_answer_ends_it),
		REDIS_TEST(a_crowd_leaves_a_bounded_hash),
		REDIS_TEST(a_password_is_asked_for),
		REDIS_TEST(certificates_are_looked_at),
		REDIS_TEST(urls_are_taken_apart),
	};

	if (!redisd_is_installed()) {
		print_message("redis-server is not installed: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
