#!/usr/bin/env python3
"""What goes out comes back: databases made at random are exported in every form, read by Python's own SQLite, imported into fresh databases
and compared value by value with a model that never saw the server. FIDELITY_ROUNDS=n makes more of them.
Usage: test_fidelity.py PATH-OF-HOLDFAST"""
import base64
import json
import math
import os
import sqlite3
import struct
import sys
from urllib.parse import quote as percent

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from content import ROWID_NAMES, content, exact, ident, opened
from holdfast import Checks, Server, binary_argument

ROUNDS = int(os.environ.get("FIDELITY_ROUNDS", "12"))
NAMES = ["a", "select", 'we"ird', "quo'te", "\u00fcn\u00ef", " ", "x.y", "semi;colon", "--c", "/*", "new\nline", "[br]", "$blob", "\U0001f600", "tab\tbed",
         "A", "null", "1st", "trailing ", "`tick`", "comma,", "%s", "back\\slash", "\ufeffmark", "VALUES", "key"]
TYPES = ["", "INTEGER", "INT", "REAL", "TEXT", "BLOB", "NUMERIC", "VARCHAR(10)", "DOUBLE PRECISION", "BOOLEAN", "ANY"]
STRICT = ["INTEGER", "INT", "REAL", "TEXT", "BLOB", "ANY"]
NUMBERS = [0, 1, -1, 5, 7, 255, 2**31, 2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63, 0.1, -0.0, 0.0, 3.0, -2.5, 1e15, 1e16, 9007199254740992.0, 1e22, 1e300, -1e-300,
           5e-324, 1.7976931348623157e308, 123456789012345680.0, 0.30000000000000004, math.inf, -math.inf]
TEXTS = [b"", b" ", b"a,b", b'"', b"'", b"it''s", b"NULL", b"null", b"5", b"-5", b"1.5", b"1e5", b"007", b" 7", b"7 ", b"+7", b"0x10", b"9e999", b"-9e999", b"Infinity", b"nan", b"\\x41",
         b"\\x", b"X'41'", b'{"$blob":"QQ=="}', b'{"$text":"QQ=="}', b'{"$blob', b'{"$real":"Infinity"}', b"{}", b"[1]", b"true", b"a\0b", b"\0", b"\x01\x1f\x7f", b"\xff", b"\xc3", b"ok\xed\xa0\x80",
         "\ufeffbom".encode(), b"line\r\nbreak", b"\n", b"\r", b"a;b--c", b"/* open", "\u00fcn\u00ef\U0001f600\u2028\uffff".encode(), b"9223372036854775808", b"1" * 400, b"long " * 1200, b"1_000", b"$", b"?1", b"-- description: {}"]
BLOBS = [b"", b"A", b"\0", b"\xff\x00'\"", b"5", b"text that is a blob", bytes(range(256))]


def literal(v):
    """SQL for a value; text is given as ("t", bytes)."""
    if v is None:
        return "NULL"
    if isinstance(v, bytes):
        return f"X'{v.hex()}'"
    if isinstance(v, tuple):
        return f"CAST(X'{v[1].hex()}' AS TEXT)"
    if isinstance(v, float) and math.isinf(v):
        return "9e999" if v > 0 else "-9e999"
    return repr(v)


class Column:
    def __init__(self, name, kind, tail="", computed=False):
        self.name, self.kind, self.tail, self.computed = name, kind, tail, computed

    def sql(self):
        return f"{ident(self.name)} {self.kind} {self.tail}".strip()


