# SPDX-License-Identifier: BSD-2-Clause
"""The daemons of the world: Dovecot, Postfix, sendmail and postern.

Each is configured from the fragment that contrib/ has for it, read as it
stands, plus what only a test wants.
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import sasl
from world import BUILD, CONTRIB, DEBS, HOSTNAME, LAB, PASSWORD, TOP
from world import packages, read, run, wait_for, write

sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import milter  # noqa: E402

SOCKET = "/run/postern/milter.sock"
CONFIG = "/etc/postern/postern.conf"
POSTERN = os.path.join(BUILD, "milter/postern")
POSTERNCTL = os.path.join(BUILD, "ctl/posternctl")
PROXY_PASSWORD = "proxy secret"

# login -> what Dovecot knows of it
ALICE = "alice@example.test"
DISABLED = "disabled@example.test"
GHOST = "ghost@example.test"  # the MTA accepts it, IMAP has never heard of it
ACCOUNTS = {ALICE: "", DISABLED: "nologin=y reason=Account_suspended"}


class Log:
    """A growing log file. Marks are line numbers."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.rest = b""
        self.lines = []

    def read(self):
        if not os.path.exists(self.path):
            return self.lines
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        self.offset += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += [line.decode("utf-8", "backslashreplace") for line in lines]
        return self.lines

    def mark(self):
        return len(self.read())

    def find(self, pattern, since=0):
        return [line for line in self.read()[since:] if re.search(pattern, line)]

    def wait(self, pattern, since=0, seconds=10.0):
        what = "line like %s in %s" % (pattern, self.path)
        return wait_for(what, lambda: self.find(pattern, since), seconds)


class Daemon:
    """A process in the foreground, its output in a file."""

    name = "daemon"

    def __init__(self, world):
        self.world = world
        self.process = None
        self.out = LAB + "/" + self.name + ".out"

    def spawn(self, *argv, **options):
        with open(self.out, "ab") as out:
            self.process = subprocess.Popen(
                argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options
            )

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, what, condition, seconds=20.0):
        def ready():
            if not self.running():
                raise RuntimeError("%s ended: %s" % (self.name, read(self.out)))
            return condition()

        wait_for(self.name + ": " + what, ready, seconds)

    def end(self, number=signal.SIGTERM, seconds=15.0):
        if self.running():
            self.process.send_signal(number)
            self.process.wait(seconds)
        self.process = None


def banner(world, port, pattern, client="inside4"):
    """Does the server answer on the port, and as expected?"""
    try:
        with world.connect(client, port, seconds=5.0) as sock:
            return re.match(pattern, sock.recv(512).decode("latin1"))
    except OSError:
        return None


class Dovecot(Daemon):
    name = "dovecot"
    auth_socket = "/run/dovecot/auth-client"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(LAB + "/dovecot.log")

    def start(self, certificate="server"):
        mail = LAB + "/mail"
        os.makedirs(mail, exist_ok=True)
        shutil.chown(mail, "nobody", "nogroup")
        users = ("%s:{PLAIN}%s::::::%s\n" % (name, PASSWORD, extra)
                 for name, extra in ACCOUNTS.items())  # fmt: skip
        write(LAB + "/users", "".join(users))
        write("/etc/dovecot/postern.masters",
              "postern:{PLAIN}%s::::::allow_nets=127.0.0.0/8,::1\n" % PROXY_PASSWORD, 0o640, group="dovecot")  # fmt: skip
        fragment = "/etc/dovecot/conf.d/05-postern.conf"
        write(fragment, read(CONTRIB + "/dovecot/postern.conf"))
        write("/etc/dovecot/dovecot.conf", DOVECOT_CONF.format(
            fragment=fragment, lab=LAB, mail=mail,
            certificate=LAB + "/tls/" + certificate))  # fmt: skip
        self.spawn("dovecot", "-F", "-c", "/etc/dovecot/dovecot.conf")
        self.wait_ready("a greeting", lambda: banner(self.world, 143, r"\* OK"))

    def stop(self):
        self.end()

    def children(self):
        """The master process and everything below it."""
        tree = {}
        for status in glob.glob("/proc/[0-9]*/stat"):
            text = read(status)
            if text:
                pid, rest = int(text.split()[0]), text.rpartition(")")[2].split()
                tree.setdefault(int(rest[1]), []).append(pid)
        found, todo = [], [self.process.pid]
        while todo:
            found.append(todo.pop())
            todo += tree.get(found[-1], [])
        return found

    def signal_all(self, number):
        for pid in self.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


