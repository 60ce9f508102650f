/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exchanges that are carried between a client and an IMAP server: the way of
 * one from thread to thread, and how long it may hold a connection. It must not
 * let a client be judged under another name than the one that is asked about,
 * must never call anybody back with the lock held, and remembers nothing.
 *
 * The server hears the name as the client typed it, while everything here goes
 * by the canonical login. They are one only if the client typed, octet for
 * octet, what this server would be asked about for that login. Whatever else
 * the server took for one account ("alice" for somebody of its own default
 * domain, "alice@Example.ORG" for its "alice@example.org") might be another
 * person's here; so it is refused, without asking.
 */
#include "identity/identity.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "identity/engine.h"
#include "identity/route.h"
#include "policy/sasl.h"

#define RELAYS_MAX 1024 /* under way */
/* Something is left of an attempt for those who asked. */
#define OWED_MS (IDENTITY_ATTEMPT_MS - 200) /* by the server, in all */
/* A client may think so long: about one challenge, about all of them, and while
 * others wait for its connection. */
#define THINK_ONE_MS     30000
#define THINK_ALL_MS     60000
#define THINK_CROWDED_MS 3000

struct identity_relay {
	STAILQ_ENTRY(identity_relay)
	link; /* of the news or the ends (locked) */
	struct identity_engine *engine;
	struct backend *backend; /* NULL: nobody serves the login */
	enum sasl_mechanism mechanism;
	identity_relay_event *event;
	void *arg;
	/* under the engine's lock */
	struct check *check; /* NULL: over, or not asked at all */
	bool named;          /* the login is known, and judged */
	bool news;           /* in the list */
	bool over;           /* in the list of ends: nobody is heard any more */
	char *answer;        /* the client's latest */
	bool given_up;       /* by the client */
	bool refused;        /* here, not by the server */
	bool misspelt;       /* ... because of how the login is spelled */
	struct identity_verdict verdict;
	/* on the loop's thread only, once it has begun */
	char *initial;
	bool thinking;       /* it is the client's turn */
	uint64_t since_ms;   /* of this turn */
	uint64_t owed_ms;    /* what is left to the server */
	uint64_t thought_ms; /* by the client, in all */
	struct event *patience;
};

static void
wipe(char **text)
{
	if (*text != NULL)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static void
relay_free(struct identity_relay *relay)
{
	wipe(&relay->initial);
	wipe(&relay->answer);
	if (relay->patience != NULL)
		event_free(relay->patience);
	free(relay);
}

/* Does the client's message name the account that this login is there? */
static bool
is_spelled(const struct backend *b, enum sasl_mechanism mechanism,
    const struct login *login, const char *text)
{
	char message[SASL_MESSAGE_MAX], stated[LOGIN_MAX + 1];
	char account[LOGIN_MAX + 1];
	size_t len;
	bool same = false;

	if (sasl_base64_decode(text, strlen(text), message, sizeof(message),
		&len) == 0 &&
	    sasl_stated_identity(mechanism, message, len, stated) == 0) {
		backend_account(b, login, account);
		same = strcmp(stated, account) == 0;
	}
	OPENSSL_cleanse(message, sizeof(message));
	return same;
}

/* The login and the message that names it are there. Before the relay is known
 * to others, or locked. */
static void
judge(struct identity_relay *relay, const struct login *login, const char *text)
{
	const struct backend *b = relay->backend;

	relay->named = true;
	if (b == NULL || !backend_serves(b, login) ||
	    route_is_master(b->master_separator, login) ||
	    route_is_ambiguous(login))
		relay->refused = true;
	else if (!is_spelled(b, relay->mechanism, login, text))
		relay->refused = relay->misspelt = true;
}

/* The server that speaks before anybody has said a name; or NULL. */
static struct backend *
only_backend(const struct identity_engine *engine)
{
	struct backend *b = &engine->backends[0];

	if (engine->backend_count != 1)
		return NULL;
	for (size_t i = 0; i < b->domain_count; i++) {
		if (strcmp(b->domains[i], "*") == 0)
			return b;
	}
	return NULL;
}

/* Locked. */
static void
announce(struct identity_relay *relay)
{
	if (!relay->news)
		STAILQ_INSERT_TAIL(&relay->engine->relay_news, relay, link);
	relay->news = true;
	engine_wake(relay->engine);
}

/* False: it will not be asked. Locked. */
static bool
enqueue(struct identity_relay *relay, const struct login *login,
    const struct netaddr *client)
{
	struct backend *b = relay->backend;
	uint64_t now = engine_now_ms();
	struct check *check =
	    check_new(b, CHECK_RELAY, login != NULL ? login->text : NULL);

	if (check == NULL)
		return false;
	if (client != NULL)
		check->client = *client;
	if (queue_put(check) != 0) {
		check_release(check);
		return false;
	}
	if (!breaker_admits(&b->password_breaker, now)) {
		queue_leave(check);
		check_release(check);
		return false;
	}
	check->deadline_ms = now + OWED_MS;
	check->relay = relay;
	relay->check = check;
	relay->since_ms = now;
	relay->owed_ms = OWED_MS;
	engine_wake(relay->engine);
	return true;
}

static bool
begin(struct identity_relay *relay, const struct login *login,
    const struct netaddr *client)
{
	struct identity_engine *engine = relay->engine;
	bool begun = false;

	pthread_mutex_lock(&engine->lock);
	if (!engine->stopping && engine->relays < RELAYS_MAX) {
		if (relay->refused)
			announce(relay);
		begun = relay->refused || enqueue(relay, login, client);
	}
	engine->relays += begun;
	pthread_mutex_unlock(&engine->lock);
	return begun;
}

struct identity_relay *
identity_relay_begin(struct identity_engine *engine,
    enum sasl_mechanism mechanism, const struct login *login,
    const char *initial, const struct netaddr *client,
    identity_relay_event *event, void *arg)
{
	bool client_first = sasl_client_is_first(mechanism);
	struct backend *b = login != NULL ? engine_backend(engine, login)
					  : only_backend(engine);
	struct identity_relay *relay;

	if (!sasl_is_relayed(mechanism) || (b == NULL && login == NULL) ||
	    client_first != (initial != NULL) ||
	    (client_first && login == NULL))
		return NULL;
	relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->engine = engine;
	relay->backend = b;
	relay->mechanism = mechanism;
	relay->event = event;
	relay->arg = arg;
	if (client_first) {
		relay->initial = strdup(initial);
		if (relay->initial == NULL) {
			relay_free(relay);
			return NULL;
		}
		judge(relay, login, initial);
	}
	if (!begin(relay, login, client)) {
		relay_free(relay);
		return NULL;
	}
	return relay;
}

void
identity_relay_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	struct identity_engine *engine = relay->engine;

	pthread_mutex_lock(&engine->lock);
	if (!relay->over && relay->check != NULL) {
		if (!relay->named && login != NULL)
			judge(relay, login, response);
		else if (!relay->named)
			relay->refused = true;
		wipe(&relay->answer);
		relay->answer = strdup(response);
		if (relay->answer == NULL)
			relay->given_up = true;
		announce(relay);
	}
	pthread_mutex_unlock(&engine->lock);
}

