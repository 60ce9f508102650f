/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in a process of its own, driven by lines on standard input and
 * answering a line each, for tests that kill and stop processes:
 *   put LOGIN ADDR TIME   get LOGIN ADDR TTL NOW   forget LOGIN [ADDR]
 *   flush MS   tend TTL NOW   count   hurry MS   close   pour PREFIX   hold
 *   lease ADDR LOGIN UNTIL   leased ADDR NOW   unlease ADDR
 *   take KEY COST NOW (of 1000000 an hour; what is left)   tick KEY
 *   state KEY VALUE UNTIL   stated KEY NOW   unstate KEY
 * ADDR "-" is none. What the store reports comes as lines that begin with "#".
 * pour puts PREFIX1, PREFIX2, ... for ever and names those that are safe; hold
 * keeps LMDB's write lock. tick takes one of KEY's for ever, and says how many.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lmdb.h>

#include "store/store.h"

static struct store *store;
static const char *dir;

static void
report(void *arg, enum store_level level, const char *text)
{
	static const char *const names[] = { "info", "warning", "alarm" };

	(void)arg;
	(void)printf("# %s %s\n", names[level], text);
	(void)fflush(stdout);
}

static const struct login *
login_of(const char *text)
{
	static struct login login;

	if (text == NULL ||
	    login_normalise(text, strlen(text), NULL, &login) != 0)
		exit(99);
	return &login;
}

static const struct netaddr *
addr_of(const char *text)
{
	static struct netaddr addr;

	if (text == NULL || strcmp(text, "-") == 0)
		return NULL;
	if (netaddr_parse(text, &addr) != 0)
		exit(99);
	return &addr;
}

static uint64_t
number(const char *text)
{
	return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static int
count_one(void *arg, const struct store_proof *proof)
{
	(void)proof;
	++*(int *)arg;
	return 0;
}

__attribute__((noreturn)) static void
pour(const char *prefix)
{
	char name[64];

	for (unsigned long i = 1;; i++) {
		(void)snprintf(name, sizeof(name), "%s%lu", prefix, i);
		if (store_proof_put(store, login_of(name), NULL, 1000) != 0)
			exit(98);
		if (i % 20 == 0 && store_flush(store, 10000) == 0) {
			(void)printf("safe %lu\n", i);
			(void)fflush(stdout);
		}
	}
}

static const struct store_rate rate = { 1000000, 3600000 };

static uint64_t
take(const char *key, uint64_t cost, uint64_t now)
{
	uint64_t left = 0;

	if (store_rate_take(store, key, &rate, cost, now, &left, NULL) ==
	    STORE_TAKEN_UNKNOWN)
		exit(97);
	return left;
}

__attribute__((noreturn)) static void
tick(const char *key)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	for (unsigned long i = 1;; i++) {
		(void)take(key, 1, 1000);
		(void)printf("%lu\n", i);
		(void)fflush(stdout);
		(void)nanosleep(&pause, NULL);
	}
}

static int
lease(char **word)
{
	struct store_lease l = { .addr = *addr_of(word[1]),
		.login = *login_of(word[2]),
		.until_ms = number(word[3]) };

	return store_lease_put(store, &l);
}

/* What is not answered by a number alone. True: it was one of these. */
static bool
answer_words(char **word)
{
	struct login login = { "" };
	char value[STORE_STATE_MAX + 1] = "";
	size_t len = 0;
	int n;

	if (strcmp(word[0], "leased") == 0) {
		n = store_lease_get(store, addr_of(word[1]), number(word[2]),
		    &login, 1);
		(void)printf("%d %s\n", n, login.text);
	} else if (strcmp(word[0], "stated") == 0) {
		n = store_state_get(store, word[1], number(word[2]), value,
		    &len);
		(void)printf("%d %.*s\n", n, (int)len, value);
	} else if (strcmp(word[0], "take") == 0)
		(void)printf("%llu\n",
		    (unsigned long long)take(word[1], number(word[2]),
			number(word[3])));
	else
		return false;
	(void)fflush(stdout);
	return true;
}

static bool
hold(void)
{
	char path[4096];
	MDB_env *env;
	MDB_txn *txn;

	(void)snprintf(path, sizeof(path), "%s/store.mdb", dir);
	return mdb_env_create(&env) == 0 &&
	    mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600) == 0 &&
	    mdb_txn_begin(env, NULL, 0, &txn) == 0;
}

static void
answer(char **word)
{
	static const char *const tri[] = { "unknown", "no", "yes" };
	struct err e = { "" };
	int n = 0;

	if (answer_words(word))
		return;
	if (strcmp(word[0], "put") == 0)
		n = store_proof_put(store, login_of(word[1]), addr_of(word[2]),
		    number(word[3]));
	else if (strcmp(word[0], "forget") == 0)
		n = store_proof_forget(store, login_of(word[1]),
		    addr_of(word[2]), &e);
	else if (strcmp(word[0], "flush") == 0)
		n = store_flush(store, number(word[1]));
	else if (strcmp(word[0], "tend") == 0)
		store_tend(store, number(word[1]), number(word[2]));
	else if (strcmp(word[0], "hurry") == 0)
		store_hurry(store, number(word[1]));
	else if (strcmp(word[0], "count") == 0 &&
	    store_proof_list(store, count_one, &n, &e) != 0)
		n = -1;
	else if (strcmp(word[0], "close") == 0)
		store_close(&store);
	else if (strcmp(word[0], "lease") == 0)
		n = lease(word);
	else if (strcmp(word[0], "unlease") == 0)
		n = store_lease_del(store, addr_of(word[1]), NULL, &e);
	else if (strcmp(word[0], "state") == 0)
		n = store_state_put(store, word[1], word[2], strlen(word[2]),
		    number(word[3]));
	else if (strcmp(word[0], "unstate") == 0)
		n = store_state_del(store, word[1], &e);
	else if (strcmp(word[0], "tick") == 0)
		tick(word[1]);
	else if (strcmp(word[0], "pour") == 0)
		pour(word[1]);
	else if (strcmp(word[0], "hold") == 0)
		n = hold() ? 0 : -1;
	if (strcmp(word[0], "get") == 0)
		(void)printf("%s\n",
		    tri[store_proof_get(store, login_of(word[1]),
			addr_of(word[2]), number(word[3]), number(word[4]))]);
	else
		(void)printf("%d%s%s\n", n, e.text[0] != '\0' ? " " : "",
		    e.text);
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct store_options options = { .url = "lmdb:", .report = report };
	struct err e = { "" };
	char line[1024];

	if (argc < 2)
		return 99;
	dir = argv[1];
	options.state_dir = dir;
	/* the holder has no store: LMDB wants a file opened once a process */
	if (argc == 2) {
		store = store_open(&options, &e);
		if (store == NULL) {
			(void)printf("error %s\n", e.text);
			return 1;
		}
	}
	(void)printf("open\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *word[6] = { NULL }, *rest = line;

		for (size_t i = 0; i < 6 && rest != NULL; i++) {
			word[i] = strsep(&rest, " \n");
			if (word[i][0] == '\0')
				word[i] = NULL;
		}
		if (word[0] != NULL)
			answer(word);
	}
	store_close(&store);
	return 0;
}
