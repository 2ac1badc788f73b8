#!/usr/bin/env python3
"""Writes that wait for people: who may decide, that exactly what was approved is done, once, and that it is told truly whatever
crashes. Usage: test_approvals.py PATH-OF-HOLDFAST"""
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument, until
from people import Person

GOOD = "seven grey geese over the harbour"
SCHEMA = ["CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT)", "INSERT INTO orders(id, status) VALUES(1, 'open'), (2, 'open'), (3, 'done')",
          "CREATE TABLE free(a)", "CREATE TABLE two(a)", "CREATE TABLE never(a)"]
RULES = [{"tableGlob": "orders", "action": "require_approval", "note": "Ask Lin first"},
         {"tableGlob": "two", "action": "require_approval", "approvals": 2}, {"tableGlob": "never", "action": "deny"}]
PEOPLE = {}


def make(s, name, ns="acme", role="admin"):
    """A person by the command line, signed in."""
    made = s.run("user", "create", "--data", s.data, "--email", f"{name}@example.com", "--json", *(["--namespace", ns, "--role", role] if ns else []), input=GOOD + "\n")
    p = Person(s, f"{name}@example.com", GOOD)
    p.id = json.loads(made.stdout)["id"]
    p.sign_in()
    p.session()
    return p


def people(checks, s):
    PEOPLE["owner"] = Person(s, "owner@example.com", PASSWORD)
    PEOPLE["owner"].sign_in()
    PEOPLE["owner"].session()
    for name, role in (("first", "admin"), ("second", "admin"), ("editor", "editor")):
        PEOPLE[name] = make(s, name, role=role)
    PEOPLE["stranger"] = make(s, "stranger", ns=None)
    checks.equal("schema", s.batch(SCHEMA).status, 200)
    for rule in RULES:
        checks.equal(f"rule {rule}", s.db("approval-rules", rule).status, 200)
    made = PEOPLE["first"].ask("POST", "/api/namespaces/acme/tokens", {"name": "agent", "role": "readwrite"})
    s.agent = made.json["data"]["token"]
    s.agent_id = made.json["data"]["id"]
    s.secrets.append(s.agent)


def value(s, sql):
    for _ in range(100):  # an engine that was killed a moment ago may take this one with it
        a = s.query(sql)
        if a.status not in (500, 503):
            break
    assert a.status == 200, a
    return a.json["data"]["rows"][0][0]


def hold(s, sql="UPDATE orders SET status = 'shipped' WHERE status = 'open'", **more):
    a = s.db("query", {"sql": sql, **more}, token=s.agent)
    assert a.status == 403 and "approvalToken" in a.json, a
    return a.json


def quietly(s, sql):
    """A write while no rule looks at it; then the rule is there again, and says what it said."""
    for rule in [r["id"] for r in s.db("approval-rules", method="GET").json["data"] if r["tableGlob"] == "orders"]:
        assert s.db(f"approval-rules/{rule}", method="DELETE").status == 200
    assert s.query(sql).status == 200
    assert s.db("approval-rules", RULES[0]).status == 200


def get(s, approval, **more):
    return s.db(f"approvals/{approval}", method="GET", **{"token": s.agent, **more})


def status(s, token):
    return get(s, token).json["data"]["status"]


def decide(name, token, decision="approve", **more):
    return PEOPLE[name].ask("POST", f"/api/approvals/{token}/decision", {"decision": decision, **more})


def redeem(s, approval, **more):
    return s.db("redeem_approval", {"approvalToken": approval}, **{"token": s.agent, **more})


# --- ---

