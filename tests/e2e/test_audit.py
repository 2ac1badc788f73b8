#!/usr/bin/env python3
"""The audit log of a running server: every change leaves its row, reading leaves none, the list route, and what `holdfast audit`
proves, in a data directory, in copies and in exports; the format is read a second time here, without Holdfast's code.
Usage: test_audit.py PATH-OF-HOLDFAST"""
import base64
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person
from routes import STRANGER, routes

# What each route that is no GET writes; None: it changes no control state, and why.
DATA = None  # rows and schemas of a database: _persql_meta_query_log tells
READS = None
ROUTES = {
    "POLICY_CREATE": "policy.created", "POLICY_UPDATE": "policy.updated", "POLICY_DELETE": "policy.deleted", "POLICY_TEST": None,
    "RULE_CREATE": "rule.created", "RULE_UPDATE": "rule.updated", "RULE_DELETE": "rule.deleted",
    "RULE_REPLACE": "rule.replaced", "API_RULE_REPLACE": "rule.replaced", "RULE_TEST": None, "RULE_REPLAY": None, "API_RULE_TEST": None, "API_RULE_REPLAY": None,
    "API_RULE_CREATE": "rule.created", "API_RULE_UPDATE": "rule.updated", "API_RULE_DELETE": "rule.deleted",
    "INVARIANT_CREATE": "invariant.created", "INVARIANT_DELETE": "invariant.deleted", "API_INVARIANT_CREATE": "invariant.created", "API_INVARIANT_DELETE": "invariant.deleted",
    "ROW_SECURITY_SET": "policy.row_security",
    "DATABASE_CREATE": "database.created", "DATABASE_DELETE": "database.deleted", "DATABASE_RESTORE": "database.restored",
    "BRANCH_PUT": "database.branched", "BRANCH_CLAIM": "database.branched", "BRANCH_DELETE": "database.branch_deleted",
    "BRANCH_MERGE": "database.branch_merged", "API_BRANCH_MERGE": "database.branch_merged",
    "PROPOSAL_SETTINGS_SET": "proposal.settings", "API_PROPOSAL_SETTINGS_SET": "proposal.settings",
    "MASK_SET": "masks.set", "API_MASK_SET": "masks.set",
    "SNAPSHOT_CREATE": "snapshot.created", "SNAPSHOT_DELETE": "snapshot.deleted", "SNAPSHOT_RESTORE": "snapshot.restored",
    "API_SNAPSHOT_CREATE": "snapshot.created", "API_SNAPSHOT_DELETE": "snapshot.deleted", "API_SNAPSHOT_RESTORE": "snapshot.restored",
    "ARCHIVE_CREATE": "archive.created", "ARCHIVE_DELETE": "archive.deleted", "API_ARCHIVE_CREATE": "archive.created", "API_ARCHIVE_DELETE": "archive.deleted",
    "BRANCH_PIN": "token.created", "HANDOFF_REDEEM": "token.rotated",
    "FORK": "database.forked", "API_FORK": "database.forked",
    "API_BRANCH_PUT": "database.branched", "API_BRANCH_DELETE": "database.branch_deleted",
    "DESCRIBE_SET": "database.described", "IMPORT": "database.imported", "API_IMPORT": "database.imported",
    "SESSION_MINT": "end_session.created",
    "PROPOSE": None, "PROPOSAL_UNDO": None, "UNDO": None, "API_PROPOSE": None, "API_PROPOSAL_UNDO": None, "API_UNDO": None,  # nothing happened yet
    "APPLY": "proposal.applied", "PROPOSAL_WITHDRAW": "proposal.withdrawn", "API_APPLY": "proposal.applied", "API_PROPOSAL_WITHDRAW": "proposal.withdrawn",
    "APPROVAL_REDEEM": "approval.redeemed", "API_APPROVAL_REDEEM": "approval.redeemed", "INBOX_DECIDE": "approval.approved", "INBOX_CONFIRM": "approval.confirmed",
    "QUERY": DATA, "BATCH": DATA, "EXPLAIN": READS, "VALIDATE": READS,
    "SIGN_UP": "user.created", "SIGN_IN": "user.signed_in", "SIGN_OUT": "session.ended", "SESSION_END": "session.ended",
    "SESSION_END_OTHERS": "user.sessions_ended", "PASSWORD_CONFIRM": "user.confirmed", "PASSWORD_CHANGE": "user.password_changed",
    "ACCOUNT_DELETE": "user.deleted", "NS_CREATE": "namespace.created", "NS_UPDATE": "namespace.updated", "NS_DELETE": "namespace.deleted",
    "NS_RESTORE": "namespace.restored", "NS_LEAVE": "namespace.member_removed", "MEMBER_UPDATE": "namespace.member_role_changed",
    "MEMBER_REMOVE": "namespace.member_removed", "INVITATION_CREATE": "invitation.created", "INVITATION_REVOKE": "invitation.revoked",
    "INVITATION_ACCEPT": "invitation.accepted", "SHARE_SET": "database.shared", "SHARE_REMOVE": "database.unshared",
    "API_DATABASE_CREATE": "database.created", "API_DATABASE_DELETE": "database.deleted", "USER_PROVISION": "database.created",
    "REPO_BIND": "repo.bound", "REPO_UNBIND": "repo.unbound",
    "TOKEN_CREATE": "token.created", "TOKEN_REVOKE": "token.revoked", "TOKEN_ROTATE": "token.rotated",
}
# And each command; None: it changes nothing.
COMMANDS = {
    "serve": "audit.key_used", "init": "namespace.created", "token create": "token.created", "token list": None, "token revoke": "token.revoked",
    "token rotate": "token.rotated",
    "user create": "user.created", "user list": None, "user reset-password": "user.password_changed", "user suspend": "user.suspended",
    "user resume": "user.resumed", "audit verify": None, "audit export": None, "doctor": None, "version": None,
    "policy pull": None, "policy push": "rule.replaced", "policy test": None, "policy replay": None,  # by a server: test_policy_files.py
    "key replace": "signing_key.replaced", "repo bind": "repo.bound", "repo list": None, "repo unbind": "repo.unbound",
}
ENTRY = {"id", "action", "actor", "actorUserId", "actorTokenId", "actorIp", "client", "requestId", "targetType", "targetId", "targetName",
         "metadata", "before", "after", "createdAt", "seq", "hash"}