class Maker:
    """One random database as a list of statements."""

    def __init__(self, random):
        self.r, self.out, self.tables, self.free, self.words = random, [], [], list(NAMES), 0
        random.shuffle(self.free)

    def name(self):
        name = self.free.pop() if self.free and self.r.random() < 0.7 else f"n{self.words}"
        self.words += 1
        return name if name.lower() not in [t.lower() for t, _, _ in self.tables] else f"u{self.words}"

    def value(self, kind="", strict=False):
        r = self.r
        if r.random() < 0.1:
            return None
        if kind == "INTEGER PRIMARY KEY":  # past the greatest SQLite would draw ids by lot
            return r.choice([n for n in NUMBERS if isinstance(n, int) and n < 2**60])
        if strict and kind in ("INTEGER", "INT"):
            return r.choice([n for n in NUMBERS if isinstance(n, int)])
        if strict and kind == "REAL":
            return r.choice(NUMBERS)
        if strict and kind == "TEXT":
            return ("t", r.choice(TEXTS))
        if strict and kind == "BLOB":
            return r.choice(BLOBS)
        if kind in ("TEXT", "VARCHAR(10)"):  # how a real becomes text depends on the version of SQLite
            return r.choice([("t", r.choice(TEXTS)), r.choice(BLOBS), r.randrange(-9, 99)])
        return r.choice([lambda: r.choice(NUMBERS), lambda: ("t", r.choice(TEXTS)), lambda: r.choice(BLOBS), lambda: r.randrange(100), lambda: r.random() * 10 ** r.randrange(-20, 20),
                         lambda: struct.unpack("<d", struct.pack("<Q", r.getrandbits(62)))[0], lambda: ("t", f"plain {r.randrange(1000)}".encode()), lambda: r.randbytes(r.randrange(40))])()

    def columns(self, strict):
        r = self.r
        pool = NAMES + ROWID_NAMES * (r.random() < 0.3) + [""] * (r.random() < 0.3)
        names, seen = r.sample(pool, r.randrange(1, 7)), set()
        made = [Column(n, r.choice(STRICT if strict else TYPES)) for n in names if not (n.lower() in seen or seen.add(n.lower()))]
        for c in made:
            c.tail = r.choice(["", "", "", "NOT NULL DEFAULT 3" if not strict else "", "COLLATE NOCASE", "CHECK(1 OR 'x''y' /* ) */)"])
        return made

    def table(self):
        r = self.r
        strict, name = r.random() < 0.25, self.name()
        columns = self.columns(strict)
        shape = r.choice(["plain", "plain", "rowid", "auto", "desc", "text", "without"])
        taken = {c.name.lower() for c in columns}
        key = next(k for k in ("id", "id2") if k not in taken)
        tail, hidden_rowid = [], True
        if shape in ("rowid", "auto", "desc"):
            columns.insert(r.randrange(len(columns) + 1), Column(key, "INTEGER", {"rowid": "PRIMARY KEY", "auto": "PRIMARY KEY AUTOINCREMENT", "desc": "PRIMARY KEY DESC"}[shape]))
            hidden_rowid = shape == "desc"
        elif shape in ("text", "without"):
            columns.insert(0, Column(key, r.choice(["TEXT", "BLOB"] if strict else ["TEXT", "", "REAL"]), "PRIMARY KEY" if strict else "NOT NULL PRIMARY KEY"))
            hidden_rowid = shape == "text"
        if r.random() < 0.4:
            of = r.choice(columns)
            fresh = next(n for n in ("made", "made2") if n not in taken)
            columns.append(Column(fresh, "TEXT" if strict else r.choice(["", "TEXT"]), f"AS (typeof({ident(of.name)})) {r.choice(['STORED', 'VIRTUAL'])}", True))
        options = [o for o, on in (("WITHOUT ROWID", shape == "without"), ("STRICT", strict)) if on]
        ends = r.choice(["", "", " -- the end", " /* the end */"])
        self.out.append(f"CREATE TABLE {ident(name)}({', '.join(c.sql() for c in columns)}) {', '.join(options)}{ends}" + ("\n" if ends.startswith(" --") else ""))
        self.tables.append((name, columns, hidden_rowid))
        rowid = next((n for n in ROWID_NAMES if n not in {c.name.lower() for c in columns}), None) if hidden_rowid and shape != "without" else None
        for _ in range(r.randrange(0, 30)):
            given = [c for c in columns if not c.computed]
            values = [self.value("INTEGER PRIMARY KEY" if c.name == key and c.kind == "INTEGER" else c.kind, strict) for c in given]
            names = [ident(c.name) for c in given]
            if rowid and r.random() < 0.5:
                names, values = [rowid] + names, [r.randrange(-50, 5000)] + values
            self.out.append((f"INSERT OR IGNORE INTO {ident(name)}({', '.join(names)}) VALUES(", values))
        if r.random() < 0.5:
            self.out.append(f"DELETE FROM {ident(name)} WHERE typeof({ident(r.choice(columns).name)}) = 'real'")
        for i in range(r.randrange(3)):
            c = r.choice(columns)
            where = r.choice(["", f" WHERE {ident(c.name)} IS NOT NULL"])
            self.out.append(f"CREATE INDEX {ident(f'{name} ix{i}')} ON {ident(name)}({r.choice([ident(c.name), f'typeof({ident(c.name)})', ident(c.name) + ' DESC'])}){where}")

    def extras(self):
        r = self.r
        name, columns, _ = r.choice(self.tables)
        for i in range(r.randrange(3)):
            self.out.append(f"CREATE VIEW {ident(f'view {i} of {name}')} AS SELECT {ident(r.choice(columns).name)} AS x FROM {ident(name)} -- seen")
        self.out.append("CREATE TABLE log(what)")
        self.out.append(f"CREATE TRIGGER {ident('on ' + name)} AFTER INSERT ON {ident(name)} BEGIN INSERT INTO log VALUES('; END;'); SELECT CASE WHEN 1 THEN 2 END; END")
        self.out.append("CREATE TABLE parents(id INTEGER PRIMARY KEY, k TEXT UNIQUE)")
        self.out.append("CREATE TABLE children(a REFERENCES parents(k), b INTEGER REFERENCES children(rid) DEFERRABLE INITIALLY DEFERRED, rid INTEGER PRIMARY KEY)")
        self.out += ["INSERT INTO parents VALUES(1,'x'),(2,'y')", "INSERT INTO children VALUES('x', 2, 1), ('y', NULL, 2), (NULL, 1, 3)"]
        tokenizer = r.choice(["", ", tokenize='porter unicode61'", ", tokenize='trigram'", ", prefix='2 3'", ", detail=column", ", columnsize=0"])
        self.out.append(f"CREATE VIRTUAL TABLE own USING fts5(title, \"bo dy\"{r.choice(['', ' UNINDEXED'])}{tokenizer})")
        self.out += [f"INSERT INTO own(rowid, title, \"bo dy\") VALUES({r.randrange(1000) * 10 + i}, 'running dogs {i}', 'it''s number {i % 3}')" for i in range(r.randrange(6))]
        self.out.append("INSERT INTO own(own, rank) VALUES('pgsz', 512)")
        self.out.append("INSERT INTO own(own, rank) VALUES('rank', 'bm25(10.0, 5.0)')")
        self.out += ["CREATE TABLE notes(nid INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO notes VALUES(3, 'hello world'), (9, 'good bye dogs')",
                     "CREATE VIRTUAL TABLE ext USING fts5(body, content='notes', content_rowid='nid')", "INSERT INTO ext(ext) VALUES('rebuild')",
                     "CREATE VIRTUAL TABLE words USING fts5vocab('own', 'row')"]
        odd = r.choice(['full "text"', "it's", "a b;c", "\u00fcber", "--x"])
        self.out += [f"CREATE VIRTUAL TABLE {ident(odd)} USING fts5({ident('co lumn')}, [x])",
                     f"INSERT INTO {ident(odd)}(rowid, [x]) VALUES(-4, 'one ''two'''), ({2**62}, NULL), (17, X'00ff')"]
        self.odd = odd
        for name in r.sample(["", "  ", "\n"], r.randrange(3)):
            self.out += [f"CREATE TABLE {ident(name)}({ident('')}, [ ] DEFAULT 'd')", f"INSERT INTO {ident(name)}({ident('')}) VALUES('x'), (NULL)"]
        if r.random() < 0.7:
            self.out.append(f"PRAGMA user_version = {r.choice([1, -5, 2**31 - 1, 77])}")
        if r.random() < 0.7:
            self.out.append(f"PRAGMA application_id = {r.choice([1, -2**31, 0x48464631])}")

    def make(self):
        """For the server as SQL, for the model with values bound: the reader of numbers in an old SQLite is off by a bit now and then."""
        for _ in range(self.r.randrange(1, 5)):
            self.table()
        self.extras()
        plain = [(x, ()) if isinstance(x, str) else x for x in self.out]
        return [(sql + ", ".join(map(literal, values)) + ")" if values else sql,
                 sql + ", ".join("CAST(? AS TEXT)" if isinstance(v, tuple) else "?" for v in values) + ")" if values else sql,
                 [v[1] if isinstance(v, tuple) else v for v in values]) for sql, values in plain]


