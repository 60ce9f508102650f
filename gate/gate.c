/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds what sessions share, and exchanges the rules under their feet: a new
 * configuration is built aside and swapped in by one pointer, and an old one
 * lives as long as a session keeps it.
 */
#include "gate/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FORGET_MAX 64

struct gate {
	pthread_mutex_t lock; /* guards current, retired, all refs, forget */
	struct rules *current;
	struct rules *retired;
	struct login forget[FORGET_MAX];
	size_t forget_count;
	struct log *log;
	struct repeats *repeats;
	struct guess *guess;
	struct limits *limits;
	_Atomic(struct store *) store; /* opened once, closed at the end */
	const struct auth_engine *auth_engine;
	gate_ask_fn *ask;
	void *ask_arg;
	gate_leases_fn *leases;
	void *leases_arg;
	gate_clock_fn *clock;
	void *clock_arg;
	uint32_t id_key;
	atomic_uint id_next;
};

static enum identity
ask_sources(void *arg, const struct rules *rules, const struct login *login,
    const struct netaddr *peer)
{
	struct rules_question question = {
		.login = login,
		.addr = peer,
		.store = gate_store(arg),
		.now_ms = gate_wall_ms(),
	};

	return rules_ask(rules, &question, NULL);
}

static int
look_up_leases(void *arg, const struct rules *rules, const struct netaddr *peer,
    struct login logins_r[LEASE_HOLDERS_MAX])
{
	return lease_holders(gate_store(arg), &rules->conf->policy, peer,
	    gate_wall_ms(), logins_r);
}

struct gate *
gate_new(struct rules *rules, struct log *log)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate != NULL) {
		gate->repeats = repeats_new();
		gate->guess = guess_new();
		gate->limits = limits_new(log);
	}
	if (gate == NULL || gate->repeats == NULL || gate->guess == NULL ||
	    gate->limits == NULL) {
		if (gate != NULL) {
			repeats_free(&gate->repeats);
			guess_free(&gate->guess);
			limits_free(&gate->limits);
		}
		free(gate);
		rules_free(&rules);
		return NULL;
	}
	(void)pthread_mutex_init(&gate->lock, NULL);
	gate->current = rules;
	gate->log = log;
	gate->ask = ask_sources;
	gate->ask_arg = gate;
	gate->leases = look_up_leases;
	gate->leases_arg = gate;
	if (getrandom(&gate->id_key, sizeof(gate->id_key), 0) < 0)
		gate->id_key = (uint32_t)gate_clock_us();
	return gate;
}

static void
free_unused(struct gate *gate)
{
	struct rules *unused = NULL, **link;

	(void)pthread_mutex_lock(&gate->lock);
	link = &gate->retired;
	while (*link != NULL) {
		struct rules *rules = *link;

		if (rules->refs > 0) {
			link = &rules->next;
			continue;
		}
		*link = rules->next;
		rules->next = unused;
		unused = rules;
	}
	(void)pthread_mutex_unlock(&gate->lock);
	while (unused != NULL) {
		struct rules *next = unused->next;

		rules_free(&unused);
		unused = next;
	}
}

void
gate_free(struct gate **gatep)
{
	struct gate *gate = *gatep;
	struct store *store;

	if (gate == NULL)
		return;
	*gatep = NULL;
	free_unused(gate);
	rules_free(&gate->current);
	repeats_free(&gate->repeats);
	guess_free(&gate->guess);
	limits_free(&gate->limits);
	store = atomic_exchange(&gate->store, NULL);
	store_close(&store);
	(void)pthread_mutex_destroy(&gate->lock);
	free(gate);
}

void
gate_set_ask(struct gate *gate, gate_ask_fn *ask, void *arg)
{
	gate->ask = ask;
	gate->ask_arg = arg;
}

enum identity
gate_ask(const struct gate *gate, const struct rules *rules,
    const struct login *login, const struct netaddr *peer)
{
	return gate->ask(gate->ask_arg, rules, login, peer);
}

void
gate_set_leases(struct gate *gate, gate_leases_fn *leases, void *arg)
{
	gate->leases = leases;
	gate->leases_arg = arg;
}

