"""What a branch costs: its schema alone from request to answer, and all rows against cp and VACUUM INTO of the same file and sqld's fork
of a namespace with the same rows; a snapshot likewise; and what the parent's writers notice of it. With --large of 1 GiB."""
import glob
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import sys
import threading
import time

from servers import Holdfast, SqldNamespaces
from table import QUICK, ratio, row, rounds

TABLES, TIMES = 50, 20 if QUICK else 100
MEBIBYTES = 1024 if "--large" in sys.argv else 64
TABLE = "CREATE TABLE pages(id INTEGER PRIMARY KEY, body BLOB)"
SIXTEEN_MIB = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4096) INSERT INTO pages(body) SELECT randomblob(3900) FROM c"


def ask(hf, method, path, body=None):
    conn = http.client.HTTPConnection("127.0.0.1", hf.port, timeout=300)
    conn.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", "Authorization": "Bearer " + hf.token})
    answer = conn.getresponse()
    data = answer.read()
    conn.close()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
    return json.loads(data)


def timed(call):
    begin = time.monotonic()
    call()
    return (time.monotonic() - begin,)


def schema_alone(hf):
    hf.create("many")
    hf.post(hf.path("many", "batch"), {"statements": [{"sql": f"CREATE TABLE t{i}(id INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT)"} for i in range(TABLES)]})
    took = []
    for n in range(TIMES):
        path = hf.path("many", f"branches/pr-{n}")
        took.append(timed(lambda: ask(hf, "PUT", path, {}))[0])
        ask(hf, "DELETE", path)
    row(f"schema-only branch, {TABLES} tables", "ms, median", statistics.median(took) * 1000, ("<", 5))


def fill(hf):
    hf.create("large")
    hf.post(hf.path("large", "batch"), {"statements": [{"sql": TABLE}, {"sql": "CREATE TABLE small(id INTEGER PRIMARY KEY, n INTEGER)"},
                                                      {"sql": "INSERT INTO small VALUES(1, 0)"}]})
    for _ in range(MEBIBYTES // 16):
        hf.post(hf.path("large", "query"), {"sql": SIXTEEN_MIB})
    return max(glob.glob(os.path.join(hf.dir, "data", "db", "*", "main.db")), key=os.path.getsize)


def durable(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def copy_file(source, target):
    shutil.copyfile(source, target)
    durable(target)
    os.unlink(target)


def vacuum(source, target):
    db = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    db.execute("VACUUM INTO ?", (target,))
    db.close()
    durable(target)
    os.unlink(target)


class Writer:
    """One-row updates of the parent, one after the other, while it is entered."""

    def __init__(self, hf):
        self.hf, self.ended, self.took = hf, threading.Event(), []

    def run(self):
        while not self.ended.is_set():
            self.took.append(timed(lambda: self.hf.post(self.hf.path("large", "query"), {"sql": "UPDATE small SET n = n + 1"}))[0])

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def p99(self):
        return sorted(self.took)[int(len(self.took) * 0.99)]


def all_rows(hf, peer):
    source, target = fill(hf), os.path.join(hf.dir, "copy.db")
    path, snapshots = hf.path("large", "branches/full"), hf.path("large", "snapshots")
    peer.run(TABLE)
    for _ in range(MEBIBYTES // 16):
        peer.run(SIXTEEN_MIB)

    def branch():
        took = timed(lambda: ask(hf, "PUT", path, {"data": "full"}))
        ask(hf, "DELETE", path)
        return took

    def snapshot():
        made = []
        took = timed(lambda: made.append(ask(hf, "POST", snapshots, {})["data"]["id"]))
        ask(hf, "DELETE", f"{snapshots}/{made[0]}")
        return took

    def fork():
        took = timed(lambda: peer.admin("POST", "default/fork/copy"))
        peer.admin("DELETE", "copy")
        return took

    seen = rounds({"branch": branch, "cp": lambda: timed(lambda: copy_file(source, target)), "snapshot": snapshot,
                   "vacuum": lambda: timed(lambda: vacuum(source, target)), "fork": fork})
    for name, work in (("branch", f"full branch of {MEBIBYTES} MiB"), ("snapshot", f"snapshot of {MEBIBYTES} MiB")):
        row(work, "cp, made durable", ratio(seen[name], seen["cp"]), ("<=", 1.3))
        row(work, "VACUUM INTO, made durable", ratio(seen[name], seen["vacuum"]), None)
        row(work, "sqld's fork of a namespace", ratio(seen[name], seen["fork"]), None)

    def beside(busy):
        """Branches are made anew, one after the other, for long enough that there is a p99."""
        with Writer(hf) as writer:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                ask(hf, "PUT", path, {"data": "full"}) if busy else time.sleep(0.1)
        return (writer.p99(), max(writer.took))

    waits = rounds({"with": lambda: beside(True), "without": lambda: beside(False)}, 3)
    row("parent's p99 write while full branches are made", "without", ratio(waits["with"], waits["without"]), ("<=", 2))
    row("parent's slowest write while full branches are made", "ms", max(r[1] for r in waits["with"]) * 1000, ("<", 50))


def measure(build):
    hf = Holdfast(build).start()
    try:
        schema_alone(hf)
        peer = SqldNamespaces(build)
        peer.launch()
        try:
            all_rows(hf, peer)
        finally:
            peer.stop()
    finally:
        hf.stop()
