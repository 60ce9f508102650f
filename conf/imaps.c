/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `imap` sections: where identities are looked up. It reads the secret and
 * looks whether the CA file is there; it talks to nobody.
 */
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "policy/domain.h"
#include "policy/login.h"

static void
take_url(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct conf_imap *imap = arg;
	struct err e;

	if (value_imap_url(text, &e) < 0) {
		load_refuse(l, line, OPTION_IMAP_URL, text, e.text);
		return;
	}
	load_append(l, &imap->urls, &imap->url_count, text);
}

static void
take_domain(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct conf_imap *imap = arg;
	char name[DOMAIN_MAX + 1];
	enum domain_kind kind;

	if (strcmp(text, "*") == 0) {
		load_append(l, &imap->domains, &imap->domain_count, text);
		return;
	}
	if (domain_parse(text, strlen(text), true, name, &kind) !=
	    DOMAIN_VALID) {
		load_refuse(l, line, OPTION_IMAP_DOMAINS, text,
		    "is no domain name");
		return;
	}
	load_append(l, &imap->domains, &imap->domain_count, name);
}

/* What has been said about imap.verify so far. */
struct verify_list {
	struct conf_imap *imap;
	size_t count;
	bool wrong;
};

static void
take_verify(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct verify_list *list = arg;
	enum verify_source *verify = list->imap->verify;
	const char *words = option_row(OPTION_IMAP_VERIFY)->allowed;
	unsigned int index;

	if (value_word(words, text, &index) < 0) {
		load_refuse(l, line, OPTION_IMAP_VERIFY, text, "is not known");
		list->wrong = true;
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (verify[i] == VERIFY_SESSION + index) {
			load_refuse(l, line, OPTION_IMAP_VERIFY, text,
			    "is there twice");
			list->wrong = true;
			return;
		}
	}
	/* No repeats: it cannot be more than there are sources. */
	verify[list->count++] = (enum verify_source)(VERIFY_SESSION + index);
}

/* A list that may not be written as {}. */
static void
refuse_empty(struct loader *l, const struct block *b, enum option option,
    size_t count)
{
	if (count == 0 && block_items(b, option).count == 0)
		load_refuse_absence(l, b, option);
}

/* A list with a mistake in it counts for nothing, so that nothing else is said
 * for its sake. */
static void
load_verify(struct loader *l, const struct block *b, struct conf_imap *imap)
{
	struct verify_list list = { .imap = imap };

	load_list(l, b, OPTION_IMAP_VERIFY, take_verify, &list);
	refuse_empty(l, b, OPTION_IMAP_VERIFY, list.count);
	if (list.wrong)
		memset(imap->verify, 0, sizeof(imap->verify));
	if (imap->verify[0] == VERIFY_SESSION &&
	    imap->verify[1] == VERIFY_NONE &&
	    document_block_count(l->document, SECTION_SASL) == 0)
		report_warning(&l->r, block_line(b, OPTION_IMAP_VERIFY),
		    "imap.verify",
		    "session alone and no sasl section: no login will ever be "
		    "proven (session-unproven)");
}

static bool
asks_by_proxy(const struct conf_imap *imap)
{
	return imap->verify[0] == VERIFY_PROXY ||
	    imap->verify[1] == VERIFY_PROXY;
}

/* What verify does not ask for is not read. */
static void
load_proxy(struct loader *l, const struct block *b, struct conf_imap *imap)
{
	load_string(l, b, OPTION_IMAP_PROXY_USER, NULL, &imap->proxy_user);
	if (asks_by_proxy(imap)) {
		load_secret(l, b, OPTION_IMAP_PROXY_PASSWORD_FILE,
		    "the password of proxy_user", &imap->proxy_password);
		return;
	}
	load_string(l, b, OPTION_IMAP_PROXY_PASSWORD_FILE, value_absolute_path,
	    &imap->proxy_password);
	if (imap->proxy_password != NULL)
		*imap->proxy_password = '\0';
}

