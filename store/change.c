/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changes the file, each change a transaction of its own. Only the writer
 * thread comes here, and it holds no lock but LMDB's: another process may make
 * it wait for that one, and nobody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* How long a forgetting is remembered, so that proofs which wait in the memory
 * of another process do not come back. */
#define FORGOTTEN_NS (UINT64_C(3600) * 1000000000)
/* A proof so far in the future was made by a clock that was wrong. */
#define FUTURE_MS (24u * 60 * 60 * 1000)
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

/* The record's time; MDB_CORRUPTED when it is none. */
static int
get_time(const struct store *store, MDB_txn *txn, struct record_key *key,
    uint64_t *time_ms_r)
{
	MDB_val k = val(key->octets, key->len), data;
	int rc = mdb_get(txn, store->dbi, &k, &data);

	if (rc == MDB_SUCCESS &&
	    record_value_parse(key->octets, key->len, data.mv_data,
		data.mv_size, time_ms_r) != 0)
		return MDB_CORRUPTED;
	return rc;
}

static int
put_time(const struct store *store, MDB_txn *txn, struct record_key *key,
    uint64_t time_ms)
{
	struct record_value value;
	MDB_val k = val(key->octets, key->len), data;

	record_value_make(key->octets, key->len, time_ms, &value);
	data = val(value.octets, sizeof(value.octets));
	return mdb_put(txn, store->dbi, &k, &data, 0);
}

/* Did some process forget it after it was put? */
static bool
was_forgotten(const struct store *store, MDB_txn *txn,
    const struct overlay_item *item, uint64_t now_ns)
{
	struct record_key key = item->key;
	const uint8_t *nul = memchr(key.octets, '\0', key.len);
	uint64_t time;

	key.octets[0] = RECORD_FORGOTTEN;
	for (;;) {
		if (get_time(store, txn, &key, &time) == MDB_SUCCESS &&
		    item->put_ns <= time && time <= now_ns)
			return true;
		/* and then the one of the login */
		if (nul == NULL || key.octets[key.len - 1] == '\0')
			return false;
		key.len = (size_t)(nul - key.octets) + 1;
	}
}

static int
put_item(struct store *store, MDB_txn *txn, struct overlay_item *item,
    uint64_t now_ns, bool *full)
{
	uint64_t time;
	int rc;

	if (was_forgotten(store, txn, item, now_ns))
		return MDB_SUCCESS;
	rc = get_time(store, txn, &item->key, &time);
	/* another process saw a later one */
	if (rc == MDB_SUCCESS && time >= item->time_ms &&
	    time <= now_ns / 1000000)
		return MDB_SUCCESS;
	if (rc == MDB_NOTFOUND) {
		MDB_stat stat_of;

		rc = mdb_stat(txn, store->dbi, &stat_of);
		if (rc != MDB_SUCCESS)
			return rc;
		if (stat_of.ms_entries >= store->limits.proofs) {
			*full = true;
			item->serial = 0; /* it stays where it is */
			return MDB_SUCCESS;
		}
	}
	return put_time(store, txn, &item->key, item->time_ms);
}

int
change_put(struct store *store, struct overlay_item *items, size_t count)
{
	uint64_t now;
	MDB_txn *txn = NULL;
	bool full = false;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	/* after the wait for the lock: what others forgot was before now */
	now = clock_real_ns();
	for (size_t i = 0; i < count && rc == MDB_SUCCESS; i++)
		rc = put_item(store, txn, &items[i], now, &full);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == MDB_SUCCESS)
		return full ? MDB_MAP_FULL : rc;
	for (size_t i = 0; i < count; i++)
		items[i].serial = 0;
	return rc;
}

static bool
begins_with(const MDB_val *key, const struct record_key *prefix)
{
	return key->mv_size >= prefix->len &&
	    memcmp(key->mv_data, prefix->octets, prefix->len) == 0;
}

