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
        self.process.stdin.close()
        line = self.next()
        Ask.running.remove(self)
        status = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stdout.close()
        assert status == 0 and line.startswith('freed '), (status, line)
        return float(line.split()[1])


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


def secrets_heard(server):
    """Did any connection, protected or not, carry our password?"""
    heard = False
    for log in server.logs:
        for line in log['bytes'].split(b'\r\n'):
            for word in line.split():
                try:
                    heard |= b'posternpw' in base64.b64decode(
                        word, validate=True)
                except ValueError:
                    pass
            heard |= b'posternpw' in line
    return heard


BIG = b'* OK ' + b'x' * (1 << 20)
NO_IR = b'* OK hello\r\n'
YES = b'TAG OK yes\r\n'


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
    for cert, words in (('other', 'SSL'), ('expired', 'expired'),
                        ('rogue', 'certificate')):
        yield 'certificate: ' + cert, certificate_case(world, cert, words)
    more = Cases(world)
    for name in [n for n, f in vars(Cases).items()
                 if callable(f) and n[0] != '_']:
        if name not in ('server', 'done'):
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
