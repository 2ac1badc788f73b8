-- Row-level security: which rows of a table a token sees and changes. It travels with every copy of the file.

-- Tables on which row security is on. It stays on when the last policy goes: the table is then closed.
CREATE TABLE _sys_row_security (
    table_name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE
) WITHOUT ROWID;

-- `_sys_meta` counts every change of the two tables under the key 'policies'.
CREATE TABLE _sys_policy (
    id            TEXT    NOT NULL PRIMARY KEY, -- "pol_…"
    name          TEXT    NOT NULL,
    table_name    TEXT    NOT NULL COLLATE NOCASE,
    command       TEXT    NOT NULL CHECK (command IN ('select', 'insert', 'update', 'delete', 'all')),
    using_sql     TEXT,                         -- rows that are seen, changed, deleted; as the person wrote it
    check_sql     TEXT,                         -- rows as they may be written; NULL: the same as using_sql
    roles         INTEGER NOT NULL,             -- 1 readonly, 2 readwrite, 4 admin, added up
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    UNIQUE (table_name, name)
);
