# SPDX-License-Identifier: BSD-2-Clause
"""Password checks: over IMAP against the least that they can cost and against
what people use today, and remembered ones over the socket. Everybody asks the
same Dovecot; sides take turns, and ratios are of the same round."""

import os
import re
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import daemon
from servers import HERE, USERS, Dovecot, Saslauthd, missing

# Rounds are short, and that many times as many: a busy machine hits few of them.
SHORT = 3
BENCH = os.path.join(os.path.abspath(daemon.BUILD), "tests", "bench")
WORKERS = 8  # of saslauthd; more make it no faster here

# in flight, logins a round, and of the Perl process, which is slow
LEVELS = [(1, 300, 4), (8, 500, 16), (32, 500, 32)]
FLOOR = "OpenSSL alone"
PERL = "Net::IMAP::Simple"

# title, checks a round, connections, requests under way on each
CACHED = [
    ("1 connection", 6000, 1, 1),
    ("8 connections", 12000, 8, 1),
    ("1 connection, 32 under way", 12000, 1, 32),
]

POSTERN = daemon.SETTINGS + daemon.POLICY + """\
imap "main" {{
  url = "{url}"
  ca_file = "{ca_file}"
  domains = {{"*"}}
  login_as = "address"
  verify = {{"session"}}
  timeout = "8s"
}}
identity {{ ttl = "1h" }}
sasl "mta" {{ protocol = "dovecot"   listen = "unix:{dir}/sasl" }}
sasl "mux" {{
  protocol = "saslauthd"
  listen = "unix:{dir}/mux"
  proof = "login"
}}
"""


def numbers(program, *args):
    """What one of our load programs counted."""
    r = subprocess.run([os.path.join(BENCH, program), *map(str, args)],
                       text=True, capture_output=True, check=False)
    if r.returncode != 0:
        sys.exit("%s %s: %s" % (program, " ".join(map(str, args)),
                                r.stderr.strip()))
    if r.stderr:
        print("# " + r.stderr.strip())
    got = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", r.stdout)}
    if got["refused"] > 0:
        sys.exit("%s: %d of the logins were refused" % (program,
                                                        got["refused"]))
    return got


def take_turns(sides, rounds):
    """Runs the sides one after the other, there and back again, so that
    neighbours stay neighbours; name -> what it returned, round by round."""
    names = list(sides)
    got = {name: [] for name in names}
    for i in range(rounds):
        for name in names if i % 2 == 0 else names[::-1]:
            got[name].append(sides[name]())
    return got


def middle(values, digits=2):
    return "%.*f (%.*f to %.*f)" % (digits, statistics.median(values), digits,
                                    min(values), digits, max(values))


class Table:
    """What the sides of a comparison did: medians, and ratios by round."""

    LINE = "%-36s %9s %8s %8s %9s"

    def __init__(self, title, cpu, got):
        self.cpu, self.got = cpu, got
        print("\n" + self.LINE % (title, "checks/s", "p50 ms", "p99 ms",
                                  "CPU us"))
        for name in got:
            print(self.LINE % (
                name, "%.0f" % self.median(name, "rate"),
                "%.3f" % (self.median(name, "p50") / 1000),
                "%.3f" % (self.median(name, "p99") / 1000),
                "%.1f" % self.median(name, cpu)), flush=True)

    def median(self, name, key):
        return statistics.median(r[key] for r in self.got[name])

    def ratios(self, name, base, key):
        return [a[key] / b[key]
                for a, b in zip(self.got[name], self.got[base])]

    def rate(self, name, base, bar=""):
        self.line("checks/s", name, base, "rate", bar)

    def work(self, name, base, bar=""):
        self.line("CPU", name, base, self.cpu, bar)

    def line(self, what, name, base, key, bar):
        print(("%-64s %-22s %s" % (
            "  %s, %s : %s" % (what, name, base),
            middle(self.ratios(name, base, key)), bar)).rstrip(), flush=True)


