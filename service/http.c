/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP, read by libevent: who reports logins, may they, and which answer they
 * get. What a report means is feed.c's business, and whether it gives a lease
 * lease.c's. Neither the secret nor anything of a request's is ever logged.
 */
#include "service/http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "conf/value.h"
#include "gate/feed.h"
#include "gate/log.h"
#include "service/listen.h"

#define BODY_MAX            65536
#define HEADERS_MAX         16384
#define IDLE_SECONDS        5
#define REST_SECONDS        1
#define COMPLAINTS          5 /* within a minute */
#define COMPLAINT_WINDOW_MS 60000
#define LEASE_PATH          "/lease"
#define DIGEST_SIZE         32

struct http {
	int fd; /* -1: the listener's */
	char *address;
	bool local; /* only this host can connect */
	struct gate *gate;
	struct evhttp *server;
	struct evconnlistener *listener;
	struct event *rest;
	uint64_t complained_ms; /* when the minute began */
	unsigned int complaints;
};

static int
open_socket(struct http *h, const struct conf_http *conf, struct err *e)
{
	struct err why;
	gid_t group = (gid_t)-1;

	h->address = strdup(conf->listen);
	if (h->address == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	h->local = value_listen_local(conf->listen, &why) == 0;
	if (listen_unix_path(conf->listen) != NULL &&
	    listen_find_group(conf->socket_group, &group) != 0) {
		err_set(e, "http: there is no group \"%s\"",
		    conf->socket_group);
		return -1;
	}
	h->fd = listen_open(conf->listen, conf->socket_mode, group, &why);
	if (h->fd < 0)
		err_set(e, "http: %s", why.text);
	return h->fd < 0 ? -1 : 0;
}

int
http_open(const struct conf_http *conf, struct http **http_r, struct err *e)
{
	struct http *h;

	*http_r = NULL;
	if (conf->listen == NULL)
		return 0;
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	h->fd = -1;
	if (open_socket(h, conf, e) != 0) {
		http_close(&h);
		return -1;
	}
	*http_r = h;
	return 0;
}

/* Both are fixed texts; a few times a minute. */
static void
complain(struct http *h, const char *what, const char *why)
{
	struct log *log = gate_log(h->gate);
	uint64_t now = gate_clock_us() / 1000;

	if (log == NULL)
		return;
	if (h->complained_ms == 0 ||
	    now - h->complained_ms >= COMPLAINT_WINDOW_MS) {
		if (h->complaints > COMPLAINTS)
			log_event(log, LOG_LEVEL_WARNING,
			    "http: and %u times more",
			    h->complaints - COMPLAINTS);
		h->complained_ms = now;
		h->complaints = 0;
	}
	if (h->complaints++ < COMPLAINTS)
		log_event(log, LOG_LEVEL_WARNING, "http: %s: %s", what, why);
}

static void
answer(struct evhttp_request *request, int code, const char *phrase,
    const char *text)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	(void)evhttp_add_header(headers, "Content-Type", "application/json");
	(void)evhttp_add_header(headers, "Connection", "close");
	if (code == 401)
		(void)evhttp_add_header(headers, "WWW-Authenticate", "Bearer");
	if (code == 405)
		(void)evhttp_add_header(headers, "Allow", "POST");
	if (body != NULL)
		(void)evbuffer_add(body, text, strlen(text));
	evhttp_send_reply(request, code, phrase, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void
answer_empty(struct evhttp_request *request, int code, const char *phrase)
{
	answer(request, code, phrase, "");
}

static int
digest(const char *text, unsigned char digest_r[DIGEST_SIZE])
{
	size_t len = 0;

	return EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest_r,
		   &len) == 1 &&
		len == DIGEST_SIZE
	    ? 0
	    : -1;
}

/* Takes as long whatever is wrong with it. */
static bool
same_secret(const char *a, const char *b)
{
	unsigned char of_a[DIGEST_SIZE], of_b[DIGEST_SIZE];

	return a != NULL && digest(a, of_a) == 0 && digest(b, of_b) == 0 &&
	    CRYPTO_memcmp(of_a, of_b, DIGEST_SIZE) == 0;
}

static const char *
bearer_of(struct evhttp_request *request)
{
	static const char scheme[] = "Bearer ";
	const char *value = evhttp_find_header(
	    evhttp_request_get_input_headers(request), "Authorization");

	if (value == NULL ||
	    strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	return value + sizeof(scheme) - 1;
}

/* A door that more than this host can reach is never open without a secret,
 * whatever a reload has made of the section. */
static bool
may_report(const struct http *h, const char *secret,
    struct evhttp_request *request, const char *in_path)
{
	if (*secret == '\0')
		return h->local;
	return same_secret(bearer_of(request), secret) ||
	    same_secret(in_path, secret);
}

/* "/lease", "/lease/SECRET": what is after the slash, or NULL; false for other
 * paths. */
static bool
is_lease_path(const char *path, const char **secret_r)
{
	const size_t len = sizeof(LEASE_PATH) - 1;

	*secret_r = NULL;
	if (path == NULL || strncmp(path, LEASE_PATH, len) != 0)
		return false;
	if (path[len] == '/')
		*secret_r = path + len + 1;
	return path[len] == '\0' || path[len] == '/';
}

enum command { COMMAND_NONE, COMMAND_REPORT, COMMAND_OTHER };

/* auth_policy asks before a login, too: nobody here has an objection. Dovecot
 * adds its parameter to whatever query the URL has. */
static enum command
command_of(const struct evhttp_uri *uri)
{
	static const char name[] = "command=", report[] = "report";
	const char *at = evhttp_uri_get_query(uri);
	size_t len;

	while (at != NULL && strncmp(at, name, sizeof(name) - 1) != 0) {
		at = strchr(at, '&');
		if (at != NULL)
			at++;
	}
	if (at == NULL)
		return COMMAND_NONE;
	at += sizeof(name) - 1;
	len = strcspn(at, "&");
	return len == sizeof(report) - 1 && memcmp(at, report, len) == 0
	    ? COMMAND_REPORT
	    : COMMAND_OTHER;
}

static void
take_report(struct http *h, struct evhttp_request *request,
    enum command command)
{
	static const char fine[] = "{\"status\":0,\"msg\":\"\"}";
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	size_t len = evbuffer_get_length(body);
	const char *text = (const char *)evbuffer_pullup(body, -1);
	enum feed feed = FEED_IGNORED;
	struct feed_login told;
	struct lease_login login;
	const char *why;

	if (command != COMMAND_OTHER)
		feed =
		    feed_json(text != NULL ? text : "", text != NULL ? len : 0,
			command == COMMAND_REPORT, &told, &why);
	if (feed == FEED_MALFORMED) {
		complain(h, "a malformed report", why);
		answer_empty(request, 400, "Bad Request");
		return;
	}
	if (feed == FEED_LOGIN) {
		login = feed_as_lease(&told);
		if (gate_lease_give(h->gate, &login, &why) == LEASE_FAILED) {
			complain(h, "no lease given", why);
			answer_empty(request, 503, "Service Unavailable");
			return;
		}
	}
	answer(request, 200, "OK", fine);
}

static void
on_request(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	struct http *h = arg;
	struct rules *rules;
	const char *in_path;
	bool known, allowed;

	known =
	    uri != NULL && is_lease_path(evhttp_uri_get_path(uri), &in_path);
	if (!known) {
		answer_empty(request, 404, "Not Found");
		return;
	}
	if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
		answer_empty(request, 405, "Method Not Allowed");
		return;
	}
	rules = gate_rules_ref(h->gate);
	allowed = rules->conf->http.secret != NULL &&
	    may_report(h, rules->conf->http.secret, request, in_path);
	gate_rules_unref(h->gate, rules);
	if (!allowed) {
		complain(h, "a report was refused", "without the secret");
		answer_empty(request, 401, "Unauthorized");
		return;
	}
	take_report(h, request, command_of(uri));
}

/* Every second, whether it rests or not. */
static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;

	(void)fd;
	(void)what;
	(void)evconnlistener_enable(h->listener);
}

