/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SSL_CTX for all connections to a server. libcurl would make one for each
 * of them, which costs nearly half of what a resumed handshake does. It must
 * not trust anything but ca_file, nor any name but the host's, and what it
 * knows of either must not grow old: a session that is resumed shows no
 * certificate.
 */
#include "identity/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define RENEW_MS 3600000

struct tls {
	char *host;
	char *ca_file;
	SSL_CTX *context; /* NULL: none yet */
	uint64_t since_ms;
	SSL_SESSION *session; /* to be resumed by the next one; or NULL */
};

struct tls *
tls_new(const char *host, const char *ca_file)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->host = strdup(host);
	tls->ca_file = strdup(ca_file);
	if (tls->host == NULL || tls->ca_file == NULL)
		tls_free(&tls);
	return tls;
}

static void
forget(struct tls *tls)
{
	SSL_SESSION_free(tls->session);
	SSL_CTX_free(tls->context);
	tls->session = NULL;
	tls->context = NULL;
}

void
tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	if (t == NULL)
		return;
	forget(t);
	free(t->host);
	free(t->ca_file);
	free(t);
	*tls = NULL;
}

/* OpenSSL hands over each ticket; 1: it is ours now. One that a connection of
 * the context before still gets was verified by what ca_file was then. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (SSL_get_SSL_CTX(ssl) != tls->context ||
	    SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	SSL_SESSION_free(tls->session);
	tls->session = session;
	return 1;
}

/* Only this name, or this address, and no name that only partly matches. */
static int
trust_host(X509_VERIFY_PARAM *param, const char *host)
{
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) ==
	    1 &&
	    (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ||
		X509_VERIFY_PARAM_set1_host(param, host, 0) == 1);
}

static SSL_CTX *
make_context(struct tls *tls)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return NULL;
	SSL_CTX_set_app_data(context, tls);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_mode(context,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY |
		SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(context,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_load_verify_file(context, tls->ca_file) != 1 ||
	    !trust_host(SSL_CTX_get0_param(context), tls->host)) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "no reason is known";
}

SSL *
tls_connect(struct tls *tls, int fd, uint64_t now_ms, char *why_r, size_t size)
{
	unsigned char address[16];
	SSL *ssl;

	ERR_clear_error();
	if (tls->context != NULL && now_ms - tls->since_ms >= RENEW_MS)
		forget(tls);
	if (tls->context == NULL) {
		tls->context = make_context(tls);
		tls->since_ms = now_ms;
	}
	if (tls->context == NULL) {
		(void)snprintf(why_r, size, "SSL: ca_file %.100s: %s",
		    tls->ca_file, reason());
		return NULL;
	}
	ssl = SSL_new(tls->context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
	    /* an address is no server name (RFC 6066, 3) */
	    (inet_pton(AF_INET, tls->host, address) != 1 &&
		inet_pton(AF_INET6, tls->host, address) != 1 &&
		SSL_set_tlsext_host_name(ssl, tls->host) != 1)) {
		(void)snprintf(why_r, size, "SSL: no memory");
		SSL_free(ssl);
		return NULL;
	}
	if (tls->session != NULL)
		(void)SSL_set_session(ssl, tls->session);
	SSL_set_connect_state(ssl);
	return ssl;
}

void
tls_explain(const SSL *ssl, char *why_r, size_t size)
{
	long result = SSL_get_verify_result(ssl);

	if (result == X509_V_ERR_HOSTNAME_MISMATCH ||
	    result == X509_V_ERR_IP_ADDRESS_MISMATCH)
		(void)snprintf(why_r, size,
		    "SSL certificate problem: its subject name is not that of "
		    "the host in url");
	else if (result != X509_V_OK)
		(void)snprintf(why_r, size,
		    "SSL certificate problem: %s (who is believed: ca_file)",
		    X509_verify_cert_error_string(result));
	else if (ERR_GET_REASON(ERR_peek_last_error()) ==
	    SSL_R_WRONG_VERSION_NUMBER)
		(void)snprintf(why_r, size,
		    "SSL: not TLS, or none of ours (a port with STARTTLS is "
		    "imap://)");
	else if (ERR_peek_last_error() == 0)
		(void)snprintf(why_r, size, "SSL: closed in the handshake");
	else
		(void)snprintf(why_r, size, "SSL: %s", reason());
}

void
tls_close(SSL **ssl)
{
	if (*ssl == NULL)
		return;
	/* Unless it looks closed OpenSSL thinks ill of its session. */
	SSL_set_quiet_shutdown(*ssl, 1);
	if (SSL_is_init_finished(*ssl))
		(void)SSL_shutdown(*ssl);
	SSL_free(*ssl);
	*ssl = NULL;
}
