/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shape of the exchanges that are carried: whose turn it is, and when it
 * can be over. It must not let an OK count that comes before the client had to
 * prove anything, and it checks no proof.
 */
#include "identity/challenge.h"

#include <string.h>

static bool
begins(const char *message, size_t len, const char *words)
{
	return len >= strlen(words) &&
	    memcmp(message, words, strlen(words)) == 0;
}

/* RFC 5802, 7: the server-first-message, then the server-final-message. */
static enum challenge
judge_scram(unsigned int nth, const char *message, size_t len)
{
	if (begins(message, len, "e="))
		return CHALLENGE_ERROR;
	if (nth == 1 && begins(message, len, "r="))
		return CHALLENGE_PUT;
	if (nth == 2 && begins(message, len, "v="))
		return CHALLENGE_FINAL;
	return CHALLENGE_NONSENSE;
}

enum challenge
challenge_judge(enum sasl_mechanism mechanism, unsigned int nth,
    const char *text)
{
	char message[CHALLENGE_MAX];
	size_t len;

	if (strlen(text) > CHALLENGE_MAX ||
	    sasl_base64_decode(text, strlen(text), message, sizeof(message),
		&len) != 0 ||
	    len == 0)
		return CHALLENGE_NONSENSE;
	switch (mechanism) {
	case SASL_CRAM_MD5:
		return nth == 1 ? CHALLENGE_PUT : CHALLENGE_NONSENSE;
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_256:
		return judge_scram(nth, message, len);
	case SASL_OAUTHBEARER:
	case SASL_XOAUTH2:
		return CHALLENGE_ERROR;
	case SASL_NONE:
	case SASL_PLAIN:
	case SASL_LOGIN:
	case SASL_MECHANISM_COUNT:
		break;
	}
	return CHALLENGE_NONSENSE;
}

bool
challenge_is_complete(enum sasl_mechanism mechanism, unsigned int challenges,
    unsigned int messages, bool final)
{
	switch (mechanism) {
	case SASL_CRAM_MD5:
		return challenges == 1 && messages == 1;
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_256:
		return final && challenges == 2 && messages == 3;
	case SASL_OAUTHBEARER:
	case SASL_XOAUTH2:
		return challenges == 0 && messages == 1;
	case SASL_NONE:
	case SASL_PLAIN:
	case SASL_LOGIN:
	case SASL_MECHANISM_COUNT:
		break;
	}
	return false;
}