def whole_story(checks, s):
    held = hold(s, reason="month's end", agent="bot \u202e", model="m-1", ticket="T-1")
    token = held["approvalToken"]
    for key, wanted in (("success", False), ("error", "Statement requires human approval before it can run"), ("code", "approval_required"),
                        ("approvalUrl", f"http://127.0.0.1:{s.port}/approve/{token}")):
        checks.equal(f"held: {key}", held[key], wanted)
    checks.equal("held: hits", [(h["tableGlob"], h["action"], h["matchedTable"], h["note"]) for h in held["hits"]], [("orders", "require_approval", "orders", "Ask Lin first")])
    checks.that("held: id", token.startswith("appr_") and len(token) >= 25, token)
    checks.equal("nothing happened", value(s, "SELECT count(*) FROM orders WHERE status = 'open'"), 2)
    mine = get(s, token).json["data"]
    for key, wanted in (("status", "pending"), ("sql", "UPDATE orders SET status = 'shipped' WHERE status = 'open'"), ("estimatedAffectedRows", 2), ("hash", held["hash"]),
                        ("proposalId", held["proposalId"]), ("approvals", 1), ("approvalsGiven", 0), ("approverRole", "admin"), ("agent", "bot \u202e"), ("reason", "month's end"),
                        ("requestedBy", {"tokenId": s.agent_id, "userId": PEOPLE["first"].id}), ("decisions", []), ("decidedAt", None)):
        checks.equal(f"get: {key}", mine[key], wanted)
    checks.equal("what hides is spelled out beside it", mine["display"]["agent"], "bot \\u{202E}")
    checks.that("what is somebody else's is named", {"sql", "reason", "agent", "model", "ticket"} <= set(mine["untrusted"]), mine["untrusted"])
    early = redeem(s, token)
    checks.refused("redeem before anybody decided", early, 409, "conflict")
    checks.that("and how to wait for it", "waitSec" in early.json["error"], early)
    inbox = PEOPLE["owner"].ask("GET", "/api/namespaces/acme/approvals?status=pending").json["data"]
    checks.equal("inbox", ([a["approvalToken"] for a in inbox["approvals"]], inbox["counts"]["pending"]), ([token], 1))
    shown = PEOPLE["owner"].ask("GET", f"/api/approvals/{token}").json["data"]
    checks.equal("shown with its rows", [(r["key"], r["before"], r["after"]) for r in shown["proposal"]["changes"]["rows"]],
                 [({"id": i}, {"status": "open"}, {"status": "shipped"}) for i in (1, 2)])
    checks.equal("may decide", (shown["mayDecide"], shown["mayNotDecideBecause"]), (True, None))
    decided = decide("owner", token, note="fine", hash=shown["hash"])
    checks.equal("decision", (decided.status, decided.json["data"]["status"], decided.json["data"]["decidedBy"]), (200, "approved", decided.json["data"]["decisions"][0]["userId"]))
    checks.equal("still nothing happened", value(s, "SELECT count(*) FROM orders WHERE status = 'open'"), 2)
    done = redeem(s, token, headers={"Idempotency-Key": "redeem-1"})
    checks.equal("redeem", (done.status, done.json["data"]["changes"], done.json["meta"]["proposalId"]), (200, 2, held["proposalId"]))
    checks.equal("done", value(s, "SELECT count(*) FROM orders WHERE status = 'shipped'"), 2)
    checks.equal("status", status(s, token), "redeemed")
    again = redeem(s, token, headers={"Idempotency-Key": "redeem-1"})
    checks.equal("the same key has the first answer", (again.status, again.headers.get("idempotency-replayed"), again.json["data"]), (200, "true", done.json["data"]))
    checks.refused("redeem twice", redeem(s, token), 404, "not_found")
    checks.refused("decide afterwards", decide("second", token), 409, "conflict")
    checks.equal("once", value(s, "SELECT count(*) FROM orders WHERE status = 'shipped'"), 2)
    rows = [(r["action"], r["actorUserId"]) for r in PEOPLE["owner"].ask("GET", "/api/namespaces/acme/audit?limit=4").json["data"] if r["targetId"] == token]
    checks.equal("audit", [r[0] for r in rows], ["approval.redeemed", "approval.approved", "approval.requested"])
    quietly(s, "UPDATE orders SET status = 'open' WHERE id < 3")


def every_way_to_write(checks, s):
    """Whatever route a held write came by, it is registered, approved and done by the same three calls."""
    admin = s.token
    proposed = s.db("propose", {"sql": "UPDATE orders SET status = 'p' WHERE id = 1"}).json["data"]
    s.secrets.append(proposed["executionToken"])
    def done(what, answer, token=admin, changes=1):
        if not checks.equal(f"{what}: held", (answer.status, answer.json.get("code")), (403, "approval_required")):
            return None
        approval = answer.json["approvalToken"]
        checks.equal(f"{what}: approved", decide("first", approval).json["data"]["status"], "approved")
        a = redeem(s, approval, token=token)
        body = a.json["data"]
        checks.equal(f"{what}: done", (a.status, sum(r["changes"] for r in body) if isinstance(body, list) else body["changes"]), (200, changes))
        return answer.json["proposalId"]
    same = [s.query("UPDATE orders SET status = 'q' WHERE id = 3", headers={"Idempotency-Key": "held-1"}) for _ in range(2)]
    checks.equal("sent again with its key it is the same one", same[0].json["approvalToken"], same[1].json["approvalToken"])
    done("query", same[1])
    done("batch", s.batch(["UPDATE orders SET status = 'a' WHERE id = 3", "UPDATE orders SET status = 'b' WHERE id = 3"]), changes=2)
    applied = done("apply", s.db("apply", {"executionToken": proposed["executionToken"]}))
    undo = s.db(f"proposals/{applied}/undo", {})
    checks.equal("an undo is proposed", undo.status, 200)
    s.secrets.append(undo.json["data"]["executionToken"])
    done("an undo", s.db("apply", {"executionToken": undo.json["data"]["executionToken"]}))
    checks.equal("it is undone", value(s, "SELECT status FROM orders WHERE id = 1"), "open")
    checks.equal("branch", s.call("PUT", "/v1/db/acme/main/branches/held", {}).status, 200)
    checks.equal("the branch changes", s.query("ALTER TABLE orders ADD COLUMN more", db="main-held").status, 200)
    merge = s.call("POST", "/v1/db/acme/main/branches/held/merge", {"mode": "schema"})
    done("merge", merge, changes=0)
    checks.equal("merged", s.query("SELECT more FROM orders LIMIT 1").status, 200)
    page = s.call("GET", f"/approve/{same[0].json['approvalToken']}", headers={"Authorization": None})
    checks.that("the address leads to a page", page.status == 200 and page.headers["content-type"].startswith("text/html"), page)


def at_once(checks, s):
    """Eight callers, one of them does it."""
    for n in range(200, 206):
        token, answers = hold(s, f"INSERT INTO orders(id, status) VALUES({n}, 'race')")["approvalToken"], []
        decide("owner", token)
        race = [threading.Thread(target=lambda t=token: answers.append(redeem(s, t).status)) for _ in range(8)]
        for t in race:
            t.start()
        for t in race:
            t.join()
        checks.equal(f"{n}: once", (sorted(answers), value(s, f"SELECT count(*) FROM orders WHERE id = {n}")), ([200] + [404] * 7, 1))


