# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts with Postfix and postern share a Redis: what one saw the other
believes. While Redis is silent or gone both decide on what they know alone."""

import ctypes
import multiprocessing
import operator
import os
import shutil
import signal
import time
import traceback

import sasl
import smtp
import world
from daemons import ALICE, BOB, CONFIG, GHOST, POSTERNCTL, Postern, Postfix
from imaps import STAFF
from process import Daemon
from world import CLIENTS, CLONE_NEWNET, LAB, PR_SET_PDEATHSIG, add_address, wait_for, write

CLONE_NEWNS = 0x00020000
FAR = "someone@other.example"
HERE, ELSEWHERE = "outside4", "198.51.100.7"
SECRET = "what only the hosts know"
LAN = ("10.79.0.1", "10.79.0.2")  # Redis and IMAP are at the first
THEIRS = {"in": "10.77.0.3", "out": "203.0.113.3"}
QUICK = 2.0  # s for an insider's whole session
EXTRA = """
guessing { delay = "0s" }
leases   { enabled = true  ttl = "10m" }
limits "few" { key = "login"  recipients = "40/1h"  action = "contain" }
contain  { rate = "2/1h" }
store    { url = "redis://%s:6379"  password_file = "/etc/postern/redis.secret" }
""" % LAN[0]


class Redis(Daemon):
    name = "redis"

    def start(self):
        conf = LAB + "/redis.conf"
        write(conf, "bind %s\nport 6379\nrequirepass \"%s\"\nsave \"\"\nappendonly no\n"
              "maxmemory-policy noeviction\ndir %s\n" % (LAN[0], SECRET, LAB), 0o600)  # fmt: skip
        self.spawn("redis-server", conf)

    def signal(self, number):
        self.process.send_signal(number)


class Site:
    """One of the hosts: its daemons, and what is done there."""

    def __init__(self, there, postfix, postern):
        self.world, self.postfix, self.postern = there, postfix, postern

    def do(self, name, *arguments, **options):
        return operator.attrgetter(name)(self)(*arguments, **options)

    def guard(self, verify, imap):
        write("/etc/postern/redis.secret", SECRET + "\n", 0o600, "postern")
        self.postern.start(sasl=True, verify=verify, extra=EXTRA, url="imaps://" + imap)

    def ctl(self, *words):
        return world.run(POSTERNCTL, "-c", CONFIG, *words)

    def store_lines(self, since=0):
        """What postern logged of the store."""
        return self.postern.log.find(r"redis://", since)


class There:
    """The world as the second host is seen in it."""

    def __init__(self, hosts):
        self.hosts = hosts

    def connect(self, client, port, seconds=20.0):
        net, source, _ = CLIENTS[client]
        sock = self.hosts[net].socket(2)
        sock.settimeout(seconds)
        try:
            sock.bind((source, 0))
            sock.connect((THEIRS[net], port))
        except OSError:
            sock.close()
            raise
        return sock


class Second:
    """The second host: a process in network and mount namespaces of its own, so
    that everything in it has the same paths; do() is done there."""

    def __init__(self, there):
        self.world = there
        self.channel, far_end = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            try:
                serve(there, far_end)
            finally:
                os._exit(0)
        far_end.close()
        self.answer()

    def answer(self):
        good, value = self.channel.recv()
        if not good:
            raise RuntimeError("on the second host: " + value)
        return value

    def do(self, name, *arguments, **options):
        self.channel.send((name, arguments, options))
        return self.answer()

    def end(self):
        self.channel.close()
        os.waitpid(self.pid, 0)


def serve(there, channel):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    site = Site(there, Postfix(there), Postern(there))
    channel.send((True, None))
    while True:
        try:
            name, arguments, options = channel.recv()
        except EOFError:
            return
        try:
            value = settle_in() if name == "settle_in" else site.do(name, *arguments, **options)
            channel.send((True, value))
        except Exception:
            channel.send((False, traceback.format_exc()))


def settle_in():
    """Files of its own at the usual paths; it finds IMAP at the first host."""
    own = "/run/second"
    shutil.copytree(LAB + "/tls", own + "/lab/tls")
    world.run("cp", "-a", "/etc", own + "/etc")
    world.run("mount", "--bind", own + "/lab", LAB)
    world.run("mount", "--bind", own + "/etc", "/etc")
    for path in ("/run/postern", "/run/saslauthd", "/var/spool/postfix", "/var/lib/postfix"):
        os.makedirs(path, exist_ok=True)
        world.run(*"mount -t tmpfs -o mode=0755 tmpfs".split(), path)
    write("/etc/hosts", "127.0.0.1 localhost\n%s mail.example.test\n" % LAN[0])
    world.run("ip", "link", "set", "lo", "up")
    for device, address in (("lan", LAN[1]), ("srv-in", THEIRS["in"]), ("srv-out", THEIRS["out"])):
        world.run("ip", "link", "set", device, "up")
        world.run(*add_address(address, device))
    world.run(*"ip route add 198.51.100.0/24 dev srv-out".split())
    sasl.start()


def make_links(lab, second):
    """The second host and the clients, which keep their addresses."""
    pid = str(second.pid)
    world.run(*"ip link add lan type veth peer name lan netns".split(), pid)
    world.run(*"ip link set lan up".split())
    world.run(*add_address(LAN[0], "lan"))
    for net, address in THEIRS.items():
        client = lab.world.hosts[net].command
        world.run(*client(*"ip link add second type veth peer name".split(), "srv-" + net, "netns", pid))
        world.run(*client(*"ip link set second up".split()))
        world.run(*client(*"ip route add".split(), address + "/32", "dev", "second"))


def run(lab):
    lab.postern.stop()
    lab.world.add_client(ELSEWHERE)
    lab.use(lab.postfix)
    redis = Redis(lab.world)
    one = Site(lab.world, lab.postfix, lab.postern)
    two = Second(There(lab.world.hosts))
    try:
        make_links(lab, two)
        two.do("settle_in")
        redis.start()
        two.do("postfix.start")
        one.do("guard", "session proxy", "localhost")
        two.do("guard", "session", "mail.example.test")
        proofs(lab, one, two)
        leases(lab, one, two)
        limits(lab, one, two)
        away(lab, one, two, redis, "silent")
        away(lab, one, two, redis, "gone")
    finally:
        two.do("postern.stop")
        two.do("postfix.stop")
        two.end()
        redis.end(signal.SIGKILL)
        lab.postern.stop()
        lab.postern.start()


def log_in(site, login, port="unproven", client=HERE):
    """AUTH, then a whole transaction: the reply that ends it. Of what Postfix
    lets in by itself postern has not seen the password."""
    number = 587 if port == "unproven" else Postfix.sasl_port["unix"]
    with smtp.connect(site.world, client, number, "starttls") as s:
        answer = s.auth_plain(login)
        return s.deliver(login, FAR)[1] if answer.code == 235 else answer


def send(site, client, sender=ALICE, tls="starttls"):
    """The same without AUTH."""
    with smtp.connect(site.world, client, 587, tls) as s:
        return s.deliver(sender, FAR)[1]


def decided(function, *arguments):
    """The first reply that is not "cannot tell": a machine under load may leave
    Redis without an answer for 50 ms."""
    replies = []

    def decide():
        replies.append(function(*arguments))
        return replies[-1].code not in (451, 454)

    try:
        wait_for("decision", decide, 10.0, 0.1)
    except TimeoutError:
        pass
    return replies[-1]


def check(lab, name, want, function, *arguments):
    reply = decided(function, *arguments)
    lab.tap.equal(name, reply.code, want, reply)


def proofs(lab, one, two):
    """A client that was proven at one host comes to the other."""
    check(lab, "proof: none yet", 421, log_in, two, ALICE)
    check(lab, "proof: a login at the first host", 250, log_in, one, ALICE, "postern")
    lab.tap.true("proof: posternctl lists it at the second", ALICE in two.do("ctl", "proof", "list"))
    check(lab, "proof: the second host believes it", 250, log_in, two, ALICE)
    row = two.do("postern.decision", ALICE, stage="rcpt", verdict="permit")
    lab.tap.equal("proof: as a login", [row.get(key) for key in ("login", "identity", "reason")],
                  [ALICE, "verified", "authenticated"], row)  # fmt: skip
    check(lab, "proof: not from elsewhere", 421, log_in, two, ALICE, "unproven", ELSEWHERE)
    check(lab, "proof: not for somebody else", 421, log_in, two, BOB)
    check(lab, "proof: nor for a ghost", 421, log_in, two, GHOST)
    check(lab, "proof: a login at the second host", 250, log_in, two, STAFF[0], "postern")
    lab.tap.true("proof: posternctl lists it at the first", STAFF[0] in one.do("ctl", "proof", "list"))


def leases(lab, one, two):
    for name, giver, other, client in (("first", one, two, "198.51.100.21"),
                                       ("second", two, one, "198.51.100.22")):  # fmt: skip
        lab.world.add_client(client)
        words = "--user", ALICE, "--addr", client
        name = "lease from the %s host" % name
        check(lab, name + ": none yet", 530, send, other, client)
        giver.do("ctl", "lease", "add", *words)
        check(lab, name + ": opens the other", 250, send, other, client)
        row = other.do("postern.decision", ALICE, client=client, stage="rcpt", verdict="permit")
        lab.tap.equal(name + ": by a lease", row.get("reason"), "lease", row)
        check(lab, name + ": not from next door", 530, send, other, ELSEWHERE)
        check(lab, name + ": not for another sender", 530, send, other, client, BOB)
        check(lab, name + ": not in the clear", 530, send, other, client, ALICE, None)


def burst(site, login, most):
    """A message to so many; how many passed, and the reply that ended it."""
    with smtp.connect(site.world, HERE, 587, "starttls") as s:
        replies = [s.auth_plain(login), s.mail(login)]
        while replies[-1] and len(replies) < most + 2:
            replies.append(s.rcpt("far-%d@other.example" % len(replies)))
        if [reply for reply in replies[2:] if reply]:
            s.message(login, FAR)
    return len([reply for reply in replies[2:] if reply]), replies[-1]


def limits(lab, one, two):
    """Both count together, and a login slowed on one is slowed on the other."""
    login = STAFF[1]
    check(lab, "limit: one recipient at the first host", 250, log_in, one, login, "postern")
    passed, reply = burst(one, login, 19)
    lab.tap.equal("limit: nineteen more", (passed, reply.code), (19, 250), reply)
    passed, reply = burst(two, login, 40)
    # what Redis leaves without an answer for 50 ms is not counted
    lab.tap.equal("limit: the second host lets twenty more pass (%d)" % passed,
                  (20 <= passed <= 25, reply.code), (True, 450), reply)  # fmt: skip
    for site in (one, two):
        lab.tap.true("limit: slowed on both hosts", slowed(site, login), site.do("ctl", "status"))
    passed, reply = burst(one, login, 10)
    lab.tap.equal("limit: slowed on the first host, too", (passed <= 5, reply.code), (True, 450), reply)
    passed, reply = burst(two, login, 10)
    lab.tap.equal("limit: and what passed there counts at the second", (passed <= 3, reply.code),
                  (True, 450), reply)  # fmt: skip
    two.do("ctl", "release", login)
    passed, reply = burst(one, login, 10)
    lab.tap.equal("limit: released on the second host, free on the first", (passed, reply.code),
                  (10, 250), reply)  # fmt: skip


def slowed(site, login):
    return [line for line in site.do("ctl", "status").splitlines() if login in line and "slowed" in line]


def away(lab, one, two, redis, how):
    client = "198.51.100.23"
    lab.world.add_client(client)
    for site in (one, two):
        check(lab, how + ": a proof before", 250, log_in, site, ALICE, "postern")
    one.do("ctl", "lease", "add", "--user", ALICE, "--addr", client)
    check(lab, how + ": a lease before", 250, send, two, client)
    marks = [(site, site.do("postern.log.mark")) for site in (one, two)]
    if how == "silent":
        redis.signal(signal.SIGSTOP)
    else:
        redis.end(signal.SIGKILL)
    for site, name in ((one, "first"), (two, "second")):
        undecided(lab, site, "%s, %s host" % (how, name), client)
    reply = log_in(one, ALICE)
    lab.tap.equal(how + ": the first host asks IMAP by proxy", reply.code, 250, reply)
    reply = log_in(one, GHOST)
    lab.tap.equal(how + ": and hears of a ghost", reply.code, 550, reply)
    passed, reply = burst(one, STAFF[2], 45)
    lab.tap.equal(how + ": limits do not bind", (passed, reply.code), (45, 250), reply)
    reply = log_in(two, ALICE)
    lab.tap.equal(how + ": the second has nobody to ask", reply.code, 454, reply)
    for site, mark in marks:
        check_lines(lab, how + ": one line in the log", site, mark, ["alarm"])
    if how == "silent":
        redis.signal(signal.SIGCONT)
    else:
        redis.start()
        check(lab, how + ": a login to be remembered", 250, come_back, one, two)
    check(lab, how + ": a proof after", 250, log_in, two, ALICE)
    if how == "silent":
        check(lab, how + ": a lease after", 250, send, two, client)
    else:
        check(lab, how + ": what Redis lost is no lease", 530, send, two, client)
    for site, mark in marks:
        wait_for("quiet", lambda s=site, m=mark: len(s.do("store_lines", m)) >= 2)
        check_lines(lab, how + ": one more when it is back", site, mark, ["alarm", "info"])


def come_back(one, two):
    """Proves a login at the first host until the second host knows of it."""
    log_in(one, ALICE, "postern")
    return log_in(two, ALICE)


def undecided(lab, site, name, client):
    times = []
    for _ in range(3):
        began = time.monotonic()
        reply = send(site, "inside4", tls=None)
        times.append(time.monotonic() - began)
        lab.tap.equal(name + ": an insider passes", reply.code, 250, reply)
    lab.tap.true(name + ": and quickly (%.2f s)" % max(times), max(times) < QUICK)
    reply = send(site, client)
    row = site.do("postern.decision", ALICE, client=client, verdict="tempfail")
    lab.tap.equal(name + ": nobody knows of leases", (reply.code, row.get("reason")),
                  (451, "lease-undecided"), reply)  # fmt: skip
    reply = send(site, client, "")
    lab.tap.equal(name + ": but that nobody has none", reply.code, 530, reply)


def check_lines(lab, name, site, since, want):
    """Loud when Redis goes, plain when it comes."""
    lines = site.do("store_lines", since)
    lab.tap.equal(name, [line.partition(":")[0] for line in lines], want, *lines)