int
gate_leases(const struct gate *gate, const struct rules *rules,
    const struct netaddr *peer, struct login logins_r[LEASE_HOLDERS_MAX])
{
	return gate->leases(gate->leases_arg, rules, peer, logins_r);
}

static void
log_lease(struct gate *gate, const struct store_lease *lease, uint64_t ttl_ms)
{
	char client[NETADDR_TEXT_MAX];
	unsigned int left_out;

	if (gate->log == NULL ||
	    !repeats_allow(gate->repeats, &lease->addr, REASON_LEASE,
		gate_clock_us() / 1000, &left_out))
		return;
	netaddr_format(&lease->addr, client);
	/* last what a stranger could have chosen */
	log_event(gate->log, LOG_LEVEL_INFO,
	    "lease given: client=%s source=%s ttl=%ju login=%s", client,
	    lease->source, (uintmax_t)ttl_ms / 1000, lease->login.text);
}

enum lease_given
gate_lease_give(struct gate *gate, const struct lease_login *login,
    const char **why_r)
{
	struct rules *rules = gate_rules_ref(gate);
	struct store_lease lease;
	enum lease_given given = lease_give(gate_store(gate), rules, login,
	    gate_wall_ms(), &lease, why_r);

	if (given == LEASE_GIVEN)
		log_lease(gate, &lease, rules->conf->lease_ttl_ms);
	gate_rules_unref(gate, rules);
	return given;
}

static void
report_store(void *arg, enum store_level level, const char *text)
{
	struct log *log = arg;

	if (log == NULL)
		return;
	switch (level) {
	case STORE_INFO:
		log_event(log, LOG_LEVEL_INFO, "%s", text);
		return;
	case STORE_WARNING:
		log_event(log, LOG_LEVEL_WARNING, "%s", text);
		return;
	case STORE_ALARM:
		break;
	}
	log_event(log, LOG_LEVEL_ALARM, "%s", text);
}

static int
open_store_for(struct gate *gate, const struct conf *conf, struct err *e)
{
	struct store_options options = {
		.url = conf->store_url,
		.password = conf->store_password,
		.ca_file = conf->store_ca_file,
		.state_dir = conf->state_dir,
		.report = report_store,
		.report_arg = gate->log,
	};
	struct store *store;

	if (gate_store(gate) != NULL || !conf_needs_store(conf))
		return 0;
	store = store_open(&options, e);
	if (store == NULL)
		return -1;
	atomic_store(&gate->store, store);
	return 0;
}

int
gate_open_store(struct gate *gate, struct err *e)
{
	return open_store_for(gate, gate->current->conf, e);
}

struct store *
gate_store(struct gate *gate)
{
	return atomic_load(&gate->store);
}

struct rules *
gate_rules_ref(struct gate *gate)
{
	struct rules *rules;

	(void)pthread_mutex_lock(&gate->lock);
	rules = gate->current;
	rules->refs++;
	(void)pthread_mutex_unlock(&gate->lock);
	return rules;
}

void
gate_rules_unref(struct gate *gate, struct rules *rules)
{
	if (rules == NULL)
		return;
	(void)pthread_mutex_lock(&gate->lock);
	rules->refs--;
	(void)pthread_mutex_unlock(&gate->lock);
}

/* A section that is gone or new counts as changed, too. */
static bool
same_doors(const struct conf *old, const struct conf *new)
{
	if (old->sasl_count != new->sasl_count)
		return false;
	for (size_t i = 0; i < old->sasl_count; i++) {
		const struct conf_sasl *a = &old->sasls[i];
		const struct conf_sasl *b = &new->sasls[i];

		if (strcmp(a->name, b->name) != 0 ||
		    strcmp(a->listen, b->listen) != 0 ||
		    a->protocol != b->protocol ||
		    a->socket_mode != b->socket_mode ||
		    strcmp(a->socket_group, b->socket_group) != 0)
			return false;
	}
	return true;
}

/* A section without a title; listen is NULL without it. */
struct door {
	const char *listen, *group;
	unsigned int mode;
};

