/* The rows of what is taken back: those that it wrote, and those that the snapshot holds. */
#include "base/limits.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/change_table.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/undo_schema.h"

static enum err_code too_large(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "the rows that would come back are more than one write may change");
}

static struct schema_undo_set *new_set(struct schema_undo *s)
{
    struct schema_undo_set *set = ARENA_NEW(s->op->arena, struct schema_undo_set), **end = &s->sets;
    *set = (struct schema_undo_set){.next = NULL};
    strbuf_init(&set->set, (size_t)LIMIT_CHANGE_BYTES);
    while (*end)
        end = &(*end)->next;
    return *end = set;
}

/* --- What it wrote --- */

struct inverting {
    struct schema_undo *s;
    struct str mixed; /* a table of which both its rows and the snapshot's would be written; ptr NULL none */
};

static bool in_list(const struct schema_undo_column *list, struct str name)
{
    while (list && !str_eq_nocase(list->name, name))
        list = list->next;
    return list != NULL;
}

/* An update of columns alone that go with it need not be taken back. */
static bool goes_anyway(
    const struct schema_undo_change *c, const struct change_table_view *t, const struct change_row *row)
{
    bool touched[CHANGE_COLUMNS_MAX] = {false}, all = row->op == CHANGE_UPDATE;
    if (all)
        change_row_columns(t, row, touched);
    for (size_t i = 0; i < t->column_count && all; i++)
        all = !touched[i] || in_list(c->gone, t->columns[i].name);
    return all;
}

static enum err_code pick(
    void *arg, const struct change_table_view *t, const struct change_row *row, bool *ret, struct err *err)
{
    struct inverting *x = arg;
    const struct schema_undo_change *c = schema_undo_find(x->s, S("table"), t->name);
    (void)err;
    *ret = !c || (c->what == SCHEMA_CHANGED && !goes_anyway(c, t, row));
    if (c && ((c->what == SCHEMA_ADDED && c->renamed.ptr) || (*ret && c->back)))
        x->mixed = c->name;
    return ERR_OK;
}

/* Those that are to be taken back into `left`. */
static enum err_code pick_own(struct schema_undo *s, struct str set, struct strbuf *left, struct err *err)
{
    struct inverting x = {.s = s, .mixed = {NULL, 0}};
    enum err_code code = change_set_pick(set, pick, &x, left, err);
    return code || !x.mixed.ptr
               ? code
               : err_set(err, ERR_CONFLICT,
                     "it changed rows of \"" STR_FMT "\" together with its columns or its name",
                     STR_ARG(x.mixed));
}

enum err_code schema_undo_check_mixed(struct schema_undo *s, struct str set, struct err *err)
{
    AUTO_STRBUF left;
    strbuf_init(&left, (size_t)LIMIT_CHANGE_BYTES);
    return pick_own(s, set, &left, err);
}

