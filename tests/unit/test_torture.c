/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fails the n-th allocation, for every n, while a configuration is read and a
 * session is judged: no crash, and never a permit that the site did not give.
 * malloc() and its kin are replaced here, so sanitizers must stay away. Only
 * calls from this program fail: libconfuse's lexer ends the process when it
 * gets no memory, and no caller can help that.
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

#include "conf/load.h"
#include "gate/auth.h"
#include "gate/session.h"

/* glibc's own allocator under its other names */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static long countdown = -1; /* negative: all succeed */
static bool failed;
static long live;

extern char __executable_start, etext;

static bool
is_ours(const void *caller)
{
	return (const char *)caller >= &__executable_start &&
	    (const char *)caller < &etext;
}

/* Once one has failed, those after it succeed again: the harder case, because
 * whoever missed the failure goes on. */
static bool
refuse(const void *caller)
{
	if (countdown < 0 || !is_ours(caller) || countdown-- > 0)
		return false;
	failed = true;
	return true;
}

/* Which blocks are this program's own: libconfuse leaves some behind when a
 * file does not parse. */
#define SLOTS 65536
static void *blocks[SLOTS];

static void **
slot_of(const void *p, const void *wanted)
{
	size_t i = (uintptr_t)p / 16 % SLOTS;

	while (blocks[i] != wanted && blocks[i] != NULL)
		i = (i + 1) % SLOTS;
	return &blocks[i];
}

static void *
counted(void *p, const void *caller)
{
	size_t i = (uintptr_t)p / 16 % SLOTS;

	if (p == NULL || !is_ours(caller))
		return p;
	live++;
	while (blocks[i] != NULL && blocks[i] != &live)
		i = (i + 1) % SLOTS;
	blocks[i] = p;
	return p;
}

static void
forget(void *p)
{
	void **slot = slot_of(p, p);

	if (p == NULL || *slot == NULL)
		return;
	live--;
	*slot = &live; /* a grave: the probing goes on */
}

void *
malloc(size_t size)
{
	const void *caller = __builtin_return_address(0);

	return refuse(caller) ? NULL : counted(__libc_malloc(size), caller);
}

void *
calloc(size_t count, size_t size)
{
	const void *caller = __builtin_return_address(0);

	return refuse(caller) ? NULL
			      : counted(__libc_calloc(count, size), caller);
}

void *
realloc(void *p, size_t size)
{
	const void *caller = __builtin_return_address(0);
	void *q;

	if (refuse(caller))
		return NULL;
	q = __libc_realloc(p, size);
	if (q == NULL)
		return NULL;
	forget(p);
	return counted(q, caller);
}

void *
reallocarray(void *p, size_t count, size_t size)
{
	const void *caller = __builtin_return_address(0);
	void *q;

	if (refuse(caller) || (size > 0 && count > SIZE_MAX / size))
		return NULL;
	q = __libc_realloc(p, count * size);
	if (q == NULL)
		return NULL;
	forget(p);
	return counted(q, caller);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	const void *caller = __builtin_return_address(0);

	return refuse(caller)
	    ? NULL
	    : counted(__libc_memalign(alignment, size), caller);
}