def denied(checks, s):
    token = hold(s)["approvalToken"]
    checks.equal("deny", decide("owner", token, "deny", note="not today").json["data"]["status"], "denied")
    checks.refused("redeem what was denied", redeem(s, token), 409, "conflict")
    mine = get(s, token).json["data"]
    checks.equal("the reason is told", (mine["status"], mine["decisions"][0]["note"]), ("denied", "not today"))
    a = s.query("INSERT INTO never VALUES(1)", token=s.agent)
    checks.that("what a rule denies has no approval", a.status == 403 and "approvalToken" not in a.json, a)


def who_may(checks, s):
    token = hold(s)["approvalToken"]
    checks.refused("an editor", decide("editor", token), 403, "forbidden")
    checks.refused("who made the token", decide("first", token), 403, "forbidden")
    checks.refused("a stranger", decide("stranger", token), 404, "not_found")
    checks.equal("to a stranger it does not exist", PEOPLE["stranger"].ask("GET", f"/api/approvals/{token}").status, 404)
    checks.equal("a bearer", s.call("POST", f"/api/approvals/{token}/decision", {"decision": "approve"}).status, 401)
    checks.refused("without the session's token", PEOPLE["owner"].ask("POST", f"/api/approvals/{token}/decision", {"decision": "approve"}, csrf=False), 403, "csrf_failed")
    checks.refused("another hash was shown", decide("owner", token, hash="sha256:" + "0" * 64), 409, "conflict")
    s.control("UPDATE session SET confirmed_at = confirmed_at - 3600000 WHERE account_id = ?", (PEOPLE["second"].id,), write=True)
    stale = Person(s, "second@example.com", GOOD)
    stale.cookie, stale.csrf = PEOPLE["second"].cookie, PEOPLE["second"].csrf
    s.control("UPDATE account SET name = name", write=True)
    made = PEOPLE["owner"].ask("POST", "/api/namespaces/acme/tokens", {"name": "moves the generation"})  # caches look again
    checks.equal("token", made.status, 200)
    s.secrets.append(made.json["data"]["token"])
    checks.refused("password given long ago", stale.ask("POST", f"/api/approvals/{token}/decision", {"decision": "approve"}), 403, "confirmation_required")
    PEOPLE["second"].sign_in()
    PEOPLE["second"].session()
    checks.refused("another bearer", get(s, token, token=s.mint("readwrite")["token"]), 404, "not_found")
    checks.refused("another bearer redeems", redeem(s, token, token=s.token), 404, "not_found")
    checks.equal("an admin without limits sees it", get(s, token, token=s.token).status, 200)
    checks.equal("nothing of this decided it", status(s, token), "pending")
    checks.equal("somebody else", decide("second", token).status, 200)
    checks.refused("another bearer redeems what is approved", redeem(s, token, token=s.token), 404, "not_found")
    s.call("POST", "/v1/databases", {"slug": "other"})
    checks.refused("at another database", redeem(s, token, db="other"), 404, "not_found")
    checks.equal("and is not seen there", get(s, token, db="other").status, 404)
    proposal = get(s, token).json["data"]["proposalId"]
    checks.equal("withdraw", s.db(f"proposals/{proposal}/withdraw", token=s.agent).status, 200)
    checks.equal("withdrawn with its proposal", status(s, token), "withdrawn")
    checks.refused("redeem what was withdrawn", redeem(s, token), 409, "conflict")


def two_people(checks, s):
    held = hold(s, "INSERT INTO two VALUES(1)")
    token, answers = held["approvalToken"], []
    checks.equal("the first", decide("owner", token).json["data"]["status"], "pending")
    checks.refused("the same person again", decide("owner", token), 409, "conflict")
    checks.refused("one of two is not enough", redeem(s, token), 409, "conflict")
    checks.equal("the second", decide("second", token).json["data"]["status"], "approved")
    checks.equal("redeem", redeem(s, token).status, 200)
    token = hold(s, "INSERT INTO two VALUES(2)")["approvalToken"]
    race = [threading.Thread(target=lambda n=n: answers.append(decide(n, token))) for n in ("owner", "second")]
    for t in race:
        t.start()
    for t in race:
        t.join()
    checks.equal("both at once", (sorted(a.json["data"]["status"] for a in answers), status(s, token)), (["approved", "pending"], "approved"))


def waiting(checks, s):
    token, answers = hold(s)["approvalToken"], []
    began = time.monotonic()
    checks.equal("the time is over", get(s, f"{token}?waitSec=1").json["data"]["status"], "pending")
    checks.that("about then", 0.9 < time.monotonic() - began < 15, time.monotonic() - began)
    waiters = [threading.Thread(target=lambda: answers.append(get(s, f"{token}?waitSec=30").json["data"]["status"])) for _ in range(8)]
    for t in waiters:
        t.start()
    checks.equal("a worker is free while more wait than there are workers", get(s, token).status, 200)
    decided = time.monotonic()
    checks.equal("decide meanwhile", decide("owner", token, "deny").status, 200)
    for t in waiters:
        t.join()
    checks.equal("all are told", answers, ["denied"] * 8)
    checks.that("at once", time.monotonic() - decided < 10, time.monotonic() - decided)
    checks.equal("what is decided does not wait", get(s, f"{token}?waitSec=30").json["data"]["status"], "denied")
    for bad in ("-1", "31", "x", ""):
        checks.equal(f"waitSec={bad}", get(s, f"{token}?waitSec={bad}").status, 400)


