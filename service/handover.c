/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A locked queue between the threads that know and the loop. It knows nothing
 * of what is handed over, and never calls anybody with its lock held, but to
 * have freed what nobody will take.
 */
#include "service/handover.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct handover {
	pthread_mutex_t lock;
	pthread_t loop;
	int wake_fd;
	bool woken;
	bool closed;
	size_t owed; /* ends */
	STAILQ_HEAD(, notice) news;
};

struct handover *
handover_new(void)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->wake_fd < 0) {
		free(h);
		return NULL;
	}
	(void)pthread_mutex_init(&h->lock, NULL);
	STAILQ_INIT(&h->news);
	return h;
}

int
handover_fd(const struct handover *h)
{
	return h->wake_fd;
}

void
handover_enter(struct handover *h)
{
	h->loop = pthread_self();
}

void
handover_lock(struct handover *h)
{
	(void)pthread_mutex_lock(&h->lock);
}

void
handover_unlock(struct handover *h)
{
	(void)pthread_mutex_unlock(&h->lock);
}

/* Whoever brings the last end to a closed one is the last to use it. */
void
handover_leave(struct handover *h)
{
	bool last = h->closed && h->owed == 0;

	(void)pthread_mutex_unlock(&h->lock);
	if (!last)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	(void)close(h->wake_fd);
	free(h);
}

void
handover_expect(struct handover *h)
{
	handover_lock(h);
	h->owed++;
	handover_unlock(h);
}

void
handover_excuse(struct handover *h)
{
	handover_lock(h);
	h->owed--;
	handover_unlock(h);
}

static void
discard(struct handover *h, struct notice *notice)
{
	if (!notice->ended)
		return;
	h->owed--;
	notice->discard(notice);
}

static void
wake(struct handover *h)
{
	const uint64_t one = 1;

	if (h->woken || pthread_equal(pthread_self(), h->loop) != 0)
		return;
	h->woken = true;
	(void)!write(h->wake_fd, &one, sizeof(one));
}

void
handover_announce(struct handover *h, struct notice *notice, bool ended)
{
	notice->ended = ended;
	if (h->closed) {
		discard(h, notice);
		return;
	}
	if (!notice->queued)
		STAILQ_INSERT_TAIL(&h->news, notice, link);
	notice->queued = true;
	wake(h);
}

void
handover_receive(struct handover *h, struct notice *notice)
{
	STAILQ_REMOVE(&h->news, notice, notice, link);
	notice->queued = false;
	if (notice->ended)
		h->owed--;
}

static struct notice *
first(struct handover *h)
{
	struct notice *notice;
	uint64_t count;

	handover_lock(h);
	notice = STAILQ_FIRST(&h->news);
	if (notice == NULL && h->woken) {
		(void)!read(h->wake_fd, &count, sizeof(count));
		h->woken = false;
	}
	handover_unlock(h);
	return notice;
}

void
handover_drain(struct handover *h)
{
	struct notice *notice;

	while ((notice = first(h)) != NULL)
		notice->take(notice);
}

void
handover_close(struct handover **handover)
{
	struct handover *h = *handover;
	struct notice *notice;

	if (h == NULL)
		return;
	handover_lock(h);
	h->closed = true;
	while ((notice = STAILQ_FIRST(&h->news)) != NULL) {
		STAILQ_REMOVE_HEAD(&h->news, link);
		notice->queued = false;
		discard(h, notice);
	}
	handover_leave(h);
	*handover = NULL;
}
