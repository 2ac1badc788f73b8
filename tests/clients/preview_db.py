#!/usr/bin/env python3
"""A database for a pull request, as a hosted runner makes it: the shell of a composite action that claims a branch (curl, jq,
$GITHUB_OUTPUT, masks), then the steps of the workflow around it: migrations with the lease's token, a smoke test, the preview as
a comment, and the end of the branch when the pull request is closed. Usage: preview_db.py PATH-OF-HOLDFAST"""
import concurrent.futures
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from job import Step

# What the action's inputs are when the workflow does not say.
DEFAULTS = {"INPUT_TTL_SECONDS": "86400", "INPUT_ROLE": "write"}
CLAIM = r"""
namespace=${INPUT_DATABASE%%/*} database=${INPUT_DATABASE#*/}
request=$(jq -nc --arg ref "$INPUT_BRANCH" --argjson ttlSec "$INPUT_TTL_SECONDS" --arg role "$INPUT_ROLE" \
  '{$ref, $ttlSec, $role, purpose: "github-action:preview-db"}')
answer=$RUNNER_TEMP/claim.json
status=$(curl -sS -o "$answer" -w '%{http_code}' -X POST -H "Authorization: Bearer $INPUT_TOKEN" \
  -H 'Content-Type: application/json' --data "$request" "$INPUT_API_URL/v1/db/$namespace/$database/claim_branch")
if [ "$status" != 200 ] || [ "$(jq -r '.success' "$answer")" != true ]; then
  echo "::error::claim_branch failed ($status): $(jq -r '.error // "no reason given"' "$answer")"
  exit 1
fi
token=$(jq -er '.data.token' "$answer")
echo "::add-mask::$token"
{
  echo "token=$token"
  echo "branch-ref=$(jq -r '.data.branchRef' "$answer")"
  echo "database-slug=$(jq -r '.data.databaseSlug' "$answer")"
  echo "expires-at=$(jq -r '.data.expiresAt // empty' "$answer")"
  echo "outcome=$(jq -r '.data.outcome' "$answer")"
} >>"$GITHUB_OUTPUT"
echo "Branch $(jq -r '.data.branchRef' "$answer"): $(jq -r '.data.outcome' "$answer")"
"""

# The workflow computes the ref from the event that started it.
REF = r"""echo "ref=pr-$(jq -er '.pull_request.number' "$GITHUB_EVENT_PATH")" >>"$GITHUB_OUTPUT" """

