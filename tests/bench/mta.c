/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an MTA says to a milter, step by step: Postfix's macros in front of each
 * command (or those that the filter asked for), steps that the filter does not
 * want left out. Bytes only: it must not touch a socket or a clock.
 */
#include "tests/bench/mta.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libmilter/mfdef.h>

#define HEADER_COUNT 3

static const struct {
	char command;
	uint32_t no_step;
	uint32_t no_reply;
	bool waits_for_client; /* a round trip of the SMTP client before it */
} steps[STEP_COUNT] = {
	[STEP_NEGOTIATE] = { SMFIC_OPTNEG, 0, 0, false },
	[STEP_CONNECT] = { SMFIC_CONNECT, SMFIP_NOCONNECT, SMFIP_NR_CONN,
	    false },
	[STEP_HELO] = { SMFIC_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, true },
	[STEP_HELO_TLS] = { SMFIC_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, true },
	[STEP_MAIL] = { SMFIC_MAIL, SMFIP_NOMAIL, SMFIP_NR_MAIL, true },
	[STEP_RCPT] = { SMFIC_RCPT, SMFIP_NORCPT, SMFIP_NR_RCPT, true },
	[STEP_DATA] = { SMFIC_DATA, SMFIP_NODATA, SMFIP_NR_DATA, true },
	[STEP_HEADERS] = { SMFIC_HEADER, SMFIP_NOHDRS, SMFIP_NR_HDR, true },
	[STEP_EOH] = { SMFIC_EOH, SMFIP_NOEOH, SMFIP_NR_EOH, false },
	[STEP_BODY] = { SMFIC_BODY, SMFIP_NOBODY, SMFIP_NR_BODY, false },
	[STEP_EOM] = { SMFIC_BODYEOB, 0, 0, false },
	[STEP_QUIT] = { SMFIC_QUIT, 0, 0, true },
};

/* Macro lists as Postfix has them, until the filter asks for others. */
static const char *const default_macros[STEP_COUNT] = {
	[STEP_CONNECT] = "j {daemon_name} {daemon_addr} v _",
	[STEP_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} "
		      "{cert_issuer}",
	[STEP_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_addr} "
		      "{mail_host} {mail_mailer}",
	[STEP_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[STEP_DATA] = "i",
	[STEP_EOH] = "i",
	[STEP_EOM] = "i",
};

static void
put(struct mta *m, const void *octets, size_t len)
{
	assert(m->length + len <= sizeof(m->out));
	memcpy(m->out + m->length, octets, len);
	m->length += len;
}

static void
put_u32(struct mta *m, uint32_t value)
{
	uint32_t wire = htonl(value);

	put(m, &wire, sizeof(wire));
}

static void
put_string(struct mta *m, const char *text)
{
	put(m, text, strlen(text) + 1);
}

/* Opens a packet; its length is written by packet_end(). */
static size_t
packet_begin(struct mta *m, char command)
{
	size_t at = m->length;

	put_u32(m, 0);
	put(m, &command, 1);
	return at;
}

static void
packet_end(struct mta *m, size_t at)
{
	uint32_t wire = htonl((uint32_t)(m->length - at - 4));

	memcpy(m->out + at, &wire, sizeof(wire));
}

/* The value of a macro now, NULL when the MTA has none. */
static const char *
macro_value(const struct mta *m, const char *name)
{
	static const struct {
		const char *name, *value;
		enum step from;
		bool tls, login;
	} table[] = {
		{ "j", "mail.example.org", STEP_CONNECT, false, false },
		{ "v", "Postfix 3.7.11", STEP_CONNECT, false, false },
		{ "_", "client.example [192.0.2.1]", STEP_CONNECT, false,
		    false },
		{ "{daemon_name}", "submission", STEP_CONNECT, false, false },
		{ "{daemon_addr}", "192.0.2.25", STEP_CONNECT, false, false },
		{ "{client_name}", "client.example", STEP_CONNECT, false,
		    false },
		{ "{tls_version}", "TLSv1.3", STEP_HELO_TLS, true, false },
		{ "{cipher}", "TLS_AES_256_GCM_SHA384", STEP_HELO_TLS, true,
		    false },
		{ "{cipher_bits}", "256", STEP_HELO_TLS, true, false },
		{ "{auth_type}", "PLAIN", STEP_MAIL, true, true },
		{ "{auth_authen}", NULL, STEP_MAIL, true, true },
		{ "{mail_addr}", "alice@example.org", STEP_MAIL, false, false },
		{ "{mail_host}", "example.org", STEP_MAIL, false, false },
		{ "{mail_mailer}", "smtp", STEP_MAIL, false, false },
		{ "{rcpt_addr}", "bob@remote.example", STEP_RCPT, false,
		    false },
		{ "{rcpt_host}", "remote.example", STEP_RCPT, false, false },
		{ "{rcpt_mailer}", "smtp", STEP_RCPT, false, false },
		{ "i", "3F2A1B0C4D", STEP_DATA, false, false },
		{ "{i}", "3F2A1B0C4D", STEP_DATA, false, false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) != 0)
			continue;
		if (m->step < table[i].from || (table[i].tls && !m->secured) ||
		    (table[i].login && !m->client->login))
			return NULL;
		return table[i].value != NULL ? table[i].value
					      : m->client->login_name;
	}
	return NULL;
}

