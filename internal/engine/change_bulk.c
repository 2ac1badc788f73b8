/* UPDATE OR ABORT … SET column = _sys_change(…) WHERE row id BETWEEN first AND last AND _sys_changes(…): the
 * functions look into the set beside the scan. The first looks whether a row is in the set and as it was, a
 * declared key too: a row that was put back may have another row id, and is left. The second gives what it
 * becomes.
 * SQLite may find all rows before it changes the first one. They reach the set through a pointer that SQL
 * cannot make. */
#include "engine/change_bulk.h"
#include "base/check.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_record.h"
#include "engine/change_target.h"
#include "engine/engine_state.h"

enum {
    ROWS_MIN = 64,
    SPREAD_MAX = 4 /* rows that are scanned for one that is changed, if there are no gaps */
};

#define POINTER "change_bulk"

struct bulk {
    struct engine *eng;
    const struct change_table_view *t;
    size_t key;               /* the column that is the row id */
    bool *changes;            /* each column: in all rows or in none */
    size_t changed, compared; /* how many */
    struct taken_row *rows;
    bool *did;
    bool may_leave;      /* rows that are not as they were, to be looked for by their key */
    int64_t first, last; /* row ids */
    uint32_t *places;    /* of each row id from first to last: number of its row + 1, 0 it has none */
    enum cat_affinity *affinities; /* of columns that change */
    struct change_cell *was;
    bool exact; /* each row will be what the set says, after the types of the columns had their say */
    size_t count;
    struct recorder *recorder; /* that looks away, for these rows are what is done; NULL: none does */
    size_t found;              /* rows so far */
    int64_t found_last;
    const struct taken_row *given; /* the row that is changed now */
    size_t number;                 /* of its cell that comes next in `cells` */
    struct str cells;
};

/* --- Is it one for this way? --- */

/* The column that is the row id: beside the others, or one of them, which then is the key. */
static bool find_key(struct bulk *b)
{
    const struct change_table_view *t = b->t;
    bool beside = t->columns[0].flags & CHANGE_COLUMN_ROWID;
    unsigned wanted = beside ? CHANGE_COLUMN_ROWID : CHANGE_COLUMN_KEY;
    size_t keys = 0;
    if ((t->flags & CHANGE_TABLE_WITHOUT_ROWID) || (!beside && (t->flags & CHANGE_TABLE_HAS_KEY)))
        return false;
    for (size_t i = 0; i < t->column_count; i++) {
        if (!(t->columns[i].flags & wanted))
            continue;
        b->key = i;
        keys++;
    }
    return keys == 1;
}

/* A column that must be as it was. */
static bool is_compared(const struct bulk *b, size_t i)
{
    return b->changes[i] || (i != b->key && (b->t->columns[i].flags & CHANGE_COLUMN_KEY));
}

static bool read_affinity(struct bulk *b, size_t i)
{
    AUTO_STRBUF t;
    AUTO_STRBUF c;
    const char *type = NULL;
    strbuf_init(&t, CHANGE_NAME_MAX);
    strbuf_init(&c, CHANGE_NAME_MAX);
    strbuf_add_str(&t, b->t->name);
    strbuf_add_str(&c, b->t->columns[i].name);
    bool read = !strbuf_failed(&t) && !strbuf_failed(&c) &&
                sqlite3_table_column_metadata(b->eng->db, "main", strbuf_cstr(&t), strbuf_cstr(&c), &type,
                    NULL, NULL, NULL, NULL) == SQLITE_OK;
    b->affinities[i] = cat_affinity_of(str_of(type ? type : ""));
    return read;
}

static bool changes_key(const struct bulk *b)
{
    bool key = false;
    for (size_t i = 0; i < b->t->column_count && !key; i++)
        key = b->changes[i] && (b->t->columns[i].flags & CHANGE_COLUMN_KEY);
    return key;
}

/* The set was checked. What SQLite would store in another way, or would not store as a change, is done, but
 * not exact. */
