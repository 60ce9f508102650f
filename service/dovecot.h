/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_DOVECOT_H
#define POSTERN_SERVICE_DOVECOT_H

#include "service/peer.h"

/* The server side of Dovecot's authentication protocol 1.2, as Postfix
 * (smtpd_sasl_type = dovecot) and Exim (driver = dovecot) speak it. */
extern const struct protocol dovecot_protocol;

#endif