def blurred(said):
    """Reals to eight digits, for what an older SQLite has read from text."""
    def blur(v):
        return (v[0], f"{struct.unpack('<d', v[1])[0]:.7e}") if isinstance(v, tuple) and v[0] == b"real" else v
    return {k: sorted((tuple(map(blur, r)) for r in rows), key=repr) if isinstance(rows, list) else rows for k, rows in said.items()}


class Round:
    def __init__(self, checks, s, number):
        self.checks, self.s, self.number, self.made = checks, s, number, []
        self.maker = Maker(checks.random)
        self.statements = self.maker.make()
        self.source = self.new("source")
        self.model = sqlite3.connect(":memory:")
        self.model.isolation_level = None
        self.fill()

    def new(self, what):
        slug = f"{what}-{self.number}"
        self.checks.equal(f"{slug}: made", self.s.call("POST", "/v1/databases", {"slug": slug}).status, 200)
        self.made.append(slug)
        return slug

    def same(self, what, seen, wanted):
        for part in sorted(set(seen) | set(wanted)):
            if seen.get(part) != wanted.get(part):
                a, b = seen.get(part), wanted.get(part)
                if isinstance(a, list) and isinstance(b, list):
                    a, b = [x for x in a if x not in b][:3], [x for x in b if x not in a][:3]
                self.checks.that(f"round {self.number}: {what}: {part!r}", False, f"\n     seen   {a!r}\n     wanted {b!r}")
                with open(os.path.join(os.path.dirname(self.s.dir), f"fidelity-{self.checks.seed}-{self.number}.sql"), "w", errors="surrogateescape") as f:
                    f.write(";\n".join(x[0] for x in self.statements))
                return
        self.checks.that(what, True)

    def fill(self):
        for sql, bound, values in self.statements:
            try:
                self.model.execute(bound, values)
            except sqlite3.Error as e:
                self.checks.that(f"round {self.number}: the model takes {sql}", False, e)
        done = [x[0] for x in self.statements]
        for at in range(0, len(done), 50):
            answer = self.s.batch(done[at:at + 50], db=self.source)
            self.checks.that(f"round {self.number}: the server takes the same", answer.status == 200, answer)
        self.wanted = content(self.model, own=True)

    def export(self, db, fmt, table=None):
        got = self.s.db(f"export?format={fmt}" + (f"&table={percent(table, safe='')}" if table is not None else ""), method="GET", db=db)
        self.checks.that(f"round {self.number}: {fmt} of {table!r}", got.status == 200, got)
        return got.data

    def load(self, what, db, data, kind, table=None):
        answer = self.s.db("import" + (f"?table={percent(table, safe='')}" if table is not None else ""), data, db=db, headers={"Content-Type": kind})
        return self.checks.that(f"round {self.number}: {what}: imported", answer.status == 200, answer)

    def read(self, db, **how):
        h = opened(self.s, self.export(db, "sqlite"), db)
        try:
            return content(h, **how)
        finally:
            h.close()

    def whole(self):
        """sqlite and sql, read by another SQLite and by this server."""
        file, dump = self.export(self.source, "sqlite"), self.export(self.source, "sql")
        self.same("the file another SQLite reads", content(opened(self.s, file, f"file-{self.number}"), own=True), self.wanted)
        other = sqlite3.connect(":memory:")
        other.isolation_level = None
        try:
            other.executescript(dump.decode())
            self.same("the dump another SQLite runs", blurred(content(other, own=True)), blurred(self.wanted))
        except sqlite3.Error as e:
            self.checks.that(f"round {self.number}: another SQLite runs the dump", False, e)
        for fmt, data, kind in (("sqlite", file, "application/vnd.sqlite3"), ("sql", dump, "application/sql")):
            db = self.new(f"from-{fmt}")
            if self.load(fmt, db, data, kind):
                self.same(f"imported from {fmt}", self.read(db, own=True), self.wanted)
                q = f"SELECT rowid, * FROM {ident(self.maker.odd)} ORDER BY 1"
                self.checks.equal(f"round {self.number}: {fmt}: {q}", self.s.query(q, db=db).json.get("data", {}).get("rows"),
                                  self.s.query(q, db=self.source).json["data"]["rows"])
                self.same(f"{fmt}: out again: the same bytes of SQL", {"sql": self.export(db, "sql").split(b"\n")}, {"sql": dump.split(b"\n")})

    def rows(self, fmt, kind):
        """csv and ndjson, table by table, into tables of the same definition."""
        db, names = self.new(f"from-{fmt}"), [t for t, _, _ in self.maker.tables] + ["parents", "children", "log", "notes"]
        made = [x[0] for x in self.statements if x[0].startswith("CREATE TABLE")]
        self.checks.equal(f"round {self.number}: {fmt}: tables", self.s.batch(made, db=db).status, 200)
        for name in names:
            data = self.export(self.source, fmt, name)
            if fmt == "ndjson":
                self.ndjson(name, data)
            self.load(f"{fmt} of {name!r}", db, data, kind, name)
        self.same(f"{fmt}: what came back", self.read(db, rowids=False, only=names), content(self.model, rowids=False, only=names))

    def ndjson(self, name, data):
        """Every value in the documented form: plain where JSON has one."""
        def value(v):
            if isinstance(v, dict):
                (tag, text), = v.items()
                return {"$blob": lambda: (b"blob", base64.b64decode(text, validate=True)), "$text": lambda: (b"text", base64.b64decode(text, validate=True)),
                        "$real": lambda: exact(b"real", float(text))}[tag]()
            return (b"null", None) if v is None else (b"text", v.encode()) if isinstance(v, str) else (b"integer", v) if isinstance(v, int) else exact(b"real", v)
        seen = sorted((tuple(value(v) for v in json.loads(line).values()) for line in data.decode().split("\n")[:-1]), key=repr)
        self.same(f"ndjson of {name!r} as JSON", {name: seen}, {name: content(self.model, rowids=False, only=[name])[name]})

    def run(self):
        self.whole()
        self.rows("csv", "text/csv")
        self.rows("ndjson", "application/x-ndjson")
        self.model.close()
        for db in self.made:
            self.s.call("DELETE", f"/v1/databases/{db}")


