/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate of the unit tests. It says what a session is told and what it
 * answers; what that should be is the tests' affair.
 */
#include "tests/lib/house.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/site.h"

struct rules *
house_rules(const char *text)
{
	struct rules *rules = rules_new_offline(site_conf(text));

	assert_non_null(rules);
	return rules;
}

void
house_make_dir(char dir_r[64])
{
	(void)snprintf(dir_r, 64, "/tmp/postern-test.XXXXXX");
	assert_non_null(mkdtemp(dir_r));
}

void
house_remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	assert_non_null(dir);
	for (entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
	assert_int_equal(rmdir(path), 0);
}

static enum identity
answer_for_imap(void *arg, const struct rules *rules, const struct login *login,
    const struct netaddr *peer)
{
	struct house *house = arg;

	(void)rules;
	(void)peer;
	house->asked++;
	(void)snprintf(house->login, sizeof(house->login), "%s", login->text);
	return house->answer;
}

static uint64_t
tell_time(void *arg)
{
	const struct house *house = arg;

	return house->now_ms;
}

struct conf *
house_conf_of(const struct house *house, const char *text)
{
	char whole[8192];
	int n = snprintf(whole, sizeof(whole), "state_dir = \"%s\"\n%s",
	    house->dir, text);

	assert_true(n > 0 && (size_t)n < sizeof(whole));
	return site_conf(whole);
}

static void
open_gate(struct house *house, struct conf *conf)
{
	house->now_ms = UINT64_C(1800000000000);
	house->answer = IDENTITY_VERIFIED;
	house->gate = gate_new(rules_new_offline(conf), NULL);
	assert_non_null(house->gate);
	gate_set_ask(house->gate, answer_for_imap, house);
	gate_set_clock(house->gate, tell_time, house);
}

void
house_open(struct house *house, const char *text)
{
	memset(house, 0, sizeof(*house));
	open_gate(house, site_conf(text));
}

void
house_open_stored(struct house *house, const char *text)
{
	struct err e = { "" };

	memset(house, 0, sizeof(*house));
	house_make_dir(house->dir);
	open_gate(house, house_conf_of(house, text));
	if (gate_open_store(house->gate, &e) != 0)
		fail_msg("%s", e.text);
}

void
house_close(struct house *house)
{
	gate_free(&house->gate);
	if (house->dir[0] != '\0')
		house_remove_dir(house->dir);
}

struct session *
house_client(struct house *house, const char *address, const char *listener)
{
	struct netaddr peer;
	struct session *session;

	/* what is no address is no address of the client's either */
	(void)netaddr_parse(address, &peer);
	session = session_new(house->gate, &peer, listener);
	assert_non_null(session);
	return session;
}

struct mail_event
house_event(const char *path, const char *login)
{
	return (struct mail_event){
		.path = path,
		.path_len = strlen(path),
		.tls_version = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.cipher_bits = "256",
		.mechanism = login == NULL ? NULL : "PLAIN",
		.login = login,
		.login_len = login == NULL ? 0 : strlen(login),
		.counts = true,
	};
}

enum reason
house_mail_event(struct session *session, const struct mail_event *event)
{
	struct answer answer;

	session_mail(session, event, &answer);
	assert_int_equal(answer.verdict, answer.decision.verdict);
	return answer.decision.reason;
}

enum reason
house_mail(struct session *session, const char *path, const char *login)
{
	const struct mail_event event = house_event(path, login);

	return house_mail_event(session, &event);
}

static enum reason
tell_rcpt(struct session *session, const char *path, bool refused)
{
	const struct rcpt_event event = {
		.path = path,
		.path_len = strlen(path),
		.refused = refused,
	};
	struct answer answer;

	session_rcpt(session, &event, &answer);
	return answer.decision.reason;
}

enum reason
house_rcpt(struct session *session, const char *path)
{
	return tell_rcpt(session, path, false);
}

enum reason
house_bad_rcpt(struct session *session, const char *path)
{
	return tell_rcpt(session, path, true);
}

enum reason
house_message(struct session *session)
{
	struct answer answer;

	session_message(session, "Q", &answer);
	return answer.decision.reason;
}

unsigned int
house_send(struct house *house, const char *address, unsigned int first,
    unsigned int count, const char *domain)
{
	struct session *s = house_client(house, address, "submission");
	unsigned int passed = 0;
	char to[80];

	if (house_mail(s, "<alice@example.org>", "alice") ==
	    REASON_AUTHENTICATED) {
		for (unsigned int i = 0; i < count; i++) {
			(void)snprintf(to, sizeof(to), "<r%u@%s>", first + i,
			    domain);
			if (house_rcpt(s, to) == REASON_AUTHENTICATED)
				passed++;
		}
		if (passed > 0)
			EXPECT(house_message(s), REASON_AUTHENTICATED);
	}
	session_free(&s);
	return passed;
}

void
house_payer(struct house *house, const char *text, struct login *payer_r)
{
	struct rules *rules = gate_rules_ref(house->gate);
	struct login login;

	assert_int_equal(
	    login_normalise(text, strlen(text), "example.org", &login), 0);
	limits_payer(rules, &login, payer_r);
	gate_rules_unref(house->gate, rules);
}

enum containment
house_step(struct house *house, const char *text)
{
	struct rules *rules = gate_rules_ref(house->gate);
	enum containment step;
	struct login payer;

	house_payer(house, text, &payer);
	step = contain_look(limits_contain(gate_limits(house->gate)),
	    rules->conf, gate_store(house->gate), &payer, house->now_ms);
	gate_rules_unref(house->gate, rules);
	return step;
}

void
house_expect(const char *file, int line, enum reason got, enum reason want)
{
	if (got != want)
		fail_msg("%s:%d: got %s (%u), want %s (%u)", file, line,
		    reason_row(got)->name, reason_row(got)->code,
		    reason_row(want)->name, reason_row(want)->code);
}
