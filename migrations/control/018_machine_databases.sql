-- The database that was made for a repository or a machine, found by the issuer's own id of it: a slug is anybody's.
CREATE TABLE machine_database (
    namespace_id TEXT NOT NULL REFERENCES namespace(id) ON DELETE CASCADE,
    issuer       TEXT NOT NULL,
    foreign_id   TEXT NOT NULL,
    database_id  TEXT NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    PRIMARY KEY (namespace_id, issuer, foreign_id)
);
CREATE INDEX machine_database_database ON machine_database(database_id);

-- Made before: the oldest one that has the repository's name since the moment at which it was pinned, and no parent.
INSERT INTO machine_database(namespace_id, issuer, foreign_id, database_id)
    SELECT r.namespace_id, r.issuer, r.pinned_id, min(d.id) FROM repo_binding r JOIN database d
        ON d.namespace_id = r.namespace_id AND lower(d.name) = lower(r.name) AND d.parent_id IS NULL
        AND d.created_at >= r.pinned_at AND d.status IN ('provisioning', 'healthy', 'restoring')
    WHERE r.pinned_id IS NOT NULL GROUP BY r.id;
INSERT INTO machine_database(namespace_id, issuer, foreign_id, database_id)
    SELECT m.namespace_id, m.issuer, m.foreign_id, min(d.id) FROM machine_identity m JOIN database d
        ON d.namespace_id = m.namespace_id AND d.slug = 'main' AND d.parent_id IS NULL
        AND d.status IN ('provisioning', 'healthy', 'restoring')
    GROUP BY m.id;

-- Whose it was when it was pinned: it keeps its binding when it is renamed, not when it is given away.
ALTER TABLE repo_binding ADD COLUMN owner_id TEXT;
CREATE INDEX repo_binding_pinned ON repo_binding(issuer, pinned_id) WHERE pinned_id IS NOT NULL;
