/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcurl on the engine's event loop: it says which sockets and which moment it
 * waits for, and is told when they are there. It must not know what the
 * connections are for.
 */
#include "identity/transport.h"

#include <stdlib.h>

#include <event2/event.h>

#include "identity/engine.h"

#define RENEW_MS 3600000

/* Whoever is told may remove handles, this one and others: start over each
 * time. */
static void
read_results(struct transport *t)
{
	const CURLMsg *message;
	int left;

	for (;;) {
		struct approach *a = NULL;

		message = curl_multi_info_read(t->multi, &left);
		if (message == NULL)
			return;
		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &a);
		if (a != NULL)
			a->connected(a->arg, message->data.result);
	}
}

static void
socket_is_ready(evutil_socket_t fd, short what, void *arg)
{
	struct transport *t = arg;
	int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) |
	    (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	(void)curl_multi_socket_action(t->multi, fd, mask, &running);
	read_results(t);
}

static void
time_has_come(evutil_socket_t fd, short what, void *arg)
{
	struct transport *t = arg;
	int running;

	(void)fd;
	(void)what;
	(void)curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0,
	    &running);
	read_results(t);
}

/* libcurl's wish to watch a socket; the event hangs on the socket. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct transport *t = arg;
	struct event *event = socketp;
	short events = EV_PERSIST;

	(void)easy;
	if (event != NULL)
		event_free(event);
	(void)curl_multi_assign(t->multi, fd, NULL);
	if (what == CURL_POLL_REMOVE)
		return 0;
	if (what != CURL_POLL_OUT)
		events |= EV_READ;
	if (what != CURL_POLL_IN)
		events |= EV_WRITE;
	event = event_new(t->base, fd, events, socket_is_ready, t);
	if (event == NULL || event_add(event, NULL) != 0) {
		if (event != NULL)
			event_free(event);
		return -1;
	}
	(void)curl_multi_assign(t->multi, fd, event);
	return 0;
}

static int
watch_time(CURLM *multi, long timeout_ms, void *arg)
{
	struct transport *t = arg;
	struct timeval tv;

	(void)multi;
	if (timeout_ms < 0)
		return event_del(t->timer);
	tv = engine_timeval((uint64_t)timeout_ms);
	return event_add(t->timer, &tv);
}

struct transport *
transport_new(struct event_base *base)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->base = base;
	t->multi = curl_multi_init();
	t->timer = event_new(base, -1, 0, time_has_come, t);
	if (t->multi == NULL || t->timer == NULL) {
		transport_free(&t);
		return NULL;
	}
	(void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION,
	    watch_socket);
	(void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	(void)curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	(void)curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
	return t;
}

static CURLSH *
make_share(void)
{
	CURLSH *share = curl_share_init();

	if (share == NULL ||
	    curl_share_setopt(share, CURLSHOPT_SHARE,
		CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
		return share;
	(void)curl_share_cleanup(share);
	return NULL;
}

CURLSH *
transport_share(struct transport *t, uint64_t now_ms)
{
	if (t->share != NULL && now_ms - t->since_ms < RENEW_MS)
		return t->share;
	/* libcurl keeps what handles use */
	if (t->before != NULL && curl_share_cleanup(t->before) != CURLSHE_OK)
		return t->share;
	t->before = t->share;
	t->share = make_share();
	t->since_ms = now_ms;
	return t->share;
}

void
transport_free(struct transport **transport)
{
	struct transport *t = *transport;

	if (t == NULL)
		return;
	if (t->multi != NULL)
		(void)curl_multi_cleanup(t->multi);
	if (t->share != NULL)
		(void)curl_share_cleanup(t->share);
	if (t->before != NULL)
		(void)curl_share_cleanup(t->before);
	if (t->timer != NULL)
		event_free(t->timer);
	free(t);
	*transport = NULL;
}
