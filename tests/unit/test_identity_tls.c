/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose TLS is good enough for passwords, and what a resumed session may be
 * trusted for. Client and server are played in one thread, over a socket pair.
 */
#include "identity/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "identity/transport.h"

#define HOUR_MS UINT64_C(3600000)
#define TURNS   100

static char ca_file[] = "/tmp/test_identity_tls.XXXXXX";

/* A server with a key and a self-signed certificate of its own. */
static SSL_CTX *
server_new(const char *names)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *ext =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	assert_true(ctx != NULL && key != NULL && cert != NULL && ext != NULL);
	assert_int_equal(X509_set_version(cert, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert),
			     "CN", MBSTRING_ASC, (const unsigned char *)"test",
			     -1, -1, 0),
	    1);
	assert_int_equal(
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_EXTENSION_free(ext);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

/* From now on it is this server that ca_file trusts. */
static void
trust(const SSL_CTX *server)
{
	FILE *f = fopen(ca_file, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, SSL_CTX_get0_certificate(server)),
	    1);
	assert_int_equal(fclose(f), 0);
}

struct link {
	int fds[2];
	SSL *client;
	SSL *server;
};

static void
link_open(struct link *link, struct tls *tls, SSL_CTX *server, uint64_t now_ms)
{
	char why[200] = "";

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, link->fds), 0);
	link->client = tls_connect(tls, link->fds[0], now_ms, why, sizeof(why));
	if (link->client == NULL)
		fail_msg("got %s", why);
	link->server = SSL_new(server);
	assert_non_null(link->server);
	assert_int_equal(SSL_set_fd(link->server, link->fds[1]), 1);
	SSL_set_accept_state(link->server);
}

/* Shakes hands and says a word, so that tickets come. False: it ends. */
static bool
link_talk(struct link *link)
{
	char octet;

	for (int i = 0; i < TURNS; i++) {
		int rc = SSL_read(link->client, &octet, 1);

		if (rc == 1)
			return SSL_get_verify_result(link->client) == X509_V_OK;
		if (SSL_get_error(link->client, rc) != SSL_ERROR_WANT_READ)
			return false;
		if (SSL_do_handshake(link->server) == 1)
			(void)SSL_write(link->server, "x", 1);
	}
	fail_msg("got no end in %d turns", TURNS);
	return false;
}

static void
link_close(struct link *link)
{
	tls_close(&link->client);
	SSL_free(link->server);
	(void)close(link->fds[0]);
	(void)close(link->fds[1]);
}

/* One connection. Was it trusted, and resumed? */
static void
expect(const char *what, struct tls *tls, SSL_CTX *server, uint64_t now_ms,
    bool trusted, bool resumed)
{
	struct link link;
	bool got_trusted, got_resumed;

	link_open(&link, tls, server, now_ms);
	got_trusted = link_talk(&link);
	got_resumed = got_trusted && SSL_session_reused(link.client) == 1;
	link_close(&link);
	if (got_trusted != trusted || got_resumed != resumed)
		fail_msg("%s: got trusted %d resumed %d, want %d %d", what,
		    got_trusted, got_resumed, trusted, resumed);
}

static struct tls *
client_new(const char *host)
{
	struct tls *tls = tls_new(host, ca_file);

	assert_non_null(tls);
	return tls;
}

static void
only_the_hosts_own_name_will_do(void **state)
{
	static const struct {
		const char *host;
		bool trusted;
	} rows[] = {
		{ "imap.example.org", true },
		{ "IMAP.example.org", true },
		{ "192.0.2.1", true },
		{ "2001:db8::1", true },
		{ "a.wild.example", true },
		{ "example.org", false },
		{ "x.imap.example.org", false },
		{ "test", false }, /* its common name */
		{ "192.0.2.2", false },
		{ "2001:db8::2", false },
		{ "a.b.wild.example", false },
		{ "axb.part.example", false },
	};
	SSL_CTX *server = server_new(
	    "DNS:imap.example.org,DNS:*.wild.example,DNS:a*b.part.example,"
	    "IP:192.0.2.1,IP:2001:db8::1");

	(void)state;
	trust(server);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls *tls = client_new(rows[i].host);

		expect(rows[i].host, tls, server, 1, rows[i].trusted, false);
		tls_free(&tls);
	}
	SSL_CTX_free(server);
}

