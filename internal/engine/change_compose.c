/* Composing change sets. */
#include "engine/change_compose.h"
#include "base/limits.h"
#include "base/mem.h"
#include <stdlib.h>

enum { COMPOSE_BYTES_MAX = 128 << 20, ROW_BYTES_MAX = 64 << 20 };

/* What is known of a row so far: as it was before all, as it is after the last set. */
struct composed_row {
    struct composed_row *next;
    bool indirect, dead;
    struct str old_cells, new_cells; /* as in a change; ptr NULL: it was not, or is not, there */
};

struct composed_table {
    struct composed_table *next;
    struct change_table_view view; /* its columns are the composer's */
    struct map here, gone;         /* rows by how they are known now; those that are gone by how they were */
    struct composed_row *first, *last;
    uint64_t live;
};

/* --- Which row --- */

static struct change_cell told(struct change_cell cell, struct str *other)
{
    if (!other->ptr)
        return cell;
    struct change_cell was = change_cell_next(other);
    return cell.kind == CHANGE_SAME ? was : cell;
}

void change_row_key(const struct change_table_view *t, struct str cells, struct str other, struct strbuf *out)
{
    bool rowid = t->columns[0].flags & CHANGE_COLUMN_ROWID, keyed = false, null = false;
    struct str rest = cells, rest_other = other;
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = told(change_cell_next(&rest), &rest_other);
        keyed |= t->columns[i].flags & CHANGE_COLUMN_KEY;
        null |= (t->columns[i].flags & CHANGE_COLUMN_KEY) && cell.kind == CHANGE_NULL;
    }
    keyed &= !(null && rowid);
    strbuf_reset(out);
    strbuf_add_char(out, keyed ? 'k' : 'r');
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = told(change_cell_next(&cells), &other);
        if (t->columns[i].flags & (keyed ? CHANGE_COLUMN_KEY : CHANGE_COLUMN_ROWID))
            change_put_cell(out, &cell);
    }
}

static struct str key_of(
    struct change_composer *c, const struct composed_table *t, struct str cells, struct str other)
{
    change_row_key(&t->view, cells, other, &c->key);
    return strbuf_str(&c->key);
}

static const struct str NONE = {NULL, 0};

/* --- Tables --- */

static enum err_code too_large(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE,
        "these changes together are more than one write may hold (%lld rows, %lld MiB): take them in parts",
        (long long)LIMIT_CHANGE_ROWS, (long long)LIMIT_CHANGE_BYTES >> 20);
}

static struct composed_table *table_new(struct change_composer *c, const struct change_table_view *v)
{
    struct composed_table *t = arena_alloc(&c->arena, sizeof *t);
    struct change_column *columns = arena_alloc(&c->arena, v->column_count * sizeof columns[0]);
    if (!t || !columns)
        return NULL;
    memcpy(columns, v->columns, v->column_count * sizeof columns[0]);
    t->view = *v;
    t->view.columns = columns;
    map_init(&t->here);
    map_init(&t->gone);
    t->next = c->first;
    c->first = t;
    c->table_count++;
    (void)map_put(&c->tables, v->name, t); /* it was not there */
    return t;
}

static enum err_code table_of(struct change_composer *c, const struct change_table_view *v,
    struct composed_table **ret, struct err *err)
{
    *ret = map_get(&c->tables, v->name);
    if (!*ret)
        *ret = table_new(c, v);
    if (!*ret)
        return too_large(err);
    if (!str_eq((*ret)->view.head, v->head))
        return err_set(err, ERR_CONFLICT,
            "Table \"" STR_FMT "\" had other columns in between: take what was done before and after that "
            "one after the other",
            STR_ARG(v->name));
    return ERR_OK;
}

/* --- Rows --- */

static void tell_gap(struct change_composer *c, const struct composed_table *t, const struct change_row *row)
{
    c->gaps++;
    c->fn(c->arg, &t->view, row);
}