DOVECOT_CONF = """!include {fragment}
base_dir = /run/dovecot
state_dir = {lab}/dovecot-state
log_path = {lab}/dovecot.log
protocols = imap
listen = *, ::
mail_location = maildir:{mail}/%u
first_valid_uid = 1
ssl = yes
ssl_cert = <{certificate}.crt
ssl_key = <{certificate}.key
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = username_format=%u {lab}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {lab}/users
  default_fields = uid=65534 gid=65534 home={mail}/%u
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
"""


class Postfix:
    """Started by master(8) in the background; the log says LOCAL or RELAYED."""

    name = "postfix"
    port = {"smtp": 25, "submission": 587, "submissions": 465}

    def __init__(self, world):
        self.world = world
        self.log = Log(LAB + "/postfix.log")
        self.up = False

    def configure(self, wide_open=True, sasl_path=sasl.DOVECOT):
        """wide_open takes Postfix's own relay lock away, and lets people log in
        everywhere and in the clear: what then holds is postern."""
        write("/etc/postfix/main.cf", read(CONTRIB + "/postfix/main.cf")
              + POSTFIX_MAIN.format(lab=LAB, hostname=HOSTNAME, sasl=sasl_path))  # fmt: skip
        write("/etc/postfix/master.cf",
              read(CONTRIB + "/postfix/master.cf") + POSTFIX_MASTER)  # fmt: skip
        if wide_open:
            run("postconf", "-e",
                "smtpd_relay_restrictions = check_client_access static:OK, reject",
                "smtpd_recipient_restrictions =", "smtpd_tls_auth_only = no",
                "smtpd_sasl_auth_enable = yes")  # fmt: skip

    def start(self, **options):
        self.configure(**options)
        shutil.chown("/var/lib/postfix", "postfix")
        run("postfix", "start")
        self.up = True
        for port in (25, 587):
            wait_for("Postfix's banner", lambda p=port: banner(self.world, p, "220 "))

    def stop(self):
        if self.up:
            run("postfix", "stop")
            self.up = False

    def destination(self, recipient, seconds=0.0):
        """"LOCAL", "RELAYED", or None when nothing went to this address."""
        pattern = r" (LOCAL|RELAYED)/discard.* to=<%s>.*status=sent" % re.escape(recipient)
        try:
            line = self.log.wait(pattern, seconds=seconds)[0]
        except TimeoutError:
            return None
        return re.search(pattern, line).group(1)

    def delivered(self, since=0):
        """Every recipient anything was delivered for, in whatever way."""
        lines = self.log.find(r"/discard\[.*status=sent", since)
        return {re.search(r" to=<([^>]*)>", line).group(1) for line in lines}

    def settle(self):
        """Waits until the queue is empty."""
        wait_for("empty queue", lambda: "empty" in run("postqueue", "-p"), step=0.1)


POSTFIX_MAIN = """
compatibility_level = 3.6
maillog_file = {lab}/postfix.log
maillog_file_prefixes = {lab}
myhostname = {hostname}
myorigin = example.test
mydestination = example.test
alias_maps =
alias_database =
local_recipient_maps =
local_transport = locdisc
default_transport = reldisc
relay_transport = reldisc
inet_interfaces = all
inet_protocols = all
disable_dns_lookups = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_tls_cert_file = {lab}/tls/server.crt
smtpd_tls_key_file = {lab}/tls/server.key
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
"""

POSTFIX_MASTER = """
10587     inet  n  -  n  -  -  smtpd
  -o syslog_name=postfix/haproxy
  -o milter_macro_daemon_name=submission
  -o smtpd_upstream_proxy_protocol=haproxy
11587     inet  n  -  n  -  -  smtpd
  -o syslog_name=postfix/xclient
  -o milter_macro_daemon_name=submission
  -o smtpd_authorized_xclient_hosts=10.77.0.2,203.0.113.2
13587     inet  n  -  n  -  -  smtpd
  -o syslog_name=postfix/unguarded
  -o smtpd_milters=
postlog   unix-dgram n - n - 1 postlogd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
proxymap  unix - - n - - proxymap
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
locdisc   unix - - n - - discard
  -o syslog_name=LOCAL
reldisc   unix - - n - - discard
  -o syslog_name=RELAYED
"""


