#!/usr/bin/env python3
"""What API tokens may do with SQL: roles statement by statement, table scope against everything that could slip past it; tokens bound
to a database, expiry and revocation. Which routes they open is tests/matrix. Usage: test_scope.py PATH-OF-HOLDFAST"""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import Checks, Server, binary_argument

SCHEMA = [
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, total REAL)", "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT)",
    "INSERT INTO orders VALUES(1, 9.5)", "INSERT INTO customers VALUES(1, 'secret@example.com')",
    "CREATE VIEW order_view AS SELECT * FROM orders", "CREATE VIEW leak AS SELECT email FROM customers",
    "CREATE TABLE audited(a)", "CREATE TRIGGER audit AFTER INSERT ON audited BEGIN INSERT INTO customers(email) VALUES('by trigger'); END",
    "CREATE TABLE reader(a)", "CREATE TRIGGER steal AFTER INSERT ON reader BEGIN UPDATE orders SET total = (SELECT length(email) FROM customers); END",
    "CREATE VIEW mixed AS SELECT o.id, 'viewword' AS w FROM orders o JOIN customers USING(id)",
    "CREATE TABLE child(id INTEGER PRIMARY KEY, c REFERENCES customers(id) ON DELETE CASCADE)",
]

# Ways to the rows of `customers` for a token whose scope is orders, order_view, audited, reader.
BYPASSES = [
    "SELECT * FROM customers", "SELECT email FROM Customers", 'SELECT * FROM "customers"', "SELECT * FROM [customers]", "SELECT * FROM `customers`",
    "SELECT * FROM main.customers", "SELECT * FROM/**/customers", "SELECT * FROM\n--x\ncustomers", "SELECT c.* FROM customers AS c",
    "SELECT * FROM orders, customers", "SELECT * FROM orders JOIN customers USING(id)", "SELECT * FROM orders NATURAL JOIN customers",
    "WITH x AS (SELECT * FROM customers) SELECT * FROM x", "WITH orders AS (SELECT email FROM customers) SELECT * FROM orders",
    "WITH RECURSIVE x(a) AS (SELECT email FROM customers UNION SELECT a FROM x) SELECT * FROM x",
    "SELECT (SELECT email FROM customers)", "SELECT EXISTS(SELECT 1 FROM customers)", "SELECT 1 WHERE 1 IN (SELECT id FROM customers)", "SELECT 1 IN customers",
    "SELECT 1 UNION SELECT email FROM customers", "SELECT * FROM orders ORDER BY (SELECT email FROM customers)", "SELECT * FROM leak",
    "SELECT count(*) FROM customers", "SELECT total FROM orders GROUP BY total HAVING (SELECT count(*) FROM customers)",
    "SELECT * FROM orders LIMIT (SELECT count(*) FROM customers)", "SELECT * FROM (SELECT * FROM (SELECT * FROM customers))", "VALUES((SELECT email FROM customers))",
    "SELECT sum(total) OVER (ORDER BY (SELECT email FROM customers)) FROM orders", "EXPLAIN SELECT * FROM customers", "EXPLAIN QUERY PLAN SELECT * FROM customers",
    "PRAGMA table_info(customers)", "SELECT * FROM pragma_table_info('customers')", "SELECT * FROM pragma_index_list('customers')",
    "SELECT sql FROM sqlite_schema WHERE name = 'customers'", "SELECT sql FROM sqlite_master",
]
WRITES = [
    "INSERT INTO customers(email) VALUES('x')", "UPDATE customers SET email = 'x'", "DELETE FROM customers", "REPLACE INTO customers VALUES(1, 'x')",
    "INSERT INTO orders SELECT id, email FROM customers", "UPDATE orders SET total = (SELECT email FROM customers)",
    "UPDATE orders SET total = c.id FROM customers c", "DELETE FROM orders WHERE id IN (SELECT id FROM customers)",
    "INSERT INTO orders(id, total) VALUES(9, 1) RETURNING (SELECT email FROM customers)",
    "INSERT INTO orders VALUES(1, 1) ON CONFLICT(id) DO UPDATE SET total = (SELECT email FROM customers)",
    "INSERT INTO audited VALUES(1)", "INSERT INTO reader VALUES(1)", "CREATE VIEW v AS SELECT * FROM customers",
    "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM customers; END", "CREATE TABLE copy AS SELECT * FROM customers", "DROP TABLE customers",
    "ALTER TABLE customers RENAME TO orders2", "ALTER TABLE orders RENAME TO customers", "CREATE INDEX i ON customers(email)", "CREATE TABLE customers2(a)",
    "DELETE FROM sqlite_sequence", "INSERT INTO _sys_applied VALUES(1)", "SELECT * FROM _sys_applied",
]
READONLY_REFUSED = ["INSERT INTO orders VALUES(5, 1)", "UPDATE orders SET total = 1", "DELETE FROM orders", "CREATE TABLE x(a)", "DROP TABLE orders",
                    "ALTER TABLE orders ADD COLUMN z", "CREATE INDEX i ON orders(total)", "REINDEX", "VACUUM", "ANALYZE", "WITH x AS (SELECT 1) DELETE FROM orders",
                    "REPLACE INTO orders VALUES(1, 1)", "PRAGMA user_version = 5", "/* SELECT */ DELETE FROM orders", "EXPLAIN DELETE FROM orders"]