static struct composed_row *row_new(
    struct change_composer *c, struct composed_table *t, const struct change_row *row)
{
    struct composed_row *e = arena_alloc(&c->arena, sizeof *e);
    if (!e)
        return NULL;
    *e = (struct composed_row){
        .indirect = row->indirect, .old_cells = row->old_cells, .new_cells = row->new_cells};
    *(t->last ? &t->last->next : &t->first) = e;
    t->last = e;
    t->live++;
    c->rows++;
    return e;
}

static void row_end(struct change_composer *c, struct composed_table *t, struct composed_row *e)
{
    e->dead = true;
    t->live--;
    c->rows--;
}

/* Nobody named the row id of a row that has a key. */
static bool is_loose(const struct composed_table *t, size_t i)
{
    return (t->view.columns[i].flags & CHANGE_COLUMN_ROWID) && (t->view.flags & CHANGE_TABLE_HAS_KEY);
}

static bool names_row(const struct composed_table *t, size_t i)
{
    return t->view.columns[i].flags & (CHANGE_COLUMN_KEY | CHANGE_COLUMN_ROWID);
}

/* Is the row, as far as it is known, what the next change begins with? */
static bool follows(
    const struct composed_table *t, const struct composed_row *e, const struct change_row *row)
{
    struct str is = e->new_cells, was = e->old_cells, expected = row->old_cells;
    bool same = true;
    for (size_t i = 0; i < t->view.column_count; i++) {
        struct change_cell now = told(change_cell_next(&is), &was), want = change_cell_next(&expected);
        bool known = now.kind != CHANGE_SAME && want.kind != CHANGE_SAME && !is_loose(t, i);
        same &= !known || change_cell_eq(&now, &want);
    }
    return same;
}

/* Cells that were put together. */
static bool keep_cells(struct change_composer *c, struct str *ret)
{
    struct str copy = arena_copy(&c->arena, strbuf_str(&c->cells));
    if (!copy.ptr || strbuf_failed(&c->cells))
        return false;
    *ret = copy;
    return true;
}

/* A whole row, changed: `cells` with what `change` says in place of it. */
static bool put_over(struct change_composer *c, const struct composed_table *t, struct str cells,
    struct str change, struct str *ret)
{
    strbuf_reset(&c->cells);
    for (size_t i = 0; i < t->view.column_count; i++) {
        struct change_cell is = change_cell_next(&cells), will = change_cell_next(&change);
        change_put_cell(&c->cells, will.kind == CHANGE_SAME ? &is : &will);
    }
    return keep_cells(c, ret);
}

/* Both halves of an update, from a first and a last value of each column. */
struct halves {
    struct strbuf old_cells, new_cells;
    bool changed;
};

static void put_pair(struct halves *h, const struct composed_table *t, size_t i,
    const struct change_cell *first, const struct change_cell *last)
{
    static const struct change_cell SAME = {.kind = CHANGE_SAME, .bytes = {"", 0}};
    bool same = last->kind == CHANGE_SAME || change_cell_eq(first, last) || is_loose(t, i);
    change_put_cell(&h->old_cells, same && !names_row(t, i) ? &SAME : first);
    change_put_cell(&h->new_cells, same ? &SAME : last);
    h->changed |= !same;
}

static bool keep_halves(struct change_composer *c, struct halves *h, struct composed_row *e)
{
    struct str old_cells = arena_copy(&c->arena, strbuf_str(&h->old_cells));
    struct str new_cells = arena_copy(&c->arena, strbuf_str(&h->new_cells));
    bool ok =
        old_cells.ptr && new_cells.ptr && !strbuf_failed(&h->old_cells) && !strbuf_failed(&h->new_cells);
    if (ok) {
        e->old_cells = old_cells;
        e->new_cells = new_cells;
    }
    return ok;
}

/* update, update: of each column the first value that one of them tells, and the last; delete, insert: those
 * of the two rows. */
