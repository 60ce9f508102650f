/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_TRANSPORT_H
#define POSTERN_IDENTITY_TRANSPORT_H

#include <stdint.h>

#include <curl/curl.h>

struct event;
struct event_base;

/* All connections of one event loop. Used on the loop's thread only, except
 * for transport_new(). */
struct transport {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	CURLSH *share;  /* TLS sessions, to be resumed by the next one */
	CURLSH *before; /* ... by nobody any more; NULL: none */
	uint64_t since_ms;
};

struct transport *transport_new(struct event_base *base);
/* Frees and nulls; every handle must be removed before. Never blocks. */
void transport_free(struct transport **transport);

/* What a new handle's CURLOPT_SHARE is; NULL, which will do: no memory. A
 * session that is resumed shows no certificate: once in an hour all begin anew.
 */
CURLSH *transport_share(struct transport *transport, uint64_t now_ms);

/* What a handle that is added to .multi must have as its CURLOPT_PRIVATE: who
 * is told, from the event loop and once, that libcurl is done with connecting,
 * well or not. */
struct approach {
	void (*connected)(void *arg, CURLcode result);
	void *arg;
};

#endif
