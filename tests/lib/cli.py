"""The commands as real processes, for suites of them."""
import json
import os
import re
import shutil
import subprocess
import tempfile

PASSWORD = "a password that only these suites use"
TOKEN = re.compile(r"psql_live_[0-9A-Za-z]{49}")
CLEAN_ENV = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}


class Cli:
    """Runs commands in a directory of its own, and remembers what they printed."""

    def __init__(self, binary, checks):
        self.binary, self.checks = binary, checks
        self.dir = tempfile.mkdtemp(prefix="holdfast-cli-")
        self.seen = []  # all that was ever printed, but for what may hold a secret

    def run(self, *words, input="", env=None, secret=False):
        done = subprocess.run([self.binary, *words], text=True, input=input, capture_output=True, env=dict(CLEAN_ENV, **(env or {})),
                              timeout=60)
        self.seen.append(done.stderr if secret else done.stdout + done.stderr)
        return done

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def init(self, name, namespace="acme", *more):
        return self.run("init", "--data", self.path(name), "--email", "ada@example.com", "--namespace", namespace, "--json", *more,
                        input=PASSWORD + "\n", secret=True)

    def findings(self, data, level=None):
        """doctor's exit status, what it found of that level, and its verdict."""
        done = self.run("doctor", "--data", data, "--json")
        report = json.loads(done.stdout)
        return done.returncode, [f for f in report["findings"] if level is None or f["level"] == level], report["ok"]


def snapshot(path):
    """Every file with its mode, size and time: equal means untouched."""
    found = {}
    for folder, _, files in os.walk(path):
        for name in [*files, "."]:
            s = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (s.st_mode, s.st_size, s.st_mtime_ns)
    return found
