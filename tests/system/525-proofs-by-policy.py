# SPDX-License-Identifier: BSD-2-Clause
"""Session proofs by policy delegation: both MTAs connect anew for a question,
so that a session goes on when postern comes back, on what is stored and on
nothing else."""

import delegation
import mtas
import sasl
import smtp
import world
from daemons import CONFIG, GHOST, POSTERNCTL
from imaps import STAFF
from world import PASSWORD, read, wait_for, write

STALE = "last year's password"
FAR = "far@other.example"
EXTRA = 'guessing { delay = "0s" }\n'
HERE = "outside4"


class Exim(delegation.Exim):
    """PLAIN asks postern, LOGIN somebody who believes everybody."""

    def spawn(self, *argv, **options):
        conf = self.dir + "/exim.conf"
        plain, login = read(conf).split("\nLOGIN:")
        write(conf, plain + "\nLOGIN:" + login.replace("/run/postern/exim", sasl.DOVECOT))
        super().spawn(*argv, **options)


def run(lab):
    lab.postern.stop()
    try:
        with_postfix(lab)
        with_exim(lab)
    finally:
        if lab.mta is not None:
            lab.mta.stop()
        lab.mta, lab.mta_options = None, {}
        lab.postern.stop()
        lab.postern.start()


def guard(lab, group):
    lab.postern.stop()
    lab.postern.forget()
    lab.postern.start(sasl=True, verify="session", extra=EXTRA + delegation.SECTION % group)


def with_postfix(lab):
    """One listener asks postern for passwords, one a forgotten file."""
    mtas.forget_password(GHOST, STALE)
    postfix = lab.use(delegation.Postfix(lab.world), wide_open=False)
    port = postfix.sasl_port

    def proven(login):
        return log_in(lab, port["unix"], "auth_plain", login, PASSWORD)

    def unproven():
        return log_in(lab, port["forgotten"], "auth_plain", GHOST, STALE)

    guard(lab, "postfix")
    for end, login in ((lab.postern.stop, STAFF[0]), (lab.postern.kill, STAFF[1])):
        restarted(lab, "postfix", end, login, proven, unproven)


def with_exim(lab):
    exim = lab.use(Exim(lab.world), sasl_path="/run/postern/exim")
    port = exim.port["submission"]

    def proven(login):
        return log_in(lab, port, "auth_plain", login, PASSWORD)

    def unproven():
        return log_in(lab, port, "auth_login", GHOST, PASSWORD)

    guard(lab, "Debian-exim")
    for end, login in ((lab.postern.stop, STAFF[2]), (lab.postern.kill, STAFF[3])):
        restarted(lab, "exim", end, login, proven, unproven)
    asked_in_vain(lab, proven)


def log_in(lab, port, method, login, password):
    session = smtp.connect(lab.world, HERE, port, "starttls")
    answer = getattr(session, method)(login, password)
    if answer.code != 235:
        session.close()
        raise ConnectionError("AUTH: %s" % answer)
    return session


def restarted(lab, mta, end, login, proven, unproven):
    """Two sessions that were logged in before postern went."""
    name = "%s, %s" % (mta, "SIGTERM" if end == lab.postern.stop else "SIGKILL")
    sender = "%s@example.test" % name.replace(", ", "-").lower()
    stage = "rcpt" if mta == "postfix" else "mail"
    with proven(login) as s, unproven() as other:
        check_deliver(lab, name + ": before", s, "before-" + sender, "data", 250)
        # the file has it within a second; SIGTERM does not have to wait for that
        if end == lab.postern.kill:
            wait_for("proof", lambda: login in proofs())
        end()
        if mta == "postfix":
            check_deliver(lab, name + ": postern is away", s, "away-" + sender, stage, 451)
            s.command("RSET")
        mark = lab.postern.log.mark()
        lab.postern.launch()
        lab.tap.equal(name + ": the file remembers one login",
                      (login in proofs(), GHOST in proofs()), (True, False), proofs())  # fmt: skip
        check_deliver(lab, name + ": the same session goes on", s, "after-" + sender, "data", 250)
        check_logged(lab, name + ": on what is stored", "after-" + sender,
                     ("permit", login, "authenticated"))  # fmt: skip
        check_deliver(lab, name + ": and once more", s, "again-" + sender, "data", 250)
        check_deliver(lab, name + ": a session without a proof", other, "other-" + sender, stage, 421)
        check_logged(lab, name + ": which was never proven", "other-" + sender,
                     ("tempfail", GHOST, "session-unproven"))  # fmt: skip
        lab.tap.equal(name + ": nobody logged in again",
                      lab.postern.auths(login, mark) + lab.postern.auths(GHOST, mark), [])  # fmt: skip


def asked_in_vain(lab, proven):
    """A session in which Exim 4.96 did not reach a UNIX socket does not reach
    it again: it mistakes another file for it. Nothing may pass in there."""
    with proven(STAFF[4]) as s:
        lab.postern.stop()
        check_deliver(lab, "exim: postern is away", s, "away-exim@example.test", "mail", 451)
        lab.postern.launch()
        for _ in range(3):
            stage, reply = s.deliver("vain-exim@example.test", FAR)
            lab.tap.equal("exim: what asked in vain is put off", (stage, bool(reply)), ("mail", False), reply)
    with proven(STAFF[4]) as s:
        check_deliver(lab, "exim: another session passes", s, "new-exim@example.test", "data", 250)


def proofs():
    return world.run(POSTERNCTL, "-c", CONFIG, "proof", "list")


def check_deliver(lab, name, session, sender, stage, code):
    ended, reply = session.deliver(sender, FAR)
    lab.tap.equal(name, (ended, reply.code), (stage, code), reply)


def check_logged(lab, name, sender, want):
    row = lab.postern.decision(sender, stage="mail")
    got = row.get("verdict"), row.get("login"), row.get("reason")
    lab.tap.equal(name, got, want, row)
