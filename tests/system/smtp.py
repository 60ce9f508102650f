# SPDX-License-Identifier: BSD-2-Clause
"""An SMTP client that does what it is told, sensible or not."""

import base64
import re
import ssl

from world import HOSTNAME, LAB, PASSWORD

presented = set()  # every (login, password) that a test tried

class Reply:
    """One SMTP reply. A connection that ended is code 0."""

    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[-1][:3]) if lines else 0
        self.text = " ".join(line[4:] for line in lines)
        match = re.match(r"([245]\.\d{1,3}\.\d{1,3}) ", self.text)
        self.xcode = match.group(1) if match else ""

    def __str__(self):
        return "%d %s" % (self.code, self.text) if self.code else "(connection closed)"

    def __bool__(self):
        return 200 <= self.code < 400


def client_context(**options):
    context = ssl.create_default_context(cafile=LAB + "/tls/ca.crt")
    for name, value in options.items():
        setattr(context, name, value)
    return context


class Session:
    """A connection to an SMTP server; made by connect()."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")
        self.banner = None
        self.capabilities = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, *lines):
        """Sends lines without waiting for any reply: pipelining."""
        self.sock.sendall(b"".join(line.encode() + b"\r\n" for line in lines))

    def reply(self):
        lines = []
        while True:
            try:
                line = self.file.readline(65536)
            except (ConnectionError, ssl.SSLError):
                line = b""
            if not line:
                return Reply([])
            lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                return Reply(lines)

    def command(self, line):
        try:
            self.send(line)
        except (ConnectionError, ssl.SSLError):
            return Reply([])
        return self.reply()

    def greet(self):
        self.banner = self.reply()
        return self.banner

    def ehlo(self, name="client.example.net"):
        answer = self.command("EHLO " + name)
        self.capabilities = [line[4:].upper() for line in answer.lines]
        return answer

    def start_tls(self, context=None):
        self.file.close()
        self.sock = (context or client_context()).wrap_socket(
            self.sock, server_hostname=HOSTNAME
        )
        self.file = self.sock.makefile("rb")

    def starttls(self, context=None):
        answer = self.command("STARTTLS")
        if answer.code == 220:
            self.start_tls(context)
        return answer

    def auth_plain(self, login, password=PASSWORD):
        presented.add((login, password))
        token = base64.b64encode(("\0%s\0%s" % (login, password)).encode()).decode()
        return self.command("AUTH PLAIN " + token)

    def auth_login(self, login, password=PASSWORD):
        presented.add((login, password))
        answer = self.command("AUTH LOGIN")
        for text in (login, password):
            if answer.code != 334:
                break
            answer = self.command(base64.b64encode(text.encode()).decode())
        return answer

    def mail(self, sender, args=""):
        return self.command("MAIL FROM:<%s>%s" % (sender, args))

    def rcpt(self, recipient):
        return self.command("RCPT TO:<%s>" % recipient)

    def message(self, sender, recipient):
        """DATA and a small message."""
        answer = self.command("DATA")
        if answer.code != 354:
            return answer
        head = ["From: <%s>" % sender, "To: <%s>" % recipient, "Subject: test"]
        self.send(*head, "", "Nothing to say.", ".")
        return self.reply()

    def deliver(self, sender, recipient):
        """A whole transaction. Returns (stage, reply) of its end: the first
        refusal, or ("data", 250)."""
        answer = self.mail(sender)
        if not answer:
            return "mail", answer
        answer = self.rcpt(recipient)
        if not answer:
            return "rcpt", answer
        return "data", self.message(sender, recipient)


def connect(world, client, port, tls=None, context=None, ehlo=True):
    """Connects; greets; tls is None, "starttls" or "wrapped"."""
    session = Session(world.connect(client, port))
    if tls == "wrapped":
        session.start_tls(context)
    session.greet()
    if ehlo:
        session.ehlo()
    if tls == "starttls":
        answer = session.starttls(context)
        if answer.code != 220:
            raise ConnectionError("STARTTLS: %s" % answer)
        session.ehlo()
    return session
