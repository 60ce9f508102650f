/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up. Transactions are kept at rest and renewed: that takes no lock of
 * LMDB's and no waiting for a writer. None is open for longer than the look, so
 * that no reader keeps old pages from being used again.
 */
#include <string.h>

#include "store/lmdb.h"

/* Room for one more look; txn_r is NULL when it has to be made. */
static int
take_room(struct lmdb *db, MDB_txn **txn_r)
{
	int rc = MDB_SUCCESS;

	*txn_r = NULL;
	(void)pthread_mutex_lock(&db->readers_lock);
	while (db->readers_idle == 0 && db->readers_made == STORE_READERS &&
	    !db->shut)
		(void)pthread_cond_wait(&db->reader_back, &db->readers_lock);
	if (db->shut)
		rc = STORE_SHUT;
	else if (db->readers_idle > 0)
		*txn_r = db->readers[--db->readers_idle];
	else
		db->readers_made++;
	(void)pthread_mutex_unlock(&db->readers_lock);
	return rc;
}

static void
give_room(struct lmdb *db, MDB_txn *txn)
{
	(void)pthread_mutex_lock(&db->readers_lock);
	if (txn != NULL)
		db->readers[db->readers_idle++] = txn;
	else
		db->readers_made--;
	/* others, or the writer who waits for all of them */
	(void)pthread_cond_broadcast(&db->reader_back);
	(void)pthread_mutex_unlock(&db->readers_lock);
}

static MDB_txn *
borrow(struct lmdb *db, int *rc_r)
{
	MDB_txn *txn;

	*rc_r = take_room(db, &txn);
	if (*rc_r != MDB_SUCCESS)
		return NULL;
	if (txn != NULL) {
		*rc_r = mdb_txn_renew(txn);
		return txn;
	}
	*rc_r = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
	if (*rc_r == MDB_READERS_FULL) {
		/* of processes that were killed, perhaps */
		(void)mdb_reader_check(db->env, NULL);
		*rc_r = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
	}
	if (*rc_r == MDB_SUCCESS)
		return txn;
	give_room(db, NULL);
	return NULL;
}

static void
give_back(struct lmdb *db, MDB_txn *txn)
{
	if (txn == NULL)
		return;
	mdb_txn_reset(txn);
	give_room(db, txn);
}

/* What a get came to. */
static int
tell(struct lmdb *db, int rc)
{
	if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) {
		if (db->reading.on)
			trouble_over(&db->base, &db->reading,
			    "can be read again");
		return 0;
	}
	if (rc == STORE_SHUT) /* told by who shut it */
		return -1;
	trouble_report(&db->base, &db->reading,
	    "%s: cannot be read: %s (if that stays, restart postern: it checks "
	    "the store and begins a new one if it is damaged)",
	    db->base.path, lmdb_text(rc));
	if (mend_is_needed(rc) && !atomic_exchange(&db->ailing, true)) {
		(void)pthread_mutex_lock(&db->lock);
		writer_wake(db);
		(void)pthread_mutex_unlock(&db->lock);
	}
	return -1;
}

/* MDB_NOTFOUND, STORE_BAD_RECORD, ... */
static int
look_up(const struct lmdb *db, MDB_txn *txn, const struct record_key *key,
    uint64_t *stamp_r, void *value_r, size_t size, size_t *len_r)
{
	struct record_key copy = *key;
	MDB_val k = { copy.len, copy.octets }, data;
	int rc = mdb_get(txn, db->dbi, &k, &data);

	*len_r = 0;
	if (rc != MDB_SUCCESS)
		return rc;
	if (record_decode(key->octets, key->len, data.mv_data, data.mv_size,
		stamp_r) != 0 ||
	    data.mv_size - RECORD_HEAD > size)
		return STORE_BAD_RECORD;
	*len_r = data.mv_size - RECORD_HEAD;
	memcpy(value_r, (const uint8_t *)data.mv_data + RECORD_HEAD, *len_r);
	return MDB_SUCCESS;
}

