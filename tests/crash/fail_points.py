#!/usr/bin/env python3
"""The front is killed at each named moment between two things that become durable (internal/base/fail_point.def): in approving,
redeeming, denying, withdrawing, applying, confirming, in making, claiming and deleting branches, merging, snapshots and restores.
After the next start what was done was done once or not at all, is told as it is, and what was left can be done.
Usage: fail_points.py PATH-OF-HOLDFAST [POINT…]; a sample of them, with FAULTS=all every one. The program is the one beside it that
obeys HOLDFAST_FAIL_POINT; the one that is shipped does not know the word."""
import collections
import http.client
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument, until
from people import Person

SAMPLE = 10
TABLE = os.path.join(HERE, "..", "..", "internal", "base", "fail_point.def")
SCHEMA = ["CREATE TABLE free(n)", "CREATE TABLE source(n)", "CREATE TABLE guarded(n)", "CREATE TABLE kept(n)"]
CASES = []  # (point, function)


def at(*points):
    """The function is a case of each of these."""
    def note(function):
        CASES.extend((p, function) for p in points)
        return function
    return note


class World:
    def __init__(self, s, checks):
        self.s, self.checks, self.n, self.point, self.label = s, checks, 0, None, ""
        self.armed = os.path.join(s.dir, "fail_point")

    def prepare(self):
        s = self.s
        assert s.batch(SCHEMA).status == 200
        assert s.db("approval-rules", {"tableGlob": "guarded", "action": "require_approval"}).status == 200
        self.agent = s.mint("readwrite")["token"]
        self.owner = Person(s, "owner@example.com", PASSWORD)
        self.owner.sign_in()
        self.owner.session()

    def new(self):
        self.n += 1
        return self.n

    def equal(self, what, seen, wanted):
        self.checks.equal(f"{self.label}: {what}", seen, wanted)

    def arm(self, times=1):
        with open(self.armed, "w") as f:
            f.write(f"{self.point} {times}\n")

    def die(self, act):
        """Does it, and is not answered: the front dies at the point. Then it starts again."""
        answered = None
        self.arm()
        try:
            answered = act()
        except (OSError, http.client.HTTPException):
            pass
        self.buried(answered)

    def buried(self, answered=None):
        try:
            status = self.s.proc.wait(30)
        except subprocess.TimeoutExpired:
            status = None
        os.unlink(self.armed)
        self.checks.that(f"{self.label}: the front dies there", status == -9 and answered is None, (status, answered))
        if status is not None:
            self.s.kill()
            self.s.start()

    # --- Writes that people decide about ---

    def count(self, n, table="guarded", db="main"):
        return self.s.query(f"SELECT count(*) FROM {table} WHERE n = ?", [n], db).json["data"]["rows"][0][0]

    def ask(self, n, sql="INSERT INTO guarded VALUES(?)", key=None):
        a = self.s.query(sql, [n], token=self.agent, headers={"Idempotency-Key": key} if key else None)
        assert a.status == 403 and "approvalToken" in a.json, a
        return a.json["approvalToken"]

    def decide(self, token, decision="approve", **more):
        return self.owner.ask("POST", f"/api/approvals/{token}/decision", {"decision": decision, **more})

    def redeem(self, token):
        return self.s.db("redeem_approval", {"approvalToken": token}, token=self.agent)

    def approval(self, token):
        return self.s.db(f"approvals/{token}", method="GET", token=self.agent).json["data"]

    def state(self, token):
        """The same for the bearer, for people and in the list, or all three."""
        mine, shown = self.approval(token)["status"], self.owner.ask("GET", f"/api/approvals/{token}").json["data"]["status"]
        listed = [p["status"] for p in self.s.db("approvals", method="GET", token=self.agent).json["data"]["approvals"] if p["approvalToken"] == token]
        return mine if [mine, shown] == [shown, *listed] else (mine, shown, listed)

    def receipt(self, token):
        return [e["action"] for e in self.s.db(f"approvals/{token}/receipt", method="GET", token=self.agent).json["events"]]

    def approved(self, n, sql="INSERT INTO guarded VALUES(?)"):
        token = self.ask(n, sql)
        assert self.decide(token).status == 200
        return token

    def done_once(self, n, token, before):
        """It was done `before` times; whoever comes again is told so, and afterwards it is there once."""
        self.equal("how often it was done", self.count(n), before)
        self.equal("what is told of it", self.state(token), "redeemed" if before else "approved")
        self.equal("redeemed again", self.redeem(token).status, 404 if before else 200)
        self.equal("and once more", self.redeem(token).status, 404)
        self.equal("it is there once", (self.count(n), self.state(token)), (1, "redeemed"))
        self.equal("its receipt says so once", self.receipt(token).count("approval.redeemed"), 1)


