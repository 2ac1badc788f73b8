-- Rules and invariants that people keep: tokens can neither change nor remove them, nor stand before them.
ALTER TABLE _sys_rule ADD COLUMN people_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE _sys_invariant ADD COLUMN people_only INTEGER NOT NULL DEFAULT 0;
