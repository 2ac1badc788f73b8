#!/usr/bin/env python3
"""The authorization server's surroundings: who may register as a client, what the documents of discovery say, whatever Host says, and its keys.
Usage: test_oauth_server.py PATH-OF-HOLDFAST"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from oauth import CALLBACK, FORM, NOBODY, REFRESHING, app, basic, challenge, encode, owner, refused, register, sent_back, strict


def registering(checks, s):
    good = {"redirect_uris": [CALLBACK]}
    for what, changed, error in (
            ("no addresses", {"redirect_uris": []}, "invalid_client_metadata"), ("no list", {"redirect_uris": CALLBACK}, "invalid_client_metadata"), ("a number", {"redirect_uris": [1]}, "invalid_redirect_uri"),
            ("plain http", {"redirect_uris": ["http://app.example.com/"]}, "invalid_redirect_uri"), ("a fragment", {"redirect_uris": [CALLBACK + "#x"]}, "invalid_redirect_uri"),
            ("a scheme of its own", {"redirect_uris": ["app://x"]}, "invalid_redirect_uri"), ("javascript", {"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
            ("one bad of two", {"redirect_uris": [CALLBACK, "http://x.example.com/"]}, "invalid_redirect_uri"), ("twice", {"redirect_uris": [CALLBACK, CALLBACK]}, "invalid_redirect_uri"),
            ("too many", {"redirect_uris": [f"{CALLBACK}/{i}" for i in range(21)]}, "invalid_client_metadata"), ("a bad logout address", {"post_logout_redirect_uris": ["http://x.example.com/"]}, "invalid_redirect_uri"),
            ("private_key_jwt", {"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"), ("implicit", {"grant_types": ["implicit"]}, "invalid_client_metadata"),
            ("refresh alone", {"grant_types": ["refresh_token"]}, "invalid_client_metadata"), ("token", {"response_types": ["token"]}, "invalid_client_metadata"),
            ("none as algorithm", {"id_token_signed_response_alg": "none"}, "invalid_client_metadata"), ("HS256", {"id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
            ("a long name", {"client_name": "x" * 81}, "invalid_client_metadata"), ("a name that turns round", {"client_name": "safe\u202egro.live"}, "invalid_client_metadata"),
            ("a name of two lines", {"client_name": "a\nb"}, "invalid_client_metadata")):
        refused(checks, f"register: {what}", s.call("POST", "/oauth/register", {**good, **changed}, headers=NOBODY), 400, error)
    for what, body, kind in (("no JSON", b"{", "application/json"), ("a list", b"[]", "application/json"), ("nothing", b"", "application/json"), ("a form", b"a=b", "application/x-www-form-urlencoded"),
                             ("a key twice", b'{"redirect_uris":["https://a.example.com/"],"redirect_uris":[]}', "application/json")):
        refused(checks, f"register: {what}", s.call("POST", "/oauth/register", body, headers={**NOBODY, "Content-Type": kind}), 400, "invalid_client_metadata")
    made = s.call("POST", "/oauth/register", {**good, "client_name": "X", "unknown": [1], "token_endpoint_auth_method": "none", **REFRESHING}, headers=NOBODY)
    checks.equal("register", (made.status, made.json["token_endpoint_auth_method"], made.json["grant_types"], "client_secret" in made.json), (201, "none", REFRESHING["grant_types"], False))


def documents(checks, s):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        d = s.call("GET", path, headers=NOBODY).json
        checks.equal(path, (d["issuer"], d["token_endpoint"], d["response_types_supported"], d["code_challenge_methods_supported"], d["authorization_response_iss_parameter_supported"]),
                     (f"http://127.0.0.1:{s.port}", f"http://127.0.0.1:{s.port}/oauth/token", ["code"], ["S256"], True))
        checks.that(f"{path}: no none", "none" not in d["id_token_signing_alg_values_supported"], d)
    checks.equal("protected resource", s.call("GET", "/.well-known/oauth-protected-resource", headers=NOBODY).json["authorization_servers"], [f"http://127.0.0.1:{s.port}"])
    a = s.call("GET", "/.well-known/jwks.json", headers=NOBODY)
    checks.equal("keys", sorted((k["kty"], k["alg"], k["use"]) for k in a.json["keys"]), [("EC", "ES256", "sig"), ("RSA", "RS256", "sig")])
    checks.that("nothing private", all(not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(k) for k in a.json["keys"]), a.json)
    files = os.listdir(os.path.join(s.data, "keys"))
    checks.that("keys are for the owner alone", sorted(f[:5] for f in files) == ["ES256", "HS256", "RS256"] and all(os.stat(os.path.join(s.data, "keys", f)).st_mode & 0o777 == 0o600 for f in files), files)
    with open(s.log_path) as log:
        checks.that("no key in the log", "PRIVATE" not in log.read())


EVIL = "evil.example.com"


def hosts(checks, s):
    """Whatever a client writes into Host or near it, no document, redirect or token carries it."""
    a, b = app(s, "Hosts"), owner(s)
    paths = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource", "/oauth/authorize?" + encode(a.ask()), "/oauth/end-session")
    for path in paths:
        for host in (EVIL, f"{EVIL}:{s.port}", f"localhost.{EVIL}", f"127.0.0.1.{EVIL}:{s.port}", "192.0.2.7", f"192.0.2.7:{s.port}"):
            answer = s.call("GET", path, headers={**NOBODY, "Host": host})
            checks.that(f"{path[:30]} for {host}: refused", answer.status == 421 and b"--public-url" in answer.data, answer)
            checks.that(f"{path[:30]} for {host}: nothing of it", host.encode() not in answer.data and host not in str(answer.headers), answer)
    for form in ({"grant_type": "refresh_token", "refresh_token": "x"},):
        answer = s.call("POST", "/oauth/token", encode(form).encode(), headers={**NOBODY, **FORM, "Host": EVIL, "Authorization": basic(a.id, a.secret)})
        checks.equal("the token endpoint", answer.status, 421)
    for host in (f"localhost:{s.port}", "localhost:5000", f"127.0.0.1:{s.port}", "[::1]:80", "LOCALHOST"):
        d = s.call("GET", paths[0], headers={**NOBODY, "Host": host}).json
        checks.equal(f"{host} is its own", d.get("issuer"), f"http://{host}")
    near = {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https", "Forwarded": f"host={EVIL};proto=https", "X-Host": EVIL, "X-Original-Host": EVIL, "X-Forwarded-Server": EVIL}
    d = s.call("GET", paths[0], headers={**NOBODY, **near})
    checks.that("what proxies say is not asked", EVIL.encode() not in d.data and d.json["issuer"] == f"http://127.0.0.1:{s.port}", d)
    for target, status in ((f"http://{EVIL}{paths[0]}", 421), (f"http://127.0.0.1:{s.port}{paths[0]}", 200), (f"http://{EVIL}:{s.port}{paths[0]}", 421)):
        answer = s.call("GET", target, headers=NOBODY)
        checks.that(f"{target[:40]}: {status}", answer.status == status and EVIL.encode() not in answer.data, answer)
    answer = s.call("GET", f"http://{EVIL}{paths[0]}", headers={**NOBODY, "Host": EVIL})
    checks.that("the target and the header", answer.status == 421 and EVIL.encode() not in answer.data, answer)
    challenge = s.call("GET", "/v1/me", headers={**NOBODY, "Host": EVIL})
    checks.equal("a challenge names no address then", (challenge.status, challenge.headers.get("www-authenticate")), (401, 'Bearer realm="holdfast"'))
    checks.that("and else does", "resource_metadata" in s.call("GET", "/v1/me", headers=NOBODY).headers["www-authenticate"])
    checks.equal("queries do not care", s.call("GET", "/v1/me", headers={"Host": EVIL}).status, 200)


def keys(checks, s):
    a, b = app(s, "Keys", postLogoutRedirectUris=["https://app.example.com/bye"]), owner(s)
    token = a.redeem(b.code(a, scope="openid")).json["id_token"]
    listed = lambda: {k["kid"] for k in s.call("GET", "/.well-known/jwks.json", headers=NOBODY).json["keys"]}
    first = listed()
    s.run("key", "replace", "--data", s.data)
    checks.equal("new keys are published beside the old ones", (len(listed()), first < listed()), (4, True))
    hint = "/oauth/authorize?" + encode(a.ask(scope="openid", prompt="none", id_token_hint=token))
    checks.that("what the old ones signed holds", "code=" in b.call("GET", hint).headers["location"])
    s.run("key", "replace", "--data", s.data, "--at-once")
    checks.equal("after a leak the old ones are gone", (len(listed()), first & listed()), (2, set()))
    sent_back(checks, "what they signed is worth nothing", b.call("GET", hint), "invalid_request")
    checks.that("the new ones sign", a.redeem(b.code(a, scope="openid")).status == 200)


def main():
    checks, binary = Checks(), binary_argument()
    with Server(binary) as s:
        for part in (registering, documents, hosts, keys):
            checks.part(part, checks, s)
    with Server(binary, args=["--public-url", "https://db.example.com"]) as s:
        d = s.call("GET", "/.well-known/openid-configuration", headers=NOBODY).json
        checks.equal("the public address is the issuer", d["issuer"], "https://db.example.com")
        d = s.call("GET", "/.well-known/openid-configuration", headers={**NOBODY, "Host": EVIL})
        checks.that("whatever Host says", d.json["issuer"] == "https://db.example.com" and EVIL.encode() not in d.data, d)
        checks.that("HSTS", "max-age" in s.call("GET", "/oauth/authorize", headers=NOBODY).headers.get("strict-transport-security", ""))
    sys.exit(checks.end())


if __name__ == "__main__":
    main()