char *
strndup(const char *text, size_t max)
{
	const void *caller = __builtin_return_address(0);
	size_t len = strnlen(text, max);
	char *copy =
	    refuse(caller) ? NULL : counted(__libc_malloc(len + 1), caller);

	if (copy != NULL) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

char *
strdup(const char *text)
{
	const void *caller = __builtin_return_address(0);
	size_t size = strlen(text) + 1;
	char *copy =
	    refuse(caller) ? NULL : counted(__libc_malloc(size), caller);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

void
free(void *p)
{
	forget(p);
	__libc_free(p);
}

static const char site[] =
    "internal = {\"10.0.0.0/8\", \"!10.0.0.1\", \"fd00::/8\"}\n"
    "local_domains = {\"example.org\", \"b\xc3\xbc"
    "cher.example\"}\n"
    "listener \"submission\" { role = \"submission\" }\n"
    "listener \"smtp\" { role = \"mx\" }\n"
    "tls { min_version = \"TLSv1.2\" min_bits = 128 }\n"
    "auth { realm = \"example.org\" "
    "mechanisms = {\"PLAIN\", \"SCRAM-SHA-256\"} }\n"
    "senders { check = \"envelope\" own = {\"%u@%d\"} }\n"
    "imap \"main\" { url = {\"imaps://a.example.org\", "
    "\"imap://b.example.org\"} domains = {\"example.org\"} }\n"
    "imap \"rest\" { url = \"imaps://c.example.org\" domains = {\"*\"} }\n"
    "sasl \"mta\" { listen = \"unix:/run/p/sasl\" "
    "pass_through = {\"SCRAM-SHA-256\"} }\n";

static struct conf *
load(void)
{
	static const struct conf_env env = { .host = NULL, .no_files = true };
	struct conf_report report = { 0 };
	struct conf *conf =
	    conf_load_text("t", site, sizeof(site) - 1, &env, &report);

	if (conf == NULL)
		assert_true(report.errors > 0 || failed);
	conf_report_clear(&report);
	return conf;
}

static void
is_complete(const struct conf *conf, long n)
{
	const struct policy *p = &conf->policy;
	struct netaddr gateway;

	(void)netaddr_parse("10.0.0.1", &gateway);
	if (netset_count(p->internal) != 3 ||
	    netset_contains(p->internal, &gateway, NULL) ||
	    domainset_count(p->local_domains) != 2 || p->listener_count != 2 ||
	    p->mechanism_count != 2 || strcmp(p->realm, "example.org") != 0 ||
	    conf->imap_count != 2 || conf->imaps[0].url_count != 2 ||
	    conf->imaps[0].domain_count != 1 || conf->sasl_count != 1 ||
	    conf->sasls[0].pass_through != SASL_BIT(SASL_SCRAM_SHA_256) ||
	    p->switches.sender_check != SENDER_CHECK_ENVELOPE ||
	    p->tls_min_bits != 128)
		fail_msg("allocation %ld failed and the policy is shorter", n);
}

/* Blocks are not counted here: where memory ends inside libconfuse, its tree is
 * given up on purpose. */
static void
a_configuration_is_whole_or_not_at_all(void **state)
{
	long loads = 0;

	(void)state;
	/* libraries keep what they set up at their first use */
	countdown = -1;
	{
		struct conf *conf = load();

		conf_free(&conf);
	}
	for (long n = 0;; n++) {
		struct conf *conf;

		failed = false;
		countdown = n;
		conf = load();
		countdown = -1;
		if (conf != NULL) {
			is_complete(conf, n);
			conf_free(&conf);
			loads++;
		}
		if (!failed) {
			print_message("%ld allocations failed in turn\n", n);
			break;
		}
	}
	assert_true(loads > 0);
}

static enum identity
nobody_knows(void *arg, const struct rules *rules, const struct login *login,
    const struct netaddr *peer)
{
	(void)rules;
	(void)peer;
	(void)login;
	return *(enum identity *)arg;
}

struct client {
	const char *address;
	const char *listener;
	const char *tls;
	const char *login;
	enum identity identity;
	const char *rcpt;
	bool may_pass;
};

/* Returns whether the message went through. */
static bool
submit(struct gate *gate, const struct client *c)
{
	struct netaddr peer;
	struct session *session;
	struct mail_event mail = {
		.path = "<alice@example.org>",
		.path_len = 19,
		.resolved = "alice@example.org",
		.tls_version = c->tls,
		.cipher = c->tls == NULL ? NULL : "TLS_AES_128_GCM_SHA256",
		.cipher_bits = c->tls == NULL ? NULL : "128",
		.mechanism = c->login == NULL ? NULL : "PLAIN",
		.login = c->login,
		.login_len = c->login == NULL ? 0 : strlen(c->login),
	};
	struct rcpt_event rcpt = {
		.path = c->rcpt,
		.path_len = strlen(c->rcpt),
	};
	struct answer answer = { 0 };

	(void)netaddr_parse(c->address, &peer);
	session = session_new(gate, &peer, c->listener);
	if (session == NULL)
		return false;
	session_mail(session, &mail, &answer);
	/* whatever MAIL was told, go on */
	session_rcpt(session, &rcpt, &answer);
	session_message(session, "Q", &answer);
	session_free(&session);
	return answer.verdict == VERDICT_PERMIT;
}

static void
no_allocation_failure_permits(void **state)
{
	static const struct client clients[] = {
		{ "10.1.2.3", "submission", NULL, NULL, IDENTITY_UNKNOWN,
		    "<bob@remote.example>", true },
		{ "203.0.113.9", "submission", "TLSv1.3", "alice",
		    IDENTITY_VERIFIED, "<bob@remote.example>", true },
		{ "203.0.113.9", "submission", NULL, NULL, IDENTITY_VERIFIED,
		    "<bob@remote.example>", false },
		{ "203.0.113.9", "submission", "TLSv1.3", "bob",
		    IDENTITY_VERIFIED, "<bob@remote.example>", false },
		{ "203.0.113.9", "submission", "TLSv1.3", "alice",
		    IDENTITY_UNKNOWN, "<bob@remote.example>", false },
		{ "203.0.113.9", "submission", "TLSv1.3", "alice",
		    IDENTITY_DISABLED, "<bob@remote.example>", false },
		{ "203.0.113.9", "smtp", NULL, NULL, IDENTITY_UNKNOWN,
		    "<bob@example.org>", true },
		{ "203.0.113.9", "smtp", NULL, NULL, IDENTITY_UNKNOWN,
		    "<bob@remote.example>", false },
		{ "10.0.0.1", "submission", "TLSv1.3", NULL, IDENTITY_VERIFIED,
		    "<bob@remote.example>", false },
	};
	struct gate *gate = gate_new(rules_new_offline(load()), NULL);
	enum identity identity;
	unsigned int tries = 0;

	(void)state;
	assert_non_null(gate);
	gate_set_ask(gate, nobody_knows, &identity);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		identity = clients[i].identity;
		assert_int_equal(submit(gate, &clients[i]),
		    clients[i].may_pass);
		for (long n = 0;; n++) {
			long before = live;
			bool passed;

			failed = false;
			countdown = n;
			passed = submit(gate, &clients[i]);
			countdown = -1;
			tries++;
			if (passed && !clients[i].may_pass)
				fail_msg("client %zu passes when allocation "
					 "%ld fails",
				    i, n);
			if (live != before)
				fail_msg("client %zu, allocation %ld: %ld "
					 "blocks left",
				    i, n, live - before);
			if (!failed)
				break;
		}
	}
	print_message("%u sessions with a failing allocation\n", tries);
	gate_free(&gate);
}

/* --- login attempts --- */

static struct {
	identity_relay_event *event;
	void *arg;
} relayed;

static void
verify_at_once(struct identity_engine *engine,
    const struct identity_password *question, identity_done *done, void *arg)
{
	struct identity_verdict verdict = {
		.identity =
		    question->len == 4 ? IDENTITY_VERIFIED : IDENTITY_REFUSED,
	};

	(void)engine;
	done(arg, &verdict);
}

static bool
offer_all(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	(void)engine;
	(void)mechanism;
	return true;
}

static struct identity_relay *
relay_begin(struct identity_engine *engine, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)engine;
	(void)mechanism;
	(void)login;
	(void)initial;
	(void)client;
	relayed.event = event;
	relayed.arg = arg;
	return (struct identity_relay *)&relayed;
}

