/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Login attempts at the gate, with a stand-in for IMAP and a real store: who is
 * asked about, what the answer is worth afterwards, and what the log says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gate/auth.h"
#include "gate/session.h"
#include "tests/lib/site.h"

#define SITE(auth)                                                           \
 "internal = {\"10.0.0.0/8\"}\n"                                             \
 "auth { realm = \"example.org\" " auth "}\n"                                \
 "imap \"main\" { url = \"imaps://imap.example.org\" "                       \
 "verify = {\"session\"} }\n"                                                \
 "sasl \"mta\" { listen = \"unix:/run/p/sasl\" pass_through = "              \
 "{\"CRAM-MD5\", \"SCRAM-SHA-256\", \"OAUTHBEARER\"} }\n"                    \
 "sasl \"lan\" { listen = \"unix:/run/p/lan\" plaintext_internal = true }\n" \
 "sasl \"mux\" { protocol = \"saslauthd\" listen = \"unix:/run/p/mux\" "     \
 "proof = \"login\" }\n"

static const char site[] = SITE("");

/* --- the stand-in for IMAP --- */

/* identity/ knows it by name only. */
struct stand_in {
	identity_relay_event *event;
	void *arg;
	bool live;
	char login[LOGIN_MAX + 1];
	char message[256]; /* the latest one, in base64 */
};

static struct {
	struct identity_verdict verdict;
	unsigned int asked;
	char login[LOGIN_MAX + 1];
	char password[64];
	char client[NETADDR_TEXT_MAX];
	bool on_thread; /* answer later, on a thread of its own */
	identity_done *done;
	void *arg;
	pthread_t thread;
	unsigned int offers;
	bool no_relay;
	unsigned int begun;
	unsigned int cancelled;
	struct stand_in relay;
} imap;

static void *
answer_later(void *arg)
{
	(void)arg;
	imap.done(imap.arg, &imap.verdict);
	return NULL;
}

static void
fake_verify(struct identity_engine *engine,
    const struct identity_password *question, identity_done *done, void *arg)
{
	(void)engine;
	imap.asked++;
	(void)snprintf(imap.login, sizeof(imap.login), "%s",
	    question->login->text);
	(void)snprintf(imap.password, sizeof(imap.password), "%.*s",
	    (int)question->len, question->password);
	netaddr_format(question->client, imap.client);
	imap.done = done;
	imap.arg = arg;
	if (!imap.on_thread)
		done(arg, &imap.verdict);
	else
		assert_int_equal(
		    pthread_create(&imap.thread, NULL, answer_later, NULL), 0);
}

static bool
fake_offers(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	(void)engine;
	return (imap.offers & SASL_BIT(mechanism)) != 0;
}

static struct identity_relay *
fake_begin(struct identity_engine *engine, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)engine;
	(void)mechanism;
	(void)client;
	if (imap.no_relay)
		return NULL;
	imap.begun++;
	imap.relay =
	    (struct stand_in){ .event = event, .arg = arg, .live = true };
	(void)snprintf(imap.relay.login, sizeof(imap.relay.login), "%s",
	    login != NULL ? login->text : "");
	(void)snprintf(imap.relay.message, sizeof(imap.relay.message), "%s",
	    initial != NULL ? initial : "(none)");
	return (struct identity_relay *)&imap.relay;
}

static void
fake_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	assert_ptr_equal(relay, &imap.relay);
	assert_true(imap.relay.live);
	(void)snprintf(imap.relay.login, sizeof(imap.relay.login), "%s",
	    login->text);
	(void)snprintf(imap.relay.message, sizeof(imap.relay.message), "%s",
	    response);
}

static void
fake_cancel(struct identity_relay *relay)
{
	assert_ptr_equal(relay, &imap.relay);
	assert_true(imap.relay.live);
	imap.cancelled++;
}

/* What comes on the engine's thread. */
static void
imap_ends(enum identity identity)
{
	struct identity_verdict verdict = { .identity = identity };

	assert_true(imap.relay.live);
	imap.relay.live = false;
	imap.relay.event(imap.relay.arg, NULL, &verdict);
}

static const struct auth_engine engine = {
	.verify = fake_verify,
	.offers = fake_offers,
	.begin = fake_begin,
	.respond = fake_respond,
	.cancel = fake_cancel,
};

/* --- the house --- */

static struct {
	char dir[64];
	struct gate *gate;
	struct log *log;
	int stderr_fd; /* what the descriptor was before */
	int log_fd;
} house;

static struct conf *
conf_of(const char *site_text)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "state_dir = \"%s\"\n%s", house.dir,
	    site_text);
	return site_conf(text);
}