static enum err_code invert_own(struct schema_undo *s, struct err *err)
{
    AUTO_STRBUF set;
    AUTO_STRBUF left;
    uint64_t rows = 0;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&left, (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = proposal_set(s->op, s->of, &set, err);
    if (!code)
        code = pick_own(s, strbuf_str(&set), &left, err);
    if (!code)
        code = change_set_count(strbuf_str(&left), &rows, err);
    if (code || rows == 0)
        return code;
    struct schema_undo_set *inverse = new_set(s);
    code = change_set_invert(strbuf_str(&left), &inverse->set, err);
    return !code && strbuf_failed(&inverse->set) ? too_large(err) : code;
}

/* --- What the snapshot holds --- */

struct reading {
    struct schema_undo *s;
    const struct schema_undo_change *c;
    const struct recorder_table *t; /* the columns that rows get */
    sqlite3_stmt *find;             /* of a row of now, by its key */
    struct strbuf rows;
    uint64_t count;
};

static struct change_cell cell_of_kind(enum change_kind kind)
{
    return (struct change_cell){.kind = kind, .bytes = STR_EMPTY};
}

static void put_cell_of_kind(struct strbuf *out, enum change_kind kind)
{
    struct change_cell cell = cell_of_kind(kind);
    change_put_cell(out, &cell);
}

static enum err_code put_set(struct reading *x, struct err *err)
{
    const struct recorder_table *t = x->t;
    size_t first = shows_rowid(t), count = t->column_count + first, n = 0;
    for (const struct schema_undo_column *k = x->c->back; k; k = k->next)
        count++;
    struct change_table_view v = {.name = t->shown, .column_count = count};
    v.flags = (t->has_key ? CHANGE_TABLE_HAS_KEY : 0) | (t->without_rowid ? CHANGE_TABLE_WITHOUT_ROWID : 0);
    v.columns = arena_need(x->s->op->arena, count * sizeof v.columns[0]);
    if (first)
        v.columns[n++] = (struct change_column){S("rowid"), CHANGE_COLUMN_ROWID};
    for (size_t i = 0; i < t->column_count; i++)
        v.columns[n++] =
            (struct change_column){t->columns[i].name, t->columns[i].key ? CHANGE_COLUMN_KEY : 0};
    for (const struct schema_undo_column *k = x->c->back; k; k = k->next)
        v.columns[n++] = (struct change_column){k->name, 0};
    struct strbuf *out = &new_set(x->s)->set;
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, 1);
    change_put_head(out, &v);
    change_put_number(out, x->count);
    change_put_name(out, strbuf_str(&x->rows));
    return strbuf_failed(out) || strbuf_failed(&x->rows) ? too_large(err) : ERR_OK;
}

/* Calls fn with each row of SELECT `columns` FROM the table as the snapshot has it. */
static enum err_code each_row(struct reading *x, struct strbuf *sql,
    enum err_code (*fn)(struct reading *x, sqlite3_stmt *stmt, struct err *err), struct err *err)
{
    AUTO_SQL *stmt = NULL;
    const struct catalog_source *src = &x->s->from.src;
    bool row = true;
    strbuf_add_cstr(sql, " FROM main.");
    catalog_quote(sql, x->t->shown);
    enum err_code code = strbuf_failed(sql) ? too_large(err) : ERR_OK;
    if (!code && src->prepare(src->arg, strbuf_cstr(sql), &stmt, err))
        code = err_set(
            err, ERR_CONFLICT, "the snapshot does not hold \"" STR_FMT "\" as it was", STR_ARG(x->c->name));
    while (!code && !(code = catalog_step(src, stmt, &row, err)) && row) {
        code = fn(x, stmt, err);
        if (!code && (x->count > (uint64_t)LIMIT_CHANGE_ROWS || strbuf_failed(&x->rows)))
            code = too_large(err);
    }
    return code;
}

static enum err_code take_whole_row(struct reading *x, sqlite3_stmt *stmt, struct err *err)
{
    (void)err;
    x->count++;
    strbuf_add_char(&x->rows, (char)CHANGE_INSERT);
    for (size_t i = shows_rowid(x->t) ? 0 : 1; i < x->t->column_count + 1; i++) {
        struct change_cell cell = change_cell_column(stmt, (int)i);
        change_put_cell(&x->rows, &cell);
    }
    return ERR_OK;
}

static void put_columns(struct strbuf *sql, const struct recorder_table *t, bool key_alone)
{
    const char *rowid = t->without_rowid ? NULL : recorder_table_rowid(t);
    strbuf_add_cstr(sql, "SELECT ");
    strbuf_add_cstr(sql, rowid ? rowid : "NULL");
    for (size_t i = 0; i < t->column_count; i++) {
        if (key_alone && !t->columns[i].key)
            continue;
        strbuf_add_char(sql, ',');
        catalog_quote(sql, t->columns[i].name);
    }
}

static void take_counter(struct reading *x)
{
    AUTO_SQL *stmt = NULL;
    struct err none = ERR_INIT; /* there is no such table before the first of these */
    bool row = false;
    const struct catalog_source *src = &x->s->from.src;
    if (catalog_prepare(src, "SELECT seq FROM sqlite_sequence WHERE name = ?1", x->c->name, &stmt, &none) ||
        catalog_step(src, stmt, &row, &none) || !row)
        return;
    struct schema_undo_counter *c = ARENA_NEW(x->s->op->arena, struct schema_undo_counter);
    *c = (struct schema_undo_counter){x->s->counters, x->c->name, sqlite3_column_int64(stmt, 0)};
    x->s->counters = c;
}

