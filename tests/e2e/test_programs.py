#!/usr/bin/env python3
"""What a program does for a person: never more than the person may where it is done, and nothing once the person is gone.
Usage: test_programs.py PATH-OF-HOLDFAST"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from oauth import CALLBACK, App, Browser, Page, parameters
from people import Person

OTHER = "four quiet otters swim"
MAIN = "/api/namespaces/acme/databases/main"


def member(s, email, role):
    made = s.run("user", "create", "--data", s.data, "--email", email, "--json", "--namespace", "acme", "--role", role, input=PASSWORD + "\n")
    p = Person(s, email, PASSWORD)
    p.id = json.loads(made.stdout)["id"]
    p.sign_in()
    return p


def owner(s):
    p = Person(s, "owner@example.com", PASSWORD)
    p.sign_in()
    return p


def app(s, by, ns, **more):
    a = by.ask("POST", f"/api/namespaces/{ns}/oauth-clients", {"name": "Program", "redirectUris": [CALLBACK], "databaseMode": "connect", "refreshTokens": True, **more})
    return App(s, a.json["data"])


def given(s, a, p, database="acme/main"):
    """The tokens of the program after its person said yes."""
    b = Browser(s, p.email, PASSWORD)
    page = b.sign_in(Page(b.authorize(a.ask(scope="openid database"))))
    return a.redeem(parameters(b.decide(Page(page), database=database).headers["location"])["code"]).json


def writes(s, token, db):
    return s.call("POST", f"/v1/db/acme/{db}/query", {"sql": "CREATE TABLE IF NOT EXISTS made(a)"}, token=token).status


def branch(s, ref):
    return s.call("PUT", f"/v1/db/acme/main/branches/{ref}", {}).json["data"]


def share(checks, s, p, db, role):
    path = f"/api/namespaces/acme/databases/{db}/shares/{p.id}"
    a = owner(s).ask("PUT", path, {"role": role}) if role else owner(s).ask("DELETE", path)
    checks.equal(f"{db} is shared as {role}", a.status, 200)


def no_more_than_the_person(checks, s):
    """Also an app that nobody but the person made."""
    p = member(s, "editor@example.com", "editor")
    checks.equal("a namespace of one's own", p.ask("POST", "/api/namespaces", {"slug": "workshop"}).status, 200)
    token = given(s, app(s, p, "workshop"), p)["access_token"]
    calls = [("PUT", f"{MAIN}/row-security", {"tableName": "made", "enabled": False}), ("GET", f"{MAIN}/policies", None), ("POST", f"{MAIN}/import", b"SELECT 1;"), ("POST", f"{MAIN}/snapshots", {})]
    checks.equal("what an editor may", writes(s, token, "main"), 200)
    for method, path, body in calls:
        head = {"Content-Type": "application/sql"} if isinstance(body, bytes) else {}
        checks.equal(f"{method} {path} by cookie", p.ask(method, path, body, headers=head).status, 403)
        checks.equal(f"{method} {path} by the program", s.call(method, path, body, token=token, headers=head).status, 403)


def shares_hold_at_branches(checks, s):
    p = member(s, "sharing@example.com", "editor")
    a, slug = app(s, owner(s), "acme"), branch(s, "shared")["slug"]
    whole, part = given(s, a, p)["access_token"], given(s, app(s, owner(s), "acme"), p, f"acme/{slug}")["access_token"]
    both = lambda: (writes(s, whole, "main"), writes(s, whole, slug), writes(s, part, slug))
    checks.equal("not shared", both(), (200, 200, 200))
    share(checks, s, p, "main", "viewer")
    checks.equal("a branch is shared as its parent is", both(), (403, 403, 403))
    share(checks, s, p, slug, "editor")
    checks.equal("and wider by a share of its own", both(), (403, 200, 200))
    share(checks, s, p, "main", None)
    share(checks, s, p, slug, "viewer")
    checks.equal("or narrower", both(), (200, 403, 403))
    checks.equal("by every name of the branch", writes(s, whole, "main.shared"), 403)
    share(checks, s, p, slug, None)
    checks.equal("as before", both(), (200, 200, 200))


def removal(checks, s):
    for how in ("removed", "left"):
        p, boss = member(s, f"{how}@example.com", "editor"), owner(s)
        a, elsewhere = app(s, boss, "acme"), app(s, boss, "acme")
        p.ask("POST", "/api/namespaces", {"slug": f"{how}-home"})
        p.ask("POST", f"/api/namespaces/{how}-home/databases", {"slug": "own"})
        t, kept = given(s, a, p), given(s, elsewhere, p, f"{how}-home/own")
        active = lambda: [a.introspect(t[k]).json["active"] for k in ("access_token", "refresh_token")]
        made = lambda: len(boss.ask("GET", "/api/namespaces/acme/tokens?revoked=include").json["data"])
        checks.equal(f"{how}: before", active(), [True, True])
        gone = boss.ask("DELETE", f"/api/namespaces/acme/members/{p.id}") if how == "removed" else p.ask("POST", "/api/namespaces/acme/leave")
        checks.equal(how, gone.status, 200)
        before = made()
        for _ in range(2):
            answer = a.refresh(t["refresh_token"])
            checks.equal(f"{how}: refreshing", (answer.status, answer.json.get("error")), (400, "invalid_grant"))
        checks.equal(f"{how}: makes nothing", made(), before)
        checks.equal(f"{how}: introspection", active(), [False, False])
        checks.equal(f"{how}: use", writes(s, t["access_token"], "main"), 401)
        checks.equal(f"{how}: what was given elsewhere goes on", elsewhere.refresh(kept["refresh_token"]).status, 200)
        link = boss.ask("POST", "/api/namespaces/acme/invitations", {"email": p.email, "role": "editor"}).json["data"]["url"]
        p.sign_in()
        checks.equal(f"{how}: invited again", p.ask("POST", "/api/invitations/" + link.rsplit("/", 1)[1] + "/accept").status, 200)
        checks.equal(f"{how}: the old token stays dead", writes(s, t["access_token"], "main"), 401)
        checks.equal(f"{how}: consent anew", writes(s, given(s, a, p)["access_token"], "main"), 200)


def a_deleted_namespace(checks, s):
    p = member(s, "deleting@example.com", "editor")
    p.ask("POST", "/api/namespaces", {"slug": "brief"})
    p.ask("POST", "/api/namespaces/brief/databases", {"slug": "own"})
    a = app(s, owner(s), "acme")
    t = given(s, a, p, "brief/own")
    active = lambda: [a.introspect(t[k]).json["active"] for k in ("access_token", "refresh_token")]
    checks.equal("delete the namespace", p.ask("DELETE", "/api/namespaces/brief").status, 200)
    checks.equal("nothing is active", active(), [False, False])
    answer = a.refresh(t["refresh_token"])
    checks.equal("nothing is refreshed", (answer.status, answer.json.get("error")), (400, "invalid_grant"))
    checks.equal("restore it", p.ask("POST", "/api/namespaces/brief/restore").status, 200)
    checks.equal("and all is as it was: the refusal used nothing up", (active(), a.refresh(t["refresh_token"]).status), ([True, True], 200))


def password_reset(checks, s):
    p = member(s, "reset@example.com", "editor")
    a = app(s, owner(s), "acme")
    t = given(s, a, p)
    changed = p.ask("POST", "/api/auth/change-password", {"currentPassword": PASSWORD, "newPassword": OTHER})
    checks.equal("one's own change", (changed.status, writes(s, t["access_token"], "main")), (200, 200))
    s.run("user", "reset-password", p.email, "--data", s.data, input=PASSWORD + "\n")
    checks.equal("the operator's reset ends sessions", p.session().status, 401)
    checks.equal("and what programs hold", writes(s, t["access_token"], "main"), 401)
    answer = a.refresh(t["refresh_token"])
    checks.equal("also to refresh", (answer.status, answer.json.get("error")), (400, "invalid_grant"))
    p.sign_in(PASSWORD)
    checks.equal("nothing is given any more", p.ask("GET", "/api/me/connected-apps").json["data"], [])


def a_branch_that_comes_back(checks, s):
    made = branch(s, "back")["slug"]
    token = s.call("POST", "/api/namespaces/acme/tokens", {"name": "of a branch", "database": "main", "branch": "back"}).json["data"]["token"]
    s.secrets.append(token)
    checks.equal("before", writes(s, token, made), 200)
    checks.equal("delete the branch", s.call("DELETE", "/v1/db/acme/main/branches/back").status, 200)
    a = s.call("GET", "/v1/whoami", token=token)
    checks.equal("its token is refused", (a.status, "branch" in a.json["error"]), (401, True))
    checks.equal("restore it", s.call("POST", f"/v1/databases/{made}/restore").status, 200)
    checks.equal("it is there", writes(s, s.token, made), 200)
    checks.equal("its token stays dead", writes(s, token, made), 401)


def password_before_consent(checks, s):
    p, late = member(s, "confirm@example.com", "editor"), 15 * 60 * 1000 + 1
    a, b = app(s, owner(s), "acme"), Browser(s, p.email, PASSWORD)

    def wait():
        s.control("UPDATE session SET confirmed_at = confirmed_at - ? WHERE account_id = ?", (late, p.id), write=True)
    page = Page(b.sign_in(Page(b.authorize(a.ask(scope="openid database")))))
    wait()
    said = b.decide(page, database="acme/main")
    checks.equal("yes, but late", (said.status, Page(said).action), (403, "/oauth/sign-in"))
    asked = Page(b.authorize(a.ask(scope="openid database")))
    checks.equal("asked late", asked.action, "/oauth/sign-in")
    checks.equal("who one is says nothing more", Page(b.authorize(a.ask(scope="openid"))).action == "/oauth/sign-in", False)
    back = b.decide(Page(b.sign_in(asked)), database="acme/main")
    checks.that("after the password", "code=" in back.headers.get("location", ""), back)
    wait()
    checks.that("what was given is not asked again", "code=" in b.authorize(a.ask(scope="openid database")).headers.get("location", ""))


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (no_more_than_the_person, shares_hold_at_branches, removal, a_deleted_namespace, password_reset, password_before_consent, a_branch_that_comes_back):
            checks.part(part, checks, s)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
