/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_CTL_H
#define POSTERN_CTL_CTL_H

#include "conf/conf.h"

/* posternctl's exit codes. */
enum ctl_exit {
	CTL_GOOD = 0,
	CTL_FINDING = 1, /* a finding, or a refusal */
	CTL_USAGE = 2,
	CTL_CONFIG = 78,
};

/* Each command gets its own arguments, the command's name not among them. */
int ctl_check(const char *file, int argc, char **argv);
int ctl_explain(const char *file, int argc, char **argv);
int ctl_proof(const char *file, int argc, char **argv);
int ctl_lease(const char *file, int argc, char **argv);
int ctl_login(const char *file, int argc, char **argv);
int ctl_release(const char *file, int argc, char **argv);
int ctl_status(const char *file, int argc, char **argv);
int ctl_reload(const char *file, int argc, char **argv);

/* Loads the file, telling standard error what is wrong with it. NULL: there
 * was an error. warnings_r may be NULL. */
struct conf *ctl_load(const char *file, size_t *warnings_r);

#endif
