#!/usr/bin/env python3
"""Rules and invariants over HTTP: their routes on both surfaces, what they let through, refuse and hold, the examples of
policy/examples each against a write that it meets and one that it does not, imports, branches, bad input.
Usage: test_rules.py PATH-OF-HOLDFAST"""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

RULES, EXAMPLES = "/v1/db/acme/main/approval-rules", os.path.join(HERE, "..", "..", "policy", "examples")
API = "/api/namespaces/acme/databases/main/approval-rules"
SCHEMA = ["CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, email TEXT)", "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INT)",
          "CREATE TABLE lines(id INTEGER PRIMARY KEY, person REFERENCES people ON DELETE CASCADE)", "CREATE TABLE reports(body)", "CREATE TABLE scratch(a)",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO people SELECT i, 'n', 'e' FROM n",
          "INSERT INTO accounts SELECT id, CASE id WHEN 190 THEN 1 ELSE 5000 END FROM people", "INSERT INTO lines VALUES(1, 1)"]
# example: (SQL that it meets, SQL that it does not meet, what else is sent)
CASES = {
    "more-than-100-rows": ("UPDATE people SET name = 'x' WHERE id <= 101", "UPDATE people SET name = 'x' WHERE id <= 100", {}),
    "touches-email": ("UPDATE people SET email = 'x' WHERE id = 1", "UPDATE people SET name = 'x' WHERE id = 1", {}),
    "balance-moves": ("UPDATE accounts SET balance = balance - 501 WHERE id < 3", "UPDATE accounts SET balance = balance - 500 WHERE id < 3", {}),
    "deletes-by-cascade": ("DELETE FROM people WHERE id = 1", "DELETE FROM people WHERE id = 2", {}),
    "more-than-a-tenth": ("DELETE FROM people WHERE id > 179", "DELETE FROM people WHERE id > 180", {}),
    "any-schema-change": ("ALTER TABLE scratch ADD COLUMN b", "INSERT INTO scratch VALUES(1)", {}),
    "this-agent-only": ("INSERT INTO reports VALUES('x')", "INSERT INTO scratch VALUES(1)", {"agent": "tok_reporter"}),
}

ALSO_MEET = {"balance-moves": [*(f"UPDATE accounts SET balance = {value} WHERE id = 190" for value in ("9e999", "-9e999", "x'39'", "'9z'")),
                               "UPDATE accounts SET id = id + 1000, balance = balance + 5000 WHERE id = 190", "INSERT INTO accounts VALUES(999, 1e9)", "DELETE FROM accounts WHERE id = 9"],
             "touches-email": ["UPDATE people SET id = id + 1000, email = 'x' WHERE id = 5", "INSERT INTO people VALUES(999, 'n', 'x')", "DELETE FROM people WHERE id = 5"],
             "more-than-a-tenth": ["UPDATE people SET id = id + CASE WHEN id % 2 THEN 1000 ELSE 0 END, name = 'z' WHERE id BETWEEN 151 AND 180"]}


def store(checks, s, rule, path=RULES):
    a = s.call("POST", path, rule)
    checks.equal(f"stored: {rule}", a.status, 200) or print(a)
    return a.json["data"]["id"]


def clear(s):
    for r in s.call("GET", RULES).json["data"]:
        s.call("DELETE", f"{RULES}/{r['id']}")


def routes(checks, s):
    made = s.call("POST", API, {"tableGlob": "production_*", "action": "require_approval", "note": "Needs human sign-off"}).json["data"]
    checks.that("PerSQL's members", {"id", "tableGlob", "action", "note", "createdAt"} <= set(made) and made["id"].startswith("rule_"), made)
    second = store(checks, s, {"action": "deny", "tableGlob": "x", "order": 1})
    for path in (RULES, API):
        checks.equal(f"{path}: in their order", [r["id"] for r in s.call("GET", path).json["data"]], [second, made["id"]])
    moved = s.call("PATCH", f"{API}/{second}", {"order": 99, "note": "last"}).json["data"]
    checks.equal("what it was", (moved["order"], moved["before"]["order"], moved["before"]["note"]), (99, 1, None))
    gone = s.call("DELETE", f"{RULES}/{second}").json["data"]
    checks.equal("deleted", (gone["deleted"], gone["before"]["note"]), (True, "last"))
    checks.equal("once", s.call("DELETE", f"{RULES}/{second}").status, 404)
    checks.equal("no business of a readwrite token", s.call("GET", RULES, token=s.mint("readwrite")["token"]).status, 403)
    clear(s)