COLUMNS = ["chain", "seq", "id", "createdAtMs", "action", "actorKind", "actorUserId", "actorTokenId", "actorName", "client", "actorIp",
           "requestId", "targetType", "targetId", "targetName", "before", "after"]


def marks(s):
    """Where every chain ends."""
    return dict(s.control("SELECT chain, max(seq) FROM audit GROUP BY chain"))


def since(s, before):
    return [r[2] for r in s.control("SELECT chain, seq, action FROM audit ORDER BY created_at") if r[1] > before.get(r[0], 0)]


def person(s, name, sign_in=True, member=True):
    words = ["--namespace", "acme", "--role", "viewer"] if member else []
    made = json.loads(s.run("user", "create", "--email", f"{name}@example.com", *words, "--json", "--data", s.data, input="").stdout)
    p = Person(s, made["email"], made.get("password", PASSWORD))
    p.id = made["id"]
    if sign_in:
        p.sign_in()
    return p


def owner_call_of(s, r, owner, name):
    """The same for routes of namespaces and their people."""
    acme = "/api/namespaces/acme"
    if r.id == "NS_CREATE":
        return lambda: owner.ask("POST", "/api/namespaces", {"slug": name, "name": "New"})
    if r.id == "NS_UPDATE":
        return lambda: owner.ask("PATCH", acme, {"name": "Acme & Sons"})
    if r.id in ("NS_DELETE", "NS_RESTORE"):
        owner.ask("POST", "/api/namespaces", {"slug": name, "name": "New"})
        if r.id == "NS_DELETE":
            return lambda: owner.ask("DELETE", f"/api/namespaces/{name}")
        owner.ask("DELETE", f"/api/namespaces/{name}")
        return lambda: owner.ask("POST", f"/api/namespaces/{name}/restore")
    p = person(s, name, member=not r.id.startswith("INVITATION"))
    if r.id == "NS_LEAVE":
        return lambda: p.ask("POST", f"{acme}/leave", {})
    invite = {"email": p.email, "role": "viewer"}
    made = owner.ask("POST", f"{acme}/invitations", invite).json.get("data", {}) if r.id in ("INVITATION_REVOKE", "INVITATION_ACCEPT") else {}
    secret = made.get("url", "").rsplit("/", 1)[-1]
    s.secrets.append(secret)
    share = f"{acme}/databases/main/shares/{p.id}"
    if r.id == "SHARE_REMOVE":
        owner.ask("PUT", share, {"role": "editor"})
    return {"MEMBER_UPDATE": lambda: owner.ask("PATCH", f"{acme}/members/{p.id}", {"role": "editor"}),
            "MEMBER_REMOVE": lambda: owner.ask("DELETE", f"{acme}/members/{p.id}"),
            "INVITATION_CREATE": lambda: owner.ask("POST", f"{acme}/invitations", invite),
            "INVITATION_REVOKE": lambda: owner.ask("DELETE", f"{acme}/invitations/{made['id']}"),
            "INVITATION_ACCEPT": lambda: p.ask("POST", f"/api/invitations/{secret}/accept", {}),
            "SHARE_SET": lambda: owner.ask("PUT", share, {"role": "editor"}),
            "SHARE_REMOVE": lambda: owner.ask("DELETE", share)}[r.id]


