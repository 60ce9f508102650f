/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl explain: puts a described session through the very gate that the
 * daemon uses and says what came out. It judges nothing itself; where no answer
 * is assumed for IMAP, the real servers are asked.
 */
#include "ctl/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* What IMAP answers: assumed, or asked of an engine that is started when the
 * first question needs it. */
struct oracle {
	const char *file;
	bool assumed;
	enum identity identity;
	struct log *log;
	struct rules *online;
};

static enum identity
ask_online(struct oracle *oracle, const struct login *login)
{
	if (oracle->online == NULL) {
		struct conf_report report = { 0 };
		struct conf *conf = conf_load(oracle->file, &report);
		struct err e;

		conf_report_clear(&report);
		if (conf != NULL)
			oracle->online = rules_new(conf, NULL, oracle->log, &e);
		if (oracle->online == NULL)
			return IDENTITY_UNKNOWN;
		(void)rules_wait_ready(oracle->online, 5000);
	}
	return rules_ask(oracle->online, login);
}

/* What the engine would refuse unasked is refused under an assumption too. */
static enum identity
ask_oracle(void *arg, const struct rules *rules, const struct login *login)
{
	struct oracle *oracle = arg;

	if (!oracle->assumed)
		return ask_online(oracle, login);
	if (!rules_would_ask(rules, login))
		return IDENTITY_REFUSED;
	return oracle->identity;
}

static bool
set_assumption(struct oracle *oracle, const struct text *text)
{
	oracle->assumed = text->data != NULL;
	if (text->data == NULL)
		return true;
	for (int i = 0; i <= (int)IDENTITY_DISABLED; i++) {
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
		trouble = "identity: verified, refused, disabled or unknown";
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
			rc = explain_in_words(gate, q);
		else
			(void)fprintf(stderr,
			    "posternctl: explain: identity is verified, "
			    "refused, disabled or unknown, not \"%s\"\n",
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
		rc = explain(gate, &oracle, argc, argv);
	}
	gate_free(&gate);
	rules_free(&oracle.online);
	log_free(&oracle.log);
	return rc;
}
