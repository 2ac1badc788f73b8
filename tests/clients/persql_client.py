"""A client in the manner of the persql package for Python, over httpx: its methods, its names in snake_case, rows as dicts, its
exceptions. The package itself cannot be had from the registry; what is written here is what its documentation says.

Paths that the documentation does not show are those of the server's own /openapi.json."""
import re
import time
import urllib.parse

import httpx


class PerSQLError(Exception):
    """`.status`, `.args[0]` the message, `.detail` of SQL errors, `.body` all of the answer."""

    def __init__(self, status, body):
        super().__init__(body.get("error") or f"HTTP {status}")
        self.status, self.detail, self.body = status, snake(body.get("errorDetail")), body


class ApprovalRequiredError(PerSQLError):
    """A 403 whose body has the keys of an approval."""

    def __init__(self, status, body):
        super().__init__(status, body)
        self.approval_token, self.approval_url = body["approvalToken"], body["approvalUrl"]
        self.hits, self.expires_at = snake(body.get("hits")), body.get("expiresAt")


class RateLimitError(PerSQLError):
    retry_after_seconds = None


def snake(value):
    """The wire is camelCase; callers see snake_case."""
    if isinstance(value, dict):
        return {re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m[1].lower(), k): snake(v) for k, v in value.items()}
    return [snake(v) for v in value] if isinstance(value, list) else value


def wire(**values):
    """The other way round; what is not given is not sent."""
    return {re.sub(r"_([a-z])", lambda m: m[1].upper(), k): v for k, v in values.items() if v is not None}


def error_of(response, body):
    if response.status_code == 429:
        error = RateLimitError(429, body)
        error.retry_after_seconds = int(response.headers["Retry-After"])
        return error
    held = response.status_code == 403 and "approvalToken" in body
    return (ApprovalRequiredError if held else PerSQLError)(response.status_code, body)


class PerSQL:
    """`retries`: how often a 429, a 503 or a lost connection is tried again, after the seconds that Retry-After says."""

    def __init__(self, token, base_url, retries=0, transport=None, sleep=time.sleep):
        self.http = httpx.Client(base_url=base_url, timeout=60, transport=transport, headers={"Authorization": f"Bearer {token}"} if token else {})
        self.retries, self.sleep, self.last, self.handed_off = retries, sleep, None, None

    @classmethod
    def from_handoff(cls, token, base_url, **more):
        with cls(None, base_url) as stranger:
            got = snake(stranger.call("POST", "/v1/handoff/redeem", json={"token": token})["data"])
        client = cls(got.pop("token"), base_url, **more)
        client.handed_off = got
        return client

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.http.close()

    def send(self, method, path, **more):
        """Tries again what may be tried again: a lost answer only where a key makes the second time harmless."""
        harmless = method in ("GET", "PUT", "DELETE") or "Idempotency-Key" in more.get("headers", {})
        for left in range(self.retries, -1, -1):
            try:
                response = self.http.request(method, path, **more)
            except httpx.TransportError:
                if not left or not harmless:
                    raise
                continue
            if response.status_code not in (429, 503) or not left:
                return response
            self.sleep(int(response.headers.get("Retry-After", 1)))

    def call(self, method, path, **more):
        self.last = response = self.send(method, path, **more)
        try:
            body = response.json()
        except ValueError:
            body = {}
        if not response.is_success or not body.get("success"):
            raise error_of(response, body)
        return body

    def data(self, method, path, **more):
        return snake(self.call(method, path, **more)["data"])

    def database(self, name, db=None):
        return Database(self, *((name, db) if db else name.split("/")))

    def provision(self, subject, template=None):
        return self.data("POST", "/v1/users", json=wire(subject=subject, template=template))

    def create_database(self, slug, name=None):
        return self.data("POST", "/v1/databases", json=wire(slug=slug, name=name or slug))


def rows_of(result):
    return {**snake({k: v for k, v in result.items() if k not in ("rows", "columns")}), "data": [dict(zip(result["columns"], r)) for r in result["rows"]],
            "columns": result["columns"]}


def result_of(body):
    return {**rows_of(body["data"]), "meta": snake(body["meta"])}


