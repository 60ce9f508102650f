/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDISURL_H
#define POSTERN_STORE_REDISURL_H

#include <stdbool.h>

#include "policy/err.h"

/*
 * Where a Redis is:
 *   redis://[USER@]HOST[:PORT][/DB]    rediss:// the same over TLS
 *   redis://[USER@]/SOCKET[?db=DB]     a UNIX socket
 * HOST is a name, an IPv4 address or an IPv6 address in brackets.
 */
struct redisurl {
	bool tls;
	char user[128]; /* "": none */
	char host[256]; /* "": the socket */
	char port[6];
	char socket[108];
	unsigned int db;
};

bool redisurl_is_one(const char *text);
/* -1 with the reason in e; a password is refused, and not repeated there. */
int redisurl_parse(const char *text, struct redisurl *url_r, struct err *e);

#endif
