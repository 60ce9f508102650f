/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_STORES_H
#define POSTERN_TESTS_LIB_STORES_H

#include "store/store.h"

/* What the tests of the store have in common. What goes wrong here fails the
 * test that is running. */

/* For store_options.report: a line each, "LEVEL:TEXT". Any thread. */
void said_note(void *arg, enum store_level level, const char *text);
/* How often that is in it. */
unsigned int said_times(const char *text);
void said_clear(void);
/* All of it, for a message. */
const char *said_text(void);

/* A directory of the test's own, and its end with all that is in it. -1: it
 * cannot be. */
#define TREE_SIZE 64
int tree_make(char dir_r[TREE_SIZE]);
int tree_remove(const char *dir);

uint64_t now_ms(void);

struct login login_of(const char *text);
struct login login_number(unsigned int n);
/* NULL for "-", NETADDR_NONE for "?"; until the next. */
const struct netaddr *addr_of(const char *text);

int proof_put(struct store *store, const char *who, const char *from,
    uint64_t now);
enum tri proof_get(struct store *store, const char *who, const char *from,
    uint64_t ttl, uint64_t now);
/* Those from there ("-": for the login alone), or all. */
int proof_forget(struct store *store, const char *who, const char *from,
    bool all);

/* A list of proofs as text; stop_at 0: all. */
struct listing {
	char text[1024];
	int count;
	int stop_at;
};
int listing_add(void *arg, const struct store_proof *proof);

#endif
