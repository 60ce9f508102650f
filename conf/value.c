/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The values of options, from text. Strict, and without a look at the host:
 * whether a name resolves or a file exists is not judged here.
 */
#include "conf/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define HOST_MAX     253
#define FD_MIN       3
#define FD_MAX       1023
#define REDIS_DB_MAX 65535

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* More than any option takes, and far from an overflow. */
#define NUMBER_MAX UINT64_C(9999999999999)

/* The octets of POSIX's portable names (3.282). */
static const char portable[] = "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789._-";

/* The digits at the start of text; end_r is what follows them. */
static int
leading_number(const char *text, uint64_t *number_r, const char **end_r)
{
	uint64_t n = 0;
	const char *p = text;

	for (; is_digit(*p); p++) {
		if (n > NUMBER_MAX / 10)
			return -1;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	if (p == text || (*text == '0' && p - text > 1))
		return -1;
	*number_r = n;
	*end_r = p;
	return 0;
}

int
value_number(const char *text, uint64_t *number_r)
{
	const char *end;

	if (leading_number(text, number_r, &end) < 0 || *end != '\0')
		return -1;
	return 0;
}

static const struct {
	char letter;
	uint64_t ms;
} units[] = {
	{ 'd', 86400000 },
	{ 'h', 3600000 },
	{ 'm', 60000 },
	{ 's', 1000 },
};

int
value_duration(const char *text, uint64_t *ms_r)
{
	uint64_t n;
	const char *end;

	if (leading_number(text, &n, &end) < 0 || *end == '\0' ||
	    end[1] != '\0')
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].letter == *end && n <= UINT64_MAX / units[i].ms) {
			*ms_r = n * units[i].ms;
			return 0;
		}
	}
	return -1;
}

void
value_duration_format(uint64_t ms, char text_r[VALUE_DURATION_MAX])
{
	size_t i = 0, last = sizeof(units) / sizeof(units[0]) - 1;

	while (i < last && (ms == 0 || ms % units[i].ms != 0))
		i++;
	(void)snprintf(text_r, VALUE_DURATION_MAX, "%llu%c",
	    (unsigned long long)(ms / units[i].ms), units[i].letter);
}

int
value_rate(const char *text, uint64_t *count_r, uint64_t *window_ms_r)
{
	const char *slash;

	if (leading_number(text, count_r, &slash) < 0 || *slash != '/')
		return -1;
	return value_duration(slash + 1, window_ms_r);
}

int
value_socket_mode(const char *text, unsigned int *mode_r, struct err *e)
{
	const char *digits = text;
	unsigned int mode = 0;

	if (strlen(text) == 4 && *text == '0')
		digits++;
	if (strlen(digits) != 3 || strspn(digits, "01234567") != 3) {
		err_set(e, "is no file mode in octal");
		return -1;
	}
	for (; *digits != '\0'; digits++)
		mode = mode * 8 + (unsigned int)(*digits - '0');
	*mode_r = mode;
	return 0;
}

int
value_word(const char *words, const char *text, unsigned int *index_r)
{
	size_t len = strlen(text);
	unsigned int i = 0;

	for (const char *p = words; *p != '\0'; i++) {
		size_t n = strcspn(p, " ");

		if (n == len && memcmp(p, text, n) == 0) {
			*index_r = i;
			return 0;
		}
		p += n;
		p += strspn(p, " |");
	}
	return -1;
}

/* A host name of letters, digits, hyphens and dots; its last label is not all
 * digits, so that no odd spelling of an IPv4 address passes for a name. */
static bool
is_host_name(const char *host)
{
	size_t label = 0;
	bool letters = false;

	if (strlen(host) > HOST_MAX)
		return false;
	for (const char *p = host; *p != '\0'; p++) {
		if (*p == '.') {
			if (label == 0 || p[-1] == '-')
				return false;
			label = 0;
			letters = false;
			continue;
		}
		if (!is_alnum(*p) && (*p != '-' || label == 0))
			return false;
		letters = letters || !is_digit(*p);
		label++;
		if (label > 63)
			return false;
	}
	return label > 0 && letters && host[strlen(host) - 1] != '-';
}

