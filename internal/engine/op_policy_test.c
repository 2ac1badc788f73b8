/* POST …/policies/test: the rows of a table that a role with some claims would see. The call carries those,
 * not its caller's: the front checked who asks. Arguments table and limit. data: {"columns":[…],
 * "rows":[[…]], "truncated", "underPolicies"}. */
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"

enum { ROWS_DEFAULT = 100, ROWS_MAX = 1000 };

static void write_columns(struct jsonw *w, sqlite3_stmt *stmt)
{
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        jsonw_cstr(w, sqlite3_column_name(stmt, i));
    jsonw_array_end(w);
}

static enum err_code write_rows(struct op *op, sqlite3_stmt *stmt, int64_t limit, struct err *err)
{
    struct jsonw *w = op->w;
    int64_t count = 0;
    int rc;
    jsonw_key(w, "rows");
    jsonw_array(w);
    while ((rc = op_step_tenant(op, stmt)) == SQLITE_ROW && count++ < limit) {
        jsonw_array(w);
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            op_write_column(w, stmt, i);
        jsonw_array_end(w);
        if (strbuf_failed(w->out))
            return err_set(err, ERR_TOO_LARGE, "the rows are too large to be shown; give a smaller limit");
    }
    jsonw_array_end(w);
    op->head.rows_read += (uint64_t)count;
    JSONW_BOOL(w, "truncated", rc == SQLITE_ROW);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

enum err_code op_run_POLICY_TEST(struct op *op, struct err *err)
{
    struct str table = wire_arg(&op->call, "tableName"), text = wire_arg(&op->call, "limit");
    int64_t limit = ROWS_DEFAULT;
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    struct catalog cat;
    bool one;
    strbuf_init(&sql, 1 << 16);
    if (text.ptr && !str_to_i64(text, 1, ROWS_MAX, &limit))
        return err_field(err, "/limit", "must be from 1 to %d", (int)ROWS_MAX);
    enum err_code code = catalog_of_op(op, &cat, err);
    if (!code && !catalog_table(&cat, table) && !catalog_view(&cat, table))
        code = err_field(err, "/tableName", "is no table of this database" STR_FMT,
            STR_ARG(catalog_suggest_table(&cat, op->arena, table)));
    strbuf_add_cstr(&sql, "SELECT * FROM ");
    catalog_quote(&sql, table);
    if (!code)
        code = op_prepare_tenant(op, strbuf_str(&sql), &stmt, &one, err);
    if (code)
        return code;
    jsonw_object(op->w);
    write_columns(op->w, stmt);
    code = write_rows(op, stmt, limit, err);
    JSONW_BOOL(op->w, "underPolicies", op->eng->guard.rowsec != NULL);
    jsonw_object_end(op->w);
    return code;
}