class Sendmail(Daemon):
    """Unpacked from its packages; accepted mail stays in the queue."""

    name = "sendmail"
    port = {"smtp": 25, "submission": 587, "submissions": 465}
    listener = {"smtp": "MTA", "submission": "MSA", "submissions": "MSAS"}
    root = LAB + "/root"
    queue = LAB + "/mqueue"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(LAB + "/syslog")

    def unpack(self):
        for name in packages("unpack"):
            (deb,) = glob.glob("%s/%s_*.deb" % (DEBS, name))
            run("dpkg", "-x", deb, self.root)

    def start(self, wide_open=True, milter=True):
        if not os.path.isdir(self.root):
            self.unpack()
        shutil.rmtree(self.queue, ignore_errors=True)
        os.makedirs(self.queue, mode=0o700)
        write(LAB + "/service.switch", "hosts files\naliases files\npasswd files\n")
        write("/etc/sasl2/Sendmail.conf",
              "pwcheck_method: saslauthd\nsaslauthd_path: %s\nmech_list: PLAIN LOGIN\n"
              % sasl.MUX)  # fmt: skip
        cf = self.root + "/usr/share/sendmail/cf"
        write(LAB + "/sendmail.mc", SENDMAIL_MC.format(
            cf=cf, lab=LAB, hostname=HOSTNAME, queue=self.queue,
            fragment=CONTRIB + "/sendmail/postern.mc",
            overrides=(SENDMAIL_WIDE_OPEN if wide_open else "")
            + ("" if milter else SENDMAIL_UNGUARDED),
        ))  # fmt: skip
        with open(LAB + "/sendmail.cf", "w", encoding="utf-8") as out:
            # standard error has a warning of the promiscuous relay
            subprocess.run(["m4", "-D_CF_DIR_=%s/" % cf, LAB + "/sendmail.mc"],
                           stdout=out, stderr=subprocess.DEVNULL, check=True)  # fmt: skip
        libraries = glob.glob(self.root + "/usr/lib/*-linux-gnu*")
        libraries += glob.glob(self.root + "/lib/*-linux-gnu*")
        self.spawn("env", "LD_LIBRARY_PATH=" + ":".join(libraries),
                   self.root + "/usr/libexec/sendmail/sendmail", "-bD",
                   "-C" + LAB + "/sendmail.cf")  # fmt: skip
        for client in ("inside4", "outside6"):
            for port in (25, 587):
                self.wait_ready("a banner", lambda c=client, p=port: banner(
                    self.world, p, "220 ", c))  # fmt: skip

    def stop(self):
        self.end()

    def queued(self):
        """recipient as it would go out -> sender, from the queue files."""
        found = {}
        for path in glob.glob(self.queue + "/qf*"):
            lines = read(path).splitlines()
            sender = [line[1:].strip("<>") for line in lines if line[:1] == "S"]
            for line in lines:
                if line[:1] == "R":
                    found[line.partition(":")[2].strip("<>")] = sender[0]
        return found


SENDMAIL_MC = """divert(0)dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME',`{hostname}')dnl
define(`confLOG_LEVEL',`14')dnl
define(`confPID_FILE',`{lab}/sendmail.pid')dnl
define(`QUEUE_DIR',`{queue}')dnl
define(`ALIAS_FILE',`')dnl
define(`STATUS_FILE',`')dnl
define(`HELP_FILE',`')dnl
define(`confDELIVERY_MODE',`q')dnl
define(`confTO_IDENT',`0')dnl
define(`confSERVICE_SWITCH_FILE',`{lab}/service.switch')dnl
define(`confSERVER_CERT',`{lab}/tls/server.crt')dnl
define(`confSERVER_KEY',`{lab}/tls/server.key')dnl
define(`confCACERT_PATH',`{lab}/tls')dnl
define(`confCACERT',`{lab}/tls/ca.crt')dnl
define(`confDEF_USER_ID',`mail:mail')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
LOCAL_DOMAIN(`example.test')dnl
include(`{fragment}')dnl
{overrides}MAILER(`local')dnl
MAILER(`smtp')dnl
"""

