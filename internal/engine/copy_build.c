/* See copy_build.h. */
#include "engine/copy_build.h"
#include "engine/copy_file.h"
#include "engine/dump_db.h"
#include "engine/engine_state.h"
#include "engine/mask_store.h"
#include "engine/start_schema.h"

enum { PAGE_BYTES = 4096 };

/* What belongs to the schema and is kept in rows of ours. */
static const struct {
    const char *select, *into;
} KEPT[] = {
    {"SELECT table_name FROM _sys_row_security", "INSERT INTO _sys_row_security(table_name)"},
    {"SELECT id, name, table_name, command, using_sql, check_sql, roles, enabled, created_at_ms, "
     "updated_at_ms"
     " FROM _sys_policy",
        "INSERT INTO _sys_policy(id, name, table_name, command, using_sql, check_sql, roles, enabled,"
        " created_at_ms, updated_at_ms)"},
    {"SELECT key, value FROM _sys_meta WHERE key = 'policies'", "INSERT INTO _sys_meta(key, value)"},
    {"SELECT table_name, column_name, kind, options FROM _sys_mask",
        "INSERT INTO _sys_mask(table_name, column_name, kind, options)"},
    {"SELECT key, value FROM _sys_meta WHERE key = 'mask_columns'", "INSERT INTO _sys_meta(key, value)"},
    {"SELECT table_name, column_name, description, updated_at_ms FROM _sys_description",
        "INSERT INTO _sys_description(table_name, column_name, description, updated_at_ms)"},
    {MASK_SECRET_NEW_SQL, "INSERT INTO _sys_meta(key, value)"}, /* the last one */
};

static const char SQL_FILE_ID[] = "SELECT value FROM _sys_meta WHERE key = 'file'";
static const char SQL_IS_SAME[] = "SELECT NOT EXISTS (SELECT 1 FROM _sys_mask) AND NOT EXISTS"
                                  " (SELECT 1 FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%')";

const char *copy_build_kept(size_t i)
{
    return i + 1 < ARRAY_LEN(KEPT) ? KEPT[i].select : NULL;
}

enum err_code copy_build_is_same(struct op *op, bool *ret, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = op_prepare_internal(op, SQL_IS_SAME, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    *ret = !code && row && sqlite3_column_int(stmt, 0) != 0;
    return code;
}

static int step_own(void *arg, sqlite3_stmt *stmt)
{
    (void)arg;
    return sqlite3_step(stmt);
}

static enum err_code copy_kept(struct dump *d, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(KEPT) && !code; i++) {
        AUTO_SQL *stmt = NULL;
        code = d->src->prepare(d->src->arg, KEPT[i].select, &stmt, err);
        const struct dump_rows rows = {str_of(KEPT[i].into), code ? 0 : sqlite3_column_count(stmt)};
        if (!code)
            code = dump_copy_rows(d, stmt, step_own, &rows, err);
    }
    return code;
}

static enum err_code limit_size(struct op *op, struct dump_db *copy, struct err *err)
{
    char sql[80];
    uint64_t pages = op->eng->cfg.db_bytes_max / PAGE_BYTES;
    str_print(sql, sizeof sql, "PRAGMA max_page_count = %llu",
        (unsigned long long)(pages < UINT32_MAX - 1 ? pages : UINT32_MAX - 1));
    return dump_db_exec(copy, sql, err);
}

static enum err_code fill(
    struct op *op, struct dump_db *copy, struct dump *dump, const struct catalog *cat, struct err *err)
{
    struct dump_sink sink = dump_db_sink(copy);
    dump->sink = &sink;
    enum err_code code = limit_size(op, copy, err);
    if (!code)
        code = engine_make_tables(copy->db, err);
    if (!code)
        code = dump_run(dump, cat, err);
    if (!code)
        code = copy_kept(dump, err);
    if (!code)
        code = dump_db_exec(copy, START_SCHEMA_KEEP_SQL, err);
    dump->sink = NULL;
    return code;
}

static void read_id(sqlite3 *db, char ret[COPY_ID_SIZE])
{
    sqlite3_stmt *stmt = NULL;
    ret[0] = '\0';
    if (sqlite3_prepare_v2(db, SQL_FILE_ID, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        str_print_cut(ret, COPY_ID_SIZE, "%s", (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt); /* it was only read */
}

enum err_code copy_build(struct op *op, struct dump *dump, const struct catalog *cat, const char *path,
    char ret_id[COPY_ID_SIZE], struct err *err)
{
    struct dump_db copy;
    enum err_code code = dump_db_open(&copy, path, err);
    if (!code)
        code = fill(op, &copy, dump, cat, err);
    if (!code && ret_id)
        read_id(copy.db, ret_id);
    if (!code)
        code = dump_db_close(&copy, err);
    dump_db_release(&copy);
    return code ? code : copy_file_settle(path, err);
}
