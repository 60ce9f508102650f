/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate is the real one, its engine is not: IMAP says what a test wants it
 * to. It must not let an attempt be forgotten: whoever closes the gate while
 * one is under way has a failed test.
 */
#include "tests/lib/try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gate/session.h"
#include "tests/lib/site.h"

/* --- the stand-in for IMAP --- */

struct try_imap try_imap;

static void *
answer_later(void *arg)
{
	(void)arg;
	try_imap.done(try_imap.arg, &try_imap.verdict);
	return NULL;
}

static void
fake_verify(struct identity_engine *engine,
    const struct identity_password *question, identity_done *done, void *arg)
{
	(void)engine;
	if (try_imap.busy) {
		assert_in_range(try_imap.queued, 0, TRY_QUEUE_MAX - 1);
		try_imap.queue[try_imap.queued++] = (struct try_queued){
			.admit = question->admit,
			.done = done,
			.arg = arg,
		};
		return;
	}
	try_imap.asked++;
	(void)snprintf(try_imap.login, sizeof(try_imap.login), "%s",
	    question->login->text);
	(void)snprintf(try_imap.password, sizeof(try_imap.password), "%.*s",
	    (int)question->len, question->password);
	netaddr_format(question->client, try_imap.client);
	try_imap.done = done;
	try_imap.arg = arg;
	if (!try_imap.on_thread)
		done(arg, &try_imap.verdict);
	else
		assert_int_equal(
		    pthread_create(&try_imap.thread, NULL, answer_later, NULL),
		    0);
}

void
try_imap_serves(void)
{
	static const struct identity_verdict declined = { .declined = true };

	for (unsigned int i = 0; i < try_imap.queued; i++) {
		const struct try_queued *next = &try_imap.queue[i];
		bool admitted = next->admit == NULL || next->admit(next->arg);

		try_imap.asked += admitted;
		next->done(next->arg, admitted ? &try_imap.verdict : &declined);
	}
	try_imap.queued = 0;
	try_imap.busy = false;
}

static bool
fake_offers(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	(void)engine;
	return (try_imap.offers & SASL_BIT(mechanism)) != 0;
}

static struct identity_relay *
fake_begin(struct identity_engine *engine, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)engine;
	(void)mechanism;
	(void)client;
	if (try_imap.no_relay)
		return NULL;
	try_imap.begun++;
	try_imap.relay =
	    (struct try_carried){ .event = event, .arg = arg, .live = true };
	(void)snprintf(try_imap.relay.login, sizeof(try_imap.relay.login), "%s",
	    login != NULL ? login->text : "");
	(void)snprintf(try_imap.relay.message, sizeof(try_imap.relay.message),
	    "%s", initial != NULL ? initial : "(none)");
	return (struct identity_relay *)&try_imap.relay;
}

static void
fake_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	assert_ptr_equal(relay, &try_imap.relay);
	assert_true(try_imap.relay.live);
	(void)snprintf(try_imap.relay.login, sizeof(try_imap.relay.login), "%s",
	    login->text);
	(void)snprintf(try_imap.relay.message, sizeof(try_imap.relay.message),
	    "%s", response);
}

static void
fake_cancel(struct identity_relay *relay)
{
	assert_ptr_equal(relay, &try_imap.relay);
	assert_true(try_imap.relay.live);
	try_imap.cancelled++;
}

void
try_imap_ends(enum identity identity)
{
	struct identity_verdict verdict = { .identity = identity };

	assert_true(try_imap.relay.live);
	try_imap.relay.live = false;
	try_imap.relay.event(try_imap.relay.arg, NULL, &verdict);
}

static const struct auth_engine engine = {
	.verify = fake_verify,
	.offers = fake_offers,
	.begin = fake_begin,
	.respond = fake_respond,
	.cancel = fake_cancel,
};

/* --- the house --- */

const char try_site[] = TRY_SITE("");
struct gate *try_gate;

static struct {
	char dir[64];
	struct log *log;
	int stderr_fd; /* what the descriptor was before */
	int log_fd;
	FILE *original;
} house;

static struct conf *
conf_of(const char *site_text)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "state_dir = \"%s\"\n%s", house.dir,
	    site_text);
	return site_conf(text);
}

