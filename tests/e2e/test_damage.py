#!/usr/bin/env python3
"""Damage: files spoilt while the server is stopped and while it serves, engines that die again and again, a full disk, a used-up
quota. One database suffers, the front and the others never do, and nothing acknowledged is lost. Usage: test_damage.py PATH-OF-HOLDFAST"""
import fcntl
import itertools
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import Checks, Server, binary_argument

FILL = ("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "CREATE INDEX t_v ON t(v)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t(v) SELECT i || hex(zeroblob(400)) FROM n")
SCAN = "SELECT count(*), sum(length(v)) FROM t NOT INDEXED"


def path_of(s, db):
    listed = s.call("GET", "/v1/databases?pageSize=100").json["data"]
    return os.path.join(s.data, "db", next(d["id"] for d in listed if d["slug"] == db), "main.db")


def make(s, db):
    if db != "main":
        s.call("POST", "/v1/databases", {"slug": db})
    return s.batch(FILL, db=db)


def overwrite(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at if at >= 0 else os.path.getsize(path) + at)
        f.write(data)


def garbage(checks, n):
    return bytes(checks.random.randrange(256) for _ in range(n))


def spoil(checks, s, how, path):
    size = os.path.getsize(path)
    if how == "header":
        overwrite(path, 0, garbage(checks, 100))
    elif how == "first page":
        overwrite(path, 100, garbage(checks, 3996))
    elif how == "middle":
        for page in range(3, size // 4096, 2):
            overwrite(path, page * 4096, garbage(checks, 4096))
    elif how == "truncated":
        os.truncate(path, size // 4096 // 3 * 4096)
    elif how == "cut in a page":
        os.truncate(path, 5000)
    elif how == "emptied":
        os.truncate(path, 0)
    elif how == "deleted":
        os.unlink(path)
    elif how == "another database's":
        shutil.copy(os.path.join(s.data, "db", s.main_id, "main.db"), path)
    elif how == "a stranger's":
        os.unlink(path)
        strange = sqlite3.connect(path)
        strange.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
        strange.commit()
        strange.close()
    elif how == "log":
        with open(path + "-wal", "wb") as f:
            f.write(garbage(checks, 20000))
    elif how == "log with a good header":
        with open(path + "-wal", "wb") as f:
            f.write(struct.pack(">6I", 0x377f0682, 3007000, 4096, 0, 1, 2) + garbage(checks, 40000))
    elif how == "index of the log":
        with open(path + "-shm", "wb") as f:
            f.write(garbage(checks, 32768))
    elif how in ("directory", "link", "fifo"):
        os.rename(path, path + ".away")
        {"directory": os.mkdir, "link": lambda p: os.symlink("/etc/passwd", p), "fifo": os.mkfifo}[how](path)


# How, and which answers to a scan are right. A log that does not check is no log: what was checkpointed is there.
WAYS = {"header": (503,), "first page": (503,), "middle": (503,), "truncated": (503,), "cut in a page": (503,), "emptied": (503,), "deleted": (503,),
        "another database's": (503,), "a stranger's": (503,), "log": (200,), "log with a good header": (200,),
        "index of the log": (200,), "directory": (503,), "link": (503,), "fifo": (503,)}
CORRUPT = ("header", "first page", "middle", "truncated", "cut in a page", "emptied", "deleted", "another database's", "a stranger's", "directory", "link", "fifo")


def front_lives(checks, s, what):
    checks.that(f"{what}: the front lives", s.proc.poll() is None, s.log()[-1500:])
    answer = s.query(SCAN)
    checks.equal(f"{what}: another database answers", (answer.status, answer.json.get("data", {}).get("rows", [[0]])[0][0]), (200, 400))
    checks.equal(f"{what}: and takes writes", s.query("UPDATE t SET v = v WHERE id = 1").status, 200)


def look_at(checks, s, db, how, wanted, when):
    answers = [s.query(SCAN, db=db), s.query(SCAN, db=db), s.query("INSERT INTO t(v) VALUES('new')", db=db)]
    for a in answers[:2]:
        checks.that(f"{when}, {how}: a scan answers {wanted}", a.status in wanted, a)
    for a in answers:
        checks.that(f"{when}, {how}: an error is clear JSON", a.status == 200 or a.json["success"] is False and a.json["error"], a)
        checks.that(f"{when}, {how}: no answer of the front's own trouble", a.status in (200, 503), a)
    if how in CORRUPT and when == "stopped":
        checks.that(f"{when}, {how}: says corrupt", any(a.status == 503 and a.json["code"] == "corrupt" for a in answers), answers)
        checks.equal(f"{when}, {how}: and so does the list", s.call("GET", f"/v1/databases/{db}").json["data"]["status"], "corrupt")


def stopped(checks, s):
    make(s, "main")
    names = {how: "x-" + how.replace(" ", "-").replace("'", "") for how in WAYS}
    s.main_id = os.path.basename(os.path.dirname(path_of(s, "main")))
    for how, db in names.items():
        checks.that(f"{db} is made", make(s, db).status == 200)
    paths = {how: path_of(s, db) for how, db in names.items()}
    checks.equal("stops", s.stop(), 0)
    for how, path in paths.items():
        spoil(checks, s, how, path)
    report = s.run("doctor", "--data", s.data, "--json", check=False)
    found = [f for f in json.loads(report.stdout)["findings"] if f["level"] not in ("ok", "note")]
    for how in WAYS:
        if 503 in WAYS[how]:
            named = [f for f in found if names[how] in f["message"]]
            checks.that(f"doctor names {names[how]} and says what to do", named and all(f["advice"] for f in named), report.stdout[-1500:])
    s.start()
    for how, db in names.items():
        look_at(checks, s, db, how, WAYS[how], "stopped")
    front_lives(checks, s, "stopped")
    for fmt in ("sql", "sqlite"):
        checks.equal(f"another database is exported as {fmt}", s.db(f"export?format={fmt}", method="GET").status, 200)
    for how, db in names.items():
        checks.equal(f"{db} can be deleted", s.call("DELETE", f"/v1/databases/{db}").status, 200)
        checks.equal(f"{db} is gone", s.query("SELECT 1", db=db).status, 404)
        checks.that(f"{db} can be made anew", make(s, db).status == 200 and s.query(SCAN, db=db).status == 200)
        s.call("DELETE", f"/v1/databases/{db}")


def directory_lost(checks, s):
    """The whole directory of a database is gone."""
    make(s, "homeless")
    folder = os.path.dirname(path_of(s, "homeless"))
    checks.equal("stops before the loss", s.stop(), 0)
    os.rename(folder, os.path.join(s.dir, "away"))
    s.start()
    for _ in range(4):
        a = s.query("SELECT 1", db="homeless")
        checks.equal("a lost directory is corrupt", (a.status, a.json["code"]), (503, "corrupt"))
    status = {d["slug"]: d["status"] for d in s.call("GET", "/v1/databases").json["data"]}
    checks.equal("the list knows", (status["homeless"], status["main"]), ("corrupt", "healthy"))
    checks.equal("stops after the loss", s.stop(), 0)
    os.rename(os.path.join(s.dir, "away"), folder)
    s.start()
    checks.equal("put back it answers", s.query(SCAN, db="homeless").status, 200)
    checks.equal("and is healthy", s.call("GET", "/v1/databases/homeless").json["data"]["status"], "healthy")


def serving(checks, s):
    for how in ("header", "middle", "truncated", "cut in a page"):
        for load in (False, True):
            db = f"y-{how.replace(' ', '-')}-{'busy' if load else 'idle'}"
            make(s, db)
            path = path_of(s, db)

            def busy():
                return s.query("INSERT INTO t(v) VALUES(hex(zeroblob(300)))", db=db)
            with beside(*[busy] * (2 if load else 0)) as answers:
                s.query("SELECT 1", db=db)
                spoil(checks, s, how, path)
                for _ in range(3):
                    a = s.query(SCAN, db=db)
                    checks.that(f"serving, {how}: a scan answers", a.status in (200, 503, 500), a)
            checks.equal(f"serving, {how}: odd answers to writes", [a for a in answers if a.status not in (200, 503, 500)][:3], [])
            checks.equal(f"serving, {how}: can be deleted", s.call("DELETE", f"/v1/databases/{db}").status, 200)
    front_lives(checks, s, "serving")


def log_lost(checks, s):
    """After a kill the acknowledged writes are in the log alone, and its index tells when it is gone."""
    make(s, "logless")
    make(s, "unharmed")
    paths = [path_of(s, db) for db in ("logless", "unharmed")]
    engines = s.children("hf-engine")
    for pid in engines:
        os.kill(pid, signal.SIGSTOP)  # an engine that sees the front go leaves in good order
    s.kill()
    for pid in engines:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it went with the zygote
    checks.equal("killed engines leave logs", [os.path.exists(p + "-wal") for p in paths], [True, True])
    os.unlink(paths[0] + "-wal")
    report = s.run("doctor", "--data", s.data, "--json", check=False)
    checks.that("doctor names a database that lost its log", any("logless" in f["message"] and f["level"] == "bad" for f in json.loads(report.stdout)["findings"]), report.stdout[-1500:])
    s.start()
    lost = s.query(SCAN, db="logless")
    checks.equal("a lost log is damage", (lost.status, lost.json.get("code")), (503, "corrupt"))
    checks.equal("a log that is there is read", s.query(SCAN, db="unharmed").json["data"]["rows"][0][0], 400)
    front_lives(checks, s, "log lost")


def never_used(checks, s):
    """Nothing was lost where nothing was: an unused database has no file, and gets one."""
    s.call("POST", "/v1/databases", {"slug": "fresh"})
    checks.equal("an unused database opens", s.query("SELECT 1", db="fresh").status, 200)
    path = path_of(s, "fresh")
    s.stop()
    checks.that("from then on it is known as used", os.path.exists(os.path.join(os.path.dirname(path), "used")))
    os.unlink(path)
    s.start()
    checks.equal("an empty database that is lost is a loss too", s.query("SELECT 1", db="fresh").json.get("code"), "corrupt")
    s.stop()
    os.unlink(os.path.join(os.path.dirname(path), "used"))
    s.start()
    checks.equal("without the mark it begins anew", s.query("SELECT 1", db="fresh").status, 200)


def immutable(path, on):
    """The one thing that root cannot write to. False: this file system has no such flag."""
    fd = os.open(path, os.O_RDONLY)
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, 0x80086601, struct.pack("l", 0)))[0]
        fcntl.ioctl(fd, 0x40086602, struct.pack("l", flags | 0x10 if on else flags & ~0x10))
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def rights(checks, s):
    make(s, "locked")
    path = path_of(s, "locked")
    s.stop()
    os.chmod(path, 0)
    flagged = os.geteuid() == 0 and immutable(path, True)
    s.start()
    if os.geteuid() != 0 or flagged:
        a = s.query("INSERT INTO t(v) VALUES('x')", db="locked")
        checks.that("a file without rights: 503, with words", a.status == 503 and "database" in a.json["error"], a)
    front_lives(checks, s, "rights")
    if flagged:
        immutable(path, False)
    os.chmod(path, 0o600)
    a = s.query("INSERT INTO t(v) VALUES('x')", db="locked")
    checks.equal("rights given back: writes at once", a.status, 200)


def breaker(checks, s):
    """Leaves a database with an open breaker; returns what looks at its recovery."""
    numbers = itertools.count(1)

    def load():
        name = f"load-{next(numbers)}"
        try:
            return name if s.query("INSERT INTO t(v) VALUES(?)", [name], db="fragile").status == 200 else None
        except OSError:
            return None
    s.query("SELECT 1")
    others = set(s.children("hf-engine"))
    make(s, "fragile")
    kills, end, last = 0, time.monotonic() + 20, None
    with beside(load, load, load) as seen:
        while time.monotonic() < end:
            for pid in set(s.children("hf-engine")) - others:
                try:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
                except ProcessLookupError:
                    pass
            last = s.query("SELECT 1", db="fragile")
            if last.status == 503 and "retry-after" in last.headers:
                break
    acked = [name for name in seen if name]
    checks.that(f"after {kills} kills the database rests", last.status == 503 and last.json["code"] == "unavailable" and 0 < int(last.headers.get("retry-after", 0)) <= 60, last)
    checks.that("three were enough, or a few more that came at once", 3 <= kills < 20, kills)
    front_lives(checks, s, "breaker")
    opened = time.monotonic()

    def recovered():
        while time.monotonic() < opened + 45:
            a = s.query("SELECT count(*) FROM t WHERE v LIKE '%-%'", db="fragile")
            if a.status == 200:
                break
            time.sleep(0.5)
        checks.that("the breaker closes again", a.status == 200, a)
        marks = ",".join("?" * min(len(acked), 900))
        rows = s.query(f"SELECT count(DISTINCT v) FROM t WHERE v IN ({marks})", acked[-900:], db="fragile").json["data"]["rows"]
        checks.equal("every acknowledged write is there", rows[0][0], min(len(acked), 900))
    return recovered


def quota(checks, binary):
    with Server(binary, args=["--max-database-size", "4M"]) as s:
        s.query("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
        kept = 0
        for _ in range(400):
            a = s.query("INSERT INTO t(v) VALUES(hex(zeroblob(10000)))")
            if a.status != 200:
                break
            kept += 1
        checks.that("the quota is reached: 507 and words", a.status == 507 and "full" in a.json["error"] and a.json["code"] == "insufficient_storage", a)
        checks.that("not before it was used", kept > 60, kept)
        checks.equal("reads go on", s.query("SELECT count(*) FROM t").json["data"]["rows"], [[kept]])
        both = s.batch([{"sql": "INSERT INTO t(v) VALUES('a')"}, {"sql": "INSERT INTO t(v) VALUES(hex(zeroblob(200000)))"}])
        checks.equal("a batch that does not fit", (both.status, s.query("SELECT count(*) FROM t WHERE v = 'a'").json["data"]["rows"]), (507, [[0]]))
        checks.equal("changing every row works", s.query("UPDATE t SET v = replace(v, '0', '1')").status, 200)
        checks.equal("DELETE works", s.query("DELETE FROM t WHERE id % 2").status, 200)
        checks.equal("and makes room", s.query("INSERT INTO t(v) VALUES(hex(zeroblob(10000)))").status, 200)
        checks.equal("all of it can go, and fits again", [s.query(q).status for q in (
            "DELETE FROM t", f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{kept - 10}) INSERT INTO t(v) SELECT hex(zeroblob(10000)) FROM n",
            "DROP TABLE t")], [200, 200, 200])


class Disk:
    """A small file system of its own, when this user may mount one."""

    def __init__(self, megabytes):
        self.dir = tempfile.mkdtemp(prefix="holdfast-disk-")
        self.mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "holdfast-test", self.dir], capture_output=True).returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.mounted:
            subprocess.run(["umount", "-l", self.dir], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def fill(self, leave):
        """In pieces that get smaller, because others write at the same time."""
        with open(os.path.join(self.dir, "filler"), "ab") as f:
            for piece in (1 << 20, 4096):
                try:
                    while os.statvfs(self.dir).f_bavail * 4096 >= leave + piece:
                        os.posix_fallocate(f.fileno(), f.seek(0, 2), piece)
                except OSError:
                    pass

    def free(self):
        os.unlink(os.path.join(self.dir, "filler"))


def until(status, ask, seconds=20):
    """Asks until the answer has that status; the last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer.status == status or time.monotonic() > end:
            return answer
        time.sleep(0.05)


def disk_full(checks, binary):
    with Disk(160) as disk:
        if not disk.mounted:
            print("no file system can be mounted here: the full disk is not tested")
            return
        with Server(binary, data=os.path.join(disk.dir, "data")) as s:
            make(s, "main")
            make(s, "second")
            numbers, acked = itertools.count(1), []

            def load():
                name = f"load-{next(numbers)}"
                a = s.query("INSERT INTO t(v) VALUES(?)", [name])
                if a.status == 200:
                    acked.append(name)
                return a
            with beside(load, load) as answers:
                end = time.monotonic() + 20
                while len(acked) < 50 and time.monotonic() < end:
                    s.query("SELECT 1")
                checks.that("writes go on", len(acked) >= 50, answers[-1:])
                disk.fill(0)  # at once, before the server can have looked
                full = until(507, lambda: s.query("INSERT INTO t(v) VALUES(hex(randomblob(200000)))"))
                checks.that("a full disk: 507 and words", full.status == 507 and full.json["error"], full)
                checks.equal("reads go on", s.query("SELECT count(*) FROM t WHERE id <= 400").json["data"]["rows"], [[400]])
                checks.that("also of the other database", s.query(SCAN, db="second").status == 200, s.query(SCAN, db="second"))
                imported = s.db("import?table=t", b"v\n" + b"x" * 100000 + b"\n", headers={"Content-Type": "text/csv"})
                checks.that("an import is refused", imported.status == 507, imported)
                created = s.call("POST", "/v1/databases", {"slug": "third"})
                checks.that("a new database is refused or made, clearly", created.status in (200, 201, 503, 507), created)
            odd = [a for a in answers if a.status not in (200, 503, 507)]
            checks.equal("odd answers", odd[:3], [])
            s.kill()  # with the disk full
            s.start()
            checks.that("it starts on a full disk, or says why not", s.proc.poll() is None)
            checks.equal("and reads", s.query("SELECT count(*) FROM t WHERE id <= 400").json.get("data", {}).get("rows"), [[400]])
            disk.free()
            again = until(200, lambda: s.query("INSERT INTO t(v) VALUES('room')"))
            checks.that("with room again writes work", again.status == 200, again)
            there = {r[0] for r in s.query("SELECT v FROM t WHERE v LIKE '%-%' LIMIT 9999").json["data"]["rows"]}
            checks.equal(f"every acknowledged write is there ({len(acked)})", sorted(set(acked[:9000]) - there)[:5], [])
            checked = s.run("doctor", "--data", s.data, "--json", check=False)
            checks.that("and doctor finds them whole", "read through and whole" in checked.stdout and "malformed" not in checked.stdout, checked.stdout)
            disk.fill(20 << 20)  # little is left: refused before it hurts
            low = until(507, lambda: s.query("INSERT INTO t(v) VALUES('low')"))
            checks.that("a nearly full disk: 507", low.status == 507, low)
            checks.equal("and reads", s.query("SELECT 1").status, 200)
            warned = s.run("doctor", "--data", s.data, "--quick", check=False)
            checks.that("doctor says so too", "MiB are free" in warned.stdout and "507" in warned.stdout and warned.returncode == 1, warned.stdout)
            disk.free()


def main():
    checks, binary = Checks(), binary_argument()
    with Server(binary) as s:
        make(s, "main")
        recovered = breaker(checks, s)
        quota(checks, binary)
        disk_full(checks, binary)
        recovered()
    with Server(binary) as s:
        for part in (stopped, directory_lost, log_lost, never_used, serving, rights):
            part(checks, s)
        checks.equal("ends with status 0", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
