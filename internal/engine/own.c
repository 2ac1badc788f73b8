/* The engine's own statements. */
#include "engine/engine_state.h"
#include "engine/proposal.h"
#include "engine/rule.h"
#include "engine/schema_state.h"

#define PROPOSAL_COLUMNS                                                                                     \
    "seq, id, state, bearer, body, action, hash, affected, clock_ms, dice, plan, flags, schema_diff,"        \
    " rehearsed_on, no_indirect, no_undo, undo_of, size, reason, ticket, agent, model, created_at_ms, "      \
    "expires_at_ms,"                                                                                         \
    " decided_at_ms, approval, rules, rules_version, snapshot, idempotency_key"
#define PROPOSAL_WAITS "state IN ('pending', 'stale')"

static const char *const SQL[OWN_COUNT] = {
    [OWN_BEGIN_READ] = "BEGIN",
    [OWN_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [OWN_COMMIT] = "COMMIT",
    [OWN_ROLLBACK] = "ROLLBACK",
    [OWN_CALL] = "SAVEPOINT call",
    [OWN_CALL_RELEASE] = "RELEASE call",
    [OWN_CALL_ROLLBACK] = "ROLLBACK TO call",
    [OWN_STEP] = "SAVEPOINT step",
    [OWN_STEP_RELEASE] = "RELEASE step",
    [OWN_STEP_ROLLBACK] = "ROLLBACK TO step",
    [OWN_FLUSH] = "SAVEPOINT flush",
    [OWN_FLUSH_RELEASE] = "RELEASE flush",
    [OWN_DEFER_ON] = "PRAGMA defer_foreign_keys = ON",
    [OWN_DEFER_OFF] = "PRAGMA defer_foreign_keys = OFF",
    [OWN_SCHEMA_CHECK] =
        "SELECT count(*), total(name LIKE '\\_sys\\_%' ESCAPE '\\'),"
        " total(name LIKE '\\_persql\\_%' ESCAPE '\\' OR name LIKE 'json%\\_each' ESCAPE '\\'"
        "   OR name LIKE 'json%\\_tree' ESCAPE '\\') FROM sqlite_schema",
    [OWN_DATA_VERSION] = "PRAGMA data_version", /* changes with what others commit */
    [OWN_SCHEMA_VERSION] = "PRAGMA main.schema_version",
    [OWN_SCHEMA_OBJECTS] = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema WHERE tbl_name "
                           "NOT LIKE '\\_sys\\_%' "
                           "ESCAPE '\\'"
                           " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name",
    [OWN_POLICY_VERSION] = "SELECT value FROM _sys_meta WHERE key = 'policies'",
    [OWN_SECURED_LOST] =
        "SELECT table_name FROM _sys_row_security r WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema s"
        " WHERE s.type = 'table' AND s.name = r.table_name COLLATE NOCASE"
        " AND s.sql NOT LIKE 'CREATE VIRTUAL TABLE%')",
    [OWN_ROW_SECURITY] = "SELECT 1 FROM _sys_row_security LIMIT 1",
    [OWN_FTS5_TABLES] = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE "
                        "VIRTUAL TABLE%USING%fts5%'",
    [OWN_INDEXES] = "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'",
    [OWN_DEFINITIONS] = "SELECT tbl_name, sql FROM sqlite_schema"
                        " WHERE type IN ('table', 'view', 'trigger') AND sql IS NOT NULL",
    [OWN_TRIGGER_ON] =
        "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE LIMIT 1",
    [OWN_RECEIPT_GET] = "SELECT status, body, op, request FROM _sys_applied"
                        " WHERE kind = ?1 AND token_id = ?2 AND key = ?3 AND step = ?4 AND created_ms > ?5",
    [OWN_RECEIPT_PUT] = "INSERT OR REPLACE INTO _sys_applied (kind, token_id, key, step, created_ms, status, "
                        "body, op, request)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [OWN_RECEIPT_DROP] =
        "DELETE FROM _sys_applied WHERE kind = ?1 AND token_id = ?2 AND key = ?3 AND step = ?4",
    [OWN_RECEIPT_PURGE] =
        "DELETE FROM _sys_applied WHERE rowid IN"
        " (SELECT rowid FROM _sys_applied WHERE created_ms <= ?1 ORDER BY created_ms LIMIT 500)",
    [OWN_PROPOSAL_PUT] =
        "INSERT INTO _sys_proposal (id, state, bearer, token_hash, body, action, hash, "
        "affected, clock_ms, dice,"
        " plan, flags, schema_diff, rehearsed_on, tracked, no_indirect, no_undo, undo_of, size, reason, "
        "ticket, agent, model,"
        " created_at_ms, expires_at_ms, approval, rules, rules_version, idempotency_key)"
        " VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
        " ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)",
    [OWN_PROPOSAL_PART] = "INSERT INTO _sys_proposal_part (proposal, part, bytes) VALUES (?1, ?2, ?3)",
    [OWN_PROPOSAL_ROW] = "INSERT OR IGNORE INTO _sys_proposal_row (key, proposal) VALUES (?1, ?2)",
    [OWN_PROPOSAL_TABLE] = "INSERT OR IGNORE INTO _sys_proposal_table (name, proposal) VALUES (?1, ?2)",
    [OWN_PROPOSAL_BY_TOKEN] = "SELECT " PROPOSAL_COLUMNS " FROM _sys_proposal WHERE token_hash = ?1",
    [OWN_PROPOSAL_BY_ID] = "SELECT " PROPOSAL_COLUMNS " FROM _sys_proposal WHERE id = ?1",
    [OWN_PROPOSAL_PARTS] = "SELECT bytes FROM _sys_proposal_part WHERE proposal = ?1 ORDER BY part",
    [OWN_PROPOSAL_SET] =
        "UPDATE _sys_proposal SET state = ?2, token_hash = NULL, tracked = 0, decided_at_ms = ?3,"
        " applied_seq = CASE WHEN ?2 = 'applied' THEN"
        " (SELECT ifnull(max(applied_seq), 0) + 1 FROM _sys_proposal WHERE applied_seq IS NOT NULL) END"
        " WHERE seq = ?1",
    [OWN_PROPOSAL_RESIZE] = "UPDATE _sys_proposal SET size = ?2 WHERE seq = ?1",
    [OWN_PROPOSAL_FORGET_PARTS] = "DELETE FROM _sys_proposal_part WHERE proposal = ?1",
    [OWN_PROPOSAL_FORGET_ROWS] = "DELETE FROM _sys_proposal_row WHERE proposal = ?1",
    [OWN_PROPOSAL_FORGET_TABLES] = "DELETE FROM _sys_proposal_table WHERE proposal = ?1",
    [OWN_PROPOSAL_LIST] =
        "SELECT " PROPOSAL_COLUMNS " FROM _sys_proposal WHERE seq < ?1 AND (?2 IS NULL OR bearer = ?2)"
        " AND (?3 IS NULL OR bearer = ?3) AND (?4 IS NULL OR agent = ?4)"
        " ORDER BY seq DESC",
    [OWN_PROPOSAL_COUNT] = "SELECT total(" PROPOSAL_WAITS "), total(size) FROM _sys_proposal",
    [OWN_PROPOSAL_TOUCHED] = "SELECT 1 FROM _sys_proposal_row WHERE key = ?1 LIMIT 1",
    [OWN_PROPOSAL_STALE] = "UPDATE _sys_proposal SET state = 'stale' WHERE state = 'pending' AND seq IN"
                           " (SELECT proposal FROM _sys_proposal_row WHERE key = ?1)",
    [OWN_PROPOSAL_STALE_ALL] = "UPDATE _sys_proposal SET state = 'stale' WHERE state = 'pending' AND tracked",
    [OWN_PROPOSAL_TABLES] = "SELECT DISTINCT name FROM _sys_proposal_table",
    [OWN_PROPOSAL_EXPIRED] = "SELECT seq FROM _sys_proposal WHERE " PROPOSAL_WAITS " AND expires_at_ms <= ?1"
                             " ORDER BY expires_at_ms LIMIT 500",
    [OWN_PROPOSAL_OLD] =
        "SELECT seq FROM _sys_proposal WHERE decided_at_ms IS NOT NULL AND decided_at_ms <= ?1"
        " ORDER BY decided_at_ms LIMIT 500",
    [OWN_PROPOSAL_DELETE] = "DELETE FROM _sys_proposal WHERE seq = ?1",
    [OWN_PROPOSAL_BY_KEY] = "SELECT " PROPOSAL_COLUMNS " FROM _sys_proposal WHERE approval IS NOT NULL"
                            " AND bearer = ?1 AND idempotency_key = ?2 ORDER BY seq DESC LIMIT 1",
    [OWN_PROPOSAL_HOLD] = "UPDATE _sys_proposal SET approval = ?2, rules = ?3, expires_at_ms = ?4,"
                          " token_hash = NULL WHERE seq = ?1",
    [OWN_PROPOSAL_REAPPLIED] =
        "UPDATE _sys_proposal SET hash = ?2, affected = ?3, schema_diff = ?4, no_undo = ?5 WHERE seq = ?1",
    [OWN_ON_DRIFT] = "SELECT value = 'reapply' FROM _sys_meta WHERE key = 'on_drift'",
    [OWN_ON_DRIFT_SET] = "INSERT OR REPLACE INTO _sys_meta (key, value) VALUES ('on_drift', ?1)",
    [OWN_RULES] = "SELECT id, position, table_glob, condition, action, approvals, approver_role, note,"
                  " created_at_ms, updated_at_ms, people_only FROM _sys_rule ORDER BY position, id",
    [OWN_RULE_PUT] =
        "INSERT OR REPLACE INTO _sys_rule (id, position, table_glob, condition, action, approvals,"
        " approver_role, note, created_at_ms, updated_at_ms, people_only)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [OWN_INVARIANTS] =
        "SELECT id, name, query, note, created_at_ms, people_only FROM _sys_invariant ORDER BY name",
    [OWN_VIEW] = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?1 COLLATE NOCASE",
    [OWN_INVARIANT_PUT] = "INSERT INTO _sys_invariant (id, name, query, note, created_at_ms, people_only)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [OWN_INVARIANT_DROP] = "DELETE FROM _sys_invariant WHERE id = ?1",
    [OWN_RULE_DROP] = "DELETE FROM _sys_rule WHERE id = ?1",
    [OWN_RULES_CLEAR] = "DELETE FROM _sys_rule",
    [OWN_PROPOSAL_SNAPSHOT] = "UPDATE _sys_proposal SET snapshot = ?2 WHERE id = ?1 AND state = 'applied'",
    [OWN_PROPOSAL_APPLIED] =
        "SELECT seq, id, action, no_undo, snapshot, size, decided_at_ms, no_indirect FROM "
        "_sys_proposal"
        " WHERE applied_seq IS NOT NULL AND decided_at_ms BETWEEN ?1 AND ?2 AND (?3 IS NULL OR bearer = ?3)"
        " ORDER BY applied_seq DESC",
    [OWN_UNDO_APPLIED] = "SELECT id, undo_of, body FROM _sys_proposal"
                         " WHERE applied_seq IS NOT NULL AND undo_of IS NOT NULL",
    [OWN_APPLIED_SINCE] = "SELECT count(*) FROM _sys_proposal WHERE applied_seq IS NOT NULL"
                          " AND decided_at_ms >= ?1 AND seq <> ?2",
    [OWN_UNDO_SINCE] = "SELECT value FROM _sys_meta WHERE key = 'undo_since'",
    [OWN_UNDO_SINCE_SET] =
        "INSERT INTO _sys_meta (key, value) SELECT 'undo_since', decided_at_ms + 1 FROM _sys_proposal"
        " WHERE seq = ?1 AND applied_seq IS NOT NULL"
        " ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
    [OWN_LOG_PUT] = "INSERT INTO _sys_query_log (id, ts, kind, sql, rows_read, rows_written, duration_ms, "
                    "token_id, status,"
                    " error_kind, request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [OWN_LOG_TRIM] = "DELETE FROM _sys_query_log WHERE seq <= (SELECT max(seq) FROM _sys_query_log) - ?1",
};

/* These act while they are prepared, so that a kept statement would do nothing. */
static bool one_shot(enum own_sql which)
{
    return which == OWN_DEFER_OFF || which == OWN_DEFER_ON;
}

sqlite3_stmt *own_get(struct engine *eng, enum own_sql which)
{
    sqlite3_stmt **slot = &eng->own.stmt[which];
    if (*slot && one_shot(which)) {
        (void)sqlite3_finalize(*slot); /* the error of an earlier run, told then */
        *slot = NULL;
    }
    if (!*slot) {
        struct guard_saved saved = guard_enter_own(&eng->guard);
        struct op *running = eng->running;
        eng->running = NULL;
        int rc = sqlite3_prepare_v3(eng->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
        eng->running = running;
        guard_leave(&eng->guard, saved);
        if (rc != SQLITE_OK)
            *slot = NULL;
    }
    return *slot;
}

int own_step(struct engine *eng, sqlite3_stmt *stmt)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    struct op *running = eng->running;
    eng->running = NULL;
    int rc = sqlite3_step(stmt);
    eng->running = running;
    guard_leave(&eng->guard, saved);
    return rc;
}

int own_run(struct engine *eng, enum own_sql which)
{
    sqlite3_stmt *stmt = own_get(eng, which);
    if (!stmt)
        return sqlite3_extended_errcode(eng->db);
    int rc = own_step(eng, stmt);
    int reset = sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

void own_abandon(struct engine *eng)
{
    proposals_forget(eng);
    rules_forget(eng);
    schema_digest_forget(eng);
    if (sqlite3_get_autocommit(eng->db))
        return;
    (void)own_run(eng, OWN_ROLLBACK); /* what counts is whether a transaction is left */
    if (!sqlite3_get_autocommit(eng->db))
        eng->leaving = true;
}

void own_release(struct engine *eng)
{
    for (int i = 0; i < OWN_COUNT; i++) {
        (void)sqlite3_finalize(eng->own.stmt[i]);
        eng->own.stmt[i] = NULL;
    }
}
