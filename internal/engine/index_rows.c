/* FTS5 is told of each row as its documentation has triggers do it: 'delete' with the values that were
 * indexed, then the new ones. <index>_docsize has a row for each that is indexed. */
#include "engine/index_rows.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/engine_state.h"

enum { IS_INDEXED, READ, REMOVE, ADD, STATEMENTS };

struct indexing {
    struct op *op;
    struct str index;
    const struct fts5_decl *d;
    const struct change_table_view *t;
    size_t key;  /* column of the table that is the row id */
    size_t *map; /* column of the table for each of the index */
    sqlite3_stmt *stmt[STATEMENTS];
    struct change_cell *was, *is; /* for each column of the table */
};

static bool find_column(const struct change_table_view *t, struct str name, size_t *ret)
{
    for (size_t i = 0; i < t->column_count; i++) {
        *ret = i;
        if (!(t->columns[i].flags & CHANGE_COLUMN_ROWID) && str_eq_nocase(t->columns[i].name, name))
            return true;
    }
    return false;
}

static bool find_key(struct indexing *x)
{
    const struct change_table_view *t = x->t;
    struct str name = x->d->content_rowid;
    bool by_rowid = !name.len || str_eq_nocase(name, S("rowid"));
    if (t->flags & CHANGE_TABLE_WITHOUT_ROWID)
        return false;
    if (t->columns[0].flags & CHANGE_COLUMN_ROWID) {
        x->key = 0;
        return by_rowid && str_eq(str_of(change_rowid_name(t)), S("rowid"));
    }
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].flags & CHANGE_COLUMN_KEY)
            x->key = i; /* the only one: the row id has no place of its own */
    }
    return by_rowid || str_eq_nocase(name, t->columns[x->key].name);
}

static bool map_columns(struct indexing *x)
{
    size_t n = 0;
    for (const struct fts5_column *c = x->d->columns; c; c = c->next) {
        if (!find_column(x->t, c->name, &x->map[n++]))
            return false;
    }
    return !x->d->locale;
}

/* --- Statements --- */

static void put_columns(struct strbuf *sql, const struct indexing *x)
{
    for (const struct fts5_column *c = x->d->columns; c; c = c->next) {
        strbuf_add_cstr(sql, ", ");
        catalog_quote(sql, c->name);
    }
}

static void put_sql(struct strbuf *sql, const struct indexing *x, int which)
{
    AUTO_STRBUF docsize;
    strbuf_init(&docsize, CHANGE_NAME_MAX + 20);
    strbuf_add_str(&docsize, x->index);
    strbuf_add_cstr(&docsize, "_docsize");
    if (which == IS_INDEXED || which == READ) {
        strbuf_add_cstr(sql, "SELECT 1");
        if (which == READ)
            put_columns(sql, x);
        strbuf_add_cstr(sql, " FROM main.");
        catalog_quote(sql, which == READ ? x->t->name : strbuf_str(&docsize));
        strbuf_add_cstr(sql, which == READ ? " WHERE rowid = ?1" : " WHERE id = ?1");
        return;
    }
    strbuf_add_cstr(sql, "INSERT INTO main.");
    catalog_quote(sql, x->index);
    strbuf_add_cstr(sql, " (rowid");
    put_columns(sql, x);
    if (which == REMOVE) {
        strbuf_add_cstr(sql, ", ");
        catalog_quote(sql, x->index);
    }
    strbuf_add_cstr(sql, ") VALUES (?1");
    for (int i = 0; i < x->d->column_count; i++)
        strbuf_addf(sql, ", ?%d", i + 2);
    strbuf_add_cstr(sql, which == REMOVE ? ", 'delete')" : ")");
}

/* One that cannot be prepared says that the index or its table is of another kind. */
static bool prepare_all(struct indexing *x)
{
    for (int i = 0; i < STATEMENTS; i++) {
        struct err ignored = ERR_INIT;
        AUTO_STRBUF sql;
        strbuf_init(&sql, 1 << 20);
        put_sql(&sql, x, i);
        if (strbuf_failed(&sql) || op_prepare_internal(x->op, strbuf_cstr(&sql), &x->stmt[i], &ignored))
            return false;
    }
    return true;
}

/* SQLITE_ROW, SQLITE_DONE or an error; the caller resets it. `cells`: of the table's columns, NULL none. */
static int run(struct indexing *x, int which, int64_t rowid, const struct change_cell *cells)
{
    sqlite3_stmt *stmt = x->stmt[which];
    int rc = sqlite3_bind_int64(stmt, 1, rowid);
    for (int i = 0; cells && rc == SQLITE_OK && i < x->d->column_count; i++)
        rc = change_bind_cell(stmt, i + 2, &cells[x->map[i]]);
    return rc == SQLITE_OK ? change_step(x->op->eng, stmt) : rc;
}

