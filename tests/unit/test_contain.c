/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ladder of containment through the gate: what leads up, what is left on
 * each step, what leads down, and what the operator hears of it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate/auth.h"
#include "gate/hook.h"
#include "store/internal.h"
#include "tests/lib/house.h"

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct house house;

#define open_house(more) house_open_stored(&house, HOUSE_SITE more)

/* --- what thieves do --- */

/* So many recipients a message, a message every so often, until 50,000 have
 * been tried; how many were reached. */
static unsigned int
steal(unsigned int at_once, uint64_t pause_ms)
{
	unsigned int reached = 0;
	uint64_t begun;

	open_house("");
	begun = house.now_ms;
	for (unsigned int i = 0; i < 50000; i += at_once) {
		char address[32];

		(void)snprintf(address, sizeof(address), "198.51.%u.7",
		    i / at_once % 200);
		reached +=
		    house_send(&house, address, i, at_once, "victim.example");
		house.now_ms += pause_ms;
	}
	print_message("50,000 recipients from 200 addresses, %u a message, in "
		      "%ju minutes: stopped after %u; at the end %s\n",
	    at_once, (uintmax_t)((house.now_ms - begun) / MINUTE), reached,
	    contain_step_name(house_step(&house, "alice")));
	house_close(&house);
	return reached;
}

static void
a_stolen_account_is_stopped(void **state)
{
	(void)state;
	assert_in_range(steal(50, 1000), 1, 600);
	assert_in_range(steal(100, 60 * 1000), 1, 600);
	assert_in_range(steal(1, 1000), 1, 100);
	assert_in_range(steal(10, 100), 1, 300);
}

static void
a_thief_at_one_place_is_stopped(void **state)
{
	unsigned int reached = 0;

	(void)state;
	open_house("");
	for (unsigned int i = 0; i < 50000; i += 20) {
		reached +=
		    house_send(&house, "198.51.100.7", i, 20, "victim.example");
		house.now_ms += 10000;
	}
	print_message("50,000 recipients from one address in 7 hours: "
		      "stopped after %u\n",
	    reached);
	assert_in_range(reached, 1, 1100);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SHUT);
	house_close(&house);
}

/* --- the ladder --- */

#define LADDER                                                             \
 "limits \"a\" { recipients = \"10/1h\" action = \"contain\" }"            \
 "contain { rate = \"2/1h\" slowed = \"1h\" local = \"4h\" shut = \"1d\" " \
 "memory = \"2d\" }"

static void
offend(void)
{
	assert_int_equal(house_send(&house, "203.0.113.9", 0, 11, "a.example"),
	    10);
}

static void
each_step_is_narrower_and_ends(void **state)
{
	struct session *s;

	(void)state;
	open_house(LADDER);
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	assert_int_equal(house_step(&house, "bob"), CONTAINMENT_NONE);
	assert_int_equal(house_send(&house, "203.0.113.9", 100, 9, "a.example"),
	    2);
	house.now_ms += HOUR;
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	house.now_ms += 10 * HOUR;
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	s = house_client(&house, "203.0.113.9", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<x@a.example>"), REASON_CONTAINED);
	EXPECT(house_rcpt(s, "<bob@example.org>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<carol@example.org>"), REASON_AUTHENTICATED);
	EXPECT(house_rcpt(s, "<dave@example.org>"), REASON_OVER_LIMIT);
	EXPECT(house_message(s), REASON_AUTHENTICATED);
	house.now_ms += 10 * HOUR;
	session_free(&s);
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SHUT);
	s = house_client(&house, "10.1.2.3", "submission");
	EXPECT(house_mail(s, "<>", "alice"), REASON_CONTAINED);
	EXPECT(house_mail(s, "<>", NULL), REASON_INTERNAL_NETWORK);
	EXPECT(house_mail(s, "<>", "bob"), REASON_INTERNAL_NETWORK);
	session_free(&s);
	/* forgiven and forgotten */
	house.now_ms += 4 * DAY;
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	house_close(&house);
}

