/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in a Redis, for many hosts. A group of records is a hash, named
 * postern:KIND:GROUP; a rate is a number, and distinct values are a sorted set.
 * Everything has a time to live there. What needs no answer is not waited for:
 * requests are carried in order, so that the next get of this process sees it.
 */
#include "store/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define NAME_MAX_LEN (16 + RECORD_KEY_MAX + NETADDR_TEXT_MAX)
/* For a person, or a list. */
#define PATIENCE_MS 5000
/* Longer than the clocks of hosts are apart. */
#define MARGIN_MS   (UINT64_C(3600) * 1000)
#define LIFE_MOST   (UINT64_C(366) * 24 * 3600 * 1000)
#define PROOF_MS    (UINT64_C(8) * 24 * 3600 * 1000)
#define NUMBER_SIZE 24

/* A record's place: the name of the hash, and the field in it. */
struct place {
	char name[NAME_MAX_LEN];
	size_t name_len;
	char field[LOGIN_MAX + 1];
	size_t field_len;
};

static void
add_octets(char *to, size_t *len, const void *octets, size_t count)
{
	memcpy(to + *len, octets, count);
	*len += count;
}

static void
find_place(const struct record_key *key, struct place *p)
{
	char address[NETADDR_TEXT_MAX];
	struct login login;
	struct netaddr addr;
	size_t group = record_group(key->octets, key->len);

	p->name_len = (size_t)snprintf(p->name, sizeof(p->name),
	    "postern:%c:", key->octets[0] | 0x20);
	p->field_len = 0;
	if (key->octets[0] == RECORD_PROOF) {
		(void)record_key_parse(key->octets, key->len, &login, &addr);
		netaddr_format(&addr, address);
		add_octets(p->name, &p->name_len, login.text,
		    strlen(login.text));
		add_octets(p->field, &p->field_len, address, strlen(address));
	} else if (key->octets[0] == RECORD_LEASE) {
		struct record_key whole = *key;

		/* a group's key has no login */
		if (whole.len == group)
			whole.octets[whole.len++] = '?';
		(void)record_key_parse(whole.octets, whole.len, &login, &addr);
		netaddr_format(&addr, address);
		add_octets(p->name, &p->name_len, address, strlen(address));
		add_octets(p->field, &p->field_len, key->octets + group,
		    key->len - group);
	} else {
		add_octets(p->name, &p->name_len, key->octets + 1,
		    key->len - 1);
		add_octets(p->field, &p->field_len, "=", 1);
	}
}

/* The way back. -1: no record's place. */
static int
find_key(const char *name, size_t name_len, const char *field, size_t field_len,
    struct record_key *key_r)
{
	static const size_t head = sizeof("postern:p:") - 1;
	struct login login = { "" };
	struct netaddr addr = { .family = NETADDR_NONE };
	const char *rest = name + head;
	char address[NETADDR_TEXT_MAX] = "";
	const char *from = NULL, *who = NULL;
	size_t from_len = 0, who_len = 0, rest_len = name_len - head;

	if (name_len <= head || name_len > head + STORE_KEY_MAX)
		return -1;
	switch (name[head - 2]) {
	case 's':
		key_r->octets[0] = RECORD_STATE;
		memcpy(key_r->octets + 1, rest, rest_len);
		key_r->len = 1 + rest_len;
		return record_key_is_sound(key_r->octets, key_r->len) ? 0 : -1;
	case 'p':
		who = rest;
		who_len = rest_len;
		from = field;
		from_len = field_len;
		break;
	case 'l':
		who = field;
		who_len = field_len;
		from = rest;
		from_len = rest_len;
		break;
	default: /* of another make */
		return -1;
	}
	if (who_len == 0 || who_len > LOGIN_MAX || from_len == 0 ||
	    from_len >= sizeof(address) || memchr(who, '\0', who_len) != NULL)
		return -1;
	memcpy(login.text, who, who_len);
	memcpy(address, from, from_len);
	if (strcmp(address, "-") != 0 && netaddr_parse(address, &addr) != 0)
		return -1;
	if (name[head - 2] == 'p')
		record_key_proof(&login, &addr, key_r);
	else if (addr.family != NETADDR_NONE)
		record_key_lease(&addr, &login, key_r);
	else
		return -1;
	return 0;
}

/* "STAMP VALUE" -1: it is not. */
static int
parse_value(const char *text, size_t len, uint64_t *stamp_r,
    const char **value_r, size_t *len_r)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 20 || digits >= len || text[digits] != ' ')
		return -1;
	*stamp_r = strtoull(text, NULL, 10);
	*value_r = text + digits + 1;
	*len_r = len - digits - 1;
	return 0;
}

static struct redis *
redis_of(struct store *store)
{
	return (struct redis *)store;
}

