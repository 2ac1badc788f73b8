#!/usr/bin/env python3
"""The authorization server from outside: the whole flow, what people see, what each part is bound to, and how it is attacked.
Usage: test_oauth.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from oauth import (CALLBACK, FORM, NOBODY, REFRESHING, VERIFIER, Browser, Page, app, basic, challenge, claims_of, console, encode, on_page, owner,
                   parameters, refused, register, sent_back, strict)
from people import Person

# --- The flow ------------------------------------------------------------------------------------------------------

def flow(checks, s):
    a, b = app(s, "Tea & <b>Biscuits</b>"), owner(s)
    first = b.authorize(a.ask())
    page = Page(first)
    checks.that("a stranger sees the sign-in page", first.status == 200 and page.action == "/oauth/sign-in", first)
    strict(checks, "sign-in page", first)
    checks.that("the app's name is text", "Tea & <b>Biscuits</b>" in page.text and "<b>Biscuits" not in page.raw, page.raw)
    wrong = b.sign_in(page, "not the password at all")
    checks.that("a wrong password shows the page again", wrong.status == 401 and "wrong" in Page(wrong).text, wrong)
    second = b.sign_in(page)
    page = Page(second)
    checks.that("then the consent page", second.status == 200 and page.action.startswith("/oauth/authorize?"), second)
    strict(checks, "consent page", second)
    checks.that("it says who asks, for what, and as whom", all(t in page.text for t in ("Tea & <b>Biscuits</b>", "https://app.example.com", "owner@example.com", "private database")), page.text)
    checks.that("its form may lead to the app alone", "form-action 'self' https://app.example.com;" in second.headers["content-security-policy"], second.headers)
    back = b.decide(page)
    got = parameters(back.headers["location"])
    checks.equal("sent back with code, state and iss", (back.status, set(got), got["state"], got["iss"]), (303, {"code", "state", "iss"}, "st-1", f"http://127.0.0.1:{s.port}"))
    t = a.redeem(got["code"])
    checks.equal("tokens", (t.status, t.json["token_type"], t.json["scope"], t.json["database"], t.json["user_email"], t.json["api_url"]),
                 (200, "Bearer", "openid database", "acme/tea-b-biscuits-b", "owner@example.com", f"http://127.0.0.1:{s.port}"))
    checks.that("an app of a namespace keeps its token until it is taken back", "expires_in" not in t.json and "refresh_token" not in t.json, t.json)
    claims = claims_of(t.json["id_token"])
    checks.equal("ID token", (claims["iss"], claims["aud"], claims["nonce"], claims["exp"] - claims["iat"]), (f"http://127.0.0.1:{s.port}", a.id, "n-1", 3600))
    checks.that("auth_time", 0 <= claims["iat"] - claims["auth_time"] < 60, claims)
    token = t.json["access_token"]
    checks.equal("its database", s.call("POST", f"/v1/db/{t.json['database']}/query", {"sql": "CREATE TABLE t(a)"}, token=token).status, 200)
    checks.equal("no other database", s.query("SELECT 1", token=token).status, 403)
    checks.equal("no new databases", s.call("POST", "/v1/databases", {"slug": "x"}, token=token).status, 403)
    checks.equal("userinfo by scope", s.call("GET", "/userinfo", token=token).json, {"sub": claims["sub"]})
    checks.equal("introspection", {k: a.introspect(token).json[k] for k in ("active", "client_id", "scope", "sub")},
                 {"active": True, "client_id": a.id, "scope": "openid database", "sub": claims["sub"]})
    again = b.authorize(a.ask())
    checks.that("consent is remembered", again.status == 303 and "code=" in again.headers["location"], again)
    checks.equal("the same database on another device", a.redeem(parameters(again.headers["location"])["code"]).json["database"], t.json["database"])
    more = b.authorize(a.ask(scope="openid database email"))
    checks.that("more is asked for again", more.status == 200 and "e-mail address" in Page(more).text, more)
    sent_back(checks, "no", b.decide(Page(more), "deny"), "access_denied")
    sent_back(checks, "neither yes nor no", b.decide(Page(more), None), "access_denied")


def withdrawing(checks, s):
    a, b, p = app(s, "Withdrawn", refreshTokens=True), owner(s), console(s)
    t = a.redeem(b.code(a)).json
    listed = [x for x in p.ask("GET", "/api/me/connected-apps").json["data"] if x["clientId"] == a.id]
    checks.equal("what I gave", [(x["name"], x["scopes"], x["database"]) for x in listed], [("Withdrawn", ["openid", "database"], {"namespace": "acme", "slug": "withdrawn"})])
    query = ("POST", f"/v1/db/{t['database']}/query", {"sql": "SELECT 1"})
    checks.equal("before", s.call(*query, token=t["access_token"]).status, 200)
    late = b.code(a)
    checks.equal("withdraw", p.ask("DELETE", f"/api/me/connected-apps/{a.id}").status, 200)
    checks.equal("the next request is refused", s.call(*query, token=t["access_token"]).status, 401)
    refused(checks, "refreshing", a.refresh(t["refresh_token"]), 400, "invalid_grant")
    refused(checks, "a code on its way", a.redeem(late), 400, "invalid_grant")
    checks.equal("introspection", a.introspect(t["access_token"]).json, {"active": False})
    checks.equal("userinfo", s.call("GET", "/userinfo", token=t["access_token"]).status, 401)
    checks.equal("withdraw again", p.ask("DELETE", f"/api/me/connected-apps/{a.id}").status, 404)
    asked = b.authorize(a.ask())
    checks.that("the person is asked again", asked.status == 200, asked)
    t = a.redeem(parameters(b.decide(Page(asked)).headers["location"])["code"]).json
    checks.equal("and the database is the same", t["database"], "acme/withdrawn")
    checks.equal("deleting the app", p.ask("DELETE", f"/api/namespaces/acme/oauth-clients/{a.row}").status, 200)
    checks.equal("ends all as well", s.call(*query, token=t["access_token"]).status, 401)
    refused(checks, "and it is nobody", a.refresh(t["refresh_token"]), 401, "invalid_client")


def people_who_go(checks, s):
    """A token acts for its person: suspended, demoted, deleted, the token follows at the next request."""
    a = app(s, "Follows", refreshTokens=True)
    for name in ("gone", "held"):
        s.run("user", "create", "--email", f"{name}@example.com", "--data", s.data, input=PASSWORD + "\n")
    gone, held = (Browser(s, f"{n}@example.com", PASSWORD) for n in ("gone", "held"))
    t = {b.email: a.redeem(b.code(a)).json for b in (gone, held)}
    ask = lambda b: s.call("POST", f"/v1/db/{t[b.email]['database']}/query", {"sql": "SELECT 1"}, token=t[b.email]["access_token"]).status
    checks.equal("each has a database of its own", ([ask(b) for b in (gone, held)], len({x["database"] for x in t.values()})), ([200, 200], 2))
    checks.equal("not the other's", s.call("POST", f"/v1/db/{t[held.email]['database']}/query", {"sql": "SELECT 1"}, token=t[gone.email]["access_token"]).status, 403)
    s.run("user", "suspend", held.email, "--data", s.data)
    checks.equal("suspended", ask(held), 401)
    refused(checks, "refreshing while suspended", a.refresh(t[held.email]["refresh_token"]), 400, "invalid_grant")
    s.run("user", "resume", held.email, "--data", s.data)
    checks.equal("resumed", ask(held), 200)
    p = Person(s, gone.email, PASSWORD)
    p.sign_in()
    answer = p.ask("POST", "/api/auth/delete-user")
    if answer.status == 409:  # the only owner of a namespace ends that first
        for n in p.ask("GET", "/api/namespaces").json["data"]:
            p.ask("DELETE", f"/api/namespaces/{n['slug']}")
        checks.equal("a deleted namespace opens nothing", ask(gone), 401)
    else:
        checks.equal("account deleted", (answer.status, ask(gone)), (200, 401))


def connecting(checks, s):
    a, b = app(s, "Connects", databaseMode="connect"), owner(s)
    page = Page(b.sign_in(Page(b.authorize(a.ask(scope="database")))))
    checks.that("the person chooses", "acme/main" in page.raw and "database that you choose" in page.text, page.raw)
    for place in ("acme/nope", "other/main", "main", "", "acme/", "/main", "acme/main/x", "acme/../main", None):
        on_page(checks, f"the database {place}", b.decide(page, database=place), 403)
    t = a.redeem(parameters(b.decide(page, database="acme/main").headers["location"])["code"])
    checks.equal("without openid", ("id_token" in t.json, t.json["database"]), (False, "acme/main"))
    checks.equal("it is used", s.query("SELECT 1", token=t.json["access_token"]).status, 200)
    a = s.call("GET", "/userinfo", token=t.json["access_token"])
    refused(checks, "userinfo without openid", a, 403, "insufficient_scope")
    checks.that("says which scope", 'scope="openid"' in a.headers.get("www-authenticate", ""), a.headers)


def login_alone(checks, s):
    a, b = register(s, token_endpoint_auth_method="none", id_token_signed_response_alg="ES256", **REFRESHING), owner(s)
    t = a.redeem(b.code(a, scope="openid email profile"), "none").json
    checks.equal("login", (t["scope"], t["expires_in"], "database" in t, t["access_token"][:9]), ("openid email profile", 3600, False, "psql_oat_"))
    checks.equal("userinfo", s.call("GET", "/userinfo", token=t["access_token"]).json["email"], "owner@example.com")
    checks.equal("userinfo by POST", s.call("POST", "/userinfo", token=t["access_token"]).status, 200)
    for path in ("/v1/me", "/v1/databases", "/v1/db/acme/main/tables"):
        checks.equal(f"no data: {path}", s.call("GET", path, token=t["access_token"]).status, 401)
        checks.equal(f"no data by refresh token: {path}", s.call("GET", path, token=t["refresh_token"]).status, 401)


# --- Requests that are wrong -----------------------------------------------------------------------------------------

def redirects(checks, s):
    a, b = app(s), owner(s)
    for uri in (CALLBACK + "/", CALLBACK + "?", CALLBACK + "?a=b", CALLBACK + "#", CALLBACK + "#x", CALLBACK.upper(), "https://APP.example.com/callback", "https://app.example.com:443/callback",
                "https://app.example.com/Callback", "https://app.example.com/call%62ack", "https://app.example.com//callback", "https://app.example.com/a/../callback", "https://u@app.example.com/callback",
                "https://app.example.com@evil.example.com/callback", "https://app.example.com.evil.example.com/callback", "https://evil.example.com/callback", "http://app.example.com/callback",
                "https://app.example.com\\@evil.example.com/callback", "javascript:alert(1)", "//app.example.com/callback", "/callback", "", None, CALLBACK + " ", " " + CALLBACK, CALLBACK + "\u00e9",
                CALLBACK + "\r\nX: y", "https://app.example.com", "x" * 3000):
        on_page(checks, f"redirect_uri {str(uri)[:60]!r}", b.authorize(a.ask(redirect_uri=uri)))
    for what, params in (("no client_id", a.ask(client_id=None)), ("an empty client_id", a.ask(client_id="")), ("an unknown client_id", a.ask(client_id="psqlrp_s00_nobody")),
                         ("the row's id", a.ask(client_id=a.row)), ("SQL", a.ask(client_id="' OR 1=1 --")), ("no parameters", "")):
        on_page(checks, what, b.authorize(params))
    for twice in ("client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "response_type", "resource", "prompt"):
        on_page(checks, f"{twice} twice", b.authorize(encode(a.ask(resource=f"http://127.0.0.1:{s.port}", prompt="login")) + f"&{twice}=x"))
    for query in ("client_id=%zz", "client_id=%ff", "client_id=%00", "=x", "&".join(f"p{i}=1" for i in range(40))):
        on_page(checks, f"the query {query[:20]}", b.authorize(query))
    local = register(s, "http://127.0.0.1/cb", token_endpoint_auth_method="none")
    for uri, ok in (("http://127.0.0.1:5001/cb", True), ("http://127.0.0.1/cb", True), ("http://127.0.0.1:5001/other", False), ("http://localhost:5001/cb", False), ("http://[::1]:5001/cb", False),
                    ("https://127.0.0.1:5001/cb", False), ("http://127.0.0.1:5001/cb?x=1", False), ("http://127.0.0.1:99999/cb", False), ("http://127.0.0.1:1@evil.example.com/cb", False)):
        answer = b.authorize(local.ask(redirect_uri=uri))
        checks.equal(f"loopback {uri}", answer.status, 200 if ok else 400)
    six = register(s, "http://[::1]:3000/cb", token_endpoint_auth_method="none")
    code = parameters(b.consent(six.ask(redirect_uri="http://[::1]:4711/cb")).headers["location"])["code"]
    refused(checks, "another port than the request's", six.redeem(code, "none", redirect_uri="http://[::1]:3000/cb"), 400, "invalid_grant")
    checks.equal("the port that was asked for", six.redeem(code, "none", redirect_uri="http://[::1]:4711/cb").status, 200)
    asked = b.authorize(six.ask(redirect_uri="http://[::1]:4712/cb"))
    checks.that("a program of this machine is asked for each time", asked.status == 200 and "runs on this computer" in Page(asked).text, asked)


def requests(checks, s):
    a, b = app(s), owner(s)
    good = challenge(VERIFIER)
    for what, changed, error in (
            ("no response_type", {"response_type": None}, "invalid_request"), ("token", {"response_type": "token"}, "unsupported_response_type"),
            ("code token", {"response_type": "code token"}, "unsupported_response_type"), ("code id_token", {"response_type": "code id_token"}, "unsupported_response_type"),
            ("none", {"response_type": "none"}, "unsupported_response_type"), ("CODE", {"response_type": "CODE"}, "unsupported_response_type"),
            ("fragment", {"response_mode": "fragment"}, "invalid_request"), ("form_post", {"response_mode": "form_post"}, "invalid_request"),
            ("no challenge", {"code_challenge": None, "code_challenge_method": None}, "invalid_request"), ("a method alone", {"code_challenge": None}, "invalid_request"),
            ("plain", {"code_challenge_method": "plain"}, "invalid_request"), ("no method, which is plain", {"code_challenge_method": None}, "invalid_request"),
            ("s256", {"code_challenge_method": "s256"}, "invalid_request"), ("an empty challenge", {"code_challenge": ""}, "invalid_request"),
            ("a short challenge", {"code_challenge": good[:-1]}, "invalid_request"), ("a long challenge", {"code_challenge": good + "A"}, "invalid_request"),
            ("a padded challenge", {"code_challenge": good + "="}, "invalid_request"), ("base64", {"code_challenge": good[:-1] + "+"}, "invalid_request"),
            ("a scope of nothing", {"scope": "nothing"}, "invalid_scope"), ("an empty scope", {"scope": ""}, "invalid_scope"), ("offline alone", {"scope": "offline_access"}, "invalid_scope"),
            ("two blanks", {"scope": "openid  email"}, "invalid_scope"), ("a scope twice", {"scope": "openid openid"}, "invalid_scope"), ("a quote", {"scope": 'openid "'}, "invalid_scope"),
            ("another resource", {"resource": "https://other.example.com"}, "invalid_target"), ("an empty resource", {"resource": ""}, "invalid_target"),
            ("part of the resource", {"resource": f"http://127.0.0.1:{s.port}/v1"}, "invalid_target"), ("a relative resource", {"resource": "/"}, "invalid_target"),
            ("a resource with a fragment", {"resource": f"http://127.0.0.1:{s.port}/#x"}, "invalid_target"),
            ("prompt none and login", {"prompt": "none login"}, "invalid_request"), ("prompt of nothing", {"prompt": "create"}, "invalid_request"), ("an empty prompt", {"prompt": ""}, "invalid_request"),
            ("prompt none", {"prompt": "none"}, "login_required"), ("max_age", {"max_age": "soon"}, "invalid_request"), ("max_age -1", {"max_age": "-1"}, "invalid_request"),
            ("max_age 1.5", {"max_age": "1.5"}, "invalid_request"), ("max_age that wraps", {"max_age": "99999999999999999999"}, "invalid_request"),
            ("request", {"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"), ("request_uri", {"request_uri": "http://127.0.0.1:1/"}, "request_uri_not_supported"),
            ("registration", {"registration": "{}"}, "registration_not_supported"), ("a hint", {"id_token_hint": "x"}, "invalid_request"),
            ("a forged hint", {"id_token_hint": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfMSJ9."}, "invalid_request"), ("a long nonce", {"nonce": "n" * 600}, "invalid_request")):
        sent_back(checks, what, b.authorize(a.ask(**changed)), error)
    long_state = b.authorize(a.ask(state="s" * 2001))
    checks.equal("a long state", parameters(long_state.headers["location"])["error"], "invalid_request")
    odd = "\u00e4 &=?#%\"<>'"
    sent_back(checks, "any state comes back as it was", b.authorize(a.ask(state=odd, prompt="none")), "login_required", odd)
    sent_back(checks, "no state", b.authorize(a.ask(state=None, prompt="none")), "login_required", None)
    queried = register(s, "https://app.example.com/cb?tenant=7")
    sent_back(checks, "behind the app's own parameters", b.authorize(queried.ask(prompt="none")), "login_required", callback="https://app.example.com/cb?tenant=7")


def prompts(checks, s):
    a, b = app(s, "Prompts"), owner(s)
    code = b.code(a, scope="openid")
    token = a.redeem(code).json["id_token"]
    sub = claims_of(token)["sub"]
    checks.that("none: known and signed in", "code=" in b.authorize(a.ask(scope="openid", prompt="none")).headers.get("location", ""))
    sent_back(checks, "none: more than was given", b.authorize(a.ask(scope="openid email", prompt="none")), "consent_required")
    checks.that("none with a hint of the same person", "code=" in b.authorize(a.ask(scope="openid", prompt="none", id_token_hint=token)).headers.get("location", ""))
    for what, prompt in (("login", "login"), ("select_account", "select_account")):
        page = Page(b.authorize(a.ask(scope="openid", prompt=prompt)))
        checks.that(f"{what}: the password again", page.action == "/oauth/sign-in" and 'value="owner@example.com"' in page.raw, page.raw)
        checks.that(f"{what}: and then on", "code=" in b.sign_in(page).headers.get("location", ""))
    page = Page(b.authorize(a.ask(scope="openid", max_age="0")))
    checks.that("max_age 0: the password again", page.action == "/oauth/sign-in", page.raw)
    back = b.sign_in(page)
    checks.that("max_age 0: and then on", "code=" in back.headers.get("location", ""), back)
    checks.that("max_age of an hour", "code=" in b.authorize(a.ask(scope="openid", max_age="3600")).headers.get("location", ""))
    checks.that("consent: asked again", Page(b.authorize(a.ask(scope="openid", prompt="consent"))).action.startswith("/oauth/authorize?"))
    both = b.sign_in(Page(b.authorize(a.ask(scope="openid", prompt="login consent"))))
    checks.that("login consent: both", both.status == 200 and Page(both).action.startswith("/oauth/authorize?"), both)
    s.run("user", "create", "--email", "bob@example.com", "--data", s.data, input=PASSWORD + "\n")
    bob = Browser(s, "bob@example.com", PASSWORD)
    bob.consent(a.ask(scope="openid"))
    sent_back(checks, "a hint of another person", bob.authorize(a.ask(scope="openid", prompt="none", id_token_hint=token)), "login_required")
    checks.that("subjects differ", claims_of(a.redeem(bob.code(a, scope="openid")).json["id_token"])["sub"] != sub)


def forms(checks, s):
    a, b = app(s, "Forms"), owner(s)
    page = Page(b.sign_in(Page(b.authorize(a.ask()))))
    other = Browser(s, "owner@example.com", PASSWORD)
    stolen = Page(other.sign_in(Page(other.authorize(a.ask()))))
    for token in ("", "0" * 64, page.fields["csrf"][:-1], stolen.fields["csrf"], None):
        on_page(checks, f"the form's token {token and token[:6]}", b.decide(page, csrf=token), 403)
    for headers in ({"Origin": "https://evil.example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        on_page(checks, f"consent with {headers}", b.call("POST", page.action, {**page.fields, "decision": "allow"}, headers), 403)
        on_page(checks, f"sign in with {headers}", Browser(s, "x@example.com", "x").call("POST", "/oauth/sign-in", {"request": encode(a.ask())}, headers), 403)
    on_page(checks, "a consent as JSON", b.call("POST", page.action, {**page.fields, "decision": "allow"}, {"Content-Type": "application/json"}))
    stranger = Browser(s, "x@example.com", "x")
    answer = stranger.decide(page)
    checks.that("a stranger's consent is worth nothing", answer.status == 401 and Page(answer).action == "/oauth/sign-in", answer)
    on_page(checks, "a namespace of others", b.decide(page, namespace="other"), 403)
    changed = page.action.replace("app.example.com", "evil.example.com")
    on_page(checks, "a consent for another address", b.call("POST", changed, {**page.fields, "decision": "allow"}))
    for request in ("", "client_id=x", encode(a.ask(redirect_uri="https://evil.example.com/")), "%zz", "https://evil.example.com/"):
        on_page(checks, f"sign in for {request[:30]!r}", b.call("POST", "/oauth/sign-in", {"request": request, "email": b.email, "password": b.password}))
    hostile = Page(b.authorize(a.ask(prompt="login", login_hint='"><script>alert(1)</script>', state='"><img src=x>')))
    checks.that("nothing breaks out of a page", "<script" not in hostile.raw and "<img" not in hostile.raw, hostile.raw)
    suspended = Browser(s, "sus@example.com", PASSWORD)
    s.run("user", "create", "--email", "sus@example.com", "--data", s.data, input=PASSWORD + "\n")
    page = Page(suspended.sign_in(Page(suspended.authorize(a.ask(scope="openid")))))
    s.run("user", "suspend", "sus@example.com", "--data", s.data)
    answer = suspended.decide(page)
    checks.that("somebody who was suspended meanwhile gives nothing", answer.status == 401 and Page(answer).action == "/oauth/sign-in", answer)
    for what, body in (("a parameter twice", b"request=x&request=y"), ("a bad escape", b"request=%zz"), ("too long", b"request=" + b"x" * 20000)):
        on_page(checks, f"a form with {what}", s.call("POST", "/oauth/sign-in", body, headers=FORM))


# --- The token endpoint ------------------------------------------------------------------------------------------------

def guessing(checks, s):
    a, b = app(s), Browser(s, "guessed@example.com", PASSWORD)
    page = Page(b.authorize(a.ask()))
    tries = [b.sign_in(page, "a wrong password, again") for _ in range(7)]
    checks.equal("guesses are slowed down", ([t.status for t in tries[:5]], tries[-1].status), ([401] * 5, 429))
    checks.that("and the page says for how long", int(tries[-1].headers.get("retry-after", 0)) >= 1 and Page(tries[-1]).action == "/oauth/sign-in", tries[-1].headers)


def exchanges(checks, s):
    a, other, b = app(s), app(s, "Other"), owner(s)
    public = register(s, token_endpoint_auth_method="none")
    code = b.code(a)
    for what, changed in (("another verifier", {"code_verifier": "x" * 43}), ("a short verifier", {"code_verifier": VERIFIER[:-1]}), ("a long verifier", {"code_verifier": "x" * 129}),
                          ("an empty verifier", {"code_verifier": ""}), ("no verifier", {"code_verifier": None}), ("the challenge as verifier", {"code_verifier": challenge(VERIFIER)}),
                          ("a verifier with a blank", {"code_verifier": VERIFIER[:-1] + " "}), ("another address", {"redirect_uri": "https://app.example.com/other"}),
                          ("the address with a slash", {"redirect_uri": CALLBACK + "/"}), ("an unknown code", {"code": "psql_oac_" + "0" * 49}), ("a cut code", {"code": code[:-1]}),
                          ("an empty code", {"code": ""}), ("a token as code", {"code": s.token}), ("SQL as code", {"code": "' OR 1=1 --"})):
        refused(checks, what, a.redeem(code, **changed), 400, "invalid_grant")
    refused(checks, "another resource", a.redeem(code, resource="https://other.example.com"), 400, "invalid_target")
    refused(checks, "another client", other.redeem(code), 400, "invalid_grant")
    refused(checks, "a public client", public.redeem(code, "none"), 400, "invalid_grant")
    for what, changed in (("no code", {"code": None}), ("no address", {"redirect_uri": None}), ("no grant_type", {"grant_type": None})):
        refused(checks, what, a.redeem(code, **changed), 400, "invalid_request")
    for kind in ("password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "AUTHORIZATION_CODE", ""):
        refused(checks, f"grant_type {kind!r}", a.redeem(code, grant_type=kind), 400, "unsupported_grant_type")
    for what, auth, more in (("a wrong secret", basic(a.id, "psqlrs_" + "0" * 49), {}), ("an empty secret", basic(a.id, ""), {}), ("another client's secret", basic(a.id, other.secret), {}),
                             ("an unknown client", basic("psqlrp_s00_x", a.secret), {}), ("no colon", "Basic eA==", {}), ("no base64", "Basic !", {}), ("a bearer", f"Bearer {s.token}", {}),
                             ("nothing", "Basic", {}), ("no secret", "none", {}), ("a wrong secret in the form", "none", {"client_secret": "x"}), ("no client", "", {})):
        answer = a.redeem(code, auth, **more)
        refused(checks, what, answer, 401, "invalid_client")
        checks.that(f"{what}: is asked for Basic", answer.headers.get("www-authenticate", "").startswith("Basic"), answer.headers)
    refused(checks, "two proofs", a.redeem(code, "basic", client_secret=a.secret), 400, "invalid_request")
    refused(checks, "two names", a.redeem(code, "basic", client_id=other.id), 400, "invalid_request")
    refused(checks, "a public client with a secret", public.redeem(b.code(public), "none", client_secret="x"), 401, "invalid_client")
    good = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    raw = lambda body, **more: s.call("POST", "/oauth/token", body, headers={**FORM, "Authorization": basic(a.id, a.secret), **more})
    refused(checks, "JSON", raw(b"{}", **{"Content-Type": "application/json"}), 400, "invalid_request")
    refused(checks, "no content type", raw(encode(good).encode(), **{"Content-Type": None}), 400, "invalid_request")
    for twice in good:
        refused(checks, f"{twice} twice", raw((encode(good) + f"&{twice}=x").encode()), 400, "invalid_request")
    for what, body in (("a bad escape", b"grant_type=%zz"), ("no UTF-8", b"grant_type=%ff"), ("a NUL", b"grant_type=%00"), ("no name", b"=x"), ("too long", b"a=" + b"x" * 20000)):
        refused(checks, what, raw(body), 400, "invalid_request")
    answer = s.call("POST", "/oauth/token?" + encode(good), b"", headers={**FORM, "Authorization": basic(a.id, a.secret)})
    refused(checks, "in the address", answer, 400, "invalid_request")
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        checks.equal(f"{method} is no way", s.call(method, "/oauth/token?" + encode(good), headers=NOBODY).status, 405)
    checks.equal("after all that the code still works once", a.redeem(code).status, 200)
    checks.equal("by the form", a.redeem(b.code(a), "post").status, 200)
    own = f"http://127.0.0.1:{s.port}"
    checks.equal("a resource that is named first here", a.redeem(b.code(a), resource=own).status, 200)
    refused(checks, "another one", a.redeem(b.code(a), resource=own + "/other"), 400, "invalid_target")
    refused(checks, "another spelling than the request's", a.redeem(b.code(a, resource=own), resource=own + "/"), 400, "invalid_target")
    first = a.redeem(b.code(a)).json["access_token"]
    code = b.code(a)
    token = a.redeem(code).json["access_token"]
    refused(checks, "a code twice", a.redeem(code), 400, "invalid_grant")
    checks.equal("ends what it gave", s.call("GET", "/v1/me", token=token).status, 401)
    checks.equal("and nothing else", s.call("GET", "/v1/me", token=first).status, 200)
    old = app(s, "Old", requirePkce=False)
    bare = {"code_challenge": None, "code_challenge_method": None}
    code = b.code(old, **bare)
    refused(checks, "a verifier for a request without challenge", old.redeem(code), 400, "invalid_grant")
    checks.equal("without PKCE where the app may", old.redeem(code, code_verifier=None).status, 200)


def race(checks, s):
    a, b = app(s, "Race", refreshTokens=True), owner(s)
    code = b.code(a)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: a.redeem(code), range(100)))
    won = [x for x in answers if x.status == 200]
    checks.equal("of a hundred exactly one wins", (len(won), sum(x.status == 400 and x.json["error"] == "invalid_grant" for x in answers)), (1, 99))
    for w in won:
        checks.equal("and what it got ended with the second", s.call("GET", "/v1/me", token=w.json["access_token"]).status, 401)
        refused(checks, "the refresh token too", a.refresh(w.json["refresh_token"]), 400, "invalid_grant")
    t = a.redeem(b.code(a)).json
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: a.refresh(t["refresh_token"]), range(20)))
    checks.equal("of twenty refreshes one wins", sum(x.status == 200 for x in answers), 1)
    checks.equal("and the family is over", [s.call("GET", "/v1/me", token=x.json["access_token"]).status for x in answers if x.status == 200] +
                 [s.call("GET", "/v1/me", token=t["access_token"]).status], [401, 401])


def refreshing(checks, s):
    a, other, b = app(s, "Refreshes", refreshTokens=True), app(s, "Other", refreshTokens=True), owner(s)
    t = a.redeem(b.code(a, scope="openid email database")).json
    checks.equal("an hour", t["expires_in"], 3600)
    for what, answer, error in (("another client", other.refresh(t["refresh_token"]), "invalid_grant"), ("unknown", a.refresh("psql_ort_" + "0" * 49), "invalid_grant"),
                                ("an access token", a.refresh(t["access_token"]), "invalid_grant"), ("empty", a.refresh(""), "invalid_grant"),
                                ("more scope", a.refresh(t["refresh_token"], scope="openid profile"), "invalid_scope"), ("malformed scope", a.refresh(t["refresh_token"], scope="openid  email"), "invalid_scope"),
                                ("another resource", a.refresh(t["refresh_token"], resource="https://other.example.com"), "invalid_target"),
                                ("none", a.post("/oauth/token", {"grant_type": "refresh_token"}), "invalid_request")):
        refused(checks, what, answer, 400, error)
    refused(checks, "a wrong secret", a.refresh(t["refresh_token"], basic(a.id, "x")), 401, "invalid_client")
    n = a.refresh(t["refresh_token"], scope="openid").json
    checks.equal("less scope", (n["scope"], n["access_token"][:9], "database" in n), ("openid", "psql_oat_", False))
    m = a.refresh(n["refresh_token"]).json
    checks.equal("and all again", (m["scope"], s.call("GET", "/v1/me", token=m["access_token"]).status), ("openid email database", 200))
    refused(checks, "a used one", a.refresh(t["refresh_token"]), 400, "invalid_grant")
    for token in (t, n, m):
        checks.equal("ends the family", (s.call("GET", "/userinfo", token=token["access_token"]).status, a.introspect(token["refresh_token"]).json), (401, {"active": False}))
    refused(checks, "its newest token too", a.refresh(m["refresh_token"]), 400, "invalid_grant")
    plain = app(s, "Plain")
    refused(checks, "a client that is given none", plain.refresh(m["refresh_token"]), 400, "unauthorized_client")


def giving_back(checks, s):
    a, other, b = app(s, "Revokes", refreshTokens=True), app(s, "Other"), owner(s)
    public = register(s, token_endpoint_auth_method="none")
    t = a.redeem(b.code(a)).json
    checks.equal("another client's", (other.revoke(t["access_token"]).status, s.call("GET", "/v1/me", token=t["access_token"]).status), (200, 200))
    checks.equal("another client asks", other.introspect(t["access_token"]).json, {"active": False})
    for token in ("", "x", "psql_live_" + "0" * 49, s.token, t["id_token"][:400]):
        checks.equal(f"unknown {token[:10]!r}", (a.revoke(token).status, a.introspect(token).json), (200, {"active": False}))
    checks.equal("the operator's token is not ours to end", s.call("GET", "/v1/me").status, 200)
    for path in ("/oauth/revoke", "/oauth/introspect"):
        refused(checks, f"{path} without a token", a.post(path, {}), 400, "invalid_request")
        refused(checks, f"{path} without a client", s.call("POST", path, b"token=x", headers=FORM), 401, "invalid_client")
        refused(checks, f"{path} with a wrong secret", a.post(path, {"token": "x"}, basic(a.id, "x")), 401, "invalid_client")
        refused(checks, f"{path} with a token twice", s.call("POST", path, b"token=x&token=y", headers={**FORM, "Authorization": basic(a.id, a.secret)}), 400, "invalid_request")
        checks.equal(f"GET {path}", s.call("GET", path + "?token=x", headers=NOBODY).status, 405)
    refused(checks, "a public client asks", public.introspect(t["access_token"], "none"), 401, "invalid_client")
    checks.equal("the access token", (a.revoke(t["access_token"]).status, s.call("GET", "/v1/me", token=t["access_token"]).status, a.introspect(t["refresh_token"]).json["active"]), (200, 401, True))
    n = a.refresh(t["refresh_token"]).json
    checks.equal("the refresh token ends all", (a.revoke(n["refresh_token"], token_type_hint="access_token").status, s.call("GET", "/v1/me", token=n["access_token"]).status), (200, 401))
    refused(checks, "and is over", a.refresh(n["refresh_token"]), 400, "invalid_grant")
    for header in ("Bearer x", "Bearer " + n["access_token"], "Bearer " + n["refresh_token"], "Basic eDp5", "Bearer", ""):
        answer = s.call("GET", "/userinfo", headers={"Authorization": header})
        refused(checks, f"userinfo with {header[:18]!r}", answer, 401, "invalid_token")
        checks.that("userinfo: says so in the header", 'error="invalid_token"' in answer.headers.get("www-authenticate", ""), answer.headers)
    checks.equal("userinfo without anything", s.call("GET", "/userinfo", headers=NOBODY).headers.get("www-authenticate"), 'Bearer realm="holdfast"')


def revoked_by_an_admin(checks, s):
    """In the list of tokens, or by the command: the app's refresh token brings nothing back."""
    a, b = app(s, "Revoked", refreshTokens=True), owner(s)
    for by in ("the route", "the command"):
        t = a.redeem(b.code(a)).json
        token_id = s.call("GET", "/v1/me", token=t["access_token"]).json["data"]["tokenId"]
        if by == "the route":
            checks.equal(by, s.call("DELETE", f"/api/namespaces/acme/tokens/{token_id}").status, 200)
        else:
            checks.equal(by, s.run("token", "revoke", token_id, "--data", s.data, check=False).returncode, 0)
        checks.equal(f"{by}: the token is dead", s.call("GET", "/v1/me", token=t["access_token"]).status, 401)
        refused(checks, f"{by}: and no refresh brings it back", a.refresh(t["refresh_token"]), 400, "invalid_grant")
        log = s.call("GET", "/api/namespaces/acme/audit?action=oauth_token.ended").json["data"]
        entries = log if isinstance(log, list) else log.get("entries", log)
        checks.that(f"{by}: the log of the namespace says so", token_id in json.dumps(entries), log)


