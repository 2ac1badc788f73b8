#!/usr/bin/env python3
"""Agents that register themselves: what they discover, the assertion they get, what it is exchanged for, and everything that is
taken for an assertion and is none. Usage: test_agents.py PATH-OF-HOLDFAST"""
import base64
import json
import os
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from issuer import Issuer, Key, github
from oauth import part_of

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JOB = github("octo/agent", 7, 1)


def register(s, jwt, **more):
    answer = s.call("POST", "/agent/identity", {"type": "identity_assertion", "assertion": jwt, **more}, headers={"Authorization": None})
    if answer.status == 200:
        s.secrets.append(answer.json["identity_assertion"])
    return answer


def form(s, path, **fields):
    answer = s.call("POST", path, urllib.parse.urlencode(fields).encode(), headers={"Authorization": None, "Content-Type": "application/x-www-form-urlencoded"})
    if answer.status == 200 and answer.data and "access_token" in answer.json:
        s.secrets.append(answer.json["access_token"])
    return answer


def exchange(s, assertion, **more):
    return form(s, "/oauth/token", grant_type=GRANT, assertion=assertion, **more)


def refused(checks, what, answer, *words, error="invalid_grant", status=400):
    body = answer.json
    checks.that(f"{what}: {error}", answer.status == status and body["error"] == error and all(w in body["error_description"] for w in words), answer)


def discovered(checks, s, gh):
    base = f"http://127.0.0.1:{s.port}"
    found = s.call("GET", "/.well-known/oauth-authorization-server").json
    checks.equal("agent_auth", found["agent_auth"], {
        "skill": base + "/.well-known/auth.md", "identity_endpoint": base + "/agent/identity", "token_endpoint": base + "/oauth/token",
        "revocation_endpoint": base + "/oauth/revoke", "identity_types_supported": ["identity_assertion"]})
    checks.that("the grant is listed", GRANT in found["grant_types_supported"], found["grant_types_supported"])
    checks.equal("the resource names that server", s.call("GET", "/.well-known/oauth-protected-resource").json["authorization_servers"], [base])
    a = s.call("GET", "/.well-known/auth.md", headers={"Authorization": None})
    text = a.data.decode()
    checks.equal("auth.md is Markdown", (a.status, a.headers["content-type"]), (200, "text/markdown; charset=utf-8"))
    checks.that("with addresses that are this server's, and whom it trusts", f"POST {base}/agent/identity" in text and f"POST {base}/oauth/token" in text and f"`{gh.url}`" in text, text)
    checks.that("and no hole left", "%s" not in text and "(null)" not in text and text.startswith("# "), text)
    checks.equal("not for a Host that is not ours", s.call("GET", "/.well-known/auth.md", headers={"Host": "evil.example.com"}).status, 421)


def follows(checks, s, gh):
    """What auth.md says, step by step."""
    text = s.call("GET", "/.well-known/auth.md").data.decode()
    paths = [urllib.parse.urlsplit(u).path for u in re.findall(r"^POST (\S+)$", text, re.M)]
    checks.equal("its requests", paths[:3], ["/agent/identity", "/oauth/token", "/v1/db/<namespace>/<slug>/query"])
    a = register(s, gh.mint(JOB))
    if not checks.that("registered", a.status == 200, a):
        return
    checks.equal("for 30 days, and not to be stored on the way", (a.json["expires_in"], a.headers["cache-control"]), (2592000, "no-store"))
    assertion = a.json["identity_assertion"]
    head, claims = part_of(assertion, 0), part_of(assertion, 1)
    checks.equal("a use and an audience of its own", (head["alg"], claims["token_use"], claims["aud"]), ("ES256", "agent_assertion", f"http://127.0.0.1:{s.port}/oauth/token"))
    checks.that("by a published key", head["kid"] in [k["kid"] for k in s.call("GET", "/.well-known/jwks.json").json["keys"]], head)
    a = exchange(s, assertion)
    checks.that("exchanged", a.status == 200, a)
    token = a.json
    checks.equal("its members", {k: v for k, v in token.items() if k != "access_token"},
                 {"token_type": "Bearer", "expires_in": 3600, "scope": "database", "database": "octo-agent/main", "api_url": f"http://127.0.0.1:{s.port}"})
    ns, slug = token["database"].split("/")
    checks.equal("and used", s.call("POST", f"/v1/db/{ns}/{slug}/query", {"sql": "SELECT 1 AS ok"}, token=token["access_token"]).json["data"]["rows"], [[1]])
    again = exchange(s, assertion)
    checks.that("again and again", again.status == 200 and again.json["access_token"] != token["access_token"] and again.json["database"] == token["database"], again)
    same = s.call("POST", "/v1/identity/federate", token=gh.mint(JOB)).json["data"]
    s.secrets.append(same["token"])
    checks.equal("the same namespace as by federate", (same["namespace"], same["created"]), ("octo-agent", False))
    other = register(s, gh.mint(JOB)).json["identity_assertion"]
    kept = exchange(s, other).json["access_token"]
    checks.equal("given back", form(s, "/oauth/revoke", token=assertion).status, 200)
    refused(checks, "it is over", exchange(s, assertion), "POST /agent/identity")
    checks.equal("and its tokens", [s.call("GET", "/v1/me", token=t).status for t in (token["access_token"], again.json["access_token"])], [401, 401])
    checks.equal("the other one's are not", (s.call("GET", "/v1/me", token=kept).status, exchange(s, other).status), (200, 200))
    checks.equal("giving back again is fine", form(s, "/oauth/revoke", token=assertion).status, 200)
    log = [r[0] for r in s.control("SELECT action FROM audit WHERE chain = (SELECT id FROM namespace WHERE slug = 'octo-agent') ORDER BY seq")]
    checks.that("the log says all of it", {"machine.signed_up", "machine.assertion_issued", "token.created", "machine.assertion_revoked"} <= set(log), log)


