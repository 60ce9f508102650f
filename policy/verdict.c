/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes decisions out of reasons. A permit demands a reason whose row permits;
 * nothing else in the program builds one.
 */
#include "policy/verdict.h"

struct decision
decision_permit(enum reason reason)
{
	struct decision d = { 0 };

	if (reason_row(reason)->verdict != VERDICT_PERMIT)
		return d;
	d.verdict = VERDICT_PERMIT;
	d.reason = reason;
	return d;
}

struct decision
decision_refuse(enum reason reason)
{
	struct decision d = { 0 };

	switch (reason_row(reason)->verdict) {
	case VERDICT_REJECT:
		d.verdict = VERDICT_REJECT;
		d.reason = reason;
		return d;
	case VERDICT_TEMPFAIL:
		d.reason = reason;
		return d;
	case VERDICT_PERMIT:
	case VERDICT_NEED:
		break;
	}
	return d;
}

struct decision
decision_need(enum fact fact)
{
	struct decision d = { 0 };

	d.verdict = VERDICT_NEED;
	d.need = fact;
	return d;
}
