/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A redis-server for tests. It ends with the test, however that ends.
 */
#include "tests/lib/redisd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#define START_MS 10000
#define STEP_MS  5
#define ARGS_MAX 40

static const char *
find_program(void)
{
	static const char *const places[] = { "/usr/bin/redis-server",
		"/usr/sbin/redis-server", "/usr/local/bin/redis-server" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

bool
redisd_is_installed(void)
{
	return find_program() != NULL;
}

int
redisd_prepare(struct redisd *d)
{
	memset(d, 0, sizeof(*d));
	if (tree_make(d->dir) != 0)
		return -1;
	(void)snprintf(d->socket, sizeof(d->socket), "%s/sock", d->dir);
	(void)snprintf(d->url, sizeof(d->url), "redis://%s", d->socket);
	return 0;
}

__attribute__((noreturn)) static void
become(const struct redisd *d, const char *const *more)
{
	const char *argv[ARGS_MAX] = { find_program(), "--port", "0",
		"--unixsocket", d->socket, "--save", "", "--appendonly", "no",
		"--dir", d->dir };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t count = 11;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (more != NULL && *more != NULL && count < ARGS_MAX - 1)
		argv[count++] = *more++;
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	(void)execv(argv[0], (char *const *)(void *)argv);
	_exit(127);
}

int
redisd_start(struct redisd *d, const char *const *more)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };

	(void)unlink(d->socket);
	d->pid = fork();
	if (d->pid == 0)
		become(d, more);
	for (int waited = 0; waited < START_MS; waited += STEP_MS) {
		redisContext *c = redisConnectUnix(d->socket);
		bool good = c != NULL && c->err == 0;

		if (c != NULL)
			redisFree(c);
		if (good)
			return 0;
		(void)nanosleep(&step, NULL);
	}
	return -1;
}

void
redisd_stop(struct redisd *d)
{
	if (d->pid <= 0)
		return;
	(void)kill(d->pid, SIGKILL);
	(void)waitpid(d->pid, NULL, 0);
	d->pid = 0;
}

void
redisd_pause(const struct redisd *d)
{
	(void)kill(d->pid, SIGSTOP);
}

void
redisd_continue(const struct redisd *d)
{
	(void)kill(d->pid, SIGCONT);
}

void
redisd_clear(struct redisd *d)
{
	redisd_stop(d);
	(void)tree_remove(d->dir);
}

long long
redisd_ask(const struct redisd *d, const char *format, ...)
{
	redisContext *c = redisConnectUnix(d->socket);
	redisReply *reply = NULL;
	long long answer = -1;
	va_list ap;

	if (c == NULL)
		return -1;
	va_start(ap, format);
	if (c->err == 0)
		reply = redisvCommand(c, format, ap);
	va_end(ap);
	if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
		answer =
		    reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
	if (reply != NULL)
		freeReplyObject(reply);
	redisFree(c);
	return answer;
}
