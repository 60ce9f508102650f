/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binds a configuration to an identity engine. The engine (its cache, breaker
 * and self-test) outlives a reload that does not concern it. What the rules
 * mean is decided elsewhere.
 */
#include "gate/rules.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "identity/route.h"

/* Somebody who looks on, or zeroes. */
struct onlooker {
	void (*trace)(void *arg, const char *text);
	void *arg;
};

struct engine_holder {
	struct identity_engine *engine;
	char *fingerprint; /* all settings that made the engine; secret */
	atomic_uint refs;
};

/* A new CA file under the old name is another one: a resumed TLS session or a
 * cached store would not look at it. */
static void
print_file(FILE *f, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		(void)fprintf(f, "%ju:%ju:%jd:%ld;", (uintmax_t)st.st_ino,
		    (uintmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		    st.st_mtim.tv_nsec);
}

static void
print_strings(FILE *f, char *const *strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)fprintf(f, "%zu:%s,", strlen(strings[i]), strings[i]);
	(void)fputc(';', f);
}

static bool
has_source(const struct conf_imap *imap, enum verify_source source)
{
	for (size_t i = 0; i < VERIFY_SOURCES; i++) {
		if (imap->verify[i] == source)
			return true;
	}
	return false;
}

static unsigned int
relayed_mechanisms(const struct conf *conf)
{
	unsigned int mechanisms = 0;

	for (size_t i = 0; i < conf->sasl_count; i++)
		mechanisms |= conf->sasls[i].pass_through;
	return mechanisms;
}

/* Two configurations with one fingerprint want the same engine. */
static char *
fingerprint(const struct conf *conf)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	(void)fprintf(f, "%ju %ju %ju %u %ju %u;",
	    (uintmax_t)conf->identity_ttl_ms,
	    (uintmax_t)conf->identity_refused_ttl_ms,
	    (uintmax_t)conf->identity_wait_ms, conf->identity_waiters,
	    (uintmax_t)conf->identity_grace_ms, relayed_mechanisms(conf));
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];
		char *const texts[] = { imap->name, imap->ca_file,
			imap->master_separator, imap->proxy_user,
			imap->proxy_password, imap->canary };

		print_file(f, imap->ca_file);
		print_strings(f, texts, sizeof(texts) / sizeof(texts[0]));
		print_strings(f, imap->urls, imap->url_count);
		print_strings(f, imap->domains, imap->domain_count);
		(void)fprintf(f, "%d %d %ju %u %d %d;", (int)imap->login_as,
		    (int)imap->mailbox_check, (uintmax_t)imap->timeout_ms,
		    imap->max_connections, has_source(imap, VERIFY_PROXY),
		    imap->forward_client);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
holder_free(struct engine_holder **holderp)
{
	struct engine_holder *holder = *holderp;

	*holderp = NULL;
	if (holder == NULL || atomic_fetch_sub(&holder->refs, 1) > 1)
		return;
	identity_free(&holder->engine);
	if (holder->fingerprint != NULL)
		OPENSSL_cleanse(holder->fingerprint,
		    strlen(holder->fingerprint));
	free(holder->fingerprint);
	free(holder);
}

static void
report_identity(void *arg, enum identity_level level, const char *text)
{
	struct log *log = arg;

	switch (level) {
	case IDENTITY_INFO:
		log_event(log, LOG_LEVEL_INFO, "%s", text);
		return;
	case IDENTITY_WARNING:
		log_event(log, LOG_LEVEL_WARNING, "%s", text);
		return;
	case IDENTITY_ALARM:
		break;
	}
	log_event(log, LOG_LEVEL_ALARM, "%s", text);
}

static enum identity_mailbox
mailbox_option(enum mailbox_check check)
{
	switch (check) {
	case MAILBOX_CHECK_YES:
		return IDENTITY_MAILBOX_YES;
	case MAILBOX_CHECK_NO:
		return IDENTITY_MAILBOX_NO;
	case MAILBOX_CHECK_AUTO:
		break;
	}
	return IDENTITY_MAILBOX_AUTO;
}

