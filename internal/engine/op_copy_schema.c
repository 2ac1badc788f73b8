/* A new database file with the schema of this one: tables, indexes, views, triggers, policies of row-level
 * security and descriptions, and not one row. Written to out/<copy>.db, where the front takes it from; copy=
 * is an id of ours. It is durable when the call is answered. data: {"objects"}. */
#include "engine/copy_again.h"
#include "engine/copy_build.h"
#include "engine/copy_file.h"
#include "engine/engine_state.h"

static enum err_code no_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    (void)arg;
    (void)sql;
    (void)ret;
    return err_set(err, ERR_INTERNAL, "a copy of the schema reads no rows");
}

static enum err_code build(
    struct op *op, const struct catalog *cat, const char *path, char ret_id[COPY_ID_SIZE], struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct dump dump = {.src = &src, .prepare_rows = no_rows, .arg = op, .whole = true, .schema_only = true};
    return copy_build(op, &dump, cat, path, ret_id, err);
}

static enum err_code build_anew(
    struct op *op, const char *path, char ret_id[COPY_ID_SIZE], int64_t *ret_objects, struct err *err)
{
    struct catalog cat;
    enum err_code code = catalog_of_op(op, &cat, err);
    if (!code)
        code = build(op, &cat, path, ret_id, err);
    if (!code)
        *ret_objects = cat.object_count;
    return code;
}

static enum err_code make(struct op *op, const char *path, int64_t *ret_objects, struct err *err)
{
    struct engine *eng = op->eng;
    struct digest of;
    char id[COPY_ID_SIZE];
    bool same;
    enum err_code code = copy_again_digest(op, &of, &same, err);
    if (!code && same && copy_again_has(eng, &of)) {
        *ret_objects = eng->again.objects;
        return copy_again_write(eng, path, err);
    }
    if (!code)
        code = build_anew(op, path, id, ret_objects, err);
    if (!code && same)
        copy_again_keep(eng, &of, path, str_of(id), *ret_objects);
    return code;
}

enum err_code op_run_COPY_SCHEMA(struct op *op, struct err *err)
{
    char path[FS_PATH_MAX];
    int64_t objects = 0;
    enum err_code code = copy_file_begin(op, path, err);
    if (!code)
        code = make(op, path, &objects, err);
    if (code) {
        copy_file_drop(path);
        return code;
    }
    jsonw_object(op->w);
    JSONW_INT(op->w, "objects", objects);
    jsonw_object_end(op->w);
    return ERR_OK;
}
