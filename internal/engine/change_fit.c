/* Leaving columns out of a change set. */
#include "engine/change_fit.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include <string.h>

struct fitting {
    struct op *op;
    change_conflict_fn *fn;
    void *arg;
    uint64_t conflicts;
    const struct change_table_view *t, *like;
    size_t *from;                  /* of each column of `like`: which one it is in t */
    bool *stays;                   /* of each column of t: `like` has it */
    struct change_cell *was, *now; /* of a row */
    struct strbuf rows;
};

/* --- Does it fit? --- */

static size_t find_column(const struct change_table_view *t, const struct change_column *like)
{
    size_t i = 0;
    while (i < t->column_count &&
           !(str_eq(t->columns[i].name, like->name) && t->columns[i].flags == like->flags))
        i++;
    return i;
}

static bool fits(struct fitting *x)
{
    bool all = x->t->flags == x->like->flags;
    x->from = arena_need(x->op->arena, x->like->column_count * sizeof x->from[0]);
    x->stays = arena_need(x->op->arena, x->t->column_count * sizeof x->stays[0]);
    x->was = arena_need(x->op->arena, x->t->column_count * sizeof x->was[0]);
    x->now = arena_need(x->op->arena, x->t->column_count * sizeof x->now[0]);
    memset(x->stays, 0, x->t->column_count * sizeof x->stays[0]);
    for (size_t i = 0; i < x->like->column_count && all; i++) {
        x->from[i] = find_column(x->t, &x->like->columns[i]);
        all = x->from[i] < x->t->column_count;
        if (all)
            x->stays[x->from[i]] = true;
    }
    for (size_t i = 0; i < x->t->column_count && all; i++)
        all = x->stays[i] || x->t->columns[i].flags == 0;
    return all;
}

/* --- Values in other columns --- */

/* A row that was there when the column came has its default: a literal, mostly. */
static enum err_code is_default(
    struct fitting *x, struct str column, const struct change_cell *cell, bool *ret, struct err *err)
{
    AUTO_SQL *find = NULL;
    AUTO_SQL *stmt = NULL;
    AUTO_STRBUF sql;
    struct catalog_source src = catalog_source_of_op(x->op);
    bool row = false;
    strbuf_init(&sql, 1 << 20);
    enum err_code code = catalog_prepare(&src,
        "SELECT 'SELECT ?1 IS ' || dflt_value FROM pragma_table_xinfo(?1) WHERE name = ?2 AND "
        "dflt_value NOT LIKE '%(%'",
        x->t->name, &find, err);
    if (!code && sqlite3_bind_text64(find, 2, column.ptr, column.len, SQLITE_STATIC, SQLITE_UTF8))
        code = err_set(err, ERR_TOO_LARGE, "out of memory");
    if (!code)
        code = catalog_step(&src, find, &row, err);
    *ret = false;
    if (code || !row)
        return code;
    strbuf_add_str(&sql, catalog_text(x->op->arena, find, 0));
    code = strbuf_failed(&sql) ? err_set(err, ERR_TOO_LARGE, "the schema is too large")
                               : op_prepare_internal(x->op, strbuf_cstr(&sql), &stmt, err);
    if (!code && change_bind_cell(stmt, 1, cell))
        code = err_set(err, ERR_TOO_LARGE, "out of memory");
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    *ret = !code && row && sqlite3_column_int(stmt, 0) == 1;
    return code;
}

static enum err_code check_column(
    struct fitting *x, const struct change_row *row, size_t i, bool *ret, struct err *err)
{
    *ret = true;
    if (row->op == CHANGE_UPDATE)
        *ret = x->now[i].kind == CHANGE_SAME;
    else if (row->op == CHANGE_DELETE && x->was[i].kind != CHANGE_NULL)
        return is_default(x, x->t->columns[i].name, &x->was[i], ret, err);
    return ERR_OK; /* a new row has its default there */
}

static enum err_code check_row(struct fitting *x, const struct change_row *row, struct err *err)
{
    bool fine = true;
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < x->t->column_count && fine && !code; i++) {
        if (!x->stays[i])
            code = check_column(x, row, i, &fine, err);
    }
    if (code || fine)
        return code;
    struct change_conflict c = {CONFLICT_DIFFERS, x->t, row, x->was, false};
    x->conflicts++;
    x->fn(x->arg, &c);
    return ERR_OK;
}

/* --- Rows --- */

static void read_cells(const struct fitting *x, struct str cells, struct change_cell *out)
{
    for (size_t i = 0; cells.ptr && i < x->t->column_count; i++)
        out[i] = change_cell_next(&cells);
}

static void put_cells(struct fitting *x, const struct change_cell *cells)
{
    for (size_t i = 0; i < x->like->column_count; i++)
        change_put_cell(&x->rows, &cells[x->from[i]]);
}

static enum err_code fit_rows(struct fitting *x, struct err *err)
{
    struct str rest = x->t->rows;
    struct change_row row;
    bool found = true;
    for (;;) {
        enum err_code code = change_row_next(x->t, &rest, &found, &row, err);
        if (code || !found)
            return code;
        read_cells(x, row.old_cells, x->was);
        read_cells(x, row.new_cells, x->now);
        code = check_row(x, &row, err);
        if (code)
            return code;
        strbuf_add_char(&x->rows, row.bytes.ptr[0]); /* what was done */
        if (row.old_cells.ptr)
            put_cells(x, x->was);
        if (row.new_cells.ptr)
            put_cells(x, x->now);
    }
}

/* --- Tables --- */

static enum err_code fit_table(struct fitting *x, struct strbuf *out, struct err *err)
{
    enum err_code code = ERR_OK;
    bool narrow = x->like && !str_eq(x->like->head, x->t->head) && fits(x);
    strbuf_reset(&x->rows);
    if (narrow)
        code = fit_rows(x, err);
    strbuf_add_str(out, narrow ? x->like->head : x->t->head);
    change_put_number(out, x->t->row_count);
    change_put_name(out, narrow ? strbuf_str(&x->rows) : x->t->rows);
    return !code && strbuf_failed(&x->rows) ? err_set(err, ERR_TOO_LARGE, "the change set is too large")
                                            : code;
}

static enum err_code find_and_fit(struct fitting *x, struct str like, struct strbuf *out, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_reader_init(&r, like, err);
    while (!code && !(code = change_table_next(&r, &found, &t, err)) && found && !str_eq(t.name, x->t->name))
        ;
    x->like = found ? &t : NULL;
    if (!code)
        code = fit_table(x, out, err);
    x->like = NULL;
    change_reader_release(&r);
    return code;
}

enum err_code change_fit(struct op *op, struct str set, struct str like, change_conflict_fn *fn, void *arg,
    uint64_t *ret_conflicts, struct strbuf *out, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    struct fitting x = {.op = op, .fn = fn, .arg = arg, .t = &t};
    bool found = true;
    strbuf_init(&x.rows, out->limit);
    enum err_code code = change_reader_init(&r, set, err);
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, code ? 0 : r.tables_left);
    while (!code && !(code = change_table_next(&r, &found, &t, err)) && found)
        code = find_and_fit(&x, like, out, err);
    change_reader_release(&r);
    strbuf_release(&x.rows);
    *ret_conflicts = x.conflicts;
    return !code && strbuf_failed(out) ? err_set(err, ERR_TOO_LARGE, "the change set is too large") : code;
}