def drift(checks, s):
    held = hold(s)
    token = held["approvalToken"]
    checks.equal("approve", decide("owner", token).status, 200)
    admin = s.mint("admin")["token"]
    a = s.query("INSERT INTO orders(id, status) VALUES(9, 'open')", token=admin)
    other = a.json["approvalToken"]
    checks.equal("another write is approved and done", (decide("owner", other).status, redeem(s, other, token=admin).status), (200, 200))
    judged = PEOPLE["owner"].ask("GET", f"/api/approvals/{token}").json["data"]
    checks.equal("no row of it was touched", (judged["proposal"]["status"], judged["mayDecide"]), ("pending", False))
    a = redeem(s, token)
    checks.equal("drift", (a.status, a.json["code"]), (409, "drift"))
    checks.equal("what differs", [(r["kind"], r["key"]) for r in a.json["drift"]["rows"]], [("new", {"id": 9})])
    new = a.json["approvalToken"]
    mine = get(s, token).json["data"]
    checks.equal("void", (mine["status"], mine["replacedBy"]), ("void", new))
    checks.equal("nothing was done", value(s, "SELECT count(*) FROM orders WHERE status = 'shipped'"), 0)
    checks.refused("redeem what is void", redeem(s, token), 409, "conflict")
    fresh = get(s, new).json["data"]
    checks.equal("the new one", (fresh["status"], fresh["replaces"], fresh["estimatedAffectedRows"], fresh["hash"] != held["hash"]), ("pending", token, 3, True))
    checks.equal("approve that", decide("second", new, hash=fresh["hash"]).status, 200)
    checks.equal("redeem that", redeem(s, new).json["data"]["changes"], 3)
    quietly(s, "UPDATE orders SET status = 'open' WHERE status = 'shipped' AND id < 3")
    quietly(s, "DELETE FROM orders WHERE id = 9")


def rows_with_nul(checks, s):
    """A NUL in a text hides nothing: neither of what is held, nor of what drifted."""
    held = hold(s, "UPDATE orders SET status = 'x' || char(0) || 'y' WHERE id = 1 RETURNING status")
    shown = PEOPLE["owner"].ask("GET", f"/api/approvals/{held['approvalToken']}").json["data"]
    checks.equal("shown", (shown["noProposalBecause"], shown["mayDecide"]), (None, True))
    checks.equal("its row", shown["proposal"]["changes"]["rows"][0]["after"], {"status": {"$text": "eAB5"}})
    checks.equal("approve", decide("owner", held["approvalToken"]).status, 200)
    quietly(s, "UPDATE orders SET status = 'q' || char(0) WHERE id = 1")
    a = redeem(s, held["approvalToken"])
    checks.equal("drift", (a.status, a.json.get("code")), (409, "drift"))
    checks.that("with its rows", any(r["key"] == {"id": 1} and "cQA=" in json.dumps(r) for r in a.json["drift"]["rows"]), a)
    old = get(s, held["approvalToken"]).json["data"]
    checks.equal("void, and one anew", (old["status"], old["replacedBy"]), ("void", a.json["approvalToken"]))
    run = decide("owner", a.json["approvalToken"], run=True)
    checks.equal("that is done", (run.status, run.json["data"]["status"]), (200, "redeemed"))
    checks.equal("its result", run.json["data"]["result"]["rows"], [["x\0y"]])
    checks.equal("the row", value(s, "SELECT hex(status) FROM orders WHERE id = 1"), "780079")
    quietly(s, "UPDATE orders SET status = 'open' WHERE id = 1")


def fails_by_now(checks, s):
    """There is nothing that could be approved anew."""
    token = hold(s, "INSERT INTO orders(id, status) VALUES(50, 'mine')")["approvalToken"]
    decide("owner", token)
    quietly(s, "INSERT INTO orders(id, status) VALUES(50, 'theirs')")
    a = redeem(s, token)
    checks.equal("fails", (a.status, a.json["code"], a.json["errorDetail"]["kind"], "approvalToken" in a.json), (409, "drift", "unique_violation", False))
    checks.equal("void", status(s, token), "void")


def destroys_much(checks, s):
    """The server makes its snapshot before what was approved, too, and an undo of it is possible."""
    token = hold(s, "DELETE FROM orders")["approvalToken"]
    decide("owner", token)
    before = value(s, "SELECT count(*) FROM orders")
    a = redeem(s, token)
    checks.equal("a snapshot was made", (a.status, a.json["data"]["changes"], a.json["meta"]["snapshot"]["label"]), (200, before, "before DELETE from orders"))
    token = s.query("DROP TABLE orders").json["approvalToken"]
    a = decide("owner", token, run=True)
    checks.equal("run at once, a change of the schema", (a.status, a.json["data"]["status"], a.json["data"]["action"]), (200, "redeemed", "schema"))
    checks.equal("gone", s.query("SELECT 1 FROM orders").status, 400)
    quietly(s, SCHEMA[0])
    quietly(s, SCHEMA[1])


