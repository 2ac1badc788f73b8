#!/usr/bin/env python3
"""Archives: dumps that are kept, downloaded, loaded into another database and deleted; who may not; clients that leave, and crashes.
Usage: test_archives.py PATH-OF-HOLDFAST"""
import concurrent.futures
import contextlib
import glob
import hashlib
import os
import random
import re
import socket
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import PASSWORD, Checks, Server, binary_argument, until
from people import Person

BASE = "/v1/db/acme/main"
WIDE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO {table} SELECT i, hex(randomblob(500)) FROM n"


def make(s, checks, label=None, db="main"):
    return checks.good(f"archive {label}", s.call("POST", f"/v1/db/acme/{db}/archives", {"label": label} if label else None))


def listed(s, db="main"):
    return s.call("GET", f"/v1/db/acme/{db}/archives").json["data"]


def download(s, one, **more):
    return s.call("GET", f"{BASE}/archives/{one['id']}/download", **more)


def directory(s):
    return os.path.join(s.data, "archives")


def files(s):
    return sorted(os.listdir(directory(s))) if os.path.exists(directory(s)) else []


def open_there(s):
    """Files below the archives' directory that the server holds open, those without a name too."""
    there = os.path.realpath(directory(s)) + "/"
    found = []
    for fd in glob.glob(f"/proc/{s.proc.pid}/fd/*"):
        try:
            found += [t for t in [os.readlink(fd)] if t.startswith(there)]
        except OSError:
            pass
    return found


def plain(checks, s):
    s.query("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b BLOB)")
    s.query("INSERT INTO t(a, b) VALUES(?, ?), (?, ?), (1.5, NULL)", ["it''s; é\nline", {"$blob": "AAEC/w=="}, 9223372036854775807, {"$blob": ""}])
    s.query("CREATE INDEX t_a ON t(a)")
    s.query("CREATE VIEW v AS SELECT a FROM t")
    one = make(s, checks, "one")
    checks.equal("what it is", (set(one), one["label"], one["bytes"] > 100), ({"id", "label", "bytes", "createdAt"}, "one", True))
    same = s.call("GET", BASE + "/export?format=sql").data
    s.query("DELETE FROM t")
    two = make(s, checks)
    checks.equal("its label when none is given", two["label"], "archive")
    got = download(s, one)
    checks.equal("the export of that moment", (got.status, got.data == same, len(got.data)), (200, True, one["bytes"]))
    checks.equal("as a file", (got.headers["content-disposition"], got.headers["content-type"].split(";")[0], got.headers["content-length"]), ('attachment; filename="main.sql"', "application/sql", str(one["bytes"])))
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(got.data.decode())
        checks.equal("which SQLite reads", db.execute("SELECT count(*), max(typeof(a)) FROM t").fetchall(), [(3, "text")])
    s.call("POST", "/v1/databases", {"slug": "again"})
    checks.good("import", s.db("import", got.data, db="again", headers={"Content-Type": "application/sql"}))
    rows = s.query("SELECT id, a, b, typeof(a) FROM t ORDER BY id", db="again").json["data"]["rows"]
    checks.equal("the same rows", rows, [[1, "it''s; é\nline", {"$blob": "AAEC/w=="}, "text"], [2, 9223372036854775807, {"$blob": ""}, "integer"], [3, 1.5, None, "real"]])
    checks.equal("and schema", s.query("SELECT name FROM sqlite_schema WHERE name IN ('t', 't_a', 'v') ORDER BY 1", db="again").json["data"]["rows"], [["t"], ["t_a"], ["v"]])
    checks.equal("listed, the newest first", listed(s), [two, one])
    page = s.call("GET", BASE + "/archives?limit=1").json["data"]
    checks.equal("by pages", page + s.call("GET", f"{BASE}/archives?after={page[0]['id']}").json["data"], [two, one])
    checks.equal("one file each", files(s), sorted(a["id"] + ".sql" for a in (one, two)))
    checks.equal("for nobody else", {os.stat(os.path.join(directory(s), f)).st_mode & 0o777 for f in files(s)}, {0o600})
    checks.equal("delete", checks.good("delete", s.call("DELETE", f"{BASE}/archives/{one['id']}")), one)
    checks.equal("its file is gone", files(s), [two["id"] + ".sql"])
    checks.refused("download of what is gone", download(s, one), 404, "not_found")
    checks.refused("twice", s.call("DELETE", f"{BASE}/archives/{one['id']}"), 404, "not_found")
    log = [e["action"] for e in s.call("GET", "/api/namespaces/acme/audit?limit=100").json["data"]]
    checks.equal("audit", [log.count(f"archive.{x}") for x in ("created", "deleted")], [2, 1])
    s.stop()
    s.start()
    checks.equal("they outlive the server", (listed(s), download(s, two).status), ([two], 200))
    checks.good("delete", s.call("DELETE", f"{BASE}/archives/{two['id']}"))


