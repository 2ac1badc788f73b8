#!/usr/bin/env python3
"""make demo: what Holdfast is for, shown against a fresh server on real data (Debian's unicode-data package).

Every request is printed as one would type it, with its answer; every answer is also checked. Ends by itself with the line
`N passed, N failed`. Usage: demo.py PATH-OF-HOLDFAST"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import changes
import unicode_data
from holdfast import binary_argument
from stage import Demo, check, checks, heading, show

PIECE = 64 << 10  # bytes between two looks at the progress bar


def bar(done, total, what):
    width = 40
    full = min(width, width * done // total)
    end = "\n" if done == total else "\r"
    if sys.stdout.isatty() or done == total:
        print(f"  [{'#' * full}{'.' * (width - full)}] {done:>9,} of {total:,} bytes  {what}", end=end, flush=True)


def import_rows(server, db, table, rows):
    """One request; the bar follows the bytes that the server has taken."""
    body = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
    conn = server.connection()
    conn.putrequest("POST", f"{db}/import?table={table}")
    for name, value in {"Authorization": f"Bearer {server.token}", "Content-Type": "application/x-ndjson", "Content-Length": len(body)}.items():
        conn.putheader(name, value)
    conn.endheaders()
    for at in range(0, len(body), PIECE):
        conn.send(body[at:at + PIECE])
        bar(min(at + PIECE, len(body)), len(body), table)
    answer = conn.getresponse()
    data = answer.read()
    check(f"import into {table}: {answer.status} {data[:300]!r}", answer.status == 200)
    check("all bytes of the file arrived", answer.headers["X-Import-Bytes"] == str(len(body)))
    conn.close()


def download(server, path):
    """The bar goes to Content-Length where the server knows it, else to its estimate."""
    conn = server.connection()
    conn.request("GET", path, headers={"Authorization": f"Bearer {server.token}"})
    answer = conn.getresponse()
    total = int(answer.headers.get("Content-Length") or answer.headers.get("X-Export-Bytes-Estimate") or 1)
    data = b""
    while piece := answer.read(PIECE):
        data += piece
        bar(min(len(data), total - 1), total, "…")
    bar(len(data), len(data), path.rsplit("/", 1)[1])
    conn.close()
    return answer.status, data


def tour(server, db, counts):
    show(server, "What is in this database, as text for a prompt", "GET", f"{db}/describe?format=compact")
    tables = show(server, "Its tables", "GET", f"{db}/tables")
    check("row counts", {t["name"]: t["rowCount"] for t in tables["data"]} == counts)

    found = show(server, "A query with a parameter", "POST", f"{db}/query",
                 {"sql": "SELECT code, name FROM characters WHERE name LIKE ? ORDER BY code LIMIT 5", "params": ["%SNOWMAN%"]})
    check("U+2603 is SNOWMAN", [9731, "SNOWMAN"] in found["data"]["rows"])

    joined = show(server, "Three tables joined", "POST", f"{db}/query", {"sql":
                  "SELECT s.name AS script, count(*) AS characters, count(DISTINCT c.block_id) AS blocks FROM characters c "
                  "JOIN scripts s ON s.id = c.script_id GROUP BY s.id ORDER BY 2 DESC LIMIT 5"})
    check("Common is the largest script", joined["data"]["rows"][0][0] == "Common")

    batch = show(server, "A batch: all of it or nothing", "POST", f"{db}/batch", {"transaction": True, "statements": [
        {"sql": "CREATE TABLE favourites(code INTEGER PRIMARY KEY REFERENCES characters(code), why TEXT)"},
        {"sql": "INSERT INTO favourites VALUES(?, ?)", "params": [0x2603, "winter"]},
        {"sql": "SELECT count(*) AS n FROM favourites"}]})
    check("the batch sees its own write", batch["data"][2]["rows"] == [[1]])

    typo = show(server, "A mistake, and what the answer says of it", "POST", f"{db}/query", {"sql": "SELECT nmae FROM characters"}, 400)
    check("the hint names the column", "name" in typo["errorDetail"].get("hint", ""))
    broken = show(server, "A constraint that holds", "POST", f"{db}/query",
                  {"sql": "INSERT INTO favourites VALUES(?, ?)", "params": [0x2603, "again"]}, 400)
    check("unique_violation", broken["errorDetail"]["kind"] == "unique_violation")
    refused = show(server, "A statement that SQLite knows and Holdfast refuses", "POST", f"{db}/query",
                   {"sql": "ATTACH DATABASE '/etc/passwd' AS stolen"}, 403)
    check("the refusal says why", "ATTACH" in refused["error"])

    hits = show(server, "Where would I find upper case?", "GET", f"{db}/search?q=upper%20case&limit=3")
    check("the column is found", any(h.get("column") == "uppercase" for h in hits["data"]["hits"]))
    plan = show(server, "How would it run?", "POST", f"{db}/explain", {"sql": "SELECT * FROM characters WHERE script_id = 1"})
    check("a plan came back", "characters" in json.dumps(plan["data"]))
    report = show(server, "What would a good DBA say?", "GET", f"{db}/doctor", quiet=True)
    for finding in report["data"]["findings"][:6]:
        print(f"    {finding['severity']}: {finding['message']}\n      {finding.get('sql') or ''}")
    check("foreign keys without an index are found", "script_id" in json.dumps(report["data"]))
    show(server, "What ran here?", "POST", f"{db}/query",
         {"sql": "SELECT duration_ms, rows_read, sql FROM _persql_meta_query_log ORDER BY rows_read DESC LIMIT 3"})


def export(server, db, rows):
    heading("Taking the data home")
    for form, query in (("csv", "&table=blocks"), ("ndjson", "&table=characters"), ("sql", ""), ("sqlite", "")):
        path = f"{db}/export?format={form}{query}"
        status, data = download(server, path)
        check(f"export {form}: {status} {data[:200]!r}", status == 200)
        if form == "ndjson":
            check("every character is exported", data.count(b"\n") == rows)
        if form == "sqlite":
            check("a SQLite file", data.startswith(b"SQLite format 3\0"))
        if form == "sql":
            again = f"{db.rsplit('/', 1)[0]}/copy"
            server.send("POST", "/v1/databases", {"name": "Copy", "slug": "copy"})
            status, answer = server.send("POST", f"{again}/import", data, "application/sql")
            check(f"the dump loads again: {status} {answer[:300]!r}", status == 200)
            status, answer = server.send("POST", f"{again}/query", {"sql": "SELECT count(*) FROM characters"})
            check(f"the copy is whole: {answer[:200]!r}", status == 200 and json.loads(answer)["data"]["rows"] == [[rows]])
            print("  … and loaded into a second database, whole")


def main():
    if not os.path.exists(os.path.join(unicode_data.FOLDER, "UnicodeData.txt")):
        raise SystemExit("the demo needs Debian's unicode-data package: apt-get install unicode-data")
    blocks, scripts, characters = unicode_data.load()
    server = Demo(binary_argument(), namespace="unicode")
    server.init()
    server.start()
    db = "/v1/db/unicode/main"
    try:
        print(f"A fresh server on http://127.0.0.1:{server.port}; every request carries `Authorization: Bearer <token>`.")
        show(server, "The schema, as one batch", "POST", f"{db}/batch", {"transaction": True, "statements": [{"sql": s} for s in unicode_data.SCHEMA]},
             quiet=True)
        heading("The Unicode character database, over HTTP")
        print(f"  POST {db}/import?table=…")
        for table, rows in (("blocks", blocks), ("scripts", scripts), ("characters", characters)):
            import_rows(server, db, table, rows)
        tour(server, db, {"blocks": len(blocks), "scripts": len(scripts), "characters": len(characters)})
        export(server, db, len(characters))
        changes.tour(server, db)
    finally:
        check("the server ends with status 0", server.stop() == 0)
    print(f"\n{checks['passed']} passed, {checks['failed']} failed")
    return 1 if checks["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
