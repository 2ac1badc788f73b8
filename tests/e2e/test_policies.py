#!/usr/bin/env python3
"""Row-level security over HTTP: policies by their routes, tokens with claims, what each sees and changes, what nobody learns, what
bad input is told. Usage: test_policies.py PATH-OF-HOLDFAST"""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

BASE = "/api/namespaces/acme/databases/main"
SECRET = "zqxsecret"


def rows(s, sql, token=None, params=None):
    a = s.query(sql, params, token=token) if token else s.query(sql, params)
    return a.json["data"]["rows"] if a.status == 200 else (a.status, a.json["error"])


def tenants(checks, s):
    for sql in ("CREATE TABLE notes(id INTEGER PRIMARY KEY, tenant TEXT, body TEXT)", "CREATE TABLE free(a)",
                f"INSERT INTO notes VALUES(1, 'a', 'mine'), (2, 'b', '{SECRET}')"):
        checks.equal(sql, s.query(sql).status, 200)
    a, b, none = (s.mint("readwrite", *more)["token"] for more in
                  (["--claims", '{"tenant":"a"}'], ["--claims", '{"tenant":"b"}'], []))
    checks.equal("before a policy all see all", rows(s, "SELECT id FROM notes", none), [[1], [2]])
    made = s.call("POST", BASE + "/policies", {"name": "own", "tableName": "notes", "expression": "tenant = :auth_tenant", "enabled": True})
    checks.equal("stored", made.status, 200) or print(made)
    policy = made.json["data"]
    checks.that("policy", policy["id"].startswith("pol_") and policy["command"] == "all" and policy["problem"] is None, policy)
    checks.equal("a", rows(s, "SELECT id FROM notes", a), [[1]])
    checks.equal("b", rows(s, "SELECT body FROM notes", b), [[SECRET]])
    checks.equal("a missing claim is NULL", rows(s, "SELECT id FROM notes", none), [])
    checks.equal("an admin without claims", rows(s, "SELECT count(*) FROM notes"), [[2]])
    checks.equal("an admin with claims", rows(s, "SELECT count(*) FROM notes", s.mint("admin", "--claims", '{"tenant":"a"}')["token"]), [[1]])
    w = s.query("INSERT INTO notes(tenant, body) VALUES('a', 'more') RETURNING id", token=a).json["data"]
    checks.equal("insert", (w["rows"], w["changes"], w["lastInsertRowid"]), ([[3]], 1, 3))
    refused = s.query("INSERT INTO notes(tenant, body) VALUES('b', 'more')", token=a)
    checks.that("insert for another", refused.status == 400 and "own" in refused.json["error"], refused)
    checks.equal("update of hidden rows", s.query("UPDATE notes SET body = 'x' WHERE tenant = 'b'", token=a).json["data"]["changes"], 0)
    both = s.batch(["UPDATE notes SET body = 'new' WHERE id = 1", "SELECT body FROM notes WHERE id = 1"], token=a).json["data"]
    checks.equal("a batch sees its writes", both[1]["rows"], [["new"]])
    taken = s.query("INSERT INTO notes VALUES(2, 'a', 'x')", token=a)
    checks.that("a taken key tells the key alone", taken.status == 400 and SECRET not in str(taken.data), taken)
    return policy, a, b, none


def reach(checks, s, a):
    for method, path, body in (("GET", "doctor", None), ("GET", "query-log", None), ("GET", "export", None), ("GET", "export?format=sqlite", None),
                               ("GET", "export?format=csv&table=notes", None), ("GET", "export?format=ndjson&table=notes", None), ("GET", "describe", None),
                               ("GET", "describe?format=compact", None), ("GET", "tables", None), ("GET", "schema", None), ("GET", "search?q=zqx", None),
                               ("POST", "explain", {"sql": "SELECT body FROM notes"}), ("POST", "validate", {"sql": "SELECT body FROM main.notes"})):
        answer = s.call(method, f"/v1/db/acme/main/{path}", body, token=a)
        checks.that(f"{path}: no secret", SECRET.encode() not in answer.data and answer.status in (200, 403), answer)
    for sql in ("SELECT * FROM main.notes", "WITH notes AS (SELECT * FROM main.notes) SELECT * FROM notes", "DELETE FROM main.notes", "SELECT * FROM _sys_policy"):
        answer = s.query(sql, token=a)
        checks.that(sql, answer.status == 403 and SECRET.encode() not in answer.data, answer)
    listed = s.call("GET", "/v1/db/acme/main/tables", token=a).json["data"]
    checks.equal("row counts are of what is seen", [t["rowCount"] for t in listed if t["name"] == "notes"], [2])
    checks.equal("policies are no business of a", s.call("GET", BASE + "/policies", token=a).status, 403)


