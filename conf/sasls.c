/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `sasl` sections: where MTAs have passwords checked. Each is judged beside
 * the `imap` sections, so that none is accepted whose logins nobody could
 * check, or whose proofs nobody would believe. It opens no socket.
 */
#include "conf/load.h"

#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "policy/sasl.h"

/* The mechanisms that are carried stand in the table in the order of their
 * enum; NULL when it is one of them. */
static const char *
refuse_mechanism(const char *name, unsigned int *index_r)
{
	const char *words = option_row(OPTION_SASL_PASS_THROUGH)->allowed;
	size_t len = strlen(name);

	if (value_word(words, name, index_r) == 0)
		return NULL;
	if (strcmp(name, "PLAIN") == 0 || strcmp(name, "LOGIN") == 0)
		return "is not passed through: if auth.mechanisms has it, its "
		       "password is checked here";
	if (len > 5 && strcmp(name + len - 5, "-PLUS") == 0)
		return "is bound to the client's TLS, which ends at the MTA";
	return "is not known";
}

static void
take_mechanism(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct conf_sasl *sasl = arg;
	char name[VALUE_MECHANISM_MAX + 1];
	struct err e = { "" };
	unsigned int index = 0;
	const char *reason;

	reason = value_mechanism(text, name, &e) < 0
	    ? e.text
	    : refuse_mechanism(name, &index);
	if (reason == NULL &&
	    (sasl->pass_through & SASL_BIT(SASL_CRAM_MD5 + index)) != 0)
		reason = "is there twice";
	if (reason != NULL)
		load_refuse(l, line, OPTION_SASL_PASS_THROUGH, text, reason);
	else
		sasl->pass_through |= SASL_BIT(SASL_CRAM_MD5 + index);
}

static const struct conf_imap *
find_session_alone(const struct conf *conf)
{
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		if (imap->verify[0] == VERIFY_SESSION &&
		    imap->verify[1] == VERIFY_NONE)
			return imap;
	}
	return NULL;
}

static void
check_proof(struct loader *l, const struct block *b,
    const struct conf_sasl *sasl)
{
	const struct conf_imap *imap = find_session_alone(l->conf);
	unsigned int line = block_line(b, OPTION_SASL_PROOF);
	bool saslauthd = sasl->protocol == SASL_PROTOCOL_SASLAUTHD;

	if (!saslauthd && sasl->proof == SASL_PROOF_LOGIN)
		report_error(&l->r, line, "sasl.proof",
		    "\"login\" would prove less than is known: protocol "
		    "dovecot carries the address; allowed: address");
	if (saslauthd && sasl->proof == SASL_PROOF_ADDRESS && imap != NULL)
		report_error(&l->r, line, "sasl.proof",
		    "\"address\" with protocol saslauthd, which carries none, "
		    "proves nothing to imap \"%.80s\" with its verify = "
		    "\"session\" alone; allowed: login",
		    imap->name);
}

/* A server that speaks first has to be found before the login is known. */
static bool
one_imap_serves_all(const struct conf *conf)
{
	for (size_t i = 0;
	     conf->imap_count == 1 && i < conf->imaps[0].domain_count; i++) {
		if (strcmp(conf->imaps[0].domains[i], "*") == 0)
			return true;
	}
	return false;
}

static void
check_pass_through(struct loader *l, const struct block *b,
    const struct conf_sasl *sasl)
{
	unsigned int line = block_line(b, OPTION_SASL_PASS_THROUGH);

	if (sasl->protocol == SASL_PROTOCOL_SASLAUTHD &&
	    sasl->pass_through != 0)
		report_error(&l->r, line, "sasl.pass_through",
		    "protocol saslauthd carries passwords and nothing else; "
		    "allowed: {}, or protocol dovecot");
	else if ((sasl->pass_through & SASL_BIT(SASL_CRAM_MD5)) != 0 &&
	    !one_imap_serves_all(l->conf))
		report_error(&l->r, line, "sasl.pass_through",
		    "with CRAM-MD5 the server speaks before anybody knows "
		    "which login it is about; allowed: CRAM-MD5 if there is "
		    "just one imap section, with \"*\" in its domains");
}

static bool
counts_as_login(const struct policy *policy, const char *mechanism)
{
	for (size_t i = 0; i < policy->mechanism_count; i++) {
		if (strcmp(policy->mechanisms[i], mechanism) == 0)
			return true;
	}
	return false;
}

