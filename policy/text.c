/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parsers of addresses and logins need to know about characters. It
 * must not depend on the locale, and it must not map, fold or normalise
 * anything beyond ASCII: two texts that differ stay different.
 */
#include "policy/text.h"

int
text_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = text_lower(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
text_equal_fold(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text_lower(a[i]) != text_lower(b[i]))
			return false;
	}
	return true;
}

/* Length and lowest code point by the first octet; 0 if it cannot be first. */
static size_t
utf8_length(unsigned char first, uint32_t *bits_r, uint32_t *lowest_r)
{
	if (first < 0x80) {
		*bits_r = first;
		*lowest_r = 0;
		return 1;
	}
	if ((first & 0xe0) == 0xc0) {
		*bits_r = first & 0x1f;
		*lowest_r = 0x80;
		return 2;
	}
	if ((first & 0xf0) == 0xe0) {
		*bits_r = first & 0x0f;
		*lowest_r = 0x800;
		return 3;
	}
	if ((first & 0xf8) == 0xf0) {
		*bits_r = first & 0x07;
		*lowest_r = 0x10000;
		return 4;
	}
	return 0;
}

size_t
text_utf8_decode(const char *text, size_t len, uint32_t *code_r)
{
	uint32_t code, lowest;
	size_t length;

	if (len == 0)
		return 0;
	length = utf8_length((unsigned char)text[0], &code, &lowest);
	if (length == 0 || length > len)
		return 0;
	for (size_t i = 1; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c & 0x3f);
	}
	if (code < lowest || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*code_r = code;
	return length;
}

bool
text_is_utf8(const char *text, size_t len)
{
	uint32_t code;

	for (size_t i = 0, n; i < len; i += n) {
		n = text_utf8_decode(text + i, len - i, &code);
		if (n == 0)
			return false;
	}
	return true;
}

bool
text_is_control(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f },
		{ 0x061c, 0x061c },   /* Arabic letter mark */
		{ 0x200e, 0x200f },   /* left-to-right, right-to-left mark */
		{ 0x2028, 0x202e },   /* separators, embeddings, overrides */
		{ 0x2066, 0x206f },   /* isolates, deprecated controls */
		{ 0xfdd0, 0xfdef },   /* noncharacters */
		{ 0xfeff, 0xfeff },   /* byte order mark */
		{ 0xfff9, 0xfffb },   /* interlinear annotation */
		{ 0xe0000, 0xe007f }, /* tags */
	};

	if ((code & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

bool
text_is_blank(uint32_t code)
{
	return code == ' ' || code == 0xa0 || code == 0x1680 ||
	    (code >= 0x2000 && code <= 0x200b) || code == 0x202f ||
	    code == 0x205f || code == 0x3000;
}
