#!/usr/bin/env python3
"""No token, password or SQL value in any log of the whole test run: every suite's servers leave their logs and their secrets in
HOLDFAST_TEST_DIR, and this suite, which runs last, greps them. Alone it makes a run of its own. Usage: last_secrets.py PATH-OF-HOLDFAST"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

SHORTEST = 8  # what is shorter is in every log by chance; tests give such passwords to see them refused
VALUES = ["parameter-that-no-log-may-hold", "literal-that-no-log-may-hold", "header-that-no-log-may-hold"]


def own_run(binary):
    with Server(binary) as s:
        s.secrets += VALUES
        s.mint("readonly", "--name", "t")
        s.query("CREATE TABLE t(a)")
        s.query("INSERT INTO t VALUES(?)", [VALUES[0]], headers={"Idempotency-Key": VALUES[2], "Cookie": VALUES[2]})
        s.query(f"SELECT '{VALUES[1]}' FROM nowhere WHERE a = ?", [VALUES[0]])
        s.call("GET", f"/v1/me?token={s.token}&x={VALUES[0]}")
        s.call("GET", f"/v1/{VALUES[1]}/{s.token}")
        s.call("GET", "/v1/me", headers={"Authorization": f"Basic {s.token}"})
        s.call("GET", "/v1/me", headers={"X-Request-Id": s.token})
        log = s.log()
    return {"own": (log, s.secrets)}


def main():
    checks = Checks()
    runs = own_run(binary_argument())
    shared = os.environ.get("HOLDFAST_TEST_DIR", "")
    for path in glob.glob(os.path.join(shared, "*.log")) if shared else []:
        with open(path, errors="replace") as log, open(path[:-4] + ".secrets") as secrets:
            runs[os.path.basename(path)] = (log.read(), secrets.read().split("\n"))
    everywhere = {s for _, secrets in runs.values() for s in secrets if len(s) >= SHORTEST}
    for name, (log, _) in runs.items():
        checks.that(f"{name}: has lines", "event=" in log or '"event"' in log, log[:200])
        found = [secret[:16] + "…" for secret in everywhere if secret in log]
        checks.equal(f"{name}: holds no secret", found, [])
        checks.equal(f"{name}: holds nothing shaped like a token", re.findall(r"psql_(?:live|test)_[0-9A-Za-z]{8}", log), [])
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
