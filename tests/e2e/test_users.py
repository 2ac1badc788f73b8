#!/usr/bin/env python3
"""POST /v1/users: a database for each person of an app, found again by the app's name for them, with the schema of a template and a
token for it alone. Usage: test_users.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

USERS = "/v1/users"
SCHEMA = ["CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL, list INTEGER REFERENCES lists(id))", "CREATE TABLE lists(id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
          "CREATE INDEX notes_list ON notes(list)", "CREATE VIEW named AS SELECT notes.text, lists.name FROM notes JOIN lists ON lists.id = notes.list",
          "CREATE VIRTUAL TABLE found USING fts5(text)", "CREATE TRIGGER noted AFTER INSERT ON notes BEGIN INSERT INTO found(text) VALUES(new.text); END"]


def ask(s, checks, what, body, token=None):
    answer = s.call("POST", USERS, body, token=token)
    ok = checks.that(f"{what}: 200", answer.status == 200, answer)
    data = answer.json["data"] if ok else {}
    if ok:
        s.secrets.append(data["token"])
    return data


def query(s, data, sql, token=None):
    return s.query(sql, db=data["database"]["slug"], token=token or data["token"])


def plain(checks, s):
    first = ask(s, checks, "first", {"subject": "user_42"})
    checks.that("the slug tells nothing of the subject", re.fullmatch(r"u-[0-9a-f]{16}", first["database"]["slug"]), first)
    checks.equal("its members", (first["created"], first["namespaceSlug"], first["database"]["name"]), (True, "acme", "user_42"))
    me = s.call("GET", "/v1/me", token=first["token"]).json["data"]
    checks.equal("the token is for it alone", (me["role"], me["databaseId"], me["expiresAt"], me["tokenId"]), ("readwrite", first["database"]["id"], first["expiresAt"], first["tokenId"]))
    again = ask(s, checks, "again", {"subject": "user_42", "role": "read", "expiresIn": 60, "template": "main"})
    checks.equal("the same database", (again["created"], again["database"]["id"]), (False, first["database"]["id"]))
    checks.that("a fresh token", again["token"] != first["token"] and again["expiresAt"] < first["expiresAt"], again)
    checks.equal("read reads", s.call("GET", "/v1/me", token=again["token"]).json["data"]["role"], "readonly")
    other = ask(s, checks, "another subject", {"subject": "user_43"})
    checks.equal("another database", (other["created"], other["database"]["id"] != first["database"]["id"]), (True, True))
    checks.refused("which the first token does not open", query(s, other, "SELECT 1", first["token"]), 403, "forbidden")
    checks.refused("nor does it open main", s.query("SELECT 1", token=first["token"]), 403, "forbidden")
    for who in (first, again):
        checks.refused("a per-user token provisions nobody", s.call("POST", USERS, {"subject": "x"}, token=who["token"]), 403, "forbidden")
    s.call("DELETE", f"/v1/databases/{first['database']['slug']}")
    anew = ask(s, checks, "after it was deleted", {"subject": "user_42"})
    checks.equal("a new one", (anew["created"], anew["database"]["id"] != first["database"]["id"]), (True, True))


def templates(checks, s):
    s.call("POST", "/v1/databases", {"slug": "app-template"})
    for sql in [*SCHEMA, "INSERT INTO lists VALUES(1, 'work')", "INSERT INTO notes VALUES(1, 'secret of the template', 1)"]:
        checks.equal(f"template: {sql[:30]}", s.query(sql, db="app-template").status, 200)
    made = ask(s, checks, "from a template", {"subject": "lin", "template": "app-template"})
    schemas = [s.call("GET", f"/v1/db/acme/{db}/schema").json["data"] for db in ("app-template", made["database"]["slug"])]
    checks.equal("the same schema", schemas[1], schemas[0])
    counts = [s.query(f"SELECT count(*) FROM {t}", db=made["database"]["slug"]).json["data"]["rows"][0][0] for t in ("notes", "lists", "found")]
    checks.equal("and no rows", counts, [0, 0, 0])
    checks.equal("it can be written to", query(s, made, "INSERT INTO notes(text) VALUES('mine')").status, 200)
    checks.equal("its trigger runs", query(s, made, "SELECT count(*) FROM found").json["data"]["rows"], [[1]])
    checks.refused("but not altered", query(s, made, "CREATE TABLE more(a)"), 403, "forbidden")
    s.call("POST", "/v1/databases", {"slug": "large"})
    for n in range(3):
        s.batch([f"CREATE TABLE t{n}_{i}(a)" for i in range(80)], db="large")
    many = ask(s, checks, "of many tables", {"subject": "many", "template": "large"})
    checks.equal("all of them", len(s.call("GET", f"/v1/db/acme/{many['database']['slug']}/tables").json["data"]), 240)


def protected(checks, s):
    """A template with row-level security makes databases with it; a broken policy closes there as it does in the template."""
    s.call("POST", "/v1/databases", {"slug": "guarded"})
    for sql in ("CREATE TABLE notes(id INTEGER PRIMARY KEY, tenant TEXT)", "CREATE TABLE closed(id INTEGER PRIMARY KEY)", "CREATE TABLE open(id INTEGER PRIMARY KEY)",
                "CREATE TABLE broken(id INTEGER PRIMARY KEY, tenant TEXT)"):
        checks.equal(f"guarded: {sql[:30]}", s.query(sql, db="guarded").status, 200)
    base = "/api/namespaces/acme/databases/guarded"
    for policy in ({"tableName": "notes", "using": "tenant = 'a' OR tenant = :auth_tenant"}, {"tableName": "broken", "using": "tenant = 'a'"}, {"tableName": "broken", "name": "all", "using": "1"}):
        checks.equal(f"policy of {policy['tableName']}", s.call("POST", f"{base}/policies", {"name": "own", **policy}).status, 200)
    checks.equal("closed", s.call("PUT", f"{base}/row-security", {"tableName": "closed", "enabled": True}).status, 200)
    checks.equal("break it", s.query("ALTER TABLE broken RENAME COLUMN tenant TO owner", db="guarded").status, 200)
    made = ask(s, checks, "from a guarded template", {"subject": "guarded one", "template": "guarded"})
    slug = made["database"]["slug"]
    lists = [s.call("GET", f"/api/namespaces/acme/databases/{db}/policies").json["data"] for db in ("guarded", slug)]
    strip = [sorted(({k: v for k, v in p.items() if k not in ("id", "createdAt", "updatedAt")} for p in one["policies"]), key=str) for one in lists]
    checks.equal("the same policies", (strip[1], lists[1]["rowSecurity"]), (strip[0], lists[0]["rowSecurity"]))
    checks.equal("three", len(strip[1]), 3)
    for table, rows in (("notes", 1), ("closed", 0), ("open", 1), ("broken", 0)):
        checks.equal(f"{table}: two rows", s.query(f"INSERT INTO {table} VALUES (1{', char(97)' if table in ('notes', 'broken') else ''})", db=slug).status, 200)
        if table == "notes":
            s.query("INSERT INTO notes VALUES (2, 'b')", db=slug)
        checks.equal(f"{table}: what its person sees", query(s, made, f"SELECT count(*) FROM {table}").json["data"]["rows"], [[rows]])
    checks.equal("and may write", query(s, made, "INSERT INTO notes VALUES (3, 'b')").status, 400)


def together(checks, s):
    """Many requests for one subject at the same time: one makes the database, the others get it or are told to come again."""
    def one(_):
        for _ in range(5000):
            answer = s.call("POST", USERS, {"subject": "crowd", "template": "app-template"})
            if answer.status != 503:
                return answer
            assert answer.headers.get("retry-after"), answer
        return answer
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(16)))
    found = [a.json.get("data", {}) for a in answers]
    checks.equal("all are answered", {a.status for a in answers}, {200})
    checks.equal("one database, made once", (len({d["database"]["id"] for d in found}), sum(d["created"] for d in found)), (1, 1))
    checks.equal("whole", {s.query("SELECT count(*) FROM named", db=d["database"]["slug"], token=d["token"]).status for d in found}, {200})
    s.control("UPDATE user_database SET ready_at = NULL WHERE database_id = ?", [found[0]["database"]["id"]], write=True)
    answer = s.call("POST", USERS, {"subject": "crowd"})
    checks.refused("while its maker may still be at work", answer, 503, "busy")
    s.control("UPDATE database SET created_at = created_at - 60001 WHERE id = ?", [found[0]["database"]["id"]], write=True)
    anew = ask(s, checks, "when its maker is gone", {"subject": "crowd", "template": "app-template"})
    checks.equal("it is begun anew", (anew["created"], anew["database"]["id"] != found[0]["database"]["id"]), (True, True))
    checks.equal("whole, too", query(s, anew, "SELECT count(*) FROM named").status, 200)


def busy(checks, s):
    """A template whose writer is held up: the request ends after a few seconds, and nothing half made is handed out."""
    slow = "UPDATE lists SET name = name WHERE (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c) > 0"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        held, number, answer = pool.submit(s.query, slow, db="app-template"), 0, None
        while not held.done() and (answer is None or answer.status == 200):
            number, begun = number + 1, time.monotonic()
            answer = s.call("POST", USERS, {"subject": f"patient {number}", "template": "app-template"})
            took = time.monotonic() - begun
        checks.equal("the statement runs into its own deadline", held.result().status, 504)
    checks.refused("the request says why", answer, 504, "query_timeout")
    checks.that("within a few seconds", 2 < took < 5, took)
    whole = ask(s, checks, "afterwards", {"subject": f"patient {number}", "template": "app-template"})
    checks.equal("it is made, whole", (whole["created"], query(s, whole, "SELECT count(*) FROM named").status), (True, 200))


FIELDS = {"subject": [None, "", 5, [], {}, True, "x" * 257, "\u00e9" * 257, "a\u0007", "a\u0000"], "template": ["none", "", 5, [], {}, True, "x" * 64],
          "role": ["admin", "owner", "", 5, [], {}], "expiresIn": [59, 86401, -1, 1.5, "60", [], {}, True]}


def refusals(checks, s):
    before = s.control("SELECT (SELECT count(*) FROM database), (SELECT count(*) FROM token), (SELECT count(*) FROM user_database)")
    for field, values in FIELDS.items():
        for value in values:
            answer = s.call("POST", USERS, {"subject": "nobody", field: value})
            checks.refused(f"{field} {json.dumps(value)[:40]}", answer, 400, "invalid_request", None if value == "a\u0000" else "/" + field)
    for raw in (b"", b"{}", b"[]", b"null", b"{", b'{"subject":"a","subject":"b"}', b'{"subject":"\xff"}'):
        checks.refused(f"the body {raw}", s.call("POST", USERS, raw), 400, "invalid_request")
    checks.equal("nothing was made", s.control("SELECT (SELECT count(*) FROM database), (SELECT count(*) FROM token), (SELECT count(*) FROM user_database)"), before)
    for what, made in (("readonly", s.mint("readonly")), ("readwrite", s.mint("readwrite")), ("one database", s.mint("admin", "--database", "main")), ("tables", s.mint("admin", "--tables", "a"))):
        checks.refused(f"with {what}", s.call("POST", USERS, {"subject": "nobody"}, token=made["token"]), 403, "forbidden")
    short = s.mint("admin", "--expires-in", "120s")
    brief = ask(s, checks, "by a token that ends soon", {"subject": "brief"}, short["token"])
    checks.that("the token ends no later", brief["expiresAt"] <= short["expiresAt"], brief)
    checks.refused("nor when asked to", s.call("POST", USERS, {"subject": "brief", "expiresIn": 3600}, token=short["token"]), 403, "forbidden", "/expiresIn")
    count = "SELECT (SELECT count(*) FROM database), (SELECT count(*) FROM token), (SELECT count(*) FROM user_database), (SELECT count(*) FROM audit)"
    test = s.call("POST", "/api/namespaces/acme/tokens", {"name": "branches", "role": "admin", "kind": "test"}).json["data"]["token"]
    before = s.control(count)
    for what, token, more in (("too long", short["token"], {"expiresIn": 3600}), ("too long, of a template", short["token"], {"expiresIn": 3600, "template": "main"}), ("for branches alone", test, {})):
        checks.refused(f"a new one: {what}", s.call("POST", USERS, {"subject": "refused", **more}, token=token), 403, "forbidden")
        checks.equal(f"a new one: {what}: nothing is left", s.control(count), before)
    checks.equal("so it can be made at once", ask(s, checks, "what was refused", {"subject": "refused"}).get("created"), True)
    longest = ask(s, checks, "the longest subject", {"subject": "\u00e9" * 256})
    checks.equal("is too long for a name", longest["database"]["name"], longest["database"]["slug"])
    checks.that("no answer was a 5xx but busy ones", s.call("GET", "/healthz").status == 200)
    checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])


def main():
    checks = Checks()
    with Server(binary_argument(), args=["--statement-timeout", "8s"]) as s:
        for part in (plain, templates, protected, together, busy, refusals):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
