/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_TLS_H
#define POSTERN_IDENTITY_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/*
 * TLS to one server: whom to trust for it, and the session that it resumes.
 * Used on one thread.
 */
struct tls;

/* The host is a name of A-labels or an address; all is borrowed for the call.
 * NULL: no memory. The certificates are read when they are needed, and again
 * once in an hour. */
struct tls *tls_new(const char *host, const char *ca_file);
/* Frees and nulls; NULL is allowed. Its connections must be gone. */
void tls_free(struct tls **tls);

/* A client over the connected, non-blocking socket, which stays the caller's.
 * Its handshake happens with the first SSL_read(). NULL with the reason in
 * why_r. */
SSL *tls_connect(struct tls *tls, int fd, uint64_t now_ms, char *why_r,
    size_t size);
/* Says why a handshake failed, right after it did. */
void tls_explain(const SSL *ssl, char *why_r, size_t size);
/* Frees and nulls without a word to the server; NULL is allowed. */
void tls_close(SSL **ssl);

#endif
