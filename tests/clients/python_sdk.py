#!/usr/bin/env python3
"""The table of methods of the persql package for Python, row by row: what each sends, what its caller reads of the answer, what it
raises. Usage: python_sdk.py PATH-OF-HOLDFAST"""
import datetime
import os
import sys

import httpx

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person
from persql_client import ApprovalRequiredError, PerSQL, PerSQLError, RateLimitError


class Unreliable(httpx.BaseTransport):
    """The network between: the next requests fare as `plan` says, a status with its Retry-After or "lost" for an answer on its way."""

    def __init__(self):
        self.inner, self.plan, self.keys = httpx.HTTPTransport(), [], []

    def handle_request(self, request):
        self.keys.append(request.headers.get("Idempotency-Key"))
        fate = self.plan.pop(0) if self.plan else None
        if isinstance(fate, int):
            return httpx.Response(fate, headers={"Retry-After": "3"}, json={"success": False, "error": "later"})
        response = self.inner.handle_request(request)
        if fate == "lost":
            response.read()
            raise httpx.ReadError("connection reset", request=request)
        return response

    def close(self):
        self.inner.close()


def raises(checks, what, kind, status, run, text=""):
    try:
        run()
    except PerSQLError as e:
        checks.that(f"{what}: {kind.__name__} {status} {text}", type(e) is kind and e.status == status and text in e.args[0], (type(e), e.status, e.args, e.body))
        return e
    checks.that(f"{what} raises", False)
    return None


def reading(checks, s, client):
    db = client.database("acme", "main")
    db.batch([{"sql": "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)"},
              {"sql": "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), status TEXT DEFAULT 'open', total REAL)"},
              {"sql": "INSERT INTO customers(email) VALUES('ada@example.com'), ('lin@example.com')"},
              {"sql": "INSERT INTO orders(customer_id, total) VALUES(1, 9.5), (1, 20), (2, 3)"}], transaction=True)
    result = db.query("SELECT id, email FROM customers WHERE id = ?", [1])
    checks.equal("query: rows as dicts", (result["data"], result["columns"], result["rows_read"], result["rows_written"]),
                 ([{"id": 1, "email": "ada@example.com"}], ["id", "email"], 1, 0))
    checks.equal("its meta", set(result["meta"]) >= {"rows_read", "rows_written", "duration_ms", "statement_count", "cost_usd", "query_log_id"}, True)
    checks.equal("tables", {t["name"]: t["row_count"] for t in db.tables()}, {"customers": 2, "orders": 3})
    checks.equal("schema", {t["name"] for t in db.schema()["tables"]}, {"customers", "orders"})
    checks.that("explain", "SCAN" in str(db.explain("SELECT * FROM orders WHERE total > ?", [5])))
    good, bad = db.validate("SELECT id FROM orders WHERE id = ?", [1]), db.validate("SELECT id FROM ordres")
    checks.equal("validate", (good["ok"], bad["ok"], bad["error"], bad["error_detail"]["kind"]), (True, False, "no such table: ordres", "unknown_table"))
    db.set_description("One row per checkout", table="orders")
    orders = next(t for t in db.describe()["tables"] if t["table"] == "orders")
    checks.equal("describe", (orders["description"], orders["foreign_keys"][0]["ref_table"], [c["name"] for c in orders["columns"]]),
                 ("One row per checkout", "customers", ["id", "customer_id", "status", "total"]))
    checks.that("describe for a prompt", "orders" in db.describe_compact())
    checks.equal("search", db.search("checkout", limit=1)["hits"][0]["table"], "orders")
    checks.that("doctor", any("customer_id" in str(f) for f in db.doctor()["findings"]))
    checks.that("query log", "SELECT id, email" in str(db.query_log()))
    tools = db.as_tools()
    checks.equal("tools", ([t["name"] for t in tools["anthropic"]], tools["openai"][1]["function"]["parameters"]["type"]), (["select_customers", "select_orders"], "object"))
    checks.equal("run", tools["run"]("select_orders", {"customer_id": 2, "status": "open"}), [{"id": 3, "customer_id": 2, "status": "open", "total": 3.0}])


