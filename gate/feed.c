/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readers of what IMAP servers say of logins. A line of a log is read strictly
 * from its start, every byte accounted for until its end: a user name, a host
 * name or a failed login that quotes a whole line must not be able to pass for
 * one. Nothing is judged that can be judged without knowing the format.
 */
#include "gate/feed.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* --- JSON --- */

static bool
copy_text(const json_t *value, char *copy_r, size_t size)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (text == NULL || len >= size || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(copy_r, text, len + 1);
	return true;
}

static bool
is_text(const json_t *value, const char *want)
{
	return json_is_string(value) &&
	    strcmp(json_string_value(value), want) == 0;
}

static bool
is_mail_access(const json_t *service)
{
	return is_text(service, "imap") || is_text(service, "pop3");
}

static enum feed
ignore(const char **why_r, const char *why)
{
	*why_r = why;
	return FEED_IGNORED;
}

static enum feed
malformed(const char **why_r, const char *why)
{
	*why_r = why;
	return FEED_MALFORMED;
}

/* auth_policy_request_attributes can be changed, but
 * these names are needed. */
static enum feed
read_policy(const json_t *report, struct feed_login *login_r,
    const char **why_r)
{
	const json_t *success = json_object_get(report, "success");
	const json_t *reject = json_object_get(report, "policy_reject");

	if (!json_is_boolean(success))
		return malformed(why_r, "no \"success\"");
	if (!json_is_true(success))
		return ignore(why_r, "a failed login");
	if (reject != NULL && !json_is_false(reject))
		return ignore(why_r, "a login that policy rejected");
	if (!is_mail_access(json_object_get(report, "protocol")))
		return ignore(why_r, "neither IMAP nor POP3");
	if (!copy_text(json_object_get(report, "login"), login_r->user,
		sizeof(login_r->user)) ||
	    !copy_text(json_object_get(report, "remote"), login_r->addr,
		sizeof(login_r->addr)))
		return malformed(why_r, "no \"login\" or no \"remote\"");
	return FEED_LOGIN;
}

/* Behind a trusted proxy the client's address is what that has said, and the
 * proxy's is beside it. */
static void
read_via(const json_t *fields, struct feed_login *login_r)
{
	const json_t *real = json_object_get(fields, "real_remote_ip");

	if (real != NULL && !is_text(real, login_r->addr) &&
	    !copy_text(real, login_r->via, sizeof(login_r->via)))
		(void)snprintf(login_r->via, sizeof(login_r->via), "?");
}

/* A master user's login is not the user's. The event names the user after all
 * rewriting, and the client behind a trusted proxy. */
static enum feed
read_event(const json_t *report, struct feed_login *login_r, const char **why_r)
{
	const json_t *fields = json_object_get(report, "fields");
	const json_t *master;

	if (!is_text(json_object_get(report, "event"), "auth_request_finished"))
		return ignore(why_r, "another event");
	if (!json_is_object(fields))
		return malformed(why_r, "no \"fields\"");
	if (!is_text(json_object_get(fields, "success"), "yes"))
		return ignore(why_r, "a failed login");
	if (!is_mail_access(json_object_get(fields, "service")))
		return ignore(why_r, "neither IMAP nor POP3");
	master = json_object_get(fields, "master_user");
	if (master != NULL && !is_text(master, ""))
		return ignore(why_r, "a master user's login");
	if (!copy_text(json_object_get(fields, "user"), login_r->user,
		sizeof(login_r->user)) ||
	    !copy_text(json_object_get(fields, "remote_ip"), login_r->addr,
		sizeof(login_r->addr)))
		return malformed(why_r, "no \"user\" or no \"remote_ip\"");
	read_via(fields, login_r);
	return FEED_LOGIN;
}

enum feed
feed_json(const char *text, size_t len, bool report, struct feed_login *login_r,
    const char **why_r)
{
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	enum feed feed;

	memset(login_r, 0, sizeof(*login_r));
	login_r->source = "dovecot";
	*why_r = "";
	if (!json_is_object(object))
		feed = malformed(why_r, "no JSON object");
	else if (report)
		feed = read_policy(object, login_r, why_r);
	else if (json_object_get(object, "event") != NULL)
		feed = read_event(object, login_r, why_r);
	else if (json_is_boolean(json_object_get(object, "success")))
		feed = read_policy(object, login_r, why_r);
	else
		feed = malformed(why_r, "neither \"event\" nor \"success\"");
	json_decref(object);
	return feed;
}

/* --- lines --- */

struct cursor {
	const char *p;
	const char *end;
};

#define DIGITS   "0123456789"
#define LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define HOSTNAME DIGITS LETTERS "-._"
#define ADDRESS  DIGITS "abcdefABCDEF.:"

static bool
take(struct cursor *c, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(c->end - c->p) < len || memcmp(c->p, text, len) != 0)
		return false;
	c->p += len;
	return true;
}

/* At least one octet, of these alone; the first that is not one of them ends
 * it. */
static size_t
take_any(struct cursor *c, const char *octets)
{
	const char *from = c->p;

	while (c->p < c->end && *c->p != '\0' && strchr(octets, *c->p) != NULL)
		c->p++;
	return (size_t)(c->p - from);
}

static bool
take_copy(struct cursor *c, const char *octets, char *copy_r, size_t size)
{
	const char *from = c->p;
	size_t len = take_any(c, octets);

	if (len == 0 || len >= size)
		return false;
	memcpy(copy_r, from, len);
	copy_r[len] = '\0';
	return true;
}

/* A user name ends where the format goes on; none of the format's own octets,
 * no blank and no control may be in it. */
