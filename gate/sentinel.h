/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_SENTINEL_H
#define POSTERN_GATE_SENTINEL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "gate/kept.h"
#include "gate/log.h"
#include "gate/recent.h"
#include "policy/err.h"
#include "policy/netaddr.h"
#include "store/store.h"

/*
 * Watches over internal addresses. One that within minutes shows many HELO
 * names, many foreign sender domains and many foreign recipient domains is a
 * NAT or proxy that hides outsiders. Locked; any thread.
 */
#define SENTINEL_WINDOW_MS UINT64_C(600000)
#define SENTINEL_MANY      10 /* of each */

struct sentinel_sight {
	const struct netaddr *addr;
	const char *helo;      /* "" for none */
	const char *sender;    /* its domain; "" for none, or one of ours */
	const char *recipient; /* likewise */
};

/* An internal client without a login has named a recipient. */
void sentinel_see(struct recent *recent, struct log *log,
    const struct conf *conf, struct store *store,
    const struct sentinel_sight *sight, uint64_t now_ms);

/* Is the address no longer to be taken for internal? Only with sentinel.action
 * = external; when the store cannot tell, what it has said last. */
bool sentinel_bars(struct kept *kept, const struct conf *conf,
    struct store *store, const struct netaddr *addr, uint64_t now_ms);

/* The operator has seen to it. As contain_release(). */
int sentinel_release(struct store *store, const struct netaddr *addr,
    struct err *e);
/* Every address that was caught and not released; as store_state_list(). */
int sentinel_list(struct store *store, uint64_t now_ms,
    int (*each)(void *arg, const char *addr), void *arg, struct err *e);

#endif
