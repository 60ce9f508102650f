/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user and the address that posternctl's commands are told. It finds out
 * how they are written, not whether there are such.
 */
#include "ctl/whom.h"

#include <stddef.h>
#include <string.h>

int
whom_parse(int argc, char **argv, struct whom *whom_r)
{
	*whom_r = (struct whom){ NULL, NULL };
	for (int i = 0; i < argc; i += 2) {
		const char **value = NULL;

		if (strcmp(argv[i], "--user") == 0)
			value = &whom_r->user;
		else if (strcmp(argv[i], "--addr") == 0)
			value = &whom_r->addr;
		if (value == NULL || *value != NULL || i + 1 == argc)
			return -1;
		*value = argv[i + 1];
	}
	return 0;
}

int
whom_login(const char *user, const char *realm, struct login *login_r,
    struct err *e)
{
	if (login_normalise(user, strlen(user), realm, login_r) == 0)
		return 0;
	err_set(e, "\"%.255s\" is no login", user);
	return -1;
}

int
whom_addr(const char *addr, struct netaddr *addr_r, struct err *e)
{
	if (netaddr_parse(addr, addr_r) == 0)
		return 0;
	err_set(e, "\"%.80s\" is no address", addr);
	return -1;
}
