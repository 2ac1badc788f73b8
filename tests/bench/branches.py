"""What a branch costs: its schema alone from request to answer, and all rows against cp and VACUUM INTO of the same file, each made
durable; and what the parent's writers notice of it."""
import glob
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import threading
import time

from servers import Holdfast
from table import QUICK, ratio, row, rounds

TABLES, TIMES = 50, 20 if QUICK else 100
MEBIBYTES = 64 if QUICK else 1024


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
    hf.post(hf.path("large", "batch"), {"statements": [{"sql": "CREATE TABLE pages(id INTEGER PRIMARY KEY, body BLOB)"}, {"sql": "CREATE TABLE small(id INTEGER PRIMARY KEY, n INTEGER)"},
                                                      {"sql": "INSERT INTO small VALUES(1, 0)"}]})
    for _ in range(MEBIBYTES // 16):
        hf.post(hf.path("large", "query"), {"sql": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4096) INSERT INTO pages(body) SELECT randomblob(3900) FROM c"})
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


def all_rows(hf):
    source, target = fill(hf), os.path.join(hf.dir, "copy.db")
    path = hf.path("large", "branches/full")

    def branch():
        took = timed(lambda: ask(hf, "PUT", path, {"data": "full"}))
        ask(hf, "DELETE", path)
        return took

    seen = rounds({"branch": branch, "cp": lambda: timed(lambda: copy_file(source, target)), "vacuum": lambda: timed(lambda: vacuum(source, target))}, 3)
    size = f"full branch of {MEBIBYTES} MiB"
    row(size, "cp, made durable", ratio(seen["branch"], seen["cp"]), ("<=", 1.3))
    row(size, "VACUUM INTO, made durable", ratio(seen["branch"], seen["vacuum"]), None)

    def beside(busy):
        with Writer(hf) as writer:
            branch() if busy else time.sleep(2)
        return (writer.p99(), max(writer.took))

    waits = rounds({"with": lambda: beside(True), "without": lambda: beside(False)}, 3)
    row("parent's p99 write during a full branch", "without", ratio(waits["with"], waits["without"]), ("<=", 2))
    row("parent's slowest write during a full branch", "ms", max(r[1] for r in waits["with"]) * 1000, None)


def measure(build):
    hf = Holdfast(build).start()
    try:
        schema_alone(hf)
        all_rows(hf)
    finally:
        hf.stop()
