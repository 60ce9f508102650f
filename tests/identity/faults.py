#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Questions about accounts to servers that lie, stammer, hang and die.

Every case says what the engine must answer and what the server may have heard.
Needs no root and no network but loopback. ASK names the built tests/lib/ask.
Arguments: names of cases (default: all).
"""
import os
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (ALICE, ASK, Ask, Cases, equal, hold_port, run,
                     secrets_heard, until)  # noqa: E402
from fake_imap import (Everybody, Script, accounts, close, drip, endless, hang,
                       held, then_close, then_hang)  # noqa: E402

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
    ('untagged OK', ok(then_hang(b'* OK yes\r\n')), 'unknown', True),
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
    ('answers before it is asked', ok(YES, greeting=NO_IR + b'p1 OK yes\r\n'),
     'unknown', False),
    ('go-ahead before it is asked', ok(YES, greeting=NO_IR + b'+ \r\n'),
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
    ('STARTTLS: injection', ok(YES, starttls=True, starttls_answer=(
        b'TAG OK begin\r\np1 OK yes\r\n')), 'unknown', False),
    ('STARTTLS: injected go-ahead', ok(YES, starttls=True, starttls_answer=(
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

# Whose is not good enough, and what is said of it.
CERTIFICATES = [('other', 'SSL'), ('expired', 'expired'),
                ('rogue', 'certificate')]


class Accounts(Cases):
    def _server(self, script=None, **more):
        return self._serve(script or Script(
            accounts=accounts(), boxes={'alice': Script().box}), **more)

    def _rows(self):
        for name, *row in SCRIPTS:
            yield name, lambda row=row: self._script(*row)
        for name, *row in BOXES:
            yield 'INBOX: ' + name, lambda row=row: self._box(*row)
        for row in CERTIFICATES:
            yield 'certificate: ' + row[0], lambda row=row: \
                self._certificate(*row)

    def _alice(self, script, *options):
        """The verdict on her, and the server."""
        def case(ms):
            server = self._serve(script)
            ask = self._world.ask([server], *options, '--timeout', str(ms))
            verdict = ask.verdict()
            ask.end()
            return verdict, server
        steps = list(vars(script).values()) + list(
            script.accounts.values()) + list(script.boxes.values())
        verdict, server = self._in_time(steps, case)
        self._done()
        return verdict, server

    def _script(self, script, want, secret):
        verdict, server = self._alice(script, '--mailbox', 'no')
        equal(verdict, want, 'verdict')
        equal(secrets_heard(server), secret, 'password heard')
        assert all(log['tls'] or b'AUTHENTICATE' not in log['bytes']
                   for log in server.logs), 'a login in clear text'

    def _box(self, step, want):
        verdict, _ = self._alice(
            Script(accounts=Everybody(), boxes={'alice': step}),
            '--mailbox', 'yes')
        equal(verdict, want, 'verdict')

    def _certificate(self, cert, words):
        for starttls in False, True:
            server = self._serve(ok(YES, starttls=starttls), cert=cert)
            ask = self._world.ask([server], '--mailbox', 'no')
            equal(ask.verdict(), 'unknown', 'verdict')
            ask.report('warning', words)
            ask.end()
            self._done()
            equal(secrets_heard(server), False, 'password heard')

    def nobody_listens(self):
        holder, port = hold_port()
        ask = Ask([f'imaps://localhost:{port}'], self._world.path('ca.crt'),
                  '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'verdict')
        ask.report('warning', 'connect')
        ask.end()
        holder.close()

    def a_url_of_the_wrong_kind_says_so(self):
        for scheme, starttls, words in (('imap', False, 'imaps://'),
                                        ('imaps', True, 'STARTTLS')):
            server = self._server(Script(starttls=starttls))
            ask = Ask([f'{scheme}://localhost:{server.port}'],
                      self._world.path('ca.crt'), '--mailbox', 'no',
                      '--timeout', '1000')
            equal(ask.verdict(), 'unknown', scheme)
            ask.report('warning', words)
            ask.end()

    def no_ca_file(self):
        server = self._server()
        ask = Ask([f'imaps://localhost:{server.port}'], '/nonexistent',
                  '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'verdict')
        ask.end()
        equal(secrets_heard(server), False, 'password heard')

    def environment_is_not_obeyed(self):
        server = self._server()
        trap = self._server()
        before = dict(os.environ)
        os.environ.update(
            https_proxy=f'http://127.0.0.1:{trap.port}',
            all_proxy=f'socks5://127.0.0.1:{trap.port}',
            no_proxy='', NO_PROXY='')
        try:
            ask = self._world.ask([server])
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
        server = self._server()
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.report('info', 'mailbox_check is off')
        equal(ask.verdict(), 'verified', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        equal(ask.verdict('disabled@example.test'), 'disabled', 'disabled')
        ask.end()
        equal([log for log in server.logs if len(log['lines']) > 1], [],
              'more than one command')

    def auto_finds_a_server_that_accepts_everybody(self):
        server = self._server(Script(accounts=Everybody(),
                                    boxes={'alice': Script().box}))
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.report('info', 'mailbox_check is on')
        equal(ask.verdict(), 'verified', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        ask.end()

    def auto_without_any_proof_is_undecided(self):
        class Boxes(dict):
            def get(self, key, default=None):
                return Script().box
        server = self._server(Script(accounts=Everybody(), boxes=Boxes()))
        ask = self._world.ask([server])
        ask.report('alarm', 'does not exist', 'undecided')
        equal(ask.verdict(), 'unknown', ALICE)
        ask.end()

    def auto_with_a_server_that_hangs_up_says_why(self):
        server = self._server(Script(accounts=accounts(), stranger=close))
        ask = self._world.ask([server])
        ask.report('alarm', 'result_success')
        equal(ask.verdict(), 'unknown', ALICE)
        server.script = Script(accounts=accounts())
        equal(ask.ready(), True, 'ready')
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def auto_waits_for_the_self_test(self):
        server = self._server(Script(accounts=accounts(), delay=0.3))
        ask = self._world.ask([server])
        equal(ask.verdict(), 'verified', 'asked at once')
        ask.end()

    def our_credential_is_broken(self):
        server = self._server()
        ask = self._world.ask([server], '--password', 'old', '--mailbox', 'no')
        for login in ALICE, 'nobody@example.test':
            equal(ask.verdict(login), 'unknown', login)
        ask.report('alarm', 'proxy_user')
        ask.end()
        equal(sum('proxy_user' in line for line in ask.reports), 1, 'alarms')

    def canary(self):
        server = self._server()
        ask = self._world.ask([server], '--canary', 'canary@example.test',
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
        server = self._server()
        ask = self._world.ask([server], '--domain', 'example.test',
                             '--separator', '*')
        equal(ask.ready(), True, 'ready')
        before = len(server.logs)
        for login in ('alice@example.org', 'alice', 'alice@sub.example.test',
                      'alice*postern@example.test', 'alice@example.test.'):
            equal(ask.verdict(login), 'refused', login)
        ask.end()
        equal(len(server.logs), before, 'connections')

    def bytes_that_must_not_reach_the_wire(self):
        server = self._server()
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        before = len(server.logs)
        for login in 'al\tice@example.test', 'alice\x7f@example.test':
            equal(ask.verdict(login), 'unknown', login)
        ask.end()
        equal(len(server.logs), before, 'connections')

    def the_name_that_the_server_knows(self):
        for option, want in ((), 'alice'), (('--address',), ALICE):
            server = self._server()
            ask = self._world.ask([server], '--mailbox', 'no', *option)
            equal(ask.verdict(), 'verified', ALICE)
            ask.end()
            assert want in [log['authzid'] for log in server.logs], want

    def verdicts_are_cached_and_expire(self):
        server = self._server()
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        server.logs.clear()
        for _ in range(5):
            equal(ask.verdict(), 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        ask.end()
        ask = self._world.ask([server], '--ttl', '300', '--refused-ttl', '1')
        equal(ask.verdict(), 'verified', ALICE)
        server.script = Script(accounts={})
        ask.until('refused')
        server.script = Script(accounts=accounts())
        ask.until('verified')
        ask.end()

    def unknown_is_not_cached(self):
        server = self._server()
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        server.script = ok(b'TAG NO [UNAVAILABLE] x\r\n')
        equal(ask.verdict(), 'unknown', ALICE)
        server.script = ok(YES)
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def equal_questions_are_asked_once(self):
        server = self._server()
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.2)
        server.logs.clear()
        ask.tell('many 8 ' + ALICE)
        for _ in range(8):
            equal(ask.next().split()[2], 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def too_many_waiters(self):
        server = self._server()
        ask = self._world.ask([server], '--waiters', '2')
        equal(ask.ready(), True, 'ready')
        enough = threading.Event()
        server.script = ok(held(YES, enough))
        ask.tell('many 6 ' + ALICE)
        got = [ask.next().split()[2] for _ in range(4)]
        enough.set()
        got += [ask.next().split()[2] for _ in range(2)]
        equal(got, ['unknown'] * 4 + ['verified'] * 2, 'verdicts')
        ask.end()

    def a_check_outlives_its_waiter(self):
        server = self._server()
        ask = self._world.ask([server], '--wait', '20')
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.2)
        server.logs.clear()
        equal(ask.verdict(), 'unknown', 'too late')
        ask.until('verified')
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def connections_have_a_ceiling(self):
        server = self._server()
        ask = self._world.ask([server], '--connections', '3')
        equal(ask.ready(), True, 'ready')
        server.script = Script(accounts=accounts(), delay=0.02)
        ask.tell('load 16 60 example.test')
        equal(ask.next().split()[2:], ['decided', '60', 'of', '60'], 'load')
        ask.end()
        assert server.most_judging <= 3, server.most_judging

    def one_deadline_over_everything(self):
        servers = [self._server(Script(greeting=hang)) for _ in range(3)]
        ask = self._world.ask(servers, '--mailbox', 'no', '--timeout', '1500')
        verdict, ms = ask.ask()
        equal(verdict, 'unknown', ALICE)
        assert 1400 < ms < 3 * 1500, f'waited {ms} ms'
        until(lambda: all(server.logs for server in servers), 'all are asked')
        ask.end()

    def the_next_url_is_asked(self):
        live = self._server()
        for name, dead in (('hangs', self._server(Script(greeting=hang))),
                           ('bye', self._server(greeting(b'* BYE x\r\n'))),
                           ('name', self._server(cert='other')),
                           ('closes', self._server(ok(close)))):
            # half of it for each of the two
            ask = self._world.ask([dead, live], '--mailbox', 'no', '--timeout',
                                  '3000')
            equal(ask.verdict(), 'verified', name)
            ask.report('warning', 'the next url is asked')
            ask.end()
        holder, port = hold_port()
        ask = Ask([f'imaps://localhost:{port}',
                   f'imaps://localhost:{live.port}'],
                  self._world.path('ca.crt'))
        equal(ask.verdict(), 'verified', 'refused connection')
        ask.end()
        holder.close()

    def an_answer_is_not_asked_for_twice(self):
        first = self._server(ok(b'TAG NO [UNAVAILABLE] x\r\n'))
        second = self._server()
        ask = self._world.ask([first, second], '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', ALICE)
        ask.end()
        equal(second.logs, [], 'connections to the second url')

    def a_changed_cause_is_reported(self):
        server = self._server(ok(b'TAG NO [UNAVAILABLE] x\r\n'))
        ask = self._world.ask([server], '--mailbox', 'no')
        equal(ask.verdict(), 'unknown', 'UNAVAILABLE')
        ask.report('undecided', '[UNAVAILABLE]', 'imap')
        server.script = ok(b'TAG NO [INUSE] y\r\n')
        equal(ask.verdict(), 'unknown', 'INUSE')
        ask.report('undecided', '[INUSE]')
        ask.end()

    def the_breaker_opens_and_closes(self):
        server = self._server()
        ask = self._world.ask([server], '--timeout', '300')
        equal(ask.ready(), True, 'ready')
        server.script = ok(hang)
        for _ in range(3):
            equal(ask.verdict(), 'unknown', 'hanging')
        ask.report('alarm', 'not asked for 1000 ms')
        ask.until_left_alone(server, ask.verdict, 'unknown')
        server.script = ok(YES)
        ask.until('verified')
        ask.report('info', 'decides again')
        ask.end()

    def one_busy_account_does_not_open_the_breaker(self):
        server = self._server(ok(b'TAG NO [LIMIT] x\r\n'))
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        for _ in range(10):
            equal(ask.verdict(), 'unknown', ALICE)
        equal(ask.verdict('nobody@example.test'), 'refused', 'nobody')
        ask.end()

    def a_restarted_server_is_asked_again(self):
        holder, port = hold_port()
        server = self._server(port=port)
        ask = self._world.ask([server], '--ttl', '1')
        equal(ask.ready(), True, 'ready')
        equal(ask.verdict(), 'verified', 'before')
        self._done()
        ask.until('unknown')
        server = self._server(port=port)
        ask.until('verified')
        ask.end()
        holder.close()

    def free_does_not_wait_for_anybody(self):
        noisy = greeting(endless(b'* '))
        for script in (ok(hang), greeting(hang), Script(handshake=hang),
                       ok(YES, starttls=True, starttls_answer=hang),
                       ok(hang, starttls=True), noisy):
            server = self._server(script)
            ask = self._world.ask([server], '--mailbox', 'no', '--wait', '100')
            equal(ask.verdict(), 'unknown', ALICE)
            until(lambda: script is noisy or
                  any(log['hung'] for log in server.logs), 'it hangs')
            ask.end()

    def descriptors_do_not_leak(self):
        server = self._server(ok(YES))
        ask = self._world.ask([server])
        equal(ask.ready(), True, 'ready')
        ask.tell('load 4 20 example.test')
        ask.next()
        before = ask.fds()
        ask.tell('load 8 600 example.org')
        equal(ask.next().split()[2:], ['decided', '600', 'of', '600'],
              'load')
        assert ask.fds() <= before, f'{before} descriptors became more'
        ask.end()
        resumed = sum(bool(log['resumed']) for log in server.logs)
        assert resumed > 300, f'only {resumed} sessions were resumed'


if __name__ == '__main__':
    run(Accounts)
