#!/usr/bin/env python3
"""`holdfast doctor`: what it finds, that it says what to do, and that it changes nothing. Usage: test_doctor.py PATH-OF-HOLDFAST"""
import fcntl
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cli import CLEAN_ENV, PASSWORD, TOKEN, Cli, snapshot
from holdfast import Checks, binary_argument


def check_doctor(cli, checks):
    host = cli.run("doctor")
    checks.that("doctor without data looks at the machine", "Landlock" in host.stdout and "libevent" in host.stdout, host.stdout)
    cli.init("sick")
    data = cli.path("sick")
    before = {k: v for k, v in snapshot(data).items() if not re.search(r"control\.(db|gen)|/\.$", k)}
    status, bad, ok = cli.findings(data, "bad")
    checks.equal("a fresh directory is well", (status, bad, ok), (0, [], True))
    text = cli.run("doctor", "--data", data)
    checks.that("and the text says so", text.stdout.endswith("All is well.\n"), text.stdout)
    checks.equal("doctor changes nothing", {k: v for k, v in snapshot(data).items() if k in before}, before)
    control, db = os.path.join(data, "control.db"), os.path.join(data, "db")
    main = os.path.join(db, os.listdir(db)[0])

    def expect(what, check, says, level="bad"):
        status, found, ok = cli.findings(data, level)
        checks.equal(f"{what}: exit status", status, 1 if level == "bad" else 0)
        checks.that(f"{what}: found", any(f["check"] == check and says in f["message"] and f["advice"] for f in found), found)

    os.chmod(data, 0o755)
    expect("an open directory", "directory", "open to others (mode 755)")
    os.chmod(data, 0o700)
    os.chmod(control, 0o640)
    expect("an open control.db", "directory", "control.db is open to others")
    os.chmod(control, 0o600)
    os.rename(main, main + "x")
    expect("a lost directory", "databases", "acme/main")
    status, notes, _ = cli.findings(data, "note")
    checks.that("a stray directory: found", any("is in no register" in f["message"] for f in notes), notes)
    os.rename(main + "x", main)
    lock = open(os.path.join(data, "lock"), "r+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    _, found, _ = cli.findings(data, "ok")
    checks.that("the holder of the lock is named", any(str(os.getpid()) in f["message"] for f in found if f["check"] == "server"), found)
    lock.close()
    checks.that("a file in place of a directory", "is not a directory" in cli.run("doctor", "--data", control).stdout)
    if os.geteuid() == 0:
        os.chown(data, 1, -1)
        expect("another user's directory", "directory", "belongs to user 1, this is user 0")
        os.chown(data, 0, -1)
    db_ = sqlite3.connect(control)
    db_.execute("UPDATE database SET status = 'provisioning'")
    db_.commit()
    expect("a database that was being made", "databases", "is still provisioning", level="note")
    db_.execute("UPDATE database SET status = 'healthy'")
    db_.execute("INSERT INTO schema_migration VALUES(999, 'future', 0)")
    db_.commit()
    db_.close()
    expect("a newer schema", "control", "use the version that wrote it")
    with open(control, "r+b") as f:
        f.seek(4096)
        f.write(b"\x5a" * 8192)
    expect("a damaged control.db", "control", "")
    shutil.copyfile(control, control + ".bad")
    with open(control, "wb") as f:
        f.write(b"this is no database" * 1000)
    expect("a control.db that is none", "control", "not a database")
    os.remove(control)
    os.remove(control + ".bad")
    expect("no control.db", "control", "holds no Holdfast data")
    expect_missing = cli.run("doctor", "--data", cli.path("nowhere"))
    checks.equal("a directory that is not there", (expect_missing.returncode, "cannot be found" in expect_missing.stdout), (1, True))
    checks.that("and each bad line says what to do", re.search(r"^bad .*\n +-> ", expect_missing.stdout, re.M))


def fill(path, rows=3000):
    """A tenant's file, as an engine would have left it."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE parent(id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child(a UNIQUE, b, p REFERENCES parent(id))")
    db.executemany("INSERT INTO child(a, b) VALUES(?, ?)", [(i, "x" * 200) for i in range(rows)])
    db.commit()
    db.close()
    os.chmod(path, 0o600)


def check_doctor_databases(cli, checks):
    """Each database is read through by a sandboxed engine; one that is damaged is named, and nothing is changed."""
    cli.init("dbs")
    data = cli.path("dbs")
    folder = os.path.join(data, "db")
    main = os.path.join(folder, os.listdir(folder)[0], "main.db")
    _, found, _ = cli.findings(data)
    checks.that("an unused database is not read", not any("read through" in f["message"] for f in found), found)
    fill(main)
    before = open(main, "rb").read()
    status, found, ok = cli.findings(data)
    checks.equal("a whole database is well", (status, ok), (0, True))
    checks.that("and was read through", any("1 read through and whole" in f["message"] for f in found), found)
    checks.that("and not changed", open(main, "rb").read() == before)
    quick = cli.run("doctor", "--data", data, "--quick")
    checks.that("--quick reads none", quick.returncode == 0 and "read through" not in quick.stdout, quick.stdout)
    relative = subprocess.run([cli.binary, "doctor", "--data", "dbs"], cwd=cli.dir, text=True, capture_output=True, env=CLEAN_ENV, timeout=60)
    checks.that("a relative path does as well", "1 read through" in relative.stdout, relative.stdout)

    db = sqlite3.connect(main)
    db.execute("UPDATE child SET p = 77 WHERE a = 5")
    db.commit()
    db.close()
    status, found, _ = cli.findings(data, "note")
    checks.that("rows that point nowhere are a note", status == 0 and any("point nowhere" in f["message"] for f in found), found)

    def refill():
        for end in ("", "-wal", "-shm"):
            if os.path.exists(main + end):
                os.remove(main + end)
        fill(main)

    for what, offset, junk in (("a page", 20 * 4096, b"\x5a" * 8192), ("the header", 0, b"\x5a" * 100), ("an index", 5 * 4096, b"\x5a" * 4096)):
        refill()
        with open(main, "r+b") as f:
            f.seek(offset)
            f.write(junk)
        before = open(main, "rb").read()
        status, found, _ = cli.findings(data, "bad")
        checks.that(f"damage to {what} is found", status == 1 and any(f["check"] == "databases" and "acme/main" in f["message"] for f in found), found)
        checks.that(f"{what}: the file stays as it was", open(main, "rb").read() == before)


def main():
    checks = Checks()
    cli = Cli(binary_argument(), checks)
    try:
        check_doctor(cli, checks)
        check_doctor_databases(cli, checks)
        printed = "".join(cli.seen)
        checks.that("no secret was printed", PASSWORD not in printed and not TOKEN.search(printed))
    finally:
        cli.close()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
