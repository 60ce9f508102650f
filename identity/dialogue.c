/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of one IMAP session: greeting, AUTHENTICATE PLAIN (RFC 4616) with
 * proxy_user's credential or the account's own, STATUS INBOX when existence is
 * not proved by the login. It must not touch sockets or clocks, must never take
 * anything but the tagged answer to its own command for a yes, must never let a
 * NO that it does not know pass for a refusal, and must not repeat a secret in
 * words for people. Nothing is sent that would cost a round trip of its own: ID
 * goes along with AUTHENTICATE, CAPABILITY is sent when nothing else is asked.
 */
#include "identity/dialogue.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define TAG_ID         "p0"
#define TAG_AUTH       "p1"
#define TAG_STATUS     "p2"
#define TAG_CAPABILITY "p3"

/* So much of a secret in a row is not shown. */
#define GIVEAWAY 8

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

/* A server that repeats our command would put the password into the log. */
static bool
gives_away(const struct dialogue *d, const char *text)
{
	size_t len = strlen(d->secret);
	char piece[GIVEAWAY + 1] = "";
	bool found = false;

	for (size_t i = 0; !found && i + GIVEAWAY <= len; i++) {
		memcpy(piece, d->secret + i, GIVEAWAY);
		found = strstr(text, piece) != NULL;
	}
	OPENSSL_cleanse(piece, sizeof(piece));
	return found;
}

static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

