/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens the file: makes it, or has it inspected and, when it is damaged, puts
 * it aside under another name. Processes that open at the same time take turns
 * by a lock on the directory, so that nobody puts a new file aside. A file that
 * somebody works with is never taken away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/inspect.h"
#include "store/lmdb.h"

/* How long another process may take to open. */
#define TURN_MS      5000
#define TURN_STEP_MS 10
/* What LMDB makes it for 126 readers. */
#define LOCK_BYTES 8192

static int
open_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		err_set(e,
		    "%.300s: %s (the store's directory has to be there, and "
		    "to belong to postern's user)",
		    dir, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0 || (st.st_mode & S_IWOTH) == 0 ||
	    (st.st_mode & S_ISVTX) != 0)
		return fd;
	err_set(e, "%.300s: everybody may write there (chmod o-w)", dir);
	(void)close(fd);
	return -1;
}

static int
take_turn(int dir_fd, const char *dir, struct err *e)
{
	const struct timespec step = { .tv_nsec = TURN_STEP_MS * 1000000L };

	for (int waited = 0; waited <= TURN_MS; waited += TURN_STEP_MS) {
		if (flock(dir_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			err_set(e, "%.300s: cannot lock: %s", dir,
			    strerror(errno));
			return -1;
		}
		(void)nanosleep(&step, NULL);
	}
	err_set(e,
	    "%.300s: another process is opening the store there and "
	    "does not come to an end",
	    dir);
	return -1;
}

/*
 * One of the two files: ours alone, and no link. 1: it is there, 0: not, -1:
 * it will not do. What it holds is not looked at.
 */
static int
examine(const char *path, struct stat *st, struct err *e)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int rc = -1;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		err_set(e, "%.300s: %s", path,
		    errno == ELOOP ? "is a symbolic link, and none is followed"
				   : strerror(errno));
		return -1;
	}
	if (fstat(fd, st) != 0)
		err_set(e, "%.300s: %s", path, strerror(errno));
	else if (!S_ISREG(st->st_mode))
		err_set(e, "%.300s: is not a regular file", path);
	else if (st->st_uid != geteuid())
		err_set(e, "%.300s: belongs to user %lu, not to %lu (chown it)",
		    path, (unsigned long)st->st_uid, (unsigned long)geteuid());
	else if ((st->st_mode & 07777) != 0600 && fchmod(fd, 0600) != 0)
		err_set(e, "%.300s: %s", path, strerror(errno));
	else
		rc = 1;
	(void)close(fd);
	return rc;
}

/* LMDB's sign of life is a lock on the first octet of its lock file. Only
 * before this process has the store open: closing gives our own locks away. */
