# SPDX-License-Identifier: BSD-2-Clause
"""The matrix proves something only if the MTAs would relay: without postern
they do, for a stranger in the clear, along every routed spelling."""

import re

import matrix
import smtp

STRANGER = "outside4"


def run(lab):
    postfix = lab.use(lab.postfix)
    for recipient, want in typed("postfix"):
        answer = send(lab, 13587, recipient)
        lab.tap.equal("postfix without postern takes %s" % recipient, answer.code, 250)
        lab.tap.equal("postfix without postern relays it to %s" % want,
                      postfix.destination(want, seconds=10.0), "RELAYED")  # fmt: skip
    sendmail = lab.use(lab.sendmail, milter=False)
    for recipient, want in typed("sendmail"):
        answer = send(lab, 25, recipient)
        lab.tap.equal("sendmail without postern takes %s" % recipient, answer.code, 250)
        line = sendmail.log.wait(re.escape("to=<%s>" % recipient))[0]
        lab.tap.true("sendmail without postern would send it to %s" % want,
                     "mailer=esmtp" in line, line)  # fmt: skip


def typed(mta):
    """What a client types, and where the mail would go."""
    yield "%s-plain@other.example" % mta, "%s-plain@other.example" % mta
    for number, route in enumerate(matrix.ROUTES):
        name = "%s-route-%d" % (mta, number)
        yield route.format(name=name), name + "@other.example"


def send(lab, port, recipient):
    with smtp.connect(lab.world, STRANGER, port) as session:
        return session.deliver("stranger@outside.example.net", recipient)[1]
