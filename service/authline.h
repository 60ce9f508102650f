/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_AUTHLINE_H
#define POSTERN_SERVICE_AUTHLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/netaddr.h"
#include "policy/sasl.h"

/* What an MTA says in Dovecot's authentication protocol, version 1. Pure. */
enum authline_command {
	AUTHLINE_BAD = 0, /* no such line */
	AUTHLINE_VERSION,
	AUTHLINE_CPID,
	AUTHLINE_AUTH,
	AUTHLINE_CONT,
	AUTHLINE_CANCEL,
};

struct authline {
	enum authline_command command;
	const char *why;    /* AUTHLINE_BAD: a fixed text */
	unsigned int major; /* VERSION */
	uint32_t id;        /* AUTH, CONT, CANCEL */
	/* AUTH. A mechanism that is not served is SASL_NONE; an address that
	 * is missing, stated twice or no address is NETADDR_NONE. */
	enum sasl_mechanism mechanism;
	struct netaddr client;
	bool secured;
	/* AUTH, CONT: the message in base64, as it came, borrowed from the
	 * line; length 0: none. */
	const char *message;
	size_t message_len;
};

/* Reads one line, without its line feed. */
enum authline_command authline_parse(const char *line, size_t len,
    struct authline *line_r);

#endif
