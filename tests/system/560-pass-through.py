# SPDX-License-Identifier: BSD-2-Clause
"""Challenges and bearer tokens, carried from real clients through Postfix and
postern to Dovecot: who may come in, under which name, and who may not."""

import base64
import hashlib
import hmac
import os
import re
import signal
import socket
import subprocess

import delegation
import mtas
import peers
import smtp
from daemons import ALICE, BOB, DISABLED, GHOST
from imaps import token
from peers import FAR
from world import CLIENTS, CONTRIB, LAB, PASSWORD, ROOT, read, wait_for, write

CHALLENGES = ("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
BEARERS = ("OAUTHBEARER", "XOAUTH2")
SASL = 'pass_through = {"%s"}' % '", "'.join(CHALLENGES + BEARERS)
OPTIONS = """guessing { delay = "0s" per_address = "1000/10m" per_network = "1000/10m"
           per_login = "1000/1h" }
auth { realm = "example.test" }
"""


def run(lab):
    lab.use_all()
    begin(lab)
    try:
        everybody = [p for p in peers.all_of(lab) if p.name in ("postfix-unix", "postfix-tcp")]
        for peer in everybody:
            offers(lab, peer)
            verdicts(lab, peer)
            names(lab, peer)
            mail(lab, peer)
            swaks(lab, peer)
            cyrus_client(lab, peer)
        exim(lab)
        peer = everybody[0]
        given_up(lab, peer)
        imap_gone(lab, peer)
        withdrawn(lab)
        by_user(lab, peer)
    finally:
        lab.postern.stop()
        lab.dovecot.stop()
        lab.dovecot.start()
        lab.postern.start()


def begin(lab, **options):
    lab.postern.stop()
    options.setdefault("extra", OPTIONS)
    # the other doors offer the same as the first
    lab.postern.configure(sasl=SASL, verify="session", **options)
    path = "/etc/postern/postern.conf"
    text = read(path)
    for door in ('"inet:12345@127.0.0.1"', '"unix:/run/postern/exim"'):
        text = text.replace(door, door + "  " + SASL)
    write(path, text)
    lab.postern.launch()
    wait_for("the offer", lambda: set(mech_lines()) >= set(CHALLENGES + BEARERS))
    lab.postfix.reload()  # an smtpd asks for the offer when it connects, once


def mech_lines(path="/run/postern/sasl"):
    """What postern offers to an MTA that connects now."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        text = b""
        while not text.endswith(b"DONE\n"):
            data = sock.recv(4096)
            if not data:
                break
            text += data
    return re.findall(r"(?m)^MECH\t([^\t\n]+)", text.decode())


# --- a client that does what it is told ---

def b64(message):
    return base64.b64encode(message.encode()).decode()


def cram_md5(session, name, password):
    answer = session.command("AUTH CRAM-MD5")
    if answer.code != 334:
        return answer
    challenge = base64.b64decode(answer.text)
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    return session.command(b64("%s %s" % (name, digest)))


def scram(session, name, password, digest, header="n,,", first_only=False, rest=""):
    """RFC 5802; a signature that is wrong ends in an exception."""
    bare = "n=%s,r=%s%s" % (name, base64.b64encode(os.urandom(18)).decode(), rest)
    mechanism = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}[digest]
    answer = session.command("AUTH %s %s" % (mechanism, b64(header + bare)))
    if answer.code != 334 or first_only:
        return answer
    server = base64.b64decode(answer.text).decode()
    nonce, salt, rounds = re.fullmatch(r"r=([^,]+),s=([^,]+),i=(\d+)", server).groups()
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(salt), int(rounds))
    without = "c=%s,r=%s" % (b64(header), nonce)
    text = ",".join((bare, server, without)).encode()
    key = hmac.digest(salted, b"Client Key", digest)
    proof = hmac.digest(hashlib.new(digest, key).digest(), text, digest)
    proof = bytes(a ^ b for a, b in zip(key, proof))
    answer = session.command(b64("%s,p=%s" % (without, base64.b64encode(proof).decode())))
    if answer.code != 334:
        return answer
    signed = hmac.digest(hmac.digest(salted, b"Server Key", digest), text, digest)
    want = "v=" + base64.b64encode(signed).decode()
    if base64.b64decode(answer.text).decode() != want:
        raise AssertionError("the server's signature is %s" % answer)
    return session.command("")


def bearer(session, name, word, mechanism):
    if mechanism == "OAUTHBEARER":
        text = "n,a=%s,\1host=mail.example.test\1port=587\1auth=Bearer %s\1\1" % (name, word)
    else:
        text = "user=%s\1auth=Bearer %s\1\1" % (name, word)
    answer = session.command("AUTH %s %s" % (mechanism, b64(text)))
    if answer.code == 334:  # the server's error
        answer = session.command("")
    return answer


def login(session, mechanism, name, password=PASSWORD):
    """The secret of a bearer is a token."""
    smtp.presented.add((name, password))
    if mechanism == "CRAM-MD5":
        return cram_md5(session, name, password)
    if mechanism.startswith("SCRAM"):
        return scram(session, name, password, "sha1" if mechanism.endswith("-1") else "sha256")
    return bearer(session, name, password, mechanism)


def secret(mechanism, name):
    return token(name) if mechanism in BEARERS else PASSWORD


def once(lab, peer, *arguments, how=login, **more):
    with peer.connect(lab.world) as session:
        return how(session, *arguments, **more)


# --- what is to be seen ---

def offers(lab, peer):
    with peer.connect(lab.world) as session:
        words = [line.split()[1:] for line in session.capabilities if line.startswith("AUTH ")]
    lab.tap.equal("%s: offered" % peer.name, sorted(words[0]) if words else words,
                  sorted(("PLAIN", "LOGIN") + CHALLENGES + BEARERS))  # fmt: skip


def verdicts(lab, peer):
    for mechanism in CHALLENGES + BEARERS:
        bear = mechanism in BEARERS
        for what, name, word, want in (
            ("a live login", ALICE, secret(mechanism, ALICE), 235),
            ("another live login", BOB, secret(mechanism, BOB), 235),
            ("a wrong secret", ALICE, token(ALICE, key=b"made up") if bear else "not it", 535),
            ("a disabled account", DISABLED, secret(mechanism, DISABLED), 535),
            ("an unknown login", GHOST, secret(mechanism, GHOST), 535),
        ):
            answer = once(lab, peer, mechanism, name, word)
            lab.tap.equal("%s: %s: %s" % (peer.name, mechanism, what), answer.code, want, answer)
        if bear:
            for what, word in (("an old token", token(ALICE, lifetime=-60)),
                               ("somebody else's token", token(BOB))):  # fmt: skip
                answer = once(lab, peer, mechanism, ALICE, word)
                lab.tap.equal("%s: %s: %s" % (peer.name, mechanism, what), answer.code, 535, answer)


def names(lab, peer):
    """A login is what the server was asked about, and nothing that looks like it."""
    mark = lab.dovecot.log.mark()
    for mechanism in CHALLENGES + BEARERS:
        for name in ("alice", "alice@EXAMPLE.test", ALICE + "*postern", "postern",
                     ALICE + "@example.test"):  # fmt: skip
            answer = once(lab, peer, mechanism, name, secret(mechanism, name))
            lab.tap.equal("%s: %s as %s" % (peer.name, mechanism, name), answer.code, 535, answer)
    for what, header, name, rest in (
        ("acting for another", "n,a=%s," % BOB, ALICE, ""),
        ("channel binding", "p=tls-unique,,", ALICE, ""),
        ("a second name", "n,,", ALICE, ",n=" + BOB),
        ("a mandatory extension", "n,,", "%s,m=x" % ALICE, ""),
        ("an empty name", "n,,", "", ""),
    ):
        answer = once(lab, peer, name, PASSWORD, "sha256", header, True, rest, how=scram)
        lab.tap.equal("%s: SCRAM with %s" % (peer.name, what), answer.code, 535, answer)
    answer = once(lab, peer, ALICE, PASSWORD, "sha256", "n,a=%s," % ALICE, how=scram)
    lab.tap.equal("%s: SCRAM acting for oneself" % peer.name, answer.code, 235, answer)
    lab.tap.equal("%s: Dovecot let in nobody else" % peer.name, [
        line for line in lab.dovecot.log.find(r"Login: user=", mark)
        if "user=<%s>" % ALICE not in line], [])  # fmt: skip


def mail(lab, peer):
    """Who was let in may send: the proof is in the store."""
    for mechanism in CHALLENGES + BEARERS:
        name = "%s.%s" % (peer.name, mechanism.lower())
        sender, to = name + "@example.test", "to-%s@other.example" % name
        with peer.connect(lab.world) as session:
            code = login(session, mechanism, ALICE, secret(mechanism, ALICE)).code
            stage, answer = session.deliver(sender, to)
        lab.tap.equal("%s: %s: mail" % (peer.name, mechanism), (code, stage, answer.code),
                      (235, "data", 250), answer)  # fmt: skip
        lab.tap.true("%s: %s: it is on its way" % (peer.name, mechanism), peer.accepted(to))
        row = lab.postern.decision(sender, stage="rcpt", verdict="permit")
        lab.tap.equal("%s: %s: postern's log of it" % (peer.name, mechanism),
                      [row.get(key) for key in ("login", "identity", "verdict", "reason")],
                      [ALICE, "verified", "permit", "authenticated"])  # fmt: skip


def swaks(lab, peer):
    for name, word, want in ((ALICE, PASSWORD, 235), (ALICE, "not it", 535),
                             (DISABLED, PASSWORD, 535)):  # fmt: skip
        smtp.presented.add((name, word))
        got = peer.swaks(lab.world, name, word, "CRAM-MD5")
        lab.tap.equal("%s: swaks, CRAM-MD5, %s" % (peer.name, name), got, want)


def cyrus_client(lab, peer):
    """Cyrus SASL's idea of these mechanisms: the last code that its client saw."""
    net, _, server = CLIENTS["outside4"]
    (program,) = (path for path in (ROOT + "/usr/bin/smtptest", ROOT + "/usr/lib/cyrus/bin/smtptest")
                  if os.path.exists(path))  # fmt: skip
    for mechanism in CHALLENGES:
        for name, acting_for, word, want in (
            (ALICE, ALICE, PASSWORD, "235"),
            (ALICE, ALICE, "not it", "535"),
            (DISABLED, DISABLED, PASSWORD, "535"),
            *([(ALICE, BOB, PASSWORD, "535")] if mechanism != "CRAM-MD5" else []),
        ):
            smtp.presented.add((name, word))
            done = subprocess.run(
                lab.world.hosts[net].command(
                    program, "-m", mechanism, "-u", acting_for, "-a", name, "-w", word,
                    "-t", "", "-p", str(peer.port), server),
                input="QUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=60, check=False)  # fmt: skip
            codes = re.findall(r"(?m)^S: (235|454|535)", done.stdout)
            lab.tap.equal("%s: smtptest, %s, %s for %s" % (peer.name, mechanism, name, acting_for),
                          codes[-1:], [want], done.stdout)  # fmt: skip


class Exim(mtas.Exim):
    """With what contrib's file has in comments, and under contrib's policy."""

    def __init__(self, like):
        super().__init__(like.world, like.variant, like.port["submission"])

    def spawn(self, *argv, **options):
        text = read(self.dir + "/exim.conf")
        offers = re.sub(r"(?m)^#(?=[A-Z0-9_]+:$|  \w+ = )", "", read(CONTRIB + "/exim/dovecot.conf"))
        for old, new in ((".include %s/exim/dovecot.conf\n" % CONTRIB, offers),
                         ("begin acl\n", "begin acl\n" + read(CONTRIB + "/exim/policy.conf")),
                         ("acl_smtp_rcpt = acl_rcpt\n",
                          "acl_smtp_mail = postern_mail\nacl_smtp_rcpt = postern_rcpt\n")):  # fmt: skip
            text = text.replace(old, new)
        write(self.dir + "/exim.conf", text)
        super().spawn(*argv, **options)


def exim(lab):
    """Exim advertises what it was told to; a mechanism's name is written
    otherwise there, and postern's policy must know it all the same."""
    begin(lab, extra=OPTIONS + delegation.SECTION % "Debian-exim")
    plain = lab.exims[0]
    plain.stop()
    mta = Exim(plain)
    mta.start()
    try:
        peer = peers.Peer(mta.name, mta, mta.port["submission"], 435, milter=False)
        offers(lab, peer)
        verdicts(lab, peer)
        mail(lab, peer)
    finally:
        mta.stop()
        plain.start()


def given_up(lab, peer):
    """Who breaks off is told so, and may try again at once."""
    for mechanism in CHALLENGES:
        with peer.connect(lab.world) as session:
            if mechanism == "CRAM-MD5":
                answer = session.command("AUTH CRAM-MD5")
            else:
                digest = "sha1" if mechanism.endswith("-1") else "sha256"
                answer = scram(session, ALICE, PASSWORD, digest, first_only=True)
            codes = [answer.code, session.command("*").code]
            codes.append(login(session, mechanism, ALICE).code)
        lab.tap.equal("%s: %s broken off, and again" % (peer.name, mechanism), codes,
                      [334, 501, 235])  # fmt: skip


def imap_gone(lab, peer):
    """A server that goes away in mid-exchange is no refusal."""
    with peer.connect(lab.world) as session:
        answer = session.command("AUTH CRAM-MD5")
        lab.dovecot.stop()
        digest = hmac.new(PASSWORD.encode(), base64.b64decode(answer.text), "md5").hexdigest()
        codes = [answer.code, session.command(b64("%s %s" % (ALICE, digest))).code]
    lab.tap.equal("%s: Dovecot stopped after its challenge" % peer.name, codes, [334, 454])
    lab.dovecot.start()
    wait_for("a login", lambda: once(lab, peer, "SCRAM-SHA-256", ALICE).code == 235)


def withdrawn(lab):
    """A mechanism that Dovecot does not offer any more is not offered."""
    path = "/etc/dovecot/dovecot.conf"
    write(path, read(path).replace(" cram-md5 scram-sha-1", ""))
    lab.dovecot.process.send_signal(signal.SIGHUP)
    peer = peers.all_of(lab)[0]

    def gone():
        peer.login(lab.world, ALICE, "a word in passing %d" % len(smtp.presented))
        return not {"CRAM-MD5", "SCRAM-SHA-1"} & set(mech_lines())

    wait_for("withdrawal", gone)
    lab.tap.equal("what is offered then", sorted(mech_lines()),
                  sorted(("PLAIN", "LOGIN", "SCRAM-SHA-256") + BEARERS))  # fmt: skip
    lab.dovecot.stop()
    lab.dovecot.start()


def by_user(lab, peer):
    """login_as = "user": the bare name is typed, and nothing else."""
    users = LAB + "/users"
    write(users, read(users) + "carol:{PLAIN}%s::::::\n" % PASSWORD)
    begin(lab, login_as="user")
    for mechanism in CHALLENGES + BEARERS:
        for name, want in (("carol", 235), ("carol@example.test", 535), (ALICE, 535)):
            answer = once(lab, peer, mechanism, name, secret(mechanism, name))
            lab.tap.equal("login_as = user: %s as %s" % (mechanism, name), answer.code, want, answer)
    row = lab.postern.auths("carol@example.test")
    lab.tap.true("login_as = user: her login is canonical", row)
