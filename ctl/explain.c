/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl explain: puts a described session through the very gate that the
 * daemon uses and says what came out. It judges nothing itself; where no answer
 * is assumed, the store and the real IMAP servers are asked.
 */
#include "ctl/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "store/place.h"

static void
report_store(void *arg, enum store_level level, const char *text)
{
	(void)level;
	log_event(arg, LOG_LEVEL_WARNING, "%s", text);
}

/* What is not there is not made: a store of root's would shut out the daemon.
 * Without one, nobody has proven anything. */
static int
find_store(struct oracle *oracle, const struct store_options *options,
    struct err *e)
{
	char *dir, *path = NULL;
	int rc = -1;

	if (!place_is_file(options))
		return 0;
	dir = place_dir(options, e);
	if (dir != NULL)
		path = place_file(dir);
	if (path != NULL) {
		rc = 0;
		oracle->no_store = access(path, F_OK) != 0 && errno == ENOENT;
	}
	free(path);
	free(dir);
	return rc;
}

static void
open_store(struct oracle *oracle, const struct conf *conf)
{
	struct store_options options = {
		.url = conf->store_url,
		.password = conf->store_password,
		.ca_file = conf->store_ca_file,
		.state_dir = conf->state_dir,
		.report = report_store,
		.report_arg = oracle->log,
	};
	struct err e = { "out of memory" };

	if (oracle->store_sought || !conf_needs_store(conf))
		return;
	oracle->store_sought = true;
	if (find_store(oracle, &options, &e) == 0) {
		if (oracle->no_store)
			return;
		if (place_take_owner(&options, &e) == 0)
			oracle->store = store_open(&options, &e);
	}
	if (oracle->store == NULL)
		log_event(oracle->log, LOG_LEVEL_WARNING,
		    "what the daemon remembers cannot be read: %s", e.text);
}

/* The store first: it wants a process without threads, and may take on its
 * owner's rights when everything else is read. */
static int
go_online(struct oracle *oracle)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(oracle->file, &report);
	struct err e;

	conf_report_clear(&report);
	if (conf == NULL)
		return -1;
	open_store(oracle, conf);
	oracle->online = rules_new(conf, NULL, oracle->log, &e);
	if (oracle->online == NULL)
		return -1;
	(void)rules_wait_ready(oracle->online, 5000);
	return 0;
}

static enum identity
ask_online(struct oracle *oracle, const struct login *login,
    const struct netaddr *peer)
{
	struct rules_question question = {
		.login = login,
		.addr = peer,
		.now_ms = gate_wall_ms(),
	};

	if (oracle->online == NULL && go_online(oracle) != 0)
		return IDENTITY_UNKNOWN;
	question.store = oracle->store;
	question.no_store = oracle->no_store;
	return rules_ask(oracle->online, &question, &oracle->trail);
}

/* What the engine would refuse unasked is refused under an assumption too. */
static enum identity
ask_oracle(void *arg, const struct rules *rules, const struct login *login,
    const struct netaddr *peer)
{
	struct oracle *oracle = arg;

	if (!oracle->assumed)
		return ask_online(oracle, login, peer);
	if (!rules_would_ask(rules, login))
		return IDENTITY_REFUSED;
	return oracle->identity;
}

static int
ask_leases(void *arg, const struct rules *rules, const struct netaddr *peer,
    struct login logins_r[LEASE_HOLDERS_MAX])
{
	struct oracle *oracle = arg;

	open_store(oracle, rules->conf);
	if (oracle->no_store)
		return 0;
	return lease_holders(oracle->store, &rules->conf->policy, peer,
	    gate_wall_ms(), logins_r);
}

static bool
set_assumption(struct oracle *oracle, const struct text *text)
{
	oracle->assumed = text->data != NULL;
	if (text->data == NULL)
		return true;
	for (int i = 0; i <= (int)IDENTITY_UNPROVEN; i++) {
		oracle->identity = (enum identity)i;
		if (strlen(text->data) == text->len &&
		    strcmp(text->data, identity_name(oracle->identity)) == 0)
			return true;
	}
	return false;
}

