#!/usr/bin/env python3
"""Database files from strangers: bytes flipped in header, freelist, b-trees, schema and FTS5's own tables, files cut short, views and
triggers that name what is reserved. Each upload is imported or refused with a reason, soon, and the server never minds.
Usage: test_uploads.py PATH-OF-HOLDFAST"""
import os
import sqlite3
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from content import content, opened
from holdfast import Checks, Server, binary_argument

PAGE = 1024
KIND = {"Content-Type": "application/vnd.sqlite3"}


def database(path, *scripts, page=PAGE):
    h = sqlite3.connect(path)
    h.execute(f"PRAGMA page_size = {page}")
    for script in scripts:
        h.executescript(script)
    h.commit()
    h.close()
    with open(path, "rb") as f:
        return f.read()


def ordinary(path):
    return database(path, """
CREATE TABLE people(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, age INT CHECK(age < 200), up AS (upper(name)));
CREATE INDEX people_name ON people(name COLLATE NOCASE) WHERE age > 3;
CREATE TABLE pairs(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID;
CREATE VIEW old AS SELECT * FROM people WHERE age > 60;
CREATE TRIGGER tidy AFTER DELETE ON people BEGIN DELETE FROM pairs WHERE a = OLD.id; END;
CREATE VIRTUAL TABLE notes USING fts5(body, tokenize='porter');
CREATE TABLE gone(x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO people(name, age) SELECT 'name ' || i || hex(zeroblob(i % 40)), i % 100 FROM n;
INSERT INTO pairs SELECT id, name FROM people;
INSERT INTO people(name, age) VALUES(hex(zeroblob(3000)), 5);
INSERT INTO notes SELECT name || ' runs over the hills ' || id FROM people;
INSERT INTO gone SELECT name FROM people; DROP TABLE gone; ANALYZE;""")


def flip(random, data, begin, end, times):
    out = bytearray(data)
    for _ in range(times):
        at = random.randrange(begin, min(end, len(out)))
        out[at] = random.choice((0, 1, 0x7f, 0x80, 0xff, out[at] ^ 1 << random.randrange(8), random.randrange(256)))
    return bytes(out)


def pages_of(path, name):
    with sqlite3.connect(path) as h:
        return h.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]


def mutations(random, good, path):
    """Pairs of a name and a file."""
    pages = len(good) // PAGE
    for i in range(60):
        yield "header", flip(random, good, 16, 100, random.randrange(1, 4))
    for at in (18, 19, 20, 21, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 92, 96):  # each field of the header to its extremes
        for value in (0, 1, 0xffffffff):
            out = bytearray(good)
            out[at:at + 4] = struct.pack(">I", value)
            yield f"header field {at}", bytes(out)
    for i in range(30):
        yield "schema page", flip(random, good, 100, PAGE, random.randrange(1, 5))
    at = good.find(b"CREATE TABLE people")
    for i in range(20):
        yield "schema text", flip(random, good, at, at + 200, random.randrange(1, 4))
    trunk = struct.unpack(">I", good[32:36])[0]
    for i in range(20):
        yield "freelist", flip(random, good, (trunk - 1) * PAGE, (trunk - 1) * PAGE + 40, 3)
    for i in range(60):
        page = random.randrange(1, pages)
        yield "b-tree header", flip(random, good, page * PAGE, page * PAGE + 16, random.randrange(1, 4))
    for i in range(60):
        page = random.randrange(1, pages)
        yield "b-tree", flip(random, good, page * PAGE, (page + 1) * PAGE, random.randrange(1, 40))
    for name in ("notes_data", "notes_idx", "notes_content", "notes_docsize", "notes_config"):
        page = pages_of(path, name)
        for i in range(6):
            yield f"FTS5 {name}", flip(random, good, (page - 1) * PAGE, page * PAGE, random.randrange(1, 20))
    for i in range(20):
        yield "pages swapped", swap(random, good, pages)
    for i in range(30):
        yield "cut", good[:random.randrange(0, len(good))]
    for size in (0, 1, 15, 16, 99, 100, 511, 512, PAGE - 1, PAGE, PAGE + 1, len(good) - 1, len(good) - PAGE):
        yield f"cut at {size}", good[:size]
    yield "doubled", good + good
    yield "zeros after the header", good[:100] + bytes(len(good) - 100)


