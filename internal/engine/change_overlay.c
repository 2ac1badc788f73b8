/* Change sets laid over rows. */
#include "engine/change_overlay.h"
#include "base/mem.h"

enum { ARENA_MAX = 256 << 20, KEY_MAX = 64 << 20 };

/* One change of the row; `columns` says for each column of the table which cell of the change tells it. */
struct layer {
    struct layer *next;
    enum change_op op;
    struct str cells;
    const int *columns;
};

struct overlay_row {
    struct overlay_row *next;
    struct layer *first, **end;
    struct str key;
    bool asked;
};

void change_overlay_init(struct change_overlay *o)
{
    *o = (struct change_overlay){.first = NULL};
    arena_init(&o->arena, ARENA_MAX);
    map_init(&o->rows);
    o->end = &o->first;
}

void change_overlay_release(struct change_overlay *o)
{
    map_release(&o->rows);
    arena_release(&o->arena);
}

void change_overlay_key(
    struct strbuf *out, const struct change_table_view *t, int64_t rowid, struct str cells)
{
    struct change_cell id = {.kind = CHANGE_INT, .integer = rowid, .bytes = STR_EMPTY};
    strbuf_reset(out);
    if (!(t->flags & CHANGE_TABLE_WITHOUT_ROWID)) {
        change_put_cell(out, &id);
        return;
    }
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (t->columns[i].flags & CHANGE_COLUMN_KEY)
            change_put_cell(out, &cell);
    }
}

/* --- Adding --- */

static int find_column(const struct change_table_view *t, struct str name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (!(t->columns[i].flags & CHANGE_COLUMN_ROWID) && str_eq_nocase(t->columns[i].name, name))
            return (int)i;
    return -1;
}

/* true: there is one that the other has not; *ret_order: they stand as in the other. */
static bool has_more(const struct change_table_view *t, const struct change_table_view *than, bool *ret_order)
{
    bool more = false;
    int last = -1;
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        int at = find_column(than, t->columns[i].name);
        more |= at < 0;
        *ret_order &= at < 0 || at > last;
        last = at < 0 ? last : at;
    }
    return more;
}

bool change_columns_moved(const struct change_table_view *was, const struct change_table_view *is)
{
    bool ordered = true;
    bool gone = has_more(was, is, &ordered), came = has_more(is, was, &ordered);
    return (gone && came) || !ordered;
}

static const int *match_columns(
    struct arena *a, const struct change_table_view *t, const struct change_table_view *from)
{
    int *columns = arena_alloc(a, t->column_count * sizeof columns[0]);
    for (size_t i = 0; columns && i < t->column_count; i++)
        columns[i] = (t->columns[i].flags & CHANGE_COLUMN_ROWID) ? -1 : find_column(from, t->columns[i].name);
    return columns;
}

static struct change_cell cell_at(struct str cells, size_t index)
{
    struct change_cell cell = change_cell_next(&cells);
    while (index-- > 0)
        cell = change_cell_next(&cells);
    return cell;
}

