#!/usr/bin/env python3
"""Branches: made, reset, claimed with a token, listed, deleted, expired; what they carry, how they are called, who may, and crashes.
Usage: test_branches.py PATH-OF-HOLDFAST"""
import concurrent.futures
import datetime
import hashlib
import os
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

SCHEMA = ["CREATE TABLE lists(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE COLLATE NOCASE)",
          "CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT 'x', list INTEGER REFERENCES lists(id) ON DELETE CASCADE, size INT GENERATED ALWAYS AS (length(text)))",
          "CREATE INDEX notes_list ON notes(list) WHERE list > 1", "CREATE UNIQUE INDEX low ON notes(lower(text))",
          "CREATE VIEW named AS SELECT notes.text, lists.name FROM notes JOIN lists ON lists.id = notes.list",
          "CREATE VIRTUAL TABLE found USING fts5(text)", "CREATE VIRTUAL TABLE beside USING fts5(text, content='notes', content_rowid='id')",
          "INSERT INTO found(found, rank) VALUES('automerge', 8)",
          "CREATE TRIGGER noted AFTER INSERT ON notes BEGIN INSERT INTO found(text) VALUES(new.text); END", "PRAGMA user_version = 7",
          "INSERT INTO lists(name) VALUES('first')", "INSERT INTO notes(text, list) VALUES('one', 1), ('two', 1)"]
CLAIMED = {"branchRef", "databaseSlug", "namespaceSlug", "token", "role", "expiresAt", "outcome"}
ROW = {"id", "slug", "name", "status", "region", "branchRef", "forkedFromId", "forkedFrom", "forkedAt", "expiresAt", "createdAt", "outcome"}


def at(ref, db="main", ns="acme"):
    return f"/v1/db/{ns}/{db}/branches/{urllib.parse.quote(ref, safe='')}"


def claim(s, checks, body, token=None, db="main"):
    data = checks.good(f"claim {body}", s.call("POST", f"/v1/db/acme/{db}/claim_branch", body, token=token))
    s.secrets.append(data.get("token", "none"))
    checks.equal("its members", set(data), CLAIMED)
    return data


def rows(s, sql, db="main", token=None):
    return s.query(sql, db=db, token=token).json["data"]["rows"]


def seconds_until(iso):
    return datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp() - time.time()


def actions(s):
    return [e["action"] for e in s.call("GET", "/api/namespaces/acme/audit?limit=500").json["data"]]


def clear(s):
    for branch in s.call("GET", "/v1/db/acme/main/branches").json["data"]:
        s.call("DELETE", at(branch["branchRef"]))


def fill(s):
    for sql in SCHEMA:
        assert s.query(sql).status == 200, sql


def schema_of(s, db):
    data = s.call("GET", f"/v1/db/acme/{db}/schema").json["data"]
    return sorted(o["sql"] for kind in ("tables", "indexes", "views", "triggers") for o in data[kind])


def plain(checks, s):
    made = checks.good("PUT", s.call("PUT", at("pr-42"), {"ttlDays": 7, "unknown": True}))
    checks.equal("members", set(made), ROW)
    parent = s.call("GET", "/v1/databases/main").json["data"]
    checks.equal("what it is", (made["slug"], made["name"], made["branchRef"], made["status"], made["outcome"], made["forkedFromId"], made["forkedFrom"]),
                 ("main-pr-42", f"{parent['name']} (pr-42)", "pr-42", "healthy", "created", parent["id"], {k: parent[k] for k in ("id", "slug", "name")}))
    checks.that("a week", 604700 < seconds_until(made["expiresAt"]) <= 604800, made)
    checks.equal("the parent's schema", schema_of(s, "main-pr-42"), schema_of(s, "main"))
    checks.equal("no rows", [rows(s, f"SELECT count(*) FROM {t}", "main-pr-42")[0][0] for t in ("notes", "lists", "found", "beside", "sqlite_sequence")], [0] * 5)
    checks.equal("user_version", rows(s, "PRAGMA user_version", "main-pr-42"), [[7]])
    checks.equal("settings of FTS5", rows(s, "SELECT v FROM found_config WHERE k = 'automerge'", "main-pr-42"), [[8]])
    checks.equal("it works", [s.query(q, db="main-pr-42").status for q in ("INSERT INTO lists(name) VALUES('b')", "INSERT INTO notes(text, list) VALUES('mine', 1)")], [200, 200])
    checks.equal("its trigger too", rows(s, "SELECT text FROM found WHERE found MATCH 'mine'", "main-pr-42"), [["mine"]])
    checks.equal("by the other name", rows(s, "SELECT text FROM notes", "main.pr-42"), [["mine"]])
    checks.equal("the parent is as it was", rows(s, "SELECT text FROM notes ORDER BY 1"), [["one"], ["two"]])
    s.query("ALTER TABLE lists ADD COLUMN colour TEXT")
    again = checks.good("PUT again", s.call("PUT", at("pr-42")))
    checks.equal("reset, the same database", (again["outcome"], again["id"], again["slug"], again["createdAt"]), ("reset", made["id"], made["slug"], made["createdAt"]))
    checks.that("as long again", 604700 < seconds_until(again["expiresAt"]) and again["forkedAt"] > made["forkedAt"], again)
    checks.equal("the schema of now", schema_of(s, "main-pr-42"), schema_of(s, "main"))
    checks.equal("empty", rows(s, "SELECT count(*) FROM notes", "main-pr-42"), [[0]])
    listed = checks.good("list", s.call("GET", "/v1/db/acme/main/branches"))
    checks.equal("listed", [(b["branchRef"], b["id"]) for b in listed], [("pr-42", made["id"])])
    checks.that("among the databases too", any(d["branchRef"] == "pr-42" for d in s.call("GET", "/v1/databases").json["data"]), "")
    checks.equal("detail", s.call("GET", "/v1/databases/main-pr-42").json["data"]["forkedFrom"]["slug"], "main")
    gone = checks.good("DELETE", s.call("DELETE", at("pr-42")))
    checks.equal("gone", (gone["id"], gone["status"]), (made["id"], "deleted"))
    for answer in (s.query("SELECT 1", db="main-pr-42"), s.query("SELECT 1", db="main.pr-42"), s.call("DELETE", at("pr-42")), s.call("GET", "/v1/databases/main-pr-42")):
        checks.refused("not there", answer, 404, "not_found")
    checks.equal("a new one after that", (checks.good("PUT", s.call("PUT", at("pr-42")))["outcome"]), "created")
    checks.equal("without a time it stays", s.call("GET", "/v1/databases/main-pr-42").json["data"]["expiresAt"], None)
    s.call("DELETE", at("pr-42"))
    log = actions(s)
    checks.equal("audit", [log.count(a) for a in ("database.branched", "database.branch_reset", "database.branch_deleted")], [2, 1, 2])