QUERY = r"""
query() {
  local answer
  answer=$(curl -sS -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    --data "$(jq -nc --arg sql "$1" '{$sql}')" "$API_URL/v1/db/$NAMESPACE/$DATABASE_SLUG/query")
  if [ "$(jq -r '.success' <<<"$answer")" != true ]; then
    echo "::error::$(jq -r '.error' <<<"$answer")" >&2
    exit 1
  fi
  jq -c '.data' <<<"$answer"
}
"""
# A script is split where a line ends with a semicolon; each piece goes alone and without it.
MIGRATE = QUERY + r"""
for file in migrations/*.sql; do
  while IFS= read -r -d '' statement; do
    [ -z "${statement//[[:space:]]/}" ] || query "$statement" >/dev/null
  done < <(sed 's/;[[:space:]]*$/\x00/' "$file")
  echo "applied $file"
done
"""
SMOKE = QUERY + r"""
[ "$(query 'SELECT count(*) FROM orders' | jq '.rows[0][0]')" = 0 ]
query "INSERT INTO orders(customer, coupon) VALUES('smoke', 'TEN')" | jq -e '.rowsWritten == 1'
[ "$(query "SELECT discount FROM coupons" | jq '.rows[0][0]')" = 10 ]
"""
COMMENT = r"""
curl -fsS -H "Authorization: Bearer $TOKEN" "$API_URL/v1/db/$NAMESPACE/$DATABASE/branches/$(jq -rn --arg ref "$REF" '$ref | @uri')/preview?format=markdown" >preview.md
cat preview.md >>"$GITHUB_STEP_SUMMARY"
jq -n --rawfile body preview.md '{$body}' >comment.json
"""
CLOSE = r"""
curl -fsS -X DELETE -H "Authorization: Bearer $TOKEN" "$API_URL/v1/db/$NAMESPACE/$DATABASE/branches/$(jq -rn --arg ref "$REF" '$ref | @uri')" | jq -er '.data.status'
"""
# The way without the action: a namespace's own token makes the branch, and reads and writes it.
PLAIN = r"""
branch=$(curl -fsS -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' --data '{"ttlDays": 7}' \
  "$API_URL/api/namespaces/$NAMESPACE/databases/$DATABASE/branches/$REF")
jq -e '.data.branchRef == env.REF and (.data.expiresAt | type) == "string"' <<<"$branch" >/dev/null
DATABASE_SLUG=$(jq -er '.data.slug' <<<"$branch")
""" + QUERY + r"""
query "INSERT INTO orders(customer) VALUES('plain')" >/dev/null
query 'SELECT customer FROM orders'
curl -fsS -X DELETE -H "Authorization: Bearer $TOKEN" "$API_URL/api/namespaces/$NAMESPACE/databases/$DATABASE/branches/$REF" >/dev/null
"""
MIGRATIONS = {
    "001_coupons.sql": "CREATE TABLE coupons(code TEXT PRIMARY KEY, discount INTEGER NOT NULL);\nINSERT INTO coupons\nVALUES('TEN', 10);\n",
    "002_orders.sql": "ALTER TABLE orders ADD COLUMN coupon TEXT;\nCREATE INDEX orders_coupon ON orders(coupon);\n"
                      "CREATE TRIGGER known BEFORE INSERT ON orders WHEN new.coupon NOT IN (SELECT code FROM coupons) BEGIN SELECT RAISE(ABORT, 'no such coupon'); END;\n",
}


class Workflow:
    """A repository's checkout and what all of its steps see."""

    def __init__(self, s, folder, number):
        self.s, self.folder, self.number = s, folder, number
        self.env = {"API_URL": f"http://127.0.0.1:{s.port}", "NAMESPACE": "acme", "DATABASE": "main"}
        os.makedirs(os.path.join(folder, "migrations"), exist_ok=True)
        for name, text in MIGRATIONS.items():
            self.write(os.path.join("migrations", name), text)
        self.write("event.json", json.dumps({"action": "opened", "pull_request": {"number": number}}))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.folder, name)) as f:
            return f.read()

    def step(self, script, **env):
        return Step(script, {**self.env, "GITHUB_EVENT_PATH": os.path.join(self.folder, "event.json"), **env}, self.folder)

    def ref(self):
        return self.step(REF).outputs["ref"]

    def claim(self, **inputs):
        usual = {**DEFAULTS, "INPUT_TOKEN": self.s.token, "INPUT_DATABASE": "acme/main", "INPUT_API_URL": self.env["API_URL"]}
        done = self.step(CLAIM, **{**usual, **inputs})
        self.s.secrets.extend(done.masked())
        return done