static bool
is_address(int family, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(family, text, address) == 1;
}

static int
parse_port(const char *text, const char **end_r, struct err *e)
{
	uint64_t port;

	if (leading_number(text, &port, end_r) < 0 || port < 1 ||
	    port > 65535) {
		err_set(e, "has no port from 1 to 65535");
		return -1;
	}
	return 0;
}

/* PORT@HOST */
static int
check_inet(int family, const char *text, struct err *e)
{
	const char *at;

	if (parse_port(text, &at, e) < 0)
		return -1;
	if (*at == '\0') {
		err_set(e, "has no host, and would listen on every address");
		return -1;
	}
	if (*at != '@') {
		err_set(e, "has no port from 1 to 65535");
		return -1;
	}
	if (!is_address(family, at + 1) && !is_host_name(at + 1)) {
		err_set(e, "has neither an %s address nor a host name after @",
		    family == AF_INET ? "IPv4" : "IPv6");
		return -1;
	}
	return 0;
}

static int
check_unix(const char *path, struct err *e)
{
	const size_t size = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	if (*path != '/') {
		err_set(e, "has no absolute path");
		return -1;
	}
	if (strlen(path) >= size) {
		err_set(e, "has a path longer than %zu octets", size - 1);
		return -1;
	}
	return 0;
}

int
value_listen(const char *text, struct err *e)
{
	uint64_t fd;

	if (strncmp(text, "unix:", 5) == 0)
		return check_unix(text + 5, e);
	if (strncmp(text, "inet:", 5) == 0)
		return check_inet(AF_INET, text + 5, e);
	if (strncmp(text, "inet6:", 6) == 0)
		return check_inet(AF_INET6, text + 6, e);
	if (strncmp(text, "fd:", 3) != 0) {
		err_set(e, "is no socket");
		return -1;
	}
	if (value_number(text + 3, &fd) < 0 || fd < FD_MIN || fd > FD_MAX) {
		err_set(e, "has no descriptor from %d to %d", FD_MIN, FD_MAX);
		return -1;
	}
	return 0;
}

/* Is it loopback, as it is written? Names are not looked up. */
static bool
is_loopback(int family, const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (family == AF_INET)
		return inet_pton(AF_INET, host, &v4) == 1 &&
		    ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int
value_listen_local(const char *text, struct err *e)
{
	int family = strncmp(text, "inet6:", 6) == 0 ? AF_INET6 : AF_INET;
	const char *host;

	if (strncmp(text, "fd:", 3) == 0) {
		err_set(e, "is a socket that somebody else has made");
		return -1;
	}
	if (value_listen(text, e) < 0)
		return -1;
	host = strchr(text, '@');
	if (strncmp(text, "unix:", 5) == 0 || host == NULL ||
	    is_loopback(family, host + 1))
		return 0;
	err_set(e,
	    "would cross the network in clear text, for %.255s is not "
	    "loopback",
	    host + 1);
	return -1;
}

/* [ADDRESS] at the start of text. */
static int
check_bracketed(const char *text, const char **end_r, struct err *e)
{
	char address[INET6_ADDRSTRLEN] = "";
	const char *close = strchr(text, ']');
	size_t len = close == NULL ? 0 : (size_t)(close - text - 1);

	if (len > 0 && len < sizeof(address))
		memcpy(address, text + 1, len);
	if (!is_address(AF_INET6, address)) {
		err_set(e, "has no IPv6 address in its brackets");
		return -1;
	}
	*end_r = close + 1;
	return 0;
}

/* Nothing or :PORT, and what comes after. */
static int
check_port(const char *text, const char **end_r, struct err *e)
{
	*end_r = text;
	if (*text == '\0' || *text == '/')
		return 0;
	if (*text == ':' && parse_port(text + 1, end_r, e) == 0 &&
	    (**end_r == '\0' || **end_r == '/'))
		return 0;
	err_set(e, "has no port from 1 to 65535 after its host");
	return -1;
}

/* HOST[:PORT][/DB]; whether there is such a host is for the store to find. A
 * container's name may have an underscore. */
static int
check_redis_place(const char *text, struct err *e)
{
	const char *end = text + strspn(text, portable);
	uint64_t db;

	if (*text == '[') {
		if (check_bracketed(text, &end, e) < 0)
			return -1;
	} else if (end == text || strchr(":/", *end) == NULL) {
		err_set(e, "has neither a host name nor an address");
		return -1;
	}
	if (check_port(end, &end, e) < 0)
		return -1;
	if (*end == '\0' || end[1] == '\0' ||
	    (value_number(end + 1, &db) == 0 && db <= REDIS_DB_MAX))
		return 0;
	err_set(e, "has no database from 0 to %d after its host", REDIS_DB_MAX);
	return -1;
}

/* The rest is for the store to understand. */
static int
check_redis(const char *text, struct err *e)
{
	const char *place = strrchr(text, '@');

	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f) {
			err_set(e, "has an octet that no URL has");
			return -1;
		}
	}
	place = place != NULL ? place + 1 : text;
	if (*place == '\0') {
		err_set(e, "names no host");
		return -1;
	}
	return *place == '/' ? 0 : check_redis_place(place, e);
}

