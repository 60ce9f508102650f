/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a message as the limits see it: reserved, given back or settled.
 * It answers "within" or "over" and leaves the reply to policy.
 */
#include "gate/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/sentinel.h"
#include "gate/tally.h"
#include "policy/domain.h"

#define AGAIN_MS   UINT64_C(3600000) /* a message is known again so long ... */
#define AGAIN_MOST 5                 /* ... and so often */

struct limits *
limits_new(struct log *log)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits == NULL)
		return NULL;
	limits->log = log;
	limits->recent = recent_new();
	limits->kept = kept_new();
	if (limits->recent != NULL && limits->kept != NULL)
		limits->contain =
		    contain_new(limits->recent, limits->kept, log);
	if (limits->contain == NULL)
		limits_free(&limits);
	return limits;
}

void
limits_free(struct limits **limits)
{
	if (*limits == NULL)
		return;
	contain_free(&(*limits)->contain);
	kept_free(&(*limits)->kept);
	recent_free(&(*limits)->recent);
	free(*limits);
	*limits = NULL;
}

struct contain *
limits_contain(struct limits *limits)
{
	return limits->contain;
}

void
limits_payer(const struct rules *rules, const struct login *login,
    struct login *payer_r)
{
	rules_account(rules, login, payer_r);
	for (char *p = payer_r->text; *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
}

/* A client has many addresses in its network, and one network is one place. */
static uint64_t
network_hash(const struct netaddr *addr)
{
	return recent_hash((uint64_t)addr->family, addr->octets,
	    addr->family == NETADDR_INET6 ? 6 : 3);
}

static uint64_t
path_hash(uint64_t hash, const struct path *path)
{
	hash = recent_hash(hash, path->local, strlen(path->local));
	return recent_hash(hash, path->domain, strlen(path->domain));
}

static bool
counts_nothing(const struct limits_client *client)
{
	return client->store == NULL || !client->counts;
}

/* False: it is too much. */
static bool
reserve_message(struct limits *limits, const struct limits_client *client,
    uint64_t sender, uint64_t size, struct limits_account *account)
{
	if (!tally_note(limits, client, COUNTER_ADDRESSES,
		network_hash(client->addr), account) ||
	    !tally_note(limits, client, COUNTER_SENDERS, sender, account) ||
	    !tally_has_room(limits, client, COUNTER_BAD_RECIPIENTS, account))
		return false;
	if (client->rcpt_alone)
		return true;
	if (size > 0 &&
	    !tally_take(limits, client, COUNTER_BYTES, size, false, account))
		return false;
	account->octets = size;
	return tally_take(limits, client, COUNTER_MESSAGES, 1, false, account);
}

void
limits_mail(struct limits *limits, const struct limits_client *client,
    const struct path *sender, uint64_t size, struct limits_account *account,
    struct facts *facts)
{
	uint64_t hash = path_hash(4, sender);
	char who[TALLY_WHO_MAX];
	const char *name = who;

	account->step = CONTAINMENT_NONE;
	if (client->store != NULL && client->login != NULL) {
		account->step = contain_look(limits->contain, client->conf,
		    client->store, client->login, client->now_ms);
		name = client->login->text;
	} else if (!counts_nothing(client)) {
		tally_name_address(client->addr, who);
	}
	if (!counts_nothing(client) && account->step != CONTAINMENT_SHUT) {
		account->message = recent_hash(hash + size, name, strlen(name));
		account->taken = calloc(client->conf->limit_count + 1,
		    sizeof(*account->taken));
		if (account->taken == NULL)
			return;
	}
	facts->limit = LIMIT_WITHIN;
	facts->containment = account->step;
	if (account->taken != NULL &&
	    !reserve_message(limits, client, hash, size, account)) {
		facts->limit = LIMIT_OVER;
		limits_give_back(client, account);
	}
}

/* For one more. -1: no memory. */
static int
make_room(struct limits_account *account)
{
	size_t room = account->room == 0 ? 8 : account->room * 2;
	uint64_t *grown;

	if (account->count < account->room)
		return 0;
	grown = reallocarray(account->counted, room, sizeof(*grown));
	if (grown == NULL)
		return -1;
	account->counted = grown;
	account->room = room;
	return 0;
}

/* A contained login has a limit of its own, local recipients or not. */
static bool
take_contained(const struct limits_client *client)
{
	struct store_rate rate = { client->conf->contain.rate.count,
		client->conf->contain.rate.window_ms };
	char key[STORE_KEY_MAX + 1];

	(void)snprintf(key, sizeof(key), "slowed/%s", client->login->text);
	return store_rate_take(client->store, key, &rate, 1, client->now_ms,
		   NULL, NULL) != STORE_OVER;
}

/* False: it is too much. */
static bool
reserve_recipient(struct limits *limits, const struct limits_client *client,
    uint64_t hash, bool local, struct limits_account *account)
{
	bool again = account->step == CONTAINMENT_NONE &&
	    recent_use(limits->recent, hash, AGAIN_MOST, client->now_ms);

	if (account->step > CONTAINMENT_NONE && !take_contained(client)) {
		contain_press(limits->contain, client->conf, client->store,
		    client->login, account->step, hash, client->now_ms);
		return false;
	}
	if (!again &&
	    !tally_take(limits, client, COUNTER_RECIPIENTS, 1, local, account))
		return false;
	account->counted[account->count++] = hash;
	if (again)
		account->again++;
	return true;
}

void
limits_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account,
    struct facts *facts)
{
	unsigned int most = client->conf->recipients_max;

