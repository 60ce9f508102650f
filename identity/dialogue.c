/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of one IMAP session: greeting, AUTHENTICATE PLAIN as proxy_user for
 * the account (RFC 4616), STATUS INBOX when existence is not proved by the
 * login. It must not touch sockets or clocks, must never take anything but the
 * tagged answer to its own command for a yes, and must never let a NO that it
 * does not know pass for a refusal. ID and CAPABILITY are not sent: nothing
 * here needs them, and each would cost a round trip.
 */
#include "identity/dialogue.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define TAG_AUTH   "p1"
#define TAG_STATUS "p2"

/*
 * What a tagged NO to AUTHENTICATE says. The password on the wire is always
 * ours and the account always somebody else's, so whatever is about a password
 * (RFC 5530: AUTHENTICATIONFAILED, EXPIRED) is about our own credential and
 * decides nothing about the account; what is about authorisation is about the
 * account. Servers without codes (Cyrus) send libsasl's error string instead:
 * cyr_deny is its "authorization failure". A row that is missing here leaves
 * the account undecided.
 */
static const struct {
	const char
	    *said; /* "[CODE]", or the whole text when there is no code */
	enum dialogue_outcome outcome;
} refusals[] = {
	/* clang-format off */
	{ "[AUTHORIZATIONFAILED]",                 DIALOGUE_REFUSED },
	{ "[CONTACTADMIN]",                        DIALOGUE_DISABLED },
	{ "[AUTHENTICATIONFAILED]",                DIALOGUE_CREDENTIAL },
	{ "[EXPIRED]",                             DIALOGUE_CREDENTIAL },
	{ "[LIMIT]",                               DIALOGUE_BUSY },
	{ "[INUSE]",                               DIALOGUE_BUSY },
	{ "authorization failure",                 DIALOGUE_DISABLED },
	{ "account disabled",                      DIALOGUE_DISABLED },
	{ "user not found",                        DIALOGUE_REFUSED },
	{ "authentication failure",                DIALOGUE_CREDENTIAL },
	{ "passphrase expired, has to be reset",   DIALOGUE_CREDENTIAL },
	{ "passphrase locked",                     DIALOGUE_CREDENTIAL },
	{ "user exists, but no verifier for user", DIALOGUE_CREDENTIAL },
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

static void
end(struct dialogue *d, enum dialogue_outcome outcome, const char *why,
    const char *quote)
{
	char *p;

	d->state = DIALOGUE_OVER;
	d->outcome = outcome;
	(void)snprintf(d->why, sizeof(d->why), "%s%s%.140s", why,
	    quote[0] == '\0' ? "" : ": ", quote);
	for (p = d->why; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
	dialogue_wipe(d);
}

static bool
fits_the_wire(const char *text, size_t max)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	return i > 0 && i <= max;
}

/* "authzid NUL authcid NUL password" in base64 (RFC 4616, 2). */
static void
make_secret(struct dialogue *d, const struct dialogue_question *q)
{
	unsigned char plain[2 * DIALOGUE_USER_MAX + DIALOGUE_PASSWORD_MAX + 2];
	const char *parts[] = { q->account, q->user, q->password };
	size_t len = 0;
	size_t i;

	static_assert(sizeof(plain) / 3 * 4 + 8 < sizeof(d->secret), "base64");
	for (i = 0; i < ARRAY_LEN(parts); i++) {
		size_t n = strlen(parts[i]);

		if (i > 0)
			plain[len++] = '\0';
		memcpy(plain + len, parts[i], n);
		len += n;
	}
	(void)EVP_EncodeBlock((unsigned char *)d->secret, plain, (int)len);
	OPENSSL_cleanse(plain, sizeof(plain));
}

static void
say(struct dialogue *d, enum dialogue_state next, const char *command,
    const char *argument)
{
	int n;

	n = snprintf(d->out, sizeof(d->out), "%s%s\r\n", command, argument);
	d->out_len = n < 0 ? 0 : (size_t)n;
	d->out_sent = 0;
	d->state = next;
}

int
dialogue_start(struct dialogue *d, const struct dialogue_question *q)
{
	memset(d, 0, sizeof(*d));
	d->mailbox = q->mailbox;
	if (!fits_the_wire(q->account, DIALOGUE_USER_MAX) ||
	    !fits_the_wire(q->user, DIALOGUE_USER_MAX) ||
	    !fits_the_wire(q->password, DIALOGUE_PASSWORD_MAX)) {
		end(d, DIALOGUE_UNDECIDED, "a login that cannot be asked", "");
		return -1;
	}
	make_secret(d, q);
	if (q->greeted)
		say(d, DIALOGUE_PLUS, TAG_AUTH " AUTHENTICATE PLAIN", "");
	else
		d->state = DIALOGUE_GREETING;
	return 0;
}

const char *
dialogue_pending(const struct dialogue *d, size_t *len_r)
{
	*len_r = d->out_len - d->out_sent;
	return *len_r == 0 ? NULL : d->out + d->out_sent;
}

void
dialogue_sent(struct dialogue *d, size_t len)
{
	OPENSSL_cleanse(d->out + d->out_sent, len);
	d->out_sent += len;
}

bool
dialogue_is_over(const struct dialogue *d)
{
	return d->state == DIALOGUE_OVER;
}

void
dialogue_wipe(struct dialogue *d)
{
	OPENSSL_cleanse(d->out, sizeof(d->out));
	OPENSSL_cleanse(d->secret, sizeof(d->secret));
	d->out_len = 0;
	d->out_sent = 0;
}

/* The word that the text starts with, any case; the rest without its space,
 * or NULL. */
static const char *
after_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(text, word, n) != 0)
		return NULL;
	if (text[n] == ' ')
		return text + n + 1;
	return text[n] == '\0' ? text + n : NULL;
}

