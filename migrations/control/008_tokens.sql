-- Where a token may be used from, the secret it had before its last rotation, and pages of long lists.

ALTER TABLE token ADD COLUMN addresses TEXT;      -- networks with a space between two; NULL: from everywhere
ALTER TABLE token ADD COLUMN former_hash TEXT;    -- SHA-256 of the secret before
ALTER TABLE token ADD COLUMN former_until BIGINT; -- until then it is good as well
CREATE UNIQUE INDEX token_former_hash ON token(former_hash);
CREATE INDEX token_live ON token(namespace_id, id, expires_at, revoked_at) WHERE revoked_at IS NULL;
CREATE INDEX token_expired ON token(expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX token_revoked ON token(revoked_at) WHERE revoked_at IS NOT NULL;
