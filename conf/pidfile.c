/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who runs with this configuration? The kernel's lock is the answer, the number
 * in the file only a courtesy: a crash leaves no lock behind.
 */
#include "conf/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *
pidfile_path(const struct conf *conf)
{
	static const char scheme[] = "unix:";
	char *path = NULL;
	int n;

	if (strncmp(conf->listen, scheme, strlen(scheme)) == 0)
		n = asprintf(&path, "%s.pid", conf->listen + strlen(scheme));
	else
		n = asprintf(&path, "%s/postern.pid", conf->state_dir);
	return n < 0 ? NULL : path;
}

int
pidfile_lock(const char *path, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		err_set(e, "%s: %s", path, strerror(errno));
		return -1;
	}
	/* nobody else may lock it, and be taken for us */
	if (fchmod(fd, 0600) != 0) {
		err_set(e, "%s: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	if (fcntl(fd, F_SETLK, &lock) != 0) {
		if (errno == EACCES || errno == EAGAIN)
			err_set(e, "%s: another postern is running", path);
		else
			err_set(e, "%s: cannot lock: %s", path,
			    strerror(errno));
		(void)close(fd);
		return -1;
	}
	if (ftruncate(fd, 0) == 0)
		(void)dprintf(fd, "%ld\n", (long)getpid());
	return fd;
}

pid_t
pidfile_owner(const char *path, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0) {
		err_set(e, "%s: %s", path, strerror(errno));
		return errno == ENOENT ? 0 : -1;
	}
	rc = fcntl(fd, F_GETLK, &lock);
	if (rc != 0)
		err_set(e, "%s: %s", path, strerror(errno));
	(void)close(fd);
	if (rc != 0)
		return -1;
	return lock.l_type == F_WRLCK ? lock.l_pid : 0;
}
