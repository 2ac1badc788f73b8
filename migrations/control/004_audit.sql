-- The audit log: hash chains, one for each namespace and one for the server, and signed checkpoints over them. What is hashed and
-- signed, byte by byte, and what it proves, is written in internal/audit/chain.h. Rows are only ever added.

CREATE TABLE audit (
    chain          TEXT   NOT NULL,            -- "ns_…", or "server" for what belongs to no namespace
    seq            BIGINT NOT NULL,            -- 1, 2, 3 … without a gap
    id             TEXT   NOT NULL,            -- "aud_…"
    created_at     BIGINT NOT NULL,            -- rises with seq, so that a page can begin at a time
    action         TEXT   NOT NULL,            -- "token.created": policy/audit.def
    actor_kind     TEXT   NOT NULL,            -- user, token, cli or server
    actor_user_id  TEXT,
    actor_token_id TEXT,
    actor_name     TEXT,                       -- of an actor without an id: the user of the operating system
    client         TEXT,                       -- what it called itself
    address        TEXT,
    request_id     TEXT,
    target_type    TEXT   NOT NULL,
    target_id      TEXT   NOT NULL,
    target_name    TEXT,
    before_values  TEXT,                       -- a JSON object, short, never a secret
    after_values   TEXT,
    hash           TEXT   NOT NULL,            -- SHA-256 over the hash before and all columns above, in hexadecimal
    PRIMARY KEY (chain, seq)
);
CREATE UNIQUE INDEX audit_time ON audit(chain, created_at);
CREATE INDEX audit_action ON audit(chain, action, created_at);

-- Where each chain ends: what appending needs, and what is due to be signed.
CREATE TABLE audit_chain (
    chain       TEXT   NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    hash        TEXT   NOT NULL,
    signed_seq  BIGINT NOT NULL,               -- 0: nothing yet
    unsigned_at BIGINT                         -- time of the first row after signed_seq
);
CREATE INDEX audit_chain_unsigned ON audit_chain(unsigned_at) WHERE unsigned_at IS NOT NULL;

-- Signatures over the ends of chains; the checkpoints of all chains together are a chain too.
CREATE TABLE audit_checkpoint (
    number     BIGINT NOT NULL PRIMARY KEY,    -- 1, 2, 3 … without a gap
    chain      TEXT   NOT NULL,
    seq        BIGINT NOT NULL,                -- the last row it covers
    row_hash   TEXT   NOT NULL,                -- that row's hash
    created_at BIGINT NOT NULL,
    key_id     TEXT   NOT NULL,                -- which key signed: the first half of its SHA-256
    hash       TEXT   NOT NULL,                -- SHA-256 over the hash of the checkpoint before and the columns above
    signature  TEXT   NOT NULL                 -- Ed25519 over that hash
);
CREATE UNIQUE INDEX audit_checkpoint_chain ON audit_checkpoint(chain, seq);
