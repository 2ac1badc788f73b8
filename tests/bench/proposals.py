"""What it costs to look first: rehearsing, applying and taking back an update of 100,000 rows against the bare update, and a
one-row update while 10,000 proposals of its table wait against the same without."""
import time

from servers import Holdfast
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
            return took, again

        seen = rounds({"bare": lambda: timed(lambda: hf.post(path("query"), UPDATE)), "propose": lambda: timed(lambda: hf.post(path("propose"), UPDATE)),
                       "apply": apply, "undo": undo}, 5)
        row("rehearsal of 100,000 rows", "the bare update", ratio(seen["propose"], seen["bare"]), ("<=", 2.5))
        row("apply of 100,000 rows", "the bare update", ratio(seen["apply"], seen["bare"]), None)
        row("undo of 100,000 rows, proposing it", "the bare update", ratio(seen["undo"], seen["bare"]), ("<=", 2))

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
