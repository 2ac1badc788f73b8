/* Statements over `_sys_policy` and `_sys_row_security`. */
#include "engine/policy_store.h"
#include "base/limits.h"
#include "engine/engine_state.h"
#include "engine/rowsec.h"

#define POLICY_COLUMNS                                                                                       \
    "id, name, table_name, command, using_sql, check_sql, roles, enabled, created_at_ms, updated_at_ms"
static const char SQL_LIST[] = "SELECT " POLICY_COLUMNS " FROM _sys_policy ORDER BY created_at_ms, rowid";
static const char SQL_GET[] = "SELECT " POLICY_COLUMNS " FROM _sys_policy WHERE id = ?1";
static const char SQL_PUT[] = "INSERT OR REPLACE INTO _sys_policy (" POLICY_COLUMNS ")"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
static const char SQL_TAKEN[] = "SELECT 1 FROM _sys_policy WHERE table_name = ?1 AND name = ?2 AND id <> ?3";
static const char SQL_COUNT[] = "SELECT count(*) FROM _sys_policy";
static const char SQL_DROP[] = "DELETE FROM _sys_policy WHERE id = ?1";
static const char SQL_SECURED[] = "SELECT table_name FROM _sys_row_security ORDER BY table_name";
static const char SQL_SWITCH_ON[] = "INSERT OR IGNORE INTO _sys_row_security (table_name) VALUES (?1)";
static const char SQL_SWITCH_OFF[] = "DELETE FROM _sys_row_security WHERE table_name = ?1";
static const char SQL_COUNT_CHANGE[] = "INSERT INTO _sys_meta (key, value) VALUES ('policies', 1)"
                                       " ON CONFLICT (key) DO UPDATE SET value = value + 1";

struct value {
    struct str text; /* ptr NULL: `number`, or NULL when is_null */
    int64_t number;
    bool is_null;
};

static struct value text_value(struct str s)
{
    return (struct value){.text = s, .is_null = !s.ptr};
}

static struct value int_value(int64_t n)
{
    return (struct value){.text = {NULL, 0}, .number = n};
}

static enum err_code prepare(struct op *op, const char *sql, const struct value *values, int count,
    sqlite3_stmt **ret, struct err *err)
{
    enum err_code code = op_prepare_internal(op, sql, ret, err);
    int rc = SQLITE_OK;
    for (int i = 0; !code && rc == SQLITE_OK && i < count; i++) {
        const struct value *v = &values[i];
        if (v->is_null)
            rc = sqlite3_bind_null(*ret, i + 1);
        else if (v->text.ptr)
            rc = sqlite3_bind_text64(*ret, i + 1, v->text.ptr, v->text.len, SQLITE_STATIC, SQLITE_UTF8);
        else
            rc = sqlite3_bind_int64(*ret, i + 1, v->number);
    }
    return code || rc == SQLITE_OK ? code : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code step(struct op *op, sqlite3_stmt *stmt, bool *ret_row, struct err *err)
{
    int rc = own_step(op->eng, stmt);
    *ret_row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code run(
    struct op *op, const char *sql, const struct value *values, int count, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = prepare(op, sql, values, count, &stmt, err);
    return code ? code : step(op, stmt, &row, err);
}

/* Everybody's shadows are built anew. */
static enum err_code changed(struct op *op, struct err *err)
{
    rowsec_forget(op->eng);
    return run(op, SQL_COUNT_CHANGE, NULL, 0, err);
}

static struct policy read_row(struct op *op, sqlite3_stmt *stmt)
{
    struct arena *a = op->arena;
    return (struct policy){.id = catalog_text(a, stmt, 0),
        .name = catalog_text(a, stmt, 1),
        .table = catalog_text(a, stmt, 2),
        .command = catalog_text(a, stmt, 3),
        .using = catalog_text(a, stmt, 4),
        .check = catalog_text(a, stmt, 5),
        .roles = sqlite3_column_int64(stmt, 6),
        .enabled = sqlite3_column_int(stmt, 7) != 0,
        .created_ms = sqlite3_column_int64(stmt, 8),
        .updated_ms = sqlite3_column_int64(stmt, 9)};
}

enum err_code policy_list(struct op *op, sqlite3_stmt **ret, struct err *err)
{
    return prepare(op, SQL_LIST, NULL, 0, ret, err);
}

enum err_code policy_next(
    struct op *op, sqlite3_stmt *stmt, bool *ret_found, struct policy *ret, struct err *err)
{
    enum err_code code = step(op, stmt, ret_found, err);
    if (!code && *ret_found)
        *ret = read_row(op, stmt);
    return code;
}

enum err_code policy_secured(struct op *op, sqlite3_stmt **ret, struct err *err)
{
    return prepare(op, SQL_SECURED, NULL, 0, ret, err);
}

enum err_code policy_secured_next(
    struct op *op, sqlite3_stmt *stmt, bool *ret_found, struct str *ret, struct err *err)
{
    enum err_code code = step(op, stmt, ret_found, err);
    if (!code && *ret_found)
        *ret = catalog_text(op->arena, stmt, 0);
    return code;
}

enum err_code policy_get(struct op *op, struct str id, struct policy *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    const struct value values[] = {text_value(id)};
    enum err_code code = prepare(op, SQL_GET, values, ARRAY_LEN(values), &stmt, err);
    if (!code)
        code = step(op, stmt, &row, err);
    if (!code && !row)
        return err_set(err, ERR_NOT_FOUND, "No such policy");
    if (!code)
        *ret = read_row(op, stmt);
    return code;
}

enum err_code policy_check_free(struct op *op, const struct policy *p, struct err *err)
{
    AUTO_SQL *stmt = NULL, *count = NULL;
    bool row = false;
    const struct value values[] = {text_value(p->table), text_value(p->name), text_value(p->id)};
    enum err_code code = prepare(op, SQL_TAKEN, values, ARRAY_LEN(values), &stmt, err);
    if (!code)
        code = step(op, stmt, &row, err);
    if (!code && row)
        return err_set(err, ERR_CONFLICT, "the table has a policy of this name already");
    if (!code)
        code = prepare(op, SQL_COUNT, NULL, 0, &count, err);
    if (!code)
        code = step(op, count, &row, err);
    if (!code && row && sqlite3_column_int64(count, 0) >= LIMIT_POLICIES)
        return err_set(err, ERR_CONFLICT, "a database holds at most %d policies", (int)LIMIT_POLICIES);
    return code;
}

enum err_code policy_put(struct op *op, const struct policy *p, struct err *err)
{
    const struct value values[] = {text_value(p->id), text_value(p->name), text_value(p->table),
        text_value(p->command), text_value(p->using), text_value(p->check), int_value(p->roles),
        int_value(p->enabled), int_value(p->created_ms), int_value(p->updated_ms)};
    enum err_code code = run(op, SQL_PUT, values, ARRAY_LEN(values), err);
    return code ? code : changed(op, err);
}

enum err_code policy_delete(struct op *op, struct str id, struct err *err)
{
    const struct value values[] = {text_value(id)};
    enum err_code code = run(op, SQL_DROP, values, ARRAY_LEN(values), err);
    return code ? code : changed(op, err);
}

enum err_code policy_switch(struct op *op, struct str table, bool on, struct err *err)
{
    const struct value values[] = {text_value(table)};
    enum err_code code = run(op, on ? SQL_SWITCH_ON : SQL_SWITCH_OFF, values, ARRAY_LEN(values), err);
    return code ? code : changed(op, err);
}
