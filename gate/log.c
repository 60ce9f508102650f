/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log's sink: syslog or standard error behind a bounded queue with one
 * writer thread, which lets lines gather for a moment and writes them together.
 * It must never make a decision wait for a disk or for syslogd.
 */
#include "gate/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define QUEUE_MAX 8192
#define GATHER_MS 20

struct entry {
	enum log_level level;
	char *text;
};

struct log {
	enum log_target target;
	enum log_format format;
	enum log_level least;
	pthread_mutex_t lock;
	pthread_cond_t filled; /* the writer waits here */
	pthread_cond_t drained;
	pthread_t writer;
	bool running;
	bool stopping;
	bool busy;
	struct entry *queue; /* QUEUE_MAX entries */
	struct entry *spare; /* what the writer has taken */
	size_t count;
	size_t lost;
};

struct log *
log_new(enum log_target target, enum log_format format)
{
	struct log *log = calloc(1, sizeof(*log));
	pthread_condattr_t attr;

	if (log == NULL)
		return NULL;
	log->queue = calloc(QUEUE_MAX, sizeof(*log->queue));
	log->spare = calloc(QUEUE_MAX, sizeof(*log->spare));
	if (log->queue == NULL || log->spare == NULL) {
		free(log->queue);
		free(log->spare);
		free(log);
		return NULL;
	}
	log->target = target;
	log->format = format;
	(void)pthread_mutex_init(&log->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&log->filled, &attr);
	(void)pthread_cond_init(&log->drained, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (target == LOG_TARGET_SYSLOG)
		openlog("postern", LOG_PID, LOG_MAIL);
	return log;
}

static int
syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_WARNING:
		return LOG_WARNING;
	case LOG_LEVEL_ALARM:
		return LOG_ALERT;
	}
	return LOG_ALERT;
}

/* A log that cannot be written has nobody left to tell. */
static void
put_bytes(const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, len);

		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static void
put_batch(const struct log *log, const struct entry *batch, size_t count)
{
	char buffer[65536];
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(batch[i].text);

		if (log->target == LOG_TARGET_SYSLOG) {
			syslog(syslog_priority(batch[i].level), "%s",
			    batch[i].text);
			continue;
		}
		if (used + len + 1 > sizeof(buffer)) {
			put_bytes(buffer, used);
			used = 0;
		}
		if (len + 1 > sizeof(buffer))
			len = sizeof(buffer) - 1;
		memcpy(buffer + used, batch[i].text, len);
		used += len;
		buffer[used++] = '\n';
	}
	put_bytes(buffer, used);
}

static void
deadline_in(long ms, struct timespec *at_r)
{
	(void)clock_gettime(CLOCK_MONOTONIC, at_r);
	at_r->tv_sec += ms / 1000;
	at_r->tv_nsec += ms % 1000 * 1000000;
	if (at_r->tv_nsec >= 1000000000) {
		at_r->tv_sec++;
		at_r->tv_nsec -= 1000000000;
	}
}

/* Waits for lines, lets more gather, and takes them all. Called and left with
 * the lock held. False: the log ends and nothing is left. */
static bool
take_batch(struct log *log, size_t *count_r, size_t *lost_r)
{
	struct entry *taken = log->queue;
	struct timespec at;

	while (log->count == 0 && !log->stopping)
		(void)pthread_cond_wait(&log->filled, &log->lock);
	if (log->count == 0)
		return false;
	deadline_in(GATHER_MS, &at);
	while (log->count < QUEUE_MAX / 2 && !log->stopping) {
		if (pthread_cond_timedwait(&log->filled, &log->lock, &at) != 0)
			break;
	}
	*count_r = log->count;
	*lost_r = log->lost;
	log->queue = log->spare;
	log->spare = taken;
	log->count = 0;
	log->lost = 0;
	return true;
}

static void *
writer_main(void *arg)
{
	struct log *log = arg;
	size_t count, lost;

	(void)pthread_mutex_lock(&log->lock);
	while (take_batch(log, &count, &lost)) {
		log->busy = true;
		(void)pthread_mutex_unlock(&log->lock);
		put_batch(log, log->spare, count);
		for (size_t i = 0; i < count; i++)
			free(log->spare[i].text);
		if (lost > 0)
			log_event(log, LOG_LEVEL_ALARM,
			    "the log was too slow: %zu lines are lost", lost);
		(void)pthread_mutex_lock(&log->lock);
		log->busy = false;
		(void)pthread_cond_broadcast(&log->drained);
	}
	(void)pthread_mutex_unlock(&log->lock);
	return NULL;
}

int
log_start(struct log *log)
{
	sigset_t all, old;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&log->writer, NULL, writer_main, log);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return -1;
	(void)pthread_mutex_lock(&log->lock);
	log->running = true;
	(void)pthread_mutex_unlock(&log->lock);
	return 0;
}

void
log_flush(struct log *log)
{
	struct timespec at;

	deadline_in(1000, &at);
	(void)pthread_mutex_lock(&log->lock);
	while (log->running && (log->count > 0 || log->busy)) {
		if (pthread_cond_timedwait(&log->drained, &log->lock, &at) != 0)
			break;
	}
	(void)pthread_mutex_unlock(&log->lock);
}

void
log_free(struct log **logp)
{
	struct log *log = *logp;

	if (log == NULL)
		return;
	*logp = NULL;
	if (log->running) {
		(void)pthread_mutex_lock(&log->lock);
		log->stopping = true;
		(void)pthread_cond_signal(&log->filled);
		(void)pthread_mutex_unlock(&log->lock);
		(void)pthread_join(log->writer, NULL);
	}
	if (log->target == LOG_TARGET_SYSLOG)
		closelog();
	(void)pthread_cond_destroy(&log->filled);
	(void)pthread_cond_destroy(&log->drained);
	(void)pthread_mutex_destroy(&log->lock);
	free(log->queue);
	free(log->spare);
	free(log);
}

void
log_set_level(struct log *log, enum log_level level)
{
	log->least = level;
}

enum log_format
log_format(const struct log *log)
{
	return log->format;
}

void
log_line(struct log *log, enum log_level level, const char *line)
{
	struct entry entry = { level, NULL };

	if (level < log->least)
		return;
	entry.text = strdup(line);
	(void)pthread_mutex_lock(&log->lock);
	if (!log->running) {
		(void)pthread_mutex_unlock(&log->lock);
		if (entry.text != NULL)
			put_batch(log, &entry, 1);
		free(entry.text);
		return;
	}
	if (entry.text == NULL || log->count == QUEUE_MAX) {
		log->lost++;
		free(entry.text);
	} else {
		log->queue[log->count++] = entry;
		if (log->count == 1 || log->count == QUEUE_MAX / 2)
			(void)pthread_cond_signal(&log->filled);
	}
	(void)pthread_mutex_unlock(&log->lock);
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_ALARM:
		break;
	}
	return "alarm";
}

void
log_event(struct log *log, enum log_level level, const char *format, ...)
{
	char text[1024], line[1200];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* Anything but plain ASCII, whole or cut in the middle, is no text. */
	for (char *p = text; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
	if (log->format == LOG_FORMAT_JSON) {
		json_t *object = json_pack("{s:s, s:s}", "event",
		    level_name(level), "text", text);
		char *dump = json_dumps(object, JSON_COMPACT);

		log_line(log, level, dump != NULL ? dump : "{}");
		free(dump);
		json_decref(object);
		return;
	}
	(void)snprintf(line, sizeof(line), "%s: %s", level_name(level), text);
	log_line(log, level, line);
}
