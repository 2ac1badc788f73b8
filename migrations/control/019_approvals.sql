-- Writes that a rule holds until people have approved them. The rehearsed change itself waits in the tenant's database, as the
-- proposal; here stands who asked, who may decide and who did. The states are drawn in internal/approval/approval.h.

CREATE TABLE approval (
    seq              INTEGER PRIMARY KEY,         -- lists are in this order
    id               TEXT   NOT NULL,             -- "appr_…": who asks and decides knows it by this; no credential
    namespace_id     TEXT   NOT NULL REFERENCES namespace(id) ON DELETE CASCADE,
    database_id      TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    proposal_id      TEXT   NOT NULL,             -- "prop_…" in that database
    token_id         TEXT   NOT NULL,             -- who asked: a token, or a person's session; it may be gone
    person_id        TEXT,                        -- the person behind it: gave the grant, made the token, or signed in
    other_person_id  TEXT,                        -- who has its secret by rotating it
    action           TEXT   NOT NULL,             -- write, schema, merge or undo
    hash             TEXT   NOT NULL,             -- "sha256:…" of what is shown, and of nothing else
    sql              TEXT,                        -- the beginning of the statement, or
    statements       TEXT,                        -- of the statements: a JSON array
    sql_cut          BIGINT NOT NULL CHECK (sql_cut IN (0, 1)),
    affected         BIGINT NOT NULL,
    hits             TEXT   NOT NULL,             -- the rules that hold it: a JSON array
    rules_version    TEXT,                        -- digest of all rules of that time
    reason           TEXT,
    ticket           TEXT,
    agent            TEXT,
    model            TEXT,
    needed           BIGINT NOT NULL,             -- so many people
    given            BIGINT NOT NULL DEFAULT 0,
    approver_role    TEXT   NOT NULL CHECK (approver_role IN ('viewer', 'editor', 'admin', 'owner')),
    status           TEXT   NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'withdrawn', 'void', 'redeemed')),
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    decided_at       BIGINT,                      -- approved, denied, or ended otherwise
    redeem_began_at  BIGINT,                      -- since then the database may have done it without this row knowing
    redeemed_at      BIGINT,
    replaces         TEXT,                        -- the approval whose write drifted
    replaced_by      TEXT,
    run_at_once      BIGINT NOT NULL DEFAULT 0 CHECK (run_at_once IN (0, 1)),
    confirm_within_s BIGINT,                      -- it takes itself back unless somebody confirms it
    confirm_by       BIGINT,                      -- set once it is done
    confirm_state    TEXT CHECK (confirm_state IN ('waiting', 'confirmed', 'undone', 'conflict')),
    confirmed_by     TEXT,
    undo_proposal    TEXT,                        -- what takes it back, in the same database
    undo_hash        TEXT,
    undo_note        TEXT,                        -- why it could not be taken back
    CHECK ((confirm_by IS NULL) = (confirm_state IS NULL))
);
CREATE UNIQUE INDEX approval_id ON approval(id);
CREATE INDEX approval_namespace ON approval(namespace_id, seq);
CREATE INDEX approval_database ON approval(database_id, seq);
CREATE INDEX approval_status ON approval(namespace_id, status, seq);
CREATE INDEX approval_proposal ON approval(database_id, proposal_id);
CREATE INDEX approval_open ON approval(expires_at) WHERE status IN ('pending', 'approved');
CREATE INDEX approval_unconfirmed ON approval(confirm_by) WHERE confirm_state = 'waiting';

-- One person, one decision.
CREATE TABLE approval_decision (
    approval_id  TEXT   NOT NULL REFERENCES approval(id) ON DELETE CASCADE,
    account_id   TEXT   NOT NULL,
    role         TEXT   NOT NULL,                 -- that the person had then
    decision     TEXT   NOT NULL CHECK (decision IN ('approve', 'deny')),
    note         TEXT,
    hash         TEXT   NOT NULL,                 -- that was shown
    session_id   TEXT   NOT NULL,                 -- how the person was known: this session,
    confirmed_at BIGINT NOT NULL,                 -- and the password given then
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (approval_id, account_id)
);

-- Who stands behind a token: nobody approves what he asked for himself.
ALTER TABLE token ADD COLUMN made_by TEXT;    -- the account that made it, itself or with a token of its own
ALTER TABLE token ADD COLUMN rotated_by TEXT; -- the account that has its newest secret
UPDATE token SET made_by = (SELECT a.actor_user_id FROM audit a
    WHERE a.chain = token.namespace_id AND a.action = 'token.created' AND a.target_id = token.id);

-- Receipts are made of the rows of one approval.
CREATE INDEX audit_approval ON audit(chain, target_id, seq) WHERE target_type = 'approval';