static void
who_hammers_goes_on_and_who_tries_again_does_not(void **state)
{
	(void)state;
	open_house(LADDER);
	offend();
	for (int i = 0; i < 50; i++)
		(void)house_send(&house, "203.0.113.9", 100, 12, "a.example");
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	(void)house_send(&house, "203.0.113.9", 1000, 25, "a.example");
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	(void)house_send(&house, "203.0.113.9", 2000, 25, "a.example");
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SHUT);
	house_close(&house);
}

static void
the_operator_releases(void **state)
{
	struct login alice;
	struct err e;

	(void)state;
	open_house(LADDER);
	house_payer(&house, "ALICE", &alice);
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	assert_int_equal(
	    contain_release(gate_store(house.gate), &alice, house.now_ms, &e),
	    1);
	assert_int_equal(
	    contain_release(gate_store(house.gate), &alice, house.now_ms, &e),
	    0);
	/* what was counted is forgotten, and so is the offence */
	assert_int_equal(
	    house_send(&house, "203.0.113.9", 500, 11, "a.example"), 10);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	house_close(&house);
}

/* IMAP has verified a password of alice's. */
static void
log_in(const char *spelled, unsigned char password)
{
	const unsigned char tag[IDENTITY_TAG_LEN] = { password };
	struct rules *rules = gate_rules_ref(house.gate);
	struct login alice, login;

	house_payer(&house, "alice", &alice);
	(void)snprintf(login.text, sizeof(login.text), "%s", spelled);
	contain_password(limits_contain(gate_limits(house.gate)), rules->conf,
	    gate_store(house.gate), &alice, &login, tag, house.now_ms);
	gate_rules_unref(house.gate, rules);
}

#define ALICE "alice@example.org"

static void
a_new_password_releases(void **state)
{
	(void)state;
	open_house(LADDER);
	offend();
	/* nobody knows yet whether it is new */
	log_in(ALICE, 1);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	log_in(ALICE, 1);
	/* the same one has another tag there */
	log_in("Alice@example.org", 2);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	log_in(ALICE, 2);
	/* what the thief has sent is not held against her: not even now */
	assert_int_equal(house_send(&house, "203.0.113.9", 50, 5, "a.example"),
	    5);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	/* it was a second password of hers: the thief goes on, and so does the
	 * ladder */
	house.now_ms += 2 * HOUR;
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	log_in(ALICE, 2);
	log_in(ALICE, 1);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	house_close(&house);
}

/* Whose devices have a password each is not released by every one of them. */
static void
many_passwords_do_not_release(void **state)
{
	(void)state;
	open_house(LADDER);
	for (unsigned char i = 1; i <= 10; i++)
		log_in(ALICE, i);
	offend();
	for (unsigned char i = 1; i <= 10; i++)
		log_in(ALICE, i);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	/* and with so many that they are not all known none is new */
	for (unsigned char i = 1; i <= 100; i++)
		log_in("ALICE@example.org", i);
	house.now_ms += 11 * HOUR;
	offend();
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	for (unsigned char i = 101; i <= 200; i++)
		log_in("ALICE@example.org", i);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_LOCAL);
	house_close(&house);
}

/* --- IMAP, as a login by token meets it --- */

static struct {
	identity_relay_event *event;
	void *arg;
} imap;

static bool
fake_offers(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	(void)engine;
	return mechanism == SASL_OAUTHBEARER;
}

static struct identity_relay *
fake_begin(struct identity_engine *engine, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	(void)engine;
	(void)mechanism;
	(void)login;
	(void)initial;
	(void)client;
	imap.event = event;
	imap.arg = arg;
	return (struct identity_relay *)&imap;
}

static void
heard(void *arg, const char *challenge, const struct auth_answer *answer)
{
	enum verdict *verdict = arg;

	assert_null(challenge);
	*verdict = answer->verdict;
}

