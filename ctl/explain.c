/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl explain: puts a described session through the very gate that the
 * daemon uses and says what came out. It judges nothing itself; where no answer
 * is assumed for IMAP, the real servers are asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ctl/ctl.h"
#include "gate/session.h"

#define RCPT_MAX 1000

/* A text that may hold NULs. */
struct text {
	const char *data; /* NULL: not given */
	size_t len;
};

/* clang-format off */
#define EXPLAIN_KEYS(X) \
	X(addr) X(listener) X(helo) X(tls) X(bits) X(mech) X(login) \
	X(identity) X(from) X(args)
/* clang-format on */

/* One described session; everything is borrowed. */
struct question {
#define QUESTION_MEMBER(key) struct text key;
	EXPLAIN_KEYS(QUESTION_MEMBER)
#undef QUESTION_MEMBER
	struct text rcpts[RCPT_MAX];
	size_t rcpt_count;
};

/* What IMAP answers: assumed, or asked of an engine that is started when the
 * first question needs it. */
struct oracle {
	const char *file;
	bool assumed;
	enum identity identity;
	struct log *log;
	struct rules *online;
};

static bool
set_key(struct question *q, const char *key, struct text value)
{
#define QUESTION_SET(name)      \
 if (strcmp(key, #name) == 0) { \
  q->name = value;              \
  return true;                  \
 }
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

static struct session *
begin(struct gate *gate, const struct question *q)
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
static int
mail(struct session *session, const struct question *q, struct answer *answer_r)
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

static void
rcpt(struct session *session, struct text path, struct answer *answer_r)
{
	struct rcpt_event event = { .path = path.data, .path_len = path.len };

	session_rcpt(session, &event, answer_r);
}

/* --- as JSON --- */

static void
put_path(json_t *object, const struct path *path)
{
	static const struct path none;
	bool valid;

	if (path == NULL)
		path = &none;
	valid = path_is_valid(path);
	(void)json_object_set_new(object, "valid", json_boolean(valid));
	(void)json_object_set_new(object, "local",
	    valid ? json_string(path->local) : json_null());
	(void)json_object_set_new(object, "domain",
	    valid ? json_string(path->domain) : json_null());
	(void)json_object_set_new(object, "routed", json_boolean(path->routed));
}

static void
put_answer(json_t *object, const struct answer *answer)
{
	(void)json_object_set_new(object, "verdict",
	    json_string(verdict_name(answer->decision.verdict)));
	(void)json_object_set_new(object, "code",
	    json_string(answer->reply.code));
	(void)json_object_set_new(object, "xcode",
	    json_string(answer->reply.xcode));
	(void)json_object_set_new(object, "reason",
	    json_string(reason_row(answer->decision.reason)->name));
}

static const char *
zone_name(const struct session *session)
{
	return session_facts(session)->zone == ZONE_INTERNAL ? "internal"
							     : "external";
}

/* The whole judgement of one question. NULL: no memory. */
static json_t *
judge(struct gate *gate, const struct question *q)
{
	struct session *session = begin(gate, q);
	json_t *result = json_object(), *sender = json_object();
	json_t *rcpts = json_array();
	struct answer top, answer;
	bool passed = false;

	if (session == NULL || mail(session, q, &top) != 0) {
		session_free(&session);
		json_decref(result);
		json_decref(sender);
		json_decref(rcpts);
		return NULL;
	}
	(void)json_object_set_new(result, "zone",
	    json_string(zone_name(session)));
	put_path(sender, session_sender(session));
	answer = top;
	for (size_t i = 0; i < q->rcpt_count; i++) {
		json_t *row = json_object();

		rcpt(session, q->rcpts[i], &answer);
		put_answer(row, &answer);
		put_path(row, session_recipient(session));
		(void)json_array_append_new(rcpts, row);
		/* a refused MAIL, a passing recipient, or the first refusal */
		if (top.decision.verdict != VERDICT_PERMIT || passed)
			continue;
		passed = answer.decision.verdict == VERDICT_PERMIT;
		if (passed || i == 0)
			put_answer(result, &answer);
	}
	if (q->rcpt_count == 0 || top.decision.verdict != VERDICT_PERMIT)
		put_answer(result, &top);
	(void)json_object_set_new(result, "stage",
	    json_string(
		q->rcpt_count == 0 || top.decision.verdict != VERDICT_PERMIT
		    ? "mail"
		    : "rcpt"));
	(void)json_object_set_new(result, "sender", sender);
	(void)json_object_set_new(result, "rcpts", rcpts);
	session_free(&session);
	return result;
}

static const char *
read_question(json_t *object, struct question *q)
{
	const char *key;
	json_t *value, *item;
	size_t i;

	if (!json_is_object(object))
		return "not a JSON object";
	json_object_foreach(object, key, value)
	{
		struct text text = { json_string_value(value),
			json_string_length(value) };

		if (strcmp(key, "rcpt") == 0 && json_is_array(value)) {
			json_array_foreach(value, i, item)
			{
				text.data = json_string_value(item);
				text.len = json_string_length(item);
				if (text.data == NULL || !set_key(q, key, text))
					return "rcpt: not an array of strings, "
					       "or too many";
			}
			continue;
		}
		if (text.data == NULL)
			return "a value is not a string";
		if (!set_key(q, key, text))
			return "unknown key";
	}
	return NULL;
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
	trouble = object == NULL ? error.text : read_question(object, q);
	if (trouble == NULL && !set_assumption(oracle, q->identity.data))
		trouble = "identity: verified, refused, disabled or unknown";
	if (trouble == NULL) {
		result = judge(gate, q);
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

/* --- in words --- */

static const char *
login_words(const struct facts *f)
{
	switch (f->login) {
	case LOGIN_ABSENT:
		return "no login";
	case LOGIN_MECHANISM_UNLISTED:
		return "a login by a mechanism that auth.mechanisms does not "
		       "list";
	case LOGIN_MALFORMED:
		return "a malformed login";
	case LOGIN_PRESENT:
		return "a login";
	}
	return "no login";
}

static const char *
tls_words(const struct facts *f)
{
	switch (f->tls) {
	case TLS_ABSENT:
		return "none";
	case TLS_WEAK:
		return "below tls.min_version or tls.min_bits";
	case TLS_STRONG:
		return "strong enough";
	}
	return "none";
}

static const char *
identity_words(const struct facts *f)
{
	if (!f->identity_asked)
		return "not asked";
	switch (f->identity) {
	case IDENTITY_VERIFIED:
		return "verified";
	case IDENTITY_REFUSED:
		return "refused";
	case IDENTITY_DISABLED:
		return "disabled";
	case IDENTITY_UNKNOWN:
		break;
	}
	return "undecided";
}

static const char *
tri_words(enum tri tri)
{
	switch (tri) {
	case TRI_YES:
		return "yes";
	case TRI_NO:
		return "no";
	case TRI_UNKNOWN:
		break;
	}
	return "unknown";
}

static void
say_client(const struct session *session, const struct question *q)
{
	const struct facts *f = session_facts(session);
	const struct policy *policy = session_policy(session);
	struct netaddr peer = { 0 };
	char text[NETADDR_TEXT_MAX],
	    why[NET_TEXT_MAX + 32] = "in no network of internal";
	struct net best;

	if (q->addr.data != NULL)
		(void)netaddr_parse(q->addr.data, &peer);
	netaddr_format(&peer, text);
	(void)netset_contains(policy->internal, &peer, &best);
	if (best.addr.family != NETADDR_NONE) {
		char net[NET_TEXT_MAX];

		net_format(&best, net);
		(void)snprintf(why, sizeof(why), "by %s", net);
	}
	(void)printf("client     %s: %s (%s)\n", text, zone_name(session), why);
	(void)printf("listener   %s: role %s\n",
	    q->listener.data != NULL ? q->listener.data : "-",
	    f->role == ROLE_MX ? "mx" : "submission");
	(void)printf("tls        %s\n", tls_words(f));
	(void)printf("login      %s%s%s\n", login_words(f),
	    *session_login(session)->text != '\0' ? ": " : "",
	    session_login(session)->text);
	(void)printf("identity   %s\n", identity_words(f));
}

static void
say_path(const char *what, const char *raw, const struct path *path)
{
	if (path == NULL || !path_is_valid(path)) {
		(void)printf("%s %s: not a valid path\n", what, raw);
		return;
	}
	(void)printf("%s %s: local part \"%s\", domain \"%s\"%s\n", what, raw,
	    path->local, path->domain, path->routed ? ", routed" : "");
}

static void
say_answer(const struct answer *answer)
{
	(void)printf("  -> %s: %s (%s %s %s)\n",
	    verdict_name(answer->decision.verdict),
	    reason_row(answer->decision.reason)->name, answer->reply.code,
	    answer->reply.xcode, reason_row(answer->decision.reason)->text);
	if (answer->decision.sender_foreign)
		(void)printf("  -> warning: sender-not-owned\n");
}

static int
explain_words(struct gate *gate, const struct question *q)
{
	struct session *session = begin(gate, q);
	struct answer answer;
	int rc = CTL_GOOD;

	if (session == NULL || mail(session, q, &answer) != 0) {
		session_free(&session);
		(void)fprintf(stderr, "posternctl: out of memory\n");
		return CTL_FINDING;
	}
	say_client(session, q);
	if (session_policy(session)->switches.sender_check != SENDER_CHECK_OFF)
		(void)printf("owned      %s\n",
		    tri_words(session_facts(session)->sender_owned));
	say_path("MAIL", q->from.data != NULL ? q->from.data : "<>",
	    session_sender(session));
	say_answer(&answer);
	if (answer.decision.verdict != VERDICT_PERMIT)
		rc = CTL_FINDING;
	for (size_t i = 0; i < q->rcpt_count; i++) {
		rcpt(session, q->rcpts[i], &answer);
		say_path("RCPT", q->rcpts[i].data, session_recipient(session));
		(void)printf("  local: %s, routed: %s\n",
		    tri_words(session_facts(session)->recipient_local),
		    tri_words(session_facts(session)->recipient_routed));
		say_answer(&answer);
		if (answer.decision.verdict != VERDICT_PERMIT)
			rc = CTL_FINDING;
	}
	if (session_policy(session)->mode == MODE_OBSERVE)
		(void)printf("mode = observe: the daemon lets all of this "
			     "pass\n");
	session_free(&session);
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
		if (!set_key(q, argv[i], value)) {
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
			rc = explain_words(gate, q);
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
