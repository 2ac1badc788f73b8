#!/usr/bin/env python3
"""People: signing up, in and out, their sessions and passwords, what a browser must send, what strangers can find out.
Usage: test_accounts.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

GOOD = "seven grey geese over the harbour"
OTHER = "nine lamps along an empty street"
NOBODY = {"Authorization": None}


def sign_up(s, email, password=GOOD, headers=None, **more):
    return s.call("POST", "/api/auth/sign-up/email", {"email": email, "password": password, **more}, headers={**NOBODY, **(headers or {})})


def person(s, email, password=GOOD):
    sign_up(s, email, password)
    p = Person(s, email, password)
    p.sign_in()
    return p


def cookies(checks, s):
    p = Person(s, "owner@example.com", PASSWORD)
    a = p.sign_in()
    checks.equal("sign in", a.status, 200)
    line = a.headers.get("set-cookie", "")
    checks.that("the cookie", re.fullmatch(r"holdfast=hfs_[0-9A-Za-z]{49}; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200", line), line)
    checks.that("no secret in the body", p.cookie.split("=")[1].encode() not in a.data, a)
    checks.equal("nothing is cached", a.headers.get("cache-control"), "no-store")
    body = p.session().json
    checks.equal("get-session is the same answer", body, a.json)
    checks.equal("user", {k: body["user"][k] for k in ("email", "name", "image", "emailVerified")},
                 {"email": "owner@example.com", "name": "", "image": None, "emailVerified": False})
    checks.that("csrfToken", re.fullmatch("[0-9a-f]{64}", body["csrfToken"]), body)
    first = p.cookie
    p.sign_in()
    checks.that("each sign-in has a secret of its own", p.cookie != first)
    checks.equal("case and other cookies do not matter", s.call("POST", "/api/auth/sign-in/email", {"email": "OWNER@Example.Com", "password": PASSWORD}, headers={
        **NOBODY, "Cookie": "a=b; holdfast=old"}).status, 200)
    for cookie in ("", "holdfast=", "holdfast", "holdfast=hfs_x", "x" + p.cookie, p.cookie[:-1], p.cookie + "x", p.cookie.replace("holdfast", "__Host-holdfast"),
                   "holdfast=" + s.token):
        a = s.call("GET", "/api/auth/get-session", headers={**NOBODY, "Cookie": cookie})
        checks.refused(f"the cookie {cookie[:20]}…", a, 401, "unauthorized")
    a = s.call("GET", "/api/auth/get-session", headers={**NOBODY, "Cookie": "a=1; " + p.cookie + "; b=2"})
    checks.equal("among other cookies", a.status, 200)
    checks.equal("a bearer is not looked at", s.call("GET", "/api/auth/get-session", token=s.token).status, 401)
    checks.equal("an API route does not look at cookies", s.call("GET", "/v1/me", headers={**NOBODY, "Cookie": p.cookie}).status, 401)
    checks.equal("a session's secret is no bearer", s.call("GET", "/v1/me", token=p.cookie.split("=")[1]).status, 401)
    checks.equal("sign out", p.ask("POST", "/api/auth/sign-out").json, {"success": True})
    checks.that("sign out clears the cookie", p.cookie == "holdfast=", p.cookie)


def secure_cookies(checks, binary):
    with Server(binary, args=["--public-url", "https://db.example.com/"]) as s:
        p = Person(s, "owner@example.com", PASSWORD)
        a = p.sign_in(headers={"Origin": "https://db.example.com", "Sec-Fetch-Site": "same-origin"})
        line = a.headers.get("set-cookie", "")
        checks.that("over HTTPS", re.fullmatch(r"__Host-holdfast=hfs_\w{49}; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200; Secure", line), line)
        checks.equal("and it is read again", p.session().status, 200)
        checks.refused("the plain name is not taken then", s.call("GET", "/api/auth/get-session", headers={**NOBODY, "Cookie": p.cookie.replace("__Host-", "")}),
                401, "unauthorized")
        checks.refused("another origin", p.sign_in(headers={"Origin": "https://evil.example.com"}), 403, "csrf_failed")


def csrf(checks, s):
    p = person(s, "csrf@example.com")
    own = f"http://127.0.0.1:{s.port}"
    good = [{}, {"Origin": own}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}]
    bad = [{"Origin": "https://evil.example.com"}, {"Origin": "null"}, {"Origin": own + ".evil.com"}, {"Origin": own + "1"}, {"Origin": own.replace("http", "https")},
           {"Origin": "http://127.0.0.1"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""},
           {"Origin": own, "Sec-Fetch-Site": "cross-site"}]
    for headers in good:
        checks.equal(f"end others with {headers}", p.ask("POST", "/api/auth/revoke-other-sessions", headers=headers).status, 200)
    for headers in bad:
        checks.refused(f"end others with {headers}", p.ask("POST", "/api/auth/revoke-other-sessions", headers=headers), 403, "csrf_failed")
        a = s.call("POST", "/api/auth/sign-in/email", {"email": p.email, "password": GOOD}, headers={**NOBODY, **headers})
        checks.refused(f"sign in with {headers}", a, 403, "csrf_failed")
        checks.refused(f"sign up with {headers}", sign_up(s, "x@example.com", headers=headers), 403, "csrf_failed")
    other = person(s, "csrf2@example.com")
    for token in (None, "", "0" * 64, p.csrf[:-1], p.csrf + "0", p.csrf.upper() if p.csrf.upper() != p.csrf else "A" * 64, other.csrf):
        a = p.ask("POST", "/api/auth/sign-out", headers={"X-CSRF-Token": token}, csrf=False)
        checks.refused(f"sign out with the token {token and token[:8]}", a, 403, "csrf_failed")
    checks.equal("reading needs none", p.ask("GET", "/api/auth/list-sessions", csrf=False).status, 200)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        a = s.call("POST", "/api/auth/sign-in/email", {"email": p.email, "password": GOOD}, headers={**NOBODY, "Content-Type": kind})
        checks.refused(f"sign in by a form: {kind}", a, 415, "unsupported_media_type")


def first_sign_in(checks, s):
    for email, handle in (("Ada.Lovelace+x@example.com", "ada-lovelace-x"), ("\u00e9\u00e8@example.com", "user"), ("x" * 64 + "@example.com", "x" * 40)):
        p = person(s, email)
        found = s.run("token", "list", "--data", s.data, check=False)
        checks.equal(f"{email}: signed in", p.session().status, 200)
        control = control_rows(s, "SELECT n.slug, m.role, d.slug, d.status FROM account a JOIN namespace_member m ON m.account_id = a.id "
                               "JOIN namespace n ON n.id = m.namespace_id LEFT JOIN database d ON d.namespace_id = n.id WHERE a.email = ?", [email])
        ok = len(control) == 1 and re.fullmatch(re.escape(handle) + "-[0-9a-f]{4}", control[0][0]) and control[0][1:] == ("owner", "main", "healthy")
        checks.that(f"{email}: owns a namespace with a database", ok, control)
        p.sign_in()
        checks.equal(f"{email}: one alone", len(control_rows(s, "SELECT 1 FROM namespace_member m JOIN account a ON a.id = m.account_id WHERE a.email = ?", [email])), 1)
        export = p.ask("GET", f"/api/namespaces/{control[0][0]}/databases/main/export")
        checks.equal(f"{email}: may read it", export.status, 200)
        a = p.ask("POST", f"/api/namespaces/{control[0][0]}/databases/main/import", b"CREATE TABLE t(a);", headers={"Content-Type": "application/sql"})
        checks.equal(f"{email}: may fill it", a.status, 200)
        a = p.ask("POST", f"/api/namespaces/{control[0][0]}/databases/main/import", b"CREATE TABLE u(a);", headers={"Content-Type": "application/sql"}, csrf=False)
        checks.refused(f"{email}: not without the token", a, 403, "csrf_failed")
        theirs = p.ask("GET", "/api/namespaces/acme/databases/main/export")
        missing = p.ask("GET", "/api/namespaces/never-made/databases/main/export")
        checks.refused("another's namespace", theirs, 404, "not_found")
        checks.equal("looks like a missing one", blank(theirs), blank(missing))
        checks.that("the listing of tokens still works", found.returncode == 0)


def blank(answer):
    return answer.status, {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}, {**answer.json, "requestId": None}


def control_rows(s, sql, values=()):
    import sqlite3
    control = sqlite3.connect(f"file:{s.data}/control.db?mode=ro", uri=True)
    try:
        return control.execute(sql, values).fetchall()
    finally:
        control.close()


def sessions(checks, s):
    here, there, other = person(s, "many@example.com"), Person(s, "many@example.com", GOOD), person(s, "someone@example.com")
    there.sign_in(headers={"User-Agent": "Elsewhere/1.0"})
    rows = here.ask("GET", "/api/auth/list-sessions").json["data"]
    checks.equal("two sessions, one is this", sorted(r["current"] for r in rows), [False, True])
    row = next(r for r in rows if not r["current"])
    checks.equal("as it called itself", (row["userAgent"], row["address"]), ("Elsewhere/1.0", "127.0.0.1"))
    for sid in (other.session().json["session"]["id"], "ses_none", "x"):
        checks.refused(f"end {sid[:8]}, which is not mine", here.ask("POST", "/api/auth/revoke-session", {"id": sid}), 404, "not_found")
    checks.equal("the other person is still there", other.session().status, 200)
    checks.equal("end the other one", here.ask("POST", "/api/auth/revoke-session", {"id": row["id"]}).json["data"], {"id": row["id"]})
    checks.refused("which is over at once", there.session(), 401, "unauthorized")
    checks.refused("twice", here.ask("POST", "/api/auth/revoke-session", {"id": row["id"]}), 404, "not_found")
    there.sign_in()
    third = Person(s, "many@example.com", GOOD)
    third.sign_in()
    checks.equal("end all others", here.ask("POST", "/api/auth/revoke-other-sessions").json, {"success": True})
    checks.equal("they are over, this is not", [p.session().status for p in (there, third, here)], [401, 401, 200])
    mine = here.session().json["session"]["id"]
    a = here.ask("POST", "/api/auth/revoke-session", {"id": mine})
    checks.that("end my own: the cookie goes", a.status == 200 and here.cookie == "holdfast=", a)


def passwords(checks, s):
    p, elsewhere = person(s, "change@example.com"), Person(s, "change@example.com", GOOD)
    elsewhere.sign_in()
    before = p.cookie, p.csrf
    body = checks.refused("change with a wrong password", p.ask("POST", "/api/auth/change-password", {"currentPassword": OTHER, "newPassword": OTHER}), 403, "forbidden")
    checks.equal("which is named", body.get("pointer"), "/currentPassword")
    for weak in ("short", "passwordpassword", "change@example.com", "a" * 20):
        body = checks.refused(f"change to {weak}", p.ask("POST", "/api/auth/change-password", {"currentPassword": GOOD, "newPassword": weak}), 400, "invalid_request")
        checks.equal("the new one is named", body.get("pointer"), "/newPassword")
    checks.equal("nothing happened", elsewhere.session().status, 200)
    a = p.ask("POST", "/api/auth/change-password", {"currentPassword": GOOD, "newPassword": OTHER})
    checks.equal("change", a.status, 200)
    checks.that("with a new cookie and token", p.cookie != before[0] and p.csrf != before[1])
    checks.refused("the old cookie is worth nothing", s.call("GET", "/api/auth/get-session", headers={**NOBODY, "Cookie": before[0]}), 401, "unauthorized")
    checks.equal("the new one is", p.session().status, 200)
    checks.refused("the other session is over", elsewhere.session(), 401, "unauthorized")
    checks.refused("the old password", elsewhere.sign_in(), 401, "unauthorized")
    checks.equal("the new password", elsewhere.sign_in(OTHER).status, 200)
    s.secrets.append(OTHER)


def confirmation(checks, s):
    """What asks for the password again does so after 15 minutes: the clock is moved in control.db."""
    p = person(s, "confirm@example.com")
    age(s, "confirm@example.com", "confirmed_at", 15 * 60 * 1000 + 1)
    body = checks.refused("delete after 15 minutes", p.ask("POST", "/api/auth/delete-user"), 403, "confirmation_required")
    checks.that("says what would pass", "/api/auth/confirm-password" in body.get("error", ""), body)
    checks.refused("confirm with a wrong password", p.ask("POST", "/api/auth/confirm-password", {"password": OTHER}), 403, "forbidden")
    before = p.cookie
    checks.equal("confirm", p.ask("POST", "/api/auth/confirm-password", {"password": GOOD}).status, 200)
    checks.that("rotates", p.cookie != before)
    checks.refused("the cookie before is worth nothing", s.call("GET", "/api/auth/get-session", headers={**NOBODY, "Cookie": before}), 401, "unauthorized")
    body = checks.refused("delete is now about the namespace", p.ask("POST", "/api/auth/delete-user"), 409, "conflict")
    checks.that("which it names", "confirm-" in body.get("error", ""), body)
    checks.equal("still there", p.session().status, 200)
    home = p.ask("GET", "/api/namespaces").json["data"][0]["slug"]
    checks.equal("the namespace goes first", p.ask("DELETE", f"/api/namespaces/{home}").status, 200)
    checks.equal("then the account, within the days of grace", p.ask("POST", "/api/auth/delete-user").status, 200)
    checks.refused("who is gone", p.session(), 401, "unauthorized")


def write(s, sql, values):
    import sqlite3
    control = sqlite3.connect(f"{s.data}/control.db")
    control.execute(sql, values)
    control.commit()
    control.close()


def age(s, email, column, ms):
    """Moves a time of the person's sessions into the past and lets every cache notice."""
    write(s, f"UPDATE session SET {column} = {column} - ? WHERE account_id = (SELECT id FROM account WHERE email = ?)", (ms, email))
    made = s.mint("readonly")  # bumps the generation
    s.run("token", "revoke", "--data", s.data, made["id"])


