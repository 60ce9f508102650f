/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_OPTIONS_H
#define POSTERN_CONF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Every section: identifier, name in the file, does it take a title (and may
 * therefore be there more than once).
 */
/* clang-format off */
#define SECTION_TABLE(X) \
	X(ROOT,       "",           false) \
	X(LISTENER,   "listener",   true)  \
	X(TLS,        "tls",        false) \
	X(AUTH,       "auth",       false) \
	X(IMAP,       "imap",       true)  \
	X(IDENTITY,   "identity",   false) \
	X(SASL,       "sasl",       true)  \
	X(DELEGATION, "delegation", false) \
	X(LEASES,     "leases",     false) \
	X(HTTP,       "http",       false) \
	X(GUESSING,   "guessing",   false) \
	X(LIMITS,     "limits",     true)  \
	X(CONTAIN,    "contain",    false) \
	X(SENTINEL,   "sentinel",   false) \
	X(SENDERS,    "senders",    false) \
	X(RECIPIENTS, "recipients", false) \
	X(STORE,      "store",      false)

/* The default of an option that the top level has, too, under the same name:
 * what is set there. */
#define OPTION_INHERITED NULL

/*
 * Every option: section, identifier, name, type, default, least, most, what is
 * allowed. What least, most and the last column mean depends on the type:
 *   STRING    octets of its length; the last column in words
 *   LIST      octets of each element; in words. The default's elements are
 *             separated by blanks
 *   WORD      (not used); the words, in the order of the enum that they set
 *   NUMBER    the value; its unit
 *   DURATION  milliseconds; (not used)
 *   RATE      the N of N/DURATION; (not used)
 */
