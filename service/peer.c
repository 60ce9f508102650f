/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of an MTA: buffers with ceilings, deadlines for what the peer
 * owes (the rest of a line, reading its answers), nothing for one that is idle.
 * What it sends may be passwords: the buffer is wiped as it is read, and never
 * logged.
 */
#include "service/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "service/door.h"
#include "service/errand.h"

#define OWED_S       10 /* for the introduction, and from a line's begin */
#define WRITE_S      10 /* without anything being read by the peer */
#define PEER_OUT_MAX 65536

struct event_base *
peer_base(const struct peer *p)
{
	return p->door->house->base;
}

struct gate *
peer_gate(const struct peer *p)
{
	return p->door->house->gate;
}

struct handover *
peer_handover(const struct peer *p)
{
	return p->door->house->handover;
}

const char *
peer_title(const struct peer *p)
{
	return p->door->title;
}

bool
peer_is_idle(const struct peer *p)
{
	return p->introduced && p->in_len == 0 && p->out_len == 0 &&
	    p->trial_count == 0 && p->errand == NULL;
}

void
peer_cut(struct peer *p)
{
	p->cut = true;
}

void
peer_protocol_error(struct peer *p, const char *what)
{
	if (!p->cut)
		door_complain(p->door, "connection closed", what);
	p->cut = true;
}

void
peer_write(struct peer *p, const char *data, size_t len)
{
	size_t size = p->out_size != 0 ? p->out_size : 512;
	char *out;

	while (size < p->out_len + len)
		size *= 2;
	if (size > PEER_OUT_MAX) {
		peer_protocol_error(p, "it does not read its answers");
		return;
	}
	if (size != p->out_size) {
		out = realloc(p->out, size);
		if (out == NULL) {
			peer_cut(p);
			return;
		}
		p->out = out;
		p->out_size = size;
	}
	memcpy(p->out + p->out_len, data, len);
	p->out_len += len;
}

static void
flush(struct peer *p)
{
	ssize_t n = 0;

	while (p->out_len > 0) {
		n = send(p->fd, p->out, p->out_len, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		p->out_len -= (size_t)n;
		memmove(p->out, p->out + n, p->out_len);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		peer_cut(p);
	if (p->out_len == 0) {
		free(p->out);
		p->out = NULL;
		p->out_size = 0;
	}
}

/* The first len octets of the input have been read, and are wiped. */
static void
forget(struct peer *p, size_t len)
{
	size_t left = p->in_len - len;

	memmove(p->in, p->in + len, left);
	OPENSSL_cleanse(p->in + left, len);
	p->in_len = left;
	p->progress = p->progress || len > 0;
	if (left == 0) {
		free(p->in);
		p->in = NULL;
	}
}

/* It sends no more. Who has closed altogether is told apart where the kernel
 * tells (UNIX sockets); others are found out when they are written to. */
static void
end_input(struct peer *p)
{
	struct pollfd look = { .fd = p->fd };
	struct trial *a, *next;

	p->half_closed = true;
	if (p->in_len > 0)
		peer_protocol_error(p, "closed in mid-line");
	if (poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0)
		peer_cut(p);
	for (a = TAILQ_FIRST(&p->trials); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->step != TRIAL_OURS)
			trial_drop(a);
	}
}

/* What is left of the input waits for the end of an errand. */
static void
read_input(struct peer *p)
{
	forget(p, p->protocol->take(p, p->in, p->in_len));
	if (p->in_len == PEER_IN_MAX && p->errand == NULL)
		peer_protocol_error(p, "too long a line");
}

void
peer_resume(struct peer *p)
{
	if (p->in_len > 0)
		read_input(p);
}

static void
receive(struct peer *p)
{
	ssize_t n;

	if (p->in == NULL)
		p->in = malloc(PEER_IN_MAX);
	if (p->in == NULL) {
		peer_cut(p);
		return;
	}
	n = recv(p->fd, p->in + p->in_len, PEER_IN_MAX - p->in_len, 0);
	if (n == 0) {
		end_input(p);
	} else if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			peer_cut(p);
	} else {
		p->in_len += (size_t)n;
		read_input(p);
	}
	if (p->in_len == 0) {
		free(p->in);
		p->in = NULL;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct handover *handover = peer_handover(p);

	(void)fd;
	(void)what;
	house_rank(p);
	receive(p);
	peer_settle(p);
	handover_drain(handover);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct handover *handover = peer_handover(p);

	(void)fd;
	p->writing = false;
	if ((what & EV_TIMEOUT) != 0)
		peer_protocol_error(p, "it does not read its answers");
	peer_settle(p);
	handover_drain(handover);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct handover *handover = peer_handover(p);

	(void)fd;
	(void)what;
	peer_protocol_error(p,
	    p->introduced ? "half a line and no more" : "no request in time");
	peer_settle(p);
	handover_drain(handover);
}

int
peer_new(struct door *door, const struct protocol *protocol, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct event_base *base = door->house->base;

	if (p == NULL) {
		(void)close(fd);
		return -1;
	}
	p->door = door;
	p->protocol = protocol;
	p->fd = fd;
	TAILQ_INIT(&p->trials);
	house_enter(p);
	p->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(base, fd, EV_WRITE, on_writable, p);
	p->deadline = evtimer_new(base, on_deadline, p);
	if (p->readable == NULL || p->writable == NULL || p->deadline == NULL) {
		peer_free(p);
		return -1;
	}
	protocol->greet(p);
	peer_settle(p);
	return 0;
}

void
peer_free(struct peer *p)
{
	struct trial *a;

	while ((a = TAILQ_FIRST(&p->trials)) != NULL)
		trial_drop(a);
	if (p->errand != NULL)
		errand_abandon(p->errand);
	house_leave(p);
	if (p->readable != NULL)
		event_free(p->readable);
	if (p->writable != NULL)
		event_free(p->writable);
	if (p->deadline != NULL)
		event_free(p->deadline);
	(void)close(p->fd);
	if (p->in != NULL)
		OPENSSL_cleanse(p->in, p->in_len);
	free(p->in);
	free(p->out);
	free(p);
}

/* Waits for what the peer owes, with a deadline; for more, without one. Who
 * does not read is not read from. False: no memory. */
static bool
watch(struct peer *p)
{
	const struct timeval owed = { OWED_S, 0 }, write = { WRITE_S, 0 };
	bool reading = !p->half_closed && p->out_len == 0 && p->errand == NULL;
	bool owing = reading && (!p->introduced || p->in_len > 0);
	int rc = 0;

	if (reading != p->reading)
		rc |= reading ? event_add(p->readable, NULL)
			      : event_del(p->readable);
	p->reading = reading;
	if (p->out_len > 0 && !p->writing)
		rc |= event_add(p->writable, &write);
	p->writing = p->out_len > 0;
	if (owing && (!p->owing || p->progress))
		rc |= evtimer_add(p->deadline, &owed);
	else if (!owing && p->owing)
		rc |= evtimer_del(p->deadline);
	p->owing = owing;
	p->progress = false;
	return rc == 0;
}

void
peer_settle(struct peer *p)
{
	if (!p->cut)
		flush(p);
	if (p->out_len == 0 &&
	    (p->closing ||
		(p->half_closed && p->trial_count == 0 && p->errand == NULL)))
		p->cut = true;
	if (p->cut || !watch(p))
		peer_free(p);
}
