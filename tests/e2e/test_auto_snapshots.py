#!/usr/bin/env python3
"""Snapshots that the server makes before writes that destroy: which writes, that they can be gone back to, that they are
bounded, and what a crash between the two leaves. Usage: test_auto_snapshots.py PATH-OF-HOLDFAST"""
import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import Checks, Server, binary_argument

BASE = "/v1/db/acme/main"
ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO {} SELECT i, 'x' FROM n"


def told(checks, what, answer):
    checks.good(what, answer)
    return answer.json["meta"]


def fill(s, table, rows):
    s.query(f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, v)")
    s.query(ROWS.format(rows, table))


def listed(s):
    return s.call("GET", f"{BASE}/snapshots?limit=500").json["data"]


def restore(s, checks, snapshot):
    return checks.good("restore", s.call("POST", f"{BASE}/restore", {"snapshotId": snapshot["id"]}))


def count(s, table):
    return s.query(f"SELECT count(*) FROM {table}").json["data"]["rows"][0][0]


def files(s):
    path = os.path.join(s.data, "snapshots")
    return set(os.listdir(path)) if os.path.exists(path) else set()


def lift_limits(s):
    """Snapshots of this test are as if they were old, so that only what is looked at counts."""
    s.control("UPDATE snapshot SET created_at = created_at - 100000, state_to = 0", [], write=True)


def which(checks, s):
    fill(s, "big", 2400)
    fill(s, "half", 100)
    fill(s, "plain", 2400)
    fill(s, "few", 5)
    s.query("CREATE TABLE part(id INTEGER PRIMARY KEY, of REFERENCES big(id) ON DELETE CASCADE)")
    s.query("INSERT INTO part SELECT i.id * 10000 + j.id, i.id FROM few i, big j")
    s.query("CREATE TABLE empty(a)")
    rows = (
        ("DELETE FROM few", "before DELETE from few"),
        ("DELETE FROM few WHERE id < 5", None),
        ("UPDATE few SET v = 1", "before UPDATE of few"),
        ("UPDATE few SET v = 1 WHERE id = 1", None),
        ("DELETE FROM half WHERE id <= 51", "before DELETE from half"),
        ("DELETE FROM half WHERE id <= 50", None),
        ("UPDATE half SET v = 2 WHERE id <= 51", "before UPDATE of half"),
        ("UPDATE half SET v = 2 WHERE id <= 50", None),
        ("DELETE FROM big WHERE id BETWEEN 1200 AND 2200", "before DELETE from big"),
        ("DELETE FROM big WHERE id BETWEEN 1200 AND 2199", None),
        ("DELETE FROM big WHERE id = 1", "before DELETE from big"),  # 2,400 rows of part go with it
        ("REPLACE INTO plain SELECT id, 'y' FROM plain WHERE id < 1002", "before INSERT into plain"),
        ("REPLACE INTO plain SELECT id, 'y' FROM plain WHERE id < 1001", None),
        ("INSERT INTO plain SELECT id, 'z' FROM plain WHERE id < 1002 ON CONFLICT DO UPDATE SET v = excluded.v", "before INSERT into plain"),
        ("INSERT INTO plain SELECT id + 5000, 'z' FROM plain", None),
        ("INSERT INTO plain SELECT id + 5000, 'z' FROM plain WHERE true ON CONFLICT DO NOTHING", None),
        ("DROP TABLE few", "before DROP TABLE few"),
        ("DROP TABLE empty", None),
        ("ALTER TABLE few DROP COLUMN v", "before DROP COLUMN of few"),
        ("ALTER TABLE few ADD COLUMN w", None),
        ("WITH x AS (SELECT 1) DELETE FROM few", "before DELETE from few"),
        ("DELETE FROM empty", None),
        ("DELETE FROM few WHERE id > 0", "before DELETE from few"),
        ("DELETE FROM small WHERE 1 = 1", "before DELETE from small"),
        ("UPDATE small SET v = 2 WHERE id > 0", "before UPDATE of small"),
        ("REPLACE INTO small SELECT id, 'y' FROM small", "before INSERT into small"),
        ("REPLACE INTO small SELECT id, 'y' FROM small WHERE id < 99", None),
        ("INSERT INTO empties VALUES(1)", "before DELETE from emptied"),
        ("INSERT INTO touches VALUES(1)", None),
    )
    fill(s, "small", 99)
    fill(s, "emptied", 50)
    s.batch(["CREATE TABLE empties(x)", "CREATE TRIGGER e AFTER INSERT ON empties BEGIN DELETE FROM emptied; END",
             "CREATE TABLE touches(x)", "CREATE TRIGGER o AFTER INSERT ON touches BEGIN DELETE FROM emptied WHERE id = 1; UPDATE touches SET x = 2; END"])
    first = checks.good("snapshot", s.call("POST", f"{BASE}/snapshots", {"label": "all"}))
    for sql, label in rows:
        for way in ("query", "batch", "apply"):
            s.query("PRAGMA optimize")
            s.query("CREATE TABLE IF NOT EXISTS touched(a)")
            s.query("INSERT INTO touched VALUES(1)")
            lift_limits(s)
            before = len(listed(s))
            if way == "query":
                answer = s.query(sql)
            elif way == "batch":
                answer = s.batch([sql, "SELECT 1"])
            else:
                made = s.call("POST", f"{BASE}/propose", {"sql": sql})
                answer = s.call("POST", f"{BASE}/apply", {"executionToken": made.json["data"]["executionToken"]}) if made.status == 200 else made
            meta = told(checks, f"{way} {sql}", answer)
            checks.equal(f"{way} {sql}", (meta.get("snapshot") or {}).get("label"), label)
            new = listed(s)
            checks.equal(f"{way} {sql}: so many more", len(new) - before, 1 if label else 0)
            if label:
                checks.equal("it is listed", (new[0]["id"], new[0]["kind"]), (meta["snapshot"]["id"], "automatic"))
            restore(s, checks, first)
            for one in listed(s):
                if one["id"] != first["id"]:
                    s.call("DELETE", f"{BASE}/snapshots/{one['id']}")


