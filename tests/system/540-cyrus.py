# SPDX-License-Identifier: BSD-2-Clause
"""Cyrus imapd: its NO carries no code, its logins have no domain, and it lets a
proxy log in as somebody who does not exist."""

import imaplib

import peers
import smtp
from daemons import GHOST
from world import PASSWORD, wait_for

OPTIONS = {
    "url": "imaps://localhost:2993",
    "login_as": "user",
    "extra": 'guessing { delay = "0s" }\nidentity { ttl = "0s"  refused_ttl = "0s" }\n',
}
ALICE, BOB, CAROL = ("%s@example.test" % name for name in ("alice", "bob", "carol"))


def run(lab):
    lab.cyrus.start()
    make_mailboxes("alice", "carol")  # bob has a password and no mailbox
    lab.cyrus.deny("carol")
    lab.use_all()
    try:
        passwords(lab)
        proxy(lab)
    finally:
        lab.cyrus.stop()
        lab.postern.stop()
        lab.postern.start()


def make_mailboxes(*users):
    with imaplib.IMAP4_SSL("localhost", 2993, ssl_context=smtp.client_context()) as admin:
        admin.authenticate("PLAIN", lambda _: ("\0cyradm\0" + PASSWORD).encode())
        for user in users:
            kind, what = admin.create("user/" + user)
            if kind != "OK":
                raise RuntimeError("no mailbox for %s: %s" % (user, what))


def passwords(lab):
    peer = peers.all_of(lab)[0]
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", **OPTIONS)
    cases = (("live", ALICE, PASSWORD, 235), ("live, without a mailbox", BOB, PASSWORD, 235),
             ("a wrong password", ALICE, "not her password", 535),
             ("unknown", GHOST, PASSWORD, 535), ("denied", CAROL, PASSWORD, 535))  # fmt: skip
    for what, login, password, want in cases:
        got = peer.login(lab.world, login, password)
        lab.tap.equal("Cyrus, %s: %d" % (what, want), got.code, want, got)
    lab.cyrus.stop()
    check_undecided(lab, peer, "stopped")
    lab.cyrus.start(check="saslauthd")
    check_undecided(lab, peer, "its own saslauthd down")
    lab.cyrus.stop()
    lab.cyrus.start()
    wait_for("a login", lambda: peer.login(lab.world, ALICE).code == 235, 60.0, 0.1)
    lab.tap.ok("Cyrus, back again: 235")


def check_undecided(lab, peer, when):
    got = [peer.login(lab.world, *words).code for words in ((ALICE,), (ALICE, "not her password"))]
    lab.tap.equal("Cyrus, %s: nobody's password is called wrong" % when, got, [454, 454])


def proxy(lab):
    """The MTA believes everybody on port 587; the proxy's answer decides."""
    lab.postern.stop()
    lab.postern.configure(**OPTIONS)
    lab.postern.launch()
    wait_for("the self-test", lambda: lab.postern.answers(ALICE) == "permit", 30.0)
    for what, login, want in (("live", ALICE, (250, "authenticated")),
                              ("no mailbox", BOB, (550, "identity-refused")),
                              ("unknown", GHOST, (550, "identity-refused")),
                              ("denied", CAROL, (525, "identity-disabled"))):  # fmt: skip
        sender = "cyrus-%s@example.test" % what.replace(" ", "-")
        with smtp.connect(lab.world, "outside4", lab.postfix.port["submission"], "starttls") as s:
            s.auth_plain(login)
            reply = s.deliver(sender, peers.FAR)[1]
        row = lab.postern.decision(sender, stage="rcpt" if want[0] == 250 else "mail")
        lab.tap.equal("Cyrus by proxy, %s: %d %s" % (what, *want),
                      (reply.code, row.get("reason")), want, reply)  # fmt: skip
