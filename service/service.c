/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doors' house: sockets opened while there are the rights to, one thread
 * with one event loop for all of them, an orderly end. Nothing on that thread
 * may wait for anything but its events.
 */
#include "service/service.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "gate/auth.h"
#include "service/delegation.h"
#include "service/door.h"
#include "service/dovecot.h"
#include "service/http.h"
#include "service/listen.h"
#include "service/pool.h"
#include "service/saslauthd.h"

#define PEERS_MAX    4096
#define LOOK_MS      100
#define LOOKS        30 /* well within the ten seconds of Postfix */
#define POOL_STOP_MS 200

struct service {
	struct house house;
	struct door *doors;
	size_t door_count;
	struct http *http; /* NULL: no section */
	struct event *wake;
	struct event *end;
	struct event *look;
	unsigned int looks; /* for what there is to be offered */
	int end_fd;
	bool started;
	pthread_t thread;
};

static const struct protocol *
protocol_of(enum sasl_protocol protocol)
{
	switch (protocol) {
	case SASL_PROTOCOL_DOVECOT:
		return &dovecot_protocol;
	case SASL_PROTOCOL_SASLAUTHD:
		return &saslauthd_protocol;
	}
	return NULL;
}

static int
open_socket(struct door *d, unsigned int mode, const char *group_name,
    struct err *e)
{
	struct err why;
	gid_t group = (gid_t)-1;

	if (listen_unix_path(d->address) != NULL &&
	    listen_find_group(group_name, &group) != 0) {
		err_set(e, "%s: there is no group \"%s\"", d->label,
		    group_name);
		return -1;
	}
	d->fd = listen_open(d->address, mode, group, &why);
	if (d->fd < 0)
		err_set(e, "%s: %s", d->label, why.text);
	return d->fd < 0 ? -1 : 0;
}

/* -1: no memory. */
static int
name_door(struct door *d, const char *section, const char *title,
    const char *address)
{
	d->title = strdup(title);
	d->address = strdup(address);
	if (asprintf(&d->label, *title == '\0' ? "%s" : "%s \"%s\"", section,
		title) < 0)
		d->label = NULL;
	return d->title == NULL || d->address == NULL || d->label == NULL ? -1
									  : 0;
}

static struct door *
add_door(struct service *s, const struct protocol *protocol)
{
	struct door *d = &s->doors[s->door_count++];

	*d =
	    (struct door){ .house = &s->house, .protocol = protocol, .fd = -1 };
	return d;
}

static int
open_sasl(struct service *s, const struct conf_sasl *sasl, struct err *e)
{
	struct door *d = add_door(s, protocol_of(sasl->protocol));

	if (name_door(d, "sasl", sasl->name, sasl->listen) != 0) {
		err_set(e, "out of memory");
		return -1;
	}
	return open_socket(d, sasl->socket_mode, sasl->socket_group, e);
}

static int
open_delegation(struct service *s, const struct conf_delegation *delegation,
    struct err *e)
{
	struct door *d;

	if (delegation->listen == NULL)
		return 0;
	d = add_door(s, &delegation_protocol);
	s->house.pool = pool_new();
	if (s->house.pool == NULL ||
	    name_door(d, "delegation", "", delegation->listen) != 0) {
		err_set(e, "out of memory");
		return -1;
	}
	return open_socket(d, delegation->socket_mode, delegation->socket_group,
	    e);
}

static int
open_doors(struct service *s, const struct conf *conf, struct err *e)
{
	s->doors = calloc(conf->sasl_count + 1, sizeof(*s->doors));
	if (s->doors == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < conf->sasl_count; i++) {
		if (open_sasl(s, &conf->sasls[i], e) != 0)
			return -1;
	}
	if (open_delegation(s, &conf->delegation, e) != 0)
		return -1;
	return http_open(&conf->http, &s->http, e);
}

