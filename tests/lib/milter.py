# SPDX-License-Identifier: BSD-2-Clause
"""The MTA's side of the milter protocol, scripted.

Session plays Postfix 3.7 or sendmail 8.17 towards a filter: it negotiates,
sends the macros that belong in front of each command, leaves out the steps
that the filter does not want (SMFIP_NO*) and does not wait for the replies
that it will not get (SMFIP_NR_*). Wire is the layer below: single packets,
half packets and packets that no MTA would send.

A session never guesses: a filter that goes away is Reply("gone"), a filter
that says nothing within the deadline raises TimeoutError.
"""

import re
import socket
import struct

# SMFIC_*: the MTA's commands
OPTNEG, MACRO, CONNECT, HELO, MAIL, RCPT = b"O", b"D", b"C", b"H", b"M", b"R"
DATA, HEADER, EOH, BODY, EOM = b"T", b"L", b"N", b"B", b"E"
ABORT, QUIT, QUIT_NC, UNKNOWN = b"A", b"Q", b"K", b"U"

# SMFIP_NO*: the filter does not want the step
NO_STEP = {
    CONNECT: 0x1,
    HELO: 0x2,
    MAIL: 0x4,
    RCPT: 0x8,
    BODY: 0x10,
    HEADER: 0x20,
    EOH: 0x40,
    UNKNOWN: 0x100,
    DATA: 0x200,
}
# SMFIP_NR_*: the filter gets the step and will not answer it
NO_REPLY = {
    HEADER: 0x80,
    CONNECT: 0x1000,
    HELO: 0x2000,
    MAIL: 0x4000,
    RCPT: 0x8000,
    DATA: 0x10000,
    UNKNOWN: 0x20000,
    EOH: 0x40000,
    BODY: 0x80000,
}
RCPT_REJ = 0x800
SETSYMLIST = 0x100  # SMFIF_SETSYMLIST

# SMFIM_*: the stages of macro lists on the wire, and their commands
SYMLIST_STAGE = {0: CONNECT, 1: HELO, 2: MAIL, 3: RCPT, 4: DATA, 5: EOM, 6: EOH}

TLS_NAMES = ["{tls_version}", "{cipher}", "{cipher_bits}"]
CERT_NAMES = ["{cert_subject}", "{cert_issuer}"]

# What is sent at which stage unless the filter asks for other names.
POSTFIX_MACROS = {
    CONNECT: ["j", "{daemon_name}", "{daemon_addr}", "v", "_"],
    HELO: TLS_NAMES + CERT_NAMES,
    MAIL: ["i", "{auth_type}", "{auth_authen}", "{auth_author}",
           "{mail_addr}", "{mail_host}", "{mail_mailer}"],
    RCPT: ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
    DATA: ["i"],
    EOH: ["i"],
    EOM: ["i"],
}
SENDMAIL_MACROS = {
    CONNECT: ["j", "_", "{daemon_name}", "{if_name}", "{if_addr}"],
    HELO: TLS_NAMES + CERT_NAMES,
    MAIL: ["i", "{auth_type}", "{auth_authen}", "{auth_ssf}", "{auth_author}",
           "{mail_mailer}", "{mail_host}", "{mail_addr}"],
    RCPT: ["{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"],
    DATA: [],
    EOH: [],
    EOM: ["{msg_id}"],
}
# Names that Postfix has no value for, whoever asks.
POSTFIX_NEVER = {"{verify}", "{auth_ssf}", "{if_name}", "{if_addr}",
                 "{cn_subject}", "{nrcpts}", "{msg_id}", "{msg_size}"}

NAMES = {
    b"c": "continue", b"a": "accept", b"r": "reject", b"t": "tempfail",
    b"d": "discard", b"s": "skip", b"y": "replycode", b"f": "conn-fail",
    b"4": "shutdown", b"O": "optneg", b"p": "progress",
}


class Offer:
    """What an MTA offers in its first packet."""

    def __init__(self, version, actions, protocol):
        self.version, self.actions, self.protocol = version, actions, protocol


OFFER_NEW = Offer(6, 0x1FF, 0x1FFFFF)  # Postfix 3.7, sendmail 8.17
OFFER_OLD = Offer(2, 0x3F, 0x7F)  # no setsymlist, no NR_*, no NODATA


