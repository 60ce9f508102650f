# SPDX-License-Identifier: BSD-2-Clause
"""Results in the Test Anything Protocol, one line a case."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    @staticmethod
    def begin(test):
        print("# " + test, flush=True)

    def ok(self, name):
        self.count += 1
        print("ok %d - %s" % (self.count, name), flush=True)

    def fail(self, name, *comments):
        self.count += 1
        self.failed += 1
        print("not ok %d - %s" % (self.count, name))
        for comment in comments:
            for line in str(comment).rstrip("\n").split("\n"):
                print("#   " + line)
        print(end="", flush=True)

    def equal(self, name, got, want, *comments):
        """One case: got has to be want. Dictionaries name their differences."""
        if got == want:
            self.ok(name)
            return True
        if isinstance(got, dict) and isinstance(want, dict):
            rows = ["%s: got %r, want %r" % (key, got.get(key), want.get(key))
                    for key in {**want, **got} if got.get(key) != want.get(key)]  # fmt: skip
        else:
            rows = ["got  %r" % (got,), "want %r" % (want,)]
        self.fail(name, *rows, *comments)
        return False

    def true(self, name, value, *comments):
        return self.equal(name, bool(value), True, *comments)

    def finish(self):
        print("1..%d" % self.count)
        print("# %d passed, %d failed" % (self.count - self.failed, self.failed), flush=True)
        return 1 if self.failed or not self.count else 0
