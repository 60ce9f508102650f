# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's life: it stops when told, at once, and guards its socket."""

import os
import signal
import socket
import subprocess
import time

import smtp
from daemons import ALICE, CONFIG, POSTERN, SOCKET
from world import LAB, read, wait_for, write


def run(lab):
    lab.use(lab.postfix)
    stops_at_once(lab)
    second_instance(lab)
    refuses_to_start(lab)
    not_readable(lab)
    not_root(lab)
    like_systemd(lab)


def stops_at_once(lab):
    """Also with sessions in progress, which are then refused for now."""
    port = lab.mta.port["submission"]
    with smtp.connect(lab.world, "inside4", port) as busy:
        busy.mail(ALICE)
        process, began = lab.postern.process, time.monotonic()
        lab.postern.stop()
        seconds = time.monotonic() - began
        lab.tap.equal("SIGTERM: exit status", process.returncode, 0)
        lab.tap.true("SIGTERM: gone at once (%.2f s)" % seconds, seconds < 1.5)
        lab.tap.equal("SIGTERM: a session in progress", busy.rcpt(ALICE).code, 451)
    lab.tap.equal("SIGTERM: the socket is gone", os.path.exists(SOCKET), False)
    lab.postern.launch()
    lab.postern.wait_identity()


def second_instance(lab):
    got = subprocess.run([POSTERN, "-f", "-c", CONFIG], capture_output=True,
                         text=True, timeout=20, check=False)  # fmt: skip
    lab.tap.true("a second instance on the socket ends (%d)" % got.returncode,
                 got.returncode > 0, got.stderr)  # fmt: skip
    lab.tap.true("and names the socket", SOCKET in got.stderr, got.stderr)
    lab.tap.equal("the first one serves on", lab.postern.answers(ALICE), "permit")


def refuses_to_start(lab):
    good = read(CONFIG)
    cases = (
        ("a /0", good.replace('"::1"', '"::/0"')),
        ("a typo", good.replace("local_domains", "local_domain")),
        ("an empty file", ""),
    )
    for name, text in cases:
        write(CONFIG, text)
        for flag in ("-f", "-t"):
            got = subprocess.run([POSTERN, flag, "-c", CONFIG], capture_output=True,
                                 text=True, timeout=20, check=False)  # fmt: skip
            lab.tap.equal("%s: postern %s ends with 78" % (name, flag),
                          got.returncode, 78, got.stderr)  # fmt: skip
            lab.tap.true("%s: postern %s names the file" % (name, flag),
                         CONFIG + ":" in got.stderr, got.stderr)  # fmt: skip
    write(CONFIG, good)


def not_readable(lab):
    """What root can read and a reload could not: told at the start, by name."""
    lab.postern.stop()
    for path in (CONFIG, "/etc/postern/imap.secret"):
        before = os.stat(path)
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
        got = subprocess.run([POSTERN, "-f", "-c", CONFIG], capture_output=True,
                             text=True, timeout=20, check=False)  # fmt: skip
        os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, before.st_mode & 0o7777)
        lab.tap.equal("root's own %s: exit status" % path, got.returncode, 78, got.stderr)
        lines = got.stderr.splitlines()
        lab.tap.true("root's own %s: it is named" % path,
                     any(path in line and "error: " in line and "Permission denied" in line
                         for line in lines), got.stderr)  # fmt: skip
        lab.tap.equal("root's own %s: the last word" % path, lines[-1:],
                      ["postern: error: the configuration cannot be read as its user"])  # fmt: skip
    lab.postern.launch()
    lab.postern.wait_identity()


def not_root(lab):
    status = read("/proc/%d/status" % lab.postern.process.pid)
    fields = dict(line.split(":", 1) for line in status.splitlines())
    for field in ("Uid", "Gid"):
        lab.tap.equal("no root left in %s" % field, fields[field].split(), ["610"] * 4)
    lab.tap.equal("no capability left", int(fields["CapEff"], 16), 0)
    mode = os.stat(SOCKET).st_mode & 0o777
    lab.tap.equal("the socket's mode", oct(mode), oct(0o660))


def like_systemd(lab):
    """As contrib's unit starts it: never root, no privileges, Type=notify."""
    lab.postern.stop()
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    inbox.bind(LAB + "/notify")
    os.chmod(LAB + "/notify", 0o666)
    said = []

    def hears(word):
        try:
            said.append(inbox.recv(4096).decode())
        except BlockingIOError:
            pass
        return any(word in text.split("\n") for text in said)

    user = ("setpriv", "--reuid=postern", "--regid=postern", "--groups=" + group_id("postfix"),
            "--no-new-privs", "--bounding-set=-all", "--")  # fmt: skip
    lab.postern.launch(user, NOTIFY_SOCKET=LAB + "/notify")
    wait_for("READY=1", lambda: hears("READY=1"))
    lab.postern.wait_identity()
    port = lab.mta.port["submission"]
    with smtp.connect(lab.world, "inside4", port) as s:
        lab.tap.equal("as systemd starts it: Postfix can use the socket", s.mail(ALICE).code, 250)
    for number, first, then in (
        (signal.SIGUSR1, "RELOADING=1", "READY=1"),
        (signal.SIGTERM, "STOPPING=1", "STOPPING=1"),
    ):
        said.clear()
        lab.postern.process.send_signal(number)
        wait_for(then, lambda word=first: hears(word))
        wait_for(then, lambda word=then: hears(word))
        lab.tap.true("as systemd starts it: it says " + first, said[0].startswith(first), said)
    lab.postern.stop()
    inbox.close()
    lab.postern.launch()
    lab.postern.wait_identity()


def group_id(name):
    rows = (line.split(":") for line in read("/etc/group").splitlines())
    return next(row[2] for row in rows if row[0] == name)
