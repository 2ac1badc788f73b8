-- SQL dumps of databases that are kept until somebody deletes them: <data>/archives/<id>.sql. A file there without a row is
-- removed.
CREATE TABLE archive (
    id          TEXT   NOT NULL PRIMARY KEY, -- "arch_…"; ids sort by creation
    database_id TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    label       TEXT   NOT NULL,
    bytes       BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX archive_database ON archive(database_id, id);
