/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl status and release: who is contained, who is near a limit, and the
 * end of a containment. Works in the store beside the daemon, as the store's
 * owner; the daemon gives back what it has counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/stored.h"
#include "ctl/whom.h"
#include "gate/contain.h"
#include "gate/limits.h"
#include "gate/rules.h"
#include "gate/sentinel.h"
#include "store/store.h"

static int
print_contained(void *arg, const char *login, const struct contain_state *state)
{
	const uint64_t *now = arg;
	uint64_t left =
	    state->until_ms > *now ? (state->until_ms - *now + 999) / 1000 : 0;

	return printf("%s\t%s\t%s\t%s\t%" PRIu64 "\n",
		   left > 0 ? "contained" : "was-contained", login,
		   contain_step_name(state->step), state->why, left) < 0;
}

static int
print_near(void *arg, const struct limits_near *near)
{
	(void)arg;
	return printf("near-limit\t%s\t%s\t%s\t%u%%\n", near->who, near->limit,
		   near->counter, near->percent) < 0;
}

static int
print_caught(void *arg, const char *addr)
{
	(void)arg;
	return printf("sentinel\t%s\n", addr) < 0;
}

static int
show(const struct rules *rules, struct store *store, struct err *e)
{
	uint64_t now = stored_now_ms();

	if (contain_list(store, now, print_contained, &now, e) != 0 ||
	    limits_list(store, rules->conf, now, print_near, NULL, e) != 0 ||
	    sentinel_list(store, now, print_caught, NULL, e) != 0)
		return CTL_FINDING;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CTL_GOOD;
	err_set(e, "the list could not be written");
	return CTL_FINDING;
}

static int
release(const struct rules *rules, struct store *store, const char *name,
    struct err *e)
{
	struct login login, payer;
	struct netaddr addr;
	int rc;

	if (netaddr_parse(name, &addr) == 0) {
		rc = sentinel_release(store, &addr, e);
		if (rc >= 0)
			(void)printf("%s %s\n", name,
			    rc > 0 ? "released" : "was not caught");
		return rc > 0 ? CTL_GOOD : CTL_FINDING;
	}
	/* as status shows it, or as people write it */
	if (whom_login(name, rules->conf->policy.realm, &login, e) != 0)
		return CTL_USAGE;
	rc = contain_release(store, &login, stored_now_ms(), e);
	limits_payer(rules, &login, &payer);
	if (rc == 0 && strcmp(payer.text, login.text) != 0)
		rc = contain_release(store, &payer, stored_now_ms(), e);
	if (rc < 0)
		return CTL_FINDING;
	(void)printf("%s %s\n", payer.text,
	    rc > 0 ? "released" : "is not contained");
	return rc > 0 ? CTL_GOOD : CTL_FINDING;
}

/* name: the login or address to be released, or NULL to show. */
static int
work(const char *file, const char *name)
{
	struct conf *conf = ctl_load(file, NULL);
	struct store *store = NULL;
	struct err e = { "" };
	int rc = CTL_FINDING;
	struct rules *rules;

	if (conf == NULL)
		return CTL_CONFIG;
	rules = rules_new_offline(conf);
	if (rules != NULL)
		store = stored_open(rules->conf, &e);
	if (store != NULL)
		rc = name != NULL ? release(rules, store, name, &e)
				  : show(rules, store, &e);
	stored_close(&store, &e);
	rules_free(&rules);
	return rc;
}

int
ctl_status(const char *file, int argc, char **argv)
{
	(void)argv;
	if (argc == 0)
		return work(file, NULL);
	(void)fprintf(stderr, "posternctl: status takes no arguments\n");
	return CTL_USAGE;
}

int
ctl_release(const char *file, int argc, char **argv)
{
	if (argc == 1)
		return work(file, argv[0]);
	(void)fprintf(stderr, "posternctl: release LOGIN or release ADDRESS\n");
	return CTL_USAGE;
}
