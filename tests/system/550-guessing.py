# SPDX-License-Identifier: BSD-2-Clause
"""Attackers, and people who only look like them: a slow guess from many
addresses, a spray of one password, and an office behind one NAT."""

import concurrent.futures
import itertools
import time

import peers
import smtp
from daemons import ALICE, BOB
from imaps import STAFF
from world import wait_for

OFFICE = "198.51.100.7"
LIMITS = {"per_address": "3/10m", "per_network": "6/10m", "per_login": "5/10m",
          "delay": "0s", "spare": "24h"}  # fmt: skip
numbers = itertools.count(1)


def run(lab):
    lab.use_all()
    peer = peers.all_of(lab)[0]
    try:
        for scenario in (distributed_guess, spray, spray_from_network, spray_from_ipv6,
                         nat_office, inside, window, delay):  # fmt: skip
            scenario(lab, peer)
    finally:
        lab.postern.stop()
        lab.postern.start()


def begin(lab, **changes):
    limits = {**LIMITS, **changes}
    text = "  ".join('%s = "%s"' % pair for pair in limits.items())
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra="guessing { %s }\n" % text)


def guess(lab, peer, login, address, password=None):
    password = password or "wild guess %d" % next(numbers)
    return peer.login(lab.world, login, password, lab.world.add_client(address)).code


def guesses(lab, peer, tries):
    """The codes of several at once, each (login, address[, password])."""
    tries = list(tries)
    for _, address, *_ in tries:
        lab.world.add_client(address)
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(tries)) as pool:
        return list(pool.map(lambda words_: guess(lab, peer, *words_), tries))


def login(lab, peer, login_, address):
    return peer.login(lab.world, login_, client=lab.world.add_client(address)).code


def mail(lab, peer, login_, address):
    """Codes of AUTH and MAIL."""
    with peer.connect(lab.world, lab.world.add_client(address)) as s:
        return s.auth_plain(login_).code, s.mail("guess-%s@example.test" % address.replace(":", ".")).code


def asked(lab, since):
    """How often IMAP was asked."""
    return len(lab.dovecot.log.find(r"auth failed|Login: ", since))


def distributed_guess(lab, peer):
    """Every guess from another network, each below the limit of an address."""
    begin(lab)
    home = "192.0.2.10"
    lab.tap.equal("distributed guess: alice at home, before", login(lab, peer, ALICE, home), 235)
    got = guesses(lab, peer, ((ALICE, "2001:db8:%x::1" % (0x1000 + n)) for n in range(5)))
    lab.tap.equal("distributed guess: the first five are wrong", got, [535] * 5)
    mark = lab.dovecot.log.mark()
    refused = login(lab, peer, ALICE, "2001:db8:2000::1")
    lab.tap.equal("distributed guess: then the right one is refused, too", refused, 535)
    lab.tap.equal("distributed guess: and IMAP is not asked", asked(lab, mark), 0)
    lab.tap.equal("distributed guess: alice at home notices nothing",
                  mail(lab, peer, ALICE, home), (235, 250))  # fmt: skip
    lab.tap.equal("distributed guess: nor does anybody else",
                  mail(lab, peer, BOB, "192.0.2.11"), (235, 250))  # fmt: skip
    rows = lab.postern.auths(ALICE)
    lab.tap.true("distributed guess: the log says guessing",
                 any(row.get("reason") == "guessing" for row in rows), rows[-3:])  # fmt: skip


def spray(lab, peer):
    """One password, many logins, one address."""
    begin(lab)
    address = "192.0.2.66"
    got = guesses(lab, peer, ((who, address, "Summer is over") for who in STAFF[:3]))
    lab.tap.equal("spray: three logins are tried", got, [535] * 3)
    mark = lab.dovecot.log.mark()
    lab.tap.equal("spray: then even a right password is refused",
                  login(lab, peer, STAFF[3], address), 535)  # fmt: skip
    lab.tap.equal("spray: and IMAP is not asked", asked(lab, mark), 0)
    for port in ("smtp", "submission"):
        with smtp.connect(lab.world, address, lab.postfix.port[port], "starttls") as s:
            reply = s.mail("sprayer@example.test")
        lab.tap.equal("spray: at MAIL, port %s" % port, (reply.code, reply.xcode), (421, "4.7.0"), reply)
    row = lab.postern.decision("sprayer@example.test", reason="guessing")
    lab.tap.equal("spray: the log's reason", row.get("reason"), "guessing")
    lab.tap.equal("spray: the neighbour is not the sprayer",
                  mail(lab, peer, STAFF[3], "192.0.2.67"), (235, 250))  # fmt: skip


