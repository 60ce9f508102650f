# SPDX-License-Identifier: BSD-2-Clause
"""contrib's settings as they stand: both locks shut, and what should pass does."""

import smtp
from daemons import ALICE, DISABLED

BOB = "bob@example.test"
FAR = "someone@other.example"
# client, listener, TLS, login, recipient, may it pass
ROWS = (
    ("inside4", "submission", False, "", FAR, True),
    ("inside6", "submission", False, "", FAR, True),
    ("inside4", "submission", True, "", FAR, True),
    ("inside4", "submissions", True, "", FAR, True),
    ("inside4", "smtp", False, "", FAR, True),
    ("outside4", "submission", True, ALICE, FAR, True),
    ("outside6", "submission", True, ALICE, FAR, True),
    ("outside4", "submissions", True, ALICE, FAR, True),
    ("outside4", "smtp", False, "", BOB, True),
    ("outside6", "smtp", True, "", BOB, True),
    ("outside4", "submission", False, "", FAR, False),
    ("outside4", "submission", False, "", BOB, False),
    ("outside6", "submission", True, "", FAR, False),
    ("outside6", "submissions", True, "", FAR, False),
    ("outside4", "submission", True, DISABLED, FAR, False),
    ("outside4", "smtp", False, "", FAR, False),
    ("outside6", "smtp", True, "", FAR, False),
    ("gateway4", "submission", False, "", FAR, False),
    ("gateway4", "smtp", False, "", FAR, False),
    ("inside4", "submission", False, "", "x%other.example@example.test", False),
)


def run(lab):
    for mta in (lab.postfix, lab.sendmail):
        lab.use(mta, wide_open=False)
        for row in ROWS:
            check(lab, *row)
        with smtp.connect(lab.world, "outside4", mta.port["submission"]) as s:
            offers = any(line.startswith("AUTH") for line in s.capabilities)
            lab.tap.equal(mta.name + " as recommended: no AUTH in the clear", offers, False)
            answer = s.auth_plain(ALICE)
            lab.tap.true(mta.name + " as recommended: AUTH in the clear is refused",
                         answer.code >= 500, answer)  # fmt: skip
    lab.use(lab.postfix)


def check(lab, client, port, tls, login, recipient, passes):
    wrap = {"submissions": "wrapped"}.get(port, "starttls") if tls else None
    with smtp.connect(lab.world, client, lab.mta.port[port], wrap) as s:
        if login:
            s.auth_plain(login)
        _, reply = s.deliver("carol@example.test", recipient)
    name = "%s as recommended: %s %s %s %s -> %s" % (
        lab.mta.name, client, port, "tls" if tls else "clear", login or "no-auth",
        recipient)  # fmt: skip
    lab.tap.equal(name, reply.code == 250, passes, "reply: %s" % reply)
    if not passes:
        lab.tap.true(name + ": for good", reply.code >= 500, reply)
