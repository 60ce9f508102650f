/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The identity engine on a command line, for tests and for looking at a server
 * by hand. Options make one backend; commands come on standard input, one a
 * line, and everything that happens is one line on standard output. It must not
 * judge: tests do.
 *
 *   ready MS             ready|not-ready MS
 *   ask LOGIN            answer LOGIN VERDICT MS
 *   many N LOGIN         N threads ask at once; N answer lines
 *   load N COUNT DOMAIN  N threads ask for u0@DOMAIN ... ; rate PER_SECOND
 *   cached COUNT LOGIN   one thread asks again and again; rate PER_SECOND
 *   fds                  fds OPEN_DESCRIPTORS
 *   end of input         freed MS
 */
#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "identity/identity.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIST_MAX     8
#define THREADS_MAX  64

static struct identity_engine *engine;

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
report(void *arg, enum identity_level level, const char *text)
{
	const char *const names[] = { "info", "warning", "alarm" };

	(void)arg;
	printf("report %s %s\n", names[level], text);
}

static struct login
login_of(const char *text)
{
	struct login login;

	(void)snprintf(login.text, sizeof(login.text), "%s", text);
	return login;
}

static void *
ask(void *text)
{
	struct login login = login_of(text);
	double start = now_ms();
	enum identity identity = identity_ask(engine, &login);

	printf("answer %s %s %.1f\n", login.text, identity_name(identity),
	    now_ms() - start);
	return NULL;
}

static void
on_threads(unsigned int n, void *(*what)(void *), void *arg)
{
	pthread_t threads[THREADS_MAX];
	unsigned int started = 0;

	while (started < n && started < THREADS_MAX &&
	    pthread_create(&threads[started], NULL, what, arg) == 0)
		started++;
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
}

struct load {
	pthread_mutex_t lock;
	unsigned int next;
	unsigned int count;
	unsigned int decided;
	const char *domain;
};

static void *
ask_next(void *arg)
{
	struct load *load = arg;

	for (;;) {
		struct login login;
		unsigned int i;
		enum identity identity;

		pthread_mutex_lock(&load->lock);
		i = load->next++;
		pthread_mutex_unlock(&load->lock);
		if (i >= load->count)
			return NULL;
		(void)snprintf(login.text, sizeof(login.text), "u%u@%.200s", i,
		    load->domain);
		identity = identity_ask(engine, &login);
		pthread_mutex_lock(&load->lock);
		load->decided += identity != IDENTITY_UNKNOWN;
		pthread_mutex_unlock(&load->lock);
	}
}

static void
run_load(unsigned int threads, unsigned int count, const char *domain)
{
	struct load load = { .count = count, .domain = domain };
	double start = now_ms();

	(void)pthread_mutex_init(&load.lock, NULL);
	on_threads(threads, ask_next, &load);
	(void)pthread_mutex_destroy(&load.lock);
	printf("rate %.0f decided %u of %u\n",
	    (double)count / (now_ms() - start) * 1e3, load.decided, count);
}

static void
run_cached(unsigned int count, const char *text)
{
	struct login login = login_of(text);
	double start = now_ms();
	unsigned int verified = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		verified += identity_ask(engine, &login) == IDENTITY_VERIFIED;
	printf("rate %.0f decided %u of %u\n",
	    (double)count / (now_ms() - start) * 1e3, verified, count);
}

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n - 3; /* ".", ".." and this directory */
}

static void
obey(char *line)
{
	char word[16], text[LOGIN_MAX + 1];
	unsigned int a, b;

	if (sscanf(line, "ready %u", &a) == 1) {
		double start = now_ms();
		bool ready = identity_wait_ready(engine, a);

		printf("%s %.1f\n", ready ? "ready" : "not-ready",
		    now_ms() - start);
	} else if (sscanf(line, "many %u %255s", &a, text) == 2) {
		on_threads(a, ask, text);
	} else if (sscanf(line, "load %u %u %255s", &a, &b, text) == 3) {
		run_load(a, b, text);
	} else if (sscanf(line, "cached %u %255s", &a, text) == 2) {
		run_cached(a, text);
	} else if (strncmp(line, "ask ", 4) == 0) {
		(void)ask(line + 4);
	} else if (sscanf(line, "%15s", word) == 1 &&
	    strcmp(word, "fds") == 0) {
		printf("fds %d\n", count_fds());
	} else {
		printf("what? %s\n", line);
	}
}

