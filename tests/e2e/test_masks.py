#!/usr/bin/env python3
"""Masks of columns, and branches that are masked, sampled or made of a snapshot: who may, what they hold, what is refused, what is left behind.
Usage: test_masks.py PATH-OF-HOLDFAST"""
import contextlib
import glob
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

BASE = "/v1/db/acme/main"
API = "/api/namespaces/acme/databases/main"
EVIL = "a\"b'); DROP TABLE users;--"
SECRETS = ["Johanna", "johanna", "Geheim", "geheim", "real.test", "1970-05-06", "1970-05-10", "4711", "robert'); DROP"]
FILL = ["CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT, born TEXT, phone TEXT, boss INTEGER REFERENCES users(id))",
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, buyer TEXT REFERENCES users(email), by INTEGER NOT NULL REFERENCES users(id), note TEXT)",
        f"CREATE TABLE \"{EVIL.replace(chr(34), chr(34) * 2)}\"(\"{EVIL.replace(chr(34), chr(34) * 2)}\" TEXT)",
        "CREATE VIRTUAL TABLE found USING fts5(name, content='users', content_rowid='id')",
        "INSERT INTO users VALUES(1, 'Johanna@real.test', 'Johanna Geheim', '1970-05-06', '+49 4711-12', NULL), (2, 'z@real.test', 'robert''); DROP TABLE users;--', '1970-05-10', NULL, 1)",
        "INSERT INTO orders VALUES(1, 'johanna@real.test', 1, 'first'), (2, NULL, 2, 'second')",
        "INSERT INTO found(found) VALUES('rebuild')"]
MASKS = [{"table": "users", "column": "id", "kind": "hash"}, {"table": "users", "column": "email", "kind": "email", "options": {"domain": "nobody.test"}},
         {"table": "users", "column": "name", "kind": "name"}, {"table": "users", "column": "born", "kind": "date"}, {"table": "users", "column": "phone", "kind": "shape"},
         {"table": EVIL, "column": EVIL, "kind": "hash"}]


def rows(s, sql, db="main", token=None):
    return s.query(sql, db=db, token=token).json["data"]["rows"]


def put(s, ref, body, **more):
    return s.call("PUT", f"{BASE}/branches/{ref}", body, **more)


def directory(s, slug):
    return os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = ? AND deleted_at IS NULL", (slug,))[0][0])


def left_in_out(s):
    return [f for f in glob.glob(os.path.join(s.data, "db", "*", "out", "*")) + glob.glob(os.path.join(s.data, "staging", "*"))]


def holds(path, text):
    for name in glob.glob(os.path.join(path, "**"), recursive=True):
        if os.path.isfile(name):
            with open(name, "rb") as f:
                if text.encode() in f.read():
                    return name
    return None


def sound(checks, s, what, db):
    """Looked at from outside: the server answers neither of these pragmas."""
    with tempfile.TemporaryDirectory() as copy:
        for name in glob.glob(os.path.join(directory(s, db), "main.db*")):
            if not name.endswith("-shm"):
                shutil.copy(name, copy)
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "main.db"))) as c:
            checks.equal(f"{what}: whole", (c.execute("PRAGMA foreign_key_check").fetchall(), c.execute("PRAGMA integrity_check").fetchall()), ([], [("ok",)]))


def routes(checks, s):
    none = checks.good("none yet", s.call("GET", BASE + "/masks"))
    checks.equal("nothing", none, {"masks": [], "follows": [], "problem": None})
    checks.refused("a masked branch without masks", put(s, "early", {"data": "masked"}), 409, "conflict", text="no masks")
    put_back = checks.good("PUT", s.call("PUT", BASE + "/masks", {"masks": MASKS}))
    put_back["masks"].sort(key=lambda m: (m["table"], m["column"]))
    checks.equal("read back, also by people's routes", (checks.good("GET", s.call("GET", BASE + "/masks")), checks.good("GET", s.call("GET", API + "/masks"))), (put_back, put_back))
    checks.equal("what follows", sorted((f["table"], f["column"], f["refersTo"]["column"]) for f in put_back["follows"]), [("orders", "buyer", "email"), ("orders", "by", "id"), ("users", "boss", "id")])
    checks.equal("defaults are told", [m["options"] for m in put_back["masks"] if m["kind"] in ("date", "name")], [{"maxDays": 365}, {"part": "full"}])
    log = s.call("GET", "/api/namespaces/acme/audit?limit=5").json["data"][0]
    checks.that("audited, without values of rows", (log["action"], log["after"]["count"]) == ("masks.set", 6) and "email users.email" in log["after"]["masks"], log)
    admin = Person(s, "admin@example.com", PASSWORD, member="admin") if "member" in Person.__init__.__code__.co_varnames else None
    if admin:
        checks.equal("a person who is admin", admin.ask("GET", API + "/masks").status, 200)
    for role in ("readonly", "readwrite"):
        checks.refused(role, s.call("GET", BASE + "/masks", token=s.mint(role)["token"]), 403, "forbidden")
    checks.refused("a table scope", s.call("PUT", BASE + "/masks", {"masks": []}, token=s.mint("admin", "--tables", "users")["token"]), 403, "forbidden")
    for table in ("_sys_mask", "_sys_meta"):
        checks.that(f"{table} is not for SQL", s.query(f"SELECT * FROM {table}").status in (400, 403), "")


