/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of facts, for logs and explanations. The facts themselves are data.
 */
#include "policy/facts.h"

const char *
identity_name(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
		return "verified";
	case IDENTITY_REFUSED:
		return "refused";
	case IDENTITY_DISABLED:
		return "disabled";
	case IDENTITY_UNPROVEN:
		return "unproven";
	case IDENTITY_UNKNOWN:
		break;
	}
	return "unknown";
}
