#!/usr/bin/env python3
"""Taking back over HTTP: parts of a write, everything of a bearer, everything since a time; for programs and for people.
Usage: test_undo.py PATH-OF-HOLDFAST"""
import os
import sys
from datetime import datetime, timedelta

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, PASSWORD, Server, binary_argument
from people import Person

BASE = "/api/namespaces/acme/databases/main/"


def stock(s):
    return s.query("SELECT group_concat(id || ':' || n, ' ') FROM (SELECT * FROM stock ORDER BY id)").json["data"]["rows"][0][0]


def write(s, sql, token=None, **more):
    """Proposes and applies; the proposal."""
    made = s.db("propose", {"sql": sql, **more}, token=token)
    data = made.json["data"]
    s.secrets.append(data["executionToken"])
    done = s.db("apply", {"executionToken": data["executionToken"]}, token=token)
    return {**data, "done": done}


def undo(s, body, path="undo", token=None):
    """(status, data or error)"""
    a = s.db(path, body, token=token)
    if a.status != 200:
        return a.status, a.json
    s.secrets.append(a.json["data"]["executionToken"])
    return a.status, a.json["data"]


def reset(s):
    for sql in ("DROP TABLE IF EXISTS stock", "CREATE TABLE stock(id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO stock VALUES(1, 10), (2, 20), (3, 30)"):
        s.query(sql)


def bearers(checks, s):
    reset(s)
    agent, other = s.mint("readwrite"), s.mint("readwrite")
    s.secrets += [agent["token"], other["token"]]
    first = write(s, "UPDATE stock SET n = n + 1", agent["token"])
    write(s, "UPDATE stock SET n = 200 WHERE id = 2", other["token"])
    write(s, "DELETE FROM stock WHERE id = 1", agent["token"])
    write(s, "INSERT INTO stock VALUES(4, 40)", agent["token"])
    status, told = undo(s, {"tokenId": agent["id"]})
    checks.equal("somebody else changed a row in between, or after", (status, told["code"]), (409, "drift"))
    checks.equal("which", [(r["kind"], r["key"]) for r in told["drift"]["rows"]], [("differs", {"id": 2})])
    rows = [{"table": "stock", "key": {"id": n}} for n in (1, 3, 4)]
    status, back = undo(s, {"tokenId": agent["id"], "from": first["createdAt"], "rows": rows, "reason": "agent gone wild"})
    checks.equal("without it", (status, back.get("action"), len(back.get("undoOf", ())), back.get("estimatedAffectedRows")), (200, "undo", 3, 3)) or print(back)
    checks.equal("nothing happened yet", stock(s), "2:200 3:31 4:40")
    checks.equal("applied", s.db("apply", {"executionToken": back["executionToken"]}).status, 200)
    checks.equal("as it was", stock(s), "1:10 2:200 3:30")
    checks.equal("one cannot take back what others wrote", undo(s, {"tokenId": agent["id"]}, token=other["token"])[0], 403)
    status, own = undo(s, {"from": 0}, token=other["token"])
    checks.equal("one's own", (status, own.get("undoOf") and len(own["undoOf"])), (200, 1))
    checks.equal("its rows", own["changes"]["rows"][0]["after"], {"n": 21})
    status, told = undo(s, {"tokenId": "tok_none"})
    checks.equal("of nobody", (status, told["code"]), (404, "not_found"))
    readonly = s.mint("readonly")["token"]
    checks.equal("readonly", undo(s, {"from": 0}, token=readonly)[0], 403)


