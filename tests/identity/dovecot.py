#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The identity engine against a real Dovecot in a directory of its own.

Arguments: names of cases (default: all). Needs root (Dovecot's processes change their user) and Dovecot 2.3; exits 77
without. Nothing outside of the directory is written, and only loopback used.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (Ask, World, end_what_runs, equal, hold_port,
                     until)  # noqa: E402

CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = postern-test
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{dir}/mail/%u
first_valid_uid = 1
ssl = yes
ssl_cert = <{tls}/{cert}.crt
ssl_key = <{tls}/{cert}.key
disable_plaintext_auth = yes
auth_mechanisms = plain
auth_master_user_separator = *
default_vsz_limit = 512M
passdb {{
  driver = passwd-file
  args = {dir}/masters
  master = yes
  {result_success}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {dir}/homes
  default_fields = uid=65534 gid=65534 home={dir}/mail/%u
}}
{delays}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
"""

NO_DELAYS = """auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}"""
STOCK = 'login_trusted_networks = 127.0.0.0/8'

USERS = """alice@example.test:{PLAIN}alicepw::::::
bob@example.test:{PLAIN}bobpw::::::
disabled@example.test:{PLAIN}disabledpw::::::nologin=y reason=suspended
elsewhere@example.test:{PLAIN}netpw::::::allow_nets=192.0.2.0/24
homeless@example.test:{PLAIN}homelesspw::::::
"""


class Dovecot:
    """All of its processes live in a pid namespace, and end with it."""

    def __init__(self, world, directory):
        self.world, self.dir, self.process = world, directory, None
        self.holders, (self.imap, self.imaps) = zip(hold_port(), hold_port())
        for name in 'run', 'state', 'mail':
            os.mkdir(self.path(name))
        shutil.chown(self.path('mail'), 'nobody')
        self.write('users', USERS)
        self.write('homes', re.sub('homeless.*\n', '', USERS))
        self.write('masters', 'postern:{PLAIN}posternpw\n')
        self.write('log', '')
        os.chmod(self.path('log'), 0o666)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)

    def start(self, cert='server', result_success='result_success = continue',
              delays=NO_DELAYS):
        self.write('dovecot.conf', CONFIG.format(
            dir=self.dir, tls=self.world.tls, cert=cert, imap=self.imap,
            imaps=self.imaps, result_success=result_success,
            delays=delays))
        with open(self.path('out'), 'ab') as out:
            self.process = subprocess.Popen(
                ['unshare', '--pid', '--fork', '--kill-child', '--',
                 'dovecot', '-F', '-c', self.path('dovecot.conf')],
                stdout=out, stderr=out)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(('127.0.0.1', self.imap),
                                              1) as sock:
                    if sock.recv(100).startswith(b'* OK'):
                        return
            except OSError:
                pass
        raise AssertionError('Dovecot did not start: ' + self.words())

    def words(self):
        text = ''
        for name in 'out', 'log':
            with open(self.path(name), encoding='utf-8') as file:
                text += file.read()[-2000:]
        return text

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            # The port is free when the last of them is gone.
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    socket.create_connection(('127.0.0.1', self.imaps)).close()
                except OSError:
                    return
            raise AssertionError('Dovecot does not stop')

    def pids(self):
        """All processes below unshare."""
        found, new = [], [self.process.pid]
        while new:
            pid = new.pop()
            try:
                with open(f'/proc/{pid}/task/{pid}/children',
                          encoding='utf-8') as file:
                    new += [int(word) for word in file.read().split()]
            except FileNotFoundError:
                continue  # it has just ended
            found.append(pid)
        return found[1:]

    def freeze(self):
        """All of it: also what was forked while the first were stopped."""
        stopped = set()
        while not stopped.issuperset(self.pids()):
            for pid in self.pids():
                send(pid, signal.SIGSTOP)
                stopped.add(pid)
        end = time.monotonic() + 10
        while any(state_of(pid) not in 'TZ' for pid in stopped):
            assert time.monotonic() < end, 'Dovecot does not freeze'

    def thaw(self):
        for pid in self.pids():
            send(pid, signal.SIGCONT)

    def ask(self, *options, starttls=False):
        url = f'imap://localhost:{self.imap}' if starttls else \
            f'imaps://localhost:{self.imaps}'
        return Ask([url], self.world.path('ca.crt'), '--address', '--domain',
                   'example.test', *options)


def send(pid, signum):
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass  # it has just ended


def state_of(pid):
    """T for a stopped one, Z for one that is over."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rpartition(')')[2].split()[0]
    except FileNotFoundError:
        return 'Z'