READWRITE_REFUSED = ["CREATE TABLE x(a)", "DROP TABLE orders", "ALTER TABLE orders ADD COLUMN z", "CREATE INDEX i ON orders(total)", "CREATE VIEW v AS SELECT 1",
                     "CREATE TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END", "REINDEX", "VACUUM", "ATTACH ':memory:' AS x", "DETACH main",
                     "CREATE VIRTUAL TABLE f USING fts5(a)", "CREATE TEMP TABLE t(a)"]


def contents(s):
    return [s.query(f"SELECT * FROM {t} ORDER BY 1").json["data"]["rows"] for t in ("orders", "customers", "audited", "reader")]


def statements_by_role(checks, s):
    tokens = {role: s.mint(role)["token"] for role in ("admin", "readwrite", "readonly")}
    a = s.call("POST", "/v1/databases", {"slug": "mine"}, token=tokens["readwrite"])
    checks.equal("the refusal names both roles", a.json["error"], "This needs a token with role admin; yours has role readwrite")
    for role, refused in (("readonly", READONLY_REFUSED), ("readwrite", READWRITE_REFUSED)):
        before = contents(s)
        for text in refused:
            a = s.query(text, token=tokens[role])
            checks.that(f"{role}: {text}", a.status in (400, 403) and "approvalToken" not in a.json, a)
            a = s.batch([text], token=tokens[role])
            checks.that(f"{role}, batch: {text}", a.status in (400, 403), a)
        checks.equal(f"{role} changed nothing", contents(s), before)
    a = s.query("INSERT INTO orders VALUES(77, 1)", token=tokens["readonly"])
    checks.equal("a readonly token's write: 403", (a.status, a.json.get("errorDetail", {}).get("kind")), (403, "readonly"))
    checks.equal("readwrite writes rows", s.query("INSERT INTO orders VALUES(78, 1)", token=tokens["readwrite"]).status, 200)
    s.query("DELETE FROM orders WHERE id = 78")