def names(checks, s):
    for ref in ("feature/login", "feature_login", "feature.login", "Feature-Login", "feature--login", "feature-login-", "x" * 64):
        made = checks.good(f"PUT {ref}", s.call("PUT", at(ref)))
        words = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]", "-", f"main-{ref}".lower()))[:52].strip("-")
        checks.equal(f"slug of {ref}", made["slug"], f"{words}-{hashlib.sha256(ref.encode()).hexdigest()[:10]}")
        checks.equal("by its dotted name", s.call("POST", f"/v1/db/acme/main.{urllib.parse.quote(ref, safe='')}/query", {"sql": "SELECT 1"}).status, 200)
    checks.equal("a plain one", checks.good("PUT", s.call("PUT", at("feature-login")))["slug"], "main-feature-login")
    refs = [b["branchRef"] for b in s.call("GET", "/v1/db/acme/main/branches").json["data"]]
    checks.equal("each a branch of its own", (len(refs), refs), (8, sorted(refs)))
    page = s.call("GET", f"/v1/db/acme/main/branches?limit=3&after={urllib.parse.quote(refs[2], safe='')}").json["data"]
    checks.equal("by pages", [b["branchRef"] for b in page], refs[3:6])
    for ref in refs:
        checks.good(f"DELETE {ref}", s.call("DELETE", at(ref)))
    for ref in ("-x", ".x", "_x", "x y", "x\n", "é", "a" * 65, "a:b", "a%b", "a\\b"):
        checks.refused(f"{ref!r}", s.call("PUT", at(ref)), 400, "invalid_request", "/ref")
        checks.refused(f"{ref!r}", s.call("POST", "/v1/db/acme/main/claim_branch", {"ref": ref}), 400, "invalid_request", "/ref")
    s.call("POST", "/v1/databases", {"slug": "main-taken"})
    checks.refused("a slug that another database has", s.call("PUT", at("taken")), 409, "conflict", text="main-taken")
    checks.good("main-pr", s.call("POST", "/v1/databases", {"slug": "main-pr"}))
    checks.good("its branch", s.call("PUT", at("7", db="main-pr")))
    checks.refused("two ways to one name", s.call("PUT", at("pr-7")), 409, "conflict", text="main-pr-7")
    checks.refused("a branch of a branch", s.call("PUT", at("x", db="main-pr-7")), 409, "conflict", text="fromRef")
    checks.good("from a sibling", s.call("PUT", at("8", db="main-pr"), {"fromRef": "7"}))
    s.query("CREATE TABLE only_there(a)", db="main-pr-7")
    checks.good("from it again", s.call("PUT", at("8", db="main-pr"), {"fromRef": "7"}))
    checks.equal("the sibling's schema", rows(s, "SELECT count(*) FROM only_there", "main-pr-8"), [[0]])
    checks.good("from main", s.call("PUT", at("8", db="main-pr"), {"fromRef": "main"}))
    checks.equal("the parent's schema", s.query("SELECT count(*) FROM only_there", db="main-pr-8").status, 400)
    called = checks.good("a branch with the parent's word", s.call("PUT", at("main", db="main-pr")))
    checks.equal("it is a branch like others", (called["slug"], called["branchRef"]), ("main-pr-main", "main"))
    s.query("CREATE TABLE called_main(a)", db="main-pr-main")
    checks.good("from main, which is the parent", s.call("PUT", at("8", db="main-pr"), {"fromRef": "main"}))
    checks.equal("not the branch", s.query("SELECT count(*) FROM called_main", db="main-pr-8").status, 400)
    checks.good("it goes like others", s.call("DELETE", at("main", db="main-pr")))
    checks.refused("from none", s.call("PUT", at("8", db="main-pr"), {"fromRef": "9"}), 400, "invalid_request", "/fromRef")
    for ref in ("7", "8"):
        checks.good("DELETE", s.call("DELETE", at(ref, db="main-pr")))
    s.call("DELETE", "/v1/databases/main-pr")
    s.call("DELETE", "/v1/databases/main-taken")


def bodies(checks, s):
    soon, late = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + d)) for d in (5000, 40 * 86400))
    for body, least, most in (({"ttlDays": 1}, 86300, 86400), ({"ttlSec": 60}, 50, 60), ({"expiresAt": soon}, 4990, 5000), ({"ttlSec": 2592000}, 2591900, 2592000),
                              ({"ttlDays": None, "ttlSec": None, "expiresAt": soon}, 4990, 5000)):
        made = checks.good(f"PUT {body}", s.call("PUT", at("ttl"), body))
        checks.that(f"{body} is kept", least < seconds_until(made["expiresAt"]) <= most, made)
    checks.equal("a claim ends when it says, and so does its branch", (claim(s, checks, {"ref": "ttl", "expiresAt": soon})["expiresAt"], s.call("GET", "/v1/databases/main-ttl").json["data"]["expiresAt"]),
                 (soon[:-1] + ".000Z",) * 2)
    checks.equal("0 keeps it", checks.good("0", s.call("PUT", at("ttl"), {"ttlSec": 0}))["expiresAt"], None)
    s.call("DELETE", at("ttl"))
    both = [({"ttlDays": d}, "/ttlDays") for d in (0, 31, -1, 1.5, "7")] + [({"ttlSec": d}, "/ttlSec") for d in (1, 59, 2592001, -1, "60")] + \
        [({"expiresAt": d}, "/expiresAt") for d in ("soon", "", "2020-01-01T00:00:00Z", late, 5)] + \
        [({"ttlDays": 1, "ttlSec": 60}, "/ttlDays"), ({"ttlDays": 1, "expiresAt": soon}, "/expiresAt"), ({"ttlSec": 60, "expiresAt": soon}, "/expiresAt")] + \
        [({"data": d}, "/data") for d in ("rows", 5, "", "Full")] + [({"fromRef": d}, "/fromRef") for d in (5, "", "a b", [])]
    for body, pointer in both + [({"name": "x" * 201}, "/name"), ({"name": 5}, "/name"), ({"region": []}, "/region")]:
        checks.refused(f"PUT {body}", s.call("PUT", at("bad"), body), 400, "invalid_request", pointer)
    for body, pointer in both + [({"role": "owner"}, "/role"), ({"role": 1}, "/role"), ({"purpose": "x" * 201}, "/purpose"), ({"purpose": "a\nb"}, "/purpose"), ({"ref": 5}, "/ref"), ({"ref": ""}, "/ref")]:
        checks.refused(f"claim {body}", s.call("POST", "/v1/db/acme/main/claim_branch", body), 400, "invalid_request", pointer)
    for body in (b"{", b"[]", b"5", b"{}{}"):
        checks.refused(f"{body}", s.call("PUT", at("bad"), body, headers={"Content-Type": "application/json"}), 400, "invalid_request")
    checks.equal("none of them left a branch", s.call("GET", "/v1/db/acme/main/branches").json["data"], [])


