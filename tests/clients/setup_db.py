#!/usr/bin/env python3
"""A job of a repository as its runner runs it: the shell of a composite action that connects with the job's own identity (curl -f,
jq, $GITHUB_OUTPUT), then a step that uses what it put out. Usage: setup_db.py PATH-OF-HOLDFAST"""
import http.server
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from issuer import Issuer, github
from job import Step

CONNECT = r"""
oidc=$(curl -fsS -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=persql" | jq -er .value)
echo "::add-mask::$oidc"
response=$(curl -fsS -X POST -H "Authorization: Bearer $oidc" "$API_URL/v1/actions/connect")
token=$(jq -er '.data.token' <<<"$response")
echo "::add-mask::$token"
{
  echo "token=$token"
  echo "url=$(jq -er '.data.url' <<<"$response")"
  echo "database=$(jq -er '.data.database' <<<"$response")"
  echo "namespace=$(jq -er '.data.namespace' <<<"$response")"
} >>"$GITHUB_OUTPUT"
"""
MIGRATE = r"""
run() { curl -fsS -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$URL/query" -d "$1"; }
run '{"sql": "CREATE TABLE IF NOT EXISTS runs(id INTEGER PRIMARY KEY, job TEXT NOT NULL)"}' >/dev/null
run "$(jq -n --arg job "$JOB" '{sql: "INSERT INTO runs(job) VALUES(?)", params: [$job]}')" >/dev/null
run '{"sql": "SELECT count(*) FROM runs"}' | jq -e '.data.rows[0][0]'
"""


class Runner:
    """The address where a job asks for its own token; as the real one it wants the job's bearer and puts the audience in."""

    def __init__(self, issuer, claims):
        runner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                good = self.headers["Authorization"] == "bearer job-secret" and self.path == "/token?api-version=2.0&audience=persql"
                body = json.dumps({"value": issuer.mint(runner.claims)} if good else {"message": "refused"}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.claims = claims
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.env = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{self.server.server_address[1]}/token?api-version=2.0",
                    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-secret"}

    def close(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


def jobs(checks, s, gh, runner):
    env = {**runner.env, "API_URL": f"http://127.0.0.1:{s.port}"}
    status, said, outputs = Step(CONNECT, env)
    checks.that("before the repository is bound the step fails, and puts out nothing", status != 0 and "403" in said and not outputs, (status, said, outputs))
    s.run("repo", "bind", "--namespace", "acme", "--repo", "acme/widgets", "--issuer", f"github={gh.url}", "--data", s.data)
    for number in (1, 2):
        status, said, outputs = Step(CONNECT, env)
        checks.equal(f"job {number}: connected", (status, sorted(outputs)), (0, ["database", "namespace", "token", "url"])) or print(said)
        s.secrets.append(outputs["token"])
        checks.that("what is secret is masked", f"::add-mask::{outputs['token']}" in said, said)
        checks.equal("the database is the repository's", (outputs["namespace"], outputs["database"], outputs["url"]),
                     ("acme", "gh-acme-widgets", f"{env['API_URL']}/v1/db/acme/gh-acme-widgets"))
        status, said, _ = Step(MIGRATE, {"TOKEN": outputs["token"], "URL": outputs["url"], "JOB": f"it's job {number}"})
        checks.equal("the next step uses it, and the rows of the job before are there", (status, said.strip()), (0, str(number)))
    status, said, outputs = Step(CONNECT, {**env, "API_URL": env["API_URL"] + "/"})
    checks.equal("an address with a slash at its end", (status, outputs.get("database")), (0, "gh-acme-widgets")) or print(said)
    status, said, outputs = Step(CONNECT, {**env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"})
    checks.that("without id-token: write the step fails", status != 0 and not outputs, (status, said))


def main():
    checks = Checks()
    with Issuer() as gh, Server(binary_argument(), args=["--trust-issuer", "github=" + gh.url]) as s:
        runner = Runner(gh, github("acme/widgets", 74, 65))
        try:
            checks.part(jobs, checks, s, gh, runner)
        finally:
            runner.close()
        checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
