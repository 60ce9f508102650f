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
 *   verify LOGIN PASSWORD [ADDRESS]
 *                        verdict LOGIN VERDICT [remembered] [graced]
 *                        [declined] MS
 *   manyverify N LOGIN PASSWORD [M [ADDRESS]]
 *                        asks N times at once, the first M of which decline
 *                        when it is their turn; N verdict lines
 *   pwload N COUNT DOMAIN PASSWORD [ADDRESS]
 *                        N at a time for u0@DOMAIN ... ; rate PER_SECOND,
 *                        verdicts, the slowest MS
 *   leave N DOMAIN PASSWORD [ADDRESS]
 *                        asks like that and does not wait: left N
 *   relay ID MECHANISM LOGIN INITIAL [ADDRESS]
 *                        begins an exchange ("-": none) and does not wait:
 *                        begun ID, or declined ID; then challenge ID BASE64,
 *                        and at the end relayed ID VERDICT MS
 *   respond ID LOGIN BASE64
 *                        answers the challenge ("-": nothing)
 *   cancel ID
 *   offers MECHANISM     offers MECHANISM yes|no
 *   fds                  fds OPEN_DESCRIPTORS
 *   size                 size THREADS RESIDENT_KB
 *   end of input         freed MS CALLED_BACK_MEANWHILE
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

/* Passwords under way: callbacks come on the engine's thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

struct attempt {
	struct pwload *load; /* NULL: a verdict line is printed */
	struct login login;
	double start;
	unsigned int *left; /* locked */
	bool declines;
};

struct pwload {
	unsigned int count;
	unsigned int next;
	unsigned int under_way;
	unsigned int left;
	unsigned int verdicts[8];
	double slowest;
	const char *domain;
	const char *password;
	struct netaddr client;
};

static void
print_verdict(const struct attempt *attempt,
    const struct identity_verdict *verdict)
{
	printf("verdict %s %s%s%s%s %.1f\n", attempt->login.text,
	    identity_name(verdict->identity),
	    verdict->remembered ? " remembered" : "",
	    verdict->graced ? " graced" : "",
	    verdict->declined ? " declined" : "", now_ms() - attempt->start);
}

static void
verified(void *arg, const struct identity_verdict *verdict)
{
	struct attempt *attempt = arg;
	struct pwload *load = attempt->load;
	double took = now_ms() - attempt->start;

	(void)pthread_mutex_lock(&lock);
	if (load == NULL) {
		print_verdict(attempt, verdict);
	} else {
		load->verdicts[verdict->identity % ARRAY_LEN(load->verdicts)]++;
		load->under_way--;
		if (took > load->slowest)
			load->slowest = took;
	}
	--*attempt->left;
	(void)pthread_cond_signal(&news);
	(void)pthread_mutex_unlock(&lock);
	free(attempt);
}

static bool all_wait; /* locked; of manyverify */

/* Not before all of them wait, so that all are heard. */
static bool
admit(void *arg)
{
	const struct attempt *attempt = arg;

	if (!attempt->declines)
		return true;
	(void)pthread_mutex_lock(&lock);
	while (!all_wait)
		(void)pthread_cond_wait(&news, &lock);
	(void)pthread_mutex_unlock(&lock);
	return false;
}

static void
verify_one(const struct login *login, const char *password,
    const struct netaddr *client, struct pwload *load, unsigned int *left,
    bool declines)
{
	static unsigned int count;
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	unsigned char tag[IDENTITY_TAG_LEN];
	struct identity_password question = {
		.login = login,
		.password = password,
		.len = strlen(password),
		.client = client,
	};

	if (attempt == NULL)
		abort();
	/* It must not matter whether they were there. */
	identity_tag(login, password, question.len, tag);
	if (count++ % 2 != 0)
		question.tag = tag;
	if (declines || count % 3 == 0)
		question.admit = admit;
	attempt->declines = declines;
	attempt->load = load;
	attempt->login = *login;
	attempt->start = now_ms();
	attempt->left = left;
	identity_verify(engine, &question, verified, attempt);
}

