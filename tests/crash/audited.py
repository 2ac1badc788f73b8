#!/usr/bin/env python3
"""SIGKILL on front or engine at random moments while descriptions, policies and imports are written: every change that an engine
made has its row of the audit log, once, and the chains hold. Usage: audited.py PATH-OF-HOLDFAST [ROUNDS]"""
import http.client
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

WRITERS, COLUMNS = 4, 100
POLICIES = "/api/namespaces/acme/databases/main/policies"


class Writer(threading.Thread):
    """Each request changes something of its own, so that its row can be told from all others."""

    def __init__(self, server, number, stop, claim):
        super().__init__(daemon=True)
        self.server, self.number, self.stop, self.claim, self.answered = server, number, stop, claim, []

    def run(self):
        while not self.stop.is_set():
            n = self.claim()
            try:
                answer = self.act(n)
                if answer.status == 200:
                    self.answered.append(n)
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)

    def act(self, n):
        s = self.server
        if n % 3 == 0:
            return s.db("describe", {"table": "wide", "column": f"c{n % COLUMNS}", "description": f"change {n}"}, method="PUT")
        if n % 3 == 1:
            return s.call("POST", f"/v1/db/acme/main/import?format=csv&table=made_{n}", b"a\n1\n", headers={"Content-Type": "text/csv"})
        return s.call("POST", POLICIES, {"name": f"policy {n}", "tableName": "wide", "using": "1", "enabled": False})


def numbers():
    lock, at = threading.Lock(), [0]

    def claim():
        with lock:
            at[0] += 1
            return at[0]
    return claim


def strike(s, rng):
    if rng.random() < 0.6:
        s.kill()
        s.start()
        return
    for pid in s.children("hf-engine")[:1]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def ready(s):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if s.query("SELECT 1").status == 200:
                return True
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    return False


def effects(s):
    """What the engine holds, as the number of the request that did it; of a column the last description alone."""
    described = s.call("GET", "/v1/db/acme/main/describe").json["data"]
    columns = next(t for t in described["tables"] if t["table"] == "wide")["columns"]
    found = {int(c["description"].split()[1]) for c in columns if c.get("description")}
    found |= {int(t["table"][5:]) for t in described["tables"] if t["table"].startswith("made_")}
    return found | {int(p["name"].split()[1]) for p in s.call("GET", POLICIES).json["data"]["policies"]}


def recorded(text):
    """Number of the request -> outcomes of its rows."""
    found = {}
    for line in text.splitlines():
        row = json.loads(line)
        after = json.loads(row.get("after") or "{}") if isinstance(row.get("after"), str) else row.get("after") or {}
        said = {"database.described": after.get("description"), "database.imported": after.get("table"), "policy.created": after.get("name")}.get(row.get("action"))
        if said:
            found.setdefault(int(said.replace("_", " ").split()[1]), []).append(after.get("outcome", "done"))
    return found


def main():
    checks, binary = Checks(), binary_argument()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    rng = random.Random(seed)
    print("seed", seed)
    with Server(binary) as s:
        checks.equal("a table", s.query("CREATE TABLE wide(" + ", ".join(f"c{i}" for i in range(COLUMNS)) + ")").status, 200)
        claim, answered = numbers(), []
        for _ in range(rounds):
            stop = threading.Event()
            writers = [Writer(s, i, stop, claim) for i in range(WRITERS)]
            for w in writers:
                w.start()
            time.sleep(0.05 + rng.random() * 0.2)
            strike(s, rng)
            stop.set()
            for w in writers:
                w.join(30)
                answered += w.answered
            if not checks.that("it answers again within a minute", ready(s), s.log()[-2000:]):
                break
        there = effects(s)
        s.kill()
        s.start()  # what the last round left
        ready(s)
        rows = recorded(s.run("audit", "export", "--data", s.data).stdout)
        checks.equal("every change has its row", sorted(there - set(rows)), [])
        checks.equal("and every answer", sorted(set(answered) - set(rows)), [])
        checks.equal("none has two", {n: o for n, o in rows.items() if len(o) > 1}, {})
        checks.equal("what was answered is no riddle", [n for n in answered if rows[n] != ["done"]], [])
        checks.that("the test struck where it hurts, or wrote at least", len(there) > 20, len(there))
        print(f"{len(there)} changes, {sum(o == ['unknown'] for o in rows.values())} of unknown outcome")
        checks.equal("the chains hold", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
