-- The registry of databases. The states and their order are drawn in internal/registry/registry.h.

CREATE TABLE database (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "db_…", also the name of its directory; ids sort by creation
    namespace_id TEXT   NOT NULL REFERENCES namespace(id),
    slug         TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    status       TEXT   NOT NULL CHECK (status IN ('provisioning', 'healthy', 'deleting', 'deleted', 'restoring', 'purging')),
    region       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    deleted_at   BIGINT,                       -- set while deleting, deleted or purging: the slug is then free
    CHECK ((deleted_at IS NULL) = (status IN ('provisioning', 'healthy', 'restoring')))
);
CREATE UNIQUE INDEX database_live_slug ON database(namespace_id, slug) WHERE deleted_at IS NULL;
CREATE INDEX database_live_id ON database(namespace_id, id) WHERE deleted_at IS NULL;
CREATE INDEX database_deleted_slug ON database(namespace_id, slug, deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX database_deleted_at ON database(deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX database_unfinished ON database(id) WHERE status NOT IN ('healthy', 'deleted');