def bad_bodies(checks, s):
    one = {"table": "users", "column": "name", "kind": "hash"}
    for body, pointer in ((None, None), ([], None), ({}, "/masks"), ({"masks": None}, "/masks"), ({"masks": {}}, "/masks"), ({"masks": [1]}, "/masks/0"), ({"masks": [{}]}, "/masks/0/table"),
                          ({"masks": [one], "more": 1}, "/more"), ({"masks": [{**one, "more": 1}]}, "/masks/0/more"), ({"masks": [{**one, "kind": 7}]}, "/masks/0/kind"),
                          ({"masks": [{**one, "kind": "HASH"}]}, "/masks/0/kind"), ({"masks": [{**one, "options": []}]}, "/masks/0/options"),
                          ({"masks": [{**one, "options": {"part": "x"}}]}, "/masks/0/options/part"), ({"masks": [{**one, "table": "x" * 2000}]}, "/masks/0/table"),
                          ({"masks": [{**one, "table": "users; DROP TABLE users"}]}, "/masks/0/table"), ({"masks": [{**one, "column": "name\" --"}]}, "/masks/0/column"),
                          ({"masks": [one, one]}, "/masks/1"), ({"masks": [one] * 1001}, "/masks"), ({"masks": [{**one, "table": "sqlite_schema", "column": "sql"}]}, "/masks/0/table"),
                          ({"masks": [{**one, "kind": "email", "options": {"domain": "a b"}}]}, "/masks/0/options/domain"), ({"masks": [{**one, "kind": "date", "options": {"maxDays": 1e9}}]}, "/masks/0/options/maxDays")):
        checks.refused(f"{str(body)[:80]}", s.call("PUT", BASE + "/masks", body), 400, "invalid_request", pointer)
    checks.equal("as they were", len(s.call("GET", BASE + "/masks").json["data"]["masks"]), 6)
    for body, pointer in (({"data": "ful"}, "/data"), ({"data": "sample", "sampleRows": 0}, "/sampleRows"), ({"data": "sample", "sampleRows": 100001}, "/sampleRows"), ({"data": "full", "sampleRows": 5}, "/sampleRows"),
                          ({"data": "sample", "sampleRows": "5"}, "/sampleRows"), ({"data": "sample", "seed": -1}, "/seed"), ({"seed": 1}, "/seed"), ({"masked": True}, "/masked"), ({"data": "sample", "masked": 1}, "/masked"),
                          ({"fromSnapshot": 7}, "/fromSnapshot"), ({"fromSnapshot": "snap_none"}, "/fromSnapshot"), ({"fromSnapshot": "../../x"}, "/fromSnapshot"), ({"fromSnapshot": ""}, "/fromSnapshot"),
                          ({"fromSnapshot": "snap_none", "fromRef": "main"}, "/fromSnapshot"), ({"fromRef": "early", "data": "masked"}, "/fromRef")):
        checks.refused(f"branch {body}", put(s, "bad", body), 400, "invalid_request", pointer)
        checks.refused(f"claim {body}", s.call("POST", BASE + "/claim_branch", body), 400, "invalid_request", pointer)
        checks.refused(f"fork {body}", s.call("POST", BASE + "/fork", {"slug": "bad", **body}), 400, "invalid_request", "/fromRef" if "fromRef" in body else pointer)


