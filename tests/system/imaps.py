# SPDX-License-Identifier: BSD-2-Clause
"""The IMAP servers: Dovecot as Debian has it, Cyrus imapd unpacked."""

import base64
import contextlib
import glob
import hmac
import json
import os
import re
import shutil
import signal
import time

from process import Daemon, Log, banner
from world import CONTRIB, HOSTNAME, LAB, PASSWORD, ROOT
from world import read, run, unpack, write

PROXY_PASSWORD = "proxy secret"
TOKEN_KEY = b"who has this makes tokens"

# login -> what Dovecot knows of it
ALICE = "alice@example.test"
BOB = "bob@example.test"
DISABLED = "disabled@example.test"
GHOST = "ghost@example.test"  # the MTA accepts it, IMAP has never heard of it
ACCOUNTS = {
    ALICE: "",
    BOB: "",
    DISABLED: "nologin=y reason=Account_suspended",
}
# a whole office: staff-07@example.test
STAFF = ["staff-%02d@example.test" % number for number in range(100)]


class Dovecot(Daemon):
    name = "dovecot"
    auth_socket = "/run/dovecot/auth-client"

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(LAB + "/dovecot.log")

    def start(self, certificate="server", stock=False, trusting=False, more="", masters=""):
        """stock: as slow to strangers as Dovecot is out of the box; trusting: it
        believes postern's word for whom it asks (contrib's other way); more:
        text at the end of its configuration; masters: more master users."""
        mail = LAB + "/mail"
        os.makedirs(mail, exist_ok=True)
        shutil.chown(mail, "nobody", "nogroup")
        users = ("%s:{PLAIN}%s::::::%s\n" % (name, PASSWORD, extra)
                 for name, extra in {**dict.fromkeys(STAFF, ""), **ACCOUNTS}.items())  # fmt: skip
        write(LAB + "/users", "".join(users))
        write("/etc/dovecot/postern.masters",
              "postern:{PLAIN}%s::::::allow_nets=127.0.0.0/8,::1\n" % PROXY_PASSWORD + masters, 0o640, group="dovecot")  # fmt: skip
        fragment = "/etc/dovecot/conf.d/05-postern.conf"
        text = read(CONTRIB + "/dovecot/postern.conf")
        if stock:
            text = re.sub(r"(?ms)^service anvil \{.*?^\}\n", "", text)
        if trusting:
            text = re.sub(r"(?m)^#(login_trusted_networks = )", r"\1", text)
        write(fragment, text)
        write(LAB + "/oauth2.conf", DOVECOT_OAUTH2.format(lab=LAB))
        write(LAB + "/keys/default/HS256/default", base64.b64encode(TOKEN_KEY).decode())
        write("/etc/dovecot/dovecot.conf", DOVECOT_CONF.format(
            fragment=fragment, lab=LAB, mail=mail,
            delay="" if stock else "auth_failure_delay = 0",
            certificate=LAB + "/tls/" + certificate) + more)  # fmt: skip
        with contextlib.suppress(FileNotFoundError):
            # of a stock Dovecot before; auth would knock there for 5 s
            os.unlink("/run/dovecot/anvil-auth-penalty")
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
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_verbose = yes
{delay}
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {lab}/oauth2.conf
  result_success = continue
}}
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


DOVECOT_OAUTH2 = """introspection_mode = local
local_validation_key_dict = fs:posix:prefix={lab}/keys/
username_attribute = sub
"""


def token(login, key=TOKEN_KEY, lifetime=600):
    """A bearer token for OAUTHBEARER and XOAUTH2 that Dovecot can check."""
    now = int(time.time())
    parts = ({"typ": "JWT", "alg": "HS256"},
             {"sub": login, "iat": now, "nbf": now, "exp": now + lifetime})  # fmt: skip
    text = b".".join(url64(json.dumps(part).encode()) for part in parts)
    return (text + b"." + url64(hmac.digest(key, text, "sha256"))).decode()


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Cyrus(Daemon):
    """Unpacked. Its NO has no code, its logins have no domain."""

    name = "cyrus"
    port = {"imap": 2143, "imaps": 2993}
    dir = LAB + "/cyrus"
    config = dir + "/imapd.conf"
    programs = ROOT + "/usr/lib/cyrus/bin"
    users = ("cyradm", "postern", "alice", "bob", "carol")

    def __init__(self, world):
        super().__init__(world)
        self.log = Log(LAB + "/syslog")

    def start(self, check="auxprop"):
        """check: how it knows passwords; "saslauthd" is one that never runs."""
        unpack()
        if not os.path.isdir(self.dir):
            self.make_accounts()
        write(self.config, CYRUS_IMAPD.format(
            dir=self.dir, lab=LAB, hostname=HOSTNAME, check=check)
            + read(CONTRIB + "/cyrus/imapd.conf"))  # fmt: skip
        write(self.dir + "/cyrus.conf", CYRUS_MASTER.format(
            programs=self.programs, config=self.config, **self.port))  # fmt: skip
        self.spawn(self.programs + "/master", "-C", self.config, "-M",
                   self.dir + "/cyrus.conf", "-p", self.dir + "/master.pid")  # fmt: skip
        self.wait_ready("a greeting", lambda: banner(self.world, self.port["imap"], r"\* OK"))

    def make_accounts(self):
        conf = ("db", "socket", "log", "msg", "proc", "user", "quota")
        for name in ("proc", "lock", "spool", "sock", *("conf/" + name for name in conf)):
            os.makedirs(self.dir + "/" + name)
        for user in self.users:
            # the realm has to be the server's name, or nobody is known
            password = PROXY_PASSWORD if user == "postern" else PASSWORD
            run("saslpasswd2", "-p", "-c", "-f", self.dir + "/sasldb2",
                "-u", HOSTNAME, user, input=password)  # fmt: skip
        shutil.copy(LAB + "/tls/server.key", self.dir + "/server.key")
        run("chown", "-R", "cyrus:mail", self.dir)

    def deny(self, user):
        """Shuts an account, as its administrator would."""
        run("setpriv", "--reuid=cyrus", "--regid=mail", "--clear-groups",
            self.programs + "/cyr_deny", "-C", self.config, "-m", "gone", user)  # fmt: skip

    def stop(self):
        self.end(signal.SIGTERM)


CYRUS_IMAPD = """servername: {hostname}
configdirectory: {dir}/conf
proc_path: {dir}/proc
mboxname_lockpath: {dir}/lock
defaultpartition: default
partition-default: {dir}/spool
admins: cyradm
allowplaintext: no
sasl_pwcheck_method: {check}
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {dir}/sasldb2
sasl_saslauthd_path: {dir}/nobody
sasl_mech_list: PLAIN LOGIN
tls_server_cert: {lab}/tls/server.crt
tls_server_key: {dir}/server.key
unixhierarchysep: yes
virtdomains: off
idlesocket: {dir}/sock/idle
lmtpsocket: {dir}/sock/lmtp
notifysocket: {dir}/sock/notify
syslog_prefix: cyrus
failedloginpause: 0
"""

CYRUS_MASTER = """START {{
  recover cmd="{programs}/ctl_cyrusdb -C {config} -r"
}}
SERVICES {{
  imap  cmd="{programs}/imapd -C {config} -U 3000" listen="{imap}" prefork=1 maxchild=20
  imaps cmd="{programs}/imapd -C {config} -s -U 3000" listen="{imaps}" prefork=1 maxchild=20
}}
EVENTS {{
}}
"""
