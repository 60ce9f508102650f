/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Postfix's policy delegation protocol, the server's side: a request, its
 * answer, the next request. It never says more for a client than "no
 * objection", so that the MTA's own rules still hold, but for the holder of a
 * lease, of whom the MTA knows nothing; and what cannot be read or judged is
 * refused for now, for a closed connection would leave the answer to the MTA's
 * settings.
 */
#include "service/delegation.h"

#include <string.h>

#include "gate/session.h"
#include "service/door.h"
#include "service/errand.h"
#include "service/request.h"

static void
greet(struct peer *p)
{
	(void)p;
}

static void
say(struct peer *p, const char *text)
{
	peer_write(p, text, strlen(text));
}

/* With mode = observe, what passes has not always been permitted. */
static bool
is_lease(const struct answer *answer)
{
	return answer->decision.verdict == VERDICT_PERMIT &&
	    answer->decision.reason == REASON_LEASE;
}

/* What the MTA is to do; see access(5). A reply begins with its code, and what
 * follows is shown to the client as it stands. */
static void
decide(struct peer *p, const struct answer *answer)
{
	say(p, "action=");
	if (answer->verdict == VERDICT_PERMIT) {
		say(p, is_lease(answer) ? "OK" : "DUNNO");
	} else {
		say(p, answer->reply.code);
		say(p, " ");
		say(p, answer->reply.xcode);
		say(p, " ");
		say(p, answer->reply.text);
	}
	say(p, "\n\n");
}

/* What comes after a request that makes no sense may be half of one. */
static void
refuse(struct peer *p, const char *why)
{
	struct answer answer;

	door_complain(p->door, "refused for now", why);
	errand_lost(peer_gate(p), &answer);
	decide(p, &answer);
	p->closing = true;
}

static size_t
take(struct peer *p, const char *data, size_t len)
{
	const char *at = data, *end = data + len, *why;
	size_t n;

	while (p->errand == NULL && !p->closing && !p->cut &&
	    (n = request_length(at, (size_t)(end - at))) > 0) {
		p->introduced = true;
		why = errand_begin(p, at, n);
		if (why != NULL)
			refuse(p, why);
		at += n;
	}
	if (p->closing)
		return len;
	if (memchr(at, '\r', (size_t)(end - at)) != NULL)
		peer_protocol_error(p, "a CR");
	return (size_t)(at - data);
}

const struct protocol delegation_protocol = {
	.greet = greet,
	.take = take,
	.decide = decide,
};
