#!/usr/bin/env python3
"""The commands as real processes: what they print, how they end, what they leave on disk, and that secrets stay where they belong.
Usage: test_cli.py PATH-OF-HOLDFAST"""
import json
import os
import pty
import re
import select
import socket
import sqlite3
import stat
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from cli import CLEAN_ENV, PASSWORD, TOKEN, Cli, snapshot
from holdfast import PASSWORD as SERVER_PASSWORD
from holdfast import Checks, Server, binary_argument

def check_init(cli, checks):
    made = cli.init("first")
    checks.equal("init ends well", made.returncode, 0)
    answer = json.loads(made.stdout)
    checks.equal("init --json has these members", sorted(answer), ["database", "namespace", "token", "url"])
    checks.equal("init --json names the namespace", (answer["namespace"], answer["database"]), ("acme", "main"))
    checks.equal("init --json gives the database's address", answer["url"], "http://127.0.0.1:8080/v1/db/acme/main")
    checks.that("the token has its published form", TOKEN.fullmatch(answer["token"]), answer["token"])
    checks.equal("one line is printed", made.stdout.count("\n"), 1)
    for folder, _, files in os.walk(cli.path("first")):
        checks.equal(f"{folder} is private", stat.S_IMODE(os.lstat(folder).st_mode), 0o700)
        for name in files:
            checks.equal(f"{name} is private", stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode), 0o600)
    checks.equal("nothing temporary stays", [n for n in os.listdir(cli.path("first")) if n not in ("audit.head", "audit.key", "audit.pub", "control.db", "control.gen", "db", "lock")], [])
    checks.equal("main has its directory", len(os.listdir(os.path.join(cli.path("first"), "db"))), 1)
    control = sqlite3.connect(os.path.join(cli.path("first"), "control.db"))
    dump = "\n".join(control.iterdump())
    control.close()
    checks.that("the password is stored as argon2id", "$argon2id$" in dump)
    checks.that("neither password nor token is stored", PASSWORD not in dump and answer["token"] not in dump and answer["token"][20:] not in dump)
    checks.that("the owner owns the namespace", re.search(r"namespace_member.*'owner'", dump))
    return answer


def check_init_refusals(cli, checks):
    before = snapshot(cli.path("first"))
    again = cli.init("first", "other")
    checks.equal("a second init fails", again.returncode, 1)
    checks.that("and says why", "in use already" in again.stderr and "nothing was changed" in again.stderr, again.stderr)
    checks.equal("and touches nothing", snapshot(cli.path("first")), before)
    os.mkdir(cli.path("foreign"))
    with open(os.path.join(cli.path("foreign"), "letter.txt"), "w") as f:
        f.write("dear")
    before = snapshot(cli.path("foreign"))
    checks.equal("a directory with other files is refused", cli.init("foreign").returncode, 1)
    checks.equal("and stays as it was", snapshot(cli.path("foreign")), before)
    rows = [
        (["--email", "ada", "--namespace", "acme"], PASSWORD, "--email must look like"),
        (["--email", "a@b", "--namespace", "Acme"], PASSWORD, "--namespace may hold only"),
        (["--email", "a@b", "--namespace", "oauth"], PASSWORD, '--namespace "oauth" is reserved'),
        (["--email", "a@b", "--namespace", "acme"], "short", "the password must"),
        (["--email", "a@b", "--namespace", "acme"], "", "the password must"),
        (["--email", "a@b", "--namespace", "acme"], "x" * 300, "password is longer than"),
        (["--email", "a@b"], PASSWORD, "--namespace SLUG is missing"),
        (["--email", "a@b", "--namespace", "acme", "--password", PASSWORD], "", "there is no option --password"),
    ]
    for words, password, says in rows:
        done = cli.run("init", "--data", cli.path("never"), *words, input=password + "\n", secret=True)
        checks.equal(f"init {words} is a usage error", done.returncode, 2)
        checks.that(f"init {words} says {says}", says in done.stderr, done.stderr)
        checks.that(f"init {words} makes nothing", not os.path.exists(cli.path("never")))