def lifetimes(checks, s):
    for column, ms in (("seen_at", 30 * 60 * 1000), ("expires_at", 12 * 3600 * 1000)):
        p = person(s, f"{column}@example.com")
        age(s, p.email, column, ms - 60000)
        checks.equal(f"a minute before the end of {column}", p.session().status, 200)
        age(s, p.email, column, ms if column == "seen_at" else 60000)
        checks.refused(f"at the end of {column}", p.session(), 401, "unauthorized")
        checks.equal("and in again", p.sign_in().status, 200)


def enumeration(checks, s):
    sign_up(s, "known@example.com")
    for password in (OTHER, "x", "y" * 256):
        known = s.call("POST", "/api/auth/sign-in/email", {"email": "known@example.com", "password": password}, headers=NOBODY)
        unknown = s.call("POST", "/api/auth/sign-in/email", {"email": "unknown@example.com", "password": password}, headers=NOBODY)
        checks.equal("a wrong password and an unknown address are told alike", blank(known), blank(unknown))
    checks.equal("a new address and a taken one are told alike", blank(sign_up(s, "fresh@example.com")), blank(sign_up(s, "KNOWN@example.com", OTHER)))
    p = Person(s, "known@example.com", GOOD)
    checks.equal("signing up again changes no password", (p.sign_in(OTHER).status, p.sign_in().status), (401, 200))
    times = {"known": [], "unknown": []}
    for i in range(12):
        for kind in times:
            email = "known@example.com" if kind == "known" else f"unknown{i}@example.com"
            started = time.perf_counter()
            s.call("POST", "/api/auth/sign-in/email", {"email": email, "password": OTHER}, headers=NOBODY)
            times[kind].append(time.perf_counter() - started)
            if kind == "known":
                p.sign_in()  # forgets the failure
    low = {kind: statistics.median(t) for kind, t in times.items()}
    checks.that("both take the same work", 0.5 < low["known"] / low["unknown"] < 2, low)


