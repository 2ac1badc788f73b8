/* A new database file with the schema of this one: tables, indexes, views, triggers, policies of row-level
 * security and descriptions, and not one row. Written to out/<copy>.db, where the front takes it from; copy=
 * is an id of ours. It is durable when the call is answered. data: {"objects"}. */
#include "engine/copy_build.h"
#include "engine/copy_file.h"

static enum err_code no_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    (void)arg;
    (void)sql;
    (void)ret;
    return err_set(err, ERR_INTERNAL, "a copy of the schema reads no rows");
}

static enum err_code build(struct op *op, const struct catalog *cat, const char *path, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct dump dump = {.src = &src, .prepare_rows = no_rows, .arg = op, .whole = true, .schema_only = true};
    return copy_build(op, &dump, cat, path, err);
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
