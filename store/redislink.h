/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDISLINK_H
#define POSTERN_STORE_REDISLINK_H

#include <sys/types.h>

#include <openssl/ssl.h>

#include "store/redisurl.h"

/* A connection to a Redis, in clear text or over TLS. Used on one thread. */
struct redislink {
	int fd; /* -1: none */
	SSL *ssl;
};

/* Whom to trust; ca_file NULL: the system's authorities. NULL with the reason
 * in e. */
SSL_CTX *redislink_trust(const char *ca_file, struct err *e);

/* Connects within ms; trust is needed for TLS. Names are looked up before that,
 * for as long as it takes. -1 with the reason in e. */
int redislink_open(struct redislink *link, const struct redisurl *url,
    SSL_CTX *trust, unsigned int ms, struct err *e);
void redislink_close(struct redislink *link);

/* Never wait. 0: nothing can be done now; -1: it is broken, with the reason in
 * e. */
ssize_t redislink_read(struct redislink *link, void *to_r, size_t size,
    struct err *e);
ssize_t redislink_write(struct redislink *link, const void *from, size_t size,
    struct err *e);

#endif
