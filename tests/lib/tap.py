"""TAP, as a test file prints it: the plan first, then one line an assertion."""
import re
import sys


class Tap:
    def __init__(self, plan):
        self.plan = plan
        self.run = 0
        self.failed = 0
        print(f"1..{plan}", flush=True)

    def ok(self, passed, name, *diagnosis):
        """One assertion; what `diagnosis` holds is shown only if it fails."""
        self.run += 1
        self.failed += not passed
        name = re.sub(r"[#\s]+", " ", name)
        print(f"{'ok' if passed else 'not ok'} {self.run} - {name}")
        if not passed:
            for line in "\n".join(map(str, diagnosis)).splitlines():
                print("#   " + line)
        sys.stdout.flush()
        return bool(passed)

    def skip(self, name, reason):
        """An assertion that cannot be made here; run-tap counts it apart and shows the reason."""
        self.run += 1
        name, reason = (re.sub(r"[#\s]+", " ", text) for text in (name, reason))
        print(f"ok {self.run} - {name} # SKIP {reason}", flush=True)

    def equal(self, got, wanted, name):
        return self.ok(got == wanted, name, f"got:    {got!r}", f"wanted: {wanted!r}")

    def exit_status(self):
        """0 only if all that was planned ran, and passed."""
        if self.run != self.plan:
            print(f"# planned {self.plan} assertions, ran {self.run}")
        return int(self.failed > 0 or self.run != self.plan)
