/* A change set as JSON. */
#include "engine/change_view.h"
#include "engine/tagged.h"
#include <math.h>

static const char *const OPS[CHANGE_OP_COUNT] = {
    [CHANGE_INSERT] = "insert", [CHANGE_UPDATE] = "update", [CHANGE_DELETE] = "delete"};

/* Who reads it: SQLite's JSON functions take 9e999 for infinity, and no tag. */
enum form { FOR_PEOPLE, FOR_SQL };

static void write_real(struct jsonw *w, double real, enum form form)
{
    bool more = real > 0;
    if (isfinite(real))
        jsonw_real(w, real);
    else if (form == FOR_SQL)
        jsonw_raw(w, more ? S("9e999") : S("-9e999"));
    else
        tagged_write(w, TAGGED_REAL, more ? S("Infinity") : S("-Infinity"));
}

static void write_cell(struct jsonw *w, const struct change_cell *cell, enum form form)
{
    switch (cell->kind) {
    case CHANGE_INT: jsonw_int(w, cell->integer); break;
    case CHANGE_REAL: write_real(w, cell->real, form); break;
    case CHANGE_TEXT:
        if (tagged_is_odd(cell->bytes))
            tagged_write(w, TAGGED_TEXT, cell->bytes);
        else
            jsonw_text(w, cell->bytes);
        break;
    case CHANGE_BLOB: jsonw_blob(w, cell->bytes); break;
    default: jsonw_null(w);
    }
}

void change_view_cell(struct jsonw *w, const struct change_cell *cell)
{
    write_cell(w, cell, FOR_PEOPLE);
}

static bool names_row(const struct change_table_view *t, struct str cells)
{
    bool named = t->flags & (CHANGE_TABLE_HAS_KEY | CHANGE_TABLE_WITHOUT_ROWID);
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        named &= !(t->columns[i].flags & CHANGE_COLUMN_KEY) || cell.kind != CHANGE_NULL;
    }
    return named;
}

/* A row without a key, or with NULL in it, is known by its row id. */
static void write_key(struct jsonw *w, const struct change_table_view *t, struct str cells, enum form form)
{
    bool rowid = !names_row(t, cells);
    jsonw_object(w);
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        bool shown = (t->columns[i].flags & CHANGE_COLUMN_KEY) ||
                     (rowid && (t->columns[i].flags & CHANGE_COLUMN_ROWID));
        if (!shown)
            continue;
        jsonw_key_str(w, t->columns[i].name);
        write_cell(w, &cell, form);
    }
    jsonw_object_end(w);
}

static void write_cells(struct jsonw *w, const struct change_table_view *t, struct str cells, enum form form)
{
    jsonw_object(w);
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (cell.kind == CHANGE_SAME || (t->columns[i].flags & CHANGE_COLUMN_ROWID))
            continue;
        jsonw_key_str(w, t->columns[i].name);
        write_cell(w, &cell, form);
    }
    jsonw_object_end(w);
}

void change_view_key(struct jsonw *w, const struct change_table_view *t, struct str cells)
{
    write_key(w, t, cells, FOR_PEOPLE);
}

void change_view_cells(struct jsonw *w, const struct change_table_view *t, struct str cells)
{
    write_cells(w, t, cells, FOR_PEOPLE);
}

void change_view_sql_key(struct jsonw *w, const struct change_table_view *t, struct str cells)
{
    write_key(w, t, cells, FOR_SQL);
}

void change_view_sql_cells(struct jsonw *w, const struct change_table_view *t, struct str cells)
{
    write_cells(w, t, cells, FOR_SQL);
}

/* The cells of one half; of an UPDATE those that changed, which `other` tells. */
static void write_half(
    struct jsonw *w, const char *key, const struct change_table_view *t, struct str cells, struct str other)
{
    jsonw_key(w, key);
    if (!cells.ptr) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        bool same = other.ptr && change_cell_next(&other).kind == CHANGE_SAME;
        if (same || cell.kind == CHANGE_SAME || (t->columns[i].flags & CHANGE_COLUMN_ROWID))
            continue;
        jsonw_key_str(w, t->columns[i].name);
        change_view_cell(w, &cell);
    }
    jsonw_object_end(w);
}

void change_view_row(struct jsonw *w, const struct change_table_view *t, const struct change_row *row)
{
    jsonw_object(w);
    JSONW_TEXT(w, "table", t->name);
    JSONW_CSTR(w, "op", OPS[row->op]);
    JSONW_BOOL(w, "indirect", row->indirect);
    jsonw_key(w, "key");
    change_view_key(w, t, row->old_cells.ptr ? row->old_cells : row->new_cells);
    write_half(w, "before", t, row->old_cells, row->new_cells);
    write_half(w, "after", t, row->new_cells, (struct str){NULL, 0});
    jsonw_object_end(w);
}

/* --- Walking --- */

struct table_counts {
    uint64_t of[CHANGE_OP_COUNT], indirect, hidden;
};

static bool sees_table(const struct change_view *v, const struct change_table_view *t)
{
    return !v->sees || v->sees(v->arg, t->name);
}