#define OPTION_TABLE(X) \
	X(ROOT, LISTEN, "listen", STRING, "unix:/run/postern/milter.sock", 1, 300, "unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | fd:N") \
	X(ROOT, SOCKET_MODE, "socket_mode", STRING, "0660", 1, 4, "three octal digits after a 0") \
	X(ROOT, SOCKET_GROUP, "socket_group", STRING, "postfix", 0, 255, "a group name, or empty to leave the group alone") \
	X(ROOT, USER, "user", STRING, "postern", 1, 255, "a user name") \
	X(ROOT, STATE_DIR, "state_dir", STRING, "/var/lib/postern", 1, 4000, "an absolute path") \
	X(ROOT, LOG, "log", WORD, "syslog", 0, 0, "syslog | stderr") \
	X(ROOT, LOG_FORMAT, "log_format", WORD, "text", 0, 0, "text | json") \
	X(ROOT, MODE, "mode", WORD, "enforce", 0, 0, "enforce | observe") \
	X(ROOT, INTERNAL, "internal", LIST, "", 1, 255, "networks ADDRESS or ADDRESS/PREFIX, or with ! before them") \
	X(ROOT, LOCAL_DOMAINS, "local_domains", LIST, "", 1, 1000, "domain names or address literals") \
	X(LISTENER, LISTENER_ROLE, "role", WORD, "submission", 0, 0, "submission | mx") \
	X(TLS, TLS_MIN_VERSION, "min_version", WORD, "TLSv1.2", 0, 0, "TLSv1.2 | TLSv1.3") \
	X(TLS, TLS_MIN_BITS, "min_bits", NUMBER, "128", 112, 256, "bits") \
	X(AUTH, AUTH_MECHANISMS, "mechanisms", LIST, "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 OAUTHBEARER XOAUTH2 EXTERNAL GSSAPI", 1, 20, "names of SASL mechanisms, but not ANONYMOUS or XCLIENT") \
	X(AUTH, AUTH_REALM, "realm", STRING, "", 0, 1000, "a domain name, or empty") \
	X(AUTH, AUTH_INTERNAL, "internal", WORD, "check", 0, 0, "check | ignore") \
	X(IMAP, IMAP_URL, "url", LIST, "", 1, 1000, "imaps://HOST[:PORT] or imap://HOST[:PORT]; it must be given") \
	X(IMAP, IMAP_CA_FILE, "ca_file", STRING, "/etc/ssl/certs/ca-certificates.crt", 1, 4000, "an absolute path") \
	X(IMAP, IMAP_DOMAINS, "domains", LIST, "*", 1, 1000, "domain names, or *") \
	X(IMAP, IMAP_LOGIN_AS, "login_as", WORD, "user", 0, 0, "user | address") \
	X(IMAP, IMAP_MASTER_SEPARATOR, "master_separator", STRING, "*", 0, 8, "ASCII punctuation other than @, or empty") \
	X(IMAP, IMAP_VERIFY, "verify", LIST, "session proxy", 1, 20, "session | proxy") \
	X(IMAP, IMAP_FORWARD_CLIENT, "forward_client", WORD, "false", 0, 0, "false | true") \
	X(IMAP, IMAP_PROXY_USER, "proxy_user", STRING, "postern", 1, 255, "a login name of the IMAP server") \
	X(IMAP, IMAP_PROXY_PASSWORD_FILE, "proxy_password_file", STRING, "/etc/postern/imap.secret", 1, 4000, "an absolute path") \
	X(IMAP, IMAP_MAILBOX_CHECK, "mailbox_check", WORD, "auto", 0, 0, "auto | yes | no") \
	X(IMAP, IMAP_CANARY, "canary", STRING, "", 0, 255, "a login, or empty") \
	X(IMAP, IMAP_TIMEOUT, "timeout", DURATION, "5s", 1000, 60000, "") \
	X(IMAP, IMAP_MAX_CONNECTIONS, "max_connections", NUMBER, "16", 1, 256, "connections") \
	X(IDENTITY, IDENTITY_TTL, "ttl", DURATION, "2m", 0, 3600000, "") \
	X(IDENTITY, IDENTITY_REFUSED_TTL, "refused_ttl", DURATION, "15s", 0, 3600000, "") \
	X(IDENTITY, IDENTITY_WAIT, "wait", DURATION, "4s", 1000, 9000, "") \
	X(IDENTITY, IDENTITY_WAITERS, "waiters", NUMBER, "16", 1, 1024, "sessions") \
	X(IDENTITY, IDENTITY_SESSION_TTL, "session_ttl", DURATION, "8h", 60000, 604800000, "") \
	X(IDENTITY, IDENTITY_GRACE, "grace", DURATION, "0s", 0, 604800000, "") \
	X(SASL, SASL_PROTOCOL, "protocol", WORD, "dovecot", 0, 0, "dovecot | saslauthd") \
	X(SASL, SASL_LISTEN, "listen", STRING, "", 1, 300, "unix:PATH | inet:PORT@HOST | inet6:PORT@HOST, loopback; it must be given") \
	X(SASL, SASL_SOCKET_MODE, "socket_mode", STRING, OPTION_INHERITED, 1, 4, "three octal digits after a 0") \
	X(SASL, SASL_SOCKET_GROUP, "socket_group", STRING, OPTION_INHERITED, 0, 255, "a group name, or empty to leave the group alone") \
	X(SASL, SASL_PASS_THROUGH, "pass_through", LIST, "", 1, 20, "CRAM-MD5 | SCRAM-SHA-1 | SCRAM-SHA-256 | OAUTHBEARER | XOAUTH2") \
	X(SASL, SASL_PLAINTEXT_INTERNAL, "plaintext_internal", WORD, "false", 0, 0, "false | true") \
	X(SASL, SASL_PROOF, "proof", WORD, "address", 0, 0, "address | login") \
	X(DELEGATION, DELEGATION_LISTEN, "listen", STRING, "", 1, 300, "unix:PATH | inet:PORT@HOST | inet6:PORT@HOST, loopback; it must be given") \
	X(DELEGATION, DELEGATION_SOCKET_MODE, "socket_mode", STRING, OPTION_INHERITED, 1, 4, "three octal digits after a 0") \
	X(DELEGATION, DELEGATION_SOCKET_GROUP, "socket_group", STRING, OPTION_INHERITED, 0, 255, "a group name, or empty to leave the group alone") \
	X(DELEGATION, DELEGATION_COUNT, "count", WORD, "false", 0, 0, "false | true") \
	X(LEASES, LEASES_ENABLED, "enabled", WORD, "false", 0, 0, "false | true") \
	X(LEASES, LEASES_TTL, "ttl", DURATION, "20m", 1000, 86400000, "") \
	X(LEASES, LEASES_REQUIRE_TLS, "require_tls", WORD, "true", 0, 0, "false | true") \
	X(LEASES, LEASES_EXCEPT, "except", LIST, "", 1, 255, "networks ADDRESS or ADDRESS/PREFIX, or with ! before them") \
	X(HTTP, HTTP_LISTEN, "listen", STRING, "127.0.0.1:8025", 1, 300, "ADDRESS:PORT | [ADDRESS]:PORT | unix:PATH") \
	X(HTTP, HTTP_SOCKET_MODE, "socket_mode", STRING, OPTION_INHERITED, 1, 4, "three octal digits after a 0") \
	X(HTTP, HTTP_SOCKET_GROUP, "socket_group", STRING, OPTION_INHERITED, 0, 255, "a group name, or empty to leave the group alone") \
	X(HTTP, HTTP_SECRET_FILE, "secret_file", STRING, "", 0, 4000, "an absolute path, or empty") \
	X(GUESSING, GUESSING_PER_ADDRESS, "per_address", RATE, "20/10m", 1, 10000, "") \
	X(GUESSING, GUESSING_PER_NETWORK, "per_network", RATE, "60/10m", 1, 10000, "") \
	X(GUESSING, GUESSING_PER_LOGIN, "per_login", RATE, "30/1h", 1, 10000, "") \
	X(GUESSING, GUESSING_DELAY, "delay", DURATION, "2s", 0, 7000, "") \
	X(GUESSING, GUESSING_SPARE, "spare", DURATION, "24h", 0, 2592000000, "") \
	X(SENDERS, SENDERS_CHECK, "check", WORD, "off", 0, 0, "off | envelope") \
	X(SENDERS, SENDERS_ACTION, "action", WORD, "reject", 0, 0, "reject | warn") \
	X(SENDERS, SENDERS_MAP, "map", STRING, "", 0, 4000, "an absolute path, or empty") \
	X(SENDERS, SENDERS_OWN, "own", LIST, "%u@%d", 1, 320, "addresses in which %u and %d stand for the parts of the login") \
	X(SENDERS, SENDERS_FOLD_CASE, "fold_case", WORD, "true", 0, 0, "false | true") \
	X(RECIPIENTS, RECIPIENTS_ROUTED, "routed", WORD, "reject", 0, 0, "reject | allow-internal") \
	X(RECIPIENTS, RECIPIENTS_MAX, "max", NUMBER, "0", 0, 100000, "recipients") \
	X(LIMITS, LIMITS_KEY, "key", WORD, "login", 0, 0, "login | addr | zone") \
	X(LIMITS, LIMITS_MESSAGES, "messages", RATE, "", 1, 10000000, "") \
	X(LIMITS, LIMITS_RECIPIENTS, "recipients", RATE, "", 1, 10000000, "") \
	X(LIMITS, LIMITS_BYTES, "bytes", RATE, "", 1000, 1000000000000, "") \
	X(LIMITS, LIMITS_BAD_RECIPIENTS, "bad_recipients", RATE, "", 1, 10000000, "") \
	X(LIMITS, LIMITS_ADDRESSES, "addresses", RATE, "", 1, 250, "") \
	X(LIMITS, LIMITS_SENDERS, "senders", RATE, "", 1, 250, "") \
	X(LIMITS, LIMITS_LOCAL, "local", WORD, "free", 0, 0, "free | count") \
	X(LIMITS, LIMITS_ACTION, "action", WORD, "tempfail", 0, 0, "tempfail | contain | warn") \
	X(CONTAIN, CONTAIN_COMMAND, "command", STRING, "", 0, 4000, "an absolute path, or empty") \
	X(CONTAIN, CONTAIN_SLOWED, "slowed", DURATION, "1h", 60000, 2592000000, "") \
	X(CONTAIN, CONTAIN_LOCAL, "local", DURATION, "4h", 60000, 2592000000, "") \
	X(CONTAIN, CONTAIN_SHUT, "shut", DURATION, "1d", 60000, 2592000000, "") \
	X(CONTAIN, CONTAIN_MEMORY, "memory", DURATION, "2d", 0, 2592000000, "") \
	X(CONTAIN, CONTAIN_RATE, "rate", RATE, "20/1h", 1, 100000, "") \
	X(SENTINEL, SENTINEL_ACTION, "action", WORD, "warn", 0, 0, "off | warn | external") \
	X(STORE, STORE_URL, "url", STRING, "lmdb:", 1, 4000, "lmdb: | lmdb:DIR | redis://[USER@]HOST[:PORT][/DB] | rediss://[USER@]HOST[:PORT][/DB] | redis://[USER@]/SOCKET[?db=DB]") \
	X(STORE, STORE_PASSWORD_FILE, "password_file", STRING, "", 0, 4000, "an absolute path, or empty") \
	X(STORE, STORE_CA_FILE, "ca_file", STRING, "/etc/ssl/certs/ca-certificates.crt", 1, 4000, "an absolute path")
