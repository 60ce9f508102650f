/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_VERDICT_H
#define POSTERN_POLICY_VERDICT_H

#include <stdbool.h>

#include "policy/reason.h"

/* A fact that is not in yet and has to be asked for. */
enum fact {
	FACT_NONE = 0,
	FACT_IDENTITY,
	FACT_LEASE,
	FACT_LIMIT, /* and containment */
	FACT_RECIPIENT_LIMIT,
};

/* Zeroed: refused for now, by an internal error. */
struct decision {
	enum verdict verdict;
	enum reason reason;
	enum fact need;      /* of VERDICT_NEED */
	bool sender_foreign; /* permitted, but senders.action = warn */
};

/* The only maker of permits; any other reason gives an internal error. */
struct decision decision_permit(enum reason reason);
/* A rejection or a tempfail, as the reason's row says; never a permit. */
struct decision decision_refuse(enum reason reason);
/* Ask again when this fact is in. */
struct decision decision_need(enum fact fact);

#endif
