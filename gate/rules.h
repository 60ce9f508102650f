/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_RULES_H
#define POSTERN_GATE_RULES_H

#include "conf/conf.h"
#include "gate/log.h"
#include "identity/identity.h"
#include "policy/err.h"
#include "policy/netaddr.h"
#include "store/store.h"

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
/* As rules_new() without a previous one, for a person who looks on: trace is
 * told every step of every conversation with IMAP, see identity/identity.h. */
struct rules *rules_new_traced(struct conf *conf, struct log *log,
    void (*trace)(void *arg, const char *text), void *trace_arg, struct err *e);
/* Rules without an engine: every identity is undecided. Takes conf. */
struct rules *rules_new_offline(struct conf *conf);
/* Nobody may use them any more; may wait for the engine's thread to end. */
void rules_free(struct rules **rules);

/* Would IMAP be asked? False for a login that is refused unasked. */
bool rules_would_ask(const struct rules *rules, const struct login *login);

/* Who presents a login, and what is known of those who proved theirs. */
struct rules_question {
	const struct login *login;
	const struct netaddr *addr; /* the client's */
	struct store *store;        /* NULL: cannot be read, or ... */
	bool no_store;              /* ... nobody has ever proven anything */
	uint64_t now_ms;            /* of the store's clock */
};

/* Which sources of imap.verify were asked, and what each said. */
struct rules_trail {
	const char *imap; /* the section's name, borrowed; NULL: none matches */
	struct {
		enum verify_source source;
		enum identity identity;
	} steps[VERIFY_SOURCES];
	size_t count;
};

/*
 * Asks the sources of imap.verify in their order; the first that knows the
 * login ends it. IDENTITY_UNPROVEN: none has ever heard of it;
 * IDENTITY_UNKNOWN: one could not tell, or there is none. trail_r: NULL, or
 * who was asked.
 */
enum identity rules_ask(const struct rules *rules,
    const struct rules_question *question, struct rules_trail *trail_r);
/* NULL: IMAP is not to be asked. */
struct identity_engine *rules_engine(const struct rules *rules);
/* The sasl section of this title, or NULL. */
const struct conf_sasl *rules_sasl(const struct rules *rules,
    const char *title);
/* The account that IMAP would be asked about: all logins that are one to the
 * server are one. To compare, not to ask about. */
void rules_account(const struct rules *rules, const struct login *login,
    struct login *account_r);
/* Waits until the engine's self-tests have answers, or ms have passed. */
bool rules_wait_ready(const struct rules *rules, uint64_t ms);

#endif
