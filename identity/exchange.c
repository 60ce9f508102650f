/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries a dialogue to a server. libcurl does what it is good at (names,
 * several addresses, STARTTLS with TLS after it) and stops when the connection
 * stands (CONNECT_ONLY); TLS from the start is identity/tls.h's, because it
 * costs less there. The IMAP words are ours, because libcurl reports "wrong"
 * and "unavailable" alike. It must not judge: a failure here is a text for the
 * administrator, and an undecided dialogue. Nothing in it may block the loop,
 * not even cleaning up after a server that hangs.
 */
#include "identity/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "identity/engine.h"
#include "identity/tls.h"

struct exchange {
	struct transport *transport;
	CURL *easy;
	struct approach approach;
	struct event *timer; /* the whole exchange */
	struct event *in;    /* once connected */
	struct event *out;
	struct tls *tls; /* NULL: libcurl's TLS, behind STARTTLS */
	SSL *ssl;        /* ours */
	exchange_done *done;
	exchange_challenge *challenge;
	void *arg;
	bool waiting; /* for the client, and not for the server */
	bool is_safe; /* TLS stood, verified; it may have broken since */
	char error[CURL_ERROR_SIZE];
	struct dialogue dialogue;
};

/* The last act of an exchange: the callee frees it. */
static void
report(struct exchange *x, const char *why)
{
	exchange_done *done = x->done;

	x->done = NULL;
	if (done != NULL)
		done(x->arg, why);
}

static bool
has_happened(const struct exchange *x, CURLINFO what)
{
	curl_off_t us = 0;

	return curl_easy_getinfo(x->easy, what, &us) == CURLE_OK && us > 0;
}

/* Who speaks TLS from the start waits for us, while we wait for a greeting. */
static const char *
what_is_late(const struct exchange *x)
{
	if (x->in != NULL)
		return "no answer in time";
	if (has_happened(x, CURLINFO_CONNECT_TIME_T))
		return "connected, but no greeting and STARTTLS in time (a "
		       "port with TLS from the start is imaps://)";
	if (has_happened(x, CURLINFO_NAMELOOKUP_TIME_T))
		return "no connection in time";
	return "no address of the host in time";
}

static void
timed_out(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *x = arg;

	(void)fd;
	(void)what;
	report(x, what_is_late(x));
}

/* OpenSSL's words for it in libcurl's. */
static CURLcode
judge_ssl(struct exchange *x, int result)
{
	switch (SSL_get_error(x->ssl, result)) {
	case SSL_ERROR_WANT_WRITE:
		if (event_add(x->out, NULL) != 0)
			return CURLE_OUT_OF_MEMORY;
		return CURLE_AGAIN;
	case SSL_ERROR_WANT_READ:
		return CURLE_AGAIN;
	default:
		return CURLE_RECV_ERROR;
	}
}

static CURLcode
send_bytes(struct exchange *x, const char *bytes, size_t len, size_t *n_r)
{
	int n;

	if (x->ssl == NULL)
		return curl_easy_send(x->easy, bytes, len, n_r);
	ERR_clear_error();
	n = SSL_write(x->ssl, bytes, (int)len);
	*n_r = n > 0 ? (size_t)n : 0;
	return n > 0 ? CURLE_OK : judge_ssl(x, n);
}

static CURLcode
receive_bytes(struct exchange *x, char *bytes, size_t size, size_t *n_r)
{
	int n;

	if (x->ssl == NULL)
		return curl_easy_recv(x->easy, bytes, size, n_r);
	ERR_clear_error();
	n = SSL_read(x->ssl, bytes, (int)size);
	*n_r = n > 0 ? (size_t)n : 0;
	return n > 0 ? CURLE_OK : judge_ssl(x, n);
}

/* Sends what is pending. -1: the connection is broken. */
static int
flush_pending(struct exchange *x)
{
	const char *bytes;
	size_t len, n;

	for (;;) {
		CURLcode rc;

		bytes = dialogue_pending(&x->dialogue, &len);
		if (bytes == NULL)
			return 0;
		rc = send_bytes(x, bytes, len, &n);
		if (rc == CURLE_AGAIN)
			return 0;
		if (rc != CURLE_OK)
			return -1;
		dialogue_sent(&x->dialogue, n);
	}
}

/* The TLS that the bytes go through; NULL: none. (The first curl_easy_recv()
 * makes libcurl's visible here.) */