def pull_request(checks, s, folder):
    """Opened, pushed to again, closed."""
    flow, slugs = Workflow(s, folder, 42), []
    ref = flow.ref()
    checks.equal("the ref comes from the event", ref, "pr-42")
    for outcome in ("created", "reset"):
        claimed = flow.claim(INPUT_BRANCH=ref, INPUT_ROLE="admin")
        outputs = claimed.outputs
        checks.equal(f"{outcome}: the action", (claimed.status, sorted(outputs), outputs.get("outcome"), outputs.get("branch-ref")),
                     (0, ["branch-ref", "database-slug", "expires-at", "outcome", "token"], outcome, ref)) or print(claimed)
        checks.that("its secret is masked, and nowhere else in the log", claimed.masked() == [outputs["token"]] and outputs["token"] not in claimed.shown(), claimed)
        checks.that("a time in ISO form", outputs["expires-at"].endswith("Z") and "T" in outputs["expires-at"], outputs)
        slugs.append(outputs["database-slug"])
        lease = {"TOKEN": outputs["token"], "DATABASE_SLUG": outputs["database-slug"]}
        migrated = flow.step(MIGRATE, **lease)
        checks.equal(f"{outcome}: migrations", (migrated.status, migrated.said.split()), (0, ["applied", "migrations/001_coupons.sql", "applied", "migrations/002_orders.sql"])) or print(migrated)
        smoke = flow.step(SMOKE, **lease)
        checks.equal(f"{outcome}: it starts without rows, and works", smoke.status, 0) or print(smoke)
        comment = flow.step(COMMENT, TOKEN=s.token, REF=ref)
        body = json.loads(flow.read("comment.json"))["body"] if comment.status == 0 else ""
        checks.that(f"{outcome}: the preview is a comment", body.startswith("### ") and "added table coupons" in body and "ALTER TABLE" in body and "```sql\n" in body, (comment, body))
        checks.equal("and the summary of the job", comment.summary, body)
        lease = flow.step(QUERY + "query 'SELECT count(*) FROM orders'", **{**lease, "DATABASE_SLUG": "main"})
        checks.that("the lease opens nothing but its branch", lease.status == 1 and "::error::" in lease.said, lease)
    checks.equal("one database, whatever is pushed", (len(set(slugs)), slugs[0]), (1, "main-pr-42"))
    checks.equal("the parent is as it was", s.query("SELECT count(*), (SELECT count(*) FROM sqlite_schema WHERE name = 'coupons') FROM orders").json["data"]["rows"], [[2, 0]])
    closed = flow.step(CLOSE, TOKEN=s.token, REF=ref)
    checks.equal("closed", (closed.status, closed.said.strip()), (0, "deleted")) or print(closed)
    after = flow.step(QUERY + "query 'SELECT 1'", TOKEN=outputs["token"], DATABASE_SLUG=slugs[0])
    checks.that("and the lease with it", after.status == 1 and "::error::" in after.said, after)
    checks.that("closing it again fails, as curl sees it", flow.step(CLOSE, TOKEN=s.token, REF=ref).status != 0)


def race(checks, s, folder):
    """A push while the job of the push before still runs: both jobs claim the ref at the same time."""
    for number in range(100, 108):
        flow = Workflow(s, folder, number)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = list(pool.map(lambda _: flow.claim(INPUT_BRANCH=flow.ref()), range(2)))
        checks.equal(f"pr-{number}: one creates, the other resets", ([j.status for j in jobs], sorted(j.outputs.get("outcome", "") for j in jobs)),
                     ([0, 0], ["created", "reset"])) or print(jobs)
        checks.equal("in one database", {j.outputs["database-slug"] for j in jobs}, {f"main-pr-{number}"})
        read = [flow.step(QUERY + "query 'SELECT count(*) FROM orders' | jq -c .rows", TOKEN=j.outputs["token"], DATABASE_SLUG=j.outputs["database-slug"]) for j in jobs]
        checks.equal("that both may use", [(r.status, r.said.strip()) for r in read], [(0, "[[0]]")] * 2)
        flow.step(CLOSE, TOKEN=s.token, REF=f"pr-{number}")


