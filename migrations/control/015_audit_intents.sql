-- What somebody is about to change in an engine, whose transaction this database cannot share: the audit row as it will be. It is
-- gone once the row is in its chain; what a crash left is appended as "outcome unknown" at the next start.

CREATE TABLE audit_intent (
    id             TEXT   NOT NULL PRIMARY KEY, -- "aui_…"
    created_at     BIGINT NOT NULL,
    chain          TEXT   NOT NULL,
    action         TEXT   NOT NULL,
    actor_kind     TEXT   NOT NULL,
    actor_user_id  TEXT,
    actor_token_id TEXT,
    actor_name     TEXT,
    client         TEXT,
    address        TEXT,
    request_id     TEXT,
    target_type    TEXT   NOT NULL,
    target_id      TEXT   NOT NULL,
    target_name    TEXT,
    before_values  TEXT,
    done_values    TEXT,                        -- after_values when it was done
    unknown_values TEXT   NOT NULL              -- and when nobody knows
);
