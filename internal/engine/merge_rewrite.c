/* The branch's change set without the conflicts that were decided. */
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/merge_internal.h"

struct rewriting {
    struct merge_round *m;
    const struct change_table_view *t;
    struct strbuf rows, whole_rows; /* of this table */
    uint64_t count, whole_count;
    struct change_table_view whole;
    struct str whole_rest; /* rows that stand for the updates still to come */
    bool has_whole;
    int64_t next_rowid; /* 0: not known yet */
};

static const struct change_cell SAME = {.kind = CHANGE_SAME, .bytes = {"", 0}};

/* --- One row --- */

/* The parent's row becomes the branch's: of what the branch changed (`told`), what is not the same. false:
 * all is. */
static bool put_update(struct strbuf *out, const struct change_table_view *t, struct str now, struct str told)
{
    bool any = false;
    size_t begin = out->len;
    strbuf_add_char(out, (char)CHANGE_UPDATE);
    for (int half = 0; half < 2; half++) {
        struct str was = now, is = told;
        for (size_t i = 0; i < t->column_count; i++) {
            struct change_cell a = change_cell_next(&was), b = change_cell_next(&is);
            bool rowid = t->columns[i].flags & CHANGE_COLUMN_ROWID;
            bool same = rowid || b.kind == CHANGE_SAME || change_cell_eq(&a, &b);
            bool finds = rowid || (t->columns[i].flags & CHANGE_COLUMN_KEY);
            any |= !same;
            if (half == 0)
                change_put_cell(out, same && !finds ? &SAME : &a);
            else
                change_put_cell(out, same ? &SAME : &b);
        }
    }
    if (!any)
        strbuf_truncate(out, begin);
    return any;
}

/* The whole row of the update at hand, whose turn it is. */
static enum err_code next_whole(struct rewriting *w, struct change_row *ret, struct err *err)
{
    bool found = false;
    enum err_code code = w->has_whole ? change_row_next(&w->whole, &w->whole_rest, &found, ret, err) : ERR_OK;
    if (!code && !found)
        code = err_set(err, ERR_INTERNAL, "the changes of the branch are damaged");
    return code;
}

static void keep_whole(struct rewriting *w, struct str bytes)
{
    strbuf_add_str(&w->whole_rows, bytes);
    w->whole_count++;
}

/* Beyond what either has. */
static enum err_code find_rowid(struct rewriting *w, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    struct engine *eng = w->m->op->eng;
    struct str rest = w->t->rows;
    struct change_row row;
    bool found = true;
    strbuf_init(&sql, 1 << 20);
    strbuf_add_cstr(&sql, "SELECT max(");
    strbuf_add_cstr(&sql, change_rowid_name(w->t));
    strbuf_add_cstr(&sql, ") FROM main.");
    catalog_quote(&sql, w->t->name);
    enum err_code code = op_prepare_internal(w->m->op, strbuf_cstr(&sql), &stmt, err);
    int rc = code ? SQLITE_ERROR : change_step(eng, stmt);
    if (!code && rc != SQLITE_ROW)
        code = op_sql_error(w->m->op, rc, STR_EMPTY, err);
    int64_t highest = code ? 0 : sqlite3_column_int64(stmt, 0);
    while (!code && found) {
        code = change_row_next(w->t, &rest, &found, &row, err);
        struct str cells = found && !code ? row.new_cells : (struct str){NULL, 0};
        struct change_cell id = cells.ptr ? change_cell_next(&cells) : SAME;
        if (id.kind == CHANGE_INT && id.integer > highest)
            highest = id.integer;
    }
    if (!code && highest == INT64_MAX)
        return err_set(err, ERR_CONFLICT, "table \"" STR_FMT "\" has no row ids left", STR_ARG(w->t->name));
    w->next_rowid = highest + 1;
    return code;
}

static enum err_code put_moved(struct rewriting *w, const struct change_row *row, struct err *err)
{
    struct str cells = row->new_cells;
    struct change_cell id = {.kind = CHANGE_INT, .bytes = STR_EMPTY};
    enum err_code code = w->next_rowid ? ERR_OK : find_rowid(w, err);
    if (!code && w->next_rowid == INT64_MAX)
        code = err_set(err, ERR_CONFLICT, "table \"" STR_FMT "\" has no row ids left", STR_ARG(w->t->name));
    id.integer = w->next_rowid++;
    (void)change_cell_next(&cells);
    strbuf_add_char(&w->rows, (char)CHANGE_INSERT);
    change_put_cell(&w->rows, &id);
    strbuf_add_str(&w->rows, cells);
    w->count++;
    return code;
}

