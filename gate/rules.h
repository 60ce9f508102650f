/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_RULES_H
#define POSTERN_GATE_RULES_H

#include "conf/conf.h"
#include "gate/log.h"
#include "identity/identity.h"
#include "policy/err.h"

/* A configuration in force, and the engine that asks its IMAP servers. Counted
 * by its users; a session keeps the one it began with. */
struct rules {
	struct conf *conf;            /* read-only */
	struct engine_holder *engine; /* NULL: IMAP is not to be asked */
	unsigned int refs;            /* guarded by the owner's lock */
	struct rules *next;           /* in the owner's list of retired ones */
};

/*
 * Takes conf (also on failure) and starts the identity engine, or goes on with
 * previous's engine when nothing that concerns it has changed. previous may be
 * NULL. The rules come with one reference. NULL with the reason in e.
 */
struct rules *rules_new(struct conf *conf, const struct rules *previous,
    struct log *log, struct err *e);
/* Rules without an engine: every identity is undecided. Takes conf. */
struct rules *rules_new_offline(struct conf *conf);
/* Nobody may use them any more; may wait for the engine's thread to end. */
void rules_free(struct rules **rules);

/* Would IMAP be asked? False for a login that is refused unasked. */
bool rules_would_ask(const struct rules *rules, const struct login *login);
enum identity rules_ask(const struct rules *rules, const struct login *login);
/* Waits until the engine's self-tests have answers, or ms have passed. */
bool rules_wait_ready(const struct rules *rules, uint64_t ms);

#endif
