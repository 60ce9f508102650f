/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a question: made, shared, answered, gone. It must not outlive its
 * answer with a password in it, and must never call anybody back with the lock
 * held.
 */
#include "identity/engine.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

struct check *
check_new(struct backend *b, enum check_kind kind, const char *login)
{
	struct check *check = calloc(1, sizeof(*check));

	if (check == NULL)
		return NULL;
	if (login != NULL)
		memcpy(check->login, login, strlen(login) + 1);
	check->kind = kind;
	check->backend = b;
	check->refs = 1;
	check->deadline_ms = engine_now_ms() + b->timeout_ms;
	STAILQ_INIT(&check->waiters);
	if (kind == CHECK_ACCOUNT &&
	    pthread_cond_init(&check->answered, &b->engine->monotonic) != 0) {
		free(check);
		return NULL;
	}
	return check;
}

static void
wipe_password(struct check *check)
{
	if (check->password == NULL)
		return;
	OPENSSL_cleanse(check->password, strlen(check->password));
	free(check->password);
	check->password = NULL;
}

void
check_release(struct check *check)
{
	if (--check->refs > 0)
		return;
	wipe_password(check);
	if (check->kind == CHECK_ACCOUNT)
		(void)pthread_cond_destroy(&check->answered);
	free(check);
}

static void
answer_waiters(struct check *check, struct identity_verdict verdict)
{
	struct identity_engine *engine = check->backend->engine;
	struct waiter *w;

	HASH_DELETE(hh, engine->verifying, check);
	wipe_password(check);
	while (!STAILQ_EMPTY(&check->waiters)) {
		w = STAILQ_FIRST(&check->waiters);
		STAILQ_REMOVE_HEAD(&check->waiters, link);
		w->verdict = verdict;
		STAILQ_INSERT_TAIL(&engine->answered, w, link);
	}
}

void
check_answer(struct check *check, enum identity answer)
{
	struct identity_engine *engine = check->backend->engine;
	struct identity_verdict verdict = { .identity = answer };

	if (check->kind == CHECK_PASSWORD) {
		if (answer == IDENTITY_UNKNOWN)
			verdict = verify_undecided(check->backend, check->tag);
		answer_waiters(check, verdict);
	} else if (check->kind == CHECK_RELAY) {
		relay_end(check->relay, answer);
	} else if (check->kind == CHECK_ACCOUNT && !check->probe) {
		HASH_DELETE(hh, engine->in_flight, check);
		check->answer = answer;
		check->done = true;
		pthread_cond_broadcast(&check->answered);
	}
	check_release(check);
}

void
check_decline(struct check *check)
{
	const struct identity_verdict verdict = { .declined = true };

	answer_waiters(check, verdict);
	check_release(check);
}

void
check_deliver(struct identity_engine *engine)
{
	struct waiter_list answered = STAILQ_HEAD_INITIALIZER(answered);
	struct waiter *w;

	pthread_mutex_lock(&engine->lock);
	STAILQ_CONCAT(&answered, &engine->answered);
	STAILQ_FOREACH(w, &answered, link)
		engine->verifiers--;
	pthread_mutex_unlock(&engine->lock);
	while (!STAILQ_EMPTY(&answered)) {
		w = STAILQ_FIRST(&answered);
		STAILQ_REMOVE_HEAD(&answered, link);
		w->done(w->arg, &w->verdict);
		free(w);
	}
	relay_deliver(engine);
}
