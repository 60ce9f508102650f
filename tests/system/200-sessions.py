# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that people and programs really have: facts of the connection last,
facts of a transaction do not, and a login never outlives its TLS."""

import smtp
from daemons import ALICE, DISABLED, GHOST

MSA = "submission"
BOB = "bob@example.test"
FAR = "someone@other.example"


def run(lab):
    for mta in (lab.postfix, lab.sendmail):
        lab.use(mta)
        for test in (auth_then_starttls, auth_without_second_ehlo, late_login,
                     several_messages, rset_between, refused_among_good,
                     forged_auth_parameter, wrong_password, null_sender,
                     no_ehlo, pipelined):  # fmt: skip
            test(lab, lab.mta.name + ": ")


def open_session(lab, client="outside4", tls="starttls", **options):
    return smtp.connect(lab.world, client, lab.mta.port[MSA], tls, **options)


def auth_then_starttls(lab, mta):
    """RFC 3207, 4.2: the server has to forget what it knew before STARTTLS.
    sendmail 8.17 does not, and a milter cannot see it: that is why contrib's
    confAUTH_OPTIONS has the p, which 220 tests. With an EHLO in between, a
    filter that asks for the login there would remember it too long."""
    want = [250, 250] if lab.mta.name == "sendmail" else [530, 530]
    for ehlo_between in (False, True):
        with open_session(lab, tls=None) as s:
            s.auth_plain(ALICE)
            if ehlo_between:
                s.ehlo()
            s.starttls()
            got = [s.mail(ALICE).code]
            s.command("RSET")
            s.ehlo()
            got.append(s.mail(ALICE).code)
        name = "AUTH in the clear, %sSTARTTLS, MAIL" % ("EHLO, " if ehlo_between else "")
        lab.tap.equal(mta + name, got, want)


def auth_without_second_ehlo(lab, mta):
    with open_session(lab, tls=None) as s:
        s.starttls()
        if s.auth_plain(ALICE).code != 235:
            # sendmail wants the EHLO, and says so
            s.ehlo()
            s.auth_plain(ALICE)
        got = s.deliver(ALICE, FAR)[1].code
        lab.tap.equal(mta + "TLS counts without another EHLO", got, 250)


def late_login(lab, mta):
    with open_session(lab) as s:
        got = [s.mail(ALICE).code, s.auth_plain(ALICE).code, s.deliver(ALICE, FAR)[1].code]
        lab.tap.equal(mta + "after 530 a login in the same session helps", got, [530, 235, 250])


def several_messages(lab, mta):
    with open_session(lab) as s:
        s.auth_plain(ALICE)
        got = [s.deliver(ALICE, FAR)[1].code for _ in range(5)]
        lab.tap.equal(mta + "five messages in one session", got, [250] * 5)
    with open_session(lab) as s:
        s.auth_plain(GHOST)
        got = [s.mail(ALICE).code for _ in range(3)]
        lab.tap.equal(mta + "trying again does not make a ghost live", got, [550] * 3)


def rset_between(lab, mta):
    with open_session(lab) as s:
        s.auth_plain(ALICE)
        got = [s.mail(ALICE).code, s.rcpt(FAR).code, s.command("RSET").code]
        got += [s.mail(ALICE).code, s.command("RSET").code, s.deliver(ALICE, FAR)[1].code]
        lab.tap.equal(mta + "RSET forgets the message and keeps the login", got, [250] * 6)


def refused_among_good(lab, mta):
    with open_session(lab, "inside4", tls=None) as s:
        sender = "among-%s@example.test" % lab.mta.name
        got = [s.mail(sender).code, s.rcpt(BOB).code, s.rcpt("x%other.example@example.test").code]
        got += [s.rcpt(FAR).code, s.message(sender, BOB).code]
        lab.tap.equal(mta + "one refused recipient does not harm the others",
                      got, [250, 250, 550, 250, 250])  # fmt: skip
        row = lab.postern.decision(sender, stage="message", verdict="permit")
        lab.tap.equal(mta + "the message's line counts what was accepted",
                      row.get("recipients"), "2")  # fmt: skip


def forged_auth_parameter(lab, mta):
    with open_session(lab) as s:
        got = s.mail(ALICE, " AUTH=" + ALICE)
        lab.tap.equal(mta + "MAIL's AUTH= is not a login", got.code, 530, got)


def wrong_password(lab, mta):
    with open_session(lab) as s:
        got = [s.auth_plain(ALICE, "guess").code, s.mail(ALICE).code]
        lab.tap.equal(mta + "a failed login is none", got, [535, 530])
    with open_session(lab) as s:
        got = [s.auth_login(DISABLED).code, s.mail(DISABLED).code]
        lab.tap.equal(mta + "AUTH LOGIN to a disabled account", got, [235, 525])


def null_sender(lab, mta):
    with open_session(lab, "inside6", tls=None) as s:
        lab.tap.equal(mta + "<> from inside", s.mail("").code, 250)
    with open_session(lab, "outside6") as s:
        got = [s.mail("").code, s.auth_plain(ALICE).code, s.mail("").code]
        lab.tap.equal(mta + "<> from outside needs a login too", got, [530, 235, 250])


def no_ehlo(lab, mta):
    for client, want in (("inside4", 250), ("outside4", 530)):
        with open_session(lab, client, tls=None, ehlo=False) as s:
            s.command("HELO old.example.net")
            lab.tap.equal(mta + "HELO only, from " + client, s.mail(BOB).code, want)


def pipelined(lab, mta):
    with open_session(lab, "outside4") as s:
        s.send("MAIL FROM:<%s>" % ALICE, "RCPT TO:<%s>" % FAR, "DATA")
        got = [s.reply().code for _ in range(3)]
        lab.tap.true(mta + "pipelined behind a refused MAIL nothing passes",
                     got[0] == 530 and all(code >= 500 for code in got), got)  # fmt: skip
    with open_session(lab, "outside4") as s:
        s.auth_plain(ALICE)
        s.send("MAIL FROM:<%s>" % ALICE, "RCPT TO:<%s>" % FAR, "DATA")
        got = [s.reply().code for _ in range(3)]
        lab.tap.equal(mta + "pipelined behind a login all passes", got, [250, 250, 354])
