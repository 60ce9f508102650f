/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option `internal`. What is wrong in it is netset's business; here are the
 * lines to blame, and warnings about networks which are allowed and seldom
 * meant: a host that speaks for others is never internal.
 */
#include "conf/load.h"

#include <stdio.h>
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

/* Of a text that netset_add() takes. */
static int
parse_net(const char *text, struct net *net_r)
{
	char address[NETADDR_TEXT_MAX];
	size_t len;

	net_r->excluded = *text == '!';
	text += net_r->excluded ? 1 : 0;
	len = strcspn(text, "/");
	if (len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	if (netaddr_parse(address, &net_r->addr) < 0)
		return -1;
	net_r->prefix = net_r->addr.family == NETADDR_INET ? 32 : 128;
	if (text[len] != '/')
		return 0;
	net_r->prefix = (unsigned int)strtoul(text + len + 1, NULL, 10);
	if (net_r->addr.family == NETADDR_INET && strchr(address, ':') != NULL)
		net_r->prefix -= 96; /* ::ffff:10.0.0.0/104 */
	return 0;
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
is_private(const struct net *net)
{
	const size_t n = sizeof(private_networks) / sizeof(*private_networks);

	for (size_t i = 0; i < n; i++) {
		struct net private;

		if (parse_net(private_networks[i], &private) == 0 &&
		    net_covers(&private, net))
			return true;
	}
	return false;
}

/* What can be said of one network alone. */
static void
warn_of_net(struct loader *l, const struct item *item)
{
	struct net net;
	unsigned int widest;

	if (parse_net(item->text, &net) < 0 || net.excluded)
		return;
	widest = net.addr.family == NETADDR_INET ? 24 : 48;
	if (net.prefix < widest && !is_private(&net))
		report_warning(&l->r, item->line, label,
		    REPORT_QUOTE " is a public network wider than /%u; are all "
				 "its hosts yours?",
		    item->text, widest);
	if (net.addr.family != NETADDR_INET6)
		return;
	for (size_t i = 0; i < sizeof(translators) / sizeof(*translators);
	     i++) {
		struct net t;

		if (parse_net(translators[i].net, &t) == 0 &&
		    (net_covers(&t, &net) || net_covers(&net, &t)))
			report_warning(&l->r, item->line, label,
			    REPORT_QUOTE " reaches into %s, %s: anybody may be "
					 "behind it",
			    item->text, translators[i].net,
			    translators[i].name);
	}
}

static bool
same_net(const struct net *a, const struct net *b)
{
	return net_covers(a, b) && net_covers(b, a);
}

/* The line that made a network internal. */
static unsigned int
line_of(const struct block *root, const struct net *net)
{
	struct items items = block_items(root, OPTION_INTERNAL);

	for (size_t i = 0; i < items.count; i++) {
		const struct item *item = items_get(&items, i);
		struct net n;

		if (parse_net(item->text, &n) == 0 && same_net(&n, net))
			return item->line;
	}
	return root->line;
}

static void
warn_of_host(struct loader *l, const struct block *root)
{
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

		if (!netset_contains(l->conf->policy.internal, &hosts[i].addr,
			&best))
			continue;
		netaddr_format(&hosts[i].addr, address);
		net_format(&best, text);
		report_warning(&l->r, line_of(root, &best), label,
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
	struct err e = { "" };

	(void)arg;
	if (netset_add(l->conf->policy.internal, text, &e) < 0)
		report_error(&l->r, line, label, "%s", e.text);
}

/* The line of the last network that an error of the whole set names, or of the
 * option. */
static unsigned int
line_of_error(struct loader *l, const struct block *root, const char *message)
{
	struct items items = block_items(root, OPTION_INTERNAL);

	for (size_t i = items.count; i > 0; i--) {
		const struct item *item = items_get(&items, i - 1);
		char text[NET_TEXT_MAX];
		struct net net;

		if (parse_net(item->text, &net) < 0)
			continue;
		net.excluded = false;
		net_format(&net, text);
		if (strncmp(message, text, strlen(text)) == 0 &&
		    message[strlen(text)] == ' ')
			return item->line;
	}
	return document_line(l->document, root, OPTION_INTERNAL);
}

void
load_internal(struct loader *l, const struct block *root)
{
	struct items items = block_items(root, OPTION_INTERNAL);
	size_t errors = l->r.report->errors;
	struct err e = { "" };

	l->conf->policy.internal = netset_new();
	if (l->conf->policy.internal == NULL) {
		report_no_memory(&l->r);
		return;
	}
	load_list(l, root, OPTION_INTERNAL, take_network, NULL);
	if (l->r.report->errors != errors)
		return;
	if (netset_seal(l->conf->policy.internal, &e) < 0) {
		report_error(&l->r, line_of_error(l, root, e.text), label,
		    "%s; allowed: each network once, and not everybody",
		    e.text);
		return;
	}
	if (netset_count(l->conf->policy.internal) == 0)
		report_warning(&l->r,
		    document_line(l->document, root, OPTION_INTERNAL), label,
		    "it is empty: no client is internal, and everybody has to "
		    "log in");
	for (size_t i = 0; i < items.count; i++)
		warn_of_net(l, items_get(&items, i));
	warn_of_host(l, root);
}
