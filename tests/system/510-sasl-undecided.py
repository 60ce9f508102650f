# SPDX-License-Identifier: BSD-2-Clause
"""postern cannot tell whether a password is right: IMAP stopped, IMAP hung, and
postern itself away. Nobody is let in, nobody's password is called wrong where
the protocol has another word for it, and nobody waits for ever."""

import concurrent.futures
import signal
import time

import peers
from daemons import ALICE, BOB
from world import wait_for

ANSWERED = 10.0  # s; Postfix's own limit


def run(lab):
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra=extra())
    lab.use_all()
    everybody = peers.all_of(lab)
    try:
        stopped(lab, everybody)
        hung(lab, everybody)
        graced(lab, everybody)
        postern_away(lab, everybody)
    finally:
        if not lab.dovecot.running():
            lab.dovecot.start()
        lab.postern.stop()
        lab.postern.start()


def extra(grace="0s"):
    return ('guessing { delay = "0s" }\n'
            'identity { ttl = "0s"  refused_ttl = "0s"  grace = "%s" }\n' % grace)  # fmt: skip


def timed_login(lab, peer, login=ALICE):
    began = time.monotonic()
    code = peer.login(lab.world, login).code
    return code, time.monotonic() - began


def check_undecided(lab, everybody, when):
    got = peers.each(everybody, lambda p: timed_login(lab, p))
    for peer in everybody:
        code, seconds = got[peer.name]
        lab.tap.equal("%s, %s: a live login" % (when, peer.name), code, peer.undecided)
        lab.tap.true("%s, %s: answered in time (%.1f s)" % (when, peer.name, seconds),
                     seconds < ANSWERED)  # fmt: skip


def check_back(lab, everybody, when):
    """All is well again, once a breaker has noticed."""
    for peer in everybody:
        wait_for("a login", lambda p=peer: p.login(lab.world, ALICE).code == 235, 60.0, 0.1)
        lab.tap.ok("%s, %s: back again" % (when, peer.name))


def stopped(lab, everybody):
    lab.dovecot.stop()
    try:
        check_undecided(lab, everybody, "IMAP stopped")
    finally:
        lab.dovecot.start()
    check_back(lab, everybody, "IMAP stopped")


def hung(lab, everybody):
    """It accepts and says nothing. Meanwhile mail from inside flows."""
    lab.dovecot.signal_all(signal.SIGSTOP)
    try:
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        waiting = pool.submit(check_undecided, lab, everybody, "IMAP hung")
        began = time.monotonic()
        with peers.smtp.connect(lab.world, "inside4", lab.postfix.port["submission"]) as s:
            code = s.deliver(ALICE, peers.FAR)[1].code
        seconds = time.monotonic() - began
        waiting.result()
    finally:
        lab.dovecot.signal_all(signal.SIGCONT)
    lab.tap.equal("IMAP hung: mail from inside", code, 250)
    lab.tap.true("IMAP hung: mail from inside is quick (%.2f s)" % seconds, seconds < 2.0)
    check_back(lab, everybody, "IMAP hung")


def graced(lab, everybody):
    """identity.grace: the password that verified still does, another does not."""
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra=extra("1h"))
    check_back(lab, everybody, "grace")
    lab.dovecot.stop()
    try:
        for peer in everybody:
            got = [peer.login(lab.world, ALICE).code, peer.login(lab.world, ALICE, "not it").code,
                   peer.login(lab.world, BOB).code]  # fmt: skip
            lab.tap.equal("grace, %s: this password, another one, another login" % peer.name,
                          got, [235, peer.undecided, peer.undecided])  # fmt: skip
    finally:
        lab.dovecot.start()


def postern_away(lab, everybody):
    """Postfix's smtpd does not live without its SASL server; the others answer."""
    lab.postern.stop()
    try:
        for peer in everybody:
            try:
                code = peer.login(lab.world, ALICE).code
            except (OSError, peers.smtp.ssl.SSLError):
                code = 0
            lab.tap.true("postern away, %s: nobody gets in (%d)" % (peer.name, code),
                         code in (0, 454, 503, peer.undecided))  # fmt: skip
    finally:
        lab.postern.start(sasl=True, verify="session", extra=extra())
    check_back(lab, everybody, "postern away")
