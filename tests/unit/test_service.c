/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SASL service between an MTA (this thread, over a UNIX socket) and IMAP
 * (this thread again, in place of identity/): exchanges that are carried, ends
 * that come when nobody waits any more, and a stop in the middle of it all.
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
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gate/auth.h"
#include "service/service.h"
#include "tests/lib/site.h"

#define DEADLINE_MS 20000
#define RELAYS      32

static const char site[] =
    "socket_group = \"\"\n"
    "auth { realm = \"example.org\" mechanisms = {\"PLAIN\", \"LOGIN\", "
    "\"CRAM-MD5\", \"SCRAM-SHA-256\", \"SCRAM-SHA-1\", \"OAUTHBEARER\"} }\n"
    "imap \"main\" { url = \"imaps://imap.example.org\" "
    "verify = {\"session\"} }\n"
    "guessing { delay = \"0s\" }\n"
    "sasl \"mta\" { listen = \"unix:%s/sasl\" pass_through = "
    "{\"CRAM-MD5\", \"SCRAM-SHA-256\", \"SCRAM-SHA-1\", \"OAUTHBEARER\", "
    "\"XOAUTH2\"} }\n";

/* alice, as CRAM-MD5 and SCRAM have her */
#define CRAM_ALICE  "YWxpY2UgYjkxM2E2MDJjN2VkYTdhNDk1YjRlNmU3MzM0ZDM4OTA="
#define SCRAM_ALICE "biwsbj1hbGljZSxyPWFiYw=="
#define PLAIN_ALICE "AGFsaWNlAHB3"

/* --- in place of IMAP --- */

struct carried {
	identity_relay_event *event; /* NULL: it has ended */
	void *arg;
	char initial[128];
	char response[128];
	char login[LOGIN_MAX + 1];
	unsigned int responses;
	bool cancelled;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool declines;
	unsigned int begun;
	struct carried relays[RELAYS];
	unsigned int asked;
	identity_done *done;
	void *arg;
} imap = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER };

static void
enter(void)
{
	(void)pthread_mutex_lock(&imap.lock);
}

static void
leave(void)
{
	(void)pthread_cond_broadcast(&imap.changed);
	(void)pthread_mutex_unlock(&imap.lock);
}

static void
fake_verify(struct identity_engine *engine,
    const struct identity_password *question, identity_done *done, void *arg)
{
	(void)engine;
	(void)question;
	enter();
	imap.asked++;
	imap.done = done;
	imap.arg = arg;
	leave();
}

/* OAUTHBEARER is not, for now. */
static bool
fake_offers(struct identity_engine *engine, enum sasl_mechanism mechanism)
{
	(void)engine;
	return mechanism != SASL_OAUTHBEARER;
}

static struct identity_relay *
fake_begin(struct identity_engine *engine, enum sasl_mechanism mechanism,
    const struct login *login, const char *initial,
    const struct netaddr *client, identity_relay_event *event, void *arg)
{
	struct carried *relay = NULL;

	(void)engine;
	(void)mechanism;
	(void)login;
	(void)client;
	enter();
	if (!imap.declines && imap.begun < RELAYS) {
		relay = &imap.relays[imap.begun++];
		*relay = (struct carried){ .event = event, .arg = arg };
		(void)snprintf(relay->initial, sizeof(relay->initial), "%s",
		    initial != NULL ? initial : "");
	}
	leave();
	return (struct identity_relay *)relay;
}

static void
fake_respond(struct identity_relay *handle, const struct login *login,
    const char *response)
{
	struct carried *relay = (struct carried *)handle;

	enter();
	(void)snprintf(relay->response, sizeof(relay->response), "%s",
	    response);
	(void)snprintf(relay->login, sizeof(relay->login), "%s", login->text);
	relay->responses++;
	leave();
}

static void
fake_cancel(struct identity_relay *handle)
{
	struct carried *relay = (struct carried *)handle;

	enter();
	relay->cancelled = true;
	leave();
}

static const struct auth_engine engine = {
	.verify = fake_verify,
	.offers = fake_offers,
	.begin = fake_begin,
	.respond = fake_respond,
	.cancel = fake_cancel,
};

static void
wait_for(bool (*is_so)(unsigned int n), unsigned int n, const char *what)
{
	struct timespec end;
	bool so;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DEADLINE_MS / 1000;
	(void)pthread_mutex_lock(&imap.lock);
	while (!(so = is_so(n)) && rc == 0)
		rc = pthread_cond_timedwait(&imap.changed, &imap.lock, &end);
	(void)pthread_mutex_unlock(&imap.lock);
	if (!so)
		fail_msg("waited in vain: %s %u", what, n);
}

static bool
have_begun(unsigned int n)
{
	return imap.begun >= n;
}