static struct identity_backend backend = {
	.name = "test",
	.master_separator = "",
	.proxy = true,
	.proxy_user = "postern",
	.proxy_password = "posternpw",
	.canary = "",
	.timeout_ms = 2000,
	.max_connections = 16,
};
static struct identity_options options = {
	.backends = &backend,
	.backend_count = 1,
	.ttl_ms = 120000,
	.refused_ttl_ms = 15000,
	.wait_ms = 4000,
	.waiters = 16,
	.report = report,
};

static enum identity_mailbox
mailbox_of(const char *word)
{
	if (strcmp(word, "yes") == 0)
		return IDENTITY_MAILBOX_YES;
	if (strcmp(word, "no") == 0)
		return IDENTITY_MAILBOX_NO;
	return IDENTITY_MAILBOX_AUTO;
}

static int
read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "url", required_argument, NULL, 'u' },
		{ "ca", required_argument, NULL, 'a' },
		{ "domain", required_argument, NULL, 'd' },
		{ "address", no_argument, NULL, 'A' },
		{ "separator", required_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'U' },
		{ "password", required_argument, NULL, 'P' },
		{ "mailbox", required_argument, NULL, 'm' },
		{ "canary", required_argument, NULL, 'c' },
		{ "timeout", required_argument, NULL, 't' },
		{ "connections", required_argument, NULL, 'n' },
		{ "ttl", required_argument, NULL, 'l' },
		{ "refused-ttl", required_argument, NULL, 'r' },
		{ "wait", required_argument, NULL, 'w' },
		{ "waiters", required_argument, NULL, 'W' },
		{ NULL, 0, NULL, 0 },
	};
	static const char *urls[LIST_MAX], *domains[LIST_MAX] = { "*" };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t n = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);

		if (c == 'u' && backend.url_count < LIST_MAX)
			urls[backend.url_count++] = optarg;
		else if (c == 'd' && backend.domain_count < LIST_MAX)
			domains[backend.domain_count++] = optarg;
		else if (c == 'a')
			backend.ca_file = optarg;
		else if (c == 'A')
			backend.login_as_address = true;
		else if (c == 's')
			backend.master_separator = optarg;
		else if (c == 'U')
			backend.proxy_user = optarg;
		else if (c == 'P')
			backend.proxy_password = optarg;
		else if (c == 'm')
			backend.mailbox_check = mailbox_of(optarg);
		else if (c == 'c')
			backend.canary = optarg;
		else if (c == 't')
			backend.timeout_ms = n;
		else if (c == 'n')
			backend.max_connections = (unsigned int)n;
		else if (c == 'l')
			options.ttl_ms = n;
		else if (c == 'r')
			options.refused_ttl_ms = n;
		else if (c == 'w')
			options.wait_ms = n;
		else if (c == 'W')
			options.waiters = (unsigned int)n;
		else
			return -1;
	}
	backend.urls = urls;
	backend.domains = domains;
	if (backend.domain_count == 0)
		backend.domain_count = 1;
	return backend.url_count > 0 && optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
	char line[1024];
	struct err e;
	double start;

	if (read_options(argc, argv) != 0) {
		fprintf(stderr, "usage: ask --url URL --ca FILE [...]\n");
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	engine = identity_new(&options, &e);
	if (engine == NULL) {
		fprintf(stderr, "ask: %s\n", e.text);
		return 78;
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
	}
	start = now_ms();
	identity_free(&engine);
	printf("freed %.1f\n", now_ms() - start);
	return 0;
}
