/* Applying a change set. */
#include "engine/change_apply.h"
#include "base/arena.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_bulk.h"
#include "engine/engine_state.h"

enum { ARENA_MAX = 1 << 20 };

static const char *const NAMES[CONFLICT_KINDS] = {[CONFLICT_MISSING] = "missing",
    [CONFLICT_DIFFERS] = "differs",
    [CONFLICT_EXISTS] = "exists",
    [CONFLICT_CONSTRAINT] = "constraint",
    [CONFLICT_SCHEMA] = "schema",
    [CONFLICT_BETWEEN] = "between"};

const char *change_conflict_name(enum change_conflict_kind kind)
{
    return NAMES[kind];
}

/* Which columns find a row: its declared key, or its row id. */
enum finder { BY_KEY, BY_ROWID, FINDERS };
enum { DO_INSERT = FINDERS, DO_INSERT_ANYWHERE, DO_DELETE, DO_DELETE_BY_ROWID, STATEMENTS };

struct target {
    const struct change_table_view *t;
    bool missing; /* the table or a column is not there */
    const char *rowid;
    sqlite3_stmt *stmt[STATEMENTS];
    sqlite3_stmt *update; /* for the columns of `mask`, found by `by` */
    bool *mask;
    enum finder by; /* as is `strict` */
    bool strict;
    struct change_cell *now;
};

struct applying {
    struct engine *eng;
    change_conflict_fn *fn;
    void *arg;
    uint64_t conflicts;
    int pass;    /* the op that is done now; 0: what an earlier pass left */
    bool last;   /* what fails now fails for good */
    bool unsure; /* … unless it is in the way of another conflict */
    uint64_t done, left;
    bool *waits; /* of each row: it is left */
    uint64_t at;
    bool whole[CHANGE_TABLES_MAX]; /* of each table: change_bulk() did all of it */
    size_t table;
};

int change_step(struct engine *eng, sqlite3_stmt *stmt)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    eng->guard.own_reads = true; /* it may go through FTS5 */
    int rc = sqlite3_step(stmt);
    guard_leave(&eng->guard, saved);
    return rc;
}

static sqlite3_stmt *prepare(struct engine *eng, struct strbuf *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (strbuf_failed(sql))
        return NULL;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = sqlite3_prepare_v2(eng->db, strbuf_cstr(sql), (int)sql->len, &stmt, NULL);
    guard_leave(&eng->guard, saved);
    return rc == SQLITE_OK ? stmt : NULL;
}

static void put_column(struct strbuf *sql, const struct target *g, size_t i)
{
    if (g->t->columns[i].flags & CHANGE_COLUMN_ROWID)
        strbuf_add_cstr(sql, g->rowid);
    else
        catalog_quote(sql, g->t->columns[i].name);
}

static bool finds(const struct target *g, enum finder by, size_t i)
{
    return g->t->columns[i].flags & (by == BY_KEY ? CHANGE_COLUMN_KEY : CHANGE_COLUMN_ROWID);
}

/* Parameters have the number of their column. */
static void put_where(struct strbuf *sql, const struct target *g, enum finder by)
{
    const char *between = " WHERE ";
    for (size_t i = 0; i < g->t->column_count; i++) {
        if (!finds(g, by, i))
            continue;
        strbuf_add_cstr(sql, between);
        put_column(sql, g, i);
        strbuf_addf(sql, " IS ?%zu", i + 1);
        between = " AND ";
    }
}

static void put_select(struct strbuf *sql, const struct target *g, enum finder by)
{
    for (size_t i = 0; i < g->t->column_count; i++) {
        strbuf_add_cstr(sql, i ? ", " : "SELECT ");
        put_column(sql, g, i);
    }
    strbuf_add_cstr(sql, " FROM main.");
    catalog_quote(sql, g->t->name);
    put_where(sql, g, by);
}

static void put_insert(struct strbuf *sql, const struct target *g, bool with_rowid)
{
    const char *between = " (";
    strbuf_add_cstr(sql, "INSERT INTO main.");
    catalog_quote(sql, g->t->name);
    for (size_t i = with_rowid ? 0 : 1; i < g->t->column_count; i++, between = ", ") {
        strbuf_add_cstr(sql, between);
        put_column(sql, g, i);
    }
    between = ") VALUES (";
    for (size_t i = with_rowid ? 0 : 1; i < g->t->column_count; i++, between = ", ")
        strbuf_addf(sql, "%s?%zu", between, i + 1);
    strbuf_add_char(sql, ')');
}