static struct identity_engine *
start_engine(const struct conf *conf, struct log *log,
    const struct onlooker *onlooker, struct err *e)
{
	struct identity_backend *backends =
	    calloc(conf->imap_count + 1, sizeof(*backends));
	struct identity_options options = {
		.backends = backends,
		.backend_count = conf->imap_count,
		.ttl_ms = conf->identity_ttl_ms,
		.refused_ttl_ms = conf->identity_refused_ttl_ms,
		.wait_ms = conf->identity_wait_ms,
		.waiters = conf->identity_waiters,
		.grace_ms = conf->identity_grace_ms,
		.mechanisms = relayed_mechanisms(conf),
		.report = report_identity,
		.report_arg = log,
		.trace = onlooker->trace,
		.trace_arg = onlooker->arg,
	};
	struct identity_engine *engine;

	if (backends == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		backends[i] = (struct identity_backend){
			.name = imap->name,
			.urls = (const char *const *)imap->urls,
			.url_count = imap->url_count,
			.ca_file = imap->ca_file,
			.domains = (const char *const *)imap->domains,
			.domain_count = imap->domain_count,
			.login_as_address = imap->login_as == LOGIN_AS_ADDRESS,
			.master_separator = imap->master_separator,
			.proxy = has_source(imap, VERIFY_PROXY),
			.proxy_user = imap->proxy_user,
			.proxy_password = imap->proxy_password,
			.mailbox_check = mailbox_option(imap->mailbox_check),
			.canary = imap->canary,
			.timeout_ms = imap->timeout_ms,
			.max_connections = imap->max_connections,
			.forward_client = imap->forward_client,
		};
	}
	engine = identity_new(&options, e);
	free(backends);
	return engine;
}

static struct engine_holder *
holder_new(const struct conf *conf, const struct rules *previous,
    struct log *log, const struct onlooker *onlooker, struct err *e)
{
	struct engine_holder *holder = calloc(1, sizeof(*holder));

	if (holder == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	atomic_init(&holder->refs, 1);
	holder->fingerprint = fingerprint(conf);
	if (holder->fingerprint == NULL) {
		err_set(e, "out of memory");
		holder_free(&holder);
		return NULL;
	}
	if (previous != NULL && previous->engine != NULL &&
	    strcmp(previous->engine->fingerprint, holder->fingerprint) == 0) {
		holder_free(&holder);
		holder = previous->engine;
		atomic_fetch_add(&holder->refs, 1);
		return holder;
	}
	holder->engine = start_engine(conf, log, onlooker, e);
	if (holder->engine == NULL)
		holder_free(&holder);
	return holder;
}

struct rules *
rules_new_offline(struct conf *conf)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (rules == NULL) {
		conf_free(&conf);
		return NULL;
	}
	rules->conf = conf;
	rules->refs = 1;
	return rules;
}

