#!/usr/bin/env python3
"""What a branch changed, row by row, and merging it into its parent: conflicts as data, choices, proposals, undo, several merges,
schemas that differ, what it began with under many writes and crashes, and SIGKILL in the middle of merges.
Usage: test_merge.py PATH-OF-HOLDFAST"""
import concurrent.futures
import os
import re
import shutil
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

SCHEMA = ["CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, size INT, tag TEXT UNIQUE)", "CREATE TABLE log(what TEXT)",
          "CREATE TABLE pairs(a INT, b TEXT COLLATE NOCASE, v, PRIMARY KEY(a, b)) WITHOUT ROWID",
          "CREATE TABLE parts(code TEXT PRIMARY KEY, item INT REFERENCES items(id) ON DELETE CASCADE, v)",
          "INSERT INTO items VALUES (1, 'one', 1, 't1'), (2, 'two', 2, 't2'), (3, 'three', 3, 't3'), (4, 'four', 4, 't4')",
          "INSERT INTO log VALUES ('start')", "INSERT INTO pairs VALUES (1, 'x', 1), (2, 'y', 2)", "INSERT INTO parts VALUES ('p', 4, 1)"]


def rows(s, sql, db="main"):
    return s.query(sql, db=db).json["data"]["rows"]


def write(s, db, *statements):
    for sql in statements:
        answer = s.query(sql, db=db)
        assert answer.status == 200, answer


def merge(s, ref, body=None, db="main", **more):
    return s.call("POST", f"/v1/db/acme/{db}/branches/{ref}/merge", {"mode": "data", **(body or {})}, **more)


def diff(s, ref, query="", db="main", **more):
    return s.call("GET", f"/v1/db/acme/{db}/branches/{ref}/diff{query}", **more)


def fresh(s, name, data="full", schema=SCHEMA):
    """A database of its own with a branch `b`: its slug and the branch's."""
    s.call("POST", "/v1/databases", {"slug": name, "name": name})
    write(s, name, *schema)
    assert s.call("PUT", f"/v1/db/acme/{name}/branches/b", {"data": data}).status == 200
    return name, f"{name}-b"


def counts(data):
    return {t["table"]: (t["insert"], t["update"], t["delete"]) for t in data["tables"]}


def differences(checks, s):
    main, b = fresh(s, "differs")
    none = checks.good("nothing yet", diff(s, "b", db=main))
    checks.equal("no rows", (none["tables"], none["rows"], none["truncated"], none["base"]["rows"], none["branchRef"]), ([], [], False, True, "b"))
    write(s, b, "UPDATE items SET name = 'TWO' WHERE id = 2", "INSERT INTO items VALUES (9, 'nine', 9, 't9')", "DELETE FROM pairs WHERE a = 1",
          "INSERT INTO log VALUES ('branch')", "UPDATE items SET size = size WHERE id = 1", "ALTER TABLE log ADD COLUMN at INT DEFAULT 5")
    data = checks.good("a diff", diff(s, "b", db=main))
    checks.equal("its counts", counts(data), {"items": (1, 1, 0), "log": (1, 0, 0), "pairs": (0, 0, 1)})
    checks.equal("a changed row", [r for r in data["rows"] if r["op"] == "update"],
                 [{"table": "items", "op": "update", "indirect": False, "key": {"id": 2}, "before": {"name": "two"}, "after": {"name": "TWO"}}])
    checks.equal("a row that went", [r["before"] for r in data["rows"] if r["op"] == "delete"], [{"a": 1, "b": "x", "v": 1}])
    checks.equal("a new row with its new column", [r["after"] for r in data["rows"] if r["table"] == "log"], [{"what": "branch", "at": 5}])
    checks.equal("the schema", [c["name"] for c in data["schema"]["changed"]], ["log"])
    pages, cursor = [], ""
    for _ in range(9):
        page = checks.good("a page", diff(s, "b", f"?limit=1{cursor}", db=main))
        pages += page["rows"]
        checks.equal("its counts are of all", counts(page), counts(data))
        cursor = f"&cursor={page['nextCursor']}"
        if not page["truncated"]:
            break
    checks.equal("page by page the same", pages, data["rows"])
    checks.equal("one table", counts(checks.good("by table", diff(s, "b", "?table=PAIRS", db=main))), {"pairs": (0, 0, 1)})
    checks.equal("for people, over the other surface", s.call("GET", f"/api/namespaces/acme/databases/{main}/branches/b/diff").json["data"]["rows"], data["rows"])
    write(s, b, "INSERT INTO items VALUES (10, '<b>|x`\u202e', 1, NULL)")
    text = diff(s, "b", "?format=markdown", db=main)
    checks.that("as text", text.status == 200 and text.headers["content-type"].startswith("text/markdown") and b"| items | 2 | 1 | 0 |" in text.data and
                b"changed in items: id 2; was name two; is name TWO" in text.data and b"added to items: id 10; name" in text.data and b"<b>" not in text.data and "\u202e".encode() not in text.data, text.data)
    preview = s.call("GET", f"/v1/db/acme/{main}/branches/b/preview?format=markdown")
    checks.that("the preview's text has a summary", preview.status == 200 and b"| items | 2 | 1 | 0 |" in preview.data, preview.data)
    write(s, b, "ALTER TABLE log ADD COLUMN more")
    preview = s.call("GET", f"/v1/db/acme/{main}/branches/b/preview?format=markdown", token=s.mint("admin", "--claims", '{"a":"b"}')["token"])
    checks.that("where rows are not shown the schema is", preview.status == 200 and b"Schema of branch b\n" in preview.data and b"ADD COLUMN more" in preview.data and
                b"without claims" in preview.data, preview.data)
    for query, pointer in (("?limit=0", "/limit"), ("?limit=1001", "/limit"), ("?limit=x", "/limit"), ("?cursor=-1", "/cursor"), ("?cursor=x", "/cursor"),
                           ("?format=xml", "/format"), ("?table=", "/table"), ("?table=" + "t" * 1001, "/table")):
        checks.refused(query[:20], diff(s, "b", query, db=main), 400, "invalid_request", pointer)
    checks.refused("no such branch", diff(s, "none", db=main), 404, "not_found")
    checks.refused("no ref", diff(s, "-x", db=main), 400, "invalid_request", "/ref")
    checks.refused("a readonly token", diff(s, "b", db=main, token=s.mint("readonly")["token"]), 403, "forbidden")


def without_rows(checks, s):
    main, b = fresh(s, "bare", data="schema")
    write(s, b, "INSERT INTO items VALUES (7, 'seven', 7, 't7')", "INSERT INTO log VALUES ('branch')")
    data = checks.good("a branch that began without rows", diff(s, "b", db=main))
    checks.equal("has added all it has", (counts(data), data["base"]["rows"]), ({"items": (1, 0, 0), "log": (1, 0, 0)}, False))
    checks.equal("and merges it", checks.good("merge", merge(s, "b", db=main))["rows"], 2)
    checks.equal("beside what was there", rows(s, "SELECT count(*) FROM items", main) + rows(s, "SELECT what FROM log", main), [[5], ["start"], ["branch"]])
    checks.equal("once", checks.good("again", merge(s, "b", db=main))["rows"], 0)


