/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_HOUSE_H
#define POSTERN_TESTS_HOUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "gate/session.h"

/*
 * A gate for unit tests, and sessions at it: IMAP's answer is the test's, and
 * so is the time; the store, if there is one, is real and in a directory of its
 * own. What goes wrong fails the test.
 */
struct house {
	struct gate *gate;
	uint64_t now_ms; /* the store's time */
	char dir[64];    /* "": there is no store */
	enum identity answer;
	unsigned int asked;        /* so often, */
	char login[LOGIN_MAX + 1]; /* and about whom last */
};

#define HOUSE_SITE                                                              \
 "internal = {\"10.0.0.0/8\"}\n"                                                \
 "local_domains = {\"example.org\"}\n"                                          \
 "listener \"smtp\" { role = \"mx\" }\n"                                        \
 "auth { realm = \"example.org\" mechanisms = {\"PLAIN\", \"OAUTHBEARER\"} }\n" \
 "imap \"main\" { url = \"imaps://imap.example.org\" }\n"

struct rules *house_rules(const char *text);

/* A new directory under /tmp, and its end with all files in it. */
void house_make_dir(char dir_r[64]);
void house_remove_dir(const char *dir);

/* Zeroes the house, and opens it: IMAP verifies everybody. */
void house_open(struct house *house, const char *text);
void house_open_stored(struct house *house, const char *text);
void house_close(struct house *house);
/* Likewise, for what is asked of a configuration beside it: with the house's
 * state_dir. */
struct conf *house_conf_of(const struct house *house, const char *text);

struct session *house_client(struct house *house, const char *address,
    const char *listener);

/* MAIL of a client with TLS 1.3, with this login or none (NULL), whose messages
 * count. Borrows the texts. */
struct mail_event house_event(const char *path, const char *login);
enum reason house_mail_event(struct session *session,
    const struct mail_event *event);
enum reason house_mail(struct session *session, const char *path,
    const char *login);

enum reason house_rcpt(struct session *session, const char *path);
/* One that the MTA refuses. */
enum reason house_bad_rcpt(struct session *session, const char *path);
/* The end of the message. */
enum reason house_message(struct session *session);

/* A whole message of alice's to r0@domain, r1@domain, ... from the first on;
 * how many recipients it reached. */
unsigned int house_send(struct house *house, const char *address,
    unsigned int first, unsigned int count, const char *domain);
/* Whose counters the login has, and its step of the ladder. */
void house_payer(struct house *house, const char *login, struct login *payer_r);
enum containment house_step(struct house *house, const char *login);

#define EXPECT(got, want) house_expect(__FILE__, __LINE__, (got), (want))
void house_expect(const char *file, int line, enum reason got,
    enum reason want);

#endif