static int
answer_line(struct gate *gate, struct oracle *oracle, const char *line,
    size_t len, struct question *q)
{
	json_error_t error;
	json_t *object = json_loadb(line, len,
	    JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	const char *trouble;
	json_t *result = NULL;

	memset(q, 0, sizeof(*q));
	trouble = object == NULL ? error.text : explain_read_json(object, q);
	if (trouble == NULL && !set_assumption(oracle, &q->identity))
		trouble = "identity: verified, refused, disabled, unproven or "
			  "unknown";
	if (trouble == NULL) {
		result = explain_as_json(gate, q);
		trouble = "out of memory";
	}
	if (result == NULL)
		result = json_pack("{s:s}", "error", trouble);
	else
		trouble = NULL;
	(void)json_dumpf(result, stdout, JSON_COMPACT);
	(void)fputc('\n', stdout);
	json_decref(result);
	json_decref(object);
	return trouble == NULL ? 0 : -1;
}

static int
explain_batch(struct gate *gate, struct oracle *oracle)
{
	struct question *q = calloc(1, sizeof(*q));
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = CTL_GOOD;

	if (q == NULL)
		return CTL_FINDING;
	while ((len = getline(&line, &size, stdin)) >= 0) {
		if (answer_line(gate, oracle, line, (size_t)len, q) != 0)
			rc = CTL_USAGE;
	}
	free(line);
	free(q);
	return rc;
}

static int
parse_arguments(int argc, char **argv, struct question *q)
{
	for (int i = 0; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		struct text value;

		if (equals == NULL) {
			(void)fprintf(stderr,
			    "posternctl: explain: \"%s\" is not KEY=VALUE\n",
			    argv[i]);
			return -1;
		}
		*equals = '\0';
		value.data = equals + 1;
		value.len = strlen(equals + 1);
		if (!question_set_key(q, argv[i], value)) {
			(void)fprintf(stderr,
			    "posternctl: explain: there is no key \"%s\"; "
			    "keys are addr listener helo tls bits mech login "
			    "identity from args rcpt\n",
			    argv[i]);
			return -1;
		}
	}
	return 0;
}

static int
explain(struct gate *gate, struct oracle *oracle, int argc, char **argv)
{
	struct question *q;
	int rc = CTL_USAGE;

	if (argc == 1 && strcmp(argv[0], "--batch") == 0)
		return explain_batch(gate, oracle);
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return CTL_FINDING;
	if (argc > 0 && parse_arguments(argc, argv, q) == 0) {
		if (set_assumption(oracle, &q->identity))
			rc = explain_in_words(gate, oracle, q);
		else
			(void)fprintf(stderr,
			    "posternctl: explain: identity is verified, "
			    "refused, disabled, unproven or unknown, "
			    "not \"%s\"\n",
			    q->identity.data);
	} else if (argc == 0) {
		(void)fprintf(stderr,
		    "posternctl: explain wants KEY=VALUE... or --batch\n");
	}
	free(q);
	return rc;
}

int
ctl_explain(const char *file, int argc, char **argv)
{
	struct conf *conf = ctl_load(file, NULL);
	struct oracle oracle = { .file = file };
	struct rules *rules;
	struct gate *gate = NULL;
	int rc = CTL_FINDING;

	if (conf == NULL)
		return CTL_CONFIG;
	oracle.log = log_new(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	if (oracle.log != NULL)
		log_set_level(oracle.log, LOG_LEVEL_WARNING);
	rules = rules_new_offline(conf);
	if (rules != NULL)
		gate = gate_new(rules, NULL);
	if (gate != NULL && oracle.log != NULL) {
		gate_set_ask(gate, ask_oracle, &oracle);
		gate_set_leases(gate, ask_leases, &oracle);
		rc = explain(gate, &oracle, argc, argv);
	}
	gate_free(&gate);
	rules_free(&oracle.online);
	store_close(&oracle.store);
	log_free(&oracle.log);
	return rc;
}
