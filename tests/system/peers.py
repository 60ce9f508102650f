# SPDX-License-Identifier: BSD-2-Clause
"""Every way in which an MTA asks postern for a password, side by side."""

import base64
import concurrent.futures
import re
import subprocess

import smtp
from world import CLIENTS, PASSWORD

FAR = "someone@other.example"


class Peer:
    """One listener of one MTA."""

    def __init__(self, name, mta, port, undecided, milter=True, address=True):
        self.name = name
        self.mta = mta
        self.port = port
        self.undecided = undecided  # what "cannot tell" becomes
        self.milter = milter  # postern judges the mail, too
        self.address = address  # its protocol carries the client's address

    def connect(self, world, client="outside4"):
        return smtp.connect(world, client, self.port, "starttls")

    def login(self, world, login, password=PASSWORD, client="outside4", method="auth_plain"):
        """The reply to a login in a session of its own."""
        with self.connect(world, client) as s:
            return getattr(s, method)(login, password)

    def deliver(self, world, sender, recipient, login, client="outside4"):
        """Code of AUTH, then where the transaction ended and with what."""
        with self.connect(world, client) as s:
            answer = s.auth_plain(login)
            if answer.code != 235:
                return answer.code, "auth", answer.code
            stage, reply = s.deliver(sender, recipient)
            return answer.code, stage, reply.code

    def swaks(self, world, login, password, mechanism):
        """The last SMTP code that an independent client got from its AUTH."""
        net, source, server = CLIENTS["outside4"]
        done = subprocess.run(
            world.hosts[net].command(
                "swaks", "--server", server, "--port", str(self.port), "--tls",
                "--local-interface", source, "--ehlo", "client.example.net",
                "--from", login, "--to", FAR, "--quit-after", "AUTH", "--timeout", "20",
                "--auth", mechanism, "--auth-user", login, "--auth-password", password),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
        codes = [line[4:7] for line in done.stdout.splitlines()
                 if line.startswith(("<~  ", "<~* ")) and line[4:7] in ("235", "435", "454", "535")]  # fmt: skip
        return int(codes[-1]) if codes else done.stdout

    def accepted(self, recipient):
        """Does the MTA say that it took a message for this recipient?"""
        if self.mta.name == "postfix":
            return self.mta.destination(recipient, 10.0) == "RELAYED"
        if self.mta.name == "sendmail":
            return recipient in self.mta.queued()
        return bool(self.mta.accepted(recipient))


    def login_of(self, sender):
        """Who sent mail of this sender, as the MTA's own log has it."""
        log, sender = self.mta.log, re.escape(sender)
        if self.mta.name == "postfix":
            line = log.wait(r"\]: \w+: from=<%s>" % sender)[0]
            queue = re.search(r"\]: (\w+): from=", line).group(1)
            line = log.wait(r"\]: %s: client=" % queue)[0]
            return re.search(r"sasl_username=(\S*)|$", line).group(1)
        line = log.wait(" <= %s " % sender)[0]
        return re.search(r" A=\w+:(\S*)|$", line).group(1)


def all_of(lab):
    """The six that ask postern."""
    port = lab.postfix.sasl_port
    return [
        Peer("postfix-unix", lab.postfix, port["unix"], 454),
        Peer("postfix-tcp", lab.postfix, port["tcp"], 454),
        Peer("postfix-cyrus", lab.postfix, port["cyrus"], 454, address=False),
        Peer("sendmail-cyrus", lab.sendmail, lab.sendmail.aside["submission"], 535, address=False),
        Peer("exim-dovecot", lab.exims[0], lab.exims[0].port["submission"], 435, milter=False),
        Peer("exim-saslauthd", lab.exims[1], lab.exims[1].port["submission"], 435,
             milter=False, address=False),
    ]  # fmt: skip


def forgotten(lab):
    """The listener that believes a password file which postern never saw."""
    return Peer("postfix-sasldb", lab.postfix, lab.postfix.sasl_port["forgotten"], 535)


def each(peers, function, *arguments):
    """function(peer, ...) for all of them at once: {name: result}."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(peers)) as pool:
        futures = {peer.name: pool.submit(function, peer, *arguments) for peer in peers}
        return {name: future.result() for name, future in futures.items()}


def secrets_of(login, password):
    """How a password would look in a file: itself, and what carries it."""
    plain = b"\0%s\0%s" % (login.encode(), password.encode())
    found = {password.encode(), password.encode().hex().encode()}
    for data in (password.encode(), plain):
        # base64 of the same octets differs with what stands before them
        for shift in range(3):
            text = base64.b64encode(b"x" * shift + data)
            found.add(text[4 if shift else 0 : -4])
    return found
