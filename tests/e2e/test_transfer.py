#!/usr/bin/env python3
"""Import and export: every format there and back, all or nothing, hostile files, slow and vanished clients, nothing left on disk.
Usage: test_transfer.py PATH-OF-HOLDFAST"""
import csv
import http.client
import io
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

TYPES = {"sql": "application/sql", "sqlite": "application/vnd.sqlite3", "csv": "text/csv", "ndjson": "application/x-ndjson"}
SCHEMA = [
    "CREATE TABLE people(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, score REAL, pic BLOB, big INTEGER)",
    "CREATE INDEX people_name ON people(name)",
    "CREATE TABLE pets(owner REFERENCES people(id), name TEXT, PRIMARY KEY(owner, name)) WITHOUT ROWID",
    "CREATE VIEW owners AS SELECT DISTINCT owner FROM pets",
    "CREATE TRIGGER tidy AFTER DELETE ON people BEGIN DELETE FROM pets WHERE owner = OLD.id; END",
    "CREATE VIRTUAL TABLE notes USING fts5(body, tokenize='porter unicode61')",
    {"sql": "INSERT INTO people(name, score, pic, big) VALUES(?,?,?,?),(?,?,?,?)",
     "params": ["Ada; 'quote' \"double\"\nline", 1.5, {"$blob": "AAEC/w=="}, 9223372036854775807, "\u00e4\U0001f600", None, {"$blob": ""}, -9223372036854775808]},
    "INSERT INTO pets VALUES(1,'cat'),(2,'dog')", "INSERT INTO notes VALUES('running quickly'),('a second note')",
]
LOOK = ["SELECT * FROM people ORDER BY id", "SELECT * FROM pets ORDER BY 1, 2", "SELECT * FROM owners ORDER BY 1", "SELECT body FROM notes WHERE notes MATCH 'run'",
        "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY 1, 2",
        "SELECT seq FROM sqlite_sequence"]


def look(s, db):
    return [s.query(q, db=db).json.get("data", {}).get("rows") for q in LOOK]


def new(s, slug):
    s.call("POST", "/v1/databases", {"slug": slug})
    return slug


def put(s, db, data, kind, query="", **more):
    return s.db("import" + query, data, db=db, headers={"Content-Type": kind}, **more)