def bad_input(checks, s):
    for change in ({"action": None}, {"action": "hold"}, {"action": 5}, {"tableGlob": ""}, {"tableGlob": "x" * 256}, {"tableGlob": []}, {"note": ""}, {"note": "x" * 1001},
                   {"when": ""}, {"when": "SELECT FROM"}, {"when": "1; DROP TABLE people"}, {"when": "(SELECT name FROM people)"}, {"when": "x" * 4001}, {"when": 1},
                   {"when": "load_extension('x')"}, {"when": "(SELECT 1 FROM pragma_table_list)"}, {"when": "1)) UNION SELECT ((1"}, {"order": 0}, {"order": "1"},
                   {"approvals": 2}, {"approverRole": "owner"}, {"more": 1}):
        a = s.call("POST", RULES, {"action": "deny", **change})
        checks.that(f"refused: {change}", a.status == 400 and a.json["pointer"] == "/" + next(iter(change)), a)
    for change in ({"approvals": 0}, {"approvals": 11}, {"approvals": None, "approverRole": "king"}):
        checks.equal(f"refused: {change}", s.call("POST", RULES, {"action": "require_approval", **change}).status, 400)
    checks.equal("nothing was stored", s.call("GET", RULES).json["data"], [])


REMADE = [["DROP TABLE kid", "CREATE TABLE kid(id INTEGER PRIMARY KEY, v)"],
          ["ALTER TABLE kid RENAME TO gone", "CREATE TABLE kid(id INTEGER PRIMARY KEY, v)", "DROP TABLE gone"],
          ["CREATE TABLE q(id INTEGER PRIMARY KEY, v)", "DROP TABLE kid", "ALTER TABLE q RENAME TO kid"]]
AWAY = [["ALTER TABLE kid RENAME TO zz", write, "ALTER TABLE zz RENAME TO kid"] for write in ("DELETE FROM zz", "UPDATE zz SET v = 99", "INSERT INTO zz VALUES(4, 4)")]


def remade(checks, s):
    """A table that is dropped and made again, or exchanged, is another one, whatever its text says."""
    s.batch(["CREATE TABLE kid(id INTEGER PRIMARY KEY, v)", "INSERT INTO kid VALUES(1, 1), (2, 2), (3, 3)"])
    for rule in ({"tableGlob": "kid"}, {"when": "EXISTS (SELECT 1 FROM effects WHERE op = 'schema' AND table_name = 'kid')"},
                 {"when": "(SELECT sum(row_count) FROM effects WHERE op = 'delete') = 3"}, {"tableGlob": "kid", "when": "EXISTS (SELECT 1 FROM changes WHERE old IS NOT NULL)"}):
        store(checks, s, {**rule, "action": "deny"})
        wanted = "approval_required" if "changes" in rule.get("when", "") else "denied_by_rule"
        for write in REMADE:
            for whole in (True, False):
                a = s.db("batch", {"statements": [{"sql": sql} for sql in write], "transaction": whole})
                checks.that(f"{rule}: {write}", a.status == 403 and a.json["code"] == wanted, a)
            dump = s.call("POST", "/v1/db/acme/main/import?format=sql", (";".join(write) + ";").encode(), headers={"Content-Type": "application/sql"})
            checks.that(f"{rule}: {write}, imported", dump.status == 403, dump)
            told = s.db("propose", {"statements": [{"sql": sql} for sql in write]}).json["data"]
            checks.equal(f"{write}: told", [(d["name"], d["rows"], d.get("replaced")) for d in told["schemaDiff"]], [("kid", 3, True)])
        for write in AWAY:
            statements = [{"sql": sql} for sql in write]
            asked = [s.db("batch", {"statements": statements, "transaction": whole}) for whole in (True, False)] + [s.db("propose", {"statements": statements})]
            asked.append(s.call("POST", "/v1/db/acme/main/import?format=sql", (";".join(write) + ";").encode(), headers={"Content-Type": "application/sql"}))
            checks.that(f"{rule}: rows are not changed under another name for the time: {write}", all(a.status in (400, 403) for a in asked), asked)
        checks.equal("nothing is gone", s.query("SELECT count(*), sum(v) FROM kid").json["data"]["rows"], [[3, 6]])
        clear(s)
    s.query("DROP TABLE kid")


