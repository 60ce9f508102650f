/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Will the daemon find here what it needs, with the rights that it will have?
 * Says so beforehand; the start and the operating system decide.
 */
#include "conf/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER_MAX 16384
#define GROUPS_MAX 256

struct account {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int group_count;
};

static bool
find_account(const char *name, struct account *account_r)
{
	char buffer[BUFFER_MAX];
	struct passwd entry, *found = NULL;

	if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 ||
	    found == NULL)
		return false;
	account_r->uid = entry.pw_uid;
	account_r->group_count = GROUPS_MAX;
	if (getgrouplist(name, entry.pw_gid, account_r->groups,
		&account_r->group_count) < 0)
		account_r->group_count = GROUPS_MAX;
	return true;
}

static bool
group_exists(const char *name)
{
	char buffer[BUFFER_MAX];
	struct group entry, *found = NULL;

	return getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) == 0 &&
	    found != NULL;
}

/* May the account read, write or run it? which: S_IROTH, S_IWOTH, S_IXOTH. */
static bool
may(const struct account *account, const struct stat *st, mode_t which)
{
	if (account->uid == 0)
		return which != S_IXOTH || (st->st_mode & 0111) != 0;
	if (account->uid == st->st_uid)
		return (st->st_mode & which << 6) != 0;
	for (int i = 0; i < account->group_count; i++) {
		if (account->groups[i] == st->st_gid)
			return (st->st_mode & which << 3) != 0;
	}
	return (st->st_mode & which) != 0;
}

static void
warn_of_strangers(struct loader *l, unsigned int line, const char *option,
    const char *path, const struct stat *st)
{
	if ((st->st_mode & S_IWOTH) != 0)
		report_warning(&l->r, line, option,
		    REPORT_PATH ": everybody on this host can change it", path);
}

void
account_warn_file(struct loader *l, unsigned int line, const char *option,
    const char *path)
{
	struct account account;
	struct stat st;

	if (l->env->host == NULL || l->conf->user == NULL ||
	    stat(path, &st) != 0)
		return;
	warn_of_strangers(l, line, option, path, &st);
	if (find_account(l->conf->user, &account) &&
	    !may(&account, &st, S_IROTH))
		report_warning(&l->r, line, option,
		    REPORT_PATH ": user \"%s\" cannot read it (owner %lu, mode "
				"%04o), so postern will not start",
		    path, l->conf->user, (unsigned long)st.st_uid,
		    (unsigned int)st.st_mode & 07777u);
}

void
account_warn_program(struct loader *l, unsigned int line, const char *option,
    const char *path)
{
	struct account account;
	struct stat st;

	if (l->env->host == NULL || l->conf->user == NULL)
		return;
	if (stat(path, &st) != 0) {
		report_warning(&l->r, line, option,
		    REPORT_PATH ": %s; nobody would be told", path,
		    strerror(errno));
		return;
	}
	warn_of_strangers(l, line, option, path, &st);
	if (find_account(l->conf->user, &account) &&
	    (!S_ISREG(st.st_mode) || !may(&account, &st, S_IXOTH)))
		report_warning(&l->r, line, option,
		    REPORT_PATH ": user \"%s\" cannot run it (owner %lu, mode "
				"%04o); nobody would be told",
		    path, l->conf->user, (unsigned long)st.st_uid,
		    (unsigned int)st.st_mode & 07777u);
}

void
account_warn_store(struct loader *l, unsigned int line, const char *option,
    const char *dir, bool made)
{
	struct account account;
	struct stat st;

	if (l->env->host == NULL || l->conf->user == NULL)
		return;
	if (stat(dir, &st) != 0) {
		if (!made)
			report_warning(&l->r, line, option,
			    REPORT_PATH ": %s; postern will not start", dir,
			    strerror(errno));
		return;
	}
	if (find_account(l->conf->user, &account) && account.uid != 0 &&
	    (!S_ISDIR(st.st_mode) || !may(&account, &st, S_IWOTH)))
		report_warning(&l->r, line, option,
		    REPORT_PATH ": user \"%s\" cannot write there (owner %lu, "
				"mode %04o), so postern will not start",
		    dir, l->conf->user, (unsigned long)st.st_uid,
		    (unsigned int)st.st_mode & 07777u);
}

static void
warn_directory(struct loader *l, unsigned int line, const char *option,
    const char *listen)
{
	struct stat st;
	char *directory;

	if (listen == NULL || strncmp(listen, "unix:", 5) != 0)
		return;
	directory = strdup(listen + 5);
	if (directory == NULL) {
		report_no_memory(&l->r);
		return;
	}
	strrchr(directory, '/')[1] = '\0';
	if (stat(directory, &st) != 0 || !S_ISDIR(st.st_mode))
		report_warning(&l->r, line, option,
		    "the directory " REPORT_PATH " is not there; make it, or "
		    "have systemd make it (RuntimeDirectory)",
		    directory);
	free(directory);
}

static void
warn_group(struct loader *l, unsigned int line, const char *option,
    const char *listen, const char *group)
{
	if (strncmp(listen, "unix:", 5) != 0 || *group == '\0' ||
	    group_exists(group))
		return;
	report_warning(&l->r, line, option,
	    "there is no group \"%s\" on this host; postern will not start "
	    "(\"\" leaves the socket's group alone)",
	    group);
}

void
account_warn(struct loader *l, const struct block *root)
{
	const struct conf *c = l->conf;
	struct account account;

	if (l->env->host == NULL || c->user == NULL || c->listen == NULL ||
	    c->socket_group == NULL)
		return;
	if (!find_account(c->user, &account))
		report_warning(&l->r, block_line(root, OPTION_USER), "user",
		    "there is no user \"%s\" on this host; postern will not "
		    "start",
		    c->user);
	warn_group(l, block_line(root, OPTION_SOCKET_GROUP), "socket_group",
	    c->listen, c->socket_group);
	warn_directory(l, block_line(root, OPTION_LISTEN), "listen", c->listen);
	account_warn_file(l, 1, "file", l->r.file);
}

void
account_warn_socket(struct loader *l, const struct block *b,
    const struct socket_options *o, const char *listen, const char *group)
{
	char label[OPTION_LABEL_MAX];

	if (l->env->host == NULL || listen == NULL || group == NULL)
		return;
	option_label(o->group, label);
	warn_group(l, block_line(b, o->group), label, listen, group);
	option_label(o->listen, label);
	warn_directory(l, block_line(b, o->listen), label, listen);
}
