/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl check and reload: says what is wrong with a configuration, and
 * tells the running daemon to read it again.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/pidfile.h"
#include "ctl/ctl.h"
#include "store/store.h"

struct conf *
ctl_load(const char *file, size_t *warnings_r)
{
	struct conf_report report = { 0 };
	struct conf *conf = conf_load(file, &report);

	for (size_t i = 0; i < report.count; i++)
		(void)fprintf(stderr, "%s\n", report.lines[i]);
	if (warnings_r != NULL)
		*warnings_r = report.count - report.errors;
	conf_report_clear(&report);
	return conf;
}

static int
refuse_arguments(const char *command, int argc)
{
	if (argc == 0)
		return 0;
	(void)fprintf(stderr, "posternctl: %s takes no arguments\n", command);
	return -1;
}

/* Only the store understands the whole of its URL, and says so at the start. */
static int
check_store(const struct conf *conf)
{
	struct err e;

	if (!conf_needs_store(conf) ||
	    store_check_url(conf->store_url, &e) == 0)
		return CTL_GOOD;
	(void)fprintf(stderr, "%s: error: store.url: %s\n", conf->file, e.text);
	return CTL_CONFIG;
}

int
ctl_check(const char *file, int argc, char **argv)
{
	struct conf *conf;
	size_t warnings;
	int rc;

	(void)argv;
	if (refuse_arguments("check", argc) != 0)
		return CTL_USAGE;
	conf = ctl_load(file, &warnings);
	if (conf == NULL)
		return CTL_CONFIG;
	rc = check_store(conf);
	if (rc == CTL_GOOD)
		(void)printf("%s: good, %zu warning%s\n", file, warnings,
		    warnings == 1 ? "" : "s");
	conf_free(&conf);
	return rc;
}

/* Whether the daemon liked it stands in its log. */
static int
signal_owner(const char *path)
{
	struct err e = { "" };
	pid_t owner = pidfile_owner(path, &e);

	if (owner < 0) {
		(void)fprintf(stderr, "posternctl: %s\n", e.text);
		return CTL_FINDING;
	}
	if (owner == 0) {
		(void)fprintf(stderr,
		    "posternctl: no postern holds %s (if listen was changed, "
		    "the running one has to be restarted)\n",
		    path);
		return CTL_FINDING;
	}
	if (kill(owner, SIGUSR1) != 0) {
		(void)fprintf(stderr, "posternctl: process %ld: %s\n",
		    (long)owner, strerror(errno));
		return CTL_FINDING;
	}
	(void)printf("process %ld reads its configuration again; the outcome "
		     "is in its log\n",
	    (long)owner);
	return CTL_GOOD;
}

int
ctl_reload(const char *file, int argc, char **argv)
{
	struct conf *conf;
	char *path;
	int rc;

	(void)argv;
	if (refuse_arguments("reload", argc) != 0)
		return CTL_USAGE;
	conf = ctl_load(file, NULL);
	if (conf == NULL) {
		(void)fprintf(stderr,
		    "posternctl: not reloaded: the daemon would keep its old "
		    "configuration\n");
		return CTL_CONFIG;
	}
	path = pidfile_path(conf);
	conf_free(&conf);
	if (path == NULL)
		return CTL_FINDING;
	rc = signal_owner(path);
	free(path);
	return rc;
}
