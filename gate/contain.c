/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps logins on their step of the ladder and tells the operator. It does not
 * judge mail: what a step means is policy's, what an offence is, the limits'.
 * Of passwords it keeps tags that die with the process.
 */
#include "gate/contain.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/hook.h"

#define PREFIX     "contain/"
#define EVENTS     32
#define KNOWN      4096 /* a power of two */
#define KNOWN_TAGS 16
#define PRESSURE   10
/* until_ms of who was let go before the time, until that is seen: then what the
 * limits have counted is given back. By themselves they forget in RELEASED_MS
 */
#define RELEASED    0
#define RELEASED_MS UINT64_C(604800000)
#define FLUSH_MS    10000

struct event {
	struct login login;
	char step[16];
	char why[CONTAIN_WHY_MAX];
	uint64_t seconds;
	char evidence[RECENT_EVIDENCE_MAX];
};

/* The passwords that were verified of a login, by the beginnings of their
 * tags. Who has so many that they do not fit has no new one. */
struct known {
	uint64_t login;
	uint64_t tags[KNOWN_TAGS];
	size_t count;
};

struct contain {
	pthread_mutex_t lock;
	struct recent *recent;
	struct kept *kept;
	struct log *log;
	struct event events[EVENTS]; /* that the operator is to be told */
	size_t event_count;
	struct known known[KNOWN];
	struct hook hook; /* the tender's own */
};

struct contain *
contain_new(struct recent *recent, struct kept *kept, struct log *log)
{
	struct contain *contain = calloc(1, sizeof(*contain));

	if (contain == NULL)
		return NULL;
	(void)pthread_mutex_init(&contain->lock, NULL);
	contain->recent = recent;
	contain->kept = kept;
	contain->log = log;
	return contain;
}

void
contain_free(struct contain **contain)
{
	if (*contain == NULL)
		return;
	(void)pthread_mutex_destroy(&(*contain)->lock);
	free(*contain);
	*contain = NULL;
}

const char *
contain_step_name(enum containment step)
{
	switch (step) {
	case CONTAINMENT_SLOWED:
		return "slowed";
	case CONTAINMENT_LOCAL:
		return "local";
	case CONTAINMENT_SHUT:
		return "shut";
	case CONTAINMENT_NONE:
	case CONTAINMENT_NOT_ASKED:
		break;
	}
	return "none";
}

/* --- the store --- */

static void
make_key(char key_r[STORE_KEY_MAX + 1], const char *prefix,
    const struct login *login)
{
	(void)snprintf(key_r, STORE_KEY_MAX + 1, "%s%s", prefix, login->text);
}

static int
parse(const void *value, size_t len, struct contain_state *state_r)
{
	char text[STORE_STATE_MAX + 1];
	unsigned int step;

	memset(state_r, 0, sizeof(*state_r));
	if (len > STORE_STATE_MAX)
		return -1;
	memcpy(text, value, len);
	text[len] = '\0';
	if (sscanf(text, "%u %" SCNu64 " %79s", &step, &state_r->until_ms,
		state_r->why) != 3 ||
	    step < CONTAINMENT_NONE || step > CONTAINMENT_SHUT)
		return -1;
	state_r->step = (enum containment)step;
	return 0;
}

/* As store_state_get(). What cannot be read is nothing. */
static int
fetch(struct store *store, const struct login *login, uint64_t now_ms,
    struct contain_state *state_r)
{
	char key[STORE_KEY_MAX + 1];
	unsigned char value[STORE_STATE_MAX];
	size_t len = 0;
	int rc;

	make_key(key, PREFIX, login);
	rc = store_state_get(store, key, now_ms, value, &len);
	if (rc == 1 && parse(value, len, state_r) != 0)
		return 0;
	return rc;
}

