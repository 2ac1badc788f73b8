#!/usr/bin/env python3
"""Snapshots: made beside writers, listed, deleted, restored with the state before kept, and crashes in the middle.
Usage: test_snapshots.py PATH-OF-HOLDFAST"""
import concurrent.futures
import contextlib
import datetime
import itertools
import os
import random
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import PASSWORD, Checks, Server, binary_argument, until
from people import Person

BASE = "/v1/db/acme/main"


def make(s, checks, label=None, db="main"):
    return checks.good(f"snapshot {label}", s.call("POST", f"/v1/db/acme/{db}/snapshots", {"label": label} if label else None))


def restore(s, checks, snapshot):
    return checks.good("restore", s.call("POST", BASE + "/restore", {"snapshotId": snapshot["id"]}))


def listed(s, db="main"):
    return s.call("GET", f"/v1/db/acme/{db}/snapshots").json["data"]


def values(s):
    return [r[0] for r in s.query("SELECT a FROM t ORDER BY a").json["data"]["rows"]]


def plain(checks, s):
    s.query("CREATE TABLE t(a)")
    s.query("INSERT INTO t VALUES(1)")
    one = make(s, checks, "one")
    checks.equal("what it is", (set(one), one["label"], one["kind"], one["bytes"] > 4096), ({"id", "bookmark", "label", "kind", "bytes", "createdAt", "exactFrom", "exactTo"}, "one", "manual", True))
    s.query("INSERT INTO t VALUES(2)")
    s.query("ALTER TABLE t ADD COLUMN b")
    two = make(s, checks)
    auto = s.query("DROP TABLE t").json["meta"]["snapshot"]
    back = restore(s, checks, one)
    checks.equal("rows and schema of then", (values(s), s.query("SELECT b FROM t").status), ([1], 400))
    checks.equal("what was there is kept", (back["snapshotId"], back["replaced"]["kind"], back["replaced"]["label"]), (one["id"], "restore", "before the restore of one"))
    checks.equal("listed, the newest first", [x["id"] for x in listed(s)], [back["replaced"]["id"], auto["id"], two["id"], one["id"]])
    s.query("INSERT INTO t VALUES(3)")
    again = restore(s, checks, back["replaced"])
    checks.equal("taken back: the table is gone again", s.query("SELECT * FROM t").status, 400)
    restore(s, checks, again["replaced"])
    checks.equal("and that too", values(s), [1, 3])
    restore(s, checks, two)
    checks.equal("a snapshot can be restored more than once, in any order", values(s), [1, 2])
    checks.equal("it is written to as ever", (s.query("INSERT INTO t(a) VALUES(4)").status, values(s)), (200, [1, 2, 4]))
    checks.equal("delete", checks.good("delete", s.call("DELETE", f"{BASE}/snapshots/{one['id']}"))["id"], one["id"])
    checks.that("its files are gone", not os.path.exists(os.path.join(s.data, "snapshots", one["id"])), "")
    checks.refused("and it", s.call("POST", BASE + "/restore", {"snapshotId": one["id"]}), 404, "not_found")
    checks.refused("twice", s.call("DELETE", f"{BASE}/snapshots/{one['id']}"), 404, "not_found")
    page = s.call("GET", f"{BASE}/snapshots?limit=2").json["data"]
    rest = s.call("GET", f"{BASE}/snapshots?limit=100&after={page[-1]['id']}").json["data"]
    checks.equal("by pages", page + rest, listed(s))
    log = [e["action"] for e in s.call("GET", "/api/namespaces/acme/audit?limit=100").json["data"]]
    checks.equal("audit", [log.count(f"snapshot.{a}") for a in ("created", "restored", "deleted")], [3, 4, 1])


