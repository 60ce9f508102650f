# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration itself; contrib/demo installs what it needs and starts it."""

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


# what is tried, client, listener, swaks options, recipient,
# the code the client is told, postern's reason ("": not asked)
AUTH = ["--auth", "PLAIN", "--auth-password", "sesame street", "--auth-user"]
ALICE = AUTH + ["alice@example.test"]
SUSPENDED = AUTH + ["disabled@example.test"]
TLS = ["--tls"]
WRAPPED = ["--tls-on-connect"]
NEAR, FAR = "bob@example.test", "someone@other.example"
ROUTED = "someone%other.example@example.test"
ROWS = (
    ("a printer inside, no TLS, no password",
     "inside4", "submission", [], FAR, 250, "internal-network"),
    ("the same over IPv6",
     "inside6", "submission", [], FAR, 250, "internal-network"),
    ("the NAT gateway inside, which speaks for others",
     "gateway4", "submission", [], FAR, 530, "external-without-tls"),
    ("a stranger outside, no TLS",
     "outside4", "submission", [], FAR, 530, "external-without-tls"),
    ("a stranger outside, over IPv6, in TLS",
     "outside6", "submission", TLS, FAR, 530, "external-without-auth"),
    ("a user outside with the right password, but in the clear",
     "outside4", "submission", ALICE, FAR, 530, "external-without-tls"),
    ("a user outside, STARTTLS and password",
     "outside4", "submission", TLS + ALICE, FAR, 250, "authenticated"),
    ("the same over IPv6, in TLS from the start (port 465)",
     "outside6", "submissions", WRAPPED + ALICE, FAR, 250, "authenticated"),
    ("a suspended account: Postfix accepts its password, IMAP says no",
     "outside4", "submission", TLS + SUSPENDED, FAR, 525, "identity-disabled"),
    ("a stranger to the public MX, for a local mailbox",
     "outside6", "smtp", [], NEAR, 250, "local-recipient"),
    ("a stranger to the public MX, for somewhere else",
     "outside4", "smtp", [], FAR, 550, "relay-denied"),
    ("a machine inside asks for a detour",
     "inside4", "submission", [], ROUTED, 550, "recipient-routed"),
)  # fmt: skip
AFTERWARDS = (
    ("postern killed: a stranger", "outside4", "submission", [], FAR, 451, ""),
    ("postern killed: a machine inside", "inside4", "submission", [], FAR, 451, ""),
)


class Demo:
    def __init__(self):
        import daemons
        import world

        self.clients, self.posternctl = world.CLIENTS, daemons.POSTERNCTL
        self.world = world.World()
        self.dovecot = daemons.Dovecot(self.world)
        self.postfix = daemons.Postfix(self.world)
        self.postern = daemons.Postern(self.world)
        self.config = daemons.CONFIG
        self.table = []
        self.failed = 0

    def start(self):
        say("starting Dovecot")
        self.dovecot.start()
        say("starting postern")
        self.postern.start()
        say("starting Postfix, its own relay lock taken away: each no is postern's")
        self.postfix.start(sasl_path=self.dovecot.auth_socket)

    def swaks(self, client, port, options, sender, recipient):
        """The last thing the server said that matters, as code and text."""
        net, source, server = self.clients[client]
        done = subprocess.run(
            self.world.hosts[net].command(
                "swaks", "--server", server, "--port", str(self.postfix.port[port]),
                "--local-interface", source, "--ehlo", "client.example.net",
                "--from", sender, "--to", recipient, "--timeout", "20", *options),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
        refused = re.findall(r"^<(?:\*\*|~\*) +(\d{3}[ -].*)$", done.stdout, re.M)
        passed = re.findall(r"^ [-~]> \.\n<[-~] +(\d{3} .*)$", done.stdout, re.M)
        answers = refused[:1] or passed[-1:] or ["000 swaks: " + done.stdout[-200:]]
        return int(answers[0][:3]), answers[0]

    def explain(self, client, port, options, sender, recipient):
        """What posternctl says about the same facts, by asking IMAP itself."""
        row = {"addr": self.clients[client][1], "listener": port,
               "from": "<%s>" % sender, "rcpt": ["<%s>" % recipient]}  # fmt: skip
        if options[:1] in (TLS, WRAPPED):
            row.update({"tls": "TLSv1.3", "bits": "256"})
        if "--auth-user" in options:
            row.update({"mech": "PLAIN", "login": options[-1]})
        done = subprocess.run(
            [self.posternctl, "-c", self.config, "explain", "--batch"],
            input=json.dumps(row) + "\n", capture_output=True, text=True, check=False)  # fmt: skip
        return json.loads(done.stdout or "{}")

    def attempt(self, number, what, client, port, options, recipient, code, reason):
        sender = "demo-%d@example.test" % number
        got, told = self.swaks(client, port, options, sender, recipient)
        why, agrees = "not asked", True
        if reason:
            row = self.postern.decision(sender, 2.0, reason=reason)
            said = self.explain(client, port, options, sender, recipient)
            agrees = row.get("reason") == said.get("reason") == reason
            agrees = agrees and said.get("code") == str(code)
            why = "%s (zone %s, tls %s, identity %s)" % tuple(
                row.get(key, "?") for key in ("reason", "zone", "tls", "identity"))  # fmt: skip
        good = got == code and agrees
        self.failed += not good
        self.table.append((what, told, why, "ok" if good else "NOT AS EXPECTED: %d %s"
                           % (code, reason)))  # fmt: skip
        say("%-60s %s %s" % (what, told[:3], "ok" if good else "NOT AS EXPECTED"))

    def play(self):
        number = 0
        for rows in (ROWS, AFTERWARDS):
            if rows is AFTERWARDS:
                say("killing postern")
                self.postern.kill()
            for row in rows:
                number += 1
                self.attempt(number, *row)
        self.check_deliveries()
        return 1 if self.failed else 0

    def check_deliveries(self):
        """Postfix's word for it: as many messages as were accepted, no more."""
        want = sum(row[5] == 250 for row in ROWS)
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
