/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets, and UNIX sockets as things in the file system: whose they
 * are, who may connect, and whether somebody else already serves them. bind()
 * asks none of that. It must not take a socket away from a running process, nor
 * leave one open to more people than its mode says, not even for a moment.
 */
#include "service/listen.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_TYPE (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

const char *
listen_unix_path(const char *address)
{
	return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

int
listen_find_group(const char *name, gid_t *group_r)
{
	const struct group *gr;

	*group_r = (gid_t)-1;
	if (*name == '\0')
		return 0;
	gr = getgrnam(name);
	if (gr == NULL)
		return -1;
	*group_r = gr->gr_gid;
	return 0;
}

/* Keeps errno. */
static int
close_failed(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
	return -1;
}

/* -1: the path is too long. */
static int
unix_address(const char *path, struct sockaddr_un *address_r)
{
	*address_r = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address_r->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address_r->sun_path, path, strlen(path) + 1);
	return 0;
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un to;
	int fd;

	if (unix_address(path, &to) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCKET_TYPE, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		return close_failed(fd);
	return fd;
}

/* What inet:PORT@HOST or inet6:PORT@HOST stands for; NULL: nothing. */
static struct addrinfo *
resolve(const char *address, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = flags },
			*list = NULL;
	const char *colon = strchr(address, ':');
	const char *at = colon == NULL ? NULL : strchr(colon, '@');
	char port[8] = "";

	if (at == NULL || strncmp(address, "inet", 4) != 0 ||
	    (size_t)(at - colon - 1) >= sizeof(port))
		return NULL;
	hints.ai_family = address[4] == '6' ? AF_INET6 : AF_INET;
	memcpy(port, colon + 1, (size_t)(at - colon - 1));
	if (getaddrinfo(at + 1, port, &hints, &list) != 0)
		return NULL;
	return list;
}

static int
connect_inet(const char *address)
{
	struct addrinfo *list = resolve(address, 0);
	int fd = -1;

	for (const struct addrinfo *a = list; a != NULL && fd < 0;
	     a = a->ai_next) {
		fd = socket(a->ai_family, SOCKET_TYPE, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
		    errno != EINPROGRESS)
			fd = close_failed(fd);
	}
	if (list != NULL)
		freeaddrinfo(list);
	return fd;
}

int
listen_connect(const char *address)
{
	const char *path = listen_unix_path(address);

	return path != NULL ? connect_unix(path) : connect_inet(address);
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

/* The umask gives the mode at birth, so that nothing has to follow a path that
 * the directory's owner might exchange; lchown() follows no link. */
int
listen_make_unix(const char *path, unsigned int mode, gid_t group,
    listen_make *make, void *arg, struct err *e)
{
	mode_t old_mask;
	int rc;

	if (refuse_served(path, e) != 0)
		return -1;
	old_mask = umask((mode_t)(~mode & 0777));
	rc = make(arg, e);
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

struct unix_socket {
	const char *path;
	int fd;
};

static int
make_unix(void *arg, struct err *e)
{
	struct unix_socket *s = arg;
	struct sockaddr_un at;

	if (unix_address(s->path, &at) != 0) {
		err_set(e, "%s: %s", s->path, strerror(errno));
		return -1;
	}
	(void)unlink(s->path);
	s->fd = socket(AF_UNIX, SOCKET_TYPE, 0);
	if (s->fd >= 0 &&
	    bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(s->fd, SOMAXCONN) == 0)
		return 0;
	err_set(e, "%s: %s", s->path, strerror(errno));
	return -1;
}

static int
open_unix(const char *path, unsigned int mode, gid_t group, struct err *e)
{
	struct unix_socket s = { path, -1 };

	if (listen_make_unix(path, mode, group, make_unix, &s, e) == 0)
		return s.fd;
	if (s.fd >= 0)
		(void)close(s.fd);
	return -1;
}

static int
open_inet(const char *address, struct err *e)
{
	struct addrinfo *list = resolve(address, AI_PASSIVE);
	const int on = 1;
	int fd;

	if (list == NULL) {
		err_set(e, "%s: no such address", address);
		return -1;
	}
	fd = socket(list->ai_family, SOCKET_TYPE, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (list->ai_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
			    sizeof(on));
		if (bind(fd, list->ai_addr, list->ai_addrlen) != 0 ||
		    listen(fd, SOMAXCONN) != 0)
			fd = close_failed(fd);
	}
	if (fd < 0)
		err_set(e, "%s: %s", address, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

int
listen_open(const char *address, unsigned int mode, gid_t group, struct err *e)
{
	const char *path = listen_unix_path(address);

	return path != NULL ? open_unix(path, mode, group, e)
			    : open_inet(address, e);
}
