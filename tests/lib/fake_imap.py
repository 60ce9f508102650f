# SPDX-License-Identifier: BSD-2-Clause
"""An IMAP server that says what a test tells it to say.

A Script holds what is said at each step. A step is bytes (TAG is replaced by
the client's tag), or a function of the Connection that says what it likes. The
server keeps what it heard, per connection, for the test to judge.
"""
import argparse
import base64
import select
import socket
import ssl
import sys
import threading
import time


class Gone(Exception):
    """The client closed, or the server is stopping."""


def hang(conn):
    """Says nothing and waits for the client to go away."""
    conn.log['hung'] = True
    while True:
        conn.hear()


def then_hang(text):
    def step(conn):
        conn.say(text)
        hang(conn)
    step.hangs = True
    return step


hang.hangs = True


def close(_conn):
    raise Gone


def drip(text):
    """Says the text octet by octet, each in a packet and record of its own."""
    def step(conn):
        for octet in conn.tagged(text):
            conn.sock.sendall(bytes([octet]))
    return step


def endless(text):
    def step(conn):
        while True:
            conn.sock.sendall(text)
    return step


def held(text, event):
    """Says the text when the event is there."""
    def step(conn):
        event.wait(60)
        conn.say(text)
    return step


def then_close(text):
    def step(conn):
        conn.say(text)
        raise Gone
    return step


class Script:
    def __init__(self, **steps):
        self.starttls = False       # begin in clear text and offer STARTTLS
        self.handshake = None       # instead of TLS
        self.greeting = (b'* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN ID] '
                         b'ready\r\n')
        self.capability = (b'* CAPABILITY IMAP4rev1 STARTTLS SASL-IR '
                           b'AUTH=PLAIN\r\nTAG OK done\r\n')
        self.starttls_answer = b'TAG OK begin\r\n'
        self.challenge = b'+ \r\n'
        # Accounts by authzid; anybody else gets `stranger`.
        self.ok = b'TAG OK logged in\r\n'
        self.accounts = {}
        self.stranger = b'TAG NO [AUTHORIZATIONFAILED] no such user\r\n'
        self.wrong_password = b'TAG NO [AUTHENTICATIONFAILED] wrong\r\n'
        self.password = b'posternpw'
        # Their own passwords, by authcid, and what they are told with it.
        self.passwords = {}
        self.own = None             # ... whoever it is
        # By mechanism: what is said to each of the client's messages, and
        # by CRAM-MD5 before there is one.
        self.exchange = {}
        self.id_answer = b'* ID NIL\r\nTAG OK ID completed\r\n'
        # INBOX by authzid, too.
        self.boxes = {}
        self.box = b'* STATUS INBOX (MESSAGES 3)\r\nTAG OK done\r\n'
        self.no_box = b'TAG NO Mailbox does not exist\r\n'
        self.delay = 0              # before the answer to a login
        self.__dict__.update(steps)


class Connection:
    def __init__(self, server, sock, log):
        self.server, self.sock, self.log = server, sock, log
        self.buffer, self.tag = b'', b''

    def tagged(self, text):
        return text.replace(b'TAG', self.tag)

    def say(self, step):
        if callable(step):
            step(self)
        else:
            self.sock.sendall(self.tagged(step))

    def hear(self):
        while b'\r\n' not in self.buffer:
            if not getattr(self.sock, 'pending', lambda: 0)():
                ready = select.select([self.sock, self.server.stopper], [],
                                      [])[0]
                if self.server.stopper in ready:
                    raise Gone
            data = self.sock.recv(4096)
            if not data:
                raise Gone
            self.log['bytes'] += data
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        self.log['lines'].append(line)
        return line

    def protect(self):
        self.sock = self.server.context.wrap_socket(self.sock,
                                                    server_side=True)
        self.log['tls'] = self.sock.version()
        self.log['resumed'] = self.sock.session_reused
        self.log['bytes'] = b''

    def login(self, script, initial):
        if initial is None:
            self.say(script.challenge)
            initial = self.hear()
        authzid, user, password = base64.b64decode(initial).split(b'\0')
        self.log['authzid'] = authzid.decode()
        self.server.judge(script.delay)
        if not authzid:
            return self.own_login(script, user.decode(), password)
        if password != script.password:
            return self.say(script.wrong_password)
        return self.say(script.accounts.get(self.log['authzid'],
                                            script.stranger))

    def own_login(self, script, user, password):
        self.log['authcid'] = user
        if script.own is not None:
            return self.say(script.own)
        if script.passwords.get(user) != password:
            return self.say(script.wrong_password)
        return self.say(script.accounts.get(user, script.ok))

    def carry(self, script, mechanism, initial):
        steps = script.exchange[mechanism]
        if not initial and mechanism != 'CRAM-MD5':
            self.say(script.challenge)
            if self.hear() == b'*':
                return self.say(b'TAG BAD cancelled\r\n')
        for step in steps[:-1]:
            self.say(step)
            if self.hear() == b'*':
                return self.say(b'TAG BAD cancelled\r\n')
        return self.say(steps[-1])

    def session(self, script):
        if script.handshake is not None:
            self.say(script.handshake)
        if not script.starttls:
            self.protect()
        self.say(script.greeting)
        while True:
            self.tag, _, command = self.hear().partition(b' ')
            words = command.upper().split()
            if words == [b'CAPABILITY']:
                self.say(script.capability)
            elif words == [b'STARTTLS'] and script.starttls:
                self.say(script.starttls_answer)
                self.protect()
            elif words[:1] == [b'ID']:
                self.say(script.id_answer)
            elif words[:2] == [b'AUTHENTICATE', b'PLAIN']:
                self.login(script, (command.split() + [None])[2])
            elif words[:1] == [b'AUTHENTICATE'] and \
                    words[1].decode() in script.exchange:
                self.carry(script, words[1].decode(), words[2:])
            elif words[:2] == [b'STATUS', b'INBOX']:
                self.say(script.boxes.get(self.log['authzid'], script.no_box))
            else:
                self.say(b'TAG BAD what?\r\n')


