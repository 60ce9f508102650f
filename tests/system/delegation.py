# SPDX-License-Identifier: BSD-2-Clause
"""MTAs that ask postern by policy delegation: Exim with contrib's ACLs, and
Postfix without a milter."""

import os
import re
import shutil

import mtas
import sasl
from process import Log, banner
from world import CONTRIB, HOSTNAME, LAB, ROOT
from world import read, run, unpack, wait_for, write

# postern.conf as contrib's files for the MTA want it
SECTION = 'delegation { listen = "unix:/run/postern/policy"  socket_group = "%s" }\n'


class Postfix(mtas.Postfix):
    """contrib's policy.cf in place of the milter."""

    name = "postfix-policy"

    def configure(self, wide_open=True, **options):
        super().configure(wide_open=False, **options)
        settings = options_of(read(CONTRIB + "/postfix/policy.cf"))
        settings["smtpd_milters"] = ""
        if wide_open:
            first = settings["smtpd_relay_restrictions"].split(" permit_")[0]
            settings.update({
                "smtpd_relay_restrictions": first + " check_client_access static:OK, reject",
                "smtpd_recipient_restrictions": "", "smtpd_tls_auth_only": "no",
                "smtpd_sasl_auth_enable": "yes"})  # fmt: skip
        run("postconf", "-e", *("%s = %s" % pair for pair in settings.items()))


def options_of(text):
    """{name: value} of a main.cf."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\n[ \t]+", " ", lines)
    return dict(re.findall(r"^(\w+) =[ ]*(.*)$", joined, re.M))


class Exim(mtas.Exim):
    """All three listeners, policy by postern, and nothing else that guards."""

    port = {"smtp": 25, "submission": 587, "submissions": 465}

    def __init__(self, world):
        super().__init__(world, "policy", 587)
        self.port = type(self).port
        self.log = Log(self.dir + "/log/mainlog")

    def start(self, sasl_path=sasl.DOVECOT, policy="/run/postern/policy", guard=""):
        """guard: what else its ACL says at RCPT."""
        unpack()
        for path in (self.dir, self.dir + "/log"):
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, "Debian-exim", "Debian-exim")
        shutil.copy(LAB + "/tls/server.key", self.dir + "/server.key")
        shutil.chown(self.dir + "/server.key", "Debian-exim", "Debian-exim")
        acl = read(CONTRIB + "/exim/policy.conf").replace("/run/postern/policy", policy)
        auth = read(CONTRIB + "/exim/dovecot.conf").replace("/run/postern/exim", sasl_path)
        write(self.dir + "/exim.conf", EXIM_CONF.format(
            exim=ROOT + "/usr/sbin/exim4", dir=self.dir, lab=LAB, hostname=HOSTNAME, acl=acl, guard=guard,
            auth=re.sub(r"\n  server_advertise_condition.*", "", auth)))  # fmt: skip
        self.spawn(ROOT + "/usr/sbin/exim4", "-C", self.dir + "/exim.conf", "-bdf")
        for port in (25, 587):
            self.wait_ready("a banner", lambda p=port: banner(self.world, p, "220 "))

    def destination(self, recipient, seconds=0.0):
        """"LOCAL", "RELAYED", or None when nothing went to this address."""
        found = r"=> .*%s.* T=(\w+)" % re.escape(recipient)
        try:
            line = self.log.wait(found, seconds=seconds)[0]
        except TimeoutError:
            return None
        return re.search(found, line).group(1).upper()

    def delivered(self, since=0):
        """Every recipient anything was delivered for."""
        return {re.search(r"[=-]> (?:[^<]*<)?([^\s<>]+@[^\s<>]+)", line).group(1)
                for line in self.log.find(r" [=-]> ", since)}

    def settle(self):
        """Waits until every message is delivered."""
        wait_for("empty spool", lambda: len(self.log.find(" <= ")) == len(self.log.find(" Completed")))


EXIM_CONF = """exim_path = {exim}
deliver_drop_privilege = true
spool_directory = {dir}
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/exim.pid
primary_hostname = {hostname}
daemon_smtp_ports = 25 : 587 : 465
tls_on_connect_ports = 465
local_interfaces = <; 0.0.0.0 ; ::0
smtp_accept_max = 0
host_lookup =
rfc1413_hosts =
never_users =
keep_environment =
smtputf8_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {lab}/tls/server.crt
tls_privatekey = {dir}/server.key
auth_advertise_hosts = *
acl_smtp_mail = acl_check_mail
acl_smtp_rcpt = acl_check_rcpt
begin acl
acl_check_mail:
  require acl = postern_mail
  accept
acl_check_rcpt:
  require acl = postern_rcpt
{guard}  accept
{acl}
begin routers
local:
  driver = accept
  domains = example.test
  transport = local
relay:
  driver = accept
  transport = relayed
begin transports
local:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
relayed:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
begin authenticators
{auth}
"""
