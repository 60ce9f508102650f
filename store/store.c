/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store as its users see it: what is kept, under which key, and what counts
 * as still valid. Where and how it is kept is the implementation's affair.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "store/internal.h"
#include "store/redisurl.h"

/* More logins than that at one address are not told apart. */
#define HOLDERS_MAX 64

int
store_begin(struct store *store, const struct store_ops *ops,
    const struct store_options *options, char *path, struct err *e)
{
	if (path == NULL || pthread_mutex_init(&store->trouble_lock, NULL)) {
		err_set(e, "no memory");
		free(path);
		return -1;
	}
	store->ops = ops;
	store->path = path;
	store->report = options->report;
	store->report_arg = options->report_arg;
	return 0;
}

void
store_end(struct store *store)
{
	(void)pthread_mutex_destroy(&store->trouble_lock);
	free(store->path);
}

struct store *
store_open(const struct store_options *options, struct err *e)
{
	if (options->url != NULL && redisurl_is_one(options->url))
		return redis_open(options, e);
	return lmdb_open(options, e);
}

void
store_close(struct store **store)
{
	struct store *s = *store;

	*store = NULL;
	if (s != NULL)
		s->ops->close(s);
}

int
store_flush(struct store *store, uint64_t wait_ms)
{
	return store->ops->flush(store, wait_ms);
}

void
store_hurry(struct store *store, uint64_t wait_ms)
{
	if (store->ops->hurry != NULL)
		store->ops->hurry(store, wait_ms);
}

void
store_callback(struct store *store)
{
	if (store != NULL && store->ops->callback != NULL)
		store->ops->callback(store);
}

void
store_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms)
{
	store->ops->tend(store, ttl_ms, now_ms);
}

int
store_proof_put(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t now_ms)
{
	struct record record = { .stamp = now_ms };

	if (addr != NULL && addr->family == NETADDR_NONE) {
		report(store, STORE_WARNING,
		    "no session proof for %s: the client's address is not "
		    "known",
		    login->text);
		return -1;
	}
	record_key_proof(login, addr, &record.key);
	return store->ops->put(store, &record);
}

static bool
is_fresh(uint64_t time_ms, uint64_t ttl_ms, uint64_t now_ms)
{
	return time_ms <= now_ms && now_ms - time_ms <= ttl_ms;
}

/* alone: a proof for the login alone will do. */
static enum tri
get_proof(struct store *store, const struct login *login,
    const struct netaddr *addr, bool alone, uint64_t ttl_ms, uint64_t now_ms)
{
	struct record records[2];
	unsigned int found;
	size_t count = 0;

	if (addr != NULL && addr->family != NETADDR_NONE)
		record_key_proof(login, addr, &records[count++].key);
	if (alone)
		record_key_proof(login, NULL, &records[count++].key);
	if (count == 0)
		return TRI_NO;
	if (store->ops->get(store, records, count, &found) != 0)
		return TRI_UNKNOWN;
	for (size_t i = 0; i < count; i++) {
		if ((found & 1u << i) != 0 &&
		    is_fresh(records[i].stamp, ttl_ms, now_ms))
			return TRI_YES;
	}
	return TRI_NO;
}

enum tri
store_proof_get(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t ttl_ms, uint64_t now_ms)
{
	return get_proof(store, login, addr, true, ttl_ms, now_ms);
}

enum tri
store_proof_get_from(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t ttl_ms, uint64_t now_ms)
{
	return get_proof(store, login, addr, false, ttl_ms, now_ms);
}

int
store_proof_forget(struct store *store, const struct login *login,
    const struct netaddr *addr, struct err *e)
{
	struct record_key key;

	record_key_proof(login, addr, &key);
	return store->ops->forget(store, &key, addr == NULL, e);
}

/* What a list hands on, and to whom. */
struct listing {
	int (*proof)(void *arg, const struct store_proof *proof);
	int (*lease)(void *arg, const struct store_lease *lease);
	int (*state)(void *arg, const char *key, const void *value, size_t len,
	    uint64_t until_ms);
	void *arg;
	uint64_t now_ms;
};

static int
list_proof(void *arg, const struct record *record)
{
	const struct listing *l = arg;
	struct store_proof proof = { .time_ms = record->stamp };

	if (record_key_parse(record->key.octets, record->key.len, &proof.login,
		&proof.addr) != 0)
		return 0;
	return l->proof(l->arg, &proof);
}

