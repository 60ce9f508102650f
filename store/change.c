/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changes the file, each change a transaction of its own. Only the writer
 * thread comes here, and it holds no lock but LMDB's: another process may make
 * it wait for that one, and nobody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lmdb.h"

/* How long a forgetting is remembered, so that proofs which wait in the memory
 * of another process do not come back. */
#define FORGOTTEN_NS (UINT64_C(3600) * 1000000000)
/* A proof so far in the future was made by a clock that was wrong. */
#define FUTURE_MS (UINT64_C(24) * 60 * 60 * 1000)
/* A look at the file's next part: that many seen, that many removed, so many
 * times over. */
#define EXPIRE_SEEN   20000
#define EXPIRE_BATCH  1024
#define EXPIRE_ROUNDS 16

static MDB_val
val(void *data, size_t size)
{
	return (MDB_val){ size, data };
}

static int
begin(const struct lmdb *db, unsigned int flags, MDB_txn **txn_r)
{
	if (db->env == NULL)
		return STORE_SHUT;
	return mdb_txn_begin(db->env, NULL, flags, txn_r);
}

/* The record's stamp. */
static int
get_stamp(const struct lmdb *db, MDB_txn *txn, struct record_key *key,
    uint64_t *stamp_r)
{
	MDB_val k = val(key->octets, key->len), data;
	int rc = mdb_get(txn, db->dbi, &k, &data);

	if (rc == MDB_SUCCESS &&
	    record_decode(key->octets, key->len, data.mv_data, data.mv_size,
		stamp_r) != 0)
		return STORE_BAD_RECORD;
	return rc;
}

static int
put_value(const struct lmdb *db, MDB_txn *txn, struct record_key *key,
    uint64_t stamp, const void *value, size_t len)
{
	MDB_val k = val(key->octets, key->len);
	MDB_val data = { RECORD_HEAD + len, NULL };
	uint8_t octets[RECORD_HEAD + UINT16_MAX];

	record_encode(key, stamp, value, len, octets);
	data.mv_data = octets;
	return mdb_put(txn, db->dbi, &k, &data, 0);
}

/* Did some process forget it, or its group, after it was put? */
static bool
was_forgotten(const struct lmdb *db, MDB_txn *txn, const struct record_key *key,
    uint64_t put_ns, uint64_t now_ns)
{
	struct record_key part = *key, mark;
	size_t group = record_group(key->octets, key->len);
	uint64_t time;

	for (;;) {
		record_key_mark(&part, &mark);
		if (get_stamp(db, txn, &mark, &time) == MDB_SUCCESS &&
		    put_ns <= time && time <= now_ns)
			return true;
		if (part.len == group)
			return false;
		part.len = group;
	}
}

static bool
is_counter(const struct record_key *key)
{
	return key->octets[0] == RECORD_RATE ||
	    key->octets[0] == RECORD_DISTINCT;
}

/* Is there room for one more of its kind? */
static int
has_room(const struct lmdb *db, MDB_txn *txn, const struct record_key *key,
    bool *room_r)
{
	size_t limit = db->limits.records;
	MDB_stat stat_of;
	int rc = mdb_stat(txn, db->dbi, &stat_of);

	if (is_counter(key))
		limit -= limit / 4;
	*room_r = rc == MDB_SUCCESS && stat_of.ms_entries < limit;
	return rc;
}

struct putting {
	struct lmdb *db;
	MDB_txn *txn;
	uint64_t now_ns;
	size_t refused; /* they stay where they are */
	size_t lost;
};

