#!/usr/bin/env python3
"""Proposals over HTTP: what is shown is what is done, once, whoever races and whatever crashes.
Usage: test_proposals.py PATH-OF-HOLDFAST"""
import http.client
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import Checks, Server, binary_argument

SCHEMA = ["CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT, total REAL)",
          "CREATE TABLE lines(id INTEGER PRIMARY KEY, order_id REFERENCES orders ON DELETE CASCADE, what TEXT)",
          "CREATE TABLE journal(what, at)",
          "CREATE TRIGGER told AFTER UPDATE ON orders BEGIN INSERT INTO journal VALUES(new.id, datetime('now')); END",
          "INSERT INTO orders VALUES(1, 'open', 10), (2, 'open', 20), (3, 'done', 30)",
          "INSERT INTO lines VALUES(10, 1, 'pen'), (11, 1, 'ink')"]


def propose(s, sql, params=None, **more):
    """(status, data or error)"""
    body = {"sql": sql, **({"params": params} if params is not None else {}), **{k: v for k, v in more.items() if k not in ("token", "headers")}}
    a = s.db("propose", body, **{k: v for k, v in more.items() if k in ("token", "headers")})
    if a.status == 200:
        s.secrets.append(a.json["data"]["executionToken"])
    return a.status, a.json.get("data", a.json)


def apply(s, pmut, **more):
    return s.db("apply", {"executionToken": pmut}, **more)


def value(s, sql):
    for _ in range(100):  # an engine that was killed a moment ago may take this one with it
        a = s.query(sql)
        if a.status not in (500, 503):
            break
    assert a.status == 200, a
    return a.json["data"]["rows"][0][0]


def shape(checks, s):
    status, p = propose(s, "UPDATE orders SET status = ? WHERE status = 'open'", ["shipped"], reason="month's end", ticket="T-1", agent="bot", model="m")
    checks.equal("propose", status, 200)
    for key, wanted in (("estimatedAffectedRows", 2), ("status", "pending"), ("action", "write"), ("schemaDiff", []), ("rules", []), ("rehearsedOn", "live"),
                        ("reason", "month's end"), ("ticket", "T-1"), ("agent", "bot"), ("model", "m"), ("plan", ["SCAN orders"])):
        checks.equal(key, [row[3] for row in p[key]] if key == "plan" else p[key], wanted)
    checks.that("hash", p["hash"].startswith("sha256:") and len(p["hash"]) == 71, p["hash"])
    checks.equal("tables", p["changes"]["tables"],
                 [{"table": "journal", "insert": 2, "update": 0, "delete": 0, "indirect": 2, "columns": []},
                  {"table": "orders", "insert": 0, "update": 2, "delete": 0, "indirect": 0, "columns": ["status"]}])
    checks.equal("rows", [(r["table"], r["op"], r["indirect"], r["key"]) for r in p["changes"]["rows"]][2:],
                 [("orders", "update", False, {"id": 1}), ("orders", "update", False, {"id": 2})])
    checks.equal("before and after", (p["changes"]["rows"][2]["before"], p["changes"]["rows"][2]["after"]), ({"status": "open"}, {"status": "shipped"}))
    checks.equal("flags", (p["flags"]["nondeterministic"], p["flags"]["fullScan"]), (["now"], True))
    s.query("CREATE TABLE codes(code TEXT PRIMARY KEY)")
    keys = [propose(s, f"INSERT INTO {into} VALUES('x')")[1]["flags"]["autoKeys"] for into in ("orders(status)", "codes")]
    checks.equal("keys that nobody gave are told, row ids behind a key that was given are not", keys, [["orders"], []])
    s.query("DROP TABLE codes")
    checks.equal("nothing happened", value(s, "SELECT count(*) FROM orders WHERE status = 'open'"), 2)
    shown = s.db("proposals/" + p["proposalId"], method="GET").json["data"]
    checks.equal("the same is read later", {k: shown[k] for k in p if k != "executionToken"}, {k: v for k, v in p.items() if k != "executionToken"})
    checks.that("without its token", "executionToken" not in shown)
    page = s.db(f"proposals/{p['proposalId']}/changes?table=orders&limit=1", method="GET").json["data"]
    checks.equal("a page", ([r["key"] for r in page["rows"]], page["truncated"]), ([{"id": 1}], True))
    rest = s.db(f"proposals/{p['proposalId']}/changes?table=orders&cursor={page['nextCursor']}", method="GET").json["data"]
    checks.equal("the rest", ([r["key"] for r in rest["rows"]], rest["nextCursor"]), ([{"id": 2}], None))
    time_shown = p["changes"]["rows"][0]["after"]["at"]
    a = apply(s, p["executionToken"])
    checks.equal("apply", (a.status, a.json["data"]["changes"], a.json["meta"]["proposalId"]), (200, 2, p["proposalId"]))
    checks.equal("the time is the one that was shown", value(s, "SELECT at FROM journal LIMIT 1"), time_shown)
    checks.equal("the second time", apply(s, p["executionToken"]).status, 404)
    listed = s.db("proposals?status=applied", method="GET").json["data"]["proposals"]
    checks.equal("listed", [(q["proposalId"], q["status"]) for q in listed], [(p["proposalId"], "applied")])
    rows = s.call("GET", "/api/namespaces/acme/audit?action=proposal.applied").json["data"]
    checks.equal("recorded", [row["after"] for row in rows], [{"proposal": p["proposalId"]}])


