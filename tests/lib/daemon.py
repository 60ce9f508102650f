# SPDX-License-Identifier: BSD-2-Clause
"""The real daemon in a directory of its own, for the tests of tests/protocol.

Nothing here sleeps: the start waits for READY=1 on NOTIFY_SOCKET, the log is
read by a thread that wakes whoever waits for a line, ends are seen by pidfd.
Processes are ended by pid, directories removed, at the end of the `with`.
Every wait has a deadline; a daemon that outlives SIGTERM is killed and counts
as a failure, whatever the test itself looks at.
"""

import json
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import fake_imap
import milter

BUILD = os.environ.get("POSTERN_BUILD") or os.environ.get("top_builddir") or "."
TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
POSTERN = os.path.join(os.path.abspath(BUILD), "milter", "postern")
POSTERNCTL = os.path.join(os.path.abspath(BUILD), "ctl", "posternctl")
DEADLINE = 20.0  # seconds; far above anything that a healthy daemon needs
overdue = []  # what had to be killed: Report.end() makes failures of it

KEYS = ["id", "queue", "client", "zone", "listener", "tls", "mech", "login",
        "identity", "from", "rcpt", "stage", "verdict", "reason", "reply", "ms"]

SETTINGS = """\
listen = "unix:{dir}/milter.sock"
socket_mode = "{socket_mode}"
socket_group = ""
user = "{user}"
state_dir = "{dir}/state"
log = "stderr"
log_format = "{log_format}"
mode = "{mode}"
"""

POLICY = """\
internal = {internal}
local_domains = {{"example.org"}}
listener "submission" {{ role = "submission" }}
listener "smtp" {{ role = "mx" }}
tls {{ min_version = "TLSv1.2"   min_bits = 128 }}
auth {{
  mechanisms = {{"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256",
    "OAUTHBEARER", "XOAUTH2", "EXTERNAL", "GSSAPI"}}
  realm = "example.org"
  internal = "check"
}}
senders {{
  check = "envelope"
  action = "reject"
  map = "{dir}/senders"
  own = {{"%u@%d"}}
}}
recipients {{ routed = "reject" }}
"""

IMAP = """\
imap "main" {{
  url = "{url}"
  ca_file = "{ca_file}"
  domains = {{"*"}}
  login_as = "address"
  verify = {{"proxy"}}
  proxy_user = "postern"
  proxy_password_file = "{dir}/imap.secret"
  mailbox_check = "{mailbox_check}"
  timeout = "{timeout}"
}}
identity {{ wait = "{wait}"   waiters = {waiters} }}
"""

INTERNAL = ('{"127.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24", "fd00::/8", '
            '"2001:db8:1::/48", "!10.0.0.1", "!fd00::1"}')


class Report:
    """Results as the Test Anything Protocol has them."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, text, *why):
        self.count += 1
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ", self.count, text))
        if not good:
            for line in "\n".join(map(str, why)).splitlines():
                print("#   " + line)
        sys.stdout.flush()
        return good

    def equal(self, got, want, text, *why):
        return self.ok(got == want, text, "got  %r" % (got,),
                       "want %r" % (want,), *why)

    def note(self, text):
        print("# " + str(text))

    def end(self):
        """The exit code."""
        for what in overdue:
            self.ok(False, what)
        print("1..%d" % self.count)
        return 1 if self.failed or self.count == 0 else 0


def skip(why):
    print("1..0 # SKIP " + why)
    sys.exit(77)


def closed_port():
    """A TCP port of the loopback where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=DEADLINE):
    """For what no event tells: the file system, another process's memory.
    Yields the processor between looks."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited %g s for %s" % (seconds, what))
        select.select([], [], [], 0.005)


def parse_line(line):
    """A decision's log line as [(key, value)], or None for other lines."""
    if not line.startswith("id="):
        return None
    pairs = []
    for m in re.finditer(r'([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))(?: |$)', line):
        value = m.group(3)
        if value is None:
            value = re.sub(
                r'\\(?:x([0-9A-F]{2})|(.))',
                lambda e: chr(int(e.group(1), 16)) if e.group(1)
                else e.group(2), m.group(2))
        pairs.append((m.group(1), value))
    return pairs


