/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_CONF_H
#define POSTERN_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/err.h"
#include "policy/policy.h"

enum log_target { LOG_TARGET_SYSLOG = 0, LOG_TARGET_STDERR };
enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };
enum mailbox_check {
	MAILBOX_CHECK_AUTO = 0,
	MAILBOX_CHECK_YES,
	MAILBOX_CHECK_NO
};
enum login_as { LOGIN_AS_USER = 0, LOGIN_AS_ADDRESS };
/* imap.verify: where the truth about a login comes from */
enum verify_source { VERIFY_NONE = 0, VERIFY_SESSION, VERIFY_PROXY };
#define VERIFY_SOURCES 2
enum sasl_protocol { SASL_PROTOCOL_DOVECOT = 0, SASL_PROTOCOL_SASLAUTHD };
/* sasl.proof: what a success proves */
enum sasl_proof {
	SASL_PROOF_ADDRESS = 0, /* the login, from the client's address */
	SASL_PROOF_LOGIN,       /* the login, from anywhere */
};

/* One `imap "name" { }` section. Every string is owned; "" is "not set". */
struct conf_imap {
	char *name;
	char **urls; /* imaps://HOST[:PORT] or imap://HOST[:PORT] */
	size_t url_count;
	char *ca_file;
	char **domains; /* canonical, or "*" */
	size_t domain_count;
	enum login_as login_as;
	/* in this order, then NONE */
	enum verify_source verify[VERIFY_SOURCES];
	bool forward_client;
	char *master_separator; /* "" for none */
	char *proxy_user;
	/* What proxy_password_file holds; "" unless verify has proxy; wiped on
	 * free. */
	char *proxy_password;
	enum mailbox_check mailbox_check;
	char *canary;
	uint64_t timeout_ms;
	unsigned int max_connections;
};

/* One `sasl "name" { }` section. */
struct conf_sasl {
	char *name;
	enum sasl_protocol protocol;
	/* unix:PATH | inet:PORT@HOST | inet6:PORT@HOST, loopback */
	char *listen;
	unsigned int socket_mode;
	char *socket_group;
	unsigned int pass_through; /* SASL_BIT()s */
	bool plaintext_internal;
	enum sasl_proof proof;
};

/* The `delegation` section. */
struct conf_delegation {
	char *listen; /* as a sasl section's; NULL: there is no section */
	unsigned int socket_mode;
	char *socket_group;
	bool count; /* what is sent, for limits */
};

/* The `http` section. */
struct conf_http {
	char *listen; /* unix:PATH, inet:PORT@HOST, ...; NULL: no section */
	unsigned int socket_mode;
	char *socket_group;
	char *secret; /* "" for none; wiped on free */
};

/* `N/duration`: N within any such time. */
struct conf_rate {
	unsigned int count;
	uint64_t window_ms;
};

struct conf_guessing {
	struct conf_rate per_address;
	struct conf_rate per_network;
	struct conf_rate per_login;
	uint64_t delay_ms;
	uint64_t spare_ms;
};

/* What one limit counts. The first four are rates. */
enum limit_counter {
	COUNTER_MESSAGES = 0,
	COUNTER_RECIPIENTS,
	COUNTER_BYTES,
	COUNTER_BAD_RECIPIENTS, /* refused by the MTA */
	COUNTER_ADDRESSES,      /* different networks of clients */
	COUNTER_SENDERS,        /* different reverse-paths */
};
#define LIMIT_COUNTERS 6

/* Whose? */
enum limit_key {
	LIMIT_KEY_LOGIN = 0, /* a login, a lease holder */
	LIMIT_KEY_ADDR,      /* the address of an internal client without one */
	LIMIT_KEY_ZONE,      /* all of them in a zone together */
};

enum limit_action {
	LIMIT_TEMPFAIL = 0,
	LIMIT_CONTAIN,
	LIMIT_WARN,
};

/* count 0: no limit */
struct conf_quota {
	uint64_t count;
	uint64_t window_ms;
};

/* One `limits "name" { }` section. */
struct conf_limit {
	char *name;
	enum limit_key key;
	enum limit_action action;
	bool count_local; /* recipients in local_domains, too */
	struct conf_quota quotas[LIMIT_COUNTERS];
};

/* sentinel.action */
enum sentinel {
	SENTINEL_OFF = 0,
	SENTINEL_WARN,
	SENTINEL_EXTERNAL,
};

struct conf_contain {
	char *command; /* "" for none */
	uint64_t slowed_ms;
	uint64_t local_ms;
	uint64_t shut_ms;
	uint64_t memory_ms;
	struct conf_quota rate; /* recipients, while slowed */
};

/* A configuration file, read and checked. Read-only for its users. */
struct conf {
	char *file;
	char **named_files; /* secrets, maps, CAs that were looked at */
	size_t named_file_count;
	char *listen; /* unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | fd:N */
	unsigned int socket_mode;
	char *socket_group; /* "" leaves the group alone */
	char *user;
	char *state_dir;
	enum log_target log;
	enum log_format log_format;
	struct policy policy;
	struct conf_imap *imaps;
	size_t imap_count;
	uint64_t identity_ttl_ms;
	uint64_t identity_refused_ttl_ms;
	uint64_t identity_wait_ms;
	unsigned int identity_waiters;
	uint64_t identity_session_ttl_ms;
	uint64_t identity_grace_ms;
	struct conf_sasl *sasls;
	size_t sasl_count;
	struct conf_delegation delegation;
	struct conf_guessing guessing;
	struct conf_limit *limits;
	size_t limit_count;
	struct conf_contain contain;
	enum sentinel sentinel;
	unsigned int recipients_max; /* of a message; 0: no limit */
	uint64_t lease_ttl_ms;       /* the other settings are the policy's */
	struct conf_http http;
	char *store_url; /* "lmdb:" (in state_dir), "lmdb:DIR", "redis://..." */
	char *store_password; /* "" for none; wiped on free */
	char *store_ca_file;
};

/* Are session proofs or leases written or looked at? Then a store is needed. */
bool conf_needs_store(const struct conf *conf);

/* "messages", "bad_recipients", ... */
const char *conf_counter_name(enum limit_counter counter);
/* Does any limit count this? */
bool conf_limits_count(const struct conf *conf, enum limit_counter counter);

/* What is wrong with a configuration: "FILE:LINE: error: OPTION: TEXT" or
 * "...: warning: ...", one line each, without a line feed, in the order found.
 */
struct conf_report {
	char **lines;
	size_t count;
	size_t errors;
};

void conf_report_clear(struct conf_report *report);

/*
 * Reads, checks and builds. Reports every error it can find, not only the
 * first, and every warning. NULL when there was an error (also no memory,
 * which is reported as one). Secret and map files are read here.
 */
struct conf *conf_load(const char *file, struct conf_report *report);
/* Could this process load it again: can it read the file, and what that names?
 * What they hold by now is not looked at. */
bool conf_is_readable(const struct conf *conf);
/* Frees and nulls; NULL is allowed. Secrets are wiped. */
void conf_free(struct conf **conf);

#endif
