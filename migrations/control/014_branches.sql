-- Databases that were made from another one: branches, which are known by a ref of their parent, and forks. What they were made
-- from may be gone; its id stays.
ALTER TABLE database ADD COLUMN parent_id TEXT;
ALTER TABLE database ADD COLUMN branch_ref TEXT;   -- NULL: no branch
ALTER TABLE database ADD COLUMN forked_at BIGINT;  -- when its content was taken from the parent, the last time
ALTER TABLE database ADD COLUMN expires_at BIGINT; -- then it goes by itself; NULL: it stays
CREATE UNIQUE INDEX database_branch ON database(parent_id, branch_ref) WHERE branch_ref IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX database_branches ON database(namespace_id) WHERE branch_ref IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX database_expires ON database(expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- A database whose content is being exchanged for what lies in <data>/staging/<id>: the intent, finished at the next start.
CREATE TABLE database_exchange (
    database_id TEXT   NOT NULL PRIMARY KEY REFERENCES database(id) ON DELETE CASCADE,
    begun_at    BIGINT NOT NULL
);

-- A token "psql_test_…": it acts on branches alone.
ALTER TABLE token ADD COLUMN branches_only BIGINT NOT NULL DEFAULT 0 CHECK (branches_only IN (0, 1));
