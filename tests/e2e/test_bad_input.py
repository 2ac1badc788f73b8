#!/usr/bin/env python3
"""Every field of every body, wrong in every way: a clear 4xx that names the field by JSON pointer, never a 5xx, nothing written.
The rows are generated from the tables below. Usage: test_bad_input.py PATH-OF-HOLDFAST"""
import itertools
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person
from routes import CALLS, routes

DB = "/v1/db/acme/main/"
INSERT = "INSERT INTO witness VALUES('written')"

# (method, path, a body that would be accepted, [(pointer, kinds that are accepted, required, null is accepted, longest)])
BODIES = [
    ("POST", DB + "query", {"sql": INSERT, "params": []},
     [("/sql", {"text"}, True, False, 100000), ("/params", {"array", "object"}, False, True, None)]),
    ("POST", DB + "batch", {"statements": [{"sql": INSERT, "params": []}], "transaction": True},
     [("/statements", {"array"}, True, False, None), ("/transaction", {"bool"}, False, True, None), ("/statements/0", {"object"}, True, False, None),
      ("/statements/0/sql", {"text"}, True, False, 100000), ("/statements/0/params", {"array", "object"}, False, True, None)]),
    ("POST", DB + "explain", {"sql": "SELECT 1", "params": []},
     [("/sql", {"text"}, True, False, 100000), ("/params", {"array", "object"}, False, True, None)]),
    ("POST", DB + "validate", {"sql": "SELECT 1", "params": []},
     [("/sql", {"text"}, True, False, None), ("/params", {"array", "object"}, False, True, None)]),
    ("PUT", DB + "describe", {"table": "witness", "column": "a", "description": "d"},
     [("/table", {"text"}, False, True, 1000), ("/column", {"text"}, False, True, 1000), ("/description", {"text"}, True, True, None)]),
    ("POST", "/v1/databases", {"name": "A name", "slug": "never-made"},
     [("/name", {"text"}, False, True, 200), ("/slug", {"text"}, False, True, 63)]),
]
WHY = [(f"/{name}", {"text"}, False, True, longest) for name, longest in (("reason", 2000), ("ticket", 200), ("agent", 200), ("model", 200))]
TTL = [("/ttlDays", {"int"}, False, True, None), ("/ttlSec", {"int"}, False, True, None), ("/expiresAt", {"text"}, False, True, 40)]
ROWS = [("/data", {"text"}, False, True, 20), ("/sampleRows", {"int"}, False, True, None), ("/seed", {"int"}, False, True, None), ("/masked", {"bool"}, False, True, None),
        ("/fromSnapshot", {"text"}, False, True, 64)]
