/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_GIVEAWAY_H
#define POSTERN_IDENTITY_GIVEAWAY_H

#include <stdbool.h>

#include "policy/sasl.h"

/*
 * Does the text hold the message (base64), or a piece of it, or of the password
 * or token in it? A server that repeats our command, or says which password was
 * wrong, would put it into the log. mechanism: of a client's message; SASL_NONE
 * or PLAIN for "authzid NUL authcid NUL password".
 */
bool giveaway_is_in(const char *text, enum sasl_mechanism mechanism,
    const char *message);

#endif
