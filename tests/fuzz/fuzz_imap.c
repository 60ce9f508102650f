/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the words of an IMAP server to dialogue_feed(). Of the first octet, bit
 * 0 asks for the mailbox and bit 1 leaves the greeting out (STARTTLS); the
 * second octet seeds the sizes of the pieces ('0': octet by octet). An oracle
 * that only searches the text says which outcomes are possible at all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "identity/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
 ((condition) ? (void)0 : broken(#condition, __LINE__))

static void
broken(const char *condition, int line)
{
	(void)fprintf(stderr, "line %d: broken: %s\n", line, condition);
	abort();
}

/* Is there a line that begins with these words, any case? */
static bool
has_line(const char *text, size_t len, const char *words)
{
	size_t n = strlen(words);

	for (size_t i = 0; i + n < len; i++) {
		if ((i == 0 || text[i - 1] == '\n') &&
		    strncasecmp(text + i, words, n) == 0)
			return true;
	}
	return false;
}

/* What we say is one line, and nothing that the server chose. */
static void
take_pending(struct dialogue *d, unsigned int *commands)
{
	size_t len;
	const char *bytes = dialogue_pending(d, &len);

	if (bytes == NULL)
		return;
	REQUIRE(!dialogue_is_over(d));
	REQUIRE(len > 2 && memcmp(bytes + len - 2, "\r\n", 2) == 0);
	REQUIRE(memchr(bytes, '\r', len - 2) == NULL);
	REQUIRE(memchr(bytes, '\n', len - 2) == NULL);
	REQUIRE(++*commands <= 3);
	dialogue_sent(d, len);
	REQUIRE(dialogue_pending(d, &len) == NULL);
}

static void
check_outcome(const struct dialogue *d, const char *text, size_t len)
{
	REQUIRE(dialogue_is_over(d));
	REQUIRE(strlen(d->why) < sizeof(d->why));
	for (size_t i = 0; d->secret[i] != '\0'; i++)
		REQUIRE(d->secret[i] == '\0');
	switch (d->outcome) {
	case DIALOGUE_VERIFIED:
		REQUIRE(has_line(text, len, "p1 OK"));
		REQUIRE(!d->mailbox || has_line(text, len, "p2 OK"));
		break;
	case DIALOGUE_REFUSED:
	case DIALOGUE_DISABLED:
		REQUIRE(has_line(text, len, "p1 NO ") ||
		    (d->mailbox && has_line(text, len, "p1 OK") &&
			has_line(text, len, "p2 NO ")));
		break;
	case DIALOGUE_CREDENTIAL:
	case DIALOGUE_BUSY:
		REQUIRE(has_line(text, len, "p1 NO "));
		break;
	case DIALOGUE_UNDECIDED:
		return;
	}
	REQUIRE(d->answered);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dialogue d;
	struct dialogue_question question = {
		.account = "alice",
		.user = "postern",
		.password = "secret",
	};
	unsigned int commands = 0, seed;
	const char *text;
	size_t len;

	if (size < 2)
		return 0;
	question.mailbox = (data[0] & 1) != 0;
	question.greeted = (data[0] & 2) != 0;
	seed = data[1] - (unsigned int)'0';
	text = (const char *)data + 2;
	len = size - 2;
	REQUIRE(dialogue_start(&d, &question) == 0);
	take_pending(&d, &commands);
	for (size_t at = 0, n; at < len; at += n) {
		seed = seed == 0 ? 0 : seed * 1103515245U + 12345U;
		n = 1 + (seed >> 16) % 97;
		n = n < len - at ? n : len - at;
		dialogue_feed(&d, text + at, n);
		take_pending(&d, &commands);
	}
	dialogue_eof(&d);
	check_outcome(&d, text, len);
	return 0;
}
