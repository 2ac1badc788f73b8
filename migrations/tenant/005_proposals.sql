-- Writes that were rehearsed and wait to be applied, and what became of them. A copy of the file for another database must
-- not carry them: see internal/engine/proposal.h.

CREATE TABLE _sys_proposal (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE, -- "prop_…"
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'stale', 'applied', 'drifted', 'withdrawn', 'expired')),
    bearer         TEXT    NOT NULL, -- id of the token that proposed it: nobody else can apply it
    token_hash     BLOB,             -- SHA-256 of the execution token with the database's id; NULL: used or void
    body           TEXT    NOT NULL, -- the request: statement or statements with their parameters
    action         TEXT    NOT NULL CHECK (action IN ('write', 'schema', 'undo')),
    hash           BLOB    NOT NULL, -- SHA-256 of what was shown
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
    size           INTEGER NOT NULL, -- bytes of its change set
    reason         TEXT,
    ticket         TEXT,
    agent          TEXT,
    model          TEXT,
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER NOT NULL,
    decided_at_ms  INTEGER           -- applied, drifted, withdrawn or expired
);
CREATE UNIQUE INDEX _sys_proposal_token ON _sys_proposal (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX _sys_proposal_waits ON _sys_proposal (expires_at_ms) WHERE state IN ('pending', 'stale');
CREATE INDEX _sys_proposal_decided ON _sys_proposal (decided_at_ms) WHERE decided_at_ms IS NOT NULL;

-- Its change set, in pieces: what it would do, and once it is applied what it did.
CREATE TABLE _sys_proposal_part (
    proposal INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    bytes    BLOB    NOT NULL,
    PRIMARY KEY (proposal, part)
);

-- Rows that waiting proposals touch, by a number made of table and key: a commit that touches one too makes them stale.
CREATE TABLE _sys_proposal_row (
    key      INTEGER NOT NULL,
    proposal INTEGER NOT NULL,
    PRIMARY KEY (key, proposal)
) WITHOUT ROWID;
CREATE INDEX _sys_proposal_row_of ON _sys_proposal_row (proposal);

-- Tables of these rows.
CREATE TABLE _sys_proposal_table (
    name     TEXT    NOT NULL,
    proposal INTEGER NOT NULL,
    PRIMARY KEY (name, proposal)
) WITHOUT ROWID;
CREATE INDEX _sys_proposal_table_of ON _sys_proposal_table (proposal);
