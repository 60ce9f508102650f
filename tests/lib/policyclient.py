# SPDX-License-Identifier: BSD-2-Clause
"""MTAs as postern's delegation door sees them: Postfix, which keeps its
connection, and Exim's readsocket, which has one for each question and shuts its
side of it."""

import re
import socket

from authclient import connect

# What Postfix 3.7 sends, in its order; empty unless a request has it.
NAMES = """request protocol_state protocol_name client_address client_name
client_port reverse_client_name server_address server_port helo_name sender
recipient recipient_count queue_id instance size etrn_domain stress sasl_method
sasl_username sasl_sender ccert_subject ccert_issuer ccert_fingerprint
ccert_pubkey_fingerprint encryption_protocol encryption_cipher
encryption_keysize policy_context""".split()
ALWAYS = {"request": "smtpd_access_policy", "protocol_name": "ESMTP",
          "client_name": "unknown", "client_port": "41234",
          "server_port": "587", "helo_name": "client.example",
          "recipient_count": "0", "size": "0", "encryption_keysize": "0",
          "policy_context": "submission"}
TLS = {"encryption_protocol": "TLSv1.3", "encryption_keysize": "256",
       "encryption_cipher": "TLS_AES_256_GCM_SHA384"}


def request(**values):
    """As octets. None leaves an attribute out."""
    values = {**dict.fromkeys(NAMES, ""), **ALWAYS, **values}
    return b"".join(
        ("%s=%s\n" % pair).encode("utf-8", "surrogateescape")
        for pair in values.items() if pair[1] is not None) + b"\n"


def mail(address, sender="alice@example.org", **values):
    return request(protocol_state="MAIL", client_address=address,
                   sender=sender, **values)


def rcpt(address, recipient, sender="alice@example.org", **values):
    return request(protocol_state="RCPT", client_address=address,
                   sender=sender, recipient=recipient, **values)


def login(name, mechanism="PLAIN"):
    return {**TLS, "sasl_method": mechanism, "sasl_username": name}


def unquoted(path):
    """The path of MAIL or RCPT as Postfix hands it on; None: it cannot be told
    (the MTA strips source routes, and refuses or repairs the rest)."""
    m = re.fullmatch(r'<(?:([^"<>@\s][^"<>\s]*)|"((?:[^"\\]|\\.)*)"(@[^"]+))?>',
                     path)
    if m is None:
        return None
    if m[2] is None:
        return m[1] or ""
    return re.sub(r"\\(.)", r"\1", m[2]) + m[3]


class Action:
    """An answer: "DUNNO", "OK", or a reply; None: closed without one."""

    def __init__(self, text):
        self.text = text
        m = re.fullmatch(r"([45]\d\d) ([45]\.\d{1,3}\.\d{1,3}) "
                         r"([ -~]+ \(id ([0-9A-Za-z]+)\))", text or "")
        self.code, self.xcode, self.id = (
            (m[1], m[2], m[4]) if m else
            (("250", "2.1.0", None) if text in ("DUNNO", "OK")
             else (None, None, None)))

    def __repr__(self):
        return repr(self.text)


class Policy:
    """One connection."""

    def __init__(self, address):
        self.sock = connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def shut(self):
        self.sock.shutdown(socket.SHUT_WR)

    def read(self):
        while b"\n\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return Action(None)
            self.buffer += data
        answer, self.buffer = self.buffer.split(b"\n\n", 1)
        text = answer.decode("ascii")
        return Action(text[7:] if text.startswith("action=") else None)

    def ask(self, data):
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # there may be an answer all the same
        return self.read()


def exim(address, data):
    """readsocket: the question, end of file, everything up to the end."""
    with Policy(address) as c:
        c.send(data)
        c.shut()
        action, rest = c.read(), c.read()
        if rest.text is not None or c.buffer:
            raise AssertionError("more than one answer: %r" % rest)
        return action
