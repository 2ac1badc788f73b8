-- What row-level security knows of a token's bearer: a JSON object of scalars, NULL none.
ALTER TABLE token ADD COLUMN claims TEXT;
