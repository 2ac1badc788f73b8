"""Reads, inserts, batches, starts and memory against the peers of servers.py."""
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import time

from load import load
from servers import SERVER_CPU, Bare, Fastify, Holdfast, Sqld, Workerd
from table import SECONDS, ratio, row, rounds


def reads(hf, bare, peers, spread):
    seen = rounds({"bare": lambda: load(bare, "read"), "hf": lambda: load(hf, "read"), "spread": lambda: load(hf, "read", paths=spread),
                   **{name: (lambda p=p: load(p, "read")) for name, p in peers.items()}})
    rate = statistics.median(r[0] for r in seen["hf"])
    row("point read, 64 connections", "bare evhttp, constant reply", ratio(seen["hf"], seen["bare"]), (">=", 0.6), f"{rate:.0f}/s here")
    for name, goal in (("fastify + better-sqlite3", 1.7), ("workerd Durable Object", 8), ("sqld", 10)):
        row("point read, 64 connections", name, ratio(seen["hf"], seen[name]), (">=", goal))
    row("point read over 200 databases", "point read of one", ratio(seen["spread"], seen["hf"]), (">=", 0.7))


def inserts(hf, peers):
    seen = rounds({"hf": lambda: load(hf, "insert"), **{name: (lambda p=p: load(p, "insert")) for name, p in peers.items()}})
    rate = statistics.median(r[0] for r in seen["hf"])
    for name, p in peers.items():
        goal = (">=", 5) if name.startswith("fastify") else None
        row("durable insert, 64 connections", name, ratio(seen["hf"], seen[name]), goal, f"{rate:.0f}/s here")
    row("durable insert, 64 connections", "p99 in ms", statistics.median(r[2] for r in seen["hf"]), ("<=", 5))


def keep_alive(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)


def ask(conn, server, path, body):
    conn.request("POST", path, body, {"Content-Type": "application/json", "Authorization": "Bearer " + server.token})
    answer = conn.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {data[:300]!r}")
    return data


def batches(hf):
    def ours(connections):
        return load(hf, "batch", connections=connections, paths=[hf.path("main", "batch")])

    def plain():
        path = os.path.join(hf.dir, f"plain-{time.monotonic_ns()}.db")
        out = subprocess.run(["taskset", "-c", SERVER_CPU, os.path.join(hf.build, "bench", "sqlite_api"), path, str(SECONDS)], check=True,
                             text=True, stdout=subprocess.PIPE).stdout
        return (float(out),)

    seen = rounds({"one": lambda: ours(1), "many": lambda: ours(8), "plain": plain})
    row("batch of 100 inserts, one connection", "SQLite's C API", ratio(seen["one"], seen["plain"]), (">=", 0.5))
    row("batch of 100 inserts, 8 connections", "SQLite's C API", ratio(seen["many"], seen["plain"]), None, "they share commits")


def big_select(hf):
    sql = "SELECT id, email FROM customers ORDER BY id LIMIT 10000"
    body = json.dumps({"sql": sql})
    path = os.path.join(hf.dir, "copy.db")
    fill = ("CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
            "WHERE i < 10000) INSERT INTO customers SELECT i, 'user' || i || '@example.com' FROM n;")
    subprocess.run(["sqlite3", path, fill], check=True)
    repeat = 100
    script = ".mode json\n" + (sql + ";\n") * repeat

    def ours():
        conn, start = keep_alive(hf), time.monotonic()
        for _ in range(repeat):
            ask(conn, hf, hf.path("main", "query"), body)
        return (repeat / (time.monotonic() - start),)

    def cli():
        start = time.monotonic()
        subprocess.run(["taskset", "-c", SERVER_CPU, "sqlite3", path], input=script, text=True, check=True, stdout=subprocess.DEVNULL)
        return (repeat / (time.monotonic() - start),)

    seen = rounds({"hf": ours, "cli": cli})
    row("SELECT of 10,000 rows", "sqlite3 CLI, .mode json", ratio(seen["hf"], seen["cli"]), (">=", 0.5))


def first_and_second(hf, slugs):
    """Milliseconds of the first answer of each database, and of the second."""
    body, conn, seen = json.dumps({"sql": "SELECT 1"}), keep_alive(hf), ([], [])
    for slug in slugs:
        for times in seen:
            start = time.monotonic()
            ask(conn, hf, hf.path(slug, "query"), body)
            times.append((time.monotonic() - start) * 1000)
    return [statistics.median(times) for times in seen]


def cold(hf, slugs):
    made, _ = first_and_second(hf, slugs)
    hf.again()
    first, second = first_and_second(hf, slugs)
    row("cold engine to first answer", "ms, median", first, ("<=", 3), f"warm: {second:.2f} ms")
    row("new database to first answer", "ms, median", made, None, "its files are made durable first")


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += next(int(l.split()[1]) for l in f if l.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total


def memory(hf, slugs):
    pids = hf.pids()
    row(f"{len(slugs)} active databases", "MB in all (PSS)", pss_kib(pids) / 1024, ("<=", 600), f"{len(pids)} processes")


def idle_connections(hf):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 400), hard))
    before, held = pss_kib([hf.proc.pid]), []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", hf.port))
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")
        held.append(s)
    for s in held:
        if not s.recv(4096).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("an idle connection was refused")
    row(f"{count} idle connections", "KB each", (pss_kib([hf.proc.pid]) - before) * 1.024 / count, ("<=", 20))
    for s in held:
        s.close()


def measure(build):
    hf, bare = Holdfast(build).start(), Bare(build).start()
    peers = {"fastify + better-sqlite3": Fastify(build).start(), "workerd Durable Object": Workerd(build).start(), "sqld": Sqld(build).start()}
    try:
        spread = [f"spread-{i}" for i in range(200)]
        for slug in spread:
            hf.create(slug)
            hf.fill(slug)
        reads(hf, bare, peers, [hf.path(s, "query") for s in spread])
        inserts(hf, peers)
        batches(hf)
        big_select(hf)
        fresh = [f"cold-{i}" for i in range(800)]
        for slug in fresh:
            hf.create(slug)
        cold(hf, fresh)
        memory(hf, spread + fresh)
        idle_connections(hf)
    finally:
        for server in [hf, bare, *peers.values()]:
            server.stop()
