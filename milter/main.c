/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * postern(8): the daemon's life from its options to its end. Threads: this one
 * waits for signals, one is libmilter's listener, one reloads and tends; the
 * log, the identity engine and the SASL service bring their own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "gate/gate.h"
#include "identity/version.h"
#include "milter/filter.h"
#include "milter/process.h"
#include "milter/socket.h"
#include "service/service.h"
#include "store/store.h"

#define TEND_SECONDS 5
#define STOP_MS      500 /* for each thing that the end waits for */
#define FORGET_MS    (STOP_MS / 2)

struct options {
	const char *file;
	bool foreground;
	bool test;
};

struct daemon {
	char *file; /* absolute */
	struct socket_names names;
	struct gate *gate;
	struct service *service;
	pthread_t server;
	pthread_t tender;
	atomic_bool failed;
	atomic_bool stopping;
	pthread_mutex_t lock; /* guards the two below */
	pthread_cond_t wanted;
	bool reload;
	bool tending;
};

static void
print_version(void)
{
	unsigned int major, minor, patch;

	filter_version(&major, &minor, &patch);
	(void)printf("postern %s\nlibmilter %u.%u.%u\n%s\n", PACKAGE_VERSION,
	    major, minor, patch, identity_version());
}

static void
usage(FILE *to)
{
	(void)fputs("usage: postern [-ft] [-c file]\n"
		    "       postern -V\n",
	    to);
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	o->file = DEFAULT_CONF_FILE;
	while ((c = getopt(argc, argv, "c:fhtV")) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 't':
			o->test = true;
			break;
		case 'V':
			print_version();
			exit(EX_OK);
		case 'h':
			usage(stdout);
			exit(EX_OK);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc) {
		usage(stderr);
		exit(2);
	}
}

/* The daemon may change its directory; a relative -c must survive that. Links
 * are not resolved: a reload follows them to where they lead then. */
static char *
absolute_path(const char *file)
{
	char *directory, *path = NULL;

	if (*file == '/')
		return strdup(file);
	directory = getcwd(NULL, 0);
	if (directory == NULL || asprintf(&path, "%s/%s", directory, file) < 0)
		path = NULL;
	free(directory);
	return path;
}

/* Only the store understands the whole of its URL. */
static void
check_store_url(const char *file, struct conf **conf)
{
	struct err e;

	if (!conf_needs_store(*conf) ||
	    store_check_url((*conf)->store_url, &e) == 0)
		return;
	(void)fprintf(stderr, "%s: error: store.url: %s\n", file, e.text);
	conf_free(conf);
}

/* loud: print warnings too, not only what ends the start. */
static struct conf *
load(const char *file, bool loud)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(file, &report);

	for (size_t i = 0; i < report.count && (loud || conf == NULL); i++)
		(void)fprintf(stderr, "%s\n", report.lines[i]);
	conf_report_clear(&report);
	if (conf != NULL)
		check_store_url(file, &conf);
	return conf;
}

static void __attribute__((noreturn)) fail(int status, const char *text)
{
	(void)fprintf(stderr, "postern: error: %s\n", text);
	exit(status);
}

static void *
serve(void *arg)
{
	struct daemon *d = arg;

	/* stopped before it began, libmilter calls that a failure */
	if (filter_run(d->gate) != 0 && !atomic_load(&d->stopping))
		atomic_store(&d->failed, true);
	(void)kill(getpid(), SIGTERM);
	return NULL;
}

static void
reload(struct daemon *d)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%ju",
	    (uintmax_t)gate_clock_us());
	process_notify(state);
	(void)gate_reload(d->gate, d->file);
	process_notify("READY=1");
}

