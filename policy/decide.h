/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_POLICY_DECIDE_H
#define POSTERN_POLICY_DECIDE_H

#include "policy/facts.h"
#include "policy/policy.h"
#include "policy/verdict.h"

/*
 * Judge MAIL FROM (RFC 5321, 4.1.1.2). Pure: the same facts give the same
 * decision, on any thread. Both arguments are borrowed for the call; zeroed
 * facts are an unknown outsider, refused for now. VERDICT_NEED: .need says
 * which fact to fetch before asking again. Cannot fail: what it cannot decide
 * is VERDICT_TEMPFAIL. A permit with REASON_LOCAL_RECIPIENT opens the door to
 * local recipients only: decide_rcpt() holds it to that.
 */
struct decision decide_mail(const struct switches *switches,
    const struct facts *facts);

/*
 * Judge one RCPT TO (RFC 5321, 4.1.1.3), the MAIL before it included: no
 * recipient passes after a MAIL that would not, whatever the caller did.
 */
struct decision decide_rcpt(const struct switches *switches,
    const struct facts *facts);

#endif
