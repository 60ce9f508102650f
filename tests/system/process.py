# SPDX-License-Identifier: BSD-2-Clause
"""What the daemons of the world have in common: a process, a log, a banner."""

import os
import re
import signal
import subprocess

from world import LAB, read, wait_for


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
                last = "\n".join(read(self.out).splitlines()[-10:])
                raise RuntimeError("%s ended: %s" % (self.name, last))
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
        # a listener that is on its way out takes a connection and says nothing
        with world.connect(client, port, seconds=1.0) as sock:
            return re.match(pattern, sock.recv(512).decode("latin1"))
    except OSError:
        return None