/* false: it is no row of a table as this one. */
static bool key_of(struct strbuf *key, const struct change_table_view *t, int alias,
    const struct change_table_view *from, const struct change_row *row)
{
    struct str cells = row->old_cells.ptr ? row->old_cells : row->new_cells;
    struct change_cell id = {.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    if ((from->flags ^ t->flags) & CHANGE_TABLE_WITHOUT_ROWID)
        return false;
    if (from->flags & CHANGE_TABLE_WITHOUT_ROWID) {
        change_overlay_key(key, from, 0, cells);
        return true;
    }
    int at = from->columns[0].flags & CHANGE_COLUMN_ROWID
                 ? 0
                 : (alias < 0 ? -1 : find_column(from, t->columns[alias].name));
    if (at >= 0)
        id = cell_at(cells, (size_t)at);
    if (id.kind != CHANGE_INT)
        return false;
    change_overlay_key(key, t, id.integer, cells);
    return true;
}

static struct overlay_row *row_of(struct change_overlay *o, struct str key)
{
    struct overlay_row *r = map_get(&o->rows, key);
    if (r)
        return r;
    r = arena_alloc(&o->arena, sizeof *r);
    if (!r)
        return NULL;
    r->end = &r->first;
    r->key = arena_copy(&o->arena, key);
    (void)map_put(&o->rows, key, r); /* it was not there */
    *o->end = r;
    o->end = &r->next;
    return r;
}

static enum err_code add_rows(struct change_overlay *o, const struct change_table_view *t, int alias,
    const struct change_table_view *from, struct err *err)
{
    AUTO_STRBUF key;
    struct str rest = from->rows;
    struct change_row row;
    bool found = true;
    const int *columns = match_columns(&o->arena, t, from);
    o->moved |= change_columns_moved(from, t);
    strbuf_init(&key, KEY_MAX);
    for (;;) {
        enum err_code code = change_row_next(from, &rest, &found, &row, err);
        if (code || !found)
            return code;
        if (!key_of(&key, t, alias, from, &row))
            continue;
        struct overlay_row *r = row_of(o, strbuf_str(&key));
        struct layer *l = arena_alloc(&o->arena, sizeof *l);
        if (!r || !l || !columns)
            return err_set(err, ERR_TOO_LARGE, "what was merged is too large to be compared with");
        *l = (struct layer){.op = row.op, .cells = row.new_cells, .columns = columns};
        *r->end = l;
        r->end = &l->next;
    }
}

enum err_code change_overlay_add(
    struct change_overlay *o, const struct change_table_view *t, int alias, struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view from;
    bool found = true;
    enum err_code code = change_set_check(set, err);
    if (!code)
        code = change_reader_init(&r, set, err);
    if (code)
        return code;
    while (!code && found) {
        code = change_table_next(&r, &found, &from, err);
        if (!code && found && str_eq_nocase(from.name, t->name))
            code = add_rows(o, t, alias, &from, err);
    }
    change_reader_release(&r);
    return code;
}

/* --- Asking --- */

/* The cells after one layer; `below` ptr NULL: there were none. */
static void put_layer(struct strbuf *out, const struct layer *l, const struct change_table_view *t,
    struct str below, const struct str *defaults)
{
    static const struct change_cell NONE = {.kind = CHANGE_SAME, .bytes = {"", 0}};
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        struct str rest = defaults[i];
        struct change_cell was = change_cell_next(below.ptr ? &below : &rest);
        struct change_cell is = l->columns[i] < 0 ? NONE : cell_at(l->cells, (size_t)l->columns[i]);
        change_put_cell(out, is.kind == CHANGE_SAME ? &was : &is);
    }
}

static bool put_row(struct overlay_row *r, const struct change_table_view *t, struct str cells,
    const struct str *defaults, struct strbuf *out)
{
    AUTO_STRBUF below;
    bool there = cells.ptr != NULL;
    strbuf_init(&below, KEY_MAX);
    r->asked = true;
    strbuf_reset(out);
    if (there)
        strbuf_add_str(out, cells);
    for (const struct layer *l = r->first; l; l = l->next) {
        if (l->op == CHANGE_DELETE || (l->op == CHANGE_UPDATE && !there)) {
            there = false;
            continue;
        }
        strbuf_reset(&below);
        strbuf_add_str(&below, strbuf_str(out));
        strbuf_reset(out);
        put_layer(out, l, t, there && l->op == CHANGE_UPDATE ? strbuf_str(&below) : (struct str){NULL, 0},
            defaults);
        there = true;
    }
    return there;
}

bool change_overlay_row(struct change_overlay *o, const struct change_table_view *t, struct str key,
    struct str cells, const struct str *defaults, struct strbuf *out)
{
    struct overlay_row *r = o->first ? map_get(&o->rows, key) : NULL;
    if (r)
        return put_row(r, t, cells, defaults, out);
    strbuf_reset(out);
    if (cells.ptr)
        strbuf_add_str(out, cells);
    return cells.ptr != NULL;
}

bool change_overlay_left(struct change_overlay *o, const struct change_table_view *t,
    const struct str *defaults, struct strbuf *out, struct str *ret_key)
{
    for (; o->first; o->first = o->first->next) {
        if (o->first->asked || !put_row(o->first, t, (struct str){NULL, 0}, defaults, out))
            continue;
        *ret_key = o->first->key;
        return true; /* asked now */
    }
    return false;
}
