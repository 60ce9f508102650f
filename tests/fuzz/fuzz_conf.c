/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a configuration file. Whatever it is: a configuration without an
 * error, or an error and no configuration; and nobody gets to be everybody. No
 * file that the text names is opened.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every configuration has, whoever wrote it. */
static void
check(const struct conf *conf)
{
	const struct policy *p = &conf->policy;

	if (conf->listen == NULL || conf->user == NULL ||
	    conf->state_dir == NULL || conf->socket_group == NULL ||
	    p->internal == NULL || p->local_domains == NULL ||
	    p->owners == NULL || p->realm == NULL)
		abort();
	if ((conf->socket_mode & ~0770U) != 0 || p->tls_min_bits < 112 ||
	    (p->tls_min_version != TLS_1_2 && p->tls_min_version != TLS_1_3))
		abort();
	for (size_t i = 0; i < p->mechanism_count; i++) {
		if (strcmp(p->mechanisms[i], "ANONYMOUS") == 0)
			abort();
	}
	for (size_t i = 0; i < netset_count(p->internal); i++) {
		if (netset_get(p->internal, i).prefix == 0)
			abort();
	}
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		if (imap->url_count == 0 || imap->ca_file == NULL ||
		    imap->proxy_user == NULL || imap->proxy_password == NULL ||
		    imap->canary == NULL || imap->timeout_ms == 0 ||
		    imap->max_connections == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_env env = { .host = NULL, .no_files = true };
	struct conf_report report = { NULL, 0, 0 };
	struct conf *conf =
	    conf_load_text("fuzz", (const char *)data, size, &env, &report);

	if ((conf == NULL) != (report.errors > 0))
		abort();
	if (conf != NULL)
		check(conf);
	for (size_t i = 0; i < report.count; i++) {
		if (strpbrk(report.lines[i], "\r\n") != NULL)
			abort();
	}
	conf_free(&conf);
	conf_report_clear(&report);
	return 0;
}
