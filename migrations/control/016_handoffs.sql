-- A secret that somebody hands on, once: whoever redeems it gets a secret for the token that was made with it and that nobody has
-- used so far.
CREATE TABLE handoff (
    hash        TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of the secret in hexadecimal
    token_id    TEXT   NOT NULL REFERENCES token(id) ON DELETE CASCADE,
    expires_at  BIGINT NOT NULL,
    redeemed_at BIGINT
);
CREATE INDEX handoff_token ON handoff(token_id);
CREATE INDEX handoff_expires ON handoff(expires_at);
