# SPDX-License-Identifier: BSD-2-Clause
"""A private world for real daemons.

enter() starts the calling script again in mount, network and PID namespaces of
its own. There /run is an empty tmpfs and /etc a copy in it, Postfix's spool and
/dev are private too, so that daemons are configured at their usual paths and
nothing on the host's disks is touched. The first process of the namespaces is a
reaper: when it ends, however it ends, every daemon, mount, interface and file
is gone.

The world has three hosts, each a network namespace, joined by veth pairs: the
server, and one client inside and one outside. A client is a process that only
makes sockets: a socket belongs for ever to the namespace it was made in, so
the tests connect, bind and talk TLS where they are.
"""

import ctypes
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = os.path.realpath(
    os.environ.get("srcdir") or os.path.join(os.path.dirname(__file__), "../..")
)
BUILD = os.path.realpath(os.environ.get("POSTERN_BUILD") or TOP)
CONTRIB = os.path.join(TOP, "contrib")
LAB = "/run/lab"  # what is the tests' own
ROOT = LAB + "/root"  # what is unpacked only
DEBS = os.path.join(BUILD, "system-debs")

HOSTNAME = "mail.example.test"
PASSWORD = "sesame street"

# name -> (client namespace, client's address, server's address)
CLIENTS = {
    "inside4": ("in", "10.77.0.2", "10.77.0.1"),
    "inside6": ("in", "fd00:77::2", "fd00:77::1"),
    "outside4": ("out", "203.0.113.2", "203.0.113.1"),
    "outside6": ("out", "2001:db8:77::2", "2001:db8:77::1"),
    "gateway4": ("in", "10.77.0.254", "10.77.0.1"),
}
# What more of the world is outside; add_client() makes its addresses.
FAR_NETWORKS = ("198.51.100.0/24", "192.0.2.0/24", "2001:db8::/32")

HOSTS = """127.0.0.1 localhost
::1 localhost
10.77.0.1 mail.example.test
fd00:77::1 mail.example.test
10.77.0.2 inside.example.test
10.77.0.254 gateway.example.test
203.0.113.2 outside.example.net
2001:db8:77::2 outside.example.net
"""

# accounts that packages make which are only unpacked here
USERS = ("postern", "smmta", "smmsp", "Debian-exim", "cyrus")

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


def run(*argv, **options):
    """Runs a command that has to succeed; returns what it printed."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode != 0:
        raise RuntimeError(
            "%s: exit %d\n%s" % (" ".join(argv), done.returncode, done.stdout)
        )
    return done.stdout


def wait_for(what, condition, seconds=15.0, step=0.01):
    """The first true value of condition(), or TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("no %s within %g s" % (what, seconds))
        time.sleep(step)


