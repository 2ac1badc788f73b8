/* Comparing two databases. */
#include "engine/change_compare.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "engine/branch_base.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/change_compare_internal.h"
#include "engine/change_target.h"
#include "engine/engine_state.h"

enum { LOOK_AT_TIME = 256 /* rows */, NAME_MAX_BYTES = 1000 };

static const char SQL_TABLES[] =
    "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND name NOT LIKE '\\_sys\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name";

/* One of the two, row by row. */
struct half {
    sqlite3_stmt *stmt;
    bool of_base, found;
    int64_t rowid;
    struct strbuf cells;
};

/* --- SQL --- */

static enum err_code failed(struct comparing *x, bool of_base, int rc, struct err *err)
{
    enum err_code code = op_check_time(x->op, err);
    if (code)
        return code;
    if (!of_base)
        return op_sql_error(x->op, rc, STR_EMPTY, err);
    return err_set(err, ERR_UNAVAILABLE, "what the branch began with cannot be read: %s", sqlite3_errstr(rc));
}

static enum err_code prepare(
    struct comparing *x, bool of_base, struct strbuf *sql, sqlite3_stmt **ret, struct err *err)
{
    struct engine *eng = x->op->eng;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = strbuf_failed(sql) ? SQLITE_TOOBIG : change_prepare(of_base ? x->c->base : eng->db, sql, ret);
    guard_leave(&eng->guard, saved);
    return rc == SQLITE_OK ? ERR_OK : failed(x, of_base, rc, err);
}

static void put_column(struct strbuf *sql, const struct comparing *x, size_t i)
{
    catalog_quote(sql, x->t.columns[i].name);
}

static void put_rowid(struct strbuf *sql, const struct comparing *x)
{
    if (x->now->without_rowid)
        strbuf_add_cstr(sql, "NULL");
    else if (x->now->alias >= 0)
        put_column(sql, x, (size_t)x->now->alias);
    else
        strbuf_add_cstr(sql, change_rowid_name(&x->t));
}

static void put_select(struct strbuf *sql, const struct comparing *x, bool of_base)
{
    strbuf_add_cstr(sql, "SELECT ");
    put_rowid(sql, x);
    for (size_t i = 0; i < x->t.column_count; i++) {
        if (x->t.columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        strbuf_add_cstr(sql, ", ");
        if (of_base && x->missing[i])
            strbuf_add_cstr(sql, "NULL");
        else
            put_column(sql, x, i);
    }
    strbuf_add_cstr(sql, " FROM main.");
    catalog_quote(sql, x->t.name);
}

static void put_where(struct strbuf *sql, const struct comparing *x)
{
    const char *between = " WHERE ";
    for (size_t i = 0; i < x->t.column_count; i++) {
        if (!(x->t.columns[i].flags & CHANGE_COLUMN_KEY))
            continue;
        strbuf_add_cstr(sql, between);
        put_column(sql, x, i);
        strbuf_addf(sql, " = ?%zu AND ", i + 1);
        put_column(sql, x, i);
        strbuf_addf(sql, " COLLATE BINARY = ?%zu", i + 1);
        between = " AND ";
    }
}

static enum err_code open_half(
    struct comparing *x, struct half *h, bool of_base, bool by_key, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 20);
    *h = (struct half){.of_base = of_base};
    strbuf_init(&h->cells, (size_t)LIMIT_CHANGE_BYTES);
    if (of_base && (!x->c->base || !x->base))
        return ERR_OK; /* it has no rows */
    put_select(&sql, x, of_base);
    if (by_key)
        put_where(&sql, x);
    if (!by_key && !x->now->without_rowid) {
        strbuf_add_cstr(&sql, " ORDER BY ");
        put_rowid(&sql, x);
    }
    return prepare(x, of_base, &sql, &h->stmt, err);
}

static void close_half(struct half *h)
{
    (void)sqlite3_finalize(h->stmt); /* repeats the error of the step */
    strbuf_release(&h->cells);
}

