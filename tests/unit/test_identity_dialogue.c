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

/* base64 of "\0alice\0secret" */
#define OWN    "AGFsaWNlAHNlY3JldA=="
#define OWN_IR "p1 AUTHENTICATE PLAIN " OWN "\r\n"
#define ID     "p0 ID (\"x-originating-ip\" \"192.0.2.1\")\r\n"

static const struct dialogue_question alice = {
	.account = "alice",
	.user = "postern",
	.password = "secret",
};

struct row {
	bool more; /* is asked for: the mailbox; or is told: her address */
	bool greeted;
	const char *says[4]; /* each after our answer to the one before */
	enum dialogue_outcome outcome;
	bool answered;
	const char *heard; /* all that we said */
};

static const struct row rows[] = {
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

/* The same with alice's own password. */
static const struct row own_rows[] = {
	/* clang-format off */
	{ false, false, { IR, "p1 OK\r\n" }, DIALOGUE_VERIFIED, true, OWN_IR },
	{ false, false, { NO_IR, "+ \r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH OWN "\r\n" },
	{ false, true, { "+\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, AUTH OWN "\r\n" },
	{ true, false, { IR, "p0 OK x\r\np1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID OWN_IR },
	{ true, false, { IR, "* ID NIL\r\np0 NO x\r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID OWN_IR },
	{ true, false, { IR, "p0 BAD x\r\np1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, ID OWN_IR },
	{ true, false, { IR, "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID OWN_IR },
	{ true, false, { NO_IR, "p0 BAD x\r\n+ \r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID AUTH OWN "\r\n" },
	{ true, false, { NO_IR, "+ \r\n", "p0 BAD x\r\np1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID AUTH OWN "\r\n" },
	{ true, true, { "* ID NIL\r\np0 OK\r\n+ \r\n", "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, ID AUTH OWN "\r\n" },
	{ true, false, { IR, "p0 OK x\r\np0 OK x\r\np1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, ID OWN_IR },
	{ true, false, { IR, "p0 OK x\r\n" }, DIALOGUE_UNDECIDED, false, ID OWN_IR },
	{ true, false, { IR "p0 OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	{ false, false, { IR, "p0 OK x\r\np1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, OWN_IR },

	{ false, false, { IR, "p1 NO [AUTHENTICATIONFAILED] x\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO [EXPIRED] x\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO [AUTHORIZATIONFAILED] x\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO [CONTACTADMIN] x\r\n" }, DIALOGUE_DISABLED, true, OWN_IR },
	{ false, false, { IR, "p1 NO [LIMIT] x\r\n" }, DIALOGUE_BUSY, true, OWN_IR },
	{ false, false, { IR, "p1 NO [INUSE] x\r\n" }, DIALOGUE_BUSY, true, OWN_IR },
	{ false, false, { IR, "p1 NO [UNAVAILABLE] x\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { IR, "p1 NO [NONEXISTENT] x\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { IR, "p1 NO authentication failure\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO Login failed: authentication failure\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO authorization failure\r\n" }, DIALOGUE_DISABLED, true, OWN_IR },
	{ false, false, { IR, "p1 NO passphrase locked\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO passphrase expired, has to be reset\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO user exists, but no verifier for user\r\n" }, DIALOGUE_REFUSED, true, OWN_IR },
	{ false, false, { IR, "p1 NO generic failure\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { IR, "p1 NO authentication failure.\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { IR, "p1 BAD authentication failure\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { IR, "* NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, false, OWN_IR },
	{ false, false, { IR, "* BYE x\r\np1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, OWN_IR },
	{ false, false, { NO_IR, "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, false, AUTH },
	{ false, false, { "* PREAUTH x\r\n", "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, "" },
	/* clang-format on */
};

#define CRAM SASL_BIT(SASL_CRAM_MD5)
#define S1   SASL_BIT(SASL_SCRAM_SHA_1)
#define ASKS "p3 CAPABILITY\r\n"

/* Which mechanisms are offered? */
static const struct offer_row {
	bool greeted;
	const char *says[2];
	bool listed;
	unsigned int offers;
	const char *heard;
} offer_rows[] = {
	/* clang-format off */
	{ false, { "* OK [CAPABILITY AUTH=CRAM-MD5 auth=scram-sha-1] x\r\n" }, true, CRAM | S1, "" },
	{ false, { "* OK [CAPABILITY AUTH=PLAIN AUTH=LOGIN] AUTH=CRAM-MD5\r\n" }, true, 0, "" },
	{ false, { "* OK [CAPABILITY AUTH=SCRAM-SHA-1-PLUS XAUTH=CRAM-MD5 AUTH=CRAM-MD5X CRAM-MD5] x\r\n" }, true, 0, "" },
	{ false, { "* OK [CAPABILITY AUTH=CRAM-MD5xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] x\r\n" }, true, 0, "" },
	{ false, { NO_IR, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5\r\n" }, true, CRAM, ASKS },
	{ true, { "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5\r\n" }, true, CRAM, ASKS },
	{ true, { "* OK x\r\n* CAPABILITY\r\n" }, true, 0, ASKS },
	{ false, { NO_IR "* CAPABILITY AUTH=CRAM-MD5\r\n" }, false, 0, ASKS },
	{ false, { NO_IR, "p3 OK done\r\n" }, false, 0, ASKS },
	{ false, { NO_IR, "p3 NO x\r\n" }, false, 0, ASKS },
	{ false, { NO_IR, "p1 OK x\r\n" }, false, 0, ASKS },
	{ false, { NO_IR, "+ \r\n" }, false, 0, ASKS },
	{ false, { "* PREAUTH [CAPABILITY AUTH=CRAM-MD5] x\r\n" }, false, 0, "" },
	{ false, { "* BYE [CAPABILITY AUTH=CRAM-MD5] x\r\n" }, false, 0, "" },
	/* clang-format on */
};

#define OFFER \
 "* OK [CAPABILITY SASL-IR AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 AUTH=OAUTHBEARER AUTH=XOAUTH2] x\r\n"
#define HELLO  "+ PDFAeD4=\r\n"         /* <1@x> */
#define SALT   "+ cj1hYixzPXgsaT0x\r\n" /* r=ab,s=x,i=1 */
#define SIGNED "+ dj14\r\n"             /* v=x */
#define FAULT  "+ ZT14\r\n"             /* e=x */
#define JSON   "+ e30=\r\n"             /* {} */
#define C_MD5  "p1 AUTHENTICATE CRAM-MD5\r\n"
#define C_S1   "p1 AUTHENTICATE SCRAM-SHA-1 Rmlyc3Q=\r\n"
#define C_OB   "p1 AUTHENTICATE OAUTHBEARER Rmlyc3Q=\r\n"
#define C_XO   "p1 AUTHENTICATE XOAUTH2 Rmlyc3Q=\r\n"
#define CLIENT "Q2xpZW50\r\n"

/* A client's exchange; it says "First", then "Client", then nothing. */
static const struct relay_row {
	enum sasl_mechanism mechanism;
	bool greeted;
	const char *says[5];
	enum dialogue_outcome outcome;
	bool answered;
	unsigned int put; /* challenges that the client got to see */
	const char *heard;
} relay_rows[] = {
	/* clang-format off */
	{ SASL_CRAM_MD5, false, { OFFER, HELLO, "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, 1, C_MD5 CLIENT },
	{ SASL_CRAM_MD5, false, { OFFER, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, 0, C_MD5 },
	{ SASL_CRAM_MD5, false, { OFFER, "p1 NO [AUTHENTICATIONFAILED] x\r\n" }, DIALOGUE_UNDECIDED, true, 0, C_MD5 },
	{ SASL_CRAM_MD5, false, { OFFER, HELLO "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, 0, C_MD5 },
	{ SASL_CRAM_MD5, false, { OFFER, HELLO "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_UNDECIDED, false, 0, C_MD5 },
	{ SASL_CRAM_MD5, false, { OFFER, HELLO, "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, 1, C_MD5 CLIENT },
	{ SASL_CRAM_MD5, false, { OFFER, HELLO, HELLO }, DIALOGUE_UNDECIDED, false, 1, C_MD5 CLIENT },
	{ SASL_CRAM_MD5, false, { OFFER, "+ \r\n" }, DIALOGUE_UNDECIDED, false, 0, C_MD5 },
	{ SASL_CRAM_MD5, false, { OFFER, "+ PDFAeD5=\r\n" }, DIALOGUE_UNDECIDED, false, 0, C_MD5 },
	{ SASL_CRAM_MD5, true, { "* CAPABILITY AUTH=CRAM-MD5\r\np3 OK x\r\n", HELLO, "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, 1, ASKS C_MD5 CLIENT },
	{ SASL_CRAM_MD5, true, { "* CAPABILITY AUTH=CRAM-MD5\r\np3 NO x\r\n" }, DIALOGUE_UNDECIDED, false, 0, ASKS },
	{ SASL_CRAM_MD5, true, { "p3 OK x\r\n" }, DIALOGUE_UNDECIDED, false, 0, ASKS },
	{ SASL_CRAM_MD5, false, { IR }, DIALOGUE_UNDECIDED, false, 0, "" },
	{ SASL_SCRAM_SHA_256, false, { OFFER }, DIALOGUE_UNDECIDED, false, 0, "" },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, SIGNED, "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, 2, C_S1 CLIENT "\r\n" },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, 1, C_S1 CLIENT },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, SIGNED "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, false, 1, C_S1 CLIENT },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SIGNED }, DIALOGUE_UNDECIDED, false, 0, C_S1 },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, SALT }, DIALOGUE_UNDECIDED, false, 1, C_S1 CLIENT },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, FAULT, "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, 1, C_S1 CLIENT "\r\n" },
	{ SASL_SCRAM_SHA_1, false, { OFFER, SALT, FAULT, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, 1, C_S1 CLIENT "\r\n" },
	{ SASL_SCRAM_SHA_1, false, { OFFER, "p1 NO [CONTACTADMIN] x\r\n" }, DIALOGUE_DISABLED, true, 0, C_S1 },
	{ SASL_SCRAM_SHA_1, true, { "* CAPABILITY AUTH=SCRAM-SHA-1\r\np3 OK x\r\n", "+\r\n", SALT, SIGNED, "p1 OK\r\n" }, DIALOGUE_VERIFIED, true, 2, ASKS "p1 AUTHENTICATE SCRAM-SHA-1\r\nRmlyc3Q=\r\n" CLIENT "\r\n" },
	{ SASL_SCRAM_SHA_1, true, { "* CAPABILITY AUTH=SCRAM-SHA-1\r\np3 OK x\r\n", SALT }, DIALOGUE_UNDECIDED, false, 0, ASKS "p1 AUTHENTICATE SCRAM-SHA-1\r\n" },
	{ SASL_SCRAM_SHA_1, true, { "* CAPABILITY SASL-IR AUTH=SCRAM-SHA-1\r\np3 OK x\r\n", SALT, SIGNED, "p1 OK\r\n" }, DIALOGUE_VERIFIED, true, 2, ASKS C_S1 CLIENT "\r\n" },
	{ SASL_OAUTHBEARER, false, { OFFER, "p1 OK x\r\n" }, DIALOGUE_VERIFIED, true, 0, C_OB },
	{ SASL_OAUTHBEARER, false, { OFFER, JSON, "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, 0, C_OB "AQ==\r\n" },
	{ SASL_OAUTHBEARER, false, { OFFER, JSON, "p1 OK x\r\n" }, DIALOGUE_UNDECIDED, true, 0, C_OB "AQ==\r\n" },
	{ SASL_OAUTHBEARER, false, { OFFER, JSON, JSON }, DIALOGUE_UNDECIDED, false, 0, C_OB "AQ==\r\n" },
	{ SASL_XOAUTH2, false, { OFFER, JSON, "p1 NO [AUTHENTICATIONFAILED]\r\n" }, DIALOGUE_REFUSED, true, 0, C_XO "\r\n" },
	{ SASL_XOAUTH2, false, { OFFER, "p1 NO [UNAVAILABLE]\r\n" }, DIALOGUE_UNDECIDED, true, 0, C_XO },
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

/* What is said in one go goes into the dialogue before anything is sent. */
static void
play(const struct dialogue_question *q, const char *const *says, size_t count,
    size_t piece, struct dialogue *d, char *heard, size_t size)
{
	heard[0] = '\0';
	assert_int_equal(dialogue_start(d, q), 0);
	listen_to(d, heard, size);
	for (size_t i = 0; i < count; i++) {
		const char *text = says[i];

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

static const size_t pieces[] = { 1, 2, 7, 100000 };

/* One row in pieces of one size. False: it went otherwise. */
static bool
goes_as_it_should(const struct row *row, const struct dialogue_question *q,
    size_t piece)
{
	static struct dialogue d;
	char heard[1000];

	play(q, row->says, ARRAY_LEN(row->says), piece, &d, heard,
	    sizeof(heard));
	if (d.outcome == row->outcome && d.answered == row->answered &&
	    strcmp(heard, row->heard) == 0)
		return true;
	print_error("\"%s\" \"%s\" by %zu: got %d %d \"%s\" (%s), want %d %d "
		    "\"%s\"\n",
	    row->says[0], row->says[1] == NULL ? "" : row->says[1], piece,
	    (int)d.outcome, d.answered, heard, d.why, (int)row->outcome,
	    row->answered, row->heard);
	return false;
}

static void
only_a_tagged_answer_decides(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dialogue_question q = alice;

		q.mailbox = rows[i].more;
		q.greeted = rows[i].greeted;
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++)
			wrong += !goes_as_it_should(&rows[i], &q, pieces[j]);
	}
	assert_int_equal(wrong, 0);
}

static void
an_own_password_has_a_table_of_its_own(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(own_rows); i++) {
		struct dialogue_question q = {
			.aim = DIALOGUE_PASSWORD,
			.account = "alice",
			.password = "secret",
			.mailbox = true, /* never asked for */
			.greeted = own_rows[i].greeted,
		};

		if (own_rows[i].more)
			(void)netaddr_parse("192.0.2.1", &q.client);
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++)
			wrong +=
			    !goes_as_it_should(&own_rows[i], &q, pieces[j]);
	}
	assert_int_equal(wrong, 0);
}

/* The client answers whenever it is its turn and all was said. */
static unsigned int
play_relay(const struct relay_row *row, size_t piece, struct dialogue *d,
    char *heard, size_t size)
{
	const struct dialogue_question q = {
		.aim = DIALOGUE_RELAY,
		.mechanism = row->mechanism,
		.message = row->mechanism == SASL_CRAM_MD5 ? NULL : "Rmlyc3Q=",
		.greeted = row->greeted,
	};
	unsigned int put = 0;

	heard[0] = '\0';
	assert_int_equal(dialogue_start(d, &q), 0);
	listen_to(d, heard, size);
	for (size_t i = 0; i < ARRAY_LEN(row->says); i++) {
		const char *text = row->says[i] == NULL ? "" : row->says[i];

		while (*text != '\0') {
			size_t n = strlen(text);

			n = n < piece ? n : piece;
			dialogue_feed(d, text, n);
			listen_to(d, heard, size);
			text += n;
		}
		if (d->state == DIALOGUE_CLIENT)
			dialogue_respond(d, ++put == 1 ? "Q2xpZW50" : "");
		listen_to(d, heard, size);
	}
	dialogue_eof(d);
	assert_true(dialogue_is_over(d));
	return put;
}

static void
an_exchange_is_verified_only_where_it_can_be_complete(void **state)
{
	static struct dialogue d;
	char heard[1000];
	unsigned int wrong = 0, put;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(relay_rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
			const struct relay_row *row = &relay_rows[i];

			put = play_relay(row, pieces[j], &d, heard,
			    sizeof(heard));
			if (d.outcome == row->outcome &&
			    d.answered == row->answered && put == row->put &&
			    strcmp(heard, row->heard) == 0)
				continue;
			wrong++;
			print_error("relay row %zu by %zu: got %d %d %u \"%s\" "
				    "(%s), want %d %d %u \"%s\"\n",
			    i, pieces[j], (int)d.outcome, d.answered, put,
			    heard, d.why, (int)row->outcome, row->answered,
			    row->put, row->heard);
		}
	}
	assert_int_equal(wrong, 0);
}

static void
keep_words(void *arg, const char *text)
{
	char *words = arg;
	size_t n = strlen(words);

	(void)snprintf(words + n, 1000 - n, "%s\n", text);
}

static void
no_words_repeat_a_token(void **state)
{
	static struct dialogue d;
	char words[2000] = "";
	const struct dialogue_question q = {
		.aim = DIALOGUE_RELAY,
		.mechanism = SASL_XOAUTH2,
		/* user=alice^Aauth=Bearer top-secret-token^A^A */
		.message = "dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b3Atc2VjcmV0LXRva2"
			   "VuAQE=",
		.trace = keep_words,
		.trace_arg = words,
	};
	const char *const says = "p1 NO alice, what is top-secret-token?\r\n";
	char heard[1000] = "";

	(void)state;
	assert_int_equal(dialogue_start(&d, &q), 0);
	dialogue_feed(&d, OFFER, strlen(OFFER));
	listen_to(&d, heard, sizeof(heard));
	dialogue_feed(&d, says, strlen(says));
	assert_true(dialogue_is_over(&d));
	assert_null(strstr(d.why, "secret"));
	assert_null(strstr(words, "secret"));
	assert_non_null(strstr(d.why, "repeats the password"));
}

/* What the client said before is not left behind, whatever it says then. */
static void
messages_are_forgotten(void **state)
{
	static struct dialogue d;
	const struct dialogue_question q = {
		.aim = DIALOGUE_RELAY,
		.mechanism = SASL_SCRAM_SHA_1,
		.message = "TG9uZ0ZpcnN0TWVzc2FnZQ==",
	};
	char heard[1000] = "";

	(void)state;
	assert_int_equal(dialogue_start(&d, &q), 0);
	dialogue_feed(&d, OFFER, strlen(OFFER));
	listen_to(&d, heard, sizeof(heard));
	dialogue_feed(&d, SALT, strlen(SALT));
	dialogue_respond(&d, "QQ==");
	dialogue_cancel(&d); /* too late: it is the server's turn */
	listen_to(&d, heard, sizeof(heard));
	assert_null(strstr(heard, "*"));
	dialogue_feed(&d, SIGNED, strlen(SIGNED));
	dialogue_respond(&d, "");
	dialogue_wipe(&d);
	for (size_t i = 0; i < sizeof(d.secret); i++)
		assert_int_equal(d.secret[i], 0);
	for (size_t i = 0; i < sizeof(d.out); i++)
		assert_int_equal(d.out[i], 0);
}

static void
what_cannot_be_carried_does_not_begin(void **state)
{
	static struct dialogue d;
	static char text[SASL_TEXT_MAX + 2];
	struct dialogue_question q = {
		.aim = DIALOGUE_RELAY,
		.mechanism = SASL_XOAUTH2,
	};
	const char *const messages[] = { NULL, "a b", "ab\r\ncd", "*", text };

	(void)state;
	memset(text, 'A', sizeof(text) - 1);
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		q.message = messages[i];
		assert_int_equal(dialogue_start(&d, &q), -1);
		assert_int_equal(d.outcome, DIALOGUE_UNDECIDED);
	}
	q.mechanism = SASL_PLAIN;
	q.message = "AAAA";
	assert_int_equal(dialogue_start(&d, &q), -1);
}

static void
only_a_list_is_an_offer(void **state)
{
	static struct dialogue d;
	char heard[1000];
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(offer_rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
			const struct offer_row *row = &offer_rows[i];
			const struct dialogue_question q = {
				.aim = DIALOGUE_OFFERS,
				.greeted = row->greeted,
			};

			play(&q, row->says, ARRAY_LEN(row->says), pieces[j], &d,
			    heard, sizeof(heard));
			if (d.listed == row->listed &&
			    d.answered == row->listed &&
			    d.offers == row->offers &&
			    d.outcome == DIALOGUE_UNDECIDED &&
			    strcmp(heard, row->heard) == 0)
				continue;
			wrong++;
			print_error("offer row %zu by %zu: got %d %x \"%s\" "
				    "(%s), want %d %x \"%s\"\n",
			    i, pieces[j], d.listed, d.offers, heard, d.why,
			    row->listed, row->offers, row->heard);
		}
	}
	assert_int_equal(wrong, 0);
}

/* A login hears of the offers by the way. */
static void
a_greeting_tells_what_is_offered(void **state)
{
	static struct dialogue d;
	char heard[1000];
	const char *const says[] = {
		"* OK [CAPABILITY SASL-IR AUTH=PLAIN AUTH=CRAM-MD5] x\r\n",
		"p1 OK [CAPABILITY AUTH=SCRAM-SHA-1] x\r\n",
	};

	(void)state;
	play(&alice, says, ARRAY_LEN(says), 1000, &d, heard, sizeof(heard));
	assert_int_equal(d.outcome, DIALOGUE_VERIFIED);
	assert_true(d.listed);
	assert_int_equal(d.offers, CRAM);
}

static void
no_words_repeat_a_password(void **state)
{
	static struct dialogue d;
	char heard[1000], words[1000] = "";
	struct dialogue_question q = alice;
	const char *const says[] = {
		IR,
		"* NO what is " SECRET "?\r\np1 BAD " SECRET "\r\n",
	};

	(void)state;
	q.trace = keep_words;
	q.trace_arg = words;
	play(&q, says, ARRAY_LEN(says), 1000, &d, heard, sizeof(heard));
	assert_null(strstr(d.why, "Bvc3Rlcm4A"));
	assert_null(strstr(words, "Bvc3Rlcm4A"));
	assert_non_null(strstr(words, "(password not shown)"));
	assert_non_null(strstr(d.why, "repeats the password"));
}

/* Not as it was sent, but as it was meant. */
static void
no_words_repeat_a_password_in_clear(void **state)
{
	static struct dialogue d;
	static const char *const passwords[] = { "pwd", "secret", "8 octets",
		"Hunter2-is-mine" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
		char heard[1000], words[1000] = "", says[200];
		const char *const lines[] = { IR, says };
		struct dialogue_question q = { .aim = DIALOGUE_PASSWORD,
			.account = "alice",
			.password = passwords[i],
			.trace = keep_words,
			.trace_arg = words };

		(void)snprintf(says, sizeof(says),
		    "* OK did you say %s?\r\n"
		    "p1 NO alice's password was not %s\r\n",
		    passwords[i], passwords[i]);
		play(&q, lines, 2, 1000, &d, heard, sizeof(heard));
		assert_int_equal(d.outcome, DIALOGUE_UNDECIDED);
		if (strstr(d.why, passwords[i]) != NULL ||
		    strstr(words, passwords[i]) != NULL)
			fail_msg("'%s': got '%s' and '%s'", passwords[i], d.why,
			    words);
		assert_non_null(strstr(d.why, "repeats the password"));
	}
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
	play(&alice, row->says, ARRAY_LEN(row->says), 1000, &d, heard,
	    sizeof(heard));
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
		cmocka_unit_test(an_own_password_has_a_table_of_its_own),
		cmocka_unit_test(
		    an_exchange_is_verified_only_where_it_can_be_complete),
		cmocka_unit_test(no_words_repeat_a_token),
		cmocka_unit_test(messages_are_forgotten),
		cmocka_unit_test(what_cannot_be_carried_does_not_begin),
		cmocka_unit_test(only_a_list_is_an_offer),
		cmocka_unit_test(a_greeting_tells_what_is_offered),
		cmocka_unit_test(no_words_repeat_a_password),
		cmocka_unit_test(no_words_repeat_a_password_in_clear),
		cmocka_unit_test(a_nul_ends_everything),
		cmocka_unit_test(a_server_without_end_is_cut_off),
		cmocka_unit_test(what_must_not_reach_the_wire_does_not),
		cmocka_unit_test(secrets_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
