#!/usr/bin/env python3
"""Eight callers for each of many execution tokens and approvals, while front or engine are killed: at random, or right after the
nth time that a file of theirs was written (`control`: control.db, where a redemption is noted before and after; `tenant`: the
database, where token and write are one transaction), or at the nth passing of a named moment of the front's. Each is done at most once, what was answered is true, and afterwards rows,
proposals, approvals, receipts and audit rows tell the same; what was not done can still be done, once.
Usage: exactly_once.py PATH-OF-HOLDFAST [ROUNDS]; with FAULTS=all as many as `make check` wants."""
import collections
import glob
import http.client
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import PASSWORD, Checks, Server, binary_argument, until
from people import Person

CALLERS, TOKENS, HELD = 8, 14, 10  # a round has 24 of them: 43 rounds are more than a thousand
POINTS = ("redeem.begun", "redeem.answered", "redeem.noted", "apply.answered", "apply.recorded")
MOMENTS = ("random", "control", "tenant", "point")


class Item:
    """One that is to be done once: an execution token, or an approval."""

    def __init__(self, number, kind, token, proposal):
        self.number, self.kind, self.token, self.proposal, self.answers = number, kind, token, proposal, collections.Counter()

    def do(self, s, agent):
        if self.kind == "token":
            return s.db("apply", {"executionToken": self.token}, token=agent).status
        return s.db("redeem_approval", {"approvalToken": self.token}, token=agent).status


