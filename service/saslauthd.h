/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_SASLAUTHD_H
#define POSTERN_SERVICE_SASLAUTHD_H

#include "service/peer.h"

/* The server side of saslauthd(8)'s protocol, as Cyrus SASL (sendmail, Postfix)
 * and Exim speak it: one request a connection, no client address. */
extern const struct protocol saslauthd_protocol;

#endif