static const SSL *
ssl_of(const struct exchange *x)
{
	struct curl_tlssessioninfo *info = NULL;

	if (x->ssl != NULL)
		return x->ssl;
	if (curl_easy_getinfo(x->easy, CURLINFO_TLS_SSL_PTR, &info) !=
		CURLE_OK ||
	    info == NULL || info->backend != CURLSSLBACKEND_OPENSSL)
		return NULL;
	return info->internals;
}

/* Nothing is said, and nothing heard, before TLS stands and is verified. */
static bool
is_protected(const struct exchange *x)
{
	const SSL *ssl = ssl_of(x);

	return ssl != NULL && SSL_is_init_finished(ssl) &&
	    SSL_get_verify_result(ssl) == X509_V_OK;
}

/* For people who watch. */
static void
tell_tls(struct exchange *x)
{
	const SSL *ssl = ssl_of(x);
	char text[120];

	if (x->dialogue.trace == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%.20s, %.60s, %s",
	    SSL_get_version(ssl),
	    SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)),
	    SSL_session_reused(ssl) == 1 ? "session resumed"
					 : "certificate verified");
	x->dialogue.trace(x->dialogue.trace_arg, text);
}

/* Sends what is pending; the rest when it can be. False: the exchange was
 * reported and is gone. */
static bool
send_on(struct exchange *x)
{
	size_t n;

	if (flush_pending(x) != 0) {
		report(x, "the connection broke");
		return false;
	}
	if (dialogue_pending(&x->dialogue, &n) != NULL &&
	    event_add(x->out, NULL) != 0) {
		report(x, "no memory");
		return false;
	}
	return true;
}

/* Is it the client's turn now? */
static void
pass_challenge(struct exchange *x)
{
	if (x->waiting || x->challenge == NULL ||
	    x->dialogue.state != DIALOGUE_CLIENT)
		return;
	x->waiting = true;
	(void)event_del(x->timer);
	x->challenge(x->arg, x->dialogue.challenge);
}

/* Reads and answers once. False: there is no more for now, or the exchange was
 * reported and is gone. */
static bool
carry_on(struct exchange *x)
{
	char buffer[4096];
	size_t n;
	CURLcode rc = receive_bytes(x, buffer, sizeof(buffer), &n);

	if (!x->is_safe && !is_protected(x)) {
		if (x->ssl != NULL && rc == CURLE_AGAIN)
			return false; /* in the handshake */
		(void)snprintf(x->error, sizeof(x->error),
		    "the connection is not protected by TLS");
		if (x->ssl != NULL)
			tls_explain(x->ssl, x->error, sizeof(x->error));
		report(x, x->error);
		return false;
	}
	if (!x->is_safe)
		tell_tls(x);
	x->is_safe = true;
	if (rc == CURLE_OK && n > 0)
		dialogue_feed(&x->dialogue, buffer, n);
	else if (rc != CURLE_AGAIN)
		dialogue_eof(&x->dialogue);
	if (dialogue_is_over(&x->dialogue)) {
		report(x, NULL);
		return false;
	}
	if (!send_on(x))
		return false;
	if (rc != CURLE_AGAIN)
		return true;
	pass_challenge(x);
	return false;
}

static void
carry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	while (carry_on(arg))
		continue;
}

/* libcurl is done with connecting, well or not. */
static void
connected(void *arg, CURLcode result)
{
	struct exchange *x = arg;
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (result == CURLE_OPERATION_TIMEDOUT) {
		report(x, what_is_late(x));
		return;
	}
	if (result != CURLE_OK) {
		report(x,
		    x->error[0] != '\0' ? x->error
					: curl_easy_strerror(result));
		return;
	}
	if (curl_easy_getinfo(x->easy, CURLINFO_ACTIVESOCKET, &fd) !=
		CURLE_OK ||
	    fd == CURL_SOCKET_BAD) {
		report(x, "the connection is gone");
		return;
	}
	if (x->tls != NULL) {
		x->ssl = tls_connect(x->tls, fd, engine_now_ms(), x->error,
		    sizeof(x->error));
		if (x->ssl == NULL) {
			report(x, x->error);
			return;
		}
	}
	x->in =
	    event_new(x->transport->base, fd, EV_READ | EV_PERSIST, carry, x);
	x->out = event_new(x->transport->base, fd, EV_WRITE, carry, x);
	if (x->in == NULL || x->out == NULL || event_add(x->in, NULL) != 0)
		report(x, "no memory");
	else
		carry(fd, EV_READ, x);
}

