"""The second half of the demo: how a change reaches a database. A pull request gets a branch, a rule stops an agent, a person looks
at the rows and decides, exactly those are written; a change that drifted is refused, one that was made is taken back; a receipt
proves who agreed to what."""
import os

from holdfast import PASSWORD
from people import Person
from stage import check, heading, show, show_command, show_person, show_rows

MIGRATION = ["CREATE TABLE aliases(code INTEGER NOT NULL REFERENCES characters(code), alias TEXT NOT NULL, PRIMARY KEY(code, alias)) WITHOUT ROWID",
             "ALTER TABLE characters ADD COLUMN note TEXT", "CREATE INDEX characters_by_note ON characters(note)"]


def branch(server, db):
    """pr-42: claimed by its pipeline, migrated, shown, merged."""
    lease = show(server, "A pull request claims a branch: a database of its own, with the schema and without rows", "POST", f"{db}/claim_branch",
                 {"ref": "pr-42", "role": "admin", "ttlSec": 86400, "purpose": "github-action:preview-db"}, quiet=True)["data"]
    server.secrets.append(lease["token"])
    check("it is made, and has a name", (lease["outcome"], lease["databaseSlug"]) == ("created", "main-pr-42"))
    there = f"/v1/db/unicode/{lease['databaseSlug']}"
    for sql in MIGRATION:
        show(server, "Its migration runs there, with the token of the branch", "POST", f"{there}/query", {"sql": sql}, token=lease["token"], quiet=True)
    text = show(server, "What the pull request would change, as a comment", "GET", f"{db}/branches/pr-42/preview?format=markdown")
    check("the comment names the table", "added table aliases" in text)
    show(server, "Merged", "POST", f"{db}/branches/pr-42/merge", {"mode": "schema"})
    tables = show(server, "The parent has the table now, and all of its rows", "GET", f"{db}/tables", quiet=True)["data"]
    counts = {t["name"]: t["rowCount"] for t in tables}
    check("merged, nothing lost", counts["aliases"] == 0 and counts["characters"] > 30000)
    show(server, "The branch goes", "DELETE", f"{db}/branches/pr-42", quiet=True)


def approve(server, db):
    """An agent's write meets a rule; the owner looks at it and agrees; the agent redeems it, once."""
    show(server, "A rule, in SQL, over what a write really does", "POST", f"{db}/approval-rules",
         {"when": "(SELECT sum(row_count) FROM effects) > 100", "action": "require_approval", "note": "More than 100 rows at once: somebody looks first"})
    agent = server.mint("readwrite", "--name", "an agent's")["token"]
    held = show(server, "An agent, with a token of its own, writes a little too much", "POST", f"{db}/query",
                {"sql": "UPDATE characters SET note = 'cooking' WHERE name LIKE ?", "params": ["%CIRCLED%"], "agent": "cook", "reason": "recipes want symbols"}, 403, token=agent)
    check("it is held, and the answer says by what", held["code"] == "approval_required" and "somebody looks first" in held["hits"][0]["note"])
    token = held["approvalToken"]
    owner = Person(server, "owner@example.com", PASSWORD)
    check("the owner signs in", owner.sign_in().status == 200)
    seen = show_person(owner, "The owner, signed in, sees who wants what, and each row", "GET", f"/api/approvals/{token}", quiet=True)["data"]
    show_rows(seen["proposal"]["changes"])
    check("what is shown has the hash of what was held", seen["hash"] == held["hash"] and seen["status"] == "pending")
    show_person(owner, "… and agrees to exactly that", "POST", f"/api/approvals/{token}/decision", {"decision": "approve", "hash": seen["hash"], "note": "fine"}, quiet=True)
    approved = show(server, "The agent asks how it stands", "GET", f"{db}/approvals/{token}", token=agent, quiet=True)["data"]
    check("approved, and not done yet", approved["status"] == "approved")
    done = show(server, "… and redeems it", "POST", f"{db}/redeem_approval", {"approvalToken": token}, token=agent)
    check("as many rows as were shown", done["data"]["rowsWritten"] == seen["estimatedAffectedRows"] > 100)
    show(server, "Once", "POST", f"{db}/redeem_approval", {"approvalToken": token}, 404, token=agent, quiet=True)
    return agent, token


def prove(server, db, agent, token):
    receipt = show(server, "The receipt: who agreed, how they were known, which hash was shown and which was committed", "GET", f"{db}/approvals/{token}/receipt", token=agent)
    check("all of it in one file", receipt["approvalToken"] == token)
    path = os.path.join(server.dir, "receipt.json")
    with open(path, "wb") as f:
        f.write(server.call("GET", f"{db}/approvals/{token}/receipt", token=agent).data)
    told = show_command(server, "It is compared with the audit log, whose rows hang together by hashes", "audit", "verify", "--data", server.data, "--receipt", path)
    check("the log is whole", "whole" in told)


def rehearse(server, db):
    """A proposal, a change by somebody else meanwhile, the refusal, the fresh proposal, the undo."""
    # 9 rows: the rule does not mind.
    write = {"sql": "UPDATE characters SET note = 'winter' WHERE name LIKE ?", "params": ["%SNOW%"], "reason": "what people look for in December"}
    proposal = show(server, "A write is rehearsed: every row as it is and as it would be", "POST", f"{db}/propose", write, quiet=True)["data"]
    show_rows(proposal["changes"])
    server.secrets.append(proposal["executionToken"])
    rows = proposal["estimatedAffectedRows"]
    check("the rows are shown", rows > 5 and proposal["changes"]["rows"][0]["after"]["note"] == "winter")
    show(server, "Meanwhile somebody else changes one of these rows", "POST", f"{db}/query",
         {"sql": "UPDATE characters SET note = 'my favourite' WHERE code = ?", "params": [0x2603]}, quiet=True)
    drift = show(server, "So applying it is refused, with the row that differs and a fresh proposal", "POST", f"{db}/apply", {"executionToken": proposal["executionToken"]}, 409)
    check("drift", drift["code"] == "drift")
    fresh = drift["proposal"]
    server.secrets.append(fresh["executionToken"])
    applied = show(server, "Exactly what the fresh one shows is done", "POST", f"{db}/apply", {"executionToken": fresh["executionToken"]}, quiet=True)
    check("as many rows as were shown", applied["data"]["rowsWritten"] == rows)
    return fresh["proposalId"]


def undo(server, db, proposal_id):
    back = show(server, "Taking it back is a proposal too, with its own rows", "POST", f"{db}/proposals/{proposal_id}/undo", {"reason": "December is over"}, quiet=True)["data"]
    show_rows(back["changes"])
    server.secrets.append(back["executionToken"])
    check("the favourite comes back", any(r["after"].get("note") == "my favourite" for r in back["changes"]["rows"]))
    show(server, "Applied", "POST", f"{db}/apply", {"executionToken": back["executionToken"]}, quiet=True)
    left = show(server, "As it was before", "POST", f"{db}/query", {"sql": "SELECT code, note FROM characters WHERE note IS NOT NULL AND name LIKE '%SNOW%'"})
    check("one note is left", left["data"]["rows"] == [[0x2603, "my favourite"]])


def tour(server, db):
    heading("How a change gets here")
    branch(server, db)
    agent, token = approve(server, db)
    undo(server, db, rehearse(server, db))
    prove(server, db, agent, token)