class Reply:
    """What the filter said, and what an MTA would make of it."""

    def __init__(self, kind, data=b""):
        self.kind, self.data = kind, data
        self.code = self.xcode = self.text = self.id = None
        if kind == "replycode":
            self._parse(data.rstrip(b"\0").decode("utf-8", "surrogateescape"))
        elif kind == "reject":
            self.code, self.xcode = "550", "5.7.1"
        elif kind in ("tempfail", "gone", "conn-fail"):
            self.code, self.xcode = "451", "4.7.1"
        elif kind == "shutdown":
            self.code, self.xcode = "421", "4.7.0"
        elif kind == "continue":
            self.code, self.xcode = "250", "2.1.0"

    def _parse(self, line):
        self.raw = line
        m = re.fullmatch(r"([45]\d\d) (?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)",
                         line, re.DOTALL)
        if m:
            self.code, self.xcode, self.text = m.groups()
            # the MTA takes %% for %; a single % spoils the reply
            self.id = None
            tail = re.search(r" \(id ([A-Z0-9]{6})\)$", self.text)
            if tail:
                self.id = tail.group(1)

    @property
    def verdict(self):
        """permit, reject or tempfail; "forbidden" for what postern must never
        return, "unreadable" for a reply text that no MTA would take."""
        if self.kind == "continue":
            return "permit"
        if self.kind in ("accept", "discard", "skip"):
            return "forbidden"
        if self.code is None:
            return "unreadable"
        return "reject" if self.code.startswith("5") else "tempfail"

    @property
    def permits(self):
        return self.verdict in ("permit", "forbidden")

    @property
    def gone(self):
        return self.kind == "gone"

    def __str__(self):
        if self.kind == "replycode":
            return self.raw if self.code is None else " ".join(
                x for x in (self.code, self.xcode, self.text) if x)
        return self.kind

    __repr__ = __str__


def to_bytes(text):
    """Text as the wire has it: UTF-8, and \\udcXX for a raw octet."""
    if isinstance(text, bytes):
        return text
    return text.encode("utf-8", "surrogateescape")


def xtext(text):
    """RFC 3461 section 4, as sendmail writes a login."""
    return b"".join(
        bytes((c,)) if 33 <= c <= 126 and c not in b"+=()<>" else b"+%02X" % c
        for c in to_bytes(text)).decode("ascii")


def packet(command, data=b""):
    return struct.pack("!I", len(data) + 1) + command + data


def strings(*texts):
    return b"".join(to_bytes(t) + b"\0" for t in texts)


def connect_data(host, family, port=0, address=""):
    """family: 4, 6, L (AF_UNIX) or U (the MTA does not know)."""
    head = strings(host) + to_bytes(str(family))
    if str(family) == "U":
        return head
    return head + struct.pack("!H", port) + strings(address)


class Wire:
    """One connection to the filter. where: unix:PATH or inet[6]:PORT@HOST."""

    def __init__(self, where, timeout=20):
        kind, _, rest = where.partition(":")
        if kind in ("unix", "local"):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = rest
        else:
            port, _, host = rest.partition("@")
            self.sock = socket.socket(
                socket.AF_INET6 if kind == "inet6" else socket.AF_INET)
            target = (host, int(port))
        self.sock.settimeout(timeout)
        self.sock.connect(target)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def raw(self, octets):
        """Sends as it is. False: the filter is gone."""
        try:
            self.sock.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send(self, command, data=b""):
        return self.raw(packet(command, data))

    def drip(self, octets):
        """Sends octet by octet, each in a segment of its own."""
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return all(self.raw(octets[i:i + 1]) for i in range(len(octets)))

    def macros(self, command, pairs):
        return self.send(MACRO, command + strings(
            *[x for pair in pairs for x in pair]))

    def _exactly(self, count):
        octets = b""
        while len(octets) < count:
            more = self.sock.recv(count - len(octets))
            if not more:
                raise ConnectionResetError("closed")
            octets += more
        return octets

    def reply(self):
        """The next reply; progress and modifications are passed over."""
        while True:
            try:
                length = struct.unpack("!I", self._exactly(4))[0]
                body = self._exactly(length)
            except (ConnectionResetError, BrokenPipeError):
                return Reply("gone")
            kind = NAMES.get(body[:1])
            if kind is None or kind == "progress":
                continue
            return Reply(kind, body[1:])

    def ask(self, command, data=b""):
        if not self.send(command, data):
            return Reply("gone")
        return self.reply()

    def last_words(self, command, data=b""):
        """Asks and closes the sending side, so that a question which libmilter
        passes over in silence (it came out of order) ends in Reply("gone")."""
        self.send(command, data)
        self.half_close()
        return self.reply()

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def replies(self):
        """All that is still said until the filter closes."""
        got = []
        while True:
            r = self.reply()
            if r.gone:
                return got
            got.append(r)