def check_init_inputs(cli, checks):
    done = cli.run("init", "--json", env={"HOLDFAST_DATA": cli.path("env"), "HOLDFAST_EMAIL": "a@b", "HOLDFAST_NAMESPACE": "env-ns",
                                          "HOLDFAST_PASSWORD": PASSWORD, "HOLDFAST_PUBLIC_URL": "https://db.example.com/"}, secret=True)
    checks.equal("every option works as a variable", done.returncode, 0)
    checks.equal("public-url is used", json.loads(done.stdout)["url"], "https://db.example.com/v1/db/env-ns/main")
    done = cli.run("init", "--data", cli.path("text"), "--email", "a@b", "--namespace", "acme", input=PASSWORD + "\nmore\n", secret=True)
    checks.equal("without --json it speaks to a person", done.returncode, 0)
    checks.equal("and shows the token once", len(TOKEN.findall(done.stdout)), 1)
    checks.that("and not the password", PASSWORD not in done.stdout + done.stderr)
    os.mkdir(cli.path("empty"), 0o755)
    checks.equal("an empty directory is taken", cli.init("empty").returncode, 0)
    checks.equal("and closed to others", stat.S_IMODE(os.stat(cli.path("empty")).st_mode), 0o700)
    leftovers = cli.path("leftovers")
    os.makedirs(os.path.join(leftovers, "init.tmp"))
    with open(os.path.join(leftovers, "init.tmp", "control.db"), "w") as f:
        f.write("half")
    checks.equal("what a crashed init left is no obstacle", cli.init("leftovers").returncode, 0)
    checks.that("and is gone", not os.path.exists(os.path.join(leftovers, "init.tmp")))


