#!/usr/bin/env python3
"""POST /v1/sessions: the JWT that an app's server gets for one of its users: what is in it, who may ask, and that it opens nothing
else. Usage: test_end_sessions.py PATH-OF-HOLDFAST"""
import json
import os
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from oauth import part_of

SESSIONS = "/v1/sessions"
GOOD = {"namespaceSlug": "acme", "databaseSlug": "main", "userId": "user_42", "email": "alice@example.com", "expiresIn": 600}


def refused(checks, what, answer, status, pointer=None, words=""):
    body = answer.json
    checks.that(f"{what}: {status} {pointer or ''}", answer.status == status and (pointer is None or body.get("pointer") == pointer) and words in body["error"], answer)


def minted(checks, s):
    a = s.call("POST", SESSIONS, GOOD)
    if not checks.that("200", a.status == 200, a):
        return
    data = a.json["data"]
    s.secrets.append(data["token"])
    checks.equal("its members", (sorted(data), data["expiresIn"]), (["expiresAt", "expiresIn", "token"], 600))
    head, claims = part_of(data["token"], 0), part_of(data["token"], 1)
    main = s.call("GET", "/v1/databases/main").json["data"]["id"]
    checks.equal("HS256 with a type of its own", (head["alg"], head["typ"]), ("HS256", "holdfast-session+jwt"))
    checks.equal("for one user in one database", (claims["sub"], claims["email"], claims["aud"], claims["exp"] - claims["iat"]), ("user_42", "alice@example.com", main, 600))
    checks.that("from now on", abs(claims["iat"] - time.time()) < 60, claims)
    other = s.call("POST", SESSIONS, {"databaseSlug": "main", "userId": "u"}).json["data"]
    checks.equal("an hour, where nobody says", (other["expiresIn"], "email" in part_of(other["token"], 1)), (3600, False))
    rows = s.call("GET", "/api/namespaces/acme/audit?action=end_session.created").json["data"]
    checks.equal("both are audited", [(r["targetType"], r["targetId"], r["targetName"], r["actor"]["kind"], r["metadata"]) for r in rows],
                 [("database", main, "main", "token", {"expiresAt": d["expiresAt"]}) for d in (other, data)])
    checks.that("without whose they are", "user_42" not in str(rows) and "alice" not in str(rows), rows)
    for method, path in (("GET", "/v1/me"), ("POST", "/v1/db/acme/main/query"), ("GET", "/api/namespaces/acme/tokens"), ("POST", SESSIONS)):
        a = s.call(method, path, {"sql": "SELECT 1"} if method == "POST" else None, token=data["token"])
        checks.that(f"it is no API token: {method} {path}", a.status == 401 and "Invalid token format" in a.json["error"], a)
    a = s.call("GET", "/userinfo", token=data["token"])
    checks.equal("nor an access token", a.status, 401)
    a = s.call("POST", "/oauth/introspect", b"token=" + data["token"].encode(), headers={"Content-Type": "application/x-www-form-urlencoded", "Authorization": None})
    checks.equal("nor known to introspection", a.status, 401)


def who_may(checks, s):
    s.call("POST", "/v1/databases", {"slug": "other"})
    bound = s.mint("admin", "--database", "main")["token"]
    checks.equal("a token of that database may", s.call("POST", SESSIONS, GOOD, token=bound).status, 200)
    for slug in ("other", "absent"):
        refused(checks, f"but for {slug}", s.call("POST", SESSIONS, {**GOOD, "databaseSlug": slug}, token=bound), 403, words="Token scope does not include this database")
    refused(checks, "a database that is not there", s.call("POST", SESSIONS, {**GOOD, "databaseSlug": "absent"}), 400, "/databaseSlug")
    refused(checks, "another namespace", s.call("POST", SESSIONS, {**GOOD, "namespaceSlug": "globex"}), 403, words="Token namespace mismatch")
    for role in ("readonly", "readwrite"):
        refused(checks, role, s.call("POST", SESSIONS, GOOD, token=s.mint(role)["token"]), 403)
    refused(checks, "some tables", s.call("POST", SESSIONS, GOOD, token=s.mint("admin", "--tables", "a")["token"]), 403, words="without tableScope")
    claims = s.call("POST", "/api/namespaces/acme/tokens", {"name": "rows", "role": "admin", "claims": {"tenant": "a"}}).json["data"]["token"]
    refused(checks, "some rows", s.call("POST", SESSIONS, GOOD, token=claims), 403, words="without claims")
    short = s.mint("admin", "--expires-in", "120s")["token"]
    checks.that("no longer than the token that asks", s.call("POST", SESSIONS, {"databaseSlug": "main", "userId": "u"}, token=short).json["data"]["expiresIn"] <= 120)
    refused(checks, "nor when asked to", s.call("POST", SESSIONS, GOOD, token=short), 400, "/expiresIn")


def bad_input(checks, s):
    for name, values in {"userId": [None, "", "x" * 257, "a\u0000b", "a\nb", 7, ["x"]], "databaseSlug": [None, "", 1, "x" * 64], "email": ["", "x" * 255, 5, "a\tb"],
                         "expiresIn": [59, 86401, -1, "60", 60.5], "namespaceSlug": ["", 5, {}]}.items():
        for value in values:
            a = s.call("POST", SESSIONS, {**GOOD, name: value})
            checks.that(f"{name} {value!r}", a.status == 400 and a.json.get("pointer", "").startswith(f"/{name}") or "\\u0000" in json.dumps(value) and a.status == 400, a)
    for raw in (b"", b"{", b"[]", b"null"):
        checks.equal(f"the body {raw}", s.call("POST", SESSIONS, raw).status, 400)


def keys(checks, s):
    found = [os.path.join(s.data, "keys", f) for f in os.listdir(os.path.join(s.data, "keys")) if f.endswith(".key")]
    checks.that("one key, of the owner alone", len(found) == 1 and stat.S_IMODE(os.stat(found[0]).st_mode) == 0o600, found)
    with open(found[0]) as f:
        secret = f.read()
    with open(os.path.join(s.data, "control.db"), "rb") as f:
        checks.that("and not in the control database", secret.encode() not in f.read() and bytes.fromhex(secret) not in open(os.path.join(s.data, "control.db"), "rb").read())
    kid = part_of(s.call("POST", SESSIONS, GOOD).json["data"]["token"], 0)["kid"]
    checks.that("nothing of it is published", kid not in s.call("GET", "/.well-known/jwks.json").data.decode())
    s.run("key", "replace", "--at-once", "--data", s.data)
    checks.that("key replace changes it", part_of(s.call("POST", SESSIONS, GOOD).json["data"]["token"], 0)["kid"] != kid and not os.path.exists(found[0]))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (minted, who_may, bad_input, keys):
            checks.part(part, checks, s)
        checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
