-- The server's own tables inside each tenant database. Tenant SQL can neither read nor write them; names that
-- begin with _sys_ are reserved. They travel with a copy of the file, so that a copy knows what was applied.

-- What this file is.
CREATE TABLE _sys_meta (
    key   TEXT NOT NULL PRIMARY KEY, -- 'schema': number of the last migration of this folder
    value
) WITHOUT ROWID;

-- Calls that must not run twice, with the answer they got: written in the transaction of their effect.
CREATE TABLE _sys_applied (
    kind       TEXT NOT NULL,    -- 'key' (Idempotency-Key) or 'plan' (Plan-Key and Plan-Step)
    token_id   TEXT NOT NULL,    -- keys of one token are never seen by another
    key        TEXT NOT NULL,
    step       TEXT NOT NULL,    -- '' for an Idempotency-Key
    created_ms INTEGER NOT NULL, -- kept for a day
    status     INTEGER NOT NULL, -- HTTP status, always 2xx
    body       BLOB NOT NULL,    -- the HTTP body, byte for byte
    PRIMARY KEY (kind, token_id, key, step)
);
CREATE INDEX _sys_applied_created ON _sys_applied (created_ms);

-- The query log as far as it was flushed; read through the virtual table _persql_meta_query_log.
CREATE TABLE _sys_query_log (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    ts           INTEGER NOT NULL, -- unix milliseconds
    kind         TEXT NOT NULL,    -- 'query', 'batch', 'export' …
    sql          TEXT NOT NULL,    -- without parameters, cut when long
    rows_read    INTEGER NOT NULL,
    rows_written INTEGER NOT NULL,
    duration_ms  REAL NOT NULL,
    token_id     TEXT NOT NULL,
    status       INTEGER NOT NULL,
    error_kind   TEXT,
    request_id   TEXT NOT NULL
);

-- What people wrote about the database ('', ''), its tables (table, '') and columns.
CREATE TABLE _sys_description (
    table_name    TEXT NOT NULL,
    column_name   TEXT NOT NULL,
    description   TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (table_name, column_name)
) WITHOUT ROWID;
