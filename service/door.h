/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_DOOR_H
#define POSTERN_SERVICE_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "service/peer.h"

struct pool;

/* What all doors share. On the loop's thread. */
struct house {
	struct event_base *base;
	struct gate *gate;
	struct handover *handover;
	struct pool *pool;      /* for the delegation door alone */
	struct peer_list peers; /* who has been silent longest comes first */
	size_t peer_count;
	size_t peer_max;
};

void house_enter(struct peer *peer);
void house_leave(struct peer *peer);
/* It has just said something. */
void house_rank(struct peer *peer);

/* One listening socket and its section. */
struct door {
	struct house *house;
	const struct protocol *protocol;
	char *title;   /* owned; "" of the delegation door */
	char *label;   /* the section, for messages; owned */
	char *address; /* owned */
	int fd;        /* -1: none */
	struct event *accept;
	struct event
	    *rest; /* out of descriptors: until then nobody is let in */
	uint64_t complained_ms; /* when the minute began */
	unsigned int complaints;
};

/* -1: no memory. */
int door_open(struct door *door);
/* Begins to let peers in. */
void door_let_in(struct door *door);
void door_close(struct door *door);
/* Logs what was done and why, both fixed texts; a few times a minute. */
void door_complain(struct door *door, const char *what, const char *why);

#endif
