# SPDX-License-Identifier: BSD-2-Clause
"""Dovecot as it comes slows down the address that wrong passwords come from.
With imap { forward_client = true } that is the attacker's, not postern's."""

import time

import peers
from daemons import ALICE, BOB

ATTACKER, BYSTANDER = "outside6", "outside4"
# After one wrong password Dovecot holds even a good login back for 4 s; after
# the fourth for 15 s, which is longer than any MTA waits.
PENALTY = 3.5


def run(lab):
    lab.dovecot.stop()
    lab.dovecot.start(stock=True, trusting=True)
    lab.use_all()
    peer = peers.all_of(lab)[0]
    try:
        for forward in (True, False):
            check(lab, peer, forward)
    finally:
        lab.dovecot.stop()
        lab.dovecot.start()
        lab.postern.stop()
        lab.postern.start()


def check(lab, peer, forward):
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra='guessing { delay = "0s" }\n',
                      imap="forward_client = %s" % str(forward).lower())  # fmt: skip
    mark = lab.dovecot.log.mark()
    guess = peer.login(lab.world, ALICE, "wild guess", ATTACKER).code
    began = time.monotonic()
    code = peer.login(lab.world, BOB, client=BYSTANDER).code
    seconds = time.monotonic() - began
    when = "stock Dovecot, forward_client = %s" % str(forward).lower()
    lab.tap.equal(when + ": a guess, and somebody else's login", (guess, code), (535, 235))
    if forward:
        lab.tap.true("%s: who does not wait (%.1f s)" % (when, seconds), seconds < 2.0)
        lab.tap.true(when + ": Dovecot knows whose login it is",
                     lab.dovecot.log.wait("Login: user=<%s>.*rip=203.0.113.2" % BOB, mark))  # fmt: skip
    else:
        # which is why contrib/dovecot switches the penalty off
        lab.tap.true("%s: who has to wait (%.1f s)" % (when, seconds), seconds > PENALTY)