static int
keep(struct store *store, const struct login *login,
    const struct contain_state *state, uint64_t end_ms)
{
	char key[STORE_KEY_MAX + 1], value[STORE_STATE_MAX];
	int len = snprintf(value, sizeof(value), "%u %" PRIu64 " %s",
	    (unsigned int)state->step, state->until_ms, state->why);

	make_key(key, PREFIX, login);
	return store_state_put(store, key, value, (size_t)len, end_ms);
}

static struct store_rate
pressure_of(const struct conf_contain *c)
{
	struct store_rate rate = { c->rate.count * PRESSURE,
		c->rate.window_ms };

	return rate;
}

/* What one limit has counted of the login. */
static void
give_back(struct store *store, const struct conf_limit *limit,
    const struct login *login, uint64_t now_ms)
{
	for (size_t k = 0; k < LIMIT_COUNTERS; k++) {
		const struct conf_quota *quota = &limit->quotas[k];
		struct store_rate rate = { quota->count, quota->window_ms };
		char key[STORE_KEY_MAX + 1];

		if (quota->count == 0)
			continue;
		(void)snprintf(key, sizeof(key), "%s/%s/%s", limit->name,
		    conf_counter_name((enum limit_counter)k), login->text);
		if (k <= COUNTER_BAD_RECIPIENTS)
			store_rate_give(store, key, &rate, rate.count, now_ms);
		else /* from the beginning of time nothing else is near */
			(void)store_distinct_add(store, key, 0, 0, 0);
	}
}

/* What its limits have counted would contain it again at once. */
static void
give_all_back(struct store *store, const struct conf *conf,
    const struct login *login, uint64_t now_ms)
{
	struct store_rate pressure = pressure_of(&conf->contain);
	char key[STORE_KEY_MAX + 1];

	make_key(key, "pressure/", login);
	store_rate_give(store, key, &pressure, pressure.count, now_ms);
	for (size_t i = 0; i < conf->limit_count; i++) {
		if (conf->limits[i].key == LIMIT_KEY_LOGIN)
			give_back(store, &conf->limits[i], login, now_ms);
	}
}

/* It was released: by the operator, who forgets it, or by a new password. */
static void
settle_release(struct store *store, const struct conf *conf,
    const struct login *login, struct contain_state *state, uint64_t now_ms)
{
	char key[STORE_KEY_MAX + 1];

	give_all_back(store, conf, login, now_ms);
	make_key(key, PREFIX, login);
	state->until_ms = now_ms;
	if (state->step == CONTAINMENT_NONE)
		(void)store_state_put(store, key, "", 0, now_ms);
	else
		(void)keep(store, login, state,
		    now_ms + conf->contain.memory_ms);
}

static uint64_t
login_hash(uint64_t what, const struct login *login)
{
	return recent_hash(what, login->text, strlen(login->text));
}

/* Until the store says otherwise, also when it is away. */
static void
note(struct contain *contain, const struct login *login,
    const struct contain_state *state, uint64_t now_ms)
{
	unsigned int step = now_ms < state->until_ms ? state->step : 0;

	kept_note(contain->kept, login_hash(9, login), step, state->until_ms);
}

enum containment
contain_look(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, uint64_t now_ms)
{
	struct contain_state state = { .until_ms = now_ms };
	unsigned int last;
	int rc = fetch(store, login, now_ms, &state);

	if (rc < 0) {
		last = kept_recall(contain->kept, login_hash(9, login), now_ms);
		return last != 0 ? (enum containment)last : CONTAINMENT_NONE;
	}
	if (rc == 1 && state.until_ms == RELEASED)
		settle_release(store, conf, login, &state, now_ms);
	note(contain, login, &state, now_ms);
	return now_ms < state.until_ms ? state.step : CONTAINMENT_NONE;
}

/* --- steps --- */