def life(checks, s, policy, a):
    one = BASE + "/policies/" + policy["id"]
    listed = s.call("GET", BASE + "/policies").json["data"]
    checks.equal("list", ([p["id"] for p in listed["policies"]], listed["rowSecurity"]), ([policy["id"]], ["notes"]))
    test = s.call("POST", BASE + "/policies/test", {"tableName": "notes", "claims": {"tenant": "b"}})
    checks.equal("what would b see", test.json["data"]["rows"], [[2, "b", SECRET]]) or print(test)
    checks.equal("what would nobody see", s.call("POST", BASE + "/policies/test", {"tableName": "notes"}).json["data"]["rows"], [])
    checks.equal("change", s.call("PATCH", one, {"expression": "id = 2"}).json["data"]["using"], "id = 2")
    checks.equal("changed at once", rows(s, "SELECT id FROM notes", a), [[2]])
    checks.equal("disabled: closed", (s.call("PATCH", one, {"enabled": False}).status, rows(s, "SELECT id FROM notes", a)), (200, []))
    checks.equal("deleted: closed", (s.call("DELETE", one).status, rows(s, "SELECT id FROM notes", a)), (200, []))
    checks.equal("deleted is gone", s.call("DELETE", one).status, 404)
    checks.equal("the table keeps its name", s.query("ALTER TABLE notes RENAME TO x").status, 403)
    checks.equal("off", s.call("PUT", BASE + "/row-security", {"tableName": "notes", "enabled": False}).status, 200)
    checks.equal("off: open", rows(s, "SELECT count(*) FROM notes", a), [[3]])
    audit = s.call("GET", "/api/namespaces/acme/audit?limit=50").json["data"]
    seen = {row["action"] for row in (audit if isinstance(audit, list) else audit["entries"])}
    of = {action: [r for r in audit if r["action"] == action] for action in seen}
    was = {"policy": policy["id"], "name": policy["name"], "tableName": "notes", "command": policy["command"], "withCheck": policy["withCheck"], "roles": policy["roles"]}
    asked = dict.fromkeys(("name", "tableName", "command", "using", "withCheck", "roles", "enabled"))
    checks.equal("what it was and what was asked", [(r["before"], r["after"]) for r in of["policy.updated"]],
                 [({**was, "using": "id = 2", "enabled": "true"}, {**asked, "policy": policy["id"], "enabled": "false"}),
                  ({**was, "using": policy["using"], "enabled": "true"}, {**asked, "policy": policy["id"], "using": "id = 2"})])
    checks.equal("what was deleted", [(r["before"], r["after"]) for r in of["policy.deleted"]], [({**was, "using": "id = 2", "enabled": "false"}, {"policy": policy["id"]})])
    checks.that("audited", {"policy.created", "policy.updated", "policy.deleted", "policy.row_security"} <= seen, seen)


def no_way_around(checks, s):
    """An admin token with claims stands under the policies, and hands on nothing else."""
    own = s.mint("admin", "--claims", '{"tenant":"a"}')["token"]
    tokens = "/api/namespaces/acme/tokens"
    made = s.call("POST", tokens, {"name": "child"}, token=own)
    checks.equal("a child has its maker's claims", made.json["data"]["claims"], {"tenant": "a"}) or print(made)
    for claims in ({"tenant": "b"}, {"tenant": "a", "more": 1}):
        checks.equal(f"no child with {claims}", s.call("POST", tokens, {"name": "child", "claims": claims}, token=own).status, 403)
    checks.equal("spelled otherwise", s.call("POST", tokens, {"name": "child", "claims": {"tenant": "a"}}, token=own).status, 200)
    free = s.mint("readonly")["id"]
    checks.equal("no rotation of another's", s.call("POST", f"{tokens}/{free}/rotate", {}, token=own).status, 403)
    for method, path, body in (("POST", "/policies", {"name": "x", "tableName": "notes", "expression": "1"}), ("GET", "/policies", None),
                               ("PUT", "/row-security", {"tableName": "notes", "enabled": False}), ("POST", "/policies/test", {"tableName": "notes"})):
        checks.equal(f"{method} {path}", s.call(method, BASE + path, body, token=own).status, 403)
    for sql in ("CREATE TABLE x AS SELECT * FROM notes", "ALTER TABLE notes ADD COLUMN z", "CREATE VIEW x AS SELECT * FROM main.notes", "DROP TABLE free"):
        checks.that(sql, s.query(sql, token=own).status in (400, 403))


