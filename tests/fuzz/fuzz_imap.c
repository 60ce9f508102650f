/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the words of an IMAP server to dialogue_feed(). Of the first octet, bit
 * 0 asks for the mailbox, bit 1 leaves the greeting out (STARTTLS), bit 2 asks
 * about alice's own password, bit 3 tells her address, bit 6 only asks what is
 * offered and bit 7 carries her exchange, by the mechanism that bits 4 and 5
 * choose; the second octet seeds the sizes of the pieces ('0': octet by
 * octet). An oracle that only searches the text says which outcomes are
 * possible at all.
 */
#include <strings.h>

#include "identity/dialogue.h"
#include "tests/fuzz/fuzz.h"

#define ID "p0 ID (\"x-originating-ip\" \"192.0.2.1\")\r\n"

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

/* What we say is one line, with ID's before it or not, and nothing that the
 * server chose. */
static void
take_pending(struct dialogue *d, unsigned int *commands)
{
	size_t len;
	const char *bytes = dialogue_pending(d, &len);

	if (bytes == NULL)
		return;
	REQUIRE(!dialogue_is_over(d));
	if (*commands == 0 && strncmp(bytes, ID, strlen(ID)) == 0) {
		dialogue_sent(d, strlen(ID));
		bytes = dialogue_pending(d, &len);
		REQUIRE(bytes != NULL);
	}
	REQUIRE(len > (d->aim == DIALOGUE_RELAY ? 1 : 2));
	REQUIRE(memcmp(bytes + len - 2, "\r\n", 2) == 0);
	REQUIRE(memchr(bytes, '\r', len - 2) == NULL);
	REQUIRE(memchr(bytes, '\n', len - 2) == NULL);
	REQUIRE(++*commands <= (d->aim == DIALOGUE_RELAY ? 5 : 3));
	dialogue_sent(d, len);
	REQUIRE(dialogue_pending(d, &len) == NULL);
}

/* No yes to a client that had nothing to prove. */
static void
check_exchange(const struct dialogue *d, const char *text, size_t len)
{
	if (d->mechanism == SASL_OAUTHBEARER || d->mechanism == SASL_XOAUTH2)
		return;
	REQUIRE(has_line(text, len, "+ "));
	if (d->mechanism == SASL_SCRAM_SHA_256) {
		REQUIRE(has_line(text, len, "+ cj")); /* r= */
		REQUIRE(has_line(text, len, "+ dj")); /* v= */
	}
}

static void
check_outcome(const struct dialogue *d, const char *text, size_t len)
{
	REQUIRE(dialogue_is_over(d));
	REQUIRE(strlen(d->why) < sizeof(d->why));
	REQUIRE(d->secret[0] == '\0');
	REQUIRE(d->listed || d->offers == 0);
	if (d->aim == DIALOGUE_OFFERS)
		REQUIRE(d->outcome == DIALOGUE_UNDECIDED &&
		    d->answered == d->listed);
	switch (d->outcome) {
	case DIALOGUE_VERIFIED:
		REQUIRE(has_line(text, len, "p1 OK"));
		REQUIRE(!d->mailbox || has_line(text, len, "p2 OK"));
		if (d->aim == DIALOGUE_RELAY)
			check_exchange(d, text, len);
		break;
	case DIALOGUE_REFUSED:
	case DIALOGUE_DISABLED:
		REQUIRE(has_line(text, len, "p1 NO ") ||
		    (d->mailbox && has_line(text, len, "p1 OK") &&
			has_line(text, len, "p2 NO ")));
		break;
	case DIALOGUE_CREDENTIAL:
		REQUIRE(d->aim == DIALOGUE_ACCOUNT);
		REQUIRE(has_line(text, len, "p1 NO "));
		break;
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
	static const enum sasl_mechanism mechanisms[] = { SASL_CRAM_MD5,
		SASL_SCRAM_SHA_256, SASL_OAUTHBEARER, SASL_XOAUTH2 };
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
	if ((data[0] & 4) != 0)
		question.aim = DIALOGUE_PASSWORD;
	if ((data[0] & 8) != 0)
		(void)netaddr_parse("192.0.2.1", &question.client);
	if ((data[0] & 64) != 0)
		question.aim = DIALOGUE_OFFERS;
	if ((data[0] & 128) != 0) {
		question.aim = DIALOGUE_RELAY;
		question.mechanism = mechanisms[data[0] >> 4 & 3];
		if (question.mechanism != SASL_CRAM_MD5)
			question.message = "biwsbj1hbGljZSxyPWFiYw==";
	}
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
		if (d.state == DIALOGUE_CLIENT) {
			REQUIRE(*d.challenge != '\0');
			dialogue_respond(&d, d.challenges == 1 ? "Yz1i" : "");
			take_pending(&d, &commands);
		}
	}
	dialogue_eof(&d);
	check_outcome(&d, text, len);
	return 0;
}
