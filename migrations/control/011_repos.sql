-- Repositories whose pipelines come with a token of their issuer in place of a stored secret.

CREATE TABLE repo_binding (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "repo_…"
    namespace_id TEXT   NOT NULL REFERENCES namespace(id) ON DELETE CASCADE,
    issuer       TEXT   NOT NULL,              -- its address, as in its tokens
    name         TEXT   NOT NULL,              -- "Acme/Widgets", as it was given
    name_key     TEXT   NOT NULL,              -- what is compared: in lower case where the issuer does not tell cases apart
    pinned_id    TEXT,                         -- the issuer's own id of the first repository that came: another of that name is refused
    pinned_at    BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX repo_binding_name ON repo_binding(issuer, name_key);
CREATE INDEX repo_binding_namespace ON repo_binding(namespace_id, id);

-- What asked for a token by itself: a row above. It ends what it was given when it ends.
ALTER TABLE token ADD COLUMN machine_id TEXT;
CREATE INDEX token_machine ON token(machine_id, created_at) WHERE machine_id IS NOT NULL;
