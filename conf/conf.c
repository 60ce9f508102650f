/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration file to a struct conf with its policy. There is a struct
 * conf only when nothing at all was wrong: an error, no memory included, never
 * leaves a shorter policy behind. Nothing here decides about mail.
 */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/document.h"
#include "conf/files.h"
#include "conf/load.h"
#include "conf/report.h"
#include "conf/value.h"
#include "policy/domain.h"
#include "policy/netset.h"
#include "policy/owner.h"

static void
load_socket_mode(struct loader *l, const struct block *root)
{
	unsigned int line;
	const char *text = load_text(root, OPTION_SOCKET_MODE, &line);
	struct err e = { "" };

	if (value_socket_mode(text, &l->conf->socket_mode, &e) < 0)
		load_refuse(l, line, OPTION_SOCKET_MODE, text, e.text);
	else if ((l->conf->socket_mode & 07) != 0)
		report_warning(&l->r, line, "socket_mode",
		    "%s lets everybody on this host connect, and whoever can "
		    "connect can crash libmilter",
		    text);
}

static void
take_local_domain(struct loader *l, void *arg, unsigned int line,
    const char *text)
{
	char name[DOMAIN_MAX + 1];
	enum domain_kind kind;

	(void)arg;
	if (domain_parse(text, strlen(text), true, name, &kind) != DOMAIN_VALID)
		load_refuse(l, line, OPTION_LOCAL_DOMAINS, text,
		    "is neither a domain name nor an address literal");
	else if (domainset_add(l->conf->policy.local_domains, text) < 0)
		report_no_memory(&l->r);
}

static void
load_mode(struct loader *l, const struct block *root)
{
	l->conf->policy.mode = (enum mode)load_word(l, root, OPTION_MODE);
	if (l->conf->policy.mode == MODE_OBSERVE)
		report_warning(&l->r, block_line(root, OPTION_MODE), "mode",
		    "observe: verdicts are only logged, ALL MAIL PASSES");
}

static void
load_root(struct loader *l)
{
	struct block root = document_block(l->document, SECTION_ROOT, 0);
	struct conf *conf = l->conf;

	load_string(l, &root, OPTION_LISTEN, value_listen, &conf->listen);
	load_socket_mode(l, &root);
	load_string(l, &root, OPTION_SOCKET_GROUP, value_name,
	    &conf->socket_group);
	load_string(l, &root, OPTION_USER, value_name, &conf->user);
	load_string(l, &root, OPTION_STATE_DIR, value_absolute_path,
	    &conf->state_dir);
	conf->log = (enum log_target)load_word(l, &root, OPTION_LOG);
	conf->log_format =
	    (enum log_format)load_word(l, &root, OPTION_LOG_FORMAT);
	load_mode(l, &root);
	load_internal(l, &root);
	conf->policy.local_domains = domainset_new();
	if (conf->policy.local_domains == NULL)
		report_no_memory(&l->r);
	else
		load_list(l, &root, OPTION_LOCAL_DOMAINS, take_local_domain,
		    NULL);
	account_warn(l, &root);
}

static void
load_listeners(struct loader *l)
{
	struct policy *policy = &l->conf->policy;
	size_t count = document_block_count(l->document, SECTION_LISTENER);

	if (count == 0)
		return;
	policy->listeners = calloc(count, sizeof(*policy->listeners));
	if (policy->listeners == NULL) {
		report_no_memory(&l->r);
		return;
	}
	policy->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		struct listener *listener = &policy->listeners[i];
		struct block b =
		    document_block(l->document, SECTION_LISTENER, i);

		listener->name = strdup(b.title);
		if (listener->name == NULL)
			report_no_memory(&l->r);
		listener->role =
		    (enum role)load_word(l, &b, OPTION_LISTENER_ROLE);
		if (listener->role == ROLE_MX &&
		    domainset_count(policy->local_domains) == 0)
			report_warning(&l->r, b.line, "listener",
			    "role mx and no local_domains: outsiders reach "
			    "nobody");
	}
}

/* A section that is there at most once; without it, an empty one. */
static struct block
only_block(struct loader *l, enum section section)
{
	struct block none = { .section = NULL, .title = "", .line = 1 };

	if (document_block_count(l->document, section) == 0)
		return none;
	return document_block(l->document, section, 0);
}

