"""What 64 people who sign in at once do to everyone else's point reads: the same reads with and without them, in turn."""
import http.client
import json
import os
import sqlite3
import statistics
import threading
import time

from load import load
from servers import LOAD_CPU, Holdfast
from table import ROUNDS, ratio, row, rounds

PEOPLE = 64
AT_ONCE = {"64 connections": 64, "one connection": 1}
GOAL = "64 connections"  # one connection waits for the kernel's clock as soon as anything else runs on its core: see README.md


class Storm:
    """PEOPLE threads that sign in again and again while it is entered."""

    def __init__(self, hf):
        self.hf, self.ended, self.took, self.failed = hf, threading.Event(), [], None

    def person(self, number):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # this thread's: it must not hold up wrk on the core they share
        conn = http.client.HTTPConnection("127.0.0.1", self.hf.port, timeout=120)
        body = json.dumps({"email": f"person{number}@example.com", "password": self.hf.password})
        while not self.ended.is_set():
            begun = time.monotonic()
            conn.request("POST", "/api/auth/sign-in/email", body, {"Content-Type": "application/json"})
            answer = conn.getresponse()
            data = answer.read()
            if answer.status != 200:
                self.failed = f"sign in: {answer.status} {data[:200]!r}"
                return
            self.took.append((time.monotonic() - begun) * 1000)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.person, args=(i,)) for i in range(PEOPLE)]
        self.begun = time.monotonic()
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.ended.set()
        seconds = time.monotonic() - self.begun
        self.rate = len(self.took) / seconds
        for t in self.threads:
            t.join()
        if self.failed:
            raise RuntimeError(self.failed)


def invite(hf):
    """All have the owner's password, since hashing 64 takes long."""
    db = sqlite3.connect(os.path.join(hf.dir, "data", "control.db"), timeout=30)
    with db:
        password_hash, now = db.execute("SELECT password_hash, created_at FROM account").fetchone()
        db.executemany("INSERT INTO account(id, email, email_key, password_hash, created_at, name, first_sign_in_at) VALUES(?1, ?2, ?2, ?3, ?4, '', ?4)",
                       ((f"usr_{i:026d}", f"person{i}@example.com", password_hash, now) for i in range(PEOPLE)))
    db.close()


def measure(build):
    os.sched_setaffinity(0, {int(LOAD_CPU)})  # people are part of the load
    hf = Holdfast(build).start()
    storms = []
    try:
        invite(hf)

        def stormy(connections):
            with Storm(hf) as storm:
                result = load(hf, "read", connections)
            storms.append(storm.rate)
            return result

        jobs = {}
        for name, n in AT_ONCE.items():
            jobs[name] = lambda n=n: load(hf, "read", n)
            jobs[name + " stormy"] = lambda n=n: stormy(n)
        seen = rounds(jobs, 2 * ROUNDS)
        for name in AT_ONCE:
            calm, wild = seen[name], seen[name + " stormy"]
            note = (f"{statistics.median(r[2] for r in calm):.2f} and {statistics.median(r[2] for r in wild):.2f} ms; rate "
                    f"{ratio(wild, calm):.2f}, p50 {ratio(wild, calm, lambda r: r[1]):.2f}; {statistics.median(storms):.0f} sign-ins/s")
            row(f"p99 of point reads, {name}", "with 64 sign-ins and without", ratio(wild, calm, lambda r: r[2]), ("<=", 2) if name == GOAL else None, note)
    finally:
        hf.stop()
        os.sched_setaffinity(0, range(os.cpu_count()))
