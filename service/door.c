/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lets peers in: as many as the house holds, then at the cost of the one that
 * has been idle longest (an MTA's process that keeps its connection for later
 * comes back when it needs it). It must not spin when descriptors run out.
 */
#include "service/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "gate/log.h"
#include "service/listen.h"

#define AT_ONCE             64 /* let in, before others have their turn */
#define REST_MS             100L
#define COMPLAINTS          5 /* within a minute */
#define COMPLAINT_WINDOW_MS 60000

void
house_enter(struct peer *p)
{
	TAILQ_INSERT_TAIL(&p->door->house->peers, p, link);
	p->door->house->peer_count++;
}

void
house_leave(struct peer *p)
{
	TAILQ_REMOVE(&p->door->house->peers, p, link);
	p->door->house->peer_count--;
}

void
house_rank(struct peer *p)
{
	TAILQ_REMOVE(&p->door->house->peers, p, link);
	TAILQ_INSERT_TAIL(&p->door->house->peers, p, link);
}

/* False: all are busy. */
static bool
make_room(struct house *h)
{
	struct peer *p;

	TAILQ_FOREACH(p, &h->peers, link) {
		if (peer_is_idle(p)) {
			peer_free(p);
			return true;
		}
	}
	return false;
}

void
door_complain(struct door *d, const char *what, const char *why)
{
	struct log *log = gate_log(d->house->gate);
	uint64_t now = gate_clock_us() / 1000;

	if (d->complained_ms == 0 ||
	    now - d->complained_ms >= COMPLAINT_WINDOW_MS) {
		if (d->complaints > COMPLAINTS)
			log_event(log, LOG_LEVEL_WARNING,
			    "%s: and %u times more", d->label,
			    d->complaints - COMPLAINTS);
		d->complained_ms = now;
		d->complaints = 0;
	}
	if (d->complaints++ < COMPLAINTS)
		log_event(log, LOG_LEVEL_WARNING, "%s: %s: %s", d->label, what,
		    why);
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	door_let_in(arg);
}

/* Nothing can be let in for want of descriptors or memory. */
static void
rest(struct door *d)
{
	const struct timeval after = { 0, REST_MS * 1000 };

	if (make_room(d->house))
		return;
	door_complain(d, "nobody is let in", "out of descriptors or memory");
	if (evtimer_add(d->rest, &after) == 0)
		(void)event_del(d->accept);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	struct house *h = d->house;
	struct handover *handover = h->handover;
	const int on = 1;

	(void)what;
	for (unsigned int i = 0; i < AT_ONCE; i++) {
		int peer =
		    accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				rest(d);
			break;
		}
		if (h->peer_count >= h->peer_max && !make_room(h)) {
			door_complain(d, "connection closed",
			    "too many at once");
			(void)close(peer);
			continue;
		}
		if (listen_unix_path(d->address) == NULL)
			(void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on,
			    sizeof(on));
		if (peer_new(d, d->protocol, peer) != 0)
			break;
	}
	handover_drain(handover);
}

int
door_open(struct door *d)
{
	struct event_base *base = d->house->base;

	d->accept = event_new(base, d->fd, EV_READ | EV_PERSIST, on_accept, d);
	d->rest = evtimer_new(base, on_rested, d);
	return d->accept == NULL || d->rest == NULL ? -1 : 0;
}

void
door_let_in(struct door *d)
{
	(void)event_add(d->accept, NULL);
}

void
door_close(struct door *d)
{
	if (d->accept != NULL)
		event_free(d->accept);
	if (d->rest != NULL)
		event_free(d->rest);
	if (d->fd >= 0)
		(void)close(d->fd);
	free(d->title);
	free(d->label);
	free(d->address);
}