def off_work():
    now = time.gmtime()
    return now.tm_wday > 4 or not 8 <= now.tm_hour < 18


def examples(checks, s):
    found = {name.removesuffix(".json") for name in os.listdir(EXAMPLES) if name.endswith(".json")}
    checks.equal("each example is tried", found, set(CASES) | {"outside-working-hours"})
    for name in sorted(found):
        with open(os.path.join(EXAMPLES, name + ".json"), encoding="utf-8") as f:
            rule = json.load(f)
        store(checks, s, rule)
        if name in CASES:
            meets, passes, more = CASES[name]
            wanted = "denied_by_rule" if rule["action"] == "deny" else "approval_required"
            a = s.db("query", {"sql": meets, **more})
            checks.that(f"{name} meets", a.status == 403 and a.json["code"] == wanted and ("approvalToken" in a.json) == (wanted == "approval_required"), a)
            checks.equal(f"{name}: told", a.json["hits"][0]["note"], rule["note"])
            for sql in ALSO_MEET.get(name, []):
                checks.equal(f"{name} meets {sql}", s.db("query", {"sql": sql, **more}).json.get("code"), wanted)
            a = s.db("query", {"sql": f"EXPLAIN {passes}"})
            checks.equal(f"{name} does not ask about reading", a.status, 200)
            checks.equal(f"{name} passes", s.db("propose", {"sql": passes, **more}).json["data"]["decision"], "allow")
        else:  # the clock is the machine's: what it says before and after is one of the two, at the turn of an hour
            wanted = [off_work()]
            decision = s.db("propose", {"sql": "INSERT INTO scratch VALUES(1)"}).json["data"]["decision"]
            checks.that(name, decision in ["require_approval" if off else "allow" for off in [*wanted, off_work()]], decision)
        clear(s)


def one_bearer_only(checks, s):
    """What the body says of the agent proves nothing; the id of the token does."""
    with open(os.path.join(EXAMPLES, "this-agent-only.json"), encoding="utf-8") as f:
        rule = json.load(f)
    reporter = s.mint("readwrite")
    store(checks, s, {**rule, "when": rule["when"].replace("tok_reporter", reporter["id"])})
    write = {"sql": "INSERT INTO reports VALUES('mine')", "agent": reporter["id"]}
    checks.equal("the reporter's token writes", s.call("POST", "/v1/db/acme/main/query", write, token=reporter["token"]).status, 200)
    checks.equal("another one does not", s.db("query", write).json["code"], "denied_by_rule")
    clear(s)


def kept_by_people(checks, s):
    """An admin's token neither removes nor weakens what a person decided; the person does, and may let it."""
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    owner.session()
    made = owner.ask("POST", API, {"tableGlob": "people", "action": "require_approval"}).json["data"]
    checks.equal("a person's rule is people's", made["peopleOnly"], True)
    for method, path, body in (("DELETE", f"{RULES}/{made['id']}", None), ("PATCH", f"{API}/{made['id']}", {"action": "allow"}), ("PUT", RULES, {"rules": []}),
                               ("POST", RULES, {"tableGlob": "*", "action": "allow", "order": 1})):
        a = s.call(method, path, body)
        checks.that(f"not by a token: {method} {path}", a.status == 403 and a.json["code"] == "forbidden" and "kept by people" in a.json["error"], a)
    checks.equal("it holds", s.query("DELETE FROM people WHERE id = 9").json["code"], "approval_required")
    checks.equal("a token may be stricter", s.call("POST", RULES, {"tableGlob": "people", "action": "deny", "order": 1}).status, 200)
    checks.equal("and lists whose it is", [r["peopleOnly"] for r in s.call("GET", RULES).json["data"]], [False, True])
    invariant = owner.ask("POST", "/api/namespaces/acme/databases/main/invariants", {"name": "some", "sql": "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM people)"}).json["data"]
    checks.equal("an invariant too", s.call("DELETE", f"/v1/db/acme/main/invariants/{invariant['id']}").status, 403)
    checks.equal("which the person removes", owner.ask("DELETE", f"/api/namespaces/acme/databases/main/invariants/{invariant['id']}").status, 200)
    checks.equal("tokens may, when a person lets them", owner.ask("PATCH", f"{API}/{made['id']}", {"peopleOnly": False}).json["data"]["before"]["peopleOnly"], True)
    clear(s)
    checks.equal("all are gone", s.call("GET", RULES).json["data"], [])