/* Is the capability named inside "[CAPABILITY ...]"? */
static bool
offers(const char *list, const char *capability)
{
	size_t n = strlen(capability);

	while (*list != '\0' && *list != ']') {
		size_t word = strcspn(list, " ]");

		if (word == n && strncasecmp(list, capability, n) == 0)
			return true;
		list += word;
		list += strspn(list, " ");
	}
	return false;
}

/*
 * PREAUTH would be somebody's session without any login, BYE is no service.
 * Without a list of capabilities the credentials wait for the server's "+",
 * which costs what asking for the list would.
 */
static void
hear_greeting(struct dialogue *d)
{
	const char *text = after_word(d->line, "* OK");
	const char *list = NULL;

	if (text == NULL) {
		end(d, DIALOGUE_UNDECIDED, "not an IMAP greeting", d->line);
		return;
	}
	if (text[0] == '[' && strchr(text, ']') != NULL)
		list = after_word(text + 1, "CAPABILITY");
	if (list != NULL && !offers(list, "AUTH=PLAIN"))
		end(d, DIALOGUE_UNDECIDED, "AUTH=PLAIN is not offered", text);
	else if (list != NULL && offers(list, "SASL-IR"))
		say(d, DIALOGUE_AUTH, TAG_AUTH " AUTHENTICATE PLAIN ",
		    d->secret);
	else
		say(d, DIALOGUE_PLUS, TAG_AUTH " AUTHENTICATE PLAIN", "");
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
	rest = after_word(text, "Login failed:");
	return strcasecmp(rest != NULL ? rest : text, row) == 0;
}

static enum dialogue_outcome
judge_no(const struct dialogue *d, const char *text)
{
	size_t i;

	if (d->state == DIALOGUE_STATUS) {
		for (i = 0; i < ARRAY_LEN(no_mailbox); i++) {
			if (says(text, no_mailbox[i].said))
				return no_mailbox[i].outcome;
		}
		return DIALOGUE_UNDECIDED;
	}
	for (i = 0; i < ARRAY_LEN(refusals); i++) {
		if (says(text, refusals[i].said))
			return refusals[i].outcome;
	}
	return DIALOGUE_UNDECIDED;
}