void
identity_relay_cancel(struct identity_relay *relay)
{
	struct identity_engine *engine = relay->engine;

	pthread_mutex_lock(&engine->lock);
	if (!relay->over) {
		relay->given_up = true;
		announce(relay);
	}
	pthread_mutex_unlock(&engine->lock);
}

void
relay_end(struct identity_relay *relay, enum identity answer)
{
	struct identity_engine *engine = relay->engine;

	if (relay->news)
		STAILQ_REMOVE(&engine->relay_news, relay, identity_relay, link);
	relay->news = false;
	relay->over = true;
	relay->check = NULL;
	relay->verdict.identity = answer;
	STAILQ_INSERT_TAIL(&engine->relay_ends, relay, link);
}

void
relay_deliver(struct identity_engine *engine)
{
	struct identity_relay *relay;

	for (;;) {
		pthread_mutex_lock(&engine->lock);
		relay = STAILQ_FIRST(&engine->relay_ends);
		if (relay != NULL) {
			STAILQ_REMOVE_HEAD(&engine->relay_ends, link);
			engine->relays--;
		}
		pthread_mutex_unlock(&engine->lock);
		if (relay == NULL)
			return;
		relay->event(relay->arg, NULL, &relay->verdict);
		relay_free(relay);
	}
}

void
relay_stop(struct identity_engine *engine)
{
	struct identity_relay *relay;

	pthread_mutex_lock(&engine->lock);
	while ((relay = STAILQ_FIRST(&engine->relay_news)) != NULL)
		relay_end(relay, IDENTITY_UNKNOWN);
	pthread_mutex_unlock(&engine->lock);
}

void
relay_ask(const struct identity_relay *relay, struct dialogue_question *q)
{
	q->aim = DIALOGUE_RELAY;
	q->mechanism = relay->mechanism;
	q->message = relay->initial;
}

/* Ends it from this side; the server is told if it waits for the client. */
static void
cut(struct identity_relay *relay, enum dialogue_outcome outcome,
    const char *why)
{
	struct result r = {
		.outcome = outcome,
		.given_up = true,
	};

	(void)strncat(r.why, why, sizeof(r.why) - 1);
	exchange_cancel(relay->check->exchange);
	backend_abandon(relay->check, &r);
}

static void
lost_patience(evutil_socket_t fd, short what, void *arg)
{
	struct identity_relay *relay = arg;

	(void)fd;
	(void)what;
	if (relay->thinking)
		cut(relay, DIALOGUE_UNDECIDED, "the client did not answer");
}