static void
tell(const struct dialogue *d, const char *who, const char *words,
    const char *more)
{
	char text[300];

	if (d->trace == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%s: %.200s%.60s", who, words, more);
	make_printable(text);
	d->trace(d->trace_arg, text);
}

static void
end(struct dialogue *d, enum dialogue_outcome outcome, const char *why,
    const char *quote)
{
	char shown[141];

	(void)snprintf(shown, sizeof(shown), "%s", quote);
	if (gives_away(d, shown))
		(void)snprintf(shown, sizeof(shown),
		    "(it repeats the password)");
	d->state = DIALOGUE_OVER;
	d->outcome = outcome;
	(void)snprintf(d->why, sizeof(d->why), "%s%s%s", why,
	    shown[0] == '\0' ? "" : ": ", shown);
	make_printable(d->why);
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

/* "[authzid] NUL authcid NUL password" in base64 (RFC 4616, 2). */
static void
make_secret(struct dialogue *d, const struct dialogue_question *q)
{
	unsigned char plain[2 * DIALOGUE_USER_MAX + DIALOGUE_PASSWORD_MAX + 2];
	const bool own = q->aim == DIALOGUE_PASSWORD;
	const char *parts[] = { own ? "" : q->account,
		own ? q->account : q->user, q->password };
	size_t len = 0;
	size_t i;

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

/* Dovecot believes this of login_trusted_networks: its delays and its log are
 * then about the client, not about us. */
static void
make_id(struct dialogue *d, const struct netaddr *client)
{
	char text[NETADDR_TEXT_MAX];

	if (client->family == NETADDR_NONE)
		return;
	netaddr_format(client, text);
	(void)snprintf(d->id, sizeof(d->id),
	    TAG_ID " ID (\"x-originating-ip\" \"%s\")\r\n", text);
}

/* Sends a command, with the secret or without. */
static void
say(struct dialogue *d, enum dialogue_state next, const char *command,
    const char *secret)
{
	int n;

	n = snprintf(d->out, sizeof(d->out), "%s%s%s\r\n", d->id, command,
	    secret);
	d->out_len = n < 0 ? 0 : (size_t)n;
	d->out_sent = 0;
	d->state = next;
	if (d->id[0] != '\0') {
		d->id[strcspn(d->id, "\r")] = '\0';
		tell(d, "postern", d->id, "");
		d->id[0] = '\0';
		d->id_asked = true;
	}
	tell(d, "postern", command,
	    secret[0] != '\0' ? "(password not shown)" : "");
}

int
dialogue_start(struct dialogue *d, const struct dialogue_question *q)
{
	memset(d, 0, sizeof(*d));
	d->aim = q->aim;
	d->mailbox = q->mailbox && q->aim == DIALOGUE_ACCOUNT;
	d->trace = q->trace;
	d->trace_arg = q->trace_arg;
	d->state = DIALOGUE_GREETING;
	if (q->aim == DIALOGUE_OFFERS) {
		if (q->greeted)
			say(d, DIALOGUE_CAPABILITY,
			    TAG_CAPABILITY " CAPABILITY", "");
		return 0;
	}
	if (!fits_the_wire(q->account, DIALOGUE_USER_MAX) ||
	    (q->aim == DIALOGUE_ACCOUNT &&
		!fits_the_wire(q->user, DIALOGUE_USER_MAX)) ||
	    !fits_the_wire(q->password, DIALOGUE_PASSWORD_MAX)) {
		end(d, DIALOGUE_UNDECIDED, "a login that cannot be asked", "");
		return -1;
	}
	make_secret(d, q);
	make_id(d, &q->client);
	if (q->greeted)
		say(d, DIALOGUE_PLUS, TAG_AUTH " AUTHENTICATE PLAIN", "");
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

/* What a list of capabilities says, up to its end or "]". */
struct offer {
	bool plain;
	bool initial_response;
	unsigned int mechanisms; /* SASL_BIT()s of those that can be relayed */
};

static struct offer
read_offer(const char *list)
{
	struct offer offer = { 0 };

	while (*list != '\0' && *list != ']') {
		size_t n = strcspn(list, " ]");
		char word[32] = "";

		if (n < sizeof(word))
			memcpy(word, list, n);
		if (strcasecmp(word, "SASL-IR") == 0) {
			offer.initial_response = true;
		} else if (strncasecmp(word, "AUTH=", 5) == 0) {
			enum sasl_mechanism m = sasl_find(word + 5);

			offer.plain |= m == SASL_PLAIN;
			if (sasl_is_relayed(m))
				offer.mechanisms |= SASL_BIT(m);
		}
		list += n;
		list += strspn(list, " ");
	}
	return offer;
}

/* OFFERS has its answer. */
static void
hear_offer(struct dialogue *d, const struct offer *offer)
{
	d->listed = true;
	d->offers = offer->mechanisms;
	if (d->aim != DIALOGUE_OFFERS)
		return;
	d->answered = true;
	end(d, DIALOGUE_UNDECIDED, "it lists its capabilities", "");
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
	struct offer offer = { 0 };

	if (text == NULL) {
		end(d, DIALOGUE_UNDECIDED, "not an IMAP greeting", d->line);
		return;
	}
	if (text[0] == '[' && strchr(text, ']') != NULL)
		list = after_word(text + 1, "CAPABILITY");
	if (list != NULL) {
		offer = read_offer(list);
		hear_offer(d, &offer);
		if (dialogue_is_over(d))
			return;
	}
	if (d->aim == DIALOGUE_OFFERS)
		say(d, DIALOGUE_CAPABILITY, TAG_CAPABILITY " CAPABILITY", "");
	else if (list != NULL && !offer.plain)
		end(d, DIALOGUE_UNDECIDED, "AUTH=PLAIN is not offered", text);
	else if (list != NULL && offer.initial_response)
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
			return d->aim == DIALOGUE_PASSWORD
			    ? refusals[i].password
			    : refusals[i].account;
	}
	return DIALOGUE_UNDECIDED;
}

/* The tagged answer to the command that was sent last. */
static void
hear_answer(struct dialogue *d, const char *answer)
{
	const char *text;

	if (d->state == DIALOGUE_PLUS || d->state == DIALOGUE_CAPABILITY) {
		end(d, DIALOGUE_UNDECIDED,
		    d->state == DIALOGUE_PLUS ? "no login possible"
					      : "no capabilities",
		    answer);
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
	const char *list = after_word(text, "CAPABILITY");

	if (++d->untagged > DIALOGUE_UNTAGGED_MAX)
		end(d, DIALOGUE_UNDECIDED, "the server talks without end", "");
	else if (d->line_len > 0 && d->line[d->line_len - 1] == '}')
		end(d, DIALOGUE_UNDECIDED, "an unexpected literal", text);
	else if (after_word(text, "BYE") != NULL)
		d->bye = true; /* a tagged NO may still come */
	else if (list != NULL && d->state == DIALOGUE_CAPABILITY &&
	    d->out_sent == d->out_len) {
		struct offer offer = read_offer(list);

		hear_offer(d, &offer);
	}
}

static const char *
tag_of(enum dialogue_state state)
{
	switch (state) {
	case DIALOGUE_STATUS:
		return TAG_STATUS;
	case DIALOGUE_CAPABILITY:
		return TAG_CAPABILITY;
	case DIALOGUE_PLUS:
	case DIALOGUE_AUTH:
	case DIALOGUE_GREETING:
	case DIALOGUE_OVER:
		break;
	}
	return TAG_AUTH;
}

static void
hear_line(struct dialogue *d)
{
	const char *tag = tag_of(d->state);
	size_t n = strlen(tag);

	if (d->trace != NULL)
		tell(d, "server",
		    gives_away(d, d->line) ? "(it repeats the password)"
					   : d->line,
		    "");
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
	else if (d->id_asked && after_word(d->line, TAG_ID) != NULL)
		d->id_asked = false; /* whatever it thinks of that */
	else if (after_word(d->line, "+") != NULL && d->state == DIALOGUE_PLUS)
		say(d, DIALOGUE_AUTH, "", d->secret);
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
