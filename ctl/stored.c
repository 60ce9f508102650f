/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How posternctl's commands come to the store. What they do there is theirs.
 */
#include "ctl/stored.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/place.h"

/* The store's latest complaint, from whatever thread. */
static struct {
	pthread_mutex_t lock;
	char text[1024];
} complaint = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
complain(void *arg, enum store_level level, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "posternctl: %s%s\n",
	    level == STORE_INFO ? "" : "warning: ", text);
	(void)pthread_mutex_lock(&complaint.lock);
	(void)snprintf(complaint.text, sizeof(complaint.text), "%s", text);
	(void)pthread_mutex_unlock(&complaint.lock);
}

/* A complaint says what came of it, too, and so is the longer one. */
static bool
was_complained_of(const struct err *e)
{
	bool was;

	(void)pthread_mutex_lock(&complaint.lock);
	was = strncmp(complaint.text, e->text, strlen(e->text)) == 0;
	(void)pthread_mutex_unlock(&complaint.lock);
	return was;
}

/* Whoever called may pass on a stranger's text: it stays one line. */
static void
print_error(const char *text)
{
	(void)fputs("posternctl: ", stderr);
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			(void)fprintf(stderr, "\\x%02X", c);
		else
			(void)fputc(c, stderr);
	}
	(void)fputc('\n', stderr);
}

struct store *
stored_open(const struct conf *conf, struct err *e)
{
	const struct store_options options = {
		.url = conf->store_url,
		.password = conf->store_password,
		.ca_file = conf->store_ca_file,
		.state_dir = conf->state_dir,
		.report = complain,
	};

	if (place_take_owner(&options, e) != 0)
		return NULL;
	return store_open(&options, e);
}

void
stored_close(struct store **store, const struct err *e)
{
	store_close(store);
	if (e->text[0] != '\0' && !was_complained_of(e))
		print_error(e->text);
}

uint64_t
stored_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