static bool take_row(struct bulk *b, struct str *rest)
{
    struct taken_row *at = &b->rows[b->count];
    struct str cells = str_slice(*rest, 1, rest->len);
    if ((*rest->ptr & ~CHANGE_INDIRECT) != CHANGE_UPDATE)
        return false;
    at->cells.ptr = cells.ptr;
    for (size_t i = 0; i < b->t->column_count; i++)
        b->was[i] = change_cell_next(&cells);
    at->old_len = (size_t)(cells.ptr - at->cells.ptr);
    for (size_t i = 0; i < b->t->column_count; i++) {
        struct change_cell will = change_cell_next(&cells);
        bool changes = will.kind != CHANGE_SAME;
        if (i == b->key && (changes || b->was[i].kind != CHANGE_INT))
            return false;
        if (b->count == 0 && changes)
            b->exact &= read_affinity(b, i);
        if (b->count > 0 && b->changes[i] != changes)
            return false;
        b->changes[i] = changes;
        b->exact &=
            !changes || (recorder_takes_cell(b->affinities[i], &will) && !change_cell_eq(&b->was[i], &will));
    }
    at->cells.len = (size_t)(cells.ptr - at->cells.ptr);
    at->rowid = b->was[b->key].integer;
    *rest = cells;
    b->first = b->count == 0 || at->rowid < b->first ? at->rowid : b->first;
    b->last = b->count == 0 || at->rowid > b->last ? at->rowid : b->last;
    b->count++;
    return true;
}

static bool take_rows(struct bulk *b)
{
    struct str rest = b->t->rows;
    bool fit = true;
    while (fit && rest.len)
        fit = b->count < b->t->row_count && take_row(b, &rest);
    for (size_t i = 0; i < b->t->column_count; i++)
        b->changed += b->changes[i];
    for (size_t i = 0; i < b->t->column_count; i++)
        b->compared += is_compared(b, i);
    b->may_leave = b->compared > b->changed && !changes_key(b);
    return fit && b->count == b->t->row_count && b->changed > 0;
}

static uint64_t offset_of(const struct bulk *b, int64_t rowid)
{
    return (uint64_t)rowid - (uint64_t)b->first;
}

/* Rows stand in the order of their keys. */
static bool make_places(struct bulk *b)
{
    uint64_t spread = offset_of(b, b->last);
    if (spread / SPREAD_MAX >= b->count)
        return false;
    b->places = mem_array((size_t)spread + 1, sizeof b->places[0]);
    for (size_t i = 0; i < b->count; i++) {
        uint32_t *place = &b->places[offset_of(b, b->rows[i].rowid)];
        if (*place)
            return false;
        *place = (uint32_t)i + 1;
    }
    return true;
}

/* NULL: there is none in the set. */
static const struct taken_row *row_of(const struct bulk *b, int64_t rowid)
{
    uint32_t place = rowid >= b->first && rowid <= b->last ? b->places[offset_of(b, rowid)] : 0;
    return place ? &b->rows[place - 1] : NULL;
}

/* --- The functions --- */

static struct bulk *bulk_of(sqlite3_context *ctx, sqlite3_value **argv)
{
    struct bulk *b = sqlite3_value_pointer(argv[0], POINTER);
    if (!b)
        sqlite3_result_error(ctx, "no such function", -1);
    return b;
}

static bool is_value(const struct change_cell *cell, sqlite3_value *v)
{
    static const int TYPES[CHANGE_KINDS] = {[CHANGE_NULL] = SQLITE_NULL,
        [CHANGE_INT] = SQLITE_INTEGER,
        [CHANGE_REAL] = SQLITE_FLOAT,
        [CHANGE_TEXT] = SQLITE_TEXT,
        [CHANGE_BLOB] = SQLITE_BLOB};
    struct change_cell is = {.kind = cell->kind, .bytes = STR_EMPTY};
    if (sqlite3_value_type(v) != TYPES[cell->kind])
        return false;
    if (cell->kind == CHANGE_INT)
        is.integer = sqlite3_value_int64(v);
    else if (cell->kind == CHANGE_REAL)
        is.real = sqlite3_value_double(v);
    else if (cell->kind == CHANGE_TEXT)
        is.bytes.ptr = (const char *)sqlite3_value_text(v);
    else if (cell->kind == CHANGE_BLOB)
        is.bytes.ptr = sqlite3_value_blob(v);
    if (cell->kind == CHANGE_TEXT || cell->kind == CHANGE_BLOB)
        is.bytes.len = (size_t)sqlite3_value_bytes(v);
    return change_cell_eq(cell, &is);
}

