/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load for a milter: plays the MTA's side for many SMTP sessions at once, on
 * one thread with epoll, and reports rates, latencies and what the milter paid
 * (CPU clock and resident memory of its process). One milter connection per
 * SMTP session and macros in front of each command, as Postfix does; steps that
 * the filter does not want are left out, replies that it does not send are not
 * waited for. It must not judge: it prints, bench/run compares.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libmilter/mfdef.h>

/* What an MTA does in one session, in this order. */
enum step {
	STEP_NEGOTIATE = 0,
	STEP_CONNECT,
	STEP_HELO,
	STEP_HELO_TLS, /* the second EHLO, after STARTTLS */
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_HEADERS,
	STEP_EOH,
	STEP_BODY,
	STEP_EOM,
	STEP_QUIT,
	STEP_COUNT,
};

static const struct {
	char command;
	uint32_t no_step;
	uint32_t no_reply;
	bool waits_for_client; /* a round trip of the SMTP client before it */
} steps[STEP_COUNT] = {
	[STEP_NEGOTIATE] = { SMFIC_OPTNEG, 0, 0, false },
	[STEP_CONNECT] = { SMFIC_CONNECT, SMFIP_NOCONNECT, SMFIP_NR_CONN,
	    false },
	[STEP_HELO] = { SMFIC_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, true },
	[STEP_HELO_TLS] = { SMFIC_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, true },
	[STEP_MAIL] = { SMFIC_MAIL, SMFIP_NOMAIL, SMFIP_NR_MAIL, true },
	[STEP_RCPT] = { SMFIC_RCPT, SMFIP_NORCPT, SMFIP_NR_RCPT, true },
	[STEP_DATA] = { SMFIC_DATA, SMFIP_NODATA, SMFIP_NR_DATA, true },
	[STEP_HEADERS] = { SMFIC_HEADER, SMFIP_NOHDRS, SMFIP_NR_HDR, true },
	[STEP_EOH] = { SMFIC_EOH, SMFIP_NOEOH, SMFIP_NR_EOH, false },
	[STEP_BODY] = { SMFIC_BODY, SMFIP_NOBODY, SMFIP_NR_BODY, false },
	[STEP_EOM] = { SMFIC_BODYEOB, 0, 0, false },
	[STEP_QUIT] = { SMFIC_QUIT, 0, 0, true },
};

