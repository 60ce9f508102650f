/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl(8): finds the command and hands it its arguments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

static const struct {
	const char *name;
	int (*run)(const char *file, int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "check", ctl_check, "check" },
	{ "explain", ctl_explain, "explain KEY=VALUE... | --batch" },
	{ "lease", ctl_lease,
	    "lease list | add --user USER --addr ADDRESS |\n"
	    "                        del --addr ADDRESS [--user USER] | follow FILE" },
	{ "login", ctl_login, "login [--addr ADDRESS] USER" },
	{ "proof", ctl_proof, "proof list | del --user USER [--addr ADDRESS]" },
	{ "release", ctl_release, "release LOGIN | ADDRESS" },
	{ "reload", ctl_reload, "reload" },
	{ "status", ctl_status, "status" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *to)
{
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "%s posternctl [-c file] %s\n",
		    i == 0 ? "usage:" : "      ", commands[i].usage);
	(void)fputs("       posternctl -V\n", to);
}

int
main(int argc, char **argv)
{
	const char *file = DEFAULT_CONF_FILE;
	int c;

	/* '+': what follows the command is the command's. */
	while ((c = getopt(argc, argv, "+c:hV")) != -1) {
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'V':
			(void)printf("posternctl %s\n", PACKAGE_VERSION);
			return CTL_GOOD;
		case 'h':
			usage(stdout);
			return CTL_GOOD;
		default:
			usage(stderr);
			return CTL_USAGE;
		}
	}
	for (size_t i = 0; optind < argc && i < COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[optind]) == 0)
			return commands[i].run(file, argc - optind - 1,
			    argv + optind + 1);
	}
	if (optind < argc)
		(void)fprintf(stderr,
		    "posternctl: there is no command \"%s\"\n", argv[optind]);
	usage(stderr);
	return CTL_USAGE;
}