def apps(checks, s):
    p, path = console(s), "/api/namespaces/acme/oauth-clients"
    good = {"name": "Console", "redirectUris": [CALLBACK]}
    for what, changed, pointer in (("type", {"type": "x"}, "/type"), ("a public app without PKCE", {"type": "public", "requirePkce": False}, "/requirePkce"), ("mode", {"databaseMode": "x"}, "/databaseMode"),
                                   ("algorithm", {"idTokenAlg": "HS256"}, "/idTokenAlg"), ("address", {"redirectUris": ["http://x.example.com/"]}, "/redirectUris"),
                                   ("a number", {"redirectUris": [1]}, "/redirectUris"), ("name", {"name": "\u202e"}, "/name"), ("unknown", {"nope": 1}, "/nope")):
        a = p.ask("POST", path, {**good, **changed})
        checks.equal(f"new app: {what}", (a.status, a.json.get("pointer")), (400, pointer))
    made = p.ask("POST", path, {**good, "type": "public"}).json["data"]
    checks.equal("public", (made["type"], made["clientSecret"], made["requirePkce"], made["databaseMode"]), ("public", None, True, "provision"))
    checks.equal("no secret to rotate", p.ask("POST", f"{path}/{made['id']}/rotate-secret").status, 409)
    conf = app(s, "Rotates")
    old = conf.secret
    conf.secret = p.ask("POST", f"{path}/{conf.row}/rotate-secret").json["data"]["clientSecret"]
    s.secrets.append(conf.secret)
    refused(checks, "the old secret", conf.introspect("x", basic(conf.id, old)), 401, "invalid_client")
    checks.equal("the new one", conf.introspect("x").status, 200)
    listed = p.ask("GET", path).json["data"]
    checks.that("listed without secrets", any(x["id"] == conf.row for x in listed) and all("clientSecret" not in x for x in listed), listed)
    a = p.ask("PATCH", f"{path}/{conf.row}", {"name": "Renamed", "redirectUris": ["http://x.example.com/"]})
    checks.equal("a change is whole or not there", (a.status, [x["name"] for x in p.ask("GET", path).json["data"] if x["id"] == conf.row]), (400, ["Rotates"]))
    checks.equal("change", p.ask("PATCH", f"{path}/{conf.row}", {"name": "Renamed", "redirectUris": ["https://new.example.com/"]}).json["data"]["redirectUris"], ["https://new.example.com/"])
    on_page(checks, "the old address", owner(s).authorize(conf.ask()))
    checks.equal("another namespace", p.ask("GET", "/api/namespaces/other/oauth-clients").status, 404)
    checks.equal("no such app", [p.ask(m, f"{path}/oc_none{t}", b).status for m, t, b in (("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("POST", "/rotate-secret", None))], [404] * 3)


def leaving(checks, s):
    out = "https://app.example.com/bye"
    a, b = app(s, "Leaves", postLogoutRedirectUris=[out]), owner(s)
    token = a.redeem(b.code(a, scope="openid")).json["id_token"]
    go = lambda who, **params: who.call("GET", "/oauth/end-session?" + encode(params))
    for uri in ("https://evil.example.com/", out + "/", CALLBACK, ""):
        on_page(checks, f"to {uri!r}", go(b, client_id=a.id, post_logout_redirect_uri=uri))
    on_page(checks, "without a client", go(b, post_logout_redirect_uri=out))
    on_page(checks, "a forged hint", go(b, id_token_hint=token[:-4] + "AAAA", post_logout_redirect_uri=out))
    on_page(checks, "a hint for another app", go(b, id_token_hint=token, client_id=app(s).id))
    page = go(b, client_id=a.id, post_logout_redirect_uri=out, state="x y")
    checks.that("asked first", page.status == 200 and Page(page).action == "/oauth/end-session", page)
    on_page(checks, "without the form's token", b.call("POST", "/oauth/end-session", {"client_id": a.id}), 403)
    back = b.call("POST", "/oauth/end-session", Page(page).fields)
    checks.equal("and sent on", (back.status, back.headers.get("location")), (303, out + "?state=x%20y"))
    checks.equal("signed out", (b.cookie, b.authorize(a.ask(prompt="none")).headers["location"].count("login_required")), ("holdfast=", 1))
    b.consent(a.ask(scope="openid"))
    back = go(b, id_token_hint=token, post_logout_redirect_uri=out)
    checks.equal("with a hint of the same person at once", (back.status, back.headers.get("location"), b.cookie), (303, out, "holdfast="))
    checks.that("nobody signed in", "signed out" in Page(go(b)).text)


OWN_ACTIONS = {"oauth_client.created", "oauth_client.updated", "oauth_client.secret_rotated", "oauth_client.deleted", "oauth_client.registered", "oauth_grant.given",
               "oauth_grant.withdrawn", "oauth_code.redeemed", "oauth_token.refreshed", "oauth_token.replayed", "oauth_token.revoked", "oauth_token.ended"}


def audit(checks, s):
    """After all other parts: each kind of change left its row, the chains hold, and no secret is in them."""
    a, b = app(s, "Audited", refreshTokens=True), owner(s)
    code = b.code(a)
    t = a.redeem(code).json
    text = s.run("audit", "export", "--data", s.data).stdout
    seen = set(re.findall(r'"action":"([^"]*)"', text))
    checks.equal("every kind of change is recorded", OWN_ACTIONS - seen, set())
    checks.that("no secret is in the log", not any(x and x in text for x in (a.secret, code, t["access_token"], t["refresh_token"])))
    checks.equal("and it is whole", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)
    row = [l for l in text.splitlines() if '"oauth_code.redeemed"' in l][-1]
    checks.that("who, by which program", a.id in row, row)


def main():
    checks, binary = Checks(), binary_argument()
    with Server(binary) as s:
        for part in (flow, withdrawing, people_who_go, connecting, login_alone, redirects, requests, prompts, forms, guessing, exchanges, race, refreshing, giving_back, revoked_by_an_admin, apps, leaving, audit):
            checks.part(part, checks, s)
    sys.exit(checks.end())


if __name__ == "__main__":
    main()