@at("held.stored", "held.registered")
def holding(w):
    n, key = w.new(), f"key-{w.n}"
    w.die(lambda: w.ask(n, key=key))
    token = w.ask(n, key=key)  # the same write, not a second one
    held = [p for p in w.s.db("proposals?limit=100", method="GET", token=w.agent).json["data"]["proposals"] if p["status"] == "pending"]
    w.equal("one proposal waits", len(held), 1)
    w.equal("what is told", w.state(token), "pending")
    w.equal("approve", w.decide(token).status, 200)
    w.done_once(n, token, 0)


@at("decide.written", "decide.noted")
def approving(w):
    n = w.new()
    token, noted = w.ask(n), w.point == "decide.noted"
    w.die(lambda: w.decide(token))
    w.equal("what is told", w.state(token), "approved" if noted else "pending")
    w.equal("approved again", w.decide(token).status, 409 if noted else 200)
    w.done_once(n, token, 0)
    w.equal("counted once", w.receipt(token).count("approval.approved"), 1)


@at("decide.written", "decide.noted")
def denying(w):
    n = w.new()
    token, noted = w.ask(n), w.point == "decide.noted"
    w.die(lambda: w.decide(token, "deny", note="no"))
    w.equal("what is told", w.state(token), "denied" if noted else "pending")
    w.equal("denied again", w.decide(token, "deny").status, 409 if noted else 200)
    w.equal("redeem", (w.redeem(token).status, w.count(n), w.state(token)), (409, 0, "denied"))


@at("decide.written", "decide.noted", "redeem.answered", "redeem.noted")
def approving_and_running(w):
    n = w.new()
    token = w.ask(n)
    w.die(lambda: w.decide(token, run=True))
    if w.point == "decide.written":
        w.equal("nothing is decided", (w.state(token), w.count(n)), ("pending", 0))
        w.equal("approved again", (w.decide(token, run=True).status, w.count(n)), (200, 1))
        w.done_once(n, token, 1)
        return
    w.equal("approved again", w.decide(token, run=True).status, 409)
    w.done_once(n, token, 0 if w.point == "decide.noted" else 1)


@at("redeem.begun", "redeem.answered", "redeem.noted")
def redeeming(w):
    n = w.new()
    token = w.approved(n)
    w.die(lambda: w.redeem(token))
    w.done_once(n, token, 0 if w.point == "redeem.begun" else 1)


@at("redeem.begun", "redeem.answered", "redeem.noted")
def drifting(w):
    """What was approved would do something else by now."""
    n, sql = w.new(), "INSERT INTO guarded SELECT ? FROM source"
    assert w.s.query("DELETE FROM source").status == w.s.query("INSERT INTO source VALUES(1)").status == 200
    token = w.approved(n, sql)
    assert w.s.query("INSERT INTO source VALUES(2)").status == 200
    w.die(lambda: w.redeem(token))
    if w.point == "redeem.begun":
        w.equal("redeemed again", w.redeem(token).status, 409)
    w.equal("nothing was done", (w.count(n), w.state(token)), (0, "void"))
    w.equal("nor is", (w.redeem(token).status, w.count(n)), (409, 0))
    fresh = w.approval(token).get("replacedBy")
    if w.point == "redeem.noted":
        w.equal("the fresh one waits", w.state(fresh), "pending")
    fresh = fresh or w.ask(n, sql)
    w.equal("and is done once it is approved", (w.decide(fresh).status, w.redeem(fresh).status, w.count(n), w.redeem(fresh).status), (200, 200, 2, 404))


@at("apply.answered", "apply.recorded")
def applying(w):
    n, s = w.new(), w.s
    made = s.db("propose", {"sql": "INSERT INTO free VALUES(?)", "params": [n]}, token=w.agent).json["data"]
    s.secrets.append(made["executionToken"])
    w.die(lambda: s.db("apply", {"executionToken": made["executionToken"]}, token=w.agent))
    w.equal("how often it was done", w.count(n, "free"), 1)
    w.equal("again", s.db("apply", {"executionToken": made["executionToken"]}, token=w.agent).status, 404)
    w.equal("what is told", s.db("proposals/" + made["proposalId"], method="GET", token=w.agent).json["data"]["status"], "applied")