def table_scope(checks, s):
    tables = "orders,order_view,mixed,audited,reader"
    for role in ("readonly", "readwrite", "admin"):
        token = s.mint(role, "--tables", tables)["token"]
        before = contents(s)
        checks.equal(f"{role}: its own table", s.query("SELECT id FROM orders", token=token).json.get("data", {}).get("rows"), [[1]])
        for text in BYPASSES + WRITES:
            a = s.query(text, token=token)
            leaked = b"secret@example.com" in a.data
            empty = a.status == 200 and not any("customers" in str(row) for row in a.json["data"]["rows"]) and text.startswith(("PRAGMA", "SELECT * FROM pragma", "SELECT sql"))
            checks.that(f"{role}: {text}", (a.status in (400, 403) or empty) and not leaked, a)
            checks.that(f"{role}, validate: {text}", b"secret@" not in s.db("validate", {"sql": text}, token=token).data)
            a = s.batch(["SELECT 1", text], token=token)
            checks.that(f"{role}, batch: {text}", (a.status in (400, 403) or empty) and b"secret@example.com" not in a.data, a)
        checks.equal(f"{role}: nothing changed", contents(s), before)
        a = s.query("SELECT * FROM customers", token=token)
        checks.equal(f"{role}: the words", (a.status, a.json["error"]), (403, 'Token scope does not include table "customers"'))
        listed = [t["name"] for t in s.db("tables", method="GET", token=token).json["data"]]
        checks.that(f"{role}: tables shows its own", "orders" in listed and "customers" not in listed, listed)
        for path in ("schema", "describe", "describe?format=compact", "search?q=customers", "doctor", "export?format=sql", "query-log"):
            a = s.db(path, method="GET", token=token)
            shown = [w for w in (b"secret@", b"customers", b"VIEW leak", b"viewword", b"by trigger", b"steal") if w in a.data]
            if path.startswith("search"):
                shown = [w for w in shown if w != b"customers"]  # the question itself
            if path in ("schema", "describe", "export?format=sql"):
                checks.that(f"{role}: {path} shows what reads nothing hidden", b"order_view" in a.data, a)
            checks.that(f"{role}: {path} hides the rest", a.status in ((200, 403) if path == "query-log" else (200,)) and not shown, (shown, a))
        for path in ("export?format=csv&table=customers", "export?format=ndjson&table=customers", "export?format=sql&table=customers", "export?format=csv&table=leak"):
            a = s.db(path, method="GET", token=token)
            checks.that(f"{role}: {path}", a.status in (403, 404) and b"secret@" not in a.data, a)
        a = s.db("import?table=customers", b"id,email\n5,x\n", token=token, headers={"Content-Type": "text/csv"})
        checks.that(f"{role}: import into another table", a.status == 403, a)
        checks.equal(f"{role}: nothing was imported", contents(s), before)
    none = s.mint("readonly", "--tables", "absent")["token"]
    checks.equal("a scope without existing tables still counts", s.query("SELECT 1 + 1", token=none).json["data"]["rows"], [[2]])
    checks.equal("and sees nothing", s.query("SELECT * FROM orders", token=none).status, 403)


def database_scope(checks, s):
    s.call("POST", "/v1/databases", {"slug": "other"})
    token = s.mint("admin", "--database", "main")["token"]
    checks.equal("its database", s.query("SELECT 1", token=token).status, 200)
    checks.equal("the list shows its own", [d["slug"] for d in s.call("GET", "/v1/databases", token=token).json["data"]], ["main"])


def time_and_revocation(checks, s):
    made = s.mint("readonly", "--expires-in", "1s")
    seen = {s.query("SELECT 1", token=made["token"]).status}
    while 401 not in seen and len(seen) < 3:  # at most a second
        seen.add(s.query("SELECT 1", token=made["token"]).status)
    checks.equal("a token works until it expires", seen - {200}, {401})
    made = s.mint("readwrite")
    checks.equal("a fresh token works while the server runs", s.query("SELECT 1", token=made["token"]).status, 200)
    s.run("token", "revoke", "--data", s.data, made["id"])
    checks.equal("revocation holds at the next request", s.query("SELECT 1", token=made["token"]).status, 401)
    busy, revoked = s.mint("readonly"), threading.Event()

    def hammer():
        return revoked.is_set(), s.query("SELECT 1", token=busy["token"]).status
    with beside(*[hammer] * 8) as seen:
        s.run("token", "revoke", "--data", s.data, busy["id"])
        revoked.set()
    after = [status for began_after, status in seen if began_after]
    checks.equal("no request that began after the revocation passes, also under load", (len(after) >= 8, set(after)), (True, {401}))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        checks.equal("schema", s.batch(SCHEMA).status, 200)
        for part in (statements_by_role, table_scope, database_scope, time_and_revocation):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
