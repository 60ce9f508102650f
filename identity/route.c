/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way from a login to its server, shared by the engine and by those who
 * only want to know what the engine would do.
 */
#include "identity/route.h"

#include <string.h>

bool
route_matches(const char *const *domains, size_t count,
    const struct login *login)
{
	const char *domain = login_domain(login);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(domains[i], "*") == 0 ||
		    (*domain != '\0' && strcmp(domains[i], domain) == 0))
			return true;
	}
	return false;
}

bool
route_is_ambiguous(const struct login *login)
{
	return strchr(login->text, '@') != strrchr(login->text, '@');
}

bool
route_is_master(const char *separator, const struct login *login)
{
	return *separator != '\0' && strstr(login->text, separator) != NULL;
}
