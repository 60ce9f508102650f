# SPDX-License-Identifier: BSD-2-Clause
"""Exim without a lock of its own, asking postern by policy delegation: the
whole matrix, and what contrib's ACLs do when postern is silent."""

import delegation
import matrix
import oracle
import smtp
from daemons import ALICE, DISABLED, GHOST
from world import write

# A source route is gone before anybody can ask.
ROUTES = [route for route in matrix.ROUTES if not route.startswith("@")]
LISTENER = {"smtp": "smtp", "submission": "submission", "submissions": "submission"}


def run(lab):
    lab.postern.stop()
    lab.postern.start(extra=delegation.SECTION % "Debian-exim")
    exim = lab.use(delegation.Exim(lab.world))
    try:
        mark = exim.log.mark()
        passed = matrix.play_all(lab, exim.port, LISTENER.get, routes=ROUTES)
        check_deliveries(lab, exim, passed, mark)
        addresses(lab, exim)
        whole_host(lab, exim)
        silent(lab, exim)
    finally:
        exim.stop()
        lab.mta, lab.mta_options = None, {}
        lab.postern.stop()
        lab.postern.start()


def check_deliveries(lab, exim, passed, mark):
    exim.settle()
    want = {attempt.typed: "RELAYED" if attempt.case.recipient == "remote" else "LOCAL"
            for attempt in passed}  # fmt: skip
    got = {name: exim.destination(name, seconds=10.0) for name in want}
    lab.tap.equal("exim: %d accepted messages are delivered" % len(want), got, want)
    lab.tap.equal("exim: nothing else is relayed or delivered",
                  exim.delivered(mark) - set(want), set())  # fmt: skip


def ask(lab, exim, sender, recipient, client="inside4", args=""):
    with smtp.connect(lab.world, client, exim.port["submission"]) as s:
        answer = s.mail(sender, args)
        return answer if not answer else s.rcpt(recipient)


def addresses(lab, exim):
    """As Exim hands them on."""
    for sender, recipient, want in (
            ('"a b"@example.test', "b@other.example", 250),
            ('"a\\"b"@example.test', "b@other.example", 250),
            ("", "b@other.example", 250),
            ("c@example.test", '"a b"@other.example', 250),
            ("c@example.test", '"a\\"b"@other.example', 250),
            ("c@example.test", '"a@b"@other.example', 550),
            ("c@example.test", "a%b@other.example", 550),
            ("c@example.test", "@other.example:b@other.example", 550),
            ("c@example.test", "postmaster", 250),
            ("c@localhost", "b@other.example", 554),
            ("c@example.test", "b@localhost", 554)):  # fmt: skip
        got = ask(lab, exim, sender, recipient)
        lab.tap.equal("exim: <%s> to <%s>: %d" % (sender, recipient, want), got.code, want, got)
    lines = lab.postern.log.wait(r'from="<\\"a b\\"@example\.test>".* stage=rcpt verdict=permit')
    lab.tap.equal("exim: a quoted sender is one in the log", len(lines), 1, lines)


def whole_host(lab, exim):
    """One postern is the SASL server and the policy: a machine for everything."""
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra=delegation.SECTION % "Debian-exim"
                      + 'guessing { delay = "0s" }\n')  # fmt: skip
    with smtp.connect(lab.world, "outside4", exim.port["submission"], "starttls") as s:
        s.auth_plain(GHOST)
        reply = s.mail(GHOST)
        after = s.mail(GHOST)
    lab.tap.equal("exim: a login that postern never saw", (reply.code, reply.xcode), (421, "4.7.0"),
                  reply)  # fmt: skip
    lab.tap.true("exim: nor does it pass then", after.code in (0, 421), after)
    exim.stop()
    exim.start(sasl_path="/run/postern/exim")
    for login, want in ((ALICE, (235, "data", 250)), (DISABLED, (535,)), (GHOST, (535,))):
        with smtp.connect(lab.world, "outside4", exim.port["submission"], "starttls") as s:
            got = (s.auth_plain(login).code,)
            if got == (235,):
                stage, reply = s.deliver(login, "far@other.example")
                got = (235, stage, reply.code)
        lab.tap.equal("exim: %s logs in at postern and sends" % login, got, want)
    row = lab.postern.decision(ALICE, stage="rcpt", verdict="permit")
    lab.tap.equal("exim: by the proof of this session", (row.get("identity"), row.get("login")),
                  ("verified", ALICE), row)  # fmt: skip


def silent(lab, exim):
    """No answer is no permit."""
    lab.postern.stop()
    case = oracle.Case("inside4", "submission", False, "", "remote")
    got = matrix.Attempt(case).play(lab.world, exim.port)
    lab.tap.equal("exim: postern is away", (got[0], got[1].code), ("mail", 451), got[1])
    exim.stop()
    path = "/run/lab/nonsense"
    write(path, "")
    exim.start(policy=path)
    got = matrix.Attempt(case).play(lab.world, exim.port)
    lab.tap.equal("exim: the socket is a file", (got[0], got[1].code), ("mail", 451), got[1])