static enum err_code sql_failed(struct indexing *x, int rc, struct err *err)
{
    return op_sql_error(x->op, rc, STR_EMPTY, err);
}

static enum err_code tell(
    struct indexing *x, int which, int64_t rowid, const struct change_cell *cells, struct err *err)
{
    int rc = run(x, which, rowid, cells);
    (void)sqlite3_reset(x->stmt[which]); /* repeats the error of the step */
    return rc == SQLITE_DONE ? ERR_OK : sql_failed(x, rc, err);
}

/* --- Rows --- */

static enum err_code is_indexed(struct indexing *x, int64_t rowid, bool *ret, struct err *err)
{
    int rc = run(x, IS_INDEXED, rowid, NULL);
    (void)sqlite3_reset(x->stmt[IS_INDEXED]); /* repeats the error of the step */
    *ret = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : sql_failed(x, rc, err);
}

/* What an update has left is read from the table: the values are SQLite's until `stmt` is reset. */
static bool changes(const struct indexing *x)
{
    bool any = false;
    for (int i = 0; i < x->d->column_count; i++)
        any |= x->is[x->map[i]].kind != CHANGE_SAME;
    return any;
}

static enum err_code update(struct indexing *x, int64_t rowid, struct err *err)
{
    int rc = run(x, READ, rowid, NULL);
    for (int i = 0; rc == SQLITE_ROW && i < x->d->column_count; i++) {
        size_t column = x->map[i];
        if (x->is[column].kind == CHANGE_SAME)
            x->was[column] = x->is[column] = change_cell_column(x->stmt[READ], i + 1);
    }
    enum err_code code = rc == SQLITE_ROW ? tell(x, REMOVE, rowid, x->was, err) : sql_failed(x, rc, err);
    if (!code)
        code = tell(x, ADD, rowid, x->is, err);
    (void)sqlite3_reset(x->stmt[READ]); /* nothing more of it is read */
    return code;
}

static enum err_code index_row(struct indexing *x, const struct change_row *row, struct err *err)
{
    struct str old_cells = row->old_cells, new_cells = row->new_cells;
    bool indexed = false;
    for (size_t i = 0; i < x->t->column_count; i++) {
        if (old_cells.ptr)
            x->was[i] = change_cell_next(&old_cells);
        if (new_cells.ptr)
            x->is[i] = change_cell_next(&new_cells);
    }
    int64_t rowid = (row->op == CHANGE_INSERT ? x->is : x->was)[x->key].integer;
    enum err_code code = is_indexed(x, rowid, &indexed, err);
    if (code)
        return code;
    if (row->op == CHANGE_INSERT)
        return indexed ? ERR_OK : tell(x, ADD, rowid, x->is, err);
    if (!indexed || (row->op == CHANGE_UPDATE && !changes(x)))
        return ERR_OK;
    return row->op == CHANGE_DELETE ? tell(x, REMOVE, rowid, x->was, err) : update(x, rowid, err);
}

static enum err_code index_table(struct indexing *x, struct err *err)
{
    struct str rest = x->t->rows;
    struct change_row row;
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && !(code = change_row_next(x->t, &rest, &found, &row, err)) && found)
        code = index_row(x, &row, err);
    return code;
}

static enum err_code try_table(struct indexing *x, bool *ret_done, struct err *err)
{
    size_t n = x->t->column_count;
    x->map = mem_array((size_t)x->d->column_count, sizeof x->map[0]);
    x->was = mem_array(n, sizeof x->was[0]);
    x->is = mem_array(n, sizeof x->is[0]);
    *ret_done = find_key(x) && map_columns(x) && prepare_all(x);
    enum err_code code = *ret_done ? index_table(x, err) : ERR_OK;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(x->stmt[i]); /* reset already */
    mem_free(x->map);
    mem_free(x->was);
    mem_free(x->is);
    return code;
}

enum err_code index_rows(struct rehearsal *r, struct str set, struct str index, const struct fts5_decl *d,
    bool *ret_done, struct err *err)
{
    struct change_reader reader;
    struct change_table_view t;
    bool found = true;
    *ret_done = false;
    enum err_code code = change_reader_init(&reader, set, err);
    while (!code && !(code = change_table_next(&reader, &found, &t, err)) && found) {
        struct indexing x = {.op = r->op, .index = index, .d = d, .t = &t};
        if (!str_eq_nocase(t.name, d->content_table))
            continue;
        code = try_table(&x, ret_done, err);
        break;
    }
    change_reader_release(&reader);
    return code;
}
