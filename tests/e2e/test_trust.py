#!/usr/bin/env python3
"""What the server asks of issuers, and what it does not let them do to it: TLS, redirects, addresses inside its network, floods, silence, stops.
Usage: test_trust.py PATH-OF-HOLDFAST"""
import concurrent.futures
import contextlib
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from issuer import DISCOVERY, JWKS, Issuer, github

CONNECT = "/v1/actions/connect"
VERIFIED = (403, "bound to no namespace")  # the token was believed; nobody bound the repository


def come(s, jwt):
    s.secrets.append(jwt)
    return s.call("POST", CONNECT, token=jwt)


def expect(checks, what, answer, status, *words):
    checks.that(f"{what}: {status} {words}", answer.status == status and all(w in answer.json["error"] for w in words), answer)
    if status in (401, 503):
        checks.that(f"{what}: says what failed", answer.json["error"].startswith("OIDC verification failed: "), answer)


def outgoing(s, outcome):
    return int(re.search(rf'^holdfast_outgoing_requests_total{{outcome="{outcome}"}} (\d+)$', s.call("GET", "/metrics").data.decode(), re.M)[1])


def trusting(binary, *issuers, args=(), env=None):
    return Server(binary, args=["--trust-issuer", ",".join(issuers), *args] if issuers else args, env=env)


def repo(issuer, **more):
    return issuer.mint(github("acme/widgets", 74, 65), **more)


def documents(checks, binary):
    with Issuer(path="/realm") as issuer, trusting(binary, f"github={issuer.url}") as s:
        expect(checks, "a token of a trusted issuer", come(s, repo(issuer)), *VERIFIED)
        expect(checks, "by its other key", come(s, repo(issuer, key=issuer.keys[1])), *VERIFIED)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for answer in pool.map(lambda _: come(s, repo(issuer)), range(32)):
                expect(checks, "and 32 more", answer, *VERIFIED)
        for i in range(20):
            expect(checks, "a forged key's name", come(s, repo(issuer, head={"kid": f"forged-{i}"})), 401, "kid")
        checks.equal("each document was fetched once for all of them", dict(issuer.counts), {DISCOVERY: 1, JWKS: 1})
        checks.equal("and counted", (outgoing(s, "ok"), outgoing(s, "status")), (2, 0))
        lines = [line for line in s.log().splitlines() if "event=outgoing" in line]
        checks.that("and logged", len(lines) == 2 and all("status=200" in line and "level=info" in line for line in lines) and JWKS in lines[1], lines)


def environment(checks, binary):
    with Issuer() as a, Issuer() as b, trusting(binary, env={"HOLDFAST_TRUST_ISSUER": f"github={a.url},github={b.url}"}) as s:
        for issuer in (a, b):
            expect(checks, "an issuer of the environment", come(s, repo(issuer)), *VERIFIED)
    with Issuer() as a, Issuer() as b, trusting(binary, f"github={a.url}", args=["--trust-issuer", f"github={b.url}"]) as s:
        for issuer in (a, b):
            expect(checks, "an issuer of either option", come(s, repo(issuer)), *VERIFIED)


def tls(checks, binary):
    with Issuer(tls=True) as issuer:
        with trusting(binary, f"github={issuer.url}", args=["--ca-file", issuer.ca_file]) as s:
            expect(checks, "TLS with a certificate of --ca-file", come(s, repo(issuer)), *VERIFIED)
        with trusting(binary, f"github={issuer.url}") as s:
            expect(checks, "one that nobody vouches for", come(s, repo(issuer)), 503, "certificate")
            checks.equal("counted as that", outgoing(s, "tls"), 1)
        with Issuer(tls=True) as other, trusting(binary, f"github={issuer.url}", args=["--ca-file", other.ca_file]) as s:
            expect(checks, "one that somebody else vouches for", come(s, repo(issuer)), 503, "certificate")
    with Issuer(tls=True, host="localhost") as issuer, trusting(binary, f"github=https://127.0.0.1:{issuer.port}", args=["--ca-file", issuer.ca_file]) as s:
        jwt = issuer.mint({**github("acme/widgets", 74, 65), "iss": f"https://127.0.0.1:{issuer.port}"})
        expect(checks, "the certificate of another name", come(s, jwt), 503, "certificate")


def inside(checks, binary):
    """A trusted issuer cannot send the server anywhere else."""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(Issuer())
        port, plain = target.port, f"http://127.0.0.1:{target.port}"
        public, unacceptable = "not on the public internet", "no acceptable jwks_uri"
        rows = (("plain http elsewhere", plain + JWKS, unacceptable), ("https inside the network", f"https://127.0.0.1:{port}/", public),
                ("by a name", f"https://localhost:{port}/jwks", public), ("by a number", f"https://2130706433:{port}/jwks", public),
                ("mapped into IPv6", f"https://[::ffff:127.0.0.1]:{port}/jwks", public), ("IPv6", f"https://[::1]:{port}/jwks", public),
                ("metadata of a cloud", "https://169.254.169.254/latest/meta-data", public), ("a file", "file:///etc/passwd", unacceptable),
                ("with a user", f"https://x@127.0.0.1:{port}/", unacceptable), ("nothing", "", unacceptable))
        issuers = [stack.enter_context(Issuer()) for _ in range(len(rows) + 1)]
        s = stack.enter_context(trusting(binary, *(f"github={i.url}" for i in issuers)))
        for issuer, (what, uri, words) in zip(issuers, rows):
            issuer.answers[DISCOVERY] = (200, {}, {"issuer": issuer.url, "jwks_uri": uri})
            answer = come(s, repo(issuer))
            expect(checks, f"keys at {what}", answer, 503, words)
            checks.that(f"{what}: and when to come again", int(answer.headers["retry-after"]) > 0, answer)
        checks.equal("counted as what they are", outgoing(s, "forbidden"), sum(words == public for _, _, words in rows))
        issuers[-1].answers[DISCOVERY] = (302, {"Location": plain + DISCOVERY}, {})
        expect(checks, "a redirect", come(s, repo(issuers[-1])), 503, "302", "not followed")
        checks.equal("counted as that", outgoing(s, "status"), 1)
        checks.equal("nobody came to where they pointed", sum(target.counts.values()), 0)