def bad_input(checks, s):
    good = {"name": "n", "tableName": "notes", "expression": "1"}
    for change, pointer in (({"name": ""}, "/name"), ({"name": 5}, "/name"), ({"tableName": "nope"}, "/tableName"), ({"tableName": None}, "/tableName"),
                            ({"command": "drop"}, "/command"), ({"roles": ["king"]}, "/roles/0"), ({"roles": []}, "/roles"), ({"enabled": "yes"}, "/enabled"),
                            ({"expression": "1; DROP TABLE notes"}, "/expression"), ({"expression": "1) OR (1"}, "/expression"),
                            ({"expression": "nope = 1"}, "/expression"), ({"expression": "random()"}, "/expression"), ({"expression": "tenant = ?"}, "/expression"),
                            ({"command": "select", "withCheck": "1"}, "/withCheck"), ({"command": "insert"}, "/using"), ({"using": "1"}, "/expression"),
                            ({"expression": "x" * 5000}, "/expression"), ({"more": 1}, "/more"), ({"expression": "EXISTS(SELECT 1 FROM notes)"}, "/expression")):
        a = s.call("POST", BASE + "/policies", {**good, **change})
        checks.that(f"{change}: {pointer}", a.status == 400 and pointer in a.data.decode(), a)
    for body, pointer in (({}, "/tableName"), ({"tableName": "nope"}, "/tableName"), ({"tableName": "notes", "claims": []}, "/claims"),
                          ({"tableName": "notes", "claims": {"a b": 1}}, "/claims"), ({"tableName": "notes", "claims": {"a": []}}, "/claims/a"),
                          ({"tableName": "notes", "role": "king"}, "/role"), ({"tableName": "notes", "limit": 0}, "/limit")):
        a = s.call("POST", BASE + "/policies/test", body)
        checks.that(f"test {body}: {pointer}", a.status == 400 and pointer in a.data.decode(), a)
    checks.equal("nothing was stored", s.call("GET", BASE + "/policies").json["data"]["policies"], [])
    for claims in ("[]", "{", '{"a":{}}', '{"a b":1}', '"x"', '{"a":"' + "x" * 5000 + '"}'):
        done = s.run("token", "create", "--data", s.data, "--namespace", "acme", "--role", "readonly", "--claims", claims, check=False)
        checks.that(f"claims {claims[:20]}", done.returncode != 0 and "claims" in done.stderr, done.stderr)


def many_at_once(checks, s):
    """Tokens of both tenants and an admin, together: each only ever sees its own."""
    s.call("POST", BASE + "/policies", {"name": "own", "tableName": "notes", "expression": "tenant = :auth_tenant"})
    tokens = {name: s.mint("readwrite", "--claims", json.dumps({"tenant": name}))["token"] for name in ("a", "b")}
    wrong = []

    def work(name):
        for n in range(60):
            if n % 4 == 0:
                s.query("INSERT INTO notes(tenant, body) VALUES(?, 'w')", [name], token=tokens[name])
            seen = rows(s, "SELECT DISTINCT tenant FROM notes", tokens[name])
            if seen != [[name]]:
                wrong.append((name, seen))

    def admin():
        for n in range(20):
            s.query(f"INSERT INTO free VALUES({n})")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "a", "b")] + [threading.Thread(target=admin)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    checks.equal("each saw its own", wrong, [])
    checks.equal("all was written", rows(s, "SELECT count(*) FROM notes WHERE body = 'w'"), [[60]])


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        policy, a, _, _ = tenants(checks, s)
        reach(checks, s, a)
        no_way_around(checks, s)
        life(checks, s, policy, a)
        bad_input(checks, s)
        many_at_once(checks, s)
        checks.that("no log holds a hidden row", SECRET not in s.log(), "")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
