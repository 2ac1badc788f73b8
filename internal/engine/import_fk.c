/* The foreign keys of what was imported, once all of it is there: the first row that refers to none. */
#include "engine/op_import.h"
#include "engine/sqlerr.h"

enum { CHECK_OPS_MAX = 10000000 };

static const char SQL_CHECK[] =
    "SELECT \"table\", rowid, parent, fkid FROM pragma_foreign_key_check(?1) LIMIT 1";
static const char SQL_CHILDREN[] = "SELECT name FROM sqlite_schema t WHERE type = 'table' AND EXISTS"
                                   " (SELECT 1 FROM pragma_foreign_key_list(t.name))";
static const char SQL_COLUMNS[] =
    "SELECT group_concat(\"from\", ', ') FROM pragma_foreign_key_list(?1) WHERE id = ?2";

struct violation {
    struct str table, parent, columns;
    bool has_row;
    int64_t row, key;
};

static enum err_code read_violation(const struct catalog_source *src, struct str table, struct violation *ret,
    bool *ret_found, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    enum err_code code = catalog_prepare(src, SQL_CHECK, table, &stmt, err);
    if (!code)
        code = catalog_step(src, stmt, ret_found, err);
    if (code || !*ret_found)
        return code;
    ret->table = catalog_text(src->arena, stmt, 0);
    ret->has_row = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    ret->row = sqlite3_column_int64(stmt, 1);
    ret->parent = catalog_text(src->arena, stmt, 2);
    ret->key = sqlite3_column_int64(stmt, 3);
    return ERR_OK;
}

/* A key whose parent has no such unique columns is nothing that rows could break: SQLite refuses to look. */
static enum err_code check_table(
    struct op *op, struct str table, struct violation *ret, bool *ret_found, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct err why = ERR_INIT;
    enum err_code code = read_violation(&src, table, ret, ret_found, &why);
    if (code == ERR_SQL && strstr(why.message, "foreign key mismatch")) {
        op->error_detail = STR_EMPTY;
        *ret_found = false;
        return ERR_OK;
    }
    if (code && err)
        *err = why;
    return code;
}

/* One after the other, those outside the caller's scope too: their parents may have been inside. */
static enum err_code check_all(struct op *op, struct violation *ret, bool *ret_found, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *children = NULL;
    bool row = false;
    enum err_code code = src.prepare(src.arg, SQL_CHILDREN, &children, err);
    while (!code && !*ret_found && !(code = catalog_step(&src, children, &row, err)) && row)
        code = check_table(op, catalog_text(src.arena, children, 0), ret, ret_found, err);
    return code;
}

static enum err_code read_columns(const struct catalog_source *src, struct violation *v, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = catalog_prepare(src, SQL_COLUMNS, v->table, &stmt, err);
    if (!code && sqlite3_bind_int64(stmt, 2, v->key))
        code = src->failed(src->arg, SQLITE_ERROR, str_of(SQL_COLUMNS), err);
    if (!code)
        code = catalog_step(src, stmt, &row, err);
    v->columns = !code && row ? catalog_text(src->arena, stmt, 0) : STR_EMPTY;
    if (!code && arena_failed(src->arena))
        code = err_set(err, ERR_TOO_LARGE, "the names of a broken foreign key are too long");
    return code;
}

static enum err_code tell(
    struct op *op, const struct violation *v, const struct import_row_lines *lines, struct err *err)
{
    char message[ERR_MESSAGE_MAX], row[64] = "a row";
    uint64_t line = lines && v->has_row ? lines->line_of(lines->arg, v->row) : 0;
    struct sqlerr_detail d = {.kind = "fk_violation",
        .table = v->table,
        .column = v->columns,
        .position = -1,
        .row = v->has_row ? &v->row : NULL,
        .line = line,
        .hint = "import the rows that are referred to first, or in the same SQL script"};
    if (line)
        str_print(row, sizeof row, "line %llu: row %lld", (unsigned long long)line, (long long)v->row);
    else if (v->has_row)
        str_print(row, sizeof row, "row %lld", (long long)v->row);
    str_print_cut(message, sizeof message,
        "foreign key violated after the import: %s of \"" STR_FMT "\" refers by \"" STR_FMT
        "\" to a row that \"" STR_FMT "\" does not have; nothing was imported",
        row, STR_ARG(v->table), STR_ARG(v->columns), STR_ARG(v->parent));
    return sqlerr_set(op, ERR_SQL, &d, message, err);
}

enum err_code import_foreign_keys(
    struct op *op, struct str table, const struct import_row_lines *lines, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct violation v = {.table = STR_EMPTY};
    bool found = false;
    int ops = sqlite3_limit(catalog_db(op), SQLITE_LIMIT_VDBE_OP, CHECK_OPS_MAX); /* a long program */
    enum err_code code = table.ptr ? check_table(op, table, &v, &found, err) : check_all(op, &v, &found, err);
    sqlite3_limit(catalog_db(op), SQLITE_LIMIT_VDBE_OP, ops);
    if (code || !found)
        return code;
    code = read_columns(&src, &v, err);
    return code ? code : tell(op, &v, lines, err);
}
