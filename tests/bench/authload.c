/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load for a SASL server: PLAIN logins over a UNIX socket, in the Dovecot auth
 * protocol over connections that stay (as Postfix has them), or in saslauthd's
 * with a connection each. Closed loop, one thread, epoll. It must not judge.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/load.h"

#define DEPTH_MAX 256

struct conn {
	int fd;
	bool shaken; /* the server's DONE was read */
	size_t have, length;
	/* Requests under way: when they began. Dovecot: by id % DEPTH_MAX. */
	uint64_t began[DEPTH_MAX];
	uint32_t next_id;
	char in[16384], out[65536];
};

static struct load load = { .count = 10000, .warmup = 1000, .users = 100 };
static struct {
	const char *path;
	bool mux; /* saslauthd's protocol */
	size_t connections, depth;
} option = { .connections = 1, .depth = 1 };
static int epoll;

static void
flush(struct conn *c)
{
	size_t sent = 0;

	while (sent < c->length) {
		ssize_t n = write(c->fd, c->out + sent, c->length - sent);

		if (n < 0)
			load_give_up("write: %s", strerror(errno));
		sent += (size_t)n;
	}
	c->length = 0;
}

/* Blocking: a UNIX socket is connected at once, or waits for the server. */
static void
open_conn(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = c } };
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(option.path) >= sizeof(to.sun_path))
		load_give_up("%s is too long", option.path);
	memcpy(to.sun_path, option.path, strlen(option.path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		load_give_up("%s: %s", option.path, strerror(errno));
	c->have = c->length = 0;
}

static void
fill(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->have, sizeof(c->in) - 1 - c->have);

	if (n <= 0)
		load_give_up(
		    "the server closed the connection after %zu checks",
		    load.done);
	c->have += (size_t)n;
	c->in[c->have] = '\0';
}

/* ---- the Dovecot auth protocol ---- */

static void
put_request(struct conn *c)
{
	char text[4 * LOAD_TEXT];
	size_t user;
	int n;

	if (!load_start(&load, &user))
		return;
	load_plain(user, text);
	c->began[c->next_id % DEPTH_MAX] = load_now();
	n = snprintf(c->out + c->length, sizeof(c->out) - c->length,
	    "AUTH\t%u\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\t"
	    "rip=203.0.113.%zu\tsecured\tresp=%s\n",
	    c->next_id++, 1 + user % 250, text);
	c->length += (size_t)n;
}

static void
take_line(struct conn *c, const char *line)
{
	unsigned int id;

	if (!c->shaken) {
		if (strcmp(line, "DONE") == 0) {
			c->shaken = true;
			for (size_t i = 0; i < option.depth; i++)
				put_request(c);
		}
		return;
	}
	if (sscanf(line, "%*[A-Z]\t%u", &id) != 1)
		load_give_up("the server says %s", line);
	load_end(&load, c->began[id % DEPTH_MAX],
	    strncmp(line, "OK\t", 3) == 0);
	put_request(c);
}

static void
read_lines(struct conn *c)
{
	char *line = c->in, *feed;

	fill(c);
	while ((feed = strchr(line, '\n')) != NULL) {
		*feed = '\0';
		take_line(c, line);
		line = feed + 1;
	}
	c->have = strlen(line);
	memmove(c->in, line, c->have + 1);
	flush(c);
}

static void
shake_hands(struct conn *c)
{
	open_conn(c);
	c->length = (size_t)snprintf(c->out, sizeof(c->out),
	    "VERSION\t1\t0\nCPID\t%ld\n", (long)getpid() + c->fd);
	c->next_id = 1;
	flush(c);
}

/* ---- saslauthd's protocol ---- */

static void
put_field(struct conn *c, const char *text)
{
	uint16_t len = htons((uint16_t)strlen(text));

	memcpy(c->out + c->length, &len, sizeof(len));
	memcpy(c->out + c->length + sizeof(len), text, strlen(text));
	c->length += sizeof(len) + strlen(text);
}

static void
ask(struct conn *c)
{
	char login[LOAD_TEXT], password[LOAD_TEXT], *at;
	size_t user;

	if (!load_start(&load, &user))
		return;
	c->began[0] = load_now();
	open_conn(c);
	load_user(user, login, password);
	at = strchr(login, '@');
	*at = '\0';
	put_field(c, login);
	put_field(c, password);
	put_field(c, "smtp");
	put_field(c, at + 1);
	flush(c);
}

static void
read_answer(struct conn *c)
{
	uint16_t len;

	fill(c);
	if (c->have < sizeof(len))
		return;
	memcpy(&len, c->in, sizeof(len));
	if (c->have < sizeof(len) + ntohs(len))
		return;
	close(c->fd);
	load_end(&load, c->began[0],
	    strncmp(c->in + sizeof(len), "OK", 2) == 0);
	ask(c);
}

/* ---- the whole ---- */

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr,
	    "usage: authload -s socket -p dovecot|saslauthd [-P server's-pid]\n"
	    "  [-c connections] [-d depth] " LOAD_USAGE "\n");
	exit(2);
}

static void
read_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:p:P:c:d:" LOAD_OPTIONS)) != -1) {
		if (o == 's')
			option.path = optarg;
		else if (o == 'p')
			option.mux = strcmp(optarg, "saslauthd") == 0;
		else if (o == 'P')
			load_watch(&load, (pid_t)load_number(optarg));
		else if (o == 'c')
			option.connections = load_number(optarg);
		else if (o == 'd')
			option.depth = load_number(optarg);
		else if (!load_option(&load, o, optarg))
			usage();
	}
	if (option.path == NULL || option.connections == 0 ||
	    option.depth == 0 || option.depth > DEPTH_MAX || load.users == 0 ||
	    load.warmup == 0 || load.count == 0)
		usage();
}

int
main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct conn *conns;

	read_options(argc, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(option.connections, sizeof(*conns));
	if (epoll < 0 || conns == NULL)
		load_give_up("no memory or descriptors");
	for (size_t i = 0; i < option.connections; i++) {
		if (option.mux)
			ask(&conns[i]);
		else
			shake_hands(&conns[i]);
	}
	while (!load_is_over(&load)) {
		int n = epoll_wait(epoll, events, 64, 20000);

		if (n == 0)
			load_give_up("no answer for 20 s");
		for (int i = 0; i < n; i++) {
			if (option.mux)
				read_answer(events[i].data.ptr);
			else
				read_lines(events[i].data.ptr);
		}
	}
	load_report(&load);
	return 0;
}