static void
load_tls(struct loader *l)
{
	struct block b = only_block(l, SECTION_TLS);
	struct policy *policy = &l->conf->policy;

	policy->tls_min_version =
	    load_word(l, &b, OPTION_TLS_MIN_VERSION) == 0 ? TLS_1_2 : TLS_1_3;
	policy->tls_min_bits = load_number(l, &b, OPTION_TLS_MIN_BITS);
}

static void
take_mechanism(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct policy *policy = &l->conf->policy;
	char name[VALUE_MECHANISM_MAX + 1];
	struct err e = { "" };

	(void)arg;
	if (value_mechanism(text, name, &e) < 0)
		load_refuse(l, line, OPTION_AUTH_MECHANISMS, text, e.text);
	else
		load_append(l, &policy->mechanisms, &policy->mechanism_count,
		    name);
}

static void
load_realm(struct loader *l, const struct block *b)
{
	unsigned int line;
	const char *text = load_text(b, OPTION_AUTH_REALM, &line);
	char name[DOMAIN_MAX + 1] = "";
	enum domain_kind kind = DOMAIN_NONE;

	if (*text != '\0' &&
	    (domain_parse(text, strlen(text), true, name, &kind) !=
		    DOMAIN_VALID ||
		kind == DOMAIN_LITERAL4 || kind == DOMAIN_LITERAL6)) {
		load_refuse(l, line, OPTION_AUTH_REALM, text,
		    "is no domain name");
		name[0] = '\0';
	}
	l->conf->policy.realm = strdup(name);
	if (l->conf->policy.realm == NULL)
		report_no_memory(&l->r);
}

static void
load_auth(struct loader *l)
{
	struct block b = only_block(l, SECTION_AUTH);
	struct policy *policy = &l->conf->policy;

	load_list(l, &b, OPTION_AUTH_MECHANISMS, take_mechanism, NULL);
	if (policy->mechanism_count == 0 &&
	    block_items(&b, OPTION_AUTH_MECHANISMS).count == 0)
		report_warning(&l->r, block_line(&b, OPTION_AUTH_MECHANISMS),
		    "auth.mechanisms",
		    "it is empty: every login will be refused");
	load_realm(l, &b);
	policy->switches.auth_internal =
	    (enum auth_internal)load_word(l, &b, OPTION_AUTH_INTERNAL);
}

static void
load_identity(struct loader *l)
{
	struct block b = only_block(l, SECTION_IDENTITY);
	struct conf *conf = l->conf;

	conf->identity_ttl_ms = load_duration(l, &b, OPTION_IDENTITY_TTL);
	conf->identity_refused_ttl_ms =
	    load_duration(l, &b, OPTION_IDENTITY_REFUSED_TTL);
	conf->identity_wait_ms = load_duration(l, &b, OPTION_IDENTITY_WAIT);
	conf->identity_waiters = load_number(l, &b, OPTION_IDENTITY_WAITERS);
	conf->identity_session_ttl_ms =
	    load_duration(l, &b, OPTION_IDENTITY_SESSION_TTL);
	conf->identity_grace_ms = load_duration(l, &b, OPTION_IDENTITY_GRACE);
}

static struct conf_rate
load_guesses(struct loader *l, const struct block *b, enum option option)
{
	struct conf_quota rate = { 0 };

	load_rate(l, b, option, &rate);
	return (struct conf_rate){ (unsigned int)rate.count, rate.window_ms };
}

static void
load_guessing(struct loader *l)
{
	struct block b = only_block(l, SECTION_GUESSING);
	struct conf_guessing *guessing = &l->conf->guessing;

	guessing->per_address =
	    load_guesses(l, &b, OPTION_GUESSING_PER_ADDRESS);
	guessing->per_network =
	    load_guesses(l, &b, OPTION_GUESSING_PER_NETWORK);
	guessing->per_login = load_guesses(l, &b, OPTION_GUESSING_PER_LOGIN);
	guessing->delay_ms = load_duration(l, &b, OPTION_GUESSING_DELAY);
	guessing->spare_ms = load_duration(l, &b, OPTION_GUESSING_SPARE);
}

