#!/usr/bin/env python3
"""Exactly once: Idempotency-Key and plans, alone, in parallel, over restarts and across killed engines.
Usage: test_idempotency.py PATH-OF-HOLDFAST"""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

INSERT = "INSERT INTO orders(note) VALUES(?)"


def count(s, note):
    return s.query("SELECT count(*) FROM orders WHERE note = ?", [note]).json["data"]["rows"][0][0]


def parallel(n, call):
    answers, barrier = [None] * n, threading.Barrier(n)

    def one(i):
        barrier.wait()
        answers[i] = call(i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


def one_after_another(checks, s):
    key = {"Idempotency-Key": "order-1"}
    first, second = (s.query(INSERT, ["a"], headers=key) for _ in range(2))
    checks.equal("first", (first.status, first.headers.get("idempotency-replayed")), (200, None))
    checks.equal("second is replayed", (second.status, second.headers.get("idempotency-replayed")), (200, "true"))
    checks.equal("same data", second.json["data"], first.json["data"])
    checks.equal("one row", count(s, "a"), 1)
    other = s.query(INSERT, ["other body"], headers=key)
    checks.equal("another body under the key runs nothing", (other.status in (200, 409, 422), count(s, "other body")), (True, 0))
    batch = [{"sql": INSERT, "params": ["b"]}, {"sql": INSERT, "params": ["b"]}, "SELECT count(*) FROM orders"]
    answers = [s.batch(batch, transaction=t, headers={"Idempotency-Key": "batch-1"}) for t in (True, True)]
    checks.equal("a batch is replayed whole", answers[1].json["data"], answers[0].json["data"])
    checks.equal("and ran once", count(s, "b"), 2)
    read = s.mint("readwrite")["token"]
    checks.equal("keys belong to a token", s.query(INSERT, ["a"], headers=key, token=read).headers.get("idempotency-replayed"), None)
    checks.equal("so another token's write runs", count(s, "a"), 2)
    s.call("POST", "/v1/databases", {"slug": "second"})
    s.query("CREATE TABLE orders(id INTEGER PRIMARY KEY, note)", db="second")
    checks.equal("and to a database", s.query(INSERT, ["a"], headers=key, db="second").headers.get("idempotency-replayed"), None)
    longest = {"Idempotency-Key": "k" * 200}
    checks.equal("200 characters are fine", [s.query(INSERT, ["long"], headers=longest).status for _ in range(2)], [200, 200])
    checks.equal("and count", count(s, "long"), 1)


def failures_are_not_kept(checks, s):
    key = {"Idempotency-Key": "fails-first"}
    checks.equal("a failing call", s.query("INSERT INTO later(a) VALUES(1)", headers=key).status, 400)
    s.query("CREATE TABLE later(a)")
    again = s.query("INSERT INTO later(a) VALUES(1)", headers=key)
    checks.equal("runs when it is sent again", (again.status, again.headers.get("idempotency-replayed")), (200, None))


def racing(checks, s):
    for i in range(3):
        answers = parallel(64, lambda n: s.query(INSERT, [f"race-{i}"], headers={"Idempotency-Key": f"race-{i}"}))
        checks.equal(f"race {i}: all succeed", {a.status for a in answers}, {200})
        checks.equal(f"race {i}: one execution", count(s, f"race-{i}"), 1)
        checks.equal(f"race {i}: one answer", len({str(a.json["data"]) for a in answers}), 1)
        checks.equal(f"race {i}: all but one are replays", sum(a.headers.get("idempotency-replayed") == "true" for a in answers), 63)
    answers = parallel(16, lambda n: s.query(INSERT, ["distinct"], headers={"Idempotency-Key": f"distinct-{n}"}))
    checks.equal("different keys all run", count(s, "distinct"), 16)


def plans(checks, s):
    def step(name, text, **more):
        return s.query(text, headers={"Plan-Key": "migrate-7", "Plan-Step": name}, **more)

    checks.equal("step 1", step("1", "ALTER TABLE orders ADD COLUMN priority INTEGER DEFAULT 0").status, 200)
    checks.equal("step 2 fails", step("2", "UPDATE nowhere SET a = 1").status, 400)
    again = step("1", "ALTER TABLE orders ADD COLUMN priority INTEGER DEFAULT 0")
    checks.equal("step 1 again is replayed", (again.status, again.headers.get("plan-replayed")), (200, "true"))
    retried = step("2", "UPDATE orders SET priority = 1")
    checks.equal("step 2 again runs", (retried.status, retried.headers.get("plan-replayed")), (200, None))
    checks.equal("a step of another plan runs", s.query("SELECT 1", headers={"Plan-Key": "other", "Plan-Step": "1"}).headers.get("plan-replayed"), None)
    answers = parallel(16, lambda n: s.query(INSERT, ["plan race"], headers={"Plan-Key": "p", "Plan-Step": "only"}))
    checks.equal("a racing step runs once", (count(s, "plan race"), {a.status for a in answers}), (1, {200}))


def over_restarts(checks, s):
    key = {"Idempotency-Key": "durable"}
    first = s.query(INSERT, ["durable"], headers=key)
    for engine in s.children("hf-engine"):
        os.kill(engine, signal.SIGKILL)
    again = s.query(INSERT, ["durable"], headers=key)
    checks.equal("replayed by the next engine", (again.json["data"], again.headers.get("idempotency-replayed")), (first.json["data"], "true"))
    s.kill()
    s.start()
    again = s.query(INSERT, ["durable"], headers=key)
    checks.equal("replayed after SIGKILL of the server", (again.json["data"], again.headers.get("idempotency-replayed")), (first.json["data"], "true"))
    checks.equal("ran once", count(s, "durable"), 1)


def under_kills(checks, s):
    """Engines die while keyed writes are on their way; every one is sent again until it succeeds."""
    def write(n):
        for _ in range(50):
            try:
                answer = s.query(INSERT, [f"kill-{n}"], headers={"Idempotency-Key": f"kill-{n}"})
            except OSError:
                continue
            if answer.status == 200:
                return True
        return False

    done = threading.Event()

    def killer():
        for _ in range(2):  # a third crash within a minute opens the breaker
            if done.wait(0.05):
                return
            for engine in s.children("hf-engine"):
                try:
                    os.kill(engine, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    t = threading.Thread(target=killer)
    t.start()
    checks.equal("all succeed in the end", parallel(32, write), [True] * 32)
    done.set()
    t.join()
    rows = s.query("SELECT note, count(*) FROM orders WHERE note LIKE 'kill-%' GROUP BY 1").json["data"]["rows"]
    checks.equal("each ran once", sorted(rows), sorted([f"kill-{n}", 1] for n in range(32)))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        s.query("CREATE TABLE orders(id INTEGER PRIMARY KEY, note)")
        for part in (one_after_another, failures_are_not_kept, racing, plans, over_restarts, under_kills):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
