#!/usr/bin/env python3
"""Rules, invariants and masks as files: `holdfast policy pull`, `push`, `test`, `replay`. Usage: test_policy_files.py PATH-OF-HOLDFAST"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

RULES = {
    "100-no-deletes.json": {"tableGlob": "ledger", "when": "EXISTS (SELECT 1 FROM effects WHERE op = 'delete')", "action": "deny", "note": "The ledger only grows"},
    "200-many-rows.json": {"when": "(SELECT sum(row_count) FROM effects) > 3", "action": "require_approval", "approvals": 2, "approverRole": "owner", "note": "Many rows"},
    "1000-why.json": {"tableGlob": "people", "action": "require_reason"},
}
INVARIANTS = {"no-debt.json": {"sql": "SELECT id FROM ledger WHERE amount < -1000", "note": "Nobody owes more than that"}}
FIXTURE = {
    "schema": ["CREATE TABLE ledger(id INTEGER PRIMARY KEY, amount INTEGER)", "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)"],
    "data": ["INSERT INTO ledger(amount) VALUES(1), (2), (3), (4), (5)", "INSERT INTO people(name) VALUES('ada')"],
    "cases": [
        {"name": "one row", "write": {"sql": "UPDATE ledger SET amount = 9 WHERE id = ?", "params": [1]}, "decision": "allow"},
        {"name": "all rows", "write": {"sql": "UPDATE ledger SET amount = 9"}, "decision": "require_approval", "rule": "200-many-rows"},
        {"name": "a delete", "write": {"sql": "DELETE FROM ledger WHERE id = 1"}, "decision": "deny", "rule": "100-no-deletes"},
        {"name": "a delete in a batch", "write": {"statements": [{"sql": "INSERT INTO people(name) VALUES(?)", "params": ["lin"]}, {"sql": "DELETE FROM ledger"}]},
         "decision": "deny", "rule": "100-no-deletes"},
        {"name": "no reason", "write": {"sql": "UPDATE people SET name = 'lin'"}, "decision": "require_reason", "rule": "1000-why"},
        {"name": "a debt", "write": {"sql": "UPDATE ledger SET amount = -2000 WHERE id = 1"}, "decision": "invariant", "rule": "no-debt"},
        {"name": "a reason", "write": {"sql": "UPDATE people SET name = 'lin'"}, "reason": "she married", "decision": "allow"},
    ],
}


class Folder:
    """A directory of policy files, and the commands run on it."""

    def __init__(self, s, name, rules=None, invariants=None, fixtures=None):
        self.s, self.path = s, os.path.join(s.dir, name)
        os.makedirs(self.path)
        for kind, files in (("rules", rules), ("invariants", invariants), ("fixtures", fixtures)):
            for file, content in (files or {}).items():
                self.write(kind, file, content)

    def write(self, kind, file, content):
        os.makedirs(os.path.join(self.path, kind), exist_ok=True)
        with open(os.path.join(self.path, kind, file), "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))

    def remove(self, kind, file):
        os.remove(os.path.join(self.path, kind, file))

    def files(self, kind):
        """{name: content}"""
        found, folder = {}, os.path.join(self.path, kind)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name)) as f:
                found[name] = json.load(f)
        return found

    def run(self, verb, *args, token=None, url=None, database="acme/main"):
        env = dict(self.s.env, HOLDFAST_DIR=self.path)
        if verb != "test":
            env.update(HOLDFAST_TOKEN=token or self.s.token, HOLDFAST_URL=url or f"http://127.0.0.1:{self.s.port}", HOLDFAST_DATABASE=database)
        return subprocess.run([self.s.binary, "policy", verb, *args], text=True, capture_output=True, env=env, timeout=120)


def on_server(s, db="main"):
    """The rules as they stand, without what the server adds."""
    return [{k: v for k, v in r.items() if k in ("order", "tableGlob", "when", "action", "approvals", "approverRole", "note") and v is not None}
            for r in s.db("approval-rules", db=db, method="GET").json["data"]]


def wanted(rules):
    listed = [{"order": int(name.split("-")[0]), **rule} for name, rule in sorted(rules.items(), key=lambda x: int(x[0].split("-")[0]))]
    return [{"approvals": 1, **r} if r["action"] == "require_approval" else r for r in listed]


def pushing(checks, s):
    folder = Folder(s, "pushing", RULES, INVARIANTS)
    shown = folder.run("push")
    checks.that("a difference is shown and nothing is done", shown.returncode == 1 and all(f"+ rule {name}" in shown.stdout for name in RULES)
                and "+ invariant no-debt" in shown.stdout and "Nothing was changed" in shown.stdout, shown)
    checks.equal("the database has no rules", on_server(s), [])
    done = folder.run("push", "--yes")
    checks.equal("with --yes it is done", (done.returncode, done.stderr), (0, ""))
    checks.equal("the rules, in the order of their numbers", on_server(s), wanted(RULES))
    checks.equal("the invariant", [(i["name"], i["sql"], i["note"]) for i in s.db("invariants", method="GET").json["data"]],
                 [("no-debt", INVARIANTS["no-debt.json"]["sql"], INVARIANTS["no-debt.json"]["note"])])
    ids = [r["id"] for r in s.db("approval-rules", method="GET").json["data"]]
    again = folder.run("push")
    checks.equal("then there is nothing to do", (again.returncode, again.stdout.count("\n")), (0, 1)) or print(again)
    folder.write("rules", "200-many-rows.json", {**RULES["200-many-rows.json"], "approvals": 1})
    folder.remove("rules", "1000-why.json")
    folder.write("rules", "150-ok.json", {"tableGlob": "people", "action": "allow"})
    shown = folder.run("push", "--json")
    changes = json.loads(shown.stdout)
    checks.equal("the difference for scripts", (shown.returncode, changes["changed"], [(c["change"], c["what"]) for c in changes["changes"]]),
                 (1, False, [("add", "rule"), ("change", "rule"), ("remove", "rule")])) or print(changes)
    checks.equal("changed", (folder.run("push", "--yes").returncode, [r["order"] for r in on_server(s)]), (0, [100, 150, 200]))
    after = [r["id"] for r in s.db("approval-rules", method="GET").json["data"]]
    checks.equal("a rule that stays is the same rule", (after[0], after[2]), (ids[0], ids[1]))
    checks.equal("and holds at once", s.query("DELETE FROM ledger").status, 403)
    audit = [e for e in s.call("GET", "/api/namespaces/acme/audit?limit=50").json["data"] if e["action"] == "rule.replaced"]
    checks.equal("each push leaves one row in the audit log", len(audit), 2)


def all_or_nothing(checks, s):
    folder, before = Folder(s, "broken", RULES, INVARIANTS), on_server(s)
    for what, file, content, text in (
            ("a condition that is no SQL", "300-x.json", {"when": "SELEC", "action": "deny"}, "when"),
            ("an action that is none", "300-x.json", {"action": "forbid"}, "action"),
            ("a role that is none", "300-x.json", {"action": "require_approval", "approverRole": "boss"}, "approverRole"),
            ("a member that is none", "300-x.json", {"action": "deny", "table": "x"}, "300-x.json"),
            ("no JSON", "300-x.json", "{", "300-x.json"),
            ("no order", "x.json", {"action": "deny"}, "begins with its order"), ("an order twice", "200-x.json", {"action": "deny"}, "has that order")):
        folder.write("rules", file, content)
        done = folder.run("push", "--yes")
        checks.that(f"{what}: refused, and the message says where", done.returncode in (1, 2) and text in done.stderr and not done.stdout, done)
        checks.equal("and nothing is changed", on_server(s), before)
        folder.remove("rules", file)
    folder.write("invariants", "bad.json", {"sql": "DELETE FROM ledger"})
    checks.that("an invariant that writes", folder.run("push", "--yes").returncode == 1)
    checks.equal("and no rule is changed", on_server(s), before)


def pulling(checks, s):
    folder = Folder(s, "pulled")
    done = folder.run("pull")
    checks.equal("pull", (done.returncode, done.stderr), (0, ""))
    rules = folder.files("rules")
    checks.equal("a file for each rule, named by order and note", sorted(rules), ["100-the-ledger-only-grows.json", "150-allow-people.json", "200-many-rows.json"])
    checks.equal("that says what the rule says", rules["100-the-ledger-only-grows.json"], RULES["100-no-deletes.json"])
    checks.equal("the invariant", folder.files("invariants"), {"no-debt.json": {"name": "no-debt", **INVARIANTS["no-debt.json"]}})
    checks.equal("pushed back, it is the same", folder.run("push").returncode, 0)
    checks.that("pulled again, nothing is touched", "is what the database has" in folder.run("pull").stdout)
    os.rename(os.path.join(folder.path, "rules", "200-many-rows.json"), os.path.join(folder.path, "rules", "200-mine.json"))
    rule = next(r for r in s.db("approval-rules", method="GET").json["data"] if r["order"] == 200)
    s.db(f"approval-rules/{rule['id']}", {"note": "Very many rows"}, method="PATCH")
    ids = {r["order"]: r["id"] for r in s.db("approval-rules", method="GET").json["data"]}
    s.db(f"approval-rules/{ids[150]}", method="DELETE")
    s.db("approval-rules", {"action": "allow", "tableGlob": "notes", "order": 200})
    done = folder.run("pull", "--json")
    checks.equal("what was changed, made and removed", {(c["did"], c["file"]) for c in json.loads(done.stdout)},
                 {("changed", "rules/200-mine.json"), ("wrote", "rules/201-allow-notes.json"), ("removed", "rules/150-allow-people.json")})
    checks.equal("a name that somebody gave stays", folder.files("rules")["200-mine.json"]["note"], "Very many rows")
    checks.equal("two of one order are asked one after the other", [r["order"] for r in on_server(s)] if folder.run("push", "--yes").returncode == 0 else None, [100, 200, 201])


def kept_by_people(checks, s):
    """A pipeline's token exchanges its own rules and leaves people's alone, or is told whose they are."""
    s.call("POST", "/v1/databases", {"slug": "kept", "name": "Kept"})
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    owner.session()
    at = "/api/namespaces/acme/databases/kept/approval-rules"
    made = owner.ask("POST", at, {"tableGlob": "ledger", "action": "require_approval", "order": 100}).json["data"]
    folder, run = Folder(s, "kept"), lambda *args: folder.run(*args, database="acme/kept")
    refused = run("push", "--yes")
    checks.that("not removed", refused.returncode == 1 and f"The rule {made['id']} (require_approval ledger) is kept by people" in refused.stderr, refused)
    checks.equal("pulled", (run("pull").returncode, list(folder.files("rules").values())), (0, [{"tableGlob": "ledger", "action": "require_approval"}]))
    folder.write("rules", "200-rest.json", {"action": "allow"})
    checks.equal("others come behind it", (run("push", "--yes").returncode, [(r["order"], r["peopleOnly"]) for r in s.db("approval-rules", db="kept", method="GET").json["data"]]),
                 (0, [(100, True), (200, False)]))
    folder.write("rules", "050-first.json", {"action": "allow"})
    refused = run("push", "--yes")
    checks.that("not before it", refused.returncode == 1 and "put a rule before it" in refused.stderr and len(on_server(s, "kept")) == 2, refused)


def masks(checks, s):
    """Masks live beside the rules; files that have no directory of them say nothing of them."""
    column = lambda name, kind, **options: {"table": "people", "column": name, "kind": kind, **({"options": options} if options else {})}
    set_masks = lambda: [(m["column"], m["kind"], m["options"]) for m in s.db("masks", method="GET", db="past").json["data"]["masks"]]
    folder, run = Folder(s, "masks"), lambda *args: folder.run(*args, database="acme/past")
    checks.equal("nothing is said, nothing is done", (run("push").returncode, os.path.isdir(os.path.join(folder.path, "masks"))), (0, False))
    folder.write("masks", "who.json", column("name", "name", part="first"))
    shown = run("push")
    checks.that("the difference", shown.returncode == 1 and '+ mask people.name  name {"part":"first"}' in shown.stdout and set_masks() == [], shown)
    checks.equal("is made so", (run("push", "--yes").returncode, set_masks(), run("push").returncode), (0, [("name", "name", {"part": "first"})], 0))
    s.query("ALTER TABLE people ADD COLUMN phone", db="past")
    again = run("push")
    checks.that("a new column is told", again.returncode == 0 and "! masks  no masked branch can be made: " in again.stdout and "phone" in again.stdout, again)
    folder.write("masks", "who.json", column("NAME", "name"))
    checks.that("options that are left out are the usual ones", "~ mask people.NAME" in run("push").stdout)
    done = run("pull")
    checks.that("pulled into the file that is there", "changed  " in done.stdout and folder.files("masks") == {"who.json": column("name", "name", part="first")}, done)
    folder.remove("masks", "who.json")
    run("pull")
    checks.equal("or one named by table and column", list(folder.files("masks")), ["people-name.json"])
    for what, mask, text in (("a kind that is none", column("name", "rot13"), "people-name.json"), ("an option that is none", column("name", "hash", part="first"), "people-name.json"),
                             ("a column that is none", column("nick", "hash"), "is no column of")):
        folder.write("masks", "people-name.json", mask)
        done = run("push", "--yes")
        checks.that(f"{what}: refused", done.returncode in (1, 2) and text in done.stderr and set_masks() == [("name", "name", {"part": "first"})], done)
    folder.write("masks", "people-name.json", column("name", "hash"))
    folder.write("masks", "twice.json", column("Name", "null"))
    checks.that("a column twice", "masks that column, too" in run("push", "--yes").stderr)
    shutil.rmtree(os.path.join(folder.path, "masks"))
    checks.equal("no directory", (run("push", "--yes").returncode, len(set_masks())), (0, 1))
    os.makedirs(os.path.join(folder.path, "masks"))
    checks.equal("an empty one", (run("push", "--yes").returncode, set_masks()), (0, []))


def refusals(checks, s):
    folder = Folder(s, "refused", RULES)
    writer = s.mint("readwrite")["token"]
    for what, more, status, text in (("another token", {"token": "psql_live_none"}, 1, "does not take the token"), ("no admin", {"token": writer}, 1, "admin"),
                                     ("no database", {"database": "acme/none"}, 1, "No such database"), ("half a name", {"database": "main"}, 2, "NAMESPACE/DATABASE"),
                                     ("a path", {"database": "acme/../x"}, 2, "NAMESPACE/DATABASE"), ("nobody there", {"url": "http://127.0.0.1:1"}, 1, "cannot be asked"),
                                     ("no address", {"url": "here"}, 2, "https://")):
        done = folder.run("push", **more)
        checks.that(f"{what}: {status} {text}", done.returncode == status and text in done.stderr and done.stderr.count("\n") == 1, done)
    shutil.rmtree(folder.path)
    done = folder.run("push")
    checks.that("no directory", done.returncode == 1 and "there is no directory" in done.stderr, done)


def testing(checks, s):
    folder = Folder(s, "tested", RULES, INVARIANTS, {"ledger.json": FIXTURE})
    left = set(os.listdir(s.env.get("TMPDIR", "/tmp")))
    done = folder.run("test")
    checks.that("all fixtures pass", done.returncode == 0 and done.stdout.endswith("7 passed, 0 failed\n") and "ok   ledger.json: one row" in done.stdout, done)
    checks.equal("nothing is left behind", [n for n in set(os.listdir(s.env.get("TMPDIR", "/tmp"))) - left if n.startswith("holdfast-scratch-")], [])
    folder.write("rules", "200-many-rows.json", {**RULES["200-many-rows.json"], "when": "(SELECT sum(row_count) FROM effects) > 30"})
    done = folder.run("test", "--json")
    told = json.loads(done.stdout)
    checks.equal("a rule that was loosened is found", (done.returncode, told["failed"], [c["name"] for c in told["cases"] if not c["passed"]]), (1, 1, ["all rows"]))
    done = folder.run("test")
    checks.that("in words", "FAIL ledger.json: all rows" in done.stdout and "decided: allow; expected: require_approval by 200-many-rows" in done.stdout, done)
    folder.write("fixtures", "ledger.json", {"cases": [{"name": "no table", "write": {"sql": "DELETE FROM nope"}, "decision": "allow"}]})
    done = folder.run("test")
    checks.that("a write that fails", done.returncode == 1 and "no such table: nope" in done.stdout, done)
    for what, content, text in (("a schema that fails", {"schema": ["CREATE"], "cases": FIXTURE["cases"]}, "ledger.json: "), ("no cases", {"cases": []}, "ledger.json: "),
                                ("a case without a write", {"cases": [{"name": "x", "decision": "allow"}]}, "write")):
        folder.write("fixtures", "ledger.json", content)
        done = folder.run("test")
        checks.that(f"{what}: the message says where", done.returncode in (1, 2) and text in done.stderr, done)
    folder.remove("fixtures", "ledger.json")
    checks.that("no fixtures", "there are no fixtures" in folder.run("test").stderr)


def examples(checks, s):
    """Those of the repository decide what they promise."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "policy", "examples")
    done = s.run("policy", "test", "--dir", folder, check=False)
    checks.that("policy/examples", done.returncode == 0 and done.stdout.count("ok   ") > 10, done.stdout + done.stderr)