def claims(checks, s):
    first = claim(s, checks, {"ref": "pr-1", "ttlSec": 86400, "role": "write", "purpose": "github-action:preview-db"})
    checks.equal("the lease", (first["branchRef"], first["databaseSlug"], first["namespaceSlug"], first["role"], first["outcome"]), ("pr-1", "main-pr-1", "acme", "write", "created"))
    checks.that("a day", 86300 < seconds_until(first["expiresAt"]) <= 86400, first)
    branch = s.call("GET", "/v1/databases/main-pr-1").json["data"]
    checks.that("branch and token end together", abs(seconds_until(branch["expiresAt"]) - seconds_until(first["expiresAt"])) < 2, (branch, first))
    me = s.call("GET", "/v1/me", token=first["token"]).json["data"]
    checks.equal("the token", (me["role"], me["databaseId"]), ("readwrite", branch["id"]))
    checks.equal("it writes", s.query("INSERT INTO lists(name) VALUES('a')", db="main-pr-1", token=first["token"]).status, 200)
    checks.refused("but changes no schema", s.query("CREATE TABLE x(a)", db="main-pr-1", token=first["token"]), 403, "forbidden")
    other = claim(s, checks, {"ref": "pr-2", "role": "admin"})
    checks.that("an hour", 3500 < seconds_until(other["expiresAt"]) <= 3600, other)
    checks.equal("admin changes it", s.query("CREATE TABLE x(a)", db="main-pr-2", token=other["token"]).status, 200)
    for db in ("main", "main-pr-2", "main.pr-2", "none"):
        checks.refused(f"it does not open {db}", s.query("SELECT 1", db=db, token=first["token"]), 403, "forbidden", text="Token scope")
    for method, path in (("GET", "/v1/db/acme/main/branches"), ("PUT", at("pr-9")), ("DELETE", at("pr-2")), ("POST", "/v1/db/acme/main/claim_branch")):
        checks.refused(f"nor {method} {path}", s.call(method, path, token=other["token"]), 403, "forbidden")
    checks.equal("it lists its own", [d["id"] for d in s.call("GET", "/v1/databases", token=first["token"]).json["data"]], [branch["id"]])
    again = claim(s, checks, {"ref": "pr-1", "role": "read", "ttlSec": 0})
    checks.equal("again", (again["outcome"], again["role"], again["expiresAt"], again["databaseSlug"]), ("reset", "read", None, "main-pr-1"))
    checks.equal("reset", rows(s, "SELECT count(*) FROM lists", "main-pr-1", again["token"]), [[0]])
    checks.equal("the first token goes on", rows(s, "SELECT count(*) FROM lists", "main-pr-1", first["token"]), [[0]])
    made = claim(s, checks, {"purpose": "Agent run: fix issue 742"})
    checks.that("a ref is made", re.fullmatch(r"agent-run-fix-issue-742-[a-z0-9]{6}", made["branchRef"]), made)
    checks.that("another each time", re.fullmatch(r"branch-[a-z0-9]{6}", claim(s, checks, None)["branchRef"]), "")
    listed = s.call("GET", "/api/namespaces/acme/tokens").json["data"]
    checks.that("in the list of tokens", ("github-action:preview-db", "main", "pr-1") in [(t["name"], t["database"], t["branch"]) for t in listed], listed)
    checks.good("DELETE", s.call("DELETE", at("pr-1")))
    for token in (first["token"], again["token"]):
        checks.refused("the token is gone with its branch", s.query("SELECT 1", db="main-pr-1", token=token), 401, "unauthorized")
    claim(s, checks, {"ref": "pr-1"})
    checks.refused("also when another has its name", s.query("SELECT 1", db="main-pr-1", token=first["token"]), 401, "unauthorized")
    clear(s)


def who_may(checks, s):
    bound = s.mint("admin", "--database", "main")["token"]
    data = claim(s, checks, {"ref": "mine"}, token=bound)
    checks.equal("a token bound to the parent opens its branches", rows(s, "SELECT 1", "main-mine", bound), [[1]])
    checks.equal("and deletes them", s.call("DELETE", at("mine"), token=bound).status, 200)
    s.call("POST", "/v1/databases", {"slug": "second"})
    checks.refused("but not those of others", s.call("PUT", at("x", db="second"), token=bound), 403, "forbidden", text="Token scope")
    checks.refused("which look like none", s.call("PUT", at("x", db="nothing"), token=bound), 403, "forbidden", text="Token scope")
    for role in ("readonly", "readwrite"):
        token = s.mint(role)["token"]
        checks.refused(f"{role} makes none", s.call("PUT", at("x"), token=token), 403, "forbidden")
        checks.refused(f"{role} claims none", s.call("POST", "/v1/db/acme/main/claim_branch", {}, token=token), 403, "forbidden")
        checks.refused(f"{role} deletes none", s.call("DELETE", at("x"), token=token), 403, "forbidden")
        checks.equal(f"{role} lists them", s.call("GET", "/v1/db/acme/main/branches", token=token).status, 200)
    checks.refused("nor does a table scope", s.call("PUT", at("x"), token=s.mint("admin", "--tables", "notes")["token"]), 403, "forbidden")
    checks.refused("another namespace", s.call("PUT", at("x", ns="other")), 403, "forbidden")
    checks.refused("no such database", s.call("PUT", at("x", db="nothing")), 404, "not_found")
    short = s.mint("admin", "--expires-in", "5m")["token"]
    data = claim(s, checks, {"ref": "short", "ttlSec": 86400}, token=short)
    checks.that("a token ends no later than its maker", 0 < seconds_until(data["expiresAt"]) <= 300, data)
    checks.that("its branch as asked", seconds_until(s.call("GET", "/v1/databases/main-short").json["data"]["expiresAt"]) > 86000, "")
    s.call("DELETE", at("short"))
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    path = "/api/namespaces/acme/databases/main/branches"
    made = checks.good("a person makes one", owner.ask("PUT", f"{path}/by-hand", {"ttlDays": 1}))
    checks.equal("and lists it", [b["id"] for b in owner.ask("GET", path).json["data"]], [made["id"]])
    checks.equal("a bearer there too", s.call("GET", path).json["data"][0]["id"], made["id"])
    checks.good("and deletes it", owner.ask("DELETE", f"{path}/by-hand"))