def run_at_once(checks, s):
    token = hold(s, "INSERT INTO orders(id, status) VALUES(20, 'run')")["approvalToken"]
    a = decide("owner", token, run=True)
    checks.equal("approve and run", (a.status, a.json["data"]["status"], a.json["data"]["result"]["changes"]), (200, "redeemed", 1))
    checks.equal("done", value(s, "SELECT count(*) FROM orders WHERE id = 20"), 1)
    gone = PEOPLE["first"].ask("POST", "/api/namespaces/acme/tokens", {"name": "short", "role": "readwrite"}).json["data"]
    s.secrets.append(gone["token"])
    a = s.db("query", {"sql": "INSERT INTO orders(id, status) VALUES(21, 'run')"}, token=gone["token"])
    token = a.json["approvalToken"]
    PEOPLE["first"].ask("DELETE", f"/api/namespaces/acme/tokens/{gone['id']}")
    checks.refused("the requester's token is revoked", decide("owner", token, run=True), 409, "conflict")
    checks.equal("nothing was decided", get(s, token, token=s.token).json["data"]["status"], "pending")
    checks.equal("nothing was done", value(s, "SELECT count(*) FROM orders WHERE id = 21"), 0)


def unconfirmed_schema(checks, s):
    """Changes of the schema that wait to be confirmed: one to be taken back, one by whose undo others would lose rows."""
    s.batch(["CREATE TABLE spare(id INTEGER PRIMARY KEY, v)", "INSERT INTO spare VALUES(1, 'x'), (2, NULL)"])
    hold_all = s.db("approval-rules", {"tableGlob": "*", "action": "require_approval", "order": 1}).json["data"]["id"]
    tokens = []
    for done in (["DROP TABLE spare"], ["CREATE TABLE boss(id INTEGER PRIMARY KEY)", "INSERT INTO boss VALUES(1)"]):
        tokens.append(s.batch(done).json["approvalToken"])
        a = decide("owner", tokens[-1], run=True, confirmWithinSec=60)
        checks.equal(f"{done} waits to be confirmed", (a.status, a.json.get("data", a.json).get("confirm", {}).get("state")), (200, "waiting")) or print(a)
    checks.equal("it is gone", s.query("SELECT * FROM spare").status, 400)
    checks.equal("the rule goes", s.db(f"approval-rules/{hold_all}", method="DELETE").status, 200)
    s.batch(["CREATE TABLE kid(b REFERENCES boss ON DELETE CASCADE)", "INSERT INTO kid VALUES(1)"])
    return tokens


def schema_taken_back(checks, s, dropped, made):
    state = lambda token: get(s, token, token=s.token).json["data"]["confirm"]
    checks.that("a table that was dropped is taken back", until(lambda: state(dropped)["state"] == "undone", 40), state(dropped))
    checks.equal("with its rows", s.query("SELECT * FROM spare").json["data"]["rows"], [[1, "x"], [2, None]])
    checks.that("what others would lose by it is told, not forced", until(lambda: state(made)["state"] == "conflict", 40) and "other tables" in state(made)["note"], state(made))
    checks.equal("and stays", value(s, "SELECT count(*) FROM kid"), 1)
    out = os.path.join(s.data, "db", s.control("SELECT id FROM database WHERE slug = 'main'", [])[0][0], "out")
    checks.equal("no copy of a snapshot is left", [f for f in os.listdir(out) if "from" in f], [])
    s.batch(["DROP TABLE kid", "DROP TABLE boss", "DROP TABLE spare"])


def confirmation(checks, s):
    """A clock that stands a minute ahead of confirm_by is made by writing confirm_by."""
    def over(token):
        s.control("UPDATE approval SET confirm_by = confirm_by - 600000 WHERE id = ?", (token,), write=True)
    kept, lost, clash = (hold(s, f"INSERT INTO orders(id, status) VALUES({n}, 'confirm')")["approvalToken"] for n in (30, 31, 32))
    for token in (kept, lost, clash):
        a = decide("owner", token, run=True, confirmWithinSec=60)
        checks.equal("waits to be confirmed", (a.status, a.json["data"]["confirm"]["state"]), (200, "waiting"))
    checks.refused("an editor confirms", PEOPLE["editor"].ask("POST", f"/api/approvals/{kept}/confirm"), 403, "forbidden")
    checks.refused("confirm with a member", PEOPLE["second"].ask("POST", f"/api/approvals/{kept}/confirm", {"x": 1}), 400, "invalid_request")
    checks.equal("still waiting", get(s, kept).json["data"]["confirm"]["state"], "waiting")
    checks.equal("confirm", PEOPLE["second"].ask("POST", f"/api/approvals/{kept}/confirm").json["data"]["confirm"]["state"], "confirmed")
    quietly(s, "UPDATE orders SET status = 'changed since' WHERE id = 32")
    quietly(s, "ALTER TABLE orders ADD COLUMN since TEXT NOT NULL DEFAULT 'none'")
    deny = s.db("approval-rules", {"tableGlob": "orders", "action": "deny", "order": 1}).json["data"]["id"]
    checks.equal("a rule denies by now", s.query("DELETE FROM orders WHERE id = 31").json.get("code"), "denied_by_rule")
    schema = unconfirmed_schema(checks, s)
    for token in (kept, lost, clash, *schema):
        over(token)
    s.kill()
    s.start()
    state = lambda token: get(s, token).json["data"]["confirm"]
    checks.that("the server takes back what nobody confirmed", until(lambda: state(lost)["state"] == "undone", 40), state(lost))
    checks.equal("it is gone", value(s, "SELECT count(*) FROM orders WHERE id = 31"), 0)
    checks.equal("what was confirmed stays", (state(kept)["state"], value(s, "SELECT count(*) FROM orders WHERE id = 30")), ("confirmed", 1))
    checks.that("what was changed since is told, not forced", until(lambda: state(clash)["state"] == "conflict", 40) and state(clash)["note"], state(clash))
    checks.equal("and stays", value(s, "SELECT status FROM orders WHERE id = 32"), "changed since")
    schema_taken_back(checks, s, *schema)
    inbox = PEOPLE["owner"].ask("GET", "/api/namespaces/acme/approvals?status=conflict").json["data"]
    checks.equal("it stands in the inbox", (clash in [a["approvalToken"] for a in inbox["approvals"]], inbox["counts"]["conflict"]), (True, 2))
    told = s.call("GET", "/api/namespaces/acme/audit?action=approval.undo_failed").json["data"]
    checks.that("and in the audit log", clash in [r["target"] if "target" in r else r["targetId"] for r in told], told)
    checks.equal("the rule goes", s.db(f"approval-rules/{deny}", method="DELETE").status, 200)
    quietly(s, "ALTER TABLE orders DROP COLUMN since")
    checks.refused("too late", PEOPLE["owner"].ask("POST", f"/api/approvals/{lost}/confirm"), 409, "conflict")


