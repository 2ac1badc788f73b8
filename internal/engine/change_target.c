/* The statements over a table that a change set is applied to. */
#include "engine/change_target.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/engine_state.h"

int change_step(struct engine *eng, sqlite3_stmt *stmt)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    eng->guard.own_reads = true; /* it may go through FTS5 */
    int rc = sqlite3_step(stmt);
    guard_leave(&eng->guard, saved);
    return rc;
}

/* A foreign key's action that was compiled before the switch below is kept with the schema, and runs all the
 * same: the schema is read anew, if any table may have one. */
void target_forget_actions(struct engine *eng)
{
    static const char SQL[] = "SELECT 1 FROM main.sqlite_schema WHERE sql LIKE '%REFERENCES% ON %' LIMIT 1";
    AUTO_SQL *stmt = NULL;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    bool any =
        sqlite3_prepare_v2(eng->db, SQL, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_DONE;
    (void)sqlite3_reset(stmt); /* read to its end, or for the schema to be let go of */
    if (any)
        (void)sqlite3_exec(
            eng->db, "PRAGMA writable_schema = RESET", NULL, NULL, NULL); /* reads nothing itself */
    guard_leave(&eng->guard, saved);
}

int change_prepare(sqlite3 *db, const struct strbuf *sql, sqlite3_stmt **ret)
{
    (void)sqlite3_limit(db, SQLITE_LIMIT_COLUMN, LIMIT_SQL_COLUMNS + 1); /* returns the limit before */
    int rc = sqlite3_prepare_v2(db, strbuf_cstr(sql), (int)sql->len, ret, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_COLUMN, LIMIT_SQL_COLUMNS);
    return rc;
}

int target_prepare(struct engine *eng, const struct strbuf *sql, bool actions, sqlite3_stmt **ret)
{
    *ret = NULL;
    if (strbuf_failed(sql))
        return SQLITE_TOOBIG;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    (void)sqlite3_test_control(SQLITE_TESTCTRL_FK_NO_ACTION, eng->db, !actions); /* cannot fail */
    int rc = change_prepare(eng->db, sql, ret);
    (void)sqlite3_test_control(SQLITE_TESTCTRL_FK_NO_ACTION, eng->db, 0);
    guard_leave(&eng->guard, saved);
    return rc;
}

static void put_column(struct strbuf *sql, const struct change_target *g, size_t i)
{
    if (g->t->columns[i].flags & CHANGE_COLUMN_ROWID)
        strbuf_add_cstr(sql, g->rowid);
    else
        catalog_quote(sql, g->t->columns[i].name);
}

static bool finds(const struct change_target *g, enum target_finder by, size_t i)
{
    return g->t->columns[i].flags & (by == BY_KEY ? CHANGE_COLUMN_KEY : CHANGE_COLUMN_ROWID);
}

/* Parameters have the number of their column. */
static void put_where(struct strbuf *sql, const struct change_target *g, enum target_finder by)
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

static void put_select(struct strbuf *sql, const struct change_target *g, enum target_finder by)
{
    for (size_t i = 0; i < g->t->column_count; i++) {
        strbuf_add_cstr(sql, i ? ", " : "SELECT ");
        put_column(sql, g, i);
    }
    strbuf_add_cstr(sql, " FROM main.");
    catalog_quote(sql, g->t->name);
    put_where(sql, g, by);
}

static void put_insert(struct strbuf *sql, const struct change_target *g, bool with_rowid)
{
    const char *between = " (";
    strbuf_add_cstr(sql, "INSERT OR ABORT INTO main.");
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

sqlite3_stmt *target_statement(struct change_target *g, int which)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 20);
    if (g->stmt[which])
        return g->stmt[which];
    switch (which) {
    case BY_KEY:
    case BY_ROWID: put_select(&sql, g, (enum target_finder)which); break;
    case DO_INSERT:
    case DO_INSERT_ANYWHERE: put_insert(&sql, g, which == DO_INSERT); break;
    default:
        strbuf_add_cstr(&sql, "DELETE FROM main.");
        catalog_quote(&sql, g->t->name);
        put_where(&sql, g, which == DO_DELETE || which == DO_PARK ? BY_KEY : BY_ROWID);
    }
    bool ends = which == DO_DELETE || which == DO_DELETE_BY_ROWID;
    (void)target_prepare(g->eng, &sql, ends, &g->stmt[which]); /* NULL when it fails */
    return g->stmt[which];
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

int target_bind(
    sqlite3_stmt *stmt, const struct change_target *g, enum target_finder by, bool all, struct str cells)
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

enum target_finder target_finder_of(const struct change_target *g, struct str cells)
{
    bool key = false, null = false;
    for (size_t i = 0; i < g->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        key |= g->t->columns[i].flags & CHANGE_COLUMN_KEY;
        null |= (g->t->columns[i].flags & CHANGE_COLUMN_KEY) && cell.kind == CHANGE_NULL;
    }
    return key && !(null && g->rowid) ? BY_KEY : BY_ROWID;
}

sqlite3_stmt *target_update(
    struct change_target *g, const struct change_row *row, enum target_finder by, bool strict)
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
    strbuf_add_cstr(&sql, "UPDATE OR ABORT main.");
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
    (void)target_prepare(g->eng, &sql, false, &g->update); /* NULL when it fails */
    return g->update;
}

int target_bind_new(sqlite3_stmt *stmt, const struct change_target *g, struct str cells)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < g->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (cell.kind != CHANGE_SAME)
            rc = change_bind_cell(stmt, (int)(g->t->column_count + i) + 1, &cell);
    }
    return rc;
}

int target_run(struct change_target *g, sqlite3_stmt *stmt, int bound)
{
    int rc = bound == SQLITE_OK ? change_step(g->eng, stmt) : bound;
    int reset = sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

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

void target_init(struct change_target *g, struct engine *eng, const struct change_table_view *t)
{
    *g = (struct change_target){.eng = eng, .t = t};
    g->rowid = t->columns[0].flags & CHANGE_COLUMN_ROWID ? change_rowid_name(t) : NULL;
    g->mask = mem_array(t->column_count, sizeof g->mask[0]);
    g->now = mem_array(t->column_count, sizeof g->now[0]);
}

void target_release(struct change_target *g)
{
    for (size_t i = 0; i < TARGET_STATEMENTS; i++)
        (void)sqlite3_finalize(g->stmt[i]); /* reset already */
    (void)sqlite3_finalize(g->update);      /* the same */
    mem_free(g->mask);
    mem_free(g->now);
}