static void
rest(struct http *h)
{
	complain(h, "nobody is let in", "too many descriptors are in use");
	(void)evconnlistener_disable(h->listener);
}

/* Out of descriptors or memory: trying again at once would spin. arg is
 * evhttp's. */
static void
on_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	(void)evconnlistener_disable(listener);
}

/* Three quarters of the descriptors are the most that are in use when this door
 * lets somebody in; the lowest free one tells how many are. */
static bool
descriptors_are_short(void)
{
	struct rlimit limit;
	int fd = dup(STDERR_FILENO);

	if (fd < 0)
		return true;
	(void)close(fd);
	return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    (rlim_t)fd >= limit.rlim_cur / 4 * 3;
}

/* evhttp counts no connections; it says of each new one only this. NULL: it
 * makes its own. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	(void)base;
	if (descriptors_are_short())
		rest(arg);
	return NULL;
}

int
http_start(struct http *h, struct event_base *base, struct gate *gate)
{
	const struct timeval second = { REST_SECONDS, 0 };

	h->gate = gate;
	h->server = evhttp_new(base);
	h->rest = event_new(base, -1, EV_PERSIST, on_rested, h);
	if (h->server == NULL || h->rest == NULL)
		return -1;
	evhttp_set_max_body_size(h->server, BODY_MAX);
	evhttp_set_max_headers_size(h->server, HEADERS_MAX);
	evhttp_set_timeout(h->server, IDLE_SECONDS);
	evhttp_set_allowed_methods(h->server,
	    EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
		EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
		EVHTTP_REQ_PATCH);
	evhttp_set_gencb(h->server, on_request, h);
	evhttp_set_bevcb(h->server, on_connection, h);
	h->listener = evconnlistener_new(base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, h->fd);
	if (h->listener == NULL)
		return -1;
	h->fd = -1;
	evconnlistener_set_error_cb(h->listener, on_error);
	if (evhttp_bind_listener(h->server, h->listener) != NULL)
		return event_add(h->rest, &second);
	evconnlistener_free(h->listener);
	h->listener = NULL;
	return -1;
}

void
http_close(struct http **http)
{
	struct http *h = *http;

	if (h == NULL)
		return;
	*http = NULL;
	if ((h->fd >= 0 || h->listener != NULL) &&
	    listen_unix_path(h->address) != NULL)
		(void)unlink(listen_unix_path(h->address));
	if (h->rest != NULL)
		event_free(h->rest);
	if (h->server != NULL)
		evhttp_free(h->server); /* and its listener */
	if (h->fd >= 0)
		(void)close(h->fd);
	free(h->address);
	free(h);
}