def replaying(checks, s):
    folder = Folder(s, "replayed", RULES)
    for sql in ("UPDATE ledger SET amount = 7 WHERE id = 1", "UPDATE ledger SET amount = 8", "UPDATE people SET name = 'x'"):
        made = s.db("propose", {"sql": sql, "reason": "looking"}, db="past").json
        checks.that(f"{sql} is proposed", made["success"], made)
    none = folder.run("replay", database="acme/past")
    checks.that("what the files would change", none.returncode == 0 and "1 of 3 decisions would change" in none.stdout and "was allow" in none.stdout
                and "now require_approval by 200-many-rows" in none.stdout, none)
    folder.write("rules", "050-frozen.json", {"action": "deny", "note": "frozen"})
    told = json.loads(folder.run("replay", "--json", "--since", "1h", database="acme/past").stdout)
    checks.equal("all of them", (told["judged"], told["skipped"], {c["after"] for c in told["changed"]}), (3, 0, {"deny by 050-frozen"}))
    checks.equal("nothing is changed by it", (on_server(s, "past"), s.query("SELECT sum(amount) FROM ledger", db="past").json["data"]["rows"]), ([], [[15]]))
    shutil.rmtree(os.path.join(folder.path, "rules"))
    checks.that("the same rules", "0 of 3 decisions would change" in folder.run("replay", database="acme/past").stdout)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        s.call("POST", "/v1/databases", {"slug": "past", "name": "Past"})
        for db in ("main", "past"):
            for sql in FIXTURE["schema"] + FIXTURE["data"]:
                s.query(sql, db=db)
        for part in (pushing, all_or_nothing, pulling, kept_by_people, masks, refusals, testing, examples, replaying):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