static sqlite3_stmt *statement(struct applying *a, struct target *g, int which)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 20);
    if (g->stmt[which])
        return g->stmt[which];
    switch (which) {
    case BY_KEY:
    case BY_ROWID: put_select(&sql, g, (enum finder)which); break;
    case DO_INSERT:
    case DO_INSERT_ANYWHERE: put_insert(&sql, g, which == DO_INSERT); break;
    default:
        strbuf_add_cstr(&sql, "DELETE FROM main.");
        catalog_quote(&sql, g->t->name);
        put_where(&sql, g, which == DO_DELETE ? BY_KEY : BY_ROWID);
    }
    return g->stmt[which] = prepare(a->eng, &sql);
}

int change_bind_cell(sqlite3_stmt *stmt, int index, const struct change_cell *cell)
{
    switch (cell->kind) {
    case CHANGE_INT: return sqlite3_bind_int64(stmt, index, cell->integer);
    case CHANGE_REAL: return sqlite3_bind_double(stmt, index, cell->real);
    case CHANGE_TEXT:
        return sqlite3_bind_text64(stmt, index, cell->bytes.ptr, cell->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case CHANGE_BLOB:
        return sqlite3_bind_blob64(stmt, index, cell->bytes.ptr, cell->bytes.len, SQLITE_STATIC);
    default: return sqlite3_bind_null(stmt, index);
    }
}

/* Binds the columns that find the row, or all of `cells` that are told. */
static int bind_row(sqlite3_stmt *stmt, const struct target *g, enum finder by, bool all, struct str cells)
{
    int rc = SQLITE_OK, parameters = sqlite3_bind_parameter_count(stmt);
    for (size_t i = 0; rc == SQLITE_OK && i < g->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        bool wanted = all ? cell.kind != CHANGE_SAME : finds(g, by, i);
        if (wanted && (int)i < parameters)
            rc = change_bind_cell(stmt, (int)i + 1, &cell);
    }
    return rc;
}

struct change_cell change_cell_column(sqlite3_stmt *stmt, int column)
{
    struct change_cell cell = {.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        cell.kind = CHANGE_INT;
        cell.integer = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_FLOAT:
        cell.kind = CHANGE_REAL;
        cell.real = sqlite3_column_double(stmt, column);
        break;
    case SQLITE_TEXT:
        cell.kind = CHANGE_TEXT;
        cell.bytes.ptr = (const char *)sqlite3_column_text(stmt, column);
        cell.bytes.len = (size_t)sqlite3_column_bytes(stmt, column);
        break;
    case SQLITE_BLOB:
        cell.kind = CHANGE_BLOB;
        cell.bytes.ptr = sqlite3_column_blob(stmt, column);
        cell.bytes.len = (size_t)sqlite3_column_bytes(stmt, column);
        break;
    default: break;
    }
    return cell;
}

/* --- One row --- */

/* By its key where that can find it: the row id of a row that was put back may be another. */
static enum finder finder_of(const struct target *g, struct str cells)
{
    bool key = false, null = false;
    for (size_t i = 0; i < g->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        key |= g->t->columns[i].flags & CHANGE_COLUMN_KEY;
        null |= (g->t->columns[i].flags & CHANGE_COLUMN_KEY) && cell.kind == CHANGE_NULL;
    }
    return key && !(null && g->rowid) ? BY_KEY : BY_ROWID;
}

enum { IS_OLD = 1, IS_NEW = 2 };

/* Is the row as it was, as it is to be, or in each column one of both? The row id of a row that was found by
 * its key does not count. */
static unsigned compare(const struct target *g, const struct change_row *row, enum finder by)
{
    struct str old_cells = row->old_cells, new_cells = row->new_cells;
    unsigned is = IS_OLD | IS_NEW, either = 1;
    for (size_t i = 0; i < g->t->column_count; i++) {
        struct change_cell none = {.kind = CHANGE_SAME};
        struct change_cell was = old_cells.ptr ? change_cell_next(&old_cells) : none;
        struct change_cell will = new_cells.ptr ? change_cell_next(&new_cells) : none;
        bool ignored = by == BY_KEY && (g->t->columns[i].flags & CHANGE_COLUMN_ROWID);
        bool changes = row->op != CHANGE_UPDATE || will.kind != CHANGE_SAME;
        if (ignored || !changes)
            continue;
        bool as_was = old_cells.ptr && change_cell_eq(&g->now[i], &was);
        bool as_will = new_cells.ptr && change_cell_eq(&g->now[i], &will);
        is &= (as_was ? IS_OLD : 0) | (as_will ? IS_NEW : 0) | 0u;
        either &= as_was || as_will;
    }
    if (!is && either)
        is = IS_OLD;
    return is;
}

static void tell(struct applying *a, const struct target *g, const struct change_row *row,
    enum change_conflict_kind kind, bool present)
{
    struct change_conflict c = {kind, g->t, row, present ? g->now : NULL, a->unsure};
    a->conflicts++;
    a->fn(a->arg, &c);
}

static enum err_code sql_failed(struct applying *a, int rc, struct err *err)
{
    struct op *op = a->eng->running;
    if (op)
        return op_sql_error(op, rc, STR_EMPTY, err);
    return err_set(err, ERR_UNAVAILABLE, "a change set could not be applied: %s", sqlite3_errmsg(a->eng->db));
}

/* `strict`: it finds the row only while what it changes is as it was. */
static sqlite3_stmt *update_statement(
    struct applying *a, struct target *g, const struct change_row *row, enum finder by, bool strict)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 20);
    struct str cells = row->new_cells;
    bool same = g->update && g->by == by && g->strict == strict;
    const char *between = " SET ";
    for (size_t i = 0; i < g->t->column_count; i++) {
        bool changes = change_cell_next(&cells).kind != CHANGE_SAME;
        same &= g->mask[i] == changes;
        g->mask[i] = changes;
    }
    if (same)
        return g->update;
    (void)sqlite3_finalize(g->update); /* reset already */
    strbuf_add_cstr(&sql, "UPDATE main.");
    catalog_quote(&sql, g->t->name);
    size_t n = g->t->column_count;
    for (size_t i = 0; i < n; i++) {
        if (!g->mask[i])
            continue;
        strbuf_add_cstr(&sql, between);
        put_column(&sql, g, i);
        strbuf_addf(&sql, " = ?%zu", n + i + 1);
        between = ", ";
    }
    put_where(&sql, g, by);
    for (size_t i = 0; strict && i < n; i++) {
        if (!g->mask[i])
            continue;
        strbuf_add_cstr(&sql, " AND ");
        put_column(&sql, g, i);
        strbuf_addf(&sql, " COLLATE BINARY IS ?%zu", i + 1);
    }
    g->by = by;
    g->strict = strict;
    return g->update = prepare(a->eng, &sql);
}

