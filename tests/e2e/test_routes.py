#!/usr/bin/env python3
"""Every route of the server: that it answers, the shape of its answer, and the errors that all routes share. The list comes from
/openapi.json, which comes from routes.def; a route without cases here is a failure. Usage: test_routes.py PATH-OF-HOLDFAST"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from routes import CALLS, STRANGER, routes

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
META = {"rowsRead": int, "rowsWritten": int, "durationMs": (int, float), "statementCount": int, "costUsd": float}


def envelope(checks, what, answer, status, code):
    """The one error shape."""
    if not checks.equal(f"{what}: status", answer.status, status):
        print("    ", answer)
        return {}
    body = answer.json
    checks.equal(f"{what}: success", body.get("success"), False)
    checks.equal(f"{what}: code", body.get("code"), code)
    checks.that(f"{what}: error is a sentence", isinstance(body.get("error"), str) and body["error"], body)
    checks.equal(f"{what}: requestId is the header's", body.get("requestId"), answer.headers.get("x-request-id"))
    checks.that(f"{what}: nosniff", answer.headers.get("x-content-type-options") == "nosniff", answer.headers)
    return body


def data_of(checks, what, answer):
    if not checks.equal(f"{what}: status", answer.status, 200):
        print("    ", answer)
        return None
    checks.equal(f"{what}: success", answer.json.get("success"), True)
    return answer.json.get("data")


def operations(checks, s):
    checks.equal("healthz", s.call("GET", "/healthz", token="x").json, {"status": "ok"})
    checks.equal("readyz", s.call("GET", "/readyz").json, {"status": "ok"})
    version = s.call("GET", "/version").json
    checks.equal("version names the program", version["name"], "holdfast")
    checks.equal("version's SQLite is the database's", [[version["sqlite"]]], s.query("SELECT sqlite_version()").json["data"]["rows"])
    s.query("SELECT 2")
    text = s.call("GET", "/metrics").data.decode()
    for name in ("holdfast_requests_total", "holdfast_request_seconds_bucket", "holdfast_engines", "holdfast_commits_total",
                 "holdfast_writes_total", "holdfast_fsync_seconds_total", "holdfast_wal_bytes", "holdfast_calls_waiting",
                 "holdfast_engine_kills_total", "holdfast_connections", "holdfast_worker_jobs_total", "holdfast_control_statements_total"):
        checks.that(f"metrics hold {name}", re.search(rf"^{name}(\{{.*\}})? [0-9.e+-]+$", text, re.M), text[:300])
    checks.that("metrics label by template", 'route="/v1/db/{ns}/{db}/query"' in text)
    checks.that("metrics never hold a slug", "acme" not in text and "main" not in text)
    for line in text.splitlines():
        if not line.startswith("#"):
            checks.that("metrics line is well formed", re.fullmatch(r'[a-z_]+(\{[^{}]*(\{\w+\}[^{}]*)*\})? [0-9.e+-]+(Inf)?', line), line)


def identity(checks, s):
    me = data_of(checks, "me", s.call("GET", "/v1/me"))
    checks.equal("me: namespace and role", (me["namespaceSlug"], me["role"]), ("acme", "admin"))
    checks.that("me: ids", me["namespaceId"].startswith("ns_") and me["tokenId"].startswith("tok_"), me)
    checks.equal("whoami has no envelope", s.call("GET", "/v1/whoami").json, {"namespace": "acme"})
    narrow = s.mint("readonly", "--tables", "a,b", "--database", "main", "--expires-in", "1h", "--name", "narrow")
    me = data_of(checks, "me of a narrow token", s.call("GET", "/v1/me", token=narrow["token"]))
    checks.equal("me: table scope", me["tableScope"], ["a", "b"])
    checks.that("me: database scope and expiry", me["databaseId"].startswith("db_") and TIME.match(me["expiresAt"]), me)


def databases(checks, s):
    rows = data_of(checks, "list", s.call("GET", "/v1/databases?pageSize=100"))
    checks.equal("list: one at first", [r["slug"] for r in rows], ["main"])
    checks.equal("list: members of a row", set(rows[0]) - {"deletedAt"},
                 {"id", "slug", "name", "status", "region", "branchRef", "forkedFromId", "forkedAt", "expiresAt", "createdAt"})
    checks.that("list: time", TIME.match(rows[0]["createdAt"]), rows[0])
    made = data_of(checks, "create", s.call("POST", "/v1/databases", {"name": "Weekend prototype", "slug": "scratch"}))
    checks.equal("create: row", (made["slug"], made["name"], made["region"]), ("scratch", "Weekend prototype", "auto"))
    checks.that("create: status", made["status"] in ("provisioning", "healthy"), made)
    checks.equal("a new database answers at once", s.query("SELECT 1", db="scratch").status, 200)
    checks.equal("its slug can come from the name", data_of(checks, "create by name", s.call("POST", "/v1/databases", {"name": "Hello, World!"}))["slug"],
                 "hello-world")
    checks.equal("its name can come from the slug", data_of(checks, "create by slug", s.call("POST", "/v1/databases", {"slug": "x1"}))["name"], "x1")
    envelope(checks, "duplicate slug", s.call("POST", "/v1/databases", {"slug": "scratch"}), 409, "conflict")
    page = [data_of(checks, f"page {n}", s.call("GET", f"/v1/databases?pageSize=3&page={n}")) for n in (1, 2, 3)]
    checks.equal("pages", [[r["slug"] for r in p] for p in page], [["main", "scratch", "hello-world"], ["x1"], []])
    for path, pointer in (("/v1/databases?pageSize=0", "/pageSize"), ("/v1/databases?page=0", "/page"), ("/v1/db/acme/main/query-log?limit=0", "/limit"),
                          ("/v1/db/acme/main/search?q=a&limit=0", "/limit"), ("/api/namespaces/acme/audit?limit=0", "/limit")):
        a = s.call("GET", path)
        checks.equal(f"{path} points at its parameter", (a.status, a.json.get("pointer")), (400, pointer))
    for query in ("pageSize=0", "pageSize=101", "pageSize=x", "page=0", "page=-1", "page=99999999999999999999", "page=1&page=2", "page=%zz"):
        envelope(checks, f"list with {query}", s.call("GET", f"/v1/databases?{query}"), 400, "invalid_request")
    checks.equal("get", data_of(checks, "get", s.call("GET", "/v1/databases/scratch"))["id"], made["id"])
    s.query("CREATE TABLE kept(a)", db="scratch")
    s.query("INSERT INTO kept VALUES(7)", db="scratch")
    gone = data_of(checks, "delete", s.call("DELETE", "/v1/databases/scratch"))
    checks.that("delete: in the trash", gone["status"] == "deleted" and TIME.match(gone["deletedAt"]), gone)
    envelope(checks, "query of a deleted database", s.query("SELECT 1", db="scratch"), 404, "not_found")
    envelope(checks, "get of a deleted database", s.call("GET", "/v1/databases/scratch"), 404, "not_found")
    envelope(checks, "delete again", s.call("DELETE", "/v1/databases/scratch"), 404, "not_found")
    back = data_of(checks, "restore", s.call("POST", "/v1/databases/scratch/restore"))
    checks.equal("restore: the same one", back["id"], made["id"])
    checks.equal("restore: its rows", s.query("SELECT a FROM kept", db="scratch").json["data"]["rows"], [[7]])
    envelope(checks, "restore again", s.call("POST", "/v1/databases/scratch/restore"), 404, "not_found")
    s.call("DELETE", "/v1/databases/scratch")
    s.call("POST", "/v1/databases", {"slug": "scratch"})
    envelope(checks, "restore onto a slug in use", s.call("POST", "/v1/databases/scratch/restore"), 409, "conflict")
    checks.equal("the new one is empty", s.db("tables", db="scratch", method="GET").json["data"], [])


def result_shape(checks, what, result, columns, rows):
    checks.equal(f"{what}: columns", result["columns"], columns)
    checks.equal(f"{what}: rows", result["rows"], rows)
    checks.that(f"{what}: counts", isinstance(result["rowsRead"], int) and isinstance(result["rowsWritten"], int), result)


def meta_shape(checks, what, answer, statements):
    meta = answer.json.get("meta", {})
    for key, kind in META.items():
        checks.that(f"{what}: meta.{key}", isinstance(meta.get(key), kind) and not isinstance(meta.get(key), bool), meta)
    checks.equal(f"{what}: meta.statementCount", meta.get("statementCount"), statements)
    cost = (500 + 5 * meta["rowsRead"] + 2000 * meta["rowsWritten"]) * 1e-9
    checks.that(f"{what}: meta.costUsd follows the rates", abs(meta["costUsd"] - cost) < 1e-12, meta)


def sql(checks, s):
    s.query("CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT UNIQUE, note, pic BLOB)")
    a = s.query("INSERT INTO customers(id, email) VALUES(?, ?)", [42, "ada@example.com"])
    result_shape(checks, "insert", data_of(checks, "insert", a), [], [])
    checks.equal("insert: changes, rowid, written", [a.json["data"].get(k) for k in ("changes", "lastInsertRowid", "rowsWritten")], [1, 42, 1])
    meta_shape(checks, "insert", a, 1)
    a = s.query("SELECT id, email FROM customers WHERE id = ?", [42])
    result_shape(checks, "select", data_of(checks, "select", a), ["id", "email"], [[42, "ada@example.com"]])
    checks.equal("select: a point read visits one row", a.json["data"]["rowsRead"], 1)
    checks.that("select: no changes", "changes" not in a.json["data"], a.json)
    meta_shape(checks, "select", a, 1)
    checks.that("queryLogId", a.json["meta"].get("queryLogId", "").startswith("ql_"), a.json)
    for name, params in (("named", {"id": 42}), ("named with its sigil", {":id": 42})):
        a = s.query("SELECT email FROM customers WHERE id = :id", params)
        checks.equal(f"{name} parameters", a.json.get("data", {}).get("rows"), [["ada@example.com"]])
    values = [None, True, False, 0, -1, 2**53 + 1, 2**63 - 1, -2**63, 0.5, 1e300, "", "\u00e4\U0001f600\u2028", {"$blob": "AAEC/w=="}, {"$blob": ""}]
    wanted = [None, 1, 0, 0, -1, 2**53 + 1, 2**63 - 1, -2**63, 0.5, 1e300, "", "\u00e4\U0001f600\u2028", {"$blob": "AAEC/w=="}, {"$blob": ""}]
    a = s.query("SELECT " + ",".join("?" for _ in values), values)
    checks.equal("values go round exactly", a.json["data"]["rows"], [wanted])
    checks.that("integers are written as integers", b"9223372036854775807" in a.data and b"9007199254740993" in a.data, a.data)
    a = s.batch([{"sql": "INSERT INTO customers(email) VALUES(?)", "params": ["b@example.com"]},
                 {"sql": "INSERT INTO customers(email) VALUES(?)", "params": ["c@example.com"]}, "SELECT count(*) AS n FROM customers"], transaction=False)
    results = data_of(checks, "batch", a)
    checks.equal("batch: results", [(r["columns"], r["rows"], r.get("changes")) for r in results], [([], [], 1), ([], [], 1), (["n"], [[3]], None)])
    meta_shape(checks, "batch", a, 3)
    for transaction, left in ((True, 3), (False, 4)):
        a = s.batch([f"INSERT INTO customers(email) VALUES('x{transaction}')", "INSERT INTO customers(email) VALUES('b@example.com')"], transaction)
        body = envelope(checks, f"failing batch, transaction {transaction}", a, 400, "sql_error")
        checks.equal("the failing statement is named", body.get("statementIndex"), 1)
        checks.equal("errorDetail", {k: body["errorDetail"].get(k) for k in ("kind", "table", "column")},
                     {"kind": "unique_violation", "table": "customers", "column": "email"})
        checks.equal("what stays", s.query("SELECT count(*) FROM customers").json["data"]["rows"], [[left]])
    a = s.db("explain", {"sql": "SELECT * FROM customers WHERE email = 'x'"})
    checks.that("explain names the index", "customers" in str(data_of(checks, "explain", a)) and "SEARCH" in str(a.json), a)
    a = s.db("validate", {"sql": "SELECT * FROM custmers"})
    verdict = data_of(checks, "validate", a)
    checks.equal("validate: verdict", (verdict["ok"], verdict["errorDetail"]["kind"], verdict["errorDetail"]["table"]), (False, "unknown_table", "custmers"))
    checks.equal("validate: good", data_of(checks, "validate good", s.db("validate", {"sql": "SELECT ?", "params": [1]}))["ok"], True)
    checks.equal("validate: too few parameters", data_of(checks, "validate few", s.db("validate", {"sql": "SELECT ?, ?", "params": [1]}))["ok"], False)


def errors(checks, s):
    cases = [
        ("INSERT INTO customers(id) VALUES(42)", "unique_violation"), ("CREATE TABLE nn(a NOT NULL)", None), ("INSERT INTO nn VALUES(NULL)", "not_null_violation"),
        ("CREATE TABLE kid(p REFERENCES customers(id))", None), ("INSERT INTO kid VALUES(999)", "fk_violation"),
        ("CREATE TABLE ck(a CHECK(a > 0))", None), ("INSERT INTO ck VALUES(0)", "check_violation"),
        ("SELECT * FROM nope", "unknown_table"), ("SELECT emial FROM customers", "unknown_column"), ("SELEC 1", "syntax_error"),
        ("CREATE TABLE st(a INTEGER) STRICT", None), ("INSERT INTO st VALUES('x')", "type_mismatch"),
    ]
    for text, kind in cases:
        a = s.query(text)
        if kind is None:
            data_of(checks, text, a)
            continue
        body = envelope(checks, text, a, 400, "sql_error")
        checks.equal(f"{text}: kind", body.get("errorDetail", {}).get("kind"), kind)
        checks.equal(f"{text}: message", body["errorDetail"].get("message"), body["error"])
    hint = s.query("SELECT emial FROM customers").json["errorDetail"].get("hint", "")
    checks.that("a hint proposes the column", "email" in hint, hint)
    a = s.query("SELECT ?", [1, 2])
    checks.that("too many parameters", a.status == 400 and a.json.get("errorDetail", {}).get("kind") == "too_many_params", a)
    a = s.query("SELECT 1; SELECT 2")
    checks.that("two statements are refused", a.status == 400 and a.json["errorDetail"]["kind"] == "syntax_error", a)
    checks.equal("a trailing semicolon and a comment are fine", s.query("SELECT 1; -- done").status, 200)


def schema(checks, s):
    checks.equal("tables", {t["name"]: t["rowCount"] for t in data_of(checks, "tables", s.db("tables", method="GET"))}["customers"], 4)
    checks.that("schema", "customers" in str(data_of(checks, "schema", s.db("schema", method="GET"))))
    data_of(checks, "put describe", s.db("describe", {"table": "customers", "column": "email", "description": "where invoices go"}, method="PUT"))
    data_of(checks, "put describe of the database", s.db("describe", {"description": "Order data"}, method="PUT"))
    d = data_of(checks, "describe", s.db("describe", method="GET"))
    table = next(t for t in d["tables"] if t["table"] == "customers")
    email = next(c for c in table["columns"] if c["name"] == "email")
    checks.equal("describe", (d["databaseDescription"], email["type"], email["description"], table["rowCount"]), ("Order data", "TEXT", "where invoices go", 4))
    a = s.db("describe?format=compact", method="GET")
    checks.that("compact describe is text", a.status == 200 and a.headers["content-type"].startswith("text/plain") and b"customers" in a.data, a)
    hits = data_of(checks, "search", s.db("search?q=invoices&limit=5", method="GET"))["hits"]
    checks.equal("search finds the description", (hits[0]["kind"], hits[0]["table"], hits[0]["column"]), ("column", "customers", "email"))
    checks.that("search: score", 0 < hits[0]["score"] <= 1, hits)
    checks.that("doctor", isinstance(data_of(checks, "doctor", s.db("doctor", method="GET")).get("findings"), list))
    log = data_of(checks, "query-log", s.db("query-log?limit=5", method="GET"))
    checks.that("query log", log, log)
    own = s.query("SELECT count(*) FROM _persql_meta_query_log WHERE ts > 0 AND token_id = ?",
                  [s.call("GET", "/v1/me").json["data"]["tokenId"]])
    checks.that("the query log is a table too", own.status == 200 and own.json["data"]["rows"][0][0] > 0, own)


def shared_errors(checks, s):
    listed = routes(s)
    checks.equal("every route has a call in tests/lib/routes.py", sorted(r.id for r in listed), sorted(CALLS))
    s.query("CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, total REAL)")
    flipped = s.token[:-1] + ("a" if s.token[-1] != "a" else "b")
    for what, value in (("a JWT", "eyJhbGciOiJIUzI1NiJ9.e30.x"), ("a wrong checksum", flipped), ("nothing", "")):
        a = envelope(checks, f"me with {what}", s.call("GET", "/v1/me", headers={"Authorization": "Bearer " + value}), 401, "unauthorized")
        checks.that(f"me with {what}: text", "Invalid token format" in a.get("error", ""), a)
    for n, r in enumerate(listed):  # who is refused is tests/matrix; here: in which form
        if not r.public:
            a = envelope(checks, f"{r.id} without a credential", r.good_call(s, headers={"Authorization": None}, number=n), 401, "unauthorized")
            checks.that(f"{r.id} without a credential: text", ("token" if r.bearer else "Not signed in") in a.get("error", ""), a)
        if r.in_namespace and r.bearer:
            a = envelope(checks, f"{r.id} in another namespace", r.good_call(s, ns="other"), 403, "forbidden")
            checks.equal(f"{r.id} in another namespace: text", a.get("error"), "Token namespace mismatch")
        if r.in_database and r.bearer:
            for db in ("nope", "MAIN", "a" * 70, "%2e%2e", "ma%00in"[:2] + "in%20"):
                envelope(checks, f"{r.id} of the unknown database {db}", r.good_call(s, db=db), 404, "not_found")
            envelope(checks, f"{r.id} with a bad escape", r.good_call(s, db="%zz"), 400, "invalid_request")
        if r.takes_json and (r.bearer or r.id == "SIGN_IN") and not r.id.endswith(("DATABASE_CREATE", "USER_PROVISION", "SESSION_MINT")):
            found = 404 if r.id.removeprefix("API_") in ("POLICY_UPDATE", "RULE_UPDATE", "TOKEN_ROTATE", "APPLY", "PROPOSAL_WITHDRAW", "PROPOSAL_UNDO", "UNDO", "SNAPSHOT_RESTORE", "APPROVAL_REDEEM") else 200
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "application/sql"):
                envelope(checks, f"{r.id} with {kind}", r.good_call(s, headers={"Content-Type": kind}), 415, "unsupported_media_type")
            for kind in ("application/json; charset=utf-8", "APPLICATION/JSON"):
                checks.equal(f"{r.id} with {kind}", r.good_call(s, number=len(kind), headers={"Content-Type": kind}).status, found)


def data_id(s, secret):
    """Public id of a token, as its bearer sees it."""
    return s.call("GET", "/v1/me", token=secret).json["data"]["tokenId"]


def paths_and_methods(checks, s):
    by_path = {}
    for r in routes(s):
        by_path.setdefault(r.template, []).append(r)
    for template, listed in by_path.items():
        allowed = {r.method for r in listed}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            a = s.call(method, listed[0].path(), b"{}" if method not in ("GET", "DELETE") else None)
            envelope(checks, f"{method} {template}", a, 405, "method_not_allowed")
            shown = set(re.split(r",\s*", a.headers.get("allow", "")))
            checks.equal(f"{method} {template}: Allow", shown - {"HEAD", "OPTIONS"}, allowed)
    for path in ("/", "/v1", "/v1/", "/v1/db", "/v1/db/acme/main", "/v1/db/acme/main/nope", "/v1/me/x", "/v2/me", "/%2fv1/me", "/openapi.jso"):
        envelope(checks, f"GET {path}", s.call("GET", path), 404, "not_found")
    for path in ("//v1/me", "/v1/me/", "/v1//me", "//v1///me//", "/v1/%6de"):
        a = s.call("GET", path)
        checks.that(f"GET {path} is tolerated", a.status in (200, 404) if "%" in path else a.status == 200, a)
    checks.equal("a POST is not redirected", s.call("POST", "//v1/db//acme/main/query/", {"sql": "SELECT 5"}).json["data"]["rows"], [[5]])
    a = s.call("HEAD", "/v1/me")
    checks.that("HEAD answers without a body", a.status == 200 and a.data == b"", a)


def documented(checks, s):
    """What the description of the API says of answers and bodies is what comes and what is taken."""
    doc = s.call("GET", "/openapi.json").json
    s.query("CREATE TABLE shown(a)")
    s.query("CREATE VIEW shown_too AS SELECT a FROM shown")
    sql = {"sql": "SELECT a FROM shown WHERE a = :a", "params": {"a": 1}}
    for method, verb, path, body in (("GET", "tables", "tables", None), ("GET", "schema", "schema", None), ("GET", "describe", "describe", None),
                                     ("GET", "search", "search?q=shown", None), ("GET", "doctor", "doctor", None), ("GET", "query-log", "query-log", None),
                                     ("POST", "explain", "explain", sql), ("POST", "validate", "validate", sql), ("POST", "query", "query", sql)):
        answer = s.db(path, body, method=method).json
        said = doc["paths"]["/v1/db/{ns}/{db}/" + verb][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
        checks.equal(f"{verb}: members of the envelope", set(answer), set(said))
        for name in ("data", "meta"):
            ref = said.get(name, {}).get("$ref")
            known = doc["components"]["schemas"][ref.rsplit("/", 1)[1]].get("properties") if ref else None
            if known:
                checks.equal(f"{verb}: members of {name} that are not documented", set(answer[name]) - set(known), set())
    taken = doc["paths"]["/v1/db/{ns}/{db}/import"]["post"]["requestBody"]["content"]
    checks.equal("import: content types", set(taken), {"multipart/form-data", "application/sql", "text/csv", "application/x-ndjson",
                                                       "application/vnd.sqlite3", "application/octet-stream"})
    checks.that("import: the form has a file", "file" in doc["components"]["schemas"]["ImportForm"]["properties"])
    s.query("DROP VIEW shown_too")
    s.query("DROP TABLE shown")


def headers(checks, s):
    a = s.call("GET", "/v1/me", headers={"X-Request-Id": "my-request_123"})
    checks.equal("the client's request id comes back", a.headers.get("x-request-id"), "my-request_123")
    checks.equal("a short one as well", s.call("GET", "/v1/me", headers={"X-Request-Id": "a.b"}).headers.get("x-request-id"), "a.b")
    for bad in ("x" * 65, "has space in it", "quote\"quote"):
        checks.that(f"a malformed request id is replaced: {bad!r}", s.call("GET", "/v1/me", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad)
    ids = {s.call("GET", "/healthz").headers["x-request-id"] for _ in range(20)}
    checks.equal("request ids differ", len(ids), 20)
    for name in ("Idempotency-Key", "Plan-Key", "Plan-Step"):
        for value in ("x" * 201, ""):
            more = {"Plan-Step": "1"} if name == "Plan-Key" else {"Plan-Key": "p"} if name == "Plan-Step" else {}
            body = envelope(checks, f"{name} of {len(value)} bytes", s.query("SELECT 1", headers={**more, name: value}), 400, "invalid_request")
            checks.that(f"{name}: named", name in body.get("error", ""), body)
    envelope(checks, "Plan-Key alone", s.query("SELECT 1", headers={"Plan-Key": "p"}), 400, "invalid_request")
    envelope(checks, "Plan-Step alone", s.query("SELECT 1", headers={"Plan-Step": "p"}), 400, "invalid_request")


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (identity, databases, sql, errors, schema, operations, shared_errors, paths_and_methods, documented, headers):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