static bool sees_row(const struct change_view *v, const struct change_row *row)
{
    return !(v->no_indirect && row->indirect);
}

static enum err_code count_table(const struct change_view *v, const struct change_table_view *t,
    struct table_counts *ret, bool *touched, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row;
    bool found = true, seen = sees_table(v, t);
    *ret = (struct table_counts){.indirect = 0};
    for (;;) {
        enum err_code code = change_row_next(t, &rest, &found, &row, err);
        if (code || !found)
            return code;
        if (!seen || !sees_row(v, &row)) {
            ret->hidden++;
            continue;
        }
        ret->of[row.op]++;
        ret->indirect += row.indirect;
        if (touched)
            change_row_columns(t, &row, touched);
    }
}

enum err_code change_view_count(
    const struct change_view *v, struct str bytes, struct change_totals *ret, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    struct table_counts counts;
    bool found = true;
    *ret = (struct change_totals){0, 0};
    enum err_code code = change_reader_init(&r, bytes, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (code || !found)
            break;
        bool seen = sees_table(v, &t);
        ret->rows += t.row_count;
        if (seen && v->no_indirect)
            code = count_table(v, &t, &counts, NULL, err);
        ret->hidden += !seen ? t.row_count : v->no_indirect && !code ? counts.hidden : 0;
    }
    change_reader_release(&r);
    return code;
}

static void write_counts(
    struct jsonw *w, const struct change_table_view *t, const struct table_counts *n, const bool *touched)
{
    jsonw_object(w);
    JSONW_TEXT(w, "table", t->name);
    for (int op = CHANGE_INSERT; op < CHANGE_OP_COUNT; op++)
        JSONW_INT(w, OPS[op], (int64_t)n->of[op]);
    JSONW_INT(w, "indirect", (int64_t)n->indirect);
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (size_t i = 0; i < t->column_count; i++) {
        if (touched[i])
            jsonw_text(w, t->columns[i].name);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}

static enum err_code write_tables(
    const struct change_view *v, struct str bytes, struct jsonw *w, uint64_t *ret_hidden, struct err *err)
{
    bool touched[CHANGE_COLUMNS_MAX];
    struct change_reader r;
    struct change_table_view t;
    struct table_counts counts;
    bool found = true;
    jsonw_key(w, "tables");
    jsonw_array(w);
    enum err_code code = change_reader_init(&r, bytes, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (code || !found)
            break;
        memset(touched, 0, sizeof touched);
        code = count_table(v, &t, &counts, touched, err);
        *ret_hidden += counts.hidden;
        if (!code && counts.hidden < t.row_count)
            write_counts(w, &t, &counts, touched);
    }
    change_reader_release(&r);
    jsonw_array_end(w);
    return code;
}

struct page {
    const struct change_view *v;
    struct jsonw *w;
    uint64_t at; /* number of the next row of the set */
    size_t rows, begin;
    bool full;
};

static bool page_is_full(const struct page *p)
{
    return p->rows >= p->v->rows_max || (p->rows > 0 && p->w->out->len - p->begin >= p->v->bytes_max);
}

static enum err_code write_rows_of(struct page *p, const struct change_table_view *t, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row;
    bool found;
    for (uint64_t end = p->at + t->row_count; p->at < end && !p->full;) {
        enum err_code code = change_row_next(t, &rest, &found, &row, err);
        if (code || !found)
            return code;
        bool wanted = p->at >= p->v->from && sees_row(p->v, &row);
        p->full = wanted && page_is_full(p);
        if (p->full)
            return ERR_OK;
        if (wanted)
            change_view_row(p->w, t, &row);
        p->rows += wanted;
        p->at++;
    }
    return ERR_OK;
}

static enum err_code write_rows(struct page *p, struct str bytes, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    jsonw_key(p->w, "rows");
    jsonw_array(p->w);
    enum err_code code = change_reader_init(&r, bytes, err);
    while (!code && found && !p->full) {
        code = change_table_next(&r, &found, &t, err);
        if (code || !found)
            break;
        bool wanted = sees_table(p->v, &t) && (!p->v->table.ptr || str_eq_nocase(p->v->table, t.name)) &&
                      p->at + t.row_count > p->v->from;
        if (wanted)
            code = write_rows_of(p, &t, err);
        else
            p->at += t.row_count;
    }
    change_reader_release(&r);
    jsonw_array_end(p->w);
    return code;
}

enum err_code change_view_write(
    const struct change_view *v, struct str bytes, struct jsonw *w, struct err *err)
{
    struct page p = {.v = v, .w = w, .begin = w->out->len};
    uint64_t hidden = 0;
    char cursor[24];
    enum err_code code = write_tables(v, bytes, w, &hidden, err);
    p.begin = w->out->len;
    if (!code)
        code = write_rows(&p, bytes, err);
    if (code)
        return code;
    JSONW_INT(w, "hiddenRows", (int64_t)hidden);
    JSONW_BOOL(w, "truncated", p.full);
    str_print(cursor, sizeof cursor, "%llu", (unsigned long long)p.at);
    JSONW_CSTR(w, "nextCursor", p.full ? cursor : NULL);
    return ERR_OK;
}
