# SPDX-License-Identifier: BSD-2-Clause
"""The MTAs: Postfix as Debian has it; sendmail and Exim unpacked."""

import glob
import os
import re
import shutil
import subprocess

import sasl
from process import Daemon, Log, banner
from world import CONTRIB, HOSTNAME, LAB, ROOT
from world import read, run, unpack, wait_for, write


FORGOTTEN = LAB + "/forgotten.sasldb"

# the password file that somebody forgot
SASLDB = """pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {path}
mech_list: PLAIN LOGIN
"""


def forget_password(login, password):
    """Leaves a login and its password in the file that nobody remembers."""
    user, _, realm = login.partition("@")
    run("saslpasswd2", "-p", "-c", "-f", FORGOTTEN, "-u", realm, user, input=password)
    os.chmod(FORGOTTEN, 0o644)


def uncommented(fragment):
    """The options that stand in comments, as {name: value}, one for each block
    of such lines."""
    blocks = re.split(r"^(?!#[a-z_0-9]+ = )", fragment, flags=re.M)
    found = (dict(re.findall(r"^#([a-z_0-9]+) = (.*)$", block, re.M)) for block in blocks)
    return [options for options in found if options]


def pids_of(name):
    """The processes of this name in our world."""
    return {path.split("/")[2] for path in glob.glob("/proc/[0-9]*/comm")
            if read(path).rstrip("\n") == name}  # fmt: skip


class Postfix:
    """Started by master(8) in the background; the log says LOCAL or RELAYED."""

    name = "postfix"
    port = {"smtp": 25, "submission": 587, "submissions": 465}
    # contrib's SASL variants, in the order of contrib/postfix/main.cf, and two
    # that it warns of
    sasl_port = {"unix": 14587, "tcp": 15587, "cyrus": 16587, "forgotten": 17587,
                 "clear": 18587}  # fmt: skip

    def __init__(self, world):
        self.world = world
        self.log = Log(LAB + "/postfix.log")
        self.up = False

    def configure(self, wide_open=True, sasl_path=sasl.DOVECOT):
        """wide_open takes Postfix's own relay lock away, and lets people log in
        everywhere and in the clear: what then holds is postern."""
        fragment = read(CONTRIB + "/postfix/main.cf")
        write("/etc/postfix/main.cf", fragment
              + POSTFIX_MAIN.format(lab=LAB, hostname=HOSTNAME, sasl=sasl_path))  # fmt: skip
        write("/etc/postfix/master.cf", read(CONTRIB + "/postfix/master.cf")
              + POSTFIX_MASTER + self.sasl_listeners(fragment))  # fmt: skip
        write("/etc/postfix/sasl/postern.conf", read(CONTRIB + "/postfix/smtpd.conf"))
        write("/etc/postfix/sasl/forgotten.conf", SASLDB.format(path=FORGOTTEN))
        if wide_open:
            run("postconf", "-e",
                "smtpd_relay_restrictions = check_client_access static:OK, reject",
                "smtpd_recipient_restrictions =", "smtpd_tls_auth_only = no",
                "smtpd_sasl_auth_enable = yes")  # fmt: skip

    def sasl_listeners(self, fragment):
        """A listener for each of contrib's SASL variants, one that believes a
        password file which somebody forgot, and one that wants no TLS."""
        unix, tcp, cyrus = uncommented(fragment)
        tcp["max_use"] = "1"
        forgotten = {**cyrus, "smtpd_sasl_path": "forgotten"}
        clear = {**unix, "smtpd_tls_auth_only": "no"}
        return "".join(
            POSTFIX_SASL.format(port=port, name=name)
            + "".join("  -o %s=%s\n" % pair for pair in options.items())
            for (name, port), options in zip(
                self.sasl_port.items(), (unix, tcp, cyrus, forgotten, clear), strict=True))  # fmt: skip

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

    def reload(self):
        """No smtpd is left that knows what was offered before."""
        old = pids_of("smtpd")
        run("postfix", "reload")
        wait_for("the end of the old smtpds", lambda: not old & pids_of("smtpd"))

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