WANT = {
    'alice@example.test': 'verified',
    'bob@example.test': 'verified',
    'nobody@example.test': 'refused',
    'disabled@example.test': 'disabled',
    'elsewhere@example.test': 'refused',
    'alice@example.org': 'refused',
    # Known to the passdb only: a server that is set up wrong, not a refusal.
    'homeless@example.test': 'unknown',
}


def everybody(dovecot):
    dovecot.start()
    for starttls in False, True:
        for mailbox in 'auto', 'yes', 'no':
            ask = dovecot.ask('--mailbox', mailbox, '--canary',
                              'bob@example.test', starttls=starttls)
            equal(ask.ready(), True, f'ready ({mailbox})')
            for login, want in WANT.items():
                equal(ask.verdict(login), want,
                      f'{login} (mailbox {mailbox}, STARTTLS {starttls})')
            ask.end()


def the_self_test_knows_dovecot(dovecot):
    dovecot.start()
    ask = dovecot.ask()
    ask.report('info', 'mailbox_check is off')
    ask.end()


def wrong_master_password(dovecot):
    dovecot.start()
    ask = dovecot.ask('--password', 'wrong')
    ask.report('alarm', 'proxy_user')
    for login in WANT:
        if login != 'alice@example.org':
            equal(ask.verdict(login), 'unknown', login)
    ask.end()


def master_passdb_without_continue(dovecot):
    dovecot.start(result_success='')
    ask = dovecot.ask()
    ask.report('alarm', 'result_success')
    equal(ask.verdict('nobody@example.test'), 'unknown', 'nobody')
    equal(ask.verdict('alice@example.test'), 'unknown', 'alice')
    ask.end()


def certificate_of_another_name(dovecot):
    dovecot.start(cert='other')
    for starttls in False, True:
        ask = dovecot.ask('--mailbox', 'no', starttls=starttls)
        equal(ask.verdict('alice@example.test'), 'unknown', 'alice')
        ask.report('warning', 'subject name')
        ask.end()


def stopped_and_restarted(dovecot):
    dovecot.start()
    ask = dovecot.ask('--ttl', '1', '--refused-ttl', '1')
    equal(ask.ready(), True, 'ready')
    equal(ask.verdict('alice@example.test'), 'verified', 'before')
    dovecot.stop()
    for _ in range(4):
        equal(ask.verdict('alice@example.test'), 'unknown', 'stopped')
    ask.report('alarm', 'not asked for')
    dovecot.start()
    ask.until('verified', 'alice@example.test')
    equal(ask.verdict('nobody@example.test'), 'refused', 'after')
    ask.end()


def frozen_and_thawed(dovecot):
    dovecot.start()
    ask = dovecot.ask('--ttl', '1', '--timeout', '1500')
    equal(ask.ready(), True, 'ready')
    ask.until('verified', 'alice@example.test')
    dovecot.freeze()
    for _ in range(3):
        equal(ask.verdict('alice@example.test'), 'unknown', 'frozen')

    def is_not_asked():
        verdict, ms = ask.ask('alice@example.test')
        equal(verdict, 'unknown', 'frozen')
        return ms < 1000  # whoever is asked about waits for longer
    until(is_not_asked, 'the breaker opens')
    dovecot.thaw()
    ask.until('verified', 'alice@example.test')
    ask.end()