def throttling(checks, s):
    for email in ("guessed@example.com", "nobody@example.com"):
        if email.startswith("guessed"):
            sign_up(s, email)
        p = Person(s, email, GOOD)
        seen = [p.sign_in(OTHER).status for _ in range(5)]
        checks.equal(f"{email}: five free failures", seen, [401] * 5)
        a = p.sign_in(OTHER)
        checks.refused(f"{email}: then a wait", a, 429, "rate_limited")
        checks.equal(f"{email}: of a second", a.headers.get("retry-after"), "1")
        checks.refused(f"{email}: also with the right password", p.sign_in(), 429, "rate_limited")
    p = person(s, "parallel@example.com")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(lambda _: Person(s, "parallel@example.com", GOOD).sign_in(OTHER).status, range(40)))
    checks.that("many at once gain nothing", set(seen) <= {401, 429} and 1 <= seen.count(401) <= 6, seen)
    checks.equal("those who are in stay in", p.session().status, 200)
    seen = [sign_up(s, "same@example.com").status for _ in range(6)]
    checks.equal("signing up is counted as well", seen, [200] * 5 + [429])


def storm(checks, s):
    """More sign-ins at once than slots and places to wait: those past it are told to come back, and other routes answer meanwhile."""
    people = [Person(s, f"storm{i}@example.com", GOOD) for i in range(8)]
    for p in people:
        sign_up(s, p.email)
    with concurrent.futures.ThreadPoolExecutor(110) as pool:
        running = [pool.submit(Person(s, people[i % 8].email, GOOD).sign_in) for i in range(110)]
        meanwhile = [s.call("GET", "/v1/me").status for _ in range(20)]
        answers = [r.result() for r in running]
    seen = {a.status for a in answers}
    checks.that("a storm is answered", 200 in seen and seen <= {200, 429, 503}, seen)
    checks.that("who is refused is told when to come back", all(a.headers.get("retry-after", "").isdigit() for a in answers if a.status != 200), seen)
    checks.that("not everybody fits", 503 in seen, seen)
    checks.equal("other routes answer", set(meanwhile), {200})
    for p in people[:2]:
        checks.that("and nobody is locked out", p.sign_in().status in (200, 429), p.email)


