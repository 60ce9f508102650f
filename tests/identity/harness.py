# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the identity engine share: a running tests/lib/ask, servers
that it asks, and the way in which cases are run.

Whoever only waits for the right answer waits for as long as it takes: the
machine may be busy, and nothing here is about speed. What must not be waited
for is kept from coming at all.
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
from fake_imap import Server  # noqa: E402

ASK = os.environ.get('ASK') or os.path.join(
    os.environ.get('top_builddir', '.'), 'tests', 'lib', 'ask')
ALICE = 'alice@example.test'
OWN = {'alice': b'alicepw'}
PATIENCE = 60
# An engine that waits for longer than we do, unless a test says otherwise.
PATIENT = ['--timeout', '600000', '--wait', '600000']
SOON = 5000  # ms; below IDENTITY_ATTEMPT_MS


def equal(got, want, what):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f'never: {what}'
        time.sleep(0.01)


class Ask:
    """A running tests/lib/ask."""

    running = []

    def __init__(self, urls, ca, *options):
        command = ASK.split() + ['--ca', ca, *PATIENT]
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
        until(lambda: self.password(*which, **more) == want,
              f'{which}: {want}')

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

    def until_left_alone(self, server, question, want):
        """The breaker lets one question through now and then; the others are
        answered without a connection."""
        def left_alone():
            asked = len(server.logs)
            equal(question(), want, 'nobody is asked')
            return len(server.logs) == asked
        until(left_alone, 'left alone')

    def offers(self, mechanism):
        self.tell('offers ' + mechanism)
        return self.next().split()[-1] == 'yes'

    def until(self, want, login=ALICE):
        until(lambda: self.verdict(login) == want, f'{login}: {want}')

    def ready(self, ms=(PATIENCE - 10) * 1000):
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
    """A directory with certificates."""

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


def hold_port():
    """A socket whose port is nobody else's: nobody listens there, and one who
    is told the number can."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(('127.0.0.1', 0))
    return holder, holder.getsockname()[1]


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


class Cases:
    """What a table holds, and each method, is a case; but what begins with an
    underscore helps."""

    def __init__(self, world):
        self._world = world
        self._servers = []

    def _serve(self, script, **more):
        self._servers.append(self._world.server(script, **more))
        return self._servers[-1]

    def _done(self):
        while self._servers:
            self._servers.pop().close()

    def _in_time(self, steps, case, times=1):
        """Runs case(ms). If a server is to hang, so many times, the engine
        loses patience after ms: soon, or later if it did not come that far."""
        if not any(getattr(step, 'hangs', False) for step in steps):
            return case(600000)
        for ms in (300, 1500, 6000):
            got = case(ms)
            if sum(log['hung'] for server in self._servers
                   for log in server.logs) >= times:
                return got
            self._done()
        raise AssertionError('the server does not come to where it hangs')

    def _rows(self):
        """(name, callable)..."""
        return []

    def _all(self):
        yield from self._rows()
        for name in vars(type(self)):
            if name[0] != '_':
                yield name.replace('_', ' '), getattr(self, name)


def run(kind):
    """All cases, or those that the command line names."""
    failed = ran = 0
    with tempfile.TemporaryDirectory() as directory:
        cases = kind(World(directory))
        for name, case in cases._all():
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
                cases._done()
    print(f'{ran} cases, {failed} failed')
    sys.exit(1 if failed or not ran else 0)