def swap(random, good, pages):
    a, b = random.randrange(1, pages), random.randrange(1, pages)
    out = bytearray(good)
    out[a * PAGE:(a + 1) * PAGE], out[b * PAGE:(b + 1) * PAGE] = good[b * PAGE:(b + 1) * PAGE], good[a * PAGE:(a + 1) * PAGE]
    return bytes(out)


def rewritten(path, make, change):
    """A schema that SQLite itself would not let anybody write."""
    data = database(path, make)
    h = sqlite3.connect(path)
    h.execute("PRAGMA writable_schema = ON")
    for sql in change:
        h.execute(sql)
    h.commit()
    h.close()
    with open(path, "rb") as f:
        return f.read() or data


# What a file declares of its rows and its rows break: (made so, declared so, what the refusal names, its kind).
BROKEN = {
    "a CHECK": ("CREATE TABLE t(a CHECK(a < 100)); INSERT INTO t VALUES(5), (50);", "CREATE TABLE t(a CHECK(a < 10))", ("CHECK", "t"), "check_violation"),
    "a named CHECK of the table": ("CREATE TABLE t(a, b); INSERT INTO t VALUES(5, 1);", "CREATE TABLE t(a, b, CONSTRAINT ordered CHECK(a < b))", ("CHECK", "t"), "check_violation"),
    "NOT NULL": ("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, NULL);", "CREATE TABLE t(a, b NOT NULL)", ("NULL", "t.b"), "not_null_violation"),
    "NOT NULL of a computed column": ("CREATE TABLE t(a, b AS (a)); INSERT INTO t(a) VALUES(NULL);", "CREATE TABLE t(a, b AS (a) NOT NULL)", ("NULL", "t.b"), "not_null_violation"),
    "STRICT": ("CREATE TABLE t(a INTEGER); INSERT INTO t VALUES('x');", "CREATE TABLE t(a INTEGER) STRICT", ("INTEGER", "t.a"), "type_mismatch"),
    "a STRICT blob": ("CREATE TABLE t(a TEXT); INSERT INTO t VALUES(X'00');", "CREATE TABLE t(a TEXT) STRICT", ("TEXT", "t.a"), "type_mismatch"),
    "a foreign key": ("CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE t(a); INSERT INTO t VALUES(9);", "CREATE TABLE t(a REFERENCES p)", ("foreign key", '"t"'), "fk_violation"),
    "text that is a number": ("CREATE TABLE t(a); INSERT INTO t VALUES(5);", "CREATE TABLE t(a TEXT)", ("NUMERIC value", "t.a"), "type_mismatch"),
}


def broken(checks, uploads):
    """Rows that break what their own table says are refused by name, whatever wrote them."""
    for what, (make, declare, names, kind) in BROKEN.items():
        path = os.path.join(uploads.s.dir, f"broken-{what.replace(' ', '-')}.sqlite")
        change = f"UPDATE sqlite_schema SET sql = '{declare}' WHERE name = 't'"
        uploads.one(f"{what}, broken", rewritten(path, make, [change]))
        error = uploads.answer.json.get("error", "")
        checks.that(f"{what}, broken: refused, naming {names}", uploads.answer.status == 400 and all(n in error for n in names), error)
        checks.equal(f"{what}, broken: the kind", uploads.answer.json.get("errorDetail", {}).get("kind"), kind)
        uploads.one(f"{what}, kept", rewritten(path + "2", make.split("INSERT")[0], [change]))
        checks.equal(f"{what}, kept: taken", uploads.answer.status, 200)


KINDS = {"UTF-16": "PRAGMA encoding = 'UTF-16'", "small pages": "PRAGMA page_size = 512", "the largest pages": "PRAGMA page_size = 65536", "auto_vacuum": "PRAGMA auto_vacuum = FULL",
         "the old format": "PRAGMA legacy_file_format = ON", "a log beside it": "PRAGMA journal_mode = WAL"}