static void
open_house(const char *site_text)
{
	struct err e = { "" };

	memset(&imap, 0, sizeof(imap));
	(void)snprintf(house.dir, sizeof(house.dir), "/tmp/test_auth.XXXXXX");
	assert_non_null(mkdtemp(house.dir));
	/* the log goes to standard error, and that to a file */
	house.log_fd = memfd_create("log", 0);
	assert_true(house.log_fd >= 0);
	house.log = log_new(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	assert_non_null(house.log);
	house.gate = gate_new(rules_new_offline(conf_of(site_text)), house.log);
	assert_non_null(house.gate);
	auth_set_engine(house.gate, &engine);
	(void)dup2(house.log_fd, 2);
	if (gate_open_store(house.gate, &e) != 0) {
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

static void
expect_logged(const char *what, size_t times)
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

static void
close_house(void)
{
	struct rules *rules = gate_rules_ref(house.gate);

	/* the gate's own, and this one: no attempt keeps any */
	assert_int_equal(rules->refs, 2);
	gate_rules_unref(house.gate, rules);
	gate_free(&house.gate);
	(void)dup2(house.stderr_fd, 2);
	(void)close(house.log_fd);
	log_free(&house.log);
	remove_dir();
}

/* --- attempts --- */

struct outcome {
	unsigned int ends;
	struct auth_answer answer;
	unsigned int challenges;
	char challenge[64];
};

static void
take_answer(void *arg, const struct auth_answer *answer)
{
	struct outcome *outcome = arg;

	outcome->ends++;
	outcome->answer = *answer;
}

static void
take_event(void *arg, const char *challenge, const struct auth_answer *answer)
{
	struct outcome *outcome = arg;

	if (answer != NULL) {
		take_answer(arg, answer);
		return;
	}
	outcome->challenges++;
	(void)snprintf(outcome->challenge, sizeof(outcome->challenge), "%s",
	    challenge);
}

struct
try {
	const char *service;
	enum sasl_mechanism mechanism; /* without: PLAIN */
	bool unknown;                  /* a mechanism that there is not */
	const char *from;
	bool in_clear;
	const char *authzid;
	const char *login;
	const char *password;
};

static struct auth_client
client_of(const struct try *try, struct netaddr *addr)
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

static struct auth_answer
attempt(const struct try *try)
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
	struct auth_client client = client_of(try, &addr);
	struct outcome outcome = { 0 };

	auth_password(house.gate, &client, &credentials, take_answer, &outcome);
	if (imap.on_thread)
		(void)pthread_join(imap.thread, NULL);
	assert_int_equal(outcome.ends, 1);
	return outcome.answer;
}

static void
expect(const char *what, const struct auth_answer *got, enum verdict verdict,
    enum reason reason)
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
	session = session_new(house.gate, &peer, "submission");
	assert_non_null(session);
	session_mail(session, &event, &answer);
	session_free(&session);
	return answer.decision.reason;
}

static void
expect_mail(const char *from, const char *login, enum reason want)
{
	enum reason got = mail(from, login);

	if (got != want)
		fail_msg("MAIL of %s from %s: got %s, want %s",
		    login != NULL ? login : "nobody", from,
		    reason_row(got)->name, reason_row(want)->name);
}

static void
a_verified_login_is_proven_from_its_address(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	expect_mail("203.0.113.9", "alice", REASON_SESSION_UNPROVEN);
	answer = attempt(&(struct try){ .login = "alice@EXAMPLE.org" });
	expect("alice", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	assert_string_equal(answer.login.text, "alice@example.org");
	assert_string_equal(imap.login, "alice@example.org");
	assert_string_equal(imap.password, "open sesame");
	assert_string_equal(imap.client, "203.0.113.9");
	expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	expect_mail("203.0.113.10", "alice", REASON_SESSION_UNPROVEN);
	expect_mail("203.0.113.9", "bob", REASON_SESSION_UNPROVEN);
	expect_logged("listener=mta tls=yes mech=PLAIN login=alice@example.org "
		      "identity=verified from=- rcpt=- stage=auth "
		      "verdict=permit reason=authenticated reply=-",
	    1);
	/* the answer may come on another thread */
	imap.on_thread = true;
	answer = attempt(&(struct try){ .login = "bob", .authzid = "bob" });
	expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	close_house();
}

static void
only_a_clear_yes_is_a_yes(void **state)
{
	static const struct {
		enum identity identity;
		enum verdict verdict;
		enum reason reason;
	} rows[] = {
		{ IDENTITY_REFUSED, VERDICT_REJECT, REASON_IDENTITY_REFUSED },
		{ IDENTITY_DISABLED, VERDICT_REJECT, REASON_IDENTITY_DISABLED },
		{ IDENTITY_UNKNOWN, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
		{ IDENTITY_UNPROVEN, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
		{ (enum identity)77, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED },
	};

	(void)state;
	open_house(site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer;

		imap.verdict.identity = rows[i].identity;
		answer = attempt(&(struct try){ .login = "alice" });
		expect(identity_name(rows[i].identity), &answer,
		    rows[i].verdict, rows[i].reason);
		expect_mail("203.0.113.9", "alice", REASON_SESSION_UNPROVEN);
	}
	assert_int_equal(imap.asked, 5);
	close_house();
}

/* Whoever tries must not learn what was wrong, and IMAP is not bothered. */
static void
what_is_refused_here_looks_like_any_refusal(void **state)
{
	static const struct {
		const char *what;
		struct try try;
		enum reason reason;
	} rows[] = {
		{ "no login", { .login = "" }, REASON_IDENTITY_REFUSED },
		{ "a control byte", { .login = "al\x01ice" },
		    REASON_IDENTITY_REFUSED },
		{ "another's name", { .authzid = "bob" },
		    REASON_IDENTITY_REFUSED },
		{ "no password", { .password = "" }, REASON_IDENTITY_REFUSED },
		{ "a line feed", { .password = "a\nb" },
		    REASON_IDENTITY_REFUSED },
		{ "in clear", { .in_clear = true }, REASON_LOGIN_WITHOUT_TLS },
		{ "no such mechanism", { .unknown = true },
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "a relayed mechanism", { .mechanism = SASL_CRAM_MD5 },
		    REASON_MECHANISM_NOT_ACCEPTED },
	};
	struct try try = { .from = NULL };
	struct outcome outcome = { 0 };
	struct auth_client client;
	struct netaddr addr;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer = attempt(&rows[i].try);

		expect(rows[i].what, &answer, VERDICT_REJECT, rows[i].reason);
	}
	client = client_of(&try, &addr);
	auth_malformed(house.gate, &client, take_answer, &outcome);
	expect("bad base64", &outcome.answer, VERDICT_REJECT,
	    REASON_IDENTITY_REFUSED);
	assert_int_equal(imap.asked, 0);
	expect_logged("identity=- ", sizeof(rows) / sizeof(rows[0]) + 1);
	close_house();
}

static void
a_section_that_is_gone_cannot_tell(void **state)
{
	struct try try = { .service = "gone" };
	struct outcome outcome = { 0 };
	struct auth_answer answer;
	struct auth_client client;
	struct netaddr addr;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	answer = attempt(&try);
	expect("password", &answer, VERDICT_TEMPFAIL, REASON_INTERNAL_ERROR);
	client = client_of(&try, &addr);
	auth_malformed(house.gate, &client, take_answer, &outcome);
	expect("malformed", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_INTERNAL_ERROR);
	assert_int_equal(auth_offers(house.gate, "gone"), 0);
	assert_int_equal(imap.asked, 0);
	/* without an engine, too */
	auth_set_engine(house.gate, NULL);
	answer = attempt(&(struct try){ .login = "alice" });
	expect("no engine", &answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	assert_int_equal(auth_offers(house.gate, "mta"),
	    SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN));
	close_house();
}

static void
clear_text_is_for_the_house_alone(void **state)
{
	static const struct {
		const char *service;
		const char *from;
		bool in_clear;
		bool passes;
	} rows[] = {
		{ "mta", "203.0.113.9", false, true },
		{ "mta", "203.0.113.9", true, false },
		{ "mta", "10.1.2.3", false, true },
		{ "mta", "10.1.2.3", true, false },
		{ "mta", "-", true, false },
		{ "lan", "10.1.2.3", true, true },
		{ "lan", "203.0.113.9", true, false },
		{ "lan", "-", true, false },
		/* this protocol cannot say whether there is TLS */
		{ "mux", "-", true, true },
	};

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer =
		    attempt(&(struct try){ .service = rows[i].service,
			.from = rows[i].from,
			.in_clear = rows[i].in_clear,
			.mechanism = i % 2 == 0 ? SASL_PLAIN : SASL_LOGIN });
		char what[64];

		(void)snprintf(what, sizeof(what), "row %zu: %s from %s", i,
		    rows[i].service, rows[i].from);
		expect(what, &answer,
		    rows[i].passes ? VERDICT_PERMIT : VERDICT_REJECT,
		    rows[i].passes ? REASON_AUTHENTICATED
				   : REASON_LOGIN_WITHOUT_TLS);
	}
	close_house();
}

static void
a_proof_for_the_login_alone_holds_everywhere(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	answer = attempt(&(struct try){ .service = "mux", .from = "-" });
	expect("mux", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	expect_mail("192.0.2.77", "alice", REASON_AUTHENTICATED);
	/* a protocol with addresses, but this client has none */
	answer = attempt(&(struct try){ .from = "-", .login = "bob" });
	expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	expect_mail("203.0.113.9", "bob", REASON_SESSION_UNPROVEN);
	close_house();
}

static void
guesses_are_refused_unasked_and_at_mail(void **state)
{
	struct auth_answer answer;
	char password[32];

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	answer = attempt(&(struct try){ .login = "bob" });
	imap.verdict.identity = IDENTITY_REFUSED;
	imap.asked = 0;
	for (unsigned int i = 0; i < 50; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		answer = attempt(&(struct try){ .password = password });
		expect(password, &answer, VERDICT_REJECT,
		    i < 20 ? REASON_IDENTITY_REFUSED : REASON_GUESSING);
	}
	assert_int_equal(imap.asked, 20);
	expect_logged("guessing: 203.0.113.9 reached per_address 20/10m", 1);
	expect_logged("secret", 0);
	expect_mail("203.0.113.9", NULL, REASON_GUESSING);
	expect_mail("203.0.113.9", "alice", REASON_GUESSING);
	/* bob logged in from here lately */
	expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	expect_mail("203.0.113.10", NULL, REASON_EXTERNAL_WITHOUT_AUTH);
	imap.verdict.identity = IDENTITY_VERIFIED;
	answer = attempt(&(struct try){ .login = "bob" });
	expect("bob", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	answer = attempt(&(struct try){ .login = "carol" });
	expect("carol", &answer, VERDICT_REJECT, REASON_GUESSING);
	close_house();
}

/* saslauthd's clients have no address, and fill one place together. */
static void
no_flood_drowns_the_alarm(void **state)
{
	char password[32];

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)attempt(&(struct try){ .service = "mux",
		    .from = "-",
		    .password = password });
	}
	expect_logged("guessing: alice@main reached per_login 30/1h", 0);
	expect_logged("guessing: alice@example.org reached per_login 30/1h", 1);
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)attempt(
		    &(struct try){ .login = "bob", .password = password });
	}
	expect_logged("guessing: 203.0.113.9 reached per_address 20/10m", 1);
	close_house();
}