void
try_open(const char *site_text)
{
	struct err e = { "" };

	memset(&try_imap, 0, sizeof(try_imap));
	(void)snprintf(house.dir, sizeof(house.dir), "/tmp/test_auth.XXXXXX");
	assert_non_null(mkdtemp(house.dir));
	/* the log goes to standard error, and that to a file */
	house.log_fd = memfd_create("log", 0);
	assert_true(house.log_fd >= 0);
	house.log = log_new(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	assert_non_null(house.log);
	try_gate = gate_new(rules_new_offline(conf_of(site_text)), house.log);
	assert_non_null(try_gate);
	auth_set_engine(try_gate, &engine);
	(void)dup2(house.log_fd, 2);
	if (gate_open_store(try_gate, &e) != 0) {
		(void)dup2(house.stderr_fd, 2);
		fail_msg("%s", e.text);
	}
}

/* Everything that was logged. */
static const char *
logged(void)
{
	static char text[262144];
	ssize_t n = pread(house.log_fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static size_t
count_logged(const char *what)
{
	size_t n = 0;

	for (const char *p = logged(); (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

void
try_expect_logged(const char *what, size_t times)
{
	size_t got = count_logged(what);

	if (got != times)
		fail_msg("\"%s\" is logged %zu times, want %zu, in:\n%s", what,
		    got, times, logged());
}

static void
remove_dir(void)
{
	DIR *dir = opendir(house.dir);
	const struct dirent *entry;

	assert_non_null(dir);
	for (entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
	assert_int_equal(rmdir(house.dir), 0);
}

void
try_close(void)
{
	struct rules *rules = gate_rules_ref(try_gate);

	/* the gate's own, and this one: no attempt keeps any */
	assert_int_equal(rules->refs, 2);
	gate_rules_unref(try_gate, rules);
	gate_free(&try_gate);
	(void)dup2(house.stderr_fd, 2);
	(void)close(house.log_fd);
	log_free(&house.log);
	remove_dir();
}

/* --- attempts --- */

void
try_take_answer(void *arg, const struct auth_answer *answer)
{
	struct try_outcome *outcome = arg;

	outcome->ends++;
	outcome->answer = *answer;
}

static void
take_event(void *arg, const char *challenge, const struct auth_answer *answer)
{
	struct try_outcome *outcome = arg;

	if (answer != NULL) {
		try_take_answer(arg, answer);
		return;
	}
	outcome->challenges++;
	(void)snprintf(outcome->challenge, sizeof(outcome->challenge), "%s",
	    challenge);
}

struct auth_client
try_client(const struct try *try, struct netaddr *addr)
{
	struct auth_client client = {
		.service = try->service != NULL ? try->service : "mta",
		.mechanism =
		    try->mechanism != SASL_NONE ? try->mechanism : SASL_PLAIN,
		.addr = addr,
		.secured = !try->in_clear,
	};

	if (try->unknown)
		client.mechanism = SASL_NONE;
	memset(addr, 0, sizeof(*addr));
	(void)netaddr_parse(try->from != NULL ? try->from : "203.0.113.9",
	    addr);
	return client;
}

void
try_begin(const struct try *try, struct try_outcome *outcome)
{
	const char *authzid = try->authzid != NULL ? try->authzid : "";
	const char *login = try->login != NULL ? try->login : "alice";
	const char *password =
	    try->password != NULL ? try->password : "open sesame";
	struct sasl_credentials credentials = {
		.authzid = authzid,
		.authzid_len = strlen(authzid),
		.authcid = login,
		.authcid_len = strlen(login),
		.password = password,
		.password_len = strlen(password),
	};
	struct netaddr addr;
	struct auth_client client = try_client(try, &addr);

	memset(outcome, 0, sizeof(*outcome));
	auth_password(try_gate, &client, &credentials, try_take_answer,
	    outcome);
}

struct auth_answer
try_password(const struct try *try)
{
	struct try_outcome outcome;

	try_begin(try, &outcome);
	if (try_imap.on_thread)
		(void)pthread_join(try_imap.thread, NULL);
	assert_int_equal(outcome.ends, 1);
	return outcome.answer;
}

void
try_expect(const char *what, const struct auth_answer *got,
    enum verdict verdict, enum reason reason)
{
	if (got->verdict != verdict || got->reason != reason)
		fail_msg("%s: got %s (%s), want %s (%s)", what,
		    verdict_name(got->verdict), reason_row(got->reason)->name,
		    verdict_name(verdict), reason_row(reason)->name);
	/* less, as long as it took */
	if (verdict == VERDICT_REJECT &&
	    (got->delay_ms > 2000 || got->delay_ms == 0))
		fail_msg("%s: held back %ju ms, want up to 2000", what,
		    (uintmax_t)got->delay_ms);
	if (verdict != VERDICT_REJECT && got->delay_ms != 0)
		fail_msg("%s: held back %ju ms, want 0", what,
		    (uintmax_t)got->delay_ms);
	if ((verdict == VERDICT_PERMIT) != (*got->login.text != '\0'))
		fail_msg("%s: the login is \"%s\"", what, got->login.text);
}

/* What MAIL would say to a client at this address. */
static enum reason
mail(const char *from, const char *login)
{
	struct mail_event event = {
		.path = "<x@example.org>",
		.path_len = 15,
		.tls_version = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.cipher_bits = "256",
		.mechanism = login != NULL ? "PLAIN" : NULL,
		.login = login,
		.login_len = login != NULL ? strlen(login) : 0,
	};
	struct session *session;
	struct answer answer;
	struct netaddr peer;

	(void)netaddr_parse(from, &peer);
	session = session_new(try_gate, &peer, "submission");
	assert_non_null(session);
	session_mail(session, &event, &answer);
	session_free(&session);
	return answer.decision.reason;
}

void
try_expect_mail(const char *from, const char *login, enum reason want)
{
	enum reason got = mail(from, login);

	if (got != want)
		fail_msg("MAIL of %s from %s: got %s, want %s",
		    login != NULL ? login : "nobody", from,
		    reason_row(got)->name, reason_row(want)->name);
}

/* --- relayed exchanges --- */

struct auth_relay *
try_relay(const struct try *try, const char *message,
    struct try_outcome *outcome)
{
	struct netaddr addr;
	struct auth_client client = try_client(try, &addr);
	struct auth_relay *relay;

	memset(outcome, 0, sizeof(*outcome));
	relay = auth_relay_begin(try_gate, &client, message,
	    message != NULL ? strlen(message) : 0, take_event, outcome);
	assert_non_null(relay);
	return relay;
}

const struct try try_scram = { .mechanism = SASL_SCRAM_SHA_256 };
const struct try try_cram = { .mechanism = SASL_CRAM_MD5 };
const struct try try_bearer = { .mechanism = SASL_OAUTHBEARER };

void
try_divert(void)
{
	house.stderr_fd = dup(2);
	house.original = stderr;
	stderr = fdopen(house.stderr_fd, "w");
	if (stderr == NULL)
		exit(1);
	(void)setvbuf(stderr, NULL, _IONBF, 0);
}

void
try_restore(void)
{
	(void)fclose(stderr);
	stderr = house.original;
}