def masked(checks, s):
    made = checks.good("PUT masked", put(s, "masked", {"data": "masked"}))
    db = made["slug"]
    s.query("UPDATE users SET name = name || ' changed'", db=db)
    s.stop()  # so that logs are in their files
    s.start()
    for text in SECRETS:
        checks.equal(f"no file of it holds {text}", holds(directory(s, db), text), None)
    checks.that("its parent's do", holds(directory(s, "main"), "Geheim"))
    checks.good("anew", put(s, "masked", {"data": "masked"}))
    sound(checks, s, "masked", db)
    checks.equal("keys hold", rows(s, "SELECT o.note FROM orders o JOIN users u ON u.email = o.buyer AND u.id = o.by", db), [["first"]])
    checks.equal("and to oneself", rows(s, "SELECT count(*) FROM users a JOIN users b ON b.id = a.boss", db), [[1]])
    checks.equal("forms hold", rows(s, "SELECT count(*) FROM users WHERE email LIKE '%@nobody.test' AND (phone IS NULL OR phone GLOB '+[0-9][0-9] [0-9][0-9][0-9][0-9]-[0-9][0-9]') AND typeof(id) = 'integer'", db), [[2]])
    checks.equal("intervals stay", rows(s, "SELECT julianday(max(born)) - julianday(min(born)) FROM users", db), [[4.0]])
    checks.equal("found by its mask alone", (rows(s, "SELECT count(*) FROM found WHERE found MATCH 'Johanna'", db), rows(s, "SELECT count(*) FROM users u, found f WHERE f.rowid = u.id AND f.name = u.name", db)), ([[0]], [[2]]))
    before = rows(s, "SELECT * FROM users ORDER BY born", db)
    checks.good("reset", put(s, "masked", {"data": "masked"}))
    checks.equal("the same again", rows(s, "SELECT * FROM users ORDER BY born", db), before)
    lease = checks.good("claim", s.call("POST", BASE + "/claim_branch", {"ref": "leased", "data": "masked", "role": "admin"}))
    s.secrets.append(lease["token"])
    checks.equal("a lease reads what is masked", rows(s, "SELECT * FROM users ORDER BY born", lease["databaseSlug"], lease["token"]), before)
    for method, path in (("POST", "query"), ("GET", "masks"), ("GET", "branches"), ("POST", "fork"), ("GET", "snapshots"), ("GET", "query-log"), ("GET", "proposals")):
        checks.that(f"and not its parent: {path}", s.call(method, f"{BASE}/{path}", {"sql": "SELECT 1", "slug": "x"} if method == "POST" else None, token=lease["token"]).status in (403, 404), "")
    checks.equal("its secret is another", len({s.call("GET", f"/v1/db/acme/{db}/masks").status, 200}), 1)
    made = checks.good("a masked fork", s.call("POST", BASE + "/fork", {"slug": "fork-masked", "data": "full", "masked": True}))
    checks.equal("full and masked is masked", rows(s, "SELECT * FROM users ORDER BY born", "fork-masked"), before)
    checks.equal("nothing is left behind", left_in_out(s), [])


def say_again(checks, s):
    """What is new needs no mask."""
    checks.good("the same masks", s.call("PUT", BASE + "/masks", {"masks": s.call("GET", BASE + "/masks").json["data"]["masks"]}))


def refusals(checks, s):
    s.query("ALTER TABLE users RENAME COLUMN phone TO mobile")
    checks.refused("a column has another name", put(s, "renamed", {"data": "masked"}), 409, "conflict", text='"users"."phone" was renamed')
    checks.that("told before", '"users"."phone" was renamed' in s.call("GET", BASE + "/masks").json["data"]["problem"], "")
    s.query("ALTER TABLE users RENAME COLUMN mobile TO phone")
    s.query("ALTER TABLE users ADD COLUMN later TEXT")
    s.query("CREATE TABLE nicks(nick TEXT CHECK (nick = lower(nick) AND length(nick) < 10))")
    s.query("INSERT INTO nicks VALUES('jo1')")
    checks.refused("a column is new", put(s, "renamed", {"data": "masked"}), 409, "conflict", text='"users"."later" is new')
    say_again(checks, s)
    checks.good("that is said", put(s, "renamed", {"data": "masked"}))
    s.query("ALTER TABLE nicks RENAME TO nicks_old")
    s.query("CREATE TABLE nicks(nick TEXT)")
    checks.refused("a table has another name", put(s, "renamed", {"data": "masked"}), 409, "conflict", text='"nicks_old" is new')
    s.query("DROP TABLE nicks")
    s.query("ALTER TABLE nicks_old RENAME TO nicks")
    checks.good("a mask that breaks a CHECK", s.call("PUT", BASE + "/masks", {"masks": MASKS + [{"table": "nicks", "column": "nick", "kind": "hash"}]}))
    checks.refused("is told when it does", put(s, "broken", {"data": "masked"}), 409, "conflict", text="CHECK constraint failed")
    checks.that("without a value", "jo1" not in put(s, "broken", {"data": "masked"}).json["error"], "")
    checks.equal("and there is no branch", s.query("SELECT 1", db="main-broken").status, 404)
    checks.equal("what was there stays", rows(s, "SELECT count(*) FROM users", "main-renamed"), [[2]])
    checks.good("shape fits", s.call("PUT", BASE + "/masks", {"masks": MASKS + [{"table": "nicks", "column": "nick", "kind": "shape"}]}))
    checks.good("made", put(s, "renamed", {"data": "masked"}))
    for name, more in (("claims", ("--claims", '{"tenant":"a"}')), ("branches alone", ("--kind", "test"))):
        token = s.mint("admin", *more)["token"]
        for data in ("full", "sample", "masked"):
            checks.refused(f"{name}: {data}", put(s, "mine", {"data": data}, token=token), 403, "forbidden")
    checks.equal("nothing is left behind", left_in_out(s), [])