def old_hashes(checks, s):
    """A hash with weaker parameters than today's is made anew by the next sign-in."""
    p = person(s, "old@example.com")
    old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"  # of "password", by argon2's own tests
    write(s, "UPDATE account SET password_hash = ? WHERE email = ?", (old, p.email))
    stored = lambda: control_rows(s, "SELECT password_hash FROM account WHERE email = ?", [p.email])[0][0]
    checks.refused("another password", p.sign_in(OTHER), 401, "unauthorized")
    checks.equal("a wrong one changes nothing", stored(), old)
    checks.equal("the right one", p.sign_in("password").status, 200)
    checks.that("is hashed anew", stored().startswith("$argon2id$v=19$m=19456,t=2,p=1$"), stored())
    checks.equal("and still right", p.sign_in("password").status, 200)


def bad_input(checks, s):
    p = person(s, "input@example.com")
    values = {"null": None, "true": True, "7": 7, "1.5": 1.5, "[]": [], "{}": {}, '""': ""}
    routes = [("/api/auth/sign-up/email", {"email": "a@example.com", "password": GOOD, "name": "A"}, {"name": (None, "")}, 400),
              ("/api/auth/sign-in/email", {"email": "a@example.com", "password": GOOD}, {}, 400),
              ("/api/auth/revoke-session", {"id": "ses_x"}, {}, 400),
              ("/api/auth/confirm-password", {"password": GOOD}, {}, 400),
              ("/api/auth/change-password", {"currentPassword": GOOD, "newPassword": OTHER}, {}, 400)]
    for path, good, also, status in routes:
        for field in good:
            for what, value in values.items():
                if value in also.get(field, ()) and not isinstance(value, bool):
                    continue
                body = checks.refused(f"{path} {field} is {what}", p.ask("POST", path, {**good, field: value}), status, "invalid_request")
                checks.equal(f"{path} {field} is {what}: pointer", body.get("pointer"), "/" + field)
            body = checks.refused(f"{path} {field} is too long", p.ask("POST", path, {**good, field: "x" * 300}), status, "invalid_request")
            checks.equal(f"{path} {field} is too long: pointer", body.get("pointer"), "/" + field)
            for what, raw in (("a NUL", '"a\\u0000b"'), ("a lone surrogate", '"a\\ud800b"')):
                text = json.dumps({**good, field: "MARK"}).replace('"MARK"', raw)
                checks.refused(f"{path} {field} holds {what}", p.ask("POST", path, text.encode()), status, "invalid_request")
            if field not in also:
                rest = {k: v for k, v in good.items() if k != field}
                body = checks.refused(f"{path} without {field}", p.ask("POST", path, rest), status, "invalid_request")
                checks.equal(f"{path} without {field}: pointer", body.get("pointer"), "/" + field)
        body = checks.refused(f"{path} with an unknown field", p.ask("POST", path, {**good, "more": 1}), status, "invalid_request")
        checks.equal(f"{path} with an unknown field: pointer", body.get("pointer"), "/more")
        for what, raw in (("nothing", b""), ("no JSON", b"{"), ("an array", b"[]"), ("a text", b'"x"'), ("null", b"null"), ("two", b"{}{}"),
                          ("depth 33", b'{"a":' * 33 + b"1" + b"}" * 33), ("bad UTF-8", b'{"email":"\xff"}')):
            checks.refused(f"{path} with {what}", p.ask("POST", path, raw), status, "invalid_request")
        twice = json.dumps(good)[:-1] + "," + json.dumps(good)[1:]
        checks.refused(f"{path} with a field twice", p.ask("POST", path, twice.encode()), status, "invalid_request")
    for email in ("ada", "@example.com", "ada@", "a@b@c", "a b@c", "a\n@c", "x" * 254 + "@c"):
        body = checks.refused(f"sign up as {email[:20]!r}", sign_up(s, email), 400, "invalid_request")
        checks.equal("the address is named", body.get("pointer"), "/email")
    for weak in ("short", "password12345678", "aaaaaaaaaaaaaaaaaaaa", "bad.input@bad.input"):
        body = checks.refused(f"sign up with {weak}", sign_up(s, "bad.input@example.com", weak), 400, "invalid_request")
        checks.equal("the password is named", body.get("pointer"), "/password")
    checks.equal("nobody was made", control_rows(s, "SELECT email FROM account WHERE email IN ('a@example.com', 'bad.input@example.com')"), [])
    checks.that("no answer was a 5xx", 'status="5xx"' not in s.call("GET", "/metrics").data.decode())