def test_tokens(checks, s):
    made = s.mint("admin", "--kind", "test")
    test = made["token"]
    checks.that("its prefix", re.fullmatch(r"psql_test_[0-9A-Za-z]{49}", test) and made["kind"] == "test", made)
    checks.equal("who it is", s.call("GET", "/v1/me", token=test).json["data"]["kind"], "test")
    for method, path, body in (("POST", "/v1/db/acme/main/query", {"sql": "SELECT 1"}), ("GET", "/v1/db/acme/main/schema", None), ("GET", "/v1/databases/main", None),
                               ("GET", "/api/namespaces/acme/databases/main/export", None), ("GET", "/api/namespaces/acme/databases/main/policies", None)):
        checks.refused(f"{method} {path}", s.call(method, path, body, token=test), 403, "forbidden", text="psql_live_")
    for method, path, body in (("POST", "/v1/databases", {"slug": "x"}), ("DELETE", "/v1/databases/main", None), ("POST", "/v1/users", {"subject": "x"}), ("GET", "/api/namespaces/acme/tokens", None),
                               ("POST", "/api/namespaces/acme/tokens", {}), ("POST", "/v1/sessions", {"databaseSlug": "main", "userId": "u"})):
        checks.refused(f"{method} {path}", s.call(method, path, body, token=test), 403, "forbidden", text="branches")
    lease = claim(s, checks, {"ref": "tested", "role": "admin"}, token=test)
    checks.that("what it claims is of its kind", lease["token"].startswith("psql_test_"), "")
    for token in (test, lease["token"]):
        checks.equal("it acts on the branch", s.query("CREATE TABLE IF NOT EXISTS x(a)", db="main-tested", token=token).status, 200)
        checks.equal("by the other name", s.query("SELECT * FROM x", db="main.tested", token=token).status, 200)
        checks.equal("it lists branches alone", [d["branchRef"] for d in s.call("GET", "/v1/databases", token=token).json["data"]], ["tested"])
    checks.equal("and by its parent", [d["branchRef"] for d in s.call("GET", "/v1/db/acme/main/branches", token=test).json["data"]], ["tested"])
    bound = s.mint("readwrite", "--database", "main", "--branch", "tested")
    checks.equal("bound to a branch", (bound["database"], bound["branch"], bound["kind"]), ("main", "tested", "live"))
    checks.equal("it opens it", s.query("SELECT 1", db="main-tested", token=bound["token"]).status, 200)
    checks.refused("and not its parent", s.query("SELECT 1", token=bound["token"]), 403, "forbidden", text="Token scope")
    checks.refused("what is missing looks the same", s.query("SELECT 1", db="nothing", token=test), 403, "forbidden", text="psql_live_")
    both = s.mint("admin", "--database", "main", "--kind", "test")["token"]
    checks.equal("test and bound to the parent", (s.query("SELECT 1", db="main-tested", token=both).status, s.query("SELECT 1", token=both).status), (200, 403))
    listed = {t["id"]: t for t in s.call("GET", "/api/namespaces/acme/tokens").json["data"]}
    checks.equal("shown in lists", (listed[made["id"]]["kind"], listed[made["id"]]["preview"][:10], listed[bound["id"]]["branch"]), ("test", "psql_test_", "tested"))
    rotated = checks.good("rotate", s.call("POST", f"/api/namespaces/acme/tokens/{made['id']}/rotate", {}))
    s.secrets.append(rotated["token"])
    checks.that("a new secret of its kind", rotated["token"].startswith("psql_test_") and rotated["kind"] == "test", rotated["kind"])
    for body, pointer in (({"kind": "prod"}, "/kind"), ({"kind": 5}, "/kind"), ({"branch": "tested"}, "/branch"), ({"database": "main", "branch": "none"}, "/branch"), ({"database": "main", "branch": ""}, "/branch")):
        checks.refused(f"create {body}", s.call("POST", "/api/namespaces/acme/tokens", body), 400, "invalid_request", pointer)
    api = checks.good("create", s.call("POST", "/api/namespaces/acme/tokens", {"kind": "test", "database": "main", "branch": "tested"}))
    s.secrets.append(api["token"])
    checks.equal("over HTTP too", (api["kind"], api["database"], api["branch"], s.query("SELECT 1", db="main-tested", token=api["token"]).status), ("test", "main", "tested", 200))
    s.call("DELETE", at("tested"))
    for token in (bound["token"], api["token"], lease["token"]):
        checks.refused("gone with the branch", s.call("GET", "/v1/me", token=token), 401, "unauthorized", text="branch")


