/* A full check of the database, for `holdfast doctor` and the operator.
 * data: {"ok", "integrity":[text, …], "foreignKeys":[{"table","rowid","parent","fkid"}], "cut", "pages",
 * "freePages"}. "cut" is true when there were more problems than the report holds. */
#include "engine/catalog.h"
#include "engine/op.h"

enum { PROBLEMS_MAX = 100, CHECK_OPS_MAX = 10000000 };

static const char SQL_INTEGRITY[] = "PRAGMA integrity_check(100)";
static const char SQL_FOREIGN_KEYS[] = "PRAGMA foreign_key_check";
static const char SQL_PAGES[] = "SELECT (SELECT page_count FROM pragma_page_count()), (SELECT freelist_count "
                                "FROM pragma_freelist_count())";

struct report {
    bool ok, cut;
};

static enum err_code integrity(struct op *op, struct report *r, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int count = 0;
    enum err_code code = src.prepare(src.arg, SQL_INTEGRITY, &stmt, err);
    jsonw_key(op->w, "integrity");
    jsonw_array(op->w);
    while (!code && !(code = catalog_step(&src, stmt, &row, err)) && row) {
        struct str text = catalog_text(op->arena, stmt, 0);
        if (!text.ptr || str_eq(text, S("ok")))
            continue;
        jsonw_text(op->w, text);
        r->ok = false;
        r->cut |= ++count >= PROBLEMS_MAX;
    }
    jsonw_array_end(op->w);
    return code;
}

static void write_violation(struct jsonw *w, sqlite3_stmt *stmt)
{
    jsonw_object(w);
    JSONW_CSTR(w, "table", (const char *)sqlite3_column_text(stmt, 0));
    jsonw_key(w, "rowid");
    op_write_column(w, stmt, 1);
    JSONW_CSTR(w, "parent", (const char *)sqlite3_column_text(stmt, 2));
    JSONW_INT(w, "fkid", sqlite3_column_int64(stmt, 3));
    jsonw_object_end(w);
}

static enum err_code foreign_keys(struct op *op, struct report *r, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int count = 0;
    enum err_code code = src.prepare(src.arg, SQL_FOREIGN_KEYS, &stmt, err);
    jsonw_key(op->w, "foreignKeys");
    jsonw_array(op->w);
    while (!code && count < PROBLEMS_MAX && !(code = catalog_step(&src, stmt, &row, err)) && row) {
        write_violation(op->w, stmt);
        r->ok = false;
        r->cut |= ++count >= PROBLEMS_MAX;
    }
    jsonw_array_end(op->w);
    return code;
}

static enum err_code pages(struct op *op, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = src.prepare(src.arg, SQL_PAGES, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    if (code)
        return code;
    JSONW_INT(op->w, "pages", sqlite3_column_int64(stmt, 0));
    JSONW_INT(op->w, "freePages", sqlite3_column_int64(stmt, 1));
    return ERR_OK;
}

enum err_code op_run_INTEGRITY(struct op *op, struct err *err)
{
    struct report r = {true, false};
    /* Each check is one program over all tables, longer than a tenant's may be. */
    int ops = sqlite3_limit(catalog_db(op), SQLITE_LIMIT_VDBE_OP, CHECK_OPS_MAX);
    jsonw_object(op->w);
    enum err_code code = integrity(op, &r, err);
    if (!code)
        code = foreign_keys(op, &r, err);
    sqlite3_limit(catalog_db(op), SQLITE_LIMIT_VDBE_OP, ops);
    if (!code)
        code = pages(op, err);
    JSONW_BOOL(op->w, "ok", r.ok);
    JSONW_BOOL(op->w, "cut", r.cut);
    jsonw_object_end(op->w);
    return code;
}
