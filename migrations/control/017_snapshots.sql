-- States of a database that are kept: files in <data>/snapshots/<id>. A directory there without a row is removed.
CREATE TABLE snapshot (
    id          TEXT   NOT NULL PRIMARY KEY, -- "snap_…"; ids sort by creation
    database_id TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    label       TEXT   NOT NULL,
    kind        TEXT   NOT NULL CHECK (kind IN ('manual', 'restore')), -- 'restore': what a restore replaced
    bytes       BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX snapshot_database ON snapshot(database_id, id);
CREATE INDEX snapshot_created ON snapshot(created_at);

-- The snapshot that the replaced content becomes; NULL: it goes.
ALTER TABLE database_exchange ADD COLUMN keep_as TEXT;
