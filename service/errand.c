/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy requests between the loop, the pool and the gate. A request is all
 * that is known: each gets a session of its own, so that nothing of one client
 * is ever believed of another. It must not touch its peer on a thread of the
 * pool.
 */
#include "service/errand.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "gate/session.h"
#include "service/door.h"
#include "service/handover.h"
#include "service/peer.h"
#include "service/pool.h"
#include "service/request.h"

#define DEADLINE_MS 9500L /* identity.wait is 9 s at most */

/* At most identity.waiters callers wait for IMAP at once; so many threads more
 * never do. */
#define SPARE_THREADS 4

struct errand {
	struct job job;
	struct handover *handover;
	struct gate *gate;
	struct peer *peer; /* the loop's; NULL: nobody asks any more */
	struct event *deadline;
	struct request request; /* within text */
	/* under the handover's lock */
	struct notice notice;
	bool abandoned;
	struct answer answer;
	char text[];
};

void
errand_lost(struct gate *gate, struct answer *answer_r)
{
	struct rules *rules = gate_rules_ref(gate);

	session_lost(answer_r);
	if (rules->conf->policy.mode == MODE_OBSERVE)
		answer_r->verdict = VERDICT_PERMIT;
	gate_rules_unref(gate, rules);
}

static bool
this_door_counts(struct gate *gate)
{
	struct rules *rules = gate_rules_ref(gate);
	bool count = rules->conf->delegation.count;

	gate_rules_unref(gate, rules);
	return count;
}

/* A message is one, however often the MTA asks about it. */
static bool
is_mail_itself(const struct request *r)
{
	const char *state = r->values[REQUEST_PROTOCOL_STATE];

	return state != NULL && strcmp(state, "MAIL") == 0;
}

/* MAIL's rules. False: that was the decision. */
static bool
judge_mail(struct session *session, const struct request *r, bool rcpt,
    bool counts, struct answer *answer_r)
{
	const char *const args[] = { "SMTPUTF8", NULL };
	char path[REQUEST_PATH_MAX];
	const char *login = r->values[REQUEST_SASL_USERNAME];
	const struct mail_event event = {
		.path = path,
		.path_len = request_path(r->values[REQUEST_SENDER], path),
		/* the protocol does not say; the MTA sees to it */
		.args = args,
		.tls_version = r->values[REQUEST_ENCRYPTION_PROTOCOL],
		.cipher = r->values[REQUEST_ENCRYPTION_CIPHER],
		.cipher_bits = r->values[REQUEST_ENCRYPTION_KEYSIZE],
		.mechanism = r->values[REQUEST_SASL_METHOD],
		.login = login,
		.login_len = login != NULL ? strlen(login) : 0,
		.queue_id = r->values[REQUEST_QUEUE_ID],
		.counts = counts,
		.rcpt_follows = rcpt,
	};

	session_mail(session, &event, answer_r);
	return answer_r->decision.verdict == VERDICT_PERMIT;
}

static void
judge_rcpt(struct session *session, const struct request *r,
    struct answer *answer_r)
{
	char path[REQUEST_PATH_MAX];
	const struct rcpt_event event = {
		.path = path,
		.path_len = request_path(r->values[REQUEST_RECIPIENT], path),
		.queue_id = r->values[REQUEST_QUEUE_ID],
	};

	session_rcpt(session, &event, answer_r);
}

static void
judge(struct gate *gate, const struct request *r, struct answer *answer_r)
{
	const char *address = r->values[REQUEST_CLIENT_ADDRESS];
	bool rcpt = r->stage == REQUEST_AT_RCPT, counts;
	struct session *session;
	struct netaddr client;

	(void)netaddr_parse(address != NULL ? address : "", &client);
	session = session_new(gate, &client, r->values[REQUEST_POLICY_CONTEXT]);
	if (session == NULL) {
		errand_lost(gate, answer_r);
		return;
	}
	session_helo(session, r->values[REQUEST_HELO_NAME]);
	counts = (rcpt || is_mail_itself(r)) && this_door_counts(gate);
	if (judge_mail(session, r, rcpt, counts, answer_r) && rcpt)
		judge_rcpt(session, r, answer_r);
	if (answer_r->verdict == VERDICT_PERMIT)
		session_commit(session);
	session_free(&session);
}

