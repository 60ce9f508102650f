/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words with an IMAP server: each row is what a server says at each step
 * and what that means. Every row is played in pieces of several sizes, so that
 * it cannot matter how a network cuts.
 */
#include "identity/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define IR    "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n"
#define NO_IR "* OK hello\r\n"
#define BOX   "* STATUS INBOX (MESSAGES 1)\r\np2 OK done\r\n"

/* base64 of "alice\0postern\0secret", made with base64(1). */
#define SECRET  "YWxpY2UAcG9zdGVybgBzZWNyZXQ="
#define AUTH_IR "p1 AUTHENTICATE PLAIN " SECRET "\r\n"
#define AUTH    "p1 AUTHENTICATE PLAIN\r\n"
#define STATUS  "p2 STATUS INBOX (MESSAGES)\r\n"

static const struct dialogue_question alice = {
	.account = "alice",
	.user = "postern",
	.password = "secret",
};

static const struct row {
	bool mailbox;
	bool greeted;
	const char *says[4]; /* each after our answer to the one before */
	enum dialogue_outcome outcome;
	bool answered;
	const char *heard; /* all that we said */
} rows[] = {
	/* clang-format off */
	{ false, false, { IR, "p1 OK\r\n" }, DIALOGUE_VERIFIED, true, AUTH_IR },
	{ false, false, { IR, "p1 oK [CAPABILITY X] in\r\n" }, DIALOGUE_VERIFIED, true, AUTH_IR },
	{ false, false, { NO_IR, "+ \r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH SECRET "\r\n" },
	{ false, false, { NO_IR, "+\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH SECRET "\r\n" },
	{ false, true, { "+ \r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH SECRET "\r\n" },
	{ false, false, { "* ok [capability SASL-IR AUTH=PLAIN]\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH_IR },
	{ false, false, { "* OK [CAPABILITY SASL-IRX AUTH=PLAIN]\r\n", "+\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH SECRET "\r\n" },
	{ false, false, { "* OK [CAPABILITY XAUTH=PLAIN AUTH=PLAINER] AUTH=PLAIN\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { IR, "* 1 EXISTS\r\n* OK p1 OK\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH_IR },
	{ true, false, { IR, "p1 OK x\r\n", BOX }, DIALOGUE_VERIFIED, true, AUTH_IR STATUS },
	{ true, false, { IR, "p1 OK x\r\n", "p2 NO [NONEXISTENT] x\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR STATUS },
	{ true, false, { IR, "p1 OK x\r\n", "p2 NO mailbox does not exist\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR STATUS },
	{ true, false, { IR, "p1 OK x\r\n", "p2 NO no such mailbox\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR STATUS },
	{ true, false, { IR, "p1 OK x\r\n", "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR STATUS },
	{ true, false, { IR, "p1 OK x\r\np2 OK x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ true, false, { IR, "p1 NO [AUTHORIZATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ true, false, { IR, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR STATUS },

	{ false, false, { IR, "p1 NO [AUTHORIZATIONFAILED] x\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ false, false, { IR, "p1 no [authorizationfailed]\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [AUTHORIZATIONFAILED arg] x\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [CONTACTADMIN] x\r\n" }, DIALOGUE_DISABLED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [AUTHENTICATIONFAILED] x\r\n" }, DIALOGUE_CREDENTIAL, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [EXPIRED] x\r\n" }, DIALOGUE_CREDENTIAL, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [LIMIT] x\r\n" }, DIALOGUE_BUSY, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [INUSE] x\r\n" }, DIALOGUE_BUSY, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [UNAVAILABLE] x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [NONEXISTENT] x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [AUTHORIZATIONFAILEDX] x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [AUTHORIZATIONFAILED x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO [] authorization failure\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO AUTHORIZATIONFAILED\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO authorization failure\r\n" }, DIALOGUE_DISABLED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO Login failed: authorization failure\r\n" }, DIALOGUE_DISABLED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO account disabled\r\n" }, DIALOGUE_DISABLED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO user not found\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO authentication failure\r\n" }, DIALOGUE_CREDENTIAL, true, AUTH_IR },
	{ false, false, { IR, "p1 NO passphrase locked\r\n" }, DIALOGUE_CREDENTIAL, true, AUTH_IR },
	{ false, false, { IR, "p1 NO generic failure\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO user not found today\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NO\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 BAD [AUTHORIZATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 OKAY\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 NOT [AUTHORIZATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "p1 PREAUTH x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },

	{ false, false, { IR, "P1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "p2 OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, " p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "p1\tOK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "* OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "+ \r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "p1 OK x\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "p1 OK x\r" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "p1 OK\r x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "* X {7}\r\np1 OK\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "* BYE x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH_IR },
	{ false, false, { IR, "* BYE x\r\np1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, AUTH_IR },
	{ false, false, { IR, "* BYE\r\np1 NO [AUTHORIZATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, AUTH_IR },
	{ false, false, { NO_IR, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH },
	{ false, false, { NO_IR, "p1 NO [AUTHORIZATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, false, AUTH },
	{ false, false, { NO_IR, "+ \r\n", "+ \r\n" }, DIALOGUE_UNDECIDED, false, AUTH SECRET "\r\n" },
	{ false, false, { NO_IR, "+x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH },
	{ false, false, { IR "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { NO_IR "+ \r\np1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, true, { "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, AUTH },
	{ false, true, { IR }, DIALOGUE_UNDECIDED, false, AUTH },

	{ false, false, { "* PREAUTH x\r\n", "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { "* BYE x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { "* OKAY x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { "*  OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { "+OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { "" }, DIALOGUE_UNDECIDED, false, "" },
	/* clang-format on */
};

/* Sends all that is pending, and keeps it. */
static void
listen_to(struct dialogue *d, char *heard, size_t size)
{
	size_t at = strlen(heard);
	size_t len;
	const char *bytes = dialogue_pending(d, &len);

	if (bytes == NULL)
		return;
	assert_true(at + len < size);
	memcpy(heard + at, bytes, len);
	heard[at + len] = '\0';
	dialogue_sent(d, len);
}

/* What is said in one row goes into the dialogue before anything is sent. */
static void
play(const struct row *row, size_t piece, struct dialogue *d, char *heard,
    size_t size)
{
	struct dialogue_question q = alice;

	q.mailbox = row->mailbox;
	q.greeted = row->greeted;
	heard[0] = '\0';
	assert_int_equal(dialogue_start(d, &q), 0);
	listen_to(d, heard, size);
	for (size_t i = 0; i < ARRAY_LEN(row->says); i++) {
		const char *text = row->says[i];

		while (text != NULL && *text != '\0') {
			size_t n = strlen(text);

			n = n < piece ? n : piece;
			dialogue_feed(d, text, n);
			text += n;
		}
		listen_to(d, heard, size);
	}
	dialogue_eof(d);
	assert_true(dialogue_is_over(d));
}

static void
only_a_tagged_answer_decides(void **state)
{
	static const size_t pieces[] = { 1, 2, 7, 100000 };
	static struct dialogue d;
	char heard[1000];
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
			const struct row *row = &rows[i];

			play(row, pieces[j], &d, heard, sizeof(heard));
			if (d.outcome == row->outcome &&
			    d.answered == row->answered &&
			    strcmp(heard, row->heard) == 0)
				continue;
			wrong++;
			print_error("row %zu \"%s\" \"%s\" by %zu: got %d %d "
				    "\"%s\" (%s), want %d %d \"%s\"\n",
			    i, row->says[0],
			    row->says[1] == NULL ? "" : row->says[1], pieces[j],
			    (int)d.outcome, d.answered, heard, d.why,
			    (int)row->outcome, row->answered, row->heard);
		}
	}
	assert_int_equal(wrong, 0);
}

static void
a_nul_ends_everything(void **state)
{
	static struct dialogue d;
	char heard[1000] = "";

	(void)state;
	assert_int_equal(dialogue_start(&d, &alice), 0);
	dialogue_feed(&d, IR, strlen(IR));
	listen_to(&d, heard, sizeof(heard));
	dialogue_feed(&d, "p1 OK\0\r\n", 8);
	assert_true(dialogue_is_over(&d));
	assert_int_equal(d.outcome, DIALOGUE_UNDECIDED);
}

/* Feeds text until it is over; how many octets that took. */
static size_t
feed_forever(const char *text)
{
	static struct dialogue d;
	size_t n = 0;
	char heard[1000] = "";

	assert_int_equal(dialogue_start(&d, &alice), 0);
	dialogue_feed(&d, IR, strlen(IR));
	listen_to(&d, heard, sizeof(heard));
	while (!dialogue_is_over(&d)) {
		assert_true(n < 10 * DIALOGUE_TOTAL_MAX);
		dialogue_feed(&d, text, strlen(text));
		n += strlen(text);
	}
	assert_int_equal(d.outcome, DIALOGUE_UNDECIDED);
	return n;
}

static void
a_server_without_end_is_cut_off(void **state)
{
	char line[1002];

	(void)state;
	assert_int_equal(feed_forever("x"), DIALOGUE_LINE_MAX);
	assert_int_equal(feed_forever("* \r\n"),
	    4 * (DIALOGUE_UNTAGGED_MAX + 1));
	memset(line, 'x', sizeof(line));
	memcpy(line, "* ", 2);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	assert_in_range(feed_forever(line), DIALOGUE_TOTAL_MAX - 1100,
	    DIALOGUE_TOTAL_MAX + 1100);
}

static void
what_must_not_reach_the_wire_does_not(void **state)
{
	static struct dialogue d;
	char longest[DIALOGUE_USER_MAX + 2];
	const char *bad[] = { "", "a\rb", "a\nb", "a\tb", "\x7f", longest };
	size_t len;

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct dialogue_question q = alice;

		q.account = bad[i];
		assert_int_equal(dialogue_start(&d, &q), -1);
		assert_true(dialogue_is_over(&d));
		assert_null(dialogue_pending(&d, &len));
	}
	longest[DIALOGUE_USER_MAX] = '\0';
	for (int i = 0; i < 3; i++) {
		struct dialogue_question q = alice;

		q.account = i == 0 ? longest : "a\xc3\xa4";
		assert_int_equal(dialogue_start(&d, &q), 0);
	}
}

static void
secrets_are_forgotten(void **state)
{
	static struct dialogue d;
	char heard[1000];
	const struct row *row = &rows[2];

	(void)state;
	play(row, 1000, &d, heard, sizeof(heard));
	assert_non_null(strstr(heard, SECRET));
	for (size_t i = 0; i + 8 < sizeof(d); i++)
		assert_int_not_equal(memcmp((const char *)&d + i, SECRET, 8),
		    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_tagged_answer_decides),
		cmocka_unit_test(a_nul_ends_everything),
		cmocka_unit_test(a_server_without_end_is_cut_off),
		cmocka_unit_test(what_must_not_reach_the_wire_does_not),
		cmocka_unit_test(secrets_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