def cascades(checks, s):
    _, p = propose(s, "DELETE FROM orders WHERE id = 1")
    checks.equal("what goes with it is told", [(t["table"], t["delete"], t["indirect"]) for t in p["changes"]["tables"]], [("lines", 2, 2), ("orders", 1, 0)])
    s.query("INSERT INTO lines VALUES(12, 1, 'cap')")
    a = apply(s, p["executionToken"])
    checks.equal("one row more would go with it", (a.status, a.json["code"], [(r["kind"], r["key"]) for r in a.json["drift"]["rows"]]),
                 (409, "drift", [("new", {"id": 12})]))
    checks.equal("so none went", value(s, "SELECT count(*) FROM lines"), 3)
    fresh = a.json["proposal"]
    s.secrets.append(fresh["executionToken"])
    checks.equal("the fresh proposal", apply(s, fresh["executionToken"]).status, 200)
    checks.equal("all went", (value(s, "SELECT count(*) FROM lines"), value(s, "SELECT count(*) FROM orders")), (0, 2))


def bearers(checks, s):
    one, other = s.mint("readwrite")["token"], s.mint("readwrite")["token"]
    _, p = propose(s, "UPDATE orders SET total = 5 WHERE id = 2", token=one)
    checks.equal("another bearer", [apply(s, p["executionToken"], token=t).status for t in (other, s.token)], [404, 404])
    checks.equal("cannot see it", s.db("proposals/" + p["proposalId"], method="GET", token=other).status, 404)
    checks.equal("nor list it", s.db("proposals", method="GET", token=other).json["data"]["proposals"], [])
    checks.equal("an admin can", s.db("proposals/" + p["proposalId"], method="GET").status, 200)
    s.call("POST", "/v1/databases", {"slug": "second"})
    s.query("CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT, total REAL)", db="second")
    a = s.db("apply", {"executionToken": p["executionToken"]}, db="second", token=one)
    checks.equal("another database", a.status, 404)
    checks.equal("its own bearer", apply(s, p["executionToken"], token=one).status, 200)
    scoped = s.mint("readwrite", "--tables", "orders")["token"]
    status, p = propose(s, "DELETE FROM lines", token=scoped)
    checks.equal("a table scope holds", (status, p["error"]), (403, 'Token scope does not include table "lines"'))
    status, p = propose(s, "UPDATE orders SET total = 1", token=s.mint("readonly")["token"])
    checks.equal("readonly cannot", (status, p["code"]), (403, "forbidden"))


