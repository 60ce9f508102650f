# SPDX-License-Identifier: BSD-2-Clause
"""Postfix without a milter and without a lock of its own, asking postern by
policy delegation: the whole matrix, all refused at RCPT."""

import delegation
import matrix
import oracle
import smtp
from daemons import GHOST

# Source routes are gone before anybody can ask.
ROUTES = [route for route in matrix.ROUTES if not route.startswith("@")]


def run(lab):
    lab.postern.stop()
    lab.postern.start(extra=delegation.SECTION % "postfix")
    postfix = lab.use(delegation.Postfix(lab.world))
    try:
        mark = postfix.log.mark()
        passed = matrix.play_all(lab, postfix.port, lambda port: port, routes=ROUTES,
                                 delayed=True)  # fmt: skip
        check_deliveries(lab, postfix, passed, mark)
        postmaster(lab, postfix)
        hangs_up(lab, postfix)
        away(lab, postfix)
    finally:
        postfix.stop()
        lab.mta, lab.mta_options = None, {}
        if not lab.postern.running():
            lab.postern.start()


def check_deliveries(lab, postfix, passed, mark):
    postfix.settle()
    want = {attempt.typed: "RELAYED" if attempt.case.recipient == "remote" else "LOCAL"
            for attempt in passed}  # fmt: skip
    got = {name: postfix.destination(name, seconds=10.0) for name in want}
    lab.tap.equal("postfix-policy: %d accepted messages are delivered" % len(want), got, want)
    got = postfix.delivered(mark) - set(want)
    lab.tap.equal("postfix-policy: nothing else is relayed or delivered", got, set())


def postmaster(lab, postfix):
    """Postfix asks nobody about it, until DATA."""
    for client, want in (("inside4", ("data", 250)), ("outside4", ("data", 530))):
        with smtp.connect(lab.world, client, postfix.port["submission"]) as s:
            stage, reply = s.deliver("someone@example.test", "postmaster")
        lab.tap.equal("postfix-policy: <postmaster> from %s" % client, (stage, reply.code), want,
                      reply)  # fmt: skip


def hangs_up(lab, postfix):
    """421 is the end of the connection."""
    lab.postern.stop()
    lab.postern.start(verify="session", sasl=True, extra=delegation.SECTION % "postfix")
    with smtp.connect(lab.world, "outside4", postfix.port["submission"], "starttls") as s:
        s.auth_plain(GHOST)
        stage, reply = s.deliver(GHOST, "far@other.example")
        after = s.command("NOOP")
    lab.tap.equal("postfix-policy: a login that postern never saw",
                  (stage, reply.code, reply.xcode, after.code), ("rcpt", 421, "4.7.0", 0), reply)  # fmt: skip


def away(lab, postfix):
    lab.postern.stop()
    case = oracle.Case("inside4", "submission", False, "", "remote")
    stage, reply = matrix.Attempt(case).play(lab.world, postfix.port)
    lab.tap.equal("postfix-policy: postern is away", (stage, reply.code), ("rcpt", 451), reply)