def bad_input(checks, s):
    for body, pointer in (({"label": ""}, "/label"), ({"label": "x" * 81}, "/label"), ({"label": "a\nb"}, "/label"), ({"label": 5}, "/label"), ({"name": "x"}, "/name")):
        checks.refused(f"create {body}", s.call("POST", BASE + "/archives", body), 400, "invalid_request", pointer)
    checks.refused("no JSON", s.call("POST", BASE + "/archives", b"{"), 400, "invalid_request")
    checks.refused("no JSON by its type", s.call("POST", BASE + "/archives", b"a=b", headers={"Content-Type": "text/plain"}), 415, "unsupported_media_type")
    for limit in ("0", "501", "x"):
        checks.refused(f"limit {limit}", s.call("GET", f"{BASE}/archives?limit={limit}"), 400, "invalid_request")
    for name in ("arch_0", "..", "%2e%2e%2fcontrol.db", "a" * 500, "arch_" + "0" * 26, "snap_" + "0" * 26):
        checks.refused(f"download {name[:40]}", s.call("GET", f"{BASE}/archives/{name}/download"), 404, "not_found")
        checks.refused(f"delete {name[:40]}", s.call("DELETE", f"{BASE}/archives/{name}"), 404, "not_found")
    checks.equal("nothing was made", (listed(s), files(s)), ([], []))
    checks.equal("80 characters", make(s, checks, "é" * 80)["label"], "é" * 80)
    one = listed(s)[0]
    path = os.path.join(directory(s), one["id"] + ".sql")
    with open(path, "ab") as f:
        f.write(b"more")
    checks.refused("another file than was kept", download(s, one), 503, "corrupt")
    os.unlink(path)
    os.symlink(os.path.join(s.data, "control.db"), path)
    checks.that("a link is not followed", download(s, one).status >= 500, "")
    os.unlink(path)
    checks.refused("a file that is lost", download(s, one), 503, "corrupt")
    checks.good("is deleted", s.call("DELETE", f"{BASE}/archives/{one['id']}"))
    first = make(s, checks, "full")
    row = s.control("SELECT database_id FROM archive")[0][0]
    for n in range(99):
        s.control("INSERT INTO archive VALUES(?, ?, 'x', 1, 1)", [f"arch_{n:026d}", row], write=True)
    checks.refused("the 101st", s.call("POST", BASE + "/archives", {}), 409, "conflict")
    s.control("DELETE FROM archive WHERE label = 'x'", write=True)
    checks.equal("nothing of it is left", files(s), [first["id"] + ".sql"])
    checks.good("delete", s.call("DELETE", f"{BASE}/archives/{first['id']}"))


