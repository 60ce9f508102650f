/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor under every password check by IMAP: OpenSSL and epoll on one
 * thread, TLS sessions resumed, one command, the tagged answer, hang up. It
 * must not do anything that a real client needs beside (deadlines, failover,
 * codes, memory): what postern costs above it is postern's own cost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/bench/load.h"

enum state { STATE_HANDSHAKE = 0, STATE_GREETING, STATE_ANSWER };

struct conn {
	SSL *ssl;
	int fd;
	enum state state;
	size_t user;
	uint64_t began;
	size_t have;
	char in[4096];
};

static struct load load = { .count = 1000, .warmup = 100, .users = 1000 };
static struct sockaddr_in server = { .sin_family = AF_INET };
static char host[64];
static SSL_CTX *tls;
static SSL_SESSION *session; /* the latest ticket */
static size_t resumed, shaken;
static int epoll;

static int
keep_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = s;
	return 1; /* taken */
}

static void
begin(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data = { .ptr = c } };
	int one = 1;

	if (!load_start(&load, &c->user))
		return;
	c->began = load_now();
	c->state = STATE_HANDSHAKE;
	c->have = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 ||
	    (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) != 0 &&
		errno != EINPROGRESS))
		load_give_up("connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), host) != 1)
		load_give_up("no memory");
	if (session != NULL)
		SSL_set_session(c->ssl, session);
	SSL_set_connect_state(c->ssl);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		load_give_up("epoll: %s", strerror(errno));
}

static void
end(struct conn *c, bool permitted)
{
	/* else the session would count as broken and not be resumed */
	SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	close(c->fd);
	load_end(&load, c->began, permitted);
	begin(c);
}

static void
log_in(struct conn *c)
{
	char text[4 * LOAD_TEXT], command[5 * LOAD_TEXT];
	int len;

	load_plain(c->user, text);
	len = snprintf(command, sizeof(command), "a AUTHENTICATE PLAIN %s\r\n",
	    text);
	if (SSL_write(c->ssl, command, len) != len)
		load_give_up("the server does not read");
	c->state = STATE_ANSWER;
}

/* True: the conversation is over, and c may have begun another. */
static bool
take_line(struct conn *c, const char *line)
{
	if (c->state == STATE_GREETING) {
		if (strncmp(line, "* OK", 4) != 0)
			load_give_up("greeted by %s", line);
		log_in(c);
	} else if (strncmp(line, "a ", 2) == 0) {
		end(c, strncmp(line, "a OK", 4) == 0);
		return true;
	}
	return false;
}

static bool
take_lines(struct conn *c)
{
	char *line = c->in, *feed;

	c->in[c->have] = '\0';
	while ((feed = strchr(line, '\n')) != NULL) {
		*feed = '\0';
		if (take_line(c, line))
			return true;
		line = feed + 1;
	}
	c->have = strlen(line);
	memmove(c->in, line, c->have + 1);
	return false;
}

static void
go_on(struct conn *c)
{
	int n = 0;

	ERR_clear_error();
	if (c->state == STATE_HANDSHAKE) {
		n = SSL_do_handshake(c->ssl);
		if (n == 1) {
			c->state = STATE_GREETING;
			shaken++;
			resumed += SSL_session_reused(c->ssl) == 1;
		}
	}
	while (c->state != STATE_HANDSHAKE) {
		n = SSL_read(c->ssl, c->in + c->have,
		    (int)(sizeof(c->in) - 1 - c->have));
		if (n <= 0)
			break;
		c->have += (size_t)n;
		if (take_lines(c))
			return;
	}
	n = SSL_get_error(c->ssl, n);
	if (n != SSL_ERROR_WANT_READ && n != SSL_ERROR_WANT_WRITE)
		load_give_up("TLS error %d in state %d: %s", n, (int)c->state,
		    ERR_reason_error_string(ERR_peek_error()));
}

static void
set_up_tls(const char *ca_file)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_load_verify_locations(tls, ca_file, NULL) != 1)
		load_give_up("cannot use %s", ca_file);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(tls, keep_session);
}

static void
loop(struct conn *conns, size_t in_flight)
{
	struct epoll_event events[64];

	for (size_t i = 0; i < in_flight; i++)
		begin(&conns[i]);
	while (!load_is_over(&load)) {
		int n = epoll_wait(epoll, events, 64, 20000);

		if (n == 0)
			load_give_up("no answer for 20 s");
		for (int i = 0; i < n; i++)
			go_on(events[i].data.ptr);
	}
}

int
main(int argc, char **argv)
{
	const char *url = "", *ca_file = "";
	size_t in_flight = 8;
	unsigned int port = 0;
	struct conn *conns;
	int o;

	while ((o = getopt(argc, argv, "s:a:c:" LOAD_OPTIONS)) != -1) {
		if (o == 's')
			url = optarg;
		else if (o == 'a')
			ca_file = optarg;
		else if (o == 'c')
			in_flight = load_number(optarg);
		else if (!load_option(&load, o, optarg))
			url = "";
	}
	if (sscanf(url, "imaps://%63[0-9.]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &server.sin_addr) != 1 || in_flight == 0) {
		fprintf(stderr,
		    "usage: floor -s imaps://ADDRESS:PORT -a CA-FILE\n"
		    "  [-c in-flight] " LOAD_USAGE "\n");
		return 2;
	}
	server.sin_port = htons((uint16_t)port);
	set_up_tls(ca_file);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(in_flight, sizeof(*conns));
	if (epoll < 0 || conns == NULL)
		load_give_up("no memory or descriptors");
	loop(conns, in_flight);
	printf("resumed=%.3f ", (double)resumed / (double)shaken);
	load_report(&load);
	return 0;
}