static void
log_in_by_token(const char *token)
{
	static const struct auth_engine engine = {
		.offers = fake_offers,
		.begin = fake_begin,
	};
	const struct identity_verdict yes = { .identity = IDENTITY_VERIFIED };
	enum verdict verdict = VERDICT_TEMPFAIL;
	struct auth_client client = {
		.service = "mta",
		.mechanism = SASL_OAUTHBEARER,
		.secured = true,
	};
	struct netaddr addr;
	char message[128];
	int n = snprintf(message, sizeof(message),
	    "n,a=" ALICE ",\001auth=Bearer %s\001\001", token);

	assert_int_equal(netaddr_parse("203.0.113.9", &addr), 0);
	client.addr = &addr;
	auth_set_engine(house.gate, &engine);
	assert_non_null(auth_relay_begin(house.gate, &client, message,
	    (size_t)n, heard, &verdict));
	imap.event(imap.arg, NULL, &yes);
	assert_int_equal(verdict, VERDICT_PERMIT);
}

/* Every token is another one; a thief has new ones as often as the owner. */
static void
a_new_token_does_not_release(void **state)
{
	(void)state;
	open_house(LADDER "sasl \"mta\" { listen = \"unix:/run/p/sasl\" "
			  "pass_through = {\"OAUTHBEARER\"} }");
	log_in_by_token("eins");
	offend();
	log_in_by_token("zwei");
	log_in_by_token("drei");
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	house_close(&house);
}

/* --- the other ways --- */

/* All networks that were seen are forgotten, or the next would contain again.
 */
static void
a_release_forgets_the_networks_too(void **state)
{
	struct login alice;
	char address[32];
	struct err e;

	(void)state;
	open_house("limits \"a\" { addresses = \"3/1d\" senders = \"1/1d\" "
		   "action = \"contain\" }");
	house_payer(&house, "alice", &alice);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) {
			assert_int_equal(house_step(&house, "alice"),
			    CONTAINMENT_NONE);
			(void)snprintf(address, sizeof(address), "198.51.%d.7",
			    10 * round + i);
			assert_int_equal(
			    house_send(&house, address, 1, 1, "a.example"),
			    i < 3 ? 1 : 0);
		}
		assert_int_equal(house_step(&house, "alice"),
		    CONTAINMENT_SLOWED);
		assert_int_equal(contain_release(gate_store(house.gate), &alice,
				     house.now_ms, &e),
		    1);
	}
	house_close(&house);
}

static int
get_nothing(struct store *store, struct record *records, size_t count,
    unsigned int *found_r)
{
	(void)store;
	(void)records;
	(void)count;
	*found_r = 0;
	return -1;
}

/* A store that is away opens no door that was shut. */
static void
who_was_contained_stays_so_without_the_store(void **state)
{
	struct store_ops away;
	const struct store_ops *there;
	struct login alice;
	struct store *store;
	struct err e;

	(void)state;
	open_house(LADDER);
	house_payer(&house, "alice", &alice);
	store = gate_store(house.gate);
	there = store->ops;
	away = *there;
	away.get = get_nothing;
	offend();
	store->ops = &away;
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_SLOWED);
	assert_int_equal(house_step(&house, "bob"), CONTAINMENT_NONE);
	house.now_ms += HOUR;
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	store->ops = there;
	house.now_ms += 10 * HOUR;
	offend();
	assert_int_equal(contain_release(store, &alice, house.now_ms, &e), 1);
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	store->ops = &away;
	assert_int_equal(house_step(&house, "alice"), CONTAINMENT_NONE);
	store->ops = there;
	house_close(&house);
}