def errors(checks, s):
    for body, status, code in ((b"", 400, "invalid_request"), ({}, 400, "invalid_request"), ({"sql": 1}, 400, "invalid_request"),
                               ({"sql": "SELECT 1"}, 400, "invalid_request"), ({"sql": "DELETE FROM nope"}, 400, "sql_error"),
                               ({"sql": "DELETE FROM orders; SELECT 1"}, 400, "sql_error"), ({"sql": "DELETE FROM orders WHERE id = ?"}, 400, "sql_error"),
                               ({"statements": []}, 400, "invalid_request"), ({"statements": [{"sql": "DELETE FROM orders"}], "sql": "x"}, 400, "invalid_request"),
                               ({"sql": "DELETE FROM orders", "ttlSec": 59}, 400, "invalid_request"), ({"sql": "DELETE FROM orders", "ttlSec": 3601}, 400, "invalid_request"),
                               ({"sql": "DELETE FROM orders", "ttlSec": "60"}, 400, "invalid_request"), ({"sql": "DELETE FROM orders", "reason": "x" * 2001}, 400, "invalid_request"),
                               ({"sql": "DELETE FROM orders", "agent": ""}, 400, "invalid_request"), ({"sql": "VACUUM"}, 403, "forbidden"),
                               ({"sql": "BEGIN"}, 403, "forbidden"), ({"sql": "DELETE FROM _sys_proposal"}, 403, "forbidden")):
        a = s.db("propose", body)
        checks.equal(f"propose {body}", (a.status, a.json["code"]), (status, code)) or print(a)
    for body, status in (({}, 400), ({"executionToken": 1}, 400), ({"executionToken": ""}, 400), ({"executionToken": "x" * 201}, 400),
                         ({"executionToken": "pmut_"}, 404), ({"executionToken": "pmut_" + "a" * 49}, 404), ({"executionToken": s.token}, 404)):
        checks.equal(f"apply {body if s.token not in str(body) else 'an API token'}", s.db("apply", body).status, status)
    for path, status in (("proposals?status=x", 400), ("proposals?limit=0", 400), ("proposals?limit=1001", 400), ("proposals?cursor=-1", 400), ("proposals?cursor=a", 400),
                         ("proposals/prop_0", 404), ("proposals/%00", 400), ("proposals/prop_0/changes", 404), ("proposals/prop_0/nope", 404)):
        checks.equal(path, s.db(path, method="GET").status, status)
    checks.equal("withdraw what is not there", s.call("POST", "/v1/db/acme/main/proposals/prop_0/withdraw").status, 404)
    _, p = propose(s, "UPDATE orders SET total = 7 WHERE id = 3")
    withdraw = f"/v1/db/acme/main/proposals/{p['proposalId']}/withdraw"
    checks.equal("withdraw, twice", [s.call("POST", withdraw).status for _ in range(2)], [200, 409])
    checks.equal("its token is void", apply(s, p["executionToken"]).status, 404)
    rows = s.call("GET", "/api/namespaces/acme/audit?action=proposal.withdrawn").json["data"]
    checks.equal("recorded", [row["after"] for row in rows], [{"proposal": p["proposalId"]}])


def keys(checks, s):
    head = {"Idempotency-Key": "apply-once"}
    _, p = propose(s, "UPDATE orders SET total = total + 1 WHERE id = 3")
    before = value(s, "SELECT total FROM orders WHERE id = 3")
    first, second = (apply(s, p["executionToken"], headers=head) for _ in range(2))
    checks.equal("with a key the answer comes again", (first.status, second.status, second.headers.get("idempotency-replayed")), (200, 200, "true"))
    checks.equal("the write does not", value(s, "SELECT total FROM orders WHERE id = 3"), before + 1)
    _, p = propose(s, "UPDATE orders SET total = 0 WHERE id = 3")
    s.query("UPDATE orders SET total = 100 WHERE id = 3")
    head = {"Idempotency-Key": "drifted"}
    checks.equal("a refusal is not kept for its key", [apply(s, p["executionToken"], headers=head).status for _ in range(2)], [409, 404])


