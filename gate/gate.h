/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_GATE_H
#define POSTERN_GATE_GATE_H

#include <stdint.h>

#include "gate/guess.h"
#include "gate/lease.h"
#include "gate/limits.h"
#include "gate/log.h"
#include "gate/repeat.h"
#include "gate/reply.h"
#include "gate/rules.h"
#include "policy/netaddr.h"
#include "store/store.h"

/* What all sessions share: the rules in force, the log, the decision ids. */
struct gate;
struct auth_engine; /* gate/auth.h */

/* Takes the rules; log is borrowed until gate_free(), and without one (NULL)
 * decisions are not logged. NULL: no memory (the rules are freed). */
struct gate *gate_new(struct rules *rules, struct log *log);
/* No session may be left. NULL is allowed. */
void gate_free(struct gate **gate);

/*
 * Opens the store, if the rules in force need one; otherwise a reload may open
 * it later. To be called by the daemon once, with the rights that it will keep
 * and before it has threads. The gate closes it. -1 with the reason in e: the
 * daemon must not start, for it would know nobody.
 */
int gate_open_store(struct gate *gate, struct err *e);
/* NULL: none is open. Any thread. */
struct store *gate_store(struct gate *gate);

/* Takes the place of the store and of IMAP for posternctl explain and for
 * tests; before the first session. */
typedef enum identity gate_ask_fn(void *arg, const struct rules *rules,
    const struct login *login, const struct netaddr *peer);
void gate_set_ask(struct gate *gate, gate_ask_fn *ask, void *arg);
/* Is the login that a client at this address presents a live account? */
enum identity gate_ask(const struct gate *gate, const struct rules *rules,
    const struct login *login, const struct netaddr *peer);

/* Likewise, for leases; see lease_holders(). */
typedef int gate_leases_fn(void *arg, const struct rules *rules,
    const struct netaddr *peer, struct login logins_r[LEASE_HOLDERS_MAX]);
void gate_set_leases(struct gate *gate, gate_leases_fn *leases, void *arg);
/* Who holds a lease at this address? How many; -1: cannot tell. */
int gate_leases(const struct gate *gate, const struct rules *rules,
    const struct netaddr *peer, struct login logins_r[LEASE_HOLDERS_MAX]);

/*
 * A door was told of a login at IMAP: gives the lease that it is good for, and
 * logs it. why_r: as lease_give(). Any thread; never waits.
 */
enum lease_given gate_lease_give(struct gate *gate,
    const struct lease_login *login, const char **why_r);

/* The rules in force, with a reference to give back. Any thread. */
struct rules *gate_rules_ref(struct gate *gate);
/* Never waits: what nobody uses any more is freed by gate_tend(). */
void gate_rules_unref(struct gate *gate, struct rules *rules);

/*
 * Reads the configuration file again: builds aside, checks, waits (within its
 * imap timeouts) for a new engine's self-test, swaps. On any error the old
 * rules stay in force. Everything is logged. Returns 0, or -1 when the old
 * rules stay. One thread at a time.
 */
int gate_reload(struct gate *gate, const char *file);

/* Housekeeping every few seconds, by the thread that reloads: frees retired
 * rules, logs the counts of repeated refusals (all: even of open windows),
 * forgets what is to be forgotten. May wait for the store's disk. */
void gate_tend(struct gate *gate, bool all);

/* The account is shut: its session proofs are removed by gate_tend(). Never
 * waits. Any thread. */
void gate_forget(struct gate *gate, const struct login *login);

struct log *gate_log(const struct gate *gate);
struct repeats *gate_repeats(const struct gate *gate);
struct guess *gate_guess(const struct gate *gate);
struct limits *gate_limits(const struct gate *gate);

/* What auth_set_engine() has set, or NULL. */
const struct auth_engine *gate_auth_engine(const struct gate *gate);
void gate_set_auth_engine(struct gate *gate, const struct auth_engine *engine);

/* A new decision id, unique among the next 2^30. Any thread. */
void gate_decision_id(struct gate *gate, char id_r[DECISION_ID_LEN + 1]);

/* The store's time for what a session counts: gate_wall_ms(), unless a test has
 * set another clock, before the first session. */
uint64_t gate_now_ms(const struct gate *gate);
typedef uint64_t gate_clock_fn(void *arg);
void gate_set_clock(struct gate *gate, gate_clock_fn *clock, void *arg);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t gate_clock_us(void);
/* CLOCK_REALTIME in milliseconds: the store's time. */
uint64_t gate_wall_ms(void);

#endif
