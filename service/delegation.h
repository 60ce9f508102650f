/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_DELEGATION_H
#define POSTERN_SERVICE_DELEGATION_H

#include "service/peer.h"

/* Postfix's policy delegation protocol (SMTPD_POLICY_README), the server's
 * side; Exim's ACLs speak it by readsocket. */
extern const struct protocol delegation_protocol;

#endif
