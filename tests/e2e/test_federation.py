#!/usr/bin/env python3
"""Machines that an issuer vouches for: repositories that are bound to a namespace, machines that sign themselves up, against a real
issuer on loopback; what is refused and what the refusal says would pass. Usage: test_federation.py PATH-OF-HOLDFAST"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument
from issuer import Issuer, github, gitlab
from people import Person

FEDERATE, CONNECT, REPOS = "/v1/identity/federate", "/v1/actions/connect", "/api/namespaces/acme/repos"


def come(s, path, jwt):
    answer = s.call("POST", path, token=jwt)
    if answer.status == 200:
        s.secrets.append(answer.json["data"]["token"])
    s.secrets.append(jwt)
    return answer


def passed(checks, what, answer):
    checks.that(f"{what}: 200", answer.status == 200, answer)
    return answer.json["data"] if answer.status == 200 else {}


def refused(checks, what, answer, status, *words):
    checks.that(f"{what}: {status} {words}", answer.status == status and all(w in answer.json["error"] for w in words), answer)


def bind(s, repo, issuer="github", **more):
    return s.call("POST", REPOS, {"repo": repo, "issuer": issuer}, **more)


# --- Repositories ---

def connect(checks, s, gh, gl, ci):
    job = github("acme/widgets", 74, 65)
    refused(checks, "a repository that nobody bound", come(s, CONNECT, gh.mint(job)), 403, "holdfast repo bind --namespace NS --repo acme/widgets --issuer github=http")
    made = bind(s, "Acme/widgets")
    checks.that("bound; the issuer is the one of that kind", made.status == 200 and made.json["data"]["issuer"] == gh.url and made.json["data"]["trusted"] is True, made)
    first = passed(checks, "connect", come(s, CONNECT, gh.mint(job)))
    checks.equal("what setup-db reads", (first["namespace"], first["database"], first["url"], first["created"]),
                 ("acme", "gh-acme-widgets", f"http://127.0.0.1:{s.port}/v1/db/acme/gh-acme-widgets", True))
    me = s.call("GET", "/v1/me", token=first["token"]).json["data"]
    checks.equal("an admin of that database alone", (me["role"], me["namespaceSlug"], me["databaseId"] is not None, me["expiresAt"]), ("admin", "acme", True, first["expiresAt"]))
    lives = time.mktime(time.strptime(first["expiresAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())
    checks.that("for an hour", 3500 < lives <= 3600, lives)
    checks.equal("it makes schemas", s.query("CREATE TABLE runs(id INTEGER PRIMARY KEY)", db="gh-acme-widgets", token=first["token"]).status, 200)
    checks.equal("nothing elsewhere", s.query("SELECT 1", token=first["token"]).status, 403)
    checks.equal("and makes no tokens", s.call("POST", "/api/namespaces/acme/tokens", {"name": "x"}, token=first["token"]).status, 403)
    again = passed(checks, "again", come(s, CONNECT, gh.mint(job)))
    checks.equal("the same database, its rows there", (again["created"], s.query("SELECT count(*) FROM runs", db=again["database"], token=again["token"]).json["data"]["rows"]), (False, [[0]]))
    checks.that("a fresh token", again["token"] != first["token"])
    branch = s.call("POST", "/v1/db/acme/gh-acme-widgets/claim_branch", {"ref": "job-1", "ttlSec": 600, "role": "admin"}, token=first["token"])
    branch = passed(checks, "it claims branches of its database", branch)
    s.secrets.append(branch["token"])
    checks.equal("and uses them", s.query("SELECT count(*) FROM runs", db=branch["databaseSlug"], token=branch["token"]).json["data"]["rows"], [[0]])
    row = s.call("GET", REPOS).json["data"][0]
    checks.that("the list tells who came", row["repositoryId"] == "74" and row["pinnedAt"] and row["lastUsedAt"], row)
    refused(checks, "another repository of its name", come(s, CONNECT, gh.mint(github("acme/widgets", 75, 66))), 403, "another one of its name (id 75)", "holdfast repo unbind")
    refused(checks, "a second binding", bind(s, "acme/WIDGETS"), 409, row["id"])
    checks.equal("unbound", s.call("DELETE", f"{REPOS}/{row['id']}").status, 200)
    checks.equal("its tokens ended with it", [s.query("SELECT 1", db="gh-acme-widgets", token=t).status for t in (first["token"], again["token"])], [401, 401])
    checks.equal("and what they made", s.query("SELECT 1", db=branch["databaseSlug"], token=branch["token"]).status, 401)
    refused(checks, "nor are there new ones", come(s, CONNECT, gh.mint(job)), 403, "bound to no namespace")
    bind(s, "acme/widgets")
    other = passed(checks, "bound anew: the other repository", come(s, CONNECT, gh.mint(github("acme/widgets", 75, 66))))
    checks.that("has a database of its own", other["created"] and other["database"].startswith("gh-acme-widgets-"), other)
    refused(checks, "and the first one is refused", come(s, CONNECT, gh.mint(job)), 403, "another one of its name (id 74)")
    actions = [r[0] for r in s.control("SELECT action FROM audit WHERE action LIKE 'repo.%' ORDER BY created_at, seq")]
    checks.equal("the log says so", actions, ["repo.bound", "repo.pinned", "repo.unbound", "repo.bound", "repo.pinned"])
    actor = s.control("SELECT actor_kind, actor_name FROM audit WHERE action = 'repo.pinned' LIMIT 1")[0]
    checks.equal("and by whom", actor, ("machine", f"{gh.url} acme/widgets"))


def slugs_of_others(checks, s, gh, gl, ci):
    """A repository names its branches, and their slugs, itself; another one's database is not found by such a name."""
    for name in ("corp/site", "corp/site-foo", "corp/old"):
        bind(s, name)
    a = passed(checks, "one repository", come(s, CONNECT, gh.mint(github("corp/site", 301, 30))))
    checks.equal("has a branch", s.call("PUT", "/v1/db/acme/gh-corp-site/branches/foo", {"ttlSec": 0}, token=a["token"]).json["data"]["slug"], "gh-corp-site-foo")
    b = passed(checks, "the one whose slug that is", come(s, CONNECT, gh.mint(github("corp/site-foo", 302, 30))))
    checks.that("gets a database of its own", b["created"] and b["database"].startswith("gh-corp-site-foo-"), b)
    checks.equal("in which the first one reads nothing", s.query("SELECT 1", db=b["database"], token=a["token"]).status, 403)
    old = passed(checks, "a repository", come(s, CONNECT, gh.mint(github("corp/old", 303, 30))))
    new = passed(checks, "renamed", come(s, CONNECT, gh.mint(github("corp/new", 303, 30))))
    checks.equal("keeps its database", (new["database"], new["created"]), (old["database"], False))
    checks.equal("and the list has its new name", [r["repo"] for r in s.call("GET", REPOS).json["data"] if r["repositoryId"] == "303"], ["corp/new"])
    refused(checks, "given away", come(s, CONNECT, gh.mint(github("evil/new", 303, 31))), 403, "another owner")