def perl_logins(imap, in_flight, count):
    """A Perl process for each login, that many at once."""
    def log_in(i):
        begin = time.monotonic()
        subprocess.run(
            [os.path.join(HERE, "login.pl"), str(imap.imaps), imap.ca_file,
             "user%05d@example.org" % i], check=True, text=True,
            input="secret-%05d-word\n" % i, stdout=subprocess.DEVNULL)
        return (time.monotonic() - begin) * 1e6

    def cpu():
        r = resource.getrusage(resource.RUSAGE_CHILDREN)
        return r.ru_utime + r.ru_stime

    before, begin = cpu(), time.monotonic()
    with ThreadPoolExecutor(in_flight) as pool:
        took = sorted(pool.map(log_in, range(count)))
    return {"rate": count / (time.monotonic() - begin),
            "p50": took[count // 2], "p99": took[count * 99 // 100],
            "cpu_us": (cpu() - before) * 1e6 / count}


def has_perl_module(name):
    return missing("perl") == "" and subprocess.run(
        ["perl", "-M" + name, "-e1"], stderr=subprocess.DEVNULL,
        check=False).returncode == 0


def watch(pids):
    return [a for pid in pids for a in ("-P", pid)]


def login_sides(imap, rimap, in_flight, count, slow_count):
    load = ("-s", imap.url, "-a", imap.ca_file, "-c", in_flight, "-n", count)

    def ask_saslauthd():
        got = numbers("authload", "-p", "saslauthd", "-s", rimap.socket, "-c",
                      in_flight, "-n", count, "-w", 100, "-u", USERS,
                      *watch(rimap.pids("saslauthd")))
        return dict(got, cpu_us=got["server_cpu_us"])

    sides = {
        FLOOR: lambda: numbers("floor", *load),
        "postern": lambda: numbers("verify", *load),
    }
    if rimap:
        sides["saslauthd -a rimap (no TLS)"] = ask_saslauthd
    if has_perl_module(PERL):
        sides["a Perl process per login"] = lambda: perl_logins(
            imap, in_flight, slow_count)
    return sides


def logins(row, rounds, imap):
    print("\n# passwords checked over IMAP, another login each time, nothing "
          "remembered;\n# CPU of the IMAP server's clients")
    rimap = None
    if missing("saslauthd"):
        row("saslauthd -a rimap", "not measured: saslauthd is not installed")
    else:
        rimap = Saslauthd(imap.imap, WORKERS)
    if not has_perl_module(PERL):
        row("a Perl process per login",
            "not measured: Perl's %s is not installed" % PERL)
    try:
        for in_flight, count, slow_count in LEVELS:
            table = Table("%d in flight" % in_flight, "cpu_us", take_turns(
                login_sides(imap, rimap, in_flight, count, slow_count),
                SHORT * rounds))
            print("  %.0f %% of OpenSSL's sessions were resumed" % (
                100 * table.median(FLOOR, "resumed")))
            for base in table.got:
                if base != "postern":
                    table.rate("postern", base, ">= 0.85" if base == FLOOR
                               and in_flight == 8 else "")
                    table.work("postern", base)
    finally:
        if rimap:
            rimap.close()


def cached_sides(imap, postern, saslauthd, count, connections, depth):
    """Who answers that many at once. Dovecot's protocol keeps its connections,
    saslauthd's needs one for each check."""
    def ask(protocol, path, pids, times):
        return lambda: numbers(
            "authload", "-p", protocol, "-s", path, "-c", connections, "-d",
            depth, "-n", times, *watch(pids()))

    def us():
        return [postern.process.pid]

    sides = {
        "postern": ask("dovecot", os.path.join(postern.dir, "sasl"), us, count),
        "Dovecot's auth": ask("dovecot", imap.auth_socket,
                              lambda: imap.pids("auth"), count),
    }
    if depth == 1:
        sides["postern as saslauthd"] = ask(
            "saslauthd", os.path.join(postern.dir, "mux"), us, count // 2)
        if saslauthd:
            sides["saslauthd -c"] = ask(
                "saslauthd", saslauthd.socket,
                lambda: saslauthd.pids("saslauthd"), count // 2)
    return sides


def cached_with(rounds, imap, postern, saslauthd):
    for title, count, connections, depth in CACHED:
        table = Table(title, "server_cpu_us", take_turns(
            cached_sides(imap, postern, saslauthd, count, connections, depth),
            SHORT * rounds))
        if "saslauthd -c" in table.got:
            table.rate("postern", "saslauthd -c", ">= 1.5")
            table.rate("postern as saslauthd", "saslauthd -c")
            table.work("postern as saslauthd", "saslauthd -c")
        table.rate("postern", "Dovecot's auth")
        table.work("postern", "Dovecot's auth",
                   "<= 1.2" if connections == 1 else "")


class Quiet(daemon.Postern):
    log_to_file = True


def cached(row, rounds, imap):
    print("\n# passwords that are remembered, asked over a UNIX socket; CPU of "
          "the process\n# that answers")
    saslauthd = None
    if missing("saslauthd"):
        row("saslauthd -c", "not measured: saslauthd is not installed")
    else:
        saslauthd = Saslauthd(imap.imap, WORKERS, "-c")
    try:
        with Quiet(imap=imap.url, ca_file=imap.ca_file) as postern:
            postern.template = POSTERN
            postern.configure()
            postern.start()
            cached_with(rounds, imap, postern, saslauthd)
    finally:
        if saslauthd:
            saslauthd.close()


def with_dovecot(row, rounds, parts):
    """Runs those of the parts that need a real Dovecot."""
    why = missing("dovecot") or missing("unshare")
    if why or os.geteuid() != 0:
        row("password checks", "not measured: " + (
            "%s is not installed" % why if why else "needs root"))
        return
    with Dovecot() as imap:
        for part in parts:
            part(row, rounds, imap)
