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
 * What postern remembers across sessions and restarts: session proofs ("this
 * login was authenticated by postern's own SASL service, from this address, at
 * this time"), leases, counters and small states. Several processes use one
 * store at the same time. Times are CLOCK_REALTIME in milliseconds and come
 * from the caller.
 *
 * lmdb: is a file for the processes of one host. Records wait in memory for
 * half a second; kill -9 loses what waits. One process counts (the daemon):
 * others see its counters as they are in the file. redis: is a server for many
 * hosts; all of them count together.
 */
struct store;

enum store_level { STORE_INFO, STORE_WARNING, STORE_ALARM };

struct store_options {
	const char *url;       /* lmdb:[DIR], redis://..., rediss://... */
	const char *state_dir; /* where "lmdb:" without DIR lives */
	const char *password;  /* of Redis; NULL or "": none */
	const char *ca_file;   /* for rediss:; NULL: the system's */
	/* Called from any thread with one line of text (no line feed). */
	void (*report)(void *arg, enum store_level level, const char *text);
	void *report_arg;
};

/*
 * Opens, and makes what is not there yet (mode 0600). A damaged file is kept
 * aside under another name, loudly, and a new one begun; also when that shows
 * while it is in use. NULL with the reason in e. Before the process has
 * threads.
 */
struct store *store_open(const struct store_options *options, struct err *e);
/* Writes what is pending; frees, nulls; NULL is allowed. No other call may be
 * under way. */
void store_close(struct store **store);
/* The end is near: whoever waits for a forgetting, now or later, is told after
 * wait_ms from now that it is not done. Any thread. */
void store_hurry(struct store *store, uint64_t wait_ms);

/*
 * A callback of the MTA begins (NULL is allowed). From here until it calls this
 * again, the calling thread waits for a server no longer than one question may,
 * over all that it asks; what it asks beyond that is unknown at once. A thread
 * that never calls this may wait so long for each question.
 */
void store_callback(struct store *store);

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
/* ... and from this very address? */
enum tri store_proof_get_from(struct store *store, const struct login *login,
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

/*
 * Leases: who has just logged in at IMAP from an address may submit from there.
 * Several logins may hold one at the same address.
 */
#define STORE_SOURCE_MAX 15
struct store_lease {
	struct netaddr addr;
	struct login login;
	uint64_t until_ms;
	char source[STORE_SOURCE_MAX + 1]; /* who told: "dovecot", "ctl", ... */
};

/* Begins or prolongs (never shortens) one; visible as a proof is. -1: it could
 * not be kept (reported). */
int store_lease_put(struct store *store, const struct store_lease *lease);
/* The logins that hold a lease at addr now, the latest first, at most max (and
 * 64) of them. How many; -1: unknown. Any thread. */
int store_lease_get(struct store *store, const struct netaddr *addr,
    uint64_t now_ms, struct login *logins_r, size_t max);
/* Ends login's lease at addr, or everybody's there (NULL). As
 * store_proof_forget(). */
int store_lease_del(struct store *store, const struct netaddr *addr,
    const struct login *login, struct err *e);
/* As store_proof_list(), by address; ended ones are left out. */
int store_lease_list(struct store *store, uint64_t now_ms,
    int (*each)(void *arg, const struct store_lease *lease), void *arg,
    struct err *e);

/* Keys of counters and states: text, 1 to this many octets, of the caller's
 * making ("recipients/alice@example.org"). */
#define STORE_KEY_MAX 400

/*
 * "count within window_ms", as a GCRA (the generic cell rate algorithm of ITU-T
 * I.371): a key's state is the time at which its allowance is whole again. A
 * take of cost c is allowed when max(state, now) + c * window / count is at
 * most now + window, and that is then the new state. So count may be taken at
 * once from a whole allowance, and it comes back evenly, one every window /
 * count. Times are in whole microseconds.
 */
struct store_rate {
	uint64_t count;
	uint64_t window_ms;
};
enum store_taken {
	STORE_TAKEN_UNKNOWN = 0, /* the store is away */
	STORE_TAKEN,
	STORE_OVER, /* nothing was taken */
};
/*
 * Takes cost (which may be 0, to look) out of the key's allowance, all or
 * nothing. left_r (NULL is allowed): how much may be taken now, after this; or,
 * when over, wait_ms_r: when this cost may be taken (UINT64_MAX: never). Any
 * thread.
 */
enum store_taken store_rate_take(struct store *store, const char *key,
    const struct store_rate *rate, uint64_t cost, uint64_t now_ms,
    uint64_t *left_r, uint64_t *wait_ms_r);
/* Gives back what was taken and not used; never more than there was room for.
 */
void store_rate_give(struct store *store, const char *key,
    const struct store_rate *rate, uint64_t cost, uint64_t now_ms);

/* A key's different values are an exact set of the latest so many: 64 bits and
 * a time for each. This many means this many or more; below it the count is
 * wrong only when two hashes are the same (one in 10^14 for a full set). */
#define STORE_DISTINCT_MAX 256
/* Notes that value (a hash of it) was seen under key. How many different values
 * were seen within window_ms, this one included; -1: unknown. Any thread. */
int64_t store_distinct_add(struct store *store, const char *key, uint64_t value,
    uint64_t window_ms, uint64_t now_ms);
/* ... without noting anything. */
int64_t store_distinct_count(struct store *store, const char *key,
    uint64_t window_ms, uint64_t now_ms);

/* A small value under a key until a time: containment and the like. */
#define STORE_STATE_MAX 512
int store_state_put(struct store *store, const char *key, const void *value,
    size_t len, uint64_t until_ms);
/* 1: found, *len_r of at most STORE_STATE_MAX octets; 0: there is none; -1:
 * unknown. Any thread. */
int store_state_get(struct store *store, const char *key, uint64_t now_ms,
    void *value_r, size_t *len_r);
/* As store_proof_forget(). */
int store_state_del(struct store *store, const char *key, struct err *e);
/* Every state whose key begins with prefix; as store_proof_list(). */
int store_state_list(struct store *store, const char *prefix, uint64_t now_ms,
    int (*each)(void *arg, const char *key, const void *value, size_t len,
	uint64_t until_ms),
    void *arg, struct err *e);

/* Housekeeping, every few seconds from one thread: removes proofs older than
 * ttl_ms and whatever has ended, a bounded number at a time. */
void store_tend(struct store *store, uint64_t ttl_ms, uint64_t now_ms);

#endif