def kinds_of_rows(checks, s):
    """A branch with a part of the rows, with masked ones, or with those of a snapshot begins with just them."""
    main, _ = fresh(s, "kinds")
    write(s, main, "INSERT INTO items SELECT 100 + value, 'n' || value, value, NULL FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT value FROM n)")
    checks.good("masks", s.call("PUT", f"/v1/db/acme/{main}/masks", {"masks": [{"table": "items", "column": "name", "kind": "hash"}]}))
    snap = checks.good("a snapshot", s.call("POST", f"/v1/db/acme/{main}/snapshots", {"label": "then"}))["id"]
    write(s, main, "UPDATE items SET size = -1 WHERE id = 101")
    kept = checks.good("another", s.call("POST", f"/v1/db/acme/{main}/snapshots", {"label": "with a log"}))["id"]
    write(s, main, "UPDATE items SET size = -1 WHERE id = 101")
    id = s.control("SELECT id FROM database WHERE slug = ? AND deleted_at IS NULL", (main,))[0][0]
    for name in ("main.db", "main.db-wal"):  # as a restore leaves what it replaces, when its engine had to be killed
        shutil.copy(os.path.join(s.data, "db", id, name), os.path.join(s.data, "snapshots", kept))
    checks.that("a snapshot has a log", os.path.getsize(os.path.join(s.data, "snapshots", kept, "main.db-wal")) > 0, kept)
    for n, (what, body, size) in enumerate((("a sample", {"data": "sample", "sampleRows": 50}, None), ("masked", {"data": "masked"}, 504), ("a masked sample", {"data": "sample", "masked": True, "sampleRows": 50}, None),
                                            ("of a snapshot", {"data": "full", "fromSnapshot": snap}, 504), ("of a snapshot with a log", {"data": "full", "fromSnapshot": kept}, 504),
                                            ("a sample of that", {"data": "sample", "fromSnapshot": kept, "sampleRows": 50}, None), ("masked, of that", {"data": "masked", "fromSnapshot": kept}, 504))):
        checks.good(what, s.call("PUT", f"/v1/db/acme/{main}/branches/b", body))
        there = rows(s, "SELECT count(*) FROM items", f"{main}-b")[0][0]
        checks.that(f"{what}: its rows", there == size or (size is None and 0 < there < 504), there)
        data = checks.good(what, diff(s, "b", db=main))
        checks.equal(f"{what}: nothing is changed yet", (data["tables"], data["rows"], data["notCompared"], data["base"]["rows"]), ([], [], [], True))
        checks.equal(f"{what}: nor is there anything to merge", checks.good(what, merge(s, "b", db=main))["rows"], 0)
        before = rows(s, "SELECT * FROM items ORDER BY id", main)
        id = rows(s, "SELECT max(id) FROM items", f"{main}-b")[0][0]
        write(s, f"{main}-b", f"UPDATE items SET tag = 'tag{n}' WHERE id = {id}")
        checks.equal(f"{what}: one row is", counts(checks.good(what, diff(s, "b", db=main))), {"items": (0, 1, 0)})
        write(s, main, f"UPDATE items SET tag = NULL WHERE id = {id}")
        checks.equal(f"{what}: and is merged", checks.good(what, merge(s, "b", {"resolve": {"default": "theirs"}}, db=main))["rows"], 1)
        checks.equal(f"{what}: and nothing else", rows(s, "SELECT * FROM items ORDER BY id", main), [[*row[:3], f"tag{n}"] if row[0] == id else row for row in before])
    checks.equal("of the snapshot with a log: what its log held", (s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full", "fromSnapshot": kept}).status, rows(s, "SELECT size FROM items WHERE id = 101", f"{main}-b")), (200, [[-1]]))


def merging(checks, s):
    main, b = fresh(s, "merges")
    write(s, b, "UPDATE items SET name = 'TWO' WHERE id = 2", "INSERT INTO items VALUES (9, 'nine', 9, 't9')", "DELETE FROM items WHERE id = 4", "INSERT INTO log VALUES ('branch')")
    write(s, main, "UPDATE items SET size = 22 WHERE id = 2", "INSERT INTO log VALUES ('parent')", "UPDATE pairs SET v = 9 WHERE a = 1")
    shown = checks.good("only shown", merge(s, "b", {"dryRun": True, "reason": "look first", "ticket": "T-1"}, db=main))
    checks.equal("as a proposal", (shown["action"], shown["status"], shown["reason"], shown["ticket"], counts(shown["changes"])),
                 ("merge", "pending", "look first", "T-1", {"items": (1, 1, 1), "log": (1, 0, 0), "parts": (0, 0, 1)}))
    checks.equal("nothing was changed", rows(s, "SELECT name FROM items WHERE id = 2", main), [["two"]])
    done = checks.good("merge", merge(s, "b", db=main))
    checks.equal("what it says", (done["branchRef"], done["mode"], done["rows"], done["applied"]), ("b", "data", 5, []))
    checks.equal("both sides' columns", rows(s, "SELECT * FROM items", main), [[1, "one", 1, "t1"], [2, "TWO", 22, "t2"], [3, "three", 3, "t3"], [9, "nine", 9, "t9"]])
    checks.equal("both sides' rows of a table without a key", rows(s, "SELECT what FROM log ORDER BY 1", main), [["branch"], ["parent"], ["start"]])
    checks.equal("what followed by a foreign key", rows(s, "SELECT count(*) FROM parts", main), [[0]])
    checks.equal("the parent's own", rows(s, "SELECT v FROM pairs", main), [[9], [2]])
    checks.refused("what was shown before drifted", s.call("POST", f"/v1/db/acme/{main}/apply", {"executionToken": shown["executionToken"]}), 409, "drift")
    checks.equal("the branch has nothing left to merge", checks.good("diff", diff(s, "b", db=main))["tables"], [])
    write(s, main, "UPDATE items SET name = 'parent' WHERE id = 2")
    checks.equal("what was merged is no conflict later", checks.good("merge", merge(s, "b", db=main))["rows"], 0)
    write(s, b, "UPDATE items SET name = 'uno' WHERE id = 1")
    second = checks.good("the next change alone", merge(s, "b", db=main))
    checks.equal("its row", (second["rows"], rows(s, "SELECT name FROM items ORDER BY id", main)), (1, [["uno"], ["parent"], ["three"], ["nine"]]))
    undo = checks.good("undo", s.call("POST", f"/v1/db/acme/{main}/proposals/{second['proposalId']}/undo"))
    checks.good("apply it", s.call("POST", f"/v1/db/acme/{main}/apply", {"executionToken": undo["executionToken"]}))
    checks.equal("the row is back", rows(s, "SELECT name FROM items WHERE id = 1", main), [["one"]])
    write(s, b, "UPDATE items SET name = 'later' WHERE id = 3")
    later = checks.good("proposed", merge(s, "b", {"propose": True}, db=main))
    checks.good("and applied", s.call("POST", f"/v1/db/acme/{main}/apply", {"executionToken": later["executionToken"]}))
    checks.equal("its row", rows(s, "SELECT name FROM items WHERE id = 3", main), [["later"]])
    checks.equal("that counts as merged too", checks.good("diff", diff(s, "b", db=main))["tables"], [])
    actions = [e["action"] for e in s.call("GET", "/api/namespaces/acme/audit?limit=100").json["data"]]
    checks.that("the audit log tells", "database.branch_merged" in actions and "proposal.applied" in actions, actions)


def conflicts(checks, s):
    main, b = fresh(s, "conflicts")
    write(s, b, "UPDATE items SET name = 'b1' WHERE id = 1", "UPDATE items SET name = 'b2' WHERE id = 2", "DELETE FROM items WHERE id = 3",
          "INSERT INTO items VALUES (20, 'b20', 20, 'tb')", "UPDATE pairs SET v = 'b' WHERE a = 1", "UPDATE items SET tag = 'same' WHERE id = 4")
    write(s, main, "UPDATE items SET name = 'p1' WHERE id = 1", "DELETE FROM items WHERE id = 2", "UPDATE items SET size = 33 WHERE id = 3",
          "INSERT INTO items VALUES (20, 'p20', 20, 'tp')", "UPDATE pairs SET v = 'p' WHERE a = 1", "INSERT INTO items VALUES (5, 'five', 5, 'same')")
    answer = merge(s, "b", db=main)
    checks.refused("conflicts", answer, 409, "conflict")
    found = {(c["table"], str(c["key"])): c for c in answer.json["conflicts"]}
    checks.equal("all of them", sorted((k[1], c["kind"], c["op"]) for k, c in found.items()),
                 sorted([("{'id': 1}", "differs", "update"), ("{'id': 2}", "missing", "update"), ("{'id': 3}", "differs", "delete"), ("{'id': 20}", "exists", "insert"),
                         ("{'a': 1, 'b': 'x'}", "differs", "update"), ("{'id': 4}", "constraint", "update")]))
    one = found["items", "{'id': 1}"]
    checks.equal("with all three states", (one["base"]["name"], one["ours"]["name"], one["theirs"]["name"]), ("one", "p1", "b1"))
    checks.equal("their number", (answer.json["conflictCount"], answer.json["truncated"]), (6, False))
    checks.equal("nothing was changed", rows(s, "SELECT name FROM items ORDER BY id", main), [["p1"], ["three"], ["four"], ["five"], ["p20"]])
    checks.refused("what no choice settles stays", merge(s, "b", {"resolve": {"default": "theirs"}}, db=main), 409, "conflict")
    checks.refused("one that is left open", merge(s, "b", {"resolve": {"default": "theirs", "tables": {"pairs": "fail"}, "rows": [{"table": "items", "key": {"id": 4}, "choose": "ours"}]}}, db=main), 409, "conflict")
    choice = {"default": "theirs", "tables": {"PAIRS": "ours"}, "rows": [{"table": "items", "key": {"id": 4}, "choose": "ours"}, {"table": "items", "key": {"id": 1}, "choose": "ours"}]}
    done = checks.good("chosen", merge(s, "b", {"resolve": choice}, db=main, headers={"Idempotency-Key": "once"}))
    checks.equal("what was chosen", rows(s, "SELECT id, name, size, tag FROM items ORDER BY id", main),
                 [[1, "p1", 1, "t1"], [2, "b2", 2, "t2"], [4, "four", 4, "t4"], [5, "five", 5, "same"], [20, "b20", 20, "tb"]])
    checks.equal("the table's choice", rows(s, "SELECT v FROM pairs WHERE a = 1", main), [["p"]])
    again = merge(s, "b", {"resolve": choice}, db=main, headers={"Idempotency-Key": "once"})
    checks.that("the same key is the same merge", again.json["data"]["proposalId"] == done["proposalId"] and again.headers.get("idempotency-replayed") == "true", again)
    checks.equal("what was decided is no conflict any more", checks.good("again", merge(s, "b", db=main))["rows"], 0)
    write(s, b, "UPDATE items SET name = 'b1 again' WHERE id = 1")
    checks.refused("but a new change of it is", merge(s, "b", db=main), 409, "conflict")
    for resolve in ({"default": "ours"}, {"tables": {"items": "ours"}}, {"rows": [{"table": "items", "key": {"id": 1}, "choose": "ours"}]}):
        checks.good(f"{resolve} only shown", merge(s, "b", {"resolve": resolve, "dryRun": True}, db=main))


def foreign_keys(checks, s):
    main, b = fresh(s, "foreign", schema=[
        "CREATE TABLE owners(id INTEGER PRIMARY KEY, name TEXT)", "CREATE TABLE plots(x INT, y INT, v, PRIMARY KEY(x, y)) WITHOUT ROWID",
        "CREATE TABLE cars(plate TEXT PRIMARY KEY, owner INT REFERENCES owners) WITHOUT ROWID",
        "CREATE TABLE trees(kind TEXT, px INT, py INT, FOREIGN KEY(px, py) REFERENCES plots(x, y))",
        "CREATE TABLE kept(id INTEGER PRIMARY KEY, owner INT REFERENCES owners(id) ON DELETE RESTRICT)",
        "INSERT INTO owners VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')", "INSERT INTO cars VALUES ('c1', 1), ('c2', 2)", "INSERT INTO plots VALUES (1, 1, 0), (2, 2, 0)"])
    write(s, b, "INSERT INTO cars VALUES ('new', 3), ('fine', 1)", "UPDATE cars SET owner = 3 WHERE plate = 'c2'", "DELETE FROM owners WHERE id IN (4, 5)", "INSERT INTO trees VALUES ('oak', 2, 2)")
    write(s, main, "DELETE FROM owners WHERE id = 3", "INSERT INTO cars VALUES ('mine', 4)", "INSERT INTO kept VALUES (1, 5)", "DELETE FROM plots WHERE x = 2")
    told = checks.refused("keys that break", merge(s, "b", db=main), 409, "conflict")
    seen = {(c["table"], *c["key"].values()): c for c in told["conflicts"]}
    checks.equal("all of them", (told["conflictCount"], sorted(map(str, seen))), (5, sorted(["('cars', 'c2')", "('cars', 'new')", "('owners', 4)", "('owners', 5)", "('trees', 1)"])))
    checks.that("their kind", all(c["kind"] == "foreign_key" for c in told["conflicts"]), told)
    checks.equal("a new row", seen[("cars", "new")], {"table": "cars", "key": {"plate": "new"}, "kind": "foreign_key", "op": "insert", "base": None, "ours": None,
                                                       "theirs": {"plate": "new", "owner": 3}, "missing": {"table": "owners", "key": {"id": 3}}, "referencedBy": {"table": "cars", "columns": ["owner"]}})
    checks.equal("a removed one", {k: seen[("owners", 4)][k] for k in ("op", "ours", "theirs", "missing", "referencedBy")},
                 {"op": "delete", "ours": {"id": 4, "name": "d"}, "theirs": None, "missing": {"table": "owners", "key": {"id": 4}}, "referencedBy": {"table": "cars", "columns": ["owner"]}})
    checks.equal("a key of two columns", seen[("trees", 1)]["missing"], {"table": "plots", "key": {"x": 2, "y": 2}})
    checks.equal("theirs cannot be", checks.refused("theirs", merge(s, "b", {"resolve": {"default": "theirs", "tables": {"owners": "ours"}}}, db=main), 409, "conflict")["conflictCount"], 3)
    checks.equal("nothing was merged", rows(s, "SELECT (SELECT count(*) FROM cars), (SELECT count(*) FROM trees)", main), [[3, 0]])
    made = checks.good("ours", merge(s, "b", {"resolve": {"default": "ours"}}, db=main))
    checks.equal("what nothing was in the way of", (made["rows"], rows(s, "SELECT * FROM cars ORDER BY plate", main)), (1, [["c1", 1], ["c2", 2], ["fine", 1], ["mine", 4]]))
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full"})
    write(s, b, "INSERT INTO cars VALUES ('late', 2)")
    shown = checks.good("only shown", merge(s, "b", {"dryRun": True}, db=main))
    write(s, main, "DELETE FROM cars WHERE owner = 2", "DELETE FROM owners WHERE id = 2")
    late = checks.refused("applied when its key is gone", s.db("apply", {"executionToken": shown["executionToken"]}, db=main), 409, "drift")["drift"]["rows"]
    checks.equal("the row, and what it lacks", [(r["table"], r["kind"], r["key"], r["missing"]) for r in late],
                 [("cars", "foreign_key", {"plate": "late"}, {"table": "owners", "key": {"id": 2}})])
    checks.good("a new owner", s.db("apply", {"executionToken": s.db("propose", {"sql": "INSERT INTO owners VALUES (9, 'x')"}, db=main).json["data"]["executionToken"]}, db=main))
    made = [p for p in s.db("proposals?status=applied", db=main, method="GET").json["data"]["proposals"] if p["action"] == "write"][0]
    write(s, main, "INSERT INTO cars VALUES ('his', 9)")
    back = checks.refused("taken back while a row refers to it", s.db(f"proposals/{made['proposalId']}/undo", {}, db=main), 409, "drift")["drift"]["rows"]
    checks.equal("which", [(r["table"], r["kind"], r["key"], r["referencedBy"]["table"]) for r in back], [("owners", "foreign_key", {"id": 9}, "cars")])
    checks.equal("no key is broken", rows(s, "SELECT count(*) FROM pragma_foreign_key_check", main), [[0]])


def comments(checks, s):
    """Names and values of a branch stay where the comment puts them."""
    main, b = fresh(s, "comments", schema=["CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"])
    bad = "x|y\n| z | 1 |\r\n```\n<img src=x onerror=alert(1)> [a](https://b.example) ![](//b) **c** @all \u202etxt\u200b\x1b[2J \U000e0061 `` # -"
    name = '"' + bad.replace('"', '""') + '"'
    write(s, b, f"CREATE TABLE {name}(id INTEGER PRIMARY KEY, {name} TEXT)", f"CREATE VIEW {name[:-1]}v\" AS SELECT 1 AS {name} -- ``````\n")
    assert s.query(f"INSERT INTO {name} VALUES (1, ?)", [bad * 2], db=b).status == 200
    for what, answer in (("diff", diff(s, "b", "?format=markdown", db=main)), ("preview", s.call("GET", f"/v1/db/acme/{main}/branches/b/preview?format=markdown"))):
        text, fence, inside, outside = answer.data.decode(), None, 0, []
        for line in text.split("\n"):
            run = len(line) - len(line.lstrip("`"))
            if fence is None and run >= 3:
                fence, inside = run, inside + 1
            elif fence is not None and line == "`" * fence:
                fence = None
            elif fence is None:
                outside.append(line)
        plain = re.sub(r"\\[^\w\s]", "", "\n".join(outside))
        checks.equal(f"{what}: a fence for each statement, each closed", (fence, inside), (None, 2))
        checks.that(f"{what}: nothing outside makes markup", not set("<>`[]()*@") & set(plain), plain)
        checks.equal(f"{what}: one row of the table", [line.count("|") for line in plain.split("\n") if line.startswith("|")], [5, 5, 5])
        checks.that(f"{what}: nothing hides", not re.search("[\u200b-\u200f\u202a-\u202e\U000e0000-\U000e007f\x00-\x09\x0b-\x1f\x7f]", text), text)


def bodies(checks, s):
    main, b = fresh(s, "bodies")
    write(s, b, "UPDATE items SET name = 'b1' WHERE id = 1")
    row = {"table": "items", "key": {"id": 1}, "choose": "ours"}
    for body, pointer in (({"mode": "both"}, "/mode"), ({"mode": 1}, "/mode"), ({"mode": ""}, "/mode"), ({"tables": []}, "/tables"), ({"tables": "items"}, "/tables"), ({"tables": [1]}, "/tables/0"),
                          ({"tables": ["items", ""]}, "/tables/1"), ({"tables": ["t" * 1001]}, "/tables/0"), ({"resolve": "ours"}, "/resolve"), ({"resolve": {"default": "mine"}}, "/resolve/default"),
                          ({"resolve": {"default": 1}}, "/resolve/default"), ({"resolve": {"tables": ["items"]}}, "/resolve/tables"), ({"resolve": {"tables": {"items": "both"}}}, "/resolve/tables"),
                          ({"resolve": {"rows": {}}}, "/resolve/rows"), ({"resolve": {"rows": [1]}}, "/resolve/rows/0"), ({"resolve": {"rows": [dict(row, choose="x")]}}, "/resolve/rows/0/choose"),
                          ({"resolve": {"rows": [row, dict(row, key={})]}}, "/resolve/rows/1/key"), ({"resolve": {"rows": [{"table": "items", "key": {"id": 1}}]}}, "/resolve/rows/0/choose"),
                          ({"resolve": {"rows": [dict(row, table=7)]}}, "/resolve/rows/0/table"), ({"resolve": {"other": 1}}, "/resolve/other"), ({"dryRun": "yes"}, "/dryRun"), ({"propose": 1}, "/propose"),
                          ({"ttlSec": 5}, "/ttlSec"), ({"reason": ""}, "/reason"), ({"reason": "r" * 2001}, "/reason"), ({"agent": 1}, "/agent"),
                          ({"mode": "schema", "tables": ["items"]}, "/tables"), ({"mode": "schema", "resolve": {"default": "ours"}}, "/resolve")):
        checks.refused(str(body)[:60], merge(s, "b", body, db=main), 400, "invalid_request", pointer)
    checks.refused("no such branch", merge(s, "none", db=main), 404, "not_found")
    for table in ("no_such", "sqlite_schema", "_sys_proposal", "items; --", "t\u0301"):
        checks.refused(f"a table that is none: {table}", merge(s, "b", {"tables": ["items", table]}, db=main), 404, "not_found", text=f'"{table}"')
        checks.refused(f"its difference: {table}", diff(s, "b", "?table=" + urllib.parse.quote(table), db=main), 404, "not_found", text=f'"{table}"')
    for body, pointer in (({"tables": {"items": "ours", "itms": "ours"}}, "/resolve/tables"), ({"rows": [row, dict(row, table="itms")]}, "/resolve/rows/1/table")):
        checks.refused(f"a choice for no table: {pointer}", merge(s, "b", {"resolve": body}, db=main), 400, "invalid_request", pointer, text='"itms"')
    for query, pointer in (("?limit=0", "/limit"), ("?limit=1001", "/limit"), ("?limit=x", "/limit"), ("?cursor=-1", "/cursor"), ("?table=", "/table"), ("?table=" + "t" * 1001, "/table"), ("?format=html", "/format")):
        checks.refused(f"diff{query[:20]}", diff(s, "b", query, db=main), 400, "invalid_request", pointer)
    checks.refused("too low a role", merge(s, "b", db=main, token=s.mint("readwrite")["token"]), 403, "forbidden")
    key = {"Idempotency-Key": "k" * 300}
    checks.refused("a long key", merge(s, "b", db=main, headers=key), 400, "invalid_request")
    checks.refused("a slip of the pen merges nothing", merge(s, "b", {"dryrun": True}, db=main), 400, "invalid_request", "/dryrun", text="dryRun")
    checks.good("null is as if it were not there", merge(s, "b", {"dryRun": None}, db=main))
    checks.equal("it is merged", rows(s, "SELECT name FROM items WHERE id = 1", main), [["b1"]])
    checks.equal("no change set waits in the parent's or the branch's directory",
                 [f for path, _, files in os.walk(os.path.join(s.data, "db")) for f in files if f.endswith(".set") and "merged" not in path], [])


def schemas(checks, s):
    main, b = fresh(s, "schemas")
    write(s, b, "ALTER TABLE items ADD COLUMN more TEXT DEFAULT 'd'", "UPDATE items SET more = 'm' WHERE id = 1", "CREATE TABLE made(a PRIMARY KEY)", "INSERT INTO made VALUES (1)",
          "DROP TABLE pairs", "DROP TABLE parts", "CREATE TABLE parts(other INTEGER PRIMARY KEY, v)", "INSERT INTO parts VALUES (1, 2)")
    data = checks.good("diff", diff(s, "b", db=main))
    checks.equal("rows by columns of the same name", counts(data), {"items": (0, 1, 0), "made": (1, 0, 0)})
    checks.equal("what cannot be compared is told", sorted((n["table"], "key" in n["reason"]) for n in data["notCompared"]), [("pairs", False), ("parts", True)])
    checks.refused("another key refuses", merge(s, "b", db=main), 409, "conflict", text="\"parts\"")
    answer = merge(s, "b", {"tables": ["items", "made"]}, db=main)
    checks.refused("the schema comes first", answer, 409, "conflict")
    checks.equal("as conflicts of that kind", {c["kind"] for c in answer.json["conflicts"]}, {"schema"})
    write(s, main, "ALTER TABLE items ADD COLUMN more TEXT DEFAULT 'd'", "CREATE TABLE made(a PRIMARY KEY)")
    checks.equal("then the rows", checks.good("merge", merge(s, "b", {"tables": ["ITEMS", "made"]}, db=main))["rows"], 2)
    checks.equal("with the new column", rows(s, "SELECT more FROM items WHERE id < 3 ORDER BY id", main), [["m"], ["d"]])
    main, b = fresh(s, "indexed")
    fts = ["CREATE VIRTUAL TABLE found USING fts5(name, content='items', content_rowid='id')",
           "CREATE TRIGGER items_in AFTER INSERT ON items BEGIN INSERT INTO found(rowid, name) VALUES(new.id, new.name); END",
           "CREATE TRIGGER items_up AFTER UPDATE ON items BEGIN INSERT INTO found(found, rowid, name) VALUES('delete', old.id, old.name); INSERT INTO found(rowid, name) VALUES(new.id, new.name); END",
           "INSERT INTO found(found) VALUES('rebuild')"]
    write(s, main, *fts)
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full"})
    write(s, b, "UPDATE items SET name = 'banana' WHERE id = 2", "INSERT INTO items VALUES (30, 'cherry', 1, NULL)")
    done = checks.good("a table with an index that follows it", merge(s, "b", db=main))
    checks.equal("the index is built anew", rows(s, "SELECT rowid FROM found WHERE found MATCH 'banana OR cherry OR two' ORDER BY 1", main), [[2], [30]])
    back = s.call("POST", f"/v1/db/acme/{main}/proposals/{done['proposalId']}/undo").json["data"]
    s.secrets.append(back["executionToken"])
    checks.equal("taken back", s.call("POST", f"/v1/db/acme/{main}/apply", {"executionToken": back["executionToken"]}).status, 200)
    checks.equal("the index followed", rows(s, "SELECT rowid FROM found WHERE found MATCH 'banana OR cherry OR two' ORDER BY 1", main), [[2]])
    checks.equal("and is whole", s.call("POST", f"/v1/db/acme/{main}/query", {"sql": "INSERT INTO found(found, rank) VALUES('integrity-check', 1)"}).status, 200)


def moved_columns(checks, s):
    """Names alone do not tell a renamed column from a new one: such rows are neither shown nor merged, and the parent's stay."""
    made = ["CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT, w)", "CREATE TABLE o(id INTEGER PRIMARY KEY, n)"] + [f"INSERT INTO a VALUES ({i}, 'v{i}', {i})" for i in (1, 2, 3)]
    for what, statements in (("renamed", ["ALTER TABLE a RENAME v TO vv"]), ("replaced", ["ALTER TABLE a DROP COLUMN v", "ALTER TABLE a ADD COLUMN n"]),
                             ("exchanged", ["ALTER TABLE a RENAME v TO t", "ALTER TABLE a RENAME w TO v", "ALTER TABLE a RENAME t TO w"])):
        main, b = fresh(s, f"moved-{what}", schema=made)
        write(s, b, *statements, "UPDATE a SET w = 'B' WHERE id = 1", "INSERT INTO o VALUES (1, 1)")
        data = checks.good(f"{what}: diff", diff(s, "b", db=main))
        checks.equal(f"{what}: no rows of it", (counts(data), [n["table"] for n in data["notCompared"]]), ({"o": (1, 0, 0)}, ["a"]))
        before = rows(s, "SELECT * FROM a", main)
        checks.refused(f"{what}: no merge, whatever is chosen", merge(s, "b", {"resolve": {"default": "theirs"}}, db=main), 409, "conflict", text="branch anew")
        checks.equal(f"{what}: the parent's rows stay", rows(s, "SELECT * FROM a", main), before)
        checks.equal(f"{what}: other tables can be merged", checks.good("merge", merge(s, "b", {"tables": ["o"]}, db=main))["rows"], 1)
    main, b = fresh(s, "moved-since", schema=made)
    for db in (main, b):
        write(s, db, "ALTER TABLE a ADD COLUMN c")
    write(s, b, "UPDATE a SET c = 'B' WHERE id = 1")
    checks.equal("a new column is no other", checks.good("merge", merge(s, "b", db=main))["rows"], 1)
    checks.equal("and nothing is left", counts(checks.good("diff", diff(s, "b", db=main))), {})
    write(s, b, "ALTER TABLE a RENAME c TO d")
    checks.equal("what was merged under another name is not compared", [n["table"] for n in checks.good("diff", diff(s, "b", db=main))["notCompared"]], ["a"])
    main, b = fresh(s, "moved-less", schema=made)
    write(s, b, "ALTER TABLE a DROP COLUMN v", "UPDATE a SET w = 9 WHERE id = 2")
    checks.equal("a column that went is known by that", counts(checks.good("diff", diff(s, "b", db=main))), {"a": (0, 1, 0)})


def columns(checks, s):
    """Columns with other names, columns that went, and tables that were made anew: what preview shows is what a merge runs, and rows stay."""
    main, b = fresh(s, "columns", schema=[
        "CREATE TABLE a(id INTEGER PRIMARY KEY, v, w INT, z, CHECK (w > 0))", "CREATE TABLE d(a, gone, c)", "CREATE TABLE anew(x, y UNIQUE, z)", "CREATE INDEX by_w ON a(w)",
        "CREATE INDEX by_x ON anew(x)", "CREATE VIEW seen AS SELECT v, y FROM a, anew", "CREATE VIEW beside AS SELECT a FROM d",
        "CREATE TRIGGER noted AFTER INSERT ON anew BEGIN UPDATE d SET c = c + 1; END", "CREATE TABLE child(a REFERENCES a(id))",
        "INSERT INTO a VALUES (1, 'v', 2, 0)", "INSERT INTO d VALUES (1, 2, 3)", "INSERT INTO anew VALUES (1, 'one', 'z'), (2, 'two', 'z'), (3, '3', 'z')", "DELETE FROM anew WHERE x = 2"])
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {})
    write(s, b, "ALTER TABLE a RENAME COLUMN v TO \"v v\"", "ALTER TABLE a RENAME COLUMN w TO weight", "ALTER TABLE d DROP COLUMN gone", "DROP VIEW seen", "DROP TABLE anew",
          "CREATE TABLE anew(x INT CHECK (x > 0), y TEXT, z, n DEFAULT 7)", "CREATE INDEX by_x ON anew(x)", "CREATE TRIGGER noted AFTER INSERT ON anew BEGIN UPDATE d SET c = c + 1; END",
          'CREATE VIEW seen AS SELECT "v v", n FROM a, anew')
    preview = checks.good("preview", s.call("GET", f"/v1/db/acme/{main}/branches/b/preview"))["plan"]
    checks.equal("nothing is left to people", (preview["byHand"], {c["name"]: "remark" in c for c in preview["changed"]}),
                 (0, {"a": True, "d": True, "anew": True, "seen": False, "by_w": False}))
    made = checks.good("merged", merge(s, "b", {"mode": "schema"}, db=main))
    checks.equal("what was shown was done", made["applied"], preview["statements"])
    checks.that("what is lost is kept", made["snapshot"]["id"], made)
    checks.equal("rows have their values, and their ids", [rows(s, f"SELECT {what}", main) for what in ("* FROM a", "* FROM d", "rowid, * FROM anew", "* FROM seen", "* FROM beside")],
                 [[[1, "v", 2, 0]], [[1, 6]], [[1, 1, "one", "z", 7], [3, 3, "3", "z", 7]], [["v", 7], ["v", 7]], [[1]]])
    checks.equal("what rests on them is there", rows(s, "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type IN ('index', 'view', 'trigger') AND name NOT LIKE '%sys%' ORDER BY name)", main),
                 [["beside by_w by_x noted seen"]])
    write(s, b, "ALTER TABLE a DROP COLUMN z", "ALTER TABLE a ADD COLUMN y")
    checks.refused("what may be another column or another name", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict")
    for sql in ("ALTER TABLE a DROP COLUMN z", "ALTER TABLE a ADD COLUMN y"):
        s.call("POST", f"/v1/db/acme/{main}/query", {"sql": sql})
    write(s, b, "ALTER TABLE a RENAME TO renamed")
    checks.refused("what may be another table or another name", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict", text="renamed, or")
    checks.equal("and no row is lost", rows(s, "SELECT count(*) FROM a", main), [[1]])
    s.call("POST", f"/v1/db/acme/{main}/query", {"sql": "ALTER TABLE a RENAME TO renamed"})
    crossed = ["ALTER TABLE anew RENAME x TO t", "ALTER TABLE anew RENAME y TO x", "ALTER TABLE anew RENAME t TO y"]
    write(s, b, *crossed)
    checks.refused("names that were exchanged", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict", text="in another order")
    write(s, main, *crossed)
    write(s, main, "CREATE VIRTUAL TABLE found USING fts5(p)", "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "INSERT INTO counted VALUES (3, 'a'), (100, 'b')",
          "DELETE FROM counted WHERE id = 100")
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {})
    write(s, b, "DROP TABLE counted", "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)")
    checks.good("merged", merge(s, "b", {"mode": "schema"}, db=main))
    write(s, main, "INSERT INTO counted (v) VALUES ('c')")
    checks.equal("it counts on where it stood", rows(s, "SELECT * FROM counted", main), [[3, "a"], [101, "c"]])
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {})
    for n, db in enumerate((b, main)):
        write(s, db, "DROP TABLE found", "CREATE VIRTUAL TABLE found USING fts5(p, q, tokenize = 'porter')")
        if n == 0:
            checks.refused("another definition of an index", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict", text="virtual table")
    checks.equal("and nothing is left to be done", checks.good("preview", s.call("GET", f"/v1/db/acme/{main}/branches/b/preview"))["plan"]["statements"], [])


def referred(checks, s):
    """A removed table takes no row of a table along that stays."""
    main, b = fresh(s, "referred", schema=["CREATE TABLE q(id INTEGER PRIMARY KEY)", "CREATE TABLE d(pid REFERENCES q(id) ON DELETE CASCADE, note)", "CREATE TABLE a(id INTEGER PRIMARY KEY)",
                                           "INSERT INTO q VALUES (1)", "INSERT INTO d VALUES (1, 'kept')", "INSERT INTO a VALUES (1)"])
    write(s, b, "DROP TABLE d", "DROP TABLE q", "CREATE TABLE d(pid, note)")
    checks.refused("one that the branch keeps", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict", text="other tables of the parent refer to it")
    checks.equal("its row is there", rows(s, "SELECT * FROM d", main), [[1, "kept"]])
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {})
    write(s, main, "CREATE TABLE kid(a REFERENCES a(id) ON DELETE CASCADE)", "INSERT INTO kid VALUES (1)")
    write(s, b, "DROP TABLE a")
    checks.refused("one that the parent made since", merge(s, "b", {"mode": "schema"}, db=main), 409, "conflict", text="other tables of the parent refer to it")
    checks.equal("its row is there too", rows(s, "SELECT * FROM kid", main), [[1]])
    s.call("POST", f"/v1/db/acme/{main}/query", {"sql": "DROP TABLE kid"})
    checks.equal("without it there is a way", checks.good("merged", merge(s, "b", {"mode": "schema"}, db=main))["applied"], ['DROP TABLE "a"'])


def rules(checks, s):
    main, b = fresh(s, "ruled")
    write(s, b, "UPDATE items SET name = 'b1' WHERE id = 1")
    rule = s.call("POST", f"/v1/db/acme/{main}/approval-rules", {"tableGlob": "items", "action": "deny"})
    checks.equal("a rule", rule.status in (200, 201), True)
    answer = merge(s, "b", db=main)
    checks.that("holds for a merge", answer.status == 403 and answer.json["code"] == "denied_by_rule", answer)
    checks.equal("nothing was changed", rows(s, "SELECT name FROM items WHERE id = 1", main), [["one"]])
    checks.equal("and the branch still has it", counts(checks.good("diff", diff(s, "b", db=main))), {"items": (0, 1, 0)})


def destructive(checks, s):
    main, b = fresh(s, "destroys", data="schema")
    write(s, b, "DROP TABLE log")
    done = checks.good("a schema that loses a table", s.call("POST", f"/v1/db/acme/{main}/branches/b/merge", {"mode": "schema"}))
    checks.equal("is merged", done["applied"], ['DROP TABLE "log"'])
    checks.that("after a snapshot", done.get("snapshot", {}).get("id", "").startswith("snap_"), done)
    made = ["CREATE TABLE a(id INTEGER PRIMARY KEY, v UNIQUE)", "INSERT INTO a VALUES (1, 'a'), (2, 'b'), (3, 'c')", "CREATE TABLE k(id INTEGER PRIMARY KEY, a REFERENCES a ON DELETE CASCADE)"]
    for what, statement, kept in (("all rows", "DELETE FROM a", True), ("overwrites all", "UPDATE a SET v = v || 'x'", True), ("some rows", "DELETE FROM a WHERE id < 3", False),
                                  ("exchanges some", "UPDATE a SET v = 't' WHERE id = 1; UPDATE a SET v = 'a' WHERE id = 2; UPDATE a SET v = 'b' WHERE id = 1", False), ("new rows", "INSERT INTO k VALUES (1, 1), (2, 2)", False)):
        other, twig = fresh(s, "destroys-" + what.replace(" ", "-"), schema=made)
        write(s, twig, *statement.split("; "))
        seen = merge(s, "b", {"dryRun": True}, db=other)
        done = merge(s, "b", db=other)
        checks.equal(f"{what}: a snapshot before they are merged, and none before they are shown", (seen.status, "snapshot" in seen.json["meta"], done.status, "snapshot" in done.json["meta"]), (200, False, 200, kept))
        checks.that(f"{what}: until when it can be taken back", (done.json["meta"]["undoUntil"] or "") > time.strftime("%Y-%m-%dT%H:%M", time.gmtime()), done.json["meta"])
        checks.equal(f"{what}: listed", len(s.call("GET", f"/v1/db/acme/{other}/snapshots").json["data"]), int(kept))
        checks.equal(f"{what}: merged", rows(s, "SELECT * FROM a", other), rows(s, "SELECT * FROM a", twig))
    write(s, b, "CREATE TABLE more(a)")
    shown = checks.good("a schema only shown", s.call("POST", f"/v1/db/acme/{main}/branches/b/merge", {"mode": "schema", "propose": True, "reason": "look"}))
    checks.equal("is a proposal", (shown["action"], shown["reason"], rows(s, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'", main)), ("schema", "look", [[0]]))
    checks.good("and applied", s.call("POST", f"/v1/db/acme/{main}/apply", {"executionToken": shown["executionToken"]}))
    checks.equal("makes it", rows(s, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'", main), [[1]])


def approvals(checks, s):
    """A merge that a rule holds: approved by a person it is done, once, and counts as merged; drifted it is not."""
    main, b = fresh(s, "held")
    write(s, b, "UPDATE items SET name = 'b1' WHERE id = 1")
    rule = s.call("POST", f"/v1/db/acme/{main}/approval-rules", {"tableGlob": "items", "action": "require_approval"})
    checks.equal("a rule", rule.status, 200)
    held = merge(s, "b", {"reason": "please"}, db=main, headers={"Idempotency-Key": "held"})
    checks.that("a merge is held", held.status == 403 and held.json["code"] == "approval_required" and held.json["approvalToken"].startswith("appr_"), held)
    same = merge(s, "b", {"reason": "please"}, db=main, headers={"Idempotency-Key": "held"})
    checks.equal("the same request is the same approval", same.json.get("approvalToken"), held.json["approvalToken"])
    checks.equal("nothing was changed", rows(s, "SELECT name FROM items WHERE id = 1", main), [["one"]])
    checks.equal("nor merged", counts(checks.good("diff", diff(s, "b", db=main))), {"items": (0, 1, 0)})
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    owner.session()
    decided = owner.ask("POST", f"/api/approvals/{held.json['approvalToken']}/decision", {"decision": "approve"})
    checks.equal("approved", decided.status, 200)
    redeem = lambda: s.call("POST", f"/v1/db/acme/{main}/redeem_approval", {"approvalToken": held.json["approvalToken"]})
    checks.good("redeemed", redeem())
    checks.equal("once", redeem().status, 404)
    checks.equal("it is done", rows(s, "SELECT name FROM items WHERE id = 1", main), [["b1"]])
    checks.equal("and counts as merged", checks.good("diff", diff(s, "b", db=main))["tables"], [])
    write(s, b, "UPDATE items SET name = 'b2' WHERE id = 2")
    held = merge(s, "b", db=main)
    s.call("DELETE", f"/v1/db/acme/{main}/approval-rules/{rule.json['data']['id']}")
    write(s, main, "UPDATE items SET name = 'p2' WHERE id = 2")
    owner.ask("POST", f"/api/approvals/{held.json['approvalToken']}/decision", {"decision": "approve"})
    checks.refused("what is no longer as it was shown", redeem(), 409, "drift")
    checks.equal("is left alone", rows(s, "SELECT name FROM items WHERE id = 2", main), [["p2"]])
    checks.equal("and still to be merged", counts(checks.good("diff", diff(s, "b", db=main))), {"items": (0, 1, 0)})


def what_it_began_with(checks, s):
    """The base outlives many writes, ends of the engine, SIGKILL of everything and a reset."""
    main, b = fresh(s, "began")
    write(s, main, "CREATE TABLE wide(id INTEGER PRIMARY KEY, t)", "INSERT INTO wide WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4000) SELECT x, hex(randomblob(400)) FROM c")
    id = s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full"}).json["data"]["id"]
    folder = os.path.join(s.data, "db", id)
    for n in range(14):  # each of them writes all pages: the log passes what makes the base a file of its own
        write(s, b, f"UPDATE wide SET t = hex(randomblob(400)) WHERE id > 10")
        if n % 5 == 3:
            s.kill()
            s.start()
        if n in (0, 6, 13):
            data = checks.good(f"after {n}", diff(s, "b", "?limit=1", db=main))
            checks.equal(f"after {n} writes: the same rows", counts(data), {"wide": (0, 3990, 0)})
    checks.that("the base is a file of its own by now", os.path.exists(os.path.join(folder, "base.kept")), os.listdir(folder))
    write(s, b, "DELETE FROM wide WHERE id > 10", "INSERT INTO wide SELECT id, t FROM (SELECT 11 AS id, 'x' AS t)")
    checks.equal("still", counts(checks.good("diff", diff(s, "b", "?limit=1", db=main))), {"wide": (0, 1, 3989)})
    s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full"})
    checks.equal("made anew it begins anew", (checks.good("diff", diff(s, "b", db=main))["tables"], os.path.exists(os.path.join(folder, "base.kept"))), ([], False))
    os.unlink(os.path.join(folder, "base"))
    checks.refused("who does not know what it began with says so", diff(s, "b", db=main), 409, "conflict", text="Make the branch anew")


def restored(checks, s):
    """A branch that goes back to a snapshot of its own still began where it began; one from before it was made anew does not tell."""
    for n, big in enumerate((False, True)):
        main, b = fresh(s, f"restored-{n}")
        at = f"/v1/db/acme/{b}"
        folder = os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = ? AND deleted_at IS NULL", (b,))[0][0])
        write(s, b, "UPDATE items SET name = 'uno' WHERE id = 1")
        checks.equal("a merge", checks.good("merge", merge(s, "b", db=main))["rows"], 1)
        write(s, b, "UPDATE items SET name = 'TWO' WHERE id = 2")
        snap = checks.good("snapshot", s.call("POST", at + "/snapshots", {"label": "then"}))["id"]
        write(s, b, "UPDATE items SET name = 'THREE' WHERE id = 3")
        if big:
            write(s, b, "CREATE TABLE wide(t)")
            for _ in range(40):
                write(s, b, "INSERT INTO wide WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT randomblob(1000) FROM c", "DELETE FROM wide")
                if os.path.exists(os.path.join(folder, "base.kept")):
                    break
        checks.equal("the base is a file of its own", os.path.exists(os.path.join(folder, "base.kept")), big)
        later = checks.good("restore", s.call("POST", at + "/restore", {"snapshotId": snap}))["replaced"]["id"]
        data = checks.good("diff of what is restored", diff(s, "b", db=main))
        checks.equal("what it changed until then, but for what was merged", (data["base"]["rows"], [(r["key"], r["before"], r["after"]) for r in data["rows"]]), (True, [({"id": 2}, {"name": "two"}, {"name": "TWO"})]))
        s.kill()
        s.start()
        write(s, b, "UPDATE items SET name = 'one' WHERE id = 1")
        write(s, main, "UPDATE items SET size = 7 WHERE id = 3")
        checks.equal("is merged", checks.good("merge", merge(s, "b", db=main))["rows"], 2)
        checks.equal("and nothing else", rows(s, "SELECT id, name, size FROM items", main), [[1, "one", 1], [2, "TWO", 2], [3, "three", 7], [4, "four", 4]])
        checks.equal("then it is all", checks.good("diff", diff(s, "b", db=main))["tables"], [])
        checks.good("forth again", s.call("POST", at + "/restore", {"snapshotId": later}))
        checks.equal("what the restore brought", [(r["key"], r["after"]) for r in checks.good("diff", diff(s, "b", "?table=items", db=main))["rows"]], [({"id": 1}, {"name": "uno"}), ({"id": 3}, {"name": "THREE"})])
        s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "full"})
        made_anew = checks.good("snapshot", s.call("POST", at + "/snapshots", {"label": "anew"}))["id"]
        checks.good("restore that", s.call("POST", at + "/restore", {"snapshotId": made_anew}))
        checks.equal("what was merged of the branch before does not count", checks.good("diff", diff(s, "b", db=main))["tables"], [])
        checks.good("back behind its making", s.call("POST", at + "/restore", {"snapshotId": snap}))
        checks.refused("began with something else", diff(s, "b", db=main), 409, "conflict", text="Make the branch anew")
        checks.refused("nor is it merged", merge(s, "b", db=main), 409, "conflict", text="Make the branch anew")
        s.call("PUT", f"/v1/db/acme/{main}/branches/b", {"data": "schema"})
        bare = checks.good("snapshot", s.call("POST", at + "/snapshots", {"label": "bare"}))["id"]
        write(s, b, "INSERT INTO log VALUES ('lost')")
        checks.good("restore one without rows", s.call("POST", at + "/restore", {"snapshotId": bare}))
        write(s, b, "INSERT INTO log VALUES ('new')")
        data = checks.good("diff", diff(s, "b", db=main))
        checks.equal("it added what it has", (data["base"]["rows"], [r["after"] for r in data["rows"]]), (False, [{"what": "new"}]))


def crashes(checks, s):
    """SIGKILL in the middle of merges: each change is in the parent once or not at all, and the next merge brings the rest."""
    for n in range(8):
        main, b = fresh(s, f"killed{n}")  # one branch takes 200 merges
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            def work():
                done = 0
                for i in range(200):
                    try:
                        if s.query("INSERT INTO log VALUES ('b')", db=b).status == 200:
                            done += 1
                        merge(s, "b", db=main)
                    except Exception:  # the connection broke, perhaps within an answer
                        return done
                return done
            job = pool.submit(work)
            time.sleep(0.1 + 0.07 * n)
            s.kill()
            written = job.result()
        s.start()
        answer = merge(s, "b", db=main)
        checks.good(f"{n}: the merge after", answer)
        mine, theirs = rows(s, "SELECT count(*) FROM log WHERE what = 'b'", main)[0][0], rows(s, "SELECT count(*) FROM log WHERE what = 'b'", b)[0][0]
        checks.that(f"{n}: every row once", mine == theirs and theirs >= written, (mine, theirs, written))
        checks.equal(f"{n}: nothing is left to merge", checks.good("diff", diff(s, "b", db=main))["tables"], [])
    checks.equal("the audit log holds", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (differences, without_rows, kinds_of_rows, merging, conflicts, foreign_keys, comments, bodies, schemas, moved_columns, columns, referred, rules, approvals, destructive, what_it_began_with, restored, crashes):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
