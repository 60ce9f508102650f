# SPDX-License-Identifier: BSD-2-Clause
"""The matrix of 100 on sendmail as a promiscuous relay. Its queue keeps all
that was accepted."""

import matrix


def run(lab):
    sendmail = lab.use(lab.sendmail)
    passed = matrix.play_all(lab, sendmail.port, sendmail.listener.get)
    want = {attempt.typed: attempt.sender for attempt in passed}
    got = sendmail.queued()
    lab.tap.equal("sendmail: %d accepted messages and no other are queued" % len(want),
                  got, want)  # fmt: skip