static bool is_as_it_was(const struct bulk *b, const struct taken_row *row, sqlite3_value **columns)
{
    struct str cells = row->cells;
    bool as_was = true;
    for (size_t i = 0, n = 0; as_was && i < b->t->column_count; i++) {
        struct change_cell cell = change_cell_next(&cells);
        if (is_compared(b, i))
            as_was = is_value(&cell, columns[n++]);
    }
    return as_was;
}

/* _sys_changes(set, row id, column that is compared …): is it a row of the set? It must be as it was. */
static void fn_changes(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct bulk *b = bulk_of(ctx, argv);
    if (!b)
        return;
    CHECK((size_t)argc == b->compared + 2);
    int64_t rowid = sqlite3_value_int64(argv[1]);
    const struct taken_row *row = row_of(b, rowid);
    bool again = row && b->found && rowid <= b->found_last;
    bool as_was = row && !again && is_as_it_was(b, row, argv + 2);
    if (again || (row && !as_was && !b->may_leave)) {
        sqlite3_result_error(ctx, "a row is not as it was", -1);
        return;
    }
    if (as_was)
        b->did[row - b->rows] = true;
    else
        row = NULL;
    sqlite3_result_int(ctx, row != NULL);
    b->found_last = row ? rowid : b->found_last;
    b->found += row != NULL;
}

static void give(sqlite3_context *ctx, const struct change_cell *cell)
{
    switch (cell->kind) {
    case CHANGE_INT: sqlite3_result_int64(ctx, cell->integer); break;
    case CHANGE_REAL: sqlite3_result_double(ctx, cell->real); break;
    case CHANGE_TEXT:
        sqlite3_result_text64(ctx, cell->bytes.ptr, cell->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case CHANGE_BLOB: sqlite3_result_blob64(ctx, cell->bytes.ptr, cell->bytes.len, SQLITE_STATIC); break;
    default: sqlite3_result_null(ctx);
    }
}

/* _sys_change(set, row id, number of a column): what it becomes. */
static void fn_change(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct bulk *b = bulk_of(ctx, argv);
    (void)argc;
    if (!b)
        return;
    int64_t rowid = sqlite3_value_int64(argv[1]);
    size_t column = (size_t)sqlite3_value_int64(argv[2]);
    const struct taken_row *row = row_of(b, rowid);
    if (!row) {
        sqlite3_result_error(ctx, "no row of the set", -1);
        return;
    }
    if (b->given != row || b->number > column) {
        b->given = row;
        b->number = 0;
        b->cells = str_slice(row->cells, row->old_len, row->cells.len);
    }
    for (; b->number < column; b->number++)
        (void)change_cell_skip(&b->cells);
    struct change_cell cell = change_cell_next(&b->cells);
    b->number++;
    give(ctx, &cell);
}

static int make_functions(sqlite3 *db)
{
    enum { FLAGS = SQLITE_UTF8 | SQLITE_DIRECTONLY };
    int rc = sqlite3_create_function_v2(db, "_sys_changes", -1, FLAGS, NULL, fn_changes, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "_sys_change", 3, FLAGS, NULL, fn_change, NULL, NULL, NULL);
    return rc;
}

/* --- The statement --- */

static void put_sql(struct strbuf *sql, const struct bulk *b, const char *rowid)
{
    AUTO_STRBUF key;
    const char *between = " NOT INDEXED SET ";
    strbuf_init(&key, CHANGE_NAME_MAX * 2 + 2);
    if (b->t->columns[b->key].flags & CHANGE_COLUMN_ROWID)
        strbuf_add_cstr(&key, rowid);
    else
        catalog_quote(&key, b->t->columns[b->key].name);
    strbuf_add_cstr(sql, "UPDATE OR ABORT main.");
    catalog_quote(sql, b->t->name);
    for (size_t i = 0; i < b->t->column_count; i++) {
        if (!b->changes[i])
            continue;
        strbuf_add_cstr(sql, between);
        catalog_quote(sql, b->t->columns[i].name);
        strbuf_addf(sql, " = _sys_change(?1, %s, %zu)", strbuf_cstr(&key), i);
        between = ", ";
    }
    strbuf_addf(
        sql, " WHERE %s BETWEEN ?2 AND ?3 AND _sys_changes(?1, %s", strbuf_cstr(&key), strbuf_cstr(&key));
    for (size_t i = 0; i < b->t->column_count; i++) {
        if (!is_compared(b, i))
            continue;
        strbuf_add_cstr(sql, ", ");
        catalog_quote(sql, b->t->columns[i].name);
    }
    strbuf_add_char(sql, ')');
}

static int prepare(struct engine *eng, struct bulk *b, const char *rowid, sqlite3_stmt **ret)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 20);
    put_sql(&sql, b, rowid);
    int rc = target_prepare(eng, &sql, false, ret);
    if (rc == SQLITE_ERROR && make_functions(eng->db) == SQLITE_OK) /* the first time */
        rc = target_prepare(eng, &sql, false, ret);
    return rc;
}