def no_confirmation(checks, s):
    """What cannot take itself back is not approved for a time."""
    token = s.batch(["ALTER TABLE orders RENAME TO taken", "UPDATE taken SET status = 'taken'"]).json["approvalToken"]
    a = decide("owner", token, run=True, confirmWithinSec=60)
    checks.that("refused beforehand", a.status == 400 and a.json["pointer"] == "/confirmWithinSec" and "schema" in a.json["error"], a)
    checks.equal("nothing was decided", get(s, token, token=s.token).json["data"]["status"], "pending")
    checks.equal("nor done", s.query("SELECT 1 FROM orders LIMIT 1").status, 200)
    checks.equal("deny", decide("owner", token, "deny").status, 200)


def engines(s):
    """Processes of the server, but itself."""
    with open(f"/proc/{s.proc.pid}/task/{s.proc.pid}/children") as f:
        found = [int(p) for p in f.read().split()]
    for pid in found:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            found += [int(p) for p in f.read().split()]
    return found


def not_shown(checks, s):
    """What nobody can be shown is approved by nobody; it can be denied."""
    token = hold(s)["approvalToken"]
    stopped = engines(s)
    checks.that("engines", stopped, s.proc.pid)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        a = decide("owner", token)
        checks.that("approve", a.status == 503 and "cannot be shown" in a.json["error"], a)
        checks.equal("deny", decide("owner", token, "deny").status, 200)
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:  # it was ended for not answering
                pass
    value(s, "SELECT 1")
    checks.equal("denied", status(s, token), "denied")


def receipts(checks, s):
    token = hold(s, "INSERT INTO orders(id, status) VALUES(40, 'receipt')")["approvalToken"]
    decide("owner", token, run=True)
    a = s.db(f"approvals/{token}/receipt", method="GET", token=s.agent)
    receipt = a.json
    checks.equal("events", [e["action"] for e in receipt["events"]], ["approval.requested", "approval.approved", "approval.redeemed"])
    approved, done = (e["details"] for e in receipt["events"][1:])
    checks.that("who and how", receipt["events"][1]["actorUserId"].startswith("usr_") and approved["session"].startswith("ses_") and approved["passwordConfirmedAt"], approved)
    checks.that("under which rules", approved["rulesVersion"].startswith("sha256:") and approved["rulesVersion"] == done["rulesVersion"], approved)
    checks.equal("shown is committed", (approved["hash"], done["hashCommitted"]), (get(s, token).json["data"]["hash"],) * 2)
    checks.equal("to people too", PEOPLE["owner"].ask("GET", f"/api/approvals/{token}/receipt").json, receipt)
    path = os.path.join(s.dir, "receipt.json")

    def verify(text):
        with open(path, "w") as f:
            f.write(text)
        return s.run("audit", "verify", "--data", s.data, "--receipt", path, check=False)
    good = verify(a.data.decode())
    checks.that("it verifies", good.returncode == 0 and "is true" in good.stdout, good)
    checks.equal("pretty printed too", verify(json.dumps(receipt, indent=2)).returncode, 0)
    changed = json.loads(a.data)
    changed["events"][1]["details"]["hash"] = "sha256:" + "0" * 64
    bad = verify(json.dumps(changed))
    checks.that("a changed one is found", bad.returncode == 1 and "receipt" in bad.stdout, bad)
    for what, change in (("left out", lambda r: r["events"].pop(1)), ("twice", lambda r: r["events"].append(r["events"][-1])), ("another's", lambda r: r.update(approvalToken="appr_" + "0" * 26)),
                         ("more", lambda r: r.update(extra=1)), ("who", lambda r: r["events"][1].update(actorUserId="usr_0"))):
        changed = json.loads(a.data)
        change(changed)
        checks.equal(f"changed: {what}", verify(json.dumps(changed)).returncode, 1)
    for text in ("", "{}", "[]", "no", '{"events":[]}'):
        checks.that(f"no receipt: {text}", verify(text).returncode != 0, text)


def crashes(checks, s):
    """SIGKILL of the front at any time around a redemption: it was done once or not at all, and is told truly."""
    for n in range(100, 108):
        token = hold(s, f"INSERT INTO orders(id, status) VALUES({n}, 'crash')")["approvalToken"]
        decide("owner", token)
        asking = threading.Thread(target=lambda: attempt(s, token))
        asking.start()
        time.sleep(checks.random.random() * 0.006)
        s.proc.send_signal(signal.SIGKILL)
        s.proc.wait(10)
        asking.join()
        s.proc.stdout.close()
        s.start()
        count = value(s, f"SELECT count(*) FROM orders WHERE id = {n}")
        checks.equal(f"{n}: told truly", status(s, token), "redeemed" if count else "approved")
        a = redeem(s, token)
        checks.equal(f"{n}: then", a.status, 404 if count else 200)
        checks.equal(f"{n}: once", (value(s, f"SELECT count(*) FROM orders WHERE id = {n}"), status(s, token)), (1, "redeemed"))


