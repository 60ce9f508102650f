# SPDX-License-Identifier: BSD-2-Clause
"""postern is the SASL server of every MTA: who may come in, who may not, and
what happens to the mail of those who may."""

import itertools

import peers
from daemons import ALICE, BOB, DISABLED, GHOST
from peers import FAR
from world import CLIENTS

# A refusal must not tell what was wrong, and none of these must wait.
OPTIONS = 'guessing { delay = "0s" }\nauth { realm = "example.test" }\n'

# what, login, password (None: the right one), the reply to AUTH
CASES = (
    ("a live login", ALICE, None, 235),
    ("a wrong password", ALICE, "not it", 535),
    ("a disabled account", DISABLED, None, 535),
    ("an unknown login", GHOST, None, 535),
    ("an empty password", ALICE, "", 535),
    ("the proxy user's own master form", ALICE + "*postern", "proxy secret", 535),
)


def run(lab):
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra=OPTIONS)
    lab.use_all()
    try:
        everybody = peers.all_of(lab)
        for case, method in itertools.product(CASES, ("auth_plain", "auth_login")):
            answers(lab, everybody, case, method)
        independent_client(lab, everybody)
        refusals_look_alike(lab, everybody)
        mail(lab, everybody)
        canonical(lab, everybody)
        clear_text(lab, everybody)
        clear_text_inside(lab)
    finally:
        lab.postern.stop()
        lab.postern.start()


def answers(lab, everybody, case, method):
    what, login, password, want = case
    arguments = (login, password) if password is not None else (login,)
    got = peers.each(everybody, lambda p: p.login(lab.world, *arguments, method=method))
    for peer in everybody:
        lab.tap.equal("%s: %s with %s" % (peer.name, what, method.upper().replace("_", " ")),
                      got[peer.name].code, want, got[peer.name])  # fmt: skip


def independent_client(lab, everybody):
    """Another client's idea of the same."""
    for mechanism, password, want in (("PLAIN", "sesame street", 235), ("LOGIN", "sesame street", 235),
                                      ("PLAIN", "sesame", 535)):  # fmt: skip
        got = peers.each(everybody, lambda p: p.swaks(lab.world, ALICE, password, mechanism))
        lab.tap.equal("swaks, %s: %d" % (mechanism, want), got, dict.fromkeys(got, want))


def refusals_look_alike(lab, everybody):
    refused = [(login, word) for _, login, word, want in CASES if want == 535 and word != ""]
    for peer in everybody:
        said = set()
        for login, word in refused:
            arguments = (login, word) if word else (login,)
            said.add(str(peer.login(lab.world, *arguments)))
        lab.tap.equal("%s: one answer to whatever is wrong" % peer.name, len(said), 1, said)


def mail(lab, everybody):
    """Who was let in may send; postern's milter knows why."""
    for client in ("outside4", "outside6"):
        got = peers.each(everybody, lambda p: p.deliver(
            lab.world, sender(p, client), recipient(p, client), ALICE, client))  # fmt: skip
        for peer in everybody:
            lab.tap.equal("%s: mail of a live login from %s" % (peer.name, client),
                          got[peer.name], (235, "data", 250))  # fmt: skip
            lab.tap.true("%s: it is on its way" % peer.name, peer.accepted(recipient(peer, client)))
            if peer.milter:
                check_decision(lab, peer, client)


def sender(peer, client):
    return "%s.%s@example.test" % (peer.name, client)


def recipient(peer, client):
    return "to-%s.%s@other.example" % (peer.name, client)


def check_decision(lab, peer, client):
    row = lab.postern.decision(sender(peer, client), stage="rcpt", verdict="permit")
    keys = ("client", "zone", "login", "identity", "verdict", "reason")
    lab.tap.equal("%s: postern's log of it from %s" % (peer.name, client),
                  {key: row.get(key) for key in keys},
                  {"client": CLIENTS[client][1], "zone": "external", "login": ALICE,
                   "identity": "verified", "verdict": "permit", "reason": "authenticated"})  # fmt: skip


def canonical(lab, everybody):
    """However it is typed, it is one login; Dovecot's protocol can say so, and
    the MTA believes it."""
    for typed in ("bob", "bob@EXAMPLE.Test"):
        got = peers.each(everybody, lambda p: p.login(lab.world, typed).code)
        lab.tap.equal("%s is a login everywhere" % typed, got, dict.fromkeys(got, 235))
        for peer in everybody:
            name = "typed.%s.%s" % (peer.name, typed.lower().replace("@", "."))
            name += "@example.test"
            sent = peer.deliver(lab.world, name, FAR, typed)
            lab.tap.equal("%s: mail of %s" % (peer.name, typed), sent, (235, "data", 250))
            if peer.milter:
                row = lab.postern.decision(name, stage="rcpt")
                lab.tap.equal("%s: %s is logged as" % (peer.name, typed),
                              (row.get("login"), row.get("verdict")), (BOB, "permit"))  # fmt: skip
            if peer.address:
                lab.tap.equal("%s: %s in the MTA's own log" % (peer.name, typed),
                              peer.login_of(name), BOB)  # fmt: skip


def clear_text(lab, everybody):
    """contrib's settings offer no AUTH outside TLS, to nobody."""
    for peer, client in itertools.product(everybody, ("outside4", "inside4")):
        with peers.smtp.connect(lab.world, client, peer.port) as s:
            offers = [line for line in s.capabilities if line.startswith("AUTH")]
            answer = s.auth_plain(ALICE)
        lab.tap.equal("%s: no AUTH in the clear from %s" % (peer.name, client), offers, [])
        lab.tap.true("%s: nor is it taken" % peer.name, answer.code >= 500, answer)


def clear_text_inside(lab):
    """An MTA that takes passwords in the clear: postern does not, but for the
    inside and when told to."""
    for option, inside in (("false", 535), ("true", 235)):
        lab.postern.stop()
        lab.postern.start(sasl="plaintext_internal = " + option, verify="session", extra=OPTIONS)
        for client, want in (("inside4", inside), ("inside6", inside), ("outside4", 535)):
            with peers.smtp.connect(lab.world, client, lab.postfix.sasl_port["clear"]) as s:
                code = s.auth_plain(ALICE).code
            lab.tap.equal("plaintext_internal = %s: a password in the clear from %s"
                          % (option, client), code, want)  # fmt: skip
