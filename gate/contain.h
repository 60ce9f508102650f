/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_CONTAIN_H
#define POSTERN_GATE_CONTAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "gate/kept.h"
#include "gate/log.h"
#include "gate/recent.h"
#include "identity/identity.h"
#include "policy/facts.h"
#include "policy/login.h"
#include "store/store.h"

/*
 * The ladder on which a login goes whose password seems to be stolen: slowed,
 * local recipients only, shut. The step is in the store, so that all hosts keep
 * it and a restart does not end it. Locked; any thread, but for contain_tend().
 */
struct contain;

/* NULL: no memory. All are borrowed; log NULL: nobody listens. */
struct contain *contain_new(struct recent *recent, struct kept *kept,
    struct log *log);
void contain_free(struct contain **contain);

/* "slowed", "local", "shut"; "none". */
const char *contain_step_name(enum containment step);

#define CONTAIN_WHY_MAX 80
/* What the store remembers of a login. */
struct contain_state {
	enum containment step;     /* the latest */
	uint64_t until_ms;         /* it is in force before this */
	char why[CONTAIN_WHY_MAX]; /* LIMIT/COUNTER */
};

/* The step in force; when the store cannot tell, what it has said last. Gives
 * back what the login's limits have counted if it was released meanwhile. Here
 * and below, login is what limits_payer() says. */
enum containment contain_look(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, uint64_t now_ms);

/*
 * The login has offended against why ("LIMIT/COUNTER"), being on the step
 * `from`: it goes to the next one, or where another thread has just taken it.
 * The step that it is on now (NONE: the store did not take it).
 */
enum containment contain_advance(struct contain *contain,
    const struct conf *conf, struct store *store, const struct login *login,
    enum containment from, const char *why, uint64_t now_ms);

/* A recipient (hash) was refused because of the containment: many different
 * ones lead to the next step. */
void contain_press(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, enum containment step,
    uint64_t recipient, uint64_t now_ms);

/* IMAP has verified a password (its tag) of the login `spelled`: a new one ends
 * the containment, but not the memory of it. What the login's limits have
 * counted is given back at its next message. */
void contain_password(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, const struct login *spelled,
    const unsigned char tag[IDENTITY_TAG_LEN], uint64_t now_ms);

/* The operator ends it and forgets it; what the login's limits have counted is
 * given back at its next message. 1: done; 0: there was nothing to end; -1 with
 * the reason in e. */
int contain_release(struct store *store, const struct login *login,
    uint64_t now_ms, struct err *e);

/* Every login that the store remembers; as store_state_list(). */
int contain_list(struct store *store, uint64_t now_ms,
    int (
	*each)(void *arg, const char *login, const struct contain_state *state),
    void *arg, struct err *e);

/* Runs contain.command for what has happened, and looks after those that run;
 * every few seconds from one thread. Does not wait. */
void contain_tend(struct contain *contain, const char *command,
    uint64_t now_ms);

#endif