def handoffs(checks, s):
    checks.good("PUT", s.call("PUT", at("work"), {"ttlSec": 3600}))
    redeem = lambda token: s.call("POST", "/v1/handoff/redeem", {"token": token}, headers={"Authorization": None})
    pin = lambda body=None, ref="work", **more: s.call("POST", at(ref) + "/pin", body, **more)
    made = checks.good("pin", pin({"role": "read", "ttlSec": 60}))
    s.secrets.append(made["token"])
    checks.that("the secret", re.fullmatch(r"phand_[0-9A-Za-z]{49}", made["token"]) and 50 < seconds_until(made["expiresAt"]) <= 60, made)
    checks.equal("the rest", (set(made), made["branchRef"], made["role"]), ({"token", "branchRef", "role", "expiresAt"}, "work", "read"))
    checks.refused("it is no bearer", s.call("GET", "/v1/me", token=made["token"]), 401, "unauthorized")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: redeem(made["token"]), range(100)))
    won = [a for a in answers if a.status == 200]
    checks.equal("of a hundred at once one gets it", (len(won), {a.status for a in answers if a.status != 200}), (1, {404}))
    got = won[0].json["data"]
    s.secrets.append(got["token"])
    checks.equal("its scope", (set(got), got["namespaceSlug"], got["databaseSlug"], got["branchRef"], got["role"]),
                 ({"token", "namespaceSlug", "databaseSlug", "branchRef", "role", "expiresAt"}, "acme", "main-work", "work", "read"))
    checks.that("it ends with the branch", 3500 < seconds_until(got["expiresAt"]) <= 3600, got)
    checks.equal("it reads the branch", rows(s, "SELECT count(*) FROM notes", "main-work", got["token"]), [[0]])
    checks.refused("and writes nothing", s.query("DELETE FROM notes", db="main-work", token=got["token"]), 403, "forbidden")
    checks.refused("nor reads the parent", s.query("SELECT 1", token=got["token"]), 403, "forbidden")
    gone = checks.good("pin", pin())
    s.secrets.append(gone["token"])
    checks.that("write, a quarter of an hour", gone["role"] == "write" and 890 < seconds_until(gone["expiresAt"]) <= 900, gone)
    for token in (made["token"], gone["token"][:-1], gone["token"][:-1] + ("a" if gone["token"][-1] != "a" else "b"), "phand_", "x", got["token"], s.token):
        checks.refused("none, used or wrong", redeem(token), 404, "not_found")
    s.control("UPDATE handoff SET expires_at = 1 WHERE redeemed_at IS NULL", write=True)
    checks.refused("too late", redeem(gone["token"]), 404, "not_found")
    last = checks.good("pin", pin({"role": "admin"}))
    s.secrets.append(last["token"])
    for body, pointer in (({"role": "owner"}, "/role"), ({"ttlSec": 59}, "/ttlSec"), ({"ttlSec": 86401}, "/ttlSec"), ({"ttlSec": "60"}, "/ttlSec")):
        checks.refused(f"pin {body}", pin(body), 400, "invalid_request", pointer)
    for body, pointer in (({}, "/token"), ({"token": 5}, "/token"), ({"token": ""}, "/token"), ({"token": "x" * 201}, "/token"), ({"token": "x", "more": 1}, "/more")):
        checks.refused(f"redeem {body}", s.call("POST", "/v1/handoff/redeem", body, headers={"Authorization": None}), 400, "invalid_request", pointer)
    checks.refused("no such branch", pin(ref="none"), 404, "not_found")
    checks.refused("not for writers", pin(token=s.mint("readwrite")["token"]), 403, "forbidden")
    s.call("DELETE", at("work"))
    checks.refused("gone with the branch", redeem(last["token"]), 404, "not_found")
    stored = s.control("SELECT * FROM handoff")
    checks.that("digests alone are stored", all(secret not in str(stored) for secret in s.secrets), "")


def carried(checks, s):
    policies = "/api/namespaces/acme/databases/main/policies"
    checks.good("policy", s.call("POST", policies, {"name": "own", "tableName": "lists", "expression": "name = :auth_user"}))
    s.call("PUT", "/v1/db/acme/main/describe", {"table": "lists", "description": "what there is to do"})
    made = claim(s, checks, {"ref": "pol"})
    listed = s.call("GET", policies.replace("/main/", "/main-pol/")).json["data"]
    checks.equal("policies", ([p["name"] for p in listed["policies"]], listed["rowSecurity"]), (["own"], ["lists"]))
    for name in ("ann", "bob"):
        s.query("INSERT INTO lists(name) VALUES(?)", [name], db="main-pol")
    checks.equal("and they hold", rows(s, "SELECT count(*) FROM lists", "main-pol", made["token"]), [[0]])
    ann = s.mint("readonly", "--claims", '{"user":"ann"}')["token"]
    checks.equal("by claims", rows(s, "SELECT name FROM lists", "main-pol", ann), [["ann"]])
    tables = s.call("GET", "/v1/db/acme/main-pol/describe").json["data"]["tables"]
    checks.equal("descriptions", [t.get("description") for t in tables if t.get("table", t.get("name")) == "lists"], ["what there is to do"])
    files = [s.control("SELECT id FROM database WHERE slug = ? AND deleted_at IS NULL", (slug,))[0][0] for slug in ("main", "main-pol")]
    used = [open(os.path.join(s.data, "db", f, "used")).read() for f in files]
    checks.that("a file of its own", used[0] != used[1] and len(used[1]) == 32, used)
    checks.equal("nothing is left in the parent's out/", os.listdir(os.path.join(s.data, "db", files[0], "out")), [])
    s.call("DELETE", at("pol"))
    s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "lists", "enabled": False})


def full(checks, s):
    """With rows: as of one moment, while the parent is written to, and as another file that knows nothing of the parent's calls."""
    s.query("CREATE TABLE big(id INTEGER PRIMARY KEY, a, b)")
    s.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO big SELECT i, hex(randomblob(100)), 0 FROM n")
    s.query("INSERT INTO lists(name) VALUES('keyed')", headers={"Idempotency-Key": "one"})

    def write():
        return s.batch(["UPDATE big SET b = b + 1 WHERE id = 1", "UPDATE big SET b = b + 1 WHERE id = 60000"]).status
    with beside(write) as written:
        made = [checks.good(f"PUT full {n}", s.call("PUT", at("full"), {"data": "full"})) for n in range(3)]
    checks.equal("the parent was written to meanwhile", set(written), {200})
    checks.that("many times", len(written) > 20, len(written))
    checks.equal("created, then reset", [m["outcome"] for m in made], ["created", "reset", "reset"])
    checks.equal("all rows, of one moment", rows(s, "SELECT count(*), max(b) = min(b) FROM big WHERE id IN (1, 60000)", "main-full"), [[2, 1]])
    checks.equal("all of them", rows(s, "SELECT count(*) FROM big", "main-full"), [[60000]])
    checks.equal("its indexes hold", s.call("GET", "/v1/db/acme/main-full/doctor").status, 200)
    again = s.query("INSERT INTO lists(name) VALUES('keyed there')", db="main-full", headers={"Idempotency-Key": "one"})
    checks.equal("a key of the parent's says nothing here", (again.status, again.headers.get("idempotency-replayed")), (200, None))
    log = rows(s, "SELECT count(*) FROM _persql_meta_query_log WHERE sql LIKE '%randomblob(100)%' AND sql NOT LIKE '%_log%'", "main-full")
    checks.equal("nor does its log", log, [[0]])
    checks.equal("the parent does not see it", rows(s, "SELECT count(*) FROM lists WHERE name = 'keyed there'"), [[0]])
    sibling = claim(s, checks, {"ref": "from-full", "fromRef": "full", "data": "full"})
    checks.equal("a sibling's rows", rows(s, "SELECT count(*) FROM lists WHERE name = 'keyed there'", "main-from-full", sibling["token"]), [[1]])
    for token in (s.mint("admin", "--claims", '{"user":"ann"}')["token"], s.mint("admin", "--kind", "test")["token"]):
        checks.refused("not for everybody", s.call("PUT", at("full"), {"data": "full"}, token=token), 403, "forbidden", text="full copy")
    clear(s)


