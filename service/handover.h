/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_HANDOVER_H
#define POSTERN_SERVICE_HANDOVER_H

#include <stdbool.h>
#include <sys/queue.h>

/*
 * Brings what other threads have found out to the loop's thread. It outlives
 * the loop as long as somebody owes it an end.
 */
struct handover;

/* The part of a thing that there is news about. Zeroed at first. */
struct notice {
	STAILQ_ENTRY(notice) link;
	bool queued;
	bool ended; /* there will be no more news */
	/* On the loop's thread: takes the news, by handover_receive(). */
	void (*take)(struct notice *notice);
	/* The loop is gone, and the end has come: frees the thing. Locked. */
	void (*discard)(struct notice *notice);
};

/* NULL: no memory or no descriptor. */
struct handover *handover_new(void);
/* Readable when there is something to drain. */
int handover_fd(const struct handover *handover);
/* Says that this thread is the loop's. Before anything is owed. */
void handover_enter(struct handover *handover);

/* What a thing has to say is written and read under the lock. */
void handover_lock(struct handover *handover);
void handover_unlock(struct handover *handover);
/* ... after handover_announce(): it may be gone then. */
void handover_leave(struct handover *handover);

/* An end will be owed, until handover_receive() has brought it. The loop's
 * thread, without the lock. */
void handover_expect(struct handover *handover);
/* It will not come. As above. */
void handover_excuse(struct handover *handover);

/* There is news; ended: the last. Any thread, locked. The thing may be gone
 * after it. What comes from within the loop's own call is drained later. */
void handover_announce(struct handover *handover, struct notice *notice,
    bool ended);
/* The news are taken; the end is no longer owed. The loop's thread, locked. */
void handover_receive(struct handover *handover, struct notice *notice);

/* Has all news taken, settling the peers concerned: none may be used after it
 * without being looked up again. The loop's thread. */
void handover_drain(struct handover *handover);
/* Nothing is taken any more; nulls. When the loop has ended and no peer is
 * left. NULL is allowed. */
void handover_close(struct handover **handover);

#endif
