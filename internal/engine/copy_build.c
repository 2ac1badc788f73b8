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
    {MASK_SECRET_NEW_SQL, "INSERT INTO _sys_meta(key, value)"},
    {"SELECT table_name, column_name, description, updated_at_ms FROM _sys_description",
        "INSERT INTO _sys_description(table_name, column_name, description, updated_at_ms)"},
};

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

enum err_code copy_build(
    struct op *op, struct dump *dump, const struct catalog *cat, const char *path, struct err *err)
{
    struct dump_db copy;
    enum err_code code = dump_db_open(&copy, path, err);
    if (!code)
        code = fill(op, &copy, dump, cat, err);
    if (!code)
        code = dump_db_close(&copy, err);
    dump_db_release(&copy);
    return code ? code : copy_file_settle(path, err);
}