def descriptions(checks, s):
    """What was described, dumped and loaded is described again."""
    for slug in ("told", "told-again"):
        s.call("POST", "/v1/databases", {"slug": slug})
    s.batch(["CREATE TABLE \"o'r\"(\"t\"\"x\" INTEGER, b)", "CREATE VIEW v AS SELECT b FROM \"o'r\""], db="told")
    told = [{"description": "all of\nit */ -- \u00fc"}, {"table": "o'r", "description": "rows; of 'orders'"}, {"table": "o'r", "column": 't"x', "description": "in \u20ac"},
            {"table": "v", "column": "b", "description": "seen"}]
    checks.equal("descriptions are stored", s.db("describe", {"descriptions": told}, db="told", method="PUT").status, 200)
    answer = s.db("import", s.db("export", method="GET", db="told").data, db="told-again", headers={"Content-Type": "application/sql"})
    checks.equal("descriptions: imported", (answer.status, answer.json.get("data", {}).get("descriptions")), (200, 4))
    looks = [s.db("describe?format=compact", method="GET", db=db).data for db in ("told", "told-again")]
    checks.that("descriptions: all there", b"in \xe2\x82\xac" in looks[0] and b"seen" in looks[0], looks[0])
    checks.equal("descriptions: the same", looks[1], looks[0])