static struct rules *
new_online(struct conf *conf, const struct rules *previous, struct log *log,
    const struct onlooker *onlooker, struct err *e)
{
	struct rules *rules = rules_new_offline(conf);

	if (rules == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	rules->engine = holder_new(conf, previous, log, onlooker, e);
	if (rules->engine == NULL)
		rules_free(&rules);
	return rules;
}

struct rules *
rules_new(struct conf *conf, const struct rules *previous, struct log *log,
    struct err *e)
{
	const struct onlooker nobody = { .trace = NULL };

	return new_online(conf, previous, log, &nobody, e);
}

struct rules *
rules_new_traced(struct conf *conf, struct log *log,
    void (*trace)(void *arg, const char *text), void *trace_arg, struct err *e)
{
	const struct onlooker onlooker = { .trace = trace, .arg = trace_arg };

	return new_online(conf, NULL, log, &onlooker, e);
}

void
rules_free(struct rules **rulesp)
{
	struct rules *rules = *rulesp;

	if (rules == NULL)
		return;
	*rulesp = NULL;
	holder_free(&rules->engine);
	conf_free(&rules->conf);
	free(rules);
}

/* The first imap section whose domains match, or NULL. */
static const struct conf_imap *
imap_of(const struct rules *rules, const struct login *login)
{
	for (size_t i = 0; i < rules->conf->imap_count; i++) {
		const struct conf_imap *imap = &rules->conf->imaps[i];

		if (route_matches((const char *const *)imap->domains,
			imap->domain_count, login))
			return imap;
	}
	return NULL;
}

bool
rules_would_ask(const struct rules *rules, const struct login *login)
{
	const struct conf_imap *imap = imap_of(rules, login);

	return imap != NULL && !route_is_ambiguous(login) &&
	    !route_is_master(imap->master_separator, login);
}

void
rules_account(const struct rules *rules, const struct login *login,
    struct login *account_r)
{
	const struct conf_imap *imap = imap_of(rules, login);
	char local[LOGIN_MAX + 1];
	size_t room = sizeof(account_r->text);

	*account_r = *login;
	if (imap == NULL || imap->login_as != LOGIN_AS_USER)
		return;
	/* servers differ by their sections; what is too long is cut */
	login_local(login, local);
	if (snprintf(account_r->text, room, "%s@%s", imap->name, local) < 0)
		*account_r = *login;
}

/* A proof for the login alone is worth something while the configuration says
 * so, and not for as long as it lasts. */
static enum tri
find_proof(const struct conf *conf, const struct rules_question *q)
{
	uint64_t ttl_ms = conf->identity_session_ttl_ms;

	for (size_t i = 0; i < conf->sasl_count; i++) {
		if (conf->sasls[i].proof == SASL_PROOF_LOGIN)
			return store_proof_get(q->store, q->login, q->addr,
			    ttl_ms, q->now_ms);
	}
	return store_proof_get_from(q->store, q->login, q->addr, ttl_ms,
	    q->now_ms);
}

/* Without a door of its own, postern has seen nobody. */
static enum identity
ask_session(const struct rules *rules, const struct rules_question *q)
{
	if (rules->conf->sasl_count == 0 || q->no_store)
		return IDENTITY_UNPROVEN;
	if (q->store == NULL)
		return IDENTITY_UNKNOWN;
	switch (find_proof(rules->conf, q)) {
	case TRI_YES:
		return IDENTITY_VERIFIED;
	case TRI_NO:
		return IDENTITY_UNPROVEN;
	case TRI_UNKNOWN:
		break;
	}
	return IDENTITY_UNKNOWN;
}

static enum identity
ask_proxy(const struct rules *rules, const struct rules_question *q)
{
	if (rules->engine == NULL)
		return IDENTITY_UNKNOWN;
	return identity_ask(rules->engine->engine, q->login);
}

static enum identity
ask_source(const struct rules *rules, enum verify_source source,
    const struct rules_question *q)
{
	switch (source) {
	case VERIFY_SESSION:
		return ask_session(rules, q);
	case VERIFY_PROXY:
		return ask_proxy(rules, q);
	case VERIFY_NONE:
		break;
	}
	return IDENTITY_UNKNOWN;
}

static bool
is_final(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
	case IDENTITY_REFUSED:
	case IDENTITY_DISABLED:
		return true;
	case IDENTITY_UNPROVEN:
	case IDENTITY_UNKNOWN:
		break;
	}
	return false;
}

enum identity
rules_ask(const struct rules *rules, const struct rules_question *q,
    struct rules_trail *trail_r)
{
	const struct conf_imap *imap = imap_of(rules, q->login);
	struct rules_trail trail = { .count = 0 };
	enum identity identity = IDENTITY_UNKNOWN;
	bool undecided = false;

	if (imap != NULL)
		trail.imap = imap->name;
	if (!rules_would_ask(rules, q->login))
		identity = IDENTITY_REFUSED;
	for (size_t i = 0; imap != NULL && i < VERIFY_SOURCES &&
	     !is_final(identity) && imap->verify[i] != VERIFY_NONE;
	     i++) {
		identity = ask_source(rules, imap->verify[i], q);
		undecided = undecided || identity == IDENTITY_UNKNOWN;
		trail.steps[trail.count].source = imap->verify[i];
		trail.steps[trail.count++].identity = identity;
	}
	if (trail_r != NULL)
		*trail_r = trail;
	if (undecided && !is_final(identity))
		return IDENTITY_UNKNOWN;
	return identity;
}

struct identity_engine *
rules_engine(const struct rules *rules)
{
	return rules->engine == NULL ? NULL : rules->engine->engine;
}

const struct conf_sasl *
rules_sasl(const struct rules *rules, const char *title)
{
	for (size_t i = 0; i < rules->conf->sasl_count; i++) {
		if (strcmp(rules->conf->sasls[i].name, title) == 0)
			return &rules->conf->sasls[i];
	}
	return NULL;
}

bool
rules_wait_ready(const struct rules *rules, uint64_t ms)
{
	return rules->engine != NULL &&
	    identity_wait_ready(rules->engine->engine, ms);
}
