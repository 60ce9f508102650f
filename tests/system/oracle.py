# SPDX-License-Identifier: BSD-2-Clause
"""What has to happen, from the promise alone.

    A recipient passes only if the client's own address is internal, or the
    client is on TLS, has authenticated and IMAP says that the account is alive,
    or the listener is the public MX and the recipient is local. A routed
    recipient passes nowhere.

Written apart from postern's rules, on purpose.
"""

from dataclasses import dataclass

import daemons

LOGINS = {"live": daemons.ALICE, "disabled": daemons.DISABLED, "unknown": daemons.GHOST}
IDENTITY = {"live": "verified", "disabled": "disabled", "unknown": "refused"}
ROLE_OF = {"smtp": "mx", "submission": "submission", "submissions": "submission"}


@dataclass(frozen=True)
class Case:
    client: str  # a name in world.CLIENTS
    port: str  # smtp, submission, submissions
    tls: bool
    login: str  # "", live, disabled, unknown
    recipient: str  # local, remote, routed

    def __str__(self):
        return "%s %s %s %s -> %s" % (
            self.client, self.port, "tls" if self.tls else "clear",
            self.login or "no-auth", self.recipient)  # fmt: skip

    @property
    def internal(self):
        return self.client.startswith("inside")


@dataclass(frozen=True)
class Outcome:
    stage: str  # where it is refused; rcpt when it passes
    verdict: str
    code: int
    xcode: str
    reason: str


def permit(reason):
    return Outcome("rcpt", "permit", 250, "2.1.5", reason)


ACCOUNT_TROUBLE = {
    "disabled": Outcome("mail", "reject", 525, "5.7.13", "identity-disabled"),
    "unknown": Outcome("mail", "reject", 550, "5.7.1", "identity-refused"),
}
WITHOUT_TLS = Outcome("mail", "reject", 530, "5.7.0", "external-without-tls")
WITHOUT_AUTH = Outcome("mail", "reject", 530, "5.7.0", "external-without-auth")
ROUTED = Outcome("rcpt", "reject", 550, "5.7.1", "recipient-routed")
RELAY = Outcome("rcpt", "reject", 550, "5.7.1", "relay-denied")


def expected(case):
    guest = ROLE_OF[case.port] == "mx" and not case.login and not case.internal
    if not case.internal and not guest:
        if not case.tls:
            return WITHOUT_TLS
        if not case.login:
            return WITHOUT_AUTH
    if case.login in ACCOUNT_TROUBLE:
        return ACCOUNT_TROUBLE[case.login]
    if case.recipient == "routed":
        return ROUTED
    if guest and case.recipient != "local":
        return RELAY
    if case.internal:
        return permit("internal-network")
    return permit("local-recipient" if guest else "authenticated")


def identity_in_log(case):
    """IMAP is asked only where its answer can matter."""
    if case.login and (case.internal or case.tls):
        return IDENTITY[case.login]
    return "-"


def cases(ports, clients=("inside4", "inside6", "outside4", "outside6")):
    for port in ports:
        for client in clients:
            for tls in (True,) if port == "submissions" else (False, True):
                for login in ("", *LOGINS):
                    for recipient in ("local", "remote", "routed"):
                        yield Case(client, port, tls, login, recipient)
