/* CARRY: out/<copy>.db with what a restore must not forget (carry.h). data: {}. 403 when rules leave restores
 * to people. */
#include "engine/carry.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/carry_rows.h"
#include "engine/copy_file.h"
#include "engine/dump_db.h"
#include "engine/rule.h"

static const struct carry_step STEPS[] = {
    {"SELECT name FROM sqlite_schema WHERE type = 'table'", "INSERT INTO carried_table(name) VALUES(?1)"},
    {"SELECT table_name FROM _sys_row_security", "INSERT INTO _sys_row_security(table_name) VALUES(?1)"},
    {"SELECT id, name, table_name, command, using_sql, check_sql, roles, enabled, created_at_ms, "
     "updated_at_ms FROM _sys_policy",
        "INSERT INTO _sys_policy(id, name, table_name, command, using_sql, check_sql, roles, enabled,"
        " created_at_ms, updated_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"},
    {"SELECT key, value FROM _sys_meta WHERE key IN ('policies', 'mask_secret', 'mask_columns')",
        "INSERT OR REPLACE INTO _sys_meta(key, value) VALUES(?1, ?2)"},
};

static enum err_code failed(struct engine *eng, int rc, struct err *err)
{
    enum err_code code = (rc & 0xff) == SQLITE_FULL ? ERR_FULL
                         : engine_says_damaged(rc)  ? ERR_CORRUPT
                                                    : ERR_IO;
    return err_set(err, code, "what a restore keeps could not be written down: %s",
        rc == sqlite3_extended_errcode(eng->db) ? sqlite3_errmsg(eng->db) : sqlite3_errstr(rc));
}

static int fill(struct engine *eng, sqlite3 *to)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(STEPS) && rc == SQLITE_OK; i++)
        rc = carry_rows(eng->db, to, &STEPS[i]);
    for (size_t i = 0; CARRY_TABLES[i] && rc == SQLITE_OK; i++)
        rc = carry_table(eng->db, to, CARRY_TABLES[i]);
    guard_leave(&eng->guard, saved);
    return rc;
}

static enum err_code build(struct op *op, const char *path, struct err *err)
{
    struct dump_db copy;
    enum err_code code = dump_db_open(&copy, path, err);
    if (!code)
        code = engine_make_tables(copy.db, err);
    if (!code)
        code = dump_db_exec(&copy, "CREATE TABLE carried_table(name TEXT NOT NULL)", err);
    int rc = code ? SQLITE_OK : fill(op->eng, copy.db);
    if (rc != SQLITE_OK)
        code = failed(op->eng, rc, err);
    if (!code)
        code = dump_db_close(&copy, err);
    dump_db_release(&copy);
    return code ? code : copy_file_settle(path, err);
}

enum err_code op_run_CARRY(struct op *op, struct err *err)
{
    char path[FS_PATH_MAX];
    enum err_code code = copy_file_begin(op, path, err);
    if (!code)
        code = rules_check_restore(op, err);
    if (code)
        return code;
    code = build(op, path, err);
    if (code) {
        copy_file_drop(path);
        return code;
    }
    op->eng->sealed_until_us = clock_mono_us() + LIMIT_RESTORE_SEAL_MS * 1000;
    jsonw_object(op->w);
    jsonw_object_end(op->w);
    return ERR_OK;
}

enum err_code carry_check_write(const struct engine *eng, struct err *err)
{
    if (eng->sealed_until_us == 0 || clock_mono_us() >= eng->sealed_until_us)
        return ERR_OK;
    return err_retry(
        err, ERR_UNAVAILABLE, 1, "the database is being put back to a snapshot; try again in a moment");
}
