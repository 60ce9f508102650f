/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_PEER_H
#define POSTERN_SERVICE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "gate/gate.h"
#include "service/trial.h"

struct answer;
struct door;
struct errand;
struct event;
struct event_base;

/* What a peer may send before it makes sense: one line, one request. Whatever
 * a client may say to its MTA fits (SASL_TEXT_MAX). */
#define PEER_IN_MAX 16384

/* What a protocol does; all on the loop's thread. */
struct protocol {
	/* The peer has come. */
	void (*greet)(struct peer *peer);
	/* Reads what is whole of data; the number of octets that it is done
	 * with. data is wiped later. */
	size_t (*take)(struct peer *peer, const char *data, size_t len);
	/* A challenge (base64, borrowed) for the client of a relay. */
	void (*challenge)(struct trial *trial, const char *challenge);
	/* PERMIT or REJECT; the attempt goes afterwards. */
	void (*answer)(struct trial *trial, const struct auth_answer *answer);
	/* What became of the peer's errand. */
	void (*decide)(struct peer *peer, const struct answer *answer);
};

/* One connection of an MTA: its buffers, limits and timers. */
struct peer {
	TAILQ_ENTRY(peer) link; /* the door's house; least active first */
	struct door *door;
	const struct protocol *protocol;
	int fd;
	struct event *readable;
	struct event *writable;
	struct event *deadline;
	bool reading;
	bool writing;
	bool owing;    /* the deadline runs */
	bool progress; /* something whole was read: it runs anew */
	char *in;      /* PEER_IN_MAX, or NULL while there is nothing */
	size_t in_len;
	char *out;
	size_t out_len;
	size_t out_size;
	struct trial_list trials;
	size_t trial_count;
	struct errand *errand; /* until it is done, nothing more is read */
	bool half_closed;      /* it sends no more */
	bool closing;          /* to be closed when all is written */
	bool cut;              /* to be closed now */
	/* the protocol's */
	bool version_seen;
	bool introduced; /* it has said what it owes at the start */
};
TAILQ_HEAD(peer_list, peer);

/* Takes fd (closed on failure) and greets. -1: no memory. */
int peer_new(struct door *door, const struct protocol *protocol, int fd);
/* Closes it at once; its trials are dropped. */
void peer_free(struct peer *peer);

/* Does it owe nothing and is it owed nothing? */
bool peer_is_idle(const struct peer *peer);

/* Will be written by peer_settle(); too much of it cuts the peer. */
void peer_write(struct peer *peer, const char *data, size_t len);
/* Will be closed without another word by peer_settle(). */
void peer_cut(struct peer *peer);
/* ... and a fixed text is logged, not too often. */
void peer_protocol_error(struct peer *peer, const char *what);

/* Reads on where its errand stopped it. */
void peer_resume(struct peer *peer);

/* After anything was done to a peer: writes, closes, waits for what is next.
 * It may be gone then. */
void peer_settle(struct peer *peer);

struct event_base *peer_base(const struct peer *peer);
struct gate *peer_gate(const struct peer *peer);
struct handover *peer_handover(const struct peer *peer);
const char *peer_title(const struct peer *peer);

#endif
