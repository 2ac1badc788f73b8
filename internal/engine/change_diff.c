/* Two change sets side by side. */
#include "engine/change_diff.h"
#include "base/map.h"
#include "base/mem.h"

struct place {
    struct str bytes; /* of the row */
};

struct side {
    struct map by_key;
    struct place *places;
    size_t count;
};

typedef enum err_code row_fn(void *arg, const struct change_table_view *t, size_t table,
    const struct change_row *row, struct err *err);

static enum err_code each_row(struct str set, row_fn *fn, void *arg, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    struct change_row row;
    bool table_found = true, found;
    size_t table = 0;
    enum err_code code = change_reader_init(&r, set, err);
    for (; !code && table_found; table++) {
        code = change_table_next(&r, &table_found, &t, err);
        struct str rest = t.rows;
        found = !code && table_found;
        while (!code && found) {
            code = change_row_next(&t, &rest, &found, &row, err);
            if (!code && found)
                code = fn(arg, &t, table, &row, err);
        }
    }
    change_reader_release(&r);
    return code;
}

/* Table and key; of a row without a key its row id. */
static void put_key(struct strbuf *out, const struct change_table_view *t, const struct change_row *row)
{
    struct str cells = row->old_cells.ptr ? row->old_cells : row->new_cells, rest = cells;
    bool keyed = t->flags & CHANGE_TABLE_HAS_KEY || !(t->columns[0].flags & CHANGE_COLUMN_ROWID);
    for (size_t i = 0; i < t->column_count; i++) { /* NULL in a key tells no rows apart */
        struct change_cell cell = change_cell_next(&rest);
        bool null = (t->columns[i].flags & CHANGE_COLUMN_KEY) && cell.kind == CHANGE_NULL;
        keyed &= !(null && (t->columns[0].flags & CHANGE_COLUMN_ROWID));
    }
    strbuf_reset(out);
    change_put_name(out, t->name);
    strbuf_add_char(out, row->new_cells.ptr && !row->old_cells.ptr ? 'i' : 'o');
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (t->columns[i].flags & (keyed ? CHANGE_COLUMN_KEY : CHANGE_COLUMN_ROWID))
            change_put_cell(out, &cell);
    }
}

struct gathering {
    struct side *side;
    struct strbuf key;
    size_t cap;
};

static enum err_code gather(
    void *arg, const struct change_table_view *t, size_t table, const struct change_row *row, struct err *err)
{
    struct gathering *g = arg;
    struct side *s = g->side;
    (void)err;
    (void)t;
    (void)table;
    if (s->count == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 64;
        s->places = mem_grow(s->places, g->cap, sizeof s->places[0]);
    }
    s->places[s->count++] = (struct place){row->bytes};
    return ERR_OK;
}

static enum err_code index_row(
    void *arg, const struct change_table_view *t, size_t table, const struct change_row *row, struct err *err)
{
    struct gathering *g = arg;
    (void)err;
    (void)table;
    put_key(&g->key, t, row);
    (void)map_put(&g->side->by_key, strbuf_str(&g->key), &g->side->places[g->cap++]); /* keys differ */
    return ERR_OK;
}

static enum err_code side_read(struct side *s, struct str set, struct err *err)
{
    struct gathering g = {.side = s};
    *s = (struct side){.count = 0};
    map_init(&s->by_key);
    strbuf_init(&g.key, 64 << 20);
    enum err_code code = each_row(set, gather, &g, err);
    g.cap = 0;
    if (!code)
        code = each_row(set, index_row, &g, err);
    strbuf_release(&g.key);
    return code;
}

static void side_release(struct side *s)
{
    map_release(&s->by_key);
    mem_free(s->places);
}

/* The same but for who did it and which row id a new row got. */
static bool row_eq(const struct change_table_view *t, const struct change_row *row, struct str other)
{
    bool found;
    struct change_row o;
    if (change_row_next(t, &other, &found, &o, NULL) || o.op != row->op)
        return false;
    struct str a_old = row->old_cells, b_old = o.old_cells, a_new = row->new_cells, b_new = o.new_cells;
    bool same = true;
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell none = {.kind = CHANGE_NULL, .bytes = STR_EMPTY};
        struct change_cell aw = a_old.ptr ? change_cell_next(&a_old) : none;
        struct change_cell bw = b_old.ptr ? change_cell_next(&b_old) : none;
        struct change_cell an = a_new.ptr ? change_cell_next(&a_new) : none;
        struct change_cell bn = b_new.ptr ? change_cell_next(&b_new) : none;
        bool skip = (t->columns[i].flags & CHANGE_COLUMN_ROWID) && t->flags & CHANGE_TABLE_HAS_KEY;
        same &= skip || (change_cell_eq(&aw, &bw) && change_cell_eq(&an, &bn));
    }
    return same;
}

struct comparing {
    struct side proposed, now;
    struct strbuf key;
    bool forth; /* the rows of `proposed` pass; then those of `now` */
    bool all_same;
    /* writing; w NULL: not */
    const struct change_view *v;
    struct jsonw *w;
    size_t written, begin;
    bool full;
};

static void write_change(
    struct jsonw *w, const char *key, const struct change_table_view *t, const struct change_row *row)
{
    jsonw_key(w, key);
    if (row)
        change_view_row(w, t, row);
    else
        jsonw_null(w);
}