static void read_cells(struct comparing *x, struct half *h)
{
    int column = 1;
    strbuf_reset(&h->cells);
    for (size_t i = 0; i < x->t.column_count; i++) {
        if (x->t.columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        struct change_cell cell = change_cell_column(h->stmt, column++);
        if (h->of_base && x->missing[i])
            strbuf_add_str(&h->cells, x->defaults[i]);
        else
            change_put_cell(&h->cells, &cell);
    }
}

static enum err_code next(struct comparing *x, struct half *h, struct err *err)
{
    h->found = false;
    if (!h->stmt)
        return ERR_OK;
    if (++x->looked % LOOK_AT_TIME == 0) {
        enum err_code code = op_check_time(x->op, err);
        if (code)
            return code;
    }
    int rc = change_step(x->op->eng, h->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return failed(x, h->of_base, rc, err);
    h->found = rc == SQLITE_ROW;
    if (!h->found)
        return ERR_OK;
    h->rowid = sqlite3_column_int64(h->stmt, 0);
    read_cells(x, h);
    x->op->head.rows_read++;
    return strbuf_failed(&h->cells) ? compare_too_much(x, err) : ERR_OK;
}

/* --- Differences --- */

static int64_t keep(struct comparing *x, struct str cells, size_t *ret_len)
{
    int64_t at = (int64_t)x->cells.len;
    strbuf_add_str(&x->cells, cells);
    *ret_len = cells.len;
    return at;
}

static enum err_code note(
    struct comparing *x, struct str was, int64_t old_rowid, struct str is, int64_t new_rowid, struct err *err)
{
    struct difference d = {.old_at = -1, .new_at = -1, .old_rowid = old_rowid, .new_rowid = new_rowid};
    if (!was.ptr && !is.ptr)
        return ERR_OK;
    if (was.ptr && is.ptr && str_eq(was, is))
        return ERR_OK;
    if (was.ptr)
        d.old_at = keep(x, was, &d.old_len);
    if (is.ptr)
        d.new_at = keep(x, is, &d.new_len);
    if (strbuf_failed(&x->cells) || x->rows + x->count >= (uint64_t)LIMIT_CHANGE_ROWS)
        return compare_too_much(x, err);
    if (x->count == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 64;
        x->list = mem_grow(x->list, x->cap, sizeof x->list[0]);
    }
    x->list[x->count++] = d;
    return ERR_OK;
}

/* The row as it was, with what was merged since; ptr NULL: it was not there. */
static struct str was(struct comparing *x, int64_t rowid, struct str base_cells, struct str cells)
{
    change_overlay_key(&x->key, &x->t, rowid, cells);
    bool there =
        change_overlay_row(&x->overlay, &x->t, strbuf_str(&x->key), base_cells, x->defaults, &x->below);
    return there ? strbuf_str(&x->below) : (struct str){NULL, 0};
}

static enum err_code walk(struct comparing *x, struct half *base, struct half *now, struct err *err)
{
    enum err_code code = next(x, base, err);
    if (!code)
        code = next(x, now, err);
    while (!code && (base->found || now->found)) {
        bool old = base->found && (!now->found || base->rowid <= now->rowid);
        bool is = now->found && (!base->found || now->rowid <= base->rowid);
        struct str cells = strbuf_str(is ? &now->cells : &base->cells);
        int64_t rowid = is ? now->rowid : base->rowid;
        struct str before = was(x, rowid, old ? strbuf_str(&base->cells) : NO_ROW, cells);
        code = note(x, before, rowid, is ? cells : NO_ROW, rowid, err);
        if (!code && old)
            code = next(x, base, err);
        if (!code && is)
            code = next(x, now, err);
    }
    return code;
}

static enum err_code look_up(struct comparing *x, struct half *h, struct str cells, struct err *err)
{
    h->found = false;
    if (!h->stmt)
        return ERR_OK;
    (void)sqlite3_reset(h->stmt); /* a row was read, or none */
    int rc = SQLITE_OK, parameters = sqlite3_bind_parameter_count(h->stmt);
    for (size_t i = 0; rc == SQLITE_OK && i < x->t.column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if ((int)i < parameters && (x->t.columns[i].flags & CHANGE_COLUMN_KEY))
            rc = change_bind_cell(h->stmt, (int)i + 1, &cell);
    }
    return rc == SQLITE_OK ? next(x, h, err) : failed(x, h->of_base, rc, err);
}

/* Keys have an order that only SQLite knows: each row is looked up on the other side. */
static enum err_code walk_by_key(struct comparing *x, struct half *all, struct half *other, struct err *err)
{
    for (;;) {
        enum err_code code = next(x, all, err);
        if (code || !all->found)
            return code;
        code = look_up(x, other, strbuf_str(&all->cells), err);
        if (code)
            return code;
        if (!all->of_base) {
            struct str is = strbuf_str(&all->cells);
            code = note(x, was(x, 0, other->found ? strbuf_str(&other->cells) : NO_ROW, is), 0, is, 0, err);
        } else if (!other->found) {
            struct str old = strbuf_str(&all->cells);
            code = note(x, was(x, 0, old, old), 0, NO_ROW, 0, err);
        }
        if (code)
            return code;
    }
}

static enum err_code compare_rows(struct comparing *x, bool base_leads, struct err *err)
{
    struct half base, now;
    bool by_key = x->now->without_rowid;
    enum err_code code = open_half(x, &base, true, by_key && !base_leads, err);
    enum err_code second = open_half(x, &now, false, by_key && base_leads, code ? NULL : err);
    code = code ? code : second;
    if (!code && by_key)
        code = walk_by_key(x, base_leads ? &base : &now, base_leads ? &now : &base, err);
    else if (!code)
        code = walk(x, &base, &now, err);
    close_half(&base);
    close_half(&now);
    return code;
}

/* Rows that were merged and are gone again. */
static enum err_code compare_left(struct comparing *x, struct err *err)
{
    struct str key;
    enum err_code code = ERR_OK;
    while (!code && change_overlay_left(&x->overlay, &x->t, x->defaults, &x->below, &key)) {
        struct change_cell id = change_cell_next(&key);
        code = note(x, strbuf_str(&x->below), id.kind == CHANGE_INT ? id.integer : 0, NO_ROW, 0, err);
    }
    return code;
}

/* --- Tables --- */

static void tell(struct comparing *x, struct str table, const char *reason)
{
    struct compare_note **end = &x->c->notes, *n = arena_alloc(x->op->arena, sizeof *n);
    while (*end)
        end = &(*end)->next;
    if (!n)
        return; /* the answer tells fewer */
    *n = (struct compare_note){.table = arena_copy(x->op->arena, table), .reason = reason};
    if (n->table.ptr)
        *end = n;
}

static int find_column(const struct recorder_table *t, struct str name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (str_eq_nocase(t->columns[i].name, name))
            return (int)i;
    return -1;
}

static bool same_key(const struct recorder_table *a, const struct recorder_table *b)
{
    bool same =
        a->without_rowid == b->without_rowid && a->has_key == b->has_key && (a->alias < 0) == (b->alias < 0);
    if (same && a->alias >= 0)
        same = str_eq_nocase(a->columns[a->alias].name, b->columns[b->alias].name);
    for (int both = 0; both < 2; both++) {
        const struct recorder_table *p = both ? a : b, *q = both ? b : a;
        for (size_t i = 0; same && i < p->column_count; i++) {
            int at = find_column(q, p->columns[i].name);
            same = !p->columns[i].key || (at >= 0 && q->columns[at].key);
        }
    }
    return same;
}

/* The columns of the table as it was, without more of them than their names. */
static bool columns_moved(const struct comparing *x)
{
    const struct recorder_table *b = x->base;
    if (!b)
        return false;
    struct change_table_view was = {.column_count = b->column_count};
    was.columns = mem_array(b->column_count, sizeof was.columns[0]);
    for (size_t i = 0; i < b->column_count; i++)
        was.columns[i] = (struct change_column){b->columns[i].name, 0};
    bool moved = change_columns_moved(&was, &x->t);
    mem_free(was.columns);
    return moved;
}

static void make_view(struct comparing *x)
{
    const struct recorder_table *n = x->now;
    bool rowid = !n->without_rowid && n->alias < 0;
    x->t.name = n->shown;
    x->t.flags =
        (n->has_key ? CHANGE_TABLE_HAS_KEY : 0) | (n->without_rowid ? CHANGE_TABLE_WITHOUT_ROWID : 0);
    x->t.column_count = n->column_count + rowid;
    x->t.columns = mem_array(x->t.column_count, sizeof x->t.columns[0]);
    if (rowid)
        x->t.columns[0] = (struct change_column){S("rowid"), CHANGE_COLUMN_ROWID};
    for (size_t i = 0; i < n->column_count; i++)
        x->t.columns[i + rowid] =
            (struct change_column){n->columns[i].name, n->columns[i].key ? CHANGE_COLUMN_KEY : 0};
    x->missing = mem_array(x->t.column_count, sizeof x->missing[0]);
    x->defaults = mem_array(x->t.column_count, sizeof x->defaults[0]);
    for (size_t i = rowid; i < x->t.column_count; i++)
        x->missing[i] = !x->base || find_column(x->base, x->t.columns[i].name) < 0;
}

static void drop_view(struct comparing *x)
{
    mem_free(x->t.columns);
    mem_free(x->missing);
    mem_free(x->defaults);
    x->t = (struct change_table_view){.columns = NULL};
    x->missing = NULL;
    x->defaults = NULL;
}

/* The default of a column as a cell: what the rows before it have. A text of the tenant's, run as his. */
static struct str default_cell(struct comparing *x, sqlite3_stmt *columns)
{
    AUTO_STRBUF sql;
    AUTO_STRBUF cell;
    AUTO_SQL *stmt = NULL;
    struct change_cell none = {.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    struct err ignored = ERR_INIT;
    bool one;
    const char *text = (const char *)sqlite3_column_text(columns, 4);
    strbuf_init(&cell, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&sql, 1 << 20);
    strbuf_add_cstr(&sql, "SELECT ");
    strbuf_add_cstr(&sql, text ? text : "NULL");
    if (text && !strbuf_failed(&sql) &&
        op_prepare_tenant(x->op, str_of(strbuf_cstr(&sql)), &stmt, &one, &ignored) == ERR_OK && one && stmt &&
        op_step_tenant(x->op, stmt) == SQLITE_ROW)
        none = change_cell_column(stmt, 0);
    x->op->error_detail = STR_EMPTY;
    change_put_cell(&cell, &none);
    return arena_copy(x->op->arena, strbuf_str(&cell));
}

static enum err_code read_defaults(struct comparing *x, struct err *err)
{
    static const struct str NULL_CELL = {"\0", 1};
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    bool wanted = x->base != NULL;
    strbuf_init(&sql, 1 << 20);
    for (size_t i = 0; i < x->t.column_count; i++)
        x->defaults[i] = NULL_CELL;
    bool any = false;
    for (size_t i = 0; i < x->t.column_count; i++)
        any |= x->missing[i];
    if (!wanted || !any)
        return ERR_OK;
    strbuf_add_cstr(&sql, "PRAGMA main.table_xinfo(");
    catalog_quote(&sql, x->now->name);
    strbuf_add_char(&sql, ')');
    enum err_code code = prepare(x, false, &sql, &stmt, err);
    while (!code && change_step(x->op->eng, stmt) == SQLITE_ROW) {
        struct str name = str_of((const char *)sqlite3_column_text(stmt, 1));
        for (size_t i = 0; i < x->t.column_count; i++) {
            if (!x->missing[i] || !str_eq_nocase(x->t.columns[i].name, name))
                continue;
            x->defaults[i] = default_cell(x, stmt);
            if (!x->defaults[i].ptr)
                return err_set(err, ERR_TOO_LARGE, "the defaults of columns are too large");
        }
    }
    return code;
}

static enum err_code add_merged(struct comparing *x, struct err *err)
{
    enum err_code code = ERR_OK;
    int alias = x->now->alias;
    for (size_t i = 0; i < x->c->merged_count && !code; i++)
        code = change_overlay_add(&x->overlay, &x->t, alias, x->c->merged[i], err);
    return code;
}

static enum err_code compare_all_rows(struct comparing *x, struct err *err)
{
    enum err_code code = compare_rows(x, false, err);
    if (!code && x->now->without_rowid)
        code = compare_rows(x, true, err);
    if (!code)
        code = compare_left(x, err);
    return code ? code : compare_write_table(x, err);
}

static enum err_code compare_table(struct comparing *x, struct err *err)
{
    change_overlay_init(&x->overlay);
    make_view(x);
    strbuf_reset(&x->cells);
    x->count = 0;
    enum err_code code = read_defaults(x, err);
    if (!code)
        code = add_merged(x, err);
    bool moved = !code && (x->overlay.moved || columns_moved(x));
    if (moved)
        tell(x, x->now->shown, COMPARE_COLUMNS_MOVED);
    else if (!code)
        code = compare_all_rows(x, err);
    change_overlay_release(&x->overlay);
    drop_view(x);
    return code;
}

static bool is_wanted(const struct comparing *x, struct str name)
{
    char lower[NAME_MAX_BYTES];
    if (!x->c->only)
        return true;
    if (name.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + ('a' - 'A') : name.ptr[i]);
    bool *there = map_get(x->c->only, str_make(lower, name.len));
    if (there)
        *there = true;
    return there != NULL;
}

/* What the recorder would not record is not compared; neither is what has another key than before. */
static enum err_code look_at_table(struct comparing *x, struct str name, struct err *err)
{
    recorder_init(&x->now_columns, x->op->eng, RECORDER_ROWS);
    recorder_init(&x->base_columns, x->op->eng, RECORDER_ROWS);
    x->base_columns.from = x->c->base;
    x->now = recorder_table_read(&x->now_columns, name);
    x->base = x->c->base ? recorder_table_read(&x->base_columns, name) : NULL;
    bool known = x->now && (x->base || !x->c->base);
    enum err_code code = known ? ERR_OK : failed(x, x->now != NULL, SQLITE_NOMEM, err);
    bool compared = known && !x->now->ignored && !x->now->gone && is_wanted(x, x->now->shown);
    if (x->base && (x->base->gone || x->base->ignored))
        x->base = NULL;
    if (compared && x->base && !same_key(x->now, x->base))
        tell(x, x->now->shown, COMPARE_KEY_CHANGED);
    else if (compared)
        code = compare_table(x, err);
    recorder_release(&x->now_columns);
    recorder_release(&x->base_columns);
    return code;
}

typedef enum err_code table_fn(struct comparing *x, struct str name, struct err *err);

static enum err_code each_table(struct comparing *x, bool of_base, table_fn *fn, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    int rc = SQLITE_DONE;
    strbuf_init(&sql, sizeof SQL_TABLES + 1);
    strbuf_add_cstr(&sql, SQL_TABLES);
    enum err_code code = prepare(x, of_base, &sql, &stmt, err);
    while (!code && (rc = change_step(x->op->eng, stmt)) == SQLITE_ROW)
        code = fn(x, str_make(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)), err);
    return code || rc == SQLITE_DONE ? code : failed(x, of_base, rc, err);
}

static enum err_code note_removed(struct comparing *x, struct str name, struct err *err)
{
    recorder_init(&x->now_columns, x->op->eng, RECORDER_ROWS);
    const struct recorder_table *now = recorder_table_read(&x->now_columns, name);
    enum err_code code = now ? ERR_OK : failed(x, false, SQLITE_NOMEM, err);
    if (now && now->gone && is_wanted(x, name))
        tell(x, name, "the branch has removed it");
    recorder_release(&x->now_columns);
    return code;
}

enum err_code change_compare(struct op *op, struct comparison *c, struct err *err)
{
    struct comparing x = {.op = op, .c = c};
    struct strbuf *buffers[] = {&x.key, &x.below, &x.cells, &x.tables, &x.whole_tables};
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        strbuf_init(buffers[i], (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = each_table(&x, false, look_at_table, err);
    if (!code && c->base)
        code = each_table(&x, true, note_removed, err);
    if (!code) {
        compare_put_all(c->set, x.table_count, &x.tables);
        if (c->whole)
            compare_put_all(c->whole, x.whole_count, &x.whole_tables);
    }
    if (!code && (strbuf_failed(c->set) || (c->whole && strbuf_failed(c->whole))))
        code = err_set(err, ERR_TOO_LARGE, "the branch changed more than can be compared: name some tables");
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        strbuf_release(buffers[i]);
    mem_free(x.list);
    return code;
}
