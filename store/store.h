/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/err.h"
#include "policy/facts.h"
#include "policy/login.h"
#include "policy/netaddr.h"

/*
 * What postern remembers across sessions and restarts: session proofs, "this
 * login was authenticated by postern's own SASL service, from this address, at
 * this time". Several processes use one store at the same time. Times are
 * CLOCK_REALTIME in milliseconds and come from the caller.
 */
struct store;

enum store_level { STORE_INFO, STORE_WARNING, STORE_ALARM };

struct store_options {
	const char *url;       /* lmdb:[DIR] */
	const char *state_dir; /* where "lmdb:" without DIR lives */
	/* Called from any thread with one line of text (no line feed). */
	void (*report)(void *arg, enum store_level level, const char *text);
	void *report_arg;
};

/*
 * Opens, and makes what is not there yet (mode 0600). A damaged file is kept
 * aside under another name, loudly, and a new one begun. NULL with the reason
 * in e. Before the process has threads.
 */
struct store *store_open(const struct store_options *options, struct err *e);
/* Writes what is pending; frees, nulls; NULL is allowed. */
void store_close(struct store **store);

/* Is the URL one that store_open() understands? -1 with the reason in e. */
int store_check_url(const char *url, struct err *e);

/*
 * The login was proven from this address (NULL: from nowhere in particular, the
 * proof is for the login alone). store_proof_get() of this process sees it when
 * this returns; the file has it within a second. Never waits for a disk or
 * another process. -1: it could not be kept (reported).
 */
int store_proof_put(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t now_ms);

/* Waits until everything that was put or asked for before is done, at most
 * wait_ms. -1: it is not. */
int store_flush(struct store *store, uint64_t wait_ms);

/*
 * Was the login proven, from this address or for itself alone, at most ttl_ms
 * ago? TRI_UNKNOWN: the store cannot be read. A proof from the future is none.
 * Any thread.
 */
enum tri store_proof_get(struct store *store, const struct login *login,
    const struct netaddr *addr, uint64_t ttl_ms, uint64_t now_ms);

/* Forgets the login's proofs: those from addr, or all (NULL). On disk when it
 * returns. The number forgotten, or -1 with the reason in e. */
int store_proof_forget(struct store *store, const struct login *login,
    const struct netaddr *addr, struct err *e);

struct store_proof {
	struct login login;
	struct netaddr addr; /* NETADDR_NONE for the login alone */
	uint64_t time_ms;
};
/* Calls each for every proof, by login; stops when it returns non-zero. -1 with
 * the reason in e. */
int store_proof_list(struct store *store,
    int (*each)(void *arg, const struct store_proof *proof), void *arg,
    struct err *e);

/* Housekeeping, every few seconds from one thread: removes proofs older than
 * ttl_ms, a bounded number at a time. */
void store_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms);

#endif