@at("audited.intended", "audited.answered", "audited.settled")
def withdrawing(w):
    n, s = w.new(), w.s
    token = w.ask(n)
    proposal, undone = w.approval(token)["proposalId"], w.point == "audited.intended"
    withdraw = lambda: s.db(f"proposals/{proposal}/withdraw", {}, token=w.agent)
    w.die(withdraw)
    w.equal("what is told", w.state(token), "pending" if undone else "withdrawn")
    w.equal("withdrawn again", withdraw().status, 200 if undone else 409)
    w.equal("what is told then", w.state(token), "withdrawn")
    w.equal("nobody approves it", w.decide(token).status, 409)
    w.equal("nor redeems it", (w.redeem(token).status, w.count(n)), (409, 0))


@at("audited.intended", "audited.answered", "audited.settled")
def withdrawing_what_was_approved(w):
    n, s = w.new(), w.s
    token = w.approved(n)
    proposal, undone = w.approval(token)["proposalId"], w.point == "audited.intended"
    w.die(lambda: s.db(f"proposals/{proposal}/withdraw", {}, token=w.agent))
    w.equal("what is told", w.state(token), "approved" if undone else "withdrawn")
    if undone:
        w.done_once(n, token, 0)
    else:
        w.equal("nobody redeems it", (w.redeem(token).status, w.count(n)), (409, 0))


# --- To be confirmed ---


def runs_until_confirmed(w, n):
    token = w.ask(n)
    a = w.decide(token, run=True, confirmWithinSec=60)
    assert a.status == 200 and w.count(n) == 1, a
    return token


@at("confirm.noted")
def confirming(w):
    n = w.new()
    token = runs_until_confirmed(w, n)
    w.die(lambda: w.owner.ask("POST", f"/api/approvals/{token}/confirm"))
    w.equal("it is confirmed", w.approval(token)["confirm"]["state"], "confirmed")
    w.equal("again", w.owner.ask("POST", f"/api/approvals/{token}/confirm").status, 409)
    w.equal("and stays", w.count(n), 1)


@at("undo.proposed", "undo.noted", "undo.applied")
def taking_back(w):
    n, s = w.new(), w.s
    token = runs_until_confirmed(w, n)
    s.kill()
    w.arm()
    s.control("UPDATE approval SET confirm_by = confirm_by - 600000 WHERE id = ?", (token,), write=True)
    s.start()
    w.buried()
    until(lambda: w.approval(token)["confirm"]["state"] != "waiting", 40)
    w.equal("it is taken back", (w.approval(token)["confirm"]["state"], w.count(n)), ("undone", 0))
    w.equal("once", w.receipt(token).count("approval.undone"), 1)


# --- Branches ---


def leftovers(w):
    """What lies in places of passage, and intents that wait."""
    s, left = w.s, []
    for folder in ("staging", "replaced"):
        path = os.path.join(s.data, folder)
        left += [f"{folder}/{name}" for name in (os.listdir(path) if os.path.isdir(path) else ())]
    known = {r[0] for r in s.control("SELECT id FROM database WHERE status = 'healthy'")}
    left += [f"db/{name}" for name in os.listdir(os.path.join(s.data, "db")) if name not in known]
    return left + s.control("SELECT id, status FROM database WHERE status NOT IN ('healthy', 'deleted')")


def whole(w, db, n):
    """It has the parent's row, and is written to."""
    w.equal("its row", w.count(n, "kept", db), 1)
    w.equal("a write", w.s.query("INSERT INTO free VALUES(?)", [n], db).status, 200)


def branch(w, ref, **more):
    return w.s.call("PUT", f"/v1/db/acme/main/branches/{ref}", {"data": "full", **more})


def refs(w):
    return [b["branchRef"] for b in w.s.call("GET", "/v1/db/acme/main/branches").json["data"]]


def keep(w):
    n = w.new()
    assert w.s.query("INSERT INTO kept VALUES(?)", [n]).status == 200
    return n, f"b{n}"


def gone(w, ref):
    w.equal("it goes", (w.s.call("DELETE", f"/v1/db/acme/main/branches/{ref}").status, ref in refs(w)), (200, False))
    w.equal("nothing is left", leftovers(w), [])


NEW = ("branch.intended", "branch.placed", "copy.settled", "copy.made")


