/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_REQUEST_H
#define POSTERN_SERVICE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* A request of Postfix's policy delegation protocol: lines NAME=VALUE, then an
 * empty one. Pure. */

/* The attributes that are looked at; all others are passed over. */
/* clang-format off */
#define REQUEST_TABLE(X) \
	X(REQUEST,             "request") \
	X(PROTOCOL_STATE,      "protocol_state") \
	X(CLIENT_ADDRESS,      "client_address") \
	X(HELO_NAME,           "helo_name") \
	X(POLICY_CONTEXT,      "policy_context") \
	X(QUEUE_ID,            "queue_id") \
	X(SENDER,              "sender") \
	X(RECIPIENT,           "recipient") \
	X(SASL_METHOD,         "sasl_method") \
	X(SASL_USERNAME,       "sasl_username") \
	X(ENCRYPTION_PROTOCOL, "encryption_protocol") \
	X(ENCRYPTION_CIPHER,   "encryption_cipher") \
	X(ENCRYPTION_KEYSIZE,  "encryption_keysize")
/* clang-format on */

enum request_attribute {
#define REQUEST_ENUM(id, name) REQUEST_##id,
	REQUEST_TABLE(REQUEST_ENUM)
#undef REQUEST_ENUM
	    REQUEST_ATTRIBUTES, /* not an attribute */
};

/* What the MTA is doing. */
enum request_stage {
	REQUEST_AT_UNKNOWN = 0,
	REQUEST_AT_GREETING, /* CONNECT, HELO, EHLO, VRFY, ETRN: nothing is
				rejected there */
	REQUEST_AT_MAIL, /* MAIL, DATA, BDAT, END-OF-MESSAGE: MAIL's rules */
	REQUEST_AT_RCPT,
};

struct request {
	enum request_stage stage;
	/* By attribute, in the text that was parsed; NULL: not given, or empty.
	 * An empty sender is one (the null sender) and is "". */
	const char *values[REQUEST_ATTRIBUTES];
};

#define REQUEST_LINE_MAX 4096

/* The length of the request that data begins with, its empty line included; 0:
 * its end is not there yet. */
size_t request_length(const char *data, size_t len);

/*
 * Parses a whole request of request_length() octets, which it divides by NULs.
 * NULL, or what is wrong with it (a fixed text): a NUL or a CR, a line without
 * NAME= or longer than REQUEST_LINE_MAX, one of the attributes above twice, a
 * `request` that is not smtpd_access_policy, an unknown stage, or one without
 * its sender or recipient.
 */
const char *request_parse(char *text, size_t len, struct request *request_r);

/* Room for any address of a request as a path. */
#define REQUEST_PATH_MAX (2 * REQUEST_LINE_MAX + 4)

/*
 * Makes of an address, as MTAs write it here, a path as policy/path.h reads it:
 * brackets, and quotes where the local part needs them. What is no address is
 * made no path. The length; path_r ends in NUL.
 */
size_t request_path(const char *address, char path_r[REQUEST_PATH_MAX]);

#endif
