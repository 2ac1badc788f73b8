-- Rules that writes are judged by, what must always hold, how columns are masked in branches; and what proposals keep of
-- that: internal/engine/proposal.h. The table of proposals is made anew, because SQLite cannot widen a CHECK.

CREATE TABLE _sys_rule (
    id            TEXT    PRIMARY KEY, -- "rule_…"
    position      INTEGER NOT NULL,    -- rules are asked in this order, then in that of their ids
    table_glob    TEXT,                -- NULL: every table
    condition     TEXT,                -- an SQL expression over the change; NULL: always
    action        TEXT    NOT NULL CHECK (action IN ('allow', 'deny', 'require_approval', 'require_reason')),
    approvals     INTEGER NOT NULL DEFAULT 1,
    approver_role TEXT,                -- the least role that may approve; NULL: the server's default
    note          TEXT,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- SELECTs that must return no rows when a write ends.
CREATE TABLE _sys_invariant (
    id            TEXT    PRIMARY KEY, -- "inv_…"
    name          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    query         TEXT    NOT NULL,
    note          TEXT,
    created_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What a masked branch shows in place of a column's values.
CREATE TABLE _sys_mask (
    table_name  TEXT NOT NULL COLLATE NOCASE,
    column_name TEXT NOT NULL COLLATE NOCASE,
    kind        TEXT NOT NULL,
    options     TEXT NOT NULL DEFAULT '{}', -- JSON
    PRIMARY KEY (table_name, column_name)
) WITHOUT ROWID;

CREATE TABLE _sys_proposal_new (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE, -- "prop_…"
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'stale', 'applied', 'drifted', 'withdrawn', 'expired')),
    bearer         TEXT    NOT NULL, -- id of the token that proposed it: nobody else can apply it
    token_hash     BLOB,             -- SHA-256 of the execution token with the database's id; NULL: used or void
    approval       TEXT,             -- "appr_…": it is held until people have approved it; NULL: it is not
    body           TEXT    NOT NULL, -- the request: statement or statements with their parameters
    action         TEXT    NOT NULL CHECK (action IN ('write', 'schema', 'undo', 'merge')),
    hash           BLOB    NOT NULL, -- SHA-256 of what was shown
    rules          TEXT    NOT NULL DEFAULT '[]', -- rules that hit, as JSON
    rules_version  BLOB,             -- SHA-256 of all rules of that time; NULL: there were none
    affected       INTEGER NOT NULL,
    clock_ms       INTEGER NOT NULL, -- what the write took for the time, and where its dice began
    dice           INTEGER NOT NULL,
    plan           TEXT    NOT NULL, -- these three as JSON
    flags          TEXT    NOT NULL,
    schema_diff    TEXT    NOT NULL,
    rehearsed_on   TEXT    NOT NULL, -- 'live' or 'copy'
    tracked        INTEGER NOT NULL, -- 1: its rows stand in _sys_proposal_row while it waits
    no_indirect    INTEGER NOT NULL, -- 1: proposed under row-level security; what triggers did is not shown to its bearer
    no_undo        TEXT,             -- why it could not be taken back; NULL: it can
    undo_of        TEXT,             -- id of the proposal that this one takes back
    snapshot       TEXT,             -- id of the snapshot that was made before it was applied; NULL: none
    idempotency_key TEXT,            -- of the request that was held
    size           INTEGER NOT NULL, -- bytes of its change set
    reason         TEXT,
    ticket         TEXT,
    agent          TEXT,
    model          TEXT,
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER NOT NULL,
    decided_at_ms  INTEGER           -- applied, drifted, withdrawn or expired
);
INSERT INTO _sys_proposal_new (seq, id, state, bearer, token_hash, body, action, hash, affected, clock_ms, dice, plan, flags,
    schema_diff, rehearsed_on, tracked, no_indirect, no_undo, undo_of, size, reason, ticket, agent, model, created_at_ms,
    expires_at_ms, decided_at_ms)
SELECT seq, id, state, bearer, token_hash, body, action, hash, affected, clock_ms, dice, plan, flags,
    schema_diff, rehearsed_on, tracked, no_indirect, no_undo, undo_of, size, reason, ticket, agent, model, created_at_ms,
    expires_at_ms, decided_at_ms FROM _sys_proposal;
DROP TABLE _sys_proposal;
ALTER TABLE _sys_proposal_new RENAME TO _sys_proposal;
CREATE UNIQUE INDEX _sys_proposal_token ON _sys_proposal (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX _sys_proposal_approval ON _sys_proposal (approval) WHERE approval IS NOT NULL;
CREATE INDEX _sys_proposal_waits ON _sys_proposal (expires_at_ms) WHERE state IN ('pending', 'stale');
CREATE INDEX _sys_proposal_decided ON _sys_proposal (decided_at_ms) WHERE decided_at_ms IS NOT NULL;
CREATE INDEX _sys_proposal_applied ON _sys_proposal (bearer, decided_at_ms) WHERE state = 'applied';