# No relay lock, and logins in the clear: what then holds is postern.
SENDMAIL_WIDE_OPEN = """FEATURE(`promiscuous_relay')dnl
define(`confAUTH_OPTIONS', `A')dnl
"""

SENDMAIL_UNGUARDED = "define(`confINPUT_MAIL_FILTERS', `')dnl\n"


class Postern(Daemon):
    name = "postern"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(self.out)
        self.trouble = []

    def configure(self, internal=None, mode="enforce", extra=""):
        write("/etc/postern/imap.secret", PROXY_PASSWORD + "\n", 0o600, "postern")
        os.makedirs(LAB + "/state", exist_ok=True)
        shutil.chown(LAB + "/state", "postern", "postern")
        networks = ", ".join('"%s"' % net for net in internal or INTERNAL)
        write(CONFIG, POSTERN_CONF.format(
            socket=SOCKET, lab=LAB, internal=networks, mode=mode, extra=extra))  # fmt: skip

    def start(self, **options):
        self.configure(**options)
        self.launch()
        self.wait_identity()

    def launch(self, wrapper=(), **environment):
        """Starts it with the configuration that is there. The umask is that of
        the systemd unit; the socket's mode must not depend on it."""
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        shutil.chown(os.path.dirname(SOCKET), "postern", "postern")
        self.spawn(*wrapper, POSTERN, "-f", "-c", CONFIG, umask=0o077,
                   env={**os.environ, **environment})  # fmt: skip
        self.wait_ready("a verdict", lambda: self.answers() is not None)

    def answers(self, login=None):
        """What postern says, asked past the MTA, to an outsider's MAIL: None
        when it cannot be asked."""
        try:
            with milter.Session("unix:" + SOCKET) as session:
                session.greet("203.0.113.9", tls=True, login=login)
                return session.mail("<ready@example.test>").verdict
        except OSError:
            return None

    def wait_identity(self):
        """Logins are undecided until IMAP has answered the self-test."""
        self.wait_ready("IMAP's yes", lambda: self.answers(ALICE) == "permit")

    def stop(self):
        self.end()

    def kill(self):
        self.end(signal.SIGKILL)

    def reload(self, pattern, **options):
        """SIGUSR1, then waits for the line that says how it went."""
        self.configure(**options)
        mark = self.log.mark()
        self.process.send_signal(signal.SIGUSR1)
        return self.log.wait(pattern, mark)

    def decisions(self, sender, since=0):
        """The log lines about this sender, as dictionaries."""
        lines = self.log.find(re.escape("from=<%s>" % sender), since)
        return [parse_line(line) for line in lines]

    def decision(self, sender, seconds=5.0, **want):
        """The first line about this sender with these values; when there is
        none in time, the last line there is."""

        def found():
            return [row for row in self.decisions(sender)
                    if all(row.get(key) == value for key, value in want.items())]  # fmt: skip

        try:
            return wait_for("decision", found, seconds)[0]
        except TimeoutError:
            return (self.decisions(sender) or [{}])[-1]


INTERNAL = ["127.0.0.0/8", "::1", "10.77.0.0/24", "fd00:77::/64", "!10.77.0.254"]

POSTERN_CONF = """listen        = "unix:{socket}"
socket_mode   = "0660"
socket_group  = "postfix"
user          = "postern"
state_dir     = "{lab}/state"
log           = "stderr"
mode          = "{mode}"
internal      = {{{internal}}}
local_domains = {{"example.test"}}

listener "submission"  {{ role = "submission" }}
listener "submissions" {{ role = "submission" }}
listener "smtp"        {{ role = "mx" }}
listener "MSA"         {{ role = "submission" }}
listener "MSAS"        {{ role = "submission" }}
listener "MTA"         {{ role = "mx" }}

imap "main" {{
    url        = "imaps://localhost"
    ca_file    = "{lab}/tls/ca.crt"
    login_as   = "address"
    verify     = {{"proxy"}}
    proxy_user = "postern"
    proxy_password_file = "/etc/postern/imap.secret"
}}
{extra}
"""


def parse_line(line):
    """A decision's key=value pairs, escapes undone."""
    pairs = re.findall(r'([a-z]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {key: re.sub(r"\\(.)", r"\1", value.strip('"')) for key, value in pairs}
