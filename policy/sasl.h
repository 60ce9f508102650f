/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_SASL_H
#define POSTERN_POLICY_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/login.h"

/*
 * What SASL messages say (RFC 4422), as far as postern must understand them.
 * PLAIN and LOGIN hand over a password; the others are carried to the IMAP
 * server, and only the identity that they state is read here.
 */
enum sasl_mechanism {
	SASL_NONE = 0, /* unknown, or not served */
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_CRAM_MD5,
	SASL_SCRAM_SHA_1,
	SASL_SCRAM_SHA_256,
	SASL_OAUTHBEARER,
	SASL_XOAUTH2,
	SASL_MECHANISM_COUNT, /* not a mechanism */
};

#define SASL_BIT(mechanism) (1u << (mechanism))
/* A SASL message in base64, at most (RFC 4954, 4 wants 12288). */
#define SASL_TEXT_MAX     12288
#define SASL_MESSAGE_MAX  ((size_t)SASL_TEXT_MAX / 4 * 3)
#define SASL_PASSWORD_MAX 1024

/* "PLAIN", ...; "" for SASL_NONE. */
const char *sasl_name(enum sasl_mechanism mechanism);
/* By name, any case. -PLUS variants and what is not in the list are
 * SASL_NONE. */
enum sasl_mechanism sasl_find(const char *name);
/* Carried to the IMAP server; it hands over no password. */
bool sasl_is_relayed(enum sasl_mechanism mechanism);
/* The client speaks first (RFC 4422, 5): all but LOGIN and CRAM-MD5. */
bool sasl_client_is_first(enum sasl_mechanism mechanism);

/*
 * Strict base64 (RFC 4648, 4; RFC 4954, 4): whole quanta, padding only at the
 * end, no other character, no stray bits. -1 when it is not that or is longer
 * than size. "=" alone stands for nothing at all and "" for no octets; telling
 * them apart is the protocol's business. out_r does not end in NUL.
 */
int sasl_base64_decode(const char *text, size_t len, char *out_r, size_t size,
    size_t *len_r);

/* Pieces of a message, borrowed from it; none ends in NUL. */
struct sasl_credentials {
	const char *authzid; /* length 0: none */
	size_t authzid_len;
	const char *authcid;
	size_t authcid_len;
	const char *password;
	size_t password_len;
};

/* "[authzid] NUL authcid NUL password" (RFC 4616, 2). -1: not that. Empty parts
 * pass: sasl_login() and sasl_password_fits() are there to refuse them. */
int sasl_plain_parse(const char *message, size_t len,
    struct sasl_credentials *credentials_r);

/* A password that may be asked about: 1 to SASL_PASSWORD_MAX octets, none
 * below 0x20 and not 0x7f. */
bool sasl_password_fits(const char *password, size_t len);

/*
 * The identity whose login the client's message asks for: the first message of
 * SCRAM (RFC 5802, 7: n=, decoded), OAUTHBEARER (RFC 7628, 3.1: a=) and
 * XOAUTH2 (user=), the only one of CRAM-MD5 (RFC 2195, 2: the text before the
 * last blank). -1 for what is malformed, states no identity, asks for channel
 * binding (p=), has a mandatory extension (m=), or an authzid that differs from
 * n=. The identity is as the client spelled it: normalise it. It ends in NUL
 * and holds none.
 */
int sasl_stated_identity(enum sasl_mechanism mechanism, const char *message,
    size_t len, char identity_r[LOGIN_MAX + 1]);

/*
 * Both are logins as the client spelled them; authzid of length 0 is none. The
 * login is the normalised authcid. -1 when it cannot be normalised, has more
 * than one '@', or when the authzid is another one (RFC 4616, 2: acting for
 * others is not served).
 */
int sasl_login(const char *authcid, size_t authcid_len, const char *authzid,
    size_t authzid_len, const char *realm, struct login *login_r);

#endif
