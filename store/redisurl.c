/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes a Redis URL apart. Strict: what is not understood is an error, and
 * nothing of a URL that may hold a password is repeated.
 */
#include "store/redisurl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT    "6379"
#define DB_MAX  65535
#define URL_MAX 1000

static const char plain[] = "redis://";
static const char secure[] = "rediss://";

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool
redisurl_is_one(const char *text)
{
	return begins(text, plain) || begins(text, secure);
}

/* All of the text, without sign or leading zeros. */
static int
parse_number(const char *text, unsigned long max, unsigned long *n_r)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0' ||
	    (len > 1 && text[0] == '0'))
		return -1;
	*n_r = strtoul(text, NULL, 10);
	return *n_r <= max ? 0 : -1;
}

static int
parse_db(const char *text, struct redisurl *url, struct err *e)
{
	unsigned long n;

	if (parse_number(text, DB_MAX, &n) != 0) {
		err_set(e, "the database is not a number up to %d", DB_MAX);
		return -1;
	}
	url->db = (unsigned int)n;
	return 0;
}

static int
parse_port(const char *text, struct redisurl *url, struct err *e)
{
	unsigned long n;

	if (parse_number(text, 65535, &n) != 0 || n == 0) {
		err_set(e, "the port is not a number from 1 to 65535");
		return -1;
	}
	(void)snprintf(url->port, sizeof(url->port), "%.5s", text);
	return 0;
}

/* Cuts USER@ off; NULL with the reason in e. */
static char *
parse_user(char *text, struct redisurl *url, struct err *e)
{
	char *at = strrchr(text, '@');

	if (at == NULL)
		return text;
	*at = '\0';
	if (strchr(text, ':') != NULL) {
		err_set(e,
		    "a password does not belong in the URL, which others may "
		    "read: put it into a file (store.password_file)");
		return NULL;
	}
	if (text[0] == '\0' || strlen(text) >= sizeof(url->user) ||
	    strpbrk(text, "/?%") != NULL) {
		err_set(e, "the user before the @ is not a plain name");
		return NULL;
	}
	memcpy(url->user, text, strlen(text) + 1);
	return at + 1;
}

static int
parse_socket(char *path, struct redisurl *url, struct err *e)
{
	char *query = strchr(path, '?');

	if (url->tls) {
		err_set(e, "a UNIX socket has no TLS: redis:///PATH");
		return -1;
	}
	if (query != NULL) {
		*query = '\0';
		if (!begins(query + 1, "db=")) {
			err_set(e, "after the ? of a socket comes db=NUMBER");
			return -1;
		}
		if (parse_db(query + 4, url, e) != 0)
			return -1;
	}
	if (path[1] == '\0' || strlen(path) >= sizeof(url->socket)) {
		err_set(e, "the socket's path is too short or too long");
		return -1;
	}
	memcpy(url->socket, path, strlen(path) + 1);
	return 0;
}

/* The host at the start of text; its end, or NULL. */
static char *
parse_host(char *text, struct redisurl *url)
{
	bool bracketed = text[0] == '[';
	char *host = text + bracketed;
	size_t len = bracketed ? strspn(host, "0123456789abcdefABCDEF:.")
			       : strspn(host,
				     "0123456789abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._");

	if (len == 0 || len >= sizeof(url->host) ||
	    (bracketed && host[len] != ']'))
		return NULL;
	memcpy(url->host, host, len);
	url->host[len] = '\0';
	return host + len + bracketed;
}

static int
parse_place(char *text, struct redisurl *url, struct err *e)
{
	char *rest, *slash;

	if (text[0] == '/')
		return parse_socket(text, url, e);
	rest = parse_host(text, url);
	if (rest == NULL ||
	    (rest[0] != '\0' && rest[0] != ':' && rest[0] != '/')) {
		err_set(e, "the host is not a name or an address");
		return -1;
	}
	slash = strchr(rest, '/');
	if (slash != NULL)
		*slash++ = '\0';
	(void)snprintf(url->port, sizeof(url->port), "%s", PORT);
	if (rest[0] == ':' && parse_port(rest + 1, url, e) != 0)
		return -1;
	if (slash != NULL && slash[0] != '\0')
		return parse_db(slash, url, e);
	return 0;
}

int
redisurl_parse(const char *text, struct redisurl *url_r, struct err *e)
{
	char copy[URL_MAX + 1];
	char *rest;

	memset(url_r, 0, sizeof(*url_r));
	if (!redisurl_is_one(text)) {
		err_set(e, "it does not begin with redis:// or rediss://");
		return -1;
	}
	url_r->tls = begins(text, secure);
	text += url_r->tls ? strlen(secure) : strlen(plain);
	if (strlen(text) > URL_MAX) {
		err_set(e, "it is too long");
		return -1;
	}
	(void)snprintf(copy, sizeof(copy), "%s", text);
	rest = parse_user(copy, url_r, e);
	return rest == NULL ? -1 : parse_place(rest, url_r, e);
}
