-- The database of each person of an app, found by the app's own name for them.

CREATE TABLE user_database (
    namespace_id TEXT   NOT NULL REFERENCES namespace(id) ON DELETE CASCADE,
    subject_hash TEXT   NOT NULL,              -- SHA-256 of that name in hexadecimal
    database_id  TEXT   NOT NULL REFERENCES database(id) ON DELETE CASCADE,
    ready_at     BIGINT,                       -- NULL: its template is being copied
    PRIMARY KEY (namespace_id, subject_hash)
);
CREATE INDEX user_database_database ON user_database(database_id);
