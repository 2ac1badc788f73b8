-- Which file this is: a copy has the same name, another database's file has another. The name is repeated in the
-- file `used` of the database's directory, so that a file that is lost or exchanged is not taken for a new one.
INSERT OR IGNORE INTO _sys_meta (key, value) VALUES ('file', lower(hex(randomblob(16))));