/* Words of a command. */
struct words {
	const char *at[16];
	size_t len[16];
	int count;
	char numbers[8][NUMBER_SIZE];
	size_t numbers_count;
};

static void
say(struct words *w, const void *octets, size_t len)
{
	w->at[w->count] = octets;
	w->len[w->count++] = len;
}

static void
say_text(struct words *w, const char *text)
{
	say(w, text, strlen(text));
}

static void
say_number(struct words *w, uint64_t n)
{
	char *text = w->numbers[w->numbers_count++];

	(void)snprintf(text, NUMBER_SIZE, "%" PRIu64, n);
	say_text(w, text);
}

static struct redis_request *
make_request(struct redis *r, const struct words *w)
{
	return redis_request(r, w->count, w->at, w->len);
}

/* A call of a script whose words follow the key's name; sha NULL: in full. */
static void
say_script(struct words *w, enum redis_script script, const char *sha,
    const char *name, size_t len)
{
	say_text(w, sha != NULL ? "EVALSHA" : "EVAL");
	say_text(w, sha != NULL ? sha : redis_scripts[script]);
	say_text(w, "1");
	say(w, name, len);
}

/* Asks, and waits for the answer. NULL: none (known to be told). */
static redisReply *
ask(struct redis *r, const struct words *w, bool writes, uint64_t wait_ms)
{
	struct redis_request *request = make_request(r, w);

	if (request != NULL)
		request->writes = writes;
	if (redis_send(r, request, false) != 0)
		return NULL;
	return redis_receive(r, request, wait_ms);
}

/* ... a script: by its hash first. */
static redisReply *
ask_script(struct redis *r, struct words *w, enum redis_script script,
    uint64_t wait_ms)
{
	redisReply *reply = ask(r, w, true, wait_ms);

	if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
	    strncmp(reply->str, "NOSCRIPT", 8) != 0)
		return reply;
	freeReplyObject(reply);
	w->at[0] = "EVAL";
	w->len[0] = 4;
	w->at[1] = redis_scripts[script];
	w->len[1] = strlen(redis_scripts[script]);
	return ask(r, w, true, wait_ms);
}

static void
set_why(struct redis *r, struct err *e)
{
	struct err why;

	(void)pthread_mutex_lock(&r->lock);
	why = r->why;
	(void)pthread_mutex_unlock(&r->lock);
	err_set(e, "%.200s: away: %.200s", r->base.path,
	    why.text[0] != '\0' ? why.text : "no answer");
}

/* An answer that is an error, or of no sense. */
static void
set_refusal(struct redis *r, const redisReply *reply, struct err *e)
{
	if (reply == NULL)
		set_why(r, e);
	else
		err_set(e, "%.200s: refuses: %.200s", r->base.path,
		    reply->type == REDIS_REPLY_ERROR ? reply->str
						     : "it makes no sense");
}

static int
redis_put(struct store *store, const struct record *record)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct redis_request *request;
	struct place p;
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
	find_place(&record->key, &p);
	say_script(&w, SCRIPT_PUT, NULL, p.name, p.name_len);
	say(&w, p.field, p.field_len);
	say_number(&w, record->stamp);
	say(&w, record->value, record->len);
	say_number(&w, limit);
	say_number(&w, dead);
	say_number(&w, life + MARGIN_MS);
	request = make_request(r, &w);
	if (request != NULL)
		request->writes = true;
	return redis_send(r, request, true);
}

static int
redis_get(struct store *store, struct record *records, size_t count,
    unsigned int *found_r)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct place places[2];
	redisReply *reply;
	int rc = -1;

	*found_r = 0;
	for (size_t i = 0; i < count; i++) {
		find_place(&records[i].key, &places[i]);
		if (i == 0) {
			say_text(&w, "HMGET");
			say(&w, places[0].name, places[0].name_len);
		}
		say(&w, places[i].field, places[i].field_len);
	}
	reply = ask(r, &w, false, r->wait_ms);
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
		if (parse_value(one->str, one->len, &record->stamp, &value,
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

/* Calls each for the fields of a hash that are records. -1: no such answer. */
static int
each_field(const redisReply *reply, const char *name, size_t name_len,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		return -1;
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		const redisReply *field = reply->element[i];
		const redisReply *text = reply->element[i + 1];
		struct record_view view;
		struct record_key key;
		const char *value;

		if (field->type != REDIS_REPLY_STRING ||
		    text->type != REDIS_REPLY_STRING ||
		    find_key(name, name_len, field->str, field->len, &key) !=
			0 ||
		    parse_value(text->str, text->len, &view.stamp, &value,
			&view.len) != 0 ||
		    view.len > STORE_STATE_MAX)
			continue;
		view.key = key.octets;
		view.key_len = key.len;
		view.value = value;
		each(arg, &view);
	}
	return 0;
}

static int
redis_group(struct store *store, const struct record_key *group,
    void (*each)(void *arg, const struct record_view *view), void *arg)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct place p;
	redisReply *reply;
	int rc;

	find_place(group, &p);
	say_text(&w, "HGETALL");
	say(&w, p.name, p.name_len);
	reply = ask(r, &w, false, r->wait_ms);
	rc = each_field(reply, p.name, p.name_len, each, arg);
	if (reply != NULL)
		freeReplyObject(reply);
	return rc;
}