def without_content(checks, s):
    """An index that nobody can make again: kept in a file, and not lost in silence anywhere else."""
    for slug in ("bare", "bare-sql", "bare-sqlite"):
        s.call("POST", "/v1/databases", {"slug": slug})
    s.batch(["CREATE VIRTUAL TABLE ix USING fts5(a, content='')", "INSERT INTO ix(rowid, a) VALUES(7, 'running dogs'), (9, 'cats')", "INSERT INTO ix(ix, rank) VALUES('pgsz', 100)",
             "CREATE TABLE body(id INTEGER PRIMARY KEY, a)", "INSERT INTO body VALUES(3, 'hello')", "CREATE VIRTUAL TABLE far USING fts5(a, content='body', content_rowid='id')",
             "INSERT INTO far(far) VALUES('rebuild')", "ALTER TABLE body RENAME TO elsewhere"], db="bare")
    file, dump = (s.db(f"export?format={f}", method="GET", db="bare").data for f in ("sqlite", "sql"))
    h = opened(s, file, "bare")
    checks.equal("no content: the file can be searched", [h.execute(f"SELECT rowid FROM {t} WHERE {t} MATCH ?", (w,)).fetchall() for t, w in (("ix", "dogs"), ("ix", "cats"), ("far", "hello"))],
                 [[(7,)], [(9,)], [(3,)]])
    checks.equal("no content: and is whole", h.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    h.close()
    for fmt, data, kind in (("sql", dump, "application/sql"), ("sqlite", file, "application/vnd.sqlite3")):
        answer = s.db("import", data, db=f"bare-{fmt}", headers={"Content-Type": kind})
        notes = answer.json.get("data", {}).get("notes", [])
        checks.that(f"no content: {fmt}: imported, with a note for each", answer.status == 200 and len(notes) == 2 and '"ix"' in notes[0] and '"far"' in notes[1], answer)
        checks.equal(f"no content: {fmt}: the tables are there, empty", s.query("SELECT count(*) FROM ix", db=f"bare-{fmt}").json["data"]["rows"], [[0]])


def largest(checks, s):
    """Values as long as a value may be, of bytes that grow most in each format."""
    s.call("POST", "/v1/databases", {"slug": "large"})
    made = ["CREATE TABLE t(id INTEGER PRIMARY KEY, v)"]
    texts = {"control characters": "char(1)", "quotes": "char(34)", "single quotes": "char(39)", "NULs": "char(0)", "three bytes": "char(8364) || 'xx'"}
    made += [f"INSERT INTO t VALUES({i}, substr(replace(hex(zeroblob({300000 if 'three' in name else 990000})), '00', {t} || {t}), 1, 1980000))" for i, (name, t) in enumerate(texts.items())]
    made += ["INSERT INTO t VALUES(10, randomblob(3990000))", "INSERT INTO t SELECT 11, v || v FROM t WHERE id = 0", "INSERT INTO t SELECT 12, v || v FROM t WHERE id = 1"]
    for sql in made:
        answer = s.query(sql, db="large")
        checks.that(f"large: {sql[:60]}", answer.status == 200, answer)
    wanted = content(opened(s, s.db("export?format=sqlite", method="GET", db="large").data, "large"), only=["t"])
    checks.equal("large: all there", len(wanted["t"]), 8)
    for fmt, kind in (("sql", "application/sql"), ("sqlite", "application/vnd.sqlite3"), ("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        table = "&table=t" if fmt in ("csv", "ndjson") else ""
        got = s.db(f"export?format={fmt}{table}", method="GET", db="large")
        checks.equal(f"large: {fmt} out", got.status, 200)
        s.call("POST", "/v1/databases", {"slug": f"large-{fmt}"})
        if table:
            s.query(made[0], db=f"large-{fmt}")
        answer = s.db("import" + table.replace("&", "?"), got.data, db=f"large-{fmt}", headers={"Content-Type": kind})
        checks.that(f"large: {fmt} in", answer.status == 200, answer)
        seen = content(opened(s, s.db("export?format=sqlite", method="GET", db=f"large-{fmt}").data, f"large-{fmt}"), only=["t"])
        checks.that(f"large: {fmt}: the same", seen == wanted, [(k, v[:30]) for row in seen["t"] for k, v in row if isinstance(v, bytes)])


def one(checks, s, number):
    Round(checks, s, number).run()


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        checks.part(descriptions, checks, s)
        checks.part(without_content, checks, s)
        checks.part(largest, checks, s)
        for number in range(ROUNDS):
            checks.part(one, checks, s, number)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
