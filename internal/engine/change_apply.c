/* Applying a change set. */
#include "engine/change_apply.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/change_bulk.h"
#include "engine/change_record.h"
#include "engine/change_target.h"
#include "engine/engine_state.h"

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

struct applying {
    struct engine *eng;
    change_conflict_fn *fn;
    void *arg;
    uint64_t conflicts;
    int pass;    /* the op that is done now; 0: any */
    bool again;  /* what an earlier pass left, no other */
    bool last;   /* what fails now fails for good */
    bool unsure; /* … unless it is in the way of another conflict */
    uint64_t done, left;
    bool *waits; /* of each row: it is left */
    bool *did;   /* likewise: change_bulk() did it */
    uint64_t at;
    struct strbuf parked; /* rows that wait for their place outside of their table, all cells of each */
    bool whole[CHANGE_TABLES_MAX]; /* of each table: change_bulk() did all of it */
    size_t table;
};

enum { IS_OLD = 1, IS_NEW = 2 };

/* Is the row as it was, as it is to be, or in each column one of both? The row id of a row that was found by
 * its key does not count. */
static unsigned compare(const struct change_target *g, const struct change_row *row, enum target_finder by)
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

static void tell(struct applying *a, const struct change_target *g, const struct change_row *row,
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

static int do_insert(struct change_target *g, const struct change_row *row)
{
    sqlite3_stmt *stmt = target_statement(g, DO_INSERT);
    if (!stmt)
        return SQLITE_ERROR;
    int rc = target_run(g, stmt, target_bind(stmt, g, BY_KEY, true, row->new_cells));
    if (rc != SQLITE_CONSTRAINT_ROWID || !g->rowid || !(g->t->flags & CHANGE_TABLE_HAS_KEY))
        return rc;
    stmt = target_statement(g, DO_INSERT_ANYWHERE);
    return stmt ? target_run(g, stmt, target_bind(stmt, g, BY_KEY, true, row->new_cells)) : SQLITE_ERROR;
}

static int do_row(struct change_target *g, const struct change_row *row, enum target_finder by)
{
    if (row->op == CHANGE_INSERT)
        return do_insert(g, row);
    sqlite3_stmt *stmt = row->op == CHANGE_UPDATE
                             ? target_update(g, row, by, false)
                             : target_statement(g, by == BY_KEY ? DO_DELETE : DO_DELETE_BY_ROWID);
    if (!stmt)
        return SQLITE_ERROR;
    int rc = target_bind(stmt, g, by, false, row->old_cells);
    if (rc == SQLITE_OK && row->op == CHANGE_UPDATE)
        rc = target_bind_new(stmt, g, row->new_cells);
    return target_run(g, stmt, rc);
}

/* false: nothing is to be done, or it was a conflict. */
static bool is_due(struct applying *a, struct change_target *g, const struct change_row *row, bool present,
    enum target_finder by)
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
static int update_at_once(struct applying *a, struct change_target *g, const struct change_row *row,
    enum target_finder by, bool *ret_done)
{
    *ret_done = false;
    sqlite3_stmt *stmt = target_update(g, row, by, true);
    if (!stmt)
        return SQLITE_OK;
    int rc = target_bind(stmt, g, by, true, row->old_cells);
    if (rc == SQLITE_OK)
        rc = target_bind_new(stmt, g, row->new_cells);
    rc = target_run(g, stmt, rc);
    *ret_done = rc == SQLITE_OK && sqlite3_changes64(a->eng->db) == 1;
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_OK : rc;
}

/* Selects the row: SQLITE_ROW, SQLITE_DONE, or an error. The caller resets `find`. */
static int look(
    struct applying *a, struct change_target *g, sqlite3_stmt *find, enum target_finder by, struct str cells)
{
    int rc = target_bind(find, g, by, false, cells);
    rc = rc == SQLITE_OK ? change_step(a->eng, find) : rc;
    for (size_t i = 0; rc == SQLITE_ROW && i < g->t->column_count; i++)
        g->now[i] = change_cell_column(find, (int)i);
    return rc;
}

static enum err_code no_table(struct applying *a, struct change_target *g, const struct change_row *row)
{
    g->missing = true;
    tell(a, g, row, CONFLICT_SCHEMA, false);
    return ERR_OK;
}

static enum err_code apply_row(
    struct applying *a, struct change_target *g, const struct change_row *row, struct err *err)
{
    struct str cells = row->old_cells.ptr ? row->old_cells : row->new_cells;
    enum target_finder by = target_finder_of(g, cells);
    bool done = false;
    int at_once = row->op == CHANGE_UPDATE ? update_at_once(a, g, row, by, &done) : SQLITE_OK;
    a->waits[a->at] = false;
    a->done += done;
    if (done || at_once != SQLITE_OK)
        return done ? ERR_OK : sql_failed(a, at_once, err);
    sqlite3_stmt *find = target_statement(g, (int)by);
    if (!find)
        return no_table(a, g, row);
    int rc = look(a, g, find, by, cells);
    bool present = rc == SQLITE_ROW;
    bool taken = row->op == CHANGE_INSERT && present && !a->last;
    bool due = (rc == SQLITE_ROW || rc == SQLITE_DONE) && !taken && is_due(a, g, row, present, by);
    int reset = sqlite3_reset(find);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sql_failed(a, reset, err);
    rc = due ? do_row(g, row, by) : SQLITE_OK;
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

/* --- Rows that are in each other's way --- */

static void put_parked(struct strbuf *out, const struct change_target *g, struct str new_cells)
{
    for (size_t i = 0; i < g->t->column_count; i++) {
        struct change_cell will = change_cell_next(&new_cells);
        change_put_cell(out, will.kind == CHANGE_SAME ? &g->now[i] : &will);
    }
}

/* Takes the row out of the table, where it is nobody's way any more. */
static enum err_code park_row(
    struct applying *a, struct change_target *g, const struct change_row *row, struct err *err)
{
    enum target_finder by = target_finder_of(g, row->old_cells);
    sqlite3_stmt *find = target_statement(g, (int)by);
    if (!find)
        return no_table(a, g, row);
    int rc = look(a, g, find, by, row->old_cells);
    bool looked = rc == SQLITE_ROW || rc == SQLITE_DONE;
    bool due = a->waits[a->at] = looked && is_due(a, g, row, rc == SQLITE_ROW, by);
    if (due)
        put_parked(&a->parked, g, row->new_cells);
    int reset = sqlite3_reset(find);
    if (!looked)
        return sql_failed(a, reset, err);
    if (strbuf_failed(&a->parked))
        return err_set(err, ERR_TOO_LARGE,
            "rows that exchange unique values hold more than %lld MiB: exchange them in parts",
            (long long)LIMIT_CHANGE_BYTES >> 20);
    int64_t destroyed = a->eng->destroyed; /* it comes back */
    struct tally *tally = a->eng->tally;
    a->eng->tally = NULL;
    sqlite3_stmt *stmt = due ? target_statement(g, by == BY_KEY ? DO_PARK : DO_PARK_BY_ROWID) : NULL;
    rc = stmt ? target_run(g, stmt, target_bind(stmt, g, by, false, row->old_cells)) : SQLITE_OK;
    a->eng->destroyed = destroyed;
    a->eng->tally = tally;
    return rc == SQLITE_OK ? ERR_OK : sql_failed(a, rc, err);
}

static enum err_code place_row(struct applying *a, struct change_target *g, const struct change_row *row,
    struct str *parked, struct err *err)
{
    sqlite3_stmt *stmt = target_statement(g, DO_INSERT);
    int rc = stmt ? target_run(g, stmt, target_bind(stmt, g, BY_KEY, true, *parked)) : SQLITE_ERROR;
    for (size_t i = 0; i < g->t->column_count; i++)
        (void)change_cell_skip(parked);
    a->waits[a->at] = false;
    if ((rc & 0xff) == SQLITE_CONSTRAINT)
        tell(a, g, row, CONFLICT_CONSTRAINT, false);
    else if (rc != SQLITE_OK)
        return sql_failed(a, rc, err);
    return ERR_OK;
}

/* --- Tables --- */

enum step { APPLY, PARK, PLACE };

static bool is_turn(const struct applying *a, const struct change_row *row)
{
    return (a->pass == 0 || (int)row->op == a->pass) && (!a->again || a->waits[a->at]) && !a->did[a->at];
}

static enum err_code each_row(struct applying *a, struct change_target *g, enum step step, struct err *err)
{
    struct str rest = g->t->rows, parked = strbuf_str(&a->parked);
    struct change_row row;
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && !(code = change_row_next(g->t, &rest, &found, &row, err)) && found) {
        if (is_turn(a, &row) && !g->missing)
            code = step == APPLY  ? apply_row(a, g, &row, err)
                   : step == PARK ? park_row(a, g, &row, err)
                                  : place_row(a, g, &row, &parked, err);
        a->at++;
    }
    return code;
}

/* Rows that exchange unique values, or hand them round: all leave their places before one takes a new one. */
static enum err_code end_table(struct applying *a, struct change_target *g, struct err *err)
{
    uint64_t first = a->at;
    strbuf_reset(&a->parked);
    a->pass = CHANGE_UPDATE;
    enum err_code code = each_row(a, g, PARK, err);
    a->unsure = a->conflicts > 0;
    a->at = first;
    if (!code)
        code = each_row(a, g, PLACE, err);
    a->at = first;
    a->pass = 0;
    return code ? code : each_row(a, g, APPLY, err);
}

static enum err_code apply_whole(struct applying *a, const struct change_table_view *t, struct err *err)
{
    bool *done = &a->whole[a->table];
    if (a->pass == CHANGE_UPDATE) {
        uint64_t count;
        int rc = change_bulk(a->eng, t, change_rowid_name(t), a->did + a->at, &count);
        if (rc != SQLITE_OK)
            return sql_failed(a, rc, err);
        *done = count > 0 && count == t->row_count;
        a->done += count;
    }
    a->at += *done ? t->row_count : 0;
    return ERR_OK;
}

static enum err_code apply_table(struct applying *a, const struct change_table_view *t, struct err *err)
{
    struct change_target g;
    enum err_code code = apply_whole(a, t, err);
    if (code || a->whole[a->table])
        return code;
    target_init(&g, a->eng, t);
    code = a->last ? end_table(a, &g, err) : each_row(a, &g, APPLY, err);
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
 * be done then is tried again for as long as that does half of it. */
static enum err_code apply_passes(struct applying *a, struct str bytes, struct err *err)
{
    static const enum change_op ORDER[] = {CHANGE_UPDATE, CHANGE_INSERT, CHANGE_DELETE};
    enum err_code code = ERR_OK;
    uint64_t left = 0;
    for (size_t i = 0; !code && i < ARRAY_LEN(ORDER); i++) {
        code = apply_pass(a, bytes, (int)ORDER[i], err);
        left += a->left;
    }
    a->again = true;
    for (a->done = left; !code && left > 0 && a->done >= left && a->conflicts == 0; left = a->left)
        code = apply_pass(a, bytes, 0, err);
    a->last = true;
    a->unsure = a->conflicts > 0;
    return !code && left > 0 ? apply_pass(a, bytes, 0, err) : code;
}

/* While a set is applied nothing but its rows is written, with the keys that it gives them. */
static void set_alone(struct engine *eng, bool alone)
{
    (void)sqlite3_db_config(
        eng->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, alone ? 0 : 1, NULL); /* a known switch */
    if (eng->recorder)
        eng->recorder->keys_given = alone;
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
    strbuf_init(&a.parked, (size_t)LIMIT_CHANGE_BYTES);
    a.waits = mem_array((size_t)rows + 1, sizeof a.waits[0]);
    a.did = mem_array((size_t)rows + 1, sizeof a.did[0]);
    set_alone(eng, true);
    target_forget_actions(eng);
    code = apply_passes(&a, bytes, err);
    set_alone(eng, false);
    strbuf_release(&a.parked);
    mem_free(a.waits);
    mem_free(a.did);
    *ret_conflicts = a.conflicts;
    return code;
}