def whole_writes(checks, s):
    """A refusal says what would pass, also where that is nothing, or is not for the caller to know."""
    scoped = s.mint("readwrite", "--tables", "scratch")["token"]
    write = lambda **more: s.db("query", {"sql": "INSERT INTO scratch VALUES(1)"}, **more).json
    store(checks, s, {"action": "deny"})
    for who in ({}, {"token": scoped}):
        told = write(**who)
        checks.that("nothing passes", told["code"] == "denied_by_rule" and "none passes until an admin changes" in told["error"], told)
    told = s.call("POST", "/v1/db/acme/main/import?format=csv&table=scratch", b"a\n1\n", headers={"Content-Type": "text/csv"}).json
    checks.that("nor an import", told["error"].endswith('a "when"'), told)
    clear(s)
    store(checks, s, {"action": "deny", "when": "(SELECT sum(row_count) FROM effects) > 0"})
    checks.that("the condition", write()["error"].endswith("It would pass if this were not so: (SELECT sum(row_count) FROM effects) > 0"), write())
    checks.that("not to everybody", write(token=scoped)["error"].endswith("an admin can tell what would pass"), write(token=scoped))
    clear(s)


def imports_and_branches(checks, s):
    store(checks, s, {"tableGlob": "people", "action": "deny"})
    store(checks, s, {"tableGlob": "accounts", "action": "require_approval"})
    load = lambda path, body: s.call("POST", f"/v1/db/acme/{path}", body, headers={"Content-Type": "text/csv"})
    for table, code in (("people", "denied_by_rule"), ("accounts", "denied_by_rule"), ("scratch", None)):
        a = load(f"main/import?format=csv&table={table}", b"a\n1\n" if table == "scratch" else b"id\n9999\n")
        checks.equal(f"import into {table}", a.json.get("code"), code) or print(a)
    dump = s.call("POST", "/v1/db/acme/main/import?format=sql", b"CREATE TABLE more(a); DELETE FROM people WHERE id = 150;", headers={"Content-Type": "application/sql"})
    checks.equal("a script", dump.json.get("code"), "denied_by_rule")
    checks.equal("nothing of it", s.query("SELECT count(*) FROM people WHERE id IN (150, 9999)").json["data"]["rows"], [[1]])
    checks.equal("nor its table", s.query("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").json["data"]["rows"], [[0]])
    described = s.call("GET", "/v1/db/acme/main/describe").json["data"]["rules"]
    prompt = s.call("GET", "/v1/db/acme/main/describe?format=compact").data.decode()
    checks.that("describe for a prompt", prompt.endswith("rule deny: people\nrule require_approval: accounts\n"), prompt)
    checks.equal("describe", [(r["tableGlob"], r["action"], r["tables"]) for r in described], [("people", "deny", ["people"]), ("accounts", "require_approval", ["accounts"])])
    s.call("PUT", "/v1/db/acme/main/branches/free", {"data": "full"})
    checks.equal("a branch begins without rules", s.call("GET", "/v1/db/acme/main-free/approval-rules").json["data"], [])
    checks.equal("so it is free", s.query("DELETE FROM people WHERE id = 3", db="main-free").status, 200)
    s.call("PUT", "/v1/db/acme/main/branches/empty")
    checks.equal("without rows too", s.call("GET", "/v1/db/acme/main-empty/approval-rules").json["data"], [])
    clear(s)