def other_issuers(checks, s, gh, gl, ci):
    checks.equal("a project of GitLab", bind(s, "Group/sub/app", f"gitlab={gl.url}").status, 200)
    a = passed(checks, "it comes", come(s, CONNECT, gl.mint(gitlab("group/sub/app", 12, 3))))
    checks.that("with a slug that carries a digest", a["database"].startswith("gl-group-sub-app-") and len(a["database"]) == len("gl-group-sub-app-") + 12, a)
    checks.equal("any other issuer", bind(s, "robot", ci.url).status, 200)
    a = passed(checks, "it comes", come(s, CONNECT, ci.mint()))
    checks.that("as what it is called", a["database"].startswith("ci-robot-"), a)
    refused(checks, "capitals are another name there", come(s, CONNECT, ci.mint({"sub": "Robot"})), 403, "Robot is bound to no namespace")
    refused(checks, "GitHub's acme/widgets is not GitLab's", come(s, CONNECT, gl.mint(gitlab("acme/widgets", 74, 65))), 403, "bound to no namespace", "gitlab=")


def tokens_that_are_refused(checks, s, gh, gl, ci):
    job = github("acme/refused", 90, 65)
    bind(s, "acme/refused")
    good = gh.mint(job)
    with Issuer() as stranger:
        bad = {"an issuer that is not listed": (stranger.mint(job), "does not trust the issuer", "serve --trust-issuer"),
               "signed by another issuer's key": (gh.mint(job, key=stranger.keys[0], head={"kid": gh.keys[0].kid}), "signature"),
               "another issuer's claims": (gl.mint({**job, "iss": gh.url}), "")}
        bad.update({
            "another audience": (gh.mint({**job, "aud": "https://github.com/acme"}), "audience (aud) persql"),
            "one of two audiences": (gh.mint({**job, "aud": ["persql", "other"]}), "audience"),
            "no audience": (gh.mint({**job, "aud": None}), "audience"),
            "the address in the Host header as audience": (gh.mint({**job, "aud": f"http://127.0.0.1:{s.port}"}), "audience"),
            "expired": (gh.mint({**job, "iat": int(time.time()) - 900, "nbf": None, "exp": int(time.time()) - 120}), "expired"),
            "not yet": (gh.mint({**job, "nbf": int(time.time()) + 900}), "not valid yet"),
            "no exp": (gh.mint({**job, "exp": None}), ""),
            "too long": (gh.mint({**job, "exp": int(time.time()) + 900000}), "lives for longer"),
            "alg none": (gh.mint(job, head={"alg": "none"}), ""),
            "HS256": (gh.mint(job, head={"alg": "HS256"}), ""),
            "an unknown key": (gh.mint(job, head={"kid": "nobody"}), ""),
            "a changed claim": (".".join([good.split(".")[0], gl.mint(github("acme/widgets", 75, 66)).split(".")[1], good.split(".")[2]]), ""),
            "no signature": (good.rsplit(".", 1)[0] + ".", ""),
            "two parts": (good.rsplit(".", 1)[0], ""),
            "no repository": (gh.mint({**job, "repository": None}), ""),
            "no repository_id": (gh.mint({**job, "repository_id": None}), ""),
            "an API token": (s.token, ""),
            "rubbish": ("x.y.z", "")})
        before = s.control("SELECT (SELECT count(*) FROM token), (SELECT count(*) FROM database), (SELECT count(*) FROM namespace), (SELECT max(seq) FROM audit)")
        for what, (jwt, *words) in bad.items():
            for path in (CONNECT, FEDERATE):
                refused(checks, f"{what} at {path}", come(s, path, jwt) if jwt != s.token else s.call("POST", path), 401, "OIDC verification failed", *words)
        for what, header in (("no header", None), ("Basic", "Basic eDp5"), ("an empty bearer", "Bearer ")):
            refused(checks, what, s.call("POST", CONNECT, headers={"Authorization": header}), 401, "OIDC verification failed")
        checks.equal("nothing was made", s.control("SELECT (SELECT count(*) FROM token), (SELECT count(*) FROM database), (SELECT count(*) FROM namespace), (SELECT max(seq) FROM audit)"), before)
    checks.equal("the good one passes, and again until it expires", [come(s, CONNECT, good).status for _ in range(3)], [200] * 3)


