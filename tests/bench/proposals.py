"""What it costs to look first: rehearsing, applying and taking back an update of 100,000 rows against the bare update, over HTTP and
through SQLite's C API; pairs of propose and apply; and a one-row update while 10,000 proposals of its table wait against the same
without."""
import os
import subprocess
import time

from load import load
from servers import SERVER_CPU, Holdfast
from table import QUICK, ratio, row, rounds

ROWS, WAITING, UPDATES = 100_000, 1_000 if QUICK else 10_000, 500
UPDATE = {"sql": "UPDATE wide SET n = n + 1"}


def prepare(hf):
    count = f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {ROWS}) "
    hf.post(hf.path("main", "batch"), {"transaction": True, "statements": [
        {"sql": "CREATE TABLE wide(id INTEGER PRIMARY KEY, name TEXT, price REAL, n INTEGER)"},
        {"sql": f"INSERT INTO wide {count} SELECT x, 'name ' || x, x * 1.5, 0 FROM c"},
        {"sql": "CREATE TABLE narrow(id INTEGER PRIMARY KEY, n INTEGER)"},
        {"sql": f"INSERT INTO narrow {count} SELECT x, 0 FROM c"}]})


def timed(call):
    begin = time.monotonic()
    answer = call()
    return time.monotonic() - begin, answer


def sqlite_update(build, directory):
    """Seconds of the same update through SQLite's C API, in this round."""
    out = subprocess.run(["taskset", "-c", SERVER_CPU, os.path.join(build, "bench", "sqlite_update"), os.path.join(directory, "bare.db"), str(ROWS), "2"],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    return (float(out.split()[-1]) / 1000,)


def pairs(hf, path):
    """One-row writes that are proposed and applied, each row once."""
    paths = [path("propose"), path("apply")]
    at_once = [load(hf, "pairs", paths=paths) for _ in range(2 if QUICK else 4)]
    row("propose and apply, 64 connections", "pairs a second", max(r[0] for r in at_once) / 2, (">=", 5000))
    alone = [(2 / load(hf, "pairs", connections=1, paths=paths, seconds=1)[0] - 1 / load(hf, "insert", connections=1, paths=[path("query")], seconds=1)[0],)
             for _ in range(3)]
    row("propose and apply, one connection", "a durable insert, ms more", min(a[0] for a in alone) * 1000, ("<", 1))


def measure(build):
    hf = Holdfast(build).start()
    path = lambda verb: hf.path("main", verb)
    try:
        prepare(hf)
        applied = []

        def apply():
            token = hf.post(path("propose"), UPDATE)["data"]
            applied.append(token["proposalId"])
            return timed(lambda: hf.post(path("apply"), {"executionToken": token["executionToken"]}))

        def undo():
            took, back = timed(lambda: hf.post(path(f"proposals/{applied[-1]}/undo"), {}))
            again, _ = timed(lambda: hf.post(path("apply"), {"executionToken": back["data"]["executionToken"]}))
            return took, again  # proposing it, doing it

        seen = rounds({"bare": lambda: timed(lambda: hf.post(path("query"), UPDATE)), "propose": lambda: timed(lambda: hf.post(path("propose"), UPDATE)),
                       "apply": apply, "undo": undo, "sqlite": lambda: sqlite_update(build, hf.dir)}, 5)
        for peer, name in (("bare", "the bare update"), ("sqlite", "SQLite's C API, the bare update")):
            row("rehearsal of 100,000 rows", name, ratio(seen["propose"], seen[peer]), ("<=", 2.5))
            row("apply of 100,000 rows", name, ratio(seen["apply"], seen[peer]), None)
            row("undo of 100,000 rows, proposing it", name, ratio(seen["undo"], seen[peer]), ("<=", 2))
            row("undo of 100,000 rows, doing it", name, ratio([r[1:] for r in seen["undo"]], seen[peer]), ("<=", 2))
        pairs(hf, path)

        def updates():
            begin = time.monotonic()
            for n in range(UPDATES):
                hf.post(path("query"), {"sql": "UPDATE narrow SET n = n + 1 WHERE id = ?", "params": [ROWS - n]})
            return (time.monotonic() - begin,)

        without = [updates() for _ in range(3)]
        for n in range(WAITING):
            hf.post(path("propose"), {"sql": "UPDATE narrow SET n = n + 1 WHERE id = ?", "params": [n + 1], "ttlSec": 3600})
        row(f"one-row update, {WAITING:,} proposals waiting", "without any", ratio([updates() for _ in range(3)], without), ("<=", 1.2))
    finally:
        hf.stop()
