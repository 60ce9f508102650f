/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the store lives and to whom it belongs. Nothing is made or opened here.
 */
#include "store/place.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/redisurl.h"

static const char scheme[] = "lmdb:";

int
store_check_url(const char *url, struct err *e)
{
	const char *dir;
	struct redisurl redis;

	if (redisurl_is_one(url))
		return redisurl_parse(url, &redis, e);
	if (strncmp(url, scheme, strlen(scheme)) != 0) {
		err_set(e,
		    "it is neither lmdb:[DIRECTORY] nor redis://HOST "
		    "or rediss://HOST");
		return -1;
	}
	dir = url + strlen(scheme);
	if (dir[0] != '\0' && dir[0] != '/') {
		err_set(e, "\"%.80s\": the directory must begin with a slash",
		    dir);
		return -1;
	}
	return 0;
}

bool
place_is_file(const struct store_options *options)
{
	return options->url == NULL || !redisurl_is_one(options->url);
}

char *
place_dir(const struct store_options *options, struct err *e)
{
	const char *url = options->url != NULL ? options->url : scheme;
	const char *dir;
	char *copy;

	if (store_check_url(url, e) != 0)
		return NULL;
	dir = url + strlen(scheme);
	if (dir[0] == '\0')
		dir = options->state_dir;
	if (dir == NULL || dir[0] == '\0') {
		err_set(e, "the store has no directory (state_dir)");
		return NULL;
	}
	copy = strdup(dir);
	if (copy == NULL)
		err_set(e, "no memory");
	return copy;
}

char *
place_file(const char *dir)
{
	char *path = NULL;

	return asprintf(&path, "%s/store.mdb", dir) < 0 ? NULL : path;
}

static int
become(uid_t uid, gid_t gid, struct err *e)
{
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		err_set(e, "cannot become user %lu, who owns the store: %s",
		    (unsigned long)uid, strerror(errno));
		return -1;
	}
	return 0;
}

int
place_take_owner(const struct store_options *options, struct err *e)
{
	char *dir, *file = NULL;
	struct stat st;
	int rc = -1;

	if (geteuid() != 0 || !place_is_file(options))
		return 0;
	dir = place_dir(options, e);
	if (dir == NULL)
		return -1;
	file = place_file(dir);
	if (file == NULL)
		err_set(e, "no memory");
	else if (lstat(file, &st) != 0 && stat(dir, &st) != 0)
		err_set(e, "%s: %s", dir, strerror(errno));
	else if (st.st_uid == 0)
		rc = 0;
	else
		rc = become(st.st_uid, st.st_gid, e);
	free(file);
	free(dir);
	return rc;
}