/* Macro lists as Postfix has them, until the filter asks for others. */
static const char *const default_macros[STEP_COUNT] = {
	[STEP_CONNECT] = "j {daemon_name} {daemon_addr} v _",
	[STEP_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} "
		      "{cert_issuer}",
	[STEP_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_addr} "
		      "{mail_host} {mail_mailer}",
	[STEP_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[STEP_DATA] = "i",
	[STEP_EOH] = "i",
	[STEP_EOM] = "i",
};

#define HEADER_COUNT 3
#define BUFFER_SIZE  4096

struct conn {
	int fd;
	enum step step;
	unsigned int repeats; /* of this step: recipients, headers */
	bool secured;         /* STARTTLS was taken */
	uint32_t protocol;    /* what the filter does not want */
	char *macros[STEP_COUNT];
	uint32_t address;
	uint64_t began, asked, due;
	struct conn *next; /* in the queue of those that pause */
	size_t have;
	unsigned char in[BUFFER_SIZE];
	size_t length;
	unsigned char out[BUFFER_SIZE];
};

struct samples {
	uint32_t *us;
	size_t count, size;
};

static struct {
	const char *where;
	unsigned int connections, recipients;
	uint64_t pause; /* ns */
	size_t sessions, warmup;
	unsigned int idle;
	pid_t pid;
	bool outside, login;
	const char *login_name;
} option = {
	.connections = 8,
	.recipients = 1,
	.sessions = 2000,
	.login_name = "alice@example.org",
};

static struct {
	int epoll, timer;
	size_t started, done, refused;
	bool measuring;
	uint64_t begin, end, cpu_begin;
	long rss_begin;
	struct conn *first, *last; /* the queue of pauses, soonest first */
	struct samples mail, rcpt, session, reply; /* reply: to any step */
} run;

__attribute__((noreturn, format(printf, 1, 2))) static void
give_up(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "drive: ");
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CPU time of the milter's process, ended threads included, in ns. */
static uint64_t
milter_cpu(void)
{
	struct timespec ts;
	clockid_t clock;

	if (option.pid == 0)
		return 0;
	if (clock_getcpuclockid(option.pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) != 0)
		give_up("process %ld is gone", (long)option.pid);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static long
milter_rss(void)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	if (option.pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)option.pid);
	f = fopen(path, "re");
	if (f == NULL)
		give_up("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	}
	fclose(f);
	return kib;
}

/* ---- samples ---- */

static void
samples_add(struct samples *s, uint64_t ns)
{
	if (!run.measuring)
		return;
	if (s->count == s->size) {
		s->size = s->size == 0 ? 4096 : s->size * 2;
		s->us = realloc(s->us, s->size * sizeof(*s->us));
		if (s->us == NULL)
			give_up("no memory");
	}
	s->us[s->count++] = (uint32_t)(ns / 1000);
}

static int
compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint32_t
samples_at(struct samples *s, double part)
{
	size_t i;

	if (s->count == 0)
		return 0;
	qsort(s->us, s->count, sizeof(*s->us), compare_u32);
	i = (size_t)((double)s->count * part);
	return s->us[i < s->count ? i : s->count - 1];
}

/* ---- packets ---- */

static void
put(struct conn *c, const void *octets, size_t len)
{
	if (c->length + len > sizeof(c->out))
		give_up("a step needs more than %d octets", BUFFER_SIZE);
	memcpy(c->out + c->length, octets, len);
	c->length += len;
}

static void
put_u32(struct conn *c, uint32_t value)
{
	uint32_t wire = htonl(value);

	put(c, &wire, sizeof(wire));
}

static void
put_string(struct conn *c, const char *text)
{
	put(c, text, strlen(text) + 1);
}

/* Opens a packet; its length is written by packet_end(). */
static size_t
packet_begin(struct conn *c, char command)
{
	size_t at = c->length;

	put_u32(c, 0);
	put(c, &command, 1);
	return at;
}

static void
packet_end(struct conn *c, size_t at)
{
	uint32_t wire = htonl((uint32_t)(c->length - at - 4));

	memcpy(c->out + at, &wire, sizeof(wire));
}

/* The value of a macro now, NULL when the MTA has none. */
static const char *
macro_value(const struct conn *c, const char *name)
{
	static const struct {
		const char *name, *value;
		enum step from;
		bool tls, login;
	} table[] = {
		{ "j", "mail.example.org", STEP_CONNECT, false, false },
		{ "v", "Postfix 3.7.11", STEP_CONNECT, false, false },
		{ "_", "client.example [192.0.2.1]", STEP_CONNECT, false,
		    false },
		{ "{daemon_name}", "submission", STEP_CONNECT, false, false },
		{ "{daemon_addr}", "192.0.2.25", STEP_CONNECT, false, false },
		{ "{client_name}", "client.example", STEP_CONNECT, false,
		    false },
		{ "{tls_version}", "TLSv1.3", STEP_HELO_TLS, true, false },
		{ "{cipher}", "TLS_AES_256_GCM_SHA384", STEP_HELO_TLS, true,
		    false },
		{ "{cipher_bits}", "256", STEP_HELO_TLS, true, false },
		{ "{auth_type}", "PLAIN", STEP_MAIL, true, true },
		{ "{auth_authen}", NULL, STEP_MAIL, true, true },
		{ "{mail_addr}", "alice@example.org", STEP_MAIL, false, false },
		{ "{mail_host}", "example.org", STEP_MAIL, false, false },
		{ "{mail_mailer}", "smtp", STEP_MAIL, false, false },
		{ "{rcpt_addr}", "bob@remote.example", STEP_RCPT, false,
		    false },
		{ "{rcpt_host}", "remote.example", STEP_RCPT, false, false },
		{ "{rcpt_mailer}", "smtp", STEP_RCPT, false, false },
		{ "i", "3F2A1B0C4D", STEP_DATA, false, false },
		{ "{i}", "3F2A1B0C4D", STEP_DATA, false, false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) != 0)
			continue;
		if (c->step < table[i].from || (table[i].tls && !c->secured) ||
		    (table[i].login && !option.login))
			return NULL;
		return table[i].value != NULL ? table[i].value
					      : option.login_name;
	}
	return NULL;
}

static void
put_macros(struct conn *c)
{
	enum step stage = c->step == STEP_HELO_TLS ? STEP_HELO : c->step;
	const char *names =
	    c->macros[stage] != NULL ? c->macros[stage] : default_macros[stage];
	char list[1024], *save = NULL;
	size_t at, empty;

	if (names == NULL || strlen(names) >= sizeof(list))
		return;
	memcpy(list, names, strlen(names) + 1);
	at = packet_begin(c, SMFIC_MACRO);
	put(c, &steps[c->step].command, 1);
	empty = c->length;
	for (char *name = strtok_r(list, " ", &save); name != NULL;
	     name = strtok_r(NULL, " ", &save)) {
		const char *value = macro_value(c, name);

		if (value == NULL)
			continue;
		put_string(c, name);
		put_string(c, value);
	}
	if (c->length == empty)
		c->length = at; /* Postfix sends no empty list */
	else
		packet_end(c, at);
}

