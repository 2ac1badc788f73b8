/* Conflicts of a merge: which are there, and what was chosen. */
#include "engine/merge_choice.h"
#include "engine/change_view.h"
#include "engine/merge_internal.h"
#include "engine/tagged.h"
#include "json/jsonr.h"

enum { ARENA_MAX = 128 << 20, ROWS_MAX = 10000 };

/* --- Choices --- */

static bool read_choice(const struct jsonr_value *v, enum merge_choice *ret)
{
    static const char *const NAMES[] = {
        [CHOOSE_FAIL] = "fail", [CHOOSE_OURS] = "ours", [CHOOSE_THEIRS] = "theirs"};
    bool found = false;
    for (size_t i = 0; v && jsonr_kind(v) == JSONR_TEXT && i < ARRAY_LEN(NAMES); i++) {
        if (!str_eq(jsonr_text(v), str_of(NAMES[i])))
            continue;
        *ret = (enum merge_choice)i;
        found = true;
    }
    return found;
}

static enum err_code check_tables(const struct jsonr_value *tables, struct err *err)
{
    enum merge_choice ignored;
    for (const struct jsonr_value *v = tables ? jsonr_first(tables) : NULL; v; v = jsonr_next(v))
        if (!read_choice(v, &ignored))
            return err_field(err, "/resolve/tables", "\"" STR_FMT "\" must be ours, theirs or fail",
                STR_ARG(str_slice(jsonr_name(v), 0, 100)));
    return ERR_OK;
}

static enum err_code check_rows(const struct jsonr_value *rows, struct err *err)
{
    static const struct jsonr_field FIELDS[] = {
        {"table", JF_TEXT, 0, JF_REQUIRED, 1, 1000},
        {"key", JF_OBJECT, sizeof(struct str), JF_REQUIRED, 0, 0},
        {"choose", JF_ANY, sizeof(struct str) + sizeof(void *), JF_REQUIRED, 0, 0},
    };
    enum merge_choice ignored;
    char at[40];
    int n = 0;
    for (const struct jsonr_value *v = rows ? jsonr_first(rows) : NULL; v; v = jsonr_next(v), n++) {
        struct {
            struct str table;
            const struct jsonr_value *key, *choose;
        } row;
        str_print(at, sizeof at, "/resolve/rows/%d", n);
        enum err_code code =
            jsonr_kind(v) == JSONR_OBJECT
                ? jsonr_fields(v, at, FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &row, err)
                : err_field(err, at, "must be an object {\"table\", \"key\", \"choose\"}");
        if (code)
            return code;
        str_print(at, sizeof at, "/resolve/rows/%d/choose", n);
        if (!read_choice(row.choose, &ignored))
            return err_field(err, at, "must be ours, theirs or fail");
        str_print(at, sizeof at, "/resolve/rows/%d/key", n);
        if (!jsonr_first(row.key))
            return err_field(err, at, "must name the columns of the key, as a conflict tells them");
    }
    return ERR_OK;
}

enum err_code merge_choices_read(const struct jsonr_value *v, struct merge_choices *ret, struct err *err)
{
    struct {
        const struct jsonr_value *all, *tables, *rows;
    } in = {NULL, NULL, NULL};
    static const struct jsonr_field FIELDS[] = {
        {"default", JF_ANY, 0, 0, 0, 0},
        {"tables", JF_OBJECT, sizeof(void *), JF_NULL_OK, 0, 0},
        {"rows", JF_ARRAY, 2 * sizeof(void *), JF_NULL_OK, 0, ROWS_MAX},
    };
    *ret = (struct merge_choices){.all = CHOOSE_FAIL};
    if (!v || jsonr_kind(v) == JSONR_NULL)
        return ERR_OK;
    enum err_code code =
        jsonr_fields(v, "/resolve", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &in, err);
    if (!code && in.all && jsonr_kind(in.all) != JSONR_NULL && !read_choice(in.all, &ret->all))
        code = err_field(err, "/resolve/default", "must be ours, theirs or fail");
    if (!code)
        code = check_tables(in.tables, err);
    if (!code)
        code = check_rows(in.rows, err);
    ret->tables = in.tables;
    ret->rows = in.rows;
    return code;
}