def sampled(checks, s):
    s.query("CREATE TABLE big(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES users(id), before INTEGER REFERENCES big(id), t TEXT)")
    s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO big SELECT i, 1 + i % 2, nullif(i / 10, 0), 'row ' || i FROM n")
    made = checks.good("PUT sample", put(s, "sample", {"data": "sample", "sampleRows": 100}))
    sound(checks, s, "sample", made["slug"])
    count = rows(s, "SELECT count(*) FROM big", made["slug"])[0][0]
    checks.that("about as many as were asked for, and what they refer to", 80 < count < 20000, count)
    first = rows(s, "SELECT id FROM big ORDER BY id", made["slug"])
    checks.good("again", put(s, "sample", {"data": "sample", "sampleRows": 100}))
    checks.equal("the same rows", rows(s, "SELECT id FROM big ORDER BY id", made["slug"]), first)
    checks.good("another seed", put(s, "sample", {"data": "sample", "sampleRows": 100, "seed": 3}))
    checks.that("other rows", rows(s, "SELECT id FROM big ORDER BY id", made["slug"]) != first, "")
    say_again(checks, s)
    checks.good("masked too", put(s, "sample", {"data": "sample", "sampleRows": 50, "masked": True}))
    sound(checks, s, "masked sample", made["slug"])
    checks.equal("no file of it holds a name", holds(directory(s, made["slug"]), "Geheim"), None)
    for asked in (1, 2, 3):
        checks.good(f"{asked} asked for", put(s, "sample", {"data": "sample", "sampleRows": asked, "seed": asked}))
        tables = [t["name"] for t in s.db("tables", db=made["slug"], method="GET").json["data"]]
        there = sum(rows(s, "SELECT count(*) FROM \"%s\"" % name.replace('"', '""'), made["slug"])[0][0] for name in tables)
        checks.that(f"{asked} asked for, at least as many there", there >= asked, (there, tables))
    checks.good("as many as there are", put(s, "sample", {"data": "sample", "sampleRows": 100000}))
    checks.equal("all", rows(s, "SELECT count(*) FROM big", made["slug"]), rows(s, "SELECT count(*) FROM big"))
    checks.good("of a sibling", put(s, "half", {"data": "sample", "fromRef": "sample", "sampleRows": 10}))
    sound(checks, s, "sibling's sample", "main-half")


