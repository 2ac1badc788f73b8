-- People, namespaces, and who belongs to which.
-- Common to all tables: ids are text ("usr_…"), times are wall-clock milliseconds, NULL means "not (yet)".

CREATE TABLE account (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL,             -- as it was given
    email_key     TEXT   NOT NULL,             -- what is compared: in lower case
    password_hash TEXT   NOT NULL,             -- argon2id, PHC form
    created_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_email_key ON account(email_key);

CREATE TABLE namespace (
    id         TEXT   NOT NULL PRIMARY KEY,    -- "ns_…"
    slug       TEXT   NOT NULL,                -- first part of every database's address
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX namespace_slug ON namespace(slug);

CREATE TABLE namespace_member (
    namespace_id TEXT   NOT NULL REFERENCES namespace(id),
    account_id   TEXT   NOT NULL REFERENCES account(id),
    role         TEXT   NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (namespace_id, account_id)
);
CREATE INDEX namespace_member_account ON namespace_member(account_id);