int
reader_get(struct lmdb *db, struct record *records, size_t count,
    unsigned int *found_r)
{
	int rc;
	MDB_txn *txn = borrow(db, &rc);

	*found_r = 0;
	for (size_t i = 0;
	     i < count && (rc == MDB_SUCCESS || rc == MDB_NOTFOUND); i++) {
		struct record *r = &records[i];

		rc = look_up(db, txn, &r->key, &r->stamp, r->value,
		    sizeof(r->value), &r->len);
		if (rc == MDB_SUCCESS)
			*found_r |= 1u << i;
	}
	give_back(db, txn);
	return tell(db, rc);
}

int
reader_counter(struct lmdb *db, const struct record_key *key, uint64_t *stamp_r,
    void *value_r, size_t size, size_t *len_r)
{
	int rc;
	MDB_txn *txn = borrow(db, &rc);

	if (rc == MDB_SUCCESS)
		rc = look_up(db, txn, key, stamp_r, value_r, size, len_r);
	give_back(db, txn);
	return tell(db, rc) != 0 ? -1 : rc == MDB_SUCCESS;
}

/* Is it there, and sound, and does it begin so? */
static int
view(const MDB_val *key, const MDB_val *data, const struct record_key *prefix,
    struct record_view *view_r)
{
	if (key->mv_size < prefix->len ||
	    memcmp(key->mv_data, prefix->octets, prefix->len) != 0)
		return MDB_NOTFOUND;
	if (key->mv_size > RECORD_KEY_MAX ||
	    record_decode(key->mv_data, key->mv_size, data->mv_data,
		data->mv_size, &view_r->stamp) != 0)
		return STORE_BAD_RECORD;
	view_r->key = key->mv_data;
	view_r->key_len = key->mv_size;
	view_r->value = (const uint8_t *)data->mv_data + RECORD_HEAD;
	view_r->len = data->mv_size - RECORD_HEAD;
	return MDB_SUCCESS;
}

int
reader_group(struct lmdb *db, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	struct record_key at = *group;
	MDB_val key = { at.len, at.octets }, data;
	MDB_cursor *cursor = NULL;
	struct record_view v;
	int rc;
	MDB_txn *txn = borrow(db, &rc);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_open(txn, db->dbi, &cursor);
	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
	while (rc == MDB_SUCCESS) {
		rc = view(&key, &data, group, &v);
		if (rc != MDB_SUCCESS)
			break;
		each(arg, &v);
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	give_back(db, txn);
	return tell(db, rc);
}

static int
copy_records(MDB_cursor *cursor, const struct record_key *prefix,
    struct record_key *at, struct record *records_r, size_t max,
    size_t *count_r)
{
	MDB_val key = { at->len, at->octets }, data;
	int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);

	while (rc == MDB_SUCCESS && *count_r < max) {
		struct record *r = &records_r[*count_r];
		struct record_view v;

		rc = view(&key, &data, prefix, &v);
		if (rc != MDB_SUCCESS)
			return rc;
		if (v.len > sizeof(r->value))
			return STORE_BAD_RECORD;
		memcpy(r->key.octets, v.key, v.key_len);
		r->key.len = v.key_len;
		r->stamp = v.stamp;
		memcpy(r->value, v.value, v.len);
		r->len = v.len;
		/* the next key that there can be */
		*at = r->key;
		at->octets[at->len++] = '\0';
		(*count_r)++;
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	return rc;
}

ssize_t
reader_list(struct lmdb *db, const struct record_key *prefix,
    struct record_key *at, struct record *records_r, size_t max, struct err *e)
{
	MDB_cursor *cursor = NULL;
	size_t count = 0;
	int rc;
	MDB_txn *txn = borrow(db, &rc);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_open(txn, db->dbi, &cursor);
	if (rc == MDB_SUCCESS)
		rc = copy_records(cursor, prefix, at, records_r, max, &count);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	give_back(db, txn);
	if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND)
		return (ssize_t)count;
	err_set(e, "%.300s: %s", db->base.path, lmdb_text(rc));
	return -1;
}

void
reader_free(struct lmdb *db)
{
	for (; db->readers_idle > 0; db->readers_made--)
		mdb_txn_abort(db->readers[--db->readers_idle]);
}
