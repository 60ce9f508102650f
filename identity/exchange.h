/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_EXCHANGE_H
#define POSTERN_IDENTITY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "identity/dialogue.h"
#include "identity/endpoint.h"
#include "identity/transport.h"

/* One dialogue carried over one new TLS connection. */
struct exchange;

/*
 * Called once, from the event loop, never from exchange_new(): the dialogue is
 * over, or why (else NULL) says what failed. The exchange is then to be freed.
 */
typedef void exchange_done(void *arg, const char *why);

/*
 * Connects to the endpoint (whose certificate must be good for its name under
 * ca_file, and under nothing else), then asks. endpoint, ca_file and question
 * are borrowed until it is freed. NULL: no memory.
 */
struct exchange *exchange_new(struct transport *transport,
    struct endpoint *endpoint, const char *ca_file,
    const struct dialogue_question *question, uint64_t timeout_ms,
    exchange_done *done, void *arg);
/* A server's challenge to the client (base64, borrowed), from the event loop;
 * the clock stands still until exchange_respond(). It must not free the
 * exchange. */
typedef void exchange_challenge(void *arg, const char *challenge);
/* Who is told of challenges. Of a DIALOGUE_RELAY; without it none gets
 * through. */
void exchange_carry(struct exchange *exchange, exchange_challenge *challenge);
/* The client's answer; the server has timeout_ms for its own. May report that
 * the exchange is over. */
void exchange_respond(struct exchange *exchange, const char *response,
    uint64_t timeout_ms);
/* The client gives up: says so if the server waits for it. To be freed then.
 * NULL is allowed. */
void exchange_cancel(struct exchange *exchange);

/* Closes at once, without a word; frees, nulls; NULL is allowed. */
void exchange_free(struct exchange **exchange);

const struct dialogue *exchange_dialogue(const struct exchange *exchange);

#endif
