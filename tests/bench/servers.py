# SPDX-License-Identifier: BSD-2-Clause
"""The servers of the password benches: a Dovecot tuned for load and saslauthd,
each in a directory and a pid namespace of its own, on the loopback."""

import os
import shutil
import socket
import subprocess
import tempfile

from daemon import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
USERS = 1000  # load_user() of load.c spells them the same way

# No cache, no penalty, no delay: a check costs what it costs. One login process
# for all, as each has tickets of its own for resumed TLS sessions.
DOVECOT = """\
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = postern-bench
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{dir}/mail/%u
mail_max_userip_connections = 0
first_valid_uid = 1
ssl = yes
ssl_cert = <{tls}/server.crt
ssl_key = <{tls}/server.key
auth_mechanisms = plain login
auth_failure_delay = 0
auth_cache_size = 0
default_vsz_limit = 512M
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
  default_fields = uid=65534 gid=65534 home={dir}/mail/%u
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  service_count = 1000
  process_min_avail = 8
  process_limit = 200
}}
"""


PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing(program):
    """Its name when it is not installed, else ""."""
    return "" if shutil.which(program, path=PATH) else program


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Servant:
    """Processes that end with us."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-bench.")
        os.chmod(self.dir, 0o755)
        self.process = None

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def spawn(self, *command):
        with open(self.path("out"), "ab") as out:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", "--", *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=dict(os.environ, PATH=PATH))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def pids(self, name=None):
        """Of our processes, or of those with this name."""
        parents, names = {}, {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % entry, encoding="utf-8") as f:
                    head, tail = f.read().rsplit(")", 1)
            except OSError:
                continue
            names[int(entry)] = head.split("(", 1)[1]
            parents.setdefault(int(tail.split()[1]), []).append(int(entry))
        found, ask = [], [self.process.pid]
        while ask:
            children = parents.get(ask.pop(), [])
            ask += children
            found += children
        return [p for p in found if name in (None, names[p])]


class Dovecot(Servant):
    def __init__(self):
        super().__init__()
        self.tls = self.path("tls")
        self.ca_file = self.path("tls", "ca.crt")
        subprocess.run([os.path.join(HERE, "..", "lib", "certs.sh"), self.tls],
                       check=True, stdout=subprocess.DEVNULL)
        for name in "run", "state", "mail":
            os.mkdir(self.path(name))
        shutil.chown(self.path("mail"), "nobody")
        self.imap, self.imaps = free_port(), free_port()
        self.url = "imaps://127.0.0.1:%d" % self.imaps
        self.auth_socket = self.path("run", "auth-client")
        self.write("users", "".join(
            "user%05d@example.org:{PLAIN}secret-%05d-word::::::\n" % (i, i)
            for i in range(USERS)))
        self.write("log", "")
        os.chmod(self.path("log"), 0o666)
        self.write("dovecot.conf", DOVECOT.format(
            dir=self.dir, tls=self.tls, imap=self.imap, imaps=self.imaps))
        self.spawn("dovecot", "-F", "-c", self.path("dovecot.conf"))
        wait_until(self.greets, "greeting of Dovecot: see " + self.path("log"))

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.imap), 5) as s:
                return s.recv(100).startswith(b"* OK")
        except OSError:
            return False


class Saslauthd(Servant):
    """-a rimap, without TLS, as it can do nothing else."""

    def __init__(self, imap_port, workers, *more):
        super().__init__()
        self.socket = self.path("mux")
        # it goes to the background itself; something must stay in front
        self.spawn("sh", "-c", '"$@" && exec sleep infinity', "sh", "saslauthd",
                   "-a", "rimap", "-O", "127.0.0.1/%d" % imap_port, "-r",
                   "-n", str(workers), "-m", self.dir, *more)
        wait_until(lambda: os.path.exists(self.socket) and
                 len(self.pids("saslauthd")) == workers, "saslauthd")
