/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_GUESS_H
#define POSTERN_GATE_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "identity/identity.h"
#include "policy/login.h"
#include "policy/netaddr.h"
#include "policy/netset.h"

/*
 * Counts wrong passwords: how many *different* ones (one phone that repeats an
 * old password is one) within a window, per client address (IPv4 /32, IPv6
 * /64), per network (/24, /48) and per login, in whatever case it is written. A
 * login is spared from where it succeeded lately. In memory, bounded: what was
 * not touched for longest is forgotten first. Locked; any thread. Times are
 * CLOCK_MONOTONIC milliseconds.
 */
struct guess;

/* So many counts, so many logins to be spared, and so many wrong passwords in
 * all the counts together are remembered: some 40 MiB. */
#define GUESS_KEYS_MAX 100000
#define GUESS_TAGS_MAX 1000000

/* NULL: no memory. */
struct guess *guess_new(void);
void guess_free(struct guess **guess);

enum guess_limit {
	GUESS_WITHIN = 0,
	GUESS_PER_ADDRESS,
	GUESS_PER_NETWORK,
	GUESS_PER_LOGIN,
};

/* "per_address", "per_network", "per_login"; "none". */
const char *guess_limit_name(enum guess_limit limit);

/* The network that per_network counts an address in, as text; "-" for none. */
void guess_network(const struct netaddr *addr, char text_r[NET_TEXT_MAX]);

/* Is an attempt at this login from this address (NETADDR_NONE: not known; then
 * only per_login counts, and nobody is spared) over a limit? A spared one never
 * is. per_login goes by the account: logins that are one to IMAP count as one
 * here. */
enum guess_limit guess_over(struct guess *guess,
    const struct conf_guessing *limits, const struct netaddr *addr,
    const struct login *login, const struct login *account, uint64_t now_ms);

/* Is the client, wherever its login is spared, over per_address or
 * per_network? login NULL: it presents none. */
enum guess_limit guess_client_over(struct guess *guess,
    const struct conf_guessing *limits, const struct netaddr *addr,
    const struct login *login, uint64_t now_ms);

/* IMAP refused it. The tag tells equal passwords from different ones. Not
 * counted when spared. The limit that one of the counts has reached by this,
 * or GUESS_WITHIN. Without memory it is not counted. */
enum guess_limit guess_failed(struct guess *guess,
    const struct conf_guessing *limits, const struct netaddr *addr,
    const struct login *login, const struct login *account,
    const unsigned char tag[IDENTITY_TAG_LEN], uint64_t now_ms);

/* IMAP verified it. */
void guess_succeeded(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login, uint64_t now_ms);

/* How much is remembered, at most GUESS_..._MAX of each. */
struct guess_size {
	size_t keys;
	size_t tags;
	size_t spares;
};
void guess_measure(struct guess *guess, struct guess_size *size_r);

#endif
