/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a log as it grows, as tail -F does. It looks again every quarter of a
 * second instead of being told: that holds on every file system. It does not
 * know what a line means, and a line longer than any of a login is nobody's.
 */
#include "ctl/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 4096
#define LOOK_NS      250000000

struct tail {
	const char *path;
	int fd; /* -1: the file is not there */
	dev_t dev;
	ino_t ino;
	off_t at;
	char line[LINE_MAX_LEN];
	size_t len;
	bool skip; /* the rest of a line that was too long */
	follow_take *take;
	void *arg;
};

static volatile sig_atomic_t ended;

static void
end(int signal)
{
	(void)signal;
	ended = 1;
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = end };

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
}

static void
take_octets(struct tail *t, const char *octets, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (octets[i] == '\n') {
			if (!t->skip)
				t->take(t->arg, t->line, t->len);
			t->len = 0;
			t->skip = false;
		} else if (t->len == sizeof(t->line)) {
			t->skip = true;
		} else {
			t->line[t->len++] = octets[i];
		}
	}
}

static void
begin_line(struct tail *t)
{
	t->len = 0;
	t->skip = false;
}

/* Everything there is now. -1: it cannot be read. */
static int
read_on(struct tail *t)
{
	char octets[16384];
	ssize_t n = 1;

	while (n > 0 && !ended) {
		n = read(t->fd, octets, sizeof(octets));
		if (n > 0) {
			take_octets(t, octets, (size_t)n);
			t->at += n;
		}
	}
	return n < 0 && errno != EINTR && errno != EAGAIN ? -1 : 0;
}

/* first: what is in the file already has been there for who knows how long.
 * -1: it is there and cannot be opened. */
static int
open_file(struct tail *t, bool first)
{
	struct stat st;

	t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (t->fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(t->fd, &st) != 0)
		return -1;
	t->dev = st.st_dev;
	t->ino = st.st_ino;
	t->at = first ? lseek(t->fd, 0, SEEK_END) : 0;
	begin_line(t);
	/* in the middle of a line, the rest of it is none */
	if (t->at > 0) {
		char last = '\n';

		if (pread(t->fd, &last, 1, t->at - 1) != 1 || last != '\n')
			t->skip = true;
	}
	return 0;
}

/* Has the file been cut short, or another one taken its name? */
static int
look_again(struct tail *t)
{
	struct stat st;

	if (t->fd >= 0 && fstat(t->fd, &st) == 0 && st.st_size < t->at) {
		t->at = lseek(t->fd, 0, SEEK_SET);
		begin_line(t);
	}
	if (stat(t->path, &st) != 0)
		return 0; /* between two names, perhaps */
	if (t->fd >= 0 && st.st_dev == t->dev && st.st_ino == t->ino)
		return 0;
	if (t->fd >= 0) {
		(void)read_on(t);
		(void)close(t->fd);
	}
	return open_file(t, false);
}

int
follow(const char *path, follow_take *take, void *arg)
{
	const struct timespec pause = { 0, LOOK_NS };
	struct tail t = { .path = path, .fd = -1, .take = take, .arg = arg };
	int rc, saved;

	catch_signals();
	if (strcmp(path, "-") == 0) {
		t.fd = STDIN_FILENO;
		return read_on(&t);
	}
	rc = open_file(&t, true);
	while (!ended && rc == 0) {
		if (t.fd >= 0)
			rc = read_on(&t);
		if (rc == 0)
			rc = look_again(&t);
		if (!ended && rc == 0)
			(void)nanosleep(&pause, NULL);
	}
	saved = errno;
	if (t.fd >= 0)
		(void)close(t.fd);
	errno = saved;
	return rc;
}
