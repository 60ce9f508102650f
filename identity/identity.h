/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_IDENTITY_H
#define POSTERN_IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/err.h"
#include "policy/facts.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/sasl.h"

/* "Does IMAP say that this is a live account?" One engine: its own thread with
 * one event loop does everything that talks to the world. */
struct identity_engine;

enum identity_mailbox {
	IDENTITY_MAILBOX_AUTO = 0,
	IDENTITY_MAILBOX_YES,
	IDENTITY_MAILBOX_NO
};

/* One IMAP service. All strings are borrowed for identity_new() only. */
struct identity_backend {
	const char *name;
	const char *const *urls; /* tried in this order */
	size_t url_count;
	const char *ca_file;
	const char *const *domains; /* canonical; "*" matches every login */
	size_t domain_count;
	bool login_as_address;        /* false: only the local part */
	const char *master_separator; /* "" for none */
	bool proxy; /* may identity_ask() ask it? The next four are for that */
	const char *proxy_user;
	const char *proxy_password;
	enum identity_mailbox mailbox_check;
	const char *canary;  /* "" for none */
	uint64_t timeout_ms; /* deadline over one whole check */
	unsigned int max_connections;
	/* Say whose password it is: ID ("x-originating-ip" ...), RFC 2971. */
	bool forward_client;
};

/* How loud a report line is. */
enum identity_level { IDENTITY_INFO, IDENTITY_WARNING, IDENTITY_ALARM };

struct identity_options {
	const struct identity_backend *backends; /* the first match is asked */
	size_t backend_count;
	uint64_t ttl_ms;
	uint64_t refused_ttl_ms;
	uint64_t wait_ms;     /* a caller of identity_ask() waits this long */
	unsigned int waiters; /* that many callers at once */
	uint64_t grace_ms; /* how long a password that verified still does while
			      its server decides nothing; 0: not at all */
	/* Relayed mechanisms that identity_offers() is to find out about;
	   SASL_BIT()s */
	unsigned int mechanisms;
	/* Called from any thread with one line of text (no line feed). */
	void (*report)(void *arg, enum identity_level level, const char *text);
	void *report_arg;
	/* Every step of every conversation in words, for people; no secrets.
	 * Called on the engine's thread; NULL: nobody listens. */
	void (*trace)(void *arg, const char *text);
	void *trace_arg;
};

/* Copies the options, starts the thread and the self-tests. NULL with the
 * reason in e. */
struct identity_engine *identity_new(const struct identity_options *options,
    struct err *e);
/* Stops the thread, answers every waiter with IDENTITY_UNKNOWN, frees, nulls;
 * NULL is allowed. No caller may be inside identity_ask(). */
void identity_free(struct identity_engine **engine);

/*
 * Waits until every backend's self-test has an answer, or ms have passed.
 * True when all have one.
 */
bool identity_wait_ready(struct identity_engine *engine, uint64_t ms);

/*
 * Is the login a live account? From the cache at once, else by asking IMAP and
 * waiting at most wait_ms. IDENTITY_UNKNOWN is every failure: no answer in
 * time, too many waiters, breaker open, a server that makes no sense, no
 * memory; it is never cached. IDENTITY_REFUSED at once for a login that no
 * backend's domains match, that contains its master separator or more than one
 * '@'. Any thread.
 */
enum identity identity_ask(struct identity_engine *engine,
    const struct login *login);

/* How a login attempt ended. */
struct identity_verdict {
	enum identity identity; /* never IDENTITY_UNPROVEN */
	bool remembered;        /* IMAP was not asked */
	bool graced;            /* ... and could not be: it verified before */
	bool declined;          /* ... by whoever asked; IDENTITY_UNKNOWN */
};
typedef void identity_done(void *arg, const struct identity_verdict *verdict);

/* A deadline over one whole attempt, below Postfix's ten seconds. */
#define IDENTITY_ATTEMPT_MS 8000

#define IDENTITY_TAG_LEN 32
/* A keyed MAC of login and password, the same as long as the process lives:
 * tells equal attempts from different ones, and nothing else. */
void identity_tag(const struct login *login, const char *password, size_t len,
    unsigned char tag_r[IDENTITY_TAG_LEN]);

/* All borrowed for the call. */
struct identity_password {
	const struct login *login;
	const char *password; /* judged by sasl_password_fits() before */
	size_t len;
	const struct netaddr *client; /* NETADDR_NONE: not known */
	/* identity_tag() of this login and password, so that it need not be
	   made again; NULL: it is not there */
	const unsigned char *tag;
	/* Still to be asked about, now that its turn has come? Called with
	   done's arg on the engine's thread, before anything is sent; nobody
	   is asked when all with this login and password say no. NULL: yes */
	bool (*admit)(void *arg);
};

/*
 * Is it this login's password? Remembered answers come at once, from within
 * the call; else IMAP is asked with it and done is called on the engine's
 * thread: once, within IDENTITY_ATTEMPT_MS, identity_free() included. Never
 * waits. IDENTITY_UNKNOWN is every failure, and is not remembered. Thousands
 * may be under way; questions with one login and password are asked once.
 */
void identity_verify(struct identity_engine *engine,
    const struct identity_password *question, identity_done *done, void *arg);

/* Do all backends, as they last said, offer this relayed mechanism? Any
 * thread. */
bool identity_offers(struct identity_engine *engine,
    enum sasl_mechanism mechanism);

/* A client's exchange, carried to the IMAP server's AUTHENTICATE and back. */
struct identity_relay;

/* Called on the engine's thread. challenge: the server's next line in base64,
 * borrowed, to be answered by identity_relay_respond(); verdict is NULL. Or it
 * is over: verdict, and challenge is NULL; called so exactly once, and the
 * relay is then gone. */
typedef void identity_relay_event(void *arg, const char *challenge,
    const struct identity_verdict *verdict);

/*
 * Begins. login routes it and is NULL when only the client's answer will tell
 * (CRAM-MD5; then there must be one backend that serves every domain). initial
 * is the client's first message in base64, or NULL. The message has been judged
 * by sasl_stated_identity(); it is passed on as it is, and therefore refused
 * unless it names the login exactly as its server would be asked about it
 * (login_as_address), like a login that nobody serves. NULL: no memory, too
 * many at once, a server that is known not to answer; event is then never
 * called. A client has half a minute for an answer, a minute for all of them,
 * three seconds while others wait; the server IDENTITY_ATTEMPT_MS in all.
 */
struct identity_relay *identity_relay_begin(struct identity_engine *engine,
    enum sasl_mechanism mechanism, const struct login *login,
    const char *initial, const struct netaddr *client,
    identity_relay_event *event, void *arg);
/* The client's answer to the latest challenge, in base64. login as above, if
 * it is known by now, and judged as above. Any thread, before the verdict was
 * delivered. */
void identity_relay_respond(struct identity_relay *relay,
    const struct login *login, const char *response);
/* The client gave up: event comes soon, with IDENTITY_UNKNOWN. Any thread,
 * before the verdict was delivered. */
void identity_relay_cancel(struct identity_relay *relay);

#endif