static void
think_until(struct identity_relay *relay, uint64_t ms)
{
	uint64_t now = engine_now_ms();
	uint64_t left =
	    relay->since_ms + ms > now ? relay->since_ms + ms - now : 0;
	struct timeval tv = engine_timeval(left);

	(void)event_add(relay->patience, &tv);
}

/* The server's challenge, on its way to the client. */
static void
challenged(void *arg, const char *challenge)
{
	struct check *check = arg;
	struct identity_relay *relay = check->relay;
	uint64_t now = engine_now_ms();
	uint64_t spent = now - relay->since_ms;
	uint64_t left = THINK_ALL_MS - relay->thought_ms;

	relay->owed_ms -= spent < relay->owed_ms ? spent : relay->owed_ms;
	relay->since_ms = now;
	relay->thinking = true;
	think_until(relay, left < THINK_ONE_MS ? left : THINK_ONE_MS);
	relay_make_room(check->backend);
	relay->event(relay->arg, challenge, NULL);
}

void
relay_begun(struct identity_relay *relay)
{
	struct check *check = relay->check;

	if (relay->patience == NULL)
		relay->patience =
		    evtimer_new(relay->engine->base, lost_patience, relay);
	/* without a timer no challenge gets through, which ends it in time */
	if (relay->patience != NULL)
		exchange_carry(check->exchange, challenged);
}

void
relay_make_room(struct backend *b)
{
	const struct check *check;
	bool crowded;

	pthread_mutex_lock(&b->engine->lock);
	crowded = !TAILQ_EMPTY(&b->relays.waiting);
	pthread_mutex_unlock(&b->engine->lock);
	if (!crowded)
		return;
	for (check = TAILQ_FIRST(&b->active); check != NULL;
	     check = TAILQ_NEXT(check, link)) {
		if (check->kind == CHECK_RELAY && check->relay->thinking)
			think_until(check->relay, THINK_CROWDED_MS);
	}
}

/* Carries the client's answer. */
static void
carry(struct identity_relay *relay, const char *answer)
{
	uint64_t now = engine_now_ms();
	uint64_t timeout_ms = relay->check->backend->timeout_ms;

	if (!relay->thinking) {
		cut(relay, DIALOGUE_UNDECIDED, "an answer to no challenge");
		return;
	}
	relay->thinking = false;
	(void)event_del(relay->patience);
	relay->thought_ms += now - relay->since_ms;
	relay->since_ms = now;
	if (relay->thought_ms >= THINK_ALL_MS || relay->owed_ms == 0) {
		cut(relay, DIALOGUE_UNDECIDED, "it took too long");
		return;
	}
	if (timeout_ms > relay->owed_ms)
		timeout_ms = relay->owed_ms;
	exchange_respond(relay->check->exchange, answer, timeout_ms);
}

/* What was said, as it stood when it was taken from the list. */
struct said {
	char *answer;
	bool given_up;
	bool refused;
	bool misspelt;
};

static struct identity_relay *
next_news(struct identity_engine *engine, struct said *said_r)
{
	struct identity_relay *relay;

	pthread_mutex_lock(&engine->lock);
	relay = STAILQ_FIRST(&engine->relay_news);
	if (relay != NULL) {
		STAILQ_REMOVE_HEAD(&engine->relay_news, link);
		relay->news = false;
		*said_r = (struct said){
			.answer = relay->answer,
			.given_up = relay->given_up,
			.refused = relay->refused,
			.misspelt = relay->misspelt,
		};
		relay->answer = NULL;
		if (relay->check == NULL) /* nobody is to be asked */
			relay_end(relay,
			    said_r->given_up ? IDENTITY_UNKNOWN
					     : IDENTITY_REFUSED);
	}
	pthread_mutex_unlock(&engine->lock);
	return relay;
}

/* A stranger may type what he likes, but an administrator may wonder. */
static void
report_spelling(struct backend *b)
{
	alarm_raise(b, ALARM_SPELLING, IDENTITY_INFO,
	    "a relayed login is refused: it was not typed as login_as has it");
}

static void
obey(struct identity_relay *relay, const struct said *said)
{
	if (relay->over)
		return;
	if (said->given_up)
		cut(relay, DIALOGUE_UNDECIDED, "the client gave up");
	else if (said->refused)
		cut(relay, DIALOGUE_REFUSED, "the login is refused here");
	else if (said->answer != NULL)
		carry(relay, said->answer);
}

void
relay_run(struct identity_engine *engine)
{
	struct identity_relay *relay;
	struct said said;

	while ((relay = next_news(engine, &said)) != NULL) {
		if (said.misspelt)
			report_spelling(relay->backend);
		obey(relay, &said);
		wipe(&said.answer);
	}
	relay_deliver(engine);
}
