#!/usr/bin/env python3
"""Namespaces and their people: making, renaming, deleting, inviting, roles, removal, shares; and that nobody sees what is not theirs.
Usage: test_members.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

GOOD = "seven grey geese over the harbour"
NOBODY = {"Authorization": None}


def blank(answer):
    return answer.status, {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}, {**answer.json, "requestId": None}


def make(s, email, ns=None, role=None):
    """A person by the command line, signed in."""
    words = ["--namespace", ns, "--role", role] if ns else []
    made = s.run("user", "create", "--data", s.data, "--email", email, "--json", *words, input=GOOD + "\n")
    p = Person(s, email, GOOD)
    p.id = json.loads(made.stdout)["id"]
    p.sign_in()
    return p


def role_in(p, ns):
    return {n["slug"]: n["role"] for n in p.ask("GET", "/api/namespaces").json["data"]}.get(ns)


def namespaces(checks, s):
    p = make(s, "ns@example.com")
    first = checks.good("list", p.ask("GET", "/api/namespaces"))
    checks.equal("list: the one of the first sign-in", [(n["role"], re.sub("-[0-9a-f]{4}$", "", n["slug"])) for n in first], [("owner", "ns")])
    made = checks.good("create", p.ask("POST", "/api/namespaces", {"name": "Acme Works", "slug": "acme-works"}))
    checks.equal("create: row", {k: made.get(k) for k in ("slug", "name", "role", "memberCount")}, {"slug": "acme-works", "name": "Acme Works", "role": "owner", "memberCount": 1})
    checks.equal("create: slug from the name", checks.good("create by name", p.ask("POST", "/api/namespaces", {"name": "Blue Sky!"}))["slug"], "blue-sky")
    checks.refused("create: taken", p.ask("POST", "/api/namespaces", {"slug": "acme"}), 409, "conflict")
    for slug in ("A", "-a", "a-", "a_b", "oauth", "api", "\u00e9"):
        body = checks.refused(f"create {slug}", p.ask("POST", "/api/namespaces", {"slug": slug}), 400, "invalid_request")
        checks.equal(f"create {slug}: pointer", body.get("pointer"), "/slug")
    checks.equal("create: nothing to make a slug from", checks.refused("create {}", p.ask("POST", "/api/namespaces", {}), 400, "invalid_request").get("pointer"), "/slug")
    checks.equal("get", checks.good("get", p.ask("GET", "/api/namespaces/acme-works"))["memberCount"], 1)
    every = [n["slug"] for n in p.ask("GET", "/api/namespaces").json["data"]]
    pages, after = [], ""
    for _ in every:
        pages += [n["slug"] for n in checks.good(f"page after {after}", p.ask("GET", f"/api/namespaces?limit=1&after={after}"))]
        after = pages[-1]
    checks.equal("list: by page", (pages, p.ask("GET", f"/api/namespaces?after={after}").json["data"]), (every, []))
    checks.equal("rename", checks.good("rename", p.ask("PATCH", "/api/namespaces/acme-works", {"name": "Acme Inc."}))["name"], "Acme Inc.")
    checks.equal("rename is kept", p.ask("GET", "/api/namespaces/acme-works").json["data"]["name"], "Acme Inc.")
    db = checks.good("a database in it", p.ask("POST", "/api/namespaces/acme-works/databases", {"slug": "orders"}))
    checks.equal("is listed", [d["id"] for d in p.ask("GET", "/api/namespaces/acme-works/databases").json["data"]], [db["id"]])
    checks.equal("and shown", p.ask("GET", "/api/namespaces/acme-works/databases/orders").json["data"]["slug"], "orders")


def deletion(checks, s):
    p, admin = make(s, "del@example.com"), None
    p.ask("POST", "/api/namespaces", {"slug": "doomed"})
    p.ask("POST", "/api/namespaces/doomed/databases", {"slug": "main"})
    admin = make(s, "del-admin@example.com", "doomed", "admin")
    token = s.mint("admin", namespace="doomed")["token"]
    checks.equal("the token works", s.call("GET", "/v1/me", token=token).status, 200)
    checks.refused("an admin deletes no namespace", admin.ask("DELETE", "/api/namespaces/doomed"), 403, "forbidden")
    gone = checks.good("delete", p.ask("DELETE", "/api/namespaces/doomed"))
    checks.that("delete: says when", gone.get("deletedAt"), gone)
    checks.equal("its token is refused at once", s.call("GET", "/v1/me", token=token).status, 401)
    for who in (p, admin):
        checks.refused("nobody gets in", who.ask("GET", "/api/namespaces/doomed"), 404, "not_found")
    checks.equal("its owner sees it", [n["slug"] for n in p.ask("GET", "/api/namespaces").json["data"] if n.get("deletedAt")], ["doomed"])
    checks.equal("its admin does not", role_in(admin, "doomed"), None)
    checks.refused("the slug stays taken", admin.ask("POST", "/api/namespaces", {"slug": "doomed"}), 409, "conflict")
    checks.refused("an admin restores nothing", admin.ask("POST", "/api/namespaces/doomed/restore"), 404, "not_found")
    checks.refused("nobody restores what is not deleted", p.ask("POST", "/api/namespaces/acme/restore"), 404, "not_found")
    back = checks.good("restore", p.ask("POST", "/api/namespaces/doomed/restore"))
    checks.that("restore: no deletedAt", "deletedAt" not in back, back)
    checks.equal("the token works again", s.call("GET", "/v1/me", token=token).status, 200)
    checks.equal("so does the database", p.ask("GET", "/api/namespaces/doomed/databases/main/export").status, 200)


def invite(checks, who, ns, email, role):
    made = checks.good(f"invite {email} as {role}", who.ask("POST", f"/api/namespaces/{ns}/invitations", {"email": email, "role": role}))
    url = made.get("url", "")
    checks.that("the link", re.fullmatch(r"http://127\.0\.0\.1:\d+/invite/hfi_[0-9A-Za-z]{49}", url), made)
    secret = url.rsplit("/", 1)[-1]
    who.server.secrets.append(secret)
    return made, secret


def invitations(checks, s):
    owner, lin, eve = make(s, "inv@example.com"), make(s, "lin@example.com"), make(s, "eve@example.com")
    owner.ask("POST", "/api/namespaces", {"slug": "club"})
    for host in ("evil.example", f"evil.example:{s.port}", f"localhost.evil.example:{s.port}", "192.0.2.7"):
        link = owner.ask("POST", "/api/namespaces/club/invitations", {"email": "lin@example.com", "role": "editor"}, headers={"Host": host}).json["data"]["url"]
        s.secrets.append(link.rsplit("/", 1)[-1])
        checks.that(f"a Host that is not the server's: a path, {host}", re.fullmatch(r"/invite/hfi_[0-9A-Za-z]{49}", link), link)
    link = owner.ask("POST", "/api/namespaces/club/invitations", {"email": "lin@example.com", "role": "editor"}, headers={"Host": f"localhost:{s.port}"}).json["data"]["url"]
    s.secrets.append(link.rsplit("/", 1)[-1])
    checks.that("its own other name", link.startswith(f"http://localhost:{s.port}/invite/hfi_"), link)
    made, secret = invite(checks, owner, "club", "Lin@Example.com", "editor")
    checks.equal("shape", (made["email"], made["role"], made["emailed"]), ("Lin@Example.com", "editor", False))
    listed = checks.good("list", owner.ask("GET", "/api/namespaces/club/invitations"))
    checks.equal("the list does not hold the link", [(i["id"], "url" in i) for i in listed], [(made["id"], False)])
    for other in (secret[:-1] + ("a" if secret[-1] != "a" else "b"), "hfi_x", "x", s.token):
        checks.equal("another's invitation looks like none", blank(eve.ask("POST", f"/api/invitations/{secret}/accept")),
                     blank(eve.ask("POST", f"/api/invitations/{other}/accept")))
    checks.refused("another's invitation", eve.ask("POST", f"/api/invitations/{secret}/accept"), 404, "not_found")
    cookie, csrf, before = lin.cookie, lin.csrf, lin.session().json
    got = checks.good("accept", lin.ask("POST", f"/api/invitations/{secret}/accept"))
    renewed(checks, s, "accept", lin, cookie, csrf, before)
    checks.equal("accept: the namespace", (got.get("slug"), got.get("role")), ("club", "editor"))
    checks.refused("accept again", lin.ask("POST", f"/api/invitations/{secret}/accept"), 404, "not_found")
    checks.equal("it is used up", owner.ask("GET", "/api/namespaces/club/invitations").json["data"], [])
    _, again = invite(checks, owner, "club", "lin@example.com", "viewer")
    checks.refused("who is a member", lin.ask("POST", f"/api/invitations/{again}/accept"), 409, "conflict")
    first, old = invite(checks, owner, "club", "eve@example.com", "viewer")
    second, new = invite(checks, owner, "club", "EVE@example.com", "admin")
    checks.refused("the second takes the place of the first", eve.ask("POST", f"/api/invitations/{old}/accept"), 404, "not_found")
    checks.refused("take back what is gone", owner.ask("DELETE", f"/api/namespaces/club/invitations/{first['id']}"), 404, "not_found")
    other = make(s, "inv2@example.com")
    other.ask("POST", "/api/namespaces", {"slug": "other-club"})
    checks.refused("take back in another namespace", other.ask("DELETE", f"/api/namespaces/other-club/invitations/{second['id']}"), 404, "not_found")
    checks.equal("take back", owner.ask("DELETE", f"/api/namespaces/club/invitations/{second['id']}").status, 200)
    checks.refused("which ends it", eve.ask("POST", f"/api/invitations/{new}/accept"), 404, "not_found")
    _, late = invite(checks, owner, "club", "eve@example.com", "viewer")
    s.control("UPDATE invitation SET expires_at = created_at", write=True)
    checks.refused("a late one", eve.ask("POST", f"/api/invitations/{late}/accept"), 404, "not_found")
    checks.equal("is not listed", owner.ask("GET", "/api/namespaces/club/invitations").json["data"], [])
    checks.refused("an editor invites nobody", lin.ask("POST", "/api/namespaces/club/invitations", {"email": "x@example.com", "role": "viewer"}), 403, "forbidden")
    admin = make(s, "inv-admin@example.com", "club", "admin")
    checks.refused("an admin invites no owner", admin.ask("POST", "/api/namespaces/club/invitations", {"email": "x@example.com", "role": "owner"}), 403, "forbidden")
    checks.that("the secret is nowhere", secret not in "\n".join(map(str, s.control("SELECT * FROM invitation") + s.control("SELECT * FROM audit"))))
    _, race = invite(checks, owner, "club", "race@example.com", "viewer")
    racers = [make(s, "race@example.com")]
    racers += [Person(s, "race@example.com", GOOD) for _ in range(7)]
    for r in racers[1:]:
        r.sign_in()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = sorted(pool.map(lambda r: r.ask("POST", f"/api/invitations/{race}/accept").status, racers))
    checks.equal("of eight at once one wins", (seen[0], set(seen[1:])), (200, {404}))


def sign_up_by_invitation(checks, s):
    owner = make(s, "host@example.com")
    owner.ask("POST", "/api/namespaces", {"slug": "guests"})
    _, secret = invite(checks, owner, "guests", "guest@example.com", "viewer")
    up = lambda **body: s.call("POST", "/api/auth/sign-up/email", {"password": GOOD, **body}, headers=NOBODY)
    checks.refused("without one", up(email="guest@example.com"), 403, "forbidden")
    checks.refused("with one for another address", up(email="other@example.com", invitation=secret), 403, "forbidden")
    checks.refused("with nonsense", up(email="guest@example.com", invitation="hfi_x"), 403, "forbidden")
    checks.equal("nobody was made", s.control("SELECT 1 FROM account WHERE email IN ('guest@example.com', 'other@example.com')"), [])
    checks.equal("with the right one", up(email="Guest@example.com", invitation=secret).json, {"success": True})
    guest = Person(s, "guest@example.com", GOOD)
    checks.equal("sign in", guest.sign_in().status, 200)
    checks.equal("accept", guest.ask("POST", f"/api/invitations/{secret}/accept").status, 200)
    checks.equal("is in", role_in(guest, "guests"), "viewer")
    checks.refused("it is used up for signing up too", up(email="guest@example.com", invitation=secret), 403, "forbidden")


def roles(checks, s):
    owner = make(s, "roles@example.com")
    owner.ask("POST", "/api/namespaces", {"slug": "roles"})
    owner.id = owner.session().json["user"]["id"]
    admin, editor = make(s, "roles-admin@example.com", "roles", "admin"), make(s, "roles-editor@example.com", "roles", "editor")
    path = "/api/namespaces/roles/members/"
    checks.equal("members", [(m["userId"], m["role"]) for m in checks.good("members", editor.ask("GET", "/api/namespaces/roles/members"))],
                 [(owner.id, "owner"), (admin.id, "admin"), (editor.id, "editor")])
    page = checks.good("page", editor.ask("GET", f"/api/namespaces/roles/members?limit=1&after={owner.id}"))
    checks.equal("members by page", [m["userId"] for m in page], [admin.id])
    for query in ("limit=0", "limit=501", "limit=x", "limit=1&limit=2"):
        checks.refused(f"members with {query}", editor.ask("GET", f"/api/namespaces/roles/members?{query}"), 400, "invalid_request")
    checks.refused("an admin makes no owner", admin.ask("PATCH", path + admin.id, {"role": "owner"}), 403, "forbidden")
    checks.refused("an admin does not touch an owner", admin.ask("PATCH", path + owner.id, {"role": "viewer"}), 403, "forbidden")
    checks.refused("nor removes one", admin.ask("DELETE", path + owner.id), 403, "forbidden")
    checks.refused("nobody", admin.ask("PATCH", path + "usr_none", {"role": "viewer"}), 404, "not_found")
    checks.refused("no member", admin.ask("DELETE", path + make(s, "roles-out@example.com").id), 404, "not_found")
    checks.equal("an admin raises an editor", admin.ask("PATCH", path + editor.id, {"role": "admin"}).json["data"], {"userId": editor.id, "role": "admin"})
    checks.equal("who sees it at once", role_in(editor, "roles"), "admin")
    checks.equal("and is lowered", admin.ask("PATCH", path + editor.id, {"role": "viewer"}).status, 200)
    checks.refused("which holds at once", editor.ask("PATCH", "/api/namespaces/roles", {"name": "x"}), 403, "forbidden")
    checks.equal("the only owner steps down", owner.ask("PATCH", path + owner.id, {"role": "editor"}).status, 200)
    checks.equal("the admin takes over", (role_in(owner, "roles"), role_in(admin, "roles")), ("editor", "owner"))
    checks.refused("without an admin that is refused", admin.ask("PATCH", path + admin.id, {"role": "viewer"}), 409, "conflict")
    checks.refused("leaving too", admin.ask("POST", "/api/namespaces/roles/leave"), 409, "conflict")
    checks.equal("removal", admin.ask("DELETE", path + editor.id).json["data"], {"userId": editor.id, "role": None})
    checks.refused("ends all sessions at once", editor.session(), 401, "unauthorized")
    editor.sign_in()
    checks.refused("and is over afterwards", editor.ask("GET", "/api/namespaces/roles"), 404, "not_found")
    checks.equal("an editor leaves", owner.ask("POST", "/api/namespaces/roles/leave").json, {"success": True})
    checks.equal("and is out", role_in(owner, "roles"), None)


def never_without_an_owner(checks, s):
    """Two owners demote each other, or both themselves, at once: one is left, however it goes."""
    owner = make(s, "pair@example.com")
    for i in range(6):
        ns = f"pair-{i}"
        owner.ask("POST", "/api/namespaces", {"slug": ns})
        pair = [make(s, f"pair-{i}-{n}@example.com", ns, "owner") for n in (0, 1)]
        mine = owner.session().json["user"]["id"]
        checks.equal("the first one leaves", owner.ask("POST", f"/api/namespaces/{ns}/leave").status, 200)
        targets = [pair[1].id, pair[0].id] if i % 2 else [p.id for p in pair]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            seen = list(pool.map(lambda pt: pt[0].ask("PATCH", f"/api/namespaces/{ns}/members/{pt[1]}", {"role": "viewer"}).status, zip(pair, targets)))
        left = s.control("SELECT count(*) FROM namespace_member m JOIN namespace n ON n.id = m.namespace_id WHERE n.slug = ? AND m.role = 'owner'", [ns])
        checks.that(f"one owner is left ({'each other' if i % 2 else 'themselves'})", left == [(1,)] and sorted(seen)[0] == 200 and sorted(seen)[1] in (403, 409), (left, seen, mine))


def shares(checks, s):
    owner = make(s, "share@example.com")
    owner.ask("POST", "/api/namespaces", {"slug": "shared"})
    for slug in ("open", "closed"):
        owner.ask("POST", "/api/namespaces/shared/databases", {"slug": slug})
    viewer, admin, out = make(s, "share-v@example.com", "shared", "viewer"), make(s, "share-a@example.com", "shared", "admin"), make(s, "share-o@example.com")
    path = "/api/namespaces/shared/databases/{}/shares/{}"
    load = lambda p, db: p.ask("POST", f"/api/namespaces/shared/databases/{db}/import", b"CREATE TABLE IF NOT EXISTS t(a);", headers={"Content-Type": "application/sql"}).status
    checks.equal("before: an admin loads files", load(admin, "closed"), 200)
    checks.equal("narrow", owner.ask("PUT", path.format("closed", admin.id), {"role": "viewer"}).json["data"], {"userId": admin.id, "role": "viewer"})
    checks.equal("narrowed there alone, at once", (load(admin, "closed"), load(admin, "open")), (403, 200))
    checks.equal("reading stays", admin.ask("GET", "/api/namespaces/shared/databases/closed/export").status, 200)
    checks.equal("widen", owner.ask("PUT", path.format("open", viewer.id), {"role": "editor"}).status, 200)
    listed = checks.good("list", viewer.ask("GET", "/api/namespaces/shared/databases/open/shares"))
    checks.equal("list", [(r["userId"], r["email"], r["role"]) for r in listed], [(viewer.id, viewer.email, "editor")])
    checks.equal("again is fine", owner.ask("PUT", path.format("open", viewer.id), {"role": "viewer"}).status, 200)
    checks.refused("with a stranger", owner.ask("PUT", path.format("open", out.id), {"role": "viewer"}), 404, "not_found")
    checks.refused("with nobody", owner.ask("PUT", path.format("open", "usr_none"), {"role": "viewer"}), 404, "not_found")
    checks.refused("of no database", owner.ask("PUT", path.format("none", viewer.id), {"role": "viewer"}), 404, "not_found")
    checks.equal("end", owner.ask("DELETE", path.format("closed", admin.id)).status, 200)
    checks.equal("the namespace's role again", load(admin, "closed"), 200)
    checks.refused("end again", owner.ask("DELETE", path.format("closed", admin.id)), 404, "not_found")
    owner.ask("PUT", path.format("open", viewer.id), {"role": "editor"})
    owner.ask("DELETE", f"/api/namespaces/shared/members/{viewer.id}")
    checks.equal("removal ends shares", s.control("SELECT count(*) FROM database_share WHERE account_id = ?", [viewer.id]), [(0,)])


def confirmation(checks, s):
    owner = make(s, "late@example.com")
    owner.ask("POST", "/api/namespaces", {"slug": "late"})
    s.control("UPDATE session SET confirmed_at = confirmed_at - 900001 WHERE account_id = ?", [owner.id], write=True)
    made = s.mint("readonly")  # bumps the generation
    s.run("token", "revoke", "--data", s.data, made["id"])
    for method, path, body in (("DELETE", "", None), ("POST", "/invitations", {"email": "a@example.com", "role": "viewer"}), ("PATCH", f"/members/{owner.id}", {"role": "owner"}),
                               ("DELETE", "/databases/main", None), ("POST", "/oauth-clients", {"name": "App"}), ("POST", "/oauth-clients/oc_0/rotate-secret", None),
                               ("DELETE", f"/members/{owner.id}", None), ("PUT", f"/databases/main/shares/{owner.id}", {"role": "viewer"})):
        checks.refused(f"{method} {path} after 15 minutes", owner.ask(method, "/api/namespaces/late" + path, body), 403, "confirmation_required")
    checks.equal("reading does not ask", owner.ask("GET", "/api/namespaces/late/members").status, 200)
    checks.equal("confirm", owner.ask("POST", "/api/auth/confirm-password", {"password": GOOD}).status, 200)
    checks.equal("then it passes", owner.ask("DELETE", "/api/namespaces/late").status, 200)


def bad_input(checks, s):
    p = make(s, "bad@example.com")
    p.ask("POST", "/api/namespaces", {"slug": "bad"})
    p.ask("POST", "/api/namespaces/bad/databases", {"slug": "main"})
    ns = "/api/namespaces/bad"
    values = {"null": None, "true": True, "7": 7, "1.5": 1.5, "[]": [], "{}": {}, '""': "", "long": "x" * 300}
    routes = [("POST", "/api/namespaces", {"name": "N", "slug": "never-made"}, {"name", "slug"}), ("PATCH", ns, {"name": "N"}, ()),
              ("POST", ns + "/invitations", {"email": "a@example.com", "role": "viewer"}, ()), ("PATCH", f"{ns}/members/{p.id}", {"role": "owner"}, ()),
              ("PUT", f"{ns}/databases/main/shares/{p.id}", {"role": "viewer"}, ()), ("POST", ns + "/databases", {"name": "N", "slug": "never-made"}, {"name", "slug"})]
    before = s.control("SELECT (SELECT count(*) FROM namespace), (SELECT count(*) FROM invitation), (SELECT count(*) FROM database)")
    for method, path, good, nullable in routes:
        for field in good:
            for what, value in values.items():
                if value is None and field in nullable:
                    continue
                body = checks.refused(f"{method} {path} {field} is {what}", p.ask(method, path, {**good, field: value}), 400, "invalid_request")
                checks.equal(f"{method} {path} {field} is {what}: pointer", body.get("pointer"), "/" + field)
            for what, raw in (("a NUL", '"a\\u0000b"'), ("a lone surrogate", '"a\\ud800b"')):
                text = json.dumps({**good, field: "MARK"}).replace('"MARK"', raw)
                checks.refused(f"{method} {path} {field} holds {what}", p.ask(method, path, text.encode()), 400, "invalid_request")
            if field not in nullable:
                body = checks.refused(f"{method} {path} without {field}", p.ask(method, path, {k: v for k, v in good.items() if k != field}), 400, "invalid_request")
                checks.equal(f"{method} {path} without {field}: pointer", body.get("pointer"), "/" + field)
        for what, raw in (("nothing", b""), ("no JSON", b"{"), ("an array", b"[]"), ("a text", b'"x"'), ("null", b"null"), ("depth 33", b'{"a":' * 33 + b"1" + b"}" * 33)):
            checks.refused(f"{method} {path} with {what}", p.ask(method, path, raw), 400, "invalid_request")
    for path in (ns + "/invitations", f"{ns}/members/{p.id}", f"{ns}/databases/main/shares/{p.id}"):
        method = {"/invitations": "POST"}.get(path[len(ns):], "PATCH" if "/members/" in path else "PUT")
        for role in ("Viewer", "king", "none", " viewer", "readonly"):
            body = checks.refused(f"{path} with the role {role!r}", p.ask(method, path, {"email": "a@example.com", "role": role} if method == "POST" else {"role": role}), 400, "invalid_request")
            checks.equal(f"{path} with the role {role!r}: pointer", body.get("pointer"), "/role")
    for role in ("admin", "owner"):
        checks.refused(f"share as {role}", p.ask("PUT", f"{ns}/databases/main/shares/{p.id}", {"role": role}), 400, "invalid_request")
    checks.equal("nothing was made", s.control("SELECT (SELECT count(*) FROM namespace), (SELECT count(*) FROM invitation), (SELECT count(*) FROM database)"), before)
    checks.that("no answer was a 5xx", 'status="5xx"' not in s.call("GET", "/metrics").data.decode())


def renewed(checks, s, what, person, cookie, csrf, before):
    """The same session under another secret; the one from before, and its token, are worth nothing."""
    checks.that(f"{what}: another cookie and token", person.cookie != cookie and person.csrf != csrf)
    old = lambda method, path, **head: s.call(method, path, {} if method != "GET" else None, headers={"Authorization": None, "Cookie": cookie, **head})
    checks.equal(f"{what}: the old one is over", (old("GET", "/api/namespaces").status, old("POST", "/api/auth/sign-out", **{"X-CSRF-Token": csrf}).status), (401, 401))
    after = person.session().json
    checks.equal(f"{what}: the same session", [after["session"].get(k) for k in ("id", "createdAt", "confirmedAt")], [before["session"].get(k) for k in ("id", "createdAt", "confirmedAt")])
    checks.equal(f"{what}: its token", after["csrfToken"], person.csrf)


def own_role(checks, s):
    """Whoever changes what the own account may do goes on under a new secret; others' sessions are left alone."""
    owner, other = Person(s, "owner@example.com", PASSWORD), Person(s, "owner@example.com", PASSWORD)
    owner.sign_in(), other.sign_in()
    members = owner.ask("GET", "/api/namespaces/acme/members").json["data"]
    mine = next(m["userId"] for m in members if m["email"] == "owner@example.com")
    cookie, csrf, before = owner.cookie, owner.csrf, owner.session().json
    checks.good("my own role", owner.ask("PATCH", f"/api/namespaces/acme/members/{mine}", {"role": "owner"}))
    renewed(checks, s, "my own role", owner, cookie, csrf, before)
    checks.equal("my other browser", other.ask("GET", "/api/namespaces").status, 200)
    cookie = owner.cookie
    checks.refused("nothing there", owner.ask("PATCH", "/api/namespaces/acme/members/usr_none", {"role": "viewer"}), 404, "not_found")
    checks.equal("a refusal renews nothing", owner.cookie, cookie)


def audited(checks, s):
    actions = {row[0] for row in s.control("SELECT action FROM audit")}
    wanted = {"namespace.created", "namespace.updated", "namespace.deleted", "namespace.restored", "namespace.member_added", "namespace.member_role_changed",
              "namespace.member_removed", "invitation.created", "invitation.revoked", "invitation.accepted", "database.shared", "database.unshared", "session.renewed"}
    checks.that("what happened is in the audit log", wanted <= actions, wanted - actions)
    log = s.log()
    checks.equal("no secret is in the log", [secret for secret in s.secrets if secret and secret in log], [])


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        for part in (namespaces, deletion, invitations, sign_up_by_invitation, roles, never_without_an_owner, shares, confirmation, bad_input, own_role, audited):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