def calls(checks, s):
    """What the statements of one call remove together counts."""
    fill(s, "large", 5000)
    fill(s, "pair", 2)
    fill(s, "mid", 120)
    for statements, label in (
        ([f"DELETE FROM large WHERE id <= {n}" for n in (400, 800, 1000)], None),
        ([f"DELETE FROM large WHERE id <= {n}" for n in (1600, 2100)], "before DELETE from large"),
        (["UPDATE pair SET v = 1 WHERE id = 1"] * 3, None),
        (["DELETE FROM mid WHERE id <= 40", "DELETE FROM mid WHERE id <= 70"], "before DELETE from mid"),
        (["DELETE FROM pair WHERE id = 1", "DELETE FROM pair WHERE id = 2"], "before DELETE from pair"),
    ):
        lift_limits(s)
        answer = s.batch(statements)
        meta = told(checks, f"{statements}", answer)
        checks.equal(f"{statements}", (meta.get("snapshot") or {}).get("label"), label)


def back(checks, s):
    fill(s, "t", 3)
    restore(s, checks, told(checks, "drop", s.query("DROP TABLE t"))["snapshot"])
    checks.equal("the table is back", count(s, "t"), 3)
    s.query("INSERT INTO t VALUES(4, 'y')")
    meta = told(checks, "delete", s.query("DELETE FROM t"))
    checks.equal("gone", count(s, "t"), 0)
    restore(s, checks, meta["snapshot"])
    checks.equal("the last row too", count(s, "t"), 4)
    key = {"Idempotency-Key": "k1"}
    answer = s.call("POST", f"{BASE}/query", {"sql": "DELETE FROM t"}, headers=key)
    snapshots = len(listed(s))
    again = s.call("POST", f"{BASE}/query", {"sql": "DELETE FROM t"}, headers=key)
    checks.equal("with a key: once", (answer.status, again.status, again.json, len(listed(s))), (200, 200, answer.json, snapshots))
    restore(s, checks, answer.json["meta"]["snapshot"])
    made = s.call("POST", f"{BASE}/propose", {"sql": "DELETE FROM t"}).json["data"]
    checks.good("apply", s.call("POST", f"{BASE}/apply", {"executionToken": made["executionToken"]}))
    checks.equal("a proposal is used up", s.call("POST", f"{BASE}/apply", {"executionToken": made["executionToken"]}).status, 404)
    log = s.query("SELECT count(*) FROM _persql_meta_query_log WHERE status = 503").json["data"]["rows"][0][0]
    checks.equal("what was taken back is not in the log", log, 0)
    failed = s.batch(["INSERT INTO t VALUES(9, 'z')", "DELETE FROM t", "SELECT * FROM nothing"])
    checks.equal("a batch that fails half way keeps what came before", (failed.status, count(s, "t")), (400, 0))
    checks.that("and has a snapshot of that", listed(s)[0]["label"] == "before DELETE from t", listed(s)[0])
    made = s.batch(["CREATE VIRTUAL TABLE words USING fts5(w)", "INSERT INTO t VALUES(1, 1)", "DELETE FROM t"])
    checks.that("beside what cannot be undone alone", "snapshot" in told(checks, "batch", made), made)
    token = s.mint("readwrite")["token"]
    s.query("INSERT INTO t VALUES(1, 2), (2, 3)")
    checks.that("whoever may write, has one", "snapshot" in s.query("DELETE FROM t", token=token).json["meta"], "")


