#!/usr/bin/env python3
"""Runs the README's tour as it stands: every ```sh block in order, in one shell, against a fresh server; and checks that every
command, option and path it names exists. Usage: test_readme.py PATH-OF-HOLDFAST"""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from holdfast import Checks, Server, binary_argument

EXPECTED = [  # in this order somewhere in the tour's output
    '"namespaceSlug":"home"', '"success":true', "Invisible Cities", "unknown_column", "did you mean", "books", "findings", '"changes":1',
    '"changes":1', '"slug":"copy"', '"outcome":"created"', '"databaseSlug":"main-pr-43"', '"success":true', '"after":{"title":"THE DISPOSSESSED"}', '"proposals":[{"proposalId"', '"changes":1',
    '"action":"undo"', '"changes":1', '"note":"the log only grows"', '"code":"denied_by_rule"', '"name":"books have titles"', '"code":"invariant"', '"rows":[[1]]', '"code":"approval_required"', '"status":"pending"']


def tour(server, text, checks):
    script = "set -e\n" + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    env = dict(os.environ, HOLDFAST=f"http://127.0.0.1:{server.port}", TOKEN=server.token, NAMESPACE="home")
    ran = subprocess.run(["bash", "-c", script], text=True, capture_output=True, env=env, cwd=server.dir, timeout=120)
    checks.that("the tour runs to its end", ran.returncode == 0, ran.stderr)
    at = 0
    for wanted in EXPECTED:
        found = ran.stdout.find(wanted, at)
        checks.that(f"the tour shows {wanted}", found >= 0, ran.stdout[at:at + 500])
        at = max(at, found + 1)
    once = server.query("SELECT count(*) FROM authors WHERE name = 'Stanisław'")
    checks.equal("the keyed insert ran once", once.json["data"]["rows"], [[1]])


def names(server, text, checks):
    for line in re.findall(r"^holdfast (.*)$", text, re.M):
        command = [w for w in line.split() if not w.startswith("-")][:2]
        shown = server.run(*command, "--help", check=False)
        checks.equal(f"holdfast {' '.join(command)} --help", shown.returncode, 0)
        for option in re.findall(r"--[a-z-]+", line):
            checks.that(f"{option} is an option of {' '.join(command)}", option in shown.stdout, shown.stdout)
    served = server.run("serve", "--help").stdout
    for option in ("--tls-cert", "--tls-key", "--log-format", "--statement-timeout", "--insecure-no-sandbox", "--listen", "--data"):
        checks.that(f"{option} is an option of serve", option in served)
    for path in ("/healthz", "/readyz", "/metrics", "/version", "/openapi.json"):
        checks.equal(f"GET {path}", server.call("GET", path).status, 200)
    with open(os.path.join(ROOT, "Makefile")) as f:
        targets = set(re.findall(r"^([a-z-]+)\s*:", f.read(), re.M))
    for target in set(re.findall(r"`make ([a-z-]+)", text)) | {"run", "test"}:
        checks.that(f"make {target} exists", target in targets, sorted(targets))
    for path in re.findall(r"`((?:internal|tests|policy|cmd)/[A-Za-z/._-]+)`", text):
        checks.that(f"{path} exists", os.path.exists(os.path.join(ROOT, path)))


def main():
    checks = Checks()
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    with Server(binary_argument(), namespace="home") as server:
        tour(server, text, checks)
        names(server, text, checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
