# SPDX-License-Identifier: BSD-2-Clause
"""Postfix without a lock of its own, all combinations of client, TLS, login
and recipient, on all three listeners: nothing passes that must not."""

import matrix


def run(lab):
    postfix = lab.use(lab.postfix)
    mark = postfix.log.mark()
    passed = matrix.play_all(lab, postfix.port, lambda port: port)
    check_deliveries(lab, postfix, passed, mark)


def check_deliveries(lab, postfix, passed, mark):
    """What passed went where it should, and nothing else went anywhere."""
    want = {}
    for attempt in passed:
        remote = attempt.case.recipient == "remote"
        want[attempt.typed] = "RELAYED" if remote else "LOCAL"
    postfix.settle()
    got = {name: postfix.destination(name, seconds=10.0) for name in want}
    lab.tap.equal("postfix: %d accepted messages are delivered" % len(want), got, want)
    got = postfix.delivered(mark) - set(want)
    lab.tap.equal("postfix: nothing else is relayed or delivered", got, set())
