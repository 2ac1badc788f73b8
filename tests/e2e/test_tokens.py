#!/usr/bin/env python3
"""API tokens over HTTP: making, listing by pages, rotating with an overlap, revoking, addresses; by people and by tokens, which make
none that reaches further than themselves; and what is wrong in every field. Usage: test_tokens.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import re
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from people import Person

TOKENS = "/api/namespaces/acme/tokens"
SECRET = re.compile(r"psql_live_[0-9A-Za-z]{49}")
GOOD = "seven grey geese over the harbour"
MEMBERS = ["claims", "createdAt", "kind", "database", "branch", "expiresAt", "id", "lastUsedAt", "name", "namespace", "overlapEndsAt", "preview", "revokedAt", "role", "tableScope", "allowedAddresses"]


def kept(s, made):
    if made.get("token"):
        s.secrets.append(made["token"])
    return made


def make(s, checks, body=None, token=None):
    return kept(s, checks.good(f"create {body}", s.call("POST", TOKENS, body or {}, token=token)))


def status(s, secret, address=None):
    return s.call("GET", "/v1/me", token=secret, headers={"X-Forwarded-For": address} if address else None).status


def person(s, email, role):
    s.run("user", "create", "--data", s.data, "--email", email, "--namespace", "acme", "--role", role, input=GOOD + "\n")
    p = Person(s, email, GOOD)
    p.sign_in()
    return p


def by_people(checks, s):
    p = Person(s, "owner@example.com", PASSWORD)
    p.sign_in()
    wish = {"name": "Reporting", "role": "readonly", "tableScope": ["orders"], "database": "main", "expiresIn": 3600, "allowedAddresses": ["127.0.0.0/8", "::1"]}
    made = kept(s, checks.good("create", p.ask("POST", TOKENS, wish)))
    checks.equal("its members", sorted(made), sorted([*MEMBERS, "token"]))
    checks.equal("its wishes", {k: made[k] for k in ("name", "role", "tableScope", "database", "allowedAddresses")}, {k: wish[k] for k in ("name", "role", "tableScope", "database", "allowedAddresses")})
    checks.that("the published form", SECRET.fullmatch(made["token"]), made)
    checks.equal("the preview", made["preview"], f"{made['token'][:14]}…{made['token'][-4:]}")
    me = s.call("GET", "/v1/me", token=made["token"]).json["data"]
    checks.equal("me", (me["role"], me["tableScope"], me["tokenId"], me["expiresAt"]), ("readonly", ["orders"], made["id"], made["expiresAt"]))
    plain = kept(s, checks.good("create {}", p.ask("POST", TOKENS, {})))
    checks.equal("defaults", [plain[k] for k in ("name", "role", "tableScope", "database", "allowedAddresses", "expiresAt", "overlapEndsAt")],
                 [plain["id"], "admin", None, None, None, None, None])
    nulls = kept(s, checks.good("create with nulls", p.ask("POST", TOKENS, dict.fromkeys(wish))))
    checks.equal("null is as good as nothing", (nulls["role"], nulls["tableScope"]), ("admin", None))
    listed = checks.good("list", p.ask("GET", TOKENS))
    checks.equal("newest first", [t["id"] for t in listed][:3], [nulls["id"], plain["id"], made["id"]])
    checks.that("masked", all(sorted(t) == sorted(MEMBERS) for t in listed) and "psql_live_" + made["token"][10:] not in json.dumps(listed))
    checks.equal("the same as when it was made", {k: v for k, v in listed[2].items() if k != "lastUsedAt"}, {k: v for k, v in made.items() if k not in ("token", "lastUsedAt")})
    rotated = kept(s, checks.good("rotate", p.ask("POST", f"{TOKENS}/{made['id']}/rotate", {"overlap": 600})))
    checks.that("another secret for the same token", rotated["id"] == made["id"] and rotated["token"] != made["token"] and rotated["overlapEndsAt"], rotated)
    checks.equal("both open", [status(s, t["token"]) for t in (made, rotated)], [200, 200])
    checks.equal("revoke", checks.good("revoke", p.ask("DELETE", f"{TOKENS}/{made['id']}")), {"id": made["id"]})
    checks.equal("both are refused", [status(s, t["token"]) for t in (made, rotated)], [401, 401])
    checks.equal("revoking again", checks.good("revoke again", p.ask("DELETE", f"{TOKENS}/{made['id']}")), {"id": made["id"]})
    checks.that("no longer listed", made["id"] not in [t["id"] for t in p.ask("GET", TOKENS).json["data"]])
    everything = {t["id"]: t for t in checks.good("list all", p.ask("GET", TOKENS + "?revoked=include"))}
    checks.that("unless asked for", everything[made["id"]]["revokedAt"], everything[made["id"]])
    stored = s.control("SELECT hash, former_hash FROM token")
    checks.that("digests alone are stored", all(secret not in json.dumps(stored) for secret in s.secrets))


def roles_of_people(checks, s):
    """What makes one asks for the password again. Who may at all: tests/matrix."""
    target = make(s, checks, {"name": "target"})
    calls = [("GET", TOKENS, None), ("POST", TOKENS, {}), ("POST", f"{TOKENS}/{target['id']}/rotate", {}), ("DELETE", f"{TOKENS}/{target['id']}", None)]
    admin = person(s, "admin@example.com", "admin")
    checks.refused("a form", admin.ask("POST", TOKENS, b"{}", {"Content-Type": "text/plain"}), 415, "unsupported_media_type")
    s.control("UPDATE session SET confirmed_at = confirmed_at - 900001 WHERE account_id = (SELECT id FROM account WHERE email = 'admin@example.com')", write=True)
    s.run("token", "revoke", s.mint("readonly")["id"], "--data", s.data)  # bumps the generation
    before = s.control("SELECT id, hash, revoked_at FROM token ORDER BY id")
    for method, path, body in calls[1:3]:
        checks.refused(f"{method} {path} after 15 minutes", admin.ask(method, path, body), 403, "confirmation_required")
    checks.equal("reading does not ask", admin.ask("GET", TOKENS).status, 200)
    checks.equal("nothing was made, renewed or revoked", s.control("SELECT id, hash, revoked_at FROM token ORDER BY id"), before)
    checks.equal("nor does revoking", admin.ask("DELETE", f"{TOKENS}/{target['id']}").status, 200)
    admin.ask("POST", "/api/auth/confirm-password", {"password": GOOD})
    kept(s, checks.good("then an admin makes one", admin.ask("POST", TOKENS, {})))


def by_tokens(checks, s):
    """A token makes and renews what reaches no further than itself."""
    narrow = make(s, checks, {"name": "narrow", "expiresIn": 600, "allowedAddresses": ["127.0.0.0/8"]})
    child = make(s, checks, {"name": "child"}, narrow["token"])
    checks.equal("what was left out is the maker's", (child["expiresAt"], child["allowedAddresses"]), (narrow["expiresAt"], ["127.0.0.0/8"]))
    smaller = make(s, checks, {"role": "readwrite", "expiresIn": 60, "allowedAddresses": ["127.0.0.1"], "tableScope": [], "database": "main"}, narrow["token"])
    checks.equal("less is fine", (smaller["role"], smaller["allowedAddresses"], smaller["tableScope"]), ("readwrite", ["127.0.0.1"], []))
    for body, pointer in (({"expiresIn": 3600}, "/expiresIn"), ({"allowedAddresses": ["0.0.0.0/0"]}, "/allowedAddresses/0"),
                          ({"allowedAddresses": ["127.0.0.1", "::1"]}, "/allowedAddresses/1")):
        checks.refused(f"more is not: {body}", s.call("POST", TOKENS, body, token=narrow["token"]), 403, "forbidden", pointer)
    checks.refused("51 claims", s.call("POST", TOKENS, {"claims": {f"c{i}": i for i in range(51)}}), 400, "invalid_request", "/claims")
    told = make(s, checks, {"name": "told", "claims": {"tenant": "a"}})
    checks.equal("claims are handed on", make(s, checks, {"role": "readonly"}, told["token"])["claims"], {"tenant": "a"})
    for claims in ({"tenant": "b"}, {"tenant": "a", "more": 1}):
        checks.refused(f"others are not: {claims}", s.call("POST", TOKENS, {"claims": claims}, token=told["token"]), 403, "forbidden", "/claims")
    wide = make(s, checks, {"name": "wide"})
    checks.refused("nor is a secret of a token that is told nothing", s.call("POST", f"{TOKENS}/{wide['id']}/rotate", {}, token=told["token"]), 403, "forbidden")
    body = checks.refused("rotate what is wider", s.call("POST", f"{TOKENS}/{wide['id']}/rotate", {}, token=narrow["token"]), 403, "forbidden")
    checks.that("no secret in the refusal", not SECRET.search(json.dumps(body)), body)
    checks.equal("it still opens", status(s, wide["token"]), 200)
    own = kept(s, checks.good("rotate itself", s.call("POST", f"{TOKENS}/{narrow['id']}/rotate", {"overlap": 0}, token=narrow["token"])))
    checks.equal("the old secret ended with the answer", (status(s, narrow["token"]), status(s, own["token"]), own["overlapEndsAt"]), (401, 200, None))
    s.call("DELETE", f"{TOKENS}/{own['id']}", token=own["token"])
    checks.equal("a token revokes itself", status(s, own["token"]), 401)


def rotation(checks, s):
    first = make(s, checks, {"name": "turning"})
    path = f"{TOKENS}/{first['id']}/rotate"
    second = kept(s, checks.good("rotate", s.call("POST", path, {"overlap": 1})))
    checks.equal("both open", [status(s, t["token"]) for t in (first, second)], [200, 200])
    ends = time.monotonic() + 10
    while status(s, first["token"]) == 200 and time.monotonic() < ends:
        time.sleep(0.05)
    checks.equal("the old one ends by itself, from the cache too", [status(s, t["token"]) for t in (first, second)], [401, 200])
    third = kept(s, checks.good("rotate again", s.call("POST", path, {})))
    fourth = kept(s, checks.good("and again", s.call("POST", path, {})))
    checks.equal("two are good, not three", [status(s, t["token"]) for t in (second, third, fourth)], [401, 200, 200])
    s.call("DELETE", f"{TOKENS}/{first['id']}")
    checks.refused("rotate what is revoked", s.call("POST", path, {}), 409, "conflict")
    short = make(s, checks, {"expiresIn": 1})
    ends = time.monotonic() + 10
    while status(s, short["token"]) == 200 and time.monotonic() < ends:
        time.sleep(0.05)
    checks.refused("rotate what has expired", s.call("POST", f"{TOKENS}/{short['id']}/rotate", {}), 409, "conflict")
    for name in ("tok_none", "x", "a" * 100, "%2e%2e", "tok_' OR 1=1"):
        for method, end, body in (("POST", "/rotate", {}), ("DELETE", "", None)):
            checks.refused(f"{method} of {name}", s.call(method, f"{TOKENS}/{name.replace(' ', '%20')}{end}", body), 404, "not_found")


def at_once(checks, s):
    """Rotations and revocations hold for the next request, however many ask at the same time."""
    for _ in range(10):
        made = make(s, checks, {})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            checks.equal("known to the cache", set(pool.map(lambda _: status(s, made["token"]), range(16))), {200})
            checks.good("revoke", s.call("DELETE", f"{TOKENS}/{made['id']}"))
            checks.equal("refused everywhere", set(pool.map(lambda _: status(s, made["token"]), range(16))), {401})
    made = make(s, checks, {})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: s.call("POST", f"{TOKENS}/{made['id']}/rotate", {}), range(16)))
    secrets = [kept(s, a.json["data"])["token"] for a in answers if a.status == 200]
    checks.equal("sixteen rotations at once leave two good secrets", (len(secrets), sum(status(s, t) == 200 for t in [made["token"], *secrets])), (16, 2))


def addresses(checks, s):
    made = make(s, checks, {"allowedAddresses": ["203.0.113.0/24", "2001:db8::/32", "::ffff:198.51.100.7"]})
    checks.equal("one spelling each", made["allowedAddresses"], ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"])
    for address, wanted in (("203.0.113.1", 200), ("203.0.114.1", 403), ("2001:db8:9::1", 200), ("2001:db9::1", 403), ("198.51.100.7", 200), ("198.51.100.8", 403),
                            (None, 403), ("203.0.113.1", 200), ("10.0.0.1, 203.0.113.9", 200), ("203.0.113.9, 10.0.0.1", 403)):
        checks.equal(f"from {address}", status(s, made["token"], address), wanted)
    inside, outside = ({"X-Forwarded-For": a} for a in ("203.0.113.1", "192.0.2.1"))
    s.call("GET", "/v1/me", token=made["token"], headers=inside)
    for method, path, body in (("POST", "/v1/db/acme/main/query", {"sql": "SELECT 1"}), ("GET", "/v1/databases", None), ("GET", TOKENS, None), ("GET", "/v1/db/acme/main/export", None),
                               ("GET", "/v1/db/other/main/tables", None), ("GET", "/v1/db/acme/none/tables", None)):
        body_seen = checks.refused(f"{method} {path} from outside", s.call(method, path, body, token=made["token"], headers=outside), 403, "forbidden")
        checks.equal(f"{method} {path}: names nothing", body_seen.get("error"), "This token may not be used from this address")
    checks.equal("inside it works", s.call("POST", "/v1/db/acme/main/query", {"sql": "SELECT 1"}, token=made["token"], headers=inside).status, 200)
    cli = json.loads(s.run("token", "create", "--data", s.data, "--namespace", "acme", "--role", "read", "--allow-address", "203.0.113.0/24,::1", "--json").stdout)
    kept(s, cli)
    checks.equal("by the command line", (cli["allowedAddresses"], status(s, cli["token"], "203.0.113.5"), status(s, cli["token"], "127.0.0.9")), (["203.0.113.0/24", "::1"], 200, 403))


FIELDS = {
    "name": ["x" * 81, "", 5, [], {}, True, "a\u0007b", "a\u0000b"],
    "role": ["owner", "Admin", "", 5, [], {}, True, "r" * 21],
    "database": ["none", "", 5, [], {}, True, "x" * 64, "MAIN", "../main"],
    "tableScope": ["orders", 5, {}, True, ["t"] * 257],
    "tableScope/0": [[5], [None], [""], [[]], [{}], [True], ["x" * 256], ["a\u0001"]],
    "tableScope/1": [["a", "a"], ["a", "A"], ["a", 5]],
    "allowedAddresses": ["10.0.0.0/8", 5, {}, True, [], ["10.0.0.%d" % n for n in range(33)]],
    "allowedAddresses/0": [[5], [None], [""], [[]], ["nowhere"], ["10.0.0.1/8"], ["10.0.0.0/33"], ["::/129"], ["10.0.0.1 "], ["fe80::1%lo"], ["[::1]"], ["10.0.0.0/08"],
                           ["1.2.3"], ["01.2.3.4"], ["*"], ["x" * 300]],
    "allowedAddresses/1": [["10.0.0.1", "10.0.0.1/32"], ["::1", "0:0:0:0:0:0:0:1"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    "expiresIn": [0, -1, 315360001, 1.5, "60", [], {}, True, 9223372036854775807],
    "claims": [5, "x", [], True], "claims/a": [{"a": {}}, {"a": []}], "token": ["psql_live_x"], "preview": ["x"], "namespaceId": ["ns_x"],
}


def bad_input(checks, s):
    made = make(s, checks, {"name": "kept"})
    rotate = f"{TOKENS}/{made['id']}/rotate"
    before = s.control("SELECT id, hash, former_hash FROM token ORDER BY id")
    for field, values in FIELDS.items():
        for value in values:
            answer = s.call("POST", TOKENS, {field.split("/")[0]: value})
            checks.refused(f"{field} {json.dumps(value)[:60]}", answer, 400, "invalid_request", None if "\u0000" in json.dumps(value, ensure_ascii=False) else "/" + field)
    for value in (-1, 604801, 1.5, "60", [], {}, True, 9223372036854775807):
        checks.refused(f"overlap {value}", s.call("POST", rotate, {"overlap": value}), 400, "invalid_request", "/overlap")
    checks.refused("rotate: unknown field", s.call("POST", rotate, {"role": "admin"}), 400, "invalid_request", "/role")
    for path in (TOKENS, rotate):
        for raw in (b"", b"[]", b"null", b'"x"', b"{", b'{"name":"a","name":"b"}', b'{"overlap":1,"overlap":2}', b"{}{}", b'{"name":"\xff"}', b'{"expiresIn":99999999999999999999}'):
            checks.refused(f"{path} {raw}", s.call("POST", path, raw), 400, "invalid_request")
    for query in ("?limit=0", "?limit=501", "?limit=x", "?limit=", "?revoked=", "?revoked=true", "?limit=1&limit=2", "?after=%ff", "?after=%zz"):
        checks.refused(f"list {query}", s.call("GET", TOKENS + query), 400, "invalid_request")
    checks.equal("a page behind the end", checks.good("after", s.call("GET", TOKENS + "?after=0")), [])
    checks.equal("nothing was made or renewed", s.control("SELECT id, hash, former_hash FROM token ORDER BY id"), before)
    checks.that("no answer was a 5xx", 'status="5xx"' not in s.call("GET", "/metrics").data.decode())


def many(checks, s):
    """Pages of a hundred thousand tokens, half of them revoked: each once, found by their index."""
    ns = s.control("SELECT id FROM namespace WHERE slug = 'acme'")[0][0]
    count = 100_000
    db = sqlite3.connect(f"{s.data}/control.db")
    db.execute("PRAGMA synchronous = OFF")
    db.executemany("INSERT INTO token(id, namespace_id, hash, preview, name, role, has_table_scope, created_at, revoked_at) VALUES(?, ?, ?, 'psql_live_aaaa…bbbb', 'many', 'readonly', 0, 1, ?)",
                   ((f"tok_0{n:025d}", ns, f"{n:064x}", None if n % 2 else 2) for n in range(count)))
    db.commit()
    db.close()
    seen, after, times = [], "", []
    while True:
        begun = time.perf_counter()
        page = s.call("GET", f"{TOKENS}?limit=500&after={after}").json["data"]
        times.append(time.perf_counter() - begun)
        seen += [t["id"] for t in page if t["name"] == "many"]
        if len(page) < 500:
            break
        after = page[-1]["id"]
    checks.equal("each live one once, newest first", seen, [f"tok_0{n:025d}" for n in range(count - 1, 0, -2)])
    times.sort()
    print(f"  100,000 tokens: pages of 500, p50 {times[len(times) // 2] * 1000:.1f} ms, most {times[-1] * 1000:.1f} ms")
    rows = {}
    for what, query in (("newest", "?limit=100"), ("last", "?limit=100&after=tok_00000000000000000000000100"), ("with revoked", "?limit=100&revoked=include&after=tok_0" + "0" * 20 + "50000")):
        rows[what] = []
        for _ in range(30):
            begun = time.perf_counter()
            s.call("GET", TOKENS + query)
            rows[what].append(time.perf_counter() - begun)
        print(f"  pages of 100, {what}: p50 {sorted(rows[what])[15] * 1000:.2f} ms")
    checks.that("a late page costs what an early one does", sorted(rows["last"])[5] < 10 * sorted(rows["newest"])[5] + 0.005, rows)
    s.control("UPDATE token SET revoked_at = NULL WHERE name = 'many'", write=True)
    s.control("UPDATE namespace SET token_bound = NULL", write=True)  # nothing but a test brings tokens back
    checks.refused("there is a most", s.call("POST", TOKENS, {}), 409, "conflict")
    s.control("UPDATE token SET expires_at = 5 WHERE name = 'many'", write=True)
    make(s, checks, {"name": "the expired do not count"})


def audited(checks, s):
    actions = {row[0] for row in s.control("SELECT action FROM audit")}
    checks.that("what happened is in the audit log", {"token.created", "token.rotated", "token.revoked"} <= actions, actions)
    texts = json.dumps(s.control("SELECT before_values, after_values, target_name FROM audit"))
    checks.equal("without a secret", [t for t in s.secrets if t and t in texts], [])
    checks.equal("nor is one in the log", [t for t in s.secrets if t and t in s.log()], [])
    s.run("audit", "verify", "--data", s.data)


def main():
    checks = Checks()
    with Server(binary_argument(), args=["--trusted-proxies", "127.0.0.1"]) as s:
        for part in (by_people, roles_of_people, by_tokens, rotation, at_once, addresses, bad_input, many, audited):
            checks.part(part, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
