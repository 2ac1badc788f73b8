#!/usr/bin/env python3
"""Lists of a control database with many rows in the audit log: how long a page takes, wherever it begins, and how long
`holdfast audit verify` reads. Makes its own data directory with ROWS rows in one namespace (a true chain, as the server would
have written it) and NAMESPACES further ones. Usage: audit_list.py PATH-OF-HOLDFAST [ROWS] [NAMESPACES]"""
import hashlib
import os
import sqlite3
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Server

CALLS = 300
ACTIONS = ["token.created"] * 6 + ["database.created"] * 3 + ["database.deleted"]
START_MS = 1_700_000_000_000


def text(value):
    if value is None:
        return b"n"
    raw = value.encode()
    return b"t" + struct.pack(">I", len(raw)) + raw


def rows(chain, count):
    """The columns of the table `audit`, chained as internal/audit/chain.h says."""
    digest = bytes(32)
    for seq in range(1, count + 1):
        action = "namespace.created" if seq % 100_000 == 0 else ACTIONS[seq % len(ACTIONS)]
        at = START_MS + seq * 1000
        row = (chain, seq, f"aud_{seq:026d}", at, action, "token", None, "tok_bench", None, "bench/1.0", "203.0.113.7", f"req_{seq:020d}", "token",
               f"tok_{seq:026d}", "a token", None, '{"name":"a token","role":"readonly"}')
        encoded = b"".join(b"i" + struct.pack(">q", v) if isinstance(v, int) else text(v) for v in row)
        digest = hashlib.sha256(b"holdfast audit row 1\n" + digest + encoded).digest()
        yield (*row, digest.hex())


def fill(db, chain, count):
    db.execute("DELETE FROM audit WHERE chain = ?", (chain,))  # its times are later than those of the rows to come
    last = None
    made = rows(chain, count)

    def watched():
        nonlocal last
        for last in made:
            yield last

    db.executemany("INSERT INTO audit VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", watched())
    db.execute("INSERT OR REPLACE INTO audit_chain VALUES(?, ?, ?, ?, 0, ?)", (chain, count, last[3], last[17], START_MS))


def generate(path, count, namespaces):
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    acme = db.execute("SELECT id FROM namespace WHERE slug = 'acme'").fetchone()[0]
    db.execute("DELETE FROM audit_checkpoint")  # made anew at the server's start
    db.execute("UPDATE audit_chain SET signed_seq = 0, unsigned_at = 1")
    fill(db, acme, count)
    for n in range(namespaces):
        fill(db, f"ns_bench{n:06d}", 10)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def measure(s, what, query):
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        answer = s.call("GET", "/api/namespaces/acme/audit?" + query)
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status == 200, answer
    times.sort()
    print(f"  {what:44} {len(answer.json['data']):4} rows   p50 {times[CALLS // 2]:6.2f} ms   p99 {times[CALLS * 99 // 100]:6.2f} ms", flush=True)


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(ms // 1000))


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    namespaces = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    s = Server(sys.argv[1])
    s.init()
    begun = time.perf_counter()
    generate(os.path.join(s.data, "control.db"), count, namespaces)
    os.unlink(os.path.join(s.data, "audit.head"))
    print(f"{count} rows in one namespace, {namespaces} further ones: generated in {time.perf_counter() - begun:.0f} s")
    with_start = time.perf_counter()
    s.start()
    try:
        print(f"  {'start of the server, all chains signed':44} {time.perf_counter() - with_start:.1f} s")
        middle, oldest = START_MS + count // 2 * 1000, START_MS + 50_000
        for what, query in (("newest page", "limit=100"), ("newest page, one action", "limit=100&action=database.deleted"),
                            ("newest page, a rare action", "limit=100&action=namespace.created"), ("a page from the middle", f"limit=100&before={iso(middle)}"),
                            ("a page from the middle, one action", f"limit=100&before={iso(middle)}&action=token.created"),
                            ("the oldest rows", f"limit=100&before={iso(oldest)}"), ("an action that never was", "action=nope"), ("the largest page", "limit=500")):
            measure(s, what, query)
        begun = time.perf_counter()
        done = s.run("audit", "verify", "--data", s.data, check=False)
        print(f"  {'audit verify':44} {time.perf_counter() - begun:.1f} s, status {done.returncode}: {done.stdout.splitlines()[0]}")
    finally:
        s.__exit__()


if __name__ == "__main__":
    main()
