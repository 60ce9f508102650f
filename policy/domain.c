/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains and address literals of the envelope in their one canonical form, and
 * sets of them. It must not repair anything (no trailing dot is cut, no
 * look-alike is mapped) and must not compare by suffix: what differs here is
 * another domain. An "xn--" label is taken for what RFC 5321 says it is,
 * letters and digits with hyphens, and is not decoded: a bogus one can only
 * equal the same bogus one, so it never becomes somebody's domain.
 */
#include "policy/domain.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "policy/text.h"

#define LABEL_MAX 63

/* Where the canonical name grows. */
struct name {
	char *text; /* DOMAIN_MAX + 1 octets */
	size_t len;
	bool ascii; /* as it was written */
};

static bool
is_ldh(unsigned char c)
{
	return text_is_alnum(c) || c == '-';
}

/*
 * A label with UTF-8 in it, already in lower case as far as it is ASCII, to its
 * A-label. IDN2_NO_TR46 and no IDN2_NFC_INPUT: pure IDNA2008 lookup, in which a
 * character that would have to be mapped or composed is an error. That the way
 * back gives the same text is checked on top.
 */
static bool
ulabel_convert(const char *ulabel, char alabel_r[LABEL_MAX + 1])
{
	uint8_t *alabel = NULL;
	char *back = NULL;
	size_t len;
	bool good = false;

	if (idn2_lookup_u8((const uint8_t *)ulabel, &alabel, IDN2_NO_TR46) !=
	    IDN2_OK)
		return false;
	len = strlen((const char *)alabel);
	if (len == 0 || len > LABEL_MAX)
		goto out;
	if (idn2_to_unicode_8z8z((const char *)alabel, &back, 0) != IDN2_OK ||
	    strcmp(back, ulabel) != 0)
		goto out;
	memcpy(alabel_r, alabel, len + 1);
	good = true;
out:
	idn2_free(alabel);
	idn2_free(back);
	return good;
}

static bool
name_append(struct name *name, const char *label, size_t len)
{
	if (name->len + len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		name->text[name->len++] = text_lower(label[i]);
	return true;
}

static bool
name_append_ulabel(struct name *name, const char *label, size_t len)
{
	char ulabel[DOMAIN_MAX + 1];
	char alabel[LABEL_MAX + 1];

	/* A NUL is no LDH character: the text cannot end early. */
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		if (c < 0x80 && !is_ldh(c))
			return false;
		ulabel[i] = text_lower(label[i]);
	}
	ulabel[len] = '\0';
	if (!text_is_utf8(ulabel, len) || !ulabel_convert(ulabel, alabel))
		return false;
	name->ascii = false;
	return name_append(name, alabel, strlen(alabel));
}

static bool
name_append_label(struct name *name, const char *label, size_t len)
{
	if (len == 0 || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		if (c >= 0x80)
			return name_append_ulabel(name, label, len);
		if (!is_ldh(c))
			return false;
	}
	return len <= LABEL_MAX && name_append(name, label, len);
}

/* What the name is, by its number of labels and its last one. */
static enum domain_kind
name_kind(const struct name *name, size_t last, size_t labels)
{
	size_t i = last;

	while (i < name->len && text_is_digit((unsigned char)name->text[i]))
		i++;
	if (i == name->len)
		return DOMAIN_NUMERIC;
	return labels > 1 ? DOMAIN_FQDN : DOMAIN_SINGLE;
}

static enum domain_status
parse_name(const char *text, size_t len, bool smtputf8, char *name_r,
    enum domain_kind *kind_r)
{
	struct name name = { .text = name_r, .ascii = true };
	size_t labels = 1, last = 0, start = 0;

	for (;;) {
		const char *label = text + start;
		const char *dot = memchr(label, '.', len - start);
		size_t n = dot != NULL ? (size_t)(dot - label) : len - start;

		last = name.len;
		if (!name_append_label(&name, label, n))
			return DOMAIN_MALFORMED;
		if (dot == NULL)
			break;
		if (!name_append(&name, ".", 1))
			return DOMAIN_MALFORMED;
		start += n + 1;
		labels++;
	}
	if (!name.ascii && !smtputf8)
		return DOMAIN_NOT_ASCII;
	name.text[name.len] = '\0';
	*kind_r = name_kind(&name, last, labels);
	return DOMAIN_VALID;
}

/* IPv4-address-literal: four decimal numbers; "010" is ten (RFC 5321, 4.1.3).
 */
static bool
parse_ipv4(const char *text, size_t len, uint8_t octets_r[4])
{
	size_t i = 0;

	for (size_t octet = 0; octet < 4; octet++) {
		unsigned int value = 0, digits = 0;

		if (octet > 0 && (i >= len || text[i++] != '.'))
			return false;
		while (i < len && text_is_digit((unsigned char)text[i])) {
			value = value * 10 + (unsigned int)(text[i++] - '0');
			if (++digits > 3)
				return false;
		}
		if (digits == 0 || value > 255)
			return false;
		octets_r[octet] = (uint8_t)value;
	}
	return i == len;
}

/* IPv6-hex: one to four hexadecimal digits. */
static bool
parse_group(const char *text, size_t len, uint8_t octets_r[2])
{
	unsigned int value = 0;

	if (len == 0 || len > 4)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = text_hex(text[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned int)digit;
	}
	octets_r[0] = (uint8_t)(value >> 8);
	octets_r[1] = (uint8_t)(value & 0xff);
	return true;
}

/*
 * Groups with a colon between them, the last of which may be an IPv4 address
 * (it ends the IPv6 one). Writes *len_r octets; no text is no groups.
 */
