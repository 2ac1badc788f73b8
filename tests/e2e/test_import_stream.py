#!/usr/bin/env python3
"""Uploads as they come in: who may not is told before the body, large ones cost disk and no memory, and what is given up leaves nothing.
Usage: test_import_stream.py PATH-OF-HOLDFAST"""
import json
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument

MIB = 1 << 20
LIMIT = 512 * MIB  # IMPORT_BYTES of policy/limits.def


def head(s, path="main/import", token=None, **more):
    lines = {"Host": "x", "Authorization": f"Bearer {token or s.token}", "Content-Type": "application/sql", **{k.replace("_", "-"): v for k, v in more.items()}}
    return (f"POST /v1/db/acme/{path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v is not None) + "\r\n").encode()


def dial(s):
    c = socket.create_connection(("127.0.0.1", s.port))
    c.settimeout(60)
    return c


def answer(c):
    """(status, head, body) of the next answer; the server closes behind it or says its length."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = c.recv(65536)
        if not more:
            return None, "", b""
        data += more
    top, _, body = data.partition(b"\r\n\r\n")
    text = top.decode().lower()
    length = next((int(l.split(":")[1]) for l in text.split("\r\n") if l.startswith("content-length")), 0)
    while len(body) < length:
        body += c.recv(65536)
    return int(top.split(b" ")[1]), text, body


def ask(s, request):
    with dial(s) as c:
        c.sendall(request)
        return answer(c)


def closed(c):
    try:
        return c.recv(1) == b""
    except OSError:
        return False


def memory(s):
    with open(f"/proc/{s.proc.pid}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS")) << 10


def spools(s):
    """Uploads that the server writes; where the file system can, they have no name."""
    found = 0
    for fd in os.listdir(f"/proc/{s.proc.pid}/fd"):
        try:
            path = os.readlink(f"/proc/{s.proc.pid}/fd/{fd}")
        except OSError:
            continue
        found += path.startswith(os.path.join(s.data, "tmp", "")) and os.path.basename(path) != "probe"
    return found


def wait(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


def left(s):
    """What uploads may leave on disk."""
    files = []
    for base, _, names in os.walk(s.data):
        inside = os.path.relpath(base, s.data).split(os.sep)
        files += [os.path.join(base, n) for n in names if (inside[0] == "tmp" and n != "probe") or inside[-1] in ("in", "out")]
    return files


def before_the_body(checks, s):
    reader, other = s.mint("readonly")["token"], s.mint("admin", "--database", "second")["token"]
    gone = s.mint("admin")
    s.run("token", "revoke", "--data", s.data, gone["id"])
    rows = (("no token", 401, {"Authorization": None}), ("a malformed token", 401, {"token": "psql_live_x"}), ("a revoked token", 401, {"token": gone["token"]}),
            ("a reader's token", 403, {"token": reader}), ("a token of another database", 403, {"token": other}), ("no such database", 404, {"path": "nowhere/import"}),
            ("a charset that is not taken", 415, {"Content_Type": "text/csv; charset=latin1"}), ("csv without a table", 400, {"Content_Type": "text/csv"}),
            ("an unknown format", 400, {"path": "main/import?format=tar"}), ("no boundary", 400, {"Content_Type": "multipart/form-data"}),
            ("compressed", 415, {"Content_Encoding": "gzip"}))
    for what, status, more in rows:
        for expect in ("100-continue", None):
            with dial(s) as c:
                c.sendall(head(s, Content_Length=str(400 * MIB), Expect=expect, **more))
                got, text, body = answer(c)
                checks.equal(f"{what}: refused before a byte of the body", got, status)
                checks.that(f"{what}: and the connection closes", "connection: close" in text and closed(c), text)
                checks.that(f"{what}: with the envelope", json.loads(body)["success"] is False)
    checks.equal("no such path: told so, not how much it would take", ask(s, head(s, path="main/imports", Content_Length=str(400 * MIB)))[0], 404)
    checks.equal("a method that is none: as well", ask(s, head(s, Content_Length=str(400 * MIB)).replace(b"POST", b"PUT"))[0], 405)
    got, _, body = ask(s, head(s, Content_Length=str(LIMIT + 2 * MIB), Expect="100-continue"))
    checks.equal("past the limit", got, 413)
    said = json.loads(body)["error"]
    checks.that("the limit and the length are named", str(LIMIT + 65536) in said and str(LIMIT + 2 * MIB) in said, said)
    checks.equal("no framing at all", ask(s, head(s))[0], 411)
    with dial(s) as c:
        c.sendall(head(s, Content_Length="41", Expect="100-continue"))
        word = c.recv(1000)
        checks.that("who may is told to go on", word.startswith(b"HTTP/1.1 100 "), word)
        c.sendall(b"CREATE TABLE IF NOT EXISTS expected(a)   ;")
        got, _, body = answer(c)
        checks.equal("and then imported", got, 200)
    checks.equal("a refused upload leaves no spool", spools(s), 0)


def chunked(checks, s):
    def send(pieces, **more):
        framed = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        return ask(s, head(s, Transfer_Encoding="chunked", **more) + framed + b"0\r\n\r\n")

    got, text, body = send([b"CREATE TABLE chu", b"n", b"ked(a);INSERT INTO chunked VALUES(1),(2);"])
    checks.equal("raw, in chunks", (got, s.query("SELECT count(*) FROM chunked").json["data"]["rows"]), (200, [[2]]))
    checks.that("its bytes are told", "x-import-bytes: 58" in text, text)
    part = b"--q\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ndjson\"\r\n\r\n{\"a\": 3}\n\r\n--q--\r\n"
    got, _, body = send([part[i:i + 1] for i in range(len(part))], path="main/import?table=chunked", Content_Type="multipart/form-data; boundary=q")
    checks.equal("multipart, byte by byte", (got, s.query("SELECT count(*) FROM chunked").json["data"]["rows"]), (200, [[3]]))
    for what, raw, status in (("an extension", b"3;a=b\r\nabc\r\n0\r\n\r\n", 400), ("a trailer", b"3\r\n-- \r\n0\r\nX: y\r\n\r\n", 400), ("a sign", b"+3\r\n-- \r\n0\r\n\r\n", 400)):
        checks.equal(f"{what} is refused", ask(s, head(s, Transfer_Encoding="chunked") + raw)[0], status)
    checks.equal("with a length too: refused", ask(s, head(s, Transfer_Encoding="chunked", Content_Length="5") + b"0\r\n\r\n")[0], 400)
    sql = b'{"sql":"SELECT 42"}'
    framed = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (7, sql[:7], len(sql) - 7, sql[7:])
    got, _, body = ask(s, head(s, path="main/query", Content_Type="application/json", Transfer_Encoding="chunked") + framed)
    checks.that("JSON in chunks", got == 200 and json.loads(body)["data"]["rows"] == [[42]], body)
    got, _, body = ask(s, head(s, path="main/query", Content_Type="application/json", Transfer_Encoding="chunked") + b"%x\r\n" % (2 * MIB) + b" " * (MIB + 1))
    checks.equal("JSON past its small limit", got, 413)
    checks.equal("nothing is left", (left(s), spools(s)), ([], 0))


def given_up(checks, s):
    engines = len(s.children("hf-engine"))
    for how in ("close", "reset", "half"):
        with dial(s) as c:
            c.sendall(head(s, path="idle/import", Content_Length=str(300 * MIB)) + b"-- " + b"x" * (4 * MIB))
            checks.that(f"{how}: the spool grows", wait(lambda: spools(s) == 1))
            if how == "reset":
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            if how == "half":
                c.shutdown(socket.SHUT_WR)
                checks.equal("half a body is none", answer(c)[0], 400)
        checks.that(f"{how}: and is gone with its client", wait(lambda: spools(s) == 0))
    with dial(s) as c:
        c.sendall(head(s, path="idle/import", Content_Type="multipart/form-data; boundary=q", Content_Length=str(300 * MIB)) + b"--q\r\nnonsense\r\n\r\n" + b"x" * MIB)
        checks.equal("a malformed part is refused at once", answer(c)[0], 400)
    with dial(s) as c:
        c.sendall(head(s, path="idle/import", Content_Type="application/vnd.sqlite3", Content_Length="5000") + b"no database" * 454 + b"......")
        checks.equal("no database file", answer(c)[0], 400)
    checks.that("no engine was started for any of them", len(s.children("hf-engine")) <= engines)
    checks.that("nothing is left", wait(lambda: (left(s), spools(s)) == ([], 0)), (left(s), spools(s)))


def memory_stays_small(checks, s):
    line = b"-- " + b"x" * 1020 + b"\n"
    body = b"CREATE TABLE IF NOT EXISTS big(a);" + line * (24 * MIB // len(line))
    ready, go, done = threading.Barrier(9), threading.Barrier(9), []

    def upload(name):
        with dial(s) as c:
            c.sendall(head(s, path=f"{name}/import", Content_Length=str(len(body))) + body[:-1000])
            ready.wait(60)
            go.wait(60)
            c.sendall(body[-1000:])
            done.append(answer(c)[0])

    threads = [threading.Thread(target=upload, args=(f"up{i}",)) for i in range(8)]
    for i in range(8):
        s.call("POST", "/v1/databases", {"slug": f"up{i}"})
    before = memory(s)
    for t in threads:
        t.start()
    ready.wait(60)
    during = memory(s)
    checks.that("eight uploads of 24 MiB cost the front under 8 MiB", during - before < 8 * MIB, (before, during))
    checks.equal("they are on disk", spools(s), 8)
    held = re.search(r"^holdfast_upload_spool_bytes (\d+)$", s.call("GET", "/metrics").data.decode(), re.M)
    checks.that("and in the metrics", held and 7 * len(body) < int(held[1]) <= 8 * len(body), held)
    go.wait(60)
    for t in threads:
        t.join(60)
    checks.equal("all of them are imported", done, [200] * 8)
    checks.equal("and nothing is left", (left(s), spools(s)), ([], 0))
    checks.that("in the metrics too", "holdfast_upload_spool_bytes 0\n" in s.call("GET", "/metrics").data.decode())


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for slug in ("second", "idle"):
            s.call("POST", "/v1/databases", {"slug": slug})
        for part in (before_the_body, chunked, given_up, memory_stays_small):
            checks.part(part, checks, s)
        checks.equal("the server ends well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