static void put_insert(struct rewriting *w, struct str bytes)
{
    strbuf_add_str(&w->rows, bytes);
    w->count++;
}

/* `whole`: of an update. */
static void put_forced(struct rewriting *w, const struct change_row *row, const struct merge_decision *d,
    const struct change_row *whole)
{
    if (row->op == CHANGE_DELETE) {
        strbuf_add_char(&w->rows, (char)CHANGE_DELETE);
        strbuf_add_str(&w->rows, d->now);
        w->count++;
        return;
    }
    if (!d->now.ptr) { /* it is there no more: all of it */
        put_insert(w, whole->bytes);
        return;
    }
    bool update = row->op == CHANGE_UPDATE;
    if (!put_update(&w->rows, w->t, d->now, row->new_cells))
        return;
    w->count++;
    keep_whole(w, update ? whole->bytes : row->bytes);
}

static enum err_code put_row(struct rewriting *w, const struct change_row *row, struct err *err)
{
    const char *at = row->bytes.ptr;
    const struct merge_decision *d = map_get(&w->m->decided, str_make(&at, sizeof at));
    struct change_row whole = {.bytes = STR_EMPTY};
    enum err_code code = row->op == CHANGE_UPDATE ? next_whole(w, &whole, err) : ERR_OK;
    if (code || (d && d->fate == FATE_DROPPED))
        return code;
    if (d && d->fate == FATE_MOVED)
        return put_moved(w, row, err);
    if (d) {
        put_forced(w, row, d, &whole);
        return ERR_OK;
    }
    strbuf_add_str(&w->rows, row->bytes);
    w->count++;
    if (row->op == CHANGE_UPDATE)
        keep_whole(w, whole.bytes);
    return ERR_OK;
}

/* --- Tables --- */

static enum err_code find_whole(struct rewriting *w, struct change_reader *r, struct err *err)
{
    bool found = true;
    enum err_code code = change_reader_init(r, w->m->whole, err);
    w->has_whole = false;
    while (!code && found && !w->has_whole) {
        code = change_table_next(r, &found, &w->whole, err);
        w->has_whole = !code && found && str_eq(w->whole.head, w->t->head);
    }
    w->whole_rest = w->whole.rows;
    return code;
}

static void put_table(
    struct strbuf *out, const struct rewriting *w, uint64_t count, const struct strbuf *rows)
{
    strbuf_add_str(out, w->t->head);
    change_put_number(out, count);
    change_put_name(out, strbuf_str(rows));
    out->failed |= strbuf_failed(rows);
}

struct outputs {
    struct strbuf set, whole;
    size_t tables, whole_tables;
};

static enum err_code rewrite_table(
    struct merge_round *m, const struct change_table_view *t, struct outputs *o, struct err *err)
{
    struct rewriting w = {.m = m, .t = t};
    struct change_reader r = {.columns = NULL};
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    strbuf_init(&w.rows, 2 * (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&w.whole_rows, 2 * (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = find_whole(&w, &r, err);
    while (!code && found) {
        code = change_row_next(t, &rest, &found, &row, err);
        if (!code && found)
            code = put_row(&w, &row, err);
    }
    if (!code && w.count) {
        put_table(&o->set, &w, w.count, &w.rows);
        o->tables++;
    }
    if (!code && w.whole_count) {
        put_table(&o->whole, &w, w.whole_count, &w.whole_rows);
        o->whole_tables++;
    }
    change_reader_release(&r);
    strbuf_release(&w.rows);
    strbuf_release(&w.whole_rows);
    return code;
}

static void put_all(struct strbuf *out, size_t tables, const struct strbuf *bytes)
{
    strbuf_reset(out);
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, tables);
    strbuf_add_str(out, strbuf_str(bytes));
    out->failed |= strbuf_failed(bytes);
}

enum err_code merge_rewrite(struct merge_round *m, struct strbuf *set, struct strbuf *whole, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    struct outputs o = {.tables = 0};
    bool found = true;
    if (m->out_of_memory)
        return err_set(err, ERR_TOO_LARGE, "there are too many conflicts to be settled at once: name tables");
    strbuf_init(&o.set, 2 * (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&o.whole, 2 * (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = change_reader_init(&r, m->set, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found)
            code = rewrite_table(m, &t, &o, err);
    }
    change_reader_release(&r);
    put_all(set, o.tables, &o.set);
    put_all(whole, o.whole_tables, &o.whole);
    strbuf_release(&o.set);
    strbuf_release(&o.whole);
    if (!code && (strbuf_failed(set) || strbuf_failed(whole)))
        code = err_set(err, ERR_TOO_LARGE, "the merge is too large: name tables");
    return code;
}
