/* See start_schema.h. */
#include "engine/start_schema.h"
#include "engine/catalog.h"
#include "engine/schema_state.h"

static const struct {
    const char *key, *sql;
} LISTS[] = {
#define LIST(key, type)                                                                                      \
    {                                                                                                        \
        key, "SELECT substr(key, length('start:" type ":') + 1), value FROM _sys_meta"                       \
             " WHERE key >= 'start:" type ":' AND key < 'start:" type ";' ORDER BY key"                      \
    }
    LIST("tables", "table"),
    LIST("indexes", "index"),
    LIST("triggers", "trigger"),
    LIST("views", "view"),
#undef LIST
};

static enum err_code write_list(struct op *op, const char *sql, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = op_prepare_internal(op, sql, &stmt, err);
    while (!code && !(code = catalog_step(&src, stmt, &row, err)) && row) {
        jsonw_object(op->w);
        JSONW_TEXT(op->w, "name", catalog_text(op->arena, stmt, 0));
        JSONW_TEXT(op->w, "sql", catalog_text(op->arena, stmt, 1));
        jsonw_object_end(op->w);
    }
    return code;
}

static enum err_code is_kept(struct op *op, bool *ret, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    enum err_code code = op_prepare_internal(op, "SELECT 1 FROM _sys_meta WHERE key = 'start:'", &stmt, err);
    return code ? code : catalog_step(&src, stmt, ret, err);
}

enum err_code start_schema_write(struct op *op, struct err *err)
{
    bool kept = false;
    enum err_code code = is_kept(op, &kept, err);
    if (code || !kept) {
        jsonw_null(op->w);
        return code;
    }
    jsonw_object(op->w);
    for (size_t i = 0; i < ARRAY_LEN(LISTS) && !code; i++) {
        jsonw_key(op->w, LISTS[i].key);
        jsonw_array(op->w);
        code = write_list(op, LISTS[i].sql, err);
        jsonw_array_end(op->w);
    }
    jsonw_object_end(op->w);
    return code;
}

static enum err_code run(struct op *op, const char *sql, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = op_prepare_internal(op, sql, &stmt, err);
    return code ? code : catalog_step(&src, stmt, &row, err);
}

enum err_code start_schema_move(struct op *op, struct err *err)
{
    enum err_code code = run(op, START_SCHEMA_CLEAR_SQL, err);
    return code ? code : run(op, START_SCHEMA_PUT_SQL, err);
}

enum err_code start_schema_name(struct op *op, struct str *ret, struct err *err)
{
    AUTO_STRBUF hex;
    struct digest digest;
    strbuf_init(&hex, 1000);
    enum err_code code = schema_digest(op, &digest, err);
    if (code)
        return code;
    digest_hex(&hex, &digest);
    *ret = arena_copy(op->arena, strbuf_str(&hex));
    return ret->ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the schema is too large");
}