int
store_proof_list(struct store *store,
    int (*each)(void *arg, const struct store_proof *proof), void *arg,
    struct err *e)
{
	const struct record_key prefix = { 1, { RECORD_PROOF } };
	struct listing l = { .proof = each, .arg = arg };

	return store->ops->list(store, &prefix, list_proof, &l, e);
}

int
store_lease_put(struct store *store, const struct store_lease *lease)
{
	struct record record = { .stamp = lease->until_ms };

	if (lease->addr.family == NETADDR_NONE ||
	    lease->login.text[0] == '\0') {
		report(store, STORE_WARNING,
		    "no lease for \"%s\": it needs a login and an address",
		    lease->login.text);
		return -1;
	}
	record_key_lease(&lease->addr, &lease->login, &record.key);
	record.len = strnlen(lease->source, STORE_SOURCE_MAX);
	memcpy(record.value, lease->source, record.len);
	return store->ops->put(store, &record);
}

/* The logins of the leases that end last, these first. */
struct holders {
	uint64_t now_ms;
	size_t max;
	size_t count;
	struct login *logins;
	uint64_t until_ms[HOLDERS_MAX];
};

static void
leave_out(struct holders *h, size_t i)
{
	h->count--;
	memmove(&h->logins[i], &h->logins[i + 1],
	    (h->count - i) * sizeof(h->logins[0]));
	memmove(&h->until_ms[i], &h->until_ms[i + 1],
	    (h->count - i) * sizeof(h->until_ms[0]));
}

static void
note_holder(void *arg, const struct record_view *view)
{
	struct holders *h = arg;
	struct login login;
	struct netaddr addr;
	size_t i;

	if (view->stamp <= h->now_ms ||
	    record_key_parse(view->key, view->key_len, &login, &addr) != 0)
		return;
	for (i = 0; i < h->count; i++) {
		if (strcmp(h->logins[i].text, login.text) != 0)
			continue;
		if (h->until_ms[i] >= view->stamp)
			return;
		leave_out(h, i);
		break;
	}
	for (i = 0; i < h->count && h->until_ms[i] >= view->stamp; i++)
		;
	if (i == h->max)
		return;
	if (h->count == h->max)
		h->count--;
	memmove(&h->logins[i + 1], &h->logins[i],
	    (h->count - i) * sizeof(h->logins[0]));
	memmove(&h->until_ms[i + 1], &h->until_ms[i],
	    (h->count - i) * sizeof(h->until_ms[0]));
	h->logins[i] = login;
	h->until_ms[i] = view->stamp;
	h->count++;
}

int
store_lease_get(struct store *store, const struct netaddr *addr,
    uint64_t now_ms, struct login *logins_r, size_t max)
{
	struct holders holders = { .now_ms = now_ms, .logins = logins_r };
	struct record_key group;

	holders.max = max < HOLDERS_MAX ? max : HOLDERS_MAX;
	if (addr->family == NETADDR_NONE || max == 0)
		return 0;
	record_key_lease(addr, NULL, &group);
	if (store->ops->group(store, &group, note_holder, &holders) != 0)
		return -1;
	return (int)holders.count;
}

int
store_lease_del(struct store *store, const struct netaddr *addr,
    const struct login *login, struct err *e)
{
	struct record_key key;

	if (addr->family == NETADDR_NONE) {
		err_set(e, "no address");
		return -1;
	}
	record_key_lease(addr, login, &key);
	return store->ops->forget(store, &key, login == NULL, e);
}

static int
list_lease(void *arg, const struct record *record)
{
	const struct listing *l = arg;
	struct store_lease lease = { .until_ms = record->stamp };

	if (record->stamp <= l->now_ms || record->len > STORE_SOURCE_MAX ||
	    record_key_parse(record->key.octets, record->key.len, &lease.login,
		&lease.addr) != 0)
		return 0;
	memcpy(lease.source, record->value, record->len);
	return l->lease(l->arg, &lease);
}

int
store_lease_list(struct store *store, uint64_t now_ms,
    int (*each)(void *arg, const struct store_lease *lease), void *arg,
    struct err *e)
{
	const struct record_key prefix = { 1, { RECORD_LEASE } };
	struct listing l = { .lease = each, .arg = arg, .now_ms = now_ms };

	return store->ops->list(store, &prefix, list_lease, &l, e);
}