static void
put_macros(struct mta *m)
{
	enum step stage = m->step == STEP_HELO_TLS ? STEP_HELO : m->step;
	const char *names =
	    m->macros[stage] != NULL ? m->macros[stage] : default_macros[stage];
	char list[1024], *save = NULL;
	size_t at, empty;

	if (names == NULL || strlen(names) >= sizeof(list))
		return;
	memcpy(list, names, strlen(names) + 1);
	at = packet_begin(m, SMFIC_MACRO);
	put(m, &steps[m->step].command, 1);
	empty = m->length;
	for (char *name = strtok_r(list, " ", &save); name != NULL;
	     name = strtok_r(NULL, " ", &save)) {
		const char *value = macro_value(m, name);

		if (value == NULL)
			continue;
		put_string(m, name);
		put_string(m, value);
	}
	if (m->length == empty)
		m->length = at; /* Postfix sends no empty list */
	else
		packet_end(m, at);
}

static void
put_connect(struct mta *m)
{
	static const char family = SMFIA_INET;
	uint16_t port = htons(40000);
	char text[INET_ADDRSTRLEN];
	struct in_addr address = { .s_addr = htonl(m->address) };

	put_string(m, "client.example");
	put(m, &family, 1);
	put(m, &port, sizeof(port));
	put_string(m, inet_ntop(AF_INET, &address, text, sizeof(text)));
}

static void
put_header(struct mta *m)
{
	static const char *const headers[HEADER_COUNT][2] = {
		{ "From", "Alice <alice@example.org>" },
		{ "To", "Bob <bob@remote.example>" },
		{ "Subject", "a message for the bench" },
	};

	put_string(m, headers[m->repeats % HEADER_COUNT][0]);
	put_string(m, headers[m->repeats % HEADER_COUNT][1]);
}

static void
put_step(struct mta *m)
{
	size_t at = packet_begin(m, steps[m->step].command);

	switch (m->step) {
	case STEP_NEGOTIATE:
		put_u32(m, 6);
		put_u32(m, m->client->plain_offer ? 0xff : 0x1ff);
		put_u32(m,
		    m->client->plain_offer ? SMFI_CURR_PROT & ~SMFIP_NR_HELO
					   : SMFI_CURR_PROT);
		break;
	case STEP_CONNECT:
		put_connect(m);
		break;
	case STEP_HELO:
	case STEP_HELO_TLS:
		put_string(m, "client.example");
		break;
	case STEP_MAIL:
		put_string(m, "<alice@example.org>");
		put_string(m, "SIZE=2000");
		break;
	case STEP_RCPT:
		put_string(m, "<bob@remote.example>");
		break;
	case STEP_HEADERS:
		put_header(m);
		break;
	case STEP_BODY:
		put(m, "Hello\r\n", 7);
		break;
	case STEP_DATA:
	case STEP_EOH:
	case STEP_EOM:
	case STEP_QUIT:
	case STEP_COUNT:
		break;
	}
	packet_end(m, at);
}

void
mta_begin(struct mta *m, const struct mta_client *client, uint32_t address)
{
	memset(m, 0, sizeof(*m));
	m->client = client;
	m->address = address;
	put_step(m);
}

void
mta_end(struct mta *m)
{
	for (int i = 0; i < STEP_COUNT; i++) {
		free(m->macros[i]);
		m->macros[i] = NULL;
	}
}

int
mta_negotiated(struct mta *m, const unsigned char *data, size_t len)
{
	static const enum step stages[] = { STEP_CONNECT, STEP_HELO, STEP_MAIL,
		STEP_RCPT, STEP_DATA, STEP_EOM, STEP_EOH };
	uint32_t word;
	size_t at = 12;

	if (len < 12)
		return -1;
	memcpy(&word, data + 8, 4);
	m->protocol = ntohl(word);
	while (at + 4 < len) {
		const char *text = (const char *)data + at + 4;
		size_t n = strnlen(text, len - at - 4);

		memcpy(&word, data + at, 4);
		word = ntohl(word);
		if (word < sizeof(stages) / sizeof(stages[0])) {
			free(m->macros[stages[word]]);
			m->macros[stages[word]] = strndup(text, n);
		}
		at += 4 + n + 1;
	}
	return 0;
}

/* Does the session take the step at all? */
static bool
step_happens(const struct mta *m, enum step step)
{
	return step != STEP_HELO_TLS || m->client->login;
}

void
mta_advance(struct mta *m)
{
	unsigned int times = m->step == STEP_RCPT ? m->client->recipients
	    : m->step == STEP_HEADERS             ? HEADER_COUNT
						  : 1;

	if (++m->repeats < times)
		return;
	m->repeats = 0;
	do {
		m->step++;
	} while (!step_happens(m, m->step));
	if (m->step == STEP_HELO_TLS)
		m->secured = true;
}

bool
mta_take_step(struct mta *m)
{
	put_macros(m);
	if ((m->protocol & steps[m->step].no_step) != 0)
		return false;
	put_step(m);
	return (m->protocol & steps[m->step].no_reply) == 0;
}

bool
mta_waits_for_client(const struct mta *m)
{
	return steps[m->step].waits_for_client;
}