def schema(checks, s):
    a = s.db("propose", {"statements": [{"sql": "ALTER TABLE orders ADD COLUMN note"}, {"sql": "UPDATE orders SET note = 'n' WHERE id = 2"}]})
    p = a.json["data"]
    checks.equal("a migration", (p["action"], [(d["change"], d["name"]) for d in p["schemaDiff"]], p["changes"]["rows"][-1]["after"]),
                 ("schema", [("changed", "orders")], {"note": "n"}))
    checks.equal("is not there yet", s.query("SELECT note FROM orders").status, 400)
    a = apply(s, p["executionToken"])
    checks.equal("until it is applied", (a.status, len(a.json["data"]), value(s, "SELECT note FROM orders WHERE id = 2")), (200, 2, "n"))
    _, p = propose(s, "DROP TABLE journal")
    count = value(s, "SELECT count(*) FROM journal")
    checks.equal("how many rows go", [(d["change"], d["rows"]) for d in p["schemaDiff"] if d["type"] == "table"], [("removed", count)])


def row_security(checks, s):
    """The rows of others are neither shown nor guessed from what triggers do to them."""
    s.query("CREATE TABLE notes(id INTEGER PRIMARY KEY, tenant TEXT, body TEXT)")
    s.query("CREATE TABLE totals(tenant TEXT PRIMARY KEY, secret TEXT, n INTEGER)")
    s.query("INSERT INTO notes VALUES(1, 'a', 'mine'), (2, 'b', 'theirs')")
    s.query("INSERT INTO totals VALUES('b', 'hush', 0)")
    s.query("CREATE TRIGGER counted AFTER UPDATE ON notes BEGIN UPDATE totals SET n = n + 1, secret = secret || '!'; END")
    base = "/api/namespaces/acme/databases/main/policies"
    for table in ("notes", "totals"):
        s.call("POST", base, {"name": "own", "tableName": table, "expression": "tenant = :auth_tenant"})
    token = s.call("POST", "/api/namespaces/acme/tokens", {"name": "a", "role": "readwrite", "claims": {"tenant": "a"}}).json["data"]["token"]
    s.secrets.append(token)
    status, p = propose(s, "UPDATE notes SET body = 'new'", token=token)
    checks.equal("under policies", status, 200) or print(p)
    checks.equal("its own rows", [(r["table"], r["key"]) for r in p["changes"]["rows"]], [("notes", {"id": 1})])
    checks.that("nothing of others", "hush" not in str(p) and "theirs" not in str(p), p)
    checks.equal("what is hidden is counted, and its hash is not told", (p["changes"]["hiddenRows"], p["hash"], p["flags"]["bytes"]), (1, None, None))
    checks.equal("an admin sees all", len(s.db("proposals/" + p["proposalId"], method="GET").json["data"]["changes"]["rows"]), 2)
    a = apply(s, p["executionToken"], token=token)
    checks.equal("applied", (a.status, value(s, "SELECT group_concat(body) FROM notes"), value(s, "SELECT n FROM totals")), (200, "new,theirs", 1))