def imports(checks, s):
    """A file whose statements destroy is loaded once more, after a snapshot; the file is still there then."""
    fill(s, "kept", 5)
    for what, sql, label in (
        ("drops", "DROP TABLE IF EXISTS kept; CREATE TABLE kept(id INTEGER PRIMARY KEY, v); INSERT INTO kept VALUES(7, 'new');", "before DROP TABLE kept"),
        ("drops nothing", "DROP TABLE IF EXISTS absent; INSERT INTO kept VALUES(8, 'new');", None),
        ("empties", "DELETE FROM kept WHERE id = 7; DELETE FROM kept WHERE id > 7;", "before DELETE from kept"),
        ("replaces much", "INSERT INTO kept SELECT value + 10, 1 FROM json_each('[" + ",".join(map(str, range(1500))) + "]');"
                          "INSERT OR REPLACE INTO kept SELECT id, 2 FROM kept;", "before INSERT into kept"),
    ):
        lift_limits(s)
        before = len(listed(s))
        answer = s.db("import", sql.encode(), headers={"Content-Type": "application/sql"})
        meta = told(checks, what, answer)
        checks.equal(what, ((meta.get("snapshot") or {}).get("label"), len(listed(s)) - before), (label, 1 if label else 0))
        if what == "drops":
            checks.equal("loaded once", (count(s, "kept"), answer.json["data"]["statements"]), (1, 3))
            restore(s, checks, meta["snapshot"])
            checks.equal("what was there comes back", count(s, "kept"), 5)
            s.query("DELETE FROM kept WHERE id < 6 AND id > 1")
            s.query("UPDATE kept SET id = 7")
    broken = s.db("import", b"DROP TABLE kept; SELECT * FROM nothing;", headers={"Content-Type": "application/sql"})
    checks.equal("one that fails changes nothing", (broken.status, count(s, "kept")), (400, 1500))
    checks.equal("no file is left", [f for _, _, names in os.walk(s.data) for f in names if f.startswith("up_")], [])


def merged(checks, s):
    """What a merge of a branch destroys in its parent is kept too."""
    fill(s, "m", 1200)
    fill(s, "dropped", 3)
    checks.good("branch", s.call("PUT", f"{BASE}/branches/one", {"data": "full"}))
    s.query("DROP TABLE dropped", db="main-one")
    s.query("UPDATE m SET v = 'y'", db="main-one")
    for mode, label in (("schema", "before DROP TABLE dropped"), ("data", "before a change set")):
        lift_limits(s)
        before = len(listed(s))
        checks.good(f"merge {mode}", s.call("POST", f"{BASE}/branches/one/merge", {"mode": mode}))
        new = listed(s)
        checks.equal(f"merge {mode}", (len(new) - before, new[0]["kind"], new[0]["label"]), (1, "automatic", label))