def reasons(checks, s):
    store(checks, s, {"tableGlob": "scratch", "action": "require_reason"})
    for reason in (None, " ", "\t\n", "\u200b", "\u3000\u00a0\ufeff"):
        a = s.db("query", {"sql": "INSERT INTO scratch VALUES(7)", "reason": reason})
        checks.equal(f"{reason!r} is no reason", (a.status, a.json.get("code")), (403, "reason_required"))
        checks.equal(f"{reason!r} is none for a proposal", s.db("propose", {"sql": "INSERT INTO scratch VALUES(7)", "reason": reason}).json["data"]["decision"], "require_reason")
    checks.equal("a reason", s.db("query", {"sql": "INSERT INTO scratch VALUES(7)", "reason": " why\u200b"}).status, 200)
    clear(s)


def invariants(checks, s):
    path = "/v1/db/acme/main/invariants"
    made = s.call("POST", path, {"name": "solvent", "sql": "SELECT id FROM accounts WHERE balance < 0"}).json["data"]
    checks.equal("list", [i["name"] for i in s.call("GET", path).json["data"]], ["solvent"])
    a = s.query("UPDATE accounts SET balance = -1 WHERE id IN (4, 5)")
    checks.equal("refused", (a.status, a.json["code"], a.json["invariant"]["rows"]), (409, "invariant", [[4], [5]]))
    checks.equal("taken back", s.query("SELECT min(balance) FROM accounts WHERE id <> 190").json["data"]["rows"], [[5000]])
    checks.equal("does not hold now", s.call("POST", path, {"name": "none", "sql": "SELECT 1"}).status, 409)
    checks.equal("no SELECT", s.call("POST", path, {"name": "none", "sql": "DELETE FROM people"}).json["pointer"], "/sql")
    checks.equal("deleted", s.call("DELETE", f"{path}/{made['id']}").json["data"]["before"]["name"], "solvent")
    checks.equal("free again", s.query("UPDATE accounts SET balance = -1 WHERE id = 4").status, 200)


def whatever_writes(checks, s):
    """Merges of rows and of the schema, undos and approved writes end with every invariant, too."""
    main = "/v1/db/acme/kept"
    s.call("POST", "/v1/databases", {"slug": "kept", "name": "Kept"})
    for sql in ("CREATE TABLE t(id INTEGER PRIMARY KEY, n INT)", "INSERT INTO t VALUES(1, 1), (2, 2)"):
        s.query(sql, db="kept")
    s.call("PUT", main + "/branches/b", {"data": "full"})
    made = s.db("propose", {"sql": "UPDATE t SET n = 5 WHERE id = 1"}, db="kept").json["data"]
    s.db("apply", {"executionToken": made["executionToken"]}, db="kept")
    for name, sql in (("not one", "SELECT id FROM t WHERE n = 1"), ("not nine", "SELECT id FROM t WHERE n = 9"), ("t alone", "SELECT name FROM pragma_table_info('t') WHERE name = 'more'")):
        checks.equal(f"invariant {name}", s.call("POST", main + "/invariants", {"name": name, "sql": sql}).status, 200)
    s.query("UPDATE t SET n = 9 WHERE id = 2", db="kept-b")
    merged = s.call("POST", main + "/branches/b/merge", {"mode": "data"})
    checks.equal("a merge of rows", (merged.status, merged.json.get("code")), (409, "invariant"))
    s.query("ALTER TABLE t ADD COLUMN more", db="kept-b")
    merged = s.call("POST", main + "/branches/b/merge", {"mode": "schema"})
    checks.equal("a merge of the schema", (merged.status, merged.json.get("code")), (409, "invariant"))
    undo = s.db(f"proposals/{made['proposalId']}/undo", {}, db="kept").json["data"]
    checks.equal("an undo tells", undo["flags"]["brokenInvariants"], ["not one"])
    done = s.db("apply", {"executionToken": undo["executionToken"]}, db="kept")
    checks.equal("and is not done", (done.status, done.json["code"]), (409, "invariant"))
    checks.equal("nothing was changed", s.query("SELECT group_concat(n) FROM t", db="kept").json["data"]["rows"], [["5,2"]])


