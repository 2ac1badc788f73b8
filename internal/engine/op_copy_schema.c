/* A new database file with the schema of this one: tables, indexes, views, triggers, policies of row-level
 * security and descriptions, and not one row. Written to out/<copy>.db, where the front takes it from; copy=
 * is an id of ours. It is durable when the call is answered. data: {"objects"}. */
#include "engine/copy_file.h"
#include "engine/dump_db.h"
#include "engine/engine_state.h"
#include "engine/mask_store.h"

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

static enum err_code no_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    (void)arg;
    (void)sql;
    (void)ret;
    return err_set(err, ERR_INTERNAL, "a copy of the schema reads no rows");
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

static enum err_code fill(struct op *op, struct dump_db *copy, const struct catalog *cat, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct dump_sink sink = dump_db_sink(copy);
    struct dump dump = {.src = &src,
        .prepare_rows = no_rows,
        .step_rows = step_own,
        .arg = op,
        .sink = &sink,
        .whole = true,
        .schema_only = true};
    enum err_code code = engine_make_tables(copy->db, err);
    if (!code)
        code = dump_run(&dump, cat, err);
    return code ? code : copy_kept(&dump, err);
}

static enum err_code build(struct op *op, const struct catalog *cat, const char *path, struct err *err)
{
    struct dump_db copy;
    enum err_code code = dump_db_open(&copy, path, err);
    if (!code)
        code = fill(op, &copy, cat, err);
    if (!code)
        code = dump_db_close(&copy, err);
    dump_db_release(&copy);
    return code ? code : copy_file_settle(path, err);
}

enum err_code op_run_COPY_SCHEMA(struct op *op, struct err *err)
{
    char path[FS_PATH_MAX];
    struct catalog cat;
    enum err_code code = copy_file_begin(op, path, err);
    if (!code)
        code = catalog_of_op(op, &cat, err);
    if (!code)
        code = build(op, &cat, path, err);
    if (code) {
        copy_file_drop(path);
        return code;
    }
    jsonw_object(op->w);
    JSONW_INT(op->w, "objects", cat.object_count);
    jsonw_object_end(op->w);
    return ERR_OK;
}
