-- Snapshots that the server makes before writes that destroy, and which moments a snapshot shows. The table is made anew,
-- because SQLite cannot widen a CHECK.
CREATE TABLE snapshot_new (
    id          TEXT   NOT NULL PRIMARY KEY, -- "snap_…"; ids sort by creation
    database_id TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    label       TEXT   NOT NULL,
    kind        TEXT   NOT NULL CHECK (kind IN ('manual', 'automatic', 'restore')), -- 'restore': what a restore replaced
    bytes       BIGINT NOT NULL,
    state_from  BIGINT NOT NULL, -- the database was exactly so from this moment, in unix milliseconds,
    state_to    BIGINT NOT NULL, -- to this one at least; before state_from: at no moment that is known
    created_at  BIGINT NOT NULL
);
INSERT INTO snapshot_new (id, database_id, label, kind, bytes, state_from, state_to, created_at)
SELECT id, database_id, label, kind, bytes, created_at, 0, created_at FROM snapshot;
DROP TABLE snapshot;
ALTER TABLE snapshot_new RENAME TO snapshot;
CREATE INDEX snapshot_database ON snapshot(database_id, id);
CREATE INDEX snapshot_created ON snapshot(created_at);