class Server:
    """Listens on a free port of 127.0.0.1 until closed. `script` may be
    exchanged at any time; new connections follow the new one."""

    def __init__(self, cert, key, script, port=0):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.script, self.logs, self.lock = script, [], threading.Lock()
        self.open = self.judging = self.most_judging = 0
        self.stopper, self.stop = socket.socketpair()
        self.listener = socket.create_server(('127.0.0.1', port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            ready = select.select([self.listener, self.stopper], [], [])[0]
            if self.stopper in ready:
                return
            thread = threading.Thread(target=self.serve, daemon=True,
                                      args=(self.listener.accept()[0],))
            with self.lock:
                self.threads.append(thread)
            thread.start()

    def serve(self, sock):
        log = {'tls': None, 'resumed': None, 'lines': [], 'bytes': b'',
               'authzid': None, 'authcid': None, 'hung': False,
               'error': None}
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.logs.append(log)
            self.open += 1
        conn = Connection(self, sock, log)
        try:
            conn.session(self.script)
        except Gone:
            pass
        except (OSError, ValueError) as error:
            log['error'] = str(error)
        with self.lock:
            self.open -= 1
        conn.sock.close()

    def judge(self, delay):
        """Takes its time over a login, whose client waits for the answer."""
        with self.lock:
            self.judging += 1
            self.most_judging = max(self.judging, self.most_judging)
        if delay:
            time.sleep(delay)
        with self.lock:
            self.judging -= 1

    def close(self):
        self.stop.send(b'x')
        for thread in self.threads:  # the first one adds no more then
            thread.join(10)
        self.listener.close()
        self.stop.close()
        self.stopper.close()


def accounts(**more):
    """A server like Dovecot: it knows who is alive, and who is not."""
    ok = b'TAG OK logged in\r\n'
    known = {'alice': ok, 'alice@example.test': ok,
             'disabled': b'TAG NO [CONTACTADMIN] suspended\r\n'}
    known.update(more)
    return known


class Everybody(dict):
    """A server like Cyrus: it logs a proxy in as anybody."""

    def get(self, key, default=None):
        return dict.get(self, key, b'TAG OK logged in\r\n')


def main():
    parser = argparse.ArgumentParser(
        description='alice lives, disabled is disabled, nobody else exists; '
                    'STEP=TEXT replaces what is said at a step')
    parser.add_argument('--cert', required=True)
    parser.add_argument('--key', required=True)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--starttls', action='store_true')
    parser.add_argument('--everybody', action='store_true')
    parser.add_argument('steps', nargs='*', metavar='STEP=TEXT')
    args = parser.parse_args()
    steps = {}
    for step in args.steps:
        name, _, text = step.partition('=')
        steps[name] = {'hang': hang, 'close': close}.get(
            text, text.encode().decode('unicode_escape').encode('latin1'))
    known = Everybody() if args.everybody else accounts()
    if 'ok' in steps:
        known = {name: steps['ok'] if b' OK' in said else said
                 for name, said in known.items()}
    server = Server(args.cert, args.key, Script(
        starttls=args.starttls, accounts=known,
        passwords={name: name.encode() + b'pw' for name in known},
        boxes={'alice': Script().box}, **steps), args.port)
    print(server.port, flush=True)
    sys.stdin.read()
    server.close()


if __name__ == '__main__':
    main()
