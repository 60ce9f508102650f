/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the clients of the password benches share: who logs in, when measuring
 * begins and ends, and what it cost us and the servers. It must not know how a
 * check is made, nor judge what it counts.
 */
#include "tests/bench/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

void
load_give_up(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "bench: ");
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		load_give_up("a process that is watched is gone");
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
load_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

unsigned long
load_number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		load_give_up("%s is no number", text);
	return value;
}

bool
load_option(struct load *load, int option, const char *value)
{
	size_t *number;

	if (option == 'n')
		number = &load->count;
	else if (option == 'w')
		number = &load->warmup;
	else if (option == 'u')
		number = &load->users;
	else
		return false;
	*number = load_number(value);
	return true;
}

void
load_watch(struct load *load, pid_t pid)
{
	if (load->server_count == sizeof(load->servers) / sizeof(pid_t))
		load_give_up("too many processes to watch");
	load->servers[load->server_count++] = pid;
}

static uint64_t
servers_cpu(const struct load *load)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < load->server_count; i++) {
		clockid_t clock;

		if (clock_getcpuclockid(load->servers[i], &clock) != 0)
			load_give_up("process %ld is gone",
			    (long)load->servers[i]);
		sum += clock_ns(clock);
	}
	return sum;
}

bool
load_start(struct load *load, size_t *user_r)
{
	if (load->started == load->warmup + load->count)
		return false;
	*user_r = load->started++ % load->users;
	return true;
}

void
load_end(struct load *load, uint64_t began, bool permitted)
{
	load->refused += !permitted;
	if (load->begin > 0 && load->taken < load->count)
		load->us[load->taken++] =
		    (uint32_t)((load_now() - began) / 1000);
	load->done++;
	if (load->done == load->warmup) {
		load->us = calloc(load->count, sizeof(*load->us));
		if (load->us == NULL)
			load_give_up("no memory");
		load->server_cpu = servers_cpu(load);
		load->own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		load->begin = load_now();
	}
	if (load->done == load->warmup + load->count) {
		load->end = load_now();
		load->own_cpu =
		    clock_ns(CLOCK_PROCESS_CPUTIME_ID) - load->own_cpu;
		load->server_cpu = servers_cpu(load) - load->server_cpu;
	}
}

bool
load_is_over(const struct load *load)
{
	return load->done == load->warmup + load->count;
}

static int
compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
load_report(struct load *load)
{
	double each = (double)load->count;
	double seconds = (double)(load->end - load->begin) / 1e9;

	qsort(load->us, load->taken, sizeof(*load->us), compare_u32);
	printf("checks=%zu rate=%.1f p50=%u p99=%u cpu_us=%.2f "
	       "server_cpu_us=%.2f refused=%zu\n",
	    load->count, each / seconds, load->us[load->taken / 2],
	    load->us[load->taken * 99 / 100],
	    (double)load->own_cpu / 1e3 / each,
	    (double)load->server_cpu / 1e3 / each, load->refused);
}

void
load_user(size_t user, char login_r[LOAD_TEXT], char password_r[LOAD_TEXT])
{
	snprintf(login_r, LOAD_TEXT, "user%05zu@example.org", user);
	snprintf(password_r, LOAD_TEXT, "secret-%05zu-word", user);
}

void
load_plain(size_t user, char text_r[4 * LOAD_TEXT])
{
	unsigned char message[2 * LOAD_TEXT] = "";
	char login[LOAD_TEXT], password[LOAD_TEXT];
	size_t len, more;

	load_user(user, login, password);
	len = strlen(login);
	more = strlen(password);
	memcpy(message + 1, login, len);
	memcpy(message + 2 + len, password, more);
	(void)EVP_EncodeBlock((unsigned char *)text_r, message,
	    (int)(2 + len + more));
}