/* With the lock held. */
static void
tell(struct contain *contain, const struct login *login, const char *step,
    const char *why, uint64_t seconds)
{
	struct event *event = &contain->events[contain->event_count];
	char evidence[RECENT_EVIDENCE_MAX];

	recent_evidence(contain->recent, login, evidence);
	/* last what a stranger could have chosen */
	if (contain->log != NULL)
		log_event(contain->log, LOG_LEVEL_ALARM,
		    "containment: step=%s because=%s seconds=%" PRIu64
		    " %s login=%s",
		    step, why, seconds, evidence, login->text);
	if (contain->event_count == EVENTS)
		return;
	contain->event_count++;
	event->login = *login;
	event->seconds = seconds;
	(void)snprintf(event->step, sizeof(event->step), "%s", step);
	(void)snprintf(event->why, sizeof(event->why), "%s", why);
	(void)snprintf(event->evidence, sizeof(event->evidence), "%s",
	    evidence);
}

static enum containment
next_step(const struct contain_state *latest)
{
	switch (latest->step) {
	case CONTAINMENT_SLOWED:
		return CONTAINMENT_LOCAL;
	case CONTAINMENT_LOCAL:
	case CONTAINMENT_SHUT:
		return CONTAINMENT_SHUT;
	case CONTAINMENT_NONE:
	case CONTAINMENT_NOT_ASKED:
		break;
	}
	return CONTAINMENT_SLOWED;
}

static uint64_t
length_of(const struct conf_contain *c, enum containment step)
{
	switch (step) {
	case CONTAINMENT_SLOWED:
		return c->slowed_ms;
	case CONTAINMENT_LOCAL:
		return c->local_ms;
	case CONTAINMENT_SHUT:
		return c->shut_ms;
	case CONTAINMENT_NONE:
	case CONTAINMENT_NOT_ASKED:
		break;
	}
	return 0;
}

/* With the lock held. */
static enum containment
advance(struct contain *contain, const struct conf *conf, struct store *store,
    const struct login *login, enum containment from, const char *why,
    uint64_t now_ms)
{
	struct store_rate pressure = pressure_of(&conf->contain);
	struct contain_state state = { .step = CONTAINMENT_NONE };
	char key[STORE_KEY_MAX + 1];
	uint64_t length;

	if (fetch(store, login, now_ms, &state) < 0)
		return CONTAINMENT_NONE;
	if (now_ms < state.until_ms && state.step > from)
		return state.step; /* somebody was here before */
	state.step = next_step(&state);
	length = length_of(&conf->contain, state.step);
	state.until_ms = now_ms + length;
	(void)snprintf(state.why, sizeof(state.why), "%s", why);
	if (keep(store, login, &state,
		state.until_ms + conf->contain.memory_ms) != 0)
		return CONTAINMENT_NONE;
	note(contain, login, &state, now_ms);
	make_key(key, "pressure/", login);
	store_rate_give(store, key, &pressure, pressure.count, now_ms);
	tell(contain, login, contain_step_name(state.step), why, length / 1000);
	return state.step;
}

enum containment
contain_advance(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, enum containment from,
    const char *why, uint64_t now_ms)
{
	enum containment step;

	(void)pthread_mutex_lock(&contain->lock);
	step = advance(contain, conf, store, login, from, why, now_ms);
	(void)pthread_mutex_unlock(&contain->lock);
	return step;
}

void
contain_press(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, enum containment step,
    uint64_t recipient, uint64_t now_ms)
{
	struct store_rate pressure = pressure_of(&conf->contain);
	char key[STORE_KEY_MAX + 1];

	if (!recent_first(contain->recent,
		recent_hash(recipient, "pressure", 8), pressure.window_ms,
		now_ms))
		return;
	make_key(key, "pressure/", login);
	if (store_rate_take(store, key, &pressure, 1, now_ms, NULL, NULL) ==
	    STORE_OVER)
		(void)contain_advance(contain, conf, store, login, step,
		    "contain/rate", now_ms);
}

/* --- ways out --- */

