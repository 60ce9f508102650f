#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The identity engine against servers that lie, stammer, hang and die.

Every case says what the engine must answer and what the server may have heard.
Needs no root and no network but loopback. ASK names the built tests/lib/ask.
Arguments: names of cases (default: all).
"""
import base64
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
sys.dont_write_bytecode = True
from fake_imap import (Everybody, Script, Server, accounts, close, drip,
                       endless, hang, then_close)  # noqa: E402

ASK = os.environ.get('ASK') or os.path.join(
    os.environ.get('top_builddir', '.'), 'tests', 'lib', 'ask')
ALICE = 'alice@example.test'
PATIENCE = 30
SOON = 3000  # ms: whoever waits for a hanging server waits longer


class Ask:
    """A running tests/lib/ask."""

    running = []

    def __init__(self, urls, ca, *options):
        command = ASK.split() + ['--ca', ca]
        for url in urls:
            command += ['--url', url]
        self.process = subprocess.Popen(
            command + list(options), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        Ask.running.append(self)
        self.reports, self.said = [], []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                words = line.rstrip('\n')
                kind = self.reports if words.startswith('report ') else \
                    self.said
                kind.append(words)
                self.news.notify_all()
        with self.news:
            self.said.append('end')
            self.news.notify_all()

    def next(self):
        with self.news:
            if not self.news.wait_for(lambda: self.said, PATIENCE):
                raise AssertionError('ask says nothing')
            return self.said.pop(0)

    def report(self, *words):
        """Waits for a report with all the words in it."""
        def there():
            return any(all(word in line for word in words)
                       for line in self.reports)
        with self.news:
            assert self.news.wait_for(there, PATIENCE), \
                f'no report with {words} in {self.reports}'

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def ask(self, login=ALICE):
        """The verdict and the milliseconds."""
        self.tell('ask ' + login)
        words = self.next().split()
        assert words[0] == 'answer', words
        return words[-2], float(words[-1])

    def verdict(self, login=ALICE):
        return self.ask(login)[0]

    def verify(self, password='alicepw', login=ALICE, address=''):
        """Like "verified remembered", and the milliseconds."""
        self.tell(f'verify {login} {password} {address}')
        words = self.next().split()
        assert words[:2] == ['verdict', login], words
        return ' '.join(words[2:-1]), float(words[-1])

    def password(self, *which, **more):
        return self.verify(*which, **more)[0]

    def until_password(self, want, *which, **more):
        end = time.monotonic() + PATIENCE
        got = None
        while time.monotonic() < end:
            got = self.password(*which, **more)
            if got == want:
                return
        raise AssertionError(f'{which}: got {got}, want {want}')

    def pwload(self, at_once, count, password='pw', address=''):
        """{'verified': n, ..., 'slowest': ms}"""
        self.tell(f'pwload {at_once} {count} example.test {password} '
                  f'{address}')
        words = self.next().split()
        assert words[0] == 'rate', words
        return {key: float(value)
                for key, value in zip(words[::2], words[1::2])}

    def size(self):
        """Threads and resident megabytes."""
        self.tell('size')
        words = self.next().split()
        return int(words[1]), int(words[2]) / 1024

    def offers(self, mechanism):
        self.tell('offers ' + mechanism)
        return self.next().split()[-1] == 'yes'

    def until(self, want, login=ALICE):
        end = time.monotonic() + PATIENCE
        got = None
        while time.monotonic() < end:
            got = self.verdict(login)
            if got == want:
                return
        raise AssertionError(f'{login}: got {got}, want {want}')

    def ready(self, ms=10000):
        self.tell(f'ready {ms}')
        return self.next().split()[0] == 'ready'

    def fds(self):
        self.tell('fds')
        return int(self.next().split()[1])

    def end(self):
        """Milliseconds that identity_free() took."""
        return self.end_counting()[0]

    def end_counting(self):
        """... and how many were called back meanwhile."""
        self.process.stdin.close()
        line = self.next()
        Ask.running.remove(self)
        status = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stdout.close()
        assert status == 0 and line.startswith('freed '), (status, line)
        return float(line.split()[1]), int(line.split()[2])


def end_what_runs():
    while Ask.running:
        ask = Ask.running.pop()
        ask.process.kill()
        ask.process.wait()
        ask.reader.join()
        ask.process.stdin.close()
        ask.process.stdout.close()


class World:
    def __init__(self, directory):
        self.tls = os.path.join(directory, 'tls')
        subprocess.run([os.path.join(HERE, '..', 'lib', 'certs.sh'),
                        self.tls], check=True)

    def path(self, name):
        return os.path.join(self.tls, name)

    def server(self, script, cert='server', port=0):
        return Server(self.path(cert + '.crt'), self.path(cert + '.key'),
                      script, port)

    def ask(self, servers, *options):
        urls = [('imap' if s.script.starttls else 'imaps') +
                f'://localhost:{s.port}' for s in servers]
        return Ask(urls, self.path('ca.crt'), *options)


def equal(got, want, what):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


def secrets_heard(server, secret=b'posternpw'):
    """Did any connection, protected or not, carry the password?"""
    heard = False
    for log in server.logs:
        for line in log['bytes'].split(b'\r\n'):
            for word in line.split():
                try:
                    heard |= secret in base64.b64decode(word, validate=True)
                except ValueError:
                    pass
            heard |= secret in line
    return heard


BIG = b'* OK ' + b'x' * (1 << 20)
NO_IR = b'* OK hello\r\n'
YES = b'TAG OK yes\r\n'
OWN = {'alice': b'alicepw'}


def ok(reply, **more):
    """A script that answers a login as alice like this."""
    return Script(accounts=accounts(alice=reply), **more)


def greeting(step):
    return Script(accounts=accounts(), greeting=step)


# name, script, the verdict on alice, did the server get to see our password
SCRIPTS = [
    # the plain truth
    ('live', ok(YES), 'verified', True),
    ('live, no SASL-IR', ok(YES, greeting=NO_IR), 'verified', True),
    ('lower case ok', ok(b'TAG ok yes\r\n'), 'verified', True),
    ('OK and nothing else', ok(b'TAG OK\r\n'), 'verified', True),
    ('untagged chatter first', ok(
        b'* CAPABILITY IMAP4rev1\r\n* NO [ALERT] hear\r\n' + YES),
     'verified', True),
    ('octet by octet', ok(drip(YES), greeting=drip(NO_IR)), 'verified', True),
    ('LOGINDISABLED but AUTH=PLAIN', ok(YES, greeting=(
        b'* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] x\r\n')),
     'verified', True),
    # refusals about the account
    ('AUTHORIZATIONFAILED', ok(b'TAG NO [AUTHORIZATIONFAILED] no\r\n'),
     'refused', True),
    ('lower case code', ok(b'TAG no [authorizationfailed]\r\n'),
     'refused', True),
    ('CONTACTADMIN', ok(b'TAG NO [CONTACTADMIN] x\r\n'), 'disabled', True),
    ('BYE, then NO with a code', ok(
        b'* BYE bye\r\nTAG NO [AUTHORIZATIONFAILED] x\r\n'), 'refused', True),
    ('text: authorization failure', ok(b'TAG NO authorization failure\r\n'),
     'disabled', True),
    ('text: Login failed: user not found', ok(
        b'TAG NO Login failed: user not found\r\n'), 'refused', True),
    # about ourselves
    ('AUTHENTICATIONFAILED', ok(b'TAG NO [AUTHENTICATIONFAILED] x\r\n'),
     'unknown', True),
    ('EXPIRED', ok(b'TAG NO [EXPIRED] x\r\n'), 'unknown', True),
    ('text: authentication failure', ok(b'TAG NO authentication failure\r\n'),
     'unknown', True),
    # about the service
    ('UNAVAILABLE', ok(b'TAG NO [UNAVAILABLE] x\r\n'), 'unknown', True),
    ('LIMIT', ok(b'TAG NO [LIMIT] x\r\n'), 'unknown', True),
    ('INUSE', ok(b'TAG NO [INUSE] x\r\n'), 'unknown', True),
    ('THROTTLED', ok(b'TAG NO [THROTTLED] x\r\n'), 'unknown', True),
    ('code without end', ok(b'TAG NO [AUTHORIZATIONFAILED x\r\n'),
     'unknown', True),
    ('code inside another', ok(b'TAG NO [X AUTHORIZATIONFAILED] x\r\n'),
     'unknown', True),
    ('NO alone', ok(b'TAG NO\r\n'), 'unknown', True),
    ('text: generic failure', ok(b'TAG NO generic failure\r\n'),
     'unknown', True),
    ('text with a tail', ok(b'TAG NO authorization failure, retry\r\n'),
     'unknown', True),
    ('BAD', ok(b'TAG BAD [AUTHORIZATIONFAILED] x\r\n'), 'unknown', True),
    ('BYE, then OK', ok(b'* BYE bye\r\n' + YES), 'unknown', True),
    ('BYE and close', ok(then_close(b'* BYE bye\r\n')), 'unknown', True),
    ('close', ok(close), 'unknown', True),
    ('half a line', ok(then_close(b'TAG OK yes')), 'unknown', True),
    ('half a line end', ok(then_close(b'TAG OK yes\r')), 'unknown', True),
    ('bare LF', ok(b'TAG OK yes\n'), 'unknown', True),
    ('bare CR', ok(b'TAG OK y\res\r\n'), 'unknown', True),
    ('NUL', ok(b'TAG OK y\0es\r\n'), 'unknown', True),
    ('wrong tag', ok(b'A1 OK yes\r\n'), 'unknown', True),
    ('tag with a tail', ok(b'TAG0 OK yes\r\n'), 'unknown', True),
    ('untagged OK', ok(b'* OK yes\r\n'), 'unknown', True),
    ('OKAY', ok(b'TAG OKAY yes\r\n'), 'unknown', True),
    ('PREAUTH as an answer', ok(b'TAG PREAUTH yes\r\n'), 'unknown', True),
    ('plus as an answer', ok(b'+ go on\r\n'), 'unknown', True),
    ('literal', ok(b'* LIST {9}\r\nTAG OK a\r\n' + YES), 'unknown', True),
    ('a line of a megabyte', ok(BIG + b'\r\n' + YES), 'unknown', True),
    ('endless lines', ok(endless(b'* OK x\r\n' * 99)), 'unknown', True),
    ('hang', ok(hang), 'unknown', True),
    # before the password
    ('greeting: PREAUTH', greeting(b'* PREAUTH hi\r\n'), 'unknown', False),
    ('greeting: BYE', greeting(b'* BYE [UNAVAILABLE] full\r\n'), 'unknown',
     False),
    ('greeting: POP3', greeting(b'+OK hello\r\n'), 'unknown', False),
    ('greeting: HTTP', greeting(b'HTTP/1.1 400 Bad\r\n\r\n'), 'unknown',
     False),
    ('greeting: tagged', greeting(b'p1 OK yes\r\n'), 'unknown', False),
    ('greeting: endless', greeting(endless(b'x' * 999)), 'unknown', False),
    ('greeting: half', greeting(then_close(b'* OK')), 'unknown', False),
    ('greeting: hang', greeting(hang), 'unknown', False),
    ('greeting: close', greeting(close), 'unknown', False),
    ('no AUTH=PLAIN', greeting(b'* OK [CAPABILITY IMAP4rev1] x\r\n'),
     'unknown', False),
    ('answers before it is asked', ok(hang, greeting=NO_IR + b'p1 OK yes\r\n'),
     'unknown', False),
    ('go-ahead before it is asked', ok(hang, greeting=NO_IR + b'+ \r\n'),
     'unknown', False),
    ('OK instead of a go-ahead', ok(YES, greeting=NO_IR, challenge=YES),
     'unknown', False),
    ('NO instead of a go-ahead', ok(YES, greeting=NO_IR, challenge=(
        b'TAG NO [AUTHORIZATIONFAILED] x\r\n')), 'unknown', False),
    ('hang instead of a go-ahead', ok(YES, greeting=NO_IR, challenge=hang),
     'unknown', False),
    ('handshake: hang', Script(handshake=hang), 'unknown', False),
    ('handshake: close', Script(handshake=close), 'unknown', False),
    ('handshake: clear text', Script(handshake=b'* OK hello\r\n'), 'unknown',
     False),
    # STARTTLS
    ('STARTTLS', ok(YES, starttls=True), 'verified', True),
    ('STARTTLS: refuses alice', ok(b'TAG NO [AUTHORIZATIONFAILED]\r\n',
                                   starttls=True), 'refused', True),
    ('STARTTLS: stripped', ok(YES, starttls=True, greeting=NO_IR, capability=(
        b'* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n')),
     'unknown', False),
    ('STARTTLS: NO', ok(YES, starttls=True,
                        starttls_answer=b'TAG NO sorry\r\n'), 'unknown',
     False),
    ('STARTTLS: BAD', ok(YES, starttls=True,
                         starttls_answer=b'TAG BAD sorry\r\n'), 'unknown',
     False),
    ('STARTTLS: PREAUTH', ok(YES, starttls=True,
                             greeting=b'* PREAUTH hi\r\n'), 'unknown', False),
    ('STARTTLS: injection', ok(hang, starttls=True, starttls_answer=(
        b'TAG OK begin\r\np1 OK yes\r\n')), 'unknown', False),
    ('STARTTLS: injected go-ahead', ok(hang, starttls=True, starttls_answer=(
        b'TAG OK begin\r\n+ \r\n')), 'unknown', False),
    ('STARTTLS: hang', ok(YES, starttls=True, starttls_answer=hang),
     'unknown', False),
    ('STARTTLS: OK and close', ok(YES, starttls=True, starttls_answer=(
        then_close(b'TAG OK begin\r\n'))), 'unknown', False),
]

# What STATUS INBOX says once alice is logged in, the verdict.
BOXES = [
    ('box', Script().box, 'verified'),
    ('NONEXISTENT', b'TAG NO [NONEXISTENT] x\r\n', 'refused'),
    ('no box, as Cyrus says it', b'TAG NO Mailbox does not exist\r\n',
     'refused'),
    ('NO', b'TAG NO x\r\n', 'unknown'),
    ('UNAVAILABLE', b'TAG NO [UNAVAILABLE] x\r\n', 'unknown'),
    ('AUTHORIZATIONFAILED', b'TAG NO [AUTHORIZATIONFAILED] x\r\n', 'unknown'),
    ('BAD', b'TAG BAD x\r\n', 'unknown'),
    ('BYE', then_close(b'* BYE x\r\n'), 'unknown'),
    ('the first tag again', b'p1 OK x\r\n', 'unknown'),
    ('close', close, 'unknown'),
    ('hang', hang, 'unknown'),
    ('literal', b'* STATUS {5}\r\nINBOX (MESSAGES 1)\r\nTAG OK x\r\n',
     'unknown'),
]


# What the server says to a login with the user's own password, the verdict.
PASSWORDS = [
    ('OK', YES, 'verified'),
    ('ok', b'TAG ok yes\r\n', 'verified'),
    ('OK with capabilities', b'TAG OK [CAPABILITY IMAP4rev1 AUTH=X] in\r\n',
     'verified'),
    ('ALERT first', b'* NO [ALERT] hear\r\n' + YES, 'verified'),
    ('AUTHENTICATIONFAILED', b'TAG NO [AUTHENTICATIONFAILED] x\r\n',
     'refused'),
    ('lower case code', b'TAG no [authenticationfailed]\r\n', 'refused'),
    ('EXPIRED', b'TAG NO [EXPIRED] x\r\n', 'refused'),
    ('AUTHORIZATIONFAILED', b'TAG NO [AUTHORIZATIONFAILED] x\r\n',
     'refused'),
    ('CONTACTADMIN', b'TAG NO [CONTACTADMIN] x\r\n', 'disabled'),
    ('BYE, then NO with a code',
     b'* BYE x\r\nTAG NO [AUTHENTICATIONFAILED] x\r\n', 'refused'),
    ('text: authentication failure', b'TAG NO authentication failure\r\n',
     'refused'),
    ('text: Login failed: authentication failure',
     b'TAG NO Login failed: authentication failure\r\n', 'refused'),
    ('text: user not found', b'TAG NO user not found\r\n', 'refused'),
    ('text: authorization failure', b'TAG NO authorization failure\r\n',
     'disabled'),
    ('text: account disabled', b'TAG NO account disabled\r\n', 'disabled'),
    ('text: passphrase expired',
     b'TAG NO passphrase expired, has to be reset\r\n', 'refused'),
    ('text: passphrase locked', b'TAG NO passphrase locked\r\n', 'refused'),
    ('text: no verifier',
     b'TAG NO user exists, but no verifier for user\r\n', 'refused'),
    ('LIMIT', b'TAG NO [LIMIT] x\r\n', 'unknown'),
    ('INUSE', b'TAG NO [INUSE] x\r\n', 'unknown'),
    ('UNAVAILABLE', b'TAG NO [UNAVAILABLE] x\r\n', 'unknown'),
    ('PRIVACYREQUIRED', b'TAG NO [PRIVACYREQUIRED] x\r\n', 'unknown'),
    ('SERVERBUG', b'TAG NO [SERVERBUG] x\r\n', 'unknown'),
    ('ALERT', b'TAG NO [ALERT] x\r\n', 'unknown'),
    ('THROTTLED', b'TAG NO [THROTTLED] x\r\n', 'unknown'),
    ('REFERRAL', b'TAG NO [REFERRAL imap://x/] x\r\n', 'unknown'),
    ('code without end', b'TAG NO [AUTHENTICATIONFAILED x\r\n', 'unknown'),
    ('NO alone', b'TAG NO\r\n', 'unknown'),
    ('text: generic failure', b'TAG NO generic failure\r\n', 'unknown'),
    ('text: no memory available', b'TAG NO no memory available\r\n',
     'unknown'),
    ('text: remote authentication server unavailable',
     b'TAG NO remote authentication server unavailable\r\n', 'unknown'),
    ('text: overflowed buffer', b'TAG NO overflowed buffer\r\n', 'unknown'),
    ('text with a tail', b'TAG NO authentication failure, retry\r\n',
     'unknown'),
    ('BAD', b'TAG BAD [AUTHENTICATIONFAILED] x\r\n', 'unknown'),
    ('BYE, then OK', b'* BYE x\r\n' + YES, 'unknown'),
    ('BYE and close', then_close(b'* BYE x\r\n'), 'unknown'),
    ('close', close, 'unknown'),
    ('half a line', then_close(b'TAG OK yes'), 'unknown'),
    ('bare LF', b'TAG OK yes\n', 'unknown'),
    ('wrong tag', b'A1 OK yes\r\n', 'unknown'),
    ('the tag of ID', b'p0 OK yes\r\n', 'unknown'),
    ('untagged OK', b'* OK yes\r\n', 'unknown'),
    ('plus as an answer', b'+ go on\r\n', 'unknown'),
    ('PREAUTH as an answer', b'TAG PREAUTH yes\r\n', 'unknown'),
    ('endless lines', endless(b'* OK x\r\n' * 99), 'unknown'),
    ('hang', hang, 'unknown'),
]

# What the server says to ID; a good password must verify all the same.
ID_ANSWERS = [
    ('OK', Script().id_answer),
    ('NO', b'TAG NO x\r\n'),
    ('BAD', b'TAG BAD what?\r\n'),
    ('lines of its own', b'* ID ("name" "x")\r\n* OK x\r\nTAG OK x\r\n'),
    ('octet by octet', drip(b'TAG OK x\r\n')),
    ('nothing', b''),
]


def password_case(world, step, want):
    server = world.server(Script(own=step))
    try:
        ask = world.ask([server], '--session-only', '--timeout', '400')
        verdict, ms = ask.verify()
        freed = ask.end()
    finally:
        server.close()
    equal(verdict, want, 'verdict')
    equal(secrets_heard(server, b'\0alice\0alicepw'), True, 'password heard')
    equal([log['authzid'] for log in server.logs], [''], 'authzid')
    assert ms < SOON and freed < SOON, (ms, freed)


def id_case(world, step):
    for more in ({}, {'greeting': NO_IR}, {'starttls': True}):
        server = world.server(Script(passwords=OWN, id_answer=step, **more))
        try:
            ask = world.ask([server], '--session-only', '--forward')
            equal(ask.password(address='2001:db8::1'), 'verified', more)
            equal(ask.password('wrong'), 'refused', more)
            ask.end()
        finally:
            server.close()
        ids = [[line for line in log['lines'] if b' ID ' in line]
               for log in server.logs]
        equal(ids, [[b'p0 ID ("x-originating-ip" "2001:db8::1")'], []],
              f'ID, with and without an address {more}')


def script_case(world, script, want, secret):
    server = world.server(script)
    try:
        ask = world.ask([server], '--mailbox', 'no', '--timeout', '400')
        verdict, ms = ask.ask()
        freed = ask.end()
    finally:
        server.close()
    equal(verdict, want, 'verdict')
    equal(secrets_heard(server), secret, 'password heard')
    assert all(log['tls'] or b'AUTHENTICATE' not in log['bytes']
               for log in server.logs), 'a login in clear text'
    assert ms < SOON and freed < SOON, (ms, freed)


def box_case(world, step, want):
    server = world.server(Script(accounts=Everybody(), boxes={'alice': step}))
    try:
        ask = world.ask([server], '--mailbox', 'yes', '--timeout', '400')
        verdict = ask.verdict()
        ask.end()
    finally:
        server.close()
    equal(verdict, want, 'verdict')


def certificate_case(world, cert, words):
    def case():
        for starttls in False, True:
            server = world.server(ok(YES, starttls=starttls), cert)
            try:
                ask = world.ask([server], '--mailbox', 'no')
                equal(ask.verdict(), 'unknown', 'verdict')
                ask.report('warning', words)
                ask.end()
            finally:
                server.close()
            equal(secrets_heard(server), False, 'password heard')
    return case


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Cases:
    """Everything that takes more than one question."""

    def __init__(self, world):
        self.world = world
        self.servers = []

    def server(self, script=None, **more):
        script = script or Script(accounts=accounts(),
                                  boxes={'alice': Script().box})
        self.servers.append(self.world.server(script, **more))
        return self.servers[-1]

    def done(self):
        while self.servers:
            self.servers.pop().close()

    def nobody_listens(self):
        ask = Ask([f'imaps://localhost:{free_port()}'],
                  self.world.path('ca.crt'), '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'verdict')
        ask.report('warning', 'connect')
        ask.end()

    def no_ca_file(self):
        server = self.server()
        ask = Ask([f'imaps://localhost:{server.port}'], '/nonexistent',
                  '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'verdict')
        ask.end()
        equal(secrets_heard(server), False, 'password heard')

    def environment_is_not_obeyed(self):
        server = self.server()
        trap = self.server()
        before = dict(os.environ)
        os.environ.update(
            https_proxy=f'http://127.0.0.1:{trap.port}',
            all_proxy=f'socks5://127.0.0.1:{trap.port}',
            no_proxy='', NO_PROXY='')
        try:
            ask = self.world.ask([server])
            equal(ask.verdict(), 'verified', 'verdict')
            ask.end()
        finally:
            os.environ.clear()
            os.environ.update(before)
        equal(trap.logs, [], 'connections to the proxy')

    def wrong_urls(self):
        for url in ('http://localhost', 'imaps://', 'imaps://a@localhost',
                    'imaps://localhost/INBOX', 'imap://localhost:0x1',
                    'imaps://localhost:99999', 'imaps://localhost?x',
                    'localhost', ''):
            got = subprocess.run(ASK.split() + ['--url', url, '--ca', 'x'],
                                 stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
            equal(got.returncode, 78, url)

    def auto_finds_a_server_that_knows_its_accounts(self):
        server = self.server()
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.report('info', 'mailbox_check is off')
        equal(ask.verdict(), 'verified', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        equal(ask.verdict('disabled@example.test'), 'disabled', 'disabled')
        ask.end()
        equal([log for log in server.logs if len(log['lines']) > 1], [],
              'more than one command')

    def auto_finds_a_server_that_accepts_everybody(self):
        server = self.server(Script(accounts=Everybody(),
                                    boxes={'alice': Script().box}))
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.report('info', 'mailbox_check is on')
        equal(ask.verdict(), 'verified', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        ask.end()

    def auto_without_any_proof_is_undecided(self):
        class Boxes(dict):
            def get(self, key, default=None):
                return Script().box
        server = self.server(Script(accounts=Everybody(), boxes=Boxes()))
        ask = self.world.ask([server])
        ask.report('alarm', 'does not exist', 'undecided')
        equal(ask.verdict(), 'unknown', ALICE)
        ask.end()

    def auto_with_a_server_that_hangs_up_says_why(self):
        server = self.server(Script(accounts=accounts(), stranger=close))
        ask = self.world.ask([server])
        ask.report('alarm', 'result_success')
        verdict, ms = ask.ask()
        equal(verdict, 'unknown', ALICE)
        assert ms < SOON, f'waited {ms} ms'
        server.script = Script(accounts=accounts())
        equal(ask.ready(), True, 'ready')
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def auto_waits_for_the_self_test(self):
        server = self.server(Script(accounts=accounts(), delay=0.3))
        ask = self.world.ask([server])
        equal(ask.verdict(), 'verified', 'asked at once')
        ask.end()

    def our_credential_is_broken(self):
        server = self.server()
        ask = self.world.ask([server], '--password', 'old', '--mailbox', 'no')
        for login in ALICE, 'nobody@example.test':
            equal(ask.verdict(login), 'unknown', login)
        ask.report('alarm', 'proxy_user')
        ask.end()
        equal(sum('proxy_user' in line for line in ask.reports), 1, 'alarms')

    def canary(self):
        server = self.server()
        ask = self.world.ask([server], '--canary', 'canary@example.test',
                             '--refused-ttl', '1')
        equal(ask.ready(), True, 'ready')
        ask.report('alarm', 'canary is refused')
        equal(ask.verdict('nobody@example.test'), 'unknown', 'refusal')
        equal(ask.verdict(), 'verified', ALICE)
        server.script = Script(accounts=accounts(canary=YES))
        ask.report('info', 'canary is verified')
        equal(ask.verdict('nobody@example.test'), 'refused', 'refusal')
        ask.end()

    def logins_that_are_never_asked(self):
        server = self.server()
        ask = self.world.ask([server], '--domain', 'example.test',
                             '--separator', '*')
        equal(ask.ready(), True, 'ready')
        before = len(server.logs)
        for login in ('alice@example.org', 'alice', 'alice@sub.example.test',
                      'alice*postern@example.test', 'alice@example.test.'):
            equal(ask.verdict(login), 'refused', login)
        ask.end()
        equal(len(server.logs), before, 'connections')

    def bytes_that_must_not_reach_the_wire(self):
        server = self.server()
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        before = len(server.logs)
        for login in 'al\tice@example.test', 'alice\x7f@example.test':
            equal(ask.verdict(login), 'unknown', login)
        ask.end()
        equal(len(server.logs), before, 'connections')

    def the_name_that_the_server_knows(self):
        for option, want in ((), 'alice'), (('--address',), ALICE):
            server = self.server()
            ask = self.world.ask([server], '--mailbox', 'no', *option)
            equal(ask.verdict(), 'verified', ALICE)
            ask.end()
            assert want in [log['authzid'] for log in server.logs], want

    def verdicts_are_cached_and_expire(self):
        server = self.server()
        ask = self.world.ask([server], '--ttl', '300', '--refused-ttl', '1')
        equal(ask.ready(), True, 'ready')
        server.logs.clear()
        for _ in range(5):
            equal(ask.verdict(), 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        server.script = Script(accounts={})
        ask.until('refused')
        server.script = Script(accounts=accounts())
        ask.until('verified')
        ask.end()

    def unknown_is_not_cached(self):
        server = self.server()
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        server.script = ok(b'TAG NO [UNAVAILABLE] x\r\n')
        equal(ask.verdict(), 'unknown', ALICE)
        server.script = ok(YES)
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def equal_questions_are_asked_once(self):
        server = self.server()
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.2)
        server.logs.clear()
        ask.tell('many 8 ' + ALICE)
        for _ in range(8):
            equal(ask.next().split()[2], 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def too_many_waiters(self):
        server = self.server()
        ask = self.world.ask([server], '--waiters', '2')
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.3)
        ask.tell('many 6 ' + ALICE)
        got = sorted(ask.next().split()[2] for _ in range(6))
        equal(got, ['unknown'] * 4 + ['verified'] * 2, 'verdicts')
        ask.end()

    def a_check_outlives_its_waiter(self):
        server = self.server()
        ask = self.world.ask([server], '--wait', '20')
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.2)
        server.logs.clear()
        equal(ask.verdict(), 'unknown', 'too late')
        ask.until('verified')
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def connections_have_a_ceiling(self):
        server = self.server()
        ask = self.world.ask([server], '--connections', '3')
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.02)
        server.most_open = 0
        ask.tell('load 16 60 example.test')
        equal(ask.next().split()[2:], ['decided', '60', 'of', '60'], 'load')
        ask.end()
        # The last connection may still be open here when it is closed there.
        assert server.most_open <= 6, server.most_open

    def one_deadline_over_everything(self):
        servers = [self.server(Script(greeting=hang)) for _ in range(3)]
        ask = self.world.ask(servers, '--mailbox', 'no', '--timeout', '600')
        verdict, ms = ask.ask()
        equal(verdict, 'unknown', ALICE)
        assert 500 < ms < 3 * 600, f'waited {ms} ms'
        assert all(server.logs for server in servers), 'not all were asked'
        ask.end()

    def the_next_url_is_asked(self):
        live = self.server()
        for name, dead in (('hangs', self.server(Script(greeting=hang))),
                           ('bye', self.server(greeting(b'* BYE x\r\n'))),
                           ('name', self.server(cert='other')),
                           ('closes', self.server(ok(close)))):
            ask = self.world.ask([dead, live], '--mailbox', 'no', '--timeout',
                                 '1000')
            equal(ask.verdict(), 'verified', name)
            ask.report('warning', 'the next url is asked')
            ask.end()
        ask = Ask([f'imaps://localhost:{free_port()}',
                   f'imaps://localhost:{live.port}'],
                  self.world.path('ca.crt'))
        equal(ask.verdict(), 'verified', 'refused connection')
        ask.end()

    def an_answer_is_not_asked_for_twice(self):
        first = self.server(ok(b'TAG NO [UNAVAILABLE] x\r\n'))
        second = self.server()
        ask = self.world.ask([first, second], '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', ALICE)
        ask.end()
        equal(second.logs, [], 'connections to the second url')

    def a_changed_cause_is_reported(self):
        server = self.server(ok(b'TAG NO [UNAVAILABLE] x\r\n'))
        ask = self.world.ask([server], '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'UNAVAILABLE')
        ask.report('undecided', '[UNAVAILABLE]', 'imap')
        server.script = ok(b'TAG NO [INUSE] y\r\n')
        equal(ask.verdict(), 'unknown', 'INUSE')
        ask.report('undecided', '[INUSE]')
        ask.end()

    def the_breaker_opens_and_closes(self):
        server = self.server()
        ask = self.world.ask([server], '--timeout', '300')
        equal(ask.ready(), True, 'ready')
        server.script = ok(hang)
        for _ in range(3):
            equal(ask.verdict(), 'unknown', 'hanging')
        ask.report('alarm', 'not asked for 1000 ms')
        asked = len(server.logs)
        equal(ask.verdict(), 'unknown', 'open')
        equal(len(server.logs), asked, 'connections while it is open')
        server.script = ok(YES)
        ask.until('verified')
        ask.report('info', 'decides again')
        ask.end()

    def one_busy_account_does_not_open_the_breaker(self):
        server = self.server(ok(b'TAG NO [LIMIT] x\r\n'))
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        for _ in range(10):
            equal(ask.verdict(), 'unknown', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        ask.end()

    def a_restarted_server_is_asked_again(self):
        server = self.server()
        ask = self.world.ask([server], '--ttl', '1')
        equal(ask.ready(), True, 'ready')
        equal(ask.verdict(), 'verified', 'before')
        port = server.port
        self.done()
        ask.until('unknown')
        server = self.server(port=port)
        ask.until('verified')
        ask.end()

    def free_does_not_wait_for_anybody(self):
        for script in (ok(hang), greeting(hang), Script(handshake=hang),
                       ok(YES, starttls=True, starttls_answer=hang),
                       ok(hang, starttls=True), greeting(endless(b'* '))):
            server = self.server(script)
            ask = self.world.ask([server], '--mailbox', 'no', '--wait', '100',
                                 '--timeout', '60000')
            equal(ask.verdict(), 'unknown', ALICE)
            freed = ask.end()
            assert freed < SOON, f'identity_free() took {freed} ms'

    # --- passwords ---

    def own(self, **more):
        """A server that knows alice's password, and no proxy."""
        return self.server(Script(passwords=dict(OWN), **more))

    def session(self, server, *options):
        return self.world.ask([server], '--session-only', *options)

    def without_a_proxy_nothing_is_asked_before_a_password(self):
        server = self.own()
        ask = self.session(server)
        equal(ask.ready(0), True, 'ready at once')
        verdict, ms = ask.ask()
        equal(verdict, 'unknown', ALICE)
        assert ms < 100, f'waited {ms} ms'
        equal(server.logs, [], 'connections')
        equal(ask.password(), 'verified', ALICE)
        ask.end()

    def passwords_that_are_never_asked(self):
        server = self.own()
        ask = self.session(server, '--domain', 'example.test', '--separator',
                           '*')
        for login in ('alice@example.org', 'alice', 'alice*bob@example.test'):
            equal(ask.password(login=login), 'refused', login)
        for password in 'a\x7fb', 'a\x01b', 'x' * 1025:
            equal(ask.password(password), 'refused', password[:9])
        equal(len(server.logs), 0, 'connections')
        equal(ask.password('x' * 1024), 'refused', 'the longest')
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def a_verified_password_is_remembered(self):
        server = self.own()
        ask = self.session(server, '--ttl', '400', '--refused-ttl', '1')
        equal(ask.password(), 'verified', 'first')
        for _ in range(3):
            equal(ask.password(), 'verified remembered', 'again')
        equal(ask.password('alicepW'), 'refused', 'another one')
        equal(ask.password(), 'verified remembered', 'after another one')
        equal(len(server.logs), 2, 'connections')
        # not for longer because it was asked for
        server.script = Script()
        ask.until_password('refused')
        ask.end()

    def a_refused_password_is_remembered_for_a_while(self):
        server = self.own()
        ask = self.session(server, '--refused-ttl', '300')
        equal(ask.password('new'), 'refused', 'before the change')
        equal(ask.password('new'), 'refused remembered', 'again')
        server.script = Script(passwords={'alice': b'new'})
        ask.until_password('verified', 'new')
        ask.end()

    def an_undecided_password_is_not_remembered(self):
        server = self.own(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask = self.session(server)
        equal(ask.password(), 'unknown', 'unavailable')
        server.script = Script(passwords=OWN)
        equal(ask.password(), 'verified', 'available')
        ask.end()

    def a_changed_password_purges_only_itself(self):
        server = self.own()
        ask = self.session(server, '--ttl', '400')
        equal(ask.password(), 'verified', 'old')
        server.script = Script(passwords={'alice': b'new'})
        ask.until_password('refused')
        equal(ask.password('new'), 'verified', 'new')
        equal(ask.password(), 'refused remembered', 'old')
        equal(ask.password('new'), 'verified remembered', 'new')
        ask.end()

    def the_same_password_of_another_is_another(self):
        server = self.own()
        ask = self.session(server)
        equal(ask.password(), 'verified', ALICE)
        equal(ask.password(login='bob@example.test'), 'refused', 'bob')
        # The lengths keep them apart, not a separator.
        equal(ask.password('pw', login='alice@example.testalice'), 'refused',
              'moved border')
        ask.end()

    def without_grace_nobody_verifies_who_cannot_be_asked(self):
        server = self.own()
        ask = self.session(server, '--ttl', '1')
        equal(ask.password(), 'verified', 'before')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def with_grace_who_verified_before_still_does(self):
        server = self.own()
        ask = self.session(server, '--ttl', '1', '--refused-ttl', '1',
                           '--grace', '60000', '--timeout', '300')
        graced = 'verified remembered graced'
        equal(ask.password(), 'verified', 'before')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password(graced)
        equal(ask.password('never seen'), 'unknown', 'another password')
        ask.report('warning', 'verified before still does')
        # also when the breaker is open, and nobody waits
        server.script = Script(greeting=hang)
        for _ in range(3):
            equal(ask.password(), graced, 'hanging')
        ask.report('alarm', 'about passwords', 'not asked for 1000 ms')
        got, ms = ask.verify()
        equal(got, graced, 'breaker open')
        assert ms < 100, f'waited {ms} ms'
        # a refusal ends the grace
        server.script = Script()
        ask.until_password('refused')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def grace_ends(self):
        server = self.own()
        ask = self.session(server, '--ttl', '1', '--grace', '400')
        equal(ask.password(), 'verified', 'before')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def equal_passwords_are_asked_once(self):
        server = self.own(delay=0.2)
        ask = self.session(server)
        ask.tell(f'manyverify 50 {ALICE} alicepw')
        for _ in range(50):
            equal(ask.next().split()[2], 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def a_guess_does_not_decide_for_the_owner(self):
        """Both are under way at once; only equal passwords share."""
        server = self.own(delay=0.3)
        ask = self.session(server)
        ask.tell('leave 3 example.test guess')
        equal(ask.next(), 'left 3', 'under way')
        ask.tell(f'manyverify 2 {ALICE} alicepw')
        for _ in range(2):
            equal(ask.next().split()[2], 'verified', ALICE)
        equal(len(server.logs), 4, 'connections')
        ask.end()

    def a_hanging_server_is_given_up_in_time(self):
        server = self.own(own=hang)
        ask = self.session(server, '--timeout', '500')
        got, ms = ask.verify()
        equal(got, 'unknown', 'verdict')
        assert 400 < ms < SOON, f'waited {ms} ms'
        ask.end()

    def ten_thousand_passwords_cost_memory_only(self):
        """One connection that hangs; nothing moves but the clock. Beyond a
        bound they are answered at once."""
        server = self.own(own=hang)
        ask = self.session(server, '--timeout', '60000', '--connections', '1')
        ask.fds()
        threads, before = ask.size()
        ask.tell('pwload 20000 20000 example.test pw')
        words = ask.next().split()
        got = dict(zip(words[::2], map(float, words[1::2])))
        equal(got['unknown'], 20000, 'undecided')
        assert got['slowest'] < 8100, f'waited {got["slowest"]} ms'
        more_threads, after = ask.size()
        equal(more_threads, threads, 'threads')
        assert after - before < 100, f'{before} MB became {after} MB'
        ask.report('warning', 'no connection was free in time')
        assert len(server.logs) < 5, len(server.logs)
        server.script = Script(own=YES)
        equal(ask.pwload(8, 100)['verified'], 100, 'afterwards')
        ask.end()

    def freeing_answers_everybody(self):
        server = self.own(own=hang)
        ask = self.session(server, '--timeout', '60000')
        ask.tell('leave 5000 example.test pw')
        equal(ask.next(), 'left 5000', 'under way')
        freed, called_back = ask.end_counting()
        equal(called_back, 5000, 'called back')
        assert freed < SOON, f'identity_free() took {freed} ms'

    def passwords_do_not_starve_questions_about_accounts(self):
        server = self.server(Script(accounts=accounts(), own=hang))
        ask = self.world.ask([server], '--connections', '4', '--timeout',
                             '60000')
        equal(ask.ready(), True, 'ready')
        ask.tell('leave 5000 example.test pw')
        equal(ask.next(), 'left 5000', 'under way')
        got, ms = ask.ask()
        equal(got, 'verified', ALICE)
        assert ms < 1000, f'waited {ms} ms'
        ask.end()

    def a_broken_proxy_does_not_stop_passwords(self):
        server = self.own(accounts=accounts())
        ask = self.world.ask([server], '--password', 'old', '--mailbox', 'no')
        for i in range(4):
            equal(ask.verdict(f'x{i}@example.test'), 'unknown', 'proxy')
        ask.report('alarm', 'not asked for 1000 ms')
        equal(ask.password(), 'verified', 'good')
        equal(ask.password('bad'), 'refused', 'bad')
        ask.end()

    def hanging_passwords_do_not_stop_the_proxy(self):
        server = self.server(Script(accounts=accounts(), own=hang))
        ask = self.world.ask([server], '--timeout', '300')
        equal(ask.ready(), True, 'ready')
        for i in range(4):
            equal(ask.password(f'pw{i}'), 'unknown', 'hanging')
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def the_breaker_of_passwords_opens_and_closes(self):
        server = self.own(greeting=hang)
        ask = self.session(server, '--timeout', '300')
        for i in range(3):
            equal(ask.password(f'pw{i}'), 'unknown', 'hanging')
        ask.report('alarm', 'about passwords', 'not asked for 1000 ms')
        asked = len(server.logs)
        got, ms = ask.verify()
        equal(got, 'unknown', 'open')
        assert ms < 100, f'waited {ms} ms'
        equal(len(server.logs), asked, 'connections while it is open')
        server.script = Script(passwords=OWN)
        ask.until_password('verified')
        ask.report('info', 'about passwords again')
        ask.end()

    def an_answer_is_about_one_address_if_the_server_is_told(self):
        for option, want in ((), 1), (('--forward',), 3):
            server = self.own()
            ask = self.session(server, *option)
            for address in '192.0.2.1', '192.0.2.2', '', '192.0.2.1':
                got = ask.password(address=address)
                equal(got.split()[0], 'verified', address)
            ask.end()
            equal(len(server.logs), want, f'connections {option}')

    def what_a_stranger_brings_about_does_not_open_the_breaker(self):
        for own in (hang, close, b'TAG NO [UNAVAILABLE] x\r\n',
                    b'TAG NO [LIMIT] x\r\n', b'TAG BAD x\r\n'):
            server = self.own(own=own)
            ask = self.session(server, '--timeout', '300')
            for i in range(4):
                equal(ask.password(f'pw{i}'), 'unknown', own)
            server.script = Script(passwords=OWN)
            equal(ask.password(), 'verified', own)
            ask.end()

    def a_refused_canary_makes_refusals_undecided(self):
        server = self.own(accounts=accounts())
        ask = self.world.ask([server], '--canary', 'canary@example.test',
                             '--refused-ttl', '1')
        ask.report('alarm', 'canary is refused')
        equal(ask.password('bad'), 'unknown', 'bad')
        equal(ask.password(), 'verified', 'good')
        server.script = Script(accounts=accounts(canary=YES), passwords=OWN)
        ask.report('info', 'canary is verified')
        equal(ask.password('bad'), 'refused', 'bad')
        ask.end()

    def the_next_url_is_asked_about_a_password(self):
        live = self.own()
        for dead in (self.server(Script(greeting=hang)),
                     self.own(own=close), self.server(cert='other')):
            ask = self.world.ask([dead, live], '--session-only', '--timeout',
                                 '1000')
            equal(ask.password(), 'verified', 'good')
            ask.end()
        first = self.own(own=b'TAG NO [AUTHENTICATIONFAILED]\r\n')
        ask = self.world.ask([first, live], '--session-only')
        equal(ask.password(), 'refused', 'the first one decided')
        ask.end()

    def id_is_not_sent_unasked(self):
        server = self.own()
        ask = self.session(server)
        equal(ask.password(address='192.0.2.1'), 'verified', 'good')
        ask.end()
        equal(len(server.logs[0]['lines']), 1, 'commands')

    def a_server_that_repeats_the_password_is_not_quoted(self):
        def parrot(conn):
            conn.say(b'* NO ' + conn.log['lines'][-1] + b'\r\nTAG BAD ' +
                     conn.log['lines'][-1] + b'\r\n')
        for more in {}, {'greeting': NO_IR}:
            server = self.own(own=parrot, **more)
            ask = self.session(server, '--trace')
            equal(ask.password('averylongpassword'), 'unknown', 'verdict')
            ask.report('repeats the password')
            ask.end()
            shown = base64.b64encode(b'\0alice\0averylongpassword')[4:12]
            bad = [line for line in ask.reports if shown.decode() in line or
                   'averylong' in line]
            equal(bad, [], 'reports with the password')

    def every_step_can_be_watched(self):
        server = self.own()
        ask = self.session(server, '--trace', '--forward')
        equal(ask.password(address='192.0.2.1'), 'verified', 'good')
        for words in (('asking imaps://localhost', 'as alice'), ('TLSv1.',),
                      ('server: * OK [CAPABILITY',),
                      ('postern: p0 ID', '192.0.2.1'),
                      ('postern: p1 AUTHENTICATE PLAIN (password not shown)',),
                      ('server: p1 OK',), ('result: verified',)):
            ask.report('report trace', *words)
        ask.end()

    def what_is_offered(self):
        words = b'IMAP4rev1 AUTH=PLAIN auth=scram-sha-256 AUTH=SCRAM-SHA-1-PLUS'
        for more in ({'greeting': b'* OK [CAPABILITY ' + words + b'] x\r\n'},
                     {'greeting': NO_IR, 'capability': (
                         b'* CAPABILITY ' + words + b'\r\nTAG OK x\r\n')},
                     {'starttls': True, 'capability': (
                         b'* CAPABILITY STARTTLS ' + words +
                         b'\r\nTAG OK x\r\n')}):
            server = self.own(**more)
            ask = self.session(server, '--mechanisms',
                               'SCRAM-SHA-256,SCRAM-SHA-1')
            equal(ask.ready(), True, 'ready')
            for name, want in (('SCRAM-SHA-256', True), ('PLAIN', False),
                               ('SCRAM-SHA-1', False), ('CRAM-MD5', False)):
                equal(ask.offers(name), want, f'{name} {more}')
            ask.end()
            equal([log['authcid'] for log in server.logs], [None], 'logins')

    def what_is_not_known_is_not_offered(self):
        for step in (b'* BYE x\r\n', hang, b'* PREAUTH x\r\n'):
            server = self.own(greeting=step)
            ask = self.session(server, '--mechanisms', 'CRAM-MD5',
                               '--timeout', '300')
            ask.report('warning', 'which mechanisms are offered')
            equal(ask.ready(0), False, 'ready')
            equal(ask.offers('CRAM-MD5'), False, 'offered')
            server.script = Script(greeting=(
                b'* OK [CAPABILITY AUTH=CRAM-MD5] x\r\n'))
            equal(ask.ready(), True, 'ready')
            equal(ask.offers('CRAM-MD5'), True, 'offered')
            ask.end()

    def an_offer_that_changed_is_heard_by_the_way(self):
        server = self.own(greeting=(
            b'* OK [CAPABILITY AUTH=PLAIN AUTH=CRAM-MD5] x\r\n'))
        ask = self.session(server, '--mechanisms', 'CRAM-MD5')
        equal(ask.ready(), True, 'ready')
        equal(ask.offers('CRAM-MD5'), True, 'before')
        server.script = Script(passwords=OWN)
        equal(ask.password(), 'verified', ALICE)
        equal(ask.offers('CRAM-MD5'), False, 'after')
        ask.end()

    def descriptors_do_not_leak(self):
        server = self.server(ok(YES))
        ask = self.world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.tell('load 4 20 example.test')
        ask.next()
        before = ask.fds()
        ask.tell('load 8 2000 example.org')
        equal(ask.next().split()[2:], ['decided', '2000', 'of', '2000'],
              'load')
        assert ask.fds() <= before, f'{before} descriptors became more'
        ask.end()
        resumed = sum(bool(log['resumed']) for log in server.logs)
        assert resumed > 1000, f'only {resumed} sessions were resumed'


def all_cases(world):
    for name, script, want, secret in SCRIPTS:
        yield name, lambda s=script, w=want, p=secret: \
            script_case(world, s, w, p)
    for name, step, want in BOXES:
        yield 'INBOX: ' + name, lambda s=step, w=want: box_case(world, s, w)
    for name, step, want in PASSWORDS:
        yield 'password: ' + name, lambda s=step, w=want: \
            password_case(world, s, w)
    for name, step in ID_ANSWERS:
        yield 'ID: ' + name, lambda s=step: id_case(world, s)
    for cert, words in (('other', 'SSL'), ('expired', 'expired'),
                        ('rogue', 'certificate')):
        yield 'certificate: ' + cert, certificate_case(world, cert, words)
    more = Cases(world)
    for name in [n for n, f in vars(Cases).items()
                 if callable(f) and n[0] != '_']:
        if name not in ('server', 'done', 'own', 'session'):
            def case(method=getattr(more, name)):
                try:
                    method()
                finally:
                    more.done()
            yield name.replace('_', ' '), case


def main():
    failed = ran = 0
    with tempfile.TemporaryDirectory() as directory:
        world = World(directory)
        for name, case in all_cases(world):
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            ran += 1
            start = time.monotonic()
            try:
                case()
                if os.environ.get('VERBOSE'):
                    print(f'ok: {name} ({time.monotonic() - start:.2f} s)')
            except (AssertionError, OSError, subprocess.SubprocessError,
                    ValueError) as error:
                failed += 1
                print(f'not ok: {name}: {error}', flush=True)
            finally:
                end_what_runs()
    print(f'{ran} cases, {failed} failed')
    sys.exit(1 if failed or not ran else 0)


if __name__ == '__main__':
    main()
