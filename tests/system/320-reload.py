# SPDX-License-Identifier: BSD-2-Clause
"""SIGUSR1: nobody is refused for it, a session keeps the policy it began with,
a broken file changes nothing and is talked about."""

import os
import signal
import threading

import smtp
from daemons import ALICE, CONFIG, DISABLED
from world import read, write

FAR = "someone@other.example"
RELOADED = r"info: reloaded "
KEPT = r"alarm: reload of .* failed, the old configuration stays in force"
RELOADS = 20


def run(lab):
    lab.use(lab.postfix)
    under_load(lab)
    sessions_keep_policy(lab)
    stronger_tls(lab)
    broken_files(lab)
    lab.postern.reload(RELOADED)


def mail_from(lab, client, tls=None, context=None, login=""):
    port = lab.mta.port["submission"]
    with smtp.connect(lab.world, client, port, tls, context) as s:
        if login:
            s.auth_plain(login)
        return s.deliver(ALICE, FAR)[1].code


def under_load(lab):
    """Each kind of session over and over, while the policy is replaced."""
    kinds = (
        (("inside4", None, None, ""), 250),
        (("inside6", "starttls", None, ALICE), 250),
        (("outside4", "starttls", None, ALICE), 250),
        (("outside6", "starttls", None, DISABLED), 525),
    )
    done = threading.Event()
    results = {want: [] for want in kinds}

    def work(kind):
        while not done.is_set():
            results[kind].append(mail_from(lab, *kind[0]))

    threads = [threading.Thread(target=work, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        for number in range(RELOADS):
            extra = "# reload %d\n" % number
            if number % 2:
                extra += 'identity { refused_ttl = "%ds" }' % (number + 1)
            lab.postern.reload(RELOADED, extra=extra)
    finally:
        done.set()
        for thread in threads:
            thread.join(60.0)
    for kind in kinds:
        (client, tls, _, login), want = kind
        got = results[kind]
        name = "%d reloads, %d sessions, %s %s %s: all %d" % (
            RELOADS, len(got), client, tls or "clear", login or "no-auth", want)  # fmt: skip
        lab.tap.equal(name, (set(got), bool(got)), ({want}, True))


def sessions_keep_policy(lab):
    port = lab.mta.port["submission"]
    with smtp.connect(lab.world, "inside4", port) as old:
        old.deliver(ALICE, FAR)
        lab.postern.reload(RELOADED, internal=["127.0.0.0/8"])
        with smtp.connect(lab.world, "inside4", port) as new:
            got = [old.deliver(ALICE, FAR)[1].code, new.mail(ALICE).code]
        lab.tap.equal("the old session keeps its networks, the new one has the new",
                      got, [250, 530])  # fmt: skip
    lab.postern.reload(RELOADED)
    with smtp.connect(lab.world, "inside4", port) as again:
        lab.tap.equal("and back again", again.mail(ALICE).code, 250)


def stronger_tls(lab):
    old_tls = smtp.client_context(maximum_version=smtp.ssl.TLSVersion.TLSv1_2)
    got = [mail_from(lab, "outside4", "starttls", old_tls, ALICE)]
    lab.postern.reload(RELOADED, extra='tls { min_version = "TLSv1.3" }')
    got.append(mail_from(lab, "outside4", "starttls", old_tls, ALICE))
    got.append(mail_from(lab, "outside4", "starttls", None, ALICE))
    lab.tap.equal("TLS 1.2 passes until 1.3 is the floor", got, [250, 554, 250])
    lab.postern.reload(RELOADED)


def broken_files(lab):
    good = read(CONFIG)
    cases = (
        ("nonsense", "internal = {{\n"),
        ("an open relay", good.replace('"10.77.0.0/24"', '"0.0.0.0/0"')),
        ("an unknown key", good + "\nlisten_too = 1\n"),
        ("host bits", good.replace('"10.77.0.0/24"', '"10.77.0.1/24"')),
        ("an empty file", ""),
    )
    for name, text in cases:
        write(CONFIG, text)
        check_kept(lab, name)
    os.unlink(CONFIG)
    check_kept(lab, "no file")
    write(CONFIG, good)
    os.chmod("/etc/postern/imap.secret", 0o644)
    check_kept(lab, "a secret that others can read")
    os.chmod("/etc/postern/imap.secret", 0o600)


def check_kept(lab, name):
    mark = lab.postern.log.mark()
    lab.postern.process.send_signal(signal.SIGUSR1)
    lab.postern.log.wait(KEPT, mark)
    said = lab.postern.log.find(r"warning: reload: .*error: ", mark)
    lab.tap.true("%s: the log says what is wrong" % name, said)
    got = [mail_from(lab, "inside4"), mail_from(lab, "outside4"),
           mail_from(lab, "outside4", "starttls", None, ALICE)]  # fmt: skip
    lab.tap.equal("%s: the old policy stays" % name, got, [250, 530, 250])
    lab.tap.true("%s: postern lives" % name, lab.postern.running())