static int
redis_forget(struct store *store, const struct record_key *key, bool group,
    struct err *e)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct place p;
	redisReply *reply;
	int count = -1;

	find_place(key, &p);
	if (group) {
		say_script(&w, SCRIPT_FORGET, NULL, p.name, p.name_len);
	} else {
		say_text(&w, "HDEL");
		say(&w, p.name, p.name_len);
		say(&w, p.field, p.field_len);
	}
	reply = ask(r, &w, true, PATIENCE_MS);
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		count = (int)reply->integer;
	else
		set_refusal(r, reply, e);
	if (reply != NULL)
		freeReplyObject(reply);
	return count;
}

struct item {
	uint64_t stamp;
	size_t key_len;
	size_t len;
	uint8_t octets[]; /* key, value */
};

struct slot {
	struct item *item;
};

/* What a list has found so far. */
struct found {
	struct slot *slots;
	size_t count;
	size_t room;
	bool no_memory;
};

static void
collect(void *arg, const struct record_view *view)
{
	struct found *found = arg;
	struct item *item = malloc(sizeof(*item) + view->key_len + view->len);

	if (item != NULL && found->count == found->room) {
		size_t room = found->room == 0 ? 64 : 2 * found->room;
		struct slot *slots =
		    realloc(found->slots, room * sizeof(*slots));

		if (slots != NULL) {
			found->slots = slots;
			found->room = room;
		}
	}
	if (item == NULL || found->count == found->room) {
		free(item);
		found->no_memory = true;
		return;
	}
	item->stamp = view->stamp;
	item->key_len = view->key_len;
	item->len = view->len;
	memcpy(item->octets, view->key, view->key_len);
	memcpy(item->octets + view->key_len, view->value, view->len);
	found->slots[found->count++].item = item;
}

/* As LMDB sorts. */
static int
compare(const struct item *a, const struct item *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->octets, b->octets, len);

	if (order != 0)
		return order;
	return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static int
compare_items(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return compare(x->item, y->item);
}

/* The fields of all these hashes, asked for together. */
static int
collect_all(struct redis *r, const redisReply *names, struct found *found,
    struct err *e)
{
	struct question {
		struct redis_request *request;
	} *requests = calloc(names->elements + 1, sizeof(*requests));
	int rc = requests == NULL ? -1 : 0;

	for (size_t i = 0; i < names->elements && rc == 0; i++) {
		struct words w = { .count = 0 };

		say_text(&w, "HGETALL");
		say(&w, names->element[i]->str, names->element[i]->len);
		requests[i].request = make_request(r, &w);
		if (redis_send(r, requests[i].request, false) != 0) {
			requests[i].request = NULL;
			rc = -1;
		}
	}
	for (size_t i = 0; requests != NULL && requests[i].request != NULL;
	     i++) {
		redisReply *reply =
		    redis_receive(r, requests[i].request, PATIENCE_MS);

		if (reply == NULL)
			rc = -1;
		else
			(void)each_field(reply, names->element[i]->str,
			    names->element[i]->len, collect, found);
		if (reply != NULL)
			freeReplyObject(reply);
	}
	free(requests);
	if (rc != 0)
		set_why(r, e);
	return rc;
}

