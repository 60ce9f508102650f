/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a configuration file. Whatever it is: a configuration without an
 * error, or an error and no configuration; and nobody gets to be everybody. No
 * file that the text names is opened.
 */
#include "conf/conf.h"
#include "conf/load.h"
#include "policy/sasl.h"
#include "tests/fuzz/fuzz.h"

/* No password crosses a network, and no two sections share a socket. */
static void
check_sasls(const struct conf *conf)
{
	for (size_t i = 0; i < conf->sasl_count; i++) {
		const struct conf_sasl *sasl = &conf->sasls[i];

		REQUIRE(sasl->name != NULL && sasl->listen != NULL &&
		    sasl->socket_group != NULL);
		REQUIRE((sasl->socket_mode & ~0777U) == 0);
		REQUIRE(strcmp(sasl->listen, conf->listen) != 0);
		REQUIRE(strncmp(sasl->listen, "unix:/", 6) == 0 ||
		    strstr(sasl->listen, "@127.") != NULL ||
		    strstr(sasl->listen, "@localhost") != NULL ||
		    strncmp(sasl->listen, "inet6:", 6) == 0);
		REQUIRE((sasl->pass_through &
			    (SASL_BIT(SASL_NONE) | SASL_BIT(SASL_PLAIN) |
				SASL_BIT(SASL_LOGIN))) == 0);
		REQUIRE(sasl->pass_through < SASL_BIT(SASL_MECHANISM_COUNT));
		for (size_t k = 0; k < i; k++)
			REQUIRE(
			    strcmp(sasl->listen, conf->sasls[k].listen) != 0);
	}
}

static void
check_rate(const struct conf_rate *rate)
{
	REQUIRE(rate->count >= 1 && rate->window_ms >= 1000);
}

static void
check_guessing(const struct conf_guessing *guessing)
{
	check_rate(&guessing->per_address);
	check_rate(&guessing->per_network);
	check_rate(&guessing->per_login);
}

/* What every configuration has, whoever wrote it. */
static void
check(const struct conf *conf)
{
	const struct policy *p = &conf->policy;

	REQUIRE(conf->listen != NULL && conf->user != NULL &&
	    conf->state_dir != NULL && conf->socket_group != NULL);
	REQUIRE(p->internal != NULL && p->local_domains != NULL &&
	    p->owners != NULL && p->realm != NULL);
	REQUIRE((conf->socket_mode & ~0777U) == 0);
	REQUIRE(p->tls_min_bits >= 112);
	REQUIRE(p->tls_min_version == TLS_1_2 || p->tls_min_version == TLS_1_3);
	for (size_t i = 0; i < p->mechanism_count; i++)
		REQUIRE(strcmp(p->mechanisms[i], "ANONYMOUS") != 0);
	for (size_t i = 0; i < netset_count(p->internal); i++)
		REQUIRE(netset_get(p->internal, i).prefix > 0);
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		REQUIRE(imap->url_count > 0 && imap->ca_file != NULL &&
		    imap->proxy_user != NULL && imap->proxy_password != NULL &&
		    imap->canary != NULL);
		REQUIRE(imap->verify[0] != VERIFY_NONE);
		REQUIRE(imap->timeout_ms > 0 && imap->max_connections > 0);
	}
	check_sasls(conf);
	check_guessing(&conf->guessing);
	REQUIRE(conf->store_url != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_env env = { .host = NULL, .no_files = true };
	struct conf_report report = { NULL, 0, 0 };
	struct conf *conf =
	    conf_load_text("fuzz", (const char *)data, size, &env, &report);

	REQUIRE((conf == NULL) == (report.errors > 0));
	if (conf != NULL)
		check(conf);
	for (size_t i = 0; i < report.count; i++)
		REQUIRE(strpbrk(report.lines[i], "\r\n") == NULL);
	conf_free(&conf);
	conf_report_clear(&report);
	return 0;
}