static bool
have_asked(unsigned int n)
{
	return imap.asked >= n;
}

static bool
has_answered(unsigned int i)
{
	return imap.relays[i].responses > 0;
}

static bool
is_cancelled(unsigned int i)
{
	return imap.relays[i].cancelled;
}

static void
challenge(unsigned int i, const char *text)
{
	imap.relays[i].event(imap.relays[i].arg, text, NULL);
}

static void
end(unsigned int i, enum identity identity)
{
	const struct identity_verdict verdict = { .identity = identity };
	identity_relay_event *event = imap.relays[i].event;

	imap.relays[i].event = NULL;
	event(imap.relays[i].arg, NULL, &verdict);
}

/* --- the house --- */

static struct {
	char dir[64];
	struct log *log;
	struct gate *gate;
	struct service *service;
} house;

static int
open_house(void **state)
{
	char text[4096];
	struct conf *conf;
	struct err e = { "" };

	(void)state;
	imap.declines = false;
	imap.begun = imap.asked = 0;
	(void)snprintf(house.dir, sizeof(house.dir),
	    "/tmp/test_service.XXXXXX");
	assert_non_null(mkdtemp(house.dir));
	(void)snprintf(text, sizeof(text), site, house.dir);
	conf = site_conf(text);
	house.log = log_new(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	assert_non_null(house.log);
	log_set_level(house.log, LOG_LEVEL_ALARM);
	if (service_open(conf, &house.service, &e) != 0)
		fail_msg("%s", e.text);
	house.gate = gate_new(rules_new_offline(conf), house.log);
	assert_non_null(house.gate);
	auth_set_engine(house.gate, &engine);
	assert_int_equal(service_start(house.service, house.gate), 0);
	return 0;
}

static int
close_house(void **state)
{
	(void)state;
	service_stop(&house.service);
	assert_null(house.service);
	gate_free(&house.gate);
	log_free(&house.log);
	assert_int_equal(rmdir(house.dir), 0); /* the socket is gone */
	return 0;
}

/* --- the MTA --- */

struct mta {
	int fd;
	char buffer[4096];
	size_t len;
};

static void
say(const struct mta *m, const char *text)
{
	assert_int_equal(send(m->fd, text, strlen(text), MSG_NOSIGNAL),
	    (ssize_t)strlen(text));
}

/* The next line, or NULL: closed. */
static const char *
hear(struct mta *m)
{
	static char line[4096];
	char *feed;

	while ((feed = memchr(m->buffer, '\n', m->len)) == NULL) {
		struct pollfd p = { .fd = m->fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, DEADLINE_MS) != 1)
			fail_msg("nothing comes after \"%.*s\"", (int)m->len,
			    m->buffer);
		n = recv(m->fd, m->buffer + m->len, sizeof(m->buffer) - m->len,
		    0);
		if (n <= 0)
			return NULL;
		m->len += (size_t)n;
	}
	*feed = '\0';
	(void)snprintf(line, sizeof(line), "%s", m->buffer);
	m->len -= (size_t)(feed + 1 - m->buffer);
	memmove(m->buffer, feed + 1, m->len);
	return line;
}

static void
expect(struct mta *m, const char *want)
{
	const char *got = hear(m);

	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("got \"%s\", want \"%s\"", got ? got : "(closed)",
		    want);
}

static void
expect_closed(struct mta *m)
{
	const char *got = hear(m);

	if (got != NULL)
		fail_msg("got \"%s\", want it closed", got);
	(void)close(m->fd);
}