/* The program gets its arguments one by one, whatever is in them. */
static void
the_command_is_told(void **state)
{
	static const char want[] = "6\nmain@alice\nslowed\na/recipients\n3600\n"
				   "addresses=203.0.113.9 domains=a.example\n";
	char more[600], script[80], told[90], got[300] = "";
	struct contain *contain;
	FILE *f;

	(void)state;
	open_house(LADDER);
	contain = limits_contain(gate_limits(house.gate));
	(void)snprintf(script, sizeof(script), "%s/hook", house.dir);
	(void)snprintf(told, sizeof(told), "%s/told", house.dir);
	(void)snprintf(more, sizeof(more),
	    "#!/bin/sh\n{ echo $(($# + 1)); printf '%%s\\n' \"$@\"; } >%s.tmp\n"
	    "mv %s.tmp %s\n",
	    told, told, told);
	f = fopen(script, "w");
	assert_non_null(f);
	assert_true(fputs(more, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(script, 0700), 0);
	offend();
	contain_tend(contain, script, 1);
	for (int i = 0; i < 2000 && access(told, R_OK) != 0; i++)
		(void)usleep(10000);
	f = fopen(told, "r");
	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	(void)fclose(f);
	assert_string_equal(got, want);
	(void)unlink(script);
	(void)unlink(told);
	house_close(&house);
}

/* Dead processes have no command line. */
static bool
is_gone(const char *cmdline)
{
	FILE *f = fopen(cmdline, "r");
	bool gone = f == NULL || fgetc(f) == EOF;

	if (f != NULL)
		(void)fclose(f);
	return gone;
}

/* A program that hangs is ended, and so is what it has started. */
static void
a_command_that_hangs_is_ended(void **state)
{
	static const char text[] = "#!/bin/sh\nsleep 600 &\necho $! >%s.tmp\n"
				   "mv %s.tmp %s\nwait\n";
	char dir[64], script[80], told[80], proc[40];
	struct hook hook = { 0 };
	const char *const argv[] = { script, NULL };
	int child = 0;
	FILE *f;

	(void)state;
	house_make_dir(dir);
	(void)snprintf(script, sizeof(script), "%s/hook", dir);
	(void)snprintf(told, sizeof(told), "%s/told", dir);
	f = fopen(script, "w");
	assert_non_null(f);
	assert_true(fprintf(f, text, told, told, told) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(script, 0700), 0);
	hook_run(&hook, NULL, argv, 1);
	for (int i = 0; i < 2000 && access(told, R_OK) != 0; i++)
		(void)usleep(10000);
	f = fopen(told, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &child), 1);
	(void)fclose(f);
	assert_int_equal(hook_tend(&hook, NULL, HOOK_LIFE_MS),
	    HOOK_RUNNING_MAX - 1);
	(void)snprintf(proc, sizeof(proc), "/proc/%d/cmdline", child);
	assert_int_equal(kill(child, 0), 0);
	for (int i = 0; i < 2000 &&
	     hook_tend(&hook, NULL, HOOK_LIFE_MS + 1) < HOOK_RUNNING_MAX;
	     i++)
		(void)usleep(10000);
	assert_int_equal(hook_tend(&hook, NULL, HOOK_LIFE_MS + 1),
	    HOOK_RUNNING_MAX);
	/* gone, or dead and waiting for init */
	for (int i = 0; i < 2000 && !is_gone(proc); i++)
		(void)usleep(10000);
	assert_true(is_gone(proc));
	house_remove_dir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stolen_account_is_stopped),
		cmocka_unit_test(a_thief_at_one_place_is_stopped),
		cmocka_unit_test(each_step_is_narrower_and_ends),
		cmocka_unit_test(
		    who_hammers_goes_on_and_who_tries_again_does_not),
		cmocka_unit_test(the_operator_releases),
		cmocka_unit_test(a_new_password_releases),
		cmocka_unit_test(many_passwords_do_not_release),
		cmocka_unit_test(a_new_token_does_not_release),
		cmocka_unit_test(a_release_forgets_the_networks_too),
		cmocka_unit_test(who_was_contained_stays_so_without_the_store),
		cmocka_unit_test(the_command_is_told),
		cmocka_unit_test(a_command_that_hangs_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
