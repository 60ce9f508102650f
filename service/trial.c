/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One authentication between the loop and the gate: asked on the loop's thread,
 * answered on any, brought back through a locked queue, held back by a timer.
 * It must not touch a peer from another thread, nor a relay that has ended:
 * therefore relays are spoken to under the lock that their end has to pass.
 */
#include "service/trial.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "service/peer.h"

#define PATIENCE_S 300ull /* Postfix's smtpd_timeout */

static void
trial_free(struct trial *a)
{
	if (a->timer != NULL)
		event_free(a->timer);
	free(a->challenge);
	OPENSSL_cleanse(a->name, sizeof(a->name));
	free(a);
}

/* The gate speaks; on any thread. No memory for the challenge: NULL in its
 * place ends the attempt. */
static void
tell(void *arg, const char *challenge, const struct auth_answer *answer)
{
	struct trial *a = arg;
	struct handover *h = a->handover;

	handover_lock(h);
	free(a->challenge);
	a->challenge = challenge != NULL ? strdup(challenge) : NULL;
	if (answer != NULL)
		a->answer = *answer;
	handover_announce(h, &a->notice, answer != NULL);
	handover_leave(h);
}

static void
tell_answer(void *arg, const struct auth_answer *answer)
{
	tell(arg, NULL, answer);
}

static void
set_owed(struct trial *a, bool asked)
{
	if (asked)
		handover_expect(a->handover);
	else
		handover_excuse(a->handover);
	a->asked = asked;
}

/* Undecided: the MTA understands nothing but a closed connection. */
static void
give_up(struct trial *a)
{
	peer_cut(a->peer);
}

static bool
is_undecided(const struct trial *a)
{
	return a->answer.verdict != VERDICT_PERMIT &&
	    a->answer.verdict != VERDICT_REJECT;
}

static void
deliver(struct trial *a)
{
	struct peer *peer = a->peer;

	if (is_undecided(a))
		give_up(a);
	else
		peer->protocol->answer(a, &a->answer);
	trial_drop(a);
}

/* Held back long enough, or the client was silent for too long. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct trial *a = arg;
	struct peer *peer = a->peer;
	struct handover *h = a->handover;

	(void)fd;
	(void)what;
	if (a->notice.ended && a->step == TRIAL_OURS)
		deliver(a);
	else
		trial_drop(a);
	peer_settle(peer);
	handover_drain(h);
}

/* -1: no memory. */
static int
start_timer(struct trial *a, uint64_t ms)
{
	const struct timeval after = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };

	if (a->timer == NULL)
		a->timer = evtimer_new(peer_base(a->peer), on_timer, a);
	if (a->timer == NULL || evtimer_add(a->timer, &after) != 0)
		return -1;
	return 0;
}

static void
take_end(struct trial *a)
{
	a->relay = NULL;
	a->asked = false;
	if (a->peer == NULL) {
		trial_free(a);
		return;
	}
	/* The client may be gone: MTAs do not say. Closing would hurt whoever
	 * logs in next, so that waits until it is heard of again. */
	if (a->step == TRIAL_RESPONSE && is_undecided(a))
		return;
	a->step = TRIAL_OURS;
	if (a->answer.delay_ms == 0) {
		deliver(a);
	} else if (start_timer(a, a->answer.delay_ms) != 0) {
		give_up(a);
		trial_drop(a);
	}
}

static void
take_challenge(struct trial *a, const char *challenge)
{
	if (a->peer == NULL)
		return;
	if (challenge == NULL) {
		give_up(a);
		trial_drop(a);
	} else if (a->peer->half_closed) {
		trial_drop(a); /* nobody can answer it */
	} else {
		trial_await(a, TRIAL_RESPONSE);
		a->peer->protocol->challenge(a, challenge);
	}
}

static struct trial *
trial_of(struct notice *notice)
{
	return (
	    struct trial *)((char *)notice - offsetof(struct trial, notice));
}

static void
take(struct notice *notice)
{
	struct trial *a = trial_of(notice);
	struct handover *h = a->handover;
	struct peer *peer = a->peer;
	char *challenge;
	bool ended;

	handover_lock(h);
	handover_receive(h, notice);
	challenge = a->challenge;
	a->challenge = NULL;
	ended = notice->ended;
	handover_unlock(h);
	if (ended)
		take_end(a);
	else
		take_challenge(a, challenge);
	free(challenge);
	if (peer != NULL)
		peer_settle(peer);
}

static void
discard(struct notice *notice)
{
	trial_free(trial_of(notice));
}

struct trial *
trial_new(struct peer *peer, uint32_t id, enum sasl_mechanism mechanism)
{
	struct trial *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		peer_cut(peer);
		return NULL;
	}
	a->handover = peer_handover(peer);
	a->notice.take = take;
	a->notice.discard = discard;
	a->peer = peer;
	a->id = id;
	a->mechanism = mechanism;
	TAILQ_INSERT_TAIL(&peer->trials, a, link);
	peer->trial_count++;
	return a;
}

void
trial_await(struct trial *a, enum trial_step step)
{
	a->step = step;
	if (start_timer(a, PATIENCE_S * 1000) != 0)
		give_up(a);
}

/* The client had its turn. */
static struct auth_client
hand_over(struct trial *a)
{
	a->step = TRIAL_OURS;
	if (a->timer != NULL)
		(void)evtimer_del(a->timer);
	return (struct auth_client){ .service = peer_title(a->peer),
		.mechanism = a->mechanism,
		.addr = &a->addr,
		.secured = a->secured };
}

void
trial_password(struct trial *a, const struct sasl_credentials *credentials)
{
	const struct auth_client client = hand_over(a);

	set_owed(a, true);
	auth_password(peer_gate(a->peer), &client, credentials, tell_answer, a);
}

void
trial_malformed(struct trial *a)
{
	const struct auth_client client = hand_over(a);

	set_owed(a, true);
	auth_malformed(peer_gate(a->peer), &client, tell_answer, a);
}

void
trial_relay(struct trial *a, const char *message, size_t len)
{
	const struct auth_client client = hand_over(a);

	set_owed(a, true);
	a->relay = auth_relay_begin(peer_gate(a->peer), &client, message, len,
	    tell, a);
	if (a->relay == NULL) {
		set_owed(a, false);
		give_up(a);
	}
}

void
trial_respond(struct trial *a, const char *message, size_t len)
{
	(void)hand_over(a);
	if (!a->asked) { /* it ended undecided in the meantime */
		deliver(a);
		return;
	}
	handover_lock(a->handover);
	if (!a->notice.ended)
		auth_relay_respond(a->relay, message, len);
	handover_unlock(a->handover);
}

void
trial_drop(struct trial *a)
{
	struct handover *h = a->handover;

	TAILQ_REMOVE(&a->peer->trials, a, link);
	a->peer->trial_count--;
	a->peer = NULL;
	if (!a->asked) {
		trial_free(a);
		return;
	}
	/* its end may come when the base is gone */
	if (a->timer != NULL)
		event_free(a->timer);
	a->timer = NULL;
	handover_lock(h);
	if (a->relay != NULL && !a->notice.ended)
		auth_relay_cancel(a->relay);
	a->relay = NULL;
	handover_unlock(h);
}
