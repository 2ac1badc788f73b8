/* The listening tables: virtual tables with the columns of the real ones, whose xBestIndex is told by
 * SQLite's own planner, for each place where a statement reads the table, which columns it compares and how
 * it wants the rows ordered. The idea is that of SQLite's expert extension. They hold no rows and are never
 * run. */
#include "base/strbuf.h"
#include "engine/whatif.h"

enum { DECLARATION_MAX = 256 << 10 };

struct listener {
    sqlite3_vtab base; /* first: SQLite knows this part alone */
    struct whatif *whatif;
    const struct cat_table *table;
};

/* What the module is told: where to note, and which table is being made. */
struct advice_context {
    struct whatif *whatif;
    const struct cat_table *making;
};

static void declare(struct strbuf *out, const struct cat_table *t)
{
    const char *comma = "";
    strbuf_add_cstr(out, "CREATE TABLE x(");
    for (const struct cat_column *c = t->columns; c; c = c->next) {
        strbuf_add_cstr(out, comma);
        catalog_quote(out, c->name);
        strbuf_add_char(out, ' ');
        if (c->type.len)
            catalog_quote(out, c->type);
        strbuf_add_cstr(out, " COLLATE ");
        catalog_quote(out, c->collation);
        comma = ",";
    }
    strbuf_add_char(out, ')');
}

static int connect(
    sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_error)
{
    struct advice_context *context = arg;
    AUTO_STRBUF sql;
    (void)argc;
    (void)argv;
    (void)ret_error;
    strbuf_init(&sql, DECLARATION_MAX);
    declare(&sql, context->making);
    int rc = strbuf_failed(&sql) ? SQLITE_TOOBIG : sqlite3_declare_vtab(db, strbuf_cstr(&sql));
    if (!rc)
        rc = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS); /* views may read it */
    struct listener *l = rc ? NULL : sqlite3_malloc(sizeof *l);
    if (!l)
        return rc ? rc : SQLITE_NOMEM;
    *l = (struct listener){.whatif = context->whatif, .table = context->making};
    *ret = &l->base;
    return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *vtab)
{
    sqlite3_free(vtab);
    return SQLITE_OK;
}

static const struct cat_column *column_at(const struct cat_table *t, int at)
{
    const struct cat_column *c = at >= 0 ? t->columns : NULL;
    while (c && at-- > 0)
        c = c->next;
    return c;
}

static void add_term(
    struct arena *a, struct advice_term **list, const struct cat_column *c, const char *collation, bool desc)
{
    while (*list) {
        if (str_eq((*list)->column, c->name))
            return; /* compared twice: once is enough */
        list = &(*list)->next;
    }
    struct advice_term *term = arena_alloc(a, sizeof(*term));
    if (!term)
        return;
    bool own = !collation || str_eq_nocase(str_of(collation), c->collation);
    *term = (struct advice_term){NULL, c->name, own ? STR_EMPTY : arena_copy(a, str_of(collation)), desc};
    *list = term;
}

static struct advice_term **list_of(struct advice_scan *scan, unsigned char operation)
{
    switch (operation) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_IS: return &scan->equal;
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE: return &scan->range;
    default: return NULL;
    }
}

static void note_order(struct arena *a, struct advice_scan *scan, const sqlite3_index_info *info)
{
    for (int i = 0; i < info->nOrderBy; i++) {
        const struct cat_column *c = column_at(scan->table, info->aOrderBy[i].iColumn);
        if (!c) {
            scan->order = NULL;
            return;
        }
        add_term(a, &scan->order, c, NULL, info->aOrderBy[i].desc != 0);
    }
}

static int best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    struct listener *l = (struct listener *)(void *)vtab;
    struct arena *a = l->whatif->arena;
    struct advice_scan *scan = arena_alloc(a, sizeof(*scan));
    int usable = 0;
    if (!scan)
        return SQLITE_NOMEM;
    *scan = (struct advice_scan){.next = l->whatif->scans, .table = l->table};
    for (int i = 0; i < info->nConstraint; i++) {
        const struct cat_column *c = column_at(l->table, info->aConstraint[i].iColumn);
        struct advice_term **list = c ? list_of(scan, info->aConstraint[i].op) : NULL;
        if (!info->aConstraint[i].usable || !list)
            continue;
        add_term(a, list, c, sqlite3_vtab_collation(info, i), false);
        /* Taken: SQLite then asks again for the plans in which it cannot be. */
        info->aConstraintUsage[i].argvIndex = ++usable;
    }
    note_order(a, scan, info);
    if (scan->equal || scan->range || scan->order)
        l->whatif->scans = scan;
    info->estimatedCost = 1e6 / (usable + 1); /* so that every order of a join is considered */
    return SQLITE_OK;
}

/* Present because a table without them cannot be written or read in a statement; no statement is ever
 * stepped. */
static int never_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret)
{
    (void)vtab;
    (void)ret;
    return SQLITE_ERROR;
}

static int never_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *ret_rowid)
{
    (void)vtab;
    (void)argc;
    (void)argv;
    (void)ret_rowid;
    return SQLITE_ERROR;
}

static const sqlite3_module LISTENER = {
    .xCreate = connect,
    .xConnect = connect,
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xDestroy = disconnect,
    .xOpen = never_open,
    .xUpdate = never_update,
};

static void make_table(struct whatif *w, const struct cat_table *t)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, DECLARATION_MAX);
    strbuf_add_cstr(&sql, "CREATE VIRTUAL TABLE ");
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&sql, " USING listener");
    (void)sqlite3_exec(
        w->listen, strbuf_cstr(&sql), NULL, NULL, NULL); /* one that fails is not listened to */
}

enum err_code advice_open(struct whatif *w, const struct catalog *cat, struct err *err)
{
    struct advice_context *context = arena_need(w->arena, sizeof *context);
    *context = (struct advice_context){w, NULL};
    int rc = sqlite3_create_module(w->listen, "listener", &LISTENER, context);
    if (rc)
        return err_set(err, ERR_UNAVAILABLE, "no memory for the examination: %s", sqlite3_errstr(rc));
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        context->making = t;
        if (t->kind == CAT_TABLE)
            make_table(w, t);
        else
            (void)sqlite3_exec(w->listen, t->sql.ptr, NULL, NULL, NULL); /* as above */
    }
    return ERR_OK;
}
