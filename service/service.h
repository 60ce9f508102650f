/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_SERVICE_H
#define POSTERN_SERVICE_SERVICE_H

#include <sys/types.h>

#include "conf/conf.h"
#include "gate/gate.h"
#include "policy/err.h"

/* The doors beside the milter: one thread with one event loop serves every
 * `sasl` section, the `delegation` section and the `http` section. */
struct service;

/*
 * Opens the sockets of all sections, with their modes and groups; for the
 * start, before privileges are dropped. A configuration without a section gives
 * a service that does nothing. -1 with the reason in e.
 */
int service_open(const struct conf *conf, struct service **service_r,
    struct err *e);
/* Starts the thread. gate is borrowed until service_stop(). -1: no thread. */
int service_start(struct service *service, struct gate *gate);
/*
 * Stops the thread, hangs up on everybody, removes the sockets; frees, nulls;
 * NULL is allowed. A policy request that waits for IMAP just then is left
 * behind with its thread, and with the gate that it uses: the process has to
 * end.
 */
void service_stop(struct service **service);

#endif
