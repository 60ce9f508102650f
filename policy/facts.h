/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_FACTS_H
#define POSTERN_POLICY_FACTS_H

#include <stdbool.h>

#include "policy/tls.h"

/*
 * Everything that a decision may look at. Each fact is a small closed enum
 * whose zero is the safe value; policy/classify.h fills them from what the MTA
 * says, and nothing but policy/decide.c combines them.
 */

/* Whose address is it? From the peer's sockaddr and `internal`. */
enum zone {
	ZONE_UNKNOWN = 0, /* judged as external */
	ZONE_EXTERNAL,
	ZONE_INTERNAL,
};

/* From {daemon_name} and the `listener` sections. */
enum role {
	ROLE_SUBMISSION = 0,
	ROLE_MX,
};

/* From {auth_type} and {auth_authen} at this MAIL, and auth.mechanisms. */
enum login_state {
	LOGIN_ABSENT = 0, /* no type, or type ANONYMOUS */
	LOGIN_MECHANISM_UNLISTED,
	LOGIN_MALFORMED, /* empty, or refused before anybody is asked */
	LOGIN_PRESENT,
};

/* What IMAP, or a proof that postern itself kept, says about the login. */
enum identity {
	IDENTITY_UNKNOWN = 0,
	IDENTITY_VERIFIED,
	IDENTITY_REFUSED,
	IDENTITY_DISABLED,
	IDENTITY_UNPROVEN, /* the MTA accepted it, postern never saw it */
};

/* Is the client over a limit of wrong passwords? (gate/guess.h) */
enum guessing {
	GUESSING_UNKNOWN = 0, /* not looked up */
	GUESSING_WITHIN,
	GUESSING_OVER,
};

/* Does somebody who has logged in at IMAP from this very address hold a lease
 * there? Whose it is decides nothing alone: see sender_owned. */
enum lease {
	LEASE_NOT_ASKED = 0,
	LEASE_UNKNOWN, /* the store is away */
	LEASE_NONE,    /* nobody, or the address speaks for others */
	LEASE_HELD,
};

/* May the client send this much more? Within is also who has no limit, and
 * everybody while the store is away. (gate/limits.h) */
enum limit {
	LIMIT_NOT_ASKED = 0,
	LIMIT_WITHIN,
	LIMIT_OVER,
	LIMIT_RECIPIENTS, /* over recipients.max; of a recipient only */
};

/* On which step of the ladder is the login? (gate/contain.h) */
enum containment {
	CONTAINMENT_NOT_ASKED = 0,
	CONTAINMENT_NONE,
	CONTAINMENT_SLOWED, /* its recipients have a limit of their own */
	CONTAINMENT_LOCAL,  /* local recipients only */
	CONTAINMENT_SHUT,
};

/* A fact of the header, which no rule looks at yet. */
enum from_ownership { FROM_NOT_ASKED = 0 };

/* The reverse-path or a forward-path, after policy/path.h. */
enum address_form {
	ADDRESS_UNKNOWN = 0,
	ADDRESS_MALFORMED,
	ADDRESS_NOT_ASCII,
	ADDRESS_NULL,        /* <>, reverse-path only */
	ADDRESS_UNQUALIFIED, /* a mailbox whose domain is no FQDN */
	ADDRESS_QUALIFIED,   /* a mailbox, or <Postmaster> */
};

enum tri {
	TRI_UNKNOWN = 0, /* never yes */
	TRI_NO,
	TRI_YES,
};

struct facts {
	/* the connection */
	enum zone zone;
	enum role role;
	/* this MAIL */
	enum guessing guessing; /* asked of external clients only */
	enum tls_strength tls;
	enum login_state login;
	enum identity identity;
	bool identity_asked; /* IDENTITY_UNKNOWN is the answer */
	enum lease lease;
	enum limit limit; /* asked of whom the other rules let pass */
	enum containment containment; /* likewise */
	enum address_form sender;
	/* by the login, or without one by a lease's; asked of mailboxes only */
	enum tri sender_owned;
	enum from_ownership from;
	/* this RCPT */
	enum address_form recipient;
	enum tri recipient_routed;  /* as typed, or as the MTA resolved it */
	enum tri recipient_local;   /* as typed, and as the MTA resolved it */
	enum limit recipient_limit; /* asked as limit is */
};

/* "verified", "refused", "disabled", "unproven", "unknown". */
const char *identity_name(enum identity identity);

#endif