/* login_as = user: to IMAP they are all alice. */
static void
one_account_has_one_count_however_it_is_spelled(void **state)
{
	char login[32], password[32], from[32];

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 60; i++) {
		(void)snprintf(login, sizeof(login), "%s@d%u.example",
		    i % 2 == 0 ? "alice" : "Alice", i);
		(void)snprintf(password, sizeof(password), "secret%u", i);
		(void)snprintf(from, sizeof(from), "20.0.%u.1", i);
		(void)attempt(&(struct try){ .login = login,
		    .password = password,
		    .from = from });
	}
	if (imap.asked != 30)
		fail_msg("IMAP was asked %u times, want 30", imap.asked);
	close_house();
}

static void
a_wrong_password_is_one_however_often(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 200; i++) {
		answer = attempt(&(struct try){ .password = "last year's" });
		expect("the phone", &answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	/* what decides nothing counts nothing */
	imap.verdict.identity = IDENTITY_UNKNOWN;
	for (unsigned int i = 0; i < 50; i++) {
		char password[32];

		(void)snprintf(password, sizeof(password), "pw%u", i);
		answer = attempt(&(struct try){ .password = password });
		expect("undecided", &answer, VERDICT_TEMPFAIL,
		    REASON_IDENTITY_UNDECIDED);
	}
	expect_mail("203.0.113.9", NULL, REASON_EXTERNAL_WITHOUT_AUTH);
	/* and the log does not fill up */
	gate_tend(house.gate, true);
	expect_logged("reason=identity-refused reply=-", 100);
	expect_logged("reason=identity-refused repeated=100", 1);
	close_house();
}

/* The house itself may be wrong as often as it likes at MAIL, not at AUTH. */
static void
internal_clients_are_limited_at_auth_only(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		char password[32];

		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)attempt(
		    &(struct try){ .from = "10.1.2.3", .password = password });
	}
	answer = attempt(&(struct try){ .from = "10.1.2.3" });
	expect("at AUTH", &answer, VERDICT_REJECT, REASON_GUESSING);
	expect_mail("10.1.2.3", NULL, REASON_INTERNAL_NETWORK);
	expect_mail("10.1.2.3", "alice", REASON_INTERNAL_NETWORK);
	close_house();
}

