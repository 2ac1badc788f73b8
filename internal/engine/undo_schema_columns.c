/* Which columns a change of the schema takes and brings, and whether it could be taken back at all. */
#include "base/limits.h"
#include "engine/change_table.h"
#include "engine/engine_state.h"
#include "engine/undo_schema.h"

enum err_code schema_undo_open_tables(struct schema_undo *s, bool old, sqlite3 **ret, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(":memory:", ret, flags, VFS_NAME);
    enum err_code code =
        rc ? err_set(err, ERR_TOO_LARGE, "out of memory") : engine_recipe(s->op->eng, *ret, err);
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        struct str sql = old ? c->before : c->sql;
        if (schema_undo_is_table(c) && sql.ptr && sqlite3_exec(*ret, sql.ptr, NULL, NULL, NULL))
            code = err_set(err, ERR_CONFLICT, "the%s definition of \"" STR_FMT "\" is not understood: %s",
                old ? " old" : "", STR_ARG(c->name), sqlite3_errmsg(*ret));
    }
    return code;
}

static void list_missing(struct schema_undo *s, const struct recorder_table *of,
    const struct recorder_table *in, struct schema_undo_column **list)
{
    for (size_t i = 0; i < of->column_count; i++) {
        bool found = false;
        for (size_t j = 0; j < in->column_count && !found; j++)
            found = str_eq_nocase(of->columns[i].name, in->columns[j].name);
        if (found)
            continue;
        *list = ARENA_NEW(s->op->arena, struct schema_undo_column);
        **list = (struct schema_undo_column){.name = of->columns[i].name, .to = {NULL, 0}};
        list = &(*list)->next;
    }
}

/* Where nothing was destroyed, a column that has another name in the same place got that name. */
static void find_pairs(
    struct schema_undo_change *c, const struct recorder_table *was, const struct recorder_table *now)
{
    size_t at = 0;
    const struct schema_undo_column *b = c->back;
    if (was->column_count != now->column_count)
        return;
    for (struct schema_undo_column *g = c->gone; g; g = g->next, b = b ? b->next : NULL) {
        while (at < now->column_count && !str_eq(now->columns[at].name, g->name))
            at++;
        if (!b || at == now->column_count || !str_eq(was->columns[at].name, b->name))
            return;
        g->to = b->name;
    }
    if (b)
        return;
    c->pairs = c->gone;
    c->back = c->gone = NULL;
}

enum err_code schema_undo_compare(struct schema_undo *s, sqlite3 *now_db, struct err *err)
{
    for (struct schema_undo_change *c = s->changes; c; c = c->next) {
        if (c->what != SCHEMA_CHANGED || !schema_undo_is_table(c))
            continue;
        s->columns.from = s->old;
        const struct recorder_table *was = recorder_table_read(&s->columns, c->name);
        s->columns.from = now_db;
        const struct recorder_table *now = recorder_table_read(&s->columns, c->name);
        s->columns.from = NULL;
        if (!was || !now)
            return err_set(err, ERR_TOO_LARGE, "the schema is too large");
        list_missing(s, was, now, &c->back);
        list_missing(s, now, was, &c->gone);
        if (c->back && c->gone && !s->of->snapshot.ptr)
            find_pairs(c, was, now);
    }
    return ERR_OK;
}

/* --- Beforehand --- */

/* What would keep its undo from being proposed, as far as it can be known now. */
static enum err_code foresee(struct schema_undo *s, struct str set, sqlite3 **now, struct err *err)
{
    struct err unknown = ERR_INIT;
    for (const struct schema_undo_change *c = s->changes; c; c = c->next) {
        if (c->what == SCHEMA_REMOVED && !c->renamed.ptr && c->rows > LIMIT_CHANGE_ROWS)
            return err_set(err, ERR_TOO_LARGE, "\"" STR_FMT "\" has more rows than one write may bring back",
                STR_ARG(c->name));
    }
    enum err_code code = schema_undo_open_tables(s, true, &s->old, err);
    if (code || schema_undo_open_tables(s, false, now, &unknown))
        return code;
    code = schema_undo_compare(s, *now, err);
    return code ? code : schema_undo_check_mixed(s, set, err);
}

bool schema_undo_foreseen(struct op *op, struct str diff, struct str set, struct str *ret_why)
{
    struct schema_undo s;
    struct err err = ERR_INIT;
    sqlite3 *now = NULL;
    struct proposal of = {.schema_diff = diff, .snapshot = {NULL, 0}};
    enum err_code code = schema_undo_read(&s, op, &of, &err);
    if (!code)
        code = foresee(&s, set, &now, &err);
    (void)sqlite3_close(now); /* no statement was left */
    schema_undo_release(&s);
    *ret_why = code ? arena_copy(op->arena, str_of(err.message)) : (struct str){NULL, 0};
    return code == ERR_OK;
}
