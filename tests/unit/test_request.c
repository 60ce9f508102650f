/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy requests: what is one, and which path an address in it stands for; and
 * the threads that judge them.
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
#include <pthread.h>
#include <time.h>

#include "policy/path.h"
#include "service/pool.h"
#include "service/request.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ASK          "request=smtpd_access_policy\n"
#define MAIL         ASK "protocol_state=MAIL\nsender=a@x\n"
#define RCPT         ASK "protocol_state=RCPT\nsender=a@x\n"

static const struct {
	const char *text;
	size_t len;        /* 0: all of it */
	const char *wrong; /* NULL: nothing */
	enum request_stage stage;
} requests[] = {
	{ MAIL "\n", 0, NULL, REQUEST_AT_MAIL },
	{ ASK "protocol_state=MAIL\nsender=\n\n", 0, NULL, REQUEST_AT_MAIL },
	{ RCPT "recipient=b@y\n\n", 0, NULL, REQUEST_AT_RCPT },
	{ MAIL "recipient=\n\n", 0, NULL, REQUEST_AT_MAIL },
	{ ASK "sender=\nprotocol_state=DATA\n\n", 0, NULL, REQUEST_AT_MAIL },
	{ ASK "sender=\nprotocol_state=BDAT\n\n", 0, NULL, REQUEST_AT_MAIL },
	{ ASK "sender=\nprotocol_state=END-OF-MESSAGE\n\n", 0, NULL,
	    REQUEST_AT_MAIL },
	{ ASK "protocol_state=CONNECT\n\n", 0, NULL, REQUEST_AT_GREETING },
	{ ASK "protocol_state=ETRN\n\n", 0, NULL, REQUEST_AT_GREETING },
	{ MAIL "x=1\nx=2\n=\n\n", 0, "a line without NAME=", 0 },
	{ MAIL "x=1\nx=2\n\n", 0, NULL, REQUEST_AT_MAIL },
	{ MAIL "x\n\n", 0, "a line without NAME=", 0 },
	{ MAIL "sender=a@x\n\n", 0, "an attribute twice", 0 },
	{ MAIL "queue_id=\nqueue_id=\n\n", 0, "an attribute twice", 0 },
	{ "\n", 0, "it is not smtpd_access_policy", 0 },
	{ "protocol_state=MAIL\nsender=\n\n", 0,
	    "it is not smtpd_access_policy", 0 },
	{ "request=junk\nprotocol_state=MAIL\nsender=\n\n", 0,
	    "it is not smtpd_access_policy", 0 },
	{ ASK "sender=\n\n", 0, "an unknown protocol_state", 0 },
	{ ASK "protocol_state=mail\nsender=\n\n", 0,
	    "an unknown protocol_state", 0 },
	{ ASK "protocol_state=MAIL\n\n", 0, "no sender", 0 },
	{ RCPT "\n", 0, "RCPT without a recipient", 0 },
	{ RCPT "recipient=\n\n", 0, "RCPT without a recipient", 0 },
	{ MAIL "helo_name=a\rb\n\n", 0, "a NUL or a CR", 0 },
	{ MAIL "helo_name=a\0b\n\n", sizeof(MAIL "helo_name=a\0b\n\n") - 1,
	    "a NUL or a CR", 0 },
};

static void
a_request_is_whole_or_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		size_t len = requests[i].len != 0 ? requests[i].len
						  : strlen(requests[i].text);
		char text[512];
		struct request r;
		const char *wrong;

		memcpy(text, requests[i].text, len);
		assert_int_equal(request_length(text, len), len);
		for (size_t part = 1; part < len; part++)
			assert_int_equal(request_length(text, part), 0);
		wrong = request_parse(text, len, &r);
		if ((wrong == NULL) != (requests[i].wrong == NULL) ||
		    (wrong != NULL && strcmp(wrong, requests[i].wrong) != 0) ||
		    (wrong == NULL && r.stage != requests[i].stage))
			fail_msg("row %zu: got %s, stage %d", i,
			    wrong != NULL ? wrong : "no complaint",
			    (int)r.stage);
	}
}

static void
an_empty_value_is_none_but_for_the_sender(void **state)
{
	char text[] = MAIL "queue_id=\nsasl_method=PLAIN\n\n";
	char null[] = ASK "protocol_state=MAIL\nsender=\n\n";
	struct request r;

	(void)state;
	assert_null(request_parse(text, sizeof(text) - 1, &r));
	assert_null(r.values[REQUEST_QUEUE_ID]);
	assert_null(r.values[REQUEST_RECIPIENT]);
	assert_string_equal(r.values[REQUEST_SASL_METHOD], "PLAIN");
	assert_string_equal(r.values[REQUEST_SENDER], "a@x");
	assert_null(request_parse(null, sizeof(null) - 1, &r));
	assert_string_equal(r.values[REQUEST_SENDER], "");
}