static bool
parse_groups(const char *text, size_t len, bool ipv4, uint8_t octets_r[16],
    size_t *len_r)
{
	const char *end = text + len;

	*len_r = 0;
	while (len > 0) {
		const char *colon = memchr(text, ':', (size_t)(end - text));
		size_t n = (size_t)((colon != NULL ? colon : end) - text);
		bool dotted = ipv4 && colon == NULL && memchr(text, '.', n);
		size_t octets = dotted ? 4 : 2;

		if (*len_r + octets > 16)
			return false;
		if (dotted ? !parse_ipv4(text, n, octets_r + *len_r)
			   : !parse_group(text, n, octets_r + *len_r))
			return false;
		*len_r += octets;
		if (colon == NULL)
			break;
		text = colon + 1;
	}
	return true;
}

/* "::" stands for two groups or more (RFC 5321, 4.1.3). */
static bool
parse_ipv6(const char *text, size_t len, uint8_t octets_r[16])
{
	uint8_t tail[16];
	size_t head_len, tail_len, gap = 0;

	while (gap < len &&
	    !(len - gap >= 2 && text[gap] == ':' && text[gap + 1] == ':'))
		gap++;
	if (gap == len)
		return parse_groups(text, len, true, octets_r, &head_len) &&
		    head_len == 16;
	if (!parse_groups(text, gap, false, octets_r, &head_len) ||
	    !parse_groups(text + gap + 2, len - gap - 2, true, tail,
		&tail_len) ||
	    head_len + tail_len > 12)
		return false;
	memset(octets_r + head_len, 0, 16 - head_len);
	memcpy(octets_r + 16 - tail_len, tail, tail_len);
	return true;
}

/* text is what stands between the brackets. Of the General-address-literals
 * only "IPv6:" is registered, so any other tag is malformed. */
static enum domain_status
parse_literal(const char *text, size_t len, char *name_r,
    enum domain_kind *kind_r)
{
	static const char tag[] = "[IPv6:";
	const size_t tag_len = sizeof(tag) - 2; /* without the bracket */
	uint8_t octets[16];
	size_t used;

	if (len > tag_len && text_equal_fold(text, tag + 1, tag_len)) {
		if (!parse_ipv6(text + tag_len, len - tag_len, octets))
			return DOMAIN_MALFORMED;
		*kind_r = DOMAIN_LITERAL6;
		used = sizeof(tag) - 1;
		memcpy(name_r, tag, used);
	} else {
		if (!parse_ipv4(text, len, octets))
			return DOMAIN_MALFORMED;
		*kind_r = DOMAIN_LITERAL4;
		used = 1;
		name_r[0] = '[';
	}
	(void)inet_ntop(*kind_r == DOMAIN_LITERAL6 ? AF_INET6 : AF_INET, octets,
	    name_r + used, INET6_ADDRSTRLEN);
	used = strlen(name_r);
	name_r[used] = ']';
	name_r[used + 1] = '\0';
	return DOMAIN_VALID;
}

enum domain_status
domain_parse(const char *text, size_t len, bool smtputf8,
    char name_r[DOMAIN_MAX + 1], enum domain_kind *kind_r)
{
	enum domain_status status = DOMAIN_MALFORMED;

	*kind_r = DOMAIN_NONE;
	if (len > 0 && len <= DOMAIN_MAX) {
		if (text[0] != '[')
			status =
			    parse_name(text, len, smtputf8, name_r, kind_r);
		else if (len > 2 && text[len - 1] == ']')
			status =
			    parse_literal(text + 1, len - 2, name_r, kind_r);
	}
	if (status != DOMAIN_VALID)
		name_r[0] = '\0';
	return status;
}

bool
domain_is_qualified(enum domain_kind kind)
{
	switch (kind) {
	case DOMAIN_FQDN:
	case DOMAIN_LITERAL4:
	case DOMAIN_LITERAL6:
		return true;
	case DOMAIN_NONE:
	case DOMAIN_SINGLE:
	case DOMAIN_NUMERIC:
		return false;
	}
	return false;
}

struct domainset_entry {
	UT_hash_handle hh;
	char name[]; /* the key, with its NUL */
};

struct domainset {
	struct domainset_entry *entries;
};

struct domainset *
domainset_new(void)
{
	return calloc(1, sizeof(struct domainset));
}

void
domainset_free(struct domainset **set)
{
	struct domainset_entry *entry, *next;

	if (*set == NULL)
		return;
	entry = (*set)->entries;
	HASH_CLEAR(hh, (*set)->entries);
	while (entry != NULL) {
		next = entry->hh.next;
		free(entry);
		entry = next;
	}
	free(*set);
	*set = NULL;
}

static struct domainset_entry *
domainset_find(const struct domainset *set, const char *name)
{
	struct domainset_entry *entry;

	HASH_FIND(hh, set->entries, name, strlen(name), entry);
	return entry;
}

int
domainset_add(struct domainset *set, const char *text)
{
	char name[DOMAIN_MAX + 1];
	struct domainset_entry *entry;
	enum domain_kind kind;
	size_t len;

	if (domain_parse(text, strlen(text), true, name, &kind) != DOMAIN_VALID)
		return -1;
	if (domainset_find(set, name) != NULL)
		return 0;
	len = strlen(name);
	entry = calloc(1, sizeof(*entry) + len + 1);
	if (entry == NULL)
		return -1;
	memcpy(entry->name, name, len + 1);
	HASH_ADD_KEYPTR(hh, set->entries, entry->name, len, entry);
	if (entry->hh.tbl == NULL) { /* no memory for the table */
		free(entry);
		return -1;
	}
	return 0;
}

bool
domainset_contains(const struct domainset *set, const char *name)
{
	return set != NULL && domainset_find(set, name) != NULL;
}

size_t
domainset_count(const struct domainset *set)
{
	return set != NULL ? HASH_COUNT(set->entries) : 0;
}