static int
put_item(struct putting *p, struct overlay_item *item, const uint8_t *octets)
{
	struct record_key key = { .len = item->key_len };
	uint64_t stamp;
	bool room;
	int rc;

	memcpy(key.octets, octets, key.len);
	if (!is_counter(&key) &&
	    was_forgotten(p->db, p->txn, &key, item->put_ns, p->now_ns))
		return MDB_SUCCESS;
	rc = get_stamp(p->db, p->txn, &key, &stamp);
	/* another process saw a later one */
	if (rc == MDB_SUCCESS && record_later_counts(&key) &&
	    stamp >= item->stamp &&
	    (key.octets[0] != RECORD_PROOF || stamp <= p->now_ns / 1000000))
		return MDB_SUCCESS;
	if (rc == MDB_NOTFOUND) {
		rc = has_room(p->db, p->txn, &key, &room);
		if (rc != MDB_SUCCESS)
			return rc;
		if (!room && is_counter(&key))
			p->lost++;
		if (!room && !is_counter(&key)) {
			p->refused++;
			item->serial = 0;
		}
		if (!room)
			return MDB_SUCCESS;
	}
	return put_value(p->db, p->txn, &key, item->stamp, octets + key.len,
	    item->len);
}

int
change_put(struct lmdb *db, struct overlay_batch *batch, size_t *lost_r)
{
	struct putting p = { .db = db };
	int rc = begin(db, 0, &p.txn);

	*lost_r = 0;
	/* after the wait for the lock: what others forgot was before now */
	p.now_ns = clock_real_ns();
	for (size_t i = 0; i < batch->count && rc == MDB_SUCCESS; i++)
		rc = put_item(&p, &batch->items[i],
		    batch->octets + batch->items[i].at);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(p.txn);
	else if (p.txn != NULL)
		mdb_txn_abort(p.txn);
	if (rc == MDB_SUCCESS) {
		*lost_r = p.lost;
		return p.refused > 0 ? MDB_MAP_FULL : rc;
	}
	for (size_t i = 0; i < batch->count; i++)
		batch->items[i].serial = 0;
	return rc;
}

static bool
begins_with(const MDB_val *key, const struct record_key *prefix)
{
	return key->mv_size >= prefix->len &&
	    memcmp(key->mv_data, prefix->octets, prefix->len) == 0;
}