static enum err_code take_table(struct reading *x, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 4 << 20);
    if (shows_rowid(x->t) && !recorder_table_rowid(x->t))
        return err_set(err, ERR_CONFLICT,
            "the columns of \"" STR_FMT "\" have all names of the row id, so that it cannot be read",
            STR_ARG(x->c->name));
    put_columns(&sql, x->t, false);
    enum err_code code = each_row(x, &sql, take_whole_row, err);
    if (!code && x->c->rows >= 0 && x->count != (uint64_t)x->c->rows)
        code = err_set(err, ERR_CONFLICT, "the snapshot holds %llu rows of \"" STR_FMT "\", and it had %lld",
            (unsigned long long)x->count, STR_ARG(x->c->name), (long long)x->c->rows);
    if (!code)
        take_counter(x);
    return code || x->count == 0 ? code : put_set(x, err);
}

/* --- Columns that come back --- */

static size_t key_count(const struct recorder_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->column_count; i++)
        n += t->columns[i].key;
    return n;
}

/* The row as it stands: its row id is the first column. */
static enum err_code prepare_find(struct reading *x, struct err *err)
{
    AUTO_STRBUF sql;
    const struct recorder_table *t = x->t;
    const char *rowid = t->without_rowid ? NULL : recorder_table_rowid(t);
    bool by_key = key_count(t) > 0, first = true;
    strbuf_init(&sql, 4 << 20);
    strbuf_add_cstr(&sql, "SELECT ");
    strbuf_add_cstr(&sql, rowid ? rowid : "0");
    strbuf_add_cstr(&sql, " FROM main.");
    catalog_quote(&sql, t->name);
    strbuf_addf(&sql, " WHERE %s", by_key ? "" : rowid ? rowid : "0");
    if (!by_key)
        strbuf_add_cstr(&sql, " = ?1");
    for (size_t i = 0; by_key && i < t->column_count; i++) {
        if (!t->columns[i].key)
            continue;
        strbuf_add_cstr(&sql, first ? "" : " AND ");
        catalog_quote(&sql, t->columns[i].name);
        strbuf_add_cstr(&sql, " IS ?");
        first = false;
    }
    return strbuf_failed(&sql) ? too_large(err)
                               : op_prepare_internal(x->s->op, strbuf_cstr(&sql), &x->find, err);
}

static enum err_code find_row(
    struct reading *x, sqlite3_stmt *in, int64_t *ret_rowid, bool *ret_found, struct err *err)
{
    struct op *op = x->s->op;
    int keys = (int)key_count(x->t), rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < (keys ? keys : 1); i++) {
        struct change_cell cell = change_cell_column(in, i + (keys > 0));
        rc = change_bind_cell(x->find, i + 1, &cell);
    }
    if (rc == SQLITE_OK)
        rc = change_step(op->eng, x->find);
    *ret_found = rc == SQLITE_ROW;
    *ret_rowid = *ret_found ? sqlite3_column_int64(x->find, 0) : 0;
    enum err_code code =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
    (void)sqlite3_reset(x->find); /* repeats the error of the step */
    return code;
}

/* Half of an update: `old` has the key, and nothing in the columns that come back. */
static void put_half(struct reading *x, sqlite3_stmt *in, int64_t rowid, bool old)
{
    struct change_cell id = {.kind = CHANGE_INT, .integer = rowid, .bytes = STR_EMPTY};
    int at = 1;
    if (shows_rowid(x->t)) {
        id.kind = old ? CHANGE_INT : CHANGE_SAME;
        change_put_cell(&x->rows, &id);
    }
    for (size_t i = 0; i < x->t->column_count; i++) {
        struct change_cell cell = cell_of_kind(CHANGE_SAME);
        if (x->t->columns[i].key && old)
            cell = change_cell_column(in, at);
        at += x->t->columns[i].key;
        change_put_cell(&x->rows, &cell);
    }
    for (const struct schema_undo_column *k = x->c->back; k; k = k->next, at++) {
        struct change_cell cell = change_cell_column(in, at);
        if (old)
            put_cell_of_kind(&x->rows, cell.kind == CHANGE_NULL ? CHANGE_SAME : CHANGE_NULL);
        else if (cell.kind == CHANGE_NULL)
            put_cell_of_kind(&x->rows, CHANGE_SAME);
        else
            change_put_cell(&x->rows, &cell);
    }
}

