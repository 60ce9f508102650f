/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a record's key to its place in Redis and back, as text, so that a person
 * can read it there. What is found there is believed only if it has this form;
 * nothing is asked here.
 */
#include "store/redisplace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
add_octets(char *to, size_t *len, const void *octets, size_t count)
{
	memcpy(to + *len, octets, count);
	*len += count;
}

void
redisplace_find(const struct record_key *key, struct redisplace *p)
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

int
redisplace_value(const char *text, size_t len, uint64_t *stamp_r,
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

size_t
redisplace_pattern(const struct record_key *prefix,
    char pattern_r[REDISPLACE_PATTERN_SIZE])
{
	size_t len = (size_t)snprintf(pattern_r, REDISPLACE_PATTERN_SIZE,
	    "postern:%c:", prefix->octets[0] | 0x20);

	for (size_t i = 1; i < prefix->len; i++) {
		if (strchr("*?[]\\^-", prefix->octets[i]) != NULL)
			pattern_r[len++] = '\\';
		pattern_r[len++] = (char)prefix->octets[i];
	}
	pattern_r[len++] = '*';
	return len;
}

int
redisplace_each(const redisReply *reply, const char *name, size_t name_len,
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
		    redisplace_value(text->str, text->len, &view.stamp, &value,
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
