# SPDX-License-Identifier: BSD-2-Clause
"""IMAP-before-SMTP: a real login at Dovecot, told in each of contrib's ways,
opens the gate at a real Postfix: for this address, this user, and for a while."""

import re
import shutil

import delegation
import smtp
from daemons import ALICE, BOB, CONFIG, POSTERNCTL
from process import banner
import world
from world import CONTRIB, PASSWORD, read, wait_for, write

SECRET = "Open-sesame.7"
SCRIPT = "/etc/postern/lease-script"
FAR = "someone@other.example"
ADMIN = "admin:{PLAIN}master::::::\n"  # another master user
HOME = "198.51.100.7"
HOME6, NEIGHBOUR6 = "2001:db8:5::7", "2001:db8:5::8"
GATE = """
leases     { enabled = true  ttl = "%s"  except = {"192.0.2.0/24"} }
http       { listen = "127.0.0.1:8025"  secret_file = "/etc/postern/lease.secret" }
delegation { listen = "unix:/run/postern/policy"  socket_group = "%s" }
"""


def ways():
    """contrib's three, as Dovecot reads them."""
    parts = re.split(r"^# (?=\d\. )", read(CONTRIB + "/dovecot/leases.conf"), flags=re.M)[1:]
    texts = [re.sub(r"(?m)^#(?! \S)", "", part.partition("\n")[2]) for part in parts]
    names = ("event exporter", "auth_policy", "script")
    return {name: text.replace("SECRET", SECRET).replace("NONCE", "salt")
            .replace("/usr/local/libexec/postern/lease", SCRIPT)
            for name, text in zip(names, texts, strict=True)}  # fmt: skip


def run_gate(lab, ttl="10m", group="postfix"):
    write("/etc/postern/lease.secret", SECRET + "\n", 0o600, "postern")
    lab.postern.stop()
    lab.postern.forget()
    lab.postern.start(extra=GATE % (ttl, group))


def set_up_postfix(lab):
    """Both of contrib's files; the later of two lines counts."""
    lab.use(lab.postfix, wide_open=False)
    main = read("/etc/postfix/main.cf")
    write("/etc/postfix/main.cf", main + read(CONTRIB + "/postfix/leases.cf"))
    world.run("postfix", "reload")
    wait_for("Postfix's banner", lambda: banner(lab.world, 587, "220 "))


def log_in(lab, address, login=ALICE, password=PASSWORD, port=993):
    """At IMAP, in TLS, from this address; what the server said of it."""
    sock = lab.world.connect(lab.world.add_client(address), port)
    with smtp.client_context().wrap_socket(sock, server_hostname="mail.example.test") as tls:
        file = tls.makefile("rb")
        file.readline()
        tls.sendall(('a LOGIN "%s" "%s"\r\n' % (login, password)).encode())
        while True:
            line = file.readline()
            if not line or line.startswith(b"a "):
                tls.sendall(b"b LOGOUT\r\n")
                return line.decode()


def send(lab, address, sender=ALICE, recipient=FAR, port=587, tls="starttls"):
    """The end of a mail without AUTH: code and text."""
    with smtp.connect(lab.world, lab.world.add_client(address), port, tls) as s:
        stage, reply = s.deliver(sender, recipient)
    return reply


def leases():
    lines = world.run(POSTERNCTL, "-c", CONFIG, "lease", "list").splitlines()
    return [line.split("\t") for line in lines if "\t" in line]


def holds(address, login=ALICE):
    return any(row[:2] == [address, login] for row in leases())


def logged(lab, address):
    """What the milter logs of a mail that a lease let pass."""
    row = lab.postern.decision(ALICE, client=address, stage="rcpt", listener="submission", verdict="permit")
    return row.get("login"), row.get("identity"), row.get("reason")


