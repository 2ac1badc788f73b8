"""What every Python suite shares: a real server of its own on port 0, calls to it, and counted checks.

    with Server(binary) as s:
        status, answer = s.query("SELECT 1")

A server lives in a fresh directory, writes its log there and is ended (and only it) on leaving the block. Standard library alone."""
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PASSWORD = "a password that only tests use"


class Answer:
    """Status, headers (lower-case names), raw bytes; .json decodes them."""

    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data

    @property
    def json(self):
        return json.loads(self.data)

    def __iter__(self):
        return iter((self.status, self.json))

    def __repr__(self):
        return f"<{self.status} {self.data[:400]!r}>"


class Server:
    """`env` adds to the environment, `args` to the options of serve. The directory stays when keep=True."""

    def __init__(self, binary, args=(), env=None, namespace="acme", data=None):
        self.binary, self.args, self.namespace = os.path.abspath(binary), list(args), namespace
        self.env = dict(os.environ, **(env or {}))
        self.dir = tempfile.mkdtemp(prefix="holdfast-test-")
        self.data = data or os.path.join(self.dir, "data")
        self.log_path = os.path.join(self.dir, "log")
        self.proc = self.token = None
        self.secrets = [PASSWORD]
        self.local = threading.local()

    def __enter__(self):
        self.init()
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        self.keep_log()
        shutil.rmtree(self.dir, ignore_errors=True)

    def keep_log(self):
        """In a run of all suites: the log, and the secrets that must not be in it, for tests/e2e/last_secrets.py."""
        shared = os.environ.get("HOLDFAST_TEST_DIR")
        if not shared or not os.path.exists(self.log_path):
            return
        name = os.path.basename(self.dir)
        shutil.copy(self.log_path, os.path.join(shared, name + ".log"))
        with open(os.path.join(shared, name + ".secrets"), "w") as f:
            f.write("\n".join(self.secrets))

    def run(self, *args, input=None, check=True):
        """One command of the program, e.g. run("token", "create", …)."""
        return subprocess.run([self.binary, *args], text=True, input=input, capture_output=True, check=check, env=self.env, timeout=120)

    def init(self):
        made = self.run("init", "--data", self.data, "--email", "owner@example.com", "--namespace", self.namespace, "--json", input=PASSWORD + "\n")
        self.token = json.loads(made.stdout)["token"]
        self.secrets.append(self.token)

    def mint(self, role, *more, namespace=None):
        """A further token: {"id", "token", …}."""
        out = self.run("token", "create", "--data", self.data, "--namespace", namespace or self.namespace, "--role", role, "--json", *more)
        made = json.loads(out.stdout)
        self.secrets.append(made["token"])
        return made

    def start(self):
        with open(self.log_path, "a") as log:
            self.proc = subprocess.Popen([self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0", *self.args], text=True,
                                         stdout=subprocess.PIPE, stderr=log, env=self.env)
        line = next((l for l in self.proc.stdout if l.startswith("listening on ")), None)
        if line is None:
            raise RuntimeError(f"the server did not start (status {self.proc.wait(10)}):\n{self.log()}")
        self.port = int(line.strip().rsplit(":", 1)[1])

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        """SIGTERM and the exit status; SIGKILL after 40 s."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(40)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            status = self.proc.wait(10)
        self.proc.stdout.close()
        self.proc = None
        return status

    def kill(self):
        self.proc.kill()
        self.proc.wait(10)
        self.proc.stdout.close()
        self.proc = None

    def control(self, sql, values=(), write=False):
        """The rows of one statement in the server's control.db, behind its back; `write` for statements that change."""
        db = sqlite3.connect(f"file:{self.data}/control.db?mode=" + ("rw" if write else "ro"), uri=True, timeout=20)
        try:
            rows = db.execute(sql, values).fetchall()
            db.commit()
            return rows
        finally:
            db.close()

    def children(self, name=None):
        """pids below the server, breadth first; `name` filters by the process's short name (hf-engine, hf-zygote)."""
        found, todo = [], [self.proc.pid]
        while todo:
            parent = todo.pop(0)
            try:
                for task in os.listdir(f"/proc/{parent}/task"):
                    with open(f"/proc/{parent}/task/{task}/children") as f:
                        todo += [int(p) for p in f.read().split()]
            except OSError:
                continue
            found.append(parent)
        return [p for p in found[1:] if name is None or proc_name(p) == name]

    def connection(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(self, method, path, body=None, token=None, headers=None, timeout=60):
        """A body that is not bytes is sent as JSON. Connections are kept for each thread; a dead one is opened anew once."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        head = {"Authorization": f"Bearer {token or self.token}"}
        if data is not None:
            head["Content-Type"] = "application/json"
        head.update(headers or {})
        head = {k: v for k, v in head.items() if v is not None}
        conn = getattr(self.local, "conn", None)
        if conn is None or conn.port != self.port or conn.timeout != timeout:
            conn = self.local.conn = self.connection(timeout)
        try:
            conn.request(method, path, data, head)
            raw = conn.getresponse()
            answer = Answer(raw.status, {k.lower(): v for k, v in raw.getheaders()}, raw.read())
        except Exception:
            conn.close()
            self.local.conn = None
            raise
        return answer

    def db(self, verb, body=None, db="main", method="POST", **more):
        return self.call(method, f"/v1/db/{self.namespace}/{db}/{verb}", body, **more)

    def query(self, sql, params=None, db="main", **more):
        return self.db("query", {"sql": sql} if params is None else {"sql": sql, "params": params}, db, **more)

    def batch(self, statements, transaction=True, db="main", **more):
        listed = [{"sql": s} if isinstance(s, str) else s for s in statements]
        return self.db("batch", {"statements": listed, "transaction": transaction}, db, **more)


def proc_name(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def until(what, seconds=20):
    """What what() is as soon as that is true, or when the time is over: for states that nothing tells of."""
    end = time.monotonic() + seconds
    while True:
        seen = what()
        if seen or time.monotonic() > end:
            return seen
        time.sleep(0.002)


class Checks:
    """Counts; prints what failed, with both values. End a suite with sys.exit(checks.end())."""

    def __init__(self):
        self.passed = self.failed = 0
        self.seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        self.random = random.Random(self.seed)
        print(f"seed {self.seed}")

    def that(self, what, ok, seen=""):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what} {seen}", flush=True)
        return ok

    def equal(self, what, seen, wanted):
        return self.that(what, seen == wanted, f"\n     seen   {seen!r}\n     wanted {wanted!r}")

    def good(self, what, answer):
        """200 of a JSON route; its data."""
        ok = self.that(f"{what}: 200", answer.status == 200 and answer.json.get("success") is True, answer)
        data = answer.json.get("data") if ok else None
        return {} if data is None else data

    def refused(self, what, answer, status, code, pointer=None, text=""):
        """An error with this status and code, at this pointer, with this text in its sentence, where they are given; the body."""
        body = answer.json
        self.that(f"{what}: {status} {code} {pointer or ''} {text}".rstrip(),
                  answer.status == status and body.get("code") == code and (pointer is None or body.get("pointer") == pointer) and text in body.get("error", ""), answer)
        return body

    def part(self, run, *arguments):
        """Runs one part of a suite; what it did not expect is a failure, and the next part runs all the same."""
        try:
            run(*arguments)
        except Exception:
            self.that(getattr(run, "__name__", "part"), False, "\n" + traceback.format_exc())

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def binary_argument():
    """The path of the program: first argument of every suite."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} PATH-OF-HOLDFAST")
    return os.path.abspath(sys.argv[1])