def parts(checks, s):
    reset(s)
    s.query("CREATE TABLE IF NOT EXISTS log(what)")
    s.query("CREATE TRIGGER told AFTER UPDATE ON stock BEGIN INSERT INTO log VALUES(new.id); END")
    p = write(s, "UPDATE stock SET n = 0")
    path = f"proposals/{p['proposalId']}/undo"
    status, back = undo(s, {"tables": ["log"]}, path)
    checks.equal("one table", (status, [(t["table"], t["delete"]) for t in back["changes"]["tables"]]), (200, [("log", 3)]))
    status, back = undo(s, {"rows": [{"table": "stock", "key": {"id": 2}}]}, path)
    checks.equal("one row", (status, [r["key"] for r in back["changes"]["rows"]]), (200, [{"id": 2}]))
    checks.equal("applied", (s.db("apply", {"executionToken": back["executionToken"]}).status, stock(s)), (200, "1:0 2:20 3:0"))
    status, rest = undo(s, None, path)
    checks.equal("the rest", (status, rest["estimatedAffectedRows"], [r["key"] for r in rest["changes"]["rows"] if r["table"] == "stock"]), (200, 5, [{"id": 1}, {"id": 3}]))
    checks.equal("and all is undone", (s.db("apply", {"executionToken": rest["executionToken"]}).status, stock(s)), (200, "1:10 2:20 3:30"))
    status, told = undo(s, None, path)
    checks.equal("once", (status, told["code"], "already" in told["error"]), (409, "conflict", True))
    for body in ({"tables": ["nope"]}, {"tables": []}, {"tables": "stock"}, {"tables": [{}]}, {"rows": [{"table": "stock", "key": {"id": 9}}]}, {"rows": {}},
                 {"rows": [{"table": "stock", "key": 1}]}, {"rows": [{"table": "stock", "key": {"id": 2}, "keys": 1}]}, {"dryrun": True}, {"from": 0}, {"rows": [{"key": {"id": 1}}]}):
        checks.equal(f"cut {body}", undo(s, body, path)[0], undo_status(body))
    s.query("DROP TRIGGER told")


def undo_status(body):
    """All of it was taken back: what is well formed is refused for that."""
    well_formed = body.get("tables") == ["nope"] or body.get("rows") == [{"table": "stock", "key": {"id": 9}}]
    return 409 if well_formed else 400


def large(checks, s):
    """What is only rehearsed destroys nothing: the snapshot is made when it is done."""
    s.query("CREATE TABLE many(id INTEGER PRIMARY KEY, n INTEGER)")
    s.query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) INSERT INTO many SELECT x, 0 FROM c")
    p = write(s, "UPDATE many SET n = 1 WHERE id > 1")
    a = s.db(f"proposals/{p['proposalId']}/undo")
    s.secrets.append(a.json["data"]["executionToken"])
    checks.equal("proposed without a snapshot", (a.status, a.json["meta"].get("snapshot"), a.json["meta"].get("snapshotSkipped")), (200, None, None))
    done = s.db("apply", {"executionToken": a.json["data"]["executionToken"]})
    checks.that("done after one", done.status == 200 and (done.json["meta"].get("snapshot") or done.json["meta"].get("snapshotSkipped")), done.json["meta"])


def spans(checks, s):
    for body in ({}, {"from": None}, {"to": 5}, {"from": "now"}, {"from": -1}, {"from": 2, "to": 1}, {"from": 1.5}, {"from": {}}, {"tokenId": 5, "from": 0},
                 {"tokenId": "", "from": 0}, {"from": "2026-13-01T00:00:00Z"}, {"from": 0, "except": "x"}, {"from": 0, "except": [None]}, {"from": 0, "except": [[]]}, {"from": 0, "except": [{}]}, {"from": 0, "except": ["nope"]}, {"from": 0, "ttlSec": 5}, [], {"from": 0, "dryRun": True}, {"from": 0, "table": "stock"}):
        checks.equal(f"undo {body}", s.db("undo", body).status, 400)
    checks.equal("in the future", undo(s, {"from": "2199-01-01T00:00:00+02:00"})[0], 404)
    reset(s)
    write(s, "UPDATE stock SET n = 1 WHERE id = 1")
    made = write(s, "CREATE TABLE later(a)")
    write(s, "UPDATE stock SET n = 2 WHERE id = 2")
    since = {"from": made["createdAt"]}
    status, told = undo(s, since)
    checks.equal("a change of the schema is named", (status, told["code"], [w["proposalId"] for w in told["writes"]]), (409, "not_undoable", [made["proposalId"]]))
    checks.equal("and how it is taken back", (told["writes"][0]["undoBy"], made["proposalId"] in told["error"], "/undo" in told["error"]), ("schema", True, True))
    status, back = undo(s, {**since, "except": [made["proposalId"]]})
    checks.equal("and left out when asked", (status, [r["key"] for r in back["changes"]["rows"]]), (200, [{"id": 2}]))


