# SPDX-License-Identifier: BSD-2-Clause
"""MTAs as postern's SASL service sees them.

Dovecot is the client of Dovecot's authentication protocol: postfix() and exim()
say what these MTAs say. Mux asks as libsasl asks saslauthd.
"""

import base64
import re
import socket
import struct

DEADLINE = 20.0


def connect(address):
    """unix:PATH or inet:PORT@HOST, as in the configuration."""
    kind, rest = address.split(":", 1)
    if kind == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(DEADLINE)
        s.connect(rest)
        return s
    port, host = rest.split("@")
    return socket.create_connection((host, int(port)), DEADLINE)


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str)
                            else data).decode()


def plain(login, password, authzid=""):
    return b64("%s\0%s\0%s" % (authzid, login, password))


class Dovecot:
    """One connection. An answer is its fields as a list; None: closed."""

    def __init__(self, address, introduce=True):
        self.sock = connect(address)
        self.buffer = b""
        self.handshake = []
        self.last_id = 0
        self.rip = "203.0.113.9"
        if introduce:
            self.introduce()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def introduce(self):
        """Postfix says this at once, Exim when it has read DONE."""
        self.send("VERSION\t1\t0\nCPID\t4711\n")
        self.read_handshake()

    def read_handshake(self):
        while self.handshake[-1:] != [["DONE"]]:
            fields = self.read()
            if fields is None:
                raise EOFError("the handshake: %r" % self.handshake)
            self.handshake.append(fields)

    @property
    def mechanisms(self):
        return [f[1] for f in self.handshake if f[0] == "MECH"]

    def send(self, text):
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def read(self):
        """The next line's fields."""
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().split("\t")

    def closed(self):
        return self.read() is None

    def start(self, mechanism, response=None, rip="", secured=True, id_=None):
        """Postfix's way; the id. rip=None leaves it out."""
        if id_ is None:
            self.last_id += 1
            id_ = self.last_id
        fields = ["AUTH", str(id_), mechanism, "service=smtp", "nologin",
                  "lip=192.0.2.1"]
        if rip is not None:
            fields.append("rip=" + (rip or self.rip))
        if secured:
            fields.append("secured")
        if response is not None:
            fields.append("resp=" + response)
        self.send("\t".join(fields) + "\n")
        return id_

    def exim(self, mechanism, response=""):
        """Exim's way: other order, and resp= is always there."""
        self.last_id += 1
        self.send("AUTH\t%d\t%s\tservice=smtp\tsecured\trip=%s\tlip=192.0.2.1"
                  "\tnologin\tresp=%s\n" % (self.last_id, mechanism, self.rip,
                                            response))
        return self.last_id

    def cont(self, id_, response):
        self.send("CONT\t%d\t%s\n" % (id_, response))

    def auth(self, mechanism, response=None, **how):
        """AUTH and the first answer to it, without the id."""
        self.start(mechanism, response, **how)
        return self.answer()

    def answer(self):
        fields = self.read()
        return fields if fields is None else fields[:1] + fields[2:]

    def plain(self, login, password, **how):
        return self.auth("PLAIN", plain(login, password), **how)

    def login(self, login, password, **how):
        id_ = self.start("LOGIN", **how)
        first = self.answer()
        if first != ["CONT", b64("Username:")]:
            return first
        self.cont(id_, b64(login))
        second = self.answer()
        if second != ["CONT", b64("Password:")]:
            return second
        self.cont(id_, b64(password))
        return self.answer()


def counted(*strings):
    out = b""
    for s in strings:
        s = s.encode() if isinstance(s, str) else s
        out += struct.pack(">H", len(s)) + s
    return out


def libsasl(login, password, service="smtp"):
    """libsasl splits at the last '@'."""
    user, _, realm = login.rpartition("@") if "@" in login else (login, "", "")
    return counted(user, password, service, realm)


class Mux:
    """One request of saslauthd's protocol; b"": closed without an answer."""

    def __init__(self, address, request=b""):
        self.sock = connect(address)
        try:
            self.sock.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            pass  # answer() will see it

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def answer(self):
        """What came before the connection was closed, length and all."""
        out = b""
        while True:
            try:
                data = self.sock.recv(1024)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                return out
            out += data


OK, NO = b"\0\2OK", b"\0\2NO"


def ask_mux(address, request):
    with Mux(address, request) as m:
        return m.answer()


def is_cookie(text):
    return re.fullmatch("[0-9a-f]{32}", text) is not None
