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
    checks.equal("another body under the key runs nothing", (other.status, other.json["code"], count(s, "other body")), (422, "key_reused", 0))
    checks.that("and names the header", "Idempotency-Key" in other.json["error"], other.json)
    routed = s.batch([{"sql": INSERT, "params": ["a"]}], headers=key)
    checks.equal("another route under the key runs nothing", (routed.status, count(s, "a")), (422, 1))
    checks.that("and names the route", "QUERY" in routed.json["error"], routed.json)
    again = s.query(INSERT, ["a"], headers=key)
    checks.equal("the first request is still replayed", (again.status, again.headers.get("idempotency-replayed")), (200, "true"))
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


def partly(checks, s):
    """A batch without a transaction keeps what came before the failure: sent again, it goes on where it stopped."""
    for head in ({"Idempotency-Key": "partly"}, {"Plan-Key": "partly", "Plan-Step": "1"}):
        name = "-".join(head)
        s.query("CREATE TABLE IF NOT EXISTS gate(n INTEGER PRIMARY KEY)")
        s.query("INSERT OR IGNORE INTO gate VALUES(1)")
        statements = [{"sql": INSERT, "params": [name]}, {"sql": "INSERT INTO gate VALUES(1)"}, {"sql": INSERT, "params": [name + " last"]},
                      "SELECT count(*) FROM orders WHERE note = '" + name + "'"]
        for attempt in range(3):
            failed = s.batch(statements, transaction=False, headers=head)
            checks.equal(f"{name}, try {attempt}: fails where it failed", (failed.status, failed.json.get("statementIndex")), (400, 1))
            checks.equal(f"{name}, try {attempt}: what came before ran once", (count(s, name), count(s, name + " last")), (1, 0))
        other = s.batch(statements[:2], transaction=False, headers=head)
        checks.equal(f"{name}: another body cannot go on", (other.status, count(s, name)), (422, 1))
        s.stop()
        s.start()
        s.query("DELETE FROM gate")
        done = s.batch(statements, transaction=False, headers=head)
        checks.equal(f"{name}: goes on", (done.status, len(done.json.get("data", []))), (200, 4))
        checks.equal(f"{name}: each ran once", (count(s, name), count(s, name + " last"), s.query("SELECT count(*) FROM gate").json["data"]["rows"]), (1, 1, [[1]]))
        checks.equal(f"{name}: with every result", [r["changes"] if "changes" in r else r["rows"] for r in done.json["data"]], [1, 1, 1, [[1]]])
        again = s.batch(statements, transaction=False, headers=head)
        checks.equal(f"{name}: and is then replayed whole", (again.status, again.json["data"], "true" in (again.headers.get("idempotency-replayed"), again.headers.get("plan-replayed"))),
                     (200, done.json["data"], True))
    culprit = [{"sql": INSERT, "params": ["culprit"]}, {"sql": "INSERT OR ROLLBACK INTO gate VALUES(1)"}]
    for attempt in range(2):
        checks.equal(f"a statement that ends the transaction, try {attempt}", (s.batch(culprit, transaction=False, headers={"Idempotency-Key": "culprit"}).status, count(s, "culprit")), (400, 1))


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
    changed = s.query("ALTER TABLE orders ADD COLUMN priority INTEGER DEFAULT 1", headers={"Plan-Key": "migrate-7", "Plan-Step": "1"})
    checks.equal("a step that was written anew is replayed all the same", (changed.status, changed.headers.get("plan-replayed")), (200, "true"))
    routed = s.batch(["SELECT 1"], headers={"Plan-Key": "migrate-7", "Plan-Step": "1"})
    checks.that("but not by another route", routed.status == 422 and "Plan-Step" in routed.json["error"], routed)
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
        for part in (one_after_another, failures_are_not_kept, partly, racing, plans, over_restarts, under_kills):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