class Session(Wire):
    """An MTA with one SMTP client. `values` holds what the MTA knows now, by
    macro name; a name without a value is not sent. style: postfix, sendmail."""

    def __init__(self, where, style="postfix", offer=OFFER_NEW, timeout=20,
                 daemon_name="submission", negotiate=True):
        super().__init__(where, timeout)
        self.style = style
        self.lists = dict(
            POSTFIX_MACROS if style == "postfix" else SENDMAIL_MACROS)
        self.protocol = 0
        self.in_transaction = False
        self.verbatim = {}  # values that stay as they are
        self.values = {"j": "mail.example.org", "{daemon_name}": daemon_name}
        if style == "postfix":
            self.values["v"] = "Postfix 3.7.11"
            self.values["{daemon_addr}"] = "192.0.2.25"
        else:
            self.values["v"] = "8.17.1.9"
            self.values["{if_name}"] = "mail.example.org"
            self.values["{if_addr}"] = "192.0.2.25"
            self.values["{msg_id}"] = "<1@client.example>"
        if negotiate:
            self.negotiate(offer)

    # -- negotiation ------------------------------------------------------

    def negotiate(self, offer=OFFER_NEW):
        r = self.ask(OPTNEG, struct.pack(
            "!III", offer.version, offer.actions, offer.protocol))
        self.agreed = None
        if r.kind != "optneg" or len(r.data) < 12:
            return r
        self.agreed = struct.unpack("!III", r.data[:12])
        self.protocol = self.agreed[2]
        # libmilter takes an offer of no steps at all for one of version 1
        if offer.protocol and self.protocol & ~offer.protocol:
            raise AssertionError("the filter asks for what was not offered")
        self.asked = {}
        rest = r.data[12:]
        if offer.actions & SETSYMLIST:
            while len(rest) >= 4:
                stage = struct.unpack("!I", rest[:4])[0]
                text, _, rest = rest[4:].partition(b"\0")
                command = SYMLIST_STAGE[stage]
                self.asked[command] = text.decode().split()
                self.lists[command] = self.asked[command]
        return r

    # -- macros -----------------------------------------------------------

    def value(self, name):
        """Postfix takes `{i}` for `i` and back; an absent value is None."""
        if name in self.verbatim:
            return self.verbatim[name]
        bare = name.strip("{}")
        for n in (name, bare if len(bare) == 1 else "{" + bare + "}"):
            v = self.values.get(n)
            if v is not None:
                break
        if v is None or (self.style == "postfix" and name in POSTFIX_NEVER):
            return None
        if self.style == "sendmail" and name == "{auth_authen}":
            return xtext(v)
        return v

    def pairs(self, command):
        got = [(n, self.value(n)) for n in self.lists.get(command, [])]
        return [(n, v) for n, v in got if v is not None]

    def send_macros(self, command):
        pairs = self.pairs(command)
        # sendmail sends an empty HELO packet before TLS; Postfix sends none
        if pairs or (self.style == "sendmail" and command == HELO):
            self.macros(command, pairs)

    def start_tls(self, version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384",
                  bits="256"):
        self.values.update({"{tls_version}": version, "{cipher}": cipher,
                            "{cipher_bits}": bits})
        if self.style == "sendmail":
            self.values.update({"{verify}": "NO", "{cert_subject}": "",
                                "{cert_issuer}": ""})

    def log_in(self, mechanism, login):
        self.values.update(
            {"{auth_type}": mechanism, "{auth_authen}": login})
        if self.style == "sendmail":
            self.values["{auth_ssf}"] = "0"

    def log_out(self):
        for name in ("{auth_type}", "{auth_authen}", "{auth_ssf}"):
            self.values.pop(name, None)

    # -- steps ------------------------------------------------------------

    def step(self, command, data=b"", macros=True):
        """One step as the MTA takes it: left out, unanswered, or answered.
        Postfix sends the macros of a step also where it leaves the step out."""
        left_out = self.protocol & NO_STEP.get(command, 0)
        if macros and not (left_out and self.style == "sendmail"):
            self.send_macros(command)
        if left_out:
            return Reply("continue")
        if self.protocol & NO_REPLY.get(command, 0):
            return Reply("continue" if self.send(command, data) else "gone")
        return self.ask(command, data)

    def connect(self, address, host=None, port=40000, family=None):
        """address None: the MTA has none. A path is AF_UNIX."""
        if family is None:
            family = ("U" if address is None else
                      "L" if address.startswith("/") else
                      "6" if ":" in address else "4")
        if host is None:
            host = "localhost" if family == "L" else "[%s]" % (
                address or "unknown")
        self.values["_"] = "%s [%s]" % (host, address or "unknown")
        self.values["{client_addr}"] = address or "unknown"
        self.values["{client_name}"] = host
        return self.step(CONNECT, connect_data(
            host, family, 0 if family == "L" else port, address or ""))

    def helo(self, name="client.example"):
        return self.step(HELO, strings(name))

    def mail(self, path, args=(), resolved=None):
        """path is what the client typed after FROM:."""
        if resolved is None:
            resolved = "" if isinstance(path, bytes) else plain(path)
        self.values["{mail_addr}"] = resolved
        host = resolved.rpartition("@")[2]
        self.values["{mail_host}"] = host
        self.values["{mail_mailer}"] = "smtp"
        for arg in args:
            if arg.upper().startswith("AUTH="):
                self.values["{auth_author}"] = arg[5:]
        r = self.step(MAIL, strings(path, *args))
        self.in_transaction = r.kind == "continue"
        self.values.pop("{auth_author}", None)
        return r

    def rcpt(self, path, args=(), resolved=None, host=None, mailer="smtp"):
        if resolved is None:
            resolved = "" if isinstance(path, bytes) else plain(path)
        if host is None:
            host = resolved.rpartition("@")[2]
        self.values["{rcpt_addr}"] = resolved
        self.values["{rcpt_host}"] = host
        self.values["{rcpt_mailer}"] = mailer
        r = self.step(RCPT, strings(path, *args))
        if r.kind == "continue" and self.style == "postfix":
            self.values["i"] = "3F2A1B0C4D"  # from the second RCPT on
        return r

    def data(self):
        if self.style == "sendmail":
            self.values["i"] = "4ALAaaaa001234"
        return self.step(DATA)

    def message(self, headers=(("Subject", "a test"),), body=b"Hello\r\n"):
        """DATA to the end of the message; the first refusal ends it."""
        steps = [(DATA, b"")]
        steps += [(HEADER, strings(n, " " + v if self.protocol & 0x100000
                                   else v)) for n, v in headers]
        steps += [(EOH, b""), (BODY, body), (EOM, b"")]
        if self.style == "sendmail":
            self.values["i"] = "4ALAaaaa001234"
        for command, octets in steps:
            r = self.step(command, octets, macros=command in (DATA, EOH, EOM))
            if r.kind != "continue":
                return r
        self.values.pop("i", None)
        self.in_transaction = False
        return r

    def abort(self):
        """RSET, a second EHLO, or an MTA that gave the message up."""
        self.values.pop("i", None)
        self.in_transaction = False
        return self.send(ABORT)

    def quit(self):
        self.send(QUIT)
        self.close()

    def quit_nc(self):
        """The end of this SMTP session; the connection serves another."""
        if self.in_transaction:
            self.abort()
        self.send(QUIT_NC)
        self.log_out()
        for name in TLS_NAMES + CERT_NAMES + ["i", "_"]:
            self.values.pop(name, None)

    def greet(self, address, helo="client.example", tls=False, login=None,
              mechanism="PLAIN", host=None):
        """CONNECT, HELO, and again HELO under TLS. The last reply."""
        r = self.connect(address, host)
        if r.kind == "continue" and helo is not None:
            r = self.helo(helo)
        if tls:
            self.start_tls()
            if r.kind == "continue":
                r = self.helo(helo)
        if login is not None:
            self.log_in(mechanism, login)
        return r


def plain(path):
    """Roughly what an MTA resolves a path to: no brackets, no source route."""
    text = path.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if text.startswith("@") and ":" in text:
        text = text.partition(":")[2]
        if text.startswith("@"):  # an address literal has colons, too
            text = text.rpartition(":")[2]
    return text