/* The tagged answer to the command that was sent last. */
static void
hear_answer(struct dialogue *d, const char *answer)
{
	const char *text;

	if (d->state == DIALOGUE_PLUS) {
		end(d, DIALOGUE_UNDECIDED, "no login possible", answer);
		return;
	}
	d->answered = true;
	text = after_word(answer, "NO");
	if (text != NULL) {
		end(d, judge_no(d, text), "the server said", answer);
		return;
	}
	if (after_word(answer, "OK") == NULL || d->bye)
		end(d, DIALOGUE_UNDECIDED, "the server said", answer);
	else if (d->state == DIALOGUE_AUTH && d->mailbox)
		say(d, DIALOGUE_STATUS, TAG_STATUS " STATUS INBOX (MESSAGES)",
		    "");
	else
		end(d, DIALOGUE_VERIFIED, "the server said", answer);
}

/* Untagged data decide nothing. A literal's bytes could look like an answer,
 * and none of our commands is answered with one: not understood. */
static void
hear_untagged(struct dialogue *d, const char *text)
{
	if (++d->untagged > DIALOGUE_UNTAGGED_MAX)
		end(d, DIALOGUE_UNDECIDED, "the server talks without end", "");
	else if (d->line_len > 0 && d->line[d->line_len - 1] == '}')
		end(d, DIALOGUE_UNDECIDED, "an unexpected literal", text);
	else if (after_word(text, "BYE") != NULL)
		d->bye = true; /* a tagged NO may still come */
}

static void
hear_line(struct dialogue *d)
{
	const char *tag = d->state == DIALOGUE_STATUS ? TAG_STATUS : TAG_AUTH;
	size_t n = strlen(tag);

	if (d->state == DIALOGUE_GREETING) {
		hear_greeting(d);
		return;
	}
	if (strncmp(d->line, "* ", 2) == 0) {
		hear_untagged(d, d->line + 2);
		return;
	}
	/* Nothing that came before our words were out can answer them. */
	if (d->out_sent < d->out_len)
		end(d, DIALOGUE_UNDECIDED, "an answer to nothing", d->line);
	else if (strncmp(d->line, tag, n) == 0 && d->line[n] == ' ')
		hear_answer(d, d->line + n + 1);
	else if (after_word(d->line, "+") != NULL && d->state == DIALOGUE_PLUS)
		say(d, DIALOGUE_AUTH, d->secret, "");
	else
		end(d, DIALOGUE_UNDECIDED, "not understood", d->line);
}

void
dialogue_feed(struct dialogue *d, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && d->state != DIALOGUE_OVER; i++) {
		char c = bytes[i];

		if (++d->total > DIALOGUE_TOTAL_MAX) {
			end(d, DIALOGUE_UNDECIDED,
			    "the server talks without end", "");
		} else if (c == '\0' || d->cr != (c == '\n')) {
			end(d, DIALOGUE_UNDECIDED, "a NUL or bare CR or LF",
			    "");
		} else if (c == '\r') {
			d->cr = true;
		} else if (c == '\n') {
			d->line[d->line_len] = '\0';
			hear_line(d);
			d->line_len = 0;
			d->cr = false;
		} else if (d->line_len == sizeof(d->line) - 1) {
			end(d, DIALOGUE_UNDECIDED, "a line without end", "");
		} else {
			d->line[d->line_len++] = c;
		}
	}
}

void
dialogue_eof(struct dialogue *d)
{
	if (d->state == DIALOGUE_GREETING)
		end(d, DIALOGUE_UNDECIDED, "closed without a greeting", "");
	else if (d->state != DIALOGUE_OVER) {
		d->hung_up = d->state == DIALOGUE_AUTH;
		end(d, DIALOGUE_UNDECIDED, "closed instead of an answer", "");
	}
}