static void
relay_respond(struct identity_relay *relay, const struct login *login,
    const char *response)
{
	(void)relay;
	(void)login;
	(void)response;
}

static void
relay_cancel(struct identity_relay *relay)
{
	(void)relay;
}

static const struct auth_engine engine = {
	.verify = verify_at_once,
	.offers = offer_all,
	.begin = relay_begin,
	.respond = relay_respond,
	.cancel = relay_cancel,
};

struct attempts {
	unsigned int answers;
	unsigned int permits;
};

static void
take_answer(void *arg, const struct auth_answer *answer)
{
	struct attempts *attempts = arg;

	attempts->answers++;
	if (answer->verdict == VERDICT_PERMIT)
		attempts->permits++;
}

static void
take_event(void *arg, const char *challenge, const struct auth_answer *answer)
{
	(void)challenge;
	if (answer != NULL)
		take_answer(arg, answer);
}

static void
log_in(struct gate *gate, const char *password, struct attempts *attempts)
{
	struct sasl_credentials credentials = {
		.authcid = "alice",
		.authcid_len = 5,
		.password = password,
		.password_len = strlen(password),
	};
	struct netaddr addr;
	struct auth_client client = {
		.service = "mta",
		.mechanism = SASL_PLAIN,
		.addr = &addr,
		.secured = true,
	};
	struct auth_relay *relay;

	(void)netaddr_parse("203.0.113.9", &addr);
	auth_password(gate, &client, &credentials, take_answer, attempts);
	client.mechanism = SASL_SCRAM_SHA_256;
	relay = auth_relay_begin(gate, &client, "n,,n=alice,r=x", 14,
	    take_event, attempts);
	if (relay == NULL) {
		attempts->answers++;
		return;
	}
	auth_relay_respond(relay, "c=biws,r=x,p=x", 14);
	if (relayed.event != NULL) {
		struct identity_verdict verdict = {
			.identity = strlen(password) == 4 ? IDENTITY_VERIFIED
							  : IDENTITY_REFUSED,
		};
		identity_relay_event *event = relayed.event;

		relayed.event = NULL;
		event(relayed.arg, NULL, &verdict);
	}
}

static void
attempts_end_once_and_leave_nothing(void **state)
{
	static const struct {
		const char *password;
		unsigned int permits;
	} rows[] = { { "good", 2 }, { "wrong", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (long n = -1;; n++) {
			long before = live;
			struct gate *gate =
			    gate_new(rules_new_offline(load()), NULL);
			struct attempts attempts = { 0 };

			assert_non_null(gate);
			auth_set_engine(gate, &engine);
			failed = false;
			countdown = n;
			log_in(gate, rows[i].password, &attempts);
			countdown = -1;
			gate_free(&gate);
			if (attempts.answers != 2)
				fail_msg("%s, allocation %ld: %u answers",
				    rows[i].password, n, attempts.answers);
			if (n < 0)
				assert_int_equal(attempts.permits,
				    rows[i].permits);
			if (attempts.permits > rows[i].permits)
				fail_msg("%s, allocation %ld: %u permits",
				    rows[i].password, n, attempts.permits);
			/* identity/ makes its key once, at the first tag */
			if (n >= 0 && live != before)
				fail_msg("%s, allocation %ld: %ld blocks left",
				    rows[i].password, n, live - before);
			if (n >= 0 && !failed)
				break;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_is_whole_or_not_at_all),
		cmocka_unit_test(no_allocation_failure_permits),
		cmocka_unit_test(attempts_end_once_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
