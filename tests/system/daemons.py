# SPDX-License-Identifier: BSD-2-Clause
"""The daemons of the world, and postern itself.

Each is configured from the fragment that contrib/ has for it, read as it
stands, plus what only a test wants.
"""

import os
import re
import shutil
import signal
import sys

from imaps import ALICE, BOB, DISABLED, GHOST, PROXY_PASSWORD, Cyrus, Dovecot
from mtas import Exim, Postfix, Sendmail
from process import Daemon, Log
from world import BUILD, LAB, TOP, wait_for, write

sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import milter  # noqa: E402

# one name for all of them
__all__ = ["ALICE", "BOB", "DISABLED", "GHOST", "Cyrus", "Dovecot", "Exim", "Postern",
           "Postfix", "Sendmail"]  # fmt: skip

SOCKET = "/run/postern/milter.sock"
CONFIG = "/etc/postern/postern.conf"
POSTERN = os.path.join(BUILD, "milter/postern")
POSTERNCTL = os.path.join(BUILD, "ctl/posternctl")


class Postern(Daemon):
    name = "postern"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(self.out)
        self.trouble = []

    def configure(self, internal=None, mode="enforce", extra="", verify="proxy",
                  imap="", url="imaps://localhost", login_as="address", sasl=False):  # fmt: skip
        """imap: more lines for its section; sasl: with the doors for passwords,
        and a text is more lines for the section "mta"."""
        write("/etc/postern/imap.secret", PROXY_PASSWORD + "\n", 0o600, "postern")
        os.makedirs(LAB + "/state", exist_ok=True)
        shutil.chown(LAB + "/state", "postern", "postern")
        if sasl:
            make_mux_directory()
        write(CONFIG, POSTERN_CONF.format(
            socket=SOCKET, lab=LAB, internal=words(internal or INTERNAL), mode=mode,
            verify=words(verify.split()), imap=imap, url=url, login_as=login_as,
            extra=extra + (SASL_CONF % ("" if sasl is True else sasl) if sasl else "")))  # fmt: skip

    def start(self, **options):
        self.configure(**options)
        self.launch()
        if "proxy" in options.get("verify", "proxy"):
            self.wait_identity()

    def launch(self, wrapper=(), **environment):
        """Starts it with the configuration that is there. The umask is that of
        the systemd unit; the socket's mode must not depend on it."""
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        shutil.chown(os.path.dirname(SOCKET), "postern", "postern")
        self.spawn(*wrapper, POSTERN, "-f", "-c", CONFIG, umask=0o077,
                   env={**os.environ, **environment})  # fmt: skip
        self.wait_ready("a verdict", lambda: self.answers() is not None)

    def answers(self, login=None, address="203.0.113.9"):
        """What postern says, asked past the MTA, to an outsider's MAIL: None
        when it cannot be asked."""
        try:
            with milter.Session("unix:" + SOCKET) as session:
                session.greet(address, tls=True, login=login)
                return session.mail("<ready@example.test>").verdict
        except OSError:
            return None

    def wait_identity(self):
        """Logins are undecided until IMAP has answered the self-test."""
        self.wait_ready("IMAP's yes", lambda: self.answers(ALICE) == "permit")

    def forget(self):
        """Empties its state directory, while it is stopped."""
        shutil.rmtree(LAB + "/state", ignore_errors=True)

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

    def auths(self, login, since=0):
        """The log lines about attempts at this login."""
        lines = self.log.find(r"\bstage=auth\b", since)
        return [row for row in map(parse_line, lines) if row.get("login") == login]

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
limits "none" {{}}  # a matrix has more to send than people

listener "submission"  {{ role = "submission" }}
listener "submissions" {{ role = "submission" }}
listener "smtp"        {{ role = "mx" }}
listener "MSA"         {{ role = "submission" }}
listener "MSAS"        {{ role = "submission" }}
listener "MTA"         {{ role = "mx" }}

imap "main" {{
    url        = "{url}"
    ca_file    = "{lab}/tls/ca.crt"
    login_as   = "{login_as}"
    verify     = {{{verify}}}
    proxy_user = "postern"
    proxy_password_file = "/etc/postern/imap.secret"
    {imap}
}}
{extra}
"""


# The sockets that contrib's files for the MTAs name.
SASL_CONF = """
sasl "mta"      { protocol = "dovecot"    listen = "unix:/run/postern/sasl"  %s }
sasl "tcp"      { protocol = "dovecot"    listen = "inet:12345@127.0.0.1" }
sasl "exim"     { protocol = "dovecot"    listen = "unix:/run/postern/exim"
                  socket_group = "Debian-exim" }
sasl "mux"      { protocol = "saslauthd"  listen = "unix:/run/postern/mux"  proof = "login" }
sasl "exim-mux" { protocol = "saslauthd"  listen = "unix:/run/saslauthd/mux"  proof = "login"
                  socket_group = "sasl" }
"""


def words(texts):
    return ", ".join('"%s"' % text for text in texts)


def make_mux_directory():
    """As sasl2-bin makes it, but postern's: only the group comes near."""
    directory = "/run/saslauthd"
    os.makedirs(directory, exist_ok=True)
    shutil.chown(directory, "postern", "sasl")
    os.chmod(directory, 0o710)


def parse_line(line):
    """A decision's key=value pairs, escapes undone."""
    pairs = re.findall(r'([a-z]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {key: re.sub(r"\\(.)", r"\1", value.strip('"')) for key, value in pairs}
