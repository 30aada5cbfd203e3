"""src/db.c by itself: tests/db/driver, a statement a line."""
import json
import shutil
import subprocess

from harness import BUILD


def bring_driver(folder):
    """For harness.database(bring=…), and for stack()."""
    shutil.copy(BUILD / "tests/db/driver", folder / "driver")


class Driver:
    """One struct db. Its log is kept."""

    def __init__(self, folder, url, connections=1, connect_ms=2000):
        self.log = folder / "driver.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([folder / "driver", url, str(connections), str(connect_ms)], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def send(self, sql):
        self.child.stdin.write(" ".join(sql.split()) + "\n")
        self.child.stdin.flush()

    def answer(self):
        return json.loads(self.child.stdout.readline())

    def ask(self, sql):
        self.send(sql)
        return self.answer()

    def close(self):
        """Returns what else was said, and the exit status."""
        rest, _ = self.child.communicate()
        return rest, self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
