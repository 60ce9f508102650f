/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load for the identity engine: another login and password each time, nothing
 * remembered, so that every check is one login over IMAP. Answers come back to
 * the asking thread, as service/ has it. It must not take a shortcut that
 * the daemon cannot take.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/identity.h"
#include "tests/bench/load.h"

struct slot {
	uint64_t began;
	bool permitted;
	struct slot *next; /* among the answered */
};

static struct load load = { .count = 1000, .warmup = 100, .users = 1000 };
static struct identity_engine *engine;
static struct {
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct slot *first;
} answered = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.some = PTHREAD_COND_INITIALIZER };

static void
report(void *arg, enum identity_level level, const char *text)
{
	(void)arg;
	if (level != IDENTITY_INFO)
		fprintf(stderr, "verify: %s\n", text);
}

static void
done(void *arg, const struct identity_verdict *verdict)
{
	struct slot *slot = arg;

	slot->permitted = verdict->identity == IDENTITY_VERIFIED;
	if (verdict->remembered)
		load_give_up("an answer was remembered");
	pthread_mutex_lock(&answered.lock);
	slot->next = answered.first;
	answered.first = slot;
	pthread_cond_signal(&answered.some);
	pthread_mutex_unlock(&answered.lock);
}

static void
begin(struct slot *slot)
{
	static const struct netaddr nobody = { .family = NETADDR_NONE };
	char name[LOAD_TEXT], password[LOAD_TEXT];
	struct login login = { "" };
	struct identity_password question = { .login = &login,
		.password = password,
		.client = &nobody };
	size_t user;

	if (!load_start(&load, &user))
		return;
	load_user(user, name, password);
	memcpy(login.text, name, strlen(name) + 1);
	question.len = strlen(password);
	slot->began = load_now();
	identity_verify(engine, &question, done, slot);
}

static void
loop(void)
{
	while (!load_is_over(&load)) {
		struct slot *list;

		pthread_mutex_lock(&answered.lock);
		while (answered.first == NULL)
			pthread_cond_wait(&answered.some, &answered.lock);
		list = answered.first;
		answered.first = NULL;
		pthread_mutex_unlock(&answered.lock);
		while (list != NULL) {
			struct slot *slot = list;

			list = slot->next;
			load_end(&load, slot->began, slot->permitted);
			begin(slot);
		}
	}
}

static void
start_engine(const char *url, const char *ca_file, unsigned int in_flight)
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
		.mailbox_check = IDENTITY_MAILBOX_NO,
		.canary = "",
		.timeout_ms = 8000,
		.max_connections = in_flight,
	};
	const struct identity_options options = {
		.backends = &backend,
		.backend_count = 1,
		.wait_ms = 8000,
		.waiters = 1,
		.report = report,
	};
	struct err e = { "" };

	engine = identity_new(&options, &e);
	if (engine == NULL)
		load_give_up("%s", e.text);
	(void)identity_wait_ready(engine, 8000);
}

int
main(int argc, char **argv)
{
	const char *url = NULL, *ca_file = NULL;
	size_t in_flight = 8;
	struct slot *slots;
	int o;

	while ((o = getopt(argc, argv, "s:a:c:" LOAD_OPTIONS)) != -1) {
		if (o == 's')
			url = optarg;
		else if (o == 'a')
			ca_file = optarg;
		else if (o == 'c')
			in_flight = load_number(optarg);
		else if (!load_option(&load, o, optarg))
			url = NULL;
	}
	if (url == NULL || ca_file == NULL || in_flight == 0) {
		fprintf(stderr,
		    "usage: verify -s imaps://HOST:PORT -a CA-FILE\n"
		    "  [-c in-flight] " LOAD_USAGE "\n");
		return 2;
	}
	slots = calloc(in_flight, sizeof(*slots));
	if (slots == NULL)
		load_give_up("no memory");
	start_engine(url, ca_file, (unsigned int)in_flight);
	for (size_t i = 0; i < in_flight; i++)
		begin(&slots[i]);
	loop();
	identity_free(&engine);
	load_report(&load);
	return 0;
}
