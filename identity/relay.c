/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exchanges that are carried between a client and an IMAP server. None is
 * carried yet: every beginning is declined, which is what callers must be able
 * to live with anyway.
 */
#include "identity/identity.h"

struct identity_relay *
identity_relay_begin(struct identity_engine *engine,
    enum sasl_mechanism mechanism, const struct login *login,
    const char *initial, const struct netaddr *client,
    identity_relay_event *event, void *arg)
{
	(void)engine;
	(void)mechanism;
	(void)login;
	(void)initial;
	(void)client;
	(void)event;
	(void)arg;
	return NULL;
}

void
identity_relay_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	(void)relay;
	(void)login;
	(void)response;
}

void
identity_relay_cancel(struct identity_relay *relay)
{
	(void)relay;
}