def at_once(checks, s, gh, gl, ci):
    bind(s, "acme/parallel")
    jwt = gh.mint(github("acme/parallel", 91, 65))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = [f.result() for f in [pool.submit(come, s, CONNECT, jwt) for _ in range(20)]]
    checks.equal("20 first connects", [a.status for a in answers], [200] * 20)
    data = [a.json["data"] for a in answers]
    checks.equal("one database, made once", ({d["database"] for d in data}, sum(d["created"] for d in data)), ({"gh-acme-parallel"}, 1))
    checks.equal("every token is good in it", {s.query("SELECT 1", db="gh-acme-parallel", token=d["token"]).status for d in data}, {200})


def at_once_federate(checks, s, gh, gl, ci):
    jwt = gh.mint(github("octo/parallel", 92, 1))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = [f.result() for f in [pool.submit(come, s, FEDERATE, jwt) for _ in range(20)]]
    checks.equal("20 first sign-ups", [a.status for a in answers], [200] * 20)
    data = [a.json["data"] for a in answers]
    checks.equal("one namespace, made once", ({d["namespace"] for d in data}, sum(d["created"] for d in data)), ({"octo-parallel"}, 1))


def issuer_trouble(checks, binary):
    job = github("acme/trouble", 93, 65)
    with Issuer() as gh, Issuer() as gl, Server(binary, args=["--trust-issuer", f"github={gh.url},gitlab={gl.url}"]) as s:
        gl.down()
        bind(s, "acme/trouble")
        a = come(s, CONNECT, gl.mint(gitlab("group/app", 12, 3)))
        checks.that("an issuer that was never reached: 503 and when to come again", a.status == 503 and "OIDC verification failed" in a.json["error"] and "retry-after" in a.headers, a)
        old = gh.mint(job)
        checks.equal("another one's machines go on", come(s, CONNECT, old).status, 200)
        gh.down()
        checks.equal("an issuer that went down: its keys are known", come(s, CONNECT, gh.mint(job)).status, 200)
        gh.up()
        gh.rotate()
        refused(checks, "a key that came since the last look, half a minute ago at most", come(s, CONNECT, gh.mint(job)), 401, "kid")
        s.stop()
        s.start()
        checks.equal("passes at the next look", come(s, CONNECT, gh.mint(job)).status, 200)
        refused(checks, "and the old one is worth nothing", come(s, CONNECT, old), 401, "OIDC verification failed")
        gl.up()
        with gl.hold(), concurrent.futures.ThreadPoolExecutor(12) as pool:
            s.call("GET", "/healthz")
            waiting = [pool.submit(come, s, CONNECT, gl.mint(gitlab("group/app", 12, 3))) for _ in range(12)]
            checks.equal("while an issuer hangs, tokens are made and looked up", [s.call("GET", "/v1/me", token=s.mint("readonly")["token"]).status for _ in range(3)], [200] * 3)
        checks.that("who waited gets an answer", all(f.result().status in (403, 503) for f in waiting), [f.result() for f in waiting])


