/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_LOG_H
#define POSTERN_GATE_LOG_H

#include "conf/conf.h"

/* Where log lines go. Writers never wait for a slow log: lines pass a bounded
 * queue, and what does not fit is counted and reported. */
struct log;

enum log_level {
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ALARM, /* somebody has to look */
};

/* Writes synchronously until log_start(). NULL: no memory. */
struct log *log_new(enum log_target target, enum log_format format);
/* Starts the writer thread; after the last fork. -1: no thread. */
int log_start(struct log *log);
/* Waits until everything is written, ends the thread, frees and nulls. */
void log_free(struct log **log);
/* Waits until what is queued now is written; at most a second. */
void log_flush(struct log *log);

/* Leaves out what is below this level; before log_start(). */
void log_set_level(struct log *log, enum log_level level);

enum log_format log_format(const struct log *log);

/* A finished line, without a line feed; copied. Any thread. */
void log_line(struct log *log, enum log_level level, const char *line);
/* An event in words, printf style, in the log's own format. Any thread. */
void log_event(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