FROM, NAMED = [("/fromRef", {"text"}, False, True, 64)], [("/name", {"text"}, False, True, 200), ("/region", {"text"}, False, True, 20)]
# The same of bodies that may be missing or are no SQL: their fields alone are gone through.
MORE = [
    ("POST", DB + "propose", {"sql": INSERT, "params": [], "ttlSec": 60, "reason": "r", "ticket": "t", "agent": "a", "model": "m"},
     [("/params", {"array", "object"}, False, True, None), ("/ttlSec", {"int"}, False, True, None), *WHY]),
    ("POST", DB + "propose", {"statements": [{"sql": INSERT, "params": []}], "transaction": True},
     [("/statements", {"array"}, False, False, None), ("/transaction", {"bool"}, False, True, None), ("/statements/0/sql", {"text"}, True, False, 100000)]),
    ("POST", DB + "apply", {"executionToken": "pmut_none"}, [("/executionToken", {"text"}, True, False, 200)]),
    ("POST", DB + "redeem_approval", {"approvalToken": "appr_none"}, [("/approvalToken", {"text"}, True, False, 200)]),
    ("POST", DB + "branches/none/merge", {"mode": "data", "tables": ["t"], "resolve": {}, "dryRun": True, "propose": True, "ttlSec": 60, "reason": "r", "ticket": "t", "agent": "a", "model": "m"},
     [("/mode", {"text"}, False, True, 20), ("/tables", {"array"}, False, True, None), ("/tables/0", {"text"}, True, False, 1000), ("/resolve", {"object"}, False, True, None),
      ("/dryRun", {"bool"}, False, True, None), ("/propose", {"bool"}, False, True, None), ("/ttlSec", {"int"}, False, True, None), *WHY]),
    ("PUT", DB + "branches/never", {"name": "n", "region": "auto", "ttlDays": 1, "ttlSec": 60, "expiresAt": "x", "fromRef": "main", "data": "sample", "sampleRows": 5, "seed": 1, "masked": True,
                                    "fromSnapshot": "snap_none"}, NAMED + TTL + FROM + ROWS),
    ("POST", DB + "claim_branch", {"ref": "never", "purpose": "p", "role": "read", "ttlDays": 1, "ttlSec": 60, "expiresAt": "x", "fromRef": "main", "data": "sample", "sampleRows": 5, "seed": 1,
                                   "masked": True, "fromSnapshot": "snap_none"},
     [("/ref", {"text"}, False, True, 64), ("/purpose", {"text"}, False, True, 200), ("/role", {"text"}, False, True, 20), *TTL, *FROM, *ROWS]),
    ("POST", DB + "fork", {"slug": "never", "name": "n", "region": "auto", "ttlDays": 1, "ttlSec": 60, "expiresAt": "x", "data": "sample", "sampleRows": 5, "seed": 1, "masked": True,
                           "fromSnapshot": "snap_none"}, [("/slug", {"text"}, False, True, 63), *NAMED, *TTL, *ROWS]),
    ("POST", DB + "branches/none/pin", {"role": "read", "ttlSec": 60}, [("/role", {"text"}, False, True, 20), ("/ttlSec", {"int"}, False, True, None)]),
    ("POST", "/v1/handoff/redeem", {"token": "phand_none"}, [("/token", {"text"}, True, False, 200)]),
    ("POST", DB + "approval-rules", {"tableGlob": "t", "when": "1", "action": "deny", "note": "n", "approvals": 1, "approverRole": "editor", "order": 1, "peopleOnly": True},
     [("/tableGlob", {"text"}, False, True, None), ("/when", {"text"}, False, True, None), ("/action", {"text"}, True, False, None), ("/note", {"text"}, False, True, None),
      ("/approvals", {"int"}, False, True, None), ("/approverRole", {"text"}, False, True, None), ("/order", {"int"}, False, False, None), ("/peopleOnly", {"bool"}, False, False, None)]),
    ("PUT", DB + "approval-rules", {"rules": [{"tableGlob": "t", "action": "deny"}]}, [("/rules", {"array"}, True, False, None), ("/rules/0", {"object"}, True, False, None),
                                                                                       ("/rules/0/action", {"text"}, True, False, None)]),
    ("POST", DB + "approval-rules/test", {"write": {"sql": INSERT}, "rules": [], "at": "2026-06-01T10:00:00.000Z", "tokenId": "tok_x", "role": "admin"},
     [("/tokenId", {"text"}, False, True, 200), ("/role", {"text"}, False, True, None), ("/write", {"object"}, True, False, None), ("/rules", {"array"}, False, True, None), ("/at", {"text"}, False, True, None), ("/write/sql", {"text"}, False, False, 100000)]),
    ("POST", DB + "approval-rules/replay", {"rules": [], "sinceMs": 0, "cursor": "1"}, [("/rules", {"array"}, True, False, None), ("/sinceMs", {"int"}, True, False, None),
                                                                                         ("/cursor", {"text"}, False, True, 40)]),
    ("POST", DB + "invariants", {"name": "never", "sql": "SELECT 1 WHERE 0", "note": "n"}, [("/name", {"text"}, True, False, None), ("/sql", {"text"}, True, False, None), ("/note", {"text"}, False, True, None)]),
    ("PUT", DB + "masks", {"masks": [{"table": "witness", "column": "a", "kind": "hash", "options": {}}]},
     [("/masks", {"array"}, True, False, None), ("/masks/0", {"object"}, True, False, None), ("/masks/0/table", {"text"}, True, False, None), ("/masks/0/column", {"text"}, True, False, None),
      ("/masks/0/kind", {"text"}, True, False, None), ("/masks/0/options", {"object"}, False, True, None)]),
    ("PUT", DB + "proposal-settings", {"onDrift": "refuse"}, [("/onDrift", {"text"}, True, False, 20)]),
    ("POST", DB + "snapshots", {"label": "l"}, [("/label", {"text"}, False, True, 320)]),
    ("POST", DB + "archives", {"label": "l"}, [("/label", {"text"}, False, True, 320)]),
    ("POST", DB + "restore", {"snapshotId": "snap_none", "bookmark": "b", "timestamp": 1}, [("/snapshotId", {"text"}, False, True, 64), ("/bookmark", {"text"}, False, True, 64),
                                                                                             ("/timestamp", {"int"}, False, True, None)]),
]
RANGES = [  # a body with one number or word out of its range, and where the pointer must lead
    ("POST", "propose", {"sql": INSERT, "ttlSec": 59}, "/ttlSec"), ("POST", "propose", {"sql": INSERT, "ttlSec": 3601}, "/ttlSec"), ("POST", "propose", {"sql": INSERT, "reason": ""}, "/reason"),
    ("POST", "propose", {"sql": INSERT, "statements": []}, None), ("POST", "propose", {}, None), ("POST", "apply", {"executionToken": ""}, "/executionToken"),
    ("POST", "redeem_approval", {"approvalToken": ""}, "/approvalToken"), ("POST", "branches/none/merge", {"mode": "rows"}, "/mode"), ("POST", "branches/none/merge", {"mode": ""}, "/mode"),
    ("POST", "branches/none/merge", {"tables": ["t"]}, "/tables"), ("POST", "branches/none/merge", {"resolve": {}}, "/resolve"), ("POST", "branches/none/merge", {"mode": "data", "tables": []}, "/tables"),
    ("POST", "branches/none/merge", {"mode": "data", "tables": ["a", ""]}, "/tables/1"), ("POST", "branches/none/merge", {"mode": "data", "tables": ["a"] * 1001}, "/tables"),
    ("POST", "branches/none/merge", {"reason": ""}, "/reason"), ("POST", "branches/none/merge", {"ttlSec": -1}, "/ttlSec"), ("PUT", "branches/never", {"ttlDays": 0}, "/ttlDays"),
    ("PUT", "branches/never", {"ttlDays": 31}, "/ttlDays"), ("PUT", "branches/never", {"ttlSec": -1}, "/ttlSec"), ("PUT", "branches/never", {"ttlSec": 59}, "/ttlSec"),
    ("PUT", "branches/never", {"ttlSec": 2592001}, "/ttlSec"), ("PUT", "branches/never", {"expiresAt": "soon"}, "/expiresAt"), ("PUT", "branches/never", {"expiresAt": "2000-01-01T00:00:00Z"}, "/expiresAt"),
    ("PUT", "branches/never", {"expiresAt": "9999-01-01T00:00:00Z"}, "/expiresAt"), ("PUT", "branches/never", {"data": "sample", "sampleRows": 0}, "/sampleRows"),
    ("PUT", "branches/never", {"data": "sample", "sampleRows": 100001}, "/sampleRows"), ("PUT", "branches/never", {"data": "sample", "seed": -1}, "/seed"),
    ("PUT", "branches/never", {"fromSnapshot": "x"}, "/fromSnapshot"), ("POST", "claim_branch", {"ref": "-x"}, "/ref"), ("POST", "claim_branch", {"role": "owner"}, "/role"),
    ("POST", "claim_branch", {"purpose": "ab"}, "/purpose"), ("POST", "fork", {"slug": "-x"}, "/slug"), ("POST", "fork", {"slug": "a b"}, "/slug"), ("POST", "fork", {}, "/slug"),
    ("POST", "branches/none/pin", {"ttlSec": 59}, "/ttlSec"), ("POST", "branches/none/pin", {"ttlSec": 86401}, "/ttlSec"), ("POST", "branches/none/pin", {"role": "owner"}, "/role"),
    ("POST", "approval-rules", {"tableGlob": "t", "action": "denied"}, "/action"), ("POST", "approval-rules", {"tableGlob": "t", "action": "deny", "order": 0}, "/order"),
    ("POST", "approval-rules", {"tableGlob": "t", "action": "require_approval", "approvals": 0}, "/approvals"),
    ("POST", "approval-rules", {"tableGlob": "t", "action": "require_approval", "approverRole": "king"}, "/approverRole"), ("POST", "approval-rules", {"when": "", "action": "deny"}, "/when"),
    ("POST", "approval-rules/test", {"write": {"sql": INSERT}, "at": "then"}, "/at"), ("POST", "approval-rules/replay", {"rules": [], "sinceMs": -1}, "/sinceMs"),
    ("POST", "approval-rules/replay", {"rules": [], "sinceMs": 0, "cursor": "x"}, "/cursor"), ("POST", "invariants", {"name": "", "sql": "SELECT 1 WHERE 0"}, "/name"),
    ("PUT", "masks", {"masks": [{"table": "witness", "column": "a", "kind": "rot13"}]}, "/masks/0/kind"), ("PUT", "proposal-settings", {"onDrift": "maybe"}, "/onDrift"),
    ("POST", "snapshots", {"label": ""}, "/label"), ("POST", "restore", {"timestamp": -1}, "/timestamp"), ("POST", "restore", {}, None),
]
VALUES = {"null": "null", "bool": "true", "int": "7", "real": "1.5", "text": '"SELECT 1"', "array": "[]", "object": "{}",
          "int past 64 bits": "9223372036854775808", "int far past": "1" + "0" * 400, "real past double": "1e999", "negative past": "-9223372036854775809"}
