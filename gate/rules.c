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

/* Two configurations with one fingerprint want the same engine. */
static char *
fingerprint(const struct conf *conf)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	(void)fprintf(f, "%ju %ju %ju %u;", (uintmax_t)conf->identity_ttl_ms,
	    (uintmax_t)conf->identity_refused_ttl_ms,
	    (uintmax_t)conf->identity_wait_ms, conf->identity_waiters);
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];
		char *const texts[] = { imap->name, imap->ca_file,
			imap->master_separator, imap->proxy_user,
			imap->proxy_password, imap->canary };

		print_file(f, imap->ca_file);
		print_strings(f, texts, sizeof(texts) / sizeof(texts[0]));
		print_strings(f, imap->urls, imap->url_count);
		print_strings(f, imap->domains, imap->domain_count);
		(void)fprintf(f, "%d %d %ju %u;", (int)imap->login_as,
		    (int)imap->mailbox_check, (uintmax_t)imap->timeout_ms,
		    imap->max_connections);
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
start_engine(const struct conf *conf, struct log *log, struct err *e)
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
		.report = report_identity,
		.report_arg = log,
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
			.proxy = true,
			.proxy_user = imap->proxy_user,
			.proxy_password = imap->proxy_password,
			.mailbox_check = mailbox_option(imap->mailbox_check),
			.canary = imap->canary,
			.timeout_ms = imap->timeout_ms,
			.max_connections = imap->max_connections,
		};
	}
	engine = identity_new(&options, e);
	free(backends);
	return engine;
}

static struct engine_holder *
holder_new(const struct conf *conf, const struct rules *previous,
    struct log *log, struct err *e)
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
	holder->engine = start_engine(conf, log, e);
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

struct rules *
rules_new(struct conf *conf, const struct rules *previous, struct log *log,
    struct err *e)
{
	struct rules *rules = rules_new_offline(conf);

	if (rules == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	rules->engine = holder_new(conf, previous, log, e);
	if (rules->engine == NULL)
		rules_free(&rules);
	return rules;
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

bool
rules_would_ask(const struct rules *rules, const struct login *login)
{
	for (size_t i = 0; i < rules->conf->imap_count; i++) {
		const struct conf_imap *imap = &rules->conf->imaps[i];

		if (route_matches((const char *const *)imap->domains,
			imap->domain_count, login))
			return !route_is_master(imap->master_separator, login);
	}
	return false;
}

enum identity
rules_ask(const struct rules *rules, const struct login *login)
{
	if (rules->engine == NULL)
		return IDENTITY_UNKNOWN;
	return identity_ask(rules->engine->engine, login);
}

bool
rules_wait_ready(const struct rules *rules, uint64_t ms)
{
	return rules->engine != NULL &&
	    identity_wait_ready(rules->engine->engine, ms);
}
