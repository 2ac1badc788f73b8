#!/usr/bin/env python3
"""A program as a user writes it, over a client in the manner of the persql package: recipes, errors, transfers, retries. Usage: python_client.py PATH-OF-HOLDFAST"""
import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from persql_client import PerSQL, PerSQLError, snake


def agent_memory(checks, db):
    """The recipe: full text search kept up to date by triggers."""
    db.batch([
        {"sql": "CREATE TABLE memories(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, created_at TEXT DEFAULT (datetime('now')))"},
        {"sql": "CREATE VIRTUAL TABLE memories_fts USING fts5(body, content='memories', content_rowid='id', tokenize='porter unicode61')"},
        {"sql": "CREATE TRIGGER memories_ai AFTER INSERT ON memories BEGIN INSERT INTO memories_fts(rowid, body) VALUES (new.id, new.body); END"},
        {"sql": "CREATE TRIGGER memories_ad AFTER DELETE ON memories BEGIN INSERT INTO memories_fts(memories_fts, rowid, body) VALUES('delete', old.id, old.body); END"},
    ], transaction=False)
    results = db.batch([{"sql": "INSERT INTO memories(body) VALUES(?)", "params": [t]} for t in ("the user likes running", "deploys happen on Friday")])
    checks.equal("every insert reports one row", [r["rows_written"] >= 1 and r["changes"] for r in results], [1, 1])
    found = db.query("SELECT m.body FROM memories_fts f JOIN memories m ON m.id = f.rowid WHERE memories_fts MATCH ? ORDER BY rank", ["run"])
    checks.equal("search finds by stem", found["data"], [{"body": "the user likes running"}])
    db.query("DELETE FROM memories WHERE id = 1")
    checks.equal("and forgets", db.query("SELECT rowid FROM memories_fts WHERE memories_fts MATCH 'run'")["data"], [])
    upsert = "INSERT INTO kv(k, v) VALUES(?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v RETURNING v"
    db.query("CREATE TABLE kv(k TEXT PRIMARY KEY, v)")
    checks.equal("upsert with RETURNING", [db.query(upsert, ["a", n])["data"] for n in (1, 2)], [[{"v": 1}], [{"v": 2}]])


def errors(checks, client, db):
    db.query("CREATE TABLE users(email TEXT UNIQUE NOT NULL)")
    db.query("INSERT INTO users VALUES('a@example.com')")
    for sql, kind in (("INSERT INTO users VALUES('a@example.com')", "unique_violation"), ("SELECT emial FROM users", "unknown_column"), ("SELEC", "syntax_error")):
        try:
            db.query(sql)
            checks.that(f"{sql} raises", False)
        except PerSQLError as e:
            checks.equal(f"{sql} raises", (e.status, e.detail["kind"], e.detail["message"]), (400, kind, e.args[0]))
    try:
        client.database("other/main").query("SELECT 1")
        checks.that("another namespace raises", False)
    except PerSQLError as e:
        checks.equal("another namespace raises", (e.status, e.args[0], e.detail), (403, "Token namespace mismatch", None))


def self_healing(checks, db):
    """An agent asks the server what was wrong, and what there is."""
    verdict = db.client.call("POST", db.path + "/validate", json={"sql": "SELECT * FROM memoriez"})["data"]
    checks.equal("validate", (verdict["ok"], verdict["errorDetail"]["kind"]), (False, "unknown_table"))
    compact = db.client.http.get(db.path + "/describe", params={"format": "compact"}).text
    checks.that("describe for a prompt", "memories" in compact and "{" not in compact[:1], compact[:80])
    checks.that("search", any(h["table"] == "memories" for h in db.get("search", q="memories", limit=5)["hits"]))
    checks.equal("tables", {t["name"] for t in db.get("tables")} >= {"memories", "users", "kv"}, True)


def transfers(checks, db):
    def lines():
        for n in range(2000):
            yield b'{"n": %d, "text": "%s"}\n' % (n, b"x" * 300)

    sent = db.client.http.post(db.path + "/import", params={"table": "landed"}, content=lines(), headers={"Content-Type": "application/x-ndjson"})
    checks.equal("a generator of unknown length, streamed in", (sent.status_code, sent.json()["data"]["rows"]), (200, 2000))
    checks.equal("what arrived is told", int(sent.headers["X-Import-Bytes"]), sum(len(l) for l in lines()))
    with db.client.http.stream("GET", db.path + "/export", params={"format": "ndjson", "table": "landed"}) as got:
        guess, total = int(got.headers["X-Export-Bytes-Estimate"]), sum(len(piece) for piece in got.iter_bytes())
    checks.that("streamed out, with a guess for a progress bar", total * 0.8 < guess < total * 1.25, (guess, total))
    query = db.client.http.post(db.path + "/query", content=iter([b'{"sql": ', b'"SELECT 1"}']), headers={"Content-Type": "application/json"})
    checks.equal("JSON in chunks", query.json()["data"]["rows"], [[1]])


def retries(checks, db):
    db.query("CREATE TABLE orders(id INTEGER PRIMARY KEY, n)")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: db.query("INSERT INTO orders(n) VALUES(?)", [n % 8], idempotency_key=f"order-{n % 8}"), range(64)))
    checks.equal("64 sends of 8 orders make 8 rows", db.query("SELECT count(*) AS n FROM orders")["data"], [{"n": 8}])


def main():
    checks = Checks()
    with Server(binary_argument()) as s, PerSQL(s.token, f"http://127.0.0.1:{s.port}") as client:
        checks.equal("me", snake(client.call("GET", "/v1/me")["data"])["namespace_slug"], "acme")
        made = client.call("POST", "/v1/databases", json={"name": "Agent memory", "slug": "memory"})["data"]
        checks.equal("create answers 200", (client.last.status_code, made["slug"]), (200, "memory"))
        db = client.database("acme/memory")
        agent_memory(checks, db)
        errors(checks, client, db)
        self_healing(checks, db)
        transfers(checks, db)
        retries(checks, db)
        cost = db.query("SELECT 1")["meta"]
        checks.that("meta", cost["cost_usd"] > 0 and cost["statement_count"] == 1 and cost["query_log_id"], cost)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