def pages(checks, binary):
    """Every HTML answer has the strict headers; what is shown does not depend on the secret in the address."""
    strict = {"content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
              "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
              "x-frame-options": "DENY", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
              "x-content-type-options": "nosniff", "cache-control": "no-store", "content-type": "text/html; charset=utf-8"}
    for args, hsts in (([], None), (["--public-url", "https://db.example.com"], "max-age=31536000")):
        with Server(binary, args=args) as s:
            a = s.call("GET", "/invite/hfi_" + "x" * 49, headers=NOBODY)
            checks.equal("a page: status", a.status, 200)
            checks.equal("a page: headers", {k: a.headers.get(k) for k in strict}, strict)
            checks.equal("a page: HSTS over HTTPS alone", a.headers.get("strict-transport-security"), hsts)
            checks.equal("a page: the same for every link", s.call("GET", "/invite/%3Cscript%3E", headers=NOBODY).data, a.data)
            checks.that("a page: nothing inline", b"<script" not in a.data and b"style" not in a.data and b"hfi_" not in a.data, a.data)
            checks.that("a page: the secret is not logged", "x" * 49 not in s.log())


def who_may_sign_up(checks, binary):
    for mode in ("closed", "invite"):
        with Server(binary, args=["--signup", mode]) as s:
            for email in ("owner@example.com", "new@example.com"):
                checks.refused(f"{mode}: sign up as {email}", sign_up(s, email), 403, "forbidden")
            checks.equal(f"{mode}: nobody was made", control_rows(s, "SELECT count(*) FROM account"), [(1,)])
            checks.equal(f"{mode}: signing in is not concerned", Person(s, "owner@example.com", PASSWORD).sign_in().status, 200)


