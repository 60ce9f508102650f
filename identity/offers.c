/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which mechanisms a server offers: heard by the way when its greeting tells,
 * else asked for now and then, without a login. It must not take silence for an
 * offer.
 */
#include "identity/engine.h"

#include <event2/event.h>

#define AGAIN_MS     600000
#define RETRY_MIN_MS 1000 /* after a failure, then doubling */
#define RETRY_MAX_MS 30000

static void
schedule(struct backend *b, uint64_t ms)
{
	struct timeval tv = engine_timeval(ms);

	if (event_add(b->offers_again, &tv) != 0)
		alarm_note(b, IDENTITY_ALARM, "no memory for a timer");
}

static void
retry(struct backend *b)
{
	b->offers_retry_ms =
	    b->offers_retry_ms == 0 ? RETRY_MIN_MS : b->offers_retry_ms * 2;
	if (b->offers_retry_ms > RETRY_MAX_MS)
		b->offers_retry_ms = RETRY_MAX_MS;
	schedule(b, b->offers_retry_ms);
}

static void
time_has_come(evutil_socket_t fd, short what, void *arg)
{
	struct backend *b = arg;
	struct check *check = check_new(b, CHECK_OFFERS, NULL);

	(void)fd;
	(void)what;
	if (check == NULL) {
		retry(b);
		return;
	}
	pthread_mutex_lock(&b->engine->lock);
	(void)queue_put(check);
	pthread_mutex_unlock(&b->engine->lock);
	backend_run(b);
}

void
offers_learn(struct backend *b, unsigned int mechanisms)
{
	struct identity_engine *engine = b->engine;
	bool changed;

	if (b->offers_again == NULL)
		return; /* nobody wants to know */
	pthread_mutex_lock(&engine->lock);
	changed = !b->offers_known || b->offers != mechanisms;
	b->offers_known = true;
	b->offers = mechanisms;
	if (changed)
		pthread_cond_broadcast(&engine->tested);
	pthread_mutex_unlock(&engine->lock);
}

void
offers_answer(struct backend *b, const struct result *result)
{
	if (result->answered) { /* and learned from */
		b->offers_retry_ms = 0;
		schedule(b, AGAIN_MS);
	} else {
		retry(b);
	}
}

int
offers_init(struct backend *b)
{
	if (b->engine->mechanisms == 0)
		return 0;
	b->offers_again = evtimer_new(b->engine->base, time_has_come, b);
	if (b->offers_again == NULL)
		return -1;
	schedule(b, 0);
	return 0;
}

void
offers_clear(struct backend *b)
{
	if (b->offers_again != NULL)
		event_free(b->offers_again);
	b->offers_again = NULL;
}

bool
identity_offers(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	bool offered = engine->backend_count > 0;

	pthread_mutex_lock(&engine->lock);
	for (size_t i = 0; i < engine->backend_count; i++) {
		const struct backend *b = &engine->backends[i];

		offered = offered && b->offers_known &&
		    (b->offers & SASL_BIT(mechanism)) != 0;
	}
	pthread_mutex_unlock(&engine->lock);
	return offered;
}