static void
put_connect(struct conn *c)
{
	static const char family = SMFIA_INET;
	uint16_t port = htons(40000);
	char text[INET_ADDRSTRLEN];
	struct in_addr address = { .s_addr = htonl(c->address) };

	put_string(c, "client.example");
	put(c, &family, 1);
	put(c, &port, sizeof(port));
	put_string(c, inet_ntop(AF_INET, &address, text, sizeof(text)));
}

static void
put_header(struct conn *c)
{
	static const char *const headers[HEADER_COUNT][2] = {
		{ "From", "Alice <alice@example.org>" },
		{ "To", "Bob <bob@remote.example>" },
		{ "Subject", "a message for the bench" },
	};

	put_string(c, headers[c->repeats % HEADER_COUNT][0]);
	put_string(c, headers[c->repeats % HEADER_COUNT][1]);
}

static void
put_step(struct conn *c)
{
	size_t at = packet_begin(c, steps[c->step].command);

	switch (c->step) {
	case STEP_NEGOTIATE:
		put_u32(c, 6);
		put_u32(c, 0x1ff);
		put_u32(c, SMFI_CURR_PROT);
		break;
	case STEP_CONNECT:
		put_connect(c);
		break;
	case STEP_HELO:
	case STEP_HELO_TLS:
		put_string(c, "client.example");
		break;
	case STEP_MAIL:
		put_string(c, "<alice@example.org>");
		put_string(c, "SIZE=2000");
		break;
	case STEP_RCPT:
		put_string(c, "<bob@remote.example>");
		break;
	case STEP_HEADERS:
		put_header(c);
		break;
	case STEP_BODY:
		put(c, "Hello\r\n", 7);
		break;
	case STEP_DATA:
	case STEP_EOH:
	case STEP_EOM:
	case STEP_QUIT:
	case STEP_COUNT:
		break;
	}
	packet_end(c, at);
}

/* ---- one session ---- */

static void session_next(struct conn *c);

static void
flush(struct conn *c)
{
	/* a step is far smaller than a socket buffer */
	ssize_t n = write(c->fd, c->out, c->length);

	if (n < 0 || (size_t)n != c->length)
		give_up("the filter does not read: %s", strerror(errno));
	c->length = 0;
}

static int
open_socket(void)
{
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in inet;
	} to = { 0 };
	socklen_t len = sizeof(to.local);
	int fd, one = 1;

	if (strncmp(option.where, "unix:", 5) == 0) {
		const char *path = option.where + 5;

		to.local.sun_family = AF_UNIX;
		if (strlen(path) >= sizeof(to.local.sun_path))
			give_up("%s is too long", path);
		memcpy(to.local.sun_path, path, strlen(path) + 1);
	} else {
		char host[64];
		unsigned int port;

		if (sscanf(option.where, "inet:%u@%63s", &port, host) != 2 ||
		    inet_pton(AF_INET, host, &to.inet.sin_addr) != 1)
			give_up("%s is no socket", option.where);
		to.inet.sin_family = AF_INET;
		to.inet.sin_port = htons((uint16_t)port);
		len = sizeof(to.inet);
	}
	fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &to.any, len) != 0)
		give_up("%s: %s", option.where, strerror(errno));
	if (to.any.sa_family == AF_INET)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
session_begin(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = c } };

	if (run.started == option.warmup && !run.measuring) {
		run.measuring = true;
		run.begin = now();
		run.cpu_begin = milter_cpu();
	}
	run.started++;
	c->fd = open_socket();
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		give_up("epoll: %s", strerror(errno));
	c->step = STEP_NEGOTIATE;
	c->repeats = 0;
	c->secured = false;
	c->protocol = 0;
	c->have = c->length = 0;
	c->address =
	    (option.outside || option.login ? 0xcb007100u : 0x0a010000u) +
	    (uint32_t)(run.started % 251);
	c->began = c->asked = now();
	put_step(c);
	flush(c);
}

static void
session_end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	for (int i = 0; i < STEP_COUNT; i++) {
		free(c->macros[i]);
		c->macros[i] = NULL;
	}
	run.done++;
	samples_add(&run.session, now() - c->began);
	if (run.started < option.warmup + option.sessions)
		session_begin(c);
}

