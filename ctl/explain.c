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

bool
explain_set_key(struct question *q, const char *key, struct text value)
{
/* clang-format off */
#define QUESTION_SET(name) \
	if (strcmp(key, #name) == 0) { \
		q->name = value; \
		return true; \
	}
	/* clang-format on */
	EXPLAIN_KEYS(QUESTION_SET)
#undef QUESTION_SET
	if (strcmp(key, "rcpt") == 0 && q->rcpt_count < RCPT_MAX) {
		q->rcpts[q->rcpt_count++] = value;
		return true;
	}
	return false;
}

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
set_assumption(struct oracle *oracle, const char *text)
{
	static const struct {
		const char *name;
		enum identity identity;
	} answers[] = {
		{ "verified", IDENTITY_VERIFIED },
		{ "refused", IDENTITY_REFUSED },
		{ "disabled", IDENTITY_DISABLED },
		{ "unknown", IDENTITY_UNKNOWN },
	};

	oracle->assumed = text != NULL;
	if (text == NULL)
		return true;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (strcmp(text, answers[i].name) == 0) {
			oracle->identity = answers[i].identity;
			return true;
		}
	}
	return false;
}

struct session *
explain_connect(struct gate *gate, const struct question *q)
{
	struct netaddr peer = { 0 };

	if (q->addr.data != NULL && strlen(q->addr.data) == q->addr.len)
		(void)netaddr_parse(q->addr.data, &peer);
	return session_new(gate, &peer, q->listener.data);
}

/* Splits "SMTPUTF8 BODY=8BITMIME" in place. */
static void
split_args(char *text, const char *args[], size_t max)
{
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(text, " ", &save);
	     word != NULL && n + 1 < max; word = strtok_r(NULL, " ", &save))
		args[n++] = word;
	args[n] = NULL;
}

static const char *
given(struct text text)
{
	return text.data == NULL || *text.data == '\0' ? NULL : text.data;
}

/* There is no key for the cipher: a sound one is assumed, and with it its
 * strength unless `bits` says otherwise. */
int
explain_mail(struct session *session, const struct question *q,
    struct answer *answer_r)
{
	struct text from =
	    q->from.data != NULL ? q->from : (struct text){ "<>", 2 };
	char *copy = strdup(q->args.data != NULL ? q->args.data : "");
	const char *args[32];
	struct mail_event event = {
		.path = from.data,
		.path_len = from.len,
		.args = args,
		.tls_version = given(q->tls),
		.cipher = "assumed",
		.cipher_bits = q->bits.data != NULL ? q->bits.data : "256",
		.mechanism = given(q->mech),
		.login = q->login.data,
		.login_len = q->login.len,
	};

	if (copy == NULL)
		return -1;
	split_args(copy, args, sizeof(args) / sizeof(args[0]));
	session_mail(session, &event, answer_r);
	free(copy);
	return 0;
}

void
explain_rcpt(struct session *session, struct text path, struct answer *answer_r)
{
	struct rcpt_event event = { .path = path.data, .path_len = path.len };

	session_rcpt(session, &event, answer_r);
}

const char *
explain_zone(const struct session *session)
{
	return session_facts(session)->zone == ZONE_INTERNAL ? "internal"
							     : "external";
}

static int
answer_line(struct gate *gate, struct oracle *oracle, const char *line,
    struct question *q)
{
	json_error_t error;
	json_t *object = json_loads(line, JSON_ALLOW_NUL, &error);
	const char *trouble;
	json_t *result = NULL;

	memset(q, 0, sizeof(*q));
	trouble = object == NULL ? error.text : explain_read_json(object, q);
	if (trouble == NULL && !set_assumption(oracle, q->identity.data))
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
	int rc = CTL_GOOD;

	if (q == NULL)
		return CTL_FINDING;
	while (getline(&line, &size, stdin) >= 0) {
		if (answer_line(gate, oracle, line, q) != 0)
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
		if (!explain_set_key(q, argv[i], value)) {
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
		if (set_assumption(oracle, q->identity.data))
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
