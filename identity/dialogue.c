/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of one IMAP session: greeting, AUTHENTICATE PLAIN (RFC 4616) with
 * proxy_user's credential or the account's own, STATUS INBOX when existence is
 * not proved by the login. It must not touch sockets or clocks, must never take
 * anything but the tagged answer to its own command for a yes, must never let a
 * NO that it does not know pass for a refusal, and must not repeat a secret in
 * words for people. What a client's exchange says is carried, but for the
 * server's errors: those are answered here, so that the NO behind them is
 * heard, and counted, even if the client has gone. Nothing is sent that would
 * cost a round trip of its own: ID goes along with AUTHENTICATE, CAPABILITY is
 * sent when nothing else is asked.
 */
#include "identity/dialogue.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "identity/answer.h"
#include "identity/capability.h"
#include "identity/challenge.h"
#include "identity/giveaway.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define TAG_ID         "p0"
#define TAG_AUTH       "p1"
#define TAG_STATUS     "p2"
#define TAG_CAPABILITY "p3"

/* Would these words of the server give a secret away? */
static bool
gives_away(const struct dialogue *d, const char *text)
{
	return giveaway_is_in(text, d->mechanism, d->secret);
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
	if (gives_away(d, quote))
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

static bool
is_base64(const char *text)
{
	return strspn(text,
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		   "0123456789+/=") == strlen(text);
}

/* The client's message, as it is. -1: it does not fit. */
static int
take_message(struct dialogue *d, const char *message)
{
	size_t len = strlen(message);

	if (len >= sizeof(d->secret) || !is_base64(message)) {
		end(d, DIALOGUE_UNDECIDED, "an answer that cannot be carried",
		    "");
		return -1;
	}
	OPENSSL_cleanse(d->secret, strlen(d->secret));
	memcpy(d->secret, message, len + 1);
	d->responses++;
	return 0;
}

static int
start_relay(struct dialogue *d, const struct dialogue_question *q)
{
	if (!sasl_is_relayed(q->mechanism) ||
	    sasl_client_is_first(q->mechanism) != (q->message != NULL)) {
		end(d, DIALOGUE_UNDECIDED, "an exchange that cannot begin", "");
		return -1;
	}
	d->mechanism = q->mechanism;
	if (q->message != NULL && take_message(d, q->message) != 0)
		return -1;
	make_id(d, &q->client);
	if (q->greeted)
		say(d, DIALOGUE_CAPABILITY, TAG_CAPABILITY " CAPABILITY", "");
	return 0;
}

int
dialogue_start(struct dialogue *d, const struct dialogue_question *q)
{
	memset(d, 0, offsetof(struct dialogue, line));
	d->line[0] = d->challenge[0] = d->out[0] = d->secret[0] = '\0';
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
	if (q->aim == DIALOGUE_RELAY)
		return start_relay(d, q);
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
	OPENSSL_cleanse(d->out, d->out_len);
	OPENSSL_cleanse(d->secret, strlen(d->secret));
	d->out_len = 0;
	d->out_sent = 0;
}

/* OFFERS has its answer. */
static void
hear_offer(struct dialogue *d, const struct capability *offer)
{
	d->listed = true;
	d->offers = offer->mechanisms;
	d->initial_response = offer->initial_response;
	if (d->aim != DIALOGUE_OFFERS)
		return;
	d->answered = true;
	end(d, DIALOGUE_UNDECIDED, "it lists its capabilities", "");
}

/* The list of capabilities is there. */
static void
begin_exchange(struct dialogue *d)
{
	char command[60];
	bool at_once =
	    d->initial_response && strlen(d->secret) <= DIALOGUE_INITIAL_MAX;

	(void)snprintf(command, sizeof(command), TAG_AUTH " AUTHENTICATE %s%s",
	    sasl_name(d->mechanism), d->responses > 0 && at_once ? " " : "");
	if ((d->offers & SASL_BIT(d->mechanism)) == 0) {
		end(d, DIALOGUE_UNDECIDED, "the mechanism is not offered", "");
		return;
	}
	d->begun = true;
	if (d->responses == 0)
		say(d, DIALOGUE_AUTH, command, "");
	else if (at_once)
		say(d, DIALOGUE_AUTH, command, d->secret);
	else
		say(d, DIALOGUE_PLUS, command, "");
}

/*
 * PREAUTH would be somebody's session without any login, BYE is no service.
 * Without a list of capabilities the credentials wait for the server's "+",
 * which costs what asking for the list would.
 */
static void
hear_greeting(struct dialogue *d)
{
	const char *text = answer_after(d->line, "* OK");
	const char *list = NULL;
	struct capability offer = { 0 };

	if (text == NULL) {
		end(d, DIALOGUE_UNDECIDED, "not an IMAP greeting", d->line);
		return;
	}
	if (text[0] == '[' && strchr(text, ']') != NULL)
		list = answer_after(text + 1, "CAPABILITY");
	if (list != NULL) {
		offer = capability_read(list);
		hear_offer(d, &offer);
		if (dialogue_is_over(d))
			return;
	}
	if (d->aim == DIALOGUE_RELAY && list != NULL)
		begin_exchange(d);
	else if (d->aim == DIALOGUE_OFFERS || d->aim == DIALOGUE_RELAY)
		say(d, DIALOGUE_CAPABILITY, TAG_CAPABILITY " CAPABILITY", "");
	else if (list != NULL && !offer.plain)
		end(d, DIALOGUE_UNDECIDED, "AUTH=PLAIN is not offered", text);
	else if (list != NULL && offer.initial_response)
		say(d, DIALOGUE_AUTH, TAG_AUTH " AUTHENTICATE PLAIN ",
		    d->secret);
	else
		say(d, DIALOGUE_PLUS, TAG_AUTH " AUTHENTICATE PLAIN", "");
}

static enum dialogue_outcome
judge_no(const struct dialogue *d, const char *text)
{
	if (d->state == DIALOGUE_STATUS)
		return answer_about_mailbox(text);
	return d->aim == DIALOGUE_ACCOUNT ? answer_about_account(text)
					  : answer_about_login(text);
}

/* The tagged answer to a client's exchange. A refusal of somebody who has not
 * said a word is about nobody. */
static void
hear_relay_answer(struct dialogue *d, const char *answer)
{
	const char *text = answer_after(answer, "NO");

	d->answered = true;
	if (text != NULL && d->responses > 0)
		end(d, judge_no(d, text), "the server said", answer);
	else if (answer_after(answer, "OK") == NULL || d->bye)
		end(d, DIALOGUE_UNDECIDED, "the server said", answer);
	else if (d->denied ||
	    !challenge_is_complete(d->mechanism, d->challenges, d->responses,
		d->final))
		end(d, DIALOGUE_UNDECIDED, "out of its turn the server said",
		    answer);
	else
		end(d, DIALOGUE_VERIFIED, "the server said", answer);
}

/* The tagged answer to the command that was sent last. */
static void
hear_answer(struct dialogue *d, const char *answer)
{
	const char *text;

	if (d->state == DIALOGUE_CAPABILITY && d->aim == DIALOGUE_RELAY &&
	    d->listed && answer_after(answer, "OK") != NULL) {
		begin_exchange(d);
		return;
	}
	if (d->state == DIALOGUE_PLUS || d->state == DIALOGUE_CAPABILITY) {
		end(d, DIALOGUE_UNDECIDED,
		    d->state == DIALOGUE_PLUS ? "no login possible"
					      : "no capabilities",
		    answer);
		return;
	}
	if (d->aim == DIALOGUE_RELAY) {
		hear_relay_answer(d, answer);
		return;
	}
	d->answered = true;
	text = answer_after(answer, "NO");
	if (text != NULL) {
		end(d, judge_no(d, text), "the server said", answer);
		return;
	}
	if (answer_after(answer, "OK") == NULL || d->bye)
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
	const char *list = answer_after(text, "CAPABILITY");

	if (++d->untagged > DIALOGUE_UNTAGGED_MAX)
		end(d, DIALOGUE_UNDECIDED, "the server talks without end", "");
	else if (d->line_len > 0 && d->line[d->line_len - 1] == '}')
		end(d, DIALOGUE_UNDECIDED, "an unexpected literal", text);
	else if (answer_after(text, "BYE") != NULL)
		d->bye = true; /* a tagged NO may still come */
	else if (list != NULL && d->state == DIALOGUE_CAPABILITY &&
	    d->out_sent == d->out_len) {
		struct capability offer = capability_read(list);

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
	case DIALOGUE_CLIENT:
	case DIALOGUE_GREETING:
	case DIALOGUE_OVER:
		break;
	}
	return TAG_AUTH;
}

/* It is the client's turn. */
static void
put_challenge(struct dialogue *d, const char *text)
{
	memcpy(d->challenge, text, strlen(text) + 1);
	d->state = DIALOGUE_CLIENT;
}

/* The server says no by way of a challenge: what it waits for before it says so
 * plainly (RFC 7628, 3.2.3; of XOAUTH2 and SCRAM nothing). */
static void
answer_error(struct dialogue *d)
{
	d->denied = true;
	say(d, DIALOGUE_AUTH, d->mechanism == SASL_OAUTHBEARER ? "AQ==" : "",
	    "");
}

static void
hear_challenge(struct dialogue *d, const char *text)
{
	enum challenge kind =
	    challenge_judge(d->mechanism, ++d->challenges, text);

	if (d->denied)
		kind = CHALLENGE_NONSENSE;
	switch (kind) {
	case CHALLENGE_FINAL:
		d->final = true;
		put_challenge(d, text);
		return;
	case CHALLENGE_PUT:
		put_challenge(d, text);
		return;
	case CHALLENGE_ERROR:
		answer_error(d);
		return;
	case CHALLENGE_NONSENSE:
		break;
	}
	end(d, DIALOGUE_UNDECIDED, "a challenge that makes no sense", "");
}

/* "+", and what is behind it. */
static void
hear_plus(struct dialogue *d, const char *text)
{
	bool relay = d->aim == DIALOGUE_RELAY;

	if (d->state == DIALOGUE_PLUS && (!relay || text[0] == '\0'))
		say(d, DIALOGUE_AUTH, "", d->secret);
	else if (d->state == DIALOGUE_AUTH && relay)
		hear_challenge(d, text);
	else
		end(d, DIALOGUE_UNDECIDED, "not understood", d->line);
}

void
dialogue_respond(struct dialogue *d, const char *response)
{
	if (d->state != DIALOGUE_CLIENT)
		end(d, DIALOGUE_UNDECIDED, "an answer to no challenge", "");
	else if (take_message(d, response) == 0)
		say(d, DIALOGUE_AUTH, "", d->secret);
}

void
dialogue_cancel(struct dialogue *d)
{
	if (d->state == DIALOGUE_CLIENT)
		say(d, DIALOGUE_AUTH, "*", "");
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
	if (d->out_sent < d->out_len || d->state == DIALOGUE_CLIENT)
		end(d, DIALOGUE_UNDECIDED, "an answer to nothing", d->line);
	else if (strncmp(d->line, tag, n) == 0 && d->line[n] == ' ')
		hear_answer(d, d->line + n + 1);
	else if (d->id_asked && answer_after(d->line, TAG_ID) != NULL)
		d->id_asked = false; /* whatever it thinks of that */
	else if (answer_after(d->line, "+") != NULL)
		hear_plus(d, answer_after(d->line, "+"));
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
