/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One authentication between the loop and the gate: asked on the loop's thread,
 * answered on any, brought back through a locked queue, held back by a timer.
 * It must not touch a peer from another thread, nor a relay that has ended:
 * therefore relays are spoken to under the lock that their end has to pass.
 */
#include "service/trial.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "service/peer.h"

#define PATIENCE_S 300 /* Postfix's smtpd_timeout */

struct handover {
	pthread_mutex_t lock;
	pthread_t loop;
	int wake_fd;
	bool woken;
	bool closed;
	size_t owed; /* ends that the gate owes */
	STAILQ_HEAD(, trial) news;
};

struct handover *
handover_new(void)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->wake_fd < 0) {
		free(h);
		return NULL;
	}
	(void)pthread_mutex_init(&h->lock, NULL);
	STAILQ_INIT(&h->news);
	return h;
}

int
handover_fd(const struct handover *h)
{
	return h->wake_fd;
}

void
handover_enter(struct handover *h)
{
	h->loop = pthread_self();
}

static void
handover_free(struct handover *h)
{
	(void)pthread_mutex_destroy(&h->lock);
	(void)close(h->wake_fd);
	free(h);
}

static void
trial_free(struct trial *a)
{
	if (a->timer != NULL)
		event_free(a->timer);
	free(a->challenge);
	OPENSSL_cleanse(a->name, sizeof(a->name));
	free(a);
}

/* Locked. An answer within the loop's own call is drained when that returns. */
static void
announce(struct handover *h, struct trial *a)
{
	const uint64_t one = 1;

	if (!a->queued)
		STAILQ_INSERT_TAIL(&h->news, a, news);
	a->queued = true;
	if (h->woken || pthread_equal(pthread_self(), h->loop) != 0)
		return;
	h->woken = true;
	(void)!write(h->wake_fd, &one, sizeof(one));
}

/* The gate speaks; on any thread. No memory for the challenge: NULL in its
 * place ends the attempt. */
static void
tell(void *arg, const char *challenge, const struct auth_answer *answer)
{
	struct trial *a = arg;
	struct handover *h = a->handover;
	bool last = false;

	(void)pthread_mutex_lock(&h->lock);
	free(a->challenge);
	a->challenge = challenge != NULL ? strdup(challenge) : NULL;
	if (answer != NULL) {
		a->answer = *answer;
		a->ended = true;
	}
	if (!h->closed) {
		announce(h, a);
	} else if (answer != NULL) {
		last = --h->owed == 0;
		trial_free(a);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (last)
		handover_free(h);
}

static void
tell_answer(void *arg, const struct auth_answer *answer)
{
	tell(arg, NULL, answer);
}

void
handover_close(struct handover **handover)
{
	struct handover *h = *handover;
	struct trial *a;
	bool last;

	if (h == NULL)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->closed = true;
	while ((a = STAILQ_FIRST(&h->news)) != NULL) {
		STAILQ_REMOVE_HEAD(&h->news, news);
		a->queued = false;
		if (a->ended) {
			h->owed--;
			trial_free(a);
		}
	}
	last = h->owed == 0;
	(void)pthread_mutex_unlock(&h->lock);
	if (last)
		handover_free(h);
	*handover = NULL;
}

static void
set_owed(struct trial *a, bool asked)
{
	(void)pthread_mutex_lock(&a->handover->lock);
	a->handover->owed += asked ? 1 : (size_t)-1;
	(void)pthread_mutex_unlock(&a->handover->lock);
	a->asked = asked;
}

/* Undecided: the MTA understands nothing but a closed connection. */
static void
give_up(struct trial *a)
{
	peer_cut(a->peer);
}

static void
deliver(struct trial *a)
{
	struct peer *peer = a->peer;

	if (a->answer.verdict == VERDICT_PERMIT ||
	    a->answer.verdict == VERDICT_REJECT)
		peer->protocol->answer(a, &a->answer);
	else
		give_up(a);
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
	if (a->ended)
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
	set_owed(a, false);
	if (a->peer == NULL) {
		trial_free(a);
		return;
	}
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
next_news(struct handover *h, char **challenge_r, bool *ended_r)
{
	struct trial *a;

	(void)pthread_mutex_lock(&h->lock);
	a = STAILQ_FIRST(&h->news);
	if (a != NULL) {
		STAILQ_REMOVE_HEAD(&h->news, news);
		a->queued = false;
		*challenge_r = a->challenge;
		a->challenge = NULL;
		*ended_r = a->ended;
	} else if (h->woken) {
		uint64_t count;

		(void)!read(h->wake_fd, &count, sizeof(count));
		h->woken = false;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return a;
}

void
handover_drain(struct handover *h)
{
	struct trial *a;
	char *challenge = NULL;
	bool ended = false;

	while ((a = next_news(h, &challenge, &ended)) != NULL) {
		struct peer *peer = a->peer;

		if (ended)
			take_end(a);
		else
			take_challenge(a, challenge);
		free(challenge);
		if (peer != NULL)
			peer_settle(peer);
	}
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
	(void)pthread_mutex_lock(&a->handover->lock);
	if (!a->ended)
		auth_relay_respond(a->relay, message, len);
	(void)pthread_mutex_unlock(&a->handover->lock);
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
	if (a->timer != NULL)
		(void)evtimer_del(a->timer);
	(void)pthread_mutex_lock(&h->lock);
	if (a->relay != NULL && !a->ended)
		auth_relay_cancel(a->relay);
	a->relay = NULL;
	(void)pthread_mutex_unlock(&h->lock);
}
