-- Which request an answer belongs to, so that a key that is used for another one is refused instead of answered wrongly.
ALTER TABLE _sys_applied ADD COLUMN op TEXT NOT NULL DEFAULT '';       -- the route's operation; '' before this column
ALTER TABLE _sys_applied ADD COLUMN request INTEGER NOT NULL DEFAULT 0; -- digest of its arguments and body
-- `kind` also takes 'key-part' and 'plan-part': a batch without a transaction that failed half way. `status` is then the
-- number of its statements that are done, `body` their results.