/* Is the tag one that this login never had, though it had others? */
static bool
is_new(struct contain *contain, const struct login *login,
    const unsigned char tag[IDENTITY_TAG_LEN])
{
	uint64_t hash = login_hash(2, login);
	struct known *known = &contain->known[hash & (KNOWN - 1)];
	uint64_t begin;

	if (known->login != hash) {
		memset(known, 0, sizeof(*known));
		known->login = hash;
	}
	memcpy(&begin, tag, sizeof(begin));
	for (size_t i = 0; i < known->count; i++) {
		if (known->tags[i] == begin)
			return false;
	}
	if (known->count == KNOWN_TAGS)
		return false;
	known->tags[known->count++] = begin;
	return known->count > 1;
}

void
contain_password(struct contain *contain, const struct conf *conf,
    struct store *store, const struct login *login, const struct login *spelled,
    const unsigned char tag[IDENTITY_TAG_LEN], uint64_t now_ms)
{
	struct contain_state state;

	(void)pthread_mutex_lock(&contain->lock);
	/* the tag of one password differs by the spelling of the login */
	if (is_new(contain, spelled, tag) && store != NULL &&
	    fetch(store, login, now_ms, &state) == 1 &&
	    now_ms < state.until_ms) {
		state.until_ms = RELEASED;
		if (keep(store, login, &state,
			now_ms + RELEASED_MS + conf->contain.memory_ms) == 0)
			tell(contain, login, "released", "new/password", 0);
	}
	(void)pthread_mutex_unlock(&contain->lock);
}

/* The counters are the daemon's: it finds this, and gives back. */
int
contain_release(struct store *store, const struct login *login, uint64_t now_ms,
    struct err *e)
{
	static const char released[] = "1 0 released/operator";
	struct contain_state state;
	char key[STORE_KEY_MAX + 1];
	int rc = fetch(store, login, now_ms, &state);

	if (rc == 0 || (rc == 1 && state.step == CONTAINMENT_NONE))
		return 0;
	make_key(key, PREFIX, login);
	if (rc == 1 &&
	    store_state_put(store, key, released, strlen(released),
		now_ms + RELEASED_MS) == 0 &&
	    store_flush(store, FLUSH_MS) == 0)
		return 1;
	err_set(e, "the store does not answer");
	return -1;
}

struct listing {
	int (*each)(void *arg, const char *login,
	    const struct contain_state *state);
	void *arg;
};

static int
list_one(void *arg, const char *key, const void *value, size_t len,
    uint64_t until_ms)
{
	const struct listing *listing = arg;
	struct contain_state state;

	(void)until_ms;
	if (parse(value, len, &state) != 0 || state.step == CONTAINMENT_NONE)
		return 0;
	return listing->each(listing->arg, key + strlen(PREFIX), &state);
}

int
contain_list(struct store *store, uint64_t now_ms,
    int (
	*each)(void *arg, const char *login, const struct contain_state *state),
    void *arg, struct err *e)
{
	struct listing listing = { each, arg };

	return store_state_list(store, PREFIX, now_ms, list_one, &listing, e);
}

/* --- the operator's program --- */

static bool
take_event(struct contain *contain, struct event *event_r)
{
	bool found;

	(void)pthread_mutex_lock(&contain->lock);
	found = contain->event_count > 0;
	if (found) {
		*event_r = contain->events[0];
		memmove(&contain->events[0], &contain->events[1],
		    --contain->event_count * sizeof(contain->events[0]));
	}
	(void)pthread_mutex_unlock(&contain->lock);
	return found;
}

void
contain_tend(struct contain *contain, const char *command, uint64_t now_ms)
{
	size_t room = hook_tend(&contain->hook, contain->log, now_ms);
	struct event event;

	for (; room > 0 && take_event(contain, &event); room--) {
		char seconds[24];
		const char *const argv[] = { command, event.login.text,
			event.step, event.why, seconds, event.evidence, NULL };

		(void)snprintf(seconds, sizeof(seconds), "%" PRIu64,
		    event.seconds);
		if (*command != '\0')
			hook_run(&contain->hook, contain->log, argv, now_ms);
	}
}
