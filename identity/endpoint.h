/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_ENDPOINT_H
#define POSTERN_IDENTITY_ENDPOINT_H

#include <stdbool.h>

#include "policy/err.h"

struct tls;

/* Where an IMAP server is. */
struct endpoint {
	char *name;    /* as the site writes it, for reports */
	char *url;     /* in the form that libcurl is given */
	bool starttls; /* imap://, STARTTLS required; else TLS from the start */
	char *host;    /* as its certificate has it */
	struct tls *tls; /* TLS from the start; made when first needed */
};

/* Reads imaps://HOST[:PORT] or imap://HOST[:PORT]. -1 with the reason in e. */
int endpoint_parse(const char *url, struct endpoint *endpoint_r, struct err *e);
void endpoint_clear(struct endpoint *endpoint);

#endif