/* What libcurl itself hears (STARTTLS) goes nowhere: not to stdout. */
static size_t
swallow(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

#define SET(option, value) \
 (curl_easy_setopt(x->easy, (option), (value)) == CURLE_OK)

/*
 * No connection is ever used twice: each is fresh, and libcurl closes one that
 * is CONNECT_ONLY with its handle (FORBID_REUSE would close it at once).
 * CAPATH has a compiled-in default that would be trusted beside ca_file. A
 * resolver thread that hangs is left behind (QUICK_EXIT), not waited for.
 */
static bool
set_options(struct exchange *x, const struct endpoint *endpoint,
    const char *ca_file, uint64_t timeout_ms)
{
	return SET(CURLOPT_URL, endpoint->url) &&
	    SET(CURLOPT_SHARE,
		transport_share(x->transport, engine_now_ms())) &&
	    SET(CURLOPT_PROTOCOLS_STR, endpoint->starttls ? "imap" : "http") &&
	    SET(CURLOPT_CONNECT_ONLY, 1L) && SET(CURLOPT_FRESH_CONNECT, 1L) &&
	    SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_QUICK_EXIT, 1L) &&
	    SET(CURLOPT_NOPROXY, "*") && SET(CURLOPT_PROXY, "") &&
	    SET(CURLOPT_USE_SSL, (long)CURLUSESSL_ALL) &&
	    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	    SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
	    SET(CURLOPT_SSL_VERIFYHOST, 2L) && SET(CURLOPT_CAINFO, ca_file) &&
	    SET(CURLOPT_CAPATH, NULL) && SET(CURLOPT_CA_CACHE_TIMEOUT, 3600L) &&
	    SET(CURLOPT_SSL_ENABLE_ALPN, 0L) &&
	    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms) &&
	    SET(CURLOPT_WRITEFUNCTION, swallow) &&
	    SET(CURLOPT_ERRORBUFFER, x->error) &&
	    SET(CURLOPT_PRIVATE, &x->approach);
}

struct exchange *
exchange_new(struct transport *transport, struct endpoint *endpoint,
    const char *ca_file, const struct dialogue_question *question,
    uint64_t timeout_ms, exchange_done *done, void *arg)
{
	struct exchange *x = calloc(1, sizeof(*x));
	struct timeval tv = engine_timeval(timeout_ms);
	struct dialogue_question q = *question;

	if (x == NULL)
		return NULL;
	x->transport = transport;
	x->approach = (struct approach){ connected, x };
	x->done = done;
	x->arg = arg;
	q.greeted = endpoint->starttls;
	if (!endpoint->starttls && endpoint->tls == NULL) {
		endpoint->tls = tls_new(endpoint->host, ca_file);
		if (endpoint->tls == NULL) {
			free(x);
			return NULL;
		}
	}
	x->tls = endpoint->tls;
	x->easy = curl_easy_init();
	x->timer = evtimer_new(transport->base, timed_out, x);
	if (x->easy == NULL || x->timer == NULL ||
	    dialogue_start(&x->dialogue, &q) != 0 ||
	    !set_options(x, endpoint, ca_file, timeout_ms) ||
	    event_add(x->timer, &tv) != 0 ||
	    curl_multi_add_handle(transport->multi, x->easy) != CURLM_OK)
		exchange_free(&x);
	return x;
}

void
exchange_carry(struct exchange *x, exchange_challenge *challenge)
{
	x->challenge = challenge;
}

void
exchange_respond(struct exchange *x, const char *response, uint64_t timeout_ms)
{
	struct timeval tv = engine_timeval(timeout_ms);

	x->waiting = false;
	dialogue_respond(&x->dialogue, response);
	if (dialogue_is_over(&x->dialogue))
		report(x, NULL);
	else if (event_add(x->timer, &tv) != 0)
		report(x, "no memory");
	else
		(void)send_on(x);
}

void
exchange_cancel(struct exchange *x)
{
	if (x == NULL || !x->waiting)
		return;
	dialogue_cancel(&x->dialogue);
	(void)flush_pending(x);
}

void
exchange_free(struct exchange **exchange)
{
	struct exchange *x = *exchange;

	if (x == NULL)
		return;
	*exchange = NULL;
	/* Before libcurl closes the socket that it watches. */
	if (x->in != NULL)
		event_free(x->in);
	if (x->out != NULL)
		event_free(x->out);
	if (x->timer != NULL)
		event_free(x->timer);
	tls_close(&x->ssl);
	if (x->easy != NULL) {
		(void)curl_multi_remove_handle(x->transport->multi, x->easy);
		curl_easy_cleanup(x->easy);
	}
	dialogue_wipe(&x->dialogue);
	free(x);
}

const struct dialogue *
exchange_dialogue(const struct exchange *exchange)
{
	return &exchange->dialogue;
}
