/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of the sections that listen beside the milter: where, and who may
 * connect. Two sections are never given one socket. It opens none.
 */
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/value.h"

/* Are these two names of one socket? "//" in a path is "/". */
static bool
same_socket(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		for (; a[0] == '/' && a[1] == '/'; a++)
			continue;
		for (; b[0] == '/' && b[1] == '/'; b++)
			continue;
		a++;
		b++;
	}
	return *a == *b;
}

/* The reason when a section that was read before has it; else "". */
static void
find_other(const struct conf *conf, const char *listen, char reason_r[128])
{
	*reason_r = '\0';
	if (conf->listen != NULL && same_socket(conf->listen, listen))
		(void)snprintf(reason_r, 128,
		    "is the milter's own socket (listen)");
	for (size_t i = 0; i < conf->sasl_count; i++) {
		const struct conf_sasl *s = &conf->sasls[i];

		if (s->listen != NULL && same_socket(s->listen, listen))
			(void)snprintf(reason_r, 128,
			    "is the socket of sasl \"%.80s\" too", s->name);
	}
	if (conf->delegation.listen != NULL &&
	    same_socket(conf->delegation.listen, listen))
		(void)snprintf(reason_r, 128, "is delegation.listen too");
}

void
load_refuse_shared(struct loader *l, unsigned int line, enum option option,
    const char *given, const char *listen)
{
	char reason[128];

	find_other(l->conf, listen, reason);
	if (*reason != '\0')
		load_refuse(l, line, option, given, reason);
}

static void
load_listen(struct loader *l, const struct block *b, enum option option,
    char **listen_r)
{
	char *listen = NULL;
	unsigned int line = block_line(b, option);

	if (!block_has(b, option)) {
		load_refuse_absence(l, b, option);
		return;
	}
	load_string(l, b, option, value_listen_local, &listen);
	if (listen == NULL)
		return;
	load_refuse_shared(l, line, option, listen, listen);
	*listen_r = listen;
}

static void
load_mode(struct loader *l, const struct block *b,
    const struct socket_options *o, const char *listen, unsigned int *mode_r)
{
	unsigned int line;
	const char *text = load_text(b, o->mode, &line);
	char label[OPTION_LABEL_MAX];
	struct err e = { "" };

	*mode_r = l->conf->socket_mode;
	option_label(o->mode, label);
	if (block_has(b, o->mode) && value_socket_mode(text, mode_r, &e) < 0)
		load_refuse(l, line, o->mode, text, e.text);
	else if ((*mode_r & 07) != 0 && listen != NULL &&
	    strncmp(listen, "unix:", 5) == 0)
		report_warning(&l->r, line, label,
		    "%04o lets everybody on this host %s", *mode_r, o->danger);
}

static void
load_group(struct loader *l, const struct block *b, enum option option,
    char **group_r)
{
	if (block_has(b, option)) {
		load_string(l, b, option, value_name, group_r);
	} else if (l->conf->socket_group != NULL) {
		*group_r = strdup(l->conf->socket_group);
		if (*group_r == NULL)
			report_no_memory(&l->r);
	}
}

void
load_access(struct loader *l, const struct block *b,
    const struct socket_options *o, const char *listen, unsigned int *mode_r,
    char **group_r)
{
	load_mode(l, b, o, listen, mode_r);
	load_group(l, b, o->group, group_r);
	account_warn_socket(l, b, o, listen, *group_r);
}

void
load_socket(struct loader *l, const struct block *b,
    const struct socket_options *o, char **listen_r, unsigned int *mode_r,
    char **group_r)
{
	load_listen(l, b, o->listen, listen_r);
	load_access(l, b, o, *listen_r, mode_r, group_r);
}

void
load_delegation(struct loader *l)
{
	static const struct socket_options options = {
		.listen = OPTION_DELEGATION_LISTEN,
		.mode = OPTION_DELEGATION_SOCKET_MODE,
		.group = OPTION_DELEGATION_SOCKET_GROUP,
		.danger = "ask who may send what, and say for any client",
	};
	struct conf_delegation *d = &l->conf->delegation;
	struct block b;

	if (document_block_count(l->document, SECTION_DELEGATION) == 0)
		return;
	b = document_block(l->document, SECTION_DELEGATION, 0);
	d->count = load_bool(l, &b, OPTION_DELEGATION_COUNT);
	load_socket(l, &b, &options, &d->listen, &d->socket_mode,
	    &d->socket_group);
}
