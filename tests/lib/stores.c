/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the store have in common: what it said, where it is, and
 * proofs by words. Nothing here opens a store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <time.h>

#include "tests/lib/stores.h"

static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static char said[16384];

void
said_note(void *arg, enum store_level level, const char *text)
{
	size_t len;

	(void)arg;
	(void)pthread_mutex_lock(&said_lock);
	len = strlen(said);
	(void)snprintf(said + len, sizeof(said) - len, "%d:%s\n", (int)level,
	    text);
	(void)pthread_mutex_unlock(&said_lock);
}

unsigned int
said_times(const char *text)
{
	unsigned int count = 0;

	(void)pthread_mutex_lock(&said_lock);
	for (const char *p = said; (p = strstr(p, text)) != NULL; p++)
		count++;
	(void)pthread_mutex_unlock(&said_lock);
	return count;
}

void
said_clear(void)
{
	(void)pthread_mutex_lock(&said_lock);
	said[0] = '\0';
	(void)pthread_mutex_unlock(&said_lock);
}

const char *
said_text(void)
{
	static char copy[sizeof(said)];

	(void)pthread_mutex_lock(&said_lock);
	memcpy(copy, said, sizeof(copy));
	(void)pthread_mutex_unlock(&said_lock);
	return copy;
}

int
tree_make(char dir_r[TREE_SIZE])
{
	(void)snprintf(dir_r, TREE_SIZE, "/tmp/postern-store.XXXXXX");
	return mkdtemp(dir_r) == NULL ? -1 : 0;
}

static int
remove_one(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(name);
}

int
tree_remove(const char *dir)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct login
login_of(const char *text)
{
	struct login l;

	assert_int_equal(login_normalise(text, strlen(text), "", &l), 0);
	return l;
}

struct login
login_number(unsigned int n)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "user%u@example.org", n);
	return login_of(text);
}

const struct netaddr *
addr_of(const char *text)
{
	static struct netaddr a;

	if (strcmp(text, "-") == 0)
		return NULL;
	assert_int_equal(netaddr_parse(text, &a), text[0] == '?' ? -1 : 0);
	return &a;
}

int
proof_put(struct store *store, const char *who, const char *from, uint64_t now)
{
	struct login l = login_of(who);

	return store_proof_put(store, &l, addr_of(from), now);
}

enum tri
proof_get(struct store *store, const char *who, const char *from, uint64_t ttl,
    uint64_t now)
{
	struct login l = login_of(who);

	return store_proof_get(store, &l, addr_of(from), ttl, now);
}

int
proof_forget(struct store *store, const char *who, const char *from, bool all)
{
	const struct netaddr none = { .family = NETADDR_NONE };
	struct login l = login_of(who);
	struct err e = { "" };
	const struct netaddr *a = addr_of(from);
	int n = store_proof_forget(store, &l,
	    all ? NULL : (a == NULL ? &none : a), &e);

	if (n < 0)
		print_error("forget %s: %s\n", who, e.text);
	return n;
}

int
listing_add(void *arg, const struct store_proof *proof)
{
	struct listing *l = arg;
	size_t len = strlen(l->text);
	char from[NETADDR_TEXT_MAX];

	netaddr_format(&proof->addr, from);
	(void)snprintf(l->text + len, sizeof(l->text) - len, "%s %s %llu\n",
	    proof->login.text, from, (unsigned long long)proof->time_ms);
	return ++l->count == l->stop_at;
}
