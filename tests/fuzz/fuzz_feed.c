/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds what IMAP servers write about logins to its readers. The first octet
 * chooses: 'e' is an event of Dovecot's exporter or what looks like a report,
 * 'p' a report of auth_policy, anything else a line of a log. Whoever is said
 * to have logged in must be the only one whom the line can mean: one name, one
 * address, each at its place.
 */
#include "gate/feed.h"
#include "tests/fuzz/fuzz.h"

static unsigned int
count(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);
	unsigned int found = 0;

	for (size_t i = 0; i + n <= len; i++)
		found += memcmp(text + i, word, n) == 0;
	return found;
}

static void
read_report(const char *text, size_t len, bool report)
{
	struct feed_login login;
	const char *why = NULL;
	enum feed feed = feed_json(text, len, report, &login, &why);

	REQUIRE(why != NULL && (feed == FEED_LOGIN) == (*why == '\0'));
	REQUIRE(memchr(login.user, '\0', sizeof(login.user)) != NULL);
	REQUIRE(memchr(login.addr, '\0', sizeof(login.addr)) != NULL);
	if (feed == FEED_LOGIN && memchr(text, '\\', len) == NULL) {
		REQUIRE(count(text, len, "success") > 0);
		REQUIRE(count(text, len, "true") > 0 ||
		    (!report && count(text, len, "yes") > 0));
	}
}

static void
read_line(const char *line, size_t len)
{
	char place[2 * FEED_USER_MAX];
	struct feed_login login;

	if (!feed_line(line, len, &login)) {
		REQUIRE(login.user[0] == '\0' && login.addr[0] == '\0');
		return;
	}
	REQUIRE(login.user[0] != '\0' && login.addr[0] != '\0');
	REQUIRE(memchr(line, '\0', len) == NULL);
	if (strcmp(login.source, "dovecot") == 0) {
		REQUIRE(count(line, len, ", rip=") == 1);
		REQUIRE(count(line, len, ": user=<") == 1);
		(void)snprintf(place, sizeof(place),
		    "user=<%s>, method=", login.user);
		REQUIRE(count(line, len, place) == 1);
		(void)snprintf(place, sizeof(place),
		    ", rip=%s, lip=", login.addr);
		REQUIRE(count(line, len, place) == 1);
	} else {
		REQUIRE(count(line, len, "] ") == 1);
		REQUIRE(count(line, len, ": login: ") == 1);
		(void)snprintf(place, sizeof(place), " [%s] %s ", login.addr,
		    login.user);
		REQUIRE(count(line, len, place) == 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size == 0)
		return 0;
	copy = fuzz_copy(data, size);
	if (copy[0] == 'e' || copy[0] == 'p')
		read_report(copy + 1, size - 1, copy[0] == 'p');
	else
		read_line(copy + 1, size - 1);
	free(copy);
	return 0;
}