def approval_call_of(s, r, owner):
    """A write that a rule holds, as far as the route wants it."""
    s.query("CREATE TABLE IF NOT EXISTS held(a)")
    if not any(rule["tableGlob"] == "held" for rule in s.db("approval-rules", method="GET").json["data"]):
        s.db("approval-rules", {"tableGlob": "held", "action": "require_approval"})
    held = s.query("INSERT INTO held VALUES(1)").json["approvalToken"]
    decide = lambda **more: owner.ask("POST", f"/api/approvals/{held}/decision", {"decision": "approve", **more})
    if r.id == "INBOX_DECIDE":
        return decide
    decide(**({"run": True, "confirmWithinSec": 60} if r.id == "INBOX_CONFIRM" else {}))
    if r.id == "INBOX_CONFIRM":
        return lambda: owner.ask("POST", f"/api/approvals/{held}/confirm")
    return lambda: s.call("POST", r.path(), {"approvalToken": held})


def call_of(s, r, owner):
    """A call that changes something, ready to be made: what it needs exists."""
    name = r.id.lower().replace("_", "-")
    if r.id == "DATABASE_CREATE":
        return lambda: s.call("POST", "/v1/databases", {"slug": name})
    if r.id in ("DATABASE_DELETE", "DATABASE_RESTORE", "API_DATABASE_DELETE"):
        s.call("POST", "/v1/databases", {"slug": name})
        if r.id == "DATABASE_RESTORE":
            s.call("DELETE", f"/v1/databases/{name}")
        return lambda: r.good_call(s, db=name)
    if r.id.startswith("POLICY_") or r.id == "ROW_SECURITY_SET":
        s.query("CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY)")
    if r.id in ("POLICY_UPDATE", "POLICY_DELETE"):
        made = s.call("POST", "/api/namespaces/acme/databases/main/policies",
                      {"name": name, "tableName": "orders", "expression": "1", "enabled": False}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made), {"enabled": False} if r.method == "PATCH" else None)
    if r.id.endswith("INVARIANT_DELETE"):
        made = s.db("invariants", {"name": name, "sql": "SELECT 1 WHERE 0"}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made))
    if r.id.endswith(("RULE_UPDATE", "RULE_DELETE")):
        made = s.db("approval-rules", {"tableGlob": "nowhere", "action": "allow"}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made), {"note": "other"} if r.method == "PATCH" else None)
    kind = r.id.removeprefix("API_")
    if kind in ("PROPOSE", "APPLY", "PROPOSAL_WITHDRAW", "PROPOSAL_UNDO", "UNDO"):
        s.query("CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY)")
        made = s.db("propose", {"sql": "INSERT INTO orders DEFAULT VALUES"}).json["data"]
        if kind.endswith("UNDO"):
            s.db("apply", {"executionToken": made["executionToken"]})
        body = {"APPLY": {"executionToken": made["executionToken"]}, "PROPOSE": {"sql": "DELETE FROM orders WHERE id = -1"},
                "UNDO": {"from": made["createdAt"], "tokenId": made["tokenId"]}}.get(kind)
        return lambda: s.call(r.method, r.path().replace("none", made["proposalId"]), body)
    if r.id in ("TOKEN_REVOKE", "TOKEN_ROTATE"):
        made = s.mint("readonly")["id"]
        return lambda: s.call(r.method, r.path().replace("none", made), {"overlap": 60} if r.method == "POST" else None)
    if r.id == "REPO_UNBIND":
        made = s.call("POST", "/api/namespaces/acme/repos", {"repo": "acme/" + name}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made))
    if r.id.endswith(("SNAPSHOT_DELETE", "SNAPSHOT_RESTORE")):
        made = s.call("POST", "/v1/db/acme/main/snapshots", {}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made), {"snapshotId": made} if r.method == "POST" else None)
    if r.id.endswith("ARCHIVE_DELETE"):
        made = s.call("POST", "/v1/db/acme/main/archives", {}).json["data"]["id"]
        return lambda: s.call(r.method, r.path().replace("none", made))
    if r.id.endswith("BRANCH_MERGE"):
        s.call("PUT", "/v1/db/acme/main/branches/merged")
        s.query(f"CREATE TABLE by_{r.id.lower()}(a)", db="main-merged")
        return lambda: s.call("POST", r.path().replace("none", "merged"), {"mode": "schema"})
    if r.id in ("BRANCH_PIN", "HANDOFF_REDEEM"):
        s.call("PUT", "/v1/db/acme/main/branches/pinned")
        pinned = s.call("POST", "/v1/db/acme/main/branches/pinned/pin").json["data"]["token"]
        return lambda: s.call("POST", r.path().replace("none", "pinned"), {"token": pinned} if r.public else None)
    if r.id.startswith("INBOX_") or r.id.endswith("APPROVAL_REDEEM"):
        return approval_call_of(s, r, owner)
    if r.bearer:
        return lambda: r.good_call(s)
    if r.id == "SIGN_UP":
        made = owner.ask("POST", "/api/namespaces/acme/invitations", {"email": "up@example.com", "role": "viewer"}).json["data"]["url"]
        return lambda: Person(s, "up@example.com", PASSWORD).ask("POST", r.template, {"email": "up@example.com", "password": PASSWORD, "invitation": made.rsplit("/", 1)[-1]})
    if not r.template.startswith("/api/auth/"):
        return owner_call_of(s, r, owner, name)
    p = person(s, name, sign_in=r.id != "SIGN_IN")
    if r.id == "SIGN_IN":
        return p.sign_in
    other = Person(s, p.email, p.password)
    other.sign_in()
    body = {"SESSION_END": lambda: {"id": next(x["id"] for x in p.ask("GET", "/api/auth/list-sessions").json["data"] if not x["current"])},
            "PASSWORD_CONFIRM": lambda: {"password": p.password},
            "PASSWORD_CHANGE": lambda: {"currentPassword": p.password, "newPassword": "quite another one, 17 long"}}.get(r.id, lambda: {})()
    return lambda: p.ask(r.method, r.template, body)


