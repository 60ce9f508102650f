/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_IDENTITY_H
#define POSTERN_IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/err.h"
#include "policy/facts.h"
#include "policy/login.h"

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
	const char *proxy_user;
	const char *proxy_password;
	enum identity_mailbox mailbox_check;
	const char *canary;  /* "" for none */
	uint64_t timeout_ms; /* deadline over one whole check */
	unsigned int max_connections;
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
	/* Called from any thread with one line of text (no line feed). */
	void (*report)(void *arg, enum identity_level level, const char *text);
	void *report_arg;
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
 * backend's domains match or that contains its master separator. Any thread.
 */
enum identity identity_ask(struct identity_engine *engine,
    const struct login *login);

#endif