def limits(checks, s):
    for body, pointer in (({"label": ""}, "/label"), ({"label": "x" * 81}, "/label"), ({"label": "a\nb"}, "/label"), ({"label": 5}, "/label"), ({"name": "x"}, "/name")):
        checks.refused(f"create {body}", s.call("POST", BASE + "/snapshots", body), 400, "invalid_request", pointer)
    for body, pointer in (({}, None), ({"snapshotId": 5}, "/snapshotId"), ({"timestamp": 5, "snapshotId": "x"}, None), ({"timestamp": 5}, "/timestamp"), ({"timestamp": "5"}, "/timestamp"), ({"timestamp": 99999999999999}, "/timestamp"), ({"bookmark": 5}, "/bookmark"), ({"bookmark": "x", "timestamp": 5}, None), ({"snapshot": "x"}, "/snapshot"), ({"snapshotId": ""}, "/snapshotId")):
        checks.refused(f"restore {body}", s.call("POST", BASE + "/restore", body), 400, "invalid_request", pointer)
    checks.equal("80 characters", make(s, checks, "é" * 80)["label"], "é" * 80)
    s.call("POST", "/v1/databases", {"slug": "other"})
    of_other = make(s, checks, "of other", "other")
    checks.refused("another database's", s.call("POST", BASE + "/restore", {"snapshotId": of_other["id"]}), 404, "not_found")
    checks.refused("nor deleted here", s.call("DELETE", f"{BASE}/snapshots/{of_other['id']}"), 404, "not_found")
    for token in (s.mint("readwrite")["token"], s.mint("admin", "--tables", "t")["token"], s.mint("admin", "--claims", '{"a":"b"}')["token"], s.mint("admin", "--database", "other")["token"]):
        checks.refused("not by everybody", s.call("POST", BASE + "/snapshots", {}, token=token), 403, "forbidden")
        checks.refused("nor restored", s.call("POST", BASE + "/restore", {"snapshotId": of_other["id"]}, token=token), 403, "forbidden")
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    there = "/api/namespaces/acme/databases/main"
    made = checks.good("a person makes one", owner.ask("POST", there + "/snapshots", {"label": "by hand"}))
    checks.good("restores it", owner.ask("POST", there + "/restore", {"snapshotId": made["id"]}))
    checks.good("and deletes it", owner.ask("DELETE", f"{there}/snapshots/{made['id']}"))
    s.control("UPDATE snapshot SET created_at = 1 WHERE id = ?", [of_other["id"]], write=True)
    s.stop()
    os.makedirs(os.path.join(s.data, "snapshots", "snap_" + "0" * 26))
    s.start()
    checks.equal("a snapshot of long ago goes", (listed(s, "other"), os.path.exists(os.path.join(s.data, "snapshots", of_other["id"]))), ([], False))
    known = {row[0] for row in s.control("SELECT id FROM snapshot")}
    checks.equal("so does what nobody knows", set(os.listdir(os.path.join(s.data, "snapshots"))), known)


def under_load(checks, s):
    """Writers go on while a snapshot is made, and are told to wait while one is restored; the state is of one moment."""
    s.query("CREATE TABLE pair(id INTEGER PRIMARY KEY, v)")
    s.query("INSERT INTO pair VALUES(1, 0), (2, 0)")

    def write():
        return s.batch(["UPDATE pair SET v = v + 1 WHERE id = 1", "UPDATE pair SET v = v + 1 WHERE id = 2"]).status
    with beside(write) as written:
        made = [make(s, checks, f"n{n}") for n in range(5)]
    checks.equal("no write failed", set(written), {200})
    with beside(write) as written:
        for one in made:
            restore(s, checks, one)
    checks.that("they work or wait", set(written) <= {200, 503}, set(written))
    for one in made:
        restore(s, checks, one)
        checks.equal("of one moment", len({r[0] for r in s.query("SELECT v FROM pair").json["data"]["rows"]}), 1)


def together(checks, s):
    """Restores of one database at once: whoever is not the one is told why."""
    made = make(s, checks, "together")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: s.call("POST", "/v1/db/acme/main/restore", {"snapshotId": made["id"]}), range(4)))
    checks.that("one at least is done, and no other is told of a file that could not be written", 200 in [a.status for a in answers] and
                all(a.status == 200 or (a.status == 503 and a.headers["retry-after"] == "1" and "written down" not in a.json["error"]) for a in answers), answers)


def cancelled(checks, s):
    """A client that leaves while its snapshot is made leaves no half of it."""
    s.query("CREATE TABLE wide(id INTEGER PRIMARY KEY, pad)")
    for _ in range(4):
        s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO wide(pad) SELECT zeroblob(8000) FROM n")
    box = os.path.join(s.data, "db", os.listdir(os.path.join(s.data, "db"))[0], "out")
    seen = 0
    for _ in range(6):
        c = s.connection()
        c.request("POST", BASE + "/snapshots", '{"label": "left"}', {"Authorization": f"Bearer {s.token}", "Content-Type": "application/json"})
        begun = until(lambda: os.listdir(box), 20)
        c.close()
        seen += bool(begun)
        checks.that("nothing stays of it", until(lambda: not os.listdir(box), 20), os.listdir(box))
    checks.that("copies were begun", seen > 0, seen)


