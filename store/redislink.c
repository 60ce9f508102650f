/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Octets to and from a Redis. The server's certificate must be good and in its
 * name: a store that somebody else plays could let anybody in.
 */
#include "store/redislink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "store/internal.h"

SSL_CTX *
redislink_trust(const char *ca_file, struct err *e)
{
	SSL_CTX *trust = SSL_CTX_new(TLS_client_method());

	if (trust == NULL) {
		err_set(e, "no memory");
		return NULL;
	}
	if ((ca_file != NULL ? SSL_CTX_load_verify_file(trust, ca_file)
			     : SSL_CTX_set_default_verify_paths(trust)) != 1) {
		err_set(e, "%.300s: no certificates of authorities",
		    ca_file != NULL ? ca_file : "the system");
		SSL_CTX_free(trust);
		ERR_clear_error();
		return NULL;
	}
	(void)SSL_CTX_set_min_proto_version(trust, TLS1_2_VERSION);
	SSL_CTX_set_verify(trust, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(trust,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return trust;
}

/* True: something may have happened. */
static bool
wait_for(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = clock_mono_ms();

	if (now >= until_ms)
		return false;
	return poll(&p, 1, (int)(until_ms - now)) != 0;
}

static int
connect_to(struct redislink *link, const struct sockaddr *sa, socklen_t len,
    uint64_t until_ms, struct err *e)
{
	int error = 0, one = 1;
	socklen_t size = sizeof(error);

	link->fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0 || connect(link->fd, sa, len) != 0)
		error = errno;
	if (error == EINPROGRESS) {
		error = ETIMEDOUT;
		if (wait_for(link->fd, POLLOUT, until_ms))
			(void)getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error,
			    &size);
	}
	if (error == 0) {
		(void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
		return 0;
	}
	err_set(e, "%s", strerror(error));
	redislink_close(link);
	return -1;
}

static int
connect_socket(struct redislink *link, const struct redisurl *url,
    uint64_t until_ms, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", url->socket);
	return connect_to(link, (const struct sockaddr *)&sa, sizeof(sa),
	    until_ms, e);
}

static int
look_up(const struct redisurl *url, struct addrinfo **all_r, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int rc = getaddrinfo(url->host, url->port, &hints, all_r);

	if (rc != 0)
		err_set(e, "%s", gai_strerror(rc));
	return rc == 0 ? 0 : -1;
}

/* One that does not answer leaves time for the others. */
static int
connect_any(struct redislink *link, const struct addrinfo *all,
    uint64_t until_ms, struct err *e)
{
	unsigned int left = 0;
	int rc = -1;

	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = all; a != NULL && rc != 0;
	     a = a->ai_next, left--) {
		uint64_t now = clock_mono_ms();
		uint64_t rest = now < until_ms ? until_ms - now : 0;

		rc = connect_to(link, a->ai_addr, a->ai_addrlen,
		    now + rest / left, e);
	}
	return rc;
}

static void
explain(const SSL *ssl, struct err *e)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long code = ERR_get_error();
	char text[200] = "the connection was lost";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	err_set(e, "TLS: %s",
	    verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
				 : text);
	ERR_clear_error();
}

static bool
set_name(SSL *ssl, const char *host)
{
	unsigned char address[16];
	char name[sizeof(((struct redisurl *)NULL)->host)];

	(void)snprintf(name, sizeof(name), "%s", host);
	if (inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
			   host) == 1;
	return SSL_set1_host(ssl, host) == 1 &&
	    SSL_set_tlsext_host_name(ssl, name) == 1;
}

static int
begin_tls(struct redislink *link, const struct redisurl *url, SSL_CTX *trust,
    uint64_t until_ms, struct err *e)
{
	int rc;

	link->ssl = SSL_new(trust);
	if (link->ssl == NULL || !set_name(link->ssl, url->host) ||
	    SSL_set_fd(link->ssl, link->fd) != 1) {
		err_set(e, "no memory");
		return -1;
	}
	while ((rc = SSL_connect(link->ssl)) != 1) {
		int why = SSL_get_error(link->ssl, rc);

		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
			explain(link->ssl, e);
			return -1;
		}
		if (!wait_for(link->fd,
			why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
			until_ms)) {
			err_set(e, "TLS: no answer");
			return -1;
		}
	}
	return 0;
}

int
redislink_open(struct redislink *link, const struct redisurl *url,
    SSL_CTX *trust, unsigned int ms, struct err *e)
{
	struct addrinfo *all = NULL;
	uint64_t until_ms;
	int rc;

	link->fd = -1;
	link->ssl = NULL;
	if (url->host[0] != '\0' && look_up(url, &all, e) != 0)
		return -1;
	until_ms = clock_mono_ms() + ms;
	rc = all != NULL ? connect_any(link, all, until_ms, e)
			 : connect_socket(link, url, until_ms, e);
	if (all != NULL)
		freeaddrinfo(all);
	if (rc == 0 && url->tls)
		rc = begin_tls(link, url, trust, until_ms, e);
	if (rc != 0)
		redislink_close(link);
	return rc;
}

void
redislink_close(struct redislink *link)
{
	SSL_free(link->ssl);
	link->ssl = NULL;
	if (link->fd >= 0)
		(void)close(link->fd);
	link->fd = -1;
}

static ssize_t
tls_done(struct redislink *link, int n, struct err *e)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(link->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	default: /* a number of OpenSSL's, which may have more */
		explain(link->ssl, e);
		return -1;
	}
}

static ssize_t
plain_done(ssize_t n, struct err *e)
{
	if (n > 0)
		return n;
	if (n < 0 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	err_set(e, "%s", n == 0 ? "it hung up" : strerror(errno));
	return -1;
}

ssize_t
redislink_read(struct redislink *link, void *to_r, size_t size, struct err *e)
{
	if (link->ssl != NULL)
		return tls_done(link,
		    SSL_read(link->ssl, to_r,
			size > INT_MAX ? INT_MAX : (int)size),
		    e);
	return plain_done(recv(link->fd, to_r, size, 0), e);
}

ssize_t
redislink_write(struct redislink *link, const void *from, size_t size,
    struct err *e)
{
	if (size == 0)
		return 0;
	if (link->ssl != NULL)
		return tls_done(link,
		    SSL_write(link->ssl, from,
			size > INT_MAX ? INT_MAX : (int)size),
		    e);
	return plain_done(send(link->fd, from, size, MSG_NOSIGNAL), e);
}
