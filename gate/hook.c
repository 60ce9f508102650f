/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Child processes of the daemon: started with nothing of its descriptors,
 * signals or environment, each in a session of its own, ended with all of that,
 * and reaped by their own number. What they print is nobody's.
 */
#include "gate/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

static void
tell_end(struct log *log, int pid, int status)
{
	if (log == NULL || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	log_event(log, LOG_LEVEL_WARNING,
	    "contain.command (process %d) ended with %s %d", pid,
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

size_t
hook_tend(struct hook *hook, struct log *log, uint64_t now_ms)
{
	size_t room = 0;

	for (size_t i = 0; i < HOOK_RUNNING_MAX; i++) {
		struct hook_run *run = &hook->runs[i];
		int status, pid;

		if (run->pid != 0) {
			pid = waitpid(run->pid, &status, WNOHANG);
			if (pid == run->pid)
				tell_end(log, pid, status);
			else if (pid == 0 && now_ms >= run->end_ms)
				(void)kill(-run->pid, SIGKILL);
			if (pid != 0)
				run->pid = 0;
		}
		if (run->pid == 0)
			room++;
	}
	return room;
}

static int
spawn(const char *const argv[], pid_t *pid_r)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
			     "/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	if (argv[0] == NULL)
		return EINVAL;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (posix_spawn_file_actions_init(&files) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attr) != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	rc =
	    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	rc |= posix_spawn_file_actions_adddup2(&files, 0, 1);
	rc |= posix_spawn_file_actions_adddup2(&files, 0, 2);
	rc |= posix_spawn_file_actions_addclosefrom_np(&files, 3);
	rc |= posix_spawnattr_setsigmask(&attr, &none);
	rc |= posix_spawnattr_setsigdefault(&attr, &all);
	rc |= posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		POSIX_SPAWN_SETSID);
	if (rc == 0) {
		char *arguments[8];
		size_t n = 0;

		/* exec(2) does not write to them */
		for (; n < 7 && argv[n] != NULL; n++)
			memcpy(&arguments[n], &argv[n], sizeof(arguments[n]));
		arguments[n] = NULL;
		rc = posix_spawn(pid_r, argv[0], &files, &attr, arguments,
		    environment);
	}
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

void
hook_run(struct hook *hook, struct log *log, const char *const argv[],
    uint64_t now_ms)
{
	struct hook_run *run = NULL;
	pid_t pid = 0;
	int rc;

	for (size_t i = 0; i < HOOK_RUNNING_MAX && run == NULL; i++) {
		if (hook->runs[i].pid == 0)
			run = &hook->runs[i];
	}
	if (run == NULL)
		return;
	rc = spawn(argv, &pid);
	if (rc != 0) {
		if (log != NULL)
			log_event(log, LOG_LEVEL_ALARM,
			    "contain.command %s cannot be run: %s", argv[0],
			    strerror(rc));
		return;
	}
	run->pid = pid;
	run->end_ms = now_ms + HOOK_LIFE_MS;
}