PASSWORDS = [
    ('alice@example.test', 'alicepw', 'verified'),
    ('alice@example.test', 'alicePw', 'refused'),
    ('alice@example.test', 'posternpw', 'refused'),
    ('nobody@example.test', 'alicepw', 'refused'),
    ('disabled@example.test', 'disabledpw', 'disabled'),
    ('disabled@example.test', 'wrong', 'refused'),
    ('elsewhere@example.test', 'netpw', 'refused'),
    ('homeless@example.test', 'homelesspw', 'unknown'),
    ('alice@example.org', 'alicepw', 'refused'),
    # A master login in the user's clothes.
    ('alice@example.test*postern', 'posternpw', 'refused'),
]


def passwords(dovecot):
    dovecot.start()
    for starttls in False, True:
        for options in (), ('--forward',):
            ask = dovecot.ask('--session-only', '--separator', '*', *options,
                              starttls=starttls)
            for login, password, want in PASSWORDS:
                equal(ask.password(password, login, '192.0.2.1'), want,
                      f'{login} {password} {options} STARTTLS {starttls}')
            ask.end()


def the_address_of_the_client_is_believed(dovecot):
    dovecot.start(delays=NO_DELAYS + '\n' + STOCK)
    for starttls in False, True:
        ask = dovecot.ask('--session-only', '--forward', '--ttl', '1',
                          starttls=starttls)
        for address, want in ('192.0.2.7', 'verified'), \
                ('198.51.100.7', 'refused'), ('2001:db8::7', 'refused'):
            equal(ask.password('netpw', 'elsewhere@example.test', address),
                  want, f'allow_nets and {address}')
        ask.end()
    assert 'rip=198.51.100.7' in dovecot.words(), dovecot.words()


def the_penalty_follows_the_client(dovecot):
    """With the stock penalty a server delays whoever guesses: that must not be
    us. The guesses are made at once, so that they are delayed together; for how
    long is a matter of who comes first, but 17 s are the most."""
    dovecot.start(delays=STOCK)

    ask = dovecot.ask('--session-only', '--forward', '--ttl', '1',
                      '--timeout', '20000')
    equal(ask.pwload(6, 6, 'guess', '192.0.2.66')['refused'], 6, 'guesses')
    waited = []
    for address in '192.0.2.77', '', '192.0.2.66':
        got, ms = ask.verify('alicepw', 'alice@example.test', address)
        waited.append(ms)
        equal(got == 'verified' or address == '192.0.2.66', True,
              f'alice from {address}: {got}')
    assert waited[2] > 1500 + max(waited[:2]), waited
    ask.end()


def offers(dovecot):
    dovecot.start()
    for starttls in False, True:
        ask = dovecot.ask('--session-only', '--mechanisms', 'CRAM-MD5',
                          starttls=starttls)
        equal(ask.ready(), True, 'ready')
        equal(ask.offers('CRAM-MD5'), False, 'CRAM-MD5')
        ask.end()


CASES = [passwords, the_address_of_the_client_is_believed,
         the_penalty_follows_the_client, offers, everybody, the_self_test_knows_dovecot, wrong_master_password,
         master_passdb_without_continue, certificate_of_another_name,
         stopped_and_restarted, frozen_and_thawed]


def main():
    if os.geteuid() != 0 or shutil.which('dovecot') is None or \
            shutil.which('unshare') is None:
        print('skipped: needs root, dovecot and unshare')
        sys.exit(77)
    failed = 0
    for case in CASES:
        if sys.argv[1:] and case.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            dovecot = Dovecot(World(directory), directory)
            try:
                case(dovecot)
            except (AssertionError, OSError,
                    subprocess.SubprocessError) as error:
                failed += 1
                print(f'not ok: {case.__name__}: {error}\n{dovecot.words()}')
            finally:
                end_what_runs()
                dovecot.stop()
    print(f'{len(CASES)} cases, {failed} failed')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
