/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option `internal`. What is wrong in it is netset's business; here are the
 * lines to blame, and warnings about networks which are allowed and seldom
 * meant: a host that speaks for others is never internal.
 */
#include "conf/load.h"

#include <stdlib.h>
#include <string.h>

#include "policy/netset.h"

static const char label[] = "internal";

/* What a network that is not public lies in (RFC 6890, RFC 4193). */
static const char *const private_networks[] = {
	"10.0.0.0/8",
	"172.16.0.0/12",
	"192.168.0.0/16",
	"127.0.0.0/8",
	"169.254.0.0/16",
	"100.64.0.0/10",
	"fc00::/7",
	"fe80::/10",
	"::1/128",
};

/* Prefixes behind which everybody may be: IPv4 clients in disguise. */
static const struct {
	const char *net;
	const char *name;
} translators[] = {
	{ "64:ff9b::/96", "NAT64 (RFC 6052)" },
	{ "64:ff9b:1::/48", "local NAT64 (RFC 8215)" },
	{ "2002::/16", "6to4 (RFC 3056)" },
	{ "2001::/32", "Teredo (RFC 4380)" },
};

#define PRIVATE_COUNT    (sizeof(private_networks) / sizeof(*private_networks))
#define TRANSLATOR_COUNT (sizeof(translators) / sizeof(*translators))

/* The same, parsed. */
struct known {
	struct net private[PRIVATE_COUNT];
	struct net translators[TRANSLATOR_COUNT];
};

static void
parse_known(struct known *known)
{
	struct err e;

	for (size_t i = 0; i < PRIVATE_COUNT; i++)
		(void)net_parse(private_networks[i], &known->private[i], &e);
	for (size_t i = 0; i < TRANSLATOR_COUNT; i++)
		(void)net_parse(translators[i].net, &known->translators[i], &e);
}

/* Is b inside a, or a itself? */
static bool
net_covers(const struct net *a, const struct net *b)
{
	unsigned int octets = a->prefix / 8, bits = a->prefix % 8;

	if (a->addr.family != b->addr.family || a->prefix > b->prefix)
		return false;
	if (memcmp(a->addr.octets, b->addr.octets, octets) != 0)
		return false;
	return bits == 0 ||
	    (a->addr.octets[octets] ^ b->addr.octets[octets]) >> (8 - bits) ==
	    0;
}

static bool
is_private(const struct known *known, const struct net *net)
{
	for (size_t i = 0; i < PRIVATE_COUNT; i++) {
		if (net_covers(&known->private[i], net))
			return true;
	}
	return false;
}

/* What can be said of one network alone. */
static void
warn_of_net(struct loader *l, const struct known *known, const struct net *net,
    unsigned int line, const char *text)
{
	unsigned int widest = net->addr.family == NETADDR_INET ? 24 : 48;

	if (net->excluded)
		return;
	if (net->prefix < widest && !is_private(known, net))
		report_warning(&l->r, line, label,
		    REPORT_QUOTE " is a public network wider than /%u; are all "
				 "its hosts yours?",
		    text, widest);
	if (net->addr.family != NETADDR_INET6)
		return;
	for (size_t i = 0; i < TRANSLATOR_COUNT; i++) {
		const struct net *t = &known->translators[i];

		if (net_covers(t, net) || net_covers(net, t))
			report_warning(&l->r, line, label,
			    REPORT_QUOTE " reaches into %s, %s: anybody may be "
					 "behind it",
			    text, translators[i].net, translators[i].name);
	}
}

static void
warn_of_host(struct loader *l)
{
	const struct netset *internal = l->conf->policy.internal;
	struct hostnet *hosts = NULL;
	size_t count = 0;

	if (l->env->host == NULL)
		return;
	if (hostnet_read(l->env->host, &hosts, &count) < 0) {
		report_no_memory(&l->r);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		char address[NETADDR_TEXT_MAX], text[NET_TEXT_MAX];
		struct net best;

		if (!netset_contains(internal, &hosts[i].addr, &best) ||
		    !netset_find(internal, &best))
			continue;
		netaddr_format(&hosts[i].addr, address);
		net_format(&best, text);
		report_warning(&l->r, best.mark, label,
		    "%s contains %s, %s %s of this host; if it speaks for "
		    "others, exclude it with \"!%s\"",
		    text, address,
		    hosts[i].kind == HOSTNET_GATEWAY ? "the default gateway on"
						     : "the address of bridge",
		    hosts[i].interface, address);
	}
	free(hosts);
}

static void
take_network(struct loader *l, void *arg, unsigned int line, const char *text)
{
	struct known *known = arg;
	struct net net;
	struct err e = { "" };
	int rc = net_parse(text, &net, &e);

	net.mark = line;
	if (rc == 0)
		rc = netset_add_net(l->conf->policy.internal, &net, &e);
	if (rc < 0) {
		report_error(&l->r, line, label, "%s", e.text);
		return;
	}
	warn_of_net(l, known, &net, line, text);
}

static bool
same_net(const struct net *a, const struct net *b)
{
	return net_covers(a, b) && net_covers(b, a);
}

/* The line of the last network that an error of the whole set names, or of the
 * option. */
static unsigned int
line_of_error(const struct block *root, const char *message)
{
	struct items items = block_items(root, OPTION_INTERNAL);
	size_t len = strcspn(message, " ");
	char text[NET_TEXT_MAX] = "";
	struct net named, net;
	struct err e;

	if (len < sizeof(text))
		memcpy(text, message, len);
	if (net_parse(text, &named, &e) < 0)
		return block_line(root, OPTION_INTERNAL);
	for (size_t i = items.count; i > 0; i--) {
		const struct item *item = &items.first[i - 1];

		if (net_parse(item->text, &net, &e) == 0 &&
		    same_net(&net, &named))
			return item->line;
	}
	return block_line(root, OPTION_INTERNAL);
}

void
load_internal(struct loader *l, const struct block *root)
{
	struct netset *internal = netset_new();
	size_t errors = l->r.report->errors;
	struct known known;
	struct err e = { "" };

	l->conf->policy.internal = internal;
	if (internal == NULL) {
		report_no_memory(&l->r);
		return;
	}
	parse_known(&known);
	load_list(l, root, OPTION_INTERNAL, take_network, &known);
	if (l->r.report->errors != errors)
		return;
	if (netset_seal(internal, &e) < 0) {
		report_error(&l->r, line_of_error(root, e.text), label,
		    "%s; allowed: each network once, and not everybody",
		    e.text);
		return;
	}
	if (netset_count(internal) == 0)
		report_warning(&l->r, block_line(root, OPTION_INTERNAL), label,
		    "it is empty: no client is internal, and everybody has to "
		    "log in");
	warn_of_host(l);
}