def bounded(checks, s):
    fill(s, "u", 10)
    for _ in range(8):
        s.query("INSERT INTO u(v) VALUES(1)")
        checks.good("update", s.query("UPDATE u SET v = v || 'x'"))
    labels = [x for x in listed(s) if x["kind"] == "automatic"]
    checks.that("at most five a minute", len(labels) <= 5, len(labels))
    checks.equal("and five there are", len(labels), 5)
    fill(s, "precious", 20)
    s.query("INSERT INTO precious(v) VALUES('last')")
    meta = told(checks, "update", s.query("UPDATE u SET v = 1"))
    checks.equal("then there is none, for one that holds another state will not do", meta["snapshot"], None)
    checks.that("and the answer says why", "within a minute" in meta.get("snapshotSkipped", ""), meta)
    checks.equal("none was made", len([x for x in listed(s) if x["kind"] == "automatic"]), 5)
    for sql in ("ALTER TABLE precious DROP COLUMN v", "DROP TABLE precious"):
        s.query("INSERT INTO u(v) VALUES(3)")
        before = s.query("SELECT sum(id), count(*) FROM u").json["data"]["rows"], s.query("SELECT * FROM precious").json["data"]["rows"]
        made = told(checks, sql, s.query(sql))["snapshot"]
        checks.that(f"{sql} has its own", made and made["id"] not in [x["id"] for x in labels], made)
        restore(s, checks, made or labels[0])
        after = s.query("SELECT sum(id), count(*) FROM u").json["data"]["rows"], s.query("SELECT * FROM precious").json["data"].get("rows")
        checks.equal(f"{sql}: which is the state before it", after, before)
    mine = checks.good("manual", s.call("POST", f"{BASE}/snapshots", {"label": "mine"}))
    for _ in range(22):
        s.query("INSERT INTO u(v) VALUES(1)")
        lift_limits(s)
        checks.good("update", s.query("UPDATE u SET v = v || 'x'"))
    kinds = [x["kind"] for x in listed(s)]
    checks.equal("twenty are kept", kinds.count("automatic"), 20)
    checks.that("and those that people made", mine["id"] in [x["id"] for x in listed(s)], "")
    known = {row[0] for row in s.control("SELECT id FROM snapshot")}
    checks.equal("no files of others are left", files(s), known)
    s.control("UPDATE snapshot SET kind = 'manual'", [], write=True)
    s.query("INSERT INTO u(v) VALUES(1)")
    checks.that("manual ones take no room from them", "snapshot" in told(checks, "update", s.query("UPDATE u SET v = 1")), "")


def beside_writers(checks, s):
    """Writers go on while a snapshot is made, and each destructive write has one that holds what it removed."""
    s.query("CREATE TABLE w(a)")
    s.query("INSERT INTO w VALUES(0)")
    with beside(*[lambda: s.query("INSERT INTO w VALUES(1)").status] * 2) as written:
        answers = [s.query("DELETE FROM w") for _ in range(5)]
    checks.equal("no write failed", set(written), {200})
    checks.equal("nor one that destroys", {a.status for a in answers}, {200})


def crashes(checks, s):
    fill(s, "c", 1500)
    for n in range(6):
        def work():
            try:
                s.query("DELETE FROM c")
            except Exception:  # the connection broke
                return
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(work)
            while n % 2 and not job.done() and not files(s):
                pass
            s.kill()
            job.result()
        s.start()
        left = count(s, "c")
        checks.that(f"{n}: all or nothing", left in (0, 1500), left)
        known = {row[0] for row in s.control("SELECT id FROM snapshot")}
        checks.equal(f"{n}: every snapshot has its files", files(s), known)
        if left == 0:
            checks.that(f"{n}: gone only with a snapshot", len(known) > 0, known)
            restore(s, checks, [x for x in listed(s) if x["kind"] == "automatic"][0])
            checks.equal(f"{n}: which brings it back", count(s, "c"), 1500)
        for one in listed(s):
            s.call("DELETE", f"{BASE}/snapshots/{one['id']}")


def main():
    checks = Checks()
    for part in (which, calls, back, imports, merged, bounded, beside_writers, crashes):
        with Server(binary_argument()) as s:
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