def others(checks, s):
    """Who sees all rows, and nobody else."""
    s.call("POST", "/v1/databases", {"slug": "other"})
    one, of_other = make(s, checks, "one"), make(s, checks, "of other", "other")
    checks.refused("another database's", download(s, of_other), 404, "not_found")
    checks.refused("nor deleted here", s.call("DELETE", f"{BASE}/archives/{of_other['id']}"), 404, "not_found")
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    foreign = checks.good("another tenant", owner.ask("POST", "/api/namespaces", {"name": "Foreign"}))["slug"]
    of_foreign = s.mint("admin", namespace=foreign)["token"]
    tokens = [("readonly", s.mint("readonly")["token"]), ("readwrite", s.mint("readwrite")["token"]), ("a table scope", s.mint("admin", "--tables", "t")["token"]),
              ("claims", s.mint("admin", "--claims", '{"a":"b"}')["token"]), ("another database", s.mint("admin", "--database", "other")["token"]), ("another namespace", of_foreign)]
    for what, token in tokens:
        checks.refused(f"make with {what}", s.call("POST", BASE + "/archives", {}, token=token), 403, "forbidden")
        checks.refused(f"download with {what}", download(s, one, token=token), 403, "forbidden")
        checks.refused(f"delete with {what}", s.call("DELETE", f"{BASE}/archives/{one['id']}", token=token), 403, "forbidden")
    checks.good("a database there", s.call("POST", "/v1/databases", {"slug": "theirs"}, token=of_foreign))
    for method, path in (("GET", f"{one['id']}/download"), ("DELETE", one["id"])):
        checks.refused(f"{method} through a database of theirs", s.call(method, f"/v1/db/{foreign}/theirs/archives/{path}", token=of_foreign), 404, "not_found")
    checks.equal("which has none", s.call("GET", f"/v1/db/{foreign}/theirs/archives", token=of_foreign).json["data"], [])
    checks.equal("readers see the list", s.call("GET", BASE + "/archives", token=tokens[0][1]).json["data"], [one])
    s.query("CREATE TABLE secret(a)")
    s.query("INSERT INTO secret VALUES('in a row that a policy hides')")
    checks.good("row security", s.call("PUT", "/api/namespaces/acme/databases/main/row-security", {"tableName": "secret", "enabled": True}))
    all_rows = make(s, checks, "all")
    checks.that("an admin's holds all rows", b"that a policy hides" in download(s, all_rows).data, "")
    there = "/api/namespaces/acme/databases/main/archives"
    made = checks.good("a person makes one", owner.ask("POST", there, {"label": "by hand"}))
    checks.equal("and sees it", owner.ask("GET", there + "?limit=1").json["data"], [made])
    got = owner.ask("GET", f"{there}/{made['id']}/download")
    checks.equal("downloads it", (got.status, len(got.data)), (200, made["bytes"]))
    checks.refused("not without the page's token", owner.ask("DELETE", f"{there}/{made['id']}", csrf=False), 403, "csrf_failed")
    checks.good("and deletes it", owner.ask("DELETE", f"{there}/{made['id']}"))
    for a in listed(s):
        s.call("DELETE", f"{BASE}/archives/{a['id']}")
    s.call("DELETE", "/v1/databases/other")
    checks.equal("in the trash it is kept", files(s), [of_other["id"] + ".sql"])
    s.call("POST", "/v1/databases/other/restore")
    checks.equal("and comes back", listed(s, "other"), [of_other])
    s.call("DELETE", "/v1/databases/other")
    s.stop()
    s.control("UPDATE database SET deleted_at = 1 WHERE slug = 'other'", write=True)
    s.start()
    checks.that("it goes with the database", until(lambda: files(s) == []), files(s))


def beside_writers(checks, s):
    """One state each, and nobody waits for it."""
    s.query("CREATE TABLE pair(id INTEGER PRIMARY KEY, v)")
    s.query("INSERT INTO pair VALUES(1, 0), (2, 0)")
    s.query("CREATE TABLE between_them(id INTEGER PRIMARY KEY, v)")
    s.query(WIDE.format(rows=5000, table="between_them"))

    def write():
        return s.batch(["UPDATE pair SET v = v + 1 WHERE id = 1", "UPDATE pair SET v = v + 1 WHERE id = 2"]).status
    with beside(write) as written:
        made = [make(s, checks, f"n{n}") for n in range(4)]
    checks.equal("no write failed", set(written), {200})
    for one in made:
        data = download(s, one).data
        seen = re.findall(rb'INSERT INTO "?pair"? VALUES\s*\(1,(\d+)\)[^;]*?\(?2,(\d+)\)', data) or re.findall(rb"pair[^;]*\(1,(\d+)\);[^;]*\(2,(\d+)\)", data)
        checks.that("of one moment", len(seen) == 1 and seen[0][0] == seen[0][1], seen)
        checks.good("delete", s.call("DELETE", f"{BASE}/archives/{one['id']}"))
    s.query("DROP TABLE between_them")


def leave(s, method, path, after):
    """A client that goes `after` so many bytes of the answer; 0: at once."""
    with socket.create_connection(("127.0.0.1", s.port), timeout=20) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nAuthorization: Bearer {s.token}\r\nContent-Length: 0\r\n\r\n".encode())
        while after > 0:
            after -= len(sock.recv(min(after, 65536)))


