#!/usr/bin/env python3
"""Start, stop and everything that dies in between: first start, second server, SIGTERM, SIGKILL, killed engines and zygote,
timeouts, damaged files. Usage: test_lifecycle.py PATH-OF-HOLDFAST"""
import http.client
import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from beside import beside
from holdfast import Checks, Server, binary_argument, until

HANG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def first_start(checks, binary):
    s = Server(binary)
    s.start()
    shown = []
    for line in s.proc.stdout:
        shown.append(line.strip())
        if line.lstrip().startswith("curl "):
            break
    text = "\n".join(shown)
    password, token = (re.search(rf"^{k}\s+(\S+)$", text, re.M) for k in ("password", "token"))
    checks.that("the welcome shows a password and a token", password and token, text)
    s.secrets += [password[1], token[1]]
    ran = subprocess.run(["bash", "-c", shown[-1]], text=True, capture_output=True, timeout=60)
    checks.that("the curl line works when pasted", '"success":true' in ran.stdout, ran)
    s.token = token[1]
    checks.that("neither is in the log", password[1] not in s.log() and token[1] not in s.log())
    checks.that("the directory is the owner's alone", oct(os.stat(s.data).st_mode)[-3:] == "700")
    other = subprocess.run([binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0"], text=True, capture_output=True, timeout=60)
    checks.that("a second server is refused and told the holder's pid", other.returncode != 0 and str(s.proc.pid) in other.stderr, other)
    checks.equal("the first one goes on", s.call("GET", "/v1/me").status, 200)
    checks.equal("SIGTERM ends it well", s.stop(), 0)
    s.start()
    checks.equal("the token works after a restart", s.call("GET", "/v1/me").status, 200)
    proc = s.proc
    proc.send_signal(signal.SIGTERM)
    checks.equal("the second start shows no secret", proc.stdout.read(), "")
    checks.equal("and ends well", s.stop(), 0)
    s.args = ["--public-url", "https://db.example.com"]
    s.start()
    checks.equal("the public address is in the API's description", s.call("GET", "/openapi.json").json["servers"], [{"url": "https://db.example.com"}])
    s.stop()
    s.keep_log()
    shutil_rmtree(s.dir)


def shutil_rmtree(path):
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def misuse(checks, binary):
    s = Server(binary)
    os.makedirs(s.data)
    with open(os.path.join(s.data, "precious"), "w") as f:
        f.write("x")
    refused = s.run("serve", "--data", s.data, "--listen", "127.0.0.1:0", check=False)
    checks.that("a directory with other files is refused", refused.returncode != 0 and os.listdir(s.data) == ["precious"], (refused, os.listdir(s.data)))
    shutil_rmtree(s.data)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = s.run("serve", "--data", s.data, "--listen", f"127.0.0.1:{taken.getsockname()[1]}", check=False)
    checks.that("an address in use is refused with a sentence", refused.returncode != 0 and "in use" in refused.stderr, refused)
    checks.that("and leaves no directory whose password nobody saw", not os.path.exists(s.data), refused)
    for args in (["--tls-cert", "/nope"], ["--tls-cert", "/nope", "--tls-key", "/nope"], ["--listen", "nonsense"], ["--statement-timeout", "x"], ["--no-such"],
                 ["--listen", "192.0.2.1:0"], ["--listen", "no.such.host.invalid:0"], ["--trusted-proxies", "foo"], ["--cors-origins", "foo"],
                 ["--tls-cert", __file__, "--tls-key", __file__]):
        base = ["serve", "--data", s.data] + ([] if "--listen" in args else ["--listen", "127.0.0.1:0"])
        refused = s.run(*base, *args, check=False)
        checks.that(f"serve {shlex.join(args)} is refused and told why", refused.returncode != 0 and args[0] in refused.stderr, refused)
        checks.that(f"serve {shlex.join(args)} makes nothing", not os.path.exists(s.data))
    shutil_rmtree(s.dir)


def timeouts(checks, s):
    began = time.monotonic()
    a = s.query(HANG)
    took = time.monotonic() - began
    checks.equal("a statement past the deadline", (a.status, a.json["code"]), (504, "query_timeout"))
    checks.that("ends soon after it", took < 1 + 0.7 + 2, took)
    s.query("CREATE TABLE t(a)")
    a = s.query("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
    checks.that("a write past the deadline", a.status in (504, 507), a)
    checks.equal("leaves nothing", s.query("SELECT count(*) FROM t").json["data"]["rows"], [[0]])
    a = s.batch(["INSERT INTO t VALUES(1)", HANG], transaction=True)
    checks.equal("a batch past the deadline", (a.status, s.query("SELECT count(*) FROM t").json["data"]["rows"]), (504, [[0]]))
    results = []
    threads = [threading.Thread(target=lambda: results.append(s.query(HANG).status)) for _ in range(3)]
    for t in threads:
        t.start()
    quick = [s.query("SELECT 1").status for _ in range(5)] + [s.query("INSERT INTO t VALUES(2)").status]
    for t in threads:
        t.join()
    checks.equal("neighbours of slow statements are served", (set(quick), set(results)), ({200}, {504}))


def gone_client(checks, s):
    """A client that hangs up has its statement interrupted, long before the deadline."""
    with socket.create_connection(("127.0.0.1", s.port)) as c:
        body = ('{"sql":"%s"}' % HANG).encode()
        c.sendall(b"POST /v1/db/acme/main/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token.encode() +
                  b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        checks.that("the statement runs", until(lambda: open_requests(s) >= 2), open_requests(s))
    checks.that("it ends when its client has gone", until(lambda: open_requests(s) == 1, 5), open_requests(s))


def open_requests(s):
    return int(re.search(r"^holdfast_requests_open (\d+)$", s.call("GET", "/metrics").data.decode(), re.M)[1])


def kill_under_call(s, db):
    """Kills the engine of a database while a statement runs in it; the statement's answer."""
    known, answers = set(s.children("hf-engine")), []
    t = threading.Thread(target=lambda: answers.append(s.query(HANG, db=db)))
    t.start()
    until(lambda: not t.is_alive() or (open_requests(s) >= 2 and set(s.children("hf-engine")) - known))
    for pid in set(s.children("hf-engine")) - known:
        os.kill(pid, signal.SIGKILL)
    t.join()
    return answers[0]


def killed_parts(checks, s):
    s.call("POST", "/v1/databases", {"slug": "mortal"})
    s.query("CREATE TABLE kept(a)", db="mortal")
    for n in range(2):
        s.query("INSERT INTO kept VALUES(?)", [n], db="mortal")
        for pid in s.children("hf-engine"):
            os.kill(pid, signal.SIGKILL)  # idle: nobody's call is lost
        until(lambda: not s.children("hf-engine"))
        checks.equal("every acknowledged write is there", s.query("SELECT a FROM kept ORDER BY 1", db="mortal").json.get("data", {}).get("rows"),
                     [[i] for i in range(n + 1)])
    s.call("POST", "/v1/databases", {"slug": "mortal2"})
    answer = kill_under_call(s, "mortal2")
    checks.equal("the call whose engine died", (answer.status, answer.json["code"]), (500, "worker_crashed"))
    checks.equal("and the next one", s.query("SELECT 1", db="mortal2").status, 200)
    zygote = s.children("hf-zygote")
    os.kill(zygote[0], signal.SIGKILL)
    checks.that("after the zygote died another one starts", until(lambda: s.children("hf-zygote") not in ([], zygote)), s.children("hf-zygote"))
    checks.that("and engines start again", until(lambda: s.query("SELECT count(*) FROM kept", db="mortal").status == 200))
    checks.equal("with every write", s.query("SELECT count(*) FROM kept", db="mortal").json["data"]["rows"], [[2]])


def breaker(checks, s):
    for slug in ("fragile", "sturdy"):
        s.call("POST", "/v1/databases", {"slug": slug})
    s.query("SELECT 1", db="sturdy")
    answers = [kill_under_call(s, "fragile") for _ in range(3)]
    checks.equal("three crashes", [(a.status, a.json["code"]) for a in answers], [(500, "worker_crashed")] * 3)
    last = s.query("SELECT 1", db="fragile")
    checks.equal("open the breaker", (last.status, last.json["code"]), (503, "unavailable"))
    checks.that("which says when to come back", 0 < int(last.headers.get("retry-after", 0)) <= 60, last.headers)
    checks.equal("of that database alone", s.query("SELECT 1", db="sturdy").status, 200)


def damaged_file(checks, s):
    s.call("POST", "/v1/databases", {"slug": "broken"})
    s.query("CREATE TABLE t(a)", db="broken")
    s.query("INSERT INTO t VALUES(zeroblob(100000))", db="broken")
    made = s.call("GET", "/v1/databases/broken").json["data"]["id"]
    s.stop()
    with open(os.path.join(s.data, "db", made, "main.db"), "r+b") as f:
        f.seek(0)
        f.write(b"\xff" * 4096)
    s.start()
    answers = [s.query("SELECT count(*) FROM t", db="broken") for _ in range(5)]
    checks.equal("a damaged database", {(a.status, a.json["code"]) for a in answers}, {(503, "corrupt")})
    checks.equal("harms no other", s.query("SELECT 1").status, 200)


def durable(checks, s):
    """Writers run until the server is killed; what was acknowledged must be there, once."""
    s.query("CREATE TABLE IF NOT EXISTS log(n INTEGER PRIMARY KEY)")
    for how in (signal.SIGKILL, signal.SIGTERM):
        acknowledged = []
        base = s.query("SELECT coalesce(max(n), 0) FROM log").json["data"]["rows"][0][0]

        def writer(w):
            numbers = itertools.count(base + w + 1, 8)

            def write():
                n = next(numbers)
                if s.query("INSERT INTO log VALUES(?)", [n]).status == 200:
                    acknowledged.append(n)
            return write
        with beside(*[writer(w) for w in range(8)], ended_by=(OSError, http.client.HTTPException)):
            until(lambda: len(acknowledged) > 200)
            s.proc.send_signal(how)
            status = s.proc.wait(40)
        checks.equal(f"{how.name}: exit status", status, 0 if how == signal.SIGTERM else -how)
        s.proc.stdout.close()
        s.start()
        kept = {r[0] for r in s.query("SELECT n FROM log WHERE n > ? ORDER BY 1 LIMIT 10000", [base]).json["data"]["rows"]}
        checks.that(f"{how.name}: {len(acknowledged)} acknowledged writes are there", set(acknowledged) <= kept, sorted(set(acknowledged) - kept)[:10])
        checks.that(f"{how.name}: at most one unanswered write a writer", len(kept - set(acknowledged)) <= 8, len(kept - set(acknowledged)))


def drain(checks, s):
    """SIGTERM while a statement runs: it is finished and answered, then the server leaves; a second signal does not wait."""
    answers = []
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
    t = threading.Thread(target=lambda: answers.append(s.query(slow)))
    t.start()
    until(lambda: open_requests(s) >= 2 or not t.is_alive())
    status = s.stop()
    t.join()
    checks.equal("what runs is answered", (answers[0].status, answers[0].json["data"]["rows"]), (200, [[300000]]))
    checks.equal("and then it leaves", status, 0)
    s.start()
    t = threading.Thread(target=lambda: ignore(lambda: s.query(HANG, timeout=30)))
    t.start()
    until(lambda: open_requests(s) >= 2)
    pid, children, before = s.proc.pid, s.children(), s.log().count("event=stopping")
    os.kill(pid, signal.SIGTERM)
    until(lambda: s.log().count("event=stopping") > before)
    os.kill(pid, signal.SIGTERM)
    checks.that("a second signal ends it at once", s.proc.wait(5) != 0)
    t.join()
    checks.that("its children leave too", until(lambda: not any(os.path.exists(f"/proc/{c}/comm") and alive(c) for c in children)), children)
    s.proc.stdout.close()
    s.start()
    checks.equal("and it starts again", s.query("SELECT 1").status, 200)


class SlowStop:
    """SIGTERM while a statement runs that would take for ever: after 25 s it is interrupted, answered, and the server leaves. The
    wait passes beside the other parts."""

    def __init__(self, checks, binary):
        self.checks, self.answers = checks, []
        self.server = s = Server(binary, args=["--statement-timeout", "100s"])
        s.init()
        s.start()
        self.caller = threading.Thread(target=lambda: self.answers.append(s.query(HANG, timeout=90)))
        self.caller.start()
        until(lambda: open_requests(s) >= 2)
        s.proc.send_signal(signal.SIGTERM)
        until(lambda: "event=stopping" in s.log())
        s.local = threading.local()  # connections at rest were ended
        checks.equal("who balances load is told", [(a.status, a.json["status"]) for a in (s.call("GET", "/readyz"), s.call("GET", "/healthz"))],
                     [(503, "draining"), (200, "ok")])
        for a in (s.query("SELECT 1"), s.call("GET", "/v1/me"), s.call("GET", "/v1/me", token="none")):
            checks.equal("what comes now is sent elsewhere", [a.status, a.json["code"], a.headers.get("retry-after"), a.headers.get("connection")],
                         [503, "unavailable", "5", "close"])

    def end(self):
        s, checks = self.server, self.checks
        status = s.proc.wait(60)
        s.proc.stdout.close()
        self.caller.join(60)
        checks.that("what runs too long is interrupted", "event=interrupting" in s.log() and "event=stop_gave_up" not in s.log(), s.log()[-2000:])
        checks.equal("its caller is told", [(a.status, a.json["code"]) for a in self.answers], [(503, "unavailable")])
        checks.equal("and the server ends well", status, 0)
        s.keep_log()
        shutil_rmtree(s.dir)


def tls(checks, binary):
    """HTTPS, and SIGHUP reads the certificate anew without a restart."""
    s = Server(binary)
    cert, key = os.path.join(s.dir, "cert.pem"), os.path.join(s.dir, "key.pem")

    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key,
                        "-out", cert, "-subj", f"/CN={name}"], check=True, capture_output=True, timeout=60)

    def served():
        return ssl.get_server_certificate(("127.0.0.1", s.port))

    make("first")
    s.args = ["--tls-cert", cert, "--tls-key", key]
    s.init()
    s.start()
    with open(cert) as f:
        first = f.read()
    checks.equal("the certificate is served", served().split(), first.split())
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    conn = http.client.HTTPSConnection("127.0.0.1", s.port, context=unchecked, timeout=30)
    conn.request("GET", "/v1/me", headers={"Authorization": f"Bearer {s.token}"})
    checks.equal("and the API behind it", conn.getresponse().status, 200)
    conn.close()
    make("second")
    s.proc.send_signal(signal.SIGHUP)
    checks.that("SIGHUP brings the new one", until(lambda: served().split() != first.split()))
    with open(cert, "w") as f:
        f.write("nonsense")
    second = served()
    s.proc.send_signal(signal.SIGHUP)
    checks.that("a broken file is reported", until(lambda: "event=tls_reload_failed" in s.log()))
    checks.equal("and the old one stays", served(), second)
    checks.equal("it ends well", s.stop(), 0)
    s.keep_log()
    shutil_rmtree(s.dir)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def few_descriptors(checks, binary):
    s = Server(binary)
    s.init()
    script = os.path.join(s.dir, "limited")
    for hard, starts in ((3000, True), (1000, False)):
        with open(script, "w") as f:
            f.write(f'#!/bin/sh\nulimit -n {hard}\nexec {shlex.quote(binary)} "$@"\n')
        os.chmod(script, 0o755)
        s.binary = script
        if starts:
            s.start()
            checks.equal(f"{hard} open files: it serves", s.query("SELECT 1").status, 200)
            checks.equal(f"{hard} open files: and ends well", s.stop(), 0)
            checks.that("fewer connections are told in the log", re.search(r"event=caps_lowered open_files=3000 needed=16512 connections=\d+ engines=\d+", s.log()), s.log())
        else:
            ran = subprocess.run([script, "serve", "--data", s.data, "--listen", "127.0.0.1:0"], text=True, capture_output=True, timeout=60)
            checks.that(f"{hard} open files: it refuses and says what would do", ran.returncode != 0 and "needs 16512" in ran.stderr and "LimitNOFILE" in ran.stderr, ran)
            ran = subprocess.run([script, "doctor", "--data", s.data], text=True, capture_output=True, timeout=60)
            checks.that("doctor says the same number", "16512" in ran.stdout + ran.stderr, ran)
    s.keep_log()
    shutil.rmtree(s.dir, ignore_errors=True)


def ignore(call):
    try:
        call()
    except Exception:
        pass


def main():
    checks = Checks()
    binary = binary_argument()
    slow_stop = SlowStop(checks, binary)
    checks.part(first_start, checks, binary)
    checks.part(misuse, checks, binary)
    checks.part(tls, checks, binary)
    checks.part(few_descriptors, checks, binary)
    with Server(binary, args=["--statement-timeout", "1s"]) as s:
        for part in (timeouts, gone_client, killed_parts, breaker, damaged_file, durable):
            checks.part(part, checks, s)
    with Server(binary, args=["--statement-timeout", "20s"]) as s:
        checks.part(drain, checks, s)
    checks.part(slow_stop.end)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