def deleted_namespace(checks, s, gh, gl, ci):
    owner = Person(s, "owner@example.com", PASSWORD)
    owner.sign_in()
    owner.ask("POST", "/api/namespaces", {"slug": "short", "name": "Short"})
    s.run("repo", "bind", "--namespace", "short", "--repo", "acme/short", "--issuer", f"github={gh.url}", "--data", s.data)
    jwt = gh.mint(github("acme/short", 94, 65))
    token = passed(checks, "bound by the command", come(s, CONNECT, jwt))["token"]
    refused(checks, "nobody else binds it", bind(s, "acme/short"), 409, "holdfast repo bind --move")
    owner.ask("DELETE", "/api/namespaces/short")
    refused(checks, "a deleted namespace", come(s, CONNECT, jwt), 403, "was deleted")
    checks.equal("and its tokens", s.call("GET", "/v1/me", token=token).status, 401)
    checks.equal("it is free then", bind(s, "acme/short").status, 200)


# --- Signing up ---

def federate(checks, s, gh, gl, ci):
    job = github("octo/widgets", 7, 1)
    first = passed(checks, "federate", come(s, FEDERATE, gh.mint(job)))
    checks.equal("its seven members", {k: v for k, v in first.items() if k not in ("token", "expiresAt")},
                 {"url": f"http://127.0.0.1:{s.port}/v1/db/octo-widgets/main", "namespace": "octo-widgets", "database": "main", "identity": "octo/widgets", "created": True})
    a = s.call("POST", "/v1/db/octo-widgets/main/query", {"sql": "CREATE TABLE t(a)"}, token=first["token"])
    checks.equal("the url is good with the token", a.status, 200)
    checks.equal("the namespace is its own", s.call("POST", "/v1/databases", {"slug": "more"}, token=first["token"]).status, 200)
    checks.equal("and no other", s.query("SELECT 1", token=first["token"]).status, 403)
    again = passed(checks, "again", come(s, FEDERATE, gh.mint(job)))
    checks.equal("idempotent", (again["namespace"], again["created"], again["token"] != first["token"]), ("octo-widgets", False, True))
    renamed = passed(checks, "a renamed repository keeps it", come(s, FEDERATE, gh.mint(github("octo/gadgets", 7, 1))))
    checks.equal("by its id", (renamed["namespace"], renamed["identity"], renamed["created"]), ("octo-widgets", "octo/gadgets", False))
    anew = passed(checks, "one that is made anew under the name", come(s, FEDERATE, gh.mint(job | {"repository_id": "8"})))
    checks.that("gets a namespace of its own", anew["created"] and anew["namespace"].startswith("octo-widgets-"), anew)
    checks.equal("the server's own words are no namespace", passed(checks, "admin", come(s, FEDERATE, ci.mint({"sub": "admin"})))["namespace"][:6], "admin-")
    refused(checks, "an owner that nobody allowed", come(s, FEDERATE, gh.mint(github("evil/widgets", 9, 2))), 403, "--self-signup github=http", "=evil/widgets", "holdfast repo bind")
    refused(checks, "an owner whose name begins so", come(s, FEDERATE, gh.mint(github("octopus/widgets", 10, 3))), 403, "--self-signup")
    refused(checks, "the owner's name at another issuer", come(s, FEDERATE, gl.mint(gitlab("octo/widgets", 7, 1))), 403, "--self-signup")
    checks.equal("one project of GitLab", come(s, FEDERATE, gl.mint(gitlab("team/App", 5, 2))).status, 200)
    log = [r[0] for r in s.control("SELECT action FROM audit WHERE chain = (SELECT id FROM namespace WHERE slug = 'octo-widgets') ORDER BY seq")]
    checks.equal("its log", log[:4], ["namespace.created", "machine.signed_up", "database.created", "token.created"])
    s.call("DELETE", "/v1/databases/main", token=first["token"])
    checks.equal("main comes back when it was deleted", [passed(checks, "main", come(s, FEDERATE, gh.mint(job)))["database"], s.call("GET", "/v1/databases/main", token=first["token"]).status], ["main", 200])
    s.control("UPDATE namespace SET deleted_at = ? WHERE slug = 'octo-widgets'", (int(time.time() * 1000),), write=True)
    refused(checks, "a deleted namespace", come(s, FEDERATE, gh.mint(job)), 403, "was deleted", "restore")