def one_route(checks, s, r, owner):
    call = call_of(s, r, owner)
    before = marks(s)
    answer = call()
    checks.equal(f"{r.id}: done", answer.status, 200) or print("    ", answer)
    rows = since(s, before)
    wanted = ROUTES[r.id]
    checks.that(f"{r.id}: recorded as {wanted}", wanted in rows if wanted else rows == [], rows)


def bound(checks, binary):
    """Repositories are bound by people where not everybody may sign up."""
    with Server(binary) as s:
        for r in routes(s):
            if r.id in ("REPO_BIND", "REPO_UNBIND"):
                one_route(checks, s, r, None)


def every_route(checks, s):
    # what programs and machines are given takes several steps: tests/e2e/test_oauth.py and test_federation.py look for its rows
    changing = [r for r in routes(s) if r.method != "GET" and not r.id.startswith(("OAUTH_", "APP_", "IDENTITY_", "ACTIONS_", "AGENT_"))]
    checks.equal("every route that is no GET says here what it records", sorted(r.id for r in changing), sorted(ROUTES))
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    for r in changing:
        if r.id in ROUTES and not r.id.startswith("REPO_"):  # else: said above, or bound() does
            one_route(checks, s, r, owner)
    before = marks(s)
    for r in routes(s):
        if r.method == "GET" and (r.bearer or r.public):
            checks.equal(f"{r.id}: read", r.good_call(s).status, STRANGER.get(r.id, 404 if "{id}" in r.template and r.bearer else 200))
    checks.equal("reading leaves no row", since(s, before), [])
    before = marks(s)
    for method, path, body in (("POST", "/v1/databases", {"slug": "main"}), ("DELETE", "/v1/databases/nope", None),
                               ("POST", "/v1/databases/nope/restore", None), ("PUT", "/v1/db/acme/main/describe", {"table": "nope", "description": "x"}),
                               ("POST", "/v1/db/acme/main/import?format=sql", b"SYNTAX ERROR;")):
        a = s.call(method, path, body, headers={"Content-Type": "application/sql"} if isinstance(body, bytes) else None)
        checks.that(f"{method} {path} is refused", 400 <= a.status < 500, a)
    checks.equal("what is refused leaves no row", since(s, before), [])