def answers(checks, binary):
    """Documents that are none: each is a refusal, and none holds up or hurts the server."""
    rows = (("no page", DISCOVERY, (404, {}, {}), "404"),
            ("a broken server", JWKS, (500, {}, {}), "500"),
            ("HTML", DISCOVERY, (200, {}, b"<html>"), "no JSON object"),
            ("another issuer's", DISCOVERY, (200, {}, {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/"}), "another issuer"),
            ("too large", JWKS, (200, {}, b" " * 300000), "larger than 262144 bytes"),
            ("too large, in chunks that never end", JWKS, (200, {"Content-Length": None, "Transfer-Encoding": "chunked"}, b"fffff\r\n" + b" " * 300000), "larger than"),
            ("too many keys", JWKS, (200, {}, {"keys": [{}] * 65}), "more than 64"),
            ("no keys", JWKS, (200, {}, {"keys": []}), "none for RS256 or ES256"),
            ("deep", JWKS, (200, {}, b"[" * 100000), "no set of keys"),
            ("cut", JWKS, (200, {"Content-Length": "1000"}, b"{}"), "cannot be asked"))
    with contextlib.ExitStack() as stack:
        issuers = [stack.enter_context(Issuer()) for _ in rows]
        s = stack.enter_context(trusting(binary, *(f"github={i.url}" for i in issuers)))
        for issuer, (what, path, answer, words) in zip(issuers, rows):
            issuer.answers[path] = answer
            expect(checks, what, come(s, repo(issuer)), 503, words)
        checks.equal("the server goes on", s.query("SELECT 1").status, 200)


def silence(checks, binary):
    """An issuer that never answers: others are not held up, and the server stops at once."""
    with Issuer() as issuer, trusting(binary, f"github={issuer.url}") as s, issuer.hold(), concurrent.futures.ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(come, s, repo(issuer)) for _ in range(8)]
        checks.that("it was asked", issuer.wait_asked(DISCOVERY))
        checks.equal("queries go on meanwhile", [s.query("SELECT 1").status for _ in range(20)], [200] * 20)
        begun = time.monotonic()
        checks.equal("it stops", s.stop(), 0)
        checks.that("within a moment", time.monotonic() - begun < 4, time.monotonic() - begun)
        for answer in (f.result() for f in waiting):
            expect(checks, "who waited hears of it", answer, 503)
    with Issuer() as issuer, trusting(binary, f"github={issuer.url}") as s, issuer.hold():
        begun = time.monotonic()
        expect(checks, "a silent issuer is given up", come(s, repo(issuer)), 503, "did not answer in time")
        checks.that("in bounded time", time.monotonic() - begun < 15, time.monotonic() - begun)
        expect(checks, "and not asked again at once", come(s, repo(issuer)), 503)
        checks.equal("but once", dict(issuer.counts), {DISCOVERY: 1})


def options(checks, binary):
    with Issuer() as issuer:
        file = os.path.join(issuer.dir, "file")
        open(file, "w").close()
        for words, said in (
                (["--trust-issuer", "nonsense"], ["--trust-issuer", '"nonsense"', "github", "https://login.example.com"]),
                (["--trust-issuer", "github,https://a.example/?x"], ["--trust-issuer", '"https://a.example/?x"']),
                (["--trust-issuer", "github", "--trust-issuer", "https://token.actions.githubusercontent.com"], ["--trust-issuer", "there twice"]),
                (["--trust-issuer", "https://user:pass@a.example"], ["--trust-issuer"]),
                (["--trust-issuer", ",".join(f"https://i{i}.example" for i in range(33))], ["--trust-issuer", "at most 32"]),
                (["--trust-issuer", ""], ["--trust-issuer"]),
                (["--ca-file", file + "/x"], ["--ca-file", "Not a directory"]),
                (["--trust-issuer", "github", "--ca-file", issuer.dir], ["--ca-file"])):
            done = subprocess.run([binary, "serve", "--data", os.path.join(issuer.dir, "none"), "--listen", "127.0.0.1:0", *words],
                                  capture_output=True, text=True, timeout=60)
            checks.that(f"{words}: {said}", done.returncode == 2 and all(w in done.stderr for w in said), (done.returncode, done.stderr))
        checks.that("and no directory is left behind", not os.path.exists(os.path.join(issuer.dir, "none")))


def main():
    checks, binary = Checks(), binary_argument()
    for part in (documents, environment, tls, inside, answers, silence, options):
        checks.part(part, checks, binary)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