static pid_t
user_of(const char *lock_path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
	int fd = open(lock_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return 0;
	rc = fcntl(fd, F_GETLK, &lock);
	(void)close(fd);
	if (rc != 0 || lock.l_type == F_UNLCK)
		return 0;
	/* one in another namespace has no number here */
	return lock.l_pid != 0 ? lock.l_pid : -1;
}

/*
 * For a store that nobody works with: LMDB's lock file as new, and its blocks
 * on the disk. LMDB writes there through memory, where a full disk is no error
 * code but a signal.
 */
static int
renew_lock(const char *path, struct err *e)
{
	static const char nothing[LOCK_BYTES];
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? errno : posix_fallocate(fd, 0, LOCK_BYTES);

	errno = 0;
	if (rc == 0 &&
	    (pwrite(fd, nothing, sizeof(nothing), 0) != LOCK_BYTES ||
		ftruncate(fd, LOCK_BYTES) != 0 || fchmod(fd, 0600) != 0))
		rc = errno != 0 ? errno : EIO;
	if (fd >= 0)
		(void)close(fd);
	if (rc != 0)
		err_set(e, "%.300s: %s", path, strerror(rc));
	return rc == 0 ? 0 : -1;
}

static int
put_aside(struct lmdb *db, const char *why, struct err *e)
{
	time_t now = time(NULL);
	char stamp[32] = "";
	struct tm tm;
	char *aside = NULL;
	int rc = -1;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	for (unsigned int n = 1; n < 100 && rc != 0; n++) {
		int made = n == 1
		    ? asprintf(&aside, "%s.damaged-%s", db->base.path, stamp)
		    : asprintf(&aside, "%s.damaged-%s-%u", db->base.path, stamp,
			  n);

		if (made < 0) {
			err_set(e, "no memory");
			return -1;
		}
		rc = renameat2(AT_FDCWD, db->base.path, AT_FDCWD, aside,
		    RENAME_NOREPLACE);
		if (rc == 0)
			break;
		free(aside);
		aside = NULL;
		if (errno != EEXIST)
			break;
	}
	if (rc != 0) {
		err_set(e, "%.300s: damaged (%.60s), and cannot be renamed: %s",
		    db->base.path, why, strerror(errno));
		return -1;
	}
	report(&db->base, STORE_ALARM,
	    "%s: damaged (%s): kept as %s, a new one is begun and all it "
	    "held is lost",
	    db->base.path, why, aside);
	free(aside);
	return 0;
}

static int
judge(struct lmdb *db, const char *lock_path, struct err *e)
{
	struct err why = { "" };
	pid_t user = user_of(lock_path);

	if (user == 0 && renew_lock(lock_path, e) != 0)
		return -1;
	switch (inspect_file(db->base.path, db->limits.map_bytes, &why)) {
	case INSPECTION_SOUND:
		return 0;
	case INSPECTION_SLOW:
		report(&db->base, STORE_WARNING,
		    "%s: not checked for damage (%s)", db->base.path, why.text);
		return 0;
	case INSPECTION_DAMAGED:
		if (user == 0)
			return put_aside(db, why.text, e);
		err_set(e,
		    "%.300s: damaged (%.60s); restart postern, which holds it "
		    "(process %ld), to begin a new one",
		    db->base.path, why.text, (long)user);
		return -1;
	case INSPECTION_FAILED:
		break;
	}
	err_set(e, "%.300s: cannot be checked: %.100s", db->base.path,
	    why.text);
	return -1;
}

/* LMDB says this before it aborts. */
static void
on_assert(MDB_env *env, const char *text)
{
	struct lmdb *db = mdb_env_get_userctx(env);

	report(&db->base, STORE_ALARM,
	    "%s: damaged, and found too late: postern must be started again "
	    "(%s)",
	    db->base.path, text);
}

/* A new store says of what format it is. */
static int
write_version(struct lmdb *db)
{
	char kind = RECORD_VERSION, format[] = STORE_FORMAT;
	MDB_val key = { 1, &kind };
	MDB_val data = { strlen(format), format };
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_put(txn, db->dbi, &key, &data, 0);
	if (rc == MDB_SUCCESS)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
open_records(struct lmdb *db)
{
	MDB_txn *txn = NULL;
	MDB_stat stat_of = { 0 };
	int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &db->dbi);
	if (rc == MDB_SUCCESS)
		rc = mdb_stat(txn, db->dbi, &stat_of);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == MDB_SUCCESS && stat_of.ms_entries == 0)
		rc = write_version(db);
	return rc;
}

static int
open_env(struct lmdb *db)
{
	/* A commit writes the data through, and the page that makes it valid
	 * with the next: after a power cut the last one may be missing, but
	 * what is there is whole. No MDB_WRITEMAP: a full disk must be an error
	 * code and no signal. */
	const unsigned int flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOMETASYNC;
	mode_t mask = umask(077);
	int fd, rc = mdb_env_create(&db->env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(db->env, db->limits.map_bytes);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_userctx(db->env, db);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_assert(db->env, on_assert);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(db->env, db->base.path, flags, 0600);
	(void)umask(mask);
	/* LMDB forgets that for one of its descriptors */
	if (rc == MDB_SUCCESS && mdb_env_get_fd(db->env, &fd) == 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (rc == MDB_SUCCESS)
		rc = mdb_reader_check(db->env, NULL);
	if (rc == MDB_SUCCESS)
		rc = open_records(db);
	if (rc != MDB_SUCCESS && db->env != NULL) {
		mdb_env_close(db->env);
		db->env = NULL;
	}
	return rc;
}

static int
open_in_turn(struct lmdb *db, struct err *e)
{
	struct stat st = { 0 }, lock_st;
	char *lock_path = NULL;
	int there, rc = -1;

	if (asprintf(&lock_path, "%s-lock", db->base.path) < 0) {
		err_set(e, "no memory");
		return -1;
	}
	there = examine(db->base.path, &st, e);
	if (there < 0 || examine(lock_path, &lock_st, e) < 0)
		goto out;
	if (there == 1 && st.st_size == 0)
		report(&db->base, STORE_WARNING,
		    "%s: is empty: whatever it held is lost", db->base.path);
	if ((there == 0 || st.st_size == 0) && user_of(lock_path) == 0 &&
	    renew_lock(lock_path, e) != 0)
		goto out;
	if (there == 1 && st.st_size > 0 && judge(db, lock_path, e) != 0)
		goto out;
	rc = open_env(db);
	if (rc != MDB_SUCCESS) {
		err_set(e, "%.300s: %s", db->base.path, mdb_strerror(rc));
		rc = -1;
	}
out:
	free(lock_path);
	return rc;
}

int
file_open(struct lmdb *db, const char *dir, struct err *e)
{
	int dir_fd = open_dir(dir, e);
	int rc = -1;

	if (dir_fd < 0)
		return -1;
	if (take_turn(dir_fd, dir, e) == 0)
		rc = open_in_turn(db, e);
	(void)close(dir_fd);
	return rc;
}
