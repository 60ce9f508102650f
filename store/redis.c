/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in a Redis, for many hosts: what is asked for, and what the answers
 * mean. Records are fields of hashes, a rate is a number, and distinct values
 * are a sorted set. Everything has a time to live there. What needs no answer
 * is not waited for: requests are carried in order, so that the next get of
 * this process sees it.
 */
#include "store/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "store/redisask.h"
#include "store/redisplace.h"

/* Longer than the clocks of hosts are apart. */
#define MARGIN_MS (UINT64_C(3600) * 1000)
#define LIFE_MOST (UINT64_C(366) * 24 * 3600 * 1000)
#define PROOF_MS  (UINT64_C(8) * 24 * 3600 * 1000)

static struct redis *
redis_of(struct store *store)
{
	return (struct redis *)store;
}

static int
redis_put(struct store *store, const struct record *record)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	struct redisplace p;
	uint64_t now = clock_real_ns() / 1000000, dead = now, limit = 0;
	uint64_t life = record->stamp > now ? record->stamp - now : 0;

	if (record->key.octets[0] == RECORD_PROOF) {
		life = atomic_load(&r->proof_ms);
		dead = now - life;
		limit = now;
	} else if (record->key.octets[0] == RECORD_LEASE)
		limit = UINT64_MAX;
	if (life > LIFE_MOST)
		life = LIFE_MOST;
	redisplace_find(&record->key, &p);
	redisask_call(&w, SCRIPT_PUT, NULL, p.name, p.name_len);
	redisask_say(&w, p.field, p.field_len);
	redisask_say_number(&w, record->stamp);
	redisask_say(&w, record->value, record->len);
	redisask_say_number(&w, limit);
	redisask_say_number(&w, dead);
	redisask_say_number(&w, life + MARGIN_MS);
	return redisask_leave(r, &w);
}

static int
redis_get(struct store *store, struct record *records, size_t count,
    unsigned int *found_r)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	struct redisplace places[2];
	redisReply *reply;
	int rc = -1;

	*found_r = 0;
	for (size_t i = 0; i < count; i++) {
		redisplace_find(&records[i].key, &places[i]);
		if (i == 0) {
			redisask_say_text(&w, "HMGET");
			redisask_say(&w, places[0].name, places[0].name_len);
		}
		redisask_say(&w, places[i].field, places[i].field_len);
	}
	reply = redisask_quick(r, &w, false, r->wait_ms);
	if (reply == NULL)
		return -1;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == count)
		rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		const redisReply *one = reply->element[i];
		struct record *record = &records[i];
		const char *value;

		if (one->type != REDIS_REPLY_STRING)
			continue;
		if (redisplace_value(one->str, one->len, &record->stamp, &value,
			&record->len) != 0 ||
		    record->len > sizeof(record->value)) {
			rc = -1;
			break;
		}
		memcpy(record->value, value, record->len);
		*found_r |= 1u << i;
	}
	freeReplyObject(reply);
	return rc;
}

static int
redis_group(struct store *store, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	struct redisplace p;
	redisReply *reply;
	int rc;

	redisplace_find(group, &p);
	redisask_say_text(&w, "HGETALL");
	redisask_say(&w, p.name, p.name_len);
	reply = redisask_quick(r, &w, false, r->wait_ms);
	rc = redisplace_each(reply, p.name, p.name_len, each, arg);
	if (reply != NULL)
		freeReplyObject(reply);
	return rc;
}

static int
redis_forget(struct store *store, const struct record_key *key, bool group,
    struct err *e)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	struct redisplace p;
	redisReply *reply;
	int count = -1;

	redisplace_find(key, &p);
	if (group) {
		redisask_call(&w, SCRIPT_FORGET, NULL, p.name, p.name_len);
	} else {
		redisask_say_text(&w, "HDEL");
		redisask_say(&w, p.name, p.name_len);
		redisask_say(&w, p.field, p.field_len);
	}
	reply = redisask_wait(r, &w, true, REDIS_PATIENCE_MS);
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		count = (int)reply->integer;
	else
		redisask_explain(r, reply, e);
	if (reply != NULL)
		freeReplyObject(reply);
	return count;
}

static void
say_gcra(struct redisask *w, enum redis_script script, const char *sha,
    const struct redisplace *p, const struct gcra *gcra)
{
	redisask_call(w, script, sha, p->name, p->name_len);
	redisask_say_number(w, gcra->now_us);
	redisask_say_number(w, gcra->window_us);
	/* what is more than a window is never taken */
	redisask_say_number(w,
	    gcra->possible ? gcra->cost_us : gcra->window_us + 1);
}

static enum store_taken
redis_take(struct store *store, const struct record_key *key,
    const struct gcra *gcra, uint64_t *us_r)
{
	struct redis *r = redis_of(store);
	enum store_taken taken = STORE_TAKEN_UNKNOWN;
	struct redisask w = { .count = 0 };
	struct redisplace p;
	redisReply *reply;

	redisplace_find(key, &p);
	say_gcra(&w, SCRIPT_TAKE, r->sha[SCRIPT_TAKE], &p, gcra);
	reply = redisask_wait_script(r, &w, SCRIPT_TAKE);
	if (reply == NULL)
		return STORE_TAKEN_UNKNOWN;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[0]->type == REDIS_REPLY_INTEGER &&
	    reply->element[1]->type == REDIS_REPLY_INTEGER &&
	    reply->element[1]->integer >= 0) {
		taken =
		    reply->element[0]->integer == 1 ? STORE_TAKEN : STORE_OVER;
		*us_r = (uint64_t)reply->element[1]->integer;
	}
	freeReplyObject(reply);
	return taken;
}