static void
arrive(struct mta *m)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	m->len = 0;
	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%.60s/sasl",
	    house.dir);
	assert_int_equal(
	    connect(m->fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	say(m, "VERSION\t1\t0\nCPID\t1\n");
	expect(m, "VERSION\t1\t2");
	expect(m, "MECH\tPLAIN\tplaintext");
	expect(m, "MECH\tLOGIN\tplaintext");
	expect(m, "MECH\tCRAM-MD5\tdictionary\tactive");
	expect(m, "MECH\tSCRAM-SHA-1\tmutual-auth");
	expect(m, "MECH\tSCRAM-SHA-256\tmutual-auth");
	for (int i = 0; i < 4; i++) /* SPID, CUID, COOKIE, DONE */
		assert_non_null(hear(m));
}

#define AUTH(id, what) "AUTH\t" id "\t" what "\n"
#define CRAM           "CRAM-MD5\tsecured\trip=203.0.113.9"
#define SCRAM          "SCRAM-SHA-256\tsecured\trip=203.0.113.9\tresp="
#define PLAIN          "PLAIN\tsecured\trip=203.0.113.9\tresp=" PLAIN_ALICE

static void
a_challenge_is_carried_and_answered(void **state)
{
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("7", CRAM));
	wait_for(have_begun, 1, "begun");
	assert_string_equal(imap.relays[0].initial, "");
	challenge(0, "PDE+");
	expect(&m, "CONT\t7\tPDE+");
	say(&m, "CONT\t7\t" CRAM_ALICE "\n");
	wait_for(has_answered, 0, "answered");
	assert_string_equal(imap.relays[0].response, CRAM_ALICE);
	assert_string_equal(imap.relays[0].login, "alice@example.org");
	end(0, IDENTITY_VERIFIED);
	expect(&m, "OK\t7\tuser=alice@example.org");
	assert_false(imap.relays[0].cancelled);

	say(&m, AUTH("8", SCRAM SCRAM_ALICE));
	wait_for(have_begun, 2, "begun");
	assert_string_equal(imap.relays[1].initial, SCRAM_ALICE);
	challenge(1, "cj1hYmM=");
	expect(&m, "CONT\t8\tcj1hYmM=");
	say(&m, "CONT\t8\tYz1iaXdz\n");
	wait_for(has_answered, 1, "answered");
	end(1, IDENTITY_REFUSED);
	expect(&m, "FAIL\t8");
	/* the client speaks first: it is asked to */
	say(&m, AUTH("9", "SCRAM-SHA-1\tsecured"));
	expect(&m, "CONT\t9\t");
	(void)close(m.fd);
}

static void
what_is_no_answer_is_refused(void **state)
{
	static const char *const answers[] = { "%%%", "", "=",
		"YWxpY2U=", "IGI5MTM=" };
	char line[128];
	struct mta m;

	(void)state;
	arrive(&m);
	for (unsigned int i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		say(&m, AUTH("1", CRAM));
		wait_for(have_begun, i + 1, "begun");
		challenge(i, "PDE+");
		expect(&m, "CONT\t1\tPDE+");
		(void)snprintf(line, sizeof(line), "CONT\t1\t%s\n", answers[i]);
		say(&m, line);
		wait_for(is_cancelled, i, "cancelled");
		end(i, IDENTITY_UNKNOWN);
		expect(&m, "FAIL\t1");
	}
	/* not its turn; malformed; another's name; never on offer */
	say(&m, AUTH("2", CRAM "\tresp=" CRAM_ALICE));
	expect(&m, "FAIL\t2");
	say(&m, AUTH("3", SCRAM "YWJj"));
	expect(&m, "FAIL\t3");
	say(&m, AUTH("4", SCRAM "bixhPWJvYixuPWFsaWNlLHI9YWJj"));
	expect(&m, "FAIL\t4");
	say(&m, AUTH("5", "XOAUTH2\tsecured\tresp=AAAA"));
	expect(&m, "FAIL\t5");
	say(&m, AUTH("6", "GSSAPI\tsecured\tresp=AAAA"));
	expect(&m, "FAIL\t6");
	assert_int_equal(imap.begun, 5);
	(void)close(m.fd);
}

/* An MTA that keeps its connection offers what was there when it came: its
 * client is not told that the password is wrong. */
static void
what_is_withdrawn_closes(void **state)
{
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("1", "OAUTHBEARER\tsecured\tresp=AAAA"));
	expect_closed(&m);
	arrive(&m);
	say(&m, AUTH("1", "OAUTHBEARER"));
	expect_closed(&m);
	assert_int_equal(imap.begun, 0);
}

static void
undecided_closes(void **state)
{
	struct mta m, other;

	(void)state;
	arrive(&m);
	arrive(&other);
	say(&m, AUTH("1", CRAM));
	wait_for(have_begun, 1, "begun");
	end(0, IDENTITY_UNKNOWN);
	expect_closed(&m);
	imap.declines = true;
	say(&other, AUTH("1", CRAM));
	expect_closed(&other);
	/* on one connection all share it */
	arrive(&m);
	say(&m, AUTH("1", PLAIN) AUTH("2", "LOGIN\tsecured"));
	expect(&m, "CONT\t2\tVXNlcm5hbWU6");
	wait_for(have_asked, 1, "asked");
	imap.done(imap.arg,
	    &(struct identity_verdict){ .identity = IDENTITY_UNKNOWN });
	expect_closed(&m);
}

/* The client is silent and the server's patience ends: who else logs in over
 * this connection is not to suffer. Only its own late answer closes it. */
static void
an_end_that_nobody_waits_for_closes_nothing(void **state)
{
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("1", CRAM));
	wait_for(have_begun, 1, "begun");
	challenge(0, "PDE+");
	expect(&m, "CONT\t1\tPDE+");
	end(0, IDENTITY_UNKNOWN);
	say(&m, AUTH("2", CRAM));
	wait_for(have_begun, 2, "begun");
	challenge(1, "PDE+");
	expect(&m, "CONT\t2\tPDE+");
	say(&m, "CONT\t2\t" CRAM_ALICE "\n");
	wait_for(has_answered, 1, "answered");
	end(1, IDENTITY_VERIFIED);
	expect(&m, "OK\t2\tuser=alice@example.org");
	say(&m, "CONT\t1\t" CRAM_ALICE "\n");
	expect_closed(&m);
	assert_int_equal(imap.relays[0].responses, 0);
}