static bool
take_user(struct cursor *c, char user_r[FEED_USER_MAX + 1])
{
	const char *from = c->p;
	size_t len;

	while (c->p < c->end && (unsigned char)*c->p > 0x20 && *c->p != 0x7f &&
	    strchr("<>,;\"'\\()[]{}=", *c->p) == NULL)
		c->p++;
	len = (size_t)(c->p - from);
	if (len == 0 || len > FEED_USER_MAX)
		return false;
	memcpy(user_r, from, len);
	user_r[len] = '\0';
	return true;
}

/* "Nov 21 14:00:00 ", "2026-11-21T14:00:00.123456+00:00 ",
 * "2026-11-21 14:00:00 ". */
static bool
take_time(struct cursor *c)
{
	struct cursor try = *c;

	if (take_any(&try, LETTERS) == 3 && take(&try, " ")) {
		(void)take(&try, " ");
		if (take_any(&try, DIGITS) == 0 || !take(&try, " "))
			return false;
	} else {
		try = *c;
		if (take_any(&try, DIGITS "-") != 10 ||
		    (!take(&try, "T") && !take(&try, " ")))
			return false;
	}
	if (take_any(&try, DIGITS ":.+-Z") < 8 || !take(&try, " "))
		return false;
	*c = try;
	return true;
}

/* "[123]", or nothing */
static bool
take_pid(struct cursor *c)
{
	if (!take(c, "["))
		return true;
	return take_any(c, DIGITS) > 0 && take(c, "]");
}

/* Of syslog, "HOST dovecot[123]: "; a file of Dovecot's own has neither. */
static bool
take_dovecot_tag(struct cursor *c)
{
	struct cursor try = *c;

	if (take_any(&try, HOSTNAME) == 0 || !take(&try, " "))
		return true;
	if (!take(&try, "dovecot") || !take_pid(&try) || !take(&try, ": "))
		return false;
	*c = try;
	return true;
}

/* ", mpid=1", ", TLS", ", secured", ", session=<x>", in any order, then the
 * end. */
static bool
take_dovecot_rest(struct cursor *c)
{
	while (c->p < c->end) {
		if (!take(c, ", "))
			return false;
		if (take(c, "mpid=")) {
			if (take_any(c, DIGITS) == 0)
				return false;
		} else if (take(c, "session=<")) {
			if (take_any(c, DIGITS LETTERS "+/=") == 0 ||
			    !take(c, ">"))
				return false;
		} else if (!take(c, "TLS") && !take(c, "secured")) {
			return false;
		}
	}
	return true;
}

static bool
read_dovecot(struct cursor c, struct feed_login *login_r)
{
	char lip[FEED_ADDR_MAX + 1];

	if (take_time(&c) && !take_dovecot_tag(&c))
		return false;
	if (!take(&c, "imap-login: ") && !take(&c, "pop3-login: "))
		return false;
	(void)take(&c, "Info: ");
	if (!take(&c, "Login: user=<") && !take(&c, "Logged in: user=<"))
		return false;
	if (!take_user(&c, login_r->user) || !take(&c, ">, method=") ||
	    take_any(&c, DIGITS LETTERS "-_") == 0 || !take(&c, ", rip=") ||
	    !take_copy(&c, ADDRESS, login_r->addr, sizeof(login_r->addr)) ||
	    !take(&c, ", lip=") || !take_copy(&c, ADDRESS, lip, sizeof(lip)))
		return false;
	login_r->source = "dovecot";
	return take_dovecot_rest(&c);
}

/* The services for reading mail, as cyrus.conf of most systems names them. */
static bool
take_cyrus_tag(struct cursor *c)
{
	if (take_any(c, HOSTNAME) == 0 || !take(c, " "))
		return false;
	(void)take(c, "cyrus/");
	if (!take(c, "imap") && !take(c, "pop3"))
		return false;
	(void)take(c, "s");
	return take_pid(c) && take(c, ": ");
}

/* The host name is whatever the client's reverse DNS says. */
static bool
read_cyrus(struct cursor c, struct feed_login *login_r)
{
	if (!take_time(&c) || !take_cyrus_tag(&c) || !take(&c, "login: "))
		return false;
	if (take_any(&c, HOSTNAME) > 0 && !take(&c, " "))
		return false;
	if (!take(&c, "[") ||
	    !take_copy(&c, ADDRESS, login_r->addr, sizeof(login_r->addr)) ||
	    !take(&c, "] ") || !take_user(&c, login_r->user) ||
	    !take(&c, " ") || take_any(&c, DIGITS LETTERS "-_+") == 0 ||
	    !take(&c, " User logged in"))
		return false;
	login_r->source = "cyrus";
	if (c.p == c.end)
		return true;
	return take(&c, " SESSIONID=<") &&
	    take_any(&c, DIGITS LETTERS "-._:") > 0 && take(&c, ">") &&
	    c.p == c.end;
}

bool
feed_line(const char *line, size_t len, struct feed_login *login_r)
{
	const struct cursor c = { line, line + len };

	memset(login_r, 0, sizeof(*login_r));
	if (read_dovecot(c, login_r))
		return true;
	memset(login_r, 0, sizeof(*login_r));
	if (read_cyrus(c, login_r))
		return true;
	memset(login_r, 0, sizeof(*login_r));
	return false;
}

struct lease_login
feed_as_lease(const struct feed_login *login)
{
	return (struct lease_login){
		.user = login->user,
		.user_len = strlen(login->user),
		.addr = login->addr,
		.addr_len = strlen(login->addr),
		.source = login->source,
		.via = login->via,
	};
}
