/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Is it this login's password?" What is remembered answers at once; the rest
 * waits for its server, equal questions together. It must never wait itself,
 * call back with the lock held, or remember what was not decided.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "identity/engine.h"
#include "identity/route.h"
#include "policy/sasl.h"

#define VERIFIERS_MAX 16384 /* callbacks under way */
/* Something is left of an attempt for those who asked. */
#define ANSWER_MS 200

static int
make_tag(const struct login *login, const char *password, size_t len,
    unsigned char tag_r[SECRET_TAG_LEN])
{
	const struct secret_part parts[] = {
		{ login->text, strlen(login->text) },
		{ password, len },
	};

	return secret_tag(parts, 2, tag_r);
}

/* What answers are remembered by. A server that is told the client's address
 * may decide by it: then they are about that address only. (A login has one
 * server, so that its name is not needed.) */
static int
tag_of(const struct backend *b, const struct identity_password *q,
    unsigned char tag_r[SECRET_TAG_LEN])
{
	char address[NETADDR_TEXT_MAX];
	struct secret_part parts[] = {
		{ q->login->text, strlen(q->login->text) },
		{ q->password, q->len },
		{ address, 0 },
	};

	if (b->forward_client && q->client != NULL) {
		netaddr_format(q->client, address);
		parts[2].len = strlen(address);
		return secret_tag(parts, 3, tag_r);
	}
	if (q->tag == NULL)
		return make_tag(q->login, q->password, q->len, tag_r);
	memcpy(tag_r, q->tag, SECRET_TAG_LEN);
	return 0;
}

void
identity_tag(const struct login *login, const char *password, size_t len,
    unsigned char tag_r[IDENTITY_TAG_LEN])
{
	static atomic_uint_fast64_t number;
	uint64_t n;

	if (make_tag(login, password, len, tag_r) == 0)
		return;
	/* What cannot be compared is different from all others. */
	n = atomic_fetch_add(&number, 1);
	memset(tag_r, 0, IDENTITY_TAG_LEN);
	memcpy(tag_r, &n, sizeof(n));
}

struct identity_verdict
verify_undecided(struct backend *b, const unsigned char tag[SECRET_TAG_LEN])
{
	struct identity_engine *engine = b->engine;
	struct identity_verdict verdict = { .identity = IDENTITY_UNKNOWN };

	if (engine->stopping ||
	    !remember_graces(engine->remember, tag, engine_now_ms()))
		return verdict;
	b->graced++;
	verdict.identity = IDENTITY_VERIFIED;
	verdict.remembered = true;
	verdict.graced = true;
	return verdict;
}

bool
verify_is_wanted(struct check *check)
{
	struct backend *b = check->backend;
	struct waiter *w;
	bool wanted = false;

	pthread_mutex_lock(&b->engine->lock);
	/* others may join meanwhile, but only this thread takes any away */
	for (w = STAILQ_FIRST(&check->waiters); w != NULL && !wanted;
	     w = STAILQ_NEXT(w, link)) {
		pthread_mutex_unlock(&b->engine->lock);
		wanted = w->admit == NULL || w->admit(w->arg);
		pthread_mutex_lock(&b->engine->lock);
	}
	if (!wanted) {
		queue_end(check);
		breaker_neither(&b->password_breaker);
		check_decline(check);
	}
	pthread_mutex_unlock(&b->engine->lock);
	return wanted;
}

/* The question that others ask already, or a new one at the end of the queue.
 * NULL: it will not be asked. Locked. */
static struct check *
find_or_enqueue(struct backend *b, const struct identity_password *q,
    const unsigned char tag[SECRET_TAG_LEN])
{
	struct identity_engine *engine = b->engine;
	uint64_t now = engine_now_ms();
	struct check *check;

	HASH_FIND(hh, engine->verifying, tag, SECRET_TAG_LEN, check);
	if (check != NULL)
		return check;
	check = check_new(b, CHECK_PASSWORD, q->login->text);
	if (check == NULL)
		return NULL;
	check->password = calloc(1, q->len + 1);
	if (check->password == NULL)
		goto fail;
	memcpy(check->password, q->password, q->len);
	memcpy(check->tag, tag, SECRET_TAG_LEN);
	if (q->client != NULL)
		check->client = *q->client;
	check->deadline_ms = now + IDENTITY_ATTEMPT_MS - ANSWER_MS;
	HASH_ADD(hh, engine->verifying, tag, SECRET_TAG_LEN, check);
	if (check->hh.tbl == NULL)
		goto fail;
	if (queue_put(check) != 0)
		goto fail_known;
	if (!breaker_admits(&b->password_breaker, now)) {
		queue_leave(check);
		goto fail_known;
	}
	engine_wake(engine);
	return check;
fail_known:
	HASH_DELETE(hh, engine->verifying, check);
fail:
	check_release(check);
	return NULL;
}

/* True: done will be called. Locked. */
static bool
join(struct backend *b, const struct identity_password *q,
    const unsigned char tag[SECRET_TAG_LEN], identity_done *done, void *arg)
{
	struct identity_engine *engine = b->engine;
	struct waiter *w;
	struct check *check;

	if (engine->stopping || engine->verifiers >= VERIFIERS_MAX)
		return false;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return false;
	check = find_or_enqueue(b, q, tag);
	if (check == NULL) {
		free(w);
		return false;
	}
	w->done = done;
	w->admit = q->admit;
	w->arg = arg;
	STAILQ_INSERT_TAIL(&check->waiters, w, link);
	engine->verifiers++;
	return true;
}

/* True: done will be called. False: this is the verdict. */
static bool
ask(struct backend *b, const struct identity_password *q, identity_done *done,
    void *arg, struct identity_verdict *verdict_r)
{
	struct identity_engine *engine = b->engine;
	unsigned char tag[SECRET_TAG_LEN];
	bool later = false;

	if (tag_of(b, q, tag) != 0)
		return false;
	pthread_mutex_lock(&engine->lock);
	verdict_r->identity =
	    remember_get(engine->remember, tag, engine_now_ms());
	verdict_r->remembered = verdict_r->identity != IDENTITY_UNKNOWN;
	if (!verdict_r->remembered)
		later = join(b, q, tag, done, arg);
	if (!later &&
	    (!verdict_r->remembered ||
		(b->canary_refused &&
		    verdict_r->identity != IDENTITY_VERIFIED))) {
		*verdict_r = verify_undecided(b, tag);
		if (verdict_r->graced)
			engine_wake(engine); /* it is reported there */
	}
	pthread_mutex_unlock(&engine->lock);
	return later;
}

void
identity_verify(struct identity_engine *engine,
    const struct identity_password *q, identity_done *done, void *arg)
{
	struct backend *b = engine_backend(engine, q->login);
	struct identity_verdict verdict = { .identity = IDENTITY_UNKNOWN };

	if (b == NULL || route_is_ambiguous(q->login) ||
	    route_is_master(b->master_separator, q->login) ||
	    !sasl_password_fits(q->password, q->len))
		verdict.identity = IDENTITY_REFUSED;
	else if (ask(b, q, done, arg, &verdict))
		return;
	done(arg, &verdict);
}