def errors(checks, s, client):
    db = client.database("acme/main")
    e = raises(checks, "SQL", PerSQLError, 400, lambda: db.query("INSERT INTO customers(email) VALUES('ada@example.com')"), "UNIQUE")
    checks.equal("its detail", {k: e.detail[k] for k in ("kind", "message", "table", "column")},
                 {"kind": "unique_violation", "message": e.args[0], "table": "customers", "column": "email"})
    checks.that("and a hint", "ON CONFLICT" in e.detail["hint"], e.detail)
    raises(checks, "another namespace", PerSQLError, 403, lambda: client.database("home/main").tables(), "Token namespace mismatch")
    raises(checks, "no database", PerSQLError, 404, lambda: client.database("acme/none").tables())
    with PerSQL("a.b.c", f"http://127.0.0.1:{s.port}") as stranger:
        raises(checks, "no token", PerSQLError, 401, lambda: stranger.call("GET", "/v1/me"), "Invalid token format")


def retries(checks, s, client):
    network, slept = Unreliable(), []
    with PerSQL(s.token, f"http://127.0.0.1:{s.port}", retries=3, transport=network, sleep=slept.append) as patient:
        db = patient.database("acme/main")
        network.plan = [429, 503]
        checks.equal("after two refusals it runs once", db.query("INSERT INTO orders(total) VALUES(100)")["rows_written"], 1)
        checks.equal("each after the time it was told", slept, [3, 3])
        network.plan = ["lost", "lost"]
        network.keys.clear()
        again = db.query("INSERT INTO orders(total) VALUES(200) RETURNING id", idempotency_key="order-200")
        checks.equal("an answer that was lost comes again", (network.keys, patient.last.headers.get("Idempotency-Replayed"), len(again["data"])), (["order-200"] * 3, "true", 1))
        network.plan = ["lost"]
        try:
            db.query("INSERT INTO orders(total) VALUES(300)")
            checks.that("without a key nothing is sent twice", False)
        except httpx.ReadError:
            pass
        checks.equal("each order once", db.query("SELECT total, count(*) AS n FROM orders WHERE total >= 100 GROUP BY 1 ORDER BY 1")["data"],
                     [{"total": float(t), "n": 1} for t in (100, 200, 300)])
        proposal = db.proposals.propose("INSERT INTO orders(total) VALUES(?)", params=[400])
        network.plan = ["lost", 503]
        applied = db.proposals.apply(proposal["execution_token"], idempotency_key="apply-400")
        checks.equal("an apply whose answer was lost", (applied["rows_written"], patient.last.headers.get("Idempotency-Replayed")), (1, "true"))
        network.plan = [429] * 4
        e = raises(checks, "too often", RateLimitError, 429, lambda: db.query("SELECT 1"))
        checks.equal("says when", e.retry_after_seconds, 3)
        step = [db.query("UPDATE orders SET total = total + 1 WHERE total = 400", plan_key="raise-7", plan_step="1")["rows_written"] for _ in range(2)]
        checks.equal("a step of a plan runs once", (step, patient.last.headers.get("Plan-Replayed")), ([1, 1], "true"))
    client.database("acme/main").query("DELETE FROM orders WHERE total >= 100")


def proposals(checks, s, client):
    db = client.database("acme/main")
    made = db.proposals.propose("UPDATE orders SET status = ? WHERE customer_id = ?", params=["shipped", 1])
    checks.equal("propose", (made["estimated_affected_rows"], made["execution_token"][:5], made["action"]), (2, "pmut_", "write"))
    s.secrets.append(made["execution_token"])
    checks.equal("nothing is done yet", db.query("SELECT count(*) AS n FROM orders WHERE status = 'shipped'")["data"], [{"n": 0}])
    checks.equal("apply", db.proposals.apply(made["execution_token"])["rows_written"], 2)
    raises(checks, "a second time", PerSQLError, 404, lambda: db.proposals.apply(made["execution_token"]))
    e = raises(checks, "SQL that is wrong", PerSQLError, 400, lambda: db.proposals.propose("DELETE FROM ordres"))
    checks.equal("as a query's", e.detail["kind"], "unknown_table")
    made = db.proposals.propose("DELETE FROM orders WHERE id = 3")
    db.query("UPDATE orders SET total = 4 WHERE id = 3")
    drifted = raises(checks, "what would do something else by now", PerSQLError, 409, lambda: db.proposals.apply(made["execution_token"]))
    checks.equal("has a code", drifted.body["code"], "drift")