POSTFIX_SASL = """
{port} inet  n  -  n  -  -  smtpd
  -o syslog_name=postfix/sasl-{name}
  -o milter_macro_daemon_name=submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
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
    aside = {name: number + 3000 for name, number in port.items()}
    listener = {"smtp": "MTA", "submission": "MSA", "submissions": "MSAS"}
    queue = LAB + "/mqueue"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(LAB + "/syslog")

    def start(self, wide_open=True, milter=True, aside=False, forgotten=False):
        """aside: on other ports and with contrib's Cyrus SASL, beside Postfix;
        forgotten: which looks into a file that nobody remembers, too."""
        unpack()
        self.port = type(self).aside if aside else type(self).port
        shutil.rmtree(self.queue, ignore_errors=True)
        os.makedirs(self.queue, mode=0o700)
        write(LAB + "/service.switch", "hosts files\naliases files\npasswd files\n")
        asked, fragment = read(CONTRIB + "/sendmail/Sendmail.conf"), read(CONTRIB + "/sendmail/postern.mc")
        if aside:
            fragment = re.sub(r"Port=(\d+)", lambda port: "Port=%d" % (3000 + int(port[1])), fragment)
        else:
            asked = asked.replace("/run/postern/mux", sasl.MUX)
        if forgotten:
            asked = asked.replace("pwcheck_method: saslauthd", "pwcheck_method: saslauthd auxprop")
            asked += "auxprop_plugin: sasldb\nsasldb_path: %s\n" % FORGOTTEN
        write("/etc/sasl2/Sendmail.conf", asked)
        write(LAB + "/postern.mc", fragment)
        cf = ROOT + "/usr/share/sendmail/cf"
        write(LAB + "/sendmail.mc", SENDMAIL_MC.format(
            cf=cf, lab=LAB, hostname=HOSTNAME, queue=self.queue,
            fragment=LAB + "/postern.mc",
            overrides=(SENDMAIL_WIDE_OPEN if wide_open else "")
            + ("" if milter else SENDMAIL_UNGUARDED),
        ))  # fmt: skip
        with open(LAB + "/sendmail.cf", "w", encoding="utf-8") as out:
            # standard error has a warning of the promiscuous relay
            subprocess.run(["m4", "-D_CF_DIR_=%s/" % cf, LAB + "/sendmail.mc"],
                           stdout=out, stderr=subprocess.DEVNULL, check=True)  # fmt: skip
        self.spawn(ROOT + "/usr/libexec/sendmail/sendmail", "-bD",
                   "-C" + LAB + "/sendmail.cf")  # fmt: skip
        for client in ("inside4", "outside6"):
            for port in (self.port["smtp"], self.port["submission"]):
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
define(`confREFUSE_LA',`1000')dnl
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


class Exim(Daemon):
    """Unpacked; in front of it there is no milter: what postern has a say in is
    who is logged in. variant names one of contrib's files."""

    def __init__(self, world, variant, port):
        self.name = "exim-" + variant
        super().__init__(world)
        self.variant = variant
        self.port = {"submission": port}
        self.dir = LAB + "/" + self.name
        self.log = Log(self.dir + "/log/mainlog")

    def start(self):
        unpack()
        for path in (self.dir, self.dir + "/log"):
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, "Debian-exim", "Debian-exim")
        shutil.copy(LAB + "/tls/server.key", self.dir + "/server.key")
        shutil.chown(self.dir + "/server.key", "Debian-exim", "Debian-exim")
        write(self.dir + "/exim.conf", EXIM_CONF.format(
            exim=ROOT + "/usr/sbin/exim4", dir=self.dir, lab=LAB, hostname=HOSTNAME,
            port=self.port["submission"],
            fragment="%s/exim/%s.conf" % (CONTRIB, self.variant)))  # fmt: skip
        self.spawn(ROOT + "/usr/sbin/exim4", "-C", self.dir + "/exim.conf", "-bdf")
        self.wait_ready("a banner", lambda: banner(
            self.world, self.port["submission"], "220 "))  # fmt: skip

    def stop(self):
        self.end()

    def accepted(self, recipient, seconds=5.0):
        """The log's line about a delivery to this address."""
        return self.log.wait(r"=> .*%s.* T=discard" % re.escape(recipient), seconds=seconds)


EXIM_CONF = """exim_path = {exim}
deliver_drop_privilege = true
spool_directory = {dir}
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/exim.pid
primary_hostname = {hostname}
daemon_smtp_ports = {port}
local_interfaces = <; 0.0.0.0 ; ::0
host_lookup =
rfc1413_hosts =
never_users =
tls_advertise_hosts = *
tls_certificate = {lab}/tls/server.crt
tls_privatekey = {dir}/server.key
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept authenticated = *
  deny message = 550 5.7.1 relay not permitted
begin routers
all:
  driver = accept
  transport = discard
begin transports
discard:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
begin authenticators
.include {fragment}
"""