@at(*NEW)
def making_a_branch(w):
    n, ref = keep(w)
    w.die(lambda: branch(w, ref))
    made = w.point == "copy.made"
    w.equal("it is there or not", (ref in refs(w), leftovers(w)), (made, []))
    if made:
        whole(w, f"main-{ref}", n)
    again = branch(w, ref)
    w.equal("again", (again.status, again.json["data"]["outcome"]), (200, "reset" if made else "created"))
    whole(w, f"main-{ref}", n)
    gone(w, ref)


@at(*NEW)
def claiming_a_branch(w):
    n, ref = keep(w)
    claim = lambda: w.s.db("claim_branch", {"ref": ref, "data": "full", "ttlSec": 600})
    w.die(claim)
    again = claim()
    w.equal("again", (again.status, again.json["data"]["outcome"]), (200, "reset" if w.point == "copy.made" else "created"))
    token = again.json["data"]["token"]
    w.s.secrets.append(token)
    w.equal("its token", w.s.query("SELECT count(*) FROM kept WHERE n = ?", [n], f"main-{ref}", token=token).json["data"]["rows"], [[1]])
    w.equal("one branch", refs(w).count(ref), 1)
    gone(w, ref)
    w.equal("the token goes with it", w.s.query("SELECT 1", None, f"main-{ref}", token=token).status, 401)


@at("branch.placed", "copy.settled", "copy.made")
def forking(w):
    n, slug = keep(w)
    fork = lambda: w.s.db("fork", {"slug": slug, "data": "full"})
    w.die(fork)
    made = w.point == "copy.made"
    w.equal("nothing is left", leftovers(w), [])
    w.equal("again", fork().status, 409 if made else 200)
    whole(w, slug, n)
    w.equal("it goes", w.s.call("DELETE", f"/v1/databases/{slug}").status, 200)


@at("branch.staged", "branch.intended", "exchange.half", "exchange.moved", "exchange.ended")
def resetting_a_branch(w):
    n, ref = keep(w)
    db = f"main-{ref}"
    assert branch(w, ref).status == 200 and w.s.query("DELETE FROM kept", db=db).status == 200
    w.die(lambda: branch(w, ref))
    w.equal("it is as it was or anew", (w.count(n, "kept", db), leftovers(w)), (0 if w.point == "branch.staged" else 1, []))
    w.equal("again", branch(w, ref).json["data"]["outcome"], "reset")
    whole(w, db, n)
    gone(w, ref)


@at("delete.intended", "delete.moved", "delete.done")
def deleting_a_branch(w):
    n, ref = keep(w)
    delete = lambda: w.s.call("DELETE", f"/v1/db/acme/main/branches/{ref}")
    assert branch(w, ref).status == 200
    w.die(delete)
    w.equal("it is gone", (ref in refs(w), w.s.query("SELECT 1", db=f"main-{ref}").status, leftovers(w)), (False, 404, []))
    w.equal("again", delete().status, 404)
    w.equal("anew", branch(w, ref).json["data"]["outcome"], "created")
    whole(w, f"main-{ref}", n)
    gone(w, ref)


# --- Merges ---


@at("merge.kept", "merge.intended", "merge.answered", "merge.settled")
def merging_rows(w):
    n, ref = keep(w)
    merge = lambda: w.s.db(f"branches/{ref}/merge", {"mode": "data"})
    assert branch(w, ref).status == w.s.query("INSERT INTO free VALUES(?)", [n], f"main-{ref}").status == 200
    w.die(merge)
    w.equal("the row is there or not", w.count(n, "free"), 1 if w.point in ("merge.answered", "merge.settled") else 0)
    w.equal("again", merge().status, 200)
    w.equal("the row is there once", w.count(n, "free"), 1)
    w.equal("nothing is left to merge", w.s.db(f"branches/{ref}/diff", method="GET").json["data"]["tables"], [])
    gone(w, ref)


@at("merge.intended", "merge.answered", "merge.settled", "merge.told")
def merging_a_schema(w):
    n, ref = keep(w)
    merge = lambda: w.s.db(f"branches/{ref}/merge", {"mode": "schema"})
    assert branch(w, ref).status == w.s.query(f"CREATE TABLE made_{n}(a)", db=f"main-{ref}").status == 200
    w.die(merge)
    there = lambda: w.s.query("SELECT count(*) FROM sqlite_schema WHERE name = ?", [f"made_{n}"]).json["data"]["rows"][0][0]
    w.equal("the table is there or not", there(), 0 if w.point == "merge.intended" else 1)
    w.equal("again", merge().status, 200)
    w.equal("the table is there", (there(), merge().json["data"]["applied"]), (1, []))
    gone(w, ref)


