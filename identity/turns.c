/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is next. It must not look at all who wait to find that out: only at
 * clients that are served already, of which there are few.
 */
#include "identity/turns.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "identity/engine.h"

struct turn_line {
	UT_hash_handle hh;
	TAILQ_ENTRY(turn_line) link; /* in the round, if anybody waits */
	struct netaddr client;
	struct turn_list waiting;
	size_t served;
};

/* Who sits behind one IPv6 /64 is one client. All octets count: it is a key. */
static struct netaddr
client_of(const struct check *check)
{
	struct netaddr client;
	size_t len = 0;

	memset(&client, 0, sizeof(client));
	client.family = check->client.family;
	switch (client.family) {
	case NETADDR_INET:
		len = 4;
		break;
	case NETADDR_INET6:
		len = 8;
		break;
	case NETADDR_NONE:
		break;
	}
	memcpy(client.octets, check->client.octets, len);
	return client;
}

void
turns_init(struct turns *turns)
{
	turns->lines = NULL;
	TAILQ_INIT(&turns->waiting);
	TAILQ_INIT(&turns->round);
}

static void
drop(struct turns *turns, struct turn_line *line)
{
	HASH_DELETE(hh, turns->lines, line);
	free(line);
}

void
turns_clear(struct turns *turns)
{
	while (turns->lines != NULL) {
		/* clang-tidy does not follow uthash's list: its head is never
		 * freed. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		drop(turns, turns->lines);
	}
}

static struct turn_line *
line_of(struct turns *turns, const struct netaddr *client)
{
	struct turn_line *line;

	HASH_FIND(hh, turns->lines, client, sizeof(*client), line);
	if (line != NULL)
		return line;
	line = calloc(1, sizeof(*line));
	if (line == NULL)
		return NULL;
	memcpy(&line->client, client, sizeof(*client));
	TAILQ_INIT(&line->waiting);
	HASH_ADD(hh, turns->lines, client, sizeof(line->client), line);
	if (line->hh.tbl == NULL) {
		free(line);
		return NULL;
	}
	return line;
}

int
turns_join(struct turns *turns, struct check *check)
{
	const struct netaddr client = client_of(check);
	struct turn_line *line = line_of(turns, &client);

	if (line == NULL)
		return -1;
	if (TAILQ_EMPTY(&line->waiting))
		TAILQ_INSERT_TAIL(&turns->round, line, link);
	TAILQ_INSERT_TAIL(&line->waiting, check, turn.next);
	TAILQ_INSERT_TAIL(&turns->waiting, check, turn.link);
	check->turn.line = line;
	return 0;
}

/* Out of the lists, but not out of its line's account. */
static void
step_out(struct turns *turns, struct check *check)
{
	struct turn_line *line = check->turn.line;

	TAILQ_REMOVE(&turns->waiting, check, turn.link);
	TAILQ_REMOVE(&line->waiting, check, turn.next);
	if (TAILQ_EMPTY(&line->waiting))
		TAILQ_REMOVE(&turns->round, line, link);
}

static void
forget(struct turns *turns, struct check *check)
{
	struct turn_line *line = check->turn.line;

	check->turn.line = NULL;
	if (line->served == 0 && TAILQ_EMPTY(&line->waiting))
		drop(turns, line);
}

void
turns_leave(struct turns *turns, struct check *check)
{
	step_out(turns, check);
	forget(turns, check);
}

static bool
may_go(const struct turn_line *line, size_t left, size_t all)
{
	size_t quarter = all < 4 ? 1 : all / 4;

	return left > 0 &&
	    (line->client.family == NETADDR_NONE || line->served < quarter ||
		left > quarter);
}

struct check *
turns_take(struct turns *turns, size_t left, size_t all)
{
	struct turn_line *line;
	struct check *check;

	for (line = TAILQ_FIRST(&turns->round); line != NULL;
	     line = TAILQ_NEXT(line, link)) {
		if (may_go(line, left, all))
			break;
	}
	if (line == NULL)
		return NULL;
	check = TAILQ_FIRST(&line->waiting);
	step_out(turns, check);
	line->served++;
	if (!TAILQ_EMPTY(&line->waiting)) { /* ... after all others */
		TAILQ_REMOVE(&turns->round, line, link);
		TAILQ_INSERT_TAIL(&turns->round, line, link);
	}
	return check;
}

void
turns_end(struct turns *turns, struct check *check)
{
	check->turn.line->served--;
	forget(turns, check);
}