def undo(checks, s):
    s.query("CREATE TABLE stock(id INTEGER PRIMARY KEY, n INTEGER, note TEXT)")
    s.query("INSERT INTO stock VALUES(1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')")
    rows = lambda: s.query("SELECT * FROM stock ORDER BY id").json["data"]["rows"]
    before = rows()
    _, p = propose(s, "UPDATE stock SET n = n - 1")
    path = f"/v1/db/acme/main/proposals/{p['proposalId']}/undo"
    checks.equal("not before it is applied", (s.call("POST", path).status, s.call("POST", path.replace("prop_", "prop_x")).status), (409, 404))
    apply(s, p["executionToken"])
    after = rows()
    a = s.call("POST", path, {"reason": "mistaken"})
    back = a.json["data"]
    s.secrets.append(back["executionToken"])
    checks.equal("a proposal of the inverse", (back["action"], back["undoOf"], back["estimatedAffectedRows"], back["reason"], back["sql"]),
                 ("undo", [p["proposalId"]], 3, "mistaken", None))
    checks.equal("with its rows", back["changes"]["rows"][0]["after"], {"n": 10})
    checks.equal("nothing happened yet", rows(), after)
    a = apply(s, back["executionToken"])
    checks.equal("applied", (a.status, a.json["data"]["changes"], rows()), (200, 3, before))
    again = s.call("POST", f"/v1/db/acme/main/proposals/{back['proposalId']}/undo").json["data"]
    s.secrets.append(again["executionToken"])
    checks.equal("and done again", (apply(s, again["executionToken"]).status, rows()), (200, after))
    s.query("UPDATE stock SET n = 0 WHERE id = 2")
    s.query("DELETE FROM stock WHERE id = 3")
    a = s.call("POST", f"/v1/db/acme/main/proposals/{again['proposalId']}/undo")
    checks.equal("not over what came later", (a.status, a.json["code"], [(r["key"]["id"], r["kind"]) for r in a.json["drift"]["rows"]]),
                 (409, "drift", [(2, "differs"), (3, "missing")]))
    checks.equal("nothing changed", rows(), [[1, 9, "a"], [2, 0, "b"]])
    for body in (b"[]", b"x", {"ttlSec": 1}, {"reason": 1}):
        checks.equal(f"undo {body}", s.call("POST", path, body).status, 400)


def races(checks, s):
    """8 callers with one token: one does it, the others are told that it is gone."""
    s.query("CREATE TABLE counter(n INTEGER)")
    s.query("INSERT INTO counter VALUES(0)")
    for round in range(40):
        _, p = propose(s, "UPDATE counter SET n = n + 1")
        answers, barrier = [None] * 8, threading.Barrier(8)

        def one(i):
            barrier.wait()
            answers[i] = apply(s, p["executionToken"]).status

        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if sorted(answers) != [200] + [404] * 7 or value(s, "SELECT n FROM counter") != round + 1:
            checks.equal(f"race {round}", (sorted(answers), value(s, "SELECT n FROM counter")), ([200] + [404] * 7, round + 1))
    checks.equal("races", value(s, "SELECT n FROM counter"), 40)