def attempt(s, token):
    try:
        redeem(s, token)
    except Exception:  # the server died
        pass


def lists(checks, s):
    seen, cursor = [], ""
    while cursor is not None:
        a = s.db(f"approvals?limit=3{cursor and '&cursor=' + cursor}", method="GET", token=s.agent).json["data"]
        seen += [p["approvalToken"] for p in a["approvals"]]
        cursor = a["nextCursor"]
    mine = [t for t, in s.control("SELECT id FROM approval WHERE token_id = ? ORDER BY seq DESC", (s.agent_id,))]
    checks.equal("one's own, page by page", seen, mine)
    a = s.db("approvals?limit=200", method="GET").json["data"]["approvals"]
    checks.that("an admin sees all", len(a) > len(mine), len(a))
    for state in ("pending", "approved", "denied", "expired", "withdrawn", "void", "redeemed"):
        a = s.db(f"approvals?status={state}&limit=200", method="GET").json["data"]["approvals"]
        checks.that(f"status={state}", all(p["status"] == state for p in a), a)
    for bad in ("status=x", "status=", "limit=0", "limit=201", "limit=x", "cursor=x", "cursor=0"):
        checks.equal(bad, s.db(f"approvals?{bad}", method="GET").status, 400)


def bound(checks, s):
    """What is bound to the statements is shown beside them, to whoever asked and to those who decide: a ? alone says nothing of what is done."""
    update, hidden = "UPDATE orders SET status = ? WHERE id = ?", "shi\u202epped"
    last = {"n": 9007199254740993, "s": "x'; --"}
    for route, body, params in (("query", {"sql": update, "params": [hidden, 2]}, [hidden, 2]), ("query", {"sql": "UPDATE orders SET status = :s WHERE id <> :n", "params": last}, last),
                                ("query", {"sql": "UPDATE orders SET status = 'none' WHERE id = 2"}, None), ("query", {"sql": "UPDATE orders SET status = 'none' WHERE id = 2", "params": None}, None),
                                ("batch", {"statements": [{"sql": update, "params": ["a", 1]}, {"sql": "DELETE FROM orders WHERE id = -1"}]}, [["a", 1], None]),
                                ("batch", {"statements": [{"sql": "DELETE FROM orders WHERE id = 1", "params": []}]}, [[]]),
                                ("batch", {"params": [5], "statements": [{"sql": "DELETE FROM orders WHERE id = 1"}]}, None)):
        a = s.db(route, body, token=s.agent).json
        mine, judge = get(s, a["approvalToken"]).json["data"], PEOPLE["owner"].ask("GET", f"/api/approvals/{a['approvalToken']}").json["data"]
        proposal = s.db(f"proposals/{a['proposalId']}", method="GET", token=s.agent).json["data"]
        checks.equal(f"{body}: params", [(x["params"], x["paramsTruncated"]) for x in (mine, judge, judge["proposal"], proposal)], [(params, False)] * 4)
        checks.that("for reading", {"params", "proposal"} <= set(judge["untrusted"]), judge["untrusted"])
        if hidden in (params or []):
            checks.equal("nothing hides in it", (judge["display"]["params"], judge["proposalDisplay"]["params"]), ([r"shi\u{202E}pped", 2],) * 2)
    large = s.db("query", {"sql": update, "params": ["x" * (17 << 10), 2]}, token=s.agent).json["approvalToken"]
    judge = PEOPLE["owner"].ask("GET", f"/api/approvals/{large}").json["data"]
    checks.equal("not more than is read", [(x["params"], x["paramsTruncated"]) for x in (judge, judge["proposal"])], [(None, True)] * 2)
    made = s.db("propose", {"sql": update, "params": ["b", 2]}).json["data"]
    checks.equal("a proposal that nothing holds", (made["params"], made["paramsTruncated"]), (["b", 2], False))


