/* The engine's own statements. */
#include "engine/engine_state.h"

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
    [OWN_DEFER_OFF] = "PRAGMA defer_foreign_keys = OFF",
    [OWN_SCHEMA_CHECK] =
        "SELECT count(*), total(name LIKE '\\_sys\\_%' ESCAPE '\\'),"
        " total(name LIKE '\\_persql\\_%' ESCAPE '\\' OR name LIKE 'json%\\_each' ESCAPE '\\'"
        "   OR name LIKE 'json%\\_tree' ESCAPE '\\') FROM sqlite_schema",
    [OWN_SCHEMA_VERSION] = "PRAGMA main.schema_version",
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
    [OWN_LOG_PUT] = "INSERT INTO _sys_query_log (id, ts, kind, sql, rows_read, rows_written, duration_ms, "
                    "token_id, status,"
                    " error_kind, request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [OWN_LOG_TRIM] = "DELETE FROM _sys_query_log WHERE seq <= (SELECT max(seq) FROM _sys_query_log) - ?1",
};

/* These act while they are prepared, so that a kept statement would do nothing. */
static bool one_shot(enum own_sql which)
{
    return which == OWN_DEFER_OFF;
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