def every_command(checks, s):
    listed = [" ".join(line.split("  ")[1].split()) for line in s.run("--help").stdout.splitlines() if line.startswith("  ")]
    checks.equal("every command says here what it records", sorted(listed), sorted(COMMANDS))
    token, other = s.mint("readonly")["id"], s.mint("readonly")["id"]
    bound = json.loads(s.run("repo", "bind", "--namespace", "acme", "--repo", "acme/to-unbind", "--json", "--data", s.data).stdout)["id"]
    given = {"token create": ["--namespace", "acme", "--role", "readonly"], "token list": [], "token revoke": [token],
             "token rotate": [other], "user create": ["--email", "by-command@example.com"], "user list": [], "user reset-password": ["by-command@example.com"],
             "user suspend": ["by-command@example.com"], "user resume": ["by-command@example.com"], "audit verify": [], "audit export": [], "key replace": [],
             "repo bind": ["--namespace", "acme", "--repo", "acme/by-command"], "repo list": [], "repo unbind": [bound]}
    for command, words in given.items():
        before = marks(s)
        done = s.run(*command.split(), *words, "--data", s.data, input="a long password of somebody\n", check=False)
        checks.equal(f"{command}: done", (done.returncode, done.stderr if done.returncode else ""), (0, ""))
        rows = since(s, before)
        wanted = COMMANDS[command]
        checks.that(f"{command}: recorded as {wanted}", wanted in rows if wanted else rows == [], rows)
    actions = {r[0] for r in s.control("SELECT action FROM audit")}
    checks.that("init and serve left theirs", {COMMANDS["init"], COMMANDS["serve"], "database.created", "namespace.member_added"} <= actions, actions)
    row = s.control("SELECT actor_kind, actor_name, client, address FROM audit WHERE action = 'token.revoked' ORDER BY created_at DESC")[0]
    checks.that("a command's actor is the user of the system", row[0] == "cli" and row[1] and row[2:] == ("holdfast token revoke", None), row)


# --- The list ---

def page(s, query="", **more):
    return s.call("GET", f"/api/namespaces/acme/audit{query}", **more)


def listing(checks, s):
    s.call("POST", "/v1/databases", {"slug": "listed"}, headers={"User-Agent": "a client\t1.0", "X-Request-Id": "request-of-the-list"})
    data = page(s).json["data"]
    first = data[0]
    checks.equal("members of a row", set(first), ENTRY)
    me = s.call("GET", "/v1/me").json["data"]
    checks.equal("who", (first["actorTokenId"], first["actorUserId"], first["actorIp"], first["client"], first["requestId"]),
                 (me["tokenId"], None, "127.0.0.1", "a client?1.0", "request-of-the-list"))
    checks.equal("the actor's name", first["actor"], {"kind": "token", "id": me["tokenId"], "name": "first token", "email": None})
    checks.equal("what", (first["action"], first["targetType"], first["targetName"], first["metadata"]["slug"], first["before"]),
                 ("database.created", "database", "listed", "listed", None))
    checks.equal("newest first, one after the other", [r["seq"] for r in data], list(range(first["seq"], first["seq"] - len(data), -1)))
    everything = page(s, "?limit=500").json["data"]
    walked, before = [], ""
    while True:
        part = page(s, f"?limit=7{before}").json["data"]
        if not part:
            break
        walked += part
        before = f"&before={part[-1]['createdAt']}"
    checks.equal("pages neither lose nor repeat", [r["id"] for r in walked], [r["id"] for r in everything])
    made = page(s, "?action=token.created&limit=500").json["data"]
    checks.equal("a filter", {r["action"] for r in made}, {"token.created"})
    checks.equal("finds all", len(made), sum(r["action"] == "token.created" for r in everything))
    checks.equal("pages of a filter", [r["id"] for r in page(s, f"?action=token.created&limit=2&before={made[0]['createdAt']}").json["data"]],
                 [r["id"] for r in made[1:3]])
    checks.equal("an action that never was", page(s, "?action=nope").json["data"], [])
    checks.equal("an offset in the time", page(s, "?before=1970-01-01T02:00:00%2B02:00").json["data"], [])
    for query in ("limit=0", "limit=501", "limit=x", "limit=-1", "before=yesterday", "before=", "action=", "before=2026-13-01T00:00:00Z", "limit=1&limit=2"):
        checks.equal(f"list with {query}", page(s, "?" + query).status, 400)
    for role, more in (("readwrite", []), ("readonly", []), ("admin", ["--database", "main"]), ("admin", ["--tables", "a"])):
        checks.equal(f"{role} {more} may not", page(s, token=s.mint(role, *more)["token"]).status, 403)
    p = Person(s, "owner@example.com", PASSWORD)
    p.sign_in()
    checks.equal("an owner may", p.ask("GET", "/api/namespaces/acme/audit?limit=1").status, 200)
    checks.equal("a viewer may not", person(s, "looks").ask("GET", "/api/namespaces/acme/audit").status, 403)
    checks.that("no secret is in it", not any(secret in json.dumps(everything) for secret in s.secrets if secret), "a secret")