	facts->recipient_limit = LIMIT_WITHIN;
	if (most > 0 && account->count >= most) {
		facts->recipient_limit = LIMIT_RECIPIENTS;
		return;
	}
	if (make_room(account) != 0) { /* how many there are must be known */
		facts->recipient_limit = LIMIT_NOT_ASKED;
		return;
	}
	/* a reload may have opened the store since MAIL */
	if (counts_nothing(client) || account->taken == NULL) {
		account->counted[account->count++] = 0;
		return;
	}
	if (client->login != NULL)
		recent_note(limits->recent, client->login, client->addr,
		    recipient->domain);
	if (!reserve_recipient(limits, client,
		path_hash(account->message, recipient),
		facts->recipient_local == TRI_YES, account))
		facts->recipient_limit = LIMIT_OVER;
}

void
limits_contained(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, const struct limits_account *account)
{
	if (counts_nothing(client) || client->login == NULL)
		return;
	recent_note(limits->recent, client->login, client->addr,
	    recipient->domain);
	contain_press(limits->contain, client->conf, client->store,
	    client->login, account->step,
	    path_hash(account->message, recipient), client->now_ms);
}

/* Clients come again with what the MTA has refused for now. */
void
limits_bad_rcpt(struct limits *limits, const struct limits_client *client,
    const struct path *recipient, struct limits_account *account)
{
	uint64_t hash = path_hash(account->message, recipient);

	if (counts_nothing(client))
		return;
	if (client->login != NULL)
		recent_note(limits->recent, client->login, client->addr,
		    recipient->domain);
	if (recent_first(limits->recent, recent_hash(hash, "bad", 3), AGAIN_MS,
		client->now_ms))
		tally_count(limits, client, COUNTER_BAD_RECIPIENTS, account);
}

bool
limits_body(struct limits *limits, const struct limits_client *client,
    uint64_t octets, struct limits_account *account)
{
	if (counts_nothing(client) || account->taken == NULL ||
	    octets <= account->octets)
		return true;
	if (!tally_take(limits, client, COUNTER_BYTES, octets - account->octets,
		false, account))
		return false;
	account->octets = octets;
	return true;
}

static void
end_account(struct limits_account *account)
{
	free(account->taken);
	free(account->counted);
	memset(account, 0, sizeof(*account));
}

void
limits_give_back(const struct limits_client *client,
    struct limits_account *account)
{
	enum containment step = account->step;

	if (account->taken != NULL) {
		tally_give_back(client, COUNTER_MESSAGES, account);
		tally_give_back(client, COUNTER_BYTES, account);
		tally_give_back(client, COUNTER_RECIPIENTS, account);
	}
	end_account(account);
	account->step = step;
}

void
limits_settle(struct limits *limits, const struct limits_client *client,
    struct limits_account *account)
{
	if (account->taken != NULL && account->count > 0 &&
	    account->again == account->count) {
		tally_give_back(client, COUNTER_MESSAGES, account);
		tally_give_back(client, COUNTER_BYTES, account);
	}
	for (size_t i = 0; account->taken != NULL && i < account->count; i++)
		recent_mark(limits->recent, account->counted[i], AGAIN_MS,
		    client->now_ms);
	end_account(account);
}

static const char *
foreign_domain(const struct conf *conf, const struct path *path)
{
	if (path->form != PATH_MAILBOX || path->domain[0] == '\0' ||
	    domainset_contains(conf->policy.local_domains, path->domain))
		return "";
	return path->domain;
}

void
limits_watch(struct limits *limits, const struct limits_client *client,
    const char *helo, const struct path *sender, const struct path *recipient)
{
	struct sentinel_sight sight = {
		.addr = client->addr,
		.helo = helo != NULL ? helo : "",
		.sender = foreign_domain(client->conf, sender),
		.recipient = foreign_domain(client->conf, recipient),
	};

	if (client->counts && client->login == NULL &&
	    client->zone == ZONE_INTERNAL)
		sentinel_see(limits->recent, limits->log, client->conf,
		    client->store, &sight, client->now_ms);
}

bool
limits_bar(struct limits *limits, const struct conf *conf, struct store *store,
    const struct netaddr *addr, uint64_t now_ms)
{
	return sentinel_bars(limits->kept, conf, store, addr, now_ms);
}