def kinds(checks, uploads):
    """Every kind of file that SQLite writes is the same content."""
    for what, pragma in KINDS.items():
        path = os.path.join(uploads.s.dir, what.replace(" ", "-") + ".sqlite")
        data = database(path, pragma + """; CREATE TABLE t(a TEXT, b); INSERT INTO t VALUES('\u00fcn\u00ef \U0001f600', 1), ('', NULL), ('x', X'00ff'), (CAST(X'610062' AS TEXT), 2.5);
PRAGMA user_version = 3; CREATE TABLE k(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO k VALUES(9, 'l'); DELETE FROM k;""", page=1024)
        wanted = content(opened(uploads.s, data, "kind"))
        uploads.one(what, data, keep=True)
        checks.equal(f"{what}: taken", uploads.answer.status, 200)
        seen = content(opened(uploads.s, uploads.s.db("export?format=sqlite", method="GET", db=uploads.target).data, "imported"))
        for part in ("t", "k", "user_version"):
            checks.equal(f"{what}: {part}", seen.get(part), wanted[part])
        checks.that(f"{what}: the counter", (b"k", 9) in seen["sequence"], seen["sequence"])
        uploads.next()


HOLES = 80


def holes(checks, uploads):
    """Bytes that are gone: what is taken all the same is what any SQLite reads in that file, which has no checksum of its own."""
    path = os.path.join(uploads.s.dir, "whole.sqlite")
    good = database(path, """
CREATE TABLE a(id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INT CHECK(n >= 0)); CREATE INDEX a_name ON a(name);
CREATE TABLE b(x, y BLOB); CREATE TABLE c(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE gone(x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO a SELECT i, 'name ' || i || hex(zeroblob(i % 30)), i FROM n;
INSERT INTO b SELECT name, zeroblob(id * 7) FROM a; INSERT INTO c SELECT name, id FROM a; INSERT INTO gone SELECT hex(zeroblob(500)) FROM a;
DROP TABLE gone; DELETE FROM a WHERE id % 3 = 0;""")
    random, taken, different = checks.random, 0, 0
    with sqlite3.connect(path) as h:
        whole = content(h)
    for i in range(HOLES):
        size = random.choice((1, 8, 50, 200, 200, PAGE))
        at = random.randrange(100, len(good) - size)
        data = good[:at] + random.choice((b"\0", b"\xff", b"A")) * size + good[at + size:]
        uploads.one(f"a hole of {size} bytes at {at}", data, keep=True)
        if uploads.answer.status != 200:
            continue
        theirs = opened(uploads.s, data, "hole")
        wanted, imported = content(theirs), opened(uploads.s, uploads.s.db("export?format=sqlite", method="GET", db=uploads.target).data, "imported")
        seen = content(imported)
        for part in ("a", "b", "c", "sequence", "integrity"):
            checks.equal(f"a hole of {size} bytes at {at}: {part} is what the file says", seen.get(part), wanted.get(part))
        taken += 1
        different += any(wanted.get(t) != whole.get(t) for t in "abc")
        theirs.close()
        imported.close()
        uploads.next()
    print(f"{taken} of {HOLES} holes taken, {different} of them with other values, which SQLite cannot know")
    checks.that("some holes were in unused space", taken > different, (taken, different))


FOREIGN = {
    "a view of a reserved table": ("CREATE VIEW v AS SELECT * FROM _sys_applied;", ()),
    "a view of the schema": ("CREATE VIEW v AS SELECT sql FROM sqlite_schema;", ()),
    "a trigger that empties a reserved table": ("CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _sys_applied; END;", ()),
    "a trigger on a reserved name": ("CREATE TABLE t(a); CREATE TRIGGER _sys_x AFTER INSERT ON t BEGIN SELECT 1; END;", ()),
    "a reserved table": ("CREATE TABLE _sys_query_log(a);", ()),
    "a table of another module": ("CREATE VIRTUAL TABLE r USING rtree(id, a, b);", ()),
    "a module that does not exist": ("CREATE TABLE t(a);", ("INSERT INTO sqlite_schema VALUES('table','m','m',0,'CREATE VIRTUAL TABLE m USING nothing(x)')",)),
    "a dangerous function": ("CREATE TABLE t(a); INSERT INTO t VALUES(1);",
                             ("INSERT INTO sqlite_schema VALUES('view','v','v',0,'CREATE VIEW v AS SELECT load_extension(''x''), readfile(''/etc/passwd'')')",)),
    "a generated column that never ends": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, b AS (printf(''%.*c'', 1000000000, a)))'",)),
    "a check that is huge": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a CHECK(a IN (' || substr(hex(zeroblob(60000)), 1, 0) || replace(hex(zeroblob(40000)), '0', '1,') || '1)))'",)),
    "two tables on one page": ("CREATE TABLE t(a); CREATE TABLE u(b); INSERT INTO t VALUES(1);", ("UPDATE sqlite_schema SET rootpage = 2",)),
    "a root page far away": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET rootpage = 2000000000",)),
    "a root page of nought": ("CREATE TABLE t(a); INSERT INTO t VALUES(1);", ("UPDATE sqlite_schema SET rootpage = 0",)),
    "a name that is no text": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET name = x'00ff00', tbl_name = x'00ff00'",)),
    "a schema that is no SQL": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET sql = 'DROP TABLE t'",)),
    "more after the SQL": ("CREATE TABLE t(a);", ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a); ATTACH ''/tmp/x'' AS y'",)),
    "an index of another table's page": ("CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES(1);", ("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'i'",)),
    "FTS5 over a foreign table": ("CREATE TABLE c(body); INSERT INTO c VALUES('x'); CREATE VIRTUAL TABLE f USING fts5(body, content='c');",
                                  ("UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f USING fts5(body, content=''_sys_applied'')' WHERE name = 'f'",)),
    "views in a ring": ("CREATE TABLE t(a);", ("INSERT INTO sqlite_schema VALUES('view','v','v',0,'CREATE VIEW v AS SELECT * FROM w')",
                                               "INSERT INTO sqlite_schema VALUES('view','w','w',0,'CREATE VIEW w AS SELECT * FROM v')")),
}


