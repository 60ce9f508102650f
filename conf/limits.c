/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sections about how much is too much: limits, contain, sentinel. A site
 * that writes no limits has those below. Nothing is counted here.
 */
#include "conf/load.h"

#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/value.h"

#define NAME_MAX_LEN 32

static const enum option counter_options[LIMIT_COUNTERS] = {
	[COUNTER_MESSAGES] = OPTION_LIMITS_MESSAGES,
	[COUNTER_RECIPIENTS] = OPTION_LIMITS_RECIPIENTS,
	[COUNTER_BYTES] = OPTION_LIMITS_BYTES,
	[COUNTER_BAD_RECIPIENTS] = OPTION_LIMITS_BAD_RECIPIENTS,
	[COUNTER_ADDRESSES] = OPTION_LIMITS_ADDRESSES,
	[COUNTER_SENDERS] = OPTION_LIMITS_SENDERS,
};

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

/* What people never reach, and the thief of a password soon does. */
static const struct conf_limit defaults[] = {
	{
	    .name = (char []){ "per-login" },
	    .key = LIMIT_KEY_LOGIN,
	    .action = LIMIT_CONTAIN,
	    .quotas = {
		[COUNTER_MESSAGES] = { 300, HOUR_MS },
		[COUNTER_RECIPIENTS] = { 500, HOUR_MS },
		[COUNTER_BAD_RECIPIENTS] = { 50, HOUR_MS },
		[COUNTER_ADDRESSES] = { 20, DAY_MS },
	    },
	},
	{
	    .name = (char []){ "per-login-local" },
	    .key = LIMIT_KEY_LOGIN,
	    .action = LIMIT_CONTAIN,
	    .count_local = true,
	    .quotas = { [COUNTER_RECIPIENTS] = { 3000, HOUR_MS } },
	},
	{
	    .name = (char []){ "internal" },
	    .key = LIMIT_KEY_ADDR,
	    .action = LIMIT_WARN,
	    .count_local = true,
	    .quotas = {
		[COUNTER_MESSAGES] = { 1000, HOUR_MS },
		[COUNTER_RECIPIENTS] = { 3000, HOUR_MS },
	    },
	},
};

const char *
conf_counter_name(enum limit_counter counter)
{
	return option_row(counter_options[counter])->name;
}

/* It is part of the names of counters, and of log lines. */
static bool
name_is_plain(const char *name)
{
	size_t len = strspn(name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return len > 0 && len <= NAME_MAX_LEN && name[len] == '\0';
}

static void
check_key(struct loader *l, const struct block *b, const struct conf_limit *c)
{
	if (c->key != LIMIT_KEY_LOGIN && c->action == LIMIT_CONTAIN)
		report_error(&l->r, block_line(b, OPTION_LIMITS_ACTION),
		    "limits.action",
		    "\"contain\" is for logins only; allowed: tempfail, warn, "
		    "or key = \"login\"");
	if (c->key == LIMIT_KEY_ADDR && c->quotas[COUNTER_ADDRESSES].count > 0)
		report_error(&l->r, block_line(b, OPTION_LIMITS_ADDRESSES),
		    "limits.addresses",
		    "an address has one address; allowed: \"\" or another key");
}

static bool
counts_nothing(const struct conf_limit *c)
{
	for (size_t i = 0; i < LIMIT_COUNTERS; i++) {
		if (c->quotas[i].count > 0)
			return false;
	}
	return true;
}

static void
load_limit(struct loader *l, const struct block *b, struct conf_limit *c)
{
	if (!name_is_plain(b->title))
		report_error(&l->r, b->line, "limits",
		    REPORT_QUOTE " is no name; allowed: at most %u letters, "
				 "digits, - and _",
		    b->title, NAME_MAX_LEN);
	c->name = strdup(b->title);
	if (c->name == NULL)
		report_no_memory(&l->r);
	c->key = (enum limit_key)load_word(l, b, OPTION_LIMITS_KEY);
	for (size_t i = 0; i < LIMIT_COUNTERS; i++)
		load_rate(l, b, counter_options[i], &c->quotas[i]);
	c->count_local = load_word(l, b, OPTION_LIMITS_LOCAL) != 0;
	c->action = (enum limit_action)load_word(l, b, OPTION_LIMITS_ACTION);
	check_key(l, b, c);
	/* what was refused may have been a counter */
	if (l->r.report->errors == 0 && counts_nothing(c) &&
	    strcmp(b->title, "none") != 0)
		report_warning(&l->r, b->line, "limits",
		    REPORT_QUOTE " has no counter and limits nothing; limits "
				 "\"none\" { } says so on purpose",
		    b->title);
}

static void
copy_defaults(struct loader *l, struct conf_limit *limits)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		limits[i] = defaults[i];
		limits[i].name = strdup(defaults[i].name);
		if (limits[i].name == NULL)
			report_no_memory(&l->r);
	}
}

void
load_limits(struct loader *l)
{
	size_t written = document_block_count(l->document, SECTION_LIMITS);
	size_t count =
	    written > 0 ? written : sizeof(defaults) / sizeof(defaults[0]);
	struct conf *conf = l->conf;

	conf->limits = calloc(count, sizeof(*conf->limits));
	if (conf->limits == NULL) {
		report_no_memory(&l->r);
		return;
	}
	conf->limit_count = count;
	if (written == 0)
		copy_defaults(l, conf->limits);
	for (size_t i = 0; i < written; i++) {
		struct block b = document_block(l->document, SECTION_LIMITS, i);

		load_limit(l, &b, &conf->limits[i]);
	}
}

void
load_contain(struct loader *l, const struct block *b)
{
	struct conf_contain *c = &l->conf->contain;

	load_string(l, b, OPTION_CONTAIN_COMMAND, value_absolute_path,
	    &c->command);
	if (c->command != NULL && *c->command != '\0')
		account_warn_program(l, block_line(b, OPTION_CONTAIN_COMMAND),
		    "contain.command", c->command);
	c->slowed_ms = load_duration(l, b, OPTION_CONTAIN_SLOWED);
	c->local_ms = load_duration(l, b, OPTION_CONTAIN_LOCAL);
	c->shut_ms = load_duration(l, b, OPTION_CONTAIN_SHUT);
	c->memory_ms = load_duration(l, b, OPTION_CONTAIN_MEMORY);
	load_rate(l, b, OPTION_CONTAIN_RATE, &c->rate);
}

void
limits_clear(struct conf *conf)
{
	for (size_t i = 0; i < conf->limit_count; i++)
		free(conf->limits[i].name);
	free(conf->limits);
	free(conf->contain.command);
}

bool
conf_limits_count(const struct conf *conf, enum limit_counter counter)
{
	for (size_t i = 0; i < conf->limit_count; i++) {
		if (conf->limits[i].quotas[counter].count > 0)
			return true;
	}
	return false;
}
