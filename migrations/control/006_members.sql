-- Namespaces that are deleted and can still come back, invitations, and databases shared with one person.

ALTER TABLE namespace ADD COLUMN deleted_at BIGINT;
CREATE INDEX namespace_deleted ON namespace(deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE invitation (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "inv_…"
    namespace_id TEXT   NOT NULL REFERENCES namespace(id),
    email        TEXT   NOT NULL,              -- as it was given
    email_key    TEXT   NOT NULL,              -- whose it is: in lower case, as in account
    role         TEXT   NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    hash         TEXT   NOT NULL,              -- SHA-256 of the link's secret in hexadecimal
    invited_by   TEXT   NOT NULL,              -- an account that may be gone by now
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL               -- accepting, revoking and inviting again remove the row
);
CREATE UNIQUE INDEX invitation_hash ON invitation(hash);
CREATE UNIQUE INDEX invitation_email ON invitation(namespace_id, email_key);
CREATE INDEX invitation_namespace ON invitation(namespace_id, id);
CREATE INDEX invitation_expires ON invitation(expires_at);

-- A member's role in one database, narrower or wider than the one in the namespace.
CREATE TABLE database_share (
    database_id TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    account_id  TEXT   NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    role        TEXT   NOT NULL CHECK (role IN ('viewer', 'editor')),
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (database_id, account_id)
);
CREATE INDEX database_share_account ON database_share(account_id);