def user(s, *words, input="", env=None, check=True):
    """holdfast user …; without HOLDFAST_PASSWORD unless it is given."""
    kept, s.env = s.env, {**{k: v for k, v in s.env.items() if k != "HOLDFAST_PASSWORD"}, **(env or {})}
    try:
        done = s.run("user", *words, "--data", s.data, input=input, check=check)
    finally:
        s.env = kept
    return done


def commands(checks, s):
    """holdfast user …, beside the server that runs."""
    made = json.loads(user(s, "create", "--email", "cli@example.com", "--name", "Cli", "--namespace", "acme", "--role", "viewer", "--json").stdout)
    checks.equal("create: members", sorted(made), ["email", "id", "password"])
    p = Person(s, "cli@example.com", made["password"])
    checks.equal("create: may sign in with the password that was generated", p.sign_in().status, 200)
    checks.equal("create: name", p.session().json["user"]["name"], "Cli")
    checks.equal("create: a viewer reads", p.ask("GET", "/api/namespaces/acme/databases/main/export").status, 200)
    a = p.ask("POST", "/api/namespaces/acme/databases/main/import", b"CREATE TABLE t(a);", headers={"Content-Type": "application/sql"})
    body = checks.refused("create: a viewer imports nothing", a, 403, "forbidden")
    checks.that("create: says which role would", "admin" in body.get("error", "") and "viewer" in body.get("error", ""), body)
    checks.equal("create: whoever has a namespace gets no other", control_rows(
        s, "SELECT count(*) FROM namespace_member WHERE account_id = ?", [made["id"]]), [(1,)])
    given = user(s, "create", "--email", "given@example.com", input=GOOD + "\n")
    checks.that("create: a given password is not printed", GOOD not in given.stdout + given.stderr and "may sign in" in given.stdout, given)
    checks.equal("create: and is the password", Person(s, "given@example.com", GOOD).sign_in().status, 200)
    user(s, "create", "--email", "env@example.com", env={"HOLDFAST_PASSWORD": GOOD})
    checks.equal("create: from the environment", Person(s, "env@example.com", GOOD).sign_in().status, 200)
    for what, words, given, status, says in [
            ("a taken address", ["--email", "CLI@example.com"], GOOD, 1, "has an account already"), ("no address", ["--email", "cli"], GOOD, 2, "--email must look like"),
            ("a weak password", ["--email", "w@example.com"], "passwordpassword", 2, "the password is made of"),
            ("a short password", ["--email", "w@example.com"], "short", 2, "the password must have at least 15"),
            ("no such namespace", ["--email", "w@example.com", "--namespace", "nope", "--role", "viewer"], GOOD, 1, 'no namespace "nope"'),
            ("no such role", ["--email", "w@example.com", "--namespace", "acme", "--role", "king"], GOOD, 2, "--role must be viewer"),
            ("a role alone", ["--email", "w@example.com", "--role", "viewer"], GOOD, 2, "belong together"),
            ("a namespace alone", ["--email", "w@example.com", "--namespace", "acme"], GOOD, 2, "belong together")]:
        done = user(s, "create", *words, input=given + "\n", check=False)
        checks.equal(f"create with {what}", (done.returncode, says in done.stderr), (status, True))
    checks.equal("nobody was made by those", control_rows(s, "SELECT 1 FROM account WHERE email = 'w@example.com'"), [])
    rows = {r["email"]: r for r in json.loads(user(s, "list", "--json").stdout)}
    checks.equal("list: namespaces", rows["cli@example.com"]["namespaces"], [{"slug": "acme", "role": "viewer"}])
    checks.that("list: for people", re.search(r"^usr_\w+ +active +cli@example.com  acme \(viewer\)$", user(s, "list").stdout, re.M), user(s, "list").stdout)
    checks.equal("suspend", user(s, "suspend", "CLI@example.com").stdout, "cli@example.com is suspended.\n")
    checks.refused("suspend: the session is over at once", p.session(), 401, "unauthorized")
    checks.refused("suspend: the right password says so", p.sign_in(), 403, "forbidden")
    checks.refused("suspend: a wrong one does not", p.sign_in(OTHER), 401, "unauthorized")
    checks.that("suspend: is listed", re.search(r"suspended +cli@example.com", user(s, "list").stdout))
    checks.equal("resume", user(s, "resume", "cli@example.com").stdout, "cli@example.com may sign in again.\n")
    checks.equal("resume: signs in", p.sign_in().status, 200)
    fresh = json.loads(user(s, "reset-password", "cli@example.com", "--json").stdout)["password"]
    s.secrets.append(fresh)
    checks.refused("reset: the session is over", p.session(), 401, "unauthorized")
    checks.refused("reset: the old password", p.sign_in(), 401, "unauthorized")
    checks.equal("reset: the new password", p.sign_in(fresh).status, 200)
    for command in ("suspend", "resume", "reset-password"):
        done = user(s, command, "nobody@example.com", input=GOOD, check=False)
        checks.equal(f"{command} of nobody", (done.returncode, "has no account" in done.stderr), (1, True))