static int bind_new(sqlite3_stmt *stmt, const struct target *g, struct str cells)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < g->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (cell.kind != CHANGE_SAME)
            rc = change_bind_cell(stmt, (int)(g->t->column_count + i) + 1, &cell);
    }
    return rc;
}

static int run(struct applying *a, sqlite3_stmt *stmt, int bound)
{
    int rc = bound == SQLITE_OK ? change_step(a->eng, stmt) : bound;
    int reset = sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

static int do_insert(struct applying *a, struct target *g, const struct change_row *row)
{
    sqlite3_stmt *stmt = statement(a, g, DO_INSERT);
    if (!stmt)
        return SQLITE_ERROR;
    int rc = run(a, stmt, bind_row(stmt, g, BY_KEY, true, row->new_cells));
    if (rc != SQLITE_CONSTRAINT_ROWID || !g->rowid || !(g->t->flags & CHANGE_TABLE_HAS_KEY))
        return rc;
    stmt = statement(a, g, DO_INSERT_ANYWHERE);
    return stmt ? run(a, stmt, bind_row(stmt, g, BY_KEY, true, row->new_cells)) : SQLITE_ERROR;
}

static int do_row(struct applying *a, struct target *g, const struct change_row *row, enum finder by)
{
    if (row->op == CHANGE_INSERT)
        return do_insert(a, g, row);
    sqlite3_stmt *stmt = row->op == CHANGE_UPDATE
                             ? update_statement(a, g, row, by, false)
                             : statement(a, g, by == BY_KEY ? DO_DELETE : DO_DELETE_BY_ROWID);
    if (!stmt)
        return SQLITE_ERROR;
    int rc = bind_row(stmt, g, by, false, row->old_cells);
    if (rc == SQLITE_OK && row->op == CHANGE_UPDATE)
        rc = bind_new(stmt, g, row->new_cells);
    return run(a, stmt, rc);
}

/* false: nothing is to be done, or it was a conflict. */
static bool is_due(
    struct applying *a, struct target *g, const struct change_row *row, bool present, enum finder by)
{
    unsigned is = present ? compare(g, row, by) : 0;
    switch (row->op) {
    case CHANGE_INSERT:
        if (present && !(is & IS_NEW))
            tell(a, g, row, CONFLICT_EXISTS, true);
        return !present;
    case CHANGE_DELETE:
        if (present && !(is & IS_OLD))
            tell(a, g, row, CONFLICT_DIFFERS, true);
        return present && (is & IS_OLD);
    default:
        if (!present || !is)
            tell(a, g, row, present ? CONFLICT_DIFFERS : CONFLICT_MISSING, present);
        return present && (is & IS_OLD) && !(is & IS_NEW);
    }
}

/* Most updates need no look first. SQLITE_OK and *ret_done false: this one does. */
static int update_at_once(
    struct applying *a, struct target *g, const struct change_row *row, enum finder by, bool *ret_done)
{
    *ret_done = false;
    sqlite3_stmt *stmt = update_statement(a, g, row, by, true);
    if (!stmt)
        return SQLITE_OK;
    int rc = bind_row(stmt, g, by, true, row->old_cells);
    if (rc == SQLITE_OK)
        rc = bind_new(stmt, g, row->new_cells);
    rc = run(a, stmt, rc);
    *ret_done = rc == SQLITE_OK && sqlite3_changes64(a->eng->db) == 1;
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_OK : rc;
}

static enum err_code apply_row(
    struct applying *a, struct target *g, const struct change_row *row, struct err *err)
{
    struct str cells = row->old_cells.ptr ? row->old_cells : row->new_cells;
    enum finder by = finder_of(g, cells);
    bool done = false;
    int at_once = row->op == CHANGE_UPDATE ? update_at_once(a, g, row, by, &done) : SQLITE_OK;
    a->done += done;
    if (done || at_once != SQLITE_OK)
        return done ? ERR_OK : sql_failed(a, at_once, err);
    sqlite3_stmt *find = statement(a, g, (int)by);
    if (!find) {
        g->missing = true;
        tell(a, g, row, CONFLICT_SCHEMA, false);
        return ERR_OK;
    }
    int rc = bind_row(find, g, by, false, cells);
    rc = rc == SQLITE_OK ? change_step(a->eng, find) : rc;
    bool present = rc == SQLITE_ROW;
    for (size_t i = 0; present && i < g->t->column_count; i++)
        g->now[i] = change_cell_column(find, (int)i);
    bool taken = row->op == CHANGE_INSERT && present && !a->last;
    bool due = (rc == SQLITE_ROW || rc == SQLITE_DONE) && !taken && is_due(a, g, row, present, by);
    int reset = sqlite3_reset(find);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sql_failed(a, reset, err);
    rc = due ? do_row(a, g, row, by) : SQLITE_OK;
    if (taken || (rc & 0xff) == SQLITE_CONSTRAINT) { /* something else of the set may be in its way */
        a->waits[a->at] = true;
        a->left++;
        if (a->last)
            tell(a, g, row, CONFLICT_CONSTRAINT, false);
        return ERR_OK;
    }
    a->done += due;
    return rc == SQLITE_OK ? ERR_OK : sql_failed(a, rc, err);
}

/* --- Tables --- */

const char *change_rowid_name(const struct change_table_view *t)
{
    static const char *const ROWIDS[] = {"rowid", "_rowid_", "oid"};
    for (size_t n = 0; n < ARRAY_LEN(ROWIDS); n++) {
        bool taken = false;
        for (size_t i = 1; i < t->column_count; i++)
            taken |= str_eq_nocase(t->columns[i].name, str_of(ROWIDS[n]));
        if (!taken)
            return ROWIDS[n];
    }
    return "rowid";
}

static void target_release(struct target *g)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(g->stmt[i]); /* reset already */
    (void)sqlite3_finalize(g->update);      /* the same */
    mem_free(g->mask);
    mem_free(g->now);
}