def boxes(checks, s):
    """What lies half made in the boxes of a database is not kept with it by a restore, nor found after a start."""
    s.query("CREATE TABLE t(a)")
    one = make(s, checks, "boxes")
    home = os.path.join(s.data, "db", os.listdir(os.path.join(s.data, "db"))[0])
    for box in ("out", "in"):
        os.makedirs(os.path.join(home, box), exist_ok=True)
        with open(os.path.join(home, box, "half.db"), "wb") as f:
            f.write(b"x" * 100000)
    kept = os.path.join(s.data, "snapshots", restore(s, checks, one)["replaced"]["id"])
    halves = [p for p in ("out/half.db", "in/half.db") if os.path.exists(os.path.join(kept, p))]
    checks.equal("nothing half made is kept", (os.path.exists(os.path.join(kept, "main.db")), halves), (True, []))
    for box in ("out", "in"):
        os.makedirs(os.path.join(kept, box), exist_ok=True)
        with open(os.path.join(kept, box, "half.db"), "wb") as f:
            f.write(b"x")
    s.stop()
    s.start()
    left = [p for p in ("out", "in") if os.path.exists(os.path.join(kept, p))]
    checks.equal("a start takes away what is there", (os.path.exists(os.path.join(kept, "main.db")), left), (True, []))


def whole_copies(checks, s):
    """Copies that are made while the log fills, is taken over and begun anew are of one commit each, page by page."""
    s.query("CREATE TABLE page(id INTEGER PRIMARY KEY, v, pad)")
    s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO page SELECT i, 0, randomblob(2000) FROM n")

    def writer(seed):
        rng = random.Random(seed)

        def write():
            low, n = rng.randrange(1, 1700), rng.choice((1, 3, 300))
            return s.query(f"UPDATE page SET v = (SELECT max(v) FROM page) + 1, pad = randomblob(2000) WHERE id = 1 OR id = 2000 OR id BETWEEN {low} AND {low + n}").status
        return write
    with beside(writer(0), writer(1)) as written:
        made = [make(s, checks, f"p{n}") for n in range(25)]
    checks.equal("no write failed", set(written), {200})
    last = 0
    for one in made:
        path = os.path.join(s.data, "snapshots", one["id"])
        checks.equal("one file, no log", os.listdir(path), ["main.db"])
        with contextlib.closing(sqlite3.connect(f"file:{path}/main.db?immutable=1", uri=True)) as db:
            checks.equal("whole", db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            first, top, end = db.execute("SELECT (SELECT v FROM page WHERE id = 1), max(v), (SELECT v FROM page WHERE id = 2000) FROM page").fetchone()
        checks.that("of one commit, and in order", first == top == end >= last, (first, top, end, last))
        last = top
        s.call("DELETE", f"{BASE}/snapshots/{one['id']}")


def crashes(checks, s):
    s.query("CREATE TABLE c(a)")
    s.query("INSERT INTO c VALUES('old')")
    old = make(s, checks, "old")
    s.query("UPDATE c SET a = 'new'")
    new = make(s, checks, "new")
    for n in range(6):
        def work(_):
            try:
                for _ in range(50):
                    for one in (old, new):
                        s.call("POST", BASE + "/restore", {"snapshotId": one["id"]})
                        s.call("POST", BASE + "/snapshots", {})
            except Exception:  # the connection broke
                return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(work, k) for k in range(2)]
            time.sleep(0.2 + 0.07 * n)
            s.kill()
            for j in jobs:
                j.result()
        s.start()
        seen = s.query("SELECT a FROM c").json["data"]["rows"]
        checks.that(f"{n}: one or the other, whole", seen in ([["old"]], [["new"]]), seen)
        checks.equal(f"{n}: no intent is left", s.control("SELECT count(*) FROM database_exchange"), [(0,)])
        known = {row[0] for row in s.control("SELECT id FROM snapshot")}
        checks.equal(f"{n}: every snapshot has its files, and none is nobody's", set(os.listdir(os.path.join(s.data, "snapshots"))), known)
        for one in listed(s)[3:]:
            if one["id"] not in (old["id"], new["id"]):
                s.call("DELETE", f"{BASE}/snapshots/{one['id']}")
    for one in listed(s):
        restore(s, checks, one)
        checks.that("each can be restored", s.query("SELECT a FROM c").json["data"]["rows"] in ([["old"]], [["new"]]), one)


