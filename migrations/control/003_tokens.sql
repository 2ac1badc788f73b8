-- API tokens and what they are bound to. A token belongs to its namespace, not to the person who made it.

CREATE TABLE token (
    id              TEXT   NOT NULL PRIMARY KEY, -- "tok_…"
    namespace_id    TEXT   NOT NULL REFERENCES namespace(id),
    hash            TEXT   NOT NULL,             -- SHA-256 of the secret in hexadecimal
    preview         TEXT   NOT NULL,             -- "psql_live_1a2b…y9z0", all that can be shown later
    name            TEXT   NOT NULL,
    role            TEXT   NOT NULL CHECK (role IN ('readonly', 'readwrite', 'admin')),
    database_id     TEXT   REFERENCES database(id) ON DELETE CASCADE, -- NULL: every database of the namespace
    has_table_scope BIGINT NOT NULL CHECK (has_table_scope IN (0, 1)), -- 1: only the rows of token_table
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT,
    last_used_at    BIGINT,                      -- written now and then, not at each use
    revoked_at      BIGINT
);
CREATE UNIQUE INDEX token_hash ON token(hash);
CREATE INDEX token_namespace ON token(namespace_id, id);
CREATE INDEX token_database ON token(database_id);

CREATE TABLE token_table (
    token_id   TEXT NOT NULL REFERENCES token(id) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    PRIMARY KEY (token_id, table_name)
);
