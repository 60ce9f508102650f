/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the store has to say, and how often. A full disk is worth a line a
 * minute, not one for every login. Nobody's lock is held while a line is
 * handed over.
 */
#include <stdio.h>
#include <time.h>

#include "store/internal.h"

#define REPEAT_MS 60000
/* A server that is always a little late comes and goes many times a second. */
#define TIMES_MOST 5

uint64_t
clock_mono_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t
clock_real_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 3, 0))) static void
report_list(struct store *store, enum store_level level, const char *format,
    va_list ap)
{
	char text[1024];

	if (store->report == NULL)
		return;
	(void)vsnprintf(text, sizeof(text), format, ap);
	store->report(store->report_arg, level, text);
}

void
report(struct store *store, enum store_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report_list(store, level, format, ap);
	va_end(ap);
}

void
trouble_report(struct store *store, struct trouble *trouble, const char *format,
    ...)
{
	uint64_t now = clock_mono_ms();
	va_list ap;
	bool due;

	(void)pthread_mutex_lock(&store->trouble_lock);
	if (now >= trouble->minute_ms) {
		trouble->minute_ms = now + REPEAT_MS;
		trouble->times = 0;
	}
	due = trouble->told ? now >= trouble->again_ms
			    : trouble->times < TIMES_MOST;
	trouble->on = true;
	if (due) {
		trouble->told = true;
		trouble->times++;
		trouble->again_ms = now + REPEAT_MS;
	}
	(void)pthread_mutex_unlock(&store->trouble_lock);
	if (!due)
		return;
	va_start(ap, format);
	report_list(store, STORE_ALARM, format, ap);
	va_end(ap);
}

void
trouble_over(struct store *store, struct trouble *trouble, const char *text)
{
	bool was;

	(void)pthread_mutex_lock(&store->trouble_lock);
	was = trouble->told;
	trouble->on = trouble->told = false;
	(void)pthread_mutex_unlock(&store->trouble_lock);
	if (was)
		report(store, STORE_INFO, "%s: %s", store->path, text);
}
