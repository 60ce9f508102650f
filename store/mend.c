/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store that LMDB stumbles over while it is in use, or that is not at its
 * place any more: it is closed, and opened as at the start, by which a damaged
 * one is put aside. Only the writer thread comes here. What waits in memory is
 * kept, and written when there is a file again; until then nobody is told what
 * he cannot know.
 */
#include <errno.h>
#include <sys/stat.h>

#include "store/lmdb.h"

/* A disk that stays broken must not keep the host busy with it. */
#define AGAIN_MS 5000

bool
mend_is_needed(int rc)
{
	switch (rc) {
	case MDB_BAD_TXN: /* it went on after one of these */
	case MDB_CORRUPTED:
	case MDB_CURSOR_FULL:
	case MDB_INVALID:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC: /* for good, after an error of the disk */
		return true;
	default: /* a number of LMDB's or of errno's */
		return false;
	}
}

void
mend_look(struct lmdb *db)
{
	struct stat ours, there;
	int fd, rc;

	if (atomic_load(&db->ailing) ||
	    mdb_env_get_fd(db->env, &fd) != MDB_SUCCESS ||
	    fstat(fd, &ours) != 0)
		return;
	rc = stat(db->base.path, &there);
	if (rc != 0 && errno != ENOENT)
		return;
	if (rc == 0 && there.st_ino == ours.st_ino &&
	    there.st_dev == ours.st_dev)
		return;
	report(&db->base, STORE_ALARM,
	    "%s: was %s: postern goes on with what is there", db->base.path,
	    rc != 0 ? "taken away" : "replaced");
	atomic_store(&db->ailing, true);
}

/* Nobody looks anything up when this returns. */
static void
shut(struct lmdb *db)
{
	(void)pthread_mutex_lock(&db->readers_lock);
	db->shut = true;
	(void)pthread_cond_broadcast(&db->reader_back);
	while (db->readers_idle < db->readers_made)
		(void)pthread_cond_wait(&db->reader_back, &db->readers_lock);
	reader_free(db);
	(void)pthread_mutex_unlock(&db->readers_lock);
}

void
mend(struct lmdb *db)
{
	struct err e = { "" };

	if (!atomic_load(&db->ailing) || clock_mono_ms() < db->mend_ms)
		return;
	db->mend_ms = clock_mono_ms() + AGAIN_MS;
	shut(db);
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->env = NULL;
	if (file_open(db, db->dir, &e) != 0) {
		trouble_report(&db->base, &db->mending,
		    "%s: closed, what comes is in memory only: %s",
		    db->base.path, e.text);
		return;
	}
	atomic_store(&db->ailing, false);
	(void)pthread_mutex_lock(&db->readers_lock);
	db->shut = false;
	(void)pthread_mutex_unlock(&db->readers_lock);
	trouble_over(&db->base, &db->mending, "is open again");
}