def forks(checks, s):
    made = checks.good("fork", s.call("POST", "/v1/db/acme/main/fork", {"slug": "forked", "name": "Forked", "ttlDays": 7}))
    checks.equal("what it is", (made["slug"], made["name"], made["branchRef"], made["forkedFrom"]["slug"]), ("forked", "Forked", None, "main"))
    checks.that("a week", 604700 < seconds_until(made["expiresAt"]) <= 604800, made)
    checks.equal("the schema", schema_of(s, "forked"), schema_of(s, "main"))
    checks.equal("no rows", rows(s, "SELECT count(*) FROM big", "forked"), [[0]])
    checks.equal("it has branches of its own", checks.good("PUT", s.call("PUT", at("x", db="forked")))["slug"], "forked-x")
    whole = checks.good("with rows", s.call("POST", "/v1/db/acme/main/fork", {"name": "Whole copy", "data": "full"}))
    checks.equal("its slug is made", (whole["slug"], whole["expiresAt"]), ("whole-copy", None))
    checks.equal("all rows", rows(s, "SELECT count(*) FROM big", "whole-copy"), [[60000]])
    checks.equal("recorded", actions(s).count("database.forked"), 2)
    checks.refused("taken", s.call("POST", "/v1/db/acme/main/fork", {"slug": "forked"}), 409, "conflict")
    for body, pointer in (({}, "/slug"), ({"slug": "A b"}, "/slug"), ({"slug": "x", "ttlDays": 31}, "/ttlDays"), ({"slug": "x", "data": "some"}, "/data"), ({"name": "!"}, "/slug"), ({"slug": 5}, "/slug")):
        checks.refused(f"fork {body}", s.call("POST", "/v1/db/acme/main/fork", body), 400, "invalid_request", pointer)
    checks.refused("a bound token makes none", s.call("POST", "/v1/db/acme/main/fork", {"slug": "y"}, token=s.mint("admin", "--database", "main")["token"]), 403, "forbidden")
    s.control("UPDATE database SET expires_at = 1 WHERE slug = 'forked'", write=True)
    end = time.time() + 60
    while time.time() < end and s.call("GET", "/v1/databases/forked").status == 200:
        time.sleep(0.5)
    checks.equal("it goes in its time, and its branches with it", [s.call("GET", f"/v1/databases/{db}").status for db in ("forked", "whole-copy")], [404, 200])
    s.call("DELETE", "/v1/databases/whole-copy")
    s.query("DROP TABLE big")


def previews(checks, s):
    preview = lambda query="", ref="next", **more: s.call("GET", at(ref) + "/preview" + query, **more)
    checks.good("PUT", s.call("PUT", at("next")))
    plan = checks.good("preview", preview())
    checks.equal("nothing yet", plan, {"branchRef": "next", "plan": {"added": [], "changed": [], "removed": [], "statements": [], "byHand": 0}})
    for sql in ("ALTER TABLE lists ADD COLUMN weight REAL DEFAULT 1", "ALTER TABLE lists ADD COLUMN \"due, by\" TEXT", "CREATE TABLE coupons(id INTEGER PRIMARY KEY, code TEXT UNIQUE) -- codes",
                "CREATE INDEX coupon_codes ON coupons(code)", "DROP VIEW named", "CREATE VIEW named AS SELECT name FROM lists", "DROP INDEX notes_list", "DROP TRIGGER noted",
                "CREATE TRIGGER used AFTER INSERT ON coupons BEGIN DELETE FROM notes WHERE id = new.id; END", "CREATE VIRTUAL TABLE words USING fts5(word)", "DROP TABLE beside"):
        checks.equal(sql, s.query(sql, db="main-next").status, 200)
    plan = checks.good("preview", preview())["plan"]
    short = lambda kind: sorted((c["type"], c["name"]) for c in plan[kind])
    checks.equal("added", short("added"), [("index", "coupon_codes"), ("table", "coupons"), ("table", "words"), ("trigger", "used")])
    checks.equal("changed", short("changed"), [("table", "lists"), ("view", "named")])
    checks.equal("removed", short("removed"), [("index", "notes_list"), ("table", "beside"), ("trigger", "noted")])
    checks.that("both texts", all(set(c) == {"type", "name", "parentSql", "branchSql"} for c in plan["changed"]) and plan["byHand"] == 0, plan)
    checks.that("new columns are added", {'ALTER TABLE "lists" ADD COLUMN weight REAL DEFAULT 1', 'ALTER TABLE "lists" ADD COLUMN "due, by" TEXT'} <= set(plan["statements"]), plan["statements"])
    text = preview("?format=markdown")
    checks.equal("as a comment", (text.status, text.headers["content-type"]), (200, "text/markdown; charset=utf-8"))
    checks.that("with all of it", all(sql.encode() in text.data for sql in plan["statements"]) and b"- changed view named" in text.data, text.data)
    checks.equal("it runs on the parent", s.batch(plan["statements"]).status, 200)
    checks.equal("and then they are the same", checks.good("preview", preview())["plan"]["statements"], [])
    s.query("DROP TABLE coupons", db="main-next")
    s.query("CREATE TABLE coupons(id INTEGER PRIMARY KEY, code TEXT UNIQUE, CHECK (length(code) > 3))", db="main-next")
    plan = checks.good("preview", preview())["plan"]
    checks.equal("what no statement does", (plan["byHand"], [c["name"] for c in plan["changed"]], [q for q in plan["statements"] if q.startswith("ALTER")]), (1, ["coupons"], []))
    s.query('CREATE TABLE "a`b](javascript:x)\n# c"(x)', db="main-next")
    head = preview("?format=markdown").data.split(b"```")[0]
    checks.that("names make no markup", b"\n# c" not in head and b"`b](" not in head and b"javascript" in head, head)
    checks.refused("another format", preview("?format=html"), 400, "invalid_request", "/format")
    checks.refused("no such branch", preview(ref="none"), 404, "not_found")
    checks.refused("not with a table scope", preview(token=s.mint("admin", "--tables", "notes")["token"]), 403, "forbidden")
    checks.equal("readers may", preview(token=s.mint("readonly")["token"]).status, 200)
    clear(s)
    for sql in ("DROP TABLE coupons", "DROP TABLE words"):
        s.query(sql)