static void
arm_timer(void)
{
	struct itimerspec at = { 0 };

	if (run.first != NULL) {
		at.it_value.tv_sec = (time_t)(run.first->due / 1000000000u);
		at.it_value.tv_nsec = (long)(run.first->due % 1000000000u);
	}
	timerfd_settime(run.timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* The pause is the same for all, so the queue stays in order. */
static void
pause_conn(struct conn *c)
{
	c->due = now() + option.pause;
	c->next = NULL;
	if (run.first == NULL) {
		run.first = run.last = c;
		arm_timer();
	} else {
		run.last->next = c;
		run.last = c;
	}
}

/* Does the session take the step at all? */
static bool
step_happens(enum step step)
{
	return step != STEP_HELO_TLS || option.login;
}

/* Goes to the step after this one, which may be the same again. */
static void
advance(struct conn *c)
{
	unsigned int times = c->step == STEP_RCPT ? option.recipients
	    : c->step == STEP_HEADERS             ? HEADER_COUNT
						  : 1;

	if (++c->repeats < times)
		return;
	c->repeats = 0;
	do {
		c->step++;
	} while (!step_happens(c->step));
	if (c->step == STEP_HELO_TLS)
		c->secured = true;
}

/* Does what the MTA does at c->step. True: an answer is to come. */
static bool
step_take(struct conn *c)
{
	put_macros(c);
	if ((c->protocol & steps[c->step].no_step) != 0)
		return false;
	put_step(c);
	return (c->protocol & steps[c->step].no_reply) == 0;
}

/* Runs on to the next answer, pause or end. */
static void
session_run(struct conn *c)
{
	for (;;) {
		if (c->step == STEP_QUIT) {
			put_step(c);
			flush(c);
			session_end(c);
			return;
		}
		if (step_take(c)) {
			c->asked = now();
			flush(c);
			return;
		}
		advance(c);
		if (option.pause > 0 && steps[c->step].waits_for_client) {
			if (c->length > 0)
				flush(c);
			pause_conn(c);
			return;
		}
	}
}

static void
session_next(struct conn *c)
{
	advance(c);
	if (option.idle > 0 && c->step >= STEP_MAIL) {
		run.done++; /* stays as it is */
		return;
	}
	if (option.pause > 0 && steps[c->step].waits_for_client)
		pause_conn(c);
	else
		session_run(c);
}

static void
take_negotiation(struct conn *c, const unsigned char *data, size_t len)
{
	static const enum step stages[] = { STEP_CONNECT, STEP_HELO, STEP_MAIL,
		STEP_RCPT, STEP_DATA, STEP_EOM, STEP_EOH };
	uint32_t word;
	size_t at = 12;

	if (len < 12)
		give_up("a short answer to the negotiation");
	memcpy(&word, data + 8, 4);
	c->protocol = ntohl(word);
	while (at + 4 < len) {
		const char *text = (const char *)data + at + 4;
		size_t n = strnlen(text, len - at - 4);

		memcpy(&word, data + at, 4);
		word = ntohl(word);
		if (word < sizeof(stages) / sizeof(stages[0])) {
			free(c->macros[stages[word]]);
			c->macros[stages[word]] = strndup(text, n);
		}
		at += 4 + n + 1;
	}
}

static void
take_reply(struct conn *c, const unsigned char *data, size_t len)
{
	uint64_t took = now() - c->asked;

	samples_add(&run.reply, took);
	if (c->step == STEP_NEGOTIATE) {
		take_negotiation(c, data + 1, len - 1);
	} else if (data[0] != SMFIR_CONTINUE) {
		run.refused++;
		if (!option.outside)
			give_up("step %d was answered '%c' %.*s", (int)c->step,
			    data[0], (int)len - 1, (const char *)data + 1);
		if (c->step == STEP_MAIL)
			samples_add(&run.mail, took);
		c->step = STEP_QUIT;
		session_run(c);
		return;
	}
	if (c->step == STEP_MAIL)
		samples_add(&run.mail, took);
	else if (c->step == STEP_RCPT)
		samples_add(&run.rcpt, took);
	session_next(c);
}

static void
session_read(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->have, sizeof(c->in) - c->have);
	uint32_t len;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		give_up("the filter closed a session after step %d",
		    (int)c->step);
	c->have += (size_t)n;
	if (c->have < 5)
		return;
	memcpy(&len, c->in, sizeof(len));
	len = ntohl(len);
	if (len > sizeof(c->in) - 4)
		give_up("a reply of %u octets", len);
	if (c->have < 4 + (size_t)len)
		return;
	/* one question at a time: what follows the answer is not expected */
	c->have = 0;
	take_reply(c, c->in + 4, len);
}

static void
pauses_over(void)
{
	uint64_t expirations;

	if (read(run.timer, &expirations, sizeof(expirations)) < 0)
		return;
	while (run.first != NULL && run.first->due <= now()) {
		struct conn *c = run.first;

		run.first = c->next;
		session_run(c);
	}
	arm_timer();
}

/* ---- the whole ---- */

static void
loop(size_t until)
{
	struct epoll_event events[64];

	while (run.done < until) {
		int n = epoll_wait(run.epoll, events, 64, 20000);

		if (n == 0)
			give_up("no answer for 20 s");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				pauses_over();
			else
				session_read(events[i].data.ptr);
		}
	}
}