static bool
same_door(struct door a, struct door b)
{
	if (a.listen == NULL || b.listen == NULL)
		return a.listen == b.listen;
	return strcmp(a.listen, b.listen) == 0 && a.mode == b.mode &&
	    strcmp(a.group, b.group) == 0;
}

#define DOOR(section)                                      \
 ((struct door){ (section).listen, (section).socket_group, \
     (section).socket_mode })

/* Settings that are looked at once, at the start. */
static void
warn_unchanged(struct log *log, const struct conf *old, const struct conf *new)
{
	static const char text[] =
	    "reload: a changed %s takes effect at the next start";

	if (strcmp(old->listen, new->listen) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "listen");
	if (old->socket_mode != new->socket_mode)
		log_event(log, LOG_LEVEL_WARNING, text, "socket_mode");
	if (strcmp(old->socket_group, new->socket_group) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "socket_group");
	if (strcmp(old->user, new->user) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "user");
	if (strcmp(old->state_dir, new->state_dir) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "state_dir");
	if (old->log != new->log || old->log_format != new->log_format)
		log_event(log, LOG_LEVEL_WARNING, text, "log or log_format");
	if (strcmp(old->store_url, new->store_url) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "store.url");
	if (strcmp(old->store_password, new->store_password) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "store.password_file");
	if (strcmp(old->store_ca_file, new->store_ca_file) != 0)
		log_event(log, LOG_LEVEL_WARNING, text, "store.ca_file");
	if (!same_doors(old, new))
		log_event(log, LOG_LEVEL_WARNING, text,
		    "title, protocol, listen, socket_mode or socket_group of "
		    "a sasl section");
	if (!same_door(DOOR(old->http), DOOR(new->http)))
		log_event(log, LOG_LEVEL_WARNING, text,
		    "listen, socket_mode or socket_group of the http section");
	if (!same_door(DOOR(old->delegation), DOOR(new->delegation)))
		log_event(log, LOG_LEVEL_WARNING, text,
		    "listen, socket_mode or socket_group of the delegation "
		    "section");
}

/* A door speaks what it spoke at the start, whatever the file says by now. What
 * is asked of its clients and what their logins prove must go with that. */
static void
keep_doors(const struct conf *old, struct conf *new)
{
	for (size_t i = 0; i < new->sasl_count; i++) {
		struct conf_sasl *sasl = &new->sasls[i];

		for (size_t k = 0; k < old->sasl_count; k++) {
			if (strcmp(old->sasls[k].name, sasl->name) != 0 ||
			    old->sasls[k].protocol == sasl->protocol)
				continue;
			sasl->protocol = old->sasls[k].protocol;
			sasl->proof = old->sasls[k].proof;
		}
	}
}

static uint64_t
longest_timeout(const struct conf *conf)
{
	uint64_t ms = 0;

	for (size_t i = 0; i < conf->imap_count; i++) {
		if (conf->imaps[i].timeout_ms > ms)
			ms = conf->imaps[i].timeout_ms;
	}
	return ms;
}

static void
swap_rules(struct gate *gate, struct rules *rules)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->current->refs--;
	gate->current->next = gate->retired;
	gate->retired = gate->current;
	gate->current = rules;
	(void)pthread_mutex_unlock(&gate->lock);
}

int
gate_reload(struct gate *gate, const char *file)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(file, &report);
	struct rules *rules = NULL;
	struct err e = { "see above" };

	for (size_t i = 0; i < report.count; i++)
		log_event(gate->log, LOG_LEVEL_WARNING, "reload: %s",
		    report.lines[i]);
	conf_report_clear(&report);
	if (conf != NULL && open_store_for(gate, conf, &e) != 0)
		conf_free(&conf);
	if (conf != NULL) {
		warn_unchanged(gate->log, gate->current->conf, conf);
		keep_doors(gate->current->conf, conf);
		rules = rules_new(conf, gate->current, gate->log, &e);
	}
	if (rules == NULL) {
		log_event(gate->log, LOG_LEVEL_ALARM,
		    "reload of %s failed, the old configuration stays in "
		    "force: %s",
		    file, e.text);
		return -1;
	}
	if (rules->engine != gate->current->engine)
		(void)rules_wait_ready(rules, longest_timeout(rules->conf));
	swap_rules(gate, rules);
	free_unused(gate);
	log_event(gate->log, LOG_LEVEL_INFO, "reloaded %s", file);
	return 0;
}