static void
a_disabled_account_loses_its_proofs(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	answer = attempt(&(struct try){ .from = "192.0.2.1" });
	answer = attempt(&(struct try){ .from = "192.0.2.1", .login = "bob" });
	expect_mail("192.0.2.1", "alice", REASON_AUTHENTICATED);
	imap.verdict.identity = IDENTITY_DISABLED;
	answer = attempt(&(struct try){ .from = "203.0.113.9" });
	expect("alice", &answer, VERDICT_REJECT, REASON_IDENTITY_DISABLED);
	gate_tend(house.gate, false);
	expect_mail("192.0.2.1", "alice", REASON_SESSION_UNPROVEN);
	expect_mail("192.0.2.1", "bob", REASON_AUTHENTICATED);
	close_house();
}

static void
a_graced_password_is_marked(void **state)
{
	struct auth_answer answer;

	(void)state;
	open_house(site);
	imap.verdict.identity = IDENTITY_VERIFIED;
	imap.verdict.graced = true;
	answer = attempt(&(struct try){ .login = "alice" });
	expect("alice", &answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	expect_logged(" warning=graced-password", 1);
	close_house();
}

/* Undecided by one source and unheard of by the other is undecided. */
static void
sources_are_asked_in_order(void **state)
{
	static const struct {
		const char *verify;
		enum reason unproven;
		enum reason proven;
	} rows[] = {
		{ "{\"session\"}", REASON_SESSION_UNPROVEN,
		    REASON_AUTHENTICATED },
		{ "{\"session\", \"proxy\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_AUTHENTICATED },
		{ "{\"proxy\", \"session\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_AUTHENTICATED },
		{ "{\"proxy\"}", REASON_IDENTITY_UNDECIDED,
		    REASON_IDENTITY_UNDECIDED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rules_trail trail;
		struct login login = { "x@other.example" };
		struct netaddr addr = { .family = NETADDR_NONE };
		struct rules_question question = { .login = &login,
			.addr = &addr,
			.no_store = true };
		struct rules *rules;
		char text[1024];

		(void)snprintf(text, sizeof(text),
		    "imap \"other\" { url = \"imaps://b.example\" "
		    "domains = {\"other.example\"} verify = %s "
		    "master_separator = \"#\" }\n"
		    "imap \"main\" { url = \"imaps://a.example\" "
		    "verify = {\"session\"} }\n"
		    "sasl \"mta\" { listen = \"unix:/run/p/sasl\" }\n",
		    rows[i].verify);
		open_house(text);
		imap.verdict.identity = IDENTITY_VERIFIED;
		expect_mail("203.0.113.9", "x@other.example", rows[i].unproven);
		(void)attempt(&(struct try){ .login = "x@other.example" });
		expect_mail("203.0.113.9", "x@other.example", rows[i].proven);
		expect_mail("203.0.113.9", "x#y@other.example",
		    REASON_IDENTITY_REFUSED);

		rules = gate_rules_ref(house.gate);
		(void)rules_ask(rules, &question, &trail);
		assert_string_equal(trail.imap, "other");
		assert_int_equal(trail.count, i == 1 || i == 2 ? 2 : 1);
		gate_rules_unref(house.gate, rules);
		close_house();
	}
}

/* --- relayed exchanges --- */

static struct auth_relay *
begin_relay(const struct try *try, const char *message, struct outcome *outcome)
{
	struct netaddr addr;
	struct auth_client client = client_of(try, &addr);
	struct auth_relay *relay;

	memset(outcome, 0, sizeof(*outcome));
	relay = auth_relay_begin(house.gate, &client, message,
	    message != NULL ? strlen(message) : 0, take_event, outcome);
	assert_non_null(relay);
	return relay;
}

static const struct try scram = { .mechanism = SASL_SCRAM_SHA_256 };
static const struct try cram = { .mechanism = SASL_CRAM_MD5 };
static const struct try bearer = { .mechanism = SASL_OAUTHBEARER };

static const char token[] = "n,a=alice@example.org,\x01"
			    "auth=Bearer abc\x01\x01";

static void
a_relayed_exchange_goes_both_ways(void **state)
{
	struct outcome outcome;
	struct auth_relay *relay;

	(void)state;
	open_house(site);
	relay = begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	assert_int_equal(outcome.ends, 0);
	assert_string_equal(imap.relay.login, "alice@example.org");
	assert_string_equal(imap.relay.message, "biwsbj1hbGljZSxyPWFiYw==");
	imap.relay.event(imap.relay.arg, "cj1hYmM=", NULL);
	assert_string_equal(outcome.challenge, "cj1hYmM=");
	auth_relay_respond(relay, "c=biws", 6);
	assert_string_equal(imap.relay.message, "Yz1iaXdz");
	auth_relay_respond(relay, "", 0);
	assert_string_equal(imap.relay.message, "");
	imap_ends(IDENTITY_VERIFIED);
	assert_int_equal(outcome.ends, 1);
	expect("SCRAM", &outcome.answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	assert_string_equal(outcome.answer.login.text, "alice@example.org");
	expect_mail("203.0.113.9", "alice", REASON_AUTHENTICATED);
	expect_logged("mech=SCRAM-SHA-256 login=alice@example.org "
		      "identity=verified",
	    1);

	relay = begin_relay(&cram, NULL, &outcome);
	assert_string_equal(imap.relay.login, "");
	assert_string_equal(imap.relay.message, "(none)");
	imap.relay.event(imap.relay.arg, "PDE+", NULL);
	auth_relay_respond(relay, "bob 0123456789abcdef0123456789abcdef", 36);
	assert_string_equal(imap.relay.login, "bob@example.org");
	imap_ends(IDENTITY_VERIFIED);
	expect("CRAM", &outcome.answer, VERDICT_PERMIT, REASON_AUTHENTICATED);
	expect_mail("203.0.113.9", "bob", REASON_AUTHENTICATED);
	assert_int_equal(imap.begun, 2);
	close_house();
}

static void
what_cannot_be_carried_ends_at_once(void **state)
{
	static const struct try in_clear = { .mechanism = SASL_SCRAM_SHA_256,
		.in_clear = true };
	static const struct try clear_token = { .mechanism = SASL_OAUTHBEARER,
		.in_clear = true,
		.from = "10.1.2.3" };
	static const struct try unlisted = { .mechanism = SASL_SCRAM_SHA_1 };
	static const struct try plain = { .mechanism = SASL_PLAIN };
	static const struct try elsewhere = { .mechanism = SASL_SCRAM_SHA_256,
		.service = "lan" };
	static const struct {
		const char *what;
		const struct try *try;
		const char *message;
		enum reason reason;
	} rows[] = {
		{ "in clear", &in_clear, "n,,n=alice,r=abc",
		    REASON_LOGIN_WITHOUT_TLS },
		{ "a token in clear", &clear_token, token,
		    REASON_LOGIN_WITHOUT_TLS },
		{ "not listed", &unlisted, "n,,n=alice,r=abc",
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "not listed there", &elsewhere, "n,,n=alice,r=abc",
		    REASON_MECHANISM_NOT_ACCEPTED },
		{ "PLAIN", &plain, "x", REASON_MECHANISM_NOT_ACCEPTED },
		{ "no message", &scram, NULL, REASON_IDENTITY_REFUSED },
		{ "nobody", &scram, "n,,n=,r=abc", REASON_IDENTITY_REFUSED },
		{ "another's name", &scram, "n,a=bob,n=alice,r=abc",
		    REASON_IDENTITY_REFUSED },
		{ "channel binding", &scram, "p=tls-unique,,n=alice,r=abc",
		    REASON_IDENTITY_REFUSED },
		{ "a message too early", &cram, "alice 00",
		    REASON_IDENTITY_REFUSED },
		{ "no identity", &bearer,
		    "n,,\x01"
		    "auth=Bearer x\x01\x01",
		    REASON_IDENTITY_REFUSED },
	};
	struct outcome outcome;
	struct auth_relay *relay;

	(void)state;
	open_house(site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		relay = begin_relay(rows[i].try, rows[i].message, &outcome);
		assert_int_equal(outcome.ends, 1);
		expect(rows[i].what, &outcome.answer, VERDICT_REJECT,
		    rows[i].reason);
		/* whoever has not heard yet does no harm */
		auth_relay_respond(relay, "x", 1);
		auth_relay_cancel(relay);
		assert_int_equal(outcome.ends, 1);
	}
	assert_int_equal(imap.begun, 0);
	imap.no_relay = true;
	(void)begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	expect("nobody to carry it", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	/* internal clients may be challenged in clear */
	imap.no_relay = false;
	(void)begin_relay(&(struct try){ .mechanism = SASL_SCRAM_SHA_256,
			      .in_clear = true,
			      .from = "10.1.2.3" },
	    "n,,n=alice,r=abc", &outcome);
	imap_ends(IDENTITY_UNKNOWN);
	expect("unknown", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	close_house();
}

static void
what_this_host_refuses_in_mid_exchange_is_refused(void **state)
{
	static const char *const rows[] = { "alice", "", " 00",
		"a\x01lice 00112233445566778899aabbccddeeff" };
	struct outcome outcome;
	struct auth_relay *relay;

	(void)state;
	open_house(site);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		relay = begin_relay(&cram, NULL, &outcome);
		imap.relay.event(imap.relay.arg, "PDE+", NULL);
		auth_relay_respond(relay, rows[i], strlen(rows[i]));
		assert_int_equal(imap.cancelled, i + 1);
		assert_string_equal(imap.relay.message, "(none)");
		/* even when IMAP could not care less */
		imap_ends(i % 2 == 0 ? IDENTITY_UNKNOWN : IDENTITY_VERIFIED);
		expect(rows[i], &outcome.answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	/* a second answer would be another login's */
	relay = begin_relay(&cram, NULL, &outcome);
	auth_relay_respond(relay, "bob 0123456789abcdef0123456789abcdef", 36);
	auth_relay_respond(relay, "amy 0123456789abcdef0123456789abcdef", 36);
	imap_ends(IDENTITY_VERIFIED);
	expect("twice", &outcome.answer, VERDICT_REJECT,
	    REASON_IDENTITY_REFUSED);
	/* a yes to nobody is no yes */
	(void)begin_relay(&cram, NULL, &outcome);
	imap_ends(IDENTITY_VERIFIED);
	expect("whose?", &outcome.answer, VERDICT_TEMPFAIL,
	    REASON_IDENTITY_UNDECIDED);
	close_house();
}

static void
a_client_that_gives_up_is_not_a_decision(void **state)
{
	struct outcome outcome;
	struct auth_relay *relay;

	(void)state;
	open_house(site);
	relay = begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	auth_relay_cancel(relay);
	auth_relay_cancel(relay);
	auth_relay_respond(relay, "x", 1);
	assert_int_equal(imap.cancelled, 1);
	imap_ends(IDENTITY_UNKNOWN);
	assert_int_equal(outcome.ends, 1);
	assert_int_equal(outcome.answer.verdict, VERDICT_TEMPFAIL);
	expect_logged("stage=auth", 0);
	close_house();
}

/* What cannot be compared counts each time; a token can be. */
static void
failed_exchanges_are_guesses(void **state)
{
	struct outcome outcome;

	(void)state;
	open_house(site);
	for (unsigned int i = 0; i < 50; i++) {
		(void)begin_relay(&bearer, token, &outcome);
		imap_ends(IDENTITY_REFUSED);
		expect("one token", &outcome.answer, VERDICT_REJECT,
		    REASON_IDENTITY_REFUSED);
	}
	for (unsigned int i = 0; i < 30; i++) {
		(void)begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
		if (outcome.ends == 0)
			imap_ends(IDENTITY_REFUSED);
		expect("SCRAM", &outcome.answer, VERDICT_REJECT,
		    i < 19 ? REASON_IDENTITY_REFUSED : REASON_GUESSING);
	}
	assert_int_equal(imap.begun, 50 + 19);
	expect_mail("203.0.113.9", NULL, REASON_GUESSING);
	/* CRAM-MD5 tells its login late; then it is refused all the same */
	{
		struct auth_relay *relay = begin_relay(&cram, NULL, &outcome);

		assert_int_equal(outcome.ends, 0);
		auth_relay_respond(relay,
		    "bob 00112233445566778899aabbccddeeff", 36);
		assert_string_equal(imap.relay.message, "(none)");
		imap_ends(IDENTITY_UNKNOWN);
		expect("CRAM-MD5", &outcome.answer, VERDICT_REJECT,
		    REASON_GUESSING);
	}
	close_house();
}

/* The server's last word shows whether a proof was right: it is not asked for
 * once there were too many. */
static void
a_proof_that_comes_late_is_not_carried(void **state)
{
	struct outcome outcome;
	struct auth_relay *relay;
	char password[32];

	(void)state;
	open_house(site);
	relay = begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	imap.relay.event(imap.relay.arg, "cj1hYmM=", NULL);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)attempt(&(struct try){ .password = password });
	}
	imap.relay.message[0] = '\0';
	auth_relay_respond(relay, "c=biws", 6);
	assert_string_equal(imap.relay.message, "");
	imap_ends(IDENTITY_UNKNOWN);
	expect("too late", &outcome.answer, VERDICT_REJECT, REASON_GUESSING);
	close_house();
}

/* Who tries them all at once must not win by it: what is right comes too late
 * when enough have been wrong meanwhile. */
static void
guessing_in_parallel_gains_nothing(void **state)
{
	struct outcome outcome;
	char password[32];

	(void)state;
	open_house(site);
	(void)begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	imap.verdict.identity = IDENTITY_REFUSED;
	for (unsigned int i = 0; i < 20; i++) {
		(void)snprintf(password, sizeof(password), "pw%u", i);
		(void)attempt(&(struct try){ .password = password });
	}
	assert_int_equal(outcome.ends, 0);
	imap_ends(IDENTITY_VERIFIED);
	expect("right, too late", &outcome.answer, VERDICT_REJECT,
	    REASON_GUESSING);
	expect_mail("192.0.2.1", "alice", REASON_SESSION_UNPROVEN);
	expect_mail("203.0.113.9", "alice", REASON_GUESSING);
	close_house();
}

static void
offers_are_what_both_sides_have(void **state)
{
	const unsigned int always = SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN);

	(void)state;
	open_house(site);
	assert_int_equal(auth_offers(house.gate, "mta"), always);
	imap.offers = SASL_BIT(SASL_SCRAM_SHA_1) | SASL_BIT(SASL_SCRAM_SHA_256);
	assert_int_equal(auth_offers(house.gate, "mta"),
	    always | SASL_BIT(SASL_SCRAM_SHA_256));
	assert_int_equal(auth_offers(house.gate, "lan"), always);
	close_house();
}

/* Nor is it worth an attempt. */
static void
what_counts_for_nothing_is_not_offered(void **state)
{
	static const struct {
		const char *what;
		struct try try;
		enum verdict verdict;
		enum reason reason;
	} rows[] = {
		{ "listed", { .mechanism = SASL_LOGIN }, VERDICT_PERMIT,
		    REASON_AUTHENTICATED },
		{ "not listed", { .mechanism = SASL_PLAIN }, VERDICT_REJECT,
		    REASON_MECHANISM_NOT_ACCEPTED },
		/* the protocol does not say what the client used */
		{ "saslauthd", { .service = "mux" }, VERDICT_PERMIT,
		    REASON_AUTHENTICATED },
	};
	struct outcome outcome;

	(void)state;
	open_house(SITE("mechanisms = {\"login\", \"SCRAM-SHA-256\"} "));
	imap.verdict.identity = IDENTITY_VERIFIED;
	imap.offers = SASL_BIT(SASL_CRAM_MD5) | SASL_BIT(SASL_SCRAM_SHA_256) |
	    SASL_BIT(SASL_OAUTHBEARER);
	assert_int_equal(auth_offers(house.gate, "mta"),
	    SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_SCRAM_SHA_256));
	assert_int_equal(auth_offers(house.gate, "lan"), SASL_BIT(SASL_LOGIN));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_answer answer = attempt(&rows[i].try);

		expect(rows[i].what, &answer, rows[i].verdict, rows[i].reason);
	}
	assert_int_equal(imap.asked, 2);
	(void)begin_relay(&cram, NULL, &outcome);
	expect("a relay", &outcome.answer, VERDICT_REJECT,
	    REASON_MECHANISM_NOT_ACCEPTED);
	assert_int_equal(imap.begun, 0);
	(void)begin_relay(&scram, "n,,n=alice,r=abc", &outcome);
	assert_int_equal(imap.begun, 1);
	imap_ends(IDENTITY_VERIFIED);
	close_house();
}

/* --- an end that comes when it likes --- */

/* What a door has to hold: a lock that the end passes. */
static struct {
	pthread_mutex_t lock;
	pthread_t thread;
	identity_relay_event *event;
	void *arg;
	unsigned int heard;
	bool ended;
} hasty = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
end_at_once(void *arg)
{
	struct identity_verdict verdict = { .identity = IDENTITY_VERIFIED };

	(void)arg;
	hasty.event(hasty.arg, "cj1hYmM=", NULL);
	hasty.event(hasty.arg, NULL, &verdict);
	return NULL;
}

static struct identity_relay *
hasty_begin(struct identity_engine *unused, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)unused;
	(void)mechanism;
	(void)login;
	(void)initial;
	(void)client;
	hasty.event = event;
	hasty.arg = arg;
	assert_int_equal(pthread_create(&hasty.thread, NULL, end_at_once, NULL),
	    0);
	return (struct identity_relay *)&hasty;
}

static void
hasty_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	(void)login;
	(void)response;
	assert_ptr_equal(relay, &hasty);
}

static void
hasty_cancel(struct identity_relay *relay)
{
	assert_ptr_equal(relay, &hasty);
}

static void
hear_hastily(void *arg, const char *challenge, const struct auth_answer *answer)
{
	(void)arg;
	(void)challenge;
	(void)pthread_mutex_lock(&hasty.lock);
	hasty.heard++;
	hasty.ended = answer != NULL;
	(void)pthread_mutex_unlock(&hasty.lock);
}

static void
an_exchange_may_end_at_any_moment(void **state)
{
	static const struct auth_engine in_haste = {
		.verify = fake_verify,
		.offers = fake_offers,
		.begin = hasty_begin,
		.respond = hasty_respond,
		.cancel = hasty_cancel,
	};

	(void)state;
	open_house(site);
	auth_set_engine(house.gate, &in_haste);
	for (unsigned int i = 0; i < 300; i++) {
		struct netaddr addr;
		struct auth_client client = client_of(&scram, &addr);
		struct auth_relay *relay;

		hasty.heard = 0;
		hasty.ended = false;
		relay = auth_relay_begin(house.gate, &client,
		    "n,,n=alice,r=abc", 16, hear_hastily, NULL);
		assert_non_null(relay);
		(void)pthread_mutex_lock(&hasty.lock);
		if (!hasty.ended && i % 3 == 0)
			auth_relay_cancel(relay);
		else if (!hasty.ended)
			auth_relay_respond(relay, "c=biws", 6);
		(void)pthread_mutex_unlock(&hasty.lock);
		(void)pthread_join(hasty.thread, NULL);
		assert_int_equal(hasty.heard, 2);
		assert_true(hasty.ended);
	}
	close_house();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verified_login_is_proven_from_its_address),
		cmocka_unit_test(only_a_clear_yes_is_a_yes),
		cmocka_unit_test(what_is_refused_here_looks_like_any_refusal),
		cmocka_unit_test(a_section_that_is_gone_cannot_tell),
		cmocka_unit_test(clear_text_is_for_the_house_alone),
		cmocka_unit_test(a_proof_for_the_login_alone_holds_everywhere),
		cmocka_unit_test(guesses_are_refused_unasked_and_at_mail),
		cmocka_unit_test(no_flood_drowns_the_alarm),
		cmocka_unit_test(
		    one_account_has_one_count_however_it_is_spelled),
		cmocka_unit_test(a_wrong_password_is_one_however_often),
		cmocka_unit_test(internal_clients_are_limited_at_auth_only),
		cmocka_unit_test(a_disabled_account_loses_its_proofs),
		cmocka_unit_test(a_graced_password_is_marked),
		cmocka_unit_test(sources_are_asked_in_order),
		cmocka_unit_test(a_relayed_exchange_goes_both_ways),
		cmocka_unit_test(what_cannot_be_carried_ends_at_once),
		cmocka_unit_test(
		    what_this_host_refuses_in_mid_exchange_is_refused),
		cmocka_unit_test(a_client_that_gives_up_is_not_a_decision),
		cmocka_unit_test(failed_exchanges_are_guesses),
		cmocka_unit_test(a_proof_that_comes_late_is_not_carried),
		cmocka_unit_test(guessing_in_parallel_gains_nothing),
		cmocka_unit_test(an_exchange_may_end_at_any_moment),
		cmocka_unit_test(offers_are_what_both_sides_have),
		cmocka_unit_test(what_counts_for_nothing_is_not_offered),
	};

	FILE *original = stderr;
	int failed;

	/* what cmocka says goes where it always went */
	house.stderr_fd = dup(2);
	stderr = fdopen(house.stderr_fd, "w");
	if (stderr == NULL)
		return 1;
	(void)setvbuf(stderr, NULL, _IONBF, 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)fclose(stderr);
	stderr = original;
	return failed;
}
