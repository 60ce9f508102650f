# SPDX-License-Identifier: BSD-2-Clause
"""SASL servers that believe everybody who knows the one password.

They play the MTA's side of the bargain gone wrong: accounts that the MTA still
accepts although IMAP has disabled or never heard of them. One speaks Dovecot's
auth protocol (Postfix), one saslauthd's (Cyrus SASL in sendmail).
"""

import base64
import os
import socketserver
import struct
import threading

from world import LAB, PASSWORD

DOVECOT = LAB + "/sasl"
MUX = LAB + "/mux"


class DovecotAuth(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("VERSION", "1", "1")
        self.say("MECH", "PLAIN", "plaintext")
        self.say("MECH", "LOGIN", "plaintext")
        self.say("SPID", str(os.getpid()))
        self.say("CUID", "1")
        self.say("COOKIE", "00112233445566778899aabbccddeeff")
        self.say("DONE")
        for line in self.rfile:
            words = line.decode().rstrip("\n").split("\t")
            if words[0] == "AUTH":
                self.authenticate(words)

    def say(self, *words):
        self.wfile.write(("\t".join(words) + "\n").encode())

    def ask(self, number, prompt):
        self.say("CONT", number, base64.b64encode(prompt).decode())
        return base64.b64decode(self.rfile.readline().decode().split("\t")[2])

    def authenticate(self, words):
        number, mechanism = words[1:3]
        if mechanism == "PLAIN":
            # resp= is the last word, and base64 may end in "="
            given = [word[5:] for word in words if word.startswith("resp=")]
            token = base64.b64decode(given[0]) if given else self.ask(number, b"")
            _, user, password = token.decode().split("\0")
        else:
            user = self.ask(number, b"Username:").decode()
            password = self.ask(number, b"Password:").decode()
        good = password == PASSWORD
        self.say("OK" if good else "FAIL", number, "user=" + user)


class Saslauthd(socketserver.StreamRequestHandler):
    def handle(self):
        fields = []
        for _ in ("login", "password", "service", "realm"):
            length = struct.unpack(">H", self.rfile.read(2))[0]
            fields.append(self.rfile.read(length).decode())
        answer = b"OK" if fields[1] == PASSWORD else b"NO"
        self.wfile.write(struct.pack(">H", len(answer)) + answer)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def start():
    for path, handler in ((DOVECOT, DovecotAuth), (MUX, Saslauthd)):
        server = Server(path, handler)
        os.chmod(path, 0o666)
        threading.Thread(target=server.serve_forever, daemon=True).start()
