/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds what MTAs say to the SASL service to its two readers. The first octet
 * chooses: 'm' is a request to saslauthd, anything else a line of Dovecot's
 * protocol. What is read must lie within what came, and nothing that a stranger
 * wrote (behind "resp=") may count as the MTA's word.
 */
#include "service/authline.h"
#include "service/mux.h"
#include "tests/fuzz/fuzz.h"

/* How often does the MTA's part of the line, behind word, id and mechanism,
 * have a field that begins so? */
static unsigned int
count(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);
	unsigned int found = 0, tabs = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] != '\t' || ++tabs <= 2)
			continue;
		if (len - i > 5 && memcmp(line + i, "\tresp=", 6) == 0)
			break;
		found += len - i > n && memcmp(line + i + 1, word, n) == 0;
	}
	return found;
}

static void
read_line(const char *line, size_t len)
{
	struct authline l;
	enum authline_command command = authline_parse(line, len, &l);

	REQUIRE(l.command == command);
	REQUIRE((command == AUTHLINE_BAD) == (l.why != NULL));
	if (command == AUTHLINE_BAD)
		return;
	REQUIRE(memchr(line, '\0', len) == NULL);
	REQUIRE(l.message >= line && l.message <= line + len);
	REQUIRE(l.message + l.message_len == line + len);
	if (l.message_len > 0)
		REQUIRE(command == AUTHLINE_AUTH || command == AUTHLINE_CONT);
	if (l.secured)
		REQUIRE(count(line, len, "secured") > 0);
	if (l.client.family != NETADDR_NONE)
		REQUIRE(count(line, len, "rip=") == 1);
}

static void
read_request(const char *request, size_t len)
{
	struct mux_request q;
	char login[MUX_LOGIN_MAX];
	size_t login_len;

	if (mux_parse(request, len, &q) != MUX_WHOLE)
		return;
	REQUIRE(
	    q.login_len + q.password_len + q.service_len + q.realm_len + 8 ==
	    len);
	REQUIRE(q.login == request + 2);
	REQUIRE(q.password == q.login + q.login_len + 2);
	REQUIRE(q.service == q.password + q.password_len + 2);
	REQUIRE(q.realm == q.service + q.service_len + 2);
	for (size_t i = 0; i < len; i++) {
		struct mux_request part;

		REQUIRE(mux_parse(request, i, &part) == MUX_PART);
	}
	login_len = mux_login(&q, login);
	REQUIRE(login_len <= MUX_LOGIN_MAX);
	if (login_len == MUX_LOGIN_MAX) {
		REQUIRE(q.login_len > LOGIN_MAX || q.realm_len > LOGIN_MAX);
		return;
	}
	REQUIRE(memcmp(login, q.login, q.login_len) == 0);
	REQUIRE(login_len == q.login_len ||
	    login_len == q.login_len + 1 + q.realm_len);
	if (login_len > q.login_len) {
		REQUIRE(login[q.login_len] == '@');
		REQUIRE(
		    memcmp(login + q.login_len + 1, q.realm, q.realm_len) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size == 0)
		return 0;
	copy = fuzz_copy(data, size);
	if (*copy == 'm')
		read_request(copy + 1, size - 1);
	else
		read_line(copy + 1, size - 1);
	free(copy);
	return 0;
}
