# SPDX-License-Identifier: BSD-2-Clause
"""Whose address is it? The one that the MTA vouches for: a gateway inside is
not inside, and XCLIENT and PROXY change it."""

import smtp
from daemons import ALICE

FAR = "someone@other.example"
HAPROXY, XCLIENT = 10587, 11587


def run(lab):
    for mta in (lab.postfix, lab.sendmail):
        lab.use(mta)
        gateway(lab, mta)
    lab.use(lab.postfix)
    xclient(lab)
    proxy(lab)


def gateway(lab, mta):
    for tls, login, want in ((None, "", 530), ("starttls", "", 530), ("starttls", ALICE, 250)):
        with smtp.connect(lab.world, "gateway4", mta.port["submission"], tls) as s:
            if login:
                s.auth_plain(login)
            got = s.deliver(ALICE, FAR)[1]
            name = "%s: the gateway's address, %s, %s" % (
                mta.name, tls or "clear", login or "no login")  # fmt: skip
            lab.tap.equal(name, got.code, want, got)


def xclient(lab):
    cases = (
        # where from, XCLIENT, in TLS, MAIL's reply
        ("inside4", "ADDR=198.51.100.9", False, 530),
        ("inside4", "ADDR=IPV6:2001:db8::99", False, 530),
        ("inside4", "ADDR=10.77.0.254", False, 530),
        ("outside4", "ADDR=10.77.0.9", False, 250),
        ("outside4", "ADDR=IPV6:fd00:77::9", False, 250),
        ("outside4", "ADDR=IPV6:::ffff:10.77.0.9", False, 250),
        ("outside4", "ADDR=203.0.113.9 LOGIN=" + ALICE, False, 530),
        ("outside4", "ADDR=203.0.113.9 LOGIN=" + ALICE, True, 534),
        ("outside4", "NAME=localhost HELO=localhost", True, 530),
    )
    for client, words, tls, want in cases:
        # STARTTLS comes first, for it would end a LOGIN=
        with smtp.connect(lab.world, client, XCLIENT, "starttls" if tls else None) as s:
            s.command("XCLIENT " + words)
            s.ehlo()
            got = s.mail(ALICE)
            name = "postfix: %s, XCLIENT %s%s" % (client, words, ", TLS" if tls else "")
            lab.tap.equal(name, got.code, want, got)


def proxy(lab):
    cases = (
        ("inside4", "TCP4 198.51.100.9 10.77.0.1", 530),
        ("inside4", "TCP6 2001:db8::99 fd00:77::1", 530),
        ("outside4", "TCP4 10.77.0.9 10.77.0.1", 250),
        ("outside4", "TCP4 10.77.0.254 10.77.0.1", 530),
        ("outside4", "TCP6 ::ffff:10.77.0.9 ::ffff:10.77.0.1", 250),
    )
    for client, words, want in cases:
        with smtp.Session(lab.world.connect(client, HAPROXY)) as s:
            s.send("PROXY %s 40000 587" % words)
            s.greet()
            s.ehlo()
            got = s.mail(ALICE)
            lab.tap.equal("postfix: %s, PROXY %s" % (client, words), got.code, want, got)
