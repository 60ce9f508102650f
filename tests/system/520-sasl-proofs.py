# SPDX-License-Identifier: BSD-2-Clause
"""Session proofs: postern believes the logins that it saw proven, from where it
saw them, through its own restarts; and none that an MTA let in on the word of
a password file which somebody forgot."""

import mtas
import peers
import world
from daemons import ALICE, BOB, CONFIG, GHOST, POSTERNCTL
from imaps import STAFF
from world import PASSWORD, wait_for

EXTRA = 'guessing { delay = "0s" }\n'
STALE = "last year's password"
CAROL = STAFF[0]
HERE, ELSEWHERE = "outside4", "outside6"


def run(lab):
    for login in (ALICE, BOB, CAROL, GHOST):
        mtas.forget_password(login, STALE)
    lab.postern.stop()
    lab.postern.forget()
    lab.postern.start(sasl=True, verify="session", extra=EXTRA)
    lab.use_all()
    try:
        unproven(lab)
        unproven_at_sendmail(lab)
        for end in (lab.postern.stop, lab.postern.kill):
            restarted(lab, end)
        login_alone(lab)
        with_proxy(lab)
    finally:
        lab.postern.stop()
        lab.postern.start()


def mail_by_sasldb(lab, login, client, sender):
    """AUTH against the forgotten file, then MAIL: their replies."""
    with peers.forgotten(lab).connect(lab.world, client) as s:
        return s.auth_plain(login, STALE), s.mail(sender)


def check_sasldb(lab, name, login, client, want, reason):
    sender = "%s@example.test" % name.replace(" ", "-").replace(",", "").lower()
    auth, mail = mail_by_sasldb(lab, login, client, sender)
    row = lab.postern.decision(sender, stage="mail")
    got = {"auth": auth.code, "mail": mail.code, "reason": row.get("reason")}
    lab.tap.equal(name, got, {"auth": 235, "mail": want, "reason": reason}, mail)


def unproven(lab):
    """The MTA says 235; postern knows better. A proof is for one address."""
    peer = peers.all_of(lab)[0]
    for login in (BOB, GHOST):
        check_sasldb(lab, "sasldb, never proven, %s" % login.partition("@")[0], login, HERE,
                     421, "session-unproven")  # fmt: skip
    lab.tap.equal("a login to be proven", peer.login(lab.world, BOB, client=HERE).code, 235)
    check_sasldb(lab, "sasldb, proven from here", BOB, HERE, 250, "authenticated")
    check_sasldb(lab, "sasldb, proven from elsewhere", BOB, ELSEWHERE, 421, "session-unproven")
    lab.tap.equal("a wrong password takes no proof away",
                  peer.login(lab.world, BOB, "not it", client=HERE).code, 535)  # fmt: skip
    check_sasldb(lab, "sasldb, still proven from here", BOB, HERE, 250, "authenticated")


def unproven_at_sendmail(lab):
    """One line in Sendmail.conf that was right for years."""
    lab.sendmail.stop()
    lab.sendmail.start(wide_open=False, aside=True, forgotten=True)
    peer = peers.all_of(lab)[3]
    for password, want in ((STALE, 421), (PASSWORD, 250)):
        sender = "sendmail-%d@example.test" % want
        with peer.connect(lab.world, ELSEWHERE) as s:
            got = s.auth_plain(CAROL, password).code, s.mail(sender).code
        row = lab.postern.decision(sender, stage="mail")
        lab.tap.equal("%s, %s password" % (peer.name, "forgotten" if want == 421 else "right"),
                      (*got, row.get("reason")),
                      (235, want, "session-unproven" if want == 421 else "authenticated"))  # fmt: skip
    lab.sendmail.stop()
    lab.sendmail.start(wide_open=False, aside=True)


def restarted(lab, end):
    """Sessions that are logged in while postern goes and comes back."""
    how = end.__name__
    login = STAFF[1] if how == "stop" else STAFF[2]
    mtas.forget_password(login, STALE)
    everybody = [peer for peer in peers.all_of(lab) if peer.milter]
    sessions = {}
    for peer in everybody:
        s = sessions[peer.name] = peer.connect(lab.world, HERE)
        lab.tap.equal("%s, %s: login before" % (how, peer.name), s.auth_plain(login).code, 235)
    # the file has it within a second; SIGTERM does not have to wait for that
    if how == "kill":
        wait_for("proof", lambda: login in world.run(POSTERNCTL, "-c", CONFIG, "proof", "list"))
    end()
    lab.postern.launch()
    for peer in everybody:
        with sessions[peer.name] as s:
            # neither MTA connects to a milter again within a session
            got = s.mail(ALICE).code, s.command("RSET").code, s.mail(ALICE).code
            lab.tap.equal("%s, %s: the old session is put off" % (how, peer.name),
                          got, (451, 250, 451))  # fmt: skip
    check_sasldb(lab, "%s, what was proven is remembered" % how, login, HERE, 250, "authenticated")
    check_sasldb(lab, "%s, what was not is not" % how, GHOST, HERE, 421, "session-unproven")
    check_sasldb(lab, "%s, nor from elsewhere" % how, BOB, ELSEWHERE, 421, "session-unproven")


def login_alone(lab):
    """saslauthd's protocol has no address: its proof is good from anywhere."""
    peer = [peer for peer in peers.all_of(lab) if not peer.address][0]
    lab.tap.equal("a login through saslauthd's protocol",
                  peer.login(lab.world, BOB, client=HERE).code, 235)  # fmt: skip
    check_sasldb(lab, "sasldb, proven for the login alone", BOB, ELSEWHERE, 250, "authenticated")


def with_proxy(lab):
    """verify = {"session", "proxy"}: IMAP is asked about what is not proven."""
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session proxy", extra=EXTRA)
    check_sasldb(lab, "session then proxy, a live account", ALICE, ELSEWHERE, 250, "authenticated")
    check_sasldb(lab, "session then proxy, a ghost", GHOST, HERE, 550, "identity-refused")