static bool is_real(const struct change_cell *cell, double v)
{
    return cell->kind == CHANGE_REAL && !(cell->real < v) && !(cell->real > v);
}

static bool is_tagged(const struct change_cell *cell, const struct jsonr_value *object)
{
    AUTO_STRBUF bytes;
    strbuf_init(&bytes, 64 << 20);
    struct tagged t = tagged_of_json(object, &bytes);
    switch (t.kind) {
    case TAGGED_BLOB: return cell->kind == CHANGE_BLOB && str_eq(cell->bytes, t.bytes);
    case TAGGED_TEXT: return cell->kind == CHANGE_TEXT && str_eq(cell->bytes, t.bytes);
    case TAGGED_REAL: return is_real(cell, t.real);
    default: return false;
    }
}

static bool is_value(const struct jsonr_value *v, const struct change_cell *cell)
{
    switch (jsonr_kind(v)) {
    case JSONR_NULL: return cell->kind == CHANGE_NULL;
    case JSONR_INT:
        return (cell->kind == CHANGE_INT && cell->integer == jsonr_int(v)) || is_real(cell, jsonr_real(v));
    case JSONR_REAL: return is_real(cell, jsonr_real(v));
    case JSONR_TEXT: return cell->kind == CHANGE_TEXT && str_eq(cell->bytes, jsonr_text(v));
    case JSONR_OBJECT: return is_tagged(cell, v);
    default: return false;
    }
}

/* Every column that finds the row is named, and has that value. */
static bool is_key(const struct jsonr_value *key, const struct change_table_view *t, struct str cells)
{
    size_t named = 0;
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        const struct jsonr_value *v = jsonr_member(key, t->columns[i].name);
        bool finds = t->columns[i].flags & (CHANGE_COLUMN_KEY | CHANGE_COLUMN_ROWID);
        if (v && finds && !is_value(v, &cell))
            return false;
        if (!v && (t->columns[i].flags & CHANGE_COLUMN_KEY))
            return false;
        named += v && finds;
    }
    return named > 0 && named == jsonr_count(key);
}

static enum merge_choice choice_of(
    const struct merge_choices *c, const struct change_table_view *t, const struct change_row *row)
{
    enum merge_choice choice = c->all;
    struct str cells = row->old_cells.ptr ? row->old_cells : row->new_cells;
    for (const struct jsonr_value *v = c->tables ? jsonr_first(c->tables) : NULL; v; v = jsonr_next(v))
        if (str_eq_nocase(jsonr_name(v), t->name))
            (void)read_choice(v, &choice); /* it was checked */
    for (const struct jsonr_value *v = c->rows ? jsonr_first(c->rows) : NULL; v; v = jsonr_next(v))
        if (str_eq_nocase(jsonr_text(jsonr_member(v, S("table"))), t->name) &&
            is_key(jsonr_member(v, S("key")), t, cells))
            (void)read_choice(jsonr_member(v, S("choose")), &choice); /* likewise */
    return choice;
}

/* --- Telling --- */

static void write_half(struct jsonw *w, const char *name, const struct change_table_view *t, struct str cells)
{
    jsonw_key(w, name);
    if (!cells.ptr) {
        jsonw_null(w);
        return;
    }
    change_view_cells(w, t, cells);
}

/* The parent's row as cells like the others. */
static struct str cells_now(struct strbuf *out, const struct change_conflict *c)
{
    for (size_t i = 0; c->now && i < c->table->column_count; i++)
        change_put_cell(out, &c->now[i]);
    return c->now ? strbuf_str(out) : (struct str){NULL, 0};
}

