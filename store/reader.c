/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up. Transactions are kept at rest and renewed: that takes no lock of
 * LMDB's and no waiting for a writer. None is open for longer than the look, so
 * that no reader keeps old pages from being used again.
 */
#include <string.h>

#include "store/internal.h"

static MDB_txn *
borrow(struct store *store, int *rc_r)
{
	MDB_txn *txn = NULL;
	bool make = false;

	(void)pthread_mutex_lock(&store->readers_lock);
	while (store->readers_idle == 0 && store->readers_made == STORE_READERS)
		(void)pthread_cond_wait(&store->reader_back,
		    &store->readers_lock);
	if (store->readers_idle > 0)
		txn = store->readers[--store->readers_idle];
	else {
		store->readers_made++;
		make = true;
	}
	(void)pthread_mutex_unlock(&store->readers_lock);
	if (!make) {
		*rc_r = mdb_txn_renew(txn);
		return txn;
	}
	*rc_r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (*rc_r == MDB_READERS_FULL) {
		/* of processes that were killed, perhaps */
		(void)mdb_reader_check(store->env, NULL);
		*rc_r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	}
	return *rc_r == MDB_SUCCESS ? txn : NULL;
}

static void
give_back(struct store *store, MDB_txn *txn)
{
	if (txn != NULL)
		mdb_txn_reset(txn);
	(void)pthread_mutex_lock(&store->readers_lock);
	if (txn != NULL)
		store->readers[store->readers_idle++] = txn;
	else
		store->readers_made--;
	(void)pthread_cond_signal(&store->reader_back);
	(void)pthread_mutex_unlock(&store->readers_lock);
}

static int
look(const struct store *store, MDB_txn *txn, struct record_key *keys,
    size_t count, uint64_t *times_r, unsigned int *found_r)
{
	for (size_t i = 0; i < count; i++) {
		MDB_val key = { keys[i].len, keys[i].octets };
		MDB_val data;
		int rc = mdb_get(txn, store->dbi, &key, &data);

		if (rc == MDB_NOTFOUND)
			continue;
		if (rc != MDB_SUCCESS)
			return rc;
		if (record_value_parse(keys[i].octets, keys[i].len,
			data.mv_data, data.mv_size, &times_r[i]) != 0)
			return MDB_CORRUPTED;
		*found_r |= 1u << i;
	}
	return MDB_SUCCESS;
}

int
reader_get(struct store *store, struct record_key *keys, size_t count,
    uint64_t *times_r, unsigned int *found_r)
{
	int rc;
	MDB_txn *txn = borrow(store, &rc);

	*found_r = 0;
	if (rc == MDB_SUCCESS)
		rc = look(store, txn, keys, count, times_r, found_r);
	give_back(store, txn);
	if (rc == MDB_SUCCESS) {
		if (store->reading.on)
			trouble_over(store, &store->reading,
			    "can be read again");
		return 0;
	}
	trouble_report(store, &store->reading,
	    "%s: cannot be read: %s (if that stays, restart postern: it checks "
	    "the store and begins a new one if it is damaged)",
	    store->path, mdb_strerror(rc));
	return -1;
}

static int
copy_proofs(MDB_cursor *cursor, struct record_key *at,
    struct store_proof *proofs_r, size_t max, size_t *count_r)
{
	MDB_val key = { at->len, at->octets }, data;
	int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);

	while (rc == MDB_SUCCESS && *count_r < max) {
		const uint8_t *octets = key.mv_data;
		struct store_proof *proof = &proofs_r[*count_r];

		if (octets[0] != RECORD_PROOF)
			return MDB_NOTFOUND;
		if (key.mv_size > RECORD_KEY_MAX ||
		    record_key_parse(octets, key.mv_size, &proof->login,
			&proof->addr) != 0 ||
		    record_value_parse(octets, key.mv_size, data.mv_data,
			data.mv_size, &proof->time_ms) != 0)
			return MDB_CORRUPTED;
		/* the next key that there can be */
		memcpy(at->octets, octets, key.mv_size);
		at->octets[key.mv_size] = '\0';
		at->len = key.mv_size + 1;
		(*count_r)++;
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	return rc;
}

ssize_t
reader_list(struct store *store, struct record_key *at,
    struct store_proof *proofs_r, size_t max, struct err *e)
{
	MDB_cursor *cursor = NULL;
	size_t count = 0;
	int rc;
	MDB_txn *txn = borrow(store, &rc);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_open(txn, store->dbi, &cursor);
	if (rc == MDB_SUCCESS)
		rc = copy_proofs(cursor, at, proofs_r, max, &count);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	give_back(store, txn);
	if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND)
		return (ssize_t)count;
	err_set(e, "%.300s: %s", store->path, mdb_strerror(rc));
	return -1;
}

void
reader_free(struct store *store)
{
	while (store->readers_idle > 0)
		mdb_txn_abort(store->readers[--store->readers_idle]);
}