int
service_open(const struct conf *conf, struct service **service_r, struct err *e)
{
	struct service *s = calloc(1, sizeof(*s));

	*service_r = NULL;
	if (s == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	s->end_fd = -1;
	TAILQ_INIT(&s->house.peers);
	if (open_doors(s, conf, e) != 0) {
		service_stop(&s);
		return -1;
	}
	*service_r = s;
	return 0;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	handover_drain(arg);
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(arg);
}

/* MTAs go by the first offer that they hear, so whoever comes early waits in
 * the queue of the socket. */
static bool
has_to_wait(const struct door *d)
{
	return d->protocol == &dovecot_protocol;
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd;
	(void)what;
	if (!auth_offers_are_known(s->house.gate) && ++s->looks < LOOKS)
		return;
	(void)event_del(s->look);
	for (size_t i = 0; i < s->door_count; i++) {
		if (has_to_wait(&s->doors[i]))
			door_let_in(&s->doors[i]);
	}
}

static void *
run(void *arg)
{
	struct service *s = arg;
	struct peer *p;

	handover_enter(s->house.handover);
	(void)event_base_dispatch(s->house.base);
	while ((p = TAILQ_FIRST(&s->house.peers)) != NULL)
		peer_free(p);
	return NULL;
}

/* Half of the descriptors at most: the milter's sessions and IMAP need some. */
static size_t
peer_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur / 2 >= PEERS_MAX)
		return PEERS_MAX;
	return (size_t)limit.rlim_cur / 2;
}

/* -1: no memory. */
static int
open_for_peers(struct service *s)
{
	static const struct timeval soon = { 0, LOOK_MS * 1000L };

	for (size_t i = 0; i < s->door_count; i++) {
		if (door_open(&s->doors[i]) != 0)
			return -1;
		if (!has_to_wait(&s->doors[i]))
			door_let_in(&s->doors[i]);
	}
	event_active(s->look, EV_TIMEOUT, 0);
	return event_add(s->look, &soon);
}

static int
make_loop(struct service *s)
{
	struct house *h = &s->house;

	h->peer_max = peer_limit();
	h->base = event_base_new();
	h->handover = handover_new();
	s->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->base == NULL || h->handover == NULL || s->end_fd < 0)
		return -1;
	s->wake = event_new(h->base, handover_fd(h->handover),
	    EV_READ | EV_PERSIST, on_wake, h->handover);
	s->end = event_new(h->base, s->end_fd, EV_READ, on_end, h->base);
	s->look = event_new(h->base, -1, EV_PERSIST, on_look, s);
	if (s->wake == NULL || s->end == NULL || s->look == NULL ||
	    event_add(s->wake, NULL) != 0 || event_add(s->end, NULL) != 0 ||
	    open_for_peers(s) != 0)
		return -1;
	if (s->http != NULL && http_start(s->http, h->base, h->gate) != 0)
		return -1;
	return 0;
}

int
service_start(struct service *s, struct gate *gate)
{
	sigset_t all, before;
	int rc;

	if (s->door_count == 0 && s->http == NULL)
		return 0;
	s->house.gate = gate;
	if (make_loop(s) != 0)
		return -1;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, run, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = rc == 0;
	return rc == 0 ? 0 : -1;
}

static void
stop_thread(struct service *s)
{
	const uint64_t one = 1;

	if (!s->started)
		return;
	(void)!write(s->end_fd, &one, sizeof(one));
	(void)pthread_join(s->thread, NULL);
}

void
service_stop(struct service **service)
{
	struct service *s = *service;

	if (s == NULL)
		return;
	stop_thread(s);
	pool_close(&s->house.pool, POOL_STOP_MS);
	for (size_t i = 0; i < s->door_count; i++) {
		const char *address = s->doors[i].address;

		if (s->doors[i].fd >= 0 && listen_unix_path(address) != NULL)
			(void)unlink(listen_unix_path(address));
		door_close(&s->doors[i]);
	}
	http_close(&s->http);
	if (s->wake != NULL)
		event_free(s->wake);
	if (s->end != NULL)
		event_free(s->end);
	if (s->look != NULL)
		event_free(s->look);
	handover_close(&s->house.handover);
	if (s->end_fd >= 0)
		(void)close(s->end_fd);
	if (s->house.base != NULL)
		event_base_free(s->house.base);
	free(s->doors);
	free(s);
	*service = NULL;
}
