/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_LIMITS_H
#define POSTERN_GATE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "gate/contain.h"
#include "gate/log.h"
#include "gate/recent.h"
#include "gate/rules.h"
#include "policy/facts.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/path.h"
#include "store/store.h"

/*
 * Counts what is sent by whom against the site's limits. The counters are in
 * the store; while it is away, everybody is within them. Keyed by the login, or
 * by the address of who needs none, never by the envelope sender.
 */
struct limits;

/* NULL: no memory. log: borrowed, or NULL. */
struct limits *limits_new(struct log *log);
void limits_free(struct limits **limits);

/* Whose counters a login has: every spelling that IMAP takes for one account is
 * one, in any case. With imap.login_as = "user" it is SECTION@USER. */
void limits_payer(const struct rules *rules, const struct login *login,
    struct login *payer_r);

/* The same for all that a process counts. */
struct contain *limits_contain(struct limits *limits);

/* Who sends, to be filled in for each call. All borrowed. */
struct limits_client {
	const struct conf *conf;
	struct store *store;       /* NULL: nothing is known */
	const struct login *login; /* its payer; NULL: known by the address */
	const struct netaddr *addr;
	enum zone zone;
	bool counts;     /* false: only the step of the ladder is looked at */
	bool rcpt_alone; /* the message is counted elsewhere */
	uint64_t now_ms; /* the store's time */
};

/* What one limit has given to a message. */
struct limits_taken {
	uint64_t of[COUNTER_BAD_RECIPIENTS]; /* the counters before that one */
	bool just_now;                       /* in the call under way */
};

/* A message under way: what is reserved for it. Zeroed: nothing. */
struct limits_account {
	struct limits_taken *taken; /* for each of conf->limits; owned */
	uint64_t octets;            /* that are reserved */
	uint64_t message;           /* hash of who, sender and size */
	uint64_t *counted;          /* hashes of the recipients; owned */
	size_t count;
	size_t room;
	size_t again; /* of those, how many were counted before */
	enum containment step;
	bool warned; /* over a limit that only warns; for the log */
};

/* MAIL: reserves a message of so many octets (0: not announced). Fills in
 * facts->limit and facts->containment; without memory, nothing. */
void limits_mail(struct limits *limits, const struct limits_client *client,
    const struct path *sender, uint64_t size, struct limits_account *account,
    struct facts *facts);

/* RCPT: reserves a recipient that the other rules let pass. Fills in
 * facts->recipient_limit. */
void limits_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account,
    struct facts *facts);

/* A recipient was refused because its sender is contained. */
void limits_contained(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, const struct limits_account *account);

/* The MTA has refused a recipient. */
void limits_bad_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account);

/* The message is there and has so many octets: may it be so long? False: it is
 * over a limit. */
bool limits_body(struct limits *limits, const struct limits_client *client,
    uint64_t octets, struct limits_account *account);

/* The message is accepted: what was reserved is used, unless it is one that was
 * counted before. Ends the account. */
void limits_settle(struct limits *limits, const struct limits_client *client,
    struct limits_account *account);
/* It will not be: everything is given back. Ends the account. */
void limits_give_back(const struct limits_client *client,
    struct limits_account *account);

/* The client is internal and has no login: is it one host? (gate/sentinel.h)
 * helo: as it says, or NULL. */
void limits_watch(struct limits *limits, const struct limits_client *client,
    const char *helo, const struct path *sender, const struct path *recipient);

/* Is the internal address to be taken for external? */
bool limits_bar(struct limits *limits, const struct conf *conf,
    struct store *store, const struct netaddr *addr, uint64_t now_ms);

/* --- for a person who looks --- */

struct limits_near {
	const char *limit;   /* the section's name */
	const char *counter; /* "recipients", ... */
	const char *who;
	unsigned int percent; /* of what is allowed, at most 100 */
};
/* Everybody who has lately used half of a limit or more, as it is now. -1 with
 * the reason in e. */
int limits_list(struct store *store, const struct conf *conf, uint64_t now_ms,
    int (*each)(void *arg, const struct limits_near *near), void *arg,
    struct err *e);

#endif
