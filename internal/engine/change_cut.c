/* Parts of change sets. */
#include "engine/change_cut.h"
#include "base/mem.h"
#include "engine/change_compose.h"
#include "engine/tagged.h"
#include "json/jsonr.h"

enum { ITEMS_MAX = 10000, KEY_BYTES_MAX = 64 << 20 };

struct cut_row {
    struct cut_row *next;
    const struct jsonr_value *key;
    size_t number;
    bool met;
};

struct cut_item {
    struct cut_item *next;
    struct str table;
    size_t number; /* in "tables" */
    bool whole, met;
    struct cut_row *rows;
    struct map by_key;
    struct str head; /* of the table for whose columns by_key was made; ptr NULL: it was not */
};

/* --- Reading --- */

static struct cut_item *item_of(struct change_cut *c, struct str table)
{
    struct cut_item *item = c->items;
    while (item && !str_eq_nocase(item->table, table))
        item = item->next;
    if (item)
        return item;
    item = ARENA_NEW(c->arena, struct cut_item);
    *item = (struct cut_item){.next = c->items, .table = table, .head = {NULL, 0}};
    map_init(&item->by_key);
    return c->items = item;
}

static enum err_code read_tables(struct change_cut *c, const struct jsonr_value *list, struct err *err)
{
    size_t n = 0;
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v), n++) {
        char at[40];
        str_print(at, sizeof at, "/tables/%zu", n);
        if (jsonr_kind(v) != JSONR_TEXT || jsonr_text(v).len == 0)
            return err_field(err, at, "must be the name of a table");
        struct cut_item *item = item_of(c, jsonr_text(v));
        item->whole = true;
        item->number = n;
    }
    return ERR_OK;
}

static enum err_code read_rows(struct change_cut *c, const struct jsonr_value *list, struct err *err)
{
    size_t n = 0;
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v), n++) {
        struct {
            struct str table;
            const struct jsonr_value *key;
        } in = {STR_EMPTY, NULL};
        static const struct jsonr_field FIELDS[] = {
            {"table", JF_TEXT, 0, JF_REQUIRED, 1, CHANGE_NAME_MAX},
            {"key", JF_OBJECT, sizeof(struct str), JF_REQUIRED, 0, 0},
        };
        char at[40];
        str_print(at, sizeof at, "/rows/%zu", n);
        enum err_code code = jsonr_fields(v, at, FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, &in, err);
        if (code)
            return code;
        struct cut_item *item = item_of(c, in.table);
        struct cut_row *row = ARENA_NEW(c->arena, struct cut_row);
        *row = (struct cut_row){.next = item->rows, .key = in.key, .number = n};
        item->rows = row;
    }
    return ERR_OK;
}

enum err_code change_cut_read(
    struct change_cut *c, struct arena *arena, const struct jsonr_value *root, struct err *err)
{
    struct {
        const struct jsonr_value *tables, *rows;
    } in = {NULL, NULL};
    static const struct jsonr_field FIELDS[] = {
        {"tables", JF_ARRAY, 0, JF_NULL_OK, 1, ITEMS_MAX},
        {"rows", JF_ARRAY, sizeof(void *), JF_NULL_OK, 1, ITEMS_MAX},
    };
    *c = (struct change_cut){.arena = arena};
    strbuf_init(&c->key, KEY_BYTES_MAX);
    enum err_code code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, &in, err);
    if (!code && in.tables)
        code = read_tables(c, in.tables, err);
    if (!code && in.rows)
        code = read_rows(c, in.rows, err);
    c->whole = !in.tables && !in.rows;
    return code;
}

void change_cut_release(struct change_cut *c)
{
    for (struct cut_item *item = c->items; item; item = item->next)
        map_release(&item->by_key);
    strbuf_release(&c->key);
}

/* --- Keys --- */

static bool cell_of(const struct jsonr_value *v, struct strbuf *bytes, struct change_cell *ret)
{
    *ret = (struct change_cell){.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    struct tagged t;
    switch (jsonr_kind(v)) {
    case JSONR_NULL: return true;
    case JSONR_INT:
        ret->kind = CHANGE_INT;
        ret->integer = jsonr_int(v);
        return true;
    case JSONR_REAL:
        ret->kind = CHANGE_REAL;
        ret->real = jsonr_real(v);
        return true;
    case JSONR_TEXT:
        ret->kind = CHANGE_TEXT;
        ret->bytes = jsonr_text(v);
        return true;
    default: break;
    }
    t = tagged_of_json(v, bytes);
    ret->kind = t.kind == TAGGED_BLOB ? CHANGE_BLOB : t.kind == TAGGED_TEXT ? CHANGE_TEXT : CHANGE_REAL;
    ret->real = t.real;
    ret->bytes = t.bytes;
    return t.kind != TAGGED_NONE && t.kind != TAGGED_BAD;
}

static enum err_code bad_key(
    const struct change_table_view *t, const struct cut_row *row, const char *what, struct err *err)
{
    char at[40];
    str_print(at, sizeof at, "/rows/%zu/key", row->number);
    return err_field(err, at, "must be the key of a row of \"" STR_FMT "\" as its changes show it: %s",
        STR_ARG(t->name), what);
}

/* The row id is told of a row that its key does not tell apart. */
static bool by_rowid(const struct change_table_view *t, const struct jsonr_value *key)
{
    return (t->columns[0].flags & CHANGE_COLUMN_ROWID) && jsonr_member(key, t->columns[0].name);
}

/* As change_row_key makes it of the row itself. */
static enum err_code put_key(
    struct strbuf *out, const struct change_table_view *t, const struct cut_row *row, struct err *err)
{
    AUTO_STRBUF bytes;
    bool rowid = by_rowid(t, row->key);
    size_t members = 0;
    strbuf_init(&bytes, KEY_BYTES_MAX);
    strbuf_reset(out);
    strbuf_add_char(out, rowid ? 'r' : 'k');
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell;
        const struct jsonr_value *v = jsonr_member(row->key, t->columns[i].name);
        bool key = t->columns[i].flags & CHANGE_COLUMN_KEY;
        members += v && (key || (rowid && i == 0));
        if (!(rowid ? i == 0 : key))
            continue;
        if (!v || !cell_of(v, &bytes, &cell))
            return bad_key(t, row, v ? "a value is none of a column" : "a column of it is missing", err);
        change_put_cell(out, &cell);
    }
    return members == jsonr_count(row->key) ? ERR_OK
                                            : bad_key(t, row, "it names something else besides", err);
}