/* A key that is none is a bug of ours, but no reason to fall over. */
static int
make_key(struct store *store, enum record_kind kind, const char *text,
    struct record_key *key_r)
{
	if (record_key_text(kind, text, key_r) == 0)
		return 0;
	report(store, STORE_WARNING,
	    "a key of %d octets at most was expected: \"%.80s\"", STORE_KEY_MAX,
	    text);
	return -1;
}

enum store_taken
store_rate_take(struct store *store, const char *key,
    const struct store_rate *rate, uint64_t cost, uint64_t now_ms,
    uint64_t *left_r, uint64_t *wait_ms_r)
{
	enum store_taken taken = STORE_TAKEN_UNKNOWN;
	struct record_key k;
	struct gcra gcra;
	uint64_t us = 0;

	gcra_make(rate, cost, now_ms, &gcra);
	if (make_key(store, RECORD_RATE, key, &k) == 0)
		taken = store->ops->take(store, &k, &gcra, &us);
	if (left_r != NULL)
		*left_r =
		    taken == STORE_TAKEN_UNKNOWN ? 0 : gcra_left(&gcra, us);
	if (wait_ms_r != NULL)
		*wait_ms_r = taken == STORE_OVER ? gcra_wait(&gcra, us) : 0;
	return taken;
}

void
store_rate_give(struct store *store, const char *key,
    const struct store_rate *rate, uint64_t cost, uint64_t now_ms)
{
	struct record_key k;
	struct gcra gcra;

	/* more than there was room for: all of it */
	gcra_make(rate, cost < rate->count ? cost : rate->count, now_ms, &gcra);
	if (make_key(store, RECORD_RATE, key, &k) == 0)
		store->ops->give(store, &k, &gcra);
}

int64_t
store_distinct_add(struct store *store, const char *key, uint64_t value,
    uint64_t window_ms, uint64_t now_ms)
{
	struct record_key k;

	if (make_key(store, RECORD_DISTINCT, key, &k) != 0)
		return -1;
	return store->ops->distinct(store, &k, &value, window_ms, now_ms);
}

int64_t
store_distinct_count(struct store *store, const char *key, uint64_t window_ms,
    uint64_t now_ms)
{
	struct record_key k;

	if (make_key(store, RECORD_DISTINCT, key, &k) != 0)
		return -1;
	return store->ops->distinct(store, &k, NULL, window_ms, now_ms);
}

int
store_state_put(struct store *store, const char *key, const void *value,
    size_t len, uint64_t until_ms)
{
	struct record record = { .stamp = until_ms, .len = len };

	if (make_key(store, RECORD_STATE, key, &record.key) != 0 ||
	    len > sizeof(record.value))
		return -1;
	if (len > 0)
		memcpy(record.value, value, len);
	return store->ops->put(store, &record);
}

int
store_state_get(struct store *store, const char *key, uint64_t now_ms,
    void *value_r, size_t *len_r)
{
	struct record record;
	unsigned int found;

	*len_r = 0;
	if (make_key(store, RECORD_STATE, key, &record.key) != 0 ||
	    store->ops->get(store, &record, 1, &found) != 0)
		return -1;
	if (found == 0 || record.stamp <= now_ms)
		return 0;
	memcpy(value_r, record.value, record.len);
	*len_r = record.len;
	return 1;
}

int
store_state_del(struct store *store, const char *key, struct err *e)
{
	struct record_key k;

	if (make_key(store, RECORD_STATE, key, &k) != 0) {
		err_set(e, "no such key");
		return -1;
	}
	return store->ops->forget(store, &k, false, e);
}

static int
list_state(void *arg, const struct record *record)
{
	const struct listing *l = arg;
	char key[STORE_KEY_MAX + 1];
	size_t len = record->key.len - 1;

	if (record->stamp <= l->now_ms || len > STORE_KEY_MAX)
		return 0;
	memcpy(key, record->key.octets + 1, len);
	key[len] = '\0';
	return l->state(l->arg, key, record->value, record->len, record->stamp);
}

int
store_state_list(struct store *store, const char *prefix, uint64_t now_ms,
    int (*each)(void *arg, const char *key, const void *value, size_t len,
	uint64_t until_ms),
    void *arg, struct err *e)
{
	struct record_key k = { 1, { RECORD_STATE } };
	struct listing l = { .state = each, .arg = arg, .now_ms = now_ms };

	if (prefix[0] != '\0' &&
	    make_key(store, RECORD_STATE, prefix, &k) != 0) {
		err_set(e, "no such key");
		return -1;
	}
	return store->ops->list(store, &k, list_state, &l, e);
}