def none_of_ours(checks, s, gh):
    good = register(s, gh.mint(JOB)).json["identity_assertion"]
    head, claims, signature = good.split(".")
    b64 = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    mine = Key(gh.dir, "ES256")
    forged = mine.sign(f"{head}.{claims}")
    before = s.control("SELECT count(*) FROM token")
    bad = {"the issuer's own token": gh.mint(JOB), "an access token": s.token, "nothing": "", "rubbish": "x", "two parts": f"{head}.{claims}", "no signature": f"{head}.{claims}.",
           "alg none": b64({**part_of(good, 0), "alg": "none"}) + f".{claims}.", "another key's signature": f"{head}.{claims}." + base64.urlsafe_b64encode(forged).decode().rstrip("="),
           "another machine": f"{head}." + b64({**part_of(good, 1), "sub": "mac_0"}) + f".{signature}", "another type": b64({**part_of(good, 0), "typ": "at+jwt"}) + f".{claims}.{signature}",
           "a key that comes along": b64({**part_of(good, 0), "jwk": mine.jwk}) + f".{claims}.{signature}", "a changed signature": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
           "too long": "x." * 9000}
    for what, text in bad.items():
        a = exchange(s, text)
        checks.that(f"{what} is no assertion", a.status == 400 and a.json["error"] in ("invalid_grant", "invalid_request"), a)
    checks.equal("no token was made", s.control("SELECT count(*) FROM token"), before)
    refused(checks, "none at all", form(s, "/oauth/token", grant_type=GRANT), "identity_assertion", error="invalid_request")
    refused(checks, "another resource", exchange(s, good, resource="https://elsewhere.example.com"), error="invalid_target")
    refused(checks, "an unknown grant names this one", form(s, "/oauth/token", grant_type="password", client_id="x"), error="invalid_client", status=401)
    for path in ("/v1/me", "/userinfo"):
        checks.equal(f"an assertion is no bearer of {path}", s.call("GET", path, token=good).status, 401)
    checks.equal("nor of federate", s.call("POST", "/v1/identity/federate", token=good).status, 401)
    checks.equal("nor a hint of who somebody was", s.call("GET", f"/oauth/end-session?id_token_hint={good}", headers={"Authorization": None}).status, 400)
    checks.equal("it is still good", exchange(s, good).status, 200)


def registrations(checks, s, gh):
    for what, body in (("another type", {"type": "anonymous", "assertion": "x.y.z"}), ("no type", {"assertion": "x.y.z"}), ("no assertion", {"type": "identity_assertion"}), ("a number", {"type": "identity_assertion", "assertion": 7})):
        a = s.call("POST", "/agent/identity", body, headers={"Authorization": None})
        checks.that(f"{what}: 400 and where", a.status == 400 and a.json.get("pointer"), a)
    checks.equal("no body", s.call("POST", "/agent/identity", b"", headers={"Authorization": None}).status, 400)
    a = register(s, gh.mint({**JOB, "aud": "other"}))
    checks.that("a token for others", a.status == 401 and "OIDC verification failed" in a.json["error"], a)
    a = register(s, gh.mint(github("evil/agent", 8, 2)))
    checks.that("one that may not sign up", a.status == 403 and "--self-signup" in a.json["error"], a)


def over(checks, s, gh):
    assertion = register(s, gh.mint(JOB)).json["identity_assertion"]
    jti = part_of(assertion, 1)["jti"]
    s.control("UPDATE machine_assertion SET expires_at = ? WHERE id = ?", (int(time.time() * 1000), jti), write=True)
    refused(checks, "an assertion past its time", exchange(s, assertion), "expired")
    first = register(s, gh.mint(JOB)).json["identity_assertion"]
    for _ in range(100):
        last = register(s, gh.mint(JOB)).json["identity_assertion"]
    refused(checks, "more than a hundred: the oldest ends", exchange(s, first))
    checks.equal("the newest is good", exchange(s, last).status, 200)
    s.control("UPDATE namespace SET deleted_at = ? WHERE slug = 'octo-agent'", (int(time.time() * 1000),), write=True)
    refused(checks, "a deleted namespace", exchange(s, last), "namespace is gone")
    s.control("UPDATE namespace SET deleted_at = NULL WHERE slug = 'octo-agent'", write=True)
    checks.equal("restored", exchange(s, last).status, 200)
    s.run("key", "replace", "--data", s.data)
    checks.equal("an assertion outlives new keys", exchange(s, last).status, 200)
    s.run("key", "replace", "--at-once", "--data", s.data)
    refused(checks, "but not a leak", exchange(s, last), "POST /agent/identity")


def main():
    checks = Checks()
    with Issuer() as gh, Server(binary_argument(), args=["--trust-issuer", "github=" + gh.url, "--self-signup", "octo"]) as s:
        for part in (discovered, follows, none_of_ours, registrations, over):
            checks.part(part, checks, s, gh)
        checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
