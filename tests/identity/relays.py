#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exchanges carried to servers that lie, stammer, hang and die.

What a server says at each step, what the client answers, and the verdict. Needs
no root and no network but loopback. ASK names the built tests/lib/ask.
Arguments: names of cases (default: all).
"""
import base64
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ALICE, OWN, SOON, Cases, equal, run, until  # noqa: E402
from fake_imap import (Script, close, drip, endless, hang,
                       then_close)  # noqa: E402

CRAM, SCRAM, SCRAM1 = 'CRAM-MD5', 'SCRAM-SHA-256', 'SCRAM-SHA-1'
BEARER, XOAUTH2 = 'OAUTHBEARER', 'XOAUTH2'
ALL = (CRAM, SCRAM, SCRAM1, BEARER, XOAUTH2)
YES = b'TAG OK yes\r\n'
WRONG = b'TAG NO [AUTHENTICATIONFAILED] no\r\n'
CAPABLE = 'IMAP4rev1 AUTH=PLAIN ' + ' '.join('AUTH=' + m for m in ALL)


def text(message):
    return base64.b64encode(message).decode()


def plus(message):
    return b'+ ' + base64.b64encode(message) + b'\r\n'


DIGEST = '0123456789abcdef' * 2
# what an honest client says first, and to challenges
FIRST = {
    CRAM: lambda name: '-',
    SCRAM: lambda name: text(b'n,,n=%s,r=abc' % name),
    SCRAM1: lambda name: text(b'n,,n=%s,r=abc' % name),
    BEARER: lambda name: text(
        b'n,a=%s,\1host=mx\1auth=Bearer tok\1\1' % name),
    XOAUTH2: lambda name: text(b'user=%s\1auth=Bearer tok\1\1' % name),
}
PROOF = text(b'c=biws,r=abcdef,p=cHJvb2Y=')
ANSWERS = {
    CRAM: lambda name: [text(name + b' ' + DIGEST.encode())],
    SCRAM: lambda name: [PROOF, '-'],
    SCRAM1: lambda name: [PROOF, '-'],
    BEARER: lambda name: [],
    XOAUTH2: lambda name: [],
}
# what an honest server says
HELLO = plus(b'<1896.697170952@imap.example.test>')
SALT = plus(b'r=abcdef,s=c2FsdA==,i=4096')
SIGNED = plus(b'v=c2lnbmVk')
ERROR = plus(b'{"status":"invalid_token"}')
HONEST = {CRAM: [HELLO, YES], SCRAM: [SALT, SIGNED, YES],
          SCRAM1: [SALT, SIGNED, YES], BEARER: [YES], XOAUTH2: [YES]}


def server_of(steps, **more):
    """A server with these exchanges; SASL-IR unless told otherwise."""
    capable = more.pop('capable', CAPABLE + ' SASL-IR')
    more.setdefault('greeting',
                    b'* OK [CAPABILITY %s] x\r\n' % capable.encode())
    more.setdefault('capability', b'* CAPABILITY STARTTLS %s\r\nTAG OK done\r\n'
                    % capable.encode())
    return Script(exchange=steps, passwords=dict(OWN), **more)


class Relay:
    """One client of a running ask."""

    last = 0

    def __init__(self, ask, mechanism, login=ALICE, first=None, address='-'):
        Relay.last += 1
        self.ask, self.id = ask, Relay.last
        self.login = '-' if mechanism == CRAM else login
        self.known = login
        first = first or FIRST[mechanism](b'alice')
        ask.tell(f'relay {self.id} {mechanism} {self.login} {first} {address}')
        self.begun = self.next()[0] == 'begun'

    def next(self):
        words = self.ask.next().split()
        assert words[1] == str(self.id), words
        return words

    def challenge(self):
        words = self.next()
        assert words[0] == 'challenge', words
        return words[2]

    def answer(self, message, login=None):
        self.ask.tell(f'respond {self.id} {login or self.known} {message}')

    def cancel(self):
        self.ask.tell(f'cancel {self.id}')

    def verdict(self, answers=()):
        """Answers challenges until it is over: the verdict, how many there
        were, and the milliseconds."""
        answers, count = list(answers), 0
        while True:
            words = self.next()
            if words[0] == 'relayed':
                return words[2], count, float(words[3])
            count += 1
            if not answers:
                raise AssertionError(f'a challenge too many: {words}')
            self.answer(answers.pop(0))


# name, mechanism, what the server says, the verdict, how many challenges the
# client gets to see; it answers like an honest one
ROWS = [
    *((f'{m}: a live login', m, HONEST[m], 'verified',
       {CRAM: 1, SCRAM: 2, SCRAM1: 2}.get(m, 0)) for m in ALL),
    *((f'{m}: octet by octet', m, [drip(step) for step in HONEST[m]],
       'verified', {CRAM: 1, SCRAM: 2, SCRAM1: 2}.get(m, 0)) for m in ALL),
    *((f'{m}: {what} at step {at}', m, HONEST[m][:at] + [step], want,
       min(at, {BEARER: 0, XOAUTH2: 0}.get(m, 2)))
      for m in ALL for at in range(len(HONEST[m]))
      for what, step, want in (
          ('closes', close, 'unknown'),
          ('says BYE', then_close(b'* BYE x\r\n'), 'unknown'),
          ('hangs', hang, 'unknown'),
          ('BAD', b'TAG BAD [AUTHENTICATIONFAILED] x\r\n', 'unknown'),
          ('half a line', then_close(b'TAG OK ye'), 'unknown'),
          ('garbage', b'+ %%%%\r\n', 'unknown'),
          ('stray bits', b'+ cj1hYmN=\r\n', 'unknown'),
          ('text', b'+ go ahead\r\n', 'unknown'),
          ('nothing', b'+ \r\n', 'unknown'),
          ('not a plus', b'+cj1h\r\n', 'unknown'),
          ('too long', b'+ ' + b'QUFB' * 1025 + b'\r\n', 'unknown'),
          ('endless', endless(b'x' * 999), 'unknown'),
          ('wrong tag', b'A1 OK yes\r\n', 'unknown'),
          ('UNAVAILABLE', b'TAG NO [UNAVAILABLE] x\r\n', 'unknown'),
          ('NO alone', b'TAG NO\r\n', 'unknown'),
          ('LIMIT', b'TAG NO [LIMIT] x\r\n', 'unknown'),
          ('two answers', b'TAG NO [UNAVAILABLE] x\r\n' + YES, 'unknown'))),
    # refusals about somebody
    *((f'{m}: {what} at step {at}', m, HONEST[m][:at] + [step], want,
       min(at, {BEARER: 0, XOAUTH2: 0}.get(m, 2)))
      for m in ALL for at in range(m == CRAM, len(HONEST[m]))
      for what, step, want in (
          ('wrong', WRONG, 'refused'),
          ('wrong, then BYE', b'* BYE x\r\n' + WRONG, 'refused'),
          ('AUTHORIZATIONFAILED', b'TAG NO [AUTHORIZATIONFAILED] x\r\n',
           'refused'),
          ('disabled', b'TAG NO [CONTACTADMIN] x\r\n', 'disabled'),
          ('expired', b'TAG NO [EXPIRED] x\r\n', 'refused'),
          ('text', b'TAG NO authentication failure\r\n', 'refused'))),
    ('CRAM-MD5: wrong before a word', CRAM, [WRONG], 'unknown', 0),
    # too early, too late
    ('CRAM-MD5: OK at once', CRAM, [YES], 'unknown', 0),
    ('CRAM-MD5: OK with the challenge', CRAM, [HELLO + YES], 'unknown', 0),
    ('CRAM-MD5: a second challenge', CRAM, [HELLO, HELLO, YES], 'unknown', 1),
    ('SCRAM: OK at once', SCRAM, [YES], 'unknown', 0),
    ('SCRAM: OK with the salt', SCRAM, [SALT + YES], 'unknown', 0),
    ('SCRAM: OK without a signature', SCRAM, [SALT, YES], 'unknown', 1),
    ('SCRAM: OK with the signature', SCRAM, [SALT, SIGNED + YES], 'unknown',
     1),
    ('SCRAM: a third challenge', SCRAM, [SALT, SIGNED, SIGNED, YES],
     'unknown', 2),
    ('SCRAM: the signature first', SCRAM, [SIGNED, SALT, YES], 'unknown', 0),
    ('SCRAM: the salt twice', SCRAM, [SALT, SALT, YES], 'unknown', 1),
    ('SCRAM: an extension', SCRAM, [plus(b'm=x,r=abc'), YES], 'unknown', 0),
    ('BYE, then OK', SCRAM, [SALT, SIGNED, b'* BYE x\r\n' + YES], 'unknown',
     2),
    ('chatter', SCRAM, [b'* OK x\r\n' + SALT, b'* NO [ALERT] x\r\n' + SIGNED,
                        b'* CAPABILITY X\r\n' + YES], 'verified', 2),
    # the server's error is answered here
    ('SCRAM: e=, then NO', SCRAM, [SALT, plus(b'e=invalid-proof'), WRONG],
     'refused', 1),
    ('SCRAM: e= at once, then NO', SCRAM, [plus(b'e=unknown-user'), WRONG],
     'refused', 0),
    ('SCRAM: e=, then OK', SCRAM, [SALT, plus(b'e=x'), YES], 'unknown', 1),
    ('SCRAM: e=, then a signature', SCRAM, [SALT, plus(b'e=x'), SIGNED, YES],
     'unknown', 1),
    *((f'{m}: an error, then NO', m, [ERROR, WRONG], 'refused', 0)
      for m in (BEARER, XOAUTH2)),
    *((f'{m}: an error, then OK', m, [ERROR, YES], 'unknown', 0)
      for m in (BEARER, XOAUTH2)),
    *((f'{m}: two errors', m, [ERROR, ERROR, YES], 'unknown', 0)
      for m in (BEARER, XOAUTH2)),
]


class Relays(Cases):
    def _rows(self):
        for name, *row in ROWS:
            yield name, lambda row=row: self._row(*row)

    def _server(self, steps=None, **more):
        return self._serve(server_of(steps or HONEST, **more))

    def _ask(self, servers, *options):
        ask = self._world.ask(servers, '--session-only', '--mechanisms',
                              ','.join(ALL), *options)
        equal(ask.ready(), True, 'ready')
        for server in servers:
            server.logs.clear()
        return ask

    def _row(self, mechanism, steps, want, challenges):
        def case(ms):
            server = self._server({mechanism: steps})
            ask = self._ask([server], '--timeout', str(ms))
            got = Relay(ask, mechanism).verdict(ANSWERS[mechanism](b'alice'))
            ask.end()
            equal(len(server.logs), 1, 'connections')
            return got[:2]
        equal(self._in_time(steps, case), (want, challenges),
              'verdict and challenges')

    def every_step_with_and_without_an_initial_response(self):
        for capable, starttls in ((CAPABLE + ' SASL-IR', False),
                                  (CAPABLE, False), (CAPABLE, True),
                                  (CAPABLE + ' SASL-IR', True), (None, False)):
            more = {'capable': capable} if capable else \
                {'greeting': b'* OK hello\r\n'}
            server = self._server(starttls=starttls, **more)
            ask = self._ask([server])
            for m in ALL:
                server.logs.clear()
                got = Relay(ask, m).verdict(ANSWERS[m](b'alice'))
                equal(got[0], 'verified', f'{m}, {capable}, {starttls}')
                heard = b'\n'.join(server.logs[0]['lines'])
                for word in ANSWERS[m](b'alice') + [FIRST[m](b'alice')]:
                    assert word == '-' or word.encode() in heard, heard
            ask.end()

    def a_long_first_message_does_not_ride_along(self):
        server = self._server()
        ask = self._ask([server])
        for size, along in ((1000, True), (8000, False)):
            server.logs.clear()
            first = text(b'n,a=alice,\1auth=Bearer ' + b't' * size + b'\1\1')
            got = Relay(ask, BEARER, first=first).verdict()
            equal(got[0], 'verified', size)
            lines = server.logs[0]['lines']
            equal(any(line.endswith(b' ' + first.encode()) for line in lines),
                  along, f'{size}: rides along')
            equal(along or first.encode() in lines, True, 'it came')
        ask.end()

    def only_what_is_offered_is_asked(self):
        for capable in ('IMAP4rev1 AUTH=PLAIN SASL-IR',
                        'IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS SASL-IR'):
            for greeting in ({}, {'greeting': b'* OK hello\r\n'}):
                server = self._server(capable=capable, **greeting)
                ask = self._ask([server])
                for m in ALL:
                    equal(ask.offers(m), False, m)
                    equal(Relay(ask, m).verdict()[:2], ('unknown', 0), m)
                for log in server.logs:
                    assert b'AUTHENTICATE' not in log['bytes'], log
                # ... and that stops nobody's password
                equal(ask.password(), 'verified', 'password')
                ask.end()

    def an_offer_that_is_withdrawn_is_gone(self):
        server = self._server()
        ask = self._ask([server])
        equal(ask.offers(SCRAM), True, 'before')
        server.script = server_of(HONEST, capable='IMAP4rev1 SASL-IR')
        equal(Relay(ask, SCRAM).verdict()[:2], ('unknown', 0), 'withdrawn')
        equal(ask.offers(SCRAM), False, 'after')
        ask.end()

    def another_name_than_the_one_that_is_asked_about(self):
        """Exactly what this server calls the login, or nobody is asked."""
        server = self._server()
        for address, login, name, want in (
                (False, ALICE, b'alice', 'verified'),
                (False, ALICE, b'alice@example.test', 'refused'),
                (False, ALICE, b'Alice', 'refused'),
                (False, ALICE, b'bob', 'refused'),
                (False, 'alice', b'alice', 'verified'),
                (True, ALICE, b'alice@example.test', 'verified'),
                (True, ALICE, b'alice', 'refused'),
                (True, ALICE, b'alice@EXAMPLE.test', 'refused'),
                (True, ALICE, b'bob@example.test', 'refused'),
                (False, 'alice*postern@example.test', b'alice*postern',
                 'refused'),
                (True, 'alice*postern@example.test',
                 b'alice*postern@example.test', 'refused'),
                (True, 'alice@example.org@example.test',
                 b'alice@example.org@example.test', 'refused')):
            ask = self._ask([server], '--separator', '*',
                            *(['--address'] if address else []))
            for m in ALL:
                server.logs.clear()
                relay = Relay(ask, m, login, FIRST[m](name))
                got = relay.verdict(ANSWERS[m](name))
                equal(got[0], want, f'{m} {login} {name} {address}')
                heard = b''.join(log['bytes'] for log in server.logs)
                if want == 'refused' and m != CRAM:
                    equal(heard, b'', f'{m} {login} {name}: heard')
                elif want == 'refused':
                    assert DIGEST not in heard.decode() and \
                        ANSWERS[m](name)[0].encode() not in heard, heard
            ask.end()
        ask = self._ask([server])
        Relay(ask, SCRAM, ALICE, FIRST[SCRAM](b'Alice')).verdict()
        ask.report('info', 'it was not typed as login_as has it')
        ask.end()

    def a_login_of_no_section_is_refused(self):
        server = self._server()
        ask = self._ask([server], '--domain', 'example.test')
        for m in (SCRAM, BEARER):
            equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0], 'verified', m)
            equal(Relay(ask, m, 'alice@example.org').verdict()[0], 'refused',
                  m)
        equal(Relay(ask, CRAM).begun, False, 'who is to speak first?')
        ask.end()

    def nothing_is_remembered(self):
        server = self._server()
        ask = self._ask([server], '--ttl', '60000', '--grace', '60000')
        for m in ALL:
            for _ in range(2):
                server.logs.clear()
                equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0],
                      'verified', m)
                equal(len(server.logs), 1, 'asked')
        server.script = server_of({m: [close] for m in ALL})
        for m in ALL:
            equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0], 'unknown', m)
        ask.end()

    def a_client_that_gives_up(self):
        server = self._server()
        ask = self._ask([server])
        for m, after in ((CRAM, 1), (SCRAM, 1), (SCRAM, 2)):
            server.logs.clear()
            relay = Relay(ask, m)
            for answer in ANSWERS[m](b'alice')[:after - 1]:
                relay.challenge()
                relay.answer(answer)
            relay.challenge()
            relay.cancel()
            equal(relay.verdict()[0], 'unknown', m)
            until(lambda: server.open == 0, 'closed')
            equal(server.logs[0]['lines'][-1], b'*', m)
        ask.end()

    def a_client_that_gives_up_before_anything_was_said(self):
        server = self._server(greeting=hang, capability=b'')
        ask = self._world.ask([server], '--session-only')
        for m in ALL:
            relay = Relay(ask, m)
            relay.cancel()
            got = relay.verdict()
            equal(got[0], 'unknown', m)
            assert got[2] < SOON, got
        ask.end()

    def giving_up_and_answering_at_once(self):
        server = self._server()
        ask = self._ask([server])
        relay = Relay(ask, SCRAM)
        relay.challenge()
        relay.answer(PROOF)
        relay.cancel()
        equal(relay.verdict(['-'])[0], 'unknown', 'gave up')
        ask.end()

    def answering_before_anything_was_asked(self):
        server = self._server({SCRAM: [hang]})
        ask = self._ask([server])
        relay = Relay(ask, SCRAM)
        relay.answer(PROOF)
        got = relay.verdict()
        equal(got[0], 'unknown', 'answered nothing')
        assert got[2] < SOON, got
        ask.end()

    def relays_leave_half_of_the_connections_to_passwords(self):
        server = self._server()
        for most, relays in ((1, 1), (2, 1), (5, 2), (8, 4)):
            ask = self._ask([server], '--connections', str(most))
            thinking = [Relay(ask, SCRAM) for _ in range(relays)]
            seen = {ask.next().split()[0] for _ in thinking}
            equal(seen, {'challenge'}, 'all get a challenge')
            extra = Relay(ask, SCRAM)
            ask.tell(f'verify {ALICE} alicepw')
            said = []
            while not said or said[-1][0] != 'verdict':
                said.append(ask.next().split())
            equal(said.pop()[2], 'verified', f'{most}: a password')
            # Whoever thinks for three seconds makes room, and that may be.
            if not said:
                equal(sum(b'SCRAM' in log['bytes'] for log in server.logs),
                      relays, f'{most}: exchanges')
            for relay in thinking:
                relay.cancel()
            while len(said) < relays + 1:
                said.append(ask.next().split())
            equal(sorted(words[0] for words in said),
                  ['challenge'] + ['relayed'] * relays, 'it is their turn')
            extra.cancel()
            equal(extra.verdict()[0], 'unknown', 'extra')
            ask.end()

    def one_client_leaves_relays_to_others(self):
        """Whoever comes later from elsewhere is not the last to be asked."""
        server = self._server()
        ask = self._ask([server], '--connections', '8')
        for number in range(20):
            address = '192.0.2.2' if number == 19 else '192.0.2.1'
            ask.tell(f'relay {number} {SCRAM} {ALICE} '
                     f'{FIRST[SCRAM](b"alice")} {address}')
        said = []
        while said[-1:] != [['challenge', '19']]:
            said.append(ask.next().split()[:2])
        heard = [words[1] for words in said if words[0] == 'challenge']
        assert len(heard) < 10, heard
        ask.process.stdin.close()

    def whoever_sits_on_a_challenge_makes_room(self):
        server = self._server()
        ask = self._ask([server], '--connections', '2')
        slow = Relay(ask, SCRAM)
        slow.challenge()
        quick = Relay(ask, SCRAM)
        # after three seconds; it would have half a minute
        equal(slow.verdict()[0], 'unknown', 'cut')
        # ... and whoever waits has eight
        equal(quick.verdict(ANSWERS[SCRAM](b'alice'))[0], 'verified', 'quick')
        ask.end()

    def the_next_url_is_asked_before_the_first_word_only(self):
        for step, want in (({'greeting': close}, 'verified'),
                           ({'greeting': b'* BYE x\r\n'}, 'verified'),
                           ({'capable': 'IMAP4rev1'}, 'verified')):
            dead, live = self._server(**step), self._server()
            for m in ALL:
                ask = self._world.ask([dead, live], '--session-only')
                equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0], want, m)
                ask.end()
        dead, live = self._server({m: [close] for m in ALL}), self._server()
        for m in ALL:
            ask = self._world.ask([dead, live], '--session-only')
            equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0], 'unknown', m)
            ask.end()
        equal(live.logs, [], 'the other one')

    def strangers_cannot_stop_passwords(self):
        server = self._server({m: [close] for m in ALL})
        ask = self._ask([server])
        for _ in range(4):
            for m in ALL:
                equal(Relay(ask, m).verdict(ANSWERS[m](b'alice'))[0],
                      'unknown', m)
        equal(ask.password(), 'verified', 'a password')
        ask.end()

    def a_dead_server_is_left_alone(self):
        server = self._server(greeting=close)
        ask = self._world.ask([server], '--session-only')
        for _ in range(3):
            equal(Relay(ask, SCRAM).verdict()[0], 'unknown', 'asked')

        def question():
            relay = Relay(ask, SCRAM)
            return relay.verdict()[0] if relay.begun else 'unknown'
        ask.until_left_alone(server, question, 'unknown')
        ask.end()

    def the_address_is_forwarded(self):
        server = self._server()
        ask = self._ask([server], '--forward')
        for m in ALL:
            server.logs.clear()
            relay = Relay(ask, m, address='192.0.2.1')
            equal(relay.verdict(ANSWERS[m](b'alice'))[0], 'verified', m)
            lines = server.logs[0]['lines']
            assert lines[0].endswith(
                b'ID ("x-originating-ip" "192.0.2.1")'), lines
        ask.end()

    def those_under_way_are_ended_with_the_engine(self):
        """Two that have a challenge, one that waits for a connection, and one
        that was refused here."""
        server = self._server()
        ask = self._ask([server], '--connections', '4')
        asked = [Relay(ask, SCRAM).id for _ in range(2)]
        for _ in asked:
            equal(ask.next().split()[0], 'challenge', 'one')
        bob = text(b'n,a=bob,\1auth=Bearer x\1\1')
        ask.tell(f'relay 1001 {SCRAM} {ALICE} {FIRST[SCRAM](b"alice")}')
        ask.tell(f'relay 1002 {BEARER} {ALICE} {bob}')
        said = []
        while 'freed' not in said:
            words = ask.next().split()
            said.append(words[2] if words[0] == 'relayed' else words[0])
            if said[-1] == 'refused':
                ask.process.stdin.close()
        # (the one that waits gets a challenge after three seconds)
        equal(sorted(word for word in said if word != 'challenge'),
              ['begun'] * 2 + ['freed', 'refused'] + ['unknown'] * 3, 'ends')

    def many_at_once(self):
        server = self._server()
        ask = self._ask([server], '--connections', '16')
        count, states, verdicts = 30, {}, []
        for number in range(count):
            m = ALL[number % len(ALL)]
            ask.tell(f'relay {number} {m} {"-" if m == CRAM else ALICE} '
                     f'{FIRST[m](b"alice")}')
            states[str(number)] = ANSWERS[m](b'alice')
        while len(verdicts) < count:
            words = ask.next().split()
            if words[0] == 'challenge':
                answer = states[words[1]].pop(0)
                ask.tell(f'respond {words[1]} {ALICE} {answer}')
            elif words[0] == 'relayed':
                verdicts.append(words[2])
            else:
                equal(words[0], 'begun', words)
        equal(verdicts, ['verified'] * count, 'verdicts')
        ask.end()


if __name__ == '__main__':
    run(Relays)