static bool join_update(
    struct change_composer *c, struct composed_table *t, struct composed_row *e, const struct change_row *row)
{
    struct str first = e->old_cells, first_new = e->new_cells, then = row->old_cells, last = row->new_cells;
    struct halves h = {.changed = false};
    strbuf_init(&h.old_cells, ROW_BYTES_MAX);
    strbuf_init(&h.new_cells, ROW_BYTES_MAX);
    for (size_t i = 0; i < t->view.column_count; i++) {
        struct change_cell none = {.kind = CHANGE_SAME, .bytes = STR_EMPTY};
        struct change_cell was = change_cell_next(&first), is = change_cell_next(&last);
        struct change_cell mid_new = first_new.ptr ? change_cell_next(&first_new) : none;
        struct change_cell mid_old = then.ptr ? change_cell_next(&then) : none;
        put_pair(
            &h, t, i, was.kind == CHANGE_SAME ? &mid_old : &was, is.kind == CHANGE_SAME ? &mid_new : &is);
    }
    bool ok = keep_halves(c, &h, e);
    if (ok && !h.changed)
        row_end(c, t, e);
    strbuf_release(&h.old_cells);
    strbuf_release(&h.new_cells);
    return ok;
}

/* update, delete: the whole old row, with what the update changed as it was before. */
static bool join_delete(struct change_composer *c, const struct composed_table *t, struct composed_row *e,
    const struct change_row *row)
{
    struct str was = e->old_cells, is = e->new_cells, last = row->old_cells;
    strbuf_reset(&c->cells);
    for (size_t i = 0; i < t->view.column_count; i++) {
        struct change_cell first = change_cell_next(&was), changed = change_cell_next(&is);
        struct change_cell whole = change_cell_next(&last);
        bool from_first = names_row(t, i) || changed.kind != CHANGE_SAME;
        change_put_cell(&c->cells, from_first ? &first : &whole);
    }
    e->new_cells = NONE;
    return keep_cells(c, &e->old_cells);
}

/* A row that is here is changed or goes. */
static bool join(
    struct change_composer *c, struct composed_table *t, struct composed_row *e, const struct change_row *row)
{
    e->indirect &= row->indirect;
    if (row->op == CHANGE_UPDATE)
        return e->old_cells.ptr ? join_update(c, t, e, row)
                                : put_over(c, t, e->new_cells, row->new_cells, &e->new_cells);
    if (e->old_cells.ptr)
        return join_delete(c, t, e, row);
    row_end(c, t, e);
    return true;
}

/* --- One set's table --- */

/* A row that comes to be known as something, once all have left what they were. */
struct arrival {
    struct composed_row *e;
    struct change_row row;
};

struct passing {
    struct composed_table *t;
    struct arrival *arrivals;
    size_t count;
};

/* What is changed or goes leaves its place. */
static bool leave(struct change_composer *c, struct passing *p, const struct change_row *row)
{
    struct composed_table *t = p->t;
    struct str key = key_of(c, t, row->old_cells, NONE);
    struct composed_row *e = map_get(&t->here, key);
    bool gap = e ? !follows(t, e, row) : map_get(&t->gone, key) != NULL;
    if (gap) {
        tell_gap(c, t, row);
        return true;
    }
    if (e)
        (void)map_del(&t->here, key);
    if (e ? !join(c, t, e, row) : !(e = row_new(c, t, row)))
        return false;
    if (row->op == CHANGE_UPDATE && !e->dead)
        p->arrivals[p->count++] = (struct arrival){e, *row};
    if (row->op == CHANGE_DELETE && !e->dead)
        (void)map_put(&t->gone, key_of(c, t, e->old_cells, NONE), e); /* nobody else was known as that */
    return true;
}

static bool arrive(struct change_composer *c, struct composed_table *t, const struct arrival *a)
{
    struct composed_row *e = a->e;
    struct str key = key_of(c, t, a->row.new_cells, a->row.old_cells);
    if (map_get(&t->here, key)) {
        tell_gap(c, t, &a->row);
        return true;
    }
    if (!e && (e = map_del(&t->gone, key))) {
        e->indirect &= a->row.indirect;
        if (!join_update(c, t, e, &a->row))
            return false;
    } else if (!e && !(e = row_new(c, t, &a->row)))
        return false;
    if (!e->dead)
        (void)map_put(&t->here, key, e); /* it was free */
    return true;
}

