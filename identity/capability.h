/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_CAPABILITY_H
#define POSTERN_IDENTITY_CAPABILITY_H

#include <stdbool.h>

/* What a server says that it can do, as far as it matters here. */
struct capability {
	bool plain;
	bool initial_response;
	unsigned int mechanisms; /* SASL_BIT()s of those that can be relayed */
};

/* The words behind CAPABILITY, up to their end or "]". Pure. */
struct capability capability_read(const char *list);

#endif
