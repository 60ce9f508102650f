/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `store` section: where the store is, and what opens a Redis. Whether
 * anything is there is the store's affair.
 */
#include <string.h>

#include "conf/account.h"
#include "conf/load.h"
#include "conf/value.h"

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
		account_warn_store(l, block_line(b, OPTION_STORE_URL),
		    "store.url", c->store_url + 5, false);
	else
		account_warn_store(l, block_line(&root, OPTION_STATE_DIR),
		    "state_dir", c->state_dir, true);
}

void
load_store(struct loader *l, const struct block *b)
{
	struct conf *c = l->conf;
	unsigned int line;

	if (holds_password(load_text(b, OPTION_STORE_URL, &line)))
		report_error(&l->r, line, "store.url",
		    "a password does not belong in it, but into a file; "
		    "allowed: store.password_file");
	else
		load_string(l, b, OPTION_STORE_URL, value_store_url,
		    &c->store_url);
	load_secret(l, b, OPTION_STORE_PASSWORD_FILE, "the password",
	    &c->store_password);
	load_authorities(l, b, OPTION_STORE_CA_FILE,
	    c->store_url != NULL && strncmp(c->store_url, "rediss:", 7) == 0,
	    &c->store_ca_file);
	check_directory(l, b);
}
