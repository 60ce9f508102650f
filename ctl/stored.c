/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How posternctl's commands come to the store. What they do there is theirs.
 */
#include "ctl/stored.h"

#include <stdio.h>
#include <time.h>

#include "store/place.h"

static void
complain(void *arg, enum store_level level, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "posternctl: %s%s\n",
	    level == STORE_INFO ? "" : "warning: ", text);
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

uint64_t
stored_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