static enum err_code add_rows(
    struct change_composer *c, struct passing *p, const struct change_table_view *v, struct err *err)
{
    struct str rest = v->rows;
    struct change_row row;
    bool found = true;
    for (;;) {
        enum err_code code = change_row_next(v, &rest, &found, &row, err);
        if (code || !found)
            return code;
        if (row.op == CHANGE_INSERT)
            p->arrivals[p->count++] = (struct arrival){NULL, row};
        else if (!leave(c, p, &row))
            return too_large(err);
    }
}

static enum err_code add_table(struct change_composer *c, const struct change_table_view *v, struct err *err)
{
    struct passing p = {.count = 0};
    enum err_code code = table_of(c, v, &p.t, err);
    if (code)
        return code;
    p.arrivals = mem_array((size_t)v->row_count + 1, sizeof p.arrivals[0]);
    code = add_rows(c, &p, v, err);
    for (size_t i = 0; i < p.count && !code; i++) {
        if (!arrive(c, p.t, &p.arrivals[i]))
            code = too_large(err);
    }
    mem_free(p.arrivals);
    return code;
}

enum err_code change_composer_add(struct change_composer *c, struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_set_check(set, err);
    if (code)
        return code;
    code = change_reader_init(&r, set, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found)
            code = add_table(c, &t, err);
    }
    change_reader_release(&r);
    return code;
}

/* --- The result --- */

static int by_name(const void *va, const void *vb)
{
    const struct composed_table *const *a = va, *const *b = vb;
    struct str na = (*a)->view.name, nb = (*b)->view.name;
    int order = memcmp(na.ptr, nb.ptr, na.len < nb.len ? na.len : nb.len);
    return order ? order : (na.len > nb.len) - (na.len < nb.len);
}

static void put_row(struct strbuf *rows, const struct composed_row *e)
{
    enum change_op op = !e->old_cells.ptr ? CHANGE_INSERT : !e->new_cells.ptr ? CHANGE_DELETE : CHANGE_UPDATE;
    strbuf_add_char(rows, (char)((int)op | (e->indirect ? CHANGE_INDIRECT : 0)));
    if (e->old_cells.ptr)
        strbuf_add_str(rows, e->old_cells);
    if (e->new_cells.ptr)
        strbuf_add_str(rows, e->new_cells);
}

static void put_table(struct strbuf *out, const struct composed_table *t)
{
    AUTO_STRBUF rows;
    strbuf_init(&rows, out->limit);
    for (const struct composed_row *e = t->first; e; e = e->next) {
        if (!e->dead)
            put_row(&rows, e);
    }
    strbuf_add_str(out, t->view.head);
    change_put_number(out, t->live);
    change_put_name(out, strbuf_str(&rows));
    out->failed |= strbuf_failed(&rows);
}

enum err_code change_composer_finish(struct change_composer *c, struct strbuf *out, struct err *err)
{
    const struct composed_table **list = mem_array(c->table_count + 1, sizeof list[0]);
    size_t count = 0;
    for (const struct composed_table *t = c->first; t; t = t->next) {
        if (t->live)
            list[count++] = t;
    }
    qsort(list, count, sizeof list[0], by_name);
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, count);
    for (size_t i = 0; i < count; i++)
        put_table(out, list[i]);
    mem_free(list);
    bool fits = count <= CHANGE_TABLES_MAX && c->rows <= (uint64_t)LIMIT_CHANGE_ROWS && !strbuf_failed(out);
    return fits ? ERR_OK : too_large(err);
}

void change_composer_init(struct change_composer *c, change_gap_fn *fn, void *arg)
{
    *c = (struct change_composer){.fn = fn, .arg = arg};
    arena_init(&c->arena, COMPOSE_BYTES_MAX);
    strbuf_init(&c->key, ROW_BYTES_MAX);
    strbuf_init(&c->cells, ROW_BYTES_MAX);
    map_init(&c->tables);
}

void change_composer_release(struct change_composer *c)
{
    for (struct composed_table *t = c->first; t; t = t->next) {
        map_release(&t->here);
        map_release(&t->gone);
    }
    map_release(&c->tables);
    strbuf_release(&c->key);
    strbuf_release(&c->cells);
    arena_release(&c->arena);
}