def expiry(checks, s, gh, gl, ci):
    job = passed(checks, "a token", come(s, FEDERATE, gh.mint(github("octo/expiry", 20, 1))))
    me = s.call("GET", "/v1/me", token=job["token"]).json["data"]
    s.control("UPDATE token SET expires_at = ? WHERE id = ?", (int(time.time() * 1000) - 1, me["tokenId"]), write=True)
    s.mint("readonly")  # moves the counter that empties the caches
    checks.equal("ends when its time is over", s.call("GET", "/v1/me", token=job["token"]).status, 401)


def options(checks, binary):
    for words, said in ((["--self-signup", "octo"], "not trusted: add --trust-issuer github"), (["--trust-issuer", "github", "--self-signup", "a b"], "is no rule"),
                        (["--trust-issuer", "github", "--self-signup", "oc*"], "is no rule"), (["--trust-issuer", "github", "--self-signup", "x=y=z"], "is no rule")):
        with tempfile.TemporaryDirectory() as where:
            done = subprocess.run([binary, "serve", "--data", os.path.join(where, "none"), "--listen", "127.0.0.1:0", *words], capture_output=True, text=True, timeout=60)
            checks.that(f"{words}: {said}", done.returncode == 2 and said in done.stderr and not os.listdir(where), done)
    with Issuer() as gh, Server(binary, args=["--trust-issuer", "github=" + gh.url]) as s:
        refused(checks, "nobody signs up by default", come(s, FEDERATE, gh.mint(github("octo/widgets", 7, 1))), 403, "--self-signup")
    with Issuer() as gh, Server(binary) as s:
        refused(checks, "nobody is trusted by default", come(s, FEDERATE, gh.mint(github("octo/widgets", 7, 1))), 401, "serve --trust-issuer")
        checks.equal("nor was anybody asked", sum(gh.counts.values()), 0)
        checks.equal("a repository may be bound all the same, and the list says so", bind(s, "a/b").json["data"]["trusted"], False)
    for words, said in ((["--signup", "open"], "--signup open"), (["--trust-issuer", "github", "--self-signup", "octo"], "--self-signup")):
        with Server(binary, args=words) as s:
            refused(checks, "among strangers the operator binds", bind(s, "a/b"), 403, f"serve {said})", "holdfast repo bind --namespace acme --repo a/b")
            s.run("repo", "bind", "--data", s.data, "--namespace", "acme", "--repo", "a/b")
            checks.equal("which it does", [r["repo"] for r in s.call("GET", REPOS).json["data"]], ["a/b"])


def main():
    checks = Checks()
    with Issuer() as gh, Issuer() as gl, Issuer() as ci:
        gh.max_age = gl.max_age = ci.max_age = 0
        trusted = ["--trust-issuer", f"github={gh.url},gitlab={gl.url},{ci.url}"]
        strangers = ["--self-signup", f"octo,gitlab={gl.url}=team/app,{ci.url}=*"]
        for args, parts in ((trusted, (connect, slugs_of_others, other_issuers, tokens_that_are_refused, at_once, deleted_namespace)), (trusted + strangers, (at_once_federate, federate, expiry))):
            with Server(binary_argument(), args=args) as s:
                for part in parts:
                    checks.part(part, checks, s, gh, gl, ci)
                checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])
                checks.equal("it stops well", s.stop(), 0)
    checks.part(issuer_trouble, checks, binary_argument())
    checks.part(options, checks, binary_argument())
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