def one_after_the_other(checks, s):
    """Pull requests that began together, and what the parent got meanwhile."""
    merge = lambda ref: s.call("POST", at(ref) + "/merge", {"mode": "schema"})
    plan = lambda ref: checks.good("preview", s.call("GET", at(ref) + "/preview"))["plan"]
    nothing = {"added": [], "changed": [], "removed": [], "statements": [], "byHand": 0}
    s.query("CREATE TABLE kept(a, b)")
    s.query("CREATE VIEW shown AS SELECT a FROM kept")
    for ref, body in (("pr-1", {}), ("pr-2", {"data": "full"}), ("pr-3", {"data": "sample", "sampleRows": 1}), ("pr-4", {"data": "full"})):
        checks.good("PUT", s.call("PUT", at(ref), body))
    for ref, sqls in (("pr-1", ("CREATE TABLE t1(a)", "ALTER TABLE kept ADD COLUMN one")), ("pr-2", ("CREATE TABLE t2(a)", "ALTER TABLE kept ADD COLUMN two")),
                      ("pr-3", ("DROP VIEW shown", "DROP TABLE kept"))):
        for sql in sqls:
            checks.equal(sql, s.query(sql, db=f"main-{ref}").status, 200)
    checks.equal("the first", checks.good("merge", merge("pr-1"))["applied"], ["CREATE TABLE t1(a)", 'ALTER TABLE "kept" ADD COLUMN one'])
    s.query("INSERT INTO t1 VALUES (1), (2)")
    checks.equal("the second does its own alone", checks.good("merge", merge("pr-2"))["applied"], ["CREATE TABLE t2(a)", 'ALTER TABLE "kept" ADD COLUMN two'])
    checks.equal("what the first brought is there", rows(s, "SELECT a FROM t1"), [[1], [2]])
    checks.equal("both columns", [r[0] for r in rows(s, "SELECT name FROM pragma_table_info('kept')")], ["a", "b", "one", "two"])
    checks.equal("merged is nothing more", [plan("pr-1"), plan("pr-2"), plan("pr-4")], [nothing] * 3)
    told = plan("pr-3")
    checks.equal("removed here and changed there", (told["byHand"], sorted((r["name"], "byHand" in r) for r in told["removed"]), told["statements"]), (1, [("kept", True), ("shown", False)], []))
    checks.refused("is for people", merge("pr-3"), 409, "conflict", text="kept")
    for sql in ("DROP VIEW shown", "CREATE VIEW shown AS SELECT b FROM kept", "DROP TABLE t1"):
        checks.equal(sql, s.query(sql, db="main-pr-1").status, 200)
    checks.equal("a second merge of the same branch", checks.good("merge", merge("pr-1"))["applied"], ['DROP VIEW "shown"', 'DROP TABLE "t1"', "CREATE VIEW shown AS SELECT b FROM kept"])
    s.query("DROP VIEW shown", db="main-pr-2")
    s.query("CREATE VIEW shown AS SELECT two FROM kept", db="main-pr-2")
    checks.refused("in two ways", merge("pr-2"), 409, "conflict", text="shown")
    checks.good("made anew", s.call("PUT", at("pr-2")))
    checks.equal("begins with the schema of now", plan("pr-2"), nothing)
    clear(s)
    for sql in ("DROP VIEW shown", "DROP TABLE kept", "DROP TABLE t2"):
        checks.equal(sql, s.query(sql).status, 200)


def merges(checks, s):
    merge = lambda body=None, ref="next", **more: s.call("POST", at(ref) + "/merge", body, **more)
    checks.good("PUT", s.call("PUT", at("next")))
    checks.equal("nothing to do", checks.good("merge", merge()), {"branchRef": "next", "mode": "schema", "applied": []})
    for sql in ("ALTER TABLE lists ADD COLUMN merged TEXT", "CREATE TABLE tickets(id INTEGER PRIMARY KEY, list REFERENCES lists(id))", "CREATE INDEX ticket_list ON tickets(list)",
                "INSERT INTO lists(name) VALUES('of the branch')"):
        s.query(sql, db="main-next")
    wanted = s.call("GET", at("next") + "/preview").json["data"]["plan"]["statements"]
    for token in (s.mint("readwrite")["token"], s.mint("admin", "--kind", "test")["token"], s.mint("admin", "--tables", "notes")["token"]):
        checks.refused("not by everybody", merge(token=token), 403, "forbidden")
    for body, pointer in (({"mode": "rows"}, "/mode"), ({"mode": 5}, "/mode"), ({"mode": ""}, "/mode")):
        checks.refused(f"merge {body}", merge(body), 400, "invalid_request", pointer)
    checks.equal("what the preview told", checks.good("merge", merge({"mode": "schema"}))["applied"], wanted)
    checks.equal("the same schema", schema_of(s, "main"), schema_of(s, "main-next"))
    checks.equal("no rows came along", rows(s, "SELECT count(*) FROM lists WHERE name = 'of the branch'"), [[0]])
    row = s.call("GET", "/api/namespaces/acme/audit?action=database.branch_merged&limit=5").json["data"]
    checks.equal("recorded once", [(r["targetName"], r["after"]["branch"], r["after"]["statements"]) for r in row], [("main", "next", len(wanted))])
    s.query("DELETE FROM lists", db="main-next")
    s.query("CREATE TABLE fine(a)", db="main-next")
    checks.equal("an empty table takes it", s.query("ALTER TABLE lists ADD COLUMN must INTEGER NOT NULL", db="main-next").status, 200)
    before = schema_of(s, "main")
    answer = merge()
    checks.that("what fails on the parent's rows is told", answer.status == 400 and "NOT NULL" in answer.json["error"], answer)
    checks.equal("and changes nothing", schema_of(s, "main"), before)
    checks.equal("nor is it recorded", actions(s).count("database.branch_merged"), 1)
    s.batch(["CREATE TABLE moved(a PRIMARY KEY)", "CREATE TABLE refers(m REFERENCES moved)"])
    checks.good("PUT", s.call("PUT", at("next")))
    s.batch(["DROP TABLE refers", "DROP TABLE moved", "CREATE TABLE moved(a TEXT PRIMARY KEY)", "CREATE TABLE refers(m REFERENCES moved)"], db="main-next")
    checks.refused("what cannot be made anew", merge(), 409, "conflict", text="moved")
    s.batch(["DROP TABLE refers", "DROP TABLE moved"], db="main-next")
    checks.equal("removed", checks.good("merge", merge())["applied"], ['DROP TABLE "refers"', 'DROP TABLE "moved"'])
    for n in range(101):
        s.query(f"CREATE TABLE many{n}(a)", db="main-next")
    checks.refused("too much for one transaction", merge(), 409, "conflict", text="100")
    checks.refused("no such branch", merge(ref="none"), 404, "not_found")
    clear(s)
    s.query("DROP TABLE tickets")


