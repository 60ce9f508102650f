/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_BENCH_LOAD_H
#define POSTERN_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Says what is wrong and exits 1. */
void load_give_up(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
/* Monotonic, in ns. */
uint64_t load_now(void);
/* A command line's number; gives up on anything else. */
unsigned long load_number(const char *text);

/* How a load of password checks goes: `warmup` that nobody counts, then
 * `count` that are measured. */
struct load {
	size_t count, warmup, users;
	pid_t servers[64]; /* whose CPU time is measured beside our own */
	size_t server_count;
	size_t started, done, refused;
	uint64_t begin, end, own_cpu, server_cpu;
	uint32_t *us; /* how long each took */
	size_t taken;
};

/* The options -n, -w and -u of all these clients. False: it is none of them. */
bool load_option(struct load *load, int option, const char *value);
#define LOAD_OPTIONS "n:w:u:"
#define LOAD_USAGE   "[-n checks] [-w warm-up checks] [-u users]"
/* One more server process to watch. */
void load_watch(struct load *load, pid_t pid);
/* Is there one more to start? Then which of the users it is for. */
bool load_start(struct load *load, size_t *user_r);
/* One that began at `began` (load_now()) has ended. */
void load_end(struct load *load, uint64_t began, bool permitted);
/* All have ended. */
bool load_is_over(const struct load *load);
/* One line of name=value pairs. */
void load_report(struct load *load);

/* The users of the bench's IMAP server, as tests/bench/servers.py makes them.
 */
#define LOAD_TEXT 48
void load_user(size_t user, char login_r[LOAD_TEXT],
    char password_r[LOAD_TEXT]);
/* "NUL login NUL password" (RFC 4616) in base64. */
void load_plain(size_t user, char text_r[4 * LOAD_TEXT]);

#endif