static void
run_verify(unsigned int n, const char *login_text, const char *password,
    const char *address, unsigned int declining)
{
	struct login login = login_of(login_text);
	struct netaddr client;
	unsigned int left = n;
	unsigned int i;

	(void)netaddr_parse(address, &client);
	(void)pthread_mutex_lock(&lock);
	all_wait = false;
	(void)pthread_mutex_unlock(&lock);
	for (i = 0; i < n; i++)
		verify_one(&login, password, &client, NULL, &left,
		    i < declining);
	(void)pthread_mutex_lock(&lock);
	all_wait = true;
	(void)pthread_cond_signal(&news);
	while (left > 0)
		(void)pthread_cond_wait(&news, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static void
verify_next(struct pwload *load)
{
	struct login login;

	(void)snprintf(login.text, sizeof(login.text), "u%u@%.200s",
	    load->next++, load->domain);
	load->under_way++;
	(void)pthread_mutex_unlock(&lock);
	verify_one(&login, load->password, &load->client, load, &load->left,
	    false);
	(void)pthread_mutex_lock(&lock);
}

static void
run_pwload(unsigned int n, struct pwload *load)
{
	double start = now_ms();

	load->left = load->count;
	(void)pthread_mutex_lock(&lock);
	while (load->left > 0) {
		if (load->next < load->count && load->under_way < n)
			verify_next(load);
		else
			(void)pthread_cond_wait(&news, &lock);
	}
	(void)pthread_mutex_unlock(&lock);
	printf("rate %.0f verified %u refused %u unknown %u slowest %.1f\n",
	    (double)load->count / (now_ms() - start) * 1e3,
	    load->verdicts[IDENTITY_VERIFIED], load->verdicts[IDENTITY_REFUSED],
	    load->verdicts[IDENTITY_UNKNOWN], load->slowest);
}

/* They are still under way when the engine is freed. */
static struct pwload left_alone;

static void
leave_alone(unsigned int n, const char *domain, const char *password,
    const char *address)
{
	left_alone = (struct pwload){
		.count = n,
		.left = n,
		.domain = domain,
		.password = password,
	};
	(void)netaddr_parse(address, &left_alone.client);
	(void)pthread_mutex_lock(&lock);
	while (left_alone.next < n)
		verify_next(&left_alone);
	printf("left %u\n", left_alone.left);
	(void)pthread_mutex_unlock(&lock);
}

/* Exchanges; the verdict is what makes one free again. */
#define RELAYS_MAX 64
static struct relay {
	unsigned int id;
	struct identity_relay *relay; /* locked; NULL: over */
	double start;
} relays[RELAYS_MAX];

static void
relay_event(void *arg, const char *challenge,
    const struct identity_verdict *verdict)
{
	struct relay *r = arg;

	(void)pthread_mutex_lock(&lock);
	if (challenge != NULL) {
		printf("challenge %u %s\n", r->id, challenge);
	} else {
		printf("relayed %u %s %.1f\n", r->id,
		    identity_name(verdict->identity), now_ms() - r->start);
		r->relay = NULL;
	}
	(void)pthread_mutex_unlock(&lock);
}

static void
begin_relay(unsigned int id, const char *mechanism, const char *login_text,
    const char *initial, const char *address)
{
	struct login login = login_of(login_text);
	struct relay *r = &relays[id % RELAYS_MAX];
	struct netaddr client;

	(void)netaddr_parse(address, &client);
	(void)pthread_mutex_lock(&lock);
	r->id = id;
	r->start = now_ms();
	r->relay = identity_relay_begin(engine, sasl_find(mechanism),
	    *login_text == '-' ? NULL : &login,
	    *initial == '-' ? NULL : initial, &client, relay_event, r);
	printf("%s %u\n", r->relay != NULL ? "begun" : "declined", id);
	(void)pthread_mutex_unlock(&lock);
}

static void
tell_relay(unsigned int id, const char *login_text, const char *text)
{
	struct login login = login_of(login_text);
	struct relay *r = &relays[id % RELAYS_MAX];

	(void)pthread_mutex_lock(&lock);
	if (r->relay != NULL && text == NULL)
		identity_relay_cancel(r->relay);
	else if (r->relay != NULL)
		identity_relay_respond(r->relay,
		    *login_text == '-' ? NULL : &login,
		    *text == '-' ? "" : text);
	(void)pthread_mutex_unlock(&lock);
}

static bool
obey_about_relays(const char *line)
{
	static char text[SASL_TEXT_MAX + 1];
	char login[LOGIN_MAX + 1], mechanism[32], address[64] = "-";
	unsigned int id;

	if (sscanf(line, "relay %u %31s %255s %12288s %63s", &id, mechanism,
		login, text, address) >= 4)
		begin_relay(id, mechanism, login, text, address);
	else if (sscanf(line, "respond %u %255s %12288s", &id, login, text) ==
	    3)
		tell_relay(id, login, text);
	else if (sscanf(line, "cancel %u", &id) == 1)
		tell_relay(id, "-", NULL);
	else
		return false;
	return true;
}

static void
print_size(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	unsigned int threads = 0, resident = 0;

	if (status == NULL)
		return;
	while (fgets(line, sizeof(line), status) != NULL) {
		(void)sscanf(line, "Threads: %u", &threads);
		(void)sscanf(line, "VmRSS: %u", &resident);
	}
	(void)fclose(status);
	printf("size %u %u\n", threads, resident);
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

static bool
obey_about_passwords(const char *line)
{
	char text[LOGIN_MAX + 1], password[SASL_PASSWORD_MAX + 2];
	char address[64] = "-";
	unsigned int a, b = 0;

	if (sscanf(line, "verify %255s %1025s %63s", text, password, address) >=
	    2) {
		run_verify(1, text, password, address, 0);
	} else if (sscanf(line, "manyverify %u %255s %1025s %u %63s", &a, text,
		       password, &b, address) >= 3) {
		run_verify(a, text, password, address, b);
	} else if (sscanf(line, "pwload %u %u %255s %1025s %63s", &a, &b, text,
		       password, address) >= 4) {
		struct pwload load = {
			.count = b,
			.domain = text,
			.password = password,
		};

		(void)netaddr_parse(address, &load.client);
		run_pwload(a, &load);
	} else if (sscanf(line, "leave %u %255s %1025s %63s", &a, text,
		       password, address) >= 3) {
		leave_alone(a, text, password, address);
	} else if (sscanf(line, "offers %63s", address) == 1) {
		printf("offers %s %s\n", address,
		    identity_offers(engine, sasl_find(address)) ? "yes" : "no");
	} else if (strcmp(line, "size") == 0) {
		print_size();
	} else {
		return false;
	}
	return true;
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
	} else if (obey_about_passwords(line) || obey_about_relays(line)) {
		return;
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

static void
trace(void *arg, const char *text)
{
	(void)arg;
	printf("report trace %s\n", text);
}

/* "A,B" */
static unsigned int
mechanisms_of(char *list)
{
	unsigned int bits = 0;
	char *word;

	while ((word = strsep(&list, ",")) != NULL)
		bits |= SASL_BIT(sasl_find(word));
	return bits;
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
		{ "session-only", no_argument, NULL, 'S' },
		{ "forward", no_argument, NULL, 'F' },
		{ "grace", required_argument, NULL, 'g' },
		{ "mechanisms", required_argument, NULL, 'M' },
		{ "trace", no_argument, NULL, 'T' },
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
		else if (c == 'S')
			backend.proxy = false;
		else if (c == 'F')
			backend.forward_client = true;
		else if (c == 'g')
			options.grace_ms = n;
		else if (c == 'M')
			options.mechanisms = mechanisms_of(optarg);
		else if (c == 'T')
			options.trace = trace;
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
	static char line[SASL_TEXT_MAX + 1024];
	unsigned int left;
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
	(void)pthread_mutex_lock(&lock);
	left = left_alone.left;
	(void)pthread_mutex_unlock(&lock);
	identity_free(&engine);
	printf("freed %.1f %u\n", now_ms() - start, left - left_alone.left);
	return 0;
}