def at_once(checks, s):
    """Two jobs, and twenty, on one ref: all are served, one branch comes of it, and what was made last is whole."""
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda n: s.call("POST", "/v1/db/acme/main/claim_branch", {"ref": "same", "purpose": f"job {n}"}), range(20)))
    checks.equal("all are served", [a.status for a in got], [200] * 20)
    s.secrets += [a.json["data"]["token"] for a in got]
    checks.equal("one was the first", sorted(a.json["data"]["outcome"] for a in got).count("created"), 1)
    checks.equal("one branch", len(s.call("GET", "/v1/db/acme/main/branches").json["data"]), 1)
    checks.equal("every token opens it", {rows(s, "SELECT count(*) FROM notes", "main-same", a.json["data"]["token"])[0][0] for a in got}, {0})

    def use():
        return s.query("INSERT INTO lists(name) VALUES(hex(randomblob(8)))", db="main-same").status
    with beside(use, use, use) as seen:
        for _ in range(10):
            checks.good("PUT while it is used", s.call("PUT", at("same")))
    checks.that("calls meanwhile work or are told to wait", set(seen) <= {200, 503}, set(seen))
    s.call("DELETE", at("same"))


def expiry(checks, s):
    made = claim(s, checks, {"ref": "brief", "ttlSec": 60})
    checks.good("one that stays", s.call("PUT", at("stays")))
    s.control("UPDATE database SET expires_at = ? WHERE slug = 'main-brief'", (int(time.time() * 1000) - 1,), write=True)
    end = time.time() + 60
    while time.time() < end and any(b["branchRef"] == "brief" for b in s.call("GET", "/v1/db/acme/main/branches").json["data"]):
        time.sleep(0.5)
    checks.equal("it goes within a minute, the other stays", [b["branchRef"] for b in s.call("GET", "/v1/db/acme/main/branches").json["data"]], ["stays"])
    deleted = s.call("GET", "/api/namespaces/acme/audit?action=database.branch_deleted&limit=100").json["data"]
    checks.equal("its row", [(row["actor"]["kind"], row["before"]["ref"]) for row in deleted if row["targetName"] == "main-brief"], [("server", "brief")])
    checks.refused("its token", s.call("GET", "/v1/me", token=made["token"]), 401, "unauthorized")
    s.call("DELETE", at("stays"))
    s.call("POST", "/v1/databases", {"slug": "passing"})
    checks.good("a branch of one that goes", s.call("PUT", at("x", db="passing")))
    s.call("DELETE", "/v1/databases/passing")
    s.call("POST", "/v1/databases", {"slug": "passing"})
    again = checks.good("its name is free for the next", s.call("PUT", at("x", db="passing")))
    checks.equal("a new one", again["outcome"], "created")
    s.call("DELETE", at("x", db="passing"))
    s.call("DELETE", "/v1/databases/passing")


def crashes(checks, s):
    """SIGKILL in the middle of claims, many times: afterwards each branch that is listed is whole, and nothing else is left."""
    for n in range(6):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            def work(k):
                for i in range(200):
                    try:
                        s.call("POST", "/v1/db/acme/main/claim_branch", {"ref": f"c{(k + i) % 4}"})
                    except OSError:
                        return
                    except Exception:  # the connection broke within an answer
                        return
            jobs = [pool.submit(work, k) for k in range(3)]
            time.sleep(0.15 + 0.11 * n)
            s.kill()
            for j in jobs:
                j.result()
        s.start()
        branches = s.call("GET", "/v1/db/acme/main/branches").json["data"]
        checks.equal(f"{n}: every branch works", {b["slug"]: (b["status"], rows(s, "SELECT count(*) FROM notes", b["slug"])) for b in branches}, {b["slug"]: ("healthy", [[0]]) for b in branches})
        checks.equal(f"{n}: no intent is left", s.control("SELECT count(*) FROM database WHERE status NOT IN ('healthy', 'deleted')") + s.control("SELECT count(*) FROM database_exchange"), [(0,), (0,)])
        known = {row[0] for row in s.control("SELECT id FROM database WHERE deleted_at IS NULL")}
        checks.equal(f"{n}: nor a directory", set(os.listdir(os.path.join(s.data, "db"))) - known, set())
        checks.equal(f"{n}: nor files that wait", [os.path.exists(os.path.join(s.data, d)) for d in ("staging", "replaced")], [False, False])
    clear(s)
    checks.equal("the audit log holds", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        fill(s)
        for part in (plain, names, bodies, claims, who_may, test_tokens, handoffs, carried, full, forks, previews, merges, one_after_the_other, at_once, expiry, crashes):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
