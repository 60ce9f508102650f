/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The milter's socket and the lock beside it. libmilter makes the socket, but
 * would take the path away from a running instance without a word, and asks
 * nobody for a mode: so that is done around it.
 */
#include "milter/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/pidfile.h"
#include "milter/filter.h"
#include "service/listen.h"

void
socket_poke(const struct socket_names *names)
{
	int fd = listen_connect(names->listen);

	if (fd >= 0)
		(void)close(fd);
}

/* The lock is held until the process ends, so its descriptor is kept. */
static int
lock(const struct conf *conf, const struct process_identity *identity,
    const char *path, struct err *e)
{
	if (listen_unix_path(conf->listen) == NULL &&
	    mkdir(conf->state_dir, 0750) == 0)
		(void)!lchown(conf->state_dir, identity->uid, identity->gid);
	return pidfile_lock(path, e) < 0 ? -1 : 0;
}

static int
make(void *arg, struct err *e)
{
	return filter_open(arg, e);
}

int
socket_open(const struct conf *conf, const struct process_identity *identity,
    struct socket_names *names_r, struct err *e)
{
	const char *path = listen_unix_path(conf->listen);

	names_r->listen = strdup(conf->listen);
	names_r->pid_file = pidfile_path(conf);
	if (names_r->listen == NULL || names_r->pid_file == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	if (lock(conf, identity, names_r->pid_file, e) != 0) {
		/* bind() keeps a second instance off a TCP port; without the
		 * file posternctl reload does not find us, that is all. */
		if (path != NULL)
			return -1;
		(void)fprintf(stderr, "postern: warning: %s\n", e->text);
	}
	if (path == NULL)
		return filter_open(conf->listen, e);
	return listen_make_unix(path, conf->socket_mode, identity->socket_group,
	    make, conf->listen, e);
}

void
socket_remove(const struct socket_names *names)
{
	const char *path = listen_unix_path(names->listen);

	if (path != NULL)
		(void)unlink(path);
	(void)unlink(names->pid_file);
}