static void
report_repeat(void *arg, const struct netaddr *peer, enum reason reason,
    unsigned int left_out)
{
	char client[NETADDR_TEXT_MAX];

	netaddr_format(peer, client);
	log_event(arg, LOG_LEVEL_INFO, "client=%s reason=%s repeated=%u",
	    client, reason_row(reason)->name, left_out);
}

void
gate_forget(struct gate *gate, const struct login *login)
{
	(void)pthread_mutex_lock(&gate->lock);
	/* beyond that, session_ttl ends them */
	if (gate->forget_count < FORGET_MAX)
		gate->forget[gate->forget_count++] = *login;
	(void)pthread_mutex_unlock(&gate->lock);
}

static bool
next_forgotten(struct gate *gate, struct login *login_r)
{
	bool found;

	(void)pthread_mutex_lock(&gate->lock);
	found = gate->forget_count > 0;
	if (found)
		*login_r = gate->forget[--gate->forget_count];
	(void)pthread_mutex_unlock(&gate->lock);
	return found;
}

static void
tend_store(struct gate *gate)
{
	struct store *store = gate_store(gate);
	struct login login;
	struct err e;

	if (store == NULL)
		return;
	while (next_forgotten(gate, &login)) {
		if (store_proof_forget(store, &login, NULL, &e) >= 0)
			continue;
		/* each would wait as long, and reloads wait behind them */
		gate_forget(gate, &login);
		log_event(gate->log, LOG_LEVEL_WARNING,
		    "the session proofs of the disabled login %s stay for now: "
		    "%s",
		    login.text, e.text);
		break;
	}
	/* only this thread exchanges the rules */
	store_tend(store, gate->current->conf->identity_session_ttl_ms,
	    gate_wall_ms());
}

void
gate_tend(struct gate *gate, bool all)
{
	free_unused(gate);
	tend_store(gate);
	contain_tend(limits_contain(gate->limits),
	    gate->current->conf->contain.command, gate_clock_us() / 1000);
	repeats_flush(gate->repeats, gate_clock_us() / 1000, all, report_repeat,
	    gate->log);
}

struct log *
gate_log(const struct gate *gate)
{
	return gate->log;
}

struct repeats *
gate_repeats(const struct gate *gate)
{
	return gate->repeats;
}

struct guess *
gate_guess(const struct gate *gate)
{
	return gate->guess;
}

struct limits *
gate_limits(const struct gate *gate)
{
	return gate->limits;
}

void
gate_set_clock(struct gate *gate, gate_clock_fn *clock, void *arg)
{
	gate->clock = clock;
	gate->clock_arg = arg;
}

uint64_t
gate_now_ms(const struct gate *gate)
{
	if (gate->clock != NULL)
		return gate->clock(gate->clock_arg);
	return gate_wall_ms();
}

const struct auth_engine *
gate_auth_engine(const struct gate *gate)
{
	return gate->auth_engine;
}

void
gate_set_auth_engine(struct gate *gate, const struct auth_engine *engine)
{
	gate->auth_engine = engine;
}

/* An odd multiplier makes the counter a permutation of 30 bits: ids look
 * random and do not repeat. */
void
gate_decision_id(struct gate *gate, char id_r[DECISION_ID_LEN + 1])
{
	static const char digits[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	uint32_t n = atomic_fetch_add(&gate->id_next, 1) + gate->id_key;

	n = n * 0x9E3779B1u & 0x3FFFFFFF;
	n = (n ^ (n >> 15)) * 0x2C1B3C6Du & 0x3FFFFFFF;
	for (size_t i = 0; i < DECISION_ID_LEN; i++) {
		id_r[i] = digits[n & 31];
		n >>= 5;
	}
	id_r[DECISION_ID_LEN] = '\0';
}

uint64_t
gate_clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
gate_wall_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