static void
take_pattern(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct err e = { "" };
	bool *by_domain = arg;

	*by_domain = *by_domain || strstr(text, "%d") != NULL;
	if (owners_add_pattern(l->conf->policy.owners, text, &e) < 0)
		report_error(&l->r, line, "senders.own", "%s", e.text);
}

/* At postern's own door the client writes the domain, and a server that is
 * asked about the local part alone does not look at it. */
static void
warn_any_domain(struct loader *l, const struct block *b)
{
	const struct conf *conf = l->conf;

	if (conf->sasl_count == 0 ||
	    conf->policy.switches.sender_check == SENDER_CHECK_OFF)
		return;
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		for (size_t k = 0;
		     imap->login_as == LOGIN_AS_USER && k < imap->domain_count;
		     k++) {
			if (strcmp(imap->domains[k], "*") == 0)
				report_warning(&l->r,
				    block_line(b, OPTION_SENDERS_OWN),
				    "senders.own",
				    "%%d is any domain that a client likes: "
				    "with its login_as = \"user\", imap "
				    "\"%.80s\" takes alice@whatever.example "
				    "for alice; name its domains, instead of "
				    "\"*\"",
				    imap->name);
		}
	}
}

static void
report_map_line(void *arg, unsigned int line, const char *text)
{
	report_error(arg, line, "senders.map", "%s", text);
}

static void
load_map(struct loader *l, const struct block *b)
{
	struct reporter of_map = { .report = l->r.report };
	unsigned int line = block_line(b, OPTION_SENDERS_MAP);
	char *path = NULL, *text = NULL;
	size_t len = 0, errors;
	struct err e = { "" };

	load_string(l, b, OPTION_SENDERS_MAP, value_absolute_path, &path);
	if (path == NULL || *path == '\0' || l->env->no_files)
		goto out;
	if (files_read(path, &text, &len, &e) < 0) {
		report_error(&l->r, line, "senders.map",
		    REPORT_PATH ": %s; allowed: a file that postern can read",
		    path, e.text);
		goto out;
	}
	account_warn_file(l, line, "senders.map", path);
	load_note_file(l, path);
	of_map.file = path;
	errors = l->r.report->errors;
	if (owners_add_map(l->conf->policy.owners, text, len,
		l->conf->policy.realm, report_map_line, &of_map) < 0 &&
	    l->r.report->errors == errors)
		report_no_memory(&l->r);
out:
	free(text);
	free(path);
}

static void
load_senders(struct loader *l)
{
	struct block b = only_block(l, SECTION_SENDERS);
	struct policy *policy = &l->conf->policy;
	bool by_domain = false;

	policy->switches.sender_check =
	    (enum sender_check)load_word(l, &b, OPTION_SENDERS_CHECK);
	policy->switches.sender_action =
	    (enum sender_action)load_word(l, &b, OPTION_SENDERS_ACTION);
	policy->owners = owners_new(load_bool(l, &b, OPTION_SENDERS_FOLD_CASE));
	if (policy->owners == NULL) {
		report_no_memory(&l->r);
		return;
	}
	load_list(l, &b, OPTION_SENDERS_OWN, take_pattern, &by_domain);
	if (by_domain)
		warn_any_domain(l, &b);
	load_map(l, &b);
}

static void
load_recipients(struct loader *l)
{
	struct block b = only_block(l, SECTION_RECIPIENTS);

	l->conf->policy.switches.routed =
	    (enum routed_action)load_word(l, &b, OPTION_RECIPIENTS_ROUTED);
	l->conf->recipients_max = load_number(l, &b, OPTION_RECIPIENTS_MAX);
}

static void
load_how_much(struct loader *l)
{
	struct block contain = only_block(l, SECTION_CONTAIN);
	struct block sentinel = only_block(l, SECTION_SENTINEL);

	load_limits(l);
	load_contain(l, &contain);
	l->conf->sentinel =
	    (enum sentinel)load_word(l, &sentinel, OPTION_SENTINEL_ACTION);
}