KIND_OF = {"int past 64 bits": "int", "int far past": "int", "real past double": "real", "negative past": "int"}

# Bodies that are no JSON, or not the JSON we take: raw bytes, and what the pointer must be (None: any).
RAW = [
    ("an empty body", b"", None), ("white space alone", b"  \n", None), ("a bare text", b'"x"', None), ("an array", b"[]", None), ("null", b"null", None),
    ("a number", b"1", None), ("cut short", b'{"sql":"SELECT 1"', None), ("text behind the end", b'{"sql":"SELECT 1"} x', None),
    ("two documents", b'{"sql":"SELECT 1"}{"sql":"SELECT 1"}', None), ("single quotes", b"{'sql':'SELECT 1'}", None), ("a comment", b'{"sql":"SELECT 1" /* */}', None),
    ("a trailing comma", b'{"sql":"SELECT 1",}', None), ("a bare word", b'{"sql":SELECT}', None), ("NaN", b'{"sql":"SELECT 1","params":[NaN]}', None),
    ("Infinity", b'{"sql":"SELECT 1","params":[Infinity]}', None), ("a leading zero", b'{"sql":"SELECT 1","params":[01]}', None),
    ("a plus sign", b'{"sql":"SELECT 1","params":[+1]}', None), ("a bare point", b'{"sql":"SELECT 1","params":[1.]}', None),
    ("hexadecimal", b'{"sql":"SELECT 1","params":[0x1]}', None), ("a byte order mark", b'\xef\xbb\xbf{"sql":"SELECT 1"}', None),
    ("UTF-16", '{"sql":"SELECT 1"}'.encode("utf-16-le"), None), ("invalid UTF-8", b'{"sql":"SELECT \xff"}', None), ("overlong UTF-8", b'{"sql":"SELECT \xc0\xaf"}', None),
    ("a raw surrogate", b'{"sql":"SELECT \xed\xa0\x80"}', None), ("a raw control byte", b'{"sql":"SELECT \x01"}', None), ("a raw line feed in a text", b'{"sql":"SELECT \n1"}', None),
    ("an escaped NUL", b'{"sql":"SELECT 1\\u0000"}', None), ("a lone high surrogate", b'{"sql":"SELECT \'\\ud800\'"}', None),
    ("a lone low surrogate", b'{"sql":"SELECT \'\\udc00\'"}', None), ("surrogates the wrong way round", b'{"sql":"SELECT \'\\udc00\\ud800\'"}', None),
    ("a bad escape", b'{"sql":"SELECT \\x"}', None), ("a cut escape", b'{"sql":"SELECT \\u12"}', None), ("a NUL byte", b'{"sql":"SELECT 1"}\x00', None),
    ("a key twice", b'{"sql":"SELECT 1","sql":"SELECT 2"}', "/sql"), ("a key twice by escape", b'{"sql":"SELECT 1","s\\u0071l":"SELECT 2"}', "/sql"),
    ("a key twice further in", b'{"sql":"SELECT 1","params":{"a":1,"a":2}}', "/params/a"),
    ("depth 33", b'{"sql":"SELECT 1","x":' + b"[" * 32 + b"]" * 32 + b"}", None), ("depth 100000", b"[" * 100000, None),
    ("depth 33 of objects", b'{"a":' * 33 + b"1" + b"}" * 33, None),
]
NO_OBJECTS = (b"[]", b"null", b"1", b"1.5", b"true", b'"x"', b"[{}]", b"[null]")
PARAMS = [  # a parameter, and where the pointer must lead
    ("a nested array", "[[1]]", "/params/0"), ("an empty object", "[1,{}]", "/params/1"), ("an unknown object", '[{"a":1}]', "/params/0"),
    ("a blob that is no text", '[{"$blob":1}]', "/params/0"), ("a blob that is no base64", '[{"$blob":"*"}]', "/params/0"),
    ("a blob with white space", '[{"$blob":"AA EC"}]', "/params/0"), ("a blob without padding", '[{"$blob":"AAE"}]', "/params/0"),
    ("a blob and more", '[{"$blob":"AA==","x":1}]', "/params/0"), ("an integer past 64 bits", "[1,2,9223372036854775808]", "/params/2"),
    ("an integer below 64 bits", "[-9223372036854775809]", "/params/0"), ("a real past double", "[1e999]", "/params/0"),
]


