# SPDX-License-Identifier: BSD-2-Clause
"""posternctl explain says what really happens: the whole matrix once more,
without an MTA, by assumption and by asking IMAP."""

import json
import subprocess

import oracle
from daemons import CONFIG, POSTERNCTL
from world import CLIENTS

RECIPIENTS = {
    "local": "<bob@example.test>",
    "remote": "<someone@other.example>",
    "routed": "<someone%other.example@example.test>",
}


def question(case, assume):
    row = {
        "addr": CLIENTS[case.client][1],
        "listener": case.port,
        "helo": "client.example.net",
        "from": "<alice@example.test>",
        "rcpt": [RECIPIENTS[case.recipient]],
    }
    if case.tls:
        row.update({"tls": "TLSv1.3", "bits": "256"})
    if case.login:
        row.update({"mech": "PLAIN", "login": oracle.LOGINS[case.login]})
        if assume:
            row["identity"] = oracle.IDENTITY[case.login]
    return row


def run(lab):
    cases = list(oracle.cases(oracle.ROLE_OF, CLIENTS))
    for assume in (True, False):
        questions = [json.dumps(question(case, assume)) + "\n" for case in cases]
        done = subprocess.run(
            [POSTERNCTL, "-c", CONFIG, "explain", "--batch"], input="".join(questions),
            capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if not lab.tap.equal("explain answers every question", len(answers), len(cases),
                             done.stderr):  # fmt: skip
            continue
        for case, answer in zip(cases, answers):
            compare(lab, case, answer, "assumed" if assume else "asked")


def compare(lab, case, answer, how):
    want = oracle.expected(case)
    expect = {"verdict": want.verdict, "code": str(want.code),
              "zone": "internal" if case.internal else "external"}  # fmt: skip
    if want.verdict != "permit":
        expect.update({"xcode": want.xcode, "reason": want.reason, "stage": want.stage})
    got = {key: answer.get(key) for key in expect}
    lab.tap.equal("explain (%s) %s: %d" % (how, case, want.code), got, expect)
