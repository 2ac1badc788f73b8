-- In which order proposals were applied: many may be within one millisecond, and clocks are set back. What is taken back
-- together is taken back in the reverse of it.

DROP INDEX _sys_proposal_applied;
ALTER TABLE _sys_proposal ADD COLUMN applied_seq INTEGER; -- NULL: it was not applied
UPDATE _sys_proposal SET applied_seq =
    (SELECT count(*) FROM _sys_proposal p WHERE p.state = 'applied'
     AND (p.decided_at_ms, p.seq) <= (_sys_proposal.decided_at_ms, _sys_proposal.seq))
WHERE state = 'applied';
CREATE UNIQUE INDEX _sys_proposal_applied ON _sys_proposal (applied_seq) WHERE applied_seq IS NOT NULL;