static int run(struct engine *eng, struct bulk *b, const char *rowid)
{
    AUTO_SQL *stmt = NULL;
    int rc = prepare(eng, b, rowid, &stmt);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_pointer(stmt, 1, b, POINTER, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 2, b->first);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 3, b->last);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    return rc;
}

/* What says that this way does not lead on, and not that something failed. */
static bool is_refusal(int rc)
{
    return rc == SQLITE_ERROR || (rc & 0xff) == SQLITE_CONSTRAINT || rc == SQLITE_TOOBIG;
}

/* The rows that were done move together. */
static void tell_recorder(struct bulk *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (b->did[i])
            b->rows[n++] = b->rows[i];
    }
    CHECK(n == b->found);
    recorder_take(b->recorder, b->t, b->rows, n);
}

static int run_or_not(struct engine *eng, struct bulk *b, const char *rowid, uint64_t *ret_done)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = sqlite3_exec(eng->db, "SAVEPOINT _sys_bulk", NULL, NULL, NULL);
    if (b->recorder)
        recorder_look_away(b->recorder);
    if (rc == SQLITE_OK)
        rc = run(eng, b, rowid);
    if (b->recorder)
        recorder_look_again(b->recorder);
    bool done = rc == SQLITE_DONE && b->found > 0 && (b->found == b->count || b->may_leave) &&
                sqlite3_changes64(eng->db) == (int64_t)b->found;
    bool gone = sqlite3_get_autocommit(eng->db);
    if (rc == SQLITE_DONE || is_refusal(rc))
        rc = SQLITE_OK;
    if (!gone && !done && rc == SQLITE_OK)
        rc = sqlite3_exec(eng->db, "ROLLBACK TO _sys_bulk", NULL, NULL, NULL);
    if (!gone && rc == SQLITE_OK)
        rc = sqlite3_exec(eng->db, "RELEASE _sys_bulk", NULL, NULL, NULL);
    guard_leave(&eng->guard, saved);
    if (rc == SQLITE_OK && done && b->recorder)
        tell_recorder(b);
    if (!done)
        memset(b->did, 0, b->count * sizeof b->did[0]);
    *ret_done = done ? b->found : 0;
    return rc;
}

int change_bulk(
    struct engine *eng, const struct change_table_view *t, const char *rowid, bool *did, uint64_t *ret_done)
{
    struct bulk b = {.eng = eng, .t = t, .exact = true, .did = did};
    int rc = SQLITE_OK;
    *ret_done = 0;
    if (t->row_count < ROWS_MIN || t->row_count > t->rows.len || !find_key(&b))
        return SQLITE_OK;
    b.changes = mem_array(t->column_count, sizeof b.changes[0]);
    b.affinities = mem_array(t->column_count, sizeof b.affinities[0]);
    b.was = mem_array(t->column_count, sizeof b.was[0]);
    b.rows = mem_array((size_t)t->row_count, sizeof b.rows[0]);
    bool fit = take_rows(&b) && make_places(&b);
    /* One statement, without triggers and actions of foreign keys, changes these rows and no others. */
    if (fit && b.exact && eng->recorder && recorder_may_take(eng->recorder, t))
        b.recorder = eng->recorder;
    if (fit)
        rc = run_or_not(eng, &b, rowid, ret_done);
    mem_free(b.places);
    mem_free(b.rows);
    mem_free(b.was);
    mem_free(b.affinities);
    mem_free(b.changes);
    return rc;
}