def check_init_terminal(cli, checks):
    """On a terminal the password is asked for twice and not shown."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(cli.binary, [cli.binary, "init", "--data", cli.path("tty"), "--email", "a@b", "--namespace", "acme"], CLEAN_ENV)
    shown = b""

    def until(wanted):
        nonlocal shown
        end = time.monotonic() + 20
        while wanted not in shown and time.monotonic() < end:
            if select.select([fd], [], [], 1)[0]:
                try:
                    shown += os.read(fd, 4096)
                except OSError:
                    break
        return wanted in shown

    checks.that("it asks", until(b"Password for the owner: "), shown)
    os.write(fd, PASSWORD.encode() + b"\n")
    checks.that("it asks again", until(b"The same again: "), shown)
    os.write(fd, PASSWORD.encode() + b"\n")
    checks.that("it is done", until(b"Start the server"), shown)
    checks.equal("it ends well", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    checks.that("the password was not echoed", PASSWORD.encode() not in shown)
    os.close(fd)


def check_init_killed(cli, checks):
    """SIGKILL at many moments: afterwards the directory is either whole or as good as empty."""
    ended = {"empty": 0, "whole": 0}
    began = time.monotonic()
    cli.init("timed")
    usual = time.monotonic() - began
    for round_ in range(20):
        path = cli.path(f"killed{round_}")
        proc = subprocess.Popen([cli.binary, "init", "--data", path, "--email", "a@b", "--namespace", "acme", "--json"], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN_ENV)
        proc.stdin.write(PASSWORD + "\n")
        proc.stdin.close()
        try:
            proc.wait(checks.random.uniform(0, 1.5 * usual))
        except subprocess.TimeoutExpired:
            proc.kill()
        proc.wait(20)
        proc.stdout.close()
        proc.stderr.close()
        if os.path.exists(os.path.join(path, "control.db")):
            ended["whole"] += 1
            done = cli.run("token", "create", "--data", path, "--namespace", "acme", "--role", "admin", "--database", "main", "--json", secret=True)
            checks.equal("a directory with control.db is whole", done.returncode, 0)
        else:
            ended["empty"] += 1
            done = cli.run("init", "--data", path, "--email", "a@b", "--namespace", "acme", "--json", input=PASSWORD + "\n", secret=True)
            checks.equal("a directory without one can be initialised", done.returncode, 0)
    print(f"init killed: {ended}")


def check_tokens(cli, checks, first):
    data = cli.path("first")
    create = ["token", "create", "--data", data, "--namespace", "acme"]
    before = time.time()
    done = cli.run(*create, "--role", "read", "--tables", "orders,customers", "--database", "main", "--expires-in", "30d", "--name", "report",
                   "--json", secret=True)
    checks.equal("token create ends well", done.returncode, 0)
    made = json.loads(done.stdout)
    checks.that("its token has the published form", TOKEN.fullmatch(made["token"]))
    checks.equal("its wishes are kept", [made[k] for k in ("role", "namespace", "database", "tableScope", "name")],
                 ["readonly", "acme", "main", ["customers", "orders"], "report"])
    expires = time.mktime(time.strptime(made["expiresAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    checks.that("it expires in 30 days", abs(expires - before - 30 * 86400) < 60, made["expiresAt"])
    plain = cli.run(*create, "--role", "admin", secret=True)
    checks.that("without --json the token alone is on standard output", TOKEN.fullmatch(plain.stdout.strip()), plain.stdout)
    checks.that("and how to end it on standard error", "holdfast token revoke tok_" in plain.stderr, plain.stderr)

    listed = json.loads(cli.run("token", "list", "--data", data, "--json").stdout)
    checks.equal("all three are listed", len(listed), 3)
    checks.that("masked", all("token" not in t and re.fullmatch(r"psql_live_\w{4}…\w{4}", t["preview"]) for t in listed), listed)
    mine = next(t for t in listed if t["id"] == made["id"])
    checks.equal("list tells the same as create", {k: v for k, v in made.items() if k != "token"}, mine)
    text = cli.run("token", "list", "--data", data, "--namespace", "acme").stdout
    checks.that("the text names every id", all(t["id"] in text for t in listed), text)
    checks.equal("another namespace is an error", cli.run("token", "list", "--data", data, "--namespace", "none").returncode, 1)

    turned = cli.run("token", "rotate", made["id"], "--data", data, "--overlap", "15m", "--json", secret=True)
    again = json.loads(turned.stdout)
    checks.that("token rotate prints another secret", TOKEN.fullmatch(again["token"]) and again["token"] != made["token"], turned.stderr)
    changed = {k for k in made if k != "token" and made[k] != again[k]}
    checks.equal("and changes nothing else", changed, {"preview", "overlapEndsAt"})
    bare = cli.run("token", "rotate", made["id"], "--data", data, "--overlap", "0", secret=True)
    checks.that("without --json the new secret alone is on standard output", TOKEN.fullmatch(bare.stdout.strip()), bare.stdout)
    checks.that("without an overlap nothing is said of one", "old secret" not in bare.stderr, bare.stderr)
    plainly = cli.run("token", "rotate", made["id"], "--data", data, secret=True)
    checks.that("else when it ends", "The old secret is good until 20" in plainly.stderr, plainly.stderr)
    for words, status, says in ((["tok_none"], 1, "there is no token tok_none"), ([made["id"], "--overlap", "8d"], 2, "--overlap must be between"), ([], 2, "the ID is missing")):
        done = cli.run("token", "rotate", "--data", data, *words)
        checks.that(f"token rotate {words}", done.returncode == status and says in done.stderr, done)

    generation = open(os.path.join(data, "control.gen"), "rb").read(8)
    revoked = cli.run("token", "revoke", made["id"], "--data", data)
    checks.equal("token revoke ends well", revoked.returncode, 0)
    checks.that("the generation moved", open(os.path.join(data, "control.gen"), "rb").read(8) != generation)
    checks.equal("it is no longer listed", made["id"] in cli.run("token", "list", "--data", data, "--json").stdout, False)
    everything = json.loads(cli.run("token", "list", "--data", data, "--all", "--json").stdout)
    checks.that("but with --all", next(t for t in everything if t["id"] == made["id"])["revokedAt"], everything)
    checks.equal("what is revoked is not rotated", cli.run("token", "rotate", "--data", data, made["id"]).returncode, 1)
    checks.equal("again is fine", cli.run("token", "revoke", "--data", data, made["id"]).returncode, 0)
    gone = cli.run("token", "revoke", "--data", data, "tok_none")
    checks.equal("an unknown id is an error", (gone.returncode, "there is no token tok_none" in gone.stderr), (1, True))
    rows = [
        (["--role", "owner"], 2, "--role must be admin, readwrite or readonly"),
        ([], 2, "--role ROLE is missing"),
        (["--role", "read", "--tables", "a,A"], 2, "--tables names a table a second time"),
        (["--role", "read", "--tables", "a,,b"], 2, "--tables has an empty entry"),
        (["--role", "read", "--expires-in", "soon"], 2, "--expires-in must be a time like"),
        (["--role", "read", "--expires-in", "0s"], 2, "--expires-in must be between"),
        (["--role", "read", "--database", "none"], 1, 'there is no database "none"'),
        (["--role", "read", "--name", "x" * 81], 2, "--name must be at most 80"),
        (["--role", "read", "--allow-address", "10.0.0.0/8,nowhere"], 2, "--allow-address must be an IP address or a network"),
        (["--role", "read", "--allow-address", "10.0.0.1/8"], 2, "no bits set behind its prefix"),
        (["--role", "read", "--role", "admin"], 2, "--role is given twice"),
        (["--rle", "read"], 2, "did you mean --role?"),
    ]
    for words, status, says in rows:
        done = cli.run(*create, *words, secret=True)
        checks.equal(f"token create {words} ends with {status}", done.returncode, status)
        checks.that(f"token create {words} says {says}", says in done.stderr, done.stderr)
    after = json.loads(cli.run("token", "list", "--data", data, "--all", "--json").stdout)
    checks.equal("refused wishes leave nothing", len(after), 3)
    return [first["token"], made["token"], again["token"], bare.stdout.strip(), plain.stdout.strip()]


def check_no_data(cli, checks):
    os.mkdir(cli.path("nothing"))
    for words in (["token", "list"], ["token", "revoke", "tok_1"], ["token", "create", "--namespace", "a", "--role", "read"]):
        done = cli.run(*words, "--data", cli.path("nothing"))
        checks.equal(f"{words} without data fails", done.returncode, 1)
        checks.that(f"{words} says what to do", "holdfast init" in done.stderr, done.stderr)
    checks.equal("and makes nothing", os.listdir(cli.path("nothing")), [])


def check_bad_arguments(cli, checks):
    """What a person can get wrong: an exit status that says whose fault it was, and words that name what was given."""
    data, file, pem = cli.path("first"), cli.path("a-file"), cli.path("empty.pem")
    open(file, "w").close()
    with open(pem, "w") as f:
        f.write("no certificate")
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    used = f"127.0.0.1:{taken.getsockname()[1]}"
    serve, token = ["serve", "--data", data, "--listen", "127.0.0.1:0"], ["token", "create", "--data", data, "--namespace", "acme", "--role", "admin"]
    init = ["init", "--email", "o@example.com", "--namespace", "acme", "--data"]
    cases = [
        # words, status, what standard error must say
        ([*serve, "--tls-cert", "/nope", "--tls-key", "/nope"], 2, ["--tls-cert /nope", "No such file"]),
        ([*serve, "--tls-cert", "/nope"], 2, ["--tls-cert /nope", "No such file"]),
        ([*serve, "--tls-cert", pem], 2, ["--tls-cert needs --tls-key FILE"]),
        ([*serve, "--tls-key", pem], 2, ["--tls-key needs --tls-cert FILE"]),
        ([*serve, "--tls-cert", pem, "--tls-key", pem], 2, [f"--tls-cert {pem}", "PEM"]),
        ([*serve, "--tls-cert", cli.dir, "--tls-key", pem], 2, [f"--tls-cert {cli.dir}", "directory"]),
        ([*serve, "--tls-cert", pem, "--tls-key", "/nope"], 2, ["--tls-key /nope", "No such file"]),
        ([*serve, "--public-url", "ftp://x"], 2, ["--public-url", "https://", '"ftp://x"']),
        ([*serve, "--public-url", "not a url"], 2, ["--public-url", '"not a url"']),
        ([*serve, "--public-url", "http://"], 2, ["--public-url", '"http://"']),
        ([*serve, "--public-url", ""], 2, ["--public-url"]),
        (["serve", "--listen", "127.0.0.1:0", "--data", "/proc/nope"], 1, ["the data directory /proc/nope"]),
        (["serve", "--listen", "127.0.0.1:0", "--data", file], 1, [f"the data directory {file}", "Not a directory"]),
        (["serve", "--listen", "127.0.0.1:0", "--data", file + "/x"], 1, [f"the data directory {file}/x", "Not a directory"]),
        (["serve", "--listen", "127.0.0.1:0", "--data", "/sys/nope"], 1, ["the data directory /sys/nope"]),
        (["serve", "--data", ""], 2, ["--data must not be empty"]),
        (["serve", "--data"], 2, ["--data needs a value"]),
        (["serve"], 2, ["--data DIR is missing", "HOLDFAST_DATA"]),
        (["serve", "--data", data, "--data", data], 2, ["--data is given twice"]),
        (["serve", "--dta", data], 2, ["did you mean --data?"]),
        (["serve", "extra"], 2, ['"extra"']),
        (["serve", "--data", data, "--listen", "127.0.0.1"], 2, ["--listen must be HOST:PORT", '"127.0.0.1"']),
        (["serve", "--data", data, "--listen", ":99999"], 2, ["--listen must be HOST:PORT"]),
        (["serve", "--data", data, "--listen", "127.0.0.1:abc"], 2, ["--listen must be HOST:PORT"]),
        (["serve", "--data", data, "--listen", ""], 2, ["--listen must be HOST:PORT"]),
        (["serve", "--data", data, "--listen", "256.1.1.1:80"], 2, ["--listen 256.1.1.1:80"]),
        (["serve", "--data", data, "--listen", "192.0.2.1:8080"], 1, ["--listen 192.0.2.1:8080"]),
        (["serve", "--data", data, "--listen", used], 1, [f"--listen {used}", "in use"]),
        ([*serve, "--statement-timeout", "0"], 2, ["--statement-timeout", "between 1 and 3600 seconds"]),
        ([*serve, "--statement-timeout", "-5s"], 2, ["--statement-timeout", '"-5s"']),
        ([*serve, "--statement-timeout", "3x"], 2, ["--statement-timeout", "90s, 15m"]),
        ([*serve, "--statement-timeout", "9" * 20 + "s"], 2, ["--statement-timeout"]),
        ([*serve, "--log-format", "xml"], 2, ["--log-format must be one of kv|json"]),
        ([*serve, "--log-level", "loud"], 2, ["--log-level must be one of"]),
        ([*serve, "--max-database-size", "10"], 2, ["--max-database-size", "65536"]),
        ([*serve, "--max-database-size", "10Q"], 2, ["--max-database-size", "64K"]),
        ([*serve, "--workers", "0"], 2, ["--workers", "between 1 and 64"]),
        ([*serve, "--workers", "many"], 2, ["--workers", '"many"']),
        ([*serve, "--max-connections", "1e9"], 2, ["--max-connections"]),
        ([*serve, "--trusted-proxies", "not an address"], 2, ["--trusted-proxies", '"not an address"']),
        ([*serve, "--cors-origins", "https://a.example,foo"], 2, ["--cors-origins", '"foo"', "https://app.example.com"]),
        (["serv"], 2, ['"serv"', 'did you mean "serve"?']),
        (["-x"], 2, ['"-x"', "holdfast --help"]),
        ([], 2, ["Usage: holdfast COMMAND"]),
        (["token"], 2, ["token create"]),
        (["token", "creat"], 2, ['did you mean "token create"?']),
        (["token", "create", "--data", data], 2, ["--namespace SLUG is missing"]),
        (token[:4] + ["--namespace", "acme"], 2, ["--role ROLE is missing", "readonly"]),
        (token[:4] + ["--namespace", "nope", "--role", "admin"], 1, ['no namespace "nope"']),
        (token[:4] + ["--namespace", "acme", "--role", "root"], 2, ["--role", '"root"']),
        ([*token, "--tables", ""], 2, ["--tables"]),
        ([*token, "--tables", "a,,b"], 2, ["--tables", "a,b,c"]),
        ([*token, "--database", "nope"], 1, ['no database "nope"']),
        ([*token, "--expires-in", "0"], 2, ["--expires-in", "between"]),
        ([*token, "--expires-in", "1y"], 2, ["--expires-in", "30d"]),
        ([*token, "--name", "x" * 100], 2, ["--name", "80 bytes"]),
        (["token", "list", "--data", file], 1, [file, "not a directory"]),
        (["token", "list", "--data", cli.path("nowhere")], 1, ["holdfast init"]),
        (["token", "revoke", "--data", data], 2, ["the ID is missing"]),
        (["token", "revoke", "--data", data, "tok_nope"], 1, ["no token tok_nope"]),
        (["token", "revoke", "--data", data, "a", "b"], 2, ['"b" is too much']),
        ([*init, data], 1, [data, "in use already"]),
        ([*init, "/proc/nope"], 1, ["the data directory /proc/nope"]),
        ([*init, file], 1, [f"the data directory {file}", "Not a directory"]),
        ([*init, file + "/x"], 1, [f"the data directory {file}/x", "Not a directory"]),
        (["init", "--data", cli.path("never"), "--email", "nope", "--namespace", "acme"], 2, ["--email", "name@example.com"]),
        (["init", "--data", cli.path("never"), "--email", "o@example.com", "--namespace", "A B"], 2, ["--namespace"]),
        (["doctor", "--jsn"], 2, ["did you mean --json?"]),
        (["doctor", "--data", data, "extra"], 2, ['"extra"']),
        (["version", "extra"], 2, ['"extra"']),
    ]
    before = snapshot(data)
    for words, status, says in cases:
        done = cli.run(*words, input=PASSWORD + "\n", secret=True)
        checks.that(f"{words} ends with {status}", done.returncode in (status if isinstance(status, tuple) else (status,)), (done.returncode, done.stderr))
        for text in says:
            checks.that(f"{words} says {text}", text in done.stderr, done.stderr)
        checks.that(f"{words} tells nothing of the program's inside", "system lib" not in done.stderr and "given address" not in done.stderr, done.stderr)
    checks.that("at least sixty cases", len(cases) >= 60, len(cases))
    taken.close()
    after = snapshot(data)
    checks.equal("no file came or went", set(after) - {os.path.join(data, n) for n in ("lock", "control.db-shm", "control.db-wal", "audit.head", "audit.key", "audit.pub")} - set(before), set())
    checks.that("nothing was made", not os.path.exists(cli.path("never")) and not os.path.exists(cli.path("nowhere")))


def check_many_at_once(cli, checks):
    """Commands beside each other wait for the write lock instead of failing."""
    procs = [subprocess.Popen([cli.binary, "token", "create", "--data", cli.path("env"), "--namespace", "env-ns", "--role", "read"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=CLEAN_ENV) for _ in range(8)]
    made = [p.communicate(timeout=60)[0].strip() for p in procs]
    checks.equal("eight creates at once all succeed", [p.returncode for p in procs], [0] * 8)
    checks.equal("and differ", len(set(made)), 8)


def check_beside_server(cli, checks):
    """Commands while a server runs on the directory: they work, at once, and leave the server alone."""
    with Server(cli.binary, env=CLEAN_ENV) as server:
        checks.equal("the server answers", server.query("SELECT 1").status, 200)
        server.query("CREATE TABLE notes(id INTEGER PRIMARY KEY, text)")
        made = server.mint("readonly")
        checks.equal("a token made beside the server opens at once", server.query("SELECT 1", token=made["token"]).status, 200)
        checks.equal("with its role", server.query("INSERT INTO notes(text) VALUES('x')", token=made["token"]).status, 403)
        server.run("token", "revoke", made["id"], "--data", server.data)
        checks.equal("and is refused as soon as it was revoked", server.query("SELECT 1", token=made["token"]).status, 401)
        bound = server.mint("readwrite", "--tables", "notes", "--database", "main")
        checks.equal("a bound token writes its table", server.query("INSERT INTO notes(text) VALUES('x')", token=bound["token"]).status, 200)
        again = cli.run("init", "--data", server.data, "--email", "a@b", "--namespace", "other", input=PASSWORD + "\n", secret=True)
        checks.equal("init beside the server is refused", again.returncode, 1)
        second = cli.run("serve", "--data", server.data, "--listen", "127.0.0.1:0")
        checks.equal("so is a second server", second.returncode, 1)
        checks.that("which names the directory and the first one's pid", f"{server.data} is in use by process {server.proc.pid}" in second.stderr, second.stderr)
        status, found, ok = cli.findings(server.data)
        checks.equal("doctor beside the server finds nothing wrong", (status, ok), (0, True))
        checks.that("names it", any(str(server.proc.pid) in f["message"] for f in found if f["check"] == "server"), found)
        checks.that("and reads its database through", any("1 read through and whole" in f["message"] for f in found), found)
        checks.equal("the server still writes", server.query("INSERT INTO notes(text) VALUES('y')").status, 200)
        checks.equal("everything is there", server.query("SELECT count(*) FROM notes").json["data"]["rows"], [[2]])
        secrets = [server.token, made["token"], bound["token"]]
        for pid in [server.proc.pid, *server.children()]:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    seen = f.read()
                checks.that(f"no secret in {name} of process {pid}", not any(s.encode() in seen for s in secrets))
        checks.equal("it ends well", server.stop(), 0)
        listed = {t["id"]: t for t in json.loads(cli.run("token", "list", "--data", server.data, "--all", "--json").stdout)}
        checks.that("the last use of a token is known afterwards", listed[bound["id"]]["lastUsedAt"], listed[bound["id"]])
        checks.that("its log holds no secret", not any(s in server.log() for s in [*secrets, SERVER_PASSWORD]))
        status, found, ok = cli.findings(server.data)
        checks.equal("and leaves a whole directory", (status, ok), (0, True))


def check_help(cli, checks):
    overview = cli.run("--help")
    checks.equal("--help ends well", overview.returncode, 0)
    commands = re.findall(r"^  (\w+(?: [\w-]+)?)  ", overview.stdout, re.M)
    checks.that("the overview lists the commands", {"serve", "init", "token create", "token list", "token rotate", "token revoke", "doctor", "version"} <= set(commands), commands)
    checks.that("the zygote is not for people", "zygote" not in overview.stdout)
    for command in commands:
        shown = cli.run(*command.split(), "--help")
        checks.equal(f"{command} --help ends well", shown.returncode, 0)
        checks.equal(f"{command} --help says the same as help {command}", cli.run("help", *command.split()).stdout, shown.stdout)
        for option in re.findall(r"^  --([a-z-]+)", shown.stdout, re.M):
            checks.that(f"{command} names the variable of --{option}", "HOLDFAST_" + option.upper().replace("-", "_") in shown.stdout)
        wrong = cli.run(*command.split(), "--frobnicate-all")
        checks.equal(f"{command} refuses unknown options", (wrong.returncode, wrong.stdout), (2, ""))
    rows = [
        ([], "Usage: holdfast COMMAND"),
        (["tokn"], 'did you mean "token"?'),
        (["token", "creat"], 'did you mean "token create"?'),
        (["token"], "token revoke"),
        (["ini"], 'did you mean "init"?'),
        (["xyzzy"], 'there is no command "xyzzy"'),
        (["init", "--dta", "x"], "did you mean --data?"),
        (["init", "extra"], '"extra" is not understood here'),
        (["version", "--json", "--json"], "--json is given twice"),
    ]
    for words, says in rows:
        done = cli.run(*words)
        checks.equal(f"{words} is a usage error", (done.returncode, done.stdout), (2, ""))
        checks.that(f"{words} says {says}", says in done.stderr, done.stderr)
    for words in (["help", "token"], ["token", "--help"], ["token", "help"]):
        done = cli.run(*words)
        checks.that(f"{words} lists the group", done.returncode == 0 and "token revoke" in done.stdout and "init" not in done.stdout, done)
    versions = json.loads(cli.run("version", "--json").stdout)
    checks.equal("version names its parts", sorted(versions), ["holdfast", "libevent", "openssl", "sqlite"])
    checks.equal("version and --version agree", cli.run("--version").stdout, cli.run("version").stdout)
    checks.that("SQLite is the pinned one", versions["sqlite"] in cli.run("version").stdout)
    full = open("/dev/full", "w")
    done = subprocess.run([cli.binary, "version"], stdout=full, stderr=subprocess.PIPE, text=True, env=CLEAN_ENV)
    full.close()
    checks.equal("output that cannot be written is a failure", done.returncode, 1)


def main():
    checks = Checks()
    cli = Cli(binary_argument(), checks)
    try:
        first = check_init(cli, checks)
        check_init_refusals(cli, checks)
        check_init_inputs(cli, checks)
        check_init_terminal(cli, checks)
        check_init_killed(cli, checks)
        secrets = check_tokens(cli, checks, first)
        check_no_data(cli, checks)
        check_bad_arguments(cli, checks)
        check_many_at_once(cli, checks)
        check_beside_server(cli, checks)
        check_help(cli, checks)
        everything = "".join(cli.seen)
        checks.that("no secret was printed anywhere else", not any(s in everything for s in [PASSWORD, *secrets]))
        checks.equal("no token at all was", TOKEN.findall(everything), [])
    finally:
        cli.close()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
