/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_SERVICE_ERRAND_H
#define POSTERN_SERVICE_ERRAND_H

#include <stddef.h>

struct answer;
struct gate;
struct peer;

/* One policy request on its way through the gate, which may wait for IMAP: it
 * goes on a thread of the pool. It is its peer's until it is answered; if the
 * peer goes first, nobody's. All on the loop's thread. */
struct errand;

/* The request (request_length() octets, copied) is judged; the protocol's
 * decide() follows, from within the call or within ten seconds. NULL, or why
 * not (a fixed text). */
const char *errand_begin(struct peer *peer, const char *text, size_t len);
/* Its peer goes. */
void errand_abandon(struct errand *errand);

/* What becomes of a request that cannot be judged: refused for now, where
 * anything is refused at all. */
void errand_lost(struct gate *gate, struct answer *answer_r);

#endif