def snapshots(checks, s):
    snap = checks.good("snapshot", s.call("POST", BASE + "/snapshots", {"label": "then"}))["id"]
    s.query("INSERT INTO orders VALUES(3, NULL, 1, 'third')")
    s.query("ALTER TABLE orders ADD COLUMN later TEXT")
    say_again(checks, s)
    there = [["first"], ["second"]]
    made = checks.good("schema of a snapshot", put(s, "then", {"fromSnapshot": snap}))["slug"]
    checks.equal("its schema and no rows", (rows(s, "SELECT count(*) FROM orders", made), s.query("SELECT later FROM orders", db=made).status), ([[0]], 400))
    for data in ("full", "sample", "masked"):
        checks.good(f"{data} of a snapshot", put(s, "then", {"fromSnapshot": snap, "data": data}))
        checks.equal(f"{data}: rows of then", rows(s, "SELECT note FROM orders ORDER BY note", made), there)
        sound(checks, s, data, made)
    checks.equal("masked is masked", rows(s, "SELECT count(*) FROM users WHERE email LIKE '%real.test'", made), [[0]])
    checks.equal("as now", rows(s, "SELECT email FROM users ORDER BY email", made), rows(s, "SELECT email FROM users ORDER BY email", "main-masked"))
    lease = checks.good("claimed of it", s.call("POST", BASE + "/claim_branch", {"ref": "leased-then", "fromSnapshot": snap, "data": "full"}))
    s.secrets.append(lease["token"])
    checks.equal("its rows", rows(s, "SELECT note FROM orders ORDER BY note", lease["databaseSlug"], lease["token"]), there)
    checks.good("forked of it", s.call("POST", BASE + "/fork", {"slug": "fork-then", "fromSnapshot": snap, "data": "full"}))
    checks.equal("a write there", s.query("INSERT INTO orders(id, by) VALUES(9, 1)", db="fork-then").status, 200)
    checks.good("restore", s.call("POST", BASE + "/restore", {"snapshotId": snap}))
    checks.equal("the snapshot is as it was", rows(s, "SELECT note FROM orders ORDER BY note"), there)
    kept = [x for x in s.call("GET", BASE + "/snapshots").json["data"] if x["kind"] == "restore"][0]["id"]
    checks.good("of what a restore replaced", put(s, "replaced", {"fromSnapshot": kept, "data": "full"}))
    checks.equal("with what its log held", rows(s, "SELECT count(later) + count(*) FROM orders", "main-replaced"), [[3]])
    s.query("ALTER TABLE users RENAME COLUMN phone TO mobile")
    s.call("PUT", BASE + "/masks", {"masks": [{**m, "column": "mobile" if m["column"] == "phone" else m["column"]} for m in MASKS]})
    checks.refused("masks of today do not know a column of then", put(s, "then", {"fromSnapshot": snap, "data": "masked"}), 409, "conflict", text='"users"."phone"')
    checks.refused("another database's", s.call("PUT", "/v1/db/acme/fork-then/branches/x", {"fromSnapshot": snap}), 400, "invalid_request", "/fromSnapshot")
    checks.equal("nothing is left behind", left_in_out(s), [])


def client_leaves(checks, s):
    """A client that goes away in the middle of a long copy ends it; nothing stays."""
    s.query("CREATE TABLE heavy(a INTEGER PRIMARY KEY, t TEXT)")
    s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO heavy SELECT i, 'some text to be masked ' || i FROM n")
    checks.good("masks", s.call("PUT", BASE + "/masks", {"masks": [{"table": "heavy", "column": "t", "kind": "shape"}]}))
    for body in (b'{"data":"masked"}', b'{"data":"sample","sampleRows":100000}'):
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"PUT /v1/db/acme/main/branches/left HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token.encode() + b"\r\nContent-Type: application/json\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
            end = time.monotonic() + 10
            while not left_in_out(s) and time.monotonic() < end:
                time.sleep(0.005)
            checks.that("the copy has begun", left_in_out(s) or b"sample" in body, "")
            writes = s.query("INSERT INTO heavy(t) VALUES('beside')")
            checks.equal("a write beside it", writes.status, 200)
        end = time.monotonic() + 20
        while left_in_out(s) and time.monotonic() < end:
            time.sleep(0.02)
        checks.equal("nothing is left", left_in_out(s), [])


def limits(checks, s):
    """Every kind of branch meets the namespace's limit with the same words; resetting one does not."""
    names = [row[1] for row in s.control("PRAGMA table_info(database)")]
    values = ", ".join({"id": "'db_00000000000000000000' || printf('%06d', n.i)", "slug": "'filler-' || n.i", "ref": "'filler' || n.i", "branch_ref": "'filler' || n.i"}.get(name, name) for name in names)
    there = s.control("SELECT count(*) FROM database WHERE parent_id IS NOT NULL AND deleted_at IS NULL")[0][0]
    s.control(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {1000 - there + 5}) INSERT INTO database({', '.join(names)}) SELECT {values} FROM n, (SELECT * FROM database WHERE slug = 'main-then')", write=True)
    for body in ({}, {"data": "full"}, {"data": "sample"}, {"data": "masked"}):
        checks.refused(f"one more: {body}", put(s, "one-more", body), 403, "forbidden", text="holds its 1000 branches")
        checks.refused(f"claimed: {body}", s.call("POST", BASE + "/claim_branch", body), 403, "forbidden", text="holds its 1000 branches")
    checks.good("reset", put(s, "sample", {}))
    checks.equal("nothing is left behind", left_in_out(s), [])
    s.control("DELETE FROM database WHERE slug LIKE 'filler-%'", write=True)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for sql in FILL:
            assert s.query(sql).status == 200, sql
        for part in (routes, bad_bodies, masked, refusals, sampled, snapshots, client_leaves, limits):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