static void
an_end_may_find_nobody(void **state)
{
	const struct identity_verdict good = { .identity = IDENTITY_VERIFIED };
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("1", CRAM) AUTH("2", PLAIN));
	wait_for(have_begun, 1, "begun");
	wait_for(have_asked, 1, "asked");
	(void)close(m.fd);
	wait_for(is_cancelled, 0, "cancelled");
	challenge(0, "PDE+"); /* it was on its way */
	end(0, IDENTITY_UNKNOWN);
	imap.done(imap.arg, &good);
	/* CANCEL, then an answer; the id may be used again */
	arrive(&m);
	say(&m, AUTH("1", CRAM) AUTH("2", PLAIN));
	wait_for(have_begun, 2, "begun");
	wait_for(have_asked, 2, "asked");
	say(&m, "CANCEL\t1\nCANCEL\t2\n");
	wait_for(is_cancelled, 1, "cancelled");
	end(1, IDENTITY_UNKNOWN);
	imap.done(imap.arg, &good);
	say(&m, AUTH("2", PLAIN));
	wait_for(have_asked, 3, "asked");
	imap.done(imap.arg, &good);
	expect(&m, "OK\t2\tuser=alice@example.org");
	/* the end overtakes the client's answer */
	say(&m, AUTH("3", CRAM));
	wait_for(have_begun, 3, "begun");
	challenge(2, "PDE+");
	expect(&m, "CONT\t3\tPDE+");
	end(2, IDENTITY_REFUSED);
	expect(&m, "FAIL\t3");
	say(&m, "CONT\t3\t" CRAM_ALICE "\n");
	expect(&m, "FAIL\t3");
	(void)close(m.fd);
}

static void *
end_all(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < imap.begun; i++) {
		challenge(i, "PDE+");
		end(i, IDENTITY_UNKNOWN);
	}
	return NULL;
}

/* Ends and the peers' going away meet at every moment. */
static void
ends_and_departures_race(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct mta m[8];
		pthread_t thread;

		imap.begun = 0;
		for (unsigned int i = 0; i < 8; i++) {
			arrive(&m[i]);
			say(&m[i], AUTH("1", CRAM) AUTH("2", CRAM));
		}
		wait_for(have_begun, 16, "begun");
		assert_int_equal(pthread_create(&thread, NULL, end_all, NULL),
		    0);
		for (unsigned int i = 0; i < 8; i++)
			(void)close(m[i].fd);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
}

static void
answers_may_come_after_the_stop(void **state)
{
	const struct identity_verdict good = { .identity = IDENTITY_VERIFIED };
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("1", CRAM) AUTH("2", CRAM) AUTH("3", PLAIN));
	wait_for(have_begun, 2, "begun");
	wait_for(have_asked, 1, "asked");
	service_stop(&house.service);
	expect_closed(&m);
	challenge(0, "PDE+");
	end(0, IDENTITY_VERIFIED);
	imap.done(imap.arg, &good);
	end(1, IDENTITY_UNKNOWN);
}

/* ... also those that had a timer, whose base is gone then. */
static void
timers_end_with_the_service(void **state)
{
	struct mta m;

	(void)state;
	arrive(&m);
	say(&m, AUTH("1", CRAM));
	wait_for(have_begun, 1, "begun");
	challenge(0, "PDE+");
	expect(&m, "CONT\t1\tPDE+");
	say(&m, "CONT\t1\t" CRAM_ALICE "\n");
	wait_for(has_answered, 0, "answered");
	service_stop(&house.service);
	expect_closed(&m);
	end(0, IDENTITY_VERIFIED);
}

int
main(void)
{
#define HOUSE_TEST(f) \
 cmocka_unit_test_setup_teardown(f, open_house, close_house)
	const struct CMUnitTest tests[] = {
		HOUSE_TEST(a_challenge_is_carried_and_answered),
		HOUSE_TEST(what_is_no_answer_is_refused),
		HOUSE_TEST(what_is_withdrawn_closes),
		HOUSE_TEST(undecided_closes),
		HOUSE_TEST(an_end_that_nobody_waits_for_closes_nothing),
		HOUSE_TEST(an_end_may_find_nobody),
		HOUSE_TEST(ends_and_departures_race),
		HOUSE_TEST(answers_may_come_after_the_stop),
		HOUSE_TEST(timers_end_with_the_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
