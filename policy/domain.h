/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_DOMAIN_H
#define POSTERN_POLICY_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define DOMAIN_MAX 255

enum domain_kind {
	DOMAIN_NONE = 0, /* there is none */
	DOMAIN_FQDN,     /* two labels or more, the last not all digits */
	DOMAIN_SINGLE,   /* one label: not qualified */
	DOMAIN_NUMERIC,  /* the last label is all digits: not qualified */
	DOMAIN_LITERAL4, /* [192.0.2.1] (RFC 5321, 4.1.3): qualified */
	DOMAIN_LITERAL6, /* [IPv6:2001:db8::1]: qualified */
};

enum domain_status {
	DOMAIN_MALFORMED = 0,
	DOMAIN_NOT_ASCII, /* would need SMTPUTF8 (RFC 6531) */
	DOMAIN_VALID,
};

/*
 * Canonical form of a Domain or address-literal (RFC 5321, 4.1.2 and 4.1.3,
 * RFC 6531, 3.3): lower-cased A-labels by IDNA2008 without any mapping;
 * literals as "[192.0.2.1]" and "[IPv6:" RFC 5952 "]". No trailing dot, no
 * underscore. "xn--" labels are taken as they are written, not decoded. text
 * need not end in NUL. Unless DOMAIN_VALID, name_r is empty and the kind NONE.
 */
enum domain_status domain_parse(const char *text, size_t len, bool smtputf8,
    char name_r[DOMAIN_MAX + 1], enum domain_kind *kind_r);

bool domain_is_qualified(enum domain_kind kind);

/* A set of canonical domains; whole names, never suffixes. Read-only once
 * filled. */
struct domainset;

struct domainset *domainset_new(void);
void domainset_free(struct domainset **set);
/* Parses (SMTPUTF8 allowed) and adds. -1: not a domain or literal, or no
 * memory. A name that is already there is no error. */
int domainset_add(struct domainset *set, const char *text);
/* name is canonical. A NULL set contains nothing. */
bool domainset_contains(const struct domainset *set, const char *name);
size_t domainset_count(const struct domainset *set);

#endif