static int
delete_all(struct lmdb *db, MDB_txn *txn, struct record_key *prefix, int *count)
{
	MDB_val key = val(prefix->octets, prefix->len), data;
	MDB_cursor *cursor = NULL;
	int rc = mdb_cursor_open(txn, db->dbi, &cursor);

	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
	while (rc == MDB_SUCCESS && begins_with(&key, prefix)) {
		rc = mdb_cursor_del(cursor, 0);
		if (rc != MDB_SUCCESS)
			break;
		(*count)++;
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int
delete_one(struct lmdb *db, MDB_txn *txn, struct record_key *key, int *count)
{
	MDB_val k = val(key->octets, key->len);
	int rc = mdb_del(txn, db->dbi, &k, NULL);

	if (rc == MDB_SUCCESS)
		(*count)++;
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int
change_forget(struct lmdb *db, struct forget_request *request)
{
	struct record_key mark;
	MDB_txn *txn = NULL;
	int count = 0, rc;

	record_key_mark(&request->key, &mark);
	rc = begin(db, 0, &txn);
	if (rc != MDB_SUCCESS)
		return rc;
	if (request->group)
		rc = delete_all(db, txn, &request->key, &count);
	else
		rc = delete_one(db, txn, &request->key, &count);
	if (rc == MDB_SUCCESS)
		rc = put_value(db, txn, &mark, clock_real_ns(), NULL, 0);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	/* what was taken back must not return with a power cut */
	if (rc == MDB_SUCCESS)
		rc = mdb_env_sync(db->env, 1);
	request->count = rc == MDB_SUCCESS ? count : -1;
	return rc;
}

struct look {
	uint64_t ttl_ms;
	uint64_t now_ms;
	uint64_t real_ns;
	struct {
		struct record_key key;
		uint8_t head[RECORD_HEAD];
		size_t head_len;
	} found[EXPIRE_BATCH];
	size_t count;
};

static bool
is_expired(const struct look *look, const MDB_val *key, const MDB_val *data)
{
	const char *kind = key->mv_data;
	uint64_t stamp;

	if (kind[0] == RECORD_VERSION)
		return false;
	/* what cannot be read is of no use either */
	if (record_decode(key->mv_data, key->mv_size, data->mv_data,
		data->mv_size, &stamp) != 0)
		return true;
	if (kind[0] == RECORD_FORGOTTEN)
		return stamp > look->real_ns ||
		    look->real_ns - stamp > FORGOTTEN_NS;
	if (kind[0] != RECORD_PROOF)
		return stamp <= look->now_ms;
	if (stamp > look->now_ms)
		return stamp - look->now_ms > FUTURE_MS;
	return look->now_ms - stamp > look->ttl_ms;
}

static void
remember(struct look *look, const MDB_val *key, const MDB_val *data)
{
	size_t i = look->count++;

	memcpy(look->found[i].key.octets, key->mv_data, key->mv_size);
	look->found[i].key.len = key->mv_size;
	look->found[i].head_len =
	    data->mv_size < RECORD_HEAD ? data->mv_size : RECORD_HEAD;
	memcpy(look->found[i].head, data->mv_data, look->found[i].head_len);
}

/* Goes on where the last look stopped; at the end it begins anew. No write
 * transaction, so that a store in which all is fresh costs nobody a wait. */
static int
look_on(struct lmdb *db, struct look *look)
{
	struct record_key *at = &db->expire_at;
	MDB_val key = val(at->octets, at->len), data;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	size_t seen = 0;
	int rc = begin(db, MDB_RDONLY, &txn);

	look->count = 0;
	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_cursor_open(txn, db->dbi, &cursor);
	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_get(cursor, &key, &data,
		    at->len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	while (rc == MDB_SUCCESS && seen++ < EXPIRE_SEEN &&
	    look->count < EXPIRE_BATCH) {
		if (key.mv_size <= RECORD_KEY_MAX &&
		    is_expired(look, &key, &data))
			remember(look, &key, &data);
		rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	at->len = 0;
	if (rc == MDB_SUCCESS && key.mv_size <= RECORD_KEY_MAX) {
		memcpy(at->octets, key.mv_data, key.mv_size);
		at->len = key.mv_size;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Those that are still as they were seen. */
static int
remove_found(struct lmdb *db, struct look *look)
{
	MDB_txn *txn = NULL;
	int rc = begin(db, 0, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	for (size_t i = 0; i < look->count && rc == MDB_SUCCESS; i++) {
		struct record_key *found = &look->found[i].key;
		size_t len = look->found[i].head_len;
		MDB_val key = val(found->octets, found->len), data;

		rc = mdb_get(txn, db->dbi, &key, &data);
		if (rc == MDB_SUCCESS && data.mv_size >= len &&
		    memcmp(data.mv_data, look->found[i].head, len) == 0)
			rc = mdb_del(txn, db->dbi, &key, NULL);
		if (rc == MDB_NOTFOUND)
			rc = MDB_SUCCESS;
	}
	if (rc == MDB_SUCCESS)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int
change_expire(struct lmdb *db, uint64_t ttl_ms, uint64_t now_ms)
{
	struct look *look = malloc(sizeof(*look));
	int rc = look == NULL ? ENOMEM : MDB_SUCCESS;

	/* pages that dead processes hold back */
	if (db->env != NULL)
		(void)mdb_reader_check(db->env, NULL);
	for (int round = 0; round < EXPIRE_ROUNDS && rc == MDB_SUCCESS;
	     round++) {
		look->ttl_ms = ttl_ms;
		look->now_ms = now_ms;
		look->real_ns = clock_real_ns();
		rc = look_on(db, look);
		if (rc == MDB_SUCCESS && look->count > 0)
			rc = remove_found(db, look);
		if (look->count < EXPIRE_BATCH)
			break;
	}
	free(look);
	return rc;
}