static void
an_old_protocol_is_not_spoken(void **state)
{
	SSL_CTX *server = server_new("DNS:imap.example.org");
	struct tls *tls = client_new("imap.example.org");

	(void)state;
	trust(server);
	SSL_CTX_set_security_level(server, 0);
	assert_int_equal(SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION),
	    1);
	expect("TLS 1.1", tls, server, 1, false, false);
	assert_int_equal(SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION),
	    1);
	expect("TLS 1.2", tls, server, 1, true, false);
	tls_free(&tls);
	SSL_CTX_free(server);
}

static void
what_is_resumed_does_not_grow_old(void **state)
{
	SSL_CTX *server = server_new("DNS:imap.example.org");
	SSL_CTX *other = server_new("DNS:imap.example.org");
	struct tls *tls = client_new("imap.example.org");

	(void)state;
	trust(server);
	expect("the first", tls, server, 1, true, false);
	expect("the second", tls, server, 2, true, true);
	expect("another server", tls, other, 3, false, false);
	trust(other);
	expect("an hour later but one moment", tls, server, HOUR_MS, true,
	    true);
	expect("an hour later", tls, server, HOUR_MS + 1, false, false);
	expect("the new one", tls, other, HOUR_MS + 2, true, false);
	tls_free(&tls);
	SSL_CTX_free(server);
	SSL_CTX_free(other);
}

/* A connection that was under way when everything began anew. */
static void
no_ticket_of_before_is_kept(void **state)
{
	SSL_CTX *server = server_new("DNS:imap.example.org");
	SSL_CTX *other = server_new("DNS:imap.example.org");
	struct tls *tls = client_new("imap.example.org");
	struct link before;

	(void)state;
	trust(server);
	link_open(&before, tls, server, 1);
	trust(other);
	expect("the new one", tls, other, HOUR_MS + 1, true, false);
	assert_true(link_talk(&before));
	link_close(&before);
	expect("the one of before", tls, server, HOUR_MS + 2, false, false);
	expect("the new one", tls, other, HOUR_MS + 3, true, true);
	tls_free(&tls);
	SSL_CTX_free(server);
	SSL_CTX_free(other);
}

/* Behind STARTTLS they are libcurl's. */
static void
what_libcurl_resumes_does_not_grow_old(void **state)
{
	struct event_base *base = event_base_new();
	struct transport *t = transport_new(base);
	CURL *easy = curl_easy_init();
	const CURLSH *first, *second;

	(void)state;
	assert_true(t != NULL && easy != NULL);
	first = transport_share(t, 5);
	assert_non_null(first);
	assert_ptr_equal(transport_share(t, HOUR_MS + 4), first);
	assert_int_equal(curl_easy_setopt(easy, CURLOPT_SHARE, first), 0);
	second = transport_share(t, HOUR_MS + 5);
	assert_true(second != NULL && second != first);
	/* the first is still in use */
	assert_ptr_equal(transport_share(t, 3 * HOUR_MS), second);
	curl_easy_cleanup(easy);
	assert_ptr_not_equal(transport_share(t, 3 * HOUR_MS), second);
	transport_free(&t);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_hosts_own_name_will_do),
		cmocka_unit_test(an_old_protocol_is_not_spoken),
		cmocka_unit_test(what_is_resumed_does_not_grow_old),
		cmocka_unit_test(no_ticket_of_before_is_kept),
		cmocka_unit_test(what_libcurl_resumes_does_not_grow_old),
	};
	int fd = mkstemp(ca_file), rc;

	if (fd < 0)
		return 1;
	(void)close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(ca_file);
	return rc;
}