static void write_pair(struct comparing *c, const struct change_table_view *t, const struct change_row *row,
    const struct place *other)
{
    bool found;
    struct change_row o;
    struct str rest = other ? other->bytes : STR_EMPTY;
    bool visible = !(c->v->sees && !c->v->sees(c->v->arg, t->name)) && !(c->v->no_indirect && row->indirect);
    if (!visible)
        return;
    c->full |= c->written >= c->v->rows_max || c->w->out->len - c->begin > c->v->bytes_max;
    if (c->full)
        return;
    c->written++;
    bool pair = other && change_row_next(t, &rest, &found, &o, NULL) == ERR_OK;
    jsonw_object(c->w);
    JSONW_TEXT(c->w, "table", t->name);
    jsonw_key(c->w, "key");
    change_view_key(c->w, t, row->old_cells.ptr ? row->old_cells : row->new_cells);
    JSONW_CSTR(c->w, "kind", pair ? "differs" : c->forth ? "missing" : "new");
    write_change(c->w, "proposed", t, c->forth ? row : NULL);
    write_change(c->w, "now", t, pair ? &o : c->forth ? NULL : row);
    jsonw_object_end(c->w);
}

static enum err_code compare_row(
    void *arg, const struct change_table_view *t, size_t table, const struct change_row *row, struct err *err)
{
    struct comparing *c = arg;
    (void)table;
    (void)err;
    put_key(&c->key, t, row);
    struct place *other = map_get(c->forth ? &c->now.by_key : &c->proposed.by_key, strbuf_str(&c->key));
    if (other && row_eq(t, row, other->bytes))
        return ERR_OK;
    c->all_same = false;
    if (c->w && (c->forth || !other))
        write_pair(c, t, row, other);
    return ERR_OK;
}

/* A table of the same name must have the same columns for its rows to be read by the other's view. */
static enum err_code heads_fit(struct str a, struct str b, bool *ret, struct err *err)
{
    struct change_reader ra, rb;
    struct change_table_view ta, tb;
    bool fa = true, fb;
    enum err_code code = change_reader_init(&ra, a, err);
    *ret = true;
    if (code)
        return code;
    while (!code && !(code = change_table_next(&ra, &fa, &ta, err)) && fa) {
        code = change_reader_init(&rb, b, err);
        fb = true;
        while (!code && fb && !(code = change_table_next(&rb, &fb, &tb, err)) && fb)
            *ret &= !str_eq(ta.name, tb.name) || str_eq(ta.head, tb.head);
        change_reader_release(&rb);
    }
    change_reader_release(&ra);
    return code;
}

static enum err_code compare(struct str a, struct str b, struct comparing *c, bool *ret_same, struct err *err)
{
    bool fit;
    *ret_same = false;
    enum err_code code = heads_fit(a, b, &fit, err);
    if (code || !fit)
        return code;
    code = side_read(&c->proposed, a, err);
    enum err_code second = side_read(&c->now, b, code ? NULL : err);
    code = code ? code : second;
    strbuf_init(&c->key, 64 << 20);
    c->all_same = c->proposed.count == c->now.count;
    c->forth = true;
    if (!code)
        code = each_row(a, compare_row, c, err);
    c->forth = false;
    if (!code)
        code = each_row(b, compare_row, c, err);
    *ret_same = c->all_same;
    strbuf_release(&c->key);
    side_release(&c->proposed);
    side_release(&c->now);
    return code;
}

/* Mostly both are in the same order, and nothing needs to be looked up. */
static enum err_code same_rows_of(
    const struct change_table_view *a, const struct change_table_view *b, bool *ret_same, struct err *err)
{
    struct str rest_a = a->rows, rest_b = b->rows;
    struct change_row row_a, row_b;
    bool found_a = true, found_b = true;
    while (*ret_same && found_a) {
        enum err_code code = change_row_next(a, &rest_a, &found_a, &row_a, err);
        if (!code)
            code = change_row_next(b, &rest_b, &found_b, &row_b, err);
        if (code)
            return code;
        *ret_same = found_a == found_b && (!found_a || row_eq(a, &row_a, row_b.bytes));
    }
    return ERR_OK;
}

static enum err_code same_in_order(struct str a, struct str b, bool *ret_same, struct err *err)
{
    struct change_reader ra = {.columns = NULL}, rb = {.columns = NULL};
    struct change_table_view ta, tb;
    bool found_a = true, found_b = true;
    *ret_same = true;
    enum err_code code = change_reader_init(&ra, a, err);
    if (!code)
        code = change_reader_init(&rb, b, err);
    while (!code && *ret_same && found_a) {
        code = change_table_next(&ra, &found_a, &ta, err);
        if (!code)
            code = change_table_next(&rb, &found_b, &tb, err);
        if (code)
            break;
        *ret_same = found_a == found_b && (!found_a || str_eq(ta.head, tb.head));
        if (*ret_same && found_a)
            code = same_rows_of(&ta, &tb, ret_same, err);
    }
    change_reader_release(&ra);
    change_reader_release(&rb);
    return code;
}

enum err_code change_same_rows(struct str a, struct str b, bool *ret, struct err *err)
{
    struct comparing c = {.w = NULL};
    *ret = str_eq(a, b);
    enum err_code code = *ret ? ERR_OK : same_in_order(a, b, ret, err);
    return code || *ret ? code : compare(a, b, &c, ret, err);
}

enum err_code change_diff_write(
    const struct change_view *v, struct str proposed, struct str now, struct jsonw *w, struct err *err)
{
    struct comparing c = {.v = v, .w = w, .begin = w->out->len};
    bool same;
    jsonw_key(w, "rows");
    jsonw_array(w);
    enum err_code code = compare(proposed, now, &c, &same, err);
    jsonw_array_end(w);
    JSONW_BOOL(w, "truncated", c.full);
    return code;
}
