/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log line: nothing that a stranger typed may end a value or a line, and
 * both formats say the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "gate/record.h"
#include "gate/repeat.h"
#include "gate/reply.h"

static const struct record plain = {
	.id = "K7QW3F",
	.client = "203.0.113.9",
	.zone = "external",
	.listener = "submission",
	.tls = "TLSv1.3",
	.mechanism = "PLAIN",
	.login = "alice@example.org",
	.identity = "verified",
	.from = "<alice@example.org>",
	.stage = "mail",
	.verdict = "reject",
	.reason = "sender-not-owned",
	.reply = "550 5.7.1",
	.ms = 0.21,
};

static void
a_plain_line_is_the_documented_one(void **state)
{
	char line[RECORD_MAX];

	(void)state;
	record_format(LOG_FORMAT_TEXT, &plain, line);
	assert_string_equal(line,
	    "id=K7QW3F queue=- client=203.0.113.9 zone=external "
	    "listener=submission tls=TLSv1.3 mech=PLAIN "
	    "login=alice@example.org identity=verified "
	    "from=<alice@example.org> rcpt=- stage=mail verdict=reject "
	    "reason=sender-not-owned reply=\"550 5.7.1\" ms=0.21");
}

static void
hostile_values_stay_values(void **state)
{
	static const struct {
		const char *from;
		const char *want;
	} rows[] = {
		{ "<a\nid=X@b>", "from=\"<a\\x0Aid=X@b>\"" },
		{ "<a\r@b>", "from=\"<a\\x0D@b>\"" },
		{ "<\"a b\"@c>", "from=\"<\\\"a b\\\"@c>\"" },
		{ "<a verdict=permit>", "from=\"<a verdict=permit>\"" },
		{ "<\"a\\@b\"@c>", "from=\"<\\\"a\\\\@b\\\"@c>\"" },
		{ "<j\xc3\xb6@b>", "from=\"<j\\xC3\\xB6@b>\"" },
		{ "<\x7f@b>", "from=\"<\\x7F@b>\"" },
		{ "<v=e%rp@b>", "from=<v=e%rp@b>" },
		{ "", "from=-" },
	};
	char line[RECORD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct record r = plain;

		r.from = rows[i].from;
		record_format(LOG_FORMAT_TEXT, &r, line);
		if (strstr(line, rows[i].want) == NULL)
			fail_msg("row %zu: got %s, want %s", i, line,
			    rows[i].want);
		assert_null(strpbrk(line, "\r\n"));
	}
}

static void
long_values_are_cut_and_marked(void **state)
{
	char line[RECORD_MAX], long_from[5000];
	struct record r = plain;

	(void)state;
	memset(long_from, '\x01', sizeof(long_from) - 1);
	long_from[sizeof(long_from) - 1] = '\0';
	r.from = r.rcpt = r.login = r.listener = long_from;
	record_format(LOG_FORMAT_TEXT, &r, line);
	assert_non_null(strstr(line, "..."));
	assert_non_null(strstr(line, " ms=0.21"));
	record_format(LOG_FORMAT_JSON, &r, line);
	assert_int_equal(line[strlen(line) - 1], '}');
}

static void
json_has_the_same_keys(void **state)
{
	struct record r = plain;
	char line[RECORD_MAX];
	json_error_t error;
	json_t *object;

	(void)state;
	r.from = "<a\"\n\xff@b>"; /* not UTF-8 */
	r.recipients = 3;
	r.sender_foreign = true;
	r.observed = true;
	r.repeated = 7;
	record_format(LOG_FORMAT_JSON, &r, line);
	object = json_loads(line, 0, &error);
	if (object == NULL)
		fail_msg("%s: %s", error.text, line);
	assert_string_equal(json_string_value(json_object_get(object, "id")),
	    "K7QW3F");
	assert_string_equal(json_string_value(json_object_get(object, "queue")),
	    "-");
	assert_string_equal(json_string_value(json_object_get(object, "mech")),
	    "PLAIN");
	assert_string_equal(json_string_value(json_object_get(object, "from")),
	    "<a\\\"\\x0A\\xFF@b>");
	assert_int_equal(
	    json_integer_value(json_object_get(object, "recipients")), 3);
	assert_int_equal(
	    json_integer_value(json_object_get(object, "repeated")), 7);
	assert_string_equal(json_string_value(json_object_get(object, "mode")),
	    "observe");
	assert_string_equal(
	    json_string_value(json_object_get(object, "warning")),
	    "sender-not-owned");
	json_decref(object);
}