def together(checks, s):
    """Applied at once, their rows of the audit log share transactions: each proposal has one row, in one chain."""
    s.query("CREATE TABLE seats(id INTEGER PRIMARY KEY, taken INTEGER)")
    made = [propose(s, "INSERT INTO seats VALUES(?, 1)", [n])[1] for n in range(48)]
    told, barrier = [], threading.Barrier(16)

    def some(mine):
        barrier.wait()
        told.extend(apply(s, p["executionToken"]).status for p in mine)

    threads = [threading.Thread(target=some, args=(made[i::16],)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    checks.equal("all were applied", (told, value(s, "SELECT count(*) FROM seats")), ([200] * 48, 48))
    rows = s.call("GET", "/api/namespaces/acme/audit?action=proposal.applied&limit=100").json["data"]
    recorded = sorted(row["after"]["proposal"] for row in rows[:48])
    checks.equal("each is recorded once", recorded, sorted(p["proposalId"] for p in made))


def crashes(checks, s):
    """Engines and the whole server are killed at random while 8 callers apply: each 0 or 1 times, and told truthfully afterwards."""
    s.query("CREATE TABLE ledger(proposal INTEGER)")
    wrong, applied = [], 0
    for round in range(18):
        made = [(round * 10 + n, propose(s, "INSERT INTO ledger VALUES(?)", [round * 10 + n])[1]) for n in range(6)]
        said = {n: [] for n, _ in made}

        def caller():
            for n, p in made:
                try:
                    said[n].append(apply(s, p["executionToken"]).status)
                except (OSError, http.client.HTTPException):
                    pass

        threads = [threading.Thread(target=caller) for _ in range(8)]
        for t in threads:
            t.start()
        time.sleep(checks.random.random() * 0.03)  # when it strikes is what is random here: nothing is waited for
        if round % 3 == 2:  # a third crash of an engine within a minute opens the breaker, which the next server forgets
            s.kill()
        else:
            for pid in s.children("hf-engine"):
                os.kill(pid, signal.SIGKILL)
        for t in threads:
            t.join()
        if s.proc is None:
            s.start()
        for n, p in made:
            rows = value(s, f"SELECT count(*) FROM ledger WHERE proposal = {n}")
            shown = s.db("proposals/" + p["proposalId"], method="GET")
            state = shown.json["data"]["status"] if shown.status == 200 else "gone"
            applied += rows
            if rows > 1 or said[n].count(200) > 1 or (said[n].count(200) and not rows) or (rows == 1) != (state == "applied"):
                wrong.append((n, rows, state, said[n]))
    checks.equal("each was applied at most once, and is told so", wrong, [])
    checks.that("some were applied", applied > 0, applied)


def beside_writes(checks, s):
    """A long rehearsal holds up nobody: it goes on on a copy while the database is written."""
    s.query("CREATE TABLE big(id INTEGER PRIMARY KEY, v INTEGER)")
    s.query("CREATE TABLE small(id INTEGER PRIMARY KEY)")
    s.query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) INSERT INTO big SELECT x, 0 FROM c")
    slow = "UPDATE big SET v = (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500 + big.v) SELECT sum(x) FROM c)"
    with beside(lambda: s.query("INSERT INTO small DEFAULT VALUES").status) as statuses:
        status, p = propose(s, slow, headers={"Idempotency-Key": "big"})
    checks.equal("sent again it has its answer", propose(s, slow, headers={"Idempotency-Key": "big"}), (status, p))
    checks.equal("rehearsed on a copy", (status, p.get("rehearsedOn"), p.get("estimatedAffectedRows")), (200, "copy", 20000))
    checks.equal("every write beside it was done", (set(statuses), value(s, "SELECT count(*) FROM small")), ({200}, len(statuses)))
    checks.that("and more than waited for it at once", len(statuses) > 10, len(statuses))
    a = apply(s, p["executionToken"])
    checks.equal("and applied as it was shown", (a.status, value(s, "SELECT sum(v) FROM big")), (200, 20000 * 125250))
    status, p = propose(s, "UPDATE big SET v = 1 WHERE id = 1")
    checks.equal("a short one is live", (status, p["rehearsedOn"]), (200, "live"))


def on_drift(checks, s):
    """Refusing is the default; who wants it otherwise is told with each answer that it was otherwise."""
    s.query("CREATE TABLE stamps(id INTEGER PRIMARY KEY, n INTEGER)")
    s.query("INSERT INTO stamps VALUES(1, 0)")
    write = "UPDATE stamps SET n = n + 1"

    def drifted():
        _, p = propose(s, write)
        s.query("INSERT INTO stamps(n) VALUES(0)")
        return apply(s, p["executionToken"])

    checks.equal("refused", drifted().status, 409)
    checks.equal("set", s.db("proposal-settings", {"onDrift": "reapply"}, method="PUT").json["data"], {"onDrift": "reapply"})
    a = drifted()
    checks.equal("reapplied", (a.status, a.json["data"]["changes"], a.json["meta"].get("drift")), (200, 3, True))
    _, p = propose(s, write)
    checks.equal("without drift none is told", "drift" in apply(s, p["executionToken"]).json["meta"], False)
    a = s.call("PUT", "/api/namespaces/acme/databases/main/proposal-settings", {"onDrift": "refuse"})
    checks.equal("and back", (a.json["data"]["onDrift"], drifted().status), ("refuse", 409))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for sql in SCHEMA:
            s.query(sql)
        for part in (shape, cascades, bearers, errors, keys, schema, row_security, undo, races, together, beside_writes, on_drift):
            checks.part(part, checks, s)
    with Server(binary_argument()) as s:
        checks.part(crashes, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
