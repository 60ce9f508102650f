/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_REASON_H
#define POSTERN_POLICY_REASON_H

#include <stdbool.h>

/* VERDICT_NEED never leaves the gate. */
enum verdict {
	VERDICT_TEMPFAIL = 0,
	VERDICT_REJECT,
	VERDICT_PERMIT,
	VERDICT_NEED,
};

/*
 * Every reason there is: identifier, name in logs, verdict, reply code,
 * enhanced status code (RFC 3463, RFC 5248) and reply text. The verdict and the
 * class of both codes stand in one row so that they cannot disagree.
 */
/* clang-format off */
#define REASON_TABLE(X) \
	X(INTERNAL_ERROR,         "internal-error",         TEMPFAIL, 451, "4.3.0", "Local policy error, try again later") \
	X(INTERNAL_NETWORK,       "internal-network",       PERMIT,   250, "2.1.0", "Ok") \
	X(AUTHENTICATED,          "authenticated",          PERMIT,   250, "2.1.0", "Ok") \
	X(LEASE,                  "lease",                  PERMIT,   250, "2.1.0", "Ok") \
	X(LOCAL_RECIPIENT,        "local-recipient",        PERMIT,   250, "2.1.0", "Ok") \
	X(EXTERNAL_WITHOUT_TLS,   "external-without-tls",   REJECT,   530, "5.7.0", "Must issue a STARTTLS command first") \
	X(TLS_TOO_WEAK,           "tls-too-weak",           REJECT,   554, "5.7.0", "Refused due to lack of security: the TLS connection is too weak") \
	X(EXTERNAL_WITHOUT_AUTH,  "external-without-auth",  REJECT,   530, "5.7.0", "Authentication required") \
	X(MECHANISM_NOT_ACCEPTED, "mechanism-not-accepted", REJECT,   534, "5.7.9", "Authentication mechanism is not accepted here") \
	X(IDENTITY_REFUSED,       "identity-refused",       REJECT,   550, "5.7.1", "This login may not send mail") \
	X(IDENTITY_DISABLED,      "identity-disabled",      REJECT,   525, "5.7.13", "User account disabled") \
	X(IDENTITY_UNDECIDED,     "identity-undecided",     TEMPFAIL, 454, "4.7.0", "Your account cannot be checked right now, try again later") \
	X(LEASE_UNDECIDED,        "lease-undecided",        TEMPFAIL, 451, "4.3.0", "It cannot be seen right now who has logged in from your address, try again later") \
	X(SESSION_UNPROVEN,       "session-unproven",       TEMPFAIL, 421, "4.7.0", "Your login was not checked by this service, connect and log in again") \
	X(GUESSING,               "guessing",               TEMPFAIL, 421, "4.7.0", "Too many wrong passwords from your network, try again later") \
	X(LOGIN_WITHOUT_TLS,      "login-without-tls",      REJECT,   538, "5.7.11", "This login needs TLS") \
	X(SENDER_MALFORMED,       "sender-malformed",       REJECT,   501, "5.1.7", "Bad sender address syntax") \
	X(SENDER_NOT_FQDN,        "sender-not-fqdn",        REJECT,   554, "5.1.8", "Sender domain is not fully qualified") \
	X(SENDER_NOT_ASCII,       "sender-not-ascii",       REJECT,   550, "5.6.7", "Sender address needs SMTPUTF8") \
	X(SENDER_NOT_OWNED,       "sender-not-owned",       REJECT,   550, "5.7.1", "Sender address does not belong to your login") \
	X(RECIPIENT_MALFORMED,    "recipient-malformed",    REJECT,   501, "5.1.3", "Bad recipient address syntax") \
	X(RECIPIENT_NOT_FQDN,     "recipient-not-fqdn",     REJECT,   554, "5.1.2", "Recipient domain is not fully qualified") \
	X(RECIPIENT_NOT_ASCII,    "recipient-not-ascii",    REJECT,   553, "5.6.7", "Recipient address needs SMTPUTF8") \
	X(RECIPIENT_ROUTED,       "recipient-routed",       REJECT,   550, "5.7.1", "Routed recipient address") \
	X(RELAY_DENIED,           "relay-denied",           REJECT,   550, "5.7.1", "Relaying denied") \
	X(OVER_LIMIT,             "over-limit",             TEMPFAIL, 450, "4.7.1", "You have sent too much lately, try again later") \
	X(TOO_MANY_RECIPIENTS,    "over-limit",             TEMPFAIL, 452, "4.5.3", "Too many recipients for one message") \
	X(CONTAINED,              "contained",              REJECT,   550, "5.7.1", "This account is restricted because of what was sent with it, ask your postmaster")
/* clang-format on */

enum reason {
#define REASON_ENUM(id, name, verdict, code, xcode, text) REASON_##id,
	REASON_TABLE(REASON_ENUM)
#undef REASON_ENUM
	    REASON_COUNT, /* not a reason */
};

struct reason_row {
	const char *name;
	enum verdict verdict;
	unsigned int code;
	const char *xcode;
	const char *text; /* ASCII */
};

/* The row of a reason; of REASON_INTERNAL_ERROR for what is none. */
const struct reason_row *reason_row(enum reason reason);

/* "permit", "reject", "tempfail". */
const char *verdict_name(enum verdict verdict);

#endif