/* A canary that can never verify would be an alarm for ever. */
static void
load_canary(struct loader *l, const struct block *b, struct conf_imap *imap)
{
	unsigned int line;
	const char *text = load_text(b, OPTION_IMAP_CANARY, &line);
	const char *reason = NULL;
	struct login login = { "" };
	bool match = false;

	if (*text != '\0' &&
	    login_normalise(text, strlen(text), l->conf->policy.realm, &login) <
		0)
		reason = "is no well-formed login";
	for (size_t i = 0; i < imap->domain_count; i++)
		match = match || strcmp(imap->domains[i], "*") == 0 ||
		    strcmp(imap->domains[i], login_domain(&login)) == 0;
	if (reason == NULL && *text != '\0' && !match && imap->domain_count > 0)
		reason = "is in none of this section's domains";
	if (reason == NULL && imap->master_separator != NULL &&
	    *imap->master_separator != '\0' &&
	    strstr(text, imap->master_separator) != NULL)
		reason = "contains the master_separator";
	if (reason == NULL && *text != '\0' && imap->verify[0] != VERIFY_NONE &&
	    !asks_by_proxy(imap))
		reason = "can only be asked about by proxy, which verify does "
			 "not name";
	if (reason != NULL) {
		load_refuse(l, line, OPTION_IMAP_CANARY, text, reason);
		return;
	}
	imap->canary = strdup(login.text);
	if (imap->canary == NULL)
		report_no_memory(&l->r);
}

static void
load_imap(struct loader *l, const struct block *b, struct conf_imap *imap)
{
	imap->name = strdup(b->title);
	if (imap->name == NULL)
		report_no_memory(&l->r);
	load_list(l, b, OPTION_IMAP_URL, take_url, imap);
	refuse_empty(l, b, OPTION_IMAP_URL, imap->url_count);
	load_authorities(l, b, OPTION_IMAP_CA_FILE, true, &imap->ca_file);
	load_list(l, b, OPTION_IMAP_DOMAINS, take_domain, imap);
	refuse_empty(l, b, OPTION_IMAP_DOMAINS, imap->domain_count);
	imap->login_as = (enum login_as)load_word(l, b, OPTION_IMAP_LOGIN_AS);
	load_string(l, b, OPTION_IMAP_MASTER_SEPARATOR, value_separator,
	    &imap->master_separator);
	load_verify(l, b, imap);
	imap->forward_client = load_bool(l, b, OPTION_IMAP_FORWARD_CLIENT);
	load_proxy(l, b, imap);
	imap->mailbox_check =
	    (enum mailbox_check)load_word(l, b, OPTION_IMAP_MAILBOX_CHECK);
	load_canary(l, b, imap);
	imap->timeout_ms = load_duration(l, b, OPTION_IMAP_TIMEOUT);
	imap->max_connections = load_number(l, b, OPTION_IMAP_MAX_CONNECTIONS);
}

static bool
serves(const struct conf_imap *imap, const char *domain)
{
	for (size_t i = 0; i < imap->domain_count; i++) {
		if (strcmp(imap->domains[i], domain) == 0)
			return true;
	}
	return false;
}

/* The first section whose domains match is asked, and no other. */
static void
warn_unreachable(struct loader *l, const struct block *b,
    const struct conf_imap *imap, const struct conf_imap *before)
{
	unsigned int line = block_line(b, OPTION_IMAP_DOMAINS);

	if (before->name == NULL) /* no memory, reported */
		return;
	if (serves(before, "*")) {
		report_warning(&l->r, line, "imap.domains",
		    "imap " REPORT_QUOTE " comes before and has \"*\": this "
		    "section is never asked",
		    before->name);
		return;
	}
	for (size_t i = 0; i < imap->domain_count; i++) {
		if (serves(before, imap->domains[i]))
			report_warning(&l->r, line, "imap.domains",
			    REPORT_QUOTE " is also in imap " REPORT_QUOTE
					 ", which comes before: this section "
					 "is never asked about it",
			    imap->domains[i], before->name);
	}
}

void
load_imaps(struct loader *l)
{
	size_t count = document_block_count(l->document, SECTION_IMAP);

	if (count == 0) {
		report_warning(&l->r, 1, "imap",
		    "there is no imap section: every login will be refused");
		return;
	}
	l->conf->imaps = calloc(count, sizeof(*l->conf->imaps));
	if (l->conf->imaps == NULL) {
		report_no_memory(&l->r);
		return;
	}
	l->conf->imap_count = count;
	for (size_t i = 0; i < count; i++) {
		struct block b = document_block(l->document, SECTION_IMAP, i);

		load_imap(l, &b, &l->conf->imaps[i]);
		for (size_t k = 0; k < i; k++)
			warn_unreachable(l, &b, &l->conf->imaps[i],
			    &l->conf->imaps[k]);
	}
}
