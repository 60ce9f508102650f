/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process itself: limits, background, identity, and the word to systemd.
 * Nothing here knows about mail.
 */
#include "milter/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* LeakSanitizer's, in builds that have it; else its address is NULL. */
void __lsan_do_leak_check(void) __attribute__((weak));

static int parent_pipe = -1;
static int signal_pipe[2] = { -1, -1 };

void
process_fill_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

void
process_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The parent's whole life after the fork: no child, no word, no success. */
static void __attribute__((noreturn)) wait_for_child(pid_t child, int fd)
{
	char released;
	int status;

	if (read(fd, &released, 1) == 1)
		_exit(0);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(1);
}

int
process_detach(struct err *e)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		err_set(e, "pipe: %s", strerror(errno));
		return -1;
	}
	child = fork();
	if (child < 0) {
		err_set(e, "fork: %s", strerror(errno));
		return -1;
	}
	if (child > 0) {
		(void)close(fds[1]);
		wait_for_child(child, fds[0]);
	}
	(void)close(fds[0]);
	parent_pipe = fds[1];
	(void)setsid();
	return 0;
}

void
process_release(bool keep_stderr)
{
	int null_fd;

	if (parent_pipe < 0)
		return;
	(void)!chdir("/"); /* failing, it keeps a directory in use, no more */
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0) {
		(void)dup2(null_fd, STDIN_FILENO);
		(void)dup2(null_fd, STDOUT_FILENO);
		if (!keep_stderr)
			(void)dup2(null_fd, STDERR_FILENO);
		(void)close(null_fd);
	}
	(void)!write(parent_pipe, "", 1);
	(void)close(parent_pipe);
	parent_pipe = -1;
}

static int
resolve_user(const char *name, struct process_identity *identity, struct err *e)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL) {
		err_set(e,
		    "user: there is no user \"%s\"; create it or set "
		    "user to one that exists",
		    name);
		return -1;
	}
	if (geteuid() != 0 && geteuid() != pw->pw_uid) {
		err_set(e,
		    "user: cannot become \"%s\": not started as root; "
		    "set user to the user who starts postern",
		    name);
		return -1;
	}
	identity->uid = pw->pw_uid;
	identity->gid = pw->pw_gid;
	identity->user = strdup(name);
	if (identity->user == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	return 0;
}

int
process_resolve(const struct conf *conf, struct process_identity *identity_r,
    struct err *e)
{
	const struct group *gr;

	memset(identity_r, 0, sizeof(*identity_r));
	identity_r->socket_group = (gid_t)-1;
	if (strncmp(conf->listen, "unix:", 5) == 0 &&
	    *conf->socket_group != '\0') {
		gr = getgrnam(conf->socket_group);
		if (gr == NULL) {
			err_set(e,
			    "socket_group: there is no group \"%s\"; set it "
			    "to the MTA's group, or \"\" to leave the "
			    "socket's group alone",
			    conf->socket_group);
			return -1;
		}
		identity_r->socket_group = gr->gr_gid;
	}
	return resolve_user(conf->user, identity_r, e);
}

void
process_identity_clear(struct process_identity *identity)
{
	free(identity->user);
	memset(identity, 0, sizeof(*identity));
}

int
process_drop_privileges(const struct process_identity *identity, struct err *e)
{
	if (geteuid() == identity->uid && getuid() == identity->uid)
		return 0;
	if (initgroups(identity->user, identity->gid) != 0 ||
	    setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
	    setresuid(identity->uid, identity->uid, identity->uid) != 0) {
		err_set(e, "cannot become %s: %s", identity->user,
		    strerror(errno));
		return -1;
	}
	if (getuid() != identity->uid || geteuid() != identity->uid ||
	    getgid() != identity->gid || getegid() != identity->gid ||
	    (identity->uid != 0 && setuid(0) == 0)) {
		err_set(e, "still privileged after becoming %s",
		    identity->user);
		return -1;
	}
	return 0;
}

void
process_forbid_core(void)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	if (__lsan_do_leak_check != NULL)
		return;
	/* neither can fail; the first is what counts where core_pattern names
	 * a program, which is not bound by the limit */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

static void
on_signal(int sig)
{
	int saved = errno;
	char octet = (char)sig;

	(void)!write(signal_pipe[1], &octet, 1); /* full: enough is told */
	errno = saved;
}

int
process_catch_signals(struct err *e)
{
	static const int caught[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = SA_NODEFER };
	sigset_t set;

	if (pipe2(signal_pipe, O_CLOEXEC) != 0 ||
	    fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) != 0) {
		err_set(e, "pipe: %s", strerror(errno));
		return -1;
	}
	(void)sigemptyset(&action.sa_mask);
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		(void)sigaction(caught[i], &action, NULL);
		(void)sigaddset(&set, caught[i]);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

int
process_wait_signal(void)
{
	char octet;
	ssize_t n;

	do {
		n = read(signal_pipe[0], &octet, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? octet : SIGTERM;
}

int
process_thread(pthread_t *thread_r, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all;
	int rc;

	(void)sigfillset(&all);
	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return rc;
	rc = pthread_attr_setsigmask_np(&attr, &all);
	if (rc == 0)
		rc = pthread_create(thread_r, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	return rc;
}

void
process_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}