/* clang-format on */

enum section {
#define SECTION_ENUM(id, name, titled) SECTION_##id,
	SECTION_TABLE(SECTION_ENUM)
#undef SECTION_ENUM
	    SECTION_COUNT, /* not a section */
};

enum option_type {
	OPTION_TYPE_STRING = 0,
	OPTION_TYPE_LIST,
	OPTION_TYPE_WORD,
	OPTION_TYPE_NUMBER,
	OPTION_TYPE_DURATION,
	OPTION_TYPE_RATE,
};

enum option {
#define OPTION_ENUM(section, id, name, type, def, min, max, allowed) \
 OPTION_##id,
	OPTION_TABLE(OPTION_ENUM)
#undef OPTION_ENUM
	    OPTION_COUNT, /* not an option */
};

struct section_row {
	const char *name; /* "" for the top level */
	bool titled;
};

struct option_row {
	enum section section;
	const char *name;
	enum option_type type;
	const char *def; /* OPTION_INHERITED is NULL */
	uint64_t min;
	uint64_t max;
	const char *allowed;
};

#define OPTION_LABEL_MAX   64
#define OPTION_ALLOWED_MAX 128

const struct section_row *section_row(enum section section);
const struct option_row *option_row(enum option option);

/* By name; SECTION_COUNT and OPTION_COUNT when there is none. */
enum section section_find(const char *name);
enum option option_find(enum section section, const char *name);

/* The name of an option or section of `section` that is spelled nearly like
 * this one (edit distance 2 at most, and less than its length), or NULL. */
const char *option_suggest(enum section section, const char *name);

/* The name of the one section that has an option of this name, "" for the top
 * level; NULL if there is none, or several. */
const char *option_section(const char *name);

/* "tls.min_bits", or "listen" for the top level. */
void option_label(enum option option, char label_r[OPTION_LABEL_MAX]);
/* "112 to 256 bits", "syslog | stderr". */
void option_allowed(enum option option, char allowed_r[OPTION_ALLOWED_MAX]);

#endif
