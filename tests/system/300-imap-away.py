# SPDX-License-Identifier: BSD-2-Clause
"""IMAP stopped, hung or not to be trusted: outsiders wait (454), insiders notice
nothing, and all is well again when it is back."""

import signal
import threading
import time

import smtp
from daemons import ALICE, GHOST
from world import wait_for

FAR = "someone@other.example"
UNCACHED = 'identity { ttl = "0s"  refused_ttl = "0s" }'
QUICK = 2.0  # s for a whole session of an insider
WAIT = 4.0  # s: identity.wait


def run(lab):
    lab.postern.stop()
    lab.postern.start(extra=UNCACHED)
    try:
        for mta in (lab.postfix, lab.sendmail):
            lab.use(mta)
            stopped(lab, mta)
            hung(lab, mta)
        for name in ("rogue", "other", "expired"):
            impostor(lab, name)
    finally:
        lab.postern.stop()
        lab.postern.start()


def outsider(lab, login=ALICE):
    with smtp.connect(lab.world, "outside4", lab.mta.port["submission"], "starttls") as s:
        s.auth_plain(login)
        return s.deliver(ALICE, FAR)[1]


def insider(lab, login=""):
    """(reply code, seconds)"""
    began = time.monotonic()
    with smtp.connect(lab.world, "inside4", lab.mta.port["submission"]) as s:
        if login:
            s.auth_plain(login)
        return s.deliver(ALICE, FAR)[1].code, time.monotonic() - began


def check_insiders(lab, when):
    times = [insider(lab) for _ in range(5)]
    lab.tap.equal("%s: insiders pass" % when, [code for code, _ in times], [250] * 5)
    # libmilter may queue one behind an outsider who waits for IMAP
    *others, slowest = sorted(seconds for _, seconds in times)
    lab.tap.true("%s: insiders pass quickly (%.2f s, one %.2f s)" % (when, others[-1], slowest),
                 others[-1] < QUICK and slowest < WAIT + QUICK)


def check_recovery(lab, when):
    wait_for("recovery", lambda: lab.postern.answers(ALICE) == "permit", 60.0, 0.2)
    lab.tap.equal("%s: back again, a live account passes" % when, outsider(lab).code, 250)
    lab.tap.equal("%s: back again, a ghost does not" % when, outsider(lab, GHOST).code, 550)


def stopped(lab, mta):
    when = "%s, IMAP stopped" % mta.name
    lab.dovecot.stop()
    try:
        for login in (ALICE, GHOST):
            got = outsider(lab, login)
            lab.tap.equal("%s: outsider %s" % (when, login), (got.code, got.xcode),
                          (454, "4.7.0"), got)  # fmt: skip
        check_insiders(lab, when)
        code, _ = insider(lab, ALICE)
        lab.tap.equal("%s: an insider's login is no reason to refuse" % when, code, 250)
    finally:
        lab.dovecot.start()
    check_recovery(lab, when)


def hung(lab, mta):
    """Many outsiders wait for an IMAP server that takes connections and says
    nothing; the insiders' sessions run among them."""
    when = "%s, IMAP hung" % mta.name
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(outsider(lab).code))
               for _ in range(12)]  # fmt: skip
    lab.dovecot.signal_all(signal.SIGSTOP)
    try:
        for thread in threads:
            thread.start()
        check_insiders(lab, when)
        for thread in threads:
            thread.join(60.0)
        lab.tap.equal("%s: outsiders are put off" % when, replies, [454] * 12)
        check_insiders(lab, when + " for a while")
    finally:
        lab.dovecot.signal_all(signal.SIGCONT)
    check_recovery(lab, when)


def impostor(lab, name):
    """An IMAP server without the right certificate is not asked for a yes, and
    does not get the proxy user's password. postern starts all the same, and
    finds the right server when it comes."""
    when = "IMAP with the certificate `%s`" % name
    lab.postern.stop()
    lab.dovecot.stop()
    mark, said = lab.dovecot.log.mark(), lab.postern.log.mark()
    lab.dovecot.start(certificate=name)
    lab.postern.launch()
    try:
        lab.tap.equal("%s: outsider" % when, outsider(lab).code, 454)
        lab.tap.equal("%s: insider" % when, insider(lab)[0], 250)
        logins = lab.dovecot.log.find("Login: |auth failed|Master user", mark)
        lab.tap.equal("%s: nobody logs in there" % when, logins, [])
        lab.tap.true("%s: the log names the certificate" % when,
                     lab.postern.log.wait("alarm: .*(certificate|SSL)", said))  # fmt: skip
    finally:
        lab.dovecot.stop()
        lab.dovecot.start()
    check_recovery(lab, when)
