/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_TEXT_H
#define POSTERN_POLICY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ASCII only, whatever the locale says. */
static inline bool
text_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
text_is_alnum(unsigned char c)
{
	return text_is_digit(c) || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

static inline char
text_lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c;
}

/* The value of a hexadecimal digit of either case, or -1. */
int text_hex(char c);

/* Are both len octets long texts equal but for the case of ASCII letters? */
bool text_equal_fold(const char *a, const char *b, size_t len);

/*
 * Decodes the UTF-8 character (RFC 3629) that text begins with and returns its
 * length, 0 when it is none: cut off, overlong, a surrogate, above U+10FFFF.
 */
size_t text_utf8_decode(const char *text, size_t len, uint32_t *code_r);

/* Is the whole text UTF-8? Empty text is. */
bool text_is_utf8(const char *text, size_t len);

/*
 * Is it a character that steers a display instead of spelling something: C0 and
 * C1 controls, line and paragraph separators, bidirectional controls, the byte
 * order mark, annotation and tag characters, noncharacters? The zero-width
 * joiners are none of them: Persian and Indic names are spelled with them.
 */
bool text_is_control(uint32_t code);

/* Is it a space of any width, zero included? */
bool text_is_blank(uint32_t code);

#endif