def multipart(data, filename, kind="application/octet-stream", name="file"):
    body = (b"--x.y\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--x.y\r\nContent-Disposition: form-data; name=\"" + name.encode() +
            b"\"; filename=\"" + filename.encode() + b"\"\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + data + b"\r\n--x.y--\r\n")
    return body, "multipart/form-data; boundary=x.y"


def whole_databases(checks, s):
    wanted = look(s, "main")
    for fmt in ("sql", "sqlite"):
        got = s.db(f"export?format={fmt}", method="GET")
        checks.equal(f"{fmt}: status and type", (got.status, got.headers["content-type"].split(";")[0]), (200, TYPES[fmt]))
        checks.equal(f"{fmt}: short enough to tell its length", got.headers.get("content-length"), str(len(got.data)))
        checks.that(f"{fmt}: an attachment with a name", f'filename="main.{fmt}"' in got.headers.get("content-disposition", ""), got.headers)
        db = new(s, f"copy-{fmt}")
        answer = put(s, db, got.data, TYPES[fmt])
        checks.that(f"{fmt}: imported", answer.status == 200, answer)
        checks.equal(f"{fmt}: byte progress", answer.headers.get("x-import-bytes"), str(len(got.data)))
        checks.equal(f"{fmt}: the same content", look(s, db), wanted)
        db = new(s, f"part-{fmt}")
        body, kind = multipart(got.data, f"dump.{fmt}")
        checks.equal(f"{fmt}: as a part", put(s, db, body, kind).status, 200)
        checks.equal(f"{fmt}: as a part: the same content", look(s, db), wanted)
        twice = put(s, db, got.data, TYPES[fmt])
        checks.that(f"{fmt}: tables that exist are an error, not a mixture", 400 <= twice.status < 500 and look(s, db) == wanted, twice)
    path = os.path.join(s.dir, "exported.sqlite")
    with open(path, "wb") as f:
        f.write(s.db("export?format=sqlite", method="GET").data)
    with sqlite3.connect(path) as theirs:
        checks.equal("another SQLite reads the file", theirs.execute("SELECT name, big FROM people ORDER BY id").fetchall(),
                     [("Ada; 'quote' \"double\"\nline", 2**63 - 1), ("\u00e4\U0001f600", -2**63)])
        checks.equal("and finds it whole", theirs.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    s.call("POST", "/v1/databases", {"slug": "left"})
    s.query("CREATE TABLE much AS SELECT zeroblob(3000000) AS a", db="left")
    for _ in range(40):  # the client leaves at once when it has the last byte
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"GET /v1/db/acme/left/export?format=sqlite HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token.encode() + b"\r\n\r\n")
            answer = http.client.HTTPResponse(c)
            answer.begin()
            checks.equal("an export for one who leaves is whole", len(answer.read()), int(answer.getheader("Content-Length")))
    until = time.monotonic() + 20
    while len(ended := re.findall(r'/export"? status=200 code=(\w+)', s.log())) < 41 and time.monotonic() < until:
        s.call("GET", "/healthz")
    checks.equal("and logged as that", set(ended), {"ok"})
    dump = s.db("export", method="GET").data.decode()
    checks.that("SQL is the default", dump.lstrip().upper().startswith(("PRAGMA", "BEGIN", "--")), dump[:100])
    scratch = sqlite3.connect(":memory:")
    scratch.executescript(dump)
    checks.equal("the dump runs elsewhere", scratch.execute("SELECT count(*) FROM people").fetchall(), [(2,)])
    twin = s.call("GET", "/api/namespaces/acme/databases/main/export")
    checks.equal("the console's path gives the same", twin.data.decode().splitlines()[-3:], dump.splitlines()[-3:])
    cli = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a, b);\nINSERT INTO t VALUES(1,X'00ff');\nINSERT INTO t VALUES('a;b','it''s');\nCOMMIT;\n"
    db = new(s, "from-cli")
    answer = put(s, db, cli.encode(), TYPES["sql"])
    checks.equal("what sqlite3's .dump writes is taken", (answer.status, s.query("SELECT count(*) FROM t", db=db).json["data"]["rows"]), (200, [[2]]))


def tables(checks, s):
    rows = [[1, "a", None, 1.5], [2, "comma, \"quote\"\r\nline", "", -0.25], [9223372036854775807, "\u00e4", "x", None]]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "name", "note", "score"], *[["" if v is None else v for v in r] for r in rows]])
    s.query("CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, note TEXT, score REAL)")
    answer = put(s, "main", text.getvalue().encode(), TYPES["csv"], "?table=items")
    checks.that("csv: imported", answer.status == 200, answer)
    checks.equal("csv: rows", s.query("SELECT id, name, score FROM items ORDER BY id").json["data"]["rows"], [[r[0], r[1], r[3]] for r in rows])
    got = s.db("export?format=csv&table=items", method="GET")
    read = list(csv.reader(io.StringIO(got.data.decode(), newline="")))
    checks.equal("csv: there and back", [read[0]] + [r[:2] for r in read[1:]], [["id", "name", "note", "score"]] + [[str(r[0]), r[1]] for r in rows])
    lines = "".join(json.dumps({"id": r[0], "name": r[1], "note": r[2], "score": r[3]}) + "\n" for r in rows).encode()
    s.query("CREATE TABLE items2(id INTEGER PRIMARY KEY, name TEXT, note TEXT, score REAL)")
    answer = put(s, "main", lines, TYPES["ndjson"], "?table=items2")
    checks.that("ndjson: imported", answer.status == 200, answer)
    checks.equal("ndjson: rows", s.query("SELECT * FROM items2 ORDER BY id").json["data"]["rows"], rows)
    got = s.db("export?format=ndjson&table=items2", method="GET")
    checks.equal("ndjson: there and back", [json.loads(l) for l in got.data.decode().splitlines()], [json.loads(l) for l in lines.decode().splitlines()])
    s.query("CREATE TABLE bare AS SELECT * FROM items2 WHERE 0")
    none = s.db("export?format=ndjson&table=bare", method="GET").data
    for what, body, kind in (("nothing", none, TYPES["ndjson"]), ("an empty part", *multipart(none, "bare.ndjson")), ("blank lines", b"\n\n", TYPES["ndjson"])):
        answer = put(s, "main", body, kind, "?table=bare")
        checks.equal(f"ndjson: no rows as {what}: imported", (answer.status, answer.json.get("data", {}).get("rows")), (200, 0))
    for fmt, bad in (("ndjson", lines.replace(b'"id": 2', b'"id": 1')), ("ndjson", lines + b"{\n"), ("csv", text.getvalue().encode() + b'9,"unclosed'),
                     ("ndjson", b'{"id": 77, "nope": 1}\n'), ("csv", b"id,nope\n1,2\n"), ("ndjson", b'{"id": 78}\n[1]\n')):
        s.query("DELETE FROM items2")
        answer = put(s, "main", bad, TYPES[fmt], "?table=items2")
        checks.that(f"{fmt}: a bad line is a 4xx", 400 <= answer.status < 500, answer)
        checks.equal(f"{fmt}: and leaves nothing", s.query("SELECT count(*) FROM items2").json["data"]["rows"], [[0]])
    for path in ("export?format=csv&table=absent", "export?format=ndjson&table=_sys_applied", "export?format=csv&table=sqlite_schema"):
        checks.that(f"{path} is refused", s.db(path, method="GET").status in (400, 403, 404))