# --- Snapshots ---


def snapshots(w):
    """Those that are listed; their folders must be the same."""
    s = w.s
    listed = {x["id"]: x for x in s.db("snapshots", method="GET").json["data"]}
    of_all = sorted(r[0] for r in s.control("SELECT id FROM snapshot"))
    folder = os.path.join(s.data, "snapshots")
    w.equal("each has its files, and no other is there", sorted(os.listdir(folder)) if os.path.isdir(folder) else [], of_all)
    return listed


def snapshot(w):
    return w.s.db("snapshots", {"label": f"of {w.n}"})


def restore(w, id):
    return w.s.db("restore", {"snapshotId": id})


@at("snapshot.taken", "snapshot.recorded")
def making_a_snapshot(w):
    n, _ = keep(w)
    w.die(lambda: snapshot(w))
    made = [x for x in snapshots(w).values() if x["label"] == f"of {n}"]
    w.equal("it is there or not", len(made), 0 if w.point == "snapshot.taken" else 1)
    id = made[0]["id"] if made else snapshot(w).json["data"]["id"]
    assert w.s.query("DELETE FROM kept WHERE n = ?", [n]).status == 200
    w.equal("and holds what was", (restore(w, id).status, w.count(n, "kept")), (200, 1))


@at("snapshot.forgotten")
def deleting_a_snapshot(w):
    keep(w)
    id = snapshot(w).json["data"]["id"]
    delete = lambda: w.s.db(f"snapshots/{id}", method="DELETE")
    w.die(delete)
    w.equal("it is gone", (id in snapshots(w), delete().status), (False, 404))


@at("restore.carried", "restore.staged", "restore.intended", "exchange.half", "exchange.moved", "exchange.ended")
def restoring(w):
    n, _ = keep(w)
    id = snapshot(w).json["data"]["id"]
    later = w.new()
    token = w.approved(later)  # what waits is carried over
    assert w.s.query("DELETE FROM kept WHERE n = ?", [n]).status == 200
    before = snapshots(w)
    w.die(lambda: restore(w, id))
    done = w.point not in ("restore.carried", "restore.staged")
    w.equal("the state is one of the two", (w.count(n, "kept"), leftovers(w)), (1 if done else 0, []))
    fresh = [x for x in snapshots(w).values() if x["id"] not in before]
    w.equal("what was replaced is kept", [x["kind"] for x in fresh], ["restore"] if done else [])
    w.equal("a write", w.s.query("INSERT INTO free VALUES(?)", [n]).status, 200)
    w.done_once(later, token, 0)
    if done:
        w.equal("and can be had back", (restore(w, fresh[0]["id"]).status, w.count(n, "kept")), (200, 0))
    w.equal("again", (restore(w, id).status, w.count(n, "kept")), (200, 1))


# --- A run ---


def points():
    with open(TABLE) as f:
        return re.findall(r'^FAIL_POINT\(\w+, *"([a-z.]+)"\)', f.read(), re.MULTILINE)


def chosen(checks):
    """A case for as many points as fit; all with FAULTS=all, or those of the command line."""
    if sys.argv[2:]:
        return [c for c in CASES if c[0] in sys.argv[2:]]
    if os.environ.get("FAULTS") == "all":
        return CASES
    names = checks.random.sample(points(), SAMPLE)
    return [checks.random.choice([c for c in CASES if c[0] == name]) for name in names]


def main():
    checks, struck, shipped = Checks(), collections.Counter(), binary_argument()
    known = points()
    checks.equal("every point has a case, and every case a point", sorted(set(known)), sorted({p for p, _ in CASES}))
    with open(shipped, "rb") as f:
        checks.that("the program that is shipped knows no such switch", b"HOLDFAST_FAIL_POINT" not in f.read())
    s = Server(os.path.join(os.path.dirname(shipped), "crash", "holdfast"))
    s.env["HOLDFAST_FAIL_POINT"] = os.path.join(s.dir, "fail_point")
    with s:
        w = World(s, checks)
        w.prepare()
        for w.point, case in chosen(checks):
            w.label = f"{w.point}, {case.__name__.replace('_', ' ')}"
            checks.part(case, w)
            struck[w.point] += 1
        checks.equal("the chains hold", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)
        checks.equal("the server ends with status 0", s.stop(), 0)
    print(f"killed {sum(struck.values())} times at {len(struck)} of {len(known)} points")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
