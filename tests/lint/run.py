#!/usr/bin/env python3
"""make lint: runs every check over the tree, or those named. The last line is "N passed, N failed", in checks.

A finding may be waived by a line of tests/lint/waivers.txt: CHECK PATH PART-OF-THE-FINDING : REASON. A waiver that waives
nothing is itself a finding, so that the list never outlives its reasons."""
import dataclasses
import re
import subprocess
import sys
import time

import duplicates
import rules
import tools
from tree import Finding, Tree

CHECKS = {f.__name__: f for f in (
    rules.names, rules.marks, rules.purpose, rules.suites, rules.layers, rules.headers, rules.banned, rules.cleanup, rules.sizes, duplicates.duplicates,
    tools.format, tools.globals, tools.hardening, tools.cppcheck, tools.tidy)}
WAIVERS = "tests/lint/waivers.txt"


@dataclasses.dataclass
class Waiver:
    line: int
    check: str
    path: str
    part: str
    used: int = 0

    def covers(self, check, finding):
        return check == self.check and finding.path == self.path and self.part in finding.text


def read_waivers(text):
    """(waivers, findings about malformed lines)"""
    waivers, bad = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        m = re.fullmatch(r"(\w+) (\S+) (.+?) : (.{15,})", line)
        if m and m[1] in CHECKS:
            waivers.append(Waiver(number, m[1], m[2], m[3]))
        else:
            bad.append(Finding(WAIVERS, number, "is not CHECK PATH PART-OF-THE-FINDING : REASON"))
    return waivers, bad


def judge(name, tree, waivers):
    """The check's findings, waived ones left out."""
    kept = []
    for finding in CHECKS[name](tree):
        waiver = next((w for w in waivers if w.covers(name, finding)), None)
        if waiver:
            waiver.used += 1
        else:
            kept.append(finding)
    return kept


def report(name, title, findings, seconds):
    errors = [f for f in findings if not f.warning]
    print(f"{'FAIL' if errors else 'ok':4} {name:11} {title} ({seconds:.1f} s)")
    for f in findings:
        print(f"     {'warning: ' if f.warning else ''}{f}")
    sys.stdout.flush()
    return not errors


def self_test():
    done = subprocess.run([sys.executable, "tests/lint/selftest.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [Finding("tests/lint/selftest.py", 1, line) for line in done.stdout.splitlines()] if done.returncode else []


def main(wanted):
    tree = Tree.of_repository()
    waivers, bad = read_waivers(tree.get(WAIVERS).text)
    results = []
    for name in wanted or CHECKS:
        began = time.monotonic()
        findings = judge(name, tree, waivers)
        results.append(report(name, CHECKS[name].__doc__.splitlines()[0], findings, time.monotonic() - began))
    if not wanted:
        began = time.monotonic()
        results.append(report("selftest", "each check can fail", self_test(), time.monotonic() - began))
        stale = [Finding(WAIVERS, w.line, "waives nothing any more") for w in waivers if not w.used]
        results.append(report("waivers", "every waiver has a reason and a use", bad + stale, 0))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