/* A login attempt; the two warnings never meet. */
static void
a_graced_password_is_warned_of(void **state)
{
	struct record r = plain;
	char line[RECORD_MAX];

	(void)state;
	record_format(LOG_FORMAT_TEXT, &r, line);
	assert_null(strstr(line, "warning="));
	r.graced = true;
	record_format(LOG_FORMAT_TEXT, &r, line);
	assert_non_null(strstr(line, " warning=graced-password"));
	record_format(LOG_FORMAT_JSON, &r, line);
	assert_non_null(strstr(line, "\"warning\":\"graced-password\""));
}

static void
replies_are_ascii_and_of_one_class(void **state)
{
	(void)state;
	for (int i = 0; i < (int)REASON_COUNT; i++) {
		const struct reason_row *row = reason_row((enum reason)i);
		struct reply reply;

		reply_format((enum reason)i, "K7QW3F", &reply);
		assert_int_equal(reply.code[0], reply.xcode[0]);
		assert_non_null(strstr(reply.text, " (id K7QW3F)"));
		for (const char *p = reply.text; *p != '\0'; p++)
			assert_true(*p >= 0x20 && *p < 0x7f);
		assert_int_equal(reply.code[0] == '4',
		    row->verdict == VERDICT_TEMPFAIL);
		assert_int_equal(reply.code[0] == '5',
		    row->verdict == VERDICT_REJECT);
	}
}

struct flushed {
	unsigned int calls;
	unsigned int left_out;
};

static void
count_flush(void *arg, const struct netaddr *peer, enum reason reason,
    unsigned int left_out)
{
	struct flushed *f = arg;

	(void)peer;
	assert_int_equal(reason, REASON_RELAY_DENIED);
	f->calls++;
	f->left_out += left_out;
}

static void
repeats_are_counted_and_none_is_lost(void **state)
{
	struct repeats *repeats = repeats_new();
	struct netaddr peer;
	struct flushed flushed = { 0 };
	unsigned int left_out, logged = 0;

	(void)state;
	(void)netaddr_parse("203.0.113.9", &peer);
	for (int i = 0; i < 250; i++) {
		if (repeats_allow(repeats, &peer, REASON_RELAY_DENIED, 1000,
			&left_out))
			logged++;
	}
	assert_int_equal(logged, REPEAT_BURST);
	/* another reason and another client are another matter */
	assert_true(repeats_allow(repeats, &peer, REASON_TLS_TOO_WEAK, 1000,
	    &left_out));
	(void)netaddr_parse("203.0.113.10", &peer);
	assert_true(repeats_allow(repeats, &peer, REASON_RELAY_DENIED, 1000,
	    &left_out));
	repeats_flush(repeats, 2000, false, count_flush, &flushed);
	assert_int_equal(flushed.calls, 0);
	repeats_flush(repeats, 1000 + REPEAT_WINDOW_MS, false, count_flush,
	    &flushed);
	assert_int_equal(flushed.left_out, 250 - REPEAT_BURST);
	/* the count of a window that nobody flushed comes with the next line */
	(void)netaddr_parse("203.0.113.9", &peer);
	for (int i = 0; i < 101; i++)
		(void)repeats_allow(repeats, &peer, REASON_RELAY_DENIED, 50000,
		    &left_out);
	assert_true(repeats_allow(repeats, &peer, REASON_RELAY_DENIED,
	    50000 + REPEAT_WINDOW_MS, &left_out));
	assert_int_equal(left_out, 1);
	repeats_free(&repeats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_line_is_the_documented_one),
		cmocka_unit_test(hostile_values_stay_values),
		cmocka_unit_test(long_values_are_cut_and_marked),
		cmocka_unit_test(json_has_the_same_keys),
		cmocka_unit_test(a_graced_password_is_warned_of),
		cmocka_unit_test(replies_are_ascii_and_of_one_class),
		cmocka_unit_test(repeats_are_counted_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