def spray_from_network(lab, peer):
    """Two tries from each address of a /24: the network's limit."""
    begin(lab)
    got = guesses(lab, peer, ((STAFF[n], "198.51.100.%d" % (20 + n // 2)) for n in range(6)))
    lab.tap.equal("spray from a /24: six are tried", got, [535] * 6)
    lab.tap.equal("spray from a /24: no more from there", login(lab, peer, BOB, "198.51.100.99"), 535)
    lab.tap.equal("spray from a /24: the next network is open", login(lab, peer, BOB, "192.0.2.99"), 235)


def spray_from_ipv6(lab, peer):
    """In a /64 addresses cost nothing: it counts as one. So does, higher up, a
    /48."""
    begin(lab)
    got = guesses(lab, peer, ((STAFF[n], "2001:db8:a:1::%x" % (0x100 + n)) for n in range(3)))
    lab.tap.equal("spray from a /64: three are tried", got, [535] * 3)
    lab.tap.equal("spray from a /64: no more", login(lab, peer, BOB, "2001:db8:a:1::999"), 535)
    lab.tap.equal("spray from a /64: the next one is open", login(lab, peer, BOB, "2001:db8:a:2::1"), 235)
    got = guesses(lab, peer, ((STAFF[n], "2001:db8:a:%x::1" % (0x10 + n)) for n in range(3)))
    lab.tap.equal("spray from a /48: three more", got, [535] * 3)
    lab.tap.equal("spray from a /48: no more", login(lab, peer, STAFF[9], "2001:db8:a:ff::1"), 535)
    lab.tap.equal("spray from a /48: another one is open", login(lab, peer, BOB, "2001:db8:b::1"), 235)


def nat_office(lab, peer):
    """Ninety people and one phone with an old password; then one infected PC."""
    begin(lab)
    lab.world.add_client(OFFICE)
    phone = [guess(lab, peer, STAFF[95], OFFICE, "old password") for _ in range(8)]
    lab.tap.equal("office: the phone is told so, again and again", phone, [535] * 8)
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        got = list(pool.map(lambda who: login(lab, peer, who, OFFICE), STAFF[:90]))
    lab.tap.equal("office: ninety people log in", got, [235] * 90)
    typo = guesses(lab, peer, [(STAFF[0], OFFICE)] * 4)
    lab.tap.equal("office: one of them mistypes", typo, [535] * 4)
    lab.tap.equal("office: a newcomer logs in", mail(lab, peer, STAFF[90], OFFICE), (235, 250))
    guesses(lab, peer, ((who, OFFICE) for who in STAFF[91:94]))
    lab.tap.equal("office with an infected PC: no newcomers", login(lab, peer, STAFF[94], OFFICE), 535)
    got = [mail(lab, peer, who, OFFICE) for who in STAFF[:90:10]]
    lab.tap.equal("office with an infected PC: the others work on", got, [(235, 250)] * 9)


def inside(lab, peer):
    """Inside, guessing closes AUTH and nothing else."""
    begin(lab)
    got = guesses(lab, peer, [(ALICE, "inside4")] * 3)
    lab.tap.equal("guessing from inside: three are wrong", got, [535] * 3)
    lab.tap.equal("guessing from inside: AUTH is closed",
                  peer.login(lab.world, BOB, client="inside4").code, 535)  # fmt: skip
    with smtp.connect(lab.world, "inside4", lab.postfix.port["submission"]) as s:
        got = s.deliver(ALICE, peers.FAR)[1].code
    lab.tap.equal("guessing from inside: mail without a login flows on", got, 250)


def window(lab, peer):
    begin(lab, per_address="2/4s")
    address = "192.0.2.77"
    got = guesses(lab, peer, ((who, address) for who in STAFF[:2]))
    got.append(login(lab, peer, BOB, address))
    lab.tap.equal("a window of 4 s: closed", got, [535] * 3)
    wait_for("the window's end", lambda: login(lab, peer, BOB, address) == 235, 15.0, 0.2)
    lab.tap.ok("a window of 4 s: open again")


def delay(lab, peer):
    """A wrong password is answered late, and many at once are no later."""
    begin(lab, delay="2s", per_address="100/10m", per_network="100/10m", per_login="100/10m")

    def timed(number):
        began = time.monotonic()
        code = guess(lab, peer, STAFF[number], "192.0.2.88")
        return code, time.monotonic() - began

    lab.world.add_client("192.0.2.88")
    with concurrent.futures.ThreadPoolExecutor(max_workers=20) as pool:
        held = [pool.submit(timed, number) for number in range(19)]
        right = pool.submit(login, lab, peer, BOB, "192.0.2.89").result()
        held.append(pool.submit(timed, 19))
        got = [future.result() for future in held]
    lab.tap.equal("delay: a right password beside them", right, 235)
    lab.tap.equal("delay: twenty wrong passwords", [code for code, _ in got], [535] * 20)
    times = sorted(seconds for _, seconds in got)
    lab.tap.true("delay: all held back for 2 s (%.1f - %.1f s)" % (times[0], times[-1]),
                 2.0 <= times[0] and times[-1] < 4.5)  # fmt: skip
    began = time.monotonic()
    right = login(lab, peer, ALICE, "192.0.2.89")
    seconds = time.monotonic() - began
    lab.tap.equal("delay: a right password after them", right, 235)
    lab.tap.true("delay: a right password is not (%.2f s)" % seconds, seconds < 1.0)
