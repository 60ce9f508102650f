/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl lease: shows leases, gives and takes them back, and reads logs of
 * IMAP servers for logins that are good for one. Works in the store beside the
 * daemon, as the store's owner.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/follow.h"
#include "ctl/stored.h"
#include "ctl/whom.h"
#include "gate/feed.h"
#include "gate/lease.h"
#include "gate/rules.h"
#include "store/store.h"

#define FLUSH_MS 10000 /* as long as a deletion may take */

enum verb { VERB_NONE, VERB_LIST, VERB_ADD, VERB_DEL, VERB_FOLLOW };

struct request {
	enum verb verb;
	struct whom whom;
	const char *path;
};

struct work {
	const struct request *request;
	const struct rules *rules;
	struct store *store;
};

static enum verb
verb_of(const char *word)
{
	if (strcmp(word, "list") == 0)
		return VERB_LIST;
	if (strcmp(word, "add") == 0)
		return VERB_ADD;
	if (strcmp(word, "del") == 0)
		return VERB_DEL;
	return strcmp(word, "follow") == 0 ? VERB_FOLLOW : VERB_NONE;
}

static int
parse(int argc, char **argv, struct request *r)
{
	r->verb = argc > 0 ? verb_of(argv[0]) : VERB_NONE;
	switch (r->verb) {
	case VERB_LIST:
		return argc == 1 ? 0 : -1;
	case VERB_FOLLOW:
		r->path = argc == 2 ? argv[1] : NULL;
		return argc == 2 ? 0 : -1;
	case VERB_ADD:
	case VERB_DEL:
		if (whom_parse(argc - 1, argv + 1, &r->whom) != 0 ||
		    r->whom.addr == NULL)
			return -1;
		return r->verb == VERB_ADD && r->whom.user == NULL ? -1 : 0;
	case VERB_NONE:
		break;
	}
	return -1;
}

static int
print_lease(void *arg, const struct store_lease *lease)
{
	const uint64_t *now = arg;
	char addr[NETADDR_TEXT_MAX];

	netaddr_format(&lease->addr, addr);
	return printf("%s\t%s\t%ju\t%s\n", addr, lease->login.text,
		   (uintmax_t)(lease->until_ms - *now + 999) / 1000,
		   lease->source) < 0;
}

static int
list(const struct work *w, struct err *e)
{
	uint64_t now = stored_now_ms();

	if (store_lease_list(w->store, now, print_lease, &now, e) != 0)
		return CTL_FINDING;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		err_set(e, "the list could not be written");
		return CTL_FINDING;
	}
	return CTL_GOOD;
}

static int
add(const struct work *w, struct err *e)
{
	const struct whom *whom = &w->request->whom;
	const struct lease_login login = {
		.user = whom->user,
		.user_len = strlen(whom->user),
		.addr = whom->addr,
		.addr_len = strlen(whom->addr),
		.source = "ctl",
	};
	struct store_lease lease;
	const char *why;

	if (lease_give(w->store, w->rules, &login, stored_now_ms(), &lease,
		&why) == LEASE_GIVEN) {
		if (store_flush(w->store, FLUSH_MS) == 0)
			return CTL_GOOD;
		why = "the store may not have kept it";
	}
	err_set(e, "no lease for %.255s at %.80s: %s", login.user, login.addr,
	    why);
	return CTL_FINDING;
}

static int
del(const struct work *w, struct err *e)
{
	const struct whom *whom = &w->request->whom;
	struct netaddr addr;
	struct login login;
	int count;

	if (whom_addr(whom->addr, &addr, e) != 0 ||
	    (whom->user != NULL &&
		whom_login(whom->user, w->rules->conf->policy.realm, &login,
		    e) != 0))
		return CTL_USAGE;
	count = store_lease_del(w->store, &addr,
	    whom->user != NULL ? &login : NULL, e);
	if (count < 0)
		return CTL_FINDING;
	(void)printf("%d lease%s at %s deleted\n", count, count == 1 ? "" : "s",
	    whom->addr);
	return count > 0 ? CTL_GOOD : CTL_FINDING;
}

static void
take_line(void *arg, const char *line, size_t len)
{
	const struct work *w = arg;
	struct feed_login told;
	struct lease_login login;
	struct store_lease lease;
	const char *why;

	if (!feed_line(line, len, &told))
		return;
	login = feed_as_lease(&told);
	/* what gives no lease is said by nobody: it is in the log already */
	if (lease_give(w->store, w->rules, &login, stored_now_ms(), &lease,
		&why) == LEASE_FAILED)
		(void)fprintf(stderr, "posternctl: no lease for %s at %s: %s\n",
		    told.user, told.addr, why);
}

/* A file that is to come, and a mistyped name, look alike. */
static void
note_if_missing(const char *path)
{
	if (strcmp(path, "-") != 0 && access(path, F_OK) != 0 &&
	    errno == ENOENT)
		(void)fprintf(stderr,
		    "posternctl: %s is not there yet; waiting for it\n", path);
}

static int
follow_log(struct work *w, struct err *e)
{
	/* it would read for ever, and nobody would know why nothing comes */
	if (w->rules->conf->policy.switches.leases != LEASES_ON) {
		err_set(e, "leases are off (leases.enabled)");
		return CTL_FINDING;
	}
	note_if_missing(w->request->path);
	if (follow(w->request->path, take_line, w) != 0)
		err_set(e, "%.400s: %s", w->request->path, strerror(errno));
	else if (store_flush(w->store, FLUSH_MS) != 0)
		err_set(e, "the store may not have kept every lease");
	else
		return CTL_GOOD;
	return CTL_FINDING;
}

static int
do_request(struct work *w, struct err *e)
{
	switch (w->request->verb) {
	case VERB_LIST:
		return list(w, e);
	case VERB_ADD:
		return add(w, e);
	case VERB_DEL:
		return del(w, e);
	case VERB_FOLLOW:
		return follow_log(w, e);
	case VERB_NONE:
		break;
	}
	return CTL_USAGE;
}

static int
work(const struct rules *rules, const struct request *r)
{
	struct work w = { .request = r, .rules = rules };
	struct err e = { "" };
	int rc = CTL_FINDING;

	w.store = stored_open(rules->conf, &e);
	if (w.store != NULL)
		rc = do_request(&w, &e);
	stored_close(&w.store, &e);
	return rc;
}

int
ctl_lease(const char *file, int argc, char **argv)
{
	struct request r = { .verb = VERB_NONE };
	struct rules *rules;
	struct conf *conf;
	int rc = CTL_FINDING;

	if (parse(argc, argv, &r) != 0) {
		(void)fprintf(stderr,
		    "posternctl: lease list, lease add --user USER --addr "
		    "ADDRESS, lease del --addr ADDRESS [--user USER], or lease "
		    "follow FILE\n");
		return CTL_USAGE;
	}
	conf = ctl_load(file, NULL);
	if (conf == NULL)
		return CTL_CONFIG;
	rules = rules_new_offline(conf);
	if (rules != NULL)
		rc = work(rules, &r);
	rules_free(&rules);
	return rc;
}