/* saslauthd is not told which mechanism a password came by. */
static bool
offers_anything(const struct policy *policy, const struct conf_sasl *sasl)
{
	if (sasl->protocol == SASL_PROTOCOL_SASLAUTHD)
		return true;
	for (unsigned int m = SASL_PLAIN; m < SASL_MECHANISM_COUNT; m++) {
		bool served = !sasl_is_relayed((enum sasl_mechanism)m) ||
		    (sasl->pass_through & SASL_BIT(m)) != 0;

		if (served &&
		    counts_as_login(policy, sasl_name((enum sasl_mechanism)m)))
			return true;
	}
	return false;
}

/* The two lists are far from each other in the file. */
static void
check_mechanisms(struct loader *l, const struct block *b,
    const struct conf_sasl *sasl)
{
	unsigned int line = block_line(b, OPTION_SASL_PASS_THROUGH);

	for (unsigned int m = SASL_CRAM_MD5; m < SASL_MECHANISM_COUNT; m++) {
		const char *name = sasl_name((enum sasl_mechanism)m);

		if ((sasl->pass_through & SASL_BIT(m)) != 0 &&
		    !counts_as_login(&l->conf->policy, name))
			report_warning(&l->r, line, "sasl.pass_through",
			    "%s is not in auth.mechanisms, so it is not "
			    "offered",
			    name);
	}
	if (!offers_anything(&l->conf->policy, sasl))
		report_warning(&l->r, b->line, "sasl",
		    "nothing is offered: auth.mechanisms has none of PLAIN, "
		    "LOGIN and pass_through");
}

static void
check_plaintext(struct loader *l, const struct block *b,
    const struct conf_sasl *sasl)
{
	unsigned int line = block_line(b, OPTION_SASL_PLAINTEXT_INTERNAL);

	if (!sasl->plaintext_internal)
		return;
	report_warning(&l->r, line, "sasl.plaintext_internal", "%s",
	    sasl->protocol == SASL_PROTOCOL_DOVECOT
		? "internal clients may send passwords over the network in "
		  "clear text"
		: "it has no effect with protocol saslauthd, which tells "
		  "nothing of the client");
}

/* An IMAP server that slows down who mistypes is to be told who it was. */
static void
check_forwarding(struct loader *l, const struct block *b,
    const struct conf_sasl *sasl)
{
	const struct conf *conf = l->conf;

	if (sasl->protocol != SASL_PROTOCOL_SASLAUTHD)
		return;
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		if (imap->forward_client && imap->name != NULL)
			report_warning(&l->r,
			    block_line(b, OPTION_SASL_PROTOCOL),
			    "sasl.protocol",
			    "saslauthd carries no client address: imap "
			    "\"%.80s\" with its forward_client = true is told "
			    "none, and takes this host for everybody who "
			    "mistypes a password",
			    imap->name);
	}
}

static void
load_sasl(struct loader *l, const struct block *b, struct conf_sasl *sasl)
{
	static const struct socket_options options = {
		.listen = OPTION_SASL_LISTEN,
		.mode = OPTION_SASL_SOCKET_MODE,
		.group = OPTION_SASL_SOCKET_GROUP,
		.danger = "try passwords, and say for any client",
	};
	size_t errors = l->r.report->errors;
	bool known;

	sasl->name = strdup(b->title);
	if (sasl->name == NULL) {
		report_no_memory(&l->r);
		return;
	}
	sasl->protocol =
	    (enum sasl_protocol)load_word(l, b, OPTION_SASL_PROTOCOL);
	known = l->r.report->errors == errors;
	load_socket(l, b, &options, &sasl->listen, &sasl->socket_mode,
	    &sasl->socket_group);
	load_list(l, b, OPTION_SASL_PASS_THROUGH, take_mechanism, sasl);
	sasl->plaintext_internal =
	    load_bool(l, b, OPTION_SASL_PLAINTEXT_INTERNAL);
	sasl->proof = (enum sasl_proof)load_word(l, b, OPTION_SASL_PROOF);
	if (!known)
		return;
	check_proof(l, b, sasl);
	check_pass_through(l, b, sasl);
	check_mechanisms(l, b, sasl);
	check_plaintext(l, b, sasl);
	check_forwarding(l, b, sasl);
}

void
load_sasls(struct loader *l)
{
	size_t count = document_block_count(l->document, SECTION_SASL);

	if (count == 0)
		return;
	l->conf->sasls = calloc(count, sizeof(*l->conf->sasls));
	if (l->conf->sasls == NULL) {
		report_no_memory(&l->r);
		return;
	}
	l->conf->sasl_count = count;
	for (size_t i = 0; i < count; i++) {
		struct block b = document_block(l->document, SECTION_SASL, i);

		load_sasl(l, &b, &l->conf->sasls[i]);
	}
}
