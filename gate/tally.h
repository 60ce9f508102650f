/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_TALLY_H
#define POSTERN_GATE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "gate/kept.h"
#include "gate/limits.h"
#include "policy/login.h"
#include "policy/netaddr.h"

/*
 * Counters of limits in the store. One call counts one thing against every
 * limit that this client has for it, and sees to what follows where that is too
 * much. Whoever calls knows what happened (gate/limits.c). Any thread.
 */

struct limits {
	struct recent *recent;
	struct kept *kept;
	struct contain *contain;
	struct log *log;
};

#define TALLY_WHO_MAX (LOGIN_MAX + 1)
/* As counters name it: an IPv6 host has its /64 to choose addresses from. */
void tally_name_address(const struct netaddr *addr, char who_r[TALLY_WHO_MAX]);

/* Takes cost from every limit, or from none: false, it is too much. local: of
 * recipients, it is one in local_domains. account->taken is there. */
bool tally_take(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t cost, bool local,
    struct limits_account *account);
/* Gives back all of this counter that the account has taken. */
void tally_give_back(const struct limits_client *client,
    enum limit_counter which, struct limits_account *account);

/* It has happened and cannot be undone: takes one where there is one left. */
void tally_count(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, struct limits_account *account);
/* Is there one left, where the answer to too many is to come again later? */
bool tally_has_room(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, struct limits_account *account);

/* Notes one of different values. False: they are too many. */
bool tally_note(struct limits *limits, const struct limits_client *client,
    enum limit_counter which, uint64_t value, struct limits_account *account);

/* The state that says that somebody may be near a limit: this and the key of
 * the counter, LIMIT/COUNTER/WHO. */
#define TALLY_NEAR "near/"

#endif