static bool is_turn(const struct applying *a, const struct change_row *row)
{
    return a->pass ? (int)row->op == a->pass : a->waits[a->at];
}

static enum err_code apply_whole(struct applying *a, const struct change_table_view *t, struct err *err)
{
    bool *done = &a->whole[a->table];
    if (a->pass == CHANGE_UPDATE) {
        int rc = change_bulk(a->eng, t, change_rowid_name(t), done);
        if (rc != SQLITE_OK)
            return sql_failed(a, rc, err);
        a->done += *done ? t->row_count : 0;
    }
    a->at += *done ? t->row_count : 0;
    return ERR_OK;
}

static enum err_code apply_table(struct applying *a, const struct change_table_view *t, struct err *err)
{
    struct target g = {.t = t};
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    enum err_code code = apply_whole(a, t, err);
    if (code || a->whole[a->table])
        return code;
    g.rowid = t->columns[0].flags & CHANGE_COLUMN_ROWID ? change_rowid_name(t) : NULL;
    g.mask = mem_array(t->column_count, sizeof g.mask[0]);
    g.now = mem_array(t->column_count, sizeof g.now[0]);
    while (!code && found) {
        code = change_row_next(t, &rest, &found, &row, err);
        if (code || !found)
            break;
        if (is_turn(a, &row) && !g.missing) {
            a->waits[a->at] = false;
            code = apply_row(a, &g, &row, err);
        }
        a->at++;
    }
    target_release(&g);
    return code;
}