static int
delete_all(struct store *store, MDB_txn *txn, struct record_key *prefix,
    int *count)
{
	MDB_val key = val(prefix->octets, prefix->len), data;
	MDB_cursor *cursor = NULL;
	int rc = mdb_cursor_open(txn, store->dbi, &cursor);

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
delete_one(struct store *store, MDB_txn *txn, struct record_key *key,
    int *count)
{
	MDB_val k = val(key->octets, key->len);
	int rc = mdb_del(txn, store->dbi, &k, NULL);

	if (rc == MDB_SUCCESS)
		(*count)++;
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int
change_forget(struct store *store, struct forget_request *request)
{
	const struct netaddr *addr = request->exact ? &request->addr : NULL;
	struct record_key key, mark;
	MDB_txn *txn = NULL;
	int count = 0, rc;

	record_key_make(RECORD_PROOF, &request->login, addr, &key);
	record_key_make(RECORD_FORGOTTEN, &request->login, addr, &mark);
	rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != MDB_SUCCESS)
		return rc;
	if (request->exact)
		rc = delete_one(store, txn, &key, &count);
	else
		rc = delete_all(store, txn, &key, &count);
	if (rc == MDB_SUCCESS)
		rc = put_time(store, txn, &mark, clock_real_ns());
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	/* what was taken back must not return with a power cut */
	if (rc == MDB_SUCCESS)
		rc = mdb_env_sync(store->env, 1);
	request->count = rc == MDB_SUCCESS ? count : -1;
	return rc;
}

struct look {
	uint64_t ttl_ms;
	uint64_t now_ms;
	uint64_t real_ns;
	struct {
		struct record_key key;
		struct record_value value;
		size_t value_len;
	} found[EXPIRE_BATCH];
	size_t count;
};

static bool
is_expired(const struct look *look, const MDB_val *key, const MDB_val *data)
{
	const char *kind = key->mv_data;
	uint64_t time;

	if (kind[0] == RECORD_VERSION)
		return false;
	/* what cannot be read is no proof either */
	if (record_value_parse(key->mv_data, key->mv_size, data->mv_data,
		data->mv_size, &time) != 0)
		return true;
	if (kind[0] == RECORD_FORGOTTEN)
		return time > look->real_ns ||
		    look->real_ns - time > FORGOTTEN_NS;
	if (time > look->now_ms)
		return time - look->now_ms > FUTURE_MS;
	return look->now_ms - time > look->ttl_ms;
}

static void
remember(struct look *look, const MDB_val *key, const MDB_val *data)
{
	size_t i = look->count++;

	memcpy(look->found[i].key.octets, key->mv_data, key->mv_size);
	look->found[i].key.len = key->mv_size;
	look->found[i].value_len = data->mv_size;
	if (look->found[i].value_len > sizeof(look->found[i].value.octets))
		look->found[i].value_len = sizeof(look->found[i].value.octets);
	memcpy(look->found[i].value.octets, data->mv_data,
	    look->found[i].value_len);
}

/* Goes on where the last look stopped; at the end it begins anew. No write
 * transaction, so that a store in which all is fresh costs nobody a wait. */
static int
look_on(struct store *store, struct look *look)
{
	struct record_key *at = &store->expire_at;
	MDB_val key = val(at->octets, at->len), data;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	size_t seen = 0;
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

	look->count = 0;
	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_cursor_open(txn, store->dbi, &cursor);
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
remove_found(struct store *store, struct look *look)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	for (size_t i = 0; i < look->count && rc == MDB_SUCCESS; i++) {
		struct record_key *found = &look->found[i].key;
		size_t len = look->found[i].value_len;
		MDB_val key = val(found->octets, found->len), data;

		rc = mdb_get(txn, store->dbi, &key, &data);
		if (rc == MDB_SUCCESS && data.mv_size >= len &&
		    memcmp(data.mv_data, look->found[i].value.octets, len) == 0)
			rc = mdb_del(txn, store->dbi, &key, NULL);
		if (rc == MDB_NOTFOUND)
			rc = MDB_SUCCESS;
	}
	if (rc == MDB_SUCCESS)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int
change_expire(struct store *store, uint64_t ttl_ms, uint64_t now_ms)
{
	struct look *look = malloc(sizeof(*look));
	int rc = look == NULL ? ENOMEM : MDB_SUCCESS;

	/* pages that dead processes hold back */
	(void)mdb_reader_check(store->env, NULL);
	for (int round = 0; round < EXPIRE_ROUNDS && rc == MDB_SUCCESS;
	     round++) {
		look->ttl_ms = ttl_ms;
		look->now_ms = now_ms;
		look->real_ns = clock_real_ns();
		rc = look_on(store, look);
		if (rc == MDB_SUCCESS && look->count > 0)
			rc = remove_found(store, look);
		if (look->count < EXPIRE_BATCH)
			break;
	}
	free(look);
	return rc;
}