def settled(s, what, *args, **more):
    """An answer of the server itself: what was killed a moment ago may take a call with it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            a = what(*args, **more)
            if a.status not in (500, 503):
                return a
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise RuntimeError("no answer within a minute\n" + s.log()[-2000:])


def make(s, agent, owner, first):
    items = []
    for n in range(first, first + TOKENS):
        made = settled(s, s.db, "propose", {"sql": "INSERT INTO ledger VALUES(?)", "params": [n]}, token=agent).json["data"]
        s.secrets.append(made["executionToken"])
        items.append(Item(n, "token", made["executionToken"], made["proposalId"]))
    for n in range(first + TOKENS, first + TOKENS + HELD):
        held = settled(s, s.db, "query", {"sql": "INSERT INTO guarded VALUES(?)", "params": [n]}, token=agent).json
        items.append(Item(n, "approval", held["approvalToken"], held["proposalId"]))
        decided = settled(s, owner.ask, "POST", f"/api/approvals/{held['approvalToken']}/decision", {"decision": "approve"})
        assert decided.status == 200, decided
    return items


def caller(s, agent, items, seed):
    mine = list(items)
    random.Random(seed).shuffle(mine)
    for item in mine:
        try:
            item.answers[item.do(s, agent)] += 1
        except (OSError, http.client.HTTPException):
            item.answers["none"] += 1


def wait_for(s, moment, nth):
    """Until that file was written to the nth time, or nobody does so any more."""
    files = [s.data + "/control.db-wal"] if moment == "control" else glob.glob(s.data + "/db/*/main.db-wal")
    seen, last, end = 0, None, time.monotonic() + 0.4
    while seen < nth and time.monotonic() < end:
        now = [os.stat(f).st_mtime_ns for f in files if os.path.exists(f)]
        seen += last is not None and now != last
        last = now


def strike(s, rng, moment, front):
    if moment == "point":
        with open(s.env["HOLDFAST_FAIL_POINT"], "w") as f:
            f.write(f"{rng.choice(POINTS)} {1 + rng.randrange(CALLERS)}\n")
        until(lambda: s.proc.poll() is not None, 0.4)  # it may be passed less often: then this is a moment like any other
        os.unlink(s.env["HOLDFAST_FAIL_POINT"])
    elif moment == "random":
        time.sleep(rng.random() * 0.06)  # when it strikes is what is random here: nothing is waited for
    else:
        wait_for(s, moment, 1 + rng.randrange(12))
    if front:
        s.kill()
        return
    for pid in s.children("hf-engine"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def rows_of(s, table, items):
    a = settled(s, s.query, f"SELECT n, count(*) FROM {table} WHERE n >= ? GROUP BY n", [items[0].number])
    return dict(a.json["data"]["rows"])


def state_of(s, agent, item):
    shown = settled(s, s.db, "proposals/" + item.proposal, method="GET", token=agent)
    state = shown.json["data"]["status"] if shown.status == 200 else "gone"
    if item.kind == "approval":
        return state, settled(s, s.db, "approvals/" + item.token, method="GET", token=agent).json["data"]["status"]
    return state, None


def judge(s, agent, items, wrong, last):
    """Compares what happened with what is told. `last`: everything is to be done by now."""
    rows = {**rows_of(s, "ledger", items), **rows_of(s, "guarded", items)}
    for item in items:
        count, said = rows.get(item.number, 0), item.answers[200]
        proposal, approval = state_of(s, agent, item)
        if count > 1 or said > 1 or said > count or (count == 1) != (proposal == "applied") or (last and count != 1) or \
                (approval is not None and approval != ("redeemed" if count else "approved")) or set(item.answers) - {200, 404, 409, 500, 503, "none"}:
            wrong.append((item.number, item.kind, count, proposal, approval, dict(item.answers)))
    return rows


def finish(s, agent, items, rows, wrong):
    """Who comes again is told the truth: gone, or done now."""
    for item in items:
        status = settled(s, lambda: s.db("apply", {"executionToken": item.token}, token=agent) if item.kind == "token" else
                         s.db("redeem_approval", {"approvalToken": item.token}, token=agent)).status
        if status != (404 if rows.get(item.number) else 200):
            wrong.append(("again", item.number, item.kind, rows.get(item.number, 0), status))
        item.answers = collections.Counter()


def recorded(s):
    """What the audit log says was done: the proposal or approval -> how often."""
    found, text = collections.Counter(), s.run("audit", "export", "--data", s.data).stdout
    for line in text.splitlines():
        row = json.loads(line)
        after = json.loads(row["after"]) if isinstance(row.get("after"), str) else row.get("after") or {}
        if row.get("action") == "proposal.applied":
            found[after.get("proposal")] += 1
        elif row.get("action") == "approval.redeemed":
            found[row.get("targetId")] += 1
    return found


def main():
    checks, done, wrong, lost = Checks(), [], [], 0
    everything = os.environ.get("FAULTS") == "all"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 43 if everything else 5
    struck = collections.Counter()
    server = Server(os.path.join(os.path.dirname(binary_argument()), "crash", "holdfast"))
    server.env["HOLDFAST_FAIL_POINT"] = os.path.join(server.dir, "fail_point")
    with server as s:
        agent = s.mint("readwrite")["token"]
        owner = Person(s, "owner@example.com", PASSWORD)
        owner.sign_in()
        owner.session()
        for sql in ("CREATE TABLE ledger(n)", "CREATE TABLE guarded(n)"):
            s.query(sql)
        checks.equal("a rule", s.db("approval-rules", {"tableGlob": "guarded", "action": "require_approval"}).status, 200)
        for round in range(rounds):
            items = make(s, agent, owner, round * (TOKENS + HELD))
            threads = [threading.Thread(target=caller, args=(s, agent, items, checks.seed + i)) for i in range(CALLERS)]
            moment, front = MOMENTS[round % 4] if not everything else checks.random.choice(MOMENTS), round % 3 != 1
            front |= moment == "point"
            for t in threads:
                t.start()
            strike(s, checks.random, moment, front)  # every third round an engine: a third one within a minute would open its breaker
            for t in threads:
                t.join()
            struck[moment, "front" if front else "engine"] += 1
            if s.proc is None:
                s.start()
            lost += sum(i.answers["none"] + i.answers[500] + i.answers[503] for i in items)
            rows = judge(s, agent, items, wrong, False)
            finish(s, agent, items, rows, wrong)
            judge(s, agent, items, wrong, True)
            done += items
        checks.that("calls were struck", lost > 0, lost)
        checks.equal("each was done at most once, and is told so", wrong[:5], [])
        found = recorded(s)
        checks.equal("no approval's deed is recorded twice or not at all", [i.token for i in done if i.kind == "approval" and found[i.token] != 1], [])
        checks.equal("nor a proposal's twice", [i.proposal for i in done if found[i.proposal] > 1], [])
        receipts = [settled(s, s.db, f"approvals/{i.token}/receipt", method="GET", token=agent).json for i in done if i.kind == "approval"]
        checks.equal("receipts end with the deed", [r for r in receipts if [e["action"] for e in r["events"]][-1:] != ["approval.redeemed"]][:1], [])
        checks.equal("the chains hold", s.run("audit", "verify", "--data", s.data, check=False).returncode, 0)
        print(f"{len(done)} redeemed by {CALLERS} callers each, struck {dict(struck)}, {lost} calls without an answer")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