class Uploads:
    def __init__(self, checks, server):
        self.checks, self.s = checks, server
        self.accepted = self.refused = 0
        self.slowest, self.target, self.number = (0, ""), None, 0
        self.next()

    def next(self):
        """A fresh database, because what was imported may be anything."""
        if self.target:
            self.s.call("DELETE", f"/v1/databases/{self.target}")
        self.number += 1
        self.target = f"u{self.number}"
        self.s.call("POST", "/v1/databases", {"slug": self.target})
        self.s.query("CREATE TABLE mine(a)", db=self.target)

    def one(self, what, data, keep=False):
        """Uploads; what was taken stays for a look when `keep` is set."""
        began = time.monotonic()
        answer = self.answer = self.s.db("import", data, db=self.target, headers=KIND)
        self.slowest = max(self.slowest, (time.monotonic() - began, what))
        good = answer.status == 200 and answer.json["success"]
        bad = 400 <= answer.status < 500 and answer.status not in (401, 404, 429) and answer.json["success"] is False and len(answer.json["error"]) > 20
        self.accepted += good
        self.refused += bad
        if not self.checks.that(f"{what}: imported, or refused with a reason", good or bad, answer):
            with open(os.path.join(tempfile.gettempdir(), f"upload-{self.checks.seed}-{self.checks.failed}.sqlite"), "wb") as f:
                f.write(data)
        if good:
            self.checks.equal(f"{what}: what was imported can be read", self.s.call("GET", f"/v1/db/acme/{self.target}/export?format=sql").status, 200)
            if not keep:
                self.next()
        else:
            tables = self.s.query("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_sys%' ESCAPE '\\' AND name NOT LIKE 'sqlite_%'", db=self.target)
            self.checks.equal(f"{what}: nothing of it stays", tables.json.get("data", {}).get("rows"), [["mine"]])


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        s.query("CREATE TABLE bystander(a)")
        uploads, path = Uploads(checks, s), os.path.join(s.dir, "good.sqlite")
        good = ordinary(path)
        uploads.one("the file as it is", good)
        checks.equal("which is accepted", uploads.accepted, 1)
        for what, data in mutations(checks.random, good, path):
            uploads.one(what, data)
        for what, (make, change) in FOREIGN.items():
            uploads.one(what, rewritten(os.path.join(s.dir, what.replace(" ", "-").replace("'", "") + ".sqlite"), make, change))
        checks.part(broken, checks, uploads)
        checks.part(kinds, checks, uploads)
        checks.part(holes, checks, uploads)
        checks.that("both happened", uploads.accepted > 5 and uploads.refused > 100, (uploads.accepted, uploads.refused))
        checks.that("none took long", uploads.slowest[0] < 10, uploads.slowest)
        checks.equal("the server is as before", s.query("INSERT INTO bystander VALUES(1)").status, 200)
        left = [os.path.join(base, f) for base, _, files in os.walk(s.data) for f in files if f.startswith("upload") or f == "dump.sql" or "/in" in base]
        checks.equal("no upload is left on disk", left, [])
        checks.equal("ends with status 0", s.stop(), 0)
        print(f"{uploads.accepted} accepted, {uploads.refused} refused, the slowest {uploads.slowest}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