int
value_store_url(const char *text, struct err *e)
{
	if (strncmp(text, "redis://", 8) == 0)
		return check_redis(text + 8, e);
	if (strncmp(text, "rediss://", 9) == 0)
		return check_redis(text + 9, e);
	if (strncmp(text, "lmdb:", 5) != 0) {
		err_set(e, "is no store that postern knows");
		return -1;
	}
	return text[5] == '\0' ? 0 : value_absolute_path(text + 5, e);
}

int
value_imap_url(const char *text, struct err *e)
{
	const char *host, *end;
	char name[HOST_MAX + 1] = "";

	if (strncmp(text, "imaps://", 8) == 0) {
		host = text + 8;
	} else if (strncmp(text, "imap://", 7) == 0) {
		host = text + 7;
	} else {
		err_set(e, "begins neither with imaps:// nor with imap://");
		return -1;
	}
	if (strpbrk(host, "@/?#;") != NULL) {
		err_set(e, "has more than a host and a port");
		return -1;
	}
	if (*host == '[') {
		if (check_bracketed(host, &end, e) < 0)
			return -1;
	} else {
		size_t len = strcspn(host, ":");

		if (len <= HOST_MAX)
			memcpy(name, host, len);
		if (!is_host_name(name) && !is_address(AF_INET, name)) {
			err_set(e, "has neither a host name nor an address");
			return -1;
		}
		end = host + len;
	}
	return check_port(end, &end, e);
}

int
value_mechanism(const char *text, char name_r[VALUE_MECHANISM_MAX + 1],
    struct err *e)
{
	size_t len = strlen(text);

	if (len < 1 || len > VALUE_MECHANISM_MAX) {
		err_set(e, "is not 1 to %d characters", VALUE_MECHANISM_MAX);
		return -1;
	}
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_') {
			err_set(e, "is no name of a SASL mechanism");
			return -1;
		}
		name_r[i] = (char)toupper((unsigned char)text[i]);
	}
	name_r[len] = '\0';
	if (strcmp(name_r, "ANONYMOUS") == 0) {
		err_set(e, "is no login: everybody has it");
		return -1;
	}
	if (strcmp(name_r, "XCLIENT") == 0) {
		err_set(e, "is no login: another host only reports one");
		return -1;
	}
	return 0;
}

int
value_absolute_path(const char *text, struct err *e)
{
	if (*text != '/') {
		err_set(e, "does not begin with /");
		return -1;
	}
	if (strlen(text) >= PATH_MAX) {
		err_set(e, "is too long for a path");
		return -1;
	}
	return 0;
}

int
value_separator(const char *text, struct err *e)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || is_alnum(*p) || *p == '@') {
			err_set(e, "would be found in ordinary logins");
			return -1;
		}
	}
	return 0;
}

/* POSIX's portable user names (3.437). */
int
value_name(const char *text, struct err *e)
{
	if (*text == '-' || text[strspn(text, portable)] != '\0') {
		err_set(e, "is no name of a user or group");
		return -1;
	}
	return 0;
}