/* In an order that needs no second look: what others look at before them. */
static void
load_all(struct loader *l)
{
	struct block store = only_block(l, SECTION_STORE);

	load_root(l);
	load_listeners(l);
	load_tls(l);
	load_auth(l);
	load_imaps(l);
	load_identity(l);
	load_sasls(l);
	load_delegation(l);
	load_leases(l);
	load_http(l);
	load_guessing(l);
	load_senders(l);
	load_recipients(l);
	load_how_much(l);
	load_store(l, &store);
}

struct conf *
conf_load_text(const char *file, const char *text, size_t len,
    const struct conf_env *env, struct conf_report *report)
{
	struct loader l = { .r = { .report = report, .file = file },
		.env = env };
	size_t errors = report->errors;

	l.document = document_parse(text, len, &l.r);
	if (l.document == NULL)
		return NULL;
	l.conf = calloc(1, sizeof(*l.conf));
	if (l.conf == NULL) {
		report_no_memory(&l.r);
		goto out;
	}
	l.conf->file = strdup(file);
	if (l.conf->file == NULL)
		report_no_memory(&l.r);
	load_all(&l);
	if (report->errors != errors)
		conf_free(&l.conf);
out:
	document_free(&l.document);
	return l.conf;
}

struct conf *
conf_load(const char *file, struct conf_report *report)
{
	const struct conf_env env = { .host = &hostnet_live };
	struct reporter r = { .report = report, .file = file };
	struct conf *conf;
	struct err e = { "" };
	char *text;
	size_t len;

	if (files_read(file, &text, &len, &e) < 0) {
		report_error(&r, 1, "file",
		    "it cannot be read: %s; allowed: a text file of at most %u "
		    "octets",
		    e.text, FILES_TEXT_MAX);
		return NULL;
	}
	conf = conf_load_text(file, text, len, &env, report);
	free(text);
	return conf;
}

bool
conf_is_readable(const struct conf *conf)
{
	struct err e;

	if (files_check_readable(conf->file, &e) < 0)
		return false;
	for (size_t i = 0; i < conf->named_file_count; i++) {
		if (files_check_readable(conf->named_files[i], &e) < 0)
			return false;
	}
	return true;
}

bool
conf_needs_store(const struct conf *conf)
{
	if (conf->policy.switches.leases == LEASES_ON ||
	    conf->sentinel == SENTINEL_EXTERNAL)
		return true;
	for (size_t i = 0; i < conf->limit_count; i++) {
		for (size_t k = 0; k < LIMIT_COUNTERS; k++) {
			if (conf->limits[i].quotas[k].count > 0)
				return true;
		}
	}
	for (size_t i = 0; conf->sasl_count > 0 && i < conf->imap_count; i++) {
		for (size_t k = 0; k < VERIFY_SOURCES; k++) {
			if (conf->imaps[i].verify[k] == VERIFY_SESSION)
				return true;
		}
	}
	return false;
}

static void
free_strings(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static void
clear_imap(struct conf_imap *imap)
{
	free(imap->name);
	free_strings(imap->urls, imap->url_count);
	free(imap->ca_file);
	free_strings(imap->domains, imap->domain_count);
	free(imap->master_separator);
	free(imap->proxy_user);
	files_wipe(&imap->proxy_password);
	free(imap->canary);
}

static void
clear_sasl(struct conf_sasl *sasl)
{
	free(sasl->name);
	free(sasl->listen);
	free(sasl->socket_group);
}

void
conf_free(struct conf **conf)
{
	struct conf *c = *conf;

	if (c == NULL)
		return;
	free(c->file);
	free_strings(c->named_files, c->named_file_count);
	free(c->listen);
	free(c->socket_group);
	free(c->user);
	free(c->state_dir);
	policy_clear(&c->policy);
	for (size_t i = 0; i < c->imap_count; i++)
		clear_imap(&c->imaps[i]);
	free(c->imaps);
	for (size_t i = 0; i < c->sasl_count; i++)
		clear_sasl(&c->sasls[i]);
	free(c->sasls);
	free(c->delegation.listen);
	free(c->delegation.socket_group);
	free(c->http.listen);
	free(c->http.socket_group);
	files_wipe(&c->http.secret);
	limits_clear(c);
	free(c->store_url);
	files_wipe(&c->store_password);
	free(c->store_ca_file);
	free(c);
	*conf = NULL;
}
