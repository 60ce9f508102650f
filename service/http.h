/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_HTTP_H
#define POSTERN_SERVICE_HTTP_H

#include <event2/event.h>

#include "conf/conf.h"
#include "gate/gate.h"
#include "policy/err.h"

/* The `http` section's door: IMAP servers report logins to /lease. */
struct http;

/* Opens the socket; before privileges are dropped, without threads. *http_r is
 * NULL when there is no section. -1 with the reason in e. */
int http_open(const struct conf_http *conf, struct http **http_r,
    struct err *e);
/* Begins to serve, on the loop's thread once it runs; gate is borrowed. -1: no
 * memory. */
int http_start(struct http *http, struct event_base *base, struct gate *gate);
/* Hangs up and removes the socket, when the loop has ended and before the base
 * is freed; frees, nulls; NULL is allowed. */
void http_close(struct http **http);

#endif
