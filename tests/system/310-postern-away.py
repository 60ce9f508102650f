# SPDX-License-Identifier: BSD-2-Clause
"""postern dead: with contrib's failure policy an MTA without any lock of its
own relays nothing, for nobody; postern back: all is as before."""

import smtp
from daemons import ALICE

FAR = "someone-away@other.example"


def run(lab):
    for mta in (lab.postfix, lab.sendmail):
        lab.use(mta)
        try:
            killed_between_mail_and_rcpt(lab, mta)
            before = accepted(mta)
            nobody_passes(lab, mta)
            lab.tap.equal("%s: with postern dead nothing was accepted" % mta.name,
                          accepted(mta), before)  # fmt: skip
        finally:
            lab.postern.launch()
            lab.postern.wait_identity()
        check_back(lab, mta)


def accepted(mta):
    if mta.name == "postfix":
        mta.settle()
        return mta.delivered()
    return set(mta.queued())


def killed_between_mail_and_rcpt(lab, mta):
    """kill -9, a new postern at once: the old session stays refused, for what
    it knew is lost; a new session finds the new postern."""
    with smtp.connect(lab.world, "outside4", mta.port["submission"], "starttls") as s:
        s.auth_plain(ALICE)
        got = [s.mail(ALICE).code]
        lab.postern.kill()
        lab.postern.launch()
        lab.postern.wait_identity()
        got += [s.rcpt(FAR).code, s.command("RSET").code, s.mail(ALICE).code]
        lab.tap.equal("%s: kill -9 between MAIL and RCPT" % mta.name,
                      got, [250, 451, 250, 451])  # fmt: skip
    check_back(lab, mta)
    lab.postern.kill()


def nobody_passes(lab, mta):
    for client in ("inside4", "inside6", "outside4", "outside6"):
        for port in mta.port:
            name = "%s: postern dead, %s %s" % (mta.name, client, port)
            try_to_send(lab, mta, name, client, port)


def try_to_send(lab, mta, name, client, port):
    tls = "wrapped" if port == "submissions" else None
    try:
        session = smtp.connect(lab.world, client, mta.port[port], tls)
    except OSError as error:
        # Postfix does not even start TLS
        lab.tap.equal(name + ": no TLS, no session", port, "submissions", error)
        return
    with session as s:
        reply = s.mail(ALICE)
        lab.tap.equal(name, reply.code, 451, reply)
        more = s.rcpt(FAR), s.message(ALICE, FAR)
        lab.tap.true(name + ": no way round MAIL", not any(more), *more)


def check_back(lab, mta):
    with smtp.connect(lab.world, "outside6", mta.port["submission"], "starttls") as s:
        got = [s.mail(ALICE).code, s.auth_plain(ALICE).code, s.mail(ALICE).code]
        lab.tap.equal("%s: postern is back" % mta.name, got, [530, 235, 250])
