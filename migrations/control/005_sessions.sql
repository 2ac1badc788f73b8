-- Signing in: sessions of people, and what their accounts need for it.

ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN suspended_at BIGINT;
ALTER TABLE account ADD COLUMN first_sign_in_at BIGINT;

CREATE TABLE session (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "ses_…"
    account_id   TEXT   NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    hash         TEXT   NOT NULL,              -- SHA-256 of the cookie's secret in hexadecimal
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,              -- written once a minute at most
    confirmed_at BIGINT NOT NULL,              -- when the password was last given
    expires_at   BIGINT NOT NULL,              -- whatever happens
    address      TEXT   NOT NULL,              -- where it was made, for the person to recognise
    agent        TEXT   NOT NULL
);
CREATE UNIQUE INDEX session_hash ON session(hash);
CREATE INDEX session_account ON session(account_id, id);
CREATE INDEX session_expires ON session(expires_at);
