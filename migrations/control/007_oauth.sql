-- The authorization server: programs that may ask people for access, what each person gave each of them, and what was
-- handed out for it. Secrets are kept as SHA-256 in hexadecimal.

-- A token that a program holds for a person can do no more than the person may, and nothing once the person, or its row
-- in oauth_access, is gone.
ALTER TABLE token ADD COLUMN account_id TEXT REFERENCES account(id) ON DELETE CASCADE;
CREATE INDEX token_account ON token(account_id) WHERE account_id IS NOT NULL;

CREATE TABLE oauth_client (
    id            TEXT   NOT NULL PRIMARY KEY, -- "oc_…"
    client_id     TEXT   NOT NULL,             -- what it calls itself: "psqlrp_s00_…"
    namespace_id  TEXT   REFERENCES namespace(id) ON DELETE CASCADE, -- NULL: it registered itself
    name          TEXT   NOT NULL,
    auth_method   TEXT   NOT NULL CHECK (auth_method IN ('none', 'client_secret_basic', 'client_secret_post')),
    secret_hash   TEXT,                        -- NULL: public
    refreshes     BIGINT NOT NULL CHECK (refreshes IN (0, 1)),     -- is given refresh tokens
    pkce_required BIGINT NOT NULL CHECK (pkce_required IN (0, 1)),
    database_mode TEXT   NOT NULL CHECK (database_mode IN ('provision', 'connect')),
    id_token_alg  TEXT   NOT NULL CHECK (id_token_alg IN ('RS256', 'ES256')),
    created_at    BIGINT NOT NULL,
    CHECK ((secret_hash IS NULL) = (auth_method = 'none'))
);
CREATE UNIQUE INDEX oauth_client_client_id ON oauth_client(client_id);
CREATE INDEX oauth_client_namespace ON oauth_client(namespace_id, id);
CREATE INDEX oauth_client_registered ON oauth_client(created_at) WHERE namespace_id IS NULL;

CREATE TABLE oauth_redirect (
    client_id TEXT NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE,
    kind      TEXT NOT NULL CHECK (kind IN ('login', 'logout')),
    uri       TEXT NOT NULL,
    PRIMARY KEY (client_id, kind, uri)
);

-- What a person gave a program: one row for each pair, also after it was taken back, so that the next consent finds the
-- same database again.
CREATE TABLE oauth_grant (
    id           TEXT   NOT NULL PRIMARY KEY,  -- "ogr_…"
    account_id   TEXT   NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    client_id    TEXT   NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE,
    scope        TEXT   NOT NULL,              -- "" when it was taken back
    database_id  TEXT   REFERENCES database(id) ON DELETE SET NULL,
    created_at   BIGINT NOT NULL,
    given_at     BIGINT NOT NULL,              -- the newest consent
    withdrawn_at BIGINT
);
CREATE UNIQUE INDEX oauth_grant_pair ON oauth_grant(account_id, client_id);
CREATE INDEX oauth_grant_client ON oauth_grant(client_id);
CREATE INDEX oauth_grant_database ON oauth_grant(database_id);

CREATE TABLE oauth_code (
    hash         TEXT   NOT NULL PRIMARY KEY,
    grant_id     TEXT   NOT NULL REFERENCES oauth_grant(id) ON DELETE CASCADE,
    redirect_uri TEXT   NOT NULL,
    challenge    TEXT,                         -- PKCE, S256; NULL: a confidential client that cannot
    scope        TEXT   NOT NULL,
    resource     TEXT,
    nonce        TEXT,
    auth_time    BIGINT NOT NULL,              -- when the person last gave the password
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    family_id    TEXT                          -- what it was redeemed for
);
CREATE INDEX oauth_code_grant ON oauth_code(grant_id);
CREATE INDEX oauth_code_expires ON oauth_code(expires_at);

-- Everything that one code was redeemed for; it ends as a whole.
CREATE TABLE oauth_family (
    id         TEXT   NOT NULL PRIMARY KEY,    -- "ofa_…"
    grant_id   TEXT   NOT NULL REFERENCES oauth_grant(id) ON DELETE CASCADE,
    scope      TEXT   NOT NULL,
    resource   TEXT,
    auth_time  BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX oauth_family_grant ON oauth_family(grant_id);

CREATE TABLE oauth_access (
    hash       TEXT   NOT NULL PRIMARY KEY,
    family_id  TEXT   NOT NULL REFERENCES oauth_family(id) ON DELETE CASCADE,
    token_id   TEXT   REFERENCES token(id) ON DELETE CASCADE, -- NULL: it opens no database
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT                          -- NULL: until it is taken back
);
CREATE INDEX oauth_access_family ON oauth_access(family_id);
CREATE INDEX oauth_access_token ON oauth_access(token_id);
CREATE INDEX oauth_access_expires ON oauth_access(expires_at) WHERE expires_at IS NOT NULL;

-- All of a family, also those that were used: one that comes twice was stolen.
CREATE TABLE oauth_refresh (
    hash       TEXT   NOT NULL PRIMARY KEY,
    family_id  TEXT   NOT NULL REFERENCES oauth_family(id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX oauth_refresh_family ON oauth_refresh(family_id);
CREATE INDEX oauth_refresh_expires ON oauth_refresh(expires_at);
