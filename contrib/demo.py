# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration itself; contrib/demo installs what it needs and starts it."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import typing

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# starting again in the private world does not start the clock again
began = float(os.environ.setdefault("POSTERN_DEMO_BEGAN", str(time.monotonic())))


def say(text):
    print("[%5.1f s] %s" % (time.monotonic() - began, text), flush=True)


def call(*argv, **options):
    """Runs a command whose output may be seen; ends the demo if it fails."""
    say("$ " + " ".join(argv))
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, start_new_session=True, **options
    ) as process:
        try:
            status = process.wait()
        except BaseException:  # interrupted: nothing may go on writing
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status != 0:
        sys.exit("contrib/demo: %s: exit %d" % (argv[0], status))


def build(directory):
    """A copy of the source, so that autoreconf writes nothing into ours."""
    source, target = directory + "/source", directory + "/build"
    say("building in " + directory)
    shutil.copytree(TOP, source, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", "autom4te.cache", "config.status", "*.o", "*.a"))  # fmt: skip
    os.mkdir(target)
    call("autoreconf", "-fi", cwd=source)
    call(source + "/configure", "--quiet", cwd=target)
    jobs = "-j%d" % (os.cpu_count() or 1)
    call("make", jobs, "milter/postern", "ctl/posternctl", cwd=target)
    return target


class Row(typing.NamedTuple):
    what: str
    client: str
    listener: str
    options: list  # of swaks
    recipient: str
    code: int  # that the client is told
    reason: str  # postern's; "": it is not asked


def auth(user, password="sesame street", tls="--tls"):
    return [tls, "--auth", "PLAIN", "--auth-password", password, "--auth-user", user]


# The password of every account but those two: a wrong one, and one that only a
# file of the MTA's own knows.
WRONG, FORGOTTEN = "open sesame", "last year's password"
ALICE, BOB = "alice@example.test", "bob@example.test"
SUSPENDED, GHOST = "disabled@example.test", "ghost@example.test"
NEAR, FAR = BOB, "someone@other.example"
ROUTED = "someone%other.example@example.test"
GUESSER = "198.51.100.66"
GUESSES = 20  # what guessing.per_address is, unless configured
TLS = ["--tls"]

BY_ADDRESS = (
    Row("a printer inside, no TLS, no password",
        "inside4", "submission", [], FAR, 250, "internal-network"),
    Row("the same over IPv6",
        "inside6", "submission", [], FAR, 250, "internal-network"),
    Row("the NAT gateway inside, which speaks for others",
        "gateway4", "submission", [], FAR, 530, "external-without-tls"),
    Row("a stranger outside, no TLS",
        "outside4", "submission", [], FAR, 530, "external-without-tls"),
    Row("a stranger outside, over IPv6, in TLS",
        "outside6", "submission", TLS, FAR, 530, "external-without-auth"),
    Row("a stranger to the public MX, for a local mailbox",
        "outside6", "smtp", [], NEAR, 250, "local-recipient"),
    Row("a stranger to the public MX, for somewhere else",
        "outside4", "smtp", [], FAR, 550, "relay-denied"),
    Row("a machine inside asks for a detour",
        "inside4", "submission", [], ROUTED, 550, "recipient-routed"),
)  # fmt: skip
BY_LOGIN = (
    Row("a user outside: STARTTLS, the right password",
        "outside4", "submission", auth(ALICE), FAR, 250, "authenticated"),
    Row("the same over IPv6, in TLS from the start (port 465)",
        "outside6", "submissions", auth(ALICE, tls="--tls-on-connect"), FAR, 250, "authenticated"),
    Row("a wrong password",
        "outside4", "submission", auth(ALICE, WRONG), FAR, 535, "identity-refused"),
    Row("the right password of a suspended account",
        "outside4", "submission", auth(SUSPENDED), FAR, 535, "identity-disabled"),
    Row("the right password, but in the clear",
        "outside4", "submission", auth(ALICE)[1:], FAR, 535, "login-without-tls"),
    Row("a password that only an old sasldb of the MTA knows, at a listener that asks it",
        "outside4", "forgotten", auth(BOB, FORGOTTEN), FAR, 421, "session-unproven"),
)  # fmt: skip
GUESSED = (
    Row("%d wrong passwords from one address, then a right one" % GUESSES,
        GUESSER, "submission", auth(ALICE), FAR, 535, "guessing"),
    Row("the guesser without a login, to the public MX",
        GUESSER, "smtp", [], NEAR, 421, "guessing"),
    Row("meanwhile alice, from where she always is",
        "outside4", "submission", auth(ALICE), FAR, 250, "authenticated"),
)  # fmt: skip
WITHOUT_IMAP = (
    Row("IMAP stopped: a user who has not been here",
        "outside4", "submission", auth(BOB), FAR, 454, "identity-undecided"),
    Row("IMAP stopped: one who was, a moment ago",
        "outside4", "submission", auth(ALICE), FAR, 250, "authenticated"),
    Row("IMAP stopped: a machine inside",
        "inside4", "submission", [], FAR, 250, "internal-network"),
)  # fmt: skip
WITH_PROXY = (
    Row("that sasldb again: IMAP has an account of this name",
        "outside4", "forgotten", auth(BOB, FORGOTTEN), FAR, 250, "authenticated"),
    Row("that sasldb again: the account is suspended",
        "outside4", "forgotten", auth(SUSPENDED, FORGOTTEN), FAR, 525, "identity-disabled"),
    Row("that sasldb again: IMAP has never heard of it",
        "outside4", "forgotten", auth(GHOST, FORGOTTEN), FAR, 550, "identity-refused"),
)  # fmt: skip
WITHOUT_POSTERN = (
    Row("postern killed: a user with the right password",
        "outside4", "submission", auth(ALICE), FAR, 454, ""),
    Row("postern killed: a stranger", "outside4", "submission", [], FAR, 451, ""),
    Row("postern killed: a machine inside", "inside4", "submission", [], FAR, 451, ""),
)


# What posternctl login calls them. The other reasons for a no at AUTH depend on
# the client, and only the daemon knows them.
PASSWORDS = {"identity-refused": "refused", "identity-disabled": "disabled",
             "identity-undecided": "undecided"}  # fmt: skip


class Demo:
    def __init__(self):
        import daemons
        import mtas
        import smtp
        import world

        self.smtp, self.wait_for = smtp, world.wait_for
        self.clients, self.posternctl = world.CLIENTS, daemons.POSTERNCTL
        self.world = world.World()
        self.world.add_client(GUESSER)
        self.dovecot = daemons.Dovecot(self.world)
        self.postfix = daemons.Postfix(self.world)
        self.postern = daemons.Postern(self.world)
        self.config = daemons.CONFIG
        self.ports = {**self.postfix.port, "forgotten": self.postfix.sasl_port["forgotten"]}
        for login in (BOB, SUSPENDED, GHOST):
            mtas.forget_password(login, FORGOTTEN)
        self.rows = []
        self.table = []
        self.failed = 0

    def start(self):
        say("starting Dovecot, the IMAP server")
        self.dovecot.start()
        say('starting postern: milter, and SASL server; verify = {"session"}')
        self.postern.start(sasl=True, verify="session")
        say("starting Postfix, its own relay lock taken away: each no is postern's")
        self.postfix.start(sasl_path="/run/postern/sasl")

    def swaks(self, row, sender):
        """The last thing the server said that matters, as code and text."""
        net, source, server = self.clients[row.client]
        done = subprocess.run(
            self.world.hosts[net].command(
                "swaks", "--server", server, "--port", str(self.ports[row.listener]),
                "--local-interface", source, "--ehlo", "client.example.net",
                "--from", sender, "--to", row.recipient, "--timeout", "20", *row.options),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
        refused = re.findall(r"^<(?:\*\*|~\*) +(\d{3}[ -].*)$", done.stdout, re.M)
        passed = re.findall(r"^ [-~]> \.\n<[-~] +(\d{3} .*)$", done.stdout, re.M)
        answers = refused[:1] or passed[-1:] or ["000 swaks: " + done.stdout[-200:]]
        return int(answers[0][:3]), answers[0]

    def ask_ctl(self, command, text):
        done = subprocess.run([self.posternctl, "-c", self.config, *command],
                              input=text, capture_output=True, text=True, check=False)  # fmt: skip
        return done.stdout

    def explain(self, row, sender):
        """What posternctl says about the same facts, as (code, reason): it looks
        at the session proofs and asks IMAP itself."""
        facts = {"addr": self.clients[row.client][1], "from": "<%s>" % sender,
                 "listener": "submission" if row.listener == "forgotten" else row.listener,
                 "rcpt": ["<%s>" % row.recipient]}  # fmt: skip
        if row.options[:1] in (["--tls"], ["--tls-on-connect"]):
            facts.update({"tls": "TLSv1.3", "bits": "256"})
        if "--auth-user" in row.options:
            facts.update({"mech": "PLAIN", "login": row.options[-1]})
        said = json.loads(self.ask_ctl(["explain", "--batch"], json.dumps(facts) + "\n") or "{}")
        return said.get("code"), said.get("reason")

    def try_login(self, row):
        """What posternctl makes of the same login and password."""
        password = row.options[row.options.index("--auth-password") + 1]
        command = ["login", "--addr", self.clients[row.client][1], row.options[-1]]
        found = re.search(r"^password +(\w+)$", self.ask_ctl(command, password + "\n"), re.M)
        return found and found.group(1)

    def decided(self, row, sender, mark):
        """postern's log line with this reason, about the sender, or about the
        login if that was the end; one in the clear is not even looked at."""

        def find():
            found = (self.postern.auths(row.options[-1], mark) + self.postern.auths("-", mark)
                     if row.code in (454, 535) else self.postern.decisions(sender, mark))  # fmt: skip
            return [line for line in found if line.get("reason") == row.reason]

        try:
            return self.wait_for("decision", find, 2.0)[0]
        except TimeoutError:
            return {}

    def second_opinion(self, row, sender):
        """Does posternctl agree? What only the daemon knows, it cannot tell."""
        if row.reason in ("guessing", "login-without-tls"):
            return True
        if row.code in (454, 535):
            return self.try_login(row) == PASSWORDS[row.reason]
        want = str(row.code), row.reason
        try:  # a proof is in the file within a second
            return self.wait_for("agreement", lambda: self.explain(row, sender) == want, 2.0)
        except TimeoutError:
            return False

    def attempt(self, row):
        self.rows.append(row)
        sender = "demo-%d@example.test" % len(self.rows)
        mark = self.postern.log.mark()
        code, told = self.swaks(row, sender)
        why, good = "not asked", code == row.code
        if row.reason:
            line = self.decided(row, sender, mark)
            good = good and bool(line) and self.second_opinion(row, sender)
            why = "%s (at %s; zone %s, tls %s, identity %s)" % tuple(
                line.get(key, "?") for key in ("reason", "stage", "zone", "tls", "identity"))  # fmt: skip
        self.failed += not good
        self.table.append((row.what, told, why, "ok" if good else "NOT AS EXPECTED: %d %s"
                           % (row.code, row.reason)))  # fmt: skip
        say("%-60s %s %s" % (row.what, told[:3], "ok" if good else "NOT AS EXPECTED"))

    def guess(self):
        """All at once, each in a session of its own; each answer is late."""

        def one(number):
            with self.smtp.connect(self.world, GUESSER, self.ports["submission"], "starttls") as s:
                return s.auth_plain(ALICE, "guess %d" % number).code

        with concurrent.futures.ThreadPoolExecutor(max_workers=GUESSES) as pool:
            codes = list(pool.map(one, range(GUESSES)))
        if codes != [535] * GUESSES:
            self.failed += 1
            say("NOT AS EXPECTED: the guesses got %s" % codes)

    def ask_by_proxy(self):
        self.dovecot.start()
        self.postern.reload(r"reload", sasl=True, verify="session proxy")
        self.postern.wait_identity()

    def play(self):
        for rows, text, begin in (
            (BY_ADDRESS, "by address", None),
            (BY_LOGIN, "by login: Postfix asks postern, postern asks IMAP", None),
            (GUESSED, "%d wrong passwords from one address" % GUESSES, self.guess),
            (WITHOUT_IMAP, "stopping Dovecot", self.dovecot.stop),
            (WITH_PROXY, 'starting Dovecot again; reloading postern with verify = {"session", "proxy"}',
             self.ask_by_proxy),
            (WITHOUT_POSTERN, "killing postern", self.postern.kill),
        ):
            say(text)
            if begin is not None:
                begin()
            for row in rows:
                self.attempt(row)
        self.check_deliveries()
        return 1 if self.failed else 0

    def check_deliveries(self):
        """Postfix's word for it: as many messages as were accepted, no more."""
        want = sum(row.code == 250 for row in self.rows)
        self.postfix.settle()
        got = len(self.postfix.log.find(r"/discard\[.*status=sent"))
        say("Postfix delivered %d messages; %d were to pass" % (got, want))
        self.failed += got != want

    def print_table(self):
        widths = (34, 40, 40)
        print()
        rows = [("what was tried", "what the client was told", "why postern decided so", "")]
        for row in rows + self.table:
            cells = [textwrap.wrap(text, width) for text, width in zip(row, widths)]
            for line in range(max(len(cell) for cell in cells)):
                parts = [(cell[line] if line < len(cell) else "").ljust(width)
                         for cell, width in zip(cells, widths)]  # fmt: skip
                print(" | ".join(parts + [row[3] if line == 0 else ""]).rstrip(" "))
            print("-+-".join("-" * width for width in widths) + "-+---")
        good = sum(row[3] == "ok" for row in self.table)
        print("%d of %d rows as expected" % (good, len(self.table)))


def stop(number, _frame):
    sys.exit(128 + number)


def prepare():
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    directory = tempfile.mkdtemp(prefix="postern-demo-")
    try:
        if "POSTERN_BUILD" not in os.environ:
            os.chmod(directory, 0o755)
            os.environ["POSTERN_BUILD"] = build(directory)
        enter()
    finally:
        shutil.rmtree(directory)


def enter():
    sys.path.insert(0, TOP + "/tests/system")
    sys.dont_write_bytecode = True
    import world

    world.enter()


def main():
    if "POSTERN_WORLD" in os.environ:
        enter()
    else:
        prepare()  # does not come back
    demo = Demo()
    demo.start()
    status = demo.play()
    demo.print_table()
    return status


if __name__ == "__main__":
    outside = "POSTERN_WORLD" not in os.environ
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        if outside:  # the one inside was interrupted as well
            print("contrib/demo: interrupted", file=sys.stderr)
        sys.exit(130)