def bad_input(checks, s):
    update = "UPDATE orders SET status = 'shown' WHERE status = 'open'"
    for route, body, at in (("query", {"sql": update, "statements": 5}, "/statements"), ("query", {"sql": update, "statements": [{"sql": "SELECT 1"}]}, "/statements"),
                            ("batch", {"statements": [{"sql": update}], "sql": 5}, "/sql"), ("batch", {"statements": [{"sql": update}], "sql": "SELECT 1"}, "/sql")):
        a = s.db(route, body, token=s.agent)
        checks.equal(f"held {route}: what does not run is not shown to people", (a.status, a.json.get("pointer")), (400, at))
    checks.equal("and nothing of it was done", value(s, "SELECT count(*) FROM orders WHERE status = 'shown'"), 0)
    token = hold(s)["approvalToken"]
    for body in ({}, {"decision": "maybe"}, {"decision": 1}, {"decision": None}, {"decision": "approve", "note": 1}, {"decision": "approve", "note": "x" * 2001},
                 {"decision": "approve", "hash": ""}, {"decision": "approve", "hash": "x" * 200}, {"decision": "approve", "run": "yes"}, {"decision": "deny", "run": True},
                 {"decision": "approve", "confirmWithinSec": 59}, {"decision": "approve", "confirmWithinSec": 86401}, {"decision": "approve", "confirmWithinSec": 1.5},
                 {"decision": "deny", "confirmWithinSec": 60}, {"decision": "approve", "more": 1}, [], "x"):
        checks.equal(f"decision {str(body)[:60]}", PEOPLE["owner"].ask("POST", f"/api/approvals/{token}/decision", body).status, 400)
    for raw in (b"", b"{", b"\xff", b'{"decision":"approve","decision":"deny"}'):
        checks.equal(f"decision {raw}", PEOPLE["owner"].ask("POST", f"/api/approvals/{token}/decision", raw).status, 400)
    for bad in ({}, {"approvalToken": 1}, {"approvalToken": None}, {"approvalToken": ""}, []):
        checks.equal(f"redeem {bad}", s.db("redeem_approval", bad, token=s.agent).status, 400)
    for bad in ("appr_", "appr_none", token[:-1], token + "x", token.upper(), "prop_" + token[5:], "%00", "..", "appr_" + "0" * 500, "'; DROP TABLE approval; --"):
        checks.equal(f"redeem {bad[:40]}", redeem(s, bad).status, 400 if len(bad) > 200 else 404)
    for bad in ("appr_", "appr_none", token + "x", "appr_" + "0" * 500, "%27"):
        checks.equal(f"get {bad[:40]}", get(s, bad).status, 404)
        checks.equal(f"judge {bad[:40]}", PEOPLE["owner"].ask("GET", f"/api/approvals/{bad}").status, 404)
        checks.equal(f"decide {bad[:40]}", decide("owner", bad).status, 404)
        checks.equal(f"confirm {bad[:40]}", PEOPLE["owner"].ask("POST", f"/api/approvals/{bad}/confirm").status, 404)
        checks.equal(f"receipt {bad[:40]}", s.db(f"approvals/{bad}/receipt", method="GET", token=s.agent).status, 404)
    checks.equal("nothing of this decided it", status(s, token), "pending")
    s.control("UPDATE approval SET expires_at = 1 WHERE id = ?", (token,), write=True)
    checks.equal("expired by the time alone", status(s, token), "expired")
    checks.refused("decide what expired", decide("owner", token), 409, "conflict")


def hidden_rows(checks, s):
    """The hash of rows that the bearer must not see is for those who decide: it could be used to guess them."""
    checks.equal("schema", s.batch(["CREATE TABLE notes(id INTEGER PRIMARY KEY, tenant TEXT, body TEXT)", "INSERT INTO notes VALUES(1, 'a', 'mine')",
                                    "CREATE TABLE sums(id INTEGER PRIMARY KEY, v)", "INSERT INTO sums VALUES(1, 'hush')",
                                    "CREATE TRIGGER summed AFTER UPDATE ON notes BEGIN UPDATE sums SET v = v || '!'; END"]).status, 200)
    base = "/api/namespaces/acme/databases/main"
    for table, expression in (("notes", "tenant = :auth_tenant"), ("sums", "0")):
        checks.equal(f"policy of {table}", PEOPLE["owner"].ask("POST", f"{base}/policies", {"name": "own", "tableName": table, "expression": expression}).status, 200)
    checks.equal("rule", s.db("approval-rules", {"tableGlob": "notes", "action": "require_approval"}).status, 200)
    bound = s.mint("readwrite", "--claims", '{"tenant":"a"}')["token"]
    s.secrets.append(bound)
    held = s.db("query", {"sql": "UPDATE notes SET body = 'new'"}, token=bound).json
    token = held["approvalToken"]
    checks.equal("not in the answer", held["hash"], None)
    checks.equal("nor later", get(s, token, token=bound).json["data"]["hash"], None)
    checks.equal("nor in the list", [a["hash"] for a in s.db("approvals?status=pending", method="GET", token=bound).json["data"]["approvals"]], [None])
    checks.refused("nor in the receipt", s.db(f"approvals/{token}/receipt", method="GET", token=bound), 403, "forbidden")
    checks.equal("nor to people who do not decide", PEOPLE["editor"].ask("GET", f"/api/approvals/{token}").json["data"]["hash"], None)
    shown = PEOPLE["owner"].ask("GET", f"/api/approvals/{token}").json["data"]
    checks.that("but to who decides", shown["hash"] and shown["hash"] == shown["proposal"]["hash"], shown)
    checks.equal("who decides it", decide("owner", token, hash=shown["hash"]).status, 200)
    checks.equal("decided, and not told either", [d["hash"] for d in get(s, token, token=bound).json["data"]["decisions"]], [None])
    checks.equal("done", (redeem(s, token, token=bound).status, value(s, "SELECT v FROM sums")), (200, "hush!"))


def as_people(checks, s):
    """The routes of the data plane with a cookie."""
    p, base = PEOPLE["owner"], "/api/namespaces/acme/databases/main"
    token = hold(s)["approvalToken"]
    checks.equal("list", p.ask("GET", f"{base}/approvals?limit=1").json["data"]["approvals"][0]["approvalToken"], token)
    checks.equal("get", p.ask("GET", f"{base}/approvals/{token}").json["data"]["status"], "pending")
    checks.refused("redeem another's", p.ask("POST", f"{base}/redeem_approval", {"approvalToken": token}), 404, "not_found")


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (people, whole_story, every_way_to_write, at_once, denied, who_may, two_people, waiting, drift, rows_with_nul, fails_by_now, destroys_much, run_at_once, confirmation, no_confirmation, not_shown, receipts, bound, bad_input, as_people, crashes, lists, hidden_rows):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