# --- The format, read a second time ---

def encode(value):
    if value is None:
        return b"n"
    if isinstance(value, int):
        return b"i" + struct.pack(">q", value)
    text = value.encode()
    return b"t" + struct.pack(">I", len(text)) + text


def third_party(checks, s):
    """What someone with the export, the public key, SHA-256 and openssl finds."""
    text = s.run("audit", "export", "--data", s.data).stdout
    rows = signatures = 0
    last = None
    for line in map(json.loads, text.splitlines()):
        if "holdfastAudit" in line:
            last = bytes(32)
        elif "checkpoint" in line:
            columns = b"".join(encode(line[c]) for c in ("checkpoint", "chain", "seq", "rowHash", "createdAtMs", "keyId"))
            digest = hashlib.sha256(b"holdfast audit checkpoint 1\n" + bytes.fromhex(line["before"]) + columns).digest()
            checks.equal("a checkpoint's hash", digest.hex(), line["hash"])
            checks.equal("a checkpoint's row", line["rowHash"], last.hex())
            signatures += 1
            for name, content in (("digest", digest), ("signature", bytes.fromhex(line["signature"]))):
                with open(os.path.join(s.dir, name), "wb") as f:
                    f.write(content)
            done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", f"{s.data}/audit.pub", "-rawin", "-in", f"{s.dir}/digest",
                                   "-sigfile", f"{s.dir}/signature"], capture_output=True, text=True)
            checks.equal("openssl says of the signature", (done.returncode, done.stdout.strip()), (0, "Signature Verified Successfully"))
        elif "endSeq" not in line:
            last = hashlib.sha256(b"holdfast audit row 1\n" + last + b"".join(encode(line[c]) for c in COLUMNS)).digest()
            checks.equal("a row's hash", last.hex(), line["hash"])
            rows += 1
    checks.that("there were rows and signatures", rows > 20 and signatures >= 2, (rows, signatures))


# --- What is proved ---

def verify(s, data, *more):
    done = s.run("audit", "verify", "--data", data, "--json", *more, check=False)
    found = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, found


def copy(s, name):
    """control.db as a backup holds it, with what lies beside it."""
    to = os.path.join(s.dir, name)
    shutil.rmtree(to, ignore_errors=True)
    os.mkdir(to)
    for beside in ("audit.pub", "audit.head"):
        shutil.copy(os.path.join(s.data, beside), to)
    db = sqlite3.connect(os.path.join(s.data, "control.db"))
    db.execute("VACUUM INTO ?", (os.path.join(to, "control.db"),))
    db.close()
    return to


def tampering(checks, s):
    chain = s.control("SELECT id FROM namespace WHERE slug = 'acme'")[0][0]
    cases = {"change": ("UPDATE audit SET target_name = 'x' WHERE chain = :c AND seq = 3", 3, "does not fit its hash"),
             "delete": ("DELETE FROM audit WHERE chain = :c AND seq = 3", 3, "is missing"),
             "truncate": ("DELETE FROM audit WHERE chain = :c AND seq > 3", 4, "the chain ends with row 3, but checkpoint"),
             "forge": ("UPDATE audit_checkpoint SET signature = hash || hash WHERE number = 1", None, "forged signature")}
    for what, (sql, seq, says) in cases.items():
        to = copy(s, "tampered")
        db = sqlite3.connect(os.path.join(to, "control.db"))
        db.execute(sql, {"c": chain} if ":c" in sql else {})
        db.commit()
        db.close()
        status, found = verify(s, to)
        finding = (found.get("findings") or [{}])[0]
        checks.equal(f"{what}: status", status, 1)
        checks.that(f"{what}: named", finding.get("seq") == seq and says in finding.get("what", ""), found)
        if seq:
            checks.equal(f"{what}: where", (finding["namespace"], finding["chain"], finding["at"] is not None), ("acme", chain, True))
            text = s.run("audit", "verify", "--data", to, "--namespace", "acme", check=False)
            checks.that(f"{what}: for people", text.returncode == 1 and text.stdout.startswith(f"acme ({chain}), row {seq}, 20"), text.stdout)
        checks.equal(f"{what}: the server's chain is whole", {f["chain"] for f in found["findings"]} & {"server"}, set())