def leaving(checks, s):
    s.query("CREATE TABLE big(id INTEGER PRIMARY KEY, body)")
    s.query(WIDE.format(rows=20000, table="big"))
    whole = make(s, checks, "whole")
    digest = hashlib.sha256(download(s, whole).data).hexdigest()
    for n in range(12):
        with socket.create_connection(("127.0.0.1", s.port), timeout=20) as sock:
            sock.sendall(f"POST {BASE}/archives HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nAuthorization: Bearer {s.token}\r\nContent-Length: 0\r\n\r\n".encode())
            time.sleep(0.004 * n)
    checks.that("nothing stays open", until(lambda: not open_there(s)), open_there(s))
    agree = until(lambda: files(s) == sorted(a["id"] + ".sql" for a in listed(s)))  # the last one's file comes before its row
    checks.that("files and rows agree", agree, (files(s), listed(s)))
    for a in listed(s):
        checks.equal("what there is, is whole", (a["bytes"], hashlib.sha256(download(s, a).data).hexdigest()), (whole["bytes"], digest))
    for n in (0, 1, 1000, 300000):
        leave(s, "GET", f"{BASE}/archives/{whole['id']}/download", n)
    checks.that("downloads are closed", until(lambda: not open_there(s)), open_there(s))
    conn = s.connection()
    conn.request("GET", f"{BASE}/archives/{whole['id']}/download", headers={"Authorization": f"Bearer {s.token}"})
    slow = conn.getresponse()
    first = slow.read(1000)
    checks.good("deleted under a reader", s.call("DELETE", f"{BASE}/archives/{whole['id']}"))
    checks.equal("who gets all of it", hashlib.sha256(first + slow.read()).hexdigest(), digest)
    conn.close()
    checks.that("then it is gone", until(lambda: not open_there(s)), open_there(s))
    for a in listed(s):
        s.call("DELETE", f"{BASE}/archives/{a['id']}")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        seen = [f.result() for f in [pool.submit(s.call, "POST", BASE + "/archives", {}) for _ in range(6)]]
    checks.that("at once: made, or told to try again", {a.status for a in seen} <= {200, 503} and 200 in {a.status for a in seen}, [a.status for a in seen])
    checks.that("with the time", all(a.headers.get("retry-after") for a in seen if a.status == 503), seen[-1])
    checks.equal("as many as were made", len(files(s)), sum(a.status == 200 for a in seen))
    make(s, checks, "there is room again")
    for a in listed(s):
        s.call("DELETE", f"{BASE}/archives/{a['id']}")


def engines_die(checks, s):
    """A dump that is cut short is no archive."""
    whole, writers = len(s.call("GET", BASE + "/export").data), set(s.children("hf-engine"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(s.call, "POST", BASE + "/archives", {})
        killed = 0
        while not job.done() and not killed:  # a breaker opens after three
            for pid in set(s.children("hf-engine")) - writers:
                try:
                    os.kill(pid, 9)
                    killed += 1
                except OSError:
                    pass
        answer = job.result()
    checks.that("an error, or whole", answer.status in (200, 500, 503), answer)
    checks.equal("nothing of it stays", files(s), sorted(a["id"] + ".sql" for a in listed(s)))
    checks.equal("none after an error, else a whole one", [a["bytes"] for a in listed(s)], [whole] if answer.status == 200 else [])
    for a in listed(s):
        s.call("DELETE", f"{BASE}/archives/{a['id']}")


def crashes(checks, s):
    keep = make(s, checks, "keep")
    digest = hashlib.sha256(download(s, keep).data).hexdigest()
    rng = random.Random(5)
    for n in range(6):
        def work(_):
            try:
                for _ in range(30):
                    made = s.call("POST", BASE + "/archives", {}).json.get("data")
                    if made and rng.random() < 0.7:
                        s.call("DELETE", f"{BASE}/archives/{made['id']}")
            except Exception:  # the connection broke
                return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(work, k) for k in range(2)]
            time.sleep(0.1 + 0.11 * n)
            s.kill()
            for j in jobs:
                j.result()
        with open(os.path.join(directory(s), "arch_" + "0" * 26 + ".sql"), "w") as f:
            f.write("of nobody")
        with open(os.path.join(directory(s), "sp_" + "0" * 26), "w") as f:
            f.write("half of one")
        s.start()
        checks.equal(f"{n}: every archive has its file, and no file is nobody's", files(s), sorted(row[0] + ".sql" for row in s.control("SELECT id FROM archive")))
        for a in listed(s):
            got = download(s, a)
            checks.equal(f"{n}: each is whole", (got.status, len(got.data), hashlib.sha256(got.data).hexdigest()), (200, a["bytes"], digest))
            if a["id"] != keep["id"]:
                s.call("DELETE", f"{BASE}/archives/{a['id']}")
    checks.equal("what was kept is kept", listed(s), [keep])
    status = None
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(s.call, "POST", BASE + "/archives", {})
        time.sleep(0.05)
        status = s.stop()
        try:
            job.result()
        except Exception:  # or an answer
            pass
    s.start()
    checks.equal("stopped in the middle of one: in peace, and nothing is half", (status, files(s)), (0, sorted(a["id"] + ".sql" for a in listed(s))))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (plain, bad_input, others, beside_writers, leaving, engines_die, crashes):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