def restored(checks, s):
    """A restore keeps the invariants of now, and tells which of them its rows break."""
    path = "/v1/db/acme/main/invariants"
    s.query("UPDATE accounts SET balance = -5 WHERE id = 6")
    made = s.call("POST", "/v1/db/acme/main/snapshots", {"label": "in debt"}).json["data"]
    s.query("UPDATE accounts SET balance = abs(balance)")
    ids = [s.call("POST", path, {"name": name, "sql": f"SELECT id FROM {table}"}).json["data"]["id"] for name, table in
           (("solvent", "accounts WHERE balance = -5"), ("small", "people WHERE id > 1000"))]
    checks.equal("all hold", s.call("GET", path + "?broken=true").json["data"], [])
    a = s.call("POST", "/v1/db/acme/main/restore", {"snapshotId": made["id"]}).json["data"]
    checks.equal("what does not hold afterwards", [(i["id"], i["name"], i["rows"]) for i in a["invariants"]], [(ids[0], "solvent", [[6]])])
    checks.equal("is told whenever it is asked", s.call("GET", path + "?broken=true").json["data"], a["invariants"])
    checks.equal("true or false", s.call("GET", path + "?broken=maybe").json["pointer"], "/broken")
    checks.equal("it holds up writes until it is mended", s.query("UPDATE accounts SET balance = 1 WHERE id = 1").json["code"], "invariant")
    checks.equal("mended", s.query("UPDATE accounts SET balance = 1 WHERE id = 6").status, 200)
    checks.equal("then a restore breaks none", s.call("POST", "/v1/db/acme/main/restore", {"snapshotId": a["replaced"]["id"]}).json["data"]["invariants"], [])


def restored_by_people(checks, s):
    """A restore is judged by nobody: where people's rules hold or deny a write, or a rule does so with every write, people do it themselves."""
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    owner.session()
    made = s.call("POST", "/v1/db/acme/main/snapshots", {"label": "before"}).json["data"]
    s.query("INSERT INTO scratch VALUES('approved')")
    rows = lambda: s.query("SELECT count(*) FROM scratch WHERE a = 'approved'").json["data"]["rows"]
    back = lambda ask, where: ask("POST", where + "/restore", {"snapshotId": made["id"]})
    own, api = "/v1/db/acme/main", "/api/namespaces/acme/databases/main"
    for ask, rule in ((owner.ask, {"tableGlob": "people", "action": "deny"}), (owner.ask, {"tableGlob": "nowhere", "when": "0", "action": "require_approval"}),
                      (s.call, {"action": "require_approval"}), (s.call, {"tableGlob": "*", "action": "deny"})):
        rule = ask("POST", API, rule).json["data"]
        for where in (own, api):
            a = back(s.call, where)
            checks.that(f"not by a token under {rule['tableGlob']} {rule['action']}", a.status == 403 and a.json["code"] == "forbidden" and rule["id"] in a.json["error"], a)
        checks.equal("nothing was changed", rows(), [[1]])
        checks.equal("gone", owner.ask("DELETE", f"{API}/{rule['id']}").status, 200)
    for ask, rule in ((owner.ask, {"tableGlob": "people", "action": "require_reason"}), (s.call, {"tableGlob": "people", "action": "deny"}), (s.call, {"when": "0", "action": "deny"})):
        checks.equal(f"stored {rule}", ask("POST", API, rule).status, 200)
    checks.equal("rules that say nothing of it", back(s.call, own).status, 200)
    checks.equal("it is done", rows(), [[0]])
    checks.equal("a person's again", owner.ask("POST", API, {"action": "deny"}).status, 200)
    checks.equal("a person does it", back(owner.ask, api).status, 200)
    for r in s.call("GET", RULES).json["data"]:
        owner.ask("DELETE", f"{API}/{r['id']}")


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for sql in SCHEMA:
            checks.equal(sql, s.query(sql).status, 200)
        for part in (routes, bad_input, examples, remade, one_bearer_only, kept_by_people, whole_writes, imports_and_branches, reasons, invariants, whatever_writes, restored, restored_by_people):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
