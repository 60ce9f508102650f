# SPDX-License-Identifier: BSD-2-Clause
"""After all that, no password is anywhere but where it belongs: in the user
databases of the servers. The last of the tests that present passwords."""

import contextlib
import glob
import os
import signal
import subprocess

import mtas
import peers
import smtp
from daemons import ALICE, BOB, PROXY_PASSWORD
from world import LAB, PASSWORD, read, wait_for

# Whatever daemons wrote; not what the tests wrote for them.
WRITTEN = ("*.log", "*.out", "syslog", "exim-*/log/*", "state/**", "mqueue/*", "mail/**",
           "cyrus/conf/**")  # fmt: skip
SHORTEST = 8  # a shorter one is in many words


def run(lab):
    lab.postern.stop()
    lab.postern.start(sasl=True, verify="session", extra='guessing { delay = "0s" }\n')
    lab.use_all()
    try:
        for peer in peers.all_of(lab):
            code = peer.login(lab.world, ALICE).code
            lab.tap.equal("%s: a login to be looked for" % peer.name, code, 235)
            peer.login(lab.world, ALICE, "a wild guess")
        not_in_memory(lab)
        no_core(lab)
    finally:
        lab.postern.stop()
        lab.postern.start()
    nowhere_written(lab)


def no_core(lab):
    """Killed so that it would dump core, with nothing else in the way."""
    lab.postern.stop()
    os.makedirs(LAB + "/cores", exist_ok=True)
    os.chmod(LAB + "/cores", 0o777)
    control = subprocess.Popen(["prlimit", "--core=unlimited", "sleep", "60"], cwd=LAB + "/cores")
    wait_for("sleep", lambda: read("/proc/%d/comm" % control.pid) == "sleep\n")
    if not dumps_core(control):
        # a kernel that keeps no cores at all
        print("# this system writes no core for anybody")
    # not as root, or the kernel forbids cores when privileges are dropped
    lab.postern.launch(wrapper=(
        "env", "-C", LAB + "/cores", "prlimit", "--core=unlimited", "setpriv",
        "--reuid=postern", "--regid=postern", "--groups=postfix,sasl,Debian-exim"))  # fmt: skip
    peers.all_of(lab)[0].login(lab.world, ALICE)
    process, lab.postern.process = lab.postern.process, None
    lab.tap.equal("kill -ABRT leaves no core", dumps_core(process), False)


def dumps_core(process):
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return os.WCOREDUMP(status)


def not_in_memory(lab):
    """What was asked is wiped when it is answered, whatever the answer was."""
    lab.dovecot.stop()
    try:
        peers.each(peers.all_of(lab), lambda p: p.login(lab.world, BOB, "never to be answered"))
    finally:
        lab.dovecot.start()
    needles = needles_of({(ALICE, PASSWORD), (ALICE, "a wild guess"), (BOB, "never to be answered")})
    pid = lab.postern.process.pid
    with contextlib.suppress(TimeoutError):  # an attempt may still be under way
        wait_for("end of all attempts", lambda: not in_memory(pid, needles), 10.0, 0.5)
    lab.tap.equal("no password in the daemon's memory", in_memory(pid, needles), set())
    lab.tap.equal("a login is found there", in_memory(pid, {ALICE.encode(): ALICE}), {ALICE})


def in_memory(pid, needles):
    found = set()
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, \
            open("/proc/%d/mem" % pid, "rb", 0) as memory:  # fmt: skip
        for line in maps:
            addresses, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue  # the store, which is searched as a file; programs
            begin, end = (int(word, 16) for word in addresses.split("-"))
            memory.seek(begin)
            data = memory.read(end - begin).strip(b"\0")
            found |= {password for text, password in needles.items() if text in data}
    return found


def needles_of(presented):
    """What to look for, and which password that is."""
    return {text: password for login, password in presented if len(password) >= SHORTEST
            for text in peers.secrets_of(login, password)}  # fmt: skip


def nowhere_written(lab):
    presented = smtp.presented | {(ALICE, PASSWORD), ("postern", PROXY_PASSWORD)}
    needles = needles_of(presented)
    paths = {path for pattern in WRITTEN for path in glob.glob(LAB + "/" + pattern, recursive=True)}
    paths |= {path for path in glob.glob(LAB + "/**/core*", recursive=True)}
    paths = sorted(path for path in paths if os.path.isfile(path))
    found = sorted({(path, password) for path in paths for password in search(path, needles)})
    lab.tap.equal("%d passwords in %d files" % (len({p for _, p in presented}), len(paths)), found, [])
    lab.tap.true("postern's log and store are among them",
                 {lab.postern.out, LAB + "/state/store.mdb"} <= set(paths), paths)  # fmt: skip
    # the search finds what is there
    lab.tap.true("the forgotten file has its passwords",
                 not os.path.exists(mtas.FORGOTTEN) or list(search(mtas.FORGOTTEN, needles)))  # fmt: skip


def search(path, needles):
    with open(path, "rb") as file:
        data = file.read()
    return {password for text, password in needles.items() if text in data}
