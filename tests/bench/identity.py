"""Identity on a large control database (identity_data.py): pages of every list wherever they begin, what changes tokens, signing in, a
bearer that the cache does not know, the server's start and its purges. Times are those of a client on one connection."""
import os
import sqlite3
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import identity_data as data
from holdfast import PASSWORD, Server
from people import Person
from table import QUICK, row

CALLS = 60 if QUICK else 300
PAGE_MS = 5


def timed(job, calls=CALLS):
    """Milliseconds, sorted."""
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        job()
        times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)


def p99(times):
    return times[len(times) * 99 // 100]


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(ms // 1000))


def pages(work, get, queries):
    """The slowest page's median decides; `queries` name each kind of page."""
    seen = {}
    for what, query in queries.items():
        def ask(query=query):
            answer = get(query)
            if answer.status != 200:
                raise RuntimeError(f"{work}, {what}: {answer}")
        seen[what] = timed(ask)
    slowest = max(seen, key=lambda what: statistics.median(seen[what]))
    times = seen[slowest]
    row(work, "ms, the slowest page", statistics.median(times), ("<=", PAGE_MS), f"{slowest}; p99 {p99(times):.2f}; of {len(seen)} kinds")
    for what, times in seen.items():
        print(f"    {what:44} p50 {statistics.median(times):6.2f} ms   p99 {p99(times):6.2f} ms", flush=True)


def sized(queries):
    """Each at the default and at the largest page."""
    return {**queries, **{f"{what}, largest": f"{query}&limit=500" for what, query in queries.items()}}


def lists(s, owner, begun_ms):
    space = "/api/namespaces/acme"
    token, middle = "tok_%026d", iso(begun_ms + data.AUDIT_ROWS // 2 * 1000)
    rare = f"action={data.RARE}"
    pages("list of tokens, 100,000", lambda q: s.call("GET", f"{space}/tokens?{q}"), sized({
        "newest": "", "middle": "after=" + token % (data.TOKENS // 2), "oldest": "after=" + token % (data.NAMESPACES + 200),
        "with revoked, newest": "revoked=include", "with revoked, oldest": "revoked=include&after=" + token % (data.NAMESPACES + 200)}))
    person = "usr_%026d"
    pages("list of members, 10,000", lambda q: owner.ask("GET", f"{space}/members?{q}"), sized({
        "first": "", "middle": "after=" + person % (data.ACCOUNTS // 2), "last": "after=" + person % (data.ACCOUNTS - 102)}))
    pages("list of one person's namespaces, 10,000", lambda q: owner.ask("GET", f"/api/namespaces?{q}"), sized({
        "first": "", "middle": "after=bench-005000", "last": f"after=bench-{data.NAMESPACES - 102:06d}"}))
    pages("list of invitations, 1,000", lambda q: owner.ask("GET", f"{space}/invitations?{q}"), sized({
        "first": "", "last": "after=inv_%026d" % (data.INVITATIONS - 102)}))
    pages("list of audit rows, 1,000,000", lambda q: s.call("GET", f"{space}/audit?{q}"), sized({
        "newest": "", "one action": "action=database.deleted", "a rare action": rare, "middle": f"before={middle}",
        "middle, one action": f"before={middle}&action=token.created", "oldest": f"before={iso(begun_ms + 200_000)}",
        "oldest, one action": f"before={iso(begun_ms + 900_000)}&action=database.deleted", "never happened": "action=nope"}))


def changes(s):
    space = "/api/namespaces/acme/tokens"
    made = []

    def create():
        answer = s.call("POST", space, {"name": "bench", "role": "readonly"})
        if answer.status not in (200, 201):
            raise RuntimeError(f"token create: {answer}")
        made.append(answer.json["data"])

    def step(method, path, body=None):
        answer = s.call(method, path, body)
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer}")

    def first_use():
        step_token = left.pop()
        if s.call("GET", "/v1/whoami", token=step_token).status != 200:
            raise RuntimeError("a new token was refused")

    def show(work, times, goal=None):
        row(work, "ms, median", statistics.median(times), goal, f"p99 {p99(times):.2f}")

    calls = CALLS // 3
    show("token create, 100,000 exist", timed(create, calls), ("<=", PAGE_MS))
    left = [t["token"] for t in made]
    show("first use of a token: a miss of the cache", timed(first_use, calls), ("<=", PAGE_MS))
    turn = iter(made)
    show("token rotate", timed(lambda: step("POST", f"{space}/{next(turn)['id']}/rotate", {}), calls), ("<=", PAGE_MS))
    turn = iter(made)
    show("token revoke", timed(lambda: step("DELETE", f"{space}/{next(turn)['id']}"), calls), ("<=", PAGE_MS))
    people = iter(range(data.ACCOUNTS - 1))
    show("sign in, one at a time", timed(lambda: sign_in(s, next(people)), calls // 2), None)


def sign_in(s, number):
    answer = s.call("POST", "/api/auth/sign-in/email", {"email": data.email_of(number), "password": PASSWORD}, headers={"Authorization": None})
    if answer.status != 200:
        raise RuntimeError(f"sign in: {answer}")


def cleaning(s):
    """The first tick after a start cleans: 20,000 sessions, 11,000 invitations, 50,000 tokens, a namespace of another 10,000. Tokens are created meanwhile."""
    s.stop()
    long_ago = int(time.time() * 1000) - 30 * data.DAY_MS
    db = sqlite3.connect(os.path.join(s.data, "control.db"))
    db.execute("UPDATE session SET expires_at = ?", (long_ago,))
    db.execute("UPDATE invitation SET expires_at = ?", (long_ago,))
    db.execute("UPDATE token SET revoked_at = ? WHERE id BETWEEN ? AND ?", (long_ago, "tok_%026d" % data.NAMESPACES, "tok_%026d" % (data.NAMESPACES + 50_000)))
    db.execute("UPDATE token SET namespace_id = (SELECT id FROM namespace WHERE slug = 'bench-000000') WHERE id BETWEEN ? AND ?",
               ("tok_%026d" % (data.TOKENS - 10_000), "tok_%026d" % (data.TOKENS - 2)))
    db.execute("UPDATE namespace SET deleted_at = ? WHERE slug = 'bench-000000'", (long_ago,))
    db.commit()
    before = db.execute("SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM invitation) + (SELECT count(*) FROM token)").fetchone()[0]
    s.start()
    ends, times = time.monotonic() + (6 if QUICK else 20), []
    while time.monotonic() < ends:
        times += timed(lambda: s.call("POST", "/api/namespaces/acme/tokens", {"role": "readonly"}), 1)
    after = db.execute("SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM invitation) + (SELECT count(*) FROM token)").fetchone()[0]
    db.close()
    times.sort()
    row("token create while the server cleans up", "ms, the slowest", times[-1], None,
        f"p99 {p99(times):.2f}; {before + len(times) - after} rows gone, {len(times)} tokens made")


def start(s, work):
    begun = time.perf_counter()
    s.start()
    row(work, "s", time.perf_counter() - begun, None)


def measure(build):
    s = Server(os.path.join(build, "holdfast"))
    s.init()
    begun_ms = data.generate(s.data)
    try:
        start(s, "start that signs 10,002 chains of the audit log")
        s.stop()
        start(s, "start over 1,000,000 audit rows")
        owner = Person(s, "owner@example.com", PASSWORD)
        owner.sign_in()
        owner.session()
        lists(s, owner, begun_ms)
        changes(s)
        begun = time.perf_counter()
        done = s.run("audit", "verify", "--data", s.data, check=False)
        row("audit verify of 1,100,000 rows", "s", time.perf_counter() - begun, None, done.stdout.splitlines()[0])
        cleaning(s)
    finally:
        s.__exit__()
