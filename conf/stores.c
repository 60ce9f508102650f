/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `store` section: where the store is, and what opens a Redis. Whether
 * anything is there is the store's affair.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/files.h"
#include "conf/load.h"
#include "conf/value.h"

static void
load_password(struct loader *l, const struct block *b)
{
	unsigned int line;
	char *path = NULL;
	struct err e = { "" };

	(void)load_text(l, b, OPTION_STORE_PASSWORD_FILE, &line);
	load_string(l, b, OPTION_STORE_PASSWORD_FILE, value_absolute_path,
	    &path);
	if (path == NULL)
		return;
	if (*path == '\0' || l->env->no_files) {
		l->conf->store_password = path;
		return;
	}
	if (files_read_secret(path, &l->conf->store_password, &e) < 0)
		report_error(&l->r, line, "store.password_file",
		    REPORT_PATH ": %s; allowed: a file with the password in "
				"one line of 1 to %d octets, readable to "
				"postern's user alone (mode 0600 or 0400)",
		    path, e.text, FILES_SECRET_MAX);
	else
		account_warn_file(l, line, "store.password_file", path);
	free(path);
}

static void
load_authorities(struct loader *l, const struct block *b)
{
	const char *url = l->conf->store_url;
	unsigned int line;
	struct err e = { "" };

	(void)load_text(l, b, OPTION_STORE_CA_FILE, &line);
	load_string(l, b, OPTION_STORE_CA_FILE, value_absolute_path,
	    &l->conf->store_ca_file);
	if (l->conf->store_ca_file == NULL || l->env->no_files || url == NULL ||
	    strncmp(url, "rediss:", 7) != 0)
		return;
	if (files_check_readable(l->conf->store_ca_file, &e) < 0)
		report_error(&l->r, line, "store.ca_file",
		    REPORT_PATH ": %s; allowed: a file with the certificates "
				"of authorities that postern can read",
		    l->conf->store_ca_file, e.text);
}

/* A password would be repeated with the line that complains about it. */
static bool
holds_password(const char *url)
{
	const char *place = strstr(url, "://"), *at = strrchr(url, '@');

	return place != NULL && at != NULL && at > place + 3 &&
	    memchr(place + 3, ':', (size_t)(at - (place + 3))) != NULL;
}

static void
check_directory(struct loader *l, const struct block *b)
{
	const struct block root = document_block(l->document, SECTION_ROOT, 0);
	const struct conf *c = l->conf;

	if (c->store_url == NULL || c->state_dir == NULL ||
	    !conf_needs_store(c) || strncmp(c->store_url, "lmdb:", 5) != 0)
		return;
	if (c->store_url[5] != '\0')
		account_warn_store(l,
		    document_line(l->document, b, OPTION_STORE_URL),
		    "store.url", c->store_url + 5);
	else
		account_warn_store(l,
		    document_line(l->document, &root, OPTION_STATE_DIR),
		    "state_dir", c->state_dir);
}

void
load_store(struct loader *l, const struct block *b)
{
	unsigned int line;

	if (holds_password(load_text(l, b, OPTION_STORE_URL, &line)))
		report_error(&l->r, line, "store.url",
		    "a password does not belong in it, but into a file; "
		    "allowed: store.password_file");
	else
		load_string(l, b, OPTION_STORE_URL, value_store_url,
		    &l->conf->store_url);
	load_password(l, b);
	load_authorities(l, b);
	check_directory(l, b);
}