def branches(checks, s, client):
    db, base = client.database("acme/main"), f"http://127.0.0.1:{s.port}"
    made = db.branches.upsert("pr-7", ttl_days=7)
    checks.equal("upsert", (made["branch_ref"], made["slug"], made["forked_from"]["slug"], made["outcome"]), ("pr-7", "main-pr-7", "main", "created"))
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    again = db.branches.upsert("pr-7", expires_at=until.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    checks.equal("with a moment in place of days", (again["outcome"], again["expires_at"][:16]), ("reset", until.isoformat()[:16]))
    lease = db.branches.claim(ref="pr-7", role="admin", ttl_sec=600)
    s.secrets.append(lease["token"])
    checks.equal("claim", (lease["namespace_slug"], lease["database_slug"], lease["outcome"]), ("acme", "main-pr-7", "reset"))
    with PerSQL(lease["token"], base) as ci:
        branch = ci.database(lease["namespace_slug"], lease["database_slug"])
        branch.query("CREATE TABLE coupons(code TEXT PRIMARY KEY)")
        checks.equal("no rows come along", branch.query("SELECT count(*) AS n FROM orders")["data"], [{"n": 0}])
        raises(checks, "the lease elsewhere", PerSQLError, 403, lambda: ci.database("acme/main").tables())
    plan = db.branches.preview("pr-7")["plan"]
    checks.equal("preview", ([o["name"] for o in plan["added"]], plan["changed"], plan["removed"]), (["coupons"], [], []))
    handoff = db.branches.pin("pr-7", role="write", ttl_sec=900)
    checks.equal("pin", (handoff["token"][:6], handoff["role"]), ("phand_", "write"))
    s.secrets.append(handoff["token"])
    with PerSQL.from_handoff(handoff["token"], base) as other:
        checks.equal("from_handoff", {k: other.handed_off[k] for k in ("namespace_slug", "database_slug")}, {"namespace_slug": "acme", "database_slug": "main-pr-7"})
        theirs = other.database("acme", other.handed_off["database_slug"])
        checks.equal("it writes", theirs.query("INSERT INTO coupons VALUES('TEN')")["rows_written"], 1)
        raises(checks, "but changes no schema", PerSQLError, 403, lambda: theirs.query("DROP TABLE coupons"))
    raises(checks, "a handoff taken again", PerSQLError, 404, lambda: PerSQL.from_handoff(handoff["token"], base))
    merged = db.branches.merge("pr-7")
    checks.equal("merge", merged["mode"], "schema")
    checks.equal("the parent has the table, without rows", db.query("SELECT count(*) AS n FROM coupons")["data"], [{"n": 0}])
    checks.equal("list", [b["branch_ref"] for b in db.branches.list()], ["pr-7"])
    db.branches.delete("pr-7")
    checks.equal("delete", db.branches.list(), [])
    named = db.branches.claim(purpose="agent run", role="read")
    s.secrets.append(named["token"])
    checks.that("a name is made of the purpose", named["branch_ref"].startswith("agent-run-") and len(named["branch_ref"]) == len("agent-run-") + 6, named)
    db.branches.delete(named["branch_ref"])


def rules(checks, s, client):
    db = client.database("acme/main")
    made = db.approval_rules.create("cust*", "deny", note="Ask Lin first")
    checks.equal("a rule", {k: made[k] for k in ("table_glob", "action", "note")}, {"table_glob": "cust*", "action": "deny", "note": "Ask Lin first"})
    checks.that("its id and time", made["id"] and made["created_at"].endswith("Z"), made)
    checks.equal("list", [r["id"] for r in db.approval_rules.list()], [made["id"]])
    e = raises(checks, "a write that a rule denies", PerSQLError, 403, lambda: db.query("UPDATE customers SET email = 'x' WHERE id = 2"))
    checks.that("is no request for approval", e and "approvalToken" not in e.body and "Ask Lin first" in e.args[0], e and e.body)
    raises(checks, "in a batch too", PerSQLError, 403, lambda: db.batch([{"sql": "UPDATE customers SET email = 'x' WHERE id = 2"}]))
    checks.equal("reads are never gated", db.query("SELECT count(*) AS n FROM customers")["data"], [{"n": 2}])
    with PerSQL(s.mint("readwrite")["token"], f"http://127.0.0.1:{s.port}") as writer:
        raises(checks, "rules are an admin's", PerSQLError, 403, lambda: writer.database("acme/main").approval_rules.list())
    db.approval_rules.delete(made["id"])
    checks.equal("delete", (db.approval_rules.list(), db.query("UPDATE customers SET email = email WHERE id = 2")["rows_written"]), ([], 1))


def approvals(checks, s, client):
    db = client.database("acme/main")
    rule = db.approval_rules.create("orders", "require_approval", note="Needs human sign-off")
    slept, person = [], Person(s, "owner@example.com", PASSWORD)
    person.sign_in()

    def decide(token, decision, **more):
        answer = person.ask("POST", f"/api/approvals/{token}/decision", {"decision": decision, **more})
        checks.equal(f"a person says {decision}", answer.status, 200) or print(answer)

    with PerSQL(s.mint("readwrite")["token"], f"http://127.0.0.1:{s.port}", sleep=slept.append) as agent:
        mine = agent.database("acme/main")
        held = raises(checks, "a held write", ApprovalRequiredError, 403, lambda: mine.query("UPDATE orders SET status = 'paid' WHERE id = ?", [1]),
                      "Statement requires human approval before it can run")
        checks.that("token and address", held.approval_token.startswith("appr_") and held.approval_url.endswith("/approve/" + held.approval_token), held.body)
        checks.equal("hits", [{k: h[k] for k in ("table_glob", "action", "matched_table", "note")} for h in held.hits],
                     [{"table_glob": "orders", "action": "require_approval", "matched_table": "orders", "note": "Needs human sign-off"}])
        checks.that("until when", held.expires_at.endswith("Z"), held.expires_at)
        checks.equal("get", mine.approvals.get(held.approval_token)["status"], "pending")
        checks.equal("poll gives up when its time is over", mine.approvals.poll(held.approval_token, timeout=0)["status"], "pending")
        raises(checks, "redeem before anybody has decided", PerSQLError, 409, lambda: mine.approvals.redeem(held.approval_token))
        agent.sleep = lambda seconds: (slept.append(seconds), decide(held.approval_token, "approve"))
        checks.equal("poll", (mine.approvals.poll(held.approval_token, interval=2.0)["status"], slept), ("approved", [2.0]))
        agent.sleep = slept.append
        checks.equal("nothing is done yet", db.query("SELECT count(*) AS n FROM orders WHERE status = 'paid'")["data"], [{"n": 0}])
        raises(checks, "redeem by somebody else", PerSQLError, 404, lambda: db.approvals.redeem(held.approval_token))
        checks.equal("redeem", mine.approvals.redeem(held.approval_token)["rows_written"], 1)
        checks.equal("it is done", db.query("SELECT status FROM orders WHERE id = 1")["data"], [{"status": "paid"}])
        raises(checks, "a second time", PerSQLError, 404, lambda: mine.approvals.redeem(held.approval_token))
        denied = raises(checks, "a batch", ApprovalRequiredError, 403, lambda: mine.batch([{"sql": "DELETE FROM orders WHERE id = 2"}]))
        decide(denied.approval_token, "deny", note="not this one")
        checks.equal("denied", mine.approvals.poll(denied.approval_token)["status"], "denied")
        raises(checks, "what was denied", PerSQLError, 409, lambda: mine.approvals.redeem(denied.approval_token))
    db.approval_rules.delete(rule["id"])


def snapshots(checks, s, client):
    db = client.database("acme/main")
    kept = db.snapshots.create("before-cleanup")
    db.query("DELETE FROM orders WHERE id < 3")
    checks.that("list", kept["id"] in [x["id"] for x in db.snapshots.list()])
    db.snapshots.restore(kept["id"])
    checks.equal("restore", db.query("SELECT count(*) AS n FROM orders")["data"], [{"n": 3}])
    db.snapshots.delete(kept["id"])
    checks.that("delete", kept["id"] not in [x["id"] for x in db.snapshots.list()])


def people(checks, s, client):
    made = client.provision("user_42", template="main")
    s.secrets.append(made["token"])
    with PerSQL(made["token"], f"http://127.0.0.1:{s.port}") as theirs:
        own = theirs.database(made["namespace_slug"], made["database"]["slug"])
        checks.equal("a person's own database, with the schema of another", {t["name"]: t["row_count"] for t in own.tables()}, {"customers": 0, "orders": 0, "coupons": 0})
    session = client.database("acme/main").create_session("user_42", email="ada@example.com", expires_in=600)
    s.secrets.append(session["token"])
    checks.equal("a session", (session["token"].count("."), session["expires_in"]), (2, 600))


def main():
    checks = Checks()
    with Server(binary_argument()) as s, PerSQL(s.token, f"http://127.0.0.1:{s.port}/") as client:
        for part in (reading, errors, retries, proposals, branches, rules, approvals, snapshots, people):
            checks.part(part, checks, s, client)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
