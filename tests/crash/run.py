#!/usr/bin/env python3
"""SIGKILL on front, engine or zygote at random moments under mixed load, then a model check: every acknowledged write is there
once, nothing is half-applied, keys ran at most once, integrity_check is clean. Usage: run.py PATH-OF-HOLDFAST [ROUNDS]"""
import http.client
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

WRITERS = 6
DATABASES = ["main", "second"]
SCHEMA = [
    "CREATE TABLE ledger(id TEXT PRIMARY KEY, half INTEGER NOT NULL)",
    "CREATE TABLE pairs(id TEXT NOT NULL, side TEXT NOT NULL, UNIQUE(id, side))",
    "CREATE TABLE keyed(n INTEGER PRIMARY KEY, id TEXT NOT NULL)",
    "CREATE TABLE noise(id INTEGER PRIMARY KEY, body BLOB)",
    "CREATE TRIGGER refuse AFTER INSERT ON noise WHEN new.id < 0 BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
]


class Writer(threading.Thread):
    """One client. Knows what was acknowledged and what is unknown because the connection or the engine died under it."""

    def __init__(self, server, number, seed):
        super().__init__(daemon=True)
        import random
        self.server, self.number, self.random = server, number, random.Random(seed * 1000 + number)
        self.acked, self.pairs, self.keyed, self.refused_applied = [], [], [], []
        self.count, self.stop, self.surprises, self.pause = 0, False, [], threading.Event()
        self.pause.set()

    def run(self):
        while not self.stop:
            self.pause.wait()
            self.count += 1
            try:
                self.act(f"{self.number}-{self.count}", self.random.choice(DATABASES), self.random.random())
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    def act(self, name, db, dice):
        if dice < 0.45:
            self.expect(self.server.query("INSERT INTO ledger VALUES(?, 1)", [name], db), lambda: self.acked.append((db, name)))
        elif dice < 0.65:
            both = [{"sql": "INSERT INTO pairs VALUES(?, ?)", "params": [name, side]} for side in "ab"]
            self.expect(self.server.batch(both, True, db), lambda: self.pairs.append((db, name)))
        elif dice < 0.80:
            for _ in range(2):
                answer = self.server.query("INSERT INTO keyed(id) VALUES(?)", [name], db, headers={"Idempotency-Key": name})
                self.expect(answer, lambda: self.keyed.append((db, name)))
        elif dice < 0.88:
            answer = self.server.batch([{"sql": "INSERT INTO ledger VALUES(?, 2)", "params": [name + "-rolled"]}, "INSERT INTO noise VALUES(-1, x'00')"], True, db)
            if answer.status == 200:
                self.refused_applied.append((db, name))
        elif dice < 0.94:
            self.expect(self.server.query("INSERT INTO noise(body) VALUES(randomblob(20000))", None, db), lambda: None)
        else:
            self.expect(self.server.query("SELECT count(*), max(id) FROM ledger", None, db), lambda: None)

    def expect(self, answer, then):
        if answer.status == 200:
            then()
        elif answer.status not in (500, 503, 429):
            self.surprises.append(answer)


def victims(rounds, random):
    """Two engines and a zygote for each front, in any order: a third engine within a minute would open the database's breaker, which
    a new front begins closed, and the test would wait for it instead of killing."""
    order = []
    while len(order) < rounds:
        life = ["engine", "engine", "zygote"]
        random.shuffle(life)
        order += life + ["front"]
    return order[:rounds]


def wait_ready(server, checks):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if all(server.query("SELECT 1", db=db).status == 200 for db in DATABASES):
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    checks.that("both databases answer again within a minute", False, server.log()[-2000:])


def strike(server, victim):
    if victim == "front":
        server.kill()
        server.start()
        return
    pids = server.children("hf-engine" if victim == "engine" else "hf-zygote")
    if pids:
        try:
            os.kill(server_random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass


def verify(server, checks, writers):
    for db in DATABASES:
        def column(sql):
            return [r[0] for r in server.query(sql, db=db).json["data"]["rows"]]

        def present(table, names):
            found = set()
            for at in range(0, len(names), 500):
                part = names[at:at + 500]
                marks = ",".join("?" * len(part))
                found |= {r[0] for r in server.query(f"SELECT DISTINCT id FROM {table} WHERE id IN ({marks})", part, db).json["data"]["rows"]}
            return found

        acked = [n for w in writers for d, n in w.acked if d == db]
        checks.equal(f"{db}: every acknowledged insert is there ({len(acked)})", sorted(set(acked) - present("ledger", acked)), [])
        pairs = [n for w in writers for d, n in w.pairs if d == db]
        checks.equal(f"{db}: every acknowledged batch is there ({len(pairs)})", sorted(set(pairs) - present("pairs", pairs)), [])
        checks.equal(f"{db}: no batch is half there", column("SELECT id FROM pairs GROUP BY id HAVING count(*) <> 2"), [])
        checks.equal(f"{db}: nothing of a rolled-back batch stays", column("SELECT id FROM ledger WHERE half = 2"), [])
        keyed = [n for w in writers for d, n in w.keyed if d == db]
        checks.equal(f"{db}: every keyed insert is there ({len(keyed)})", sorted(set(keyed) - present("keyed", keyed)), [])
        checks.equal(f"{db}: no key ran twice", column("SELECT id FROM keyed GROUP BY id HAVING count(*) > 1"), [])


def main():
    global server_random
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    checks = Checks()
    server_random = checks.random
    with Server(binary_argument()) as server:
        server.call("POST", "/v1/databases", {"name": "second", "slug": "second"})
        for db in DATABASES:
            answer = server.batch(SCHEMA, db=db)
            checks.that(f"schema of {db}", answer.status == 200, answer)
        writers = [Writer(server, i, checks.seed) for i in range(WRITERS)]
        for w in writers:
            w.start()
        struck = {"front": 0, "engine": 0, "zygote": 0}
        for victim in victims(rounds, checks.random):
            time.sleep(checks.random.uniform(0.005, 0.12))
            struck[victim] += 1
            strike(server, victim)
            if victim != "engine":
                wait_ready(server, checks)
        for w in writers:
            w.stop = True
        for w in writers:
            w.join(60)
        wait_ready(server, checks)
        verify(server, checks, writers)
        checks.equal("answers other than success and the documented 5xx", [s for w in writers for s in w.surprises][:5], [])
        checks.equal("rolled-back batches that answered success", [s for w in writers for s in w.refused_applied][:5], [])
        checks.equal("the server ends with status 0", server.stop(), 0)
        doctor = server.run("doctor", "--data", server.data, "--json", check=False)
        checks.that("doctor finds every database whole", '"corrupt' not in doctor.stdout and doctor.returncode in (0, 1), doctor.stdout[-800:])
        server.start()
        verify(server, checks, writers)
        acked = sum(len(w.acked) + len(w.pairs) + len(w.keyed) for w in writers)
        checks.that("the load was real", acked > rounds, acked)
        print(f"{rounds} kills {struck}, {acked} acknowledged writes")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