def take_back(checks, s, p, **more):
    """Proposes and applies the undo of a proposal; the undo."""
    status, back = undo(s, more or None, f"proposals/{p['proposalId']}/undo")
    checks.equal("can be taken back", status, 200) or print(back)
    return {**back, "done": s.db("apply", {"executionToken": back["executionToken"]})}


def schemas(checks, s):
    """A table that was dropped comes back from the snapshot that was made before it, and no other is touched."""
    reset(s)
    s.query("CREATE TABLE beside(a)")
    p = write(s, "DROP TABLE stock")
    snapshot = p["done"].json["meta"]["snapshot"]
    checks.that("said when it was proposed", "snapshot" in p["noUndo"], p["noUndo"])
    checks.that("until when", p["done"].json["meta"]["undoUntil"], p["done"].json["meta"])
    write(s, "INSERT INTO beside VALUES(1)")
    back = take_back(checks, s, p)
    checks.equal("the snapshot and its label", back["flags"]["undo"]["snapshot"], {"id": snapshot["id"], "label": snapshot["label"]})
    checks.equal("the statements", back["flags"]["undo"]["statements"], ["CREATE TABLE stock(id INTEGER PRIMARY KEY, n INTEGER)"])
    checks.equal("the rows", [r["after"] for r in back["changes"]["rows"]], [{"id": i, "n": 10 * i} for i in (1, 2, 3)])
    checks.equal("it is back, the other table as it was", (back["done"].status, stock(s), s.query("SELECT * FROM beside").json["data"]["rows"]), (200, "1:10 2:20 3:30", [[1]]))
    s.query("UPDATE stock SET n = 11 WHERE id = 1")
    again = take_back(checks, s, back)
    checks.equal("undo of the undo, with a snapshot of its own", (again["done"].status, s.query("SELECT * FROM stock").status), (200, 400))
    made = again["done"].json["meta"]["snapshot"]
    checks.that("made before it", made["id"] != snapshot["id"], made)
    take_back(checks, s, again)
    checks.equal("and once more: as it was then", stock(s), "1:11 2:20 3:30")
    gone = write(s, "ALTER TABLE stock DROP COLUMN n")
    s.query("DELETE FROM stock WHERE id = 2")
    checks.equal("its snapshot goes", s.call("DELETE", f"/v1/db/acme/main/snapshots/{gone['done'].json['meta']['snapshot']['id']}").status, 200)
    status, told = undo(s, None, f"proposals/{gone['proposalId']}/undo")
    checks.equal("without it there is nothing to go back to", (status, told["code"]), (409, "restore_needed")) or print(told)
    checks.that("said so", "not kept any more" in told["error"], told["error"])
    checks.equal("a client cannot name another", undo(s, None, f"proposals/{gone['proposalId']}/undo?snapshot={snapshot['id']}&copy=x")[0], 400)
    left = [f for f in os.listdir(os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = 'main'", [])[0][0], "out")) if "from" in f]
    checks.equal("no copy of a snapshot is left", left, [])


def foreseen(checks, s):
    """What could not be taken back says so when it is proposed, and what says that it can, can."""
    for sql, how in ((["ALTER TABLE f DROP COLUMN b", "UPDATE f SET a = 2"], None), (["ALTER TABLE f RENAME TO g", "UPDATE g SET a = 3"], None),
                     (["ALTER TABLE f DROP COLUMN b", "UPDATE o SET a = 2"], "schema"), (["UPDATE f SET a = 4", "DROP TABLE f"], "schema"),
                     (["ALTER TABLE f ADD COLUMN c", "UPDATE f SET c = 5"], "schema"), (["ALTER TABLE f RENAME COLUMN a TO x", "UPDATE f SET b = 5"], "schema"),
                     (["UPDATE f SET b = 5"], "rows")):
        s.batch(["DROP TABLE IF EXISTS f", "DROP TABLE IF EXISTS g", "DROP TABLE IF EXISTS o", "CREATE TABLE f(id INTEGER PRIMARY KEY, a, b)", "INSERT INTO f VALUES(1, 1, 1)",
                 "CREATE TABLE o(a)", "INSERT INTO o VALUES(1)"])
        made = s.db("propose", {"statements": [{"sql": q} for q in sql]}).json["data"]
        s.secrets.append(made["executionToken"])
        checks.equal(f"{sql}: said", made["undoBy"], how)
        checks.that(f"{sql}: why", (made["noUndo"] is None) == (how == "rows") and ("together with" in (made["noUndo"] or "")) == (how is None), made["noUndo"])
        checks.equal(f"{sql}: applied", s.db("apply", {"executionToken": made["executionToken"]}).status, 200)
        status, told = undo(s, None, f"proposals/{made['proposalId']}/undo")
        checks.equal(f"{sql}: so it is", (status, told.get("code")), (200, None) if how else (409, "restore_needed"))


DEFINITIONS = (  # what is there, what is done to it
    (["CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT NOT NULL, b REAL) STRICT", "INSERT INTO t VALUES(1, 'x', 1.5), (2, 'y', 2)"], ["ALTER TABLE t DROP COLUMN a"]),
    (["CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)", "INSERT INTO t VALUES(1, 2), (9, 2)", "DELETE FROM t WHERE a = 9"], ["DROP TABLE t"]),
    (["CREATE TABLE t(a INTEGER, g AS (a * 2), s TEXT AS ('n' || a) STORED, b)", "INSERT INTO t(a, b) VALUES(1, 2), (3, 4)", "CREATE INDEX ig ON t(g)"], ["DROP TABLE t"]),
    (["CREATE TABLE t(k TEXT, n INT, v, PRIMARY KEY(k, n)) WITHOUT ROWID", "INSERT INTO t VALUES('a', 1, 1), ('a', 2, x'00'), ('b', 1, 'x')"], ["DROP TABLE t"]),
    (["CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t ON DELETE CASCADE, v NOT NULL)", "INSERT INTO t VALUES(1, NULL, 1), (2, 1, 2), (3, 2, 3)"], ["ALTER TABLE t DROP COLUMN v"]),
    (["CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES p)", "INSERT INTO p VALUES(1), (2)", "INSERT INTO t VALUES(1, 1), (2, 2)"],
     ["DROP TABLE t", "DROP TABLE p"]),
    (["CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2)", "CREATE VIEW v AS SELECT a FROM t"],
     ["DROP VIEW v", "ALTER TABLE t ADD COLUMN c DEFAULT 7", "CREATE VIEW v AS SELECT a, c FROM t"]),
    (["CREATE TABLE t(id INTEGER PRIMARY KEY, body)", "INSERT INTO t VALUES(1, 'first words')", "CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='id')",
      "INSERT INTO f(f) VALUES('rebuild')", "CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END"], ["DROP TABLE f", "DROP TABLE t"]),
    (["CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE NOT NULL CHECK(length(b) > 0), c)", "INSERT INTO t VALUES(1, 'x', 1), (2, 'y', 2)"],
     ["CREATE TABLE n(a INTEGER PRIMARY KEY, c)", "INSERT INTO n SELECT a, c FROM t", "DROP TABLE t", "ALTER TABLE n RENAME TO t"]),
    (["CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES(1, 2)", "CREATE INDEX i ON t(b)", "CREATE TABLE k(x REFERENCES t(a))", "INSERT INTO k VALUES(1)",
      "CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM k; END"], ["ALTER TABLE t RENAME TO other"]),
)


def state(s):
    """Definitions, however names are quoted, and rows."""
    list_of = "SELECT type, name, replace(sql, '\"', '') FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE '\\_sys%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'f\\_%' ESCAPE '\\' ORDER BY 1, 2"
    objects = s.query(list_of).json["data"]["rows"]
    counters = s.query("SELECT * FROM sqlite_sequence WHERE name = 't'").json.get("data", {}).get("rows")
    return objects, counters, {name: sorted(map(str, s.query(f"SELECT * FROM {name}").json["data"]["rows"])) for kind, name, _ in objects if kind == "table"}


def definitions(checks, s):
    for there, done in DEFINITIONS:
        s.batch([f"DROP {kind} IF EXISTS {name}" for kind, name, _ in reversed(state(s)[0]) if kind in ("view", "table")])
        checks.equal("made", s.batch(there).status, 200)
        before = state(s)
        made = s.db("propose", {"statements": [{"sql": sql} for sql in done]}).json["data"]
        applied = s.db("apply", {"executionToken": made["executionToken"]})
        after = state(s)
        checks.equal(f"{done}: applied", applied.status, 200)
        more = {"loseRows": True} if any(c.get("replaced") for c in made["schemaDiff"]) else {}
        if more:
            checks.equal(f"{done}: rows that go are told first", (undo(s, None, f"proposals/{made['proposalId']}/undo")[1]["drift"]["objects"][0]["rows"]), 2)
        back = take_back(checks, s, made, **more)
        checks.equal(f"{done}: as it was", (back["done"].status, state(s)), (200, before))
        again = take_back(checks, s, back, **more)
        checks.equal(f"{done}: and done again", (again["done"].status, state(s)), (200, after))


def exchanges(checks, s):
    """Rows that took each other's unique values, or handed them on."""
    places = lambda: [r[0] for r in s.query("SELECT name FROM board ORDER BY place").json["data"]["rows"]]
    s.query("CREATE TABLE board(name TEXT PRIMARY KEY COLLATE NOCASE, place INTEGER UNIQUE NOT NULL)")
    s.query("INSERT INTO board VALUES('a', 1), ('b', 2), ('c', 3)")
    s.query("CREATE TABLE seat(id INTEGER PRIMARY KEY, name TEXT REFERENCES board ON UPDATE CASCADE ON DELETE CASCADE)")
    s.query("INSERT INTO seat SELECT place, name FROM board")
    for what, sql, then in (
            ("the first two", ["UPDATE board SET place = -place WHERE place < 3", "UPDATE board SET place = 3 + place WHERE place < 0"], ["b", "a", "c"]),
            ("one place on", ["UPDATE board SET place = -place", "UPDATE board SET place = 1 - place"], ["a", "b", "c"]),
            ("names, with those who refer to them", [f"UPDATE board SET name = '{new}' WHERE name = '{old}'" for old, new in ("a-", "ba", "cb", "-C")], ["C", "a", "b"])):
        before = s.query("SELECT * FROM board JOIN seat USING (name) ORDER BY id").json["data"]["rows"]
        made = s.db("propose", {"statements": [{"sql": q} for q in sql]}).json["data"]
        s.secrets.append(made["executionToken"])
        checks.equal(what, (s.db("apply", {"executionToken": made["executionToken"]}).status, places()), (200, then))
        status, back = undo(s, None, f"proposals/{made['proposalId']}/undo")
        checks.equal(f"{what}: taken back", (status, s.db("apply", {"executionToken": back.get("executionToken")}).status), (200, 200)) or print(back)
        checks.equal(f"{what}: as it was", s.query("SELECT * FROM board JOIN seat USING (name) ORDER BY id").json["data"]["rows"], before)


def kept(checks, s):
    p = write(s, "UPDATE stock SET n = n + 1")
    got = s.db("proposals/" + p["proposalId"], method="GET").json["data"]
    until = p["done"].json["meta"]["undoUntil"]
    checks.equal("until when is told at once and later", (got["undoUntil"][:16], p["undoUntil"]), (until[:16], None))
    decided, end = got["decidedAt"], got["undoUntil"]
    checks.that("two days, as the server was told", datetime.fromisoformat(end[:-1]) - datetime.fromisoformat(decided[:-1]) == timedelta(days=2), (decided, end))
    ddl = write(s, "CREATE TABLE IF NOT EXISTS forever(a)")
    checks.that("of the schema too", ddl["done"].json["meta"]["undoUntil"], ddl["done"].json["meta"])


def lists(checks, s):
    named = write(s, "UPDATE stock SET n = 5 WHERE id = 3", agent="tidy-bot")
    token = s.mint("readwrite")
    mine = write(s, "UPDATE stock SET n = 6 WHERE id = 3", token["token"])
    ids = lambda path: [p["proposalId"] for p in s.db(path, method="GET").json["data"]["proposals"]]
    checks.equal("by agent", ids("proposals?agent=tidy-bot"), [named["proposalId"]])
    checks.equal("by bearer", ids(f"proposals?tokenId={token['id']}&status=applied"), [mine["proposalId"]])
    checks.equal("by both", ids(f"proposals?tokenId={token['id']}&agent=tidy-bot"), [])
    checks.equal("of others, for one who sees only his own", s.db(f"proposals?tokenId={named['tokenId']}", method="GET", token=token["token"]).json["data"]["proposals"], [])


def people(checks, s):
    reset(s)
    agent = s.mint("readwrite")
    p = write(s, "UPDATE stock SET n = n + 1", agent["token"])
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    listed = owner.ask("GET", BASE + "proposals?status=applied&tokenId=" + agent["id"]).json["data"]["proposals"]
    checks.equal("a person sees what agents did", [q["proposalId"] for q in listed], [p["proposalId"]])
    checks.equal("its rows", len(owner.ask("GET", BASE + f"proposals/{p['proposalId']}/changes").json["data"]["rows"]), 3)
    checks.equal("one", owner.ask("GET", BASE + "proposals/" + p["proposalId"]).json["data"]["undoOf"], None)
    a = owner.ask("POST", BASE + "undo", {"tokenId": agent["id"]})
    checks.equal("takes it back", a.status, 200) or print(a)
    token = a.json["data"]["executionToken"]
    s.secrets.append(token)
    checks.equal("not another bearer", s.db("apply", {"executionToken": token}).status, 404)
    checks.equal("without the page's own token", owner.ask("POST", BASE + "apply", {"executionToken": token}, csrf=False).status, 403)
    checks.equal("applies it", owner.ask("POST", BASE + "apply", {"executionToken": token}).status, 200)
    checks.equal("as it was", stock(s), "1:10 2:20 3:30")
    rows = s.call("GET", "/api/namespaces/acme/audit?action=proposal.applied").json["data"]
    checks.equal("recorded with the person", (rows[0]["after"]["proposal"], bool(rows[0]["actorUserId"])), (a.json["data"]["proposalId"], True))
    made = owner.ask("POST", BASE + "propose", {"sql": "DELETE FROM stock"}).json["data"]
    s.secrets.append(made["executionToken"])
    checks.equal("and withdraws", owner.ask("POST", BASE + f"proposals/{made['proposalId']}/withdraw").status, 200)
    back = owner.ask("POST", BASE + f"proposals/{a.json['data']['proposalId']}/undo").json["data"]
    s.secrets.append(back["executionToken"])
    checks.equal("undo of the undo", (owner.ask("POST", BASE + "apply", {"executionToken": back["executionToken"]}).status, stock(s)), (200, "1:11 2:21 3:31"))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:  # snapshots that are made by themselves are few in a minute
        checks.part(schemas, checks, s)
        checks.part(definitions, checks, s)
        checks.part(foreseen, checks, s)
    with Server(binary_argument(), args=("--undo-kept", "2d")) as s:
        for part in (bearers, parts, large, spans, exchanges, kept, lists, people):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
