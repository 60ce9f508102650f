/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl proof: shows and takes back what postern remembers of logins. It
 * works in the store beside the daemon, as the store's owner: a file that root
 * made would be closed to the daemon.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/stored.h"
#include "ctl/whom.h"
#include "store/store.h"

struct request {
	bool list;
	struct whom whom;
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
	if (whom_parse(argc - 1, argv + 1, &r->whom) != 0)
		return -1;
	return r->whom.user == NULL ? -1 : 0;
}

static int
normalise(struct request *r, const char *realm)
{
	const char *addr = r->whom.addr;
	struct err e;

	/* "-" is what list shows for a proof that holds from anywhere */
	if (whom_login(r->whom.user, realm, &r->login, &e) == 0 &&
	    (addr == NULL || strcmp(addr, "-") == 0 ||
		whom_addr(addr, &r->from, &e) == 0))
		return 0;
	(void)fprintf(stderr, "posternctl: %s\n", e.text);
	return -1;
}

static int
print_proof(void *arg, const struct store_proof *proof)
{
	const uint64_t *now = arg;
	char addr[NETADDR_TEXT_MAX];

	netaddr_format(&proof->addr, addr);
	return printf("%s\t%s\t%jd\n", proof->login.text, addr,
		   ((intmax_t)*now - (intmax_t)proof->time_ms) / 1000) < 0;
}

static int
list(struct store *store, struct err *e)
{
	uint64_t now = stored_now_ms();

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
	    r->whom.addr != NULL ? &r->from : NULL, e);

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
	stored_close(&store, &e);
	return rc;
}

int
ctl_proof(const char *file, int argc, char **argv)
{
	struct request r = { .list = false };
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