def apply(s, token):
    return s.call("POST", BASE + "/apply", {"executionToken": token})


def propose(s, sql):
    return s.call("POST", BASE + "/propose", {"sql": sql}).json["data"]


def keyed(s, key, sql):
    return s.call("POST", BASE + "/query", {"sql": sql}, headers={"Idempotency-Key": key})


def keeps(checks, s):
    """What must not be forgotten is as of now after a restore, not as of the snapshot."""
    s.query("CREATE TABLE k(a INTEGER PRIMARY KEY, b)")
    s.query("CREATE TABLE gone(a INTEGER PRIMARY KEY, b)")
    s.query("INSERT INTO k VALUES(1, 1)")
    policies = "/api/namespaces/acme/databases/main/policies"
    spent, withdrawn = propose(s, "UPDATE k SET b = 2 WHERE a = 1"), propose(s, "UPDATE k SET b = 3 WHERE a = 1")
    checks.good("row security", s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "gone", "enabled": True}))
    checks.good("policy", s.call("POST", policies, {"name": "of gone", "tableName": "gone", "expression": "a = 1"}))
    one = make(s, checks, "one")
    checks.good("apply", apply(s, spent["executionToken"]))
    checks.good("withdraw", s.call("POST", f"{BASE}/proposals/{withdrawn['proposalId']}/withdraw"))
    checks.good("key", keyed(s, "key", "INSERT INTO k VALUES(2, 2)"))
    late = propose(s, "UPDATE k SET b = 9 WHERE a = 1")
    checks.good("off", s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "gone", "enabled": False}))
    s.query("DROP TABLE gone")
    s.query("CREATE TABLE later(a)")
    checks.good("row security", s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "k", "enabled": True}))
    checks.good("policy", s.call("POST", policies, {"name": "of k", "tableName": "k", "expression": "a = 1"}))
    checks.good("row security", s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "later", "enabled": True}))
    restore(s, checks, one)
    checks.equal("the rows are those of then", s.query("SELECT a, b FROM k").json["data"]["rows"], [[1, 1]])
    checks.equal("a spent token stays spent", apply(s, spent["executionToken"]).status, 404)
    checks.equal("a withdrawn one too", apply(s, withdrawn["executionToken"]).status, 404)
    states = {p["proposalId"]: p["status"] for p in s.call("GET", BASE + "/proposals").json["data"]["proposals"]}
    checks.equal("states", [states.get(p["proposalId"]) for p in (spent, withdrawn, late)], ["applied", "withdrawn", "stale"])
    again = keyed(s, "key", "INSERT INTO k VALUES(2, 2)")
    checks.equal("a key is remembered", (again.status, again.headers.get("idempotency-replayed"), s.query("SELECT count(*) FROM k").json["data"]["rows"]), (200, "true", [[1]]))
    seen = checks.good("policies", s.call("GET", policies))
    names = sorted(p["name"] for p in (seen if isinstance(seen, list) else seen["policies"]))
    checks.equal("policies of now, and those of a table that only the snapshot has", names, ["of gone", "of k"])
    reader = s.mint("readonly", "--claims", '{"a":"b"}')["token"]
    s.query("INSERT INTO gone VALUES(1, 1), (2, 2)")
    checks.equal("which are in force", (s.query("SELECT a FROM gone", token=reader).json["data"]["rows"], s.query("SELECT a FROM k", token=reader).json["data"]["rows"]), ([[1]], [[1]]))
    checks.equal("nothing is left beside the file", [f for f in os.listdir(os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = 'main'")[0][0])) if "carry" in f], [])
    checks.that("a proposal of now can be applied or drifts", apply(s, late["executionToken"]).status in (200, 409), "")


def unix_ms(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000 + 0.5)


def by_time(checks, s):
    """A bookmark is a snapshot; a time is one where nothing was committed between the two."""
    def at(**which):
        return s.call("POST", BASE + "/restore", which)
    s.query("CREATE TABLE m(a)")
    s.query("INSERT INTO m VALUES(1)")
    one = make(s, checks, "one")
    checks.that("it tells of which moments it is", one["exactFrom"] <= one["exactTo"] <= one["createdAt"], one)
    s.query("INSERT INTO m VALUES(2)")
    two = make(s, checks, "two")
    s.query("INSERT INTO m VALUES(3)")

    def rows():
        return [r[0] for r in s.query("SELECT a FROM m ORDER BY a").json["data"]["rows"]]
    checks.good("bookmark", at(bookmark=one["bookmark"]))
    checks.equal("by its bookmark", rows(), [1])
    for moment in (one["exactFrom"], one["exactTo"]):
        checks.good("time", at(timestamp=unix_ms(moment)))
        checks.equal("the first by its time", rows(), [1])
    checks.good("time", at(timestamp=unix_ms(two["exactTo"])))
    checks.equal("the second by its time", rows(), [1, 2])
    for bookmark in ("bm_", "bm_" + "0" * 26, one["id"], "x" * 64):
        checks.refused(f"bookmark {bookmark}", at(bookmark=bookmark), 404, "not_found")
    early = at(timestamp=unix_ms(one["exactFrom"]) - 1)
    checks.refused("a moment sooner", early, 409, "conflict")
    checks.that("names the first after it", f"the first after it: {one['id']}" in early.json["error"], early)
    s.query("INSERT INTO m VALUES(4)")
    now = unix_ms(s.call("POST", BASE + "/query", {"sql": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"}).json["data"]["rows"][0][0])
    checks.refused("as it is", at(timestamp=now), 409, "conflict")
    s.query("INSERT INTO m VALUES(5)")
    between = at(timestamp=now)
    checks.refused("of which there is no snapshot", between, 409, "conflict")
    newest = listed(s)[0]["id"]
    checks.that("names the last before it", newest in between.json["error"], (between, newest))
    checks.equal("nothing was restored", rows(), [1, 2, 4, 5])
    s.stop()
    s.start()
    three = make(s, checks, "three")
    checks.that("a server that was started anew knows too", three["exactFrom"] and unix_ms(three["exactFrom"]) <= unix_ms(three["exactTo"]), three)
    checks.good("time", at(timestamp=unix_ms(three["exactTo"])))


def keys_under_load(checks, s):
    """A key that was answered is never run again, whatever was restored in between."""
    s.query("CREATE TABLE n(a INTEGER PRIMARY KEY AUTOINCREMENT, k)")
    base = make(s, checks, "base")
    numbers, done = itertools.count(), {}

    def write():
        key = f"key-{next(numbers)}"
        answer = keyed(s, key, f"INSERT INTO n(k) VALUES('{key}') RETURNING a")
        if answer.status == 200:
            done[key] = answer.data
    with beside(write, write):
        for _ in range(6):
            restore(s, checks, base)
    wrong = [k for k, data in done.items() if keyed(s, k, f"INSERT INTO n(k) VALUES('{k}') RETURNING a").data != data]
    checks.equal(f"{len(done)} keys, answered as before", wrong, [])


def of_a_lost_file(checks, s):
    """A file that cannot be read any more can be gone back from; nothing that waited in the snapshot can be applied."""
    s.query("CREATE TABLE d(a)")
    s.query("INSERT INTO d VALUES(1)")
    waits = propose(s, "UPDATE d SET a = 2")
    one = make(s, checks, "one")
    where = os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = 'main'")[0][0], "main.db")
    s.stop()
    with open(where, "r+b") as f:
        f.write(b"no database" * 400)
    s.start()
    checks.refused("closed", s.query("SELECT a FROM d"), 503, "corrupt")
    restore(s, checks, one)
    checks.equal("it is back", s.query("SELECT a FROM d").json["data"]["rows"], [[1]])
    checks.equal("what waited is void", apply(s, waits["executionToken"]).status, 404)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (plain, limits, under_load, together, whole_copies, crashes, keeps, by_time, keys_under_load, of_a_lost_file):
            checks.part(part, checks, s)
    for part in (cancelled, boxes):
        with Server(binary_argument()) as s:
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