static const struct {
	const char *address, *path;
	enum path_form form;
} addresses[] = {
	{ "", "<>", PATH_NULL },
	{ "a@x.example", "<a@x.example>", PATH_MAILBOX },
	{ "a.b=c@x.example", "<a.b=c@x.example>", PATH_MAILBOX },
	{ "a b@x.example", "<\"a b\"@x.example>", PATH_MAILBOX },
	{ "a..b@x.example", "<\"a..b\"@x.example>", PATH_MAILBOX },
	{ ".@x.example", "<\".\"@x.example>", PATH_MAILBOX },
	{ "a\"\\@x.example", "<\"a\\\"\\\\\"@x.example>", PATH_MAILBOX },
	{ "a@b@x.example", "<\"a@b\"@x.example>", PATH_MAILBOX },
	{ "@y:a@x.example", "<\"@y:a\"@x.example>", PATH_MAILBOX },
	{ "\"a\"@x.example", "<\"\\\"a\\\"\"@x.example>", PATH_MAILBOX },
	{ "a@[192.0.2.1]", "<a@[192.0.2.1]>", PATH_MAILBOX },
	{ "\xc3\xa9@x.example", "<\xc3\xa9@x.example>", PATH_MAILBOX },
	{ "a\x01@x.example", "<\"a\x01\"@x.example>", PATH_MALFORMED },
	{ "\xff@x.example", "<\xff@x.example>", PATH_MALFORMED },
	{ "@x.example", "<@x.example>", PATH_MALFORMED },
	{ "a@", "<a@>", PATH_MALFORMED },
	{ "a", "<a>", PATH_MALFORMED },
	{ "<>", "<<>>", PATH_MALFORMED },
	{ "a@x.example>", "<a@x.example>>", PATH_MALFORMED },
	{ "a@x.example.", "<a@x.example.>", PATH_MALFORMED },
};

static void
an_address_is_the_path_that_it_stands_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		static char got[REQUEST_PATH_MAX];
		size_t len = request_path(addresses[i].address, got);
		struct path path;

		path_parse(PATH_OF_MAIL, got, len, true, &path);
		if (strcmp(got, addresses[i].path) != 0 || len != strlen(got) ||
		    path.form != addresses[i].form)
			fail_msg("row %zu: got %s, form %d; want %s, form %d",
			    i, got, (int)path.form, addresses[i].path,
			    (int)addresses[i].form);
	}
}

/* --- the pool --- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int working, done;
	bool open; /* jobs may end */
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER };

static void
work(struct job *job)
{
	(void)job;
	(void)pthread_mutex_lock(&gate.lock);
	gate.working++;
	(void)pthread_cond_broadcast(&gate.changed);
	while (!gate.open)
		(void)pthread_cond_wait(&gate.changed, &gate.lock);
	gate.working--;
	gate.done++;
	(void)pthread_cond_broadcast(&gate.changed);
	(void)pthread_mutex_unlock(&gate.lock);
}

static void
wait_until(const unsigned int *count, unsigned int want)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	(void)pthread_mutex_lock(&gate.lock);
	while (*count != want &&
	    pthread_cond_timedwait(&gate.changed, &gate.lock, &end) == 0)
		continue;
	if (*count != want)
		fail_msg("got %u, want %u", *count, want);
	(void)pthread_mutex_unlock(&gate.lock);
}

static void
set_open(bool open)
{
	(void)pthread_mutex_lock(&gate.lock);
	gate.open = open;
	gate.done = 0;
	(void)pthread_cond_broadcast(&gate.changed);
	(void)pthread_mutex_unlock(&gate.lock);
}

static void
a_full_pool_takes_no_more_and_does_what_it_took(void **state)
{
	static struct job jobs[4 + POOL_QUEUE_MAX], more = { .work = work };
	struct pool *pool = pool_new();

	(void)state;
	assert_non_null(pool);
	set_open(false);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i].work = work;
		assert_int_equal(pool_submit(pool, 4, &jobs[i]), 0);
		if (i < 4) /* each has a thread of its own */
			wait_until(&gate.working, (unsigned int)i + 1);
	}
	assert_int_equal(pool_submit(pool, 4, &more), -1);
	assert_int_equal(gate.working, 4);
	set_open(true);
	pool_close(&pool, 20000);
	assert_null(pool);
	assert_int_equal(gate.done, ARRAY_LEN(jobs));
}

static void
a_pool_is_left_behind_with_what_does_not_end(void **state)
{
	static struct job jobs[2] = { { .work = work }, { .work = work } };
	struct pool *pool = pool_new();

	(void)state;
	assert_non_null(pool);
	set_open(false);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(pool_submit(pool, 1, &jobs[i]), 0);
	wait_until(&gate.working, 1);
	pool_close(&pool, 1);
	assert_null(pool);
	set_open(true);
	wait_until(&gate.done, 2);
	pool_close(&pool, 1); /* NULL is allowed */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_whole_or_wrong),
		cmocka_unit_test(an_empty_value_is_none_but_for_the_sender),
		cmocka_unit_test(an_address_is_the_path_that_it_stands_for),
		cmocka_unit_test(
		    a_full_pool_takes_no_more_and_does_what_it_took),
		cmocka_unit_test(a_pool_is_left_behind_with_what_does_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
