/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The refusals that servers are known to give. It must never let a NO that it
 * does not know pass for a refusal.
 */
#include "identity/answer.h"

#include <string.h>
#include <strings.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * What a tagged NO to AUTHENTICATE says (RFC 5530). Asked about an account, the
 * password on the wire is ours, so whatever is about a password is about our
 * own credential and decides nothing about the account; what is about
 * authorisation is about the account. Asked about the account's own password,
 * both refuse it; LIMIT and INUSE do not say whether it was right. Servers
 * without codes (Cyrus) send libsasl's error string instead: cyr_deny is its
 * "authorization failure". A row that is missing here decides nothing.
 */
static const struct {
	/* "[CODE]", or the whole text when there is no code */
	const char *said;
	enum dialogue_outcome account;
	enum dialogue_outcome password;
} refusals[] = {
	/* clang-format off */
	{ "[AUTHORIZATIONFAILED]",                 DIALOGUE_REFUSED,    DIALOGUE_REFUSED },
	{ "[CONTACTADMIN]",                        DIALOGUE_DISABLED,   DIALOGUE_DISABLED },
	{ "[AUTHENTICATIONFAILED]",                DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	{ "[EXPIRED]",                             DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	{ "[LIMIT]",                               DIALOGUE_BUSY,       DIALOGUE_BUSY },
	{ "[INUSE]",                               DIALOGUE_BUSY,       DIALOGUE_BUSY },
	{ "authorization failure",                 DIALOGUE_DISABLED,   DIALOGUE_DISABLED },
	{ "account disabled",                      DIALOGUE_DISABLED,   DIALOGUE_DISABLED },
	{ "user not found",                        DIALOGUE_REFUSED,    DIALOGUE_REFUSED },
	{ "authentication failure",                DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	{ "passphrase expired, has to be reset",   DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	{ "passphrase locked",                     DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	{ "user exists, but no verifier for user", DIALOGUE_CREDENTIAL, DIALOGUE_REFUSED },
	/* clang-format on */
};

/* ... and a NO to STATUS INBOX: only "there is none" is a refusal. */
static const struct {
	const char *said;
	enum dialogue_outcome outcome;
} no_mailbox[] = {
	{ "[NONEXISTENT]", DIALOGUE_REFUSED },
	{ "Mailbox does not exist", DIALOGUE_REFUSED },
};

const char *
answer_after(const char *text, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(text, word, n) != 0)
		return NULL;
	if (text[n] == ' ')
		return text + n + 1;
	return text[n] == '\0' ? text + n : NULL;
}

/* "[CODE]" without its arguments, or the text behind "Login failed: ". */
static bool
says(const char *text, const char *row)
{
	const char *rest;

	if (text[0] == '[') {
		size_t n = 1 + strcspn(text + 1, " ]");

		return row[0] == '[' && strchr(text, ']') != NULL &&
		    strlen(row) == n + 1 && strncasecmp(text, row, n) == 0;
	}
	rest = answer_after(text, "Login failed:");
	return strcasecmp(rest != NULL ? rest : text, row) == 0;
}

enum dialogue_outcome
answer_about_account(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (says(text, refusals[i].said))
			return refusals[i].account;
	}
	return DIALOGUE_UNDECIDED;
}

enum dialogue_outcome
answer_about_login(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (says(text, refusals[i].said))
			return refusals[i].password;
	}
	return DIALOGUE_UNDECIDED;
}

enum dialogue_outcome
answer_about_mailbox(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(no_mailbox); i++) {
		if (says(text, no_mailbox[i].said))
			return no_mailbox[i].outcome;
	}
	return DIALOGUE_UNDECIDED;
}