def audited(checks, s):
    actions = {row[0] for row in control_rows(s, "SELECT action FROM audit")}
    wanted = {"user.created", "user.sign_up_refused", "user.signed_in", "user.confirmed", "user.password_changed", "session.ended", "user.sessions_ended",
              "user.suspended", "user.resumed"}
    checks.that("what happened is in the audit log", wanted <= actions, wanted - actions)
    log = s.log()
    found = [secret for secret in s.secrets + [GOOD, OTHER] if secret and secret in log]
    checks.equal("no secret is in the log", found, [])
    dump = "\n".join(str(r) for t in ("account", "session", "audit") for r in control_rows(s, f"SELECT * FROM {t}"))
    checks.equal("no secret is stored", [secret for secret in s.secrets + [GOOD, OTHER] if secret and secret in dump], [])


def main():
    checks, binary = Checks(), binary_argument()
    with Server(binary, args=["--signup", "open"]) as s:
        for part in (cookies, csrf, first_sign_in, sessions, passwords, confirmation, lifetimes, enumeration, old_hashes, bad_input, commands):
            checks.part(part, checks, s)
        checks.part(audited, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    with Server(binary, args=["--signup", "open"]) as s:
        checks.part(storm, checks, s)
        checks.part(throttling, checks, s)
    checks.part(secure_cookies, checks, binary)
    checks.part(who_may_sign_up, checks, binary)
    checks.part(pages, checks, binary)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