def by(lab, name, text, number):
    """Each way has addresses of its own, for leases outlast it."""
    home, next_door = "198.51.100.%d" % number, "198.51.100.%d" % (number + 1)
    lab.dovecot.stop()
    lab.dovecot.start(more=text, masters=ADMIN)
    if name != "auth_policy":  # which does not say so
        master = log_in(lab, next_door, ALICE + "*admin", "master")
        lab.tap.true(name + ": a master user's login", master.startswith("a OK"), master)
    lab.tap.equal(name + ": nothing before the login", send(lab, home).code, 530)
    wrong = log_in(lab, home, password="wrong")
    lab.tap.true(name + ": a wrong password", wrong.startswith("a NO"), wrong)
    right = log_in(lab, home)
    lab.tap.true(name + ": the right one", right.startswith("a OK"), right)
    try:
        wait_for("lease", lambda: holds(home))
    except TimeoutError:
        lab.tap.fail(name + ": a login gives a lease", leases())
        return
    lab.tap.equal(name + ": one lease", [row[:2] for row in leases() if row[0] == home], [[home, ALICE]])
    reply = wait_for("mail", lambda: opened(lab, home))
    lab.tap.true(name + ": Postfix relays for her", reply, reply)
    lab.tap.equal(name + ": by a lease", logged(lab, home), (ALICE, "-", "lease"))
    lab.tap.equal(name + ": not from next door", send(lab, next_door).code, 530)
    lab.tap.equal(name + ": not for another sender", send(lab, home, BOB).code, 530)
    lab.tap.equal(name + ": not for nobody", send(lab, home, "").code, 530)
    lab.tap.equal(name + ": not in the clear", send(lab, home, tls=None).code, 530)
    lab.tap.equal(name + ": the public MX relays for nobody", send(lab, home, port=25).code // 100, 5)


def opened(lab, address):
    """The daemon sees what another process wrote within a second."""
    reply = send(lab, address)
    return reply if reply.code == 250 else None


def not_for(lab):
    """With the event exporter: who logs in and gets none."""
    for what, address, login, password in (
            ("an exception", "192.0.2.9", ALICE, PASSWORD),
            ("an internal client", "inside4", ALICE, PASSWORD),
            ("a gateway", "gateway4", ALICE, PASSWORD),
            ("a master user", "198.51.100.90", ALICE + "*admin", "master"),
    ):  # fmt: skip
        answer = log_in(lab, address, login, password)
        lab.tap.true("no lease for %s: the login" % what, answer.startswith("a OK"), answer)
    log_in(lab, "198.51.100.92")  # and when this one is there, so would they be
    wait_for("lease", lambda: holds("198.51.100.92"))
    others = [row[0] for row in leases() if row[0] in (
        "192.0.2.9", "10.77.0.2", "10.77.0.254", "198.51.100.90", "127.0.0.1", "::1")]  # fmt: skip
    lab.tap.equal("no lease for any of them", others, [])
    lab.tap.equal("no lease for a gateway: its mail", send(lab, "gateway4").code, 530)


def over_ipv6(lab):
    log_in(lab, HOME6)
    wait_for("lease", lambda: holds(HOME6))
    lab.tap.true("IPv6: from this address", wait_for("mail", lambda: opened(lab, HOME6)))
    lab.tap.equal("IPv6: not from the next one", send(lab, NEIGHBOUR6).code, 530)


def clock(lab):
    run_gate(lab, ttl="3s")
    log_in(lab, HOME)
    wait_for("mail", lambda: opened(lab, HOME))
    wait_for("end of the lease", lambda: send(lab, HOME).code == 530)
    lab.tap.true("the clock closes the gate", True)
    lab.tap.equal("and posternctl says so", [row for row in leases() if row[0] == HOME], [])


def log_reader(lab):
    """Dovecot's own log, as it writes it."""
    lab.dovecot.stop()
    lab.dovecot.start()
    mark = lab.dovecot.log.mark()
    log_in(lab, "198.51.100.60")
    line = lab.dovecot.log.wait(r"-login: .*: user=<.*rip=198\.51\.100\.60", mark)[0]
    world.run(POSTERNCTL, "-c", CONFIG, "lease", "follow", "-", input=line + "\n")
    lab.tap.true("a line of Dovecot's log gives a lease", holds("198.51.100.60"), line)


def cyrus_log_reader(lab):
    """What Cyrus says to syslog, with the host name that a syslogd puts in."""
    lab.cyrus.start()
    try:
        mark = lab.cyrus.log.mark()
        log_in(lab, "198.51.100.61", "alice", port=2993)
        line = lab.cyrus.log.wait(r"login: .*\[198\.51\.100\.61\].*User logged in", mark)[0]
        line = re.sub(r"^<\d+>(.{15} )", r"\1mail ", line)
        world.run(POSTERNCTL, "-c", CONFIG, "lease", "follow", "-", input=line + "\n")
        held = holds("198.51.100.61", "alice")  # no auth.realm here
        lab.tap.true("a line of Cyrus's log gives a lease", held, line)
    finally:
        lab.cyrus.stop()


def everything(lab):
    texts = ways()
    shutil.copy(CONTRIB + "/dovecot/lease", SCRIPT)
    write(SCRIPT, read(SCRIPT).replace("posternctl lease", "%s -c %s lease" % (POSTERNCTL, CONFIG)), 0o755)
    run_gate(lab)
    set_up_postfix(lab)
    for number, (name, text) in enumerate(texts.items()):
        by(lab, name, text, 10 + 10 * number)
    log_reader(lab)
    cyrus_log_reader(lab)
    lab.dovecot.stop()
    lab.dovecot.start(more=texts["event exporter"], masters=ADMIN)
    not_for(lab)
    over_ipv6(lab)
    clock(lab)
    exim(lab)


def exim(lab):
    """Relays for lease holders only, by what contrib says of them."""
    text = read(CONTRIB + "/exim/policy.conf")
    holder = re.search(r"^# +(accept +condition += .*action=OK.*)$", text, re.M)[1]
    guard = "  accept domains = example.test\n  %s\n  deny message = relay not permitted\n" % holder
    run_gate(lab, group="Debian-exim")
    mta = lab.use(delegation.Exim(lab.world), guard=guard)
    try:
        log_in(lab, HOME)
        reply = wait_for("mail", lambda: opened(lab, HOME))
        lab.tap.true("exim: relays for the holder", reply, reply)
        lab.tap.equal("exim: not for another sender", send(lab, HOME, BOB).code, 530)
        lab.tap.equal("exim: not from elsewhere", send(lab, "198.51.100.95").code, 530)
        lab.tap.equal("exim: nor for who has no lease and no objection", send(lab, "inside4").code, 550)
    finally:
        mta.stop()
        lab.mta, lab.mta_options = None, {}


def restore(lab):
    for daemon in (lab.postern, lab.dovecot):
        daemon.stop()
    lab.dovecot.start()
    lab.postern.start()
    # main.cf is to be as it was
    lab.postfix.stop()
    lab.mta = None
    lab.use(lab.postfix)


def run(lab):
    try:
        everything(lab)
    finally:
        restore(lab)