class Database:
    def __init__(self, client, ns, db):
        self.client, self.name, self.path = client, f"{ns}/{db}", f"/v1/db/{ns}/{db}"
        self.branches, self.proposals, self.snapshots = Branches(self), Proposals(self), Snapshots(self)
        self.approval_rules, self.approvals = ApprovalRules(self), Approvals(self)

    def call(self, method, tail, **more):
        return self.client.call(method, f"{self.path}/{tail}", **more)

    def data(self, method, tail, **more):
        return self.client.data(method, f"{self.path}/{tail}", **more)

    def query(self, sql, params=None, idempotency_key=None, plan_key=None, plan_step=None):
        named = {"Idempotency-Key": idempotency_key, "Plan-Key": plan_key, "Plan-Step": plan_step}
        return result_of(self.call("POST", "query", json={"sql": sql, "params": params or []}, headers={k: v for k, v in named.items() if v}))

    def batch(self, statements, transaction=False):
        return [rows_of(r) for r in self.call("POST", "batch", json={"statements": statements, "transaction": transaction})["data"]]

    def get(self, verb, **params):
        return self.data("GET", verb, params=params)

    def tables(self):
        return self.get("tables")

    def schema(self):
        return self.get("schema")

    def explain(self, sql, params=None):
        return self.data("POST", "explain", json={"sql": sql, "params": params or []})

    def validate(self, sql, params=None):
        return self.data("POST", "validate", json={"sql": sql, "params": params or []})

    def describe(self):
        return self.get("describe")

    def describe_compact(self):
        return self.client.http.get(f"{self.path}/describe", params={"format": "compact"}).text

    def set_description(self, description, table=None, column=None):
        return self.data("PUT", "describe", json={"description": description, **wire(table=table, column=column)})

    def search(self, text, limit=None):
        return self.get("search", q=text, **wire(limit=limit))

    def doctor(self):
        return self.get("doctor")

    def query_log(self):
        return self.get("query-log")

    def create_session(self, user_id, email=None, expires_in=None):
        ns, db = self.name.split("/")
        return self.client.data("POST", "/v1/sessions", json=wire(namespace_slug=ns, database_slug=db, user_id=user_id, email=email, expires_in=expires_in))

    def as_tools(self):
        """Made on this side, from the schema: tools in two forms, and `run` for what a model answers with."""
        tools, run = [], {}
        for table in self.describe()["tables"]:
            name, columns = f"select_{table['table']}", {c["name"]: {"description": c["type"]} for c in table["columns"]}
            tools.append({"name": name, "description": table["description"] or f"Rows of {table['table']}", "input_schema": {"type": "object", "properties": columns}})
            run[name] = lambda given, table=table["table"]: self.query(
                f'SELECT * FROM "{table}"' + "".join(f' {"AND" if i else "WHERE"} "{c}" = ?' for i, c in enumerate(given)), list(given.values()))["data"]
        functions = [{"type": "function", "function": {**{k: t[k] for k in ("name", "description")}, "parameters": t["input_schema"]}} for t in tools]
        return {"anthropic": tools, "openai": functions, "run": lambda name, given: run[name](given)}


class Part:
    def __init__(self, db):
        self.db = db


class Branches(Part):
    @staticmethod
    def at(ref, tail=""):
        return f"branches/{urllib.parse.quote(ref, safe='')}{tail}"

    def list(self):
        return self.db.data("GET", "branches")

    def upsert(self, ref, ttl_days=None, expires_at=None, data=None):
        return self.db.data("PUT", self.at(ref), json=wire(ttl_days=ttl_days, expires_at=expires_at, data=data))

    def claim(self, ref=None, role=None, ttl_sec=None, purpose=None):
        return self.db.data("POST", "claim_branch", json=wire(ref=ref, role=role, ttl_sec=ttl_sec, purpose=purpose))

    def pin(self, ref, role=None, ttl_sec=None):
        return self.db.data("POST", self.at(ref, "/pin"), json=wire(role=role, ttl_sec=ttl_sec))

    def preview(self, ref):
        return self.db.data("GET", self.at(ref, "/preview"))

    def merge(self, ref, mode="schema"):
        return self.db.data("POST", self.at(ref, "/merge"), json={"mode": mode})

    def delete(self, ref):
        return self.db.data("DELETE", self.at(ref))


class Proposals(Part):
    def propose(self, sql, params=None, ttl_sec=None):
        return self.db.data("POST", "propose", json=wire(sql=sql, params=params or [], ttl_sec=ttl_sec))

    def apply(self, token, idempotency_key=None):
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return result_of(self.db.call("POST", "apply", json={"executionToken": token}, headers=headers))


class Snapshots(Part):
    def list(self):
        return self.db.data("GET", "snapshots")

    def create(self, label):
        return self.db.data("POST", "snapshots", json={"label": label})

    def restore(self, snapshot_id):
        return self.db.data("POST", "restore", json={"snapshotId": snapshot_id})

    def delete(self, snapshot_id):
        return self.db.data("DELETE", f"snapshots/{snapshot_id}")


class ApprovalRules(Part):
    def create(self, table_glob, action, note=None):
        return self.db.data("POST", "approval-rules", json=wire(table_glob=table_glob, action=action, note=note))

    def list(self):
        return self.db.data("GET", "approval-rules")

    def delete(self, rule_id):
        return self.db.data("DELETE", f"approval-rules/{rule_id}")


class Approvals(Part):
    def get(self, token):
        return self.db.data("GET", f"approvals/{token}")

    def poll(self, token, interval=2.0, timeout=600.0):
        """Until it is no longer pending; the last that was seen when `timeout` seconds are over."""
        ends = time.monotonic() + timeout
        while (seen := self.get(token))["status"] == "pending" and time.monotonic() < ends:
            self.db.client.sleep(interval)
        return seen

    def redeem(self, token):
        return result_of(self.db.call("POST", "redeem_approval", json={"approvalToken": token}))
