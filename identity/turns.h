/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_TURNS_H
#define POSTERN_IDENTITY_TURNS_H

#include <stddef.h>
#include <sys/queue.h>

#include "policy/netaddr.h"

/*
 * Logins that wait for a connection. Clients take turns, so that one that sends
 * many is not the only one that is served: an IPv4 address or an IPv6 /64 is
 * one client, and so are all whose address is not known. Not locked.
 */
struct check;
struct turn_line; /* one client's */
TAILQ_HEAD(turn_list, check);
TAILQ_HEAD(turn_round, turn_line);

struct turns {
	struct turn_list waiting; /* in the order of their deadlines */
	struct turn_line *lines;  /* by client: who waits or is served */
	struct turn_round round;  /* who waits; the next one first */
};

/* What a check has to do with it. */
struct turn {
	TAILQ_ENTRY(check) link; /* among all who wait */
	TAILQ_ENTRY(check) next; /* ... and those of its client */
	struct turn_line *line;  /* NULL: neither waits nor is served */
};

void turns_init(struct turns *turns);
/* Frees what those are in who were never served. */
void turns_clear(struct turns *turns);
/* The last one to wait. -1: no memory. */
int turns_join(struct turns *turns, struct check *check);
/* Waits no longer. */
void turns_leave(struct turns *turns, struct check *check);
/*
 * Whose turn it is, while `left` of `all` connections are free; it is served
 * from now on. A client whose address is known gets a quarter of them, and more
 * only as long as that leaves a quarter to others. NULL: nobody.
 */
struct check *turns_take(struct turns *turns, size_t left, size_t all);
/* Was served. */
void turns_end(struct turns *turns, struct check *check);

#endif
