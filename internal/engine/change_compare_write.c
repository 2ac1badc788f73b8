/* The end of a comparison: differences as bytes of a change set. */
#include "base/limits.h"
#include "base/map.h"
#include "engine/change_compare_internal.h"

enum err_code compare_too_much(const struct comparing *x, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE,
        "the branch changed more than %lld rows or %lld MiB of them (up to \"" STR_FMT
        "\"), which is the most that can be compared: name the table, or tables that changed less",
        (long long)LIMIT_CHANGE_ROWS, (long long)LIMIT_CHANGE_BYTES >> 20,
        STR_ARG(str_slice(x->t.name, 0, 100)));
}

static struct str cells_of(const struct comparing *x, int64_t at, size_t len)
{
    return at < 0 ? NO_ROW : str_slice(strbuf_str(&x->cells), (size_t)at, (size_t)at + len);
}

/* false: NULL is part of the key, which tells no rows apart. */
static bool declared_key(struct comparing *x, struct str cells)
{
    bool whole = true;
    strbuf_reset(&x->key);
    for (size_t i = 0; i < x->t.column_count; i++) {
        if (x->t.columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        struct change_cell cell = change_cell_next(&cells);
        if (!(x->t.columns[i].flags & CHANGE_COLUMN_KEY))
            continue;
        whole &= cell.kind != CHANGE_NULL;
        change_put_cell(&x->key, &cell);
    }
    return whole;
}

/* A row that has another row id now is the same row if its key is. */
static void join_by_key(struct comparing *x)
{
    struct map gone;
    if (!x->now->has_key || x->now->without_rowid)
        return;
    map_init(&gone);
    for (size_t i = 0; i < x->count; i++) {
        struct difference *d = &x->list[i];
        if (d->new_at < 0 && declared_key(x, cells_of(x, d->old_at, d->old_len)))
            (void)map_put(&gone, strbuf_str(&x->key), d); /* keys differ */
    }
    for (size_t i = 0; i < x->count; i++) {
        struct difference *d = &x->list[i], *old;
        if (d->old_at >= 0 || d->new_at < 0 || !declared_key(x, cells_of(x, d->new_at, d->new_len)))
            continue;
        old = map_del(&gone, strbuf_str(&x->key));
        if (!old)
            continue;
        d->old_at = old->old_at;
        d->old_len = old->old_len;
        d->old_rowid = old->old_rowid;
        old->old_at = -1;
    }
    map_release(&gone);
}

static void put_rowid_cell(struct strbuf *out, const struct comparing *x, int64_t rowid, bool same)
{
    struct change_cell cell = {
        .kind = same ? CHANGE_SAME : CHANGE_INT, .integer = same ? 0 : rowid, .bytes = STR_EMPTY};
    if (x->t.columns[0].flags & CHANGE_COLUMN_ROWID)
        change_put_cell(out, &cell);
}

static void put_halves(struct strbuf *out, const struct comparing *x, struct str was, struct str is)
{
    static const struct change_cell SAME = {.kind = CHANGE_SAME, .bytes = {"", 0}};
    for (int half = 0; half < 2; half++) {
        struct str old_cells = was, new_cells = is;
        for (size_t i = x->t.columns[0].flags & CHANGE_COLUMN_ROWID ? 1 : 0; i < x->t.column_count; i++) {
            struct change_cell a = change_cell_next(&old_cells), b = change_cell_next(&new_cells);
            bool same = change_cell_eq(&a, &b), key = x->t.columns[i].flags & CHANGE_COLUMN_KEY;
            if (half == 0)
                change_put_cell(out, same && !key ? &SAME : &a);
            else
                change_put_cell(out, same ? &SAME : &b);
        }
        if (half == 0)
            put_rowid_cell(out, x, 0, true);
    }
}

static void put_difference(struct strbuf *out, const struct comparing *x, const struct difference *d)
{
    struct str was = cells_of(x, d->old_at, d->old_len), is = cells_of(x, d->new_at, d->new_len);
    enum change_op op = was.ptr && is.ptr ? CHANGE_UPDATE : was.ptr ? CHANGE_DELETE : CHANGE_INSERT;
    strbuf_add_char(out, (char)op);
    put_rowid_cell(out, x, was.ptr ? d->old_rowid : d->new_rowid, false);
    if (op == CHANGE_UPDATE)
        put_halves(out, x, was, is);
    else
        strbuf_add_str(out, was.ptr ? was : is);
}

static void put_whole(struct strbuf *out, const struct comparing *x, const struct difference *d)
{
    strbuf_add_char(out, (char)CHANGE_INSERT);
    put_rowid_cell(out, x, d->old_rowid, false);
    strbuf_add_str(out, cells_of(x, d->new_at, d->new_len));
}

static bool is_nothing(const struct comparing *x, const struct difference *d)
{
    return (d->old_at < 0 && d->new_at < 0) ||
           (d->old_at >= 0 && d->new_at >= 0 &&
               str_eq(cells_of(x, d->old_at, d->old_len), cells_of(x, d->new_at, d->new_len)));
}

static size_t put_rows(struct strbuf *out, const struct comparing *x, bool whole)
{
    size_t count = 0;
    for (size_t i = 0; i < x->count; i++) {
        const struct difference *d = &x->list[i];
        if (is_nothing(x, d) || (whole && (d->old_at < 0 || d->new_at < 0)))
            continue;
        if (whole)
            put_whole(out, x, d);
        else
            put_difference(out, x, d);
        count++;
    }
    return count;
}

static size_t put_table(struct strbuf *out, const struct comparing *x, bool whole)
{
    AUTO_STRBUF rows;
    strbuf_init(&rows, out->limit);
    size_t count = put_rows(&rows, x, whole);
    if (count == 0)
        return 0;
    change_put_head(out, &x->t);
    change_put_number(out, count);
    change_put_name(out, strbuf_str(&rows));
    out->failed |= strbuf_failed(&rows);
    return count;
}

enum err_code compare_write_table(struct comparing *x, struct err *err)
{
    join_by_key(x);
    size_t count = put_table(&x->tables, x, false);
    x->rows += count;
    x->table_count += count > 0;
    if (x->c->whole)
        x->whole_count += put_table(&x->whole_tables, x, true) > 0;
    if (x->table_count > CHANGE_TABLES_MAX)
        return err_set(err, ERR_TOO_LARGE, "the branch changed more than %d tables: name some of them",
            (int)CHANGE_TABLES_MAX);
    return strbuf_failed(&x->tables) || strbuf_failed(&x->whole_tables) || strbuf_failed(&x->cells)
               ? compare_too_much(x, err)
               : ERR_OK;
}

void compare_put_all(struct strbuf *out, size_t count, const struct strbuf *tables)
{
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, count);
    strbuf_add_str(out, strbuf_str(tables));
}
