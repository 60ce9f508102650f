/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sections `leases` and `http`: whether a login at IMAP lets somebody send,
 * and where such logins are reported. Who can report one can send as anybody,
 * so a door that strangers reach without a secret is an error. It opens none.
 */
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "policy/netset.h"

static void
take_except(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct err e = { "" };

	if (netset_add(arg, text, &e) < 0)
		report_error(&l->r, line, "leases.except", "%s", e.text);
}

static void
load_except(struct loader *l, const struct block *b)
{
	struct netset *set = netset_new();
	size_t errors = l->r.report->errors;
	struct err e = { "" };

	l->conf->policy.lease_except = set;
	if (set == NULL) {
		report_no_memory(&l->r);
		return;
	}
	load_list(l, b, OPTION_LEASES_EXCEPT, take_except, set);
	if (l->r.report->errors == errors && netset_seal(set, &e) < 0)
		report_error(&l->r, block_line(b, OPTION_LEASES_EXCEPT),
		    "leases.except",
		    "%s; allowed: each network once, and not everybody",
		    e.text);
}

void
load_leases(struct loader *l)
{
	struct block b = { .section = NULL, .title = "", .line = 1 };
	struct switches *switches = &l->conf->policy.switches;

	if (document_block_count(l->document, SECTION_LEASES) > 0)
		b = document_block(l->document, SECTION_LEASES, 0);
	switches->leases =
	    load_bool(l, &b, OPTION_LEASES_ENABLED) ? LEASES_ON : LEASES_OFF;
	switches->lease_tls = load_bool(l, &b, OPTION_LEASES_REQUIRE_TLS)
	    ? LEASE_TLS_REQUIRED
	    : LEASE_TLS_OPTIONAL;
	l->conf->lease_ttl_ms = load_duration(l, &b, OPTION_LEASES_TTL);
	load_except(l, &b);
}

/* "HOST:PORT" or "[ADDRESS]:PORT" as inet:PORT@HOST or inet6:PORT@ADDRESS;
 * "unix:PATH" as it is. The caller frees it. NULL: no memory. */
static char *
rewrite_listen(const char *text)
{
	const char *colon = strrchr(text, ':');
	char *listen = NULL;
	int n;

	if (strncmp(text, "unix:", 5) == 0 || colon == NULL)
		return strdup(text);
	if (*text == '[' && colon > text + 1 && colon[-1] == ']')
		n = asprintf(&listen, "inet6:%s@%.*s", colon + 1,
		    (int)(colon - text - 2), text + 1);
	else
		n = asprintf(&listen, "inet:%s@%.*s", colon + 1,
		    (int)(colon - text), text);
	return n < 0 ? NULL : listen;
}

static int
check_listen(const char *text, struct err *e)
{
	char *listen = rewrite_listen(text);
	struct err unused;
	int rc;

	if (listen == NULL) {
		err_set(e, "cannot be looked at: out of memory");
		return -1;
	}
	if (strncmp(text, "unix:", 5) == 0) {
		rc = value_listen(text, e);
	} else {
		rc = strncmp(text, "inet", 4) == 0 ||
			strncmp(text, "fd:", 3) == 0
		    ? -1
		    : value_listen(listen, &unused);
		if (rc != 0)
			err_set(e, "is no address and port");
	}
	free(listen);
	return rc;
}

static void
load_http_listen(struct loader *l, const struct block *b,
    struct conf_http *http)
{
	unsigned int line = block_line(b, OPTION_HTTP_LISTEN);
	char *text = NULL;

	load_string(l, b, OPTION_HTTP_LISTEN, check_listen, &text);
	if (text == NULL)
		return;
	http->listen = rewrite_listen(text);
	if (http->listen == NULL)
		report_no_memory(&l->r);
	else
		load_refuse_shared(l, line, OPTION_HTTP_LISTEN, text,
		    http->listen);
	free(text);
}

/* Who may report logins? */
static void
check_strangers(struct loader *l, const struct block *b,
    const struct conf_http *http)
{
	unsigned int line = block_line(b, OPTION_HTTP_LISTEN);
	struct err unused;

	if (http->listen == NULL || http->secret == NULL)
		return;
	if (*http->secret != '\0' || strncmp(http->listen, "unix:", 5) == 0)
		return;
	if (value_listen_local(http->listen, &unused) != 0)
		report_error(&l->r, line, "http.listen",
		    "without http.secret_file, whoever reaches it over the "
		    "network can send as anybody; allowed: a loopback address, "
		    "unix:PATH, or a secret_file");
	else
		report_warning(&l->r, line, "http.listen",
		    "without http.secret_file, every user of this host can "
		    "send as anybody");
}

void
load_http(struct loader *l)
{
	static const struct socket_options options = {
		.listen = OPTION_HTTP_LISTEN,
		.mode = OPTION_HTTP_SOCKET_MODE,
		.group = OPTION_HTTP_SOCKET_GROUP,
		.danger = "send as anybody",
	};
	struct conf_http *http = &l->conf->http;
	struct block b;

	if (document_block_count(l->document, SECTION_HTTP) == 0)
		return;
	b = document_block(l->document, SECTION_HTTP, 0);
	load_http_listen(l, &b, http);
	load_secret(l, &b, OPTION_HTTP_SECRET_FILE, "the secret",
	    &http->secret);
	load_access(l, &b, &options, http->listen, &http->socket_mode,
	    &http->socket_group);
	check_strangers(l, &b, http);
}