/* In full: nobody waits to hear that it is not known there. */
static void
redis_give(struct store *store, const struct record_key *key,
    const struct gcra *gcra)
{
	struct redisask w = { .count = 0 };
	struct redisplace p;

	redisplace_find(key, &p);
	say_gcra(&w, SCRIPT_GIVE, NULL, &p, gcra);
	(void)redisask_leave(redis_of(store), &w);
}

static int64_t
redis_distinct(struct store *store, const struct record_key *key,
    const uint64_t *value, uint64_t window_ms, uint64_t now_ms)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	struct redisplace p;
	redisReply *reply;
	int64_t count = -1;

	redisplace_find(key, &p);
	redisask_call(&w, SCRIPT_DISTINCT, r->sha[SCRIPT_DISTINCT], p.name,
	    p.name_len);
	if (value != NULL)
		redisask_say_number(&w, *value);
	else
		redisask_say_text(&w, "");
	redisask_say_number(&w, window_ms);
	redisask_say_number(&w, now_ms);
	redisask_say_number(&w, STORE_DISTINCT_MAX);
	reply = redisask_wait_script(r, &w, SCRIPT_DISTINCT);
	if (reply == NULL)
		return -1;
	if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
		count = reply->integer;
	freeReplyObject(reply);
	return count;
}

/* What was sent before an answer was done before it. */
static int
redis_flush(struct store *store, uint64_t wait_ms)
{
	struct redis *r = redis_of(store);
	struct redisask w = { .count = 0 };
	redisReply *reply;
	bool good;

	redisask_say_text(&w, "PING");
	reply = redisask_wait(r, &w, false, wait_ms);
	good = reply != NULL && reply->type == REDIS_REPLY_STATUS;
	if (reply != NULL)
		freeReplyObject(reply);
	(void)pthread_mutex_lock(&r->lock);
	good = good && r->lost == 0;
	r->lost = 0;
	(void)pthread_mutex_unlock(&r->lock);
	return good ? 0 : -1;
}

static void
redis_callback(struct store *store)
{
	redisask_callback(redis_of(store));
}

/* Redis lets things end by itself. */
static void
redis_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms)
{
	(void)now_ms;
	atomic_store(&redis_of(store)->proof_ms,
	    ttl_ms < LIFE_MOST ? ttl_ms : LIFE_MOST);
}

static void
destroy(struct redis *r)
{
	SSL_CTX_free(r->trust);
	if (r->password != NULL)
		OPENSSL_cleanse(r->password, strlen(r->password));
	free(r->password);
	(void)pthread_mutex_destroy(&r->lock);
	(void)pthread_cond_destroy(&r->changed);
	(void)pthread_condattr_destroy(&r->monotonic);
	store_end(&r->base);
	free(r);
}

static void
redis_close(struct store *store)
{
	struct redis *r = redis_of(store);

	/* or its memory is still in use, and goes with the process */
	if (redisloop_stop(r))
		destroy(r);
}

static const struct store_ops ops = {
	.close = redis_close,
	.flush = redis_flush,
	.callback = redis_callback,
	.tend = redis_tend,
	.put = redis_put,
	.get = redis_get,
	.group = redis_group,
	.forget = redis_forget,
	.list = redislist,
	.take = redis_take,
	.give = redis_give,
	.distinct = redis_distinct,
};

/* By which the server knows the scripts. */
static int
name_scripts(struct redis *r, struct err *e)
{
	unsigned char sha[REDIS_SHA_LEN / 2];
	unsigned int len;

	for (size_t i = 0; i < REDIS_SCRIPTS; i++) {
		if (EVP_Digest(redis_scripts[i], strlen(redis_scripts[i]), sha,
			&len, EVP_sha1(), NULL) != 1) {
			err_set(e, "no SHA-1");
			return -1;
		}
		for (size_t k = 0; k < sizeof(sha); k++)
			(void)snprintf(&r->sha[i][2 * k], 3, "%02x", sha[k]);
	}
	return 0;
}

static int
prepare(struct redis *r, const struct store_options *options, struct err *e)
{
	if (redisurl_parse(options->url, &r->url, e) != 0 ||
	    name_scripts(r, e) != 0)
		return -1;
	if (r->url.tls) {
		r->trust = redislink_trust(options->ca_file, e);
		if (r->trust == NULL)
			return -1;
	}
	if (options->password == NULL || options->password[0] == '\0') {
		if (r->url.user[0] == '\0')
			return 0;
		err_set(e, "a user and no password (store.password_file)");
		return -1;
	}
	r->password = strdup(options->password);
	if (r->password == NULL)
		err_set(e, "no memory");
	return r->password == NULL ? -1 : 0;
}

struct store *
redis_open(const struct store_options *options, struct err *e)
{
	return redis_open_patient(options, REDIS_WAIT_MS, e);
}

struct store *
redis_open_patient(const struct store_options *options, unsigned int wait_ms,
    struct err *e)
{
	struct redis *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(e, "no memory");
		return NULL;
	}
	if (store_begin(&r->base, &ops, options, strdup(options->url), e) !=
	    0) {
		free(r);
		return NULL;
	}
	atomic_init(&r->proof_ms, PROOF_MS);
	r->wait_ms = wait_ms;
	if (pthread_condattr_init(&r->monotonic) != 0 ||
	    pthread_condattr_setclock(&r->monotonic, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&r->changed, &r->monotonic) != 0 ||
	    pthread_mutex_init(&r->lock, NULL) != 0) {
		err_set(e, "no memory");
		store_end(&r->base);
		free(r);
		return NULL;
	}
	if (prepare(r, options, e) == 0 && redisloop_start(r, e) == 0)
		return &r->base;
	destroy(r);
	return NULL;
}
