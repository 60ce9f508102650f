# SPDX-License-Identifier: BSD-2-Clause
"""Dovecot as it comes slows down the address that wrong passwords come from.
With imap { forward_client = true } that is the attacker's, not postern's. And
however slow the answers are: guessing must keep nobody else out, and many
guesses at once are no way around the limit."""

import concurrent.futures
import contextlib
import itertools
import re
import threading
import time

import peers
from daemons import ALICE, BOB
from imaps import STAFF
from world import read, wait_for

ATTACKER, BYSTANDER = "outside6", "outside4"
# After one wrong password Dovecot holds even a good login back for 4 s; after
# the fourth for 15 s, which is longer than any MTA waits.
PENALTY = 3.5

GUESSERS = ("198.51.100.66", "192.0.2.66")
BYSTANDERS = ("198.51.100.7", "2001:db8:7::7", "192.0.2.7", "2001:db8:8::8")
EACH = 20  # connections of a guesser
BURST = 60
PER_ADDRESS = 10  # wrong passwords
CONNECTIONS = 8  # to IMAP, for the burst
ENDLESS = ('guessing { per_address = "1000/10m"  per_network = "1000/10m"'
           '  per_login = "1000/1h" }\n')  # fmt: skip
numbers = itertools.count(1)


def run(lab):
    lab.use_all()
    peer = peers.all_of(lab)[0]
    try:
        lab.dovecot.stop()
        lab.dovecot.start(stock=True, trusting=True)
        for forward in (True, False):
            check(lab, peer, forward)
        siege(lab, peer)
        # contrib's way: no penalty
        lab.dovecot.stop()
        lab.dovecot.start(more="auth_failure_delay = 1 secs\n")
        burst(lab, peer)
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


def siege(lab, peer):
    """Guesses from two addresses that take all the connections they can get,
    while others log in. No limit ends it."""
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", imap="forward_client = true", extra=ENDLESS)
    with guessing(lab, peer) as codes:
        # ... which is more than their quarters, while there is nobody else
        wait_for("a siege", lambda: logins_under_way() > 8)
        others_come(lab, peer, 0)
        wait_for("its second wave", lambda: len(codes) >= EACH // 2 and logins_under_way() > 2)
        others_come(lab, peer, 2)
    lab.tap.true("two addresses guess without end: for nothing", set(codes) <= {454, 535}, codes)


def others_come(lab, peer, first):
    for number in (first, first + 1):
        who, client = STAFF[90 + number], lab.world.add_client(BYSTANDERS[number])
        answer = peer.login(lab.world, who, client=client)
        lab.tap.equal("two addresses guess without end: %s at %s" % (who, client),
                      answer.code, 235, answer)  # fmt: skip


@contextlib.contextmanager
def guessing(lab, peer):
    """Both guessers at work: the codes that they get."""
    stop = threading.Event()
    codes = []

    def work(address):
        while not stop.is_set():
            codes.append(guess(lab, peer, address))

    for address in GUESSERS:
        lab.world.add_client(address)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2 * EACH) as pool:
        try:
            done = [pool.submit(work, address) for address in GUESSERS * EACH]
            yield codes
        finally:
            stop.set()
        for future in done:
            future.result()


def guess(lab, peer, address):
    number = next(numbers)
    return peer.login(lab.world, STAFF[number % 80], "wild guess %d" % number, address).code


def logins_under_way():
    """postern's connections to IMAP: the server's port 993, established."""
    lines = read("/proc/net/tcp") + read("/proc/net/tcp6")
    return len(re.findall(r"(?m)^ *\d+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:03E1 01 ", lines))


def burst(lab, peer):
    """Sixty wrong passwords of one address at the same moment: what is asked
    beyond the limit is what was being asked when it was reached."""
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", imap="max_connections = %d" % CONNECTIONS,
                      extra='guessing { per_address = "%d/10m" }\n' % PER_ADDRESS)  # fmt: skip
    mark = lab.dovecot.log.mark()
    address = lab.world.add_client(GUESSERS[0])
    together = threading.Barrier(BURST + 1)

    def one(number):
        with peer.connect(lab.world, address) as session:
            together.wait(60)
            return session.auth_plain(STAFF[number], "one of many %d" % number).code

    with concurrent.futures.ThreadPoolExecutor(max_workers=BURST) as pool:
        codes = [pool.submit(one, number) for number in range(BURST)]
        together.wait(60)
        answer = peer.login(lab.world, STAFF[90], client=BYSTANDER)
        codes = [code.result() for code in codes]
    lab.tap.equal("%d guesses at once: somebody else" % BURST, answer.code, 235, answer)
    lab.tap.true("%d guesses at once: none is right" % BURST, set(codes) <= {454, 535}, codes)
    # those of the siege before, which Dovecot may still be at, are not of this host
    asked = len(lab.dovecot.log.find(r",(127\.0\.0\.1|::1),.*Password mismatch", mark))
    lab.tap.true("%d guesses at once: IMAP was asked about %d" % (BURST, asked),
                 PER_ADDRESS <= asked <= PER_ADDRESS + CONNECTIONS)  # fmt: skip
    with peer.connect(lab.world, address) as session:
        reply = session.mail("burst@example.test")
    lab.tap.equal("%d guesses at once: and MAIL from there" % BURST,
                  (reply.code, reply.xcode), (421, "4.7.0"), reply)  # fmt: skip