/* Reloads when told and keeps the house between. */
static void *
tend(void *arg)
{
	struct daemon *d = arg;
	struct timespec at;

	(void)pthread_mutex_lock(&d->lock);
	while (d->tending) {
		bool wanted = d->reload;

		d->reload = false;
		(void)pthread_mutex_unlock(&d->lock);
		if (wanted)
			reload(d);
		gate_tend(d->gate, false);
		(void)pthread_mutex_lock(&d->lock);
		(void)clock_gettime(CLOCK_REALTIME, &at);
		at.tv_sec += TEND_SECONDS;
		if (d->tending && !d->reload)
			(void)pthread_cond_timedwait(&d->wanted, &d->lock, &at);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void
tell_tender(struct daemon *d, bool reload_wanted, bool tending)
{
	(void)pthread_mutex_lock(&d->lock);
	d->reload = reload_wanted;
	d->tending = tending;
	(void)pthread_cond_signal(&d->wanted);
	(void)pthread_mutex_unlock(&d->lock);
}

static void *
stop_server(void *arg)
{
	(void)arg;
	filter_stop();
	return NULL;
}

static void
add_ms(struct timespec *at, long ms)
{
	at->tv_nsec += ms * 1000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	    (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/*
 * libmilter's listener looks at its stop flag every five seconds, or when
 * somebody connects: so somebody does. Sessions in progress are cut by
 * libmilter in any case, and the MTA tempfails them. A reload that waits for
 * IMAP is not waited for.
 */
static void
stop(struct daemon *d)
{
	struct timespec end, next;
	pthread_t stopper;

	atomic_store(&d->stopping, true);
	if (gate_store(d->gate) != NULL)
		store_hurry(gate_store(d->gate), FORGET_MS);
	process_notify("STOPPING=1");
	tell_tender(d, false, false);
	service_stop(&d->service);
	if (process_thread(&stopper, stop_server, NULL) == 0)
		(void)pthread_detach(stopper);
	(void)clock_gettime(CLOCK_REALTIME, &next);
	end = next;
	add_ms(&end, STOP_MS);
	do {
		socket_poke(&d->names);
		add_ms(&next, 20);
	} while (pthread_timedjoin_np(d->server, NULL, &next) != 0 &&
	    is_before(&next, &end));
	(void)pthread_timedjoin_np(d->tender, NULL, &end);
	socket_remove(&d->names);
}

static void
wait_for_end(struct daemon *d)
{
	while (process_wait_signal() == SIGUSR1)
		tell_tender(d, true, true);
}

/* What cannot be read with the rights that a reload will have is told now. */
static struct conf *
ensure_readable(const char *file, struct conf *conf)
{
	if (conf_is_readable(conf))
		return conf;
	conf_free(&conf);
	conf = load(file, false);
	if (conf == NULL)
		fail(EX_CONFIG, "the configuration cannot be read as its user");
	return conf;
}

/* Takes the configuration. */
static struct gate *
open_gate(const char *file, struct conf *conf,
    const struct process_identity *identity)
{
	struct log *log = log_new(conf->log, conf->log_format);
	struct rules *rules;
	struct gate *gate;
	struct err e;

	if (log == NULL)
		fail(EX_OSERR, "out of memory");
	if (process_drop_privileges(identity, &e) != 0)
		fail(EX_NOPERM, e.text);
	process_forbid_core();
	rules = rules_new(ensure_readable(file, conf), NULL, log, &e);
	if (rules == NULL)
		fail(EX_OSERR, e.text);
	gate = gate_new(rules, log);
	if (gate == NULL)
		fail(EX_OSERR, "out of memory");
	if (gate_open_store(gate, &e) != 0)
		fail(EX_UNAVAILABLE, e.text);
	if (log_start(log) != 0)
		fail(EX_OSERR, "out of memory");
	return gate;
}

static void
begin(struct daemon *d)
{
	struct rules *rules = gate_rules_ref(d->gate);
	const struct conf *conf = rules->conf;

	log_event(gate_log(d->gate), LOG_LEVEL_INFO,
	    "postern %s serves %s with %s%s", PACKAGE_VERSION, d->names.listen,
	    d->file,
	    conf->policy.mode == MODE_OBSERVE
		? "; mode = observe: NOTHING IS GUARDED"
		: "");
	if (process_thread(&d->tender, tend, d) != 0 ||
	    process_thread(&d->server, serve, d) != 0)
		fail(EX_OSERR, "cannot start a thread");
	if (service_start(d->service, d->gate) != 0)
		fail(EX_OSERR, "cannot start the service");
	process_release(conf->log == LOG_TARGET_STDERR);
	process_notify("READY=1");
	gate_rules_unref(d->gate, rules);
}

static void
live(struct daemon *d)
{
	struct log *log = gate_log(d->gate);

	begin(d);
	wait_for_end(d);
	stop(d);
	gate_tend(d->gate, true);
	if (gate_store(d->gate) != NULL)
		(void)store_flush(gate_store(d->gate), STOP_MS);
	log_event(log, LOG_LEVEL_INFO, "stopped");
	log_flush(log);
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	struct process_identity identity;
	struct conf *conf;
	static struct daemon d = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.wanted = PTHREAD_COND_INITIALIZER,
		.tending = true };
	struct err e;

	process_fill_stdio();
	parse_options(argc, argv, &options);
	d.file = absolute_path(options.file);
	if (d.file == NULL)
		fail(EX_OSERR, "out of memory");
	conf = load(d.file, true);
	if (conf == NULL)
		return EX_CONFIG;
	if (options.test) {
		conf_free(&conf);
		free(d.file);
		return EX_OK;
	}
	if (process_resolve(conf, &identity, &e) != 0) {
		(void)fprintf(stderr, "%s: error: %s\n", d.file, e.text);
		conf_free(&conf);
		return EX_CONFIG;
	}
	process_raise_nofile();
	if (!options.foreground && process_detach(&e) != 0)
		fail(EX_OSERR, e.text);
	if (process_catch_signals(&e) != 0)
		fail(EX_OSERR, e.text);
	if (socket_open(conf, &identity, &d.names, &e) != 0)
		fail(EX_UNAVAILABLE, e.text);
	if (service_open(conf, &d.service, &e) != 0) {
		socket_remove(&d.names);
		fail(EX_UNAVAILABLE, e.text);
	}
	d.gate = open_gate(d.file, conf, &identity);
	process_identity_clear(&identity);
	live(&d);
	/* libmilter's workers may still run: nothing of theirs is freed. */
	_exit(atomic_load(&d.failed) ? EX_SOFTWARE : EX_OK);
}