static void
report_load(void)
{
	uint64_t cpu = milter_cpu() - run.cpu_begin;
	double seconds = (double)(run.end - run.begin) / 1e9;

	printf("sessions=%zu seconds=%.3f rate=%.0f cpu_us=%.2f mail_p50=%u "
	       "mail_p99=%u rcpt_p50=%u rcpt_p99=%u session_p50=%u "
	       "session_p99=%u session_max=%u reply_max=%u refused=%zu "
	       "rss_before=%ld rss_after=%ld\n",
	    option.sessions, seconds, (double)option.sessions / seconds,
	    (double)cpu / 1000.0 / (double)option.sessions,
	    samples_at(&run.mail, 0.5), samples_at(&run.mail, 0.99),
	    samples_at(&run.rcpt, 0.5), samples_at(&run.rcpt, 0.99),
	    samples_at(&run.session, 0.5), samples_at(&run.session, 0.99),
	    samples_at(&run.session, 1.0), samples_at(&run.reply, 1.0),
	    run.refused, run.rss_begin, milter_rss());
}

static void
report_idle(void)
{
	struct timespec settle = { .tv_sec = 1 };
	long rss;

	nanosleep(&settle, NULL); /* workers that ran out of work end */
	rss = milter_rss();
	printf("idle=%u rss_before=%ld rss_after=%ld kib_each=%.3f\n",
	    option.idle, run.rss_begin, rss,
	    (double)(rss - run.rss_begin) / (double)option.idle);
}

static unsigned long
number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		give_up("%s is no number", text);
	return value;
}

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr,
	    "usage: drive -s unix:PATH|inet:PORT@HOST [-P milter's-pid]\n"
	    "  [-c connections] [-n sessions] [-w warm-up sessions]\n"
	    "  [-p pause-ms] [-r recipients] [-k inside|outside|login]\n"
	    "  [-l login] [-i idle-connections]\n");
	exit(2);
}

static void
client_kind(const char *name)
{
	if (strcmp(name, "outside") == 0)
		option.outside = true;
	else if (strcmp(name, "login") == 0)
		option.login = true;
	else if (strcmp(name, "inside") != 0)
		usage();
}

static void
read_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:P:c:n:w:p:r:k:l:i:")) != -1) {
		switch (o) {
		case 's':
			option.where = optarg;
			break;
		case 'P':
			option.pid = (pid_t)number(optarg);
			break;
		case 'c':
			option.connections = (unsigned int)number(optarg);
			break;
		case 'n':
			option.sessions = number(optarg);
			break;
		case 'w':
			option.warmup = number(optarg);
			break;
		case 'p':
			option.pause = number(optarg) * 1000000u;
			break;
		case 'r':
			option.recipients = (unsigned int)number(optarg);
			break;
		case 'k':
			client_kind(optarg);
			break;
		case 'l':
			option.login_name = optarg;
			break;
		case 'i':
			option.idle = (unsigned int)number(optarg);
			break;
		default:
			usage();
		}
	}
	if (option.where == NULL || optind != argc || option.connections == 0 ||
	    option.recipients == 0)
		usage();
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct rlimit files;
	unsigned int count;
	struct conn *conns;

	read_options(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	run.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run.epoll < 0 || run.timer < 0 ||
	    epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.timer, &ev) != 0)
		give_up("epoll: %s", strerror(errno));
	count = option.idle > 0 ? option.idle : option.connections;
	conns = calloc(count, sizeof(*conns));
	if (conns == NULL)
		give_up("no memory");
	run.rss_begin = milter_rss();
	if (option.idle > 0) {
		/* one after the other: a crowd would be another test */
		for (unsigned int i = 0; i < count; i++) {
			session_begin(&conns[i]);
			loop(i + 1);
		}
		report_idle();
		return 0;
	}
	for (unsigned int i = 0; i < count; i++)
		session_begin(&conns[i]);
	loop(option.warmup + option.sessions);
	run.end = now();
	report_load();
	return 0;
}
