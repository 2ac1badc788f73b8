-- The digest of rows that the bearer must not see could be used to guess them: it is for those who decide.
ALTER TABLE approval ADD COLUMN hash_hidden BIGINT NOT NULL DEFAULT 0 CHECK (hash_hidden IN (0, 1));
