/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The milter's socket as a thing in the file system: whose it is, who may
 * connect, and whether somebody else already serves it. libmilter would take
 * the path away from a running instance without a word.
 */
#include "milter/socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/pidfile.h"
#include "milter/filter.h"

/* NULL: not a UNIX socket. */
static const char *
unix_path(const char *listen)
{
	return strncmp(listen, "unix:", 5) == 0 ? listen + 5 : NULL;
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* PORT@HOST */
static int
connect_inet(const char *address)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char port[8] = "";
	const char *at = strchr(address, '@');
	int fd = -1;

	if (at == NULL || (size_t)(at - address) >= sizeof(port))
		return -1;
	memcpy(port, address, (size_t)(at - address));
	if (getaddrinfo(at + 1, port, &hints, &list) != 0)
		return -1;
	for (const struct addrinfo *a = list; a != NULL && fd < 0;
	     a = a->ai_next) {
		fd = socket(a->ai_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
		    errno != EINPROGRESS) {
			(void)close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

void
socket_poke(const char *listen)
{
	const char *path = unix_path(listen);
	const char *colon = strchr(listen, ':');
	int fd = -1;

	if (path != NULL)
		fd = connect_unix(path);
	else if (strncmp(listen, "inet", 4) == 0 && colon != NULL)
		fd = connect_inet(colon + 1);
	if (fd >= 0)
		(void)close(fd);
}

static int
refuse_served(const char *path, struct err *e)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		err_set(e, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		err_set(e, "%s: exists and is not a socket", path);
		return -1;
	}
	fd = connect_unix(path);
	if (fd < 0 && errno == ECONNREFUSED)
		return 0; /* left behind by a crash */
	if (fd >= 0)
		(void)close(fd);
	err_set(e, "%s: another process listens on it", path);
	return -1;
}

/* The lock is held until the process ends, so its descriptor is kept. */
static int
lock(const struct conf *conf, const struct process_identity *identity,
    struct err *e)
{
	char *path = pidfile_path(conf);
	int fd;

	if (path == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	if (unix_path(conf->listen) == NULL &&
	    mkdir(conf->state_dir, 0750) == 0)
		(void)!lchown(conf->state_dir, identity->uid, identity->gid);
	fd = pidfile_lock(path, e);
	free(path);
	return fd < 0 ? -1 : 0;
}

/* The umask gives the mode at birth, so that nothing has to follow a path that
 * the directory's owner might exchange; lchown() follows no link. */
static int
open_unix(const struct conf *conf, const char *path, gid_t group, struct err *e)
{
	mode_t old_mask = umask((mode_t)(~conf->socket_mode & 0777));
	int rc = filter_open(conf->listen, e);

	(void)umask(old_mask);
	if (rc != 0)
		return -1;
	if (group != (gid_t)-1 && lchown(path, (uid_t)-1, group) != 0) {
		err_set(e, "%s: cannot give it to the group: %s", path,
		    strerror(errno));
		(void)unlink(path);
		return -1;
	}
	return 0;
}

int
socket_open(const struct conf *conf, const struct process_identity *identity,
    struct err *e)
{
	const char *path = unix_path(conf->listen);

	if (lock(conf, identity, e) != 0) {
		/* bind() keeps a second instance off a TCP port; without the
		 * file posternctl reload does not find us, that is all. */
		if (path != NULL)
			return -1;
		(void)fprintf(stderr, "postern: warning: %s\n", e->text);
	}
	if (path == NULL)
		return filter_open(conf->listen, e);
	if (refuse_served(path, e) != 0)
		return -1;
	return open_unix(conf, path, identity->socket_group, e);
}

void
socket_remove(const struct conf *conf)
{
	const char *path = unix_path(conf->listen);
	char *pid_path = pidfile_path(conf);

	if (path != NULL)
		(void)unlink(path);
	if (pid_path != NULL)
		(void)unlink(pid_path);
	free(pid_path);
}
