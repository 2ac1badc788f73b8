/* GET …/query-log: the newest calls first. Arguments: limit (1 to 1000, default 100), before (a queryLogId:
 * older rows). data:
 * [{"id","ts","kind","sql","rowsRead","rowsWritten","durationMs","tokenId","status","errorKind","requestId"}].
 */
#include "engine/op.h"

#define SQL_LIST                                                                                             \
    "SELECT id, ts, kind, sql, rows_read, rows_written, duration_ms, token_id, status, error_kind, "         \
    "request_id"                                                                                             \
    " FROM _persql_meta_query_log WHERE ?1 = '' OR id < ?1 ORDER BY ts DESC, id DESC LIMIT ?2"

static const char *const KEYS[] = {"id", "ts", "kind", "sql", "rowsRead", "rowsWritten", "durationMs",
    "tokenId", "status", "errorKind", "requestId"};

enum { ROWS_DEFAULT = 100, ROWS_MAX = 1000 };

static enum err_code read_args(struct op *op, struct str *ret_before, int64_t *ret_limit, struct err *err)
{
    struct str limit = wire_arg(&op->call, "limit");
    struct str before = wire_arg(&op->call, "before");
    *ret_limit = ROWS_DEFAULT;
    *ret_before = before.ptr ? before : STR_EMPTY;
    if (limit.ptr && !str_to_i64(limit, 1, ROWS_MAX, ret_limit))
        return err_field(err, "/limit", "must be a number from 1 to %d", ROWS_MAX);
    if (!op_table_visible(op, S("_persql_meta_query_log")))
        return err_set(err, ERR_FORBIDDEN, "Token scope does not include table \"_persql_meta_query_log\"");
    return ERR_OK;
}

static void write_row(struct jsonw *w, sqlite3_stmt *stmt)
{
    jsonw_object(w);
    for (int i = 0; i < (int)ARRAY_LEN(KEYS); i++) {
        jsonw_key(w, KEYS[i]);
        op_write_column(w, stmt, i);
    }
    jsonw_object_end(w);
}

enum err_code op_run_QUERY_LOG(struct op *op, struct err *err)
{
    struct str before;
    int64_t limit;
    sqlite3_stmt *stmt = NULL;
    enum err_code code = read_args(op, &before, &limit, err);
    if (code == ERR_OK)
        code = op_prepare_internal(op, SQL_LIST, &stmt, err);
    if (code != ERR_OK)
        return code;
    int rc =
        sqlite3_bind_text64(stmt, 1, before.len ? before.ptr : "", before.len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 2, limit);
    jsonw_array(op->w);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        write_row(op->w, stmt);
        rc = SQLITE_OK;
    }
    jsonw_array_end(op->w);
    if (rc != SQLITE_DONE)
        code = op_sql_error(op, rc, STR_EMPTY, err);
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    return code;
}
