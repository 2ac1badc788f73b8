-- Nobody approves what he asked for himself: everybody who has ever held a secret of the token counts as who asked, and that
-- nobody else could decide is noted when it is asked, so that the others cannot be lowered for a moment.
CREATE TABLE token_person (
    token_id   TEXT NOT NULL REFERENCES token(id) ON DELETE CASCADE,
    account_id TEXT NOT NULL,                    -- made it, rotated it, or stood behind the token that did
    PRIMARY KEY (token_id, account_id)
);
INSERT OR IGNORE INTO token_person(token_id, account_id)
SELECT id, account_id FROM token WHERE account_id IS NOT NULL UNION
SELECT id, made_by FROM token WHERE made_by IS NOT NULL UNION
SELECT id, rotated_by FROM token WHERE rotated_by IS NOT NULL UNION
SELECT t.id, a.actor_user_id FROM audit a JOIN token t ON t.id = a.target_id AND t.namespace_id = a.chain
WHERE a.action = 'token.rotated' AND a.actor_user_id IS NOT NULL;

CREATE TABLE approval_requester (
    approval_id TEXT NOT NULL REFERENCES approval(id) ON DELETE CASCADE,
    account_id  TEXT NOT NULL,
    PRIMARY KEY (approval_id, account_id)
);
INSERT OR IGNORE INTO approval_requester(approval_id, account_id)
SELECT id, person_id FROM approval WHERE person_id IS NOT NULL UNION
SELECT id, other_person_id FROM approval WHERE other_person_id IS NOT NULL UNION
SELECT a.id, p.account_id FROM approval a JOIN token_person p ON p.token_id = a.token_id;

-- 1: nobody but the requesters could have decided when it was asked. Of those that wait by now nobody knows: they take
-- somebody else, or are asked anew.
ALTER TABLE approval ADD COLUMN asked_alone BIGINT NOT NULL DEFAULT 0 CHECK (asked_alone IN (0, 1));
ALTER TABLE approval DROP COLUMN other_person_id;
ALTER TABLE token DROP COLUMN rotated_by;
