/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load for a milter: many SMTP sessions at once on one thread with epoll, one
 * milter connection each, in a closed loop with or without the pauses of a real
 * client. Reports rates, latencies and what the milter paid (CPU clock and
 * resident memory of its process). It must not judge: bench/run compares.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#include "tests/bench/load.h"
#include "tests/bench/mta.h"

#define BUFFER_SIZE 4096

struct conn {
	struct mta mta;
	int fd;
	uint64_t began, asked, due;
	struct conn *next; /* in the queue of those that pause */
	size_t have;
	unsigned char in[BUFFER_SIZE];
};

struct samples {
	uint32_t *us;
	size_t count, size;
};

static struct {
	const char *where;
	unsigned int connections;
	uint64_t pause; /* ns */
	size_t sessions, warmup;
	unsigned int idle;
	pid_t pid;
	bool outside;
	struct mta_client client;
} option = {
	.connections = 8,
	.sessions = 2000,
	.client = { .recipients = 1, .login_name = "alice@example.org" },
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
		load_give_up("process %ld is gone", (long)option.pid);
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
		load_give_up("%s: %s", path, strerror(errno));
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
			load_give_up("no memory");
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

/* ---- one session ---- */

static void session_next(struct conn *c);

static void
flush(struct conn *c)
{
	/* a step is far smaller than a socket buffer */
	ssize_t n = write(c->fd, c->mta.out, c->mta.length);

	if (n < 0 || (size_t)n != c->mta.length)
		load_give_up("the filter does not read: %s", strerror(errno));
	c->mta.length = 0;
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
			load_give_up("%s is too long", path);
		memcpy(to.local.sun_path, path, strlen(path) + 1);
	} else {
		char host[64];
		unsigned int port;

		if (sscanf(option.where, "inet:%u@%63s", &port, host) != 2 ||
		    inet_pton(AF_INET, host, &to.inet.sin_addr) != 1)
			load_give_up("%s is no socket", option.where);
		to.inet.sin_family = AF_INET;
		to.inet.sin_port = htons((uint16_t)port);
		len = sizeof(to.inet);
	}
	fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &to.any, len) != 0)
		load_give_up("%s: %s", option.where, strerror(errno));
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
		run.begin = load_now();
		run.cpu_begin = milter_cpu();
	}
	run.started++;
	c->fd = open_socket();
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		load_give_up("epoll: %s", strerror(errno));
	mta_begin(&c->mta, &option.client,
	    (option.outside || option.client.login ? 0xcb007100u
						   : 0x0a010000u) +
		(uint32_t)(run.started % 251));
	c->have = 0;
	c->began = c->asked = load_now();
	flush(c);
}

static void
session_end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	mta_end(&c->mta);
	run.done++;
	samples_add(&run.session, load_now() - c->began);
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
	c->due = load_now() + option.pause;
	c->next = NULL;
	if (run.first == NULL) {
		run.first = run.last = c;
		arm_timer();
	} else {
		run.last->next = c;
		run.last = c;
	}
}

/* Runs on to the next answer, pause or end. */
static void
session_run(struct conn *c)
{
	for (;;) {
		if (c->mta.step == STEP_QUIT) {
			(void)mta_take_step(&c->mta);
			flush(c);
			session_end(c);
			return;
		}
		if (mta_take_step(&c->mta)) {
			c->asked = load_now();
			flush(c);
			return;
		}
		mta_advance(&c->mta);
		/* like Postfix, keeps what nobody answers until it asks */
		if (option.pause > 0 && mta_waits_for_client(&c->mta)) {
			pause_conn(c);
			return;
		}
	}
}

static void
session_next(struct conn *c)
{
	mta_advance(&c->mta);
	if (option.idle > 0 && c->mta.step >= STEP_MAIL) {
		run.done++; /* stays as it is */
		return;
	}
	if (option.pause > 0 && mta_waits_for_client(&c->mta))
		pause_conn(c);
	else
		session_run(c);
}

static void
take_reply(struct conn *c, const unsigned char *data, size_t len)
{
	uint64_t took = load_now() - c->asked;

	samples_add(&run.reply, took);
	if (c->mta.step == STEP_NEGOTIATE) {
		if (mta_negotiated(&c->mta, data + 1, len - 1) != 0)
			load_give_up("the negotiation makes no sense");
	} else if (data[0] != SMFIR_CONTINUE) {
		run.refused++;
		if (!option.outside)
			load_give_up("step %d was answered '%c' %.*s",
			    (int)c->mta.step, data[0], (int)len - 1,
			    (const char *)data + 1);
		if (c->mta.step == STEP_MAIL)
			samples_add(&run.mail, took);
		c->mta.step = STEP_QUIT;
		session_run(c);
		return;
	}
	if (c->mta.step == STEP_MAIL)
		samples_add(&run.mail, took);
	else if (c->mta.step == STEP_RCPT)
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
		load_give_up("the filter closed a session after step %d",
		    (int)c->mta.step);
	c->have += (size_t)n;
	if (c->have < 5)
		return;
	memcpy(&len, c->in, sizeof(len));
	len = ntohl(len);
	if (len > sizeof(c->in) - 4)
		load_give_up("a reply of %u octets", len);
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
	while (run.first != NULL && run.first->due <= load_now()) {
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
			load_give_up("no answer for 20 s");
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

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr,
	    "usage: drive -s unix:PATH|inet:PORT@HOST [-P milter's-pid]\n"
	    "  [-c connections] [-n sessions] [-w warm-up sessions]\n"
	    "  [-p pause-ms] [-r recipients] [-k inside|outside|login]\n"
	    "  [-l login] [-i idle-connections] [-d]\n");
	exit(2);
}

static void
client_kind(const char *name)
{
	if (strcmp(name, "outside") == 0)
		option.outside = true;
	else if (strcmp(name, "login") == 0)
		option.client.login = true;
	else if (strcmp(name, "inside") != 0)
		usage();
}

static void
read_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:P:c:n:w:p:r:k:l:i:d")) != -1) {
		switch (o) {
		case 's':
			option.where = optarg;
			break;
		case 'P':
			option.pid = (pid_t)load_number(optarg);
			break;
		case 'c':
			option.connections = (unsigned int)load_number(optarg);
			break;
		case 'n':
			option.sessions = load_number(optarg);
			break;
		case 'w':
			option.warmup = load_number(optarg);
			break;
		case 'p':
			option.pause = load_number(optarg) * 1000000u;
			break;
		case 'r':
			option.client.recipients =
			    (unsigned int)load_number(optarg);
			break;
		case 'k':
			client_kind(optarg);
			break;
		case 'l':
			option.client.login_name = optarg;
			break;
		case 'i':
			option.idle = (unsigned int)load_number(optarg);
			break;
		case 'd': /* the default macros, whatever the filter wants */
			option.client.plain_offer = true;
			break;
		default:
			usage();
		}
	}
	if (option.where == NULL || optind != argc || option.connections == 0 ||
	    option.client.recipients == 0)
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
		load_give_up("epoll: %s", strerror(errno));
	count = option.idle > 0 ? option.idle : option.connections;
	conns = calloc(count, sizeof(*conns));
	if (conns == NULL)
		load_give_up("no memory");
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
	run.end = load_now();
	report_load();
	return 0;
}