def write(path, text, mode=0o644, owner=None, group=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    if owner or group:
        shutil.chown(path, owner, group)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def packages(*groups):
    """The packages that contrib/packages lists under these groups."""
    rows = (line.split() for line in read(CONTRIB + "/packages").splitlines())
    return [row[1] for row in rows if len(row) == 2 and row[0] in groups]


def fetch_debs():
    """Fetches what can only be unpacked, once for a build directory."""
    os.makedirs(DEBS, exist_ok=True)
    have = {name.split("_")[0] for name in os.listdir(DEBS) if name.endswith(".deb")}
    missing = [name for name in packages("unpack") if name not in have]
    if missing:
        # apt must not become somebody else for a directory it cannot enter
        download = ("apt-get", "-o", "APT::Sandbox::User=root", "download", *missing)
        if subprocess.call(download, cwd=DEBS) != 0:  # no lists yet, or old ones
            run("apt-get", "update")
            run(*download, cwd=DEBS)


def enter():
    """Returns in the private world only. Outside, waits for it and exits."""
    if os.environ.get("POSTERN_WORLD") == str(os.getppid()) == "0":
        reap_as_init()
        return
    status = subprocess.call(
        [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--net", "--mount", "--pid", "--fork"),
            *("--mount-proc", "--kill-child=KILL"),
            *(sys.executable, *sys.argv),
        ],
        env={**os.environ, "POSTERN_WORLD": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    sys.exit(status if status >= 0 else 128 - status)


def reap_as_init():
    """The first process stays behind as the reaper; its child returns."""
    child = os.fork()
    if child == 0:
        os.environ.pop("POSTERN_WORLD")
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


class Host:
    """A client host: a process in its own network namespace that makes sockets."""

    def __init__(self):
        self.lock = threading.Lock()
        self.channel, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            try:
                serve_sockets(far_end)
            finally:
                os._exit(0)
        far_end.close()
        if self.channel.recv(1) != b"r":
            raise RuntimeError("no network namespace for a client")

    def socket(self, family):
        with self.lock:
            self.channel.send(b"6" if family == socket.AF_INET6 else b"4")
            _, fds, _, _ = socket.recv_fds(self.channel, 1, 1)
        return socket.socket(fileno=fds[0])

    def command(self, *argv):
        """The command line that runs argv on this host."""
        return ["nsenter", "-t", str(self.pid), "--net", "--", *argv]


def serve_sockets(channel):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    channel.send(b"r")
    while True:
        family = channel.recv(1)
        if not family:
            return
        with socket.socket(
            socket.AF_INET6 if family == b"6" else socket.AF_INET, socket.SOCK_STREAM
        ) as made:
            socket.send_fds(channel, [b"s"], [made.fileno()])


class World:
    """The inside of the namespaces: files, addresses, certificates, clients."""

    def __init__(self):
        if os.getppid() != 1:
            raise RuntimeError("World() belongs inside enter()")
        self.hosts = {}
        make_run_and_etc()
        make_dev()
        self.make_network()
        make_certificates()

    def make_network(self):
        run("ip", "link", "set", "lo", "up")
        for name in ("in", "out"):
            self.hosts[name] = host = Host()
            run(*"ip link add".split(), "srv-" + name, *"type veth peer name".split(),
                "eth0", "netns", str(host.pid))  # fmt: skip
            run("ip", "link", "set", "srv-" + name, "up")
            run(*host.command(*"ip link set lo up".split()))
            run(*host.command(*"ip link set eth0 up".split()))
        mine = {(net, server) for net, _, server in CLIENTS.values()}
        theirs = {(net, client) for net, client, _ in CLIENTS.values()}
        for net, address in sorted(mine):
            run(*add_address(address, "srv-" + net))
        for net, address in sorted(theirs):
            run(*self.hosts[net].command(*add_address(address, "eth0")))
        for network in FAR_NETWORKS:
            run("ip", "route", "add", network, "dev", "srv-out")

    def add_client(self, address):
        """One more client outside; its name is its address."""
        if address not in CLIENTS:
            like = CLIENTS["outside6" if ":" in address else "outside4"]
            run(*self.hosts["out"].command(*add_address(address, "eth0")))
            CLIENTS[address] = ("out", address, like[2])
        return address

    def connect(self, client, port, seconds=20.0):
        """A TCP connection of a client host to a port of the server."""
        net, source, server = CLIENTS[client]
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        sock = self.hosts[net].socket(family)
        sock.settimeout(seconds)
        try:
            sock.bind((source, 0))
            sock.connect((server, port))
        except OSError:
            sock.close()
            raise
        return sock


def add_address(address, device):
    if ":" in address:
        # nodad: no second of "tentative"
        return ["ip", "-6", "addr", "add", address + "/64", "dev", device, "nodad"]
    return ["ip", "addr", "add", address + "/24", "dev", device]


def make_run_and_etc():
    run("mount", "--make-rprivate", "/")
    run(*"mount -t tmpfs -o mode=0755 tmpfs /run".split())
    os.makedirs(LAB)
    run("cp", "-a", "/etc", "/run/etc")
    run("mount", "--bind", "/run/etc", "/etc")
    for path in ("/var/spool/postfix", "/var/lib/postfix", "/var/cache/ldconfig"):
        if os.path.isdir(path):
            run(*"mount -t tmpfs -o mode=0755 tmpfs".split(), path)
    for name in ("hosts", "nsswitch.conf", "resolv.conf"):
        if os.path.lexists("/etc/" + name):
            os.unlink("/etc/" + name)
    write("/etc/hosts", HOSTS)
    write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
    write("/etc/resolv.conf", "")
    for number, name in enumerate(USERS, 610):
        add_user(name, number)
    run("usermod", "-a", "-G", "sasl", "Debian-exim")


def add_user(name, number):
    if ("\n%s:" % name) not in read("/etc/passwd"):
        with open("/etc/passwd", "a", encoding="utf-8") as file:
            file.write("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n"
                       % (name, number, number))  # fmt: skip
    if ("\n%s:" % name) not in read("/etc/group"):
        with open("/etc/group", "a", encoding="utf-8") as file:
            file.write("%s:x:%d:\n" % (name, number))


def unpack():
    """Unpacks what cannot be installed, once. The libraries go into the cache
    of the private /etc: a set-uid program takes no LD_LIBRARY_PATH."""
    if os.path.isdir(ROOT):
        return
    for name in packages("unpack"):
        (deb,) = glob.glob("%s/%s_*.deb" % (DEBS, name))
        run("dpkg", "-x", deb, ROOT)
    found = [os.path.dirname(path) for path in glob.glob(ROOT + "/**/lib*.so.*", recursive=True)]
    write("/etc/ld.so.conf.d/zz-unpacked.conf", "\n".join(sorted(set(found))) + "\n")
    run("ldconfig", "-X")


def make_dev():
    """A /dev of our own: daemons that speak syslog need a /dev/log."""
    dev = LAB + "/dev"
    os.makedirs(dev + "/shm")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        write(dev + "/" + name, "")
        run("mount", "--bind", "/dev/" + name, dev + "/" + name)
    os.symlink("/proc/self/fd", dev + "/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink("/proc/self/fd/%d" % number, dev + "/" + name)
    run("mount", "--rbind", dev, "/dev")
    sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sink.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    threading.Thread(target=keep_syslog, args=(sink,), daemon=True).start()


def keep_syslog(sink):
    with open(LAB + "/syslog", "ab", buffering=0) as file:
        while True:
            file.write(sink.recv(65536).rstrip(b"\0\n") + b"\n")


def make_certificates():
    """What tests/lib/certs.sh makes; everybody may read the certificates."""
    tls = LAB + "/tls"
    run("sh", TOP + "/tests/lib/certs.sh", tls)
    os.chmod(tls, 0o755)
    for path in glob.glob(tls + "/*.crt"):
        os.chmod(path, 0o644)
