/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_LOAD_H
#define POSTERN_CONF_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/document.h"
#include "conf/hostnet.h"
#include "conf/report.h"

/* What a load may look at besides the text. */
struct conf_env {
	const struct hostnet_source *host; /* NULL: no warnings about it */
	bool no_files; /* open no file; secrets and maps are stand-ins */
};

/* conf_load() of a text in memory, which need not end in NUL; file is its name
 * in messages. For tests and fuzzing. */
struct conf *conf_load_text(const char *file, const char *text, size_t len,
    const struct conf_env *env, struct conf_report *report);

/* The rest is for conf's own files. */

/* A load under way. conf is complete when report->errors is still 0. */
struct loader {
	struct reporter r;
	const struct conf_env *env;
	struct document *document;
	struct conf *conf;
};

/* An error about an option that must be given and is not. */
void load_refuse_absence(struct loader *l, const struct block *b,
    enum option option);

/* An error about a value: "GIVEN" REASON; allowed: ... */
void load_refuse(struct loader *l, unsigned int line, enum option option,
    const char *given, const char *reason);

/* The value of an option, or its default ("" for OPTION_INHERITED); line_r
 * (NULL allowed) is the line to blame. Not judged. */
const char *load_text(const struct block *b, enum option option,
    unsigned int *line_r);

/* Judged by type and range, and by check (NULL allowed). On any error they
 * report and leave *string_r NULL or return 0. */
void load_string(struct loader *l, const struct block *b, enum option option,
    int (*check)(const char *text, struct err *e), char **string_r);
unsigned int load_word(struct loader *l, const struct block *b,
    enum option option);
bool load_bool(struct loader *l, const struct block *b, enum option option);
unsigned int load_number(struct loader *l, const struct block *b,
    enum option option);
uint64_t load_duration(struct loader *l, const struct block *b,
    enum option option);

/* "" is no rate, where it is the default: *rate_r is left alone. */
void load_rate(struct loader *l, const struct block *b, enum option option,
    struct conf_quota *rate_r);

/* What is in the file that an option names, and what that is in words. "" when
 * it names none; the name itself when no file is to be opened. */
void load_secret(struct loader *l, const struct block *b, enum option option,
    const char *what, char **secret_r);
/* The name of a file of CA certificates; it is looked at if it is wanted. */
void load_authorities(struct loader *l, const struct block *b,
    enum option option, bool wanted, char **path_r);

/* Calls take for each element that has an allowed length, or for the default's
 * elements. */
typedef void load_take(struct loader *l, void *arg, unsigned int line,
    const char *text);
void load_list(struct loader *l, const struct block *b, enum option option,
    load_take *take, void *arg);

/* Notes that a file which the configuration names was looked at. */
void load_note_file(struct loader *l, const char *path);

/* Adds a copy to a list of strings. */
void load_append(struct loader *l, char ***list, size_t *count,
    const char *text);

/* Reads all `imap` sections (imaps.c). */
void load_imaps(struct loader *l);

/* The options of a section that listens beside the milter; and what somebody
 * can do who may connect there. */
struct socket_options {
	enum option listen, mode, group;
	const char *danger;
};

/* Reads them (sockets.c): listen must be given, and no other section's; mode
 * and group are by default as at the top level, which is read. *listen_r and
 * *group_r are NULL before, and stay so on an error. */
void load_socket(struct loader *l, const struct block *b,
    const struct socket_options *options, char **listen_r, unsigned int *mode_r,
    char **group_r);

/* The mode and group of load_socket() alone; listen as it was given, or NULL.
 */
void load_access(struct loader *l, const struct block *b,
    const struct socket_options *options, const char *listen,
    unsigned int *mode_r, char **group_r);
/* An error if a section that was read before has this socket; given is how it
 * stands in the file. */
void load_refuse_shared(struct loader *l, unsigned int line, enum option option,
    const char *given, const char *listen);

/* Reads `leases` and `http`, after all other sockets (leases.c). */
void load_leases(struct loader *l);
void load_http(struct loader *l);

/* Reads the `store` section (stores.c). */
void load_store(struct loader *l, const struct block *b);

/* Reads the `delegation` section, after the `sasl` sections (sockets.c). */
void load_delegation(struct loader *l);

/* Reads `limits` and `contain` (limits.c). */
void load_limits(struct loader *l);
void load_contain(struct loader *l, const struct block *b);
void limits_clear(struct conf *conf);

/* Reads all `sasl` sections, and judges them beside the top level and the
 * `imap` sections, which are read (sasls.c). */
void load_sasls(struct loader *l);

/* Reads `internal` and warns about what is odd in it (networks.c). */
void load_internal(struct loader *l, const struct block *root);

#endif