def copies(checks, s):
    checks.equal("while the server runs", verify(s, s.data)[0], 0)
    to = copy(s, "copy")
    before = sorted(os.listdir(to))
    for entry in before:
        os.chmod(os.path.join(to, entry), 0o444)
    os.chmod(to, 0o555)
    status, found = verify(s, to)
    checks.equal("a read-only copy", (status, found.get("whole"), found.get("findings")), (0, True, []))
    checks.equal("nothing is written beside it", sorted(os.listdir(to)), before)
    os.chmod(to, 0o755)
    os.unlink(os.path.join(to, "audit.pub"))
    checks.equal("without the key", s.run("audit", "verify", "--data", to, check=False).returncode, 1)
    checks.equal("with the key from elsewhere", verify(s, to, "--public-key", os.path.join(s.data, "audit.pub"))[0], 0)
    other = os.path.join(s.dir, "other.pub")
    with open(other, "w") as f:
        raw = base64.b64encode(bytes.fromhex("302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")).decode()
        f.write(f"-----BEGIN PUBLIC KEY-----\n{raw}\n-----END PUBLIC KEY-----\n")
    status, found = verify(s, to, "--public-key", other)
    checks.that("with another key", status == 1 and "is signed by a key" in found["findings"][0]["what"], found)
    for words, says in ((["--data", to, "--file", "x"], "either --data or --file"), ([], "either --data or --file"), (["--file", "x"], "--public-key"),
                        (["--data", s.data, "--checkpoint", "7"], "57:"), (["--data", s.data, "--checkpoint", "0:" + "0" * 64], "57:")):
        done = s.run("audit", "verify", *words, check=False)
        checks.equal(f"audit verify {words}", (done.returncode, says in done.stderr), (2, True))
    for words in (["verify", "--data", s.dir], ["export", "--data", s.dir], ["export", "--data", s.data, "--namespace", "nope"]):
        checks.equal(f"audit {words}", s.run("audit", *words, check=False).returncode, 1)


def exports(checks, s):
    key = os.path.join(s.data, "audit.pub")
    for words in ([], ["--namespace", "acme"], ["--namespace", "acme", "--format", "ndjson"]):
        text = s.run("audit", "export", "--data", s.data, *words).stdout
        done = s.run("audit", "verify", "--file", "-", "--public-key", key, input=text, check=False)
        checks.equal(f"an export {words} proves itself", (done.returncode, "is whole" in done.stdout), (0, True))
    name = os.path.join(s.dir, "acme.ndjson")
    for what, edited, status in (("as it is", text, 0), ("changed", text.replace('"database.created"', '"database.deleted"', 1), 1),
                                 ("without a row", "".join(line for line in text.splitlines(True) if '"seq":2,' not in line), 1),
                                 ("cut", text[:-1].rsplit("\n", 1)[0] + "\n", 2), ("no export", "hello\n", 2), ("empty", "", 2)):
        with open(name, "w") as f:
            f.write(edited)
        done = s.run("audit", "verify", "--file", name, "--public-key", key, check=False)
        checks.equal(f"an export {what}", done.returncode, status) or print("    ", done)


def roll_back(checks, binary):
    """An older control.db in the place of the newer one."""
    with Server(binary) as s:
        s.stop()
        older = os.path.join(s.dir, "older.db")
        shutil.copy(os.path.join(s.data, "control.db"), older)
        s.start()
        s.call("POST", "/v1/databases", {"slug": "forgotten"})
        s.stop()
        kept = verify(s, s.data)[1]["newestCheckpoint"]
        checks.equal("before", verify(s, s.data)[0], 0)
        shutil.copy(older, os.path.join(s.data, "control.db"))
        status, found = verify(s, s.data)
        checks.that("audit.head tells", status == 1 and "known from outside" in found["findings"][0]["what"], found)
        head = os.path.join(s.data, "audit.head")
        os.rename(head, head + ".away")
        checks.equal("without it nothing does", verify(s, s.data)[0], 0)
        checks.equal("but a checkpoint that was kept", verify(s, s.data, "--checkpoint", kept)[0], 1)
        os.rename(head + ".away", head)
        s.start()
        checks.that("the server says so", "audit_rolled_back" in s.log(), s.log()[-500:])
        row = s.control("SELECT before_values FROM audit WHERE action = 'audit.rolled_back'")
        checks.that("and records it", len(row) == 1 and kept in row[0][0], row)
        checks.equal("and goes on", (s.query("SELECT 1").status, verify(s, s.data)[0]), (200, 0))