static bool brings_values(const struct reading *x, sqlite3_stmt *in)
{
    int at = 1 + (int)key_count(x->t);
    bool any = false;
    for (const struct schema_undo_column *k = x->c->back; k; k = k->next, at++)
        any |= sqlite3_column_type(in, at) != SQLITE_NULL;
    return any;
}

static enum err_code take_values(struct reading *x, sqlite3_stmt *in, struct err *err)
{
    int64_t rowid;
    bool found = false;
    enum err_code code = brings_values(x, in) ? find_row(x, in, &rowid, &found, err) : ERR_OK;
    if (code || !found)
        return code;
    x->count++;
    strbuf_add_char(&x->rows, (char)CHANGE_UPDATE);
    put_half(x, in, rowid, true);
    put_half(x, in, rowid, false);
    return ERR_OK;
}

static enum err_code take_columns(struct reading *x, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 4 << 20);
    put_columns(&sql, x->t, true);
    for (const struct schema_undo_column *k = x->c->back; k; k = k->next) {
        strbuf_add_char(&sql, ',');
        catalog_quote(&sql, k->name);
    }
    enum err_code code = prepare_find(x, err);
    if (!code)
        code = each_row(x, &sql, take_values, err);
    catalog_finalize(&x->find);
    return code || x->count == 0 ? code : put_set(x, err);
}

/* --- Each table --- */

static const struct recorder_table *old_table(struct schema_undo *s, struct str name)
{
    s->columns.from = s->old;
    const struct recorder_table *t = name.ptr ? recorder_table_read(&s->columns, name) : NULL;
    s->columns.from = NULL;
    return t && !t->ignored && !t->gone ? t : NULL;
}

/* *ret: where the columns of its rows are told; ptr NULL: it keeps none, or what it keeps is made anew. */
static enum err_code look_at_virtual(
    struct schema_undo *s, const struct schema_undo_change *c, struct str *ret, struct err *err)
{
    struct fts5_decl d;
    *ret = (struct str){NULL, 0};
    if (!fts5_decl_read(s->op->arena, c->before, &d) || d.content == FTS5_EXTERNAL)
        return ERR_OK;
    if (d.content == FTS5_CONTENTLESS)
        return err_set(err, ERR_CONFLICT,
            "\"" STR_FMT "\" was a full-text index without rows of its own, which cannot be put back",
            STR_ARG(c->name));
    *ret = arena_printf(s->op->arena, STR_FMT "_content", STR_ARG(c->name));
    return ret->ptr ? ERR_OK : too_large(err);
}

static enum err_code read_table(struct schema_undo *s, const struct schema_undo_change *c, struct err *err)
{
    struct reading x = {.s = s, .c = c};
    struct str name = c->name;
    bool removed = c->what == SCHEMA_REMOVED, full_text = str_starts_nocase(c->before, S("CREATE VIRTUAL"));
    if (removed ? c->rows == 0 : !c->back || !s->has_from)
        return ERR_OK;
    enum err_code code = full_text ? look_at_virtual(s, c, &name, err) : ERR_OK;
    if (code || !name.ptr)
        return code;
    x.t = removed ? old_table(s, name) : recorder_table_read(&s->columns, name);
    if (!x.t || !s->has_from)
        return err_set(err, ERR_CONFLICT, "no snapshot holds the rows of \"" STR_FMT "\"", STR_ARG(c->name));
    strbuf_init(&x.rows, (size_t)LIMIT_CHANGE_BYTES);
    code = removed ? take_table(&x, err) : take_columns(&x, err);
    strbuf_release(&x.rows);
    return code;
}

enum err_code schema_undo_read_rows(struct schema_undo *s, struct err *err)
{
    enum err_code code = invert_own(s, err);
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (schema_undo_is_table(c) && c->what != SCHEMA_ADDED && !c->renamed.ptr)
            code = read_table(s, c, err);
    }
    return code;
}
