/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must not be shown of what a server says, because it holds a secret: as
 * it was sent (base64), or as it was meant. It must not leave any of that
 * behind itself.
 */
#include "identity/giveaway.h"

#include <string.h>

#include <openssl/crypto.h>

/* So much of a secret in a row is not shown, and shorter ones not whole, unless
 * they are so short that any word might hold them. */
#define GIVEAWAY     8
#define GIVEAWAY_MIN 3

static bool
holds_piece(const char *text, const char *secret, size_t len)
{
	size_t size = len < GIVEAWAY ? len : GIVEAWAY;
	char piece[GIVEAWAY + 1] = "";
	bool found = false;

	if (len < GIVEAWAY_MIN)
		return false;
	for (size_t i = 0; !found && i + size <= len; i++) {
		memcpy(piece, secret + i, size);
		found = strstr(text, piece) != NULL;
	}
	OPENSSL_cleanse(piece, sizeof(piece));
	return found;
}

/* Where the password in a message begins, or the token; NULL: nowhere. */
static const char *
secret_in(enum sasl_mechanism mechanism, const char *plain, size_t len)
{
	const char *from = memrchr(plain, '\0', len);

	if (from != NULL)
		return from + 1;
	if (mechanism != SASL_OAUTHBEARER && mechanism != SASL_XOAUTH2)
		return NULL;
	from = memmem(plain, len, "auth=", 5);
	if (from != NULL)
		from = memchr(from, ' ', (size_t)(plain + len - from));
	return from != NULL ? from + 1 : NULL;
}

bool
giveaway_is_in(const char *text, enum sasl_mechanism mechanism,
    const char *message)
{
	char plain[SASL_TEXT_MAX + 1];
	const char *from = NULL;
	size_t len = 0;
	bool found;

	found = holds_piece(text, message, strlen(message));
	if (!found &&
	    sasl_base64_decode(message, strlen(message), plain, sizeof(plain),
		&len) == 0 &&
	    len > 0)
		from = secret_in(mechanism, plain, len);
	if (from != NULL)
		found = holds_piece(text, from, (size_t)(plain + len - from));
	OPENSSL_cleanse(plain, len);
	return found;
}
