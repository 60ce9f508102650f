/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a list of capabilities (RFC 3501, 7.2.1). It must not take a word for
 * another that it only resembles.
 */
#include "identity/capability.h"

#include <string.h>
#include <strings.h>

#include "policy/sasl.h"

struct capability
capability_read(const char *list)
{
	struct capability c = { 0 };

	while (*list != '\0' && *list != ']') {
		size_t n = strcspn(list, " ]");
		char word[32] = "";

		if (n < sizeof(word))
			memcpy(word, list, n);
		if (strcasecmp(word, "SASL-IR") == 0) {
			c.initial_response = true;
		} else if (strncasecmp(word, "AUTH=", 5) == 0) {
			enum sasl_mechanism m = sasl_find(word + 5);

			c.plain |= m == SASL_PLAIN;
			if (sasl_is_relayed(m))
				c.mechanisms |= SASL_BIT(m);
		}
		list += n;
		list += strspn(list, " ");
	}
	return c;
}