static enum err_code know_columns(
    struct change_cut *c, struct cut_item *item, const struct change_table_view *t, struct err *err)
{
    if (item->head.ptr && str_eq(item->head, t->head))
        return ERR_OK;
    map_release(&item->by_key);
    map_init(&item->by_key);
    item->head = arena_copy(c->arena, t->head);
    for (struct cut_row *row = item->rows; row; row = row->next) {
        enum err_code code = put_key(&c->key, t, row, err);
        if (code)
            return code;
        (void)map_put(&item->by_key, strbuf_str(&c->key), row); /* named twice is named once */
    }
    return ERR_OK;
}

static bool meets(struct change_cut *c, struct cut_item *item, const struct change_table_view *t,
    struct str cells, struct str other)
{
    if (!cells.ptr)
        return false;
    change_row_key(t, cells, other, &c->key);
    struct cut_row *row = map_get(&item->by_key, strbuf_str(&c->key));
    if (row)
        row->met = true;
    return row != NULL;
}

enum err_code change_cut_has(struct change_cut *c, const struct change_table_view *t,
    const struct change_row *row, bool *ret, struct err *err)
{
    static const struct str NONE = {NULL, 0};
    struct cut_item *item = c->items;
    *ret = c->whole;
    while (item && !str_eq_nocase(item->table, t->name))
        item = item->next;
    if (!item)
        return ERR_OK;
    enum err_code code = item->rows ? know_columns(c, item, t, err) : ERR_OK;
    if (code)
        return code;
    item->met = true;
    bool was = meets(c, item, t, row->old_cells, NONE);
    bool is = meets(c, item, t, row->new_cells, row->old_cells);
    *ret = item->whole || was || is;
    return ERR_OK;
}

enum err_code change_cut_check_met(const struct change_cut *c, struct err *err)
{
    char at[40];
    for (const struct cut_item *item = c->items; item; item = item->next) {
        if (item->whole && !item->met) {
            str_print(at, sizeof at, "/tables/%zu", item->number);
            return err_field(err, at, "no row of \"" STR_FMT "\" was changed that could be taken back",
                STR_ARG(item->table));
        }
        for (const struct cut_row *row = item->rows; row; row = row->next) {
            str_print(at, sizeof at, "/rows/%zu", row->number);
            if (!row->met)
                return err_field(err, at,
                    "this row of \"" STR_FMT "\" was not changed, or was taken back already",
                    STR_ARG(item->table));
        }
    }
    return ERR_OK;
}

/* --- Picking --- */

static enum err_code pick_rows(const struct change_table_view *t, change_pick_fn *fn, void *arg,
    struct strbuf *rows, uint64_t *ret_count, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    *ret_count = 0;
    for (;;) {
        bool picked = false;
        enum err_code code = change_row_next(t, &rest, &found, &row, err);
        if (!code && found)
            code = fn(arg, t, &row, &picked, err);
        if (code || !found)
            return code;
        *ret_count += picked;
        if (picked)
            strbuf_add_str(rows, row.bytes);
    }
}

enum err_code change_set_pick(
    struct str set, change_pick_fn *fn, void *arg, struct strbuf *out, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    AUTO_STRBUF tables;
    AUTO_STRBUF rows;
    uint64_t count, table_count = 0;
    bool found = true;
    strbuf_init(&tables, out->limit);
    strbuf_init(&rows, out->limit);
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && !(code = change_table_next(&r, &found, &t, err)) && found) {
        strbuf_reset(&rows);
        code = pick_rows(&t, fn, arg, &rows, &count, err);
        if (code || count == 0)
            continue;
        strbuf_add_str(&tables, t.head);
        change_put_number(&tables, count);
        change_put_name(&tables, strbuf_str(&rows));
        table_count++;
    }
    change_reader_release(&r);
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, table_count);
    strbuf_add_str(out, strbuf_str(&tables));
    if (!code && (strbuf_failed(&tables) || strbuf_failed(&rows) || strbuf_failed(out)))
        return err_set(err, ERR_TOO_LARGE, "the change set is too large");
    return code;
}