def keys(checks, binary):
    with Server(binary) as s:
        path = os.path.join(s.data, "audit.key")
        with open(path) as f:
            secret = f.read()
        s.secrets.append(secret.splitlines()[1])
        checks.equal("the private key is the server's alone", stat.S_IMODE(os.stat(path).st_mode), 0o600)
        checks.that("the key is in no log", secret.splitlines()[1] not in s.log())
        checks.that("nor in the database", secret.splitlines()[1].encode() not in open(os.path.join(s.data, "control.db"), "rb").read())
        s.stop()
        os.unlink(path)
        s.start()
        s.call("POST", "/v1/databases", {"slug": "later"})
        s.stop()
        status, found = verify(s, s.data)
        checks.that("a lost key is replaced, the old signatures still hold", status == 0 and found["checkpoints"] >= 3, found)
        checks.equal("both are told", len(s.control("SELECT 1 FROM audit WHERE action = 'audit.key_used'")), 2)
        with open(os.path.join(s.data, "audit.pub")) as f:
            checks.equal("audit.pub holds both", f.read().count("BEGIN PUBLIC KEY"), 2)


def edited(checks, binary):
    """Rows edited behind a running server: its list stays JSON, it goes on writing, and verifying tells."""
    with Server(binary) as s:
        for sql in ("UPDATE audit SET after_values = '{\"not\": json' WHERE seq = 1", "UPDATE audit SET created_at = -5 WHERE seq = 1 AND chain LIKE 'ns%'",
                    "UPDATE audit SET created_at = 9223372036854775806 WHERE seq = 2 AND chain LIKE 'ns%'", "UPDATE audit SET target_name = x'ff00fe' WHERE seq = 3",
                    "UPDATE audit SET hash = 'x', action = '\"', actor_kind = x'00' WHERE seq = 4", "UPDATE audit SET created_at = 'text' WHERE seq = 3 AND chain LIKE 'ns%'"):
            db = sqlite3.connect(os.path.join(s.data, "control.db"))
            db.execute(sql)
            db.commit()
            db.close()
            answer = page(s, "?limit=500")
            checks.that(f"the list after {sql}", answer.status == 200 and answer.json["success"], answer)
        checks.equal("a change goes on", s.call("POST", "/v1/databases", {"slug": "later"}).status, 200)
        status, found = verify(s, s.data)
        checks.that("verifying names the first row", status == 1 and found["findings"][0]["seq"] == 1, found)
        checks.equal("an export of it can be made", s.run("audit", "export", "--data", s.data).returncode, 0)


def quarantine(checks, binary):
    """A database whose file is damaged: the server's own act, recorded once."""
    with Server(binary) as s:
        s.query("CREATE TABLE t(a)")
        name = s.control("SELECT id FROM database")[0][0]
        s.stop()
        with open(os.path.join(s.data, "db", name, "main.db"), "r+b") as f:
            f.write(b"not a database at all" * 100)
        s.start()
        for _ in range(3):
            checks.equal("it answers that it is damaged", s.query("SELECT * FROM t").json.get("code"), "corrupt")
        deadline = time.monotonic() + 20
        rows = []
        while not rows and time.monotonic() < deadline:
            rows = page(s, "?action=database.quarantined").json["data"]
        checks.equal("the quarantine is recorded once, as the server's act", [(r["targetId"], r["targetName"], r["actor"]["kind"]) for r in rows],
                     [(name, "main", "server")])


def main():
    checks, binary = Checks(), binary_argument()
    with Server(binary) as s:
        for part in (every_route, every_command, listing):
            checks.part(part, checks, s)
        s.stop()
        s.start()
        for part in (third_party, tampering, copies, exports):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    checks.part(bound, checks, binary)
    checks.part(roll_back, checks, binary)
    checks.part(keys, checks, binary)
    checks.part(edited, checks, binary)
    checks.part(quarantine, checks, binary)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