static bool
is_scan(const redisReply *reply)
{
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[0]->len >= NUMBER_SIZE ||
	    reply->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < reply->element[1]->elements; i++) {
		if (reply->element[1]->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	return true;
}

static int
scan(struct redis *r, const char *pattern, size_t len, struct found *found,
    struct err *e)
{
	char cursor[NUMBER_SIZE] = "0";
	int rc = 0;

	do {
		struct words w = { .count = 0 };
		redisReply *reply;

		say_text(&w, "SCAN");
		say_text(&w, cursor);
		say_text(&w, "MATCH");
		say(&w, pattern, len);
		say_text(&w, "COUNT");
		say_text(&w, "500");
		reply = ask(r, &w, false, PATIENCE_MS);
		if (is_scan(reply)) {
			memcpy(cursor, reply->element[0]->str,
			    reply->element[0]->len + 1);
			rc = collect_all(r, reply->element[1], found, e);
		} else {
			set_refusal(r, reply, e);
			rc = -1;
		}
		if (reply != NULL)
			freeReplyObject(reply);
	} while (rc == 0 && strcmp(cursor, "0") != 0);
	if (rc == 0 && found->no_memory) {
		err_set(e, "no memory");
		rc = -1;
	}
	return rc;
}

/* In order, each once. */
static void
hand_on(const struct found *found,
    int (*each)(void *arg, const struct record *record), void *arg)
{
	struct record record;

	for (size_t i = 0; i < found->count; i++) {
		const struct item *item = found->slots[i].item;

		if (i > 0 && compare(found->slots[i - 1].item, item) == 0)
			continue;
		record.key.len = item->key_len;
		memcpy(record.key.octets, item->octets, item->key_len);
		record.stamp = item->stamp;
		record.len = item->len;
		memcpy(record.value, item->octets + item->key_len, item->len);
		if (each(arg, &record) != 0)
			break;
	}
}

static int
redis_list(struct store *store, const struct record_key *prefix,
    int (*each)(void *arg, const struct record *record), void *arg,
    struct err *e)
{
	char pattern[16 + 2 * RECORD_KEY_MAX];
	struct found found = { .count = 0 };
	size_t len = (size_t)snprintf(pattern, sizeof(pattern),
	    "postern:%c:", prefix->octets[0] | 0x20);
	int rc;

	for (size_t i = 1; i < prefix->len; i++) {
		if (strchr("*?[]\\^-", prefix->octets[i]) != NULL)
			pattern[len++] = '\\';
		pattern[len++] = (char)prefix->octets[i];
	}
	pattern[len++] = '*';
	rc = scan(redis_of(store), pattern, len, &found, e);
	if (rc == 0 && found.count > 0) {
		qsort(found.slots, found.count, sizeof(found.slots[0]),
		    compare_items);
		hand_on(&found, each, arg);
	}
	for (size_t i = 0; i < found.count; i++)
		free(found.slots[i].item);
	free(found.slots);
	return rc;
}

static void
say_gcra(struct redis *r, struct words *w, enum redis_script script,
    const struct place *p, const struct gcra *gcra)
{
	say_script(w, script, r->sha[script], p->name, p->name_len);
	say_number(w, gcra->now_us);
	say_number(w, gcra->window_us);
	/* what is more than a window is never taken */
	say_number(w, gcra->possible ? gcra->cost_us : gcra->window_us + 1);
}

static enum store_taken
redis_take(struct store *store, const struct record_key *key,
    const struct gcra *gcra, uint64_t *us_r)
{
	struct redis *r = redis_of(store);
	enum store_taken taken = STORE_TAKEN_UNKNOWN;
	struct words w = { .count = 0 };
	struct place p;
	redisReply *reply;

	find_place(key, &p);
	say_gcra(r, &w, SCRIPT_TAKE, &p, gcra);
	reply = ask_script(r, &w, SCRIPT_TAKE, r->wait_ms);
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

static void
redis_give(struct store *store, const struct record_key *key,
    const struct gcra *gcra)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct redis_request *request;
	struct place p;

	find_place(key, &p);
	say_gcra(r, &w, SCRIPT_GIVE, &p, gcra);
	w.at[0] = "EVAL";
	w.len[0] = 4;
	w.at[1] = redis_scripts[SCRIPT_GIVE];
	w.len[1] = strlen(redis_scripts[SCRIPT_GIVE]);
	request = make_request(r, &w);
	if (request != NULL)
		request->writes = true;
	(void)redis_send(r, request, true);
}

static int64_t
redis_distinct(struct store *store, const struct record_key *key,
    const uint64_t *value, uint64_t window_ms, uint64_t now_ms)
{
	struct redis *r = redis_of(store);
	struct words w = { .count = 0 };
	struct place p;
	redisReply *reply;
	int64_t count = -1;

	find_place(key, &p);
	say_script(&w, SCRIPT_DISTINCT, r->sha[SCRIPT_DISTINCT], p.name,
	    p.name_len);
	if (value != NULL)
		say_number(&w, *value);
	else
		say_text(&w, "");
	say_number(&w, window_ms);
	say_number(&w, now_ms);
	say_number(&w, STORE_DISTINCT_MAX);
	reply = ask_script(r, &w, SCRIPT_DISTINCT, r->wait_ms);
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
	struct words w = { .count = 0 };
	redisReply *reply;
	bool good;

	say_text(&w, "PING");
	reply = ask(r, &w, false, wait_ms);
	good = reply != NULL && reply->type == REDIS_REPLY_STATUS;
	if (reply != NULL)
		freeReplyObject(reply);
	(void)pthread_mutex_lock(&r->lock);
	good = good && r->lost == 0;
	r->lost = 0;
	(void)pthread_mutex_unlock(&r->lock);
	return good ? 0 : -1;
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
	.tend = redis_tend,
	.put = redis_put,
	.get = redis_get,
	.group = redis_group,
	.forget = redis_forget,
	.list = redis_list,
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
