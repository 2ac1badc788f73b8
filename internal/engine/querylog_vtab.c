/* The eponymous virtual table `_persql_meta_query_log`: the flushed rows, then those in memory, oldest first.
 * Reading it is no write. The file's half is read with the engine's own rights, whoever asks: the guard has
 * decided before. */
#include "base/mem.h"
#include "engine/engine_state.h"

#define SQL_DECLARE                                                                                          \
    "CREATE TABLE x (id TEXT, ts INTEGER, kind TEXT, sql TEXT, rows_read INTEGER, rows_written INTEGER,"     \
    " duration_ms REAL, token_id TEXT, status INTEGER, error_kind TEXT, request_id TEXT)"
#define SQL_STORED                                                                                           \
    "SELECT id, ts, kind, sql, rows_read, rows_written, duration_ms, token_id, status, error_kind, "         \
    "request_id"                                                                                             \
    " FROM _sys_query_log ORDER BY seq"

enum {
    COLUMN_ID,
    COLUMN_TS,
    COLUMN_KIND,
    COLUMN_SQL,
    COLUMN_READ,
    COLUMN_WRITTEN,
    COLUMN_DURATION,
    COLUMN_TOKEN,
    COLUMN_STATUS,
    COLUMN_ERROR,
    COLUMN_REQUEST
};

struct table {
    sqlite3_vtab base;
    struct engine *eng;
};

struct cursor {
    sqlite3_vtab_cursor base;
    sqlite3_stmt *stored; /* NULL: the file's half is done */
    struct list *row;     /* in eng->log.rows */
    sqlite3_int64 rowid;
};

static struct engine *engine_of(struct cursor *c)
{
    return ((struct table *)(void *)c->base.pVtab)->eng;
}

static int vtab_connect(
    sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_message)
{
    (void)argc;
    (void)argv;
    (void)ret_message;
    int rc = sqlite3_declare_vtab(db, SQL_DECLARE);
    if (rc != SQLITE_OK)
        return rc;
    (void)sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS); /* only raises what may be done with it */
    struct table *t = MEM_NEW(struct table);
    t->eng = arg;
    *ret = &t->base;
    return SQLITE_OK;
}

static int vtab_disconnect(sqlite3_vtab *base)
{
    mem_free(base);
    return SQLITE_OK;
}

static int vtab_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = 10000;
    info->estimatedRows = 10000;
    return SQLITE_OK;
}

static int vtab_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    (void)base;
    struct cursor *c = MEM_NEW(struct cursor);
    *ret = &c->base;
    return SQLITE_OK;
}

static int vtab_close(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;
    (void)sqlite3_finalize(c->stored); /* repeats the error of the step */
    mem_free(c);
    return SQLITE_OK;
}

static int vtab_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;
    c->rowid++;
    if (!c->stored) {
        c->row = c->row->next;
        return SQLITE_OK;
    }
    int rc = own_step(engine_of(c), c->stored);
    if (rc == SQLITE_ROW)
        return SQLITE_OK;
    int result = sqlite3_finalize(c->stored);
    c->stored = NULL;
    return result;
}

static int vtab_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)(void *)base;
    struct engine *eng = engine_of(c);
    (void)plan;
    (void)text;
    (void)argc;
    (void)argv;
    (void)sqlite3_finalize(c->stored); /* of an earlier scan */
    c->stored = NULL;
    c->row = eng->log.rows.next;
    c->rowid = 0;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = sqlite3_prepare_v2(eng->db, SQL_STORED, -1, &c->stored, NULL);
    guard_leave(&eng->guard, saved);
    return rc == SQLITE_OK ? vtab_next(base) : rc;
}

static int vtab_eof(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;
    return !c->stored && c->row == &engine_of(c)->log.rows;
}

static void result_str(sqlite3_context *ctx, struct str s)
{
    sqlite3_result_text64(ctx, s.len ? s.ptr : "", s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int vtab_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int column)
{
    struct cursor *c = (struct cursor *)(void *)base;
    if (c->stored) {
        sqlite3_result_value(ctx, sqlite3_column_value(c->stored, column));
        return SQLITE_OK;
    }
    const struct log_row *row = LIST_ITEM(c->row, struct log_row, node);
    switch (column) {
    case COLUMN_ID: result_str(ctx, id_str(&row->id)); break;
    case COLUMN_TS: sqlite3_result_int64(ctx, row->ts_ms); break;
    case COLUMN_KIND: result_str(ctx, row->kind); break;
    case COLUMN_SQL: result_str(ctx, row->sql); break;
    case COLUMN_READ: sqlite3_result_int64(ctx, row->rows_read); break;
    case COLUMN_WRITTEN: sqlite3_result_int64(ctx, row->rows_written); break;
    case COLUMN_DURATION: sqlite3_result_double(ctx, (double)row->duration_us / 1000); break;
    case COLUMN_TOKEN: result_str(ctx, row->token_id); break;
    case COLUMN_STATUS: sqlite3_result_int(ctx, row->status); break;
    case COLUMN_ERROR:
        if (row->error_kind.len)
            result_str(ctx, row->error_kind);
        break;
    case COLUMN_REQUEST: result_str(ctx, row->request_id); break;
    }
    return SQLITE_OK;
}

static int vtab_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = ((struct cursor *)(void *)base)->rowid;
    return SQLITE_OK;
}

static const sqlite3_module MODULE = {
    .xConnect = vtab_connect, /* no xCreate: it exists by itself and cannot be made */
    .xBestIndex = vtab_best_index,
    .xDisconnect = vtab_disconnect,
    .xOpen = vtab_open,
    .xClose = vtab_close,
    .xFilter = vtab_filter,
    .xNext = vtab_next,
    .xEof = vtab_eof,
    .xColumn = vtab_column,
    .xRowid = vtab_rowid,
};

int querylog_vtab_register(struct engine *eng)
{
    return sqlite3_create_module_v2(eng->db, "_persql_meta_query_log", &MODULE, eng, NULL);
}