def refused(checks, s):
    before = look(s, "main")
    good = s.db("export?format=sqlite", method="GET").data
    for what, data in (("half a file", good[:len(good) // 2]), ("a header alone", good[:100]), ("a damaged page", good[:4096] + b"\xff" * 4096 + good[8192:]),
                       ("a page size of 3", good[:16] + b"\x00\x03" + good[18:]), ("text", b"SQLite format 3\0" + b"x" * 5000)):
        answer = put(s, "main", data, TYPES["sqlite"])
        checks.that(f"sqlite: {what}: 4xx", 400 <= answer.status < 500, answer)
    hostile = os.path.join(s.dir, "hostile.sqlite")
    with sqlite3.connect(hostile) as h:
        h.executescript("CREATE TABLE ok(a); INSERT INTO ok VALUES(1); CREATE TRIGGER t AFTER INSERT ON ok BEGIN SELECT load_extension('x'); END;")
    with open(hostile, "rb") as f:
        answer = put(s, new(s, "hostile"), f.read(), TYPES["sqlite"])
    checks.that("a trigger that calls what is not allowed", answer.status < 500, answer)
    reserved = os.path.join(s.dir, "reserved.sqlite")
    with sqlite3.connect(reserved) as h:
        h.executescript("CREATE TABLE _sys_applied(a); CREATE TABLE fine(a); INSERT INTO fine VALUES(1);")
    with open(reserved, "rb") as f:
        answer = put(s, new(s, "reserved"), f.read(), TYPES["sqlite"])
    checks.that("reserved names", answer.status < 500, answer)
    for what, sql in (("a syntax error", "CREATE TABLE z(a); INSERT INTO z VALUES(1); SELEC"), ("a constraint", "CREATE TABLE z(a UNIQUE); INSERT INTO z VALUES(1),(1)"),
                      ("ATTACH", "CREATE TABLE z(a); ATTACH '/etc/passwd' AS p;"), ("a reserved table", "CREATE TABLE _sys_x(a);"),
                      ("ROLLBACK in the middle", "CREATE TABLE z(a); ROLLBACK; CREATE TABLE y(a);"), ("an unclosed text", "CREATE TABLE z(a); INSERT INTO z VALUES('"),
                      ("invalid UTF-8", b"CREATE TABLE z(a); INSERT INTO z VALUES('\xff');"), ("load_extension", "CREATE TABLE z(a); SELECT load_extension('x');")):
        answer = put(s, "main", sql if isinstance(sql, bytes) else sql.encode(), TYPES["sql"])
        checks.that(f"sql: {what}: 4xx", 400 <= answer.status < 500 or (what in ("invalid UTF-8",) and answer.status == 200), answer)
        s.query("DROP TABLE IF EXISTS z")
    checks.equal("nothing of it stays", look(s, "main"), before)
    for what, body, kind, query, status in (
            ("no file part", *multipart(b"x", "a.sql", name="other"), "", 400), ("a boundary that never comes", b"hello", "multipart/form-data; boundary=q", "", 400),
            ("no boundary", b"hello", "multipart/form-data", "", 400), ("JSON", b"{}", "application/json", "", 415), ("no known type", b"x", "image/png", "", 415),
            ("csv without a table", b"a\n1\n", "text/csv", "", 400), ("an empty table name", b"a\n1\n", "text/csv", "?table=", 400),
            ("an empty file", b"", "application/sql", "", 400), ("an unknown format", b"x", "application/sql", "?format=tar", 400),
            ("an empty CSV", b"", "text/csv", "?table=t", 400), ("no rows for a table that is not there", b"", "application/x-ndjson", "?table=absent", 400),
            ("a table for a dump", b"SELECT 1;", "application/sql", "?table=a", 400)):
        answer = put(s, "main", body, kind, query)
        checks.equal(f"{what}", answer.status, status)


def large_and_slow(checks, s):
    s.query("CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT)")
    for _ in range(4):
        s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO big(body) SELECT hex(randomblob(500)) FROM n")
    conn = s.connection()
    conn.request("GET", "/v1/db/acme/main/export?format=ndjson&table=big", headers={"Authorization": f"Bearer {s.token}"})
    slow = conn.getresponse()
    first = slow.read(100000)
    checks.equal("a write goes on beside a slow download", s.query("INSERT INTO big(body) VALUES('meanwhile')").status, 200)
    guess = int(slow.headers.get("X-Export-Bytes-Estimate", 0))
    rest = first + slow.read()
    checks.that("its length was guessed beforehand", len(rest) * 0.7 < guess < len(rest) * 1.5, (guess, len(rest)))
    lines = rest.decode().splitlines()
    checks.equal("the download is one snapshot, whole", (len(lines), json.loads(lines[-1])["id"]), (20000, 20000))
    conn.close()
    engines = len(s.children("hf-engine"))
    for _ in range(3):
        conn = s.connection()
        conn.request("GET", "/v1/db/acme/main/export?format=sql", headers={"Authorization": f"Bearer {s.token}"})
        conn.getresponse().read(1000)
        conn.sock.close()
        conn.close()
    checks.equal("clients that vanish harm nobody", s.query("SELECT count(*) FROM big").json["data"]["rows"], [[20001]])
    for _ in range(200):
        if len(s.children("hf-engine")) <= engines:
            break
        s.query("SELECT 1")
    checks.that("and their engines leave", len(s.children("hf-engine")) <= engines, s.children("hf-engine"))
    data = b"".join(json.dumps({"id": n, "body": "x" * 1000}).encode() + b"\n" for n in range(20000))
    s.query("CREATE TABLE landed(id INTEGER PRIMARY KEY, body TEXT)")
    answer = put(s, "main", data, TYPES["ndjson"], "?table=landed")
    checks.equal("twenty megabytes in", (answer.status, s.query("SELECT count(*), sum(length(body)) FROM landed").json["data"]["rows"]), (200, [[20000, 20000000]]))


def crashed_and_deleted(checks, s):
    """A database whose exports crashed until its breaker opened is deleted at once, though its writer is well."""
    db = new(s, "crashes")
    s.query("CREATE TABLE t(a)", db=db)
    s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT hex(randomblob(500)) FROM n", db=db)
    for _ in range(3):
        before = set(s.children("hf-engine"))
        conn = s.connection()
        conn.request("GET", f"/v1/db/acme/{db}/export?format=ndjson&table=t", headers={"Authorization": f"Bearer {s.token}"})
        half = conn.getresponse()
        half.read(1000)
        for pid in set(s.children("hf-engine")) - before:
            os.kill(pid, signal.SIGKILL)
        try:
            half.read()
            checks.that("an export whose engine was killed does not look whole", False)
        except http.client.IncompleteRead:
            checks.that("an export whose engine was killed is cut short", True)
        conn.close()
    checks.equal("then the breaker is open", s.query("SELECT 1", db=db).status, 503)
    checks.equal("and it can be deleted, soon", s.call("DELETE", f"/v1/databases/{db}", timeout=30).status, 200)


def nothing_left(checks, s):
    left = []
    for base, _, files in os.walk(s.data):
        inside = os.path.relpath(base, s.data).split(os.sep)
        left += [os.path.join(base, f) for f in files if (inside[0] == "tmp" and f != "probe") or inside[-1] in ("in", "out")]
    checks.equal("no upload or copy is left on disk", left, [])


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        checks.that("schema", s.batch(SCHEMA).status == 200)
        for part in (whole_databases, tables, refused, large_and_slow, crashed_and_deleted, nothing_left):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
