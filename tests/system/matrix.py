# SPDX-License-Identifier: BSD-2-Clause
"""The relay matrix: plays oracle.Case at a real MTA and compares everything
that can be seen with what the oracle says."""

import itertools

import oracle
import smtp
from world import CLIENTS

numbers = itertools.count(1)

# Spellings of "give it to another host from here". The MTA under test, its
# own lock taken away, would follow each of them.
ROUTES = (
    "{name}%other.example@example.test",
    "other.example!{name}@example.test",
    "@example.test:{name}@other.example",
    '"{name}@other.example"@example.test',
)


class Attempt:
    """One case with names of its own, so that every log line can be found."""

    def __init__(self, case, routes=ROUTES):
        number = next(numbers)
        self.case = case
        self.sender = "case-%04d@example.test" % number
        name = "rcpt-%04d" % number
        self.local = name + "@example.test"
        self.remote = name + "@other.example"
        self.typed = {
            "local": self.local,
            "remote": self.remote,
            "routed": routes[number % len(routes)].format(name=name),
        }[case.recipient]

    def play(self, world, ports):
        case = self.case
        tls = {"submissions": "wrapped"}.get(case.port, "starttls") if case.tls else None
        with smtp.connect(world, case.client, ports[case.port], tls) as session:
            if case.login:
                answer = session.auth_plain(oracle.LOGINS[case.login])
                if answer.code != 235:
                    return "auth", answer
            return session.deliver(self.sender, self.typed)


def seen(stage, reply):
    """The client's view. What passes RCPT has to be accepted whole."""
    if stage == "data" and reply.code == 250:
        return {"stage": "rcpt", "code": 250}
    return {"stage": stage, "code": reply.code, "xcode": reply.xcode}


def logged(lab, attempt, want):
    row = lab.postern.decision(attempt.sender, stage=want.stage, verdict=want.verdict)
    keys = ("client", "zone", "listener", "login", "identity", "stage", "verdict", "reason")
    return {key: row.get(key) for key in keys}


def compare(lab, attempt, listener, delayed=False):
    """Plays one case and reports it in one line. delayed: the MTA keeps what
    MAIL is refused with until RCPT."""
    case = attempt.case
    want = oracle.expected(case)
    stage, reply = attempt.play(lab.world, lab.mta.port)
    got = seen(stage, reply)
    expect = {"stage": "rcpt" if delayed else want.stage, "code": want.code}
    if want.verdict != "permit":
        expect["xcode"] = want.xcode
    got.update({"log " + key: value for key, value in logged(lab, attempt, want).items()})
    expect.update({
        "log client": CLIENTS[case.client][1],
        "log zone": "internal" if case.internal else "external",
        "log listener": listener,
        "log login": oracle.LOGINS.get(case.login, "-"),
        "log identity": oracle.identity_in_log(case),
        "log stage": want.stage,
        "log verdict": want.verdict,
        "log reason": want.reason,
    })  # fmt: skip
    lab.tap.equal("%s %s: %d %s" % (lab.mta.name, case, want.code, want.reason),
                  got, expect, "reply: %s" % reply)  # fmt: skip
    return want.verdict == "permit"


def play_all(lab, ports, listener_of, routes=ROUTES, delayed=False):
    """All cases of some listeners. Returns the attempts that had to pass."""
    passed = []
    for case in oracle.cases(ports):
        attempt = Attempt(case, routes)
        if compare(lab, attempt, listener_of(case.port), delayed):
            passed.append(attempt)
    return passed