/* Counts it; false: there is no room to tell it. */
static bool begin_telling(struct merge_round *m, const struct change_conflict *c, const char *kind)
{
    static const char *const OPS[] = {
        [CHANGE_INSERT] = "insert", [CHANGE_UPDATE] = "update", [CHANGE_DELETE] = "delete"};
    const struct change_row *row = c->row;
    m->open += !c->unsure;
    m->unsure += c->unsure;
    if (!m->w || m->told >= m->told_max || m->w->out->len > m->bytes_max)
        return false;
    m->told++;
    jsonw_object(m->w);
    JSONW_TEXT(m->w, "table", c->table->name);
    jsonw_key(m->w, "key");
    change_view_key(m->w, c->table, row->old_cells.ptr ? row->old_cells : row->new_cells);
    JSONW_CSTR(m->w, "kind", kind);
    JSONW_CSTR(m->w, "op", OPS[row->op]);
    write_half(m->w, "base", c->table, row->old_cells);
    return true;
}

static void tell(struct merge_round *m, const struct change_conflict *c)
{
    AUTO_STRBUF now;
    strbuf_init(&now, 64 << 20);
    if (!begin_telling(m, c, change_conflict_name(c->kind)))
        return;
    write_half(m->w, "ours", c->table, cells_now(&now, c));
    write_half(m->w, "theirs", c->table, c->row->new_cells);
    jsonw_object_end(m->w);
}

/* --- Deciding --- */

void merge_round_init(struct merge_round *m, struct op *op, const struct merge_choices *choices,
    struct str set, struct str whole)
{
    *m = (struct merge_round){.op = op, .choices = choices, .set = set, .whole = whole};
    arena_init(&m->arena, ARENA_MAX);
    map_init(&m->decided);
}

void merge_round_release(struct merge_round *m)
{
    map_release(&m->decided);
    arena_release(&m->arena);
}

static void decide(struct merge_round *m, const struct change_conflict *c, enum merge_fate fate)
{
    AUTO_STRBUF now;
    struct merge_decision *d = arena_alloc(&m->arena, sizeof *d);
    const char *at = c->row->bytes.ptr;
    strbuf_init(&now, 64 << 20);
    if (d) {
        d->fate = fate;
        d->now = c->now ? arena_copy(&m->arena, cells_now(&now, c)) : (struct str){NULL, 0};
        (void)map_put(&m->decided, str_make(&at, sizeof at), d); /* one conflict a row */
    }
    m->out_of_memory |= !d || (c->now && !d->now.ptr);
}

static bool is_unnamed(const struct change_table_view *t)
{
    return (t->columns[0].flags & CHANGE_COLUMN_ROWID) && !(t->flags & CHANGE_TABLE_HAS_KEY);
}

void merge_conflict(void *arg, const struct change_conflict *c)
{
    struct merge_round *m = arg;
    bool forced = c->kind == CONFLICT_DIFFERS || c->kind == CONFLICT_EXISTS || c->kind == CONFLICT_MISSING;
    bool moves = c->kind == CONFLICT_EXISTS && is_unnamed(c->table);
    if (c->unsure) { /* the next round knows */
        if (!moves)
            tell(m, c);
        return;
    }
    if (moves) {
        decide(m, c, FATE_MOVED);
        return;
    }
    switch (choice_of(m->choices, c->table, c->row)) {
    case CHOOSE_OURS: decide(m, c, FATE_DROPPED); return;
    case CHOOSE_THEIRS:
        if (forced) {
            decide(m, c, FATE_FORCED);
            return;
        }
        break;
    default: break;
    }
    tell(m, c);
}

/* The row itself is in nobody's way: the parent has it as it was. */
void merge_foreign(void *arg, const struct change_table_view *table, const struct change_row *row,
    const struct change_foreign_key *key, const struct change_cell *values)
{
    struct merge_round *m = arg;
    const struct change_conflict c = {CONFLICT_CONSTRAINT, table, row, NULL, false};
    if (choice_of(m->choices, table, row) == CHOOSE_OURS) {
        decide(m, &c, FATE_DROPPED);
        return;
    }
    if (!begin_telling(m, &c, "foreign_key"))
        return;
    write_half(m->w, "ours", table, row->old_cells);
    write_half(m->w, "theirs", table, row->new_cells);
    change_foreign_write(m->w, key, values);
    jsonw_object_end(m->w);
}