static enum err_code apply_pass(struct applying *a, struct str bytes, int pass, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    a->pass = pass;
    a->done = a->left = a->at = 0;
    a->table = 0;
    enum err_code code = change_reader_init(&r, bytes, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found)
            code = apply_table(a, &t, err);
        a->table++;
    }
    change_reader_release(&r);
    return code;
}

/* Updates come first, so that the action of a foreign key finds nothing to do when a row goes. What could not
 * be done then is tried again for as long as that helps. */
static enum err_code apply_passes(struct applying *a, struct str bytes, struct err *err)
{
    static const enum change_op ORDER[] = {CHANGE_UPDATE, CHANGE_INSERT, CHANGE_DELETE};
    enum err_code code = ERR_OK;
    uint64_t left = 0;
    for (size_t i = 0; !code && i < ARRAY_LEN(ORDER); i++) {
        code = apply_pass(a, bytes, (int)ORDER[i], err);
        left += a->left;
    }
    while (!code && left > 0 && a->conflicts == 0) {
        code = apply_pass(a, bytes, 0, err);
        left = a->left;
        if (!code && a->done == 0 && left > 0) {
            a->last = true;
            return apply_pass(a, bytes, 0, err);
        }
    }
    a->last = a->unsure = a->conflicts > 0;
    return !code && a->unsure && left > 0 ? apply_pass(a, bytes, 0, err) : code;
}

static void set_triggers(struct engine *eng, int on)
{
    (void)sqlite3_db_config(eng->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, on, NULL); /* a known switch */
}

enum err_code change_apply(struct engine *eng, struct str bytes, change_conflict_fn *fn, void *arg,
    uint64_t *ret_conflicts, struct err *err)
{
    struct applying a = {.eng = eng, .fn = fn, .arg = arg};
    uint64_t rows;
    enum err_code code = change_set_check(bytes, err);
    if (!code)
        code = change_set_count(bytes, &rows, err);
    if (code)
        return code;
    a.waits = mem_array((size_t)rows + 1, sizeof a.waits[0]);
    set_triggers(eng, 0);
    code = apply_passes(&a, bytes, err);
    set_triggers(eng, 1);
    mem_free(a.waits);
    *ret_conflicts = a.conflicts;
    return code;
}