static struct errand *
errand_of_job(struct job *job)
{
	return (struct errand *)((char *)job - offsetof(struct errand, job));
}

static struct errand *
errand_of_notice(struct notice *notice)
{
	return (
	    struct errand *)((char *)notice - offsetof(struct errand, notice));
}

/* On a thread of the pool. */
static void
work(struct job *job)
{
	struct errand *e = errand_of_job(job);
	struct handover *h = e->handover;
	struct answer answer;
	bool abandoned;

	handover_lock(h);
	abandoned = e->abandoned;
	handover_unlock(h);
	if (abandoned)
		session_lost(&answer);
	else
		judge(e->gate, &e->request, &answer);
	handover_lock(h);
	e->answer = answer;
	handover_announce(h, &e->notice, true);
	handover_leave(h);
}

static void
errand_free(struct errand *e)
{
	if (e->deadline != NULL)
		event_free(e->deadline);
	free(e);
}

static void
discard(struct notice *notice)
{
	errand_free(errand_of_notice(notice));
}

static void
finish(struct peer *peer, const struct answer *answer)
{
	peer->errand = NULL;
	peer->protocol->decide(peer, answer);
	peer_resume(peer);
	peer_settle(peer);
}

static void
take(struct notice *notice)
{
	struct errand *e = errand_of_notice(notice);

	handover_lock(e->handover);
	handover_receive(e->handover, notice);
	handover_unlock(e->handover);
	if (e->peer != NULL)
		finish(e->peer, &e->answer);
	errand_free(e);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct errand *e = arg;
	struct peer *peer = e->peer;
	struct answer answer;

	(void)fd;
	(void)what;
	errand_lost(e->gate, &answer);
	door_complain(peer->door, "refused for now", "no decision in time");
	peer->closing = true;
	errand_abandon(e);
	finish(peer, &answer);
}

void
errand_abandon(struct errand *e)
{
	e->peer = NULL;
	event_free(e->deadline);
	e->deadline = NULL;
	handover_lock(e->handover);
	e->abandoned = true;
	handover_unlock(e->handover);
}

static unsigned int
threads_wanted(struct gate *gate)
{
	struct rules *rules = gate_rules_ref(gate);
	unsigned int waiters = rules->conf->identity_waiters;

	gate_rules_unref(gate, rules);
	return waiters + SPARE_THREADS;
}

static int
start(struct errand *e)
{
	static const struct timeval patience = { DEADLINE_MS / 1000,
		DEADLINE_MS % 1000 * 1000 };

	e->deadline = evtimer_new(peer_base(e->peer), on_deadline, e);
	if (e->deadline == NULL || evtimer_add(e->deadline, &patience) != 0)
		return -1;
	handover_expect(e->handover);
	if (pool_submit(e->peer->door->house->pool, threads_wanted(e->gate),
		&e->job) != 0) {
		handover_excuse(e->handover);
		return -1;
	}
	return 0;
}

/* Nothing is ever rejected before MAIL (it would take STARTTLS and AUTH away
 * from the client), so there is nothing to judge. */
static void
let_greet(struct peer *peer)
{
	const struct answer answer = { .verdict = VERDICT_PERMIT };

	peer->protocol->decide(peer, &answer);
}

const char *
errand_begin(struct peer *peer, const char *text, size_t len)
{
	struct errand *e = calloc(1, sizeof(*e) + len);
	const char *wrong;

	if (e == NULL)
		return "out of memory";
	memcpy(e->text, text, len);
	wrong = request_parse(e->text, len, &e->request);
	if (wrong != NULL)
		goto out;
	if (e->request.stage == REQUEST_AT_GREETING) {
		let_greet(peer);
		goto out;
	}
	e->job.work = work;
	e->notice.take = take;
	e->notice.discard = discard;
	e->handover = peer_handover(peer);
	e->gate = peer_gate(peer);
	e->peer = peer;
	if (start(e) != 0) {
		wrong = "too many requests wait";
		goto out;
	}
	peer->errand = e;
	e = NULL;
out:
	if (e != NULL)
		errand_free(e);
	return wrong;
}
