#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Passwords, and what is offered: servers that lie, stammer, hang and die.

What the engine must answer, what it remembers, who may wait for whom. Needs no
root and no network but loopback. ASK names the built tests/lib/ask.
Arguments: names of cases (default: all).
"""
import base64
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (ALICE, OWN, SOON, Cases, equal, run, secrets_heard,
                     until)  # noqa: E402
from fake_imap import (Script, accounts, close, drip, endless, hang,
                       then_close, then_hang)  # noqa: E402

NO_IR = b'* OK hello\r\n'
YES = b'TAG OK yes\r\n'

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
    ('untagged OK', then_hang(b'* OK yes\r\n'), 'unknown'),
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


class Passwords(Cases):
    def _own(self, **more):
        """A server that knows alice's password, and no proxy."""
        return self._serve(Script(passwords=dict(OWN), **more))

    def _session(self, *words):
        """An engine that asks these servers, with these options."""
        servers = [word for word in words if not isinstance(word, str)]
        options = [word for word in words if isinstance(word, str)]
        return self._world.ask(servers, '--session-only', *options)

    def _rows(self):
        for name, *row in PASSWORDS:
            yield 'password: ' + name, lambda row=row: self._password(*row)
        for name, step in ID_ANSWERS:
            yield 'ID: ' + name, lambda step=step: self._id(step)

    def _password(self, step, want):
        def case(ms):
            server = self._own(own=step)
            ask = self._session(server, '--timeout', str(ms))
            verdict = ask.password()
            ask.end()
            return verdict, server
        verdict, server = self._in_time([step], case)
        self._done()
        equal(verdict, want, 'verdict')
        equal(secrets_heard(server, b'\0alice\0alicepw'), True,
              'password heard')
        equal([log['authzid'] for log in server.logs], [''], 'authzid')

    def _id(self, step):
        for more in ({}, {'greeting': NO_IR}, {'starttls': True}):
            server = self._own(id_answer=step, **more)
            ask = self._session(server, '--forward')
            equal(ask.password(address='2001:db8::1'), 'verified', more)
            equal(ask.password('wrong'), 'refused', more)
            ask.end()
            self._done()
            ids = [[line for line in log['lines'] if b' ID ' in line]
                   for log in server.logs]
            equal(ids, [[b'p0 ID ("x-originating-ip" "2001:db8::1")'], []],
                  f'ID, with and without an address {more}')

    def without_a_proxy_nothing_is_asked_before_a_password(self):
        server = self._own()
        ask = self._session(server)
        equal(ask.ready(0), True, 'ready at once')
        equal(ask.verdict(), 'unknown', ALICE)
        equal(server.logs, [], 'connections')
        equal(ask.password(), 'verified', ALICE)
        ask.end()

    def passwords_that_are_never_asked(self):
        server = self._own()
        ask = self._session(server, '--domain', 'example.test', '--separator',
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
        server = self._own()
        ask = self._session(server)
        equal(ask.password(), 'verified', 'first')
        for _ in range(3):
            equal(ask.password(), 'verified remembered', 'again')
        equal(ask.password('alicepW'), 'refused', 'another one')
        equal(ask.password(), 'verified remembered', 'after another one')
        equal(len(server.logs), 2, 'connections')
        ask.end()
        # not for longer because it is asked for again and again
        ask = self._session(server, '--ttl', '400')
        equal(ask.password(), 'verified', 'first')
        server.script = Script()
        ask.until_password('refused')
        ask.end()

    def a_refused_password_is_remembered_for_a_while(self):
        server = self._own()
        ask = self._session(server)
        equal(ask.password('new'), 'refused', 'before the change')
        equal(ask.password('new'), 'refused remembered', 'again')
        ask.end()
        ask = self._session(server, '--refused-ttl', '300')
        equal(ask.password('new'), 'refused', 'before the change')
        server.script = Script(passwords={'alice': b'new'})
        ask.until_password('verified', 'new')
        ask.end()

    def an_undecided_password_is_not_remembered(self):
        server = self._own(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask = self._session(server)
        equal(ask.password(), 'unknown', 'unavailable')
        server.script = Script(passwords=OWN)
        equal(ask.password(), 'verified', 'available')
        ask.end()

    def a_changed_password_purges_only_itself(self):
        server = self._own()
        ask = self._session(server, '--ttl', '1000')
        equal(ask.password(), 'verified', 'old')
        server.script = Script(passwords={'alice': b'new'})
        ask.until_password('refused')
        ask.until_password('verified remembered', 'new')
        equal(ask.password(), 'refused remembered', 'old')
        ask.until_password('verified remembered', 'new')
        ask.end()

    def the_same_password_of_another_is_another(self):
        server = self._own()
        ask = self._session(server)
        equal(ask.password(), 'verified', ALICE)
        equal(ask.password(login='bob@example.test'), 'refused', 'bob')
        # The lengths keep them apart, not a separator.
        equal(ask.password('pw', login='alice@example.testalice'), 'refused',
              'moved border')
        ask.end()

    def without_grace_nobody_verifies_who_cannot_be_asked(self):
        server = self._own()
        ask = self._session(server, '--ttl', '1')
        equal(ask.password(), 'verified', 'before')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def with_grace_who_verified_before_still_does(self):
        server = self._own()
        ask = self._session(server, '--ttl', '1', '--refused-ttl', '1',
                            '--grace', '600000', '--timeout', '300')
        graced = 'verified remembered graced'
        ask.until_password('verified')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password(graced)
        equal(ask.password('never seen'), 'unknown', 'another password')
        ask.report('warning', 'verified before still does')
        # also when the breaker is open, and nobody waits
        server.script = Script(greeting=hang)
        for _ in range(3):
            equal(ask.password(), graced, 'hanging')
        ask.report('alarm', 'about passwords', 'not asked for 1000 ms')
        ask.until_left_alone(server, ask.password, graced)
        # a refusal ends the grace
        server.script = Script()
        ask.until_password('refused')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def grace_ends(self):
        server = self._own()
        ask = self._session(server, '--ttl', '1', '--grace', '400')
        equal(ask.password(), 'verified', 'before')
        server.script = Script(own=b'TAG NO [UNAVAILABLE] x\r\n')
        ask.until_password('unknown')
        ask.end()

    def equal_passwords_are_asked_once(self):
        server = self._own(delay=0.2)
        ask = self._session(server)
        ask.tell(f'manyverify 50 {ALICE} alicepw')
        for _ in range(50):
            equal(ask.next().split()[2], 'verified', ALICE)
        equal(len(server.logs), 1, 'connections')
        ask.end()

    @staticmethod
    def _many(ask, n, declining, address=''):
        """n equal questions at once, so many of which are not admitted."""
        ask.tell(f'manyverify {n} {ALICE} alicepw {declining} {address}')
        return sorted({' '.join(ask.next().split()[2:-1]) for _ in range(n)})

    def who_is_not_admitted_is_not_asked_about(self):
        server = self._own()
        ask = self._session(server, '--connections', '1')
        for _ in range(3):
            equal(self._many(ask, 3, 3), ['unknown declined'], 'nobody')
        equal(server.logs, [], 'connections')
        # nothing is remembered of it, and no turn is lost
        equal(ask.password(), 'verified', ALICE)
        ask.end()
        equal(len(server.logs), 1, 'connections')

    def who_is_not_admitted_takes_no_connection_from_its_client(self):
        server = self._own()
        ask = self._session(server, '--connections', '8')
        for _ in range(9):
            equal(self._many(ask, 1, 1, '192.0.2.1'), ['unknown declined'],
                  'not admitted')
        server.script = Script(own=hang)
        ask.tell('leave 60 example.test guess 192.0.2.2')
        equal(ask.next(), 'left 60', 'under way')
        until(lambda: sum(log['hung'] for log in server.logs) == 6,
              'all but a quarter are taken')
        server.script = Script(passwords=OWN)
        equal(ask.password(address='192.0.2.1'), 'verified', ALICE)
        ask.end()

    def who_is_admitted_takes_equal_ones_along(self):
        server = self._own()
        ask = self._session(server)
        equal(self._many(ask, 3, 2), ['verified'], 'all of them')
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def grace_is_not_for_who_is_not_admitted(self):
        server = self._own()
        ask = self._session(server, '--ttl', '1', '--grace', '600000')
        equal(ask.password(), 'verified', 'before')
        until(lambda: self._many(ask, 1, 1) == ['unknown declined'],
              'forgotten')
        equal(len(server.logs), 1, 'connections')
        ask.end()

    def who_is_not_admitted_does_not_stand_in_for_a_probe(self):
        """Of an open breaker: the next one still goes through."""
        server = self._own(greeting=hang)
        ask = self._session(server, '--timeout', '300')
        for i in range(3):
            equal(ask.password(f'pw{i}'), 'unknown', 'hanging')
        ask.report('alarm', 'about passwords')
        until(lambda: self._many(ask, 1, 1) == ['unknown declined'],
              'it would be asked')
        server.script = Script(passwords=OWN)
        ask.until_password('verified')
        ask.end()

    def a_guess_does_not_decide_for_the_owner(self):
        """Both are under way at once; only equal passwords share."""
        server = self._serve(Script(passwords={'u0': b'own'}, delay=0.3))
        ask = self._session(server)
        ask.tell('leave 3 example.test guess')
        equal(ask.next(), 'left 3', 'under way')
        ask.tell('manyverify 2 u0@example.test own')
        for _ in range(2):
            equal(ask.next().split()[2], 'verified', 'the owner')
        ask.end()
        equal(len(server.logs), 4, 'connections')

    def a_hanging_server_is_given_up_in_time(self):
        server = self._own(own=hang)
        ask = self._session(server, '--timeout', '500')
        got, ms = ask.verify()
        equal(got, 'unknown', 'verdict')
        assert 400 < ms < SOON, f'waited {ms} ms'
        ask.end()

    def ten_thousand_passwords_cost_memory_only(self):
        """One connection that hangs; nothing moves but the clock. Beyond a
        bound they are answered at once."""
        server = self._own(own=hang)
        ask = self._session(server, '--connections', '1')
        ask.fds()
        threads, before = ask.size()
        ask.tell('pwload 20000 20000 example.test pw')
        words = ask.next().split()
        got = dict(zip(words[::2], map(float, words[1::2])))
        equal(got['unknown'], 20000, 'undecided')
        # 8 s is the deadline, and the machine may be busy
        assert got['slowest'] < 20000, f'waited {got["slowest"]} ms'
        more_threads, after = ask.size()
        equal(more_threads, threads, 'threads')
        assert after - before < 100, f'{before} MB became {after} MB'
        ask.report('warning', 'no connection was free in time')
        # One, and who came later while it took its time: not thousands.
        assert len(server.logs) < 100, len(server.logs)
        server.script = Script(own=YES)
        equal(ask.pwload(8, 100)['verified'], 100, 'afterwards')
        ask.end()

    def freeing_answers_everybody(self):
        server = self._own(own=hang)
        ask = self._session(server)
        ask.tell('leave 5000 example.test pw')
        equal(ask.next(), 'left 5000', 'under way')
        freed, called_back = ask.end_counting()
        equal(called_back, 5000, 'called back')
        assert freed < SOON, f'identity_free() took {freed} ms'

    def passwords_do_not_starve_questions_about_accounts(self):
        server = self._serve(Script(accounts=accounts(), own=hang))
        # passwords are waited for for longer
        ask = self._world.ask([server], '--connections', '4', '--wait',
                              str(SOON))
        equal(ask.ready(), True, 'ready')
        ask.tell('leave 5000 example.test pw')
        equal(ask.next(), 'left 5000', 'under way')
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def one_client_leaves_connections_to_others(self):
        """A server delays whoever guesses; not everybody must wait for that."""
        def own(conn):
            if conn.log['authcid'] == 'alice':
                conn.say(YES)
            else:
                hang(conn)
        server = self._own(own=own)
        for guesser, bystander in (('192.0.2.1', '192.0.2.2'),
                                   ('2001:db8::1', '2001:db8:0:1::1'),
                                   ('192.0.2.1', '')):
            server.logs.clear()
            ask = self._session(server, '--connections', '8')
            ask.tell(f'leave 60 example.test guess {guesser}')
            equal(ask.next(), 'left 60', 'under way')
            equal(ask.password(address=bystander), 'verified', bystander)
            ask.end()
            hung = sum(log['hung'] for log in server.logs)
            assert hung <= 6, f'{hung} of 8 connections'

    def a_client_alone_has_most_of_the_connections(self):
        for address, want in ('192.0.2.1', 6), ('', 8):
            server = self._own(own=hang)
            ask = self._session(server, '--connections', '8')
            ask.tell(f'leave 60 example.test guess {address}')
            equal(ask.next(), 'left 60', 'under way')
            until(lambda: sum(log['hung'] for log in server.logs) == want,
                  f'{want} connections')
            ask.end_counting()
            self._done()

    def a_broken_proxy_does_not_stop_passwords(self):
        server = self._own(accounts=accounts())
        ask = self._world.ask([server], '--password', 'old', '--mailbox', 'no')
        for i in range(4):
            equal(ask.verdict(f'x{i}@example.test'), 'unknown', 'proxy')
        ask.report('alarm', 'not asked for 1000 ms')
        equal(ask.password(), 'verified', 'good')
        equal(ask.password('bad'), 'refused', 'bad')
        ask.end()

    def hanging_passwords_do_not_stop_the_proxy(self):
        server = self._serve(Script(accounts=accounts(), own=hang))
        ask = self._world.ask([server], '--timeout', '2000')
        equal(ask.ready(), True, 'ready')
        equal(ask.pwload(4, 4)['unknown'], 4, 'hanging')
        equal(ask.verdict(), 'verified', ALICE)
        ask.end()

    def the_breaker_of_passwords_opens_and_closes(self):
        server = self._own(greeting=hang)
        ask = self._session(server, '--timeout', '300')
        for i in range(3):
            equal(ask.password(f'pw{i}'), 'unknown', 'hanging')
        ask.report('alarm', 'about passwords', 'not asked for 1000 ms')
        ask.until_left_alone(server, ask.password, 'unknown')
        server.script = Script(passwords=OWN)
        ask.until_password('verified')
        ask.report('info', 'about passwords again')
        ask.end()

    def an_answer_is_about_one_address_if_the_server_is_told(self):
        for option, want in ((), 1), (('--forward',), 3):
            server = self._own()
            ask = self._session(server, *option)
            for address in '192.0.2.1', '192.0.2.2', '', '192.0.2.1':
                got = ask.password(address=address)
                equal(got.split()[0], 'verified', address)
            ask.end()
            equal(len(server.logs), want, f'connections {option}')

    def what_a_stranger_brings_about_does_not_open_the_breaker(self):
        for own in (hang, close, b'TAG NO [UNAVAILABLE] x\r\n',
                    b'TAG NO [LIMIT] x\r\n', b'TAG BAD x\r\n'):
            def case(ms):
                server = self._own(own=own)
                ask = self._session(server, '--timeout', str(ms))
                equal(ask.pwload(4, 4)['unknown'], 4, own)
                server.script = Script(passwords=OWN)
                ask.until_password('verified')
                ask.end()
                return ask.reports
            reports = self._in_time([own], case, 4)
            equal([line for line in reports if 'not asked for' in line], [],
                  own)

    def a_refused_canary_makes_refusals_undecided(self):
        server = self._own(accounts=accounts())
        ask = self._world.ask([server], '--canary', 'canary@example.test',
                             '--refused-ttl', '1')
        ask.report('alarm', 'canary is refused')
        equal(ask.password('bad'), 'unknown', 'bad')
        equal(ask.password(), 'verified', 'good')
        server.script = Script(accounts=accounts(canary=YES), passwords=OWN)
        ask.report('info', 'canary is verified')
        equal(ask.password('bad'), 'refused', 'bad')
        ask.end()

    def the_next_url_is_asked_about_a_password(self):
        live = self._own()
        for dead in (self._serve(Script(greeting=hang)),
                     self._own(own=close), self._serve(Script(), cert='other')):
            ask = self._session(dead, live, '--timeout', '3000')
            equal(ask.password(), 'verified', 'good')
            ask.end()
        first = self._own(own=b'TAG NO [AUTHENTICATIONFAILED]\r\n')
        ask = self._session(first, live)
        equal(ask.password(), 'refused', 'the first one decided')
        ask.end()

    def id_is_not_sent_unasked(self):
        server = self._own()
        ask = self._session(server)
        equal(ask.password(address='192.0.2.1'), 'verified', 'good')
        ask.end()
        equal(len(server.logs[0]['lines']), 1, 'commands')

    def a_server_that_repeats_the_password_is_not_quoted(self):
        def parrot(conn):
            conn.say(b'* NO ' + conn.log['lines'][-1] + b'\r\nTAG BAD ' +
                     conn.log['lines'][-1] + b'\r\n')
        for more in {}, {'greeting': NO_IR}:
            server = self._own(own=parrot, **more)
            ask = self._session(server, '--trace')
            equal(ask.password('averylongpassword'), 'unknown', 'verdict')
            ask.report('repeats the password')
            ask.end()
            shown = base64.b64encode(b'\0alice\0averylongpassword')[4:12]
            bad = [line for line in ask.reports if shown.decode() in line or
                   'averylong' in line]
            equal(bad, [], 'reports with the password')

    def every_step_can_be_watched(self):
        server = self._own()
        ask = self._session(server, '--trace', '--forward')
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
            server = self._own(**more)
            ask = self._session(server, '--mechanisms',
                               'SCRAM-SHA-256,SCRAM-SHA-1')
            equal(ask.ready(), True, 'ready')
            for name, want in (('SCRAM-SHA-256', True), ('PLAIN', False),
                               ('SCRAM-SHA-1', False), ('CRAM-MD5', False)):
                equal(ask.offers(name), want, f'{name} {more}')
            ask.end()
            equal([log['authcid'] for log in server.logs], [None], 'logins')

    def what_is_not_known_is_not_offered(self):
        for step in (b'* BYE x\r\n', hang, b'* PREAUTH x\r\n'):
            server = self._own(greeting=step)
            ask = self._session(server, '--mechanisms', 'CRAM-MD5',
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
        server = self._own(greeting=(
            b'* OK [CAPABILITY AUTH=PLAIN AUTH=CRAM-MD5] x\r\n'))
        ask = self._session(server, '--mechanisms', 'CRAM-MD5')
        equal(ask.ready(), True, 'ready')
        equal(ask.offers('CRAM-MD5'), True, 'before')
        server.script = Script(passwords=OWN)
        equal(ask.password(), 'verified', ALICE)
        equal(ask.offers('CRAM-MD5'), False, 'after')
        ask.end()


if __name__ == '__main__':
    run(Passwords)
