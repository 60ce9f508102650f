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

/*
 * Counts wrong passwords: how many *different* ones (one phone that repeats an
 * old password is one) within a window, per client address (IPv4 /32, IPv6
 * /64), per network (/24, /48) and per login. A login is spared from where it
 * succeeded lately. In memory, bounded; locked; any thread. Times are
 * CLOCK_MONOTONIC milliseconds.
 */
struct guess;

struct guess *guess_new(void);
void guess_free(struct guess **guess);

enum guess_limit {
	GUESS_WITHIN = 0,
	GUESS_PER_ADDRESS,
	GUESS_PER_NETWORK,
	GUESS_PER_LOGIN,
};

/* Is an attempt at this login from this address (NETADDR_NONE: not known) over
 * a limit? A spared one never is. */
enum guess_limit guess_over(struct guess *guess,
    const struct conf_guessing *limits, const struct netaddr *addr,
    const struct login *login, uint64_t now_ms);

/* Is the client, wherever its login is spared, over per_address or
 * per_network? login NULL: it presents none. */
enum guess_limit guess_client_over(struct guess *guess,
    const struct conf_guessing *limits, const struct netaddr *addr,
    const struct login *login, uint64_t now_ms);

/* IMAP refused it. The tag tells equal passwords from different ones. Not
 * counted when spared. True when this made one of the counts reach its
 * limit. */
bool guess_failed(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login,
    const unsigned char tag[IDENTITY_TAG_LEN], uint64_t now_ms);

/* IMAP verified it. */
void guess_succeeded(struct guess *guess, const struct conf_guessing *limits,
    const struct netaddr *addr, const struct login *login, uint64_t now_ms);

#endif