class Log:
    """Lines as they come out of the daemon; kept in a file as well."""

    def __init__(self, path):
        self.path, self.lines, self.ended = path, [], False
        self.changed = threading.Condition()

    def follow(self, stream):
        with open(self.path, "ab", buffering=0) as copy:
            for raw in iter(stream.readline, b""):
                copy.write(raw)
                with self.changed:
                    self.lines.append(
                        raw.decode("utf-8", "backslashreplace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def mark(self):
        with self.changed:
            return len(self.lines)

    def wait(self, test, since=0, seconds=DEADLINE):
        """The first line for which test (a regex or a function) holds."""
        if isinstance(test, str):
            pattern = re.compile(test)
            test = pattern.search
        end = time.monotonic() + seconds
        with self.changed:
            at = since
            while True:
                while at < len(self.lines):
                    if test(self.lines[at]):
                        return self.lines[at]
                    at += 1
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    return None
                self.changed.wait(left)

    def decision(self, id_, since=0):
        """The key/value pairs of the decision with this id."""
        line = self.wait(r'^id=%s |"id":"%s"' % (id_, id_), since)
        if line is None:
            return None
        if line.startswith("{"):
            return list(json.loads(line).items())
        return parse_line(line)


class Postern:
    """One daemon. Settings: see the templates; `more` is text at the end."""

    log_to_file = False  # True: nobody reads along, Log stays empty

    def __init__(self, imap=None, policy=POLICY, more="", directory=None,
                 **settings):
        self.own_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="postern.")
        self.file = os.path.join(self.dir, "postern.conf")
        self.socket_path = os.path.join(self.dir, "milter.sock")
        self.where = "unix:" + self.socket_path
        self.process = None
        self.pass_fds = ()
        self.without_stdio = False  # True: descriptors 0, 1, 2 are closed
        self.notices = []
        self.values = {
            "dir": self.dir, "user": pwd.getpwuid(os.geteuid()).pw_name,
            "socket_mode": "0600", "log_format": "text", "mode": "enforce",
            "internal": INTERNAL, "timeout": "1s", "wait": "4s",
            "waiters": "16", "mailbox_check": "no",
            "ca_file": os.path.join(self.dir, "none.pem"),
        }
        self.values.update(settings)
        self.template = SETTINGS + policy
        if imap is None:  # nobody listens: every identity is undecided
            imap = "imaps://localhost:%d" % closed_port()
        if "ca_file" not in settings:
            self.write_ca()
        self.values["url"] = imap
        self.template += IMAP
        self.more = more
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        self.write("imap.secret", "posternpw\n", 0o600)
        self.write("senders", "sales@example.org  alice@example.org\n")
        self.configure()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and self.process is not None:
            for line in self.log.lines[-15:]:
                print("# log: " + line)
        self.kill()
        if self.own_dir and not os.environ.get("POSTERN_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- files ------------------------------------------------------------

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def write_ca(self):
        """Some CA that signed nothing."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=nobody", "-keyout", os.devnull, "-out",
             self.values["ca_file"]], check=True, capture_output=True,
            timeout=DEADLINE)

    def configure(self, **settings):
        self.values.update(settings)
        self.write("postern.conf",
                   self.template.format(**self.values) + self.more)

    # -- life -------------------------------------------------------------

    def command(self, *args):
        """For other runs of the program: -t, -V, a second instance."""
        return subprocess.run(self.argv(*args), capture_output=True,
                              text=True, timeout=DEADLINE, check=False)

    def argv(self, *args):
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
        return (shell if self.without_stdio else []) + shlex.split(
            os.environ.get("POSTERN_WRAP", "")) + [POSTERN, *args]

    def spawn(self):
        path = os.path.join(self.dir, "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.notices = []
        self.process = subprocess.Popen(
            self.argv("-c", self.file, "-f"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log_file() if self.log_to_file else subprocess.PIPE,
            pass_fds=self.pass_fds,
            env=dict(os.environ, NOTIFY_SOCKET=path))
        self.pidfd = os.pidfd_open(self.process.pid)
        self.log = Log(os.path.join(self.dir, "log"))
        self.reader = threading.Thread(
            target=self.log.follow if self.process.stderr else int,
            args=(self.process.stderr,) if self.process.stderr else (),
            daemon=True)
        self.reader.start()
        return self

    def log_file(self):
        return open(os.path.join(self.dir, "log"), "ab")

    def start(self):
        self.spawn()
        if not self.wait_notice("READY=1"):
            self.process.wait(DEADLINE)
            self.reader.join(DEADLINE)
            raise RuntimeError("the daemon did not start (exit %s):\n%s" % (
                self.process.returncode, "\n".join(self.log.lines)))
        return self

    def wait_notice(self, text, since=0, seconds=DEADLINE):
        """Waits for a line on NOTIFY_SOCKET; False: the daemon ended."""
        end = time.monotonic() + seconds
        while text not in self.notices[since:]:
            ready = select.select([self.notify, self.pidfd], [], [],
                                  max(0, end - time.monotonic()))[0]
            if self.notify in ready:
                self.notices += self.notify.recv(4096).decode().splitlines()
            elif ready:
                return False
            else:
                raise TimeoutError("no %s within %g s" % (text, seconds))
        return True

    def wait_exit(self, seconds=DEADLINE):
        """The exit code, or None after the deadline."""
        if not select.select([self.pidfd], [], [], seconds)[0]:
            return None
        return self.process.wait(DEADLINE)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=DEADLINE):
        """SIGTERM: the exit code, or None when only SIGKILL ended it."""
        self.signal(signal.SIGTERM)
        code = self.wait_exit(seconds)
        if code is None:
            overdue.append("SIGTERM had not ended process %d after %g s"
                           % (self.process.pid, seconds))
            self.process.kill()
            self.wait_exit()
        return code

    def all_lines(self):
        """The whole log of a daemon that has ended."""
        self.reader.join(DEADLINE)
        return self.log.lines

    def kill(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        if self.wait_exit() is None:
            overdue.append("SIGKILL did not end process %d" % self.process.pid)
        self.reader.join(DEADLINE)
        # a sanitizer's exit status is lost with SIGKILL
        overdue.extend(line for line in self.log.lines
                       if "Sanitizer" in line or "runtime error:" in line)
        # close() would wait for a reader that somebody's copy keeps waiting
        if self.process.stderr and not self.reader.is_alive():
            self.process.stderr.close()
        os.close(self.pidfd)
        self.notify.close()
        self.process = None

    def reload(self):
        """SIGUSR1, and the end of it on NOTIFY_SOCKET."""
        since = len(self.notices)
        self.signal(signal.SIGUSR1)
        if not self.wait_notice("RELOADING=1", since):
            return False
        return self.wait_notice(
            "READY=1", self.notices.index("RELOADING=1", since))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # -- sessions ---------------------------------------------------------

    def session(self, **how):
        return milter.Session(self.where, **how)

    def wire(self):
        return milter.Wire(self.where)

    def good_session(self):
        """An insider sends one message: the reply that ended it."""
        with self.session() as s:
            for r in (s.greet("10.1.2.3"), s.mail("<alice@example.org>"),
                      s.rcpt("<bob@remote.example>"), s.message()):
                if r.kind != "continue":
                    return r
            s.quit()
            return r

    def outsider(self, **how):
        """An outsider without a login tries to relay: MAIL's reply."""
        with self.session(**how) as s:
            s.greet("203.0.113.9")
            r = s.mail("<alice@example.org>")
            if r.kind == "continue":
                r = s.rcpt("<bob@remote.example>")
            s.quit()
            return r

    def still_guards(self, report, after):
        """After whatever happened: insiders served, outsiders refused."""
        inside, outside = self.good_session(), self.outsider()
        return report.ok(
            self.alive() and inside.kind == "continue" and
            outside.code == "530", "still guards after " + after,
            "alive   %s" % self.alive(), "inside  %s" % inside,
            "outside %s, want 530" % outside)


    def identities_ready(self, login="alice"):
        """Waits until IMAP has been asked and has answered about the login."""
        def answered():
            with self.session() as s:
                s.greet("203.0.113.250", tls=True, login=login)
                r = s.mail("<%s@example.org>" % login)
                s.quit()
                return r.code != "454"
        wait_until(answered, "an answer about " + login)


class Imap:
    """A scripted IMAP server: alice and bob live, carol is disabled, nobody
    else exists. `script` may be exchanged while it runs."""

    def __init__(self, certificate="server", **steps):
        self.dir = tempfile.mkdtemp(prefix="postern-imap.")
        subprocess.run([os.path.join(TOP, "tests", "lib", "certs.sh"),
                        self.dir], check=True, stdout=subprocess.DEVNULL,
                       timeout=2 * DEADLINE)
        self.ca_file = os.path.join(self.dir, "ca.crt")
        self.server = fake_imap.Server(
            os.path.join(self.dir, certificate + ".crt"),
            os.path.join(self.dir, certificate + ".key"), self.script(**steps))
        self.url = "imaps://localhost:%d" % self.server.port

    @staticmethod
    def script(**steps):
        ok = steps.pop("login", b"TAG OK logged in\r\n")
        return fake_imap.Script(accounts={
            "alice@example.org": ok,
            "bob@example.org": ok,
            "carol@example.org": b"TAG NO [CONTACTADMIN] disabled\r\n",
        }, **steps)

    def say(self, **steps):
        """New connections follow the new script."""
        self.server.script = self.script(**steps)

    @property
    def asked(self):
        """The accounts that were asked about, in order."""
        return [log["authzid"] for log in list(self.server.logs)
                if log["authzid"]]

    def __enter__(self):
        return self

    def close(self):
        """Hangs up on everybody and listens no more."""
        if self.server is not None:
            self.server.close()
        self.server = None

    def __exit__(self, *_):
        self.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def serve(report, clients):
    """Runs functions at once, each on a thread of its own; their results."""
    results = [None] * len(clients)

    def run(i):
        try:
            results[i] = clients[i]()
        except Exception as e:  # a result like any other, to be reported
            results[i] = e

    threads = [threading.Thread(target=run, args=(i,), daemon=True)
               for i in range(len(clients))]
    for t in threads:
        t.start()
    end = time.monotonic() + 2 * DEADLINE
    for t in threads:
        t.join(max(0, end - time.monotonic()))
    hanging = sum(t.is_alive() for t in threads)
    if hanging:
        report.ok(False, "%d clients still hang" % hanging)
    return results
