/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl proof: shows and takes back what postern remembers of logins. It
 * works in the store beside the daemon, as the store's owner: a file that root
 * made would be closed to the daemon.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/stored.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "store/store.h"

struct request {
	bool list;
	const char *user;
	const char *addr;
	struct login login;
	struct netaddr from;
};

static int
parse(int argc, char **argv, struct request *r)
{
	if (argc == 1 && strcmp(argv[0], "list") == 0) {
		r->list = true;
		return 0;
	}
	if (argc < 1 || strcmp(argv[0], "del") != 0)
		return -1;
	for (int i = 1; i < argc; i += 2) {
		const char **value = NULL;

		if (strcmp(argv[i], "--user") == 0)
			value = &r->user;
		else if (strcmp(argv[i], "--addr") == 0)
			value = &r->addr;
		if (value == NULL || *value != NULL || i + 1 == argc)
			return -1;
		*value = argv[i + 1];
	}
	return r->user == NULL ? -1 : 0;
}

/* The login and address, as the daemon would write them. */
static int
normalise(struct request *r, const char *realm)
{
	if (login_normalise(r->user, strlen(r->user), realm, &r->login) != 0) {
		(void)fprintf(stderr, "posternctl: \"%.255s\" is no login\n",
		    r->user);
		return -1;
	}
	/* "-" is what list shows for a proof that holds from anywhere */
	if (r->addr == NULL || strcmp(r->addr, "-") == 0 ||
	    netaddr_parse(r->addr, &r->from) == 0)
		return 0;
	(void)fprintf(stderr, "posternctl: \"%.80s\" is no address\n", r->addr);
	return -1;
}

static int
print_proof(void *arg, const struct store_proof *proof)
{
	const struct timespec *now = arg;
	long long now_ms =
	    (long long)now->tv_sec * 1000 + now->tv_nsec / 1000000;
	char addr[NETADDR_TEXT_MAX];

	netaddr_format(&proof->addr, addr);
	return printf("%s\t%s\t%lld\n", proof->login.text, addr,
		   (now_ms - (long long)proof->time_ms) / 1000) < 0;
}

static int
list(struct store *store, struct err *e)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (store_proof_list(store, print_proof, &now, e) != 0)
		return CTL_FINDING;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		err_set(e, "the list could not be written");
		return CTL_FINDING;
	}
	return CTL_GOOD;
}

static int
forget(struct store *store, const struct request *r, struct err *e)
{
	int count = store_proof_forget(store, &r->login,
	    r->addr != NULL ? &r->from : NULL, e);

	if (count < 0)
		return CTL_FINDING;
	(void)printf("%d session proof%s of %s deleted\n", count,
	    count == 1 ? "" : "s", r->login.text);
	return count > 0 ? CTL_GOOD : CTL_FINDING;
}

static int
work(const struct conf *conf, const struct request *r)
{
	struct err e = { "" };
	struct store *store = stored_open(conf, &e);
	int rc = CTL_FINDING;

	if (store != NULL)
		rc = r->list ? list(store, &e) : forget(store, r, &e);
	store_close(&store);
	if (e.text[0] != '\0')
		(void)fprintf(stderr, "posternctl: %s\n", e.text);
	return rc;
}

int
ctl_proof(const char *file, int argc, char **argv)
{
	struct request r = { .user = NULL };
	struct conf *conf;
	int rc = CTL_USAGE;

	if (parse(argc, argv, &r) != 0) {
		(void)fprintf(stderr,
		    "posternctl: proof list, or proof del --user USER "
		    "[--addr ADDRESS]\n");
		return CTL_USAGE;
	}
	conf = ctl_load(file, NULL);
	if (conf == NULL)
		return CTL_CONFIG;
	if (r.list || normalise(&r, conf->policy.realm) == 0)
		rc = work(conf, &r);
	conf_free(&conf);
	return rc;
}