def without(body, pointer):
    body = json.loads(json.dumps(body))
    at, *rest = pointer.strip("/").split("/")
    parent = body
    for step in [at, *rest][:-1]:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    last = ([at] + rest)[-1]
    if isinstance(parent, list):
        return None
    del parent[last]
    return json.dumps(body)


def replaced(body, pointer, raw):
    """The body as text with the value at the pointer replaced by raw JSON."""
    marker = "\u0001marker\u0001"
    copy = json.loads(json.dumps(body))
    steps = pointer.strip("/").split("/")
    parent = copy
    for step in steps[:-1]:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    if isinstance(parent, list):
        parent[int(steps[-1])] = marker
    else:
        parent[steps[-1]] = marker
    return json.dumps(copy).replace(json.dumps(marker), raw)


def schema_of(openapi, schema):
    return openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def kinds_of(openapi, schema):
    """In the words of VALUES; empty: any."""
    schema = schema_of(openapi, schema)
    kinds = schema.get("type", [])
    words = {"string": "text", "integer": "int", "boolean": "bool", "number": "real", "array": "array", "object": "object", "null": "null"}
    return {words[k] for k in ([kinds] if isinstance(kinds, str) else kinds)}


class Matrix:
    def __init__(self, checks, server):
        self.checks, self.server = checks, server

    def refused(self, what, method, path, text, pointer, statuses=(400,)):
        data = text if isinstance(text, bytes) else text.encode()
        answer = self.server.call(method, path, data)
        what = f"{method} {path}: {what}"
        if not self.checks.that(f"{what}: refused with {statuses}", answer.status in statuses, answer):
            return
        body = answer.json
        self.checks.that(f"{what}: envelope", body["success"] is False and body["error"] and body["code"] and body["requestId"], body)
        if pointer is not None:
            self.checks.equal(f"{what}: pointer", body.get("pointer"), pointer)

    def fields(self):
        for method, path, body, fields in BODIES + MORE:
            for pointer, kinds, required, null_ok, longest in fields:
                for name, raw in VALUES.items():
                    kind = KIND_OF.get(name, name)
                    if kind in kinds or (kind == "null" and null_ok):
                        continue
                    self.refused(f"{pointer} is {name}", method, path, replaced(body, pointer, raw), pointer)
                if required and (text := without(body, pointer)):
                    self.refused(f"{pointer} is missing", method, path, text, pointer)
                if "text" in kinds:
                    if required and pointer.endswith("sql"):
                        self.refused(f"{pointer} is empty", method, path, replaced(body, pointer, '""'), None)
                    if longest:
                        self.refused(f"{pointer} is too long", method, path, replaced(body, pointer, json.dumps("x" * (longest + 1))), None, (400, 413))
                    for what, raw in (("a NUL", '"a\\u0000b"'), ("a lone surrogate", '"a\\ud800b"')):
                        self.refused(f"{pointer} holds {what}", method, path, replaced(body, pointer, raw), None)

    def bodies(self):
        for (method, path, _, _), (what, raw, pointer) in itertools.product(BODIES, RAW):
            if path == "/v1/databases":
                raw = raw.replace(b"sql", b"slug").replace(b"s\\u0071l", b"s\\u006cug").replace(b"SELECT ", b"x")
                pointer = pointer and pointer.replace("sql", "slug")
            if pointer and pointer.startswith("/params") and path == DB + "batch":
                continue
            self.refused(what, method, path, raw, pointer)
        for method, path, _, _ in BODIES:
            self.refused("a body past the limit", method, path, b'{"x":"' + b"x" * (1 << 20) + b'"}', None, (413,))

    def no_objects(self):
        """Every route that takes JSON takes an object; whatever else comes, the server outlives it."""
        owner = Person(self.server, "owner@example.com", PASSWORD)
        owner.sign_in()
        asked = [r for r in routes(self.server) if r.takes_json or isinstance(CALLS[r.id][0], dict)]
        self.checks.that("the routes that take JSON are found", len(asked) > 40 and {"POLICY_CREATE", "POLICY_UPDATE", "ROW_SECURITY_SET", "SIGN_IN"} <= {r.id for r in asked},
                         [r.id for r in asked])
        for r, raw in itertools.product(asked, NO_OBJECTS):
            callers = ([] if r.session and not r.bearer else [self.server.call]) + ([owner.ask] if r.session else [])
            for ask in callers:
                try:
                    answer = ask(r.method, r.path(), raw, headers={"Content-Type": "application/json"})
                except OSError as e:
                    self.checks.that(f"{r.id} {raw}: an answer", False, e)
                    return
                self.checks.that(f"{r.id} {raw}: 4xx", 400 <= answer.status < 500, answer)
        self.checks.equal("the server lives", self.server.call("GET", "/readyz").status, 200)

    def strict(self):
        """What the routes of branches, snapshots, proposals, rules and approvals do not know is refused, not ignored: a "dryrun" would merge."""
        owner = Person(self.server, "owner@example.com", PASSWORD)
        owner.sign_in()
        tags = {"branches", "snapshots", "archives", "proposals", "rules", "approvals"}
        asked = [r for r in routes(self.server) if r.tags & tags and r.id != "APPROVE_PAGE"]
        self.checks.that("these routes are found", len(asked) > 60 and {"BRANCH_MERGE", "FORK", "INBOX_DECIDE", "APPLY"} <= {r.id for r in asked}, [r.id for r in asked])
        found_first = {"RULE_UPDATE", "API_RULE_UPDATE"}
        for r in asked:
            ask = self.server.call if r.bearer else owner.ask
            method, path, body, headers = r.request(r.path())
            answer = ask(method, path + ("&" if "?" in path else "?") + "no%2Fsuch=1", body, headers=headers)
            self.checks.that(f"{r.id}: an unknown parameter", answer.status == 400 and answer.json["pointer"] == "/no~1such", answer)
            if not isinstance(CALLS[r.id][0], dict) or r.id in found_first | {"BRANCH_PUT", "API_BRANCH_PUT"}:  # of PUT, clients of PerSQL may know more
                continue
            method, path, body, headers = r.request(r.path(), body=dict(CALLS[r.id][0], nosuchmember=1))
            answer = ask(method, path, body, headers=headers)
            self.checks.that(f"{r.id}: an unknown member", answer.status == 400 and answer.json["pointer"] == "/nosuchmember", answer)
        self.refused("a member of a statement", "POST", DB + "propose", json.dumps({"statements": [{"sql": INSERT}, {"sql": INSERT, "parms": []}]}), "/statements/1/parms")
        self.refused("params of no statement", "POST", DB + "propose", json.dumps({"statements": [{"sql": INSERT}], "params": []}), "/params")
        self.refused("a member of a write", "POST", DB + "approval-rules/test", json.dumps({"write": {"sql": INSERT, "reason": "in the wrong place"}}), "/write/reason")
        for method, path, body, pointer in RANGES:
            self.refused(json.dumps(body)[:80], method, DB + path, json.dumps(body), pointer)
        shown = self.server.db("propose", {"sql": INSERT}).json["data"]["proposalId"]
        for path, pointer in (("proposals?tokenId=", "/tokenId"), ("proposals?tokenId=" + "t" * 65, "/tokenId"), ("proposals?agent=", "/agent"), ("proposals?agent=" + "a" * 201, "/agent"),
                              ("proposals?limit=0", "/limit"), ("proposals?cursor=x", "/cursor"), ("proposals?status=", "/status"), (f"proposals/{shown}/changes?table=", "/table"),
                              (f"proposals/{shown}/changes?limit=1001", "/limit"), ("approvals?status=x", "/status"), ("approvals/appr_none?waitSec=31", "/waitSec"), ("branches?limit=501", "/limit"),
                              ("branches/b/preview?format=xml", "/format"), ("branches/-b/preview", "/ref")):
            self.refused("a parameter", "GET", DB + path, b"", pointer)
        self.refused("no such table", "GET", DB + f"proposals/{shown}/changes?table=no_such", b"", None, (404,))
        self.checks.equal("one in other letters", self.server.db(f"proposals/{shown}/changes?table=WITNESS", method="GET").status, 200)
        self.refused("a member where there is none", "POST", DB + f"proposals/{shown}/withdraw", b'{"reason":"x"}', "/reason")
        self.checks.equal("an empty object is nothing", self.server.db(f"proposals/{shown}/withdraw", {}).status, 200)
        self.refused("a fork of a sibling", "POST", DB + "fork", json.dumps({"slug": "forked", "fromRef": "x"}), "/fromRef")

    def members(self):
        """Every member that /openapi.json tells of these bodies, in every JSON kind and in lists of each, sent alone and beside what is good: no engine falls over, and what
        is of a kind that the member cannot have is refused."""
        owner = Person(self.server, "owner@example.com", PASSWORD)
        owner.sign_in()
        openapi = self.server.call("GET", "/openapi.json").json
        made = self.server.db("propose", {"sql": "CREATE TABLE IF NOT EXISTS members(a)"}).json["data"]
        tags, sent = {"proposals", "rules", "approvals", "branches"}, 0
        for r in routes(self.server):
            content = openapi["paths"][r.template][r.method.lower()].get("requestBody", {}).get("content", {})
            if not r.tags & tags or "application/json" not in content or r.id in ("BRANCH_PUT", "API_BRANCH_PUT", "FORK", "API_FORK", "BRANCH_CLAIM"):  # these make databases
                continue
            ask = self.server.call if r.bearer else owner.ask
            path = r.path().replace("/none", "/" + made["proposalId"] if "/proposals/" in r.template else "/none")
            usual = CALLS[r.id][0] if isinstance(CALLS[r.id][0], dict) else {}
            for name, schema in schema_of(openapi, content["application/json"]["schema"])["properties"].items():
                kinds = kinds_of(openapi, schema)
                for kind, raw in [*VALUES.items(), *(("array", f"[{raw}]") for raw in VALUES.values())]:
                    for body in ({}, usual):
                        answer = ask(r.method, path, replaced({**body, name: None}, "/" + name, raw).encode(), headers={"Content-Type": "application/json"})
                        wrong = kinds and KIND_OF.get(kind, kind) not in kinds | {"null"}
                        good = 400 <= answer.status < 500 if wrong else answer.status < 500
                        self.checks.that(f"{r.id} {name}: {raw[:20]} beside {sorted(body)}", good, answer)
                        sent += 1
        self.checks.that("the bodies were found", sent > 1000, sent)
        self.refused("null rows", "POST", DB + "undo", b'{"from":0,"rows":null}', None, (404,))

    def params(self):
        for what, raw, pointer in PARAMS:
            marks = ",".join("?" * (int(pointer.rsplit("/", 1)[1]) + 1))
            self.refused(f"params: {what}", "POST", DB + "query", '{"sql":"SELECT %s","params":%s}' % (marks, raw), pointer)
            self.refused(f"params: {what}", "POST", DB + "batch", '{"statements":[{"sql":"SELECT %s","params":%s}]}' % (marks, raw), "/statements/0" + pointer)
        self.refused("named params by position", "POST", DB + "query", '{"sql":"SELECT ?","params":{"a":1}}', None)
        self.refused("a named parameter that the statement lacks", "POST", DB + "query", '{"sql":"SELECT :a","params":{"a":1,"b":2}}', None)
        self.refused("too few", "POST", DB + "query", '{"sql":"SELECT ?,?","params":[1]}', None)
        self.refused("1001 parameters", "POST", DB + "query", json.dumps({"sql": "SELECT 1", "params": [1] * 1001}), None)

    def batches(self):
        self.refused("no statements", "POST", DB + "batch", '{"statements":[]}', "/statements")
        self.refused("101 statements", "POST", DB + "batch", json.dumps({"statements": [{"sql": INSERT}] * 101}), "/statements")
        self.refused("a good one before a malformed one", "POST", DB + "batch", json.dumps({"statements": [{"sql": INSERT}, {"sql": 5}]}), "/statements/1/sql")
        self.refused("a text among statements", "POST", DB + "batch", json.dumps({"statements": [{"sql": INSERT}, INSERT]}), "/statements/1")

    def slugs(self):
        for slug in ("", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a/b", "..", "a" * 64, "query\u0000", "%41"):
            self.refused(f"slug {slug!r}", "POST", "/v1/databases", json.dumps({"slug": slug}), None)
        self.refused("neither slug nor name", "POST", "/v1/databases", "{}", "/slug")

    def query_strings(self):
        for path in ("search", "search?q=", "search?q=a&limit=0", "search?q=a&limit=x", "search?q=a&limit=1e3", "search?q=a&limit=99999999999999999999",
                     "search?q=a&q=b", "search?q=%ff", "search?q=%00", "search?q=%", "describe?format=xml", "query-log?limit=-1", "query-log?limit=a",
                     "export?format=xml", "export?format=", "export?format=csv", "export?format=sql&format=csv", "export?format=ndjson&table="):
            answer = self.server.call("GET", DB + path)
            self.checks.that(f"GET {path}: 400", answer.status == 400 and answer.json["success"] is False, answer)

    def accepted(self):
        """Unknown members and unknown query parameters are ignored: clients send some."""
        for method, path, body, _ in BODIES[2:5]:
            more = dict(body, unknown={"deep": [1, None]}, **{"": 1, "SQL": 5})
            answer = self.server.call(method, path + "?unknown=1&x=%20", more)
            self.checks.that(f"{method} {path} with unknown members", answer.status == 200, answer)
        answer = self.server.call("POST", DB + "query", b'{"sql":"SELECT 1","params":null,"x":' + b"[" * 31 + b"]" * 31 + b"}")
        self.checks.that("depth 32 is fine", answer.status == 200, answer)
        answer = self.server.call("POST", DB + "query", b'{"sql":"SELECT 1"}', headers={"Content-Type": None})
        self.checks.that("no content type is fine", answer.status == 200, answer)
        answer = self.server.query("SELECT '\U0001f600\u20ac' || ? || char(0x10FFFF)", ["\ud7ff\ue000"])
        self.checks.equal("text at the edges of Unicode", answer.json["data"]["rows"], [["\U0001f600\u20ac\ud7ff\ue000\U0010ffff"]])


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        s.query("CREATE TABLE witness(a)")
        matrix = Matrix(checks, s)
        for part in (matrix.fields, matrix.bodies, matrix.no_objects, matrix.strict, matrix.members, matrix.params, matrix.batches, matrix.slugs, matrix.query_strings, matrix.accepted):
            checks.part(part)
        checks.equal("nothing was written", s.query("SELECT count(*) FROM witness").json["data"]["rows"], [[0]])
        checks.equal("nothing was made", [d["slug"] for d in s.call("GET", "/v1/databases").json["data"]], ["main"])
        checks.that("no answer was a 5xx", 'status="5xx"' not in s.call("GET", "/metrics").data.decode())
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
