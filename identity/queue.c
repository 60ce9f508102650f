/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The questions that wait for one server: whose turn it is, and who has waited
 * for too long. It must not start anything. All of it with the engine's lock
 * held.
 */
#include "identity/engine.h"

/* A login that has waited so long that less is left is not asked about: that
 * would tell nothing, but of the server. */
#define LOGIN_LEAST_MS 500

static struct turns *
turns_of(const struct check *check)
{
	struct backend *b = check->backend;

	switch (check->kind) {
	case CHECK_PASSWORD:
		return &b->passwords;
	case CHECK_RELAY:
		return &b->relays;
	case CHECK_ACCOUNT:
	case CHECK_OFFERS:
		break;
	}
	return NULL;
}

int
queue_put(struct check *check)
{
	struct backend *b = check->backend;
	struct turns *turns = turns_of(check);

	if (turns != NULL)
		return turns_join(turns, check);
	if (check->kind == CHECK_OFFERS || check->probe)
		TAILQ_INSERT_HEAD(&b->queue, check, link);
	else
		TAILQ_INSERT_TAIL(&b->queue, check, link);
	b->queued++;
	return 0;
}

void
queue_leave(struct check *check)
{
	turns_leave(turns_of(check), check);
}

void
queue_end(struct check *check)
{
	struct turns *turns = turns_of(check);

	if (turns != NULL)
		turns_end(turns, check);
}

/* May it run, or does it wait for the self-test? */
static bool
is_due(const struct backend *b, const struct check *check)
{
	return check->kind == CHECK_OFFERS || check->probe ||
	    b->mailbox == MAILBOX_ON || b->mailbox == MAILBOX_OFF;
}

/* One of those who wait with a login, now that its turn has come. So many
 * connections may be used for them, and are used. */
static struct check *
take_login(struct backend *b, struct turns *turns, size_t all, size_t used)
{
	uint64_t deadline_ms = engine_now_ms() + b->timeout_ms;
	size_t left = all > used ? all - used : 0;
	struct check *check = turns_take(turns, left, all);

	if (check != NULL && check->deadline_ms > deadline_ms)
		check->deadline_ms = deadline_ms;
	return check;
}

/*
 * A relay holds its connection while its client thinks: they get one half of
 * the connections at most, and come first there, so that neither they nor
 * passwords can take all that the other needs. A single connection is not
 * shared: it gets a second one beside it.
 */
static struct check *
take_relay(struct backend *b)
{
	size_t ceiling = b->max_connections > 1 ? b->max_connections / 2 : 1;

	if (b->max_connections > 1 && b->active_count >= b->max_connections)
		return NULL;
	return take_login(b, &b->relays, ceiling, b->active_relays);
}

/* So many connections are there for all but relays. */
static size_t
ceiling_of_checks(const struct backend *b)
{
	return b->max_connections > b->active_relays
	    ? b->max_connections - b->active_relays
	    : 1;
}

/* The next password that may be asked about. One connection is left to
 * questions about accounts: threads wait for those. */
static struct check *
take_password(struct backend *b)
{
	size_t ceiling = ceiling_of_checks(b);

	if (b->proxy && ceiling > 1)
		ceiling--;
	return take_login(b, &b->passwords, ceiling, b->active_passwords);
}

/* Those about accounts first. */
static struct check *
take_check(struct backend *b)
{
	struct check *check = TAILQ_FIRST(&b->queue);

	if (b->active_count - b->active_relays >= ceiling_of_checks(b))
		return NULL;
	if (check == NULL || !is_due(b, check))
		return take_password(b);
	TAILQ_REMOVE(&b->queue, check, link);
	b->queued--;
	if (check->kind == CHECK_ACCOUNT && !check->probe)
		check->mailbox = b->mailbox == MAILBOX_ON;
	return check;
}

struct check *
queue_take(struct backend *b)
{
	struct check *check = take_relay(b);

	if (check == NULL)
		check = take_check(b);
	if (check != NULL && !check->probe)
		check->first = b->first;
	return check;
}

void
queue_give_up(struct backend *b)
{
	struct check *check = TAILQ_FIRST(&b->queue);

	while (check != NULL) {
		struct check *next = TAILQ_NEXT(check, link);

		if (check->kind == CHECK_ACCOUNT && !check->probe) {
			TAILQ_REMOVE(&b->queue, check, link);
			b->queued--;
			breaker_neither(&b->breaker);
			check_answer(check, IDENTITY_UNKNOWN);
		}
		check = next;
	}
}

static void
give_up_turns(struct backend *b, struct turns *turns)
{
	struct check *check;

	while ((check = TAILQ_FIRST(&turns->waiting)) != NULL) {
		turns_leave(turns, check);
		breaker_neither(&b->password_breaker);
		check_answer(check, IDENTITY_UNKNOWN);
	}
}

void
queue_give_up_logins(struct backend *b)
{
	give_up_turns(b, &b->passwords);
	give_up_turns(b, &b->relays);
}

void
queue_clear(struct backend *b)
{
	struct check *check;

	queue_give_up(b);
	queue_give_up_logins(b);
	while ((check = TAILQ_FIRST(&b->queue)) != NULL) { /* our own */
		TAILQ_REMOVE(&b->queue, check, link);
		b->queued--;
		check_answer(check, IDENTITY_UNKNOWN);
	}
}

static bool
drop_late_of(struct backend *b, struct turns *turns)
{
	uint64_t limit_ms = engine_now_ms() + LOGIN_LEAST_MS;
	struct check *check;
	bool late = false;

	while ((check = TAILQ_FIRST(&turns->waiting)) != NULL &&
	    check->deadline_ms <= limit_ms) {
		turns_leave(turns, check);
		breaker_neither(&b->password_breaker);
		check_answer(check, IDENTITY_UNKNOWN);
		late = true;
	}
	return late;
}

bool
queue_drop_late(struct backend *b)
{
	bool late = drop_late_of(b, &b->passwords);

	return drop_late_of(b, &b->relays) || late;
}

uint64_t
queue_late_in_ms(const struct backend *b)
{
	const struct check *const first[] = {
		TAILQ_FIRST(&b->passwords.waiting),
		TAILQ_FIRST(&b->relays.waiting),
	};
	uint64_t limit_ms = engine_now_ms() + LOGIN_LEAST_MS;
	uint64_t deadline_ms = UINT64_MAX;

	for (size_t i = 0; i < 2; i++) {
		if (first[i] != NULL && first[i]->deadline_ms < deadline_ms)
			deadline_ms = first[i]->deadline_ms;
	}
	if (deadline_ms == UINT64_MAX)
		return UINT64_MAX;
	return deadline_ms > limit_ms ? deadline_ms - limit_ms : 0;
}
