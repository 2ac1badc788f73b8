/* Reads and writes `_sys_description`. */
#include "engine/descriptions.h"
#include "base/clock.h"
#include "engine/column.h"

static const char SQL_ALL[] =
    "SELECT table_name, column_name, description FROM _sys_description ORDER BY table_name, column_name";
static const char SQL_SET[] =
    "INSERT INTO _sys_description (table_name, column_name, description, updated_at_ms) VALUES (?1, ?2, ?3, "
    "?4)"
    " ON CONFLICT (table_name, column_name) DO UPDATE SET description = excluded.description,"
    " updated_at_ms = excluded.updated_at_ms";
static const char SQL_REMOVE[] = "DELETE FROM _sys_description WHERE table_name = ?1 AND column_name = ?2";

static void attach(struct arena *a, struct catalog *cat, sqlite3_stmt *stmt, struct str *ret_database)
{
    struct str table = column_bytes(stmt, 0), column = column_bytes(stmt, 1);
    struct str text = catalog_text(a, stmt, 2);
    struct cat_table *t = (struct cat_table *)catalog_table(cat, table);
    if (!t)
        t = (struct cat_table *)catalog_view(cat, table);
    struct cat_column *c = t && column.len ? (struct cat_column *)cat_column(t, column) : NULL;
    if (!text.ptr)
        return;
    if (table.len == 0)
        *ret_database = text;
    else if (t && column.len == 0)
        t->description = text;
    else if (c)
        c->description = text;
}

enum err_code descriptions_attach(
    const struct catalog_source *src, struct catalog *cat, struct str *ret_database, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    *ret_database = STR_EMPTY;
    enum err_code code = src->prepare(src->arg, SQL_ALL, &stmt, err);
    while (!code && !(code = catalog_step(src, stmt, &row, err)) && row)
        attach(src->arena, cat, stmt, ret_database);
    if (!code && arena_failed(src->arena))
        code = err_set(err, ERR_TOO_LARGE, "the descriptions are too large to be read in one call");
    return code;
}

static int bind_str(sqlite3_stmt *stmt, int at, struct str s)
{
    return sqlite3_bind_text(stmt, at, s.ptr, (int)s.len, SQLITE_TRANSIENT);
}

enum err_code descriptions_set(
    const struct catalog_source *src, struct str table, struct str column, struct str text, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = src->prepare(src->arg, text.ptr ? SQL_SET : SQL_REMOVE, &stmt, err);
    if (code)
        return code;
    int rc = bind_str(stmt, 1, table);
    if (!rc)
        rc = bind_str(stmt, 2, column);
    if (!rc && text.ptr)
        rc = bind_str(stmt, 3, text);
    if (!rc && text.ptr)
        rc = sqlite3_bind_int64(stmt, 4, clock_wall_ms());
    if (rc)
        return src->failed(src->arg, rc, str_of(sqlite3_sql(stmt)), err);
    return catalog_step(src, stmt, &row, err);
}
