/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything of a kind that is in Redis, for people: collected as it is found,
 * then handed on in order, each once. Redis serves others meanwhile; no
 * callback comes here.
 */
#include <stdlib.h>
#include <string.h>

#include "store/redisask.h"
#include "store/redisplace.h"

#define CURSOR_SIZE 24

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
		struct redisask w = { .count = 0 };

		redisask_say_text(&w, "HGETALL");
		redisask_say(&w, names->element[i]->str,
		    names->element[i]->len);
		requests[i].request = redisask_send(r, &w);
		if (requests[i].request == NULL)
			rc = -1;
	}
	for (size_t i = 0; requests != NULL && requests[i].request != NULL;
	     i++) {
		redisReply *reply =
		    redis_receive(r, requests[i].request, REDIS_PATIENCE_MS);

		if (reply == NULL)
			rc = -1;
		else
			(void)redisplace_each(reply, names->element[i]->str,
			    names->element[i]->len, collect, found);
		if (reply != NULL)
			freeReplyObject(reply);
	}
	free(requests);
	if (rc != 0)
		redisask_explain(r, NULL, e);
	return rc;
}

static bool
is_scan(const redisReply *reply)
{
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[0]->len >= CURSOR_SIZE ||
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
	char cursor[CURSOR_SIZE] = "0";
	int rc = 0;

	do {
		struct redisask w = { .count = 0 };
		redisReply *reply;

		redisask_say_text(&w, "SCAN");
		redisask_say_text(&w, cursor);
		redisask_say_text(&w, "MATCH");
		redisask_say(&w, pattern, len);
		redisask_say_text(&w, "COUNT");
		redisask_say_text(&w, "500");
		reply = redisask_wait(r, &w, false, REDIS_PATIENCE_MS);
		if (is_scan(reply)) {
			memcpy(cursor, reply->element[0]->str,
			    reply->element[0]->len + 1);
			rc = collect_all(r, reply->element[1], found, e);
		} else {
			redisask_explain(r, reply, e);
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

int
redislist(struct store *store, const struct record_key *prefix,
    int (*each)(void *arg, const struct record *record), void *arg,
    struct err *e)
{
	char pattern[REDISPLACE_PATTERN_SIZE];
	size_t len = redisplace_pattern(prefix, pattern);
	struct found found = { .count = 0 };
	int rc = scan((struct redis *)store, pattern, len, &found, e);

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