def refusals(checks, s, folder):
    """What a person reads in the log of a job that cannot claim is the server's sentence."""
    flow = Workflow(s, folder, 7)
    scoped, writer = s.mint("admin", "--database", "other")["token"], s.mint("readwrite")["token"]
    for what, inputs, status, text in (
            ("a token that is none", {"INPUT_TOKEN": "psql_live_nonsense"}, 401, "Invalid token format"),
            ("a token of another database", {"INPUT_TOKEN": scoped}, 403, "database"),
            ("a token that may not", {"INPUT_TOKEN": writer}, 403, "admin"),
            ("another namespace", {"INPUT_DATABASE": "home/main"}, 403, "Token namespace mismatch"),
            ("no such database", {"INPUT_DATABASE": "acme/nope"}, 404, "no such database"),
            ("a database with a slash", {"INPUT_DATABASE": "acme/main/x"}, 404, "nothing at this path"),
            ("a ref of blanks", {"INPUT_BRANCH": "a b"}, 400, "ref"),
            ("a ref with an end of line", {"INPUT_BRANCH": "a\n::add-mask::b"}, 400, "ref"),
            ("a ref that is too long", {"INPUT_BRANCH": "x" * 65}, 400, "ref"),
            ("a time that is too short", {"INPUT_TTL_SECONDS": "5"}, 400, "ttlSec"),
            ("a time that is too long", {"INPUT_TTL_SECONDS": "2592001"}, 400, "ttlSec"),
            ("a role that is none", {"INPUT_ROLE": "owner"}, 400, "role")):
        done = flow.claim(**{"INPUT_BRANCH": "pr-7", **inputs})
        said = [line for line in done.said.splitlines() if line.startswith("::error::")]
        checks.that(f"{what}: fails with {status} and a reason, and puts out nothing",
                    done.status == 1 and len(said) == 1 and f"({status}): " in said[0] and text.lower() in said[0].lower() and not done.outputs, done)
    broken = flow.claim(INPUT_BRANCH="pr-7", INPUT_ROLE="write")
    lease = {"TOKEN": broken.outputs["token"], "DATABASE_SLUG": broken.outputs["database-slug"]}
    migrated = flow.step(MIGRATE, **lease)
    checks.that("a lease to write changes no schema, and the job says so", migrated.status == 1 and "::error::" in migrated.said and "admin" in migrated.said, migrated)
    typo = flow.step(QUERY + "query 'SELECT * FROM orderz'", **lease)
    checks.that("SQL that is wrong", typo.status == 1 and "::error::no such table: orderz" in typo.said, typo)
    flow.step(CLOSE, TOKEN=s.token, REF="pr-7")


def other_ways(checks, s, folder):
    flow = Workflow(s, folder, 9)
    kept = flow.claim(INPUT_BRANCH="feature/Login_2.0", INPUT_TTL_SECONDS="0")
    checks.equal("0 seconds: kept until it is deleted", (kept.status, kept.outputs.get("expires-at"), kept.outputs.get("branch-ref")), (0, "", "feature/Login_2.0")) or print(kept)
    lease = {"TOKEN": kept.outputs["token"], "DATABASE_SLUG": kept.outputs["database-slug"]}
    checks.equal("a ref that is no slug is found by the slug in the answer", flow.step(QUERY + "query 'SELECT count(*) FROM orders' | jq -c .rows", **lease).said.strip(), "[[0]]")
    checks.equal("and deleted by its name", flow.step(CLOSE, TOKEN=s.token, REF="feature/Login_2.0").said.strip(), "deleted")
    plain = flow.step(PLAIN, TOKEN=s.token, REF="pr-9")
    checks.that("a workflow without the action", plain.status == 0 and '"rows":[["plain"]]' in plain.said, plain)


def main():
    checks = Checks()
    with Server(binary_argument()) as s:
        s.query("CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT NOT NULL)")
        s.query("INSERT INTO orders(customer) VALUES('ada'), ('lin')")
        s.call("POST", "/v1/databases", {"slug": "other", "name": "Other"})
        for part in (pull_request, race, refusals, other_ways):
            with tempfile.TemporaryDirectory(prefix="holdfast-checkout-") as folder:
                checks.part(part, checks, s, folder)
        checks.equal("no secret is in the log", [t for t in s.secrets if t and t in s.log()], [])
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
