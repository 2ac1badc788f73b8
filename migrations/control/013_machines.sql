-- Machines that made a namespace for themselves: one for each identity that a trusted issuer vouches for.

CREATE TABLE machine_identity (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "mac_…"
    issuer       TEXT   NOT NULL,              -- its address, as in its tokens
    foreign_id   TEXT   NOT NULL,              -- the issuer's own name for it, for good: the id of a repository
    name         TEXT   NOT NULL,              -- what it was called when it last came
    namespace_id TEXT   NOT NULL REFERENCES namespace(id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX machine_identity_foreign ON machine_identity(issuer, foreign_id);
CREATE INDEX machine_identity_created ON machine_identity(issuer, created_at);
CREATE INDEX machine_identity_namespace ON machine_identity(namespace_id);

-- Assertions that the server signed for them; the row says whether one is still good, the signature who it is for.
CREATE TABLE machine_assertion (
    id          TEXT   NOT NULL PRIMARY KEY,   -- "asr_…", the jti
    machine_id  TEXT   NOT NULL REFERENCES machine_identity(id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL                -- revoking removes the row
);
CREATE INDEX machine_assertion_machine ON machine_assertion(machine_id, id);
CREATE INDEX machine_assertion_expires ON machine_assertion(expires_at);
ALTER TABLE token ADD COLUMN assertion_id TEXT; -- what it was exchanged for: it ends with it
CREATE INDEX token_assertion ON token(assertion_id) WHERE assertion_id IS NOT NULL;
